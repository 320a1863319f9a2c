//! Sales: as anyone may see them, without asking an actor, and as their vendor manages them.

use crate::actors::catalog::CatalogCache;
use crate::actors::shop::{Ask, Shop};
use crate::domain::ids::{RoomId, SaleId, SkuId, VendorId};
use crate::domain::money::Money;
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::domain::room::{Room, RoomCommand};
use crate::domain::rows::SaleRow;
use crate::domain::text::TextKind;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{
    ItemChange, NewLimit, Requires, SaleChange, SaleItem, SaleStatus, SaleTerms, SaleView, Tranche, Vendor,
    VendorCommand, VendorReply, WhenExhausted,
};
use crate::domain::who::Action;
use crate::http::answer::{ask, json, mark_replayed, ok, unexpected};
use crate::http::caller::Caller;
use crate::http::error::{self, INVALID_BODY, Result};
use crate::http::extract::{Id, Ids, Query, TableBody, parse_id};
use crate::http::idempotency::{IdempotencyHeader, Mint, RequestKey};
use crate::http::money::{Moment, MoneyBody, Page, PriceInput};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, FILTERS, KEYED, LISTS, READS, problems};
use crate::http::page::{List, PageQuery, Paging};
use crate::http::valid::{Faults, filled, given};
use crate::http::{Settings, vendors::may_know_of};
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Who may buy in a sale.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequiresBody {
    /// Anyone.
    Nothing,
    /// Who has an account.
    Account,
    /// Who has verified an e-mail address.
    VerifiedEmail,
}

impl From<RequiresBody> for Requires {
    fn from(body: RequiresBody) -> Self {
        match body {
            RequiresBody::Nothing => Self::Nothing,
            RequiresBody::Account => Self::Account,
            RequiresBody::VerifiedEmail => Self::VerifiedEmail,
        }
    }
}

impl From<Requires> for RequiresBody {
    fn from(requires: Requires) -> Self {
        match requires {
            Requires::Nothing => Self::Nothing,
            Requires::Account => Self::Account,
            Requires::VerifiedEmail => Self::VerifiedEmail,
        }
    }
}

/// What becomes of those who come when the allotment, as far as it is open, is gone.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenExhaustedBody {
    /// They are refused.
    Stop,
    /// They may buy what no sale needs, at the regular price.
    RegularPrice,
}

impl From<WhenExhaustedBody> for WhenExhausted {
    fn from(body: WhenExhaustedBody) -> Self {
        match body {
            WhenExhaustedBody::Stop => Self::Stop,
            WhenExhaustedBody::RegularPrice => Self::RegularPrice,
        }
    }
}

impl From<WhenExhausted> for WhenExhaustedBody {
    fn from(when: WhenExhausted) -> Self {
        match when {
            WhenExhausted::Stop => Self::Stop,
            WhenExhausted::RegularPrice => Self::RegularPrice,
        }
    }
}

/// Pieces of an allotment that can be had from a moment on.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct TrancheInput {
    /// From when on.
    #[schema(format = DateTime)]
    opens_at: String,
    /// Pieces.
    #[schema(minimum = 1, maximum = 1_000_000_000_000i64)]
    #[serde(deserialize_with = "crate::http::valid::whole")]
    quantity: i64,
}

/// What a sale is to promise of one SKU.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct SaleItemInput {
    #[schema(value_type = SkuId)]
    sku_id: String,
    /// What one piece costs in the sale: at most what it costs otherwise.
    price: PriceInput,
    /// Pieces that can be had in the sale. They are kept for it from now on.
    #[schema(minimum = 1, maximum = 1_000_000_000_000i64)]
    #[serde(deserialize_with = "crate::http::valid::whole")]
    allotment: i64,
    /// Pieces that one buyer can have of this SKU in the sale.
    #[schema(minimum = 1)]
    limit_per_customer: Option<i64>,
    /// When how much of the allotment can be had; all of it at once where there is none.
    #[serde(default)]
    tranches: Vec<TrancheInput>,
}

/// A sale that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({
    "name": "11.11", "starts_at": "2030-11-11T00:00:00+06:00", "ends_at": "2030-11-12T00:00:00+06:00",
    "time_zone": "Asia/Dhaka",
    "items": [{"sku_id": "sku_01h2xcejqtf2nbrexx3vqjhp41", "price": {"amount": "990.00", "currency": "BDT"},
        "allotment": 500, "limit_per_customer": 2}],
}))]
pub struct SaleInput {
    /// What it is called.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: String,
    /// From when on it runs; if that is past, at once.
    #[schema(format = DateTime)]
    starts_at: String,
    /// From when on it is over: "until 31 May" is the start of 1 June.
    #[schema(format = DateTime)]
    ends_at: String,
    /// The IANA name of the zone in which these are meant. It decides nothing.
    #[schema(min_length = 1, max_length = 200, example = "Asia/Dhaka")]
    time_zone: String,
    /// What it promises, each SKU once.
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<SaleItemInput>,
    /// Pieces that one buyer can have of all its SKUs together.
    #[schema(minimum = 1)]
    limit_per_customer: Option<i64>,
    /// Who may buy; anyone where nothing is said.
    requires: Option<RequiresBody>,
    /// What comes after the allotment; a refusal where nothing is said.
    when_exhausted: Option<WhenExhaustedBody>,
    /// How one may pay; in any way where nothing is said.
    payment_methods: Option<Vec<String>>,
    /// The waiting room by which one must come in to buy. It stays.
    #[schema(value_type = Option<RoomId>)]
    room_id: Option<String>,
}

/// What is to be another in an item of a sale. An item that the sale does not have is a new one, and has a price and an allotment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct SaleItemPatch {
    #[schema(value_type = SkuId)]
    sku_id: String,
    /// Whether it is taken out.
    #[serde(default)]
    remove: bool,
    /// What one piece costs in the sale.
    price: Option<PriceInput>,
    /// Pieces that can be had in the sale.
    #[schema(minimum = 1, maximum = 1_000_000_000_000i64)]
    allotment: Option<i64>,
    /// Pieces that one buyer can have of this SKU in the sale; null for no limit.
    #[schema(minimum = 1)]
    #[serde(default, deserialize_with = "given")]
    limit_per_customer: Option<Option<i64>>,
    /// All its tranches.
    tranches: Option<Vec<TrancheInput>>,
}

/// What is to be another; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"ends_at": "2030-11-12T12:00:00+06:00"}))]
pub struct SalePatch {
    /// What it is called.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: Option<String>,
    /// From when on it runs. It stays once the sale runs.
    #[schema(format = DateTime)]
    starts_at: Option<String>,
    /// From when on it is over.
    #[schema(format = DateTime)]
    ends_at: Option<String>,
    /// The IANA name of the zone in which these are meant.
    #[schema(min_length = 1, max_length = 200)]
    time_zone: Option<String>,
    /// Its items, each by its SKU.
    #[serde(default)]
    items: Vec<SaleItemPatch>,
    /// Pieces that one buyer can have of all its SKUs together; null for no limit. It is not lowered once the sale runs.
    #[schema(minimum = 1)]
    #[serde(default, deserialize_with = "given")]
    limit_per_customer: Option<Option<i64>>,
    /// Who may buy. It stays once the sale runs.
    requires: Option<RequiresBody>,
    /// What comes after the allotment.
    when_exhausted: Option<WhenExhaustedBody>,
    /// How one may pay; an empty list for any way.
    payment_methods: Option<Vec<String>>,
}

only_objects!(TrancheInput, SaleItemInput, SaleInput, SaleItemPatch, SalePatch);

/// Pieces of an allotment that can be had from a moment on.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrancheBody {
    opens_at: Moment,
    quantity: i64,
}

/// What a sale promises of one SKU.
#[derive(Debug, Serialize, ToSchema)]
pub struct SaleItemBody {
    sku_id: SkuId,
    /// What one piece costs in the sale.
    price: MoneyBody,
    /// What it costs otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    regular_price: Option<MoneyBody>,
    /// Pieces that can be had in the sale.
    allotment: i64,
    /// Pieces that are left in it by now; while it does not run, none.
    left: i64,
    /// Pieces that one buyer can have of this SKU.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_per_customer: Option<i64>,
    /// When more can be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_tranche_at: Option<Moment>,
    /// Pieces held for orders that are not paid. To the vendor alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<i64>,
    /// Pieces sold. To the vendor alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    sold: Option<i64>,
    /// When how much can be had. To the vendor alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    tranches: Option<Vec<TrancheBody>>,
}

/// A sale.
#[derive(Debug, Serialize, ToSchema)]
pub struct SaleBody {
    id: SaleId,
    vendor_id: VendorId,
    #[schema(example = "11.11")]
    name: String,
    /// `scheduled`, `running`, `ended` or `cancelled`: by the time alone, but for the last.
    #[schema(example = "running")]
    status: &'static str,
    starts_at: Moment,
    ends_at: Moment,
    #[schema(example = "Asia/Dhaka")]
    time_zone: String,
    /// The server's time, by which a countdown is set.
    server_time: Moment,
    requires: RequiresBody,
    when_exhausted: WhenExhaustedBody,
    /// Pieces that one buyer can have of all its SKUs together.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_per_customer: Option<i64>,
    /// How one may pay. Left out where it is in any way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    payment_methods: Vec<String>,
    /// The waiting room by which one must come in to buy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(null))]
    room_id: Option<RoomId>,
    items: Vec<SaleItemBody>,
    /// Keys by which buyers are known (accounts, addresses, numbers) that have something in it. To the vendor alone, where pieces are limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    buyers: Option<i64>,
}

impl SaleItemBody {
    fn new(item: &SaleItem, taken: i64, regular: Option<Money>, status: SaleStatus, now: Timestamp) -> Self {
        let left = match status {
            SaleStatus::Running => item.allotment.min(item.opened(now)).saturating_sub(taken).max(0),
            SaleStatus::Scheduled | SaleStatus::Ended | SaleStatus::Cancelled => 0,
        };
        let is_over = matches!(status, SaleStatus::Ended | SaleStatus::Cancelled);
        Self {
            sku_id: item.sku,
            price: MoneyBody(item.price()),
            regular_price: regular.map(MoneyBody),
            allotment: item.allotment,
            left,
            limit_per_customer: item.limit_per_customer,
            next_tranche_at: item.next_tranche_at(now).filter(|_| !is_over).map(Moment),
            held: None,
            sold: None,
            tranches: None,
        }
    }
}

impl SaleBody {
    fn new(id: SaleId, vendor_id: VendorId, terms: &SaleTerms, status: SaleStatus, now: Timestamp) -> Self {
        Self {
            id,
            vendor_id,
            name: terms.name.clone(),
            status: status.name(),
            starts_at: Moment(terms.starts_at),
            ends_at: Moment(terms.ends_at),
            time_zone: terms.time_zone.clone(),
            server_time: Moment(now),
            requires: terms.requires.into(),
            when_exhausted: terms.when_exhausted.into(),
            limit_per_customer: terms.limit_per_customer,
            payment_methods: terms.payment_methods.clone(),
            room_id: terms.room,
            items: Vec::new(),
            buyers: None,
        }
    }

    /// As anyone may see it.
    fn listed(catalog: &CatalogCache, row: &SaleRow, taken: &[i64], now: Timestamp) -> Self {
        let SaleRow { id, vendor_id, terms, cancelled_at, .. } = row;
        let status = terms.status(cancelled_at.is_some(), now);
        let item = |(item, taken): (&SaleItem, &i64)| {
            let regular = catalog.sku_row(item.sku).map(|sku| Money::new(sku.price_minor, sku.currency));
            SaleItemBody::new(item, *taken, regular, status, now)
        };
        let items = terms.items.iter().zip(taken).map(item).collect();
        Self { items, ..Self::new(*id, *vendor_id, terms, status, now) }
    }

    /// As its vendor sees it.
    fn of_vendor(sale: &SaleView, now: Timestamp) -> Self {
        let SaleView { id, vendor_id, terms, cancelled_at, items, regular_prices, buyers } = sale;
        let status = terms.status(cancelled_at.is_some(), now);
        let tranche =
            |tranche: &Tranche| TrancheBody { opens_at: Moment(tranche.opens_at), quantity: tranche.quantity };
        let items = items.iter().zip(regular_prices).map(|(of, regular)| SaleItemBody {
            held: Some(of.count.held),
            sold: Some(of.count.sold),
            tranches: (!of.item.tranches.is_empty()).then(|| of.item.tranches.iter().map(tranche).collect()),
            ..SaleItemBody::new(&of.item, of.count.taken(), Some(Money::new(*regular, of.item.currency)), status, now)
        });
        Self { items: items.collect(), buyers: *buyers, ..Self::new(*id, *vendor_id, terms, status, now) }
    }
}

fn sku_of(text: &str, field: &str, faults: &mut Faults) -> Option<SkuId> {
    let sku = parse_id::<SkuId>(text).ok();
    if sku.is_none() {
        faults.add(format!("{field}.sku_id"), "there is no such SKU");
    }
    sku
}

fn tranches_of(inputs: &[TrancheInput], field: &str, faults: &mut Faults) -> Vec<Tranche> {
    let tranche = |(index, input): (usize, &TrancheInput)| {
        let opens_at = faults.moment(&format!("{field}.tranches[{index}].opens_at"), &input.opens_at)?;
        Some(Tranche { opens_at, quantity: input.quantity })
    };
    inputs.iter().enumerate().filter_map(tranche).collect()
}

fn zone(faults: &mut Faults, name: &str) {
    if jiff::tz::TimeZone::get(name).is_err() {
        faults.add("time_zone", "there is no such zone");
    }
}

fn methods_of(faults: &mut Faults, methods: &mut [String]) {
    for (index, method) in methods.iter_mut().enumerate() {
        faults.text(&format!("payment_methods[{index}]"), method, TextKind::Code, limits::SHORT_TEXT);
    }
}

impl SaleInput {
    fn checked(mut self) -> Result<SaleTerms> {
        let mut faults = Faults::default();
        faults.text("name", &mut self.name, TextKind::Line, limits::SHORT_TEXT);
        zone(&mut faults, &self.time_zone);
        let starts_at = faults.moment("starts_at", &self.starts_at);
        let ends_at = faults.moment("ends_at", &self.ends_at);
        let mut items = Vec::with_capacity(self.items.len().min(limits::SALE_ITEMS));
        for (index, input) in self.items.iter().enumerate() {
            let field = format!("items[{index}]");
            let sku = sku_of(&input.sku_id, &field, &mut faults);
            let price = faults.price(&format!("{field}.price"), &input.price);
            let tranches = tranches_of(&input.tranches, &field, &mut faults);
            if let (Some(sku), Some(price)) = (sku, price) {
                items.push(SaleItem {
                    sku,
                    price_minor: price.minor,
                    currency: price.currency,
                    allotment: input.allotment,
                    limit_per_customer: input.limit_per_customer,
                    tranches,
                });
            }
        }
        let mut payment_methods = self.payment_methods.unwrap_or_default();
        methods_of(&mut faults, &mut payment_methods);
        let room = self.room_id.map(|text| text.parse::<RoomId>());
        if matches!(room, Some(Err(_))) {
            faults.add("room_id", "there is no such waiting room");
        }
        faults.done(&INVALID_BODY)?;
        Ok(SaleTerms {
            room: room.and_then(std::result::Result::ok),
            name: self.name,
            starts_at: starts_at.unwrap_or_default(),
            ends_at: ends_at.unwrap_or_default(),
            time_zone: self.time_zone,
            items,
            limit_per_customer: self.limit_per_customer,
            requires: self.requires.map_or_else(Requires::default, Requires::from),
            when_exhausted: self.when_exhausted.map_or_else(WhenExhausted::default, WhenExhausted::from),
            payment_methods,
        })
    }
}

impl SalePatch {
    fn checked(mut self) -> Result<SaleChange> {
        let mut faults = Faults::default();
        if let Some(name) = &mut self.name {
            faults.text("name", name, TextKind::Line, limits::SHORT_TEXT);
        }
        if let Some(name) = &self.time_zone {
            zone(&mut faults, name);
        }
        let starts_at = self.starts_at.and_then(|text| faults.moment("starts_at", &text));
        let ends_at = self.ends_at.and_then(|text| faults.moment("ends_at", &text));
        let mut items = Vec::with_capacity(self.items.len().min(limits::SALE_ITEMS));
        for (index, input) in self.items.iter().enumerate() {
            let field = format!("items[{index}]");
            let sku = sku_of(&input.sku_id, &field, &mut faults);
            let price = input.price.as_ref().map(|price| faults.price(&format!("{field}.price"), price));
            let tranches = input.tranches.as_ref().map(|tranches| tranches_of(tranches, &field, &mut faults));
            let Some(sku) = sku else { continue };
            items.push(ItemChange {
                sku,
                removed: input.remove,
                price: price.flatten(),
                allotment: input.allotment,
                limit_per_customer: input.limit_per_customer.map(NewLimit::from),
                tranches,
            });
        }
        if let Some(methods) = &mut self.payment_methods {
            methods_of(&mut faults, methods);
        }
        faults.done(&INVALID_BODY)?;
        Ok(SaleChange {
            name: self.name,
            starts_at,
            ends_at,
            time_zone: self.time_zone,
            limit_per_customer: self.limit_per_customer.map(NewLimit::from),
            requires: self.requires.map(Requires::from),
            when_exhausted: self.when_exhausted.map(WhenExhausted::from),
            payment_methods: self.payment_methods,
            items,
        })
    }
}

async fn shown(
    shop: &Shop,
    vendor: VendorId,
    command: VendorCommand,
    how: Ask,
    status: StatusCode,
) -> Result<Response> {
    match ask::<Vendor>(shop, vendor, command, how).await? {
        (VendorReply::Sale { sale }, replayed) => {
            Ok(mark_replayed(json(status, &SaleBody::of_vendor(&sale, shop.clock().now())), replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

fn how(settings: &Settings, key: Option<IdempotencyKey>) -> Ask {
    Ask { within: settings.request_timeout, key, fresh: false }
}

problems!(CreateSaleProblems: KEYED, BODY, ACTOR;
    VendorUnknown, RoomUnknown, SkuUnknown, CurrencyMismatch, PriceOutOfRange, TooMany, SaleInvalid, SaleOverlap,
    AllotmentReserved,
);

/// Make a sale
///
/// Its pieces are kept for it from now on: they cannot be had at the regular price, nor taken out by hand. Whether it runs is a
/// matter of the time alone.
#[utoipa::path(post, path = "/v1/vendors/{vendor}/sales", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), IdempotencyHeader), request_body = SaleInput,
    responses((status = 201, description = "The sale.", body = SaleBody), CreateSaleProblems))]
pub async fn create_sale(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Id(vendor): Id<VendorId>,
    body: TableBody<SaleInput>,
) -> Result<Response> {
    let by = caller.principal;
    may_know_of(by, Action::EditGoods, vendor)?;
    let key = key.of(&caller, &body.raw);
    let sale = SaleId::from_uuid(Mint::new(shop.clock(), key).uuid(SaleId::PREFIX, 0));
    let terms = body.value.checked()?;
    if let Some(room) = terms.room {
        // Nobody could buy who came in by a room that is not there.
        ask::<Room>(&shop, room, RoomCommand::Show, how(&settings, None)).await?;
    }
    let command = VendorCommand::ScheduleSale { by, sale, terms: Box::new(terms) };
    shown(&shop, vendor, command, how(&settings, key), StatusCode::CREATED).await
}

problems!(GetVendorSaleProblems: AUTH, ACTOR; VendorUnknown, SaleUnknown);

/// A sale with what was taken of it
#[utoipa::path(get, path = "/v1/vendors/{vendor}/sales/{sale}", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ("sale" = SaleId, Path, description = "The sale")),
    responses((status = 200, description = "The sale.", body = SaleBody), GetVendorSaleProblems))]
pub async fn get_vendor_sale(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Ids(vendor, sale): Ids<VendorId, SaleId>,
) -> Result<Response> {
    let command = VendorCommand::GetSale { by: caller.principal, sale };
    shown(&shop, vendor, command, how(&settings, None), StatusCode::OK).await
}

problems!(PatchSaleProblems: AUTH, BODY, ACTOR;
    VendorUnknown, SaleUnknown, SkuUnknown, CurrencyMismatch, PriceOutOfRange, TooMany, SaleInvalid, SaleOverlap,
    SaleRunning, SaleEnded, AllotmentReserved,
);

/// Change a sale
///
/// While it runs nothing is taken back that buyers were promised: its start, prices and goods stay, and limits are not lowered.
#[utoipa::path(patch, path = "/v1/vendors/{vendor}/sales/{sale}", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ("sale" = SaleId, Path, description = "The sale")),
    request_body = SalePatch,
    responses((status = 200, description = "The sale.", body = SaleBody), PatchSaleProblems))]
pub async fn patch_sale(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    Ids(vendor, sale): Ids<VendorId, SaleId>,
    body: TableBody<SalePatch>,
) -> Result<Response> {
    let by = caller.principal;
    may_know_of(by, Action::EditGoods, vendor)?;
    let command = VendorCommand::EditSale { by, sale, change: Box::new(body.value.checked()?) };
    shown(&shop, vendor, command, how(&settings, None), StatusCode::OK).await
}

problems!(CancelSaleProblems: KEYED, ACTOR; VendorUnknown, SaleUnknown, SaleEnded);

/// Cancel a sale
///
/// Its prices end at once, and its pieces can be had at the regular price. What is held in it stays held at its price.
#[utoipa::path(post, path = "/v1/vendors/{vendor}/sales/{sale}/cancel", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), ("sale" = SaleId, Path, description = "The sale"),
        IdempotencyHeader),
    responses((status = 200, description = "The sale.", body = SaleBody), CancelSaleProblems))]
pub async fn cancel_sale(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids(vendor, sale): Ids<VendorId, SaleId>,
) -> Result<Response> {
    let command = VendorCommand::CancelSale { by: caller.principal, sale };
    shown(&shop, vendor, command, how(&settings, key.of(&caller, b"")), StatusCode::OK).await
}

/// The page of these sales, the latest start first.
fn page_of(catalog: &CatalogCache, mut rows: Vec<Arc<SaleRow>>, paging: Paging, now: Timestamp) -> Page<SaleBody> {
    let place = |row: &Arc<SaleRow>| (row.terms.starts_at, row.id.uuid());
    rows.retain(|row| paging.after.is_none_or(|after| place(row) < after));
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(place(row)));
    rows.truncate(paging.to_ask() as usize);
    paging.page(rows, now, place, |row| {
        let taken = catalog.sale(row.id).map(|(_, taken)| taken).unwrap_or_default();
        SaleBody::listed(catalog, &row, &taken, now)
    })
}

problems!(ListVendorSalesProblems: AUTH, LISTS, &[&error::UNAVAILABLE]; VendorUnknown);

/// A vendor's sales, the latest start first
#[utoipa::path(get, path = "/v1/vendors/{vendor}/sales", tag = "vendors", security(("bearer" = [])),
    params(("vendor" = VendorId, Path, description = "The vendor"), PageQuery),
    responses((status = 200, description = "A page of sales.", body = Page<SaleBody>), ListVendorSalesProblems))]
pub async fn list_vendor_sales(
    State(shop): State<Shop>,
    caller: Caller,
    Id(vendor): Id<VendorId>,
    Query(asked): Query<PageQuery>,
) -> Result<Response> {
    may_know_of(caller.principal, Action::SeeGoods, vendor)?;
    let paging = asked.paging(List::new("/v1/vendors/sales", &vendor))?;
    let catalog = shop.catalog()?;
    let rows = catalog.sales(|sale| sale.vendor_id == vendor);
    Ok(ok(&page_of(catalog, rows, paging, shop.clock().now())))
}

/// Which sales.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SaleQuery {
    /// Items on the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, deserialize_with = "filled")]
    limit: Option<u32>,
    /// What an earlier page gave as `next_cursor`.
    #[param(pattern = "^([0-9a-f]{64})?$")]
    #[serde(default, deserialize_with = "filled")]
    cursor: Option<String>,
    /// Only those that run now, or only those that are to come. Without it, both.
    #[serde(default, deserialize_with = "filled")]
    running: Option<bool>,
}

problems!(ListSalesProblems: LISTS, FILTERS, &[&error::UNAVAILABLE]);

/// Sales that are to come or running, the latest start first
#[utoipa::path(get, path = "/v1/sales", tag = "catalog", params(SaleQuery),
    responses((status = 200, description = "A page of sales.", body = Page<SaleBody>), ListSalesProblems))]
pub async fn list_sales(State(shop): State<Shop>, Query(asked): Query<SaleQuery>) -> Result<Response> {
    let paging = Paging::new(List::new("/v1/sales", &asked.running), asked.limit, asked.cursor.as_deref())?;
    let (catalog, now) = (shop.catalog()?, shop.clock().now());
    let rows = catalog.sales(|sale| {
        let status = sale.terms.status(sale.cancelled_at.is_some(), now);
        match asked.running {
            Some(true) => status == SaleStatus::Running,
            Some(false) => status == SaleStatus::Scheduled,
            None => matches!(status, SaleStatus::Scheduled | SaleStatus::Running),
        }
    });
    Ok(ok(&page_of(catalog, rows, paging, now)))
}

problems!(GetSaleProblems: READS, &[&error::UNAVAILABLE]; SaleUnknown);

/// A sale in its last durable state
#[utoipa::path(get, path = "/v1/sales/{sale}", tag = "catalog", params(("sale" = SaleId, Path, description = "The sale")),
    responses((status = 200, description = "The sale.", body = SaleBody), GetSaleProblems))]
pub async fn get_sale(State(shop): State<Shop>, Id(id): Id<SaleId>) -> Result<Response> {
    let (catalog, now) = (shop.catalog()?, shop.clock().now());
    let (row, taken) = catalog.sale(id).ok_or(Reject::SaleUnknown)?;
    Ok(ok(&SaleBody::listed(catalog, &row, &taken, now)))
}
