//! What people are told of a room, and what may never be among it, whatever a model says.

use super::PEOPLE;
use super::oracle::{GRACE, Terms, Told};
use haat::domain::room::{Place, RoomEvent, TicketStatus};
use haat::domain::time::Timestamp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

use TicketStatus::{Admitted, Called, Closed, Left, Missed, Waiting};

/// What people were told, whatever the model says of it.
#[derive(Debug)]
pub struct Witness {
    terms: Terms,
    pub events: Vec<(Timestamp, RoomEvent)>,
    /// The places of each, oldest first, and how and when the newest stood.
    places: Vec<Vec<Place>>,
    pub last: BTreeMap<usize, (TicketStatus, i64, i64)>,
    given: BTreeMap<Place, usize>,
    /// With which slot each place came in, and those that were out again.
    entered: BTreeMap<Place, u64>,
    was_out: BTreeSet<Place>,
    calls: BTreeSet<(i64, Place)>,
    /// Whether it crashed, and since then: how each place stood last, those that came back, and when somebody asked first.
    has_crashed: bool,
    stood: BTreeMap<Place, (TicketStatus, Option<i64>)>,
    came_back: BTreeSet<Place>,
    first_asked: Option<i64>,
}

impl Witness {
    pub fn new(terms: Terms, events: Vec<(Timestamp, RoomEvent)>) -> Self {
        Self {
            terms,
            events,
            places: vec![Vec::new(); PEOPLE],
            last: BTreeMap::new(),
            given: BTreeMap::new(),
            entered: BTreeMap::new(),
            was_out: BTreeSet::new(),
            calls: BTreeSet::new(),
            has_crashed: false,
            stood: BTreeMap::new(),
            came_back: BTreeSet::new(),
            first_asked: None,
        }
    }

    /// All places, and whose they are.
    pub fn all(&self) -> Vec<(usize, Place)> {
        (0..).zip(&self.places).flat_map(|(who, places)| places.iter().map(move |place| (who, *place))).collect()
    }

    pub fn asked(&mut self, now: i64) {
        self.first_asked.get_or_insert(now);
    }

    pub fn crash(&mut self) {
        (self.has_crashed, self.first_asked) = (true, None);
        (self.stood, self.came_back) = (BTreeMap::new(), BTreeSet::new());
    }

    pub fn heard(&mut self, who: usize, told: &Told, now: i64) {
        let (place, status, _, until, poll, early) = told;
        self.was_called(*place, *status, *until);
        if early.is_none() {
            self.last.insert(who, (*status, now, i64::from(*poll)));
        }
    }

    /// When that was follows from what is told of it, however late.
    fn was_called(&mut self, place: Place, status: TicketStatus, until: Option<i64>) {
        let until = until.filter(|_| status == Called);
        self.calls.extend(until.map(|until| (until - self.terms.claim, place)));
    }

    pub fn came_in(&mut self, place: Place, slot: u64) -> Result<(), TestCaseError> {
        prop_assert_eq!(*self.entered.entry(place).or_insert(slot), slot, "{:?} came in twice", place);
        let times = self.entered.values().filter(|of| **of == slot).count();
        prop_assert_eq!(times, 1, "slot {} was given to two", slot);
        Ok(())
    }

    pub fn place(&self, who: usize, which: usize) -> Option<Place> {
        let places = self.places.get(who)?;
        places.len().checked_sub(1 + which % places.len().max(1)).map(|at| places[at])
    }

    /// The room gave this place to somebody who came.
    pub fn gave(&mut self, who: usize, place: Place, now: i64) -> Result<(), TestCaseError> {
        let newest = self.given.keys().next_back().copied();
        prop_assert_eq!(*self.given.entry(place).or_insert(who), who, "{:?} is another's", place);
        if who >= PEOPLE {
            return Ok(());
        }
        let theirs = &mut self.places[who];
        if !theirs.contains(&place) {
            theirs.push(place);
            let is_next = matches!(place, Place::Drawn(_)) || newest.is_none_or(|newest| newest < place);
            prop_assert!(is_next, "{:?} came before, and now {:?}", newest, place);
            return Ok(());
        }
        let had_missed = match self.stood.get(&place) {
            Some((Called, until)) => until.is_some_and(|until| until <= now),
            stood => stood.is_some_and(|(status, _)| *status == Missed),
        };
        if had_missed {
            prop_assert!(self.came_back.insert(place), "{:?} came back twice", place);
        }
        Ok(())
    }

    /// Looks at what is told of all places that the room knows: who has not shown one since a start is not waited for, but for the grace.
    pub fn judge(&mut self, told: &[Told], now: i64) -> Result<(), TestCaseError> {
        let stands: BTreeMap<_, _> = told.iter().map(|told| (told.0, (told.1, told.3))).collect();
        let count = |of: TicketStatus| stands.values().filter(|(status, _)| *status == of).count();
        prop_assert!(count(Called) + count(Admitted) <= self.terms.capacity, "too many: {:?}", stands);
        let is_grace = self.has_crashed && self.first_asked.is_some_and(|first| now < first + GRACE);
        prop_assert!(count(Called) == 0 || !is_grace, "called within the minute after a start: {:?}", stands);
        for (place, (status, until)) in &stands {
            let waited =
                |other: &&Place| [&stands, &self.stood].iter().all(|all| all.get(*other) == Some(&(Waiting, None)));
            let jumped = || stands.keys().take_while(|other| *other < place).find(waited);
            if *status == Called && self.stood.get(place) != Some(&(Called, *until)) && !self.came_back.contains(place)
            {
                prop_assert_eq!(jumped(), None, "it still waits, and {:?} is called", place);
            }
            self.was_called(*place, *status, *until);
            if self.entered.contains_key(place) {
                prop_assert!(matches!(status, Admitted | Left | Closed), "{:?} was used, and is {:?}", place, status);
                prop_assert!(*status != Admitted || !self.was_out.contains(place), "{:?} is in again", place);
                self.was_out.extend((*status != Admitted).then_some(*place));
            }
        }
        let calls: Vec<i64> = self.calls.iter().map(|(call, _)| *call).collect();
        let is_in_pace = |at: usize| self.terms.is_in_pace(&calls[..at], calls[at]);
        prop_assert!((0..calls.len()).all(is_in_pace), "too fast: {:?}", calls);
        self.stood = stands;
        Ok(())
    }
}
