//! What a request says, read with care: JSON bodies, ids in paths, queries. What does not fit becomes a problem that names the field.

use crate::domain::coupon::CouponCode;
use crate::domain::ids::{
    AccountId, AddressId, CartId, CategoryId, CouponId, CustomerId, JobId, OrderId, ProductId, RefundId, ReturnId,
    RoomId, SaleId, SessionId, ShipmentId, SkuId, SubOrderId, VendorId,
};
use crate::domain::reject::Reject;
use crate::http::HttpState;
use crate::http::error::{
    ACCOUNT_UNKNOWN, ADDRESS_UNKNOWN, BODY_TIMEOUT, BODY_TOO_LARGE, CATEGORY_UNKNOWN, FieldError, INVALID_BODY,
    INVALID_QUERY, JOB_UNKNOWN, MALFORMED_JSON, NOT_FOUND, Problem, Result, SESSION_UNKNOWN, UNSUPPORTED_MEDIA_TYPE,
};
use crate::http::metrics::body_rejected;
use crate::http::valid::bounded;
use crate::limits;
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

/// A JSON body.
#[derive(Debug)]
pub struct JsonBody<T> {
    /// What it says.
    pub value: T,
    /// Its bytes as they came, but for a byte order mark.
    pub raw: Bytes,
}

/// A body as it came, with its headers: of a notice, which is signed byte by byte.
#[derive(Debug)]
pub struct RawBody {
    /// The headers.
    pub headers: HeaderMap,
    /// Its bytes.
    pub body: Bytes,
}

impl FromRequest<HttpState> for RawBody {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &HttpState) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let body = read_body(&parts.headers, body, limits::NOTICE_BYTES, state.settings.body_read).await?;
        Ok(Self { headers: parts.headers, body })
    }
}

/// A JSON body that may as well be absent.
#[derive(Debug)]
pub struct OptionalJson<T> {
    /// What it says, or would say if it were `{}`.
    pub value: T,
    /// Its bytes as they came, but for a byte order mark.
    pub raw: Bytes,
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return true;
    }
    let essence = essence.to_ascii_lowercase();
    essence.starts_with("application/") && essence.ends_with("+json")
}

/// Whether a body is compressed or coded otherwise: none is decoded here, and none may be taken for what it is not. Chunks are read off
/// by the connection.
fn is_coded(headers: &HeaderMap) -> bool {
    let other = |name, plain: &str| {
        headers.get_all(name).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(plain.as_bytes()))
    };
    other(CONTENT_ENCODING, "identity") || other(TRANSFER_ENCODING, "chunked")
}

/// Reads a body up to a limit of bytes and of time.
async fn read_body(headers: &HeaderMap, body: Body, limit: usize, within: Duration) -> Result<Bytes> {
    let too_large = || {
        body_rejected("too_large");
        Problem::new(&BODY_TOO_LARGE, format!("a body may have {limit} bytes"))
    };
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(within, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => {
            body_rejected("broken_off");
            Err(Problem::new(&MALFORMED_JSON, "the body broke off"))
        }
        Err(_) => {
            body_rejected("timeout");
            Err(Problem::new(&BODY_TIMEOUT, format!("a body must arrive within {} s", within.as_secs())))
        }
    }
}

/// The body without a byte order mark, which RFC 8259 (8.1) lets a reader pass over.
fn without_mark(raw: Bytes) -> Bytes {
    if raw.starts_with(b"\xef\xbb\xbf") { raw.slice(3..) } else { raw }
}

/// Whether this is JSON in UTF-16 or UTF-32: by its mark, or as every second byte of its first characters, which are
/// ASCII, is zero.
fn is_wide(raw: &[u8]) -> bool {
    raw.starts_with(b"\xff\xfe") || raw.starts_with(b"\xfe\xff") || raw.iter().take(2).any(|byte| *byte == 0)
}

/// Reads JSON; a refusal says which field it is about. The path costs time, so it is sought only once reading has failed.
fn parse<T: DeserializeOwned>(raw: &[u8]) -> Result<T> {
    let error = match serde_json::from_slice(raw) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if error.classify() != Category::Data {
        body_rejected("malformed");
        if is_wide(raw) {
            return Err(Problem::new(
                &MALFORMED_JSON,
                "the body is to be JSON in UTF-8; this seems to be UTF-16 or UTF-32",
            ));
        }
        return Err(Problem::new(&MALFORMED_JSON, format!("the body is not JSON: {error}")));
    }
    body_rejected("invalid");
    let mut reader = serde_json::Deserializer::from_slice(raw);
    let located = serde_path_to_error::deserialize::<_, T>(&mut reader).err();
    let (field, detail) = match located {
        Some(located) => (located.path().to_string(), located.inner().to_string()),
        None => (".".to_owned(), error.to_string()),
    };
    // "unknown field `x`, expected … at line 1 column 9": the place means nothing to most.
    let detail = detail.rsplit_once(" at line ").map_or(detail.as_str(), |(before, _)| before);
    let detail = &*without_value(detail);
    let field = if field == "." { String::new() } else { bounded(&field) };
    let errors = vec![FieldError { field: field.into(), detail: bounded(detail).into() }];
    Err(Problem::new(&INVALID_BODY, "the body does not have the form that is expected").with_errors(errors))
}

/// What serde says of a text in the wrong place, without the text: "invalid type: string "tok_…", expected an object". It may be worth money,
/// and answers are kept by proxies and in bug reports.
fn without_value(detail: &str) -> Cow<'_, str> {
    match (detail.find(" string \""), detail.rfind("\", expected")) {
        (Some(start), Some(end)) if start < end => {
            return format!("{} string{}", &detail[..start], &detail[end + 1..]).into();
        }
        _ => {}
    }
    // A number, in backticks, may be a card's.
    for kind in [" integer `", " floating point `", " character `"] {
        if let Some(start) = detail.find(kind)
            && let Some(end) = detail.rfind("`, expected")
            && start < end
        {
            return format!("{}{}", &detail[..start + kind.len() - 2], &detail[end + 1..]).into();
        }
    }
    detail.into()
}

/// Refuses what is no plain JSON by its own account.
fn plain_json(headers: &HeaderMap) -> Result<()> {
    let detail = match (is_json(headers), is_coded(headers)) {
        (true, false) => return Ok(()),
        (true, true) => "the body is to come as it is, not compressed",
        (false, _) => "the body is to be application/json",
    };
    body_rejected("media_type");
    Err(Problem::new(&UNSUPPORTED_MEDIA_TYPE, detail))
}

impl<T: DeserializeOwned> FromRequest<HttpState> for JsonBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &HttpState) -> Result<Self> {
        let (parts, body) = request.into_parts();
        plain_json(&parts.headers)?;
        let raw = read_body(&parts.headers, body, state.settings.body_bytes, state.settings.body_read).await?;
        let raw = without_mark(raw);
        Ok(Self { value: parse(&raw)?, raw })
    }
}

/// A JSON body that is a whole table, as prices of a thousand goods are: it may be longer than another.
#[derive(Debug)]
pub struct TableBody<T> {
    /// What it says.
    pub value: T,
    /// Its bytes as they came, but for a byte order mark.
    pub raw: Bytes,
}

impl<T: DeserializeOwned> FromRequest<HttpState> for TableBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &HttpState) -> Result<Self> {
        let (parts, body) = request.into_parts();
        plain_json(&parts.headers)?;
        let limit = state.settings.body_bytes.max(limits::TABLE_BYTES);
        let raw = read_body(&parts.headers, body, limit, state.settings.body_read).await?;
        let raw = without_mark(raw);
        Ok(Self { value: parse(&raw)?, raw })
    }
}

impl<T: DeserializeOwned + Default> FromRequest<HttpState> for OptionalJson<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &HttpState) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let raw = read_body(&parts.headers, body, state.settings.body_bytes, state.settings.body_read).await?;
        let raw = without_mark(raw);
        if raw.is_empty() {
            return Ok(Self { value: T::default(), raw });
        }
        plain_json(&parts.headers)?;
        Ok(Self { value: parse(&raw)?, raw })
    }
}

/// An id that stands in a path: one that is malformed is unknown.
pub trait PathId: FromStr {
    /// What is said of one that is not known.
    fn unknown() -> Problem;
}

macro_rules! path_id {
    ($($id:ident => $reject:ident),* $(,)?) => {
        $(impl PathId for $id {
            fn unknown() -> Problem {
                Reject::$reject.into()
            }
        })*
    };
}

path_id!(
    RoomId => RoomUnknown,
    CartId => CartUnknown,
    OrderId => OrderUnknown,
    CustomerId => CustomerUnknown,
    VendorId => VendorUnknown,
    ProductId => ProductUnknown,
    SkuId => SkuUnknown,
    CouponId => CouponUnknown,
    CouponCode => CouponUnknown,
    SaleId => SaleUnknown,
    SubOrderId => OrderUnknown,
    RefundId => RefundUnknown,
    ShipmentId => ShipmentUnknown,
    ReturnId => ReturnUnknown,
);

impl PathId for SessionId {
    fn unknown() -> Problem {
        Problem::new(&SESSION_UNKNOWN, "there is no such session of yours")
    }
}

impl PathId for JobId {
    fn unknown() -> Problem {
        Problem::new(&JOB_UNKNOWN, "there is no such job, or it ended long ago")
    }
}

impl PathId for AccountId {
    fn unknown() -> Problem {
        Problem::new(&ACCOUNT_UNKNOWN, "there is no such account")
    }
}

impl PathId for AddressId {
    fn unknown() -> Problem {
        Problem::new(&ADDRESS_UNKNOWN, "you keep no such address")
    }
}

impl PathId for CategoryId {
    fn unknown() -> Problem {
        Problem::new(&CATEGORY_UNKNOWN, "there is no such category")
    }
}

/// Reads an id that came from outside.
pub fn parse_id<T: PathId>(text: &str) -> Result<T> {
    text.parse().map_err(|_| T::unknown())
}

/// The one id of a path.
#[derive(Debug)]
pub struct Id<T>(pub T);

/// The two ids of a path.
#[derive(Debug)]
pub struct Ids<A, B>(pub A, pub B);

async fn path_params<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams> {
    let not_found = |_| Problem::new(&NOT_FOUND, "there is nothing at this path");
    RawPathParams::from_request_parts(parts, state).await.map_err(not_found)
}

fn nth<'a>(params: &'a RawPathParams, index: usize) -> &'a str {
    params.iter().nth(index).map_or("", |(_, value): (&'a str, &'a str)| value)
}

impl<T: PathId, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let params = path_params(parts, state).await?;
        Ok(Self(parse_id(nth(&params, 0))?))
    }
}

impl<A: PathId, B: PathId, S: Send + Sync> FromRequestParts<S> for Ids<A, B> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let params = path_params(parts, state).await?;
        Ok(Self(parse_id(nth(&params, 0))?, parse_id(nth(&params, 1))?))
    }
}

/// The three ids of a path.
#[derive(Debug)]
pub struct Ids3<A, B, C>(pub A, pub B, pub C);

impl<A: PathId, B: PathId, C: PathId, S: Send + Sync> FromRequestParts<S> for Ids3<A, B, C> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let params = path_params(parts, state).await?;
        Ok(Self(parse_id(nth(&params, 0))?, parse_id(nth(&params, 1))?, parse_id(nth(&params, 2))?))
    }
}

/// What stands behind the question mark. Names that are not known are refused: a mistyped filter must not list everything.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(|rejection| {
            let text = std::error::Error::source(&rejection).map_or_else(|| rejection.to_string(), ToString::to_string);
            // serde_path_to_error writes "limit: invalid digit found in string".
            let (field, detail) = match text.split_once(": ") {
                Some((field, detail)) if !field.contains(' ') => (field, detail),
                _ => ("", text.as_str()),
            };
            let errors = vec![FieldError { field: bounded(field).into(), detail: bounded(detail).into() }];
            Problem::new(&INVALID_QUERY, "the query does not have the form that is expected").with_errors(errors)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use serde::Deserialize;

    #[test]
    fn what_stood_in_the_wrong_place_is_not_repeated() {
        for value in ["\"4111111111111111\"", "4111111111111111", "4111.1111111111", "-4111111111111111"] {
            let error = serde_json::from_str::<bool>(value).expect_err("no truth value").to_string();
            let told = without_value(&error);
            assert!(!told.contains("4111") && told.contains("expected a boolean"), "{told}");
        }
        assert_eq!(without_value("missing field `x`"), "missing field `x`");
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Outer {
        inner: Inner,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Inner {
        count: i64,
    }

    fn problem(text: &str) -> (&'static str, serde_json::Value) {
        let problem = parse::<Outer>(text.as_bytes()).unwrap_err();
        let body: serde_json::Value = serde_json::from_slice(&problem.to_json("r")).unwrap();
        (problem.kind().code, body["errors"][0]["field"].clone())
    }

    #[test]
    fn what_is_no_json_is_malformed_and_what_does_not_fit_names_its_field() {
        for text in ["", "{", "nonsense", "{\"inner\":{\"count\":1}} x", "\"\\ud800\"", "{\"inner\":{\"count\":1e999}}"]
        {
            assert_eq!(problem(text).0, "malformed_json", "{text}");
        }
        assert_eq!(problem(r#"{"inner":{"count":"1"}}"#), ("invalid_body", "inner.count".into()));
        assert_eq!(problem(r#"{"inner":{"count":1.5}}"#), ("invalid_body", "inner.count".into()));
        assert_eq!(problem(r#"{"inner":{"count":1,"more":2}}"#), ("invalid_body", "inner.more".into()));
        assert_eq!(problem(r#"{"inner":{}}"#), ("invalid_body", "inner".into()));
        assert_eq!(problem("[]").0, "invalid_body");
        assert!(parse::<Outer>(br#"{"inner":{"count":1}}"#).is_ok());
    }

    #[test]
    fn only_json_is_json() {
        let json = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            is_json(&headers)
        };
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(json(good), "{good}");
        }
        for bad in ["", "text/plain", "application/x-www-form-urlencoded", "text/json", "application/jsonx"] {
            assert!(!json(bad), "{bad}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn a_malformed_id_is_an_unknown_one() {
        assert_eq!(parse_id::<SkuId>("sku_x").unwrap_err().kind().code, "sku_unknown");
        assert_eq!(parse_id::<OrderId>("").unwrap_err().kind().code, "order_unknown");
        assert_eq!(parse_id::<CartId>("order_01h2xcejqtf2nbrexx3vqjhp41").unwrap_err().kind().code, "cart_unknown");
        assert!(parse_id::<OrderId>("order_01h2xcejqtf2nbrexx3vqjhp41").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_a_limit_of_bytes_and_of_time() {
        let headers = HeaderMap::new();
        let second = Duration::from_secs(1);
        assert_eq!(read_body(&headers, Body::from("12345"), 5, second).await.unwrap(), "12345");
        let problem = read_body(&headers, Body::from("123456"), 5, second).await.unwrap_err();
        assert_eq!(problem.kind().code, "body_too_large");
        let mut announced = HeaderMap::new();
        announced.insert(CONTENT_LENGTH, HeaderValue::from_static("6"));
        let problem = read_body(&announced, Body::empty(), 5, second).await.unwrap_err();
        assert_eq!(problem.kind().code, "body_too_large");
        // Each byte comes in time, and the whole does not: four take longer than two.
        let dripping = |count| {
            let drip = futures::stream::unfold(count, |left: u32| async move {
                tokio::time::sleep(Duration::from_millis(400)).await;
                (left > 0).then(|| (Ok::<_, std::io::Error>(Bytes::from_static(b"x")), left - 1))
            });
            Body::from_stream(drip)
        };
        assert_eq!(read_body(&headers, dripping(1), 5, second).await.unwrap(), "x");
        let problem = read_body(&headers, dripping(4), 5, second).await.unwrap_err();
        assert_eq!(problem.kind().code, "body_timeout");
    }
}
