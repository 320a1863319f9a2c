//! Coupons, as the shop's staff and vendors make them.

use crate::actors::shop::{Ask, Shop};
use crate::checkout::buyers::BuyerKeys;
use crate::domain::coupon::{
    Coupon, CouponChange, CouponCode, CouponCommand, CouponReply, CouponTerms, RestoresOn, Single,
};
use crate::domain::entity::Principal;
use crate::domain::ids::{CategoryId, CouponId, SkuId, VendorId};
use crate::domain::money::Money;
use crate::domain::pricing::{Promotion, PromotionKind, Scope};
use crate::domain::record::IdempotencyKey;
use crate::domain::rows::CouponRow;
use crate::domain::time::Timestamp;
use crate::http::answer::{ask, json, mark_replayed, ok, unexpected};
use crate::http::caller::Caller;
use crate::http::error::{INVALID_BODY, Result};
use crate::http::extract::{Id, JsonBody, Query};
use crate::http::idempotency::{IdempotencyHeader, RequestKey};
use crate::http::money::{Moment, MoneyBody, Page, PriceInput, TotalInput};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, KEYED, LISTS, problems};
use crate::http::page::{List, PageQuery};
use crate::http::valid::{Faults, Whole, given};
use crate::http::{Settings, query};
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

/// What a coupon takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CouponKind {
    /// A part of what is in its scope.
    Percent,
    /// An amount.
    Amount,
    /// The shipping.
    FreeShipping,
}

/// What a coupon is about. What is absent leaves nothing out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"vendors": ["vendor_01h2xcejqtf2nbrexx3vqjhp41"]}))]
pub struct ScopeInput {
    /// Whose goods.
    #[serde(default)]
    #[schema(value_type = Vec<VendorId>, max_items = 200)]
    vendors: Vec<String>,
    /// Goods of these categories.
    #[serde(default)]
    #[schema(value_type = Vec<CategoryId>, max_items = 200)]
    categories: Vec<String>,
    /// These goods.
    #[serde(default)]
    #[schema(value_type = Vec<SkuId>, max_items = 200)]
    skus: Vec<String>,
}

/// Who pays what a coupon takes off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"platform_bp": 10000}))]
pub struct FundedByInput {
    /// What part of it the platform pays, in hundredths of a percent; the vendors pay the rest.
    #[schema(value_type = i64, minimum = 0, maximum = 10_000)]
    platform_bp: Whole,
}

/// A coupon that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({
    "code": "EID10", "kind": "percent", "basis_points": 1000, "starts_at": "2026-11-21T00:00:00Z",
    "ends_at": "2026-12-01T00:00:00Z", "usage_limit": 100, "limit_per_customer": 1
}))]
pub struct CouponInput {
    /// The code, or with `single_use` the prefix of its codes. Compared in upper case, with O as 0, I and L as 1.
    #[schema(min_length = 3, max_length = 32, pattern = "^[A-Za-z0-9-]+$")]
    code: String,
    /// Whether it has codes that are good for one use each, made by the thousand.
    #[serde(default)]
    single_use: bool,
    /// What it takes off.
    kind: CouponKind,
    /// Of `percent`: hundredths of a percent.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10_000)]
    basis_points: Option<Whole>,
    /// Of `amount`: how much.
    amount: Option<PriceInput>,
    /// What it is about. A vendor's own is about the vendor's goods.
    scope: Option<ScopeInput>,
    /// What the lines in scope must come to before any discount.
    min_subtotal: Option<PriceInput>,
    /// Of `percent`: what it takes off at most.
    max_discount: Option<PriceInput>,
    /// Whether lines at the price of a sale are left out.
    #[serde(default)]
    excludes_sale_items: bool,
    /// From when on it can be used: RFC 3339.
    #[schema(value_type = Moment)]
    starts_at: String,
    /// From when on it cannot be used any more.
    #[schema(value_type = Moment)]
    ends_at: String,
    /// How often it can be used.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000_000)]
    usage_limit: Option<Whole>,
    /// How often one buyer can use it.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000_000)]
    limit_per_customer: Option<Whole>,
    /// What it may take off of all orders together.
    budget: Option<TotalInput>,
    /// Whether it can be used beside others that can, too.
    #[serde(default)]
    combines: bool,
    /// Who pays what it takes off: of the shop's own the platform, unless this says otherwise; of a vendor's the vendor.
    funded_by: Option<FundedByInput>,
    /// What gives a use back after it was paid.
    #[serde(default)]
    #[schema(value_type = Option<RestoresOn>, nullable = false)]
    restores_on: RestoresOn,
}

/// A change of a coupon. What is not named stays as it is; `null` takes a limit away. The new terms are another version.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"usage_limit": 200, "budget": null}))]
pub struct CouponPatch {
    /// What it takes off; with `basis_points` or `amount`, where the kind has one.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<CouponKind>, nullable = false)]
    kind: Option<CouponKind>,
    /// Of `percent`: hundredths of a percent.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 10_000, nullable = false)]
    basis_points: Option<Whole>,
    /// Of `amount`: how much.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<PriceInput>, nullable = false)]
    amount: Option<PriceInput>,
    /// What it is about.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<ScopeInput>, nullable = false)]
    scope: Option<ScopeInput>,
    /// What the lines in scope must come to before any discount.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<PriceInput>)]
    min_subtotal: Option<Option<PriceInput>>,
    /// Of `percent`: what it takes off at most.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<PriceInput>)]
    max_discount: Option<Option<PriceInput>>,
    /// Whether lines at the price of a sale are left out.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    excludes_sale_items: Option<bool>,
    /// From when on it can be used: RFC 3339.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Moment>, nullable = false)]
    starts_at: Option<String>,
    /// From when on it cannot be used any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Moment>, nullable = false)]
    ends_at: Option<String>,
    /// How often it can be used; counted from this change on, where it was not counted before.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000_000)]
    usage_limit: Option<Option<Whole>>,
    /// How often one buyer can use it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000_000)]
    limit_per_customer: Option<Option<Whole>>,
    /// What it may take off of all orders together.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<TotalInput>)]
    budget: Option<Option<TotalInput>>,
    /// Whether it can be used beside others that can, too.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    combines: Option<bool>,
    /// Who pays what it takes off.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<FundedByInput>, nullable = false)]
    funded_by: Option<FundedByInput>,
    /// What gives a use back after it was paid.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<RestoresOn>, nullable = false)]
    restores_on: Option<RestoresOn>,
}

/// How many codes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"count": 1000}))]
pub struct CodesInput {
    /// How many.
    #[schema(minimum = 1, maximum = 10_000)]
    #[serde(deserialize_with = "crate::http::valid::whole")]
    count: i64,
}

only_objects!(ScopeInput, FundedByInput, CouponInput, CouponPatch, CodesInput);

/// What a coupon is about.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScopeBody<'a> {
    #[serde(skip_serializing_if = "<[VendorId]>::is_empty")]
    #[schema(required = false)]
    vendors: &'a [VendorId],
    #[serde(skip_serializing_if = "<[CategoryId]>::is_empty")]
    #[schema(required = false)]
    categories: &'a [CategoryId],
    #[serde(skip_serializing_if = "<[SkuId]>::is_empty")]
    #[schema(required = false)]
    skus: &'a [SkuId],
}

/// Who pays what a coupon takes off.
#[derive(Debug, Serialize, ToSchema)]
pub struct FundedByBody {
    /// What part of it the platform pays, in hundredths of a percent.
    platform_bp: u32,
}

/// A coupon.
#[derive(Debug, Serialize, ToSchema)]
pub struct CouponBody<'a> {
    id: CouponId,
    /// The code, or the prefix of its codes.
    #[schema(example = "EID10")]
    code: &'a str,
    /// Whose it is; the shop's where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_id: Option<VendorId>,
    /// The version of its terms, from 1.
    version: u64,
    single_use: bool,
    kind: CouponKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    basis_points: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<MoneyBody>,
    scope: ScopeBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_subtotal: Option<MoneyBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_discount: Option<MoneyBody>,
    excludes_sale_items: bool,
    starts_at: Moment,
    ends_at: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_per_customer: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<MoneyBody>,
    combines: bool,
    funded_by: FundedByBody,
    restores_on: RestoresOn,
    /// Codes that were made.
    issued: u32,
    /// Uses that are held for orders.
    held: u64,
    /// Uses of orders that are paid.
    used: u64,
    /// What the orders that are paid took of the budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_used: Option<MoneyBody>,
    created_at: Moment,
}

/// Codes that were made, each good for one use.
#[derive(Debug, Serialize, ToSchema)]
pub struct CodesBody {
    #[schema(example = json!(["EID-00002000000Z"]))]
    codes: Vec<String>,
}

impl<'a> CouponBody<'a> {
    fn new(row: &'a CouponRow) -> Self {
        let CouponTerms { promotion, starts_at, ends_at, usage_limit, limit_per_customer, budget, .. } = &row.terms;
        let (kind, basis_points, amount) = match promotion.kind {
            PromotionKind::Percent { basis_points } => (CouponKind::Percent, Some(basis_points), None),
            PromotionKind::Amount { amount } => (CouponKind::Amount, None, Some(MoneyBody(amount))),
            PromotionKind::FreeShipping => (CouponKind::FreeShipping, None, None),
        };
        let Scope { vendors, categories, skus } = &promotion.scope;
        Self {
            id: row.id,
            code: row.code.as_str(),
            vendor_id: row.vendor_id,
            version: row.version,
            single_use: row.single_use,
            kind,
            basis_points,
            amount,
            scope: ScopeBody { vendors, categories, skus },
            min_subtotal: promotion.min_subtotal.map(MoneyBody),
            max_discount: promotion.max_discount.map(MoneyBody),
            excludes_sale_items: promotion.excludes_sale_items,
            starts_at: Moment(*starts_at),
            ends_at: Moment(*ends_at),
            usage_limit: *usage_limit,
            limit_per_customer: *limit_per_customer,
            budget: budget.map(MoneyBody),
            combines: row.terms.combines,
            funded_by: FundedByBody { platform_bp: promotion.platform_bp },
            restores_on: row.terms.restores_on,
            issued: row.issued,
            held: row.held,
            used: row.used,
            amount_used: budget.map(|budget| MoneyBody(Money::new(row.amount_used, budget.currency))),
            created_at: Moment(row.created_at),
        }
    }
}

/// What the fields of a request say of a promotion's kind.
fn kind_of(
    faults: &mut Faults,
    kind: CouponKind,
    basis_points: Option<Whole>,
    amount: Option<&PriceInput>,
) -> Option<PromotionKind> {
    let mut not_beside = |field: &'static str| faults.add(field, "a coupon of this kind has none");
    match kind {
        CouponKind::Percent if amount.is_some() => not_beside("amount"),
        CouponKind::Amount if basis_points.is_some() => not_beside("basis_points"),
        CouponKind::FreeShipping if amount.is_some() => not_beside("amount"),
        CouponKind::FreeShipping if basis_points.is_some() => not_beside("basis_points"),
        _ => {}
    }
    match (kind, basis_points, amount) {
        (CouponKind::Percent, Some(basis_points), _) => {
            Some(PromotionKind::Percent { basis_points: in_range(faults, "basis_points", basis_points, 10_000)? })
        }
        (CouponKind::Amount, _, Some(amount)) => {
            Some(PromotionKind::Amount { amount: faults.price("amount", amount)? })
        }
        (CouponKind::FreeShipping, ..) => Some(PromotionKind::FreeShipping),
        (CouponKind::Percent, None, _) => {
            faults.add("basis_points", "a percentage is expected");
            None
        }
        (CouponKind::Amount, _, None) => {
            faults.add("amount", "an amount is expected");
            None
        }
    }
}

/// A count of 1 to so many.
fn in_range<T: TryFrom<i64>>(faults: &mut Faults, field: &'static str, Whole(number): Whole, most: i64) -> Option<T> {
    if !(1..=most).contains(&number) {
        faults.add(field, format!("it is 1 to {most}"));
        return None;
    }
    T::try_from(number).ok()
}

fn moment(faults: &mut Faults, field: &'static str, text: &str) -> Option<Timestamp> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok();
    let millis = moment.map(|moment| moment.unix_timestamp_nanos() / 1_000_000);
    let fits = millis.and_then(|millis| i64::try_from(millis).ok()).filter(|millis| *millis >= 0);
    if fits.is_none() {
        faults.add(field, "a moment is expected as RFC 3339 writes it, from 1970 on");
    }
    fits.map(Timestamp::from_millis)
}

fn ids<T: FromStr>(faults: &mut Faults, field: &str, texts: &[String]) -> Vec<T> {
    let mut ids = Vec::with_capacity(texts.len().min(limits::COUPON_SCOPE));
    for (index, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(id) => ids.push(id),
            Err(_) => faults.add(format!("scope.{field}[{index}]"), "it is no such id"),
        }
    }
    ids
}

impl ScopeInput {
    fn checked(&self, faults: &mut Faults) -> Scope {
        Scope {
            vendors: ids(faults, "vendors", &self.vendors),
            categories: ids(faults, "categories", &self.categories),
            skus: ids(faults, "skus", &self.skus),
        }
    }
}

impl FundedByInput {
    fn checked(&self, faults: &mut Faults) -> u32 {
        let Whole(part) = self.platform_bp;
        let fits = u32::try_from(part).ok().filter(|part| *part <= 10_000);
        if fits.is_none() {
            faults.add("funded_by.platform_bp", "it is 0 to 10000");
        }
        fits.unwrap_or_default()
    }
}

impl CouponInput {
    fn checked(self) -> Result<(CouponCode, bool, CouponTerms)> {
        let mut faults = Faults::default();
        let code = CouponCode::new(&self.code);
        if code.is_none() {
            faults.add("code", "a code has 3 to 32 letters of A to Z, digits and dashes");
        }
        let kind = kind_of(&mut faults, self.kind, self.basis_points, self.amount.as_ref());
        let scope = self.scope.as_ref().map(|scope| scope.checked(&mut faults)).unwrap_or_default();
        let min_subtotal = self.min_subtotal.as_ref().and_then(|money| faults.price("min_subtotal", money));
        let max_discount = self.max_discount.as_ref().and_then(|money| faults.price("max_discount", money));
        let budget = self.budget.as_ref().and_then(|money| faults.total("budget", money));
        let uses = i64::try_from(limits::COUPON_USES).unwrap_or(i64::MAX);
        let usage_limit = self.usage_limit.and_then(|limit| in_range(&mut faults, "usage_limit", limit, uses));
        let limit_per_customer =
            self.limit_per_customer.and_then(|limit| in_range(&mut faults, "limit_per_customer", limit, uses));
        let platform_bp = self.funded_by.as_ref().map_or(10_000, |funded| funded.checked(&mut faults));
        let starts_at = moment(&mut faults, "starts_at", &self.starts_at);
        let ends_at = moment(&mut faults, "ends_at", &self.ends_at);
        faults.done(&INVALID_BODY)?;
        // Without faults all of them are there.
        let (Some(code), Some(kind), Some(starts_at), Some(ends_at)) = (code, kind, starts_at, ends_at) else {
            return Err(crate::http::error::Problem::new(&INVALID_BODY, "some of what was sent does not fit"));
        };
        let excludes_sale_items = self.excludes_sale_items;
        let promotion = Promotion { kind, scope, min_subtotal, max_discount, excludes_sale_items, platform_bp };
        let (combines, restores_on) = (self.combines, self.restores_on);
        let terms = CouponTerms {
            promotion,
            starts_at,
            ends_at,
            usage_limit,
            limit_per_customer,
            budget,
            combines,
            restores_on,
        };
        Ok((code, self.single_use, terms))
    }
}

impl CouponPatch {
    fn checked(self) -> Result<CouponChange> {
        let mut faults = Faults::default();
        let kind = match (self.kind, self.basis_points, &self.amount) {
            (None, None, None) => None,
            // What is named says of what kind it is.
            (kind, basis_points, amount) => {
                let said = if amount.is_some() { CouponKind::Amount } else { CouponKind::Percent };
                kind_of(&mut faults, kind.unwrap_or(said), basis_points, amount.as_ref())
            }
        };
        let mut price = |field: &'static str, money: &Option<Option<PriceInput>>| {
            money.as_ref().map(|money| money.as_ref().and_then(|money| faults.price(field, money)))
        };
        let min_subtotal = price("min_subtotal", &self.min_subtotal);
        let max_discount = price("max_discount", &self.max_discount);
        let uses = i64::try_from(limits::COUPON_USES).unwrap_or(i64::MAX);
        let change = CouponChange {
            kind,
            scope: self.scope.as_ref().map(|scope| scope.checked(&mut faults)),
            min_subtotal,
            max_discount,
            excludes_sale_items: self.excludes_sale_items,
            platform_bp: self.funded_by.as_ref().map(|funded| funded.checked(&mut faults)),
            starts_at: self.starts_at.as_ref().and_then(|text| moment(&mut faults, "starts_at", text)),
            ends_at: self.ends_at.as_ref().and_then(|text| moment(&mut faults, "ends_at", text)),
            usage_limit: self
                .usage_limit
                .map(|limit| limit.and_then(|limit| in_range(&mut faults, "usage_limit", limit, uses))),
            limit_per_customer: self
                .limit_per_customer
                .map(|limit| limit.and_then(|limit| in_range(&mut faults, "limit_per_customer", limit, uses))),
            budget: self.budget.map(|money| money.and_then(|money| faults.total("budget", &money))),
            combines: self.combines,
            restores_on: self.restores_on,
        };
        faults.done(&INVALID_BODY)?;
        Ok(change)
    }
}

async fn shown(
    shop: &Shop,
    settings: &Settings,
    id: CouponId,
    command: CouponCommand,
    key: Option<IdempotencyKey>,
    status: StatusCode,
) -> Result<Response> {
    let how = Ask { within: settings.request_timeout, key, fresh: false };
    match ask::<Coupon>(shop, id, command, how).await? {
        (CouponReply::Coupon { coupon }, replayed) => {
            Ok(mark_replayed(json(status, &CouponBody::new(&coupon)), replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

problems!(ListCouponsProblems: AUTH, LISTS);

/// Coupons, the newest first: a vendor's own, or all
#[utoipa::path(get, path = "/v1/coupons", tag = "coupons", security(("bearer" = [])), params(PageQuery),
    responses((status = 200, description = "A page of coupons.", body = Page<CouponBody>), ListCouponsProblems))]
pub async fn list_coupons(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Query(asked): Query<PageQuery>,
) -> Result<Response> {
    let of = match caller.principal {
        Principal::Member(member) => Some(member.vendor),
        _ => None,
    };
    let paging = asked.paging(List::new("/v1/coupons", &of))?;
    let after = paging.after.map(|(at, id)| (at, CouponId::from_uuid(id)));
    // Read before the rows: what they hold may be newer than what is said, never older.
    let as_of = shop.as_of();
    let rows = query(&settings, shop.queries().coupons(of, after, paging.to_ask())).await?;
    let rows: Vec<&CouponRow> = rows.iter().collect();
    Ok(ok(&paging.page(rows, as_of, |row| (row.created_at, row.id.uuid()), CouponBody::new)))
}

problems!(CreateCouponProblems: KEYED, BODY, ACTOR;
    CouponUnknown, CurrencyMismatch, CouponMalformed, CouponCodeTaken,
);

/// Make a coupon
#[utoipa::path(post, path = "/v1/coupons", tag = "coupons", security(("bearer" = [])), params(IdempotencyHeader),
    request_body = CouponInput,
    responses((status = 201, description = "The coupon.", body = CouponBody), CreateCouponProblems))]
pub async fn create_coupon(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    body: JsonBody<CouponInput>,
) -> Result<Response> {
    let key = key.of(&caller, &body.raw);
    let (code, single_use, terms) = body.value.checked()?;
    let id = CouponId::of_code(&code.compared());
    let command = CouponCommand::Create { by: caller.principal, code, single_use, terms: Box::new(terms) };
    shown(&shop, &settings, id, command, key, StatusCode::CREATED).await
}

problems!(GetCouponProblems: AUTH, ACTOR; CouponUnknown);

/// A coupon, with what is held and used of it
#[utoipa::path(get, path = "/v1/coupons/{coupon}", tag = "coupons", security(("bearer" = [])),
    params(("coupon" = CouponId, Path, description = "The coupon")),
    responses((status = 200, description = "The coupon.", body = CouponBody), GetCouponProblems))]
pub async fn get_coupon(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(id): Id<CouponId>,
) -> Result<Response> {
    let command = CouponCommand::Get { by: caller.principal };
    shown(&shop, &settings, id, command, None, StatusCode::OK).await
}

problems!(PatchCouponProblems: AUTH, BODY, ACTOR;
    CouponUnknown, CurrencyMismatch, CouponMalformed, CouponInUse, CommandPoisoned,
);

/// Change the terms of a coupon
///
/// What was held by the old terms is the orders' all the same; an order that reckoned by them and holds nothing yet ends with
/// `coupon_terms_changed`.
#[utoipa::path(patch, path = "/v1/coupons/{coupon}", tag = "coupons", security(("bearer" = [])),
    params(("coupon" = CouponId, Path, description = "The coupon")), request_body = CouponPatch,
    responses((status = 200, description = "The coupon.", body = CouponBody), PatchCouponProblems))]
pub async fn patch_coupon(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Id(id): Id<CouponId>,
    body: JsonBody<CouponPatch>,
) -> Result<Response> {
    let change = Box::new(body.value.checked()?);
    let command = CouponCommand::Edit { by: caller.principal, change };
    shown(&shop, &settings, id, command, None, StatusCode::OK).await
}

problems!(IssueCodesProblems: KEYED, BODY, ACTOR;
    CouponUnknown, CouponMalformed, CouponNotApplicable, TooMany,
);

/// Make codes that are good for one use each
#[utoipa::path(post, path = "/v1/coupons/{coupon}/codes", tag = "coupons", security(("bearer" = [])),
    params(("coupon" = CouponId, Path, description = "The coupon, made with `single_use`"), IdempotencyHeader),
    request_body = CodesInput,
    responses((status = 201, description = "The codes.", body = CodesBody), IssueCodesProblems))]
pub async fn issue_codes(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    State(buyers): State<Arc<BuyerKeys>>,
    caller: Caller,
    key: RequestKey,
    Id(id): Id<CouponId>,
    body: JsonBody<CodesInput>,
) -> Result<Response> {
    let key = key.of(&caller, &body.raw);
    let mut faults = Faults::default();
    let most = i64::from(limits::COUPON_CODES_AT_ONCE);
    let count = in_range(&mut faults, "count", Whole(body.value.count), most);
    faults.done(&INVALID_BODY)?;
    let command = CouponCommand::IssueCodes { by: caller.principal, count: count.unwrap_or_default() };
    let how = Ask { within: settings.request_timeout, key, fresh: false };
    match ask::<Coupon>(&shop, id, command, how).await? {
        (CouponReply::Codes { prefix, from, upto }, replayed) => {
            let code =
                |serial| prefix.single(Single { serial, hash: buyers.coupon_hash(id, serial) }).as_str().to_owned();
            let body = CodesBody { codes: (from..upto).map(code).collect() };
            Ok(mark_replayed(json(StatusCode::CREATED, &body), replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}
