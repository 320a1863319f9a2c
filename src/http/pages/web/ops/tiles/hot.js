// What is bought most right now, and of whom: the first thing to know on the night of a sale.

import { el } from "../../shared/dom.js";
import { count, rate } from "../../shared/format.js";
import { actorLink, bar, pieces, short, table, titled } from "../parts.js";

export default {
  name: "hot",
  title: "Hot products",
  needs: "hot",
  wide: true,
  build() {
    const skus = table({
      caption: "What is ordered most, over the last seconds",
      keyOf: ({ sku_id }) => sku_id,
      none: "Nothing has been ordered yet.",
      columns: [
        { head: "product", make: (item) => ({ element: titled(`#/product/${encodeURIComponent(item.sku_id)}`, item.title || item.sku_id) }) },
        { head: "orders / s", cell: ({ orders_per_second }) => rate(orders_per_second) },
        { head: "pieces / s", rare: true, cell: ({ pieces_per_second }) => rate(pieces_per_second) },
        { head: "left", cell: ({ left }) => (left === 0 ? "sold out" : count(left)), level: ({ left }) => (left === 0 ? "warn" : "") },
        { head: el("span", { class: "unseen" }, "share left"), rare: true, make: () => { const made = bar("left"); return { element: made.element, update: (one) => made.set(one.left, pieces(one)) }; } },
        { head: "held", rare: true, cell: ({ held }) => count(held) },
        { head: "sold", cell: ({ sold }) => count(sold) },
      ],
    });
    const vendors = table({
      caption: "Vendors that are ordered from most",
      keyOf: ({ vendor_id }) => vendor_id,
      most: 5,
      none: "–",
      columns: [
        { head: "vendor", make: ({ vendor_id }) => ({ element: actorLink("vendor", vendor_id, short(vendor_id)) }) },
        { head: "orders / s", cell: ({ orders_per_second }) => rate(orders_per_second) },
        { head: "checkouts", cell: ({ checkouts_under_way }) => count(checkouts_under_way) },
      ],
    });
    const more = el("div", { class: "stack" }, el("h3", {}, "Vendors"), vendors.element);
    return {
      body: [skus.element, more],
      note: (data) => (data.over_ms ? `over ${Math.round(data.over_ms / 1000)} s` : ""),
      update(data) {
        skus.set(data.skus ?? []);
        vendors.set(data.vendors ?? []);
        more.hidden = !(data.vendors?.length > 0);
      },
    };
  },
};
