// What is made of the journal behind the shop's back.

import { count, moment, span, words } from "../../shared/format.js";
import { lately } from "../happened.js";
import { pill, table } from "../parts.js";

const LATE_MS = 60_000;
const late = (one, at) => at - moment(one.as_of);

export default {
  name: "followers",
  title: "Followers",
  needs: "followers",
  build() {
    let now = 0;
    const rows = table({
      caption: "What follows the journal, and how far behind it is",
      keyOf: ({ name }) => name,
      none: "Nothing follows the journal.",
      columns: [
        { head: "follower", cell: ({ name }) => words(name) },
        { head: "state", text: true, make: () => { const shown = pill(""); return { element: shown.element, update: ({ state }) => shown.set(words(state), state === "follows" ? "good" : "warn") }; } },
        { head: "frames", cell: ({ lag_frames }) => count(lag_frames) },
        { head: "late by", cell: (one) => (one.lag_frames > 0 ? span(Math.max(0, late(one, now))) : "0") },
        { head: "failures", rare: true, cell: ({ failures }) => count(failures), level: ({ name }) => (lately("follower_failures", name) > 0 ? "warn" : "") },
      ],
    });
    return {
      body: [rows.element],
      update(data, { at }) {
        now = at;
        rows.set(data.items ?? []);
      },
    };
  },
  troubles(data, { at }) {
    const found = [];
    for (const one of data.items ?? []) {
      if (one.skipped > 0) found.push({ level: "bad", what: `“${words(one.name)}” left out ${count(one.skipped)} records that it cannot read`, todo: "The log says which. What it makes is not whole.", see: "HaatFollowerSkipped" });
      if (one.lag_frames > 0 && late(one, at) > LATE_MS) found.push({ level: "warn", what: `“${words(one.name)}” is ${span(late(one, at))} behind`, todo: "What it makes is old, and the archive waits for it. In a rush it comes last; afterwards it must catch up.", see: "HaatFollowerBehind" });
    }
    return found;
  },
};
