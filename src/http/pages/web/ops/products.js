// What was of each product that is hot, while this page has been open: ten minutes, one look each second.

const MOST = 600;
const GAP_SECONDS = 4;
/** Of so many looks is the pace of it: shorter, and what it promises jumps about. */
const PACE_LOOKS = 180;
/** One that is hot no more is forgotten after so many looks. */
const COLD_AFTER = 900;

const kept = new Map();

/** Keeps what a look says of each. */
export function rememberProducts(at, tiles) {
  for (const sku of tiles.hot?.skus ?? []) {
    const of = kept.get(sku.sku_id) ?? { times: [], left: [], orders: [], pieces: [], cold: 0 };
    kept.set(sku.sku_id, of);
    const last = of.times.at(-1);
    if (last !== undefined && at <= last) continue;
    if (last !== undefined && at - last > GAP_SECONDS) push(of, last + 1, null, null, null);
    push(of, at, sku.left, sku.orders_per_second, sku.pieces_per_second);
    of.cold = 0;
    of.last = sku;
  }
  for (const [id, of] of kept) {
    of.cold += 1;
    if (of.cold > COLD_AFTER) kept.delete(id);
  }
}

function push(of, at, left, orders, pieces) {
  of.times.push(at);
  of.left.push(left);
  of.orders.push(orders);
  of.pieces.push(pieces);
  if (of.times.length > MOST) for (const column of [of.times, of.left, of.orders, of.pieces]) column.shift();
}

/** What is kept of a SKU, or of the hottest of a product. */
export function pastOf(id) {
  return kept.get(id) ?? [...kept.values()].find((of) => of.last?.product_id === id);
}

/** How many pieces of a SKU go a second, over the last minutes that were seen; null where none were. */
export function paceOf(id) {
  const all = (kept.get(id)?.pieces.slice(-PACE_LOOKS) ?? []).filter((one) => Number.isFinite(one));
  // Before its sale began nothing went, and that says nothing of it.
  const seen = all.slice(Math.max(0, all.findIndex((one) => one > 0)));
  return seen.length === 0 ? null : seen.reduce((sum, one) => sum + one, 0) / seen.length;
}

/** Forgets all of it. */
export const forgetProducts = () => kept.clear();
