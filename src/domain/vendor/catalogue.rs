//! How a vendor's catalogue is mended: its name, what its products say, SKUs that are added, and what is archived or suspended.
//!
//! What is archived, and all of a vendor that is suspended, is promised to nobody any more. What was held before goes its way: its order is paid,
//! packed and sent as if nothing had happened.

use super::goods::{Product, check_price};
use super::terms::there;
use super::{NewSku, Vendor, VendorEvent};
use crate::domain::entity::By;
use crate::domain::ids::{ProductId, SkuId};
use crate::domain::reject::Reject;
use crate::domain::text::code_key;
use crate::domain::who::named;
use crate::limits;
use serde::{Deserialize, Serialize};

named!(
    /// Whether goods are for sale.
    GoodsStatus:
    /// They are.
    Active "active",
    /// Their vendor does not sell them any more.
    Archived "archived",
);

named!(
    /// Whether a vendor may sell.
    VendorStatus:
    /// It may.
    Active "active",
    /// The shop's staff does not let it.
    Suspended "suspended",
);

impl GoodsStatus {
    /// Archived or not.
    pub const fn of(archived: bool) -> Self {
        if archived { Self::Archived } else { Self::Active }
    }

    /// Whether they are archived.
    pub const fn is_archived(self) -> bool {
        matches!(self, Self::Archived)
    }
}

impl VendorStatus {
    /// Suspended or not.
    pub const fn of(suspended: bool) -> Self {
        if suspended { Self::Suspended } else { Self::Active }
    }

    /// Whether it is suspended.
    pub const fn is_suspended(self) -> bool {
        matches!(self, Self::Suspended)
    }
}

/// What is to be different of a product, or was made different. What is not there stays; what is there and empty is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProductChange {
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub description: Option<Option<String>>,
    /// Where it is found.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub category: Option<Option<String>>,
    /// Whether it is for sale, with all of its SKUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<GoodsStatus>,
}

impl ProductChange {
    /// What of it is another than it is.
    fn differing(&self, product: &Product) -> Self {
        let Self { title, description, category, status } = self.clone();
        Self {
            title: title.filter(|title| *title != product.title),
            description: description.filter(|description| *description != product.description),
            category: category.filter(|category| *category != product.category),
            status: status.filter(|status| status.is_archived() != product.archived),
        }
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Vendor {
    pub(super) fn decide_rename(&self, name: &str, by: Option<By>) -> Vec<VendorEvent> {
        let differs = self.head.name.as_deref() != Some(name);
        differs.then(|| VendorEvent::VendorRenamed { name: name.to_owned(), by }).into_iter().collect()
    }

    /// It is suspended or let sell again. The staff says why, and says it each time.
    pub(super) fn decide_vendor_status(&self, status: VendorStatus, reason: &str, by: Option<By>) -> Vec<VendorEvent> {
        let differs = self.head.suspended != status.is_suspended();
        let set = || VendorEvent::VendorStatusSet { status, reason: reason.to_owned(), by };
        differs.then(set).into_iter().collect()
    }

    pub(super) fn decide_product_change(
        &self,
        id: ProductId,
        change: &ProductChange,
        by: Option<By>,
    ) -> Result<Vec<VendorEvent>, Reject> {
        let change = change.differing(self.products.get(&id).ok_or(Reject::ProductUnknown)?);
        let changed = |change| VendorEvent::ProductChanged { product: id, change: Box::new(change), by };
        Ok(Some(change).filter(|change| !change.is_nothing()).map(changed).into_iter().collect())
    }

    /// One SKU more of a product.
    pub(super) fn decide_new_sku(
        &self,
        product: ProductId,
        sku: &NewSku,
        by: Option<By>,
    ) -> Result<Vec<VendorEvent>, Reject> {
        let known = self.products.get(&product).ok_or(Reject::ProductUnknown)?;
        if let Some(there) = self.skus.get(&sku.id) {
            // Its id follows from who asked and with which key: this is a repeat, whatever has changed since.
            return if there.product == product { Ok(Vec::new()) } else { Err(Reject::IdempotencyKeyReused) };
        }
        check_price(sku.price_minor, None)?;
        if !(0..=limits::SKU_PIECES).contains(&sku.on_hand) {
            return Err(Reject::StockOutOfRange { limit: limits::SKU_PIECES, index: None });
        }
        if known.skus.len() >= limits::PRODUCT_SKUS {
            return Err(Reject::TooMany { what: "SKUs of one product".into(), limit: limits::PRODUCT_SKUS });
        }
        if self.skus.len() >= limits::VENDOR_SKUS {
            return Err(Reject::TooMany { what: "SKUs of one vendor".into(), limit: limits::VENDOR_SKUS });
        }
        if self.codes.contains(&code_key(&sku.code)) {
            return Err(Reject::SkuCodeTaken { sku_code: sku.code.clone(), index: None });
        }
        Ok(vec![VendorEvent::SkuAdded { product, sku: sku.clone(), by }])
    }

    /// Whether pieces of a SKU are promised to whoever comes now.
    pub(super) fn is_for_sale(&self, sku: SkuId) -> bool {
        !self.head.suspended && !self.is_archived(sku)
    }

    /// Whether a SKU is archived, or its product is.
    pub(super) fn is_archived(&self, sku: SkuId) -> bool {
        self.skus
            .get(&sku)
            .is_some_and(|sku| sku.archived || self.products.get(&sku.product).is_some_and(|product| product.archived))
    }

    /// What a product says from now on. Rows of its SKUs show its title, and whether it is for sale.
    pub(super) fn change_product(&mut self, id: ProductId, change: &ProductChange) {
        let Some(product) = self.products.get_mut(&id) else { return };
        let ProductChange { title, description, category, status } = change.clone();
        product.title = title.unwrap_or_else(|| std::mem::take(&mut product.title));
        product.description = description.unwrap_or_else(|| product.description.take());
        product.category = category.unwrap_or_else(|| product.category.take());
        product.archived = status.map_or(product.archived, GoodsStatus::is_archived);
        if change.title.is_some() || change.status.is_some() {
            for sku in product.skus.clone() {
                self.touch_sku(sku, |_| {});
            }
        }
        self.touch_product(id);
    }
}

#[cfg(test)]
mod tests;
