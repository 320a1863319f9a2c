//! Clocks that are wrong, or were: of this machine, of the store, of whoever wrote it last.

use crate::on_both_stores;
use crate::support::client::checkout_body;
use crate::support::journal::Gate;
use crate::support::{Server, TestStore, token};
use haat::adapters::clock::{Machine, Readings, SteadyClock, SystemClock};
use haat::app::{App, AppError, EXIT_CLOCK, Hooks};
use haat::config::Config;
use haat::domain::time::Timestamp;
use haat::http::auth::Bearer;
use haat::persistence::{Mode, open};
use haat::ports::Clock;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// This machine with its wall clock set wrong.
#[derive(Default)]
struct Wrong(AtomicI64);

impl Readings for Wrong {
    fn wall_ms(&self) -> i64 {
        Machine.wall_ms().saturating_add(self.0.load(Ordering::SeqCst))
    }
    fn since_boot(&self) -> Duration {
        Machine.since_boot()
    }
}

/// This machine when it has slept for so long, in milliseconds.
#[derive(Default)]
struct Slept(AtomicI64);

impl Readings for Slept {
    fn wall_ms(&self) -> i64 {
        Machine.wall_ms().saturating_add(self.0.load(Ordering::SeqCst))
    }
    fn since_boot(&self) -> Duration {
        Machine.since_boot() + Duration::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

/// A machine whose wall clock is wrong by so much from the beginning, and how tests get at it.
fn wrong_by(millis: i64) -> (Arc<Wrong>, Hooks) {
    let wrong = Arc::new(Wrong(AtomicI64::new(millis)));
    let clock: Arc<dyn Clock> = Arc::new(SteadyClock::over(wrong.clone()));
    (wrong, Hooks { clock: Some(clock), ..Hooks::default() })
}

/// A store whose newest frame was written by a clock that was so far ahead.
async fn written_ahead(store: &TestStore, ahead: i64) {
    let opened = open(&store.config(), Mode::Serve).await.expect("it opens");
    let at = SystemClock::new().wall().plus_millis(ahead);
    let taken = opened.journal.acquire("a clock that is wrong", Duration::ZERO, at).await.expect("taken");
    opened.journal.release(&taken).await.expect("released");
}

/// The moments of the frames of partition 0, the oldest first.
async fn frames(store: &TestStore) -> Vec<Timestamp> {
    let opened = open(&store.config(), Mode::Tool).await.expect("it opens");
    let frames = opened.journal.frames(0, 0, usize::MAX / 2).await.expect("frames");
    frames.iter().map(|frame| frame.at).collect()
}

async fn refusal(store: &TestStore, hooks: Hooks) -> AppError {
    match App::build(store.server(), hooks).await {
        Ok(_) => panic!("the server starts"),
        Err(error) => error,
    }
}

on_both_stores! {
    /// Six hours ahead are no reason to stand still for six hours.
    async fn behind_a_newest_frame_that_is_ahead_orders_still_expire(store) {
        written_ahead(&store, 6 * HOUR).await;
        let mut config = store.server();
        (config.node.shop.payment_ms, config.node.shop.hold_ms) = (1_000, 1_000);
        let server = Server::start_with(config, Hooks::default()).await;
        let client = server.client;
        let ready = client.get("/readyz").send().await.expect(200);
        let ahead = ready.body["clock_ahead_seconds"].as_i64().expect("seconds");
        assert!((6 * 3600 - 60..=6 * 3600).contains(&ahead), "{}", ready.text);
        let metrics = client.get("/metrics").send().await.expect(200).text;
        assert!(metrics.lines().any(|line| line.starts_with("haat_clock_ahead_seconds ")), "{metrics}");
        let admin = token(&Bearer::Admin("root".into()));
        let (_, sku) = client.shop(&admin, "10.00", 5).await;
        let buyer = client.buyer(&sku, 1).await;
        let order = client.checkout(&buyer, "tok_slow_60000").send().await.expect(201);
        let placed = order.field("placed_at").to_owned();
        // No clock but the server's is looked at: it must come, and does so within seconds.
        loop {
            let seen = client.get(&format!("/v1/orders/{}", order.field("id"))).bearer(&buyer.token).send().await;
            if seen.expect(200).field("status") == "expired" {
                break;
            }
            tokio::task::yield_now().await;
        }
        let times = frames(&store).await;
        assert!(times.is_sorted(), "{times:?}");
        assert!(placed > haat::http::money::Moment(SystemClock::new().wall().plus_millis(5 * HOUR)).to_string());
        server.stop().await;
    }

    /// Twenty hours ahead are no reason to call a fresh token of twelve hours expired, nor a guest's.
    async fn tokens_go_by_the_wall_clock(store) {
        written_ahead(&store, 20 * HOUR).await;
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        client.post("/v1/vendors", &json!({"name": "Dhaka Textiles"})).bearer(&admin).send().await.expect(201);
        let cart = client.post("/v1/carts", &json!({})).send().await.expect(201);
        client.get(&format!("/v1/carts/{}", cart.field("id"))).bearer(cart.field("token")).send().await.expect(200);
        server.stop().await;
    }

    /// What is centuries away was never set, and would be followed for centuries.
    async fn a_clock_that_cannot_be_is_refused_at_the_start(store) {
        let now = SystemClock::new().wall().as_millis();
        for by in [-now, 10 * YEAR - now, 176 * YEAR, 31_000 * YEAR, i64::MAX / 2] {
            let error = refusal(&store, wrong_by(by).1).await;
            assert_eq!(error.exit_code(), EXIT_CLOCK, "{error}");
            assert!(error.to_string().starts_with("this machine's clock shows "), "{error}");
        }
    }

    /// Nor can a store be followed whose newest frame is of then.
    async fn a_frame_that_cannot_be_is_refused_at_the_start(store) {
        written_ahead(&store, 31_000 * YEAR).await;
        let error = refusal(&store, Hooks::default()).await;
        assert_eq!(error.exit_code(), EXIT_CLOCK, "{error}");
        assert!(error.to_string().contains("the newest frame of this store is of "), "{error}");
    }
}

/// The embedded store has no second clock: a jump is not followed, whichever way it goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_follows_no_jump() {
    let store = TestStore::new(crate::support::Kind::Sqlite).await;
    let (wrong, hooks) = wrong_by(0);
    let server = Server::start_with(store.server(), hooks).await;
    let client = server.client;
    let admin = token(&Bearer::Admin("root".into()));
    let (_, sku) = client.shop(&admin, "10.00", 50).await;
    for by in [6 * HOUR, -6 * HOUR, 0] {
        wrong.0.store(by, Ordering::SeqCst);
        let ready = client.get("/readyz").send().await.expect(200);
        let ahead = ready.body["clock_ahead_seconds"].as_i64().expect("seconds");
        assert!((ahead + by / 1000).abs() <= 1, "{by}: {}", ready.text);
        let cart = client.post("/v1/carts", &json!({})).send().await.expect(201);
        let buyer =
            crate::support::client::Buyer { cart: cart.field("id").to_owned(), token: cart.field("token").to_owned() };
        client.set_line(&buyer, &sku, 1).await.expect(200);
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let paid = client.post(&path, &checkout_body("tok_approve")).bearer(&buyer.token).header("prefer", "wait=20");
        assert_eq!(paid.send().await.expect(201).field("status"), "paid");
    }
    server.stop().await;
    let (times, now) = (frames(&store).await, SystemClock::new().wall());
    assert!(times.is_sorted() && times.iter().all(|at| now.millis_since(*at).abs() < HOUR), "{times:?} {now}");
}

/// Nor does a sale open or end by it: windows are of the shop's time, which goes on as it did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_jump_of_the_clock_opens_or_ends_a_sale() {
    let store = TestStore::new(crate::support::Kind::Sqlite).await;
    let (wrong, hooks) = wrong_by(0);
    let server = Server::start_with(store.server(), hooks).await;
    let (client, now) = (server.client, SystemClock::new().wall());
    let admin = token(&Bearer::Admin("root".into()));
    let taka = |amount: &str| json!({"amount": amount, "currency": "BDT"});
    let moment = |hours: i64| haat::http::money::Moment(now.plus_millis(hours * HOUR)).to_string();
    let mut skus = Vec::new();
    for (from, until, total) in [(-1, 1, "6.00"), (1, 3, "10.00")] {
        let (vendor, sku) = client.shop(&admin, "10.00", 50).await;
        let item = json!({"sku_id": sku, "price": taka("6.00"), "allotment": 20});
        let sale = json!({
            "name": "11.11", "starts_at": moment(from), "ends_at": moment(until), "time_zone": "Asia/Dhaka", "items": [item],
        });
        client.post(&format!("/v1/vendors/{vendor}/sales"), &sale).bearer(&admin).send().await.expect(201);
        skus.push((sku, taka(total)));
    }
    for by in [2 * HOUR, -2 * HOUR, 0] {
        wrong.0.store(by, Ordering::SeqCst);
        for (sku, total) in &skus {
            let shown = client.get(&format!("/v1/skus/{sku}")).send().await.expect(200).body;
            assert_eq!(shown["price"], *total, "{by}");
            let buyer = client.buyer(sku, 1).await;
            let paid = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
            assert_eq!((paid.field("status"), &paid.body["total"]), ("paid", total), "{by}");
        }
    }
    server.stop().await;
}

/// Beside a database's clock a wrong one is found out before anything is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_not_the_databases_is_refused_before_a_frame() {
    let store = TestStore::new(crate::support::Kind::Postgres).await;
    Server::start(&store).await.stop().await;
    let before = frames(&store).await;
    for by in [90_000, -90_000, 6 * HOUR, -6 * HOUR, 20 * YEAR] {
        let error = refusal(&store, wrong_by(by).1).await;
        assert_eq!(error.exit_code(), EXIT_CLOCK, "{error}");
        let way = if by > 0 { " s ahead of the database's" } else { " s behind the database's" };
        assert!(error.to_string().contains(way), "{by}: {error}");
    }
    assert_eq!(frames(&store).await, before);
    // What is a minute off at most is taken.
    for by in [50_000, -50_000] {
        Server::start_with(store.server(), wrong_by(by).1).await.stop().await;
    }
}

/// A lease counts from when it was asked for, at a start as ever: the database may have granted it before the machine slept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_sleeps_while_it_starts_answers_nothing_by_its_lease() {
    let store = TestStore::new(crate::support::Kind::Postgres).await;
    let (gate, slept) = (Gate::default(), Arc::new(Slept::default()));
    // Past its lease, and not so long that it could not be the database's clock, which does not sleep here.
    let (lease, sleep) = (Duration::from_secs(55), 58_000);
    let (machine, journal) = (slept.clone(), gate.clone());
    gate.at_renewal(move || machine.0.store(sleep, Ordering::SeqCst));
    let hooks = Hooks {
        clock: Some(Arc::new(SteadyClock::over(slept))),
        journal: Some(Arc::new(move |inner| journal.wrap(inner))),
        ..Hooks::default()
    };
    let server = Server::start_with(Config { lease, ..store.server() }, hooks).await;
    let client = server.client;
    // What is recorded is true, whoever has the store: only an owner could record it.
    let cart = client.post("/v1/carts", &json!({})).send().await.expect(201);
    // The next renewal is a third of the lease away.
    let seen = client.get(&format!("/v1/carts/{}", cart.field("id"))).bearer(cart.field("token")).send().await;
    assert_eq!((seen.status, seen.code()), (503, "unavailable"), "{}", seen.text);
    server.stop().await;
}
