//! What all actors of a node share, and how messages find their way.

pub use crate::actors::settings::NodeSettings;

use crate::actors::arbiters::Thread;
use crate::actors::catalog::CatalogCache;
use crate::actors::detail_reads::DetailReads;
use crate::actors::details::DetailCache;
use crate::actors::envelope::{Activation, Envelope, Start};
use crate::actors::metrics::{KindMetrics, register};
use crate::actors::payments::{Calls, Provider};
use crate::actors::permits::Permits;
use crate::actors::registry::{Hosted, Registry, Slot, SlotShared, Undelivered};
use crate::actors::shell::Shell;
use crate::actors::state::build;
use crate::actors::timers::Timers;
use crate::actors::traced::from_now;
use crate::domain::entity::{Keeps as _, Message, Publication};
use crate::domain::ids::{EntityId, EntityRef, Kind, OrderId};
use crate::domain::invariants::Breach;
use crate::domain::kinds::{for_kind, kinds};
use crate::domain::knowledge::Knowledge;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::quotas::BuyerQuotas;
use crate::ports::trace::TraceContext;
use crate::ports::{
    Clock, Details, EntityDelta, Histories, History, LogWriter, PaymentProvider, Queries, Snapshots, StateSource,
    StoreError, StoreKey, WakeAt,
};
use crate::telemetry::names;
use actix::dev::channel;
use actix::{Addr, Context};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::fmt::Debug;
use std::future::pending;
use std::mem::take;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// Called before every decision, inside the guard against panics. For tests of faults; nothing else sets it.
pub type DecideHook = Arc<dyn Fn(EntityRef, &dyn Debug) + Send + Sync>;

/// Whether a node takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Readiness {
    /// It does.
    Ready = 0,
    /// It still replays its journal.
    Recovering = 1,
    /// It is stopping.
    Draining = 2,
    /// Its store takes nothing: reads are answered, writes are not.
    StoreUnavailable = 3,
}

/// What a node is made of.
pub struct NodeParts {
    /// The journal's writer.
    pub log_writer: Arc<dyn LogWriter>,
    /// Time and chance.
    pub clock: Arc<dyn Clock>,
    /// The cached states.
    pub snapshots: Arc<dyn Snapshots>,
    /// Single entities, read back.
    pub histories: Arc<dyn Histories>,
    /// The read tables.
    pub queries: Arc<dyn Queries>,
    /// The details of orders.
    pub details: Arc<dyn Details>,
    /// The store's own key.
    pub store_key: StoreKey,
    /// What buyers have under way, where that has a limit.
    pub quotas: Option<Arc<dyn BuyerQuotas>>,
    /// The payment providers.
    pub gateways: Vec<Arc<dyn PaymentProvider>>,
    /// Where the actors run.
    pub threads: Vec<Thread>,
    /// The runtime for everything that leaves the node.
    pub runtime: tokio::runtime::Handle,
    /// How it behaves.
    pub settings: NodeSettings,
    /// For tests of faults.
    pub on_decide: Option<DecideHook>,
    /// The moment whose state the read tables show, in milliseconds since the Unix epoch.
    pub as_of: Arc<AtomicI64>,
}

/// Makes an actor run; whether it does.
type Launch = Box<dyn FnOnce() -> bool>;

/// What all actors of a node share.
pub struct Node {
    pub(super) log_writer: Arc<dyn LogWriter>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) snapshots: Arc<dyn Snapshots>,
    pub(super) histories: Arc<dyn Histories>,
    pub(super) queries: Arc<dyn Queries>,
    /// The details of orders that are under way.
    pub(super) details: DetailCache,
    /// Those of all.
    pub(super) kept_details: DetailReads,
    pub(super) store_key: StoreKey,
    pub(super) providers: Vec<Provider>,
    threads: Vec<Thread>,
    pub(super) runtime: tokio::runtime::Handle,
    pub(super) settings: NodeSettings,
    pub(super) on_decide: Option<DecideHook>,
    pub(super) as_of: Arc<AtomicI64>,
    pub(super) registry: Registry,
    pub(super) catalog: Arc<CatalogCache>,
    pub(super) timers: Timers,
    /// The calls of providers that are under way.
    pub(super) calls: Arc<Calls>,
    /// Turns to read single entities.
    loads: Semaphore,
    /// Actors that wait for a read of their own.
    pub(super) activations: AtomicUsize,
    /// Answers without a record that wait in the log writer for their entity's last record.
    pub(super) answers_waiting: AtomicUsize,
    /// Requests that wait until their entity has come so far.
    pub(super) waiting: AtomicUsize,
    /// Cuts off calls of gateways, and keeps new ones from being made.
    pub(super) outbound_calls: CancellationToken,
    /// Cuts off what waits outside of the node.
    pub(super) stop: CancellationToken,
    /// What waits outside of the node.
    pub(super) outside: TaskTracker,
    /// What the work under way has of the budget at single entities.
    pub(super) permits: Arc<Permits>,
    pub(super) quotas: Option<Arc<dyn BuyerQuotas>>,
    /// Entities whose snapshot had them woken for nothing, for the next checkpoint.
    woken_for_nothing: Mutex<Vec<WakeAt>>,
    /// Records that admitted work of several turns may still need.
    pub(super) reserved: AtomicUsize,
    readiness: AtomicU8,
    metrics: [KindMetrics; Kind::COUNT],
    passivations: [AtomicU64; Kind::COUNT],
    restarts: [AtomicU64; Kind::COUNT],
    /// How it stood when that was last looked at, and since when.
    stands: Mutex<(Readiness, Timestamp)>,
    start: Instant,
    /// Milliseconds since `start`, as the housekeeping last saw them.
    coarse_ms: AtomicU64,
}

impl Node {
    pub(super) fn new(parts: NodeParts) -> Arc<Self> {
        let stop = CancellationToken::new();
        register();
        let stands = Mutex::new((Readiness::Recovering, parts.clock.now()));
        Arc::new(Self {
            log_writer: parts.log_writer,
            clock: parts.clock,
            snapshots: parts.snapshots,
            histories: parts.histories,
            queries: parts.queries,
            details: DetailCache::default(),
            kept_details: DetailReads::new(parts.details),
            store_key: parts.store_key,
            providers: parts.gateways.into_iter().map(|gateway| Provider::new(gateway, &parts.settings)).collect(),
            threads: parts.threads,
            runtime: parts.runtime,
            settings: parts.settings,
            on_decide: parts.on_decide,
            as_of: parts.as_of,
            registry: Registry::default(),
            catalog: Arc::new(CatalogCache::default()),
            timers: Timers::new(),
            calls: Arc::default(),
            loads: Semaphore::new(limits::LOADS_AT_ONCE),
            activations: AtomicUsize::new(0),
            answers_waiting: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            outbound_calls: stop.child_token(),
            stop,
            outside: TaskTracker::new(),
            permits: Arc::default(),
            quotas: parts.quotas,
            woken_for_nothing: Mutex::default(),
            reserved: AtomicUsize::new(0),
            readiness: AtomicU8::new(Readiness::Recovering as u8),
            metrics: Kind::ALL.map(KindMetrics::new),
            passivations: Default::default(),
            restarts: Default::default(),
            stands,
            start: Instant::now(),
            coarse_ms: AtomicU64::new(0),
        })
    }

    /// What entities may know besides their own state.
    pub(super) fn knowledge(&self) -> Knowledge<'_> {
        Knowledge { settings: &self.settings.shop, availability: &*self.catalog, prices: self }
    }

    pub(super) fn metrics(&self, kind: Kind) -> &KindMetrics {
        &self.metrics[kind as usize]
    }

    /// Counts an actor that leaves memory.
    pub(super) fn count_passivation(&self, kind: Kind) {
        self.metrics(kind).passivations.increment(1);
        self.passivations[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Actors of this kind that left memory since the node started.
    pub(super) fn passivated(&self, kind: Kind) -> u64 {
        self.passivations[kind as usize].load(Ordering::Relaxed)
    }

    /// Counts an actor that is started again after a panic.
    pub(super) fn count_restart(&self, kind: Kind) {
        self.metrics(kind).restarts.increment(1);
        self.restarts[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Restarts of actors of this kind since the node started.
    pub(super) fn restarted(&self, kind: Kind) -> u64 {
        self.restarts[kind as usize].load(Ordering::Relaxed)
    }

    /// Its snapshot had an entity woken, and there was nothing to do: it would be woken for ever.
    pub(super) fn was_woken_for_nothing(&self, wake: WakeAt) {
        let mut woken = self.woken_for_nothing.lock();
        // Who is left out is woken again.
        if woken.len() < limits::WAKES_FOR_NOTHING {
            woken.push(wake);
        }
    }

    /// Whether this node takes requests now.
    pub(super) fn readiness(&self) -> Readiness {
        match self.readiness.load(Ordering::Acquire) {
            1 => Readiness::Recovering,
            2 => Readiness::Draining,
            _ if !self.log_writer.pressure().store_available => Readiness::StoreUnavailable,
            _ => Readiness::Ready,
        }
    }

    pub(super) fn set_readiness(&self, readiness: Readiness) {
        self.readiness.store(readiness as u8, Ordering::Release);
        self.show_readiness();
        self.stands();
    }

    fn show_readiness(&self) {
        metrics::gauge!(names::READY).set(f64::from(u8::from(self.readiness() == Readiness::Ready)));
    }

    /// Whether this node takes requests now, and since when that is so, to a tick of the housekeeping.
    pub(super) fn stands(&self) -> (Readiness, Timestamp) {
        let mut stands = self.stands.lock();
        let readiness = self.readiness();
        if stands.0 != readiness {
            *stands = (readiness, self.clock.now());
        }
        *stands
    }

    /// Starts the actor of `id`, unless the node is stopping.
    pub(super) fn start<E: Hosted>(self: &Arc<Self>, id: E::Id, start: Start<E>) -> Option<Slot<E>> {
        let (slot, launch) = self.prepare(id, start);
        launch().then_some(slot)
    }

    /// An actor and what makes it run: on the thread of its partition, where its cart or its orders are too.
    fn prepare<E: Hosted>(self: &Arc<Self>, id: E::Id, start: Start<E>) -> (Slot<E>, Launch) {
        // A capacity of none is actix's word for no limit: requests are refused by depth before they come here, and what entities send each other
        // is never refused.
        let (sender, receiver) = channel::channel(0);
        let shared = Arc::new(SlotShared::default());
        let start = match start {
            Start::Load(None) => Start::Load(Some(Activation::begin(self.clone()))),
            other => other,
        };
        let (node, slot) = (self.clone(), shared.clone());
        let launch = move || {
            let thread = node.threads[usize::from(id.uuid().as_bytes()[15]) % node.threads.len()].clone();
            !node.stop.is_cancelled()
                && thread(Box::new(move || {
                    let context: Context<Shell<E>> = Context::with_receiver(receiver);
                    context.run(Shell::new(id, node, slot, start));
                }))
        };
        (Slot { addr: Addr::new(sender), shared }, Box::new(launch))
    }

    /// Puts a message into a mailbox, starting the actor if need be.
    pub(super) fn deliver<E: Hosted>(
        self: &Arc<Self>,
        id: E::Id,
        envelope: Envelope<E>,
        limit: Option<usize>,
        fresh: bool,
    ) -> Result<(), Undelivered> {
        let first = if fresh { Start::Fresh } else { Start::Load(None) };
        let now_ms = self.coarse_ms();
        let start = |how| self.start::<E>(id, how);
        self.registry.deliver(id, envelope, limit, now_ms, start, first)
    }

    /// Puts a message into the mailbox of an actor that is in memory.
    fn deliver_if_live<E: Hosted>(self: &Arc<Self>, id: E::Id, envelope: Envelope<E>) -> Result<(), Undelivered> {
        let slot_time = E::slots(&self.registry).get(&id).map(|slot| slot.shared.last_used.load(Ordering::Relaxed));
        let start = |how| match how {
            Start::Replay => self.start::<E>(id, Start::Replay),
            _ => None,
        };
        // Housekeeping is no use: it must not keep an actor young.
        self.registry.deliver(id, envelope, None, slot_time.unwrap_or(0), start, Start::Load(None))
    }

    /// Sends a command from one entity to another. It is never refused.
    pub(super) fn tell(self: &Arc<Self>, message: Message, fresh: bool, trace: Option<TraceContext>) {
        let trace = from_now(trace);
        macro_rules! deliver {
            ([$($(#[$doc:meta])* $kind:ident $name:literal $slots:ident $type:ty, $unknown:ident;)*]) => {
                match message {
                    $(Message::$kind { id, command } => self.deliver::<$type>(id, Envelope::Peer(command, trace), None, fresh),)*
                }
            };
        }
        let told = kinds!(deliver);
        debug_assert!(told.is_ok() || self.stop.is_cancelled(), "a message between entities has no limit");
    }

    fn wake_if_it_waits(self: &Arc<Self>, entity: EntityRef, timer_slot: u64) {
        for_kind!(entity.kind, E => {
            let id = EntityId::from_uuid(entity.uuid);
            if E::slots(&self.registry).get(&id).is_some_and(|slot| slot.shared.timer.is_due(timer_slot)) {
                let _ = self.deliver_if_live::<E>(id, Envelope::Wake);
            }
        });
    }

    /// What an actor starts from, however long the store takes to say it. So many are read at a time; the others wait
    /// for their turn. The store is asked on the runtime: its connections are born there, and wait for no actor's turn.
    /// Whoever does not want to know any more drops this.
    ///
    /// # Errors
    /// What does not pass, however often it is tried: what is there cannot be read.
    pub(super) fn read_back(
        self: &Arc<Self>,
        entity: EntityRef,
        records_too: bool,
    ) -> impl Future<Output = Result<History, StoreError>> + use<> {
        let node = self.clone();
        let reading = self.runtime.spawn(async move { node.read_from_store(entity, records_too).await });
        let reading = AbortOnDropHandle::new(reading);
        async move {
            match reading.await.map_err(JoinError::try_into_panic) {
                Ok(read) => read,
                Err(Ok(panic)) => resume_unwind(panic),
                // The runtime is stopping: then nothing matters any more.
                Err(Err(_)) => pending().await,
            }
        }
    }

    async fn read_from_store(&self, entity: EntityRef, records_too: bool) -> Result<History, StoreError> {
        let mut wait = Duration::from_millis(20);
        loop {
            let read = {
                // It is never closed.
                let _turn = self.loads.acquire().await;
                match records_too {
                    true => self.histories.history(entity).await,
                    false => {
                        self.snapshots.load(entity).await.map(|snapshot| History { snapshot, records: Vec::new() })
                    }
                }
            };
            match read {
                Err(StoreError::Unavailable(error)) => {
                    tracing::warn!(%entity, %error, "an entity could not be read: it is tried again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
                read => return read,
            }
        }
    }

    /// Takes over what recovery found. Nothing runs before all of it is built.
    pub(super) fn install(self: &Arc<Self>, mut histories: Vec<(EntityRef, History)>) {
        // All are in the registry before the first one runs: what it sends must find them, and not start them a second time. Those
        // that are asked begin before those that ask.
        histories.sort_by_key(|(entity, _)| Reverse(entity.kind));
        let launches: Vec<Launch> = histories
            .into_iter()
            .map(|(entity, history)| for_kind!(entity.kind, E => self.install_one::<E>(entity, &history)))
            .collect();
        for launch in launches {
            launch();
        }
    }

    fn install_one<E: Hosted>(self: &Arc<Self>, entity: EntityRef, history: &History) -> Launch {
        let id = E::Id::from_uuid(entity.uuid);
        let start = match build::<E>(id, history) {
            Ok(mut built) => {
                built.entity.suspend_broken().iter().for_each(|breach| self.tell_suspended(breach));
                let shown = || {
                    let shown = History { snapshot: history.snapshot.clone(), records: Vec::new() };
                    Some(build::<E>(id, &shown).ok()?.entity)
                };
                for publication in built.entity.publications_of_recovery(shown) {
                    self.catalog.publish(publication);
                }
                self.note_claim(&built.entity, entity);
                // What no record has changed since its snapshot may leave as it came.
                let checkpointed = if history.records.is_empty() { built.version } else { 0 };
                Start::Ready { built: Box::new(built), checkpointed }
            }
            Err(error) => {
                tracing::error!(%entity, %error, "an entity is quarantined");
                self.metrics(entity.kind).quarantines.increment(1);
                Start::Quarantined
            }
        };
        let (slot, launch) = self.prepare::<E>(id, start);
        E::slots(&self.registry).insert(id, slot);
        launch
    }

    /// What this state has of its buyer's quotas is what it says.
    pub(super) fn note_claim<E: Hosted>(&self, entity: &E, of: EntityRef) {
        if let Some(quotas) = &self.quotas
            && let Some(claim) = entity.claim()
        {
            quotas.note(OrderId::from_uuid(of.uuid), &claim, self.clock.now());
        }
    }

    /// A SKU is suspended: nothing of it can be had any more, as far as anybody is shown.
    pub(super) fn tell_suspended(&self, breach: &Breach) {
        metrics::counter!(names::BREACHES, "invariant" => breach.invariant).increment(1);
        tracing::error!(%breach, "an invariant is broken: the SKU is out of sale until someone has looked at it");
        if let Some(sku) = breach.sku {
            self.catalog.publish(Publication::Available { sku, available: 0, taken: 0, in_sales: Vec::new() });
        }
    }

    /// Wakes whoever asked for it, until the node is dropped.
    pub(super) async fn run_timers(self: Arc<Self>) {
        loop {
            let (slot, due) = self.timers.due().await;
            for entity in due {
                self.wake_if_it_waits(entity, slot);
            }
        }
    }

    /// The time by which it is seen how long an actor was not used.
    pub(super) fn coarse_ms(&self) -> u64 {
        self.coarse_ms.load(Ordering::Relaxed)
    }

    pub(super) fn is_live(&self, entity: EntityRef) -> bool {
        for_kind!(entity.kind, E => E::slots(&self.registry).contains_key(&EntityId::from_uuid(entity.uuid)))
    }

    /// Keeps the coarse time, the gauges, and the number of actors in memory.
    pub(super) async fn run_housekeeping(self: Arc<Self>) {
        const TICK: Duration = Duration::from_millis(250);
        const SWEEP_TICKS: u32 = 20;
        let mut ticks = 0u32;
        loop {
            tokio::time::sleep(TICK).await;
            self.coarse_ms.store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
            self.show_figures();
            ticks += 1;
            if ticks.is_multiple_of(SWEEP_TICKS) {
                self.sweep_all();
            }
        }
    }

    /// Sets the gauges that nothing else sets.
    fn show_figures(&self) {
        self.stands();
        // Those that are deep no more are forgotten, though nobody asks.
        self.registry.deepest();
        let pressure = self.log_writer.pressure();
        metrics::gauge!(names::LANE_BACKLOG).set(pressure.records_in_flight as f64);
        metrics::gauge!(names::CHECKPOINT_LAG).set(pressure.records_since_checkpoint as f64);
        self.show_readiness();
        metrics::gauge!(names::PARKED).set(self.waiting.load(Ordering::Relaxed) as f64);
        for (status, count) in self.catalog.order_counts() {
            metrics::gauge!(names::ORDERS, "status" => status.name()).set(count as f64);
        }
    }

    /// Sets all gauges: when requests are taken, they are right.
    pub(super) fn show_all_figures(&self) {
        self.show_figures();
        for kind in Kind::ALL {
            let live = for_kind!(kind, E => E::slots(&self.registry).len());
            self.metrics(kind).live.set(live as f64);
        }
    }

    /// Asks to leave whoever has been idle for long enough, and, while there are too many carts and orders, those that have been idle longest: so
    /// many that the rest is within the limit (and whoever was idle exactly as long), but none that was used in the last two seconds.
    fn sweep_all(self: &Arc<Self>) {
        const IN_USE_MS: u64 = 2_000;
        let now = self.coarse_ms.load(Ordering::Relaxed);
        let idle = now.saturating_sub(self.settings.idle.as_millis() as u64);
        let excess = self.registry.live().saturating_sub(self.settings.live_actors);
        let longest_idle = self.registry.longest_idle(excess).min(now.saturating_sub(IN_USE_MS));
        let before = idle.max(longest_idle);
        for kind in Kind::ALL {
            for_kind!(kind, E => self.sweep::<E>(if E::GIVES_WAY { before } else { idle }));
        }
        // Those that were asked to leave the last time have left.
        self.registry.give_back();
    }

    /// Asks to leave whoever was used last before this moment, in coarse milliseconds.
    fn sweep<E: Hosted>(self: &Arc<Self>, before: u64) {
        let (mut deepest, mut unused) = (0, Vec::new());
        for entry in E::slots(&self.registry) {
            deepest = deepest.max(entry.shared.depth.load(Ordering::Relaxed));
            if entry.shared.last_used.load(Ordering::Relaxed) < before {
                entry.shared.stayed.store(true, Ordering::Relaxed);
                unused.push(*entry.key());
            }
        }
        self.metrics(E::KIND).depth_max.set(deepest as f64);
        self.metrics(E::KIND).live.set(E::slots(&self.registry).len() as f64);
        // In the same order in every run of a simulation.
        unused.sort_unstable();
        for id in unused {
            let _ = self.deliver_if_live::<E>(id, Envelope::Passivate);
        }
    }
}

/// The actors as a checkpoint sees them.
pub(super) struct States(pub(super) Arc<Node>);

#[async_trait]
impl StateSource for States {
    async fn delta(&self, entity: EntityRef) -> Option<EntityDelta> {
        let (send, receive) = oneshot::channel();
        for_kind!(entity.kind, E => {
            let id = EntityId::from_uuid(entity.uuid);
            // An entity with records after the checkpoint is in memory; should its actor have died, it is made anew from the journal.
            self.0.deliver_if_live::<E>(id, Envelope::Delta(send)).ok()?;
        });
        receive.await.ok().flatten()
    }

    fn checkpointed(&self, entity: EntityRef, version: u64) {
        for_kind!(entity.kind, E => {
            let id = EntityId::from_uuid(entity.uuid);
            let _ = self.0.deliver_if_live::<E>(id, Envelope::Checkpointed(version));
        });
    }

    fn woken_for_nothing(&self) -> Vec<WakeAt> {
        take(&mut *self.0.woken_for_nothing.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::testing::{Bench, until};
    use crate::domain::cart::Cart;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Makes these carts, at these coarse milliseconds.
    async fn make_carts(bench: &Bench, numbers: std::ops::Range<u128>, at_ms: u64) {
        bench.node.coarse_ms.store(at_ms, Ordering::Relaxed);
        let answers: Vec<_> = numbers
            .map(|number| {
                let (owner, currency) = (crate::domain::entity::Owner::Guest, crate::domain::money::Currency::BDT);
                let id = EntityId::from_uuid(bench.cart(number).uuid);
                bench.ask::<Cart>(id, crate::domain::cart::CartCommand::Create { owner, currency }, None, PATIENCE)
            })
            .collect();
        until("all to be recorded", || bench.log_writer.waiting() == answers.len()).await;
        bench.log_writer.let_go();
        for answer in answers {
            assert!(answer.await.is_ok_and(|answer| answer.is_ok()));
        }
    }

    fn checkpoint(bench: &Bench, numbers: std::ops::Range<u128>) {
        let states = States(bench.node.clone());
        numbers.into_iter().for_each(|number| states.checkpointed(bench.cart(number), 1));
    }

    /// Past the limit those that were idle longest leave, no more than must, and their room is given back: a part of it may be while they still go.
    #[tokio::test]
    async fn actors_past_the_limit_leave_and_their_room_is_given_back() {
        let bench = Bench::with_settings(NodeSettings { live_actors: 200, ..NodeSettings::default() });
        let (node, live) = (&bench.node, || bench.node.registry.live());
        make_carts(&bench, 0..3_000, 1_000).await;
        make_carts(&bench, 3_000..3_100, 2_000).await;
        checkpoint(&bench, 0..3_100);
        node.sweep_all();
        assert_eq!(live(), 3_100, "all were used in the last two seconds");
        let room = node.registry.room();
        node.coarse_ms.store(10_000, Ordering::Relaxed);
        node.sweep_all();
        until("the older ones to leave", || live() == 100).await;
        assert!((3_000..3_100).all(|number| node.is_live(bench.cart(number))));
        node.sweep_all();
        assert_eq!(live(), 100, "within the limit nobody leaves early");
        assert!(node.registry.room() < room / 2, "room for {} of {room} is left", node.registry.room());
    }

    /// Here because no checkpoint holds them yet: whoever cannot leave must not keep those in memory that can.
    #[tokio::test]
    async fn actors_that_cannot_leave_do_not_stand_before_those_that_can() {
        let bench = Bench::with_settings(NodeSettings { live_actors: 1_000, ..NodeSettings::default() });
        let (node, live) = (&bench.node, || bench.node.registry.live());
        make_carts(&bench, 0..1_500, 1_000).await;
        make_carts(&bench, 1_500..2_000, 2_000).await;
        checkpoint(&bench, 1_500..2_000);
        node.coarse_ms.store(10_000, Ordering::Relaxed);
        node.sweep_all();
        let asked = || (0..1_500).all(|number| node.is_live(bench.cart(number)));
        assert!(asked(), "the older ones were asked, and cannot");
        node.sweep_all();
        until("the younger ones to leave", || live() == 1_500).await;
        checkpoint(&bench, 0..1_500);
        node.sweep_all();
        until("the older ones to leave, too", || live() == 0).await;
    }
}
