//! Orders that are paid by card.

use super::config;
use crate::on_both_stores;
use crate::support::client::{Answer, Buyer, Client, checkout_body};
use crate::support::stripe::{SECRET, Stripe as Double, signed};
use crate::support::{Server, TestStore, records, token};
use haat::adapters::stripe::StripeConfig;
use haat::app::Hooks;
use haat::app::audit::audit;
use haat::http::auth::Bearer;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A shop that takes cards, with a few pieces of one SKU.
pub struct Shop {
    double: Option<Double>,
    server: Server,
    admin: String,
    vendor: String,
    sku: String,
}

async fn server(store: &TestStore, stripe: StripeConfig, payment_ms: i64) -> Server {
    let mut server = store.server();
    server.stripe = Some(stripe);
    server.node.shop.payment_ms = payment_ms;
    Server::start_with(server, Hooks::default()).await
}

pub const LONG: i64 = 600_000;

impl Shop {
    pub async fn open(store: &TestStore) -> Self {
        Self::with(store, LONG).await
    }

    async fn with(store: &TestStore, payment_ms: i64) -> Self {
        let double = Double::start().await;
        let shop = Self::at(store, config(&double), payment_ms).await;
        Self { double: Some(double), ..shop }
    }

    /// One whose payments are taken there.
    pub async fn at(store: &TestStore, stripe: StripeConfig, payment_ms: i64) -> Self {
        let server = server(store, stripe, payment_ms).await;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = server.client.shop(&admin, "10.00", 50).await;
        Self { double: None, server, admin, vendor, sku }
    }

    /// The same shop and the same double after a stop.
    pub async fn started_again(self, store: &TestStore, payment_ms: i64) -> Self {
        let Self { double, server: first, admin, vendor, sku } = self;
        first.stop().await;
        let again = server(store, config(double.as_ref().expect("a double")), payment_ms).await;
        Self { double, server: again, admin, vendor, sku }
    }

    pub async fn stop(self) {
        self.server.stop().await;
    }

    pub fn admin(&self) -> &str {
        &self.admin
    }

    pub fn double(&self) -> &Double {
        self.double.as_ref().expect("a double")
    }

    pub fn client(&self) -> Client {
        self.server.client
    }

    pub async fn buyer(&self) -> Buyer {
        self.client().buyer(&self.sku, 1).await
    }

    /// Checks out, and waits for what becomes of the payment.
    pub async fn check_out(&self, buyer: &Buyer, card: &str) -> Answer {
        let mut body = checkout_body(card);
        body["payment"]["method"] = "stripe".into();
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        self.client().post(&path, &body).header("prefer", "wait=30").bearer(&buyer.token).send().await
    }

    /// The order once it stands so.
    pub async fn comes_to(&self, order: &str, status: &str) -> Answer {
        let look = async {
            loop {
                let seen = self.client().order(&self.admin, order).await.expect(200);
                if seen.field("status") == status {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(40), look)
            .await
            .unwrap_or_else(|_| panic!("{order} never is {status}"))
    }

    /// Tells the shop of the newest intent, as Stripe does.
    async fn notify(&self, kind: &str) -> Answer {
        let body = self.double().event(kind);
        self.notify_with(&signed(SECRET, now_s(), &body), &body).await
    }

    pub async fn notify_with(&self, signature: &str, body: &str) -> Answer {
        let request = self.client().request("POST", "/v1/notices/stripe").header("stripe-signature", signature);
        request.raw(body.to_owned()).send().await
    }

    /// What of the stock can be had.
    pub async fn available(&self) -> i64 {
        let stock = self.client().stock(&self.admin, &self.vendor, &self.sku).await;
        stock["available"].as_i64().expect("a count")
    }

    pub async fn timeline(&self, order: &str) -> Vec<String> {
        let path = format!("/v1/orders/{order}/timeline");
        let answer = self.client().get(&path).bearer(&self.admin).send().await.expect(200);
        let items = answer.body["items"].as_array().expect("a timeline").clone();
        items.iter().map(|item| item["type"].as_str().expect("a type").to_owned()).collect()
    }
}

pub fn now_s() -> i64 {
    haat::ports::Clock::wall(&haat::adapters::clock::SystemClock::default()).as_millis() / 1_000
}

on_both_stores! {
    /// One intent, which is recorded before it is confirmed, and its money once, whatever is lost on the way.
    async fn a_card_pays_once_whatever_is_lost(store) {
        let shop = Shop::open(&store).await;
        for (number, card) in ["pm_ok", "pm_lost", "pm_sticky", "pm_done500"].into_iter().enumerate() {
            let paid = shop.check_out(&shop.buyer().await, card).await.expect(201);
            assert_eq!((paid.field("status"), &paid.body["payment"]["status"]), ("paid", &json!("captured")), "{card}: {}", paid.text);
            assert_eq!(shop.double().kept_money(), 1_000 * (number as u64 + 1), "{card}");
        }
        assert_eq!(shop.double().statuses(), ["succeeded"; 4]);
        let first: Vec<String> = shop.double().posts().into_iter().take(2).collect();
        assert_eq!(first, ["payment_intents", "confirm"]);
        let last = shop.check_out(&shop.buyer().await, "pm_ok").await.expect(201);
        shop.stop().await;
        let journal = records(&store).await;
        let of_last = |record: &&String| record.contains(last.field("id"));
        let place = |kind: &str| journal.iter().filter(of_last).position(|record| record.contains(kind));
        let (prepared, taken) = (place(r#""payment_prepared""#), place(r#""type":"paid""#));
        assert!(prepared.is_some() && prepared < taken, "{prepared:?} {taken:?}");
        assert!(journal.iter().all(|record| !record.contains("hush") && !record.contains("pm_")), "{journal:?}");
        assert!(audit(&store.config(), store.data_dir()).await.expect("an audit").is_clean());
    }

    async fn a_refused_card_ends_the_order_once_nobody_can_pay_it_any_more(store) {
        let shop = Shop::open(&store).await;
        for (number, card) in ["pm_refuse", "pm_unknown"].into_iter().enumerate() {
            let refused = shop.check_out(&shop.buyer().await, card).await.expect(201);
            assert_eq!((refused.field("status"), &refused.body["payment"]["status"]), ("payment_failed", &json!("declined")), "{}", refused.text);
            assert_eq!(shop.double().statuses(), ["canceled"], "{number}");
        }
        assert_eq!((shop.available().await, shop.double().kept_money()), (50, 0));
        // The buyer tried another card in the browser before the shop could cancel.
        let paid = shop.check_out(&shop.buyer().await, "pm_later").await.expect(201);
        assert_eq!((paid.field("status"), shop.double().kept_money()), ("paid", 1_000));
        // Another amount is no payment.
        let other = shop.client().buyer(&shop.sku, 1).await;
        let mut body = checkout_body("pm_other");
        body["payment"]["method"] = "stripe".into();
        let path = format!("/v1/carts/{}/checkout", other.cart);
        let placed = shop.client().post(&path, &body).bearer(&other.token).send().await.expect(201);
        let look = async {
            while !shop.timeline(placed.field("id")).await.contains(&"quarantined".to_owned()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), look).await.expect("someone has to look at it");
        shop.stop().await;
    }

    /// The buyer is told what to do, and nobody else; then a notice, or a look-up, tells the rest.
    async fn a_buyer_who_has_to_act_is_told_how(store) {
        let shop = Shop::open(&store).await;
        for notices in [5, 0] {
            let buyer = shop.buyer().await;
            let waits = shop.check_out(&buyer, "pm_action").await.expect(201);
            let order = waits.field("id").to_owned();
            let intent = shop.double().statuses().len();
            let action = json!({"type": "stripe_sdk", "client_secret": format!("pi_{intent}_secret_hush")});
            let payment = &waits.body["payment"];
            assert_eq!((waits.field("status"), &payment["status"]), ("awaiting_payment", &json!("requires_action")));
            assert_eq!(payment["next_action"], action);
            assert_eq!(shop.client().order(&buyer.token, &order).await.expect(200).body["payment"]["next_action"], action);
            let staff = shop.client().order(&shop.admin, &order).await.expect(200);
            assert!(!staff.text.contains("hush") && staff.body["payment"]["status"] == "requires_action", "{}", staff.text);
            assert!(shop.timeline(&order).await.contains(&"payment_action_required".to_owned()));
            shop.double().acts(true);
            for _ in 0..notices {
                shop.notify("payment_intent.succeeded").await.expect(200);
            }
            let paid = shop.comes_to(&order, "paid").await;
            assert_eq!(paid.body["payment"]["status"], "captured");
            let mine = shop.client().order(&buyer.token, &order).await.expect(200);
            assert!(!mine.text.contains("hush"), "{}", mine.text);
        }
        assert_eq!(shop.double().kept_money(), 2_000);

        let fails = shop.check_out(&shop.buyer().await, "pm_action").await.expect(201);
        shop.double().acts(false);
        shop.notify("payment_intent.payment_failed").await.expect(200);
        let failed = shop.comes_to(fails.field("id"), "payment_failed").await;
        assert_eq!(failed.body["payment"]["status"], "declined");
        assert_eq!((shop.double().statuses().pop(), shop.double().kept_money()), (Some("canceled"), 2_000));
        shop.stop().await;
    }

    async fn what_is_never_done_ends_with_its_time(store) {
        let shop = Shop::with(&store, 3_000).await;
        let waits = shop.check_out(&shop.buyer().await, "pm_action").await.expect(201);
        assert_eq!(waits.field("status"), "awaiting_payment", "whoever waits is told at once");
        let expired = shop.comes_to(waits.field("id"), "expired").await;
        assert_eq!(expired.body["payment"]["status"], "voided");
        assert_eq!((shop.double().statuses(), shop.available().await), (vec!["canceled"], 50));
        shop.stop().await;
    }

    /// The buyer pays in the browser and cancels in the shop at once: what was taken is given back, once.
    async fn a_cancel_that_comes_too_late_gives_the_money_back(store) {
        let shop = Shop::open(&store).await;
        for (number, card) in ["pm_action", "pm_action_refundsticky", "pm_action_refundlost"].into_iter().enumerate() {
            let buyer = shop.buyer().await;
            let waits = shop.check_out(&buyer, card).await.expect(201);
            let order = waits.field("id").to_owned();
            shop.double().acts(true);
            let cancel = shop.client().post(&format!("/v1/orders/{order}/cancel"), &json!({}));
            let asked = cancel.bearer(&buyer.token).send().await.expect(200);
            assert!(!asked.text.contains("hush") && asked.body["payment"]["status"] != "requires_action", "{}", asked.text);
            let ended = shop.comes_to(&order, "cancelled").await;
            assert_eq!(ended.body["payment"]["status"], "refunded", "{card}");
            assert_eq!(shop.double().refunds().len(), number + 1, "{card}");
        }
        assert_eq!((shop.double().kept_money(), shop.available().await), (0, 50));
        // What was not paid is cancelled there, too.
        let buyer = shop.buyer().await;
        let waits = shop.check_out(&buyer, "pm_action").await.expect(201);
        let path = format!("/v1/orders/{}/cancel", waits.field("id"));
        shop.client().post(&path, &json!({})).bearer(&buyer.token).send().await.expect(200);
        let ended = shop.comes_to(waits.field("id"), "cancelled").await;
        assert_eq!(ended.body["payment"]["status"], "voided");
        assert_eq!((shop.double().statuses().pop(), shop.double().kept_money()), (Some("canceled"), 0));
        shop.stop().await;
    }

    /// The shop is down while the buyer pays, for longer than Stripe keeps its keys.
    async fn a_restart_finds_what_was_paid_meanwhile(store) {
        let mut shop = Shop::open(&store).await;
        let buyer = shop.buyer().await;
        let order = shop.check_out(&buyer, "pm_action").await.expect(201).field("id").to_owned();
        let waits = shop.check_out(&shop.buyer().await, "pm_action").await.expect(201).field("id").to_owned();
        let Shop { double, server: first, admin, vendor, sku } = shop;
        first.stop().await;
        let stripe = double.as_ref().expect("a double");
        stripe.forget_keys();
        let report = audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "the means of payment is gone, and nobody needs it: {report}");
        let again = server(&store, config(stripe), LONG).await;
        shop = Shop { double, server: again, admin, vendor, sku };
        // The newest intent is the second order's: its buyer pays, and the first one is shown again what to do.
        shop.double().acts(true);
        shop.notify("payment_intent.succeeded").await.expect(200);
        shop.comes_to(&waits, "paid").await;
        let look = async {
            loop {
                let seen = shop.client().order(&buyer.token, &order).await.expect(200);
                if seen.body["payment"]["next_action"]["client_secret"] == "pi_1_secret_hush" {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), look).await.expect("the buyer is told again");
        let posts = shop.double().posts();
        assert_eq!(posts.iter().filter(|verb| *verb == "confirm").count(), 2, "nothing is confirmed again: {posts:?}");
        assert_eq!(shop.double().kept_money(), 1_000);
        shop.stop().await;
    }
}

on_both_stores! {
    async fn a_notice_is_heard_from_whom_it_says_and_believed_in_nothing(store) {
        let shop = Shop::open(&store).await;
        let waits = shop.check_out(&shop.buyer().await, "pm_action").await.expect(201);
        let body = shop.double().event("payment_intent.succeeded");
        let good = signed(SECRET, now_s(), &body);
        for signature in ["", "t=1,v1=00", &signed("", now_s(), &body), &signed(SECRET, now_s() - 400, &body)] {
            assert_eq!(shop.notify_with(signature, &body).await.expect(400).code(), "signature_invalid", "{signature}");
        }
        assert_eq!(shop.notify_with(&good, &body.replace("succeeded", "canceled")).await.status, 400);
        let long = "x".repeat(256 * 1024 + 1);
        assert_eq!(shop.notify_with(&signed(SECRET, now_s(), &long), &long).await.expect(413).code(), "body_too_large");
        // It says that the payment succeeded: the intent says otherwise.
        let began = Instant::now();
        for _ in 0..20 {
            shop.notify_with(&good, &body).await.expect(200);
        }
        let other = body.replace(waits.field("id"), "order_01jd0000000000000000000000");
        shop.notify_with(&signed(SECRET, now_s(), &other), &other).await.expect(200);
        let seen = shop.client().order(&shop.admin, waits.field("id")).await.expect(200);
        assert_eq!(seen.field("status"), "awaiting_payment");
        let looked = shop.double().calls().iter().filter(|call| call.method == "GET").count();
        // Once a second at most for notices, and at its own pace.
        assert!(looked <= 5 + began.elapsed().as_secs() as usize, "twenty notices have it looked up {looked} times");
        let metrics = shop.client().get("/metrics").send().await.expect(200).text;
        for outcome in ["coalesced", "forged", "order"] {
            let series = format!("haat_payment_notices_total{{method=\"stripe\",outcome=\"{outcome}\"}} ");
            let count = metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or("0");
            assert_ne!(count, "0", "{outcome}: {metrics}");
        }
        let mut without = store.server();
        without.stripe = Some(config(shop.double()));
        without.stripe.as_mut().expect("it is set").secrets.clear();
        shop.stop().await;
        let server = Server::start_with(without, Hooks::default()).await;
        let request = server.client.request("POST", "/v1/notices/stripe").header("stripe-signature", &good);
        assert_eq!(request.raw(body).send().await.expect(404).code(), "not_found");
        server.stop().await;
    }

    /// Ten thousand of them, forged, of others, and true, beside buyers who pay: each is answered, and no order is looked up for each of them.
    async fn a_flood_of_notices_leaves_payments_as_they_are(store) {
        let shop = Arc::new(Shop::open(&store).await);
        let waits = shop.check_out(&shop.buyer().await, "pm_action").await.expect(201);
        let body = shop.double().event("payment_intent.succeeded");
        let other = body.replace(waits.field("id"), "order_01jd0000000000000000000000");
        let (mut senders, began) = (JoinSet::new(), Instant::now());
        for number in 0..10 {
            let (shop, body) = (shop.clone(), if number % 3 == 1 { other.clone() } else { body.clone() });
            let secret = if number % 3 == 2 { "whsec_of_another" } else { SECRET };
            senders.spawn(async move {
                for _ in 0..1_000 {
                    let status = shop.notify_with(&signed(secret, now_s(), &body), &body).await.status;
                    assert_eq!(status, if secret == SECRET { 200 } else { 400 });
                }
            });
        }
        let mut buyers = JoinSet::new();
        for _ in 0..20 {
            let shop = shop.clone();
            buyers.spawn(async move {
                let paid = shop.check_out(&shop.buyer().await, "pm_ok").await.expect(201);
                assert_eq!(paid.field("status"), "paid");
            });
        }
        buyers.join_all().await;
        senders.join_all().await;
        let double = shop.double();
        assert_eq!(double.kept_money(), 20_000, "each buyer has paid once");
        let looked = double.calls().iter().filter(|call| call.method == "GET").count();
        // It is looked up at its own pace, and once a second at most for all notices of that second.
        assert!(looked <= 20 + began.elapsed().as_secs() as usize, "{looked} look-ups");
        double.acts(true);
        shop.notify_with(&signed(SECRET, now_s(), &body), &body).await.expect(200);
        shop.comes_to(waits.field("id"), "paid").await;
        Arc::into_inner(shop).expect("nobody else has it").stop().await;
    }

    /// Neither the store nor a log ever sees the number of a card.
    async fn the_number_of_a_card_goes_no_further(store) {
        let shop = Shop::open(&store).await;
        let buyer = shop.buyer().await;
        for number in ["4242424242424242", "pm_4242 4242 4242 4242"] {
            let refused = shop.check_out(&buyer, number).await.expect(422);
            assert_eq!(refused.code(), "payment_unsupported");
            assert!(!refused.text.contains("4242"), "{}", refused.text);
        }
        assert_eq!(shop.double().posts(), [""; 0], "nothing is sent there");
        assert_eq!(shop.check_out(&buyer, "tok_approve").await.expect(422).code(), "payment_unsupported");
        assert_eq!(shop.check_out(&buyer, "pm_ok").await.expect(201).field("status"), "paid");
        shop.stop().await;
    }
}
