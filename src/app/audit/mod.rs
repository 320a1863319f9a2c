//! `haat audit`: looks at a whole store, beside a running server, and tells whether everything that must always hold does.
//!
//! The journal is the truth: all entities are made anew from it and from nothing else. Then they are held against each other,
//! against their snapshots and the read tables, which were made on another path, and against the books of the payment gateway.
//!
//! ```text
//! store ─► collect ─► vendors, coupons, the catalogue ─► Facts
//!          puts aside what is about carts, customers and orders, of which there are too many
//! judging  1. makes carts and customers, and puts aside what orders and other carts have to know of them
//!          2. makes orders ─► stock, carts, tables, jobs, details, money, refunds, and puts aside what their carts have to know
//!          3. holds carts against their orders and each other ─► carts, merges
//!          and at the end, of the whole ─► journal, entities, snapshots, history, categories, accounts ─► Report
//! ```
//!
//! A store may hold more orders than the memory has room for. So of what there is one of for each order or cart nothing is kept: it is put aside
//! in files that are divided by a hash of the entity (`spill`, `entries`). Vendors and coupons are few, and are made while the journal is
//! read; what they recorded of an order is put aside for that order. `judging` then goes through the files, each time with a few hundred
//! entities at hand. `Facts` is what is known of the whole store and of the entities at hand; a check looks at them (`look`), adds up
//! what concerns all, and has its say at the end (`finish`). Only of entities that cannot be made is it remembered that they cannot.
//!
//! `collect` reads in an order that lets a server go on meanwhile: checkpoints, then snapshots, read
//! tables, charge log, details and jobs, then the journal's tails, then the frames up to these tails, then the history of stock, and charge log and details again. A commit covers all partitions at once, so the
//! tails are one moment; a record's causes are durable before it, so at that moment a message may be under way, but no answer can
//! have come before its question. What is under way is read from the saga's own phase and allowed only there.

mod accounts;
mod carts;
mod cash;
mod categories;
mod codes;
mod collect;
mod details;
mod disputes;
mod entries;
mod facts;
mod history;
mod jobs;
mod judging;
mod merges;
mod money;
mod points;
mod replaying;
mod spill;
mod stock;
mod tables;

use super::AppError;
use super::text::counted;
use crate::domain::text::printable;
use crate::persistence::StoreConfig;
use crate::ports::Store;
use std::fmt;
use std::path::Path;

pub use spill::Room;

/// The exit code of an audit that found a breach.
pub const EXIT_BREACH: u8 = 1;
/// The exit code of an audit that could not look.
pub const EXIT_UNABLE: u8 = 2;

/// Breaches that one check tells in words; the others are counted.
const TOLD: usize = 20;

/// What one check found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaches {
    told: Vec<String>,
    count: u64,
}

impl Breaches {
    /// One more, in words.
    pub fn add(&mut self, breach: impl Into<String>) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(breach.into());
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first of them, in words.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    fn absorb(&mut self, other: Breaches) {
        let room = TOLD.saturating_sub(self.told.len());
        self.count += other.count;
        self.told.extend(other.told.into_iter().take(room));
    }
}

/// What one check looked at and what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check's name.
    pub check: &'static str,
    /// What was looked at, and how much of it.
    pub looked_at: String,
    /// Whether there was anything to look at.
    pub checked: bool,
    /// What was wrong.
    pub breaches: Breaches,
}

impl Finding {
    fn new(check: &'static str, looked_at: String, breaches: Breaches) -> Self {
        Self { check, looked_at, checked: true, breaches }
    }
}

/// Everything an audit has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One per check, in the order in which they build on each other.
    pub findings: Vec<Finding>,
    /// What is no breach and still worth a look.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether nothing was wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.breaches.count() == 0)
    }

    /// The finding of one check.
    pub fn of(&self, check: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.check == check)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, looked_at, checked, breaches } in &self.findings {
            match (checked, breaches.count()) {
                (false, 0) => writeln!(f, "{check}: {looked_at} … not checked")?,
                (_, 0) => writeln!(f, "{check}: {looked_at} … ok")?,
                (_, 1) => writeln!(f, "{check}: {looked_at} … 1 breach")?,
                (_, count) => writeln!(f, "{check}: {looked_at} … {} breaches", super::text::count(count))?,
            }
            for breach in breaches.told() {
                writeln!(f, "  BREACH: {}", printable(breach))?;
            }
            let untold = breaches.count() - breaches.told().len() as u64;
            if untold > 0 {
                writeln!(f, "  and {} more", super::text::count(untold))?;
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {}", printable(note))?;
        }
        let wrong = self.findings.iter().filter(|finding| finding.breaches.count() > 0).count();
        match wrong {
            0 => writeln!(f, "clean"),
            _ => writeln!(f, "NOT CLEAN: {} found breaches", counted(wrong as u64, "check")),
        }
    }
}

/// Looks at the store of this configuration and, when there is one, at the sandbox's charge log in `data_dir`. Takes nothing, and writes
/// nothing but what it puts aside for a while: see [`Room`].
///
/// # Errors
/// When it could not look: what cannot be reached or read, in words.
pub async fn audit(config: &StoreConfig, data_dir: &Path) -> Result<Report, AppError> {
    audit_in(config, data_dir, &Room::default()).await
}

/// [`audit`] that puts aside in this room what it does not keep in memory.
///
/// # Errors
/// As [`audit`].
pub async fn audit_in(config: &StoreConfig, data_dir: &Path, room: &Room) -> Result<Report, AppError> {
    let store = super::open_for_tools(config).await?;
    super::need_whole_journal(config, &store).await?;
    let report = look(&store, data_dir, room).await?;
    // An archive that was made meanwhile looks like damage.
    super::need_whole_journal(config, &store).await?;
    Ok(report)
}

/// [`audit`] of a store that is open.
///
/// # Errors
/// As [`audit`].
pub async fn audit_store(store: &Store, data_dir: &Path) -> Result<Report, AppError> {
    look(store, data_dir, &Room::default()).await
}

async fn look(store: &Store, data_dir: &Path, room: &Room) -> Result<Report, AppError> {
    let collected = collect::collect(store, data_dir, room).await?;
    judging::judge(store, collected, room).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(breaches: usize) -> Report {
        let mut found = Breaches::default();
        (0..breaches).for_each(|number| found.add(format!("number {number}")));
        Report { findings: vec![Finding::new("stock", "3 SKUs".into(), found)], notes: Vec::new() }
    }

    #[test]
    fn a_report_tells_the_first_breaches_and_counts_all() {
        assert_eq!(report(0).to_string(), "stock: 3 SKUs … ok\nclean\n");
        assert!(report(0).is_clean());
        let text = report(1_025).to_string();
        assert!(text.starts_with("stock: 3 SKUs … 1,025 breaches\n  BREACH: number 0\n"), "{text}");
        assert!(text.ends_with("  BREACH: number 19\n  and 1,005 more\nNOT CLEAN: 1 check found breaches\n"), "{text}");
        assert!(!report(1).is_clean());
    }

    #[test]
    fn what_a_store_holds_acts_on_nobody() {
        let mut found = Breaches::default();
        found.add("a\u{202e}b\u{9b}c".to_owned());
        let report = Report { findings: vec![Finding::new("tables", "1 row".into(), found)], notes: Vec::new() };
        let said = "tables: 1 row … 1 breach\n  BREACH: a\\u202eb\\u009bc\nNOT CLEAN: 1 check found breaches\n";
        assert_eq!(report.to_string(), said);
    }

    #[test]
    fn what_could_not_be_checked_is_said() {
        let looked_at = "no ledger".to_owned();
        let finding = Finding { check: "money", looked_at, checked: false, breaches: Breaches::default() };
        let report = Report { findings: vec![finding], notes: vec!["a\u{202e}b".into()] };
        assert_eq!(report.to_string(), "money: no ledger … not checked\nnote: a\\u202eb\nclean\n");
    }
}
