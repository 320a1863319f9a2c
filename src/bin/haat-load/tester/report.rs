//! The summary: what was measured, how orders came out, what went wrong, and the verdicts; as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::direct::Collected;
use super::judge::Check;
use super::objectives::{Kind, Verdict};
use super::out::Output;
use super::points_checks::PointsTold;
use super::series::Second;
use super::stats::{CallSummary, Measured, Mishap, Phase};

/// Everything a run has to say.
#[derive(Serialize)]
pub struct Report {
    /// What was driven.
    pub scenario: String,
    /// The server.
    pub target: String,
    /// The choices' seed.
    pub seed: u64,
    /// Sessions that could be under way at once.
    pub connections: usize,
    /// Processes that drove them.
    pub processes: usize,
    /// It was interrupted: everything is of the time before.
    pub stopped: bool,
    /// Processes of the load tester that broke off, in words.
    pub broken: Vec<String>,
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
    /// Orderly refusals by their codes: each one, however often a buyer came again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refusals: BTreeMap<String, u64>,
    /// What was paid with points, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<PointsTold>,
    /// Errors and repeats.
    pub errors: Errors,
    /// How late the load tester itself sent its requests: 95 of 100 within this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_p95_us: Option<u64>,
    /// The latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_max_us: Option<u64>,
    /// What was wanted, and whether it was so.
    pub objectives: Vec<Verdict>,
    /// The verdicts.
    pub checks: Vec<Check>,
    /// The measured phase, second by second.
    pub series: Vec<Second>,
    /// As `--help` lists them.
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
    /// What was measured, sorted.
    pub fn of(measured: &Measured) -> Self {
        Errors {
            connect: measured.mishaps(Mishap::Connect),
            dropped: measured.mishaps(Mishap::Dropped),
            timeout: measured.mishaps(Mishap::Timeout),
            gave_up: measured.mishaps(Mishap::GaveUp),
            unexpected: measured.unexpected.0.clone(),
            busy_503: measured.mishaps(Mishap::Busy),
            limited_429: measured.mishaps(Mishap::Limited),
            unknown_504: measured.mishaps(Mishap::Unknown),
            repeated_after_retry_after: measured.mishaps(Mishap::RepeatedAfter),
            late_sessions: measured.late,
            latest_ms: measured.latest_ms,
        }
    }

    /// How many there were but orderly refusals. Lost connections are not counted when they were expected.
    pub fn count(&self, expect_drops: bool) -> u64 {
        let drops = if expect_drops { 0 } else { self.connect + self.dropped + self.timeout };
        drops + self.gave_up + self.unexpected.values().sum::<u64>()
    }

    /// Answers that asked to come again.
    pub fn put_off(&self) -> u64 {
        self.busy_503 + self.limited_429 + self.unknown_504
    }
}

/// 0 all as wanted, 1 a check failed, 2 a process broke off, 3 errors, 4 another objective was missed, 130 interrupted.
pub fn exit_code(objectives: &[Verdict], collected: &Collected) -> u8 {
    let missed = |of: &[Kind]| objectives.iter().any(|verdict| !verdict.met && of.contains(&verdict.kind));
    if missed(&[Kind::Conservation]) {
        1
    } else if !collected.broken.is_empty() {
        2
    } else if missed(&[Kind::Errors]) {
        3
    } else if missed(&[Kind::PutOff, Kind::Latency]) {
        4
    } else if collected.stopped {
        130
    } else {
        0
    }
}

/// The same where nothing was measured: 0, 1 or 3.
pub fn exit_code_of_checks(checks: &[Check], errors: &Errors, expect_drops: bool) -> u8 {
    if checks.iter().any(|check| !check.ok) {
        1
    } else if errors.count(expect_drops) > 0 {
        3
    } else {
        0
    }
}

impl Report {
    /// The summary for people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for broken in &self.broken {
            let _ = writeln!(out, "BROKEN OFF: {broken}");
        }
        if self.stopped {
            out.push_str("interrupted: what follows was measured until then\n");
        }
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
        counts(&mut out, "refusals, each one", &self.refusals);
        if let Some(PointsTold { orders, spent, refused }) = self.points {
            let _ = writeln!(out, "{orders} orders paid with {spent} points; {refused} refused for want of points\n");
        }
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
        if let (Some(p95), Some(max)) = (self.behind_p95_us, self.behind_max_us) {
            let (p95, max) = (millis(p95), millis(max));
            let _ = writeln!(out, "the load tester was behind its schedule by {p95} ms (p95), {max} ms at most\n");
        }
        if !self.objectives.is_empty() {
            out.push_str("objectives\n");
        }
        for verdict in &self.objectives {
            let met = if verdict.met { "met" } else { "MISSED" };
            let _ = writeln!(out, "  {}: {met}", verdict.said);
        }
        match self.checks.is_empty() {
            true if !self.broken.is_empty() => {
                out.push_str("\nchecks were left out: what some buyers were told is lost\n")
            }
            true => {}
            false => out.push_str("\nchecks\n"),
        }
        for check in &self.checks {
            let verdict = if check.ok { "ok" } else { "FAILED" };
            let _ = writeln!(out, "  {}: {}: {verdict}", check.name, check.said);
        }
        out
    }

    /// Writes the summary as JSON.
    pub fn write_json(&self, to: Output) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        to.write(&text)
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
            p999_us: 5_000_000,
            max_us: 50_000_000,
        };
        let text = table(&[row("browse"), row("checkout")]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1].len(), lines[2].len());
        assert_eq!(lines[0].find("max").map(|at| at + 3), Some(lines[1].len()));
    }

    #[test]
    fn a_failed_check_weighs_more_than_errors_and_errors_more_than_latencies() {
        let missed = |kinds: &[Kind]| -> Vec<Verdict> {
            kinds.iter().map(|kind| Verdict { kind: *kind, call: None, said: String::new(), met: false }).collect()
        };
        let fine = Collected::default();
        assert_eq!(exit_code(&[Verdict { kind: Kind::Errors, call: None, said: String::new(), met: true }], &fine), 0);
        assert_eq!(exit_code(&missed(&[Kind::Latency]), &fine), 4);
        assert_eq!(exit_code(&missed(&[Kind::PutOff, Kind::Errors]), &fine), 3);
        assert_eq!(exit_code(&missed(&[Kind::Errors, Kind::Conservation]), &fine), 1);
        let broken = Collected { broken: vec!["gone".into()], ..Collected::default() };
        assert_eq!(exit_code(&missed(&[Kind::Errors]), &broken), 2);
        assert_eq!(exit_code(&[], &Collected { stopped: true, ..Collected::default() }), 130);
    }

    #[test]
    fn lost_connections_are_errors_unless_they_were_expected() {
        let drops = Errors { dropped: 1, ..Errors::default() };
        let busy = Errors { busy_503: 9, unknown_504: 2, ..Errors::default() };
        assert_eq!((drops.count(false), drops.count(true), busy.count(false), busy.put_off()), (1, 0, 0, 11));
        let check = |ok| Check { name: "x", ok, said: String::new() };
        assert_eq!(exit_code_of_checks(&[check(true)], &busy, false), 0);
        assert_eq!(exit_code_of_checks(&[check(true)], &drops, false), 3);
        assert_eq!(exit_code_of_checks(&[check(true)], &drops, true), 0);
        assert_eq!(exit_code_of_checks(&[check(true), check(false)], &drops, false), 1);
    }
}
