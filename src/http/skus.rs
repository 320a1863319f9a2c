//! SKUs: as anyone may see them, without asking an actor, and as their vendor manages them.

use crate::actors::shop::{Ask, Shop};
use crate::domain::buyer::Audience;
use crate::domain::entity::Principal;
use crate::domain::ids::{OrderId, ProductId, RoomId, SaleId, SkuId, VendorId};
use crate::domain::knowledge::Availability;
use crate::domain::money::Money;
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::{Reject, RejectKind};
use crate::domain::rows::StockChangeRow;
use crate::domain::text::TextKind;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{GoodsStatus, SkuView, Vendor, VendorCommand, VendorReply};
use crate::domain::who::{Action, ByKind};
use crate::http::answer::{ask, mark_replayed, ok, unexpected};
use crate::http::caller::Caller;
use crate::http::error::{self, INVALID_BODY, Problem, ProblemKind, Result};
use crate::http::extract::{Id, Ids, JsonBody, Query};
use crate::http::idempotency::{IdempotencyHeader, RequestKey};
use crate::http::money::{Moment, MoneyBody, Page};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, KEYED, LISTS, READS, problems};
use crate::http::page::List;
use crate::http::page::PageQuery;
use crate::http::products::status_of;
use crate::http::terms::{OfferedTermsBody, SkuPatch, TermsBody};
use crate::http::valid::Faults;
use crate::http::{HistoryAsOf, Settings, query, vendors::may_know_of};
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A SKU as anyone may see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SkuBody<'a> {
    id: SkuId,
    vendor_id: VendorId,
    product_id: ProductId,
    #[schema(example = "JAM-RED")]
    code: &'a str,
    #[schema(example = "Jamdani saree")]
    title: &'a str,
    /// What one piece costs now.
    price: MoneyBody,
    /// Pieces that can be bought at this price.
    available: i64,
    /// Whether it is for sale: `active`, `archived`, or `suspended` with all of its vendor's.
    #[schema(example = "active")]
    status: &'static str,
    /// What one piece costs outside of the sale.
    #[serde(skip_serializing_if = "Option::is_none")]
    regular_price: Option<MoneyBody>,
    /// The sale that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    sale: Option<RunningSaleBody>,
    #[serde(flatten)]
    terms: Option<OfferedTermsBody>,
}

/// The sale at whose price a SKU is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunningSaleBody {
    id: SaleId,
    ends_at: Moment,
    /// Pieces that are left in it by now.
    left: i64,
    /// Pieces that one buyer can have.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_per_customer: Option<i64>,
    /// The waiting room by which one must come in to buy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(null))]
    room_id: Option<RoomId>,
}

/// A SKU as its vendor sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct VendorSkuBody<'a> {
    id: SkuId,
    vendor_id: VendorId,
    product_id: ProductId,
    #[schema(example = "JAM-RED")]
    code: &'a str,
    #[schema(example = "Jamdani saree")]
    title: &'a str,
    price: MoneyBody,
    /// Pieces that ever came in: on_hand + sold.
    received: i64,
    /// Pieces in the house.
    on_hand: i64,
    /// Pieces held for orders.
    held: i64,
    /// Pieces on hand that are kept for sales which are to come or running.
    reserved: i64,
    /// Pieces sold.
    sold: i64,
    /// on_hand − held; none while the SKU is out of sale because its figures do not add up.
    available: i64,
    /// Whether it is for sale; archived when its product is.
    status: GoodsStatus,
    #[serde(flatten)]
    terms: Option<TermsBody<'a>>,
}

impl<'a> VendorSkuBody<'a> {
    fn new(sku: &'a SkuView, now: Timestamp) -> Self {
        Self {
            id: sku.id,
            vendor_id: sku.vendor_id,
            product_id: sku.product_id,
            code: &sku.code,
            title: &sku.title,
            price: MoneyBody(sku.price()),
            received: sku.received,
            on_hand: sku.on_hand,
            held: sku.held,
            reserved: sku.reserved(now),
            sold: sku.sold(),
            available: sku.available(),
            status: GoodsStatus::of(sku.archived),
            terms: sku.terms.as_deref().map(|terms| TermsBody::new(terms, sku.currency)),
        }
    }
}

/// A change of what is on hand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"delta": 50, "reason": "delivery 4711"}))]
pub struct StockChange {
    /// Pieces more, or less when negative.
    #[schema(minimum = -1_000_000_000_000i64, maximum = 1_000_000_000_000i64)]
    #[serde(deserialize_with = "crate::http::valid::whole")]
    delta: i64,
    /// Why.
    #[schema(
        min_length = 1,
        max_length = 4000,
        pattern = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$"
    )]
    reason: String,
}

only_objects!(StockChange);

problems!(GetSkuProblems: READS, &[&error::UNAVAILABLE, &error::UNAUTHORIZED]; SkuUnknown);

/// A SKU in its last durable state
///
/// A customer's bearer shows the price breaks and quantities that this customer has; everyone else is shown everybody's.
#[utoipa::path(get, path = "/v1/skus/{sku}", tag = "catalog", security((), ("bearer" = [])), params(("sku" = SkuId, Path, description = "The SKU")),
    responses((status = 200, description = "The SKU.", body = SkuBody), GetSkuProblems))]
pub async fn get_sku(State(shop): State<Shop>, caller: Option<Caller>, Id(id): Id<SkuId>) -> Result<Response> {
    let catalog = shop.catalog()?;
    let listing = catalog.sku(id, shop.clock().now()).ok_or(Reject::SkuUnknown)?;
    let sku = &*listing.sku;
    let audience = match caller.map(|caller| caller.principal) {
        Some(Principal::Customer(customer)) => catalog.audience(customer),
        _ => Audience::Retail,
    };
    let sale = listing.sale.as_ref().map(|(sale, left)| RunningSaleBody {
        id: sale.id,
        ends_at: Moment(sale.terms.ends_at),
        left: *left,
        limit_per_customer: least(
            sale.terms.limit_per_customer,
            sale.terms.item(id).and_then(|(_, item)| item.limit_per_customer),
        ),
        room_id: sale.terms.room,
    });
    Ok(ok(&SkuBody {
        id,
        vendor_id: sku.vendor_id,
        product_id: sku.product_id,
        code: &sku.code,
        title: &sku.title,
        price: MoneyBody(listing.price),
        available: listing.available,
        status: status_of(sku.archived, catalog.is_suspended(sku.vendor_id)),
        regular_price: sale.is_some().then(|| MoneyBody(Money::new(sku.price_minor, sku.currency))),
        sale,
        terms: sku.terms.as_deref().map(|terms| OfferedTermsBody::new(terms, audience, sku.currency)),
    }))
}

/// The lower of two limits, of which there may be none.
fn least(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

async fn shown(
    shop: &Shop,
    settings: &Settings,
    vendor: VendorId,
    command: VendorCommand,
    key: Option<IdempotencyKey>,
) -> Result<Response> {
    let how = Ask { within: settings.request_timeout, key, fresh: false };
    match ask::<Vendor>(shop, vendor, command, how).await? {
        (VendorReply::Sku { sku }, replayed) => {
            Ok(mark_replayed(ok(&VendorSkuBody::new(&sku, shop.clock().now())), replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

problems!(GetVendorSkuProblems: AUTH, ACTOR; VendorUnknown, SkuUnknown);

/// A SKU with its stock
#[utoipa::path(get, path = "/v1/vendors/{vendor}/skus/{sku}", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ("sku" = SkuId, Path, description = "The SKU")),
    responses((status = 200, description = "The SKU.", body = VendorSkuBody), GetVendorSkuProblems))]
pub async fn get_vendor_sku(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Ids(vendor, sku): Ids<VendorId, SkuId>,
) -> Result<Response> {
    shown(&shop, &settings, vendor, VendorCommand::GetSku { by: caller.principal, sku }, None).await
}

problems!(PatchSkuProblems: AUTH, BODY, ACTOR;
    VendorUnknown, SkuUnknown, CurrencyMismatch, PriceOutOfRange, PriceBreakOrder, QuantityRuleInvalid, TooMany,
);

/// Change what a SKU costs, and on what terms it is sold
#[utoipa::path(patch, path = "/v1/vendors/{vendor}/skus/{sku}", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ("sku" = SkuId, Path, description = "The SKU")),
    request_body = SkuPatch,
    responses((status = 200, description = "The SKU.", body = VendorSkuBody), PatchSkuProblems))]
pub async fn patch_sku(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Ids(vendor, sku): Ids<VendorId, SkuId>,
    body: JsonBody<SkuPatch>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::EditGoods, vendor)?;
    let change = body.value.checked()?;
    let has_price = change.price_minor.is_some();
    let by = caller.principal;
    let command = match change.price_alone() {
        Some(price) => VendorCommand::SetPrice { by, sku, price_minor: price.minor, currency: price.currency },
        None => VendorCommand::EditSku { by, sku, change: Box::new(change) },
    };
    let of_price = |problem: Problem| match problem.kind() == ProblemKind::of(RejectKind::CurrencyMismatch) {
        true => problem.about(if has_price { "price.currency" } else { "price_breaks" }),
        false => problem,
    };
    shown(&shop, &settings, vendor, command, None).await.map_err(of_price)
}

/// What was once done to a SKU's stock.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockChangeBody<'a> {
    at: Moment,
    /// Pieces more, or less when negative.
    #[schema(example = -2)]
    delta: i64,
    /// Why: `added` for the pieces it began with, `sold`, or what was said by whoever changed it.
    #[schema(example = "sold")]
    reason: &'a str,
    /// Who changed it by hand: `vendor` or `staff`. Left out of what was sold, and of what early versions recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(null))]
    by: Option<&'static str>,
    /// The order that it was sold to.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
}

impl<'a> From<&'a StockChangeRow> for StockChangeBody<'a> {
    fn from(row: &'a StockChangeRow) -> Self {
        let StockChangeRow { at, delta, reason, by, order_id, .. } = row;
        Self { at: Moment(*at), delta: *delta, reason, by: by.map(ByKind::name), order_id: *order_id }
    }
}

problems!(ListStockProblems: AUTH, LISTS, &[&error::UNAVAILABLE]; VendorUnknown, SkuUnknown);

/// What was done to a SKU's stock, the newest first
#[utoipa::path(get, path = "/v1/vendors/{vendor}/skus/{sku}/stock", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ("sku" = SkuId, Path, description = "The SKU"), PageQuery),
    responses((status = 200, description = "A page of changes.", body = Page<StockChangeBody>), ListStockProblems))]
pub async fn list_stock(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    State(history_as_of): State<HistoryAsOf>,
    caller: Caller,
    Ids(vendor, sku): Ids<VendorId, SkuId>,
    Query(asked): Query<PageQuery>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::SeeStockHistory, vendor)?;
    let paging = asked.paging(List::new("/v1/vendors/skus/stock", &sku))?;
    if shop.catalog()?.sku_row(sku).is_none_or(|row| row.vendor_id != vendor) {
        return Err(Reject::SkuUnknown.into());
    }
    let before = paging.after.map(|(version, position)| {
        (version.as_millis().unsigned_abs(), u32::try_from(position.as_u128()).unwrap_or(u32::MAX))
    });
    // Read before the rows: what they hold may be newer than what is said, never older.
    let as_of = history_as_of.get();
    let rows = query(&settings, shop.queries().stock_changes(sku, before, paging.to_ask())).await?;
    let place = |row: &&StockChangeRow| {
        let version = i64::try_from(row.version).unwrap_or(i64::MAX);
        (Timestamp::from_millis(version), uuid::Uuid::from_u128(row.position.into()))
    };
    Ok(ok(&paging.page(rows.iter().collect(), as_of, place, StockChangeBody::from)))
}

problems!(ChangeStockProblems: KEYED, BODY, ACTOR;
    VendorUnknown, SkuUnknown, StockNegative, AllotmentReserved, StockOutOfRange, CommandPoisoned,
);

/// Change what is on hand
#[utoipa::path(post, path = "/v1/vendors/{vendor}/skus/{sku}/stock", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ("sku" = SkuId, Path, description = "The SKU"),
        IdempotencyHeader),
    request_body = StockChange,
    responses((status = 200, description = "The SKU.", body = VendorSkuBody), ChangeStockProblems))]
pub async fn change_stock(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids(vendor, sku): Ids<VendorId, SkuId>,
    body: JsonBody<StockChange>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::EditGoods, vendor)?;
    let StockChange { delta, mut reason } = body.value;
    let mut faults = Faults::default();
    faults.text("reason", &mut reason, TextKind::Lines, limits::LONG_TEXT);
    faults.done(&INVALID_BODY)?;
    if !(-limits::SKU_PIECES..=limits::SKU_PIECES).contains(&delta) {
        return Err(Reject::StockOutOfRange { limit: limits::SKU_PIECES, index: None }.into());
    }
    let key = key.of(&caller, &body.raw);
    let command = VendorCommand::AdjustStock { by: caller.principal, sku, delta, reason };
    shown(&shop, &settings, vendor, command, key).await
}
