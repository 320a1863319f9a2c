//! The summary: what was measured, how orders came out, what went wrong, and the verdicts; as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::judge::Check;
use super::stats::{CallSummary, Phase, Tally};

/// Everything a run has to say.
#[derive(Serialize)]
pub struct Report {
    /// What was driven.
    pub scenario: String,
    /// The server.
    pub target: String,
    /// The choices' seed.
    pub seed: u64,
    /// Connections held at once.
    pub connections: usize,
    /// The measured phases in order.
    pub phases: Vec<Phase>,
    /// 201 and repeated 200 answers to checkouts per second of the measured phase (checkout scenario).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkouts_per_second: Option<f64>,
    /// How long after the measured phase the last order was over, when any was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_after_ms: Option<u64>,
    /// How sessions, or the orders of the checkout scenario, came out.
    pub outcomes: BTreeMap<String, u64>,
    /// Errors and repeats.
    pub errors: Errors,
    /// The verdicts.
    pub checks: Vec<Check>,
    /// 0, 1 or 3.
    pub exit_code: u8,
}

/// Errors, and what is none but worth knowing.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Errors {
    /// Connections that could not be made.
    pub connect: u64,
    /// Connections lost with a request on them.
    pub dropped: u64,
    /// Requests not answered in time.
    pub timeout: u64,
    /// Calls given up after all repeats.
    pub gave_up: u64,
    /// Answers the contract does not foresee.
    pub unexpected: BTreeMap<String, u64>,
    /// 503 answers.
    pub busy_503: u64,
    /// 429 answers.
    pub limited_429: u64,
    /// 504 answers, asked again.
    pub unknown_504: u64,
    /// Repeats after `Retry-After` had passed.
    pub repeated_after_retry_after: u64,
    /// Sessions that began late for want of a free connection.
    pub late_sessions: u64,
    /// The most that one began late.
    pub latest_ms: u64,
}

impl Errors {
    /// The tally's counts as they stand.
    pub fn of(tally: &Tally) -> Self {
        Errors {
            connect: tally.connect.get(),
            dropped: tally.dropped.get(),
            timeout: tally.timeout.get(),
            gave_up: tally.gave_up.get(),
            unexpected: tally.unexpected.all(),
            busy_503: tally.busy.get(),
            limited_429: tally.limited.get(),
            unknown_504: tally.unknown.get(),
            repeated_after_retry_after: tally.repeated_after.get(),
            late_sessions: tally.late.get(),
            latest_ms: tally.latest_ms.get(),
        }
    }

    /// Whether there was anything but orderly refusals. Lost connections are not counted when they were expected.
    pub fn any(&self, expect_drops: bool) -> bool {
        let drops = self.connect + self.dropped + self.timeout;
        self.gave_up > 0 || !self.unexpected.is_empty() || (drops > 0 && !expect_drops)
    }
}

/// 0 all fine, 1 a check failed, 3 errors.
pub fn exit_code(checks: &[Check], errors: &Errors, expect_drops: bool) -> u8 {
    if checks.iter().any(|check| !check.ok) {
        1
    } else if errors.any(expect_drops) {
        3
    } else {
        0
    }
}

impl Report {
    /// The summary for people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for phase in &self.phases {
            let _ = writeln!(out, "{}, {:.2} s", phase.name, phase.seconds);
            out.push_str(&table(&phase.calls));
            out.push('\n');
        }
        if let Some(rate) = self.checkouts_per_second {
            let _ = writeln!(out, "{rate:.0} checkouts/s at {} connections\n", self.connections);
        }
        if let Some(ms) = self.settled_after_ms {
            let _ = writeln!(out, "waited {ms} ms more for unfinished orders\n");
        }
        counts(&mut out, "outcomes", &self.outcomes);
        let errors = &self.errors;
        let named = [
            ("could not connect", errors.connect),
            ("connection lost", errors.dropped),
            ("timeout", errors.timeout),
            ("given up after repeats", errors.gave_up),
        ];
        let mut wrong = errors.unexpected.clone();
        wrong.extend(some(&named));
        match wrong.is_empty() {
            true => out.push_str("errors: none\n\n"),
            false => counts(&mut out, "errors", &wrong),
        }
        let notes = some(&[
            ("503 answers", errors.busy_503),
            ("429 answers", errors.limited_429),
            ("504 answers, asked again", errors.unknown_504),
            ("repeats after Retry-After", errors.repeated_after_retry_after),
            ("sessions begun over 100 ms late", errors.late_sessions),
            ("ms late at most", errors.latest_ms),
        ]);
        counts(&mut out, "put off", &notes);
        if !self.checks.is_empty() {
            out.push_str("checks\n");
        }
        for check in &self.checks {
            let verdict = if check.ok { "ok" } else { "FAILED" };
            let _ = writeln!(out, "  {}: {}: {verdict}", check.name, check.said);
        }
        out
    }

    /// Writes the summary as JSON.
    pub fn write_json(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        std::fs::write(path, text).with_context(|| format!("could not write the summary to {}", path.display()))
    }
}

fn some(named: &[(&str, u64)]) -> BTreeMap<String, u64> {
    named.iter().filter(|(_, count)| *count > 0).map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn counts(out: &mut String, title: &str, counts: &BTreeMap<String, u64>) {
    if counts.is_empty() {
        return;
    }
    let _ = writeln!(out, "{title}");
    for (name, count) in counts {
        let _ = writeln!(out, "  {count:>9}  {name}");
    }
    out.push('\n');
}

/// One row per kind of call; times in milliseconds.
fn table(calls: &[CallSummary]) -> String {
    let mut out = format!(
        "  {:<16}{:>10}{:>11}{:>10}{:>10}{:>10}{:>10}{:>10}  (ms)\n",
        "call", "count", "per s", "p50", "p90", "p95", "p99", "max"
    );
    for call in calls {
        let _ = write!(out, "  {:<16}{:>10}{:>11.0}", call.call, call.count, call.per_second);
        for us in [call.p50_us, call.p90_us, call.p95_us, call.p99_us, call.max_us] {
            let _ = write!(out, "{:>10}", millis(us));
        }
        out.push('\n');
    }
    out
}

/// Microseconds as milliseconds, with about as many digits as are measured.
fn millis(us: u64) -> String {
    let ms = us as f64 / 1000.0;
    match us {
        0..10_000 => format!("{ms:.3}"),
        10_000..100_000 => format!("{ms:.2}"),
        100_000..1_000_000 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_the_digits_that_are_measured() {
        assert_eq!(millis(1), "0.001");
        assert_eq!(millis(9_999), "9.999");
        assert_eq!(millis(12_345), "12.35");
        assert_eq!(millis(123_456), "123.5");
        assert_eq!(millis(1_234_567), "1235");
    }

    #[test]
    fn a_table_has_a_row_per_call_and_its_columns_line_up() {
        let row = |call| CallSummary {
            call,
            count: 5,
            per_second: 2.5,
            p50_us: 100,
            p90_us: 20_000,
            p95_us: 300_000,
            p99_us: 4_000_000,
            max_us: 50_000_000,
        };
        let text = table(&[row("browse"), row("checkout")]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1].len(), lines[2].len());
        assert_eq!(lines[0].find("max").map(|at| at + 3), Some(lines[1].len()));
    }

    #[test]
    fn a_failed_check_weighs_more_than_errors_and_errors_more_than_nothing() {
        let check = |ok| Check { name: "x", ok, said: String::new() };
        let none = Errors::default();
        let drops = Errors { dropped: 1, ..Errors::default() };
        let busy = Errors { busy_503: 9, unknown_504: 2, ..Errors::default() };
        assert_eq!(exit_code(&[check(true)], &none, false), 0);
        assert_eq!(exit_code(&[check(true)], &busy, false), 0);
        assert_eq!(exit_code(&[check(true)], &drops, false), 3);
        assert_eq!(exit_code(&[check(true)], &drops, true), 0);
        assert_eq!(exit_code(&[check(true), check(false)], &drops, false), 1);
    }
}
