// A stream of events by fetch, since EventSource cannot say who asks. It comes back by itself, and says how it stands.

import { open, renew, end, Refused, Silent } from "./session.js";

/** How long nothing may come before the line counts as cut, in milliseconds. */
const QUIET_MS = 6_000;
/** How long is waited before the first, the second … try anew, in milliseconds. */
const WAITS_MS = [1_000, 2_000, 2_000, 3_000, 5_000, 5_000];

/** The events of a body: each `{ event, data }`. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = "message";
  let data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) yield { event, data: data.join("\n") };
        [event, data] = ["message", []];
        continue;
      }
      const colon = line.indexOf(":");
      const name = colon < 0 ? line : line.slice(0, colon);
      const says = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "event") event = says;
      if (name === "data") data.push(says);
    }
  }
}

/**
 * Follows a stream until it is closed. `onEvent(event, data)`; `onState("lost" | "refused", error)`. What `onEvent` throws is a fault of the page and
 * not of the line: it is told on the console, and the stream goes on.
 * Gives a function that closes it.
 */
export function follow(path, onEvent, onState) {
  let closed = false;
  let line = null;
  let wake = () => {};
  const rest = (ms) => new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    wake = () => { clearTimeout(timer); resolve(); };
  });
  const now = () => wake();
  addEventListener("online", now);

  /** Until the body ends: why it did, as the server says. */
  async function once() {
    line = new AbortController();
    let quiet = 0;
    const heard = () => {
      clearTimeout(quiet);
      quiet = setTimeout(() => line.abort(new DOMException("nothing came", "TimeoutError")), QUIET_MS);
    };
    heard();
    try {
      const response = await open("GET", path, { signal: line.signal, headers: { accept: "text/event-stream" } });
      for await (const { event, data } of events(response.body)) {
        if (closed) return "closed";
        heard();
        if (event === "end") return JSON.parse(data).reason;
        const said = JSON.parse(data);
        try {
          onEvent(event, said);
        } catch (error) {
          console.error(error);
        }
      }
      return "broken";
    } finally {
      clearTimeout(quiet);
      line.abort();
    }
  }

  async function run() {
    for (let failed = 0; !closed; ) {
      let why;
      let wait = WAITS_MS[Math.min(failed, WAITS_MS.length - 1)];
      const begun = performance.now();
      try {
        why = await once();
      } catch (error) {
        if (closed) return;
        if (error instanceof Refused && error.status === 403) return onState("refused", error);
        if (error instanceof Refused && error.status === 401) return;
        if (error instanceof Refused) wait = Math.max(wait, error.retryAfter * 1000);
        why = error instanceof Refused ? error.message : "silent";
      }
      if (closed) return;
      if (why === "session_over") return end("The session is over: sign in again.");
      if (why === "token_expired") {
        const renewed = await renew().catch((error) => (error instanceof Silent ? null : false));
        if (closed) return;
        if (renewed === false) return end("The token has expired: sign in again.");
        if (renewed) continue;
      }
      if (performance.now() - begun > QUIET_MS * 2) failed = 0;
      failed += 1;
      onState("lost", why);
      await rest(wait);
    }
  }
  run();

  return () => {
    closed = true;
    removeEventListener("online", now);
    line?.abort();
    wake();
  };
}
