//! The store's side of a server of an earlier version on Postgres, with that version's own statements: it appends frames, renews its lease and
//! writes checkpoints, each on a connection of its own. A whole server ends as soon as one of the three finds that it has a successor. Here each
//! goes on until it finds so itself, which is harder on the successor.

use crate::dump::number;
use crate::old_buyers::{Buyer, Template};
use crate::old_statements::{APPEND, Version};
use crate::process::{BOUND, until};
use crate::support::{TestStore, fresh_uuid};
use crate::told::Told;
use parking_lot::Mutex;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Error};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Short, so that a successor waits for it no longer than it must.
const LEASE: Duration = Duration::from_secs(1);
/// Of so many appends one has buyers who check out.
const ORDER_EVERY: usize = 20;
/// Between two appends or checkpoints.
pub const PACE: Duration = Duration::from_millis(5);

/// Which partitions it owns, and what it writes.
pub struct Work {
    pub version: &'static Version,
    pub template: Template,
    pub partitions: Vec<i16>,
    pub epoch: i64,
    pub progress: Progress,
}

/// What it has come to.
#[derive(Default)]
pub struct Progress {
    /// Those whose frames were acknowledged.
    pub acknowledged: Mutex<Vec<Buyer>>,
    renewals: AtomicUsize,
    /// How many checkpoints were written, or tried.
    pub checkpoints: AtomicUsize,
    /// Of whoever updates many partitions. In the first version a renewal and the end of a checkpoint could lock each other out by themselves.
    pub turns: tokio::sync::Mutex<()>,
    /// After which step of a transaction its next checkpoint is held back.
    hold_after: Mutex<Option<&'static str>>,
    held: Notify,
    let_go: Notify,
}

impl Progress {
    /// Appends, renewals, checkpoints.
    fn counts(&self) -> [usize; 3] {
        [self.acknowledged.lock().len(), self.renewals.load(Relaxed), self.checkpoints.load(Relaxed)]
    }

    /// After each step: is held back where the test wants it so.
    pub async fn done(&self, step: &str) {
        if self.hold_after.lock().take_if(|after| *after == step).is_some() {
            self.held.notify_one();
            self.let_go.notified().await;
        }
    }
}

pub struct OldServer {
    pub work: Arc<Work>,
    /// The process of the database that serves its checkpoints.
    checkpointer: i32,
    tasks: JoinSet<()>,
}

impl OldServer {
    /// Takes all partitions of its version's golden store.
    pub async fn start(version: &'static Version, store: &TestStore, told: &Told) -> Self {
        let options: PgConnectOptions = store.url().expect("a URL").parse().expect("a URL");
        let options = options.disable_statement_logging().options([
            ("synchronous_commit", "on"),
            ("statement_timeout", "60s"),
            // The tests hold its transactions open until something has happened, which may take long on a busy machine.
            ("idle_in_transaction_session_timeout", "60s"),
            ("haat.whole_orders", if version.later { "on" } else { "" }),
        ]);
        let connect = async || options.connect().await.expect("the database answers");
        let (mut append, mut checkpoint, renew) = (connect().await, connect().await, connect().await);
        let template = Template::read(&mut append, told).await;
        let take = "UPDATE partition SET epoch = epoch + 1, owner = 'an old server',
                owner_until = clock_timestamp() + interval '1 second'
            RETURNING id, epoch, (SELECT max(seq) FROM journal WHERE partition = partition.id),
                NOT EXISTS (SELECT FROM journal WHERE partition = partition.id AND seq > checkpoint_seq AND records > 0)";
        let mut taken: Vec<(i16, i64, i64, bool)> =
            sqlx::query_as(take).fetch_all(&mut append).await.expect("partitions");
        taken.sort_unstable();
        let (_, epoch, ..) = taken[0];
        assert!(taken.iter().all(|partition| partition.1 == epoch));
        // The others have records that no snapshot holds, whose entities only a whole server could make.
        let at_rest = taken.iter().filter(|partition| partition.3).map(|partition| partition.0).collect();
        let checkpointer = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut checkpoint).await.expect("one");
        let partitions = taken.iter().map(|partition| partition.0).collect();
        let work = Arc::new(Work { version, template, partitions, epoch, progress: Progress::default() });
        let tails = taken.iter().map(|partition| partition.2).collect();
        let mut tasks = JoinSet::new();
        tasks.spawn(work.clone().append(append, at_rest, tails));
        tasks.spawn(work.clone().renew(renew));
        tasks.spawn(work.clone().write_checkpoints(checkpoint));
        Self { work, checkpointer, tasks }
    }

    /// Waits until it has appended a while, and written checkpoints.
    pub async fn is_busy(&self) {
        self.comes_to("be busy", |[appends, _, checkpoints]| appends >= 30 && checkpoints >= 3).await;
    }

    /// Waits until it has appended once more, and renewed its lease: nobody is in its way.
    pub async fn goes_on(&self) {
        let [appends, renewals, _] = self.work.progress.counts();
        self.comes_to("go on", |now| now[0] > appends && now[1] > renewals).await;
    }

    /// Waits until it has gone on, or until this says that it has a successor; whether it has gone on.
    pub async fn goes_on_unless(&self, has_successor: impl AsyncFn() -> bool) -> bool {
        let [appends, renewals, _] = self.work.progress.counts();
        let found = async || {
            if has_successor().await {
                return Some(false);
            }
            let now = self.work.progress.counts();
            (now[0] > appends && now[1] > renewals).then_some(true)
        };
        until("the old server to go on or to be replaced", found).await
    }

    /// Holds its next checkpoint back after this step, in the middle of a transaction.
    pub async fn hold_after(&self, step: &'static str) {
        *self.work.progress.hold_after.lock() = Some(step);
        self.work.progress.held.notified().await;
    }

    /// Lets the checkpoint go on, and waits until it has ended.
    pub async fn let_go(&self) {
        let [_, _, checkpoints] = self.work.progress.counts();
        self.work.progress.let_go.notify_one();
        self.comes_to("end a checkpoint", |now| now[2] > checkpoints).await;
    }

    async fn comes_to(&self, what: &str, has: impl Fn([usize; 3]) -> bool) {
        let has = async || has(self.work.progress.counts()).then_some(());
        until(format_args!("the old server to {what}"), has).await;
    }

    /// Whether somebody waits for its checkpoint.
    pub async fn blocks(&self, store: &TestStore) -> bool {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
        number(store, &format!("{waits} AND {} = ANY(pg_blocking_pids(pid))", self.checkpointer)).await > 0
    }

    /// Waits until each of the three has found that it has a successor.
    pub async fn is_fenced(&mut self) {
        let ended = tokio::time::timeout(BOUND, std::mem::take(&mut self.tasks).join_all()).await;
        ended.expect("the old server goes on for ever");
    }
}

impl Work {
    /// The epoch of so many partitions.
    pub fn epochs(&self, partitions: usize) -> Vec<i64> {
        vec![self.epoch; partitions]
    }

    async fn append(self: Arc<Self>, mut database: PgConnection, at_rest: Vec<i16>, mut tails: Vec<i64>) {
        for (number, partitions) in at_rest.chunks(2).cycle().enumerate() {
            let buyer = |partition: &i16| {
                let tail = &mut tails[usize::from(partition.unsigned_abs())];
                *tail += 1;
                Buyer::fresh(*partition, *tail, number % ORDER_EVERY == 0)
            };
            let buyers: Vec<Buyer> = partitions.iter().map(buyer).collect();
            let payloads: Vec<String> = buyers.iter().map(|buyer| self.template.records(buyer)).collect();
            let records = |payload: &String| i32::try_from(payload.lines().count()).expect("a few");
            let append = sqlx::query(APPEND)
                .bind(partitions)
                .bind(buyers.iter().map(|buyer| buyer.seq).collect::<Vec<_>>())
                .bind(self.epochs(buyers.len()))
                .bind(vec![&*self.template.now; buyers.len()])
                .bind(vec![fresh_uuid(); buyers.len()])
                .bind(payloads.iter().map(records).collect::<Vec<_>>())
                .bind(vec![0i16; buyers.len()])
                .bind(payloads.iter().map(|payload| payload.as_bytes()).collect::<Vec<_>>());
            match append.execute(&mut database).await {
                Ok(done) if done.rows_affected() == 0 => return,
                Ok(_) => self.progress.acknowledged.lock().extend(buyers),
                // Its successor's frame stands there.
                Err(error) if code(&error) == "23505" => return,
                Err(error) => panic!("it cannot append: {error}"),
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn renew(self: Arc<Self>, mut database: PgConnection) {
        loop {
            let turn = self.progress.turns.lock().await;
            let renewal =
                sqlx::query(self.version.renew).bind(&self.partitions).bind(self.epochs(self.partitions.len()));
            let renewed = renewal.bind(LEASE.as_millis() as i64).execute(&mut database).await;
            drop(turn);
            match renewed {
                Ok(renewed) if renewed.rows_affected() < self.partitions.len() as u64 => return,
                Ok(_) => drop(self.progress.renewals.fetch_add(1, Relaxed)),
                // The first version locks partitions in no order, its successor in that of their ids: one of them may be ended for the other.
                Err(error) if code(&error) == "40P01" && !self.version.later => {}
                Err(error) => panic!("it cannot renew its lease: {error}"),
            }
            tokio::time::sleep(LEASE / 10).await;
        }
    }
}

/// The code of what the database says.
pub fn code(error: &Error) -> String {
    let database = error.as_database_error();
    database.and_then(|error| error.code()).map(|code| code.into_owned()).unwrap_or_default()
}
