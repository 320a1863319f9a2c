//! Parcels, as an order knows them, and where the units of its lines are.
//!
//! ```text
//! draft ──▶ handed_over ──▶ delivered (all of it, or what was accepted: the rest comes back)
//!   │            ├────────▶ returning (nothing was accepted) ──▶ returned
//!   ▼            └────────▶ lost ──▶ delivered, or returned: it was found
//! cancelled
//! ```

use super::cash::Cash;
use super::correct::Corrected;
use super::share::is_zero;
use crate::domain::buyer::Mint;
use crate::domain::ids::{ShipmentId, SkuId, VendorId};
use crate::domain::money;
use crate::domain::time::Timestamp;
use crate::domain::vendor::WantedLine;
use crate::domain::who::named;
use serde::{Deserialize, Serialize};

named!(
    /// How a parcel stands, by what its vendor did and what became of it. The courier's own story stands beside it.
    ShipmentStatus:
    /// It is packed, and still with its vendor.
    Draft "draft",
    /// A courier is being asked to take it.
    Booking "booking",
    /// A courier will take it.
    Booked "booked",
    /// It is on its way.
    HandedOver "handed_over",
    /// It has arrived; what of it was not accepted comes back.
    Delivered "delivered",
    /// Nothing of it was accepted: it comes back.
    Returning "returning",
    /// It has come back.
    Returned "returned",
    /// Nobody knows where it is.
    Lost "lost",
    /// It was unpacked before it was handed over.
    Cancelled "cancelled",
);

named!(
    /// Why a share is not shipped now.
    HoldReason:
    /// Somebody may be buying with what is not theirs.
    FraudCheck "fraud_check",
    /// The address has to be looked at.
    Address "address",
    /// A piece is missing, and is being got.
    OutOfStock "out_of_stock",
    /// The buyer wants it so.
    BuyerAsked "buyer_asked",
    /// Something else.
    Other "other",
);

named!(
    /// Why something cannot be done with goods now.
    NotFulfillable:
    /// The order is not paid, or not to be paid at the door.
    NotPaid "not_paid",
    /// Somebody has stopped it.
    OnHold "on_hold",
    /// So many units are not left to pack or to ship.
    UnitsNotLeft "units_not_left",
    /// The parcel stands so that this cannot be done to it any more.
    ShipmentStatus "shipment_status",
    /// More units are said to be accepted than there are in the parcel.
    NotInShipment "not_in_shipment",
    /// So many units were not handed over: they are cancelled, not given back.
    NotHandedOver "not_handed_over",
    /// The order has as many parcels as it may.
    TooManyShipments "too_many_shipments",
    /// What is paid at the door goes out in one parcel with all that is left of the share.
    CashOneParcel "cash_one_parcel",
    /// It is not said what was collected at the door.
    CollectedMissing "collected_missing",
    /// Nothing is to be collected for it.
    NothingToCollect "nothing_to_collect",
    /// The courier has said something else of the same money before.
    AlreadyRemitted "already_remitted",
    /// It has come back, and is in stock and credited: that is not taken back.
    BackInStock "back_in_stock",
    /// Only some of it was accepted, and the rest is credited: that is not taken back.
    AcceptedInPart "accepted_in_part",
    /// Units of it are being returned by their buyer, or were.
    UnitsInReturn "units_in_return",
    /// It was corrected as often as it may be.
    TooManyCorrections "too_many_corrections",
);

named!(
    /// What somebody says that in fact became of a parcel.
    ParcelEnd:
    /// All of it has arrived.
    Delivered "delivered",
    /// It has come back.
    Returned "returned",
    /// Nobody knows where it is.
    Lost "lost",
);

/// Where the units of a line are that are not simply waiting to be packed. A unit that was handed over stays counted as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goods {
    /// Packed, and in no parcel yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub packed: i64,
    /// In parcels that were not handed over yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub in_parcels: i64,
    /// Handed over, whatever became of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shipped: i64,
    /// Of these: delivered, and accepted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delivered: i64,
    /// Of those handed over: not accepted, or not deliverable.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: i64,
    /// Of those handed over: lost now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: i64,
    /// Of those delivered: sent back by the buyer, and received.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub returned: i64,
    /// Units that were credited after they were handed over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub credited: i64,
    /// Units that are in stock again after they were handed over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restocked: i64,
}

impl Goods {
    /// Whether there is nothing to say.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What of these counts cannot be, of a line of so many units that need not be shipped any more.
    pub(super) fn is_wrong(&self, quantity: i64, credited: i64) -> Option<&'static str> {
        let Self { packed, in_parcels, shipped, delivered, refused, lost, returned, credited: after, restocked } =
            *self;
        let counts = [packed, in_parcels, shipped, delivered, refused, lost, returned, after, restocked];
        if counts.iter().any(|count| *count < 0) {
            Some("units_are_counted")
        } else if money::sum([packed, in_parcels, shipped, credited.saturating_sub(after)]) > quantity {
            Some("nothing_is_shipped_that_was_cancelled")
        } else if money::sum([delivered, refused, lost]) > shipped {
            Some("nothing_arrives_that_was_not_shipped")
        } else if returned > delivered {
            Some("nothing_comes_back_that_did_not_arrive")
        } else if after > shipped || after > credited {
            Some("what_is_credited_after_hand_over_was_handed_over")
        } else if restocked > shipped {
            Some("nothing_is_in_stock_twice")
        } else {
            None
        }
    }
}

/// A parcel: some of one vendor's share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// Which.
    pub id: ShipmentId,
    /// Whose.
    pub vendor: VendorId,
    /// What is in it.
    pub lines: Vec<WantedLine>,
    /// How it stands.
    pub status: ShipmentStatus,
    /// Who carries it, by a name that its vendor chose.
    pub courier: Box<str>,
    /// By which the courier finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<Box<str>>,
    /// What of it was accepted, once it has arrived.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<WantedLine>,
    /// When it was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over_at: Option<Timestamp>,
    /// When it arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// Whether what was not accepted has come back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub came_back: bool,
    /// The end of its name in a courier's books, where a courier's platform fetches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mint: Option<Mint>,
    /// Why its courier would not take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Box<str>>,
    /// Whether its courier is asked not to fetch it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelling: bool,
    /// Whether its courier tells what cannot be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub astray: bool,
    /// What was collected for it at the door, where it was to be paid there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cash: Option<Cash>,
    /// That somebody corrected what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected: Option<Corrected>,
}

impl Parcel {
    /// Units of a SKU in it.
    pub fn units(&self, sku: SkuId) -> i64 {
        units_of(&self.lines, sku)
    }

    /// What of it was not accepted.
    pub fn not_accepted(&self) -> Vec<WantedLine> {
        let rest = |line: &WantedLine| WantedLine {
            sku: line.sku,
            quantity: line.quantity.saturating_sub(units_of(&self.accepted, line.sku)),
        };
        self.lines.iter().map(rest).filter(|line| line.quantity > 0).collect()
    }

    /// What was collected for it and not handed on, its courier's fee and all, in minor units; below zero where more was.
    pub fn cash_open(&self) -> Option<i64> {
        let Cash { collected, remitted } = self.cash?;
        let told = remitted.map_or(0, |told| told.remitted.saturating_add(told.fee));
        Some(collected.saturating_sub(told)).filter(|open| *open != 0)
    }

    /// Whether it is still with its vendor.
    pub const fn is_inside(&self) -> bool {
        matches!(self.status, ShipmentStatus::Draft | ShipmentStatus::Booking | ShipmentStatus::Booked)
    }
}

/// Units of a SKU in a list of lines.
pub(super) fn units_of(lines: &[WantedLine], sku: SkuId) -> i64 {
    money::sum(lines.iter().filter(|line| line.sku == sku).map(|line| line.quantity))
}

/// A parcel as it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewParcel {
    /// Which: it follows from the request, so that one that comes again meets what it made.
    pub id: ShipmentId,
    /// Whose.
    pub vendor: VendorId,
    /// What is in it; in a command, nothing means all that is left.
    pub lines: Vec<WantedLine>,
    /// Who carries it.
    pub courier: Box<str>,
    /// By which the courier finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<Box<str>>,
    /// The end of its name in a courier's books, where a courier's platform is to fetch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booking: Option<Mint>,
}

/// What becomes of a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum ParcelStep {
    /// It leaves the house.
    HandOver,
    /// It arrived, and this of it was accepted; all of it where nothing is said.
    Deliver {
        /// Units of lines.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accepted: Option<Vec<WantedLine>>,
        /// What was collected at the door, in minor units, where that is said: it is in a command alone, and recorded by an event of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        collected: Option<i64>,
    },
    /// It is unpacked.
    Cancel,
    /// It is back, or what of it was not accepted.
    Returned,
    /// Nobody knows where it is.
    Lost,
    /// Its courier will fetch it.
    Booked {
        /// By which the courier finds it.
        tracking_number: Box<str>,
    },
    /// Its courier will not.
    BookingRefused {
        /// Why: a code.
        why: Box<str>,
    },
    /// Its courier is asked not to fetch it.
    AskCancel,
    /// It was fetched all the same.
    CancelRefused,
    /// Its courier tells what cannot be.
    Astray,
    /// It did not come to the end that was said, but to this one.
    Correct {
        /// What in fact became of it.
        to: ParcelEnd,
    },
}

impl ParcelStep {
    /// Its name in the public vocabulary of the timeline.
    pub const fn kind(&self) -> &'static str {
        match self {
            ParcelStep::HandOver => "shipment_handed_over",
            ParcelStep::Deliver { .. } => "shipment_delivered",
            ParcelStep::Cancel => "shipment_cancelled",
            ParcelStep::Returned => "shipment_returned",
            ParcelStep::Lost => "shipment_lost",
            ParcelStep::Booked { .. } => "shipment_booked",
            ParcelStep::BookingRefused { .. } => "booking_refused",
            ParcelStep::AskCancel => "shipment_cancelling",
            ParcelStep::CancelRefused => "shipment_cancel_refused",
            ParcelStep::Astray => "shipment_astray",
            ParcelStep::Correct { .. } => "shipment_corrected",
        }
    }
}
