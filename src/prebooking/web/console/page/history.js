// What happened to one prebooking, told when it is asked for.

import { h, say } from "./dom.js";
import { exactly, ms, when } from "./time.js";

const words = (reason) => (reason ?? "").replaceAll("_", " ");
const because = (reason) => (reason ? ` (${words(reason)})` : "");

const TOLD = {
  created: () => "You asked for it.",
  adopted: () => "It came from the web application.",
  message_ordered: () => "A message for its opening was scheduled at QStash.",
  delivery_failed: ({ reason }) => `The message could not be delivered${because(reason)}.`,
  claimed: ({ attempt }) => `Attempt ${attempt ?? 1} began: everything was made ready.`,
  begun: () => "All was ready: from here on the request could leave.",
  released: ({ reason }) => `Not booked${because(reason)}: to be tried again.`,
  parked: ({ reason }) => `What became of the request was not known${because(reason)}: the gym is asked later.`,
  settled: ({ reason }) => `The gym was asked what became of the request: ${reason === "present" ? "booked" : "not booked"}.`,
  finished: ({ reason }) => `Ended: ${words(reason) || "by the web application"}.`,
  cancelled: () => "Cancelled.",
  rescheduled: ({ reason }) => `Moved: it opens ${when(reason)}.`,
  retried: () => "You had it tried again.",
  given_back: () => "The place was given back.",
};

function told(event) {
  const { took_ms, replica } = event;
  const beside = [typeof took_ms === "number" && `${ms(took_ms)} after the attempt began`, replica && `replica ${replica}`].filter(Boolean);
  return h(
    "li",
    {},
    h("time", { datetime: event.at }, exactly(event.at)),
    h("span", {}, TOLD[event.event]?.(event) ?? words(event.event), beside.length > 0 && h("small", {}, ` ${beside.join(", ")}`)),
  );
}

/** `load` asks for the events; `opened`: what stands open on the card before this one, perhaps still without its list. */
export function history(row, title, { load, opened }) {
  const summary = h("summary", { "data-does": "what" }, "What happened", h("span", { class: "unseen" }, ` with ${title}`));
  const details = h("details", { class: "what", open: Boolean(opened) }, summary, opened?.querySelector(".events"));
  const tell = async () => {
    details.setAttribute("aria-busy", "true");
    const events = await load(row);
    details.removeAttribute("aria-busy");
    if (!events) return null;
    details.querySelector("ol")?.remove();
    details.append(h("ol", { class: "events" }, events.map(told)));
    return events;
  };
  if (opened) tell();
  let fresh = Boolean(opened); // what opens by itself says `toggle`, too
  details.addEventListener("toggle", async () => {
    const asked = !fresh && details.open;
    fresh = false;
    const events = asked && (await tell());
    if (events) say(`${title}: ${events.length === 1 ? "one thing" : `${events.length} things`} happened.`);
  });
  return details;
}
