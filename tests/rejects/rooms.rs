//! The refusals of waiting rooms.

use super::*;
use haat::domain::ids::RoomId;
use haat::domain::room::{Entrant, Guards, Place, Room, RoomCommand, RoomTerms};

fn entrant(number: u128) -> Entrant {
    Entrant::Cart(CartId::from_uuid(Uuid::from_u128(number)))
}

/// What a room says that is open from 0 to 1,000, or that is not there, to each of these in turn: to the last.
fn of_room(is_there: bool, commands: &[RoomCommand], now: i64) -> Reject {
    let mut room = Room::new(RoomId::from_uuid(Uuid::from_u128(1)));
    let terms = RoomTerms {
        name: "11.11".into(),
        opens_at: Timestamp::from_millis(0),
        closes_at: Some(Timestamp::from_millis(1_000)),
        capacity: 1,
        admit_per_minute: 1,
        claim_seconds: 1,
        slot_seconds: 1,
        guards: Guards::Checkout,
    };
    let create = RoomCommand::Create { by: Principal::SHOP, terms: Box::new(terms) };
    let mut last = None;
    for command in is_there.then_some(&create).into_iter().chain(commands) {
        let now = Timestamp::from_millis(now);
        room.heard(command, now);
        match room.decide(command, &Knowledge::NOTHING, now) {
            Ok(events) => events.iter().for_each(|event| room.apply(event, now)),
            Err(reject) => last = Some(reject),
        }
    }
    last.expect("a refusal")
}

pub fn rows(reject: &Reject) -> Vec<Reject> {
    let join = |number| RoomCommand::Join { entrant: entrant(number), draw: 0 };
    let enter = |number, place| RoomCommand::Enter { entrant: entrant(number), place: Place::Numbered(place) };
    match reject {
        Reject::RoomUnknown => vec![of_room(false, &[RoomCommand::Show], 1), of_room(false, &[join(1)], 1_000)],
        // Of two, one is called; and a place that nobody was given is not.
        Reject::NotCalled => {
            vec![of_room(true, &[join(1), join(2), enter(2, 1)], 1), of_room(true, &[enter(1, 5)], 1)]
        }
        Reject::RoomClosed => vec![of_room(true, &[join(1)], 1_000), of_room(true, &[enter(1, 0)], 1_000)],
        other => panic!("{other:?} is none of a room's"),
    }
}
