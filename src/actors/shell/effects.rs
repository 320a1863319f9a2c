//! What an actor sends to the world, when it sends it again, and when it wakes for it.

use super::{Life, Shell};
use crate::actors::payments::Wanted;
use crate::actors::registry::Hosted;
use crate::domain::backoff::backoff_ms;
use crate::domain::entity::{Effect, EffectKey, PaymentCall, Step};
use crate::domain::ids::EntityId;
use crate::domain::payment::Aim;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::WakeAt;
use crate::ports::trace::TraceContext;
use actix::Context;
use std::time::Duration;
use tokio::time::Instant;

/// The wait before an unanswered message between entities is sent again for the first time, in milliseconds.
const RESEND_FROM_MS: u64 = 1_000;
/// The wait before a failed gateway call is made again for the first time, in milliseconds.
const RECALL_FROM_MS: u64 = 25;

impl<E: Hosted> Shell<E> {
    /// Sends what is newly wanted, and sets the actor's timer to when something may be due. `minted` tells that what it asks another
    /// entity to come into being for was minted just now.
    pub(super) fn send_effects(
        &mut self,
        wanted: Vec<EffectKey>,
        now: Timestamp,
        minted: bool,
        trace: Option<TraceContext>,
    ) {
        for key in self.sent.keep(wanted) {
            self.send(key, 0, minted, trace);
        }
        self.set_timer(now);
    }

    /// Sends what is outstanding though nothing was recorded: after recovery, or because time has passed.
    pub(super) fn send_outstanding(&mut self, now: Timestamp) {
        let Life::Up(built) = &self.life else { return };
        self.send_effects(built.entity.outstanding_at_once(now), now, false, None);
    }

    fn send(&mut self, key: EffectKey, attempts: u32, minted: bool, trace: Option<TraceContext>) {
        let Life::Up(built) = &self.life else { return };
        let Some(effect) = built.entity.effect(key) else {
            return;
        };
        let first = match &effect {
            Effect::Tell(_) => RESEND_FROM_MS,
            // The call ends by itself before this, with an answer or with `NotAnswered`, unless it is held back.
            Effect::Charge(_) | Effect::LookUp(_) | Effect::Void { .. } => limits::GATEWAY_CALL_MS + 2 * RESEND_FROM_MS,
        };
        self.emit(key, effect, minted && attempts == 0, trace);
        let again = Instant::now() + self.wait(key, first, limits::RESEND_BACKOFF_MS, attempts);
        self.sent.sent(key, attempts, again);
    }

    fn emit(&self, key: EffectKey, effect: Effect, minted: bool, trace: Option<TraceContext>) {
        match effect {
            // Only the turn that mints an order's id knows that there is nothing to load.
            Effect::Tell(message) => self.node.tell(message, minted && key.step == Step::Place, trace),
            Effect::Charge(call) => self.pay(key, Aim::Charge { token: call.token.is_some() }, call, 1, trace),
            Effect::LookUp(call) => self.pay(key, Aim::LookUp, call, 1, trace),
            Effect::Void { call, attempt } => self.pay(key, Aim::Undo, call, attempt, trace),
        }
    }

    fn pay(&self, key: EffectKey, aim: Aim, call: PaymentCall, attempt: u32, trace: Option<TraceContext>) {
        let begun = self.sent.is_begun(key);
        self.node.pay(Wanted { key, aim, begun, call, attempt, trace }, self.last_position);
    }

    /// The wait before the effect is sent again, which is another one for each entity and each effect.
    fn wait(&self, key: EffectKey, first: u64, longest: u64, attempts: u32) -> Duration {
        let own = self.id.uuid().as_u128() ^ key.target.rotate_left(1);
        Duration::from_millis(backoff_ms(first, longest, attempts, own))
    }

    pub(super) fn set_timer(&mut self, now: Timestamp) {
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

    /// A provider gave no outcome: none at all, or none yet, as `begun` says.
    pub(super) fn on_no_outcome(&mut self, key: EffectKey, begun: bool) {
        if begun {
            self.sent.begins(key);
        }
        if let Some(attempts) = self.sent.attempts(key) {
            // A buyer waits for an unanswered charge. Whatever is looked up has time, and there may be much of it.
            let charges = matches!(key.step, Step::Charge | Step::ChargePrepared);
            let wait = match charges && !self.sent.is_begun(key) {
                true => self.wait(key, RECALL_FROM_MS, limits::GATEWAY_BACKOFF_MS, attempts),
                false => self.wait(key, limits::LOOK_UP_FROM_MS, limits::LOOK_UP_BACKOFF_MS, attempts),
            };
            self.sent.put_off(key, Instant::now() + wait);
            self.set_timer(self.node.clock.now());
        }
    }

    /// What was asked of a payment provider is asked again at once, as if its time had come.
    pub(super) fn on_hint(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        for step in [Step::Charge, Step::ChargePrepared, Step::LookUp, Step::Void] {
            self.sent.hasten(EffectKey { step, target: self.id.uuid().as_u128() }, now);
        }
        self.on_wake(ctx);
    }

    pub(super) fn on_wake(&mut self, ctx: &mut Context<Self>) {
        let present = Instant::now();
        self.forget_expired();
        let Life::Up(built) = &self.life else { return };
        let now = self.node.clock.now();
        if let Some((_, command)) = built.entity.timer().filter(|(at, _)| *at <= now) {
            self.on_peer(command, None, ctx);
        }
        // What time alone has made needless is not asked for again.
        self.send_outstanding(now);
        for (key, attempts) in self.sent.due(present) {
            self.send(key, attempts + 1, false, None);
        }
        self.ask_due(now);
        self.set_timer(now);
        if std::mem::take(&mut self.woken) {
            self.tell_if_woken_for_nothing(now);
        }
        self.node.metrics(E::KIND).wakes.record(present.elapsed());
    }

    /// A snapshot may say that its entity is to be woken though time brings nothing: of an order whose timer a later release does not
    /// have, for one. No record follows, so no checkpoint would ever say otherwise.
    fn tell_if_woken_for_nothing(&self, now: Timestamp) {
        let Life::Up(built) = &self.life else { return };
        let wake_at = built.entity.wake_at(now);
        let waits = !self.sent.is_empty() || built.version != self.checkpointed;
        if !waits && wake_at.is_none_or(|at| at > now) {
            let (entity, version) = (self.entity_ref(), built.version);
            self.node.was_woken_for_nothing(WakeAt { entity, version, wake_at });
        }
    }

    /// Sends what the entity asks by a schedule of its own; nothing of it is kept here.
    fn ask_due(&mut self, now: Timestamp) {
        let Life::Up(built) = &mut self.life else { return };
        let keys = built.entity.ask_due(now);
        let Life::Up(built) = &self.life else { return };
        for key in keys {
            if let Some(effect) = built.entity.effect(key) {
                self.emit(key, effect, false, None);
            }
        }
    }

    pub(super) fn forget_expired(&mut self) {
        let present = Instant::now();
        self.waiting.retain(|waiting| waiting.edge.deadline > present);
    }
}
