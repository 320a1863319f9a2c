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

    /// How closely it fits: whether it names the country, and how much of the postcode. `None` where it does not serve.
    fn fits(&self, to: &Destination<'_>) -> Option<(bool, usize)> {
        let named = self.countries.iter().any(|country| country == to.country);
        if !named && !self.countries.iter().any(|country| country == EVERYWHERE) {
            return None;
        }
        if self.postcodes.is_empty() {
            return Some((named, 0));
        }
        let postcode = plain(to.postcode?);
        let begins = self.postcodes.iter().map(|prefix| plain(prefix)).filter(|prefix| postcode.starts_with(prefix));
        begins.map(|prefix| prefix.chars().count()).max().map(|longest| (named, longest))
    }

    fn price(&self, parcel: &Parcel) -> Option<i64> {
        match self.free_from {
            Some(from) if parcel.goods >= from.minor => Some(0),
            _ => self.rate.price(parcel).map(|price| price.minor),
        }
    }
}

impl ShippingMethod {
    /// What it costs to ship this there, in minor units; `None` where it does not serve. Of the zones whose amounts are in the parcel's
    /// currency: one that names the country before one for everywhere, then the longest part of the postcode, then the first.
    pub fn price(&self, to: &Destination<'_>, parcel: &Parcel) -> Option<i64> {
        let mut best: Option<((bool, usize), &Zone)> = None;
        for zone in self.zones.iter().filter(|zone| zone.currency() == Some(parcel.currency)) {
            if let Some(fit) = zone.fits(to).filter(|fit| best.is_none_or(|(before, _)| *fit > before)) {
                best = Some((fit, zone));
            }
        }
        best.and_then(|(_, zone)| zone.price(parcel))
    }

    /// What paying on delivery costs besides, in minor units; `None` where that cannot be.
    pub fn fee_on_delivery(&self, currency: Currency) -> Option<i64> {
        match self.cod_fee {
            _ if !self.cod => None,
            Some(fee) if fee.currency != currency => None,
            fee => Some(fee.map_or(0, |fee| fee.minor)),
        }
    }
}

/// The methods of every vendor that has some.
#[derive(Clone, Debug, Default)]
pub struct ShippingTables {
    of: BTreeMap<VendorId, Arc<[ShippingMethod]>>,
}

impl ShippingTables {
    /// The methods of a vendor; of one that has none, none.
    pub fn of(&self, vendor: VendorId) -> &[ShippingMethod] {
        self.of.get(&vendor).map_or(&[], |methods| methods)
    }

    /// Whether nobody has any.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}

impl FromIterator<(VendorId, Arc<[ShippingMethod]>)> for ShippingTables {
    fn from_iter<I: IntoIterator<Item = (VendorId, Arc<[ShippingMethod]>)>>(tables: I) -> Self {
        Self { of: tables.into_iter().filter(|(_, methods)| !methods.is_empty()).collect() }
    }
}
