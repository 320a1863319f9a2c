//! The terms of a promotion, as far as prices are concerned: what it takes off, and of what. Who may use it, when and how often is its
//! coupon's business.

use crate::domain::ids::{CategoryId, SkuId, VendorId};
use crate::domain::money::Money;
use serde::{Deserialize, Serialize};

/// What a promotion takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PromotionKind {
    /// A part of what the lines in its scope come to.
    Percent {
        /// Hundredths of a percent, 1 to 10,000.
        basis_points: u32,
    },
    /// An amount, at most what the lines in its scope come to.
    Amount {
        /// How much.
        amount: Money,
    },
    /// The shipping of the sub-orders in its scope.
    FreeShipping,
}

/// What a promotion is about. An empty list leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Whose goods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vendors: Vec<VendorId>,
    /// Goods of these categories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<CategoryId>,
    /// These goods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skus: Vec<SkuId>,
}

impl Scope {
    /// Whether it names anything: then it lowers lines, and is reckoned before those that lower the whole order.
    pub fn is_of_items(&self) -> bool {
        !(self.vendors.is_empty() && self.categories.is_empty() && self.skus.is_empty())
    }
}

/// A promotion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// What it takes off.
    #[serde(flatten)]
    pub kind: PromotionKind,
    /// Of what.
    #[serde(default)]
    pub scope: Scope,
    /// What the lines in scope must come to before any discount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_subtotal: Option<Money>,
    /// What a percentage takes off at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_discount: Option<Money>,
    /// Whether lines at the price of a sale are left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub excludes_sale_items: bool,
    /// What part of it the platform pays, in hundredths of a percent; the vendors pay the rest.
    #[serde(default)]
    pub platform_bp: u32,
}
