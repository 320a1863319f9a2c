//! What is counted while a run goes on. Everything adds up: the seconds of one process, those of several, and a whole run are the same
//! [`Measured`], merged.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The kinds of call that are timed apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// TCP connect and the client's handshake.
    Connect,
    /// GET a SKU.
    Browse,
    /// GET a stream of events, until it tells how things stand.
    Watch,
    /// No call: from the moment at which the first stream of a process was told of a change until another one was.
    ToldLater,
    /// POST a cart.
    CreateCart,
    /// PUT a line.
    SetLine,
    /// PUT a coupon's code, or DELETE it.
    SetCoupon,
    /// POST a ticket of a room.
    JoinLine,
    /// GET a place in its line.
    Place,
    /// POST to come in.
    Enter,
    /// DELETE a place, or the slot inside.
    LeaveLine,
    /// POST a checkout.
    Checkout,
    /// GET an order.
    Poll,
    /// No call: from the first checkout until the buyer knew that the order was paid or had ended.
    ToTheEnd,
    /// The shop's own calls and the checks.
    BackOffice,
    /// No call: from the moment a step was meant to begin until its request could be sent. How late this client itself was.
    Behind,
}

impl Call {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Call::Connect => "connect",
            Call::Browse => "browse",
            Call::Watch => "watch",
            Call::ToldLater => "told after first",
            Call::CreateCart => "create cart",
            Call::SetLine => "set line",
            Call::SetCoupon => "set coupon",
            Call::JoinLine => "join line",
            Call::Place => "place in line",
            Call::Enter => "enter",
            Call::LeaveLine => "leave line",
            Call::Checkout => "checkout",
            Call::Poll => "poll",
            Call::ToTheEnd => "checkout to end",
            Call::BackOffice => "back office",
            Call::Behind => "behind schedule",
        }
    }

    /// Whether it is a request of a buyer.
    pub fn is_request(self) -> bool {
        !matches!(self, Call::Connect | Call::ToldLater | Call::ToTheEnd | Call::BackOffice | Call::Behind)
    }
}

/// Ten minutes in microseconds: longer times count as this.
const LONGEST_US: u64 = 600_000_000;

/// Latencies in microseconds, to three digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Latencies(pub Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Latencies(Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are constants that fit"))
    }
}

impl Latencies {
    /// Adds one.
    pub fn note(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
        self.0.saturating_record(us.max(1));
    }

    /// The time that this share of all stays within.
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }
}

/// Each value of the histogram that occurs, with its count: what another process merges is what this one has.
impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())))
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut latencies = Latencies::default();
        for (value, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            latencies.0.record_n(value.min(LONGEST_US), count).map_err(D::Error::custom)?;
        }
        Ok(latencies)
    }
}

/// Counts by name, for what happens rarely or has few names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(pub BTreeMap<String, u64>);

impl Counts {
    /// Names past this many are counted together, so that a server's texts cannot fill memory.
    const MOST_NAMES: usize = 100;

    /// Counts so many more of one name.
    pub fn add(&mut self, name: &str, count: u64) {
        if let Some(counted) = self.0.get_mut(name) {
            *counted += count;
            return;
        }
        let name = if self.0.len() >= Self::MOST_NAMES { "others" } else { name };
        *self.0.entry(name.to_owned()).or_default() += count;
    }
}

/// What goes wrong with a call, or puts it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mishap {
    /// A connection could not be made.
    Connect,
    /// A connection was lost with a request on it.
    Dropped,
    /// A request was not answered in time.
    Timeout,
    /// A call was given up after all repeats.
    GaveUp,
    /// A 503 answer.
    Busy,
    /// A 429 answer.
    Limited,
    /// A 504 answer.
    Unknown,
    /// A request was sent again after `Retry-After` had passed.
    RepeatedAfter,
}

impl Mishap {
    /// In the words of plots.
    pub fn words(self) -> &'static str {
        match self {
            Mishap::Connect => "could not connect",
            Mishap::Dropped => "connection lost",
            Mishap::Timeout => "timeout",
            Mishap::GaveUp => "given up after repeats",
            Mishap::Busy => "503",
            Mishap::Limited => "429",
            Mishap::Unknown => "504",
            Mishap::RepeatedAfter => "repeated after Retry-After",
        }
    }

    /// Whether an answer asked to come again.
    pub fn is_put_off(self) -> bool {
        matches!(self, Mishap::Busy | Mishap::Limited | Mishap::Unknown)
    }
}

/// What happened in some time: in a second, in a phase, in one process or in all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Sessions begun.
    pub begun: u64,
    /// Sessions ended.
    pub ended: u64,
    /// Latencies by kind of call.
    pub calls: BTreeMap<Call, Latencies>,
    /// Calls that got no answer at all: they were slower than any of those in `calls`. Those that were put off until they were given up are not
    /// among them.
    #[serde(default)]
    pub unanswered: BTreeMap<Call, u64>,
    /// How sessions came out, by words.
    pub outcomes: Counts,
    /// What went wrong or was put off.
    pub mishaps: BTreeMap<Mishap, u64>,
    /// Answers the contract does not foresee, by call, status and code.
    pub unexpected: Counts,
    /// Sessions that began more than 100 ms late.
    pub late: u64,
    /// The most that a session began late, in milliseconds.
    pub latest_ms: u64,
    /// Checkouts sent twice whose answers could be compared.
    pub twins: u64,
    /// Orderly refusals by their codes: each one, however often a buyer came again.
    #[serde(default)]
    pub refusals: Counts,
}

impl Measured {
    /// Adds what happened elsewhere or at another time.
    pub fn merge(&mut self, other: &Measured) {
        self.begun += other.begun;
        self.ended += other.ended;
        for (call, latencies) in &other.calls {
            let mine = self.calls.entry(*call).or_default();
            mine.0.add(&latencies.0).expect("all histograms have the same bounds");
        }
        for (call, count) in &other.unanswered {
            *self.unanswered.entry(*call).or_default() += count;
        }
        for (name, count) in &other.outcomes.0 {
            self.outcomes.add(name, *count);
        }
        for (mishap, count) in &other.mishaps {
            *self.mishaps.entry(*mishap).or_default() += count;
        }
        for (name, count) in &other.unexpected.0 {
            self.unexpected.add(name, *count);
        }
        self.late += other.late;
        self.latest_ms = self.latest_ms.max(other.latest_ms);
        self.twins += other.twins;
        for (code, count) in &other.refusals.0 {
            self.refusals.add(code, *count);
        }
    }

    /// The time that this share of all calls of a kind stays within, in microseconds, where those without an answer took longer than all
    /// others; `None` when it is one of theirs, or there were no calls.
    pub fn quantile_us(&self, call: Call, quantile: f64) -> Option<u64> {
        let latencies = self.calls.get(&call)?;
        let answered = latencies.0.len();
        let all = answered + self.unanswered.get(&call).copied().unwrap_or_default();
        let rank = (quantile * all as f64).ceil() as u64;
        (rank <= answered).then(|| latencies.quantile_us(rank as f64 / answered as f64))
    }

    /// How often this happened.
    pub fn mishaps(&self, mishap: Mishap) -> u64 {
        self.mishaps.get(&mishap).copied().unwrap_or_default()
    }

    /// Requests of buyers that were answered.
    pub fn requests(&self) -> u64 {
        self.calls.iter().filter(|(call, _)| call.is_request()).map(|(_, latencies)| latencies.0.len()).sum()
    }

    /// Sums up one phase of this length.
    pub fn phase(&self, name: &str, seconds: f64) -> Phase {
        let calls = self.calls.iter().filter(|(call, _)| **call != Call::Behind);
        let calls = calls.map(|(call, latencies)| CallSummary::of(*call, latencies, seconds)).collect();
        Phase { name: name.to_owned(), seconds, calls }
    }
}

/// A phase of a run, summed up.
#[derive(Clone, Debug, Serialize)]
pub struct Phase {
    /// What was done in it.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
    /// One per kind of call that was made.
    pub calls: Vec<CallSummary>,
}

/// One kind of call in one phase. Times in microseconds.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct CallSummary {
    pub call: &'static str,
    pub count: u64,
    pub per_second: f64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p95_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

impl CallSummary {
    fn of(call: Call, latencies: &Latencies, seconds: f64) -> Self {
        let count = latencies.0.len();
        CallSummary {
            call: call.name(),
            count,
            per_second: count as f64 / seconds.max(1e-9),
            p50_us: latencies.quantile_us(0.50),
            p90_us: latencies.quantile_us(0.90),
            p95_us: latencies.quantile_us(0.95),
            p99_us: latencies.quantile_us(0.99),
            p999_us: latencies.quantile_us(0.999),
            max_us: latencies.0.max(),
        }
    }
}

/// Where one process counts, second by second.
pub struct Recorder(Mutex<Seconds>);

struct Seconds {
    began: Instant,
    second: u32,
    present: Measured,
    finished: Vec<(u32, Measured)>,
}

impl Seconds {
    fn roll(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.began).as_secs() as u32;
        if second > self.second {
            let done = std::mem::take(&mut self.present);
            if done != Measured::default() {
                self.finished.push((self.second, done));
            }
            self.second = second;
        }
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder(Mutex::new(Seconds {
            began: Instant::now(),
            second: 0,
            present: Measured::default(),
            finished: Vec::new(),
        }))
    }
}

impl Recorder {
    /// Counts seconds from here; what was counted before is forgotten.
    pub fn begin(&self, began: Instant) {
        let mut seconds = locked(&self.0);
        *seconds = Seconds { began, second: 0, present: Measured::default(), finished: Vec::new() };
    }

    /// Counts something in the present second.
    pub fn count(&self, what: impl FnOnce(&mut Measured)) {
        let mut seconds = locked(&self.0);
        seconds.roll(Instant::now());
        what(&mut seconds.present);
    }

    /// Notes one call's time.
    pub fn note(&self, call: Call, took: Duration) {
        self.count(|measured| measured.calls.entry(call).or_default().note(took));
    }

    /// Counts a call that got no answer.
    pub fn unanswered(&self, call: Call) {
        self.count(|measured| *measured.unanswered.entry(call).or_default() += 1);
    }

    /// Counts one mishap.
    pub fn mishap(&self, mishap: Mishap) {
        self.count(|measured| *measured.mishaps.entry(mishap).or_default() += 1);
    }

    /// Counts an answer the contract does not foresee.
    pub fn unexpected(&self, words: &str) {
        self.count(|measured| measured.unexpected.add(words, 1));
    }

    /// Takes the seconds that are over, and which they all come before; the present one too when nothing more comes.
    pub fn drain(&self, and_the_present: bool) -> (Vec<(u32, Measured)>, u32) {
        let mut seconds = locked(&self.0);
        seconds.roll(Instant::now());
        let mut drained = std::mem::take(&mut seconds.finished);
        if and_the_present {
            let present = std::mem::take(&mut seconds.present);
            drained.push((seconds.second, present));
        }
        (drained, seconds.second + u32::from(and_the_present))
    }

    /// Everything since it began, or was drained.
    pub fn total(&self) -> Measured {
        let mut total = Measured::default();
        for (_, second) in self.drain(true).0 {
            total.merge(&second);
        }
        total
    }
}

/// Locks whatever happened to another holder: the counts stay usable after a panic.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::values::Random;
    use super::*;

    fn noted(times: &[u64]) -> Measured {
        let mut measured = Measured::default();
        for us in times {
            measured.calls.entry(Call::Checkout).or_default().note(Duration::from_micros(*us));
        }
        measured
    }

    #[test]
    fn a_phase_reports_only_calls_that_were_made() {
        let times: Vec<u64> = (1..=100).map(|ms| ms * 1000).collect();
        let mut measured = noted(&times);
        measured.calls.entry(Call::Behind).or_default().note(Duration::from_millis(1));
        let phase = measured.phase("rush", 1.0);
        assert_eq!(phase.calls.len(), 1);
        let checkout = &phase.calls[0];
        assert_eq!((checkout.call, checkout.count), ("checkout", 100));
        assert!((49_900..50_100).contains(&checkout.p50_us));
        assert!((98_900..99_200).contains(&checkout.p99_us));
        assert!((99_900..100_200).contains(&checkout.max_us));
    }

    #[test]
    fn what_several_processes_measured_is_what_one_would_have() {
        let mut random = Random::of(1, 1);
        let times: Vec<u64> = (0..5_000).map(|_| (1_000.0 * (3.0 * random.normal()).exp()) as u64).collect();
        let whole = noted(&times);
        let mut merged = Measured::default();
        for part in times.chunks(777) {
            // As it goes over the pipe.
            let text = serde_json::to_string(&noted(part)).expect("text");
            merged.merge(&serde_json::from_str(&text).expect("the same"));
        }
        let (one, other) = (&whole.calls[&Call::Checkout], &merged.calls[&Call::Checkout]);
        assert_eq!(one.0.len(), 5_000);
        for quantile in [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
            assert_eq!(one.quantile_us(quantile), other.quantile_us(quantile), "{quantile}");
        }
        let counts = |of: &Latencies| of.0.iter_recorded().map(|step| step.count_at_value()).collect::<Vec<_>>();
        assert_eq!(counts(one), counts(other));
    }

    #[test]
    fn counts_are_added_and_the_latest_is_kept() {
        let part = |latest_ms, name: &str| {
            let mut measured = Measured { begun: 2, ended: 1, late: 1, latest_ms, twins: 1, ..Measured::default() };
            measured.mishaps.insert(Mishap::Busy, 3);
            measured.outcomes.add(name, 1);
            measured.unexpected.add("x", 1);
            measured.refusals.add("out_of_stock", 4);
            measured
        };
        let mut all = part(500, "paid");
        all.merge(&part(200, "sold out"));
        assert_eq!((all.begun, all.ended, all.late, all.latest_ms, all.twins), (4, 2, 2, 500, 2));
        assert_eq!((all.mishaps(Mishap::Busy), all.unexpected.0["x"], all.outcomes.0.len()), (6, 2, 2));
        assert_eq!(all.refusals.0["out_of_stock"], 8);
    }

    #[test]
    fn names_are_bounded() {
        let mut counts = Counts::default();
        for name in 0..1000 {
            counts.add(&name.to_string(), 1);
        }
        assert!(counts.0.len() <= Counts::MOST_NAMES + 1);
        assert_eq!(counts.0.values().sum::<u64>(), 1000);
    }

    #[test]
    fn a_recorder_gives_each_second_once() {
        let recorder = Recorder::default();
        let (present, all) = loop {
            let began = Instant::now() - Duration::from_millis(2_500);
            recorder.begin(began);
            recorder.note(Call::Poll, Duration::from_millis(1));
            let drained = (recorder.drain(false), recorder.drain(true));
            // Where the machine stood still the second was over meanwhile.
            if began.elapsed() < Duration::from_secs(3) {
                break drained;
            }
        };
        assert_eq!((present.0.len(), present.1), (0, 2));
        assert_eq!((all.0.len(), all.0[0].0, all.1), (1, 2, 3));
        assert_eq!(recorder.total(), Measured::default());
    }
}
