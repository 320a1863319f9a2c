//! What is taken back of a paid order: units that are cancelled, and money that is given back.

use crate::actors::shop::Shop;
use crate::domain::details::Words;
use crate::domain::ids::{OrderId, RefundId, SkuId, SubOrderId};
use crate::domain::money::{Currency, Money};
use crate::domain::order::{
    CreditReason, Order, OrderCommand, OrderReply, OrderView, Refund, RefundPreview, RefundStatus, Wanted,
};
use crate::domain::reject::Reject;
use crate::domain::text::TextKind;
use crate::http::Settings;
use crate::http::answer::{ask, json, mark_replayed, ok, unexpected};
use crate::http::caller::Caller;
use crate::http::desk::{Desk, units};
use crate::http::error::{INVALID_BODY, Problem, Result};
use crate::http::extract::{Id, Ids, JsonBody, OptionalJson};
use crate::http::idempotency::{IdempotencyHeader, RequestKey};
use crate::http::money::{MoneyBody, PriceInput};
use crate::http::notes::{Notes, said};
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, BODY, KEYED, problems};
use crate::http::orders::OrderBody;
use crate::http::valid::Faults;
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Units of a line.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct UnitsInput {
    /// Of which SKU.
    pub(super) sku_id: SkuId,
    /// How many.
    #[schema(minimum = 1, maximum = 10_000)]
    pub(super) quantity: i64,
}

/// Why an order is cancelled as a whole.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", default, deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct CancelOrderInput {
    /// One of `changed_mind` (which it is where nothing is said), `cannot_deliver`, `fraud`, `other`.
    #[schema(value_type = Option<String>, example = "changed_mind", pattern = "^(changed_mind|cannot_deliver|fraud|other)$")]
    reason: Option<CreditReason>,
}

/// Which units of a share are cancelled, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"reason": "cannot_deliver"}))]
pub struct CancelInput {
    /// Units of lines, each SKU once; all that are left where this is absent.
    #[schema(min_items = 1, max_items = 100)]
    lines: Option<Vec<UnitsInput>>,
    /// One of `changed_mind`, `cannot_deliver`, `fraud`, `other`.
    #[schema(value_type = String, example = "cannot_deliver", pattern = "^(changed_mind|cannot_deliver|fraud|other)$")]
    reason: CreditReason,
}

/// What of a share's payment is given back, and why.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"amount": {"amount": "3.33", "currency": "BDT"}, "reason": "goodwill"}))]
pub struct RefundInput {
    /// How much; it may be absent where units or shipping are given back.
    amount: Option<PriceInput>,
    /// Units that were handed over, each SKU once; instead of an amount.
    #[schema(min_items = 1, max_items = 100)]
    lines: Option<Vec<UnitsInput>>,
    /// Whether these units are in stock again.
    #[serde(default)]
    restock: bool,
    /// Whether what is left of shipping and fees is given back besides.
    #[serde(default)]
    shipping: bool,
    /// One of `goodwill`, `damaged`, `missing`, `wrong_item`, `not_as_described`, `late`, `vendor_fault`, `changed_mind`, `other`.
    #[schema(
        value_type = String, example = "goodwill",
        pattern = "^(goodwill|damaged|missing|wrong_item|not_as_described|late|vendor_fault|changed_mind|other)$"
    )]
    reason: CreditReason,
    /// In words, for the staff and the vendor. No event and no log has them, and they are erased with what the order says of its buyer.
    #[schema(value_type = Option<String>, max_length = 1000, example = "as agreed on the phone")]
    note: Option<Words>,
}

/// How a refund was paid that its provider would not carry out.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"reference": "wire 2026-11-27/17"}))]
pub struct MarkPaidInput {
    /// Where it stands in the bank's books.
    #[schema(min_length = 1, max_length = 200, example = "wire 2026-11-27/17")]
    reference: String,
}

only_objects!(UnitsInput, CancelOrderInput, CancelInput, RefundInput, MarkPaidInput);

/// A refund.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefundBody<'a> {
    id: RefundId,
    sub_order_id: SubOrderId,
    amount: MoneyBody,
    /// What of points comes back with it.
    points: i64,
    #[schema(value_type = String, example = "goodwill")]
    reason: CreditReason,
    /// One of `requested`, `pending` (the provider has it, or may have it), `succeeded`, `failed`, `cancelled` (a dispute took its money). One that
    /// succeeded may fail later, when a bank returns it.
    #[schema(value_type = String, example = "requested")]
    status: RefundStatus,
    /// Which try, from 1.
    attempt: u32,
    /// Where it stands in the provider's or the bank's books.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    /// Why it failed, in the provider's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
    /// What was said about it, for the staff and the vendor. Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl<'a> RefundBody<'a> {
    /// Of units for which nothing is left to be given back: there is no refund to wait for.
    fn nothing(id: RefundId, sub_order_id: SubOrderId, reason: CreditReason, currency: Currency) -> Self {
        let (amount, status) = (MoneyBody(Money::new(0, currency)), RefundStatus::Succeeded);
        let (points, attempt, reference, failure, note) = (0, 1, None, None, None);
        Self { id, sub_order_id, amount, points, reason, status, attempt, reference, failure, note }
    }

    /// With what was said about it.
    pub(super) fn with_note(self, notes: &Notes) -> Self {
        Self { note: notes.of_refund(self.id), ..self }
    }

    /// Of an order.
    pub fn new(order: OrderId, refund: &'a Refund, currency: Currency) -> Self {
        let Refund { id, vendor, amount, points, reason, status, attempt, reference, failure, .. } = refund;
        Self {
            id: *id,
            sub_order_id: SubOrderId::of(order, *vendor),
            amount: MoneyBody(Money::new(*amount, currency)),
            points: *points,
            reason: *reason,
            status: *status,
            attempt: *attempt,
            reference: reference.as_deref(),
            failure: failure.as_deref(),
            note: None,
        }
    }
}

/// What a refund would come to.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewBody {
    /// What would be given back.
    amount: MoneyBody,
    /// What of points would come back.
    points: i64,
    /// What of the amount is of shipping and fees.
    shipping: MoneyBody,
    /// The most that can be given back of the share.
    maximum: MoneyBody,
}

impl From<RefundPreview> for PreviewBody {
    fn from(RefundPreview { amount, shipping, maximum, points }: RefundPreview) -> Self {
        let [amount, shipping, maximum] = [amount, shipping, maximum].map(MoneyBody);
        Self { amount, points, shipping, maximum }
    }
}

impl CancelInput {
    fn checked(self) -> Result<(Wanted, CreditReason)> {
        let mut faults = Faults::default();
        let lines = units(&mut faults, self.lines.as_deref(), 1);
        reason_is_of(&mut faults, self.reason, &CreditReason::OF_CANCELS);
        faults.done(&INVALID_BODY)?;
        Ok((Wanted::Units(lines), self.reason))
    }
}

/// Checks that this is one of the reasons.
pub(super) fn reason_is_of(faults: &mut Faults, reason: CreditReason, known: &[CreditReason]) {
    if !known.contains(&reason) {
        let names: Vec<&str> = known.iter().map(|reason| reason.name()).collect();
        faults.add("reason", format!("one of {} is expected", names.join(", ")));
    }
}

impl RefundInput {
    fn checked(self, currency: Currency) -> Result<(Wanted, CreditReason, Option<Words>)> {
        let mut faults = Faults::default();
        let amount = self.amount.as_ref().map(|amount| faults.price("amount", amount));
        let lines = units(&mut faults, self.lines.as_deref(), 1);
        if self.lines.is_some() && self.amount.is_some() {
            faults.add("lines", "units or an amount are expected, not both");
        }
        if self.restock && self.lines.is_none() {
            faults.add("restock", "only units can be in stock again");
        }
        match amount {
            None if !self.shipping && self.lines.is_none() => {
                faults.add("amount", "an amount is expected, or shipping")
            }
            Some(Some(amount)) if amount.currency != currency => {
                faults.add("amount.currency", format!("{currency} is expected"));
            }
            _ => {}
        }
        reason_is_of(&mut faults, self.reason, &CreditReason::OF_REFUNDS);
        let note = said(&mut faults, "note", self.note)?;
        faults.done(&INVALID_BODY)?;
        if self.lines.is_some() {
            let (shipping, restock) = (self.shipping, self.restock);
            return Ok((Wanted::Shipped { lines, shipping, restock }, self.reason, note));
        }
        let minor = amount.flatten().map_or(0, |amount| amount.minor);
        Ok((Wanted::Amount { minor, shipping: self.shipping }, self.reason, note))
    }
}

/// The refund as an answer.
fn refund_answer((order, replayed): &(OrderView, bool), notes: &Notes, id: RefundId, is_new: bool) -> Result<Response> {
    let found = order.refunds.iter().find(|refund| refund.id == id);
    let refund = found.ok_or(Reject::RefundUnknown).map_err(Problem::from)?;
    let body = RefundBody::new(order.id, refund, order.currency).with_note(notes);
    Ok(mark_replayed(if is_new { json(StatusCode::CREATED, &body) } else { ok(&body) }, *replayed))
}

problems!(CancelProblems: KEYED, BODY, ACTOR; OrderUnknown, OrderNotCancellable, AlreadyShipped, PaymentInProgress, PaymentDisputed, TooMany, CommandPoisoned);

/// Cancel an order
///
/// One that is not paid ends unpaid. Of one that is paid all that is left is cancelled: what was paid for it is given back, and the pieces come
/// back into stock.
#[utoipa::path(post, path = "/v1/orders/{order}/cancel", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), IdempotencyHeader),
    request_body = CancelOrderInput,
    responses((status = 200, description = "The order.", body = OrderBody), CancelProblems))]
pub async fn cancel_order(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Id(order): Id<OrderId>,
    body: OptionalJson<CancelOrderInput>,
) -> Result<Response> {
    let reason = body.value.reason.unwrap_or(CreditReason::ChangedMind);
    let mut faults = Faults::default();
    reason_is_of(&mut faults, reason, &CreditReason::OF_CANCELS);
    faults.done(&INVALID_BODY)?;
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    let seed = desk.seed(&key, &body.raw, reason);
    let command = OrderCommand::CancelAll { by: caller.principal, seed };
    desk.shown(desk.order(command, &key, &body.raw).await?).await
}

problems!(CancelShareProblems: KEYED, BODY, ACTOR;
    OrderUnknown, SkuUnknown, OrderNotCancellable, AlreadyShipped, PaymentInProgress, PaymentDisputed, UnitsCredited, TooMany, CommandPoisoned);

/// Cancel units of one vendor's share of a paid order
///
/// What was paid for them is given back in the same step, and the pieces come back into the vendor's stock. With the last unit of the share go its
/// shipping and its fees.
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/cancel", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"), IdempotencyHeader),
    request_body = CancelInput,
    responses((status = 200, description = "The order.", body = OrderBody), CancelShareProblems))]
pub async fn cancel_share(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids(order, sub): Ids<OrderId, SubOrderId>,
    body: JsonBody<CancelInput>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    let (wanted, reason) = body.value.checked()?;
    let vendor = desk.vendor(&desk.view().await?, sub)?;
    let seed = desk.seed(&key, &body.raw, reason);
    let command = OrderCommand::Credit { by: caller.principal, vendor, wanted, seed };
    desk.shown(desk.order(command, &key, &body.raw).await?).await
}

problems!(RefundProblems: KEYED, BODY, ACTOR;
    OrderUnknown, SkuUnknown, OrderNotCancellable, PaymentInProgress, PaymentDisputed, RefundNotPositive, RefundExceedsPayment, UnitsCredited, NotFulfillable, RefundUnknown, TooMany, PaymentUnsupported, CommandPoisoned);

/// Give some of one vendor's share of a paid order back
///
/// The money is on its way once the order has recorded it: the refund is `requested`, and how it goes on stands in the order. One that its provider
/// refuses is `failed`, and is owed still.
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/refunds", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"), IdempotencyHeader),
    request_body = RefundInput,
    responses((status = 201, description = "The refund.", body = RefundBody), RefundProblems))]
pub async fn create_refund(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids(order, sub): Ids<OrderId, SubOrderId>,
    body: JsonBody<RefundInput>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    let view = desk.view().await?;
    let vendor = desk.vendor(&view, sub)?;
    let (wanted, reason, note) = body.value.checked(view.currency)?;
    let seed = desk.seed(&key, &body.raw, reason);
    let command = OrderCommand::Credit { by: caller.principal, vendor, wanted, seed }.with_words(note);
    let answer = desk.order(command, &key, &body.raw).await?;
    let notes = desk.notes(&answer.0).await;
    // Under a key that was used before, the answer tells of the refund that was made then.
    let id = RefundId::from_uuid(seed.id.uuid());
    if answer.0.refunds.iter().all(|refund| refund.id != id) {
        // All that was paid for it was given back before.
        let body = RefundBody::nothing(id, sub, reason, view.currency).with_note(&notes);
        return Ok(mark_replayed(json(StatusCode::CREATED, &body), answer.1));
    }
    refund_answer(&answer, &notes, id, true)
}

problems!(PreviewProblems: KEYED, BODY, ACTOR;
    OrderUnknown, SkuUnknown, OrderNotCancellable, PaymentInProgress, PaymentDisputed, RefundNotPositive, RefundExceedsPayment, UnitsCredited, NotFulfillable, PaymentUnsupported);

/// Tell what a refund would come to
#[utoipa::path(post, path = "/v1/orders/{order}/sub-orders/{sub}/refund-preview", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("sub" = SubOrderId, Path, description = "The share"), IdempotencyHeader),
    request_body = RefundInput,
    responses((status = 200, description = "What it would come to. Nothing is changed.", body = PreviewBody), PreviewProblems))]
pub async fn preview_refund(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    _key: RequestKey,
    Ids(order, sub): Ids<OrderId, SubOrderId>,
    body: JsonBody<RefundInput>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    let view = desk.view().await?;
    let vendor = desk.vendor(&view, sub)?;
    let (wanted, ..) = body.value.checked(view.currency)?;
    let command = OrderCommand::PreviewCredit { by: caller.principal, vendor, wanted };
    match ask::<Order>(&shop, order, command, desk.how(None)).await? {
        (OrderReply::Preview { preview }, _) => Ok(ok(&PreviewBody::from(preview))),
        (other, _) => Err(unexpected(&other)),
    }
}

problems!(RetryProblems: KEYED, BODY, ACTOR; OrderUnknown, RefundUnknown, RefundNotOpen, CommandPoisoned);
problems!(MarkPaidProblems: KEYED, BODY, ACTOR; OrderUnknown, RefundUnknown, RefundNotOpen, PaymentDisputed, CommandPoisoned);

/// Ask for a refund that failed again
#[utoipa::path(post, path = "/v1/orders/{order}/refunds/{refund}/retry", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("refund" = RefundId, Path, description = "The refund"), IdempotencyHeader),
    request_body = crate::http::carts::Nothing,
    responses((status = 200, description = "The refund, under its next attempt.", body = RefundBody), RetryProblems))]
pub async fn retry_refund(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids(order, refund): Ids<OrderId, RefundId>,
    body: OptionalJson<crate::http::carts::Nothing>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    let view = desk.view().await?;
    let known = view.refunds.iter().find(|known| known.id == refund);
    let attempt = known.ok_or(Reject::RefundUnknown).map_err(Problem::from)?.attempt;
    let command = OrderCommand::RetryRefund { by: caller.principal, refund, attempt };
    let answer = desk.order(command, &key, &body.raw).await?;
    refund_answer(&answer, &desk.notes(&answer.0).await, refund, false)
}

/// Note that a refund that failed was given back outside
#[utoipa::path(post, path = "/v1/orders/{order}/refunds/{refund}/mark-paid", tag = "orders", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order"), ("refund" = RefundId, Path, description = "The refund"), IdempotencyHeader),
    request_body = MarkPaidInput,
    responses((status = 200, description = "The refund.", body = RefundBody), MarkPaidProblems))]
pub async fn mark_refund_paid(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    caller: Caller,
    key: RequestKey,
    Ids(order, refund): Ids<OrderId, RefundId>,
    body: JsonBody<MarkPaidInput>,
) -> Result<Response> {
    let desk = Desk { shop: &shop, settings: &settings, caller: &caller, order };
    let mut faults = Faults::default();
    let reference = body.value.reference;
    match reference.is_empty() {
        true => faults.add("reference", "it must not be empty"),
        false => faults.opaque("reference", &reference, TextKind::Line, limits::SHORT_TEXT),
    }
    faults.done(&INVALID_BODY)?;
    let command = OrderCommand::MarkRefundPaid { by: caller.principal, refund, reference };
    let answer = desk.order(command, &key, &body.raw).await?;
    refund_answer(&answer, &desk.notes(&answer.0).await, refund, false)
}
