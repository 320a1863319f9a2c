//! Parcels as a courier knows them: what it is asked, what it answers, and what it tells of what became of them. Pure: whoever asks a courier only
//! carries the questions there and the answers back.
//!
//! What a courier tells of a parcel is a set: events come late, twice and in any order, and what follows from all of them does not depend on
//! that. Where a parcel is ([`tracking_status`]) follows from their rank and from the courier's own time. Of some of them its order hears.

use super::buyer::Mint;
use super::ids::{OrderId, ShipmentId, SkuId};
use super::money::Money;
use super::order::Address;
use super::time::Timestamp;
use super::vendor::{Slot, WantedLine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What became of a parcel, in a courier's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CourierStatus {
    /// The courier has it.
    PickedUp,
    /// It is on its way.
    InTransit,
    /// It is on its way to the door.
    OutForDelivery,
    /// It was taken at the door, all of it.
    Delivered,
    /// Some of it was taken at the door.
    PartlyDelivered,
    /// Nothing of it was taken at the door.
    Refused,
    /// It is back where it came from.
    Returned,
    /// Nobody knows where it is.
    Lost,
}

impl CourierStatus {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::PickedUp,
        Self::InTransit,
        Self::OutForDelivery,
        Self::Delivered,
        Self::PartlyDelivered,
        Self::Refused,
        Self::Returned,
        Self::Lost,
    ];

    /// Its name in the contract, in the store and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PickedUp => "picked_up",
            Self::InTransit => "in_transit",
            Self::OutForDelivery => "out_for_delivery",
            Self::Delivered => "delivered",
            Self::PartlyDelivered => "partly_delivered",
            Self::Refused => "refused",
            Self::Returned => "returned",
            Self::Lost => "lost",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// How far it has come: what is told of a lower rank, however late, says nothing of where the parcel is.
    pub const fn rank(self) -> u8 {
        match self {
            Self::PickedUp => 0,
            Self::InTransit => 1,
            Self::OutForDelivery => 2,
            Self::PartlyDelivered | Self::Refused => 3,
            Self::Delivered | Self::Returned | Self::Lost => 4,
        }
    }

    /// Whether nothing that a courier tells after it changes where the parcel is: people may.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Returned | Self::Lost)
    }

    /// Whether the parcel's order hears of it: the rest is for whoever waits for the parcel.
    pub const fn is_heard(self) -> bool {
        !matches!(self, Self::InTransit | Self::OutForDelivery)
    }
}

/// A parcel, as its courier and the shop call it: the shop's reference. It is the same at every try, and says whose the parcel is. A store that was
/// taken back from a backup draws another mint, and so never means a parcel of before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParcelName {
    /// The parcel.
    pub shipment: ShipmentId,
    /// The order that it is of.
    pub order: OrderId,
    /// Drawn when it was to be booked.
    pub mint: Mint,
}

impl fmt::Display for ParcelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.shipment, self.order, self.mint)
    }
}

/// No parcel of ours is called so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no name of a parcel")]
pub struct NoParcel;

impl FromStr for ParcelName {
    type Err = NoParcel;

    fn from_str(text: &str) -> Result<Self, NoParcel> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(NoParcel);
        let (shipment, order, mint) = (next()?, next()?, next()?);
        let named = Self {
            shipment: shipment.parse().map_err(|_| NoParcel)?,
            order: order.parse().map_err(|_| NoParcel)?,
            mint: Mint(u32::from_str_radix(mint, 16).map_err(|_| NoParcel)?.to_be_bytes()),
        };
        // As it is written, and in no other way.
        if named.to_string() == text { Ok(named) } else { Err(NoParcel) }
    }
}

/// Some units of one SKU in a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParcelLine {
    /// The SKU.
    pub sku: SkuId,
    /// What it is called.
    pub title: String,
    /// How many.
    pub quantity: i64,
}

/// A parcel that is to be fetched. Where it goes is a detail of its order, read when the courier is asked: it is in no record.
#[derive(Clone, PartialEq, Eq)]
pub struct BookingCall {
    /// Which.
    pub name: ParcelName,
    /// What is in it.
    pub lines: Vec<ParcelLine>,
    /// Where it goes.
    pub to: Address,
    /// What the courier is to take at the door.
    pub collect: Option<Money>,
    /// When it is to be brought, where the buyer chose that.
    pub slot: Option<Slot>,
}

impl fmt::Debug for BookingCall {
    /// Without who gets it, which has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, lines, to: _, collect, slot } = self;
        let mut call = f.debug_struct("BookingCall");
        call.field("name", name).field("lines", lines).field("collect", collect).field("slot", slot);
        call.finish_non_exhaustive()
    }
}

/// How a parcel stands at its courier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookingStatus {
    /// It is to be fetched.
    Booked,
    /// It is not to be fetched any more.
    Cancelled,
    /// It was fetched, and this has become of it.
    Told(CourierStatus),
}

impl BookingStatus {
    /// Its name in the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Booked => "booked",
            Self::Cancelled => "cancelled",
            Self::Told(status) => status.name(),
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "booked" => Some(Self::Booked),
            "cancelled" => Some(Self::Cancelled),
            other => CourierStatus::from_name(other).map(Self::Told),
        }
    }
}

/// A parcel in a courier's books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// Which.
    pub name: ParcelName,
    /// What the courier calls it, and its receiver may look for.
    pub tracking_number: String,
    /// How it stands.
    pub status: BookingStatus,
    /// What has become of it so far, where the courier says so: what a notice would have said, once more.
    pub told: Vec<CourierTold>,
}

/// What a courier has made of the wish to have a parcel fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BookingAnswer {
    /// It is in its books.
    Booked(Booking),
    /// It never will be: under another name it may be asked again.
    Refused {
        /// Why: a code.
        why: String,
    },
}

/// What a courier has made of the wish not to have a parcel fetched any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelAnswer {
    /// It is not fetched.
    Cancelled,
    /// It was fetched.
    TooLate,
    /// The courier has never heard of it.
    Unknown,
}

/// What a courier tells of a parcel: one event, whichever way it comes, and however often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourierTold {
    /// What the courier calls it: the same event is told under the same name.
    pub event: String,
    /// Of which parcel.
    pub name: ParcelName,
    /// What has become of it.
    pub status: CourierStatus,
    /// When, by the courier's clock.
    pub at: Timestamp,
    /// What was taken at the door, where it says so.
    pub collected: Option<Money>,
    /// The units that were taken at the door, where not all were.
    pub lines: Vec<WantedLine>,
}

/// What whoever waits for a parcel is shown of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackingEvent {
    /// What the courier calls it.
    pub event: String,
    /// What has become of the parcel.
    pub status: CourierStatus,
    /// When, by the courier's clock.
    pub at: Timestamp,
    /// Who says so.
    pub source: Source,
}

/// Who says what has become of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Its courier, by an event.
    Told,
    /// Its courier, which was asked and told no event of it: the moment is that of the look-up.
    LookedUp,
    /// The shop's staff, who correct it.
    Staff,
}

/// Where a parcel is, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackingStatus {
    /// As was told.
    Is(CourierStatus),
    /// Nothing was heard of it for so long that what was told says nothing of where it is.
    Stale,
}

impl TrackingStatus {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            TrackingStatus::Is(status) => status.name(),
            TrackingStatus::Stale => "stale",
        }
    }
}

/// All events of a parcel, each once, in the order in which they happened: whatever the order in which they came.
pub fn tracked(mut events: Vec<TrackingEvent>) -> Vec<TrackingEvent> {
    // Of one that came twice the first counts.
    let mut known = BTreeSet::new();
    events.retain(|event| known.insert(event.event.clone()));
    // What a look-up said without an event is the event, once that has come.
    let told: Vec<CourierStatus> =
        events.iter().filter(|event| event.source == Source::Told).map(|event| event.status).collect();
    events.retain(|event| event.source != Source::LookedUp || !told.contains(&event.status));
    // Couriers tell seconds: what happened in one stands in the order in which it must have happened.
    events.sort_by(|a, b| (a.at, a.status.rank(), &a.event).cmp(&(b.at, b.status.rank(), &b.event)));
    events
}

/// Where a parcel is, by all that its courier told: the newest of what is of the highest rank. Of what is final the first stays: what a courier
/// says after that is for people to look at. What they say last counts.
pub fn tracking_status(events: &[TrackingEvent]) -> Option<CourierStatus> {
    let order = |event: &&TrackingEvent| (event.at, event.event.clone());
    let corrected = events.iter().filter(|event| event.source == Source::Staff).max_by_key(order);
    let ended = || events.iter().filter(|event| event.status.is_final()).min_by_key(order);
    let newest = || events.iter().max_by_key(|event| (event.status.rank(), order(event)));
    corrected.or_else(ended).or_else(newest).map(|event| event.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use CourierStatus::{Delivered, InTransit, Lost, OutForDelivery, PartlyDelivered, PickedUp, Refused, Returned};
    use uuid::Uuid;

    fn event(name: &str, status: CourierStatus, at_s: i64) -> TrackingEvent {
        TrackingEvent { event: name.to_owned(), status, at: Timestamp::from_millis(at_s * 1_000), source: Source::Told }
    }

    #[test]
    fn where_a_parcel_is_does_not_depend_on_what_came_when() {
        type Row = (&'static [(CourierStatus, i64)], Option<CourierStatus>);
        let table: &[Row] = &[
            (&[], None),
            (&[(PickedUp, 1)], Some(PickedUp)),
            (&[(PickedUp, 1), (InTransit, 2)], Some(InTransit)),
            // A second depot comes after the first try at the door.
            (&[(PickedUp, 1), (OutForDelivery, 3), (InTransit, 4)], Some(OutForDelivery)),
            (&[(PickedUp, 1), (InTransit, 2), (OutForDelivery, 3), (Delivered, 4)], Some(Delivered)),
            // Late, by the courier's own time or by a clock that is wrong.
            (&[(Delivered, 4), (InTransit, 9)], Some(Delivered)),
            // In the second in which it was handed over.
            (&[(OutForDelivery, 4), (Delivered, 4)], Some(Delivered)),
            (&[(Refused, 4), (InTransit, 5), (Returned, 9)], Some(Returned)),
            (&[(PartlyDelivered, 4), (Returned, 9)], Some(Returned)),
            // A second try at the door.
            (&[(Refused, 4), (PartlyDelivered, 8)], Some(PartlyDelivered)),
            (&[(PartlyDelivered, 4), (Refused, 3)], Some(PartlyDelivered)),
            (&[(Refused, 4), (Delivered, 8)], Some(Delivered)),
            // What is final is left by nothing that a courier tells.
            (&[(Delivered, 4), (Returned, 9)], Some(Delivered)),
            (&[(Lost, 4), (Delivered, 9)], Some(Lost)),
            (&[(Lost, 9), (Delivered, 4)], Some(Delivered)),
        ];
        for (told, status) in table {
            let events: Vec<TrackingEvent> =
                (0..).zip(*told).map(|(number, (status, at))| event(&format!("e{number}"), *status, *at)).collect();
            let shown = tracked(events.clone());
            assert_eq!(tracking_status(&events), *status, "{told:?}");
            for turned in 0..events.len() {
                let mut others = events.clone();
                others.rotate_left(turned);
                others.extend(events.first().cloned());
                others.reverse();
                assert_eq!(tracking_status(&others), *status, "{told:?} {turned}");
                assert_eq!(tracked(others), shown, "{told:?} {turned}");
            }
        }
    }

    #[test]
    fn events_are_shown_once_in_the_order_in_which_they_happened() {
        let events = vec![
            event("b", Delivered, 5),
            event("a", PickedUp, 1),
            event("d", OutForDelivery, 5),
            event("b", Lost, 7),
            event("c", PickedUp, 1),
        ];
        let shown: Vec<_> = tracked(events).into_iter().map(|event| (event.event, event.status)).collect();
        let expected = [("a", PickedUp), ("c", PickedUp), ("d", OutForDelivery), ("b", Delivered)];
        assert_eq!(shown, expected.map(|(name, status)| (name.to_owned(), status)));
    }

    #[test]
    fn what_the_staff_corrects_counts_and_what_a_look_up_said_is_told_once() {
        let by = |source, event| TrackingEvent { source, ..event };
        let corrected = |name, status, at| by(Source::Staff, event(name, status, at));
        let first = corrected("corrected.1", Lost, 9);
        let mut events = vec![event("a", PickedUp, 1), first, event("b", Delivered, 4), event("c", Returned, 12)];
        assert_eq!(tracking_status(&events), Some(Lost));
        events.insert(0, corrected("corrected.2", Delivered, 20));
        assert_eq!(tracking_status(&events), Some(Delivered));

        let looked_up = by(Source::LookedUp, event("looked_up.delivered", Delivered, 30));
        assert_eq!(tracked(vec![event("a", PickedUp, 1), looked_up.clone()]).len(), 2);
        let shown = tracked(vec![looked_up, event("a", PickedUp, 1), event("b", Delivered, 4)]);
        assert_eq!(shown, [event("a", PickedUp, 1), event("b", Delivered, 4)]);
    }

    #[test]
    fn an_order_hears_of_what_it_must_know() {
        let heard: Vec<_> = CourierStatus::ALL.into_iter().filter(|status| status.is_heard()).collect();
        assert_eq!(heard, [PickedUp, Delivered, PartlyDelivered, Refused, Returned, Lost]);
        for status in CourierStatus::ALL {
            assert_eq!(CourierStatus::from_name(status.name()), Some(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.name());
            assert_eq!(BookingStatus::from_name(status.name()), Some(BookingStatus::Told(status)));
        }
        for status in [BookingStatus::Booked, BookingStatus::Cancelled] {
            assert_eq!(BookingStatus::from_name(status.name()), Some(status));
        }
        assert_eq!(BookingStatus::from_name("gone"), None);
    }

    #[test]
    fn a_parcels_name_says_whose_it_is_and_is_written_in_one_way() {
        let name = ParcelName {
            shipment: ShipmentId::from_uuid(Uuid::from_u128(1)),
            order: OrderId::from_uuid(Uuid::from_u128(2)),
            mint: Mint([0, 0, 0, 9]),
        };
        let text = name.to_string();
        assert!(text.len() <= 100 && text.ends_with(".00000009"), "{text}");
        assert_eq!(text.parse(), Ok(name));
        let order_first = format!("{}.{}.00000009", name.order, name.shipment);
        let (short, long, upper) = (text.replace(".00000009", ".9"), format!("{text}.x"), text.replace(".0", ".A"));
        for wrong in ["", ".", "shipment_1", &text[..text.len() - 9], &order_first, &short, &long, &upper] {
            assert_eq!(wrong.parse::<ParcelName>(), Err(NoParcel), "{wrong}");
        }
    }
}
