//! What one simulated run shares: chance, time, the plan of what may go wrong, the trace, and the breaches found.

use haat::adapters::clock::{Readings, SteadyClock};
use haat::domain::ids::{EntityRef, Kind};
use haat::domain::loyalty::{Programme, Tier, WHOLE};
use haat::domain::money::{Currency, Money};
use haat::domain::rows::Shapes;
use haat::domain::time::Timestamp;
use haat::limits;
use haat::ports::Clock;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// The wall clock's time when a run begins, in milliseconds since the Unix epoch.
const BEGINNING_MS: i64 = 1_700_000_000_000;
/// Breaches that are kept: the first ones tell what is wrong.
const BREACHES: usize = 20;
/// So many times the buyers of an ordinary run has a long one.
const LONG_BUYERS: u64 = 4;
/// And each does so many times as much.
const LONG_ACTIONS: u64 = 40;

/// Locks what only one thread uses. A panic that was caught while it was held concerns nobody.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A source of randomness of a run: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). There is one for
/// each feature and each person, so that one draw more in one of them leaves all others what they were.
pub struct Chance(AtomicU64);

impl Chance {
    /// The chance of the feature or person of this name in the run of this seed: it follows from the two and from nothing else.
    pub fn fork(seed: u64, name: &str) -> Self {
        Self(AtomicU64::new(xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), seed)))
    }

    pub fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is small: the bias of the remainder does not matter.
    pub fn below(&self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A number from `first` to `last`, both possible.
    pub fn between(&self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True so many times in a thousand.
    pub fn per_mille(&self, times: u64) -> bool {
        self.below(1_000) < times
    }

    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// Some time passes, mostly none.
    pub async fn pause(&self, longest_ms: u64) {
        match self.below(4) {
            0 => {}
            1 => tokio::task::yield_now().await,
            2 => tokio::time::sleep(Duration::from_millis(1)).await,
            _ => tokio::time::sleep(Duration::from_millis(self.below(longest_ms + 1))).await,
        }
    }
}

/// What may go wrong in a run, and how often. Each seed has its own mixture: some faults hide others.
#[derive(Debug)]
pub struct Plan {
    /// Whether whoever is told that it is too much asks again only later: else a long run is mostly such answers.
    pub patient: bool,
    pub buyers: u64,
    pub staff: u64,
    /// Whether the shop has taxes and vendors have methods of shipping: then what is shown in a cart is not all that is to be paid.
    pub has_tables: bool,
    /// What each buyer does.
    pub actions: u64,
    pub pieces: i64,
    pub threads: u64,
    pub live_actors: usize,
    pub idle: Duration,
    pub mailbox_depth: usize,
    pub records_in_flight: usize,
    pub checkouts_per_vendor: usize,
    pub records_since_checkpoint: u64,
    /// How far the clocks of two nodes may be apart, in milliseconds.
    pub skew_ms: u64,
    pub hold_ms: i64,
    pub payment_ms: i64,
    pub lease: Duration,
    pub checkpoint_interval: Duration,
    pub checkpoint_slice: usize,
    pub remake_slice: usize,
    /// The longest pause between two actions of one buyer, in milliseconds.
    pub think_ms: u64,
    /// The longest time between two troubles, in milliseconds; none when it is 0.
    pub trouble_ms: u64,
    // All below are times in a thousand.
    pub takeovers: u64,
    pub stops: u64,
    /// The way between a node and its store is cut for a while.
    pub cuts: u64,
    pub lost_requests: u64,
    pub lost_answers: u64,
    pub slow_store: u64,
    pub failing_checkpoints: u64,
    pub failing_reads: u64,
    pub failing_gateway: u64,
    pub slow_gateway: u64,
    pub panics: u64,
    pub stalls: u64,
    /// Of all crashes, those that come between two polls of tasks, wherever these wait, rather than at a chosen point.
    pub crashes_between_polls: u64,
    /// All machines sleep, for hours or for a day: what the runtime waits for does not come nearer.
    pub leaps: u64,
    /// What the store holds of one entity cannot be read any more.
    pub damage: u64,
    /// Commands that panic whenever they are tried.
    pub poison: u64,
    /// Captures whose rows a constraint of the read tables refuses.
    pub refusals: u64,
    /// Buyers that use up all the keys a cart keeps.
    pub floods: u64,
    /// Times at which old frames are moved to an archive.
    pub archives: u64,
    /// Charges of which the provider's books hold another amount than was asked for.
    pub other_amounts: u64,
    /// Charges that the provider will not undo, however often it is asked.
    pub refused_voids: u64,
    /// Refunds of parts that the provider will not carry out, and those that it carries out later.
    pub refused_refunds: u64,
    pub pending_refunds: u64,
    /// Looks at payments that are not written.
    pub failing_looks: u64,
    /// Answers of the payment provider that are as of before what it has done.
    pub stale_answers: u64,
    /// Whether the payment provider lists what has changed, and loses notices; else it sends each until it is taken, and lists nothing.
    pub lists_changes: bool,
    /// The payment provider answers nobody for a long while.
    pub silences: u64,
    /// So many orders in a row without an answer tell a node that it does.
    pub silent_orders: usize,
    pub silence: Duration,
    pub payment_calls_per_second: u32,
    pub mails_per_second: u32,
    /// The wall clock of one node is set wrong.
    pub wrong_clocks: u64,
    /// Nodes that are of a version which gives rows of another shape than the one before.
    pub newer_nodes: u64,
    /// How often the shape of orders' rows is raised in the end, and that of vendors'.
    pub raised: [u32; 2],
    /// The programme of points that the shop begins with; none in some.
    pub programme: Option<Programme>,
}

/// What a shop may give for what is bought. Its zones put no clock forward.
fn programme(chance: &Chance) -> Option<Programme> {
    let tier = |name: &str, from, multiplier_basis_points| Tier {
        name: name.into(),
        from: Money::new(from, Currency::BDT),
        multiplier_basis_points,
    };
    let tiers = vec![tier("silver", 1_500, WHOLE + WHOLE / 2), tier("gold", 6_000, 2 * WHOLE)];
    chance.per_mille(850).then(|| Programme {
        version: 1,
        earn_basis_points: *chance.pick(&[500, 3_000, WHOLE]),
        point_values: vec![Money::new(*chance.pick(&[1, 7, 100]), Currency::BDT)],
        earn_after_days: *chance.pick(&[0, 0, 0, 1]),
        expires_days: *chance.pick(&[0, 0, 1, 30]),
        time_zone: (*chance.pick(&["UTC", "Asia/Dhaka", "Africa/Lagos", "Africa/Lagos"])).into(),
        tiers: if chance.per_mille(800) { tiers } else { Vec::new() },
    })
}

impl Plan {
    fn new(seed: u64, long: bool) -> Self {
        // Each is drawn of its own name: one more leaves all others of all seeds what they are.
        let of = |name: &str| Chance::fork(seed, &format!("plan: {name}"));
        // A fault is left out of half of the runs.
        let often = |name: &str, most: u64| {
            let chance = of(name);
            if chance.per_mille(500) { 0 } else { chance.between(1, most) }
        };
        let payment_ms = of("payment_ms").between(2_000, 20_000) as i64;
        let (buyers, actions) = if long { (LONG_BUYERS, LONG_ACTIONS) } else { (1, 1) };
        Self {
            patient: long,
            buyers: of("buyers").between(3, 10) * buyers,
            staff: of("staff").between(1, 3),
            has_tables: of("has_tables").per_mille(500),
            actions: of("actions").between(30, 100) * actions,
            pieces: of("pieces").between(5, 60) as i64 * buyers as i64,
            threads: of("threads").between(1, 3),
            live_actors: if of("live_actors").per_mille(400) { 1 } else { 1_000 },
            // Actors that leave soon and come back hide what an actor that stays forgets.
            idle: Duration::from_millis(*of("idle").pick(&[0, 500, 5_000, 86_400_000])),
            mailbox_depth: *of("mailbox_depth").pick(&[2, 10_000, 10_000]),
            records_in_flight: *of("records_in_flight").pick(&[15, 50, 50_000, 50_000]),
            checkouts_per_vendor: *of("checkouts_per_vendor").pick(&[1, 3, 50_000, 50_000]),
            records_since_checkpoint: *of("records_since_checkpoint").pick(&[20, 1_000_000, 1_000_000]),
            skew_ms: *of("skew_ms").pick(&[0, 50, 5_000, 45_000]),
            hold_ms: payment_ms + of("hold_ms").between(0, 10_000) as i64 - 1_000,
            payment_ms,
            lease: Duration::from_millis(of("lease").between(600, 5_000)),
            checkpoint_interval: Duration::from_millis(*of("checkpoint_interval").pick(&[5, 50, 500, 500, 4_000])),
            checkpoint_slice: *of("checkpoint_slice").pick(&[1, 3, 500]),
            remake_slice: *of("remake_slice").pick(&[1, 3, 64]),
            think_ms: *of("think_ms").pick(&[5, 100, 1_000]),
            trouble_ms: *of("trouble_ms").pick(&[0, 300, 2_000, 2_000, 8_000]),
            takeovers: often("takeovers", 500),
            stops: often("stops", 300),
            cuts: often("cuts", 700),
            lost_requests: often("lost_requests", 100),
            lost_answers: often("lost_answers", 100),
            slow_store: often("slow_store", 60),
            failing_checkpoints: often("failing_checkpoints", 200),
            failing_reads: often("failing_reads", 10),
            failing_gateway: often("failing_gateway", 200),
            slow_gateway: often("slow_gateway", 150),
            panics: often("panics", 15),
            stalls: often("stalls", 20),
            crashes_between_polls: *of("crashes_between_polls").pick(&[0, 500, 1_000]),
            leaps: often("leaps", 600),
            damage: often("damage", 300),
            poison: often("poison", 10),
            refusals: often("refusals", 60),
            floods: often("floods", 10),
            archives: often("archives", 900),
            other_amounts: often("other_amounts", 80),
            refused_voids: often("refused_voids", 600),
            refused_refunds: often("refused_refunds", 400),
            pending_refunds: often("pending_refunds", 400),
            failing_looks: often("failing_looks", 700),
            stale_answers: often("stale_answers", 600),
            lists_changes: of("lists_changes").per_mille(500),
            silences: often("silences", 900),
            silent_orders: *of("silent_orders").pick(&[1, 2, 5, 20]),
            silence: Duration::from_millis(*of("silence").pick(&[0, 2_000, 30_000])),
            payment_calls_per_second: *of("payment_calls_per_second").pick(&[1, 20, 10_000, 10_000]),
            mails_per_second: of("mails_per_second").between(1, 100) as u32,
            wrong_clocks: often("wrong_clocks", 400),
            newer_nodes: often("newer_nodes", 900),
            raised: ["raised orders", "raised vendors"].map(|name| of(name).below(3) as u32),
            programme: programme(&of("programme")),
        }
    }

    /// The shapes of the rows that the newest version gives.
    pub fn shapes(&self) -> Shapes {
        let [orders, vendors] = self.raised;
        Shapes::default().raised(Kind::Order, orders).raised(Kind::Vendor, vendors)
    }
}

/// A crash that comes when so many more polls have been made.
struct Doom {
    polls: u64,
    crash: Arc<dyn Fn() + Send + Sync>,
}

/// What one run shares.
pub struct World {
    seed: u64,
    /// The chance of each feature that has drawn.
    chances: Mutex<BTreeMap<&'static str, Arc<Chance>>>,
    pub plan: Plan,
    begun: Instant,
    /// How often what happened.
    counts: Mutex<BTreeMap<&'static str, u64>>,
    /// For how long the machines have slept beside the runtime's time, in milliseconds.
    leapt_ms: AtomicI64,
    trace: Mutex<Vec<String>>,
    /// Whether the trace is shown as it grows: so also that of a run which never ends.
    tells: bool,
    breaches: Mutex<Vec<String>>,
    calm: AtomicBool,
    /// Points that may still be passed before a crash; none is wanted below zero.
    fuse: AtomicI64,
    doom: Mutex<Option<Doom>>,
    /// All programmes of points that the shop has had.
    programmes: Mutex<Vec<Programme>>,
    /// The entities that were ever damaged, by their ids.
    damaged: Mutex<BTreeSet<String>>,
}

impl World {
    pub fn new(seed: u64, long: bool) -> Self {
        let plan = Plan::new(seed, long);
        let programmes = Mutex::new(plan.programme.iter().cloned().collect());
        let world = Self {
            seed,
            chances: Mutex::default(),
            plan,
            begun: Instant::now(),
            counts: Mutex::default(),
            leapt_ms: AtomicI64::new(0),
            trace: Mutex::default(),
            tells: std::env::var_os("HAAT_SIMULATION_TRACE").is_some(),
            breaches: Mutex::default(),
            calm: AtomicBool::new(false),
            fuse: AtomicI64::new(-1),
            doom: Mutex::default(),
            programmes,
            damaged: Mutex::default(),
        };
        world.note(format_args!("{:?}", world.plan));
        world
    }

    /// This entity is damaged from now on.
    pub fn damages(&self, entity: EntityRef) {
        lock(&self.damaged).insert(entity.to_string());
    }

    /// The entities that were ever damaged, by their ids.
    pub fn damaged(&self) -> BTreeSet<String> {
        lock(&self.damaged).clone()
    }

    /// The chance of one feature.
    pub fn chance(&self, of: &'static str) -> Arc<Chance> {
        lock(&self.chances).entry(of).or_insert_with(|| Arc::new(self.fork(of))).clone()
    }

    /// A chance of someone's own.
    pub fn fork(&self, name: &str) -> Chance {
        Chance::fork(self.seed, name)
    }

    /// The programme of points that is written next, made of the newest.
    pub fn next_programme(&self, change: impl FnOnce(&mut Programme)) -> Option<Programme> {
        let mut all = lock(&self.programmes);
        let mut next = all.last()?.clone();
        change(&mut next);
        next.version += 1;
        all.push(next.clone());
        Some(next)
    }

    /// The programme of this version.
    pub fn programme(&self, version: u64) -> Option<Programme> {
        lock(&self.programmes).iter().find(|programme| programme.version == version).cloned()
    }

    /// Writes a line of the trace.
    pub fn note(&self, line: impl Display) {
        let line = format!("{} {line}", self.begun.elapsed().as_millis());
        if self.tells {
            println!("{line}");
        }
        lock(&self.trace).push(line);
    }

    /// Counts what has happened.
    pub fn count(&self, what: &'static str) {
        *lock(&self.counts).entry(what).or_default() += 1;
    }

    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.counts).clone()
    }

    pub fn take_trace(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.trace))
    }

    /// Something is not as it must be.
    pub fn breach(&self, what: impl Display) {
        self.note(format_args!("BREACH {what}"));
        let mut breaches = lock(&self.breaches);
        if breaches.len() < BREACHES {
            breaches.push(what.to_string());
        }
    }

    pub fn breaches(&self) -> Vec<String> {
        lock(&self.breaches).clone()
    }

    /// From now on nothing goes wrong.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
        self.fuse.store(-1, Ordering::Relaxed);
        *lock(&self.doom) = None;
    }

    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// Whether this fault comes now, which comes so many times in a thousand.
    pub fn fault(&self, what: &'static str, per_mille: u64) -> bool {
        let comes = per_mille > 0 && !self.is_calm() && self.chance(what).per_mille(per_mille);
        if comes {
            self.count(what);
        }
        comes
    }

    /// Lets `crash` come after so many more polls of tasks.
    pub fn doom(&self, polls: u64, crash: Arc<dyn Fn() + Send + Sync>) {
        *lock(&self.doom) = Some(Doom { polls, crash });
    }

    pub fn is_doomed(&self) -> bool {
        lock(&self.doom).is_some()
    }

    /// Called between any two polls of tasks.
    pub fn between_polls(&self) {
        let due = {
            let mut doom = lock(&self.doom);
            match doom.as_mut() {
                Some(doom) if doom.polls > 0 => {
                    doom.polls -= 1;
                    None
                }
                _ => doom.take(),
            }
        };
        if let Some(doom) = due {
            (doom.crash)();
        }
    }

    /// The wall clock, as one that is set right shows it.
    pub fn now(&self) -> Timestamp {
        let passed = self.begun.elapsed().as_millis() as i64;
        Timestamp::from_millis(BEGINNING_MS + passed + self.leapt_ms.load(Ordering::Relaxed))
    }

    /// All machines sleep.
    pub fn leap(&self, by_ms: i64) {
        self.note(format_args!("the machines sleep for {by_ms} ms"));
        self.leapt_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Lets a crash come after so many more points.
    pub fn light_fuse(&self, points: u64) {
        self.fuse.store(points as i64, Ordering::Relaxed);
    }

    /// A point at which a crash may come; whether it does.
    pub fn crashes_here(&self) -> bool {
        let left = self.fuse.load(Ordering::Relaxed);
        if left < 0 {
            return false;
        }
        self.fuse.store(left - 1, Ordering::Relaxed);
        left == 0
    }
}

/// What the clocks of one node's machine show: the wall clock is not set quite right, or quite wrong.
pub struct Machine {
    world: Arc<World>,
    ahead_ms: i64,
    wrong_ms: AtomicI64,
}

impl Readings for Machine {
    fn wall_ms(&self) -> i64 {
        self.world.now().as_millis() + self.ahead_ms + self.wrong_ms.load(Ordering::Relaxed)
    }

    fn since_boot(&self) -> Duration {
        self.world.begun.elapsed() + Duration::from_millis(self.world.leapt_ms.load(Ordering::Relaxed) as u64)
    }
}

/// The clock of one node: the engine's own over simulated readings, but for chance.
pub struct SimulatedClock {
    steady: SteadyClock<Machine>,
}

impl SimulatedClock {
    pub fn new(world: Arc<World>) -> Self {
        let ahead_ms = world.chance("clocks").below(world.plan.skew_ms + 1) as i64;
        Self { steady: SteadyClock::over(Machine { world, ahead_ms, wrong_ms: AtomicI64::new(0) }) }
    }

    /// The clock of a node that starts: its wall clock may be wrong from the beginning.
    pub fn of_a_node(world: Arc<World>) -> Self {
        let ahead_ms = world.chance("clocks").below(world.plan.skew_ms + 1) as i64;
        let wrong = Self::draw_wrong(&world, "starts with a wrong clock").unwrap_or(0);
        Self { steady: SteadyClock::over(Machine { world, ahead_ms, wrong_ms: AtomicI64::new(wrong) }) }
    }

    /// By how much a wall clock is to be wrong, if it is.
    fn draw_wrong(world: &World, what: &'static str) -> Option<i64> {
        const HOUR: i64 = 3_600_000;
        // Beyond what all other differences together can take back.
        let least = limits::CLOCK_SKEW_MS + world.plan.skew_ms as i64 + 120_000;
        let by =
            [least, -least, 6 * HOUR, -6 * HOUR, 24 * HOUR, -24 * HOUR, 200 * 365 * 24 * HOUR, -50 * 365 * 24 * HOUR];
        let comes = world.plan.wrong_clocks > 0
            && !world.is_calm()
            && world.chance("wrong clocks").per_mille(world.plan.wrong_clocks);
        comes.then(|| {
            world.count(what);
            *world.chance("wrong clocks").pick(&by)
        })
    }

    /// Somebody sets the wall clock wrong, at times, or right again.
    pub fn fiddle(&self) {
        let machine = self.steady.readings();
        if let Some(wrong) = Self::draw_wrong(&machine.world, "clocks set wrong") {
            machine.world.note(format_args!("a clock is set wrong by {wrong} ms"));
            machine.wrong_ms.store(wrong, Ordering::Relaxed);
        } else if machine.world.chance("wrong clocks").per_mille(300) {
            machine.wrong_ms.store(0, Ordering::Relaxed);
        }
    }

    /// Whether its wall clock is wrong.
    pub fn is_wrong(&self) -> bool {
        self.steady.readings().wrong_ms.load(Ordering::Relaxed) != 0
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        self.steady.now()
    }

    fn wall(&self) -> Timestamp {
        self.steady.wall()
    }

    fn since_boot(&self) -> Duration {
        self.steady.since_boot()
    }

    fn new_uuid(&self) -> Uuid {
        let time = (self.now().as_millis() as u128) << 80;
        let chance = self.steady.readings().world.chance("ids");
        let chance = (u128::from(chance.next()) << 64) | u128::from(chance.next());
        let version_and_variant = (0x7 << 76) | (0x2 << 62);
        let free = (1u128 << 80) - 1 - (0xf << 76) - (0x3 << 62);
        Uuid::from_u128(time | version_and_variant | (chance & free))
    }

    fn advance_to(&self, floor: Timestamp) {
        self.steady.advance_to(floor);
    }

    fn jump_ms(&self) -> Option<i64> {
        self.steady.jump_ms()
    }

    fn watch(&self) {
        self.steady.watch();
    }

    fn follow(&self) {
        self.steady.follow();
    }
}
