//! Personal data: shown to those who ship and to whom they belong, and in no journal, snapshot, kept answer, archive or log.

use crate::on_both_stores;
use crate::support::client::{Buyer, Client};
use crate::support::{Kind, Server, TestStore, token};
use haat::app::audit::audit;
use haat::domain::ids::OrderId;
use haat::domain::who::Permissions;
use haat::http::auth::Bearer;
use haat::persistence::log_writer::decode;
use haat::persistence::{self, Mode};
use serde_json::{Value, json};

const PERSONAL: [&str; 6] =
    ["planted-mail", "Plantedname", "Plantedstreet", "Plantedville", "1747110815", "tok_slow_1"];

fn checkout(token: &str) -> Value {
    json!({
        "email": "planted-mail@example.com",
        "shipping_address": {
            "name": "Plantedname", "line1": "47 Plantedstreet", "city": "Plantedville", "postcode": "1205", "country": "BD",
            "phone": "+8801747110815",
        },
        "payment": {"method": "sandbox", "token": token},
    })
}

/// Everything that a store holds besides the details, as text.
pub async fn all_but_details(store: &TestStore) -> String {
    let opened = persistence::open(&store.config(), Mode::Tool).await.expect("the store");
    let mut text = String::new();
    for partition in opened.journal.partitions().await.expect("partitions") {
        for frame in opened.journal.frames(partition.id, 0, usize::MAX / 2).await.expect("frames") {
            text.push_str(&String::from_utf8_lossy(&decode(&frame).expect("lines")));
        }
    }
    assert!(text.contains("checkout_started") && text.contains(r#""ans":["#), "there is something to look at");
    for snapshot in opened.snapshots.scan(None, 10_000).await.expect("snapshots") {
        for part in snapshot.parts {
            text.push_str(&String::from_utf8_lossy(&part.state.unwrap_or_default()));
        }
    }
    text
}

async fn clean(store: &TestStore) -> String {
    let report = audit(&store.config(), store.data_dir()).await.expect("an audit");
    assert!(report.is_clean(), "{report}");
    report.of("details").expect("a check").looked_at.clone()
}

/// As an operator erases a person until accounts do it.
pub async fn erase(store: &TestStore, order: &str, names: &str) {
    let id = order.parse::<OrderId>().expect("an id").uuid();
    let id = match store.kind {
        Kind::Postgres => format!("'{id}'"),
        Kind::Sqlite => format!("x'{}'", id.simple()),
    };
    let sql = format!("UPDATE detail SET body = NULL WHERE entity = {id} AND name IN ({names})");
    assert!(store.execute(&sql).await > 0, "there is something to erase");
}

on_both_stores! {
    /// Owner, staff and the vendor that ships see where to; wherever else one looks there is nothing of it.
    async fn personal_data_are_shown_where_they_are_needed_and_kept_nowhere_else(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let market = client.market(9).await;
        let Buyer { cart, token: bearer } = &market.buyer;
        let path = format!("/v1/carts/{cart}/checkout");
        let place = || {
            client.post(&path, &checkout("tok_slow_1")).bearer(bearer).header("idempotency-key", "k").header("prefer", "wait=20")
        };
        let first = place().send().await.expect(201);
        let order = first.field("id").to_owned();
        assert_eq!(first.body["shipping_address"]["phone"], "+8801747110815");
        let again = place().send().await.expect(201);
        assert_eq!((&again.body, again.headers["idempotent-replayed"].as_bytes()), (&first.body, &b"true"[..]));
        let staff = token(&Bearer::Staff("rina".into(), Permissions::ALL));
        let vendor = token(&Bearer::owner_of(market.vendor.parse().expect("an id")));
        let seen_by_all = async |client: Client, path: &str| {
            for who in [bearer, &staff, &vendor] {
                let answer = client.get(path).bearer(who).send().await.expect(200);
                for wanted in &PERSONAL[..5] {
                    assert!(answer.text.contains(wanted), "{path} lacks {wanted}: {}", answer.text);
                }
                assert!(!answer.text.contains("tok_"), "{}", answer.text);
            }
        };
        seen_by_all(client, &format!("/v1/orders/{order}")).await;
        // Whoever has no part in it does not know of it.
        let (other, _) = client.shop(&market.admin, "1.00", 1).await;
        let other = token(&Bearer::owner_of(other.parse().expect("an id")));
        client.order(&other, &order).await.expect(404);
        server.stop().await;
        assert_eq!(clean(&store).await, "1 detail of 1 checkout", "the token is gone with the payment");
        let text = all_but_details(&store).await;
        for secret in PERSONAL {
            assert!(!text.contains(secret), "{secret} is kept");
        }
        assert!(text.contains(r#""postcode":"1205""#), "what decides zones and taxes stays");
        // After a restart it is read, and the answer is the same.
        let server = Server::start(&store).await;
        let seen = server.client.order(bearer, &order).await.expect(200);
        assert_eq!((&seen.body["shipping_address"], &seen.body["email"]), (&first.body["shipping_address"], &first.body["email"]));
        seen_by_all(server.client, "/v1/orders").await;
        server.stop().await;
    }

    /// Erased, it is shown as erased, and everything else goes on.
    async fn what_is_erased_is_shown_as_erased_and_nothing_else_changes(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let market = client.market(9).await;
        let Buyer { cart, token: bearer } = &market.buyer;
        let path = format!("/v1/carts/{cart}/checkout");
        let place = client.post(&path, &checkout("tok_approve")).bearer(bearer).header("prefer", "wait=20");
        let mut first = place.send().await.expect(201).body;
        let order = first["id"].as_str().expect("an id").to_owned();
        server.stop().await;
        erase(&store, &order, "'contact'").await;
        assert_eq!(clean(&store).await, "1 detail of 1 checkout, 1 erased");
        let server = Server::start(&store).await;
        first["shipping_address"] = json!("erased");
        first["email"] = json!("erased");
        let seen = server.client.order(bearer, &order).await.expect(200);
        assert_eq!(seen.body, first);
        let list = server.client.get("/v1/orders").bearer(bearer).send().await.expect(200);
        assert_eq!(list.body["items"][0]["shipping_address"], "erased");
        server.stop().await;
        // Made anew from the journal, it is erased still.
        haat::app::rebuild::rebuild(&store.config()).await.expect("rebuilt");
        assert_eq!(clean(&store).await, "1 detail of 1 checkout, 1 erased");
    }

    /// An order whose means of payment is gone before it was used cannot be paid; one that had been used is paid.
    async fn without_a_token_an_order_is_declined_unless_it_is_paid_already(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let market = client.market(9).await;
        // The sandbox answers after longer than the server lives.
        let slow = client.checkout(&market.buyer, "tok_slow_60000").send().await.expect(201).field("id").to_owned();
        // It has taken the money, and has not said so.
        let buyer = client.buyer(&market.sku, 1).await;
        let lost = client.checkout(&buyer, "tok_lost_reply").send().await.expect(201).field("id").to_owned();
        let charged = format!("/v1/admin/sandbox/charges?order={lost}");
        while client.get(&charged).bearer(&market.admin).send().await.expect(200).body["items"] == json!([]) {
            tokio::task::yield_now().await;
        }
        server.stop().await;
        for order in [&slow, &lost] {
            erase(&store, order, "'payment'").await;
        }
        let server = Server::start(&store).await;
        for (order, buyer, end) in [(&slow, &market.buyer, "payment_failed"), (&lost, &buyer, "paid")] {
            let seen = loop {
                let seen = server.client.order(&buyer.token, order).await.expect(200);
                if seen.field("status") != "awaiting_payment" {
                    break seen;
                }
                tokio::task::yield_now().await;
            };
            assert_eq!(seen.field("status"), end, "{}", seen.text);
        }
        let timeline = format!("/v1/orders/{slow}/timeline");
        let told = server.client.get(&timeline).bearer(&market.buyer.token).send().await.expect(200);
        assert!(told.text.contains("token_gone"), "{}", told.text);
        server.stop().await;
        clean(&store).await;
    }
}
