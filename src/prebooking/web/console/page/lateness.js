// How late the day's requests left: a stem each, to scale, in the order of their openings.

import { atOnce, title } from "./card.js";
import { h, s } from "./dom.js";
import { clock, date, ms, now } from "./time.js";

const WIDTH = 200;
const HEIGHT = 44;
const FLOOR = 38;

export function lateness(rows) {
  const today = rows
    .filter((row) => typeof row.result?.timings?.fire_lateness_ms === "number" && !atOnce(row) && date(row.available_at) === date(now()))
    .sort((a, b) => a.available_at.localeCompare(b.available_at))
    .slice(-40);
  if (!today.length) return [];
  const values = today.map((row) => row.result.timings.fire_lateness_ms);
  const sorted = values.toSorted((a, b) => a - b);
  const median = sorted[Math.floor((sorted.length - 1) / 2)];
  const top = nice(sorted.at(-1));
  const said = `Today ${values.length === 1 ? "one request" : `${values.length} requests`} left ${ms(median)} after the opening${
    values.length > 1 ? ` in the median, ${ms(sorted.at(-1))} at most` : ""
  }.`;
  const step = Math.min(24, (WIDTH - 12) / today.length);
  const stems = today.map((row, i) => {
    const x = 6 + step * (i + 0.5);
    const y = FLOOR - (values[i] / top) * (FLOOR - 8);
    return s(
      "g",
      { class: row.status },
      s("title", {}, `${title(row)}, ${clock(row.available_at)}: ${ms(values[i])}`),
      s("path", { class: "stem", d: `M${x} ${FLOOR} V${y}` }),
      s("circle", { cx: x, cy: y, r: 3 }),
    );
  });
  return [
    s(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: "img", "aria-label": said },
      s("path", { class: "grid", d: `M0 8 H${WIDTH}` }),
      s("path", { class: "axis", d: `M0 ${FLOOR} H${WIDTH}` }),
      s("text", { class: "tick-word", x: WIDTH, y: 6, "text-anchor": "end" }, `${top} ms`),
      stems,
    ),
    h("figcaption", {}, h("strong", {}, ms(median)), ` late today${values.length > 1 ? `, median of ${values.length}` : ""}`),
  ];
}

const nice = (value) => [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000].find((one) => value <= one) ?? Math.ceil(value);
