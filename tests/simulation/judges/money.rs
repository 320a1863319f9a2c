//! Money, as the orders and the payment provider tell it: a gateway is called only for what is durable, nothing is charged late or
//! twice, what an order is told is what the provider's books say, and at rest the two agree. `book.rs` asks the last of these
//! without the entities.

use super::replay::{Events, Recorded};
use super::{Cause, Causes, Judge, Replay};
use crate::gateway::Books;
use crate::world::World;
use haat::domain::buyer::Audience;
use haat::domain::entity::{PaymentCall, Principal};
use haat::domain::ids::OrderId;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    DisputeStatus, DisputeTold, Order, OrderEvent, OrderStatus, PaymentStatus, Phase, Refund, RefundStatus,
};
use haat::domain::payment::{RefundCall, RefundOf};
use haat::domain::pricing::BillShare;
use haat::domain::time::Timestamp;
use std::sync::Arc;

/// What moved, and what was asked to.
pub struct Payments {
    books: Arc<Books>,
    world: Arc<World>,
}

impl Payments {
    pub fn new(world: Arc<World>, books: Arc<Books>) -> Self {
        Self { books, world }
    }

    /// A gateway is asked to charge.
    pub fn charge_asked(&self, replay: &Replay, call: &PaymentCall, now: Timestamp) {
        let asked = replay.order(call.order).and_then(|order| order.view(Principal::SHOP));
        if asked.is_none_or(|view| view.payment_status == PaymentStatus::None) {
            self.world.breach(format_args!("{} is charged before its request is durable", call.order));
        }
        if now >= call.not_after {
            self.world.breach(format_args!("{} is charged after its deadline", call.order));
        }
    }

    /// A gateway is asked to undo a charge.
    pub fn void_asked(&self, replay: &Replay, order: OrderId) {
        let phase = replay.phase(order);
        // What was settled by hand may have been asked to be undone before, by a node that has not heard of it.
        if replay.is_settled_by_hand(order) {
            return;
        }
        if matches!(phase, None | Some(Phase::Gathering | Phase::Paying | Phase::Confirming | Phase::Settled)) {
            self.world.breach(format_args!("{order} is voided while it durably stands at {phase:?}"));
        }
    }

    /// A gateway is asked to give a part of a charge back: what it is asked for is durable. The attempt may be one that is over by now.
    pub fn refund_asked(&self, replay: &Replay, call: &RefundCall, of: RefundOf) {
        let wanted = replay.order(call.order).map(Order::refunds).unwrap_or_default();
        let is_asked = |refund: &Refund| {
            (refund.id, refund.mint) == (of.refund, of.mint)
                && Money::new(refund.amount, Currency::BDT) == call.amount
                && (1..=refund.attempt).contains(&call.attempt)
        };
        if !wanted.iter().any(is_asked) {
            self.world.breach(format_args!("{call:?} is asked for, and durable is {wanted:?}"));
        }
    }

    /// The provider has taken `money` for an order, unless someone says what became of it.
    fn is_taken(&self, order: OrderId, money: Money) -> Cause {
        let books = self.books.clone();
        Box::new(move |replay| replay.is_settled_by_hand(order) || books.taken(order) == Some(money))
    }

    fn order_event(&self, replay: &Replay, order: OrderId, event: &OrderEvent, causes: &mut Causes) {
        match event {
            OrderEvent::Placed { placement, .. } => {
                let audience = placement.buyer.as_ref().map(|buyer| buyer.audience);
                (audience == Some(Audience::Wholesale)).then(|| self.world.count("wholesale orders"));
                let is_exempt = placement.buyer.as_ref().is_some_and(|buyer| buyer.exempt.is_some());
                is_exempt.then(|| self.world.count("orders of exempt buyers"));
            }
            OrderEvent::StockHeld { lines, .. } if lines.iter().any(|line| line.rung.is_some()) => {
                self.world.count("orders at price breaks");
            }
            OrderEvent::Priced { bill: Some(bill), .. } => {
                let shares = &bill.shares;
                let taxes = shares.iter().any(|share| share.tax() > 0);
                let is_exempt = |share: &BillShare| {
                    let mut reasons = share.tax_groups.iter().filter_map(|group| group.reason.as_deref());
                    reasons.any(|why| why.starts_with("exempt_"))
                };
                for (is, what) in [
                    (shares.iter().any(|share| share.shipping > 0), "bills with shipping"),
                    (shares.iter().any(|share| !share.shipping_discounts.is_empty()), "bills with free shipping"),
                    (taxes && bill.prices_include_tax, "bills with taxes included"),
                    (shares.iter().any(is_exempt), "bills of exempt buyers"),
                    (taxes && !bill.prices_include_tax, "bills with taxes on top"),
                    (shares.iter().any(|share| share.tax_groups.len() > 1), "bills with several rates"),
                ] {
                    is.then(|| self.world.count(what));
                }
            }
            OrderEvent::Resolved { resolution } => {
                self.world.count("resolutions");
                let total = replay.order_row(order).map_or(0, |row| row.amounts.total);
                // What is missing at a door comes in past the provider.
                if !replay.order(order).is_some_and(Order::pays_at_the_door) {
                    self.books.by_hand(order, resolution.verb, total);
                }
            }
            // Of nothing there is nothing to ask a provider for.
            OrderEvent::Paid { amount: 0 } => self.world.count("orders that cost nothing"),
            OrderEvent::Paid { amount } => {
                let taken = self.is_taken(order, Money::new(*amount, Currency::BDT));
                let books = self.books.clone();
                let is_taken = move |replay: &Replay| books.taken(order).is_some() && taken(replay);
                causes.push((format!("{order} is paid what it asked for"), Box::new(is_taken)));
            }
            OrderEvent::Credited { credit, refund_requested } => {
                self.world.count(match credit.lines.iter().any(|line| line.units > 0) {
                    true => "cancels of units",
                    false => "amounts given back",
                });
                refund_requested.is_some().then(|| self.world.count("refunds asked for"));
            }
            OrderEvent::RefundPending { .. } => {
                let is_open = |of: &Order| of.disputes().iter().any(|dispute| dispute.status == DisputeStatus::Open);
                if replay.order(order).is_some_and(is_open) {
                    self.world.breach(format_args!("{order} asks for a refund while it is disputed"));
                }
            }
            OrderEvent::DisputeOpened { .. } => self.world.count("disputes opened"),
            OrderEvent::DisputeWon { refund_resumed, .. } => {
                self.world.count("disputes won");
                (!refund_resumed.is_empty()).then(|| self.world.count("refunds that waited for the end of a dispute"));
            }
            OrderEvent::DisputeLost { shares, .. } => {
                self.world.count("disputes lost");
                let is_under_way = |refund: &Refund| refund.status == RefundStatus::Pending;
                let under_way = replay.order(order).is_some_and(|order| order.refunds().iter().any(is_under_way));
                under_way.then(|| self.world.count("refunds under way as a dispute was lost"));
                shares
                    .iter()
                    .any(|share| !share.cancelled.is_empty())
                    .then(|| self.world.count("refunds that disputes took"));
                shares
                    .iter()
                    .any(|share| share.refund_requested.is_some())
                    .then(|| self.world.count("refunds left by disputes"));
            }
            OrderEvent::RefundFailed { .. } => self.world.count("refunds that failed"),
            OrderEvent::RefundRetried { .. } => self.world.count("refunds tried again"),
            OrderEvent::RefundMarkedPaid { .. } => self.world.count("refunds paid by hand"),
            OrderEvent::PaymentDiffered { told, .. } | OrderEvent::VoidRefused { taken: Some(told), .. } => {
                causes.push((format!("{order} is told of what moved"), self.is_taken(order, *told)));
            }
            _ => {}
        }
    }
}

impl Payments {
    /// Orders that have not heard how their payments stand: of a dispute, or of what was given back and came back.
    pub fn unheard(&self, replay: &Replay) -> Vec<OrderId> {
        let mut unheard = Vec::new();
        for id in self.books.orders() {
            let Some(order) = replay.order(id) else { continue };
            let is_known = |told: &DisputeTold| {
                let known = order.disputes().iter().filter(|known| known.id == told.id);
                known.map(|known| known.status).eq([told.status])
            };
            let returned = self.books.failed_parts(id);
            let is_behind = |refund: &Refund| {
                let counts = refund.status == RefundStatus::Succeeded && !refund.by_hand;
                counts && returned.contains(&(refund.id, refund.attempt))
            };
            let told = self.books.disputes(id);
            let knows = told.len() == order.disputes().len() && told.iter().all(is_known);
            if !knows || order.refunds().iter().any(is_behind) {
                unheard.push(id);
            }
        }
        unheard
    }
}

impl Judge for Payments {
    fn record(&self, replay: &Replay, record: &Recorded<'_>, causes: &mut Causes) {
        if let Events::Order(order, events) = &record.events {
            events.iter().for_each(|event| self.order_event(replay, *order, event, causes));
            // What was taken in time is paid: before an order lets it go it has heard that it was not. Someone may have said what became of it.
            let resolved = events.iter().any(|event| matches!(event, OrderEvent::Resolved { .. }));
            let lets_go = events.iter().any(|event| matches!(event, OrderEvent::PaymentDeadlinePassed))
                && replay.phase(*order) == Some(Phase::Voiding(OrderStatus::Expired));
            if lets_go && !resolved && !self.books.told_untaken(*order) {
                self.world.breach(format_args!("{order} lets its payment go, which may have been taken in time"));
            }
        }
    }

    fn at_rest(&self, replay: &Replay) {
        for id in self.unheard(replay) {
            let (known, told) = (replay.order(id).map(Order::disputes), self.books.disputes(id));
            self.world.breach(format_args!("{id} knows of {known:?}, and the provider of {told:?}"));
        }
        let moves = self.books.moves();
        for (id, order) in replay.orders() {
            let Some(view) = order.view(Principal::SHOP) else { continue };
            let moves = moves.get(&id).map(Vec::as_slice).unwrap_or_default();
            let net: i64 = moves.iter().sum();
            let by_hand = order.is_settled_by_hand();
            if !by_hand && moves.iter().filter(|amount| **amount > 0).count() > 1 {
                self.world.breach(format_args!("{id} was charged more than once: {moves:?}"));
            }
            let (given_back, under_way) = order.given_back();
            let of_banks = view.disputes.iter().filter(|dispute| dispute.status == DisputeStatus::Lost);
            let lost: i64 = of_banks.map(|dispute| dispute.amount.minor).sum();
            // What is paid at the door no provider has.
            let is_charged = replay.is_paid(id) && !order.pays_at_the_door();
            let kept = if is_charged { view.amounts.total - given_back - lost } else { 0 };
            if net != kept {
                self.world.breach(format_args!("{id} is {} and cost {net} of {kept}", view.status));
            }
            if under_way != 0 && !order.pays_at_the_door() {
                self.world.breach(format_args!("{id} waits for {under_way} still: {:?}", order.refunds()));
            }
        }
        for order in moves.keys().filter(|order| replay.order(**order).is_none()) {
            self.world.breach(format_args!("money moved for {order}, which is not durable"));
        }
    }
}
