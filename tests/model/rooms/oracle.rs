//! The plain model of a waiting room: one sorted list of places, and a list of all calls. It calls nothing of the code that is judged by it.

use crate::kept::Tally;
use haat::domain::reject::Reject;
use haat::domain::room::{Place, TicketStatus};
use std::collections::{BTreeMap, BTreeSet};

/// For how long nobody is called after a start.
pub const GRACE: i64 = 60;
/// For how long somebody may come back who missed the turn.
const RETURN: i64 = 300;
/// Numbers that go with one record.
pub const RANGE: u64 = 1_024;
/// What was not called may be called later, but not more than this time's worth at once, in microseconds.
const SLACK_US: i64 = 2_000_000;

use TicketStatus::{Admitted, Called, Closed, Left, Missed, Waiting};

/// The terms of a room, in seconds.
#[derive(Clone, Debug)]
pub struct Terms {
    pub opens: i64,
    pub closes: Option<i64>,
    pub capacity: usize,
    pub per_minute: u32,
    pub claim: i64,
    pub slot: i64,
    /// Everybody's draw follows from it.
    pub seed: u64,
}

impl Terms {
    /// No two have the same: the factor is odd.
    pub fn draw(&self, who: usize) -> u64 {
        (1 + who as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.seed
    }

    /// Whether one more may be called now, when so many were before: since each of them, not more than the pace gives and what may be made up for.
    pub fn is_in_pace(&self, calls: &[i64], now: i64) -> bool {
        let each_us = 60_000_000 / i64::from(self.per_minute);
        let since = |(later, call): (i64, &i64)| later * each_us - (now - call) * 1_000_000;
        (1..).zip(calls.iter().rev()).all(|call| since(call) <= SLACK_US)
    }
}

/// How somebody in the line stands, and until or since when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum How {
    Waits,
    Called(i64),
    Missed(i64),
    Gone,
}

#[derive(Clone, Debug)]
pub struct Spot {
    pub who: usize,
    /// When they last asked, and in how many seconds they were to ask again.
    asked: i64,
    poll: i64,
    how: How,
    came_back: bool,
}

impl Spot {
    fn is_in_line(&self) -> bool {
        matches!(self.how, How::Waits | How::Called(_))
    }
}

/// The oracle.
#[derive(Clone, Debug)]
pub struct Model {
    pub terms: Terms,
    pub now: i64,
    /// What outlasts a crash: the next number, from the next range on; who was let in, with which place, until when; and all such places.
    pub next: u64,
    pub slots: BTreeMap<u64, (usize, Place, i64)>,
    pub next_slot: u64,
    pub used: BTreeSet<Place>,
    /// And what does not: drawn places come before numbers, and each are sorted.
    pub line: BTreeMap<Place, Spot>,
    /// Those of them who missed the turn and came back, in that order.
    back: Vec<Place>,
    /// The one place that counts of each.
    place_of: BTreeMap<usize, Place>,
    calls: Vec<i64>,
    /// Nobody is called before; unknown until the first one asks after a start.
    calls_from: Option<i64>,
}

/// What is said of a place: how it stands, how many are before it, until when, when to ask again, and how much too early that was.
pub type Told = (Place, TicketStatus, Option<u64>, Option<i64>, u32, Option<u32>);

impl Model {
    pub fn new(terms: Terms, now: i64) -> Self {
        Self {
            terms,
            now,
            next: 0,
            slots: BTreeMap::new(),
            next_slot: 0,
            used: BTreeSet::new(),
            line: BTreeMap::new(),
            back: Vec::new(),
            place_of: BTreeMap::new(),
            calls: Vec::new(),
            // Nobody can wait for a room that was just made.
            calls_from: Some(now),
        }
    }

    fn is_over(&self) -> bool {
        self.terms.closes.is_some_and(|closes| closes <= self.now)
    }

    pub fn inside(&self) -> usize {
        self.slots.values().filter(|(.., until)| *until > self.now).count()
    }

    pub fn called(&self) -> usize {
        self.line.values().filter(|spot| matches!(spot.how, How::Called(_))).count()
    }

    pub fn waiting(&self) -> usize {
        self.line.values().filter(|spot| spot.how == How::Waits).count()
    }

    pub fn slot_of(&self, who: usize) -> Option<(u64, Place, i64)> {
        let mut theirs = self.slots.iter().filter(|(_, (of, _, until))| *of == who && *until > self.now);
        theirs.next().map(|(number, (_, place, until))| (*number, *place, *until))
    }

    /// The room is asked something: it sees what time it is.
    pub fn wakes(&mut self, tally: &Tally) {
        self.calls_from.get_or_insert(self.now + GRACE);
        for spot in self.line.values_mut() {
            if let How::Called(until) = spot.how
                && until <= self.now
            {
                tally.count("missed: did not come");
                spot.how = How::Missed(until);
            }
        }
    }

    /// Calls whose turn it is.
    pub fn call(&mut self, tally: &Tally) {
        if self.is_over() {
            (self.line, self.back, self.place_of) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        }
        if self.now < self.terms.opens || self.calls_from.is_none_or(|from| self.now < from) {
            return;
        }
        while self.called() + self.inside() < self.terms.capacity && self.terms.is_in_pace(&self.calls, self.now) {
            let first = || self.line.iter().find(|(_, spot)| spot.how == How::Waits).map(|(place, _)| *place);
            let Some(place) = self.back.first().copied().or_else(first) else { return };
            self.back.retain(|back| *back != place);
            let spot = self.line.get_mut(&place).expect("it is in the line");
            if self.now - spot.asked > 2 * spot.poll {
                tally.count("missed: was silent");
                spot.how = How::Missed(self.now);
            } else {
                tally.count(match place {
                    _ if spot.came_back => "called: came back",
                    Place::Drawn(_) => "called: drawn",
                    Place::Numbered(_) => "called: numbered",
                });
                spot.how = How::Called(self.now + self.terms.claim);
                self.calls.push(self.now);
            }
        }
    }

    pub fn goes(&mut self, place: Place) {
        self.line.entry(place).and_modify(|spot| spot.how = How::Gone);
        self.back.retain(|back| *back != place);
    }

    /// Somebody is let in.
    pub fn comes_in(&mut self, who: usize, place: Place) -> (u64, Place, i64) {
        let (number, until) = (self.next_slot, self.now + self.terms.slot);
        self.next_slot += 1;
        self.slots.insert(number, (who, place, until));
        self.used.insert(place);
        self.goes(place);
        (number, place, until)
    }

    /// Somebody is in the line with this place. Who has two keeps the earlier one.
    fn put(&mut self, who: usize, place: Place, tally: &Tally) {
        self.line.insert(place, Spot { who, asked: self.now, poll: 0, how: How::Waits, came_back: false });
        if let Some(other) = self.place_of.insert(who, place).filter(|other| self.line[other].is_in_line()) {
            tally.count("two places");
            self.place_of.insert(who, place.min(other));
            self.goes(place.max(other));
        }
    }

    pub fn join(&mut self, who: usize, tally: &Tally) -> Result<Place, Reject> {
        if let Some((_, place, _)) = self.slot_of(who) {
            return Ok(place);
        }
        if self.is_over() {
            return Err(Reject::RoomClosed);
        }
        let is_before = self.now < self.terms.opens;
        if let Some((place, spot)) = self.place_of.get(&who).and_then(|place| Some((*place, self.line.get_mut(place)?)))
        {
            let comes_back = match spot.how {
                How::Missed(since) => !spot.came_back && self.now - since < RETURN,
                _ => false,
            };
            if comes_back {
                tally.count("join: comes back");
                (spot.how, spot.came_back) = (How::Waits, true);
                self.back.push(place);
            }
            if spot.how == How::Gone && is_before {
                tally.count("join: again");
                spot.how = How::Waits;
            }
            if spot.is_in_line() {
                spot.asked = self.now;
                return Ok(place);
            }
        }
        let is_new_range = self.next.is_multiple_of(RANGE) && !self.line.is_empty();
        tally.count(match is_before {
            true => "join: drawn",
            false if is_new_range => "join: another range",
            false => "join: numbered",
        });
        let place = if is_before { Place::Drawn(self.terms.draw(who)) } else { Place::Numbered(self.next) };
        self.next += u64::from(!is_before);
        self.put(who, place, tally);
        Ok(place)
    }

    /// Somebody shows a place, and is present thereby. How much too early that is, of somebody who only looks.
    pub fn shows(&mut self, who: usize, place: Place, looks: bool, tally: &Tally) -> Option<u32> {
        if self.is_over() {
            return None;
        }
        if !self.line.contains_key(&place) && !self.used.contains(&place) && self.slot_of(who).is_none() {
            self.put(who, place, tally);
        }
        let spot = self.line.get_mut(&place).filter(|spot| spot.who == who && spot.is_in_line())?;
        let early = spot.asked + spot.poll - self.now;
        if looks && early > 1 {
            return Some(early as u32);
        }
        spot.asked = self.now;
        None
    }

    pub fn told(&mut self, who: usize, place: Place, early: Option<u32>) -> Told {
        let spot = self.line.get(&place).filter(|spot| spot.who == who && !self.used.contains(&place));
        let (status, until) = match (self.slot_of(who), spot.map(|spot| spot.how)) {
            (Some((_, with, until)), _) if with == place => (Admitted, Some(until)),
            _ if self.is_over() => (Closed, None),
            (_, Some(How::Waits)) => (Waiting, None),
            (_, Some(How::Called(until))) => (Called, Some(until)),
            (_, Some(How::Missed(_))) => (Missed, None),
            _ => (Left, None),
        };
        let before = match self.back.iter().position(|back| *back == place) {
            Some(at) => at,
            None => {
                let waits = |(place, spot): &(&Place, &Spot)| spot.how == How::Waits && !self.back.contains(place);
                self.back.len() + self.line.range(..place).filter(waits).count()
            }
        };
        let opens_in = (self.terms.opens - self.now).max(0);
        let poll = match status {
            Waiting => (2 + before as i64 / 1_000 + opens_in).min(60),
            _ => 2,
        };
        if early.is_none() {
            self.line.entry(place).and_modify(|spot| spot.poll = poll);
        }
        let ahead = (status == Waiting && opens_in == 0).then_some(before as u64);
        (place, status, ahead, until, poll as u32, early)
    }

    /// When something ends or begins next.
    pub fn next_moment(&self) -> Option<i64> {
        let spots = self.line.values().map(|spot| match spot.how {
            How::Waits => spot.asked + 2 * spot.poll,
            How::Called(until) => until,
            How::Missed(since) => since + RETURN,
            How::Gone => 0,
        });
        let slots = self.slots.values().map(|(.., until)| *until);
        let others = [Some(self.terms.opens), self.terms.closes, self.calls_from];
        spots.chain(slots).chain(others.into_iter().flatten()).filter(|moment| *moment > self.now).min()
    }

    pub fn crash(&mut self) {
        self.next = self.next.next_multiple_of(RANGE);
        (self.line, self.back, self.place_of) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        (self.calls, self.calls_from) = (Vec::new(), None);
    }
}
