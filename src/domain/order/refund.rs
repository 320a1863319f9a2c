//! What a paid order takes back: units that are cancelled, amounts that are given as goodwill, and the refunds that follow from both.
//!
//! ```text
//! credit ──▶ refund: requested ──▶ pending ──▶ succeeded ──▶ failed (a bank may return it weeks later)
//!                        └────────────┴──▶ failed ──retry──▶ requested, under the next attempt
//!                                            └──by hand──▶ succeeded
//! ```
//!
//! A refund is pending before its provider is asked: whatever is lost then, the order knows that the provider may have it. One that was not
//! asked for waits while the payment is disputed, and is cancelled when a dispute takes its money.
//!
//! A credit lowers what is to be paid for one share; what was paid beyond that is due to the buyer, and stands in one refund of the same record.
//! All of it is decided here, in the order's one mailbox: two refunds that exceed together cannot both be granted. What of a share is credited
//! never exceeds what was to be paid for it, and units and amounts never credit the same money twice (see [`crate::domain::pricing::credit::Creditable`]).
//!
//! Until parcels are handed over there is nothing to return: units are cancelled, and their vendor takes the pieces back into stock.

use super::coupons::UseBack;
use super::share::Share;
use super::state::{Body, Phase};
use super::{Order, OrderEvent, OrderLine};
use crate::domain::buyer::Mint;
use crate::domain::entity::Principal;
use crate::domain::ids::{CreditId, OrderId, RefundId, SkuId, VendorId};
use crate::domain::money::{self, Money};
use crate::domain::payment::{RefundCall, RefundOf, RefundProgress};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{SlotId, WantedLine};
use crate::domain::who::{Action, By, may, named};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

named!(
    /// Why something is credited.
    CreditReason:
    /// The buyer wants it no more.
    ChangedMind "changed_mind",
    /// The vendor cannot deliver it.
    CannotDeliver "cannot_deliver",
    /// It was bought by somebody who may not.
    Fraud "fraud",
    /// The shop is kind.
    Goodwill "goodwill",
    /// It came damaged.
    Damaged "damaged",
    /// It did not come.
    Missing "missing",
    /// Something else came.
    WrongItem "wrong_item",
    /// It is not what was described.
    NotAsDescribed "not_as_described",
    /// It came late.
    Late "late",
    /// The vendor is at fault in another way.
    VendorFault "vendor_fault",
    /// A bank has given the money back.
    DisputeLost "dispute_lost",
    /// It was not accepted at the door, or could not be delivered.
    DeliveryRefused "delivery_refused",
    /// Something else.
    Other "other",
);

impl CreditReason {
    /// Those of a cancel.
    pub const OF_CANCELS: [Self; 4] = [Self::ChangedMind, Self::CannotDeliver, Self::Fraud, Self::Other];
    /// Those of a refund.
    pub const OF_REFUNDS: [Self; 9] = [
        Self::Goodwill,
        Self::Damaged,
        Self::Missing,
        Self::WrongItem,
        Self::NotAsDescribed,
        Self::Late,
        Self::VendorFault,
        Self::ChangedMind,
        Self::Other,
    ];
}

named!(
    /// How a refund stands.
    RefundStatus:
    /// It is to be asked for.
    Requested "requested",
    /// The provider is at it, or may be.
    Pending "pending",
    /// The money was given back.
    Succeeded "succeeded",
    /// The provider will not give it back: it is owed still.
    Failed "failed",
    /// A dispute took its money.
    Cancelled "cancelled",
);

/// What a command that credits something brings along: the ids follow from the request, so that one that comes again meets what it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditSeed {
    /// The credit; of an order that is cancelled as a whole, those of its shares follow from it.
    pub id: CreditId,
    /// Drawn with the command: the end of the provider's key.
    pub mint: Mint,
    /// Why.
    pub reason: CreditReason,
}

/// What is to be credited of one share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Units; none named means all that are left.
    Units(Vec<WantedLine>),
    /// An amount, and what is left of shipping and fees, where that is wanted.
    Amount {
        /// In minor units.
        minor: i64,
        /// Whether shipping and fees are credited besides.
        shipping: bool,
    },
    /// Units that were handed over.
    Shipped {
        /// Which.
        lines: Vec<WantedLine>,
        /// Whether shipping and fees are credited besides.
        shipping: bool,
        /// Whether they are in stock again.
        restock: bool,
    },
}

/// A line's part of a credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditedLine {
    /// The SKU.
    pub sku: SkuId,
    /// Units; none of an amount.
    #[serde(default, skip_serializing_if = "super::share::is_zero")]
    pub units: i64,
    /// Money, in minor units.
    #[serde(default, skip_serializing_if = "super::share::is_zero")]
    pub amount: i64,
}

/// What is credited of one share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// Which.
    pub id: CreditId,
    /// Of whose share.
    pub vendor: VendorId,
    /// Of which lines.
    pub lines: Vec<CreditedLine>,
    /// Of shipping and fees, in minor units.
    #[serde(default, skip_serializing_if = "super::share::is_zero")]
    pub besides: i64,
    /// What points paid of shipping and fees, and comes back with them, in minor units.
    #[serde(default, skip_serializing_if = "super::share::is_zero")]
    pub points_besides: i64,
    /// Why.
    pub reason: CreditReason,
    /// Who decided it; none where the buyer did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// Whether its units were handed over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shipped: bool,
    /// Which of its units are in stock again; all of them where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restock: Option<Vec<WantedLine>>,
}

impl Credit {
    /// What it comes to.
    pub fn amount(&self) -> i64 {
        money::sum(self.lines.iter().map(|line| line.amount).chain([self.besides]))
    }

    pub(super) fn has_units(&self) -> bool {
        self.lines.iter().any(|line| line.units > 0)
    }
}

/// That a refund of a share was asked for, with the credit that it follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundAsked {
    /// Which.
    pub id: RefundId,
    /// How much, in minor units.
    pub amount: i64,
    /// The end of the provider's key.
    pub mint: Mint,
}

/// A refund of a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Which.
    pub id: RefundId,
    /// Of whose share.
    pub vendor: VendorId,
    /// How much, in minor units.
    pub amount: i64,
    /// How many points come back with it.
    #[serde(default, skip_serializing_if = "super::share::is_zero")]
    pub points: i64,
    /// Why.
    pub reason: CreditReason,
    /// How it stands.
    pub status: RefundStatus,
    /// Which try, from 1.
    pub attempt: u32,
    /// The end of the provider's key.
    pub mint: Mint,
    /// Where it stands in the provider's or the bank's books.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why it failed, in the provider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Whether somebody gave it back outside.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
}

/// A credit that was made: it is known by its id when its request comes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) id: CreditId,
    pub(super) vendor: VendorId,
    /// The units that the vendor has not taken back into its stock yet, as far as the order has heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) units: Vec<(SkuId, i64)>,
    /// What it gives back of uses of coupons that have not seen to it yet, as far as the order has heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) uses: Vec<UseBack>,
    /// Whether these units had left the house: they are ordinary stock again, of no sale.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) shipped: bool,
    /// The slot that the share does not need any more, until its vendor has it back, as far as the order has heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) slot: Option<SlotId>,
}

/// What a provider says of a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "snake_case")]
pub enum RefundTold {
    /// It is at it.
    Pending,
    /// It has given back so much.
    Succeeded {
        /// As its books say.
        amount: Money,
        /// Its name there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
    },
    /// It will not.
    Failed {
        /// Why, in its words.
        reason: String,
    },
}

impl From<RefundProgress> for RefundTold {
    fn from(progress: RefundProgress) -> Self {
        match progress {
            RefundProgress::Pending => RefundTold::Pending,
            RefundProgress::Succeeded { amount } => RefundTold::Succeeded { amount, reference: None },
            RefundProgress::Failed { reason } => RefundTold::Failed { reason },
        }
    }
}

/// What would be credited and given back, before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPreview {
    /// What would be given back.
    pub amount: Money,
    /// What of that is of shipping and fees.
    pub shipping: Money,
    /// The most that can be given back of the share.
    pub maximum: Money,
    /// How many points would come back.
    #[serde(default, skip_serializing_if = "super::share::is_zero")]
    pub points: i64,
}

type Decision = Result<Vec<OrderEvent>, Reject>;

impl Body {
    /// Cancels units of one share, or gives some of its money back.
    pub(super) fn decide_credit(
        &self,
        by: Principal,
        vendor: VendorId,
        wanted: &Wanted,
        seed: &CreditSeed,
    ) -> Decision {
        self.may_touch(by, vendor, wanted)?;
        if self.knows(seed.id) {
            return Ok(Vec::new());
        }
        self.may_credit()?;
        let credit = self.credit(vendor, wanted, seed, By::of(by))?;
        self.has_room(1)?;
        match wanted {
            Wanted::Units(_) => self.cancel_units(credit, seed),
            Wanted::Amount { .. } | Wanted::Shipped { .. } => Ok(vec![self.credited(credit, seed.mint)?]),
        }
    }

    /// Cancels all that is left of all shares.
    pub(super) fn decide_cancel_paid(&self, by: Principal, seed: &CreditSeed) -> Decision {
        if !may(by, Action::CancelOrder, self) {
            return Err(Reject::OrderUnknown);
        }
        let of = |share: &&Share| CreditSeed { id: seed.id.of_share(share.vendor), ..*seed };
        if self.shares.iter().any(|share| self.knows(of(&share).id)) {
            return Ok(Vec::new());
        }
        self.may_credit()?;
        // All or nothing.
        if self.is_any_shipped() {
            return Err(Reject::AlreadyShipped);
        }
        let mut events = Vec::new();
        let everything = Wanted::Units(Vec::new());
        let is_left = |share: &&Share| self.lines_of(share.vendor).any(|line| line.credited < line.quantity);
        let left: Vec<&Share> = self.shares.iter().filter(is_left).collect();
        if left.is_empty() {
            return Err(Reject::OrderNotCancellable { status: self.status });
        }
        self.has_room(left.len())?;
        for share in left {
            let seed = of(&share);
            let credit = self.credit(share.vendor, &everything, &seed, By::of(by))?;
            events.extend(self.cancel_units(credit, &seed)?);
        }
        Ok(events)
    }

    /// Whether a credit was made, or waits for couriers.
    pub(super) fn knows(&self, credit: CreditId) -> bool {
        self.credits.iter().any(|made| made.id == credit) || self.wishes.iter().any(|wish| wish.seed.id == credit)
    }

    /// Whether these may have that of this share.
    fn may_touch(&self, by: Principal, vendor: VendorId, wanted: &Wanted) -> Result<(), Reject> {
        let action = match wanted {
            Wanted::Units(_) => Action::CancelShare,
            Wanted::Amount { .. } | Wanted::Shipped { .. } => Action::RefundShare,
        };
        let is_own = !matches!(by, Principal::Member(member) if member.vendor != vendor);
        match is_own && may(by, action, self) {
            true => self.share(vendor).map(|_| ()),
            false => Err(Reject::OrderUnknown),
        }
    }

    /// What a wish would come to now.
    pub(super) fn preview(&self, by: Principal, vendor: VendorId, wanted: &Wanted) -> Result<RefundPreview, Reject> {
        self.may_touch(by, vendor, wanted)?;
        self.may_credit()?;
        let seed =
            CreditSeed { id: CreditId::from_uuid(Uuid::nil()), mint: Mint::default(), reason: CreditReason::Other };
        let credit = self.credit(vendor, wanted, &seed, None)?;
        let share = self.share(vendor)?;
        let mut after = share.clone();
        after.credit(credit.amount());
        let money = |minor| Money::new(minor, self.currency);
        Ok(RefundPreview {
            amount: money(after.amounts().refund_due.saturating_sub(share.amounts().refund_due)),
            shipping: money(credit.besides),
            maximum: money(share.refundable(&self.lines, self.prices_include_tax())),
            points: self.points_back(&credit),
        })
    }

    fn refund(&self, id: RefundId) -> Result<&Refund, Reject> {
        self.refunds.iter().find(|refund| refund.id == id).ok_or(Reject::RefundUnknown)
    }

    fn own_refund(&self, by: Principal, id: RefundId) -> Result<&Refund, Reject> {
        if !self.may_see(by) {
            return Err(Reject::OrderUnknown);
        }
        let refund = self.refund(id)?;
        let is_own = !matches!(by, Principal::Member(member) if member.vendor != refund.vendor);
        match is_own && may(by, Action::RefundShare, self) {
            true => Ok(refund),
            false => Err(Reject::RefundUnknown),
        }
    }

    /// One that failed is asked for again, under the next attempt.
    pub(super) fn decide_retry(&self, by: Principal, id: RefundId, attempt: u32) -> Decision {
        let refund = self.own_refund(by, id)?;
        match refund.status {
            RefundStatus::Failed if refund.attempt == attempt => {
                Ok(vec![OrderEvent::RefundRetried { refund: id, by: By::of(by) }])
            }
            // Somebody has done so already.
            _ if refund.attempt > attempt => Ok(Vec::new()),
            status => Err(Reject::RefundNotOpen { status }),
        }
    }

    /// One that failed was given back outside.
    pub(super) fn decide_by_hand(&self, by: Principal, id: RefundId, reference: &str) -> Decision {
        let refund = self.own_refund(by, id)?;
        match refund.status {
            RefundStatus::Failed if self.is_disputed() => Err(Reject::PaymentDisputed),
            // What was paid at the door no provider has.
            RefundStatus::Requested if !self.pays_at_the_door() => Err(Reject::RefundNotOpen { status: refund.status }),
            RefundStatus::Failed | RefundStatus::Requested => {
                let reference = reference.to_owned();
                Ok(vec![OrderEvent::RefundMarkedPaid { refund: id, reference, by: By::of(by) }])
            }
            RefundStatus::Succeeded if refund.reference.as_deref() == Some(reference) => Ok(Vec::new()),
            status => Err(Reject::RefundNotOpen { status }),
        }
    }

    /// What is to be given back is asked for from now on, unless the payment is disputed: it waits until that is over.
    pub(super) fn decide_open_refunds(&self) -> Vec<OrderEvent> {
        if self.is_disputed() || self.pays_at_the_door() {
            return Vec::new();
        }
        let waits = |refund: &&Refund| refund.status == RefundStatus::Requested;
        self.refunds.iter().filter(waits).map(|refund| OrderEvent::RefundPending { refund: refund.id }).collect()
    }

    /// The provider says how a refund stands. What is said of an attempt that is over changes nothing, but that a bank has returned it.
    pub(super) fn decide_refund_told(&self, id: RefundId, attempt: u32, told: &RefundTold) -> Decision {
        let Some(refund) = self.refunds.iter().find(|refund| refund.id == id && refund.attempt == attempt) else {
            return Ok(Vec::new());
        };
        // What was paid outside is no provider's to return: it says so late of the attempt for which that was done.
        if refund.by_hand {
            return Ok(Vec::new());
        }
        let event = match (refund.status, told) {
            (RefundStatus::Requested | RefundStatus::Pending, RefundTold::Succeeded { amount, reference }) => {
                match *amount == Money::new(refund.amount, self.currency) {
                    true => OrderEvent::RefundSucceeded { refund: id, reference: reference.clone() },
                    // Somebody has to look at it: nothing is given back a second time meanwhile.
                    false => OrderEvent::RefundFailed { refund: id, reason: format!("other_amount: {amount}") },
                }
            }
            (
                RefundStatus::Requested | RefundStatus::Pending | RefundStatus::Succeeded,
                RefundTold::Failed { reason },
            ) => OrderEvent::RefundFailed { refund: id, reason: reason.clone() },
            (RefundStatus::Requested | RefundStatus::Pending, RefundTold::Pending)
            | (RefundStatus::Succeeded | RefundStatus::Failed, RefundTold::Pending | RefundTold::Succeeded { .. })
            | (RefundStatus::Failed, RefundTold::Failed { .. })
            | (RefundStatus::Cancelled, _) => return Ok(Vec::new()),
        };
        Ok(vec![event])
    }

    pub(super) fn apply_credit(&mut self, credit: &Credit, asked: Option<&RefundAsked>, at: Timestamp) {
        let (uses, points) = (self.uses_back(credit), self.points_before(credit));
        self.apply_wish_dropped(credit.id);
        for part in &credit.lines {
            for line in self.lines.iter_mut().filter(|line| line.vendor == credit.vendor && line.sku == part.sku) {
                line.credited = line.credited.saturating_add(part.units);
                line.credited_amount = line.credited_amount.saturating_add(part.amount);
                if credit.shipped {
                    line.move_goods(|goods| goods.credited = goods.credited.saturating_add(part.units));
                } else if line.moved().packed > line.to_ship() {
                    let left = line.to_ship();
                    line.move_goods(|goods| goods.packed = left);
                }
            }
        }
        for share in self.shares.iter_mut().filter(|share| share.vendor == credit.vendor) {
            share.credit(credit.amount());
            share.besides_credited = share.besides_credited.saturating_add(credit.besides);
            share.points_credited = share.points_credited.saturating_add(credit.points_besides);
        }
        let units: Vec<(SkuId, i64)> = match &credit.restock {
            Some(restock) => restock.iter().map(|line| (line.sku, line.quantity)).collect(),
            None => credit.lines.iter().filter(|line| line.units > 0).map(|line| (line.sku, line.units)).collect(),
        };
        if credit.shipped {
            self.note_restocked(credit.vendor, &units);
        }
        let slot = self.slot_given_back(credit);
        let points = self.post_credit(credit, points);
        self.credits.push(Made { id: credit.id, vendor: credit.vendor, units, uses, shipped: credit.shipped, slot });
        let kind = if credit.has_units() && !credit.shipped { "cancelled_units" } else { "credited" };
        let entry = self.note(at, kind);
        entry.vendor = Some(credit.vendor);
        entry.amount = Some(credit.amount());
        entry.reason = Some(credit.reason.name().to_owned());
        entry.by = credit.by;
        if let Some(asked) = asked {
            self.apply_asked(credit.vendor, credit.reason, *asked, at);
            self.refunds.last_mut().into_iter().for_each(|refund| refund.points = points);
        }
        self.roll_up(at);
    }

    /// Of a share that is cancelled to the last unit before any of it was handed over nothing is brought: its slot is for others.
    fn slot_given_back(&mut self, credit: &Credit) -> Option<SlotId> {
        let is_kept = |line: &OrderLine| line.credited < line.quantity || line.moved().shipped > 0;
        if !credit.has_units() || self.lines_of(credit.vendor).any(is_kept) {
            return None;
        }
        let share = self.shares.iter_mut().find(|share| share.vendor == credit.vendor)?;
        share.slot.take().map(|slot| slot.id)
    }

    /// What had left the house is in stock again, without anything being credited for it.
    pub(super) fn take_back(&mut self, id: CreditId, vendor: VendorId, lines: &[WantedLine]) {
        let units: Vec<(SkuId, i64)> = lines.iter().map(|line| (line.sku, line.quantity)).collect();
        self.note_restocked(vendor, &units);
        self.credits.push(Made { id, vendor, units, uses: Vec::new(), shipped: true, slot: None });
    }

    fn note_restocked(&mut self, vendor: VendorId, units: &[(SkuId, i64)]) {
        for (sku, units) in units {
            for line in self.lines.iter_mut().filter(|line| line.vendor == vendor && line.sku == *sku) {
                line.move_goods(|goods| goods.restocked = goods.restocked.saturating_add(*units));
            }
        }
    }

    pub(super) fn apply_asked(&mut self, vendor: VendorId, reason: CreditReason, asked: RefundAsked, at: Timestamp) {
        let RefundAsked { id, amount, mint } = asked;
        let (status, attempt, reference, failure, by_hand) = (RefundStatus::Requested, 1, None, None, false);
        let points = 0;
        let refund = Refund { id, vendor, amount, points, reason, status, attempt, mint, reference, failure, by_hand };
        self.note_refund(&refund, at, "refund_requested");
        self.refunds.push(refund);
    }

    pub(super) fn note_refund(
        &mut self,
        refund: &Refund,
        at: Timestamp,
        kind: &'static str,
    ) -> &mut super::TimelineEntry {
        let (vendor, amount) = (refund.vendor, refund.amount);
        let entry = self.note(at, kind);
        entry.vendor = Some(vendor);
        entry.amount = Some(amount);
        entry
    }

    /// A refund comes to stand so. What was given back counts, until a bank returns it.
    pub(super) fn apply_refund(
        &mut self,
        id: RefundId,
        at: Timestamp,
        kind: &'static str,
        by: Option<By>,
        change: impl FnOnce(&mut Refund),
    ) {
        let Some(refund) = self.refunds.iter_mut().find(|refund| refund.id == id) else { return };
        let was = refund.status;
        change(refund);
        let refund = refund.clone();
        let given_back =
            i64::from(refund.status == RefundStatus::Succeeded) - i64::from(was == RefundStatus::Succeeded);
        for share in self.shares.iter_mut().filter(|share| share.vendor == refund.vendor) {
            share.refunded = share.refunded.saturating_add(refund.amount.saturating_mul(given_back));
        }
        self.payment_status = self.payment_standing();
        let (reference, failure) = (refund.reference.clone(), refund.failure.clone());
        let entry = self.note_refund(&refund, at, kind);
        entry.reason = failure.or(reference);
        entry.by = by;
    }

    /// Of one vendor's share, or of all: what is still owed to the buyer stands in refunds, to the last unit.
    pub(super) fn owed_is_wrong(&self) -> Option<&'static str> {
        if self.phase != Phase::Settled {
            return None;
        }
        for share in &self.shares {
            let is_open = |refund: &&Refund| {
                refund.vendor == share.vendor
                    && !matches!(refund.status, RefundStatus::Succeeded | RefundStatus::Cancelled)
            };
            let open = money::sum(self.refunds.iter().filter(is_open).map(|refund| refund.amount));
            if share.amounts().refund_due != open {
                return Some("what_is_owed_is_being_given_back");
            }
        }
        None
    }

    /// Whether it is paid, and sold what it is of, whatever was taken back since.
    pub(super) fn is_sold(&self) -> bool {
        let from = self.stuck.as_ref().map_or(self.phase, |stuck| stuck.from);
        matches!(from, Phase::Confirming | Phase::Settled)
    }

    /// The refunds that a provider may be asked for, or about.
    pub(super) fn open_refunds(&self, order: OrderId) -> Vec<RefundCall> {
        self.refund_calls(order, |refund| refund.status == RefundStatus::Pending)
    }

    /// The refunds that stand in a provider's books, or may: also what was given back may be returned by a bank.
    pub(super) fn sent_refunds(&self, order: OrderId) -> Vec<RefundCall> {
        self.refund_calls(order, |refund| match refund.status {
            RefundStatus::Pending => true,
            RefundStatus::Succeeded => !refund.by_hand,
            RefundStatus::Requested | RefundStatus::Failed | RefundStatus::Cancelled => false,
        })
    }

    fn refund_calls(&self, order: OrderId, of: impl Fn(&Refund) -> bool) -> Vec<RefundCall> {
        let call = |refund: &Refund| RefundCall {
            order,
            mint: self.mint,
            reference: self.reference.clone(),
            attempt: refund.attempt,
            amount: Money::new(refund.amount, self.currency),
            of: Some(RefundOf { refund: refund.id, mint: refund.mint }),
        };
        self.refunds.iter().filter(|refund| of(refund)).map(call).collect()
    }
}

impl Order {
    /// Its refunds, the oldest first.
    pub fn refunds(&self) -> &[Refund] {
        self.body.as_ref().map_or(&[], |body| &body.refunds)
    }

    /// What its provider says to have given back, and what it is being asked for, in minor units.
    pub fn given_back(&self) -> (i64, i64) {
        let sum = |of: fn(&Refund) -> bool| {
            money::sum(self.refunds().iter().filter(|refund| of(refund)).map(|refund| refund.amount))
        };
        let given_back = sum(|refund| refund.status == RefundStatus::Succeeded && !refund.by_hand);
        (given_back, sum(|refund| matches!(refund.status, RefundStatus::Requested | RefundStatus::Pending)))
    }

    /// Units whose vendor has not said yet that it has them back.
    pub fn units_coming_back(&self) -> impl Iterator<Item = (VendorId, SkuId, i64)> {
        let made = self.body.iter().flat_map(|body| &body.credits);
        made.flat_map(|made| made.units.iter().map(move |(sku, units)| (made.vendor, *sku, *units)))
    }
}
