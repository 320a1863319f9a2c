//! The database dies under a server that lives.

use crate::cluster::Cluster;
use crate::process::{BOUND, Haat, free_address};
use crate::rush::Rush;
use crate::support::TestStore;
use crate::support::token;
use haat::app::audit::audit;
use haat::http::auth::Bearer;

/// Killed and stopped in the middle of a rush, the database comes back to a server that has kept everything: buyers are asked to wait, what is in
/// memory and durable is shown all the while, nothing is lost and nothing is written twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_dies_and_comes_back_costs_nothing_but_time() {
    let cluster = Cluster::start();
    let store = TestStore::on_server(cluster.url()).await;
    let mut server = Haat::start(&store, free_address()).await;
    let admin = token(&Bearer::Admin("root".into()));
    let (_, quiet) = server.client.shop(&admin, "10.00", 3).await;
    let early = server.client.buyer(&quiet, 1).await;
    let mut rush = Rush::begin(&server).await;
    rush.goes_on(20).await;

    cluster.kill().await;
    server.misses_its_store(BOUND).await;
    let shed = server.client.checkout(&early, "tok_approve").send().await.expect(503);
    assert_eq!(shed.code(), "overloaded", "{}", shed.text);
    assert!(shed.header("retry-after").is_some());
    cluster.start_again().await;
    server.ready().await;
    rush.goes_on(20).await;

    cluster.stop_at_once();
    server.misses_its_store(BOUND).await;
    cluster.start_again().await;
    server.ready().await;
    let told = rush.end().await;
    server.client.checkout(&early, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
    told.still_holds(&server).await;
    assert!(server.runs());
    let report = audit(&store.config(), store.data_dir()).await.expect("the store can be looked at");
    assert!(report.is_clean(), "{report}");
}
