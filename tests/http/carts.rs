//! The carts of those who have an account: one is open, and a guest's can be merged into it.

use crate::on_both_stores;
use crate::support::client::{Answer, Buyer, Client};
use crate::support::{Server, token};
use haat::domain::ids::CustomerId;
use haat::http::auth::Bearer;
use serde_json::json;

/// The bearer of somebody who has an account.
fn customer() -> String {
    token(&Bearer::Customer(CustomerId::from_uuid(crate::support::fresh_uuid())))
}

async fn open(client: Client, bearer: &str) -> Answer {
    client.post("/v1/carts", &json!({})).bearer(bearer).send().await
}

on_both_stores! {
    /// A customer has one cart that is open: it is made once, shown for as long as it is open, and followed by another when
    /// it is bought; also over a restart, and each as often as it is asked for.
    async fn a_customer_has_one_open_cart(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let market = client.market(9).await;
        let bearer = customer();
        let cart = open(client, &bearer).await.expect(201);
        assert!(cart.body.get("token").is_none(), "{}", cart.text);
        let buyer = Buyer { cart: cart.field("id").to_owned(), token: bearer.clone() };
        let filled = client.set_line(&buyer, &market.sku, 2).await.expect(200);
        assert_eq!(open(client, &bearer).await.expect(200).text, filled.text);
        let other = open(client, &customer()).await.expect(201);
        assert_ne!(other.field("id"), buyer.cart, "another's is another cart");
        // Nobody else sees it.
        let path = format!("/v1/carts/{}", buyer.cart);
        for stranger in [&market.buyer.token, &customer()] {
            assert_eq!(client.get(&path).bearer(stranger).send().await.expect(404).code(), "cart_unknown");
        }
        let first = client.post("/v1/carts", &json!({})).bearer(&bearer).key("k").send().await.expect(200);
        assert_eq!(first.text, filled.text);
        client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        server.stop().await;

        let server = Server::start(&store).await;
        let client = server.client;
        let asked: Vec<Answer> = futures::future::join_all((0..8).map(|_| open(client, &bearer))).await;
        assert_eq!(asked.iter().filter(|answer| answer.status == 201).count(), 1, "it is made by one of them");
        let ids: Vec<&str> = asked.iter().map(|answer| answer.field("id")).collect();
        assert!(ids.iter().all(|id| *id == ids[0] && *id != buyer.cart), "{ids:?}");
        // The key gives the cart of then, and a newer one the cart of now.
        let again = client.post("/v1/carts", &json!({})).bearer(&bearer).key("k").send().await.expect(200);
        assert_eq!((again.text.as_str(), again.header("idempotent-replayed")), (first.text.as_str(), Some("true")));
        let now = client.post("/v1/carts", &json!({})).bearer(&bearer).key("l").send().await.expect(200);
        assert_eq!((now.field("id"), now.header("idempotent-replayed")), (ids[0], None));
        server.stop().await;
    }

    /// A key that found the last cart bought gives the next one again, though that is bought, too.
    async fn a_key_finds_the_same_cart_again(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let market = client.market(9).await;
        let bearer = customer();
        let buy = async |cart: String| {
            let buyer = Buyer { cart, token: bearer.clone() };
            client.set_line(&buyer, &market.sku, 1).await.expect(200);
            client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        };
        let first = open(client, &bearer).await.expect(201).field("id").to_owned();
        buy(first.clone()).await;
        let asked = || client.post("/v1/carts", &json!({})).bearer(&bearer).key("next").send();
        let second = asked().await.expect(201);
        assert_ne!(second.field("id"), first);
        buy(second.field("id").to_owned()).await;
        let again = asked().await.expect(201);
        assert_eq!((again.text.as_str(), again.header("idempotent-replayed")), (second.text.as_str(), Some("true")));
        assert_ne!(open(client, &bearer).await.expect(201).field("id"), second.field("id"));
        server.stop().await;
    }
}
