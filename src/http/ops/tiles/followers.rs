//! Those that read the journal behind the log writer.

use super::Look;
use crate::http::ops::followers::FollowerBody;
use serde::Serialize;
use utoipa::ToSchema;

/// Followers.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowersTile {
    items: Vec<FollowerTile>,
}

/// A follower.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowerTile {
    #[serde(flatten)]
    follower: FollowerBody,
    /// Rows that it writes in a second.
    rows_per_second: Option<f64>,
}

impl FollowersTile {
    pub(super) fn of(Look { parts, looks, .. }: &Look<'_>) -> Self {
        let follower = |standing: &crate::ports::standing::FollowerStanding| FollowerTile {
            follower: FollowerBody::of(standing, looks),
            rows_per_second: looks.rate(crate::telemetry::names::FOLLOWER_ROWS, &[("follower", standing.name)]),
        };
        Self { items: (parts.followers)().iter().map(follower).collect() }
    }
}
