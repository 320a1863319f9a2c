//! What a credit comes to: units of lines, or an amount, of one vendor's share.
//!
//! Units that are still with their vendor are cancelled, and come back into stock. Units that were handed over are given back by what becomes of
//! them: what is refused at the door, what a buyer sends back, or what the staff says.

use super::OrderEvent;
use super::line::OrderLine;
use super::refund::{Credit, CreditSeed, CreditedLine, RefundAsked, Wanted};
use super::share::Share;
use super::shipment::{NotFulfillable, Parcel, units_of};
use super::state::{Body, Phase};
use crate::domain::buyer::Mint;
use crate::domain::ids::{RefundId, VendorId};
use crate::domain::money::{self, Money};
use crate::domain::reject::Reject;
use crate::domain::vendor::WantedLine;
use crate::domain::who::By;
use crate::limits;

impl Share {
    /// What of its payment can still be given back.
    pub(super) fn refundable(&self, lines: &[OrderLine], included: bool) -> i64 {
        let own = lines.iter().filter(|line| line.vendor == self.vendor);
        let left = own.map(|line| line.payable().saturating_sub(line.credited_amount));
        let left = money::sum(left.chain([self.besides_left(included)]));
        let amounts = self.amounts();
        let kept = amounts.paid.saturating_sub(amounts.refunded).saturating_sub(amounts.refund_due);
        left.min(kept).max(0)
    }

    pub(super) fn besides_left(&self, included: bool) -> i64 {
        self.besides(included).saturating_sub(self.besides_credited).max(0)
    }
}

impl Body {
    pub(super) fn share(&self, vendor: VendorId) -> Result<&Share, Reject> {
        self.shares.iter().find(|share| share.vendor == vendor).ok_or(Reject::OrderUnknown)
    }

    pub(super) fn lines_of(&self, vendor: VendorId) -> impl Iterator<Item = &OrderLine> {
        self.lines.iter().filter(move |line| line.vendor == vendor)
    }

    /// Whether credits can be decided now: what is not paid is cancelled as a whole, what is being paid has to be settled first, and of what is
    /// disputed nobody knows whose it is.
    pub(super) fn may_credit(&self) -> Result<(), Reject> {
        match self.phase {
            Phase::Settled if self.is_disputed() => Err(Reject::PaymentDisputed),
            Phase::Settled => Ok(()),
            Phase::Gathering | Phase::Paying | Phase::Voiding(_) | Phase::Confirming | Phase::Stuck => {
                Err(Reject::PaymentInProgress)
            }
            Phase::Cancelling(_) | Phase::Reopening(_) | Phase::Ended => {
                Err(Reject::OrderNotCancellable { status: self.status })
            }
        }
    }

    /// What a wish comes to. The function by which a preview is shown is the one that decides.
    pub(super) fn credit(
        &self,
        vendor: VendorId,
        wanted: &Wanted,
        seed: &CreditSeed,
        by: Option<By>,
    ) -> Result<Credit, Reject> {
        let share = self.share(vendor)?;
        let included = self.prices_include_tax();
        let besides_of = |shipping: bool| if shipping { share.besides_left(included) } else { 0 };
        let (shipped, mut restock) = (matches!(wanted, Wanted::Shipped { .. }), None);
        let points_of = |shipping: bool| if shipping { self.points_besides(vendor) } else { 0 };
        let (lines, besides, points_besides) = match wanted {
            Wanted::Units(wanted) => {
                let (lines, besides, is_whole) = self.cancel_of_units(vendor, wanted)?;
                (lines, besides, points_of(is_whole))
            }
            Wanted::Amount { minor, shipping } => {
                let points = points_of(*shipping);
                let (lines, besides) = self.credit_of_amount(share, *minor, besides_of(*shipping), points)?;
                (lines, besides, points)
            }
            Wanted::Shipped { lines, shipping, restock: back } => {
                let lines = self.credit_of_shipped(vendor, lines, *back)?;
                restock = (!back).then(Vec::new);
                (lines, besides_of(*shipping), points_of(*shipping))
            }
        };
        let (id, reason) = (seed.id, seed.reason);
        Ok(Credit { id, vendor, lines, besides, points_besides, reason, by, shipped, restock })
    }

    /// Units that are still with their vendor, and with the last of a share of which nothing was handed over what is left of shipping and fees.
    fn cancel_of_units(
        &self,
        vendor: VendorId,
        wanted: &[WantedLine],
    ) -> Result<(Vec<CreditedLine>, i64, bool), Reject> {
        for asked in wanted {
            let of = self.lines_of(vendor).find(|line| line.sku == asked.sku).ok_or(Reject::SkuUnknown)?;
            let left = of.quantity.saturating_sub(of.credited);
            if asked.quantity > left {
                return Err(Reject::UnitsCredited { sku_id: asked.sku, left });
            }
            if asked.quantity > of.inside() {
                return Err(Reject::AlreadyShipped);
            }
        }
        let of_line = |line: &OrderLine| match wanted.is_empty() {
            true => line.inside(),
            false => units_of(wanted, line.sku),
        };
        let units: Vec<WantedLine> =
            self.lines_of(vendor).map(|line| WantedLine { sku: line.sku, quantity: of_line(line) }).collect();
        if units.iter().all(|line| line.quantity == 0) {
            return Err(match self.lines_of(vendor).any(|line| line.credited < line.quantity) {
                true => Reject::AlreadyShipped,
                false => Reject::OrderNotCancellable { status: self.status },
            });
        }
        let (lines, is_last) = self.credit_units(vendor, &units);
        let is_whole = is_last && !self.lines_of(vendor).any(|line| line.moved().shipped > 0);
        let besides = if is_whole { self.share(vendor)?.besides_left(self.prices_include_tax()) } else { 0 };
        Ok((lines, besides, is_whole))
    }

    /// Units that were handed over, and are given back as they are.
    fn credit_of_shipped(
        &self,
        vendor: VendorId,
        wanted: &[WantedLine],
        restock: bool,
    ) -> Result<Vec<CreditedLine>, Reject> {
        for asked in wanted {
            let of = self.lines_of(vendor).find(|line| line.sku == asked.sku).ok_or(Reject::SkuUnknown)?;
            let left = of.quantity.saturating_sub(of.credited);
            if asked.quantity > left {
                return Err(Reject::UnitsCredited { sku_id: asked.sku, left });
            }
            let goods = of.moved();
            let out = goods.shipped.saturating_sub(if restock { goods.restocked } else { 0 });
            if asked.quantity > out.min(goods.shipped.saturating_sub(goods.credited)) {
                return Err(Reject::NotFulfillable { why: NotFulfillable::NotHandedOver });
            }
        }
        Ok(self.credit_units(vendor, wanted).0)
    }

    /// What so many units of each line come to, and whether these are the last of the share.
    pub(super) fn credit_units(&self, vendor: VendorId, units: &[WantedLine]) -> (Vec<CreditedLine>, bool) {
        let (mut lines, mut is_last) = (Vec::new(), true);
        for line in self.lines_of(vendor) {
            let mut of_line = line.creditable();
            let credit = of_line.credit(units_of(units, line.sku));
            is_last &= of_line.credited_units == line.quantity;
            if credit.units > 0 {
                lines.push(CreditedLine { sku: line.sku, units: credit.units, amount: credit.money });
            }
        }
        (lines, is_last)
    }

    /// What of these units is not in stock again already.
    pub(super) fn not_restocked(&self, vendor: VendorId, units: &[WantedLine]) -> Vec<WantedLine> {
        let left = |line: &WantedLine| {
            let goods = self.lines_of(vendor).find(|of| of.sku == line.sku).map(OrderLine::moved).unwrap_or_default();
            let left = goods.shipped.saturating_sub(goods.restocked);
            WantedLine { sku: line.sku, quantity: line.quantity.min(left) }
        };
        units.iter().map(left).filter(|line| line.quantity > 0).collect()
    }

    /// Parcels that are unpacked so that these units can be cancelled: the newest first, and no more than are needed.
    pub(super) fn unpacked_for(&self, credit: &Credit) -> Vec<&Parcel> {
        let mut unpacked: Vec<&Parcel> = Vec::new();
        for part in credit.lines.iter().filter(|_| !credit.shipped) {
            let Some(line) = self.lines_of(credit.vendor).find(|line| line.sku == part.sku) else { continue };
            let mut short = part.units.saturating_sub(line.to_ship());
            let holds = self.parcels.iter().rev().filter(|parcel| parcel.vendor == credit.vendor && parcel.is_inside());
            for parcel in holds.filter(|parcel| parcel.units(part.sku) > 0) {
                if unpacked.iter().any(|known| known.id == parcel.id) {
                    short = short.saturating_sub(parcel.units(part.sku));
                } else if short > 0 {
                    unpacked.push(parcel);
                    short = short.saturating_sub(parcel.units(part.sku));
                }
            }
        }
        unpacked
    }

    /// An amount, over the lines by what of each is left to be paid, then over shipping and fees.
    fn credit_of_amount(
        &self,
        share: &Share,
        minor: i64,
        shipping: i64,
        points: i64,
    ) -> Result<(Vec<CreditedLine>, i64), Reject> {
        if minor < 0 || (minor == 0 && shipping == 0 && points == 0) {
            return Err(Reject::RefundNotPositive);
        }
        let included = self.prices_include_tax();
        let refundable = share.refundable(&self.lines, included);
        if money::sum([minor, shipping]) > refundable {
            return Err(Reject::RefundExceedsPayment { refundable: Money::new(refundable, self.currency) });
        }
        let (lines, besides) = self.spread(share, minor, shipping);
        Ok((lines, shipping.saturating_add(besides)))
    }

    /// Splits an amount over the lines of a share and what is beside them, by what of each is left to be paid; so much of what is beside them is
    /// credited already.
    pub(super) fn spread(&self, share: &Share, minor: i64, shipping: i64) -> (Vec<CreditedLine>, i64) {
        let left = |line: &OrderLine| line.payable().saturating_sub(line.credited_amount).max(0);
        let mut weights: Vec<i64> = self.lines_of(share.vendor).map(left).collect();
        weights.push(share.besides_left(self.prices_include_tax()).saturating_sub(shipping));
        let parts = money::split(minor, &weights).unwrap_or_else(|| vec![0; weights.len()]);
        let part = |(line, amount): (&OrderLine, &i64)| CreditedLine { sku: line.sku, units: 0, amount: *amount };
        let lines = self.lines_of(share.vendor).zip(&parts).map(part).filter(|line| line.amount > 0).collect();
        (lines, parts.last().copied().unwrap_or(0))
    }

    /// A credit, and the refund of what was paid beyond what is left to pay.
    pub(super) fn credited(&self, credit: Credit, mint: Mint) -> Result<OrderEvent, Reject> {
        let share = self.share(credit.vendor)?;
        let mut after = share.clone();
        after.credit(credit.amount());
        let amount = after.amounts().refund_due.saturating_sub(share.amounts().refund_due);
        let asked = RefundAsked { id: RefundId::from_uuid(credit.id.uuid()), amount, mint };
        let refund_requested = (amount > 0).then_some(asked);
        Ok(OrderEvent::Credited { credit: Box::new(credit), refund_requested })
    }

    pub(super) fn has_room(&self, more: usize) -> Result<(), Reject> {
        match self.credits.len() + more > limits::CREDITS_PER_ORDER {
            true => Err(Reject::TooMany { what: "credits of one order".into(), limit: limits::CREDITS_PER_ORDER }),
            false => Ok(()),
        }
    }
}
