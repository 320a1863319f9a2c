//! Requests that do not wait for the answer before: answered in their order, each connection at its own pace.

use crate::support::client::checkout_body;
use crate::support::journal::{Gate, budget_for};
use crate::support::token;
use crate::target::{BOUND, Target};
use crate::wire::{Wire, request};
use haat::app::Hooks;
use haat::http::auth::Bearer;
use std::sync::Arc;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_in_one_go_are_answered_in_their_order() {
    let target = Target::start().await;
    let mut sent = String::new();
    let kinds = [
        ("GET", "/healthz", "", 200),
        ("GET", "/nothing", "", 404),
        ("POST", "/v1/carts", "{", 400),
        ("POST", "/v1/carts", "{}", 201),
    ];
    for number in 0..1_000 {
        let (method, path, body, _) = kinds[number % kinds.len()];
        sent.push_str(&request(method, path, &[("x-request-id", &number.to_string())], body));
    }
    let mut wire = Wire::connect(target.client).await;
    wire.send(&sent).await;
    for number in 0..1_000 {
        let answer = wire.answer().await;
        assert_eq!(answer.header("x-request-id"), Some(number.to_string().as_str()));
        assert_eq!(answer.status, kinds[number % kinds.len()].3, "{}", answer.body);
    }
    target.unharmed().await;
}

/// While nothing becomes durable, pipelines fill the node's budget and no more: what is past it is told so at once, and what stands behind a
/// checkout that waits comes after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelines_past_the_budget_are_refused_and_keep_their_order() {
    let gate = Gate::default();
    let held = gate.clone();
    let hooks = Hooks { journal: Some(Arc::new(move |journal| held.wrap(journal))), ..Hooks::default() };
    let target = Target::start_with(hooks, |config| config.node.records_in_flight = budget_for(3)).await;
    let admin = token(&Bearer::Admin("root".into()));
    let mut checkouts = Vec::new();
    for _ in 0..8 {
        let (_, sku) = target.client.shop(&admin, "10.00", 9).await;
        let buyer = target.client.buyer(&sku, 1).await;
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let bearer = format!("Bearer {}", buyer.token);
        let body = checkout_body("tok_approve").to_string();
        checkouts.push(request("POST", &path, &[("authorization", &bearer)], &body));
    }
    gate.hold();
    let behind = request("GET", "/healthz", &[("x-request-id", "behind")], "").repeat(10);
    let mut wires = Vec::new();
    for checkout in &checkouts {
        wires.push(tokio::spawn({
            let (client, sent) = (target.client, format!("{checkout}{behind}"));
            async move {
                let mut wire = Wire::with(client, sent).await;
                let first = wire.answer().await;
                for _ in 0..10 {
                    let next = wire.answer().await;
                    assert_eq!((next.status, next.header("x-request-id")), (200, Some("behind")));
                }
                first
            }
        }));
    }
    let mut refused = 0;
    let started = Instant::now();
    while refused < 5 {
        assert!(started.elapsed() < BOUND, "{refused} are refused");
        tokio::task::yield_now().await;
        if let Some(done) = wires.iter().position(tokio::task::JoinHandle::is_finished) {
            let told = wires.remove(done).await.expect("no panic");
            assert_eq!((told.status, told.code().as_str()), (503, "overloaded"), "{}", told.body);
            assert!(told.header("retry-after").is_some());
            refused += 1;
        }
    }
    assert!(wires.iter().all(|wire| !wire.is_finished()), "an answer that overtook a checkout");
    gate.let_go();
    for wire in wires {
        assert_eq!(wire.await.expect("no panic").status, 201);
    }
    target.unharmed().await;
}
