//! The way to one payment provider: how many calls at a time, how many per second, and hardly any while it gives no answers.
//!
//! What may not be called yet waits in two lines, one for charges and one for everything else. When both wait they take turns, so that what
//! gives money back never stands behind a rush of payments, nor the other way round.

use crate::actors::metrics::GateMetrics;
use crate::domain::ids::OrderId;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::outbound::{Answers, Blocked, Call, Meter, Pace};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// A call that wants to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) order: OrderId,
    /// Whether it takes money.
    pub(super) charges: bool,
    /// Past this moment nothing may be charged.
    pub(super) not_after: Timestamp,
}

/// Whether a call that has waited is still to be made.
pub(super) type IsWanted<'a> = &'a dyn Fn(&Wish) -> bool;

struct Waiting {
    wish: Wish,
    since: Instant,
    let_in: oneshot::Sender<Pass>,
}

struct State {
    /// Charges, and everything else.
    waiting: [VecDeque<Waiting>; 2],
    /// Which line comes next when both wait.
    next_line: usize,
    meter: Meter,
    /// Whether somebody lets in what waits.
    is_driven: bool,
}

/// What has to come for the next call to be let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nobody waits.
    Nobody,
    /// A call must end.
    AnEnd,
    /// This moment, or the end of a call.
    At(Instant),
}

/// As it is told to operators.
const fn level(answers: Answers) -> u8 {
    match answers {
        Answers::Yes => 0,
        Answers::Probed => 1,
        Answers::No => 2,
    }
}

/// The way to one payment provider, for operators.
#[derive(Clone, Copy, Debug)]
pub struct GateView {
    /// What buyers pay by.
    pub method: &'static str,
    /// 0 while it answers, 1 while it is being tried, 2 while it is not asked.
    pub state: u8,
    /// For how long it has counted as silent.
    pub silent_for: Option<Duration>,
    /// Calls under way.
    pub under_way: usize,
    /// Charges that wait for their turn.
    pub charges_waiting: usize,
    /// All else that waits for its turn.
    pub others_waiting: usize,
    /// How long the longest of them has waited.
    pub oldest: Option<Duration>,
}

/// The gate.
pub(super) struct Gate {
    state: Mutex<State>,
    /// Something has changed for those who wait.
    changed: Notify,
    metrics: GateMetrics,
}

/// A call that may be made now; it is over when this is dropped.
pub(super) struct Pass {
    gate: Arc<Gate>,
    call: Call,
    /// Whether the provider answered; `None` when nobody knows.
    answered: Option<bool>,
}

impl Pass {
    /// Says whether the provider answered.
    pub(super) fn ends(mut self, answered: bool) {
        self.answered = Some(answered);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.end(self.call, self.answered);
    }
}

/// How it goes on for a call.
pub(super) enum Entry {
    /// Now.
    Now(Pass),
    /// When this says so; never, when this ends. With whether somebody must see to it.
    Later(oneshot::Receiver<Pass>, bool),
}

impl Gate {
    pub(super) fn new(method: &'static str, calls_per_second: u32, silent_orders: usize) -> Arc<Self> {
        let pace = Pace {
            calls: limits::GATEWAY_CALLS,
            interval: Duration::from_secs(1) / calls_per_second.max(1),
            burst: Duration::from_millis(limits::GATEWAY_BURST_MS),
            silent_after: silent_orders.max(1),
            probes: limits::GATEWAY_PROBES,
            probe_ms: (limits::GATEWAY_PROBE_FROM_MS, limits::GATEWAY_PROBE_BACKOFF_MS),
        };
        let meter = Meter::new(pace, Instant::now());
        let state = State { waiting: Default::default(), next_line: 0, meter, is_driven: false };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new(), metrics: GateMetrics::new(method) })
    }

    /// Asks to make a call.
    pub(super) fn enter(self: &Arc<Self>, wish: Wish, now: Instant) -> Entry {
        let mut state = self.state.lock();
        let nobody_waits = state.waiting.iter().all(VecDeque::is_empty);
        if nobody_waits && let Ok(call) = self.may_call(&mut state, wish.order, now) {
            drop(state);
            return Entry::Now(self.pass(call));
        }
        let (let_in, receiver) = oneshot::channel();
        let line = usize::from(!wish.charges);
        state.waiting[line].push_back(Waiting { wish, since: now, let_in });
        self.metrics.waiting(line, state.waiting[line].len());
        let undriven = !std::mem::replace(&mut state.is_driven, true);
        drop(state);
        self.changed.notify_one();
        Entry::Later(receiver, undriven)
    }

    /// Lets in who waits, as they may be, until nobody waits any more.
    pub(super) async fn drive(self: Arc<Self>, is_wanted: impl Fn(&Wish) -> bool) {
        loop {
            match self.let_in(&is_wanted, Instant::now()) {
                Next::Nobody => return,
                Next::AnEnd => self.changed.notified().await,
                Next::At(at) => tokio::select! {
                    // In this order, so that a simulated run can be repeated.
                    biased;
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep_until(at) => {}
                },
            }
        }
    }

    /// Lets in who may be let in now. Whoever drives this ends when nobody waits.
    pub(super) fn let_in(self: &Arc<Self>, is_wanted: IsWanted, now: Instant) -> Next {
        loop {
            let mut state = self.state.lock();
            for line in 0..2 {
                let before = state.waiting[line].len();
                // Whom this passes over hears that the call is not made: it costs nothing of the rate.
                let unwanted = |waiting: &Waiting| waiting.let_in.is_closed() || !is_wanted(&waiting.wish);
                while state.waiting[line].front().is_some_and(unwanted) {
                    state.waiting[line].pop_front();
                }
                if state.waiting[line].len() != before {
                    self.metrics.waiting(line, state.waiting[line].len());
                }
            }
            let line = match state.waiting.each_ref().map(VecDeque::is_empty) {
                [true, true] => {
                    // What was long may not stay large.
                    state.waiting.iter_mut().for_each(|line| line.shrink_to(64));
                    state.is_driven = false;
                    return Next::Nobody;
                }
                [false, false] => state.next_line,
                [charges_done, _] => usize::from(charges_done),
            };
            // There is one: its line is not empty.
            let Some(order) = state.waiting[line].front().map(|waiting| waiting.wish.order) else { continue };
            let call = match self.may_call(&mut state, order, now) {
                Ok(call) => call,
                Err(Blocked::UntilAnEnd) => return Next::AnEnd,
                Err(Blocked::Until(at)) => return Next::At(at),
            };
            state.next_line = 1 - line;
            let waiting = state.waiting[line].pop_front();
            self.metrics.waiting(line, state.waiting[line].len());
            drop(state);
            // Should whoever waited have gone in this moment, the pass comes back and ends.
            if let Some(Waiting { let_in, .. }) = waiting {
                let _ = let_in.send(self.pass(call));
            }
        }
    }

    fn pass(self: &Arc<Self>, call: Call) -> Pass {
        Pass { gate: self.clone(), call, answered: None }
    }

    fn may_call(&self, state: &mut State, order: OrderId, now: Instant) -> Result<Call, Blocked> {
        let before = state.meter.answers();
        let call = state.meter.call(order.uuid().as_u128(), now);
        self.tell(before, state.meter.answers());
        call
    }

    fn end(&self, call: Call, answered: Option<bool>) {
        let mut state = self.state.lock();
        let before = state.meter.answers();
        state.meter.end(call, answered, Instant::now());
        self.tell(before, state.meter.answers());
        if state.is_driven {
            self.changed.notify_one();
        }
    }

    /// Tells operators that the provider answers as before no more.
    fn tell(&self, before: Answers, now: Answers) {
        let method = self.metrics.method;
        match (before, now) {
            (Answers::Yes, Answers::No) => {
                tracing::warn!(method, "a payment provider gives no answers: it is asked now and then");
                self.metrics.opened();
            }
            (Answers::No | Answers::Probed, Answers::Yes) => tracing::info!(method, "a payment provider answers again"),
            _ => {}
        }
        if before != now {
            self.metrics.state(level(now));
        }
    }

    /// How it stands.
    pub(super) fn sight(&self, now: Instant) -> GateView {
        let state = self.state.lock();
        let [charges, others] = state.waiting.each_ref().map(VecDeque::len);
        let oldest = state.waiting.iter().filter_map(|line| line.front()).map(|waiting| waiting.since).min();
        GateView {
            method: self.metrics.method,
            state: level(state.meter.answers()),
            silent_for: state.meter.silent_for(now),
            under_way: state.meter.under_way(),
            charges_waiting: charges,
            others_waiting: others,
            oldest: oldest.map(|since| now.saturating_duration_since(since)),
        }
    }

    /// For how long the provider has counted as silent; `None` while it does not, or while a call would be made to see: when none waits
    /// any more, the next one that comes is that call.
    pub(super) fn silent_for(&self, now: Instant) -> Option<Duration> {
        self.state.lock().meter.silent_for(now)
    }
}

#[cfg(test)]
mod tests;
