// How long a checkout takes, as those who wait for it see it.

import { span } from "../../shared/format.js";
import { figures, history, most } from "../parts.js";

const checkout = ({ http }) => http?.routes?.find(({ route }) => route.endsWith("/checkout"))?.latency;
/** Where nobody checks out, the slowest of the busiest routes. */
const shownOf = (tiles, p) => checkout(tiles)?.[p] ?? most(tiles.http?.routes, ({ latency }) => latency?.[p]);

export default {
  name: "latency",
  title: "Checkout latency",
  needs: "http",
  build() {
    const shown = figures([["p50", "p50"], ["p95", "p95", true], ["p99", "p99", true]]);
    const drawn = history({
      about: "Time that a checkout takes, over the last minutes, in milliseconds",
      unit: "of checkouts; of the slowest route while there are none",
      show: span,
      series: [
        { label: "p50", key: 2, name: "latency.p50", of: (tiles) => shownOf(tiles, "p50") },
        { label: "p95", key: 0, name: "latency.p95", of: (tiles) => shownOf(tiles, "p95") },
        { label: "p99", key: 3, name: "latency.p99", of: (tiles) => shownOf(tiles, "p99") },
      ],
    });
    return {
      body: [shown.element, drawn.element],
      update(_, { tiles }) {
        for (const p of ["p50", "p95", "p99"]) shown.set(p, span(shownOf(tiles, p)));
        drawn.update();
      },
    };
  },
};
