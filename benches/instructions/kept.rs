//! The counts that are kept, and what others are beside them.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How much worse a case may be, in percent of the count that is kept.
const WORSE_PERCENT: f64 = 5.0;
/// The same where another compiler made the code: that alone moves counts, and the guard is for our changes.
const WORSE_PERCENT_OF_ANOTHER_COMPILER: f64 = 15.0;

/// Counts, and what they were taken with.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// What `rustc -V` says.
    pub rustc: String,
    /// Instructions per operation of each case.
    pub instructions: BTreeMap<String, u64>,
}

impl Kept {
    /// What a file holds.
    pub fn read(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// As a file, the cases in this order.
    pub fn text(&self, order: &[&str]) -> String {
        let mut text = String::from(
            "# Instructions per operation of the hot path, with which scripts/instructions compares. Written by scripts/instructions --accept.\n",
        );
        text.push_str(&format!("rustc = \"{}\"\n\n[instructions]\n", self.rustc));
        for name in order {
            if let Some(count) = self.instructions.get(*name) {
                text.push_str(&format!("\"{name}\" = {count}\n"));
            }
        }
        text
    }
}

/// A case, before and now.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    pub kept: Option<u64>,
    pub now: Option<u64>,
}

impl Row {
    /// By how much it is worse, in percent.
    fn worse(&self) -> Option<f64> {
        let (kept, now) = (self.kept?, self.now?);
        Some((now as f64 - kept as f64) * 100.0 / kept as f64)
    }
}

/// All cases, before and now.
pub struct Compared {
    pub rows: Vec<Row>,
    /// The compiler of the kept counts, where it is another one, and the one now.
    compilers: Option<(String, String)>,
}

/// Holds counts against those that are kept. With `some`, only some cases were counted: the others are not missed.
pub fn compare(kept: &Kept, now: &Kept, some: bool) -> Compared {
    let names: BTreeSet<&String> = kept.instructions.keys().filter(|_| !some).chain(now.instructions.keys()).collect();
    let row = |name: &String| Row {
        name: name.clone(),
        kept: kept.instructions.get(name).copied(),
        now: now.instructions.get(name).copied(),
    };
    let compilers = (kept.rustc != now.rustc).then(|| (kept.rustc.clone(), now.rustc.clone()));
    Compared { rows: names.into_iter().map(row).collect(), compilers }
}

impl Compared {
    fn allowed(&self) -> f64 {
        if self.compilers.is_some() { WORSE_PERCENT_OF_ANOTHER_COMPILER } else { WORSE_PERCENT }
    }

    /// What stands against each case, if anything does.
    fn finding(&self, row: &Row) -> Option<&'static str> {
        match (row.kept, row.now) {
            (None, _) => Some("NEW: no count is kept"),
            (_, None) => Some("GONE: there is no such case"),
            _ if row.worse()? > self.allowed() => Some("WORSE"),
            _ => None,
        }
    }

    /// Whether nothing is worse, and every case has a count.
    pub fn passes(&self) -> bool {
        self.rows.iter().all(|row| self.finding(row).is_none())
    }
}

impl Compared {
    /// What follows from it, in words.
    pub fn advice(&self) -> String {
        let mut advice = String::new();
        let allowed = self.allowed();
        if let Some((kept, now)) = &self.compilers {
            advice.push_str(&format!(
                "The kept counts were taken with {kept}; this is {now}. That alone moves counts: up to {allowed} % more passes.\n"
            ));
        }
        if self.rows.iter().any(|row| row.worse().is_some_and(|worse| worse < -WORSE_PERCENT)) {
            advice.push_str(&format!(
                "Some are more than {WORSE_PERCENT} % better: take that over with scripts/instructions --accept.\n"
            ));
        }
        if !self.passes() {
            advice.push_str(&format!(
                "Some are more than {allowed} % worse, or have no count. callgrind_annotate of their profile says where it is spent; what is \
                 meant to be so is taken over with scripts/instructions --accept.\n"
            ));
        }
        advice
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        writeln!(f, "{:<34} {:>10} {:>10} {:>9}", "instructions per operation", "kept", "now", "change")?;
        for row in &self.rows {
            let change = row.worse().map_or_else(String::new, |worse| format!("{worse:+.1} %"));
            let finding = self.finding(row).unwrap_or_default();
            let (kept, now) = (figure(row.kept), figure(row.now));
            let line = format!("{:<34} {kept:>10} {now:>10} {change:>9}  {finding}", row.name);
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
