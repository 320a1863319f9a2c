//! What is counted while a run goes on: a histogram per kind of call, and a tally of outcomes and errors.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The kinds of call that are timed apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// TCP connect and the client's handshake.
    Connect,
    /// GET a SKU.
    Browse,
    /// POST a cart.
    CreateCart,
    /// PUT a line.
    SetLine,
    /// POST a checkout.
    Checkout,
    /// GET an order.
    Poll,
    /// No call: from the first checkout until the buyer knew that the order was paid or had ended.
    ToTheEnd,
    /// The shop's own calls and the checks.
    BackOffice,
}

impl Call {
    /// All kinds, in the order of a report.
    pub const ALL: [Call; 8] = [
        Call::Connect,
        Call::Browse,
        Call::CreateCart,
        Call::SetLine,
        Call::Checkout,
        Call::Poll,
        Call::ToTheEnd,
        Call::BackOffice,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Call::Connect => "connect",
            Call::Browse => "browse",
            Call::CreateCart => "create cart",
            Call::SetLine => "set line",
            Call::Checkout => "checkout",
            Call::Poll => "poll",
            Call::ToTheEnd => "checkout to end",
            Call::BackOffice => "back office",
        }
    }
}

/// Ten minutes in microseconds: longer times count as this.
const LONGEST_US: u64 = 600_000_000;

/// Latencies of one phase, shared by all its workers.
pub struct Timings {
    calls: Vec<Mutex<Histogram<u64>>>,
    started: Instant,
}

impl Timings {
    /// Empty, with the phase's clock started.
    pub fn start() -> anyhow::Result<Self> {
        let calls = Call::ALL
            .iter()
            .map(|_| Ok(Mutex::new(Histogram::new_with_bounds(1, LONGEST_US, 3)?)))
            .collect::<anyhow::Result<_>>()?;
        Ok(Timings { calls, started: Instant::now() })
    }

    /// Notes one call's time from first byte sent to last byte read.
    pub fn note(&self, call: Call, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        locked(&self.calls[call as usize]).saturating_record(us.max(1));
    }

    /// Ends the phase and sums it up.
    pub fn finish(&self, name: &'static str) -> Phase {
        let seconds = self.started.elapsed().as_secs_f64();
        let calls = Call::ALL
            .iter()
            .map(|&call| (call, locked(&self.calls[call as usize])))
            .filter(|(_, histogram)| !histogram.is_empty())
            .map(|(call, histogram)| CallSummary {
                call: call.name(),
                count: histogram.len(),
                per_second: histogram.len() as f64 / seconds.max(1e-9),
                p50_us: histogram.value_at_quantile(0.50),
                p90_us: histogram.value_at_quantile(0.90),
                p95_us: histogram.value_at_quantile(0.95),
                p99_us: histogram.value_at_quantile(0.99),
                max_us: histogram.max(),
            })
            .collect();
        Phase { name, seconds, calls }
    }
}

/// A phase of a run, summed up.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Phase {
    /// What was done in it.
    pub name: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// One per kind of call that was made.
    pub calls: Vec<CallSummary>,
}

/// One kind of call in one phase. Times in microseconds.
#[derive(Clone, Debug, serde::Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct CallSummary {
    pub call: &'static str,
    pub count: u64,
    pub per_second: f64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p95_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

/// Counts by name, for what happens rarely or has few names.
#[derive(Default)]
pub struct Counts(Mutex<BTreeMap<Cow<'static, str>, u64>>);

impl Counts {
    /// Names past this many are counted together, so that a server's texts cannot fill memory.
    const MOST_NAMES: usize = 100;

    /// Counts one.
    pub fn add(&self, name: impl Into<Cow<'static, str>>) {
        let name = name.into();
        let mut counts = locked(&self.0);
        let full = counts.len() >= Self::MOST_NAMES && !counts.contains_key(&name);
        let name = if full { Cow::Borrowed("others") } else { name };
        *counts.entry(name).or_default() += 1;
    }

    /// All counts so far.
    pub fn all(&self) -> BTreeMap<String, u64> {
        locked(&self.0).iter().map(|(name, count)| (name.to_string(), *count)).collect()
    }
}

/// A count that many workers raise.
#[derive(Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Counts one.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Raises the count to at least this.
    pub fn at_least(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Outcomes and errors of a whole run.
#[derive(Default)]
pub struct Tally {
    /// How sessions or checkouts came out, by words.
    pub outcomes: Counts,
    /// Connections that could not be made.
    pub connect: Count,
    /// Connections lost with a request on them.
    pub dropped: Count,
    /// Requests that were not answered in time.
    pub timeout: Count,
    /// 503 answers.
    pub busy: Count,
    /// 429 answers.
    pub limited: Count,
    /// 504 answers.
    pub unknown: Count,
    /// Requests sent again after `Retry-After` had passed.
    pub repeated_after: Count,
    /// Calls given up after all repeats.
    pub gave_up: Count,
    /// Answers the contract does not foresee, by call, status and code.
    pub unexpected: Counts,
    /// How long after the last buyer left the last order was over, in milliseconds; 0 when none was waited for.
    pub settled_ms: Count,
    /// Sessions that began more than 100 ms late because all connections were taken.
    pub late: Count,
    /// The most that a session began late, in milliseconds.
    pub latest_ms: Count,
}

/// Locks whatever happened to another holder: the counts stay usable after a panic.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_reports_only_calls_that_were_made() {
        let timings = Timings::start().expect("histograms");
        for ms in 1..=100 {
            timings.note(Call::Checkout, Duration::from_millis(ms));
        }
        let phase = timings.finish("rush");
        assert_eq!(phase.calls.len(), 1);
        let checkout = &phase.calls[0];
        assert_eq!((checkout.call, checkout.count), ("checkout", 100));
        assert!((49_900..50_100).contains(&checkout.p50_us));
        assert!((98_900..99_200).contains(&checkout.p99_us));
        assert!((99_900..100_200).contains(&checkout.max_us));
    }

    #[test]
    fn every_call_has_its_own_place() {
        for (place, call) in Call::ALL.iter().enumerate() {
            assert_eq!(*call as usize, place);
        }
    }

    #[test]
    fn names_are_bounded() {
        let counts = Counts::default();
        for name in 0..1000 {
            counts.add(name.to_string());
        }
        assert!(counts.all().len() <= Counts::MOST_NAMES + 1);
        assert_eq!(counts.all().values().sum::<u64>(), 1000);
    }
}
