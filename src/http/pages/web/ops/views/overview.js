// Everything at once: what is wrong first, then the tiles.

import { announce, el, keep, mark, say } from "../../shared/dom.js";
import { isYoung, span } from "../happened.js";
import { tiles } from "../tiles/index.js";

/** So many troubles are shown; whoever has more begins with these. */
const MOST_TROUBLES = 8;

function trouble(first) {
  const what = el("h3", {});
  const todo = el("p");
  const link = el("a", { hidden: true });
  const see = el("p", { class: "see" });
  const element = el("li", { class: `trouble ${first.level}` }, what, todo, el("p", { class: "small" }, link), see);
  return {
    element,
    update(one) {
      say(what, one.what);
      say(todo, one.todo);
      link.hidden = !one.href;
      link.parentElement.hidden = !one.href;
      if (one.href) link.setAttribute("href", one.href);
      say(link, one.act ?? "See it");
      see.hidden = !one.see;
      say(see, `Alarm: ${one.see}`);
    },
  };
}

export default {
  build() {
    const list = el("ul");
    const young = el("span", { class: "soft" });
    const calm = el("p", { class: "calm" }, el("span", { class: "dot good", "aria-hidden": "true" }), el("strong", {}, "Nothing needs you."), el("span", {}, "All that is watched is as it should be. ", young));
    const more = el("p", { class: "more", hidden: true });
    const heading = el("h1", { class: "unseen" }, "Overview");
    const troubles = el("section", { class: "troubles", "aria-label": "What needs you" }, calm, list, more);
    troubles.hidden = true;
    let said = null;

    const made = tiles.map((tile) => {
      const note = el("span", { class: "soft" });
      const heading = el("h2", { id: `tile-${tile.name}` }, tile.title);
      const built = tile.build();
      const element = el("section", { class: `card tile${tile.wide ? " wide" : ""}`, "aria-labelledby": `tile-${tile.name}`, hidden: true }, el("header", {}, heading, note), built.body);
      const fault = el("p", { class: "wrong", hidden: true });
      element.append(fault);
      return { tile, built, element, note, fault };
    });

    // A tile spans as many rows as it is high.
    const sized = new ResizeObserver((entries) => {
      const gap = parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.9;
      for (const { target } of entries) target.style.gridRowEnd = `span ${Math.ceil((target.offsetHeight + gap) / 2)}`;
    });
    for (const { element } of made) sized.observe(element);

    return {
      title: "overview",
      element: el("div", {}, heading, troubles, el("div", { class: "tiles" }, made.map(({ element }) => element))),
      update(look) {
        const found = [];
        for (const { tile, built, element, note, fault } of made) {
          const data = look.tiles[tile.needs];
          element.hidden = !data;
          if (!data) continue;
          let wrong = [];
          try {
            built.update(data, look);
            if (built.note) say(note, built.note(data));
            wrong = tile.troubles?.(data, look) ?? [];
            fault.hidden = true;
          } catch (error) {
            // A fault of this tile is none of the others'.
            if (fault.hidden) console.error(tile.name, error);
            say(fault, `This tile cannot show what the server sends: ${error.message}. What stands here is old.`);
            fault.hidden = false;
          }
          mark(element, wrong.some(({ level }) => level === "bad") ? "bad" : wrong.length > 0 ? "warn" : "");
          found.push(...wrong);
        }
        found.sort((one, other) => Number(other.level === "bad") - Number(one.level === "bad") || (other.first ?? 0) - (one.first ?? 0));
        troubles.hidden = false;
        calm.hidden = found.length > 0;
        say(young, isYoung() ? `It counts since it was started, in ${span()}: what was before it does not know.` : "");
        list.hidden = found.length === 0;
        // A figure in it may tick; what it is about does not.
        const about = ({ level, what }) => `${level} ${what.replace(/[\d.,]+/g, "#")}`;
        keep(list, found.slice(0, MOST_TROUBLES), about, trouble);
        more.hidden = found.length <= MOST_TROUBLES;
        say(more, `and ${found.length - MOST_TROUBLES} more, marked at their tiles`);
        const now = found.map(about).join("\n");
        if (said !== null && said !== now) announce(found.length === 0 ? "Nothing needs you any more." : `${found.length} ${found.length === 1 ? "thing needs" : "things need"} you: ${found[0].what}`);
        said = now;
      },
      destroy() {
        sized.disconnect();
        for (const { built } of made) built.destroy?.();
      },
    };
  },
};
