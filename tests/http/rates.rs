//! Whoever asks too often is told so, and nobody else is kept from asking.

use crate::on_both_stores;
use crate::support::client::Answer;
use crate::support::{Kind, Server, TestStore, token};
use haat::adapters::clock::SystemClock;
use haat::app::Hooks;
use haat::config::Config;
use haat::domain::ids::CustomerId;
use haat::domain::time::Timestamp;
use haat::http::auth::Bearer;
use haat::ports::Clock;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// The machine's clock, ahead by as much as a test says.
#[derive(Default)]
struct Ahead {
    clock: SystemClock,
    by_ms: AtomicI64,
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.clock.now().plus_millis(self.by_ms.load(Ordering::SeqCst))
    }
    fn wall(&self) -> Timestamp {
        self.clock.wall()
    }
    fn since_boot(&self) -> Duration {
        self.clock.since_boot()
    }
    fn new_uuid(&self) -> Uuid {
        self.clock.new_uuid()
    }
    fn advance_to(&self, floor: Timestamp) {
        self.clock.advance_to(floor);
    }
}

/// A server with these limits, behind a proxy on this machine, and its clock.
async fn limited(store: &TestStore, rates: &str) -> (Server, Arc<Ahead>) {
    let mut config: Config = store.server();
    config.http.rates = Some(rates.parse().expect("rates"));
    config.http.trusted_proxies = vec!["127.0.0.1".parse().expect("a network")];
    let clock = Arc::new(Ahead::default());
    let hooks = Hooks { clock: Some(clock.clone()), ..Hooks::default() };
    (Server::start_with(config, hooks).await, clock)
}

async fn new_cart(server: &Server, from: &str) -> Answer {
    server.client.post("/v1/carts", &json!({})).header("x-forwarded-for", from).send().await
}

fn customer(number: u128) -> String {
    token(&Bearer::Customer(CustomerId::from_uuid(Uuid::from_u128(number))))
}

#[tokio::test]
async fn an_address_asks_so_often_and_begins_anew_when_its_window_is_over() {
    let store = TestStore::new(Kind::Sqlite).await;
    let (server, clock) = limited(&store, "carts=2/600").await;
    for left in [1, 0] {
        let made = new_cart(&server, "203.0.113.7").await.expect(201);
        assert_eq!(made.header("ratelimit-policy"), Some("\"carts\";q=2;w=600"));
        assert!(made.header("ratelimit").expect("it says").starts_with(&format!("\"carts\";r={left};t=")));
    }
    for _ in 0..2 {
        let refused = new_cart(&server, "203.0.113.7").await.expect(429);
        assert_eq!(refused.code(), "rate_limited");
        assert_eq!(refused.header("ratelimit-policy"), Some("\"carts\";q=2;w=600"));
        let wait: u64 = refused.header("retry-after").expect("when to ask again").parse().expect("seconds");
        assert!((1..=600).contains(&wait), "{wait}");
        assert_eq!(refused.header("ratelimit"), Some(&*format!("\"carts\";r=0;t={wait}")));
        assert!(refused.header("x-request-id").is_some());
        assert_eq!(refused.header("cache-control"), Some("no-store"));
    }
    // A token that is not right is nobody's, and gives nobody a count of its own.
    let forged = server.client.post("/v1/carts", &json!({})).bearer("a.b.c").header("x-forwarded-for", "203.0.113.7");
    forged.send().await.expect(429);
    // Another address, another class, what machines look at, and whoever says who it is.
    new_cart(&server, "203.0.113.8").await.expect(201);
    let read = server.client.get("/v1/products").header("x-forwarded-for", "203.0.113.7").send().await.expect(200);
    assert_eq!(read.header("ratelimit-policy"), Some("\"search\";q=1200;w=60"));
    for path in ["/healthz", "/readyz", "/metrics"] {
        let looked = server.client.get(path).header("x-forwarded-for", "203.0.113.7").send().await.expect(200);
        assert_eq!(looked.header("ratelimit-policy"), None, "{path}");
    }
    let own = server.client.post("/v1/carts", &json!({})).bearer(&customer(1)).header("x-forwarded-for", "203.0.113.7");
    own.send().await.expect(201);
    // Of IPv6 a /64 is one.
    for (from, status) in [("2001:db8::1", 201), ("2001:db8::2", 201), ("2001:db8::3", 429), ("2001:db8:0:1::1", 201)] {
        new_cart(&server, from).await.expect(status);
    }
    let figures = server.client.get("/metrics").send().await.expect(200).text;
    assert!(figures.contains("haat_http_rate_limited_total{class=\"carts\"}"), "{figures}");

    clock.by_ms.store(600_000, Ordering::SeqCst);
    new_cart(&server, "203.0.113.7").await.expect(201);
    server.stop().await;
}

#[tokio::test]
async fn a_bearer_has_a_count_of_its_own_wherever_it_is_and_an_address_one_for_all_of_them() {
    let store = TestStore::new(Kind::Sqlite).await;
    let (server, _) = limited(&store, "search=2/600").await;
    let list = async |bearer: u128, from: &str| {
        let asked = server.client.get("/v1/orders").bearer(&customer(bearer)).header("x-forwarded-for", from);
        asked.send().await
    };
    list(1, "203.0.113.7").await.expect(200);
    list(1, "203.0.113.8").await.expect(200);
    list(1, "203.0.113.9").await.expect(429);
    // A hundred of theirs may come from one address: fifty bearers who each ask as often as they may.
    for bearer in 2..51 {
        for _ in 0..2 {
            list(bearer, "203.0.113.7").await.expect(200);
        }
    }
    list(60, "203.0.113.7").await.expect(200);
    let refused = list(61, "203.0.113.7").await.expect(429);
    assert_eq!(refused.header("ratelimit-policy"), Some("\"search\";q=100;w=600"));
    list(61, "203.0.113.10").await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn a_header_that_no_proxy_wrote_says_nothing() {
    let store = TestStore::new(Kind::Sqlite).await;
    let mut config = store.server();
    config.http.rates = Some("carts=1/600".parse().expect("rates"));
    let server = Server::start_with(config, Hooks::default()).await;
    new_cart(&server, "203.0.113.7").await.expect(201);
    new_cart(&server, "203.0.113.8").await.expect(429);
    server.stop().await;
}

on_both_stores! {
    /// A refusal comes before anything is recorded, and the same request is done when it comes again in time.
    async fn what_is_too_much_is_not_done(store) {
        let (server, clock) = limited(&store, "checkout=1/600").await;
        let market = server.client.market(5).await;
        let path = format!("/v1/carts/{}/checkout", market.buyer.cart);
        let wrong = server.client.post(&path, &json!({})).bearer(&market.buyer.token).key("k").send().await;
        wrong.expect(422);
        let checkout = || server.client.checkout(&market.buyer, "tok_approve").key("k").header("prefer", "wait=30");
        assert_eq!(checkout().send().await.expect(429).code(), "rate_limited");
        let stock = server.client.stock(&market.admin, &market.vendor, &market.sku).await;
        assert_eq!((&stock["held"], &stock["sold"]), (&json!(0), &json!(0)));
        clock.by_ms.store(600_000, Ordering::SeqCst);
        let paid = checkout().send().await.expect(201);
        assert_eq!(paid.field("status"), "paid");
        server.stop().await;
    }
}
