//! The load tester itself, apart from its command: a crowd of buyers over real sockets, what it measured, and whether the server
//! kept its word. It knows the HTTP contract and nothing else of the engine. `haat demo` includes this directory as it is, so its
//! modules name each other from here and never from the crate's root.
//!
//! ```text
//! cli ─► shop (make or find SKUs) ─► scenarios (a crew of buyers, a connection each) ─► check (read all again) ─► judge ─► report
//!                                        │ what buyers were told: ledger, journal ──────┘
//! ```
//!
//! `judge` is pure: it sees only facts, so the same questions are asked after a run and after a crash (`--verify`).

// This is a client that measures: it reads the clock wherever it likes.
#![allow(clippy::disallowed_methods, reason = "the Clock port is the engine's, this is a client")]

mod buyer;
mod check;
pub mod cli;
mod client;
mod journal;
mod judge;
mod progress;
mod report;
mod run;
mod scenarios;
mod shop;
mod stats;
mod values;
mod verify;
mod wire;

use std::sync::Arc;

use clap::ValueEnum;

use self::cli::{Cli, Scenario};
use self::judge::judge;
use self::report::{Errors, Report, exit_code};
use self::run::Run;
use self::stats::{Call, Phase};

/// Drives what the command line asks for, prints the summary and gives the exit code.
pub async fn run(cli: Cli) -> anyhow::Result<u8> {
    let (json, unchecked) = (cli.json.clone(), cli.admin_token.is_none());
    let report = drive(cli).await?;
    println!("{}", report.text().trim_end());
    if unchecked {
        println!("checks of stock and charges were left out: they need --admin-token");
    }
    if let Some(path) = &json {
        report.write_json(path)?;
    }
    Ok(report.exit_code)
}

async fn drive(cli: Cli) -> anyhow::Result<Report> {
    let mut run = Run::prepare(cli).await?;
    shop::reach(&run).await?;
    let scenario = match run.cli.verify.clone() {
        Some(journal) => {
            verify::load(&mut run, &journal).await?;
            "verify".to_owned()
        }
        None => {
            run.skus = shop::open(&run).await?;
            note_on_connections(&run);
            let name = run.cli.scenario.to_possible_value();
            name.map(|name| name.get_name().to_owned()).unwrap_or_default()
        }
    };
    let run = Arc::new(run);
    let phases = match run.cli.verify {
        Some(_) => Vec::new(),
        None => scenarios::drive(&run).await?,
    };
    let facts = check::gather(&run).await?;
    if run.cli.verify.is_some() || run.cli.scenario == Scenario::Checkout {
        for order in &facts.orders {
            run.tally.outcomes.add(order.told.words());
        }
    }
    let checks = judge(&facts);
    let errors = Errors::of(&run.tally);
    Ok(Report {
        checkouts_per_second: checkouts_per_second(&run, &phases, facts.orders.len()),
        settled_after_ms: Some(run.tally.settled_ms.get()).filter(|ms| *ms > 0),
        scenario,
        target: run.cli.target.clone(),
        seed: run.cli.seed,
        connections: run.connections,
        phases,
        outcomes: run.tally.outcomes.all(),
        exit_code: exit_code(&checks, &errors, run.cli.expect_drops),
        errors,
        checks,
    })
}

/// Orders made per second of the measured phase, whatever refusals there were beside them.
fn checkouts_per_second(run: &Run, phases: &[Phase], orders: usize) -> Option<f64> {
    if run.cli.verify.is_some() || run.cli.scenario != Scenario::Checkout {
        return None;
    }
    let measured = phases.last()?;
    let checkouts = measured.calls.iter().find(|summary| summary.call == Call::Checkout.name())?;
    Some((orders as f64).min(checkouts.count as f64) / measured.seconds.max(1e-9))
}

fn note_on_connections(run: &Run) {
    let fewer = run.connections < run.cli.sessions as usize;
    if run.cli.scenario == Scenario::Rush && fewer && run.cli.connections.is_none() {
        eprintln!(
            "haat-load: {} of {} sessions at once, for the limit on open files; raise it with ulimit -n for more",
            run.connections, run.cli.sessions
        );
    }
}
