// Supabase Auth by its HTTP API: sign in, stay signed in, sign out. All tabs share one session.

import { LONGEST_MS, url } from "./service.js";

const KEPT = "prebooking.session";
const REFRESH_BEFORE_S = 60;
const TOO_MANY = 429; // of everybody behind one address, such as a gym's Wi-Fi: the session lives
let config;

export class SignedOut extends Error {
  constructor(message = "You are signed out: sign in again.") {
    super(message);
  }
}

export async function loadConfig() {
  try {
    config = await (await fetch(url("/console/config.json"))).json();
  } catch {
    throw new Error("The service does not answer: check the connection, and load the page again.");
  }
  return config;
}

export function session() {
  try {
    return JSON.parse(localStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

export const signIn = async (email, password) => keep(await ask("password", { email, password }));

export async function signOut() {
  const token = session()?.access_token;
  localStorage.removeItem(KEPT);
  if (!token) return;
  const headers = { apikey: config.publishable_key, Authorization: `Bearer ${token}` };
  await fetch(`${config.supabase_url}/auth/v1/logout?scope=local`, { method: "POST", headers }).catch(() => {});
}

/** Another tab signed in or out. */
export function onOtherTab(changed) {
  addEventListener("storage", (event) => {
    if (event.key === KEPT && Boolean(event.oldValue) !== Boolean(event.newValue)) changed();
  });
}

/** A token that is good for a while yet. A refresh token is good once: of several tabs one uses it. */
export async function token({ renew = false } = {}) {
  const before = session();
  if (!before) throw new SignedOut();
  if (!renew && before.expires_at - Date.now() / 1000 > REFRESH_BEFORE_S) return before.access_token;
  return alone(async () => {
    const current = session();
    if (!current) throw new SignedOut();
    if (current.access_token !== before.access_token) return current.access_token;
    return keep(await ask("refresh_token", { refresh_token: current.refresh_token })).access_token;
  });
}

const alone = (work) => (navigator.locks ? navigator.locks.request("prebooking.refresh", work) : work());

function keep({ access_token, refresh_token, expires_in, user }) {
  const expires_at = Date.now() / 1000 + expires_in; // by this device's clock, which may be wrong
  const kept = { access_token, refresh_token, expires_at, email: user.email };
  localStorage.setItem(KEPT, JSON.stringify(kept));
  return kept;
}

async function ask(grant, body) {
  let answer, said;
  try {
    answer = await fetch(`${config.supabase_url}/auth/v1/token?grant_type=${grant}`, {
      method: "POST",
      headers: { apikey: config.publishable_key, "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(LONGEST_MS),
    });
    said = await answer.json();
  } catch {
    throw new Error("Supabase does not answer: check the connection, and try again.");
  }
  if (answer.ok) return said;
  if (grant === "refresh_token" && answer.status < 500 && answer.status !== TOO_MANY) {
    localStorage.removeItem(KEPT);
    throw new SignedOut();
  }
  const wrong = (said.error_code ?? said.code) === "invalid_credentials";
  throw new Error(wrong ? "No account has this e-mail and password." : `Supabase refused: ${said.msg ?? said.message ?? answer.status}`);
}
