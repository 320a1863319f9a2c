//! The load tester itself, apart from its command: a crowd of buyers over real sockets, what it measured, and whether the server
//! kept its word. It knows the HTTP contract and nothing else of the engine. `haat demo` includes this directory as it is, so its
//! modules name each other from here and never from the crate's root.
//!
//! ```text
//! scenario (a file, or the command line) ─► shop (make or find SKUs) ─► direct ─► check (read all again) ─► judge ─► report
//!                                                                       │    ▲            ▲
//!                                                    begin, stop, parts ▼    │ each second: what was measured, what buyers were told
//!                                                  processes: worker ─► sessions ─► client ─► http1, h2c
//! ```
//!
//! What is counted is made so that it adds up (`stats::Measured`): one process or ten, a second or a whole run. `judge` is pure: it
//! sees only facts, so the same questions are asked after a run and after a crash (`--verify`).

// This is a client that measures: it reads the clock wherever it likes.
#![allow(clippy::disallowed_methods, reason = "the Clock port is the engine's, this is a client")]

pub mod arguments;
pub mod arrivals;
mod builtin;
mod buyer;
mod check;
pub mod cli;
mod client;
#[allow(dead_code, reason = "haat rehearse makes copies")]
pub mod copy;
mod coupon;
mod coupon_checks;
mod direct;
pub mod dumps;
mod h2c;
mod html;
mod http1;
mod journal;
mod judge;
mod live;
mod members;
mod messages;
pub mod objectives;
pub mod out;
mod parts;
mod people;
mod points;
mod points_checks;
/// What the server's tools write with, too: a file that knows nothing of them.
#[allow(dead_code, reason = "the server's tools use the rest of it")]
#[path = "../../../domain/text/printable.rs"]
pub mod printable;
mod processes;
mod progress;
pub mod report;
pub mod room;
mod room_checks;
mod run;
pub mod sale;
mod sale_checks;
pub mod scenario;
mod series;
mod session;
mod shop;
pub mod stats;
mod streams;
pub mod think;
pub mod values;
mod verify;
pub mod wire;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail};

use self::buyer::POINTS_INSUFFICIENT;
use self::cli::Cli;
use self::copy::{Copied, Prepared};
use self::direct::{Collected, Signals, direct};
use self::judge::{Facts, judge};
use self::objectives::verdicts;
use self::out::{Output, note};
use self::parts::parts;
use self::points_checks::PointsTold;
use self::processes::Processes;
use self::report::{Errors, Report, exit_code};
use self::run::Run;
use self::scenario::Scenario;
use self::shop::Desk;
use self::stats::{Call, Measured};

/// Drives what the command line asks for, prints the summary and gives the exit code.
pub async fn run(cli: Cli) -> anyhow::Result<u8> {
    if cli.worker {
        processes::be_one(cli).await?;
        return Ok(0);
    }
    cli.validate().map_err(anyhow::Error::msg)?;
    let scenario = match &cli.scenario_file {
        Some(path) => Scenario::read(path)?,
        None => builtin::scenario(&cli),
    };
    if scenario.cart.lines as usize > cli.skus_of(&scenario) {
        bail!("a cart of {} lines needs as many SKUs", scenario.cart.lines);
    }
    if scenario.shop.sale.is_some() && !cli.existing.is_empty() {
        bail!("a sale is put on in a shop that is made: leave --sku out");
    }
    if scenario.shop.has_members() && !cli.existing.is_empty() {
        bail!("buyers with accounts come to a shop that is made: leave --sku out");
    }
    if scenario.shop.coupon.is_some() && !cli.existing.is_empty() {
        bail!("a coupon is made with its shop: leave --sku out");
    }
    if scenario.shop.points.is_some() && !cli.existing.is_empty() {
        bail!("points are given to those who come to a shop that is made: leave --sku out");
    }
    // What cannot be written is told before the run, which may take hours.
    out::tried().context("stdout could not be written")?;
    let (json, html) = (output(cli.json.as_deref())?, output(cli.html.as_deref())?);
    let unchecked = cli.admin_token.is_none();
    let report = match cli.verify.is_some() {
        true => verify(cli, scenario).await?,
        false => drive(cli, scenario, None).await?,
    };
    tell(report, json, html, unchecked)
}

#[allow(dead_code, reason = "haat rehearse does")]
/// Drives this scenario on a copy that it makes of a sale, and tells what it finds as [`run`] does; gives what was measured.
pub async fn rehearse(cli: Cli, scenario: Scenario, copied: &Copied) -> anyhow::Result<Report> {
    scenario.validate().map_err(anyhow::Error::msg)?;
    let office = Run::prepare(cli.clone(), scenario.clone()).await?;
    shop::reach(&office).await?;
    let prepared = copy::make(&mut Desk::of(&office), copied).await?;
    drive(cli, scenario, Some(prepared)).await
}

/// Writes what a run has to say to where it was wanted; gives the exit code.
pub fn tell(report: Report, json: Option<Output>, html: Option<Output>, unchecked: bool) -> anyhow::Result<u8> {
    let written = [json.map(|json| report.write_json(json)), html.map(|html| html::write(&report, html))];
    let mut text = report.text().trim_end().to_owned();
    if unchecked {
        text.push_str("\nchecks of stock and charges were left out: they need --admin-token");
    }
    text.push('\n');
    let mut code = 0;
    if let Err(error) = out::print(&text) {
        code = out::unwritten("haat-load", &error, 2);
    }
    for error in written.into_iter().flatten().filter_map(Result::err) {
        code = 2;
        note(format_args!("haat-load: {error:#}"));
    }
    // What could not be written does not hide what was found.
    Ok(if report.exit_code == 0 { code } else { report.exit_code })
}

/// Where a summary is written to, once that is tried.
pub fn output(path: Option<&Path>) -> anyhow::Result<Option<Output>> {
    path.map(Output::open).transpose()
}

async fn verify(cli: Cli, scenario: Scenario) -> anyhow::Result<Report> {
    let mut run = Run::prepare(cli, scenario).await?;
    shop::reach(&run).await?;
    if let Some(journal) = run.cli.verify.clone() {
        verify::load(&mut run, &journal).await?;
    }
    let run = Arc::new(run);
    let before = run.wire.recorder.total();
    let facts = check::gather(&run, before.twins).await?;
    Ok(report(&run, Collected::default(), &facts, before))
}

async fn drive(cli: Cli, scenario: Scenario, prepared: Option<Prepared>) -> anyhow::Result<Report> {
    let mut run = Run::prepare(cli, scenario).await?;
    let ip = run.wire.target.address().ip();
    let (parts, note) = parts(&run.cli, &run.scenario, ip, cli::open_files()).map_err(anyhow::Error::msg)?;
    shop::reach(&run).await?;
    shop::open(&mut run, prepared).await?;
    if let Some(note) = note {
        out::note(format_args!("haat-load: {note}"));
    }
    let run = Arc::new(run);
    let at_once: u32 = parts.iter().map(|part| part.at_once).sum();
    let processes = Processes::start(&run, parts).await?;
    let count = processes.count();
    let mut signals = Signals::listen();
    let mut collected = direct(&run, processes, &mut signals).await?;
    let twins = collected.phases.iter().map(|(_, measured, _)| measured.twins).sum();
    let facts = match collected.broken.is_empty() {
        true => tokio::select! {
            biased;
            facts = check::gather(&run, twins) => facts?,
            () = signals.next() => {
                collected.stopped = true;
                collected.broken.push("the checks, by an interrupt".to_owned());
                Facts::default()
            }
        },
        // What the buyers of a process that died were told died with it: nobody can say what should be sold.
        false => Facts::default(),
    };
    let report = report(&run, collected, &facts, Measured::default());
    Ok(Report { connections: at_once as usize, processes: count, ..report })
}

fn report(run: &Arc<Run>, collected: Collected, facts: &Facts, mut total: Measured) -> Report {
    // What went wrong while the shop was read again is the run's too.
    let office = run.wire.recorder.total();
    for (_, measured, _) in &collected.phases {
        total.merge(measured);
    }
    let mut everything = total.clone();
    everything.merge(&Measured { calls: Default::default(), ..office });
    let verifies = run.cli.verify.is_some();
    let (checks_out, polls) = run.scenario.checks_out_and_polls();
    let mut outcomes = everything.outcomes.0.clone();
    if verifies || (checks_out && !polls) {
        for order in &facts.orders {
            *outcomes.entry(order.told.words().to_owned()).or_default() += 1;
        }
    }
    let measured = collected.phases.last().map(|(_, measured, seconds)| (measured, *seconds));
    let checks = judge(facts);
    let errors = Errors::of(&everything);
    let objectives = match (verifies, measured) {
        (false, Some((measured, _))) => {
            verdicts(&run.scenario.objectives, measured, &errors, &checks, run.cli.expect_drops)
        }
        _ => Vec::new(),
    };
    let name = if verifies { "verify" } else { &*run.scenario.name };
    let behind = total.calls.get(&Call::Behind);
    let code = match verifies {
        true => report::exit_code_of_checks(&checks, &errors, run.cli.expect_drops),
        false => exit_code(&objectives, &collected),
    };
    Report {
        scenario: name.to_owned(),
        target: run.cli.target.clone(),
        seed: run.cli.seed,
        connections: 0,
        processes: 1,
        stopped: collected.stopped,
        broken: collected.broken,
        checkouts_per_second: measured
            .filter(|_| run.scenario.prepares() && checks_out)
            .and_then(|(measured, seconds)| checkouts_per_second(measured, seconds, facts.orders.len())),
        settled_after_ms: Some(run.settled_ms.load(Ordering::Relaxed)).filter(|ms| *ms > 0),
        behind_p95_us: behind.map(|behind| behind.quantile_us(0.95)),
        behind_max_us: behind.map(|behind| behind.0.max()),
        phases: collected
            .phases
            .iter()
            .map(|(phase, measured, seconds)| measured.phase(if *phase == "measured" { name } else { phase }, *seconds))
            .collect(),
        series: collected.series,
        outcomes,
        points: PointsTold::of(facts, everything.refusals.0.get(POINTS_INSUFFICIENT).copied().unwrap_or_default()),
        refusals: everything.refusals.0.clone(),
        errors,
        objectives,
        checks,
        exit_code: code,
    }
}

/// Orders made per second of the measured phase, whatever refusals there were beside them.
fn checkouts_per_second(measured: &Measured, seconds: f64, orders: usize) -> Option<f64> {
    let checkouts = measured.calls.get(&Call::Checkout)?.0.len();
    Some((orders as f64).min(checkouts as f64) / seconds.max(1e-9))
}
