//! The shell: the one actor that runs every kind of entity.
//!
//! It takes one message at a time. What the message does is a value, made by [`turn`]; the shell carries it out: it appends the record
//! together with the replies to the log writer, and sends what stays on the node. Nothing fails after the append. A panic in a turn
//! throws the state away; it is made anew from the journal, with the same mailbox.

mod effects;
mod life;

use crate::actors::answers::{Waiting, WaitingPermit, WaitingRequest, answer_now, hash_of};
use crate::actors::envelope::{Deliver, Edge, Envelope, Start};
use crate::actors::metrics::{TURN, broken, shed};
use crate::actors::node::Node;
use crate::actors::registry::{Hosted, SlotShared};
use crate::actors::sent::Sent;
use crate::actors::shop::{ActorView, Answered, Failure};
use crate::actors::state::Built;
use crate::actors::traced::{self, from_now};
use crate::actors::turn::{self, Asked, Counted, Moment, NotLetIn, Outcome};
use crate::domain::details::Detail;
use crate::domain::entity::{Decides, FOR_SOMEONE, Publication};
use crate::domain::ids::{EntityId, EntityRef, Kind, OrderId};
use crate::domain::record::Record;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::trace::{OpenSpan, TraceContext, Traced};
use crate::ports::{Append, Completion, EntityDelta, Position};
use actix::{Context, Handler};
use std::mem::take;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Room that a record's line is given before it is written, in bytes: most need no more.
const RECORD_BYTES: usize = 768;
/// How many commands that made this actor panic are remembered.
const SUSPECTS: usize = 64;

enum Life<E: Hosted> {
    Starting(Option<Start<E>>),
    Up(Box<Built<E>>),
    Quarantined,
}

/// The actor.
pub struct Shell<E: Hosted> {
    id: E::Id,
    node: Arc<Node>,
    slot: Arc<SlotShared>,
    life: Life<E>,
    /// Requests that wait for the entity to come so far.
    waiting: Vec<WaitingRequest<E>>,
    sent: Sent,
    /// The place of its newest record in the log writer.
    last_position: Position,
    /// The version a checkpoint holds.
    checkpointed: u64,
    /// Whether it was woken because its snapshot says so, and has not looked yet why.
    woken: bool,
    /// Whether it began without anything in the store, and no checkpoint has asked for it since.
    fresh: bool,
    /// Commands that made it panic once: their hashes.
    suspects: Vec<u64>,
}

/// An answer on its way to whoever asked.
type Reply<E> = (Box<Edge<E>>, Answered<<E as Decides>::Reply>);

impl<E: Hosted> Shell<E> {
    pub(super) fn new(id: E::Id, node: Arc<Node>, slot: Arc<SlotShared>, start: Start<E>) -> Self {
        Self {
            id,
            node,
            slot,
            life: Life::Starting(Some(start)),
            waiting: Vec::new(),
            sent: Sent::default(),
            last_position: Position::default(),
            checkpointed: 0,
            woken: false,
            fresh: false,
            suspects: Vec::new(),
        }
    }

    fn entity_ref(&self) -> EntityRef {
        self.id.entity()
    }

    fn receive(&mut self, envelope: Envelope<E>, ctx: &mut Context<Self>) {
        match envelope {
            Envelope::Edge(edge) => self.on_edge(edge, ctx),
            Envelope::Peer(command, trace) => self.on_peer(command, trace, ctx),
            Envelope::NoOutcome { key, begun } => self.on_no_outcome(key, begun),
            Envelope::Hint => self.on_hint(ctx),
            Envelope::Wake => self.on_wake(ctx),
            Envelope::Delta(reply) => self.on_delta(reply),
            Envelope::Checkpointed(version) => self.checkpointed = self.checkpointed.max(version),
            Envelope::Inspect(reply) => drop(reply.send(self.inspect())),
            // Those who ask a quarantined order are answered by no record and no timer: here they are forgotten.
            Envelope::Passivate => self.forget_expired(),
        }
    }

    fn on_edge(&mut self, mut edge: Box<Edge<E>>, ctx: &mut Context<Self>) {
        let node = self.node.clone();
        let present = Instant::now();
        if edge.deadline <= present {
            // Whoever asked was told already that the outcome is unknown.
            node.metrics(E::KIND).expired.increment(1);
            return;
        }
        let (entity, poisoned) = (self.entity_ref(), self.is_poisoned(&edge.command));
        let Life::Up(built) = &mut self.life else {
            return edge.end(Err(Failure::Quarantined));
        };
        let turn = edge.trace.as_mut().map(|traced| traced::turn(traced, entity, present));
        let moment = Moment { now: node.clock.now(), knowledge: node.knowledge() };
        let waiting = self.waiting.iter().map(asked);
        let (key, admit) = (edge.key, edge.admit.take());
        let permit = &mut edge.budget.permit;
        let let_in = |state: &E, command: &E::Command| {
            if let Some(admit) = admit {
                *permit = admit(state)?;
            }
            begin::<E>(&node, entity, command, poisoned).map_err(NotLetIn::Refused)
        };
        let mut outcome = Outcome::default();
        let run = AssertUnwindSafe(|| turn::ask(&mut outcome, built, &edge.command, key, waiting, moment, let_in));
        match panic::catch_unwind(run) {
            Ok(Ok(())) => self.carry_out(&mut outcome, Some(edge), moment.now, turn),
            Ok(Err(failure)) => edge.end(Err(failure)),
            Err(_) => {
                let poisoned = self.has_panicked(&edge.command);
                self.start_anew(ctx);
                match poisoned {
                    // The refusal is an answer like any other, which may become a record: the state made anew gives it.
                    true => drop(node.deliver::<E>(self.id, Envelope::Edge(edge), None, false)),
                    false => edge.end(Err(Failure::Restarting)),
                }
            }
        }
    }

    fn on_peer(&mut self, command: E::Command, mut trace: Option<Box<Traced>>, ctx: &mut Context<Self>) {
        let node = self.node.clone();
        let (entity, poisoned) = (self.entity_ref(), self.is_poisoned(&command));
        // A quarantined entity answers nobody: whoever asked keeps asking until someone has looked at it.
        let Life::Up(built) = &mut self.life else { return };
        let turn = trace.as_deref_mut().map(|traced| traced::turn(traced, entity, Instant::now()));
        let moment = Moment { now: node.clock.now(), knowledge: node.knowledge() };
        let waiting = self.waiting.iter().map(asked);
        let let_in = |_: &E, command: &E::Command| begin::<E>(&node, entity, command, poisoned);
        let mut outcome = Outcome::default();
        let run = AssertUnwindSafe(|| turn::tell(&mut outcome, built, &command, waiting, moment, let_in));
        match panic::catch_unwind(run) {
            Ok(()) => self.carry_out(&mut outcome, None, moment.now, turn),
            Err(_) => {
                // A state that a panic left behind still knows its id, which is all that a refusal needs of it.
                if self.has_panicked(&command)
                    && let Life::Up(built) = &self.life
                    && let Some(message) = built.entity.respond(&command, Err(&Reject::CommandPoisoned))
                {
                    node.tell(message, false, None);
                }
                // Otherwise whoever sent it sends it again.
                self.start_anew(ctx);
            }
        }
    }

    /// Whether this command has made this actor panic twice.
    fn is_poisoned(&self, command: &E::Command) -> bool {
        !self.suspects.is_empty() && self.times_suspected(hash_of(command)) >= 2
    }

    fn times_suspected(&self, hash: u64) -> usize {
        self.suspects.iter().filter(|suspect| **suspect == hash).count()
    }

    /// Remembers a command that panicked; whether it is poisoned: the first time may have been chance, the second time it is the
    /// command.
    fn has_panicked(&mut self, command: &E::Command) -> bool {
        let hash = hash_of(command);
        if self.suspects.len() >= SUSPECTS {
            self.suspects.remove(0);
        }
        self.suspects.push(hash);
        self.node.metrics(E::KIND).panicked.increment(1);
        let poisoned = self.times_suspected(hash) >= 2;
        if poisoned {
            tracing::error!(entity = %self.entity_ref(), "a command panicked twice and is refused from now on");
        }
        poisoned
    }

    /// Does what a turn came to: appends its record, with the replies, to the log writer; then sends what stays on the node.
    fn carry_out(
        &mut self,
        outcome: &mut Outcome<E>,
        mut edge: Option<Box<Edge<E>>>,
        now: Timestamp,
        turn: Option<OpenSpan>,
    ) {
        let trace = turn.as_ref().map(OpenSpan::context);
        self.count(outcome.counted);
        if outcome.asks_again {
            self.sent.clear();
        }
        let others = self.take_waiting(take(&mut outcome.others));
        if outcome.waits {
            edge.take().into_iter().for_each(|edge| self.park(edge));
        }
        match &outcome.record {
            None => {
                if outcome.heard {
                    self.set_timer(now);
                }
                if let (Some(edge), Some(answered)) = (edge, outcome.answer.take()) {
                    self.give(edge, answered);
                }
            }
            Some(record) => {
                let chained = edge.take_if(|edge| outcome.answer.as_ref().is_some_and(|answer| edge.chains(answer)));
                let answer = outcome.answer.take_if(|_| chained.is_none());
                let on_durable = self.on_durable(take(&mut outcome.publications), edge, answer, others);
                self.append(record, take(&mut outcome.details), on_durable, trace);
                self.let_go_of_details();
                self.send_effects(take(&mut outcome.wanted), now, !record.events.is_empty(), trace);
                // Once, and never again: whoever misses it asks.
                for message in outcome.tells.drain(..) {
                    self.node.tell(message, false, trace);
                }
                if let (Some(edge), Some(answer)) = (chained, outcome.answer.take()) {
                    edge.end(Ok(answer));
                }
            }
        }
        if let Some(message) = outcome.response.take() {
            self.node.tell(message, false, trace);
        }
        if let Some(turn) = turn {
            turn.end(Instant::now(), false);
        }
    }

    fn count(&self, counted: Counted) {
        let metrics = self.node.metrics(E::KIND);
        match counted {
            Counted::Done => metrics.done.increment(1),
            Counted::Rejected => metrics.rejected.increment(1),
            Counted::Repeated => metrics.repeated.increment(1),
            Counted::Not => {}
        }
    }

    /// Those who need not wait any longer, with their answers.
    fn take_waiting(&mut self, answered: Vec<(usize, Answered<E::Reply>)>) -> Vec<Reply<E>> {
        if answered.is_empty() {
            return Vec::new();
        }
        let take = |(place, answered): (usize, _)| {
            let edge = self.waiting.remove(place).edge;
            edge.is_unparked();
            (edge, answered)
        };
        let mut replies: Vec<Reply<E>> = answered.into_iter().rev().map(take).collect();
        replies.reverse();
        if self.waiting.is_empty() {
            self.waiting = Vec::new();
        }
        replies
    }

    /// Lets a request wait until the entity has come so far, unless too many do.
    fn park(&mut self, mut edge: Box<Edge<E>>) {
        if self.waiting.len() >= limits::REQUESTS_WAITING_PER_ACTOR {
            self.forget_expired();
        }
        let room = self.waiting.len() < limits::REQUESTS_WAITING_PER_ACTOR;
        match room.then(|| WaitingPermit::take(&self.node)).flatten() {
            Some(position) => {
                // Most have one at most, and an order lives long after it: no room is kept for more.
                self.waiting.reserve_exact(1);
                // Its time may be over before it is answered: then it is let go, with what it has of the node's budget.
                self.node.timers.register(self.id.entity(), &self.slot.timer, edge.deadline);
                edge.is_parked();
                self.waiting.push(WaitingRequest { edge, _place: position });
            }
            None => {
                shed("parked");
                edge.end(Err(Failure::Overloaded { retry_after_s: 1 }));
            }
        }
    }

    fn append(
        &mut self,
        record: &Record<E::Event>,
        details: Vec<Detail>,
        on_durable: Option<Completion>,
        trace: Option<TraceContext>,
    ) {
        let mut line = Vec::with_capacity(RECORD_BYTES);
        record.write(&mut line);
        // Nobody is told of the order before this record is durable, so nobody sees them before either.
        self.node.details.put(&details);
        let (entity, version, trace) = (record.entity, record.version, from_now(trace));
        let append = Append { entity, version, record: line, details, on_durable, trace };
        self.last_position = self.node.log_writer.append(append);
        if let Life::Up(built) = &self.life {
            self.node.note_claim(&built.entity, record.entity);
        }
    }

    /// What an order has settled or ended for is asked for rarely, and read then.
    fn let_go_of_details(&self) {
        if let Life::Up(built) = &self.life
            && E::KIND == Kind::Order
            && built.entity.has_ended()
        {
            self.node.details.forget(OrderId::from_uuid(self.id.uuid()));
        }
    }

    fn on_durable(
        &self,
        publications: Vec<Publication>,
        edge: Option<Box<Edge<E>>>,
        answer: Option<Answered<E::Reply>>,
        others: Vec<Reply<E>>,
    ) -> Option<Completion> {
        if publications.is_empty() && edge.is_none() && others.is_empty() {
            return None;
        }
        let node = self.node.clone();
        Some(Box::new(move || {
            for publication in publications {
                node.catalog.publish(publication);
            }
            for (edge, answered) in edge.zip(answer).into_iter().chain(others) {
                node.metrics(E::KIND).seconds.record(edge.sent.elapsed());
                edge.end(Ok(answered));
            }
        }))
    }

    /// Gives an answer that has no record of its own: once this entity's last record is durable, and only while nobody else may have the store.
    fn give(&self, edge: Box<Edge<E>>, answered: Answered<E::Reply>) {
        if edge.chains(&answered) {
            return edge.end(Ok(answered));
        }
        if self.node.log_writer.is_durable(self.last_position) {
            return answer_now(&self.node, edge, answered);
        }
        let waiting = Waiting::begin(self.node.clone());
        if waiting.before >= limits::ANSWERS_WAITING {
            shed("answers_waiting");
            return edge.end(Err(Failure::Overloaded { retry_after_s: 1 }));
        }
        self.node
            .log_writer
            .when_durable(self.last_position, Box::new(move || answer_now(&waiting.node, edge, answered)));
    }

    fn on_delta(&mut self, reply: oneshot::Sender<Option<EntityDelta>>) {
        self.check_online();
        let Life::Up(built) = &mut self.life else {
            return drop(reply.send(None));
        };
        let delta = built.delta();
        let delta = EntityDelta {
            entity: self.id.entity(),
            version: built.version,
            wake_at: built.entity.wake_at(self.node.clock.now()),
            parts: delta.parts,
            rows: delta.rows,
            shape: self.node.settings.shapes.of(E::KIND),
            spent: delta.spent,
            fresh: std::mem::take(&mut self.fresh),
        };
        self.node.log_writer.when_durable(self.last_position, Box::new(move || drop(reply.send(Some(delta)))));
    }

    fn inspect(&self) -> ActorView {
        let quarantined = serde_json::json!({ "quarantined": true });
        let (version, state, kept_answers, wakes_at) = match &self.life {
            Life::Up(built) => {
                let wakes_at = built.entity.wake_at(self.node.clock.now()).filter(|at| *at < FOR_SOMEONE);
                (built.version, built.entity.summary(), built.answers.count(), wakes_at)
            }
            _ => (0, quarantined, 0, None),
        };
        ActorView {
            entity: self.entity_ref(),
            live: true,
            version,
            mailbox_depth: self.slot.depth.load(Ordering::Relaxed),
            restarts: self.slot.restarts.load(Ordering::Relaxed),
            quarantined: !matches!(self.life, Life::Up(_)),
            checkpointed: self.checkpointed,
            waiting: self.waiting.len(),
            kept_answers,
            effects: self.sent.views(Instant::now()),
            wakes_at,
            state,
        }
    }
}

/// A request that waits, as a turn sees it.
fn asked<E: Hosted>(waiting: &WaitingRequest<E>) -> Asked<'_, E> {
    (&waiting.edge.command, waiting.edge.key)
}

/// Before a command is decided: one that is known to panic is refused, and tests have their faults.
fn begin<E: Hosted>(node: &Node, entity: EntityRef, command: &E::Command, poisoned: bool) -> Result<(), Reject> {
    if poisoned {
        return Err(Reject::CommandPoisoned);
    }
    if let Some(hook) = &node.on_decide {
        hook(entity, command);
    }
    Ok(())
}

impl<E: Hosted> Handler<Deliver<E>> for Shell<E> {
    type Result = ();

    fn handle(&mut self, Deliver(envelope): Deliver<E>, ctx: &mut Context<Self>) {
        self.slot.depth.fetch_sub(1, Ordering::AcqRel);
        let because_idle = matches!(envelope, Envelope::Passivate);
        // What decides and applies is guarded where the command is known; this guards the rest, so that no bug takes the mailbox down.
        if panic::catch_unwind(AssertUnwindSafe(|| self.receive(envelope, ctx))).is_err() {
            broken(TURN);
            self.start_anew(ctx);
        }
        self.evict_if_unused(because_idle, ctx);
    }
}
