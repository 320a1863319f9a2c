//! The codes in a cart. Each coupon stands there once, whatever code of it was put there; what the codes take off is a preview, and the order
//! judges them anew.

use super::{Cart, CartEvent, CartLine, CartView};
use crate::domain::coupon::preview;
use crate::domain::entity::Decides as _;
use crate::domain::ids::CouponId;
use crate::domain::knowledge::{Availability, Knowledge};
use crate::domain::order::PlacedCoupon;
use crate::domain::pricing::{Good, NotApplicable};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::limits;
use std::borrow::Cow;

impl Cart {
    /// That coupon, if it stands in the cart.
    pub(super) fn coupon(&self, coupon: CouponId) -> Option<CouponId> {
        self.coupons.iter().map(|known| known.coupon).find(|known| *known == coupon)
    }

    pub(super) fn decide_coupon(
        &self,
        coupon: &PlacedCoupon,
        known: &dyn Availability,
        now: Timestamp,
    ) -> Result<Vec<CartEvent>, Reject> {
        if self.coupons.contains(coupon) {
            return Ok(Vec::new());
        }
        let terms = &known.coupon(coupon.coupon).ok_or(Reject::CouponUnknown)?.terms;
        if self.coupon(coupon.coupon).is_none() && self.coupons.len() >= limits::CART_COUPONS {
            return Err(Reject::TooMany { what: "coupons in one cart".into(), limit: limits::CART_COUPONS });
        }
        terms.may_be_used(&coupon.code, now)?;
        if !self.goes_with(coupon.coupon, &self.coupons, known) {
            return Err(coupon.code.not_applicable(NotApplicable::StandsAlone));
        }
        Ok(vec![CartEvent::CouponPut { coupon: coupon.clone() }])
    }

    /// Whether a coupon can be used beside these. One that is not known any more is no reason against it.
    fn goes_with(&self, coupon: CouponId, others: &[PlacedCoupon], known: &dyn Availability) -> bool {
        let combines = |coupon: CouponId| known.coupon(coupon).is_none_or(|known| known.terms.combines);
        let mut others = others.iter().map(|other| other.coupon).filter(|other| *other != coupon).peekable();
        others.peek().is_none() || (combines(coupon) && others.all(combines))
    }

    /// Those of another cart's coupons that this one takes over: what fits.
    pub(super) fn further_coupons(&self, coupons: &[PlacedCoupon], known: &dyn Availability) -> Vec<PlacedCoupon> {
        let mut all = self.coupons.clone();
        for coupon in coupons {
            let is_new = all.iter().all(|there| there.coupon != coupon.coupon);
            if is_new && all.len() < limits::CART_COUPONS && self.goes_with(coupon.coupon, &all, known) {
                all.push(coupon.clone());
            }
        }
        all.split_off(self.coupons.len())
    }

    /// These events, and what is shown in answer to them of what the coupons take off: that is agreed to with the change.
    pub(super) fn with_discount(
        &self,
        mut events: Vec<CartEvent>,
        knowledge: &Knowledge<'_>,
        now: Timestamp,
    ) -> Vec<CartEvent> {
        let brings = |event: &CartEvent| match event {
            CartEvent::CouponPut { .. } => true,
            CartEvent::MergedIn { coupons, .. } => !coupons.is_empty(),
            _ => false,
        };
        if self.coupons.is_empty() && self.discount == 0 && !events.iter().any(brings) {
            return events;
        }
        let mut after = self.clone();
        events.iter().for_each(|event| after.apply(event, now));
        let amounts = after.view().map_or_else(Vec::new, |view| view.preview(knowledge.availability, now));
        let amount = amounts.into_iter().flatten().flatten().fold(0, i64::saturating_add);
        if amount != self.discount {
            events.push(CartEvent::Discounted { amount });
        }
        events
    }

    pub(super) fn put_coupon(&mut self, coupon: &PlacedCoupon) {
        match self.coupons.iter_mut().find(|known| known.coupon == coupon.coupon) {
            Some(known) => known.clone_from(coupon),
            None => self.coupons.push(coupon.clone()),
        }
    }
}

impl CartView {
    /// What each of its coupons takes off its lines as they are here, in minor units, or why it cannot be used. Of free shipping that is not known
    /// before the checkout.
    pub fn preview(&self, known: &dyn Availability, now: Timestamp) -> Vec<Result<Option<i64>, Reject>> {
        // What shipping and taxes need is not looked at.
        let good = |line: &CartLine| Good {
            sku: line.sku,
            vendor: line.vendor,
            quantity: line.quantity,
            unit_price: line.unit_price,
            is_on_sale: line.sale.is_some(),
            category: known.category(line.sku),
            grams: 0,
            tax_category: Cow::Borrowed(""),
        };
        let goods: Vec<Good<'_>> = self.lines.iter().map(good).collect();
        preview(&goods, &self.coupons, self.currency, known, now)
    }
}
