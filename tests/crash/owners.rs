//! Two servers on one store: there is one owner at any time, and whoever is not answers nothing.

use crate::process::{Haat, free_address, until};
use crate::support::client::Client;
use crate::support::{Kind, TestStore, token};
use haat::http::auth::Bearer;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

fn admin() -> String {
    token(&Bearer::Admin("root".into()))
}

/// Buys one piece after the other until no answer comes; gives the orders that were told to be paid.
fn buy_until_it_is_gone(client: Client, sku: String) -> JoinHandle<Vec<String>> {
    tokio::spawn(async move {
        let mut paid = Vec::new();
        while let Some(order) = buy(client, &sku).await {
            paid.push(order);
        }
        paid
    })
}

/// The order of one piece bought, if the server said that it is paid.
async fn buy(client: Client, sku: &str) -> Option<String> {
    let answered = |sent: Result<crate::support::client::Answer, _>, status| sent.ok().filter(|a| a.status == status);
    let cart = answered(client.post("/v1/carts", &json!({})).try_send().await, 201)?;
    let (id, bearer) = (cart.field("id").to_owned(), cart.field("token").to_owned());
    let line = client.request("PUT", &format!("/v1/carts/{id}/lines/{sku}")).json(&json!({"quantity": 1}));
    answered(line.bearer(&bearer).try_send().await, 200)?;
    let buyer = crate::support::client::Buyer { cart: id, token: bearer };
    let order = answered(client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").try_send().await, 201)?;
    (order.field("status") == "paid").then(|| order.field("id").to_owned())
}

/// All of these are paid at this server, and no piece was sold twice.
async fn all_are_paid(client: Client, vendor: &str, sku: &str, orders: &[String]) {
    let admin = admin();
    for order in orders {
        let seen = client.order(&admin, order).await.expect(200);
        assert_eq!(seen.field("status"), "paid", "{order}");
    }
    let stock = until("no stock to be held", async || {
        let stock = client.stock(&admin, vendor, sku).await;
        (stock["held"] == 0).then_some(stock)
    })
    .await;
    let sold = stock["sold"].as_u64().expect("a count");
    assert!(sold >= orders.len() as u64, "{sold} are sold, {} were told paid", orders.len());
    assert_eq!(stock["received"].as_u64(), stock["on_hand"].as_u64().map(|left| left + sold), "{stock}");
}

/// A data directory has one server; a second goes away with a word that says why, and the first does not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_one_directory_is_refused() {
    let store = TestStore::new(Kind::Sqlite).await;
    let mut first = Haat::start(&store, free_address()).await;
    let (vendor, sku) = first.client.shop(&admin(), "10.00", 5).await;
    let mut second = Haat::begin(&store, store.data_dir(), free_address());
    let status = second.ended().await;
    let said = second.log();
    assert_eq!(status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("only one can at a time") && said.contains("another process ("), "{said}");
    let order = buy(first.client, &sku).await.expect("the first goes on");
    all_are_paid(first.client, &vendor, &sku, &[order]).await;
    assert!(first.runs());
    first.said_no_error();
}

/// On Postgres a second server takes the store over from a first that works; what the first has said is true at the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_takes_a_database_over() {
    let store = TestStore::new(Kind::Postgres).await;
    let mut first = Haat::start(&store, free_address()).await;
    let (vendor, sku) = first.client.shop(&admin(), "10.00", 100_000).await;
    let buyers: Vec<_> = (0..4).map(|_| buy_until_it_is_gone(first.client, sku.clone())).collect();
    until("some to be paid", async || {
        (first.client.stock(&admin(), &vendor, &sku).await["sold"].as_i64() >= Some(10)).then_some(())
    })
    .await;

    // Another machine has another disk.
    let directory = TempDir::new().expect("a temporary directory");
    let mut second = Haat::begin(&store, directory.path(), free_address());
    second.ready().await;
    assert!(!first.runs(), "two servers at a time");
    assert_eq!(first.ended().await.code(), Some(3), "{}", first.log());
    assert!(first.client.get("/healthz").try_send().await.is_err());
    let mut paid = Vec::new();
    for buyer in buyers {
        paid.extend(buyer.await.expect("no panic"));
    }
    assert!(paid.len() >= 10);
    paid.push(buy(second.client, &sku).await.expect("the second sells"));
    all_are_paid(second.client, &vendor, &sku, &paid).await;
    assert!(second.runs());
    second.said_no_error();
}

/// A server that stood still while another took over wakes with questions waiting: it must answer none, for all it knows is old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_slept_through_a_take_over_answers_nothing() {
    let store = TestStore::new(Kind::Postgres).await;
    let mut first = Haat::start(&store, free_address()).await;
    let (vendor, sku) = first.client.shop(&admin(), "10.00", 1).await;
    let left_over = first.client.buyer(&sku, 1).await;
    first.signal("STOP").await;
    let directory = TempDir::new().expect("a temporary directory");
    let mut second = Haat::begin(&store, directory.path(), free_address());
    second.ready().await;
    let order = buy(second.client, &sku).await.expect("the second sells");

    // These wait in the sockets of the first.
    let (client, bearer) = (first.client, admin());
    let stock = client.get(&format!("/v1/vendors/{vendor}/skus/{sku}")).bearer(&bearer);
    let cart = client.get(&format!("/v1/carts/{}", left_over.cart)).bearer(&left_over.token);
    let checkout = client.checkout(&left_over, "tok_approve");
    // These come from what the server shows without asking anybody.
    let shown = client.get(&format!("/v1/skus/{sku}"));
    let asked: Vec<_> = [stock, cart, checkout, shown].map(|request| tokio::spawn(request.try_send())).into();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    first.signal("CONT").await;
    for asked in asked {
        if let Ok(answer) = asked.await.expect("no panic") {
            assert_eq!(answer.status, 503, "{}", answer.text);
        }
    }
    assert_eq!(first.ended().await.code(), Some(3), "{}", first.log());
    all_are_paid(second.client, &vendor, &sku, &[order]).await;
    let refused = second.client.checkout(&left_over, "tok_approve").header("prefer", "wait=20").send().await;
    assert_eq!((refused.status, refused.code()), (409, "out_of_stock"), "{}", refused.text);
    second.said_no_error();
}
