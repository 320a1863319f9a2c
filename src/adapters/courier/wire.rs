//! What the courier's platform is told, and what it answers and tells by itself.

use crate::adapters::platform::is_plain;
use crate::domain::courier::{Booking, BookingCall, BookingStatus, CourierStatus, CourierTold, ParcelName};
use crate::domain::ids::SkuId;
use crate::domain::money::Money;
use crate::domain::order::Address;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{Slot, WantedLine};
use crate::limits;
use crate::ports::NoAnswer;
use crate::ports::couriers::CourierNotice;
use serde::{Deserialize, Serialize};

/// The word for a parcel that was never booked.
pub(super) const UNKNOWN: &str = "unknown_shipment";
/// The word for a parcel that is not fetched any more.
pub(super) const CANCELLED: &str = "cancelled";

/// The words of the contract for what is refused.
pub(super) const KNOWN: &[&str] = &[
    UNKNOWN,
    CANCELLED,
    "other_shipment",
    "address_unsupported",
    "collect_unsupported",
    "lines_unsupported",
    "invalid",
    "unauthorized",
];

/// The most characters of a tracking number, and of the name of an event.
const NAME_BYTES: usize = 64;
/// Moments are believed up to here: the first of 2100.
const LATEST: Timestamp = Timestamp::from_millis(4_102_444_800_000);

/// An amount, as it stands in the API.
#[derive(Serialize, Deserialize)]
struct Amount {
    amount: String,
    currency: String,
}

impl Amount {
    fn of(money: Money) -> Self {
        Self { amount: money.amount_text(), currency: money.currency.code().to_owned() }
    }

    fn money(&self) -> Option<Money> {
        Money::parse(&self.amount, self.currency.parse().ok()?).ok()
    }
}

/// What a shipment is made of.
#[derive(Serialize)]
pub(super) struct ShipmentInput<'a> {
    to: &'a Address,
    lines: Vec<InputLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collect: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver_between: Option<Between>,
    notice_url: &'a str,
}

/// Two moments, as RFC 3339 writes them.
#[derive(Serialize)]
struct Between {
    from: String,
    to: String,
}

impl Between {
    fn of(slot: &Slot) -> Option<Self> {
        let moment = |at: Timestamp| Some(jiff::Timestamp::from_millisecond(at.as_millis()).ok()?.to_string());
        Some(Self { from: moment(slot.starts_at)?, to: moment(slot.ends_at)? })
    }
}

#[derive(Serialize)]
struct InputLine<'a> {
    sku_id: SkuId,
    title: &'a str,
    quantity: i64,
}

/// What is sent to have a parcel fetched.
pub(super) fn input<'a>(call: &'a BookingCall, notice_url: &'a str) -> ShipmentInput<'a> {
    let lines = call.lines.iter();
    ShipmentInput {
        to: &call.to,
        lines: lines.map(|it| InputLine { sku_id: it.sku, title: &it.title, quantity: it.quantity }).collect(),
        collect: call.collect.map(Amount::of),
        deliver_between: call.slot.as_ref().and_then(Between::of),
        notice_url,
    }
}

/// What is read of a shipment.
#[derive(Deserialize)]
pub(super) struct Shipment {
    reference: String,
    tracking_number: String,
    status: String,
    #[serde(default)]
    events: Vec<Event>,
}

/// What is read of an event, in an answer or in a notice.
#[derive(Deserialize)]
struct Event {
    id: String,
    status: String,
    at: String,
    #[serde(default)]
    collected: Option<Amount>,
    #[serde(default)]
    lines: Vec<Taken>,
}

/// Units that were taken at the door.
#[derive(Deserialize)]
struct Taken {
    sku_id: SkuId,
    quantity: i64,
}

/// A notice: an event, and whose.
#[derive(Deserialize)]
struct Told {
    reference: String,
    #[serde(flatten)]
    event: Event,
}

impl Event {
    /// What it tells of this parcel; `None` where it makes no sense.
    fn told(self, name: ParcelName) -> Option<CourierTold> {
        let at = Timestamp::from_millis(self.at.parse::<jiff::Timestamp>().ok()?.as_millisecond());
        let collected = self.collected.map(|amount| amount.money().ok_or(())).transpose().ok()?;
        let mut lines: Vec<WantedLine> = Vec::new();
        for Taken { sku_id: sku, quantity } in self.lines {
            let is_one = (0..=limits::LINE_QUANTITY).contains(&quantity) && lines.iter().all(|line| line.sku != sku);
            if !is_one || lines.len() >= limits::CART_LINES {
                return None;
            }
            lines.push(WantedLine { sku, quantity });
        }
        let is_moment = (Timestamp::default()..LATEST).contains(&at);
        let status = CourierStatus::from_name(&self.status).filter(|_| is_moment && is_plain(&self.id, NAME_BYTES))?;
        Some(CourierTold { event: self.id, name, status, at, collected, lines })
    }
}

impl Shipment {
    /// How it stands, if it is the one of this name.
    pub(super) fn booking(self, name: ParcelName) -> Result<Booking, NoAnswer> {
        let wrong = |reason: &str| Err(NoAnswer(reason.to_owned()));
        if self.reference != name.to_string() {
            tracing::error!(parcel = %name, "the courier answers for another parcel");
            return wrong("the parcel is another one");
        }
        if !is_plain(&self.tracking_number, NAME_BYTES) {
            return wrong("its tracking number is none of the contract's");
        }
        let Some(status) = BookingStatus::from_name(&self.status) else {
            return wrong("it tells a status that is none");
        };
        if self.events.len() > limits::TRACKING_EVENTS {
            return wrong("it tells more events than may be");
        }
        let told: Option<Vec<CourierTold>> = self.events.into_iter().map(|event| event.told(name)).collect();
        let Some(told) = told else { return wrong("it tells an event that is none") };
        Ok(Booking { name, tracking_number: self.tracking_number, status, told })
    }
}

/// What the platform tells by itself, once it is known to be it.
pub(super) fn notice(body: &[u8]) -> CourierNotice {
    let Ok(Told { reference, event }) = serde_json::from_slice(body) else { return CourierNotice::Unreadable };
    let Ok(name) = reference.parse() else { return CourierNotice::Other };
    event.told(name).map_or(CourierNotice::Unreadable, CourierNotice::Told)
}
