//! Payment providers: what is asked of each, what comes of it, and what waits.

use super::{Look, OutcomeBody, Spread, answers};
use crate::actors::GateView;
use crate::http::ops::figures::label;
use crate::telemetry::names;
use serde::Serialize;
use utoipa::ToSchema;

/// Payment providers.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaymentsTile {
    providers: Vec<ProviderTile>,
}

/// A payment provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderTile {
    /// What buyers pay by.
    #[schema(example = "sandbox")]
    method: &'static str,
    /// `yes`; `probed`: some calls are made to see whether it does; `no`: it is left alone for a while.
    #[schema(example = "yes")]
    answers: &'static str,
    /// For how long it has counted as silent.
    silent_ms: Option<u64>,
    /// How often it began to count as silent, since the process started.
    opened: u64,
    /// Calls under way.
    under_way: usize,
    queue: QueueBody,
    calls: Vec<CallBody>,
}

/// Calls that wait for their turn.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueBody {
    charges: usize,
    others: usize,
    /// How long the longest of them has waited.
    oldest_ms: Option<u64>,
}

/// What a provider is asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallBody {
    #[schema(example = "charge")]
    call: String,
    /// What came of it, where that ever happened.
    outcomes: Vec<OutcomeBody>,
    latency: Spread,
}

impl PaymentsTile {
    pub(super) fn of(Look { parts, looks, .. }: &Look<'_>) -> Self {
        let provider = |gate: GateView| {
            let all = looks.rates(names::PAYMENT_CALLS);
            let own = all.iter().filter(|(series, ..)| label(series, "method") == Some(gate.method));
            let mut calls: Vec<&str> = own.filter_map(|(series, ..)| label(series, "call")).collect();
            calls.dedup();
            let call = |call: &str| {
                let is_own = |series: &str| {
                    label(series, "method") == Some(gate.method) && label(series, "call") == Some(call)
                };
                let mut outcomes = OutcomeBody::all(looks, names::PAYMENT_CALLS, is_own);
                outcomes.retain(|outcome| outcome.total > 0);
                let latency = looks.times(names::PAYMENT_SECONDS, &[("method", gate.method), ("call", call)]);
                CallBody { call: call.to_owned(), outcomes, latency }
            };
            let millis = |time: std::time::Duration| time.as_millis() as u64;
            ProviderTile {
                method: gate.method,
                answers: answers(f64::from(gate.state)),
                silent_ms: gate.silent_for.map(millis),
                opened: looks.total(names::PAYMENT_BREAKER_OPENED, &[("method", gate.method)]),
                under_way: gate.under_way,
                queue: QueueBody {
                    charges: gate.charges_waiting,
                    others: gate.others_waiting,
                    oldest_ms: gate.oldest.map(millis),
                },
                calls: calls.into_iter().map(call).collect(),
            }
        };
        Self { providers: parts.shop.payment_gates().into_iter().map(provider).collect() }
    }
}
