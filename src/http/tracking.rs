//! Where a parcel is, for whoever has its link. Nothing here says who gets it, what is in it, or of which order it is.

use crate::checkout::buyers::BuyerKeys;
use crate::domain::courier::{CourierStatus, TrackingEvent, tracking_status};
use crate::http::answer::ok;
use crate::http::error::{self, NOT_FOUND, Problem, Result, UNAVAILABLE};
use crate::http::extract::{Id, PathId};
use crate::http::money::Moment;
use crate::http::openapi::{READS, problems};
use crate::http::services::Services;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;
use utoipa::ToSchema;

/// A word of a path that may be anything.
#[derive(Debug)]
pub struct Word(pub String);

impl FromStr for Word {
    type Err = Infallible;
    fn from_str(text: &str) -> std::result::Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl PathId for Word {
    fn unknown() -> Problem {
        Problem::new(&NOT_FOUND, "there is nothing at this path")
    }
}

/// What has become of a parcel.
#[derive(Serialize, ToSchema)]
#[schema(as = TrackingEvent)]
pub struct EventBody {
    /// What it was.
    pub status: CourierStatus,
    /// When, by the courier's clock.
    pub at: Moment,
}

/// Where a parcel is.
#[derive(Serialize, ToSchema)]
#[schema(as = Tracking)]
pub struct TrackingBody {
    /// By all that its courier told; null where that is nothing yet.
    pub status: Option<CourierStatus>,
    /// What the courier told, the oldest first.
    pub events: Vec<EventBody>,
}

impl TrackingBody {
    /// What these events come to.
    pub fn of(events: &[TrackingEvent]) -> Self {
        let shown = events.iter().map(|event| EventBody { status: event.status, at: Moment(event.at) });
        Self { status: tracking_status(events), events: shown.collect() }
    }
}

problems!(TrackProblems: READS, &[&error::NOT_FOUND, &error::UNAVAILABLE]);

/// Where a parcel is
///
/// For whoever has the link of the parcel, which is in its order: nobody else can guess it. The courier's notices are shown as they come, by the
/// courier's own time.
#[utoipa::path(get, path = "/v1/track/{token}", tag = "orders",
    params(("token" = String, Path, description = "What the parcel's link ends with")),
    responses((status = 200, description = "Where it is.", body = TrackingBody), TrackProblems))]
pub async fn track(
    State(buyers): State<Arc<BuyerKeys>>,
    State(services): State<Services>,
    Id(Word(token)): Id<Word>,
) -> Result<Response> {
    let shipment = buyers.tracked_shipment(&token).ok_or_else(Word::unknown)?;
    let events = services.couriers.tracking(shipment).await.map_err(|error| {
        tracing::warn!(%error, "what couriers told cannot be read");
        Problem::new(&UNAVAILABLE, "it cannot be looked up now").retry_after(1)
    })?;
    Ok(ok(&TrackingBody::of(&events)))
}
