//! A double of Stripe, as far as Haat asks it: intents, refunds, keys that are kept with whatever was answered under them, and faults. What a
//! payment meets is said by its means of payment: the words between the underlines of `pm_…`, as the sandbox's tokens do.
//!
//! | word | then |
//! | --- | --- |
//! | `ok` | it is taken |
//! | `unknown` | there is no such means of payment |
//! | `refuse` | it is declined, with 402 |
//! | `later` | as `refuse`, and by the time it is cancelled it was paid with another card |
//! | `action` | the buyer has to act |
//! | `processing` | it is being processed |
//! | `other` | one less is taken than was asked for |
//! | `sticky` | the confirmation is not done and answered with 500, also when it is repeated under its key |
//! | `done500` | it is done, and answered with 500, as above |
//! | `lost` | it is done, and the answer breaks off |
//! | `busy` | the first confirmation is answered with 429 |
//! | `refundfail`, `refundpending`, `refundsticky`, `refundlost` | what a refund meets |

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What its notices are signed with.
pub const SECRET: &str = "whsec_a_secret_that_only_tests_use";
/// The key of the account.
pub const KEY: &str = "sk_test_only_tests_use_it";

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub key: Option<String>,
    pub version: Option<String>,
    pub fields: Vec<(String, String)>,
}

impl Call {
    /// The last word of its path.
    pub fn verb(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

#[derive(Clone)]
struct Intent {
    id: String,
    amount: u64,
    received: u64,
    currency: String,
    method: String,
    status: &'static str,
    error: Option<&'static str>,
    metadata: BTreeMap<String, String>,
}

impl Intent {
    fn is(&self, word: &str) -> bool {
        self.method.split('_').any(|it| it == word)
    }

    fn take(&mut self) {
        self.status = "succeeded";
        self.received = self.amount - u64::from(self.is("other"));
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id, "object": "payment_intent", "amount": self.amount, "amount_received": self.received,
            "currency": self.currency, "status": self.status, "metadata": self.metadata, "livemode": false,
            "client_secret": format!("{}_secret_hush", self.id), "latest_charge": "ch_1",
            "next_action": (self.status == "requires_action").then(|| json!({"type": "use_stripe_sdk", "use_stripe_sdk": {}})),
            "last_payment_error": self.error.map(|code| json!({"code": "card_declined", "decline_code": code, "type": "card_error", "message": "no"})),
        })
    }
}

#[derive(Clone)]
struct Refund {
    id: String,
    intent: String,
    amount: u64,
    currency: String,
    status: &'static str,
    metadata: BTreeMap<String, String>,
}

impl Refund {
    fn json(&self) -> Value {
        json!({
            "id": self.id, "object": "refund", "amount": self.amount, "currency": self.currency, "status": self.status,
            "payment_intent": self.intent, "metadata": self.metadata, "failure_reason": (self.status == "failed").then_some("expired_or_canceled_card"),
        })
    }
}

#[derive(Clone)]
struct Dispute {
    id: String,
    intent: String,
    amount: u64,
    currency: String,
    status: &'static str,
}

impl Dispute {
    fn json(&self) -> Value {
        json!({
            "id": self.id, "object": "dispute", "amount": self.amount, "currency": self.currency, "status": self.status,
            "payment_intent": self.intent, "reason": "product_not_received", "metadata": {},
        })
    }
}

type Kept = (Vec<(String, String)>, u16, Value);

#[derive(Default)]
struct Books {
    intents: Vec<Intent>,
    refunds: Vec<Refund>,
    disputes: Vec<Dispute>,
    /// What has happened, the oldest first.
    events: Vec<Value>,
    kept: BTreeMap<String, Kept>,
    calls: Vec<Call>,
    busy: u32,
    /// What is done when it is asked for next, and never answered.
    unanswered: Option<&'static str>,
}

/// The books, and what tells that a call will never be answered.
type Desk = Arc<(Mutex<Books>, Notify)>;

/// How an answer goes out.
enum Out {
    Said(u16, Value),
    Broken,
}

fn error(status: u16, kind: &str, code: &str) -> Out {
    Out::Said(
        status,
        json!({"error": {"type": kind, "code": code, "message": format!("{code}: sk_test_only_tests_use_it")}}),
    )
}

fn unexpected_state() -> Out {
    error(400, "invalid_request_error", "payment_intent_unexpected_state")
}

impl Books {
    fn metadata(fields: &[(String, String)]) -> BTreeMap<String, String> {
        let named = |(name, value): &(String, String)| {
            Some((name.strip_prefix("metadata[")?.strip_suffix(']')?.to_owned(), value.clone()))
        };
        fields.iter().filter_map(named).collect()
    }

    fn create(&mut self, fields: &[(String, String)]) -> Out {
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let method = field("payment_method").unwrap_or_default();
        let intent = Intent {
            id: format!("pi_{}", self.intents.len() + 1),
            amount: field("amount").and_then(|amount| amount.parse().ok()).unwrap_or_default(),
            received: 0,
            currency: field("currency").unwrap_or_default(),
            method,
            status: "requires_confirmation",
            error: None,
            metadata: Self::metadata(fields),
        };
        if intent.is("unknown") {
            return error(404, "invalid_request_error", "resource_missing");
        }
        self.intents.push(intent.clone());
        Out::Said(200, intent.json())
    }

    fn confirm(&mut self, place: usize, keyed_again: bool) -> Out {
        if self.intents[place].is("busy") && self.busy == 0 {
            self.busy += 1;
            return error(429, "invalid_request_error", "rate_limit");
        }
        let intent = &mut self.intents[place];
        if intent.status != "requires_confirmation" {
            return unexpected_state();
        }
        if intent.is("sticky") && !keyed_again {
            return error(500, "api_error", "broken");
        }
        if intent.is("refuse") || intent.is("later") {
            (intent.status, intent.error) = ("requires_payment_method", Some("insufficient_funds"));
            let json = json!({"error": {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds", "payment_intent": intent.json()}});
            return Out::Said(402, json);
        }
        match () {
            () if intent.is("action") => intent.status = "requires_action",
            () if intent.is("processing") => intent.status = "processing",
            () => intent.take(),
        }
        match () {
            () if intent.is("done500") => error(500, "api_error", "broken"),
            () if intent.is("lost") => Out::Broken,
            () => Out::Said(200, intent.json()),
        }
    }

    fn cancel(&mut self, place: usize) -> Out {
        let intent = &mut self.intents[place];
        if intent.is("later") && intent.status == "requires_payment_method" {
            intent.take();
        }
        match intent.status {
            "requires_payment_method" | "requires_confirmation" | "requires_action" => {
                intent.status = "canceled";
                Out::Said(200, intent.json())
            }
            _ => unexpected_state(),
        }
    }

    fn refund(&mut self, fields: &[(String, String)], keyed_again: bool) -> Out {
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
        let amount: u64 = field("amount").parse().unwrap_or_default();
        let Some(intent) = self.intents.iter().find(|intent| intent.id == field("payment_intent")).cloned() else {
            return error(404, "invalid_request_error", "resource_missing");
        };
        let given: u64 =
            self.refunds.iter().filter(|it| it.intent == intent.id && it.status != "failed").map(|it| it.amount).sum();
        if given + amount > intent.received {
            return error(400, "invalid_request_error", "charge_already_refunded");
        }
        if intent.is("refundsticky") && !keyed_again {
            return error(500, "api_error", "broken");
        }
        let status = match () {
            () if intent.is("refundfail") => "failed",
            () if intent.is("refundpending") => "pending",
            () => "succeeded",
        };
        let refund = Refund {
            id: format!("re_{}", self.refunds.len() + 1),
            intent: intent.id.clone(),
            amount,
            currency: intent.currency.clone(),
            status,
            metadata: Self::metadata(fields),
        };
        self.refunds.push(refund.clone());
        if intent.is("refundlost") { Out::Broken } else { Out::Said(200, refund.json()) }
    }

    fn refunds_of(&self, fields: &[(String, String)]) -> Out {
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let limit: usize = field("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10);
        // The newest first, as Stripe lists.
        let of = self.refunds.iter().rev().filter(|refund| Some(refund.intent.as_str()) == field("payment_intent"));
        let mut rest: Vec<&Refund> = of.collect();
        if let Some(after) = field("starting_after") {
            let place = rest.iter().position(|refund| refund.id == after).map_or(0, |place| place + 1);
            rest.drain(..place);
        }
        let data: Vec<Value> = rest.iter().take(limit).map(|refund| refund.json()).collect();
        Out::Said(200, json!({"object": "list", "has_more": rest.len() > limit, "data": data}))
    }

    /// Those of one intent, the newest first, as Stripe lists: all on one page.
    fn disputes_of(&self, fields: &[(String, String)]) -> Out {
        let of = fields.iter().find(|(known, _)| known == "payment_intent").map(|(_, value)| value.as_str());
        let own = self.disputes.iter().rev().filter(|dispute| Some(dispute.intent.as_str()) == of);
        let data: Vec<Value> = own.map(Dispute::json).collect();
        Out::Said(200, json!({"object": "list", "has_more": false, "data": data}))
    }

    /// What has happened, the newest first, one on a page.
    fn events_since(&self, fields: &[(String, String)]) -> Out {
        let after = fields.iter().find(|(known, _)| known == "starting_after").map(|(_, value)| value.as_str());
        let mut rest: Vec<&Value> = self.events.iter().rev().collect();
        if let Some(place) = after.and_then(|after| rest.iter().position(|event| event["id"] == after)) {
            rest.drain(..=place);
        }
        let data: Vec<&Value> = rest.iter().take(1).copied().collect();
        Out::Said(200, json!({"object": "list", "has_more": rest.len() > 1, "data": data}))
    }

    fn happened(&mut self, kind: &str, object: &Value) -> String {
        let id = format!("evt_{}", self.events.len() + 1);
        let event = json!({"id": id, "type": kind, "livemode": false, "data": {"object": object}});
        self.events.push(event.clone());
        event.to_string()
    }

    fn answer(&mut self, call: &Call) -> Out {
        if let Some((fields, status, body)) = call.key.as_ref().and_then(|key| self.kept.get(key)) {
            return match *fields == call.fields {
                true => Out::Said(*status, body.clone()),
                false => error(400, "idempotency_error", "idempotency_error"),
            };
        }
        // What is kept under a key is kept for good: another key is how it goes on.
        let keyed_again = call.key.as_ref().is_some_and(|key| {
            self.kept.keys().any(|kept| key.strip_prefix(kept.as_str()).is_some_and(|rest| rest.starts_with('/')))
        });
        let path: Vec<&str> = call.path.trim_start_matches("/v1/").split('/').collect();
        let place = path.get(1).and_then(|id| self.intents.iter().position(|intent| intent.id == *id));
        let out = match (call.method.as_str(), &path[..], place) {
            ("POST", ["payment_intents"], _) => self.create(&call.fields),
            ("POST", ["payment_intents", _, "confirm"], Some(place)) => self.confirm(place, keyed_again),
            ("POST", ["payment_intents", _, "cancel"], Some(place)) => self.cancel(place),
            ("GET", ["payment_intents", _], Some(place)) => Out::Said(200, self.intents[place].json()),
            ("POST", ["refunds"], _) => self.refund(&call.fields, keyed_again),
            ("GET", ["refunds"], _) => self.refunds_of(&call.fields),
            ("GET", ["disputes"], _) => self.disputes_of(&call.fields),
            ("GET", ["events"], _) => self.events_since(&call.fields),
            _ => error(404, "invalid_request_error", "resource_missing"),
        };
        if let (Some(key), Out::Said(status, body)) = (&call.key, &out) {
            // What was not begun is not kept.
            if *status != 429 {
                self.kept.insert(key.clone(), (call.fields.clone(), *status, body.clone()));
            }
        }
        out
    }
}

/// A running double.
pub struct Stripe {
    pub address: SocketAddr,
    books: Desk,
    task: JoinHandle<()>,
}

impl Drop for Stripe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(Shared(desk): Shared<Desk>, method: Method, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let form = if method == Method::GET { uri.query().unwrap_or_default().to_owned() } else { body };
    let fields = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let call = Call {
        method: method.to_string(),
        path: uri.path().to_owned(),
        key: header("idempotency-key"),
        version: header("stripe-version"),
        fields,
    };
    let (out, unanswered) = {
        let mut books = desk.0.lock().expect("no test panics here");
        books.calls.push(call.clone());
        let out = match header("authorization").as_deref() == Some("Bearer sk_test_only_tests_use_it") {
            true => books.answer(&call),
            false => error(401, "invalid_request_error", "api_key_invalid"),
        };
        let is_it = |verb: &&str| method == Method::POST && *verb == call.verb();
        (out, books.unanswered.take_if(|verb| is_it(&&**verb)).is_some())
    };
    if unanswered {
        desk.1.notify_one();
        std::future::pending::<()>().await;
    }
    match out {
        Out::Said(status, body) => {
            let status = StatusCode::from_u16(status).expect("a status");
            (status, [("retry-after", "30")], axum::Json(body)).into_response()
        }
        Out::Broken => {
            let broken = futures::stream::iter([Ok(bytes::Bytes::from("{")), Err(std::io::Error::other("gone"))]);
            Body::from_stream(broken).into_response()
        }
    }
}

impl Stripe {
    pub async fn start() -> Self {
        let books = Desk::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/{*path}", routing::any(serve)).with_state(books.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address, books, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.0.lock().expect("no test panics here")
    }

    /// All that was asked.
    pub fn calls(&self) -> Vec<Call> {
        self.books().calls.clone()
    }

    /// The last words of the paths that were asked by POST.
    pub fn posts(&self) -> Vec<String> {
        self.calls().iter().filter(|call| call.method == "POST").map(|call| call.verb().to_owned()).collect()
    }

    /// Does the next call of this sort, and never answers it.
    pub fn never_answers(&self, verb: &'static str) {
        self.books().unanswered = Some(verb);
    }

    /// Waits until it has done so.
    pub async fn left_unanswered(&self) {
        tokio::time::timeout(Duration::from_secs(60), self.books.1.notified()).await.expect("it is asked");
    }

    /// Its keys are older than a day.
    pub fn forget_keys(&self) {
        self.books().kept.clear();
    }

    /// How the intents stand.
    pub fn statuses(&self) -> Vec<&'static str> {
        self.books().intents.iter().map(|intent| intent.status).collect()
    }

    /// What was taken and not given back, of all intents.
    pub fn kept_money(&self) -> u64 {
        let books = self.books();
        let taken: u64 = books.intents.iter().map(|intent| intent.received).sum();
        let given: u64 = books.refunds.iter().filter(|it| it.status == "succeeded").map(|it| it.amount).sum();
        let lost: u64 = books.disputes.iter().filter(|it| it.status == "lost").map(|it| it.amount).sum();
        taken - given - lost
    }

    /// How the refunds stand.
    pub fn refunds(&self) -> Vec<(&'static str, u64)> {
        self.books().refunds.iter().map(|refund| (refund.status, refund.amount)).collect()
    }

    /// The buyer does what was to be done with the newest intent that waits for it, or fails to; where none waits, with the newest of all.
    pub fn acts(&self, well: bool) {
        let mut books = self.books();
        let newest = books.intents.len().checked_sub(1).expect("an intent");
        let waits = books.intents.iter().rposition(|intent| intent.status == "requires_action");
        let intent = &mut books.intents[waits.unwrap_or(newest)];
        match well {
            true => intent.take(),
            false => (intent.status, intent.error) = ("requires_payment_method", Some("authentication_failure")),
        }
    }

    /// Somebody else has given so much back, many times, of the newest intent.
    pub fn give_back(&self, times: usize) {
        let mut books = self.books();
        let intent = books.intents.last().expect("an intent").clone();
        for number in 0..times {
            let (id, currency) = (format!("re_other_{number}"), intent.currency.clone());
            let metadata = BTreeMap::new();
            books.refunds.push(Refund {
                id,
                intent: intent.id.clone(),
                amount: 1,
                currency,
                status: "failed",
                metadata,
            });
        }
    }

    /// The buyer of the newest intent has their bank dispute so much of it. Gives the notice.
    pub fn dispute(&self, amount: u64) -> String {
        let mut books = self.books();
        let intent = books.intents.last().expect("an intent").clone();
        let (id, status) = (format!("dp_{}", books.disputes.len() + 1), "needs_response");
        let dispute = Dispute { id, intent: intent.id, amount, currency: intent.currency, status };
        books.disputes.push(dispute.clone());
        books.happened("charge.dispute.created", &dispute.json())
    }

    /// The bank has decided the newest dispute. Gives the notice.
    pub fn close_dispute(&self, won: bool) -> String {
        let mut books = self.books();
        let dispute = books.disputes.last_mut().expect("a dispute");
        dispute.status = if won { "won" } else { "lost" };
        let json = dispute.json();
        books.happened("charge.dispute.closed", &json)
    }

    /// A bank returns the newest refund. Gives the notice.
    pub fn return_refund(&self) -> String {
        let mut books = self.books();
        let refund = books.refunds.last_mut().expect("a refund");
        refund.status = "failed";
        let json = refund.json();
        books.happened("charge.refund.updated", &json)
    }

    /// A notice about the newest intent, as it is sent.
    pub fn event(&self, kind: &str) -> String {
        let object = self.books().intents.last().expect("an intent").json();
        json!({"id": "evt_1", "type": kind, "livemode": false, "data": {"object": object}}).to_string()
    }
}

/// The header that signs a notice.
pub fn signed(secret: &str, at_s: i64, body: &str) -> String {
    let key = hmac::Key::new(HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{at_s}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at_s},v1={hex},v0=00")
}
