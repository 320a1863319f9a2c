//! Figures of runs, and the table that is made of them. Nothing here measures or knows a server: tests/flash_sale.rs tests it.

use serde::Serialize;
use std::fmt::Write as _;

/// One run of one server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Which server, with its setting where it has one.
    pub label: String,
    /// Connections of the client.
    pub connections: usize,
    /// What was counted, per second.
    pub per_second: f64,
    /// Orders per second from the first request until the last order was paid (of journeys: checkpointed), where the server knows of
    /// payments.
    pub settled_per_second: Option<f64>,
    /// In microseconds.
    pub p50_us: u64,
    /// In microseconds.
    pub p99_us: u64,
    /// In microseconds.
    pub max_us: u64,
    /// Processor time of the server per counted answer, in microseconds.
    pub server_us: f64,
    /// That of its store.
    pub store_us: f64,
    /// That of the client.
    pub client_us: f64,
    /// Answers that were counted.
    pub counted: u64,
}

/// Two runs, one right after the other: the subject's and another server's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The connections that were asked for: a number, or `best`.
    pub setting: String,
    /// The subject's run.
    pub subject: Run,
    /// The other's.
    pub other: Run,
}

/// A median with the least and the greatest value beside it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The least.
    pub least: f64,
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The greatest.
    pub greatest: f64,
}

/// The spread of some values; `None` of none.
pub fn spread(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (least, greatest) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
    Some(Spread { least, median, greatest })
}

/// The spread of a ratio, taken pair by pair: what slows the machine for a while slows both runs of a pair.
pub fn ratio(pairs: &[&Pair], value: impl Fn(&Run) -> f64) -> Option<Spread> {
    spread(pairs.iter().map(|pair| value(&pair.subject) / value(&pair.other)))
}

/// All of a benchmark, as one table in Markdown: one row per server and connections. `what` is what was counted.
pub fn table(what: &str, subject: &str, alone: &[Run], pairs: &[Pair]) -> String {
    let settled = alone.iter().chain(pairs.iter().flat_map(|pair| [&pair.subject, &pair.other]));
    let settled = settled.filter(|run| run.settled_per_second.is_some()).count() > 0;
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    let mut head = vec!["server", "connections", what, "p50 ms", "p99 ms", "server µs", "store µs", "client µs"];
    let (rate, tail) = (format!("{subject} ÷ it: {what}"), format!("{subject} ÷ it: p99"));
    if settled {
        head.insert(3, "settled/s");
    }
    if !pairs.is_empty() {
        head.extend([rate.as_str(), tail.as_str()]);
    }
    line(&head.iter().map(ToString::to_string).collect::<Vec<_>>());
    line(&vec!["---".to_owned(); head.len()]);
    for (label, setting) in groups(alone, pairs) {
        let of: Vec<&Pair> = pairs.iter().filter(|pair| pair.setting == setting && pair.other.label == label).collect();
        let runs: Vec<&Run> = runs_of(&label, &setting, alone, pairs);
        let mut cells = vec![label, connections(&setting, &runs), rates(&runs, |run| Some(run.per_second))];
        if settled {
            cells.push(rates(&runs, |run| run.settled_per_second));
        }
        cells.push(middle(&runs, |run| run.p50_us as f64 / 1000.0, 1));
        cells.push(middle(&runs, |run| run.p99_us as f64 / 1000.0, 1));
        cells.push(middle(&runs, |run| run.server_us, 0));
        cells.push(middle(&runs, |run| run.store_us, 0));
        cells.push(middle(&runs, |run| run.client_us, 0));
        if !pairs.is_empty() {
            cells.push(ratio(&of, |run| run.per_second).map_or_else(String::new, factor));
            cells.push(ratio(&of, |run| run.p99_us as f64).map_or_else(String::new, factor));
        }
        line(&cells);
    }
    text
}

/// The rows, in the order in which they first came.
fn groups(alone: &[Run], pairs: &[Pair]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut add = |label: &str, setting: &str| {
        let group = (label.to_owned(), setting.to_owned());
        if !found.contains(&group) {
            found.push(group);
        }
    };
    for run in alone {
        add(&run.label, &run.connections.to_string());
    }
    for pair in pairs {
        add(&pair.subject.label, &pair.setting);
        add(&pair.other.label, &pair.setting);
    }
    found
}

/// The runs of a row. A run of the subject that stands in several pairs counts once.
fn runs_of<'a>(label: &str, setting: &str, alone: &'a [Run], pairs: &'a [Pair]) -> Vec<&'a Run> {
    let of_pairs = pairs.iter().filter(|pair| pair.setting == setting).flat_map(|pair| [&pair.subject, &pair.other]);
    let alone = alone.iter().filter(|run| run.connections.to_string() == setting);
    let mut runs: Vec<&Run> = Vec::new();
    for run in alone.chain(of_pairs).filter(|run| run.label == label) {
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    runs
}

fn connections(setting: &str, runs: &[&Run]) -> String {
    match runs.first() {
        Some(run) if run.connections.to_string() != setting => format!("{} ({setting})", run.connections),
        _ => setting.to_owned(),
    }
}

fn rates(runs: &[&Run], value: impl Fn(&Run) -> Option<f64>) -> String {
    match spread(runs.iter().filter_map(|run| value(run))) {
        None => String::new(),
        Some(rate) if rate.least == rate.greatest => format!("{:.0}", rate.median),
        Some(rate) => format!("{:.0} ({:.0} to {:.0})", rate.median, rate.least, rate.greatest),
    }
}

fn middle(runs: &[&Run], value: impl Fn(&Run) -> f64, digits: usize) -> String {
    spread(runs.iter().map(|run| value(run))).map_or_else(String::new, |found| format!("{:.digits$}", found.median))
}

fn factor(ratio: Spread) -> String {
    format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.least, ratio.greatest)
}
