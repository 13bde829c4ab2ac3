// A class of every week: a button beside "prebook" asks for the weekdays, and that is all there is to say.

import { api } from "./api.js";
import { $, complain, h, say } from "./dom.js";
import { asked, ruleOf } from "./rule.js";
import { dayName } from "./time.js";

const MONDAY = "20240101"; // a day that was a Monday: weekdays are named by counting on from it
const DAYS = [1, 2, 3, 4, 5, 6, 7];

/** 1 is Monday, as the API has it. */
export function weekdayOf(day) {
  return new Date(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6, 8)}T00:00:00Z`).getUTCDay() || 7;
}

const plain = (name) => (name ?? "").normalize("NFKD").replace(/[\u0300-\u036f]/g, "").replace(/\s+/g, " ").trim().toLowerCase();

/** `wanted`: a class by its hour and name; `one`: of the listing. */
export const isThatClass = (wanted, one) => wanted.starts === one.starts && (!wanted.name || plain(wanted.name) === plain(one.name));

/** In the language of whoever looks. */
export function weekdayName(number, weekday = "long") {
  return dayName(String(Number(MONDAY) + number - 1), { weekday, timeZone: "UTC" });
}

/** `one`: a class of the listing; `home`: its gym. `made(series)`: what came of it. */
export function askWeekly(one, home, { submit, made }) {
  const name = one.name || "Any class";
  $("weekly-what").textContent = `${name} at ${one.starts}${home?.name ? ` · ${home.name}` : ""}`;
  const chosen = weekdayOf(one.day);
  $("weekly-days").replaceChildren(
    ...DAYS.map((number) =>
      h("label", { class: "weekday" },
        h("input", { type: "checkbox", name: "weekday", value: number, checked: number === chosen }),
        h("span", { "aria-hidden": "true" }, weekdayName(number, "short")),
        h("span", { class: "unseen" }, weekdayName(number)),
      ),
    ),
  );
  complain($("weekly-problem"), null);
  $("weekly-form").onsubmit = (event) => {
    event.preventDefault();
    submit($("weekly"), $("weekly-problem"), async () => {
      const weekdays = [...new FormData(event.target).getAll("weekday")].map(Number);
      if (!weekdays.length) throw new Error("Choose a weekday at least.");
      const series = await api.createSeries({
        box_subdomain: one.box,
        box_aimharder_id: one.number,
        ...(home?.domain && { box_domain: home.domain }),
        weekdays,
        class: { starts: one.starts, ...(one.name && { name: one.name }) },
        insist: $("insist").checked ? 1 : 0,
        opens: asked(ruleOf(one.box)),
      });
      say(`${name} at ${one.starts} is prebooked every week.`);
      made(series);
    });
  };
  $("weekly").showModal();
  $("weekly-days").querySelector(":checked").focus();
}
