//! The shop's routes, and what bad requests are told.

use crate::on_both_stores;
use crate::support::client::checkout_body;
use crate::support::{Server, token};
use haat::http::auth::Bearer;
use serde_json::json;

on_both_stores! {
    /// Vendors, products, SKUs and stock, and the lists that follow behind.
    async fn a_shop_is_built_and_shown(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let vendor = client.post("/v1/vendors", &json!({"name": "Nakshi"})).bearer(&admin).send().await.expect(201);
        assert!(vendor.text.starts_with("{\"id\":\"vendor_"), "{}", vendor.text);
        let vendor = vendor.field("id");
        let product = json!({
            "title": "Quilt", "description": "Sewn by hand", "category": "home",
            "skus": [
                {"code": "Q1", "price": {"amount": "1250.00", "currency": "BDT"}, "on_hand": 7},
                {"code": "Q2", "price": {"amount": "1.50", "currency": "BDT"}, "on_hand": 0},
            ],
        });
        let path = format!("/v1/vendors/{vendor}/products");
        let own = token(&Bearer::owner_of(vendor.parse().expect("an id")));
        let product = client.post(&path, &product).bearer(&own).send().await.expect(201);
        let sku = product.body["skus"][0]["id"].as_str().expect("an id");
        let shown = client.get(&format!("/v1/skus/{sku}")).send().await.expect(200);
        assert_eq!((&shown.body["title"], &shown.body["available"]), (&json!("Quilt"), &json!(7)), "{}", shown.text);
        let shown = client.get(&format!("/v1/products/{}", product.field("id"))).send().await.expect(200);
        assert_eq!(shown.body["skus"].as_array().map(Vec::len), Some(2));

        let stock = format!("/v1/vendors/{vendor}/skus/{sku}/stock");
        let refused = client.post(&stock, &json!({"delta": -8, "reason": "lost"})).bearer(&own).send().await.expect(409);
        assert_eq!(refused.code(), "stock_negative");
        let after = client.post(&stock, &json!({"delta": -2, "reason": "lost"})).bearer(&own).send().await.expect(200);
        assert_eq!((&after.body["received"], &after.body["on_hand"]), (&json!(5), &json!(5)));
        assert_eq!(client.get(&format!("/v1/skus/{sku}")).send().await.expect(200).body["available"], 5);

        // Lists say as of when they are, and hold everything a checkpoint later.
        let listed = loop {
            let listed = client.get(&format!("/v1/products?vendor={vendor}&category=home&q=quil")).send().await.expect(200);
            if listed.body["items"].as_array().is_some_and(|items| !items.is_empty()) {
                break listed;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(listed.body["items"][0]["id"], product.body["id"]);
        assert!(listed.body["as_of"].is_string() && listed.body["next_cursor"].is_null(), "{}", listed.text);
        server.stop().await;
    }

    /// Orders are listed to their owner, newest first, page by page.
    async fn orders_are_listed(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 5).await;
        let buyer = client.buyer(&sku, 1).await;
        let mut orders = Vec::new();
        for _ in 0..3 {
            let order = client.checkout(&buyer, "tok_decline").header("prefer", "wait=20").send().await.expect(201);
            orders.insert(0, order.field("id").to_owned());
        }
        let page = |path: String, bearer: String| async move { client.get(&path).bearer(&bearer).send().await.expect(200) };
        loop {
            let all = page("/v1/orders".into(), buyer.token.clone()).await;
            // A checkpoint may have come in the middle of the last one: its row stands as it was then, until the next.
            let items = all.body["items"].as_array().expect("items");
            if items.len() == 3 && items.iter().all(|item| item["status"] == "payment_failed") {
                break;
            }
            tokio::task::yield_now().await;
        }
        let first = page("/v1/orders?limit=2".into(), buyer.token.clone()).await;
        let rest = page(format!("/v1/orders?limit=2&cursor={}", first.field("next_cursor")), buyer.token.clone()).await;
        let ids: Vec<&str> = [&first, &rest]
            .iter()
            .flat_map(|page| page.body["items"].as_array().expect("items"))
            .filter_map(|order| order["id"].as_str())
            .collect();
        assert_eq!(ids, orders);
        assert!(rest.body["next_cursor"].is_null());
        let of_vendor = page(format!("/v1/vendors/{vendor}/orders"), admin.clone()).await;
        assert_eq!(of_vendor.body["items"].as_array().map(Vec::len), Some(3));
        let stranger = client.buyer(&sku, 1).await;
        assert_eq!(page("/v1/orders".into(), stranger.token).await.body["items"], json!([]));

        // By status, to everybody, and also page by page.
        for bearer in [&admin, &buyer.token] {
            let failed = page("/v1/orders?status=payment_failed&limit=2".into(), bearer.clone()).await;
            assert_eq!(failed.body["items"].as_array().map(Vec::len), Some(2), "{}", failed.text);
            let cursor = failed.field("next_cursor");
            let last = page(format!("/v1/orders?status=payment_failed&limit=2&cursor={cursor}"), bearer.clone()).await;
            assert_eq!(last.body["items"].as_array().map(Vec::len), Some(1), "{}", last.text);
            assert_eq!(page("/v1/orders?status=paid".into(), bearer.clone()).await.body["items"], json!([]));
            assert_eq!(page("/v1/orders?status=".into(), bearer.clone()).await.body["items"].as_array().map(Vec::len), Some(3));
            let of_another_list = client.get(&format!("/v1/orders?cursor={cursor}")).bearer(bearer).send().await;
            assert_eq!(of_another_list.expect(400).code(), "cursor_invalid");
        }
        server.stop().await;
    }

    /// Bad requests get a problem with a stable code, and change nothing.
    async fn bad_requests_are_told_what_is_wrong(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 5).await;
        let buyer = client.buyer(&sku, 1).await;
        let other = client.buyer(&sku, 1).await;
        let line = format!("/v1/carts/{}/lines/{sku}", buyer.cart);
        let put = |body: &'static str| {
            client.request("PUT", &line).bearer(&buyer.token).header("content-type", "application/json").raw(body)
        };
        let vendors = |body: String| {
            client.request("POST", "/v1/vendors").bearer(&admin).header("content-type", "application/json").raw(body)
        };
        let cases = [
            (client.get("/nowhere"), 404, "not_found"),
            (client.get("/v1/nowhere"), 404, "not_found"),
            (client.request("DELETE", "/v1/vendors"), 405, "method_not_allowed"),
            (put("{\"quantity\":"), 400, "malformed_json"),
            (put("{\"quantity\":1,\"colour\":\"red\"}"), 422, "invalid_body"),
            (put("{\"quantity\":\"1\"}"), 422, "invalid_body"),
            (put("{\"quantity\":-1}"), 422, ""),
            (put("{\"quantity\":10001}"), 422, ""),
            (put("{\"quantity\":1e400}"), 0, ""),
            (vendors(format!("{{\"name\":\"{}\"}}", "x".repeat(70_000))), 413, "body_too_large"),
            (vendors("{\"name\":\"\"}".into()), 422, ""),
            (client.get("/v1/carts/order_01h2xcejqtf2nbrexx3vqjhp41").bearer(&buyer.token), 404, ""),
            (client.get("/v1/carts/nonsense").bearer(&buyer.token), 404, ""),
            (client.get(&format!("/v1/carts/{}", buyer.cart)), 401, "unauthorized"),
            (client.get(&format!("/v1/carts/{}", buyer.cart)).bearer("nonsense"), 401, "unauthorized"),
            (client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&other.token), 404, ""),
            (client.post(&format!("/v1/carts/{}/checkout", buyer.cart), &checkout_body("tok_approve")).bearer(&other.token), 404, ""),
            (client.post("/v1/vendors", &json!({"name": "X"})).bearer(&buyer.token), 403, "forbidden"),
            (client.get(&format!("/v1/vendors/{vendor}/skus/{sku}")).bearer(&buyer.token), 403, "forbidden"),
            (client.get("/v1/orders?limit=0").bearer(&buyer.token), 422, ""),
            (client.get("/v1/orders?status=nonsense").bearer(&buyer.token), 422, "invalid_query"),
            (client.get("/v1/orders?cursor=nonsense").bearer(&buyer.token), 400, ""),
            (client.checkout(&buyer, "tok_nonsense"), 422, "payment_unsupported"),
        ];
        for (number, (request, status, code)) in cases.into_iter().enumerate() {
            let answer = request.send().await;
            assert!((400..500).contains(&answer.status), "case {number}: {} {}", answer.status, answer.text);
            if status != 0 {
                assert_eq!(answer.status, status, "case {number}: {}", answer.text);
            }
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "case {number}");
            assert_eq!(answer.body["status"], answer.status, "case {number}: {}", answer.text);
            assert!(!answer.code().is_empty() && (code.is_empty() || answer.code() == code), "case {number}: {}", answer.text);
            assert!(answer.header("x-request-id").is_some(), "case {number}");
        }
        let cart = client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await.expect(200);
        assert_eq!((&cart.body["status"], &cart.body["lines"][0]["quantity"]), (&json!("open"), &json!(1)));
        server.stop().await;
    }

    /// What operators and readers of the documentation ask for.
    async fn the_server_tells_of_itself(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        client.get("/healthz").send().await.expect(200);
        client.get("/readyz").send().await.expect(200);
        let admin = token(&Bearer::Admin("root".into()));
        let (_, sku) = client.shop(&admin, "10.00", 5).await;
        let buyer = client.buyer(&sku, 1).await;
        client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        let document = client.get("/openapi.json").send().await.expect(200);
        assert_eq!(document.body["openapi"], "3.1.0");
        assert!(document.body["paths"]["/v1/carts/{cart}/checkout"]["post"]["responses"]["409"].is_object());
        let pages = client.get("/docs/").send().await.expect(200);
        assert!(pages.text.contains("swagger"), "{}", pages.text);
        let actors = client.get("/v1/admin/actors").bearer(&admin).send().await.expect(200);
        assert!(actors.text.contains("\"vendor\""), "{}", actors.text);
        // Gauges follow within a tick of the housekeeping.
        let figures = loop {
            let figures = client.get("/metrics").send().await.expect(200).text;
            if figures.contains("haat_orders{status=\"paid\"}") {
                break figures;
            }
            tokio::task::yield_now().await;
        };
        for name in [
            "haat_lane_batch_records", "haat_lane_commit_seconds", "haat_lane_backlog_records",
            "haat_checkpoint_lag_records", "haat_commands_total", "haat_payment_calls_total", "haat_http_requests_total",
        ] {
            assert!(figures.contains(name), "{name} is missing");
        }
        server.stop().await;
    }
    /// With a port of their own, operators find the figures there and nobody finds them on the main one; the rest stays where it was.
    async fn operators_may_have_a_port_of_their_own(store) {
        let mut config = store.server();
        config.operator_listen = Some("127.0.0.1:0".parse().expect("an address"));
        let server = Server::start_with(config, haat::app::Hooks::default()).await;
        let operator = server.operator.expect("a second port");
        assert_eq!(server.client.get("/metrics").send().await.expect(404).code(), "not_found");
        let figures = operator.get("/metrics").send().await.expect(200);
        assert!(figures.text.contains("haat_http_requests_total"), "{}", figures.text);
        operator.get("/readyz").send().await.expect(200);
        let admin = token(&Bearer::Admin("root".into()));
        server.client.get("/v1/admin/actors").bearer(&admin).send().await.expect(200);
        operator.get("/v1/categories").send().await.expect(404);
        server.stop().await;
    }
}
