//! Whether the node lives, whether it takes requests, and its figures.

use crate::actors::{Engine, Readiness};
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
}

problems!(HealthProblems: &[]);

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "operation",
    responses((status = 200, description = "It does.", body = HealthBody), HealthProblems))]
pub async fn healthz() -> Response {
    ok(&HealthBody { status: "ok" })
}

problems!(ReadyProblems: &[&RECOVERING, &DRAINING, &STORE_UNAVAILABLE]);

/// Whether the node takes requests
#[utoipa::path(get, path = "/readyz", tag = "operation",
    responses((status = 200, description = "It does.", body = HealthBody), ReadyProblems))]
pub async fn readyz(State(engine): State<Engine>) -> Result<Response> {
    let kind = match engine.readiness() {
        Readiness::Ready => return Ok(ok(&HealthBody { status: "ready" })),
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
