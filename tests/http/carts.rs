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

    /// A guest's cart is merged into a customer's once, however often it is asked for, also after a restart and an end of the
    /// other cart; what does not fit is told, and the guest's cart is closed.
    async fn a_guests_cart_is_merged_once(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let market = client.market(20_000).await;
        let (_, second) = client.shop(&market.admin, "3.50", 5).await;
        let guest = market.buyer.clone();
        client.set_line(&guest, &market.sku, 10_000).await.expect(200);
        client.set_line(&guest, &second, 2).await.expect(200);
        let bearer = customer();
        let cart = open(client, &bearer).await.expect(201).field("id").to_owned();
        let own = Buyer { cart, token: bearer.clone() };
        client.set_line(&own, &market.sku, 4).await.expect(200);
        let path = format!("/v1/carts/{}/merge", own.cart);
        let body = json!({"from": guest.cart, "token": guest.token});
        let merge = |client: Client| client.post(&path, &body).bearer(&bearer);
        let first = merge(client).key("m").send().await.expect(200);
        let quantities = |answer: &Answer| {
            let lines = answer.body["lines"].as_array().expect("lines").iter();
            lines.map(|line| line["quantity"].as_i64().expect("a number")).collect::<Vec<_>>()
        };
        assert_eq!(quantities(&first), [10_000, 2]);
        let left_out = json!([{"sku_id": market.sku, "quantity": 4, "why": "quantity_out_of_range"}]);
        assert_eq!((first.body["left_out"].clone(), first.field("status")), (left_out.clone(), "open"));
        assert_eq!(first.body["subtotal"]["amount"], "100007.00");

        // The guest's cart is closed, and what was in it is shown still.
        let closed = client.get(&format!("/v1/carts/{}", guest.cart)).bearer(&guest.token).send().await.expect(200);
        assert_eq!((closed.field("status"), quantities(&closed)), ("merged", vec![10_000, 2]));
        assert_eq!(client.set_line(&guest, &second, 1).await.expect(409).code(), "cart_merged");
        assert_eq!(client.checkout(&guest, "tok_approve").send().await.expect(409).code(), "cart_merged");
        let line = format!("/v1/carts/{}/lines/{second}", guest.cart);
        let removed = client.request("DELETE", &line).bearer(&guest.token).send().await.expect(409);
        assert_eq!(removed.code(), "cart_merged");
        server.stop().await;

        let server = Server::start(&store).await;
        let client = server.client;
        let again = merge(client).key("m").send().await.expect(200);
        assert_eq!((again.text.as_str(), again.header("idempotent-replayed")), (first.text.as_str(), Some("true")));
        client.set_line(&own, &market.sku, 1).await.expect(200);
        let shown = merge(client).send().await.expect(200);
        assert_eq!((quantities(&shown), shown.body["left_out"].clone()), (vec![1, 2], left_out.clone()));
        client.checkout(&own, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        let shown = merge(client).send().await.expect(200);
        assert_eq!((shown.field("status"), shown.body["left_out"].clone()), ("checked_out", left_out));
        // Another cart of the same customer cannot have it, too.
        let next = open(client, &bearer).await.expect(201);
        let path = format!("/v1/carts/{}/merge", next.field("id"));
        let second = client.post(&path, &body).bearer(&bearer).send().await.expect(409);
        assert_eq!(second.code(), "cart_merged");
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
        let merges = report.of("merges").expect("it is looked at");
        assert!(merges.looked_at.starts_with("1 merged cart:"), "{}", merges.looked_at);
    }

    /// Who may merge what: the customer's own cart, and one whose token they hold. All else does not exist.
    async fn nobody_elses_cart_is_merged(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let market = client.market(9).await;
        let (guest, bearer) = (market.buyer.clone(), customer());
        let own = open(client, &bearer).await.expect(201).field("id").to_owned();
        let others = open(client, &customer()).await.expect(201).field("id").to_owned();
        let other_guest = client.buyer(&market.sku, 1).await;
        let path = |cart: &str| format!("/v1/carts/{cart}/merge");
        let nobodys = haat::domain::ids::CartId::from_uuid(crate::support::fresh_uuid()).to_string();
        for (into, from, token) in [
            (&others, &guest.cart, &guest.token),
            (&nobodys, &guest.cart, &guest.token),
            (&guest.cart, &guest.cart, &guest.token),
            (&own, &guest.cart, &other_guest.token),
            (&own, &guest.cart, &bearer),
            (&own, &guest.cart, &market.admin),
            (&own, &own, &bearer),
            (&own, &nobodys, &guest.token),
            (&own, &nobodys, &crate::support::token(&Bearer::Guest(nobodys.parse().expect("an id")))),
            (&own, &"cart_x".to_owned(), &guest.token),
            (&own, &guest.cart, &"x".to_owned()),
        ] {
            let body = json!({"from": from, "token": token});
            let refused = client.post(&path(into), &body).bearer(&bearer).send().await.expect(404);
            assert_eq!(refused.code(), "cart_unknown", "{into} {from}");
        }
        let body = json!({"from": guest.cart, "token": guest.token});
        for (token, status) in [(Some(&guest.token), 403), (Some(&market.admin), 403), (None, 401)] {
            let request = client.post(&path(&own), &body);
            let request = if let Some(token) = token { request.bearer(token) } else { request };
            request.send().await.expect(status);
        }
        for bad in [json!({"from": guest.cart}), json!({"from": guest.cart, "token": 1}), json!([])] {
            assert_eq!(client.post(&path(&own), &bad).bearer(&bearer).send().await.expect(422).code(), "invalid_body");
        }
        // Nothing has become of it.
        let cart = client.get(&format!("/v1/carts/{}", guest.cart)).bearer(&guest.token).send().await.expect(200);
        assert_eq!(cart.field("status"), "open");
        server.stop().await;
    }

    /// Of carts that are not open nothing is merged; under a key the refusal stays.
    async fn what_is_not_open_is_not_merged(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let market = client.market(9).await;
        let (guest, bearer) = (market.buyer.clone(), customer());
        let cart = open(client, &bearer).await.expect(201).field("id").to_owned();
        let own = Buyer { cart, token: bearer.clone() };
        let path = format!("/v1/carts/{}/merge", own.cart);
        let body = |guest: &Buyer| json!({"from": guest.cart, "token": guest.token});
        // The guest's is being checked out.
        let order = client.checkout(&guest, "tok_slow_60000").send().await.expect(201);
        let asked = || client.post(&path, &body(&guest)).bearer(&bearer).key("k").send();
        assert_eq!(asked().await.expect(409).code(), "cart_checking_out");
        let cancel = format!("/v1/orders/{}/cancel", order.field("id"));
        client.post(&cancel, &json!({})).bearer(&guest.token).send().await.expect(200);
        let open_again = async || loop {
            let cart = client.get(&format!("/v1/carts/{}", guest.cart)).bearer(&guest.token).send().await.expect(200);
            if cart.field("status") == "open" {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), open_again()).await.expect("it opens again");
        let again = asked().await.expect(409);
        assert_eq!((again.code(), again.header("idempotent-replayed")), ("cart_checking_out", Some("true")));
        // The customer's is bought.
        client.set_line(&own, &market.sku, 1).await.expect(200);
        client.checkout(&own, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        let refused = client.post(&path, &body(&guest)).bearer(&bearer).send().await.expect(409);
        assert_eq!(refused.code(), "cart_checked_out");
        let cart = client.get(&format!("/v1/carts/{}", guest.cart)).bearer(&guest.token).send().await.expect(200);
        assert_eq!(cart.field("status"), "open", "the guest has it still");
        // Into one that is open it goes.
        let next = open(client, &bearer).await.expect(201).field("id").to_owned();
        let merged = client.post(&format!("/v1/carts/{next}/merge"), &body(&guest)).bearer(&bearer).send().await;
        assert_eq!(merged.expect(200).body["left_out"], json!([]));
        server.stop().await;
    }
}
