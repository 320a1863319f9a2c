//! What a trace is told of a request on its way through the actors: how long it and what it set off waited in mailboxes, each turn, and how long it
//! waited for its entity. Nothing of it is kept: what an entity sends a second time, or after a restart, is of no trace.

use crate::actors::envelope::Edge;
use crate::actors::registry::Hosted;
use crate::domain::ids::{EntityRef, Kind};
use crate::ports::trace::{OpenSpan, TraceContext, Traced};
use tokio::time::Instant;

/// What is below this context and waits from now on, in a box where messages and records are to stay small.
pub(super) fn from_now<T: From<Traced>>(context: Option<TraceContext>) -> Option<T> {
    context.map(|context| Traced { context, since: Instant::now() }.into())
}

/// The turn of a message has come: what it waited in the mailbox is told, and what follows is below the turn.
pub(super) fn turn(traced: &mut Traced, entity: EntityRef, at: Instant) -> OpenSpan {
    traced.context.note("mailbox", traced.since, at);
    let mut turn = traced.context.begin("turn", at);
    turn.says("haat.entity.kind", entity.kind.name());
    // The id of a customer is the id of a person.
    if entity.kind != Kind::Customer {
        turn.says("haat.entity", entity.to_string());
    }
    traced.context = turn.context();
    turn
}

impl<E: Hosted> Edge<E> {
    /// From now on it waits for its entity.
    pub(super) fn is_parked(&mut self) {
        if let Some(traced) = &mut self.trace {
            traced.since = Instant::now();
        }
    }

    /// It need not wait for its entity any longer.
    pub(super) fn is_unparked(&self) {
        if let Some(Traced { context, since }) = self.trace {
            context.note("wait", since, Instant::now());
        }
    }
}
