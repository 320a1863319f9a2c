//! Parcels that a courier's platform fetches: they are booked, or not booked any more, by jobs; what the platform tells of them is a fact.
//!
//! ```text
//! booking ──▶ booked ──▶ handed over, and so on
//!    │          │
//!    └──▶ draft │ (the courier will not take it)
//!    └──────────┴──▶ cancelling ──yes──▶ cancelled, and what waited for it is credited
//!                        └──no, or it was fetched──▶ on its way
//! ```
//!
//! Units in a parcel that a courier may fetch at any moment are not cancelled before the courier says that it will not: until then the cancel is a
//! wish, and nothing is credited. What a courier tells is never refused. Where it contradicts what the order knows, somebody has to look at it.

use super::correct::contradicts;
use super::fulfilment::{How, note_of};
use super::refund::{Credit, CreditReason, CreditSeed, Refund, RefundStatus, Wanted};
use super::shipment::{NotFulfillable, Parcel, ParcelStep, ShipmentStatus};
use super::state::{Body, Phase};
use super::{Order, OrderEvent};
use crate::domain::buyer::Mint;
use crate::domain::courier::{CourierStatus, ParcelLine, ParcelName};
use crate::domain::ids::{CreditId, OrderId, ShipmentId, VendorId};
use crate::domain::money::Money;
use crate::domain::reject::Reject;
use crate::domain::rows::{OUTSIDE_COURIER, OUTSIDE_REFUND};
use crate::domain::time::Timestamp;
use crate::domain::vendor::{Slot, WantedLine};
use crate::domain::who::By;
use serde::{Deserialize, Serialize};

/// A cancel that waits for couriers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelWish {
    /// What a credit needs, once they have said yes.
    pub seed: CreditSeed,
    /// Of whose share.
    pub vendor: VendorId,
    /// Units of lines.
    pub lines: Vec<WantedLine>,
    /// Who wants it; none where the buyer does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// The parcels whose couriers have not answered.
    pub waits: Vec<ShipmentId>,
}

/// What an order wants of a courier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourierWish {
    /// Of which.
    pub courier: Box<str>,
    /// Of which parcel.
    pub name: ParcelName,
    /// What is in it, where it is to be fetched; nothing where it is not to be fetched any more.
    pub book: Option<Vec<ParcelLine>>,
    /// What is to be collected for it at the door.
    pub collect: Option<Money>,
    /// When it is to be brought, where the buyer chose that.
    pub slot: Option<Slot>,
}

/// What a courier makes of such a wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "says", rename_all = "snake_case")]
pub enum CourierSays {
    /// The parcel is in its books.
    Booked {
        /// By which it finds the parcel.
        tracking_number: Box<str>,
    },
    /// It will not take the parcel.
    Refused {
        /// Why: a code.
        why: Box<str>,
    },
    /// The parcel is not to be fetched any more, or never was.
    NotFetched,
    /// The parcel was fetched.
    TooLate,
}

type Decision = Result<Vec<OrderEvent>, Reject>;

impl Body {
    /// Cancels units that are still with their vendor: at once, or, where a courier may fetch them, once it has said that it will not.
    pub(super) fn cancel_units(&self, credit: Credit, seed: &CreditSeed) -> Decision {
        let unpacked = self.unpacked_for(&credit);
        let booked: Vec<ShipmentId> =
            unpacked.iter().filter(|parcel| parcel.status != ShipmentStatus::Draft).map(|parcel| parcel.id).collect();
        let (vendor, by) = (credit.vendor, credit.by);
        if booked.is_empty() {
            let unpack = |parcel: &&Parcel| Self::moved(parcel, ParcelStep::Cancel, by);
            let mut events: Vec<OrderEvent> = unpacked.iter().map(unpack).collect();
            events.push(self.credited(credit, seed.mint)?);
            return Ok(events);
        }
        let is_new = |parcel: &&&Parcel| booked.contains(&parcel.id) && !parcel.cancelling;
        let ask = |parcel: &&Parcel| Self::moved(parcel, ParcelStep::AskCancel, by);
        let mut events: Vec<OrderEvent> = unpacked.iter().filter(is_new).map(ask).collect();
        let units = |line: &super::CreditedLine| WantedLine { sku: line.sku, quantity: line.units };
        let lines = credit.lines.iter().map(units).collect();
        let wish = CancelWish { seed: *seed, vendor, lines, by, waits: booked };
        events.push(OrderEvent::CancelWished { wish: Box::new(wish) });
        Ok(events)
    }

    /// What it wants of couriers now. From now on they may know of it.
    pub(super) fn courier_wishes(&self, order: OrderId) -> Vec<CourierWish> {
        let wish = |parcel: &Parcel| {
            let name = ParcelName { shipment: parcel.id, order, mint: parcel.mint? };
            let line = |line: &WantedLine| ParcelLine {
                sku: line.sku,
                title: self
                    .lines_of(parcel.vendor)
                    .find(|of| of.sku == line.sku)
                    .map_or_else(String::new, |of| of.title.clone()),
                quantity: line.quantity,
            };
            let book = (!parcel.cancelling).then(|| parcel.lines.iter().map(line).collect());
            let is_open = parcel.is_inside() && (parcel.cancelling || parcel.status == ShipmentStatus::Booking);
            let collect = Money::new(self.to_collect(parcel.vendor), self.currency);
            let collect = (book.is_some() && collect.minor > 0).then_some(collect);
            let slot = self.slot(parcel.vendor).filter(|_| book.is_some()).cloned();
            is_open.then(|| CourierWish { courier: parcel.courier.clone(), name, book, collect, slot })
        };
        self.parcels.iter().filter_map(wish).collect()
    }

    /// Whom outside it waits for, as its row says it. What is given back by hand no provider is asked for.
    pub(super) fn outside(&self, order: OrderId) -> i64 {
        let waits = |waits: bool, of: i64| if waits { of } else { 0 };
        let by_hand = self.pays_at_the_door();
        let is_open =
            |refund: &Refund| !by_hand && matches!(refund.status, RefundStatus::Requested | RefundStatus::Pending);
        waits(!self.courier_wishes(order).is_empty(), OUTSIDE_COURIER)
            .saturating_add(waits(self.refunds.iter().any(is_open), OUTSIDE_REFUND))
    }

    /// The parcel that a courier calls so. A store that was taken back from a backup may make one anew under the same id: what is said of the former
    /// is not said of it.
    pub(super) fn named_parcel(&self, id: ShipmentId, mint: Mint) -> Option<&Parcel> {
        self.parcels.iter().find(|parcel| parcel.id == id && parcel.mint == Some(mint))
    }

    /// A courier says what it makes of a wish. What it says late, of a parcel that stands otherwise by now, changes nothing.
    pub(super) fn decide_courier_says(&self, parcel: &Parcel, says: &CourierSays) -> Decision {
        let id = parcel.id;
        let is_booking = parcel.status == ShipmentStatus::Booking;
        let is_open = parcel.is_inside() && parcel.mint.is_some();
        let is_known = parcel.mint.is_some() && parcel.status != ShipmentStatus::Cancelled;
        let moved = |step| Self::moved(parcel, step, None);
        Ok(match says {
            // It may be on its way before its courier's first answer has come.
            CourierSays::Booked { tracking_number } if is_booking || (is_known && parcel.tracking_number.is_none()) => {
                vec![moved(ParcelStep::Booked { tracking_number: tracking_number.clone() })]
            }
            CourierSays::Refused { .. } | CourierSays::NotFetched if parcel.cancelling => {
                let mut events = vec![moved(ParcelStep::Cancel)];
                events.extend(self.wishes_granted(id)?);
                events
            }
            CourierSays::Refused { why } if is_booking => vec![moved(ParcelStep::BookingRefused { why: why.clone() })],
            // It was cancelled at the courier's, by somebody else.
            CourierSays::NotFetched if is_open => {
                vec![moved(ParcelStep::BookingRefused { why: "cancelled_by_courier".into() })]
            }
            CourierSays::TooLate if parcel.cancelling => vec![moved(ParcelStep::CancelRefused)],
            _ => Vec::new(),
        })
    }

    /// What waited for this parcel alone: it is credited now, with what else has to be unpacked for it. What was cancelled otherwise meanwhile is not
    /// cancelled again.
    fn wishes_granted(&self, id: ShipmentId) -> Decision {
        let mut events = Vec::new();
        // What is decided here stands on the parcel as it is once it is unpacked.
        let mut after = self.clone();
        after.apply(
            &OrderEvent::ShipmentMoved { shipment: id, step: Box::new(ParcelStep::Cancel), by: None },
            self.placed_at,
        );
        for wish in self.wishes.iter().filter(|wish| wish.waits == [id]) {
            let dropped = OrderEvent::CancelWishDropped { credit: wish.seed.id };
            let wanted = Wanted::Units(wish.lines.clone());
            let granted = after.credit(wish.vendor, &wanted, &wish.seed, wish.by);
            let granted = granted.and_then(|credit| after.cancel_units(credit, &wish.seed));
            let granted = granted.unwrap_or_else(|_| vec![dropped]);
            granted.iter().for_each(|event| after.apply(event, self.placed_at));
            events.extend(granted);
        }
        Ok(events)
    }

    /// What a courier tells of a parcel is a fact.
    pub(super) fn decide_courier_told(
        &self,
        parcel: &Parcel,
        status: CourierStatus,
        accepted: &[WantedLine],
        collected: Option<Money>,
    ) -> Decision {
        let seed = &seed_of(parcel);
        if self.phase != Phase::Settled {
            return Ok(Vec::new());
        }
        let astray = || match parcel.astray {
            true => Vec::new(),
            false => vec![Self::moved(parcel, ParcelStep::Astray, None)],
        };
        // What was taken is not known: nothing is given back before somebody has asked.
        if status == CourierStatus::PartlyDelivered && accepted.iter().all(|line| line.quantity <= 0) {
            return Ok(astray());
        }
        // Somebody has looked at it: what its courier tells is said again, or is for them to look at.
        if parcel.corrected.is_some() {
            return Ok(if contradicts(parcel, status) { astray() } else { Vec::new() });
        }
        // Of what is paid before, a courier has nothing to collect; and of what it took in another currency somebody has to ask.
        let at_door = self.pays_at_the_door();
        let collected = match collected.filter(|taken| at_door || taken.minor != 0) {
            Some(taken) if !at_door || taken.currency != self.currency => return Ok(astray()),
            taken => taken.map(|taken| taken.minor),
        };
        let step = match status {
            CourierStatus::PickedUp => ParcelStep::HandOver,
            CourierStatus::InTransit | CourierStatus::OutForDelivery => return Ok(Vec::new()),
            CourierStatus::Delivered => ParcelStep::Deliver { accepted: None, collected },
            CourierStatus::PartlyDelivered => ParcelStep::Deliver { accepted: Some(accepted.to_vec()), collected },
            CourierStatus::Refused => ParcelStep::Deliver { accepted: Some(Vec::new()), collected },
            CourierStatus::Returned => ParcelStep::Returned,
            CourierStatus::Lost => ParcelStep::Lost,
        };
        // Late, but nothing that contradicts: it was fetched, and has arrived meanwhile.
        if matches!(step, ParcelStep::HandOver) && !parcel.is_inside() && parcel.status != ShipmentStatus::Cancelled {
            return Ok(Vec::new());
        }
        let mut events = Vec::new();
        let mut known = parcel.clone();
        if parcel.is_inside() {
            events.push(Self::moved(parcel, ParcelStep::HandOver, None));
            if matches!(step, ParcelStep::HandOver) {
                return Ok(events);
            }
            known.status = ShipmentStatus::HandedOver;
        }
        let how = How { leaves: parcel.is_inside(), is_told: true };
        match self.parcel_events(&known, &step, seed, None, how) {
            Ok(more) => {
                events.extend(more);
                Ok(events)
            }
            Err(Reject::NotFulfillable { .. } | Reject::AlreadyShipped) if events.is_empty() => Ok(astray()),
            Err(Reject::NotFulfillable { why: NotFulfillable::NotInShipment }) => Ok(astray()),
            Err(other) => Err(other),
        }
    }

    pub(super) fn apply_wished(&mut self, wish: &CancelWish, at: Timestamp) {
        // One that waits again waits in the place of the former.
        self.apply_wish_dropped(wish.seed.id);
        self.wishes.push(wish.clone());
        let entry = note_of(self, wish.vendor, "cancel_wished", wish.by, at);
        entry.reason = Some(wish.seed.reason.name().to_owned());
    }

    pub(super) fn apply_wish_dropped(&mut self, credit: CreditId) {
        self.wishes.retain(|wish| wish.seed.id != credit);
    }

    /// A courier has said that this parcel is not fetched.
    pub(super) fn wish_waits_less(&mut self, id: ShipmentId) {
        self.wishes.iter_mut().for_each(|wish| wish.waits.retain(|waits| *waits != id));
    }

    /// What waited for a parcel that is on its way is not cancelled.
    pub(super) fn wishes_refused(&mut self, id: ShipmentId, at: Timestamp) {
        let refused: Vec<CancelWish> = self.wishes.iter().filter(|wish| wish.waits.contains(&id)).cloned().collect();
        self.wishes.retain(|wish| !wish.waits.contains(&id));
        for wish in refused {
            note_of(self, wish.vendor, "cancel_refused", None, at).shipment = Some(id);
        }
    }

    /// Whether a cancel of some of it waits for a courier.
    pub(super) fn is_cancelling(&self, vendor: Option<VendorId>) -> bool {
        let own = |of: VendorId| vendor.is_none_or(|vendor| vendor == of);
        self.wishes.iter().any(|wish| own(wish.vendor))
            || self.parcels.iter().any(|parcel| own(parcel.vendor) && parcel.is_inside() && parcel.cancelling)
    }
}

/// The credit of what a courier tells that the buyer does not get: it follows from the parcel, so that it is made once, however often it is told.
fn seed_of(parcel: &Parcel) -> CreditSeed {
    let mint = parcel.mint.unwrap_or_default();
    CreditSeed { id: CreditId::of_refusal(parcel.id), mint, reason: CreditReason::DeliveryRefused }
}

impl Order {
    /// What it wants of couriers.
    pub fn courier_wishes(&self) -> Vec<CourierWish> {
        self.body.as_ref().map_or_else(Vec::new, |body| body.courier_wishes(self.id))
    }
}

/// How a parcel stands when it was just made: it waits for its courier, where one is asked.
pub(super) fn status_when_made(mint: Option<Mint>) -> ShipmentStatus {
    if mint.is_some() { ShipmentStatus::Booking } else { ShipmentStatus::Draft }
}
