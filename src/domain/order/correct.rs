//! Corrections: a parcel was said to have come to an end, and in fact came to another.
//!
//! ```text
//! delivered (all of it) ◀──▶ lost
//!        └──▶ returned ◀──────┘
//! ```
//!
//! A correction says where the pieces are. It takes nothing back: what was credited stays credited, and what is in stock stays in stock. So a parcel
//! that came back is not corrected any more, and what is lost is given back by a refund, as of every lost parcel. Only what came back is credited with
//! the correction, as at the door. From then on the courier's word moves the parcel no more: where it contradicts, somebody looks at it.

use super::refund::CreditSeed;
use super::shipment::{NotFulfillable, Parcel, ParcelStep, ShipmentStatus, units_of};
use super::state::Body;
use super::{OrderEvent, ParcelEnd};
use crate::domain::courier::{CourierStatus, ParcelName};
use crate::domain::ids::{CreditId, OrderId};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::who::By;
use crate::limits;
use serde::{Deserialize, Serialize};

/// That somebody corrected what became of a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corrected {
    /// How often so far.
    pub times: u32,
    /// When last.
    pub at: Timestamp,
}

/// What whoever waits for a corrected parcel is to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Of which parcel.
    pub name: ParcelName,
    /// What became of it.
    pub status: CourierStatus,
    /// How often it was corrected so far, and when last.
    pub corrected: Corrected,
}

impl ParcelEnd {
    const fn status(self) -> ShipmentStatus {
        match self {
            ParcelEnd::Delivered => ShipmentStatus::Delivered,
            ParcelEnd::Returned => ShipmentStatus::Returned,
            ParcelEnd::Lost => ShipmentStatus::Lost,
        }
    }
}

fn refuse<T>(why: NotFulfillable) -> Result<T, Reject> {
    Err(Reject::NotFulfillable { why })
}

impl Body {
    /// What somebody says that in fact became of a parcel.
    pub(super) fn decide_correct(
        &self,
        parcel: &Parcel,
        to: ParcelEnd,
        seed: &CreditSeed,
        by: Option<By>,
    ) -> Result<Vec<OrderEvent>, Reject> {
        let in_part = parcel.status == ShipmentStatus::Delivered && !parcel.not_accepted().is_empty();
        if parcel.status == to.status() && !in_part {
            return Ok(Vec::new());
        }
        match parcel.status {
            ShipmentStatus::Returned => return refuse(NotFulfillable::BackInStock),
            // The rest of it is on its way back, or in stock again, and is credited.
            ShipmentStatus::Delivered if in_part && to != ParcelEnd::Returned => {
                return refuse(NotFulfillable::AcceptedInPart);
            }
            ShipmentStatus::Delivered | ShipmentStatus::Lost => {}
            _ => return refuse(NotFulfillable::ShipmentStatus),
        }
        if parcel.corrected.is_some_and(|corrected| corrected.times >= limits::CORRECTIONS_PER_SHIPMENT) {
            return refuse(NotFulfillable::TooManyCorrections);
        }
        // What a buyer sends back has arrived.
        for line in self.lines_of(parcel.vendor) {
            let left = line.moved().delivered.saturating_sub(units_of(&parcel.accepted, line.sku));
            if self.units_in_returns(parcel.vendor, line.sku) > left {
                return refuse(NotFulfillable::UnitsInReturn);
            }
        }
        let moved = Self::moved(parcel, ParcelStep::Correct { to }, by);
        if to != ParcelEnd::Returned {
            return Ok(vec![moved]);
        }
        // What it comes to is decided on an order in which it has not arrived. What was not accepted of it is credited already.
        let came = if parcel.accepted.is_empty() { &parcel.lines } else { &parcel.accepted };
        let mut before = self.clone();
        before.leave_end(parcel);
        let credited = before.refused(parcel, came, seed, by, false)?;
        Ok(credited.into_iter().chain([moved]).collect())
    }

    /// It did not come to the end that was said.
    fn leave_end(&mut self, parcel: &Parcel) {
        match parcel.status {
            ShipmentStatus::Lost => self.found(parcel.vendor, &parcel.lines, ShipmentStatus::Lost),
            _ => self.move_lines(parcel.vendor, &parcel.accepted, |goods, units| {
                goods.delivered = goods.delivered.saturating_sub(units);
            }),
        }
    }

    /// The parcel as it is after a correction; its lines are moved.
    pub(super) fn correct(&mut self, parcel: &Parcel, to: ParcelEnd, at: Timestamp) -> Parcel {
        self.leave_end(parcel);
        let (vendor, lines) = (parcel.vendor, &parcel.lines);
        let times = parcel.corrected.map_or(0, |corrected| corrected.times).saturating_add(1);
        let mut after = Parcel { status: to.status(), corrected: Some(Corrected { times, at }), ..parcel.clone() };
        (after.accepted, after.delivered_at, after.astray) = (Vec::new(), None, false);
        match to {
            ParcelEnd::Delivered => {
                (after.accepted, after.delivered_at) = (lines.clone(), Some(at));
                self.move_lines(vendor, lines, |goods, units| goods.delivered = goods.delivered.saturating_add(units));
            }
            ParcelEnd::Lost => {
                self.move_lines(vendor, lines, |goods, units| goods.lost = goods.lost.saturating_add(units));
            }
            ParcelEnd::Returned => {
                // What was not accepted was counted as refused then, and may be back since.
                let came = if parcel.accepted.is_empty() { lines } else { &parcel.accepted };
                self.move_lines(vendor, came, |goods, units| goods.refused = goods.refused.saturating_add(units));
                let back = if parcel.came_back { came } else { lines };
                let back = self.not_restocked(vendor, back);
                self.take_back(CreditId::of_correction(parcel.id), vendor, &back);
                after.came_back = true;
            }
        }
        after
    }
}

/// What a courier tells of a parcel that somebody has corrected: whether it says something else.
pub(super) fn contradicts(parcel: &Parcel, status: CourierStatus) -> bool {
    let agrees = match parcel.status {
        ShipmentStatus::Delivered => matches!(status, CourierStatus::Delivered),
        ShipmentStatus::Returned => matches!(status, CourierStatus::Returned | CourierStatus::Refused),
        ShipmentStatus::Lost => matches!(status, CourierStatus::Lost),
        _ => false,
    };
    !agrees && !matches!(status, CourierStatus::PickedUp | CourierStatus::InTransit | CourierStatus::OutForDelivery)
}

impl Parcel {
    /// What whoever waits for it is to see of its correction, where a courier's platform carries it.
    pub fn correction(&self, order: OrderId) -> Option<Correction> {
        let status = match self.status {
            ShipmentStatus::Delivered => CourierStatus::Delivered,
            ShipmentStatus::Returned => CourierStatus::Returned,
            ShipmentStatus::Lost => CourierStatus::Lost,
            _ => return None,
        };
        let name = self.name(order)?;
        Some(Correction { name, status, corrected: self.corrected? })
    }

    /// As its courier calls it, where a courier's platform carries it.
    pub fn name(&self, order: OrderId) -> Option<ParcelName> {
        Some(ParcelName { shipment: self.id, order, mint: self.mint? })
    }

    /// Whether something is still to be heard of it: it has not come to its end, nor has what of it was not accepted.
    pub fn is_awaited(&self) -> bool {
        match self.status {
            ShipmentStatus::Booking
            | ShipmentStatus::Booked
            | ShipmentStatus::HandedOver
            | ShipmentStatus::Returning => true,
            ShipmentStatus::Delivered => !self.came_back && !self.not_accepted().is_empty(),
            ShipmentStatus::Draft | ShipmentStatus::Returned | ShipmentStatus::Lost | ShipmentStatus::Cancelled => {
                false
            }
        }
    }
}
