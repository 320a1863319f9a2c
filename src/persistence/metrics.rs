//! What the log writer, the checkpointer and the writers of services' units tell about themselves.

use crate::ports::units::{UnitEnd, UnitError};
use crate::telemetry::names;
use metrics::{Counter, Gauge, Histogram};
use std::time::Duration;

pub(super) struct LogWriterMetrics {
    batch_records: Histogram,
    commit_seconds: Histogram,
    records: Counter,
    bytes: Counter,
    failures: Counter,
}

impl LogWriterMetrics {
    pub(super) fn new() -> Self {
        Self {
            batch_records: metrics::histogram!(names::LANE_BATCH_RECORDS),
            commit_seconds: metrics::histogram!(names::LANE_COMMIT_SECONDS),
            records: metrics::counter!(names::LANE_RECORDS),
            bytes: metrics::counter!(names::LANE_BYTES),
            failures: metrics::counter!(names::LANE_COMMIT_FAILURES),
        }
    }

    pub(super) fn batch(&self, records: usize, bytes: usize, took: Duration) {
        self.batch_records.record(records as f64);
        self.commit_seconds.record(took);
        self.records.increment(records as u64);
        self.bytes.increment(bytes as u64);
    }

    pub(super) fn failed(&self) {
        self.failures.increment(1);
    }
}

pub(super) struct CheckpointMetrics {
    pub(super) dirty: Gauge,
    pub(super) seconds: Histogram,
    pub(super) entities: Counter,
    pub(super) refused: Counter,
}

impl CheckpointMetrics {
    pub(super) fn new() -> Self {
        Self {
            dirty: metrics::gauge!(names::CHECKPOINT_DIRTY_ENTITIES),
            seconds: metrics::histogram!(names::CHECKPOINT_SECONDS),
            entities: metrics::counter!(names::CHECKPOINT_ENTITIES),
            refused: metrics::counter!(names::CHECKPOINT_REFUSED),
        }
    }
}

/// What came of a service's write: label `outcome`.
#[derive(Clone, Copy)]
enum UnitOutcome {
    Done,
    Stopped,
    Busy,
    Failed,
    Unknown,
}

pub(super) struct UnitMetrics {
    ended: [Counter; 5],
    seconds: Histogram,
}

impl UnitMetrics {
    pub(super) fn new() -> Self {
        // In the order of their outcomes.
        let ended = ["done", "stopped", "busy", "failed", "unknown"];
        Self {
            ended: ended.map(|outcome| metrics::counter!(names::SERVICE_UNITS, "outcome" => outcome)),
            seconds: metrics::histogram!(names::SERVICE_UNIT_SECONDS),
        }
    }

    pub(super) fn ended(&self, ended: &Result<UnitEnd, UnitError>, took: Duration) {
        let outcome = match ended {
            Ok(UnitEnd::Done) => UnitOutcome::Done,
            Ok(UnitEnd::Stopped(_) | UnitEnd::Taken(_)) => UnitOutcome::Stopped,
            Err(UnitError::Busy) => UnitOutcome::Busy,
            Err(UnitError::Unavailable(_) | UnitError::Invalid(_)) => UnitOutcome::Failed,
            Err(UnitError::Unknown(_)) => UnitOutcome::Unknown,
        };
        self.ended[outcome as usize].increment(1);
        self.seconds.record(took);
    }
}

/// Makes all series of this room before anything has happened: whoever waits for one to rise would miss its first event.
pub fn register() {
    drop((LogWriterMetrics::new(), CheckpointMetrics::new(), UnitMetrics::new()));
}
