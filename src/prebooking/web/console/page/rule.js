// The gym's rule of opening: kept for each gym on this device, said in words, changed in a form.

import { $, h } from "./dom.js";

const USUAL = { kind: "days", before: 4, at: "22:00", zone: "Europe/Madrid" };
const key = (gym) => `prebooking.rule.${gym}`;

export function ruleOf(gym) {
  try {
    return { ...USUAL, ...JSON.parse(localStorage.getItem(key(gym))) };
  } catch {
    return { ...USUAL };
  }
}

/** As the API takes it, in a query or as `opens`. */
export function asked({ kind, before, at, zone }) {
  if (kind === "hours") return { hours_before: before, time_zone: zone };
  return { days_before: before, ...(kind === "at" && { at }), time_zone: zone };
}

/** How many days before its class an opening lies, roughly: where to begin to look. */
export const daysBefore = ({ kind, before }) => (kind === "hours" ? Math.floor(before / 24) : before);

function inWords({ kind, before, at }) {
  if (kind === "hours") return `Opens ${before} hours before the class`;
  const days = before === 1 ? "1 day" : `${before} days`;
  return `Opens ${days} before, ${kind === "at" ? `at ${at}` : "at the class's time"}`;
}

export function sayRule(rule) {
  $("rule-said").textContent = inWords(rule);
  const form = $("rule-form").elements;
  for (const name of ["kind", "before", "at", "zone"]) form[name].value = rule[name];
  fit();
}

function fit() {
  const { kind, at, before } = $("rule-form").elements;
  $("rule-at").hidden = kind.value !== "at";
  at.required = kind.value === "at";
  before.max = kind.value === "hours" ? 2160 : 90;
}

/** `changed(rule)` once a person has. */
export function watchRule(gym, changed) {
  $("zones").append(...(Intl.supportedValuesOf?.("timeZone") ?? []).map((zone) => h("option", { value: zone })));
  $("rule-form").elements.kind.addEventListener("change", fit);
  $("rule-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const { kind, before, at, zone } = event.target.elements;
    const rule = { kind: kind.value, before: Number(before.value), at: at.value || USUAL.at, zone: zone.value.trim() };
    localStorage.setItem(key(gym()), JSON.stringify(rule));
    $("rule").open = false;
    $("rule-said").focus();
    changed(rule);
  });
}
