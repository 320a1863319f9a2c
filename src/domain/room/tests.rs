//! Lines of people, and who of them comes in.

use super::*;
use crate::domain::entity::Principal;
use crate::domain::ids::{CartId, CustomerId};
use uuid::Uuid;

const SECOND: i64 = 1_000;
const OPENS: i64 = 1_000 * SECOND;

fn id() -> RoomId {
    RoomId::from_uuid(Uuid::from_u128(7))
}

fn guest(number: u64) -> Entrant {
    Entrant::Cart(CartId::from_uuid(Uuid::from_u128(number.into())))
}

fn terms(capacity: u32) -> RoomTerms {
    RoomTerms {
        name: "11.11".into(),
        opens_at: Timestamp::from_millis(OPENS),
        closes_at: Some(Timestamp::from_millis(OPENS + 100_000 * SECOND)),
        capacity,
        admit_per_minute: 60_000,
        claim_seconds: 120,
        slot_seconds: 600,
        guards: Guards::Checkout,
    }
}

/// A room, its journal, and what time it is.
struct World {
    room: Room,
    journal: Vec<(RoomEvent, Timestamp)>,
    now_ms: i64,
}

impl World {
    fn new(terms: RoomTerms) -> Self {
        let mut world = Self { room: Room::new(id()), journal: Vec::new(), now_ms: 0 };
        let create = RoomCommand::Create { by: Principal::SHOP, terms: Box::new(terms) };
        assert!(matches!(world.ask(&create), Ok(RoomReply::Room { .. })));
        world
    }

    /// One that has been open for a while.
    fn open(terms: RoomTerms) -> Self {
        Self { now_ms: OPENS, ..Self::new(terms) }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms)
    }

    fn ask(&mut self, command: &RoomCommand) -> Result<RoomReply, Reject> {
        let now = self.now();
        self.room.heard(command, now);
        let events = self.room.decide(command, &Knowledge::NOTHING, now)?;
        for event in events.clone() {
            self.room.apply(&event, now);
            self.room.check().expect("it adds up");
            self.journal.push((event, now));
        }
        self.room.reply(command, !events.is_empty()).expect("a room answers at once")
    }

    /// The process dies. What there is again follows from the journal, or from a snapshot of all its parts.
    fn dies(&mut self, snapshot: bool) {
        let mut again = Room::new(id());
        for (event, at) in &self.journal {
            again.apply(event, *at);
        }
        if snapshot {
            let parts = again.delta().parts;
            again = Room::restore(id(), &parts).expect("a snapshot");
            assert_eq!(again.used, self.room.used);
        }
        self.room = again;
    }

    fn join(&mut self, entrant: Entrant, draw: u64) -> TicketView {
        match self.ask(&RoomCommand::Join { entrant, draw }) {
            Ok(RoomReply::Ticket { ticket }) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn look(&mut self, entrant: Entrant, place: Place) -> TicketView {
        match self.ask(&RoomCommand::Look { entrant, place }) {
            Ok(RoomReply::Ticket { ticket }) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn enter(&mut self, entrant: Entrant, place: Place) -> Result<u64, Reject> {
        match self.ask(&RoomCommand::Enter { entrant, place })? {
            RoomReply::Entered { slot, .. } => Ok(slot),
            other => panic!("{other:?}"),
        }
    }

    fn later(&mut self, seconds: i64) {
        self.now_ms += seconds * SECOND;
    }
}

use TicketStatus::{Admitted, Called, Closed, Left, Missed, Waiting};

#[test]
fn those_who_come_before_are_drawn_and_those_who_come_later_follow() {
    let mut world = World::new(terms(1));
    world.now_ms = OPENS - SECOND;
    let draws = [50, 10, 99, 30];
    for (guest_number, draw) in (1..).zip(draws) {
        let ticket = world.join(guest(guest_number), draw);
        assert_eq!(
            (ticket.place, ticket.status, ticket.ahead),
            (Place::Drawn(draw), Waiting, None),
            "nothing is told before it opens"
        );
        assert_eq!(world.join(guest(guest_number), draw), ticket, "coming again gains nothing");
    }
    world.now_ms = OPENS;
    let late = world.join(guest(9), 1);
    assert_eq!(
        (late.place, late.status, late.ahead),
        (Place::Numbered(0), Waiting, Some(3)),
        "however low the draw would have been"
    );
    // Each is called in turn, enters, and leaves.
    let mut order = Vec::new();
    let all: Vec<(Entrant, Place)> = (1..)
        .zip(draws)
        .map(|(number, draw)| (guest(number), Place::Drawn(draw)))
        .chain([(guest(9), late.place)])
        .collect();
    for _ in 0..all.len() {
        world.later(2);
        let called: Vec<_> = all.iter().filter(|(who, place)| world.look(*who, *place).status == Called).collect();
        let [(who, place)] = called[..] else { panic!("one at a time: {called:?}") };
        world.enter(*who, *place).expect("it is called");
        order.push(*place);
        assert!(matches!(world.ask(&RoomCommand::Leave { entrant: *who, place: *place }), Ok(RoomReply::Done)));
    }
    let mut in_order = order.clone();
    in_order.sort_unstable();
    assert_eq!(order, in_order);
    assert_eq!(order.last(), Some(&late.place));
}

#[test]
fn as_many_are_called_and_in_as_there_are_slots() {
    let mut world = World::open(terms(3));
    let places: Vec<Place> = (1..=9).map(|number| world.join(guest(number), 0).place).collect();
    let look = |world: &mut World| -> Vec<TicketStatus> {
        world.later(3);
        (1..).zip(&places).map(|(number, place)| world.look(guest(number), *place).status).collect()
    };
    assert_eq!(look(&mut world)[..5], [Called, Called, Called, Waiting, Waiting]);
    let slots: Vec<u64> =
        (1..=3).map(|number| world.enter(guest(number), places[number as usize - 1]).expect("called")).collect();
    assert_eq!(slots, [0, 1, 2]);
    assert_eq!(world.enter(guest(2), places[1]), Ok(1), "again it is the same slot");
    assert_eq!(world.enter(guest(4), places[3]), Err(Reject::NotCalled));
    assert_eq!(world.enter(guest(3), places[3]), Err(Reject::NotCalled), "another's place is nobody's");
    assert_eq!(look(&mut world)[..5], [Admitted, Admitted, Admitted, Waiting, Waiting]);
    // One has bought, one leaves, and the time of the third is over.
    assert!(matches!(world.ask(&RoomCommand::HasBought { slot: 1 }), Ok(RoomReply::Done)));
    assert_eq!(look(&mut world)[..5], [Admitted, Left, Admitted, Called, Waiting]);
    world.ask(&RoomCommand::Leave { entrant: guest(1), place: places[0] }).expect("it is theirs");
    assert_eq!(look(&mut world)[..6], [Left, Left, Admitted, Called, Called, Waiting]);
    world.enter(guest(4), places[3]).expect("called");
    for _ in 0..10 {
        world.later(59);
        let _ = look(&mut world);
    }
    assert_eq!(look(&mut world)[2..4], [Left, Left], "their time is over");
    // The order of slot 1 is heard once more: that slot is nobody's any more.
    let before = world.journal.len();
    world.ask(&RoomCommand::HasBought { slot: 1 }).expect("heard");
    assert_eq!(world.journal.len(), before);
}

#[test]
fn no_more_are_called_in_a_minute_than_the_room_says() {
    let mut world = World::open(RoomTerms { admit_per_minute: 30, ..terms(100) });
    let places: Vec<Place> = (1..=90).map(|number| world.join(guest(number), 0).place).collect();
    for _ in 0..50 {
        world.later(2);
        for (number, place) in (1..).zip(&places) {
            world.look(guest(number), *place);
        }
    }
    let called = world.room.line.as_ref().expect("a line").called();
    // A hundred seconds at 30 a minute, and two seconds that may be made up for.
    assert!((50..=52).contains(&called), "{called}");
}

#[test]
fn closed_tabs_hold_nobody_up() {
    let mut world = World::open(terms(1));
    let first = world.join(guest(1), 0);
    let gone: Vec<Place> = (2..=500).map(|number| world.join(guest(number), 0).place).collect();
    let last = world.join(guest(501), 0);
    assert_eq!(world.join(guest(501), 0).place, last.place, "who has a place gets that one");
    assert_eq!(first.status, Called);
    assert_eq!(last.ahead, Some(499));
    world.enter(guest(1), first.place).expect("called");
    // The tabs of 499 are closed; the last one goes on asking.
    for _ in 0..3 {
        world.later(i64::from(limits::ROOM_POLL_FROM));
        assert_eq!(world.look(guest(501), last.place).status, Waiting);
    }
    world.ask(&RoomCommand::Leave { entrant: guest(1), place: first.place }).expect("it is theirs");
    assert_eq!(world.look(guest(501), last.place).status, Called);
    let missed = world.look(guest(2), gone[0]);
    assert_eq!(missed.status, Missed, "{missed:?}");
    // Whoever comes back within five minutes is next, once.
    assert_eq!(world.join(guest(2), 0).status, Waiting);
    assert_eq!(world.join(guest(2), 0).ahead, Some(0));
    world.later(121);
    assert_eq!(world.look(guest(501), last.place).status, Missed, "it was called and did not come");
    assert_eq!(world.look(guest(2), gone[0]).status, Missed, "it did not ask for two minutes");
    let again = world.join(guest(2), 0);
    assert_eq!((again.place, again.status), (Place::Numbered(501), Called), "once: then there is a new number");
    world.later(301);
    assert_eq!(world.join(guest(501), 0).place, Place::Numbered(502), "it was too long ago");
}

#[test]
fn who_asks_too_soon_is_told_when_and_is_there_all_the_same() {
    let mut world = World::open(terms(1));
    let first = world.join(guest(1), 0).place;
    let second = world.join(guest(2), 0);
    assert_eq!(second.poll_after_seconds, 2);
    assert_eq!(world.look(guest(2), second.place).too_soon, Some(2));
    world.later(1);
    assert_eq!(world.look(guest(2), second.place).too_soon, None, "a second is for the way");
    world.later(4);
    assert_eq!(world.look(guest(1), first).status, Called);
    assert_eq!(world.look(guest(2), second.place).too_soon, None);
}

#[test]
fn those_at_the_end_ask_less_often() {
    for (ahead, seconds) in [(0, 2), (999, 2), (1_000, 3), (57_999, 59), (58_000, 60), (169_999, 60), (u64::MAX, 60)] {
        assert_eq!(u64::from(line::poll_after(ahead)), seconds, "{ahead}");
    }
    // Of 170,000, in a million seconds.
    let asks: u64 = (0..170_000).map(|ahead| 1_000_000 / u64::from(line::poll_after(ahead))).sum();
    assert!((5_000_000_000..5_600_000_000).contains(&asks), "{asks}");
}

#[test]
fn after_a_crash_no_number_comes_twice_and_no_place_is_good_twice() {
    for snapshot in [false, true] {
        let mut world = World::open(terms(2));
        let places: Vec<Place> = (1..=4).map(|number| world.join(guest(number), 0).place).collect();
        let in_line: Vec<_> = places.iter().map(|place| matches!(place, Place::Numbered(0..4))).collect();
        assert_eq!(in_line, [true; 4]);
        let slot = world.enter(guest(1), places[0]).expect("called");
        assert!(world.look(guest(2), places[1]).too_soon.is_some());
        world.dies(snapshot);
        world.later(1);
        // Who was let in is in; who was called is called again, but not before all had the time to say that they wait.
        assert_eq!(world.enter(guest(1), places[0]), Ok(slot));
        assert_eq!(world.look(guest(4), places[3]).status, Waiting);
        let new = world.join(guest(5), 0).place;
        assert_eq!(new, Place::Numbered(limits::ROOM_NUMBERS), "numbers are left out, and none comes twice");
        world.later(30);
        assert_eq!(world.look(guest(4), places[3]).status, Waiting);
        assert_eq!(
            world.look(guest(2), places[1]).status,
            Waiting,
            "it asks late, and is before those who asked earlier"
        );
        world.later(29);
        assert_eq!(world.look(guest(5), new).status, Waiting);
        world.later(1);
        assert_eq!(world.look(guest(2), places[1]).status, Called);
        assert_eq!(world.look(guest(4), places[3]).status, Waiting);
        assert_eq!(
            world.look(guest(3), places[2]).status,
            Waiting,
            "an earlier one is before a later one, whenever it says so"
        );
        world.ask(&RoomCommand::Leave { entrant: guest(1), place: places[0] }).expect("it is theirs");
        assert_eq!(world.look(guest(3), places[2]).status, Called);
        // The place of whoever was let in is good for nothing any more, before and after another crash.
        for _ in 0..2 {
            world.later(61);
            assert_eq!(world.look(guest(1), places[0]).status, Left);
            assert_eq!(world.enter(guest(1), places[0]), Err(Reject::NotCalled));
            world.dies(snapshot);
        }
        // Nor is a number that nobody was given.
        assert_eq!(world.look(guest(6), Place::Numbered(1 << 40)).status, Left);
    }
}

/// Who took a new number after a crash and finds the old ticket has one place: the earlier.
#[test]
fn nobody_has_two_places() {
    let mut world = World::open(terms(1));
    let (first, second) = (world.join(guest(1), 0).place, world.join(guest(2), 0).place);
    world.dies(true);
    let new = world.join(guest(2), 0).place;
    assert!(new > second);
    assert_eq!(world.look(guest(2), second).status, Waiting);
    assert_eq!(world.look(guest(2), new).status, Left);
    assert_eq!(world.look(guest(1), first).ahead, Some(0));
    assert_eq!(world.join(guest(2), 0).place, second);
    assert_eq!(world.room.view().expect("it is there").waiting, 2);
}

/// Nor has anybody who was drawn, or who is in already.
#[test]
fn who_took_a_number_and_finds_the_draw_has_one_place() {
    let mut world = World::new(terms(1));
    world.now_ms = OPENS - SECOND;
    let drawn = world.join(guest(1), 50).place;
    world.dies(true);
    world.now_ms = OPENS;
    let number = world.join(guest(1), 50).place;
    assert!(number > drawn, "nothing is known of those who waited");
    assert_eq!(world.look(guest(1), drawn).status, Waiting);
    assert_eq!(world.look(guest(1), number).status, Left);
    world.dies(true);
    assert_eq!(world.look(guest(1), number).status, Waiting);
    assert_eq!(world.look(guest(1), drawn).status, Waiting);
    assert_eq!(world.look(guest(1), number).status, Left);
    world.dies(true);
    assert_eq!(world.look(guest(1), number).status, Waiting);
    world.later(60);
    assert_eq!(world.look(guest(1), number).status, Called);
    let slot = world.enter(guest(1), number).expect("called");
    assert_eq!(world.look(guest(1), drawn).status, Left);
    assert_eq!(world.enter(guest(1), drawn), Err(Reject::NotCalled));
    assert_eq!(world.enter(guest(1), number), Ok(slot));
}

/// Whoever comes again before the room opens is told anew when to ask, and is present from then on.
#[test]
fn who_comes_again_was_not_silent() {
    for leaves in [false, true] {
        let mut world = World::new(terms(1));
        world.now_ms = OPENS - 50 * SECOND;
        let place = world.join(guest(1), 50).place;
        world.now_ms = OPENS - SECOND;
        if leaves {
            world.ask(&RoomCommand::Leave { entrant: guest(1), place }).expect("it is theirs");
        }
        assert_eq!(world.join(guest(1), 50).poll_after_seconds, 3);
        world.later(2);
        assert_eq!(world.join(guest(2), 0).status, Waiting, "{leaves}");
        assert_eq!(world.look(guest(1), place).status, Called, "{leaves}");
    }
}

#[test]
fn the_time_to_come_back_is_over_though_nobody_asked_meanwhile() {
    for (later, again) in [(419, Place::Numbered(0)), (420, Place::Numbered(1))] {
        let mut world = World::open(terms(1));
        assert_eq!(world.join(guest(1), 0).status, Called);
        world.later(later);
        assert_eq!(world.join(guest(1), 0).place, again, "{later}");
    }
}

#[test]
fn a_closed_room_lets_nobody_in_and_keeps_those_who_are() {
    let mut world = World::open(RoomTerms { closes_at: Some(Timestamp::from_millis(OPENS + 10 * SECOND)), ..terms(2) });
    let (inside, called) = (world.join(guest(1), 0).place, world.join(guest(2), 0).place);
    world.join(guest(4), 0);
    world.enter(guest(1), inside).expect("called");
    world.later(10);
    let waits = RoomCommand::Join { entrant: guest(4), draw: 0 };
    assert_eq!(world.ask(&waits), Err(Reject::RoomClosed), "also while nobody else has asked since");
    assert_eq!(world.look(guest(1), inside).status, Admitted);
    assert_eq!(world.look(guest(2), called).status, Closed);
    assert_eq!(world.enter(guest(2), called), Err(Reject::RoomClosed));
    assert_eq!(world.ask(&RoomCommand::Join { entrant: guest(3), draw: 0 }), Err(Reject::RoomClosed));
}

#[test]
fn only_the_shop_opens_rooms() {
    let mut room = Room::new(id());
    let customer = CustomerId::from_uuid(Uuid::from_u128(1));
    for (by, made) in [(Principal::Customer(customer), false), (Principal::SHOP, true), (Principal::SHOP, false)] {
        let command = RoomCommand::Create { by, terms: Box::new(terms(1)) };
        let now = Timestamp::from_millis(1);
        room.heard(&command, now);
        let events = room.decide(&command, &Knowledge::NOTHING, now).unwrap_or_default();
        events.iter().for_each(|event| room.apply(event, now));
        assert_eq!(!events.is_empty(), made, "{by:?}");
    }
    let nobody = RoomCommand::Join { entrant: guest(1), draw: 0 };
    let mut none = Room::new(id());
    none.heard(&nobody, Timestamp::from_millis(1));
    assert_eq!(none.decide(&nobody, &Knowledge::NOTHING, Timestamp::from_millis(1)), Err(Reject::RoomUnknown));
}

/// A line beside a plain list: whatever order people come in, ask, leave and come back in, the same are before the same.
#[test]
fn a_line_is_a_sorted_list() {
    let now = Timestamp::from_millis(OPENS);
    let mut seed = 7_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut line = Line::new(now, 0, false);
    let mut list: BTreeMap<Place, bool> = BTreeMap::new();
    for step in 0..20_000 {
        let place = match random(2) {
            0 => Place::Drawn(random(1 << 40)),
            _ => Place::Numbered(random(6_000)),
        };
        match list.get(&place).copied() {
            None => {
                // Keys of their own: nobody here has two places.
                line.put(place, u64::MAX - step, now);
                list.insert(place, true);
            }
            Some(true) => {
                line.is_gone(place);
                list.insert(place, false);
            }
            Some(false) => {
                line.wait_again(place, now);
                list.insert(place, true);
            }
        }
        if step % 97 == 0 {
            let ahead = list.range(..place).filter(|(_, waits)| **waits).count() as u64;
            assert_eq!(line.ahead(place), ahead, "{step}");
            assert_eq!(line.waiting(), list.values().filter(|waits| **waits).count() as u64);
            assert_eq!(line.places(), list.len());
        }
    }
}

/// 170,000 who wait take 64 bytes each at most, with what finds their numbers and with what is kept free for more: those who came in the order of their
/// numbers, those whose draws come as they come, and those who come back after a start in any order.
#[test]
fn a_place_is_small() {
    let (now, all) = (Timestamp::from_millis(OPENS), 170_000_u64);
    // It shares no factor with a power of two: each comes once, far from the one before.
    let spread = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let anew = |number: u64| (number * 99_991) % all;
    let places: [&dyn Fn(u64) -> Place; 3] =
        [&Place::Numbered, &|number| Place::Drawn(spread(number)), &|number| Place::Numbered(anew(number))];
    for (which, place) in places.into_iter().enumerate() {
        let mut line = Line::new(now, 0, false);
        for number in 0..all {
            line.put(place(number), spread(number), now);
        }
        assert_eq!(line.waiting(), all);
        let each = line.bytes() as u64 / all;
        assert!((24..=64).contains(&each), "{each} bytes for a place of sort {which}");
    }
}
