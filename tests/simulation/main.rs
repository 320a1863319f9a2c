//! The whole node in simulation: the real domain, actors, lane, checkpointer and recovery on one thread, with simulated time, over
//! a simulated store and a simulated payment provider. Everything that could make two runs differ comes from one seed, so a run
//! that fails can be run again.
//!
//! `HAAT_SIMULATION_FROM` is the first seed, `HAAT_SIMULATION_SEEDS` how many, and `HAAT_SIMULATION_TRACE` shows the whole trace;
//! `scripts/simulate` sets them.

mod gateway;
mod node;
mod oracle;
mod people;
mod run;
mod store;
mod world;

use run::{Outcome, run};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 100;
/// Lines of the trace that are shown of a run that failed.
const TAIL: usize = 60;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Tells of a run that failed, and how to run it again.
fn tell(seed: u64, outcome: &Outcome) {
    let from = outcome.trace.len().saturating_sub(TAIL);
    println!("the last lines of its trace:\n{}", outcome.trace[from..].join("\n"));
    println!("seed {seed} failed; run it again with: scripts/simulate --from {seed} --seeds 1");
    outcome.breaches.iter().for_each(|breach| println!("  {breach}"));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 8, 9, 17, 28] {
        let (first, second) = (run(seed), run(seed));
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
    let totals: [AtomicU64; 9] = Default::default();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || failed.load(Ordering::Relaxed) != u64::MAX {
                        return;
                    }
                    let outcome = run(seed);
                    for (total, count) in totals.iter().zip(outcome.counts) {
                        total.fetch_add(count, Ordering::Relaxed);
                    }
                    totals[8].fetch_add(outcome.trace.len() as u64, Ordering::Relaxed);
                    if std::env::var_os("HAAT_SIMULATION_TRACE").is_some() {
                        println!("{}\nseed {seed}: {:?}", outcome.trace.join("\n"), outcome.counts);
                    }
                    if !outcome.breaches.is_empty() {
                        failed.fetch_min(seed, Ordering::Relaxed);
                        tell(seed, &outcome);
                    }
                }
            });
        }
    });
    let names = ["actions", "answers", "commits", "records", "checkpoints", "crashes", "take-overs", "panics", "steps"];
    let totals: Vec<String> =
        names.iter().zip(&totals).map(|(name, total)| format!("{} {name}", total.load(Ordering::Relaxed))).collect();
    println!("seeds {from} to {}: {}", end - 1, totals.join(", "));
    let failed = failed.into_inner();
    assert_eq!(failed, u64::MAX, "seed {failed} failed: see above");
}
