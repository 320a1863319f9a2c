//! Parcels through a courier's platform: docs/courier.md is what such a platform speaks.
//!
//! | verb | asks |
//! | --- | --- |
//! | `book` | `PUT /shipments/{reference}` |
//! | `look_up` | `GET` of the same |
//! | `cancel` | `DELETE` of the same |
//!
//! A parcel is named by its shipment, its order and what was drawn for it: whatever is repeated is the same parcel, for ever, so nothing depends
//! on how long keys are kept. Each answer names the parcel that it is about, and none is taken for another's.
//!
//! A platform that has never heard of a parcel says so in a word for that alone: any other 404 may be another platform than it was.

mod wire;

use crate::adapters::platform::{Contract, Platform, PlatformConfig, PlatformSetting, Said};
use crate::domain::courier::{Booking, BookingAnswer, BookingCall, BookingStatus, CancelAnswer, ParcelName};
use crate::domain::time::Timestamp;
use crate::ports::couriers::{Courier, CourierNotice};
use crate::ports::{Headers, NoAnswer, NoNotice};
use async_trait::async_trait;

/// The name by which shipments ask for it.
pub const NAME: &str = "platform";
/// The path of the shop's own to which the platform sends its notices.
pub const NOTICE_PATH: &str = "/v1/notices/couriers/platform";

/// The contract, in words.
const CONTRACT: Contract = Contract {
    platform: "courier's platform",
    url: "HAAT_COURIER_URL",
    secret: "HAAT_COURIER_SECRET",
    codes: wire::KNOWN,
};

/// A courier's platform.
pub struct PlatformCourier {
    platform: Platform,
    notice_url: String,
}

impl PlatformCourier {
    /// The platform as it is asked with these settings.
    ///
    /// # Errors
    /// Which of them cannot be used, in words, without what is secret.
    pub fn new(config: &PlatformConfig) -> Result<Self, PlatformSetting> {
        let notice_url = format!("{}{NOTICE_PATH}", config.public_url);
        Ok(Self { platform: Platform::new(config, CONTRACT)?, notice_url })
    }

    async fn ask(&self, method: &str, name: ParcelName) -> Result<Said, NoAnswer> {
        self.platform.ask(method, &format!("/shipments/{name}"), None::<&()>).await
    }
}

/// A parcel in an answer, which must be this one.
fn booking_of(name: ParcelName, said: &Said) -> Result<Booking, NoAnswer> {
    said.read::<wire::Shipment>()?.booking(name)
}

#[async_trait]
impl Courier for PlatformCourier {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn book(&self, call: &BookingCall) -> Result<BookingAnswer, NoAnswer> {
        let (path, input) = (format!("/shipments/{}", call.name), wire::input(call, &self.notice_url));
        let said = self.platform.ask("PUT", &path, Some(&input)).await?;
        match said.status {
            200 | 201 => {
                let booking = booking_of(call.name, &said)?;
                match booking.status {
                    // It was cancelled before this came: it is not fetched under this name.
                    BookingStatus::Cancelled => Ok(BookingAnswer::Refused { why: wire::CANCELLED.to_owned() }),
                    BookingStatus::Booked | BookingStatus::Told(_) => Ok(BookingAnswer::Booked(booking)),
                }
            }
            409 | 422 => Ok(BookingAnswer::Refused { why: said.reason().to_owned() }),
            _ => Err(said.unexpected()),
        }
    }

    async fn look_up(&self, name: ParcelName) -> Result<Option<Booking>, NoAnswer> {
        let said = self.ask("GET", name).await?;
        match said.status {
            200 => booking_of(name, &said).map(Some),
            404 if said.reason() == wire::UNKNOWN => Ok(None),
            _ => Err(said.unexpected()),
        }
    }

    async fn cancel(&self, name: ParcelName) -> Result<CancelAnswer, NoAnswer> {
        let said = self.ask("DELETE", name).await?;
        match said.status {
            200 | 409 => match (said.status, booking_of(name, &said)?.status) {
                (200, BookingStatus::Cancelled) => Ok(CancelAnswer::Cancelled),
                (409, BookingStatus::Told(_)) => Ok(CancelAnswer::TooLate),
                _ => Err(NoAnswer("it does not say what has become of the parcel".to_owned())),
            },
            404 if said.reason() == wire::UNKNOWN => Ok(CancelAnswer::Unknown),
            _ => Err(said.unexpected()),
        }
    }

    fn notice(&self, header: Headers<'_>, body: &[u8], wall: Timestamp) -> Result<CourierNotice, NoNotice> {
        self.platform.has_signed(header, body, wall)?;
        Ok(wire::notice(body))
    }
}

#[cfg(test)]
mod tests;
