//! The log writer: what it writes, how long a commit takes, and what waits for it.

use super::{Look, Spread};
use crate::telemetry::names;
use serde::Serialize;
use utoipa::ToSchema;

/// The log writer.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogWriterTile {
    records_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
    commits_per_second: Option<f64>,
    /// Records in one commit.
    records_per_commit: Spread,
    /// How long a commit takes.
    commit: Spread,
    /// Records decided and not yet durable.
    backlog_records: usize,
    /// How many there may be before requests are shed.
    backlog_limit: usize,
    /// Commits that failed and were tried again, since the process started.
    commit_failures: u64,
}

impl LogWriterTile {
    pub(super) fn of(Look { parts, looks, .. }: &Look<'_>) -> Self {
        Self {
            records_per_second: looks.rate(names::LANE_RECORDS, &[]),
            bytes_per_second: looks.rate(names::LANE_BYTES, &[]),
            commits_per_second: looks.rate(&format!("{}_count", names::LANE_COMMIT_SECONDS), &[]),
            records_per_commit: looks.amounts(names::LANE_BATCH_RECORDS, &[]),
            commit: looks.times(names::LANE_COMMIT_SECONDS, &[]),
            backlog_records: parts.shop.pressure().records_in_flight,
            backlog_limit: parts.shop.settings().records_in_flight,
            commit_failures: looks.total(names::LANE_COMMIT_FAILURES, &[]),
        }
    }
}
