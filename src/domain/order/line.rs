//! A line of an order, and what holds of its whole bill.

use super::share::is_zero;
use super::shipment::Goods;
use crate::domain::ids::{SaleId, SkuId, VendorId};
use crate::domain::pricing::BillLine;
use serde::{Deserialize, Serialize};

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The SKU.
    pub sku: SkuId,
    /// Who sells it.
    pub vendor: VendorId,
    /// What it was called.
    pub title: String,
    /// Pieces.
    pub quantity: i64,
    /// The price of one, in minor units.
    pub unit_price: i64,
    /// The list price of one, in minor units, where it is not the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_price: Option<i64>,
    /// The sale that it is taken from; until it is held, the one whose price the buyer was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<SaleId>,
    /// Pieces that need not be paid for any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub credited: i64,
    /// What these come to, in minor units.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub credited_amount: i64,
    /// What it comes to by the order's bill, where that says more than quantity and price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed: Option<Box<BillLine>>,
    /// Where its units are, once one of them was packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goods: Option<Box<Goods>>,
}

/// What holds of a whole bill, beside its lines and its shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillHead {
    /// The codes of its promotions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
    /// Whether prices were shown with the tax.
    pub prices_include_tax: bool,
}

impl OrderLine {
    /// quantity × unit price; within 64 bits by the limits on both (see [`crate::domain::money::sum`]).
    pub const fn total(&self) -> i64 {
        self.quantity.saturating_mul(self.unit_price)
    }
}
