//! What an entity may know besides its own state when it decides.
//!
//! Only `decide` sees it. What was used of it stands in the event: so a record means the same for ever, whatever is set afterwards, and
//! `apply`, timers and effects follow from records alone.

use super::buyer::Audience;
use super::ids::{CategoryId, CouponId, CustomerId, ProductId, SkuId};
use super::money::Money;
use super::rows::CouponRow;
use super::vendor::SkuTerms;
use crate::limits;
use std::sync::Arc;

/// What is durably available, as the node last published it: a hint by which a refusal that is certain comes early, and never a reason to
/// accept.
pub trait Availability {
    /// Pieces on hand and not held; `None` for a SKU that is not known.
    fn available(&self, sku: SkuId) -> Option<i64>;
    /// What one piece costs; `None` for a SKU that is not known.
    fn price(&self, sku: SkuId) -> Option<Money>;
    /// On what terms it is sold, where there are any beside its price.
    fn terms(&self, sku: SkuId) -> Option<Arc<SkuTerms>>;
    /// Of which product it is.
    fn product(&self, sku: SkuId) -> Option<ProductId>;
    /// Which prices a customer has.
    fn audience(&self, customer: CustomerId) -> Audience;
    /// The category of its product, where that is named by its id.
    fn category(&self, sku: SkuId) -> Option<CategoryId> {
        let _ = sku;
        None
    }
    /// The coupon, with its terms as they were last published; `None` for one that is not known. What is counted of it is older.
    fn coupon(&self, coupon: CouponId) -> Option<Arc<CouponRow>> {
        let _ = coupon;
        None
    }
}

/// Nothing is known of any SKU.
struct Unknown;

impl Availability for Unknown {
    fn available(&self, _: SkuId) -> Option<i64> {
        None
    }
    fn price(&self, _: SkuId) -> Option<Money> {
        None
    }
    fn terms(&self, _: SkuId) -> Option<Arc<SkuTerms>> {
        None
    }
    fn product(&self, _: SkuId) -> Option<ProductId> {
        None
    }
    fn audience(&self, _: CustomerId) -> Audience {
        Audience::Retail
    }
}

/// How the shop is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long stock is held for an order, in milliseconds.
    pub hold_ms: i64,
    /// How long a payment may take, in milliseconds.
    pub payment_ms: i64,
}

impl Settings {
    /// What is set where nobody sets anything else.
    pub const DEFAULT: Self = Self { hold_ms: limits::HOLD_MS, payment_ms: limits::PAYMENT_MS };
}

/// Everything that may be known, as one set that does not change while something is decided.
#[derive(Clone, Copy)]
pub struct Knowledge<'a> {
    /// How the shop is set.
    pub settings: &'a Settings,
    /// What is durably available.
    pub availability: &'a dyn Availability,
}

impl Knowledge<'static> {
    /// The settings that nobody changed, and no SKU.
    pub const NOTHING: Self = Self { settings: &Settings::DEFAULT, availability: &Unknown };
}
