//! The built-in payment provider and what else can be switched off.

use crate::on_both_stores;
use crate::support::client::checkout_body;
use crate::support::{Server, token};
use haat::app::Hooks;
use haat::http::auth::Bearer;

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
        for path in ["/v1/admin/sandbox/charges", &format!("/v1/admin/sandbox/charges?order={unpaid}")] {
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
