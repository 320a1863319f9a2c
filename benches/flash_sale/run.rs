//! The orchestrator: servers in turns, each on a fresh store, and what came of it.

use crate::books;
use crate::figures::{Pair, Run, table};
use crate::plan::{Driven, Plan, Traffic};
use crate::processes::Cpu;
use crate::server_kind::Server;
use crate::stage::{Goods, Stage, Theatre, haat_binary};
use crate::statements;
use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;
use std::sync::atomic::AtomicU32;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Carts that Haat gets per second of a run: more than it has checked out so far on the machines it was measured on.
const CARTS_PER_SECOND: f64 = 12_000.0;
/// Carts that are refused again and again.
const REFUSED_CARTS: usize = 4_000;
/// Pieces that nobody buys up.
const AMPLE: i64 = 10_000_000;
/// Pieces that are bought up at once.
const SCARCE: i64 = 100;
/// The orders, the connections and the pieces of a check.
const CHECK: (u64, usize, i64) = (200, 8, 50);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Orders of one SKU, answered when they are durably placed.
    Hot,
    /// The same, over many SKUs.
    Spread,
    /// Orders of one SKU, answered when they are paid (haat and batches-paid).
    Paid,
    /// Refusals of one SKU that is sold out.
    Soldout,
    /// Whole journeys: cart, line, checkout, paid, checkpointed (haat alone).
    Journeys,
}

impl Mode {
    fn counts(self) -> &'static str {
        match self {
            Self::Hot | Self::Spread | Self::Paid => "orders/s",
            Self::Soldout => "refusals/s",
            Self::Journeys => "journeys/s",
        }
    }

    /// Whether a server can do it.
    fn fits(self, server: Server) -> bool {
        match self {
            Self::Hot | Self::Spread => true,
            Self::Paid => server.pays(),
            Self::Soldout => server.has_stock(),
            Self::Journeys => server.is_haat(),
        }
    }
}

/// A number of connections, or each server's best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// The same for all.
    Number(usize),
    /// What each was best with.
    Best,
}

impl FromStr for Connections {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "best" => Ok(Self::Best),
            number => match number.parse() {
                Ok(number @ 1..=10_000) => Ok(Self::Number(number)),
                _ => Err("a number of connections or 'best' is expected".to_owned()),
            },
        }
    }
}

impl Connections {
    fn of(self, server: Server) -> usize {
        match self {
            Self::Number(number) => number,
            Self::Best => server.best_connections(),
        }
    }

    fn setting(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Best => "best".to_owned(),
        }
    }
}

/// How a benchmark is run.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// What is measured
    #[arg(long, value_enum, default_value_t = Mode::Hot)]
    mode: Mode,
    /// The servers that are compared with the subject
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Server::BASELINES)]
    servers: Vec<Server>,
    /// What they are compared with
    #[arg(long, value_enum, default_value_t = Server::Haat)]
    subject: Server,
    /// Measure the servers without a subject
    #[arg(long)]
    alone: bool,
    /// Connections of the client: numbers, or 'best' for what each server was best with
    #[arg(long, value_delimiter = ',', default_value = "64,256")]
    connections: Vec<Connections>,
    /// Sizes of the baselines' pools (of batches: writers); what each was best with when left out
    #[arg(long, value_delimiter = ',')]
    pools: Vec<u32>,
    /// Turns of each pair
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Let one turn of the subject stand beside one of each server, in place of a turn for each of them: half the time
    #[arg(long)]
    rounds: bool,
    /// How long each run is counted
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// How long buyers come before it is counted
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// SKUs of --mode spread
    #[arg(long, default_value_t = 1000)]
    skus: usize,
    /// Vendors that share them
    #[arg(long, default_value_t = 20)]
    vendors: usize,
    /// Carts that Haat checks out in each run at most; by the length of the run when left out
    #[arg(long)]
    carts: Option<usize>,
    /// No measurement: each server takes a few orders, and sells out, and its books are checked
    #[arg(long)]
    check: bool,
    /// Where all runs are written to, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A database on the Postgres server; each run gets one of its own beside it
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// A Redis server of this bench's own: it is emptied
    #[arg(long, env = "HAAT_BENCH_REDIS_URL")]
    redis_url: Option<String>,
    /// Haat's binary
    #[arg(long, env = "HAAT_BINARY", value_name = "FILE")]
    haat: PathBuf,
    /// That of another revision: the server 'against'
    #[arg(long, env = "HAAT_AGAINST", value_name = "FILE")]
    against: Option<PathBuf>,
}

/// One server with its settings.
#[derive(Clone, Debug)]
struct Contender {
    server: Server,
    pool: u32,
    label: String,
}

/// What one run is to do.
#[derive(Clone, Copy, Debug)]
struct Job {
    mode: Mode,
    connections: usize,
    goods: Goods,
    requests: Option<u64>,
    warmup: f64,
    seconds: f64,
    carts: usize,
}

/// Runs it all; fails when any run did.
pub async fn main(args: RunArgs) -> anyhow::Result<()> {
    let work = tempfile::Builder::new().prefix("haat-flash-sale.").tempdir()?;
    let theatre = Theatre {
        database_url: args.database_url.clone(),
        redis_url: args.redis_url.clone(),
        haat: args.haat.clone(),
        against: args.against.clone(),
        work: work.path().to_owned(),
        runs: AtomicU32::new(0),
    };
    let mut contenders = Vec::new();
    for server in &args.servers {
        if *server == Server::RedisScript && theatre.redis_url.is_none() {
            eprintln!("left out: redis-script: there is no Redis server (HAAT_BENCH_REDIS_URL)");
        } else if args.check || args.mode.fits(*server) {
            contenders.extend(with_pools(*server, &args.pools));
        }
    }
    if args.check {
        if !contenders.iter().any(|contender| contender.server == args.subject) {
            contenders.extend(with_pools(args.subject, &[]));
        }
        return check(&theatre, &contenders).await;
    }
    let mut bench = Bench { args, theatre, alone: Vec::new(), pairs: Vec::new(), failures: Vec::new() };
    bench.run(&contenders).await;
    print!("\n{}", bench.table());
    ensure!(bench.failures.is_empty(), "{} runs failed:\n{}", bench.failures.len(), bench.failures.join("\n"));
    Ok(())
}

fn with_pools(server: Server, pools: &[u32]) -> Vec<Contender> {
    let plain = |pool| Contender { server, pool, label: server.name().to_owned() };
    match server.best_pool() {
        None => vec![plain(0)],
        Some(best) if pools.is_empty() => vec![plain(best)],
        Some(_) => {
            let label = |pool| format!("{} pool {pool}", server.name());
            pools.iter().map(|pool| Contender { server, pool: *pool, label: label(*pool) }).collect()
        }
    }
}

struct Bench {
    args: RunArgs,
    theatre: Theatre,
    alone: Vec<Run>,
    pairs: Vec<Pair>,
    failures: Vec<String>,
}

impl Bench {
    async fn run(&mut self, contenders: &[Contender]) {
        let subject = with_pools(self.args.subject, &[]).remove(0);
        let alone = self.args.alone || contenders.is_empty();
        for connections in self.args.connections.clone() {
            if alone {
                let all = if contenders.is_empty() { std::slice::from_ref(&subject) } else { contenders };
                for contender in all {
                    for _ in 0..self.args.pairs {
                        if let Some(run) = self.turn(contender, connections).await {
                            self.alone.push(run);
                        }
                    }
                }
            } else if self.args.rounds {
                for _ in 0..self.args.pairs {
                    let run = self.turn(&subject, connections).await;
                    for contender in contenders {
                        let other = self.turn(contender, connections).await;
                        self.pair(connections, run.clone(), other);
                    }
                }
            } else {
                for contender in contenders {
                    for _ in 0..self.args.pairs {
                        let run = self.turn(&subject, connections).await;
                        let other = self.turn(contender, connections).await;
                        self.pair(connections, run, other);
                    }
                }
            }
        }
    }

    fn pair(&mut self, connections: Connections, subject: Option<Run>, other: Option<Run>) {
        if let (Some(subject), Some(other)) = (subject, other) {
            self.pairs.push(Pair { setting: connections.setting(), subject, other });
            if let Err(error) = self.keep() {
                self.failures.push(format!("{error:#}"));
            }
        }
    }

    /// One run. What went wrong is noted, and the others go on.
    async fn turn(&mut self, contender: &Contender, connections: Connections) -> Option<Run> {
        let job = self.job(contender.server, connections);
        let outcome = measure(&self.theatre, contender, job).await;
        let found = match outcome {
            Ok((run, _)) => {
                eprintln!(
                    "{:<16} {:>4} connections  {:>8.0} {}  p50 {:>6.1} ms  p99 {:>6.1} ms",
                    run.label,
                    run.connections,
                    run.per_second,
                    self.args.mode.counts(),
                    run.p50_us as f64 / 1000.0,
                    run.p99_us as f64 / 1000.0,
                );
                Some(run)
            }
            Err(error) => {
                let words = format!("{} at {} connections: {error:#}", contender.label, job.connections);
                eprintln!("FAILED: {words}");
                self.failures.push(words);
                None
            }
        };
        if let Err(error) = self.keep() {
            self.failures.push(format!("{error:#}"));
        }
        found
    }

    fn job(&self, server: Server, connections: Connections) -> Job {
        let RunArgs { mode, warmup, seconds, .. } = self.args;
        let (skus, vendors) = if mode == Mode::Spread { (self.args.skus, self.args.vendors) } else { (1, 1) };
        // A row per piece has to be made for each.
        let units = ((warmup + seconds) * 15_000.0) as i64;
        let stock = match (mode, server) {
            (Mode::Soldout, _) => SCARCE,
            (_, Server::UnitRows) => (2 * units / i64::try_from(skus).unwrap_or(1)).max(100),
            _ => AMPLE,
        };
        let filled = self.args.carts.unwrap_or(((warmup + seconds) * CARTS_PER_SECOND) as usize);
        let carts = if mode == Mode::Soldout { REFUSED_CARTS } else { filled };
        let goods = Goods { skus, vendors: vendors.clamp(1, skus), stock };
        Job { mode, connections: connections.of(server), goods, requests: None, warmup, seconds, carts }
    }

    fn table(&self) -> String {
        table(self.args.mode.counts(), self.args.subject.name(), &self.alone, &self.pairs)
    }

    /// All there is so far, so that a run that is cut off leaves something.
    fn keep(&self) -> anyhow::Result<()> {
        let Some(file) = &self.args.json else {
            return Ok(());
        };
        let all = serde_json::json!({
            "mode": format!("{:?}", self.args.mode).to_lowercase(),
            "seconds": self.args.seconds,
            "warmup": self.args.warmup,
            "alone": self.alone,
            "pairs": self.pairs,
            "failures": self.failures,
        });
        std::fs::write(file, serde_json::to_vec_pretty(&all)?).with_context(|| format!("{}", file.display()))
    }
}

/// Runs each server for some orders and until it is sold out.
async fn check(theatre: &Theatre, contenders: &[Contender]) -> anyhow::Result<()> {
    let (requests, connections, scarce) = CHECK;
    let mut failures = Vec::new();
    for contender in contenders {
        for mode in [Mode::Hot, Mode::Spread, Mode::Paid, Mode::Soldout, Mode::Journeys] {
            if !mode.fits(contender.server) {
                continue;
            }
            let (skus, vendors) = if mode == Mode::Spread { (50, 5) } else { (1, 1) };
            let stock = if mode == Mode::Soldout { scarce } else { 1_000 };
            let goods = Goods { skus, vendors, stock };
            let carts = usize::try_from(requests)?;
            let job = Job { mode, connections, goods, requests: Some(requests), warmup: 0.0, seconds: 60.0, carts };
            let mode = format!("{mode:?}").to_lowercase();
            match measure(theatre, contender, job).await {
                Ok((_, driven)) => println!(
                    "{:<16} {mode:<9} ok: {} placed, {} refused, the books add up",
                    contender.label, driven.placed, driven.refused
                ),
                Err(error) => {
                    println!("{:<16} {mode:<9} FAILED: {error:#}", contender.label);
                    failures.push(format!("{} {mode}", contender.label));
                }
            }
        }
    }
    ensure!(failures.is_empty(), "failed: {}", failures.join(", "));
    Ok(())
}

/// One run on a stage of its own, with its books checked.
async fn measure(theatre: &Theatre, contender: &Contender, job: Job) -> anyhow::Result<(Run, Driven)> {
    let stage = Stage::open(theatre, contender.server, contender.pool, job.goods).await?;
    let measured = on_stage(theatre, contender, job, &stage).await.with_context(|| stage.last_words());
    // What ran on it counts for more than what its end says.
    let closed = stage.close().await;
    let measured = measured?;
    closed.context("the end of the run")?;
    Ok(measured)
}

async fn on_stage(theatre: &Theatre, contender: &Contender, job: Job, stage: &Stage) -> anyhow::Result<(Run, Driven)> {
    let server = contender.server;
    let plan = Plan {
        target: stage.address,
        connections: job.connections,
        traffic: match (server.is_haat(), job.mode) {
            (true, Mode::Journeys) => Traffic::Journeys,
            (true, _) => Traffic::Checkouts,
            (false, _) => Traffic::Orders,
        },
        skus: stage.skus.iter().map(|(sku, _)| sku.to_string()).collect(),
        carts: if server.is_haat() && job.mode != Mode::Journeys { job.carts } else { 0 },
        requests: job.requests,
        warmup: job.warmup,
        seconds: job.seconds,
        until_paid: job.mode == Mode::Paid,
        refusals: job.mode == Mode::Soldout,
        server_pid: stage.server_pid,
        store_pid: stage.store_pid,
    };
    if job.mode == Mode::Journeys {
        statements::begin(&stage.url).await?;
    }
    let (plan_file, out_file) = (theatre.work.join("plan.json"), theatre.work.join("driven.json"));
    std::fs::write(&plan_file, serde_json::to_vec(&plan)?)?;
    let begun = Cpu::now(stage.server_pid, stage.store_pid);
    let mut client = Command::new(std::env::current_exe()?)
        .arg("drive")
        .args([&plan_file, &out_file])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut placed = String::new();
    BufReader::new(client.stdout.take().context("the client's stdout")?).read_line(&mut placed).await?;
    let placed: u64 = placed.trim().parse().context("the client did not come to its end")?;
    if server.pays() {
        books::paid(stage, placed).await?;
    }
    if job.mode == Mode::Journeys {
        books::checkpointed(stage).await?;
    }
    let used = Cpu::now(stage.server_pid, stage.store_pid).since(begun);
    let settled_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let status = client.wait().await?;
    ensure!(status.success(), "the client ended with {status}");
    let driven: Driven = serde_json::from_slice(&std::fs::read(&out_file)?)?;
    if server.is_haat() {
        books::checkpointed(stage).await?;
    }
    books::add_up(stage, job.goods, &driven, theatre.redis_url.as_deref(), job.mode == Mode::Soldout).await?;
    if job.requests.is_some() && server.is_haat() {
        audit(theatre, stage).await?;
    } else if job.mode == Mode::Journeys
        && let Some(table) = statements::table(stage, driven.placed).await?
    {
        eprintln!("\nwhat {} had its store do for an order:\n\n{table}", contender.label);
    }
    ensure!(driven.timed > 0, "nothing was counted: give it more time");
    // A short rest of a run holds a burst of answers to what was asked before it, and so a rate that nobody has.
    ensure!(
        job.requests.is_some() || driven.seconds >= job.seconds / 2.0,
        "the carts ran out after {:.2} of {} seconds: give it more with --carts",
        driven.seconds,
        job.seconds
    );
    let settled = settled_ms.saturating_sub(driven.first_ms) as f64 / 1000.0;
    let per_answer = |seconds: f64| seconds * 1e6 / driven.timed as f64;
    // What a whole journey takes is had only when the last of it is in a checkpoint.
    let (server_us, store_us) = match job.mode {
        Mode::Journeys => (used.server * 1e6 / driven.placed as f64, used.store * 1e6 / driven.placed as f64),
        _ => (per_answer(driven.cpu.server), per_answer(driven.cpu.store)),
    };
    let run = Run {
        label: contender.label.clone(),
        connections: job.connections,
        per_second: driven.timed as f64 / driven.seconds,
        settled_per_second: (server.pays() && job.mode != Mode::Soldout).then(|| driven.placed as f64 / settled),
        p50_us: driven.p50_us,
        p99_us: driven.p99_us,
        max_us: driven.max_us,
        server_us,
        store_us,
        client_us: per_answer(driven.cpu.client),
        counted: driven.timed,
    };
    Ok((run, driven))
}

/// Haat's own look at its whole store.
async fn audit(theatre: &Theatre, stage: &Stage) -> anyhow::Result<()> {
    let audit =
        Command::new(haat_binary(theatre, stage.server)?).arg("audit").env("DATABASE_URL", &stage.url).output().await?;
    if !audit.status.success() {
        bail!("the audit is not clean: {}", String::from_utf8_lossy(&audit.stdout));
    }
    Ok(())
}
