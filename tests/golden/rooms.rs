//! Samples of all that stands in a journal of waiting rooms.

use super::*;
use haat::domain::buyer::Entry;
use haat::domain::ids::RoomId;
use haat::domain::room::{
    Entrant, Guards, Place, RoomCommand, RoomEvent, RoomReply, RoomTerms, RoomView, Slot, TicketStatus, TicketView,
};

variants!(ROOM_EVENTS, room_event, RoomEvent {
    RoomMade = "room_made", NumbersReserved = "numbers_reserved", Admitted = "admitted", SlotFreed = "slot_freed",
});
variants!(ROOM_REPLIES, room_reply, RoomReply {
    Room = "room", Ticket = "ticket", Entered = "entered", Done = "done",
});
variants!(ROOM_COMMANDS, room_command, RoomCommand {
    Create = "create", Show = "show", Join = "join", Look = "look", Enter = "enter", Leave = "leave",
    HasBought = "has_bought",
});

pub fn room() -> RoomId {
    RoomId::from_uuid(uuid(0x40))
}

pub fn entry() -> Entry {
    Entry { room: room(), slot: 7 }
}

fn terms(full: bool) -> RoomTerms {
    RoomTerms {
        name: "11.11".into(),
        opens_at: at(0),
        closes_at: full.then(|| at(3_600_000)),
        capacity: 500,
        admit_per_minute: 1_000,
        claim_seconds: 120,
        slot_seconds: 600,
        guards: if full { Guards::Cart } else { Guards::Checkout },
    }
}

fn slot(full: bool) -> Slot {
    match full {
        true => Slot { entrant: Entrant::Customer(customer()), place: Place::Drawn(u64::MAX), until: at(600_000) },
        false => Slot { entrant: Entrant::Cart(cart()), place: Place::Numbered(1_024), until: at(600_000) },
    }
}

fn room_events() -> Vec<RoomEvent> {
    vec![
        RoomEvent::RoomMade { terms: Box::new(terms(true)), by: By::of(Principal::SHOP) },
        RoomEvent::RoomMade { terms: Box::new(terms(false)), by: None },
        RoomEvent::NumbersReserved { upto: 1_024 },
        RoomEvent::Admitted { slot: 7, who: slot(true) },
        RoomEvent::Admitted { slot: 8, who: slot(false) },
        RoomEvent::SlotFreed { slot: 7 },
    ]
}

fn room_replies() -> Vec<RoomReply> {
    let view = RoomView { id: room(), terms: terms(true), waiting: 170_000, admitted: 500 };
    let ticket = |full: bool| TicketView {
        place: slot(full).place,
        status: if full { TicketStatus::Waiting } else { TicketStatus::Called },
        ahead: full.then_some(3),
        wait_seconds: full.then_some(2),
        until: (!full).then(|| at(1)),
        poll_after_seconds: 2,
        too_soon: full.then_some(1),
    };
    vec![
        RoomReply::Room { room: Box::new(view) },
        RoomReply::Ticket { ticket: ticket(true) },
        RoomReply::Ticket { ticket: ticket(false) },
        RoomReply::Entered { slot: 7, until: at(600_000) },
        RoomReply::Done,
    ]
}

fn room_commands() -> Vec<RoomCommand> {
    let Slot { entrant, place, .. } = slot(true);
    vec![
        RoomCommand::Create { by: Principal::SHOP, terms: Box::new(terms(true)) },
        RoomCommand::Show,
        RoomCommand::Join { entrant, draw: 5 },
        RoomCommand::Look { entrant, place },
        RoomCommand::Enter { entrant, place },
        RoomCommand::Leave { entrant, place },
        RoomCommand::HasBought { slot: 7 },
    ]
}

#[test]
fn every_room_event_ever_written_can_be_read() {
    golden("events/room.json", "type", &room_events(), ROOM_EVENTS, room_event);
    golden("answers/room.json", "type", &room_replies(), ROOM_REPLIES, room_reply);
    round_trips("type", &room_commands(), ROOM_COMMANDS, room_command);
    record(room().entity(), room_events(), room_replies().into_iter().map(Ok).collect());
}
