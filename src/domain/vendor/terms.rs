//! On what terms a SKU is sold, beside its price: price breaks, how many pieces one may take, and what shipping and taxes need of it.
//!
//! Most SKUs have none: theirs are [`SkuTerms::default`], which nothing keeps.

use super::catalogue::GoodsStatus;
use crate::domain::buyer::Audience;
use crate::domain::ids::SkuId;
use crate::domain::money::{Currency, Money};
use crate::domain::reject::Reject;
use crate::limits;
use serde::{Deserialize, Deserializer, Serialize};
use std::cmp::Reverse;

/// From so many pieces on each costs less: a rung.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceBreak {
    /// Pieces from which on it holds.
    pub min_quantity: i64,
    /// What each of them costs, in minor units.
    pub price_minor: i64,
    /// Whose it is; everybody's without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
}

impl PriceBreak {
    /// What each piece costs; `currency` is the SKU's.
    pub const fn price(&self, currency: Currency) -> Money {
        Money::new(self.price_minor, currency)
    }

    /// Whether such buyers may see it, and pay it.
    pub fn is_for(&self, audience: Audience) -> bool {
        self.audience.is_none_or(|own| own == audience)
    }
}

/// Which pieces count together towards a price break.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakScope {
    /// Those of the SKU.
    #[default]
    Sku,
    /// Those of all SKUs of its product.
    Product,
}

impl BreakScope {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sku, Self::Product];

    /// Its name in requests and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sku => "sku",
            Self::Product => "product",
        }
    }

    fn is_sku(&self) -> bool {
        *self == Self::Sku
    }
}

/// How many pieces of a SKU one order may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantityRules {
    /// At least so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_quantity: Option<i64>,
    /// A multiple of this, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity_step: Option<i64>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_quantity: Option<i64>,
}

impl QuantityRules {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// These, and where they say nothing those.
    fn or(self, otherwise: Self) -> Self {
        Self {
            min_quantity: self.min_quantity.or(otherwise.min_quantity),
            quantity_step: self.quantity_step.or(otherwise.quantity_step),
            max_quantity: self.max_quantity.or(otherwise.max_quantity),
        }
    }

    /// Why so many cannot be put into a cart, whatever is put there later: the minimum alone is asked for when they are bought.
    pub fn refuse_line(self, quantity: i64) -> Option<Reject> {
        if let Some(step) = self.quantity_step.filter(|step| quantity.checked_rem(*step) != Some(0)) {
            return Some(Reject::QuantityStep { step, sku_id: None });
        }
        let limit = self.most();
        (!(1..=limit).contains(&quantity)).then_some(Reject::QuantityOutOfRange { limit, sku_id: None })
    }

    /// Why so many of this SKU cannot be bought.
    pub fn refuse(self, sku: SkuId, quantity: i64) -> Option<Reject> {
        let sku_id = Some(sku);
        match (self.min_quantity.filter(|least| quantity < *least), self.refuse_line(quantity)) {
            (Some(minimum_quantity), _) => Some(Reject::BelowMinimum { sku_id: sku, minimum_quantity }),
            (None, Some(Reject::QuantityStep { step, .. })) => Some(Reject::QuantityStep { step, sku_id }),
            (None, Some(Reject::QuantityOutOfRange { limit, .. })) => {
                Some(Reject::QuantityOutOfRange { limit, sku_id })
            }
            (None, other) => other,
        }
    }

    /// The most pieces that one line may have.
    pub fn most(self) -> i64 {
        self.max_quantity.map_or(limits::LINE_QUANTITY, |most| most.min(limits::LINE_QUANTITY))
    }

    /// Of so many pieces those that are more than a multiple of the step.
    pub fn past_step(self, quantity: i64) -> i64 {
        self.quantity_step.and_then(|step| quantity.checked_rem(step)).unwrap_or(0)
    }

    /// Whether some quantity obeys all of them: minimum and maximum are multiples of the step, and the one is not above the other.
    fn agree(self) -> bool {
        let Self { min_quantity, quantity_step, max_quantity } = self;
        let step = quantity_step.unwrap_or(1);
        let in_range = |count: i64| (1..=limits::LINE_QUANTITY).contains(&count);
        in_range(step)
            && min_quantity.into_iter().chain(max_quantity).all(|count| in_range(count) && count % step == 0)
            && min_quantity.unwrap_or(1) <= max_quantity.unwrap_or(limits::LINE_QUANTITY)
    }
}

/// On what terms a SKU is sold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkuTerms {
    /// What more pieces cost, by what they are for and then by how many they are: pieces rise, prices fall.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub price_breaks: Vec<PriceBreak>,
    /// Which pieces count towards them.
    #[serde(default, skip_serializing_if = "BreakScope::is_sku")]
    pub break_scope: BreakScope,
    /// How many one may take.
    #[serde(default, skip_serializing_if = "QuantityRules::is_default")]
    pub quantities: QuantityRules,
    /// How many wholesale buyers may take, where it is something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wholesale: Option<QuantityRules>,
    /// What one piece weighs, with its wrapping, in grams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_grams: Option<i64>,
    /// Which rate of tax it has; without, that of its category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_category: Option<String>,
    /// How it may be shipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_class: Option<String>,
}

impl SkuTerms {
    /// How many pieces such a buyer may take.
    pub fn quantities_for(&self, audience: Audience) -> QuantityRules {
        match (audience, self.wholesale) {
            (Audience::Wholesale, Some(own)) => own.or(self.quantities),
            _ => self.quantities,
        }
    }

    /// The pieces that count towards a price break, of a line of `quantity` where `of_product` of its product are taken together.
    pub fn counted(&self, quantity: i64, of_product: impl FnOnce() -> i64) -> i64 {
        match self.break_scope {
            BreakScope::Sku => quantity,
            BreakScope::Product => of_product(),
        }
    }

    /// The rungs of such a buyer, in no order.
    pub fn breaks_for(&self, audience: Audience) -> impl Iterator<Item = &PriceBreak> {
        self.price_breaks.iter().filter(move |rung| rung.is_for(audience))
    }

    /// The next rung at which a piece costs such a buyer less than `unit_price`, of those that `counted` pieces have not reached.
    pub fn next_break(&self, audience: Audience, counted: i64, unit_price: i64) -> Option<PriceBreak> {
        let better = |rung: &&PriceBreak| rung.min_quantity > counted && rung.price_minor < unit_price;
        self.breaks_for(audience).filter(better).min_by_key(|rung| (rung.min_quantity, rung.price_minor)).copied()
    }
}

/// What one piece costs, in minor units, and the pieces from which on the price break holds that made it so: the least of list price, reached
/// rungs of everybody's and of the buyer's own audience, and the sale's price, which goes before a rung that is as low. `counted` are the pieces
/// that count towards a break: see [`SkuTerms::counted`].
pub fn price_of(
    list: i64,
    terms: &SkuTerms,
    audience: Audience,
    counted: i64,
    sale_price: Option<i64>,
) -> (i64, Option<i64>) {
    let otherwise = sale_price.map_or(list, |sale| sale.min(list));
    let reached = terms.breaks_for(audience).filter(|rung| rung.min_quantity <= counted);
    match reached.min_by_key(|rung| (rung.price_minor, Reverse(rung.min_quantity))) {
        Some(rung) if rung.price_minor < otherwise => (rung.price_minor, Some(rung.min_quantity)),
        _ => (otherwise, None),
    }
}

/// Terms that several have, written as what they are.
pub(in crate::domain) mod shared {
    use super::SkuTerms;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub(in crate::domain) fn serialize<S: Serializer>(
        terms: &Option<Arc<SkuTerms>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        terms.as_deref().serialize(serializer)
    }

    pub(in crate::domain) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<SkuTerms>>, D::Error> {
        Ok(Option::<SkuTerms>::deserialize(deserializer)?.map(Arc::new))
    }
}

/// What is to be different of a SKU. What is not there stays; what is there and empty is taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SkuChange {
    /// The currency of all its amounts, which must be the SKU's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What one piece costs, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_minor: Option<i64>,
    /// [`SkuTerms::price_breaks`], in any order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_breaks: Option<Vec<PriceBreak>>,
    /// [`SkuTerms::break_scope`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub break_scope: Option<BreakScope>,
    /// [`QuantityRules::min_quantity`] of everybody.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub min_quantity: Option<Option<i64>>,
    /// [`QuantityRules::quantity_step`] of everybody.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub quantity_step: Option<Option<i64>>,
    /// [`QuantityRules::max_quantity`] of everybody.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub max_quantity: Option<Option<i64>>,
    /// [`SkuTerms::wholesale`], as a whole.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub wholesale: Option<Option<QuantityRules>>,
    /// [`SkuTerms::weight_grams`].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub weight_grams: Option<Option<i64>>,
    /// [`SkuTerms::tax_category`].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub tax_category: Option<Option<String>>,
    /// [`SkuTerms::shipping_class`].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub shipping_class: Option<Option<String>>,
    /// Whether it is for sale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<GoodsStatus>,
}

/// Reads a field that is there: so one that is absent is told from one that is null.
pub(super) fn there<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl SkuChange {
    /// The new price, where nothing else is to be different.
    pub fn price_alone(&self) -> Option<Money> {
        let price = self.price_minor.zip(self.currency).map(|(minor, currency)| Money::new(minor, currency));
        let rest = Self { price_minor: None, currency: None, ..self.clone() };
        price.filter(|_| rest == Self::default())
    }

    /// The terms after this change.
    ///
    /// # Errors
    /// What of them makes no sense: [`Reject::TooMany`], [`Reject::PriceOutOfRange`], [`Reject::PriceBreakOrder`],
    /// [`Reject::QuantityRuleInvalid`].
    pub(super) fn terms(&self, before: &SkuTerms) -> Result<SkuTerms, Reject> {
        let mut terms = before.clone();
        if let Some(breaks) = &self.price_breaks {
            terms.price_breaks.clone_from(breaks);
            check_breaks(&mut terms.price_breaks)?;
        }
        terms.break_scope = self.break_scope.unwrap_or(terms.break_scope);
        let quantities = &mut terms.quantities;
        quantities.min_quantity = self.min_quantity.unwrap_or(quantities.min_quantity);
        quantities.quantity_step = self.quantity_step.unwrap_or(quantities.quantity_step);
        quantities.max_quantity = self.max_quantity.unwrap_or(quantities.max_quantity);
        terms.wholesale = self.wholesale.unwrap_or(terms.wholesale).filter(|rules| !rules.is_default());
        for (audience, wholesale) in [(Audience::Retail, false), (Audience::Wholesale, true)] {
            if !terms.quantities_for(audience).agree() {
                return Err(Reject::QuantityRuleInvalid { wholesale });
            }
        }
        terms.weight_grams = self.weight_grams.unwrap_or(terms.weight_grams);
        terms.tax_category = self.tax_category.clone().unwrap_or(terms.tax_category);
        terms.shipping_class = self.shipping_class.clone().unwrap_or(terms.shipping_class);
        Ok(terms)
    }
}

/// Puts rungs in order, everybody's first. What is refused names the rung as it came.
fn check_breaks(breaks: &mut Vec<PriceBreak>) -> Result<(), Reject> {
    if breaks.len() > limits::PRICE_BREAKS {
        return Err(Reject::TooMany { what: "price breaks of one SKU".into(), limit: limits::PRICE_BREAKS });
    }
    let mut sorted: Vec<(usize, PriceBreak)> = breaks.iter().copied().enumerate().collect();
    sorted.sort_by_key(|(_, rung)| (rung.audience, rung.min_quantity));
    for (index, rung) in &sorted {
        if !(1..=limits::PRICE_MINOR).contains(&rung.price_minor) {
            return Err(Reject::PriceOutOfRange { limit: limits::PRICE_MINOR, index: None, rung: Some(*index) });
        }
    }
    for (index, rung) in &sorted {
        if !(1..=limits::LINE_QUANTITY).contains(&rung.min_quantity) {
            return Err(Reject::PriceBreakOrder { index: *index });
        }
    }
    for pair in sorted.windows(2) {
        let [(_, lower), (index, upper)] = pair else { continue };
        let is_a_step = lower.min_quantity < upper.min_quantity && lower.price_minor > upper.price_minor;
        if lower.audience == upper.audience && !is_a_step {
            return Err(Reject::PriceBreakOrder { index: *index });
        }
    }
    *breaks = sorted.into_iter().map(|(_, rung)| rung).collect();
    Ok(())
}

#[cfg(test)]
mod tests;
