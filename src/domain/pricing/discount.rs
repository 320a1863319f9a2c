//! What a promotion takes off which lines.

use super::promotion::{Promotion, PromotionKind};
use crate::domain::ids::{CategoryId, SkuId, VendorId};
use crate::domain::money::{Currency, Money, split};
use serde::{Deserialize, Serialize};

/// Hundredths of a percent in the whole.
const WHOLE_BASIS_POINTS: i128 = 10_000;

/// So many hundredths of a percent of an amount that is not negative, rounded half up. At most the whole is taken.
pub fn discount_of(amount: i64, basis_points: u32) -> i64 {
    let exact = i128::from(amount) * i128::from(basis_points).min(WHOLE_BASIS_POINTS);
    // Not above the amount, which has 64 bits.
    i64::try_from((exact + WHOLE_BASIS_POINTS / 2) / WHOLE_BASIS_POINTS).unwrap_or(amount)
}

/// A line, as far as promotions look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discountable {
    /// The SKU.
    pub sku: SkuId,
    /// Who sells it.
    pub vendor: VendorId,
    /// The category of its product, where that is one of the tree.
    pub category: Option<CategoryId>,
    /// Whether it is at the price of a sale.
    pub is_on_sale: bool,
    /// What it comes to before any discount, in minor units.
    pub before: i64,
    /// What earlier promotions left of that.
    pub remaining: i64,
}

/// Why a promotion takes nothing off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotApplicable {
    /// Its amounts are in another currency.
    Currency,
    /// The lines in its scope come to less than its minimum before any discount.
    MinSubtotal,
    /// There is nothing in its scope that it could lower.
    Nothing,
    /// It has not started.
    NotStarted,
    /// It, or another one beside it, stands alone.
    StandsAlone,
    /// It has one code, which is good for many uses: no others are made of it.
    NotSingleUse,
}

impl NotApplicable {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Currency => "currency",
            Self::MinSubtotal => "min_subtotal",
            Self::Nothing => "nothing",
            Self::NotStarted => "not_started",
            Self::StandsAlone => "stands_alone",
            Self::NotSingleUse => "not_single_use",
        }
    }
}

impl Promotion {
    /// Whether it is about this line.
    pub fn covers(&self, line: &Discountable) -> bool {
        let scope = &self.scope;
        let names = |list: &[VendorId]| list.is_empty() || list.contains(&line.vendor);
        let category = || line.category.is_some_and(|category| scope.categories.contains(&category));
        names(&scope.vendors)
            && (scope.categories.is_empty() || category())
            && (scope.skus.is_empty() || scope.skus.contains(&line.sku))
            && !(self.excludes_sale_items && line.is_on_sale)
    }

    /// What must be so of the lines before it applies to anything.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) fn may_apply(&self, lines: &[Discountable], currency: Currency) -> Result<(), NotApplicable> {
        let value = match self.kind {
            PromotionKind::Amount { amount } => Some(amount),
            PromotionKind::Percent { .. } | PromotionKind::FreeShipping => None,
        };
        let other = |money: &Option<Money>| money.is_some_and(|money| money.currency != currency);
        if [value, self.min_subtotal, self.max_discount].iter().any(other) {
            return Err(NotApplicable::Currency);
        }
        let covered = || lines.iter().filter(|line| self.covers(line));
        if covered().next().is_none() {
            return Err(NotApplicable::Nothing);
        }
        let before: i128 = covered().map(|line| i128::from(line.before)).sum();
        match self.min_subtotal {
            Some(minimum) if before < i128::from(minimum.minor) => Err(NotApplicable::MinSubtotal),
            _ => Ok(()),
        }
    }
}

/// What a promotion of goods takes off each of these lines, which are all of one order, in its currency. Never more than what remains.
///
/// # Errors
/// Why it takes nothing off. So for free shipping, which lowers no line.
pub fn discount(promotion: &Promotion, lines: &[Discountable], currency: Currency) -> Result<Vec<i64>, NotApplicable> {
    promotion.may_apply(lines, currency)?;
    let weight = |line: &Discountable| if promotion.covers(line) { line.remaining.max(0) } else { 0 };
    let weights: Vec<i64> = lines.iter().map(weight).collect();
    let base: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let base = i64::try_from(base).unwrap_or(i64::MAX);
    let amount = match promotion.kind {
        PromotionKind::Percent { basis_points } => {
            let most = promotion.max_discount.map_or(i64::MAX, |most| most.minor);
            discount_of(base, basis_points).min(most)
        }
        PromotionKind::Amount { amount } => amount.minor.min(base),
        PromotionKind::FreeShipping => 0,
    };
    split(amount.max(0), &weights).filter(|_| amount > 0).ok_or(NotApplicable::Nothing)
}
