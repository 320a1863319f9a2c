//! An upgrade on Postgres while a server of the earlier version goes on: it appends, renews its lease and writes checkpoints while the new one
//! changes the schema and takes over. The old one ends, nothing that it acknowledged is lost, and the locks of neither end the other: whoever were
//! ended for a deadlock would say so, and fail.

use crate::dump::number;
use crate::golden::{COMMITS, Files, patient};
use crate::kill::{AT_ONCE, point, said_no_other_error};
use crate::old_checkpoints::STEPS;
use crate::old_server::OldServer;
use crate::old_statements::{VERSIONS, Version};
use crate::process::{Haat, end_lease, free_address, until};
use crate::support::{Kind, token};
use crate::takeover::{all_end, audited, contacts_are_shown, ends_of, nothing_is_changed, rows_come_again};
use crate::watched::{Watched, cut};
use futures::StreamExt;
use haat::http::auth::Bearer;
use haat::persistence;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Takes a golden store over from an old server that goes on. Killed before one of its writes, if this says so, and begun again.
async fn taken_over_beside(version: &'static Version, killed: Option<(&Path, u64)>) {
    let files = Files::of_commit(version.commit, Kind::Postgres);
    let (store, mut told) = (files.store(Kind::Postgres).await, files.told());
    let mut old = OldServer::start(version, &store, &told).await;
    old.is_busy().await;
    if let Some((library, at)) = killed {
        let mut watched = Watched::begin(library, &store, at).await;
        let status = watched.server.ended().await;
        assert_eq!(status.signal(), Some(9), "before write {at}: {status}, {}", watched.server.log());
        let raised = format!("SELECT count(*) FROM partition WHERE epoch > {}", old.work.epoch);
        // What was under way when it was killed may be carried out after that.
        if !old.goes_on_unless(async || number(&store, &raised).await > 0).await {
            old.is_fenced().await;
            // The one that was killed holds it, and nobody else any more.
            end_lease(&store).await;
        }
    }
    let mut server = Haat::begin(&store, store.data_dir(), free_address());
    server.ready().await;
    old.is_fenced().await;

    // All that it acknowledged is to be found and to end like what was there before.
    for buyer in &*old.work.progress.acknowledged.lock() {
        old.work.template.tell(&mut told, buyer);
    }
    let admin = token(&Bearer::Admin("root".into()));
    all_end(&server.client, &admin, &told, ends_of).await;
    contacts_are_shown(&server.client, &admin, &told).await;
    rows_come_again(&store, &told).await;
    said_no_other_error(&server);
    server.signal("TERM").await;
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    nothing_is_changed(&store, &told).await;
    audited(&store, true).await;
    store.remove().await;
}

/// At so many points, on a fresh store each: three fifths of them in the migration, up to the write that takes the partitions, one fifth in what
/// follows that, and one in all the rest until it takes requests.
async fn at_points(version: &'static Version, count: u64) {
    let library = &cut();
    let (taking, all) = writes(version, library).await;
    println!("it takes the partitions with write {taking}, and requests after {all}");
    let fifth = count / 5;
    let migration = (0..3 * fifth).map(|number| point(number, 3 * fifth, taking));
    let rest = (1..=fifth).map(|number| taking + fifth + number * (all - taking - fifth) / fifth);
    futures::stream::iter(migration.chain(taking + 1..=taking + fifth).chain(rest))
        .map(|at| async move { taken_over_beside(version, Some((library, at))).await })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
    std::fs::remove_file(library).expect("it was there");
}

/// How many writes a new server makes up to the one that takes the partitions, and until it takes requests.
async fn writes(version: &'static Version, library: &Path) -> (u64, u64) {
    let files = Files::of_commit(version.commit, Kind::Postgres);
    let store = files.store(Kind::Postgres).await;
    let mut old = OldServer::start(version, &store, &files.told()).await;
    old.is_busy().await;
    // As long as a checkpoint keeps the partitions nobody takes them.
    old.hold_after("partitions").await;
    let mut new = Watched::begin(library, &store, 0).await;
    until("the new server to take the partitions", async || old.blocks(&store).await.then_some(())).await;
    let taking = new.writes();
    old.let_go().await;
    new.server.ready().await;
    let all = new.writes();
    new.server.signal("KILL").await;
    new.server.ended().await;
    old.is_fenced().await;
    (taking, all)
}

/// A migration comes while a checkpoint of the old server is in the middle of its transaction, after each of its steps: one waits for the
/// other, and both come to their end.
async fn a_migration_meets_open_checkpoints(version: &'static Version) {
    let files = Files::of_commit(version.commit, Kind::Postgres);
    for step in STEPS.split(' ') {
        let store = files.store(Kind::Postgres).await;
        let old = OldServer::start(version, &store, &files.told()).await;
        old.is_busy().await;
        old.hold_after(step).await;
        let (config, done) = (patient(&store), AtomicBool::new(false));
        let migration = async {
            persistence::migrate(&config).await.expect("the schema is brought up to date");
            done.store(true, Ordering::Relaxed);
        };
        let meeting = async {
            until(format_args!("a migration to wait, or to be done, after '{step}'"), async || {
                (done.load(Ordering::Relaxed) || old.blocks(&store).await).then_some(())
            })
            .await;
            // What writes no tables, or has written them, is in nobody's way.
            assert_eq!(done.load(Ordering::Relaxed), ["partitions", "advance"].contains(&step), "after '{step}'");
            // Whatever it has locked, and is yet to lock, appends and renewals need none of it. (Renewals wait for the end of a checkpoint.)
            if step != "advance" {
                old.goes_on().await;
            }
            old.let_go().await;
        };
        tokio::join!(migration, meeting);
        old.goes_on().await;
    }
}

/// The old server whose statements are the newest: one that is upgraded tonight runs the like.
fn newest() -> &'static Version {
    let [_, newest] = &VERSIONS;
    newest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_taken_over_beside_its_old_server() {
    for version in &VERSIONS {
        taken_over_beside(version, None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_beside_an_old_server_is_killed_at_five_points() {
    at_points(newest(), 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thorough_an_upgrade_beside_an_old_server_is_killed_at_twenty_points() {
    for version in &VERSIONS {
        at_points(version, 20).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_and_an_open_checkpoint_wait_for_each_other() {
    a_migration_meets_open_checkpoints(newest()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thorough_a_migration_and_an_open_checkpoint_of_an_older_server_wait_for_each_other() {
    let [older, _] = &VERSIONS;
    a_migration_meets_open_checkpoints(older).await;
}

/// The third writes as the second did, but for the details that a checkout brings along.
#[test]
fn every_commit_has_its_statements() {
    assert_eq!(VERSIONS.each_ref().map(|version| version.commit), COMMITS[..2]);
    assert_eq!(COMMITS.len(), 3);
}
