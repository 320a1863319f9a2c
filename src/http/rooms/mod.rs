//! Waiting rooms: opened by the shop's staff, and the line in front of them.

mod events;

pub use events::{__path_follow_ticket, follow_ticket};

use crate::actors::shop::{Ask, Shop};
use crate::checkout::rooms::{RoomKeys, Seed, Ticket};
use crate::domain::buyer::Entry;
use crate::domain::entity::Principal;
use crate::domain::ids::RoomId;
use crate::domain::room::{
    Entrant, Guards, Place, Room, RoomCommand, RoomReply, RoomStatus, RoomTerms, RoomView, TicketStatus, TicketView,
};
use crate::domain::text::TextKind;
use crate::domain::time::Timestamp;
use crate::http::answer::{ask, empty, json, mark_replayed, ok, unexpected};
use crate::http::caller::Caller;
use crate::http::error::{self, INVALID_BODY, Problem, Result};
use crate::http::extract::{Id, Ids, JsonBody};
use crate::http::idempotency::{IdempotencyHeader, Mint, RequestKey};
use crate::http::live::Stock;
use crate::http::money::Moment;
use crate::http::object::only_objects;
use crate::http::openapi::{ACTOR, AUTH, BODY, KEYED, problems};
use crate::http::tracking::Word;
use crate::http::valid::{Faults, Whole};
use crate::http::{HttpState, Settings};
use crate::limits;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The header that brings entries along, apart by commas.
pub const ENTRY: &str = "haat-entry";

/// What cannot be done without an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardsBody {
    /// The checkout of what is sold in a sale of the room.
    #[default]
    Checkout,
    /// Putting it into a cart, too.
    Cart,
}

/// A room that is to be opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({
    "name": "11.11", "opens_at": "2030-11-11T00:00:00+06:00", "capacity": 500, "admit_per_minute": 1000,
    "slot_seconds": 600
}))]
pub struct RoomInput {
    /// What it is called.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: String,
    /// From when on people are called: RFC 3339. Who comes before is drawn, who comes later gets a number.
    #[schema(format = DateTime)]
    opens_at: String,
    /// From when on nobody is let in any more.
    #[schema(format = DateTime)]
    closes_at: Option<String>,
    /// How many may be called or in at a time.
    #[schema(value_type = i64, minimum = 1, maximum = 100_000)]
    capacity: Whole,
    /// How many are called in a minute at most.
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000)]
    admit_per_minute: Whole,
    /// How many seconds somebody has to come in who is called; 120 where nothing is said.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 3600)]
    claim_seconds: Option<Whole>,
    /// How many seconds somebody may stay who is in.
    #[schema(value_type = i64, minimum = 1, maximum = 86_400)]
    slot_seconds: Whole,
    /// What cannot be done without an entry; a checkout where nothing is said.
    guards: Option<GuardsBody>,
}

only_objects!(RoomInput);

impl RoomInput {
    fn checked(mut self) -> Result<RoomTerms> {
        let mut faults = Faults::default();
        faults.text("name", &mut self.name, TextKind::Line, limits::SHORT_TEXT);
        let opens_at = faults.moment("opens_at", &self.opens_at);
        let closes_at = self.closes_at.as_ref().map(|text| faults.moment("closes_at", text).unwrap_or_default());
        if closes_at.is_some_and(|closes_at| opens_at.is_some_and(|opens_at| closes_at <= opens_at)) {
            faults.add("closes_at", "it is after opens_at");
        }
        let mut count = |field: &'static str, Whole(number): Whole, most: u32| {
            let fits = u32::try_from(number).ok().filter(|number| (1..=most).contains(number));
            if fits.is_none() {
                faults.add(field, format!("it is 1 to {most}"));
            }
            fits.unwrap_or(1)
        };
        let capacity = count("capacity", self.capacity, limits::ROOM_CAPACITY);
        let admit_per_minute = count("admit_per_minute", self.admit_per_minute, limits::ROOM_PER_MINUTE);
        let claim = self.claim_seconds.unwrap_or(Whole(limits::ROOM_CLAIM_DEFAULT.into()));
        let claim_seconds = count("claim_seconds", claim, limits::ROOM_CLAIM_SECONDS);
        let slot_seconds = count("slot_seconds", self.slot_seconds, limits::ROOM_SLOT_SECONDS);
        faults.done(&INVALID_BODY)?;
        let guards = match self.guards.unwrap_or_default() {
            GuardsBody::Checkout => Guards::Checkout,
            GuardsBody::Cart => Guards::Cart,
        };
        let opens_at = opens_at.unwrap_or_default();
        let name = self.name;
        Ok(RoomTerms { name, opens_at, closes_at, capacity, admit_per_minute, claim_seconds, slot_seconds, guards })
    }
}

/// A waiting room.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoomBody {
    id: RoomId,
    #[schema(example = "11.11")]
    name: String,
    /// `scheduled`, `open` or `closed`, by the time alone.
    #[schema(example = "open")]
    status: &'static str,
    opens_at: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    closes_at: Option<Moment>,
    /// The server's time, by which a countdown is set.
    server_time: Moment,
    capacity: u32,
    admit_per_minute: u32,
    claim_seconds: u32,
    slot_seconds: u32,
    guards: GuardsBody,
    /// SHA-256 of the seed, as hexadecimal digits.
    #[schema(min_length = 64, max_length = 64)]
    seed_hash: String,
    /// The seed by which those are drawn who come before the room opens, as hexadecimal digits; shown once it is open. Somebody's draw is the first 16
    /// hexadecimal digits of HMAC-SHA256 under the seed's 32 bytes, of `{room}/{cart or customer}`. The least is the first in the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 64, max_length = 64)]
    seed: Option<String>,
    /// How many wait, as far as they have asked since the server started.
    waiting: u64,
    /// How many are in.
    admitted: u64,
    #[serde(flatten)]
    stock: StockBehind,
}

/// Whether there is anything left behind a room.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct StockBehind {
    /// How many pieces are held for orders that are not paid, where nothing is left: some of them may come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    holds_open: Option<i64>,
    /// `sold_out` where nothing is left and nothing is held of all that is sold behind the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sold_out")]
    closed: Option<&'static str>,
}

impl StockBehind {
    fn of(state: &HttpState, room: RoomId) -> Self {
        match state.live.behind(room) {
            Stock::Left => Self::default(),
            Stock::HoldsOpen(held) => Self { holds_open: Some(held), closed: None },
            Stock::SoldOut => Self { holds_open: None, closed: Some("sold_out") },
        }
    }
}

impl RoomBody {
    fn new(room: &RoomView, seed: &Seed, stock: StockBehind, now: Timestamp) -> Self {
        let RoomTerms { name, opens_at, closes_at, capacity, admit_per_minute, claim_seconds, slot_seconds, guards } =
            &room.terms;
        let status = room.terms.status(now);
        Self {
            id: room.id,
            name: name.clone(),
            status: status.name(),
            opens_at: Moment(*opens_at),
            closes_at: closes_at.map(Moment),
            server_time: Moment(now),
            capacity: *capacity,
            admit_per_minute: *admit_per_minute,
            claim_seconds: *claim_seconds,
            slot_seconds: *slot_seconds,
            guards: match guards {
                Guards::Checkout => GuardsBody::Checkout,
                Guards::Cart => GuardsBody::Cart,
            },
            seed_hash: seed.hash(),
            seed: (status != RoomStatus::Scheduled).then(|| seed.shown()),
            waiting: room.waiting,
            admitted: room.admitted,
            stock,
        }
    }
}

/// A place in the line of a room.
#[derive(Debug, Serialize, ToSchema)]
pub struct TicketBody {
    /// By which the place is asked for again. It is good for whom it was given to.
    #[schema(example = "ticket_eyJyb29tIjoicm9vbV8wMWgyeGNlanF0ZjJuYnJleHgzdnFqaHA0MSJ9.3f2a90c1.Zm9v")]
    ticket: String,
    /// `waiting`, `called`, `admitted`, `missed`, `left` or `closed`.
    #[schema(example = "waiting")]
    status: &'static str,
    /// The number, of somebody who came after the room opened.
    #[schema(required = true)]
    number: Option<u64>,
    /// The draw, of somebody who came before; shown once the room is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{16}$")]
    draw: Option<String>,
    /// The place in the line, from 1, while it waits in an open room.
    #[schema(required = true)]
    position: Option<u64>,
    /// How many wait before it.
    #[schema(required = true)]
    ahead: Option<u64>,
    /// In about how many seconds it is called. Not said before enough were let in.
    #[schema(required = true)]
    estimated_wait_seconds: Option<u64>,
    /// Until when it must come in, of one that is called; until when it may stay, of one that is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Moment>,
    /// In how many seconds to ask again, and not earlier. Who is silent for twice as long is passed over.
    poll_after_seconds: u32,
    #[serde(flatten)]
    stock: StockBehind,
}

/// That somebody is in.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryBody {
    /// What to send with the checkout as `Haat-Entry`.
    entry_token: String,
    /// Until when it is good.
    expires_at: Moment,
}

/// Whose places those of this caller are.
fn entrant(caller: &Caller) -> Result<Entrant> {
    match caller.principal {
        Principal::Guest(cart) => Ok(Entrant::Cart(cart)),
        Principal::Customer(customer) => Ok(Entrant::Customer(customer)),
        _ => Err(Problem::new(&error::FORBIDDEN, "only buyers wait in a line")),
    }
}

impl TicketBody {
    fn new(line: &Line<'_>, view: &TicketView, is_open: bool) -> Result<Self> {
        let Line { keys, room, of, stock, .. } = *line;
        let number = match view.place {
            Place::Numbered(number) => Some(number),
            Place::Drawn(_) => None,
        };
        let draw = match view.place {
            Place::Drawn(draw) if is_open => Some(format!("{draw:016x}")),
            _ => None,
        };
        let ticket = keys.ticket(&Ticket { room, of, number });
        Ok(Self {
            ticket: ticket.ok_or_else(|| Problem::new(&error::INTERNAL, "the ticket could not be signed"))?,
            status: view.status.name(),
            number,
            draw,
            position: view.ahead.map(|ahead| ahead + 1),
            ahead: view.ahead,
            estimated_wait_seconds: view.wait_seconds,
            until: view.until.map(Moment),
            poll_after_seconds: view.poll_after_seconds,
            stock,
        })
    }
}

/// What is asked of a room on somebody's behalf.
struct Line<'a> {
    shop: &'a Shop,
    settings: &'a Settings,
    keys: &'a RoomKeys,
    room: RoomId,
    of: Entrant,
    draw: u64,
    stock: StockBehind,
}

impl<'a> Line<'a> {
    fn new(state: &'a HttpState, room: RoomId, caller: &Caller) -> Result<Self> {
        Ok(Self::of(state, room, entrant(caller)?))
    }

    fn of(state: &'a HttpState, room: RoomId, of: Entrant) -> Self {
        let draw = Seed::of(&state.buyers, room).draw(room, of);
        let (shop, settings, keys) = (&state.shop, &*state.settings, &*state.services.rooms);
        Self { shop, settings, keys, room, of, draw, stock: StockBehind::of(state, room) }
    }

    /// The place that a ticket is for.
    async fn place(&self, ticket: &str) -> Result<Place> {
        let unknown = || Problem::new(&error::TICKET_UNKNOWN, "there is no such ticket of yours");
        let ticket = self.keys.open_ticket(ticket).filter(|ticket| ticket.of == self.of).ok_or_else(unknown)?;
        if ticket.room != self.room {
            // It is said first that a room is not there.
            self.ask(RoomCommand::Show).await?;
            return Err(unknown());
        }
        Ok(ticket.number.map_or(Place::Drawn(self.draw), Place::Numbered))
    }

    async fn ask(&self, command: RoomCommand) -> Result<RoomReply> {
        let how = Ask { within: self.settings.request_timeout, key: None, fresh: false };
        Ok(ask::<Room>(self.shop, self.room, command, how).await?.0)
    }

    async fn view(&self, command: RoomCommand) -> Result<TicketView> {
        match self.ask(command).await? {
            RoomReply::Ticket { ticket } => Ok(ticket),
            other => Err(unexpected(&other)),
        }
    }

    async fn ticket(&self, command: RoomCommand) -> Result<TicketBody> {
        let ticket = self.view(command).await?;
        if let Some(seconds) = ticket.too_soon {
            let detail = "the line is asked in the time that it said, and not earlier";
            return Err(Problem::new(&error::ROOM_POLL_TOO_SOON, detail).retry_after(seconds.into()));
        }
        self.shown(&ticket)
    }

    fn shown(&self, ticket: &TicketView) -> Result<TicketBody> {
        // A place is told in an open room; of one that is closed nothing is secret any more.
        let is_open = ticket.ahead.is_some() || ticket.status != TicketStatus::Waiting;
        TicketBody::new(self, ticket, is_open)
    }
}

/// The entries that a request brings along, all of which are this caller's.
///
/// # Errors
/// 403 `entry_invalid`.
pub fn entries(headers: &HeaderMap, keys: &RoomKeys, caller: &Caller, now: Timestamp) -> Result<Vec<Entry>> {
    let invalid =
        || Problem::new(&error::ENTRY_INVALID, "the entry is over, or somebody else's, or none of this shop's");
    let mut entries = Vec::new();
    for header in headers.get_all(ENTRY) {
        let of = entrant(caller).map_err(|_| invalid())?;
        for token in header.to_str().map_err(|_| invalid())?.split(',') {
            entries.push(keys.open_entry(token.trim(), of, now).ok_or_else(invalid)?);
            if entries.len() > limits::ROOM_ENTRIES {
                return Err(invalid());
            }
        }
    }
    Ok(entries)
}

/// Whether one must be in this room to fill a cart.
pub async fn guards_carts(shop: &Shop, settings: &Settings, room: RoomId) -> Result<bool> {
    let how = Ask { within: settings.request_timeout, key: None, fresh: false };
    match ask::<Room>(shop, room, RoomCommand::Show, how).await? {
        (RoomReply::Room { room }, _) => Ok(room.terms.guards == Guards::Cart),
        (other, _) => Err(unexpected(&other)),
    }
}

async fn shown(
    state: &HttpState,
    room: RoomId,
    command: RoomCommand,
    how: Ask,
    status: StatusCode,
) -> Result<Response> {
    match ask::<Room>(&state.shop, room, command, how).await? {
        (RoomReply::Room { room }, replayed) => {
            let seed = Seed::of(&state.buyers, room.id);
            let body = RoomBody::new(&room, &seed, StockBehind::of(state, room.id), state.shop.clock().now());
            Ok(mark_replayed(json(status, &body), replayed))
        }
        (other, _) => Err(unexpected(&other)),
    }
}

problems!(CreateRoomProblems: KEYED, BODY, ACTOR; RoomUnknown);

/// Open a waiting room
///
/// A sale that names it sells to those alone who came in by it.
#[utoipa::path(post, path = "/v1/rooms", tag = "rooms", security(("bearer" = [])), params(IdempotencyHeader),
    request_body = RoomInput,
    responses((status = 201, description = "The room.", body = RoomBody), CreateRoomProblems))]
pub async fn create_room(
    State(state): State<HttpState>,
    caller: Caller,
    key: RequestKey,
    body: JsonBody<RoomInput>,
) -> Result<Response> {
    let key = key.of(&caller, &body.raw);
    let room = RoomId::from_uuid(Mint::new(state.shop.clock(), key).uuid(RoomId::PREFIX, 0));
    let command = RoomCommand::Create { by: caller.principal, terms: Box::new(body.value.checked()?) };
    let how = Ask { within: state.settings.request_timeout, key, fresh: false };
    shown(&state, room, command, how, StatusCode::CREATED).await
}

problems!(GetRoomProblems: ACTOR; RoomUnknown);

/// A waiting room
#[utoipa::path(get, path = "/v1/rooms/{room}", tag = "rooms", params(("room" = RoomId, Path, description = "The room")),
    responses((status = 200, description = "The room.", body = RoomBody), GetRoomProblems))]
pub async fn get_room(State(state): State<HttpState>, Id(room): Id<RoomId>) -> Result<Response> {
    let how = Ask { within: state.settings.request_timeout, key: None, fresh: false };
    shown(&state, room, RoomCommand::Show, how, StatusCode::OK).await
}

problems!(JoinRoomProblems: AUTH, ACTOR; RoomUnknown, RoomClosed, TooMany);

/// Take a place in the line
///
/// Whoever has one gets that one. Who missed the turn less than five minutes ago comes back to the front, once.
#[utoipa::path(post, path = "/v1/rooms/{room}/tickets", tag = "rooms", security(("bearer" = [])),
    params(("room" = RoomId, Path, description = "The room")),
    responses((status = 201, description = "The place.", body = TicketBody), JoinRoomProblems))]
pub async fn join_room(State(state): State<HttpState>, caller: Caller, Id(room): Id<RoomId>) -> Result<Response> {
    let line = Line::new(&state, room, &caller)?;
    let command = RoomCommand::Join { entrant: line.of, draw: line.draw };
    Ok(json(StatusCode::CREATED, &line.ticket(command).await?))
}

problems!(GetTicketProblems: AUTH, ACTOR, &[&error::TICKET_UNKNOWN, &error::ROOM_POLL_TOO_SOON]; RoomUnknown);

/// Where a place is by now
///
/// Whoever asks is present: of those alone somebody is called.
#[utoipa::path(get, path = "/v1/rooms/{room}/tickets/{ticket}", tag = "rooms", security(("bearer" = [])),
    params(("room" = RoomId, Path, description = "The room"), ("ticket" = String, Path, description = "The ticket")),
    responses((status = 200, description = "The place.", body = TicketBody), GetTicketProblems))]
pub async fn get_ticket(
    State(state): State<HttpState>,
    caller: Caller,
    Ids(room, Word(ticket)): Ids<RoomId, Word>,
) -> Result<Response> {
    let line = Line::new(&state, room, &caller)?;
    let command = RoomCommand::Look { entrant: line.of, place: line.place(&ticket).await? };
    Ok(ok(&line.ticket(command).await?))
}

problems!(EnterRoomProblems: AUTH, ACTOR, &[&error::TICKET_UNKNOWN]; RoomUnknown, NotCalled, RoomClosed);

/// Come in
///
/// Asked for again it is the same entry. It is good until its slot ends, for whom it was given to.
#[utoipa::path(post, path = "/v1/rooms/{room}/tickets/{ticket}/enter", tag = "rooms", security(("bearer" = [])),
    params(("room" = RoomId, Path, description = "The room"), ("ticket" = String, Path, description = "The ticket")),
    responses((status = 201, description = "The entry.", body = EntryBody), EnterRoomProblems))]
pub async fn enter_room(
    State(state): State<HttpState>,
    caller: Caller,
    Ids(room, Word(ticket)): Ids<RoomId, Word>,
) -> Result<Response> {
    let line = Line::new(&state, room, &caller)?;
    let command = RoomCommand::Enter { entrant: line.of, place: line.place(&ticket).await? };
    match line.ask(command).await? {
        RoomReply::Entered { slot, until } => {
            let token = line.keys.entry(line.of, Entry { room: line.room, slot }, until);
            let entry_token = token.ok_or_else(|| Problem::new(&error::INTERNAL, "the entry could not be signed"))?;
            Ok(json(StatusCode::CREATED, &EntryBody { entry_token, expires_at: Moment(until) }))
        }
        other => Err(unexpected(&other)),
    }
}

problems!(LeaveRoomProblems: AUTH, ACTOR, &[&error::TICKET_UNKNOWN]; RoomUnknown);

/// Give a place up
///
/// Whoever is in gives the slot to the next.
#[utoipa::path(delete, path = "/v1/rooms/{room}/tickets/{ticket}", tag = "rooms", security(("bearer" = [])),
    params(("room" = RoomId, Path, description = "The room"), ("ticket" = String, Path, description = "The ticket")),
    responses((status = 204, description = "The place is given up."), LeaveRoomProblems))]
pub async fn leave_room(
    State(state): State<HttpState>,
    caller: Caller,
    Ids(room, Word(ticket)): Ids<RoomId, Word>,
) -> Result<Response> {
    let line = Line::new(&state, room, &caller)?;
    let command = RoomCommand::Leave { entrant: line.of, place: line.place(&ticket).await? };
    match line.ask(command).await? {
        RoomReply::Done => Ok(empty(StatusCode::NO_CONTENT)),
        other => Err(unexpected(&other)),
    }
}
