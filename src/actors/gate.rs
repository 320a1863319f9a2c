//! The way to one payment provider: how many calls at a time, how many per second, and hardly any while it gives no answers.
//!
//! What may not be called yet waits in two lines, one for charges and one for everything else. When both wait they take turns, so that what
//! gives money back never stands behind a rush of payments, nor the other way round.

use crate::actors::metrics::GateMetrics;
use crate::domain::backoff::backoff_ms;
use crate::domain::ids::OrderId;
use crate::domain::time::Timestamp;
use crate::limits;
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
    let_in: oneshot::Sender<Pass>,
}

/// Whether the provider answers.
enum Breaker {
    /// It does. These orders, and none in between, had no answer.
    Closed { unanswered: Vec<OrderId> },
    /// It does not: nothing is asked until then. So many rounds of probes were in vain.
    Open { since: Instant, until: Instant, rounds: u32 },
    /// Some calls are made, to see whether it does.
    HalfOpen { since: Instant, rounds: u32, round: u64, made: usize, under_way: usize },
}

struct State {
    /// Charges, and everything else.
    waiting: [VecDeque<Waiting>; 2],
    /// Which line comes next when both wait.
    next_line: usize,
    under_way: usize,
    /// The moment at which the next call would be made at an even rate. A token bucket, counted in time (GCRA, ITU-T I.371).
    even: Instant,
    breaker: Breaker,
    /// Rounds of probes there ever were.
    all_rounds: u64,
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

/// The gate.
pub(super) struct Gate {
    state: Mutex<State>,
    /// Something has changed for those who wait.
    changed: Notify,
    /// Between two calls at an even rate.
    interval: Duration,
    /// Different orders in a row without an answer, for the provider to count as silent.
    silent_orders: usize,
    metrics: GateMetrics,
}

/// A call that may be made now; it is over when this is dropped.
pub(super) struct Pass {
    gate: Arc<Gate>,
    order: OrderId,
    /// The round of probes that it is one of.
    probe_of: Option<u64>,
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
        self.gate.end(self.order, self.probe_of, self.answered);
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
        let state = State {
            waiting: Default::default(),
            next_line: 0,
            under_way: 0,
            even: Instant::now(),
            breaker: Breaker::Closed { unanswered: Vec::new() },
            all_rounds: 0,
            is_driven: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            interval: Duration::from_secs(1) / calls_per_second.max(1),
            silent_orders: silent_orders.max(1),
            metrics: GateMetrics::new(method),
        })
    }

    /// Asks to make a call.
    pub(super) fn enter(self: &Arc<Self>, wish: Wish, now: Instant) -> Entry {
        let mut state = self.state.lock();
        let nobody_waits = state.waiting.iter().all(VecDeque::is_empty);
        if nobody_waits && let Ok(probe_of) = self.may_call(&mut state, now) {
            drop(state);
            return Entry::Now(self.pass(wish.order, probe_of));
        }
        let (let_in, receiver) = oneshot::channel();
        let line = usize::from(!wish.charges);
        state.waiting[line].push_back(Waiting { wish, let_in });
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
            let probe_of = match self.may_call(&mut state, now) {
                Ok(probe_of) => probe_of,
                Err(next) => return next,
            };
            state.next_line = 1 - line;
            let waiting = state.waiting[line].pop_front();
            self.metrics.waiting(line, state.waiting[line].len());
            drop(state);
            // Should whoever waited have gone in this moment, the pass comes back and ends.
            if let Some(Waiting { wish, let_in }) = waiting {
                let _ = let_in.send(self.pass(wish.order, probe_of));
            }
        }
    }

    fn pass(self: &Arc<Self>, order: OrderId, probe_of: Option<u64>) -> Pass {
        Pass { gate: self.clone(), order, probe_of, answered: None }
    }

    /// Takes what a call needs, and says of which round of probes it is, if it is one; or what has to come first.
    fn may_call(&self, state: &mut State, now: Instant) -> Result<Option<u64>, Next> {
        if state.under_way >= limits::GATEWAY_CALLS {
            return Err(Next::AnEnd);
        }
        match state.breaker {
            Breaker::Closed { .. } => {}
            Breaker::Open { until, .. } if now < until => return Err(Next::At(until)),
            Breaker::Open { since, rounds, .. } => {
                state.all_rounds += 1;
                state.breaker = Breaker::HalfOpen { since, rounds, round: state.all_rounds, made: 0, under_way: 0 };
                self.metrics.state(1);
            }
            Breaker::HalfOpen { made: limits::GATEWAY_PROBES.., .. } => return Err(Next::AnEnd),
            Breaker::HalfOpen { .. } => {}
        }
        let burst = Duration::from_millis(limits::GATEWAY_BURST_MS);
        if state.even > now + burst {
            return Err(Next::At(state.even - burst));
        }
        state.even = state.even.max(now) + self.interval;
        state.under_way += 1;
        Ok(match &mut state.breaker {
            Breaker::HalfOpen { round, made, under_way, .. } => {
                *made += 1;
                *under_way += 1;
                Some(*round)
            }
            _ => None,
        })
    }

    fn end(&self, order: OrderId, probe_of: Option<u64>, answered: Option<bool>) {
        let mut state = self.state.lock();
        state.under_way -= 1;
        if answered == Some(true) {
            self.answers(&mut state);
        } else {
            self.gives_no_answer(&mut state, order, probe_of, answered.is_some());
        }
        if state.is_driven {
            self.changed.notify_one();
        }
    }

    fn answers(&self, state: &mut State) {
        match &mut state.breaker {
            Breaker::Closed { unanswered } if unanswered.is_empty() => {}
            Breaker::Closed { unanswered } => unanswered.clear(),
            Breaker::Open { .. } | Breaker::HalfOpen { .. } => {
                tracing::info!(method = self.metrics.method, "a payment provider answers again");
                state.breaker = Breaker::Closed { unanswered: Vec::new() };
                self.metrics.state(0);
            }
        }
    }

    fn gives_no_answer(&self, state: &mut State, order: OrderId, probe_of: Option<u64>, was_called: bool) {
        match &mut state.breaker {
            // One order that never has an answer says nothing of the provider.
            Breaker::Closed { unanswered } if was_called && !unanswered.contains(&order) => {
                unanswered.push(order);
                if unanswered.len() >= self.silent_orders {
                    tracing::warn!(
                        method = self.metrics.method,
                        "a payment provider gives no answers: it is asked now and then"
                    );
                    self.metrics.opened();
                    let now = Instant::now();
                    state.breaker = self.open(now, now, 0);
                }
            }
            Breaker::HalfOpen { since, rounds, round, made, under_way } if probe_of == Some(*round) => {
                *under_way -= 1;
                // One that was not made shows nothing: there may be another in its place.
                *made -= usize::from(!was_called);
                if *under_way == 0 && *made > 0 {
                    let (since, rounds) = (*since, rounds.saturating_add(1));
                    state.breaker = self.open(since, Instant::now(), rounds);
                }
            }
            _ => {}
        }
    }

    fn open(&self, since: Instant, now: Instant, rounds: u32) -> Breaker {
        self.metrics.state(2);
        let wait = backoff_ms(limits::GATEWAY_PROBE_FROM_MS, limits::GATEWAY_PROBE_BACKOFF_MS, rounds, 0);
        Breaker::Open { since, until: now + Duration::from_millis(wait), rounds }
    }

    /// For how long the provider has counted as silent; `None` while it does not, or while a call would be made to see: when none waits
    /// any more, the next one that comes is that call.
    pub(super) fn silent_for(&self, now: Instant) -> Option<Duration> {
        match self.state.lock().breaker {
            Breaker::Closed { .. } => None,
            Breaker::Open { until, .. } if now >= until => None,
            Breaker::HalfOpen { made, .. } if made < limits::GATEWAY_PROBES => None,
            Breaker::Open { since, .. } | Breaker::HalfOpen { since, .. } => Some(now.saturating_duration_since(since)),
        }
    }
}

#[cfg(test)]
mod tests;
