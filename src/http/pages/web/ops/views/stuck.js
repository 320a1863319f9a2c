// Orders that wait for somebody, the longest first, and the ways out of each.

import { bdi, code, el, keep, say } from "../../shared/dom.js";
import { askWhy } from "../../shared/ask.js";
import { count, money, moment, readAmount, span, when, words } from "../../shared/format.js";
import { get, may } from "../../shared/session.js";
import { stuckIn, WAYS } from "../freeing.js";
import { actorLink, ROWS, short } from "../parts.js";
import { loading } from "./loading.js";

/** So many of its lines are named on a card. */
const MOST_LINES = 3;

function resolve(order, way, done) {
  const [act, says] = WAYS[way] ?? [words(way), ""];
  const { step } = stuckIn(order);
  const { currency } = order.total;
  const more = [];
  const amount = (required, hint) => ({
    name: "amount", label: `Amount, ${currency}`, required, hint,
    wrong: (text) => (readAmount(text, order.total) === null ? `“${text.trim()}” is no amount in ${currency}: write it as ${money(order.total)}.` : ""),
  });
  const taken = order.stuck?.told;
  if (way === "paid") more.push(amount(true, `It must be the order’s total: ${money(order.total)}.`));
  if (way === "refunded") more.push(amount(false, `May be left out: then it is ${taken ? `what the provider says that it took, ${money(taken)}` : `the order’s total, ${money(order.total)}`}.`));
  if (way === "paid" || way === "refunded") more.push({ name: "reference", label: "Reference", required: true, hint: "Where it stands in the provider’s or the bank’s books." });
  askWhy({
    title: act,
    about: order.id,
    says: way === "retry" ? `Asked for once more: ${step}. ${says}` : says,
    more,
    reason: "note",
    act,
    send({ note, amount, reference }) {
      const body = { as: way, note };
      if (amount?.trim()) body.amount = { amount: readAmount(amount, order.total), currency };
      if (reference?.trim()) body.reference = reference.trim();
      return { path: `v1/admin/orders/${encodeURIComponent(order.id)}/resolve`, body };
    },
    done: () => done(order.id, `${WAYS[way]?.[2] ?? words(way)}${way === "retry" ? ` ${step}` : ""}.`),
  });
}

/** What was bought, as far as it fits on a card. */
function goods(lines) {
  const named = lines.slice(0, MOST_LINES).map(({ quantity, title }) => el("p", {}, `${count(quantity)} × `, bdi(title)));
  return lines.length > MOST_LINES ? [...named, el("p", { class: "soft" }, `and ${count(lines.length - MOST_LINES)} more`)] : named;
}

function item(order, done) {
  const facts = el("dl", { class: "facts" });
  const why = el("p");
  const out = el("p");
  const does = el("div", { class: "does" });
  const element = el("li", { class: "card item" }, el("header", {}, el("h2", {}, actorLink("order", order.id)), el("span", { class: "pill bad" }, words(order.stuck?.why ?? "stuck"))), why, out, facts, does);
  let latest = order;
  return {
    element,
    update(now) {
      latest = now;
      const stuck = now.stuck ?? {};
      const said = stuckIn({ ...now, stuck });
      say(why, said.why);
      say(out, said.out);
      out.hidden = !said.out;
      const rows = [["for", span(Math.max(0, Date.now() - moment(stuck.since)))], ["since", when(stuck.since)], ["total", money(now.total)]];
      if (stuck.told) rows.push(["the provider took", money(stuck.told)]);
      if (stuck.given_back !== undefined) rows.push(["given back", stuck.given_back ? "yes" : "no"]);
      if (stuck.reason) rows.push([stuck.vendor_id ? "the vendor says" : "the provider says", bdi(stuck.reason)]);
      if (now.payment?.method) rows.push(["paid with", bdi(words(now.payment.method))]);
      const lines = (now.lines ?? []).filter(({ vendor_id }) => !stuck.vendor_id || vendor_id === stuck.vendor_id);
      if (lines.length > 0) rows.push(["bought", goods(lines)]);
      if (stuck.vendor_id) rows.push(["vendor", actorLink("vendor", stuck.vendor_id, short(stuck.vendor_id))]);
      facts.replaceChildren(...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
      keep(does, may("money.edit") ? (stuck.resolve_as ?? []) : [], (way) => way, (way) => {
        const button = el("button", { type: "button", class: "little", on: { click: () => resolve(latest, way, done) } });
        return { element: button, update: () => say(button, way === "retry" ? `Try again: ${stuckIn({ ...latest, stuck: latest.stuck ?? {} }).step}` : WAYS[way]?.[0] ?? words(way)) };
      });
    },
  };
}

export default {
  build() {
    const list = el("ul", { class: "items" });
    const none = el("p", { class: "card none", hidden: true }, "No order is stuck.");
    const more = el("p", { class: "more", hidden: true });
    const next = el("button", { type: "button", class: "little", hidden: true }, "Further ones");
    const freed = el("p", { class: "card freed", hidden: true });
    const cursors = [""];
    /** What was done stays told: the card that it was done on goes. */
    const done = (id, what) => {
      freed.hidden = false;
      freed.replaceChildren("Order ", actorLink("order", id), ` ${what}`);
      load.again();
    };
    const load = loading({
      every: 5_000,
      load: (signal) => get(`v1/admin/orders/stuck?limit=${ROWS}${cursors.at(-1) ? `&cursor=${cursors.at(-1)}` : ""}`, signal),
      show({ items, next_cursor }) {
        keep(list, items, ({ id }) => id, (order) => item(order, done));
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
        el("div", { class: "view-head" }, el("div", {}, el("h1", {}, "Stuck orders"), el("p", { class: "soft" }, "Each keeps its stock held until somebody has looked outside, at the payment provider or the bank. The shop goes on without it."))),
        may("money.edit") ? null : el("p", { class: "none" }, "Freeing them takes the permission ", code("money.edit"), "."),
        freed, load.element, none, list, el("p", { class: "does" }, next, more)),
      destroy: load.destroy,
    };
  },
};
