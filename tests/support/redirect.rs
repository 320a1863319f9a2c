//! A double of a payment platform, as docs/redirect-payments.md has it: payments, refunds, and faults. What a payment meets is said by its token:
//! the words between its underlines.
//!
//! | word | then |
//! | --- | --- |
//! | `ok` | the buyer is to pay |
//! | `unknown` | the payment is refused |
//! | `quote` | it is made for one less than was asked for |
//! | `other` | one less is taken than was asked for |
//! | `processing` | what the buyer has paid is being processed |
//! | `lost`, `broken` | it is made, and the answer breaks off, or is 500, the first time |
//! | `busy` | the first time it is answered with 429 |
//! | `late` | by the time it is cancelled it was paid |
//! | `refundfail`, `refundpending`, `refundlost` | what a refund meets |

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// By what it knows the shop, and signs.
pub const SECRET: &str = "whsec_b25seSB0ZXN0cyB1c2UgdGhpcyBzZWNyZXQh";
/// The one before it.
pub const OLD_SECRET: &str = "whsec_dGhlIHNlY3JldCBiZWZvcmUgdGhlIGxhc3Q=";

/// A request that came.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub body: Value,
}

#[derive(Clone)]
struct Payment {
    input: Value,
    name: String,
    reference: String,
    status: &'static str,
    minor: i64,
    refunds: Vec<Refund>,
}

#[derive(Clone)]
struct Refund {
    name: String,
    input: Value,
    status: &'static str,
    minor: i64,
}

fn minor_of(input: &Value) -> i64 {
    input["amount"].as_str().unwrap_or_default().replace('.', "").parse().expect("an amount")
}

fn text_of(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

impl Payment {
    fn is(&self, word: &str) -> bool {
        self.input["token"].as_str().is_some_and(|token| token.split('_').any(|it| it == word))
    }

    fn take(&mut self) {
        self.status = if self.is("processing") { "processing" } else { "succeeded" };
        self.minor -= i64::from(self.is("other"));
    }

    fn json(&self) -> Value {
        let minor = self.minor - i64::from(self.is("quote") && self.status == "requires_action");
        json!({
            "reference": self.reference, "payment": self.name, "status": self.status, "amount": text_of(minor),
            "currency": self.input["currency"], "redirect_url": format!("https://pay.example/{}?key=hush", self.reference),
            "reason": (self.status == "declined").then_some("insufficient_funds"),
            "fee": (self.status == "succeeded").then_some("0.10"),
        })
    }
}

impl Refund {
    fn json(&self) -> Value {
        json!({
            "refund": self.name, "status": self.status, "amount": text_of(self.minor), "currency": self.input["currency"],
            "reason": (self.status == "failed").then_some("account_closed"),
        })
    }
}

#[derive(Default)]
struct Books {
    payments: Vec<Payment>,
    calls: Vec<Call>,
    /// What is done when it is asked for next, and never answered.
    unanswered: Option<&'static str>,
    busy: bool,
}

type Desk = Arc<(Mutex<Books>, Notify)>;

enum Out {
    Said(u16, Value),
    Broken,
}

fn refused(status: u16, code: &str) -> Out {
    Out::Said(status, json!({"code": code, "detail": format!("{SECRET} is not repeated")}))
}

impl Books {
    fn prepare(&mut self, name: &str, input: &Value) -> Out {
        if let Some(payment) = self.payments.iter().find(|payment| payment.name == name) {
            return match payment.input == *input {
                true => Out::Said(200, payment.json()),
                false => refused(422, "other_payment"),
            };
        }
        let payment = Payment {
            input: input.clone(),
            name: name.to_owned(),
            reference: format!("pay_{}", self.payments.len() + 1),
            status: "requires_action",
            minor: minor_of(input),
            refunds: Vec::new(),
        };
        if payment.is("unknown") {
            return refused(422, "token_unsupported");
        }
        if payment.is("busy") && !std::mem::replace(&mut self.busy, true) {
            return refused(429, "busy");
        }
        self.payments.push(payment.clone());
        match () {
            () if payment.is("lost") => Out::Broken,
            () if payment.is("broken") => refused(500, "broken"),
            () => Out::Said(201, payment.json()),
        }
    }

    fn cancel(payment: &mut Payment) -> Out {
        if payment.is("late") && payment.status == "declined" {
            payment.take();
        }
        match payment.status {
            "succeeded" | "processing" => Out::Said(409, payment.json()),
            _ => {
                payment.status = "cancelled";
                Out::Said(200, payment.json())
            }
        }
    }

    fn refund(payment: &mut Payment, name: &str, input: &Value) -> Out {
        if let Some(refund) = payment.refunds.iter().find(|refund| refund.name == name) {
            return match refund.input == *input {
                true => Out::Said(200, refund.json()),
                false => refused(422, "other_refund"),
            };
        }
        let given: i64 = payment.refunds.iter().filter(|it| it.status != "failed").map(|it| it.minor).sum();
        let minor = minor_of(input);
        if payment.status != "succeeded" {
            return refused(409, "not_paid");
        }
        if given + minor > payment.minor {
            return refused(409, "exceeds_payment");
        }
        let status = match () {
            () if payment.is("refundfail") => "failed",
            () if payment.is("refundpending") => "pending",
            () => "succeeded",
        };
        let refund = Refund { name: name.to_owned(), input: input.clone(), status, minor };
        payment.refunds.push(refund.clone());
        if payment.is("refundlost") { Out::Broken } else { Out::Said(201, refund.json()) }
    }

    fn answer(&mut self, call: &Call) -> Out {
        let path: Vec<&str> = call.path.trim_start_matches("/payments/").split('/').collect();
        if let ("PUT", [name]) = (call.method.as_str(), &path[..]) {
            return self.prepare(name, &call.body);
        }
        let Some(payment) = self.payments.iter_mut().find(|payment| payment.reference == path[0]) else {
            return refused(404, "unknown_payment");
        };
        match (call.method.as_str(), &path[..]) {
            ("GET", [_]) => Out::Said(200, payment.json()),
            ("DELETE", [_]) => Self::cancel(payment),
            ("PUT", [_, "refunds", name]) => Self::refund(payment, name, &call.body),
            ("GET", [_, "refunds", name]) => match payment.refunds.iter().find(|refund| refund.name == *name) {
                Some(refund) => Out::Said(200, refund.json()),
                None => refused(404, "unknown_refund"),
            },
            _ => refused(404, "nothing"),
        }
    }
}

async fn serve(Shared(desk): Shared<Desk>, method: Method, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let body = if body.is_empty() { Value::Null } else { serde_json::from_str(&body).expect("JSON") };
    let call = Call { method: method.to_string(), path: uri.path().to_owned(), body };
    let known = format!("Bearer {SECRET}");
    let is_known = headers.get("authorization").is_some_and(|value| value.as_bytes() == known.as_bytes());
    let (out, unanswered) = {
        let mut books = desk.0.lock().expect("no test panics here");
        books.calls.push(call.clone());
        let out = if is_known { books.answer(&call) } else { refused(401, "unauthorized") };
        let sort = match (call.method.as_str(), call.path.contains("/refunds/")) {
            ("PUT", true) => "refund",
            ("PUT", false) => "prepare",
            ("DELETE", _) => "cancel",
            _ => "look_up",
        };
        (out, books.unanswered.take_if(|of| *of == sort).is_some())
    };
    if unanswered {
        desk.1.notify_one();
        std::future::pending::<()>().await;
    }
    match out {
        Out::Said(status, body) => {
            (StatusCode::from_u16(status).expect("a status"), [("retry-after", "1")], axum::Json(body)).into_response()
        }
        Out::Broken => {
            let broken = futures::stream::iter([Ok(bytes::Bytes::from("{")), Err(std::io::Error::other("gone"))]);
            Body::from_stream(broken).into_response()
        }
    }
}

/// A running double.
pub struct Platform {
    pub address: SocketAddr,
    desk: Desk,
    task: JoinHandle<()>,
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Platform {
    pub async fn start() -> Self {
        let desk = Desk::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/{*path}", routing::any(serve)).with_state(desk.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address, desk, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.desk.0.lock().expect("no test panics here")
    }

    /// All that was asked.
    pub fn calls(&self) -> Vec<Call> {
        self.books().calls.clone()
    }

    /// Does the next call of this sort, and never answers it.
    pub fn never_answers(&self, sort: &'static str) {
        self.books().unanswered = Some(sort);
    }

    /// Waits until it has done so.
    pub async fn left_unanswered(&self) {
        tokio::time::timeout(Duration::from_secs(60), self.desk.1.notified()).await.expect("it is asked");
    }

    /// How the payments stand.
    pub fn statuses(&self) -> Vec<&'static str> {
        self.books().payments.iter().map(|payment| payment.status).collect()
    }

    /// How the refunds stand, of all payments.
    pub fn refunds(&self) -> Vec<(&'static str, i64)> {
        let books = self.books();
        books.payments.iter().flat_map(|payment| &payment.refunds).map(|it| (it.status, it.minor)).collect()
    }

    /// What was taken and not given back, in minor units.
    pub fn kept_money(&self) -> i64 {
        let books = self.books();
        let taken: i64 = books.payments.iter().filter(|it| it.status == "succeeded").map(|it| it.minor).sum();
        let refunds = books.payments.iter().flat_map(|payment| &payment.refunds);
        taken - refunds.filter(|it| it.status == "succeeded").map(|it| it.minor).sum::<i64>()
    }

    /// The buyer of the newest payment pays on the page, or fails to.
    pub fn acts(&self, well: bool) {
        let mut books = self.books();
        let payment = books.payments.last_mut().expect("a payment");
        match well {
            true => payment.take(),
            false => payment.status = "declined",
        }
    }

    /// What was being processed is done.
    pub fn processed(&self) {
        self.books().payments.last_mut().expect("a payment").status = "succeeded";
    }

    /// A notice about the newest payment, as it is sent.
    pub fn event(&self) -> String {
        let books = self.books();
        let payment = books.payments.last().expect("a payment");
        let data = json!({"payment": payment.name, "reference": payment.reference});
        json!({"type": "payment.updated", "timestamp": "2026-01-01T00:00:00Z", "data": data}).to_string()
    }
}

/// The headers that sign a notice.
pub fn signed(secret: &str, at_s: i64, body: &str) -> [(&'static str, String); 3] {
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
    let key = hmac::Key::new(HMAC_SHA256, &key);
    let tag = hmac::sign(&key, format!("msg_1.{at_s}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(tag.as_ref()));
    [("webhook-id", "msg_1".into()), ("webhook-timestamp", at_s.to_string()), ("webhook-signature", signature)]
}
