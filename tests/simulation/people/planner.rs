//! When things are brought: for each vendor one who says in which windows it delivers, and changes its mind about that all day, and one who finds
//! that something cannot be brought; and how those who buy choose a slot. What they draw for it is drawn by itself.

use super::vendor::{VENDORS, vendor};
use super::{Day, Person, Told};
use crate::node::Town;
use crate::world::Chance;
use haat::actors::{Answered, Ask};
use haat::domain::buyer::Mint;
use haat::domain::entity::Principal;
use haat::domain::ids::{CreditId, VendorId};
use haat::domain::order::{CreditReason, CreditSeed, Order, OrderCommand, OrderLine, Wanted};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{
    DeliveryPlan, DeliveryWindow, SlotId, SlotView, Vendor, VendorCommand, VendorReply, WantedLine,
};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Where vendors are.
const ZONES: [&str; 4] = ["Asia/Dhaka", "Pacific/Auckland", "America/St_Johns", "UTC"];
/// Minutes of a day.
const DAY: u16 = 24 * 60;
/// Slots that somebody remembers to have been offered.
const REMEMBERED: usize = 20;

/// Two for each vendor.
pub fn come(town: &Arc<Town>) -> Vec<Day> {
    let planner = |number| Box::pin(plan(Person::new(town, format!("planner {number}")), number)) as Day;
    let loader = |number| Box::pin(load(Person::new(town, format!("loader {number}")), number)) as Day;
    (0..VENDORS).map(planner).chain((0..VENDORS).map(loader)).collect()
}

/// What a vendor's planner does all day.
async fn plan(person: Person, number: u64) {
    let (id, by) = (vendor(number), Principal::vendor(vendor(number)));
    for round in 0..person.world().plan.actions / 2 {
        // The first plan is there early: without one there are no slots.
        person.pause(if round == 0 { 20 } else { 6 * person.world().plan.think_ms }).await;
        let how = person.how(None, false);
        let told = person.ask::<Vendor>(id, "get plan", VendorCommand::GetDeliveryPlan { by }, how).await;
        let Told::Answer(Answered { outcome: Ok(VendorReply::DeliveryPlan { version, plan }), .. }) = told else {
            continue;
        };
        let chance = &person.chance;
        let now = person.world().now();
        let plan = match plan {
            Some(plan) => changed(chance, *plan, now),
            None => Some(new_plan(chance, now)),
        };
        // One of somebody who has not seen the last change.
        let is_late = version > 0 && chance.per_mille(80);
        let version = version - u64::from(is_late);
        let command = VendorCommand::SetDeliveryPlan { by, version, plan: plan.map(Box::new) };
        let told = person.ask::<Vendor>(id, "set plan", command, person.how(None, false)).await;
        match told {
            Told::Answer(Answered { outcome: Ok(_), .. }) if is_late => {
                person.world().breach(format_args!("{id} takes a plan in place of one that nobody read"));
            }
            Told::Answer(Answered { outcome: Err(Reject::DeliveryPlanChanged), .. }) => {
                person.world().count("plans in place of others than were read");
            }
            _ => {}
        }
    }
}

/// Whoever loads a vendor's van: of what is paid and has a slot it cancels a line, or line after line until nothing is left.
async fn load(person: Person, number: u64) {
    let id = vendor(number);
    for _ in 0..person.world().plan.actions {
        person.pause(2 * person.world().plan.think_ms).await;
        let chance = &person.chance;
        let all = person.town.books.payments();
        if all.is_empty() {
            continue;
        }
        let (of, get) = (*chance.pick(&all), OrderCommand::Get { by: Principal::SHOP });
        let Some(order) = person.ask_order(of, "get order", get, person.how(None, false)).await else { continue };
        if chance.per_mille(300) {
            // As the sweep does that looks for what nobody has begun in time.
            let due = OrderCommand::AcceptanceDue { within_ms: 0, cancel: None };
            person.ask::<Order>(of, "look at what nobody begins with", due, person.how(None, false)).await;
        }
        if !order.sub_orders.iter().any(|share| share.vendor == id && share.slot.is_some()) {
            continue;
        }
        let is_left = |line: &&OrderLine| line.vendor == id && line.cancelled() + line.moved().shipped < line.quantity;
        let left: Vec<&OrderLine> = order.lines.iter().filter(is_left).collect();
        let all_of = |line: &OrderLine| WantedLine {
            sku: line.sku,
            quantity: line.quantity - line.cancelled() - line.moved().shipped,
        };
        let cancel = |lines: Vec<WantedLine>| {
            let credit = CreditId::from_uuid(Uuid::from_u64_pair(chance.next(), chance.next()));
            let mint = Mint(chance.next().to_be_bytes()[4..].try_into().expect("four bytes"));
            let seed = CreditSeed { id: credit, mint, reason: CreditReason::CannotDeliver };
            let command = OrderCommand::Credit { by: Principal::SHOP, vendor: id, wanted: Wanted::Units(lines), seed };
            let key = chance.per_mille(300).then(|| Person::key(&credit.to_string()));
            person.ask::<Order>(order.id, "cancel for a slot", command, person.how(key, false))
        };
        match (chance.below(10), left.first()) {
            (0..=2, Some(line)) => drop(cancel(vec![all_of(line)]).await),
            (3, Some(line)) => drop(cancel(vec![WantedLine { quantity: 1, ..all_of(line) }]).await),
            // At once: the vendor hears of several credits in one.
            (4..=6, Some(line)) => {
                let rest = left[1..].iter().map(|line| all_of(line)).collect();
                drop(tokio::join!(cancel(vec![all_of(line)]), cancel(rest)));
            }
            (7, Some(_)) => drop(cancel(left.iter().map(|line| all_of(line)).collect()).await),
            _ => {}
        }
    }
}

fn today(zone: &str, now: Timestamp) -> (Date, u16) {
    let zone = TimeZone::get(zone).expect("a zone of those above");
    let local = zone.to_datetime(jiff::Timestamp::from_millisecond(now.as_millis()).expect("a time of our days"));
    let minute = local.time().duration_since(jiff::civil::Time::midnight()).as_mins();
    (local.date(), u16::try_from(minute).expect("a day is short"))
}

/// A few windows, the same on each day of the week: some begin in the next minutes, as long as a run may last.
fn new_plan(chance: &Chance, now: Timestamp) -> DeliveryPlan {
    let zone = *chance.pick(&ZONES);
    let (_, minute) = today(zone, now);
    let mut windows: Vec<DeliveryWindow> = Vec::new();
    for _ in 0..chance.between(1, 3) {
        let from = match chance.per_mille(500) {
            true => (minute + chance.between(1, 4) as u16).min(DAY - 10),
            false => 60 * chance.below(24) as u16,
        };
        let to = match chance.per_mille(200) {
            true => DAY,
            false => from + chance.between(5, 10) as u16,
        };
        let (capacity, cut_off) = (capacity(chance), *chance.pick(&[0, 0, 1, 2, 90, 24 * 60]));
        if windows.iter().all(|window| (window.from, window.to) != (from, to)) {
            windows.extend((1..=7).map(|weekday| DeliveryWindow { weekday, from, to, capacity, cut_off }));
        }
    }
    DeliveryPlan { zone: zone.to_owned(), windows, closed: Vec::new(), days_ahead: chance.between(0, 3) as u32 }
}

fn capacity(chance: &Chance) -> i64 {
    *chance.pick(&[1, 1, 2, 2, 3])
}

/// Another plan, mostly for the same windows.
fn changed(chance: &Chance, mut plan: DeliveryPlan, now: Timestamp) -> Option<DeliveryPlan> {
    match chance.below(20) {
        0..=6 => {
            for window in &mut plan.windows {
                window.capacity = capacity(chance);
            }
        }
        7..=10 => {
            let (day, _) = today(&plan.zone, now);
            let day = day.checked_add((chance.below(3) as i64).days()).expect("a day of our days");
            let day = day.to_string().parse().expect("a day is written as one");
            match plan.closed.iter().position(|closed| *closed == day) {
                Some(place) => drop(plan.closed.remove(place)),
                None => plan.closed.push(day),
            }
            plan.closed.sort_unstable();
        }
        11..=12 => plan.windows.iter_mut().for_each(|window| window.cut_off = *chance.pick(&[0, 1, 90])),
        13 => plan.zone = (*chance.pick(&ZONES)).to_owned(),
        14 => plan.days_ahead = chance.between(0, 3) as u32,
        15 => return None,
        _ => return Some(new_plan(chance, now)),
    }
    Some(plan)
}

/// How somebody who buys chooses slots.
pub struct Chooser {
    chance: Chance,
    seen: Vec<(VendorId, SlotId)>,
}

impl Chooser {
    pub fn new(town: &Arc<Town>, name: &str) -> Self {
        Self { chance: town.world.fork(&format!("{name}: slots")), seen: Vec::new() }
    }

    /// Slots for one checkout: for no vendor, for some or for all, whichever are in the cart.
    pub async fn choose(&mut self, person: &Person) -> Vec<(VendorId, SlotId)> {
        let mut chosen = Vec::new();
        if self.chance.per_mille(450) {
            return chosen;
        }
        for number in 0..VENDORS {
            if self.chance.per_mille(800) {
                let id = vendor(number);
                let offered = self.look(person, id).await;
                chosen.extend(self.one(id, &offered).map(|slot| (id, slot)));
            }
        }
        chosen
    }

    async fn look(&mut self, person: &Person, id: VendorId) -> Vec<SlotView> {
        let within = Duration::from_millis(*self.chance.pick(&[300, 3_000, 10_000]));
        let (how, at) = (Ask { within, key: None, fresh: false }, person.world().now());
        let told = person.ask::<Vendor>(id, "get slots", VendorCommand::GetSlots { at }, how).await;
        let Told::Answer(Answered { outcome: Ok(VendorReply::Slots { slots }), .. }) = told else {
            return Vec::new();
        };
        for view in &slots {
            if self.seen.len() >= REMEMBERED {
                self.seen.remove(self.chance.below(REMEMBERED as u64) as usize);
            }
            self.seen.push((id, view.slot.id));
        }
        slots
    }

    /// Mostly the next that has room. Some come with what is full, with what they were offered once, or with what nobody offered.
    fn one(&self, id: VendorId, offered: &[SlotView]) -> Option<SlotId> {
        let chance = &self.chance;
        let next = || offered.iter().find(|view| view.left > 0).map(|view| view.slot.id);
        match chance.below(20) {
            0..=8 => next(),
            9..=11 => offered.get(chance.below(offered.len().max(1) as u64) as usize).map(|view| view.slot.id),
            12..=13 => offered.iter().find(|view| view.left == 0).map(|view| view.slot.id).or_else(next),
            14..=15 => {
                let own: Vec<SlotId> = self.seen.iter().filter(|(of, _)| *of == id).map(|(_, slot)| *slot).collect();
                own.get(chance.below(own.len().max(1) as u64) as usize).copied()
            }
            16 => {
                let known = offered.first()?.slot.id;
                let to = known.to.min(DAY - 1) + 1;
                Some(SlotId { from: known.from / 2, to, ..known })
            }
            _ => None,
        }
    }
}
