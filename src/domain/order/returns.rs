//! What buyers send back: asked for, allowed, received, and given back by what came.
//!
//! ```text
//! requested ──▶ approved ──▶ received ──▶ closed
//!     │             │
//!     ├─▶ denied    │
//!     └─▶ cancelled ◀┘
//! ```
//!
//! A buyer may ask for as long as the order's terms say after a parcel's delivery. To the staff and the vendor that is advice: they may allow more, and
//! the timeline says so. What comes back is credited, and what of it can be sold is in stock again: ordinary stock, of no sale.

use super::fulfilment::note_of;
use super::refund::{Credit, CreditReason, CreditSeed};
use super::shipment::units_of;
use super::state::{Body, Phase};
use super::{Order, OrderEvent};
use crate::domain::entity::Principal;
use crate::domain::ids::{RefundId, ReturnId, SkuId, VendorId};
use crate::domain::money;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::WantedLine;
use crate::domain::who::{Action, By, may, named};
use crate::limits;
use serde::{Deserialize, Serialize};

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

named!(
    /// How a return stands.
    ReturnStatus:
    /// The buyer wants to send something back.
    Requested "requested",
    /// They may.
    Approved "approved",
    /// They may not.
    Denied "denied",
    /// It has come.
    Received "received",
    /// It is over.
    Closed "closed",
    /// The buyer keeps it.
    Cancelled "cancelled",
);

named!(
    /// In what condition a unit came back.
    Condition:
    /// It can be sold again.
    Resellable "resellable",
    /// It cannot.
    Damaged "damaged",
    /// It was not in the parcel.
    Missing "missing",
);

named!(
    /// Why something cannot be returned.
    NotReturnable:
    /// It was delivered too long ago.
    WindowClosed "window_closed",
    /// It has not arrived.
    NotDelivered "not_delivered",
    /// It is being returned already, or was.
    AlreadyReturned "already_returned",
    /// The return stands so that this cannot be done to it any more.
    Status "status",
    /// More came back than was to.
    NotInReturn "not_in_return",
);

/// Units that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedLine {
    /// Of which SKU.
    pub sku: SkuId,
    /// How many.
    pub quantity: i64,
    /// How they were.
    pub condition: Condition,
}

/// A return of units of one share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// Which.
    pub id: ReturnId,
    /// Of whose share.
    pub vendor: VendorId,
    /// How it stands.
    pub status: ReturnStatus,
    /// What is sent back.
    pub lines: Vec<WantedLine>,
    /// Why.
    pub reason: CreditReason,
    /// What came, once it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub received: Vec<ReceivedLine>,
    /// The refund that follows from what came, where there was something to give back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<RefundId>,
}

/// A return as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewReturn {
    /// Which: it follows from the request, so that one that comes again meets what it made.
    pub id: ReturnId,
    /// Of whose share.
    pub vendor: VendorId,
    /// Units of lines.
    pub lines: Vec<WantedLine>,
    /// Why.
    pub reason: CreditReason,
}

/// What is done to a return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum ReturnStep {
    /// The buyer may send it.
    Approve,
    /// They may not.
    Deny,
    /// It came.
    Receive {
        /// What, and in what condition.
        lines: Vec<ReceivedLine>,
    },
    /// It is over.
    Close,
    /// The buyer keeps it.
    Cancel,
}

impl ReturnStep {
    const fn status(&self) -> ReturnStatus {
        match self {
            ReturnStep::Approve => ReturnStatus::Approved,
            ReturnStep::Deny => ReturnStatus::Denied,
            ReturnStep::Receive { .. } => ReturnStatus::Received,
            ReturnStep::Close => ReturnStatus::Closed,
            ReturnStep::Cancel => ReturnStatus::Cancelled,
        }
    }

    /// Its name in the public vocabulary of the timeline.
    pub const fn kind(&self) -> &'static str {
        match self {
            ReturnStep::Approve => "return_approved",
            ReturnStep::Deny => "return_denied",
            ReturnStep::Receive { .. } => "return_received",
            ReturnStep::Close => "return_closed",
            ReturnStep::Cancel => "return_cancelled",
        }
    }

    /// Who may do it.
    const fn action(&self) -> Action {
        match self {
            ReturnStep::Approve | ReturnStep::Deny | ReturnStep::Close => Action::DecideReturn,
            ReturnStep::Receive { .. } => Action::FulfilOrder,
            ReturnStep::Cancel => Action::AskReturn,
        }
    }
}

type Decision = Result<Vec<OrderEvent>, Reject>;

fn refuse<T>(why: NotReturnable) -> Result<T, Reject> {
    Err(Reject::NotReturnable { why, until: None })
}

impl Return {
    /// Units of a SKU that it takes from what could be returned: what was asked for, and once it came, what came.
    fn takes(&self, sku: SkuId) -> i64 {
        match self.status {
            ReturnStatus::Requested | ReturnStatus::Approved => units_of(&self.lines, sku),
            ReturnStatus::Received | ReturnStatus::Closed => units_of(&came(&self.received), sku),
            ReturnStatus::Denied | ReturnStatus::Cancelled => 0,
        }
    }
}

fn of_condition(lines: &[ReceivedLine], is: impl Fn(Condition) -> bool) -> Vec<WantedLine> {
    let mut units: Vec<WantedLine> = Vec::new();
    for line in lines.iter().filter(|line| line.quantity > 0 && is(line.condition)) {
        match units.iter_mut().find(|known| known.sku == line.sku) {
            Some(known) => known.quantity = known.quantity.saturating_add(line.quantity),
            None => units.push(WantedLine { sku: line.sku, quantity: line.quantity }),
        }
    }
    units
}

/// What of it came.
fn came(lines: &[ReceivedLine]) -> Vec<WantedLine> {
    of_condition(lines, |condition| condition != Condition::Missing)
}

impl Body {
    fn may_return(&self, by: Principal, vendor: VendorId, action: Action) -> bool {
        let is_own = !matches!(by, Principal::Member(member) if member.vendor != vendor);
        is_own && may(by, action, self)
    }

    /// Units of a SKU that buyers send back, or have sent back.
    pub(super) fn units_in_returns(&self, vendor: VendorId, sku: SkuId) -> i64 {
        money::sum(self.returns.iter().filter(|known| known.vendor == vendor).map(|known| known.takes(sku)))
    }

    /// Until when units of a SKU may be returned that arrived last, and how many of those that arrived may be at this moment.
    fn window(&self, vendor: VendorId, sku: SkuId, now: Timestamp) -> (Option<Timestamp>, i64) {
        let (mut last, mut open) = (None, 0_i64);
        for parcel in self.parcels.iter().filter(|parcel| parcel.vendor == vendor) {
            let units = units_of(&parcel.accepted, sku);
            let Some(at) = parcel.delivered_at.filter(|_| units > 0) else { continue };
            let until = at.plus_millis(i64::from(self.return_days).saturating_mul(DAY_MS));
            last = last.max(Some(until));
            if now < until {
                open = open.saturating_add(units);
            }
        }
        (last, open)
    }

    pub(super) fn decide_ask_return(&self, by: Principal, wanted: &NewReturn, now: Timestamp) -> Decision {
        let NewReturn { id, vendor, lines, .. } = wanted;
        if !self.may_return(by, *vendor, Action::AskReturn) {
            return Err(Reject::OrderUnknown);
        }
        self.share(*vendor)?;
        if let Some(known) = self.returns.iter().find(|known| known.id == *id) {
            let is_same = (known.vendor, &known.lines, known.reason) == (*vendor, lines, wanted.reason);
            return if is_same { Ok(Vec::new()) } else { Err(Reject::IdempotencyKeyReused) };
        }
        if self.phase != Phase::Settled {
            return refuse(NotReturnable::NotDelivered);
        }
        if self.returns.len() >= limits::RETURNS_PER_ORDER {
            return Err(Reject::TooMany { what: "returns of one order".into(), limit: limits::RETURNS_PER_ORDER });
        }
        let mut late = None;
        for asked in lines {
            let line = self.lines_of(*vendor).find(|line| line.sku == asked.sku).ok_or(Reject::SkuUnknown)?;
            let arrived = line.moved().delivered;
            if asked.quantity > arrived {
                return refuse(NotReturnable::NotDelivered);
            }
            let own = self.returns.iter().filter(|known| known.vendor == *vendor);
            let taken = money::sum(own.map(|known| known.takes(asked.sku)));
            if asked.quantity > arrived.saturating_sub(taken) {
                return refuse(NotReturnable::AlreadyReturned);
            }
            let (until, open) = self.window(*vendor, asked.sku, now);
            if asked.quantity > open {
                late = Some(until);
            }
        }
        let by_buyer = By::of(by).is_none();
        match late {
            Some(until) if by_buyer => Err(Reject::NotReturnable { why: NotReturnable::WindowClosed, until }),
            late => Ok(vec![OrderEvent::ReturnRequested {
                wanted: Box::new(wanted.clone()),
                by: By::of(by),
                exception: late.is_some(),
            }]),
        }
    }

    pub(super) fn decide_return(&self, by: Principal, id: ReturnId, step: &ReturnStep, seed: &CreditSeed) -> Decision {
        if !self.may_see(by) {
            return Err(Reject::OrderUnknown);
        }
        let known = self.returns.iter().find(|known| known.id == id);
        let own = known.filter(|known| self.may_return(by, known.vendor, step.action()));
        let known = own.ok_or(Reject::ReturnUnknown)?;
        let by = By::of(by);
        let moved = |refund| OrderEvent::ReturnMoved { id, step: Box::new(step.clone()), refund, by };
        match (step, known.status) {
            (ReturnStep::Approve, ReturnStatus::Requested)
            | (ReturnStep::Deny | ReturnStep::Cancel, ReturnStatus::Requested | ReturnStatus::Approved)
            | (ReturnStep::Close, ReturnStatus::Received) => Ok(vec![moved(None)]),
            (ReturnStep::Receive { lines }, ReturnStatus::Approved) => {
                let credited = self.came_back(known, lines, seed, by)?;
                let refund = match &credited {
                    Some(OrderEvent::Credited { refund_requested, .. }) => refund_requested.map(|asked| asked.id),
                    _ => None,
                };
                Ok(credited.into_iter().chain([moved(refund)]).collect())
            }
            (ReturnStep::Receive { lines }, ReturnStatus::Received) if known.received == *lines => Ok(Vec::new()),
            (step, status) if step.status() == status && !matches!(step, ReturnStep::Receive { .. }) => Ok(Vec::new()),
            _ => refuse(NotReturnable::Status),
        }
    }

    /// What came is credited, as far as it was not before; what of it can be sold is in stock again.
    fn came_back(
        &self,
        known: &Return,
        lines: &[ReceivedLine],
        seed: &CreditSeed,
        by: Option<By>,
    ) -> Result<Option<OrderEvent>, Reject> {
        let vendor = known.vendor;
        for line in of_condition(lines, |_| true) {
            if line.quantity > units_of(&known.lines, line.sku) {
                return refuse(NotReturnable::NotInReturn);
            }
        }
        let left = |line: &WantedLine| {
            let of = self.lines_of(vendor).find(|of| of.sku == line.sku);
            let left = of.map_or(0, |of| of.moved().shipped.saturating_sub(of.moved().credited));
            WantedLine { sku: line.sku, quantity: line.quantity.min(left) }
        };
        let back = came(lines);
        let units: Vec<WantedLine> = back.iter().map(left).filter(|line| line.quantity > 0).collect();
        let resellable = of_condition(lines, |condition| condition == Condition::Resellable);
        let restock = self.not_restocked(vendor, &resellable);
        if units.is_empty() && restock.is_empty() {
            return Ok(None);
        }
        let (lines, _) = self.credit_units(vendor, &units);
        let (id, reason, restock) = (seed.id, known.reason, Some(restock));
        let (besides, points_besides, shipped) = (0, 0, true);
        let credit = Credit { id, vendor, lines, besides, points_besides, reason, by, shipped, restock };
        self.credited(credit, seed.mint).map(Some)
    }

    pub(super) fn apply_return_requested(
        &mut self,
        wanted: &NewReturn,
        by: Option<By>,
        exception: bool,
        at: Timestamp,
    ) {
        let NewReturn { id, vendor, lines, reason } = wanted.clone();
        let status = ReturnStatus::Requested;
        self.returns.push(Return { id, vendor, status, lines, reason, received: Vec::new(), refund: None });
        if exception {
            note_of(self, vendor, "return_excepted", by, at).reason =
                Some(NotReturnable::WindowClosed.name().to_owned());
        }
        note_of(self, vendor, "return_requested", by, at).reason = Some(reason.name().to_owned());
    }

    pub(super) fn apply_return_moved(
        &mut self,
        id: ReturnId,
        step: &ReturnStep,
        refund: Option<RefundId>,
        by: Option<By>,
        at: Timestamp,
    ) {
        let Some(place) = self.returns.iter().position(|known| known.id == id) else { return };
        let vendor = self.returns[place].vendor;
        if let ReturnStep::Receive { lines } = step {
            let back = came(lines);
            self.move_lines(vendor, &back, |goods, units| goods.returned = goods.returned.saturating_add(units));
            self.returns[place].received.clone_from(lines);
            self.returns[place].refund = refund;
        }
        self.returns[place].status = step.status();
        note_of(self, vendor, step.kind(), by, at);
    }

    /// What of its returns cannot be.
    pub(super) fn returns_are_wrong(&self) -> Option<&'static str> {
        for line in &self.lines {
            let own = || self.returns.iter().filter(|known| known.vendor == line.vendor);
            if money::sum(own().map(|known| known.takes(line.sku))) > line.moved().delivered {
                return Some("nothing_is_returned_that_did_not_arrive");
            }
            if money::sum(own().map(|known| units_of(&came(&known.received), line.sku))) != line.moved().returned {
                return Some("lines_say_what_their_returns_say");
            }
        }
        None
    }
}

impl Order {
    /// What buyers send back of it, the oldest first.
    pub fn returns(&self) -> &[Return] {
        self.body.as_ref().map_or(&[], |body| &body.returns)
    }
}
