//! What a buyer was quoted, and whether a checkout agrees with it.

use super::{CartLine, CheckoutRequest};
use crate::domain::ids::{CartId, ShippingMethodId, VendorId};
use crate::domain::money::Money;
use crate::domain::order::PlacedCoupon;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// What a buyer was quoted, and for what. It is kept nowhere but in the text that the buyer was given, which is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Which cart.
    pub cart: CartId,
    /// A hash of what was in it: see [`contents`].
    pub contents: u64,
    /// What it came to.
    pub total: Money,
    /// The methods of shipping that were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipping: Vec<(VendorId, ShippingMethodId)>,
    /// With how many points it was to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<i64>,
    /// How it was to be paid, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// ISO 3166-2, where it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The postcode, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// In what a checkout differs from its quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuoteDiffers {
    /// Its time is over.
    Time,
    /// Something else is in the cart, or it is another cart.
    Cart,
    /// It is shipped elsewhere.
    Address,
    /// Another method of shipping, another payment, or another number of points.
    Choice,
}

impl QuoteDiffers {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Cart => "cart",
            Self::Address => "address",
            Self::Choice => "choice",
        }
    }
}

/// A hash of what is in a cart: which SKUs, and how many of each, in their order, and which coupons.
pub fn contents(lines: &[CartLine], coupons: &[PlacedCoupon]) -> u64 {
    let mut hash = Xxh3::new();
    for line in lines {
        hash.update(line.sku.uuid().as_bytes());
        hash.update(&line.quantity.to_be_bytes());
    }
    for placed in coupons {
        hash.update(placed.coupon.uuid().as_bytes());
    }
    hash.digest()
}

impl CheckoutRequest {
    /// The methods of shipping that the buyer chose: now, or when it was quoted.
    pub fn chosen(&self) -> &[(VendorId, ShippingMethodId)] {
        match &self.quote {
            Some(quote) if self.shipping.is_empty() => &quote.shipping,
            _ => &self.shipping,
        }
    }

    /// With how many points the buyer wants to pay: said now, or when it was quoted.
    pub(super) fn wanted_points(&self) -> Option<i64> {
        let quoted = || self.quote.as_ref().and_then(|quote| quote.points);
        self.buyer.points.map(|wanted| wanted.points).or_else(quoted).filter(|points| *points > 0)
    }

    /// Whether points are to pay all of it, since there is no other means of payment.
    pub fn points_alone(&self) -> bool {
        self.buyer.points.is_some_and(|wanted| wanted.alone)
    }

    /// Whether some are to be spent.
    pub fn wants_points(&self) -> bool {
        self.wanted_points().is_some()
    }

    /// Whether it agrees with its quote, if it names one. Most name none: what is in the cart is hashed only for those that do.
    pub(super) fn agrees(&self, cart: CartId, contents: impl FnOnce() -> u64, now: Timestamp) -> Result<(), Reject> {
        let Some(quote) = &self.quote else { return Ok(()) };
        let buyer = &self.buyer;
        let to = (&quote.country, &quote.region, &quote.postcode);
        let sorted = |chosen: &[(VendorId, ShippingMethodId)]| {
            let mut chosen = chosen.to_vec();
            chosen.sort_unstable();
            chosen
        };
        let why = if now >= quote.expires_at {
            QuoteDiffers::Time
        } else if quote.cart != cart || quote.contents != contents() {
            QuoteDiffers::Cart
        } else if to != (&buyer.country, &buyer.region, &buyer.postcode) {
            QuoteDiffers::Address
        } else if sorted(self.chosen()) != sorted(&quote.shipping)
            || quote.method.as_ref().is_some_and(|method| *method != self.payment.method)
            || self.wanted_points() != quote.points.filter(|points| *points > 0)
        {
            QuoteDiffers::Choice
        } else {
            return Ok(());
        };
        Err(Reject::QuoteExpired { why })
    }
}
