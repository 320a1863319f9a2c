//! Tables that are read and written whole: which version was read, which is there now.

use crate::actors::shop::Shop;
use crate::http::Settings;
use crate::http::answer::ok;
use crate::http::error::{PRECONDITION_REQUIRED, Problem, Result, VERSION_CONFLICT};
use crate::http::services::{Services, written};
use crate::services::price_tables::{TableName, Wrote};
use axum::response::Response;
use http::header::{ETAG, IF_MATCH};
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use utoipa::IntoParams;

/// The header, as the documentation shows it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only its description is used")]
pub struct IfMatchHeader {
    /// The version that was read, as `ETag` says it.
    #[param(rename = "If-Match", required = false, example = "\"0\"")]
    version: Option<String>,
}

/// The version that a change is of.
pub(super) fn if_match(headers: &HeaderMap) -> Result<u64> {
    let mut given = headers.get_all(IF_MATCH).iter();
    let required = || Problem::new(&PRECONDITION_REQUIRED, "If-Match must say which version was read");
    let value = given.next().ok_or_else(required)?;
    let text = value.to_str().ok().filter(|_| given.next().is_none());
    let plain = text.and_then(|text| text.trim().strip_prefix('"')?.strip_suffix('"'));
    let digits = plain.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).ok_or_else(moved)
}

pub(super) fn moved() -> Problem {
    Problem::new(&VERSION_CONFLICT, "the table has another version: read it anew")
}

/// A table with its version.
pub(super) fn versioned(version: u64, body: &impl Serialize) -> Response {
    let mut response = ok(body);
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Writes a table, and has this node go by it at once; which version it has now.
pub(super) async fn write(
    shop: &Shop,
    services: &Services,
    settings: &Settings,
    name: TableName,
    version: u64,
    table: &(impl Serialize + Sync),
) -> Result<u64> {
    let tables = &services.price_tables;
    match written(settings, tables.write(name, version, table, services.clock.now())).await? {
        Wrote::Moved => Err(moved()),
        Wrote::Done => {
            // It is written: what cannot be read now is read within seconds.
            if let Err(error) = tables.learn(|tables| shop.show_tables(tables)).await {
                tracing::warn!(%error, "a table was written and cannot be read now");
            }
            Ok(version + 1)
        }
    }
}
