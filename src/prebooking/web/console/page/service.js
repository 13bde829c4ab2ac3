// Where the service is: this file's own folder is /console there, also behind a proxy that adds a path before it.

export const url = (path) => new URL(`..${path}`, import.meta.url).href;

export const LONGEST_MS = 12_000; // of a request: the service answers within 8.5 s
