//! An order and its checkout: the saga that holds stock at every vendor, takes the payment, and either sells what is held or
//! gives everything back.
//!
//! ```text
//! Gathering ──all held, total as expected──▶ Paying ──charged──▶ Confirming ──all committed──▶ Settled
//!     │ refused, other total, cancelled        │ declined ─────────────┐
//!     │                                        │ cancelled, or not     │
//!     │                                        │ charged in time       │
//!     │                                        ▼                       │
//!     │                                     Voiding ──undone───────────┤
//!     └────────────────────────────────────────────────────────────────┴▶ Cancelling ──▶ Reopening ──▶ Ended
//! ```
//!
//! Whom it asks to hold something is a leg (`legs/`); what it makes of what it is told stands in `phases`, one function for each phase.
//! That a party has committed is recorded once for all of them (`Settled`): until then each is asked again after a crash, and says it
//! again. What is settled is told to the parties, which remember until then what they have committed.
//!
//! From any phase in which a step can fail for good an order may become `Stuck`, until someone resolves it (`resolve`).
//!
//! Every arrow is an event; what a phase waits for is an outstanding effect. So a crash at any point loses nothing: the state says
//! what to send again, and every receiver takes a repeated message for what it is. A paid order tells its cart to close and waits for
//! no answer: a cart that has not heard of it places its order again, and is told again.

mod apply;
mod bill;
mod booking;
mod cash;
mod claim;
pub(crate) mod columns;
mod correct;
mod coupons;
mod crediting;
mod dispute;
mod event;
mod fulfilment;
mod legs;
mod line;
mod noted;
mod parts;
mod payment;
mod phases;
mod points;
mod refund;
mod resolve;
mod restock;
mod returns;
mod share;
mod shipment;
mod shown;
mod state;
mod status;
mod types;
mod view;
mod waiting;

pub(crate) use bill::no_points;
pub use columns::{OrderColumns, OrderFilter};
pub use coupons::{CountedBy, OrderCoupon, PlacedCoupon, TakenCoupon};
pub use event::OrderEvent;
pub use legs::{Leg, LegState, Party};
pub use points::{PointFacts, PointsShown, Posting};
pub use shown::*;
pub use state::Phase;
pub use types::*;
pub use waiting::{AcceptanceSettings, WaitsFor};

use super::buyer::Claim;
use super::cart::{CartCommand, CartLine, SkuPrice};
use super::coupon::CouponCommand;
use super::customer::{CustomerCommand, PointCommand};
use super::details::{Detail, DetailName};
use super::entity::{
    Asks, Checks, Decides, Delta, Effect, EffectKey, FOR_SOMEONE, Keeps, Message, Part, Principal, Publication,
    RestoreError, Step,
};
use super::ids::{CouponId, CreditId, EntityId, Kind, OrderId, VendorId};
use super::invariants::Breach;
use super::knowledge::Knowledge;
use super::money;
use super::reject::Reject;
use super::room::RoomCommand;
use super::rows::Rows;
use super::time::Timestamp;
use super::vendor::VendorCommand;
use crate::limits;
use legs::Verb;
use parts::Apart;
use serde::{Deserialize, Serialize};
use state::{Body, ShownBefore};

/// An order's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    id: OrderId,
    body: Option<Body>,
    /// What of it stands in parts of its own.
    #[serde(default, skip_serializing_if = "Apart::is_nothing")]
    apart: Apart,
}

impl Order {
    /// Where the saga stands; `None` before the order came into being.
    pub fn phase(&self) -> Option<Phase> {
        self.body.as_ref().map(|body| body.phase)
    }

    /// How far it is with each of its parties. What is shown to people does not tell what is held for a paid order from what it was sold.
    pub fn legs(&self) -> impl Iterator<Item = Leg> {
        self.body.iter().flat_map(|body| &body.legs).copied()
    }

    /// Its status; `None` before it came into being.
    pub fn status(&self) -> Option<OrderStatus> {
        self.body.as_ref().map(|body| body.status)
    }

    /// A party that refused may hold all the same: when the request was sent again before its refusal arrived, and stock came
    /// in between. Nothing else would end that hold before its time.
    fn give_back_stray_hold(&self, party: Party) -> Option<Message> {
        let body = self.body.as_ref()?;
        let stray = match body.leg(party)? {
            LegState::Refused => true,
            LegState::Unanswered => !body.is_sold(),
            // Whoever counts open orders remembers none that is over: a late echo of the question counts it once more.
            LegState::Released => matches!(party, Party::Cash(_)),
            LegState::Asked | LegState::Held | LegState::Committed => false,
        };
        stray.then(|| party.message(self.id, body, Verb::Cancel))
    }

    /// What becomes of a hold whose party asks because its time has passed.
    fn answer_due(&self, party: Party, until: Timestamp, committed: bool) -> Option<Message> {
        let (order, body) = (self.id, self.body.as_ref());
        let release = || Some(party.release(order, until));
        let say = |verb| Some(party.message(order, body?, verb));
        match (body.map(|body| body.phase), committed) {
            // Never placed, or long over: the hold has no owner.
            (None | Some(Phase::Ended | Phase::Cancelling(_) | Phase::Reopening(_)), false) => release(),
            // What this party was to give it has given: another hold is the echo of an old request, and to commit it
            // would take the stock twice.
            (Some(Phase::Confirming | Phase::Settled), false)
                if body?.leg(party) == Some(LegState::Committed) || body?.acknowledged.has(party) =>
            {
                release()
            }
            (Some(Phase::Confirming | Phase::Settled), false) | (Some(Phase::Confirming), true) => say(Verb::Confirm),
            (Some(Phase::Settled), true) => say(Verb::Close),
            // The payment's outcome is not known: the answer comes when it is, as a commit or a release.
            (Some(Phase::Gathering | Phase::Paying | Phase::Voiding(_) | Phase::Stuck), _) => None,
            // Committed for an order that ended unpaid: no answer makes that right, and the audit finds it.
            (None | Some(Phase::Ended | Phase::Cancelling(_) | Phase::Reopening(_)), true) => None,
        }
    }

    /// The vendor may forget the credits that the order has heard of.
    fn close_credits(&self, vendor: VendorId, credits: &[CreditId]) -> Option<Message> {
        let body = self.body.as_ref()?;
        let heard: Vec<CreditId> = credits.iter().copied().filter(|credit| body.has_settled(vendor, *credit)).collect();
        let command = VendorCommand::CloseCredits { order: self.id, credits: heard.clone() };
        (!heard.is_empty()).then_some(Message::Vendor { id: vendor, command })
    }

    /// A party may forget the credits that the order has heard of.
    fn close_returns(&self, with: Party, credits: &[CreditId]) -> Option<Message> {
        let body = self.body.as_ref()?;
        let heard: Vec<CreditId> = credits.iter().copied().filter(|credit| body.has_heard(with, *credit)).collect();
        (!heard.is_empty()).then(|| with.close_returns(self.id, heard)).flatten()
    }

    fn seen(&self, by: Principal) -> Result<&Body, Reject> {
        self.body.as_ref().filter(|body| body.may_see(by)).ok_or(Reject::OrderUnknown)
    }

    /// What a paid order tells its cart, which shows from then on what was charged.
    fn close_cart(&self, body: &Body) -> CartCommand {
        let price = |line: &OrderLine| SkuPrice { sku: line.sku, unit_price: line.unit_price, sale: line.sale };
        CartCommand::Close { order: self.id, prices: body.lines.iter().map(price).collect() }
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
        Self { id, body: None, apart: Apart::default() }
    }

    fn heard(&mut self, command: &OrderCommand, _now: Timestamp) {
        if let Some(body) = &mut self.body {
            body.shown_before = ShownBefore(Some(body.status));
        }
        let party = match command {
            OrderCommand::StockCommitted { vendor } => Party::Stock(*vendor),
            OrderCommand::LegCommitted { with } => *with,
            _ => return,
        };
        if let Some(body) = self.body.as_mut().filter(|body| body.phase == Phase::Confirming) {
            body.acknowledged.note(party);
        }
    }

    fn decide(
        &self,
        command: &OrderCommand,
        knowledge: &Knowledge<'_>,
        now: Timestamp,
    ) -> Result<Vec<OrderEvent>, Reject> {
        match (&self.body, command.plain()) {
            (Some(body), OrderCommand::DisputeTold { told, mint }) => body.decide_dispute(self.id, told, *mint),
            (Some(body), OrderCommand::Tick) if body.phase == Phase::Settled => Ok(body.decide_earn(self.id, now)),
            (Some(body), command) => body.decide(command, knowledge, now),
            (None, OrderCommand::Place { placement, .. }) => Ok(vec![OrderEvent::Placed {
                hold_until: now.plus_millis(placement.hold_ms),
                payment_due_at: now.plus_millis(placement.payment_ms),
                return_days: knowledge.settings.return_days,
                placement: Box::new(Placement { hold_ms: 0, payment_ms: 0, ..Placement::clone(placement) }),
            }]),
            // Who awaits an order has its id from the cart: should its placing come late, the question waits for it.
            (
                None,
                OrderCommand::HoldDue { .. }
                | OrderCommand::LegDue { .. }
                | OrderCommand::Tick
                | OrderCommand::RestockDue { .. }
                | OrderCommand::ReturnDue { .. }
                | OrderCommand::Await { .. },
            ) => Ok(Vec::new()),
            (None, _) => Err(Reject::OrderUnknown),
        }
    }

    fn apply(&mut self, event: &OrderEvent, at: Timestamp) {
        match (event, &mut self.body) {
            (OrderEvent::Placed { placement, hold_until, payment_due_at, return_days }, body) => {
                let placed = body.insert(Body::placed(placement, *hold_until, *payment_due_at, at));
                placed.return_days = *return_days;
                placed.note(at, "placed").amount = Some(placed_total(placement));
            }
            (event, Some(body)) => body.apply(event, at),
            // Nothing happens to an order before it is placed.
            (_, None) => {}
        }
    }

    fn reply(&self, command: &OrderCommand, _recorded: bool) -> Option<Result<OrderReply, Reject>> {
        let shown = |by: Principal| {
            let order = self.view(by).ok_or(Reject::OrderUnknown)?;
            Ok(OrderReply::Order { order: Box::new(order) })
        };
        match command.plain() {
            OrderCommand::Get { by }
            | OrderCommand::Cancel { by }
            | OrderCommand::CancelAll { by, .. }
            | OrderCommand::Credit { by, .. }
            | OrderCommand::Pack { by, .. }
            | OrderCommand::Unpack { by, .. }
            | OrderCommand::HoldShare { by, .. }
            | OrderCommand::ResumeShare { by, .. }
            | OrderCommand::Ship { by, .. }
            | OrderCommand::MoveParcel { by, .. }
            | OrderCommand::AskReturn { by, .. }
            | OrderCommand::MoveReturn { by, .. }
            | OrderCommand::RemitCash { by, .. }
            | OrderCommand::RetryRefund { by, .. }
            | OrderCommand::MarkRefundPaid { by, .. }
            | OrderCommand::Resolve { by, .. } => Some(shown(*by)),
            OrderCommand::PreviewCredit { by, vendor, wanted } => {
                let preview = self.body.as_ref()?.preview(*by, *vendor, wanted);
                Some(preview.map(|preview| OrderReply::Preview { preview }))
            }
            OrderCommand::OpenRefunds => {
                let body = self.body.as_ref()?;
                let (method, calls) = (body.payment.method.clone(), body.open_refunds(self.id));
                Some(Ok(OrderReply::Refunds { method, calls }))
            }
            OrderCommand::OpenWishes => Some(Ok(OrderReply::Wishes { wishes: self.courier_wishes() })),
            OrderCommand::PaymentKnown => {
                let body = self.body.as_ref()?;
                let (payment, refunds) = (Some(Box::new(body.call(self.id))), body.sent_refunds(self.id));
                Some(Ok(OrderReply::Payment { payment, refunds }))
            }
            OrderCommand::Await { by, milestone } => {
                let body = self.body.as_ref()?;
                let reached = match milestone {
                    Milestone::Held => body.status != OrderStatus::Placed,
                    // Whoever waits for the payment is to hear what it waits for.
                    Milestone::Paid => {
                        let needs_buyer =
                            body.phase == Phase::Paying && body.payment_status == PaymentStatus::RequiresAction;
                        body.status.is_paid() || body.status.is_end() || needs_buyer
                    }
                };
                // An order that came to hold its stock is shown; one that never did was a refused checkout.
                let refused = || body.rejection.clone().filter(|_| body.status.is_end());
                reached.then(|| refused().map_or_else(|| shown(*by), Err))
            }
            OrderCommand::GetTimeline { by } => Some(self.seen(*by).map(|body| OrderReply::Timeline {
                currency: body.currency,
                entries: match by {
                    Principal::Member(member) => {
                        let own = |entry: &&TimelineEntry| entry.vendor.is_none_or(|about| about == member.vendor);
                        // An amount of the whole order would tell a vendor what the others earn.
                        let shown = |entry: &TimelineEntry| TimelineEntry {
                            amount: entry.amount.filter(|_| entry.vendor.is_some()),
                            currency: entry.currency.filter(|_| entry.vendor.is_some()),
                            ..entry.for_outsiders()
                        };
                        body.timeline.iter().filter(own).map(shown).collect()
                    }
                    Principal::Staff(_) => body.timeline.clone(),
                    Principal::Guest(_) | Principal::Customer(_) => {
                        body.timeline.iter().map(TimelineEntry::for_outsiders).collect()
                    }
                },
            })),
            _ => Some(Ok(OrderReply::Done)),
        }
    }

    fn respond(&self, command: &OrderCommand, outcome: Result<(), &Reject>) -> Option<Message> {
        match (command, outcome) {
            (OrderCommand::Place { .. }, Ok(())) => {
                // It asks again because it has not heard that it may close.
                let body =
                    self.body.as_ref().filter(|body| matches!(body.phase, Phase::Confirming | Phase::Settled))?;
                Some(Message::Cart { id: body.cart, command: self.close_cart(body) })
            }
            (OrderCommand::HoldDue { vendor, until, committed }, Ok(())) => {
                self.answer_due(Party::Stock(*vendor), *until, *committed)
            }
            (OrderCommand::LegDue { with, until, committed }, Ok(())) => self.answer_due(*with, *until, *committed),
            (OrderCommand::StockHeld { vendor, .. }, Ok(())) => self.give_back_stray_hold(Party::Stock(*vendor)),
            (OrderCommand::LegHeld { with }, Ok(())) => self.give_back_stray_hold(*with),
            (OrderCommand::RestockDue { vendor, credits }, Ok(())) => self.close_credits(*vendor, credits),
            (OrderCommand::ReturnDue { with, credits }, Ok(())) => self.close_returns(*with, credits),
            _ => None,
        }
    }

    fn tells(&self, events: &[OrderEvent]) -> Vec<Message> {
        let Some(body) = self.body.as_ref().filter(|body| body.phase == Phase::Settled) else { return Vec::new() };
        let mut told = Vec::new();
        for event in events {
            match event {
                OrderEvent::Settled => {
                    let is_over = |party: &Party| !matches!(party, Party::Cash(_));
                    let committed = body.parties(&[LegState::Committed]).filter(is_over);
                    told.extend(committed.map(|party| party.message(self.id, body, Verb::Close)));
                    // A room that does not hear it frees the slot by time.
                    let entries = body.buyer.iter().flat_map(|buyer| &buyer.entries);
                    told.extend(entries.map(|entry| Message::Room {
                        id: entry.room,
                        command: RoomCommand::HasBought { slot: entry.slot },
                    }));
                }
                OrderEvent::StockCommitted { vendor } => {
                    told.push(Party::Stock(*vendor).message(self.id, body, Verb::Close));
                }
                OrderEvent::LegCommitted { with: Party::Cash(_) } => {}
                OrderEvent::LegCommitted { with } => told.push(with.message(self.id, body, Verb::Close)),
                OrderEvent::CreditsSettled { vendor, credits } => {
                    let command = VendorCommand::CloseCredits { order: self.id, credits: credits.clone() };
                    told.push(Message::Vendor { id: *vendor, command });
                }
                OrderEvent::LegReturned { with, credits, .. } => {
                    told.extend(with.close_returns(self.id, credits.clone()));
                }
                _ => {}
            }
        }
        told
    }

    fn details(&self, command: &OrderCommand, events: &[OrderEvent]) -> Vec<Detail> {
        match (command, events) {
            (OrderCommand::Place { details: Some(inline), .. }, [OrderEvent::Placed { .. }, ..]) => {
                vec![Detail::contact(self.id, &inline.contact), Detail::payment(self.id, &inline.token)]
            }
            (OrderCommand::Noted { command, words }, [_, ..]) => {
                command.noted(words).map(|note| Detail::note(self.id, &note)).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn publications(&self, events: &[OrderEvent]) -> Vec<Publication> {
        let Some(body) = &self.body else {
            return Vec::new();
        };
        let mut published: Vec<Publication> = events.iter().flat_map(|event| self.alarm(body, event)).collect();
        let is_new = events.iter().any(|event| matches!(event, OrderEvent::Placed { .. }));
        let from = if is_new { None } else { body.shown_before.0 };
        if is_new || from.is_some_and(|from| from != body.status) {
            published.push(Publication::OrderStatus { from, to: body.status });
        }
        published
    }

    fn publications_of_recovery(&self, before: impl FnOnce() -> Option<Self>) -> Vec<Publication> {
        // It is counted under the status that its rows show.
        let Some(before) = before() else { return Vec::new() };
        let (from, to) = (before.status(), self.status());
        to.filter(|_| from != to).map(|to| Publication::OrderStatus { from, to }).into_iter().collect()
    }

    fn claim(&self) -> Option<Claim<'_>> {
        self.taken_of_quotas()
    }

    /// A guest's token opens an order no more that has become a customer's, nor the answers that were kept of it.
    fn is_still_for(&self, command: &OrderCommand) -> bool {
        match (command.plain(), &self.body) {
            (
                OrderCommand::Get { by }
                | OrderCommand::Cancel { by }
                | OrderCommand::CancelAll { by, .. }
                | OrderCommand::Credit { by, .. }
                | OrderCommand::Pack { by, .. }
                | OrderCommand::Unpack { by, .. }
                | OrderCommand::HoldShare { by, .. }
                | OrderCommand::ResumeShare { by, .. }
                | OrderCommand::Ship { by, .. }
                | OrderCommand::MoveParcel { by, .. }
                | OrderCommand::AskReturn { by, .. }
                | OrderCommand::MoveReturn { by, .. }
                | OrderCommand::Await { by, .. },
                Some(body),
            ) => body.may_see(*by),
            _ => true,
        }
    }

    fn is_read(command: &OrderCommand) -> bool {
        matches!(
            command,
            OrderCommand::Get { .. }
                | OrderCommand::GetTimeline { .. }
                | OrderCommand::Await { .. }
                | OrderCommand::PreviewCredit { .. }
                | OrderCommand::PaymentKnown
                | OrderCommand::OpenWishes
        )
    }
}

impl Asks for Order {
    fn outstanding(&self, now: Timestamp) -> Vec<EffectKey> {
        let Some(body) = &self.body else {
            return Vec::new();
        };
        let asks = |verb: Verb, states| body.parties(states).map(move |party| party.key(verb));
        match body.phase {
            Phase::Gathering => asks(Verb::Ask, &[LegState::Asked]).collect(),
            // Past the deadline nothing is charged, also not by a node that was down until then. But what was charged in time counts.
            Phase::Paying if now >= body.payment_due_at => vec![EffectKey::new(Step::LookUp, self.id)],
            // Once it is recorded what is charged, that is another effect: it is sent at once.
            Phase::Paying if body.reference.is_some() => vec![EffectKey::new(Step::ChargePrepared, self.id)],
            Phase::Paying => vec![EffectKey::new(Step::Charge, self.id)],
            Phase::Voiding(_) => vec![EffectKey::new(Step::Void, self.id)],
            Phase::Confirming => {
                let commits = body.unconfirmed().map(|party| party.key(Verb::Confirm));
                commits.chain([EffectKey::new(Step::Close, body.cart)]).collect()
            }
            // A party that was asked and has not answered may hold by the time it hears of the release.
            Phase::Cancelling(_) => asks(Verb::Cancel, &[LegState::Held, LegState::Asked]).collect(),
            Phase::Reopening(_) => vec![EffectKey::new(Step::Reopen, body.cart)],
            Phase::Settled => {
                let restocks = body.to_restock().into_iter().map(|vendor| EffectKey::new(Step::Restock, vendor));
                let returns = body.to_return().into_iter().map(|coupon| EffectKey::new(Step::ReturnUse, coupon));
                let cash = body.cash_to_close().map(|party| party.key(Verb::Close));
                let posts = body.to_post().map(|(customer, _)| EffectKey::new(Step::PostPoints, customer));
                restocks.chain(returns).chain(cash).chain(posts).collect()
            }
            Phase::Ended | Phase::Stuck => Vec::new(),
        }
    }

    fn effect(&self, key: EffectKey) -> Option<Effect> {
        let body = self.body.as_ref()?;
        let order = self.id;
        if let Some((party, verb)) = Party::of_key(key) {
            return Some(Effect::Tell(party.message(order, body, verb)));
        }
        Some(match key.step {
            Step::Charge | Step::ChargePrepared => Effect::Charge(body.call(order)),
            Step::LookUp => Effect::LookUp(body.call(order)),
            Step::Void => Effect::Void { call: body.call(order), attempt: body.refund_attempt() },
            Step::Close => Effect::Tell(Message::Cart { id: body.cart, command: self.close_cart(body) }),
            Step::Reopen => Effect::Tell(Message::Cart { id: body.cart, command: CartCommand::Reopen { order } }),
            Step::Restock => {
                let vendor = VendorId::from_uuid(uuid::Uuid::from_u128(key.target));
                let units = Box::new(body.restock(order, vendor));
                Effect::Tell(Message::Vendor { id: vendor, command: VendorCommand::Restock { units } })
            }
            Step::ReturnUse => {
                let coupon = CouponId::from_uuid(uuid::Uuid::from_u128(key.target));
                let returned = Box::new(body.returned_use(order, coupon));
                Effect::Tell(Message::Coupon { id: coupon, command: CouponCommand::ReturnUse { returned } })
            }
            Step::PostPoints => {
                let (id, postings) = body.to_post()?;
                let (currency, postings) = (body.currency, postings.to_vec());
                let command = PointCommand::PostPoints { order, currency, postings };
                Effect::Tell(Message::Customer { id, command: CustomerCommand::Points(command) })
            }
            Step::Place | Step::AskHold | Step::Merge | Step::AskCredit => return None,
            // They ask a party.
            Step::Reserve | Step::Commit | Step::Release => return None,
            Step::HoldUse | Step::CommitUse | Step::ReleaseUse => return None,
            Step::OpenCash | Step::KeepCash | Step::DropCash | Step::CloseCash => return None,
            Step::HoldPoints | Step::SpendPoints | Step::ReleasePoints => return None,
        })
    }

    fn timer(&self) -> Option<(Timestamp, OrderCommand)> {
        let body = self.body.as_ref()?;
        let at = match body.phase {
            Phase::Gathering | Phase::Paying => Some(body.payment_due_at),
            Phase::Settled => body.earns_at(),
            _ => None,
        };
        at.map(|at| (at, OrderCommand::Tick))
    }

    fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self.phase() {
            // It waits for someone, and is found there.
            Some(Phase::Stuck) => Some(FOR_SOMEONE),
            _ if self.outstanding(now).is_empty() => match self.body.as_ref().and_then(Body::missing_cash) {
                Some(_) => Some(FOR_SOMEONE),
                None => self.timer().map(|(at, _)| at),
            },
            _ => Some(now),
        }
    }

    fn asks_again(command: &OrderCommand) -> bool {
        matches!(command, OrderCommand::Resolve { resolution, .. } if resolution.verb == ResolveAs::Retry)
    }
}

impl Keeps for Order {
    const KEPT_ANSWERS: usize = limits::IDEMPOTENCY_KEYS_PER_PURCHASE;
    const SHAPE: u32 = columns::SHAPE;

    fn has_ended(&self) -> bool {
        matches!(self.phase(), Some(Phase::Settled | Phase::Ended))
    }

    fn delta(&mut self) -> Delta {
        let spent: &[DetailName] = match &self.body {
            // One of an early version keeps its token in the journal.
            Some(body) if body.buyer.is_some() && body.needs_no_token() => &[DetailName::Payment],
            _ => &[],
        };
        Delta { parts: self.changed_parts(), rows: self.rows(), spent }
    }

    fn rows(&self) -> Rows {
        Rows { orders: self.row().into_iter().collect(), ..Rows::default() }
    }

    fn restore(id: OrderId, parts: &[Part]) -> Result<Self, RestoreError> {
        let mut order = Self::of_parts(id, parts)?;
        // Snapshots of early versions: what is sold still waited for the cart to close.
        order.body.iter_mut().for_each(Body::settle_when_done);
        order.body.iter_mut().for_each(Body::recall_quarantine);
        order.body.iter_mut().for_each(Body::recall_shares);
        Ok(order)
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
                "total_due_minor": body.amounts().total_due,
                "sub_orders": body.legs,
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
        let sums = body.amounts();
        if let Some(invariant) = body.bill_is_wrong() {
            return breach(invariant, format!("{:?}, {:?}", body.lines, body.shares));
        }
        let included = body.prices_include_tax();
        let at_door = body.pays_at_the_door().then(|| smallest_cash(body.currency));
        for share in &body.shares {
            if let Some(invariant) = share.is_wrong(at_door) {
                return breach(invariant, format!("{share:?}"));
            }
            let own = || body.lines.iter().filter(|line| line.vendor == share.vendor);
            let lines = money::sum(own().map(OrderLine::payable));
            let credited = money::sum(own().map(|line| line.credited_amount));
            let made = (money::sum([lines, share.besides(included)]), money::sum([credited, share.besides_credited]));
            if made != (share.total, share.credited) {
                return breach("lines_make_their_share", format!("{share:?}, its lines {lines}, credited {credited}"));
            }
        }
        if sums.total != body.total {
            return breach("totals_add_up", format!("total {}, shares {}", body.total, sums.total));
        }
        let credits_fit = |line: &OrderLine| {
            (0..=line.quantity).contains(&line.credited) && (0..=line.payable()).contains(&line.credited_amount)
        };
        if !body.lines.iter().all(credits_fit) {
            return breach("a_line_is_credited_once", format!("{:?}", body.lines));
        }
        if let Some(invariant) = body.goods_are_wrong().or_else(|| body.returns_are_wrong()) {
            return breach(invariant, format!("{:?}, {:?}, {:?}", body.lines, body.parcels, body.returns));
        }
        if body.status.is_end() && sums.total_due != 0 {
            return breach("nothing_is_due_at_the_end", format!("{sums:?}"));
        }
        if at_door.is_none() && body.is_sold() && sums.paid != sums.total {
            return breach("a_paid_order_is_paid_once", format!("{sums:?}"));
        }
        if body.points_are_wrong() {
            return breach("points_pay_what_the_bill_says", format!("{:?}", body.points));
        }
        if let Some(invariant) = body.cash_is_wrong() {
            return breach(invariant, format!("{:?}, {:?}", body.shares, body.parcels));
        }
        if body.phase != Phase::Settled && sums.refund_due != 0 {
            // What is taken for an order that ends unpaid is given back by the same step that finds it.
            return breach("nothing_is_kept_that_is_not_owed", format!("{sums:?}"));
        }
        if let Some(invariant) = body.owed_is_wrong() {
            return breach(invariant, format!("{:?}, {:?}", body.shares, body.refunds));
        }
        let sells = |leg: &Leg| match leg.state {
            LegState::Committed | LegState::Unanswered => true,
            LegState::Released => matches!(leg.with, Party::Cash(_)),
            LegState::Asked | LegState::Held | LegState::Refused => false,
        };
        if body.phase == Phase::Settled && !body.legs.iter().all(sells) {
            return breach("a_paid_order_has_its_stock", format!("{:?}", body.legs));
        }
        if (body.phase == Phase::Stuck) != body.stuck.is_some() {
            return breach("a_quarantine_has_its_reason", format!("{:?}: {:?}", body.phase, body.stuck));
        }
        let lets_go = |leg: &Leg| matches!(leg.state, LegState::Refused | LegState::Released | LegState::Unanswered);
        let taken = |party: &Leg| match party.with {
            Party::Coupon(coupon) => body.coupons.iter().any(|taken| taken.coupon == coupon && taken.version > 0),
            Party::Cash(_) => at_door.is_some(),
            Party::Points(_) => body.points_spent() > 0,
            Party::Stock(_) => true,
        };
        if !body.legs.iter().all(taken) {
            return breach("a_leg_has_its_reason", format!("{:?}: {:?}", body.legs, body.coupons));
        }
        if body.phase == Phase::Ended && !body.legs.iter().all(lets_go) {
            return breach("an_ended_order_holds_nothing", format!("{:?}", body.legs));
        }
        Ok(())
    }
}

fn placed_total(placement: &Placement) -> i64 {
    money::sum(placement.lines.iter().map(CartLine::total))
}
