// What actors are told to do, and what comes of it.

import { rate } from "../../shared/format.js";
import { figures, history, sum } from "../parts.js";

const OUTCOMES = [["done", "done", 2], ["rejected", "refused by a rule", 1], ["repeated", "asked before", 0], ["expired", "too late", 4], ["panicked", "panicked", "bad"]];
const of = (outcome) => ({ actors }) => (actors ? sum(actors.items, ({ per_second }) => per_second?.[outcome]) : null);

export default {
  name: "commands",
  title: "Commands",
  needs: "actors",
  build() {
    const shown = figures([["all", "commands"], ["parked", "waiting for an actor", true]]);
    const drawn = history({
      about: "Commands per second over the last minutes, by outcome",
      unit: "commands per second",
      show: rate,
      series: OUTCOMES.map(([name, label, key], n) => ({ label, key, name: `commands.${name}`, of: of(name), fill: n === 0 })),
    });
    return {
      body: [shown.element, drawn.element],
      update(data, { tiles }) {
        shown.set("all", rate(sum(OUTCOMES, ([name]) => of(name)(tiles))), "/ s");
        shown.set("parked", rate(data.requests_parked), "requests");
        drawn.update();
      },
    };
  },
};
