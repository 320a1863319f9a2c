// One product on a wall: its stock going to zero, how fast, what fails, and what it has brought.

import { bdi, el, keep, mark, say } from "../../shared/dom.js";
import { chart } from "../../shared/chart.js";
import { count, money, rate, share, span, times } from "../../shared/format.js";
import { get } from "../../shared/session.js";
import { pastOf } from "../products.js";
import { figures, known, pieces, titled } from "../parts.js";

/** Of a SKU that is hot, or of the hottest of a product. */
const found = (look, id) => look.tiles.hot?.skus?.find(({ sku_id, product_id }) => sku_id === id || product_id === id);

/** Which one: those that are hot. */
function choice() {
  const list = el("ul", { class: "stack" });
  const none = el("p", { class: "none" }, "Nothing has been ordered yet. When something is, it stands here.");
  return {
    title: "product wall",
    element: el("div", { class: "stack" }, el("div", { class: "view-head" }, el("div", {}, el("h1", {}, "Product wall"), el("p", { class: "soft" }, "One product, large enough for everybody in the room. The hottest:"))), el("section", { class: "card" }, none, list)),
    update(look) {
      const skus = look.tiles.hot?.skus ?? [];
      none.hidden = skus.length > 0;
      keep(list, skus, ({ sku_id }) => sku_id, ({ sku_id, title }) => {
        const says = el("span", { class: "soft" });
        return { element: el("li", {}, titled(`#/product/${encodeURIComponent(sku_id)}`, title || sku_id), " ", says), update: (one) => say(says, `${rate(one.orders_per_second)} orders / s, ${count(one.left)} left`) };
      });
    },
  };
}

/** How the rest of it will go, if it goes on as now. */
function end({ left, pieces_per_second }) {
  if (left === 0) return "sold out";
  if (!(pieces_per_second > 0)) return "–";
  return span((left / pieces_per_second) * 1000);
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
    const shown = figures([["orders", "orders"], ["pieces", "pieces"], ["end", "sold out in"], ["money", "sold for"], ["held", "held"], ["way", "checkouts under way"], ["errors", "failing (5xx)"], ["refused", "refused at once"]]);
    const left = chart({ about: "Pieces left, over the last minutes", unit: "pieces", show: count, series: [{ label: "left", key: 2, fill: true }] });
    const orders = chart({ about: "Orders per second, over the last minutes", unit: "orders per second", show: rate, series: [{ label: "orders", key: 0, fill: true }] });
    const pictures = el("div", { class: "main" }, now, el("section", { class: "card", "aria-label": "Stock over time" }, left.element));
    const rest = [pictures, el("section", { class: "card", "aria-label": "Figures" }, shown.element), el("section", { class: "card", "aria-label": "Orders over time" }, orders.element)];
    for (const part of rest) part.hidden = true;
    const cold = el("p", { class: "none", role: "status" }, "Nobody orders it now, as far as this page has seen.");
    let asked = false;
    let name = null;

    // One that is not hot is only known by the catalogue.
    async function ask() {
      asked = true;
      const path = id.startsWith("sku_") ? `v1/skus/${encodeURIComponent(id)}` : `v1/products/${encodeURIComponent(id)}`;
      const one = await get(path).catch((error) => ({ error }));
      if (one.error) return say(cold, one.error.status === 404 ? "There is no such product." : one.error.message);
      if (name === null) title.replaceChildren(bdi(one.title ?? one.product_title ?? one.code ?? id));
    }

    orders.element.classList.add("low");
    return {
      title: "product wall",
      element: el("div", { class: "wall" }, el("header", {}, el("p", { class: "soft" }, el("a", { href: "#/product" }, "Product wall")), title, price), cold,
        rest),
      update(look) {
        const one = found(look, id) ?? pastOf(id)?.last;
        const hot = found(look, id) !== undefined;
        cold.hidden = hot;
        for (const part of rest) part.hidden = !one;
        if (!one) {
          if (!asked) ask();
          return;
        }
        if (name !== one.title) {
          name = one.title;
          title.replaceChildren(bdi(one.title || one.sku_id));
        }
        say(price, [money(one.price), one.code].filter(Boolean).join(", "));
        const all = pieces(one);
        say(number, count(one.left));
        number.style.setProperty("--digits", String(count(one.left).length * 0.62 + 0.4));
        now.classList.toggle("sold-out", one.left === 0);
        bar.hidden = all === null;
        inner.style.width = `${share(one.left, all)}%`;
        mark(bar, share(one.left, all) < 10 ? "warn" : "");
        if (all === null) say(of, one.left === 0 ? "sold out" : "left; the vendor is too busy to say of how many");
        else say(of, one.left === 0 ? `sold out: ${count(one.sold)} sold, ${count(one.held)} held` : `left of ${count(all)}`);
        const vendor = look.tiles.hot?.vendors?.find(({ vendor_id }) => vendor_id === one.vendor_id);
        const failed = look.tiles.http?.by_status?.["5xx"];
        shown.set("orders", rate(hot ? one.orders_per_second : 0), "/ s");
        shown.set("pieces", rate(hot ? one.pieces_per_second : 0), "/ s");
        shown.set("end", end(one));
        const sold = times(one.price, one.sold);
        shown.set("money", sold ? money(sold).replace(` ${sold.currency}`, "") : "–", sold?.currency);
        shown.set("held", count(one.held));
        shown.set("way", count(vendor?.checkouts_under_way));
        shown.set("errors", rate(failed), "/ s", failed > 0 ? "bad" : "");
        const refused = known(look.tiles.sheds?.reasons, ({ per_second }) => per_second);
        shown.set("refused", rate(refused), "/ s", refused > 0 ? "warn" : "");
        const past = pastOf(one.sku_id);
        if (past) {
          left.update(past.times, [past.left]);
          orders.update(past.times, [past.orders]);
        }
      },
      destroy() {
        left.destroy();
        orders.destroy();
      },
    };
  },
};
