//! What a store must do, whichever it is: each of these tests runs against `SQLite` and against Postgres, and most of them against the store of
//! the simulation too, on which everything else there stands.

#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/random.rs"]
mod random;

// The simulation, of which only its store is used here.
macro_rules! of_the_simulation {
    ($($name:ident $path:literal)+) => {$(
        #[allow(dead_code, reason = "only the store is used here")]
        #[path = $path]
        mod $name;
    )+};
}
of_the_simulation! {
    archive "../simulation/archive.rs"
    damage "../simulation/damage.rs"
    gateway "../simulation/gateway.rs"
    judges "../simulation/judges/mod.rs"
    node "../simulation/node.rs"
    notices "../simulation/notices.rs"
    people "../simulation/people/mod.rs"
    post "../simulation/post.rs"
    vans "../simulation/vans.rs"
    run "../simulation/run.rs"
    store "../simulation/store/mod.rs"
    troubles "../simulation/troubles.rs"
    world "../simulation/world.rs"
}

mod accounts;
mod checkpoints;
mod couriers;
mod details;
mod fixture;
mod followers;
mod jobs;
mod journal;
mod log_writer;
mod opening;
mod own;
mod ownership;
mod plans;
mod queries;
mod refusals;
mod remakes;
mod samples;
mod seats;
mod snapshots;
mod units;
mod waiting;

/// Runs an async test on both stores, as two tests.
macro_rules! on_both_stores {
    ($($(#[$doc:meta])* async fn $name:ident($fixture:ident) $body:block)+) => {
        $(mod $name {
            #[allow(unused_imports, reason = "not every test needs everything")]
            use super::*;

            $(#[$doc])*
            async fn run($fixture: $crate::fixture::Fixture) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::fixture::Fixture::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                run($crate::fixture::Fixture::postgres().await).await;
            }
        })+
    };
}
pub(crate) use on_both_stores;

/// [`on_both_stores`], and on the simulation's, with its time.
macro_rules! on_all_stores {
    ($($(#[$doc:meta])* async fn $name:ident($fixture:ident) $body:block)+) => {
        $(mod $name {
            #[allow(unused_imports, reason = "not every test needs everything")]
            use super::*;

            $(#[$doc])*
            async fn run($fixture: $crate::fixture::Fixture) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::fixture::Fixture::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                run($crate::fixture::Fixture::postgres().await).await;
            }

            #[tokio::test(start_paused = true)]
            async fn simulated() {
                run($crate::fixture::Fixture::simulated()).await;
            }
        })+
    };
}
pub(crate) use on_all_stores;
