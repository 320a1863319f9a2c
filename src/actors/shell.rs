//! The shell: the one actor that runs every kind of entity.
//!
//! One turn takes one message: it looks up whether the command was answered before, decides, applies, appends the record together with its replies to the
//! log writer, and sends the effects that stay on the node. Nothing fails after the append. A panic in a turn throws the state away; it is
//! made anew from the journal, with the same mailbox.

use crate::actors::answers::{Waiting, WaitingPermit, WaitingRequest, answer_now, hash_of};
use crate::actors::envelope::{Deliver, Edge, Envelope, Given, NotLetIn, Start};
use crate::actors::metrics::{TURN, broken, shed};
use crate::actors::node::Node;
use crate::actors::registry::{Hosted, SlotShared};
use crate::actors::sent::Sent;
use crate::actors::shop::{ActorView, Answered, Failure};
use crate::actors::state::{Built, build};
use crate::actors::wakes::Read;
use crate::domain::backoff::backoff_ms;
use crate::domain::entity::{Effect, EffectKey, Publication, Step};
use crate::domain::ids::{EntityId, EntityRef};
use crate::domain::json;
use crate::domain::record::{KeptAnswer, Record};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::{Append, EntityDelta, History, Position};
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Room that a record's line is given before it is written, in bytes: most need no more.
const RECORD_BYTES: usize = 768;
/// How many commands that made this actor panic are remembered.
const SUSPECTS: usize = 64;
/// The wait before an unanswered message between entities is sent again for the first time, in milliseconds.
const RESEND_FROM_MS: u64 = 1_000;
/// The wait before a failed gateway call is made again for the first time, in milliseconds.
const RECALL_FROM_MS: u64 = 25;

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
    /// Whether it began without anything in the store, and no checkpoint has asked for it since.
    fresh: bool,
    /// Commands that made it panic once: their hashes.
    suspects: Vec<u64>,
}

type Replies<E> = Vec<(Edge<E>, Answered<<E as crate::domain::entity::Decides>::Reply>)>;

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
            fresh: false,
            suspects: Vec::new(),
        }
    }

    fn entity_ref(&self) -> EntityRef {
        self.id.entity()
    }

    fn turn(&mut self, envelope: Envelope<E>, ctx: &mut Context<Self>) {
        match envelope {
            Envelope::Edge(edge) => self.on_edge(edge, ctx),
            Envelope::Peer(command) => self.on_peer(command, ctx),
            Envelope::NotAnswered(key) => self.on_not_answered(key),
            Envelope::Wake => self.on_wake(ctx),
            Envelope::Delta(reply) => self.on_delta(reply),
            Envelope::Checkpointed(version) => self.checkpointed = self.checkpointed.max(version),
            Envelope::GiveAllRows => {
                if let Life::Up(built) = &mut self.life {
                    built.entity.give_all_rows();
                }
            }
            Envelope::Inspect(reply) => drop(reply.send(self.inspect())),
            // Those who ask a quarantined order are answered by no record and no timer: here they are forgotten.
            Envelope::Passivate => self.forget_expired(),
        }
    }

    fn on_edge(&mut self, mut edge: Edge<E>, ctx: &mut Context<Self>) {
        let node = self.node.clone();
        let metrics = node.metrics(E::KIND);
        if edge.deadline <= Instant::now() {
            // Whoever asked was told already that the outcome is unknown.
            metrics.expired.increment(1);
            return;
        }
        let Life::Up(built) = &mut self.life else {
            return (edge.reply)(Err(Failure::Quarantined));
        };
        if let Some(key) = edge.key {
            let waiting = self.waiting.iter().find_map(|waiting| waiting.edge.key.filter(|other| other.key == key.key));
            let kept = built.answers.get(key.key, node.clock.now());
            if kept.map(|kept| kept.key).or(waiting).is_some_and(|first| first.body != key.body) {
                return self.give(edge, Err(Reject::IdempotencyKeyReused), false);
            }
            if let Some(kept) = kept {
                metrics.repeated.increment(1);
                let outcome = kept.answer.clone().into();
                return self.give(edge, outcome, true);
            }
        }
        match edge.admit.take().map_or(Ok(()), |admit| admit(&built.entity)) {
            Ok(()) => {}
            Err(NotLetIn::Failed(failure)) => return (edge.reply)(Err(failure)),
            Err(NotLetIn::Refused(reject)) => return self.answer(node.clock.now(), Vec::new(), edge, Err(reject)),
        }
        match self.execute(&mut edge.command) {
            Err(Panicked { poisoned: true, tainted: false }) => {
                let now = node.clock.now();
                self.answer(now, Vec::new(), edge, Err(Reject::CommandPoisoned));
            }
            Err(Panicked { poisoned, tainted }) => {
                if tainted {
                    self.start_anew(ctx);
                }
                match poisoned {
                    // The refusal is an answer like any other, which may become a record: the state made anew gives it.
                    true => drop(node.deliver::<E>(self.id, Envelope::Edge(edge), None, false)),
                    false => (edge.reply)(Err(Failure::Restarting)),
                }
            }
            Ok((now, Ok(events))) => {
                if !events.is_empty() && E::asks_again(&edge.command) {
                    self.sent.clear();
                }
                let Life::Up(built) = &self.life else { return };
                match built.entity.reply(&edge.command, !events.is_empty()) {
                    None => {
                        self.park(edge);
                        self.record(now, events, Vec::new());
                    }
                    Some(outcome) => self.answer(now, events, edge, outcome),
                }
            }
            Ok((now, Err(reject))) => self.answer(now, Vec::new(), edge, Err(reject)),
        }
    }

    /// Lets a request wait until the entity has come so far, unless too many do.
    fn park(&mut self, edge: Edge<E>) {
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
                self.waiting.push(WaitingRequest { edge, _place: position });
            }
            None => {
                shed("parked");
                (edge.reply)(Err(Failure::Overloaded { retry_after_s: 1 }));
            }
        }
    }

    /// Answers a command, with a record if there are events, or if the answer is to be kept under a key.
    fn answer(&mut self, now: Timestamp, events: Vec<E::Event>, edge: Edge<E>, outcome: Result<E::Reply, Reject>) {
        let metrics = self.node.metrics(E::KIND);
        match &outcome {
            Ok(_) => metrics.done.increment(1),
            Err(_) => metrics.rejected.increment(1),
        }
        // It was there already, and the first answer under the key is not kept any more: this one repeats it, and is not kept anew.
        let repeated = events.is_empty() && outcome.is_ok() && E::creates(&edge.command);
        let keep = edge.key.is_some() && !repeated && outcome.as_ref().map_or_else(Reject::is_conflict, |_| true);
        if events.is_empty() && !keep {
            return self.give(edge, outcome, repeated);
        }
        self.record(now, events, vec![(edge, Answered { outcome, replayed: false })]);
    }

    fn on_peer(&mut self, mut command: E::Command, ctx: &mut Context<Self>) {
        // A quarantined entity answers nobody: whoever asked keeps asking until someone has looked at it.
        if !matches!(self.life, Life::Up(_)) {
            return;
        }
        let node = self.node.clone();
        let metrics = node.metrics(E::KIND);
        let result = match self.execute(&mut command) {
            Ok((now, Ok(events))) => {
                metrics.done.increment(1);
                self.record(now, events, Vec::new());
                Ok(())
            }
            Ok((now, Err(reject))) => {
                metrics.rejected.increment(1);
                self.set_timer(now);
                Err(reject)
            }
            Err(Panicked { poisoned, tainted }) => {
                // A state that a panic left behind still knows its id, which is all that a refusal needs of it.
                if poisoned
                    && let Life::Up(built) = &self.life
                    && let Some(message) = built.entity.respond(&command, Err(&Reject::CommandPoisoned))
                {
                    self.node.tell(message, false);
                }
                // Otherwise whoever sent it sends it again.
                if tainted {
                    self.start_anew(ctx);
                }
                return;
            }
        };
        let Life::Up(built) = &self.life else { return };
        if let Some(message) = built.entity.respond(&command, result.as_ref().copied()) {
            self.node.tell(message, false);
        }
    }

    /// Decides and applies. A panic leaves a state that may not be used any more, unless the command is known to panic, and was not tried.
    #[expect(clippy::type_complexity, reason = "the decision as the domain gives it, with its moment")]
    fn execute(&mut self, command: &mut E::Command) -> Result<(Timestamp, Result<Vec<E::Event>, Reject>), Panicked> {
        let (node, entity_ref) = (self.node.clone(), self.entity_ref());
        let times = |suspects: &[u64], hash| suspects.iter().filter(|suspect| **suspect == hash).count();
        if !self.suspects.is_empty() && times(&self.suspects, hash_of(command)) >= 2 {
            return Err(Panicked { poisoned: true, tainted: false });
        }
        let Life::Up(built) = &mut self.life else {
            return Err(Panicked { poisoned: false, tainted: false });
        };
        let entity = &mut built.entity;
        let now = node.clock.now();
        let decided = panic::catch_unwind(AssertUnwindSafe(|| {
            if let Some(hook) = &node.on_decide {
                hook(entity_ref, command);
            }
            entity.prepare(command, &*node.catalog);
            entity.heard(command, now);
            let events = entity.decide(command, now)?;
            for event in &events {
                entity.apply(event, now);
                #[cfg(debug_assertions)]
                if let Err(breach) = entity.check() {
                    panic!("{breach}");
                }
            }
            Ok(events)
        }));
        match decided {
            Ok(decision) => Ok((now, decision)),
            Err(_) => {
                let hash = hash_of(command);
                if self.suspects.len() >= SUSPECTS {
                    self.suspects.remove(0);
                }
                self.suspects.push(hash);
                node.metrics(E::KIND).panicked.increment(1);
                // The first time may have been chance; the second time it is the command.
                let poisoned = times(&self.suspects, hash) >= 2;
                if poisoned {
                    tracing::error!(entity = %entity_ref, "a command panicked twice and is refused from now on");
                }
                Err(Panicked { poisoned, tainted: true })
            }
        }
    }

    /// Appends what was decided, with its replies, to the log writer; then sends what stays on the node.
    fn record(&mut self, now: Timestamp, events: Vec<E::Event>, mut replies: Replies<E>) {
        let Life::Up(built) = &mut self.life else {
            return;
        };
        if !events.is_empty() {
            let mut index = 0;
            while index < self.waiting.len() {
                match built.entity.reply(&self.waiting[index].edge.command, false) {
                    Some(outcome) => {
                        let edge = self.waiting.swap_remove(index).edge;
                        replies.push((edge, Answered { outcome, replayed: false }));
                    }
                    None => index += 1,
                }
            }
            if self.waiting.is_empty() {
                self.waiting = Vec::new();
            }
        }
        let mut kept = Vec::new();
        for (edge, answered) in &mut replies {
            let Some(key) = edge.key else { continue };
            if let Some(first) = built.answers.get(key.key, now) {
                answered.outcome = first.answer.clone().into();
                answered.replayed = true;
            } else if answered.outcome.as_ref().map_or_else(Reject::is_conflict, |_| true) {
                let answer = KeptAnswer { key, at: now, answer: answered.outcome.clone().into() };
                built.answers.keep(answer.clone());
                kept.push(answer);
            }
        }
        if events.is_empty() && kept.is_empty() {
            // What was heard may have its time, though nothing is recorded.
            self.set_timer(now);
            replies.into_iter().for_each(|(edge, answered)| self.give(edge, answered.outcome, answered.replayed));
            return;
        }
        built.version += 1;
        let publications = built.entity.publications(&events);
        let tells = built.entity.tells(&events);
        let entity = self.id.entity();
        let record = Record { entity, version: built.version, at: now, events, answers: kept };
        let mut line = Vec::with_capacity(RECORD_BYTES);
        // The domain's events have no failing Serialize: this cannot fail.
        json::write(&mut line, &record).expect("records are serializable");
        let minted = !record.events.is_empty();
        let (inner, outer): (Replies<E>, Replies<E>) =
            replies.into_iter().partition(|(edge, answered)| edge.inner && answered.outcome.is_ok());
        let on_durable = self.on_durable(publications, outer);
        let append = Append { entity, version: record.version, record: line, on_durable };
        self.last_position = self.node.log_writer.append(append);
        self.send_effects(now, minted);
        // Once, and never again: whoever misses it asks.
        for message in tells {
            self.node.tell(message, false);
        }
        for (edge, answered) in inner {
            (edge.reply)(Ok(answered));
        }
    }

    fn on_durable(&self, publications: Vec<Publication>, replies: Replies<E>) -> Option<crate::ports::Completion> {
        if publications.is_empty() && replies.is_empty() {
            return None;
        }
        let node = self.node.clone();
        Some(Box::new(move || {
            for publication in publications {
                node.catalog.publish(publication);
            }
            for (edge, answered) in replies {
                node.metrics(E::KIND).seconds.record(edge.sent.elapsed());
                (edge.reply)(Ok(answered));
            }
        }))
    }

    /// Gives an answer that has no record of its own: once this entity's last record is durable, and only while nobody else may have the store.
    fn give(&self, edge: Edge<E>, outcome: Result<E::Reply, Reject>, replayed: bool) {
        let answered = Answered { outcome, replayed };
        if edge.inner && answered.outcome.is_ok() {
            return (edge.reply)(Ok(answered));
        }
        if self.node.log_writer.is_durable(self.last_position) {
            return answer_now(&self.node, edge, answered);
        }
        let waiting = Waiting::begin(self.node.clone());
        if waiting.before >= limits::ANSWERS_WAITING {
            shed("answers_waiting");
            return (edge.reply)(Err(Failure::Overloaded { retry_after_s: 1 }));
        }
        self.node
            .log_writer
            .when_durable(self.last_position, Box::new(move || answer_now(&waiting.node, edge, answered)));
    }

    /// Sends what is newly outstanding, and sets the actor's timer to when something may be due.
    fn send_effects(&mut self, now: Timestamp, minted: bool) {
        let Life::Up(built) = &self.life else { return };
        for key in self.sent.keep(built.entity.outstanding_at_once(now)) {
            self.send(key, 0, minted);
        }
        self.set_timer(now);
    }

    fn send(&mut self, key: EffectKey, attempts: u32, minted: bool) {
        let Life::Up(built) = &self.life else { return };
        let Some(effect) = built.entity.effect(key) else {
            return;
        };
        let first = match &effect {
            Effect::Tell(_) => RESEND_FROM_MS,
            // The call ends by itself before this, with an answer or with `NotAnswered`, unless it is held back.
            Effect::Charge(_) | Effect::Void(_) => limits::GATEWAY_CALL_MS + 2 * RESEND_FROM_MS,
        };
        self.emit(key, effect, minted && attempts == 0);
        let again = Instant::now() + self.wait(key, first, limits::RESEND_BACKOFF_MS, attempts);
        self.sent.sent(key, attempts, again);
    }

    fn emit(&self, key: EffectKey, effect: Effect, minted: bool) {
        match effect {
            // Only the turn that mints an order's id knows that there is nothing to load.
            Effect::Tell(message) => self.node.tell(message, minted && key.step == Step::Place),
            Effect::Charge(call) => self.node.pay(call, false, key, self.last_position),
            Effect::Void(call) => self.node.pay(call, true, key, self.last_position),
        }
    }

    /// The wait before the effect is sent again, which is another one for each entity and each effect.
    fn wait(&self, key: EffectKey, first: u64, longest: u64, attempts: u32) -> Duration {
        let own = self.id.uuid().as_u128() ^ key.target.rotate_left(1);
        Duration::from_millis(backoff_ms(first, longest, attempts, own))
    }

    fn set_timer(&mut self, now: Timestamp) {
        let Life::Up(built) = &self.life else { return };
        let from_now =
            |at: Timestamp| Instant::now() + Duration::from_millis(u64::try_from(at.millis_since(now)).unwrap_or(0));
        // A timer that has passed was heard, or `up` sees to it: what it waits for then is an effect.
        let timer = built.entity.timer().map(|(at, _)| at);
        let to_come = timer.filter(|at| *at > now).map(from_now);
        let waiting = self.waiting.iter().map(|waiting| waiting.edge.deadline);
        // What is to be asked and was not yet waits for the next wake.
        let ask = built.entity.next_ask().map(from_now);
        match self.sent.next().into_iter().chain(to_come).chain(waiting).chain(ask).min() {
            Some(next) => self.node.timers.register(self.id.entity(), &self.slot.timer, next),
            None if timer.is_none() => self.slot.timer.unwanted(),
            None => {}
        }
    }

    fn on_not_answered(&mut self, key: EffectKey) {
        if let Some(attempts) = self.sent.attempts(key) {
            let wait = self.wait(key, RECALL_FROM_MS, limits::GATEWAY_BACKOFF_MS, attempts);
            self.sent.put_off(key, Instant::now() + wait);
            self.set_timer(self.node.clock.now());
        }
    }

    fn on_wake(&mut self, ctx: &mut Context<Self>) {
        let present = Instant::now();
        self.forget_expired();
        let Life::Up(built) = &self.life else { return };
        let now = self.node.clock.now();
        if let Some((_, command)) = built.entity.timer().filter(|(at, _)| *at <= now) {
            self.on_peer(command, ctx);
        }
        // What time alone has made needless is not asked for again.
        self.send_effects(now, false);
        for (key, attempts) in self.sent.due(present) {
            self.send(key, attempts + 1, false);
        }
        self.ask_due(now);
        self.set_timer(now);
        self.node.metrics(E::KIND).wakes.record(present.elapsed());
    }

    /// Sends what the entity asks by a schedule of its own; nothing of it is kept here.
    fn ask_due(&mut self, now: Timestamp) {
        let Life::Up(built) = &mut self.life else { return };
        let keys = built.entity.ask_due(now);
        let Life::Up(built) = &self.life else { return };
        for key in keys {
            if let Some(effect) = built.entity.effect(key) {
                self.emit(key, effect, false);
            }
        }
    }

    fn forget_expired(&mut self) {
        let present = Instant::now();
        self.waiting.retain(|waiting| waiting.edge.deadline > present);
    }

    /// Checks the invariants, and takes what breaks them out of service: the SKU alone, or else this entity.
    fn check_online(&mut self) {
        while let Life::Up(built) = &mut self.life
            && let Err(breach) = built.entity.check_online()
        {
            if built.entity.suspend(&breach) {
                self.node.tell_suspended(&breach);
            } else {
                broken(breach.invariant);
                tracing::error!(%breach, "an invariant is broken: the entity is quarantined");
                self.quarantine();
            }
        }
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
            whole: delta.whole,
            fresh: std::mem::take(&mut self.fresh),
        };
        self.node.log_writer.when_durable(self.last_position, Box::new(move || drop(reply.send(Some(delta)))));
    }

    fn inspect(&self) -> ActorView {
        let (version, state) = match &self.life {
            Life::Up(built) => (built.version, built.entity.summary()),
            _ => (0, serde_json::json!({ "quarantined": true })),
        };
        ActorView {
            entity: self.entity_ref(),
            live: true,
            version,
            mailbox_depth: self.slot.depth.load(Ordering::Relaxed),
            restarts: self.slot.restarts.load(Ordering::Relaxed),
            state,
        }
    }

    /// Leaves memory if nobody needs this actor and a checkpoint holds its state.
    fn evict_if_unused(&mut self, because_idle: bool, ctx: &mut Context<Self>) {
        let Life::Up(built) = &self.life else { return };
        let unwanted = built.version == 0 || because_idle || built.entity.has_ended();
        let kept = built.version == self.checkpointed && self.sent.is_empty() && self.waiting.is_empty();
        if unwanted && kept && !built.entity.stays() && self.node.registry.evict::<E>(self.id, &self.slot) {
            self.node.count_passivation(E::KIND);
            ctx.stop();
        }
    }

    /// Throws the state away and makes it anew; the mailbox waits meanwhile.
    fn start_anew(&mut self, ctx: &mut Context<Self>) {
        let restarts = self.slot.restarts.fetch_add(1, Ordering::Relaxed);
        self.node.metrics(E::KIND).restarts.increment(1);
        tracing::warn!(entity = %self.entity_ref(), restarts = restarts + 1, "an actor is started again after a panic");
        self.life = Life::Starting(None);
        self.fresh = false;
        self.sent.clear();
        let wait = Duration::from_millis(1 << restarts.min(10)).min(Duration::from_secs(1));
        self.replay(self.last_position, wait, ctx);
    }

    /// Makes the state of its snapshot and the records since, once everything up to `after` is durable.
    fn replay(&self, after: Position, wait: Duration, ctx: &mut Context<Self>) {
        let (send, durable) = oneshot::channel();
        self.node.log_writer.when_durable(after, Box::new(move || _ = send.send(())));
        let (node, entity) = (self.node.clone(), self.entity_ref());
        let history = async move {
            // The log writer lets go of this when the process is stopping: then nothing matters any more.
            let _ = durable.await;
            tokio::time::sleep(wait).await;
            node.read_back(entity, true).await
        };
        self.wait_for(history, ctx);
    }

    /// Takes over what is read; the mailbox waits meanwhile.
    fn wait_for<R>(&self, reading: impl Future<Output = R> + 'static, ctx: &mut Context<Self>)
    where
        R: Into<Read> + 'static,
    {
        ctx.wait(reading.into_actor(self).map(|read, shell, _| {
            let Read { history, slice: _slice } = read.into();
            match history {
                Ok(history) => shell.guarded(|shell| shell.install(&history)),
                Err(error) => {
                    tracing::error!(entity = %shell.entity_ref(), %error, "an entity cannot be read: it is quarantined");
                    shell.quarantine();
                }
            }
        }));
    }

    /// What goes wrong while a state is taken over would go wrong every time, and would take the mailbox down.
    fn guarded(&mut self, take_over: impl FnOnce(&mut Self)) {
        if panic::catch_unwind(AssertUnwindSafe(|| take_over(self))).is_err() {
            broken(TURN);
            tracing::error!(entity = %self.entity_ref(), "an entity panicked when it was taken over: it is quarantined");
            self.quarantine();
        }
    }

    /// Answers nobody any more, and says so to those who wait.
    fn quarantine(&mut self) {
        self.node.metrics(E::KIND).quarantines.increment(1);
        self.life = Life::Quarantined;
        self.sent.clear();
        for WaitingRequest { edge, .. } in self.waiting.drain(..) {
            (edge.reply)(Err(Failure::Quarantined));
        }
    }

    fn install(&mut self, history: &History) {
        let node = self.node.clone();
        match build::<E>(self.id, history) {
            Ok(mut built) => {
                built.entity.suspend_broken().iter().for_each(|breach| node.tell_suspended(breach));
                if history.records.is_empty() {
                    self.checkpointed = built.version;
                }
                if built.version > 0 {
                    node.metrics(E::KIND).recoveries.increment(1);
                }
                self.up(Box::new(built));
            }
            Err(error) => {
                tracing::error!(entity = %self.entity_ref(), %error, "an entity is quarantined");
                self.quarantine();
            }
        }
    }

    fn up(&mut self, built: Box<Built<E>>) {
        let now = self.node.clock.now();
        if built.entity.timer().is_some_and(|(at, _)| at <= now) {
            self.node.timers.register(self.entity_ref(), &self.slot.timer, Instant::now());
        }
        self.life = Life::Up(built);
        self.send_effects(now, false);
    }
}

/// A turn that ended in a panic, now or before.
struct Panicked {
    /// Whether this command has made this actor panic twice.
    poisoned: bool,
    /// Whether the state may not be used any more.
    tainted: bool,
}

impl<E: Hosted> Actor for Shell<E> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Life::Starting(start) = &mut self.life else {
            return;
        };
        match start.take() {
            Some(Start::Fresh) => {
                self.fresh = true;
                self.guarded(|shell| shell.up(Box::new(Built::new(shell.id))));
            }
            Some(Start::Ready(built)) => {
                self.node.metrics(E::KIND).recoveries.increment(1);
                self.guarded(|shell| shell.up(built));
            }
            Some(Start::Quarantined) => self.life = Life::Quarantined,
            Some(Start::Load(activation)) => {
                let (node, entity) = (self.node.clone(), self.entity_ref());
                let history = async move {
                    let _counted = activation;
                    node.read_back(entity, false).await
                };
                self.wait_for(history, ctx);
            }
            Some(Start::Given(Given { history, slice })) => {
                let (node, entity) = (self.node.clone(), self.entity_ref());
                let history = async move {
                    let history = match history.await {
                        Ok(history) => Ok(history),
                        Err(_) => node.read_back(entity, false).await,
                    };
                    Read { history, slice: Some(slice) }
                };
                self.wait_for(history, ctx);
            }
            // What its dead predecessor recorded may still be on its way to the journal.
            Some(Start::Replay) | None => self.replay(Position::TAIL, Duration::ZERO, ctx),
        }
    }
}

impl<E: Hosted> Handler<Deliver<E>> for Shell<E> {
    type Result = ();

    fn handle(&mut self, Deliver(envelope): Deliver<E>, ctx: &mut Context<Self>) {
        self.slot.depth.fetch_sub(1, Ordering::AcqRel);
        let because_idle = matches!(envelope, Envelope::Passivate);
        // What decides and applies is guarded where the command is known; this guards the rest, so that no bug takes the mailbox down.
        if panic::catch_unwind(AssertUnwindSafe(|| self.turn(envelope, ctx))).is_err() {
            broken(TURN);
            self.start_anew(ctx);
        }
        self.evict_if_unused(because_idle, ctx);
    }
}
