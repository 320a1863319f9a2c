// Why requests are refused before anything is done for them.

import { el } from "../../shared/dom.js";
import { count, rate, words } from "../../shared/format.js";
import { OVER, each, lately, often } from "../happened.js";
import { figures, history, known, table } from "../parts.js";
import { steady } from "../steady.js";

/** What each reason means, and what to do about it. */
const MEANS = {
  activations: ["Too many actors are being read from the store at once.", "Is the store slow? Look at the database and the log writer."],
  answers_waiting: ["Too many requests wait for an answer.", "Answers wait for commits: look at the log writer’s commit time."],
  checkpoint: ["The checkpoint is too far behind the journal.", "The store writes too slowly. Look at the checkpoint and the database."],
  mailbox: ["A mailbox is full: one actor is asked more than it can do.", "“Deepest mailboxes” says which. It is most often the vendor of a hot product."],
  parked: ["Too many requests wait for actors that are being read.", "Is the store slow? Look at the database."],
  payment_provider: ["A payment provider is silent, so no checkout that needs it is taken.", "See “Payments”. Checkouts come back by themselves when it answers."],
  quota: ["Nothing to do: this is intended, and other buyers notice nothing.", "Each of these checkouts would have given a buyer more than 5 unpaid orders or 50 unpaid pieces, or an address more than 500 unpaid orders; or 10 of its buyer’s were cancelled, declined or not paid in time within 15 minutes."],
  records_in_flight: ["Too many records wait to be written.", "Commits are slow: look at the log writer and the database."],
  store: ["The store takes nothing.", "Look at the database first."],
  vendor_share: ["One vendor has its full share of what is under way.", "This is intended: one sale is not to stop the others."],
};

/** A reason in the words of this page; those of the server are words of its settings. */
const named = (reason) => ({ quota: "buyer’s limit", vendor_share: "vendor’s limit" })[reason] ?? words(reason);

/** What connections took too long at. */
const TIMED_OUT = { answer: "answers not read in time", head: "requests not sent in time", idle: "nothing asked for long" };
/** Whoever asks nothing any more is let go, as is meant. */
const isTrouble = ({ key }) => key !== "timed out idle";

export default {
  name: "sheds",
  title: "Refused at a limit",
  needs: "sheds",
  build() {
    const shown = figures([["all", "refused at a limit"], ["limited", "asked too often", true], ["connections", "connections refused", true]]);
    const drawn = history({
      about: "Requests refused at a limit per second, over the last minutes",
      unit: "refusals per second",
      show: rate,
      series: [
        { label: "at a limit", key: "warn", name: "sheds.limits", of: ({ sheds }) => known(sheds?.reasons, ({ per_second }) => per_second), fill: true },
        { label: "asked too often", key: 4, name: "sheds.limited", of: ({ sheds }) => known(sheds?.rate_limited, ({ per_second }) => per_second) },
      ],
    });
    const reasons = table({
      caption: "Requests refused at a limit, and what else was refused, by reason",
      keyOf: ({ key }) => key,
      none: "Nothing has been refused.",
      columns: [
        { head: "reason", make: ({ said, key }) => ({ element: el("span", { title: MEANS[key]?.[0] ?? null }, said) }) },
        { head: "per s", cell: ({ per_second }) => rate(per_second), level: (one) => (one.per_second > 0 && isTrouble(one) ? "warn" : "") },
        { head: "15 min", cell: (one) => count(lately(one.count, one.reason)), level: (one) => (lately(one.count, one.reason) > 0 && isTrouble(one) ? "warn" : "") },
        { head: "in all", rare: true, cell: ({ total }) => count(total) },
      ],
    });
    return {
      body: [shown.element, drawn.element, reasons.element],
      update(data) {
        const limited = data.rate_limited ?? [];
        shown.set("all", rate(data.per_second), "/ s", data.per_second > 0 ? "warn" : "");
        shown.set("limited", rate(known(limited, ({ per_second }) => per_second)), "/ s");
        shown.set("connections", count(data.connections_refused), "", lately("connections_refused") > 0 ? "warn" : "");
        drawn.update();
        const rows = [
          ...(data.reasons ?? []).map((one) => ({ ...one, count: "requests_shed", key: one.reason, said: named(one.reason) })),
          ...limited.map((one) => ({ ...one, count: "rate_limited", key: `class ${one.reason}`, said: `asked too often: ${words(one.reason)}` })),
          ...(data.bodies_refused ?? []).map((one) => ({ ...one, count: "bodies_refused", key: `body ${one.reason}`, said: `body: ${words(one.reason)}` })),
          ...(data.answers_given_up ?? []).map((one) => ({ ...one, count: "answers_given_up", key: `answer ${one.reason}`, said: `answers not read: ${words(one.reason)}` })),
          ...(data.connections_timed_out ?? []).map((one) => ({ ...one, count: "connections_timed_out", key: `timed out ${one.reason}`, said: `connections ended: ${TIMED_OUT[one.reason] ?? words(one.reason)}` })),
        ].filter(({ total }) => total > 0);
        rows.sort((one, other) => (other.per_second ?? 0) - (one.per_second ?? 0) || other.total - one.total);
        reasons.set(rows);
      },
    };
  },
  troubles(data) {
    const now = (data.reasons ?? []).map(({ reason }) => ({ reason, pace: steady(`refused ${reason}`) })).filter(({ pace }) => pace > 0).sort((one, other) => other.pace - one.pace);
    const over = each("requests_shed").filter((reason) => !now.some((one) => one.reason === reason));
    const trouble = (reason) => {
      const [means, todo] = MEANS[reason] ?? ["", ""];
      return { todo: `${means} ${todo}`.trim(), see: { mailbox: "HaatMailboxDeep", parked: "HaatRequestsParked", quota: "HaatBuyersAtQuota", vendor_share: "HaatVendorAtShare" }[reason] ?? "HaatShedding" };
    };
    const found = now.map(({ reason, pace }) => ({ ...trouble(reason), level: reason === "store" || reason === "checkpoint" ? "bad" : "warn", what: `${rate(pace)} requests a second are refused at a limit: ${named(reason)}` }));
    for (const reason of over) found.push({ ...trouble(reason), level: "warn", first: OVER, what: `Requests were refused at a limit, ${often("requests_shed", reason)}: ${named(reason)}` });
    for (const at of each("answers_given_up")) found.push({ level: "warn", first: OVER, what: `Answers were given up, ${often("answers_given_up", at)}`, todo: "Clients did not take them, and there was no more room.", see: "HaatAnswersGivenUp" });
    if (lately("connections_timed_out", "answer") > 0) found.push({ level: "warn", first: OVER, what: `Connections were ended, ${often("connections_timed_out", "answer")}: ${TIMED_OUT.answer}`, todo: "A few are people whose network broke off. Many from one address: block it at the gateway.", see: "HaatAnswersNotRead" });
    if (lately("connections_refused") > 0) found.push({ level: "warn", first: OVER, what: `Connections were refused, ${often("connections_refused")}`, todo: "As many were open as may be. Is there a crowd, or does somebody open many?", see: "HaatConnectionsRefused" });
    return found;
  },
};
