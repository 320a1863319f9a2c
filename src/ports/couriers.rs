//! What parcels need of whoever fetches them and brings them.

use super::jobs::{NotNow, Orders};
use super::{Headers, NoAnswer, NoNotice};
use crate::domain::courier::{
    Booking, BookingAnswer, BookingCall, BookingStatus, CancelAnswer, CourierTold, ParcelLine, ParcelName,
};
use crate::domain::details::{Contact, Known};
use crate::domain::ids::{JobId, OrderId};
use crate::domain::job::TryOutcome;
use crate::domain::money::Money;
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

/// Keeps what couriers tell, whichever way it comes.
#[async_trait]
pub trait KeepsTold: Send + Sync + 'static {
    /// Keeps what this courier told, once. Its order hears of it as of a notice.
    ///
    /// # Errors
    /// When it cannot be kept now.
    async fn keep(&self, courier: &str, told: CourierTold) -> Result<(), NotNow>;
}

/// What an order wants of a courier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParcelWish {
    /// Of which.
    pub courier: String,
    /// Of which parcel.
    pub name: ParcelName,
    /// What.
    pub wish: Wish,
}

/// What is to be done with a parcel. Where it goes is a detail, read when the courier is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It is to be fetched.
    Book {
        /// What is in it.
        lines: Vec<ParcelLine>,
        /// What is to be taken at the door.
        collect: Option<Money>,
    },
    /// It is not to be fetched any more.
    Cancel,
}

/// What came of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WishTold {
    /// The courier has it in its books.
    Booked {
        /// What the courier calls it.
        tracking_number: String,
        /// How it stands there.
        status: BookingStatus,
    },
    /// It will never be fetched under this name.
    Refused {
        /// Why: a code.
        why: String,
    },
    /// It is not fetched any more.
    Cancelled,
    /// It was fetched, and is not cancelled.
    TooLate,
    /// The courier has never heard of what was to be cancelled.
    NeverBooked,
}

/// Orders, for whoever asks couriers what they want.
#[async_trait]
pub trait Parcels: Send + Sync + 'static {
    /// What is open of an order's wishes. From then on the order takes it that couriers may know of it.
    ///
    /// # Errors
    /// What comes of the try when it cannot be told.
    async fn wishes(&self, order: OrderId) -> Result<Vec<ParcelWish>, TryOutcome>;

    /// Has the parcel's order hear what came of a wish, however often it has heard that. It is done once the order has recorded it.
    ///
    /// # Errors
    /// What comes of the try when it cannot.
    async fn told(&self, parcel: ParcelName, told: WishTold) -> Result<(), TryOutcome>;
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
