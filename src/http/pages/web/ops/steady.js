// Rates over ten seconds, for what is said of them: a rate that touches zero for one look is not over.

/** Of how much time, in seconds. */
const OVER_SECONDS = 10;

/** Looks at rates, the oldest first: `[at, { name: rate }]`. */
let looks = [];

/** What is kept of a look. A name that is not there had a rate of 0. */
function ratesOf(tiles) {
  const rates = new Map();
  const put = (name, value) => { if (value > 0) rates.set(name, value); };
  put("5xx", tiles.http?.by_status?.["5xx"]);
  for (const { method, route, server_errors_per_second } of tiles.http?.routes ?? []) put(`5xx ${method} ${route}`, server_errors_per_second);
  for (const { reason, per_second } of tiles.sheds?.reasons ?? []) put(`refused ${reason}`, per_second);
  for (const { kind, per_second } of tiles.actors?.items ?? []) put(`panicked ${kind}`, per_second?.panicked);
  for (const { outcome, per_second } of tiles.database?.units?.outcomes ?? []) put(`unit ${outcome}`, per_second);
  return rates;
}

/** Takes in a look. */
export function settle(at, tiles) {
  if (looks.length > 0 && at <= looks.at(-1)[0]) return;
  // A tile that something is wrong with says so itself.
  try {
    looks.push([at, ratesOf(tiles)]);
  } catch {
    return;
  }
  looks = looks.filter(([when]) => when > at - OVER_SECONDS);
}

/** The rate of this name over the last ten seconds, or over as much of them as was seen. */
export const steady = (name) => looks.reduce((sum, [, rates]) => sum + (rates.get(name) ?? 0), 0) / Math.max(1, looks.length);

/** Forgets all of it. */
export const forgetRates = () => { looks = []; };
