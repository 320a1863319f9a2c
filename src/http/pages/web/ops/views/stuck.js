// Orders that wait for somebody, the longest first, and the ways out of each.

import { bdi, code, el, keep, say } from "../../shared/dom.js";
import { askWhy } from "../../shared/ask.js";
import { money, moment, span, when, words } from "../../shared/format.js";
import { get, may } from "../../shared/session.js";
import { actorLink, ROWS } from "../parts.js";
import { loading } from "./loading.js";

/** What each way does, and what has to be done first, outside. */
const WAYS = {
  retry: ["Try again", "The same step is asked for again, at once. Mend what was broken first."],
  voided: ["It was voided", "The order ends unpaid. Make sure that nothing was taken, and nothing will be."],
  refunded: ["It was refunded", "The order ends unpaid. Send back what was taken first; the reference is where it stands."],
  paid: ["It was paid", "The order is paid, and its stock is sold. Have exactly its total first; amount and reference say so."],
  write_off: ["Write it off", "Nobody waits for the vendor any longer, and what is lost is the shop’s."],
};
const WHY = {
  amount_differs: "The provider took another amount than was asked for.",
  void_refused: "The provider will not undo the payment.",
  step_failed: "A vendor cannot do its step.",
  no_answer: "Nobody has answered for ten minutes.",
};

function resolve(order, way, done) {
  const [act, says] = WAYS[way] ?? [words(way), ""];
  const more = [];
  if (way === "paid") more.push({ name: "amount", label: `Amount, ${order.total.currency}`, required: true, hint: "The order’s total, such as 1250.00." });
  if (way === "refunded") more.push({ name: "amount", label: `Amount, ${order.total.currency}`, hint: "May be left out: then it is what the provider says that it took, or the total." });
  if (way === "paid" || way === "refunded") more.push({ name: "reference", label: "Reference", required: true, hint: "Where it stands in the provider’s or the bank’s books." });
  askWhy({
    title: `${act}: ${order.id}`,
    says,
    more,
    reason: "note",
    act,
    send({ note, amount, reference }) {
      const body = { as: way, note };
      if (amount?.trim()) body.amount = { amount: amount.trim(), currency: order.total.currency };
      if (reference?.trim()) body.reference = reference.trim();
      return { path: `v1/admin/orders/${encodeURIComponent(order.id)}/resolve`, body };
    },
    done,
  });
}

function item(order, again) {
  const facts = el("dl", { class: "facts" });
  const why = el("p");
  const does = el("div", { class: "does" });
  const element = el("li", { class: "card item" }, el("header", {}, el("h2", {}, actorLink("order", order.id)), el("span", { class: "pill bad" }, words(order.stuck?.why ?? "stuck"))), why, facts, does);
  return {
    element,
    update(now) {
      const stuck = now.stuck ?? {};
      say(why, WHY[stuck.why] ?? "");
      const rows = [["for", span(Math.max(0, Date.now() - moment(stuck.since)))], ["since", when(stuck.since)], ["total", money(now.total)]];
      if (stuck.told) rows.push(["the provider took", money(stuck.told)]);
      if (stuck.given_back !== undefined) rows.push(["given back", stuck.given_back ? "yes" : "no"]);
      if (stuck.reason) rows.push(["it says", bdi(stuck.reason)]);
      if (stuck.vendor_id) rows.push(["vendor", actorLink("vendor", stuck.vendor_id)]);
      facts.replaceChildren(...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
      keep(does, may("money.edit") ? (stuck.resolve_as ?? []) : [], (way) => way, (way) => ({
        element: el("button", { type: "button", class: "little", on: { click: () => resolve(now, way, again) } }, WAYS[way]?.[0] ?? words(way)),
      }));
    },
  };
}

export default {
  build() {
    const list = el("ul", { class: "items" });
    const none = el("p", { class: "card none", hidden: true }, "No order is stuck.");
    const more = el("p", { class: "more", hidden: true });
    const next = el("button", { type: "button", class: "little", hidden: true }, "Further ones");
    const cursors = [""];
    const load = loading({
      every: 5_000,
      load: (signal) => get(`v1/admin/orders/stuck?limit=${ROWS}${cursors.at(-1) ? `&cursor=${cursors.at(-1)}` : ""}`, signal),
      show({ items, next_cursor }) {
        keep(list, items, ({ id }) => id, (order) => item(order, () => load.again()));
        none.hidden = items.length > 0;
        more.hidden = cursors.length === 1;
        say(more, `Page ${cursors.length}`);
        next.hidden = !next_cursor && cursors.length === 1;
        next.dataset.cursor = next_cursor ?? "";
        say(next, next_cursor ? "Further ones" : "Back to the first");
      },
    });
    next.addEventListener("click", () => {
      if (next.dataset.cursor) cursors.push(next.dataset.cursor);
      else cursors.splice(1);
      load.again();
    });
    return {
      title: "stuck orders",
      element: el("div", { class: "stack" },
        el("div", { class: "view-head" }, el("div", {}, el("h1", {}, "Stuck orders"), el("p", { class: "soft" }, "Each keeps its stock held until somebody has looked outside, at the payment provider or the bank. docs/stuck-orders.md says how, case by case."))),
        may("money.edit") ? null : el("p", { class: "none" }, "Leading them on takes the permission ", code("money.edit"), "."),
        load.element, none, list, el("p", { class: "does" }, next, more)),
      destroy: load.destroy,
    };
  },
};
