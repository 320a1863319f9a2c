//! Taxes: rates by country, region, category and date, and what they come to.

use super::shipping::Destination;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The category of goods that have none.
pub const STANDARD: &str = "standard";
/// Why nothing is taxed where no table has a row.
pub const NO_RATE: &str = "no_rate";

/// Thousandths of a percent in the whole.
const WHOLE: i128 = 100_000;

/// How shipping and fees are taxed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShippingTax {
    /// As the goods are that are shipped, in proportion.
    #[default]
    Proportional,
    /// By the category of the shipping method.
    Own,
}

/// One rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxRow {
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// ISO 3166-2; the whole country where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Of which goods.
    pub category: String,
    /// Thousandths of a percent, 0 to 100,000.
    pub rate_milli_percent: u32,
    /// Why it is what it is; a rate of 0 has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From when on.
    pub valid_from: Timestamp,
}

/// All of the shop's rates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxTables {
    /// Whether prices are shown with the tax.
    pub prices_include_tax: bool,
    /// How shipping is taxed.
    pub shipping_tax: ShippingTax,
    /// In which zone dates are written.
    pub time_zone: String,
    /// The rates.
    pub tax_tables: Vec<TaxRow>,
}

/// What is taken of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxRate<'a> {
    /// Thousandths of a percent.
    pub milli_percent: u32,
    /// Why.
    pub reason: Option<Cow<'a, str>>,
}

impl TaxTables {
    /// The rate for goods of a category that are shipped there, of an order that was placed then. A row with the region goes before one
    /// without, then the latest.
    pub fn rate(&self, to: &Destination<'_>, category: &str, placed_at: Timestamp) -> TaxRate<'_> {
        let fits = |row: &&TaxRow| {
            row.country == to.country
                && row.category == category
                && row.valid_from <= placed_at
                && (row.region.is_none() || row.region.as_deref() == to.region)
        };
        let found = self.tax_tables.iter().filter(fits).max_by_key(|row| (row.region.is_some(), row.valid_from));
        match found {
            Some(row) => {
                TaxRate { milli_percent: row.rate_milli_percent, reason: row.reason.as_deref().map(Cow::Borrowed) }
            }
            None => TaxRate { milli_percent: 0, reason: Some(Cow::Borrowed(NO_RATE)) },
        }
    }
}

/// The tax on an amount that is not negative, rounded half up: of one that includes it, gross × rate / (100 % + rate); of one without, net ×
/// rate.
pub fn tax_of(amount: i64, milli_percent: u32, included: bool) -> i64 {
    let rate = i128::from(milli_percent);
    let of = if included { WHOLE + rate } else { WHOLE };
    let tax = (2 * i128::from(amount) * rate + of) / (2 * of);
    // A rate is at most the whole, so a tax is at most the amount.
    i64::try_from(tax).unwrap_or(i64::MAX)
}
