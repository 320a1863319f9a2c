// Jobs, those that gave up first: why they did, and a way to have them tried anew.

import { bdi, code, el, keep, say } from "../../shared/dom.js";
import { askWhy } from "../../shared/ask.js";
import { count, when, words } from "../../shared/format.js";
import { get, may } from "../../shared/session.js";
import { ROWS } from "../parts.js";
import { loading } from "./loading.js";

const STATES = ["gave_up", "due", "sending", "unknown", "looking_up", "suppressed", "done", ""];
const LEVEL = { gave_up: "bad", unknown: "warn", done: "good" };

function item(job, again) {
  const state = el("span", { class: "pill" });
  const facts = el("dl", { class: "facts" });
  const retry = el("button", { type: "button", class: "little" }, "Try anew");
  const retries = el("ul", { class: "small soft" });
  let now = job;
  retry.addEventListener("click", () => askWhy({
    title: `Try anew: ${words(now.kind)}`,
    says: "It is tried again at once, as if for the first time.",
    reason: "reason",
    act: "Try anew",
    send: ({ reason }) => ({ path: `v1/admin/jobs/${encodeURIComponent(now.id)}/retry`, body: { reason } }),
    done: again,
  }));
  return {
    element: el("li", { class: "card item" }, el("header", {}, el("h2", {}, words(job.kind)), state), facts, retries, el("div", { class: "does" }, retry)),
    update(job) {
      now = job;
      say(state, words(job.state));
      state.className = `pill ${LEVEL[job.state] ?? ""}`;
      const rows = [["about", code(job.about)], ["tries", count(job.tries)], ["of", when(job.at)]];
      if (job.next_at) rows.push(["next", when(job.next_at)]);
      if (job.note) rows.push(["came of it", bdi(job.note)]);
      rows.push(["id", code(job.id)]);
      facts.replaceChildren(...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
      retries.replaceChildren(...(job.retries ?? []).slice(0, 3).map(({ at, by, reason }) => el("li", {}, `tried anew ${when(at)} by `, bdi(by), ": ", bdi(reason))));
      retry.hidden = !may("ops.act") || !["gave_up", "suppressed"].includes(job.state);
    },
  };
}

export default {
  build() {
    const list = el("ul", { class: "items" });
    const none = el("p", { class: "card none", hidden: true });
    const state = el("select", { id: "job-state" }, STATES.map((name) => el("option", { value: name }, name ? words(name) : "all")));
    const next = el("button", { type: "button", class: "little", hidden: true }, "Further ones");
    let cursor = "";
    const load = loading({
      every: 5_000,
      load: (signal) => get(`v1/admin/jobs?limit=${ROWS}&state=${state.value}&cursor=${cursor}`, signal),
      show({ items, next_cursor }) {
        keep(list, items, ({ id }) => id, (job) => item(job, () => load.again()));
        none.hidden = items.length > 0;
        say(none, state.value === "gave_up" ? "No job gave up." : "There are none.");
        next.hidden = !next_cursor && !cursor;
        next.dataset.cursor = next_cursor ?? "";
        say(next, next_cursor ? "Further ones" : "Back to the first");
      },
    });
    state.addEventListener("change", () => { cursor = ""; load.again(); });
    next.addEventListener("click", () => { cursor = next.dataset.cursor; load.again(); });
    return {
      title: "jobs",
      element: el("div", { class: "stack" },
        el("div", { class: "view-head" }, el("div", {}, el("h1", {}, "Jobs"), el("p", { class: "soft" }, "What is done outside the shop: mails, for now.")), el("div", {}, el("label", { for: "job-state" }, "State"), state)),
        may("ops.act") ? null : el("p", { class: "none" }, "Having one tried anew takes the permission ", code("ops.act"), "."),
        load.element, none, list, el("p", {}, next)),
      destroy: load.destroy,
    };
  },
};
