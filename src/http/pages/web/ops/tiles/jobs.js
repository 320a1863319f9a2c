// What is done outside the shop, such as mails, and what was given up.

import { el } from "../../shared/dom.js";
import { count, rate, words } from "../../shared/format.js";
import { lately, often } from "../happened.js";
import { figures, known, pill, sum, table } from "../parts.js";

const ANSWERS = { yes: ["answers", "good"], probed: ["is being tried", "warn"], no: ["gives no answers", "bad"] };

export default {
  name: "jobs",
  title: "Jobs",
  needs: "jobs",
  build() {
    const shown = figures([["open", "open"], ["gave_up", "gave up"], ["tries", "tries", true]]);
    const link = el("p", { hidden: true }, el("a", { href: "#/jobs" }, "See why, and have them tried anew"));
    const open = table({
      caption: "Open jobs by kind and state",
      keyOf: ({ kind, state }) => `${kind} ${state}`,
      none: "Nothing is to be done.",
      columns: [{ head: "kind", cell: ({ kind }) => words(kind) }, { head: "state", text: true, cell: ({ state }) => words(state) }, { head: "jobs", cell: ({ count: n }) => count(n) }],
    });
    const targets = table({
      caption: "Whom jobs ask",
      keyOf: ({ target }) => target,
      none: "Jobs ask nobody.",
      columns: [
        { head: "asked", cell: ({ target }) => words(target) },
        { head: "answers", text: true, make: () => { const made = pill(""); return { element: made.element, update: ({ answers }) => made.set(...(ANSWERS[answers] ?? [answers, ""])) }; } },
      ],
    });
    return {
      body: [shown.element, link, open.element, targets.element],
      update(data) {
        const due = (data.open ?? []).filter(({ count }) => count > 0);
        shown.set("open", count(sum(due.filter(({ state }) => state !== "gave_up"), ({ count }) => count)));
        shown.set("gave_up", count(data.gave_up), "", data.gave_up > 0 ? "bad" : "");
        shown.set("tries", rate(known(data.tries, ({ per_second }) => per_second)), "/ s");
        link.hidden = !(data.gave_up > 0);
        open.set(due);
        targets.set(data.targets ?? []);
      },
    };
  },
  troubles(data) {
    const found = [];
    if (data.gave_up > 0) found.push({ level: "bad", what: `${count(data.gave_up)} ${data.gave_up === 1 ? "job" : "jobs"} gave up`, todo: "Each says why. Mend that, then have it tried anew.", href: "#/jobs", act: "See them", see: "HaatJobsGaveUp" });
    for (const { target, answers } of data.targets ?? []) if (answers !== "yes") found.push({ level: "warn", what: `“${words(target)}” ${ANSWERS[answers]?.[0] ?? answers}`, todo: "Jobs wait and are tried again by themselves. Is that server up?", see: "HaatJobTargetSilent" });
    if (lately("job_store_failures") > 0) found.push({ level: "warn", what: `Jobs could not be read from the store, ${often("job_store_failures")}`, todo: "Look at the database.", see: "HaatJobStoreFails" });
    return found;
  },
};
