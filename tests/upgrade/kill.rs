//! An upgrade that is killed at any point is carried on by the next start. The real binary is ended before one of its writes, to the files of the
//! embedded store or to the database: at points from the first to the one after which it takes requests, five of them, or twenty.

use crate::first;
use crate::golden::{COMMITS, Files};
use crate::process::{Haat, end_lease, free_address, until};
use crate::support::{Kind, TestStore, token};
use crate::takeover::{audited, ends_of, rows_come_again};
use crate::told::Told;
use crate::watched::{Watched, cut};
use futures::StreamExt;
use haat::http::auth::Bearer;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

/// At how many points.
const SOME: u64 = 5;
const MANY: u64 = 20;
/// How many at the same time.
pub const AT_ONCE: usize = 2;

/// Ends the upgrade of this store before one of its writes, and has it carried on.
async fn killed_and_carried_on(library: &Path, store: TestStore, told: Option<&Told>, at: u64) {
    let mut watched = Watched::begin(library, &store, at).await;
    let status = watched.server.ended().await;
    assert_eq!(status.signal(), Some(9), "before write {at}: {status}, {}", watched.server.log());
    // Of a schema that is not there yet nobody has a lease.
    end_lease(&store).await;
    let mut server = Haat::begin(&store, store.data_dir(), free_address());
    server.ready().await;
    let admin = token(&Bearer::Admin("root".into()));
    match told {
        Some(told) => {
            for order in &told.orders {
                let ends = ends_of(order);
                until(format_args!("{} ({}) to end as {ends:?}", order.order, order.what), async || {
                    let now = server.client.order(&admin, &order.order).await;
                    (now.status == 200 && ends.contains(&now.field("status"))).then_some(())
                })
                .await;
            }
            rows_come_again(&store, told).await;
        }
        None => first::ends(&server.client).await,
    }
    said_no_other_error(&server);
    server.signal("TERM").await;
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    audited(&store, told.is_some()).await;
    store.remove().await;
}

/// Fails when it logged an error but for the one that it has reason for: a vendor whose rows were refused changes, and gives only what changed.
pub fn said_no_other_error(server: &Haat) {
    let log = server.log();
    let expected = "a constraint of the read tables refused an entity";
    let error = log.lines().find(|line| line.contains("\"level\":\"ERROR\"") && !line.contains(expected));
    assert_eq!(error, None);
}

/// Before which of so many writes it is ended at the point of this number, of so many.
pub fn point(number: u64, points: u64, writes: u64) -> u64 {
    1 + number * (writes - 1) / (points - 1)
}

/// At so many points, on a fresh store each.
async fn at_points(points: u64, told: Option<&Told>, make: impl AsyncFn() -> TestStore) {
    let library = cut();
    let store = make().await;
    let mut whole = Watched::begin(&library, &store, 0).await;
    whole.server.ready().await;
    let writes = whole.writes();
    // SQLite's tables are made anew: how much room that needs is told before it is done.
    let tells = whole.server.log().contains("makes its tables of orders anew");
    assert_eq!(tells, store.kind == Kind::Sqlite, "{}", whole.server.log());
    whole.server.signal("KILL").await;
    whole.server.ended().await;
    assert!(writes > MANY, "it takes requests after {writes} writes only");
    println!("it takes requests after {writes} writes");
    let (library, make) = (&library, &make);
    let run = futures::stream::iter((0..points).map(|number| point(number, points, writes)))
        .map(|at| async move { killed_and_carried_on(library, make().await, told, at).await })
        .buffer_unordered(AT_ONCE);
    run.collect::<Vec<()>>().await;
    std::fs::remove_file(library).expect("it was there");
}

async fn of_commit(commit: &str, kind: Kind, points: u64) {
    let files = Files::of_commit(commit, kind);
    at_points(points, Some(&files.told()), async || files.store(kind).await).await;
}

/// Tests for each commit and store. The oldest has every migration before it, and the newest the last one alone.
macro_rules! of_commits {
    ($($name:ident $commit:literal)+) => {
        $(mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn an_upgrade_is_killed_at_five_points_on_sqlite() {
                of_commit($commit, Kind::Sqlite, SOME).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn an_upgrade_is_killed_at_five_points_on_postgres() {
                of_commit($commit, Kind::Postgres, SOME).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn thorough_an_upgrade_is_killed_at_twenty_points_on_sqlite() {
                of_commit($commit, Kind::Sqlite, MANY).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn thorough_an_upgrade_is_killed_at_twenty_points_on_postgres() {
                of_commit($commit, Kind::Postgres, MANY).await;
            }
        })+

        #[test]
        fn every_commit_has_its_tests() {
            assert_eq!([$($commit),+], COMMITS);
        }
    };
}

of_commits! {
    of_9640d63 "9640d63"
    thorough_of_da7d1c1 "da7d1c1"
    of_8f3762b "8f3762b"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_of_the_first_version_is_killed_at_five_points() {
    at_points(SOME, None, first::first_version).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thorough_an_upgrade_of_the_first_version_is_killed_at_twenty_points() {
    at_points(MANY, None, first::first_version).await;
}
