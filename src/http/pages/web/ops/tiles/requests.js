// What is asked over HTTP, how it is answered, and how long that takes.

import { el } from "../../shared/dom.js";
import { rate } from "../../shared/format.js";
import { OVER, each, often } from "../happened.js";
import { figures, history, ms, table } from "../parts.js";
import { steady } from "../steady.js";

/** How requests fail, by their status. */
const FAILED = { 500: "since something went wrong inside (500)", 504: "since they took too long (504)" };
const failing = ({ http }) => http?.by_status?.["5xx"];

export default {
  name: "requests",
  title: "Requests",
  needs: "http",
  wide: true,
  build() {
    const shown = figures([["all", "answers"], ["good", "good", true], ["client", "answered no (4xx)", true], ["server", "failed (5xx)", true]]);
    const drawn = history({
      about: "Answers per second over the last minutes, by status",
      unit: "answers per second",
      show: rate,
      series: [
        { label: "2xx", key: 2, name: "http.2xx", of: ({ http }) => http?.by_status?.["2xx"], fill: true },
        { label: "4xx", key: 1, name: "http.4xx", of: ({ http }) => http?.by_status?.["4xx"] },
        { label: "5xx", key: "bad", name: "http.5xx", of: failing },
      ],
    });
    const routes = table({
      caption: "The busiest routes",
      keyOf: ({ method, route }) => `${method} ${route}`,
      most: 8,
      none: "Nobody asks for anything.",
      columns: [
        { head: "route", make: ({ method, route }) => ({ element: el("bdi", { class: "cut" }, `${method} ${route}`) }) },
        { head: "per s", cell: ({ per_second }) => rate(per_second) },
        { head: "5xx / s", cell: ({ server_errors_per_second }) => rate(server_errors_per_second), level: (item) => (item.server_errors_per_second > 0 ? "bad" : "") },
        { head: "p95", cell: ({ latency }) => ms(latency?.p95) },
        { head: "p50", rare: true, cell: ({ latency }) => ms(latency?.p50) },
        { head: "p99", rare: true, cell: ({ latency }) => ms(latency?.p99) },
        { head: "4xx / s", rare: true, cell: ({ client_errors_per_second }) => rate(client_errors_per_second) },
      ],
    });
    return {
      body: [shown.element, drawn.element, routes.element],
      update(data) {
        shown.set("all", rate(data.per_second), "/ s");
        shown.set("good", rate(data.by_status?.["2xx"]), "/ s");
        shown.set("client", rate(data.by_status?.["4xx"]), "/ s");
        shown.set("server", rate(data.by_status?.["5xx"]), "/ s", data.by_status?.["5xx"] > 0 ? "bad" : "");
        drawn.update();
        routes.set(data.routes ?? []);
      },
    };
  },
  troubles(data) {
    const failed = steady("5xx");
    if (!(failed > 0)) return each("server_errors").map((status) => ({ level: "warn", first: OVER, what: `Requests failed ${FAILED[status] ?? status}, ${often("server_errors", status)}`, todo: "The log has each, with its place.", see: "HaatServerErrors" }));
    const worst = (data.routes ?? []).map(({ method, route }) => `${method} ${route}`).filter((route) => steady(`5xx ${route}`) > 0);
    return [{ level: "warn", what: `${rate(failed)} requests a second fail (5xx)`, todo: worst.length > 0 ? `At ${worst.slice(0, 3).join(", ")}. “Refused at a limit” says whether a limit is the reason.` : "“Refused at a limit” says whether a limit is the reason.", see: "HaatServerErrors" }];
  },
};
