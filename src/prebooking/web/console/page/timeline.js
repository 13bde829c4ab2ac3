// One execution, drawn to scale: above the seconds from the delivery on, below the milliseconds after the opening.

import { h, s } from "./dom.js";
import { clock, ms } from "./time.js";

const STEPS = [
  ["delivered", "delivered_at"],
  ["claimed", "claimed_at"],
  ["ready", "ready_at"],
  ["fired", "fired_at"],
  ["answered", "answered_at"],
];
const EDGE = 14;
const LETTER = 6.6; // of the labels, at 12 px
const GAP = 10;
const CLOSE = 16;

/** Microseconds count: Date.parse keeps milliseconds alone. */
function epochMs(iso) {
  const [, whole, fraction = ""] = /^(.*?)(?:\.(\d+))?(?:Z|[+-]\d\d:\d\d)$/.exec(iso) ?? [];
  const zone = iso.endsWith("Z") ? "Z" : iso.slice(-6);
  return Date.parse(whole + zone) + Number(`0.${fraction || 0}`) * 1000;
}

/** The steps of a finished row that left traces, in ms after its opening. */
export function steps(row) {
  const timings = row.result?.timings ?? {};
  const opening = epochMs(row.available_at);
  const found = STEPS.filter(([, field]) => timings[field]).map(([name, field]) => [name, epochMs(timings[field]) - opening]);
  const firstShot = timings.fire_lateness_ms;
  return found.map(([name, at]) => ({ name, at: name === "fired" && typeof firstShot === "number" ? firstShot : at }));
}

export function timeline(row, width) {
  const marks = steps(row);
  if (!marks.some((mark) => mark.name === "fired") && marks.length < 2) return null;
  const said = marks.map(({ name, at }) => `${name} ${signed(at)}`).join(", ");
  const figure = h("figure", { class: "timeline" });
  figure.append(picture(marks, Math.max(280, width), `After the opening: ${said}.`), table(row, marks));
  return figure;
}

const round = (value) => Number(value.toPrecision(6));
const minus = (value) => (value < 0 ? `−${-value}` : value);
const signed = (at) => (at < 0 ? `−${ms(-at)}` : `+${ms(at)}`);

function picture(marks, width, said) {
  const seconds = [...marks.filter(({ name }) => name !== "fired" && name !== "answered"), { name: "opening", at: 0 }];
  const late = marks.filter(({ at }) => at >= 0);
  const last = Math.max(1, ...late.map(({ at }) => at));
  const first = Math.min(0, ...marks.map(({ at }) => at));
  const whole = scale(first, Math.max(last, -first * 0.04), width);
  const close = scale(0, last, width);
  const lens = s("path", {
    class: "lens",
    d: `M${whole(0)} 52 H${Math.max(whole(last), whole(0) + 1.5)} L${close(last)} 104 H${close(0)} Z`,
  });
  const svg = s(
    "svg",
    { viewBox: `0 0 ${width} 156`, width, height: 156, role: "img", "aria-label": said },
    lens,
    axis(52, width, ticks(first, Math.max(last, 0)), whole, (at) => (at === 0 ? "" : `${minus(round(at / 1000))} s`)),
    axis(104, width, ticks(0, last), close, (at) => (at === 0 ? "" : `${round(at)} ms`)),
    s("path", { class: "gate", d: `M${whole(0)} 34 V60` }),
    s("path", { class: "gate", d: `M${close(0)} 94 V114` }),
  );
  labels(svg, seconds, whole, 22, 52, width, -1);
  labels(svg, late.filter(({ name }) => name === "fired" || name === "answered"), close, 142, 104, width, 1);
  return svg;
}

const scale = (from, to, width) => (at) => Math.round((EDGE + ((at - from) / (to - from || 1)) * (width - 2 * EDGE)) * 100) / 100;

function ticks(from, to) {
  const size = 10 ** Math.floor(Math.log10(Math.max(to - from, 1e-3) / 6));
  const step = [1, 2, 5, 10].map((one) => one * size).find((one) => (to - from) / one <= 6);
  const found = [];
  for (let n = Math.ceil(from / step); n * step <= to; n += 1) found.push(n * step || 0);
  return found;
}

function axis(y, width, at, place, word) {
  const marks = at.map((one) => s("path", { class: "tick", d: `M${place(one)} ${y - 3} v6` }));
  const words = at.map((one) => s("text", { class: "tick-word", x: clamp(place(one), width), y: y + 17, "text-anchor": "middle" }, word(one)));
  return s("g", {}, s("path", { class: "axis", d: `M${EDGE} ${y} H${width - EDGE}` }), marks, words);
}

const clamp = (x, width) => Math.min(Math.max(x, EDGE + 12), width - EDGE - 12);

/** Each mark with its word. Marks too close to tell apart share one; words that would overlap move aside. */
function labels(svg, marks, place, y, axisY, width, side) {
  const groups = [];
  for (const mark of marks.map((one) => ({ ...one, x: place(one.at) })).sort((a, b) => a.x - b.x)) {
    svg.append(s("circle", { class: `mark ${mark.name}`, cx: mark.x, cy: axisY, r: mark.name === "fired" ? 5 : 4 }));
    const last = groups.at(-1);
    if (last && mark.name !== "opening" && mark.x - last.x < CLOSE) last.names.push(mark.name);
    else groups.push({ x: mark.x, names: [mark.name] });
  }
  for (const group of groups) group.half = (group.names.join(" · ").length * LETTER) / 2;
  let edge = 0;
  for (const group of groups) {
    group.at = Math.max(group.x, edge + group.half);
    edge = group.at + group.half + GAP;
  }
  edge = width;
  for (const group of groups.toReversed()) {
    group.at = Math.min(group.at, edge - group.half);
    edge = group.at - group.half - GAP;
  }
  for (const group of groups) {
    const near = Math.min(Math.max(group.x, group.at - group.half + 4), group.at + group.half - 4);
    svg.append(
      s("path", { class: "lead", d: `M${group.x} ${axisY + side * 6} L${near} ${side > 0 ? y - 13 : y + 5}` }),
      s("text", { class: `word ${group.names.at(-1)}`, x: group.at, y, "text-anchor": "middle" }, group.names.join(" · ")),
    );
  }
}

function table(row, marks) {
  const timings = row.result.timings;
  const shots = (timings.shots ?? []).reduce((n, shot) => n + 1 + (shot.left_out ?? 0), 0);
  const rows = marks.map(({ name, at }) => h("div", { class: name }, h("dt", {}, name), h("dd", {}, signed(at))));
  const more = [
    ["opening", clock(row.available_at)],
    typeof timings.response_ms === "number" && ["the gym took", ms(timings.response_ms)],
    shots > 1 && ["requests", String(shots)],
    Math.abs(timings.clock_offset_ms ?? 0) >= 100 && ["our clock off by", ms(timings.clock_offset_ms)],
  ];
  for (const one of more.filter(Boolean)) rows.push(h("div", {}, h("dt", {}, one[0]), h("dd", {}, one[1])));
  return h("dl", { class: "steps" }, rows);
}
