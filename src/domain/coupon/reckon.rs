//! What coupons take off an order: as a preview, which tells of each whether it can be used, and as the order reckons, which refuses where one
//! cannot.

use super::CouponCode;
use crate::domain::knowledge::Availability;
use crate::domain::money::Currency;
use crate::domain::order::{PlacedCoupon, TakenCoupon};
use crate::domain::pricing::{
    AppliedPromotion, Basket, Bill, Destination, Good, LineDiscount, NotApplicable, PromotionKind, ShippingTables, bill,
};
use crate::domain::reject::Reject;
use crate::domain::rows::CouponRow;
use crate::domain::time::Timestamp;
use std::sync::Arc;

/// A coupon as it is known, with the code by which it came.
struct Known<'a> {
    code: &'a CouponCode,
    row: Arc<CouponRow>,
}

/// That coupon, if it can be used now beside the others.
fn usable<'a>(
    placed: &'a PlacedCoupon,
    all: &[PlacedCoupon],
    known: &dyn Availability,
    now: Timestamp,
) -> Result<Known<'a>, Reject> {
    let row = known.coupon(placed.coupon).ok_or(Reject::CouponUnknown)?;
    row.terms.may_be_used(&placed.code, now)?;
    let combines = |other: &PlacedCoupon| known.coupon(other.coupon).is_none_or(|other| other.terms.combines);
    if all.len() > 1 && !all.iter().all(combines) {
        return Err(placed.code.not_applicable(NotApplicable::StandsAlone));
    }
    Ok(Known { code: &placed.code, row })
}

impl Known<'_> {
    fn applied(&self) -> AppliedPromotion<'_> {
        AppliedPromotion { code: self.code.as_str(), promotion: &self.row.terms.promotion }
    }
}

/// The coupons of an order, in the order in which their codes were put, all of which can be used together.
pub struct Usable<'a>(Vec<Known<'a>>);

impl<'a> Usable<'a> {
    /// These, by their terms as they are known.
    ///
    /// # Errors
    /// Why the first cannot be used that cannot.
    pub fn new(placed: &'a [PlacedCoupon], known: &dyn Availability, now: Timestamp) -> Result<Self, Reject> {
        placed.iter().map(|one| usable(one, placed, known, now)).collect::<Result<_, _>>().map(Self)
    }

    /// What a bill is made with.
    pub fn promotions(&self) -> Vec<AppliedPromotion<'_>> {
        self.0.iter().map(Known::applied).collect()
    }

    /// What each takes off by a bill that was made with them.
    pub fn taken(&self, bill: &Bill) -> Vec<TakenCoupon> {
        let taken = |(Known { row, .. }, amount): (&Known<'_>, i64)| TakenCoupon {
            coupon: row.id,
            version: row.version,
            amount,
            is_counted: row.is_counted(),
        };
        self.0.iter().zip(amounts(bill)).map(taken).collect()
    }
}

/// The bill of goods and promotions alone.
fn billed(goods: &[Good<'_>], promotions: &[&Known<'_>], currency: Currency, now: Timestamp) -> Result<Bill, Reject> {
    let promotions: Vec<AppliedPromotion<'_>> = promotions.iter().map(|known| known.applied()).collect();
    bill(&Basket {
        currency,
        goods,
        promotions: &promotions,
        shipping: &ShippingTables::default(),
        chosen: &[],
        to: Destination::default(),
        on_delivery: false,
        tax: None,
        exempt: false,
        placed_at: now,
        points: 0,
    })
}

/// What each promotion takes off lines and shipping, in their order.
fn amounts(bill: &Bill) -> Vec<i64> {
    let of_lines = || bill.lines.iter().flat_map(|line| &line.discounts);
    let all = || of_lines().chain(bill.shares.iter().flat_map(|share| &share.shipping_discounts));
    let of = |code: usize| {
        all().filter(|part: &&LineDiscount| part.code == code).map(|part| part.amount).fold(0, i64::saturating_add)
    };
    (0..bill.codes.len()).map(of).collect()
}

/// What each of these coupons would take off now, or why it cannot be used. What there is to ship is not known yet: free shipping takes nothing off.
pub fn preview(
    goods: &[Good<'_>],
    coupons: &[PlacedCoupon],
    currency: Currency,
    known: &dyn Availability,
    now: Timestamp,
) -> Vec<Result<i64, Reject>> {
    let mut told: Vec<Result<Known<'_>, Reject>> =
        coupons.iter().map(|placed| usable(placed, coupons, known, now)).collect();
    // Each round leaves out one that does not apply.
    for _ in 0..=coupons.len() {
        let lowers = |known: &Known<'_>| known.row.terms.promotion.kind != PromotionKind::FreeShipping;
        let of_goods: Vec<&Known<'_>> = told.iter().flatten().filter(|known| lowers(known)).collect();
        match billed(goods, &of_goods, currency, now) {
            Ok(bill) => {
                let mut amounts = amounts(&bill).into_iter();
                let mut amount = |known: Known<'_>| if lowers(&known) { amounts.next().unwrap_or_default() } else { 0 };
                return told.into_iter().map(|known| known.map(&mut amount)).collect();
            }
            Err(reject) => {
                let named = |told: &&mut Result<Known<'_>, Reject>| match (&reject, told) {
                    (Reject::CouponNotApplicable { coupon, .. }, Ok(known)) => known.code.as_str() == coupon,
                    _ => false,
                };
                match told.iter_mut().find(named) {
                    Some(one) => *one = Err(reject),
                    // The lines alone are too much.
                    None => break,
                }
            }
        }
    }
    told.into_iter().map(|known| known.map(|_| 0)).collect()
}
