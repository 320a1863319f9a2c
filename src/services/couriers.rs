//! What couriers tell of parcels. Their notices are kept, each event once, for whoever waits for a parcel; of some of them its order hears, by a job
//! that is written with the event. A notice is heard once it is durable: the courier sends it again until then.

use crate::domain::courier::{CourierTold, TrackingEvent, tracked};
use crate::domain::ids::{EntityId, JobId, ShipmentId};
use crate::domain::job::JobKind;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::couriers::{Courier, CourierNotice, Told};
use crate::ports::jobs::{NewJob, NotNow};
use crate::ports::units::UnitError;
use crate::ports::{Clock, Headers, NoNotice, StoreError};
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::Notify;

/// An event of a parcel, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEvent {
    /// What was told.
    pub told: CourierTold,
    /// By which courier.
    pub courier: String,
    /// When it came.
    pub came_at: Timestamp,
}

impl KeptEvent {
    /// The job by which the parcel's order hears of it, if it does.
    pub fn job(&self) -> Option<NewJob> {
        let CourierTold { event, name, status, .. } = &self.told;
        status.is_heard().then(|| NewJob {
            id: JobId::of_courier_event(name.shipment, event),
            kind: JobKind::CourierEvent,
            about: name.order.entity().into(),
            version: 0,
            at: self.came_at,
        })
    }

    /// How many events of a parcel there may be before it. Some places are kept for what its order hears of.
    pub const fn most_before(&self) -> usize {
        match self.told.status.is_heard() {
            true => limits::TRACKING_EVENTS,
            false => limits::TRACKING_EVENTS - limits::TRACKING_EVENTS_HEARD,
        }
    }
}

/// What became of an event that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept.
    New,
    /// It was there before, whatever it said.
    Known,
    /// There are as many of its parcel as there may be.
    Full,
}

/// The rows.
#[async_trait]
pub trait TrackingRows: Send + Sync {
    /// Keeps an event, and the job by which its order hears of it, in one transaction.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn keep(&self, event: &KeptEvent) -> Result<Kept, UnitError>;

    /// All events of a parcel, in the order in which they came.
    ///
    /// # Errors
    /// What the store says.
    async fn of_shipment(&self, shipment: ShipmentId) -> Result<Vec<KeptEvent>, StoreError>;

    /// The event that this job is about.
    ///
    /// # Errors
    /// What the store says.
    async fn of_job(&self, job: JobId) -> Result<Option<KeptEvent>, StoreError>;
}

/// The service.
pub struct Couriers {
    couriers: Vec<Arc<dyn Courier>>,
    rows: Arc<dyn TrackingRows>,
    clock: Arc<dyn Clock>,
    news: Arc<Notify>,
}

impl Couriers {
    /// Of these couriers, over these rows; `news` is told when there is a job.
    pub fn new(
        couriers: Vec<Arc<dyn Courier>>,
        rows: Arc<dyn TrackingRows>,
        clock: Arc<dyn Clock>,
        news: Arc<Notify>,
    ) -> Self {
        Self { couriers, rows, clock, news }
    }

    /// Whether this is the name of one of the shop's own couriers, which fetches what is booked. Any other only names who carries a parcel.
    pub fn has(&self, courier: &str) -> bool {
        self.couriers.iter().any(|known| known.name() == courier)
    }

    /// Reads a notice that came as one of this courier.
    ///
    /// # Errors
    /// See [`NoNotice`]; also where there is no such courier.
    pub fn notice(&self, courier: &str, header: Headers<'_>, body: &[u8]) -> Result<CourierNotice, NoNotice> {
        let known = self.couriers.iter().find(|known| known.name() == courier);
        known.ok_or(NoNotice::NotTaken)?.notice(header, body, self.clock.wall())
    }

    /// Keeps what this courier told.
    ///
    /// # Errors
    /// See [`UnitError`].
    pub async fn keep(&self, courier: &str, told: CourierTold) -> Result<Kept, UnitError> {
        let event = KeptEvent { told, courier: courier.to_owned(), came_at: self.clock.now() };
        let kept = self.rows.keep(&event).await?;
        match kept {
            Kept::New if event.told.status.is_heard() => self.news.notify_one(),
            Kept::New | Kept::Known => {}
            Kept::Full => {
                let (parcel, status) = (event.told.name, event.told.status.name());
                tracing::error!(courier, %parcel, status, "a courier tells more of a parcel than is kept: this is left out");
            }
        }
        Ok(kept)
    }

    /// What has become of a parcel, in the order in which it happened.
    ///
    /// # Errors
    /// What the store says.
    pub async fn tracking(&self, shipment: ShipmentId) -> Result<Vec<TrackingEvent>, StoreError> {
        let events = self.rows.of_shipment(shipment).await?.into_iter();
        Ok(tracked(events.map(|KeptEvent { told, .. }| told.into()).collect()))
    }
}

#[async_trait]
impl Told for Couriers {
    async fn keep(&self, courier: &str, told: CourierTold) -> Result<(), NotNow> {
        Couriers::keep(self, courier, told).await.map(|_| ()).map_err(|error| NotNow(error.to_string()))
    }

    async fn told(&self, job: JobId) -> Result<Option<CourierTold>, NotNow> {
        let event = self.rows.of_job(job).await.map_err(|error| NotNow(error.to_string()))?;
        Ok(event.map(|event| event.told))
    }
}
