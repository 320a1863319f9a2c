//! `haat rehearse`: drives the crowd that is expected at a sale at a copy of it, on a server and a store of its own, and says whether it will hold, and
//! where it breaks. The shop's store is only read.

use crate::own::{Place, sessions_at_once, with_server};
use crate::tester::arrivals::{Spacing, Stage};
use crate::tester::cli::Cli;
use crate::tester::copy::{Copied, CopiedSku};
use crate::tester::objectives::{Kind, Verdict};
use crate::tester::report::Report;
use crate::tester::room::{self, Room};
use crate::tester::sale::Sale;
use crate::tester::scenario::{Arrival, Basket, Connections, Objectives, RetryWhen, Scenario, Shop, Step, Which};
use crate::tester::stats::Call;
use crate::tester::think::ThinkTime;
use crate::tester::values::{Share, Span, Time, parse_duration};
use crate::tester::wire::Money;
use crate::tester::{self, out, printable::printable};
use crate::{process, tools};
use anyhow::{Context as _, bail};
use clap::{Args, Parser};
use haat::app::rehearsal::{self, Crowd, SaleId, Subject, Timestamp};
use haat::app::text::{counted, rfc3339};
use haat::config::ToolArgs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What the exit codes of `haat rehearse` say.
pub const CODES: &str = "\
Examples:
  As many as came to the vendor's last sale, within its busiest five minutes, and twice as many
    haat rehearse --sale sale_01j... --times 2

  20,000 at once
    haat rehearse --sale sale_01j... --sessions 20000

  Another crowd, from a file as haat-load reads it (its shop is the copy), at a server of yours on an empty store
    haat rehearse --sale sale_01j... --scenario-file crowd.toml --target http://copy:8080 --admin-token ...

Exit codes:
  0  it will hold
  1  what buyers were told and what the copy says differ
  2  wrong usage, the sale could not be read or copied, or a result could not be written
  3  errors other than orderly refusals occurred
  4  it will not hold: an objective was missed";

/// Stages that a crowd is told in.
const STAGES: u32 = 60;
/// Past this the load tester was too late for its figures to be the server's.
const BEHIND_US: u64 = 100_000;

/// The arguments of `haat rehearse`.
#[derive(Args)]
pub struct RehearseArgs {
    /// The sale, which may be to come, or run, or be over.
    #[arg(long, value_name = "SALE")]
    sale: SaleId,
    /// The crowd of this sale [default: of the vendor's last sale that has ended].
    #[arg(long, value_name = "SALE", conflicts_with_all = ["sessions", "scenario_file"])]
    like: Option<SaleId>,
    /// So many times as many people.
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = times, conflicts_with_all = ["sessions", "scenario_file"])]
    times: f64,
    /// How much of that crowd's time: the busiest part of it that is so long.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration, conflicts_with_all = ["sessions", "scenario_file"])]
    within: Duration,
    /// So many people at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    sessions: Option<u32>,
    /// Another crowd: who comes when and does what, and what is wanted. It has no shop.
    #[arg(long, value_name = "FILE", conflicts_with = "sessions")]
    scenario_file: Option<PathBuf>,
    /// What 95 of 100 calls of each kind may take.
    #[arg(long, value_name = "TIME", default_value = "280ms", value_parser = parse_duration, conflicts_with = "scenario_file")]
    p95: Duration,
    /// A server on a store that has nothing yet, as http://HOST:PORT [default: one in this process, on the embedded store].
    #[arg(long, value_name = "URL", requires = "admin_token")]
    target: Option<String>,
    /// An administrator's token of that server.
    #[arg(long, value_name = "TOKEN", requires = "target")]
    admin_token: Option<String>,
    /// Where to keep the copy's store; a temporary directory that is removed again when left out.
    #[arg(long, value_name = "DIR", conflicts_with = "target")]
    copy_dir: Option<PathBuf>,
    /// The choices of the crowd follow from this number.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Write the summary to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the summary to this file as a page with plots.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    store: ToolArgs,
}

fn times(text: &str) -> Result<f64, String> {
    let times = text.parse().ok().filter(|times: &f64| (0.001..=10_000.0).contains(times));
    times.ok_or_else(|| "a number from 0.001 to 10000 is expected".to_owned())
}

/// Rehearses a sale. Its exit code is 0 when it will hold.
pub async fn run(args: RehearseArgs) -> anyhow::Result<ExitCode> {
    match rehearse(&args).await {
        Ok(code) => Ok(ExitCode::from(code)),
        // Stdout that takes nothing has its own code.
        Err(error) if error.downcast_ref::<tools::Unwritten>().is_some() => Err(error),
        Err(error) => {
            out::note(format_args!("haat: {}", crate::words(&error)));
            Ok(ExitCode::from(2))
        }
    }
}

async fn rehearse(args: &RehearseArgs) -> anyhow::Result<u8> {
    let stop = process::heed_signals().context("signals")?;
    // What cannot be written is told before the rehearsal.
    tools::written(out::tried())?;
    let (json, html) = (tester::output(args.json.as_deref())?, tester::output(args.html.as_deref())?);
    let subject = rehearsal::read(&args.store.store()?, args.sale, args.like).await?;
    let copied = copied(&subject)?;
    let scenario = scenario(args, &subject, &copied)?;
    tools::written(out::print(&opening(args, &subject, &scenario)))?;
    let drive = async |target: String, token: String| {
        let cli = Cli::try_parse_from([
            "haat-load".to_owned(),
            format!("--target={target}"),
            format!("--admin-token={token}"),
            format!("--seed={}", args.seed),
        ])?;
        tester::rehearse(cli, scenario.clone(), &copied).await
    };
    let (report, audited) = match (&args.target, &args.admin_token) {
        (Some(target), Some(token)) => {
            let driven = tokio::select! {
                driven = drive(target.clone(), token.clone()) => driven?,
                () = stop.cancelled() => bail!("stopped before the end"),
            };
            (driven, None)
        }
        _ => {
            let place = Place::of(args.copy_dir.as_deref(), "rehearsal")?;
            let (report, audited) = with_server(&place, &stop, drive).await?;
            (report, Some(audited))
        }
    };
    let broken = breaks_at(&report);
    let is_clean = audited.as_ref().is_none_or(haat::app::audit::Report::is_clean);
    let late = report.behind_p95_us.is_some_and(|us| us > BEHIND_US);
    let code = tester::tell(report, json, html, false)?;
    let mut said = String::new();
    if let Some(audited) = &audited {
        said.push_str(&format!("\nWhat an audit of the copy's store says:\n\n{audited}\n"));
    }
    said.push_str(&match &broken {
        None if is_clean => "\nIt will hold.\n".to_owned(),
        None => "\nIt will not hold: the copy's store does not add up.\n".to_owned(),
        Some(at) => format!("\nIt will not hold. It breaks at {at}\n"),
    });
    if late {
        said.push_str(
            "The crowd came late, since this machine could not drive it: drive it from another one with --target.\n",
        );
    }
    tools::written(out::print(&said))?;
    Ok(match (code, is_clean, broken) {
        (_, false, _) => 1,
        (0, _, Some(_)) => 4,
        (code, ..) => code,
    })
}

/// The copy of a sale, as if nothing had been taken of it yet.
fn copied(subject: &Subject) -> anyhow::Result<Copied> {
    if subject.items.is_empty() {
        bail!("{} sells nothing", subject.sale);
    }
    let sku = |item: &rehearsal::Item| {
        let money = |amount: &String| Money { amount: amount.clone(), currency: item.currency.clone() };
        CopiedSku {
            title: item.title.clone(),
            price: money(&item.price),
            on_hand: item.on_hand,
            sale_price: money(&item.sale_price),
            allotment: item.allotment,
            limit: item.limit,
            tranches: item.tranches.clone(),
        }
    };
    let seconds = |seconds: u32| Time(Duration::from_secs(seconds.into()));
    Ok(Copied {
        vendor: subject.vendor.clone(),
        name: subject.name.clone(),
        skus: subject.items.iter().map(sku).collect(),
        limit: subject.limit,
        when_exhausted: subject.when_exhausted,
        room: subject.room.as_ref().map(|room| Room {
            capacity: room.capacity,
            admit_per_minute: room.admit_per_minute,
            claim: seconds(room.claim_seconds),
            slot: seconds(room.slot_seconds),
            opens_in: Time::default(),
        }),
    })
}

/// What is driven at the copy.
fn scenario(args: &RehearseArgs, subject: &Subject, copied: &Copied) -> anyhow::Result<Scenario> {
    let pieces = |pieces: i64| u32::try_from(pieces).unwrap_or(u32::MAX);
    let most = copied.skus.iter().map(|sku| pieces(sku.on_hand)).max().unwrap_or(1);
    let shop = Shop {
        skus: u32::try_from(copied.skus.len()).unwrap_or(u32::MAX),
        stock: most,
        currency: copied.skus[0].price.currency.clone(),
        sale: Some(Sale {
            allotment: copied.skus.iter().map(|sku| pieces(sku.allotment)).max().unwrap_or(1),
            limit: None,
            aliases: 1,
            patience: Time(Duration::from_secs(60)),
            room: copied.room.clone(),
        }),
        ..Shop::default()
    };
    let mut scenario = match &args.scenario_file {
        Some(path) => Scenario::read_for(path, shop)?,
        None => usual(shop, stages(args, subject)?, copied.room.is_some(), args.p95),
    };
    let within = scenario.connections.at_most.unwrap_or(u32::MAX);
    if args.target.is_none() {
        scenario.connections.at_most = Some(within.min(sessions_at_once()));
    }
    Ok(scenario)
}

/// Who comes when, where no file says it.
fn stages(args: &RehearseArgs, subject: &Subject) -> anyhow::Result<Vec<Stage>> {
    if let Some(sessions) = args.sessions {
        return Ok(vec![Stage::Spike { sessions }]);
    }
    let Some(crowd) = &subject.like else {
        bail!("no sale of this vendor has ended, so nobody knows how many come: give --sessions or --scenario-file");
    };
    let stages = as_came(crowd, args.within, args.times);
    if stages.is_empty() {
        bail!("nobody has ordered in {}: give --sessions or --scenario-file", crowd.sale);
    }
    Ok(stages)
}

/// The busiest part of a crowd's time that is so long: the place of its first order, and of the first one after it.
fn busiest(placed_at: &[Timestamp], within: Duration) -> (usize, usize) {
    let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
    let (mut best, mut end) = ((0, 0), 0);
    for (begin, first) in placed_at.iter().enumerate() {
        while placed_at.get(end).is_some_and(|at| at.millis_since(*first) < within) {
            end += 1;
        }
        if end - begin > best.1 - best.0 {
            best = (begin, end);
        }
    }
    best
}

/// As many as came, in as many stages as have somebody in them.
fn as_came(crowd: &Crowd, within: Duration, times: f64) -> Vec<Stage> {
    let (begin, end) = busiest(&crowd.placed_at, within);
    let Some(first) = crowd.placed_at.get(begin) else { return Vec::new() };
    let length = (within / STAGES).max(Duration::from_secs(1));
    let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    let stage_of = |at: &Timestamp| at.millis_since(*first) / millis;
    let (mut stages, mut from) = (Vec::new(), 0);
    let mut rest = &crowd.placed_at[begin..end];
    while let Some(first_of) = rest.first() {
        let stage = stage_of(first_of);
        let count = rest.iter().take_while(|at| stage_of(at) == stage).count();
        rest = &rest[count..];
        // Nobody comes before the first of them, which is the next stage's beginning.
        let lasts = length * u32::try_from(stage + 1 - from).unwrap_or(u32::MAX);
        from = stage + 1;
        let sessions = (count as f64 * times).round().max(1.0) as u32;
        stages.push(Stage::Steady { rate: None, sessions: Some(sessions), lasts: Time(lasts) });
    }
    stages
}

/// What buyers do, and what is wanted, where no file says it.
fn usual(shop: Shop, stages: Vec<Stage>, has_room: bool, p95: Duration) -> Scenario {
    let (think, abandon) = (ThinkTime::default(), Share::default());
    let minute = Time(Duration::from_secs(60));
    let mut steps = vec![
        Step::Browse { think, abandon, times: 1 },
        Step::Fill { think, abandon, between: think, beforehand: false },
    ];
    if has_room {
        steps.push(Step::WaitInLine { think, abandon, patience: room::patience() });
    }
    steps.push(Step::CheckOut {
        think,
        abandon,
        decline: Share::default(),
        retry: Share::default(),
        retry_when: RetryWhen::AtOnce,
        key: true,
        wait: None,
        token: "tok_approve".into(),
    });
    let (every, up_to) = (Time(Duration::from_millis(500)), Time(Duration::from_secs(4)));
    steps.push(Step::Poll { think, abandon, every, up_to, patience: minute });
    Scenario {
        name: "rehearsal".into(),
        shop,
        cart: Basket { lines: 1, quantity: Span { min: 1, max: 1 } },
        arrival: Arrival::Open { spacing: Spacing::Exponential, stages },
        connections: Connections::default(),
        steps,
        objectives: Objectives {
            put_off: Some(Share(1.0)),
            p95: [(Which::Every, Time(p95))].into(),
            ..Objectives::default()
        },
    }
}

/// What is rehearsed, in words.
fn opening(args: &RehearseArgs, subject: &Subject, scenario: &Scenario) -> String {
    let pieces = subject.items.iter().fold(0i64, |sum, item| sum.saturating_add(item.allotment));
    let mut said = format!(
        "{} '{}' of {}: {} of {}",
        subject.sale,
        printable(&subject.name),
        printable(&subject.vendor),
        counted(pieces.unsigned_abs(), "piece"),
        counted(subject.items.len() as u64, "SKU"),
    );
    if let Some(room) = &subject.room {
        said.push_str(&format!(", through a room of {}, {} a minute", room.capacity, room.admit_per_minute));
    }
    let people = scenario.arrival.sessions().map_or("some".to_owned(), |sessions| sessions.to_string());
    let from = match (&args.scenario_file, args.sessions, &subject.like) {
        (Some(file), ..) => format!("from {}", file.display()),
        (None, Some(_), _) => "all at once".to_owned(),
        (None, None, Some(like)) => {
            let (begin, end) = busiest(&like.placed_at, args.within);
            let first = like.placed_at.get(begin).copied().unwrap_or_default();
            let orders = counted((end - begin) as u64, "order");
            format!("as came to {}: {orders} from {} on, times {}", like.sale, rfc3339(first), args.times)
        }
        (None, None, None) => String::new(),
    };
    said.push_str(&format!(".\n{people} people, {from}.\n"));
    let mut left_out = vec!["taxes", "methods of shipping", "the programme of points"];
    if subject.needs_account {
        left_out.push("that buyers need an account");
    }
    if subject.names_methods {
        left_out.push("how they may pay");
    }
    said.push_str(&format!("The copy leaves out {}. All pay in the sandbox.\n\n", left_out.join(", ")));
    said
}

/// Where it breaks first, on a buyer's way.
fn breaks_at(report: &Report) -> Option<String> {
    if let Some(check) = report.checks.iter().find(|check| !check.ok) {
        return Some(format!("what buyers were told: {}: {}", check.name, check.said));
    }
    let missed = |kind: Kind| report.objectives.iter().filter(move |verdict| !verdict.met && verdict.kind == kind);
    if let Some(errors) = missed(Kind::Errors).next() {
        return Some(format!("errors: {}", errors.said));
    }
    let of_call = |verdict: &Verdict| verdict.call.map(|call| (call, verdict.said.clone()));
    let mut steps: Vec<(Call, String)> = missed(Kind::Latency).filter_map(of_call).collect();
    for (outcome, call) in [(room::TOO_LONG_WORDS, Call::Place), (UNFINISHED, Call::Poll)] {
        if let Some(count) = report.outcomes.get(outcome) {
            steps.push((call, format!("{count} {outcome}")));
        }
    }
    // Calls stand in the order of a buyer's way.
    if let Some((call, said)) = steps.into_iter().min_by_key(|(call, _)| *call) {
        return Some(format!("{}: {said}", call.name()));
    }
    missed(Kind::PutOff).next().map(|verdict| verdict.said.clone())
}

/// How a session came out whose order was not settled when it had no patience left.
const UNFINISHED: &str = "unfinished within the session";

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(seconds: &[i64]) -> Crowd {
        let at = |second: &i64| Timestamp::from_millis(1_000_000 + second * 1_000);
        let sale = "sale_01h2xcejqtf2nbrexx3vqjhp41".parse().expect("a sale");
        Crowd { sale, placed_at: seconds.iter().map(at).collect() }
    }

    fn told(stages: &[Stage]) -> Vec<(u32, u64)> {
        stages.iter().map(|stage| (stage.sessions(), stage.lasts().as_secs())).collect()
    }

    #[test]
    fn a_crowd_comes_again_as_it_came_within_its_busiest_time() {
        let came = crowd(&[0, 100, 100, 100, 101, 103, 109, 400]);
        let ten = Duration::from_secs(10);
        assert_eq!(busiest(&came.placed_at, ten), (1, 7));
        // Nobody came in the third and from the fifth to the ninth second of them.
        assert_eq!(told(&as_came(&came, ten, 1.0)), [(3, 1), (1, 1), (1, 2), (1, 6)]);
        assert_eq!(told(&as_came(&came, ten, 2.5)), [(8, 1), (3, 1), (3, 2), (3, 6)]);
        let hour = Duration::from_secs(3600);
        assert_eq!(told(&as_came(&came, hour, 1.0)), [(1, 60), (6, 60), (1, 300)]);
        assert_eq!(told(&as_came(&crowd(&[]), ten, 1.0)), []);
    }

    fn report(change: impl FnOnce(&mut Report)) -> Report {
        let mut report = Report {
            scenario: "rehearsal".into(),
            target: String::new(),
            seed: 1,
            connections: 1,
            processes: 1,
            stopped: false,
            broken: Vec::new(),
            phases: Vec::new(),
            checkouts_per_second: None,
            settled_after_ms: None,
            outcomes: Default::default(),
            points: None,
            refusals: Default::default(),
            errors: Default::default(),
            behind_p95_us: None,
            behind_max_us: None,
            objectives: Vec::new(),
            checks: Vec::new(),
            series: Vec::new(),
            exit_code: 0,
        };
        change(&mut report);
        report
    }

    #[test]
    fn it_breaks_at_the_first_step_that_is_too_slow() {
        let slow = |call: Call| Verdict { kind: Kind::Latency, call: Some(call), said: "slow".into(), met: false };
        let fine = Verdict { kind: Kind::Latency, call: Some(Call::Browse), said: "quick".into(), met: true };
        let at = |change: &dyn Fn(&mut Report)| breaks_at(&report(change));
        assert_eq!(at(&|report| report.objectives = vec![fine.clone()]), None);
        let two = |report: &mut Report| report.objectives = vec![fine.clone(), slow(Call::Poll), slow(Call::Checkout)];
        assert_eq!(at(&two).as_deref(), Some("checkout: slow"));
        let in_line = |report: &mut Report| {
            two(report);
            report.outcomes.insert(room::TOO_LONG_WORDS.into(), 7);
        };
        assert_eq!(at(&in_line).as_deref(), Some("place in line: 7 left the line: it took too long"));
        let wrong = |report: &mut Report| {
            in_line(report);
            report.objectives.push(Verdict { kind: Kind::Errors, call: None, said: "3 errors".into(), met: false });
        };
        assert_eq!(at(&wrong).as_deref(), Some("errors: 3 errors"));
    }
}
