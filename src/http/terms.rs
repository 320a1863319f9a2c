//! The terms of a SKU as requests and answers say them: price breaks, quantities, and what shipping and taxes need of it.

use crate::domain::buyer::Audience;
use crate::domain::money::{Currency, Money};
use crate::domain::reject::Reject;
use crate::domain::text::TextKind;
use crate::domain::vendor::{BreakScope, GoodsStatus, PriceBreak, QuantityRules, SkuChange, SkuTerms};
use crate::http::error::{INVALID_BODY, Result};
use crate::http::money::{MoneyBody, PriceInput};
use crate::http::object::only_objects;
use crate::http::valid::{Faults, Named, Whole, given};
use crate::limits;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change of a SKU. What is not named stays as it is; `null`, or an empty list, takes away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"price": {"amount": "990.00", "currency": "BDT"}}))]
pub struct SkuPatch {
    /// What one piece costs from now on; in the SKU's currency.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<PriceInput>, nullable = false)]
    price: Option<PriceInput>,
    /// From how many pieces on each costs less: of each audience more pieces cost less. It replaces those that there were.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_items = 40)]
    price_breaks: Option<Vec<PriceBreakInput>>,
    /// Whether pieces of other SKUs of the product count towards a price break.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BreakScope>, nullable = false)]
    break_scope: Option<Named<BreakScope>>,
    /// The fewest pieces that one order takes, if any.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10_000)]
    min_quantity: Option<Option<Whole>>,
    /// What quantities are a multiple of.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10_000)]
    quantity_step: Option<Option<Whole>>,
    /// The most pieces that one order takes.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10_000)]
    max_quantity: Option<Option<Whole>>,
    /// The same for wholesale buyers, as a whole. What it does not say is as for everybody.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<QuantitiesInput>)]
    wholesale: Option<Option<QuantitiesInput>>,
    /// What one piece weighs, with its wrapping.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 100_000_000)]
    weight_grams: Option<Option<Whole>>,
    /// The tax category; without, that of the product's category.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    tax_category: Option<Option<String>>,
    /// How it may be shipped.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    shipping_class: Option<Option<String>>,
    /// Whether it is for sale. What is held for orders stays held.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<GoodsStatus>, nullable = false)]
    status: Option<Named<GoodsStatus>>,
}

/// From so many pieces on each costs less.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"min_quantity": 10, "price": {"amount": "900.00", "currency": "BDT"}}))]
pub struct PriceBreakInput {
    /// Pieces from which on it holds.
    #[schema(value_type = i64, minimum = 1, maximum = 10_000)]
    min_quantity: Whole,
    /// What each of them costs; in the SKU's currency.
    price: PriceInput,
    /// Whose it is; everybody's without.
    #[serde(default)]
    #[schema(value_type = Option<Audience>)]
    audience: Option<Named<Audience>>,
}

/// How many pieces wholesale buyers may take.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"min_quantity": 50, "quantity_step": 10}))]
pub struct QuantitiesInput {
    /// The fewest pieces that one order takes.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10_000)]
    min_quantity: Option<Whole>,
    /// What quantities are a multiple of.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10_000)]
    quantity_step: Option<Whole>,
    /// The most pieces that one order takes.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10_000)]
    max_quantity: Option<Whole>,
}

only_objects!(SkuPatch, PriceBreakInput, QuantitiesInput);

impl SkuPatch {
    /// What the vendor is asked for.
    ///
    /// # Errors
    /// A problem that lists all faults; amounts in several currencies are refused as the vendor would one of them.
    pub fn checked(self) -> Result<SkuChange> {
        let mut faults = Faults::default();
        let mut amounts: Vec<Money> = Vec::new();
        let price = self.price.as_ref().and_then(|price| faults.price("price", price));
        amounts.extend(price);
        let price_breaks = self.price_breaks.map(|breaks| {
            let rung = |(index, rung): (usize, PriceBreakInput)| {
                let price = faults.price(&format!("price_breaks[{index}].price"), &rung.price)?;
                amounts.push(price);
                let PriceBreakInput { min_quantity: Whole(min_quantity), audience, .. } = rung;
                let audience = audience.map(|Named(audience)| audience);
                Some(PriceBreak { min_quantity, price_minor: price.minor, audience })
            };
            // One more than may be is enough to be refused by whoever counts them.
            breaks.into_iter().take(limits::PRICE_BREAKS + 1).enumerate().filter_map(rung).collect()
        });
        if let Some(Some(Whole(grams))) = self.weight_grams
            && !(0..=limits::WEIGHT_GRAMS).contains(&grams)
        {
            faults.add("weight_grams", format!("0 to {} are expected", limits::WEIGHT_GRAMS));
        }
        let [tax_category, shipping_class] =
            [("tax_category", self.tax_category), ("shipping_class", self.shipping_class)].map(|(field, mut text)| {
                if let Some(Some(text)) = &mut text {
                    faults.text(field, text, TextKind::Line, limits::SHORT_TEXT);
                }
                text
            });
        faults.done(&INVALID_BODY)?;
        let currency = amounts.first().map(|amount| amount.currency);
        if let Some((expected, other)) = currency.zip(amounts.iter().find(|amount| Some(amount.currency) != currency)) {
            return Err(Reject::CurrencyMismatch { expected, found: other.currency }.into());
        }
        let count = |count: Option<Option<Whole>>| count.map(|count| count.map(|Whole(count)| count));
        Ok(SkuChange {
            currency,
            price_minor: price.map(|price| price.minor),
            price_breaks,
            break_scope: self.break_scope.map(|Named(scope)| scope),
            min_quantity: count(self.min_quantity),
            quantity_step: count(self.quantity_step),
            max_quantity: count(self.max_quantity),
            wholesale: self.wholesale.map(|rules| rules.map(QuantityRules::from)),
            weight_grams: count(self.weight_grams),
            tax_category,
            shipping_class,
            status: self.status.map(|Named(status)| status),
        })
    }
}

impl From<QuantitiesInput> for QuantityRules {
    fn from(input: QuantitiesInput) -> Self {
        let [min_quantity, quantity_step, max_quantity] =
            [input.min_quantity, input.quantity_step, input.max_quantity].map(|count| count.map(|Whole(count)| count));
        Self { min_quantity, quantity_step, max_quantity }
    }
}

/// From so many pieces on each costs less.
#[derive(Debug, Serialize, ToSchema)]
pub struct PriceBreakBody {
    /// Pieces from which on it holds.
    #[schema(example = 10)]
    min_quantity: i64,
    /// What each of them costs.
    price: MoneyBody,
    /// Whose it is; everybody's without.
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<Audience>,
}

impl PriceBreakBody {
    fn all<'a>(breaks: impl IntoIterator<Item = &'a PriceBreak>, currency: Currency) -> Vec<Self> {
        let body = |rung: &PriceBreak| Self {
            min_quantity: rung.min_quantity,
            price: MoneyBody(rung.price(currency)),
            audience: rung.audience,
        };
        breaks.into_iter().map(body).collect()
    }
}

/// How many pieces one order takes.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct QuantitiesBody {
    /// At least so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_quantity: Option<i64>,
    /// A multiple of this.
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity_step: Option<i64>,
    /// At most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_quantity: Option<i64>,
}

impl From<QuantityRules> for QuantitiesBody {
    fn from(rules: QuantityRules) -> Self {
        let QuantityRules { min_quantity, quantity_step, max_quantity } = rules;
        Self { min_quantity, quantity_step, max_quantity }
    }
}

/// The terms of a SKU, all of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct TermsBody<'a> {
    /// From how many pieces on each costs less.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    price_breaks: Vec<PriceBreakBody>,
    /// Which pieces count towards a price break, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    break_scope: Option<BreakScope>,
    #[serde(flatten)]
    quantities: QuantitiesBody,
    /// The same for wholesale buyers, where it is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    wholesale: Option<QuantitiesBody>,
    /// What one piece weighs.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_grams: Option<i64>,
    /// The tax category; without, that of the product's category.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "reduced")]
    tax_category: Option<&'a str>,
    /// How it may be shipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "bulky")]
    shipping_class: Option<&'a str>,
}

impl<'a> TermsBody<'a> {
    /// As the vendor sees them.
    pub fn new(terms: &'a SkuTerms, currency: Currency) -> Self {
        Self {
            price_breaks: PriceBreakBody::all(&terms.price_breaks, currency),
            break_scope: (!terms.price_breaks.is_empty()).then_some(terms.break_scope),
            quantities: terms.quantities.into(),
            wholesale: terms.wholesale.map(QuantitiesBody::from),
            weight_grams: terms.weight_grams,
            tax_category: terms.tax_category.as_deref(),
            shipping_class: terms.shipping_class.as_deref(),
        }
    }
}

/// The terms of a SKU as a buyer sees them: those that this buyer has.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferedTermsBody {
    /// From how many pieces on each costs less.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    price_breaks: Vec<PriceBreakBody>,
    /// Which pieces count towards a price break, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    break_scope: Option<BreakScope>,
    #[serde(flatten)]
    quantities: QuantitiesBody,
}

impl OfferedTermsBody {
    /// Of such a buyer.
    pub fn new(terms: &SkuTerms, audience: Audience, currency: Currency) -> Self {
        let price_breaks = PriceBreakBody::all(terms.breaks_for(audience), currency);
        let break_scope = (!price_breaks.is_empty()).then_some(terms.break_scope);
        Self { price_breaks, break_scope, quantities: terms.quantities_for(audience).into() }
    }
}
