//! What a room is asked, what can have happened to it, and what it answers.

use crate::domain::entity::{By, Principal};
use crate::domain::ids::{CartId, CustomerId, RoomId};
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What cannot be done without an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guards {
    /// A checkout of what is sold in a sale of the room.
    #[default]
    Checkout,
    /// Putting it into a cart, too.
    Cart,
}

/// The terms of a room. They do not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomTerms {
    /// What it is called.
    pub name: String,
    /// From when on people are called. Whoever comes before has a place by the draw, whoever comes later a number.
    pub opens_at: Timestamp,
    /// From when on nobody is let in any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Timestamp>,
    /// How many may be called or in at a time.
    pub capacity: u32,
    /// How many are called in a minute at most.
    pub admit_per_minute: u32,
    /// How many seconds somebody has to come in who is called.
    pub claim_seconds: u32,
    /// How many seconds somebody may stay who is in.
    pub slot_seconds: u32,
    /// What cannot be done without an entry.
    #[serde(default)]
    pub guards: Guards,
}

impl RoomTerms {
    /// Whether people are called by now.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.status(now) == RoomStatus::Open
    }

    /// How it stands.
    pub fn status(&self, now: Timestamp) -> RoomStatus {
        match self.closes_at {
            Some(closes_at) if closes_at <= now => RoomStatus::Closed,
            _ if self.opens_at <= now => RoomStatus::Open,
            _ => RoomStatus::Scheduled,
        }
    }
}

/// How a room stands: by time alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomStatus {
    /// Nobody is called yet.
    Scheduled,
    /// People are called.
    Open,
    /// Nobody is let in any more.
    Closed,
}

impl RoomStatus {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            RoomStatus::Scheduled => "scheduled",
            RoomStatus::Open => "open",
            RoomStatus::Closed => "closed",
        }
    }
}

/// Whose a place is: whoever holds a guest's cart, or a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entrant {
    /// A guest, by the cart.
    Cart(CartId),
    /// A customer.
    Customer(CustomerId),
}

impl Entrant {
    /// By which the line tells entrants apart: eight bytes of the id that are drawn at random.
    pub(super) fn key(self) -> u64 {
        let (_, low) = match self {
            Entrant::Cart(cart) => cart.uuid().as_u64_pair(),
            Entrant::Customer(customer) => customer.uuid().as_u64_pair(),
        };
        low
    }
}

impl fmt::Display for Entrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entrant::Cart(cart) => cart.fmt(f),
            Entrant::Customer(customer) => customer.fmt(f),
        }
    }
}

/// A place in the line. All that were drawn are before all that have numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Of somebody who came before the room opened: the draw.
    Drawn(u64),
    /// Of somebody who came later.
    Numbered(u64),
}

/// Somebody who was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Who.
    pub entrant: Entrant,
    /// With which place.
    pub place: Place,
    /// Until when.
    pub until: Timestamp,
}

/// What can be asked of a room. A draw follows from the room's seed and the entrant, so whoever knows the seed brings it along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RoomCommand {
    /// Make it.
    Create {
        /// On whose behalf.
        by: Principal,
        /// Its terms.
        terms: Box<RoomTerms>,
    },
    /// Show it. Anyone may see it.
    Show,
    /// Take a place, or find the one that one has.
    Join {
        /// Who.
        entrant: Entrant,
        /// Their draw.
        draw: u64,
    },
    /// Where is this place by now? Whoever asks is present.
    Look {
        /// Whose.
        entrant: Entrant,
        /// Which.
        place: Place,
    },
    /// Come in with this place, which was called.
    Enter {
        /// Whose.
        entrant: Entrant,
        /// Which.
        place: Place,
    },
    /// Give the place up, and the slot with it.
    Leave {
        /// Whose.
        entrant: Entrant,
        /// Which.
        place: Place,
    },
    /// An order that came in with this slot is accepted: whoever it was needs the slot no more.
    HasBought {
        /// The slot's number.
        slot: u64,
    },
}

/// What can have happened to a room. Nothing is recorded of those who wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RoomEvent {
    /// It came into being.
    RoomMade {
        /// Its terms.
        terms: Box<RoomTerms>,
        /// Who made it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<By>,
    },
    /// Numbers below this one may have been given out. After a crash the next is this one: numbers are left out, and none comes twice.
    NumbersReserved {
        /// The first that cannot have been given out.
        upto: u64,
    },
    /// Somebody was let in.
    Admitted {
        /// The slot's number, from 0.
        slot: u64,
        /// Who, with which place, until when.
        #[serde(flatten)]
        who: Slot,
    },
    /// A slot is free before its time.
    SlotFreed {
        /// Its number.
        slot: u64,
    },
}

/// How a place stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketStatus {
    /// It is in the line.
    Waiting,
    /// It may come in.
    Called,
    /// It is in.
    Admitted,
    /// It was called and did not come, or it was not there when its turn was.
    Missed,
    /// It was given up, or its time inside is over.
    Left,
    /// The room is closed.
    Closed,
}

impl TicketStatus {
    /// Its name in answers.
    pub const fn name(self) -> &'static str {
        match self {
            TicketStatus::Waiting => "waiting",
            TicketStatus::Called => "called",
            TicketStatus::Admitted => "admitted",
            TicketStatus::Missed => "missed",
            TicketStatus::Left => "left",
            TicketStatus::Closed => "closed",
        }
    }
}

/// A place, as its holder sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketView {
    /// Which.
    pub place: Place,
    /// How it stands.
    pub status: TicketStatus,
    /// How many wait before it, while it waits in an open room.
    pub ahead: Option<u64>,
    /// In how many seconds its turn may come, where enough were let in to say so.
    pub wait_seconds: Option<u64>,
    /// Until when it must come in, of one that is called; until when it may stay, of one that is in.
    pub until: Option<Timestamp>,
    /// In how many seconds to ask again.
    pub poll_after_seconds: u32,
    /// In how many seconds the next question would have been in time, of one that came too soon.
    pub too_soon: Option<u32>,
}

/// A room, as anyone sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomView {
    /// Which.
    pub id: RoomId,
    /// Its terms.
    pub terms: RoomTerms,
    /// How many wait.
    pub waiting: u64,
    /// How many are in.
    pub admitted: u64,
}

/// What a room answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RoomReply {
    /// The room.
    Room {
        /// As anyone sees it.
        room: Box<RoomView>,
    },
    /// A place.
    Ticket {
        /// As its holder sees it.
        ticket: TicketView,
    },
    /// It is in.
    Entered {
        /// The slot's number.
        slot: u64,
        /// Until when.
        until: Timestamp,
    },
    /// Done; nothing to show.
    Done,
}
