//! Why requests are refused before anything is recorded.

use super::Look;
use crate::http::metrics;
use crate::http::ops::figures::{Looks, label, rounded};
use crate::telemetry::names;
use serde::Serialize;
use utoipa::ToSchema;

/// Why requests are refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShedsTile {
    /// For all reasons together.
    per_second: Option<f64>,
    /// Since a limit of the node is reached.
    reasons: Vec<ReasonBody>,
    /// Since somebody asks too often, by class of route.
    rate_limited: Vec<ReasonBody>,
    /// Bodies that were refused.
    bodies_refused: Vec<ReasonBody>,
    /// Answers given up since clients had too much to take.
    answers_given_up: Vec<ReasonBody>,
    /// Connections ended for taking too long.
    connections_timed_out: Vec<ReasonBody>,
    /// Connections closed at once, since as many were open as may be: since the process started.
    connections_refused: u64,
}

/// How often something was refused for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReasonBody {
    #[schema(example = "mailbox")]
    reason: String,
    per_second: Option<f64>,
    /// Since the process started.
    total: u64,
}

fn reasons(looks: &Looks, name: &str, by: &str) -> Vec<ReasonBody> {
    let reason = |(series, per_second, total): (&str, _, _)| {
        Some(ReasonBody { reason: label(series, by)?.to_owned(), per_second, total })
    };
    looks.rates(name).into_iter().filter_map(reason).collect()
}

impl ShedsTile {
    pub(super) fn of(Look { looks, .. }: &Look<'_>) -> Self {
        let shed = reasons(looks, names::SHED, "reason");
        let limited = reasons(looks, metrics::RATE_LIMITED, "class");
        let all: Option<f64> = shed.iter().chain(&limited).map(|reason| reason.per_second).sum();
        Self {
            per_second: all.filter(|_| looks.over_ms().is_some()).map(|all| rounded(all, 100.0)),
            reasons: shed,
            rate_limited: limited,
            bodies_refused: reasons(looks, metrics::BODIES_REJECTED, "reason"),
            answers_given_up: reasons(looks, metrics::ANSWERS_GIVEN_UP, "at"),
            connections_timed_out: reasons(looks, metrics::TIMEOUTS, "at"),
            connections_refused: looks.total(metrics::REFUSED, &[]),
        }
    }
}
