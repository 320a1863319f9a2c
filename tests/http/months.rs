//! Orders that live for months: settled they are out of memory, whatever is still to be done about them; and whoever is due comes back.

use crate::on_both_stores;
use crate::support::client::{Client, Market, checkout_body};
use crate::support::{Kind, Server, TestStore, token};
use haat::domain::ids::Kind as EntityKind;
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::time::Duration;

/// Looks until it is so.
async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let looks = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looks).await.unwrap_or_else(|_| panic!("waited for {what}"));
}

/// A buyer with this address pays; the order's id.
async fn pays(client: &Client, sku: &str, email: Option<&str>) -> String {
    let buyer = client.buyer(sku, 1).await;
    let mut body = checkout_body("tok_approve");
    body["email"] = json!(email);
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    let paid = client.post(&path, &body).bearer(&buyer.token).header("prefer", "wait=30").send().await.expect(201);
    assert_eq!(paid.field("status"), "paid");
    paid.field("id").to_owned()
}

/// How many actors of this kind are in memory, and how many have left it.
fn in_memory(server: &Server, kind: EntityKind) -> (usize, u64) {
    let of_kind = server.shop.actors().into_iter().find(|overview| overview.kind == kind).expect("every kind is told");
    (of_kind.live, of_kind.passivations)
}

async fn jobs(client: &Client, admin: &str, state: &str) -> Vec<Value> {
    let list = client.get(&format!("/v1/admin/jobs?state={state}")).bearer(admin).send().await.expect(200);
    list.body["items"].as_array().expect("a list").clone()
}

/// A moment that has long passed, as the store writes it.
fn long_ago(store: &TestStore) -> &'static str {
    match store.kind {
        Kind::Postgres => "'2020-01-01T00:00:00Z'",
        Kind::Sqlite => "1577836800000",
    }
}

on_both_stores! {
    /// A job is done beside its order, which is read for it and leaves again: who has settled is in memory for nobody.
    async fn a_settled_order_leaves_memory_though_its_job_is_pending(store) {
        let server = Server::start(&store).await;
        let client = &server.client;
        let Market { admin, sku, .. } = client.market(50).await;
        let order = pays(client, &sku, Some("rahim+never@example.com")).await;
        until("its mail to be under way", || async { jobs(client, &admin, "sending").await.len() == 1 }).await;
        assert_eq!(jobs(client, &admin, "sending").await[0]["about"], order.as_str());
        until("the order to leave", || async { in_memory(&server, EntityKind::Order).0 == 0 }).await;
        assert_eq!(jobs(client, &admin, "sending").await.len(), 1, "and its mail still waits for an answer");
        let shown = client.order(&admin, &order).await.expect(200);
        assert_eq!(shown.field("status"), "paid", "a command has it read again");
        until("the order to leave again", || async { in_memory(&server, EntityKind::Order).0 == 0 }).await;
        server.stop().await;
        assert_eq!(store.execute("UPDATE snapshot SET version = version WHERE kind = 'order' AND wake_at IS NOT NULL").await, 0,
            "no job has an order woken");
    }

    /// Snapshots that have their entities woken for nothing are put right: else these would be woken for ever.
    async fn whoever_is_due_is_woken_and_leaves_and_is_due_no_more(store) {
        const ORDERS: u64 = 12;
        let server = Server::start(&store).await;
        let Market { sku, .. } = server.client.market(50).await;
        for _ in 0..ORDERS {
            pays(&server.client, &sku, None).await;
        }
        until("all orders to leave", || async { in_memory(&server, EntityKind::Order).0 == 0 }).await;
        server.stop().await;
        let (due, at) = ("UPDATE snapshot SET wake_at", long_ago(&store));
        assert_eq!(store.execute(&format!("{due} = {at} WHERE kind = 'order' AND part = ''")).await, ORDERS);

        let server = Server::start(&store).await;
        until("all to be woken and to leave", || async {
            let (live, left) = in_memory(&server, EntityKind::Order);
            live == 0 && left >= ORDERS
        })
        .await;
        // A checkpoint comes every half second, and the next look at who is due after two.
        until("the store to say so", || async {
            store.execute(&format!("{due} = wake_at WHERE wake_at IS NOT NULL AND kind = 'order'")).await == 0
        })
        .await;
        server.stop().await;
    }

    /// After an orderly stop, too: what was under way is what people wait for, so it does not stand behind whatever else is due.
    async fn what_was_under_way_is_back_before_requests_are_taken(store) {
        const CARTS: usize = 300;
        let server = Server::start(&store).await;
        let client = &server.client;
        let Market { sku, .. } = client.market(500).await;
        for _ in 0..CARTS {
            client.buyer(&sku, 1).await;
        }
        let buyer = client.buyer(&sku, 1).await;
        let order = client.checkout(&buyer, "tok_never").send().await.expect(201).field("id").to_owned();
        server.stop().await;
        let carts = format!("UPDATE snapshot SET wake_at = {} WHERE kind = 'cart' AND wake_at IS NULL", long_ago(&store));
        assert!(store.execute(&carts).await >= CARTS as u64);

        let server = Server::start(&store).await;
        let path = format!("/v1/admin/actors/order/{order}");
        let admin = token(&Bearer::Admin("root".into()));
        let actor = server.client.get(&path).bearer(&admin).send().await.expect(200);
        assert_eq!(actor.body["live"], true, "{}", actor.body);
        server.stop().await;
    }
}
