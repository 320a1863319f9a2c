// Payment providers: whether they answer, how fast, and what waits for them.

import { el, keep, say } from "../../shared/dom.js";
import { count, rate, span, words } from "../../shared/format.js";
import { OVER, lately, often } from "../happened.js";
import { figures, history, most, pill, table } from "../parts.js";

const ANSWERS = { yes: ["answers", "good"], probed: ["is being tried", "warn"], no: ["gives no answers", "bad"] };
const SLOW_MS = 2_000;
const BAD = ["no_answer", "timed_out", "malformed", "failed"];
const charges = ({ calls }) => calls?.find(({ call }) => call === "charge");

function provider(first) {
  const state = pill("");
  const shown = figures([["p95", "a charge, p95"], ["charges", "charges", true], ["way", "under way", true], ["waiting", "waiting", true], ["oldest", "longest wait", true]]);
  const calls = table({
    caption: `What ${first.method} was asked, and what it answered`,
    keyOf: ({ call, outcome }) => `${call} ${outcome}`,
    none: "It has not been asked yet.",
    columns: [
      { head: "asked", cell: ({ call }) => words(call) },
      { head: "answer", text: true, cell: ({ outcome }) => words(outcome) },
      { head: "per s", cell: ({ per_second }) => rate(per_second), level: ({ outcome, per_second }) => (per_second > 0 && BAD.includes(outcome) ? "bad" : "") },
      { head: "in all", cell: ({ total }) => count(total) },
    ],
  });
  const element = el("section", { class: "stack" }, el("h3", {}, el("bdi", {}, words(first.method)), " ", state.element), shown.element, calls.element);
  return {
    element,
    update(one) {
      state.set(...(ANSWERS[one.answers] ?? [one.answers, ""]));
      const latency = charges(one)?.latency;
      shown.set("p95", span(latency?.p95), "", latency?.p95 > SLOW_MS ? "warn" : "");
      shown.set("charges", rate(latency?.per_second), "/ s");
      shown.set("way", count(one.under_way));
      shown.set("waiting", count((one.queue?.charges ?? 0) + (one.queue?.others ?? 0)), "", one.queue?.charges > 0 ? "warn" : "");
      shown.set("oldest", span(one.queue?.oldest_ms));
      const rows = (one.calls ?? []).flatMap(({ call, outcomes }) => outcomes.map((outcome) => ({ ...outcome, call }))).filter(({ total }) => total > 0);
      rows.sort((a, b) => (b.per_second ?? 0) - (a.per_second ?? 0) || b.total - a.total);
      calls.set(rows);
    },
  };
}

export default {
  name: "payments",
  title: "Payments",
  needs: "payments",
  wide: true,
  build() {
    const drawn = history({
      about: "Time that the slowest provider takes for a charge, over the last minutes",
      unit: "a charge, the slowest provider",
      show: span,
      series: [
        { label: "p50", key: 2, name: "payments.p50", of: ({ payments }) => most(payments?.providers, (one) => charges(one)?.latency?.p50) },
        { label: "p95", key: 3, name: "payments.p95", of: ({ payments }) => most(payments?.providers, (one) => charges(one)?.latency?.p95) },
      ],
    });
    const list = el("div", { class: "providers" });
    const none = el("p", { class: "none" });
    return {
      body: [drawn.element, list, none],
      update(data) {
        const providers = data.providers ?? [];
        keep(list, providers.slice(0, 8), ({ method }) => method, provider);
        none.hidden = providers.length > 0 && providers.length <= 8;
        say(none, providers.length === 0 ? "There is no payment provider." : `and ${providers.length - 8} more`);
        drawn.update();
      },
    };
  },
  troubles(data) {
    const found = [];
    for (const one of data.providers ?? []) {
      const name = words(one.method);
      const p95 = charges(one)?.latency?.p95;
      if (one.answers === "no") found.push({ level: "bad", first: 1, what: `The payment provider “${name}” gives no answers${one.silent_ms ? `, for ${span(one.silent_ms)}` : ""}`, todo: "Checkouts that need it are refused; orders under way wait and are asked about. Call the provider. It is tried again by itself.", see: "HaatPaymentProviderSilent" });
      else if (one.answers === "probed") found.push({ level: "warn", what: `The payment provider “${name}” is being tried again`, todo: "It was silent. When it answers, everything goes on by itself.", see: "HaatPaymentProviderSilent" });
      else if (p95 > SLOW_MS) found.push({ level: "warn", what: `The payment provider “${name}” is slow: the p95 of a charge is ${span(p95)}`, todo: "Buyers wait that long. Call the provider.", see: "HaatPaymentProviderUnsteady" });
      if (one.answers === "yes" && lately("payment_provider_silent", one.method) > 0) found.push({ level: "warn", first: OVER, what: `The payment provider “${name}” was silent, ${often("payment_provider_silent", one.method)}`, todo: "It answers again. Orders that waited go on by themselves; those that do not are stuck, and listed.", see: "HaatPaymentProviderUnsteady" });
      else if (one.answers === "yes" && lately("payments_unanswered", one.method) > 0) found.push({ level: "warn", first: OVER, what: `The payment provider “${name}” gave no answer, ${often("payments_unanswered", one.method)}`, todo: "Whoever waits is asked about again by itself. More of them: call the provider.", see: "HaatPaymentUnanswered" });
      if (one.queue?.oldest_ms > 30_000) found.push({ level: "warn", what: `Calls to “${name}” have waited for ${span(one.queue.oldest_ms)}`, todo: "Held back by its silence, or by --payment-calls-per-second.", see: "HaatPaymentCallsWait" });
    }
    return found;
  },
};
