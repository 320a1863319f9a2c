//! What happened second by second, from all processes: a second is summed up when every process has told all of it.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::stats::{Call, Measured, Mishap};

/// Seconds that the live view looks back over.
pub const RECENT: usize = 5;

/// One second of the measured phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Second {
    /// From its start.
    pub second: u32,
    /// Sessions that began in it.
    pub begun: u64,
    /// Sessions under way at its end.
    pub under_way: u64,
    /// Requests of buyers that were answered in it.
    pub requests: u64,
    /// By kind of call.
    pub calls: BTreeMap<&'static str, Spread>,
    /// What went wrong or was put off, by words.
    pub errors: BTreeMap<String, u64>,
    /// How sessions came out that ended in it.
    pub outcomes: BTreeMap<String, u64>,
    /// Pieces of all SKUs that could still be bought, when somebody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock_left: Option<i64>,
}

/// One kind of call in one second. Times in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Spread {
    pub count: u64,
    pub p50_us: u64,
    pub p95_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

impl Second {
    fn of(second: u32, measured: &Measured, under_way: u64) -> Self {
        let calls = measured.calls.iter().filter(|(call, _)| **call != Call::Behind);
        let calls = calls.map(|(call, latencies)| {
            let spread = Spread {
                count: latencies.0.len(),
                p50_us: latencies.quantile_us(0.50),
                p95_us: latencies.quantile_us(0.95),
                p99_us: latencies.quantile_us(0.99),
                max_us: latencies.0.max(),
            };
            (call.name(), spread)
        });
        Second {
            second,
            begun: measured.begun,
            under_way,
            requests: measured.requests(),
            calls: calls.collect(),
            errors: errors(measured),
            outcomes: measured.outcomes.0.clone(),
            stock_left: None,
        }
    }
}

/// What went wrong or was put off, by words.
pub fn errors(measured: &Measured) -> BTreeMap<String, u64> {
    let mishaps = measured.mishaps.iter().filter(|(mishap, _)| **mishap != Mishap::RepeatedAfter);
    let mut errors: BTreeMap<_, _> = mishaps.map(|(mishap, count)| (mishap.words().to_owned(), *count)).collect();
    errors.extend(measured.unexpected.0.clone());
    errors
}

/// Puts the seconds of all processes together.
pub struct Series {
    /// What is not complete yet.
    pending: BTreeMap<u32, Measured>,
    /// By process: nothing more comes of the seconds before this one.
    complete: Vec<u32>,
    seconds: Vec<Second>,
    under_way: u64,
    recent: VecDeque<Measured>,
}

impl Series {
    /// Of so many processes.
    pub fn new(processes: usize) -> Self {
        Series {
            pending: BTreeMap::new(),
            complete: vec![0; processes],
            seconds: Vec::new(),
            under_way: 0,
            recent: VecDeque::new(),
        }
    }

    /// Adds what one process says of some seconds, and that it has no more of those before `complete`.
    pub fn add(&mut self, process: usize, seconds: &[(u32, Measured)], complete: u32) {
        for (second, measured) in seconds {
            self.pending.entry(*second).or_default().merge(measured);
        }
        self.complete[process] = self.complete[process].max(complete);
        self.sum_up();
    }

    /// This process says nothing more.
    pub fn end(&mut self, process: usize) {
        self.complete[process] = u32::MAX;
        self.sum_up();
    }

    fn sum_up(&mut self) {
        let until = self.complete.iter().copied().min().unwrap_or(u32::MAX);
        while let Some(entry) = self.pending.first_entry() {
            let next = self.seconds.len() as u32;
            if *entry.key().min(&next) >= until {
                return;
            }
            // Seconds in which nothing happened are seconds too.
            let measured = if *entry.key() > next { Measured::default() } else { entry.remove() };
            self.under_way = (self.under_way + measured.begun).saturating_sub(measured.ended);
            self.seconds.push(Second::of(next, &measured, self.under_way));
            self.recent.push_back(measured);
            if self.recent.len() > RECENT {
                self.recent.pop_front();
            }
        }
    }

    /// The last few complete seconds together, and how many they are.
    pub fn recent(&self) -> (Measured, usize) {
        let mut all = Measured::default();
        for measured in &self.recent {
            all.merge(measured);
        }
        (all, self.recent.len())
    }

    /// All of them, with what was left in stock when somebody looked.
    pub fn finish(mut self, stock: &[(u32, i64)]) -> Vec<Second> {
        for (second, left) in stock {
            if let Some(second) = self.seconds.get_mut(*second as usize) {
                second.stock_left = Some(*left);
            }
        }
        self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn measured(begun: u64, ended: u64, ms: &[u64]) -> Measured {
        let mut measured = Measured { begun, ended, ..Measured::default() };
        for ms in ms {
            measured.calls.entry(Call::Browse).or_default().note(Duration::from_millis(*ms));
        }
        measured
    }

    #[test]
    fn a_second_is_summed_up_when_all_have_told_it() {
        let mut series = Series::new(2);
        series.add(0, &[(0, measured(3, 1, &[1, 2])), (1, measured(1, 0, &[5]))], 2);
        assert!(series.seconds.is_empty());
        series.add(1, &[(0, measured(2, 0, &[100]))], 1);
        assert_eq!(series.seconds.len(), 1);
        let first = &series.seconds[0];
        assert_eq!((first.begun, first.under_way, first.requests), (5, 4, 3));
        assert!((99_000..101_000).contains(&first.calls["browse"].max_us));
        series.end(1);
        assert_eq!(series.seconds.len(), 2);
        assert_eq!(series.seconds[1].under_way, 5);
    }

    #[test]
    fn a_second_in_which_nothing_happened_is_there() {
        let mut series = Series::new(1);
        series.add(0, &[(0, measured(1, 0, &[])), (3, measured(0, 1, &[]))], 4);
        let seconds = series.finish(&[(1, 20), (3, 19), (9, 0)]);
        let under_way: Vec<_> = seconds.iter().map(|second| (second.second, second.under_way)).collect();
        assert_eq!(under_way, [(0, 1), (1, 1), (2, 1), (3, 0)]);
        let left: Vec<_> = seconds.iter().map(|second| second.stock_left).collect();
        assert_eq!(left, [None, Some(20), None, Some(19)]);
    }
}
