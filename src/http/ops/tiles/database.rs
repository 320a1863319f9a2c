//! The store: its connections, what services write, and what failed.

use super::{Look, OutcomeBody, Spread};
use crate::telemetry::names;
use serde::Serialize;
use utoipa::ToSchema;

/// The store.
#[derive(Debug, Serialize, ToSchema)]
pub struct DatabaseTile {
    /// `sqlite` or `postgres`.
    #[schema(example = "sqlite")]
    kind: &'static str,
    /// Whether it took the last batch, and the node's lease could be renewed.
    available: bool,
    pools: Vec<PoolBody>,
    /// What services write.
    units: UnitsBody,
    /// Commits of the log writer that failed and were tried again, since the process started.
    commit_failures: u64,
    /// Times jobs could not be taken from it.
    job_failures: u64,
    /// Times followers could not go on.
    follower_failures: u64,
}

/// Connections that share a purpose.
#[derive(Debug, Serialize, ToSchema)]
pub struct PoolBody {
    #[schema(example = "lists")]
    name: &'static str,
    open: u32,
    in_use: u32,
    /// How many there may be: when so many are in use, others wait.
    most: u32,
}

/// What services write.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnitsBody {
    outcomes: Vec<OutcomeBody>,
    latency: Spread,
}

impl DatabaseTile {
    pub(super) fn of(Look { parts, looks, .. }: &Look<'_>) -> Self {
        let pool = |pool: crate::ports::standing::PoolStanding| PoolBody {
            name: pool.name,
            open: pool.open,
            in_use: pool.in_use,
            most: pool.most,
        };
        let followers = looks.rates(names::FOLLOWER_FAILURES).into_iter();
        Self {
            kind: parts.pools.sort(),
            available: parts.shop.pressure().store_available,
            pools: parts.pools.pools().into_iter().map(pool).collect(),
            units: UnitsBody {
                outcomes: OutcomeBody::all(looks, names::SERVICE_UNITS, |_| true),
                latency: looks.times(names::SERVICE_UNIT_SECONDS, &[]),
            },
            commit_failures: looks.total(names::LANE_COMMIT_FAILURES, &[]),
            job_failures: looks.total(names::JOB_FAILURES, &[]),
            follower_failures: followers.map(|(_, _, total)| total).sum(),
        }
    }
}
