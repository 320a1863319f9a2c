//! What parcels need of whoever fetches them and brings them.

use super::jobs::{NotNow, Orders};
use super::{Headers, NoAnswer, NoNotice};
use crate::domain::courier::{Booking, BookingAnswer, BookingCall, CancelAnswer, CourierTold, ParcelName};
use crate::domain::details::{Contact, Known};
use crate::domain::ids::{JobId, OrderId, ShipmentId};
use crate::domain::job::TryOutcome;
use crate::domain::order::{Correction, CourierSays, CourierWish};
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

/// What couriers told, whichever way it came.
#[async_trait]
pub trait Told: Send + Sync + 'static {
    /// Keeps what this courier told, once. Its order hears of it by a job.
    ///
    /// # Errors
    /// When it cannot be kept now.
    async fn keep(&self, courier: &str, told: CourierTold) -> Result<(), NotNow>;

    /// What was told that this job is about; `None` where it is not kept any more.
    ///
    /// # Errors
    /// When it cannot be read now.
    async fn told(&self, job: JobId) -> Result<Option<CourierTold>, NotNow>;

    /// Keeps what this courier's books say of a parcel that it carries, as its notices would have said it. From now on something is to be heard of
    /// the parcel, until it has come to its end.
    ///
    /// # Errors
    /// When it cannot be kept now.
    async fn looked_up(&self, courier: &str, booking: Booking) -> Result<(), NotNow>;

    /// Keeps that this courier was asked and does not know of a parcel that it carries.
    ///
    /// # Errors
    /// When it cannot be kept now.
    async fn not_found(&self, courier: &str, name: ParcelName) -> Result<(), NotNow>;

    /// The parcels of an order of which nothing was heard for so long that their couriers are to be asked, with those couriers.
    ///
    /// # Errors
    /// When they cannot be read now.
    async fn silent(&self, order: OrderId) -> Result<Vec<(ParcelName, String)>, NotNow>;

    /// Nothing more is to be heard of this parcel.
    ///
    /// # Errors
    /// When it cannot be kept now.
    async fn not_awaited(&self, shipment: ShipmentId) -> Result<(), NotNow>;

    /// Keeps what the staff corrected, once.
    ///
    /// # Errors
    /// When it cannot be kept now.
    async fn corrected(&self, correction: Correction) -> Result<(), NotNow>;
}

/// Orders, for whoever tells them of their parcels.
#[async_trait]
pub trait Hears: Send + Sync + 'static {
    /// Has an order hear what was told of a parcel of it, however often it has heard that. It is done once the order has recorded it.
    async fn hear(&self, order: OrderId, told: CourierTold) -> TryOutcome;

    /// What was corrected of an order's parcels.
    ///
    /// # Errors
    /// What comes of the try when it cannot be told.
    async fn corrections(&self, order: OrderId) -> Result<Vec<Correction>, TryOutcome>;
}

/// Orders, for whoever asks couriers what they want.
#[async_trait]
pub trait Parcels: Send + Sync + 'static {
    /// What is open of an order's wishes. From then on the order takes it that couriers may know of it.
    ///
    /// # Errors
    /// What comes of the try when it cannot be told.
    async fn wishes(&self, order: OrderId) -> Result<Vec<CourierWish>, TryOutcome>;

    /// Has the parcel's order hear what its courier made of a wish, however often it has heard that. It is done once the order has recorded it.
    ///
    /// # Errors
    /// What comes of the try when it cannot.
    async fn says(&self, parcel: ParcelName, says: CourierSays) -> Result<(), TryOutcome>;

    /// The parcels of an order of which something is still to be heard; none of an order that there is not.
    ///
    /// # Errors
    /// What comes of the try when it cannot be told.
    async fn awaited(&self, order: OrderId) -> Result<Vec<ParcelName>, TryOutcome>;
}

/// Where orders are sent to.
#[async_trait]
pub trait Destinations: Send + Sync + 'static {
    /// That of one order.
    ///
    /// # Errors
    /// When it cannot be read now.
    async fn contact(&self, order: OrderId) -> Result<Known<Contact>, NotNow>;
}

#[async_trait]
impl<T: Orders> Destinations for T {
    async fn contact(&self, order: OrderId) -> Result<Known<Contact>, NotNow> {
        Ok(self.order(order).await?.map_or(Known::Nothing, |(_, contact)| contact))
    }
}

/// Where there are no couriers.
#[derive(Clone, Copy, Debug)]
pub struct NoCouriers;

#[async_trait]
impl Told for NoCouriers {
    async fn keep(&self, _: &str, _: CourierTold) -> Result<(), NotNow> {
        Err(NotNow("there are no couriers".to_owned()))
    }

    async fn told(&self, _: JobId) -> Result<Option<CourierTold>, NotNow> {
        Ok(None)
    }

    async fn looked_up(&self, _: &str, _: Booking) -> Result<(), NotNow> {
        Err(NotNow("there are no couriers".to_owned()))
    }

    async fn not_found(&self, _: &str, _: ParcelName) -> Result<(), NotNow> {
        Err(NotNow("there are no couriers".to_owned()))
    }

    async fn silent(&self, _: OrderId) -> Result<Vec<(ParcelName, String)>, NotNow> {
        Ok(Vec::new())
    }

    async fn not_awaited(&self, _: ShipmentId) -> Result<(), NotNow> {
        Ok(())
    }

    async fn corrected(&self, _: Correction) -> Result<(), NotNow> {
        Ok(())
    }
}
