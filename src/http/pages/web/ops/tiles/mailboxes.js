// The actors that have most to do. They enter the list themselves when it becomes much: nothing is searched for.

import { count } from "../../shared/format.js";
import { actorLink, short, table } from "../parts.js";

export default {
  name: "mailboxes",
  title: "Deepest mailboxes",
  needs: "mailboxes",
  build() {
    const boxes = table({
      caption: "Actors with the most messages waiting",
      keyOf: ({ id }) => id,
      none: "No actor has much to do.",
      columns: [
        { head: "actor", make: ({ kind, id }) => ({ element: actorLink(kind, id, short(id)) }) },
        { head: "messages", cell: ({ depth }) => count(depth) },
      ],
    });
    return {
      body: [boxes.element],
      note: (data) => (data.from_depth ? `from ${count(data.from_depth)} messages on` : ""),
      update: (data) => boxes.set(data.items ?? []),
    };
  },
};
