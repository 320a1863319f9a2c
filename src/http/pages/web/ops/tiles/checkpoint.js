// How far the checkpoint is behind the journal: so much would be read again at a start.

import { bytes, count, rate, share, span } from "../../shared/format.js";
import { figures, meter } from "../parts.js";

/** So old are lists only when something is wrong: they follow within seconds, however much there is to do. */
const LATE_MS = 60_000;
const level = (part, of) => (share(part, of) > 80 ? "bad" : share(part, of) > 50 ? "warn" : "");

export default {
  name: "checkpoint",
  title: "Checkpoint",
  needs: "checkpoint",
  build() {
    const records = meter("records behind");
    const size = meter("bytes behind");
    const shown = figures([["took", "the last took", true], ["dirty", "entities to write", true], ["rate", "written", true], ["lists", "lists are of", true]]);
    return {
      body: [records.element, size.element, shown.element],
      update(data) {
        records.set(data.lag_records, data.lag_limit, `${count(data.lag_records)} of ${count(data.lag_limit)}`, level(data.lag_records, data.lag_limit));
        const text = (value) => bytes(value).join(" ");
        size.set(data.lag_bytes, data.lag_bytes_limit, `${text(data.lag_bytes)} of ${text(data.lag_bytes_limit)}`, level(data.lag_bytes, data.lag_bytes_limit));
        shown.set("took", span(data.took?.p50));
        shown.set("dirty", count(data.dirty_entities));
        shown.set("lists", `${span(data.read_tables_behind_ms)} ago`, "", data.read_tables_behind_ms > LATE_MS ? "warn" : "");
        shown.set("rate", rate(data.entities_per_second), "/ s");
      },
    };
  },
  troubles(data) {
    const found = [];
    if (data.refused > 0) found.push({ level: "bad", what: `The checkpoint left out ${count(data.refused)} ${data.refused === 1 ? "entity" : "entities"}`, todo: "Something in them is wrong; the log says which. They stay in the journal.", see: "HaatCheckpointRefused" });
    if (data.read_tables_behind_ms > LATE_MS) found.push({ level: "warn", what: `Lists show how it was ${span(data.read_tables_behind_ms)} ago`, todo: "No checkpoint has come to its end since then. Buyers notice nothing, but lists are old. The log says what the store says.", see: "HaatCheckpointStalled" });
    const full = Math.max(share(data.lag_records, data.lag_limit), share(data.lag_bytes, data.lag_bytes_limit));
    if (full > 50) found.push({ level: full > 80 ? "bad" : "warn", what: `The checkpoint is ${Math.round(full)} % of its limit behind`, todo: "At 100 % new work is refused. The store writes too slowly.", see: full > 80 ? "HaatCheckpointNearLimit" : "HaatCheckpointBehind" });
    return found;
  },
};
