//! Disputes of payments by card, and refunds that a bank returns: with notices, and without any.

use super::shop::{LONG, Shop, now_s};
use crate::support::client::Answer;
use crate::support::stripe::{SECRET, signed};
use crate::{goodwill, on_both_stores, order_once};
use serde_json::{Value, json};

fn bdt(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

impl Shop {
    async fn said(&self, event: &str) {
        self.notify_with(&signed(SECRET, now_s(), event), event).await.expect(200);
    }

    async fn paid_order(&self) -> String {
        let paid = self.check_out(&self.buyer().await, "pm_ok").await.expect(201);
        assert_eq!(paid.field("status"), "paid");
        paid.field("id").to_owned()
    }

    async fn once(&self, order: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        order_once(self.client(), self.admin(), order, what, is_so).await
    }

    async fn refund(&self, order: &str, amount: &str) -> Answer {
        goodwill(self.client(), self.admin(), order, amount).await
    }
}

fn disputes_are(order: &Value, status: &str) -> bool {
    order["disputes"].as_array().is_some_and(|all| all.iter().all(|dispute| dispute["status"] == status))
}

on_both_stores! {
    /// A notice says that there is something: what it is, the provider is asked. While a bank decides nothing is given back.
    async fn a_dispute_stops_refunds_and_takes_what_it_takes_once(store) {
        let shop = Shop::open(&store).await;
        let order = shop.paid_order().await;
        let event = shop.double().dispute(1_000);
        for _ in 0..3 {
            shop.said(&event).await;
        }
        let open = shop.once(&order, "is disputed", |order| disputes_are(order, "open")).await;
        assert_eq!(open["payment"]["status"], "disputed");
        assert_eq!(open["disputes"], json!([{"id": "dp_1", "status": "open", "amount": bdt("10.00"), "reason": "product_not_received"}]));
        assert_eq!(open["attention"], json!(["dispute_open"]));
        assert_eq!(shop.refund(&order, "1.00").await.expect(409).code(), "payment_disputed");
        let cancel = shop.client().post(&format!("/v1/orders/{order}/cancel"), &json!({})).bearer(shop.admin());
        assert_eq!(cancel.send().await.expect(409).code(), "payment_disputed");

        let event = shop.double().close_dispute(false);
        for _ in 0..3 {
            shop.said(&event).await;
        }
        let lost = shop.once(&order, "is lost", |order| disputes_are(order, "lost")).await;
        assert_eq!(lost["payment"]["status"], "refunded");
        assert_eq!((&lost["refunded"], &lost["credited"], &lost["refund_due"]), (&bdt("10.00"), &bdt("10.00"), &bdt("0.00")));
        assert!(shop.double().refunds().is_empty() && lost.get("attention").is_none(), "{lost}");
        // Nothing is left to be given back, and the goods are not back.
        assert_eq!(shop.refund(&order, "0.01").await.expect(409).code(), "refund_exceeds_payment");
        let kinds = shop.timeline(&order).await;
        let told: Vec<&String> = kinds.iter().filter(|kind| kind.starts_with("dispute")).collect();
        assert_eq!(told, ["dispute_opened", "dispute_lost"]);
        assert_eq!((shop.available().await, shop.double().kept_money()), (49, 0));
        shop.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }

    /// No notice ever comes: the provider is asked what has changed.
    async fn without_notices_a_sweep_finds_disputes_and_returned_refunds(store) {
        let shop = Shop::open(&store).await;
        let (disputed, returned) = (shop.paid_order().await, shop.paid_order().await);
        shop.refund(&returned, "4.00").await.expect(201);
        let is = |status: &'static str| move |order: &Value| order["refunds"][0]["status"] == status;
        shop.once(&returned, "is refunded", is("succeeded")).await;
        let _ = shop.double().return_refund();
        // Of the newest intent, which is the other order's; the bank decides at once.
        let _ = (shop.double().dispute(600), shop.double().close_dispute(true));
        // A start asks at once what it has missed.
        let shop = shop.started_again(&store, LONG).await;
        let failed = shop.once(&returned, "fails late", is("failed")).await;
        assert_eq!((&failed["refunded"], &failed["refund_due"]), (&bdt("0.00"), &bdt("4.00")));
        assert_eq!(failed["attention"], json!(["refund_failed"]));
        let won = shop.once(&returned, "was disputed", |order| order["disputes"][0]["status"] == "won").await;
        assert_eq!(won["payment"]["status"], "captured");
        let untouched = shop.once(&disputed, "is there", |_| true).await;
        assert!(untouched.get("disputes").is_none(), "{untouched}");
        shop.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }
}
