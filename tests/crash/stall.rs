//! The database does not die, it falls silent: nothing is closed, nothing is refused, and nothing is answered.

use crate::cluster::Cluster;
use crate::process::{Haat, free_address, until, until_within};
use crate::proxy::Proxy;
use crate::rush::{Rush, Told};
use crate::support::client::{Answer, Buyer, Market};
use crate::support::{Kind, TestStore, fresh_uuid, token};
use haat::app::audit::audit;
use haat::domain::ids::{EntityRef, Kind as EntityKind};
use haat::http::auth::Bearer;
use haat::persistence::{Mode, Options, StoreConfig, open};
use haat::ports::StoreError;
use sqlx::{Connection, Executor, PgConnection};
use std::time::Duration;

/// Within this time a server must have noticed that its store is silent. It is below what a statement may take: who waited for the statement
/// would be late.
const NOTICED: Duration = Duration::from_secs(8);
/// Within this time it must be at work again after the store is back on the same connections.
const BACK: Duration = Duration::from_secs(10);

/// So large is a rush that it outlasts what happens here.
const PIECES: i64 = 300;

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

/// A server, and a buyer with a full cart whose entities are at rest.
async fn server_with_a_buyer(store: &TestStore) -> (Haat, String, Buyer) {
    let server = Haat::start(store, free_address()).await;
    let Market { sku, buyer, .. } = server.client.market(3).await;
    (server, sku, buyer)
}

/// Writes are refused so that one may try again, and the process says that it lives.
async fn sheds(server: &Haat, buyer: &Buyer) {
    let ask = async || server.client.checkout(buyer, "tok_approve").send().await;
    // Half of what a request may take that waits for the store.
    let at_once = Duration::from_millis(haat::limits::REQUEST_MS / 2);
    let shed = tokio::time::timeout(at_once, ask()).await.expect("a refusal comes at once").expect(503);
    assert_eq!(shed.code(), "overloaded", "{}", shed.text);
    assert!(shed.header("retry-after").is_some());
    let vendor = server.client.post("/v1/vendors", &serde_json::json!({"name": "Late"})).bearer(&admin());
    assert!(vendor.send().await.expect(503).header("retry-after").is_some());
    server.client.get("/healthz").send().await.expect(200);
}

/// What is shown without the store: a SKU, and a cart in memory.
async fn reads(server: &Haat, sku: &str, buyer: &Buyer) -> [Answer; 2] {
    let sku = server.client.get(&format!("/v1/skus/{sku}")).send().await;
    let cart = server.client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await;
    [sku, cart]
}

/// Ready again in time, and what was begun goes on.
async fn is_back(server: &mut Haat) {
    let ready = async || (server.readiness().await == "ready").then_some(());
    until_within(BACK, "the server to be ready again", ready).await;
    assert!(server.runs(), "{}", server.log());
}

/// Everything that was said is true, and the waiting buyer gets the piece.
async fn all_is_well(store: &TestStore, server: &mut Haat, told: Told, buyer: &Buyer) {
    server.client.checkout(buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
    told.still_holds(server).await;
    assert!(server.runs());
    let report = audit(&store.config(), store.data_dir()).await.expect("the store can be looked at");
    assert!(report.is_clean(), "{report}");
}

/// All of Postgres stands still (SIGSTOP) in a rush, once for a moment and once for longer than the lease: writes are refused within a bound, what is
/// in memory is shown for as long as nobody else can have the store, and all goes on when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stands_still_costs_nothing_but_time() {
    let cluster = Cluster::start();
    let store = TestStore::on_server(cluster.url()).await;
    let (mut server, sku, buyer) = server_with_a_buyer(&store).await;
    let mut rush = Rush::of(PIECES, server.address, &server.client).await;
    for outlasts_the_lease in [false, true] {
        rush.goes_on(15).await;
        cluster.stand_still();
        for read in reads(&server, &sku, &buyer).await {
            read.expect(200);
        }
        server.misses_its_store(NOTICED).await;
        sheds(&server, &buyer).await;
        if outlasts_the_lease {
            // By now another server may have the store, for all this one knows.
            until("reads to be refused", async || {
                let refused = |answer: &Answer| answer.status == 503 && answer.header("retry-after").is_some();
                reads(&server, &sku, &buyer).await.iter().all(refused).then_some(())
            })
            .await;
            sheds(&server, &buyer).await;
        }
        cluster.go_on();
        is_back(&mut server).await;
    }
    rush.goes_on(15).await;
    let told = rush.end().await;
    all_is_well(&store, &mut server, told, &buyer).await;
}

/// Another session locks a table for longer than a statement may take. The journal's lock leaves the lease alone, so what is in memory is shown all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_locked_costs_nothing_but_time() {
    let store = TestStore::new(Kind::Postgres).await;
    let (mut server, sku, buyer) = server_with_a_buyer(&store).await;
    let mut rush = Rush::of(PIECES, server.address, &server.client).await;
    let mut other = PgConnection::connect(store.url().expect("a URL")).await.expect("the database answers");

    rush.goes_on(15).await;
    other.execute("BEGIN; LOCK TABLE journal IN ACCESS EXCLUSIVE MODE").await.expect("the lock");
    server.misses_its_store(NOTICED).await;
    until("the statement to be given up", async || server.log().contains("the store took no batch").then_some(()))
        .await;
    sheds(&server, &buyer).await;
    for read in reads(&server, &sku, &buyer).await {
        read.expect(200);
    }
    other.execute("ROLLBACK").await.expect("the lock goes");
    is_back(&mut server).await;
    let told = rush.end().await;

    // With this lock records still land, until the lease cannot be renewed.
    other.execute("BEGIN; LOCK TABLE partition IN ACCESS EXCLUSIVE MODE").await.expect("the lock");
    server.misses_its_store(NOTICED).await;
    sheds(&server, &buyer).await;
    other.execute("ROLLBACK").await.expect("the lock goes");
    is_back(&mut server).await;
    all_is_well(&store, &mut server, told, &buyer).await;
}

/// The network swallows what server and database say to each other. It is sound again for new connections only, the old ones stay dead without a
/// word; and once more, with the old ones cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_falls_silent_costs_nothing_but_time() {
    let cluster = Cluster::start();
    let network = Proxy::start(cluster.address()).await;
    let store = TestStore::on_server(cluster.url()).await.by_way_of(network.address());
    let (mut server, sku, buyer) = server_with_a_buyer(&store).await;
    let mut rush = Rush::of(PIECES, server.address, &server.client).await;
    for cut in [false, true] {
        rush.goes_on(15).await;
        network.swallow();
        for read in reads(&server, &sku, &buyer).await {
            read.expect(200);
        }
        server.misses_its_store(NOTICED).await;
        sheds(&server, &buyer).await;
        network.heal();
        if cut {
            network.reset();
        } else {
            // It is an append on a dead connection that takes longest to be given up.
            server.ready().await;
        }
        is_back(&mut server).await;
    }
    rush.goes_on(15).await;
    let told = rush.end().await;
    all_is_well(&store, &mut server, told, &buyer).await;
}

/// Connections on which no answer comes any more are given up, also those that were in the middle of a statement: they do not use up their pool for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_connections_do_not_use_up_their_pool() {
    const CONNECTIONS: u32 = 2;
    let store = TestStore::new(Kind::Postgres).await;
    haat::persistence::migrate(&store.config()).await.expect("a store");
    let connect = async || PgConnection::connect(store.url().expect("a URL")).await.expect("the database answers");
    // Within a transaction one sees the same activity all the time.
    let (mut other, mut watcher) = (connect().await, connect().await);
    let network = Proxy::start(store.address().await).await;
    let store = store.by_way_of(network.address());
    let query_timeout = Duration::from_secs(2);
    let options = Options { read_connections: CONNECTIONS, query_timeout, ..Options::default() };
    let opened = open(&StoreConfig { options, ..store.config() }, Mode::Serve).await.expect("the store opens");
    let nobody = EntityRef { kind: EntityKind::Cart, uuid: fresh_uuid() };

    other.execute("BEGIN; LOCK TABLE snapshot IN ACCESS EXCLUSIVE MODE").await.expect("the lock");
    let loads: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let snapshots = opened.snapshots.clone();
            tokio::spawn(async move { snapshots.load(nobody).await })
        })
        .collect();
    until("all connections to be in a statement", async || {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut watcher).await.expect("it answers");
        (waiting == i64::from(CONNECTIONS)).then_some(())
    })
    .await;
    network.swallow();
    other.execute("ROLLBACK").await.expect("the lock goes");
    for load in loads {
        assert!(
            matches!(load.await.expect("no panic"), Err(StoreError::Unavailable(_))),
            "an answer through a dead network"
        );
    }
    network.heal();
    until("the store to answer again", async || opened.snapshots.load(nobody).await.ok()).await;
}
