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
//! | `busy` | the first time it is answered with 429, to come again in a second |
//! | `tired` | it is answered with 429, to come again in a minute |
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
    pub query: String,
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
    disputes: Vec<Dispute>,
}

#[derive(Clone)]
struct Refund {
    name: String,
    input: Value,
    status: &'static str,
    minor: i64,
}

#[derive(Clone)]
struct Dispute {
    id: String,
    status: &'static str,
    minor: i64,
}

/// Payments on a page of what has changed.
const PAGE: usize = 2;

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

    fn disputes_json(&self) -> Value {
        let json = |dispute: &Dispute| {
            json!({
                "id": dispute.id, "payment": self.name, "status": dispute.status, "amount": text_of(dispute.minor),
                "currency": self.input["currency"], "reason": "product_not_received",
            })
        };
        json!({"items": self.disputes.iter().map(json).collect::<Vec<_>>()})
    }

    /// A notice about it, as it is sent.
    fn event(&self, kind: &str) -> String {
        let data = json!({"payment": self.name, "reference": self.reference});
        json!({"type": kind, "timestamp": "2026-01-01T00:00:00Z", "data": data}).to_string()
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
    /// The payments of which something has changed, one after the other.
    changes: Vec<String>,
    /// What is said in place of where there is more.
    goes_on_at: Option<String>,
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
            disputes: Vec::new(),
        };
        if payment.is("unknown") {
            return refused(422, "token_unsupported");
        }
        if payment.is("tired") {
            return refused(429, "tired");
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

    /// A page of what has changed; it does not look at since when.
    fn changes(&self, query: &str) -> Out {
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert!(field("since").is_some_and(|since| since.parse::<u64>().is_ok()), "{query}");
        let from: usize = field("after").map_or(0, |after| after.trim_start_matches("c_").parse().expect("a place"));
        let items: Vec<Value> =
            self.changes.iter().skip(from).take(PAGE).map(|name| json!({"payment": name})).collect();
        let more = || (self.changes.len() > from + PAGE).then(|| format!("c_{}", from + PAGE));
        let next = self.goes_on_at.clone().or_else(more);
        Out::Said(200, json!({"items": items, "next": next}))
    }

    /// Something has become of a payment after it was taken. Gives the notice.
    fn happened(&mut self, place: usize, kind: &str) -> String {
        let (name, event) = (self.payments[place].name.clone(), self.payments[place].event(kind));
        self.changes.push(name);
        event
    }

    fn answer(&mut self, call: &Call) -> Out {
        if call.path == "/changes" {
            return self.changes(&call.query);
        }
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
            ("GET", [_, "disputes"]) => Out::Said(200, payment.disputes_json()),
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
    let query = uri.query().unwrap_or_default().to_owned();
    let call = Call { method: method.to_string(), path: uri.path().to_owned(), query, body };
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
            let rest = if body["code"] == "tired" { "60" } else { "1" };
            (StatusCode::from_u16(status).expect("a status"), [("retry-after", rest)], axum::Json(body)).into_response()
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
        let given: i64 = refunds.filter(|it| it.status == "succeeded").map(|it| it.minor).sum();
        let disputes = books.payments.iter().flat_map(|payment| &payment.disputes);
        taken - given - disputes.filter(|it| it.status != "won").map(|it| it.minor).sum::<i64>()
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
        self.books().payments.last().expect("a payment").event("payment.updated")
    }

    /// The buyer of the newest payment has their bank dispute so much of it. Gives the notice.
    pub fn dispute(&self, minor: i64) -> String {
        let mut books = self.books();
        let id = format!("dp_{}", books.payments.iter().map(|payment| payment.disputes.len()).sum::<usize>() + 1);
        let place = books.payments.len() - 1;
        books.payments[place].disputes.push(Dispute { id, status: "open", minor });
        books.happened(place, "dispute.updated")
    }

    /// The bank has decided the newest dispute of the newest payment. Gives the notice.
    pub fn close_dispute(&self, won: bool) -> String {
        let mut books = self.books();
        let place = books.payments.len() - 1;
        let dispute = books.payments[place].disputes.last_mut().expect("a dispute");
        dispute.status = if won { "won" } else { "lost" };
        books.happened(place, "dispute.updated")
    }

    /// It says that what has changed goes on there.
    pub fn goes_on_at(&self, place: &str) {
        self.books().goes_on_at = Some(place.to_owned());
    }

    /// A bank returns the newest refund of the newest payment. Gives the notice.
    pub fn return_refund(&self) -> String {
        let mut books = self.books();
        let place = books.payments.len() - 1;
        books.payments[place].refunds.last_mut().expect("a refund").status = "failed";
        books.happened(place, "refund.updated")
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
