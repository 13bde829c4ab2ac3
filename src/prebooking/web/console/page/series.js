// What is wanted every week: each series with its coming days, to skip, to pause, to end.

import { api } from "./api.js";
import { SignedOut } from "./auth.js";
import { active, word } from "./card.js";
import { $, busy, complain, h, keepingFocus, say } from "./dom.js";
import { dayName, when } from "./time.js";
import { isThatClass, weekdayName, weekdayOf } from "./weekly.js";

const AGAIN_MS = 5000; // after a failure
const SOON_MS = 400; // of several news one question comes
let member = 0; // rises with each one who comes or goes: answers to an earlier one are not shown
let all = [];
let hooks;
let asking = 0;
let failed = false;

/** `trouble(problem)`: what is to be shown elsewhere, or null; `changed()`: other series than before; `row(id)`: a prebooking that is
 * known; `submit`: see app.js. */
export function startSeries(given) {
  hooks = given;
}

export function hideSeries() {
  member++;
  clearTimeout(asking);
  all = [];
  show();
}

/** After news of a prebooking: it may be of a series. */
export function seriesMayHaveChanged() {
  clearTimeout(asking);
  asking = setTimeout(showSeries, SOON_MS);
}

export async function showSeries() {
  const visit = member;
  try {
    const { series } = await api.series();
    if (visit !== member) return;
    all = series;
    show();
    if (failed) hooks.trouble(null);
    failed = false;
  } catch (problem) {
    if (visit !== member) return;
    failed = true;
    hooks.trouble(problem);
    if (!(problem instanceof SignedOut)) asking = setTimeout(showSeries, AGAIN_MS);
  }
}

/** A new one, or one as it is now. */
export function tellSeries(series) {
  all = [...all.filter((one) => one.id !== series.id), series].toSorted((a, b) => a.created_at.localeCompare(b.created_at));
  show();
}

/** Whether this class of the listing is wanted every week already. */
export function isWeekly(one) {
  return all.some((series) => series.box_subdomain === one.box && series.weekdays.includes(weekdayOf(one.day)) && isThatClass(series.class, one));
}

const named = (series) => series.class.name || "Any class";

function show() {
  $("series").hidden = !all.length;
  keepingFocus($("series-list"), () => $("series-list").replaceChildren(...all.map(item)));
  hooks.changed();
}

function item(series) {
  const problem = h("p", { class: "notice", role: "alert", hidden: true });
  const unseen = h("span", { class: "unseen" }, ` ${named(series)} at ${series.class.starts}`);
  const does = (name, text, work, look = "quiet") =>
    h("button", { type: "button", class: look, "data-does": name, onclick: (event) => attempt(event.currentTarget, problem, work) }, text, unseen.cloneNode(true));
  return h(
    "li",
    { class: "weekly", tabindex: -1, "data-id": series.id },
    h("div", { class: "card-top" },
      h("div", {}, h("h3", {}, `${named(series)}, ${series.class.starts}`), h("p", { class: "place" }, `${series.weekdays.map((number) => weekdayName(number, "short")).join(", ")} · ${series.box_subdomain}`)),
      series.paused && h("p", { class: "status" }, h("span", { class: "dot", "aria-hidden": "true" }), "paused"),
    ),
    problem,
    h("ul", { class: "coming", "aria-label": `Coming days of ${named(series)} at ${series.class.starts}` }, series.next.map((one) => day(series, one, problem))),
    !series.next.length && h("p", { class: "empty" }, "No days in the next four weeks."),
    h("div", { class: "buttons" },
      does("pause", series.paused ? "Go on with" : "Pause", () => change(series, { paused: !series.paused })),
      does("end", "End", () => askEnd(series)),
    ),
  );
}

function day(series, one, problem) {
  const name = dayName(one.day);
  const row = hooks.row(one.prebooking_id);
  const ended = row && !active(row); // what is booked is given back on its card
  const skip = one.skipped ? series.skip.filter((day) => day !== one.day) : [...series.skip, one.day];
  return h(
    "li",
    { class: one.skipped ? "skipped" : "" },
    h("span", {}, h("strong", {}, name), " ", h("span", { class: "opens" }, words(series, one))),
    (one.skipped || !ended) && h("button", { type: "button", class: "quiet", "data-does": `skip ${one.day}`, onclick: (event) => attempt(event.currentTarget, problem, () => change(series, { skip })) },
      one.skipped ? "Take" : "Skip", h("span", { class: "unseen" }, ` ${name} of ${named(series)} at ${series.class.starts}`)),
  );
}

function words(series, one) {
  if (one.skipped) return "skipped";
  if (series.paused) return "paused";
  if (one.reason === "too-many") return "waits for room: you have too many prebookings";
  if (one.reason) return `not prebooked: ${one.reason.replaceAll("-", " ")}`;
  const row = hooks.row(one.prebooking_id);
  if (row && !active(row)) return word(row);
  return `${one.prebooking_id ? "prebooked, " : ""}opens ${when(one.opens_at)}`;
}

async function change(series, wanted) {
  const now = await api.changeSeries(series.id, wanted);
  tellSeries(now);
  say(`${named(now)} at ${now.class.starts}: ${now.paused ? "paused" : `${now.skip.length} ${now.skip.length === 1 ? "day" : "days"} skipped`}.`);
}

function askEnd(series) {
  $("end-series-what").textContent = `${named(series)} at ${series.class.starts}`;
  $("end-series-form").reset();
  complain($("end-series-problem"), null);
  $("end-series-form").onsubmit = (event) => {
    event.preventDefault();
    hooks.submit($("end-series"), $("end-series-problem"), async () => {
      await api.endSeries(series.id, event.target.elements.keep.checked);
      all = all.filter((one) => one.id !== series.id);
      show();
      say("The series has ended.");
    });
  };
  $("end-series").showModal();
}

async function attempt(button, problemLine, work) {
  complain(problemLine, null);
  await busy(button, async () => {
    try {
      await work();
    } catch (problem) {
      if (problem instanceof SignedOut) hooks.trouble(problem);
      else complain(problemLine, problem);
    }
  });
}
