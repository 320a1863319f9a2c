//! Too much at once: what is refused is refused early, and the rush on one vendor leaves room for the others.

use crate::on_both_stores;
use crate::support::journal::{Gate, budget_for};
use crate::support::{Server, token};
use haat::app::Hooks;
use haat::http::auth::Bearer;
use std::sync::Arc;

on_both_stores! {
    /// While nothing becomes durable, one vendor's checkouts fill its share and no more: the next is told so at once, another vendor's is let in.
    async fn a_hot_vendor_has_its_share_and_no_more(store) {
        let gate = Gate::default();
        let hold = gate.clone();
        let hooks = Hooks { journal: Some(Arc::new(move |journal| hold.wrap(journal))), ..Hooks::default() };
        let mut config = store.server();
        config.node.checkouts_per_vendor = 2;
        let server = Server::start_with(config, hooks).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (_, hot) = client.shop(&admin, "10.00", 9).await;
        let (_, calm) = client.shop(&admin, "10.00", 9).await;
        let mut rush = Vec::new();
        for _ in 0..3 {
            rush.push(client.buyer(&hot, 1).await);
        }
        let other = client.buyer(&calm, 1).await;

        gate.hold();
        let mut first: Vec<_> = rush.iter().map(|buyer| tokio::spawn(client.checkout(buyer, "tok_approve").send())).collect();
        // Two of the three wait for the commit; which one is refused depends on which came last.
        let refused = loop {
            tokio::task::yield_now().await;
            if let Some(refused) = first.iter().position(tokio::task::JoinHandle::is_finished) {
                break refused;
            }
        };
        let told = first.remove(refused).await.expect("no panic").expect(503);
        assert_eq!((told.code(), told.header("retry-after")), ("overloaded", Some("1")));
        let calm = tokio::spawn(client.checkout(&other, "tok_approve").send());
        let metrics = client.get("/metrics").send().await.expect(200).text;
        assert!(metrics.contains("haat_requests_shed_total{reason=\"vendor_share\"}"), "{metrics}");
        assert!(first.iter().all(|checkout| !checkout.is_finished()) && !calm.is_finished());

        gate.let_go();
        for checkout in first {
            checkout.await.expect("no panic").expect(201);
        }
        calm.await.expect("no panic").expect(201);
        // Nothing was recorded of the one that was refused: it is made now.
        client.checkout(&rush[refused], "tok_approve").send().await.expect(201);
        server.stop().await;
    }

    /// A connection past the limit is closed at once and counted; those that are open, and the operators' port, go on.
    async fn connections_have_a_limit(store) {
        let mut config = store.server();
        config.server.connections = 2;
        config.operator_listen = Some("127.0.0.1:0".parse().expect("an address"));
        let server = Server::start_with(config, Hooks::default()).await;
        let connect = || tokio::net::TcpStream::connect(server.client.address());
        let open = [connect().await.expect("open"), connect().await.expect("open")];
        assert!(server.client.get("/healthz").try_send().await.is_err(), "one too many");
        let figures = server.operator.expect("a port").get("/metrics").send().await.expect(200).text;
        assert!(figures.contains("haat_http_connections_refused_total"), "{figures}");
        drop(open);
        while server.client.get("/healthz").try_send().await.is_err() {
            tokio::task::yield_now().await;
        }
        server.stop().await;
    }

    /// While nothing becomes durable, the node takes as much as its budget allows and tells everyone else so at once; reads are answered all
    /// the while, and where no further checkout is let in a cart still is. When commits go on, so does everything, by itself.
    async fn a_full_node_refuses_early_and_recovers_by_itself(store) {
        let gate = Gate::default();
        let hold = gate.clone();
        let hooks = Hooks { journal: Some(Arc::new(move |journal| hold.wrap(journal))), ..Hooks::default() };
        let mut config = store.server();
        config.node.records_in_flight = budget_for(3);
        let server = Server::start_with(config, hooks).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let mut shops = Vec::new();
        for _ in 0..8 {
            let (_, sku) = client.shop(&admin, "10.00", 9).await;
            shops.push((client.buyer(&sku, 1).await, sku));
        }

        gate.hold();
        let mut asked: Vec<_> =
            shops.iter().map(|(buyer, _)| tokio::spawn(client.checkout(buyer, "tok_approve").send())).collect();
        let mut told = Vec::new();
        while told.len() < 5 {
            tokio::task::yield_now().await;
            if let Some(done) = asked.iter().position(tokio::task::JoinHandle::is_finished) {
                told.push(asked.remove(done).await.expect("no panic"));
            }
        }
        for refused in told {
            assert_eq!((refused.status, refused.code()), (503, "overloaded"), "{}", refused.text);
            assert!(refused.header("retry-after").is_some());
        }
        for (_, sku) in &shops {
            let shown = client.get(&format!("/v1/skus/{sku}")).send().await.expect(200);
            assert_eq!(shown.body["available"], 9, "what is shown is durable");
        }
        let cart = client.post("/v1/carts", &serde_json::json!({}));
        let cart = tokio::spawn(cart.send());
        client.get("/healthz").send().await.expect(200);
        assert!(!cart.is_finished(), "it was refused, or answered before its record is durable");
        assert!(asked.iter().all(|checkout| !checkout.is_finished()), "an answer before its record is durable");

        gate.let_go();
        cart.await.expect("no panic").expect(201);
        for checkout in asked {
            checkout.await.expect("no panic").expect(201);
        }
        for (buyer, _) in &shops {
            let order = client.checkout(buyer, "tok_approve").header("prefer", "wait=20").send().await;
            assert!(order.status < 300 && order.field("status") == "paid", "{}", order.text);
        }
        server.stop().await;
    }
}
