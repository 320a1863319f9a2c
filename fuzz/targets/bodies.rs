//! Bodies: each route reads whatever it is sent, and answers with a problem or lets it in. The input is the route's number and the
//! body.
#![no_main]

use axum::body::Body;
use haat::http::error::{INVALID_BODY, MALFORMED_JSON};
use haat::limits;
use haat_fuzz::edge::{Answer, Edge, Route, routes_with_bodies};
use haat_fuzz::fuzz_target;
use http::{Request, header};
use serde_json::Value;
use std::sync::LazyLock;

static EDGE: LazyLock<Edge> = LazyLock::new(Edge::default);
static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(routes_with_bodies);

fn send(route: &Route, body: &[u8]) -> Answer {
    let mut request = Request::builder().method(&route.method).uri(&route.path);
    request = request.header(header::CONTENT_TYPE, "application/json");
    if let Some(bearer) = EDGE.bearer(route.by) {
        request = request.header(header::AUTHORIZATION, bearer);
    }
    EDGE.ask(request.body(Body::from(body.to_vec())).expect("a request of fixed parts"))
}

/// What every body that is let in keeps to, whatever the route. An amount is not a text: it may have zeros before it.
fn is_sane(name: &str, value: &Value, longest: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::Number(number) => {
            let most = if name == "quantity" { limits::LINE_QUANTITY } else { limits::SKU_PIECES };
            let least = if name == "quantity" { 0 } else { -limits::SKU_PIECES };
            let whole = number.as_f64().filter(|number| number.fract() == 0.0);
            whole.is_some_and(|number| number <= most as f64 && number >= least as f64)
        }
        Value::String(text) => {
            let control = |c: char| (c < ' ' && !matches!(c, '\n' | '\r' | '\t')) || c == '\u{7f}';
            (name == "amount" || text.chars().count() <= longest) && !text.chars().any(control)
        }
        Value::Array(items) => items.iter().all(|item| is_sane(name, item, longest)),
        Value::Object(fields) => fields.iter().all(|(name, value)| is_sane(name, value, longest)),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((number, body)) = data.split_first() else { return };
    let number = usize::from(*number) % ROUTES.len();
    let route = &ROUTES[number];
    // Descriptions and reasons.
    let longest = if matches!(number, 1 | 3) { limits::LONG_TEXT } else { limits::SHORT_TEXT };
    let answer = send(route, body);
    let value: Result<Value, _> = serde_json::from_slice(body);
    if answer.was_let_in() {
        // A new cart and a cancellation need none.
        if body.is_empty() && matches!(number, 4 | 7) {
            return;
        }
        let value = value.expect("what is let in is JSON");
        assert!(value.is_object() && is_sane("", &value, longest), "{} was let in: {value}", route.path);
        // Written again it says the same, whatever the order of its fields.
        let again = serde_json::to_vec(&value).expect("a value is JSON");
        assert_eq!(send(route, &again).status, answer.status, "{} {value}", route.path);
    } else if answer.problem == Some(&MALFORMED_JSON) {
        assert!(value.is_err(), "{} calls it malformed: {value:?}", route.path);
    } else if answer.problem == Some(&INVALID_BODY) {
        let problem: Value = serde_json::from_slice(&answer.body).expect("a problem is JSON");
        assert!(problem["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{problem}");
    }
});
