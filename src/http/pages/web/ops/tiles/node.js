// The node itself: whether it is well, and since when.

import { bytes, count, moment, span, words } from "../../shared/format.js";
import { lately, often } from "../happened.js";
import { figures, pill } from "../parts.js";
import { el } from "../../shared/dom.js";

const LEVELS = { ready: "good", recovering: "warn", draining: "warn", store_unavailable: "bad" };

export default {
  name: "node",
  title: "Node",
  needs: "node",
  build() {
    const state = pill("–");
    const shown = figures([
      ["up", "ready for"], ["connections", "connections"], ["unread", "answers not yet taken", true], ["clock", "clock ahead by", true], ["panics", "panics", true], ["version", "version", true],
    ]);
    return {
      body: [el("p", {}, state.element), shown.element],
      update(data, { at }) {
        state.set(words(data.state), LEVELS[data.state] ?? "");
        const up = at - moment(data.since);
        shown.call("up", data.state === "ready" ? "ready for" : "so for");
        shown.set("up", span(Math.max(0, up)));
        shown.set("connections", count(data.connections));
        shown.set("unread", ...bytes(data.answer_bytes));
        shown.set("clock", String(data.clock_ahead_seconds), "s", Math.abs(data.clock_ahead_seconds) > 1 ? "warn" : "");
        shown.set("panics", count(data.handler_panics), "", lately("handler_panics") > 0 ? "warn" : "");
        shown.set("version", data.version);
      },
    };
  },
  troubles(data) {
    const found = [];
    if (data.state === "store_unavailable") found.push({ level: "bad", first: 3, what: "The store cannot be reached", todo: "Nothing is taken until it answers. Look at the database first.", see: "HaatAnswersUnavailable" });
    if (data.state === "recovering") found.push({ level: "warn", what: "The node is recovering", todo: "It reads the journal and takes no requests yet. Wait.", see: "HaatNotReady" });
    if (data.state === "draining") found.push({ level: "warn", what: "The node is stopping", todo: "It finishes what is under way and takes nothing new.", see: "HaatNotReady" });
    if (data.files_missing) found.push({ level: "bad", first: 4, what: "Files of the store are gone", todo: "Do not restart: while they are open they can be saved.", see: "HaatFilesMissing" });
    if (data.invariant_breaches > 0) found.push({ level: "bad", what: `An invariant was breached, ${count(data.invariant_breaches)} times`, todo: "The log says which and where. Keep the log and the store.", see: "HaatInvariantBroken" });
    if (lately("handler_panics") > 0) found.push({ level: "warn", what: `Requests panicked, ${often("handler_panics")}`, todo: "A bug, contained: the log has the place.", see: "HaatHandlerPanicked" });
    if (Math.abs(data.clock_ahead_seconds) > 1) found.push({ level: "warn", what: "A clock is or was wrong", todo: `Recorded time is ${data.clock_ahead_seconds} s ahead of this machine's clock. Check time synchronisation.`, see: "HaatClockAhead" });
    return found;
  },
};
