// The service's API: JSON in, JSON out, and each error a Problem that says what to do.

import { token } from "./auth.js";
import { LONGEST_MS, url } from "./service.js";

export class Problem extends Error {
  constructor(status, { detail, code, errors } = {}) {
    super(detail ?? `The service answered ${status}: try again.`);
    this.status = status;
    this.code = code;
    this.errors = errors ?? [];
  }
}

const AGAIN_AFTER_MS = [500, 2000];
const AGAIN = new Set([undefined, "database-unavailable", "stopping"]); // undefined: no answer came, or not the service's

async function ask(method, path, headers, body) {
  try {
    const signal = AbortSignal.timeout(LONGEST_MS);
    const answer = await fetch(url(path), { method, headers, body: body && JSON.stringify(body), signal });
    const said = answer.status === 204 ? null : await answer.json();
    return { status: answer.status, ok: answer.ok, said };
  } catch {
    return { status: 0, ok: false, said: { detail: "The service does not answer: check the connection, and try again." } };
  }
}

/** Sent again where that may help: with its key, what was done already is not done twice. `again`: after which pauses. */
async function call(method, path, body, { again = AGAIN_AFTER_MS } = {}) {
  const headers = {};
  if (method === "POST") headers["Idempotency-Key"] = crypto.getRandomValues(new Uint32Array(4)).join("-");
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const pauses = [...again];
  for (let renew = false; ; ) {
    headers.Authorization = `Bearer ${await token({ renew })}`;
    const { status, ok, said } = await ask(method, path, headers, body);
    if (ok) return said;
    if (status === 401 && !renew) {
      renew = true;
    } else if (AGAIN.has(said.code) && pauses.length) {
      await new Promise((resolve) => setTimeout(resolve, pauses.shift()));
    } else {
      throw new Problem(status, said);
    }
  }
}

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => (value ?? "") !== ""));

export const api = {
  create: (wish) => call("POST", "/prebookings", wish),
  list: (cursor) => call("GET", `/prebookings?${query({ limit: 50, cursor })}`),
  history: (id) => call("GET", `/prebookings/${id}/history`),
  cancel: (id) => call("DELETE", `/prebookings/${id}`),
  giveBack: (id, late) => call("DELETE", `/prebookings/${id}/booking${late ? "?late=true" : ""}`),
  move: (id, available_at) => call("PATCH", `/prebookings/${id}`, { available_at }),
  retry: (id) => call("POST", `/prebookings/${id}/retry`),
  series: () => call("GET", "/series"),
  createSeries: (wanted) => call("POST", "/series", wanted),
  changeSeries: (id, changed) => call("PATCH", `/series/${id}`, changed),
  endSeries: (id, keep) => call("DELETE", `/series/${id}${keep ? "?keep=true" : ""}`),
  boxes: () => call("GET", "/boxes"),
  classes: (box, asked) => call("GET", `/boxes/${encodeURIComponent(box)}/classes?${query(asked)}`),
  session: () => call("GET", "/session"),
  connect: (session) => call("PUT", "/session", session),
  signInToGym: (account) => call("POST", "/session", account, { again: [] }), // each try counts
  forgetSession: () => call("DELETE", "/session"),
  makeCalendar: () => call("POST", "/calendar"),
  endCalendar: () => call("DELETE", "/calendar"),
};
