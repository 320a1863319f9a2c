//! Orders that are paid on the pages of a platform.

use super::config;
use crate::on_both_stores;
use crate::support::client::{Answer, Buyer, Client, checkout_body};
use crate::support::redirect::{OLD_SECRET, Platform, SECRET, signed};
use crate::support::{Server, TestStore, token};
use haat::app::Hooks;
use haat::app::audit::audit;
use haat::http::auth::Bearer;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

pub(super) const LONG: i64 = 600_000;

/// A shop whose buyers pay elsewhere, with a few pieces of one SKU.
pub(super) struct Shop {
    pub(super) platform: Platform,
    pub(super) server: Server,
    pub(super) admin: String,
    vendor: String,
    sku: String,
}

async fn server(store: &TestStore, platform: &Platform, payment_ms: i64, page: Option<&str>) -> Server {
    let mut server = store.server();
    server.redirect = Some(config(platform));
    server.node.shop.payment_ms = payment_ms;
    server.http.return_page = page.map(|page| page.parse().expect("a URL"));
    Server::start_with(server, Hooks::default()).await
}

pub(super) fn now_s() -> i64 {
    haat::ports::Clock::wall(&haat::adapters::clock::SystemClock::default()).as_millis() / 1_000
}

/// Asks until it is so.
async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let look = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), look).await.unwrap_or_else(|_| panic!("never: {what}"));
}

impl Shop {
    pub(super) async fn open(store: &TestStore) -> Self {
        Self::with(store, LONG, None).await
    }

    async fn with(store: &TestStore, payment_ms: i64, page: Option<&str>) -> Self {
        let platform = Platform::start().await;
        let server = server(store, &platform, payment_ms, page).await;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = server.client.shop(&admin, "10.00", 50).await;
        Self { platform, server, admin, vendor, sku }
    }

    /// The same shop with its platform, on another server.
    pub(super) async fn started_again(self, store: &TestStore, payment_ms: i64) -> Self {
        self.server.stop().await;
        let server = server(store, &self.platform, payment_ms, None).await;
        Self { server, ..self }
    }

    pub(super) fn client(&self) -> Client {
        self.server.client
    }

    pub(super) async fn buyer(&self) -> Buyer {
        self.client().buyer(&self.sku, 1).await
    }

    /// Checks out, and waits for what becomes of the payment.
    pub(super) async fn check_out(&self, buyer: &Buyer, token: &str) -> Answer {
        let mut body = checkout_body(token);
        body["payment"]["method"] = "redirect".into();
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        self.client().post(&path, &body).header("prefer", "wait=30").bearer(&buyer.token).send().await
    }

    pub(super) async fn comes_to(&self, order: &str, status: &str) -> Answer {
        let seen = async || self.client().order(&self.admin, order).await.expect(200);
        until(&format!("{order} is {status}"), async || seen().await.field("status") == status).await;
        seen().await
    }

    pub(super) async fn notify_with(&self, headers: &[(&'static str, String)], body: &str) -> Answer {
        let request = self.client().request("POST", "/v1/notices/redirect");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.raw(body.to_owned()).send().await
    }

    async fn notify(&self) {
        let body = self.platform.event();
        self.notify_with(&signed(SECRET, now_s(), &body), &body).await.expect(200);
    }

    pub(super) async fn come_back(&self, query: &str) -> Answer {
        self.client().get(&format!("/v1/payments/return{query}")).send().await
    }

    pub(super) async fn available(&self) -> i64 {
        self.client().stock(&self.admin, &self.vendor, &self.sku).await["available"].as_i64().expect("a count")
    }

    async fn cancel(&self, buyer: &Buyer, order: &str) -> Answer {
        let path = format!("/v1/orders/{order}/cancel");
        self.client().post(&path, &json!({})).bearer(&buyer.token).send().await.expect(200)
    }

    fn looked(&self) -> usize {
        self.platform.calls().iter().filter(|call| call.method == "GET").count()
    }

    /// Fails if it was looked up more often since then than its own pace and one look a second for whatever is heard come to.
    fn looked_seldom(&self, (before, since): (usize, Instant)) {
        let (looked, most) = (self.looked() - before, 5 + since.elapsed().as_secs() as usize);
        assert!(looked <= most, "it is looked up {looked} times");
    }
}

on_both_stores! {
    /// The buyer is told where to go, and nobody else; then a notice, the buyer's return, or a look-up, tells the rest.
    async fn a_buyer_pays_elsewhere_and_the_order_hears_of_it(store) {
        let shop = Shop::open(&store).await;
        for (number, told) in ["notice", "return", "nobody"].into_iter().enumerate() {
            let buyer = shop.buyer().await;
            let waits = shop.check_out(&buyer, "ok").await.expect(201);
            let order = waits.field("id").to_owned();
            let url = format!("https://pay.example/pay_{}?key=hush", number + 1);
            let payment = &waits.body["payment"];
            assert_eq!((waits.field("status"), &payment["status"]), ("awaiting_payment", &json!("requires_action")));
            assert_eq!(payment["next_action"], json!({"type": "redirect", "url": url}));
            let staff = shop.client().order(&shop.admin, &order).await.expect(200);
            assert!(!staff.text.contains("hush") && staff.body["payment"]["status"] == "requires_action", "{}", staff.text);
            shop.platform.acts(true);
            match told {
                "notice" => {
                    for _ in 0..5 {
                        shop.notify().await;
                    }
                }
                "return" => {
                    shop.come_back(&format!("?order={order}&status=ok")).await.expect(200);
                }
                _ => {}
            }
            let paid = shop.comes_to(&order, "paid").await;
            assert_eq!(paid.body["payment"]["status"], "captured");
            let mine = shop.client().order(&buyer.token, &order).await.expect(200);
            assert!(!mine.text.contains("hush"), "{}", mine.text);
        }
        assert_eq!((shop.platform.kept_money(), shop.available().await), (3_000, 47));
        shop.server.stop().await;
        assert!(audit(&store.config(), store.data_dir()).await.expect("an audit").is_clean());
    }

    /// However often it is asked, there is one payment, and nobody is sent to one that is not recorded.
    async fn one_payment_is_made_whatever_is_lost(store) {
        let shop = Shop::open(&store).await;
        for (number, token) in ["lost", "broken", "busy"].into_iter().enumerate() {
            let waits = shop.check_out(&shop.buyer().await, token).await.expect(201);
            assert_eq!(waits.body["payment"]["status"], "requires_action", "{token}: {}", waits.text);
            assert_eq!(shop.platform.statuses().len(), number + 1, "{token}");
            shop.platform.acts(true);
            shop.notify().await;
            shop.comes_to(waits.field("id"), "paid").await;
        }
        assert_eq!(shop.platform.kept_money(), 3_000);
        for (token, statuses) in [("unknown", 3), ("quote", 4)] {
            let refused = shop.check_out(&shop.buyer().await, token).await.expect(201);
            assert_eq!(refused.field("status"), "payment_failed", "{token}: {}", refused.text);
            assert_eq!(shop.platform.statuses().len(), statuses, "{token}");
        }
        assert_eq!(shop.platform.kept_money(), 3_000);
        shop.server.stop().await;
    }

    async fn a_buyer_who_fails_or_stays_away_pays_nothing(store) {
        let shop = Shop::with(&store, 3_000, None).await;
        let waits = shop.check_out(&shop.buyer().await, "ok").await.expect(201);
        let expired = shop.comes_to(waits.field("id"), "expired").await;
        assert_eq!((&expired.body["payment"]["status"], shop.platform.statuses()), (&json!("voided"), vec!["cancelled"]));
        // Who fails does so in time, however slow the machine is.
        let shop = shop.started_again(&store, LONG).await;
        let fails = shop.check_out(&shop.buyer().await, "ok").await.expect(201);
        shop.platform.acts(false);
        shop.notify().await;
        let failed = shop.comes_to(fails.field("id"), "payment_failed").await;
        assert_eq!(failed.body["payment"]["status"], "declined");
        assert_eq!((shop.platform.statuses(), shop.platform.kept_money()), (vec!["cancelled"; 2], 0));
        assert_eq!(shop.available().await, 50);
        shop.server.stop().await;
    }

    /// The buyer pays there and cancels here at once: what was taken is given back, once.
    async fn a_cancel_that_comes_too_late_gives_the_money_back(store) {
        let shop = Shop::open(&store).await;
        for token in ["ok", "ok_refundlost"] {
            let buyer = shop.buyer().await;
            let order = shop.check_out(&buyer, token).await.expect(201).field("id").to_owned();
            shop.platform.acts(true);
            shop.cancel(&buyer, &order).await;
            let ended = shop.comes_to(&order, "cancelled").await;
            assert_eq!(ended.body["payment"]["status"], "refunded", "{token}");
        }
        assert_eq!(shop.platform.refunds(), [("succeeded", 1_000); 2]);
        let buyer = shop.buyer().await;
        let order = shop.check_out(&buyer, "ok").await.expect(201).field("id").to_owned();
        shop.cancel(&buyer, &order).await;
        assert_eq!(shop.comes_to(&order, "cancelled").await.body["payment"]["status"], "voided");
        assert_eq!((shop.platform.kept_money(), shop.available().await), (0, 50));
        assert_eq!(shop.platform.statuses().pop(), Some("cancelled"));
        // Another amount is no payment: someone has to look at it.
        let other = shop.check_out(&shop.buyer().await, "other").await.expect(201);
        shop.platform.acts(true);
        shop.notify().await;
        let path = format!("/v1/orders/{}/timeline", other.field("id"));
        until("it is put aside", async || {
            shop.client().get(&path).bearer(&shop.admin).send().await.expect(200).text.contains("quarantined")
        })
        .await;
        shop.server.stop().await;
    }

    async fn a_notice_is_heard_from_whom_it_says_and_believed_in_nothing(store) {
        let shop = Shop::open(&store).await;
        let waits = shop.check_out(&shop.buyer().await, "ok").await.expect(201);
        let body = shop.platform.event();
        let good = signed(SECRET, now_s(), &body);
        let nobodys = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for headers in [&[][..], &good[1..], &signed(nobodys, now_s(), &body), &signed(SECRET, now_s() - 400, &body)] {
            assert_eq!(shop.notify_with(headers, &body).await.expect(400).code(), "signature_invalid", "{headers:?}");
        }
        assert_eq!(shop.notify_with(&good, &body.replace("updated", "succeeded")).await.status, 400);
        let long = "x".repeat(256 * 1024 + 1);
        assert_eq!(shop.notify_with(&signed(SECRET, now_s(), &long), &long).await.status, 413);
        let before = (shop.looked(), Instant::now());
        for _ in 0..20 {
            shop.notify_with(&good, &body).await.expect(200);
        }
        shop.notify_with(&signed(OLD_SECRET, now_s(), &body), &body).await.expect(200);
        let other = body.replace(waits.field("id"), "order_01jd0000000000000000000000");
        shop.notify_with(&signed(SECRET, now_s(), &other), &other).await.expect(200);
        let seen = shop.client().order(&shop.admin, waits.field("id")).await.expect(200);
        assert_eq!(seen.field("status"), "awaiting_payment");
        shop.looked_seldom(before);
        shop.server.stop().await;
        let server = Server::start(&store).await;
        let request = server.client.request("POST", "/v1/notices/redirect");
        let request = good.iter().fold(request, |request, (name, value)| request.header(name, value));
        assert_eq!(request.raw(body).send().await.expect(404).code(), "not_found");
        server.stop().await;
    }

    /// Whoever comes back is sent on, told nothing, and believed in nothing.
    async fn whoever_comes_back_is_sent_on(store) {
        let shop = Shop::with(&store, LONG, Some("https://shop.example/thanks?from=pay")).await;
        let waits = shop.check_out(&shop.buyer().await, "ok").await.expect(201);
        let order = waits.field("id");
        for (query, location) in [
            (format!("?order={order}&status=paid"), format!("https://shop.example/thanks?from=pay&order={order}")),
            ("?order=order_01jd0000000000000000000000".into(), "https://shop.example/thanks?from=pay&order=order_01jd0000000000000000000000".into()),
            ("?order=%0d%0ax".into(), "https://shop.example/thanks?from=pay".into()),
            (String::new(), "https://shop.example/thanks?from=pay".into()),
        ] {
            let answer = shop.come_back(&query).await.expect(303);
            assert_eq!(answer.header("location"), Some(location.as_str()), "{query}");
            assert_eq!((answer.header("referrer-policy"), answer.header("cache-control")), (Some("no-referrer"), Some("no-store")));
        }
        let seen = shop.client().order(&shop.admin, order).await.expect(200);
        assert_eq!(seen.field("status"), "awaiting_payment", "nobody has paid");
        shop.server.stop().await;
        let plain = server(&store, &shop.platform, LONG, None).await;
        let pages = [format!("?order={order}"), "?order=%3Cb%3E".into(), String::new()];
        let mut seen = Vec::new();
        for query in pages {
            seen.push(plain.client.get(&format!("/v1/payments/return{query}")).send().await.expect(200).text);
        }
        assert!(seen.iter().all(|page| *page == seen[0] && !page.contains("order_")), "the same for everybody: {seen:?}");
        plain.stop().await;
    }

    /// Many who come back have it looked up once in a while, and orders that nobody waits for are not even read.
    async fn coming_back_again_and_again_costs_nothing(store) {
        let shop = Shop::open(&store).await;
        let waits = shop.check_out(&shop.buyer().await, "ok").await.expect(201);
        let before = (shop.looked(), Instant::now());
        for _ in 0..30 {
            shop.come_back(&format!("?order={}", waits.field("id"))).await.expect(200);
            shop.come_back("?order=order_01jd0000000000000000000000").await.expect(200);
        }
        shop.looked_seldom(before);
        assert_eq!(shop.platform.statuses(), ["requires_action"]);
        shop.server.stop().await;
    }

    /// The shop is down while its buyer pays.
    async fn a_restart_finds_what_was_paid_meanwhile(store) {
        let shop = Shop::open(&store).await;
        let order = shop.check_out(&shop.buyer().await, "ok").await.expect(201).field("id").to_owned();
        let Shop { platform, server: first, admin, vendor, sku } = shop;
        first.stop().await;
        platform.acts(true);
        let second = server(&store, &platform, LONG, None).await;
        let shop = Shop { platform, server: second, admin, vendor, sku };
        shop.comes_to(&order, "paid").await;
        let made = shop.platform.calls().iter().filter(|call| call.method == "PUT").count();
        assert_eq!((made, shop.platform.kept_money()), (1, 1_000), "nothing is made again");
        shop.server.stop().await;
    }
}
