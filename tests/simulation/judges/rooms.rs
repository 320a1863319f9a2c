//! Waiting rooms: nobody is given a number that another was given, no place is used twice, no more are in than there is room for, and nobody is called
//! before an earlier one who waits. It reads the records of rooms, hears what people were told of their places, and counts for itself.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::ids::RoomId;
use haat::domain::room::{Entrant, Place, RoomEvent, RoomTerms, Slot, TicketStatus, TicketView};
use haat::domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// The draw of somebody in a room of the town.
pub fn draw_of(room: RoomId, of: Entrant) -> u64 {
    xxhash_rust::xxh3::xxh3_64(format!("{room}/{of}").as_bytes())
}

/// The time in which somebody was told again and again that a place waits, and asked in time.
struct Waits {
    place: Place,
    from: Timestamp,
    /// When it was asked for the last time.
    to: Timestamp,
    /// Until when to ask again.
    in_time: Timestamp,
    /// In which life it was said last, where that is known.
    life: Option<Life>,
}

/// A node, and how many of its actors' lives had ended by then.
type Life = (u64, u64);

/// Somebody was called in this life, some time between these.
struct Called {
    place: Place,
    life: Life,
    after: Timestamp,
    by: Timestamp,
}

#[derive(Default)]
struct Seen {
    terms: Option<RoomTerms>,
    reserved: u64,
    slots: BTreeMap<u64, Slot>,
    next_slot: u64,
    used: BTreeSet<Place>,
    numbers: BTreeMap<u64, Entrant>,
    waits: BTreeMap<Entrant, Waits>,
    called: Vec<Called>,
}

pub struct Rooms {
    seen: Mutex<BTreeMap<RoomId, Seen>>,
    world: Arc<World>,
}

impl Rooms {
    pub fn new(world: Arc<World>) -> Self {
        Self { seen: Mutex::default(), world }
    }

    /// The slot that somebody has.
    pub fn slot_of(&self, room: RoomId, of: Entrant) -> Option<u64> {
        let seen = lock(&self.seen);
        seen.get(&room)?.slots.iter().find(|(_, slot)| slot.entrant == of).map(|(number, _)| *number)
    }

    /// Somebody gave the place up, as far as anybody knows.
    pub fn left(&self, room: RoomId, of: Entrant) {
        lock(&self.seen).entry(room).or_default().waits.remove(&of);
    }

    /// Somebody who asked at this moment is told this now, in this life as far as anybody knows. Who was called, and had not heard of it when a life
    /// ended, waits again: so calls are judged by what is said of both in the same life.
    pub fn told(&self, room: RoomId, of: Entrant, ticket: &TicketView, asked: Timestamp, life: Option<Life>) {
        let now = self.world.now();
        let seen = &mut *lock(&self.seen);
        let seen = seen.entry(room).or_default();
        match ticket.place {
            Place::Numbered(number) => {
                if *seen.numbers.entry(number).or_insert(of) != of {
                    self.world.breach(format_args!("{room}: number {number} was given to two"));
                }
                if number >= seen.reserved {
                    self.world
                        .breach(format_args!("{room}: number {number} is told, and {} are reserved", seen.reserved));
                }
            }
            Place::Drawn(draw) if draw != draw_of(room, of) => {
                self.world.breach(format_args!("{room}: {of} is told another's draw"));
            }
            Place::Drawn(_) => {}
        }
        let before = seen.waits.remove(&of);
        // What was silent for too long may have been passed over, and what has another place is somebody else.
        let before = before.filter(|waits| waits.place == ticket.place && asked <= waits.in_time);
        match ticket.status {
            TicketStatus::Waiting => {
                // An answer may be long on its way: it is in time in any case while this time lasts.
                let in_time = asked.plus_millis(1_000 * i64::from(ticket.poll_after_seconds));
                let from = before.map_or(now, |before| before.from);
                let waits = Waits { place: ticket.place, from, to: asked, in_time: in_time.plus_millis(900), life };
                let jumped = |called: &&Called| {
                    called.place > waits.place
                        && life == Some(called.life)
                        && called.after >= waits.from
                        && called.by <= waits.to
                };
                if let Some(called) = seen.called.iter().find(jumped) {
                    self.world.breach(format_args!(
                        "{room}: {:?} is called, and {:?} still waits",
                        called.place, waits.place
                    ));
                }
                seen.waits.insert(of, waits);
            }
            TicketStatus::Called => {
                self.world.count("calls");
                if let (Some(before), Some(life)) = (before.filter(|before| before.life == life), life) {
                    seen.called.push(Called { place: ticket.place, life, after: before.to, by: now });
                }
            }
            _ => {}
        }
    }

    fn admitted(&self, id: RoomId, seen: &mut Seen, number: u64, who: &Slot, at: Timestamp) {
        let breach = |what: String| self.world.breach(format_args!("{id}: {what}"));
        let Some(terms) = &seen.terms else { return breach("somebody is let into no room".into()) };
        self.world.count("admissions");
        seen.slots.retain(|_, slot| slot.until > at);
        if number < seen.next_slot {
            breach(format!("slot {number} is given a second time"));
        }
        seen.next_slot = number + 1;
        if !seen.used.insert(who.place) {
            breach(format!("{:?} is used a second time", who.place));
        }
        if seen.slots.values().any(|slot| slot.entrant == who.entrant) {
            breach(format!("{} is in twice", who.entrant));
        }
        if seen.slots.len() >= terms.capacity as usize {
            breach(format!("{} are in, and one more comes", seen.slots.len()));
        }
        if at < terms.opens_at || terms.closes_at.is_some_and(|closes_at| at >= closes_at) {
            breach("somebody is let in while it is not open".into());
        }
        if who.until.millis_since(at) > 1_000 * i64::from(terms.slot_seconds) {
            breach("a slot lasts too long".into());
        }
        match who.place {
            Place::Drawn(draw) if draw != draw_of(id, who.entrant) => breach("another's draw is used".into()),
            Place::Numbered(number) if seen.numbers.get(&number).is_some_and(|of| *of != who.entrant) => {
                breach(format!("number {number} is used by another"));
            }
            Place::Numbered(number) if number >= seen.reserved => breach(format!("number {number} was never reserved")),
            Place::Drawn(_) => self.world.count("admissions by the draw"),
            Place::Numbered(_) => {}
        }
        seen.slots.insert(number, *who);
    }
}

impl Judge for Rooms {
    fn record(&self, _: &Replay, record: &Recorded<'_>, _: &mut Causes) {
        let Events::Room(id, events) = &record.events else { return };
        let seen = &mut *lock(&self.seen);
        let seen = seen.entry(*id).or_default();
        for event in events {
            match event {
                RoomEvent::RoomMade { terms, .. } => {
                    if seen.terms.replace((**terms).clone()).is_some() {
                        self.world.breach(format_args!("{id} is made twice"));
                    }
                }
                RoomEvent::NumbersReserved { upto } => {
                    self.world.count("numbers reserved");
                    if *upto <= seen.reserved {
                        self.world.breach(format_args!("{id}: {upto} after {} are reserved", seen.reserved));
                    }
                    seen.reserved = *upto;
                }
                RoomEvent::Admitted { slot, who } => self.admitted(*id, seen, *slot, who, record.at),
                RoomEvent::SlotFreed { slot } => {
                    self.world.count("slots freed");
                    if seen.slots.remove(slot).is_none() {
                        self.world.breach(format_args!("{id}: slot {slot} is freed, and nobody is in by it"));
                    }
                }
            }
        }
    }
}
