// One product on a wall: its stock going to zero, how fast, what fails, and what it has brought.

import { bdi, el, keep, mark, say } from "../../shared/dom.js";
import { chart } from "../../shared/chart.js";
import { count, money, rate, share, span, times } from "../../shared/format.js";
import { get } from "../../shared/session.js";
import { paceOf, pastOf } from "../products.js";
import { figures, known, pieces, titled } from "../parts.js";
import { loading } from "./loading.js";

/** Of a SKU that is hot, or of the hottest of a product. */
const found = (look, id) => look.tiles.hot?.skus?.find(({ sku_id, product_id }) => sku_id === id || product_id === id);

/** Products that are found by their title, at most. */
const MOST_FOUND = 10;
/** SKUs of one product that are listed. */
const MOST_SKUS = 20;
/** How often one is asked for that nobody orders, in milliseconds. */
const COLD_MS = 3_000;

const wall = (id) => `#/product/${encodeURIComponent(id)}`;

/** One that nobody orders, as the catalogue knows it. */
const unordered = ({ id, available, ...sku }, of) => ({ ...sku, sku_id: id, product_id: sku.product_id ?? of.id, title: sku.title ?? of.title, vendor_id: sku.vendor_id ?? of.vendor_id,
  left: available, held: null, on_hand: null, sold: null, orders_per_second: 0, pieces_per_second: 0 });

/** A SKU in a list: where it is shown large, and how it stands. */
function entry({ sku_id, title }) {
  const says = el("span", { class: "soft" });
  return { element: el("li", {}, titled(wall(sku_id), title || sku_id), " ", says), update: (one) => say(says, [one.code, money(one.price), `${count(one.left)} left`].filter(Boolean).join(", ")) };
}

/** A way to those that nobody has ordered yet: by an id, or by a part of the title. */
function search() {
  const input = el("input", { id: "product-of", name: "of", autocomplete: "off", placeholder: "sari, or sku_…" });
  const button = el("button", { type: "submit", class: "strong" }, "Find it");
  const says = el("p", { class: "none", role: "status" });
  const list = el("ul", { class: "stack" });
  const form = el("form", { class: "find", role: "search", "aria-label": "Find a product" }, el("div", {}, el("label", { for: "product-of" }, "A part of a product’s title, or the id of a product or a SKU"), input), button);
  let asked = new AbortController();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = input.value.trim();
    if (/^(sku|product)_[0-9a-z]+$/.test(text)) return void (location.hash = wall(text));
    if (!text) return;
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    say(says, "Looking …");
    try {
      const { items, next_cursor } = await get(`v1/products?limit=${MOST_FOUND}&q=${encodeURIComponent(text)}`, signal);
      keep(list, items.flatMap((product) => product.skus.map((sku) => unordered(sku, product))), ({ sku_id }) => sku_id, entry);
      say(says, items.length === 0 ? "No title contains that." : next_cursor ? `The newest ${items.length}; say more of the title to find others.` : "");
    } catch (error) {
      if (!signal.aborted) say(says, error.message);
    }
  });
  return { element: el("section", { class: "card stack", "aria-label": "Any product" }, form, says, list), destroy: () => asked.abort() };
}

/** Which one: those that are hot, or any other. */
function choice() {
  const list = el("ul", { class: "stack" });
  const none = el("p", { class: "none" }, "Nothing has been ordered yet. When something is, it stands here.");
  const any = search();
  return {
    title: "product wall",
    element: el("div", { class: "stack" }, el("div", { class: "view-head" }, el("div", {}, el("h1", {}, "Product wall"), el("p", { class: "soft" }, "One product, large enough for everybody in the room."))),
      el("section", { class: "card stack", "aria-label": "The hottest" }, el("h2", {}, "The hottest"), none, list), any.element),
    update(look) {
      const skus = look.tiles.hot?.skus ?? [];
      none.hidden = skus.length > 0;
      keep(list, skus, ({ sku_id }) => sku_id, ({ sku_id, title }) => {
        const says = el("span", { class: "soft" });
        return { element: el("li", {}, titled(wall(sku_id), title || sku_id), " ", says), update: (one) => say(says, `${rate(one.orders_per_second)} orders / s, ${count(one.left)} left`) };
      });
    },
    destroy: any.destroy,
  };
}

/** How the rest of it will go, if it goes on as over the last minutes. */
function end({ left }, pace) {
  if (left === 0) return "sold out";
  if (!(pace > 0)) return "–";
  return span((left / pace) * 1000);
}

export default {
  build([id = ""]) {
    if (!id) return choice();
    const title = el("h1", {}, bdi(id));
    const price = el("p", { class: "soft" });
    const number = el("p", { class: "number" }, "–");
    const inner = el("span");
    const bar = el("span", { class: "meter left", "aria-hidden": "true" }, inner);
    const of = el("p", { class: "of" });
    const now = el("section", { class: "card left-now", "aria-label": "Stock" }, number, bar, of);
    const shown = figures([["orders", "orders"], ["pieces", "pieces"], ["end", "sold out in"], ["money", "sold for"], ["held", "held"], ["way", "checkouts under way"], ["errors", "failing (5xx), whole shop"], ["refused", "refused at a limit, whole shop"]]);
    const left = chart({ about: "Pieces left, over the last minutes", unit: "pieces", show: count, series: [{ label: "left", key: 2, fill: true }] });
    const orders = chart({ about: "Orders per second, over the last minutes", unit: "orders per second", show: rate, series: [{ label: "orders", key: 0, fill: true }] });
    const courses = [el("section", { class: "card", "aria-label": "Stock over time" }, left.element), el("section", { class: "card", "aria-label": "Orders over time" }, orders.element)];
    const parts = [el("div", { class: "main" }, now, courses[0]), el("section", { class: "card", "aria-label": "Figures" }, shown.element)];
    for (const part of [...parts, ...courses]) part.hidden = true;
    const cold = el("p", { class: "none" }, "Nobody orders it now, as far as this page has seen.");
    const which = el("ul", { class: "card stack", hidden: true });
    // One that is not hot is asked for again and again: until somebody orders it, nobody else tells of it.
    const asks = el("div");
    let load = null;
    let asked = null;
    let last = null;
    let name = null;

    function ask() {
      load = loading({
        every: COLD_MS,
        load: (signal) => get(`v1/${id.startsWith("sku_") ? "skus" : "products"}/${encodeURIComponent(id)}`, signal),
        show(one) {
          const skus = one.skus ? one.skus.map((sku) => unordered(sku, one)) : [unordered(one)];
          asked = skus.length === 1 ? skus[0] : null;
          which.hidden = asked !== null;
          if (!asked) {
            call(one.title);
            keep(which, skus.slice(0, MOST_SKUS), ({ sku_id }) => sku_id, entry);
          }
          if (last) show(last);
        },
      });
      asks.replaceChildren(load.element);
    }
    function askNoMore() {
      load?.destroy();
      asks.replaceChildren();
      load = asked = null;
      which.hidden = true;
    }
    function call(what) {
      if (name === what) return;
      name = what;
      title.replaceChildren(bdi(what));
    }
    /** How it stood when it was hot, if the catalogue does not say that it has changed since. */
    const since = (past) => (!asked || (past && past.left === asked.left) ? past : asked);

    function show(look) {
      last = look;
      const hot = found(look, id) !== undefined;
      if (hot && load) askNoMore();
      if (!hot && !load) ask();
      const one = found(look, id) ?? since(pastOf(id)?.last);
      cold.hidden = hot || !one;
      for (const part of parts) part.hidden = !one;
      if (!one) return;
      call(one.title || one.sku_id);
      say(price, [money(one.price), one.code].filter(Boolean).join(", "));
      const all = pieces(one);
      say(number, count(one.left));
      number.style.setProperty("--digits", String(count(one.left).length * 0.62 + 0.4));
      now.classList.toggle("sold-out", one.left === 0);
      bar.hidden = all === null;
      inner.style.width = `${share(one.left, all)}%`;
      mark(bar, share(one.left, all) < 10 ? "warn" : "");
      if (all === null) say(of, one.left === 0 ? "sold out" : hot ? "left; the vendor is too busy to say of how many" : "left");
      else say(of, one.left === 0 ? `sold out: ${count(one.sold)} sold, ${count(one.held)} held` : `left of ${count(all)}`);
      const vendor = look.tiles.hot?.vendors?.find(({ vendor_id }) => vendor_id === one.vendor_id);
      const failed = look.tiles.http?.by_status?.["5xx"];
      shown.set("orders", rate(hot ? one.orders_per_second : 0), "/ s");
      shown.set("pieces", rate(hot ? one.pieces_per_second : 0), "/ s");
      shown.set("end", end(one, hot ? paceOf(one.sku_id) : 0));
      const sold = times(one.price, one.sold);
      shown.set("money", sold ? money(sold).replace(` ${sold.currency}`, "") : "–", sold?.currency);
      shown.set("held", count(one.held));
      shown.set("way", count(vendor?.checkouts_under_way));
      shown.set("errors", rate(failed), "/ s", failed > 0 ? "bad" : "");
      const refused = known(look.tiles.sheds?.reasons, ({ per_second }) => per_second);
      shown.set("refused", rate(refused), "/ s", refused > 0 ? "warn" : "");
      const past = pastOf(one.sku_id);
      for (const course of courses) course.hidden = !past;
      if (past) {
        left.update(past.times, [past.left]);
        orders.update(past.times, [past.orders]);
      }
    }

    orders.element.classList.add("low");
    return {
      title: "product wall",
      element: el("div", { class: "wall" }, el("header", {}, el("p", { class: "soft" }, el("a", { href: "#/product" }, "Product wall")), title, price), cold, asks, which, parts, courses[1]),
      update: show,
      destroy() {
        askNoMore();
        left.destroy();
        orders.destroy();
      },
    };
  },
};
