//! What a vendor does with its share of a paid order: it packs it, puts it into parcels and hands them over, until each has arrived or come back.
//!
//! Units and money are decided in one mailbox: a unit is cancelled or handed over, never both, whoever comes first. What has happened to a parcel
//! outside is a fact: it is recorded also of a share that somebody has stopped meanwhile.

use super::booking::status_when_made;
use super::line::OrderLine;
use super::refund::{Credit, CreditReason, CreditSeed};
use super::share::Share;
use super::shipment::{Goods, HoldReason, NewParcel, NotFulfillable, Parcel, ParcelStep, ShipmentStatus, units_of};
use super::state::{Body, Phase};
use super::{Order, OrderEvent, OrderStatus, SubOrderStatus};
use crate::domain::entity::Principal;
use crate::domain::ids::{CreditId, ShipmentId, SkuId, VendorId};
use crate::domain::money;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::WantedLine;
use crate::domain::who::{Action, By, may};
use crate::limits;

type Decision = Result<Vec<OrderEvent>, Reject>;

/// How a step of a parcel is heard of.
#[derive(Clone, Copy, Debug)]
pub(super) struct How {
    /// Whether the parcel is handed over with the same record.
    pub(super) leaves: bool,
    /// Whether its courier tells: what is a fact is not refused for what is not said with it.
    pub(super) is_told: bool,
}

impl How {
    /// Somebody says so.
    const SAID: Self = Self { leaves: false, is_told: false };
}

fn refuse<T>(why: NotFulfillable) -> Result<T, Reject> {
    Err(Reject::NotFulfillable { why })
}

/// Notes something about the goods of one share.
pub(super) fn note_of<'a>(
    body: &'a mut Body,
    vendor: VendorId,
    kind: &'static str,
    by: Option<By>,
    at: Timestamp,
) -> &'a mut super::TimelineEntry {
    let entry = body.note(at, kind);
    (entry.vendor, entry.by) = (Some(vendor), by);
    entry
}

impl OrderLine {
    /// Where its units are.
    pub fn moved(&self) -> Goods {
        self.goods.as_deref().copied().unwrap_or_default()
    }

    /// Units that were cancelled before they were handed over.
    pub fn cancelled(&self) -> i64 {
        self.credited.saturating_sub(self.moved().credited)
    }

    /// Units that are neither cancelled nor handed over.
    pub(super) fn inside(&self) -> i64 {
        self.quantity.saturating_sub(self.cancelled()).saturating_sub(self.moved().shipped)
    }

    /// Units that can be put into a parcel.
    pub(super) fn to_ship(&self) -> i64 {
        self.inside().saturating_sub(self.moved().in_parcels)
    }

    /// Whether nothing more is to come of it: each unit was cancelled, or has arrived, or will not.
    pub(super) fn is_over(&self) -> bool {
        let Goods { delivered, refused, lost, .. } = self.moved();
        money::sum([self.cancelled(), delivered, refused, lost]) >= self.quantity
    }

    fn is_begun(&self) -> bool {
        let Goods { packed, in_parcels, shipped, .. } = self.moved();
        money::sum([packed, in_parcels, shipped]) > 0
    }

    pub(super) fn move_goods(&mut self, change: impl FnOnce(&mut Goods)) {
        let mut goods = self.moved();
        change(&mut goods);
        self.goods = (!goods.is_nothing()).then(|| Box::new(goods));
    }
}

impl Body {
    pub(super) fn may_fulfil(&self, by: Principal, vendor: VendorId) -> Result<&Share, Reject> {
        let is_own = !matches!(by, Principal::Member(member) if member.vendor != vendor);
        match is_own && may(by, Action::FulfilOrder, self) {
            true => self.share(vendor),
            false => Err(Reject::OrderUnknown),
        }
    }

    /// Whether goods of a share may be moved now.
    fn may_move(&self, share: &Share) -> Result<(), Reject> {
        match self.phase {
            Phase::Settled if share.on_hold.is_some() => refuse(NotFulfillable::OnHold),
            Phase::Settled => Ok(()),
            Phase::Gathering | Phase::Paying | Phase::Voiding(_) | Phase::Confirming | Phase::Stuck => {
                Err(Reject::PaymentInProgress)
            }
            Phase::Cancelling(_) | Phase::Reopening(_) | Phase::Ended => refuse(NotFulfillable::NotPaid),
        }
    }

    /// What of these lines is wanted, of what `left` says there is; all of it where none is named.
    fn pick(
        &self,
        vendor: VendorId,
        wanted: &[WantedLine],
        left: impl Fn(&OrderLine) -> i64,
    ) -> Result<Vec<WantedLine>, Reject> {
        for asked in wanted {
            let line = self.lines_of(vendor).find(|line| line.sku == asked.sku).ok_or(Reject::SkuUnknown)?;
            if asked.quantity > left(line) {
                return refuse(NotFulfillable::UnitsNotLeft);
            }
        }
        let units = |line: &OrderLine| match wanted.is_empty() {
            true => left(line),
            false => units_of(wanted, line.sku),
        };
        let picked = self.lines_of(vendor).map(|line| WantedLine { sku: line.sku, quantity: units(line) });
        Ok(picked.filter(|line| line.quantity > 0).collect())
    }

    pub(super) fn decide_pack(&self, by: Principal, vendor: VendorId, lines: &[WantedLine]) -> Decision {
        let share = self.may_fulfil(by, vendor)?;
        self.may_move(share)?;
        let lines = self.pick(vendor, lines, |line| line.to_ship().saturating_sub(line.moved().packed))?;
        match lines.is_empty() {
            // All of it is packed already, or nothing is left of it.
            true if self.lines_of(vendor).any(OrderLine::is_begun) => Ok(Vec::new()),
            true => refuse(NotFulfillable::UnitsNotLeft),
            false => Ok(vec![OrderEvent::Packed { vendor, lines, by: By::of(by) }]),
        }
    }

    pub(super) fn decide_unpack(&self, by: Principal, vendor: VendorId, lines: &[WantedLine]) -> Decision {
        let share = self.may_fulfil(by, vendor)?;
        // Also what was stopped may be put back on the shelf.
        match self.may_move(share) {
            Ok(()) | Err(Reject::NotFulfillable { why: NotFulfillable::OnHold }) => {}
            Err(reject) => return Err(reject),
        }
        let lines = self.pick(vendor, lines, |line| line.moved().packed)?;
        let event = OrderEvent::Unpacked { vendor, lines: lines.clone(), by: By::of(by) };
        Ok(if lines.is_empty() { Vec::new() } else { vec![event] })
    }

    pub(super) fn decide_hold_share(&self, by: Principal, vendor: VendorId, reason: HoldReason) -> Decision {
        let share = self.may_fulfil(by, vendor)?;
        match self.may_move(share) {
            Ok(()) => {}
            Err(Reject::NotFulfillable { why: NotFulfillable::OnHold }) if share.on_hold == Some(reason) => {
                return Ok(Vec::new());
            }
            Err(Reject::NotFulfillable { why: NotFulfillable::OnHold }) => {}
            Err(reject) => return Err(reject),
        }
        Ok(vec![OrderEvent::SharePutOnHold { vendor, reason, by: By::of(by) }])
    }

    pub(super) fn decide_resume_share(&self, by: Principal, vendor: VendorId) -> Decision {
        let share = self.may_fulfil(by, vendor)?;
        Ok(match share.on_hold {
            Some(_) => vec![OrderEvent::ShareResumed { vendor, by: By::of(by) }],
            None => Vec::new(),
        })
    }

    pub(super) fn decide_ship(&self, by: Principal, wanted: &NewParcel) -> Decision {
        let vendor = wanted.vendor;
        let share = self.may_fulfil(by, vendor)?;
        if let Some(known) = self.parcels.iter().find(|known| known.id == wanted.id) {
            let is_same = known.vendor == vendor
                && (wanted.lines.is_empty() || known.lines == wanted.lines)
                && known.courier == wanted.courier;
            return if is_same { Ok(Vec::new()) } else { Err(Reject::IdempotencyKeyReused) };
        }
        self.may_move(share)?;
        if self.parcels.len() >= limits::SHIPMENTS_PER_ORDER {
            return refuse(NotFulfillable::TooManyShipments);
        }
        let lines = self.pick(vendor, &wanted.lines, OrderLine::to_ship)?;
        if lines.is_empty() {
            return refuse(NotFulfillable::UnitsNotLeft);
        }
        if !self.may_ship_at_once(vendor, &lines) {
            return refuse(NotFulfillable::CashOneParcel);
        }
        let parcel = Box::new(NewParcel { lines, ..wanted.clone() });
        Ok(vec![OrderEvent::ShipmentMade { parcel, by: By::of(by) }])
    }

    pub(super) fn parcel(&self, id: ShipmentId) -> Result<&Parcel, Reject> {
        self.parcels.iter().find(|parcel| parcel.id == id).ok_or(Reject::ShipmentUnknown)
    }

    /// What somebody says of a parcel, or does with it.
    pub(super) fn decide_parcel(
        &self,
        by: Principal,
        id: ShipmentId,
        step: &ParcelStep,
        seed: &CreditSeed,
    ) -> Decision {
        if !self.may_see(by) {
            return Err(Reject::OrderUnknown);
        }
        let parcel = self.parcel(id)?;
        let share = self.may_fulfil(by, parcel.vendor).map_err(|_| Reject::ShipmentUnknown)?;
        if let ParcelStep::Correct { to } = step {
            let may_correct = may(by, Action::CorrectParcel, self);
            return if may_correct {
                self.decide_correct(parcel, *to, seed, By::of(by))
            } else {
                Err(Reject::ShipmentUnknown)
            };
        }
        if !parcel.is_inside() || !matches!(step, ParcelStep::HandOver | ParcelStep::Deliver { .. }) {
            return self.parcel_events(parcel, step, seed, By::of(by), How::SAID);
        }
        // Its courier may just have said that it will not fetch it.
        if parcel.cancelling && matches!(step, ParcelStep::HandOver) {
            return refuse(NotFulfillable::ShipmentStatus);
        }
        // What leaves the house by somebody's hand does not leave it while it is stopped.
        self.may_move(share)?;
        self.parcel_events(parcel, step, seed, By::of(by), How::SAID)
    }

    /// What a step makes of a parcel that stands so.
    pub(super) fn parcel_events(
        &self,
        parcel: &Parcel,
        step: &ParcelStep,
        seed: &CreditSeed,
        by: Option<By>,
        how: How,
    ) -> Decision {
        let moved = |step: &ParcelStep| Self::moved(parcel, step.clone(), by);
        match (step, parcel.status) {
            (ParcelStep::HandOver, ShipmentStatus::Draft | ShipmentStatus::Booked) => Ok(vec![moved(step)]),
            (ParcelStep::HandOver, ShipmentStatus::HandedOver)
            | (ParcelStep::Cancel, ShipmentStatus::Cancelled)
            | (ParcelStep::Lost, ShipmentStatus::Lost) => Ok(Vec::new()),
            (ParcelStep::Cancel, ShipmentStatus::Draft) => Ok(vec![moved(step)]),
            (ParcelStep::Cancel, ShipmentStatus::Booking | ShipmentStatus::Booked) if parcel.cancelling => {
                Ok(Vec::new())
            }
            (ParcelStep::Cancel, ShipmentStatus::Booking | ShipmentStatus::Booked) => {
                Ok(vec![moved(&ParcelStep::AskCancel)])
            }
            (ParcelStep::Cancel, _) => Err(Reject::AlreadyShipped),
            (ParcelStep::Deliver { accepted, collected }, ShipmentStatus::Draft | ShipmentStatus::Booked) => {
                let mut events = vec![moved(&ParcelStep::HandOver)];
                let how = How { leaves: true, ..how };
                events.extend(self.delivered(parcel, (accepted.as_deref(), *collected), seed, by, how)?);
                Ok(events)
            }
            (ParcelStep::Deliver { accepted, collected }, ShipmentStatus::HandedOver | ShipmentStatus::Lost) => {
                self.delivered(parcel, (accepted.as_deref(), *collected), seed, by, how)
            }
            (ParcelStep::Deliver { accepted, collected }, ShipmentStatus::Delivered | ShipmentStatus::Returning) => {
                if self.accepted(parcel, accepted.as_deref())? != parcel.accepted {
                    return refuse(NotFulfillable::ShipmentStatus);
                }
                // What was collected may be said later than that it arrived.
                Ok(self.collected(parcel, *collected, None, seed, true)?.into_iter().collect())
            }
            (ParcelStep::Returned, _) if parcel.came_back => Ok(Vec::new()),
            (ParcelStep::Returned, ShipmentStatus::HandedOver | ShipmentStatus::Lost) => {
                let credited = self.refused(parcel, &parcel.lines, seed, by, how.leaves)?;
                Ok(credited.into_iter().chain([moved(step)]).collect())
            }
            (ParcelStep::Returned, ShipmentStatus::Delivered | ShipmentStatus::Returning)
                if !parcel.not_accepted().is_empty() =>
            {
                Ok(vec![moved(step)])
            }
            (ParcelStep::Lost, ShipmentStatus::HandedOver) => Ok(vec![moved(step)]),
            _ => refuse(NotFulfillable::ShipmentStatus),
        }
    }

    pub(super) fn moved(parcel: &Parcel, step: ParcelStep, by: Option<By>) -> OrderEvent {
        OrderEvent::ShipmentMoved { shipment: parcel.id, step: Box::new(step), by }
    }

    /// What of a parcel is said to be accepted: in the order of its lines, without what is not.
    fn accepted(&self, parcel: &Parcel, said: Option<&[WantedLine]>) -> Result<Vec<WantedLine>, Reject> {
        let Some(said) = said else { return Ok(parcel.lines.clone()) };
        if said.iter().any(|line| line.quantity > parcel.units(line.sku)) {
            return refuse(NotFulfillable::NotInShipment);
        }
        let accepted = |line: &WantedLine| WantedLine { sku: line.sku, quantity: units_of(said, line.sku) };
        Ok(parcel.lines.iter().map(accepted).filter(|line| line.quantity > 0).collect())
    }

    /// It arrived. What was not accepted need not be paid.
    fn delivered(
        &self,
        parcel: &Parcel,
        (said, collected): (Option<&[WantedLine]>, Option<i64>),
        seed: &CreditSeed,
        by: Option<By>,
        how: How,
    ) -> Decision {
        let accepted = self.accepted(parcel, said)?;
        let is_whole = accepted == parcel.lines;
        let step = ParcelStep::Deliver { accepted: (!is_whole).then_some(accepted.clone()), collected: None };
        let refused = Parcel { accepted, ..parcel.clone() }.not_accepted();
        // First what it comes to: an order of which nothing was accepted is never complete.
        let credited = self.refused(parcel, &refused, seed, by, how.leaves)?;
        let cash = self.collected(parcel, collected, credited.as_ref(), seed, how.is_told)?;
        Ok(credited.into_iter().chain(cash).chain([Self::moved(parcel, step, by)]).collect())
    }

    /// The credit of units that the buyer does not get: they come back, and are taken into stock when they do.
    pub(super) fn refused(
        &self,
        parcel: &Parcel,
        refused: &[WantedLine],
        seed: &CreditSeed,
        by: Option<By>,
        leaves: bool,
    ) -> Result<Option<OrderEvent>, Reject> {
        let vendor = parcel.vendor;
        // What of it was given back before is not given back again. A parcel that is handed over with this record counts as handed over.
        let units = |line: &WantedLine| {
            let of = self.lines_of(vendor).find(|of| of.sku == line.sku);
            let handed_over = if leaves { parcel.units(line.sku) } else { 0 };
            let left =
                of.map_or(0, |of| of.moved().shipped.saturating_add(handed_over).saturating_sub(of.moved().credited));
            WantedLine { sku: line.sku, quantity: line.quantity.min(left) }
        };
        let refused: Vec<WantedLine> = refused.iter().map(units).filter(|line| line.quantity > 0).collect();
        if refused.is_empty() {
            return Ok(None);
        }
        let (lines, is_last) = self.credit_units(vendor, &refused);
        let arrived = |line: &OrderLine| line.moved().delivered > 0 || line.moved().lost > 0;
        let accepted_now = refused.len() < parcel.lines.len()
            || parcel.lines.iter().any(|line| units_of(&refused, line.sku) < line.quantity);
        let nothing_arrived = !accepted_now && !self.lines_of(vendor).any(arrived);
        let (besides, points_besides) = match is_last && nothing_arrived {
            true => (self.share(vendor)?.besides_left(self.prices_include_tax()), self.points_besides(vendor)),
            false => (0, 0),
        };
        let (id, reason) = (seed.id, CreditReason::DeliveryRefused);
        let (shipped, restock) = (true, Some(Vec::new()));
        let credit = Credit { id, vendor, lines, besides, points_besides, reason, by, shipped, restock };
        self.credited(credit, seed.mint).map(Some)
    }

    pub(super) fn apply_packed(&mut self, vendor: VendorId, lines: &[WantedLine], by: Option<By>, at: Timestamp) {
        self.move_lines(vendor, lines, |goods, units| goods.packed = goods.packed.saturating_add(units));
        note_of(self, vendor, "packed", by, at);
        self.roll_up(at);
    }

    pub(super) fn apply_unpacked(&mut self, vendor: VendorId, lines: &[WantedLine], by: Option<By>, at: Timestamp) {
        self.move_lines(vendor, lines, |goods, units| goods.packed = goods.packed.saturating_sub(units));
        note_of(self, vendor, "unpacked", by, at);
        self.roll_up(at);
    }

    pub(super) fn apply_hold(&mut self, vendor: VendorId, reason: Option<HoldReason>, by: Option<By>, at: Timestamp) {
        self.shares.iter_mut().filter(|share| share.vendor == vendor).for_each(|share| share.on_hold = reason);
        let kind = if reason.is_some() { "put_on_hold" } else { "resumed" };
        note_of(self, vendor, kind, by, at).reason = reason.map(|reason| reason.name().to_owned());
    }

    pub(super) fn apply_parcel_made(&mut self, made: &NewParcel, by: Option<By>, at: Timestamp) {
        let NewParcel { id, vendor, lines, courier, tracking_number, booking } = made.clone();
        self.move_lines(vendor, &lines, |goods, units| {
            goods.packed = goods.packed.saturating_sub(units).max(0);
            goods.in_parcels = goods.in_parcels.saturating_add(units);
        });
        let (status, accepted, came_back) = (status_when_made(booking), Vec::new(), false);
        let (handed_over_at, delivered_at) = (None, None);
        self.parcels.push(Parcel {
            id,
            vendor,
            lines,
            status,
            courier,
            tracking_number,
            accepted,
            handed_over_at,
            delivered_at,
            came_back,
            mint: booking,
            refused: None,
            cancelling: false,
            astray: false,
            cash: None,
            corrected: None,
        });
        note_of(self, vendor, "shipment_created", by, at).shipment = Some(id);
        self.roll_up(at);
    }

    pub(super) fn apply_parcel_moved(&mut self, id: ShipmentId, step: &ParcelStep, by: Option<By>, at: Timestamp) {
        let Some(place) = self.parcels.iter().position(|parcel| parcel.id == id) else { return };
        let mut parcel = self.parcels[place].clone();
        let was = parcel.status;
        let (vendor, lines) = (parcel.vendor, parcel.lines.clone());
        match step {
            ParcelStep::Booked { tracking_number } => {
                if was == ShipmentStatus::Booking {
                    parcel.status = ShipmentStatus::Booked;
                }
                parcel.tracking_number = Some(tracking_number.clone());
            }
            ParcelStep::BookingRefused { why } => {
                (parcel.status, parcel.mint, parcel.refused) = (ShipmentStatus::Draft, None, Some(why.clone()));
            }
            ParcelStep::AskCancel => parcel.cancelling = true,
            ParcelStep::CancelRefused => {
                parcel.cancelling = false;
                self.wishes_refused(id, at);
            }
            ParcelStep::Astray => parcel.astray = true,
            ParcelStep::HandOver => {
                (parcel.status, parcel.handed_over_at) = (ShipmentStatus::HandedOver, Some(at));
                if std::mem::take(&mut parcel.cancelling) {
                    self.wishes_refused(id, at);
                }
                self.move_lines(vendor, &lines, |goods, units| {
                    goods.in_parcels = goods.in_parcels.saturating_sub(units);
                    goods.shipped = goods.shipped.saturating_add(units);
                });
            }
            ParcelStep::Deliver { accepted, .. } => {
                parcel.accepted = accepted.clone().unwrap_or_else(|| lines.clone());
                let refused = parcel.not_accepted();
                self.found(vendor, &lines, was);
                self.move_lines(vendor, &parcel.accepted, |goods, units| {
                    goods.delivered = goods.delivered.saturating_add(units);
                });
                self.move_lines(vendor, &refused, |goods, units| goods.refused = goods.refused.saturating_add(units));
                let nothing = parcel.accepted.is_empty();
                parcel.status = if nothing { ShipmentStatus::Returning } else { ShipmentStatus::Delivered };
                parcel.delivered_at = (!nothing).then_some(at);
            }
            ParcelStep::Cancel => {
                (parcel.status, parcel.cancelling) = (ShipmentStatus::Cancelled, false);
                self.wish_waits_less(id);
                self.move_lines(vendor, &lines, |goods, units| {
                    goods.in_parcels = goods.in_parcels.saturating_sub(units);
                    goods.packed = goods.packed.saturating_add(units);
                });
            }
            ParcelStep::Returned => {
                let back = parcel.not_accepted();
                if matches!(was, ShipmentStatus::HandedOver | ShipmentStatus::Lost) {
                    self.found(vendor, &lines, was);
                    self.move_lines(vendor, &back, |goods, units| goods.refused = goods.refused.saturating_add(units));
                }
                parcel.came_back = true;
                if parcel.accepted.is_empty() {
                    parcel.status = ShipmentStatus::Returned;
                }
                // What somebody said before to be back is not back a second time.
                let back = self.not_restocked(vendor, &back);
                self.take_back(CreditId::of_shipment(id), vendor, &back);
            }
            ParcelStep::Lost => {
                parcel.status = ShipmentStatus::Lost;
                self.move_lines(vendor, &lines, |goods, units| goods.lost = goods.lost.saturating_add(units));
            }
            ParcelStep::Correct { to } => parcel = self.correct(&parcel, *to, at),
        }
        self.parcels[place] = parcel;
        let entry = note_of(self, vendor, step.kind(), by, at);
        entry.shipment = Some(id);
        if let ParcelStep::Correct { to } = step {
            entry.reason = Some(to.name().to_owned());
        }
        self.roll_up(at);
    }

    /// What was lost is not lost any more.
    pub(super) fn found(&mut self, vendor: VendorId, lines: &[WantedLine], was: ShipmentStatus) {
        if was == ShipmentStatus::Lost {
            self.move_lines(vendor, lines, |goods, units| goods.lost = goods.lost.saturating_sub(units));
        }
    }

    pub(super) fn move_lines(&mut self, vendor: VendorId, lines: &[WantedLine], change: impl Fn(&mut Goods, i64)) {
        let units = |sku: SkuId| units_of(lines, sku);
        for line in self.lines.iter_mut().filter(|line| line.vendor == vendor) {
            let units = units(line.sku);
            if units > 0 {
                line.move_goods(|goods| change(goods, units));
            }
        }
    }

    /// How a paid order stands, by its units: it has ended where none is the buyer's, is complete where none is to come, and is being fulfilled once
    /// one is packed.
    pub(super) fn roll_up(&mut self, at: Timestamp) {
        if self.phase != Phase::Settled {
            return;
        }
        let status = match () {
            () if self.lines.iter().all(|line| line.credited == line.quantity) => {
                let is_paid = self.points_spent() > 0 || self.shares.iter().any(|share| share.paid > 0);
                if is_paid { OrderStatus::Refunded } else { OrderStatus::Cancelled }
            }
            () if self.lines.iter().all(OrderLine::is_over) => OrderStatus::Completed,
            () if self.lines.iter().any(OrderLine::is_begun) => OrderStatus::Fulfilling,
            () if self.pays_at_the_door() => OrderStatus::Confirmed,
            () => OrderStatus::Paid,
        };
        if self.pays_at_the_door() {
            self.payment_status = self.cash_standing();
        }
        if status != self.status {
            self.status = status;
            self.note(at, status.name());
        }
    }

    /// How a share stands whose goods were sold, by its units.
    pub(super) fn share_standing(&self, vendor: VendorId) -> SubOrderStatus {
        let sum = |of: fn(&OrderLine) -> i64| money::sum(self.lines_of(vendor).map(of));
        let all = sum(|line| line.quantity);
        let cancelled = sum(OrderLine::cancelled);
        let shipped = sum(|line| line.moved().shipped);
        let ended = sum(|line| line.moved().refused.saturating_add(line.moved().lost));
        let delivered = sum(|line| line.moved().delivered);
        let ready = sum(|line| line.moved().packed.saturating_add(line.moved().in_parcels));
        if sum(|line| line.credited) == all {
            return if cancelled == all { SubOrderStatus::Cancelled } else { SubOrderStatus::Returned };
        }
        let to_come = all.saturating_sub(cancelled);
        match () {
            () if delivered > 0 && delivered.saturating_add(ended) >= to_come => SubOrderStatus::Delivered,
            () if delivered > 0 => SubOrderStatus::PartiallyDelivered,
            () if shipped > 0 && shipped >= to_come => SubOrderStatus::Shipped,
            () if shipped > 0 => SubOrderStatus::PartiallyShipped,
            () if ready > 0 && ready >= to_come => SubOrderStatus::Packed,
            () if ready > 0 => SubOrderStatus::PartiallyPacked,
            () => SubOrderStatus::Paid,
        }
    }

    /// Whether any unit was handed over.
    pub(super) fn is_any_shipped(&self) -> bool {
        self.lines.iter().any(|line| line.moved().shipped > 0)
    }

    /// What of its parcels and its lines contradicts each other.
    pub(super) fn goods_are_wrong(&self) -> Option<&'static str> {
        for line in &self.lines {
            let goods = line.moved();
            if let Some(wrong) = goods.is_wrong(line.quantity, line.credited) {
                return Some(wrong);
            }
            let own = || self.parcels.iter().filter(|parcel| parcel.vendor == line.vendor);
            let count = |of: &dyn Fn(&Parcel) -> bool| {
                money::sum(own().filter(|parcel| of(parcel)).map(|parcel| parcel.units(line.sku)))
            };
            let inside = count(&Parcel::is_inside);
            let out = count(&|parcel| !parcel.is_inside() && parcel.status != ShipmentStatus::Cancelled);
            let accepted = money::sum(own().map(|parcel| units_of(&parcel.accepted, line.sku)));
            if (goods.in_parcels, goods.shipped, goods.delivered) != (inside, out, accepted) {
                return Some("lines_say_what_their_parcels_say");
            }
        }
        None
    }
}

impl Order {
    /// Its parcels, the oldest first.
    pub fn parcels(&self) -> &[Parcel] {
        self.body.as_ref().map_or(&[], |body| &body.parcels)
    }
}
