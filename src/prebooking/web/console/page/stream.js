// GET /prebookings/events, read by fetch: a token belongs in a header, and EventSource has none.

import { Problem } from "./api.js";
import { SignedOut, token } from "./auth.js";
import { url } from "./service.js";

const LONGEST_PAUSE_MS = 10_000;
const SILENCE_MS = 40_000; // heartbeats come every 15 s

/**
 * Follows the user's prebookings until `signal` aborts, over any number of connections.
 * `place.lastId`: the last event's id, kept up to date; the next connection goes on from there (null: from now).
 * `opened(missed)`: connected; `missed`: what happened meanwhile is not known, or too much to be told, so list anew.
 * `lost()`: not connected.
 */
export async function follow({ signal, place, prebooking, opened, lost, time, signedOut }) {
  let pause = 0;
  let renew = false;
  while (!signal.aborted) {
    const connection = new AbortController();
    const stop = () => connection.abort();
    signal.addEventListener("abort", stop);
    let silence = setTimeout(stop, SILENCE_MS);
    try {
      const headers = { Authorization: `Bearer ${await token({ renew })}`, ...(place.lastId && { "Last-Event-ID": place.lastId }) };
      const answer = await fetch(url("/prebookings/events"), { headers, signal: connection.signal });
      renew = answer.status === 401;
      if (answer.status === 422) place.lastId = null;
      if (!answer.ok) throw new Problem(answer.status);
      opened(place.lastId === null);
      pause = 0;
      for await (const event of events(answer.body)) {
        clearTimeout(silence);
        silence = setTimeout(stop, SILENCE_MS);
        place.lastId = event.id ?? place.lastId;
        if (event.comment) time(event.comment);
        if (event.name === "prebooking") prebooking(JSON.parse(event.data));
        if (event.name === "reset") opened(true);
        if (event.name === "end") renew = JSON.parse(event.data).reason === "token-expired";
      }
    } catch (problem) {
      if (problem instanceof SignedOut) return signedOut(problem);
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", stop);
      connection.abort();
    }
    if (signal.aborted) return;
    lost();
    await rest(pause, signal);
    pause = Math.min(LONGEST_PAUSE_MS, pause ? pause * 2 : 500);
  }
}

/** So many milliseconds, or until `signal` aborts. */
function rest(ms, signal) {
  return new Promise((done) => {
    setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    yield* blocks.map(read);
  }
}

function read(block) {
  const event = { data: "" };
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const value = line.slice(colon + 1).replace(/^ /, "");
    if (colon === 0) event.comment = value;
    else if (line.startsWith("id:")) event.id = value;
    else if (line.startsWith("event:")) event.name = value;
    else if (line.startsWith("data:")) event.data += value;
  }
  return event;
}
