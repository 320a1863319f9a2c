//! Shipping: the methods of vendors, the zones in which they serve, and what they cost there.

use crate::domain::buyer::Buyer;
use crate::domain::ids::{ShippingMethodId, VendorId};
use crate::domain::money::{Currency, Money};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every country that no zone of a method names.
pub const EVERYWHERE: &str = "*";

/// A way in which a vendor ships.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShippingMethod {
    /// Which.
    pub id: ShippingMethodId,
    /// What it is called.
    pub name: String,
    /// Where it serves, and what it costs there.
    pub zones: Vec<Zone>,
    /// Whether what it carries may be paid on delivery.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cod: bool,
    /// What that costs besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cod_fee: Option<Money>,
    /// How many days it takes, at least and at most.
    pub days: [u32; 2],
    /// What its shipping and its fees are taxed as, where these are taxed by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_category: Option<String>,
}

/// A part of the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// ISO 3166-1 alpha-2, or [`EVERYWHERE`].
    pub countries: Vec<String>,
    /// How postcodes begin there; all of them where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub postcodes: Vec<String>,
    /// What it costs.
    pub rate: Rate,
    /// It costs nothing for goods that come to as much, after discounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_from: Option<Money>,
}

/// What shipping costs in a zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rate {
    /// Always the same.
    Flat {
        /// How much.
        price: Money,
    },
    /// By what the goods weigh.
    ByWeight {
        /// From so many grams on. The first is from 0, and they rise.
        steps: Vec<Step<i64>>,
    },
    /// By what the goods come to, after discounts.
    BySubtotal {
        /// From such an amount on, as above.
        steps: Vec<Step<Money>>,
    },
}

/// From where on a price holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step<F> {
    /// From here.
    pub from: F,
    /// The price.
    pub price: Money,
}

/// Where something is shipped to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destination<'a> {
    /// ISO 3166-1 alpha-2.
    pub country: &'a str,
    /// ISO 3166-2.
    pub region: Option<&'a str>,
    /// The postcode, where there is one.
    pub postcode: Option<&'a str>,
}

impl<'a> Destination<'a> {
    /// Where a buyer has it shipped to.
    pub fn of(buyer: &'a Buyer) -> Self {
        let Buyer { country, region, postcode, .. } = buyer;
        Self { country, region: region.as_deref(), postcode: postcode.as_deref() }
    }
}

/// What one vendor is to ship.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The goods' total after discounts, in minor units, as they are displayed.
    pub goods: i64,
    /// In what currency.
    pub currency: Currency,
    /// What they weigh, in grams.
    pub grams: i64,
}

/// How postcodes are compared: people write them with blanks and hyphens, or without.
fn plain(postcode: &str) -> String {
    postcode.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

/// The price of the last step that is reached.
fn reached<F: Copy>(steps: &[Step<F>], is_reached: impl Fn(F) -> bool) -> Option<Money> {
    steps.iter().take_while(|step| is_reached(step.from)).last().map(|step| step.price)
}

impl Rate {
    /// Every amount that stands in it.
    pub fn amounts(&self) -> Vec<Money> {
        match self {
            Self::Flat { price } => vec![*price],
            Self::ByWeight { steps } => steps.iter().map(|step| step.price).collect(),
            Self::BySubtotal { steps } => steps.iter().flat_map(|step| [step.from, step.price]).collect(),
        }
    }

    fn price(&self, parcel: &Parcel) -> Option<Money> {
        match self {
            Self::Flat { price } => Some(*price),
            Self::ByWeight { steps } => reached(steps, |from| from <= parcel.grams),
            Self::BySubtotal { steps } => reached(steps, |from| from.minor <= parcel.goods),
        }
    }
}

impl Zone {
    /// In what currency its amounts are.
    pub fn currency(&self) -> Option<Currency> {
        self.rate.amounts().first().map(|amount| amount.currency)
    }

    fn price(&self, parcel: &Parcel) -> Option<i64> {
        match self.free_from {
            Some(from) if parcel.goods >= from.minor => Some(0),
            _ => self.rate.price(parcel).map(|price| price.minor),
        }
    }
}

impl ShippingMethod {
    /// What paying on delivery costs besides, in minor units; `None` where that cannot be.
    pub fn fee_on_delivery(&self, currency: Currency) -> Option<i64> {
        match self.cod_fee {
            _ if !self.cod => None,
            Some(fee) if fee.currency != currency => None,
            fee => Some(fee.map_or(0, |fee| fee.minor)),
        }
    }
}

/// A destination as zones are looked up by it, made once for a bill.
#[derive(Clone, Debug)]
pub(super) struct Target<'a> {
    country: &'a str,
    postcode: Option<String>,
}

impl<'a> Target<'a> {
    pub(super) fn of(to: &Destination<'a>) -> Self {
        Self { country: to.country, postcode: to.postcode.map(plain) }
    }
}

/// The zones of a method in a country, or of those for everywhere, whose amounts are in one currency: by their places.
#[derive(Clone, Debug, Default)]
struct Area {
    /// The first that serves all of it.
    whole: Option<usize>,
    /// By how postcodes begin, the first that serves there.
    begins: BTreeMap<String, usize>,
    /// How long these are in bytes, each once, the longest first.
    lengths: Vec<usize>,
}

impl Area {
    fn add(&mut self, zone: &Zone, place: usize) {
        if zone.postcodes.is_empty() {
            self.whole.get_or_insert(place);
        }
        for prefix in &zone.postcodes {
            let prefix = plain(prefix);
            let length = prefix.len();
            if let Err(at) = self.lengths.binary_search_by(|known| length.cmp(known)) {
                self.lengths.insert(at, length);
            }
            self.begins.entry(prefix).or_insert(place);
        }
    }

    /// The place of the zone that fits best: with the longest part of the postcode, then the first.
    fn find(&self, postcode: Option<&str>) -> Option<usize> {
        let begins = |length: &usize| postcode.and_then(|postcode| postcode.get(..*length));
        let found = self.lengths.iter().find_map(|length| Some((*length, *self.begins.get(begins(length)?)?)));
        match (found, self.whole) {
            // A part without letters says as much as none.
            (Some((0, place)), Some(whole)) => Some(place.min(whole)),
            (Some((_, place)), _) => Some(place),
            (None, whole) => whole,
        }
    }
}

/// A way in which a vendor ships, with its zones prepared: a table may have thousands of postcodes, and a bill looks at each method.
#[derive(Clone, Debug)]
pub struct PreparedMethod {
    method: ShippingMethod,
    /// By currency, then by country.
    areas: Vec<(Currency, BTreeMap<String, Area>)>,
}

impl PreparedMethod {
    /// What is prepared.
    pub const fn method(&self) -> &ShippingMethod {
        &self.method
    }

    /// What it costs to ship this there, in minor units; `None` where it does not serve. Of the zones whose amounts are in the parcel's
    /// currency: one that names the country before one for everywhere, then the longest part of the postcode, then the first.
    pub(super) fn price(&self, to: &Target<'_>, parcel: &Parcel) -> Option<i64> {
        let (_, areas) = self.areas.iter().find(|(currency, _)| *currency == parcel.currency)?;
        let find = |country: &str| areas.get(country)?.find(to.postcode.as_deref());
        let place = find(to.country).or_else(|| find(EVERYWHERE))?;
        self.method.zones.get(place)?.price(parcel)
    }
}

impl From<ShippingMethod> for PreparedMethod {
    fn from(method: ShippingMethod) -> Self {
        let mut areas: Vec<(Currency, BTreeMap<String, Area>)> = Vec::new();
        for (place, zone) in method.zones.iter().enumerate() {
            // One without an amount costs nothing that could be told.
            let Some(currency) = zone.currency() else { continue };
            let at = areas.iter().position(|(known, _)| *known == currency).unwrap_or_else(|| {
                areas.push((currency, BTreeMap::new()));
                areas.len() - 1
            });
            for country in &zone.countries {
                areas[at].1.entry(country.clone()).or_default().add(zone, place);
            }
        }
        Self { method, areas }
    }
}

/// The methods of every vendor that has some.
#[derive(Clone, Debug, Default)]
pub struct ShippingTables {
    of: BTreeMap<VendorId, Arc<[PreparedMethod]>>,
}

impl ShippingTables {
    /// The methods of a vendor; of one that has none, none.
    pub fn of(&self, vendor: VendorId) -> &[PreparedMethod] {
        self.of.get(&vendor).map_or(&[], |methods| methods)
    }

    /// Whether nobody has any.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}

impl FromIterator<(VendorId, Vec<ShippingMethod>)> for ShippingTables {
    fn from_iter<I: IntoIterator<Item = (VendorId, Vec<ShippingMethod>)>>(tables: I) -> Self {
        let some = tables.into_iter().filter(|(_, methods)| !methods.is_empty());
        let prepared = |methods: Vec<ShippingMethod>| methods.into_iter().map(PreparedMethod::from).collect();
        Self { of: some.map(|(vendor, methods)| (vendor, prepared(methods))).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ShippingMethodId;
    use proptest::prelude::*;
    use uuid::Uuid;

    /// How closely a zone fits: whether it names the country, and how much of the postcode. `None` where it does not serve.
    fn fits(zone: &Zone, to: &Destination<'_>) -> Option<(bool, usize)> {
        let named = zone.countries.iter().any(|country| country == to.country);
        if !named && !zone.countries.iter().any(|country| country == EVERYWHERE) {
            return None;
        }
        if zone.postcodes.is_empty() {
            return Some((named, 0));
        }
        let postcode = plain(to.postcode?);
        let begins = zone.postcodes.iter().map(|prefix| plain(prefix)).filter(|prefix| postcode.starts_with(prefix));
        begins.map(|prefix| prefix.chars().count()).max().map(|longest| (named, longest))
    }

    /// What a method costs, by a look at each of its zones.
    fn scanned(method: &ShippingMethod, to: &Destination<'_>, parcel: &Parcel) -> Option<i64> {
        let mut best: Option<((bool, usize), &Zone)> = None;
        for zone in method.zones.iter().filter(|zone| zone.currency() == Some(parcel.currency)) {
            if let Some(fit) = fits(zone, to).filter(|fit| best.is_none_or(|(before, _)| *fit > before)) {
                best = Some((fit, zone));
            }
        }
        best.and_then(|(_, zone)| zone.price(parcel))
    }

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    /// Countries and postcodes are few, so that zones overlap in every way.
    fn some_zone() -> impl Strategy<Value = Zone> {
        let countries = prop::collection::vec(prop::sample::select(vec!["BD", "IN", EVERYWHERE]), 0..3);
        let postcodes = prop::collection::vec("[1-2a-bA-B\u{e4}\u{1d7d9} -]{0,3}", 0..3);
        let currency = prop::sample::select(vec![currency("BDT"), currency("USD")]);
        (countries, postcodes, currency, 1..1_000i64, 0..4u8).prop_map(
            |(countries, postcodes, currency, minor, kind)| {
                let price = Money::new(minor, currency);
                let rate = match kind {
                    0 => Rate::ByWeight { steps: vec![Step { from: 500, price }] },
                    1 => Rate::ByWeight { steps: Vec::new() },
                    _ => Rate::Flat { price },
                };
                let countries = countries.into_iter().map(str::to_owned).collect();
                Zone { countries, postcodes, rate, free_from: None }
            },
        )
    }

    proptest! {
        /// What was prepared once finds the zone that a look at each of them finds.
        #[test]
        fn the_index_of_zones_finds_what_a_scan_finds(
            zones in prop::collection::vec(some_zone(), 0..12),
            country in prop::sample::select(vec!["BD", "IN", "DE"]),
            postcodes in prop::collection::vec(prop::option::of("[1-2a-bA-B\u{e4}\u{1d7d9} -]{0,4}"), 1..8),
            grams in 0..1_000i64,
        ) {
            let id = ShippingMethodId::from_uuid(Uuid::from_u128(1));
            let method = ShippingMethod { id, name: String::new(), zones, cod: false, cod_fee: None, days: [1, 2], tax_category: None };
            let prepared = PreparedMethod::from(method.clone());
            for postcode in &postcodes {
                let to = Destination { country, region: None, postcode: postcode.as_deref() };
                for currency in ["BDT", "USD", "JPY"].map(currency) {
                    let parcel = Parcel { goods: 0, currency, grams };
                    prop_assert_eq!(prepared.price(&Target::of(&to), &parcel), scanned(&method, &to, &parcel));
                }
            }
        }
    }
}
