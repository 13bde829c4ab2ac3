// One prebooking as a card: what it is, how it stands, what can be done about it.

import { h } from "./dom.js";
import { history } from "./history.js";
import { ruleOf } from "./rule.js";
import { dayName, hour, ms, now, when } from "./time.js";
import { timeline } from "./timeline.js";

const WORDS = {
  pending: "waiting",
  executing: "booking",
  completed: "booked",
  failed: "not booked",
  cancelled: "cancelled",
};

export const active = (row) => row.status === "pending" || row.status === "executing";

const LONG_OPEN_MS = 60_000;
/** Whether the class had long been open when it was asked for: the steps of its booking are not seen beside that opening. */
const longOpen = (row) => Date.parse(row.created_at) > Date.parse(row.available_at) + LONG_OPEN_MS;
/** Asked for when its class was open already: it ran at once, and was late for nothing. */
export const atOnce = (row) => Date.parse(row.created_at) > Date.parse(row.available_at) - 1000;

export function title(row) {
  const { activityName, id } = row.booking_data;
  return activityName || row.class?.name || (id ? `Class ${id}` : "Class");
}

/** Where the class is, and when on the gym's clock. */
export function place(row) {
  const { day, boxName } = row.booking_data;
  const starts = row.booking_data.classTimeUTC;
  const hours = starts ? hour(starts, ruleOf(row.box_subdomain).zone) : row.class?.starts;
  const at = [dayName(day ?? ""), hours].filter(Boolean).join(", ");
  return [at, boxName || row.box_subdomain].filter(Boolean).join(" · ");
}

export function word(row) {
  if (row.result?.given_back_at) return "given back";
  if (row.status === "completed" && row.result?.outcome === "waiting_list") return "on the waiting list";
  return WORDS[row.status] ?? row.status;
}

/** `open`: what stood open on the card before this one: `how`, whether; `what`, its list. */
export function card(row, { act, load, width, open }) {
  const problem = h("p", { class: "notice", role: "alert", hidden: true });
  const does = (name, text, look = "") =>
    h("button", { type: "button", class: look, "data-does": name, onclick: (event) => act(name, row, event.currentTarget, problem) }, text, h("span", { class: "unseen" }, ` ${title(row)}`));
  const buttons = {
    pending: () => [does("move", "Move", "quiet"), does("cancel", "Cancel", "quiet")],
    failed: () => [does("retry", "Try again")],
    completed: () => [does("give-back", "Give the place back", "quiet")],
  };
  const waiting = row.status === "completed" && row.result?.outcome === "waiting_list";
  const line = row.result?.given_back_at ? "cancelled" : waiting ? "waiting_list" : row.status;
  return h(
    "li",
    { class: `card ${line}`, tabindex: -1, "data-id": row.id },
    h(
      "div",
      { class: "card-top" },
      h("div", {}, h("h3", {}, title(row)), h("p", { class: "place" }, place(row))),
      h("p", { class: "status" }, h("span", { class: "dot", "aria-hidden": "true" }), word(row)),
    ),
    h("p", { class: "story" }, story(row)),
    problem,
    drawn(row, width, open.how),
    history(row, title(row), { load: () => load(row, problem), opened: open.what }),
    buttons[row.status] && !row.result?.given_back_at && h("div", { class: "buttons" }, buttons[row.status]()),
  );
}

function story(row) {
  const lateness = row.result?.timings?.fire_lateness_ms;
  const message = row.result?.message ?? row.error_message ?? "";
  if (row.status === "pending") {
    const word = Date.parse(row.available_at) > now() ? `Opens ${when(row.available_at)}.` : "Its turn has come.";
    return row.qstash_schedule_id ? word : `${word} Its message is not scheduled at QStash yet: the service watches the clock itself.`;
  }
  if (row.status === "executing") return `Opens ${when(row.available_at)}. Everything is being made ready.`;
  if (row.result?.given_back_at) return `You gave the place back ${when(row.result.given_back_at)}.`;
  if (row.status === "cancelled") return `It would have opened ${when(row.available_at)}.`;
  if (typeof lateness !== "number" || atOnce(row)) return message;
  return [message, " ", h("span", { class: "nowrap" }, "The request left ", h("strong", {}, ms(lateness)), " after the opening.")];
}

/** The timeline of what ended; drawn when it is looked at. */
function drawn(row, width, open) {
  if (!row.result?.timings || active(row) || longOpen(row)) return null;
  const details = h("details", { class: "how" }, h("summary", { "data-does": "how" }, "How it went", h("span", { class: "unseen" }, ` with ${title(row)}`)));
  const draw = () => details.querySelector("figure") ?? details.append(timeline(row, width()) ?? h("p", { class: "empty" }, "Nothing was sent."));
  details.addEventListener("toggle", () => details.open && draw());
  if (open) {
    details.open = true;
    draw();
  }
  return details;
}
