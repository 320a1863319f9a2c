// One actor: how it stands, what it waits for, and how it came to be so, version by version.

import { bdi, code, el, keep, say } from "../../shared/dom.js";
import { count, span, when, words } from "../../shared/format.js";
import { get } from "../../shared/session.js";
import { figures, pill, table } from "../parts.js";
import { loading } from "./loading.js";

/** So many versions are asked for at a time. */
const PAGE = 50;
/** So many differences are drawn. */
const MOST_CHANGES = 100;

const json = (value) => (value === undefined ? "–" : JSON.stringify(value));

export default {
  build([kind = "", id = ""]) {
    const path = `v1/admin/actors/${encodeURIComponent(kind)}/${encodeURIComponent(id)}`;
    const state = pill("–");
    const shown = figures([["version", "version"], ["mailbox", "messages waiting"], ["requests", "requests waiting"], ["restarts", "restarts", true], ["kept", "answers kept", true], ["checkpointed", "in the checkpoint", true]]);
    const wakes = el("p", { class: "soft small" });
    const text = el("pre", { class: "state code", tabindex: "0", "aria-label": "Its state" });
    const effects = table({
      caption: "Effects outstanding",
      keyOf: ({ step, target }) => `${step} ${target}`,
      most: 20,
      none: "It waits for nobody.",
      columns: [
        { head: "step", cell: ({ step }) => words(step) },
        { head: "of", text: true, wide: true, make: ({ target }) => ({ element: code(target) }) },
        { head: "tries", cell: ({ attempts }) => count(attempts) },
        { head: "again in", cell: ({ again_in_ms }) => span(again_in_ms) },
      ],
    });
    const load = loading({
      every: 2_000,
      load: (signal) => get(path, signal),
      show(actor) {
        if (actor.quarantined) state.set("quarantined", "bad");
        else state.set(actor.live ? "in memory" : "not in memory", actor.live ? "good" : "");
        shown.set("version", count(actor.version));
        shown.set("mailbox", count(actor.mailbox_depth), "", actor.mailbox_depth >= 16 ? "warn" : "");
        shown.set("requests", count(actor.requests_waiting));
        shown.set("restarts", count(actor.restarts), "", actor.restarts > 0 ? "warn" : "");
        shown.set("kept", count(actor.kept_answers));
        shown.set("checkpointed", count(actor.checkpointed_version));
        say(wakes, actor.wakes_at ? `It wakes at ${when(actor.wakes_at)}.` : "");
        effects.set(actor.effects ?? []);
        say(text, JSON.stringify(actor.state, null, 2));
        past.newest(actor.version);
      },
    });

    const past = versions(path);
    return {
      title: id || "actor",
      element: el("div", { class: "stack" },
        el("div", { class: "view-head" }, el("div", {}, el("p", { class: "soft" }, el("a", { href: "#/actors" }, "Actors"), ` / ${kind}`), el("h1", {}, bdi(id))), el("p", {}, state.element)),
        load.element,
        el("div", { class: "beside" },
          el("section", { class: "card tile" }, el("h2", {}, "Now"), shown.element, wakes),
          el("section", { class: "card tile" }, el("h2", {}, "Effects outstanding"), effects.element)),
        el("section", { class: "card tile" }, el("h2", {}, "State"), text),
        past.element),
      destroy() {
        load.destroy();
        past.destroy();
      },
    };
  },
};

/** The history of an actor, and what changed from one version to the next. */
function versions(path) {
  const list = el("div", { class: "versions", role: "group", "aria-label": "Versions, the newest first" });
  const older = el("button", { type: "button", class: "little", hidden: true }, "Older versions");
  const heading = el("h3", {});
  const facts = el("dl", { class: "facts" });
  const changes = table({
    caption: "What changed from the version before",
    keyOf: ({ path }) => path,
    most: MOST_CHANGES,
    none: "Nothing of its state changed.",
    columns: [
      { head: "where", make: ({ path }) => ({ element: code(path || "/") }) },
      { head: "was", text: true, wide: true, make: (one) => ({ element: el("code", { class: "was" }, json(one.from)) }) },
      { head: "is", text: true, wide: true, make: (one) => ({ element: el("code", { class: "is" }, json(one.to)) }) },
    ],
  });
  changes.element.classList.add("changes");
  changes.element.hidden = true;
  const replayed = el("pre", { class: "state code", tabindex: "0", hidden: true, "aria-label": "State at this version" });
  const says = el("p", { class: "none", role: "status" }, "");
  const all = new Map();
  const stop = new AbortController();
  let newest = 0;
  let chosen = 0;
  let asking = false;

  function choose(version) {
    chosen = version;
    const item = all.get(version);
    for (const button of list.children) button.setAttribute("aria-current", String(Number(button.dataset.version) === version));
    say(heading, `Version ${count(version)}`);
    const by = item.by ? [el("dt", {}, "by"), el("dd", {}, bdi([words(item.by.kind), item.by.account].filter(Boolean).join(" ")))] : [];
    const events = item.events ?? [];
    facts.replaceChildren(el("dt", {}, "at"), el("dd", {}, when(item.at)), ...by, el("dt", {}, "events"),
      el("dd", {}, events.length === 0 ? "none" : events.slice(0, 20).map((event) => el("p", {}, code(JSON.stringify(event))))));
    changes.element.hidden = false;
    changes.set(item.changes ?? []);
    replayed.hidden = false;
    say(replayed, JSON.stringify(item.state, null, 2));
  }

  const button = ({ version }) => ({
    element: el("button", { type: "button", "data-version": version, "aria-current": "false", on: { click: () => choose(version) } },
      el("span", {}, count(version)), el("span", {}, (all.get(version).events ?? []).map((event) => words(event.type)).join(", ") || "–"), el("span", { class: "soft small" }, when(all.get(version).at))),
  });

  async function ask(from, to) {
    if (asking) return;
    asking = true;
    try {
      const page = await get(`${path}/versions?from=${from}&to=${to}`, stop.signal);
      for (const item of page.items) all.set(item.version, item);
      const items = [...all.values()].sort((one, other) => other.version - one.version);
      keep(list, items, ({ version }) => version, button);
      const first = items.at(-1)?.version ?? 1;
      older.hidden = first <= 1;
      say(says, items.length === 0 ? "There is no history." : "");
      if (!chosen && items.length > 0) choose(items[0].version);
    } catch (error) {
      if (!stop.signal.aborted) say(says, error.message);
    } finally {
      asking = false;
    }
  }
  older.addEventListener("click", () => {
    const first = Math.min(...all.keys());
    ask(Math.max(1, first - PAGE), first - 1);
  });

  return {
    element: el("section", { class: "card tile" }, el("h2", {}, "History"), says,
      el("div", { class: "beside" }, el("div", { class: "stack" }, list, older), el("div", { class: "stack", "aria-live": "polite" }, heading, facts, changes.element, replayed))),
    /** There is this version now. */
    newest(version) {
      if (version === newest) return;
      const from = newest === 0 ? Math.max(1, version - PAGE + 1) : Math.max(newest + 1, version - PAGE + 1);
      newest = version;
      if (version > 0) ask(from, version);
    },
    destroy: () => stop.abort(),
  };
}
