//! One run: a shop opens, people come, nodes crash and are replaced; then it becomes quiet, and everything is checked.

use crate::node::{Node, PROVOKED, Town};
use crate::people::{Person, VENDORS};
use crate::store::Way;
use crate::world::lock;
use haat::app::audit;
use std::cell::RefCell;
use std::panic;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Once};
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

/// No run needs more simulated time than this to come to rest.
const REST: Duration = Duration::from_secs(3_600);
/// And none needs more until all people have gone home.
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The longest that a node is cut off from its store, in milliseconds.
const CUT_MS: u64 = 20_000;
/// The most points passed between two crashes at a chosen point.
const FUSE: u64 = 300;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What a run was.
pub struct Outcome {
    pub trace: Vec<String>,
    pub breaches: Vec<String>,
    /// Actions, answers, commits, records, checkpoints, crashes, take-overs, panics.
    pub counts: [u64; 8],
}

/// Runs one seed, on this thread alone.
pub fn run(seed: u64) -> Outcome {
    note_panics();
    PANICS.take();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread needs nothing that could be missing");
    let people = LocalSet::new();
    let mut outcome = people.block_on(&runtime, live(seed));
    drop(people);
    drop(runtime);
    outcome.breaches.extend(PANICS.take().into_iter().map(|panic| format!("a panic: {panic}")));
    outcome
}

/// A panic that nobody provoked is a breach, also where the engine catches it.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let payload = info.payload_as_str().unwrap_or_default();
            if payload == PROVOKED {
                return;
            }
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            PANICS.with_borrow_mut(|panics| panics.push(format!("{payload} at {place}")));
            before(info);
        }));
    });
}

async fn live(seed: u64) -> Outcome {
    let town = Town::new(seed);
    let world = town.world.clone();
    town.start();
    let mut guests = Vec::new();
    for number in 0..VENDORS {
        let mut seller = Person::new(town.clone(), format!("seller {number}"));
        guests.push(tokio::task::spawn_local(async move {
            seller.open_shop(number).await;
            seller.sell(number).await;
        }));
    }
    for number in 0..world.plan.buyers {
        guests.push(tokio::task::spawn_local(Person::new(town.clone(), format!("buyer {number}")).buy()));
    }
    for number in 0..world.plan.staff {
        guests.push(tokio::task::spawn_local(Person::new(town.clone(), format!("staff {number}")).watch()));
    }
    let trouble = tokio::task::spawn_local(trouble(town.clone()));
    let all = async {
        for guest in guests {
            if guest.await.is_err() {
                world.breach("a person panicked");
            }
        }
    };
    if timeout(DAY, all).await.is_err() {
        world.breach("people still wait for an answer after a day");
    }
    trouble.abort();
    world.calm_down();
    come_to_rest(&town).await;
    let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    let counts = &world.counts;
    Outcome {
        trace: world.take_trace(),
        breaches: world.breaches(),
        counts: [
            count(&counts.actions),
            count(&counts.answers),
            count(&counts.commits),
            count(&counts.records),
            count(&counts.checkpoints),
            count(&counts.crashes),
            count(&counts.takeovers),
            count(&counts.panics),
        ],
    }
}

/// Makes nodes crash, stop, and take the store from each other.
async fn trouble(town: Arc<Town>) {
    let world = town.world.clone();
    loop {
        town.tidy_up();
        let newest = lock(&town.nodes).last().cloned();
        let Some(newest) = newest else {
            sleep(Duration::from_millis(world.chance.below(2_000))).await;
            town.start();
            continue;
        };
        if world.plan.trouble_ms == 0 {
            // Here only what the network and the store do goes wrong; should a node end for that, there is another.
            let _ = timeout(Duration::from_secs(1), newest.gone.cancelled()).await;
            continue;
        }
        sleep(Duration::from_millis(world.chance.below(world.plan.trouble_ms))).await;
        if world.fault(world.plan.cuts) {
            newest.cut(Duration::from_millis(world.chance.below(CUT_MS)));
        }
        if world.fault(world.plan.takeovers) {
            world.counts.takeovers.fetch_add(1, Ordering::Relaxed);
            if world.fault(600) {
                // The former owner learns of nothing, and people who cannot know better go on asking it.
                newest.cut(Duration::from_millis(world.chance.between(CUT_MS / 4, CUT_MS)));
            }
            let successor = town.start();
            for _ in 0..100 {
                if successor.is_ready() || successor.gone.is_cancelled() {
                    break;
                }
                sleep(Duration::from_millis(100)).await;
            }
        } else if world.fault(world.plan.stops) {
            // By itself: a stop that was begun is carried to its end.
            let _ = tokio::task::spawn_local(async move { newest.stop().await }).await;
        } else {
            // A crash at a chosen point: in the middle of a decision, or when a request comes or has been carried out.
            world.light_fuse(world.chance.below(FUSE));
            let _ = timeout(Duration::from_secs(20), newest.gone.cancelled()).await;
        }
    }
}

/// One node stays, nothing goes wrong any more, and everything comes to its end.
async fn come_to_rest(town: &Arc<Town>) {
    let world = &town.world;
    world.note("calm");
    let node = loop {
        town.tidy_up();
        let ready = lock(&town.nodes).iter().rev().find(|node| node.is_ready()).cloned();
        let newest = lock(&town.nodes).last().cloned();
        match (ready, newest) {
            (Some(ready), Some(newest)) if ready.number == newest.number => {
                // A former owner that has heard of nothing yet must end by itself.
                sleep(Duration::from_secs(30)).await;
                town.tidy_up();
                if lock(&town.nodes).len() == 1 {
                    break ready;
                }
                if newest.is_ready() {
                    world.breach("two nodes live on");
                    break ready;
                }
            }
            (_, Some(_)) => sleep(Duration::from_millis(100)).await,
            (_, None) => drop(town.start()),
        }
    };
    let rest = async {
        while !town.oracle.is_at_rest() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    if timeout(REST, rest).await.is_err() {
        world.breach(format_args!("never at rest: {:?}", town.oracle.unfinished()));
    }
    check(town, &node).await;
}

async fn check(town: &Arc<Town>, node: &Arc<Node>) {
    let world = &town.world;
    world.note(format_args!("at rest: {:?}", town.oracle.order_counts()));
    town.oracle.check_at_rest();
    match node.engine.directory() {
        Ok(directory) => {
            let counts: Vec<_> = directory.order_counts().filter(|(_, count)| *count != 0).collect();
            let durable: Vec<_> = town.oracle.order_counts().into_iter().collect();
            if counts != durable {
                world.breach(format_args!("the directory counts {counts:?} orders, the journal {durable:?}"));
            }
            for row in town.oracle.skus() {
                let shown = directory.sku(row.id).map(|listing| (listing.sku.price_minor, listing.available));
                if shown != Some((row.price_minor, row.available())) {
                    world.breach(format_args!("the directory shows {shown:?} of {row:?}"));
                }
            }
        }
        Err(failure) => world.breach(format_args!("the directory: {failure}")),
    }
    if !node.stop().await {
        world.breach("the last node did not stop as it should");
    }
    let quiet = Way::new(world.clone(), Arc::new(|| {}));
    match audit::audit_store(&town.server.connect(quiet), Path::new("no-ledger-here")).await {
        Ok(report) if report.is_clean() => {}
        Ok(report) => world.breach(format_args!("the audit says\n{report}")),
        Err(error) => world.breach(format_args!("the audit: {error}")),
    }
    // What had to end with the nodes has had its time.
    sleep(Duration::from_secs(60)).await;
}
