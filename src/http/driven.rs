//! What drives the sandbox: disputes of its payments and refunds that a bank returns, which come from nobody's card in a demo or a test.
//!
//! The books are written first; then the order looks at its payment as after a provider's notice. Where that cannot be noted, the hourly sweep
//! finds it.

use crate::actors::shop::Shop;
use crate::domain::ids::{OrderId, RefundId};
use crate::domain::order::{DisputeStatus, DisputeTold};
use crate::domain::reject::Reject;
use crate::http::answer::{json, ok};
use crate::http::error::{INVALID_BODY, NOT_FOUND, Problem, Result, UNAVAILABLE};
use crate::http::extract::{Id, JsonBody, PathId, Query, parse_id};
use crate::http::money::{Moment, MoneyBody, PriceInput};
use crate::http::object::only_objects;
use crate::http::openapi::{AUTH, BODY, READS, problems};
use crate::http::page::checked_limit;
use crate::http::services::Services;
use crate::http::valid::{Faults, filled};
use crate::ports::{ChargeLog, GivenBack, SandboxDispute, Undriven};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What a buyer's bank takes back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"amount": {"amount": "1.00", "currency": "BDT"}, "reason": "product_not_received"}))]
pub struct DriveDisputeInput {
    /// How much of the payment.
    amount: PriceInput,
    /// Why: a code.
    #[schema(pattern = "^[a-z0-9_]{1,64}$", example = "product_not_received")]
    reason: String,
}

/// How a bank decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisputeOutcome {
    /// The shop keeps the money.
    Won,
    /// The buyer has it back.
    Lost,
}

/// What a bank decides about a dispute.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"outcome": "won"}))]
pub struct CloseDisputeInput {
    #[schema(inline)]
    outcome: DisputeOutcome,
}

/// Why a bank returns a refund.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"reason": "account_closed"}))]
pub struct FailRefundInput {
    /// A code.
    #[schema(pattern = "^[a-z0-9_]{1,64}$", example = "account_closed")]
    reason: String,
}

only_objects!(DriveDisputeInput, CloseDisputeInput, FailRefundInput);

/// A dispute in the sandbox's books.
#[derive(Debug, Serialize, ToSchema)]
pub struct SandboxDisputeBody {
    #[schema(example = "dp_01h2xcejqtf2nbrexx3vqjhp41_1")]
    id: String,
    order_id: OrderId,
    /// One of `open`, `won` (the shop keeps the money), `lost`.
    #[schema(value_type = String, example = "open")]
    status: DisputeStatus,
    amount: MoneyBody,
    #[schema(example = "product_not_received")]
    reason: String,
}

impl SandboxDisputeBody {
    fn new(order: OrderId, DisputeTold { id, status, amount, reason }: DisputeTold) -> Self {
        Self { id, order_id: order, status, amount: MoneyBody(amount), reason }
    }
}

/// Which refunds to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SandboxRefundsQuery {
    /// Only this order's.
    #[param(pattern = "^(order_[0-7][0-9a-hjkmnp-tv-z]{25})?$", example = "order_01h2xcejqtf2nbrexx3vqjhp41")]
    #[serde(default, deserialize_with = "filled")]
    order: Option<String>,
    /// At most so many, the newest first.
    #[param(minimum = 1, maximum = 200, default = 50)]
    #[serde(default, deserialize_with = "filled")]
    limit: Option<u32>,
}

/// What was given back in parts, as the sandbox's books have it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SandboxRefundsBody {
    items: Vec<SandboxRefundBody>,
}

/// A refund in the sandbox's books.
#[derive(Debug, Serialize, ToSchema)]
pub struct SandboxRefundBody {
    id: RefundId,
    order_id: OrderId,
    amount: MoneyBody,
    /// `succeeded`, or `failed` once a bank has returned it.
    #[schema(example = "succeeded")]
    status: &'static str,
    /// Which try, from 1.
    attempt: u32,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When it came to stand so.
    at: Moment,
}

impl From<GivenBack> for SandboxRefundBody {
    fn from(GivenBack { order, refund, attempt, amount, failure, at }: GivenBack) -> Self {
        let status = if failure.is_some() { "failed" } else { "succeeded" };
        let (amount, at) = (MoneyBody(amount), Moment(at));
        Self { id: refund, order_id: order, amount, status, attempt, reason: failure, at }
    }
}

impl PathId for SandboxDispute {
    fn unknown() -> Problem {
        Problem::new(&NOT_FOUND, "the sandbox's books know no such dispute")
    }
}

/// Why nothing came of it; what the books do not know is an unknown `T`.
fn undriven<T: PathId>(undriven: Undriven) -> Problem {
    match undriven {
        Undriven::Unknown => T::unknown(),
        Undriven::Exceeds(refundable) => Reject::RefundExceedsPayment { refundable }.into(),
        Undriven::NoAnswer(error) => {
            tracing::warn!(%error, "the sandbox's books were not written");
            Problem::new(&UNAVAILABLE, "the sandbox's books cannot be written now").retry_after(1)
        }
    }
}

fn books(shop: &Shop) -> Result<&dyn ChargeLog> {
    shop.charge_log().ok_or_else(|| Problem::new(&NOT_FOUND, "no gateway here keeps a ledger of its own"))
}

/// A reason that is a code, as those of providers are.
fn code(faults: &mut Faults, reason: &str) {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=64).contains(&reason.len()) || !reason.bytes().all(is_plain) {
        faults.add("reason", "a code of at most 64 small letters, digits and underlines is expected");
    }
}

/// Has the order look at its payment, as after a notice.
async fn tell(services: &Services, order: OrderId) {
    if let Err(error) = services.payments.look_at(&[order]).await {
        tracing::warn!(%order, %error, "an order hears of what has changed in the sandbox only when that is swept");
    }
}

problems!(ListSandboxRefundsProblems: AUTH, READS, &[&NOT_FOUND, &crate::http::error::INVALID_QUERY]; OrderUnknown);

/// The sandbox's own refunds
#[utoipa::path(get, path = "/v1/admin/sandbox/refunds", tag = "admin", security(("bearer" = [])), params(SandboxRefundsQuery),
    responses((status = 200, description = "Refunds.", body = SandboxRefundsBody), ListSandboxRefundsProblems))]
pub async fn list_sandbox_refunds(
    State(shop): State<Shop>,
    Query(asked): Query<SandboxRefundsQuery>,
) -> Result<Response> {
    let limit = checked_limit(asked.limit)?;
    let order: Option<OrderId> = asked.order.as_deref().map(parse_id).transpose()?;
    let refunds = books(&shop)?.refunds(order, limit as usize);
    Ok(ok(&SandboxRefundsBody { items: refunds.into_iter().map(SandboxRefundBody::from).collect() }))
}

problems!(DriveDisputeProblems: AUTH, BODY, &[&NOT_FOUND, &UNAVAILABLE]; OrderUnknown, RefundExceedsPayment);

/// Have a buyer's bank dispute a payment of the sandbox's
///
/// Of the money that the shop still has of it. The order hears of it as of any dispute: in a moment, at most once a minute.
#[utoipa::path(post, path = "/v1/admin/sandbox/charges/{order}/dispute", tag = "admin", security(("bearer" = [])),
    params(("order" = OrderId, Path, description = "The order")), request_body = DriveDisputeInput,
    responses((status = 201, description = "The dispute.", body = SandboxDisputeBody), DriveDisputeProblems))]
pub async fn drive_dispute(
    State(shop): State<Shop>,
    State(services): State<Services>,
    Id(order): Id<OrderId>,
    body: JsonBody<DriveDisputeInput>,
) -> Result<Response> {
    let DriveDisputeInput { amount, reason } = body.value;
    let mut faults = Faults::default();
    let amount = faults.price("amount", &amount);
    code(&mut faults, &reason);
    faults.done(&INVALID_BODY)?;
    let Some(amount) = amount else { return Err(Problem::new(&INVALID_BODY, "an amount is expected")) };
    let told = books(&shop)?.dispute(order, amount, &reason).await.map_err(undriven::<OrderId>)?;
    tell(&services, order).await;
    Ok(json(StatusCode::CREATED, &SandboxDisputeBody::new(order, told)))
}

problems!(CloseDisputeProblems: AUTH, BODY, &[&NOT_FOUND, &UNAVAILABLE]);

/// Have the bank decide a dispute of the sandbox's
///
/// Once: one that has ended is shown as it is.
#[utoipa::path(post, path = "/v1/admin/sandbox/disputes/{dispute}/close", tag = "admin", security(("bearer" = [])),
    params(("dispute" = String, Path, description = "The dispute", example = "dp_01h2xcejqtf2nbrexx3vqjhp41_1")),
    request_body = CloseDisputeInput,
    responses((status = 200, description = "The dispute.", body = SandboxDisputeBody), CloseDisputeProblems))]
pub async fn close_dispute(
    State(shop): State<Shop>,
    State(services): State<Services>,
    Id(dispute): Id<SandboxDispute>,
    body: JsonBody<CloseDisputeInput>,
) -> Result<Response> {
    let won = body.value.outcome == DisputeOutcome::Won;
    let told = books(&shop)?.close_dispute(dispute, won).await.map_err(undriven::<SandboxDispute>)?;
    tell(&services, dispute.order).await;
    Ok(ok(&SandboxDisputeBody::new(dispute.order, told)))
}

problems!(FailRefundProblems: AUTH, BODY, &[&NOT_FOUND, &UNAVAILABLE]; RefundUnknown);

/// Have a bank return a refund of the sandbox's
///
/// The newest try of it, which had succeeded. Once: one that has come back is shown as it is.
#[utoipa::path(post, path = "/v1/admin/sandbox/refunds/{refund}/fail", tag = "admin", security(("bearer" = [])),
    params(("refund" = RefundId, Path, description = "The refund")), request_body = FailRefundInput,
    responses((status = 200, description = "The refund.", body = SandboxRefundBody), FailRefundProblems))]
pub async fn fail_refund(
    State(shop): State<Shop>,
    State(services): State<Services>,
    Id(refund): Id<RefundId>,
    body: JsonBody<FailRefundInput>,
) -> Result<Response> {
    let FailRefundInput { reason } = body.value;
    let mut faults = Faults::default();
    code(&mut faults, &reason);
    faults.done(&INVALID_BODY)?;
    let given = books(&shop)?.return_refund(refund, &reason).await.map_err(undriven::<RefundId>)?;
    tell(&services, given.order).await;
    Ok(ok(&SandboxRefundBody::from(given)))
}
