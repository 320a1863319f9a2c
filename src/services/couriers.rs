//! What couriers tell of parcels. Their notices are kept, each event once, for whoever waits for a parcel; of some of them its order hears, by a job
//! that is written with the event. A notice is heard once it is durable: the courier sends it again until then.
//!
//! A parcel that a courier carries has a row until the courier has told of its end. From there comes which parcels are to be looked up, since nothing
//! was heard of them, and which are stale: no order is asked for that.

use crate::domain::courier::{
    Booking, BookingStatus, CourierTold, ParcelName, Source, TrackingEvent, TrackingStatus, tracked, tracking_status,
};
use crate::domain::ids::{EntityId, JobId, OrderId, ShipmentId};
use crate::domain::job::JobKind;
use crate::domain::order::{Corrected, Correction};
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::couriers::{Courier, CourierNotice, Told};
use crate::ports::jobs::{NewJob, NotNow};
use crate::ports::units::UnitError;
use crate::ports::{Clock, Headers, NoNotice, StoreError};
use async_trait::async_trait;
use std::collections::BTreeMap;
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

/// Who says what the staff corrects, in the place of a courier's name.
const STAFF: &str = "staff";
/// How what a look-up says is called that no event tells: no courier's name of an event has a dot.
const LOOKED_UP: &str = "looked_up.";
/// The same of what the staff corrects.
const CORRECTED: &str = "corrected.";

impl KeptEvent {
    /// Who says it.
    fn source(&self) -> Source {
        match () {
            () if self.courier == STAFF => Source::Staff,
            () if self.told.event.starts_with(LOOKED_UP) => Source::LookedUp,
            () => Source::Told,
        }
    }

    /// Whether nothing more is to be heard of the parcel after it.
    pub fn ends(&self) -> bool {
        self.told.status.is_final()
    }

    /// The job by which the parcel's order hears of it, if it does: what the staff corrects it knows.
    pub fn job(&self) -> Option<NewJob> {
        let CourierTold { event, name, status, .. } = &self.told;
        let is_heard = status.is_heard() && self.source() != Source::Staff;
        is_heard.then(|| NewJob {
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

impl From<KeptEvent> for TrackingEvent {
    fn from(kept: KeptEvent) -> Self {
        let source = kept.source();
        let CourierTold { event, status, at, .. } = kept.told;
        Self { event, status, at, source }
    }
}

/// A parcel that a courier carries and has not told the end of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Which.
    pub name: ParcelName,
    /// Which courier.
    pub courier: String,
    /// When something new was heard of it, or it was booked.
    pub heard_at: Timestamp,
    /// When its courier was last asked, or told something.
    pub looked_at: Timestamp,
    /// When its courier is to be asked, unless something is heard before.
    pub look_at: Timestamp,
}

impl Carried {
    /// One of which something was heard at this moment.
    pub fn heard(name: ParcelName, courier: &str, now: Timestamp) -> Self {
        let look_at = now.plus_millis(limits::PARCEL_SILENT_MS);
        Self { name, courier: courier.to_owned(), heard_at: now, looked_at: now, look_at }
    }

    /// Whether nothing was heard of it for so long that it counts as stale.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        now >= self.heard_at.plus_millis(limits::PARCEL_STALE_MS)
    }

    /// Whether its courier is to be asked.
    fn is_silent(&self, now: Timestamp) -> bool {
        now >= self.looked_at.max(self.heard_at).plus_millis(limits::PARCEL_SILENT_MS)
    }
}

/// Where a parcel is, and what was told of it, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracking {
    /// Where; `None` while nothing was told.
    pub status: Option<TrackingStatus>,
    /// What was told.
    pub events: Vec<TrackingEvent>,
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
    /// Keeps an event, the job by which its order hears of it, and when something was heard of the parcel or that nothing more is to be, in one
    /// transaction.
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

    /// Keeps that a courier carries a parcel. One that is known was looked up now; nothing new was heard of it by that.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn carry(&self, carried: &Carried) -> Result<(), UnitError>;

    /// Forgets that a courier carries a parcel.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn end(&self, shipment: ShipmentId) -> Result<(), UnitError>;

    /// The parcels whose couriers are to be asked at this moment, the longest overdue first, so many at most.
    ///
    /// # Errors
    /// What the store says.
    async fn to_look_up(&self, now: Timestamp, limit: usize) -> Result<Vec<Carried>, StoreError>;

    /// Adds jobs, and says when these parcels are to be looked up again, in one transaction.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn look_up(&self, jobs: &[NewJob], again: &[(ShipmentId, Timestamp)]) -> Result<(), UnitError>;

    /// The parcels of an order that couriers carry.
    ///
    /// # Errors
    /// What the store says.
    async fn carried(&self, order: OrderId) -> Result<Vec<Carried>, StoreError>;

    /// A parcel, if a courier carries it.
    ///
    /// # Errors
    /// What the store says.
    async fn carried_parcel(&self, shipment: ShipmentId) -> Result<Option<Carried>, StoreError>;

    /// How many parcels there are of which nothing was heard since this moment.
    ///
    /// # Errors
    /// What the store says.
    async fn silent_since(&self, moment: Timestamp) -> Result<u64, StoreError>;
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
            Kept::New if event.job().is_some() => self.news.notify_one(),
            Kept::New | Kept::Known => {}
            Kept::Full => {
                let (parcel, status) = (event.told.name, event.told.status.name());
                tracing::error!(courier, %parcel, status, "a courier tells more of a parcel than is kept: this is left out");
            }
        }
        Ok(kept)
    }

    /// Where a parcel is.
    ///
    /// # Errors
    /// What the store says.
    pub async fn tracking(&self, shipment: ShipmentId) -> Result<Tracking, StoreError> {
        let events = self.rows.of_shipment(shipment).await?;
        let carried = self.rows.carried_parcel(shipment).await?;
        let events = tracked(events.into_iter().map(TrackingEvent::from).collect());
        let is_stale = carried.is_some_and(|carried| carried.is_stale(self.clock.now()));
        let status =
            if is_stale { Some(TrackingStatus::Stale) } else { tracking_status(&events).map(TrackingStatus::Is) };
        Ok(Tracking { status, events })
    }

    /// The parcels of an order of which nothing was heard for so long that they count as stale.
    ///
    /// # Errors
    /// What the store says.
    pub async fn stale(&self, order: OrderId) -> Result<Vec<ShipmentId>, StoreError> {
        let (carried, now) = (self.rows.carried(order).await?, self.clock.now());
        Ok(carried.iter().filter(|carried| carried.is_stale(now)).map(|carried| carried.name.shipment).collect())
    }

    /// How many parcels there are of which nothing was heard for so long that they count as stale.
    ///
    /// # Errors
    /// What the store says.
    pub async fn count_stale(&self) -> Result<u64, StoreError> {
        self.rows.silent_since(self.clock.now().plus_millis(-limits::PARCEL_STALE_MS)).await
    }

    /// Has couriers be asked about the parcels of which nothing was heard for long: a job for each of their orders. Says how many parcels there are.
    ///
    /// # Errors
    /// See [`UnitError`].
    pub async fn look_up_silent(&self) -> Result<usize, UnitError> {
        let (now, mut found) = (self.clock.now(), 0);
        loop {
            let silent = self.rows.to_look_up(now, limits::PARCEL_SWEEP_SLICE).await?;
            if silent.is_empty() {
                return Ok(found);
            }
            let mut jobs: BTreeMap<OrderId, NewJob> = BTreeMap::new();
            let mut again = Vec::new();
            for carried in &silent {
                let order = carried.name.order;
                let job = || NewJob {
                    id: JobId::of_silence(order, carried.look_at.as_millis()),
                    kind: JobKind::LookUpParcels,
                    about: order.entity().into(),
                    version: 0,
                    at: now,
                };
                jobs.entry(order).or_insert_with(job);
                // Also where the job comes to nothing.
                let stale = carried.is_stale(now);
                let wait = if stale { limits::PARCEL_STALE_LOOK_MS } else { limits::PARCEL_SILENT_MS };
                again.push((carried.name.shipment, now.plus_millis(wait)));
            }
            let jobs: Vec<NewJob> = jobs.into_values().collect();
            self.rows.look_up(&jobs, &again).await?;
            self.news.notify_one();
            found += silent.len();
        }
    }

    async fn keep_looked_up(&self, courier: &str, booking: Booking) -> Result<(), UnitError> {
        let (shipment, now) = (booking.name.shipment, self.clock.now());
        let BookingStatus::Told(status) = booking.status else {
            return match booking.status {
                BookingStatus::Cancelled => self.rows.end(shipment).await,
                _ => self.rows.carry(&Carried::heard(booking.name, courier, now)).await,
            };
        };
        // First this: what was told may be its end.
        self.rows.carry(&Carried::heard(booking.name, courier, now)).await?;
        let known = self.rows.of_shipment(shipment).await?;
        let is_new = |told: &CourierTold| known.iter().all(|known| known.told.event != told.event);
        let is_told = |told: &CourierTold| told.status == status;
        // Where it does not say what happened it still says how the parcel stands.
        let says = (!booking.told.iter().any(is_told) && !known.iter().any(|known| is_told(&known.told))).then(|| {
            let (event, lines) = (format!("{LOOKED_UP}{}", status.name()), Vec::new());
            CourierTold { event, name: booking.name, status, at: now, collected: None, lines }
        });
        for told in booking.told.into_iter().filter(is_new).chain(says) {
            self.keep(courier, told).await?;
        }
        // What was known before may be its end, too: a notice that came while the courier was asked.
        match known.iter().any(KeptEvent::ends) {
            true => self.rows.end(shipment).await,
            false => Ok(()),
        }
    }

    async fn keep_correction(&self, correction: Correction) -> Result<(), UnitError> {
        let Correction { name, status, corrected: Corrected { times, at } } = correction;
        let (event, lines) = (format!("{CORRECTED}{times}"), Vec::new());
        let told = CourierTold { event, name, status, at, collected: None, lines };
        self.keep(STAFF, told).await.map(|_| ())
    }
}

fn not_now(error: impl std::fmt::Display) -> NotNow {
    NotNow(error.to_string())
}

#[async_trait]
impl Told for Couriers {
    async fn keep(&self, courier: &str, told: CourierTold) -> Result<(), NotNow> {
        Couriers::keep(self, courier, told).await.map(|_| ()).map_err(not_now)
    }

    async fn told(&self, job: JobId) -> Result<Option<CourierTold>, NotNow> {
        let event = self.rows.of_job(job).await.map_err(not_now)?;
        Ok(event.map(|event| event.told))
    }

    async fn looked_up(&self, courier: &str, booking: Booking) -> Result<(), NotNow> {
        self.keep_looked_up(courier, booking).await.map_err(not_now)
    }

    async fn not_found(&self, courier: &str, name: ParcelName) -> Result<(), NotNow> {
        self.rows.carry(&Carried::heard(name, courier, self.clock.now())).await.map_err(not_now)
    }

    async fn silent(&self, order: OrderId) -> Result<Vec<(ParcelName, String)>, NotNow> {
        let (carried, now) = (self.rows.carried(order).await.map_err(not_now)?, self.clock.now());
        let silent = carried.into_iter().filter(|carried| carried.is_silent(now));
        Ok(silent.map(|carried| (carried.name, carried.courier)).collect())
    }

    async fn not_awaited(&self, shipment: ShipmentId) -> Result<(), NotNow> {
        self.rows.end(shipment).await.map_err(not_now)
    }

    async fn corrected(&self, correction: Correction) -> Result<(), NotNow> {
        self.keep_correction(correction).await.map_err(not_now)
    }
}
