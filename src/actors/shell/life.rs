//! How an actor comes by its state, loses it and leaves: its start, what is read for it, a panic, the quarantine, the way out of memory.

use super::{Life, Shell};
use crate::actors::answers::WaitingRequest;
use crate::actors::envelope::{Given, Start};
use crate::actors::metrics::{TURN, broken};
use crate::actors::registry::Hosted;
use crate::actors::shop::Failure;
use crate::actors::state::{Built, build};
use crate::actors::wakes::Read;
use crate::ports::{History, Position};
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

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
            Some(Start::Ready { built, checkpointed }) => {
                self.checkpointed = checkpointed;
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
                self.woken = true;
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

impl<E: Hosted> Shell<E> {
    /// Checks the invariants, and takes what breaks them out of service: the SKU alone, or else this entity.
    pub(super) fn check_online(&mut self) {
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

    /// Leaves memory if nobody needs this actor and a checkpoint holds its state.
    pub(super) fn evict_if_unused(&mut self, because_idle: bool, ctx: &mut Context<Self>) {
        let Life::Up(built) = &self.life else { return };
        let unwanted = built.version == 0 || because_idle || built.entity.has_ended();
        let kept = built.version == self.checkpointed && self.sent.is_empty() && self.waiting.is_empty();
        if unwanted && kept && !built.entity.stays() && self.node.registry.evict::<E>(self.id, &self.slot) {
            self.node.count_passivation(E::KIND);
            ctx.stop();
        }
    }

    /// Throws the state away and makes it anew; the mailbox waits meanwhile.
    pub(super) fn start_anew(&mut self, ctx: &mut Context<Self>) {
        let restarts = self.slot.restarts.fetch_add(1, Ordering::Relaxed);
        self.node.count_restart(E::KIND);
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
    pub(super) fn quarantine(&mut self) {
        self.node.metrics(E::KIND).quarantines.increment(1);
        self.life = Life::Quarantined;
        self.sent.clear();
        for WaitingRequest { edge, .. } in self.waiting.drain(..) {
            edge.end(Err(Failure::Quarantined));
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
        self.send_outstanding(now);
    }
}
