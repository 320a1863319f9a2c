//! What a vendor does with its share of an order: packing it, and its parcels.

use crate::actors::shop::Shop;
use crate::checkout::buyers::{self, BuyerKeys};
use crate::domain::courier::TrackingStatus;
use crate::domain::ids::{OrderId, ShipmentId, SkuId, SubOrderId};
use crate::domain::money::{Currency, Money};
use crate::domain::order::{
    CreditReason, HoldReason, NewParcel, OrderCommand, OrderView, Parcel, ParcelEnd, ParcelStep, ShipmentStatus,
};
use crate::domain::reject::Reject;
use crate::domain::text::TextKind;
use crate::domain::vendor::WantedLine;
use crate::http::Settings;
use crate::http::answer::{json, mark_replayed, ok};
use crate::http::caller::Caller;
use crate::http::carts::Nothing;
use crate::http::desk::{Desk, units};
use crate::http::error::{INVALID_BODY, Problem, Result};
use crate::http::extract::{Ids, Ids3, JsonBody, OptionalJson};
use crate::http::idempotency::{IdempotencyHeader, Mint, RequestKey};
use crate::http::money::{Moment, MoneyBody, Page, TotalInput};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, KEYED, problems};
use crate::http::orders::OrderBody;
use crate::http::refunds::UnitsInput;
use crate::http::services::Services;
use crate::http::tracking;
use crate::http::valid::Faults;
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which units of a share are meant.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct PackInput {
    /// Units of lines, each SKU once; all that are left where this is absent.
    #[schema(min_items = 1, max_items = 100)]
    lines: Option<Vec<UnitsInput>>,
}

/// Why a share is not shipped.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"reason": "address"}))]
pub struct HoldInput {
    /// One of `fraud_check`, `address`, `out_of_stock`, `buyer_asked`, `other`.
    #[schema(value_type = String, example = "address", pattern = "^(fraud_check|address|out_of_stock|buyer_asked|other)$")]
    reason: HoldReason,
}

/// A parcel to be made.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct ShipmentInput {
    /// Units of lines, each SKU once; all that are in no parcel yet where this is absent.
    #[schema(min_items = 1, max_items = 100)]
    lines: Option<Vec<UnitsInput>>,
    /// Who carries it, as its vendor calls them; `own` where this is absent.
    #[schema(min_length = 1, max_length = 40, example = "own")]
    courier: Option<String>,
    /// By which the courier finds it.
    #[schema(min_length = 1, max_length = 100, example = "RX-4711")]
    tracking: Option<String>,
}

/// What became of a parcel at the door.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct DeliverInput {
    /// What was accepted, each SKU once; all of it where this is absent. What does not stand here, or with fewer units, was not accepted.
    #[schema(min_items = 1, max_items = 100)]
    lines: Option<Vec<AcceptedInput>>,
    /// What was collected, of an order that is paid at the door; it may be absent where nothing is due.
    collected: Option<TotalInput>,
}

/// Units of a line that were accepted.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct AcceptedInput {
    /// Of which SKU.
    sku_id: SkuId,
    /// How many; none where it was refused.
    #[schema(minimum = 0, maximum = 10_000)]
    quantity: i64,
}

/// What in fact became of a parcel.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"status": "lost"}))]
pub struct CorrectInput {
    /// One of `delivered` (all of it), `returned`, `lost`.
    #[schema(value_type = String, example = "lost", pattern = "^(delivered|returned|lost)$")]
    status: ParcelEnd,
}

only_objects!(PackInput, HoldInput, ShipmentInput, DeliverInput, AcceptedInput, CorrectInput);

/// Units of a line.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ParcelLineBody {
    sku_id: SkuId,
    quantity: i64,
}

impl From<&WantedLine> for ParcelLineBody {
    fn from(line: &WantedLine) -> Self {
        Self { sku_id: line.sku, quantity: line.quantity }
    }
}

/// A parcel.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShipmentBody<'a> {
    id: ShipmentId,
    sub_order_id: SubOrderId,
    /// One of `draft`, `booking`, `booked`, `handed_over`, `delivered` (all of it, or what was accepted), `returning` (nothing was accepted), `returned`,
    /// `lost`, `cancelled`.
    #[schema(value_type = String, example = "handed_over")]
    status: ShipmentStatus,
    /// What is in it.
    lines: Vec<ParcelLineBody>,
    /// What of it was accepted, once it has arrived.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    accepted: Vec<ParcelLineBody>,
    /// Who carries it.
    #[schema(example = "own")]
    courier: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "RX-4711")]
    tracking_number: Option<&'a str>,
    /// Where whoever has it can look where the parcel is, where a courier of the shop fetches it. Nobody else can guess it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/v1/track/3f2c…")]
    track_url: Option<String>,
    /// `stale` where its courier has told nothing for 30 days, and does not when it is asked. Else the link says where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "stale", pattern = "^stale$")]
    tracking_status: Option<&'static str>,
    /// Why its courier would not take it: a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "address_not_served")]
    booking_refused: Option<&'a str>,
    /// Whether its courier is asked not to fetch it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    cancelling: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    handed_over_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<Moment>,
    /// What was collected for it at the door.
    #[serde(skip_serializing_if = "Option::is_none")]
    collected: Option<MoneyBody>,
    #[serde(skip)]
    is_fetched: bool,
}

impl<'a> ShipmentBody<'a> {
    /// With the link to where it is.
    pub fn with_track(self, shop: &Shop) -> Self {
        let token = || BuyerKeys::new(shop.store_key()).tracking_token(self.id);
        let track_url = self.is_fetched.then(|| format!("/v1/track/{}", token()));
        Self { track_url, ..self }
    }

    /// With whether it is one of those that are stale.
    pub fn with_stale(self, stale: &[ShipmentId]) -> Self {
        Self { tracking_status: stale.contains(&self.id).then_some(TrackingStatus::Stale.name()), ..self }
    }

    /// Of an order.
    pub fn new(order: OrderId, currency: Currency, parcel: &'a Parcel) -> Self {
        let units = |lines: &[WantedLine]| lines.iter().map(ParcelLineBody::from).collect();
        Self {
            id: parcel.id,
            sub_order_id: SubOrderId::of(order, parcel.vendor),
            status: parcel.status,
            lines: units(&parcel.lines),
            accepted: units(&parcel.accepted),
            courier: &parcel.courier,
            tracking_number: parcel.tracking_number.as_deref(),
            track_url: None,
            tracking_status: None,
            booking_refused: parcel.refused.as_deref(),
            cancelling: parcel.cancelling,
            handed_over_at: parcel.handed_over_at.map(Moment),
            delivered_at: parcel.delivered_at.map(Moment),
            collected: parcel.cash.map(|cash| MoneyBody(Money::new(cash.collected, currency))),
            is_fetched: parcel.mint.is_some(),
        }
    }
}

/// What is to be in a parcel, who carries it, and by which number.
type Wanted = (Vec<WantedLine>, Box<str>, Option<Box<str>>);

impl ShipmentInput {
    fn checked(self) -> Result<Wanted> {
        let mut faults = Faults::default();
        let lines = units(&mut faults, self.lines.as_deref(), 1);
        let mut courier = self.courier.unwrap_or_else(|| "own".to_owned());
        faults.text("courier", &mut courier, TextKind::Line, limits::COURIER_NAME);
        let tracking = self.tracking;
        match tracking.as_deref() {
            Some("") => faults.add("tracking", "it must not be empty"),
            Some(tracking) => faults.opaque("tracking", tracking, TextKind::Line, limits::TRACKING_NUMBER),
            None => {}
        }
        faults.done(&INVALID_BODY)?;
        Ok((lines, courier.into(), tracking.map(Into::into)))
    }
}

fn shipment(order: &OrderView, sub: SubOrderId, id: ShipmentId) -> Result<&Parcel> {
    let own = order.sub_orders.iter().find(|own| own.id == sub).ok_or(Reject::OrderUnknown).map_err(Problem::from)?;
    let found = own.parcels.iter().find(|parcel| parcel.id == id);
    found.ok_or(Reject::ShipmentUnknown).map_err(Problem::from)
}

/// What a request does to a share, with the order as the answer.
async fn share(
    desk: Desk<'_>,
    sub: SubOrderId,
    key: &RequestKey,
    raw: &[u8],
    command: impl FnOnce(crate::domain::entity::Principal, crate::domain::ids::VendorId) -> OrderCommand,
) -> Result<Response> {
    let vendor = desk.vendor(&desk.view().await?, sub)?;
    let answer = desk.order(command(desk.caller.principal, vendor), key, raw).await?;
    desk.shown(answer).await
}

/// What becomes of a parcel, with the parcel as the answer.
async fn step(
    desk: Desk<'_>,
    (sub, id): (SubOrderId, ShipmentId),
    key: &RequestKey,
    raw: &[u8],
    step: impl FnOnce(Currency) -> Result<ParcelStep>,
) -> Result<Response> {
    let seen = desk.view().await?;
    shipment(&seen, sub, id)?;
    let step = step(seen.currency)?;
    let seed = desk.seed(key, raw, CreditReason::DeliveryRefused);
    let command = OrderCommand::MoveParcel { by: desk.caller.principal, shipment: id, step: Box::new(step), seed };
    let (order, replayed) = desk.order(command, key, raw).await?;
    let body = ShipmentBody::new(order.id, order.currency, shipment(&order, sub, id)?).with_track(desk.shop);
    Ok(mark_replayed(ok(&body), replayed))
}

problems!(PackProblems: KEYED, BODY, ACTOR; OrderUnknown, SkuUnknown, NotFulfillable, PaymentInProgress, CommandPoisoned);

/// Note that units of a share are packed
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/pack", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"), IdempotencyHeader),
    request_body = PackInput,
    responses((status = 200, description = "The order.", body = OrderBody), PackProblems))]
pub async fn pack_share(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids(order, sub): Ids<OrderId, SubOrderId>,
    body: OptionalJson<PackInput>,
) -> Result<Response> {
    let mut faults = Faults::default();
    let lines = units(&mut faults, body.value.lines.as_deref(), 1);
    faults.done(&INVALID_BODY)?;
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    share(desk, sub, &key, &body.raw, |by, vendor| OrderCommand::Pack { by, vendor, lines }).await
}

/// Note that units of a share are not packed any more
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/unpack", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"), IdempotencyHeader),
    request_body = PackInput,
    responses((status = 200, description = "The order.", body = OrderBody), PackProblems))]
pub async fn unpack_share(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids(order, sub): Ids<OrderId, SubOrderId>,
    body: OptionalJson<PackInput>,
) -> Result<Response> {
    let mut faults = Faults::default();
    let lines = units(&mut faults, body.value.lines.as_deref(), 1);
    faults.done(&INVALID_BODY)?;
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    share(desk, sub, &key, &body.raw, |by, vendor| OrderCommand::Unpack { by, vendor, lines }).await
}

problems!(HoldProblems: KEYED, BODY, ACTOR; OrderUnknown, NotFulfillable, PaymentInProgress, CommandPoisoned);

/// Ship nothing of a share until it is resumed
///
/// What has become of parcels that are on their way is still recorded.
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/hold", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"), IdempotencyHeader),
    request_body = HoldInput,
    responses((status = 200, description = "The order.", body = OrderBody), HoldProblems))]
pub async fn hold_share(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids(order, sub): Ids<OrderId, SubOrderId>,
    body: JsonBody<HoldInput>,
) -> Result<Response> {
    let reason = body.value.reason;
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    share(desk, sub, &key, &body.raw, |by, vendor| OrderCommand::HoldShare { by, vendor, reason }).await
}

problems!(ResumeProblems: KEYED, BODY, ACTOR; OrderUnknown, CommandPoisoned);

/// Go on with a share that was stopped
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/resume", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"), IdempotencyHeader),
    request_body = Nothing,
    responses((status = 200, description = "The order.", body = OrderBody), ResumeProblems))]
pub async fn resume_share(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids(order, sub): Ids<OrderId, SubOrderId>,
    body: OptionalJson<Nothing>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    share(desk, sub, &key, &body.raw, |by, vendor| OrderCommand::ResumeShare { by, vendor }).await
}

problems!(ListShipmentsProblems: AUTH, ACTOR; OrderUnknown);

/// The parcels of a share, the oldest first
#[utoipa::path(get, path = "/v1/orders/{order}/sub-orders/{sub}/shipments", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share")),
    responses((status = 200, description = "All of them.", body = Page<ShipmentBody>), ListShipmentsProblems))]
pub async fn list_shipments(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    State(services): State<Services>,
    caller: Caller,
    Ids(order, sub): Ids<OrderId, SubOrderId>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    let view = desk.view().await?;
    let stale = tracking::stale(&services, &settings, &view).await;
    let own = view.sub_orders.iter().find(|own| own.id == sub).ok_or(Reject::OrderUnknown).map_err(Problem::from)?;
    let shown = |parcel| ShipmentBody::new(order, view.currency, parcel).with_track(&shop).with_stale(&stale);
    let items = own.parcels.iter().map(shown).collect();
    // The order itself was asked: this is how it stands now.
    Ok(ok(&Page { items, next_cursor: None, as_of: Moment(shop.clock().now()) }))
}

problems!(ShipProblems: KEYED, BODY, ACTOR; OrderUnknown, SkuUnknown, NotFulfillable, PaymentInProgress, CommandPoisoned);

/// Put units of a share into a parcel
///
/// Units that are not packed yet are packed with it. A courier of the shop is asked to fetch it: until it has said so the parcel is `booking`. Any other
/// name only says who carries it.
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/shipments", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"), IdempotencyHeader),
    request_body = ShipmentInput,
    responses((status = 201, description = "The parcel.", body = ShipmentBody), ShipProblems))]
pub async fn create_shipment(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    State(services): State<Services>,
    caller: Caller,
    key: RequestKey,
    Ids(order, sub): Ids<OrderId, SubOrderId>,
    body: OptionalJson<ShipmentInput>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    let (lines, courier, tracking_number) = body.value.clone().checked()?;
    let booking = services.couriers.has(&courier).then(|| buyers::mint(shop.clock()));
    let vendor = desk.vendor(&desk.view().await?, sub)?;
    let minted = Mint::new(shop.clock(), key.of(&caller, &body.raw)).uuid(ShipmentId::PREFIX, 0);
    let id = ShipmentId::from_uuid(minted);
    let parcel = Box::new(NewParcel { id, vendor, lines, courier, tracking_number, booking });
    let command = OrderCommand::Ship { by: caller.principal, parcel };
    let (order, replayed) = desk.order(command, &key, &body.raw).await?;
    let made = ShipmentBody::new(order.id, order.currency, shipment(&order, sub, id)?).with_track(&shop);
    Ok(mark_replayed(json(StatusCode::CREATED, &made), replayed))
}

problems!(StepProblems: KEYED, BODY, ACTOR; OrderUnknown, ShipmentUnknown, NotFulfillable, PaymentInProgress, CommandPoisoned);
problems!(DeliverProblems: KEYED, BODY, ACTOR;
    OrderUnknown, ShipmentUnknown, NotFulfillable, PaymentInProgress, CurrencyMismatch, CommandPoisoned);
problems!(CancelShipmentProblems: KEYED, BODY, ACTOR; OrderUnknown, ShipmentUnknown, AlreadyShipped, NotFulfillable, CommandPoisoned);

/// Note that a parcel has left the house
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/hand-over", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"),
        ("shipment" = ShipmentId, Path, description = "The parcel"), IdempotencyHeader),
    request_body = Nothing,
    responses((status = 200, description = "The parcel.", body = ShipmentBody), StepProblems))]
pub async fn hand_over_shipment(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids3(order, sub, id): Ids3<OrderId, SubOrderId, ShipmentId>,
    body: OptionalJson<Nothing>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    step(desk, (sub, id), &key, &body.raw, |_| Ok(ParcelStep::HandOver)).await
}

/// Note that a parcel has arrived, and what of it was accepted
///
/// What was not accepted need not be paid: what was paid for it is given back in the same step. Of an order that is paid at the door `collected` says what
/// was taken there: what is missing stays due until somebody says what became of it, what is too much is given back by hand. Its pieces are in stock again once the parcel is said to
/// be `returned`.
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/deliver", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"),
        ("shipment" = ShipmentId, Path, description = "The parcel"), IdempotencyHeader),
    request_body = DeliverInput,
    responses((status = 200, description = "The parcel.", body = ShipmentBody), DeliverProblems))]
pub async fn deliver_shipment(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids3(order, sub, id): Ids3<OrderId, SubOrderId, ShipmentId>,
    body: OptionalJson<DeliverInput>,
) -> Result<Response> {
    let mut faults = Faults::default();
    let given: Option<Vec<UnitsInput>> =
        body.value.lines.as_ref().map(|lines| {
            lines.iter().map(|line| UnitsInput { sku_id: line.sku_id, quantity: line.quantity }).collect()
        });
    let lines = units(&mut faults, given.as_deref(), 0);
    let collected = body.value.collected.as_ref().and_then(|total| faults.total("collected", total));
    faults.done(&INVALID_BODY)?;
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    let delivered = |currency| match collected {
        Some(taken) if taken.currency != currency => {
            let differs = Reject::CurrencyMismatch { expected: currency, found: taken.currency };
            Err(Problem::from(differs).about("collected.currency"))
        }
        taken => {
            let collected = taken.map(|taken| taken.minor);
            Ok(ParcelStep::Deliver { accepted: given.map(|_| lines), collected })
        }
    };
    step(desk, (sub, id), &key, &body.raw, delivered).await
}

/// Unpack a parcel that was not handed over
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/cancel", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"),
        ("shipment" = ShipmentId, Path, description = "The parcel"), IdempotencyHeader),
    request_body = Nothing,
    responses((status = 200, description = "The parcel.", body = ShipmentBody), CancelShipmentProblems))]
pub async fn cancel_shipment(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids3(order, sub, id): Ids3<OrderId, SubOrderId, ShipmentId>,
    body: OptionalJson<Nothing>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    step(desk, (sub, id), &key, &body.raw, |_| Ok(ParcelStep::Cancel)).await
}

/// Note that a parcel, or what of it was not accepted, is back
///
/// Its pieces are in stock again. What the buyer does not get for it need not be paid.
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/returned", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"),
        ("shipment" = ShipmentId, Path, description = "The parcel"), IdempotencyHeader),
    request_body = Nothing,
    responses((status = 200, description = "The parcel.", body = ShipmentBody), StepProblems))]
pub async fn return_shipment(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids3(order, sub, id): Ids3<OrderId, SubOrderId, ShipmentId>,
    body: OptionalJson<Nothing>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    step(desk, (sub, id), &key, &body.raw, |_| Ok(ParcelStep::Returned)).await
}

/// Note that nobody knows where a parcel is
///
/// What of it is given back is decided with a refund of its lines.
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/lost", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"),
        ("shipment" = ShipmentId, Path, description = "The parcel"), IdempotencyHeader),
    request_body = Nothing,
    responses((status = 200, description = "The parcel.", body = ShipmentBody), StepProblems))]
pub async fn lose_shipment(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids3(order, sub, id): Ids3<OrderId, SubOrderId, ShipmentId>,
    body: OptionalJson<Nothing>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    step(desk, (sub, id), &key, &body.raw, |_| Ok(ParcelStep::Lost)).await
}

/// Correct what was said to have become of a parcel
///
/// For a parcel that was said to be delivered or lost, and in fact came to another end. What was given back for it stays given back, and what is in stock
/// stays in stock: so one that is `returned` is not corrected, and one of which only some was accepted can only be `returned`. Its pieces are in stock
/// again when it is, and what was not given back for them yet is. What its courier tells of it later changes nothing any more: where it contradicts, the
/// order asks for `attention`.
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/shipments/{shipment}/correct", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"),
        ("shipment" = ShipmentId, Path, description = "The parcel"), IdempotencyHeader),
    request_body = CorrectInput,
    responses((status = 200, description = "The parcel.", body = ShipmentBody), StepProblems))]
pub async fn correct_shipment(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids3(order, sub, id): Ids3<OrderId, SubOrderId, ShipmentId>,
    body: JsonBody<CorrectInput>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    step(desk, (sub, id), &key, &body.raw, |_| Ok(ParcelStep::Correct { to: body.value.status })).await
}
