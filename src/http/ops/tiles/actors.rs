//! Actors, by kind.

use super::{Look, Spread};
use crate::telemetry::names;
use serde::Serialize;
use utoipa::ToSchema;

/// Actors.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActorsTile {
    items: Vec<KindTile>,
    /// Requests that wait until their cart, order or vendor has come so far.
    requests_parked: u64,
}

/// Actors of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct KindTile {
    #[schema(example = "cart")]
    kind: &'static str,
    /// How many are in memory.
    live: usize,
    /// Commands in a second, by what came of them.
    per_second: CommandRates,
    /// From the moment a request's command was sent to its durable answer.
    latency: Spread,
    /// Started again after a panic, since the node started.
    restarts: u64,
    /// States made from a snapshot or from records, since the process started.
    recoveries: u64,
    /// Those that left memory, since the node started.
    passivations: u64,
    /// Those whose records do not fit each other, or that broke an invariant, since the process started.
    quarantined: u64,
}

/// Commands in a second, by what came of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommandRates {
    /// Carried out.
    done: Option<f64>,
    /// Refused.
    rejected: Option<f64>,
    /// Answered as before.
    repeated: Option<f64>,
    /// Too late: nobody waited any more.
    expired: Option<f64>,
    /// Ended with a panic.
    panicked: Option<f64>,
}

impl ActorsTile {
    pub(super) fn of(Look { parts, looks, .. }: &Look<'_>) -> Self {
        let items = parts.shop.actors().into_iter().map(|overview| {
            let kind = overview.kind.name();
            let commands = |outcome| looks.rate(names::COMMANDS, &[("kind", kind), ("outcome", outcome)]);
            KindTile {
                kind,
                live: overview.live,
                per_second: CommandRates {
                    done: commands("done"),
                    rejected: commands("rejected"),
                    repeated: commands("repeated"),
                    expired: commands("expired"),
                    panicked: commands("panicked"),
                },
                latency: looks.times(names::COMMAND_SECONDS, &[("kind", kind)]),
                restarts: overview.restarts,
                recoveries: looks.total(names::RECOVERIES, &[("kind", kind)]),
                passivations: overview.passivations,
                quarantined: looks.total(names::QUARANTINES, &[("kind", kind)]),
            }
        });
        Self { items: items.collect(), requests_parked: looks.total(names::PARKED, &[]) }
    }
}
