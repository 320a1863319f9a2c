// The store: whether it takes what it is given, and how much of its connections is in use.

import { el, keep } from "../../shared/dom.js";
import { count, rate, span, words } from "../../shared/format.js";
import { OVER, lately, often } from "../happened.js";
import { figures, meter, pill, table } from "../parts.js";
import { steady } from "../steady.js";

/** The outcomes of services' writes that somebody is to look at, each with its alarm. */
const WRITES = { failed: "HaatServiceWritesFail", unknown: "HaatServiceWritesFail", busy: "HaatServiceWritesBusy" };

export default {
  name: "database",
  title: "Database",
  needs: "database",
  build() {
    const state = pill("–");
    const kind = el("span", { class: "soft" });
    const shown = figures([["units", "writes of services"], ["p95", "p95", true]]);
    const pools = el("div", { class: "stack" });
    const outcomes = table({
      caption: "Writes of services by outcome",
      keyOf: ({ outcome }) => outcome,
      none: "Services have written nothing.",
      columns: [{ head: "outcome", cell: ({ outcome }) => words(outcome) }, { head: "per s", cell: ({ per_second }) => rate(per_second) }, { head: "in all", cell: ({ total }) => count(total) }],
    });
    const pool = ({ name }) => {
      const made = meter(`connections: ${words(name)}`);
      return { element: made.element, update: ({ open, in_use, most }) => made.set(in_use, most, `${count(in_use)} of ${count(most)} in use, ${count(open)} open`, in_use >= most ? "warn" : "") };
    };
    return {
      body: [el("p", {}, state.element, " ", kind), pools, shown.element, outcomes.element],
      update(data) {
        state.set(data.available ? "available" : "cannot be reached", data.available ? "good" : "bad");
        kind.textContent = { sqlite: "SQLite", postgres: "PostgreSQL" }[data.kind] ?? data.kind;
        keep(pools, (data.pools ?? []).slice(0, 8), ({ name }) => name, pool);
        shown.set("units", rate(data.units?.latency?.per_second), "/ s");
        shown.set("p95", span(data.units?.latency?.p95));
        outcomes.set((data.units?.outcomes ?? []).filter(({ total }) => total > 0));
      },
    };
  },
  troubles(data) {
    const found = [];
    if (!data.available) found.push({ level: "bad", first: 3, what: "The database cannot be reached", todo: "Nothing new is taken until it answers. Nothing that was answered is lost.", see: "HaatAnswersUnavailable" });
    for (const { outcome } of data.units?.outcomes ?? []) {
      // Another outcome is none of the store's: a caller who changed its mind, a server that stops.
      const see = WRITES[outcome];
      if (!see) continue;
      const todo = "Sign-ins, carts’ owners and the like fail. Look at the database.";
      if (steady(`unit ${outcome}`) > 0) found.push({ level: "warn", what: `Writes of services end with “${words(outcome)}”`, todo, see });
      else if (lately("service_writes_failed", outcome) > 0) found.push({ level: "warn", first: OVER, what: `Writes of services ended with “${words(outcome)}”, ${often("service_writes_failed", outcome)}`, todo, see });
    }
    return found;
  },
};
