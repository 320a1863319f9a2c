//! Problem details (RFC 9457), and the one table from whatever went wrong to a status: nobody else knows which is which.

use crate::actors::shop::Failure;
use crate::domain::json;
use crate::domain::money::Money;
use crate::domain::order::NoCash;
use crate::domain::reject::{Reject, RejectClass, RejectKind, Shortage};
use crate::http::money::{Moment, MoneyBody};
use crate::ports::StoreError;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Tells that an answer was given before under the same idempotency key.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// After so many seconds a list is asked for again whose rows are being remade: it takes minutes at least.
const ROWS_RETRY_S: u64 = 60;
/// Where the problems are described; a problem's `type` is this page with its code as the fragment.
pub const PROBLEMS_PAGE: &str = "/docs/problems";

/// A kind of problem: its stable code, its status, and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProblemKind {
    /// The stable code, in snake case.
    pub code: &'static str,
    /// The status it is answered with.
    pub status: StatusCode,
    /// Its name for people.
    pub title: &'static str,
}

macro_rules! problems {
    ($($name:ident = $status:ident $code:literal $title:literal;)*) => {
        $(#[doc = $title] pub static $name: ProblemKind =
            ProblemKind { code: $code, status: StatusCode::$status, title: $title };)*
        /// Those that are no refusals.
        static OWN: &[&ProblemKind] = &[$(&$name),*];
    };
}

problems! {
    MALFORMED_REQUEST = BAD_REQUEST "malformed_request" "The request is not HTTP";
    MALFORMED_JSON = BAD_REQUEST "malformed_json" "The body is not JSON";
    HOST_INVALID = BAD_REQUEST "host_invalid" "The request does not say whom it is addressed to";
    CURSOR_INVALID = BAD_REQUEST "cursor_invalid" "The cursor is not one of this list's";
    SIGNATURE_INVALID = BAD_REQUEST "signature_invalid" "The notice is not signed by whom it says";
    IDEMPOTENCY_KEY_INVALID = BAD_REQUEST "idempotency_key_invalid" "The idempotency key is malformed";
    IDEMPOTENCY_KEY_NEEDS_BEARER = BAD_REQUEST "idempotency_key_needs_bearer" "An idempotency key needs a bearer";
    UNAUTHORIZED = UNAUTHORIZED "unauthorized" "A valid bearer token is needed";
    CREDENTIALS_INVALID = UNAUTHORIZED "credentials_invalid" "Address, password or token are not right";
    LOGIN_REQUIRED = UNAUTHORIZED "login_required" "Sign in anew";
    TOKEN_REUSED = UNAUTHORIZED "token_reused" "The refresh token came again: the session is over";
    FORBIDDEN = FORBIDDEN "forbidden" "The role may not do this";
    ENTRY_INVALID = FORBIDDEN "entry_invalid" "The entry is over, or not the caller's";
    ORIGIN_REFUSED = FORBIDDEN "origin_refused" "Only for the shop's own pages";
    NOT_FOUND = NOT_FOUND "not_found" "There is nothing here";
    TICKET_UNKNOWN = NOT_FOUND "ticket_unknown" "No such ticket";
    JOB_UNKNOWN = NOT_FOUND "job_unknown" "No such job";
    ACCOUNT_UNKNOWN = NOT_FOUND "account_unknown" "No such account";
    ADDRESS_UNKNOWN = NOT_FOUND "address_unknown" "No such address";
    SESSION_UNKNOWN = NOT_FOUND "session_unknown" "No such session";
    CATEGORY_UNKNOWN = NOT_FOUND "category_unknown" "No such category";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method_not_allowed" "The method is not allowed here";
    ADDRESSES_FULL = CONFLICT "addresses_full" "There are as many addresses as there may be";
    EMAIL_TAKEN = CONFLICT "email_taken" "The address has an account";
    ACCOUNT_BARRED = CONFLICT "account_barred" "An administrator has disabled the account";
    LAST_ADMINISTRATOR = CONFLICT "last_administrator" "No administrator would be left";
    JOB_DONE = CONFLICT "job_done" "The job is done";
    CATEGORY_CYCLE = CONFLICT "category_cycle" "The category would stand below itself, or too deep";
    CATEGORY_NAME_TAKEN = CONFLICT "category_name_taken" "A category beside it has this name";
    CATEGORIES_FULL = CONFLICT "categories_full" "There are as many categories as there may be";
    BODY_TIMEOUT = REQUEST_TIMEOUT "body_timeout" "The body took too long to arrive";
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE "body_too_large" "The body is too large";
    URI_TOO_LONG = URI_TOO_LONG "uri_too_long" "The target is too long";
    VERSION_CONFLICT = PRECONDITION_FAILED "version_conflict" "It has another version by now";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body's type is not application/json";
    INVALID_BODY = UNPROCESSABLE_ENTITY "invalid_body" "The body does not fit";
    PASSWORD_TOO_WEAK = UNPROCESSABLE_ENTITY "password_too_weak" "The password can be guessed";
    INVALID_QUERY = UNPROCESSABLE_ENTITY "invalid_query" "The query does not fit";
    PRECONDITION_REQUIRED = PRECONDITION_REQUIRED "precondition_required" "The version that was read is to be given";
    RATE_LIMITED = TOO_MANY_REQUESTS "rate_limited" "Too much was asked in too short a time";
    ROOM_POLL_TOO_SOON = TOO_MANY_REQUESTS "room_poll_too_soon" "The line was asked too soon";
    TOO_MANY_ATTEMPTS = TOO_MANY_REQUESTS "too_many_attempts" "Too many wrong passwords";
    HEAD_TOO_LARGE = REQUEST_HEADER_FIELDS_TOO_LARGE "head_too_large" "The head is too large";
    INTERNAL = INTERNAL_SERVER_ERROR "internal" "Something is wrong in the engine";
    OVERLOADED = SERVICE_UNAVAILABLE "overloaded" "Too much is waiting to be done";
    AUTH_BUSY = SERVICE_UNAVAILABLE "auth_busy" "Too many passwords are being checked";
    MAIL_UNAVAILABLE = SERVICE_UNAVAILABLE "mail_unavailable" "This shop sends no mails";
    PROVIDER_SILENT = SERVICE_UNAVAILABLE "payment_provider_silent" "The payment provider gives no answers";
    ACTOR_RESTARTING = SERVICE_UNAVAILABLE "actor_restarting" "The actor is being started again";
    QUARANTINED = SERVICE_UNAVAILABLE "quarantined" "The entity is quarantined";
    UNAVAILABLE = SERVICE_UNAVAILABLE "unavailable" "The service is unavailable";
    RECOVERING = SERVICE_UNAVAILABLE "recovering" "The node is recovering";
    DRAINING = SERVICE_UNAVAILABLE "draining" "The node is stopping";
    STORE_UNAVAILABLE = SERVICE_UNAVAILABLE "store_unavailable" "The store is unavailable";
    ROWS_INCOMPLETE = SERVICE_UNAVAILABLE "rows_incomplete" "The rows of this list are still being remade";
    OUTCOME_UNKNOWN = GATEWAY_TIMEOUT "outcome_unknown" "The outcome is not known yet";
}

/// The table from the class of a refusal to its status.
const fn status_of(class: RejectClass) -> StatusCode {
    match class {
        RejectClass::Unknown => StatusCode::NOT_FOUND,
        RejectClass::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        RejectClass::Forbidden => StatusCode::FORBIDDEN,
        RejectClass::Conflict => StatusCode::CONFLICT,
    }
}

/// The refusals, in the order of their own table.
static REFUSALS: [ProblemKind; RejectKind::ALL.len()] = {
    let mut refusals = [INTERNAL; RejectKind::ALL.len()];
    let mut next = 0;
    while next < refusals.len() {
        let kind = RejectKind::ALL[next];
        refusals[next] = ProblemKind { code: kind.code(), status: status_of(kind.class()), title: kind.title() };
        next += 1;
    }
    refusals
};

impl ProblemKind {
    /// What a refusal is told as.
    pub const fn of(refusal: RejectKind) -> &'static Self {
        &REFUSALS[refusal as usize]
    }
}

/// Every kind of problem, by status; of one status our own before the refusals, and these in their order of precedence.
pub static ALL: LazyLock<Vec<&'static ProblemKind>> = LazyLock::new(|| {
    let mut all: Vec<&ProblemKind> = OWN.iter().copied().chain(&REFUSALS).collect();
    all.sort_by_key(|kind| kind.status);
    all
});

/// The table for what kept an entity from answering, with the seconds after which to ask again.
pub fn kind_of_failure(failure: &Failure) -> (&'static ProblemKind, Option<u64>) {
    match failure {
        Failure::Overloaded { retry_after_s } => (&OVERLOADED, Some((*retry_after_s).max(1))),
        Failure::ProviderSilent { retry_after_s } => (&PROVIDER_SILENT, Some((*retry_after_s).max(1))),
        Failure::QuotaFull(full) => (&RATE_LIMITED, Some(full.retry_after_s.max(1))),
        Failure::Unavailable => (&UNAVAILABLE, Some(1)),
        Failure::Restarting => (&ACTOR_RESTARTING, Some(1)),
        // Someone has to look at it: asking again soon changes nothing.
        Failure::Quarantined => (&QUARANTINED, Some(60)),
        // As asking again changes nothing at all.
        Failure::AnswerUnreadable => (&INTERNAL, None),
        Failure::OutcomeUnknown => (&OUTCOME_UNKNOWN, None),
    }
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The field's path in the body, or the parameter's name.
    #[schema(example = "shipping_address.country")]
    pub field: Cow<'static, str>,
    /// What is wrong with it.
    #[schema(example = "two upper-case letters are expected")]
    pub detail: Cow<'static, str>,
}

#[derive(Clone, Debug)]
enum Extra {
    Nothing,
    Shortages(Vec<Shortage>),
    ActualTotal(Money),
    /// What else a refusal tells, by name.
    Told(Vec<(&'static str, serde_json::Value)>),
}

#[derive(Clone, Debug)]
struct Inner {
    kind: &'static ProblemKind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    extra: Extra,
    retry_after_s: Option<u64>,
    replayed: bool,
}

/// A problem on its way out. As a response it is only a status and this value in the extensions: the outermost layer, which
/// knows the request's id, renders it.
#[derive(Clone, Debug)]
pub struct Problem(Box<Inner>);

/// What every handler ends with when it does not end well.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

impl Problem {
    /// A problem of this kind, explained.
    pub fn new(kind: &'static ProblemKind, detail: impl Into<Cow<'static, str>>) -> Self {
        let extra = Extra::Nothing;
        let detail = detail.into();
        Self(Box::new(Inner { kind, detail, errors: Vec::new(), extra, retry_after_s: None, replayed: false }))
    }

    /// The fields at fault.
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The same, with the fields at fault.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// The same, about this field of the request.
    #[must_use]
    pub fn about(self, field: &'static str) -> Self {
        let detail = self.0.detail.clone();
        self.with_errors(vec![FieldError { field: field.into(), detail }])
    }

    /// The same, with the seconds after which to ask again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// The same, as the repetition of a first answer.
    #[must_use]
    pub fn replayed(mut self, replayed: bool) -> Self {
        self.0.replayed = replayed;
        self
    }

    /// Its kind.
    pub fn kind(&self) -> &'static ProblemKind {
        self.0.kind
    }

    /// The body as it goes out.
    pub fn to_json(&self, request_id: &str) -> Vec<u8> {
        let Inner { kind, detail, errors, extra, .. } = &*self.0;
        let mut more = MoreBody::default();
        match extra {
            Extra::Nothing => {}
            Extra::Shortages(skus) => more.skus = Some(skus),
            Extra::ActualTotal(total) => more.actual_total = Some(MoneyBody(*total)),
            Extra::Told(told) => more.told = told.iter().map(|(name, value)| (*name, value)).collect(),
        }
        let body = ProblemBody {
            r#type: TypeOf(kind.code),
            title: kind.title,
            status: kind.status.as_u16(),
            detail,
            code: kind.code,
            errors,
            more,
            request_id,
        };
        // String keys and no failing Serialize: this cannot fail.
        json::written(&body).unwrap_or_default()
    }

    /// Puts the body and the headers of this problem on `response`.
    pub fn render(&self, response: &mut Response, request_id: &str) {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.replayed {
            headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        if self.0.kind.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        *response.body_mut() = Body::from(self.to_json(request_id));
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.kind.status;
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Reject> for Problem {
    fn from(reject: Reject) -> Self {
        let detail = reject.to_string();
        let errors = reject.field().map(|field| FieldError { field, detail: detail.clone().into() });
        let kind = ProblemKind::of(reject.kind());
        let mut problem = Problem::new(kind, detail).with_errors(errors.into_iter().collect());
        problem.0.extra = match reject {
            Reject::OutOfStock { skus } => Extra::Shortages(skus),
            Reject::PriceChanged { actual_total } | Reject::SaleEnded { actual_total: Some(actual_total) } => {
                Extra::ActualTotal(actual_total)
            }
            other => match told(&other) {
                told if told.is_empty() => Extra::Nothing,
                told => Extra::Told(told),
            },
        };
        problem
    }
}

/// What a refusal tells besides its text, for programs. Nothing that its caller may not know.
fn told(reject: &Reject) -> Vec<(&'static str, serde_json::Value)> {
    use serde_json::json;
    let mut told = Vec::new();
    match reject {
        Reject::AllotmentReserved { sku_id, available, minimum } => {
            told.push(("sku_id", json!(sku_id)));
            told.extend(available.map(|available| ("available", json!(available))));
            told.extend(minimum.map(|minimum| ("minimum", json!(minimum))));
        }
        Reject::SaleInvalid { why } => told.push(("why", json!(why))),
        Reject::SkuUnavailable { skus } => told.push(("skus", json!(skus))),
        Reject::SaleOverlap { sale_id } => told.push(("sale_id", json!(sale_id))),
        Reject::PaymentMethodNotAllowed { methods } => told.push(("methods", json!(methods))),
        Reject::SaleNotStarted { sku_id, starts_at } => {
            told.extend([("sku_id", json!(sku_id)), ("starts_at", json!(Moment(*starts_at)))]);
        }
        Reject::SaleSoldOut { sku_id, left, next_tranche_at, regular_price } => {
            told.extend([("sku_id", json!(sku_id)), ("left", json!(left))]);
            told.extend(next_tranche_at.map(|at| ("next_tranche_at", json!(Moment(at)))));
            told.extend(regular_price.map(|price| ("regular_price", json!(MoneyBody(price)))));
        }
        Reject::PurchaseLimit { limit, used, skus } => {
            told.extend([("limit", json!(limit)), ("used", json!(used)), ("skus", json!(skus))]);
        }
        Reject::BelowMinimum { sku_id, minimum_quantity } => {
            told.extend([("sku_id", json!(sku_id)), ("minimum_quantity", json!(minimum_quantity))]);
        }
        Reject::QuantityStep { step, sku_id } => {
            told.extend(sku_id.map(|sku| ("sku_id", json!(sku))));
            told.push(("quantity_step", json!(step)));
        }
        // Of a line that is being set the text says it, as it always did.
        Reject::QuantityOutOfRange { limit, sku_id: Some(sku_id) } => {
            told.extend([("sku_id", json!(sku_id)), ("max_quantity", json!(limit))]);
        }
        Reject::SlotFull { vendor_id, slot_id, why } => {
            told.extend([("vendor_id", json!(vendor_id)), ("slot_id", json!(slot_id)), ("why", json!(why.name()))]);
        }
        Reject::AddressNotServed { vendor_ids } => told.push(("vendor_ids", json!(vendor_ids))),
        Reject::CodNotAvailable { why, vendor_ids, maximum } => {
            // Where nothing is said it is for the methods of these vendors.
            told.extend((*why != NoCash::Method).then(|| ("why", json!(why))));
            told.extend((!vendor_ids.is_empty()).then(|| ("vendor_ids", json!(vendor_ids))));
            told.extend(maximum.map(|maximum| ("maximum", json!(MoneyBody(maximum)))));
        }
        Reject::AmountBelowMinimum { minimum } => told.push(("minimum", json!(MoneyBody(*minimum)))),
        Reject::RefundExceedsPayment { refundable } => told.push(("refundable", json!(MoneyBody(*refundable)))),
        Reject::UnitsCredited { sku_id, left } => {
            told.push(("sku_id", json!(sku_id)));
            told.push(("left", json!(left)));
        }
        Reject::RefundNotOpen { status } => told.push(("refund_status", json!(status.name()))),
        Reject::NotFulfillable { why } => told.push(("why", json!(why.name()))),
        Reject::NotReturnable { why, until } => {
            told.push(("why", json!(why.name())));
            told.extend(until.map(|until| ("until", json!(Moment(until)))));
        }
        Reject::EntryRequired { room_id } => told.push(("room_id", json!(room_id))),
        Reject::QuoteExpired { why } => told.push(("why", json!(why.name()))),
        Reject::CouponInUse { uses } => told.push(("uses", json!(uses))),
        Reject::CouponLimitReached { limit } => told.push(("limit", json!(limit))),
        Reject::PointsInsufficient { available } => told.push(("available", json!(available))),
        Reject::CouponNotApplicable { why, .. } => told.push(("why", json!(why.name()))),
        _ => {}
    }
    told
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let (kind, retry_after_s) = kind_of_failure(&failure);
        let mut problem = Problem::new(kind, failure.to_string());
        problem.0.retry_after_s = retry_after_s;
        problem
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        // What the store says is for the operator alone.
        match error {
            StoreError::Unavailable(_) | StoreError::Collision | StoreError::Fenced => {
                tracing::warn!(%error, "a query failed");
                Problem::new(&UNAVAILABLE, "the read tables cannot be read now").retry_after(1)
            }
            // To ask again would not help.
            StoreError::Invalid(_) => {
                tracing::error!(%error, "a query makes no sense to the store, or its answer none to us");
                Problem::new(&INTERNAL, "the read tables cannot be read")
            }
            StoreError::RowsIncomplete(_) => {
                tracing::info!(%error, "a list is refused");
                let detail = "what this list is filtered by is still being added to older rows";
                Problem::new(&ROWS_INCOMPLETE, detail).retry_after(ROWS_RETRY_S)
            }
        }
    }
}

struct TypeOf(&'static str);

impl Serialize for TypeOf {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{PROBLEMS_PAGE}#{}", self.0))
    }
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: TypeOf,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(flatten)]
    more: MoreBody<'a>,
    request_id: &'a str,
}

/// What some refusals say besides.
#[derive(Default, Serialize)]
struct MoreBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    skus: Option<&'a [Shortage]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actual_total: Option<MoneyBody>,
    #[serde(flatten)]
    told: BTreeMap<&'static str, &'a serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::quotas::{Full, Quota};
    use std::collections::BTreeSet;

    #[test]
    fn every_failure_has_its_status_and_503_says_when_to_ask_again() {
        let failures = [
            (Failure::Overloaded { retry_after_s: 0 }, 503, "overloaded"),
            (Failure::ProviderSilent { retry_after_s: 0 }, 503, "payment_provider_silent"),
            (Failure::QuotaFull(Full { quota: Quota::HeldPieces, retry_after_s: 0 }), 429, "rate_limited"),
            (Failure::Unavailable, 503, "unavailable"),
            (Failure::Restarting, 503, "actor_restarting"),
            (Failure::Quarantined, 503, "quarantined"),
            (Failure::OutcomeUnknown, 504, "outcome_unknown"),
        ];
        for (failure, status, code) in failures {
            let (kind, retry_after) = kind_of_failure(&failure);
            assert_eq!((kind.status.as_u16(), kind.code), (status, code));
            assert_eq!(retry_after.is_some_and(|seconds| seconds > 0), status != 504);
        }
    }

    #[test]
    fn codes_are_unique() {
        let codes: BTreeSet<&str> = ALL.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), ALL.len());
    }

    #[test]
    fn the_extra_members_are_those_of_the_contract() {
        let told = |kind: RejectKind, id: &str| -> serde_json::Value {
            let refusal = Reject::samples().into_iter().find(|refusal| refusal.kind() == kind).unwrap();
            serde_json::from_slice(&Problem::from(refusal).to_json(id)).unwrap()
        };
        let body = told(RejectKind::OutOfStock, "r-1");
        assert_eq!(body["type"], "/docs/problems#out_of_stock");
        assert_eq!(body["status"], 409);
        assert_eq!(body["request_id"], "r-1");
        assert_eq!(body["skus"][0]["requested"], 2);
        assert_eq!(body["skus"][0]["available"], 1);
        assert!(body["skus"][0]["sku_id"].as_str().unwrap().starts_with("sku_"));
        let body = told(RejectKind::PriceChanged, "r-2");
        assert_eq!(body["actual_total"], serde_json::json!({"amount": "1250.00", "currency": "BDT"}));
        assert!(body.get("skus").is_none() && body.get("errors").is_none());
        let body = told(RejectKind::BelowMinimum, "r-3");
        assert_eq!((body["status"].as_u64(), body["minimum_quantity"].as_i64()), (Some(409), Some(12)));
        assert!(body["sku_id"].is_string() && body.get("quantity_step").is_none() && body.get("errors").is_none());
        let body = told(RejectKind::QuantityStep, "r-4");
        assert_eq!((body["status"].as_u64(), body["quantity_step"].as_i64()), (Some(422), Some(6)));
        assert_eq!(body["errors"][0]["field"], "quantity");
    }

    /// Only what may pass is to be asked again.
    #[test]
    fn a_query_that_fails_for_good_is_a_fault_of_ours() {
        for (error, kind) in [
            (StoreError::Unavailable("gone".into()), &UNAVAILABLE),
            (StoreError::Fenced, &UNAVAILABLE),
            (StoreError::Invalid("damaged".into()), &INTERNAL),
            (StoreError::RowsIncomplete(crate::domain::ids::Kind::Order), &ROWS_INCOMPLETE),
        ] {
            assert_eq!(Problem::from(error).kind(), kind);
        }
    }
}
