// The actors of each kind, the deepest mailboxes, and a way to any of them.

import { el } from "../../shared/dom.js";
import { count } from "../../shared/format.js";
import { get } from "../../shared/session.js";
import { actorLink, short, table } from "../parts.js";
import { loading } from "./loading.js";

/** The kind that an id is of stands at its beginning. */
const KINDS = { cart: "cart", order: "order", vendor: "vendor", cust: "customer", customer: "customer" };

export default {
  build() {
    const wrong = el("p", { class: "wrong", role: "alert" });
    const input = el("input", { id: "actor-id", name: "id", spellcheck: "false", autocomplete: "off", autocapitalize: "none", placeholder: "order_…" });
    const form = el("form", { class: "find", role: "search", "aria-label": "Find an actor" }, el("div", {}, el("label", { for: "actor-id" }, "Id of a cart, an order, a vendor or a customer"), input), el("button", { type: "submit", class: "strong" }, "Look at it"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const id = input.value.trim();
      const kind = KINDS[id.split("_")[0]];
      wrong.textContent = kind ? "" : "An id begins with what it is of: cart_, order_, vendor_ or customer_.";
      if (kind) location.hash = `#/actor/${kind}/${encodeURIComponent(id)}`;
    });
    const kinds = table({
      caption: "Actors of each kind",
      keyOf: ({ kind }) => kind,
      most: 20,
      none: "There are none.",
      columns: [
        { head: "kind", cell: ({ kind }) => kind },
        { head: "live", cell: ({ live }) => count(live) },
        { head: "restarts", cell: ({ restarts }) => count(restarts) },
        { head: "left memory", cell: ({ passivations }) => count(passivations) },
      ],
    });
    const deepest = table({
      caption: "The deepest mailboxes",
      keyOf: ({ id }) => id,
      most: 20,
      none: "No actor has much to do.",
      columns: [
        { head: "actor", make: ({ kind, id }) => ({ element: actorLink(kind, id, short(id)) }) },
        { head: "messages", cell: ({ mailbox_depth }) => count(mailbox_depth) },
      ],
    });
    const load = loading({
      every: 3_000,
      load: (signal) => get("v1/admin/actors", signal),
      show({ items }) {
        kinds.set(items);
        const all = items.flatMap(({ kind, deepest }) => deepest.map((one) => ({ ...one, kind })));
        deepest.set(all.sort((one, other) => other.mailbox_depth - one.mailbox_depth));
      },
    });
    return {
      title: "actors",
      element: el("div", { class: "stack" }, el("h1", {}, "Actors"), el("div", { class: "card" }, form, wrong), load.element,
        el("div", { class: "beside" }, el("section", { class: "card tile" }, el("h2", {}, "By kind"), kinds.element), el("section", { class: "card tile" }, el("h2", {}, "Deepest mailboxes"), deepest.element))),
      destroy: load.destroy,
    };
  },
};
