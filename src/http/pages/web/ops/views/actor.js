// One actor: how it stands, what it waits for, and how it came to be so, version by version.

import { bdi, code, el, keep, say } from "../../shared/dom.js";
import { count, minorMoney, span, when, words } from "../../shared/format.js";
import { get } from "../../shared/session.js";
import { stuckIn } from "../freeing.js";
import { figures, pill, table } from "../parts.js";
import { loading } from "./loading.js";

/** So many versions are asked for at a time. */
const PAGE = 50;
/** So many versions are kept here; what is farthest from those asked for last is left out. */
const MOST_VERSIONS = 200;
/** So many differences are drawn. */
const MOST_CHANGES = 100;

/** What a state calls an amount in minor units: `total_minor`, in the currency of the whole. */
const isMinor = (name) => /(^|[_/])minor$/.test(name);

/** Money as people read it, where a state has it in minor units; null of anything else. */
const moneyAt = (name, value, currency) => minorMoney(value?.minor, value?.currency) ?? (isMinor(name) ? minorMoney(value, currency) : null);

/** Anything as it is kept, in one line. */
const json = (value, name = "", currency = "") => (value === undefined ? "–" : moneyAt(name, value, currency) ?? JSON.stringify(value));

/** A whole state, with its money as people read it. */
const stateText = (state) => JSON.stringify(state, (name, value) => moneyAt(name, value, state?.currency) ?? value, 2);

/** A cell of a difference: a row that stays when another version is chosen says what is so of that one. */
function changed(cls, of) {
  const element = el("code", { class: cls });
  return { element, update: (one) => say(element, json(of(one), one.path, one.currency)) };
}

/** Who did it, as the journal has it: a name, or a principal by its kind, such as `{"staff": {"account": "acct_…"}}`. */
function doer(by) {
  if (typeof by !== "object" || by === null) return String(by);
  const [kind, what] = Object.entries(by)[0] ?? ["unknown", null];
  if (typeof what === "string") return `${words(kind)} ${what}`;
  if (what?.account) return `${words(kind)} ${what.account}`;
  if (what?.vendor) return `${words(what.role ?? kind)} of ${what.vendor}`;
  return kind === "staff" && what?.powers === "admin" ? "the shop itself, or an administrator without an account" : words(kind);
}

/** What an order is stuck in, as its state says; null where it is not set aside. */
function stuckOrder({ kind, state }) {
  const trouble = kind === "order" ? state?.stuck : null;
  if (!trouble?.code) return null;
  const { code: why, reason, given_back, vendor } = trouble;
  const told = trouble.told ?? trouble.taken;
  const said = stuckIn({ status: state.status, stuck: { why, told, given_back, reason, vendor_id: vendor } });
  return [
    el("h2", {}, `This order is stuck: ${words(why)}`),
    el("p", {}, said.why, told ? ` The provider took ${json(told)}.` : ""),
    el("p", {}, el("a", { href: "#/stuck" }, "What leads out of it stands at the stuck orders")),
  ];
}

/** The money of an order, which its state tells in minor units. */
function moneyOf({ kind, state }) {
  const rows = kind === "order" ? [["total", state?.total_minor], ["to be paid", state?.total_due_minor]] : [];
  return rows.map(([name, minor]) => [name, minorMoney(minor, state?.currency)]).filter(([, sum]) => sum).flatMap(([name, sum]) => [el("dt", {}, name), el("dd", {}, sum)]);
}

export default {
  build([kind = "", id = ""]) {
    const path = `v1/admin/actors/${encodeURIComponent(kind)}/${encodeURIComponent(id)}`;
    const state = pill("–");
    const shown = figures([["version", "version"], ["mailbox", "messages waiting"], ["requests", "requests waiting"], ["restarts", "restarts", true], ["kept", "answers kept", true], ["checkpointed", "in the checkpoint", true]]);
    const stuck = el("section", { class: "card stack stuck", hidden: true });
    const sums = el("dl", { class: "facts" });
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
        const trouble = stuckOrder(actor);
        stuck.hidden = !trouble;
        if (trouble) stuck.replaceChildren(...trouble);
        sums.replaceChildren(...moneyOf(actor));
        if (actor.quarantined) state.set("quarantined", "bad");
        else if (trouble) state.set("stuck", "bad");
        else state.set(actor.live ? "in memory" : "not in memory", actor.live ? "good" : "");
        shown.set("version", count(actor.version));
        shown.set("mailbox", count(actor.mailbox_depth), "", actor.mailbox_depth >= 16 ? "warn" : "");
        shown.set("requests", count(actor.requests_waiting));
        shown.set("restarts", count(actor.restarts));
        shown.set("kept", count(actor.kept_answers));
        shown.set("checkpointed", count(actor.checkpointed_version));
        say(wakes, actor.wakes_at ? `It wakes at ${when(actor.wakes_at)}.` : "");
        effects.set(actor.effects ?? []);
        effects.none(trouble ? "It asks nobody: it waits for somebody who frees it." : "It waits for nobody.");
        say(text, stateText(actor.state));
        past.knows(actor);
      },
    });

    const past = versions(path);
    return {
      title: id || "actor",
      element: el("div", { class: "stack" },
        el("div", { class: "view-head" }, el("div", {}, el("p", { class: "soft" }, el("a", { href: "#/actors" }, "Actors"), ` / ${kind}`), el("h1", {}, bdi(id))), el("p", {}, state.element)),
        load.element, stuck,
        el("div", { class: "beside" },
          el("section", { class: "card tile" }, el("h2", {}, "Now"), shown.element, sums, wakes),
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

/**
 * The history of an actor, and what changed from one version to the next. The server reads all of an actor's journal for each answer, so it is asked
 * once, and from then on only when somebody says so.
 */
function versions(path) {
  const list = el("div", { class: "versions", role: "group", "aria-label": "Versions, the newest first" });
  const newer = el("button", { type: "button", class: "little", hidden: true });
  const older = el("button", { type: "button", class: "little", hidden: true }, "Older versions");
  const left = el("p", { class: "soft small" });
  const heading = el("h3", {});
  const facts = el("dl", { class: "facts" });
  const changes = table({
    caption: "What changed from the version before",
    keyOf: ({ path }) => path,
    most: MOST_CHANGES,
    none: "Nothing of its state changed.",
    columns: [
      { head: "where", make: ({ path }) => ({ element: code(path || "/") }) },
      { head: "was", text: true, wide: true, make: () => changed("was", ({ from }) => from) },
      { head: "is", text: true, wide: true, make: () => changed("is", ({ to }) => to) },
    ],
  });
  changes.element.classList.add("changes");
  changes.element.hidden = true;
  const replayed = el("pre", { class: "state code", tabindex: "0", hidden: true, "aria-label": "State at this version" });
  const says = el("p", { class: "none", role: "status" }, "");
  const all = new Map();
  const stop = new AbortController();
  let version = 0;
  let chosen = 0;
  let asking = false;
  let asked = false;
  let loaded = false;
  /** Before this moment the server does not want to be asked. */
  let notBefore = 0;
  let timer = 0;

  function choose(version) {
    chosen = version;
    const item = all.get(version);
    for (const button of list.querySelectorAll("button")) button.setAttribute("aria-current", String(Number(button.dataset.version) === version));
    say(heading, `Version ${count(version)}`);
    const by = item.by ? [el("dt", {}, "by"), el("dd", {}, bdi(doer(item.by)))] : [];
    const events = item.events ?? [];
    facts.replaceChildren(el("dt", {}, "at"), el("dd", {}, when(item.at)), ...by, el("dt", {}, "events"),
      el("dd", {}, events.length === 0 ? "none" : events.slice(0, 20).map((event) => el("p", {}, code(JSON.stringify(event))))));
    changes.element.hidden = false;
    changes.set((item.changes ?? []).map((one) => ({ ...one, currency: item.state?.currency })));
    replayed.hidden = false;
    say(replayed, stateText(item.state));
  }

  const row = ({ version, from, to }) => (from
    ? { element: el("p", { class: "gap soft small" }, from === to ? `Version ${count(from)} is not loaded.` : `Versions ${count(from)} to ${count(to)} are not loaded.`) }
    : { element: el("button", { type: "button", "data-version": version, "aria-current": String(version === chosen), on: { click: () => choose(version) } },
      el("span", {}, count(version)), el("span", {}, (all.get(version).events ?? []).map((event) => words(event.type)).join(", ") || "–"), el("span", { class: "soft small" }, when(all.get(version).at))) });

  /** The versions that are here, the newest first. */
  const here = () => [...all.keys()].sort((one, other) => other - one);

  /** The oldest of those that follow on each other from the newest on. */
  function unbroken() {
    const [first, ...rest] = here();
    let last = first ?? 0;
    for (const next of rest) {
      if (next !== last - 1) break;
      last = next;
    }
    return last;
  }

  /** Leaves out what is too much: at the end that was not asked for. */
  function trim(from) {
    const known = here();
    const excess = known.length - MOST_VERSIONS;
    if (excess <= 0) return;
    for (const version of from === known.at(-1) ? known.slice(0, excess) : known.slice(-excess)) all.delete(version);
  }

  function draw() {
    const known = here();
    const rows = known.flatMap((version, n) => {
      const before = known[n - 1];
      return before !== undefined && before - version > 1 ? [{ from: version + 1, to: before - 1 }, { version }] : [{ version }];
    });
    keep(list, rows, ({ version, from, to }) => (from ? `${from} to ${to}` : version), row);
    const since = Math.max(0, version - (known[0] ?? 0));
    const before = Math.max(0, (known.at(-1) ?? 1) - 1);
    say(left, known.length === 0 || since + before === 0 ? "" : `Not shown here: ${count(since)} newer, ${count(before)} older. At most ${count(MOST_VERSIONS)} are kept.`);
    const wait = Math.max(0, notBefore - Date.now());
    newer.hidden = !asked || (loaded && (known.length === 0 || since === 0));
    say(newer, loaded ? "Load what has happened since" : "Load its history");
    older.hidden = known.length === 0 || unbroken() <= 1;
    for (const button of [newer, older]) button.disabled = asking || wait > 0;
    clearTimeout(timer);
    if (wait > 0) timer = setTimeout(draw, wait + 20);
  }

  /** Asks for versions from one to another, or for the last; one at a time. */
  async function ask(from, to) {
    if (asking || Date.now() < notBefore) return;
    [asking, asked] = [true, true];
    draw();
    try {
      const page = await get(`${path}/versions${to ? `?from=${from}&to=${to}` : ""}`, stop.signal);
      loaded = true;
      for (const item of page.items) all.set(item.version, item);
      trim(page.items[0]?.version);
      say(says, page.unreadable ? `Version ${count(page.unreadable)} cannot be read, and nothing after it.` : all.size === 0 ? "There is no history." : "");
      if (!chosen && all.size > 0) choose(here()[0]);
    } catch (error) {
      if (stop.signal.aborted) return;
      if (error.retryAfter) notBefore = Date.now() + error.retryAfter * 1000;
      say(says, `${error.message}.${error.retryAfter ? ` The server asks for ${span(error.retryAfter * 1000)} of patience.` : ""}`);
    } finally {
      asking = false;
      if (!stop.signal.aborted) draw();
    }
  }
  newer.addEventListener("click", () => {
    if (!loaded) return ask();
    return ask(Math.max(here()[0] + 1, version - PAGE + 1), version);
  });
  older.addEventListener("click", () => {
    const to = unbroken() - 1;
    // Up to what is known already, where that is nearer.
    const below = here().find((one) => one <= to) ?? 0;
    ask(Math.max(1, to - PAGE + 1, below + 1), to);
  });

  return {
    element: el("section", { class: "card tile" }, el("h2", {}, "History"), says,
      el("div", { class: "beside" }, el("div", { class: "stack" }, newer, list, older, left), el("div", { class: "stack", "aria-live": "polite" }, heading, facts, changes.element, replayed))),
    /** How the actor stands: one that is quarantined has a history, too, though nobody knows its version. */
    knows(actor) {
      version = actor.version;
      if (!asked && (version > 0 || actor.quarantined)) ask();
      else draw();
    },
    destroy() {
      stop.abort();
      clearTimeout(timer);
    },
  };
}
