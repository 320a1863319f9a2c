//! How far those have come that read the journal behind the log writer.

use super::Ops;
use super::figures::{Figures, Looks, Seen};
use crate::http::answer::ok;
use crate::http::error::Result;
use crate::http::money::Moment;
use crate::http::openapi::{AUTH, READS, problems};
use crate::http::server::now;
use crate::ports::standing::FollowerStanding;
use crate::telemetry::names;
use axum::extract::State;
use axum::response::Response;
use foldhash::HashMap;
use serde::Serialize;
use utoipa::ToSchema;

/// Those that read the journal behind the log writer.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowersBody {
    items: Vec<FollowerBody>,
}

/// One that reads the journal behind the log writer.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowerBody {
    #[schema(example = "order_mails")]
    name: &'static str,
    /// `follows`, or `catches_up`: it reads what was written before it began, or before it met a fault.
    #[schema(example = "follows")]
    state: &'static str,
    /// Frames of the journal that it has not read.
    lag_frames: u64,
    /// As of when is what it has made.
    as_of: Moment,
    /// Rows that it has written, since the process started.
    rows: u64,
    /// Times it could not go on and tried again.
    failures: u64,
    /// Records that it could not read and left out.
    skipped: u64,
}

impl FollowerBody {
    pub(super) fn of(standing: &FollowerStanding, looks: &Looks) -> Self {
        let count = |name| looks.total(name, &[("follower", standing.name)]);
        Self {
            name: standing.name,
            state: if standing.follows { "follows" } else { "catches_up" },
            lag_frames: standing.lag_frames,
            as_of: Moment(standing.as_of),
            rows: count(names::FOLLOWER_ROWS),
            failures: count(names::FOLLOWER_FAILURES),
            skipped: count(names::FOLLOWER_SKIPPED),
        }
    }
}

problems!(ListFollowersProblems: AUTH, READS);

/// Those that read the journal behind the log writer, and how far they have come
#[utoipa::path(get, path = "/v1/admin/followers", tag = "admin", security(("bearer" = [])),
    responses((status = 200, description = "All there are.", body = FollowersBody), ListFollowersProblems))]
pub async fn list_followers(State(ops): State<Ops>) -> Result<Response> {
    let parts = ops.parts();
    let mut looks = Looks::default();
    looks.add(Seen { at: now(), figures: Figures::read(&parts.metrics.render()), taken: HashMap::default() });
    let items = (parts.followers)().iter().map(|standing| FollowerBody::of(standing, &looks)).collect();
    Ok(ok(&FollowersBody { items }))
}
