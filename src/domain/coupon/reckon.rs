//! What coupons take off an order: as a preview, which tells of each whether it can be used, and as the order reckons, which refuses where one
//! cannot.

use super::CouponCode;
use crate::domain::ids::{CouponId, SkuId, VendorId};
use crate::domain::knowledge::Availability;
use crate::domain::money::Currency;
use crate::domain::order::{PlacedCoupon, TakenCoupon};
use crate::domain::pricing::{
    AppliedPromotion, Basket, Bill, Destination, Good, NotApplicable, PromotionKind, ShippingTables, bill,
};
use crate::domain::reject::Reject;
use crate::domain::rows::CouponRow;
use crate::domain::time::Timestamp;
use std::borrow::Cow;
use std::sync::Arc;

impl Good<'_> {
    /// A line as far as promotions of goods look at it: without what shipping and taxes need.
    pub fn of_goods(sku: SkuId, vendor: VendorId, quantity: i64, unit_price: i64, known: &dyn Availability) -> Self {
        let category = known.category(sku);
        let tax_category = Cow::Borrowed("");
        Self { sku, vendor, quantity, unit_price, is_on_sale: false, category, grams: 0, tax_category }
    }
}

/// What an order takes off by its coupons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reckoned {
    /// What each takes off.
    pub coupons: Vec<TakenCoupon>,
    /// What all of them take off each line, in minor units.
    pub lines: Vec<i64>,
}

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

/// The bill of goods and promotions alone.
fn billed(goods: &[Good<'_>], promotions: &[&Known<'_>], currency: Currency, now: Timestamp) -> Result<Bill, Reject> {
    let applied =
        |known: &&Known<'_>| -> (String, Arc<CouponRow>) { (known.code.as_str().to_owned(), known.row.clone()) };
    let all: Vec<(String, Arc<CouponRow>)> = promotions.iter().map(applied).collect();
    let promotions: Vec<AppliedPromotion<'_>> =
        all.iter().map(|(code, row)| AppliedPromotion { code, promotion: &row.terms.promotion }).collect();
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

/// What each promotion takes off, in their order.
fn amounts(bill: &Bill) -> Vec<i64> {
    let all = || bill.lines.iter().flat_map(|line| &line.discounts);
    let of = |code: usize| all().filter(|part| part.code == code).map(|part| part.amount).fold(0, i64::saturating_add);
    (0..bill.codes.len()).map(of).collect()
}

/// What an order takes off by these coupons.
///
/// # Errors
/// The first that cannot be used, and why.
pub fn reckon(
    goods: &[Good<'_>],
    coupons: &[PlacedCoupon],
    currency: Currency,
    known: &dyn Availability,
    now: Timestamp,
) -> Result<Reckoned, (CouponId, Reject)> {
    if coupons.is_empty() {
        return Ok(Reckoned::default());
    }
    let judged = |placed| usable(placed, coupons, known, now).map_err(|reject| (placed.coupon, reject));
    let usable: Vec<Known<'_>> = coupons.iter().map(judged).collect::<Result<_, _>>()?;
    let bill = billed(goods, &usable.iter().collect::<Vec<_>>(), currency, now).map_err(|reject| {
        let named = |placed: &&PlacedCoupon| match &reject {
            Reject::CouponNotApplicable { coupon, .. } => placed.code.as_str() == coupon,
            _ => false,
        };
        (coupons.iter().find(named).unwrap_or(&coupons[0]).coupon, reject)
    })?;
    let taken = usable.iter().zip(amounts(&bill)).map(|(Known { row, .. }, amount)| TakenCoupon {
        coupon: row.id,
        version: row.version,
        amount,
        is_counted: row.is_counted(),
    });
    Ok(Reckoned { coupons: taken.collect(), lines: bill.lines.iter().map(|line| line.discount()).collect() })
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
