//! What of an order waits for its vendors: units to pack, parcels to hand over, returns to decide on; and shares of which nothing is packed though it
//! should be.
//!
//! Nobody has a timer for the latter: a sweep over the read tables finds what is paid for so long, and the order is told (`AcceptanceDue`). It decides
//! in its mailbox, so whoever packs something first wins.

use super::fulfilment::note_of;
use super::refund::{CreditReason, CreditSeed, Wanted};
use super::share::Share;
use super::state::{Body, Phase};
use super::{OrderEvent, Parcel, ReturnStatus, ShipmentStatus, SubOrderStatus};
use crate::domain::ids::{ShipmentId, VendorId};
use crate::domain::money;
use crate::domain::reject::Reject;
use crate::domain::rows::{OrderRow, ReturnRow, ShipmentRow, SubOrderRow};
use crate::domain::time::Timestamp;
use crate::domain::who::named;
use std::str::FromStr;

impl Body {
    /// When something of this kind was noted first.
    fn first_noted(&self, kinds: &[&str]) -> Option<Timestamp> {
        self.timeline.iter().find(|entry| kinds.contains(&&*entry.kind)).map(|entry| entry.at)
    }

    /// The rows of its parcels.
    pub(super) fn shipment_rows(&self) -> Vec<ShipmentRow> {
        if self.parcels.is_empty() {
            return Vec::new();
        }
        let made = self.timeline.iter().filter(|entry| entry.kind == "shipment_created");
        let made: Vec<(ShipmentId, Timestamp)> = made.filter_map(|entry| Some((entry.shipment?, entry.at))).collect();
        let made_at = |id| made.iter().find(|(known, _)| *known == id).map_or(self.placed_at, |(_, at)| *at);
        let row = |parcel: &Parcel| ShipmentRow {
            made_at: made_at(parcel.id),
            currency: self.currency,
            parcel: parcel.clone(),
        };
        self.parcels.iter().map(row).collect()
    }

    /// The rows of what buyers send back.
    pub(super) fn return_rows(&self) -> Vec<ReturnRow> {
        // Each has noted that it was asked for, in their order.
        let asked = self.timeline.iter().filter(|entry| entry.kind == "return_requested").map(|entry| entry.at);
        let asked = asked.chain(std::iter::repeat(self.placed_at));
        self.returns.iter().zip(asked).map(|(known, made_at)| ReturnRow { made_at, known: known.clone() }).collect()
    }

    /// Units of a share that are left to pack, where how it stands does not say whether there are any.
    pub(super) fn left_to_pack(&self, vendor: VendorId) -> Option<i64> {
        if self.phase != Phase::Settled || !self.lines_of(vendor).any(|line| line.moved().shipped > 0) {
            return None;
        }
        let standing = self.share_standing(vendor);
        if !matches!(standing, SubOrderStatus::PartiallyShipped | SubOrderStatus::PartiallyDelivered) {
            return None;
        }
        let left = self.lines_of(vendor).map(|line| line.to_ship().saturating_sub(line.moved().packed));
        Some(money::sum(left)).filter(|units| *units > 0)
    }

    /// Whether nothing of a share was begun that somebody should begin.
    fn is_untouched(&self, vendor: VendorId) -> bool {
        self.phase == Phase::Settled && self.share_standing(vendor) == SubOrderStatus::Paid
    }

    /// Since when a share is overdue of which nothing is packed still.
    pub(super) fn overdue_since(&self, vendor: VendorId) -> Option<Timestamp> {
        let share = self.shares.iter().find(|share| share.vendor == vendor)?;
        share.overdue_at.filter(|_| self.is_untouched(vendor))
    }

    /// Whether nothing is packed of some share though its time is over.
    pub(super) fn is_overdue(&self) -> bool {
        self.shares.iter().any(|share| self.overdue_since(share.vendor).is_some())
    }

    /// Its vendors had so long to begin. What is overdue is said once for each share, or what is left of it is cancelled where that is wanted and can
    /// be done now.
    pub(super) fn decide_acceptance(
        &self,
        within_ms: i64,
        cancel: Option<&CreditSeed>,
        now: Timestamp,
    ) -> Result<Vec<OrderEvent>, Reject> {
        let begun = self.first_noted(&["paid", "confirmed"]).unwrap_or(self.placed_at);
        if now < begun.plus_millis(within_ms) {
            return Ok(Vec::new());
        }
        // What somebody has stopped waits for them, and not for its vendor.
        let is_late = |share: &&Share| share.on_hold.is_none() && self.is_untouched(share.vendor);
        let late: Vec<&Share> = self.shares.iter().filter(is_late).collect();
        let seed = cancel.filter(|_| self.may_credit().is_ok() && self.has_room(late.len()).is_ok());
        let mut events = Vec::new();
        for share in late {
            let vendor = share.vendor;
            if share.overdue_at.is_none() {
                events.push(OrderEvent::AcceptanceOverdue { vendor });
            }
            if let Some(seed) = seed {
                let (id, reason) = (seed.id.of_share(vendor), CreditReason::CannotDeliver);
                let seed = CreditSeed { id, reason, mint: seed.mint };
                let credit = self.credit(vendor, &Wanted::Units(Vec::new()), &seed, None)?;
                events.push(self.credited(credit, seed.mint)?);
            }
        }
        Ok(events)
    }

    pub(super) fn apply_overdue(&mut self, vendor: VendorId, at: Timestamp) {
        self.shares.iter_mut().filter(|share| share.vendor == vendor).for_each(|share| share.overdue_at = Some(at));
        note_of(self, vendor, "acceptance_overdue", None, at);
    }
}

/// What becomes of paid shares that nobody begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptanceSettings {
    /// How long a vendor has until something of a paid share is packed, in milliseconds; for ever where this is absent.
    pub within_ms: Option<i64>,
    /// Whether what is left of it is cancelled then; otherwise somebody is told.
    pub cancel: bool,
}

named!(
    /// What of a share waits for its vendor.
    WaitsFor:
    /// Units that are not packed.
    Pack "pack",
    /// A parcel that was not handed over.
    HandOver "hand_over",
    /// Something that a buyer sends back, to be decided on or to be received.
    Return "return",
);

impl FromStr for WaitsFor {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::from_name(name).ok_or("one of pack, hand_over, return is expected")
    }
}

impl WaitsFor {
    /// Shares of which something is to be packed in any case.
    pub const UNPACKED: &[SubOrderStatus] = &[SubOrderStatus::Paid, SubOrderStatus::PartiallyPacked];
    /// Shares of which something may be to be packed.
    pub const PARTLY_AWAY: &[SubOrderStatus] = &[SubOrderStatus::PartiallyShipped, SubOrderStatus::PartiallyDelivered];
    /// Parcels that wait to be handed over.
    pub const INSIDE: &[ShipmentStatus] = &[ShipmentStatus::Draft, ShipmentStatus::Booked];
    /// Returns that wait for their vendor.
    pub const OPEN: &[ReturnStatus] = &[ReturnStatus::Requested, ReturnStatus::Approved];

    /// Whether the rows of an order say so of one of its shares.
    pub fn is_said_by(self, order: &OrderRow, share: &SubOrderRow) -> bool {
        let vendor = share.vendor_id;
        match self {
            Self::Pack => Self::UNPACKED.contains(&share.status) || share.to_pack.is_some(),
            Self::HandOver => {
                let own = order.shipments.iter().map(|row| &row.parcel).filter(|parcel| parcel.vendor == vendor);
                own.into_iter().any(|parcel| Self::INSIDE.contains(&parcel.status))
            }
            Self::Return => {
                let own = order.returns.iter().map(|row| &row.known).filter(|known| known.vendor == vendor);
                own.into_iter().any(|known| Self::OPEN.contains(&known.status))
            }
        }
    }
}
