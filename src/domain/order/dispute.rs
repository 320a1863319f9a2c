//! Disputes: a buyer had their bank take the money back, and the bank decides who is right.
//!
//! ```text
//! open ──▶ won: refunds that waited go on
//!   └────▶ lost: what the bank took counts as given back, and is not owed a second time
//! ```
//!
//! While one is open no refund is asked for: the bank has the money already, and would give it a second time. What was asked for before goes on
//! at the provider, and what it gives back is not what the dispute took. Goods that a dispute was lost for are not taken back into stock, and
//! neither limits nor uses of coupons come back.

use super::refund::{Credit, CreditReason, Refund, RefundAsked, RefundStatus};
use super::share::Share;
use super::shipment::ShipmentStatus;
use super::state::{Body, Phase};
use super::{Order, OrderEvent, PaymentStatus};
use crate::domain::buyer::Mint;
use crate::domain::ids::{CreditId, OrderId, RefundId, VendorId};
use crate::domain::money::{self, Money};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::who::named;
use crate::limits;
use serde::{Deserialize, Serialize};

named!(
    /// How a dispute stands.
    DisputeStatus:
    /// The bank has not decided.
    Open "open",
    /// The shop keeps the money.
    Won "won",
    /// The buyer has it back.
    Lost "lost",
);

/// What a provider says of a dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeTold {
    /// Its name in the provider's books.
    pub id: String,
    /// How it stands.
    pub status: DisputeStatus,
    /// How much of the payment is disputed.
    pub amount: Money,
    /// Why, in the provider's words.
    pub reason: String,
}

/// A dispute of an order's payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Its name in the provider's books.
    pub id: String,
    /// How it stands.
    pub status: DisputeStatus,
    /// How much of the payment is disputed.
    pub amount: Money,
    /// Why, in the provider's words.
    pub reason: String,
    /// What of it was lost, and not of money that the order still had: it was given back before, or is of another currency.
    #[serde(default, skip_serializing_if = "super::share::is_zero")]
    pub beyond: i64,
}

/// What a lost dispute took of one share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostShare {
    /// Whose.
    pub vendor: VendorId,
    /// How much, in minor units.
    pub amount: i64,
    /// What need not be paid any more, since it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<Box<Credit>>,
    /// Refunds that were not asked for yet, or had failed: the dispute took what they would have given back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancelled: Vec<RefundId>,
    /// What of those is owed all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_requested: Option<RefundAsked>,
}

impl Body {
    /// Whether the money is disputed now.
    pub(super) fn is_disputed(&self) -> bool {
        self.disputes.iter().any(|dispute| dispute.status == DisputeStatus::Open)
    }

    /// Refunds that go on when this dispute is over.
    fn resumed(&self, dispute: &str, but: impl Fn(&Refund) -> bool) -> Vec<RefundId> {
        let is_other = |other: &Dispute| other.id != dispute && other.status == DisputeStatus::Open;
        if self.disputes.iter().any(is_other) {
            return Vec::new();
        }
        let waits = |refund: &&Refund| refund.status == RefundStatus::Requested && !but(refund);
        self.refunds.iter().filter(waits).map(|refund| refund.id).collect()
    }

    /// The provider says how a dispute stands. It may be heard of late, so also of one that is over when it is first told of. One that was lost
    /// stays lost, and one that was won may yet be lost: a bank may decide again.
    pub(super) fn decide_dispute(
        &self,
        order: OrderId,
        told: &DisputeTold,
        mint: Mint,
    ) -> Result<Vec<OrderEvent>, Reject> {
        let DisputeTold { id, status, amount, reason } = told;
        let known = self.disputes.iter().find(|dispute| dispute.id == *id);
        let mut events = Vec::new();
        if known.is_none() {
            if self.disputes.len() >= limits::DISPUTES_PER_ORDER {
                return Err(Reject::TooMany {
                    what: "disputes of one order".into(),
                    limit: limits::DISPUTES_PER_ORDER,
                });
            }
            events.push(OrderEvent::DisputeOpened { dispute: id.clone(), amount: *amount, reason: reason.clone() });
        }
        match (known.map_or(DisputeStatus::Open, |dispute| dispute.status), status) {
            (DisputeStatus::Open, DisputeStatus::Won) => {
                let refund_resumed = self.resumed(id, |_| false);
                events.push(OrderEvent::DisputeWon { dispute: id.clone(), refund_resumed });
            }
            (DisputeStatus::Open | DisputeStatus::Won, DisputeStatus::Lost) => {
                events.push(self.lost(order, id, *amount, mint));
            }
            (DisputeStatus::Open | DisputeStatus::Won, DisputeStatus::Open)
            | (DisputeStatus::Won, DisputeStatus::Won)
            | (DisputeStatus::Lost, _) => {}
        }
        Ok(events)
    }

    /// What the provider is giving back of a share now.
    fn under_way(&self, vendor: VendorId) -> i64 {
        let is_pending = |refund: &&Refund| refund.vendor == vendor && refund.status == RefundStatus::Pending;
        money::sum(self.refunds.iter().filter(is_pending).map(|refund| refund.amount))
    }

    /// What of a share's payment the order still has, and nobody is giving back.
    fn kept_of(&self, share: &Share) -> i64 {
        share.paid.saturating_sub(share.refunded).saturating_sub(self.under_way(share.vendor)).max(0)
    }

    /// A dispute took so much. It is split by what of each share's payment is left. What a share owes its buyer less for that is not owed.
    fn lost(&self, order: OrderId, id: &str, amount: Money, mint: Mint) -> OrderEvent {
        let kept: Vec<i64> = self.shares.iter().map(|share| self.kept_of(share)).collect();
        let told = if amount.currency == self.currency { amount.minor.max(0) } else { 0 };
        let parts = money::split(told.min(money::sum(kept.iter().copied())), &kept);
        let parts = parts.unwrap_or_else(|| vec![0; kept.len()]);
        let taken = self.shares.iter().zip(&parts).filter(|(_, part)| **part > 0);
        let shares: Vec<LostShare> = taken.map(|(share, part)| self.lost_of(order, id, share, *part, mint)).collect();
        let is_over = |refund: &Refund| shares.iter().any(|lost| lost.cancelled.contains(&refund.id));
        let refund_resumed = self.resumed(id, is_over);
        OrderEvent::DisputeLost { dispute: id.to_owned(), amount, shares, refund_resumed }
    }

    fn lost_of(&self, order: OrderId, id: &str, share: &Share, amount: i64, mint: Mint) -> LostShare {
        let vendor = share.vendor;
        let is_waiting = |refund: &&Refund| {
            refund.vendor == vendor && matches!(refund.status, RefundStatus::Requested | RefundStatus::Failed)
        };
        let cancelled = self.refunds.iter().filter(is_waiting).map(|refund| refund.id).collect();
        let credit_id = CreditId::of_dispute(order, id, vendor);
        let to_pay = share.total.saturating_sub(share.credited);
        // What is under way counts as given back: were it owed and credited as well, it would be the buyer's twice.
        let kept = self.kept_of(share).saturating_sub(amount);
        let credited = to_pay.saturating_sub(kept).max(0);
        let credit = (credited > 0).then(|| {
            let (lines, besides) = self.spread(share, credited, 0);
            let (id, reason, by, shipped, restock) = (credit_id, CreditReason::DisputeLost, None, false, None);
            Box::new(Credit { id, vendor, lines, besides, points_besides: 0, reason, by, shipped, restock })
        });
        let owed = kept.saturating_sub(to_pay.saturating_sub(credited));
        let asked = RefundAsked { id: RefundId::from_uuid(credit_id.uuid()), amount: owed, mint };
        LostShare { vendor, amount, credit, cancelled, refund_requested: (owed > 0).then_some(asked) }
    }

    pub(super) fn apply_dispute_opened(&mut self, id: &str, amount: Money, reason: &str, at: Timestamp) {
        let (id, reason, status, beyond) = (id.to_owned(), reason.to_owned(), DisputeStatus::Open, 0);
        self.disputes.push(Dispute { id, status, amount, reason: reason.clone(), beyond });
        self.note_dispute("dispute_opened", amount, at).reason = Some(reason);
        self.payment_status = self.payment_standing();
    }

    pub(super) fn apply_dispute_won(&mut self, id: &str, at: Timestamp) {
        let Some(dispute) = self.disputes.iter_mut().find(|dispute| dispute.id == id) else { return };
        dispute.status = DisputeStatus::Won;
        let amount = dispute.amount;
        self.note_dispute("dispute_won", amount, at);
        self.payment_status = self.payment_standing();
    }

    pub(super) fn apply_dispute_lost(&mut self, id: &str, amount: Money, shares: &[LostShare], at: Timestamp) {
        let applied = money::sum(shares.iter().map(|share| share.amount));
        if let Some(dispute) = self.disputes.iter_mut().find(|dispute| dispute.id == id) {
            (dispute.status, dispute.amount) = (DisputeStatus::Lost, amount);
            dispute.beyond = amount.minor.max(0).saturating_sub(applied);
        }
        self.note_dispute("dispute_lost", amount, at);
        for lost in shares {
            let LostShare { vendor, amount, credit, cancelled, refund_requested } = lost;
            for share in self.shares.iter_mut().filter(|share| share.vendor == *vendor) {
                share.refunded = share.refunded.saturating_add(*amount);
            }
            for id in cancelled {
                self.apply_refund(*id, at, "refund_cancelled", None, |refund| refund.status = RefundStatus::Cancelled);
            }
            if let Some(credit) = credit {
                self.apply_credit(credit, None, at);
            }
            if let Some(asked) = refund_requested {
                self.apply_asked(*vendor, CreditReason::DisputeLost, *asked, at);
            }
        }
        self.payment_status = self.payment_standing();
    }

    fn note_dispute(&mut self, kind: &'static str, amount: Money, at: Timestamp) -> &mut super::TimelineEntry {
        let own = self.currency;
        let entry = self.note(at, kind);
        entry.amount = Some(amount.minor);
        entry.currency = (amount.currency != own).then_some(amount.currency);
        entry
    }

    /// How a payment stands that was taken for an order that sold its goods.
    pub(super) fn payment_standing(&self) -> PaymentStatus {
        if self.pays_at_the_door() {
            return self.cash_standing();
        }
        let sums = self.amounts();
        match (sums.paid, sums.refunded) {
            // What ended unpaid stands as it ended.
            (0, _) => self.payment_status,
            _ if !self.is_sold() => self.payment_status,
            _ if self.is_disputed() => PaymentStatus::Disputed,
            (_, 0) => PaymentStatus::Captured,
            (paid, refunded) if refunded == paid => PaymentStatus::Refunded,
            _ => PaymentStatus::PartiallyRefunded,
        }
    }

    /// What of an order somebody has to look at, as codes.
    pub(super) fn attention(&self) -> Vec<&'static str> {
        let mut codes = Vec::new();
        if self.is_disputed() {
            codes.push("dispute_open");
        }
        if self.disputes.iter().any(|dispute| dispute.status == DisputeStatus::Lost && dispute.beyond > 0) {
            codes.push("dispute_beyond_payment");
        }
        if self.refunds.iter().any(|refund| refund.status == RefundStatus::Failed) {
            codes.push("refund_failed");
        }
        if self.parcels.iter().any(|parcel| parcel.astray) {
            codes.push("parcel_astray");
        }
        if self.parcels.iter().any(|parcel| parcel.refused.is_some() && parcel.status == ShipmentStatus::Draft) {
            codes.push("booking_refused");
        }
        if self.parcels.iter().any(|parcel| parcel.status == ShipmentStatus::Lost) {
            codes.push("parcel_lost");
        }
        if self.pays_at_the_door() && self.refunds.iter().any(|refund| refund.status == RefundStatus::Requested) {
            codes.push("refund_by_hand");
        }
        if self.missing_cash().is_some() {
            codes.push("collection_mismatch");
        }
        codes.extend(self.remittances_differ());
        if self.is_overdue() {
            codes.push("not_accepted");
        }
        if self.phase == Phase::Stuck {
            codes.push("stuck");
        }
        codes
    }
}

impl Order {
    /// What of it somebody has to look at, as codes.
    pub fn attention(&self) -> Vec<&'static str> {
        self.body.as_ref().map_or_else(Vec::new, |body| body.attention())
    }

    /// Its disputes, the oldest first.
    pub fn disputes(&self) -> &[Dispute] {
        self.body.as_ref().map_or(&[], |body| &body.disputes)
    }
}
