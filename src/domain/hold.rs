//! Holds: what could be promised twice is set aside for one order, and ended only by that order.
//!
//! ```text
//! ──reserve──▶ open ──commit──▶ committed ──close──▶ gone
//!               └──release──▶ released, remembered until the hold's time is over ──▶ gone
//! ```
//!
//! A commit does not end a hold: the order may not have heard of it, and asks for it again. Only an order that is settled closes its
//! holds, so no clock forgets what an order may ask for. Past its time a hold is asked about, whether it is open or committed. What time does
//! forget is a release: it is remembered only so that a reservation that comes late holds nothing.

use super::backoff::backoff_ms;
use super::entity::{EffectKey, Step};
use super::ids::{CreditId, OrderId};
use super::reject::Reject;
use super::time::Timestamp;
use crate::limits;
use foldhash::HashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is set aside for one order until a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold<L> {
    /// Until when the order needs it at most; past it the order is asked.
    pub until: Timestamp,
    /// What.
    #[serde(rename = "lines")]
    pub what: L,
}

/// The parts of holds that a snapshot keeps one by one. What is committed stands in the head of whoever holds: mostly it is gone before
/// the next snapshot, and would cost a row each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HoldPart {
    /// An open hold.
    Open(OrderId),
    /// A remembered release.
    Released(OrderId),
}

/// By what holds are told apart: mostly by their order.
pub trait HoldKey: Copy + Eq + Ord + std::hash::Hash {
    /// What spreads the moments at which many of them are asked about.
    fn seed(self) -> u128;
}

impl HoldKey for OrderId {
    fn seed(self) -> u128 {
        self.uuid().as_u128()
    }
}

/// A credit, and its order, which is asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CreditKey(pub OrderId, pub CreditId);

impl HoldKey for CreditKey {
    fn seed(self) -> u128 {
        self.1.uuid().as_u128()
    }
}

/// Everything that one entity holds for orders.
#[derive(Clone, Debug)]
pub struct Holds<L, K = OrderId> {
    open: HashMap<K, Hold<L>>,
    /// What was committed for orders that are not settled, as far as they have said so, with the end of the hold's time.
    committed: BTreeMap<K, Timestamp>,
    /// Releases that are remembered, so that a hold asked for earlier but arriving later is refused.
    released: HashMap<K, Timestamp>,
    /// Remembered releases by the moment at which they may be forgotten.
    forget: BTreeSet<(Timestamp, K)>,
    /// Which order is asked about its hold, and when.
    schedule: Schedule<K>,
    closing: Closing<K>,
}

/// Orders that have said that they are settled, and when that is to be recorded at the latest. No part of the state that lasts:
/// past its time a hold is asked about, and its order says so again.
#[derive(Clone, Debug)]
struct Closing<K> {
    due: Option<Timestamp>,
    orders: BTreeSet<K>,
}

impl<K> Default for Closing<K> {
    fn default() -> Self {
        Self { due: None, orders: BTreeSet::new() }
    }
}

impl<L, K: HoldKey> Default for Holds<L, K> {
    fn default() -> Self {
        Self {
            open: HashMap::default(),
            committed: BTreeMap::new(),
            released: HashMap::default(),
            forget: BTreeSet::new(),
            schedule: Schedule::default(),
            closing: Closing::default(),
        }
    }
}

impl<L, K: HoldKey> Holds<L, K> {
    /// The open hold of an order.
    pub fn open(&self, order: K) -> Option<&Hold<L>> {
        self.open.get(&order)
    }

    /// All open holds, in no order.
    pub fn all_open(&self) -> impl Iterator<Item = (K, &Hold<L>)> {
        self.open.iter().map(|(order, hold)| (*order, hold))
    }

    /// Whether a hold of this order was committed, and the order has not closed it.
    pub fn is_committed(&self, order: K) -> bool {
        self.committed.contains_key(&order)
    }

    /// What is committed and not closed, with the end of each hold's time.
    pub fn committed(&self) -> &BTreeMap<K, Timestamp> {
        &self.committed
    }

    /// How many releases are remembered.
    pub fn remembered(&self) -> usize {
        self.released.len()
    }

    /// Whether nothing is held, open or committed.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.committed.is_empty()
    }

    /// Until when what is held for an order is needed.
    pub fn until(&self, order: K) -> Option<Timestamp> {
        self.open.get(&order).map(|hold| hold.until).or_else(|| self.committed.get(&order).copied())
    }

    /// The end of the time of the open hold that ends first.
    pub fn first_until(&self) -> Option<Timestamp> {
        self.open.values().map(|hold| hold.until).min()
    }

    /// Whether a hold for `order` can be opened: not after its release, and not past its time.
    ///
    /// # Errors
    /// [`Reject::HoldClosed`].
    pub fn may_open(&self, order: K, until: Timestamp, now: Timestamp) -> Result<(), Reject> {
        if self.released.contains_key(&order) || until <= now { Err(Reject::HoldClosed) } else { Ok(()) }
    }

    /// Whether a commit changes anything: not when it came before. A strict one needs a hold; a lenient one, of an order of an early
    /// version, may come after its hold was forgotten.
    ///
    /// # Errors
    /// [`Reject::HoldUnknown`].
    pub fn decide_commit(&self, order: K, strict: bool) -> Result<bool, Reject> {
        match (self.open.contains_key(&order), strict) {
            (true, _) => Ok(true),
            (false, true) if !self.is_committed(order) => Err(Reject::HoldUnknown),
            (false, _) => Ok(false),
        }
    }

    /// Whether a release changes anything. Past `until` a hold is refused anyway: then there is nothing to remember.
    pub fn decide_release(&self, order: K, until: Timestamp, now: Timestamp) -> bool {
        self.open.contains_key(&order) || (until > now && !self.released.contains_key(&order))
    }

    /// An order has said that it is settled: its hold is closed with the next record.
    pub fn hear_close(&mut self, order: K, now: Timestamp) {
        if self.is_committed(order) {
            self.closing.due.get_or_insert(now.plus_millis(limits::HOLD_CLOSE_MS));
            self.closing.orders.insert(order);
        }
    }

    /// The orders whose holds are to be closed with the next record, so many at a time; `None` when there are none.
    pub fn to_close(&self) -> Option<Vec<K>> {
        self.closing.due?;
        Some(self.closing.orders.iter().take(limits::HOLDS_CLOSED_AT_ONCE).copied().collect())
    }

    /// When those that wait to be closed have waited for long enough.
    pub fn close_at(&self) -> Option<Timestamp> {
        self.closing.due
    }

    /// A hold was opened, in place of one that was open for the same order, if there was one.
    pub fn opened(&mut self, order: K, hold: Hold<L>) {
        let until = hold.until;
        if let Some(before) = self.open.insert(order, hold) {
            self.schedule.end(order, before.until);
        }
        self.schedule.begin(order, until);
    }

    /// A hold was committed, and is remembered until its order closes it.
    pub fn has_committed(&mut self, order: K) -> Option<Hold<L>> {
        let hold = self.open.remove(&order)?;
        self.committed.insert(order, hold.until);
        Some(hold)
    }

    /// Something was done that its order may ask for again: it is remembered until the order closes it, and asked about past its time.
    pub fn has_done(&mut self, order: K, until: Timestamp) {
        if self.committed.insert(order, until).is_none() {
            self.schedule.begin(order, until);
        }
    }

    /// A hold has ended, by a release or as early versions ended it by a commit.
    pub fn has_ended(&mut self, order: K) -> Option<Hold<L>> {
        let hold = self.open.remove(&order)?;
        self.schedule.end(order, hold.until);
        Some(hold)
    }

    /// A release is remembered, if its time is not over; whether it was not before.
    pub fn remember(&mut self, order: K, until: Timestamp, at: Timestamp) -> bool {
        let new = until > at && self.released.insert(order, until).is_none();
        if new {
            self.forget.insert((until, order));
        }
        new
    }

    /// Holds of settled orders were closed at `at`. Those that one record has no room for have the next.
    pub fn closed(&mut self, orders: &[K], at: Timestamp) {
        for order in orders {
            if let Some(until) = self.committed.remove(order) {
                self.schedule.end(*order, until);
            }
        }
        self.closing.orders.retain(|order| self.committed.contains_key(order));
        self.closing.due = (!self.closing.orders.is_empty()).then(|| at.plus_millis(1));
    }

    /// Forgets the releases whose time is over; which they were.
    pub fn forget_releases(&mut self, at: Timestamp) -> Vec<K> {
        let mut forgotten = Vec::new();
        while let Some((until, order)) = self.forget.first().copied().filter(|(until, _)| *until < at) {
            self.forget.remove(&(until, order));
            self.released.remove(&order);
            forgotten.push(order);
        }
        forgotten
    }

    /// When the first order is to be asked about its hold.
    pub fn next_ask(&self) -> Option<Timestamp> {
        self.schedule.next()
    }

    /// How many holds were asked about, and are there still.
    pub fn asked(&self) -> usize {
        self.schedule.asked()
    }

    /// The orders to ask now: a few at a time, each of which is thereby put off.
    pub fn take_asks(&mut self, now: Timestamp) -> Vec<K> {
        self.schedule.take(now)
    }

    /// The orders whose holds are past their time, the longest first.
    pub fn overdue(&self, now: Timestamp) -> Vec<K> {
        let until = |order: K| self.until(order).map(|until| (until, order));
        let mut past: Vec<_> = self.schedule.past(now).filter_map(until).filter(|(until, _)| *until <= now).collect();
        past.sort_unstable();
        past.into_iter().map(|(_, order)| order).collect()
    }

    /// How many holds there are, and how many of them have a moment at which they are asked about: the same number.
    pub fn timed(&self) -> (usize, usize) {
        (self.open.len() + self.committed.len(), self.schedule.len())
    }

    /// All remembered releases, by their orders.
    pub fn releases(&self) -> Vec<(K, Timestamp)> {
        let mut releases: Vec<_> = self.released.iter().map(|(order, until)| (*order, *until)).collect();
        releases.sort_unstable();
        releases
    }

    /// A remembered release, as a snapshot keeps it.
    pub fn release(&self, order: K) -> Option<&Timestamp> {
        self.released.get(&order)
    }

    /// Takes over a remembered release from a snapshot.
    pub fn restore_release(&mut self, order: K, until: Timestamp) {
        self.forget.insert((until, order));
        self.released.insert(order, until);
    }

    /// Takes over from a snapshot what is committed.
    pub fn restore_committed(&mut self, committed: BTreeMap<K, Timestamp>) {
        for (order, until) in &committed {
            self.schedule.begin(*order, *until);
        }
        self.committed = committed;
    }
}

impl Holds<(), CreditKey> {
    /// What was done by credits of this order, and not closed.
    pub fn credits_of(&self, order: OrderId) -> Vec<CreditId> {
        let own = self.committed.keys().filter(|CreditKey(of, _)| *of == order);
        own.map(|CreditKey(_, credit)| *credit).collect()
    }
}

/// The questions about what was done by credits and not closed: one for each order.
pub fn asks_about(credits: Vec<CreditKey>) -> Vec<EffectKey> {
    let orders: BTreeSet<OrderId> = credits.into_iter().map(|CreditKey(order, _)| order).collect();
    orders.into_iter().map(|order| EffectKey::new(Step::AskCredit, order)).collect()
}

/// A hold that an order was asked about.
#[derive(Clone, Copy, Debug)]
struct Asked {
    times: u32,
    again: Timestamp,
}

/// The holds by their moments. No part of a snapshot: made anew, a vendor asks about all that are past their time.
#[derive(Clone, Debug)]
struct Schedule<K> {
    /// The end of its time for a hold that was not asked about; for one that was, its next turn.
    due: BTreeSet<(Timestamp, K)>,
    asked: HashMap<K, Asked>,
}

impl<K> Default for Schedule<K> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), asked: HashMap::default() }
    }
}

impl<K: HoldKey> Schedule<K> {
    /// There is a hold until then.
    fn begin(&mut self, order: K, until: Timestamp) {
        self.due.insert((until, order));
    }

    /// There was a hold until then.
    fn end(&mut self, order: K, until: Timestamp) {
        // Mostly nobody has been asked: a look into an empty map would still hash.
        let asked = if self.asked.is_empty() { None } else { self.asked.remove(&order) };
        let at = asked.map_or(until, |asked| asked.again);
        self.due.remove(&(at, order));
    }

    /// How many holds have a moment.
    fn len(&self) -> usize {
        self.due.len()
    }

    /// How many were asked about, and are there still.
    fn asked(&self) -> usize {
        self.asked.len()
    }

    /// The first moment.
    fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The holds whose moment has come, or that were asked about before, in no order.
    fn past(&self, now: Timestamp) -> impl Iterator<Item = K> + '_ {
        let come = self.due.iter().take_while(move |(at, _)| *at <= now).map(|(_, order)| *order);
        come.chain(self.asked.iter().filter(move |(_, asked)| asked.again > now).map(|(order, _)| *order))
    }

    /// The few whose moments are longest past. Each has a later one from now on, the later the oftener it was asked about: so those
    /// that are never answered keep nobody from being asked.
    fn take(&mut self, now: Timestamp) -> Vec<K> {
        let past = self.due.iter().take_while(|(at, _)| *at <= now);
        let past: Vec<(Timestamp, K)> = past.take(limits::HOLDS_ASKED_AT_ONCE).copied().collect();
        for (at, order) in &past {
            let times = self.asked.get(order).map_or(0, |asked| asked.times);
            let (first, longest) = (limits::HOLD_ASK_AGAIN_MS, limits::HOLD_ASK_BACKOFF_MS);
            let wait = backoff_ms(first, longest, times, order.seed());
            let again = now.plus_millis(i64::try_from(wait).unwrap_or(i64::MAX));
            self.due.remove(&(*at, *order));
            self.due.insert((again, *order));
            self.asked.insert(*order, Asked { times: times.saturating_add(1), again });
        }
        past.into_iter().map(|(_, order)| order).collect()
    }
}
