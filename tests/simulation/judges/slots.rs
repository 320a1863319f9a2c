//! Delivery slots: no slot has more orders than its plan has room for as another gets in, nothing is held in one that is not offered, and each
//! order that is brought in one has it, and no other. It reads the records of vendors and of orders, counts for itself, and reckons local
//! times for itself.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::entity::Principal;
use haat::domain::entity::concerns::*;
use haat::domain::ids::{CreditId, OrderId, SkuId, VendorId};
use haat::domain::order::{Credit, OrderEvent, Phase};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{
    Day, DeliveryPlan, Slot, SlotId, SlotRefused, Vendor, VendorCommand, VendorEvent, VendorReply,
};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// For so long after its end a vendor knows of a slot, in milliseconds.
const KEPT_MS: i64 = 7 * 24 * 3_600_000;

/// A vendor's plan, and who has which of its slots.
#[derive(Default)]
struct Planned {
    plan: Option<DeliveryPlan>,
    /// The orders that hold each, and whether they are paid.
    taken: BTreeMap<SlotId, BTreeMap<OrderId, bool>>,
    /// The earliest end that each had: in another zone it has another.
    ends: BTreeMap<SlotId, Timestamp>,
    /// What came back, by which credit.
    given_back: BTreeSet<(OrderId, CreditId)>,
    latest: Timestamp,
}

/// What an order said of one share.
#[derive(Debug, Default)]
struct Share {
    wanted: Option<SlotId>,
    slot: Option<Slot>,
    /// Units bought, and those of them that were credited.
    units: BTreeMap<SkuId, (i64, i64)>,
    /// The credit by which its slot is free again.
    free_by: Option<CreditId>,
}

#[derive(Default)]
struct Counted {
    vendors: BTreeMap<VendorId, Planned>,
    shares: BTreeMap<(OrderId, VendorId), Share>,
}

impl Counted {
    fn has(&self, vendor: VendorId, slot: SlotId, order: OrderId) -> Option<bool> {
        self.vendors.get(&vendor)?.taken.get(&slot)?.get(&order).copied()
    }
}

pub struct Slots {
    counted: Arc<Mutex<Counted>>,
    world: Arc<World>,
}

/// A local time as a moment; 1440 is the next midnight.
fn moment(day: Date, minutes: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (day, minutes) = if minutes == 24 * 60 { (day.tomorrow().ok()?, 0) } else { (day, minutes) };
    let local = day.at((minutes / 60) as i8, (minutes % 60) as i8, 0, 0);
    Some(Timestamp::from_millis(local.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond()))
}

/// What a plan says of a slot at a moment: when it begins and ends, and for how many orders there is room; why not, if it has none.
fn offer(plan: Option<&DeliveryPlan>, id: SlotId, at: Timestamp) -> Result<(Timestamp, Timestamp, i64), &'static str> {
    let plan = plan.ok_or("there is no plan")?;
    let zone = TimeZone::get(&plan.zone).map_err(|_| "there is no such zone")?;
    let today = jiff::Timestamp::from_millisecond(at.as_millis()).map_err(|_| "there is no such time")?;
    let today = today.to_zoned(zone.clone()).date();
    let day: Date = id.day.to_string().parse().map_err(|_| "there is no such day")?;
    let ahead = today.until(day).map_err(|_| "it is too far away")?.get_days();
    if ahead < 0 || ahead > plan.days_ahead as i32 {
        return Err("it is not within the days ahead");
    }
    if plan.closed.iter().any(|closed| closed.to_string() == day.to_string()) {
        return Err("that day is closed");
    }
    let weekday = day.weekday().to_monday_one_offset() as u8;
    let same = plan.windows.iter().find(|window| (window.weekday, window.from, window.to) == (weekday, id.from, id.to));
    let window = same.ok_or("there is no such window")?;
    let (starts_at, ends_at) =
        moment(day, id.from, &zone).zip(moment(day, id.to, &zone)).ok_or("there is no such time")?;
    if at.as_millis() >= starts_at.as_millis() - i64::from(window.cut_off) * 60_000 {
        return Err("its last moment is over");
    }
    Ok((starts_at, ends_at, window.capacity))
}

impl Slots {
    pub fn new(world: Arc<World>) -> Self {
        Self { counted: Arc::default(), world }
    }

    fn vendor_event(&self, id: VendorId, event: &VendorEvent, at: Timestamp, causes: &mut Causes) {
        let counted = &mut *lock(&self.counted);
        let vendor = counted.vendors.entry(id).or_default();
        vendor.latest = at;
        match event {
            VendorEvent::DeliveryPlanSet { plan } => {
                self.world.count("delivery plans");
                vendor.plan = plan.as_deref().cloned();
                for (slot, orders) in vendor.taken.iter().filter(|(_, orders)| !orders.is_empty()) {
                    match offer(vendor.plan.as_ref(), *slot, at) {
                        Ok((.., capacity)) if capacity < orders.len() as i64 => self.world.count("slots that shrank"),
                        Ok(_) => {}
                        Err(_) => self.world.count("slots in use that are not offered any more"),
                    }
                }
            }
            VendorEvent::StockHeld { order, slot: Some(slot), .. } => {
                self.held(id, vendor, *order, slot, at);
                let (order, slot, counted) = (*order, slot.id, self.counted.clone());
                let is_wanted = move |_: &Replay| {
                    let counted = lock(&counted);
                    counted.shares.get(&(order, id)).is_some_and(|share| share.wanted == Some(slot))
                };
                causes.push((format!("{id} holds {slot} for {order}"), Box::new(is_wanted)));
            }
            VendorEvent::StockHeld { order, slot: None, .. } => {
                let (order, counted) = (*order, self.counted.clone());
                let wants_none = move |_: &Replay| {
                    lock(&counted).shares.get(&(order, id)).is_some_and(|share| share.wanted.is_none())
                };
                causes.push((format!("{id} holds no slot for {order}"), Box::new(wants_none)));
            }
            VendorEvent::HoldCommitted { order, .. } | VendorEvent::StockCommitted { order } => {
                for is_paid in vendor.taken.values_mut().filter_map(|orders| orders.get_mut(order)) {
                    self.world.count("slots sold");
                    *is_paid = true;
                }
            }
            VendorEvent::StockReleased { order, .. } => {
                for (slot, orders) in &mut vendor.taken {
                    match orders.remove(order) {
                        Some(true) => self.world.breach(format_args!("{id} takes {slot} from {order}, which has paid")),
                        Some(false) => self.world.count("slots let go"),
                        None => {}
                    }
                }
            }
            VendorEvent::Restocked { order, credit, slot, .. } => {
                let (order, credit, slot) = (*order, *credit, *slot);
                if let Some(slot) = slot {
                    self.world.count("slots given back");
                    let had = vendor.taken.get_mut(&slot).and_then(|orders| orders.remove(&order));
                    if had != Some(true) {
                        self.world.breach(format_args!("{id} takes {slot} back from {order}, which has it: {had:?}"));
                    }
                    vendor.given_back.insert((order, credit));
                }
                let counted = self.counted.clone();
                let is_due = move |_: &Replay| {
                    let counted = lock(&counted);
                    let share = counted.shares.get(&(order, id));
                    let due = share.filter(|share| share.free_by == Some(credit)).and_then(|share| share.slot.as_ref());
                    due.map(|slot| slot.id) == slot
                };
                causes.push((format!("{id} takes back {slot:?} by {credit} of {order}"), Box::new(is_due)));
            }
            _ => {}
        }
    }

    /// An order gets into a slot: one that is offered, and that has room.
    fn held(&self, id: VendorId, vendor: &mut Planned, order: OrderId, slot: &Slot, at: Timestamp) {
        self.world.count("slots held");
        let (orders, plan) = (vendor.taken.entry(slot.id).or_default(), vendor.plan.as_ref());
        match offer(plan, slot.id, at) {
            Err(why) => self.world.breach(format_args!("{id} holds {slot:?} at {at}, and {why}: {plan:?}")),
            Ok((starts_at, ends_at, capacity)) => {
                if orders.len() as i64 >= capacity {
                    self.world
                        .breach(format_args!("{id} holds {slot:?} for {order} at {at}, of {capacity}: {orders:?}"));
                }
                let said = (slot.starts_at, slot.ends_at, Some(&*slot.zone));
                if said != (starts_at, ends_at, plan.map(|plan| plan.zone.as_str())) {
                    self.world.breach(format_args!("{id} holds {slot:?}, from {starts_at} to {ends_at} by {plan:?}"));
                }
            }
        }
        if orders.insert(order, false).is_some() {
            self.world.breach(format_args!("{id} holds {slot:?} twice for {order}"));
        }
        let end = vendor.ends.entry(slot.id).or_insert(slot.ends_at);
        *end = slot.ends_at.min(*end);
    }

    fn order_event(&self, replay: &Replay, id: OrderId, event: &OrderEvent, causes: &mut Causes) {
        let counted = &mut *lock(&self.counted);
        match event {
            OrderEvent::Placed { placement, .. } => {
                for line in &placement.lines {
                    let share = counted.shares.entry((id, line.vendor)).or_default();
                    share.units.insert(line.sku, (line.quantity, 0));
                    share.wanted = placement.slots.iter().find(|(of, _)| *of == line.vendor).map(|(_, slot)| *slot);
                }
            }
            OrderEvent::StockHeld { vendor, slot, .. } => {
                let share = counted.shares.entry((id, *vendor)).or_default();
                share.slot = slot.as_deref().cloned();
                if slot.as_ref().map(|slot| slot.id) != share.wanted {
                    self.world.breach(format_args!("{id} is told of another slot: {share:?}"));
                }
            }
            OrderEvent::StockRefused { reason: Reject::SlotFull { why, .. }, .. } => self.world.count(match why {
                SlotRefused::Full => "slots refused as full",
                SlotRefused::CutOff => "slots refused past their last moment",
                SlotRefused::NotOffered => "slots refused as not offered",
            }),
            // Nothing is taken before all slots are had.
            OrderEvent::Paid { .. } | OrderEvent::Confirmed => {
                let own = counted.shares.range((id, VendorId::from_uuid(uuid::Uuid::nil()))..);
                let own: Vec<(VendorId, SlotId)> = own
                    .take_while(|((of, _), _)| *of == id)
                    .filter_map(|((_, vendor), share)| Some((*vendor, share.slot.as_ref()?.id)))
                    .collect();
                let counted = self.counted.clone();
                let has_all = move |replay: &Replay| {
                    let counted = lock(&counted);
                    let has = |(vendor, slot): &(VendorId, SlotId)| {
                        let share = counted.shares.get(&(id, *vendor));
                        let is_free = share.is_some_and(|share| share.free_by.is_some());
                        is_free || counted.has(*vendor, *slot, id).is_some()
                    };
                    replay.is_settled_by_hand(id) || own.iter().all(has)
                };
                causes.push((format!("{id} is paid, with its slots"), Box::new(has_all)));
            }
            OrderEvent::Credited { credit, .. } => self.credited(counted, replay, id, credit),
            _ => {}
        }
    }

    /// Of a share of which all is cancelled, and nothing was handed over, nothing is brought.
    fn credited(&self, counted: &mut Counted, replay: &Replay, id: OrderId, credit: &Credit) {
        let Some(share) = counted.shares.get_mut(&(id, credit.vendor)) else { return };
        for line in &credit.lines {
            share.units.entry(line.sku).or_default().1 += line.units;
        }
        let is_whole = share.units.values().all(|(bought, credited)| bought == credited);
        let has_units = credit.lines.iter().any(|line| line.units > 0);
        if !is_whole || !has_units || share.slot.is_none() || share.free_by.is_some() {
            return;
        }
        let lines = replay.order(id).and_then(|order| order.view(Principal::SHOP)).map(|view| view.lines);
        let mut own = lines.iter().flatten().filter(|line| line.vendor == credit.vendor);
        if own.all(|line| line.moved().shipped == 0) {
            share.free_by = Some(credit.id);
        } else {
            self.world.count("slots kept for what was handed over");
        }
    }

    /// What a vendor's state says of its slots, as its snapshots have it: how many orders hold each, and have it.
    fn check_state(&self, id: VendorId, own: &Planned, vendor: &Vendor) {
        let parts = vendor.clone().delta().parts;
        let said: BTreeMap<&str, Value> = parts
            .iter()
            .filter_map(|part| Some((part.name.strip_prefix("slot/")?, part.state.as_deref()?)))
            .map(|(slot, state)| (slot, serde_json::from_slice(state).unwrap_or_default()))
            .collect();
        let mut known = BTreeSet::new();
        for (slot, orders) in &own.taken {
            let name = slot.to_string();
            let paid = orders.values().filter(|is_paid| **is_paid).count() as u64;
            let counted = (orders.len() as u64 - paid, paid);
            let number = |state: &Value, of: &str| state.get(of).and_then(Value::as_u64).unwrap_or(u64::MAX);
            let told = said.get(name.as_str()).map(|state| (number(state, "held"), number(state, "sold")));
            let may_be_forgotten = own.ends[slot].plus_millis(KEPT_MS) <= own.latest && counted.0 == 0;
            if told != Some(counted) && !(told.is_none() && may_be_forgotten) {
                self.world.breach(format_args!("{id} says {told:?} of {name}, which {orders:?} have"));
            }
            if told.is_none() {
                self.world.count("slots that are forgotten");
            }
            known.insert(name);
        }
        for (slot, state) in said.iter().filter(|(slot, _)| !known.contains(**slot)) {
            self.world.breach(format_args!("{id} says {state} of {slot}, which nobody ever had"));
        }
    }

    /// What a vendor shows as open to orders, at this and at later moments: by its plan and by who has what.
    fn check_shown(&self, id: VendorId, own: &Planned, vendor: &Vendor) {
        for hours in [0, 5, 11, 17, 23, 47] {
            let at = own.latest.plus_millis(hours * 3_600_000);
            let day = jiff::Timestamp::from_millisecond(at.as_millis()).expect("a time of our days");
            let day = TimeZone::UTC.to_datetime(day).date();
            let days = (-2..6).filter_map(|ahead: i64| day.checked_add(ahead.days()).ok());
            let days: Vec<Day> = days.filter_map(|day| day.to_string().parse().ok()).collect();
            let mut open: BTreeMap<SlotId, (Timestamp, Timestamp, i64)> = BTreeMap::new();
            for window in own.plan.iter().flat_map(|plan| &plan.windows) {
                for day in &days {
                    let slot = SlotId { day: *day, from: window.from, to: window.to };
                    let taken = own.taken.get(&slot).map_or(0, BTreeMap::len) as i64;
                    if let Ok((starts_at, ends_at, capacity)) = offer(own.plan.as_ref(), slot, at) {
                        open.insert(slot, (starts_at, ends_at, (capacity - taken).max(0)));
                    }
                }
            }
            let shown = vendor.reply(&VendorCommand::GetSlots { at }, false);
            let Some(Ok(VendorReply::Slots { slots })) = &shown else {
                self.world.breach(format_args!("{id} shows no slots: {shown:?}"));
                continue;
            };
            let said = slots.iter().map(|view| (view.slot.id, (view.slot.starts_at, view.slot.ends_at, view.left)));
            if !said.eq(open.clone()) {
                self.world.breach(format_args!("{id} shows {slots:?} at {at}, and open are {open:?}: {:?}", own.plan));
            }
        }
    }
}

impl Judge for Slots {
    fn record(&self, replay: &Replay, record: &Recorded<'_>, causes: &mut Causes) {
        match &record.events {
            Events::Vendor(id, events) => {
                events.iter().for_each(|event| self.vendor_event(*id, event, record.at, causes));
            }
            Events::Order(id, events) => {
                events.iter().for_each(|event| self.order_event(replay, *id, event, causes));
            }
            Events::Cart(..) | Events::Customer(..) | Events::Coupon(..) | Events::Room(..) => {}
        }
    }

    fn at_rest(&self, replay: &Replay) {
        let counted = lock(&self.counted);
        // An order of which a step fails for good waits with what is held for it.
        let waits = |order: OrderId| replay.phase(order) == Some(Phase::Stuck);
        for ((order, vendor), share) in counted.shares.iter().filter(|((order, _), _)| !waits(*order)) {
            let slot = share.slot.as_ref().filter(|_| share.free_by.is_none() && replay.is_paid(*order));
            let had = counted.vendors.get(vendor).map(|own| &own.taken);
            let had = had.into_iter().flatten().filter_map(|(slot, orders)| Some((*slot, *orders.get(order)?)));
            if !had.eq(slot.map(|slot| (slot.id, true))) {
                let status = replay.status(*order);
                self.world.breach(format_args!("{vendor} counts another slot for {order}, {status:?}: {share:?}"));
            }
            let view = replay.order(*order).and_then(|order| order.view(Principal::SHOP));
            let shown = view.iter().flat_map(|view| &view.sub_orders).find(|shown| shown.vendor == *vendor);
            if shown.and_then(|shown| shown.slot.as_deref()) != slot {
                self.world.breach(format_args!("{order} shows another slot of {vendor}: {shown:?}, and had {share:?}"));
            }
            let is_taken_back = share.free_by.is_none_or(|credit| {
                counted.vendors.get(vendor).is_some_and(|own| own.given_back.contains(&(*order, credit)))
            });
            if !is_taken_back && replay.is_paid(*order) {
                self.world.breach(format_args!("{vendor} never took back the slot of {order}: {share:?}"));
            }
        }
        for (id, vendor) in replay.vendors() {
            if let Some(own) = counted.vendors.get(&id) {
                self.check_state(id, own, vendor);
                self.check_shown(id, own, vendor);
            }
        }
    }
}
