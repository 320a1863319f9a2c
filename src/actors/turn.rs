//! The turn: what one message does to one entity, as a value. It is pure: no actor, no node, no clock and no channel. The shell carries
//! it out, and so does the small world of the tests.
//!
//! The value is filled in where its owner has it: it is large, and would be copied several times on its way out of the guard against
//! panics.

use crate::actors::shop::{Answered, Failure};
use crate::actors::state::Built;
use crate::domain::details::Detail;
use crate::domain::entity::{EffectKey, Entity, Message, Publication};
use crate::domain::ids::EntityId;
use crate::domain::knowledge::Knowledge;
use crate::domain::record::{IdempotencyKey, KeptAnswer, Record};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use serde::de::DeserializeOwned;

/// When a turn is, and what may be known then.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// When.
    pub now: Timestamp,
    /// What may be known besides the entity's own state.
    pub knowledge: Knowledge<'a>,
}

/// Why a command is not let in.
pub enum NotLetIn {
    /// There is no answer now.
    Failed(Failure),
    /// This is the answer.
    Refused(Reject),
}

/// How a turn ended, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The command was carried out, be it that nothing changed.
    Done,
    /// It was refused.
    Rejected,
    /// Its first answer was given again.
    Repeated,
    /// It waits, or was no fit command at all.
    Not,
}

/// What one message does to one entity. Where there is a record, all answers are given when it is durable; without one, when
/// everything is that the entity recorded before.
pub struct Outcome<E: Entity> {
    /// What to append.
    pub record: Option<Record<E::Event>>,
    /// The answer to whoever asked; `None` for a command of another entity, and while it is too early.
    pub answer: Option<Answered<E::Reply>>,
    /// Whether whoever asked is to wait until the entity has come so far.
    pub waits: bool,
    /// The answers to those who have waited, by their places among them, from the first to the last.
    pub others: Vec<(usize, Answered<E::Reply>)>,
    /// What is kept beside the journal, in the transaction of the record.
    pub details: Vec<Detail>,
    /// What becomes visible when the record is durable.
    pub publications: Vec<Publication>,
    /// The effects that are to be sent now, unless they were, and again until they are answered. Nothing is known of them without a
    /// record.
    pub wanted: Vec<EffectKey>,
    /// Whether those that were sent lately are sent again nevertheless.
    pub asks_again: bool,
    /// What others are told, once.
    pub tells: Vec<Message>,
    /// What the entity is answered that gave the command.
    pub response: Option<Message>,
    /// Whether the entity heard the command: then what it waits for may have another moment, though nothing is recorded.
    pub heard: bool,
    /// How it is counted.
    pub counted: Counted,
}

impl<E: Entity> Default for Outcome<E> {
    /// Of a message that does nothing.
    fn default() -> Self {
        Self {
            record: None,
            answer: None,
            waits: false,
            others: Vec::new(),
            details: Vec::new(),
            publications: Vec::new(),
            wanted: Vec::new(),
            asks_again: false,
            tells: Vec::new(),
            response: None,
            heard: false,
            counted: Counted::Not,
        }
    }
}

impl<E: Entity> Outcome<E> {
    fn answer(&mut self, outcome: Result<E::Reply, Reject>, replayed: bool, counted: Counted) {
        self.answer = Some(Answered { outcome, replayed });
        self.counted = counted;
    }

    /// Makes the record of events that have been applied, with the answers that are to be kept under keys: that to whoever asked, and
    /// those to whoever has waited and need not any longer. There is none where nothing happened and no answer is kept.
    fn record<'a>(
        &mut self,
        built: &mut Built<E>,
        command: &E::Command,
        events: Vec<E::Event>,
        key: Option<IdempotencyKey>,
        waiting: impl Iterator<Item = Asked<'a, E>>,
        now: Timestamp,
    ) {
        let mut kept = Vec::new();
        if let (Some(key), Some(answer)) = (key, &mut self.answer) {
            keep(built, key, answer, now, &mut kept);
        }
        if !events.is_empty() {
            for (place, (command, key)) in waiting.enumerate() {
                let Some(outcome) = built.entity.reply(command, false) else { continue };
                let mut answered = Answered { outcome, replayed: false };
                if let Some(key) = key {
                    keep(built, key, &mut answered, now, &mut kept);
                }
                self.others.push((place, answered));
            }
        }
        if events.is_empty() && kept.is_empty() {
            return;
        }
        built.version += 1;
        self.details = built.entity.details(command, &events);
        self.publications = built.entity.publications(&events);
        self.tells = built.entity.tells(&events);
        self.wanted = built.entity.outstanding_at_once(now);
        let entity = built.id.entity();
        self.record = Some(Record { entity, version: built.version, at: now, events, answers: kept });
    }
}

/// A request on its way through a turn: the command, and its idempotency key.
pub type Asked<'a, E> = (&'a <E as crate::domain::entity::Decides>::Command, Option<IdempotencyKey>);

/// What a request does. `waiting` are those that wait until the entity has come so far; `admit` is asked before anything is decided,
/// for a request that was not answered before.
///
/// # Errors
/// What `admit` says. [`Failure::AnswerUnreadable`].
pub fn ask<'a, E: Entity>(
    outcome: &mut Outcome<E>,
    built: &mut Built<E>,
    command: &E::Command,
    mut key: Option<IdempotencyKey>,
    waiting: impl Iterator<Item = Asked<'a, E>> + Clone,
    moment: Moment<'_>,
    admit: impl FnOnce(&E, &E::Command) -> Result<(), NotLetIn>,
) -> Result<(), Failure> {
    if let Some(asked_under) = key {
        let kept = built.answers.get(asked_under.key, moment.now);
        let asked = || waiting.clone().find_map(|(_, other)| other.filter(|other| other.key == asked_under.key));
        if kept.map(|kept| kept.key).or_else(asked).is_some_and(|first| first.body != asked_under.body) {
            outcome.answer(Err(Reject::IdempotencyKeyReused), false, Counted::Not);
            return Ok(());
        }
        match kept {
            Some(kept) if built.entity.is_still_for(command) => {
                outcome.answer(first_answer(built.id, kept)?, true, Counted::Repeated);
                return Ok(());
            }
            // Whoever it was given to is refused as if it had never been.
            Some(_) => key = None,
            None => {}
        }
    }
    let mut events = Vec::new();
    let reply = match admit(&built.entity, command) {
        Err(NotLetIn::Failed(failure)) => return Err(failure),
        Err(NotLetIn::Refused(reject)) => Some(Err(reject)),
        Ok(()) => {
            outcome.heard = !E::is_read(command);
            match decide(&mut built.entity, command, moment) {
                Err(reject) => Some(Err(reject)),
                Ok(decided) => {
                    events = decided;
                    built.entity.reply(command, !events.is_empty())
                }
            }
        }
    };
    // It was there already, and the first answer under the key is not kept any more: this one repeats it, and is not kept anew.
    let replayed = events.is_empty() && matches!(reply, Some(Ok(_))) && E::creates(command);
    match reply {
        Some(reply) => {
            let counted = if reply.is_ok() { Counted::Done } else { Counted::Rejected };
            outcome.answer(reply, replayed, counted);
        }
        None => outcome.waits = true,
    }
    outcome.asks_again = !events.is_empty() && E::asks_again(command);
    let kept_under = key.filter(|_| !replayed && !E::looks_ahead(command));
    outcome.record(built, command, events, kept_under, waiting, moment.now);
    Ok(())
}

/// What a command of another entity does, or of time, or a provider's answer. `admit` is asked before anything is decided.
pub fn tell<'a, E: Entity>(
    outcome: &mut Outcome<E>,
    built: &mut Built<E>,
    command: &E::Command,
    waiting: impl Iterator<Item = Asked<'a, E>>,
    moment: Moment<'_>,
    admit: impl FnOnce(&E, &E::Command) -> Result<(), Reject>,
) {
    if let Err(reject) = admit(&built.entity, command) {
        outcome.response = built.entity.respond(command, Err(&reject));
        return;
    }
    outcome.heard = true;
    match decide(&mut built.entity, command, moment) {
        Ok(events) => {
            outcome.counted = Counted::Done;
            outcome.record(built, command, events, None, waiting, moment.now);
            outcome.response = built.entity.respond(command, Ok(()));
        }
        Err(reject) => {
            outcome.counted = Counted::Rejected;
            outcome.response = built.entity.respond(command, Err(&reject));
        }
    }
}

/// Decides and applies.
fn decide<E: Entity>(entity: &mut E, command: &E::Command, moment: Moment<'_>) -> Result<Vec<E::Event>, Reject> {
    entity.heard(command, moment.now);
    let events = entity.decide(command, &moment.knowledge, moment.now)?;
    for event in &events {
        entity.apply(event, moment.now);
        #[cfg(debug_assertions)]
        if let Err(breach) = entity.check() {
            panic!("{breach} after {event:?}");
        }
    }
    Ok(events)
}

/// Keeps an answer under its key, or makes it the one that was kept first. A refusal that is no conflict may be otherwise the next time:
/// it is not kept.
fn keep<E: Entity>(
    built: &mut Built<E>,
    key: IdempotencyKey,
    answered: &mut Answered<E::Reply>,
    now: Timestamp,
    kept: &mut Vec<KeptAnswer>,
) {
    if let Some(first) = built.answers.get(key.key, now) {
        // One that cannot be read is not replaced: this is what it would say today.
        if let Ok(outcome) = first_answer(built.id, first) {
            answered.outcome = outcome;
        }
        answered.replayed = true;
    } else if answered.outcome.as_ref().map_or_else(Reject::is_conflict, |_| true) {
        let answer = KeptAnswer::new(key, now, &answered.outcome);
        built.answers.keep(answer.clone());
        kept.push(answer);
    }
}

fn first_answer<R: DeserializeOwned>(of: impl EntityId, kept: &KeptAnswer) -> Result<Result<R, Reject>, Failure> {
    kept.answer().map_err(|error| {
        tracing::error!(entity = %of.entity(), key = format_args!("{:032x}", kept.key.key), %error, "a kept answer cannot be read");
        Failure::AnswerUnreadable
    })
}
