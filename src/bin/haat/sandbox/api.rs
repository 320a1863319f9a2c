//! What the sandbox is asked over HTTP: the contract of docs/redirect-payments.md, its books, and what drives it; and by whom, and what befalls each
//! request.

use super::books::Undone;
use super::faults::Fault;
use super::outbox::Half;
use super::payment::{Payment, PaymentInput, RefundInput};
use super::{Sandbox, page, parcels};
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A fault of this one request.
const FAULT: &str = "haat-sandbox-fault";
/// Payments on a page of changes.
const PAGE: usize = 100;
/// How long whoever is never answered may wait at most.
const NEVER: Duration = Duration::from_secs(300);

/// What is refused, in the contract's word for it.
pub(super) struct Problem(pub(super) u16, pub(super) &'static str);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(json!({"code": self.1}))).into_response()
    }
}

pub(super) fn undone(undone: Undone) -> Problem {
    match undone {
        Undone::Refused((status, code)) => Problem(status, code),
        Undone::Broken(error) => {
            tracing::error!(%error, "the sandbox's books cannot be written");
            Problem(500, "internal")
        }
    }
}

pub(super) type Answer = Result<Response, Problem>;

pub(super) fn said(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|_| Problem(422, "invalid"))
}

/// All routes.
pub(super) fn router(sandbox: Arc<Sandbox>) -> Router {
    let shops = Router::new()
        .route("/payments/{payment}", put(make).get(look_up).delete(cancel))
        .route("/payments/{payment}/refunds", get(refunds))
        .route("/payments/{payment}/refunds/{refund}", put(refund).get(look_up_refund))
        .route("/payments/{payment}/disputes", get(disputes_of))
        .route("/changes", get(changes))
        .route("/books/charges", get(charges))
        .route("/books/charges/{payment}/dispute", post(dispute))
        .route("/books/refunds", get(all_refunds))
        .route("/books/refunds/{refund}/fail", post(fail_refund))
        .route("/books/disputes", get(disputes))
        .route("/books/disputes/{dispute}/close", post(close_dispute))
        .route_layer(from_fn_with_state(sandbox.clone(), faulty))
        .route_layer(from_fn_with_state((sandbox.clone(), Half::Payments), known));
    let parcels = parcels::router()
        .route_layer(from_fn_with_state(sandbox.clone(), faulty))
        .route_layer(from_fn_with_state((sandbox.clone(), Half::Parcels), known));
    let buyers = Router::new().route("/pay/{reference}", get(page::show).post(page::act));
    shops.merge(parcels).merge(buyers).fallback(async || Problem(404, "not_found")).with_state(sandbox)
}

/// Lets in who has the secret of this business.
async fn known(State((sandbox, half)): State<(Arc<Sandbox>, Half)>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
    let bearer = sandbox.bearer(half).unwrap_or_default();
    match aws_lc_rs::constant_time::verify_slices_are_equal(given, bearer.as_bytes()) {
        Ok(()) if !bearer.is_empty() => next.run(request).await,
        _ => Problem(401, "unauthorized").into_response(),
    }
}

/// Lets each request meet its faults: its own, if it names one, else those of the payment.
async fn faulty(State(sandbox): State<Arc<Sandbox>>, headers: HeaderMap, request: Request, next: Next) -> Answer {
    let own = match headers.get(FAULT).map(|value| value.to_str().ok().and_then(Fault::parse)) {
        Some(None) => return Err(Problem(422, "invalid")),
        Some(own) => own,
        None => None,
    };
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 * 1024).await.map_err(|_| Problem(413, "invalid"))?;
    let path = parts.uri.path().to_owned();
    let (fault, strikes) = match own {
        Some(own) => (own, true),
        None => sandbox.fault_of(&path, &parts.method, &body).await?,
    };
    // A fault that strikes once strikes the first time that this is asked for; one that a request names, always.
    let first = own.is_some() || (strikes && sandbox.is_first(&format!("{} {path}", parts.method)));
    match fault {
        Fault::Slow(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Fault::Never if strikes => {
            tokio::time::sleep(NEVER).await;
            return Err(Problem(503, "busy"));
        }
        Fault::FiveHundredThenOk if first => return Err(Problem(500, "internal")),
        Fault::Busy(seconds) if first => {
            let busy = Problem(429, "busy").into_response();
            return Ok(([(RETRY_AFTER, seconds.to_string())], busy).into_response());
        }
        _ => {}
    }
    let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
    match fault {
        Fault::LostReply if first => {
            let broken =
                futures::stream::iter([Ok(Bytes::from("{")), Err(std::io::Error::other("the answer is lost"))]);
            Ok(Body::from_stream(broken).into_response())
        }
        Fault::FiveHundredSticky if strikes => Err(Problem(500, "internal")),
        _ => Ok(answer),
    }
}

impl Sandbox {
    /// What a request about this meets, and whether it is one that does.
    async fn fault_of(&self, path: &str, method: &Method, body: &[u8]) -> Result<(Fault, bool), Problem> {
        let mut parts = path.trim_start_matches('/').split('/');
        let name = match (parts.next().unwrap_or_default(), parts.next()) {
            ("payments", Some(name)) => name,
            ("shipments", Some(name)) => return Ok(self.fault_of_parcel(name, method, body).await),
            _ => return Ok((Fault::Ok, false)),
        };
        let is_put = method == Method::PUT;
        let of_refund = parts.next() == Some("refunds") && parts.next().is_some();
        let payment = self.books.find(name).await.map_err(undone)?;
        // A payment that is not there yet says in its body what it meets.
        let faults = match (&payment, serde_json::from_slice::<PaymentInput>(body)) {
            (Some(payment), _) => Some(payment.faults()),
            (None, Ok(input)) if is_put => super::faults::Faults::parse(input.token.as_deref().unwrap_or_default()),
            _ => None,
        };
        let Some(faults) = faults else { return Ok((Fault::Ok, false)) };
        let fault = match (of_refund, faults.refund) {
            (false, _) => faults.payment,
            // A refund that never comes to anything is pending.
            (true, Fault::Never) => Fault::Ok,
            (true, fault) => fault,
        };
        Ok((fault, is_put))
    }
}

async fn make(State(sandbox): State<Arc<Sandbox>>, Path(name): Path<String>, body: Bytes) -> Answer {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !(1..=100).contains(&name.len()) || !name.bytes().all(is_plain) || name.starts_with("pay_") {
        return Err(Problem(422, "invalid"));
    }
    let (is_new, payment) = sandbox.books.make(&name, read(&body)?).await.map_err(undone)?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(said(status, payment.json(&sandbox.base)))
}

async fn found(sandbox: &Sandbox, name: &str) -> Result<Payment, Problem> {
    sandbox.books.find(name).await.map_err(undone)?.ok_or(Problem(404, "unknown_payment"))
}

async fn look_up(State(sandbox): State<Arc<Sandbox>>, Path(name): Path<String>) -> Answer {
    Ok(said(StatusCode::OK, found(&sandbox, &name).await?.json(&sandbox.base)))
}

async fn cancel(State(sandbox): State<Arc<Sandbox>>, Path(name): Path<String>) -> Answer {
    let (is_done, payment) = sandbox.books.change(&name, |payment, _| Ok(payment.cancel())).await.map_err(undone)?;
    let status = if is_done { StatusCode::OK } else { StatusCode::CONFLICT };
    Ok(said(status, payment.json(&sandbox.base)))
}

fn refund_of(payment: &Payment, refund: &str) -> Answer {
    let known = payment.refunds.iter().find(|known| known.name == refund).ok_or(Problem(404, "unknown_refund"))?;
    Ok(said(StatusCode::OK, payment.refund_json(known)))
}

async fn refund(
    State(sandbox): State<Arc<Sandbox>>,
    Path((name, refund)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let input: RefundInput = read(&body)?;
    let change = sandbox.books.change(&name, |payment, now| payment.refund(&refund, input, now)).await;
    let (is_known, payment) = change.map_err(undone)?;
    let mut answer = refund_of(&payment, &refund)?;
    if !is_known {
        *answer.status_mut() = StatusCode::CREATED;
    }
    Ok(answer)
}

async fn look_up_refund(State(sandbox): State<Arc<Sandbox>>, Path((name, refund)): Path<(String, String)>) -> Answer {
    refund_of(&found(&sandbox, &name).await?, &refund)
}

async fn refunds(State(sandbox): State<Arc<Sandbox>>, Path(name): Path<String>) -> Answer {
    let payment = found(&sandbox, &name).await?;
    let items: Vec<Value> = payment.refunds.iter().map(|refund| payment.refund_json(refund)).collect();
    Ok(said(StatusCode::OK, json!({"items": items})))
}

async fn disputes_of(State(sandbox): State<Arc<Sandbox>>, Path(name): Path<String>) -> Answer {
    let payment = found(&sandbox, &name).await?;
    let items: Vec<Value> = payment.disputes.iter().map(|dispute| payment.dispute_json(dispute)).collect();
    Ok(said(StatusCode::OK, json!({"items": items})))
}

/// Since when, in seconds, and from behind which place on.
#[derive(Deserialize)]
struct Since {
    since: i64,
    after: Option<String>,
}

async fn changes(State(sandbox): State<Arc<Sandbox>>, asked: Result<Query<Since>, QueryRejection>) -> Answer {
    let Query(Since { since, after }) = asked.map_err(|_| Problem(422, "invalid"))?;
    let place = |text: String| {
        let (at, number) = text.strip_prefix("c_")?.split_once('_')?;
        Some((at.parse().ok()?, number.parse().ok()?))
    };
    let after = after.map(|text| place(text).ok_or(Problem(422, "invalid"))).transpose()?;
    let changed = sandbox.books.changed(since.saturating_mul(1_000), after).await.map_err(undone)?;
    let items: Vec<Value> = changed.iter().take(PAGE).map(|payment| json!({"payment": payment.name})).collect();
    let mut page = json!({"items": items});
    if changed.len() > PAGE
        && let Some((at, number)) = changed[PAGE - 1].change()
    {
        page["next"] = format!("c_{at}_{number}").into();
    }
    Ok(said(StatusCode::OK, page))
}

/// Of which order the books are asked.
#[derive(Deserialize)]
struct Of {
    order: Option<String>,
}

async fn book(sandbox: &Sandbox, of: &Of, rows: impl Fn(&Payment) -> Vec<Value>) -> Answer {
    let all = sandbox.books.all().await.map_err(undone)?;
    let is_it =
        |payment: &&Payment| of.order.as_deref().is_none_or(|order| payment.name.split('.').next() == Some(order));
    let items: Vec<Value> = all.iter().filter(is_it).flat_map(rows).collect();
    Ok(said(StatusCode::OK, json!({"items": items})))
}

async fn charges(State(sandbox): State<Arc<Sandbox>>, Query(of): Query<Of>) -> Answer {
    book(&sandbox, &of, |payment| vec![payment.charge_json()]).await
}

async fn all_refunds(State(sandbox): State<Arc<Sandbox>>, Query(of): Query<Of>) -> Answer {
    book(&sandbox, &of, |payment| payment.refunds.iter().map(|refund| payment.refund_json(refund)).collect()).await
}

async fn disputes(State(sandbox): State<Arc<Sandbox>>, Query(of): Query<Of>) -> Answer {
    book(&sandbox, &of, |payment| payment.disputes.iter().map(|dispute| payment.dispute_json(dispute)).collect()).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisputeInput {
    amount: String,
    reason: String,
}

async fn dispute(State(sandbox): State<Arc<Sandbox>>, Path(name): Path<String>, body: Bytes) -> Answer {
    let DisputeInput { amount, reason } = read(&body)?;
    let id = sandbox.books.next_dispute().await;
    let opened = id.clone();
    let change =
        sandbox.books.change(&name, |payment, now| Ok(((), payment.dispute(opened, &amount, &reason, now)?))).await;
    let ((), payment) = change.map_err(undone)?;
    let dispute = payment.disputes.iter().find(|dispute| dispute.id == id);
    Ok(said(StatusCode::CREATED, dispute.map_or(Value::Null, |dispute| payment.dispute_json(dispute))))
}

/// Changes the payment of which something holds, and shows it.
async fn change_of(
    sandbox: &Sandbox,
    is_it: impl Fn(&Payment) -> bool,
    code: &'static str,
    change: impl FnOnce(&mut Payment) -> Result<super::payment::Told, super::payment::Refused>,
) -> Result<Payment, Problem> {
    let all = sandbox.books.all().await.map_err(undone)?;
    let payment = all.into_iter().find(is_it).ok_or(Problem(404, code))?;
    let change = sandbox.books.change(&payment.name, |payment, _| Ok(((), change(payment)?))).await;
    change.map(|((), payment)| payment).map_err(undone)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseInput {
    outcome: String,
}

async fn close_dispute(State(sandbox): State<Arc<Sandbox>>, Path(id): Path<String>, body: Bytes) -> Answer {
    let CloseInput { outcome } = read(&body)?;
    let is_it = |payment: &Payment| payment.disputes.iter().any(|dispute| dispute.id == id);
    let closes = |payment: &mut Payment| payment.close_dispute(&id, &outcome).unwrap_or(Err((404, "unknown_dispute")));
    let payment = change_of(&sandbox, is_it, "unknown_dispute", closes).await?;
    let dispute = payment.disputes.iter().find(|dispute| dispute.id == id);
    Ok(said(StatusCode::OK, dispute.map_or(Value::Null, |dispute| payment.dispute_json(dispute))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FailInput {
    reason: String,
}

/// A refund fails, by its name or by how that begins.
async fn fail_refund(State(sandbox): State<Arc<Sandbox>>, Path(id): Path<String>, body: Bytes) -> Answer {
    let FailInput { reason } = read(&body)?;
    let named = |payment: &Payment| {
        let of_attempt =
            |name: &str| name.strip_prefix(id.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        payment.refunds.iter().rev().find(|refund| of_attempt(&refund.name)).map(|refund| refund.name.clone())
    };
    let fails = |payment: &mut Payment| {
        let name = named(payment).unwrap_or_default();
        payment.fail_refund(&name, &reason).ok_or((404, "unknown_refund"))
    };
    let payment = change_of(&sandbox, |payment| named(payment).is_some(), "unknown_refund", fails).await?;
    refund_of(&payment, &named(&payment).unwrap_or_default())
}
