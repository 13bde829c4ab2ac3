// One event stream for all tabs of a browser. Over HTTP/1.1 a browser opens six connections to a host, and a stream
// keeps one: with six tabs open no button would work any more. Of the visible tabs the one that holds a lock reads the
// stream, and passes on to the others what it hears; a hidden tab neither reads nor listens.

import { follow } from "./stream.js";

/** As follow() of stream.js, while this tab is visible. `user`: whose stream it is. */
export async function followTogether({ user, signal, ...listener }) {
  const name = `prebooking.stream.${user}`;
  const place = { lastId: null };
  const shared = navigator.locks && new BroadcastChannel(name); // plain http has no locks, but on this machine
  while (!signal.aborted) {
    const hidden = await visible(signal);
    if (!shared) await follow({ signal: hidden, place, ...listener });
    else await share({ hidden, name, channel: shared, place, listener });
    if (!signal.aborted) listener.lost();
  }
  shared?.close();
}

/** Reads the stream or hears from the tab that does, until `hidden` aborts. */
async function share({ hidden, name, channel, place, listener }) {
  let reads = false;
  let live = false; // the reader's stream
  let upToDate = false; // whatever changed since the last list has been told
  const hear = {
    ...listener,
    opened(missed) {
      live = true;
      listener.opened(missed || !(reads || upToDate));
      upToDate = true;
    },
    lost() {
      live = false;
      listener.lost();
    },
  };
  channel.onmessage = ({ data: { event, detail, lastId } }) => {
    if (event === "join") {
      if (reads && live) channel.postMessage({ event: "opened", detail: false, lastId: place.lastId });
    } else if (!reads && (upToDate || event === "opened")) {
      hear[event](detail);
      place.lastId = lastId;
    }
  };
  channel.postMessage({ event: "join" });
  const passOn = (event) => (detail) => {
    hear[event](detail);
    channel.postMessage({ event, detail, lastId: place.lastId });
  };
  const read = () => {
    reads = true;
    const both = Object.fromEntries(["prebooking", "opened", "lost", "time"].map((event) => [event, passOn(event)]));
    return follow({ signal: hidden, place, ...listener, ...both });
  };
  await navigator.locks.request(name, { signal: hidden }, read).catch((problem) => {
    if (problem.name !== "AbortError") throw problem;
  });
  channel.onmessage = null;
}

/** Waits until this tab is visible. Returns a signal that aborts once it no longer is, or when `signal` does. */
async function visible(signal) {
  const shown = () => document.visibilityState === "visible";
  while (!shown() && !signal.aborted) {
    await new Promise((done) => {
      document.addEventListener("visibilitychange", done, { once: true });
      signal.addEventListener("abort", done, { once: true });
    });
  }
  const hidden = new AbortController();
  const look = () => (shown() && !signal.aborted) || hidden.abort();
  document.addEventListener("visibilitychange", look, { signal: hidden.signal });
  signal.addEventListener("abort", look, { signal: hidden.signal });
  look();
  return hidden.signal;
}
