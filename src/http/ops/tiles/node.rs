//! How the node stands.

use super::Look;
use crate::actors::Readiness;
use crate::http::metrics;
use crate::http::money::Moment;
use crate::telemetry::names;
use serde::Serialize;
use utoipa::ToSchema;

/// How the node stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeTile {
    /// `recovering`, `ready`, `draining`, or `store_unavailable`: then reads are answered, and writes are not.
    #[schema(example = "ready")]
    state: &'static str,
    /// Since when that is so.
    since: Moment,
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// By how many whole seconds the shop's time is ahead of the machine's clock; below 0 when it is behind.
    clock_ahead_seconds: i64,
    /// Open connections.
    connections: u64,
    /// Bytes of answers that clients have not taken yet.
    answer_bytes: u64,
    /// Whether files that the node writes are not where they were opened.
    files_missing: bool,
    /// Breaches of invariants found since the process started.
    invariant_breaches: u64,
    /// Handlers of requests that panicked since the process started.
    handler_panics: u64,
}

impl NodeTile {
    pub(super) fn of(Look { parts, looks, .. }: &Look<'_>) -> Self {
        let (readiness, since) = parts.shop.stands();
        Self {
            state: match readiness {
                Readiness::Recovering => "recovering",
                Readiness::Ready => "ready",
                Readiness::Draining => "draining",
                Readiness::StoreUnavailable => "store_unavailable",
            },
            since: Moment(since),
            version: env!("CARGO_PKG_VERSION"),
            clock_ahead_seconds: parts.shop.clock().ahead_ms() / 1000,
            connections: looks.total(metrics::CONNECTIONS, &[]),
            answer_bytes: looks.total(metrics::ANSWER_BYTES, &[]),
            files_missing: looks.now(names::FILES_MISSING, &[]) > 0.0,
            invariant_breaches: looks.rates(names::BREACHES).into_iter().map(|(_, _, total)| total).sum(),
            handler_panics: looks.total(metrics::PANICS, &[]),
        }
    }
}
