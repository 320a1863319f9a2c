//! Files that go while a server has them open: it notices, says so, is not ready, and answers nothing any more. It stays, for as long as it
//! does an operator can save them.

use crate::process::{Haat, free_address, until};
use crate::support::client::Client;
use crate::support::{Kind, TestStore, token};
use haat::app::audit::audit;
use haat::http::auth::Bearer;
use serde_json::json;
use std::path::Path;

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

/// Buys one piece; gives the order, which is paid.
async fn buy(client: Client, sku: &str) -> String {
    let buyer = client.buyer(sku, 1).await;
    let paid = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
    assert_eq!(paid.field("status"), "paid");
    paid.field("id").to_owned()
}

/// Puts another file of the same content in the place of this one.
fn replace(path: &Path) {
    let copy = path.with_extension("copy");
    std::fs::copy(path, &copy).expect("a copy");
    std::fs::rename(&copy, path).expect("it is ours");
}

/// What can become of the files of a data directory, and the name that is told of.
type Loss = (&'static str, &'static str, fn(&Path));

const OF_THE_STORE: [Loss; 7] = [
    ("the store is removed", "haat.db was removed", |data| {
        std::fs::remove_file(data.join("haat.db")).expect("it is there")
    }),
    ("the store is replaced", "haat.db was replaced", |data| replace(&data.join("haat.db"))),
    ("the log is removed", "haat.db-wal was removed", |data| {
        std::fs::remove_file(data.join("haat.db-wal")).expect("it is there")
    }),
    ("the log is replaced", "haat.db-wal was replaced", |data| replace(&data.join("haat.db-wal"))),
    ("the lock is removed", "haat.lock was removed", |data| {
        std::fs::remove_file(data.join("haat.lock")).expect("it is there")
    }),
    ("the lock is replaced", "haat.lock was replaced", |data| replace(&data.join("haat.lock"))),
    ("the directory is moved", "was removed", |data| {
        std::fs::rename(data, data.with_extension("moved")).expect("it is ours");
    }),
];

const OF_THE_CHARGE_LOG: [Loss; 2] = [
    ("the ledger is removed", "sandbox-ledger.jsonl was removed", |data| {
        std::fs::remove_file(data.join("sandbox-ledger.jsonl")).expect("it is there");
    }),
    ("the ledger is replaced", "sandbox-ledger.jsonl was replaced", |data| replace(&data.join("sandbox-ledger.jsonl"))),
];

/// Whether an answer tells of something that was done.
fn is_told(answer: &Result<crate::support::client::Answer, Box<dyn std::error::Error + Send + Sync>>) -> bool {
    answer.as_ref().is_ok_and(|answer| answer.status < 500)
}

async fn it_is_noticed(kind: Kind, (what, said, lose): Loss, of_the_store: bool) {
    let store = TestStore::new(kind).await;
    let place = tempfile::TempDir::new().expect("a temporary directory");
    let data_dir = place.path().join("data");
    let mut server = Haat::begin(&store, &data_dir, free_address());
    server.ready().await;
    let client = server.client;
    let (_, sku) = client.shop(&admin(), "10.00", 9).await;
    let order = buy(client, &sku).await;
    let buyer = client.buyer(&sku, 1).await;

    lose(&data_dir);
    // Asked at once, before anybody has looked: nothing is told that the next start would not know.
    let cart = tokio::spawn(client.post("/v1/carts", &json!({})).try_send());
    let pays = tokio::spawn(client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").try_send());
    server.misses_its_store(crate::process::BOUND).await;
    let noticed = until(format_args!("{what}: '{said}'"), async || {
        let log = server.log();
        let mut lines = log.lines().filter(|line| line.contains("\"level\":\"ERROR\"") && line.contains("/fd"));
        lines.find(|line| line.contains(said)).map(str::to_owned)
    })
    .await;
    assert!(noticed.contains(&format!("/proc/{}/fd", server.id())), "{noticed}");
    let figures = client.get("/metrics").send().await.expect(200).text;
    assert!(figures.lines().any(|line| line == "haat_files_missing 1"), "{what}: {figures}");
    // What it once knew to be durable is not told either: it may be gone.
    let asked = client.order(&admin(), &order).await;
    assert_eq!(asked.status, 503, "{what}: {}", asked.text);
    let late = client.post("/v1/carts", &json!({})).send().await;
    assert_eq!(late.status, 503, "{what}: {}", late.text);
    assert!(server.runs(), "{what}: its open files are all that is left");
    server.kill_whatever_it_said().await;
    let (cart, pays) = (cart.await.expect("no panic"), pays.await.expect("no panic"));
    assert!(!of_the_store || !is_told(&cart), "{what}: {cart:?}");
    let paid = pays.is_ok_and(|answer| answer.body["status"] == "paid");
    assert!(!paid, "{what}: it was told that an order is paid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_is_noticed() {
    for loss in OF_THE_STORE {
        it_is_noticed(Kind::Sqlite, loss, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_log_that_is_gone_is_noticed() {
    for loss in OF_THE_CHARGE_LOG {
        it_is_noticed(Kind::Sqlite, loss, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_log_beside_postgres_that_is_gone_is_noticed() {
    it_is_noticed(Kind::Postgres, OF_THE_CHARGE_LOG[0], false).await;
    it_is_noticed(Kind::Postgres, OF_THE_STORE[6], false).await;
}

/// What was only moved aside is there again when it is moved back: all goes on, and what was decided meanwhile is written once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_is_used_again() {
    let store = TestStore::new(Kind::Sqlite).await;
    let place = tempfile::TempDir::new().expect("a temporary directory");
    let (data_dir, aside) = (place.path().join("data"), place.path().join("aside"));
    let mut server = Haat::begin(&store, &data_dir, free_address());
    server.ready().await;
    let (_, sku) = server.client.shop(&admin(), "10.00", 9).await;
    let order = buy(server.client, &sku).await;
    for _ in 0..2 {
        std::fs::rename(&data_dir, &aside).expect("it is ours");
        server.misses_its_store(crate::process::BOUND).await;
        std::fs::rename(&aside, &data_dir).expect("it is ours");
        server.ready().await;
        buy(server.client, &sku).await;
    }
    server.client.order(&admin(), &order).await.expect(200);
    // Moved aside, and asked to stop: what it wrote last is not where the next start looks, and its exit says so.
    std::fs::rename(&data_dir, &aside).expect("it is ours");
    server.misses_its_store(crate::process::BOUND).await;
    server.signal("TERM").await;
    assert_eq!(server.ended().await.code(), Some(1), "{}", server.log());
    assert!(server.log().contains("lost unless it was saved"), "{}", server.log());
    std::fs::rename(&aside, &data_dir).expect("it is ours");
    let config = haat::persistence::StoreConfig {
        place: haat::persistence::Place::Sqlite(data_dir.clone()),
        archive: None,
        options: Default::default(),
    };
    let report = audit(&config, &data_dir).await.expect("the store can be looked at");
    assert!(report.is_clean(), "{report}");
}
