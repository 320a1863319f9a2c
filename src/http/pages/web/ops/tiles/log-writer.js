// The writer of the journal: every answer waits for one of its commits.

import { bytes, count, rate, share, span } from "../../shared/format.js";
import { lately, often } from "../happened.js";
import { figures, history, meter } from "../parts.js";

const SLOW_MS = 250;
const level = (part, of) => (share(part, of) > 80 ? "bad" : share(part, of) > 50 ? "warn" : "");

export default {
  name: "log_writer",
  title: "Log writer",
  needs: "log_writer",
  build() {
    const shown = figures([["commit", "commit, p95"], ["records", "records"], ["batch", "records a commit", true], ["commits", "commits", true], ["bytes", "written", true], ["refused", "commits refused", true]]);
    const drawn = history({
      about: "Time that a commit takes, over the last minutes, in milliseconds",
      unit: "a commit",
      show: span,
      series: [
        { label: "p50", key: 2, name: "log.p50", of: ({ log_writer }) => log_writer?.commit?.p50 },
        { label: "p95", key: 0, name: "log.p95", of: ({ log_writer }) => log_writer?.commit?.p95 },
      ],
    });
    const backlog = meter("backlog");
    return {
      body: [shown.element, drawn.element, backlog.element],
      update(data) {
        shown.set("commit", span(data.commit?.p95), "", data.commit?.p95 > SLOW_MS ? "warn" : "");
        shown.set("records", rate(data.records_per_second), "/ s");
        shown.set("batch", rate(data.records_per_commit?.p50));
        shown.set("commits", rate(data.commits_per_second), "/ s");
        const [size, unit] = bytes(data.bytes_per_second);
        shown.set("bytes", size, unit && `${unit} / s`);
        shown.set("refused", count(data.commit_failures), "", lately("commit_failures") > 0 ? "bad" : "");
        backlog.set(data.backlog_records, data.backlog_limit, `${count(data.backlog_records)} of ${count(data.backlog_limit)} records`, level(data.backlog_records, data.backlog_limit));
        drawn.update();
      },
    };
  },
  troubles(data) {
    const found = [];
    const full = share(data.backlog_records, data.backlog_limit);
    if (lately("commit_failures") > 0) found.push({ level: "bad", first: 2, what: `The store refused commits, ${often("commit_failures")}`, todo: "Is the disk full, or the database gone? The log has its words.", see: "HaatCommitsFail" });
    if (full > 50) found.push({ level: full > 80 ? "bad" : "warn", what: `The journal’s backlog is ${Math.round(full)} % full`, todo: "At 100 % new work is refused. Commits are too slow for what comes in.", see: "HaatBacklogHigh" });
    if (data.commit?.p95 > SLOW_MS) found.push({ level: "warn", what: `Commits are slow: 95 % take up to ${span(data.commit.p95)}`, todo: "Every answer waits for one. Look at the disk, or at the database’s own load.", see: "HaatCommitsSlow" });
    return found;
  },
};
