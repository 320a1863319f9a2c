//! A waiting room against a plain model of it, which says what each is told at each moment. Beside both stands a witness, who knows no rules of
//! calling: it writes down what people are told, and looks for what may never be.
//!
//! Time goes by in whole seconds. Nobody tells a room so: it learns what time it is when it is asked something.

#[path = "rooms/oracle.rs"]
mod oracle;
#[path = "rooms/witness.rs"]
mod witness;

use crate::kept::{Kept, Tally};
use crate::random::config;
use haat::domain::entity::{Checks as _, Decides as _, Keeps as _, Principal};
use haat::domain::ids::{CartId, CustomerId, RoomId};
use haat::domain::knowledge::Knowledge;
use haat::domain::reject::Reject;
use haat::domain::room::{Entrant, Guards, Place, Room, RoomCommand, RoomReply, RoomTerms, TicketStatus};
use haat::domain::time::Timestamp;
use oracle::{Model, RANGE, Terms, Told};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use uuid::Uuid;
use witness::Witness;

const BEGIN: i64 = 1_700_000_000;
const PEOPLE: usize = 8;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn room_id() -> RoomId {
    RoomId::from_uuid(Uuid::from_u128(7))
}

fn entrant(who: usize) -> Entrant {
    let id = Uuid::from_u128(1 + who as u128);
    if who.is_multiple_of(2) {
        Entrant::Cart(CartId::from_uuid(id))
    } else {
        Entrant::Customer(CustomerId::from_uuid(id))
    }
}

fn written(terms: &Terms) -> RoomTerms {
    RoomTerms {
        name: "11.11".into(),
        opens_at: at(terms.opens),
        closes_at: terms.closes.map(at),
        capacity: terms.capacity as u32,
        admit_per_minute: terms.per_minute,
        claim_seconds: terms.claim as u32,
        slot_seconds: terms.slot as u32,
        guards: Guards::Checkout,
    }
}

/// Where a place is named, it is the newest that they have, or one so many before it.
#[derive(Clone, Copy, Debug)]
enum Do {
    Join(usize),
    Look(usize, usize),
    Enter(usize, usize),
    Leave(usize, usize),
    /// Whoever has this slot has bought; counted from the newest.
    Bought(u64),
    /// So many come and are not seen again.
    Crowd(usize),
    /// For so many seconds everybody does as they always do.
    Live(i64),
    Pass(i64),
    /// To the next moment at which something ends or begins, or a second before or after it.
    PassToTheNext(i64),
    Checkpoint,
    Crash,
}

fn terms() -> impl Strategy<Value = Terms> {
    let select = prop::sample::select::<i64>;
    let lasts = prop::option::weighted(0.5, select(vec![30, 90, 400]));
    let times = (select(vec![0, 20, 90, 200]), lasts, select(vec![1, 7, 120]), select(vec![15, 60, 600]));
    let pace = prop::sample::select(vec![6, 40, 60_000]);
    (times, 1..4_usize, pace, any::<u64>()).prop_map(|((opens, lasts, claim, slot), capacity, per_minute, seed)| {
        let opens = BEGIN + opens;
        Terms { opens, closes: lasts.map(|lasts| opens + lasts), capacity, per_minute, claim, slot, seed }
    })
}

fn what() -> impl Strategy<Value = Do> {
    let who = || 0..PEOPLE;
    let which = || prop::sample::select(vec![0, 0, 0, 1, 2]);
    prop_oneof![
        12 => who().prop_map(Do::Join),
        6 => (who(), which()).prop_map(|(who, which)| Do::Look(who, which)),
        6 => (who(), which()).prop_map(|(who, which)| Do::Enter(who, which)),
        3 => (who(), which()).prop_map(|(who, which)| Do::Leave(who, which)),
        2 => (0..3_u64).prop_map(Do::Bought),
        1 => prop_oneof![25 => Just(3), 1 => Just(1_100)].prop_map(Do::Crowd),
        6 => prop::sample::select(vec![1, 1, 3, 3, 10, 10, 70]).prop_map(Do::Live),
        3 => prop::sample::select(vec![1, 2, 3, 5, 30, 310]).prop_map(Do::Pass),
        4 => (-1..2_i64).prop_map(Do::PassToTheNext),
        1 => Just(Do::Checkpoint),
        1 => Just(Do::Crash),
    ]
}

/// How the first of four always asks, and the others: in time and comes in, in time and does not, as late as may be, and never.
fn asks_at(who: usize, asked: i64, poll: i64) -> Option<i64> {
    match who % 4 {
        0 | 1 => Some(asked + poll),
        2 => Some(asked + 2 * poll),
        _ => None,
    }
}

/// A room, what it should be, and what people heard.
struct All<'a> {
    room: Kept<Room>,
    model: Model,
    seen: Witness,
    tally: &'a Tally,
    crowd: usize,
}

fn told(reply: Result<RoomReply, Reject>) -> Result<Told, Reject> {
    let RoomReply::Ticket { ticket } = reply? else { panic!("it is no ticket") };
    let until = ticket.until.map(|until| until.as_millis() / 1_000);
    Ok((ticket.place, ticket.status, ticket.ahead, until, ticket.poll_after_seconds, ticket.too_soon))
}

impl All<'_> {
    /// Asks the room, and gives what it answers.
    fn ask(&mut self, command: &RoomCommand) -> Result<RoomReply, Reject> {
        let now = self.model.now;
        self.seen.asked(now);
        let events = self.room.ask(command, at(now))?;
        self.seen.events.extend(events.iter().map(|event| (at(now), event.clone())));
        self.room.entity.reply(command, !events.is_empty()).expect("a room answers at once")
    }

    fn join(&mut self, who: usize) -> Result<(), TestCaseError> {
        let Self { model, tally, .. } = self;
        model.wakes(tally);
        let place = model.join(who, tally);
        model.call(tally);
        let says = place.map(|place| model.told(who, place, None));
        let draw = model.terms.draw(who);
        let told = told(self.ask(&RoomCommand::Join { entrant: entrant(who), draw }));
        self.tally.count_told("join", &told);
        if let Ok(told) = &told {
            self.seen.gave(who, told.0, self.model.now)?;
            self.seen.heard(who, told, self.model.now);
        }
        prop_assert_eq!(told, says, "{} comes", who);
        Ok(())
    }

    fn look(&mut self, who: usize, which: usize) -> Result<(), TestCaseError> {
        let Some(place) = self.seen.place(who, which) else { return Ok(()) };
        let Self { model, tally, .. } = self;
        model.wakes(tally);
        let early = model.shows(who, place, true, tally);
        model.call(tally);
        let says = model.told(who, place, early);
        let told = told(self.ask(&RoomCommand::Look { entrant: entrant(who), place }));
        self.tally.count(if early.is_some() { "look: too soon" } else { says.1.name() });
        if let Ok(told) = &told {
            self.seen.heard(who, told, self.model.now);
        }
        prop_assert_eq!(told, Ok(says), "{} looks", who);
        Ok(())
    }

    fn enter(&mut self, who: usize, which: usize) -> Result<(), TestCaseError> {
        let Some(place) = self.seen.place(who, which) else { return Ok(()) };
        let Self { model, tally, .. } = self;
        model.wakes(tally);
        model.shows(who, place, false, tally);
        model.call(tally);
        let says = match model.told(who, place, None).1 {
            TicketStatus::Admitted => Ok(model.slot_of(who).expect("it is in")),
            TicketStatus::Called => Ok(model.comes_in(who, place)),
            TicketStatus::Closed => Err(Reject::RoomClosed),
            _ => Err(Reject::NotCalled),
        };
        let told = self.ask(&RoomCommand::Enter { entrant: entrant(who), place });
        self.tally.count_told("enter", &told);
        let told = told.map(|reply| match reply {
            RoomReply::Entered { slot, until } => (slot, place, until.as_millis() / 1_000),
            other => panic!("it was answered with {other:?}"),
        });
        if let Ok((slot, place, _)) = told {
            self.seen.came_in(place, slot)?;
        }
        prop_assert_eq!(told, says, "{} comes in", who);
        Ok(())
    }

    fn leave(&mut self, who: usize, which: usize) -> Result<(), TestCaseError> {
        let Some(place) = self.seen.place(who, which) else { return Ok(()) };
        let Self { model, tally, .. } = self;
        model.wakes(tally);
        if model.line.get(&place).is_some_and(|spot| spot.who == who) {
            model.goes(place);
        }
        model.call(tally);
        let slot = model.slot_of(who).filter(|(_, with, _)| *with == place);
        self.tally.count(if slot.is_some() { "leaves the shop" } else { "leaves the line" });
        slot.map(|(slot, ..)| self.model.slots.remove(&slot));
        prop_assert_eq!(self.ask(&RoomCommand::Leave { entrant: entrant(who), place }), Ok(RoomReply::Done));
        Ok(())
    }

    fn has_bought(&mut self, slot: u64) -> Result<(), TestCaseError> {
        let Self { model, tally, .. } = self;
        model.wakes(tally);
        model.call(tally);
        if model.slots.remove(&slot).is_some_and(|(.., until)| until > model.now) {
            tally.count("has bought");
        }
        prop_assert_eq!(self.ask(&RoomCommand::HasBought { slot }), Ok(RoomReply::Done));
        Ok(())
    }

    /// Somebody looks at the room: so it knows what time it is.
    fn show(&mut self) -> Result<(), TestCaseError> {
        self.model.wakes(self.tally);
        self.model.call(self.tally);
        prop_assert!(self.ask(&RoomCommand::Show).is_ok());
        Ok(())
    }

    /// A second goes by, in which everybody does as they always do.
    fn live(&mut self) -> Result<(), TestCaseError> {
        self.model.now += 1;
        for who in 0..PEOPLE {
            let Some((status, asked, poll)) = self.seen.last.get(&who).copied() else { continue };
            let waits = matches!(status, TicketStatus::Waiting | TicketStatus::Called);
            if waits && asks_at(who, asked, poll).is_some_and(|moment| moment <= self.model.now) {
                self.look(who, 0)?;
            }
            let is_called = self.seen.last[&who].0 == TicketStatus::Called;
            if is_called && who % 4 != 1 {
                self.enter(who, 0)?;
            }
        }
        Ok(())
    }

    /// Does it in both, and compares what is told. Whether the room heard anything.
    fn act(&mut self, what: Do) -> Result<bool, TestCaseError> {
        match what {
            Do::Join(who) => self.join(who)?,
            Do::Look(who, which) => self.look(who, which)?,
            Do::Enter(who, which) => self.enter(who, which)?,
            Do::Leave(who, which) => self.leave(who, which)?,
            Do::Bought(before) => match self.model.next_slot.checked_sub(1 + before) {
                Some(slot) => self.has_bought(slot)?,
                None => return Ok(false),
            },
            Do::Crowd(count) => {
                for _ in 0..count {
                    self.crowd += 1;
                    self.join(PEOPLE + self.crowd)?;
                }
            }
            Do::Live(seconds) => (0..seconds).try_for_each(|_| self.live())?,
            Do::Pass(seconds) => self.model.now += seconds,
            Do::PassToTheNext(beside) => {
                let now = self.model.now;
                self.model.now = self.model.next_moment().map_or(now, |moment| (moment + beside).max(now));
            }
            Do::Checkpoint => self.room.checkpoint(),
            Do::Crash => self.crash()?,
        }
        Ok(!matches!(what, Do::Pass(_) | Do::PassToTheNext(_) | Do::Checkpoint | Do::Crash))
    }

    /// The room is made of what a store has of it. All records by themselves make the same.
    fn crash(&mut self) -> Result<(), TestCaseError> {
        let lost = self.model.called() > 0;
        self.tally.count(if lost { "a crash while some are called" } else { "a crash" });
        self.room.crash();
        self.model.crash();
        self.seen.crash();
        let mut replayed = Room::new(room_id());
        self.seen.events.iter().for_each(|(at, event)| replayed.apply(event, *at));
        let head = |room: &Room| room.clone().delta().parts[0].state.clone();
        prop_assert_eq!(head(&replayed), head(&self.room.entity));
        self.compare(&replayed).map(|_| ())
    }

    /// Everybody looks at all their places, in a copy: so nothing comes of it. What is told of those that the room knows; the others come last,
    /// since the room comes to know them by that, and may call somebody else for it.
    fn compare(&self, room: &Room) -> Result<Vec<Told>, TestCaseError> {
        let (mut room, mut model, none) = (room.clone(), self.model.clone(), Tally::default());
        let now = at(model.now);
        let mut ask = |command: &RoomCommand| {
            room.heard(command, now);
            room.decide(command, &Knowledge::NOTHING, now)?;
            let reply = room.reply(command, false).expect("a room answers at once");
            Ok::<_, Reject>((reply?, room.summary()))
        };
        model.wakes(&none);
        model.call(&none);
        let Ok((RoomReply::Room { room: view }, summary)) = ask(&RoomCommand::Show) else {
            return Err(TestCaseError::fail("it does not show itself"));
        };
        prop_assert_eq!((view.waiting, view.admitted), (model.waiting() as u64, model.inside() as u64));
        let figure = |name: &str| summary[name].as_u64();
        let says = (model.called() as u64, model.next_slot, model.next.next_multiple_of(RANGE));
        let shows = (figure("called"), figure("next_slot"), figure("reserved"));
        prop_assert_eq!(shows, (Some(says.0), Some(says.1), Some(says.2)));
        let knows =
            |(_, place): &(usize, Place)| self.model.line.contains_key(place) || self.model.used.contains(place);
        let (known, others): (Vec<_>, Vec<_>) = self.seen.all().into_iter().partition(knows);
        let mut all = Vec::new();
        for (who, place) in known.iter().chain(&others).copied() {
            let early = model.shows(who, place, true, &none);
            model.call(&none);
            let says = model.told(who, place, early);
            let told = told(ask(&RoomCommand::Look { entrant: entrant(who), place }).map(|(reply, _)| reply));
            prop_assert_eq!(&told, &Ok(says), "{} looks", who);
            all.push(says);
        }
        all.truncate(known.len());
        Ok(all)
    }
}

/// What must have come of it, or the runs show nothing.
const DRAWN: [&str; 28] = [
    "join: done",
    "join: room_closed",
    "join: drawn",
    "join: numbered",
    "join: comes back",
    "join: again",
    "look: too soon",
    "waiting",
    "called",
    "admitted",
    "missed",
    "left",
    "closed",
    "enter: done",
    "enter: not_called",
    "enter: room_closed",
    "called: drawn",
    "called: numbered",
    "called: came back",
    "missed: did not come",
    "missed: was silent",
    "two places",
    "leaves the shop",
    "leaves the line",
    "has bought",
    "a crash",
    "a crash while some are called",
    "join: another range",
];

#[test]
fn a_room_agrees_with_the_model() {
    let tally = Tally::default();
    let run = |(terms, steps): (Terms, Vec<Do>)| {
        let mut room = Kept::new(room_id());
        let create = RoomCommand::Create { by: Principal::SHOP, terms: Box::new(written(&terms)) };
        let made = room.ask(&create, at(BEGIN)).expect("a room");
        let seen = Witness::new(terms.clone(), made.into_iter().map(|event| (at(BEGIN), event)).collect());
        let mut all = All { room, model: Model::new(terms, BEGIN), seen, tally: &tally, crowd: 0 };
        for what in steps {
            let heard = all.act(what)?;
            if heard {
                all.show()?;
            }
            let told = all.compare(&all.room.entity)?;
            if heard {
                all.seen.judge(&told, all.model.now)?;
            }
        }
        all.room.checkpoint();
        all.crash()?;
        all.compare(&all.room.entity).map(|_| ())
    };
    let steps = (terms(), prop::collection::vec(what(), 1..120));
    TestRunner::new(config(256)).run(&steps, run).unwrap_or_else(|why| panic!("{why}"));
    tally.check(&DRAWN);
}
