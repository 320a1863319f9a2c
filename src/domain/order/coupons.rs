//! The coupons of an order: what it was placed with, and what it makes of them once its stock is held.

use super::legs::{Leg, LegState, Party};
use super::refund::Made;
use super::state::Body;
use super::{Credit, CreditedLine, Dispute, DisputeStatus, OrderEvent, OrderLine};
use crate::domain::coupon::{CouponCode, ReturnedPart, ReturnedUse};
use crate::domain::ids::{CouponId, CreditId, OrderId};
use crate::domain::money::{self, slice};
use crate::domain::pricing::LineDiscount;
use serde::{Deserialize, Serialize};

/// A code that stands in a cart, whose form and hash the edge has checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedCoupon {
    /// Which coupon it is of.
    pub coupon: CouponId,
    /// The code, as it is shown.
    pub code: CouponCode,
    /// Which of the coupon's codes it is, where each is good for one use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
}

/// What an order takes off by a coupon, and by which terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenCoupon {
    /// Which.
    pub coupon: CouponId,
    /// The version of its terms.
    pub version: u64,
    /// How much, in minor units.
    pub amount: i64,
    /// Whether a use of it has to be held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_counted: bool,
    /// What of a use is counted besides.
    #[serde(flatten)]
    pub counts: CountedBy,
}

/// By what the uses of a coupon are counted, beside their number. Not known of an order of an early version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedBy {
    /// By their buyers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_buyer: bool,
    /// By what they take of a budget.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_amount: bool,
}

/// What a credit gives back of a coupon's use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UseBack {
    coupon: CouponId,
    #[serde(flatten)]
    part: ReturnedPart,
}

/// A coupon of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderCoupon {
    /// Which.
    pub coupon: CouponId,
    /// The code, as it is shown.
    pub code: CouponCode,
    /// Which of the coupon's codes it is, where each is good for one use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// The version of its terms, from 1; 0 before the price is known.
    #[serde(default)]
    pub version: u64,
    /// What is taken off by it, in minor units; nothing before the price is known.
    #[serde(default)]
    pub amount: i64,
    /// What of its use is counted besides.
    #[serde(flatten)]
    pub counts: CountedBy,
}

impl From<&PlacedCoupon> for OrderCoupon {
    fn from(placed: &PlacedCoupon) -> Self {
        let PlacedCoupon { coupon, code, serial } = placed.clone();
        Self { coupon, code, serial, version: 0, amount: 0, counts: CountedBy::default() }
    }
}

impl Body {
    /// The codes that stood in its cart.
    pub(super) fn placed_coupons(&self) -> Vec<PlacedCoupon> {
        let placed = |coupon: &OrderCoupon| {
            let OrderCoupon { coupon, code, serial, .. } = coupon.clone();
            PlacedCoupon { coupon, code, serial }
        };
        self.coupons.iter().map(placed).collect()
    }

    /// So much is taken off by each; those of which uses are counted are asked to hold one.
    pub(super) fn take_coupons(&mut self, taken: &[TakenCoupon]) {
        for one in taken {
            for coupon in self.coupons.iter_mut().filter(|coupon| coupon.coupon == one.coupon) {
                (coupon.version, coupon.amount, coupon.counts) = (one.version, one.amount, one.counts);
            }
            if one.is_counted {
                self.legs.push(Leg { with: Party::Coupon(one.coupon), state: LegState::Asked });
            }
        }
    }

    /// What units of a share that are about to be credited give back of the uses of coupons. A lost dispute gives nothing back, and neither does
    /// what is cancelled after one.
    pub(super) fn uses_back(&self, credit: &Credit) -> Vec<UseBack> {
        let is_lost = |dispute: &Dispute| dispute.status == DisputeStatus::Lost;
        if !credit.has_units() || self.disputes.iter().any(is_lost) {
            return Vec::new();
        }
        let units = |line: &OrderLine| {
            let of = |part: &&CreditedLine| line.vendor == credit.vendor && part.sku == line.sku;
            credit.lines.iter().find(of).map_or(0, |part| part.units)
        };
        let is_over = |line: &OrderLine| line.credited.saturating_add(units(line)) >= line.quantity;
        let whole = self.lines.iter().all(is_over);
        let is_last = self.lines_of(credit.vendor).all(is_over);
        let was_refunded = self.lines.iter().any(|line| line.moved().credited > 0);
        let mut back = Vec::new();
        for (code, coupon) in self.coupons.iter().enumerate() {
            if self.leg(Party::Coupon(coupon.coupon)).is_none() {
                continue;
            }
            let own = |parts: &[LineDiscount]| {
                money::sum(parts.iter().filter(|part| part.code == code).map(|part| part.amount))
            };
            let of_line = |line: &OrderLine| {
                let discount = line.billed.as_ref().map_or(0, |billed| own(&billed.discounts));
                slice(discount, line.credited, line.credited.saturating_add(units(line)), line.quantity)
            };
            let share = self.shares.iter().find(|share| share.vendor == credit.vendor && is_last);
            let of_shipping =
                share.and_then(|share| share.billed.as_ref()).map_or(0, |billed| own(&billed.shipping_discounts));
            let amount = money::sum(self.lines_of(credit.vendor).map(of_line).chain([of_shipping]));
            let amount = if coupon.counts.by_amount { amount } else { 0 };
            let (refund, some_refunded) = (credit.shipped, credit.shipped || was_refunded);
            let part = ReturnedPart { amount, whole, refund, some_refunded };
            if amount > 0 || whole {
                back.push(UseBack { coupon: coupon.coupon, part });
            }
        }
        back
    }

    /// The coupons that have to hear of credits. One that has not said that it was used hears of them once it has.
    pub(super) fn to_return(&self) -> Vec<CouponId> {
        let is_used = |coupon: &CouponId| self.leg(Party::Coupon(*coupon)) == Some(LegState::Committed);
        let waits =
            |coupon: &CouponId| self.credits.iter().any(|made| made.uses.iter().any(|back| back.coupon == *coupon));
        self.coupons.iter().map(|coupon| coupon.coupon).filter(is_used).filter(waits).collect()
    }

    /// What a coupon hears of them.
    pub(super) fn returned_use(&self, order: OrderId, coupon: CouponId) -> ReturnedUse {
        let own = self.coupons.iter().find(|own| own.coupon == coupon);
        let part = |made: &Made| Some((made.id, made.uses.iter().find(|back| back.coupon == coupon)?.part));
        let keys = || self.buyer.as_ref().map_or_else(Vec::new, |buyer| buyer.keys.clone());
        ReturnedUse {
            order,
            credits: self.credits.iter().filter_map(part).collect(),
            serial: own.and_then(|own| own.serial),
            keys: if own.is_some_and(|own| own.counts.by_buyer) { keys() } else { Vec::new() },
        }
    }

    /// A coupon has seen to credits.
    pub(super) fn decide_leg_returned(&self, with: Party, credits: &[CreditId], whole: bool) -> Vec<OrderEvent> {
        if matches!(with, Party::Points(_)) {
            let heard: Vec<CreditId> = credits.iter().copied().filter(|credit| self.is_to_post(*credit)).collect();
            let event = (!heard.is_empty()).then_some(OrderEvent::LegReturned { with, credits: heard, whole: false });
            return event.into_iter().collect();
        }
        let waits = |made: &&Made| {
            credits.contains(&made.id) && made.uses.iter().any(|back| with == Party::Coupon(back.coupon))
        };
        let credits: Vec<CreditId> = self.credits.iter().filter(waits).map(|made| made.id).collect();
        let event = (!credits.is_empty()).then_some(OrderEvent::LegReturned { with, credits, whole });
        event.into_iter().collect()
    }

    pub(super) fn apply_leg_returned(&mut self, with: Party, credits: &[CreditId]) {
        if matches!(with, Party::Points(_)) {
            return self.heard_postings(credits);
        }
        for made in self.credits.iter_mut().filter(|made| credits.contains(&made.id)) {
            made.uses.retain(|back| with != Party::Coupon(back.coupon));
        }
    }

    /// Whether it has heard that this party saw to this credit.
    pub(super) fn has_heard(&self, with: Party, credit: CreditId) -> bool {
        if matches!(with, Party::Points(_)) {
            return self.is_posted(credit);
        }
        let waits = |made: &Made| made.uses.iter().any(|back| with == Party::Coupon(back.coupon));
        self.credits.iter().any(|made| made.id == credit && !waits(made))
    }
}
