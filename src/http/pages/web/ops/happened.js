// What has happened lately: counts that rose while this page has been open. The server tells totals since it was started, and what is long over is no trouble.

import { count } from "../shared/format.js";

/** As long an alarm stays that says what has happened (docs/operations.md), in milliseconds. */
const LATELY_MS = 15 * 60_000;
/** Rises within so long count as one, so that few are kept. */
const TOGETHER_MS = 10_000;

const watched = new Map();
const totals = new Map();
const rises = new Map();
let now = 0;

const named = (name, of) => `${name} ${of}`;

/** Has a total watched from now on: `find(tiles)` gives it, or an object of totals by what they are of. */
export function watch(name, find) {
  watched.set(name, find);
}

/** Looks at all of them. The first look at one tells nothing: what it counts may be long over. */
export function notice(at, tiles) {
  now = at;
  for (const [name, find] of watched) {
    let found;
    try {
      found = find(tiles);
    } catch {
      // The tile that shows it says so.
      continue;
    }
    const each = typeof found === "object" && found !== null ? Object.entries(found) : [["", found]];
    for (const [of, total] of each) if (Number.isFinite(total)) rose(named(name, of), at, total);
  }
  for (const [key, all] of rises) {
    while (all.length > 0 && all[0].at <= at - LATELY_MS) all.shift();
    if (all.length === 0) rises.delete(key);
  }
}

function rose(key, at, total) {
  const before = totals.get(key);
  totals.set(key, total);
  // Another process counts from 0.
  const by = before === undefined ? 0 : total - (total < before ? 0 : before);
  if (by <= 0) return;
  const all = rises.get(key) ?? [];
  rises.set(key, all);
  const last = all.at(-1);
  if (last && at - last.from < TOGETHER_MS) [last.at, last.by] = [at, last.by + by];
  else all.push({ from: at, at, by });
}

/** By how much it rose within the last fifteen minutes, as far as this page has seen. */
export const lately = (name, of = "") => (rises.get(named(name, of)) ?? []).reduce((all, { by }) => all + by, 0);

/** That in words. */
export const often = (n) => `${n === 1 ? "once" : `${count(n)} times`} in the last 15 minutes`;

/** Forgets all of it. */
export function forgetHappened() {
  totals.clear();
  rises.clear();
}
