//! What a buyer has agreed to, and what only looking does: nothing.

use crate::on_both_stores;
use crate::support::client::{Buyer, Client, checkout_body};
use crate::support::journal::Gate;
use crate::support::{Server, token};
use haat::app::Hooks;
use haat::domain::ids::EntityRef;
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::sync::Arc;

/// A vendor with SKUs at these prices in this currency: their ids.
async fn shop(client: &Client, admin: &str, currency: &str, prices: &[&str]) -> (String, Vec<String>) {
    let vendor = client.post("/v1/vendors", &json!({"name": "Nakshi"})).bearer(admin).send().await.expect(201);
    let vendor = vendor.field("id").to_owned();
    let sku = |(number, price): (usize, &&str)| {
        let price = json!({"amount": price, "currency": currency});
        json!({"code": format!("C{number}"), "price": price, "on_hand": 50})
    };
    let skus: Vec<Value> = prices.iter().enumerate().map(sku).collect();
    let path = format!("/v1/vendors/{vendor}/products");
    let product = client.post(&path, &json!({"title": "Quilt", "skus": skus})).bearer(admin).send().await.expect(201);
    let ids = product.body["skus"].as_array().expect("SKUs").iter();
    (vendor, ids.map(|sku| sku["id"].as_str().expect("an id").to_owned()).collect())
}

async fn set_price(client: &Client, admin: &str, vendor: &str, sku: &str, amount: &str) {
    let price = json!({"price": {"amount": amount, "currency": "BDT"}});
    let path = format!("/v1/vendors/{vendor}/skus/{sku}");
    client.request("PATCH", &path).json(&price).bearer(admin).send().await.expect(200);
}

async fn version_of(server: &Server, cart: &str) -> u64 {
    let cart: EntityRef = cart.parse().expect("an id");
    server.shop.inspect(cart).await.expect("a view").version
}

async fn look(client: &Client, buyer: &Buyer) -> Value {
    client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await.expect(200).body
}

fn unit_prices(cart: &Value) -> Vec<&str> {
    let lines = cart["lines"].as_array().expect("lines").iter();
    lines.map(|line| line["unit_price"]["amount"].as_str().expect("an amount")).collect()
}

fn taka(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

on_both_stores! {
    /// A GET or a HEAD shows today's prices and what has changed, and moves nothing: the checkout after it is about
    /// what was agreed.
    async fn to_look_at_a_cart_writes_nothing_and_agrees_to_nothing(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, skus) = shop(&client, &admin, "BDT", &["10.00", "7.00"]).await;
        let buyer = client.buyer(&skus[0], 2).await;
        let put = client.set_line(&buyer, &skus[1], 1).await.expect(200);
        assert!(put.body.get("changed").is_none(), "an answer to a change is what is agreed: {}", put.text);
        assert_eq!(look(&client, &buyer).await["changed"], json!([]));
        set_price(&client, &admin, &vendor, &skus[0], "12.50").await;
        let version = version_of(&server, &buyer.cart).await;
        for method in ["GET", "HEAD", "GET"] {
            let path = format!("/v1/carts/{}", buyer.cart);
            let shown = client.request(method, &path).bearer(&buyer.token).send().await.expect(200);
            if method == "GET" {
                assert_eq!(unit_prices(&shown.body), ["12.50", "7.00"], "{}", shown.text);
                assert_eq!(shown.body["lines"][0]["line_total"], taka("25.00"));
                assert_eq!(shown.body["subtotal"], taka("32.00"));
                let changed = json!([{"sku_id": skus[0], "from": taka("10.00"), "to": taka("12.50")}]);
                assert_eq!(shown.body["changed"], changed, "{}", shown.text);
            }
        }
        assert_eq!(version_of(&server, &buyer.cart).await, version, "to look is not to write");
        // Neither to look nor to be refused is to agree.
        for _ in 0..2 {
            let refused = client.checkout(&buyer, "tok_approve").send().await.expect(409);
            assert_eq!((refused.code(), &refused.body["actual_total"]), ("price_changed", &taka("32.00")));
            let shown = look(&client, &buyer).await;
            assert_eq!(shown["changed"][0]["from"], taka("10.00"), "{shown}");
        }
        // The same line put again shows today's price, and that is agreed.
        let put = client.set_line(&buyer, &skus[0], 2).await.expect(200);
        assert_eq!(unit_prices(&put.body), ["12.50", "7.00"]);
        assert_eq!(look(&client, &buyer).await["changed"], json!([]));
        let order = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!(order.body["total"], taka("32.00"));
        server.stop().await;
    }

    /// What a PUT or a DELETE answers are today's prices of all lines, and they are what is agreed from then on.
    async fn a_change_of_one_line_shows_todays_prices_of_all(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, skus) = shop(&client, &admin, "BDT", &["10.00", "7.00", "3.00"]).await;
        let buyer = client.buyer(&skus[0], 1).await;
        set_price(&client, &admin, &vendor, &skus[0], "11.00").await;
        let put = client.set_line(&buyer, &skus[1], 1).await.expect(200);
        assert_eq!((unit_prices(&put.body), &put.body["subtotal"]), (vec!["11.00", "7.00"], &taka("18.00")));
        client.set_line(&buyer, &skus[2], 1).await.expect(200);
        set_price(&client, &admin, &vendor, &skus[1], "6.00").await;
        let path = format!("/v1/carts/{}/lines/{}", buyer.cart, skus[2]);
        let deleted = client.request("DELETE", &path).bearer(&buyer.token).send().await.expect(200);
        assert_eq!((unit_prices(&deleted.body), &deleted.body["subtotal"]), (vec!["11.00", "6.00"], &taka("17.00")));
        // Also what is not there can be deleted, and what is as it was can be put: what is shown then is agreed.
        set_price(&client, &admin, &vendor, &skus[0], "9.00").await;
        let deleted = client.request("DELETE", &path).bearer(&buyer.token).send().await.expect(200);
        assert_eq!(unit_prices(&deleted.body), ["9.00", "6.00"]);
        set_price(&client, &admin, &vendor, &skus[0], "8.00").await;
        let put = client.set_line(&buyer, &skus[1], 1).await.expect(200);
        assert_eq!(unit_prices(&put.body), ["8.00", "6.00"]);
        assert_eq!(look(&client, &buyer).await["changed"], json!([]));
        let order = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!(order.body["total"], taka("14.00"));
        server.stop().await;
    }

    /// With the store silent a cart can be looked at, whatever became of its prices.
    async fn a_cart_is_shown_while_nothing_can_be_written(store) {
        let gate = Gate::default();
        let hold = gate.clone();
        let hooks = Hooks { journal: Some(Arc::new(move |journal| hold.wrap(journal))), ..Hooks::default() };
        let server = Server::start_with(store.server(), hooks).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, skus) = shop(&client, &admin, "BDT", &["10.00"]).await;
        let buyer = client.buyer(&skus[0], 1).await;
        set_price(&client, &admin, &vendor, &skus[0], "12.00").await;
        gate.hold();
        let other = tokio::spawn(client.post("/v1/carts", &json!({})).send());
        gate.somebody_waits().await;
        let shown = look(&client, &buyer).await;
        assert_eq!((unit_prices(&shown), &shown["changed"][0]["from"]), (vec!["12.00"], &taka("10.00")));
        gate.let_go();
        other.await.expect("no panic").expect(201);
        server.stop().await;
    }

    /// A cart that was bought shows what its order charged.
    async fn a_bought_cart_shows_what_was_charged(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, skus) = shop(&client, &admin, "BDT", &["10.00", "7.00"]).await;
        let buyer = client.buyer(&skus[0], 1).await;
        client.set_line(&buyer, &skus[1], 1).await.expect(200);
        // The total is what it was, and no price is.
        set_price(&client, &admin, &vendor, &skus[0], "11.00").await;
        set_price(&client, &admin, &vendor, &skus[1], "6.00").await;
        let order = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!((order.field("status"), unit_prices(&order.body)), ("paid", vec!["11.00", "6.00"]));
        // And what became of prices since is no concern of what was bought.
        set_price(&client, &admin, &vendor, &skus[0], "99.00").await;
        let shown = loop {
            let shown = look(&client, &buyer).await;
            if shown["status"] == "checked_out" {
                break shown;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((unit_prices(&shown), &shown["subtotal"]), (vec!["11.00", "6.00"], &taka("17.00")), "{shown}");
        server.stop().await;

        let server = Server::start(&store).await;
        let shown = look(&server.client, &buyer).await;
        assert_eq!(unit_prices(&shown), ["11.00", "6.00"], "{shown}");
        server.stop().await;

        // With a total that the buyer named, too.
        let server = Server::start(&store).await;
        let client = server.client;
        let buyer = client.buyer(&skus[1], 1).await;
        set_price(&client, &admin, &vendor, &skus[1], "8.00").await;
        let mut body = checkout_body("tok_approve");
        body["expected_total"] = taka("8.00");
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        client.post(&path, &body).bearer(&buyer.token).header("prefer", "wait=20").send().await.expect(201);
        let closed = async || Some(look(&client, &buyer).await).filter(|shown| shown["status"] == "checked_out");
        let shown = crate::until("the cart to be closed", closed).await;
        assert_eq!(unit_prices(&shown), ["8.00"], "{shown}");
        server.stop().await;
    }

    /// An empty cart has the shop's currency, also when it was not always empty.
    async fn an_emptied_cart_has_the_shops_currency(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (_, skus) = shop(&client, &admin, "JPY", &["500"]).await;
        let buyer = client.buyer(&skus[0], 1).await;
        assert_eq!(look(&client, &buyer).await["subtotal"], json!({"amount": "500", "currency": "JPY"}));
        let emptied = client.set_line(&buyer, &skus[0], 0).await.expect(200);
        assert_eq!(emptied.body["subtotal"], taka("0.00"), "{}", emptied.text);
        assert_eq!(look(&client, &buyer).await["subtotal"], taka("0.00"));
        client.set_line(&buyer, &skus[0], 2).await.expect(200);
        let path = format!("/v1/carts/{}/lines/{}", buyer.cart, skus[0]);
        let emptied = client.request("DELETE", &path).bearer(&buyer.token).send().await.expect(200);
        assert_eq!(emptied.body["subtotal"], taka("0.00"), "{}", emptied.text);
        server.stop().await;
    }

    /// A parameter without a value is as one that is not there, on every list.
    async fn an_empty_parameter_counts_as_absent(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, skus) = shop(&client, &admin, "BDT", &["10.00"]).await;
        let buyer = client.buyer(&skus[0], 1).await;
        client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        for path in [
            "/v1/products?category=&q=&vendor=&limit=&cursor=".to_owned(),
            "/v1/products?category=%20%20&q=%20".to_owned(),
            "/v1/orders?limit=&cursor=".to_owned(),
            format!("/v1/vendors/{vendor}/orders?limit=&cursor="),
            "/v1/admin/sandbox/charges?order=&limit=".to_owned(),
        ] {
            let bearer = if path.starts_with("/v1/orders") { &buyer.token } else { &admin };
            loop {
                let listed = client.get(&path).bearer(bearer).send().await.expect(200);
                if listed.body["items"].as_array().is_some_and(|items| items.len() == 1) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(client.get("/v1/products?categry=").send().await.expect(422).code(), "invalid_query");
        server.stop().await;
    }
}
