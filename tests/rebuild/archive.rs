//! What was moved to an archive is still there for whoever has the archive, and the store goes on without it.

use super::{clean, trade, written};
use crate::on_both_stores;
use crate::support::{Kind, Server, TestStore, token};
use haat::app::archive::{Archive, Before, archive};
use haat::app::audit::audit;
use haat::app::followers;
use haat::app::journal::{Selection, print as print_journal};
use haat::app::rebuild::rebuild;
use haat::app::replay::{Until, print as print_replay};
use haat::domain::ids::EntityRef;
use haat::http::auth::Bearer;
use haat::persistence::recovery::recover;
use haat::persistence::{self, Mode, StoreConfig};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

const NOW: Before = Before::Age(Duration::ZERO);

fn directory(store: &TestStore) -> PathBuf {
    store.data_dir().join("archive")
}

/// The store, and its archive.
fn with_archive(store: &TestStore) -> StoreConfig {
    StoreConfig { archive: Some(directory(store)), ..store.config() }
}

async fn move_all(store: &TestStore) -> Archive {
    let done = archive(&with_archive(store), NOW, false).await.expect("an archive");
    assert_eq!((&done.failed[..], &done.refused[..]), (&[][..], &[][..]));
    done
}

async fn clean_with_archive(store: &TestStore) -> String {
    let report = audit(&with_archive(store), store.data_dir()).await.expect("the store can be looked at");
    assert!(report.is_clean(), "{report}");
    report.to_string()
}

/// A shop in which something was sold, stopped in order.
async fn sold_out_of(store: &TestStore) -> (String, String) {
    let server = Server::start(store).await;
    let admin = token(&Bearer::Admin("root".into()));
    let (vendor, sku) = server.client.shop(&admin, "10.00", 90).await;
    trade(&server, &sku).await;
    server.stop().await;
    (vendor, sku)
}

async fn more_sold(store: &TestStore, sku: &str) {
    let server = Server::start(store).await;
    trade(&server, sku).await;
    server.stop().await;
}

/// How many frames the journal has, and how many records.
async fn size(config: &StoreConfig) -> (usize, usize) {
    let mut lines = Vec::new();
    let all = Selection { json: true, ..Selection::default() };
    print_journal(config, &all, &mut lines).await.expect("the journal");
    let lines: Vec<Value> = lines
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice(line).expect("a line"))
        .collect();
    let frames: BTreeSet<String> = lines.iter().map(|line| format!("{}/{}", line["partition"], line["seq"])).collect();
    (frames.len(), lines.iter().filter(|line| line.get("entity").is_some()).count())
}

async fn execute(store: &TestStore, sql: &str) -> u64 {
    let sql = AssertSqlSafe(sql.to_owned());
    match store.url() {
        Some(url) => {
            let mut connection = PgConnection::connect(url).await.expect("a connection");
            connection.execute(sql).await.expect("a statement").rows_affected()
        }
        None => in_file(&store.data_dir().join("haat.db"), sql).await,
    }
}

async fn in_file(file: &std::path::Path, sql: AssertSqlSafe<String>) -> u64 {
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.expect("the file");
    let done = connection.execute(sql).await.expect("a statement").rows_affected();
    connection.close().await.expect("closed");
    done
}

on_both_stores! {
    /// What a follower has made is made anew from store and archive, whatever had become of it; and nothing of what is done once.
    async fn a_projection_is_made_anew_from_the_whole_journal(store) {
        let (_, sku) = sold_out_of(&store).await;
        move_all(&store).await;
        more_sold(&store, &sku).await;
        clean_with_archive(&store).await;
        let sku: haat::domain::ids::SkuId = sku.parse().expect("an id");
        let history = async || {
            let opened = persistence::open(&store.config(), Mode::Tool).await.expect("the store opens");
            opened.queries.stock_changes(sku, None, 10_000).await.expect("changes")
        };
        let before = history().await;
        assert!(before.len() > 3, "{before:?}");
        execute(&store, "UPDATE stock_changes SET delta = delta + 1").await;
        let report = audit(&with_archive(&store), store.data_dir()).await.expect("an audit");
        assert!(report.of("history").is_some_and(|finding| finding.breaches.count() > 0), "{report}");
        execute(&store, "DELETE FROM stock_changes WHERE delta > 0").await;

        for (config, name, says) in [
            (store.config(), "stock_history", "moved to an archive"),
            (with_archive(&store), "order_mails", "makes jobs"),
            (with_archive(&store), "nobody", "no follower 'nobody'"),
        ] {
            let refused = followers::rebuild(&config, name).await.expect_err("it is refused").to_string();
            assert!(refused.contains(says), "{refused}");
        }
        let frames = followers::rebuild(&with_archive(&store), "stock_history").await.expect("it is made anew");
        assert!(frames > 10, "{frames}");
        assert_eq!(history().await, before);
        clean_with_archive(&store).await;
        // A server goes on where it ends.
        more_sold(&store, &sku.to_string()).await;
        let after = history().await;
        assert_eq!(after[after.len() - before.len()..], before);
        clean_with_archive(&store).await;
    }

    /// Twice: the second time there is something in the archive, and less in the store.
    async fn old_frames_move_and_nothing_else_changes(store) {
        let (vendor, sku) = sold_out_of(&store).await;
        for round in 1..=2 {
            let before = size(&with_archive_if(&store, round > 1)).await;
            let done = move_all(&store).await;
            assert!(done.archived > 10 && done.dropped > 10, "{done}");
            assert_eq!(size(&with_archive(&store)).await, before);
            // Of each partition the newest frame stays.
            assert_eq!(size(&store.config()).await.0, 16);
            let again = move_all(&store).await;
            assert_eq!((again.archived, again.dropped, again.entities), (0, 0, 0));

            let report = clean_with_archive(&store).await;
            assert!(report.contains(&format!("{} records", before.1)), "{report}");
            more_sold(&store, &sku).await;
            clean_with_archive(&store).await;
        }
        let server = Server::start(&store).await;
        let stock = server.client.stock(&token(&Bearer::Admin("root".into())), &vendor, &sku).await;
        // Three rounds: two of one piece sold each, one of two pieces on its way.
        assert_eq!(stock["sold"], 6, "{stock}");
        server.stop().await;
    }

    /// Whoever needs the whole journal says that it is not all there.
    async fn without_the_archive_nobody_pretends(store) {
        let (vendor, _) = sold_out_of(&store).await;
        let entity: EntityRef = vendor.parse().expect("an id");
        let mut life = Vec::new();
        print_replay(&store.config(), entity, Until::Newest, &mut life).await.expect("its life");
        move_all(&store).await;

        let config = store.config();
        let told = [
            audit(&config, store.data_dir()).await.expect_err("an audit").to_string(),
            rebuild(&config).await.expect_err("a rebuild").to_string(),
            print_replay(&config, entity, Until::Newest, &mut Vec::new()).await.expect_err("a replay").to_string(),
        ];
        assert!(told.iter().all(|told| told.contains("--archive")), "{told:?}");
        let mut again = Vec::new();
        print_replay(&with_archive(&store), entity, Until::Newest, &mut again).await.expect("its life");
        assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&life));
        // The refused rebuild has changed nothing.
        clean_with_archive(&store).await;
    }

    async fn tables_are_rebuilt_from_the_archive_and_what_came_after(store) {
        let (_, sku) = sold_out_of(&store).await;
        move_all(&store).await;
        more_sold(&store, &sku).await;
        execute(&store, "DELETE FROM snapshot").await;
        execute(&store, "UPDATE orders SET payment_method = 'nobody', status = 'cancelled'").await;
        let damaged = audit(&with_archive(&store), store.data_dir()).await.expect("the store can be looked at");
        assert!(!damaged.is_clean(), "{damaged}");
        let rebuilt = rebuild(&with_archive(&store)).await.expect("a rebuild");
        assert_eq!((rebuilt.entities, &rebuilt.failed[..]), (17, &[][..]));
        clean_with_archive(&store).await;
        more_sold(&store, &sku).await;
        clean_with_archive(&store).await;
    }

    /// A rebuild that was killed after it had cleared the tables: what was archived is in none of them.
    async fn no_server_starts_on_half_a_rebuild(store) {
        let (_, sku) = sold_out_of(&store).await;
        move_all(&store).await;
        execute(&store, "DELETE FROM snapshot").await;
        execute(&store, "UPDATE partition SET checkpoint_seq = 0").await;
        let opened = persistence::open(&store.config(), Mode::Serve).await.expect("a store");
        let heads = opened.journal.partitions().await.expect("partitions");
        let refused = recover(&opened, &heads).await.expect_err("no start").to_string();
        assert!(refused.contains("haat rebuild --archive"), "{refused}");
        drop(opened);
        rebuild(&with_archive(&store)).await.expect("a rebuild");
        more_sold(&store, &sku).await;
        clean_with_archive(&store).await;
    }

    /// Killed between the note and the last frame: the next time drops the rest.
    async fn a_drop_that_was_cut_short_is_ended_by_the_next(store) {
        let (_, sku) = sold_out_of(&store).await;
        let kept = archive(&with_archive(&store), NOW, true).await.expect("an archive");
        assert_eq!(kept.dropped, 0);
        let noted = "UPDATE partition SET base_seq = (SELECT max(seq) FROM journal WHERE partition = partition.id) - 1";
        let noted = noted.replace("partition = partition.id", "journal.partition = partition.id");
        execute(&store, &noted).await;
        execute(&store, "DELETE FROM journal WHERE seq = 1 AND (partition, 2) IN (SELECT partition, seq FROM journal)").await;
        clean_with_archive(&store).await;
        more_sold(&store, &sku).await;
        let done = move_all(&store).await;
        assert!(done.dropped > done.archived, "{done}");
        clean_with_archive(&store).await;
    }

    /// The real tool, killed a little later each time until it gets through.
    async fn long_an_archive_that_is_killed_again_and_again_comes_to_an_end(store) {
        let (_, sku) = sold_out_of(&store).await;
        for _ in 0..6 {
            more_sold(&store, &sku).await;
        }
        let before = size(&store.config()).await;
        let mut killed = 0;
        loop {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_haat"));
            command.args(["archive", "--before", "0s", "--archive"]).arg(directory(&store));
            command.arg("--data-dir").arg(store.data_dir()).env("DATABASE_URL", store.url().unwrap_or_default());
            let mut tool = command.stdout(Stdio::null()).spawn().expect("the tool");
            std::thread::sleep(Duration::from_millis(15 + 12 * killed));
            if let Some(status) = tool.try_wait().expect("its status") {
                assert!(status.success(), "{status}");
                break;
            }
            tool.kill().expect("killed");
            tool.wait().expect("its status");
            killed += 1;
            assert!(killed < 2_000, "it never ends");
        }
        assert_eq!(size(&with_archive(&store)).await, before);
        assert_eq!(size(&store.config()).await.0, 16);
        clean_with_archive(&store).await;
        more_sold(&store, &sku).await;
        clean_with_archive(&store).await;
    }

    /// A server that was killed, or an entity in quarantine, leaves a checkpoint behind: what is after it stays.
    async fn frames_after_the_checkpoint_stay(store) {
        let (_, sku) = sold_out_of(&store).await;
        let held = "UPDATE partition SET checkpoint_seq = 2 WHERE id < 8";
        execute(&store, held).await;
        move_all(&store).await;
        let beyond = "UPDATE partition SET base_seq = base_seq WHERE base_seq >= checkpoint_seq OR id < 8 AND base_seq > 1";
        assert_eq!(execute(&store, beyond).await, 0);
        more_sold(&store, &sku).await;
        clean_with_archive(&store).await;
    }

    async fn frames_that_are_not_old_enough_stay(store) {
        sold_out_of(&store).await;
        let done = archive(&with_archive(&store), Before::Age(Duration::from_secs(3600)), false).await.expect("an archive");
        assert_eq!(done, Archive::default());
        clean(&store).await;
    }
}

fn with_archive_if(store: &TestStore, there: bool) -> StoreConfig {
    if there { with_archive(store) } else { store.config() }
}

/// At the same frame the archive's base is what the store's own tables are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_base_is_what_the_store_held_at_that_frame() {
    let store = TestStore::new(Kind::Sqlite).await;
    let (_, sku) = sold_out_of(&store).await;
    move_all(&store).await;
    more_sold(&store, &sku).await;
    move_all(&store).await;
    let base = written(&directory(&store).join("haat-archive.db")).await;
    assert_eq!(base, written(&store.data_dir().join("haat.db")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_needs_a_directory_of_its_own() {
    let store = TestStore::new(Kind::Sqlite).await;
    sold_out_of(&store).await;
    let same = StoreConfig { archive: Some(store.data_dir().to_path_buf()), ..store.config() };
    let told = archive(&same, NOW, false).await.expect_err("an archive").to_string();
    assert!(told.contains("directory of its own"), "{told}");
    clean(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_another_store_is_refused() {
    let (store, other) = (TestStore::new(Kind::Sqlite).await, TestStore::new(Kind::Sqlite).await);
    for store in [&store, &other] {
        sold_out_of(store).await;
        move_all(store).await;
    }
    let mixed = StoreConfig { archive: Some(directory(&other)), ..store.config() };
    let told = [
        archive(&mixed, NOW, false).await.expect_err("an archive").to_string(),
        audit(&mixed, store.data_dir()).await.expect_err("an audit").to_string(),
        rebuild(&mixed).await.expect_err("a rebuild").to_string(),
    ];
    assert!(told.iter().all(|told| told.contains("another store's archive")), "{told:?}");
    clean_with_archive(&store).await;
}

/// Its frames after the backup are others than those in the archive: these are not mixed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_of_a_store_that_was_set_back_gets_nothing_more() {
    let store = TestStore::new(Kind::Sqlite).await;
    let (_, sku) = sold_out_of(&store).await;
    let file = store.data_dir().join("haat.db");
    // All that was written is in the file itself.
    in_file(&file, AssertSqlSafe("PRAGMA wal_checkpoint(TRUNCATE)".into())).await;
    let backup = std::fs::read(&file).expect("the file");
    more_sold(&store, &sku).await;
    archive(&with_archive(&store), NOW, true).await.expect("an archive");
    let frames = "UPDATE journal SET seq = seq";
    let archived = directory(&store).join("haat-archive.db");
    let before = in_file(&archived, AssertSqlSafe(frames.into())).await;

    for rest in ["haat.db-wal", "haat.db-shm"] {
        let _ = std::fs::remove_file(store.data_dir().join(rest));
    }
    std::fs::write(&file, backup).expect("the backup");
    for _ in 0..2 {
        more_sold(&store, &sku).await;
    }
    let told = archive(&with_archive(&store), NOW, false).await.expect_err("an archive").to_string();
    assert!(told.contains("another store's archive, or damaged"), "{told}");
    assert_eq!(in_file(&archived, AssertSqlSafe(frames.into())).await, before);
}

/// Found before anything is dropped, and before a rebuild clears what it could not make anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_archive_costs_nothing() {
    let store = TestStore::new(Kind::Sqlite).await;
    let (_, sku) = sold_out_of(&store).await;
    archive(&with_archive(&store), NOW, true).await.expect("an archive");
    let damage = "UPDATE journal SET records = records + 1 WHERE seq = 2 AND records > 0";
    let file = directory(&store).join("haat-archive.db");
    assert!(in_file(&file, AssertSqlSafe(damage.into())).await > 0);
    let told = archive(&with_archive(&store), NOW, false).await.expect_err("an archive").to_string();
    assert!(told.contains("damaged"), "{told}");
    // The partitions before it may have been dropped: those were the same in both. What was not is still in the store.
    let mend = "UPDATE journal SET records = records - 1 WHERE seq = 2 AND records > 0";
    in_file(&file, AssertSqlSafe(mend.into())).await;
    move_all(&store).await;
    more_sold(&store, &sku).await;

    // One frame, and of an entity that has no later record: nothing else tells of it.
    let damage = "DELETE FROM journal WHERE (partition, seq) IN (
        SELECT partition, max(seq) FROM journal AS later WHERE seq < (
            SELECT max(seq) FROM journal WHERE partition = later.partition) AND records > 0 GROUP BY partition LIMIT 1)";
    assert_eq!(in_file(&file, AssertSqlSafe(damage.into())).await, 1);
    let told = rebuild(&with_archive(&store)).await.expect_err("a rebuild").to_string();
    assert!(told.contains("nothing was changed"), "{told}");
    more_sold(&store, &sku).await;
    let found = audit(&with_archive(&store), store.data_dir()).await.expect("the store can be looked at");
    assert!(found.to_string().contains("frames are missing"), "{found}");
}

/// Buyers notice nothing of an archive that is made beside them, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_is_made_beside_a_running_server() {
    let store = TestStore::new(Kind::Postgres).await;
    let server = Server::start(&store).await;
    let admin = token(&Bearer::Admin("root".into()));
    let (_, sku) = server.client.shop(&admin, "10.00", 500).await;
    let mut done = Archive::default();
    let mut rounds = 0;
    while done.dropped < 200 {
        trade(&server, &sku).await;
        let round = move_all(&store).await;
        done.archived += round.archived;
        done.dropped += round.dropped;
        rounds += 1;
        assert!(rounds < 100, "{done}");
    }
    clean_with_archive(&store).await;
    server.stop().await;
    clean_with_archive(&store).await;
}
