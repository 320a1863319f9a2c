// Orders by where they stand, and those that somebody has to free.

import { el } from "../../shared/dom.js";
import { count, words } from "../../shared/format.js";
import { figures, sum, table } from "../parts.js";

export default {
  name: "orders",
  title: "Orders",
  needs: "orders",
  build() {
    const shown = figures([["all", "orders"], ["stuck", "stuck"]]);
    const link = el("p", { hidden: true }, el("a", { href: "#/stuck" }, "See them, and what leads out"));
    const statuses = table({
      caption: "Orders by status",
      keyOf: ({ status }) => status,
      most: 12,
      none: "There are no orders.",
      columns: [{ head: "status", cell: ({ status }) => words(status) }, { head: "orders", cell: ({ count: n }) => count(n) }],
    });
    return {
      body: [shown.element, link, statuses.element],
      update(data) {
        shown.set("all", count(sum(data.by_status, ({ count }) => count)));
        shown.set("stuck", count(data.stuck), "", data.stuck > 0 ? "bad" : "");
        link.hidden = !(data.stuck > 0);
        statuses.set((data.by_status ?? []).filter(({ count }) => count > 0));
      },
    };
  },
  troubles(data) {
    const found = [];
    if (data.stuck > 0) found.push({ level: "bad", what: data.stuck === 1 ? "An order is stuck" : `${count(data.stuck)} orders are stuck`, todo: data.stuck === 1 ? "It waits for somebody who looks at the payment provider or the vendor. Its card says why, and what leads out." : "They wait for somebody who looks at the payment provider or the vendor. Each card says why, and what leads out.", href: "#/stuck", act: data.stuck === 1 ? "See it" : "See them", see: "HaatOrdersStuck" });
    return found;
  },
};
