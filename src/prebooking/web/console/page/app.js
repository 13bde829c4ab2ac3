// The page: who is signed in, what they have, and what changes of it.

import { api } from "./api.js";
import { loadConfig, onOtherTab, session, signIn, signOut, SignedOut } from "./auth.js";
import { hideCalendar, startCalendar } from "./calendar.js";
import { active, card, title, word } from "./card.js";
import { $, busy, complain, h, keepingFocus, say } from "./dom.js";
import { forgetGyms, showGyms, showWanted, showWeekly, startFinding } from "./find.js";
import { askGiveBack } from "./give_back.js";
import { hideGymAccount, sessionNeeded, showGymAccount, startGymAccount } from "./gym_account.js";
import { lateness } from "./lateness.js";
import { showNext } from "./next.js";
import { hideSeries, seriesMayHaveChanged, showSeries, startSeries, tellSeries } from "./series.js";
import { followTogether } from "./tabs.js";
import { heardTime, localInput } from "./time.js";
import { askWeekly } from "./weekly.js";

const rows = new Map();
let cursor = null; // of the older ones
let listed = false; // what they have is known
let relisting = 0;
const AGAIN_MS = 3000;
let leaving; // aborts what belongs to who is signed in
let newest = null; // whose timeline stands open

const ordered = () =>
  [...rows.values()].sort((a, b) => active(b) - active(a) || (active(a) ? a.available_at.localeCompare(b.available_at) : b.created_at.localeCompare(a.created_at)));
const width = () => Math.min(760, $("mine").clientWidth - 40);

function keep(row) {
  if (row.user_email !== session()?.email.toLowerCase()) return false; // an answer to who was here before
  const known = rows.get(row.id);
  if (known && known.updated_at > row.updated_at) return false; // an answer that was overtaken by the news
  rows.set(row.id, row);
  if (known && known.status !== row.status && row.status !== "executing") say(`${title(row)}: ${word(row)}. ${row.result?.message ?? ""}`);
  if (known && active(known) && row.result?.timings) newest = row.id;
  return true;
}

function show(changed) {
  const wanted = ordered();
  keepingFocus($("mine"), () => showCards($("mine"), wanted, changed));
  $("mine-empty").hidden = wanted.length > 0 || !listed;
  $("more").hidden = cursor === null;
  const plot = lateness(wanted);
  $("lateness").replaceChildren(...plot);
  $("lateness").hidden = !plot.length;
  showNext(wanted, listed);
  showWanted(wanted);
}

function showCards(list, wanted, changed) {
  for (const element of [...list.children]) if (!rows.has(element.dataset.id)) element.remove();
  for (const row of wanted) {
    const old = list.querySelector(`[data-id="${row.id}"]`);
    if (old && changed && !changed.has(row.id)) continue;
    const how = old?.querySelector(".how")?.open || row.id === newest;
    const fresh = card(row, { act, load, width, open: { how, what: old?.querySelector(".what[open]") } });
    if (old) old.replaceWith(fresh);
    else list.append(fresh);
  }
  wanted.forEach((row, i) => {
    const element = list.querySelector(`[data-id="${row.id}"]`);
    if (list.children[i] !== element) list.insertBefore(element, list.children[i]);
  });
}

function told(row) {
  if (!keep(row)) return;
  show(new Set([row.id]));
  seriesMayHaveChanged();
}

async function list({ older = false } = {}) {
  const { signal } = leaving;
  clearTimeout(relisting);
  try {
    const page = await api.list(older ? cursor : undefined);
    if (signal.aborted) return;
    listed = true;
    page.prebookings.forEach(keep);
    if (older || cursor === null) cursor = page.next_cursor;
    newest ??= ordered().find((row) => row.result?.timings)?.id ?? null;
    show();
    complain($("alert"), null);
  } catch (problem) {
    if (signal.aborted) return;
    if (!older && !(problem instanceof SignedOut)) relisting = setTimeout(() => signal.aborted || list(), AGAIN_MS);
    trouble(problem);
  }
}

const acts = {
  cancel: (row) => api.cancel(row.id),
  retry: (row) => api.retry(row.id),
};

async function act(name, row, button, problemLine) {
  complain(problemLine, null);
  if (name === "move") return askMove(row);
  if (name === "give-back") return askGiveBack(row, { submit, told });
  await busy(button, async () => {
    try {
      told(await acts[name](row));
    } catch (problem) {
      if (problem instanceof SignedOut) return trouble(problem);
      complain(problemLine, problem);
    }
  });
}

async function load(row, problemLine) {
  try {
    complain(problemLine, null);
    return (await api.history(row.id)).events;
  } catch (problem) {
    if (problem instanceof SignedOut) trouble(problem);
    else complain(problemLine, problem);
    return null;
  }
}

function askMove(row) {
  const form = $("move-form");
  $("move-what").textContent = title(row);
  form.elements.at.value = localInput(row.available_at);
  complain($("move-problem"), null);
  form.onsubmit = (event) => {
    event.preventDefault();
    submit($("move"), $("move-problem"), async () => told(await api.move(row.id, new Date(form.elements.at.value).toISOString())));
  };
  $("move").showModal();
}

async function submit(dialog, problemLine, work) {
  await busy(dialog.querySelector("[type=submit]"), async () => {
    try {
      complain(problemLine, null);
      if ((await work()) !== false) dialog.close();
    } catch (problem) {
      if (problem instanceof SignedOut) return trouble(problem);
      complain(problemLine, problem);
    }
  });
}

function trouble(problem) {
  if (problem instanceof SignedOut) return leave(problem);
  complain($("alert"), problem);
}

function live(word, state) {
  $("live").className = `live ${state}`;
  $("live-word").textContent = word;
}

async function enter() {
  leaving?.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  rows.clear();
  cursor = newest = null;
  listed = false;
  show();
  hideGymAccount();
  hideCalendar();
  hideSeries();
  $("sign-in").hidden = true;
  $("home").hidden = $("account").hidden = false;
  $("who").textContent = session().email;
  complain($("alert"), null);
  live("Connecting", "");
  followTogether({
    signal,
    user: session().email,
    prebooking: told,
    time: heardTime,
    signedOut: leave,
    opened: (missed) => {
      live("Live", "on");
      if (!missed) return;
      rows.clear(); // what is told from here on is newer than the list
      cursor = null;
      list();
    },
    lost: () => live("Reconnecting", "off"),
  });
  showGyms();
  showSeries();
  await showGymAccount();
}

function leave(problem) {
  const wasIn = !$("home").hidden;
  leaving?.abort();
  forgetGyms();
  hideGymAccount();
  hideCalendar();
  hideSeries();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  $("home").hidden = $("account").hidden = true;
  $("sign-in").hidden = false;
  complain($("alert"), problem instanceof Error ? problem : null);
  if (wasIn) $("main").focus();
}

async function attempt(button, email, password) {
  await busy(button, async () => {
    try {
      await signIn(email, password);
      await enter();
      $("main").focus();
    } catch (problem) {
      complain($("alert"), problem);
    }
  });
}

async function start() {
  const { members, remembers } = await loadConfig();
  $("members").hidden = !members.length;
  $("member-list").append(
    ...members.map(({ email, password }) =>
      h("li", {}, h("button", { type: "button", onclick: (event) => attempt(event.currentTarget, email, password) }, email)),
    ),
  );
  $("sign-in-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const { email, password } = event.target.elements;
    attempt(event.submitter, email.value, password.value).then(() => (password.value = ""));
  });
  $("sign-out").addEventListener("click", () => signOut().then(leave));
  $("more").addEventListener("click", (event) => busy(event.currentTarget, () => list({ older: true })));
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
  startCalendar({ trouble });
  startSeries({ trouble, submit, changed: showWeekly, row: (id) => rows.get(id) });
  startGymAccount({ remembers, trouble, signedIn: showGyms });
  onOtherTab(() => (session() ? enter() : leave()));
  startFinding({ prebooked: told, sessionNeeded, trouble, weekly: (one, home) => askWeekly(one, home, { submit, made: tellSeries }) });
  // A drawing is to scale, so another width is another drawing.
  let known = 0;
  new ResizeObserver(() => {
    if (Math.abs(width() - known) > 24) show();
    known = width();
  }).observe($("mine"));
  if (session()) await enter();
  else leave();
}

start().catch((problem) => complain($("alert"), problem));
