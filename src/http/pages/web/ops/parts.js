// What tiles are made of: figures, meters, tables, charts.

import { bdi, code, el, keep, mark, say } from "../shared/dom.js";
import { chart } from "../shared/chart.js";
import { count, duration, share } from "../shared/format.js";
import { hasPast, past, track } from "./history.js";

/** At most so many rows are drawn of anything. */
export const ROWS = 10;

/** Figures beside each other: `[[name, label, lesser?]]`. `set(name, value, unit, level)`. */
export function figures(list) {
  const of = new Map();
  const element = el("dl", { class: "figures" }, list.map(([name, label, lesser]) => {
    const value = el("span", {}, "–");
    const unit = el("span", { class: "unit" });
    const shown = el("dd", {}, value, unit);
    const named = el("dt", {}, label);
    of.set(name, { value, unit, shown, named });
    return el("div", { class: lesser ? "figure lesser" : "figure" }, named, shown);
  }));
  return {
    element,
    set(name, figure, unit = "", level = "") {
      const { value, unit: units, shown } = of.get(name);
      say(value, figure);
      say(units, unit);
      mark(shown, level);
    },
    /** What it is called from now on. */
    call: (name, label) => say(of.get(name).named, label),
  };
}

/** A bar of so much of a most, with both in words. */
export function meter(label, cls = "") {
  const bar = el("span");
  const value = el("span");
  const track = el("span", { class: `meter ${cls}`, "aria-hidden": "true" }, bar);
  const element = el("div", { class: "metered" }, el("p", {}, el("span", { class: "soft" }, label), value), track);
  return {
    element,
    set(part, of, text, level = "") {
      bar.style.width = `${share(part, of)}%`;
      say(value, text);
      mark(track, level);
    },
  };
}

/** A bar alone, for a cell. */
export function bar(cls = "") {
  const inner = el("span");
  const element = el("span", { class: `meter ${cls}`, "aria-hidden": "true" }, inner);
  return {
    element,
    /** Nothing is drawn of a whole that is not known. */
    set(part, of) {
      element.hidden = of === null;
      inner.style.width = `${share(part, of)}%`;
    },
  };
}

/**
 * A table of at most `most` rows. `columns`: `[{ head, text?, wide?, rare?, cell(item) }]`, where a cell is a text, or `{ node }` made once by `make(item)`.
 * The first column names the row.
 */
export function table({ caption, columns, keyOf, most = ROWS, none }) {
  const body = el("tbody");
  const rest = el("p", { class: "more", hidden: true });
  const nothing = el("p", { class: "none", hidden: true }, none ?? "none");
  const head = el("tr", {}, columns.map(({ head, text, rare }, n) => el("th", { scope: "col", class: [(n === 0 || text) && "text", rare && "rare"].filter(Boolean).join(" ") || null }, head)));
  const whole = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, el("table", {}, el("caption", { class: "unseen" }, caption), el("thead", {}, head), body));
  const element = el("div", {}, whole, rest, nothing);
  const make = (item) => {
    const cells = columns.map((column, n) => {
      const cell = n === 0 ? el("th", { scope: "row" }) : el("td", { class: [column.text && "text", column.wide && "wide", column.rare && "rare"].filter(Boolean).join(" ") || null });
      const made = column.make?.(item);
      if (made) cell.append(made.element);
      return { cell, column, made };
    });
    return {
      element: el("tr", {}, cells.map(({ cell }) => cell)),
      update(item) {
        for (const { cell, column, made } of cells) {
          if (made) made.update?.(item);
          else say(cell, column.cell(item));
          if (column.level) mark(cell, column.level(item));
        }
      },
    };
  };
  return {
    element,
    set(items, all = items.length) {
      whole.hidden = items.length === 0;
      nothing.hidden = items.length > 0;
      keep(body, items.slice(0, most), keyOf, make);
      const more = all - Math.min(items.length, most);
      rest.hidden = more <= 0;
      if (more > 0) say(rest, `and ${count(more)} more`);
    },
    /** What is said from now on where there is nothing. */
    none: (text) => say(nothing, text),
  };
}

/** A duration for a cell. */
export const ms = (value) => duration(value).join(" ").trim();

/** A chart of what `history` keeps. `series`: `[{ label, key, name, of, fill? }]`. */
export function history(options) {
  for (const { name, of } of options.series) track(name, of);
  const drawn = chart(options);
  const names = options.series.map(({ name }) => name);
  drawn.element.hidden = true;
  return {
    element: drawn.element,
    update() {
      // Lines of nothing are no picture.
      drawn.element.hidden = !names.some(hasPast);
      drawn.update(...past(names));
    },
    destroy: drawn.destroy,
  };
}

/** A link to an actor. */
export const actorLink = (kind, id, text = id) => el("a", { href: `#/actor/${encodeURIComponent(kind)}/${encodeURIComponent(id)}`, title: id }, code(text));

/** An id as it fits into a tile: what it is of, and its end, by which ids differ most. */
export const short = (id) => (id.length > 20 ? `${id.slice(0, id.indexOf("_") + 1)}…${id.slice(-8)}` : id);

/** A title of somebody else's that leads somewhere. */
export const titled = (href, title) => el("a", { href, class: "cut" }, bdi(title));

/** A word with its colour. */
export function pill(text, level = "") {
  const element = el("span", { class: `pill ${level}` }, text);
  return { element, set(text, level = "") { say(element, text); mark(element, level); } };
}

/** The sum of what `of` finds in each. */
export const sum = (items, of) => (items ?? []).reduce((total, item) => total + (of(item) ?? 0), 0);

/** All pieces of a SKU: left, held and sold. Null where its vendor is too busy to say. */
export const pieces = ({ left, held, sold }) => ((held ?? null) === null || (sold ?? null) === null ? null : left + held + sold);

/** The sum of what `of` finds in each, or null where it finds it in none. */
export const known = (items, of) => ((items ?? []).some((item) => (of(item) ?? null) !== null) ? sum(items, of) : null);

/** The largest of what `of` finds in each, or null. */
export const most = (items, of) => (items ?? []).reduce((top, item) => (of(item) ?? null) === null ? top : Math.max(top ?? -Infinity, of(item)), null);
