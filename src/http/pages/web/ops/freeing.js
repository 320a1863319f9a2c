// What an order is stuck in, in words: what happened, which way leads out, and which step is asked for again.

const PAID = ["paid", "fulfilling", "completed"];

/** What was asked for the undoing of a payment: nothing else ever does. */
const undone = ({ stuck, payment_due_at }) => (payment_due_at && Date.parse(stuck.since) < Date.parse(payment_due_at)
  ? "The order was cancelled, so the provider was asked to undo its payment"
  : "The order was cancelled, or its deadline had passed, so the provider was asked to undo its payment");

const BY_HAND = "Refund it by hand at the provider and say “It was refunded”, or the buyer keeps the goods: say “It was paid”.";

/** `step_failed` and `no_answer` of a vendor, by whether the order is paid. */
function vendors(order, failed) {
  const { reason } = order.stuck;
  const isPaid = PAID.includes(order.status);
  const [step, task] = isPaid ? ["the sale of what is held", "sell what it holds for this paid order"] : ["the release of what is held", "release what it holds for this unpaid order"];
  const seen = { hold_unknown: "The vendor holds nothing for this order: count the stock. ", command_poisoned: "A command panicked twice: the log has why, at the moment above. " }[reason] ?? "";
  return {
    why: failed ? `The vendor cannot ${task}.` : `The vendor has been asked to ${task}, and has not answered for ten minutes.`,
    out: `${seen}Mend that, and try again. If nothing can be done, write it off: ${isPaid ? "the order is settled" : "the cart is opened"}, and nobody waits for the vendor any longer. It keeps what it holds until it is there again and asks.`,
    step,
  };
}

/** What an order is stuck in: `{ why, out, step }`. `step` is what "try again" asks for. */
export function stuckIn(order) {
  const { stuck, payment_due_at } = order;
  const ways = stuck.resolve_as ?? [];
  if (stuck.why === "amount_differs") {
    if (stuck.given_back) return { why: "The provider took another amount than was asked for, and says that it has given it back.", out: "See on the provider’s page that it was sent back, and say “It was refunded”.", step: "the undoing of the payment" };
    const isLate = payment_due_at && Date.now() >= Date.parse(payment_due_at);
    return {
      why: "The provider took another amount than was asked for.",
      out: "Collect the whole sum and say “It was paid”, or send back what was taken and say “It was refunded”. Many at once: was the database taken back from a backup?",
      step: isLate ? "the undoing of the payment, for its deadline has passed" : "the charge",
    };
  }
  if (stuck.why === "void_refused") {
    return {
      why: `${undone(order)}. It will not.`,
      out: stuck.told ? BY_HAND : `See on the provider’s page what was taken. Nothing, and nothing will be: say “It was voided”. Else: ${BY_HAND[0].toLowerCase()}${BY_HAND.slice(1)}`,
      step: "the undoing of the payment",
    };
  }
  if (stuck.why === "step_failed") return vendors(order, true);
  if (ways.includes("write_off")) return vendors(order, false);
  if (ways.includes("voided")) {
    return {
      why: "The provider has not said for ten minutes what became of the payment.",
      out: "It is asked again by itself: is the provider up? If you cannot wait, see on its page what was taken. Nothing, and nothing will be: say “It was voided”. Else send it back and say “It was refunded”.",
      step: "what the provider was asked",
    };
  }
  if (ways.length > 0) return { why: "Its cart has not answered for ten minutes.", out: "It is asked again by itself. If the cart is quarantined, the log says why.", step: "the opening of the cart" };
  return { why: "Nobody has answered for ten minutes.", out: "", step: "the same step" };
}

/** What each way is called, what it does, and what is said of an order that was led out so. */
export const WAYS = {
  retry: ["Try again", "It is asked for at once. Mend what was broken first.", "is asked once more for"],
  voided: ["It was voided", "The order ends unpaid. Make sure that nothing was taken, and nothing will be.", "was freed: voided"],
  refunded: ["It was refunded", "The order ends unpaid. Send back what was taken first; the reference is where it stands.", "was freed: refunded"],
  paid: ["It was paid", "The order is paid, and its stock is sold. Have exactly its total first; amount and reference say so.", "was freed: paid"],
  write_off: ["Write it off", "Nobody waits for the vendor any longer, and what is lost is the shop’s.", "was freed: written off"],
};
