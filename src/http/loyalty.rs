//! The shop's programme of points.

use crate::actors::shop::Shop;
use crate::domain::loyalty::{Programme, Tier, WHOLE};
use crate::domain::money::{Currency, Money};
use crate::domain::text::TextKind;
use crate::http::caller::Caller;
use crate::http::error::{self, INVALID_BODY, PRECONDITION_REQUIRED, Result, VERSION_CONFLICT};
use crate::http::extract::TableBody;
use crate::http::money::{MoneyBody, PriceInput, TotalInput};
use crate::http::object::only_objects;
use crate::http::openapi::{AUTH, BODY, problems};
use crate::http::services::Services;
use crate::http::tables::{IfMatchHeader, if_match, versioned, write};
use crate::http::valid::{Faults, Whole};
use crate::http::{Settings, query};
use crate::limits;
use crate::services::price_tables::TableName;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is shown of when points are earned, where no programme was written: the time in which goods come back.
const EARN_AFTER_DAYS: u32 = 14;

/// What is shown of how long points live, where no programme was written.
const EXPIRES_DAYS: u32 = 365;

/// A tier.
#[derive(Debug, Serialize, ToSchema)]
pub struct TierBody<'a> {
    #[schema(example = "Gold")]
    name: &'a str,
    /// For how much one must have bought within a year.
    from: MoneyBody,
    /// By what is multiplied what its people earn: 10,000 is once.
    #[schema(example = 15000)]
    multiplier_basis_points: u32,
}

/// The shop's programme of points.
#[derive(Debug, Serialize, ToSchema)]
pub struct LoyaltyBody<'a> {
    /// How often it was written; 0 while the shop has none.
    version: u64,
    /// What of the money that is paid for goods is given back as points: 100 is one percent.
    #[schema(example = 100)]
    earn_basis_points: u32,
    /// What one point pays, once for each currency. In others points are neither earned nor spent.
    point_values: Vec<MoneyBody>,
    /// So many days after its delivery a share of an order earns.
    earn_after_days: u32,
    /// So many local days points live, up to the end of the last.
    expires_days: u32,
    /// In which zone days begin and end.
    #[schema(example = "Asia/Dhaka")]
    time_zone: &'a str,
    /// From the lowest to the highest.
    tiers: Vec<TierBody<'a>>,
}

impl<'a> From<&'a Programme> for LoyaltyBody<'a> {
    fn from(programme: &'a Programme) -> Self {
        let tier = |tier: &'a Tier| TierBody {
            name: &tier.name,
            from: MoneyBody(tier.from),
            multiplier_basis_points: tier.multiplier_basis_points,
        };
        Self {
            version: programme.version,
            earn_basis_points: programme.earn_basis_points,
            point_values: programme.point_values.iter().copied().map(MoneyBody).collect(),
            earn_after_days: programme.earn_after_days,
            expires_days: programme.expires_days,
            time_zone: &programme.time_zone,
            tiers: programme.tiers.iter().map(tier).collect(),
        }
    }
}

/// The programme of a shop that has none.
fn none() -> Programme {
    let (earn_after_days, expires_days, time_zone) = (EARN_AFTER_DAYS, EXPIRES_DAYS, "UTC".to_owned());
    Programme { earn_after_days, expires_days, time_zone, ..Programme::default() }
}

/// A tier.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct TierInput {
    /// What it is called, as no other is.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$", example = "Gold")]
    name: String,
    /// For how much one must have bought within a year: more than nothing, and more than for the tier before. All tiers are in one currency, in which
    /// points have a value.
    from: TotalInput,
    /// By what is multiplied what its people earn: 10,000 is once.
    #[schema(value_type = u32, minimum = 10_000, maximum = 100_000, example = 15000)]
    multiplier_basis_points: Whole,
}

/// The shop's programme of points.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({
    "earn_basis_points": 100, "point_values": [{"amount": "1.00", "currency": "BDT"}], "earn_after_days": 14, "expires_days": 365,
    "time_zone": "Asia/Dhaka", "tiers": [
        {"name": "Gold", "from": {"amount": "50000.00", "currency": "BDT"}, "multiplier_basis_points": 15000}
    ]
}))]
pub struct LoyaltyInput {
    /// What of the money that is paid for goods is given back as points: 100 is one percent.
    #[schema(value_type = u32, minimum = 0, maximum = 10_000, example = 100)]
    earn_basis_points: Whole,
    /// What one point pays, once for each currency. In others points are neither earned nor spent.
    #[schema(max_items = 200)]
    point_values: Vec<PriceInput>,
    /// So many days after its delivery a share of an order earns.
    #[schema(value_type = u32, minimum = 0, maximum = 365, example = 14)]
    earn_after_days: Whole,
    /// So many local days points live, up to the end of the last.
    #[schema(value_type = u32, minimum = 1, maximum = 3650, example = 365)]
    expires_days: Whole,
    /// In which zone days begin and end, by its IANA name.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_+/-]+$", example = "Asia/Dhaka")]
    time_zone: String,
    /// From the lowest to the highest; none where this is absent.
    #[serde(default)]
    #[schema(max_items = 20)]
    tiers: Vec<TierInput>,
}

only_objects!(TierInput, LoyaltyInput);

/// A number within this range.
fn number(faults: &mut Faults, field: &str, Whole(number): Whole, range: RangeInclusive<u32>) -> u32 {
    match u32::try_from(number).ok().filter(|number| range.contains(number)) {
        Some(number) => number,
        None => {
            faults.add(field.to_owned(), format!("{} to {} is expected", range.start(), range.end()));
            0
        }
    }
}

fn values(faults: &mut Faults, inputs: &[PriceInput]) -> Vec<Money> {
    if inputs.len() > limits::POINT_VALUES {
        faults.add("point_values", format!("there may be {} values", limits::POINT_VALUES));
    }
    let mut values: Vec<Money> = Vec::new();
    for (number, input) in inputs.iter().take(limits::POINT_VALUES).enumerate() {
        let field = format!("point_values[{number}]");
        let Some(value) = faults.price(&field, input) else { continue };
        if !(1..=limits::POINT_VALUE_MINOR).contains(&value.minor) {
            faults
                .add(format!("{field}.amount"), format!("1 to {} minor units are expected", limits::POINT_VALUE_MINOR));
        }
        if values.iter().any(|known| known.currency == value.currency) {
            faults.add(format!("{field}.currency"), "another value is in the same currency");
        }
        values.push(value);
    }
    values
}

/// `values` are what points pay, where all of them could be read: else nobody knows in which currencies points have none.
fn tiers(faults: &mut Faults, inputs: Vec<TierInput>, values: Option<&[Money]>) -> Vec<Tier> {
    if inputs.len() > limits::LOYALTY_TIERS {
        faults.add("tiers", format!("there may be {} tiers", limits::LOYALTY_TIERS));
    }
    let mut names = HashSet::new();
    let mut currency: Option<Currency> = None;
    let mut tiers: Vec<Tier> = Vec::new();
    for (index, input) in inputs.into_iter().take(limits::LOYALTY_TIERS).enumerate() {
        let field = |name: &str| format!("tiers[{index}].{name}");
        let TierInput { mut name, from, multiplier_basis_points } = input;
        faults.text(&field("name"), &mut name, TextKind::Line, limits::SHORT_TEXT);
        if !names.insert(name.clone()) {
            faults.add(field("name"), "another tier is called so");
        }
        let multiplier = field("multiplier_basis_points");
        let multiplier_basis_points =
            number(faults, &multiplier, multiplier_basis_points, WHOLE..=limits::TIER_MULTIPLIER_BASIS_POINTS);
        let Some(from) = faults.total(&field("from"), &from) else { continue };
        match currency {
            Some(known) if known != from.currency => {
                faults.add(field("from.currency"), "all tiers are in one currency");
            }
            Some(_) => {}
            None if values.is_some_and(|values| values.iter().all(|value| value.currency != from.currency)) => {
                faults.add(field("from.currency"), "points have no value in this currency");
            }
            None => {}
        }
        currency.get_or_insert(from.currency);
        if !(1..=limits::TIER_FROM_MINOR).contains(&from.minor) {
            faults.add(field("from.amount"), format!("1 to {} minor units are expected", limits::TIER_FROM_MINOR));
        } else if tiers
            .last()
            .is_some_and(|before| before.from.currency == from.currency && before.from.minor >= from.minor)
        {
            faults.add(field("from.amount"), "more is expected than for the tier before");
        }
        tiers.push(Tier { name, from, multiplier_basis_points });
    }
    tiers
}

impl LoyaltyInput {
    fn checked(self) -> Result<Programme> {
        let Self { earn_basis_points, point_values, earn_after_days, expires_days, time_zone, tiers: inputs } = self;
        let mut faults = Faults::default();
        let earn_basis_points = number(&mut faults, "earn_basis_points", earn_basis_points, 0..=WHOLE);
        let all = point_values.len();
        let point_values = values(&mut faults, &point_values);
        let earn_after_days =
            number(&mut faults, "earn_after_days", earn_after_days, 0..=limits::POINTS_EARNED_AFTER_DAYS);
        let expires_days = number(&mut faults, "expires_days", expires_days, 1..=limits::POINTS_EXPIRE_DAYS);
        if jiff::tz::TimeZone::get(&time_zone).is_err() {
            faults.add("time_zone", "there is no such zone");
        }
        let known = (point_values.len() == all).then_some(point_values.as_slice());
        let tiers = tiers(&mut faults, inputs, known);
        faults.done(&INVALID_BODY)?;
        Ok(Programme { version: 0, earn_basis_points, point_values, earn_after_days, expires_days, time_zone, tiers })
    }
}

problems!(GetLoyaltyProblems: AUTH, &[&error::UNAVAILABLE]);

/// The shop's programme of points
#[utoipa::path(get, path = "/v1/admin/loyalty", tag = "admin", security(("bearer" = [])),
    responses((status = 200, description = "All of it.", body = LoyaltyBody, headers(("ETag" = String, description = "The version."))),
        GetLoyaltyProblems))]
pub async fn get_loyalty(
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    _caller: Caller,
) -> Result<Response> {
    let programme = query(&settings, services.price_tables.loyalty()).await?.unwrap_or_else(none);
    Ok(versioned(programme.version, &LoyaltyBody::from(&programme)))
}

problems!(PutLoyaltyProblems: AUTH, BODY, &[
    &VERSION_CONFLICT, &PRECONDITION_REQUIRED, &error::OVERLOADED, &error::UNAVAILABLE, &error::OUTCOME_UNKNOWN,
]);

/// Set the shop's programme of points, as a whole
///
/// Orders that are priced from now on go by it. What was priced before keeps what held then.
#[utoipa::path(put, path = "/v1/admin/loyalty", tag = "admin", security(("bearer" = [])), params(IfMatchHeader),
    request_body = LoyaltyInput,
    responses((status = 200, description = "As it is now.", body = LoyaltyBody, headers(("ETag" = String, description = "The version."))),
        PutLoyaltyProblems))]
pub async fn put_loyalty(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    _caller: Caller,
    headers: HeaderMap,
    body: TableBody<LoyaltyInput>,
) -> Result<Response> {
    let programme = body.value.checked()?;
    let version = if_match(&headers)?;
    shop.may_change()?;
    let version = write(&shop, &services, &settings, TableName::Loyalty, version, &programme).await?;
    let programme = Programme { version, ..programme };
    Ok(versioned(version, &LoyaltyBody::from(&programme)))
}
