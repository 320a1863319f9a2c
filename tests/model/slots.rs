//! A vendor's delivery slots against a plain model, which keeps who has which and counts them anew. It calls nothing of the code that it judges, and
//! knows no calendar: the vendor is in Berlin, in the days around the night of the 29th of March 2026, in which the clock goes from two to three, and
//! what that means stands here in minutes.

use crate::kept::{Kept, Tally};
use crate::random::config;
use haat::domain::buyer::HeldFor;
use haat::domain::entity::{Decides as _, Principal};
use haat::domain::ids::{CreditId, OrderId, ProductId, SkuId, VendorId};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::Currency;
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{
    DeliveryPlan, DeliveryWindow, HeldLine, NewProduct, NewSku, RestockedUnits, Slot, SlotId, SlotRefused, Vendor,
    VendorCommand, VendorEvent, VendorReply, WantedLine,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-03-27, eight in the evening in Greenwich.
const BEGIN: i64 = 1_774_641_600_000;
/// Two in the night of the 29th, and thereby three.
const FORWARD: i64 = 1_774_746_000_000;
/// The first of March 2026, in days after the first of January 1970.
const MARCH: i64 = 20_513;
/// No run goes on for longer: it ends in May.
const LAST: i64 = BEGIN + 50 * DAY;
const ORDERS: usize = 20;
/// How long an order has for its payment.
const ORDER_MS: i64 = 2 * HOUR;
/// Where windows begin and end, in minutes. The second begins before the hour that is left out and ends in it, the third is that hour, and the
/// fourth begins in it.
const WINDOWS: [(u16, u16); 6] = [(0, 45), (90, 150), (120, 180), (150, 240), (600, 720), (1_380, 1_440)];

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn vendor_id() -> VendorId {
    VendorId::from_uuid(Uuid::from_u128(1))
}

fn sku() -> SkuId {
    SkuId::from_uuid(Uuid::from_u128(7))
}

fn order_id(number: usize) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(0x30 + number as u128))
}

fn credit_id(number: usize, at: usize) -> CreditId {
    CreditId::from_uuid(Uuid::from_u128(((number as u128) << 32) + at as u128))
}

/// A slot: its day, after the first of January 1970, and its window.
type Id = (i64, (u16, u16));

/// What was given back of an order: the credits, the one of them that gave its slot back, and whether it has heard of all.
type Credits = (usize, Option<(usize, Id)>, bool);

/// The day on which it is so late in Berlin.
fn day_of(now: i64) -> i64 {
    let offset = if now < FORWARD { HOUR } else { 2 * HOUR };
    (now + offset).div_euclid(DAY)
}

/// When the clock in Berlin shows this. What it leaves out is as long after the hour as it would have been.
fn moment(day: i64, minutes: u16) -> i64 {
    let local = day * DAY + i64::from(minutes) * MINUTE;
    if local < FORWARD + 2 * HOUR { local - HOUR } else { local - 2 * HOUR }
}

fn written_day(day: i64, between: &str) -> String {
    let (mut month, mut left) = (3, day - MARCH);
    for length in [31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        (month, left) = (month + 1, left - length);
    }
    format!("2026{between}{month:02}{between}{:02}", left + 1)
}

fn written((day, (from, to)): Id) -> SlotId {
    let time = |minutes: u16| format!("{:02}{:02}", minutes / 60, minutes % 60);
    format!("{}-{}-{}", written_day(day, ""), time(from), time(to)).parse().expect("a slot")
}

#[derive(Clone, Debug)]
struct Window {
    /// 1 for Monday to 7 for Sunday.
    weekdays: Vec<u8>,
    at: (u16, u16),
    capacity: i64,
    cut_off: u32,
}

#[derive(Clone, Debug)]
struct Plan {
    windows: Vec<Window>,
    /// After the day on which the run begins.
    closed: BTreeSet<i64>,
    ahead: u32,
}

#[derive(Clone, Debug)]
enum Do {
    /// In place of the one that there is, or of one before it.
    Set(Option<Plan>, bool),
    /// In a window so many days from today, or in none.
    Hold(usize, Option<(i64, (u16, u16))>),
    Commit(usize),
    Release(usize),
    Close(usize),
    /// Some of a paid order is cancelled; whether it is all that it needs its slot for.
    Credit(usize, bool),
    /// It says that again.
    CreditAgain(usize),
    CloseCredits(usize),
    Pass(i64),
    /// To the last moment of a slot that is offered, or a millisecond before or after it.
    PassToTheNext(i64),
    Checkpoint,
    Crash,
}

fn plan() -> impl Strategy<Value = Plan> {
    let weekdays = prop_oneof![
        3 => Just((1..=7).collect::<Vec<u8>>()),
        1 => prop::sample::subsequence((1..=7).collect::<Vec<u8>>(), 1..=6),
    ];
    let cut_off = prop::sample::select(vec![0, 0, 1, 60, 1_500]);
    let window = (weekdays, 1..4_i64, cut_off).prop_map(|(weekdays, capacity, cut_off)| (weekdays, capacity, cut_off));
    let windows = (prop::sample::subsequence(WINDOWS.to_vec(), 1..=6), prop::collection::vec(window, 6));
    let closed = prop::collection::btree_set(0..6_i64, 0..3);
    (windows, closed, 0..4_u32).prop_map(|((at, terms), closed, ahead)| {
        let window = |(at, (weekdays, capacity, cut_off))| Window { weekdays, at, capacity, cut_off };
        Plan { windows: at.into_iter().zip(terms).map(window).collect(), closed, ahead }
    })
}

fn what() -> impl Strategy<Value = Do> {
    let order = || 0..ORDERS;
    let slot = prop::option::weighted(
        0.95,
        (prop::sample::select(vec![-1, 0, 0, 1, 1, 1, 2, 3]), prop::sample::select(WINDOWS.to_vec())),
    );
    let long = vec![1, MINUTE, HOUR, ORDER_MS, 5 * HOUR, DAY, 8 * DAY];
    prop_oneof![
        2 => (prop::option::weighted(0.9, plan()), prop::bool::weighted(0.1)).prop_map(|(plan, late)| Do::Set(plan, late)),
        16 => (order(), slot).prop_map(|(order, slot)| Do::Hold(order, slot)),
        5 => order().prop_map(Do::Commit),
        4 => order().prop_map(Do::Release),
        1 => order().prop_map(Do::Close),
        4 => (order(), any::<bool>()).prop_map(|(order, whole)| Do::Credit(order, whole)),
        2 => order().prop_map(Do::CreditAgain),
        1 => order().prop_map(Do::CloseCredits),
        1 => prop::sample::select(long).prop_map(Do::Pass),
        1 => (-1..2_i64).prop_map(Do::PassToTheNext),
        1 => Just(Do::Checkpoint),
        1 => Just(Do::Crash),
    ]
}

/// The oracle.
#[derive(Debug)]
struct Model {
    now: i64,
    version: u64,
    plan: Option<Plan>,
    /// What each order has, and whether it is paid.
    has: BTreeMap<usize, (Option<Id>, bool)>,
    until: BTreeMap<usize, i64>,
    released: BTreeSet<usize>,
    /// Those that are settled ask for nothing any more.
    settled: BTreeSet<usize>,
    credits: BTreeMap<usize, Credits>,
}

impl Model {
    /// When a slot begins and ends, and its window, if the plan has it and is open.
    fn planned(&self, (day, window): Id) -> Option<(i64, i64, &Window)> {
        let plan = self.plan.as_ref()?;
        let today = day_of(self.now);
        let weekday = ((day + 3).rem_euclid(7) + 1) as u8;
        let is_open =
            (today..=today + i64::from(plan.ahead)).contains(&day) && !plan.closed.contains(&(day - day_of(BEGIN)));
        let known = plan.windows.iter().find(|known| known.at == window && known.weekdays.contains(&weekday))?;
        let (starts, ends) = (moment(day, window.0), moment(day, window.1));
        (is_open && starts < ends).then_some((starts, ends, known))
    }

    fn taken(&self, slot: Id) -> i64 {
        self.has.values().filter(|(had, _)| *had == Some(slot)).count() as i64
    }

    fn refuse(&self, slot: Id) -> Option<SlotRefused> {
        match self.planned(slot) {
            None => Some(SlotRefused::NotOffered),
            Some((starts, _, window)) if self.now >= starts - i64::from(window.cut_off) * MINUTE => {
                Some(SlotRefused::CutOff)
            }
            Some((.., window)) => (self.taken(slot) >= window.capacity).then_some(SlotRefused::Full),
        }
    }

    /// All that can be had: which, from when to when, until when, and for how many more.
    fn offered(&self) -> Vec<(Id, i64, i64, i64, i64)> {
        let mut offered = Vec::new();
        for slot in (-1..6).flat_map(|ahead| WINDOWS.map(|window| (day_of(self.now) + ahead, window))) {
            if let Some((starts, ends, window)) = self.planned(slot) {
                let cut_off = starts - i64::from(window.cut_off) * MINUTE;
                if self.now < cut_off {
                    offered.push((slot, starts, ends, cut_off, (window.capacity - self.taken(slot)).max(0)));
                }
            }
        }
        offered
    }
}

fn as_set(plan: &Plan) -> DeliveryPlan {
    let window = |window: &Window, weekday: u8| {
        let ((from, to), capacity, cut_off) = (window.at, window.capacity, window.cut_off);
        DeliveryWindow { weekday, from, to, capacity, cut_off }
    };
    let windows = plan.windows.iter().flat_map(|own| own.weekdays.iter().map(move |weekday| window(own, *weekday)));
    let closed = plan.closed.iter().map(|day| written_day(day_of(BEGIN) + day, "-").parse().expect("a day"));
    DeliveryPlan {
        zone: "Europe/Berlin".into(),
        windows: windows.collect(),
        closed: closed.collect(),
        days_ahead: plan.ahead,
    }
}

/// More than credits take back of it, one by one.
fn line() -> WantedLine {
    WantedLine { sku: sku(), quantity: 100 }
}

/// Does it in both, and compares what is told.
fn act(vendor: &mut Kept<Vendor>, model: &mut Model, what: &Do, tally: &Tally) -> Result<(), TestCaseError> {
    let (by, now) = (Principal::SHOP, at(model.now));
    match what {
        Do::Set(plan, late) => {
            let version = model.version - u64::from(*late);
            let command = VendorCommand::SetDeliveryPlan { by, version, plan: plan.as_ref().map(as_set).map(Box::new) };
            let told = vendor.ask(&command, now);
            tally.count_told("plan", &told);
            if *late {
                prop_assert_eq!(told, Err(Reject::DeliveryPlanChanged));
            } else {
                prop_assert!(told.is_ok(), "{:?}", told);
                (model.plan, model.version) = (plan.clone(), model.version + 1);
            }
        }
        Do::Hold(number, slot) => {
            if model.settled.contains(number) {
                return Ok(());
            }
            let until = *model.until.entry(*number).or_insert(model.now + ORDER_MS);
            let slot = slot.map(|(ahead, window)| (day_of(model.now) + ahead, window));
            let command = VendorCommand::Reserve {
                order: order_id(*number),
                until: at(until),
                currency: Currency::BDT,
                lines: vec![line()],
                held_for: Box::new(HeldFor { slot: slot.map(written), ..HeldFor::default() }),
            };
            let told = vendor.ask(&command, now);
            if model.has.contains_key(number) {
                prop_assert_eq!(told, Ok(Vec::new()), "it is the echo of an old request");
                return Ok(());
            }
            let is_closed = model.released.contains(number) || until <= model.now;
            let refused = slot.and_then(|slot| Some((slot, model.refuse(slot)?)));
            let says = match (is_closed, refused) {
                (true, _) => Some(Reject::HoldClosed),
                (false, None) => None,
                (false, Some((slot, why))) => {
                    Some(Reject::SlotFull { vendor_id: vendor_id(), slot_id: written(slot), why })
                }
            };
            tally.count(&match &says {
                Some(Reject::SlotFull { why, .. }) => format!("hold: {}", why.name()),
                Some(reject) => format!("hold: {}", reject.code()),
                None => format!("hold: {}", if slot.is_some() { "in a slot" } else { "in none" }),
            });
            let Some(says) = says else {
                let Ok([VendorEvent::StockHeld { slot: held, .. }, ..]) = told.as_deref() else {
                    return Err(TestCaseError::fail(format!("{what:?}: it said {told:?}")));
                };
                let should = slot.map(|slot| {
                    let (starts, ends, _) = model.planned(slot).expect("it is not refused");
                    let (id, zone) = (written(slot), "Europe/Berlin".into());
                    Slot { id, zone, starts_at: at(starts), ends_at: at(ends) }
                });
                prop_assert_eq!(held.as_deref(), should.as_ref());
                model.has.insert(*number, (slot, false));
                return Ok(());
            };
            prop_assert_eq!(told, Err(says), "{:?}", what);
        }
        Do::Commit(number) => {
            if model.settled.contains(number) {
                return Ok(());
            }
            let told = vendor.ask(&VendorCommand::Commit { order: order_id(*number), strict: true }, now);
            tally.count_told("commit", &told);
            prop_assert_eq!(told.is_ok(), model.has.contains_key(number), "{:?}", told);
            model.has.entry(*number).and_modify(|(_, is_paid)| *is_paid = true);
        }
        Do::Release(number) => {
            // No order that is paid gives anything back so.
            let Some(until) = model.until.get(number) else { return Ok(()) };
            if model.settled.contains(number) || model.has.get(number).is_some_and(|(_, is_paid)| *is_paid) {
                return Ok(());
            }
            let told = vendor.ask(&VendorCommand::Release { order: order_id(*number), until: at(*until) }, now);
            prop_assert!(told.is_ok(), "{:?}", told);
            if model.has.remove(number).is_some_and(|(slot, _)| slot.is_some()) {
                tally.count("released");
            }
            model.released.insert(*number);
        }
        Do::Close(number) => {
            if model.has.get(number).is_some_and(|(_, is_paid)| *is_paid) {
                let told = vendor.ask(&VendorCommand::Close { order: order_id(*number) }, now);
                prop_assert!(told.is_ok(), "{:?}", told);
                model.settled.insert(*number);
            }
        }
        Do::Credit(number, whole) => {
            let Some((slot, true)) = model.has.get_mut(number) else { return Ok(()) };
            // Only a settled order takes anything back; what it says of being settled may have been lost.
            model.settled.insert(*number);
            let (count, free, heard) = model.credits.entry(*number).or_insert((0, None, true));
            if *whole && free.is_none() {
                *free = slot.take().map(|slot| (*count, slot));
                tally.count(if free.is_some() { "given back" } else { "nothing to give back" });
            }
            (*count, *heard) = (*count + 1, false);
            credit(vendor, model, *number)?;
        }
        Do::CreditAgain(number) => {
            if model.credits.get(number).is_some_and(|(.., heard)| !heard) {
                tally.count("given back again");
                credit(vendor, model, *number)?;
            }
        }
        Do::CloseCredits(number) => {
            let Some((count, _, heard)) = model.credits.get_mut(number).filter(|(.., heard)| !heard) else {
                return Ok(());
            };
            *heard = true;
            let credits = (0..*count).map(|at| credit_id(*number, at)).collect();
            let told = vendor.ask(&VendorCommand::CloseCredits { order: order_id(*number), credits }, now);
            prop_assert!(told.is_ok(), "{:?}", told);
        }
        Do::Pass(millis) => {
            model.now = (model.now + millis).min(LAST);
            vendor.ask(&VendorCommand::Tick, at(model.now)).expect("time passes");
        }
        Do::PassToTheNext(beside) => {
            let next = model.offered().into_iter().map(|(.., cut_off, _)| cut_off).min();
            model.now = next.map_or(model.now, |moment| (moment + beside).max(model.now));
        }
        Do::Checkpoint => vendor.checkpoint(),
        Do::Crash => vendor.crash(),
    }
    Ok(())
}

/// The order says the credits of which it has not heard; that one of them gave its slot back, as often as it says it.
fn credit(vendor: &mut Kept<Vendor>, model: &Model, number: usize) -> Result<(), TestCaseError> {
    let (count, free, _) = model.credits[&number];
    // Those that it heard of it does not say again: with the last it says the one before it at most.
    let first = free.map_or(count - 1, |(of, _)| of).min(count - 1);
    let line = HeldLine::at_list_price(sku(), 1, 100);
    let units = RestockedUnits {
        order: order_id(number),
        credits: (first..count).map(|at| (credit_id(number, at), vec![line])).collect(),
        keys: Vec::new(),
        account_keys: 0,
        slot: free.map(|(of, slot)| (credit_id(number, of), written(slot))),
    };
    let told = vendor.ask(&VendorCommand::Restock { units: Box::new(units) }, at(model.now));
    prop_assert!(told.is_ok(), "{:?}", told);
    Ok(())
}

/// Compares what is offered, and how much of it is left.
fn compare(vendor: &Vendor, model: &Model) -> Result<(), TestCaseError> {
    let command = VendorCommand::GetSlots { at: at(model.now) };
    vendor.decide(&command, &Knowledge::NOTHING, at(model.now)).expect("anyone may look");
    let Some(Ok(VendorReply::Slots { slots })) = vendor.reply(&command, false) else {
        return Err(TestCaseError::fail("it shows no slots"));
    };
    let says = model.offered();
    let says: Vec<_> =
        says.into_iter().map(|(id, starts, ends, cut, left)| (written(id), starts, ends, cut, left)).collect();
    let ms = Timestamp::as_millis;
    let shown = slots.iter().map(|view| {
        let slot = &view.slot;
        (slot.id, ms(slot.starts_at), ms(slot.ends_at), ms(view.cut_off_at), view.left)
    });
    prop_assert_eq!(shown.collect::<Vec<_>>(), says);
    Ok(())
}

/// A vendor with enough of one SKU.
fn vendor() -> Kept<Vendor> {
    let mut vendor = Kept::new(vendor_id());
    vendor.ask(&VendorCommand::Create { name: "A".into() }, at(BEGIN)).expect("a vendor");
    let (code, currency) = ("A".to_owned(), Currency::BDT);
    let skus = vec![NewSku { id: sku(), code, price_minor: 100, currency, on_hand: 10_000 }];
    let (id, title) = (ProductId::from_uuid(Uuid::from_u128(2)), "Lamp".to_owned());
    let product = NewProduct { id, title, description: None, category: None, skus };
    vendor.ask(&VendorCommand::AddProduct { by: Principal::SHOP, product }, at(BEGIN)).expect("a product");
    vendor
}

/// What must have come of it, or the runs show nothing.
const DRAWN: [&str; 13] = [
    "plan: done",
    "plan: delivery_plan_changed",
    "hold: in a slot",
    "hold: in none",
    "hold: full",
    "hold: cut_off",
    "hold: not_offered",
    "hold: hold_closed",
    "commit: done",
    "commit: hold_unknown",
    "released",
    "given back",
    "given back again",
];

#[test]
fn slots_agree_with_the_model() {
    let tally = Tally::default();
    let run = |(first, steps): (Plan, Vec<Do>)| {
        let mut vendor = vendor();
        let mut model = Model {
            now: BEGIN,
            version: 0,
            plan: None,
            has: BTreeMap::new(),
            until: BTreeMap::new(),
            released: BTreeSet::new(),
            settled: BTreeSet::new(),
            credits: BTreeMap::new(),
        };
        act(&mut vendor, &mut model, &Do::Set(Some(first), false), &tally)?;
        for what in &steps {
            act(&mut vendor, &mut model, what, &tally)?;
            compare(&vendor.entity, &model)?;
        }
        vendor.checkpoint();
        vendor.crash();
        compare(&vendor.entity, &model)?;
        // When all is over, nothing is left of any slot.
        model.now += 30 * DAY;
        (0..ORDERS).try_for_each(|order| act(&mut vendor, &mut model, &Do::Release(order), &tally))?;
        act(&mut vendor, &mut model, &Do::Set(None, false), &tally)?;
        vendor.checkpoint();
        prop_assert_eq!(vendor.parts("slot/"), Vec::<&str>::new());
        Ok(())
    };
    let steps = (plan(), prop::collection::vec(what(), 1..120));
    TestRunner::new(config(512)).run(&steps, run).unwrap_or_else(|why| panic!("{why}"));
    tally.check(&DRAWN);
}
