//! What an entity may know besides its own state when it decides.
//!
//! Only `decide` sees it. What was used of it stands in the event: so a record means the same for ever, whatever is set afterwards, and
//! `apply`, timers and effects follow from records alone.

use super::buyer::{Audience, Exemption};
use super::ids::{CategoryId, CouponId, CustomerId, ProductId, RoomId, SaleId, SkuId};
use super::money::{Currency, Money};
use super::pricing::Tables;
use super::reject::{Reject, Shortage};
use super::rows::CouponRow;
use super::time::Timestamp;
use super::vendor::SkuTerms;
use crate::limits;
use std::sync::Arc;

/// What is durably available, as the node last published it: a hint by which a refusal that is certain comes early, and never a reason to
/// accept.
pub trait Availability {
    /// Pieces on hand and not held; `None` for a SKU that is not known.
    fn available(&self, sku: SkuId) -> Option<i64>;
    /// What one piece costs outside of sales; `None` for a SKU that is not known.
    fn price(&self, sku: SkuId) -> Option<Money>;
    /// On what terms it is sold, where there are any beside its price.
    fn terms(&self, sku: SkuId) -> Option<Arc<SkuTerms>>;
    /// Of which product it is.
    fn product(&self, sku: SkuId) -> Option<ProductId>;
    /// Which prices a customer has.
    fn audience(&self, customer: CustomerId) -> Audience;
    /// Why a customer pays no tax; `None` of one who does.
    fn exemption(&self, _: CustomerId) -> Option<Exemption> {
        None
    }

    /// Whether it may be bought: it is not archived, and its vendor is not suspended. What is not known may be.
    fn is_for_sale(&self, _: SkuId) -> bool {
        true
    }

    /// By what a customer's points are multiplied, in basis points, of somebody who is or was in a tier.
    fn multiplier(&self, _: CustomerId) -> Option<u32> {
        None
    }

    /// The category that its product stands in, where that is one of the tree.
    fn category(&self, _: SkuId) -> Option<CategoryId> {
        None
    }

    /// The coupon, with its terms as they were last published; `None` for one that is not known. What is counted of it is older.
    fn coupon(&self, _: CouponId) -> Option<Arc<CouponRow>> {
        None
    }

    /// Whether a sale has ended or was cancelled.
    fn is_sale_over(&self, _: SaleId, _now: Timestamp) -> bool {
        false
    }

    /// What one piece is shown to cost now, without price breaks; `None` for a SKU that is not known.
    fn shown(&self, sku: SkuId, _now: Timestamp) -> Option<Offered> {
        self.price(sku).map(Offered::regular)
    }

    /// How so many pieces can be had now, or why they cannot; `None` for a SKU that is not known.
    fn offer(&self, sku: SkuId, quantity: i64, _now: Timestamp) -> Option<Result<Offered, Reject>> {
        let available = self.available(sku)?;
        let short = Shortage { sku_id: sku, requested: quantity, available };
        match available >= quantity {
            true => self.price(sku).map(Offered::regular).map(Ok),
            false => Some(Err(Reject::OutOfStock { skus: vec![short] })),
        }
    }
}

/// At which price a piece can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    /// What one costs.
    pub price: Money,
    /// The sale that it is taken from.
    pub sale: Option<SaleId>,
    /// Whether only somebody can have it who has an account.
    pub needs_account: bool,
    /// The waiting room by which alone one comes to it.
    pub room: Option<RoomId>,
}

impl Offered {
    /// At this price, and in no sale.
    pub const fn regular(price: Money) -> Self {
        Self { price, sale: None, needs_account: false, room: None }
    }
}

/// What bills are made with.
pub trait Prices {
    /// The tables of taxes and of shipping, as one set; `None` while the shop has none.
    fn tables(&self) -> Option<Arc<Tables>>;
    /// The least that a payment method takes in a currency, in minor units.
    fn least(&self, method: &str, currency: Currency) -> i64;
    /// The most that an order may come to which is paid at the door, in minor units of a currency; `None` for any amount.
    fn most_at_the_door(&self, currency: Currency) -> Option<i64>;
}

/// A shop that taxes nothing, and ships everywhere for nothing.
struct Plain;

impl Prices for Plain {
    fn tables(&self) -> Option<Arc<Tables>> {
        None
    }
    fn least(&self, _: &str, _: Currency) -> i64 {
        1
    }
    fn most_at_the_door(&self, _: Currency) -> Option<i64> {
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
    /// For how many days after its delivery a buyer may send something back.
    pub return_days: u32,
    /// How many orders a buyer may have open that are to be paid at the door.
    pub cash_open_orders: u32,
    /// After how many orders of which everything was refused at the door, within the last 90 days, a buyer may pay there no more; 0 for any number.
    pub cash_refusals: u32,
}

impl Settings {
    /// What is set where nobody sets anything else.
    pub const DEFAULT: Self = Self {
        hold_ms: limits::HOLD_MS,
        payment_ms: limits::PAYMENT_MS,
        return_days: limits::RETURN_DAYS,
        cash_open_orders: limits::CASH_OPEN_ORDERS,
        cash_refusals: limits::CASH_REFUSALS,
    };
}

/// Everything that may be known, as one set that does not change while something is decided.
#[derive(Clone, Copy)]
pub struct Knowledge<'a> {
    /// How the shop is set.
    pub settings: &'a Settings,
    /// What is durably available.
    pub availability: &'a dyn Availability,
    /// What bills are made with.
    pub prices: &'a dyn Prices,
}

impl Knowledge<'static> {
    /// The settings that nobody changed, no SKU and no table.
    pub const NOTHING: Self = Self { settings: &Settings::DEFAULT, availability: &Unknown, prices: &Plain };
}
