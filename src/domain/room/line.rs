//! The line of a room: who waits, in which order, who is there, and whose turn it is. It is in memory only. After a start it is empty, and fills as
//! those who wait ask: each brings the place along.
//!
//! Two lanes make the line, all of the first before all of the second: those who came before the room opened, by their draws, and those who came later,
//! by their numbers. A lane is cut into blocks, each of which knows how many wait in it. So a place is found, put in or counted from the front with a
//! search and a sum over some hundred blocks, be it the place of the 170,000th; and a place takes 24 bytes.

use super::types::{Place, RoomStatus, RoomTerms};
use crate::domain::time::Timestamp;
use crate::limits;
use foldhash::HashMap;
use std::collections::{BTreeMap, VecDeque};

/// Places in a block at most.
const BLOCK: usize = 512;
/// Calls of which the pace is taken.
const PACE_CALLS: usize = 64;

/// How somebody in the line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Waits.
    Waiting,
    /// Missed their turn, and comes back: is called next.
    Returning,
    /// Is called.
    Called,
    /// Missed their turn.
    Missed,
    /// Gave the place up, or was let in.
    Gone,
}

/// One place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    place: u64,
    /// Whose.
    pub(super) key: u64,
    /// When they last asked; when they missed their turn, of those who did: in seconds after the line began.
    seen: u32,
    /// In how many seconds they were to ask again; 0 while they were not told.
    poll: u8,
    pub(super) standing: Standing,
    /// Whether they have come back once.
    has_returned: bool,
}

impl Spot {
    fn is_in_line(&self) -> bool {
        matches!(self.standing, Standing::Waiting | Standing::Returning | Standing::Called)
    }
}

#[derive(Clone, Debug, Default)]
struct Block {
    waiting: usize,
    spots: Vec<Spot>,
}

/// Places in rising order.
#[derive(Clone, Debug, Default)]
struct Lane {
    places: usize,
    waiting: usize,
    blocks: Vec<Block>,
    /// In no block before this one does anybody wait.
    front: usize,
}

impl Lane {
    /// The block in which a place is, or would be.
    fn block_of(&self, place: u64) -> usize {
        self.blocks.partition_point(|block| block.spots.last().is_some_and(|last| last.place < place))
    }

    fn find(&self, place: u64) -> Option<(usize, usize)> {
        let block = self.block_of(place);
        let at = self.blocks.get(block)?.spots.binary_search_by_key(&place, |spot| spot.place).ok()?;
        Some((block, at))
    }

    fn get(&self, place: u64) -> Option<&Spot> {
        let (block, at) = self.find(place)?;
        Some(&self.blocks[block].spots[at])
    }

    fn change(&mut self, place: u64, change: impl FnOnce(&mut Spot)) {
        let Some((block, at)) = self.find(place) else { return };
        let in_block = &mut self.blocks[block];
        let spot = &mut in_block.spots[at];
        let waited = spot.standing == Standing::Waiting;
        change(spot);
        match (waited, spot.standing == Standing::Waiting) {
            (true, false) => (in_block.waiting, self.waiting) = (in_block.waiting - 1, self.waiting - 1),
            (false, true) => {
                (in_block.waiting, self.waiting) = (in_block.waiting + 1, self.waiting + 1);
                self.front = self.front.min(block);
            }
            _ => {}
        }
    }

    /// Puts in a place that is not there.
    fn put(&mut self, spot: Spot) {
        let block = self.block_of(spot.place);
        // A number that follows all others begins a new block when the last is full: so most blocks are full.
        let at_end = block == self.blocks.len();
        let block = match at_end {
            true if self.blocks.last().is_some_and(|last| last.spots.len() < BLOCK) => block - 1,
            true => {
                self.blocks.push(Block::default());
                block
            }
            false => block,
        };
        let waits = usize::from(spot.standing == Standing::Waiting);
        let into = &mut self.blocks[block];
        let at = into.spots.partition_point(|other| other.place < spot.place);
        into.spots.insert(at, spot);
        into.waiting += waits;
        (self.waiting, self.places) = (self.waiting + waits, self.places + 1);
        self.front = self.front.min(block);
        if into.spots.len() > BLOCK {
            let back = into.spots.split_off(BLOCK / 2);
            into.spots.shrink_to(BLOCK);
            let count = |spots: &[Spot]| spots.iter().filter(|spot| spot.standing == Standing::Waiting).count();
            into.waiting = count(&into.spots);
            let back = Block { waiting: count(&back), spots: back };
            self.blocks.insert(block + 1, back);
        }
    }

    /// What it takes of memory, in bytes.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        let spots: usize = self.blocks.iter().map(|block| block.spots.capacity()).sum();
        spots * size_of::<Spot>() + self.blocks.capacity() * size_of::<Block>()
    }

    /// Who waits at the front.
    fn first(&mut self) -> Option<Spot> {
        while self.blocks.get(self.front).is_some_and(|block| block.waiting == 0) {
            self.front += 1;
        }
        let block = self.blocks.get(self.front)?;
        block.spots.iter().find(|spot| spot.standing == Standing::Waiting).copied()
    }

    /// How many wait before a place.
    fn ahead(&self, place: u64) -> usize {
        let block = self.block_of(place);
        let before: usize = self.blocks[..block].iter().map(|block| block.waiting).sum();
        let spots = self.blocks.get(block).map_or(&[][..], |block| &block.spots);
        let within = spots.iter().take_while(|spot| spot.place < place);
        before + within.filter(|spot| spot.standing == Standing::Waiting).count()
    }
}

/// A line.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// When it began.
    began: Timestamp,
    /// Nobody is called before: after a start all who wait must have had the time to say so.
    calls_from: Timestamp,
    drawn: Lane,
    numbered: Lane,
    /// The draws of those whose draw counts.
    draws: HashMap<u64, u64>,
    /// The numbers of all others. That these are two tables spares a third of them.
    numbers: HashMap<u64, u64>,
    /// The number that the next one gets.
    pub(super) next_number: u64,
    /// Those who missed their turn and come back, in the order in which they did.
    returning: VecDeque<Place>,
    /// Those who are called, with the moment until which they may come in.
    called: BTreeMap<Place, Timestamp>,
    /// When the first of these is over.
    next_missed: Option<Timestamp>,
    /// When the next may be called at an even pace, in microseconds (GCRA, ITU-T I.371).
    even_us: i64,
    /// When the last ones were called.
    paces: VecDeque<Timestamp>,
    /// The last moment that it knows of.
    pub(super) now: Timestamp,
}

/// How many seconds somebody waits until they ask again, before whom so many wait: 170,000 ask about 5,000 times a second together.
pub(super) fn poll_after(ahead: u64) -> u8 {
    let more = u8::try_from(ahead / limits::ROOM_POLL_STEP).unwrap_or(u8::MAX);
    more.saturating_add(limits::ROOM_POLL_FROM).min(limits::ROOM_POLL_UPTO)
}

impl Line {
    /// An empty one. `began_anew` says that there may be people who wait for it.
    pub(super) fn new(now: Timestamp, next_number: u64, began_anew: bool) -> Self {
        let grace_ms = if began_anew { i64::from(limits::ROOM_POLL_UPTO) * 1_000 } else { 0 };
        Self {
            began: now,
            calls_from: now.plus_millis(grace_ms),
            drawn: Lane::default(),
            numbered: Lane::default(),
            draws: HashMap::default(),
            numbers: HashMap::default(),
            next_number,
            returning: VecDeque::new(),
            called: BTreeMap::new(),
            next_missed: None,
            even_us: 0,
            paces: VecDeque::new(),
            now,
        }
    }

    /// What those who wait take of memory, in bytes. A table of `hashbrown` has a byte for each of its places beside what stands there, and fills seven
    /// eighths of them.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let table = |table: &HashMap<u64, u64>| (table.capacity() * 8).div_ceil(7) * (size_of::<(u64, u64)>() + 1);
        self.drawn.bytes() + self.numbered.bytes() + table(&self.draws) + table(&self.numbers)
    }

    fn seconds(&self, now: Timestamp) -> u32 {
        u32::try_from(now.millis_since(self.began).max(0) / 1_000).unwrap_or(u32::MAX)
    }

    fn lane(&self, place: Place) -> (&Lane, u64) {
        match place {
            Place::Drawn(place) => (&self.drawn, place),
            Place::Numbered(place) => (&self.numbered, place),
        }
    }

    fn lane_mut(&mut self, place: Place) -> (&mut Lane, u64) {
        match place {
            Place::Drawn(place) => (&mut self.drawn, place),
            Place::Numbered(place) => (&mut self.numbered, place),
        }
    }

    pub(super) fn get(&self, place: Place) -> Option<&Spot> {
        let (lane, place) = self.lane(place);
        lane.get(place)
    }

    fn change(&mut self, place: Place, change: impl FnOnce(&mut Spot)) {
        let (lane, place) = self.lane_mut(place);
        lane.change(place, change);
    }

    /// Until when somebody may come in who is called.
    pub(super) fn called_until(&self, place: Place) -> Option<Timestamp> {
        self.called.get(&place).copied()
    }

    /// How many are called.
    pub(super) fn called(&self) -> usize {
        self.called.len()
    }

    /// How many places it remembers.
    pub(super) fn places(&self) -> usize {
        self.drawn.places + self.numbered.places
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u64 {
        (self.drawn.waiting + self.numbered.waiting + self.returning.len()) as u64
    }

    /// The place that they have, or had last.
    pub(super) fn place_of(&self, key: u64) -> Option<Place> {
        let draw = || self.draws.get(&key).map(|draw| Place::Drawn(*draw));
        self.numbers.get(&key).map(|number| Place::Numbered(*number)).or_else(draw)
    }

    /// This place of theirs counts, and no other does.
    fn counts(&mut self, key: u64, place: Place) {
        match place {
            Place::Drawn(draw) => {
                self.draws.insert(key, draw);
                self.numbers.remove(&key);
            }
            Place::Numbered(number) => {
                self.numbers.insert(key, number);
                self.draws.remove(&key);
            }
        }
    }

    /// How many wait before this place, which waits.
    pub(super) fn ahead(&self, place: Place) -> u64 {
        if let Some(at) = self.returning.iter().position(|returning| *returning == place) {
            return at as u64;
        }
        let (lane, at) = self.lane(place);
        let before = match place {
            Place::Drawn(_) => 0,
            Place::Numbered(_) => self.drawn.waiting,
        };
        (self.returning.len() + before + lane.ahead(at)) as u64
    }

    /// In how many seconds so many are called, at the pace of the last calls.
    pub(super) fn wait_seconds(&self, ahead: u64, now: Timestamp) -> Option<u64> {
        let first = self.paces.front()?;
        let calls = self.paces.len() as u64;
        let took_ms = now.millis_since(*first).max(1).unsigned_abs();
        Some((ahead + 1).saturating_mul(took_ms).div_ceil(calls * 1_000))
    }

    /// Takes somebody in who says that this is their place: they were there before a start, or have just got it.
    pub(super) fn put(&mut self, place: Place, key: u64, now: Timestamp) {
        let seen = self.seconds(now);
        let (lane, at) = self.lane_mut(place);
        lane.put(Spot { place: at, key, seen, poll: 0, standing: Standing::Waiting, has_returned: false });
        // Who did not bring a place along after a start has got another: the earlier one counts.
        let other = self.place_of(key).filter(|other| *other != place);
        match other.filter(|other| self.get(*other).is_some_and(Spot::is_in_line)) {
            None => self.counts(key, place),
            Some(other) => {
                self.counts(key, place.min(other));
                self.is_gone(place.max(other));
            }
        }
    }

    /// They wait again, as before: nobody was called yet when they left.
    pub(super) fn wait_again(&mut self, place: Place, now: Timestamp) {
        self.change(place, |spot| spot.standing = Standing::Waiting);
        self.asked(place, now);
    }

    /// In how many seconds it would be in time that they ask, where it is too soon.
    pub(super) fn too_soon(&self, place: Place, now: Timestamp) -> Option<u32> {
        let (seconds, spot) = (self.seconds(now), self.get(place)?);
        let may_ask_at = spot.seen.saturating_add(u32::from(spot.poll));
        // A second is for the way there.
        (spot.is_in_line() && seconds.saturating_add(1) < may_ask_at).then(|| may_ask_at - seconds)
    }

    /// They have asked. Whoever is told anew when to ask again has asked: else they would be silent for longer than they know.
    pub(super) fn asked(&mut self, place: Place, now: Timestamp) {
        let seconds = self.seconds(now);
        self.change(place, |spot| {
            if spot.is_in_line() {
                spot.seen = seconds;
            }
        });
    }

    /// They were told to ask again in so many seconds.
    pub(super) fn told(&mut self, place: Place, poll: u8) {
        self.change(place, |spot| spot.poll = poll);
    }

    /// Whether they may come back to the front, who missed their turn: once, and not for long.
    pub(super) fn may_return(&self, place: Place, now: Timestamp) -> bool {
        let missed_for = |spot: &Spot| self.seconds(now).saturating_sub(spot.seen);
        self.get(place).is_some_and(|spot| !spot.has_returned && missed_for(spot) < limits::ROOM_RETURN_SECONDS)
    }

    /// They come back to the front.
    pub(super) fn comes_back(&mut self, place: Place, now: Timestamp) {
        let seconds = self.seconds(now);
        self.change(place, |spot| {
            spot.standing = Standing::Returning;
            spot.has_returned = true;
            (spot.seen, spot.poll) = (seconds, 0);
        });
        self.returning.push_back(place);
    }

    /// They do not wait any more: they left, or were let in.
    pub(super) fn is_gone(&mut self, place: Place) {
        self.called.remove(&place);
        self.returning.retain(|returning| *returning != place);
        self.change(place, |spot| spot.standing = Standing::Gone);
    }

    fn has_missed(&mut self, place: Place, now: Timestamp) {
        let seconds = self.seconds(now);
        self.change(place, |spot| (spot.standing, spot.seen) = (Standing::Missed, seconds));
    }

    fn is_absent(&self, spot: &Spot, now: Timestamp) -> bool {
        let poll = if spot.poll == 0 { limits::ROOM_POLL_UPTO } else { spot.poll };
        self.seconds(now).saturating_sub(spot.seen) > 2 * u32::from(poll)
    }

    /// Who is called next, of those who are there; whoever is not has missed their turn.
    fn next(&mut self, now: Timestamp) -> Option<Place> {
        while let Some(place) = self.returning.pop_front() {
            match self.get(place).copied() {
                Some(spot) if !self.is_absent(&spot, now) => return Some(place),
                _ => self.has_missed(place, now),
            }
        }
        loop {
            let (place, spot) = match self.drawn.first() {
                Some(spot) => (Place::Drawn(spot.place), spot),
                None => self.numbered.first().map(|spot| (Place::Numbered(spot.place), spot))?,
            };
            if !self.is_absent(&spot, now) {
                return Some(place);
            }
            self.has_missed(place, now);
        }
    }

    fn empty(&mut self) {
        (self.drawn, self.numbered) = (Lane::default(), Lane::default());
        (self.draws, self.numbers) = (HashMap::default(), HashMap::default());
        (self.returning, self.called) = (VecDeque::new(), BTreeMap::new());
        self.next_missed = None;
    }

    /// Lets time pass: who was called and did not come has missed the turn. What time it is.
    pub(super) fn expire(&mut self, now: Timestamp) -> Timestamp {
        let now = now.max(self.now);
        self.now = now;
        if self.next_missed.is_some_and(|at| at <= now) {
            let over = self.called.iter().filter(|(_, until)| **until <= now).map(|(place, until)| (*place, *until));
            for (place, until) in over.collect::<Vec<_>>() {
                self.called.remove(&place);
                // However late that is seen: nobody may have asked meanwhile.
                self.has_missed(place, until);
            }
            self.next_missed = self.called.values().min().copied();
        }
        now
    }

    /// Calls as many as there are slots beside those who are in, at the pace of the room.
    pub(super) fn call(&mut self, terms: &RoomTerms, admitted: impl Fn() -> usize) {
        let now = self.now;
        match terms.status(now) {
            // Nobody waits for what is over.
            RoomStatus::Closed => return self.empty(),
            RoomStatus::Scheduled => return,
            RoomStatus::Open if now < self.calls_from => return,
            RoomStatus::Open => {}
        }
        let now_us = now.as_millis().saturating_mul(1_000);
        let interval_us = 60_000_000 / i64::from(terms.admit_per_minute.max(1));
        if self.even_us > now_us || self.waiting() == 0 {
            return;
        }
        let slots = (terms.capacity as usize).saturating_sub(admitted());
        while self.called.len() < slots && self.even_us <= now_us {
            let Some(place) = self.next(now) else { return };
            // What was not called is made up for as far as nobody may have asked meanwhile.
            let slack_us = i64::from(limits::ROOM_POLL_FROM) * 1_000_000;
            self.even_us = self.even_us.max(now_us - slack_us) + interval_us;
            let until = now.plus_millis(i64::from(terms.claim_seconds) * 1_000);
            self.change(place, |spot| spot.standing = Standing::Called);
            self.called.insert(place, until);
            self.next_missed = Some(self.next_missed.map_or(until, |at| at.min(until)));
            self.paces.push_back(now);
            if self.paces.len() > PACE_CALLS {
                self.paces.pop_front();
            }
        }
    }
}
