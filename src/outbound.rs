//! The pace at which somebody outside is called: how many calls at a time, how many per second, and hardly any while they give no answers.

use crate::domain::backoff::backoff_ms;
use std::time::Duration;
use tokio::time::Instant;

/// What a target is asked for at most.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Calls at a time.
    pub calls: usize,
    /// Between two calls at an even rate.
    pub interval: Duration,
    /// What may be called at once after a rest: as much as is called in this time at an even rate.
    pub burst: Duration,
    /// Different callers in a row without an answer, for the target to count as silent.
    pub silent_after: usize,
    /// Calls that are made to see whether a silent target answers again.
    pub probes: usize,
    /// The shortest and the longest wait between two rounds of probes, in milliseconds.
    pub probe_ms: (u64, u64),
}

/// What has to come first before the next call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// A call must end.
    UntilAnEnd,
    /// This moment, or the end of a call.
    Until(Instant),
}

/// Whether a target answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// It does.
    Yes,
    /// Some calls are made, to see whether it does.
    Probed,
    /// It does not.
    No,
}

enum Breaker {
    /// It answers. These callers, and none in between, had no answer.
    Closed { unanswered: Vec<u128> },
    /// It does not: nothing is asked until then. So many rounds of probes were in vain.
    Open { since: Instant, until: Instant, rounds: u32 },
    /// Some calls are made, to see whether it does.
    HalfOpen { since: Instant, rounds: u32, round: u64, made: usize, under_way: usize },
}

/// A call that may be made. It must be told to [`Meter::end`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    caller: u128,
    /// The round of probes that it is one of.
    probe_of: Option<u64>,
}

/// Rate and breaker of one target.
pub struct Meter {
    pace: Pace,
    under_way: usize,
    /// The moment at which the next call would be made at an even rate. A token bucket, counted in time (GCRA, ITU-T I.371).
    even: Instant,
    breaker: Breaker,
    /// Rounds of probes there ever were.
    all_rounds: u64,
}

impl Meter {
    /// A target that answers, and has not been called yet.
    pub fn new(pace: Pace, now: Instant) -> Self {
        Self { pace, under_way: 0, even: now, breaker: Breaker::Closed { unanswered: Vec::new() }, all_rounds: 0 }
    }

    /// Takes what a call needs.
    ///
    /// # Errors
    /// What has to come first.
    pub fn call(&mut self, caller: u128, now: Instant) -> Result<Call, Blocked> {
        if self.under_way >= self.pace.calls {
            return Err(Blocked::UntilAnEnd);
        }
        match self.breaker {
            Breaker::Closed { .. } => {}
            Breaker::Open { until, .. } if now < until => return Err(Blocked::Until(until)),
            Breaker::Open { since, rounds, .. } => {
                self.all_rounds += 1;
                self.breaker = Breaker::HalfOpen { since, rounds, round: self.all_rounds, made: 0, under_way: 0 };
            }
            Breaker::HalfOpen { made, .. } if made >= self.pace.probes => return Err(Blocked::UntilAnEnd),
            Breaker::HalfOpen { .. } => {}
        }
        if self.even > now + self.pace.burst {
            return Err(Blocked::Until(self.even - self.pace.burst));
        }
        self.even = self.even.max(now) + self.pace.interval;
        self.under_way += 1;
        let probe_of = match &mut self.breaker {
            Breaker::HalfOpen { round, made, under_way, .. } => {
                *made += 1;
                *under_way += 1;
                Some(*round)
            }
            _ => None,
        };
        Ok(Call { caller, probe_of })
    }

    /// How many calls may be made now, one after the other; or what has to come before the first.
    ///
    /// # Errors
    /// What has to come first, when none may be made.
    pub fn room(&self, now: Instant) -> Result<usize, Blocked> {
        let free = self.pace.calls.saturating_sub(self.under_way);
        let free = match self.breaker {
            Breaker::Closed { .. } => free,
            Breaker::Open { until, .. } if now < until => return Err(Blocked::Until(until)),
            Breaker::Open { .. } => free.min(self.pace.probes),
            Breaker::HalfOpen { made, .. } => free.min(self.pace.probes.saturating_sub(made)),
        };
        if free == 0 {
            return Err(Blocked::UntilAnEnd);
        }
        let latest = now + self.pace.burst;
        if self.even > latest {
            return Err(Blocked::Until(self.even - self.pace.burst));
        }
        let ahead = latest - self.even.max(now);
        let by_rate = ahead.as_nanos() / self.pace.interval.as_nanos().max(1) + 1;
        Ok(free.min(usize::try_from(by_rate).unwrap_or(usize::MAX)))
    }

    /// A call is over. Whether the target answered; `None` when it was not made, or nobody knows.
    pub fn end(&mut self, call: Call, answered: Option<bool>, now: Instant) {
        self.under_way -= 1;
        if answered == Some(true) {
            match &mut self.breaker {
                Breaker::Closed { unanswered } => unanswered.clear(),
                Breaker::Open { .. } | Breaker::HalfOpen { .. } => {
                    self.breaker = Breaker::Closed { unanswered: Vec::new() };
                }
            }
            return;
        }
        let was_called = answered.is_some();
        match &mut self.breaker {
            // One caller that never has an answer says nothing of the target.
            Breaker::Closed { unanswered } if was_called && !unanswered.contains(&call.caller) => {
                unanswered.push(call.caller);
                if unanswered.len() >= self.pace.silent_after {
                    self.breaker = self.open(now, now, 0);
                }
            }
            Breaker::HalfOpen { since, rounds, round, made, under_way } if call.probe_of == Some(*round) => {
                *under_way -= 1;
                // One that was not made shows nothing: there may be another in its place.
                *made -= usize::from(!was_called);
                if *under_way == 0 && *made > 0 {
                    let (since, rounds) = (*since, rounds.saturating_add(1));
                    self.breaker = self.open(since, now, rounds);
                }
            }
            _ => {}
        }
    }

    fn open(&self, since: Instant, now: Instant, rounds: u32) -> Breaker {
        let (first, longest) = self.pace.probe_ms;
        let wait = backoff_ms(first, longest, rounds, 0);
        Breaker::Open { since, until: now + Duration::from_millis(wait), rounds }
    }

    /// How many calls are under way.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Whether no call is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way == 0
    }

    /// Whether it answers.
    pub fn answers(&self) -> Answers {
        match self.breaker {
            Breaker::Closed { .. } => Answers::Yes,
            Breaker::HalfOpen { .. } => Answers::Probed,
            Breaker::Open { .. } => Answers::No,
        }
    }

    /// For how long the target has counted as silent; `None` while it does not, or while a call would be made to see: when none waits
    /// any more, the next one that comes is that call.
    pub fn silent_for(&self, now: Instant) -> Option<Duration> {
        match self.breaker {
            Breaker::Closed { .. } => None,
            Breaker::Open { until, .. } if now >= until => None,
            Breaker::HalfOpen { made, .. } if made < self.pace.probes => None,
            Breaker::Open { since, .. } | Breaker::HalfOpen { since, .. } => Some(now.saturating_duration_since(since)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(now: Instant) -> Meter {
        let pace = Pace {
            calls: 4,
            interval: Duration::from_millis(100),
            burst: Duration::from_millis(200),
            silent_after: 2,
            probes: 2,
            probe_ms: (1_000, 60_000),
        };
        Meter::new(pace, now)
    }

    /// What is said of the room is what may be called, whatever came before.
    #[tokio::test(start_paused = true)]
    async fn there_is_room_for_what_may_be_called() {
        let (mut now, mut under_way) = (Instant::now(), Vec::new());
        let mut meter = meter(now);
        for step in 0..200_u64 {
            match meter.room(now) {
                Ok(room) => {
                    let calls: Vec<_> = (0..room).map_while(|_| meter.call(step.into(), now).ok()).collect();
                    assert_eq!(calls.len(), room, "step {step}");
                    under_way.extend(calls);
                }
                Err(blocked) => assert_eq!(meter.call(0, now), Err(blocked), "step {step}"),
            }
            assert!(meter.call(0, now).is_err(), "step {step}: the room was all there is");
            if step % 3 != 0 && !under_way.is_empty() {
                let answered = [Some(true), Some(false), Some(false), None][(step % 4) as usize];
                meter.end(under_way.remove(0), answered, now);
            }
            now += Duration::from_millis(step * 37 % 400);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_rest_a_burst_and_then_an_even_rate() {
        let now = Instant::now();
        let mut meter = meter(now);
        assert_eq!(meter.room(now), Ok(3));
        for caller in 0..3 {
            let call = meter.call(caller, now).expect("the burst");
            meter.end(call, Some(true), now);
        }
        assert_eq!(meter.room(now), Err(Blocked::Until(now + Duration::from_millis(100))));
        assert_eq!(meter.room(now + Duration::from_millis(100)), Ok(1));
        assert_eq!(meter.answers(), Answers::Yes);
    }
}
