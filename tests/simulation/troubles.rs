//! What befalls a town while people are about: nodes crash, stop and take the store from each other, machines sleep, clocks are set
//! wrong, the disk loses something, the payment provider falls silent, old frames are archived.

use crate::archive::keep_archiving;
use crate::node::{Node, Town};
use crate::world::lock;
use haat::limits;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The longest that a node is cut off from its store, in milliseconds.
const CUT_MS: u64 = 20_000;
/// The most points passed between two crashes at a chosen point.
const FUSE: u64 = 300;
/// The longest between two mishaps, in milliseconds.
const MISHAP_MS: u64 = 20_000;
/// The longest until a successor starts beside a node that stops, in milliseconds.
const STOPPING_MS: u64 = 300;

type Trouble = Pin<Box<dyn Future<Output = ()>>>;

/// All that goes on beside the people, each for as long as they are there: a new one is a line here, at the end.
pub fn troubles(town: &Arc<Town>) -> Vec<Trouble> {
    let town = || town.clone();
    vec![
        Box::pin(change_nodes(town())),
        Box::pin(mishaps(town())),
        Box::pin(fiddle_with_clocks(town())),
        Box::pin(keep_archiving(town())),
    ]
}

/// Sets the wall clocks of nodes wrong, and right again.
async fn fiddle_with_clocks(town: Arc<Town>) {
    let world = town.world.clone();
    loop {
        sleep(Duration::from_millis(world.chance("wrong clocks").below(MISHAP_MS))).await;
        let newest = lock(&town.nodes).last().cloned();
        if let Some(node) = newest {
            node.clock.fiddle();
        }
    }
}

/// What befalls all nodes alike: the machines sleep, and the store's disk loses something.
async fn mishaps(town: Arc<Town>) {
    let world = town.world.clone();
    loop {
        sleep(Duration::from_millis(world.chance("mishaps").below(MISHAP_MS))).await;
        if world.fault("leaps", world.plan.leaps) {
            let day = limits::IDEMPOTENCY_MS;
            let below = |end: i64| world.chance("leaps").below(end as u64) as i64;
            let by = *world.chance("leaps").pick(&[
                day + 1 + below(10_000),
                day - below(120_000),
                day / 2,
                world.plan.hold_ms,
            ]);
            world.leap(by);
        }
        if world.fault("damages", world.plan.damage) {
            town.server.wound();
        }
        if world.fault("long silences", world.plan.silences) {
            let longest = *world.chance("silences").pick(&[20_000, 600_000]);
            town.books.fall_silent(Duration::from_millis(world.chance("silences").below(longest)));
        }
    }
}

/// Makes nodes crash, stop, and take the store from each other.
async fn change_nodes(town: Arc<Town>) {
    let world = town.world.clone();
    let mut starting = 0;
    loop {
        town.tidy_up();
        let newest = lock(&town.nodes).last().cloned();
        let Some(newest) = newest else {
            sleep(Duration::from_millis(world.chance("troubles").below(2_000))).await;
            town.start();
            continue;
        };
        if world.plan.trouble_ms == 0 {
            // Here only what the network and the store do goes wrong; should a node end for that, there is another.
            let _ = timeout(Duration::from_secs(1), newest.gone.cancelled()).await;
            continue;
        }
        sleep(Duration::from_millis(world.chance("troubles").below(world.plan.trouble_ms))).await;
        // Once per node, for it is to come to life at times.
        let asked = std::mem::replace(&mut starting, newest.number) == newest.number;
        if !newest.is_ready() && (asked || !world.fault("troubles at a start", 300)) {
            continue;
        }
        if world.fault("cuts", world.plan.cuts) {
            newest.cut(Duration::from_millis(world.chance("cuts").below(CUT_MS)));
        }
        if world.fault("take-overs", world.plan.takeovers) {
            if world.fault("take-overs unknown to the owner", 600) {
                // The former owner learns of nothing, and people who cannot know better go on asking it.
                newest.cut(Duration::from_millis(world.chance("cuts").between(CUT_MS / 4, CUT_MS)));
            }
            let successor = town.start();
            for _ in 0..100 {
                if successor.is_ready() || successor.gone.is_cancelled() {
                    break;
                }
                sleep(Duration::from_millis(100)).await;
            }
        } else if world.fault("stops", world.plan.stops) {
            if world.fault("crashes asked for in a stop", 300) {
                crash_soon(&newest);
            }
            // By itself: a stop that was begun is carried to its end.
            let stopping = newest.clone();
            let stopped = tokio::task::spawn_local(async move { stopping.stop().await });
            if world.fault("starts during a stop", 300) {
                sleep(Duration::from_millis(world.chance("stops").below(STOPPING_MS))).await;
                town.start();
            }
            let _ = stopped.await;
        } else {
            crash_soon(&newest);
            let _ = timeout(Duration::from_secs(20), newest.gone.cancelled()).await;
        }
    }
}

/// A crash: at a chosen point (in the middle of a decision, when a request comes or has been carried out), or between any two polls.
fn crash_soon(node: &Arc<Node>) {
    let world = node.world();
    match world.chance("crashes").per_mille(world.plan.crashes_between_polls) {
        true => node.doom(),
        false => world.light_fuse(world.chance("crashes").below(FUSE)),
    }
}
