//! How vendors ship.

use crate::actors::shop::{Ask, Shop};
use crate::domain::ids::{ShippingMethodId, VendorId};
use crate::domain::money::Money;
use crate::domain::pricing::shipping::EVERYWHERE;
use crate::domain::pricing::{Rate, ShippingMethod, Step, Zone};
use crate::domain::text::TextKind;
use crate::domain::vendor::{Vendor, VendorCommand};
use crate::domain::who::Action;
use crate::http::answer::ask;
use crate::http::caller::Caller;
use crate::http::countries::is_country;
use crate::http::error::{INVALID_BODY, PRECONDITION_REQUIRED, Result, VERSION_CONFLICT};
use crate::http::extract::{Id, TableBody};
use crate::http::money::{MoneyBody, TotalInput};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, problems};
use crate::http::services::Services;
use crate::http::tables::{IfMatchHeader, if_match, moved, versioned, write};
use crate::http::valid::{Faults, Whole};
use crate::http::vendors::may_know_of;
use crate::http::{Settings, query};
use crate::limits;
use crate::services::price_tables::TableName;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// From where on a price holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum FromBody {
    /// Grams.
    Grams(i64),
    /// An amount.
    Money(MoneyBody),
}

/// From where on which price holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepBody {
    from: FromBody,
    price: MoneyBody,
}

/// What shipping costs.
#[derive(Debug, Serialize, ToSchema)]
pub struct RateBody {
    /// `flat`, `by_weight` or `by_subtotal`.
    #[schema(example = "flat")]
    kind: &'static str,
    /// The price, of a flat one.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<MoneyBody>,
    /// The prices, of the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepBody>>,
}

/// A part of the world, and what shipping costs there.
#[derive(Debug, Serialize, ToSchema)]
pub struct ZoneBody<'a> {
    /// ISO 3166-1 alpha-2, or `*`.
    countries: &'a [String],
    /// How postcodes begin there; absent for all of them.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    postcodes: &'a [String],
    rate: RateBody,
    /// Goods that come to as much after discounts are shipped for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    free_from: Option<MoneyBody>,
}

/// A way in which a vendor ships.
#[derive(Debug, Serialize, ToSchema)]
pub struct MethodBody<'a> {
    id: ShippingMethodId,
    #[schema(example = "Courier")]
    name: &'a str,
    zones: Vec<ZoneBody<'a>>,
    /// Whether it may be paid on delivery.
    cod: bool,
    /// What that costs besides, for each share.
    #[serde(skip_serializing_if = "Option::is_none")]
    cod_fee: Option<MoneyBody>,
    /// How many days it takes, at least and at most.
    days: [u32; 2],
    /// As what its shipping and fees are taxed, where these are taxed by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    tax_category: Option<&'a str>,
}

/// A vendor's methods of shipping.
#[derive(Debug, Serialize, ToSchema)]
pub struct MethodsBody<'a> {
    /// How often they were written; 0 of a vendor that never did: it ships everywhere for nothing.
    version: u64,
    shipping_methods: Vec<MethodBody<'a>>,
}

fn rate_body(rate: &Rate) -> RateBody {
    match rate {
        Rate::Flat { price } => RateBody { kind: "flat", price: Some(MoneyBody(*price)), steps: None },
        Rate::ByWeight { steps } => {
            let step = |step: &Step<i64>| StepBody { from: FromBody::Grams(step.from), price: MoneyBody(step.price) };
            RateBody { kind: "by_weight", price: None, steps: Some(steps.iter().map(step).collect()) }
        }
        Rate::BySubtotal { steps } => {
            let step = |step: &Step<Money>| StepBody {
                from: FromBody::Money(MoneyBody(step.from)),
                price: MoneyBody(step.price),
            };
            RateBody { kind: "by_subtotal", price: None, steps: Some(steps.iter().map(step).collect()) }
        }
    }
}

impl<'a> MethodsBody<'a> {
    fn new(version: u64, methods: &'a [ShippingMethod]) -> Self {
        let zone = |zone: &'a Zone| ZoneBody {
            countries: &zone.countries,
            postcodes: &zone.postcodes,
            rate: rate_body(&zone.rate),
            free_from: zone.free_from.map(MoneyBody),
        };
        let method = |method: &'a ShippingMethod| MethodBody {
            id: method.id,
            name: &method.name,
            zones: method.zones.iter().map(zone).collect(),
            cod: method.cod,
            cod_fee: method.cod_fee.map(MoneyBody),
            days: method.days,
            tax_category: method.tax_category.as_deref(),
        };
        Self { version, shipping_methods: methods.iter().map(method).collect() }
    }
}

/// From where on a price holds: an amount, or grams.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum FromInput {
    /// An amount.
    Money(TotalInput),
    /// Grams.
    Grams(Whole),
}

/// From where on which price holds.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct StepInput {
    /// The first is from 0, and they rise.
    from: FromInput,
    /// The price.
    price: TotalInput,
}

/// What shipping costs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct RateInput {
    /// `flat`, `by_weight` or `by_subtotal`.
    #[schema(pattern = "^(flat|by_weight|by_subtotal)$", example = "flat")]
    kind: String,
    /// The price, of a flat one.
    price: Option<TotalInput>,
    /// The prices, of the others.
    #[schema(min_items = 1, max_items = 100)]
    steps: Option<Vec<StepInput>>,
}

/// A part of the world, and what shipping costs there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct ZoneInput {
    /// ISO 3166-1 alpha-2, or `*` for everywhere.
    #[schema(min_items = 1, max_items = 300)]
    countries: Vec<String>,
    /// How postcodes begin there; all of them without.
    #[schema(max_items = 1000)]
    #[serde(default)]
    postcodes: Vec<String>,
    /// What it costs.
    rate: RateInput,
    /// Goods that come to as much after discounts are shipped for nothing.
    free_from: Option<TotalInput>,
}

/// A way in which a vendor ships.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct MethodInput {
    /// Which, of one that is there; a new one is given its own.
    #[schema(value_type = Option<ShippingMethodId>)]
    id: Option<String>,
    /// What people call it.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: String,
    /// Where it serves: of several that fit, one that names the country goes first, then the longest part of the postcode.
    #[schema(min_items = 1, max_items = 100)]
    zones: Vec<ZoneInput>,
    /// Whether it may be paid on delivery.
    #[serde(default)]
    cod: bool,
    /// What that costs besides, for each share.
    cod_fee: Option<TotalInput>,
    /// How many days it takes, at least and at most.
    #[schema(value_type = [u32; 2], min_items = 2, max_items = 2)]
    days: Vec<Whole>,
    /// As what its shipping and fees are taxed, where these are taxed by themselves.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    tax_category: Option<String>,
}

/// A vendor's methods of shipping.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"shipping_methods": [{"name": "Courier", "days": [1, 3], "zones": [
    {"countries": ["BD"], "rate": {"kind": "flat", "price": {"amount": "60.00", "currency": "BDT"}}}
]}]}))]
pub struct MethodsInput {
    /// All of them; none: it ships everywhere for nothing.
    #[schema(max_items = 50)]
    shipping_methods: Vec<MethodInput>,
}

only_objects!(StepInput, RateInput, ZoneInput, MethodInput, MethodsInput);

/// What is wrong with a vendor's methods is gathered here.
struct Check<'a> {
    faults: &'a mut Faults,
}

impl Check<'_> {
    /// An amount of shipping.
    fn price(&mut self, field: &str, input: &TotalInput) -> Money {
        let nothing = Money::new(0, crate::domain::money::Currency::BDT);
        let money = self.faults.total(field, input).unwrap_or(nothing);
        if money.minor > limits::PRICE_MINOR {
            self.faults.add(format!("{field}.amount"), "the amount is too large");
        }
        money
    }

    fn steps<F: Copy + Ord>(&mut self, field: &str, steps: &[Step<F>], zero: F) {
        if steps.is_empty() || steps.len() > limits::SHIPPING_STEPS {
            self.faults.add(field.to_owned(), format!("1 to {} steps are expected", limits::SHIPPING_STEPS));
        }
        let rises = steps.windows(2).all(|pair| pair[0].from < pair[1].from);
        if !rises || steps.first().is_some_and(|first| first.from != zero) {
            self.faults.add(field.to_owned(), "the first step is from 0, and they rise");
        }
    }

    fn rate(&mut self, field: &str, input: RateInput) -> Rate {
        let RateInput { kind, price, steps } = input;
        let at = |number: usize, name: &str| format!("{field}.steps[{number}].{name}");
        match (kind.as_str(), price, steps) {
            ("flat", Some(price), None) => Rate::Flat { price: self.price(&format!("{field}.price"), &price) },
            ("by_weight", None, Some(steps)) => {
                let mut read = Vec::with_capacity(steps.len());
                for (number, step) in steps.iter().enumerate() {
                    let from = match &step.from {
                        FromInput::Grams(Whole(grams)) => *grams,
                        FromInput::Money(_) => {
                            self.faults.add(at(number, "from"), "grams are expected");
                            0
                        }
                    };
                    read.push(Step { from, price: self.price(&at(number, "price"), &step.price) });
                }
                self.steps(&format!("{field}.steps"), &read, 0);
                Rate::ByWeight { steps: read }
            }
            ("by_subtotal", None, Some(steps)) => {
                let mut read: Vec<Step<Money>> = Vec::with_capacity(steps.len());
                for (number, step) in steps.iter().enumerate() {
                    let price = self.price(&at(number, "price"), &step.price);
                    let from = match &step.from {
                        FromInput::Money(from) => self.faults.total(&at(number, "from"), from).unwrap_or(price),
                        FromInput::Grams(_) => {
                            self.faults.add(at(number, "from"), "an amount is expected");
                            price
                        }
                    };
                    read.push(Step { from, price });
                }
                let plain: Vec<Step<i64>> =
                    read.iter().map(|step| Step { from: step.from.minor, price: step.price }).collect();
                self.steps(&format!("{field}.steps"), &plain, 0);
                Rate::BySubtotal { steps: read }
            }
            _ => {
                self.faults
                    .add(field.to_owned(), "flat with a price, or by_weight or by_subtotal with steps, is expected");
                Rate::ByWeight { steps: Vec::new() }
            }
        }
    }

    fn zone(&mut self, field: &str, input: ZoneInput) -> Zone {
        let ZoneInput { countries, mut postcodes, rate, free_from } = input;
        let known = |country: &String| country == EVERYWHERE || is_country(country);
        if countries.is_empty() || countries.len() > limits::ZONE_COUNTRIES || !countries.iter().all(known) {
            self.faults.add(format!("{field}.countries"), "countries of ISO 3166-1 alpha-2 are expected, or *");
        }
        if postcodes.len() > limits::ZONE_POSTCODES {
            self.faults.add(format!("{field}.postcodes"), format!("there may be {}", limits::ZONE_POSTCODES));
        }
        for (number, postcode) in postcodes.iter_mut().enumerate().take(limits::ZONE_POSTCODES) {
            self.faults.text(&format!("{field}.postcodes[{number}]"), postcode, TextKind::Line, limits::SHORT_TEXT);
            if !postcode.chars().any(char::is_alphanumeric) {
                self.faults.add(format!("{field}.postcodes[{number}]"), "a letter or a digit is expected");
            }
        }
        let rate = self.rate(&format!("{field}.rate"), rate);
        let free_from = free_from.and_then(|from| self.faults.total(&format!("{field}.free_from"), &from));
        let amounts = rate.amounts().into_iter().chain(free_from);
        let currencies: Vec<_> = amounts.map(|amount| amount.currency).collect();
        if currencies.windows(2).any(|pair| pair[0] != pair[1]) {
            self.faults.add(field.to_owned(), "all amounts of a zone are in one currency");
        }
        Zone { countries, postcodes, rate, free_from }
    }
}

impl MethodsInput {
    /// Those that are there keep their ids; the others get new ones.
    fn checked(self, there: &[ShippingMethod], mint: impl Fn() -> ShippingMethodId) -> Result<Vec<ShippingMethod>> {
        let mut faults = Faults::default();
        let mut methods: Vec<ShippingMethod> = Vec::with_capacity(self.shipping_methods.len());
        if self.shipping_methods.len() > limits::SHIPPING_METHODS {
            faults.add("shipping_methods", format!("there may be {}", limits::SHIPPING_METHODS));
        }
        for (number, mut input) in self.shipping_methods.into_iter().enumerate() {
            let field = |name: &str| format!("shipping_methods[{number}].{name}");
            faults.text(&field("name"), &mut input.name, TextKind::Line, limits::SHORT_TEXT);
            if let Some(category) = &mut input.tax_category {
                faults.text(&field("tax_category"), category, TextKind::Line, limits::SHORT_TEXT);
            }
            let id = match input.id.as_deref().map(str::parse::<ShippingMethodId>) {
                None => mint(),
                Some(Ok(id)) if there.iter().any(|method| method.id == id) => id,
                Some(_) => {
                    faults.add(field("id"), "there is no such method of this vendor");
                    mint()
                }
            };
            if methods.iter().any(|method| method.id == id) {
                faults.add(field("id"), "another method has this id");
            }
            let number = |Whole(days): &Whole| u32::try_from(*days).ok().filter(|days| *days <= limits::SHIPPING_DAYS);
            let days = match input.days.as_slice() {
                [least, most] => number(least).zip(number(most)),
                _ => None,
            };
            let days = match days {
                Some((least, most)) if least <= most => [least, most],
                _ => {
                    faults.add(
                        field("days"),
                        format!("two numbers of days are expected, 0 to {}", limits::SHIPPING_DAYS),
                    );
                    [0, 0]
                }
            };
            if input.zones.is_empty() || input.zones.len() > limits::SHIPPING_ZONES {
                faults.add(field("zones"), format!("1 to {} zones are expected", limits::SHIPPING_ZONES));
            }
            let mut check = Check { faults: &mut faults };
            let zones = input.zones.into_iter().take(limits::SHIPPING_ZONES).enumerate();
            let zones = zones.map(|(at, zone)| check.zone(&field(&format!("zones[{at}]")), zone)).collect();
            let cod_fee = input.cod_fee.map(|fee| check.price(&field("cod_fee"), &fee));
            let MethodInput { name, cod, tax_category, .. } = MethodInput { zones: Vec::new(), cod_fee: None, ..input };
            methods.push(ShippingMethod { id, name, zones, cod, cod_fee, days, tax_category });
        }
        faults.done(&INVALID_BODY)?;
        Ok(methods)
    }
}

/// Refuses a vendor that there is not.
async fn there_is(shop: &Shop, settings: &Settings, caller: &Caller, vendor: VendorId) -> Result<()> {
    let how = Ask { within: settings.request_timeout, key: None, fresh: false };
    ask::<Vendor>(shop, vendor, VendorCommand::Get { by: caller.principal }, how).await.map(drop)
}

problems!(GetMethodsProblems: AUTH, ACTOR; VendorUnknown);

/// How a vendor ships
#[utoipa::path(get, path = "/v1/vendors/{vendor}/shipping-methods", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor")),
    responses((status = 200, description = "All methods.", body = MethodsBody, headers(("ETag" = String, description = "The version."))),
        GetMethodsProblems))]
pub async fn get_shipping_methods(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(vendor): Id<VendorId>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::SeeGoods, vendor)?;
    there_is(&shop, &settings, &caller, vendor).await?;
    let (version, methods) = query(&settings, services.price_tables.shipping(vendor)).await?;
    Ok(versioned(version, &MethodsBody::new(version, &methods)))
}

problems!(PutMethodsProblems: AUTH, BODY, ACTOR, &[&VERSION_CONFLICT, &PRECONDITION_REQUIRED]; VendorUnknown);

/// Set how a vendor ships, as a whole
///
/// Orders whose stock is held from now on are shipped so. A vendor without methods ships everywhere for nothing.
#[utoipa::path(put, path = "/v1/vendors/{vendor}/shipping-methods", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), IfMatchHeader), request_body = MethodsInput,
    responses((status = 200, description = "As they are now.", body = MethodsBody, headers(("ETag" = String, description = "The version."))),
        PutMethodsProblems))]
pub async fn put_shipping_methods(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(vendor): Id<VendorId>,
    headers: HeaderMap,
    body: TableBody<MethodsInput>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::EditGoods, vendor)?;
    let version = if_match(&headers)?;
    shop.may_change()?;
    there_is(&shop, &settings, &caller, vendor).await?;
    let (known, there) = query(&settings, services.price_tables.shipping(vendor)).await?;
    if known != version {
        return Err(moved());
    }
    let mint = || ShippingMethodId::from_uuid(services.clock.new_uuid());
    let methods = body.value.checked(&there, mint)?;
    let version = write(&shop, &services, &settings, TableName::Shipping(vendor), version, &methods).await?;
    Ok(versioned(version, &MethodsBody::new(version, &methods)))
}
