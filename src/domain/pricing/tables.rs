//! The tables by which bills are made, as one set that is swapped whole.

use super::bill::Good;
use super::shipping::ShippingTables;
use super::tax::{PreparedTaxes, STANDARD};
use crate::domain::ids::{CategoryId, SkuId, VendorId};
use crate::domain::knowledge::Availability;
use crate::domain::loyalty::Programme;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// All tables.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// The rates of tax; none in a shop that taxes nothing.
    pub tax: Option<PreparedTaxes>,
    /// How vendors ship.
    pub shipping: ShippingTables,
    /// How categories are taxed, of those of which that is said.
    pub categories: BTreeMap<CategoryId, String>,
    /// The programme of points; none in a shop that never wrote one.
    pub loyalty: Option<Programme>,
}

impl Tables {
    /// Whether no order differs by them.
    pub fn is_empty(&self) -> bool {
        self.is_plain() && self.loyalty.is_none()
    }

    /// Whether no bill differs by them, of an order that is paid without points.
    pub fn is_plain(&self) -> bool {
        self.tax.is_none() && self.shipping.is_empty()
    }

    /// A line, with what is known of its goods.
    pub fn good(
        &self,
        (sku, vendor): (SkuId, VendorId),
        quantity: i64,
        unit_price: i64,
        is_on_sale: bool,
        known: &dyn Availability,
    ) -> Good<'static> {
        Good {
            sku,
            vendor,
            quantity,
            unit_price,
            is_on_sale,
            category: known.category(sku),
            grams: known.terms(sku).and_then(|terms| terms.weight_grams).unwrap_or(0),
            tax_category: self.tax_category(sku, known),
        }
    }

    /// What a SKU is taxed as: what its terms say, else its category, else [`STANDARD`].
    pub fn tax_category(&self, sku: SkuId, known: &dyn Availability) -> Cow<'static, str> {
        if let Some(own) = known.terms(sku).and_then(|terms| terms.tax_category.clone()) {
            return Cow::Owned(own);
        }
        let of_category = || self.categories.get(&known.category(sku)?);
        match of_category() {
            Some(of_category) => Cow::Owned(of_category.clone()),
            None => Cow::Borrowed(STANDARD),
        }
    }
}
