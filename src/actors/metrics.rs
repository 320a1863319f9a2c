//! What the actors tell about themselves, with every handle made once.

use crate::domain::ids::Kind;
use crate::domain::invariants;
use crate::domain::order::OrderStatus;
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

/// What a provider may say of a payment, and what comes of a call without an answer.
const PAYMENT_OUTCOMES: &[&str] =
    &["succeeded", "declined", "needs_buyer", "processing", "cancelled", "not_started", "no_answer", "timed_out"];
/// As [`PAYMENT_OUTCOMES`], of a refund.
const REFUND_OUTCOMES: &[&str] = &["succeeded", "pending", "failed", "not_started", "no_answer", "timed_out"];
/// As [`PAYMENT_OUTCOMES`], of what is a list or a name.
const TOLD_OUTCOMES: &[&str] = &["told", "no_answer", "timed_out"];
/// What a provider is asked, and what may come of it.
const OUTCOMES: [(&str, &[&str]); 9] = [
    ("prepare", &["prepared", "refused", "no_answer", "timed_out"]),
    ("charge", PAYMENT_OUTCOMES),
    ("look_up", PAYMENT_OUTCOMES),
    ("cancel", PAYMENT_OUTCOMES),
    ("refund", REFUND_OUTCOMES),
    ("look_up_refund", REFUND_OUTCOMES),
    ("disputes", TOLD_OUTCOMES),
    ("order_of", TOLD_OUTCOMES),
    ("changed", TOLD_OUTCOMES),
];
/// What becomes of a provider's notice.
const NOTICES: [&str; 5] = ["order", "coalesced", "after", "other", "forged"];

/// Notices of the provider of this method that came to this.
pub(super) fn notice(method: &'static str, outcome: &'static str) -> Counter {
    metrics::counter!(names::PAYMENT_NOTICES, "method" => method, "outcome" => outcome)
}

/// Why requests are refused before anything is recorded.
const SHED: [&str; 10] = [
    "activations",
    "answers_waiting",
    "checkpoint",
    "mailbox",
    "parked",
    "payment_provider",
    "quota",
    "records_in_flight",
    "store",
    "vendor_share",
];
/// The invariant of the actors themselves.
pub(super) const TURN: &str = "a_turn_does_not_panic";

pub(super) struct PaymentMetrics {
    seconds: [Histogram; OUTCOMES.len()],
    outcomes: [Vec<(&'static str, Counter)>; OUTCOMES.len()],
}

impl PaymentMetrics {
    /// Of the provider of this method.
    pub(super) fn new(method: &'static str) -> Self {
        let outcome = |call: &'static str, outcome: &'static str| metrics::counter!(names::PAYMENT_CALLS, "method" => method, "call" => call, "outcome" => outcome);
        for outcome in NOTICES {
            notice(method, outcome).increment(0);
        }
        let seconds = |call| metrics::histogram!(names::PAYMENT_SECONDS, "method" => method, "call" => call);
        Self {
            seconds: OUTCOMES.map(|(call, _)| seconds(call)),
            outcomes: OUTCOMES.map(|(call, all)| all.iter().map(|name| (*name, outcome(call, name))).collect()),
        }
    }

    pub(super) fn called(&self, call: &'static str, outcome: &'static str, took: Duration) {
        let place = OUTCOMES.iter().position(|(name, _)| *name == call);
        debug_assert!(place.is_some(), "{call} is not in the list of calls");
        let Some(place) = place else { return };
        self.seconds[place].record(took);
        // The first is that of nearly all calls.
        let known = self.outcomes[place].iter().find(|(name, _)| *name == outcome);
        debug_assert!(known.is_some(), "{outcome} is not in the list of outcomes");
        if let Some((_, counter)) = known {
            counter.increment(1);
        }
    }
}

/// Orders that got stuck for this reason.
pub(super) fn stuck(why: &'static str) -> Counter {
    metrics::counter!(names::ORDERS_QUARANTINED, "why" => why)
}

/// Makes the series that begin with an event otherwise: who waits for one to rise would miss its first.
pub(super) fn register() {
    for invariant in invariants::NAMES.into_iter().chain([TURN]) {
        metrics::counter!(names::BREACHES, "invariant" => invariant).increment(0);
    }
    for reason in SHED {
        metrics::counter!(names::SHED, "reason" => reason).increment(0);
    }
    for why in ["amount_differs", "step_failed", "void_refused"] {
        stuck(why).increment(0);
    }
    for status in OrderStatus::ALL {
        let _ = metrics::gauge!(names::ORDERS, "status" => status.name());
    }
    for gauge in [
        names::LANE_BACKLOG,
        names::CHECKPOINT_LAG,
        names::ORDERS_STUCK,
        names::SHARES_NOT_ACCEPTED,
        names::PARCELS_STALE,
        names::PARKED,
        names::READY,
    ] {
        let _ = metrics::gauge!(gauge);
    }
}

/// Counts a breach of an invariant.
pub(super) fn broken(invariant: &'static str) {
    metrics::counter!(names::BREACHES, "invariant" => invariant).increment(1);
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
            waiting: ["charge", "other"].map(waiting),
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

    pub(super) fn waiting(&self, line: usize, calls: usize) {
        self.waiting[line].set(calls as f64);
    }
}

/// Counts a request that was refused because a limit was reached.
pub(crate) fn shed(reason: &'static str) {
    debug_assert!(SHED.contains(&reason), "{reason} is not in the list of reasons");
    metrics::counter!(names::SHED, "reason" => reason).increment(1);
}
