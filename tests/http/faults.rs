//! A panic in one actor stays there.

use crate::on_both_stores;
use crate::support::journal::Gate;
use crate::support::{Server, token};
use haat::app::Hooks;
use haat::domain::ids::Kind;
use haat::http::auth::Bearer;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Panics at the next `times` decisions over a command whose text contains `word`, in entities of `kind`.
fn panics(kind: Kind, word: &'static str, times: usize) -> (Hooks, Arc<AtomicUsize>) {
    let left = Arc::new(AtomicUsize::new(times));
    let counter = left.clone();
    let on_decide: haat::actors::DecideHook = Arc::new(move |entity, command| {
        if entity.kind == kind && format!("{command:?}").starts_with(word) {
            let take = |left: usize| left.checked_sub(1);
            if counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok() {
                panic!("forced by a test");
            }
        }
    });
    (Hooks { on_decide: Some(on_decide), ..Hooks::default() }, left)
}

on_both_stores! {
    /// The actor comes back with its durable state, and the others never notice.
    async fn a_panic_stays_in_its_actor(store) {
        let (hooks, left) = panics(Kind::Vendor, "AdjustStock", 1);
        let server = Server::start_with(store.server(), hooks).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 3).await;
        let (other, other_sku) = client.shop(&admin, "10.00", 3).await;
        let path = format!("/v1/vendors/{vendor}/skus/{sku}/stock");
        let adjust = || client.post(&path, &json!({"delta": 2, "reason": "bought in"})).bearer(&admin).send();
        let restarting = adjust().await.expect(503);
        assert_eq!(restarting.code(), "actor_restarting");
        assert!(restarting.header("retry-after").is_some());
        assert_eq!(left.load(Ordering::SeqCst), 0);

        assert_eq!(client.stock(&admin, &other, &other_sku).await["on_hand"], 3);
        assert_eq!(client.stock(&admin, &vendor, &sku).await["on_hand"], 3);
        assert_eq!(adjust().await.expect(200).body["on_hand"], 5);
        let actor = client.get(&format!("/v1/admin/actors/vendor/{vendor}")).bearer(&admin).send().await.expect(200);
        assert_eq!(actor.body["restarts"], 1, "{}", actor.text);
        let metrics = client.get("/metrics").send().await.expect(200).text;
        assert!(metrics.contains("haat_actor_restarts_total{kind=\"vendor\"}"), "{metrics}");
        server.stop().await;
    }

    /// A step of the saga that panics once is sent again: the order is paid all the same, once.
    async fn a_saga_survives_panics_at_every_step(store) {
        for (kind, word) in [
            (Kind::Order, "Place"),
            (Kind::Vendor, "Reserve"),
            (Kind::Order, "StockHeld"),
            (Kind::Vendor, "Commit"),
            (Kind::Order, "StockCommitted"),
            (Kind::Cart, "Close"),
        ] {
            let (hooks, left) = panics(kind, word, 1);
            let server = Server::start_with(store.server(), hooks).await;
            let client = server.client;
            let admin = token(&Bearer::Admin("root".into()));
            let (vendor, sku) = client.shop(&admin, "10.00", 3).await;
            let buyer = client.buyer(&sku, 1).await;
            let first = client.checkout(&buyer, "tok_approve").header("prefer", "wait=30").send().await;
            // When the very question was lost with the turn that panicked, it is asked again.
            let order = match first.status {
                201 | 200 => first,
                _ => client.checkout(&buyer, "tok_approve").header("prefer", "wait=30").send().await,
            };
            assert_eq!(order.body["status"], "paid", "{word}: {}", order.text);
            let stock = loop {
                let stock = client.stock(&admin, &vendor, &sku).await;
                if stock["held"] == 0 {
                    break stock;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            };
            assert_eq!(stock["sold"], 1, "{word}: {stock}");
            // What the cart and the order hear of it they may hear a moment later than whoever looks at the stock.
            crate::until(word, async || (left.load(Ordering::SeqCst) == 0).then_some(())).await;
            server.stop().await;
        }
    }

    /// A command that panics twice is refused for good; what else its entity does goes on.
    async fn a_command_that_panics_twice_is_refused(store) {
        let (hooks, _) = panics(Kind::Vendor, "AdjustStock { by: Staff(", usize::MAX);
        let server = Server::start_with(store.server(), hooks).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 3).await;
        let path = format!("/v1/vendors/{vendor}/skus/{sku}/stock");
        let adjust = || client.post(&path, &json!({"delta": 2, "reason": "bought in"})).bearer(&admin).send();
        assert_eq!(adjust().await.code(), "actor_restarting");
        for _ in 0..3 {
            assert_eq!(adjust().await.code(), "command_poisoned");
        }
        let buyer = client.buyer(&sku, 1).await;
        let order = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!(order.field("status"), "paid");
        server.stop().await;
    }

    /// An entity that panics when its frames cannot be read any more is quarantined, at once and alone: it answers so,
    /// and what is asked of it does not wait for ever.
    async fn what_cannot_be_read_back_after_a_panic_is_quarantined(store) {
        let gate = Gate::default();
        let wrapped = gate.clone();
        let (hooks, _) = panics(Kind::Vendor, "AdjustStock", 1);
        let hooks = Hooks { journal: Some(Arc::new(move |journal| wrapped.wrap(journal))), ..hooks };
        let server = Server::start_with(store.server(), hooks).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 3).await;
        let (other, other_sku) = client.shop(&admin, "10.00", 3).await;
        gate.damage();
        let path = format!("/v1/vendors/{vendor}/skus/{sku}/stock");
        let adjust = || client.post(&path, &json!({"delta": 2, "reason": "bought in"})).bearer(&admin).send();
        assert_eq!(adjust().await.expect(503).code(), "actor_restarting");
        for _ in 0..2 {
            assert_eq!(adjust().await.expect(503).code(), "quarantined");
        }
        assert_eq!(client.stock(&admin, &other, &other_sku).await["on_hand"], 3);
        let metrics = client.get("/metrics").send().await.expect(200).text;
        assert!(metrics.contains("haat_entities_quarantined_total{kind=\"vendor\"} 1"), "{metrics}");
        server.stop().await;
    }
}
