//! What can be asked of a vendor, what can have happened to it, and what it answers.

use super::catalogue::{GoodsStatus, ProductChange, VendorStatus};
use super::sales::{SaleChange, SaleTerms};
use super::slots::{DeliveryPlan, Slot, SlotId};
use super::terms::{SkuChange, SkuTerms};
use super::view::{ProductView, SaleView, SkuView, SlotView, VendorView};
use crate::domain::buyer::{BuyerKey, HeldFor, keys};
use crate::domain::entity::{By, Principal};
use crate::domain::hold::CreditKey;
use crate::domain::ids::{CreditId, OrderId, ProductId, SaleId, SkuId};
use crate::domain::money::Currency;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// A product to be added, with its SKUs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewProduct {
    /// Its id, minted by whoever asks.
    pub id: ProductId,
    /// What it is called.
    pub title: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Its SKUs, at least one.
    pub skus: Vec<NewSku>,
}

/// A SKU to be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSku {
    /// Its id, minted by whoever asks.
    pub id: SkuId,
    /// The vendor's own code.
    pub code: String,
    /// Its price, in minor units.
    pub price_minor: i64,
    /// The price's currency.
    pub currency: Currency,
    /// Pieces in the house.
    pub on_hand: i64,
}

/// What an order wants of one SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedLine {
    /// The SKU.
    pub sku: SkuId,
    /// Pieces.
    pub quantity: i64,
}

/// What is held of one SKU, at the price of that moment. It says how the price came about, so that a repeated reservation and an order
/// that comes back from a crash are told the same, whatever time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLine {
    /// The SKU.
    pub sku: SkuId,
    /// Pieces.
    pub quantity: i64,
    /// The price of one, in minor units.
    pub unit_price: i64,
    /// The list price of one, in minor units, where it is not the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_price: Option<i64>,
    /// The pieces from which on the price break holds that made the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<i64>,
    /// The sale whose allotment the pieces are taken from, whatever made the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<SaleId>,
}

impl HeldLine {
    /// Pieces at their list price.
    pub const fn at_list_price(sku: SkuId, quantity: i64, unit_price: i64) -> Self {
        Self { sku, quantity, unit_price, list_price: None, rung: None, sale: None }
    }
}

/// What a vendor holds for an order. In records of early versions, and where no line is counted for its buyer, it is the lines alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldStock {
    /// What is held.
    pub lines: Vec<HeldLine>,
    /// The buyer's keys, where a line is counted for its buyer.
    pub keys: Vec<BuyerKey>,
    /// How many of these, from the first, are the account's own.
    pub account_keys: usize,
    /// The slot in which it is to be brought, where one was chosen.
    pub slot: Option<Box<Slot>>,
}

/// Units of a paid order that were cancelled, and that their vendor takes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestockedUnits {
    /// The order.
    pub order: OrderId,
    /// What comes back by each credit, as it was sold.
    pub credits: Vec<(CreditId, Vec<HeldLine>)>,
    /// The buyer's keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "keys")]
    pub keys: Vec<BuyerKey>,
    /// How many of these, from the first, are the account's own.
    #[serde(default, skip_serializing_if = "is_none")]
    pub account_keys: usize,
    /// The slot that the order does not need any more, and by which of these credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<(CreditId, SlotId)>,
}

impl From<Vec<HeldLine>> for HeldStock {
    fn from(lines: Vec<HeldLine>) -> Self {
        Self { lines, ..Self::default() }
    }
}

/// [`HeldStock`] with the buyer's keys, or with a slot.
#[derive(Serialize, Deserialize)]
struct CountedStock<'a> {
    lines: Cow<'a, [HeldLine]>,
    #[serde(default, skip_serializing_if = "has_none", with = "keys")]
    keys: Cow<'a, [BuyerKey]>,
    #[serde(default, skip_serializing_if = "is_none")]
    account_keys: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slot: Option<Cow<'a, Slot>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(number: &usize) -> bool {
    *number == 0
}

fn has_none(keys: &[BuyerKey]) -> bool {
    keys.is_empty()
}

impl Serialize for HeldStock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { lines, keys, account_keys, slot } = self;
        match (keys.is_empty(), slot) {
            (true, None) => lines.serialize(serializer),
            _ => {
                let (lines, keys, account_keys) = (lines.into(), keys.into(), *account_keys);
                let slot = slot.as_deref().map(Cow::Borrowed);
                CountedStock { lines, keys, account_keys, slot }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for HeldStock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Plain(Vec<HeldLine>),
            Counted(CountedStock<'static>),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Plain(lines) => lines.into(),
            Written::Counted(CountedStock { lines, keys, account_keys, slot }) => {
                let slot = slot.map(|slot| Box::new(slot.into_owned()));
                Self { lines: lines.into_owned(), keys: keys.into_owned(), account_keys, slot }
            }
        })
    }
}

/// What can be asked of a vendor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum VendorCommand {
    /// Come into being.
    Create {
        /// The vendor's name.
        name: String,
    },
    /// Add a product with its SKUs.
    AddProduct {
        /// On whose behalf.
        by: Principal,
        /// The product.
        product: NewProduct,
    },
    /// Call it something else.
    Rename {
        /// On whose behalf.
        by: Principal,
        /// Its name from now on.
        name: String,
    },
    /// Suspend it, or let it sell again. The shop's staff alone may.
    SetStatus {
        /// On whose behalf.
        by: Principal,
        /// Which of both.
        status: VendorStatus,
        /// Why.
        reason: String,
    },
    /// Change what a product says, or whether it is for sale.
    EditProduct {
        /// On whose behalf.
        by: Principal,
        /// Which.
        product: ProductId,
        /// What of it.
        change: Box<ProductChange>,
    },
    /// Add a SKU to a product.
    AddSku {
        /// On whose behalf.
        by: Principal,
        /// To which.
        product: ProductId,
        /// The SKU.
        sku: NewSku,
    },
    /// Show a product with its SKUs.
    GetProduct {
        /// On whose behalf.
        by: Principal,
        /// Which.
        product: ProductId,
    },
    /// Change a price.
    SetPrice {
        /// On whose behalf.
        by: Principal,
        /// Of which SKU.
        sku: SkuId,
        /// The new price, in minor units.
        price_minor: i64,
        /// Its currency, which must be the SKU's.
        currency: Currency,
    },
    /// Change price and terms of a SKU.
    EditSku {
        /// On whose behalf.
        by: Principal,
        /// Which.
        sku: SkuId,
        /// What of it.
        change: Box<SkuChange>,
    },
    /// Change what is on hand by counting, buying in or writing off.
    AdjustStock {
        /// On whose behalf.
        by: Principal,
        /// Of which SKU.
        sku: SkuId,
        /// Pieces more, or less when negative.
        delta: i64,
        /// Why.
        reason: String,
    },
    /// Shows the vendor.
    Get {
        /// Whose wish it is.
        by: Principal,
    },
    /// Show a SKU.
    GetSku {
        /// On whose behalf.
        by: Principal,
        /// Which.
        sku: SkuId,
    },
    /// Make a sale.
    ScheduleSale {
        /// On whose behalf.
        by: Principal,
        /// Its id, minted by whoever asks.
        sale: SaleId,
        /// What it promises.
        terms: Box<SaleTerms>,
    },
    /// Change a sale.
    EditSale {
        /// On whose behalf.
        by: Principal,
        /// Which.
        sale: SaleId,
        /// What is to be another.
        change: Box<SaleChange>,
    },
    /// Cancel a sale: its fence and its prices end at once. What is held in it stays held.
    CancelSale {
        /// On whose behalf.
        by: Principal,
        /// Which.
        sale: SaleId,
    },
    /// Show a sale.
    GetSale {
        /// On whose behalf.
        by: Principal,
        /// Which.
        sale: SaleId,
    },
    /// Set when it delivers, as a whole.
    SetDeliveryPlan {
        /// On whose behalf.
        by: Principal,
        /// The version that was read: how often a plan was set before.
        version: u64,
        /// The plan; with none it delivers in no slots.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Box<DeliveryPlan>>,
    },
    /// Show when it delivers.
    GetDeliveryPlan {
        /// On whose behalf.
        by: Principal,
    },
    /// Show the slots that can be ordered for. Anyone may see them.
    GetSlots {
        /// At this moment.
        at: Timestamp,
    },
    /// Hold stock for an order.
    Reserve {
        /// The order.
        order: OrderId,
        /// Until when the order needs it at most.
        until: Timestamp,
        /// The currency the order is in.
        currency: Currency,
        /// What.
        lines: Vec<WantedLine>,
        /// For whom.
        #[serde(default)]
        held_for: Box<HeldFor>,
    },
    /// The order is paid: what was held for it is sold.
    Commit {
        /// The order.
        order: OrderId,
        /// Whether it fails where nothing is held: an order of an early version may ask after its hold was forgotten.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        strict: bool,
    },
    /// The order is settled: what was sold to it need not be remembered any more.
    Close {
        /// The order.
        order: OrderId,
    },
    /// These units of a paid order were cancelled: take them back.
    Restock {
        /// Which.
        units: Box<RestockedUnits>,
    },
    /// The order has heard that these were taken back: that need not be remembered any more.
    CloseCredits {
        /// The order.
        order: OrderId,
        /// By which credits.
        credits: Vec<CreditId>,
    },
    /// The order has ended unpaid: what was held for it is free, and nothing may be held for it any more.
    Release {
        /// The order.
        order: OrderId,
        /// Until when the order would have needed it.
        until: Timestamp,
    },
    /// Time has passed.
    Tick,
}

/// What can have happened to a vendor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum VendorEvent {
    /// It came into being.
    VendorCreated {
        /// Its name.
        name: String,
    },
    /// A product was added.
    ProductAdded {
        /// The product.
        product: NewProduct,
    },
    /// It has another name.
    VendorRenamed {
        /// Its name from now on.
        name: String,
        /// Who did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// It was suspended, or may sell again.
    VendorStatusSet {
        /// Which of both.
        status: VendorStatus,
        /// Why.
        reason: String,
        /// Who did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// A product says something else, or is or is not for sale.
    ProductChanged {
        /// Which.
        product: ProductId,
        /// What of it, and nothing that is as it was.
        change: Box<ProductChange>,
        /// Who did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// A product has one SKU more.
    SkuAdded {
        /// Which product.
        product: ProductId,
        /// The SKU.
        sku: NewSku,
        /// Who did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// A SKU is or is not for sale.
    SkuStatusSet {
        /// Which.
        sku: SkuId,
        /// Which of both.
        status: GoodsStatus,
        /// Who did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// A price was changed.
    SkuPriceChanged {
        /// Of which SKU.
        sku: SkuId,
        /// The new price, in minor units.
        price_minor: i64,
    },
    /// A SKU is sold on other terms.
    SkuTermsChanged {
        /// Which.
        sku: SkuId,
        /// Its terms from now on, all of them.
        terms: Box<SkuTerms>,
    },
    /// Stock was changed by hand.
    StockAdjusted {
        /// Of which SKU.
        sku: SkuId,
        /// Pieces more, or less when negative.
        delta: i64,
        /// Why.
        reason: String,
        /// Who did it; not recorded by early versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// A sale was made.
    SaleScheduled {
        /// Its id.
        sale: SaleId,
        /// What it promises.
        terms: Box<SaleTerms>,
    },
    /// A sale has other terms.
    SaleChanged {
        /// Which.
        sale: SaleId,
        /// What it promises from now on.
        terms: Box<SaleTerms>,
    },
    /// A sale was cancelled.
    SaleCancelled {
        /// Which.
        sale: SaleId,
    },
    /// It delivers in other slots from now on; in none where there is no plan.
    DeliveryPlanSet {
        /// The plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Box<DeliveryPlan>>,
    },
    /// Stock was held for an order.
    StockHeld {
        /// The order.
        order: OrderId,
        /// Until when.
        until: Timestamp,
        /// What, at today's price.
        lines: Vec<HeldLine>,
        /// The buyer's keys, where a line is counted for its buyer.
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "keys")]
        keys: Vec<BuyerKey>,
        /// How many of these, from the first, are the account's own.
        #[serde(default, skip_serializing_if = "is_none")]
        account_keys: usize,
        /// The slot in which it is to be brought, held with the stock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<Box<Slot>>,
    },
    /// What was held for an order was sold, and forgotten. Written by early versions.
    StockCommitted {
        /// The order.
        order: OrderId,
    },
    /// What was held for an order was sold. The hold is remembered as committed until its order is settled.
    HoldCommitted {
        /// The order.
        order: OrderId,
        /// How many pieces of what it was; not recorded by early versions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sold: Vec<(SkuId, i64)>,
    },
    /// These orders are settled: what was sold to them is not remembered any more.
    HoldsClosed {
        /// The orders.
        orders: Vec<OrderId>,
    },
    /// Units of a paid order that were cancelled are in stock again. It is remembered until the order has heard so.
    Restocked {
        /// The order.
        order: OrderId,
        /// By which credit.
        credit: CreditId,
        /// What, as it was sold.
        lines: Vec<HeldLine>,
        /// The buyer's keys, where a line is counted for its buyer.
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "keys")]
        keys: Vec<BuyerKey>,
        /// How many of these, from the first, are the account's own.
        #[serde(default, skip_serializing_if = "is_none")]
        account_keys: usize,
        /// The slot that the order does not need any more, free again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slot: Option<SlotId>,
    },
    /// The orders of these credits have heard that their units are back: that is not remembered any more.
    CreditsClosed {
        /// The credits, each with its order.
        credits: Vec<CreditKey>,
    },
    /// What was held for an order, if anything, is free again; a later hold for it is refused.
    StockReleased {
        /// The order.
        order: OrderId,
        /// Until when the order would have needed it: as long is the release remembered.
        until: Timestamp,
        /// What had been held.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        skus: Vec<SkuId>,
    },
}

/// What a vendor answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum VendorReply {
    /// The vendor.
    Vendor {
        /// As it is now.
        vendor: VendorView,
    },
    /// A product with its SKUs.
    Product {
        /// The product.
        product: Box<ProductView>,
        /// Its SKUs, in the vendor's order.
        skus: Vec<SkuView>,
    },
    /// A SKU.
    Sku {
        /// The SKU.
        sku: Box<SkuView>,
    },
    /// A sale.
    Sale {
        /// The sale.
        sale: Box<SaleView>,
    },
    /// When it delivers.
    DeliveryPlan {
        /// How often a plan was set.
        version: u64,
        /// The plan, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Box<DeliveryPlan>>,
    },
    /// The slots that can be ordered for.
    Slots {
        /// By their days and times.
        slots: Vec<SlotView>,
    },
    /// Done; nothing to show.
    Done,
}
