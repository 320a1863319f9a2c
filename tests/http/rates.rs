//! Whoever asks too often is told so, and nobody else is kept from asking.

use crate::on_both_stores;
use crate::support::client::{Answer, Buyer, Client, Market, checkout_body};
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
pub struct Ahead {
    clock: SystemClock,
    pub by_ms: AtomicI64,
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
        self.clock.advance_to(floor.plus_millis(-self.by_ms.load(Ordering::SeqCst)));
    }
}

/// A server with these limits, behind a proxy on this machine, and its clock.
async fn limited(store: &TestStore, rates: &str) -> (Server, Arc<Ahead>) {
    let mut config: Config = store.server();
    config.http.rates = Some(rates.parse().expect("rates"));
    config.node.quotas = true;
    config.http.trusted_proxies = vec!["127.0.0.1".parse().expect("a network")];
    let clock = Arc::new(Ahead::default());
    let hooks = Hooks { clock: Some(clock.clone()), ..Hooks::default() };
    (Server::start_with(config, hooks).await, clock)
}

/// What buyers pay with whose payment is under way for longer than any test.
const UNDER_WAY: &str = "tok_slow_60000";

/// A checkout with this address, of a cart with so many pieces.
async fn checks_out(client: &Client, sku: &str, pieces: i64, email: &str, token: &str) -> Answer {
    let buyer = client.buyer(sku, pieces).await;
    checks_out_of(client, &buyer, email, token).await
}

async fn checks_out_of(client: &Client, buyer: &Buyer, email: &str, token: &str) -> Answer {
    let mut body = checkout_body(token);
    body["email"] = email.into();
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    client.post(&path, &body).bearer(&buyer.token).key("k").send().await
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
    /// Five unpaid orders by whatever key, and no sixth until one of them is paid; also after a restart.
    async fn a_buyer_has_so_many_unpaid_orders(store) {
        let (server, _) = limited(&store, "carts=1000/60").await;
        let Market { admin, vendor, sku, .. } = server.client.market(100).await;
        for _ in 0..4 {
            checks_out(&server.client, &sku, 1, "rina@example.com", UNDER_WAY).await.expect(201);
        }
        let fifth = checks_out(&server.client, &sku, 1, "Rina+sale@example.com", "tok_slow_1000").await.expect(201);
        let sixth = server.client.buyer(&sku, 1).await;
        let refused = checks_out_of(&server.client, &sixth, "rina@example.com", UNDER_WAY).await;
        // Unless the fifth was paid meanwhile, which a slow machine has time for.
        if refused.status == 429 {
            assert_eq!((refused.code(), refused.header("retry-after")), ("rate_limited", Some("60")));
            let stock = server.client.stock(&admin, &vendor, &sku).await;
            assert!(stock["held"].as_i64().expect("a number") <= 5, "{stock}");
            let cart = server.client.get(&format!("/v1/carts/{}", sixth.cart)).bearer(&sixth.token).send().await;
            assert_eq!(cart.expect(200).field("status"), "open");
        }
        checks_out(&server.client, &sku, 1, "fina@example.com", UNDER_WAY).await.expect(201);
        while server.client.order(&admin, fifth.field("id")).await.expect(200).field("status") != "paid" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The same request under the same key: a refusal of this sort is not kept.
        checks_out_of(&server.client, &sixth, "rina@example.com", UNDER_WAY).await.expect(201);
        let seventh = server.client.buyer(&sku, 1).await;
        checks_out_of(&server.client, &seventh, "rina@example.com", UNDER_WAY).await.expect(429);
        server.stop().await;

        // So that no order is in memory when the next server takes requests: it is to know of them all the same.
        store.execute("UPDATE snapshot SET wake_at = NULL WHERE kind = 'order'").await;
        let (server, _) = limited(&store, "carts=1000/60").await;
        let refused = checks_out_of(&server.client, &seventh, "rina@example.com", UNDER_WAY).await.expect(429);
        assert!(refused.body["detail"].as_str().expect("a text").contains("5 unpaid orders"), "{}", refused.text);
        checks_out_of(&server.client, &seventh, "fina@example.com", UNDER_WAY).await.expect(201);
        server.stop().await;
    }

    /// Strangers who type a buyer's address use up what guests have of it, and nothing of what its owner has, who is signed in. What the owner orders
    /// counts for the address, too; also after a restart.
    async fn strangers_use_up_nothing_of_who_is_signed_in(store) {
        let (server, _) = limited(&store, "carts=1000/60").await;
        let Market { sku, .. } = server.client.market(100).await;
        let rina = customer(1);
        let checks_out_as_rina = async |client: &Client, email: &str| {
            let cart = client.post("/v1/carts", &json!({})).bearer(&rina).send().await;
            let buyer = Buyer { cart: cart.field("id").to_owned(), token: rina.clone() };
            client.set_line(&buyer, &sku, 1).await.expect(200);
            checks_out_of(client, &buyer, email, UNDER_WAY).await
        };
        for _ in 0..4 {
            checks_out(&server.client, &sku, 1, "rina@example.com", UNDER_WAY).await.expect(201);
        }
        checks_out_as_rina(&server.client, "rina@example.com").await.expect(201);
        checks_out(&server.client, &sku, 1, "rina@example.com", UNDER_WAY).await.expect(429);
        for _ in 0..3 {
            checks_out_as_rina(&server.client, "rina@example.com").await.expect(201);
        }
        server.stop().await;

        let (server, _) = limited(&store, "carts=1000/60").await;
        checks_out(&server.client, &sku, 1, "rina@example.com", UNDER_WAY).await.expect(429);
        checks_out_as_rina(&server.client, "rina@example.com").await.expect(201);
        let refused = checks_out_as_rina(&server.client, "fina@example.com").await.expect(429);
        assert!(refused.body["detail"].as_str().expect("a text").contains("5 unpaid orders"), "{}", refused.text);
        server.stop().await;
    }

    /// What was declined counts for a quarter of an hour, also after a restart.
    async fn a_buyer_gives_up_so_many_checkouts(store) {
        let (server, _) = limited(&store, "carts=1000/60").await;
        let Market { sku, .. } = server.client.market(100).await;
        let declined = async |client: &Client, buyer: &Buyer| {
            let mut body = checkout_body("tok_decline");
            body["shipping_address"]["phone"] = "01712345678".into();
            let path = format!("/v1/carts/{}/checkout", buyer.cart);
            client.post(&path, &body).bearer(&buyer.token).header("prefer", "wait=30").send().await
        };
        for _ in 0..10 {
            let buyer = server.client.buyer(&sku, 1).await;
            assert_eq!(declined(&server.client, &buyer).await.expect(201).field("status"), "payment_failed");
        }
        let eleventh = server.client.buyer(&sku, 1).await;
        declined(&server.client, &eleventh).await.expect(429);
        server.stop().await;

        let (server, clock) = limited(&store, "carts=1000/60").await;
        let refused = declined(&server.client, &eleventh).await.expect(429);
        let wait: i64 = refused.header("retry-after").expect("when to ask again").parse().expect("seconds");
        assert!((800..=900).contains(&wait), "{wait}");
        clock.by_ms.store(wait * 1000, Ordering::SeqCst);
        declined(&server.client, &eleventh).await.expect(201);
        server.stop().await;
    }
}

#[tokio::test]
async fn so_many_pieces_are_held_for_a_buyer() {
    let store = TestStore::new(Kind::Sqlite).await;
    let (server, _) = limited(&store, "carts=1000/60").await;
    let Market { admin, vendor, sku, .. } = server.client.market(200).await;
    checks_out(&server.client, &sku, 51, "rina@example.com", UNDER_WAY).await.expect(429);
    checks_out(&server.client, &sku, 30, "rina@example.com", UNDER_WAY).await.expect(201);
    checks_out(&server.client, &sku, 21, "rina@example.com", UNDER_WAY).await.expect(429);
    checks_out(&server.client, &sku, 20, "rina@example.com", UNDER_WAY).await.expect(201);
    let stock = server.client.stock(&admin, &vendor, &sku).await;
    assert_eq!(stock["held"], 50);
    // One that comes to nothing gives its part back: there are not so many.
    checks_out(&server.client, &sku, 50, "fina@example.com", UNDER_WAY).await.expect(201);
    assert_eq!(server.client.stock(&admin, &vendor, &sku).await["available"], 100);
    checks_out(&server.client, &sku, 50, "dina@example.com", "tok_approve").await.expect(201);
    checks_out(&server.client, &sku, 40, "mina@example.com", UNDER_WAY).await.expect(201);
    for _ in 0..2 {
        let short = checks_out(&server.client, &sku, 20, "tina@example.com", UNDER_WAY).await.expect(409);
        assert_eq!(short.code(), "out_of_stock");
    }
    for _ in 0..5 {
        checks_out(&server.client, &sku, 1, "tina@example.com", UNDER_WAY).await.expect(201);
    }
    server.stop().await;
}

/// Whoever guesses brings a token of each of many carts: signing in counts for the address all the same.
#[tokio::test]
async fn signing_in_counts_for_the_address_whatever_token_comes_along() {
    let store = TestStore::new(Kind::Sqlite).await;
    let (server, _) = limited(&store, "sign_in=3/60").await;
    let guess = async |bearer: Option<String>, from: &str| {
        let body = json!({"email": "rina@example.com", "password": "some other password"});
        let ask = server.client.post("/v1/auth/login", &body).header("x-forwarded-for", from);
        bearer.iter().fold(ask, |ask, bearer| ask.bearer(bearer)).send().await
    };
    for bearer in [Some(customer(1)), None, Some(new_cart(&server, "203.0.113.7").await.field("token").to_owned())] {
        guess(bearer, "203.0.113.7").await.expect(401);
    }
    for bearer in [None, Some(customer(1)), Some(customer(2)), Some("no token".to_owned())] {
        let refused = guess(bearer, "203.0.113.7").await.expect(429);
        assert_eq!(
            (refused.code(), refused.header("ratelimit-policy")),
            ("rate_limited", Some("\"sign_in\";q=3;w=60"))
        );
    }
    guess(Some(customer(1)), "203.0.113.8").await.expect(401);
    server.stop().await;
}

/// Asks so often, some at the same time; how many had each status.
async fn all_of(many: usize, ask: impl AsyncFn() -> Answer) -> Vec<(u16, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    let mut left = many;
    while left > 0 {
        let some = left.min(50);
        left -= some;
        for answer in futures::future::join_all((0..some).map(|_| ask())).await {
            *counts.entry(answer.status).or_insert(0) += 1;
        }
    }
    counts.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_of_one_address_make_so_many_carts_an_hour_and_other_addresses_go_on() {
    let store = TestStore::new(Kind::Sqlite).await;
    let (server, clock) = limited(&store, "carts=1000000/60").await;
    assert_eq!(all_of(5_010, async || new_cart(&server, "203.0.113.7").await).await, [(201, 5_000), (429, 10)]);
    clock.by_ms.store(600_000, Ordering::SeqCst);
    let refused = new_cart(&server, "203.0.113.7").await.expect(429);
    assert_eq!(refused.header("ratelimit-policy"), Some("\"guest_carts\";q=5000;w=3600"));
    new_cart(&server, "203.0.113.8").await.expect(201);
    let own = server.client.post("/v1/carts", &json!({})).bearer(&customer(1)).header("x-forwarded-for", "203.0.113.7");
    own.send().await.expect(201);
    clock.by_ms.store(3_600_000, Ordering::SeqCst);
    new_cart(&server, "203.0.113.7").await.expect(201);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_has_so_many_unpaid_orders_and_other_addresses_go_on() {
    let store = TestStore::new(Kind::Sqlite).await;
    let (server, _) = limited(&store, "carts=1000000/60,checkout=1000000/60").await;
    let Market { sku, .. } = server.client.market(1_000).await;
    let checkout = async |from: &str| {
        let buyer = server.client.buyer(&sku, 1).await;
        server.client.checkout(&buyer, UNDER_WAY).header("x-forwarded-for", from).send().await
    };
    assert_eq!(all_of(505, async || checkout("203.0.113.7").await).await, [(201, 500), (429, 5)]);
    checkout("203.0.113.8").await.expect(201);
    server.stop().await;
}
