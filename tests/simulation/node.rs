//! Nodes: the real core of the server on simulated threads, over the simulated store, and their sudden end.

use crate::gateway::{Books, Gateway};
use crate::oracle::Oracle;
use crate::store::{Server, Way};
use crate::world::{SimulatedClock, World, lock};
use haat::actors::{DecideHook, Engine, NodeSettings, Thread};
use haat::app::core::{Core, CoreParts, Crash, RunningCore};
use haat::domain::ids::EntityRef;
use haat::persistence::checkpointer::CheckpointSettings;
use haat::persistence::lane::Fatal;
use haat::ports::Clock;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio_util::sync::CancellationToken;

/// What a provoked panic says.
pub const PROVOKED: &str = "provoked by the simulation";
/// Actors that wait to be started on one simulated thread.
const STARTS: usize = 100_000;
/// The longest that a simulated thread stands still, in milliseconds.
const STALL_MS: u64 = 400;

/// One node.
pub struct Node {
    pub number: u64,
    pub engine: Engine,
    pub way: Way,
    /// Cancelled when it has crashed or ended.
    pub gone: CancellationToken,
    /// Requests that wait for their answer.
    pub in_flight: AtomicU64,
    ready: AtomicBool,
    crash: OnceLock<Crash>,
    running: Mutex<Option<RunningCore>>,
    world: Arc<World>,
}

impl Node {
    /// Whether it takes requests.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && !self.gone.is_cancelled()
    }

    /// Ends it at once.
    pub fn crash(&self, why: &str) {
        if self.gone.is_cancelled() {
            return;
        }
        self.world.note(format_args!("node {} ends: {why}", self.number));
        self.engine.cut_off();
        if let Some(crash) = self.crash.get() {
            crash.now();
        }
        self.gone.cancel();
    }

    /// Cuts the way to the store.
    pub fn cut(&self, time: Duration) {
        self.world.note(format_args!("node {} is cut off for {time:?}", self.number));
        *lock(&self.way.cut_until) = tokio::time::Instant::now() + time;
    }

    /// Stops it in order, as the server does: no new requests, and those that were let in are answered first. Whether everything was
    /// written.
    pub async fn stop(&self) -> bool {
        let running = lock(&self.running).take();
        let Some(running) = running else { return false };
        self.world.note(format_args!("node {} stops", self.number));
        self.ready.store(false, Ordering::Relaxed);
        self.engine.drain();
        let drain = async {
            while self.in_flight.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            running.drain().await
        };
        let drained = tokio::select! {
            biased;
            () = self.gone.cancelled() => false,
            drained = drain => drained.is_ok(),
        };
        self.crash("stopped");
        drained
    }
}

/// Everything that survives a crash.
pub struct Town {
    pub world: Arc<World>,
    /// Where people have new ids from.
    pub clock: Arc<SimulatedClock>,
    pub server: Arc<Server>,
    pub books: Arc<Books>,
    pub oracle: Arc<Oracle>,
    /// What people have made: for those who look at other people's things.
    pub made: Mutex<Vec<EntityRef>>,
    /// The nodes that have not ended, the newest last.
    pub nodes: Mutex<Vec<Arc<Node>>>,
    started: Mutex<u64>,
}

impl Town {
    pub fn new(seed: u64) -> Arc<Self> {
        let world = Arc::new(World::new(seed));
        let books = Books::new(world.clone());
        let oracle = Oracle::new(world.clone(), books.clone());
        Arc::new(Self {
            clock: Arc::new(SimulatedClock::new(world.clone())),
            server: Server::new(world.clone(), oracle.clone()),
            books,
            oracle,
            made: Mutex::default(),
            nodes: Mutex::default(),
            started: Mutex::default(),
            world,
        })
    }

    /// A node that takes requests, if there is one; mostly the newest.
    pub fn node(&self) -> Option<Arc<Node>> {
        let nodes = lock(&self.nodes);
        let ready: Vec<&Arc<Node>> = nodes.iter().filter(|node| node.is_ready()).collect();
        match self.world.chance.per_mille(500) {
            true => ready.first().copied().cloned(),
            false => ready.last().copied().cloned(),
        }
    }

    /// Starts a node, which takes the store from whoever has it.
    pub fn start(self: &Arc<Self>) -> Arc<Node> {
        let number = {
            let mut started = lock(&self.started);
            *started += 1;
            *started
        };
        let world = self.world.clone();
        world.note(format_args!("node {number} starts"));
        let gone = CancellationToken::new();
        let itself: Arc<OnceLock<std::sync::Weak<Node>>> = Arc::default();
        let end = {
            let itself = itself.clone();
            move |why: &str| {
                if let Some(node) = itself.get().and_then(std::sync::Weak::upgrade) {
                    node.crash(why);
                }
            }
        };
        let end = Arc::new(end);
        let crashes = {
            let (end, world) = (end.clone(), world.clone());
            Arc::new(move || {
                world.counts.crashes.fetch_add(1, Ordering::Relaxed);
                end("crashed");
            })
        };
        let way = Way::new(world.clone(), crashes);
        let on_fatal = {
            let (end, world, server) = (end.clone(), world.clone(), self.server.clone());
            Arc::new(move |fatal: Fatal| {
                let owns = server.owner() == format!("node {number}");
                match fatal {
                    Fatal::Broken => world.breach("a node met a state that cannot be"),
                    Fatal::Fenced if owns => world.breach("a node was fenced, and by nobody"),
                    Fatal::Fenced => {}
                }
                end(&fatal.to_string());
            })
        };
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(world.clone()));
        let gateway =
            Gateway { books: self.books.clone(), oracle: self.oracle.clone(), clock: clock.clone(), way: way.clone() };
        let plan = &world.plan;
        let core = Core::new(CoreParts {
            store: self.server.connect(way.clone()),
            clock,
            gateways: vec![Arc::new(gateway)],
            ledger: None,
            threads: (0..plan.threads).map(|_| thread(world.clone(), gone.clone())).collect(),
            settings: NodeSettings {
                live_actors: plan.live_actors,
                idle: plan.idle,
                mailbox_depth: plan.mailbox_depth,
                records_in_flight: plan.records_in_flight,
                checkouts_per_vendor: plan.checkouts_per_vendor,
                records_since_checkpoint: plan.records_since_checkpoint,
                hold_ms: plan.hold_ms,
                payment_ms: plan.payment_ms,
                ..NodeSettings::default()
            },
            checkpoints: CheckpointSettings {
                interval: plan.checkpoint_interval,
                slice: plan.checkpoint_slice,
                ..CheckpointSettings::default()
            },
            on_decide: Some(panics(way.clone())),
            on_fatal,
        });
        let node = Arc::new(Node {
            number,
            engine: core.engine().clone(),
            way,
            gone: gone.clone(),
            in_flight: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            crash: OnceLock::new(),
            running: Mutex::default(),
            world: world.clone(),
        });
        let _ = itself.set(Arc::downgrade(&node));
        let starting = node.clone();
        let (owner, lease) = (format!("node {number}"), plan.lease);
        tokio::spawn(async move {
            let started = tokio::select! {
                biased;
                () = starting.gone.cancelled() => return,
                started = core.start(&owner, lease, true) => started,
            };
            match started {
                Ok(running) => {
                    let _ = starting.crash.set(running.crash());
                    *lock(&starting.running) = Some(running);
                    if starting.gone.is_cancelled() {
                        starting.crash.get().into_iter().for_each(Crash::now);
                    }
                    world.note(format_args!("node {number} is ready"));
                    starting.ready.store(true, Ordering::Relaxed);
                }
                Err(error) => starting.crash(&format!("it could not start: {error}")),
            }
        });
        lock(&self.nodes).push(node.clone());
        node
    }

    /// Forgets the nodes that have ended.
    pub fn tidy_up(&self) {
        lock(&self.nodes).retain(|node| !node.gone.is_cancelled());
    }
}

/// A thread of a node: a set of tasks of its own, which now and then stands still, and ends with the node.
fn thread(world: Arc<World>, gone: CancellationToken) -> Thread {
    let (send, mut starts) = mpsc::channel::<Box<dyn FnOnce() + Send>>(STARTS);
    let actors = LocalSet::new();
    actors.spawn_local(async move {
        while let Some(start) = starts.recv().await {
            start();
        }
    });
    let ended = gone.clone();
    spawn_local(async move {
        let mut actors = actors;
        let mut end = pin!(ended.cancelled());
        let mut stall: Option<Pin<Box<tokio::time::Sleep>>> = None;
        poll_fn(|context| {
            if end.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            if stall.is_none() && world.fault(world.plan.stalls) {
                let still = Duration::from_millis(world.chance.below(STALL_MS));
                stall = Some(Box::pin(tokio::time::sleep(still)));
            }
            if let Some(still) = &mut stall {
                if still.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                stall = None;
            }
            Pin::new(&mut actors).poll(context)
        })
        .await;
    });
    Arc::new(move |start| !gone.is_cancelled() && send.try_send(start).is_ok())
}

/// Makes decisions panic, each command once: what panics twice is refused for good, and that is another promise.
fn panics(way: Way) -> DecideHook {
    let before: Mutex<BTreeSet<u64>> = Mutex::default();
    Arc::new(move |entity: EntityRef, command: &dyn Debug| {
        way.point();
        if way.world.fault(way.world.plan.panics) {
            let command = xxhash_rust::xxh3::xxh3_64(format!("{entity} {command:?}").as_bytes());
            if lock(&before).insert(command) {
                way.world.counts.panics.fetch_add(1, Ordering::Relaxed);
                panic!("{PROVOKED}");
            }
        }
    })
}
