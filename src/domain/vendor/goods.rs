//! What a vendor sells: its products and SKUs, their prices and their stock.

use super::catalogue::GoodsStatus;
use super::terms::{SkuChange, SkuTerms, price_of};
use super::{HeldLine, NewProduct, NewSku, OnSale, PartKey, Vendor, VendorEvent, VendorStatus, WantedLine};
use crate::domain::buyer::Audience;
use crate::domain::entity::By;
use crate::domain::ids::{ProductId, SkuId};
use crate::domain::money::{self, Currency, Money};
use crate::domain::reject::Reject;
use crate::domain::rows::{ProductRow, SkuRow, VendorRow};
use crate::domain::text::{code_key, words};
use crate::domain::time::Timestamp;
use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Product {
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) category: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) skus: Vec<SkuId>,
    /// Whether it is not for sale any more, with all of its SKUs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) archived: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sku {
    pub(super) product: ProductId,
    pub(super) code: String,
    pub(super) price_minor: i64,
    pub(super) currency: Currency,
    pub(super) received: i64,
    pub(super) on_hand: i64,
    pub(super) held: i64,
    /// On what terms it is sold, where there are any beside its price. Shared with what was published of it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::domain::vendor::shared_terms")]
    pub(super) terms: Option<Arc<SkuTerms>>,
    /// Whether it is not for sale any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) archived: bool,
}

impl Sku {
    pub(super) fn available(&self) -> i64 {
        self.on_hand.saturating_sub(self.held)
    }
}

impl Vendor {
    /// A SKU as its row.
    pub fn sku_row(&self, id: SkuId) -> Option<SkuRow> {
        let sku = self.skus.get(&id)?;
        Some(SkuRow {
            id,
            vendor_id: self.id,
            product_id: sku.product,
            code: sku.code.clone(),
            title: self.products.get(&sku.product).map(|product| product.title.clone()).unwrap_or_default(),
            price_minor: sku.price_minor,
            currency: sku.currency,
            received: sku.received,
            on_hand: sku.on_hand,
            held: sku.held,
            terms: sku.terms.clone(),
            archived: self.is_archived(id),
            suspended: self.suspended.contains(&id),
        })
    }

    /// Pieces at today's price for such a buyer, who takes all these lines together.
    pub(super) fn held_line(
        &self,
        sku: &Sku,
        line: WantedLine,
        all: &[WantedLine],
        audience: Audience,
        on_sale: Option<OnSale<'_>>,
    ) -> HeldLine {
        let list = sku.price_minor;
        let (sale, sale_price) = on_sale.map(|sale| (sale.id, sale.item().price_minor)).unzip();
        let at_list = HeldLine { sale, ..HeldLine::at_list_price(line.sku, line.quantity, list) };
        let Some(terms) = &sku.terms else {
            let unit_price = sale_price.map_or(list, |sale| sale.min(list));
            return HeldLine { unit_price, list_price: (unit_price != list).then_some(list), ..at_list };
        };
        let of_product = || {
            let same =
                |other: &&WantedLine| self.skus.get(&other.sku).is_some_and(|other| other.product == sku.product);
            money::sum(all.iter().filter(same).map(|other| other.quantity))
        };
        let (unit_price, rung) = price_of(list, terms, audience, terms.counted(line.quantity, of_product), sale_price);
        HeldLine { unit_price, list_price: (unit_price != list).then_some(list), rung, ..at_list }
    }

    /// All SKUs as rows, in the order of their ids.
    pub fn sku_rows(&self) -> Vec<SkuRow> {
        let mut rows: Vec<SkuRow> = self.skus.keys().filter_map(|id| self.sku_row(*id)).collect();
        rows.sort_unstable_by_key(|row| row.id);
        rows
    }

    /// All products as rows.
    pub fn product_rows(&self) -> Vec<ProductRow> {
        self.products.keys().filter_map(|id| self.searched_row(*id)).collect()
    }

    /// A product as it is shown: without the words by which the store finds it.
    pub(super) fn product_row(&self, id: ProductId) -> Option<ProductRow> {
        let product = self.products.get(&id)?;
        let on_offer = || product.skus.iter().filter_map(|sku| self.skus.get(sku)).filter(|sku| !sku.archived);
        let currency = on_offer().next().map(|sku| sku.currency);
        let price_minor = on_offer().filter(|sku| Some(sku.currency) == currency).map(|sku| sku.price_minor).min();
        Some(ProductRow {
            id,
            vendor_id: self.id,
            title: product.title.clone(),
            description: product.description.clone(),
            category: product.category.clone(),
            created_at: product.created_at,
            sku_ids: product.skus.clone(),
            status: GoodsStatus::of(product.archived),
            price: price_minor.zip(currency).map(|(minor, currency)| Money::new(minor, currency)),
            in_stock: on_offer().any(|sku| sku.available() > 0),
            words: String::new(),
        })
    }

    /// A product as its row in the store, by the words of which it is found.
    pub(super) fn searched_row(&self, id: ProductId) -> Option<ProductRow> {
        let row = self.product_row(id)?;
        let codes = row.sku_ids.iter().filter_map(|sku| self.skus.get(sku)).map(|sku| sku.code.as_str());
        let said = [row.title.as_str()].into_iter().chain(row.description.as_deref()).chain(row.category.as_deref());
        let words = words::joined(said.chain(codes));
        Some(ProductRow { words, ..row })
    }

    /// The vendor as its row; `None` before it came into being.
    pub fn row(&self) -> Option<VendorRow> {
        let status = VendorStatus::of(self.head.suspended);
        self.head.name.clone().map(|name| VendorRow { id: self.id, name, status })
    }

    pub(super) fn decide_product(&self, product: &NewProduct) -> Result<Vec<VendorEvent>, Reject> {
        if let Some(known) = self.products.get(&product.id) {
            // The ids of SKUs follow from all that the product was asked to be, also from what has changed since.
            let same = known.skus.iter().eq(product.skus.iter().map(|sku| &sku.id));
            return if same { Ok(Vec::new()) } else { Err(Reject::IdempotencyKeyReused) };
        }
        // In the order in which refusals take precedence, over all SKUs each.
        for (index, sku) in product.skus.iter().enumerate() {
            check_price(sku.price_minor, Some(index))?;
        }
        let stocked = |sku: &NewSku| (0..=limits::SKU_PIECES).contains(&sku.on_hand);
        if let Some(index) = product.skus.iter().position(|sku| !stocked(sku)) {
            return Err(Reject::StockOutOfRange { limit: limits::SKU_PIECES, index: Some(index) });
        }
        if product.skus.len() > limits::PRODUCT_SKUS {
            return Err(Reject::TooMany { what: "SKUs of one product".into(), limit: limits::PRODUCT_SKUS });
        }
        if self.skus.len() + product.skus.len() > limits::VENDOR_SKUS {
            return Err(Reject::TooMany { what: "SKUs of one vendor".into(), limit: limits::VENDOR_SKUS });
        }
        let mut codes = BTreeSet::new();
        for (index, sku) in product.skus.iter().enumerate() {
            let key = code_key(&sku.code);
            if self.codes.contains(&key) || !codes.insert(key) {
                return Err(Reject::SkuCodeTaken { sku_code: sku.code.clone(), index: Some(index) });
            }
        }
        Ok(vec![VendorEvent::ProductAdded { product: product.clone() }])
    }

    /// Changes of price and terms, each recorded only where it is another.
    pub(super) fn decide_edit(
        &self,
        id: SkuId,
        change: &SkuChange,
        by: Option<By>,
    ) -> Result<Vec<VendorEvent>, Reject> {
        let sku = self.sku(id)?;
        if let Some(found) = change.currency.filter(|currency| *currency != sku.currency) {
            return Err(Reject::CurrencyMismatch { expected: sku.currency, found });
        }
        let mut events = Vec::new();
        if let Some(price_minor) = change.price_minor {
            check_price(price_minor, None)?;
            if price_minor != sku.price_minor {
                events.push(VendorEvent::SkuPriceChanged { sku: id, price_minor });
            }
        }
        let before = sku.terms.as_deref().cloned().unwrap_or_default();
        let terms = change.terms(&before)?;
        if terms != before {
            events.push(VendorEvent::SkuTermsChanged { sku: id, terms: Box::new(terms) });
        }
        if let Some(status) = change.status.filter(|status| status.is_archived() != sku.archived) {
            events.push(VendorEvent::SkuStatusSet { sku: id, status, by });
        }
        Ok(events)
    }

    pub(super) fn decide_adjust(
        &self,
        id: SkuId,
        delta: i64,
        reason: &str,
        by: Option<By>,
        now: Timestamp,
    ) -> Result<Vec<VendorEvent>, Reject> {
        let sku = self.sku(id)?;
        let available = sku.available();
        let (on_hand, received) = (sku.on_hand.checked_add(delta), sku.received.checked_add(delta));
        if available.saturating_add(delta) < 0 {
            return Err(Reject::StockNegative { available, delta });
        }
        let regular = self.stock(id, sku).regular(now);
        if delta < 0 && regular.saturating_add(delta) < 0 {
            return Err(Reject::AllotmentReserved { sku_id: id, available: Some(regular.max(0)), minimum: None });
        }
        if on_hand.is_none_or(|count| count > limits::SKU_PIECES)
            || received.is_none_or(|count| count > limits::SKU_PIECES)
        {
            return Err(Reject::StockOutOfRange { limit: limits::SKU_PIECES, index: None });
        }
        Ok(vec![VendorEvent::StockAdjusted { sku: id, delta, reason: reason.to_owned(), by }])
    }

    /// A SKU that no product has had before.
    pub(super) fn add_sku(&mut self, product: ProductId, new: &NewSku) {
        let sku = Sku {
            product,
            code: new.code.clone(),
            price_minor: new.price_minor,
            currency: new.currency,
            received: new.on_hand,
            on_hand: new.on_hand,
            held: 0,
            terms: None,
            archived: false,
        };
        self.codes.insert(code_key(&sku.code));
        self.skus.insert(new.id, sku);
        self.made(PartKey::Sku(new.id));
    }

    /// The product's row is to be written anew.
    pub(super) fn touch_product(&mut self, id: ProductId) {
        self.changed.entry(PartKey::Product(id)).or_insert(false);
    }

    /// The row of this SKU's product is to be written anew.
    pub(super) fn touch_product_of(&mut self, sku: SkuId) {
        if let Some(product) = self.skus.get(&sku).map(|sku| sku.product) {
            self.touch_product(product);
        }
    }

    pub(super) fn touch_sku(&mut self, id: SkuId, change: impl FnOnce(&mut Sku)) {
        if let Some(sku) = self.skus.get_mut(&id) {
            let was_there = sku.available() > 0;
            change(sku);
            let (is_there, product) = (sku.available() > 0, sku.product);
            self.changed.entry(PartKey::Sku(id)).or_insert(false);
            // The product's row says whether any of it is in stock.
            if is_there != was_there {
                self.touch_product(product);
            }
        }
    }
}

pub(super) fn check_price(price_minor: i64, index: Option<usize>) -> Result<(), Reject> {
    if (1..=limits::PRICE_MINOR).contains(&price_minor) {
        Ok(())
    } else {
        Err(Reject::PriceOutOfRange { limit: limits::PRICE_MINOR, index, rung: None })
    }
}
