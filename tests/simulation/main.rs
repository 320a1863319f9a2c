//! The whole node in simulation: the real domain, actors, log writer, checkpointer and recovery on one thread, with simulated time, over
//! a simulated store and a simulated payment provider. Everything that could make two runs differ comes from one seed, so a run
//! that fails can be run again.
//!
//! `HAAT_SIMULATION_FROM` is the first seed, `HAAT_SIMULATION_SEEDS` how many, `HAAT_SIMULATION_LONG` makes each a hundred times
//! as long, and `HAAT_SIMULATION_TRACE` shows the trace as it grows; `scripts/simulate` sets them.

mod archive;
mod damage;
mod gateway;
mod judges;
mod node;
mod notices;
mod people;
mod post;
mod run;
mod store;
mod troubles;
mod vans;
mod world;

use run::{Outcome, run};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use world::lock;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 100;
/// What must have happened in a hundred seeds, or they show nothing of it.
const DRAWN: [&str; 191] = [
    // The catalogue.
    "added SKUs",
    "archived SKUs",
    "archived products",
    "mended products",
    "suspended vendors",
    "sold though archived since",
    "orders of what is not for sale",
    // Points.
    "orders with points",
    "orders for want of points",
    "points given",
    "points held",
    "points spent",
    "points released",
    "points restored",
    "points earned",
    "points expired",
    "points owed",
    // What is paid at the door.
    "orders accepted without money",
    "collections at the door",
    "collections that were rounded",
    "collections of too much",
    "remittances",
    // Parcels that couriers are asked for.
    "jobs of parcels",
    "parcels that a courier books",
    "unheard couriers",
    "couriers that are down for an hour",
    "lost answers of couriers",
    // Delivery slots.
    "delivery plans",
    "plans in place of others than were read",
    "slots held",
    "slots sold",
    "slots let go",
    "slots given back",
    "slots refused as full",
    "slots refused past their last moment",
    "slots refused as not offered",
    "slots in use that are not offered any more",
    // Waiting rooms.
    "numbers reserved",
    "calls",
    "admissions",
    "admissions by the draw",
    "slots freed",
    "places that were missed",
    "lines in sales with a room",
    // Terms and tables.
    "tables",
    "wholesale orders",
    "orders at price breaks",
    "bills with shipping",
    "bills with free shipping",
    "bills with taxes included",
    "bills with taxes on top",
    "orders of exempt buyers",
    "bills of exempt buyers",
    "bills with several rates",
    // Coupons.
    "coupons",
    "edited coupons",
    "coupons edited in use",
    "codes in carts",
    "refused codes",
    "orders with coupons",
    "orders with several coupons",
    "orders with coupons that nobody counts",
    "orders that cost nothing",
    "orders for which no use was left",
    "orders of those who had their uses",
    "orders by terms of before",
    "held uses of codes for one use",
    "held uses counted by buyer",
    "held uses counted by budget",
    "uses of coupons",
    "uses given back",
    "uses that came back",
    "parts of budgets that came back",
    "sales",
    "cancelled sales",
    "lines in sales",
    "crashes",
    "crashes asked for in a stop",
    "crashes between polls",
    "cuts",
    "lost requests",
    "lost answers",
    "slow store",
    "stalls",
    "panics",
    "stops",
    "starts during a stop",
    "take-overs",
    "take-overs unknown to the owner",
    "troubles at a start",
    "leaps",
    "clocks set wrong",
    "clocks found wrong",
    "starts with a wrong clock",
    // Payments.
    "lost payment calls",
    "lost payment answers",
    "slow payment calls",
    "repeated charges",
    "charges after their void",
    "refunds",
    "silence",
    "payment answers that nobody waits for",
    "payment answers after the end",
    "other amounts",
    "refused voids",
    "orders stuck for their money",
    "resolutions",
    "long silences",
    "calls into the silence",
    "checkouts refused for a silent provider",
    // Goods, parcels and what comes back.
    "parcels handed over",
    "parcels delivered",
    "parcels refused in part",
    "parcels that came back",
    "parcels corrected",
    "parcels lost",
    "parcels unpacked",
    "parcels booked",
    "parcels that are not fetched",
    "facts that couriers tell",
    "refunds of what was handed over",
    "returns received",
    "returns that were refused",
    "shares put on hold",
    "looks at what nobody begins with",
    "shares that nobody began with",
    "cancels that come too late",
    "goods that could not be moved",
    // What is taken back of paid orders.
    "cancels of units",
    "amounts given back",
    "refunds asked for",
    "refunds of parts",
    "repeated refunds of parts",
    "lost replies of refunds",
    "refused refunds",
    "pending refunds",
    "refunds that failed",
    "refunds tried again",
    "refunds paid by hand",
    "more units than are left",
    "larger amounts than are left",
    // Disputes.
    "disputes opened",
    "disputes won",
    "disputes lost",
    "disputes that are lost after they were won",
    "refunds of what is disputed",
    "refunds that waited for the end of a dispute",
    "refunds that disputes took",
    "refunds left by disputes",
    "refunds under way as a dispute was lost",
    "refunds that banks return",
    "failures that are told late",
    // Notices, and what makes up for them.
    "answers as of before",
    "lost notices",
    "doubled notices",
    "notices twice at once",
    "notices that are sent again",
    "forged notices",
    "notices of what is paid already",
    "notices that come late",
    "lists of what has changed",
    "starts that hear what notices did not tell",
    "looks at payments",
    // Keys.
    "repeated answers",
    "floods",
    "keys used again after their day",
    "keys used again after they were crowded out",
    // Carts of customers.
    "carts of customers",
    "merges",
    "merges that left something out",
    "pieces were merged",
    // Orders of guests.
    "orders that were attached",
    "orders that were asked for by those whose they are not",
    "orders that were seen by those whose they have become",
    // Commands that always panic.
    "poisoned commands",
    "poisoned answers",
    "quarantined orders",
    // The disk, and the read tables.
    "damages",
    "damaged snapshots",
    "unreadable records",
    "quarantined answers",
    "refused rows",
    "newer nodes",
    "remakes",
    "rows of a former shape",
    // The archive.
    "archives",
    "archives that are killed",
    "dropped frames",
    "appends of a term that is over",
    "starts after half a rebuild",
    "no starts after half a rebuild",
];
/// Lines of the trace that are shown of a run that failed.
const TAIL: usize = 60;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Tells of a run that failed, and how to run it again.
fn tell(seed: u64, outcome: &Outcome) {
    let from = outcome.trace.len().saturating_sub(TAIL);
    println!("the last lines of its trace:\n{}", outcome.trace[from..].join("\n"));
    let long = if is_long() { " --long" } else { "" };
    println!("seed {seed} failed; run it again with: scripts/simulate --from {seed} --seeds 1{long}");
    outcome.breaches.iter().for_each(|breach| println!("  {breach}"));
}

fn is_long() -> bool {
    std::env::var_os("HAAT_SIMULATION_LONG").is_some()
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 8, 9, 17, 28] {
        let (first, second) = (run(seed, false), run(seed, false));
        for (line, (one, other)) in first.trace.iter().zip(&second.trace).enumerate() {
            assert_eq!(one, other, "seed {seed} differs from line {line} on");
        }
        assert_eq!(first.trace.len(), second.trace.len());
    }
}

#[test]
fn whatever_fails_every_answer_was_true_and_every_order_ends() {
    let from = setting("HAAT_SIMULATION_FROM", 1);
    let end = from + setting("HAAT_SIMULATION_SEEDS", SEEDS);
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    let (next, failed) = (AtomicU64::new(from), AtomicU64::new(u64::MAX));
    let totals: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || failed.load(Ordering::Relaxed) != u64::MAX {
                        return;
                    }
                    let mut outcome = run(seed, is_long());
                    outcome.counts.insert("steps", outcome.trace.len() as u64);
                    let mut totals = lock(&totals);
                    outcome.counts.iter().for_each(|(what, count)| *totals.entry(what).or_default() += count);
                    if !outcome.breaches.is_empty() {
                        failed.fetch_min(seed, Ordering::Relaxed);
                        tell(seed, &outcome);
                    }
                }
            });
        }
    });
    let totals = lock(&totals);
    let told: Vec<String> = totals.iter().map(|(what, count)| format!("{count} {what}")).collect();
    println!("seeds {from} to {}: {}", end - 1, told.join(", "));
    let failed = failed.into_inner();
    assert_eq!(failed, u64::MAX, "seed {failed} failed: see above");
    if end - from >= SEEDS {
        let missing: Vec<_> = DRAWN.iter().filter(|what| !totals.contains_key(*what)).collect();
        assert!(missing.is_empty(), "it never came to {missing:?}");
    }
}
