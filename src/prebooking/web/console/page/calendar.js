// The member's calendar: a secret address for calendar programs, which the service tells once.

import { api } from "./api.js";
import { SignedOut } from "./auth.js";
import { $, busy, complain, say } from "./dom.js";

let member = 0; // rises with each one who comes or goes: answers to an earlier one are not shown

/** `trouble(problem)`: what is to be shown elsewhere. */
export function startCalendar({ trouble }) {
  const acts = { "calendar-new": renew, "calendar-copy": copy, "calendar-remove": remove };
  for (const [id, act] of Object.entries(acts)) {
    $(id).addEventListener("click", ({ currentTarget }) => busy(currentTarget, () => attempt(act, trouble)));
  }
}

export function hideCalendar() {
  member++;
  show("");
  complain($("calendar-problem"), null);
  $("calendar").open = false;
}

async function attempt(act, trouble) {
  const asking = member;
  complain($("calendar-problem"), null);
  try {
    await act(() => asking === member);
  } catch (problem) {
    if (problem instanceof SignedOut) trouble(problem);
    else if (asking === member) complain($("calendar-problem"), problem);
  }
}

async function renew(stillHere) {
  const { url } = await api.makeCalendar();
  if (!stillHere()) return;
  show(url);
  select();
  say("This is the address of your calendar. An earlier one has ended.");
}

async function copy() {
  try {
    await navigator.clipboard.writeText($("calendar-url").value);
  } catch {
    select();
    throw new Error("The browser does not let this page copy: copy the selected address yourself.");
  }
  $("calendar-copy").textContent = "Copied";
  say("The address was copied.");
}

async function remove(stillHere) {
  await api.endCalendar();
  if (!stillHere()) return;
  show("");
  $("calendar-new").focus();
  say("The calendar has no address any more.");
}

function select() {
  $("calendar-url").focus();
  $("calendar-url").select();
}

function show(url) {
  $("calendar-url").value = url;
  $("calendar-address").hidden = $("calendar-copy").hidden = !url;
  $("calendar-copy").textContent = "Copy";
}
