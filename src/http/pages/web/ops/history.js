// What was, while this page has been open: five minutes of figures, one of each second.

const MOST = 300;
/** Past so many seconds without a look a line is broken, not drawn on. */
const GAP_SECONDS = 4;

const wanted = new Map();
let times = [];
const columns = new Map();

/** Has a figure kept from now on: `of(tiles)` finds it. */
export function track(name, of) {
  if (!wanted.has(name)) columns.set(name, times.map(() => null));
  wanted.set(name, of);
}

/** Keeps what a look says. */
export function remember(at, tiles) {
  const put = (time, row) => {
    times.push(time);
    for (const [name, column] of columns) column.push(row(name));
    if (times.length > MOST) {
      times.shift();
      for (const column of columns.values()) column.shift();
    }
  };
  const last = times.at(-1);
  if (last !== undefined && at <= last) return;
  if (last !== undefined && at - last > GAP_SECONDS) put(last + 1, () => null);
  put(at, (name) => {
    try {
      const value = wanted.get(name)(tiles);
      return Number.isFinite(value) ? value : null;
    } catch {
      // The tile that shows it says so.
      return null;
    }
  });
}

/** The moments in seconds, and the columns of these names. */
export const past = (names) => [times, names.map((name) => columns.get(name))];

/** Whether anything is kept of it that is not nothing. */
export const hasPast = (name) => columns.get(name)?.some((value) => value !== null && value !== 0) ?? false;

/** Forgets all of it. */
export function forget() {
  times = [];
  for (const name of columns.keys()) columns.set(name, []);
}
