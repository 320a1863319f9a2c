//! Nodes: the real core of the server on simulated threads, over the simulated store, and their sudden end.

use crate::gateway::{Books, Gateway};
use crate::judges::Oracle;
use crate::people::Known;
use crate::post::{Letterbox, Post};
use crate::store::{Server, Way};
use crate::vans::{Depot, Van};
use crate::world::{SimulatedClock, World, lock};
use haat::actors::{DecideHook, NodeSettings, Shop, Thread};
use haat::app::core::{Core, CoreParts, CourierParts, Crash, MailParts, RunningCore};
use haat::app::sweep;
use haat::domain::ids::{EntityRef, Kind};
use haat::domain::order::AcceptanceSettings;
use haat::domain::pricing::Tables;
use haat::domain::rows::Shapes;
use haat::persistence::checkpointer::CheckpointSettings;
use haat::persistence::log_writer::Fatal;
use haat::ports::jobs::NoAccounts;
use haat::services::payments::Payments;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// What a provoked panic says.
pub const PROVOKED: &str = "provoked by the simulation";
/// Actors that wait to be started on one simulated thread.
const STARTS: usize = 100_000;
/// The longest that a simulated thread stands still, in milliseconds.
const STALL_MS: u64 = 400;
/// The most polls of tasks between two crashes that come between polls.
const POLLS: u64 = 2_000;
/// Of one vendor's panics the engine remembers so many for certain.
const REMEMBERED: u32 = 50;

/// One node.
pub struct Node {
    pub number: u64,
    pub shop: Shop,
    pub way: Way,
    pub clock: Arc<SimulatedClock>,
    /// Sees to what comes after payments.
    pub payments: Arc<Payments>,
    /// Cancelled when it does nothing by itself any more.
    upkeep: CancellationToken,
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

    pub fn world(&self) -> &World {
        &self.world
    }

    /// Ends it at once.
    pub fn crash(&self, why: &str) {
        if self.gone.is_cancelled() {
            return;
        }
        self.world.note(format_args!("node {} ends: {why}", self.number));
        self.shop.cut_off();
        if let Some(crash) = self.crash.get() {
            crash.now();
        }
        self.gone.cancel();
    }

    /// Ends it, wherever its tasks happen to wait, once some more of them have been polled.
    pub fn doom(self: &Arc<Self>) {
        let itself = Arc::downgrade(self);
        let crash = move || {
            let Some(node) = itself.upgrade().filter(|node| !node.gone.is_cancelled()) else { return };
            node.world.count("crashes between polls");
            node.crash("crashed between two polls");
        };
        self.world.doom(self.world.chance("crashes").below(POLLS), Arc::new(crash));
    }

    /// Cuts the way to the store.
    pub fn cut(&self, time: Duration) {
        self.world.note(format_args!("node {} is cut off for {time:?}", self.number));
        *lock(&self.way.cut_until) = Instant::now() + time;
    }

    /// Stops it in order, as the server does: no new requests, and those that were let in are answered first. Whether everything was
    /// written.
    pub async fn stop(&self) -> bool {
        let running = lock(&self.running).take();
        let Some(running) = running else { return false };
        self.world.note(format_args!("node {} stops", self.number));
        self.ready.store(false, Ordering::Relaxed);
        self.upkeep.cancel();
        self.shop.drain();
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
    /// The store's archive.
    pub archive: Arc<Server>,
    pub books: Arc<Books>,
    pub post: Arc<Post>,
    depot: Arc<Depot>,
    pub oracle: Arc<Oracle>,
    /// What people have made: for those who look at other people's things.
    pub made: Mutex<Vec<EntityRef>>,
    /// Orders that are paid at the door.
    pub cash: Mutex<Vec<haat::domain::ids::OrderId>>,
    /// The codes of coupons that they have heard of.
    pub codes: Mutex<Vec<Known>>,
    /// The tables of taxes, shipping and points, all versions.
    pub tables: Mutex<Vec<Arc<Tables>>>,
    /// The nodes that have not ended, the newest last.
    pub nodes: Mutex<Vec<Arc<Node>>>,
    started: Mutex<u64>,
    /// The shapes of the rows that the version gives of which new nodes are.
    shapes: Mutex<Shapes>,
    /// Commands that panic whenever they are tried, by what they say.
    poisoned: Arc<Mutex<BTreeSet<u64>>>,
}

impl Town {
    pub fn new(seed: u64, long: bool) -> Arc<Self> {
        let world = Arc::new(World::new(seed, long));
        let books = Books::new(world.clone());
        let (post, depot) = (Post::new(world.clone()), Depot::new(world.clone()));
        let oracle = Oracle::new(world.clone(), books.clone(), post.clone());
        let server = Server::new(world.clone(), oracle.clone());
        let programme = world.plan.programme.clone();
        let first = programme.map(|loyalty| Arc::new(Tables { loyalty: Some(loyalty), ..Tables::default() }));
        Arc::new(Self {
            clock: Arc::new(SimulatedClock::new(world.clone())),
            archive: Server::archive_of(&server),
            server,
            books,
            post,
            depot,
            oracle,
            made: Mutex::default(),
            cash: Mutex::default(),
            codes: Mutex::default(),
            tables: Mutex::new(first.into_iter().collect()),
            nodes: Mutex::default(),
            started: Mutex::default(),
            shapes: Mutex::default(),
            poisoned: Arc::default(),
            world,
        })
    }

    /// A node that takes requests, if there is one; mostly the newest.
    pub fn node(&self) -> Option<Arc<Node>> {
        let nodes = lock(&self.nodes);
        let ready: Vec<&Arc<Node>> = nodes.iter().filter(|node| node.is_ready()).collect();
        match self.world.chance("which node is asked").per_mille(500) {
            true => ready.first().copied().cloned(),
            false => ready.last().copied().cloned(),
        }
    }

    /// Writes tables, made of those before.
    pub fn write_tables(&self, make: impl FnOnce(Tables) -> Tables) {
        let mut all = lock(&self.tables);
        let next = make(all.last().map_or_else(Tables::default, |tables| Tables::clone(tables)));
        all.push(Arc::new(next));
        self.world.note(format_args!("tables have version {}", all.len()));
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
        let itself: Arc<OnceLock<Weak<Node>>> = Arc::default();
        let end = {
            let itself = itself.clone();
            move |why: &str| {
                if let Some(node) = itself.get().and_then(Weak::upgrade) {
                    node.crash(why);
                }
            }
        };
        let end = Arc::new(end);
        let crashes = {
            let (end, world) = (end.clone(), world.clone());
            Arc::new(move || {
                world.count("crashes");
                end("crashed");
            })
        };
        let clock = Arc::new(SimulatedClock::of_a_node(world.clone()));
        let way = Way::new(world.clone(), crashes, clock.clone());
        let on_fatal = {
            let (end, world, server, clock) = (end.clone(), world.clone(), self.server.clone(), clock.clone());
            Arc::new(move |fatal: Fatal| {
                let owns = server.owner() == format!("node {number}");
                match fatal {
                    Fatal::Broken => world.breach("a node met a state that cannot be"),
                    Fatal::Fenced if owns => world.breach("a node was fenced, and by nobody"),
                    Fatal::Fenced => {}
                    Fatal::Skewed if clock.is_wrong() => world.count("clocks found wrong"),
                    Fatal::Skewed => world.breach("a node ended for its clock, which was right"),
                }
                end(&fatal.to_string());
            })
        };
        let gateway =
            Gateway { books: self.books.clone(), oracle: self.oracle.clone(), clock: clock.clone(), way: way.clone() };
        let van = Van { depot: self.depot.clone(), way: way.clone() };
        let letterbox = Letterbox { post: self.post.clone(), node: number, gone: gone.clone(), way: way.clone() };
        let (plan, shapes) = (&world.plan, self.shapes_of_the_next());
        let core = Core::new(CoreParts {
            store: self.server.connect(way.clone()),
            clock: clock.clone(),
            gateways: vec![Arc::new(gateway)],
            charge_log: None,
            mails: MailParts {
                mailer: Some(Arc::new(letterbox)),
                letters: Arc::new(NoAccounts),
                public_url: String::new(),
                per_second: plan.mails_per_second,
            },
            couriers: CourierParts { couriers: vec![Arc::new(van)], told: self.depot.clone() },
            customers: Arc::new(NoAccounts),
            acceptance: AcceptanceSettings::default(),
            new_jobs: Arc::default(),
            tracer: None,
            threads: (0..plan.threads).map(|_| thread(world.clone(), gone.clone())).collect(),
            settings: NodeSettings {
                live_actors: plan.live_actors,
                idle: plan.idle,
                mailbox_depth: plan.mailbox_depth,
                records_in_flight: plan.records_in_flight,
                checkouts_per_vendor: plan.checkouts_per_vendor,
                records_since_checkpoint: plan.records_since_checkpoint,
                shop: haat::domain::knowledge::Settings {
                    hold_ms: plan.hold_ms,
                    payment_ms: plan.payment_ms,
                    ..haat::domain::knowledge::Settings::DEFAULT
                },
                payment_calls_per_second: plan.payment_calls_per_second,
                silent_orders: plan.silent_orders,
                silence: plan.silence,
                shapes,
                ..NodeSettings::default()
            },
            checkpoints: CheckpointSettings {
                interval: plan.checkpoint_interval,
                slice: plan.checkpoint_slice,
                remake_slice: plan.remake_slice,
                ..CheckpointSettings::default()
            },
            on_decide: Some(panics(way.clone(), self.poisoned.clone(), self.oracle.clone())),
            on_fatal,
        });
        // It knows them before it takes requests.
        let newest = lock(&self.tables).last().cloned();
        newest.into_iter().for_each(|tables| core.shop().show_tables(Tables::clone(&tables)));
        let (rows, news) = (self.server.payment_rows(way.clone()), core.jobs().1);
        let payments = Arc::new(Payments::new(rows, clock.clone(), news));
        let node = Arc::new(Node {
            number,
            shop: core.shop().clone(),
            way,
            clock,
            payments,
            upkeep: gone.child_token(),
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
                    let (payments, shop) = (starting.payments.clone(), starting.shop.clone());
                    tokio::spawn(sweep::payments(payments, shop, starting.clock.clone(), starting.upkeep.clone()));
                    starting.ready.store(true, Ordering::Relaxed);
                }
                Err(error) => starting.crash(&format!("it could not start: {error}")),
            }
        });
        lock(&self.nodes).push(node.clone());
        node
    }

    /// The shapes that the next node gives, which may be of a newer version than the last; in the end all are of the newest.
    fn shapes_of_the_next(&self) -> Shapes {
        let (world, newest) = (&self.world, self.world.plan.shapes());
        let mut shapes = lock(&self.shapes);
        for kind in [Kind::Order, Kind::Vendor] {
            if world.is_calm() {
                *shapes = newest;
            } else if shapes.of(kind) < newest.of(kind) && world.fault("newer nodes", world.plan.newer_nodes) {
                *shapes = shapes.raised(kind, 1);
            }
        }
        *shapes
    }

    /// Whether all nodes that were started give the newest rows from now on.
    pub fn is_of_the_newest_version(&self) -> bool {
        *lock(&self.shapes) == self.world.plan.shapes()
    }

    /// Forgets the nodes that have ended.
    pub fn tidy_up(&self) {
        lock(&self.nodes).retain(|node| !node.gone.is_cancelled());
    }
}

/// A thread of a node, which now and then stands still, and ends with the node.
fn thread(world: Arc<World>, gone: CancellationToken) -> Thread {
    let (send, mut starts) = mpsc::channel::<Box<dyn FnOnce() + Send>>(STARTS);
    let ended = gone.clone();
    spawn_local(async move {
        let still_until = Rc::new(Cell::new(Instant::now()));
        while let Some(Some(start)) = ended.run_until_cancelled(starts.recv()).await {
            // Its actors have a set of tasks each, so that something can come between two of them.
            let actor = LocalSet::new();
            {
                let _inside = actor.enter();
                start();
            }
            spawn_local(live(actor, world.clone(), ended.clone(), still_until.clone()));
        }
    });
    Arc::new(move |start| !gone.is_cancelled() && send.try_send(start).is_ok())
}

/// Polls an actor for as long as its node lives and its thread does not stand still.
async fn live(mut actor: LocalSet, world: Arc<World>, gone: CancellationToken, still_until: Rc<Cell<Instant>>) {
    let mut end = pin!(gone.cancelled());
    let mut stall: Option<Pin<Box<tokio::time::Sleep>>> = None;
    poll_fn(|context| {
        world.between_polls();
        if end.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        if stall.is_none() {
            if world.fault("stalls", world.plan.stalls) {
                let still = Duration::from_millis(world.chance("stalls").below(STALL_MS));
                still_until.set(still_until.get().max(Instant::now() + still));
            }
            if still_until.get() > Instant::now() {
                stall = Some(Box::pin(sleep_until(still_until.get())));
            }
        }
        if let Some(still) = &mut stall {
            if still.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            stall = None;
        }
        Pin::new(&mut actor).poll(context)
    })
    .await;
}

/// Makes decisions panic: most commands once, those that are poisoned whenever they are tried.
fn panics(way: Way, poisoned: Arc<Mutex<BTreeSet<u64>>>, oracle: Arc<Oracle>) -> DecideHook {
    let before: Mutex<BTreeSet<u64>> = Mutex::default();
    // How often this node has tried each poisoned command, and how often each vendor has panicked.
    let tried: Mutex<BTreeMap<u64, u32>> = Mutex::default();
    let restarts: Mutex<BTreeMap<EntityRef, u32>> = Mutex::default();
    Arc::new(move |entity: EntityRef, command: &dyn Debug| {
        way.point();
        let (world, plan) = (&way.world, &way.world.plan);
        if world.is_calm() || (plan.panics == 0 && plan.poison == 0) {
            return;
        }
        let text = format!("{entity} {command:?}");
        let hash = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
        // Without its vendors a shop does not open.
        let is_vital = text.contains(" Create {") || text.contains(" AddProduct {");
        let mut poisoned = lock(&poisoned);
        if poisoned.contains(&hash) || (!is_vital && world.fault("poisoned commands", plan.poison)) {
            poisoned.insert(hash);
            // An actor that leaves memory forgets what made it panic: at once, when its entity was never made. Here vendors stay.
            let stays = entity.kind == Kind::Vendor
                && oracle.answers.floor(entity) > 0
                && plan.idle > Duration::from_secs(3_600);
            *lock(&tried).entry(hash).or_default() += u32::from(stays);
            *lock(&restarts).entry(entity).or_default() += 1;
            let (times, of_all) = (lock(&tried)[&hash], lock(&restarts)[&entity]);
            if times > 2 && of_all < REMEMBERED {
                world.breach(format_args!("tried again after it had panicked twice: {text}"));
            }
            panic!("{PROVOKED}");
        }
        if world.fault("panics", plan.panics) && lock(&before).insert(hash) {
            *lock(&restarts).entry(entity).or_default() += 1;
            panic!("{PROVOKED}");
        }
    })
}
