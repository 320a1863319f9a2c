//! What a store must do, whichever it is: each of these tests runs against `SQLite` and against Postgres.

#[path = "../support/postgres.rs"]
mod postgres;

mod checkpoints;
mod fixture;
mod journal;
mod lane;
mod opening;
mod ownership;
mod plans;
mod queries;
mod refusals;
mod samples;
mod snapshots;

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
