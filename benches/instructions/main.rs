//! How many instructions the hot path takes: of deciding and applying, of a record's writing, of a checkout through actors and through HTTP.
//!
//! Unlike time, a count is the same on a busy machine, so a change that makes the hot path a few percent worse is seen. `scripts/instructions`
//! builds this and runs it under valgrind's callgrind, one case per process; docs/performance.md says what a count is worth.

mod cases;
mod domain;
mod http;
mod kept;
mod node;
mod records;
#[path = "../support/shop.rs"]
#[allow(dead_code, reason = "shared with another bench")]
mod shop;
mod under_valgrind;

use anyhow::{Context as _, bail};
use cases::{CASES, Case, counted_part};
use clap::{Parser, Subcommand};
use kept::{Kept, compare};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

// The same as Haat's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Instruction counts of the hot path; scripts/instructions starts what it needs.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One case, as it is counted
    Run {
        /// Its name
        name: String,
    },
    /// All cases under callgrind, compared with the counts that are kept
    Compare {
        /// Where the counts are kept
        #[arg(long)]
        kept: PathBuf,
        /// Where callgrind's profiles go
        #[arg(long)]
        profiles: PathBuf,
        /// What this was built with, as rustc -V says it
        #[arg(long)]
        rustc: String,
        /// Keep these counts in place of those
        #[arg(long)]
        accept: bool,
        /// Only cases with one of these in their name
        only: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run { name } => match CASES.iter().find(|case| case.name == name) {
            Some(case) => {
                println!("operations {}", run(case));
                Ok(true)
            }
            None => Err(anyhow::anyhow!("there is no case '{name}'")),
        },
        Command::Compare { kept, profiles, rustc, accept, only } => {
            count_and_compare(&kept, &profiles, rustc, accept, &only)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a case; gives how many operations its counted part had.
fn run(case: &Case) -> u64 {
    // As the server has one; what is counted goes through its handles.
    let recorder = PrometheusBuilder::new().build_recorder();
    let _ = metrics::set_global_recorder(recorder);
    let mut prepared = (case.prepare)();
    let (warm_up, rounds) = (prepared.warm_up, prepared.rounds);
    for number in 0..warm_up {
        (prepared.round)(number);
    }
    counted_part(&mut *prepared.round, warm_up, warm_up + rounds);
    rounds * prepared.operations
}

fn count_and_compare(
    path: &Path,
    profiles: &Path,
    rustc: String,
    accept: bool,
    only: &[String],
) -> anyhow::Result<bool> {
    if accept && !only.is_empty() {
        bail!("--accept takes all cases over: without names");
    }
    let chosen = |case: &&Case| only.is_empty() || only.iter().any(|part| case.name.contains(part.as_str()));
    let names: Vec<&str> = CASES.iter().filter(chosen).map(|case| case.name).collect();
    if names.is_empty() {
        bail!("no case has any of these in its name");
    }
    std::fs::create_dir_all(profiles).with_context(|| format!("cannot make {}", profiles.display()))?;
    let now = Kept { rustc, instructions: under_valgrind::count(&names, profiles)? };
    let before = match std::fs::read_to_string(path) {
        Ok(text) => Kept::read(&text).with_context(|| format!("cannot read {}", path.display()))?,
        Err(_) if accept => Kept::default(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let compared = compare(&before, &now, !only.is_empty());
    print!("{compared}");
    if accept {
        let order: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        std::fs::write(path, now.text(&order)).with_context(|| format!("cannot write {}", path.display()))?;
        println!("kept in {}", path.display());
        return Ok(true);
    }
    print!("{}", compared.advice());
    Ok(compared.passes())
}
