// The actors of each kind.

import { el } from "../../shared/dom.js";
import { count, rate } from "../../shared/format.js";
import { lately, often } from "../happened.js";
import { ms, sum, table } from "../parts.js";
import { steady } from "../steady.js";

export default {
  name: "actors",
  title: "Actors",
  needs: "actors",
  wide: true,
  build() {
    const kinds = table({
      caption: "Actors of each kind: how many are in memory, how often and how fast they are asked, and what went wrong",
      keyOf: ({ kind }) => kind,
      most: 20,
      none: "There are none.",
      columns: [
        { head: "kind", make: ({ kind }) => ({ element: el("span", {}, kind) }) },
        { head: "quarantined", cell: ({ quarantined }) => count(quarantined), level: ({ quarantined }) => (quarantined > 0 ? "bad" : "") },
        { head: "restarts", cell: ({ restarts }) => count(restarts), level: ({ kind }) => (lately("actor_restarts", kind) > 0 ? "warn" : "") },
        { head: "live", cell: ({ live }) => count(live) },
        { head: "per s", cell: ({ latency }) => rate(latency?.per_second) },
        { head: "p50", rare: true, cell: ({ latency }) => ms(latency?.p50) },
        { head: "p95", cell: ({ latency }) => ms(latency?.p95) },
        { head: "p99", rare: true, cell: ({ latency }) => ms(latency?.p99) },
        { head: "recovered", rare: true, cell: ({ recoveries }) => count(recoveries) },
      ],
    });
    return {
      body: [kinds.element, el("p", { class: "small" }, el("a", { href: "#/actors" }, "Look at one"))],
      note: (data) => `${count(sum(data.items, ({ live }) => live))} live`,
      update: (data) => kinds.set(data.items ?? []),
    };
  },
  troubles(data) {
    const found = [];
    for (const { kind, quarantined } of data.items ?? []) {
      if (quarantined > 0) found.push({ level: "bad", what: `${count(quarantined)} ${kind} ${quarantined === 1 ? "actor is" : "actors are"} quarantined`, todo: "What is damaged is not asked any more. The log has the id and the reason; other actors go on.", see: "HaatEntityQuarantined" });
      if (steady(`panicked ${kind}`) > 0) found.push({ level: "bad", what: `Commands of ${kind} actors panic`, todo: "A bug, contained: the log has the place.", see: "HaatActorRestarted" });
      else if (lately("actor_restarts", kind) > 0) found.push({ level: "warn", what: `${kind} actors were started again, ${often("actor_restarts", kind)}`, todo: "A bug, contained: the log has the place.", see: "HaatActorRestarted" });
    }
    return found;
  },
};
