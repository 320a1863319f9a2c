//! What coupons take off an order: as a preview or a quote, which tell of each whether it can be used, and as the order reckons, which refuses
//! where one cannot.

use super::CouponCode;
use crate::domain::knowledge::Availability;
use crate::domain::money::Currency;
use crate::domain::order::{CountedBy, PlacedCoupon, TakenCoupon};
use crate::domain::pricing::{
    AppliedPromotion, Basket, Bill, Destination, Good, LineDiscount, NotApplicable, PromotionKind, ShippingTables,
    applies_to_goods, bill,
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
            counts: CountedBy {
                by_buyer: row.terms.limit_per_customer.is_some(),
                by_amount: row.terms.budget.is_some(),
            },
        };
        self.0.iter().zip(amounts(bill)).map(taken).collect()
    }
}

/// The coupons of an order that is not there yet: of each, whether it can be used. Those that cannot refuse nothing, and nothing is reckoned with them.
pub struct Judged<'a>(Vec<Result<Known<'a>, Reject>>);

impl<'a> Judged<'a> {
    /// These, by their terms as they are known.
    pub fn new(placed: &'a [PlacedCoupon], known: &dyn Availability, now: Timestamp) -> Self {
        Self(placed.iter().map(|one| usable(one, placed, known, now)).collect())
    }

    /// What a bill is made with.
    pub fn promotions(&self) -> Vec<AppliedPromotion<'_>> {
        self.0.iter().flatten().map(Known::applied).collect()
    }

    /// A bill that is made with those of them that apply: each that it is refused for is left out.
    ///
    /// # Errors
    /// What else it is refused for.
    pub fn billed(&mut self, make: impl Fn(&[AppliedPromotion<'_>]) -> Result<Bill, Reject>) -> Result<Bill, Reject> {
        loop {
            let reject = match make(&self.promotions()) {
                Ok(bill) => return Ok(bill),
                Err(reject) => reject,
            };
            let named = |told: &&mut Result<Known<'_>, Reject>| match (&reject, told) {
                (Reject::CouponNotApplicable { coupon, .. }, Ok(known)) => known.code.as_str() == coupon,
                _ => false,
            };
            match self.0.iter_mut().find(named) {
                Some(one) => *one = Err(reject),
                None => return Err(reject),
            }
        }
    }

    /// What each takes off by a bill that was made with them, in minor units, or why it cannot be used.
    pub fn told(self, bill: &Bill) -> Vec<Result<i64, Reject>> {
        let mut amounts = amounts(bill).into_iter();
        self.0.into_iter().map(|known| known.map(|_| amounts.next().unwrap_or_default())).collect()
    }
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

/// What each of these coupons would take off now, or why it cannot be used. Of free shipping, `None`: what there is to ship, and where to, is not
/// known yet, so what it takes off shows at the checkout or in a quote.
pub fn preview(
    goods: &[Good<'_>],
    coupons: &[PlacedCoupon],
    currency: Currency,
    known: &dyn Availability,
    now: Timestamp,
) -> Vec<Result<Option<i64>, Reject>> {
    let mut judged = Judged::new(coupons, known, now);
    let ships = |known: &Known<'_>| known.row.terms.promotion.kind == PromotionKind::FreeShipping;
    let free: Vec<bool> = judged.0.iter().map(|told| told.as_ref().is_ok_and(ships)).collect();
    let made = judged.billed(|promotions| {
        let (shipping, of_goods): (Vec<_>, Vec<_>) =
            promotions.iter().partition(|applied| applied.promotion.kind == PromotionKind::FreeShipping);
        let bill = bill(&Basket {
            currency,
            goods,
            promotions: &of_goods,
            shipping: &ShippingTables::default(),
            chosen: &[],
            to: Destination::default(),
            on_delivery: false,
            tax: None,
            exempt: None,
            placed_at: now,
            points: 0,
            point_value: 0,
        })?;
        // What does not depend on where it goes refuses already here.
        applies_to_goods(&shipping, goods, currency)?;
        Ok(bill)
    });
    // The lines alone may be too much: then nothing can be told.
    let mut amounts = made.as_ref().map_or_else(|_| Vec::new(), amounts).into_iter();
    let told = judged.0.into_iter().zip(free);
    told.map(|(known, free)| known.map(|_| (!free).then(|| amounts.next().unwrap_or_default()))).collect()
}
