//! What buyers send back of an order.

use crate::actors::shop::Shop;
use crate::domain::details::Words;
use crate::domain::ids::{OrderId, RefundId, ReturnId, SkuId, SubOrderId};
use crate::domain::order::{
    Condition, CreditReason, NewReturn, OrderCommand, OrderView, ReceivedLine, Return, ReturnStatus, ReturnStep,
};
use crate::domain::reject::Reject;
use crate::http::Settings;
use crate::http::answer::{json, mark_replayed, ok};
use crate::http::caller::Caller;
use crate::http::carts::Nothing;
use crate::http::desk::{Desk, units};
use crate::http::error::{INVALID_BODY, Problem, Result};
use crate::http::extract::{Ids, Ids3, JsonBody, OptionalJson};
use crate::http::idempotency::{IdempotencyHeader, Mint, RequestKey};
use crate::http::notes::{Notes, said};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, BODY, KEYED, problems};
use crate::http::refunds::{UnitsInput, reason_is_of};
use crate::http::shipments::ParcelLineBody;
use crate::http::valid::Faults;
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What is to be sent back, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"lines": [{"sku_id": "sku_01h455vb4pex5vsknk084sn02q", "quantity": 1}], "reason": "damaged"}))]
pub struct ReturnInput {
    /// Units of lines, each SKU once.
    #[schema(min_items = 1, max_items = 100)]
    lines: Vec<UnitsInput>,
    /// One of `goodwill`, `damaged`, `missing`, `wrong_item`, `not_as_described`, `late`, `vendor_fault`, `changed_mind`, `other`.
    #[schema(
        value_type = String, example = "damaged",
        pattern = "^(goodwill|damaged|missing|wrong_item|not_as_described|late|vendor_fault|changed_mind|other)$"
    )]
    reason: CreditReason,
    /// In words. No event and no log has them, and they are erased with what the order says of its buyer.
    #[schema(value_type = Option<String>, max_length = 1000, example = "the seam is open")]
    comment: Option<Words>,
}

/// What is decided about a return.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct ReturnStepInput {
    /// In words, for the staff and the vendor.
    #[schema(value_type = Option<String>, max_length = 1000, example = "it can be brought to the shop")]
    note: Option<Words>,
}

/// What came back.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"lines": [{"sku_id": "sku_01h455vb4pex5vsknk084sn02q", "quantity": 1, "condition": "resellable"}]}))]
pub struct ReceiveInput {
    /// Units of lines, each SKU once in each condition.
    #[schema(min_items = 1, max_items = 300)]
    lines: Vec<ReceivedInput>,
    /// In words, for the staff and the vendor.
    #[schema(value_type = Option<String>, max_length = 1000, example = "the box was open")]
    note: Option<Words>,
}

/// Units that came back.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct ReceivedInput {
    /// Of which SKU.
    sku_id: SkuId,
    /// How many.
    #[schema(minimum = 1, maximum = 10_000)]
    quantity: i64,
    /// One of `resellable` (in stock again), `damaged`, `missing` (it was not in the parcel, and is not given back).
    #[schema(value_type = String, example = "resellable", pattern = "^(resellable|damaged|missing)$")]
    condition: Condition,
}

only_objects!(ReturnInput, ReturnStepInput, ReceiveInput, ReceivedInput);

/// Units that came back.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct ReceivedBody {
    sku_id: SkuId,
    quantity: i64,
    #[schema(value_type = String, example = "resellable")]
    condition: Condition,
}

/// A return.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReturnBody {
    id: ReturnId,
    sub_order_id: SubOrderId,
    /// One of `requested`, `approved`, `denied`, `received`, `closed`, `cancelled`.
    #[schema(value_type = String, example = "requested")]
    status: ReturnStatus,
    /// What is sent back.
    lines: Vec<ParcelLineBody>,
    #[schema(value_type = String, example = "damaged")]
    reason: CreditReason,
    /// What came, once it has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    received: Vec<ReceivedBody>,
    /// What is given back for what came.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_id: Option<RefundId>,
    /// What was said by whoever asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// What was said last about it by whoever decided, for the staff and the vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl ReturnBody {
    /// Of an order.
    pub fn new(order: OrderId, known: &Return) -> Self {
        let received =
            |line: &ReceivedLine| ReceivedBody { sku_id: line.sku, quantity: line.quantity, condition: line.condition };
        Self {
            id: known.id,
            sub_order_id: SubOrderId::of(order, known.vendor),
            status: known.status,
            lines: known.lines.iter().map(ParcelLineBody::from).collect(),
            reason: known.reason,
            received: known.received.iter().map(received).collect(),
            refund_id: known.refund,
            comment: None,
            note: None,
        }
    }

    /// With what was said about it.
    pub(super) fn with_notes(self, notes: &Notes) -> Self {
        let (comment, note) = notes.of_return(self.id);
        Self { comment, note, ..self }
    }
}

impl ReceiveInput {
    fn checked(self) -> Result<(Vec<ReceivedLine>, Option<Words>)> {
        let mut faults = Faults::default();
        let most = limits::CART_LINES * Condition::ALL.len();
        if !(1..=most).contains(&self.lines.len()) {
            faults.add("lines", format!("1 to {most} of them are expected"));
        }
        for (index, line) in self.lines.iter().enumerate().take(most) {
            if !(1..=limits::LINE_QUANTITY).contains(&line.quantity) {
                faults.add(format!("lines[{index}].quantity"), format!("1 to {} is expected", limits::LINE_QUANTITY));
            }
            let is_same = |before: &ReceivedInput| (before.sku_id, before.condition) == (line.sku_id, line.condition);
            if self.lines[..index].iter().any(is_same) {
                faults.add(format!("lines[{index}].sku_id"), "each SKU stands here once in each condition");
            }
        }
        let note = said(&mut faults, "note", self.note)?;
        faults.done(&INVALID_BODY)?;
        let line = |line: &ReceivedInput| ReceivedLine {
            sku: line.sku_id,
            quantity: line.quantity,
            condition: line.condition,
        };
        Ok((self.lines.iter().map(line).collect(), note))
    }
}

impl ReturnStepInput {
    fn checked(self) -> Result<Option<Words>> {
        let mut faults = Faults::default();
        let note = said(&mut faults, "note", self.note)?;
        faults.done(&INVALID_BODY).map(|()| note)
    }
}

fn found(order: &OrderView, sub: SubOrderId, id: ReturnId) -> Result<&Return> {
    let own = order.sub_orders.iter().find(|own| own.id == sub).ok_or(Reject::OrderUnknown).map_err(Problem::from)?;
    let found = order.returns.iter().find(|known| known.id == id && known.vendor == own.vendor);
    found.ok_or(Reject::ReturnUnknown).map_err(Problem::from)
}

/// What is done to a return, with the return as the answer.
async fn step(
    desk: Desk<'_>,
    (sub, id): (SubOrderId, ReturnId),
    key: &RequestKey,
    raw: &[u8],
    step: ReturnStep,
    note: Option<Words>,
) -> Result<Response> {
    let reason = found(&desk.view().await?, sub, id)?.reason;
    let seed = desk.seed(key, raw, reason);
    let command = OrderCommand::MoveReturn { by: desk.caller.principal, id, step: Box::new(step), seed };
    let (order, replayed) = desk.order(command.with_words(note), key, raw).await?;
    let body = ReturnBody::new(order.id, found(&order, sub, id)?).with_notes(&desk.notes(&order).await);
    Ok(mark_replayed(ok(&body), replayed))
}

problems!(ReturnProblems: KEYED, BODY, ACTOR; OrderUnknown, SkuUnknown, NotReturnable, TooMany, PaymentUnsupported, CommandPoisoned);

/// Ask for a return of what has arrived
///
/// A buyer may for as many days after the delivery as the shop says; the staff and the vendor may allow more.
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/returns", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"), IdempotencyHeader),
    request_body = ReturnInput,
    responses((status = 201, description = "The return.", body = ReturnBody), ReturnProblems))]
pub async fn create_return(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids(order, sub): Ids<OrderId, SubOrderId>,
    body: JsonBody<ReturnInput>,
) -> Result<Response> {
    let mut faults = Faults::default();
    let lines = units(&mut faults, Some(&body.value.lines), 1);
    reason_is_of(&mut faults, body.value.reason, &CreditReason::OF_REFUNDS);
    let comment = said(&mut faults, "comment", body.value.comment)?;
    faults.done(&INVALID_BODY)?;
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    let vendor = desk.vendor(&desk.view().await?, sub)?;
    let minted = Mint::new(shop.clock(), key.of(&caller, &body.raw)).uuid(ReturnId::PREFIX, 0);
    let id = ReturnId::from_uuid(minted);
    let wanted = Box::new(NewReturn { id, vendor, lines, reason: body.value.reason });
    let command = OrderCommand::AskReturn { by: caller.principal, wanted }.with_words(comment);
    let (order, replayed) = desk.order(command, &key, &body.raw).await?;
    let body = ReturnBody::new(order.id, found(&order, sub, id)?).with_notes(&desk.notes(&order).await);
    Ok(mark_replayed(json(StatusCode::CREATED, &body), replayed))
}

problems!(ReturnStepProblems: KEYED, BODY, ACTOR; OrderUnknown, ReturnUnknown, NotReturnable, PaymentUnsupported, CommandPoisoned);

/// Allow a return
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/returns/{return}/approve", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"),
        ("return" = ReturnId, Path, description = "The return"), IdempotencyHeader),
    request_body = ReturnStepInput,
    responses((status = 200, description = "The return.", body = ReturnBody), ReturnStepProblems))]
pub async fn approve_return(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids3(order, sub, id): Ids3<OrderId, SubOrderId, ReturnId>,
    body: OptionalJson<ReturnStepInput>,
) -> Result<Response> {
    let note = body.value.checked()?;
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    step(desk, (sub, id), &key, &body.raw, ReturnStep::Approve, note).await
}

/// Do not allow a return
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/returns/{return}/deny", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"),
        ("return" = ReturnId, Path, description = "The return"), IdempotencyHeader),
    request_body = ReturnStepInput,
    responses((status = 200, description = "The return.", body = ReturnBody), ReturnStepProblems))]
pub async fn deny_return(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids3(order, sub, id): Ids3<OrderId, SubOrderId, ReturnId>,
    body: OptionalJson<ReturnStepInput>,
) -> Result<Response> {
    let note = body.value.checked()?;
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    step(desk, (sub, id), &key, &body.raw, ReturnStep::Deny, note).await
}

/// Note what came back
///
/// What came is given back in the same step, also where it is damaged; what is resellable is in stock again.
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/returns/{return}/receive", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"),
        ("return" = ReturnId, Path, description = "The return"), IdempotencyHeader),
    request_body = ReceiveInput,
    responses((status = 200, description = "The return.", body = ReturnBody), ReturnStepProblems))]
pub async fn receive_return(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids3(order, sub, id): Ids3<OrderId, SubOrderId, ReturnId>,
    body: JsonBody<ReceiveInput>,
) -> Result<Response> {
    let (lines, note) = body.value.checked()?;
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    step(desk, (sub, id), &key, &body.raw, ReturnStep::Receive { lines }, note).await
}

/// Close a return that was received
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/returns/{return}/close", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"),
        ("return" = ReturnId, Path, description = "The return"), IdempotencyHeader),
    request_body = ReturnStepInput,
    responses((status = 200, description = "The return.", body = ReturnBody), ReturnStepProblems))]
pub async fn close_return(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids3(order, sub, id): Ids3<OrderId, SubOrderId, ReturnId>,
    body: OptionalJson<ReturnStepInput>,
) -> Result<Response> {
    let note = body.value.checked()?;
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    step(desk, (sub, id), &key, &body.raw, ReturnStep::Close, note).await
}

/// Keep what was to be returned
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/returns/{return}/cancel", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"),
        ("return" = ReturnId, Path, description = "The return"), IdempotencyHeader),
    request_body = Nothing,
    responses((status = 200, description = "The return.", body = ReturnBody), ReturnStepProblems))]
pub async fn cancel_return(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids3(order, sub, id): Ids3<OrderId, SubOrderId, ReturnId>,
    body: OptionalJson<Nothing>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    step(desk, (sub, id), &key, &body.raw, ReturnStep::Cancel, None).await
}
