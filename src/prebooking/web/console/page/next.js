// The next opening in large: the countdown, and the way to the gate.

import { $, s } from "./dom.js";
import { active, atOnce, place, title } from "./card.js";
import { left, ms, now, when } from "./time.js";

const SHOWN_AFTER_MS = 90_000; // how long a result stays in large
const WAY_MS = 60_000; // the way to the gate, to scale in time
const [WAY, GATE, END] = [8, 236, 292];

let row = null;
let known = false; // whether what there is has been listed
let timer = 0;

/** Chooses what to show: a result just in, else the next opening. `listed`: these are all. */
export function showNext(rows, listed) {
  known = listed;
  const ended = rows.filter((one) => one.executed_at && now() - Date.parse(one.executed_at) < SHOWN_AFTER_MS && one.status !== "cancelled");
  const waiting = rows.filter(active).sort((a, b) => a.available_at.localeCompare(b.available_at));
  const soon = waiting[0] && Date.parse(waiting[0].available_at) - now() < 15_000;
  const latest = ended.sort((a, b) => b.executed_at.localeCompare(a.executed_at))[0];
  row = soon ? waiting[0] : (latest ?? waiting[0] ?? null);
  tick();
}

function tick() {
  clearTimeout(timer);
  const next = $("next");
  next.className = `next ${row?.status ?? "idle"}`;
  $("next-title").textContent = heading();
  $("next-what").textContent = row ? `${title(row)} · ${place(row)}` : known ? "Pick a class below. It is booked at the instant it opens." : "";
  const lateness = row?.result?.timings?.fire_lateness_ms;
  if (!row) words("", "");
  else if (active(row)) {
    const remaining = Date.parse(row.available_at) - now();
    words(remaining > 0 ? left(remaining) : "now", `opens ${when(row.available_at)}`);
    draw(remaining);
    timer = setTimeout(tick, remaining > 0 && remaining < 11_000 ? 50 : 250);
    return;
  } else if (typeof lateness === "number" && !atOnce(row)) words(ms(lateness), "after the opening, the request left");
  else words("", "");
  draw(null);
}

function heading() {
  if (!row) return known ? "Nothing is waiting" : "Loading";
  if (row.status === "pending") return "Next opening";
  if (row.status === "executing") return "At the gate";
  return row.result?.message ?? row.error_message ?? "";
}

function words(countdown, below) {
  const title = row && active(row) ? `${countdown.replace(/\.\d$/, "")} · Prebooking` : "Prebooking";
  if (document.title !== title) document.title = title;
  $("countdown").textContent = countdown;
  $("next-when").textContent = below;
}

function draw(remaining) {
  const approach = $("approach");
  if (!row) return approach.replaceChildren();
  const done = remaining === null;
  const x = done ? (row.status === "completed" ? 272 : GATE - 14) : GATE - 12 - Math.min(1, Math.max(0, remaining) / WAY_MS) * (GATE - 12 - WAY);
  let dot = approach.querySelector(".runner");
  if (!dot) {
    const seconds = [60, 50, 40, 30, 20, 10, 0].map((at) => s("path", { class: "tick", d: `M${GATE - 12 - (at / 60) * (GATE - 12 - WAY)} 56 v5` }));
    dot = s("circle", { class: "runner", cy: 50, r: 7 });
    approach.replaceChildren(
      s("svg", { viewBox: "0 0 300 100" }, s("path", { class: "axis", d: `M${WAY} 50 H${END}` }), seconds, s("path", { class: "gate", d: `M${GATE} 22 V78` }),
        s("text", { class: "tick-word", x: WAY, y: 74 }, "60 s"),
        s("text", { class: "tick-word", x: GATE - 12 - (GATE - 12 - WAY) / 2, y: 74, "text-anchor": "middle" }, "30 s"),
        s("text", { class: "tick-word", x: GATE, y: 92, "text-anchor": "middle" }, "opening"),
        dot,
      ),
    );
  }
  dot.setAttribute("cx", x.toFixed(1));
}
