// The service's API: JSON in, JSON out, and each error a Problem that says what to do.

import { token } from "./auth.js";

export class Problem extends Error {
  constructor(status, { detail, code, errors } = {}) {
    super(detail ?? `The service answered ${status}: try again.`);
    this.status = status;
    this.code = code;
    this.errors = errors ?? [];
  }
}

async function send(method, path, body, renew) {
  const headers = { Authorization: `Bearer ${await token({ renew })}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Problem(0, { detail: "The service does not answer: check the connection, and try again." });
  }
}

async function call(method, path, body) {
  let answer = await send(method, path, body, false);
  if (answer.status === 401) answer = await send(method, path, body, true);
  const said = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, said ?? {});
  return said;
}

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value ?? "" !== ""));

export const api = {
  create: (wish) => call("POST", "/prebookings", wish),
  list: (cursor) => call("GET", `/prebookings?${query({ limit: 50, cursor })}`),
  cancel: (id) => call("DELETE", `/prebookings/${id}`),
  move: (id, available_at) => call("PATCH", `/prebookings/${id}`, { available_at }),
  retry: (id) => call("POST", `/prebookings/${id}/retry`),
  boxes: () => call("GET", "/boxes"),
  classes: (box, asked) => call("GET", `/boxes/${encodeURIComponent(box)}/classes?${query(asked)}`),
  session: () => call("GET", "/session"),
  connect: (session) => call("PUT", "/session", session),
};
