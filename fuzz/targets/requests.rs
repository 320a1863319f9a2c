//! Requests: paths, queries and headers of any kind. The first line of the input is the path and the query, or `@N` for path number
//! N and what follows it; each further line is a header, in which `@guest`, `@admin` and `@vendor` stand for a token. The first byte
//! is the method.
#![no_main]

use axum::body::Body;
use haat::domain::time::Timestamp;
use haat::http::page::{List, Paging};
use haat::http::prefer;
use haat::limits;
use haat_fuzz::edge::{By, Edge, paths};
use haat_fuzz::fuzz_target;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use std::sync::LazyLock;

static EDGE: LazyLock<Edge> = LazyLock::new(Edge::default);
static PATHS: LazyLock<Vec<String>> = LazyLock::new(paths);
const METHODS: [Method; 6] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD];

/// What anyone may ask for.
const PUBLIC: [&str; 10] = [
    "/v1/products",
    "/v1/categories",
    "/v1/skus/",
    "/v1/carts",
    "/v1/auth/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/openapi.json",
];

fn target(line: &[u8]) -> Option<Uri> {
    let text = std::str::from_utf8(line).ok()?;
    let Some(numbered) = text.strip_prefix('@') else { return text.parse().ok() };
    let digits = numbered.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = numbered.split_at(digits);
    let path = &PATHS[number.parse::<usize>().ok()? % PATHS.len()];
    format!("{path}{rest}").parse().ok()
}

/// A header's value with the tokens in it, and whether there were any.
fn with_tokens(value: &[u8]) -> (Vec<u8>, bool) {
    for (name, by) in [(&b"@guest"[..], By::Guest), (b"@admin", By::Admin), (b"@vendor", By::Vendor)] {
        if let Some(at) = value.windows(name.len()).position(|window| window == name) {
            let bearer = EDGE.bearer(by).expect("a token for each but nobody");
            let token = bearer.trim_start_matches("Bearer ").as_bytes();
            return ([&value[..at], token, &value[at + name.len()..]].concat(), true);
        }
    }
    (value.to_vec(), false)
}

fn check_page(uri: &Uri) {
    let parameters = uri.query().unwrap_or_default().split('&');
    for cursor in parameters.filter_map(|parameter| parameter.strip_prefix("cursor=")) {
        let list = List::new(uri.path(), &());
        let Ok(paging) = Paging::new(list, Some(1), Some(cursor)) else { continue };
        let place = paging.after.expect("a cursor is a place");
        // The cursor of a page that ends there is the very same.
        let page = paging.page(vec![place, place], Timestamp::default(), |place| *place, |place| place);
        assert_eq!(page.next_cursor.as_deref(), Some(cursor));
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((method, data)) = data.split_first() else { return };
    let mut lines = data.split(|byte| *byte == b'\n');
    let Some(uri) = lines.next().and_then(target) else { return };
    check_page(&uri);
    let mut headers = HeaderMap::new();
    let mut given = false;
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (value, has_token) = with_tokens(line[colon + 1..].trim_ascii());
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&value));
        if let (Ok(name), Ok(value)) = (name, value) {
            given |= has_token && name == header::AUTHORIZATION;
            if name == header::AUTHORIZATION && !has_token {
                let text = value.to_str().unwrap_or_default();
                let token = text.split_once(' ').map_or(text, |(_, token)| token);
                assert!(!EDGE.knows(token), "a forged token: {token}");
            }
            headers.append(name, value);
        }
    }
    assert!(prefer::wait_seconds(&headers).is_none_or(|seconds| seconds <= limits::PREFER_WAIT_SECONDS));
    let path = uri.path().to_owned();
    let method = &METHODS[usize::from(*method) % METHODS.len()];
    let mut request = Request::builder().method(method).uri(uri);
    *request.headers_mut().expect("a good request so far") = headers;
    let answer = EDGE.ask(request.body(Body::empty()).expect("a request of good parts"));
    let public = PUBLIC.iter().any(|public| path.starts_with(public));
    assert!(!answer.was_let_in() || given || public, "{method} {path} was let in without a token: {}", answer.status);
    if answer.status == StatusCode::UNAUTHORIZED {
        assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE), "{path}");
    }
});
