//! The shop's taxes.

use crate::actors::shop::Shop;
use crate::domain::pricing::{ShippingTax, TaxRow, TaxTables};
use crate::domain::text::TextKind;
use crate::domain::time::Timestamp;
use crate::http::caller::Caller;
use crate::http::countries::is_country;
use crate::http::error::{self, INVALID_BODY, PRECONDITION_REQUIRED, Result, VERSION_CONFLICT};
use crate::http::extract::TableBody;
use crate::http::money::Moment;
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
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

/// One rate of tax.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaxRowBody<'a> {
    #[schema(example = "BD")]
    country: &'a str,
    /// A part of the country; the whole of it where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "BD-13")]
    region: Option<&'a str>,
    /// Of which goods.
    #[schema(example = "standard")]
    category: &'a str,
    /// Thousandths of a percent.
    #[schema(example = 15000)]
    rate_milli_percent: u32,
    /// Why it is what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// From when on.
    valid_from: Moment,
}

/// All of the shop's taxes.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaxBody<'a> {
    /// How often it was written; 0 while the shop taxes nothing.
    version: u64,
    /// Whether prices are shown with the tax.
    prices_include_tax: bool,
    /// `proportional`: shipping and fees are taxed as the goods are that they are for. `own`: by the category of the shipping method.
    #[schema(example = "proportional")]
    shipping_tax: &'static str,
    /// In which zone dates are written.
    #[schema(example = "Asia/Dhaka")]
    time_zone: &'a str,
    tax_tables: Vec<TaxRowBody<'a>>,
}

const PROPORTIONAL: &str = "proportional";
const OWN: &str = "own";

impl<'a> TaxBody<'a> {
    fn new(version: u64, tables: &'a TaxTables) -> Self {
        let row = |row: &'a TaxRow| TaxRowBody {
            country: &row.country,
            region: row.region.as_deref(),
            category: &row.category,
            rate_milli_percent: row.rate_milli_percent,
            reason: row.reason.as_deref(),
            valid_from: Moment(row.valid_from),
        };
        Self {
            version,
            prices_include_tax: tables.prices_include_tax,
            shipping_tax: match tables.shipping_tax {
                ShippingTax::Proportional => PROPORTIONAL,
                ShippingTax::Own => OWN,
            },
            time_zone: if tables.time_zone.is_empty() { "UTC" } else { &tables.time_zone },
            tax_tables: tables.tax_tables.iter().map(row).collect(),
        }
    }
}

/// One rate of tax.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({
    "country": "BD", "category": "standard", "rate_milli_percent": 15000, "valid_from": "2026-07-01T00:00:00+06:00"
}))]
pub struct TaxRowInput {
    /// ISO 3166-1 alpha-2.
    #[schema(schema_with = crate::http::schema::country)]
    country: String,
    /// ISO 3166-2; the whole country without it.
    #[schema(pattern = "^[A-Z]{2}-[A-Z0-9]{1,3}$")]
    region: Option<String>,
    /// Of which goods; `standard` of those that have no category.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    category: String,
    /// Thousandths of a percent.
    #[schema(value_type = u32, minimum = 0, maximum = 100_000)]
    rate_milli_percent: Whole,
    /// Why it is what it is; a rate of 0 must say it.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    reason: Option<String>,
    /// From when on: RFC 3339.
    #[schema(format = DateTime)]
    valid_from: String,
}

/// All of the shop's taxes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({
    "prices_include_tax": true, "shipping_tax": "proportional", "time_zone": "Asia/Dhaka", "tax_tables": [
        {"country": "BD", "category": "standard", "rate_milli_percent": 15000, "valid_from": "2026-07-01T00:00:00+06:00"}
    ]
}))]
pub struct TaxInput {
    /// Whether prices are shown with the tax.
    prices_include_tax: bool,
    /// `proportional`: shipping and fees are taxed as the goods are that they are for. `own`: by the category of the shipping method.
    #[schema(pattern = "^(proportional|own)$", example = "proportional")]
    shipping_tax: String,
    /// In which zone dates are written.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_+/-]+$", example = "Asia/Dhaka")]
    time_zone: String,
    /// The rates.
    #[schema(max_items = 10_000)]
    tax_tables: Vec<TaxRowInput>,
}

only_objects!(TaxRowInput, TaxInput);

const NOT_ONCE: &str = "another row is of the same country, region, category and moment";

fn moment(text: &str) -> Option<Timestamp> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let millis = i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()?;
    Some(Timestamp::from_millis(millis))
}

fn is_region(text: &str, country: &str) -> bool {
    let part = text.strip_prefix(country).and_then(|rest| rest.strip_prefix('-'));
    part.is_some_and(|part| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}

impl TaxInput {
    fn checked(self) -> Result<TaxTables> {
        let mut faults = Faults::default();
        let shipping_tax = match self.shipping_tax.as_str() {
            OWN => ShippingTax::Own,
            other => {
                if other != PROPORTIONAL {
                    faults.add("shipping_tax", "proportional or own is expected");
                }
                ShippingTax::Proportional
            }
        };
        let zone = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-/".contains(&byte);
        if self.time_zone.is_empty() || self.time_zone.len() > 64 || !self.time_zone.bytes().all(zone) {
            faults.add("time_zone", "the name of a time zone is expected");
        }
        if self.tax_tables.len() > limits::TAX_ROWS {
            faults.add("tax_tables", format!("there may be {} rows", limits::TAX_ROWS));
        }
        let mut rows: Vec<TaxRow> = Vec::with_capacity(self.tax_tables.len());
        let mut there = std::collections::HashSet::new();
        for (number, mut row) in self.tax_tables.into_iter().enumerate() {
            let field = |name: &str| format!("tax_tables[{number}].{name}");
            if !is_country(&row.country) {
                faults.add(field("country"), "a country of ISO 3166-1 alpha-2 is expected, in upper case");
            }
            if row.region.as_deref().is_some_and(|region| !is_region(region, &row.country)) {
                faults.add(field("region"), "a part of the country by ISO 3166-2 is expected");
            }
            faults.text(&field("category"), &mut row.category, TextKind::Line, limits::SHORT_TEXT);
            if let Some(reason) = &mut row.reason {
                faults.text(&field("reason"), reason, TextKind::Line, limits::SHORT_TEXT);
            }
            let rate = u32::try_from(row.rate_milli_percent.0).ok().filter(|rate| *rate <= 100_000);
            if rate.is_none() {
                faults.add(field("rate_milli_percent"), "0 to 100000 is expected");
            }
            if rate == Some(0) && row.reason.is_none() {
                faults.add(field("reason"), "a rate of 0 has a reason");
            }
            let valid_from = moment(&row.valid_from);
            if valid_from.is_none() {
                faults.add(field("valid_from"), "a moment is expected, such as 2026-07-01T00:00:00+06:00");
            }
            let row = TaxRow {
                country: row.country,
                region: row.region,
                category: row.category,
                rate_milli_percent: rate.unwrap_or(0),
                reason: row.reason,
                valid_from: valid_from.unwrap_or_default(),
            };
            if !there.insert((row.country.clone(), row.region.clone(), row.category.clone(), row.valid_from)) {
                faults.add(format!("tax_tables[{number}]"), NOT_ONCE);
            }
            rows.push(row);
        }
        faults.done(&INVALID_BODY)?;
        let (prices_include_tax, time_zone) = (self.prices_include_tax, self.time_zone);
        Ok(TaxTables { prices_include_tax, shipping_tax, time_zone, tax_tables: rows })
    }
}

problems!(GetTaxProblems: AUTH, &[&error::UNAVAILABLE]);

/// The shop's taxes
#[utoipa::path(get, path = "/v1/admin/tax", tag = "admin", security(("bearer" = [])),
    responses((status = 200, description = "All of them.", body = TaxBody, headers(("ETag" = String, description = "The version."))),
        GetTaxProblems))]
pub async fn get_tax(
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    _caller: Caller,
) -> Result<Response> {
    let (version, tables) = query(&settings, services.price_tables.tax()).await?;
    Ok(versioned(version, &TaxBody::new(version, &tables)))
}

problems!(PutTaxProblems: AUTH, BODY, &[
    &VERSION_CONFLICT, &PRECONDITION_REQUIRED, &error::OVERLOADED, &error::UNAVAILABLE, &error::OUTCOME_UNKNOWN,
]);

/// Set the shop's taxes, as a whole
///
/// Orders whose stock is held from now on are taxed so, at the rates of the moment at which they were placed.
#[utoipa::path(put, path = "/v1/admin/tax", tag = "admin", security(("bearer" = [])), params(IfMatchHeader),
    request_body = TaxInput,
    responses((status = 200, description = "As they are now.", body = TaxBody, headers(("ETag" = String, description = "The version."))),
        PutTaxProblems))]
pub async fn put_tax(
    State(shop): State<Shop>,
    State(services): State<Services>,
    State(settings): State<Arc<Settings>>,
    _caller: Caller,
    headers: HeaderMap,
    body: TableBody<TaxInput>,
) -> Result<Response> {
    let tables = body.value.checked()?;
    let version = if_match(&headers)?;
    shop.may_change()?;
    let version = write(&shop, &services, &settings, TableName::Tax, version, &tables).await?;
    Ok(versioned(version, &TaxBody::new(version, &tables)))
}
