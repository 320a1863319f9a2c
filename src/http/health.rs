//! Whether the node lives, whether it takes requests, and its figures.

use crate::actors::{Readiness, Shop};
use crate::http::RenderMetrics;
use crate::http::answer::ok;
use crate::http::error::{DRAINING, Problem, RECOVERING, Result, STORE_UNAVAILABLE};
use crate::http::openapi::problems;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;

/// That all is well.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthBody {
    /// `ok`, or `ready`.
    #[schema(example = "ok")]
    status: &'static str,
    /// Of `/readyz`: by how many whole seconds the shop's time is ahead of the machine's clock; below 0 when it is
    /// behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0)]
    clock_ahead_seconds: Option<i64>,
}

problems!(HealthProblems: &[]);

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "operation",
    responses((status = 200, description = "It does.", body = HealthBody), HealthProblems))]
pub async fn healthz() -> Response {
    ok(&HealthBody { status: "ok", clock_ahead_seconds: None })
}

problems!(ReadyProblems: &[&RECOVERING, &DRAINING, &STORE_UNAVAILABLE]);

/// Whether the node takes requests
#[utoipa::path(get, path = "/readyz", tag = "operation",
    responses((status = 200, description = "It does.", body = HealthBody), ReadyProblems))]
pub async fn readyz(State(shop): State<Shop>) -> Result<Response> {
    let kind = match shop.readiness() {
        Readiness::Ready => {
            let clock_ahead_seconds = Some(shop.clock().ahead_ms() / 1000);
            return Ok(ok(&HealthBody { status: "ready", clock_ahead_seconds }));
        }
        Readiness::Recovering => &RECOVERING,
        Readiness::Draining => &DRAINING,
        Readiness::StoreUnavailable => &STORE_UNAVAILABLE,
    };
    Err(Problem::new(kind, "requests are not taken now").retry_after(1))
}

problems!(MetricsProblems: &[]);

/// The node's figures, as Prometheus reads them
#[utoipa::path(get, path = "/metrics", tag = "operation",
    responses((status = 200, description = "Prometheus text.", body = String, content_type = "text/plain"), MetricsProblems))]
pub async fn metrics(State(render): State<RenderMetrics>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render.render()).into_response()
}
