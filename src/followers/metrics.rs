//! What is counted of followers.

use crate::telemetry::names;
use metrics::{Counter, Gauge, counter, gauge};

pub(super) struct FollowerMetrics {
    /// Frames that it has not read.
    pub(super) lag: Gauge,
    pub(super) passes: Counter,
    pub(super) rows: Counter,
    pub(super) failures: Counter,
    pub(super) skipped: Counter,
}

impl FollowerMetrics {
    pub(super) fn new(follower: &'static str) -> Self {
        Self {
            lag: gauge!(names::FOLLOWER_LAG, "follower" => follower),
            passes: counter!(names::FOLLOWER_PASSES, "follower" => follower),
            rows: counter!(names::FOLLOWER_ROWS, "follower" => follower),
            failures: counter!(names::FOLLOWER_FAILURES, "follower" => follower),
            skipped: counter!(names::FOLLOWER_SKIPPED, "follower" => follower),
        }
    }
}

/// Has every series there before its first event.
pub fn register() {
    for follower in super::names() {
        let FollowerMetrics { lag, passes, rows, failures, skipped } = FollowerMetrics::new(follower);
        lag.set(0.0);
        [passes, rows, failures, skipped].into_iter().for_each(|counter| counter.increment(0));
    }
}
