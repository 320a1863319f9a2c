//! Has parcels fetched, or not fetched any more: a job for each time that an order wants something of couriers.
//!
//! A job says which order; the order says what it wants of which of its parcels, and from then on takes it that their couriers may know of them.
//! A parcel that is to be fetched is looked up first, and asked for only where its courier has never heard of it, so nothing is booked twice
//! whatever was lost. The order hears what the courier says, and the job is done once the order has recorded that.
//!
//! A parcel of which nothing was heard for hours is looked up, too, so that it comes to its end also where every notice is lost.

use crate::domain::courier::{
    Booking, BookingAnswer, BookingCall, BookingStatus, CancelAnswer, ParcelLine, ParcelName,
};
use crate::domain::details::{Contact, Known};
use crate::domain::ids::OrderId;
use crate::domain::job::{Job, JobKind, Target, TryOutcome};
use crate::domain::money::Money;
use crate::domain::order::{CourierSays, CourierWish};
use crate::domain::vendor::Slot;
use crate::ports::NoAnswer;
use crate::ports::couriers::{Courier, Destinations, Parcels, Told};
use crate::ports::jobs::{JobWorker, NotNow};
use async_trait::async_trait;
use std::sync::Arc;

/// Why a parcel is not fetched of whose receiver nothing is known any more.
const NO_ADDRESS: &str = "address_erased";

/// Does these jobs.
pub struct BookingWorker {
    couriers: Vec<Arc<dyn Courier>>,
    parcels: Arc<dyn Parcels>,
    destinations: Arc<dyn Destinations>,
    told: Arc<dyn Told>,
}

/// Why nothing came of a wish.
enum Undone {
    /// Nobody knows what came of it.
    Unanswered(NoAnswer),
    /// So the try ends.
    Ended(TryOutcome),
}

impl From<NoAnswer> for Undone {
    fn from(no_answer: NoAnswer) -> Self {
        Undone::Unanswered(no_answer)
    }
}

fn later(reason: impl Into<String>) -> TryOutcome {
    TryOutcome::Failed { reason: reason.into(), retry_after: None, silent: false }
}

impl BookingWorker {
    /// Asks these couriers what these orders want.
    pub fn new(
        couriers: Vec<Arc<dyn Courier>>,
        parcels: Arc<dyn Parcels>,
        destinations: Arc<dyn Destinations>,
        told: Arc<dyn Told>,
    ) -> Self {
        Self { couriers, parcels, destinations, told }
    }

    /// Where an order is sent to; `None` where that was erased.
    async fn contact(&self, order: OrderId) -> Result<Option<Contact>, Undone> {
        match self.destinations.contact(order).await {
            Ok(Known::Here(contact)) => Ok(Some(contact)),
            Ok(Known::Erased | Known::Nothing) => Ok(None),
            Err(NotNow(reason)) => Err(Undone::Ended(later(reason))),
        }
    }

    /// What a look-up or a booking has told: its events as its notices would have.
    async fn booked(&self, courier: &dyn Courier, booking: Booking) -> Result<CourierSays, Undone> {
        let says = match booking.status {
            BookingStatus::Cancelled => CourierSays::NotFetched,
            // What it has told since is kept, and the order hears of that, too.
            BookingStatus::Booked | BookingStatus::Told(_) => {
                CourierSays::Booked { tracking_number: booking.tracking_number.clone().into() }
            }
        };
        let kept = self.told.looked_up(courier.name(), booking).await;
        kept.map_err(|NotNow(reason)| Undone::Ended(later(reason)))?;
        Ok(says)
    }

    fn courier(&self, name: &str) -> Option<&dyn Courier> {
        self.couriers.iter().find(|known| known.name() == name).map(|known| &**known)
    }

    /// Asks the couriers of an order's parcels of which nothing was heard for long. What they say goes the same way as their notices.
    async fn silent(&self, order: OrderId) -> Result<TryOutcome, TryOutcome> {
        let not_now = |NotNow(reason)| later(reason);
        let silent = self.told.silent(order).await.map_err(not_now)?;
        if silent.is_empty() {
            return Ok(TryOutcome::Done);
        }
        let awaited = self.parcels.awaited(order).await?;
        let mut unanswered = None;
        for (name, courier) in silent {
            if !awaited.contains(&name) {
                self.told.not_awaited(name.shipment).await.map_err(not_now)?;
                continue;
            }
            // One that is not configured any more is not asked: its parcels become stale.
            let Some(courier) = self.courier(&courier) else { continue };
            match courier.look_up(name).await {
                Ok(Some(booking)) => match self.booked(courier, booking).await {
                    // It was cancelled at the courier's, by somebody else.
                    Ok(says @ CourierSays::NotFetched) => self.parcels.says(name, says).await?,
                    Ok(_) => {}
                    Err(Undone::Unanswered(no_answer)) => unanswered = Some(no_answer),
                    Err(Undone::Ended(outcome)) => return Err(outcome),
                },
                Ok(None) => {
                    tracing::error!(parcel = %name, "its courier does not know a parcel that it said it would fetch");
                    self.told.not_found(courier.name(), name).await.map_err(not_now)?;
                }
                Err(no_answer) => unanswered = Some(no_answer),
            }
        }
        Ok(unanswered.map_or(TryOutcome::Done, |NoAnswer(reason)| TryOutcome::Unknown { reason }))
    }

    async fn carry_out(
        &self,
        courier: &dyn Courier,
        name: ParcelName,
        book: Option<Vec<ParcelLine>>,
        (collect, slot): (Option<Money>, Option<Slot>),
    ) -> Result<CourierSays, Undone> {
        let Some(lines) = book else {
            return Ok(match courier.cancel(name).await? {
                CancelAnswer::Cancelled | CancelAnswer::Unknown => CourierSays::NotFetched,
                CancelAnswer::TooLate => CourierSays::TooLate,
            });
        };
        if let Some(booking) = courier.look_up(name).await? {
            return self.booked(courier, booking).await;
        }
        let Some(contact) = self.contact(name.order).await? else {
            return Ok(CourierSays::Refused { why: NO_ADDRESS.into() });
        };
        let call = BookingCall { name, lines, to: contact.shipping_address, collect, slot };
        match courier.book(&call).await? {
            BookingAnswer::Booked(booking) => self.booked(courier, booking).await,
            BookingAnswer::Refused { why } => Ok(CourierSays::Refused { why: why.into() }),
        }
    }

    async fn all(&self, order: OrderId) -> Result<TryOutcome, TryOutcome> {
        let (mut unanswered, mut nobodys) = (None, None);
        for CourierWish { courier, name, book, collect, slot } in self.parcels.wishes(order).await? {
            let Some(known) = self.courier(&courier) else {
                nobodys = Some(courier);
                continue;
            };
            match self.carry_out(known, name, book, (collect, slot)).await {
                Ok(says) => self.parcels.says(name, says).await?,
                // What others of its parcels come to does not wait for this one.
                Err(Undone::Unanswered(no_answer)) => unanswered = Some(no_answer),
                Err(Undone::Ended(outcome)) => return Err(outcome),
            }
        }
        Ok(match (unanswered, nobodys) {
            (Some(NoAnswer(reason)), _) => TryOutcome::Unknown { reason },
            (None, Some(courier)) => later(format!("the courier {courier} is not configured")),
            (None, None) => TryOutcome::Done,
        })
    }
}

#[async_trait]
impl JobWorker for BookingWorker {
    fn target(&self) -> Target {
        Target::Bookings
    }

    async fn try_job(&self, job: &Job) -> TryOutcome {
        let order = OrderId::from_uuid(job.about.uuid());
        let tried = match job.kind {
            JobKind::LookUpParcels => self.silent(order).await,
            _ => self.all(order).await,
        };
        tried.unwrap_or_else(|outcome| outcome)
    }
}

#[cfg(test)]
mod tests;
