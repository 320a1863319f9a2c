//! A waiting room: who comes to a sale when more want to than there is room for.
//!
//! Nothing is recorded of those who wait. A place is a ticket that says itself which it is; the room keeps in memory who waits ([`line`]), and records
//! that numbers were given out, in ranges, and who was let in. So 170,000 people in line are some hundred records, and after a crash no number comes
//! twice, and nobody is let in twice with one place.
//!
//! Whoever comes before the room opens has a draw: it follows from a seed that is fixed when the room is made and shown when it opens, and from who
//! they are. So coming early a thousand times gains nothing, and anyone can draw again.

mod line;
#[cfg(test)]
mod tests;
mod types;

pub use types::*;

use super::entity::{
    Asks, By, Checks, Decides, Delta, Effect, EffectKey, Keeps, Part, RestoreError, read_part, write_part,
};
use super::ids::{EntityId, Kind, RoomId};
use super::invariants::Breach;
use super::knowledge::Knowledge;
use super::reject::Reject;
use super::time::Timestamp;
use super::who::{Action, TheShop, may};
use crate::limits;
use foldhash::HashMap;
use line::{Line, Standing, poll_after};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A room's state.
#[derive(Clone, Debug)]
pub struct Room {
    id: RoomId,
    is: Option<Is>,
    /// The slots of those who are in.
    slot_of: HashMap<Entrant, u64>,
    /// Places with which somebody was let in: each is good for once.
    used: BTreeMap<Block, BTreeSet<u64>>,
    /// What the next delta gives.
    changed: BTreeSet<Block>,
    /// Who waits: in no snapshot, and empty after a start.
    line: Option<Line>,
    /// Whether it was made in this very process: any other may have people who wait for it, of whom nothing is known yet.
    is_new: bool,
    /// What was heard last.
    heard: Result<Heard, Reject>,
}

/// The part of a snapshot that has no name.
#[derive(Serialize, Deserialize)]
struct Head {
    id: RoomId,
    is: Option<Is>,
}

/// What it is from its first event on.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Is {
    terms: RoomTerms,
    made_at: Timestamp,
    /// Numbers below this one may have been given out.
    #[serde(default)]
    reserved: u64,
    /// The number of the next slot.
    #[serde(default)]
    next_slot: u64,
    /// Those who were let in and whose time was not over when the last one was.
    #[serde(default)]
    slots: BTreeMap<u64, Slot>,
}

impl Is {
    /// How many are in. All slots last equally long: those whose time is over are the first.
    fn admitted(&self, now: Timestamp) -> usize {
        self.slots.len() - self.slots.values().take_while(|slot| slot.until <= now).count()
    }
}

/// Places that a snapshot keeps together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Block {
    /// Draws with these bits at the front.
    Drawn(u8),
    /// So many thousand numbers, about.
    Numbered(u64),
}

impl Block {
    const NUMBERS: u64 = 1_024;

    fn of(place: Place) -> (Self, u64) {
        match place {
            Place::Drawn(draw) => (Self::Drawn((draw >> 56) as u8), draw),
            Place::Numbered(number) => (Self::Numbered(number / Self::NUMBERS), number),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Drawn(block) => format!("drawn/{block}"),
            Self::Numbered(block) => format!("numbered/{block}"),
        }
    }

    fn named(name: &str) -> Option<Self> {
        match name.split_once('/')? {
            ("drawn", block) => block.parse().ok().map(Self::Drawn),
            ("numbered", block) => block.parse().ok().map(Self::Numbered),
            _ => None,
        }
    }
}

/// What was heard, before anything was decided.
#[derive(Clone, Copy, Debug)]
enum Heard {
    /// Nothing of a place.
    Nothing,
    /// Of this place, and in how many seconds the question would have been in time that came too soon.
    Place(Entrant, Place, Option<u32>),
}

impl Room {
    fn has_used(&self, place: Place) -> bool {
        let (block, number) = Block::of(place);
        self.used.get(&block).is_some_and(|used| used.contains(&number))
    }

    /// Begins the line, and lets the time of those pass who were called. What time it is: a clock that is set back makes nothing undone.
    fn begin(&mut self, now: Timestamp) -> Timestamp {
        let Some(is) = &self.is else { return now };
        let line = self.line.get_or_insert_with(|| Line::new(now, is.reserved, !self.is_new));
        line.expire(now)
    }

    /// Calls whose turn it is.
    fn call(&mut self) {
        if let (Some(is), Some(line)) = (&self.is, &mut self.line) {
            let now = line.now;
            line.call(&is.terms, || is.admitted(now));
        }
    }

    /// The slot that they are in.
    fn slot(&self, entrant: Entrant, place: Place, now: Timestamp) -> Option<(u64, Slot)> {
        let (number, slot) = self.slot_of(entrant, now)?;
        (slot.place == place).then_some((number, slot))
    }

    fn slot_of(&self, entrant: Entrant, now: Timestamp) -> Option<(u64, Slot)> {
        let number = *self.slot_of.get(&entrant)?;
        let slot = *self.is.as_ref()?.slots.get(&number)?;
        (slot.until > now).then_some((number, slot))
    }

    /// The place that they have, or get.
    ///
    /// # Errors
    /// [`Reject::RoomUnknown`], [`Reject::RoomClosed`], [`Reject::TooMany`].
    fn join(&mut self, entrant: Entrant, draw: u64, now: Timestamp) -> Result<Place, Reject> {
        if let Some((_, slot)) = self.slot_of(entrant, now) {
            return Ok(slot.place);
        }
        let (Some(is), Some(line)) = (&self.is, &mut self.line) else { return Err(Reject::RoomUnknown) };
        let status = is.terms.status(now);
        if status == RoomStatus::Closed {
            return Err(Reject::RoomClosed);
        }
        let key = entrant.key();
        if let Some((place, spot)) = line.place_of(key).and_then(|place| Some((place, *line.get(place)?))) {
            match spot.standing {
                Standing::Waiting | Standing::Returning | Standing::Called => {
                    line.asked(place, now);
                    return Ok(place);
                }
                Standing::Missed if line.may_return(place, now) => {
                    line.comes_back(place, now);
                    return Ok(place);
                }
                Standing::Gone if status == RoomStatus::Scheduled => {
                    line.wait_again(place, now);
                    return Ok(place);
                }
                Standing::Missed | Standing::Gone => {}
            }
        }
        if line.places() >= limits::ROOM_PLACES {
            return Err(Reject::TooMany { what: "places in one waiting room".into(), limit: limits::ROOM_PLACES });
        }
        let place = if status == RoomStatus::Scheduled {
            Place::Drawn(draw)
        } else {
            let number = line.next_number;
            line.next_number += 1;
            Place::Numbered(number)
        };
        line.put(place, key, now);
        Ok(place)
    }

    /// Somebody says that they have this place: they are there. In how many seconds it would have been in time, where they look too soon.
    fn is_there(&mut self, entrant: Entrant, place: Place, looks: bool, now: Timestamp) -> Option<u32> {
        // Who is in does not wait as well, though they found another place of theirs after a start.
        let cannot_wait = self.has_used(place) || self.slot_of(entrant, now).is_some();
        let (is, line) = (self.is.as_ref()?, self.line.as_mut()?);
        if is.terms.status(now) == RoomStatus::Closed {
            return None;
        }
        // A place that was never given out was given by nobody.
        let is_place =
            matches!(place, Place::Drawn(_)) || matches!(place, Place::Numbered(number) if number < line.next_number);
        if !cannot_wait && is_place && line.get(place).is_none() {
            line.put(place, entrant.key(), now);
        }
        let is_theirs = line.get(place).is_some_and(|spot| spot.key == entrant.key());
        if !is_theirs {
            return None;
        }
        let too_soon = line.too_soon(place, now).filter(|_| looks);
        if too_soon.is_none() {
            line.asked(place, now);
        }
        too_soon
    }

    /// How a place stands.
    fn status(&self, is: &Is, line: &Line, entrant: Entrant, place: Place) -> (TicketStatus, Option<Timestamp>) {
        let now = line.now;
        if let Some((_, slot)) = self.slot(entrant, place, now) {
            return (TicketStatus::Admitted, Some(slot.until));
        }
        if is.terms.status(now) == RoomStatus::Closed {
            return (TicketStatus::Closed, None);
        }
        let spot = line.get(place).filter(|spot| spot.key == entrant.key() && !self.has_used(place));
        match spot.map(|spot| spot.standing) {
            Some(Standing::Waiting | Standing::Returning) => (TicketStatus::Waiting, None),
            Some(Standing::Called) => (TicketStatus::Called, line.called_until(place)),
            Some(Standing::Missed) => (TicketStatus::Missed, None),
            Some(Standing::Gone) | None => (TicketStatus::Left, None),
        }
    }

    fn ticket(&self, entrant: Entrant, place: Place, too_soon: Option<u32>) -> Option<TicketView> {
        let (is, line) = (self.is.as_ref()?, self.line.as_ref()?);
        let (status, until) = self.status(is, line, entrant, place);
        let waits = status == TicketStatus::Waiting && is.terms.is_open(line.now);
        let ahead = waits.then(|| line.ahead(place));
        let knows_pace = is.next_slot >= limits::ROOM_PACE_FROM;
        let wait_seconds = ahead.filter(|_| knows_pace).and_then(|ahead| line.wait_seconds(ahead, line.now));
        let poll = match (status, ahead) {
            (TicketStatus::Waiting, Some(ahead)) => poll_after(ahead),
            // Before it opens they ask when it does: those at the front first, so that not all come in one second.
            (TicketStatus::Waiting, None) => {
                let opens_in = is.terms.opens_at.millis_since(line.now).max(0) / 1_000;
                let opens_in = u8::try_from(opens_in).unwrap_or(u8::MAX);
                poll_after(line.ahead(place)).saturating_add(opens_in).min(limits::ROOM_POLL_UPTO)
            }
            _ => limits::ROOM_POLL_FROM,
        };
        Some(TicketView { place, status, ahead, wait_seconds, until, poll_after_seconds: poll.into(), too_soon })
    }

    /// As anyone sees it.
    fn view(&self) -> Result<RoomView, Reject> {
        let is = self.is.as_ref().ok_or(Reject::RoomUnknown)?;
        let now = self.line.as_ref().map_or(Timestamp::default(), |line| line.now);
        let waiting = self.line.as_ref().map_or(0, Line::waiting);
        Ok(RoomView { id: self.id, terms: is.terms.clone(), waiting, admitted: is.admitted(now) as u64 })
    }

    fn decide_enter(&self, entrant: Entrant, place: Place, now: Timestamp) -> Result<Vec<RoomEvent>, Reject> {
        let (Some(is), Some(line)) = (&self.is, &self.line) else { return Err(Reject::RoomUnknown) };
        let now = now.max(line.now);
        match self.status(is, line, entrant, place).0 {
            TicketStatus::Admitted => Ok(Vec::new()),
            TicketStatus::Closed => Err(Reject::RoomClosed),
            TicketStatus::Called => {
                let until = now.plus_millis(i64::from(is.terms.slot_seconds) * 1_000);
                Ok(vec![RoomEvent::Admitted { slot: is.next_slot, who: Slot { entrant, place, until } }])
            }
            _ => Err(Reject::NotCalled),
        }
    }

    /// What is to be recorded of numbers that were given out.
    fn reserves(&self) -> Option<RoomEvent> {
        let (is, line) = (self.is.as_ref()?, self.line.as_ref()?);
        let upto = is.reserved.saturating_add(limits::ROOM_NUMBERS);
        (line.next_number > is.reserved).then_some(RoomEvent::NumbersReserved { upto })
    }
}

impl Room {
    /// Its terms; `None` before it was made.
    pub fn terms(&self) -> Option<&RoomTerms> {
        self.is.as_ref().map(|is| &is.terms)
    }
}

impl Decides for Room {
    const KIND: Kind = Kind::Room;
    const UNKNOWN: Reject = Reject::RoomUnknown;
    type Id = RoomId;
    type Command = RoomCommand;
    type Event = RoomEvent;
    type Reply = RoomReply;

    fn new(id: RoomId) -> Self {
        Self {
            id,
            is: None,
            slot_of: HashMap::default(),
            used: BTreeMap::new(),
            changed: BTreeSet::new(),
            line: None,
            is_new: false,
            heard: Ok(Heard::Nothing),
        }
    }

    fn heard(&mut self, command: &RoomCommand, now: Timestamp) {
        let now = self.begin(now);
        self.heard = Ok(Heard::Nothing);
        match command {
            RoomCommand::Create { .. } => self.is_new |= self.is.is_none(),
            RoomCommand::Join { entrant, draw } => {
                self.heard = self.join(*entrant, *draw, now).map(|place| Heard::Place(*entrant, place, None));
            }
            RoomCommand::Look { entrant, place } | RoomCommand::Enter { entrant, place } => {
                let looks = matches!(command, RoomCommand::Look { .. });
                let too_soon = self.is_there(*entrant, *place, looks, now);
                self.heard = Ok(Heard::Place(*entrant, *place, too_soon));
            }
            RoomCommand::Leave { entrant, place } => {
                if let Some(line) = &mut self.line
                    && line.get(*place).is_some_and(|spot| spot.key == entrant.key())
                {
                    line.is_gone(*place);
                }
            }
            RoomCommand::Show | RoomCommand::HasBought { .. } => {}
        }
        // Whoever asks is there, and may be the next; whoever left may have been.
        self.call();
        if let Ok(Heard::Place(entrant, place, None)) = self.heard
            && let Some(view) = self.ticket(entrant, place, None)
            && let Some(line) = &mut self.line
        {
            line.told(place, u8::try_from(view.poll_after_seconds).unwrap_or(limits::ROOM_POLL_UPTO));
        }
    }

    fn decide(&self, command: &RoomCommand, _: &Knowledge<'_>, now: Timestamp) -> Result<Vec<RoomEvent>, Reject> {
        if let RoomCommand::Create { by, terms } = command {
            if !may(*by, Action::EditRooms, &TheShop) {
                return Err(Reject::RoomUnknown);
            }
            let made = RoomEvent::RoomMade { terms: terms.clone(), by: By::of(*by) };
            return Ok(self.is.is_none().then_some(made).into_iter().collect());
        }
        let is = self.is.as_ref().ok_or(Reject::RoomUnknown)?;
        match command {
            RoomCommand::Create { .. } | RoomCommand::Show | RoomCommand::Look { .. } => Ok(Vec::new()),
            RoomCommand::Join { .. } => {
                self.heard.clone()?;
                Ok(self.reserves().into_iter().collect())
            }
            RoomCommand::Enter { entrant, place } => self.decide_enter(*entrant, *place, now),
            RoomCommand::Leave { entrant, place } => {
                let slot = self.slot(*entrant, *place, now);
                Ok(slot.map(|(slot, _)| RoomEvent::SlotFreed { slot }).into_iter().collect())
            }
            RoomCommand::HasBought { slot } => {
                let is_in = is.slots.get(slot).is_some_and(|slot| slot.until > now);
                Ok(is_in.then_some(RoomEvent::SlotFreed { slot: *slot }).into_iter().collect())
            }
        }
    }

    fn apply(&mut self, event: &RoomEvent, at: Timestamp) {
        match event {
            RoomEvent::RoomMade { terms, .. } => {
                let (terms, slots) = ((**terms).clone(), BTreeMap::new());
                self.is = Some(Is { terms, made_at: at, reserved: 0, next_slot: 0, slots });
                // Whoever replays this has no line: who waits is found out when they ask.
                self.line = None;
            }
            RoomEvent::NumbersReserved { upto } => {
                if let Some(is) = &mut self.is {
                    is.reserved = *upto;
                }
            }
            RoomEvent::Admitted { slot, who } => {
                let Some(is) = &mut self.is else { return };
                let over = is.slots.iter().take_while(|(_, other)| other.until <= at).map(|(number, _)| *number);
                for number in over.collect::<Vec<_>>() {
                    if let Some(over) = is.slots.remove(&number) {
                        self.slot_of.remove(&over.entrant);
                    }
                }
                is.slots.insert(*slot, *who);
                self.slot_of.insert(who.entrant, *slot);
                is.next_slot = slot.saturating_add(1);
                let (block, number) = Block::of(who.place);
                self.used.entry(block).or_default().insert(number);
                self.changed.insert(block);
                if let Some(line) = &mut self.line {
                    line.is_gone(who.place);
                }
            }
            RoomEvent::SlotFreed { slot } => {
                if let Some(freed) = self.is.as_mut().and_then(|is| is.slots.remove(slot)) {
                    self.slot_of.remove(&freed.entrant);
                }
            }
        }
    }

    fn reply(&self, command: &RoomCommand, _recorded: bool) -> Option<Result<RoomReply, Reject>> {
        Some(match (command, &self.heard) {
            (RoomCommand::Create { .. } | RoomCommand::Show, _) => {
                self.view().map(|view| RoomReply::Room { room: Box::new(view) })
            }
            (RoomCommand::Join { .. } | RoomCommand::Look { .. }, Ok(Heard::Place(entrant, place, too_soon))) => {
                let ticket = self.ticket(*entrant, *place, *too_soon).ok_or(Reject::RoomUnknown);
                ticket.map(|ticket| RoomReply::Ticket { ticket })
            }
            (RoomCommand::Enter { entrant, place }, _) => {
                let now = self.line.as_ref().map_or(Timestamp::default(), |line| line.now);
                let slot = self.slot(*entrant, *place, now).ok_or(Reject::NotCalled);
                slot.map(|(number, slot)| RoomReply::Entered { slot: number, until: slot.until })
            }
            (RoomCommand::Join { .. } | RoomCommand::Look { .. }, Ok(Heard::Nothing)) => Err(Reject::RoomUnknown),
            (RoomCommand::Join { .. } | RoomCommand::Look { .. }, Err(reject)) => Err(reject.clone()),
            (RoomCommand::Leave { .. } | RoomCommand::HasBought { .. }, _) => Ok(RoomReply::Done),
        })
    }

    fn is_read(command: &RoomCommand) -> bool {
        matches!(command, RoomCommand::Show | RoomCommand::Look { .. })
    }

    fn creates(command: &RoomCommand) -> bool {
        matches!(command, RoomCommand::Create { .. })
    }
}

impl Asks for Room {
    fn outstanding(&self, _now: Timestamp) -> Vec<EffectKey> {
        Vec::new()
    }

    fn effect(&self, _key: EffectKey) -> Option<Effect> {
        None
    }
}

impl Keeps for Room {
    const KEPT_ANSWERS: usize = limits::IDEMPOTENCY_KEYS_PER_PURCHASE;
    /// Who waits would have to ask first, before anybody is called again.
    const GIVES_WAY: bool = false;

    fn stays(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.waiting() > 0 || line.called() > 0)
    }

    fn delta(&mut self) -> Delta {
        let head = Head { id: self.id, is: self.is.clone() };
        let mut parts = vec![write_part(String::new(), &head)];
        for block in std::mem::take(&mut self.changed) {
            parts.push(write_part(block.name(), &self.used.get(&block)));
        }
        Delta { parts, ..Delta::default() }
    }

    fn restore(id: RoomId, parts: &[Part]) -> Result<Self, RestoreError> {
        let mut room = Self::new(id);
        for part in parts {
            let wrong = |why: String| RestoreError { part: part.name.clone(), source: serde::de::Error::custom(why) };
            if part.name.is_empty() {
                let head: Head = read_part(part)?;
                if head.id != id {
                    return Err(wrong(format!("it is of {}, not of {id}", head.id)));
                }
                let slots = head.is.iter().flat_map(|is| &is.slots);
                room.slot_of = slots.map(|(number, slot)| (slot.entrant, *number)).collect();
                room.is = head.is;
                continue;
            }
            let block = Block::named(&part.name).ok_or_else(|| wrong("no part of a room has this name".into()))?;
            room.used.insert(block, read_part(part)?);
        }
        Ok(room)
    }
}

impl Checks for Room {
    fn check(&self) -> Result<(), Breach> {
        let Some(is) = &self.is else { return Ok(()) };
        let breach = |name, detail: String| Err(Breach::new(name, self.id.entity(), detail));
        if is.slots.len() > is.terms.capacity as usize {
            return breach("a_room_is_not_too_full", format!("{} are in, of {}", is.slots.len(), is.terms.capacity));
        }
        if let Some(slot) = is.slots.values().find(|slot| !self.has_used(slot.place)) {
            return breach("a_place_is_used_once", format!("{:?} is in, and not used", slot.place));
        }
        Ok(())
    }

    fn summary(&self) -> serde_json::Value {
        self.is.as_ref().map_or(serde_json::Value::Null, |is| {
            serde_json::json!({
                "name": is.terms.name,
                "made_at": is.made_at,
                "reserved": is.reserved,
                "slots": is.slots.len(),
                "next_slot": is.next_slot,
                "waiting": self.line.as_ref().map_or(0, Line::waiting),
                "called": self.line.as_ref().map_or(0, Line::called),
            })
        })
    }
}
