//! Clients that are slow, that stop half-way, and that go away: others are served meanwhile, and what was ordered is ordered once.

use crate::on_both_stores;
use crate::support::Server;
use crate::support::client::{Market, checkout_body};
use crate::support::journal::Gate;
use crate::target::{BOUND, Target, unharmed};
use crate::wire::{Wire, request};
use haat::app::Hooks;
use haat::http::metrics::TIMEOUTS;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// A limit that a test waits out: longer than a busy machine keeps those waiting who are quick.
const SHORT: Duration = Duration::from_secs(2);

fn gated(gate: &Gate) -> Hooks {
    let gate = gate.clone();
    Hooks { journal: Some(Arc::new(move |journal| gate.wrap(journal))), ..Hooks::default() }
}

/// Fifty that send a head byte by byte are all cut off, and nobody waits for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_drip_are_cut_off_while_others_are_served() {
    let target = Target::start_with(Hooks::default(), |config| config.server.header_read = SHORT).await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        slow.push(Wire::with(target.client, "POST /v1/carts HTTP/1.1\r\nhost: x\r\nx-slow: ").await);
    }
    let started = Instant::now();
    while !slow.iter().all(Wire::is_closed) {
        for wire in &mut slow {
            if !wire.is_closed() {
                wire.send("x").await;
            }
        }
        target.client.get("/readyz").send().await.expect(200);
        assert!(started.elapsed() < BOUND, "a byte now and then keeps a head open");
        sleep(SHORT / 20).await;
    }
    assert_eq!(target.figure(&format!("{TIMEOUTS}{{at=\"head\"}}")).await, 50.0);
    target.unharmed().await;
}

/// A body of which each byte comes in time, and the whole does not, is told so; the same body in time is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_drips_is_told_that_it_took_too_long() {
    let target = Target::start_with(Hooks::default(), |config| config.http.body_read = SHORT).await;
    let head = "POST /v1/carts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for body in ["content-length: 60000\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"] {
        let mut wire = Wire::with(target.client, format!("{head}{body}")).await;
        let next = if body.starts_with('c') { " " } else { "1\r\n \r\n" };
        let started = Instant::now();
        let answer = loop {
            assert!(started.elapsed() < BOUND, "a byte now and then keeps a body open");
            wire.send(next).await;
            target.client.get("/readyz").send().await.expect(200);
            if let Ok(answer) = timeout(SHORT / 20, wire.next_answer()).await {
                break answer.expect("an answer");
            }
        };
        assert_eq!((answer.status, answer.code().as_str()), (408, "body_timeout"), "{}", answer.body);
        assert!(answer.says_close(), "{}", answer.head);
        wire.closed().await;
    }
    let quick = request("POST", "/v1/carts", &[], "{}");
    assert_eq!(Wire::with(target.client, quick).await.answer().await.status, 201);
    target.unharmed().await;
}

/// A client that says it sends no more still gets its answer, also one that takes its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_closed_connection_gets_its_answer() {
    let gate = Gate::default();
    let target = Target::start_with(gated(&gate), |_| {}).await;
    let Market { buyer, .. } = target.client.market(9).await;
    let bearer = format!("Bearer {}", buyer.token);
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    let checkout = request("POST", &path, &[("authorization", &bearer)], &checkout_body("tok_approve").to_string());

    gate.hold();
    let mut wire = Wire::with(target.client, &checkout).await;
    wire.half_close().await;
    timeout(BOUND, gate.somebody_waits()).await.expect("the checkout is decided");
    // The server has seen by now that no more comes: it has answered others who came later.
    for _ in 0..20 {
        target.client.get("/readyz").send().await.expect(200);
    }
    gate.let_go();
    let answers = wire.answers_until_closed().await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [201]);

    // Two requests, and then no more: two answers, and the end.
    let mut wire = Wire::with(target.client, format!("{checkout}{checkout}")).await;
    wire.half_close().await;
    let answers = wire.answers_until_closed().await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200]);
    // Half a head, half a body.
    let mut wire = Wire::with(target.client, &checkout[..30]).await;
    wire.half_close().await;
    assert!(wire.answers_until_closed().await.iter().all(|answer| answer.status == 400));
    let mut wire = Wire::with(target.client, &checkout[..checkout.len() - 1]).await;
    wire.half_close().await;
    let answers = wire.answers_until_closed().await;
    assert_eq!(
        answers.iter().map(|answer| (answer.status, answer.code())).collect::<Vec<_>>(),
        [(400, "malformed_json".into())]
    );
    target.unharmed().await;
}

/// A connection of which nothing is read is given up, and what was asked on it is not kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_given_up() {
    let target = Target::start_with(Hooks::default(), |config| config.server.answer = SHORT).await;
    let mut wire = Wire::connect(target.client).await;
    let ask = request("GET", "/openapi.json", &[], "").repeat(50);
    let sending = async {
        // Until the server takes no more, and then until it has closed.
        while tokio::io::AsyncWriteExt::write_all(&mut wire.stream, ask.as_bytes()).await.is_ok() {}
    };
    timeout(BOUND, sending).await.expect("given up");
    assert_eq!(target.figure(&format!("{TIMEOUTS}{{at=\"answer\"}}")).await, 1.0);
    target.unharmed().await;
}

on_both_stores! {
    /// Whatever part of a checkout arrived before its client went away, nothing came of it unless all of it did; the same key then makes the
    /// order, once.
    async fn a_client_that_goes_in_the_middle_of_a_body_orders_nothing(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let Market { admin, vendor, sku, buyer } = client.market(9).await;
        let bearer = format!("Bearer {}", buyer.token);
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
        let checkout = request("POST", &path, &headers, &checkout_body("tok_approve").to_string());
        let head = checkout.find("\r\n\r\n").expect("a head") + 4;
        for end in (0..checkout.len()).step_by(61).chain([head - 1, head, checkout.len() - 1]) {
            drop(Wire::with(client, &checkout[..end]).await);
        }
        // None of them is served any more.
        crate::process::until("the connections to be gone", async || {
            let figures = client.get("/metrics").send().await.expect(200).text;
            figures.contains("haat_http_connections 1\n").then_some(())
        }).await;
        let cart = client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await.expect(200);
        assert_eq!(cart.field("status"), "open");
        assert_eq!(client.stock(&admin, &vendor, &sku).await["held"], 0);
        let order = client.checkout(&buyer, "tok_approve").key("k").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!((order.field("status"), order.header("idempotent-replayed")), ("paid", None));
        unharmed(client).await;
        server.stop().await;
    }

    /// A client that goes away before its order is durable has its order all the same, once, and finds it under its key.
    async fn the_order_of_a_client_that_went_away_comes_to_be_once(store) {
        let gate = Gate::default();
        let server = Server::start_with(store.server(), gated(&gate)).await;
        let client = server.client;
        let Market { admin, vendor, sku, buyer } = client.market(9).await;
        let bearer = format!("Bearer {}", buyer.token);
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
        let checkout = request("POST", &path, &headers, &checkout_body("tok_approve").to_string());

        gate.hold();
        let wire = Wire::with(client, &checkout).await;
        timeout(BOUND, gate.somebody_waits()).await.expect("the checkout is decided");
        drop(wire);
        gate.let_go();
        let order = client.checkout(&buyer, "tok_approve").key("k").header("prefer", "wait=20").send().await;
        assert!(order.status == 201 && order.header("idempotent-replayed") == Some("true"), "{order:?}");
        let paid = crate::process::until("the order to be paid", async || {
            let paid = client.order(&buyer.token, order.field("id")).await.expect(200);
            (paid.field("status") == "paid").then_some(paid)
        }).await;
        assert_eq!(paid.field("cart_id"), buyer.cart);
        let charges = client.get("/v1/admin/sandbox/charges").bearer(&admin).send().await.expect(200);
        assert_eq!(charges.body["items"].as_array().map(Vec::len), Some(1), "{}", charges.text);
        let stock = crate::process::until("the sale of one piece", async || {
            let stock = client.stock(&admin, &vendor, &sku).await;
            (stock["held"] == 0).then_some(stock)
        }).await;
        assert_eq!(stock["sold"], 1);
        unharmed(client).await;
        server.stop().await;
    }
}
