//! Crash after crash: one seed is one plan of faults, which happen to a server under a rush; then everything is compared. The seed fixes the plan and not the
//! schedule: what a fault meets is up to the machine, and that is the point. `scripts/crashes` runs many of these.

use crate::cluster::Cluster;
use crate::disk::{quota, server_with_a_quota, tear};
use crate::process::{Haat, end_lease, free_address, haat, output};
use crate::proxy::Proxy;
use crate::relay::{TakeOver, relay};
use crate::rush::Rush;
use crate::support::{Kind, TestStore};
use futures::FutureExt;
use sqlx::{Connection, Executor, PgConnection};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// Runs of a test that nobody told how many.
const RUNS: u64 = 1;
/// So large is a rush that most faults meet it.
const PIECES: i64 = 150;

/// A number that follows from a seed: `SplitMix64` (Steele, Lea, Flood 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// `kill -9` of the server.
    Kill,
    /// An orderly stop of the server.
    Stop,
    /// The server stands still (SIGSTOP) for a while.
    Sleep,
    /// A second server is started on the same directory.
    Second,
    /// The buyers' connections are cut off.
    Buyers,
    /// `kill -9`, and the log's last write is torn (embedded store).
    TornLog,
    /// No file may grow for a while (embedded store).
    FullDisk,
    /// `kill -9` of Postgres.
    DatabaseKilled,
    /// Postgres stops without a shutdown.
    DatabaseStopped,
    /// All of Postgres stands still for a while.
    DatabaseSleeps,
    /// Postgres ends the server's connections.
    DatabaseCuts,
    /// Another session locks the journal for a while.
    Locked,
    /// The network to Postgres swallows everything for a while, and then cuts its connections off.
    Network,
}

const EITHER: &[Fault] = &[Fault::Kill, Fault::Kill, Fault::Stop, Fault::Sleep, Fault::Second, Fault::Buyers];
const SQLITE: &[Fault] = &[Fault::TornLog, Fault::TornLog, Fault::FullDisk, Fault::FullDisk];
const POSTGRES: &[Fault] = &[
    Fault::DatabaseKilled,
    Fault::DatabaseStopped,
    Fault::DatabaseSleeps,
    Fault::DatabaseCuts,
    Fault::Locked,
    Fault::Network,
];

/// Those in the middle of which the server may be killed.
const LASTING: &[Fault] = &[
    Fault::FullDisk,
    Fault::DatabaseKilled,
    Fault::DatabaseStopped,
    Fault::DatabaseSleeps,
    Fault::Locked,
    Fault::Network,
];

/// One fault of a plan.
#[derive(Clone, Copy, Debug)]
struct Planned {
    fault: Fault,
    /// When: after so many answers more, if any.
    answers: usize,
    /// And after this time.
    after: Duration,
    /// How long it lasts, if it does.
    lasts: Duration,
    /// Whether the server is killed in the middle of it, if it lasts.
    and_kill: bool,
    /// Whether a server that was killed is known to be dead, so that the next one need not wait its lease out.
    known: bool,
}

fn plan(chance: &mut Chance, kind: Kind) -> Vec<Planned> {
    let of_the_store = if kind == Kind::Sqlite { SQLITE } else { POSTGRES };
    let faults = 2 + chance.below(3);
    (0..faults)
        .map(|_| {
            let all = if chance.one_in(2) { EITHER } else { of_the_store };
            let fault = chance.of(all);
            Planned {
                fault,
                answers: chance.below(40) as usize,
                after: chance.millis(0, 120),
                lasts: chance.millis(20, 3_500),
                and_kill: chance.one_in(3) && LASTING.contains(&fault),
                known: !chance.one_in(4),
            }
        })
        .collect()
}

/// What runs came to.
#[derive(Debug, Default)]
struct Tally {
    kills: u64,
    take_overs: u64,
    faults: u64,
    requests: u64,
    orders: u64,
    answers: u64,
}

impl Tally {
    fn add(&mut self, more: &Tally) {
        self.kills += more.kills;
        self.take_overs += more.take_overs;
        self.faults += more.faults;
        self.requests += more.requests;
        self.orders += more.orders;
        self.answers += more.answers;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { kills, take_overs, faults, requests, orders, answers } = self;
        write!(f, "faults {faults}, servers killed {kills}, take-overs {take_overs}, requests {requests}, ")?;
        write!(f, "orders {orders}, answers checked {answers}")
    }
}

/// A server under faults, and what it stands on.
struct World<'a> {
    store: &'a TestStore,
    /// Postgres and the way to it.
    database: Option<(&'a Cluster, &'a Proxy)>,
    server: Option<Haat>,
    address: std::net::SocketAddr,
    tally: Tally,
}

impl World<'_> {
    fn server(&mut self) -> &mut Haat {
        self.server.as_mut().expect("it was started")
    }

    async fn start(&mut self) {
        let command = server_with_a_quota();
        let mut server = Haat::begin_as(command, self.store, self.store.data_dir(), self.address);
        server.ready().await;
        self.server = Some(server);
    }

    async fn kill(&mut self) {
        self.server.take().expect("it was started").kill_whatever_it_said().await;
        self.tally.kills += 1;
    }

    /// Starts what was killed, and waits until all is well.
    async fn recover(&mut self, planned: &Planned) {
        if self.server.is_some() {
            return self.server().ready().await;
        }
        if planned.known {
            end_lease(self.store).await;
        }
        self.start().await;
    }

    async fn meanwhile(&mut self, planned: &Planned) {
        tokio::time::sleep(planned.lasts / 2).await;
        if planned.and_kill {
            self.kill().await;
        }
        tokio::time::sleep(planned.lasts / 2).await;
    }

    async fn suffer(&mut self, planned: &Planned, front: &Proxy) {
        self.tally.faults += 1;
        match planned.fault {
            Fault::Kill => self.kill().await,
            Fault::Stop => {
                self.server().signal("TERM").await;
                let status = self.server().ended().await;
                assert_eq!(status.code(), Some(0), "{}", self.server().log());
                self.server = None;
            }
            Fault::Sleep => {
                self.server().signal("STOP").await;
                tokio::time::sleep(planned.lasts).await;
                self.server().signal("CONT").await;
            }
            Fault::Second => {
                let mut second = Haat::begin(self.store, self.store.data_dir(), free_address());
                let status = second.ended().await;
                assert_eq!(status.code(), Some(1), "{}", second.log());
            }
            Fault::Buyers => front.reset(),
            Fault::TornLog => {
                self.kill().await;
                let log = self.store.data_dir().join("haat.db-wal");
                // An orderly stop leaves none, and a log without a frame has nothing to be torn.
                if std::fs::metadata(&log).is_ok_and(|log| log.len() > 8192) {
                    tear(&log, 1 + planned.lasts.as_millis() as usize);
                }
            }
            Fault::FullDisk => {
                quota(self.server(), Some(4096));
                self.meanwhile(planned).await;
                if let Some(server) = &self.server {
                    quota(server, None);
                }
            }
            _ => self.suffer_of_the_database(planned).await,
        }
        self.recover(planned).await;
    }

    async fn suffer_of_the_database(&mut self, planned: &Planned) {
        let (cluster, network) = self.database.expect("a fault of a database has one");
        match planned.fault {
            Fault::DatabaseKilled => {
                cluster.kill().await;
                self.meanwhile(planned).await;
                cluster.start_again().await;
            }
            Fault::DatabaseStopped => {
                cluster.stop_at_once();
                self.meanwhile(planned).await;
                cluster.start_again().await;
            }
            Fault::DatabaseSleeps => {
                cluster.stand_still();
                self.meanwhile(planned).await;
                cluster.go_on();
            }
            Fault::DatabaseCuts => cluster.cut_connections().await,
            Fault::Locked => {
                let mut other = PgConnection::connect(self.store.url().expect("a URL")).await.expect("it answers");
                other.execute("BEGIN; LOCK TABLE journal IN ACCESS EXCLUSIVE MODE").await.expect("the lock");
                self.meanwhile(planned).await;
                other.execute("ROLLBACK").await.expect("the lock goes");
            }
            _ => {
                network.swallow();
                self.meanwhile(planned).await;
                network.heal();
                network.reset();
            }
        }
    }
}

/// One rush with its faults, and everything compared at its end, after one more crash or stop.
async fn one_run(store: &TestStore, database: Option<(&Cluster, &Proxy)>, plan: &[Planned], last: Fault) -> Tally {
    let address = free_address();
    let mut world = World { store, database, server: None, address, tally: Tally::default() };
    world.start().await;
    let front = Proxy::start(address).await;
    let mut rush = Rush::of(PIECES, front.address(), &world.server().client.clone()).await;
    for planned in plan {
        rush.may_go_on(planned.answers).await;
        tokio::time::sleep(planned.after).await;
        world.suffer(planned, &front).await;
    }
    let told = rush.end().await;
    let last =
        Planned { fault: last, known: true, answers: 0, after: Duration::ZERO, lasts: Duration::ZERO, and_kill: false };
    world.suffer(&last, &front).await;
    told.still_holds(world.server()).await;
    world.tally.requests = told.requests();
    (world.tally.orders, world.tally.answers) = told.counts();
    world.tally
}

/// Several servers on one database, taking it from each other.
async fn one_relay(store: &TestStore, chance: &mut Chance) -> Tally {
    let take_overs: Vec<TakeOver> =
        (0..2 + chance.below(3)).map(|_| chance.of(&[TakeOver::Live, TakeOver::Killed, TakeOver::Asleep])).collect();
    println!("    take-overs: {take_overs:?}");
    let outcome = relay(store, &take_overs).await;
    let kills = take_overs.iter().filter(|kind| **kind == TakeOver::Killed).count() as u64;
    let (orders, answers) = (outcome.orders as u64, outcome.answers as u64);
    Tally { kills, take_overs: outcome.take_overs as u64, faults: 0, requests: answers, orders, answers }
}

async fn run_of(seed: u64, store: &TestStore, database: Option<(&Cluster, &Proxy)>) -> Tally {
    let chance = &mut Chance(seed);
    if store.kind == Kind::Postgres && chance.one_in(4) {
        return one_relay(store, chance).await;
    }
    let plan = plan(chance, store.kind);
    let last = chance.of(&[Fault::Kill, Fault::Stop]);
    let words = plan.iter().map(|planned| match planned.and_kill {
        true => format!("{:?}+", planned.fault),
        false => format!("{:?}", planned.fault),
    });
    println!(
        "    faults: {} (+: the server was killed in it), at the end {last:?}",
        words.collect::<Vec<_>>().join(", ")
    );
    let tally = one_run(store, database, &plan, last).await;
    let mut tool = haat();
    tool.args(["audit", "--data-dir"]).arg(store.data_dir());
    if let Some(url) = store.url() {
        tool.env("DATABASE_URL", url);
    }
    let audited = output(tool).await;
    assert!(audited.status.success(), "haat audit: {}", String::from_utf8_lossy(&audited.stdout));
    tally
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// As many runs as are wanted; the first that fails is the last, and leaves what it had.
async fn soak(kind: Kind) {
    let (runs, first) = (number("HAAT_CRASHES_RUNS", RUNS), number("HAAT_CRASHES_SEED", 1));
    let name = format!("{kind:?}").to_lowercase();
    let cluster = (kind == Kind::Postgres).then(Cluster::start);
    let mut all = Tally::default();
    for seed in first..first + runs {
        println!("{name}, seed {seed}:");
        let network = match &cluster {
            Some(cluster) => Some(Proxy::start(cluster.address()).await),
            None => None,
        };
        let mut store = match (&cluster, &network) {
            (Some(cluster), Some(network)) => TestStore::on_server(cluster.url()).await.by_way_of(network.address()),
            _ => TestStore::new(kind).await,
        };
        store.keeps_logs = true;
        let database = cluster.as_ref().zip(network.as_ref());
        match AssertUnwindSafe(run_of(seed, &store, database)).catch_unwind().await {
            Ok(tally) => {
                println!("    {tally}");
                all.add(&tally);
            }
            Err(_) => {
                let database = cluster.map(|cluster| cluster.keep().display().to_string());
                let database = database.map_or(String::new(), |at| format!(", its Postgres in {at}"));
                let at = store.keep();
                panic!(
                    "seed {seed} failed: its data and the servers' log are in {}{database}; again: scripts/crashes --store {name} --seed {seed} --runs 1",
                    at.display()
                );
            }
        }
    }
    println!("{name}, {runs} runs: {all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_after_crash_on_sqlite() {
    soak(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_after_crash_on_postgres() {
    soak(Kind::Postgres).await;
}
