//! The same shop over localstripe, which somebody else wrote: it knows no keys, no refused refunds and no disputes, and so judges only what
//! both it and Stripe have.

use super::shop::Shop;
use crate::on_both_stores;
use crate::support::client::{Answer, Buyer, Client};
use crate::support::stripe::{KEY, SECRET};
use crate::support::{TestStore, free_address};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use haat::adapters::stripe::StripeConfig;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::process::{Child, Command};
use url::form_urlencoded::Serializer;

/// Cards of Stripe's that localstripe knows.
const GOOD: &str = "4242424242424242";
const REFUSED: &str = "4000000000000341";
const TO_ACT: &str = "4000002500003155";

/// A running localstripe; it ends with this.
struct Judge {
    client: Client,
    address: SocketAddr,
    _process: Child,
}

impl Judge {
    /// `None` where it is not there; where it must be, that is a failure.
    async fn start() -> Option<Self> {
        let python = std::env::var_os("HAAT_LOCALSTRIPE").filter(|python| !python.is_empty());
        assert!(python.is_some() || std::env::var_os("HAAT_REQUIRE_LOCALSTRIPE").is_none(), "localstripe is not there");
        let free = free_address();
        let mut command = Command::new(python?);
        command.args(["-m", "localstripe", "--from-scratch", "--port", &free.port().to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let process = command.spawn().expect("Python runs");
        let answers = async {
            while tokio::net::TcpStream::connect(free).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), answers).await.expect("localstripe answers");
        Some(Self { client: Client::new(free), address: free, _process: process })
    }

    fn config(&self) -> StripeConfig {
        StripeConfig { key: KEY.into(), url: format!("http://{}", self.address), secrets: vec![SECRET.into()] }
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.request("POST", path).bearer(KEY);
        request.header("content-type", "application/x-www-form-urlencoded").raw(form).send().await
    }

    async fn list(&self, what: &str) -> Vec<Value> {
        let list = self.client.get(&format!("/v1/{what}")).bearer(KEY).send().await.expect(200);
        list.body["data"].as_array().expect("a list").clone()
    }

    /// A means of payment of this card, as a browser makes it.
    async fn card(&self, number: &str) -> String {
        let fields = [
            ("type", "card"),
            ("card[number]", number),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2030"),
            ("card[cvc]", "123"),
        ];
        self.post("/v1/payment_methods", &fields).await.expect(200).field("id").to_owned()
    }

    /// What a browser does with the secret of a payment.
    async fn acts(&self, waits: &Answer, well: bool) {
        let secret = waits.body["payment"]["next_action"]["client_secret"].as_str().expect("a secret");
        let (intent, _) = secret.split_once("_secret").expect("an intent");
        let success = if well { "true" } else { "false" };
        let path = format!("/v1/payment_intents/{intent}/_authenticate");
        self.post(&path, &[("client_secret", secret), ("success", success)]).await.expect(200);
    }

    /// Sends its notices there, each once for every name.
    async fn notices_to(&self, url: &str, names: usize) {
        for name in 0..names {
            self.post(&format!("/_config/webhooks/{name}"), &[("url", url), ("secret", SECRET)]).await.expect(200);
        }
    }

    /// How many intents stand so, by what they say of themselves.
    async fn standing(&self, status: &str) -> usize {
        self.list("payment_intents").await.iter().filter(|intent| intent["status"] == status).count()
    }
}

/// Every end that a payment can come to, each with one intent.
async fn every_end(shop: &Shop, judge: &Judge) {
    let pays = async |number: &str| {
        let buyer = shop.buyer().await;
        let answer = shop.check_out(&buyer, &judge.card(number).await).await.expect(201);
        (buyer, answer)
    };
    let (_, paid) = pays(GOOD).await;
    assert_eq!(paid.field("status"), "paid", "{}", paid.text);
    let (_, refused) = pays(REFUSED).await;
    assert_eq!(refused.field("status"), "payment_failed", "{}", refused.text);

    let (_, passes) = pays(TO_ACT).await;
    assert_eq!(passes.body["payment"]["status"], "requires_action", "{}", passes.text);
    judge.acts(&passes, true).await;
    shop.comes_to(passes.field("id"), "paid").await;
    let (_, fails) = pays(TO_ACT).await;
    judge.acts(&fails, false).await;
    shop.comes_to(fails.field("id"), "payment_failed").await;

    // Given up: by the buyer, who paid all the same, and by the buyer who did not.
    let cancels = async |buyer: Buyer, order: &Answer| {
        let path = format!("/v1/orders/{}/cancel", order.field("id"));
        shop.client().post(&path, &json!({})).bearer(&buyer.token).send().await
    };
    let (buyer, late) = pays(TO_ACT).await;
    judge.acts(&late, true).await;
    // A notice may have come first: then it is paid, and not to be cancelled.
    let asked = cancels(buyer, &late).await;
    let refunded = match asked.status {
        200 => {
            let ended = shop.comes_to(late.field("id"), "cancelled").await;
            assert_eq!(ended.body["payment"]["status"], "refunded", "{}", ended.text);
            1
        }
        _ => 0,
    };
    let (buyer, given_up) = pays(TO_ACT).await;
    cancels(buyer, &given_up).await.expect(200);
    shop.comes_to(given_up.field("id"), "cancelled").await;

    assert_eq!((judge.standing("succeeded").await, judge.standing("canceled").await), (3, 3));
    assert_eq!(judge.list("payment_intents").await.len(), 6, "one for each order");
    let refunds = judge.list("refunds").await;
    assert_eq!(refunds.len(), refunded, "{refunds:?}");
    assert!(refunds.iter().all(|refund| refund["amount"] == 1_000), "{refunds:?}");
    assert_eq!(shop.available().await, 48 - (1 - refunded as i64), "what was given back is there again");
}

type Kept = Arc<Mutex<Vec<(String, Bytes)>>>;

/// Keeps notices instead of hearing them.
async fn keep() -> (SocketAddr, Kept) {
    let kept = Kept::default();
    let hears = |State(kept): State<Kept>, headers: HeaderMap, body: Bytes| async move {
        let signature = headers.get("stripe-signature").and_then(|it| it.to_str().ok()).unwrap_or_default();
        kept.lock().expect("no panic").push((signature.to_owned(), body));
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().route("/", post(hears)).with_state(kept.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, kept)
}

async fn judged(store: &TestStore) -> Option<(Judge, Shop)> {
    let judge = Judge::start().await?;
    let shop = Shop::at(store, judge.config(), 600_000).await;
    Some((judge, shop))
}

on_both_stores! {
    async fn localstripe_agrees_without_notices(store) {
        let Some((judge, shop)) = judged(&store).await else { return };
        every_end(&shop, &judge).await;
        shop.stop().await;
    }

    async fn localstripe_agrees_with_its_notices_however_often_they_come(store) {
        for times in [1, 5] {
            let store = TestStore::new(store.kind).await;
            let Some((judge, shop)) = judged(&store).await else { return };
            judge.notices_to(&format!("http://{}/v1/notices/stripe", shop.client().address()), times).await;
            every_end(&shop, &judge).await;
            shop.stop().await;
        }
    }

    /// All notices come when everything is over, the last one first, five times each.
    async fn localstripe_agrees_with_its_notices_reversed(store) {
        let Some((judge, shop)) = judged(&store).await else { return };
        let (address, kept) = keep().await;
        judge.notices_to(&format!("http://{address}/"), 1).await;
        every_end(&shop, &judge).await;
        let count = async {
            // Three payments, and one that was refused.
            while kept.lock().expect("no panic").len() < 4 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), count).await.expect("notices");
        let notices = kept.lock().expect("no panic").clone();
        let orders = async || {
            let list = shop.client().get("/v1/orders?limit=50").bearer(shop.admin()).send().await.expect(200);
            list.body["items"].as_array().expect("orders").len()
        };
        let (before, intents) = (orders().await, judge.list("payment_intents").await);
        for (signature, body) in notices.iter().rev() {
            for _ in 0..5 {
                shop.notify_with(signature, str::from_utf8(body).expect("JSON")).await.expect(200);
            }
        }
        assert_eq!((orders().await, judge.list("payment_intents").await), (before, intents));
        assert_eq!(judge.list("refunds").await.len(), 1);
        shop.stop().await;
    }

    async fn localstripe_is_left_with_nothing_that_could_still_be_paid(store) {
        let Some(judge) = Judge::start().await else { return };
        let shop = Shop::at(&store, judge.config(), 3_000).await;
        let buyer = shop.buyer().await;
        let waits = shop.check_out(&buyer, &judge.card(TO_ACT).await).await.expect(201);
        shop.comes_to(waits.field("id"), "expired").await;
        assert_eq!(judge.standing("canceled").await, 1);
        shop.stop().await;
    }
}
