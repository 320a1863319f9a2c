//! A customer's points against a plain model, which keeps every lot, every hold and everything that ever came and went, and sums it up anew. It calls
//! nothing of the code that it judges. Orders repeat what they say and their messages cross; time passes with the customer awake or asleep.

#[path = "points/order.rs"]
mod order;

use crate::kept::{Kept, Tally};
use crate::random::config;
use crate::world::Priced;
use haat::domain::customer::{
    Customer, CustomerCommand, CustomerEvent, CustomerReply, GivenFor, PointCommand, PointsView,
};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Effect, Message, Principal, Step};
use haat::domain::ids::{CreditId, CustomerId, OrderId, VendorId};
use haat::domain::knowledge::Knowledge;
use haat::domain::loyalty::{Programme, Tier};
use haat::domain::money::{Currency, Money};
use haat::domain::order::{OrderCommand, Party, Posting};
use haat::domain::pricing::Tables;
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// 2023-11-14T22:13:20Z.
const BEGIN: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Dhaka is so far ahead, all year.
const AHEAD: i64 = 6 * HOUR;
const ORDERS: usize = 8;
/// How long an order has for its payment.
const ORDER_MS: i64 = 20_000;
/// From how much on each tier is, and by what its points are multiplied.
const TIERS: [(&str, i64, u32); 3] = [("bronze", 500, 11_000), ("silver", 1_500, 12_500), ("gold", 4_000, 20_000)];
/// So long points live that were not used in time because an order had them.
const LONGER: i64 = DAY;
const FOR_EVER: i64 = i64::MAX;

fn id() -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u128(7))
}

fn order_id(number: usize) -> OrderId {
    OrderId::from_uuid(Uuid::from_u128(0x30 + number as u128))
}

fn credit_id(number: usize, at: usize) -> CreditId {
    CreditId::from_uuid(Uuid::from_u128(((number as u128) << 32) + at as u128))
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Which programme the shop has.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shop {
    Without,
    Plain,
    WithTiers,
}

const EXPIRES_DAYS: u32 = 30;

fn knows(shop: Shop) -> Priced {
    let tier = |(name, from, multiplier_basis_points): (&str, i64, u32)| Tier {
        name: name.into(),
        from: Money::new(from, Currency::BDT),
        multiplier_basis_points,
    };
    let programme = Programme {
        version: 1,
        earn_basis_points: 100,
        point_values: vec![Money::new(100, Currency::BDT)],
        earn_after_days: 14,
        expires_days: EXPIRES_DAYS,
        time_zone: "Asia/Dhaka".into(),
        tiers: if shop == Shop::WithTiers { TIERS.map(tier).into() } else { Vec::new() },
    };
    let loyalty = (shop != Shop::Without).then_some(programme);
    Priced { tables: Some(Arc::new(Tables { loyalty, ..Tables::default() })), ..Priced::default() }
}

/// What an order says next.
#[derive(Clone, Copy, Debug)]
struct News {
    /// How many it has earned, and for how long they live.
    earned: Option<(i64, i64)>,
    /// What comes back of what it spent, in tenths of what has not.
    tenths: i64,
    /// What it takes back of what it has earned, in tenths.
    taken_tenths: i64,
    bought: i64,
    yen: bool,
    /// Whether the message arrives.
    arrives: bool,
}

#[derive(Clone, Debug)]
enum Do {
    Hold(usize, i64),
    Spend(usize),
    Release(usize),
    Close(usize),
    Post(usize, News),
    /// It says all that it has said and not heard of.
    PostAgain(usize),
    /// It has heard that what arrived counts.
    Heard(usize),
    /// By the staff; so long from now they live, where that is said.
    Give(i64, Option<i64>),
    /// By themselves, which nobody may.
    GiveOneself(i64),
    See(bool),
    Tick,
    Pass(i64),
    /// Nobody is awake meanwhile.
    Sleep(i64),
    /// To what comes next, or a millisecond before or after it.
    PassToTheNext(i64),
    Checkpoint,
    Crash,
    /// It is made of its snapshot.
    Restore,
}

fn what() -> impl Strategy<Value = Do> {
    let order = || 0..ORDERS;
    let span = || prop::sample::select(vec![1, 4_000, ORDER_MS, HOUR, LONGER - 1, LONGER, 20 * DAY, 200 * DAY]);
    let lives = || prop::sample::select(vec![-DAY, 1, 5_000, ORDER_MS, ORDER_MS + 1, DAY, 40 * DAY, 400 * DAY]);
    let tenths = || prop::sample::select(vec![0, 0, 1, 3, 5, 10]);
    let news = (
        prop::option::of((1..40_i64, lives())),
        tenths(),
        tenths(),
        prop::sample::select(vec![0, 0, 200, 700, 2_000]),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(earned, tenths, taken_tenths, bought, yen, arrives)| News {
            earned,
            tenths,
            taken_tenths,
            bought,
            yen,
            arrives,
        });
    prop_oneof![
        10 => (order(), 1..60_i64).prop_map(|(order, points)| Do::Hold(order, points)),
        5 => order().prop_map(Do::Spend),
        4 => order().prop_map(Do::Release),
        2 => order().prop_map(Do::Close),
        8 => (order(), news).prop_map(|(order, news)| Do::Post(order, news)),
        2 => order().prop_map(Do::PostAgain),
        2 => order().prop_map(Do::Heard),
        // Days, since the end of a day is meant.
        5 => (1..60_i64, prop::option::of(0..3_i64)).prop_map(|(points, days)| Do::Give(points, days.map(|days| days * DAY))),
        2 => (1..80_i64).prop_map(|points| Do::Give(-points, None)),
        1 => (1..60_i64).prop_map(Do::GiveOneself),
        1 => any::<bool>().prop_map(Do::See),
        1 => Just(Do::Tick),
        3 => span().prop_map(Do::Pass),
        1 => span().prop_map(Do::Sleep),
        4 => (-1..2_i64).prop_map(Do::PassToTheNext),
        1 => Just(Do::Checkpoint),
        1 => Just(Do::Crash),
        1 => Just(Do::Restore),
    ]
}

/// Points that end at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lot {
    ends: i64,
    /// Whether they live longer than they did.
    longer: bool,
    points: i64,
}

fn all(lots: &[Lot]) -> i64 {
    lots.iter().map(|lot| lot.points).sum()
}

/// Lots that are the same are one.
fn merged(lots: impl IntoIterator<Item = Lot>) -> BTreeMap<(i64, bool), i64> {
    let mut all = BTreeMap::new();
    for lot in lots.into_iter().filter(|lot| lot.points != 0) {
        *all.entry((lot.ends, lot.longer)).or_insert(0) += lot.points;
    }
    all
}

/// So many of these, from the one that comes first by this order; and how many there are not.
fn take(lots: &mut Vec<Lot>, points: i64, last_first: bool) -> (Vec<Lot>, i64) {
    let (mut taken, mut left) = (Vec::new(), points);
    while left > 0 && !lots.is_empty() {
        lots.sort_unstable();
        let at = if last_first { lots.len() - 1 } else { 0 };
        let part = lots[at].points.min(left);
        taken.push(Lot { points: part, ..lots[at] });
        lots[at].points -= part;
        left -= part;
        lots.retain(|lot| lot.points > 0);
    }
    (taken, left)
}

/// What somebody knows of an order.
#[derive(Debug)]
struct Told {
    until: i64,
    held: Option<Vec<Lot>>,
    spent: Option<Vec<Lot>>,
    released: bool,
    /// It is settled: it asks for nothing any more.
    settled: bool,
    /// What of what it has earned was not taken back.
    earned: i64,
    /// For how much was bought by it, that was not given back.
    bought: i64,
    /// What of what it has spent it has not said to come back.
    to_restore: i64,
    said: Vec<(Posting, Currency)>,
    /// Which of its postings arrived.
    arrived: BTreeSet<CreditId>,
    next: usize,
}

/// The oracle.
#[derive(Debug)]
struct Model {
    now: i64,
    shop: Shop,
    lots: Vec<Lot>,
    debt: i64,
    sums: BTreeMap<&'static str, i64>,
    orders: BTreeMap<usize, Told>,
    bought: Vec<(i64, i64)>,
    /// The tier, and until when it is theirs.
    standing: Option<(Option<usize>, Option<i64>)>,
}

impl Model {
    fn day(&self) -> i64 {
        (self.now + AHEAD).div_euclid(DAY)
    }

    /// Where the local day ends that is so many days after the one of this moment.
    fn end_of_day(moment: i64, days: i64) -> i64 {
        ((moment + AHEAD).div_euclid(DAY) + days + 1) * DAY - AHEAD
    }

    fn count(&mut self, what: &'static str, points: i64) {
        *self.sums.entry(what).or_default() += points;
    }

    fn sum(&self, what: &str) -> i64 {
        self.sums.get(what).copied().unwrap_or(0)
    }

    fn told(&mut self, number: usize) -> &mut Told {
        let until = self.now + ORDER_MS;
        self.orders.entry(number).or_insert_with(|| Told {
            until,
            held: None,
            spent: None,
            released: false,
            settled: false,
            earned: 0,
            bought: 0,
            to_restore: 0,
            said: Vec::new(),
            arrived: BTreeSet::new(),
            next: 0,
        })
    }

    fn alive(&self) -> impl Iterator<Item = Lot> + '_ {
        self.lots.iter().copied().filter(|lot| lot.ends > self.now)
    }

    /// What was not used in time.
    fn expire(&mut self) {
        let gone: i64 = self.lots.iter().filter(|lot| lot.ends <= self.now).map(|lot| lot.points).sum();
        self.count("expired", gone);
        let now = self.now;
        self.lots.retain(|lot| lot.ends > now);
    }

    /// A debt is paid first.
    fn come_in(&mut self, mut lots: Vec<Lot>) {
        lots.sort_unstable();
        for mut lot in lots {
            let paid = lot.points.min(self.debt);
            self.debt -= paid;
            lot.points -= paid;
            if lot.points > 0 {
                self.lots.push(lot);
            }
        }
    }

    fn go(&mut self, points: i64) {
        self.debt += take(&mut self.lots, points, false).1;
    }

    /// What was an order's, as it comes back; and how many do not, since their time was over twice.
    fn back(&self, lots: Vec<Lot>) -> (Vec<Lot>, i64) {
        let (gone, back): (Vec<Lot>, Vec<Lot>) = lots.into_iter().partition(|lot| lot.ends <= self.now && lot.longer);
        let longer = |lot: Lot| match lot.ends <= self.now {
            true => Lot { ends: self.now + LONGER, longer: true, ..lot },
            false => lot,
        };
        (back.into_iter().map(longer).collect(), all(&gone))
    }

    /// For how much they bought within the last 365 days.
    fn bought_of_late(&self) -> i64 {
        let from = self.day() - 365;
        self.bought.iter().filter(|(day, _)| *day > from).map(|(_, minor)| minor).sum::<i64>().max(0)
    }

    /// In which tier they are from now on.
    fn judge_tier(&mut self) {
        let bought = self.bought_of_late();
        let reached = TIERS.iter().rposition(|(_, from, _)| bought >= *from);
        let until = Self::end_of_day(self.now, 365);
        let (has, over) = match self.standing {
            Some((has, ends)) => (has, ends.is_some_and(|ends| ends <= self.now)),
            None => (None, false),
        };
        if reached > has {
            self.standing = Some((reached, Some(until)));
        } else if let Some(tier) = has.filter(|_| over) {
            let next = if reached == Some(tier) { Some(tier) } else { tier.checked_sub(1) };
            self.standing = Some((next, next.map(|_| until)));
        }
    }

    /// The moments at which something is to happen, the next first.
    fn moments(&self) -> Vec<i64> {
        let ends = self.lots.iter().map(|lot| lot.ends).filter(|ends| *ends < FOR_EVER);
        let untils = self.orders.values().filter(|told| told.held.is_some()).map(|told| told.until);
        let tier = self.standing.and_then(|(_, until)| until);
        let mut all: Vec<i64> = ends.chain(untils).chain(tier).filter(|moment| *moment > self.now).collect();
        all.sort_unstable();
        all
    }

    /// A posting that has not come before.
    fn post(&mut self, number: usize, posting: &Posting, currency: Currency) -> bool {
        if !self.told(number).arrived.insert(posting.id) {
            return false;
        }
        if let Some(ends) = posting.expires_at {
            self.count("earned", posting.earned);
            self.come_in(vec![Lot { ends: ends.as_millis(), longer: false, points: posting.earned }]);
        }
        if posting.restored > 0 {
            let spent = self.told(number).spent.as_mut().expect("it has spent some");
            let (taken, missing) = take(spent, posting.restored, true);
            assert_eq!(missing, 0, "no more comes back than was spent");
            let (back, _) = self.back(taken);
            self.count("restored", all(&back));
            self.come_in(back);
        }
        self.count("taken back", posting.taken_back);
        self.go(posting.taken_back);
        let counts = self.shop == Shop::WithTiers && currency == Currency::BDT && posting.bought != 0;
        if counts {
            self.bought.push((self.day(), posting.bought));
        }
        counts
    }
}

/// The customer, and what it knows.
struct Judged<'a> {
    kept: Kept<Customer>,
    prices: &'a Priced,
    tally: &'a Tally,
}

fn shown(customer: &Customer) -> serde_json::Value {
    serde_json::to_value(customer).expect("a customer can be written")
}

impl Judged<'_> {
    fn ask(&mut self, command: &PointCommand, now: i64) -> Result<Vec<CustomerEvent>, Reject> {
        let knowledge = Knowledge { prices: self.prices, ..Knowledge::NOTHING };
        self.kept.ask_who_knows(&CustomerCommand::Points(command.clone()), &knowledge, at(now))
    }

    fn answer(&self, command: &PointCommand, outcome: Result<(), &Reject>) -> Option<OrderCommand> {
        match self.kept.entity.respond(&CustomerCommand::Points(command.clone()), outcome)? {
            Message::Order { command, .. } => Some(command),
            other => panic!("{other:?}"),
        }
    }

    fn view(&self) -> PointsView {
        let see = PointCommand::SeePoints { by: Principal::SHOP };
        match self.kept.entity.reply(&CustomerCommand::Points(see), false) {
            Some(Ok(CustomerReply::Points { points })) => *points,
            other => panic!("{other:?}"),
        }
    }

    fn restore(&mut self) {
        let parts = self.kept.entity.delta().parts;
        self.kept.entity = Customer::restore(id(), &parts).expect("a snapshot");
    }

    /// Time passes, and whatever is to happen meanwhile happens when it is to. Whoever is asked for long answers at last.
    fn pass(&mut self, model: &mut Model, to: i64) {
        for turn in 0.. {
            assert!(turn < 1_000, "it wakes for nothing: {:?}", self.kept.entity.timer());
            let Some((due, _)) = self.kept.entity.timer().filter(|(due, _)| due.as_millis() <= to) else { break };
            model.now = model.now.max(due.as_millis());
            for asked in self.tick(model) {
                if turn >= 6 {
                    self.answer_asked(model, &asked);
                }
            }
        }
        model.now = to;
    }

    /// What an order answers that is asked what became of it.
    fn answer_asked(&mut self, model: &mut Model, (number, asked): &(usize, OrderCommand)) {
        let told = model.told(*number);
        let order = order_id(*number);
        let command = match asked {
            OrderCommand::ReturnDue { credits, .. } => {
                told.said.retain(|(posting, _)| !credits.contains(&posting.id));
                PointCommand::ClosePostings { order, postings: credits.clone() }
            }
            _ if told.spent.is_some() => {
                told.settled = true;
                PointCommand::ClosePoints { order }
            }
            _ => {
                act(self, model, &Do::Release(*number)).expect("it may be let go");
                return;
            }
        };
        model.expire();
        let events = self.ask(&command, model.now).expect("it is said");
        after(model, &events, false);
    }

    /// Time has passed: which orders it asks, and what.
    fn tick(&mut self, model: &mut Model) -> Vec<(usize, OrderCommand)> {
        let (now, mut asked) = (model.now, Vec::new());
        model.expire();
        self.ask(&PointCommand::Tick, now).expect("time passes");
        if model.shop == Shop::WithTiers
            && model.standing.and_then(|(_, until)| until).is_some_and(|until| until <= now)
        {
            model.judge_tier();
        }
        for key in self.kept.entity.ask_due(at(now)) {
            let Some(Effect::Tell(Message::Order { command, .. })) = self.kept.entity.effect(key) else {
                panic!("{key:?} asks nothing")
            };
            let with = Party::Points(id());
            let number = (key.target - 0x30) as usize;
            let told = &model.orders[&number];
            match &command {
                OrderCommand::LegDue { with: who, until, committed } => {
                    assert_eq!((*who, until.as_millis(), key.step), (with, told.until, Step::AskHold));
                    assert_eq!(*committed, told.spent.is_some());
                    assert!(*committed || told.held.is_some(), "it asks about what it holds");
                    assert!(told.until <= now, "and not before its time");
                    self.tally.count("asked about a hold");
                }
                OrderCommand::ReturnDue { with: who, credits } => {
                    assert_eq!((*who, key.step), (with, Step::AskCredit));
                    assert!(credits.iter().all(|credit| told.arrived.contains(credit)));
                    self.tally.count("asked about postings");
                }
                other => panic!("{other:?}"),
            }
            asked.push((number, command));
        }
        assert!(self.kept.entity.next_ask().is_none_or(|next| next.as_millis() > now), "it asks again at once");
        let lots = self.kept.entity.points().lots().map(|lot| lot.expires_at.as_millis()).min();
        assert!(lots.is_none_or(|ends| ends > now), "what was not used in time is recorded");
        asked
    }
}

/// After a command: in which tier they are.
fn after(model: &mut Model, events: &[CustomerEvent], counted: bool) {
    let is_over = model.standing.and_then(|(_, until)| until).is_some_and(|until| until <= model.now);
    if model.shop == Shop::WithTiers && (counted || (is_over && !events.is_empty())) {
        model.judge_tier();
    }
}

/// Does it in both, and compares what is told.
fn act(customer: &mut Judged<'_>, model: &mut Model, what: &Do) -> Result<(), TestCaseError> {
    let (now, with, tally) = (model.now, Party::Points(id()), customer.tally);
    match what {
        Do::Hold(number, points) => {
            if model.told(*number).settled {
                return Ok(());
            }
            model.expire();
            let available: i64 = model.alive().map(|lot| lot.points).sum();
            let told = model.told(*number);
            let (until, is_closed) = (at(told.until), told.released || told.until <= now);
            let has = told.held.is_some() || told.spent.is_some();
            let wrong = match () {
                () if has => None,
                () if *points > available => Some(Reject::PointsInsufficient { available }),
                () if is_closed => Some(Reject::HoldClosed),
                () => None,
            };
            let command = PointCommand::HoldPoints { order: order_id(*number), until, points: *points };
            let told = customer.ask(&command, now);
            if !has {
                tally.count_told("hold", &told);
            }
            prop_assert_eq!(told.as_ref().err(), wrong.as_ref(), "{:?}", what);
            let answer = customer.answer(&command, told.as_ref().map(|_| ()));
            let is_spent = model.told(*number).spent.is_some();
            prop_assert_eq!(
                answer,
                match wrong {
                    Some(reason) => Some(OrderCommand::LegRefused { with, reason }),
                    // The order knows that better.
                    None if is_spent => None,
                    None => Some(OrderCommand::LegHeld { with }),
                }
            );
            let Ok(events) = told else { return Ok(()) };
            if has {
                prop_assert_eq!(events.len(), 0, "it is the echo of an old request");
                return Ok(());
            }
            let (lots, missing) = take(&mut model.lots, *points, false);
            prop_assert_eq!(missing, 0);
            model.told(*number).held = Some(lots);
            after(model, &events, false);
        }
        Do::Spend(number) => {
            if model.told(*number).settled {
                return Ok(());
            }
            model.expire();
            let command = PointCommand::SpendPoints { order: order_id(*number) };
            let told = customer.ask(&command, now);
            tally.count_told("spend", &told);
            let of = model.told(*number);
            let has = of.held.is_some() || of.spent.is_some();
            prop_assert_eq!(told.as_ref().err(), (!has).then_some(&Reject::HoldUnknown));
            prop_assert_eq!(
                customer.answer(&command, told.as_ref().map(|_| ())),
                Some(match has {
                    true => OrderCommand::LegCommitted { with },
                    false => OrderCommand::LegFailed { with, reason: Reject::HoldUnknown },
                })
            );
            if let Some(lots) = of.held.take() {
                let points = all(&lots);
                (of.spent, of.to_restore) = (Some(lots), points);
                model.count("spent", points);
            }
            after(model, &told.unwrap_or_default(), false);
        }
        Do::Release(number) => {
            let of = model.told(*number);
            // No order that is paid gives anything back so.
            if of.settled || of.spent.is_some() {
                return Ok(());
            }
            let until = at(of.until);
            model.expire();
            let command = PointCommand::ReleasePoints { order: order_id(*number), until };
            let events = customer.ask(&command, now).expect("whatever is held may be let go");
            prop_assert_eq!(customer.answer(&command, Ok(())), Some(OrderCommand::LegReleased { with }));
            let of = model.told(*number);
            of.released = true;
            if let Some(lots) = of.held.take() {
                let (back, gone) = model.back(lots);
                tally.count("released");
                if back.iter().any(|lot| lot.longer) {
                    tally.count("released to live longer");
                }
                if gone > 0 {
                    tally.count("released too late again");
                }
                if model.debt > 0 {
                    tally.count("released for a debt");
                }
                model.count("expired", gone);
                model.come_in(back);
            }
            after(model, &events, false);
        }
        Do::Close(number) => {
            if model.told(*number).spent.is_some() {
                model.told(*number).settled = true;
                model.expire();
                let events = customer.ask(&PointCommand::ClosePoints { order: order_id(*number) }, now);
                after(model, &events.expect("it is said"), false);
            }
        }
        Do::Post(number, news) => {
            let of = model.told(*number);
            if of.held.is_some() || of.said.len() > 4 {
                return Ok(());
            }
            // What it says of being settled may have been lost.
            of.settled = true;
            let restored = of.to_restore * news.tenths / 10;
            let taken_back = of.earned * news.taken_tenths / 10;
            of.to_restore -= restored;
            of.earned -= taken_back;
            let (earned, ends) = news.earned.map_or((0, None), |(points, lives)| (points, Some(at(now + lives))));
            of.earned += earned;
            let bought = match ends {
                Some(_) => news.bought,
                None => -news.bought.min(of.bought),
            };
            of.bought += bought;
            if ends.is_none() && restored == 0 && taken_back == 0 && bought == 0 {
                return Ok(());
            }
            let id = credit_id(*number, of.next);
            of.next += 1;
            let vendor = VendorId::from_uuid(Uuid::from_u128(3));
            let posting = Posting { id, vendor, earned, expires_at: ends, restored, taken_back, bought };
            let currency = if news.yen { "JPY".parse().expect("a currency") } else { Currency::BDT };
            of.said.push((posting, currency));
            if news.arrives {
                post(customer, model, *number)?;
            } else {
                tally.count("posted in vain");
            }
        }
        Do::PostAgain(number) => post(customer, model, *number)?,
        Do::Heard(number) => {
            let of = model.told(*number);
            let (heard, left): (Vec<_>, Vec<_>) =
                of.said.drain(..).partition(|(posting, _)| of.arrived.contains(&posting.id));
            of.said = left;
            if !heard.is_empty() {
                model.expire();
                let postings = heard.iter().map(|(posting, _)| posting.id).collect();
                let command = PointCommand::ClosePostings { order: order_id(*number), postings };
                let events = customer.ask(&command, now);
                after(model, &events.expect("it is said"), false);
            }
        }
        Do::Give(points, lives) => {
            model.expire();
            let (by, reason) = (Principal::SHOP, GivenFor::Goodwill);
            let expires_at = lives.map(|lives| at(now + lives));
            let events = customer.ask(&PointCommand::GivePoints { by, points: *points, reason, expires_at }, now);
            let events = events.expect("the staff gives");
            let is_utc = model.shop == Shop::Without;
            let ends = match lives {
                Some(lives) if is_utc => ((now + lives).div_euclid(DAY) + 1) * DAY,
                Some(lives) => Model::end_of_day(now + lives, 0),
                None if is_utc => FOR_EVER,
                None => Model::end_of_day(now, i64::from(EXPIRES_DAYS)),
            };
            model.count("given", *points);
            if *points > 0 {
                model.come_in(vec![Lot { ends, longer: false, points: *points }]);
            } else {
                model.go(-points);
            }
            tally.count(if model.debt > 0 { "who owes" } else { "who owes nothing" });
            after(model, &events, false);
        }
        Do::GiveOneself(points) => {
            let by = Principal::Customer(id());
            let (points, reason, expires_at) = (*points, GivenFor::Goodwill, None);
            let told = customer.ask(&PointCommand::GivePoints { by, points, reason, expires_at }, now);
            prop_assert_eq!(told, Err(Reject::CustomerUnknown));
        }
        Do::See(own) => {
            let number = if *own { 7 } else { 8 };
            let by = Principal::Customer(CustomerId::from_uuid(Uuid::from_u128(number)));
            let told = customer.ask(&PointCommand::SeePoints { by }, now);
            prop_assert_eq!(told, if *own { Ok(Vec::new()) } else { Err(Reject::CustomerUnknown) });
        }
        Do::Tick => drop(customer.tick(model)),
        Do::Pass(millis) => customer.pass(model, now + millis),
        Do::Sleep(millis) => model.now += millis,
        Do::PassToTheNext(beside) => {
            let next = model.moments().first().copied();
            if let Some(to) = next.map(|next| (next + beside).max(now)) {
                customer.pass(model, to);
            }
        }
        Do::Checkpoint => customer.kept.checkpoint(),
        Do::Crash => {
            let before = shown(&customer.kept.entity);
            customer.kept.crash();
            prop_assert_eq!(shown(&customer.kept.entity), before);
        }
        Do::Restore => customer.restore(),
    }
    Ok(())
}

/// An order says everything of which it has not heard.
fn post(customer: &mut Judged<'_>, model: &mut Model, number: usize) -> Result<(), TestCaseError> {
    let said = model.told(number).said.clone();
    let Some((_, currency)) = said.first().copied() else { return Ok(()) };
    model.expire();
    let postings: Vec<Posting> = said.iter().map(|(posting, _)| *posting).collect();
    let credits = postings.iter().map(|posting| posting.id).collect();
    let command = PointCommand::PostPoints { order: order_id(number), currency, postings: postings.clone() };
    let events = customer.ask(&command, model.now).expect("no posting is refused");
    let with = Party::Points(id());
    let heard = OrderCommand::LegReturned { with, credits, whole: false };
    prop_assert_eq!(customer.answer(&command, Ok(())), Some(heard));
    let mut counted = false;
    for posting in &postings {
        let is_new = !model.told(number).arrived.contains(&posting.id);
        counted |= model.post(number, posting, currency);
        customer.tally.count(if is_new { "posted" } else { "posted again" });
        if is_new && posting.restored > 0 {
            customer.tally.count("restored");
        }
        if is_new && posting.taken_back > 0 {
            customer.tally.count("taken back");
        }
    }
    let before = model.standing;
    after(model, &events, counted);
    if model.standing.map(|(tier, _)| tier) != before.map(|(tier, _)| tier) {
        customer.tally.count("in another tier");
    }
    Ok(())
}

/// Compares every figure.
fn compare(customer: &mut Judged<'_>, model: &Model) -> Result<(), TestCaseError> {
    let own = customer.kept.entity.points();
    let now = at(model.now);
    // What is over may not be recorded yet.
    let unrecorded = own.active() - own.available(now);
    let alive = own.lots().filter(|lot| lot.expires_at > now);
    let lots = alive.map(|lot| Lot {
        ends: if lot.expires_at >= haat::domain::customer::NEVER { FOR_EVER } else { lot.expires_at.as_millis() },
        longer: lot.extended,
        points: lot.points,
    });
    prop_assert_eq!(merged(lots), merged(model.alive()), "what they have");
    let totals = own.totals();
    let over: i64 = model.lots.iter().filter(|lot| lot.ends <= model.now).map(|lot| lot.points).sum();
    let (expired, given) = (totals.expired + unrecorded, totals.given);
    let told = [totals.earned, totals.restored, totals.spent, expired, totals.taken_back, given];
    let sums = ["earned", "restored", "spent", "expired", "taken back", "given"].map(|what| model.sum(what));
    prop_assert_eq!(told, [sums[0], sums[1], sums[2], sums[3] + over, sums[4], sums[5]], "what came and went");
    prop_assert_eq!(own.debt(), model.debt);
    prop_assert!(own.debt() == 0 || own.active() == 0, "nobody who owes has any");
    let holds: i64 = model.orders.values().flat_map(|told| &told.held).map(|lots| all(lots)).sum();
    prop_assert_eq!(own.held(), holds);
    prop_assert_eq!(
        i128::from(totals.earned) + i128::from(given) + i128::from(totals.restored) + i128::from(own.debt()),
        i128::from(totals.spent + totals.expired + totals.taken_back) + i128::from(own.active() + own.held())
    );
    let view = customer.view();
    prop_assert_eq!((view.held, view.debt, view.available(now)), (holds, model.debt, own.available(now)));
    let tier = |at: Option<usize>| at.map(|at| TIERS[at].0.to_owned());
    prop_assert_eq!(
        view.standing.map(|has| (has.tier, has.multiplier, has.until.map(Timestamp::as_millis))),
        model.standing.map(|(at, until)| (tier(at), at.map_or(10_000, |at| TIERS[at].2), until))
    );
    let written = shown(&customer.kept.entity);
    for (number, told) in &model.orders {
        let id = serde_json::to_value(order_id(*number)).expect("an id");
        let all = written["points"]["held"].as_array();
        let own = all.and_then(|all| all.iter().find(|hold| hold[0] == id));
        let lots = own.map(|hold| {
            let of = |lot: &serde_json::Value| Lot {
                ends: match serde_json::from_value::<Timestamp>(lot["expires_at"].clone()).expect("a moment") {
                    ends if ends >= haat::domain::customer::NEVER => FOR_EVER,
                    ends => ends.as_millis(),
                },
                longer: lot["extended"].as_bool().unwrap_or(false),
                points: lot["points"].as_i64().expect("points"),
            };
            merged(hold[1]["lines"].as_array().expect("lots").iter().map(of))
        });
        prop_assert_eq!(lots, told.held.clone().map(merged), "what is held for order {}", number);
    }
    // As a snapshot has it, it is the same.
    let parts = customer.kept.entity.delta().parts;
    let again = Customer::restore(id(), &parts).expect("a snapshot");
    prop_assert_eq!(shown(&again), written);
    again.check().expect("it adds up");
    // It is never woken later than something happens.
    if let Some(next) = model.moments().first().copied() {
        for one in [&customer.kept.entity, &again] {
            prop_assert!(one.timer().is_some_and(|(due, _)| due.as_millis() <= next), "{:?} {}", one.timer(), next);
            prop_assert!(one.wake_at(now).is_some_and(|due| due.as_millis() <= next));
        }
    }
    Ok(())
}

/// What must have come of it, or the runs show nothing.
const DRAWN: [&str; 20] = [
    "hold: done",
    "hold: points_insufficient",
    "hold: hold_closed",
    "spend: done",
    "spend: hold_unknown",
    "released",
    "released to live longer",
    "released too late again",
    "released for a debt",
    "posted",
    "posted again",
    "posted in vain",
    "restored",
    "taken back",
    "in another tier",
    "who owes",
    "who owes nothing",
    "asked about a hold",
    "asked about postings",
    "a tier fell",
];

#[test]
fn the_points_of_a_customer_agree_with_the_model() {
    let tally = Tally::default();
    let run = |(shop, steps): (Shop, Vec<Do>)| {
        let prices = knows(shop);
        let mut customer = Judged { kept: Kept::new(id()), prices: &prices, tally: &tally };
        let (lots, sums, orders) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut model = Model { now: BEGIN, shop, lots, debt: 0, sums, orders, bought: Vec::new(), standing: None };
        for what in &steps {
            let before = model.standing.and_then(|(tier, _)| tier);
            act(&mut customer, &mut model, what)?;
            if model.standing.is_some_and(|(tier, _)| tier < before) {
                tally.count("a tier fell");
            }
            compare(&mut customer, &model)?;
        }
        customer.kept.checkpoint();
        customer.kept.crash();
        compare(&mut customer, &model)
    };
    let shops = prop::sample::select(vec![Shop::Without, Shop::Plain, Shop::WithTiers, Shop::WithTiers]);
    let steps = (shops, prop::collection::vec(what(), 1..120));
    TestRunner::new(config(512)).run(&steps, run).unwrap_or_else(|why| panic!("{why}"));
    tally.check(&DRAWN);
}
