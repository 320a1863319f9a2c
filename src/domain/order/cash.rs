//! Orders that are paid at the door. They are accepted before anything is paid: their stock is sold to them, and each share is paid when its one
//! parcel is taken.
//!
//! ```text
//! confirmed ──▶ each share: shipped in one parcel ──▶ taken, in part or not at all ──▶ collected ──▶ remitted by the courier
//! ```
//!
//! What is not taken is credited, and what is left is collected in the same record. Whoever collects rounds to the smallest amount that is handed over
//! in cash. What the rounding adds or leaves out is the share's `rounding`: nobody owes it. A buyer who gives back a whole share has back all that was
//! collected for it. An amount that is larger than the rounding explains is owed to the buyer, and given back by hand: no provider has it. An amount
//! that is missing stays due until somebody says what became of it (`resolve`).

use super::line::OrderLine;
use super::refund::{Credit, CreditReason, CreditSeed, RefundAsked};
use super::share::{Share, is_zero};
use super::shipment::{NotFulfillable, Parcel, ShipmentStatus};
use super::state::{Body, Phase};
use super::{Leg, LegState, Order, OrderEvent, Party, PaymentStatus};
use crate::domain::buyer::Mint;
use crate::domain::ids::{CreditId, CustomerId, RefundId, ShipmentId, VendorId};
use crate::domain::knowledge::Prices;
use crate::domain::money::{self, Currency, Money};
use crate::domain::pricing::ON_DELIVERY;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::WantedLine;
use crate::domain::who::{By, named};
use serde::{Deserialize, Serialize};

named!(
    /// Why an order cannot be paid at the door.
    NoCash:
    /// No shipping method there takes payment on delivery.
    Method "method",
    /// As many orders of the buyer are open that are to be paid at the door as may be.
    OpenOrders "open_orders",
    /// The buyer has refused parcels at the door too often of late.
    Refusals "refusals",
    /// The sale does not say that it may be paid so.
    Sale "sale",
    /// It comes to more than the shop takes at the door.
    Amount "amount",
);

impl NoCash {
    /// As the default in records of early versions.
    pub const fn method() -> Self {
        Self::Method
    }

    /// Whether it is the default.
    pub fn is_method(&self) -> bool {
        *self == Self::Method
    }

    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Method => "no shipping method there takes payment on delivery",
            Self::OpenOrders => "too many orders of this buyer wait to be paid at the door",
            Self::Refusals => "too many parcels of this buyer were refused at the door",
            Self::Sale => "this sale is not paid on delivery",
            Self::Amount => "an order that comes to so much is not paid on delivery",
        }
    }
}

/// What was taken at the door for a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cash {
    /// How much, in minor units.
    pub collected: i64,
    /// What the courier has handed on of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remitted: Option<Remittance>,
}

/// What a courier says to have collected for a parcel, and to hand on, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remittance {
    /// What it has collected.
    pub collected: i64,
    /// What it keeps for itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fee: i64,
    /// What it hands on.
    pub remitted: i64,
}

/// That money was taken at the door for a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// For which parcel.
    pub shipment: ShipmentId,
    /// Of whose share.
    pub vendor: VendorId,
    /// How much, in minor units.
    pub amount: i64,
    /// What it was rounded by.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rounding: i64,
}

/// Whether an order that comes to so much, in minor units, may be paid by this method: at the door only up to the shop's maximum.
///
/// # Errors
/// [`Reject::CodNotAvailable`].
pub fn within_maximum(method: &str, total: i64, currency: Currency, prices: &dyn Prices) -> Result<(), Reject> {
    let most = prices.most_at_the_door(currency).filter(|most| method == ON_DELIVERY && total > *most);
    most.map_or(Ok(()), |most| {
        let maximum = Some(Money::new(most, currency));
        Err(Reject::CodNotAvailable { why: NoCash::Amount, vendor_ids: Vec::new(), maximum })
    })
}

/// The smallest amount that is handed over in cash, in minor units: in Bangladesh a taka, since nobody has smaller coins.
pub fn smallest_cash(currency: Currency) -> i64 {
    if currency == Currency::BDT { 100 } else { 1 }
}

/// To the nearest amount that can be handed over; a half is rounded up.
pub fn rounded(minor: i64, currency: Currency) -> i64 {
    let unit = smallest_cash(currency);
    minor.saturating_add(unit / 2) / unit * unit
}

type Decision = Result<Vec<OrderEvent>, Reject>;

impl Body {
    /// Whether it is paid at the door, as far as there is anything to pay.
    pub(super) fn pays_at_the_door(&self) -> bool {
        self.payment.method == ON_DELIVERY && self.total > 0
    }

    /// Who counts how many such orders its buyer has open.
    fn counted_at(&self) -> Option<CustomerId> {
        self.buyer.as_ref()?.at_door
    }

    /// All is held that it needs but for the count of its buyer's open orders, or that, too: what comes next is asked for, or it is accepted.
    pub(super) fn to_confirm(&self, is_counted: bool) -> OrderEvent {
        match self.counted_at().filter(|_| !is_counted) {
            Some(customer) => OrderEvent::LegAsked { with: Party::Cash(customer) },
            None => OrderEvent::Confirmed,
        }
    }

    pub(super) fn apply_leg_asked(&mut self, with: Party) {
        self.legs.push(Leg { with, state: LegState::Asked });
    }

    /// The leg with whoever counts its buyer's open orders.
    pub(super) fn cash_leg(&self) -> Option<Leg> {
        self.legs.iter().find(|leg| matches!(leg.with, Party::Cash(_))).copied()
    }

    /// Whether nothing of a share is to be brought to a door any more, nor is anybody to say what was collected there.
    pub(super) fn is_over_at_the_door(&self, vendor: VendorId) -> bool {
        self.lines_of(vendor).all(OrderLine::is_over) && !self.parcels.iter().any(|parcel| self.waits_for_cash(parcel))
    }

    /// Whether a parcel has arrived, of which nobody has said what was collected.
    fn waits_for_cash(&self, parcel: &Parcel) -> bool {
        let is_due = || self.share(parcel.vendor).is_ok_and(|share| share.amounts().total_due > 0);
        parcel.status == ShipmentStatus::Delivered && parcel.cash.is_none() && is_due()
    }

    fn is_all_over_at_the_door(&self) -> bool {
        self.shares.iter().all(|share| self.is_over_at_the_door(share.vendor))
    }

    /// Who counts its buyer's open orders has to hear that it is none any more.
    pub(super) fn cash_to_close(&self) -> Option<Party> {
        let leg = self.cash_leg().filter(|leg| matches!(leg.state, LegState::Committed | LegState::Unanswered))?;
        (self.phase == Phase::Settled && self.is_all_over_at_the_door()).then_some(leg.with)
    }

    /// Whether what was brought to the door of it was not taken, any of it.
    pub(super) fn is_refused_at_the_door(&self) -> bool {
        let arrived = |line: &OrderLine| line.moved().delivered > 0;
        let refused = |line: &OrderLine| line.moved().refused > 0;
        self.lines.iter().any(refused) && !self.lines.iter().any(arrived)
    }

    /// What is to be collected for a share when its parcel arrives as a whole.
    pub(super) fn to_collect(&self, vendor: VendorId) -> i64 {
        let is_open = self.pays_at_the_door() && self.is_sold() && !self.is_over_at_the_door(vendor);
        if is_open { rounded(self.share_amounts(vendor).total_due, self.currency) } else { 0 }
    }

    /// A share of such an order goes out in one parcel: what is to be paid for it is known there.
    pub(super) fn may_ship_at_once(&self, vendor: VendorId, lines: &[WantedLine]) -> bool {
        let is_live = |parcel: &Parcel| {
            parcel.vendor == vendor && (parcel.is_inside() || parcel.status == ShipmentStatus::HandedOver)
        };
        let units = money::sum(lines.iter().map(|line| line.quantity));
        !self.pays_at_the_door()
            || (!self.parcels.iter().any(is_live) && units == money::sum(self.lines_of(vendor).map(OrderLine::to_ship)))
    }

    /// So much was collected for a parcel that has arrived; `credit` is what of it was not taken, in the same record.
    pub(super) fn collected(
        &self,
        parcel: &Parcel,
        collected: Option<i64>,
        credit: Option<&OrderEvent>,
        seed: &CreditSeed,
        is_told: bool,
    ) -> Result<Option<OrderEvent>, Reject> {
        let refuse = |why| Err(Reject::NotFulfillable { why });
        if !self.pays_at_the_door() {
            return if collected.is_some() { refuse(NotFulfillable::NothingToCollect) } else { Ok(None) };
        }
        if let Some(known) = parcel.cash {
            let is_same = collected.is_none_or(|collected| collected == known.collected);
            return if is_same { Ok(None) } else { refuse(NotFulfillable::ShipmentStatus) };
        }
        let mut share = self.share(parcel.vendor)?.clone();
        if let Some(OrderEvent::Credited { credit, .. }) = credit {
            share.credit(credit.amount());
        }
        match collected {
            Some(amount) => Ok(self.collection(parcel, &share, amount, seed.mint)),
            // A courier that does not say what it has collected has brought the parcel all the same.
            None if is_told || share.amounts().total_due == 0 => Ok(None),
            None => refuse(NotFulfillable::CollectedMissing),
        }
    }

    /// What comes of an amount that was taken for a share that stands so.
    fn collection(&self, parcel: &Parcel, share: &Share, amount: i64, mint: Mint) -> Option<OrderEvent> {
        let due = share.amounts().total_due;
        if amount == 0 && due == 0 {
            return None;
        }
        let beyond = amount.saturating_sub(due);
        // Where nothing is due, nothing is rounded.
        let is_rounded = due > 0 && beyond.saturating_abs() < smallest_cash(self.currency);
        let rounding = if is_rounded { beyond } else { 0 };
        let owed = beyond.saturating_sub(rounding).max(0);
        let id = RefundId::from_uuid(CreditId::of_collection(parcel.id).uuid());
        let refund_requested = (owed > 0).then_some(RefundAsked { id, amount: owed, mint });
        let collection = Collection { shipment: parcel.id, vendor: parcel.vendor, amount, rounding };
        Some(OrderEvent::CashCollected { collection, refund_requested, by: None })
    }

    pub(super) fn apply_collected(
        &mut self,
        collection: &Collection,
        asked: Option<&RefundAsked>,
        by: Option<By>,
        at: Timestamp,
    ) {
        let Collection { shipment, vendor, amount, rounding } = *collection;
        for share in self.shares.iter_mut().filter(|share| share.vendor == vendor) {
            share.paid = share.paid.saturating_add(amount);
            share.rounding = share.rounding.saturating_add(rounding);
        }
        for parcel in self.parcels.iter_mut().filter(|parcel| parcel.id == shipment) {
            let cash = parcel.cash.get_or_insert(Cash { collected: 0, remitted: None });
            cash.collected = cash.collected.saturating_add(amount);
        }
        let entry = self.note(at, "cash_collected");
        (entry.vendor, entry.amount, entry.by, entry.shipment) = (Some(vendor), Some(amount), by, Some(shipment));
        if let Some(asked) = asked {
            self.apply_asked(vendor, CreditReason::Other, *asked, at);
        }
        self.roll_up(at);
    }

    /// A courier hands on what it has collected for a parcel: once.
    pub(super) fn decide_remit(&self, id: ShipmentId, told: &Remittance, mint: Mint, by: Option<By>) -> Decision {
        let parcel = self.parcel(id)?;
        let remitted = OrderEvent::CashRemitted { shipment: id, vendor: parcel.vendor, told: *told, by };
        match parcel.cash {
            Some(Cash { remitted: Some(known), .. }) if known == *told => Ok(Vec::new()),
            Some(Cash { remitted: Some(_), .. }) => {
                Err(Reject::NotFulfillable { why: NotFulfillable::AlreadyRemitted })
            }
            Some(_) => Ok(vec![remitted]),
            // It has not said so when it brought the parcel, and says it now.
            None if self.waits_for_cash(parcel) => {
                let share = self.share(parcel.vendor)?;
                let collected = self.collection(parcel, share, told.collected, mint);
                Ok(collected.into_iter().chain([remitted]).collect())
            }
            None => Err(Reject::NotFulfillable { why: NotFulfillable::NothingToCollect }),
        }
    }

    pub(super) fn apply_remitted(
        &mut self,
        id: ShipmentId,
        vendor: VendorId,
        told: Remittance,
        by: Option<By>,
        at: Timestamp,
    ) {
        for parcel in self.parcels.iter_mut().filter(|parcel| parcel.id == id) {
            let cash = parcel.cash.get_or_insert(Cash { collected: 0, remitted: None });
            cash.remitted = Some(told);
        }
        let entry = self.note(at, "cash_remitted");
        (entry.vendor, entry.amount, entry.by, entry.shipment) = (Some(vendor), Some(told.remitted), by, Some(id));
    }

    /// Shares for which less was collected than was due: what is missing of each, and the parcel for which it was to be collected.
    pub(super) fn short(&self) -> impl Iterator<Item = (&Share, ShipmentId, i64)> {
        let at_door = self.phase == Phase::Settled && self.pays_at_the_door();
        self.shares.iter().filter(move |_| at_door).filter_map(|share| {
            let missing = share.amounts().total_due;
            let told = |parcel: &&Parcel| parcel.vendor == share.vendor && parcel.cash.is_some();
            let parcel = self.parcels.iter().rev().find(told).filter(|_| missing > 0)?;
            Some((share, parcel.id, missing))
        })
    }

    /// What is missing of all of them.
    pub(super) fn missing_cash(&self) -> Option<Money> {
        let missing = money::sum(self.short().map(|(_, _, missing)| missing));
        (missing > 0).then(|| Money::new(missing, self.currency))
    }

    /// What was missing came in another way, or is the shop's loss.
    pub(super) fn short_resolved(&self, is_paid: bool, by: Option<By>, mint: Mint) -> Vec<OrderEvent> {
        let resolved = |(share, shipment, missing): (&Share, ShipmentId, i64)| {
            let vendor = share.vendor;
            if is_paid {
                let collection = Collection { shipment, vendor, amount: missing, rounding: 0 };
                return Some(OrderEvent::CashCollected { collection, refund_requested: None, by });
            }
            let (lines, besides) = self.spread(share, missing, 0);
            let (id, reason) = (CreditId::of_loss(shipment), CreditReason::Other);
            let (points_besides, shipped, restock) = (0, false, None);
            let credit = Credit { id, vendor, lines, besides, points_besides, reason, by, shipped, restock };
            self.credited(credit, mint).ok()
        };
        self.short().filter_map(resolved).collect()
    }

    /// What does not fit of what couriers handed on, as codes.
    pub(super) fn remittances_differ(&self) -> impl Iterator<Item = &'static str> {
        let told = || self.parcels.iter().filter_map(|parcel| Some((parcel.cash?.collected, parcel.cash?.remitted?)));
        let differs = told().any(|(collected, told)| told.collected != collected);
        let is_short = told().any(|(collected, told)| told.remitted.saturating_add(told.fee) < collected);
        [(differs, "remittance_differs"), (is_short, "remittance_short")]
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, code)| code)
    }

    /// How its payment stands.
    pub(super) fn cash_standing(&self) -> PaymentStatus {
        let sums = self.amounts();
        match (sums.paid, sums.refunded) {
            _ if !self.is_sold() => self.payment_status,
            _ if !self.is_all_over_at_the_door() => PaymentStatus::DueOnDelivery,
            (0, _) => PaymentStatus::Voided,
            (_, 0) => PaymentStatus::Collected,
            (paid, refunded) if refunded == paid => PaymentStatus::Refunded,
            _ => PaymentStatus::PartiallyRefunded,
        }
    }

    /// What of its cash cannot be.
    pub(super) fn cash_is_wrong(&self) -> Option<&'static str> {
        let at_door = self.pays_at_the_door() && self.is_sold();
        for share in &self.shares {
            let own = self.parcels.iter().filter(|parcel| parcel.vendor == share.vendor);
            let collected = money::sum(own.filter_map(|parcel| parcel.cash).map(|cash| cash.collected));
            if collected != if at_door { share.paid } else { 0 } {
                return Some("cash_is_collected_once");
            }
        }
        None
    }
}

/// Who has to count an order among the open ones of its buyer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedOpen {
    /// This one.
    By(CustomerId),
    /// This one, or nobody: one of the two has heard and the other has not.
    Perhaps(CustomerId),
    /// Nobody.
    No,
}

impl Order {
    /// Whether it is paid at the door.
    pub fn pays_at_the_door(&self) -> bool {
        self.body.as_ref().is_some_and(Body::pays_at_the_door)
    }

    /// Who has to count it among the open orders of its buyer that are to be paid at the door.
    pub fn counted_open(&self) -> CountedOpen {
        let Some((body, leg)) = self.body.as_ref().and_then(|body| Some((body, body.cash_leg()?))) else {
            return CountedOpen::No;
        };
        let Party::Cash(by) = leg.with else { return CountedOpen::No };
        match leg.state {
            LegState::Refused | LegState::Released => CountedOpen::No,
            LegState::Held if body.phase == Phase::Confirming => CountedOpen::By(by),
            LegState::Committed if body.cash_to_close().is_none() => CountedOpen::By(by),
            LegState::Asked | LegState::Held | LegState::Committed | LegState::Unanswered => CountedOpen::Perhaps(by),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cash_is_rounded_to_what_can_be_handed_over() {
        let usd: Currency = "USD".parse().unwrap();
        for (minor, currency, cash) in [
            (0, Currency::BDT, 0),
            (49, Currency::BDT, 0),
            (50, Currency::BDT, 100),
            (6_060, Currency::BDT, 6_100),
            (6_049, Currency::BDT, 6_000),
            (i64::MAX, Currency::BDT, i64::MAX / 100 * 100),
            (6_049, usd, 6_049),
        ] {
            assert_eq!(rounded(minor, currency), cash, "{minor} {currency}");
        }
    }
}
