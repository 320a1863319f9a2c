//! The rows of the read tables, as entities give them to a checkpoint.

use super::buyer::{Audience, Exemption, MailKey};

use super::coupon::{CouponCode, CouponTerms};
use super::entity::Keeps;
use super::ids::{CartId, CouponId, CustomerId, Kind, OrderId, ProductId, SaleId, SkuId, SubOrderId, VendorId};
use super::kinds::for_kind;
use super::money::{Currency, Money};
use super::order::{Amounts, BillHead, Goods, OrderColumns, Parcel, PaymentStatus, Return, SubOrderStatus};
use super::pricing::{BillLine, BillShare};
use super::time::Timestamp;
use super::vendor::{Count, GoodsStatus, SaleTerms, SkuTerms, VendorStatus};
use super::who::ByKind;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Rows of several tables. Each row stands for the newest state of its key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// Table `vendors`.
    pub vendors: Vec<VendorRow>,
    /// Table `products`.
    pub products: Vec<ProductRow>,
    /// Table `skus`.
    pub skus: Vec<SkuRow>,
    /// Table `sales`.
    pub sales: Vec<SaleRow>,
    /// Table `customers`: those of whom anybody has ever said what they are.
    #[serde(default)]
    pub customers: Vec<CustomerRow>,
    /// Table `orders`, with the rows that belong to each.
    pub orders: Vec<OrderRow>,
    /// Table `coupons`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<CouponRow>,
}

/// Which shape each kind's rows have: see [`Keeps::SHAPE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shapes([u32; Kind::COUNT]);

impl Default for Shapes {
    /// Those of this version.
    fn default() -> Self {
        Self(Kind::ALL.map(|kind| for_kind!(kind, E => E::SHAPE)))
    }
}

impl Shapes {
    /// The shape of a kind's rows; 0 where it has none.
    pub fn of(&self, kind: Kind) -> u32 {
        self.0[kind as usize]
    }

    /// Those of a version in which the rows of this kind have another one, for tests of what such a version does.
    #[must_use]
    pub fn raised(mut self, kind: Kind, by: u32) -> Self {
        self.0[kind as usize] += by;
        self
    }
}

/// A row of `stock_changes`: what one event did to the pieces of a SKU that are in the house. It is written once and never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockChangeRow {
    /// Key, with `version` and `position`: whose event.
    pub vendor_id: VendorId,
    /// The version of the vendor that the event's record made.
    pub version: u64,
    /// Which change of this record, from 0.
    pub position: u32,
    /// Of which SKU.
    pub sku_id: SkuId,
    /// When.
    pub at: Timestamp,
    /// Pieces more, or less when negative.
    pub delta: i64,
    /// Why: what was said where someone changed it by hand, else [`ADDED`] or [`SOLD`].
    pub reason: String,
    /// Who changed it by hand.
    pub by: Option<ByKind>,
    /// The order that it was sold to.
    pub order_id: Option<OrderId>,
}

/// The reason of the pieces that a SKU begins with.
pub const ADDED: &str = "added";
/// The reason of pieces that were sold.
pub const SOLD: &str = "sold";
/// Why pieces came back that had been sold to an order.
pub const CANCELLED: &str = "cancelled";

/// A row of `vendors`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorRow {
    /// Key.
    pub id: VendorId,
    /// The vendor's name.
    pub name: String,
    /// Whether it may sell.
    pub status: VendorStatus,
}

/// A row of `customers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerRow {
    /// Key.
    pub id: CustomerId,
    /// Which prices they have.
    pub group: Audience,
    /// Why they pay no tax; none of a customer who does.
    pub exempt: Option<Exemption>,
    /// By what their points are multiplied, in basis points, of somebody who is or was in a tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<u32>,
}

/// A row of `products`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRow {
    /// Key.
    pub id: ProductId,
    /// Whose product.
    pub vendor_id: VendorId,
    /// What it is called.
    pub title: String,
    /// What it is.
    pub description: Option<String>,
    /// Where it is found.
    pub category: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Its SKUs, in the vendor's order.
    pub sku_ids: Vec<SkuId>,
    /// Whether it is for sale.
    pub status: GoodsStatus,
    /// The least list price among its SKUs that are for sale, in the currency of the first of them.
    pub price: Option<Money>,
    /// Whether there are pieces of any of these.
    pub in_stock: bool,
    /// The words by which it is found, each once, with a blank between them: see `domain::text::words`. The store alone has them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

/// A row of `skus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkuRow {
    /// Key.
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
    /// Whether it is archived, or its product is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// Whether it is out of sale because its figures do not add up. The read tables do not know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
}

/// A row of `sales`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleRow {
    /// Key.
    pub id: SaleId,
    /// Whose.
    pub vendor_id: VendorId,
    /// What it promises.
    pub terms: SaleTerms,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// What was taken of each item.
    pub counts: Vec<Count>,
}

impl SkuRow {
    /// Pieces sold: received = on hand + sold.
    pub const fn sold(&self) -> i64 {
        self.received.saturating_sub(self.on_hand)
    }

    /// Pieces on hand and not held; none while it is suspended.
    pub const fn available(&self) -> i64 {
        if self.suspended { 0 } else { self.on_hand.saturating_sub(self.held) }
    }
}

/// A row of `coupons`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponRow {
    /// Key.
    pub id: CouponId,
    /// Its code, or the prefix of its codes.
    pub code: CouponCode,
    /// The vendor whose it is; the shop's without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<VendorId>,
    /// Whether it has codes that are good for one use each.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single_use: bool,
    /// The version of its terms, from 1.
    pub version: u64,
    /// Its terms.
    pub terms: CouponTerms,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many codes were made that are good for one use each.
    #[serde(default)]
    pub issued: u32,
    /// Uses that are held for orders.
    pub held: u64,
    /// Uses of orders that are paid.
    pub used: u64,
    /// What the orders take of the budget that hold a use, in minor units.
    pub amount_held: i64,
    /// What the orders took of it that are paid.
    pub amount_used: i64,
}

impl CouponRow {
    /// Whether an order must have a use held.
    pub const fn is_counted(&self) -> bool {
        self.single_use || self.terms.count()
    }
}

/// A row of `orders` with its `sub_orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    /// Key.
    pub id: OrderId,
    /// The cart it came from.
    pub cart_id: CartId,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// Whose; `None` for a guest's.
    pub customer_id: Option<CustomerId>,
    /// By which the orders of its e-mail address are found.
    pub mail_key: Option<MailKey>,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// What stands in the columns by which lists are filtered.
    pub columns: OrderColumns,
    /// Its money: the sums of its shares'.
    pub amounts: Amounts,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// Until when it must be paid.
    pub payment_due_at: Timestamp,
    /// The gateway.
    pub payment_method: String,
    /// How the payment stands.
    pub payment_status: PaymentStatus,
    /// Its bill beside its lines, where it has one.
    pub bill: Option<Box<BillRow>>,
    /// Whom outside it waits for: 0 for nobody, and of [`OUTSIDE_COURIER`] and [`OUTSIDE_REFUND`] the sum. `None` in a row of an early version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<i64>,
    /// How many points it is to earn yet; `None` where it earns none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points_pending: Option<i64>,
    /// Shares per vendor.
    pub sub_orders: Vec<SubOrderRow>,
    /// Lines.
    pub lines: Vec<OrderLineRow>,
    /// Its parcels, where it has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipments: Vec<ShipmentRow>,
    /// What buyers send back of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<ReturnRow>,
}

/// An order wants something of a courier.
pub const OUTSIDE_COURIER: i64 = 1;
/// An order has money to be given back.
pub const OUTSIDE_REFUND: i64 = 2;

/// A row of `sub_orders`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubOrderRow {
    /// Key.
    pub id: SubOrderId,
    /// Whose share.
    pub vendor_id: VendorId,
    /// How it stands.
    pub status: SubOrderStatus,
    /// Its money.
    pub amounts: Amounts,
    /// Units that are left to pack, of one that is on its way in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_pack: Option<i64>,
    /// Since when nothing of it is packed though its time was over, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue_since: Option<i64>,
}

/// A row of `shipments`: a parcel of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentRow {
    /// When it was made.
    pub made_at: Timestamp,
    /// The currency of its order.
    pub currency: Currency,
    /// The parcel. Its id is the key.
    pub parcel: Parcel,
}

/// A row of `returns`: what a buyer sends back of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnRow {
    /// When it was asked for.
    pub made_at: Timestamp,
    /// The return. Its id is the key.
    pub known: Return,
}

/// The bill of an order beside its lines, as its row tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillRow {
    /// What holds of all of it.
    #[serde(flatten)]
    pub head: BillHead,
    /// Each vendor's shipping, fees and taxes.
    pub shares: Vec<BillShare>,
    /// What is to be paid beside lines.
    #[serde(default)]
    pub besides: i64,
    /// What of that was credited.
    #[serde(default)]
    pub besides_credited: i64,
}

/// A line of an order, as its row tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLineRow {
    /// What.
    pub sku_id: SkuId,
    /// From whom.
    pub vendor_id: VendorId,
    /// What it was called.
    pub title: String,
    /// How many.
    pub quantity: i64,
    /// At what price, in minor units.
    pub unit_price: i64,
    /// At what list price, in minor units, where that is another.
    pub list_price: Option<i64>,
    /// In which sale.
    pub sale_id: Option<SaleId>,
    /// quantity × unit price.
    pub line_total: i64,
    /// How many need not be paid for any more.
    pub credited: i64,
    /// What these come to, in minor units.
    pub credited_amount: i64,
    /// What it comes to by the order's bill, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed: Option<Box<BillLine>>,
    /// Where its units are, once one of them was packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goods: Option<Box<Goods>>,
}
