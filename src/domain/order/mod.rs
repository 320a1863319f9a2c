//! An order and its checkout: the saga that holds stock at every vendor, takes the payment, and either sells what is held or
//! gives everything back.
//!
//! ```text
//! Reserving ──all held, total as expected──▶ Paying ──charged──▶ Settling ──stock sold──▶ Settled
//!     │ refused, other total, cancelled        │ declined ─────────────┐
//!     │                                        │ cancelled, too late   │
//!     │                                        ▼                       │
//!     │                                     Voiding ──undone───────────┤
//!     └────────────────────────────────────────────────────────────────┴▶ Releasing ──▶ Reopening ──▶ Ended
//! ```
//!
//! Every arrow is an event; what a phase waits for is an outstanding effect. So a crash at any point loses nothing: the state says
//! what to send again, and every receiver takes a repeated message for what it is. A paid order tells its cart to close and waits for
//! no answer: a cart that has not heard of it places its order again, and is told again.

mod resolve;
mod state;
mod types;
mod view;

pub use state::{HoldState, Phase};
pub use types::*;

use super::cart::{CartCommand, CartLine, SkuPrice};
use super::entity::{
    Asks, Checks, Decides, Delta, Effect, EffectKey, FOR_SOMEONE, Keeps, Message, Part, PaymentCall, Principal,
    Publication, RestoreError, Step, read_own, write_part,
};
use super::ids::{EntityId, Kind, OrderId, VendorId};
use super::invariants::Breach;
use super::money::{self, Money};
use super::reject::Reject;
use super::rows::Rows;
use super::time::Timestamp;
use super::vendor::{HeldLine, VendorCommand, WantedLine};
use crate::limits;
use serde::{Deserialize, Serialize};
use state::{Body, SubOrder};
use uuid::Uuid;

/// An order's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    id: OrderId,
    body: Option<Body>,
}

impl Order {
    /// Where the saga stands; `None` before the order came into being.
    pub fn phase(&self) -> Option<Phase> {
        self.body.as_ref().map(|body| body.phase)
    }

    /// How far it is with each of its vendors. What is shown to people does not tell what is held for a paid order from what it was sold.
    pub fn holds(&self) -> impl Iterator<Item = (VendorId, HoldState)> {
        self.body.iter().flat_map(|body| &body.sub_orders).map(|sub| (sub.vendor, sub.hold))
    }

    /// Its status; `None` before it came into being.
    pub fn status(&self) -> Option<OrderStatus> {
        self.body.as_ref().map(|body| body.status)
    }

    fn hold_state(&self, vendor: VendorId) -> Option<HoldState> {
        self.body.as_ref().and_then(|body| body.hold(vendor))
    }

    /// A vendor that refused may hold all the same: when the request was sent again before its refusal arrived, and stock came
    /// in between. Nothing else would end that hold before its time.
    fn give_back_stray_hold(&self, vendor: VendorId) -> Option<Message> {
        let body = self.body.as_ref()?;
        let stray = match body.hold(vendor) {
            Some(HoldState::Refused) => true,
            Some(HoldState::Unanswered) => !body.status.is_paid(),
            _ => false,
        };
        let command = VendorCommand::Release { order: self.id, until: body.hold_until };
        stray.then_some(Message::Vendor { id: vendor, command })
    }

    fn seen(&self, by: Principal) -> Result<&Body, Reject> {
        self.body.as_ref().filter(|body| body.may_see(by)).ok_or(Reject::OrderUnknown)
    }

    /// What a paid order tells its cart, which shows from then on what was charged.
    fn close_cart(&self, body: &Body) -> CartCommand {
        let price = |line: &OrderLine| SkuPrice { sku: line.sku, unit_price: line.unit_price };
        CartCommand::Close { order: self.id, prices: body.lines.iter().map(price).collect() }
    }

    fn call(&self, body: &Body) -> PaymentCall {
        PaymentCall {
            order: self.id,
            amount: Money::new(body.total, body.currency),
            method: body.payment.method.clone(),
            token: body.payment.token.clone(),
            not_after: body.payment_due_at,
        }
    }

    fn decide_cancel(&self, by: Principal) -> Result<Vec<OrderEvent>, Reject> {
        let body = self.seen(by)?;
        if matches!(by, Principal::Vendor(_)) {
            return Err(Reject::OrderUnknown);
        }
        match body.phase {
            Phase::Reserving | Phase::Paying => Ok(vec![OrderEvent::CancelRequested]),
            Phase::Voiding(end) | Phase::Releasing(end) | Phase::Reopening(end) if end == OrderStatus::Cancelled => {
                Ok(Vec::new())
            }
            Phase::Ended if body.status == OrderStatus::Cancelled => Ok(Vec::new()),
            _ => Err(Reject::OrderNotCancellable { status: body.status }),
        }
    }

    /// All vendors but `vendor` hold already, and `vendor` now does: the total is known.
    fn decide_held(body: &Body, vendor: VendorId, lines: &[HeldLine]) -> Vec<OrderEvent> {
        let mut events = vec![OrderEvent::StockHeld { vendor, lines: lines.to_vec() }];
        if body.sub_orders.iter().all(|sub| sub.vendor == vendor || sub.hold == HoldState::Held) {
            let price = |line: &OrderLine| {
                lines.iter().find(|held| held.sku == line.sku).map_or(line.unit_price, |held| held.unit_price)
            };
            let total = money::sum(body.lines.iter().map(|line| line.quantity.saturating_mul(price(line))));
            if total == body.expected_total {
                events.extend([OrderEvent::Priced { total }, OrderEvent::PaymentRequested]);
            } else {
                events.push(OrderEvent::PriceDiffered { actual_total: total });
            }
        }
        events
    }
}

impl Decides for Order {
    const KIND: Kind = Kind::Order;
    const UNKNOWN: Reject = Reject::OrderUnknown;
    type Id = OrderId;
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Reply = OrderReply;

    fn new(id: OrderId) -> Self {
        Self { id, body: None }
    }

    fn decide(&self, command: &OrderCommand, now: Timestamp) -> Result<Vec<OrderEvent>, Reject> {
        let Some(body) = &self.body else {
            return match command {
                OrderCommand::Place { placement } => Ok(vec![OrderEvent::Placed {
                    hold_until: now.plus_millis(placement.hold_ms),
                    payment_due_at: now.plus_millis(placement.payment_ms),
                    placement: placement.clone(),
                }]),
                // Who awaits an order has its id from the cart: should its placing come late, the question waits for it.
                OrderCommand::HoldDue { .. } | OrderCommand::Tick | OrderCommand::Await { .. } => Ok(Vec::new()),
                _ => Err(Reject::OrderUnknown),
            };
        };
        let nothing = Ok(Vec::new());
        match (command, body.phase) {
            (OrderCommand::StockHeld { vendor, lines }, Phase::Reserving)
                if body.hold(*vendor) == Some(HoldState::Asked) =>
            {
                Ok(Self::decide_held(body, *vendor, lines))
            }
            (OrderCommand::StockRefused { vendor, reason }, Phase::Reserving)
                if body.hold(*vendor) == Some(HoldState::Asked) =>
            {
                Ok(vec![OrderEvent::StockRefused { vendor: *vendor, reason: reason.clone() }])
            }
            (OrderCommand::Charged { amount }, Phase::Paying) => Ok(body.decide_moved(*amount, false)),
            (OrderCommand::Declined { reason }, Phase::Paying) => {
                Ok(vec![OrderEvent::PaymentFailed { reason: reason.clone() }])
            }
            (OrderCommand::Voided, Phase::Voiding(_)) => Ok(vec![OrderEvent::PaymentVoided]),
            (OrderCommand::Refunded { amount }, Phase::Voiding(_)) => Ok(body.decide_moved(*amount, true)),
            (OrderCommand::VoidRefused { reason, taken }, Phase::Voiding(_)) => {
                Ok(vec![OrderEvent::VoidRefused { reason: reason.clone(), taken: *taken }])
            }
            (OrderCommand::StockCommitted { vendor }, phase)
                if matches!(
                    (phase, body.hold(*vendor)),
                    (Phase::Settling, Some(HoldState::Held)) | (Phase::Settled, Some(HoldState::Unanswered))
                ) =>
            {
                Ok(vec![OrderEvent::StockCommitted { vendor: *vendor }])
            }
            (OrderCommand::StockReleased { vendor }, phase)
                if matches!(
                    (phase, body.hold(*vendor)),
                    (Phase::Releasing(_), Some(HoldState::Held | HoldState::Asked))
                        | (Phase::Reopening(_) | Phase::Ended, Some(HoldState::Unanswered))
                ) =>
            {
                Ok(vec![OrderEvent::StockReleased { vendor: *vendor }])
            }
            (OrderCommand::StepFailed { vendor, reason }, Phase::Settling | Phase::Releasing(_)) => {
                Ok(vec![OrderEvent::Quarantined { vendor: *vendor, reason: reason.clone() }])
            }
            (OrderCommand::CartReopened, Phase::Reopening(status)) => {
                Ok(vec![OrderEvent::CartReopened, OrderEvent::Ended { status }])
            }
            (OrderCommand::Tick, Phase::Reserving | Phase::Paying) if now >= body.payment_due_at => {
                Ok(vec![OrderEvent::PaymentDeadlinePassed])
            }
            (OrderCommand::Cancel { by }, _) => self.decide_cancel(*by),
            (OrderCommand::Resolve { by: Principal::Staff, resolution }, _) => body.decide_resolve(resolution, now),
            (OrderCommand::Resolve { .. }, _) => Err(Reject::OrderUnknown),
            (OrderCommand::Get { by } | OrderCommand::GetTimeline { by } | OrderCommand::Await { by, .. }, _) => {
                self.seen(*by).map(|_| Vec::new())
            }
            // Everything else comes late, or again: it was taken care of.
            _ => nothing,
        }
    }

    fn apply(&mut self, event: &OrderEvent, at: Timestamp) {
        if let OrderEvent::Placed { placement, hold_until, payment_due_at } = event {
            let mut body = Body::placed(placement, *hold_until, *payment_due_at, at);
            body.note(at, "placed").amount = Some(body_total(placement));
            self.body = Some(body);
            return;
        }
        let Some(body) = &mut self.body else { return };
        match event {
            OrderEvent::Placed { .. } => {}
            OrderEvent::StockHeld { vendor, lines } => {
                body.set_hold(*vendor, HoldState::Held);
                body.take_prices(lines);
                body.note(at, "stock_held").vendor = Some(*vendor);
            }
            OrderEvent::StockRefused { vendor, reason } => {
                body.set_hold(*vendor, HoldState::Refused);
                body.rejection = Some(reason.clone());
                body.start_ending(OrderStatus::Rejected);
                let entry = body.note(at, "stock_refused");
                entry.vendor = Some(*vendor);
                entry.reason = Some(reason.code().to_owned());
            }
            OrderEvent::Priced { total } => {
                body.total = *total;
                body.note(at, "priced").amount = Some(*total);
            }
            OrderEvent::PriceDiffered { actual_total } => {
                let actual_total = Money::new(*actual_total, body.currency);
                body.rejection = Some(Reject::PriceChanged { actual_total });
                body.start_ending(OrderStatus::Rejected);
                body.note(at, "price_changed").amount = Some(actual_total.minor);
            }
            OrderEvent::PaymentRequested => {
                body.phase = Phase::Paying;
                body.status = OrderStatus::AwaitingPayment;
                body.payment_status = PaymentStatus::Pending;
                body.note(at, "payment_requested");
            }
            OrderEvent::Paid { amount } => {
                body.phase = Phase::Settling;
                body.status = OrderStatus::Paid;
                body.payment_status = PaymentStatus::Captured;
                body.paid = body.paid.saturating_add(*amount);
                body.note(at, "paid").amount = Some(*amount);
            }
            OrderEvent::PaymentFailed { reason } => {
                body.payment_status = PaymentStatus::Declined;
                body.start_ending(OrderStatus::PaymentFailed);
                body.note(at, "payment_failed").reason = Some(reason.clone());
            }
            OrderEvent::CancelRequested => {
                match body.phase {
                    Phase::Paying => body.phase = Phase::Voiding(OrderStatus::Cancelled),
                    _ => {
                        body.rejection = Some(Reject::OrderCancelled);
                        body.start_ending(OrderStatus::Cancelled);
                    }
                }
                body.note(at, "cancel_requested");
            }
            OrderEvent::PaymentDeadlinePassed => {
                match body.phase {
                    Phase::Paying => body.phase = Phase::Voiding(OrderStatus::Expired),
                    _ => {
                        body.rejection = Some(Reject::OrderExpired);
                        body.start_ending(OrderStatus::Expired);
                    }
                }
                body.note(at, "payment_deadline_passed");
            }
            OrderEvent::PaymentVoided => {
                body.payment_status = PaymentStatus::Voided;
                body.note(at, "payment_voided");
                if let Phase::Voiding(end) = body.phase {
                    body.start_ending(end);
                }
            }
            OrderEvent::PaymentRefunded { amount, told } => {
                body.payment_status = PaymentStatus::Refunded;
                body.paid = body.paid.saturating_add(*amount);
                body.refunded = body.refunded.saturating_add(*amount);
                let entry = body.note(at, "payment_refunded");
                entry.amount = Some(told.map_or(*amount, |told| told.minor));
                entry.currency = told.map(|told| told.currency);
                if let Phase::Voiding(end) = body.phase {
                    body.start_ending(end);
                }
            }
            OrderEvent::StockCommitted { vendor } => {
                body.set_hold(*vendor, HoldState::Committed);
                body.note(at, "stock_committed").vendor = Some(*vendor);
                body.settle_when_done();
            }
            OrderEvent::StockReleased { vendor } => {
                body.set_hold(*vendor, HoldState::Released);
                body.note(at, "stock_released").vendor = Some(*vendor);
                if let Phase::Releasing(end) = body.phase {
                    body.start_ending(end);
                }
            }
            OrderEvent::CartClosed | OrderEvent::CartReopened => {}
            OrderEvent::Ended { status } => {
                body.phase = Phase::Ended;
                body.status = *status;
                body.cancelled = body.total.saturating_sub(body.paid.saturating_sub(body.refunded));
                body.note(at, status.name());
            }
            OrderEvent::Quarantined { vendor, reason } => {
                let reason = reason.code().to_owned();
                body.quarantine(at, Trouble::StepFailed { vendor: *vendor, reason });
            }
            OrderEvent::PaymentDiffered { told, given_back } => {
                body.quarantine(at, Trouble::AmountDiffers { told: *told, given_back: *given_back });
            }
            OrderEvent::VoidRefused { reason, taken } => {
                body.quarantine(at, Trouble::VoidRefused { reason: reason.clone(), taken: *taken });
            }
            OrderEvent::Resolved { resolution } => body.resolve(resolution, at),
        }
    }

    fn reply(&self, command: &OrderCommand, _recorded: bool) -> Option<Result<OrderReply, Reject>> {
        let shown = |by: Principal| {
            let order = self.view(by).ok_or(Reject::OrderUnknown)?;
            Ok(OrderReply::Order { order: Box::new(order) })
        };
        match command {
            OrderCommand::Get { by } | OrderCommand::Cancel { by } | OrderCommand::Resolve { by, .. } => {
                Some(shown(*by))
            }
            OrderCommand::Await { by, milestone } => {
                let body = self.body.as_ref()?;
                let reached = match milestone {
                    Milestone::Held => body.status != OrderStatus::Placed,
                    Milestone::Paid => body.status.is_paid() || body.status.is_end(),
                };
                // An order that came to hold its stock is shown; one that never did was a refused checkout.
                let refused = || body.rejection.clone().filter(|_| body.status.is_end());
                reached.then(|| refused().map_or_else(|| shown(*by), Err))
            }
            OrderCommand::GetTimeline { by } => Some(self.seen(*by).map(|body| OrderReply::Timeline {
                currency: body.currency,
                entries: match by {
                    Principal::Vendor(vendor) => {
                        let own = |entry: &&TimelineEntry| entry.vendor.is_none_or(|about| about == *vendor);
                        // An amount of the whole order would tell a vendor what the others earn.
                        let shown = |entry: &TimelineEntry| TimelineEntry {
                            amount: entry.amount.filter(|_| entry.vendor.is_some()),
                            currency: entry.currency.filter(|_| entry.vendor.is_some()),
                            ..entry.for_outsiders()
                        };
                        body.timeline.iter().filter(own).map(shown).collect()
                    }
                    Principal::Staff => body.timeline.clone(),
                    Principal::Guest(_) | Principal::Customer(_) => {
                        body.timeline.iter().map(TimelineEntry::for_outsiders).collect()
                    }
                },
            })),
            _ => Some(Ok(OrderReply::Done)),
        }
    }

    fn respond(&self, command: &OrderCommand, outcome: Result<(), &Reject>) -> Option<Message> {
        let (vendor, until) = match (command, outcome) {
            (OrderCommand::Place { .. }, Ok(())) => {
                // It asks again because it has not heard that it may close.
                let body = self.body.as_ref().filter(|body| matches!(body.phase, Phase::Settling | Phase::Settled))?;
                return Some(Message::Cart { id: body.cart, command: self.close_cart(body) });
            }
            (OrderCommand::HoldDue { vendor, until, .. }, Ok(())) => (*vendor, *until),
            (OrderCommand::StockHeld { vendor, .. }, Ok(())) => {
                return self.give_back_stray_hold(*vendor);
            }
            _ => return None,
        };
        let order = self.id;
        let command = match self.body.as_ref().map(|body| body.phase) {
            // Never placed, or long over: the hold has no owner.
            None | Some(Phase::Ended | Phase::Releasing(_) | Phase::Reopening(_)) => {
                VendorCommand::Release { order, until }
            }
            // What this vendor was to sell it has sold: another hold is the echo of an old request, and selling it would
            // take the stock twice.
            Some(Phase::Settling | Phase::Settled) if self.hold_state(vendor) == Some(HoldState::Committed) => {
                VendorCommand::Release { order, until }
            }
            Some(Phase::Settling | Phase::Settled) => VendorCommand::Commit { order, strict: false },
            // The payment's outcome is not known: the answer comes when it is, as a commit or a release.
            Some(Phase::Reserving | Phase::Paying | Phase::Voiding(_) | Phase::Quarantined) => {
                return None;
            }
        };
        Some(Message::Vendor { id: vendor, command })
    }

    fn publications(&self, events: &[OrderEvent]) -> Vec<Publication> {
        let Some(body) = &self.body else {
            return Vec::new();
        };
        let mut published = Vec::new();
        for event in events {
            let (from, to) = match event {
                OrderEvent::Placed { .. } => (None, OrderStatus::Placed),
                OrderEvent::PaymentRequested => (Some(OrderStatus::Placed), OrderStatus::AwaitingPayment),
                OrderEvent::Paid { .. } => (Some(OrderStatus::AwaitingPayment), OrderStatus::Paid),
                OrderEvent::Ended { status } => {
                    // What was asked for payment was shown as awaiting it.
                    let was = match body.payment_status {
                        PaymentStatus::None => OrderStatus::Placed,
                        _ => OrderStatus::AwaitingPayment,
                    };
                    (Some(was), *status)
                }
                other => {
                    published.extend(self.alarm(body, other));
                    continue;
                }
            };
            published.push(Publication::OrderStatus { from, to });
        }
        published
    }

    fn publications_of_recovery(&self, before: impl FnOnce() -> Option<Self>) -> Vec<Publication> {
        // It is counted under the status that its rows show.
        let Some(before) = before() else { return Vec::new() };
        let (from, to) = (before.status(), self.status());
        to.filter(|_| from != to).map(|to| Publication::OrderStatus { from, to }).into_iter().collect()
    }

    fn is_read(command: &OrderCommand) -> bool {
        matches!(command, OrderCommand::Get { .. } | OrderCommand::GetTimeline { .. } | OrderCommand::Await { .. })
    }
}

impl Asks for Order {
    fn outstanding(&self, now: Timestamp) -> Vec<EffectKey> {
        let Some(body) = &self.body else {
            return Vec::new();
        };
        let vendors = |step: Step, in_state: fn(HoldState) -> bool| {
            let subs = body.sub_orders.iter().filter(move |sub| in_state(sub.hold));
            subs.map(move |sub| EffectKey::new(step, sub.vendor))
        };
        match body.phase {
            Phase::Reserving => vendors(Step::Reserve, |hold| hold == HoldState::Asked).collect(),
            // Past the deadline nothing is charged, also not by a node that was down until then: the timer ends the wait.
            Phase::Paying if now >= body.payment_due_at => Vec::new(),
            Phase::Paying => vec![EffectKey::new(Step::Charge, self.id)],
            Phase::Voiding(_) => vec![EffectKey::new(Step::Void, self.id)],
            Phase::Settling => {
                let commits = vendors(Step::Commit, |hold| hold == HoldState::Held);
                commits.chain([EffectKey::new(Step::Close, body.cart)]).collect()
            }
            // A vendor that was asked and has not answered may hold by the time it hears of the release.
            Phase::Releasing(_) => {
                vendors(Step::Release, |hold| matches!(hold, HoldState::Held | HoldState::Asked)).collect()
            }
            Phase::Reopening(_) => vec![EffectKey::new(Step::Reopen, body.cart)],
            Phase::Settled | Phase::Ended | Phase::Quarantined => Vec::new(),
        }
    }

    fn effect(&self, key: EffectKey) -> Option<Effect> {
        let body = self.body.as_ref()?;
        let vendor = VendorId::from_uuid(Uuid::from_u128(key.target));
        let to_vendor = |command| Effect::Tell(Message::Vendor { id: vendor, command });
        let to_cart = |command| Effect::Tell(Message::Cart { id: body.cart, command });
        let order = self.id;
        Some(match key.step {
            Step::Reserve => to_vendor(VendorCommand::Reserve {
                order,
                until: body.hold_until,
                currency: body.currency,
                lines: body
                    .lines
                    .iter()
                    .filter(|line| line.vendor == vendor)
                    .map(|line| WantedLine { sku: line.sku, quantity: line.quantity })
                    .collect(),
            }),
            Step::Commit => to_vendor(VendorCommand::Commit { order, strict: false }),
            Step::Release => to_vendor(VendorCommand::Release { order, until: body.hold_until }),
            Step::Charge => Effect::Charge(self.call(body)),
            Step::Void => Effect::Void(self.call(body)),
            Step::Close => to_cart(self.close_cart(body)),
            Step::Reopen => to_cart(CartCommand::Reopen { order }),
            Step::Place | Step::AskHold => return None,
        })
    }

    fn timer(&self) -> Option<(Timestamp, OrderCommand)> {
        let body = self.body.as_ref()?;
        matches!(body.phase, Phase::Reserving | Phase::Paying).then_some((body.payment_due_at, OrderCommand::Tick))
    }

    fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self.phase() {
            // It waits for someone, and is found there.
            Some(Phase::Quarantined) => Some(FOR_SOMEONE),
            _ if self.outstanding(now).is_empty() => self.timer().map(|(at, _)| at),
            _ => Some(now),
        }
    }

    fn asks_again(command: &OrderCommand) -> bool {
        matches!(command, OrderCommand::Resolve { resolution, .. } if resolution.verb == ResolveAs::Retry)
    }
}

impl Keeps for Order {
    const KEPT_ANSWERS: usize = limits::IDEMPOTENCY_KEYS_PER_PURCHASE;

    fn has_ended(&self) -> bool {
        matches!(self.phase(), Some(Phase::Settled | Phase::Ended))
    }

    fn delta(&mut self) -> Delta {
        let rows = Rows { orders: self.row().into_iter().collect(), ..Rows::default() };
        Delta { parts: vec![write_part(String::new(), self)], rows, whole: true }
    }

    fn restore(id: OrderId, parts: &[Part]) -> Result<Self, RestoreError> {
        match parts.first() {
            Some(part) => {
                let mut order = read_own(part, id, |order: &Self| order.id)?;
                // Snapshots of early versions: what is sold still waited for the cart to close.
                order.body.iter_mut().for_each(Body::settle_when_done);
                order.body.iter_mut().for_each(Body::recall_quarantine);
                Ok(order)
            }
            None => Ok(Self::new(id)),
        }
    }
}

impl Checks for Order {
    fn summary(&self) -> serde_json::Value {
        self.body.as_ref().map_or(serde_json::Value::Null, |body| {
            serde_json::json!({
                "cart_id": body.cart,
                "attempt": body.attempt,
                "phase": body.phase,
                "status": body.status,
                "payment_status": body.payment_status,
                "currency": body.currency,
                "total_minor": body.total,
                "total_due_minor": body.total_due(),
                "sub_orders": body.sub_orders,
                "rejection": body.rejection.as_ref().map(Reject::code),
                "stuck": body.stuck.as_ref().map(|stuck| &stuck.why),
            })
        })
    }

    fn check(&self) -> Result<(), Breach> {
        let Some(body) = &self.body else {
            return Ok(());
        };
        let breach = |invariant, detail: String| Err(Breach::new(invariant, self.id.entity(), detail));
        let amounts = || {
            format!(
                "total {}, cancelled {}, paid {}, refunded {}",
                body.total, body.cancelled, body.paid, body.refunded
            )
        };
        if [body.total, body.cancelled, body.paid, body.refunded].into_iter().any(money::is_past_64_bits) {
            return breach("amounts_are_sane", amounts());
        }
        let lines = money::sum(body.lines.iter().map(OrderLine::total));
        let shares = money::sum(body.sub_orders.iter().map(|sub| body.vendor_total(sub.vendor)));
        if lines != body.total || shares != body.total {
            return breach("totals_add_up", format!("{}, lines {lines}, shares {shares}", amounts()));
        }
        if body.total_due() < 0 || body.refunded > body.paid {
            return breach("nothing_is_overpaid", amounts());
        }
        if body.status.is_end() && body.total_due() != 0 {
            return breach("nothing_is_due_at_the_end", amounts());
        }
        if body.status.is_paid() && body.paid.saturating_sub(body.refunded) != body.total {
            return breach("a_paid_order_is_paid_once", amounts());
        }
        let sells = |sub: &SubOrder| matches!(sub.hold, HoldState::Committed | HoldState::Unanswered);
        if body.phase == Phase::Settled && !body.sub_orders.iter().all(sells) {
            return breach("a_paid_order_has_its_stock", format!("{:?}", body.sub_orders));
        }
        if (body.phase == Phase::Quarantined) != body.stuck.is_some() {
            return breach("a_quarantine_has_its_reason", format!("{:?}: {:?}", body.phase, body.stuck));
        }
        let lets_go =
            |sub: &SubOrder| matches!(sub.hold, HoldState::Refused | HoldState::Released | HoldState::Unanswered);
        if body.status.is_end() && !body.sub_orders.iter().all(lets_go) {
            return breach("an_ended_order_holds_nothing", format!("{:?}", body.sub_orders));
        }
        Ok(())
    }
}

fn body_total(placement: &Placement) -> i64 {
    money::sum(placement.lines.iter().map(CartLine::total))
}
