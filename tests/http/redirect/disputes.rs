//! Disputes of payments that were made on the pages of a platform, and refunds that a bank returns: with notices, and without any.

use super::shop::{LONG, Shop, now_s};
use crate::support::TestStore;
use crate::support::client::Answer;
use crate::support::redirect::{SECRET, signed};
use crate::{goodwill, on_both_stores, order_once};
use haat::app::audit::audit;
use serde_json::{Value, json};

fn bdt(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

impl Shop {
    async fn said(&self, event: &str) {
        self.notify_with(&signed(SECRET, now_s(), event), event).await.expect(200);
    }

    /// The buyer pays, and comes back.
    async fn paid_order(&self) -> String {
        let order = self.check_out(&self.buyer().await, "ok").await.expect(201).field("id").to_owned();
        self.platform.acts(true);
        self.come_back(&format!("?order={order}")).await.expect(200);
        self.comes_to(&order, "paid").await;
        order
    }

    async fn once(&self, order: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        order_once(self.client(), &self.admin, order, what, is_so).await
    }

    async fn refund(&self, order: &str, amount: &str) -> Answer {
        goodwill(self.client(), &self.admin, order, amount).await
    }

    async fn timeline(&self, order: &str) -> Vec<String> {
        let path = format!("/v1/orders/{order}/timeline");
        let said = self.client().get(&path).bearer(&self.admin).send().await.expect(200);
        let items = said.body["items"].as_array().expect("items");
        items.iter().map(|item| item["type"].as_str().expect("a type").to_owned()).collect()
    }

    /// Nothing is amiss in what the shop leaves.
    async fn ends_well(self, store: &TestStore) {
        self.server.stop().await;
        let report = audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }
}

fn disputes_are(order: &Value, status: &str) -> bool {
    order["disputes"].as_array().is_some_and(|all| all.iter().all(|dispute| dispute["status"] == status))
}

on_both_stores! {
    /// A notice says that there is something: what it is, the platform is asked. While a bank decides nothing is given back.
    async fn a_dispute_at_a_platform_takes_what_it_takes_once(store) {
        let shop = Shop::open(&store).await;
        let order = shop.paid_order().await;
        let event = shop.platform.dispute(1_000);
        for _ in 0..3 {
            shop.said(&event).await;
        }
        let open = shop.once(&order, "is disputed", |order| disputes_are(order, "open")).await;
        assert_eq!(open["payment"]["status"], "disputed");
        assert_eq!(open["disputes"], json!([{"id": "dp_1", "status": "open", "amount": bdt("10.00"), "reason": "product_not_received"}]));
        assert_eq!(open["attention"], json!(["dispute_open"]));
        assert_eq!(shop.refund(&order, "1.00").await.expect(409).code(), "payment_disputed");
        let event = shop.platform.close_dispute(false);
        for _ in 0..3 {
            shop.said(&event).await;
        }
        let lost = shop.once(&order, "is lost", |order| disputes_are(order, "lost")).await;
        assert_eq!(lost["payment"]["status"], "refunded");
        assert_eq!((&lost["refunded"], &lost["credited"], &lost["refund_due"]), (&bdt("10.00"), &bdt("10.00"), &bdt("0.00")));
        assert!(shop.platform.refunds().is_empty() && lost.get("attention").is_none(), "{lost}");
        assert_eq!(shop.refund(&order, "0.01").await.expect(409).code(), "refund_exceeds_payment");
        let kinds = shop.timeline(&order).await;
        let told: Vec<&String> = kinds.iter().filter(|kind| kind.starts_with("dispute")).collect();
        assert_eq!(told, ["dispute_opened", "dispute_lost"]);
        assert_eq!((shop.available().await, shop.platform.kept_money()), (49, 0));
        shop.ends_well(&store).await;
    }

    /// A bank returns what was given back, and the platform says so. What is owed again is given once more, when someone says so.
    async fn a_refund_that_fails_late_at_a_platform_is_owed_again(store) {
        let shop = Shop::open(&store).await;
        let order = shop.paid_order().await;
        let refund = shop.refund(&order, "4.00").await.expect(201).field("id").to_owned();
        let is = |status: &'static str| move |order: &Value| order["refunds"][0]["status"] == status;
        shop.once(&order, "is refunded", is("succeeded")).await;
        let event = shop.platform.return_refund();
        for _ in 0..3 {
            shop.said(&event).await;
        }
        let failed = shop.once(&order, "fails late", is("failed")).await;
        assert_eq!((&failed["refunded"], &failed["refund_due"]), (&bdt("0.00"), &bdt("4.00")));
        assert_eq!(failed["attention"], json!(["refund_failed"]));
        let path = format!("/v1/orders/{order}/refunds/{refund}/retry");
        shop.client().post(&path, &json!({})).bearer(&shop.admin).send().await.expect(200);
        let again = shop.once(&order, "is refunded again", is("succeeded")).await;
        assert_eq!((&again["refunded"], &again["refund_due"]), (&bdt("4.00"), &bdt("0.00")));
        assert_eq!(shop.platform.refunds(), [("failed", 400), ("succeeded", 400)]);
        assert_eq!(shop.platform.kept_money(), 600);
        shop.ends_well(&store).await;
    }

    /// No notice ever comes: the platform is asked what has changed, page by page.
    async fn without_notices_a_sweep_finds_what_a_platform_has_changed(store) {
        let shop = Shop::open(&store).await;
        let disputed = shop.paid_order().await;
        let _ = (shop.platform.dispute(1_000), shop.platform.close_dispute(false));
        let untouched = shop.paid_order().await;
        let returned = shop.paid_order().await;
        shop.refund(&returned, "4.00").await.expect(201);
        let is = |status: &'static str| move |order: &Value| order["refunds"][0]["status"] == status;
        shop.once(&returned, "is refunded", is("succeeded")).await;
        let _ = shop.platform.return_refund();
        let _ = (shop.platform.dispute(600), shop.platform.close_dispute(true));
        // A start asks at once what it has missed.
        let shop = shop.started_again(&store, LONG).await;
        let failed = shop.once(&returned, "fails late", is("failed")).await;
        assert_eq!((&failed["refunded"], &failed["refund_due"]), (&bdt("0.00"), &bdt("4.00")));
        assert_eq!(failed["attention"], json!(["refund_failed"]));
        let won = shop.once(&returned, "was disputed", |order| disputes_are(order, "won")).await;
        assert_eq!(won["payment"]["status"], "captured");
        let lost = shop.once(&disputed, "is lost", |order| disputes_are(order, "lost")).await;
        assert_eq!((&lost["payment"]["status"], &lost["refunded"]), (&json!("refunded"), &bdt("10.00")));
        assert!(shop.client().order(&shop.admin, &untouched).await.expect(200).body.get("disputes").is_none());
        let pages: Vec<String> = shop.platform.calls().into_iter().filter(|call| call.path == "/changes").map(|call| call.query).collect();
        assert!(pages.iter().any(|query| query.ends_with("&after=c_4")), "{pages:?}");
        shop.ends_well(&store).await;
    }
}
