//! What an order is made of, and the small steps that its events are made of.

use super::resolve::Stuck;
use super::{Address, OrderLine, OrderStatus, PaymentChoice, PaymentStatus, Placement, TimelineEntry};
use crate::domain::entity::{Owner, Principal};
use crate::domain::ids::{CartId, VendorId};
use crate::domain::money::{self, Currency};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::HeldLine;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Where the saga stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The vendors were asked to hold.
    Reserving,
    /// The payment was asked for.
    Paying,
    /// The payment is being undone; then the order ends so.
    Voiding(OrderStatus),
    /// It is paid: what is held is being sold.
    Settling,
    /// It is paid and nothing more is to come.
    Settled,
    /// What is held is being given back; then the order ends so.
    Releasing(OrderStatus),
    /// The cart is being opened; then the order ends so.
    Reopening(OrderStatus),
    /// It has ended unpaid.
    Ended,
    /// A step that may not fail did, or another amount moved than was asked for: someone has to look at it.
    Quarantined,
}

/// How far an order is with one vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// It was asked to hold stock.
    Asked,
    /// It holds.
    Held,
    /// It refused.
    Refused,
    /// What it held is sold.
    Committed,
    /// What it held is given back.
    Released,
    /// Nobody waits for its answer any longer. It may hold still: it asks when the hold's time is over, and is told.
    Unanswered,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SubOrder {
    pub(super) vendor: VendorId,
    pub(super) hold: HoldState,
}

/// What an order is from `Placed` on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Body {
    pub(super) cart: CartId,
    pub(super) attempt: u32,
    pub(super) owner: Owner,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    pub(super) shipping_address: Address,
    pub(super) payment: PaymentChoice,
    pub(super) payment_status: PaymentStatus,
    pub(super) currency: Currency,
    pub(super) expected_total: i64,
    pub(super) lines: Vec<OrderLine>,
    pub(super) sub_orders: Vec<SubOrder>,
    pub(super) total: i64,
    pub(super) cancelled: i64,
    pub(super) paid: i64,
    pub(super) refunded: i64,
    pub(super) placed_at: Timestamp,
    pub(super) hold_until: Timestamp,
    pub(super) payment_due_at: Timestamp,
    pub(super) phase: Phase,
    /// What it was at, and why it was quarantined, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stuck: Option<Stuck>,
    pub(super) status: OrderStatus,
    /// Why it was rejected, when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rejection: Option<Reject>,
    pub(super) timeline: Vec<TimelineEntry>,
}

impl Body {
    pub(super) fn placed(
        placement: &Placement,
        hold_until: Timestamp,
        payment_due_at: Timestamp,
        at: Timestamp,
    ) -> Self {
        let Placement { cart, attempt, owner, email, shipping_address, payment, expected_total, lines, .. } = placement;
        let line = |line: &crate::domain::cart::CartLine| OrderLine {
            sku: line.sku,
            vendor: line.vendor,
            title: line.title.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
        };
        let lines: Vec<OrderLine> = lines.iter().map(line).collect();
        let mut sub_orders: Vec<SubOrder> = Vec::new();
        for line in &lines {
            if !sub_orders.iter().any(|sub| sub.vendor == line.vendor) {
                sub_orders.push(SubOrder { vendor: line.vendor, hold: HoldState::Asked });
            }
        }
        Self {
            cart: *cart,
            attempt: *attempt,
            owner: *owner,
            email: email.clone(),
            shipping_address: shipping_address.clone(),
            payment: payment.clone(),
            payment_status: PaymentStatus::None,
            currency: expected_total.currency,
            expected_total: expected_total.minor,
            total: money::sum(lines.iter().map(OrderLine::total)),
            lines,
            sub_orders,
            cancelled: 0,
            paid: 0,
            refunded: 0,
            placed_at: at,
            hold_until,
            payment_due_at,
            phase: Phase::Reserving,
            stuck: None,
            status: OrderStatus::Placed,
            rejection: None,
            timeline: Vec::with_capacity(8),
        }
    }

    pub(super) fn total_due(&self) -> i64 {
        self.total.saturating_sub(self.cancelled).saturating_sub(self.paid.saturating_sub(self.refunded))
    }

    pub(super) fn hold(&self, vendor: VendorId) -> Option<HoldState> {
        self.sub_orders.iter().find(|sub| sub.vendor == vendor).map(|sub| sub.hold)
    }

    pub(super) fn set_hold(&mut self, vendor: VendorId, hold: HoldState) {
        for sub in self.sub_orders.iter_mut().filter(|sub| sub.vendor == vendor) {
            sub.hold = hold;
        }
    }

    pub(super) fn vendor_total(&self, vendor: VendorId) -> i64 {
        money::sum(self.lines.iter().filter(|line| line.vendor == vendor).map(OrderLine::total))
    }

    pub(super) fn note(&mut self, at: Timestamp, kind: &'static str) -> &mut TimelineEntry {
        self.timeline.push(TimelineEntry {
            at,
            kind: Cow::Borrowed(kind),
            vendor: None,
            amount: None,
            currency: None,
            reason: None,
            resolution: None,
        });
        self.timeline.last_mut().expect("an entry was just pushed")
    }

    pub(super) fn take_prices(&mut self, held: &[HeldLine]) {
        for line in &mut self.lines {
            if let Some(now) = held.iter().find(|held| held.sku == line.sku) {
                line.unit_price = now.unit_price;
            }
        }
        self.total = money::sum(self.lines.iter().map(OrderLine::total));
    }

    /// Gives back what is held, or opens the cart at once when nothing is.
    pub(super) fn start_ending(&mut self, end: OrderStatus) {
        let settled =
            |sub: &SubOrder| matches!(sub.hold, HoldState::Refused | HoldState::Released | HoldState::Unanswered);
        self.phase = match self.sub_orders.iter().all(settled) {
            true => Phase::Reopening(end),
            false => Phase::Releasing(end),
        };
    }

    pub(super) fn settle_when_done(&mut self) {
        let sold = self.sub_orders.iter().all(|sub| matches!(sub.hold, HoldState::Committed | HoldState::Unanswered));
        if sold && self.phase == Phase::Settling {
            self.phase = Phase::Settled;
        }
    }

    pub(super) fn may_see(&self, by: Principal) -> bool {
        match by {
            Principal::Staff => true,
            Principal::Vendor(vendor) => self.hold(vendor).is_some(),
            buyer => self.owner.is(buyer, self.cart),
        }
    }
}
