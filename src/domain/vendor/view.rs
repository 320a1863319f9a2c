//! A vendor and what it sells, as its answers show them. Answers are kept for a day, so a field here stays readable for longer than one in a row.

use super::terms::SkuTerms;
use super::{Count, SaleItem, SaleTerms, Slot};
use crate::domain::ids::{ProductId, SaleId, SkuId, VendorId};
use crate::domain::money::{Currency, Money};
use crate::domain::rows::{ProductRow, SkuRow, VendorRow};
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A vendor as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorView {
    /// Which.
    pub id: VendorId,
    /// The vendor's name.
    pub name: String,
    /// Whether the shop's staff does not let it sell.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

/// A product as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductView {
    /// Which.
    pub id: ProductId,
    /// Whose.
    pub vendor_id: VendorId,
    /// What it is called.
    pub title: String,
    /// What it is.
    pub description: Option<String>,
    /// Where it is found.
    pub category: Option<String>,
    /// Whether it is not for sale any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
}

/// A SKU as its vendor is shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkuView {
    /// Which.
    pub id: SkuId,
    /// Whose.
    pub vendor_id: VendorId,
    /// Of which product.
    pub product_id: ProductId,
    /// The vendor's own code.
    pub code: String,
    /// The product's title.
    pub title: String,
    /// Today's price, in minor units.
    pub price_minor: i64,
    /// Its currency.
    pub currency: Currency,
    /// Pieces that ever came in, less those taken out again by hand.
    pub received: i64,
    /// Pieces in the house.
    pub on_hand: i64,
    /// Pieces held for orders.
    pub held: i64,
    /// On what terms it is sold, where there are any beside its price.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::domain::vendor::shared_terms")]
    pub terms: Option<Arc<SkuTerms>>,
    /// Pieces on hand that are kept for a sale, each until the sale is over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fences: Vec<(Timestamp, i64)>,
    /// Whether it is archived, or its product is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// Whether it is out of sale because its figures do not add up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

/// An item of a sale as its vendor is shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleItemView {
    /// What it promises.
    pub item: SaleItem,
    /// What was taken.
    pub count: Count,
}

/// A sale as its vendor is shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleView {
    /// Which.
    pub id: SaleId,
    /// Whose.
    pub vendor_id: VendorId,
    /// What it promises; its items stand beside.
    pub terms: SaleTerms,
    /// When it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Timestamp>,
    /// Its items.
    pub items: Vec<SaleItemView>,
    /// What a piece of each item costs outside of the sale, in minor units.
    pub regular_prices: Vec<i64>,
    /// How many keys of buyers have something in it; `None` where nobody is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyers: Option<i64>,
}

/// A slot that can be ordered for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotView {
    /// Which, and when.
    pub slot: Slot,
    /// Until when it can be ordered for.
    pub cut_off_at: Timestamp,
    /// How many more orders it has room for.
    pub left: i64,
}

impl SkuView {
    /// Today's price.
    pub const fn price(&self) -> Money {
        Money::new(self.price_minor, self.currency)
    }

    /// Pieces on hand that are kept for sales which are to come or running.
    pub fn reserved(&self, now: Timestamp) -> i64 {
        self.fences
            .iter()
            .filter(|(until, _)| now < *until)
            .fold(0, |sum: i64, (_, pieces)| sum.saturating_add(*pieces))
    }

    /// Pieces sold: received = on hand + sold.
    pub const fn sold(&self) -> i64 {
        self.received.saturating_sub(self.on_hand)
    }

    /// Pieces on hand and not held; none while it is suspended.
    pub const fn available(&self) -> i64 {
        if self.suspended { 0 } else { self.on_hand.saturating_sub(self.held) }
    }
}

impl From<VendorRow> for VendorView {
    fn from(VendorRow { id, name, status }: VendorRow) -> Self {
        Self { id, name, suspended: status.is_suspended() }
    }
}

impl From<ProductRow> for ProductView {
    fn from(row: ProductRow) -> Self {
        let ProductRow { id, vendor_id, title, description, category, status, .. } = row;
        Self { id, vendor_id, title, description, category, archived: status.is_archived() }
    }
}

impl From<SkuRow> for SkuView {
    fn from(row: SkuRow) -> Self {
        let SkuRow { id, vendor_id, product_id, code, title, .. } = row;
        let SkuRow { price_minor, currency, received, on_hand, held, terms, archived, suspended, .. } = row;
        Self {
            id,
            vendor_id,
            product_id,
            code,
            title,
            price_minor,
            currency,
            received,
            on_hand,
            held,
            terms,
            fences: Vec::new(),
            archived,
            suspended,
        }
    }
}
