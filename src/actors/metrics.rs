//! What the actors tell about themselves, with every handle made once.

use crate::domain::ids::Kind;
use crate::telemetry::names;
use metrics::{Counter, Gauge, Histogram};
use std::time::Duration;

pub(super) struct KindMetrics {
    pub(super) live: Gauge,
    pub(super) depth_max: Gauge,
    pub(super) done: Counter,
    pub(super) rejected: Counter,
    pub(super) repeated: Counter,
    pub(super) expired: Counter,
    pub(super) panicked: Counter,
    pub(super) seconds: Histogram,
    pub(super) wakes: Histogram,
    pub(super) restarts: Counter,
    pub(super) recoveries: Counter,
    pub(super) passivations: Counter,
    pub(super) quarantines: Counter,
}

impl KindMetrics {
    pub(super) fn new(kind: Kind) -> Self {
        let kind = kind.name();
        let outcome = |outcome: &'static str| metrics::counter!(names::COMMANDS, "kind" => kind, "outcome" => outcome);
        Self {
            live: metrics::gauge!(names::ACTORS_LIVE, "kind" => kind),
            depth_max: metrics::gauge!(names::MAILBOX_DEPTH_MAX, "kind" => kind),
            done: outcome("done"),
            rejected: outcome("rejected"),
            repeated: outcome("repeated"),
            expired: outcome("expired"),
            panicked: outcome("panicked"),
            seconds: metrics::histogram!(names::COMMAND_SECONDS, "kind" => kind),
            wakes: metrics::histogram!(names::WAKE_SECONDS, "kind" => kind),
            restarts: metrics::counter!(names::RESTARTS, "kind" => kind),
            recoveries: metrics::counter!(names::RECOVERIES, "kind" => kind),
            passivations: metrics::counter!(names::PASSIVATIONS, "kind" => kind),
            quarantines: metrics::counter!(names::QUARANTINES, "kind" => kind),
        }
    }
}

/// The outcome of nearly all calls.
pub(super) const CHARGED: &str = "charged";

pub(super) struct PaymentMetrics {
    seconds: [Histogram; 2],
    charged: Counter,
}

impl PaymentMetrics {
    pub(super) fn new() -> Self {
        Self {
            seconds: ["charge", "void"].map(|call| metrics::histogram!(names::PAYMENT_SECONDS, "call" => call)),
            charged: metrics::counter!(names::PAYMENT_CALLS, "call" => "charge", "outcome" => CHARGED),
        }
    }

    pub(super) fn called(&self, void: bool, outcome: &'static str, took: Duration) {
        self.seconds[usize::from(void)].record(took);
        if outcome == CHARGED {
            return self.charged.increment(1);
        }
        let call = if void { "void" } else { "charge" };
        metrics::counter!(names::PAYMENT_CALLS, "call" => call, "outcome" => outcome).increment(1);
    }
}

/// Orders that got stuck for this reason.
pub(super) fn stuck(why: &'static str) -> Counter {
    metrics::counter!(names::ORDERS_QUARANTINED, "why" => why)
}

/// What the way to one payment provider tells.
pub(super) struct GateMetrics {
    pub(super) method: &'static str,
    state: Gauge,
    opened: Counter,
    waiting: [Gauge; 2],
}

impl GateMetrics {
    pub(super) fn new(method: &'static str) -> Self {
        let waiting = |call| metrics::gauge!(names::PAYMENT_WAITING, "method" => method, "call" => call);
        let metrics = Self {
            method,
            state: metrics::gauge!(names::PAYMENT_BREAKER, "method" => method),
            opened: metrics::counter!(names::PAYMENT_BREAKER_OPENED, "method" => method),
            waiting: ["charge", "void"].map(waiting),
        };
        metrics.state(0);
        metrics
    }

    /// 0 for a provider that answers, 1 for one that is being tried, 2 for one that is not asked.
    pub(super) fn state(&self, state: u8) {
        self.state.set(f64::from(state));
    }

    /// A provider has begun to count as silent.
    pub(super) fn opened(&self) {
        self.opened.increment(1);
    }

    pub(super) fn waiting(&self, void: bool, calls: usize) {
        self.waiting[usize::from(void)].set(calls as f64);
    }
}

/// Counts a request that was refused because a limit was reached.
pub(super) fn shed(reason: &'static str) {
    metrics::counter!(names::SHED, "reason" => reason).increment(1);
}
