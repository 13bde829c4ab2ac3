// Find a class: the gym, its rule, the day, the listing; and one button each.

import { api } from "./api.js";
import { SignedOut } from "./auth.js";
import { active } from "./card.js";
import { $, busy, complain, h, say } from "./dom.js";
import { asked, daysBefore, ruleOf, sayRule, watchRule } from "./rule.js";
import { isWeekly } from "./series.js";
import { date, dayAhead, dayName, left, now, when } from "./time.js";
import { isThatClass } from "./weekly.js";

const DAYS = 10;
const LAST_GYM = "prebooking.gym";
const AGAIN_MS = 30_000; // places change
const KEPT_MS = 6000; // the service keeps a listing for so long

let gyms = [];
let gym = "";
let day = "";
let classes = null; // not listed yet
let mine = new Map(); // the newest prebooking of each class
let listed = 0; // when the listing was asked for
let hooks;
let asking = 0;
let visits = 0;
let today = ""; // when the days were listed
let retry = false; // the gyms could not be listed, and not for want of a session

/** `prebooked(row)`: a new one; `weekly(one, gym)`: wanted every week; `sessionNeeded(problem)`: there is none
 * that lives; `trouble(problem)`: what is to be shown elsewhere. */
export function startFinding(given) {
  hooks = given;
  $("gym").addEventListener("change", () => chooseGym($("gym").value));
  watchRule(() => gym, () => chooseGym(gym));
  setInterval(() => {
    if (!$("home").hidden && !document.hidden) for (const item of $("classes").children) sayOpening(item);
  }, 500);
  setInterval(() => !$("home").hidden && !document.hidden && again(), AGAIN_MS);
}

/** What could not be listed, or may have changed: the gyms, the days once it is another day, the places. */
function again() {
  if (!gym) return retry && showGyms();
  return date(now()) === today ? list() : chooseGym(gym);
}

/** Of who was signed in; what they asked for last comes to nothing. */
export function forgetGyms() {
  visits++;
  asking++;
  [gym, gyms, classes, mine] = ["", [], null, new Map()];
  for (const part of ["gym", "days"]) $(part).replaceChildren();
  complain($("find-problem"), null);
  show();
}

export async function showGyms() {
  complain($("find-problem"), null);
  classes = null;
  const visit = ++visits;
  retry = false;
  let found;
  try {
    found = (await api.boxes()).boxes;
  } catch (problem) {
    if (visit !== visits) return;
    retry = !problem.code?.startsWith("session-");
    failed(problem);
    return;
  }
  if (visit !== visits) return; // who asked has left
  gyms = found;
  if (!gyms.length) return complain($("find-problem"), new Error("AimHarder names no gym of yours."));
  $("gym").replaceChildren(...gyms.map((one) => h("option", { value: one.subdomain }, one.name)));
  const last = localStorage.getItem(LAST_GYM);
  await chooseGym(gyms.some((one) => one.subdomain === last) ? last : gyms[0].subdomain);
}

/** Other classes are wanted every week than before. */
export const showWeekly = () => show();

/** The classes that are wanted already say so. */
export function showWanted(rows) {
  const newest = rows.toSorted((a, b) => a.created_at.localeCompare(b.created_at));
  mine = new Map(newest.map((row) => [`${row.box_subdomain} ${row.booking_data.day} ${row.booking_data.id ?? row.class?.starts}`, row]));
  show();
}

async function chooseGym(subdomain) {
  gym = subdomain;
  today = date(now());
  $("gym").value = gym;
  localStorage.setItem(LAST_GYM, gym);
  const rule = ruleOf(gym);
  sayRule(rule);
  // The day whose classes open next comes first.
  const first = daysBefore(rule);
  let days;
  try {
    days = Array.from({ length: DAYS }, (_, i) => dayAhead(i, rule.zone));
  } catch {
    return complain($("find-problem"), new Error(`${rule.zone} is not a time zone: write its name such as Europe/Madrid.`));
  }
  if (!days.includes(day)) day = days[Math.min(first, DAYS - 1)];
  $("days").replaceChildren(
    ...days.map((one) =>
      h("button", { type: "button", "aria-pressed": String(one === day), "data-day": one, onclick: () => chooseDay(one) },
        h("span", {}, dayName(one, { weekday: "short", timeZone: "UTC" })),
        h("strong", {}, dayName(one, { day: "numeric", timeZone: "UTC" })),
        h("span", { class: "unseen" }, dayName(one, { month: "long", timeZone: "UTC" })),
      ),
    ),
  );
  $("days").querySelector("[aria-pressed=true]")?.scrollIntoView({ block: "nearest", inline: "center" });
  await list();
}

async function chooseDay(one) {
  day = one;
  for (const button of $("days").children) button.setAttribute("aria-pressed", String(button.dataset.day === day));
  await list();
}

async function list() {
  const turn = ++asking;
  const began = now();
  $("classes").setAttribute("aria-busy", "true");
  try {
    const found = await api.classes(gym, { day, ...asked(ruleOf(gym)) });
    if (turn !== asking) return; // another day was chosen meanwhile
    listed = began;
    classes = found.classes.map((one) => ({ ...one, day: found.day, box: found.box_subdomain, number: found.box_aimharder_id }));
    complain($("find-problem"), null);
  } catch (problem) {
    if (turn !== asking) return;
    classes = null;
    failed(problem);
  }
  $("classes").removeAttribute("aria-busy");
  show();
}

function failed(problem) {
  if (problem instanceof SignedOut) return hooks.trouble(problem);
  if (problem.code === "session-missing" || problem.code === "session-expired") hooks.sessionNeeded(problem);
  if (problem.code === "session-missing") return; // nothing is wrong: they have yet to sign in
  complain($("find-problem"), problem);
  $("find-problem").scrollIntoView({ block: "nearest" });
}

function show() {
  const held = document.activeElement?.closest("#classes [data-class]") && document.activeElement;
  const ahead = (classes ?? []).filter((one) => !one.starts_at || Date.parse(one.starts_at) > now());
  $("classes").replaceChildren(...ahead.map(item));
  $("find-empty").hidden = ahead.length > 0 || !$("find-problem").hidden || classes === null;
  $("find-empty").textContent = "No classes to book on this day.";
  if (!held) return;
  const same = $("classes").querySelector(`[data-class="${CSS.escape(held.closest("[data-class]").dataset.class)}"]`);
  (same?.querySelector(`[data-does="${held.dataset.does}"]`) ?? same)?.focus();
}

function item(one) {
  const name = one.name || `Class ${one.id}`;
  const own = ownOf(one);
  const stands = state(one, own);
  const opens = !stands ? one.opens_at : own && active(own) ? own.available_at : null;
  const places = one.capacity === null ? "" : `${one.taken ?? "?"} of ${one.capacity} taken`;
  const element = h(
    "li",
    { class: "class", tabindex: -1, "data-class": one.id, "data-opens": opens },
    h("p", { class: "time" }, h("strong", {}, one.starts ?? "?"), one.ends && h("span", {}, one.ends)),
    h("div", { class: "what" },
      h("h3", {}, name),
      h("p", { class: "place" }, [one.coach, places, one.waiting > 0 && `${one.waiting} waiting`].filter(Boolean).join(" · ")),
      h("p", { class: "opens" }),
    ),
    h("div", { class: "does" },
      stands ?? h("button", { type: "button", class: "main", "data-does": "prebook", onclick: (event) => busy(event.currentTarget, () => prebook(one)) }, Date.parse(one.opens_at) > now() ? "Prebook" : "Book now", h("span", { class: "unseen" }, ` ${name} at ${one.starts}`)),
      weekly(one, name),
    ),
  );
  sayOpening(element);
  return element;
}

/** By its id, else by its hour and name. */
function ownOf(one) {
  const byHour = mine.get(`${one.box} ${one.day} ${one.starts}`);
  return mine.get(`${one.box} ${one.day} ${one.id}`) ?? (byHour && isThatClass(byHour.class, one) ? byHour : undefined);
}

function weekly(one, name) {
  if (!one.starts || one.cancelled || !one.bookable) return null;
  if (isWeekly(one)) return h("p", { class: "opens" }, "every week");
  return h("button", { type: "button", class: "quiet", "data-does": "weekly", onclick: () => hooks.weekly(one, gyms.find(({ subdomain }) => subdomain === one.box)) }, "Every week", h("span", { class: "unseen" }, ` ${name} at ${one.starts}`));
}

/** What the listing says, and what is newer than it: answers are kept for seconds. */
function state(one, own) {
  const word = (text, kind) => h("p", { class: `status ${kind}` }, h("span", { class: "dot", "aria-hidden": "true" }), text);
  if (one.you === "booked") return word("booked", "completed");
  if (one.you === "waiting_list") return word("on the list", "waiting_list");
  if (one.cancelled) return word("cancelled", "cancelled");
  if (!one.bookable) return word("staff only", "cancelled");
  if (own && active(own)) return word("prebooked", "pending");
  if (own?.status === "completed" && Date.parse(own.executed_at) > listed - KEPT_MS) return word(own.result?.outcome === "waiting_list" ? "on the list" : "booked", own.status);
  return null;
}

function sayOpening(element) {
  const { opens } = element.dataset;
  const remaining = Date.parse(opens) - now();
  const soon = remaining > 0 && remaining < 3_600_000;
  const words = !opens ? "" : remaining <= 0 ? "open now" : soon ? `opens in ${left(Math.ceil(remaining / 1000) * 1000)}` : `opens ${when(opens)}`;
  const line = element.querySelector(".opens");
  if (line.textContent !== words) line.textContent = words;
  line.classList.toggle("soon", soon);
}

async function prebook(one) {
  complain($("find-problem"), null);
  const home = gyms.find(({ subdomain }) => subdomain === one.box);
  try {
    const row = await api.create({
      box_subdomain: one.box,
      box_aimharder_id: one.number,
      box_domain: home?.domain ?? null,
      booking_data: {
        day: one.day,
        id: one.id,
        insist: $("insist").checked ? 1 : 0,
        ...(one.starts_at && { classTimeUTC: one.starts_at }),
        activityName: one.name,
        boxName: home?.name ?? one.box,
      },
      available_at: Date.parse(one.opens_at) > now() ? one.opens_at : new Date(now()).toISOString(),
    });
    say(`Prebooked: ${one.name} at ${one.starts}.`);
    hooks.prebooked(row);
  } catch (problem) {
    failed(problem);
  }
}
