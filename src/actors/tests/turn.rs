//! The turn, by an entity that counts: what is recorded, who is answered what, and what others hear of it.

use crate::actors::shop::{Answered, Failure};
use crate::actors::state::{self, Built};
use crate::actors::turn::{self, Counted, Moment, NotLetIn, Outcome};
use crate::domain::cart::CartCommand;
use crate::domain::entity::concerns::*;
use crate::domain::entity::{Delta, Effect, EffectKey, Message, Part, Principal, RestoreError, Step};
use crate::domain::ids::{CartId, EntityId as _, Kind};
use crate::domain::invariants::Breach;
use crate::domain::knowledge::Knowledge;
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::ports::History;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Counts up, and to whom it matters says so.
struct Tally {
    id: CartId,
    count: i64,
    /// Commands that were heard.
    heard: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Ask {
    Add(i64),
    /// Made if it is not there.
    Make,
    Get,
    /// Answered once it has come so far.
    Await(i64),
    /// Refused, and another time perhaps not.
    Early,
    /// Refused: it does not fit.
    Conflict,
}

impl Decides for Tally {
    const KIND: Kind = Kind::Cart;
    const UNKNOWN: Reject = Reject::CartUnknown;
    type Id = CartId;
    type Command = Ask;
    type Event = i64;
    type Reply = i64;

    fn new(id: CartId) -> Self {
        Self { id, count: 0, heard: 0 }
    }

    fn heard(&mut self, _: &Ask, _: Timestamp) {
        self.heard += 1;
    }

    fn decide(&self, command: &Ask, _: &Knowledge<'_>, _: Timestamp) -> Result<Vec<i64>, Reject> {
        assert!(self.heard > 0, "it decides what it has not heard");
        match command {
            Ask::Add(0) | Ask::Get | Ask::Await(_) => Ok(Vec::new()),
            Ask::Add(more) => Ok(vec![*more]),
            Ask::Make if self.count > 0 => Ok(Vec::new()),
            Ask::Make => Ok(vec![1]),
            Ask::Early => Err(Reject::CartUnknown),
            Ask::Conflict => Err(Reject::CartEmpty),
        }
    }

    fn apply(&mut self, more: &i64, _: Timestamp) {
        self.count += more;
    }

    fn reply(&self, command: &Ask, _: bool) -> Option<Result<i64, Reject>> {
        match command {
            Ask::Await(count) if self.count < *count => None,
            _ => Some(Ok(self.count)),
        }
    }

    fn respond(&self, _: &Ask, outcome: Result<(), &Reject>) -> Option<Message> {
        outcome.is_err().then(|| self.message())
    }

    fn tells(&self, events: &[i64]) -> Vec<Message> {
        events.iter().map(|_| self.message()).collect()
    }

    fn is_read(command: &Ask) -> bool {
        *command == Ask::Get
    }

    fn creates(command: &Ask) -> bool {
        *command == Ask::Make
    }
}

impl Tally {
    fn message(&self) -> Message {
        Message::Cart { id: self.id, command: CartCommand::Get { by: Principal::SHOP } }
    }
}

impl Asks for Tally {
    fn outstanding(&self, _: Timestamp) -> Vec<EffectKey> {
        (0..self.count).map(|number| EffectKey { step: Step::Place, target: number as u128 }).collect()
    }

    fn effect(&self, _: EffectKey) -> Option<Effect> {
        None
    }

    fn asks_again(command: &Ask) -> bool {
        matches!(command, Ask::Add(100))
    }
}

impl Keeps for Tally {
    const KEPT_ANSWERS: usize = 8;

    fn delta(&mut self) -> Delta {
        Delta::default()
    }

    fn restore(id: CartId, _: &[Part]) -> Result<Self, RestoreError> {
        Ok(Self::new(id))
    }
}

impl Checks for Tally {
    fn check(&self) -> Result<(), Breach> {
        Ok(())
    }

    fn summary(&self) -> serde_json::Value {
        self.count.into()
    }
}

const NOW: Moment<'static> = Moment { now: Timestamp::from_millis(1_000), knowledge: Knowledge::NOTHING };

fn tally() -> Built<Tally> {
    Built::new(CartId::from_uuid(Uuid::from_u128(1)))
}

fn key(key: u128) -> Option<IdempotencyKey> {
    Some(IdempotencyKey { key, body: 1 })
}

type Waiting = [(Ask, Option<IdempotencyKey>)];

fn ask_beside(
    built: &mut Built<Tally>,
    command: Ask,
    key: Option<IdempotencyKey>,
    waiting: &Waiting,
) -> Outcome<Tally> {
    let mut outcome = Outcome::default();
    let waiting = waiting.iter().map(|(command, key)| (command, *key));
    let asked = turn::ask(&mut outcome, built, &command, key, waiting, NOW, |_, _| Ok::<_, NotLetIn>(()));
    assert_eq!(asked, Ok(()), "it is let in");
    outcome
}

fn ask(built: &mut Built<Tally>, command: Ask, key: Option<IdempotencyKey>) -> Outcome<Tally> {
    ask_beside(built, command, key, &[])
}

fn tell(built: &mut Built<Tally>, command: Ask, waiting: &Waiting) -> Outcome<Tally> {
    let mut outcome = Outcome::default();
    let waiting = waiting.iter().map(|(command, key)| (command, *key));
    turn::tell(&mut outcome, built, &command, waiting, NOW, |_, _| Ok(()));
    outcome
}

fn answered(outcome: &Outcome<Tally>) -> Option<(Result<i64, Reject>, bool)> {
    outcome.answer.as_ref().map(|Answered { outcome, replayed }| (outcome.clone(), *replayed))
}

/// The record's version, its events, and the keys whose answers it keeps.
fn recorded(outcome: &Outcome<Tally>) -> Option<(u64, &[i64], Vec<u128>)> {
    let record = outcome.record.as_ref()?;
    Some((record.version, &record.events, record.answers.iter().map(|answer| answer.key.key).collect()))
}

#[test]
fn others_are_told_of_what_happened_and_of_nothing_else() {
    let mut built = tally();
    let outcome = tell(&mut built, Ask::Add(2), &[]);
    assert_eq!((outcome.tells.len(), outcome.response.is_some(), outcome.counted), (1, false, Counted::Done));
    assert_eq!(recorded(&outcome), Some((1, &[2][..], vec![])));
    assert_eq!(outcome.wanted.len(), 2);
    let outcome = tell(&mut built, Ask::Add(0), &[]);
    assert!(outcome.tells.is_empty() && outcome.record.is_none() && outcome.heard);
    let outcome = tell(&mut built, Ask::Early, &[]);
    assert_eq!((outcome.tells.len(), outcome.response.is_some(), outcome.counted), (0, true, Counted::Rejected));
    // A record that only keeps an answer is no news.
    let outcome = ask(&mut built, Ask::Get, key(1));
    assert_eq!((recorded(&outcome), outcome.tells.len()), (Some((2, &[][..], vec![1])), 0));
}

#[test]
fn what_changes_nothing_and_is_under_no_key_is_answered_without_a_record() {
    let mut built = tally();
    for (command, answer, heard) in [
        (Ask::Get, Ok(0), false),
        (Ask::Add(0), Ok(0), true),
        (Ask::Early, Err(Reject::CartUnknown), true),
        (Ask::Conflict, Err(Reject::CartEmpty), true),
    ] {
        let outcome = ask(&mut built, command.clone(), None);
        assert_eq!((answered(&outcome), outcome.heard), (Some((answer, false)), heard), "{command:?}");
        assert!(outcome.record.is_none(), "{command:?}");
    }
    assert_eq!(built.version, 0);
}

#[test]
fn the_first_answer_under_a_key_is_the_only_one() {
    let mut built = tally();
    let outcome = ask(&mut built, Ask::Add(1), key(1));
    assert_eq!((recorded(&outcome), answered(&outcome)), (Some((1, &[1][..], vec![1])), Some((Ok(1), false))));
    ask(&mut built, Ask::Add(1), None);
    let outcome = ask(&mut built, Ask::Add(1), key(1));
    assert_eq!((answered(&outcome), outcome.counted), (Some((Ok(1), true)), Counted::Repeated));
    assert!(outcome.record.is_none() && !outcome.heard);
    let outcome = ask(&mut built, Ask::Add(1), Some(IdempotencyKey { key: 1, body: 2 }));
    assert_eq!(answered(&outcome), Some((Err(Reject::IdempotencyKeyReused), false)));
    // A refusal that may be otherwise the next time is not kept, a conflict is.
    assert_eq!(recorded(&ask(&mut built, Ask::Early, key(2))), None);
    assert_eq!(recorded(&ask(&mut built, Ask::Conflict, key(3))), Some((3, &[][..], vec![3])));
    assert_eq!(answered(&ask(&mut built, Ask::Conflict, key(3))), Some((Err(Reject::CartEmpty), true)));
}

/// A later release may have written it. Nobody reads it until it is asked for, and then nothing is done a second time.
#[test]
fn an_answer_that_cannot_be_read_costs_itself_alone() {
    let line = |ev: &str, version: u64, key: &str, answer: &str| {
        let kept = format!(r#"{{"key":"{key}","body":"0000000000000001","at":1000,"answer":{answer}}}"#);
        format!(r#"{{"e":"{}","v":{version},"at":1000,"ev":{ev},"ans":[{kept}]}}"#, tally().id.entity()).into_bytes()
    };
    let records = vec![line("[1]", 1, "1", r#"{"perhaps":{"later":1}}"#), line("[2]", 2, "2", r#"{"ok":1}"#)];
    let history = History { snapshot: None, records };
    let mut built = state::build::<Tally>(tally().id, &history).unwrap();
    assert_eq!((built.version, built.entity.count), (2, 3));
    let mut outcome = Outcome::default();
    let none = std::iter::empty::<(&Ask, Option<IdempotencyKey>)>();
    let asked = turn::ask(&mut outcome, &mut built, &Ask::Add(1), key(1), none, NOW, |_, _| Ok(()));
    assert_eq!(asked, Err(Failure::AnswerUnreadable));
    assert!(outcome.record.is_none() && outcome.answer.is_none() && built.entity.count == 3);
    assert_eq!(answered(&ask(&mut built, Ask::Add(1), key(2))), Some((Ok(1), true)));
    // It is kept as it is: an older release that comes back may read it.
    let mut written = Vec::new();
    built.answers.get(1, NOW.now).unwrap().write(&mut written);
    assert!(written.ends_with(br#""answer":{"perhaps":{"later":1}}}"#));
    // Who waited under the key is told what is so today.
    let waiting = [(Ask::Await(3), key(1))];
    let outcome = tell(&mut built, Ask::Add(1), &waiting);
    assert!(outcome.others[0].1.replayed && outcome.record.is_some_and(|record| record.answers.is_empty()));
}

#[test]
fn what_is_there_already_is_a_repeated_answer_that_is_not_kept_anew() {
    let mut built = tally();
    assert_eq!(answered(&ask(&mut built, Ask::Make, None)), Some((Ok(1), false)));
    let outcome = ask(&mut built, Ask::Make, key(1));
    assert_eq!((recorded(&outcome), answered(&outcome)), (None, Some((Ok(1), true))));
}

#[test]
fn those_who_wait_are_answered_with_the_record_that_they_waited_for() {
    let mut built = tally();
    let outcome = ask(&mut built, Ask::Await(3), key(1));
    assert!(outcome.waits && outcome.record.is_none() && outcome.answer.is_none());
    let waiting = [(Ask::Await(3), key(1)), (Ask::Await(9), None), (Ask::Await(3), key(1)), (Ask::Await(2), None)];
    // Another body under the key of one who waits.
    let outcome = ask_beside(&mut built, Ask::Add(5), Some(IdempotencyKey { key: 1, body: 2 }), &waiting);
    assert_eq!(answered(&outcome), Some((Err(Reject::IdempotencyKeyReused), false)));
    assert!(tell(&mut built, Ask::Add(1), &waiting).others.is_empty(), "it is too early");
    let outcome = tell(&mut built, Ask::Add(2), &waiting);
    let others: Vec<_> = outcome.others.iter().map(|(place, answer)| (*place, answer.replayed)).collect();
    assert_eq!(others, [(0, false), (2, true), (3, false)], "the second under a key repeats the first");
    assert_eq!(recorded(&outcome), Some((2, &[2][..], vec![1])));
    assert_eq!(answered(&ask(&mut built, Ask::Await(3), key(1))), Some((Ok(3), true)));
}

#[test]
fn who_is_not_let_in_changes_nothing_and_is_not_heard() {
    let (mut built, command) = (tally(), Ask::Add(1));
    let none = || std::iter::empty::<(&Ask, Option<IdempotencyKey>)>();
    let mut outcome = Outcome::default();
    let full = |_: &Tally, _: &Ask| Err(NotLetIn::Failed(Failure::Restarting));
    assert_eq!(turn::ask(&mut outcome, &mut built, &command, key(1), none(), NOW, full), Err(Failure::Restarting));
    assert!(outcome.answer.is_none() && outcome.record.is_none() && !outcome.heard);
    let refuse = |_: &Tally, _: &Ask| Err(NotLetIn::Refused(Reject::CommandPoisoned));
    assert_eq!(turn::ask(&mut outcome, &mut built, &command, None, none(), NOW, refuse), Ok(()));
    assert_eq!(answered(&outcome), Some((Err(Reject::CommandPoisoned), false)));
    assert!(!outcome.heard && outcome.record.is_none());
    let mut outcome = Outcome::default();
    turn::tell(&mut outcome, &mut built, &command, none(), NOW, |_, _| Err(Reject::CommandPoisoned));
    assert!(outcome.response.is_some() && outcome.counted == Counted::Not);
    assert_eq!((built.entity.heard, built.entity.count, built.version), (0, 0, 0));
}

#[test]
fn what_is_to_be_asked_again_at_once_is_said_only_when_something_happened() {
    let mut built = tally();
    assert!(!ask(&mut built, Ask::Add(1), None).asks_again);
    assert!(ask(&mut built, Ask::Add(100), None).asks_again);
}
