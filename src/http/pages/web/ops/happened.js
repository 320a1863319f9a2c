// What went wrong lately, as the server says: it remembers which counts have risen, whether or not somebody watched. Totals since it was started are
// figures: what is long over is no trouble.

import { clock, count, moment } from "../shared/format.js";

/** Where what is over stands among what is wrong: behind what goes on. */
export const OVER = -1;

let told = new Map();
let minutes = 0;

/** So long is told of, in minutes (`LATELY_MS`), by a server that has been there for as long. */
const WHOLE = 15;

const named = (name, of) => `${name} ${of ?? ""}`;

/** Takes in what a look tells. */
export function notice(tiles) {
  told = new Map((tiles.lately?.items ?? []).map((one) => [named(one.count, one.of), one]));
  minutes = Math.max(1, Math.ceil((tiles.lately?.over_ms ?? 0) / 60_000));
}

/** By how much a count has risen lately; `of`: what of it, where that is told apart. */
export const lately = (name, of) => told.get(named(name, of))?.risen ?? 0;

/** What of a count has risen lately, the most first. */
export const each = (name) => [...told.values()].filter((one) => one.count === name).sort((one, other) => other.risen - one.risen).map(({ of }) => of);

/** Of how much time that is, in words. */
export const span = () => (minutes === 1 ? "the last minute" : `the last ${minutes} minutes`);

/** Whether the server has not been there for so long. */
export const isYoung = () => minutes < WHOLE;

/** How often, and when the last time was, in words. */
export function often(name, of) {
  const { risen, last } = told.get(named(name, of)) ?? { risen: 0 };
  return `${risen === 1 ? "once" : `${count(risen)} times`} in ${span()}, last at ${clock(moment(last))}`;
}

/** Forgets all of it. */
export const forgetHappened = () => told.clear();
