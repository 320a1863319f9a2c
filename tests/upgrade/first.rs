//! The store of the first version.

use crate::support::client::{Client, checkout_body};
use crate::support::{Kind, Server, TestStore, token};
use haat::app::audit::audit;
use haat::http::auth::Bearer;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Executor, SqliteConnection};
use std::time::Duration;

const PAID: &str = "order_01m7yht4bvfnx9j4jbwbwyhve2";
const DECLINED: &str = "order_01m7yht4dze53axjxywqkksce5";
const CANCELLED: &str = "order_01m7yht4g7eqr9aqyt8yyv84j2";
const LIVE: &str = "order_01m7yht61kf9vbhnsy7hea3a37";
const OPEN_CART: &str = "cart_01m7yht636etg91w8f4d1tde74";
const SKU: &str = "sku_01m7yht4azekqvz9221ytx82b9";
const VENDOR: &str = "vendor_01m7yht4a5e6psjvwghs5ann8m";

/// The embedded store of the first version, as `kill -9` left it with one order in the middle of its payment.
pub async fn first_version() -> TestStore {
    let store = TestStore::new(Kind::Sqlite).await;
    let file = SqliteConnectOptions::new().filename(store.data_dir().join("haat.db"));
    // A dump names tables before it makes them.
    let file = file.create_if_missing(true).foreign_keys(false);
    let mut connection = SqliteConnection::connect_with(&file).await.expect("a file");
    connection.execute(sqlx::raw_sql(include_str!("../golden/stores/first.sql"))).await.expect("the old store");
    connection.close().await.expect("closed");
    let charge_log = include_str!("../golden/stores/first-ledger.jsonl");
    std::fs::write(store.data_dir().join("sandbox-ledger.jsonl"), charge_log).expect("the old ledger");
    store
}

/// Fails unless its orders are, or come, to their ends.
pub async fn ends(client: &Client) {
    let admin = token(&Bearer::Admin("root".into()));
    for (order, status) in [(PAID, "paid"), (DECLINED, "payment_failed"), (CANCELLED, "cancelled")] {
        assert_eq!(client.order(&admin, order).await.expect(200).field("status"), status, "{order}");
    }
    // Its time to pay is over, however soon after its making this runs, or else it is paid.
    let ended = loop {
        let order = client.order(&admin, LIVE).await.expect(200);
        if order.field("status") != "awaiting_payment" {
            break order.field("status").to_owned();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(["paid", "expired"].contains(&ended.as_str()), "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_the_first_version_is_taken_over() {
    let store = first_version().await;
    let server = Server::start(&store).await;
    let client = server.client;
    let admin = token(&Bearer::Admin("root".into()));
    ends(&client).await;
    let bearer = token(&Bearer::Guest(OPEN_CART.parse().expect("an id")));
    let cart = client.get(&format!("/v1/carts/{OPEN_CART}")).bearer(&bearer).send().await.expect(200);
    assert_eq!((cart.field("status"), cart.body["lines"].as_array().map(Vec::len)), ("open", Some(2)));

    // What was left open goes on: the old cart is checked out by the new version.
    let body = checkout_body("tok_approve");
    let path = format!("/v1/carts/{OPEN_CART}/checkout");
    let order = client.post(&path, &body).bearer(&bearer).header("prefer", "wait=30").send().await.expect(201);
    assert_eq!(order.field("status"), "paid");
    let restock = json!({"delta": 1, "reason": "found one"});
    client.post(&format!("/v1/vendors/{VENDOR}/skus/{SKU}/stock"), &restock).bearer(&admin).send().await.expect(200);
    server.stop().await;
    let report = audit(&store.config(), store.data_dir()).await.expect("the store can be looked at");
    assert!(report.is_clean(), "{report}");
}
