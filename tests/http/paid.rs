//! A paid order, for whoever tests what becomes of one.

use crate::support::client::{Answer, Buyer, Client};
use crate::support::{Server, TestStore};
use crate::until;
use serde_json::{Value, json};

pub fn bdt(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

/// A paid order of five pieces of 10.00.
pub struct Paid {
    pub server: Server,
    pub buyer: Buyer,
    pub vendor: String,
    pub sku: String,
    pub admin: String,
    pub order: String,
    pub sub: String,
}

impl Paid {
    pub async fn with(store: &TestStore, means: &str) -> Self {
        Self::on(Server::start(store).await, means).await
    }

    /// On a server that was started otherwise.
    pub async fn on(server: Server, means: &str) -> Self {
        let market = server.client.market(9).await;
        server.client.set_line(&market.buyer, &market.sku, 5).await.expect(200);
        let order = server.client.checkout(&market.buyer, means).header("prefer", "wait=20").send().await.expect(201);
        assert_eq!(order.field("status"), "paid");
        let sub = order.body["sub_orders"][0]["id"].as_str().expect("an id").to_owned();
        let (order, vendor, sku) = (order.field("id").to_owned(), market.vendor, market.sku);
        let paid = Self { server, buyer: market.buyer, vendor, sku, admin: market.admin, order, sub };
        // Shown as paid is one whose stock may not have heard so: nothing is given back before.
        until("it is settled", async || {
            let body = json!({"amount": bdt("1.00"), "reason": "goodwill"});
            let preview = paid.post(&paid.admin, &paid.of_share("refund-preview"), None, &body).await;
            (!preview.text.contains("payment_in_progress")).then_some(())
        })
        .await;
        paid
    }

    pub fn client(&self) -> &Client {
        &self.server.client
    }

    pub async fn post(&self, bearer: &str, what: &str, key: Option<&str>, body: &Value) -> Answer {
        let path = format!("/v1/orders/{}/{what}", self.order);
        let mut request = self.client().post(&path, body).bearer(bearer);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        request.send().await
    }

    pub fn of_share(&self, what: &str) -> String {
        format!("sub-orders/{}/{what}", self.sub)
    }

    pub async fn shown(&self) -> Value {
        self.client().order(&self.admin, &self.order).await.expect(200).body
    }

    /// The order once all its refunds stand so.
    pub async fn refunds_are(&self, status: &str) -> Value {
        until(status, async || {
            let order = self.shown().await;
            let refunds = order["refunds"].as_array().expect("refunds");
            refunds.iter().all(|refund| refund["status"] == status).then_some(order.clone())
        })
        .await
    }

    pub async fn available(&self) -> i64 {
        let path = format!("/v1/vendors/{}/skus/{}", self.vendor, self.sku);
        let sku = self.client().get(&path).bearer(&self.admin).send().await.expect(200);
        sku.body["available"].as_i64().expect("a number")
    }

    pub async fn audit_is_clean(self, store: &TestStore) {
        self.server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }
}
