// What views that ask for something of their own have in common: it is asked for again and again, and a failure is told in its place.

import { el, say } from "../../shared/dom.js";
import { Refused } from "../../shared/session.js";

/** Asks `load(signal)` at once and then every `every` milliseconds, and tells `show`. Gives `{ element, again, destroy }`; the element tells of failures. */
export function loading({ load, show, every }) {
  const element = el("p", { class: "none", role: "status" }, "Loading …");
  const stop = new AbortController();
  let timer = 0;
  let asked = 0;
  async function once() {
    clearTimeout(timer);
    const mine = (asked += 1);
    let rest = every;
    try {
      const found = await load(stop.signal);
      if (stop.signal.aborted || mine !== asked) return;
      element.hidden = true;
      show(found);
    } catch (error) {
      if (stop.signal.aborted || mine !== asked) return;
      element.hidden = false;
      say(element, error.status === 403 ? `Not for this account: ${error.message}.` : error.message);
      // What is not there, or not for this account, will not be there in a moment either.
      if (error instanceof Refused && [403, 404, 422].includes(error.status)) return;
      if (error.retryAfter) rest = Math.max(every, error.retryAfter * 1000);
    }
    if (every) timer = setTimeout(once, rest);
  }
  once();
  return {
    element,
    again: once,
    destroy() {
      stop.abort();
      clearTimeout(timer);
    },
  };
}
