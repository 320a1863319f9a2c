//! Taxes: rates by country, region, category and date, and what they come to.

use super::shipping::Destination;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

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

/// Rates of one category in one country or region: from when on, and their places in the table. Sorted by the time, and of one time by the place.
type Dated = Vec<(Timestamp, usize)>;

/// The rates of one category in one country.
#[derive(Clone, Debug, Default)]
struct Rates {
    whole: Dated,
    regions: BTreeMap<String, Dated>,
}

/// The shop's rates with an index, which is made once when the tables are read: there may be thousands of rows, and a bill asks for each line.
#[derive(Clone, Debug)]
pub struct PreparedTaxes {
    tables: TaxTables,
    /// By country, then by category.
    rates: BTreeMap<String, BTreeMap<String, Rates>>,
}

impl From<TaxTables> for PreparedTaxes {
    fn from(tables: TaxTables) -> Self {
        let mut rates: BTreeMap<String, BTreeMap<String, Rates>> = BTreeMap::new();
        for (place, row) in tables.tax_tables.iter().enumerate() {
            let of_country = rates.entry(row.country.clone()).or_default();
            let Rates { whole, regions } = of_country.entry(row.category.clone()).or_default();
            let dated = match &row.region {
                Some(region) => regions.entry(region.clone()).or_default(),
                None => whole,
            };
            dated.push((row.valid_from, place));
        }
        for Rates { whole, regions } in rates.values_mut().flat_map(BTreeMap::values_mut) {
            regions.values_mut().chain([whole]).for_each(|dated| dated.sort_unstable());
        }
        Self { tables, rates }
    }
}

impl PreparedTaxes {
    /// Whether prices are shown with the tax.
    pub const fn prices_include_tax(&self) -> bool {
        self.tables.prices_include_tax
    }

    /// How shipping is taxed.
    pub const fn shipping_tax(&self) -> ShippingTax {
        self.tables.shipping_tax
    }

    /// The rate for goods of a category that are shipped there, of an order that was placed then. A row with the region goes before one
    /// without, then the latest.
    pub fn rate(&self, to: &Destination<'_>, category: &str, placed_at: Timestamp) -> TaxRate<'_> {
        let latest = |dated: &Dated| {
            let until = dated.partition_point(|(valid_from, _)| *valid_from <= placed_at);
            until.checked_sub(1).map(|at| dated[at].1)
        };
        let of_category = self.rates.get(to.country).and_then(|of_country| of_country.get(category));
        let place = of_category.and_then(|Rates { whole, regions }| {
            let of_region = to.region.and_then(|region| regions.get(region)).and_then(latest);
            of_region.or_else(|| latest(whole))
        });
        match place.and_then(|place| self.tables.tax_tables.get(place)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rate, by a look at each row.
    fn scanned<'a>(
        tables: &'a TaxTables,
        to: &Destination<'_>,
        category: &str,
        placed_at: Timestamp,
    ) -> Option<&'a TaxRow> {
        let fits = |row: &&TaxRow| {
            row.country == to.country
                && row.category == category
                && row.valid_from <= placed_at
                && (row.region.is_none() || row.region.as_deref() == to.region)
        };
        tables.tax_tables.iter().filter(fits).max_by_key(|row| (row.region.is_some(), row.valid_from))
    }

    /// Each of few, so that rows say something else of the same.
    fn some_row() -> impl Strategy<Value = TaxRow> {
        let of = |names: &[&'static str]| prop::sample::select(names.to_vec()).prop_map(str::to_owned);
        let region = prop::option::of(of(&["BD-C", "BD-D"]));
        (of(&["BD", "IN"]), region, of(&["standard", "books"]), 0..100_001u32, 0..5i64).prop_map(
            |(country, region, category, rate_milli_percent, valid_from)| {
                let valid_from = Timestamp::from_millis(valid_from);
                TaxRow { country, region, category, rate_milli_percent, reason: None, valid_from }
            },
        )
    }

    proptest! {
        /// What was prepared once finds the row that a look at each of them finds.
        #[test]
        fn the_index_of_rates_finds_what_a_scan_finds(rows in prop::collection::vec(some_row(), 0..30)) {
            let tables = TaxTables { tax_tables: rows, ..TaxTables::default() };
            let prepared = PreparedTaxes::from(tables.clone());
            let none = TaxRate { milli_percent: 0, reason: Some(Cow::Borrowed(NO_RATE)) };
            for country in ["BD", "IN", "DE"] {
                for region in [None, Some("BD-C"), Some("BD-E")] {
                    for (category, at) in ["standard", "books", "food"].into_iter().flat_map(|one| (-1..6).map(move |at| (one, at))) {
                        let (to, at) = (Destination { country, region, postcode: None }, Timestamp::from_millis(at));
                        let found = scanned(&tables, &to, category, at);
                        let rate = found.map(|row| TaxRate { milli_percent: row.rate_milli_percent, reason: None });
                        prop_assert_eq!(prepared.rate(&to, category, at), rate.unwrap_or_else(|| none.clone()));
                    }
                }
            }
        }
    }
}
