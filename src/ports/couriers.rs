//! What parcels need of whoever fetches them and brings them.

use super::jobs::NotNow;
use super::{Headers, NoAnswer, NoNotice};
use crate::domain::courier::{Booking, BookingAnswer, BookingCall, CancelAnswer, CourierTold, ParcelName};
use crate::domain::ids::{JobId, OrderId};
use crate::domain::job::TryOutcome;
use crate::domain::time::Timestamp;
use async_trait::async_trait;

/// What a courier's notice is. Other than a payment provider's it is believed: what a courier says of a parcel is all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CourierNotice {
    /// This has become of a parcel of ours.
    Told(CourierTold),
    /// It is about somebody else's parcel.
    Other,
    /// It is the courier's, and cannot be read.
    Unreadable,
}

/// A courier. Every verb is idempotent by the parcel's name: shipment, order and mint.
#[async_trait]
pub trait Courier: Send + Sync + 'static {
    /// The name by which shipments ask for it.
    fn name(&self) -> &'static str;

    /// Has a parcel fetched, once, however often it is asked.
    ///
    /// # Errors
    /// When nobody knows what came of it: it is looked up before it is asked again.
    async fn book(&self, call: &BookingCall) -> Result<BookingAnswer, NoAnswer>;

    /// Tells how a parcel stands; `None` if it was never asked for. The answer to every unknown outcome.
    ///
    /// # Errors
    /// When there is no answer.
    async fn look_up(&self, name: ParcelName) -> Result<Option<Booking>, NoAnswer>;

    /// Sees to it that a parcel is not fetched any more.
    ///
    /// # Errors
    /// When nobody knows what came of it.
    async fn cancel(&self, name: ParcelName) -> Result<CancelAnswer, NoAnswer>;

    /// Reads a notice, of which `header` gives the headers by their names in small letters.
    ///
    /// # Errors
    /// See [`NoNotice`].
    fn notice(&self, _header: Headers<'_>, _body: &[u8], _wall: Timestamp) -> Result<CourierNotice, NoNotice> {
        Err(NoNotice::NotTaken)
    }
}

/// What couriers told, for whoever tells orders of it.
#[async_trait]
pub trait Told: Send + Sync + 'static {
    /// What was told that this job is about; `None` where it is not kept any more.
    ///
    /// # Errors
    /// When it cannot be read now.
    async fn told(&self, job: JobId) -> Result<Option<CourierTold>, NotNow>;
}

/// Orders, for whoever tells them of their parcels.
#[async_trait]
pub trait Hears: Send + Sync + 'static {
    /// Has an order hear what was told of a parcel of it, however often it has heard that. It is done once the order has recorded it.
    async fn hear(&self, order: OrderId, told: CourierTold) -> TryOutcome;
}
