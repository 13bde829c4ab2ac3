// The member's account at AimHarder: signing in there, pasting a session, whose it is, forgetting it.

import { api } from "./api.js";
import { SignedOut } from "./auth.js";
import { $, busy, complain, h, say } from "./dom.js";

let hooks;
let seen = 0;

/** `signedIn()`: there is a session that lives. `trouble(problem)`: what no field is to blame for. `remembers`: the
 * service can keep a password sealed. */
export function startGymAccount(given) {
  hooks = given;
  $("remember").hidden = !given.remembers;
  $("gym-form").addEventListener("submit", (event) => submit(event, signIn));
  $("paste-form").addEventListener("submit", (event) => submit(event, paste));
  $("gym-sign-in").addEventListener("close", clear); // it may hold a password or a session
  $("gym-forget").addEventListener("click", (event) => busy(event.currentTarget, forget));
}

/** Whose account it is, and that none is there. */
export async function showGymAccount() {
  const look = ++seen;
  const known = await api.session().catch(() => null);
  if (look !== seen) return;
  show(known);
  if (known && known.alive === false) sessionNeeded();
}

export function hideGymAccount() {
  seen++;
  show(null);
  $("session-hint")?.remove();
}

/** Nothing would be booked, so it is said in plain sight. */
export function sessionNeeded() {
  if ($("session-hint")) return;
  $("home").prepend(
    h("div", { id: "session-hint", class: "notice hint", role: "status" },
      h("p", {}, h("strong", {}, "You are not signed in to AimHarder."), " Nothing can be booked until you are."),
      h("button", { type: "button", class: "main", onclick: ask }, "Sign in to AimHarder")),
  );
}

function ask() {
  clear();
  $("gym-sign-in").showModal();
}

function clear() {
  for (const form of [$("gym-form"), $("paste-form")]) form.reset();
  for (const line of [$("gym-problem"), $("paste-problem")]) complain(line, null);
  blame(null);
}

/** Marks the field that the service blames, for eyes and screen readers, and goes there. */
function blame(problem) {
  const { email, password, remember } = $("gym-form").elements;
  const to = problem?.code === "wrong-credentials" ? password : { email, password, remember }[problem?.errors?.[0]?.field];
  for (const field of [email, password, remember]) field.toggleAttribute("aria-invalid", field === to);
  if (!to) return;
  to.setAttribute("aria-invalid", "true");
  to.focus();
}

async function submit(event, work) {
  event.preventDefault();
  const form = event.target;
  const line = form.querySelector("[role=alert]");
  await busy(form.querySelector("[type=submit]"), async () => {
    complain(line, null);
    blame(null);
    try {
      await work(form.elements);
    } catch (problem) {
      if (problem instanceof SignedOut) return hooks.trouble(problem);
      complain(line, problem);
      if (form === $("gym-form")) blame(problem);
      return;
    }
    $("gym-sign-in").close();
    $("session-hint")?.remove();
    say("You are signed in to AimHarder.");
    await hooks.signedIn();
    await showGymAccount();
  });
}

const signIn = ({ email, password, remember }) =>
  api.signInToGym({ email: email.value, password: password.value, remember: remember.checked });

async function paste({ session }) {
  let given;
  try {
    given = JSON.parse(session.value);
  } catch {
    throw new Error("This is not JSON: paste cookies, token and fingerprint as shown in the empty field.");
  }
  await api.connect(given);
}

async function forget() {
  try {
    await api.forgetSession();
    show(null);
    sessionNeeded();
  } catch (problem) {
    hooks.trouble(problem);
  }
}

function show(known) {
  $("gym-account").hidden = !known?.connected;
  if (!known?.connected) return;
  const who = known.account_email ? ` as ${known.account_email}` : "";
  const after = known.remembered ? "When the session ends, you are signed in again." : "When the session ends, you sign in again.";
  $("gym-account-said").textContent = `Signed in to AimHarder${who}. ${after}`;
}
