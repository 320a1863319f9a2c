//! The built-in payment provider and what else can be switched off.

use crate::on_both_stores;
use crate::support::client::checkout_body;
use crate::support::{Server, token};
use haat::app::Hooks;
use haat::domain::ids::VendorId;
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

on_both_stores! {
    /// Without the sandbox its cards pay nothing, and it has no books; its orders of before wait, and are paid once it
    /// is on again.
    async fn a_shop_without_the_sandbox_takes_none_of_its_cards(store) {
        let admin = token(&Bearer::Admin("root".into()));
        let server = Server::start(&store).await;
        let (_, sku) = server.client.shop(&admin, "10.00", 5).await;
        let (waits, shops) = (server.client.buyer(&sku, 1).await, server.client.buyer(&sku, 1).await);
        let unpaid = server.client.checkout(&waits, "tok_flaky_100").send().await.expect(201);
        let unpaid = unpaid.field("id").to_owned();
        server.stop().await;

        let mut config = store.server();
        config.sandbox = false;
        let server = Server::start_with(config, Hooks::default()).await;
        let client = server.client;
        assert_eq!(server.shop.queries().unpaid_by_method().await.expect("a count"), [("sandbox".to_owned(), 1)]);
        for card in ["tok_approve", "tok_decline", "tok_slow_1", "tok_flaky_1", "tok_lost_reply", "tok_unknown"] {
            let refused = client.checkout(&shops, card).send().await.expect(422);
            assert_eq!(refused.code(), "payment_unsupported", "{card}: {}", refused.text);
        }
        let mut other = checkout_body("tok_approve");
        other["payment"]["method"] = "cowries".into();
        let path = format!("/v1/carts/{}/checkout", shops.cart);
        let unknown = client.post(&path, &other).bearer(&shops.token).send().await.expect(422);
        let refused = client.checkout(&shops, "tok_approve").send().await.expect(422);
        assert_eq!(unknown.body["detail"], refused.body["detail"], "as any other method that is not there");
        for path in ["/v1/admin/sandbox/charges", &format!("/v1/admin/sandbox/charges?order={unpaid}"), "/v1/admin/sandbox/refunds"] {
            assert_eq!(client.get(path).bearer(&admin).send().await.expect(404).code(), "not_found");
        }
        let document = client.get("/openapi.json").send().await.expect(200).text;
        assert!(!document.contains("/v1/admin/sandbox"), "it is not there, and not in the document");
        assert_eq!(client.order(&admin, &unpaid).await.expect(200).field("status"), "awaiting_payment");
        server.stop().await;

        let server = Server::start(&store).await;
        let client = server.client;
        client.get("/v1/admin/sandbox/charges").bearer(&admin).send().await.expect(200);
        let paid = client.checkout(&shops, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!(paid.field("status"), "paid");
        assert_eq!(client.order(&admin, &unpaid).await.expect(200).field("status"), "awaiting_payment");
        server.stop().await;
    }

    /// What comes after a payment at a provider can be had from the sandbox, and the order hears of it as of any.
    async fn disputes_and_returned_refunds_can_be_had_from_the_sandbox(store) {
        let admin = token(&Bearer::Admin("root".into()));
        let server = Server::start(&store).await;
        let client = server.client;
        let (_, sku) = client.shop(&admin, "10.00", 9).await;
        let bdt = |amount: &str| json!({"amount": amount, "currency": "BDT"});
        let paid = async || {
            let buyer = client.buyer(&sku, 1).await;
            let order = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
            assert_eq!(order.field("status"), "paid");
            order
        };
        let once = async |order: &str, field: &str, value: &str| {
            let look = async {
                loop {
                    let seen = client.order(&admin, order).await.expect(200).body;
                    if seen.pointer(field).is_some_and(|it| it == value) {
                        return seen;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            // Looked up once a minute.
            tokio::time::timeout(Duration::from_secs(90), look).await.unwrap_or_else(|_| panic!("never {value} at {field}"))
        };
        let drive = async |path: &str, body: Value| {
            client.post(&format!("/v1/admin/sandbox/{path}"), &body).bearer(&admin).send().await
        };

        let first = paid().await;
        let order = first.field("id");
        let path = format!("charges/{order}/dispute");
        let disputed = json!({"amount": bdt("10.00"), "reason": "fraud"});
        let more = json!({"amount": bdt("10.01"), "reason": "fraud"});
        assert_eq!(drive(&path, more).await.expect(409).body["refundable"], bdt("10.00"));
        let other = json!({"amount": {"amount": "1.00", "currency": "USD"}, "reason": "fraud"});
        assert_eq!(drive(&path, other).await.expect(409).code(), "refund_exceeds_payment");
        for wrong in [json!({"amount": bdt("-1.00"), "reason": "fraud"}), json!({"amount": bdt("1.00"), "reason": "Stolen!"}), json!({"amount": bdt("1.00")})] {
            assert_eq!(drive(&path, wrong).await.expect(422).code(), "invalid_body");
        }
        let opened = drive(&path, disputed.clone()).await.expect(201);
        let name = format!("{}_1", order.replace("order_", "dp_"));
        let told = json!({"id": name, "order_id": order, "status": "open", "amount": bdt("10.00"), "reason": "fraud"});
        assert_eq!(opened.body, told);
        assert_eq!(drive(&path, disputed).await.expect(409).code(), "refund_exceeds_payment");
        let open = once(order, "/payment/status", "disputed").await;
        assert_eq!(open["disputes"][0]["id"], name);

        // Meanwhile a bank returns what was given back of another order.
        let second = paid().await;
        let sub = second.body["sub_orders"][0]["id"].as_str().expect("a share");
        let goodwill = json!({"amount": bdt("4.00"), "reason": "goodwill"});
        let path = format!("/v1/orders/{}/sub-orders/{sub}/refunds", second.field("id"));
        let refund = client.post(&path, &goodwill).bearer(&admin).send().await.expect(201).field("id").to_owned();
        once(second.field("id"), "/refunds/0/status", "succeeded").await;
        let books = async || {
            let path = format!("/v1/admin/sandbox/refunds?order={}", second.field("id"));
            let books = client.get(&path).bearer(&admin).send().await.expect(200).body;
            let items = books["items"].as_array().expect("refunds").clone();
            items.iter().map(|item| (item["attempt"].as_i64(), item["status"].clone())).collect::<Vec<_>>()
        };
        assert_eq!(books().await, [(Some(1), json!("succeeded"))]);
        let path = format!("refunds/{refund}/fail");
        let failed = drive(&path, json!({"reason": "account_closed"})).await.expect(200);
        assert_eq!((failed.field("status"), failed.field("reason"), failed.field("order_id")), ("failed", "account_closed", second.field("id")));
        let again = drive(&path, json!({"reason": "other"})).await.expect(200);
        assert_eq!(again.body, failed.body, "it has come back once");
        let owed = once(second.field("id"), "/refunds/0/status", "failed").await;
        assert_eq!((&owed["refund_due"], &owed["attention"]), (&bdt("4.00"), &json!(["refund_failed"])));
        let retry = format!("/v1/orders/{}/refunds/{refund}/retry", second.field("id"));
        client.post(&retry, &json!({})).bearer(&admin).send().await.expect(200);
        once(second.field("id"), "/refunds/0/status", "succeeded").await;
        assert_eq!(books().await, [(Some(2), json!("succeeded")), (Some(1), json!("failed"))]);

        let close = format!("disputes/{name}/close");
        assert_eq!(drive(&close, json!({"outcome": "drawn"})).await.expect(422).code(), "invalid_body");
        for outcome in ["lost", "won"] {
            assert_eq!(drive(&close, json!({"outcome": outcome})).await.expect(200).field("status"), "lost", "it ends once");
        }
        let lost = once(order, "/disputes/0/status", "lost").await;
        assert_eq!((&lost["payment"]["status"], &lost["refunded"]), (&json!("refunded"), &bdt("10.00")));

        let nobodys = "01jd0000000000000000000000";
        for (path, body) in [
            (format!("charges/order_{nobodys}/dispute"), json!({"amount": bdt("1.00"), "reason": "fraud"})),
            ("charges/x/dispute".into(), json!({"amount": bdt("1.00"), "reason": "fraud"})),
            (format!("disputes/dp_{nobodys}_1/close"), json!({"outcome": "won"})),
            (format!("disputes/{name}0/close"), json!({"outcome": "won"})),
            (format!("disputes/{}/close", name.replace("_1", "_01")), json!({"outcome": "won"})),
            (format!("refunds/refund_{nobodys}/fail"), json!({"reason": "x"})),
        ] {
            drive(&path, body).await.expect(404);
        }
        let (staff, buyer) = (token(&Bearer::owner_of(VendorId::from_uuid(Uuid::from_u128(7)))), client.buyer(&sku, 1).await);
        for (bearer, status) in [(&staff, 403), (&buyer.token, 403)] {
            let request = client.post(&format!("/v1/admin/sandbox/{close}"), &json!({"outcome": "won"})).bearer(bearer);
            request.send().await.expect(status);
        }
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
        // Its books are read again.
        let server = Server::start(&store).await;
        let (path, body) = (format!("/v1/admin/sandbox/{close}"), json!({"outcome": "won"}));
        assert_eq!(server.client.post(&path, &body).bearer(&admin).send().await.expect(200).field("status"), "lost");
        let path = format!("/v1/admin/sandbox/refunds?order={}", second.field("id"));
        let kept = server.client.get(&path).bearer(&admin).send().await.expect(200).body;
        assert_eq!(kept["items"][1]["reason"], "account_closed");
        server.stop().await;
    }

    /// The pages, the document and the figures are there by themselves, and each can be switched off.
    async fn the_pages_and_the_figures_can_be_switched_off(store) {
        for (docs, metrics) in [(true, true), (false, true), (true, false), (false, false)] {
            let mut config = store.server();
            (config.http.docs, config.http.metrics) = (docs, metrics);
            let server = Server::start_with(config, Hooks::default()).await;
            let client = server.client;
            for (path, on) in [("/openapi.json", docs), ("/docs/problems", docs), ("/metrics", metrics)] {
                let answer = client.get(path).send().await;
                assert_eq!(answer.status, if on { 200 } else { 404 }, "{path} with {docs} {metrics}");
            }
            assert_eq!(client.get("/docs").send().await.status == 404, !docs);
            assert_eq!(client.get("/docs/").send().await.status == 404, !docs);
            for path in ["/healthz", "/readyz", "/v1/products"] {
                client.get(path).send().await.expect(200);
            }
            server.stop().await;
        }
    }
}

/// A port of their own does not bring the figures back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_that_are_off_are_off_on_the_operators_port_too() {
    let store = crate::support::TestStore::new(crate::support::Kind::Sqlite).await;
    let mut config = store.server();
    config.http.metrics = false;
    config.operator_listen = Some("127.0.0.1:0".parse().expect("an address"));
    let server = Server::start_with(config, Hooks::default()).await;
    let operator = server.operator.expect("a port of its own");
    operator.get("/metrics").send().await.expect(404);
    operator.get("/readyz").send().await.expect(200);
    server.stop().await;
}
