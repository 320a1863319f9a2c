//! The outermost layer: gives every request an id, catches panics, renders problems, counts, and writes the access log.
//! Tokens and bodies never come into a log.

use crate::http::error::{HOST_INVALID, INTERNAL, NOT_FOUND, Problem};
use crate::http::host;
use crate::http::metrics::{self, RequestMetrics};
use crate::http::server::now;
use crate::http::trace::Sampler;
use crate::ports::trace::{self, OpenSpan};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::{CACHE_CONTROL, CONNECTION};
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tracing::Instrument;
use tracing::field::display;
use uuid::Uuid;

/// The header that names a request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES: usize = 128;
const READYZ: &str = "/readyz";
/// The route of a path that has none.
const UNKNOWN: &str = "unknown";

/// What anyone may see and keep. All other answers under these names and any other tell of somebody, or hold a token:
/// nobody keeps them.
fn may_be_kept(route: &str) -> bool {
    const CATALOGUE: [&str; 3] = ["/v1/skus/{sku}", "/v1/products", "/v1/products/{product}"];
    !route.starts_with("/v1/") && route != UNKNOWN || CATALOGUE.contains(&route)
}

/// What the layer needs.
#[derive(Clone)]
pub struct Observer {
    metrics: Arc<RequestMetrics>,
    fresh_id: Arc<dyn Fn() -> Uuid + Send + Sync>,
    sampler: Option<Arc<Sampler>>,
}

impl Observer {
    /// A layer that gives requests without a sane id of their own one of these.
    pub fn new(fresh_id: impl Fn() -> Uuid + Send + Sync + 'static) -> Self {
        Self { metrics: Arc::default(), fresh_id: Arc::new(fresh_id), sampler: None }
    }

    /// Traces those that this one samples.
    #[must_use]
    pub fn sampling(self, sampler: Option<Sampler>) -> Self {
        Self { sampler: sampler.map(Arc::new), ..self }
    }

    /// There are these routes: their failures are counted from zero, not from the first.
    #[must_use]
    pub fn expecting<'a>(self, routes: impl IntoIterator<Item = (&'a str, Method)>) -> Self {
        routes.into_iter().for_each(|(path, method)| self.metrics.expect(path, &method));
        self
    }
}

/// The caller's own id if it is sane, else a fresh one.
fn request_id(request: &Request, fresh: &dyn Fn() -> Uuid) -> HeaderValue {
    let given = request.headers().get(&X_REQUEST_ID).filter(|value| {
        (1..=REQUEST_ID_BYTES).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(|| {
        let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
        let text = fresh().hyphenated().encode_lower(&mut buffer);
        HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("none"))
    })
}

/// See the file's head.
pub async fn observe(State(observer): State<Observer>, request: Request, next: Next) -> Response {
    let started = now();
    let header = request_id(&request, &*observer.fresh_id);
    let id = header.to_str().unwrap_or_default().to_owned();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(UNKNOWN, MatchedPath::as_str);
    let traced = observer.sampler.as_ref().and_then(|sampler| sampler.begin(&request, route, started));
    let context = traced.as_ref().map(OpenSpan::context);
    let trace_id = context.map(|context| display(context.trace()));
    let span = match trace_id {
        // Whatever is told of it is told with its trace.
        Some(_) => tracing::error_span!("request", id, %method, route, trace_id),
        None => tracing::debug_span!("request", id, %method, route),
    };

    let addressed = host::check(&request);
    let is_http2 = request.version() == Version::HTTP_2;
    let handled = match addressed {
        Ok(()) => {
            let answered = next.run(request).instrument(span);
            match context {
                None => AssertUnwindSafe(answered).catch_unwind().await,
                // In a box: the many that are not sampled make no room for it.
                Some(context) => AssertUnwindSafe(Box::pin(trace::within(context, answered))).catch_unwind().await,
            }
        }
        Err(wrong) => {
            let mut refused = Problem::new(&HOST_INVALID, wrong).into_response();
            if !is_http2 {
                // What two readers take for two hosts they may take for two requests: nothing more is read of it.
                refused.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(refused)
        }
    };
    let mut response = handled.unwrap_or_else(|_| {
        // The panic hook has written where it was.
        tracing::error!(id, %method, route, trace_id, "a handler panicked");
        ::metrics::counter!(metrics::PANICS).increment(1);
        Problem::new(&INTERNAL, "the request failed in the engine").into_response()
    });
    let mut problem = response.extensions_mut().remove::<Problem>();
    if problem.is_none() && response.status() == StatusCode::BAD_REQUEST {
        // Only the documentation's pages leave it to axum to refuse a path, one that is no UTF-8, and axum does it with a plain text.
        response = StatusCode::NOT_FOUND.into_response();
    }
    if problem.is_none() && response.status() == StatusCode::NOT_FOUND {
        // The documentation's pages answer for themselves, without a body.
        problem = Some(Problem::new(&NOT_FOUND, "there is nothing at this path"));
    }
    if let Some(problem) = &problem {
        problem.render(&mut response, &id);
    }
    response.headers_mut().insert(X_REQUEST_ID, header);
    if !may_be_kept(route) {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }

    let (status, ended) = (response.status(), now());
    let took = ended - started;
    let code = problem.as_ref().map_or("", |problem| problem.kind().code);
    // Whoever asks whether it is ready is used to a no.
    if status.is_server_error() && route != READYZ {
        tracing::warn!(id, %method, route, status = status.as_u16(), code, took_us = took.as_micros(), trace_id, "request failed");
    } else {
        tracing::debug!(id, %method, route, status = status.as_u16(), code, took_us = took.as_micros(), trace_id, "request");
    }
    if let Some(mut traced) = traced {
        traced.says("http.response.status_code", usize::from(status.as_u16()));
        traced.end(ended, status.is_server_error());
    }
    observer.metrics.record(route, &method, status.as_u16(), took);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reject::Reject;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn boom() {
        panic!("boom");
    }

    fn router() -> Router {
        let missing = || async { Problem::from(Reject::SkuUnknown) };
        let observed = axum::middleware::from_fn_with_state(Observer::new(Uuid::nil), observe);
        Router::new()
            .route("/ok", get(|| async { "fine" }))
            .route("/missing", get(missing))
            .route("/boom", get(boom))
            .route("/pages/{rest}", get(|_: axum::extract::Path<String>| async { "a page" }))
            .layer(observed)
    }

    async fn get_with(path: &str, id: Option<&'static [u8]>) -> (u16, HeaderValue, serde_json::Value) {
        let mut request = Request::get(path).header("host", "x");
        if let Some(id) = id {
            request = request.header(X_REQUEST_ID, HeaderValue::from_bytes(id).unwrap());
        }
        let response = router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers[X_REQUEST_ID].clone(), serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn every_answer_carries_the_request_id() {
        let (status, id, _) = get_with("/ok", Some(b"mine-1")).await;
        assert_eq!((status, id.as_bytes()), (200, &b"mine-1"[..]));
        for bad in [&b"with space"[..], b"\xe9", &[b'x'; 129], b""] {
            let (_, id, _) = get_with("/ok", Some(bad)).await;
            assert_eq!(id.len(), 36);
        }
    }

    #[tokio::test]
    async fn a_page_whose_path_is_no_utf_8_is_not_there() {
        assert_eq!(get_with("/pages/one", None).await.0, 200);
        let (status, _, body) = get_with("/pages/n%99", None).await;
        assert_eq!((status, body["code"].as_str()), (404, Some("not_found")));
    }

    #[tokio::test]
    async fn problems_are_rendered_and_panics_become_problems() {
        let (status, id, body) = get_with("/missing", None).await;
        assert_eq!((status, body["code"].as_str()), (404, Some("sku_unknown")));
        assert_eq!(body["request_id"].as_str(), id.to_str().ok());
        let (status, _, body) = get_with("/boom", Some(b"p")).await;
        assert_eq!((status, body["code"].as_str(), body["request_id"].as_str()), (500, Some("internal"), Some("p")));
    }
}
