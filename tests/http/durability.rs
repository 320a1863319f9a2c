//! Nothing leaves the node before its cause is durable, and nothing that left it is ever lost.

use crate::on_both_stores;
use crate::support::journal::Gate;
use crate::support::{Server, token};
use haat::app::{App, Hooks};
use haat::config::Config;
use haat::http::auth::Bearer;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both_stores! {
    /// With the commit held back there is no reply, no payment call, and no read of what is not durable; let go, all come.
    async fn nothing_leaves_before_its_cause_is_durable(store) {
        let gate = Gate::default();
        let hold = gate.clone();
        let hooks = Hooks { journal: Some(Arc::new(move |journal| hold.wrap(journal))), ..Hooks::default() };
        let server = Server::start_with(store.server(), hooks).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 5).await;
        let buyer = client.buyer(&sku, 2).await;
        let other = client.buyer(&sku, 1).await;

        let shop: haat::domain::ids::EntityRef = vendor.parse().expect("an id");
        let version = || async { server.shop.inspect(shop).await.expect("a view").version };
        let before = version().await;
        gate.hold();
        let checkout = tokio::spawn(client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send());
        gate.somebody_waits().await;
        // The cart's record waits first; the vendor hears of the checkout a moment later.
        while version().await == before {
            tokio::task::yield_now().await;
        }
        // These are asked of actors that have changed in memory only: they wait, too.
        let cart_path = format!("/v1/carts/{}", buyer.cart);
        let cart = tokio::spawn(client.get(&cart_path).bearer(&buyer.token).send());
        let sku_path = format!("/v1/vendors/{vendor}/skus/{sku}");
        let stock = tokio::spawn(client.get(&sku_path).bearer(&admin).send());
        // What concerns other entities, and what is shown as durable, is answered meanwhile: so a full turn of everything has passed.
        for _ in 0..20 {
            let shown = client.get(&format!("/v1/skus/{sku}")).send().await.expect(200);
            assert_eq!(shown.body["available"], 5, "what is shown is durable");
            let cart = client.get(&format!("/v1/carts/{}", other.cart)).bearer(&other.token).send().await.expect(200);
            assert_eq!(cart.field("status"), "open");
        }
        assert!(!checkout.is_finished() && !cart.is_finished() && !stock.is_finished());
        let charges = client.get("/v1/admin/sandbox/charges").bearer(&admin).send().await.expect(200);
        assert_eq!(charges.body["items"], json!([]), "no payment was asked for");

        gate.let_go();
        let order = checkout.await.expect("no panic").expect(201);
        assert_eq!(order.field("status"), "paid");
        assert_eq!(cart.await.expect("no panic").expect(200).body["order_id"], order.body["id"]);
        let seen = stock.await.expect("no panic").expect(200).body;
        assert_eq!(seen["available"], 3, "{seen}");
        let charges = client.get("/v1/admin/sandbox/charges").bearer(&admin).send().await.expect(200);
        assert_eq!(charges.body["items"].as_array().map(Vec::len), Some(1));
        server.stop().await;
    }

    /// Asked to stop while it still recovers, a server gives back what it took: the next one waits for nobody's lease.
    async fn a_stop_before_it_is_ready_gives_the_store_back(store) {
        let gate = Gate::default();
        let journal = gate.clone();
        let hooks = Hooks { journal: Some(Arc::new(move |inner| journal.wrap(inner))), ..Hooks::default() };
        // Without a sandbox: the thread that writes its charge log may hold the file a moment longer than this process would live.
        let config = Config { lease: Duration::from_secs(600), sandbox: false, ..store.server() };
        let stop = CancellationToken::new();
        gate.fall_silent();
        let told = async {
            gate.somebody_reads().await;
            stop.cancel();
        };
        let (started, ()) = tokio::join!(App::build_unless(config, hooks, stop.clone()), told);
        assert!(started.expect("no error").is_none());
        let next = tokio::time::timeout(Duration::from_secs(60), Server::start(&store)).await;
        next.expect("it is taken at once").stop().await;
    }

    /// A stop writes everything, and a start finds it, without a frame to replay; orders that were not finished are.
    async fn a_restart_keeps_everything_and_finishes_what_was_begun(store) {
        let server = Server::start(&store).await;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = server.client.shop(&admin, "10.00", 5).await;
        let paid = server.client.buyer(&sku, 1).await;
        let done = server.client.checkout(&paid, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!(done.field("status"), "paid");
        let slow = server.client.buyer(&sku, 2).await;
        let begun = server.client.checkout(&slow, "tok_slow_3000").send().await.expect(201);
        assert_eq!(begun.field("status"), "awaiting_payment");
        server.stop().await;

        let server = Server::start(&store).await;
        let client = server.client;
        let again = client.order(&paid.token, done.field("id")).await.expect(200);
        assert_eq!(again.field("status"), "paid");
        // Nobody asks for the unfinished order, but for its second checkout, which only waits.
        let ended = client.checkout(&slow, "tok_decline").header("prefer", "wait=30").send().await.expect(200);
        assert_eq!((ended.field("id"), ended.field("status")), (begun.field("id"), "paid"));
        let stock = loop {
            let stock = client.stock(&admin, &vendor, &sku).await;
            if stock["held"] == 0 {
                break stock;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((&stock["sold"], &stock["available"]), (&json!(3), &json!(2)), "{stock}");
        server.stop().await;
    }
}
