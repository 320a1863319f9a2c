//! Snapshots and read tables are caches of the journal: made anew from it they are what they were.

mod archive;
#[path = "../support/mod.rs"]
mod support;

use haat::app::audit::audit;
use haat::app::rebuild::rebuild;
use haat::http::auth::Bearer;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use std::path::Path;
use support::client::{Answer, Buyer};
use support::{Kind, Server, TestStore, token};

/// Has an order delivered, and its buyer send it back.
async fn ship(server: &Server, buyer: &Buyer, order: &Answer) {
    let admin = token(&Bearer::Admin("root".into()));
    let share = format!(
        "/v1/orders/{}/sub-orders/{}",
        order.field("id"),
        order.body["sub_orders"][0]["id"].as_str().expect("an id")
    );
    let made = server.client.post(&format!("{share}/shipments"), &json!({})).bearer(&admin).send().await.expect(201);
    let deliver = format!("{share}/shipments/{}/deliver", made.field("id"));
    server.client.post(&deliver, &json!({})).bearer(&admin).send().await.expect(200);
    let wanted = json!({"lines": made.body["lines"], "reason": "damaged"});
    server.client.post(&format!("{share}/returns"), &wanted).bearer(&buyer.token).send().await.expect(201);
}

/// Buys and sends back, is declined, and leaves one order in the middle of its payment.
async fn trade(server: &Server, sku: &str) {
    for card in ["tok_approve", "tok_decline", "tok_approve"] {
        let buyer = server.client.buyer(sku, 1).await;
        let order =
            server.client.checkout(&buyer, card).header("prefer", "wait=30").key("once").send().await.expect(201);
        if order.field("status") == "paid" {
            ship(server, &buyer, &order).await;
        }
    }
    let buyer = server.client.buyer(sku, 2).await;
    server.client.checkout(&buyer, "tok_slow_60000").send().await.expect(201);
}

async fn clean(store: &TestStore) {
    let report = audit(&store.config(), store.data_dir()).await.expect("the store can be looked at");
    assert!(report.is_clean(), "{report}");
}

on_both_stores! {
    /// After a rebuild there is nothing to replay, everything adds up, and the shop goes on.
    async fn a_rebuilt_store_goes_on(store) {
        let server = Server::start(&store).await;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = server.client.shop(&admin, "10.00", 9).await;
        trade(&server, &sku).await;
        let before = server.client.stock(&admin, &vendor, &sku).await;
        server.stop().await;

        let rebuilt = rebuild(&store.config()).await.expect("a rebuild");
        assert_eq!(rebuilt.failed, [""; 0]);
        // Four carts, four orders and the vendor.
        assert_eq!(rebuilt.entities, 9);
        clean(&store).await;

        let server = Server::start(&store).await;
        assert_eq!(server.client.stock(&admin, &vendor, &sku).await, before);
        trade(&server, &sku).await;
        server.stop().await;
        clean(&store).await;
    }
}

/// What checkpoints have written, as text: all but the version that a part or row was last written at, and when to wake whom.
async fn written(file: &Path) -> Vec<String> {
    let url = format!("sqlite://{}", file.display());
    let mut connection = SqliteConnection::connect(&url).await.expect("the store's file");
    let mut all = Vec::new();
    for table in ["snapshot", "orders", "sub_orders", "shipments", "returns", "skus", "products", "vendors"] {
        let columns = "SELECT group_concat('quote(' || name || ')') FROM pragma_table_info($1) WHERE name NOT IN ('version', 'wake_at')";
        let columns: String = sqlx::query_scalar(columns).bind(table).fetch_one(&mut connection).await.expect(table);
        let select = format!("SELECT json_array({columns}) FROM {table} ORDER BY 1");
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(select)).fetch_all(&mut connection).await.expect(table);
        assert!(!rows.is_empty(), "{table} is empty");
        all.extend(rows.into_iter().map(|row| format!("{table} {row}")));
    }
    connection.close().await.expect("closed");
    all
}

async fn change(store: &TestStore, sql: &'static str) {
    let url = format!("sqlite://{}", store.data_dir().join("haat.db").display());
    let mut connection = SqliteConnection::connect(&url).await.expect("the store's file");
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("a statement");
    connection.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rebuilt_is_what_was_written_live_whatever_happened_to_it() {
    let store = TestStore::new(Kind::Sqlite).await;
    let server = Server::start(&store).await;
    let admin = token(&Bearer::Admin("root".into()));
    let (_, sku) = server.client.shop(&admin, "10.00", 9).await;
    trade(&server, &sku).await;
    server.stop().await;
    let live = written(&store.data_dir().join("haat.db")).await;

    change(&store, "PRAGMA foreign_keys = off; UPDATE skus SET on_hand = on_hand - 1; UPDATE orders SET document = '{}'; DELETE FROM sub_orders; DELETE FROM shipments; UPDATE returns SET status = 'closed'; DELETE FROM snapshot WHERE kind = 'order'").await;
    let damaged = audit(&store.config(), store.data_dir()).await.expect("the store can be looked at");
    assert!(!damaged.is_clean(), "{damaged}");
    rebuild(&store.config()).await.expect("a rebuild");
    assert_eq!(written(&store.data_dir().join("haat.db")).await, live);
    clean(&store).await;
}
