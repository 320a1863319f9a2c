//! Where a parcel is, for whoever has its link. Nothing here says who gets it, what is in it, or of which order it is.

use crate::checkout::buyers::BuyerKeys;
use crate::domain::courier::{CourierStatus, TrackingStatus};
use crate::domain::ids::ShipmentId;
use crate::domain::order::OrderView;
use crate::http::Settings;
use crate::http::answer::ok;
use crate::http::error::{self, NOT_FOUND, Problem, Result, UNAVAILABLE};
use crate::http::extract::{Id, PathId};
use crate::http::money::Moment;
use crate::http::openapi::{READS, problems};
use crate::http::services::Services;
use crate::services::couriers::Tracking;
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
    /// By all that its courier told, or the shop's staff instead: as in `events`, or `stale` where nothing was heard of it for 30 days; null where
    /// nothing was told yet.
    #[schema(example = "in_transit")]
    pub status: Option<&'static str>,
    /// What was told, the oldest first.
    pub events: Vec<EventBody>,
}

impl TrackingBody {
    /// How it is shown.
    pub fn of(tracking: &Tracking) -> Self {
        let shown = tracking.events.iter().map(|event| EventBody { status: event.status, at: Moment(event.at) });
        Self { status: tracking.status.map(TrackingStatus::name), events: shown.collect() }
    }
}

/// The parcels of an order of which nothing was heard for so long that they count as stale. While that cannot be read there are none.
pub async fn stale(services: &Services, settings: &Settings, order: &OrderView) -> Vec<ShipmentId> {
    let mut parcels = order.sub_orders.iter().flat_map(|share| &share.parcels);
    if !parcels.any(|parcel| parcel.mint.is_some() && parcel.is_awaited()) {
        return Vec::new();
    }
    match tokio::time::timeout(settings.request_timeout, services.couriers.stale(order.id)).await {
        Ok(Ok(stale)) => stale,
        Ok(Err(error)) => {
            tracing::warn!(%error, "it cannot be read when something was heard of parcels");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

problems!(TrackProblems: READS, &[&error::NOT_FOUND, &error::UNAVAILABLE]);

/// Where a parcel is
///
/// For whoever has the link of the parcel, which is in its order: nobody else can guess it. The courier's notices are shown as they come, by the
/// courier's own time. Where nothing comes for six hours the courier is asked.
#[utoipa::path(get, path = "/v1/track/{token}", tag = "orders",
    params(("token" = String, Path, description = "What the parcel's link ends with")),
    responses((status = 200, description = "Where it is.", body = TrackingBody), TrackProblems))]
pub async fn track(
    State(buyers): State<Arc<BuyerKeys>>,
    State(services): State<Services>,
    Id(Word(token)): Id<Word>,
) -> Result<Response> {
    let shipment = buyers.tracked_shipment(&token).ok_or_else(Word::unknown)?;
    let tracking = services.couriers.tracking(shipment).await.map_err(|error| {
        tracing::warn!(%error, "what couriers told cannot be read");
        Problem::new(&UNAVAILABLE, "it cannot be looked up now").retry_after(1)
    })?;
    Ok(ok(&TrackingBody::of(&tracking)))
}
