//! Checkouts: each of the sandbox's tokens, and each way in which an order can end.

use crate::on_both_stores;
use crate::support::client::{Client, checkout_body};
use crate::support::{Server, token};
use haat::http::auth::Bearer;
use serde_json::{Value, json};

async fn charges(client: &Client, admin: &str, order: &str) -> Vec<String> {
    let path = format!("/v1/admin/sandbox/charges?order={order}");
    let answer = client.get(&path).bearer(admin).send().await.expect(200);
    let items = answer.body["items"].as_array().expect("items").clone();
    items.iter().map(|charge| charge["status"].as_str().expect("a status").to_owned()).collect()
}

/// The stock once nothing is held any more.
async fn settled(client: &Client, admin: &str, vendor: &str, sku: &str) -> Value {
    loop {
        let stock = client.stock(admin, vendor, sku).await;
        if stock["held"] == 0 {
            return stock;
        }
        tokio::task::yield_now().await;
    }
}

on_both_stores! {
    /// Every token that ends in a payment takes the money once; the order is paid, its cart closed and its stock sold.
    async fn each_token_that_pays_pays_once(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "1250.00", 100).await;
        let mut sold = 0;
        for card in ["tok_approve", "tok_slow_30", "tok_flaky_3", "tok_lost_reply"] {
            let buyer = client.buyer(&sku, 2).await;
            let order = client.checkout(&buyer, card).header("prefer", "wait=30").send().await.expect(201);
            assert_eq!(order.field("status"), "paid", "{card}: {}", order.text);
            assert_eq!(order.body["total"], json!({"amount": "2500.00", "currency": "BDT"}));
            assert_eq!(order.body["total_due"]["amount"], "0.00");
            assert_eq!(order.body["payment"], json!({"status": "captured", "method": "sandbox"}));
            assert_eq!(charges(&client, &admin, order.field("id")).await, ["charged"], "{card}");
            sold += 2;
            let stock = settled(&client, &admin, &vendor, &sku).await;
            assert_eq!(stock["sold"], sold, "{stock}");
            crate::until("the cart to be closed", async || {
                let cart = client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await.expect(200);
                (cart.field("status") == "checked_out").then_some(())
            }).await;
            let changed = client.set_line(&buyer, &sku, 1).await.expect(409);
            assert_eq!(changed.code(), "cart_checked_out");
            let again = client.checkout(&buyer, "tok_decline").send().await.expect(200);
            assert_eq!(again.field("id"), order.field("id"));
            // Whatever the body: what the shop does not take is not asked for any more.
            let mut body = checkout_body(card);
            body["payment"]["method"] = json!("cowries");
            let path = format!("/v1/carts/{}/checkout", buyer.cart);
            let again = client.post(&path, &body).bearer(&buyer.token).send().await.expect(200);
            assert_eq!(again.field("id"), order.field("id"));
            let open = client.buyer(&sku, 1).await;
            let path = format!("/v1/carts/{}/checkout", open.cart);
            let refused = client.post(&path, &body).bearer(&open.token).send().await.expect(422);
            assert_eq!(refused.code(), "payment_unsupported");
            client.post(&path, &body).bearer(&buyer.token).send().await.expect(404);
        }
        server.stop().await;
    }

    /// A declined payment is an order that failed; the cart is open again, and the next attempt is another order.
    async fn a_declined_payment_gives_everything_back(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 3).await;
        let buyer = client.buyer(&sku, 3).await;
        let failed = client.checkout(&buyer, "tok_decline").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!(failed.field("status"), "payment_failed");
        assert_eq!(failed.body["total_due"]["amount"], "0.00");
        assert_eq!(charges(&client, &admin, failed.field("id")).await, ["declined"]);
        // An end status is shown only when the stock is free and the cart open.
        let stock = client.stock(&admin, &vendor, &sku).await;
        assert_eq!((&stock["held"], &stock["available"]), (&json!(0), &json!(3)));
        let cart = client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await.expect(200);
        assert_eq!(cart.field("status"), "open");
        let paid = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!(paid.field("status"), "paid");
        assert_ne!(paid.field("id"), failed.field("id"));
        server.stop().await;
    }

    /// Out of stock and a changed price are conflicts: nothing is held, and the cart is as it was.
    async fn what_cannot_be_had_is_refused(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 3).await;
        let buyer = client.buyer(&sku, 4).await;
        let refused = client.checkout(&buyer, "tok_approve").send().await.expect(409);
        assert_eq!(refused.code(), "out_of_stock");
        assert_eq!(refused.body["skus"], json!([{"sku_id": sku, "requested": 4, "available": 3}]));
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));

        client.set_line(&buyer, &sku, 2).await.expect(200);
        let price = json!({"price": {"amount": "12.50", "currency": "BDT"}});
        let path = format!("/v1/vendors/{vendor}/skus/{sku}");
        client.request("PATCH", &path).json(&price).bearer(&admin).send().await.expect(200);
        let refused = client.checkout(&buyer, "tok_approve").send().await.expect(409);
        assert_eq!(refused.code(), "price_changed");
        assert_eq!(refused.body["actual_total"], json!({"amount": "25.00", "currency": "BDT"}));
        let stock = client.stock(&admin, &vendor, &sku).await;
        assert_eq!((&stock["held"], &stock["sold"]), (&json!(0), &json!(0)), "{stock}");

        // The buyer sees the new price, which is not to agree to it.
        let cart = client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await.expect(200);
        assert_eq!(cart.body["subtotal"]["amount"], "25.00");
        let mut body = checkout_body("tok_approve");
        body["expected_total"] = json!({"amount": "20.00", "currency": "BDT"});
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let refused = client.post(&path, &body).bearer(&buyer.token).send().await.expect(409);
        assert_eq!(refused.code(), "price_changed");
        let refused = client.checkout(&buyer, "tok_approve").send().await.expect(409);
        assert_eq!(refused.code(), "price_changed");
        client.set_line(&buyer, &sku, 2).await.expect(200);
        client.checkout(&buyer, "tok_approve").send().await.expect(201);

        let nobody = client.post("/v1/carts", &json!({})).send().await.expect(201);
        let empty = crate::support::client::Buyer { cart: nobody.field("id").into(), token: nobody.field("token").into() };
        assert_eq!(client.checkout(&empty, "tok_approve").send().await.expect(409).code(), "cart_empty");
        server.stop().await;
    }

    /// An order of two vendors holds at both or at neither, and each vendor sees its own share.
    async fn an_order_spans_vendors(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (first, quilt) = client.shop(&admin, "10.00", 5).await;
        let (second, lamp) = client.shop(&admin, "7.50", 1).await;
        let buyer = client.buyer(&quilt, 2).await;
        client.set_line(&buyer, &lamp, 1).await.expect(200);
        let late = client.buyer(&quilt, 1).await;
        client.set_line(&late, &lamp, 1).await.expect(200);

        let order = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!(order.body["total"]["amount"], "27.50");
        assert_eq!(order.body["sub_orders"].as_array().map(Vec::len), Some(2));
        let refused = client.checkout(&late, "tok_approve").send().await.expect(409);
        assert_eq!(refused.code(), "out_of_stock");
        let stock = settled(&client, &admin, &first, &quilt).await;
        assert_eq!((&stock["sold"], &stock["available"]), (&json!(2), &json!(3)), "{stock}");

        let second_token = token(&Bearer::owner_of(second.parse().expect("an id")));
        let share = client.order(&second_token, order.field("id")).await.expect(200);
        assert_eq!(share.body["lines"].as_array().map(Vec::len), Some(1));
        assert_eq!((&share.body["total"]["amount"], &share.body["sub_orders"][0]["vendor_id"]), (&json!("7.50"), &json!(second)));
        let stranger = token(&Bearer::owner_of(haat::domain::ids::VendorId::from_uuid(crate::support::fresh_uuid())));
        client.order(&stranger, order.field("id")).await.expect(404);

        let timeline = client.get(&format!("/v1/orders/{}/timeline", order.field("id"))).bearer(&buyer.token).send().await;
        let timeline = timeline.expect(200);
        let kinds: Vec<&str> =
            timeline.body["items"].as_array().expect("items").iter().filter_map(|item| item["type"].as_str()).collect();
        assert_eq!(kinds[..6], ["placed", "stock_held", "stock_held", "priced", "payment_requested", "paid"]);
        assert!(!timeline.text.contains("tok_"), "no secrets: {}", timeline.text);
        assert!(timeline.text.contains("27.50"), "the owner sees what was paid: {}", timeline.text);
        // A vendor sees that the order was priced and paid, and not at what: the rest is the others' money.
        let path = format!("/v1/orders/{}/timeline", order.field("id"));
        let seen = client.get(&path).bearer(&second_token).send().await.expect(200);
        let items = seen.body["items"].as_array().expect("items");
        assert!(items.iter().any(|item| item["type"] == "paid"), "{}", seen.text);
        assert!(!seen.text.contains("amount") && !seen.text.contains(&first), "{}", seen.text);
        server.stop().await;
    }

    /// A cancel while the payment runs takes effect; money that was taken comes back.
    async fn a_running_payment_can_be_cancelled(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 3).await;
        for card in ["tok_slow_60000", "tok_lost_reply", "tok_flaky_100"] {
            let buyer = client.buyer(&sku, 1).await;
            let order = client.checkout(&buyer, card).send().await.expect(201);
            assert_eq!(order.field("status"), "awaiting_payment");
            let path = format!("/v1/orders/{}/cancel", order.field("id"));
            client.post(&path, &json!({})).bearer(&buyer.token).send().await.expect(200);
            let ended = loop {
                let order = client.order(&buyer.token, order.field("id")).await.expect(200);
                if order.field("status") != "awaiting_payment" {
                    break order;
                }
                tokio::task::yield_now().await;
            };
            assert_eq!(ended.field("status"), "cancelled", "{card}");
            assert_eq!(ended.body["total_due"]["amount"], "0.00");
            let charges = charges(&client, &admin, order.field("id")).await;
            assert!(charges == ["voided"] || charges == ["refunded"], "{card}: {charges:?}");
            let stock = client.stock(&admin, &vendor, &sku).await;
            assert_eq!((&stock["held"], &stock["sold"]), (&json!(0), &json!(0)), "{card}");
            client.post(&path, &json!({})).bearer(&buyer.token).send().await.expect(200);
        }
        let buyer = client.buyer(&sku, 1).await;
        let paid = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        let path = format!("/v1/orders/{}/cancel", paid.field("id"));
        // What is paid is given back, once: there is nothing left to cancel afterwards.
        let cancelled = client.post(&path, &json!({})).bearer(&buyer.token).send().await.expect(200);
        assert_eq!((cancelled.field("status"), &cancelled.body["total_due"]["amount"]), ("refunded", &json!("0.00")));
        let refused = client.post(&path, &json!({})).bearer(&buyer.token).send().await.expect(409);
        assert_eq!(refused.code(), "order_not_cancellable");
        server.stop().await;
    }

    /// A wait that ends before the payment shows the order as it is: 201 to whoever made it, 200 to whoever asks again.
    async fn a_wait_that_ends_shows_the_order_as_it_is(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (_, sku) = client.shop(&admin, "10.00", 3).await;
        let buyer = client.buyer(&sku, 1).await;
        let ask = || client.checkout(&buyer, "tok_slow_60000").header("prefer", "wait=1").send();
        let made = ask().await.expect(201);
        let again = ask().await.expect(200);
        assert_eq!((made.field("status"), again.field("status")), ("awaiting_payment", "awaiting_payment"));
        assert_eq!(made.field("id"), again.field("id"));
        server.stop().await;
    }

    /// A wait shorter than the cart's own turn changes nothing: what is made is 201, what is refused is 409, and a repeat under the key
    /// gets the same.
    async fn a_wait_of_nothing_is_a_checkout_all_the_same(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (_, sku) = client.shop(&admin, "10.00", 3).await;
        let buyer = client.buyer(&sku, 4).await;
        let ask = |key: &'static str| {
            let checkout = client.checkout(&buyer, "tok_slow_60000").key(key);
            checkout.header("prefer", "wait=0").send()
        };
        for replayed in [None, Some("true")] {
            let refused = ask("refused").await.expect(409);
            assert_eq!((refused.code(), refused.header("idempotent-replayed")), ("out_of_stock", replayed));
        }
        client.set_line(&buyer, &sku, 1).await.expect(200);
        // Refused by the order, after the cart let it go.
        let mut body = checkout_body("tok_approve");
        body["expected_total"] = json!({"amount": "9.00", "currency": "BDT"});
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        for replayed in [None, Some("true")] {
            let cheap = client.post(&path, &body).bearer(&buyer.token).key("cheap").header("prefer", "wait=0");
            let refused = cheap.send().await.expect(409);
            assert_eq!((refused.code(), refused.header("idempotent-replayed")), ("price_changed", replayed));
        }
        let mut first = None;
        for replayed in [None, Some("true")] {
            let made = ask("made").await.expect(201);
            assert_eq!(made.header("idempotent-replayed"), replayed, "{}", made.text);
            assert_eq!((made.header("preference-applied"), made.field("status")), (Some("wait=0"), "awaiting_payment"));
            assert_eq!(&made.text, first.get_or_insert(made.text.clone()));
        }
        let again = ask("again").await.expect(200);
        assert_eq!(Some(again.field("id").to_owned()), first.map(|text| text[7..39].to_owned()));
        server.stop().await;
    }

    /// Past its deadline nothing is charged: the order expires and gives everything back.
    async fn an_order_that_is_not_paid_in_time_expires(store) {
        let mut config = store.server();
        config.node.shop.payment_ms = 1_000;
        config.node.shop.hold_ms = 1_200;
        let server = Server::start_with(config, haat::app::Hooks::default()).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 3).await;
        let buyer = client.buyer(&sku, 1).await;
        let ended = client.checkout(&buyer, "tok_flaky_100").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!(ended.field("status"), "expired", "{}", ended.text);
        assert_eq!(charges(&client, &admin, ended.field("id")).await, ["voided"]);
        let stock = client.stock(&admin, &vendor, &sku).await;
        assert_eq!((&stock["held"], &stock["available"]), (&json!(0), &json!(3)), "{stock}");
        server.stop().await;
    }
}
