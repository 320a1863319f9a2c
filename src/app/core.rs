//! The part of a server that has no network: the engine with its log writer and its checkpointer over a store. The server and the
//! simulation build it the same way.

use super::remake::{Remaker, RunningRemaker, knows_rows};
use super::{AppError, clocks, remake};
use crate::actors::{DecideHook, NodeParts, NodeSettings, Readiness, Shop, Thread};
use crate::adapters::quotas::MemoryQuotas;
use crate::checkout::{AttachWorker, BookingWorker, CourierEventWorker, OrdersWorker, RefundWorker};
use crate::domain::ids::EntityRef;
use crate::domain::order::AcceptanceSettings;
use crate::domain::order::OrderStatus;
use crate::domain::rows::{Rows, Shapes};
use crate::domain::time::Timestamp;
use crate::followers::{self, Feed, Following};
use crate::jobs::{self, JobRunner, RunnerParts};
use crate::limits;
use crate::outbound::Pace;
use crate::persistence::checkpointer::{CheckpointSettings, Checkpointer};
use crate::persistence::log_writer::{self, Fatal, OnFatal, QueuedLogWriter};
use crate::persistence::recovery::{StoredHistories, left_under_way, recover, woken_at_start};
use crate::persistence::skew::Asked;
use crate::ports::couriers::{Courier, Told};
use crate::ports::jobs::{Customers, JobWorker, Jobs, Letters, Mailer};
use crate::ports::quotas::BuyerQuotas;
use crate::ports::standing::{FollowerStanding, Pools};
use crate::ports::trace::Tracer;
use crate::ports::{ChargeLog, Clock, History, Journal, Partition, PaymentProvider, Store};
use crate::services::notifications::MailWorker;
use foldhash::HashMap;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

/// Checkpoints a stop tries, each of what was recorded during the one before. What the last leaves over is replayed at the next start.
const DRAIN_CHECKPOINTS: usize = 100;

/// How long a stop waits for followers that are behind.
const FOLLOWERS_DRAIN: Duration = Duration::from_secs(5);

/// What mails are sent with.
pub struct MailParts {
    /// Who sends them, where they are sent.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// What those about accounts need.
    pub letters: Arc<dyn Letters>,
    /// How their links begin, without a slash at the end.
    pub public_url: String,
    /// How many a second at most.
    pub per_second: u32,
}

/// What parcels are fetched with.
pub struct CourierParts {
    /// Who fetches them.
    pub couriers: Vec<Arc<dyn Courier>>,
    /// What couriers told.
    pub told: Arc<dyn Told>,
}

/// What a core is made of.
pub struct CoreParts {
    /// The store.
    pub store: Store,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// The payment providers.
    pub gateways: Vec<Arc<dyn PaymentProvider>>,
    /// The sandbox's charge log, where there is one.
    pub charge_log: Option<Arc<dyn ChargeLog>>,
    /// What mails are sent with.
    pub mails: MailParts,
    /// What parcels are fetched with.
    pub couriers: CourierParts,
    /// Whose a guest's orders may become.
    pub customers: Arc<dyn Customers>,
    /// When vendors are to begin.
    pub acceptance: AcceptanceSettings,
    /// Told when there are new jobs.
    pub new_jobs: Arc<Notify>,
    /// Begins the traces of jobs, where any are traced.
    pub tracer: Option<Tracer>,
    /// Where the actors run.
    pub threads: Vec<Thread>,
    /// How the node behaves.
    pub settings: NodeSettings,
    /// How the checkpointer goes about its work.
    pub checkpoints: CheckpointSettings,
    /// Called before every decision, for tests of faults.
    pub on_decide: Option<DecideHook>,
    /// Called when the node cannot go on.
    pub on_fatal: OnFatal,
}

/// A core that has not taken its store yet: it answers that it is not ready.
pub struct Core {
    store: Store,
    clock: Arc<dyn Clock>,
    shop: Shop,
    log_writer: Arc<QueuedLogWriter>,
    checkpoints: CheckpointSettings,
    shapes: Shapes,
    on_fatal: OnFatal,
    as_of: Arc<AtomicI64>,
    taken: Arc<OnceLock<Vec<Partition>>>,
    feed: Arc<Feed>,
    workers: Vec<(Arc<dyn JobWorker>, Pace)>,
    new_jobs: Arc<Notify>,
    tracer: Option<Tracer>,
}

/// How a target of jobs is called, so many times a second at most.
fn pace(per_second: u32) -> Pace {
    Pace {
        calls: limits::JOBS_UNDER_WAY,
        interval: Duration::from_secs(1) / per_second.max(1),
        burst: Duration::from_secs(1),
        silent_after: limits::JOB_SILENT_AFTER,
        probes: limits::JOB_PROBES,
        probe_ms: limits::JOB_PROBE_MS,
    }
}

impl Core {
    /// A core on the runtime of the caller.
    pub fn new(parts: CoreParts) -> Self {
        let CoreParts {
            store,
            clock,
            gateways,
            charge_log,
            mails: MailParts { mailer, letters, public_url, per_second },
            couriers: CourierParts { couriers, told },
            customers,
            acceptance,
            new_jobs,
            tracer,
            threads,
            settings,
            checkpoints,
            on_decide,
            on_fatal,
        } = parts;
        crate::persistence::metrics::register();
        followers::register();
        jobs::register();
        remake::register();
        let log_writer = QueuedLogWriter::new(clock.clone());
        let as_of = Arc::new(AtomicI64::new(clock.now().as_millis()));
        let parts = NodeParts {
            log_writer: log_writer.clone(),
            clock: clock.clone(),
            snapshots: store.snapshots.clone(),
            histories: Arc::new(StoredHistories::new(&store, limits::PARTITIONS)),
            queries: store.queries.clone(),
            details: store.details.clone(),
            store_key: store.key,
            quotas: settings.quotas.then(|| Arc::new(MemoryQuotas::default()) as Arc<dyn BuyerQuotas>),
            gateways,
            threads,
            runtime: tokio::runtime::Handle::current(),
            settings: settings.clone(),
            on_decide,
            as_of: as_of.clone(),
        };
        let shop = Shop::new(parts, charge_log);
        let mails: Arc<dyn JobWorker> = Arc::new(MailWorker::new(mailer, Arc::new(shop.clone()), letters, public_url));
        let attach = Arc::new(AttachWorker::new(shop.clone(), customers));
        let of_orders: Arc<dyn JobWorker> = Arc::new(OrdersWorker::new(shop.clone(), acceptance, attach));
        let refunds: Arc<dyn JobWorker> = Arc::new(RefundWorker::new(shop.clone()));
        let of_parcels = Arc::new(shop.clone());
        let events: Arc<dyn JobWorker> = Arc::new(CourierEventWorker::new(told.clone(), of_parcels.clone()));
        let bookings: Arc<dyn JobWorker> = Arc::new(BookingWorker::new(couriers, of_parcels.clone(), of_parcels, told));
        let workers = vec![
            (mails, pace(per_second)),
            (of_orders, pace(limits::ORDER_JOBS_PER_SECOND)),
            (refunds, pace(limits::ORDER_JOBS_PER_SECOND)),
            (events, pace(limits::ORDER_JOBS_PER_SECOND)),
            (bookings, pace(limits::COURIER_CALLS_PER_SECOND)),
        ];
        let feed = Feed::new(followers::interests());
        let fed = feed.clone();
        log_writer.tell_committed(Box::new(move |frames, traced| fed.committed(frames, traced)));
        Self {
            store,
            clock,
            shop,
            log_writer,
            checkpoints,
            shapes: settings.shapes,
            on_fatal,
            as_of,
            taken: Arc::default(),
            feed,
            workers,
            new_jobs,
            tracer,
        }
    }

    /// What it has taken of the store, once it has: for whoever ends it before it is started.
    pub fn taken(&self) -> Arc<OnceLock<Vec<Partition>>> {
        self.taken.clone()
    }

    /// The engine.
    pub fn shop(&self) -> &Shop {
        &self.shop
    }

    /// Jobs as operators see them, and what tells that one of them is due at once.
    pub fn jobs(&self) -> (Arc<dyn Jobs>, Arc<Notify>) {
        (self.store.jobs.clone(), self.new_jobs.clone())
    }

    /// As of when the history of stock is.
    pub fn history_as_of(&self) -> impl Fn() -> Timestamp + Send + Sync + use<> {
        let (feed, clock) = (self.feed.clone(), self.clock.clone());
        move || feed.as_of(followers::STOCK_HISTORY, clock.now())
    }

    /// How those stand that read the journal behind the log writer.
    pub fn followers(&self) -> impl Fn() -> Vec<FollowerStanding> + Send + Sync + use<> {
        let (feed, clock) = (self.feed.clone(), self.clock.clone());
        move || {
            let now = clock.now();
            followers::names().into_iter().map(|name| feed.standing(name, now)).collect()
        }
    }

    /// The connections to the store.
    pub fn pools(&self) -> Arc<dyn Pools> {
        self.store.pools.clone()
    }

    /// Takes the store, recovers, and starts everything that runs by itself: when this returns, requests are taken. `contended`
    /// tells that another node may take the store at any time: then a lease is kept.
    ///
    /// # Errors
    /// What the store says.
    pub async fn start(self, owner: &str, lease: Duration, contended: bool) -> Result<RunningCore, AppError> {
        let Self {
            store,
            clock,
            shop,
            log_writer,
            checkpoints,
            shapes,
            on_fatal,
            as_of,
            taken: known,
            feed,
            workers,
            new_jobs,
            tracer,
        } = self;
        clocks::agree(&*store.journal, &*clock).await?;
        knows_rows(&store, &shapes).await?;
        let taken = store.journal.acquire(owner, lease, clock.now()).await?;
        // It is started once.
        let _ = known.set(taken.clone());
        // The catalogue cache begins with the rows that it makes.
        let remaker = Remaker::start(&store, &taken, &shapes, checkpoints.remake_slice).await?;
        let recovery = Recovery::start(&store, &taken, &shop, &log_writer, &*clock).await?;
        if let Some(oldest) = recovery.oldest {
            // The read tables are as old as the last checkpoint, until the next one.
            as_of.store(oldest.as_millis(), Ordering::Relaxed);
        }
        let (mut helpers, mut tasks) = (Vec::new(), Vec::new());
        helpers.push(tokio::spawn(clocks::watch(clock.clone())));
        if contended {
            // To wait for the former owner and to replay took longer than the lease that was asked for then.
            let asked = Asked::now(&*clock);
            store.journal.renew(&taken, lease).await?;
            log_writer.set_lease(asked.since_boot() + lease);
            let keep = log_writer::keep_lease(
                log_writer.clone(),
                store.journal.clone(),
                taken.clone(),
                lease,
                on_fatal.clone(),
            );
            helpers.push(tokio::spawn(keep));
        }
        let checkpointer = Checkpointer::new(
            log_writer.clone(),
            store.checkpoints.clone(),
            shop.states(),
            clock.clone(),
            taken.clone(),
            checkpoints,
            on_fatal.clone(),
            as_of,
        );
        let writer = log_writer::run(
            log_writer.clone(),
            store.journal.clone(),
            clock.clone(),
            taken.clone(),
            recovery.changed,
            on_fatal.clone(),
        );
        // Before the first batch: an archive takes nothing that a follower is yet to read.
        for (follower, from) in followers::beginnings() {
            store.followers.begin_follower(follower, from).await?;
        }
        let following = Following::start(&store, &feed, &taken, followers::all(), &new_jobs);
        let mut watched = |task: JoinHandle<()>| {
            tasks.push(task.abort_handle());
            ends_process_if_it_panics(task, on_fatal.clone())
        };
        let writer = watched(tokio::spawn(writer));
        shop.recall_quotas().await?;
        helpers.extend(shop.open(recovery.rows, &recovery.counts, recovery.histories));
        let (rows, owned) = (store.jobs.clone(), taken.clone());
        let jobs = JobRunner::start(RunnerParts { jobs: rows, clock, owned, workers, news: new_jobs, tracer });
        helpers.push(tokio::spawn(shop.clone().run_stuck_count()));
        helpers.push(watched(tokio::spawn(checkpointer.clone().run())));
        let remaker = remaker.run(checkpointer.to_remake());
        tasks.extend(helpers.iter().map(JoinHandle::abort_handle));
        tasks.extend(following.tasks());
        tasks.push(jobs.task());
        tasks.push(remaker.task());
        let journal = store.journal;
        Ok(RunningCore {
            shop,
            log_writer,
            checkpointer,
            journal,
            partitions: taken,
            writer,
            following,
            jobs,
            remaker,
            helpers,
            tasks,
        })
    }
}

/// A core at work.
pub struct RunningCore {
    shop: Shop,
    log_writer: Arc<QueuedLogWriter>,
    checkpointer: Arc<Checkpointer>,
    journal: Arc<dyn Journal>,
    partitions: Vec<Partition>,
    /// Ended by itself once the log writer is closed.
    writer: JoinHandle<()>,
    following: Following,
    jobs: JobRunner,
    remaker: RunningRemaker,
    /// Cut off at the end.
    helpers: Vec<JoinHandle<()>>,
    /// All that runs by itself.
    tasks: Vec<AbortHandle>,
}

impl RunningCore {
    /// The engine.
    pub fn shop(&self) -> &Shop {
        &self.shop
    }

    /// The log writer.
    pub fn log_writer(&self) -> &Arc<QueuedLogWriter> {
        &self.log_writer
    }

    /// The store's journal.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// Writes a checkpoint now.
    ///
    /// # Errors
    /// What the store says.
    pub async fn checkpoint(&self) -> Result<(), AppError> {
        Ok(self.checkpointer.checkpoint().await?)
    }

    /// What ends it at once.
    pub fn crash(&self) -> Crash {
        Crash { shop: self.shop.clone(), tasks: self.tasks.clone() }
    }

    /// Ends it once all records are durable, and snapshots and read tables are written. The edge takes no more requests by then.
    ///
    /// # Errors
    /// What the store says.
    pub async fn drain(self) -> Result<(), AppError> {
        self.jobs.pause();
        self.shop.drain();
        self.shop.pause_outbound_calls();
        self.checkpointer.stop();
        // Before the last checkpoints, which it would only be in the way of.
        self.remaker.stop().await;
        for _ in 0..DRAIN_CHECKPOINTS {
            self.log_writer.drained().await;
            self.checkpointer.checkpoint().await?;
            // What entities had still to tell each other may have been recorded meanwhile.
            if self.log_writer.close_if_checkpointed() {
                break;
            }
        }
        self.log_writer.close();
        let _ = self.writer.await;
        // What followers have not read yet, the next start gives them. It is better said before: whoever looks at rows finds all of them.
        if let Ok(partitions) = self.journal.partitions().await {
            let tails: Vec<(u16, u64)> =
                partitions.iter().map(|partition| (partition.id, partition.tail_seq)).collect();
            let _ = tokio::time::timeout(FOLLOWERS_DRAIN, self.following.caught_up(&tails)).await;
        }
        self.following.stop().await;
        self.jobs.drain().await;
        for helper in self.helpers {
            helper.abort();
            let _ = helper.await;
        }
        self.journal.release(&self.partitions).await?;
        self.shop.close().await;
        Ok(())
    }
}

/// Ends a core as a crash of its process would, for tests of recovery: nothing more is written, sent or asked. The actors end
/// with their threads, which are the caller's.
pub struct Crash {
    shop: Shop,
    tasks: Vec<AbortHandle>,
}

impl Crash {
    /// Does it.
    pub fn now(&self) {
        self.shop.cut_off();
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// What start-up found, ready to be taken over.
struct Recovery {
    oldest: Option<Timestamp>,
    changed: HashMap<EntityRef, u64>,
    rows: Rows,
    counts: Vec<(OrderStatus, u64)>,
    histories: Vec<(EntityRef, History)>,
}

impl Recovery {
    async fn start(
        store: &Store,
        taken: &[Partition],
        shop: &Shop,
        log_writer: &QueuedLogWriter,
        clock: &dyn Clock,
    ) -> Result<Self, AppError> {
        let started = Instant::now();
        let recovered = recover(store, taken).await?;
        if let Some(newest) = recovered.newest {
            clocks::start_from(clock, newest)?;
        }
        log_writer.recovered(recovered.records, recovered.bytes);
        let (rows, counts) = (store.queries.catalog().await?, store.queries.order_counts().await?);
        debug_assert_eq!(shop.readiness(), Readiness::Recovering);
        tracing::info!(
            records = recovered.records,
            entities = recovered.entities.len(),
            took_ms = started.elapsed().as_millis() as u64,
            "recovered"
        );
        let changed: HashMap<EntityRef, u64> =
            recovered.entities.iter().map(|replayed| (replayed.entity, replayed.version)).collect();
        // Those with something suspended: the read tables would show it in sale.
        let woken = woken_at_start(&*store.snapshots).await?.into_iter();
        let left = left_under_way(store, taken, recovered.newest_record).await?.into_iter();
        let woken: BTreeMap<EntityRef, History> =
            left.chain(woken).filter(|(entity, _)| !changed.contains_key(entity)).collect();
        let replayed = recovered.entities.into_iter().map(|replayed| (replayed.entity, replayed.history));
        let histories = replayed.chain(woken).collect();
        Ok(Self { oldest: recovered.oldest, changed, rows, counts, histories })
    }
}

/// A log writer or a checkpointer that panicked must not leave a server that only looks alive.
fn ends_process_if_it_panics(task: JoinHandle<()>, on_fatal: OnFatal) -> JoinHandle<()> {
    tokio::spawn(async move {
        if task.await.is_err_and(|error| error.is_panic()) {
            on_fatal(Fatal::Broken);
        }
    })
}
