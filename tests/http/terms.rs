//! On what terms a SKU is sold: price breaks, quantities, and for whom.

use crate::on_both_stores;
use crate::support::client::{Answer, Client};
use crate::support::{Server, token};
use haat::http::auth::Bearer;
use serde_json::{Value, json};

fn taka(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

/// A SKU of a vendor, whom an administrator stands for.
struct Goods {
    client: Client,
    admin: String,
    vendor: String,
    sku: String,
}

impl Goods {
    /// At a list price of 100.00, with `on_hand` pieces.
    async fn new(client: Client, on_hand: i64) -> Self {
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "100.00", on_hand).await;
        Self { client, admin, vendor, sku }
    }

    fn path(&self) -> String {
        format!("/v1/vendors/{}/skus/{}", self.vendor, self.sku)
    }

    async fn patch(&self, body: &Value) -> Answer {
        self.client.request("PATCH", &self.path()).json(body).bearer(&self.admin).send().await
    }

    async fn shown(&self) -> Value {
        self.client.get(&self.path()).bearer(&self.admin).send().await.expect(200).body
    }
}

on_both_stores! {
    /// Terms are set, changed one by one and taken away; what is refused changes nothing, and all of them outlast a restart.
    async fn a_sku_has_terms(store) {
        let server = Server::start(&store).await;
        let goods = Goods::new(server.client, 50).await;
        let plain = goods.shown().await;
        let terms = json!({
            "price": taka("99.00"),
            "price_breaks": [
                {"min_quantity": 50, "price": taka("70.00"), "audience": "wholesale"},
                {"min_quantity": 20, "price": taka("80.00")},
                {"min_quantity": 10, "price": taka("90.00")},
            ],
            "break_scope": "product", "min_quantity": 2, "quantity_step": 2, "max_quantity": 40,
            "wholesale": {"min_quantity": 20, "max_quantity": 1000},
            "weight_grams": 350, "tax_category": "reduced", "shipping_class": "bulky",
        });
        let set = goods.patch(&terms).await.expect(200).body;
        for (field, value) in terms.as_object().expect("an object") {
            let mut value = value.clone();
            if field == "price_breaks" {
                value.as_array_mut().expect("a list").reverse();
            }
            assert_eq!(set[field], value, "{field}");
        }
        assert_eq!(goods.patch(&json!({})).await.expect(200).body, set);
        for (body, code, field) in [
            (json!({"price": null}), "invalid_body", ""),
            (json!({"price_breaks": null}), "invalid_body", ""),
            (json!({"break_scope": "vendor"}), "invalid_body", ""),
            (json!({"wholesale": {"step": 2}}), "invalid_body", ""),
            (json!({"weight_grams": -1}), "invalid_body", "weight_grams"),
            (json!({"tax_category": ""}), "invalid_body", "tax_category"),
            (json!({"price_breaks": [{"min_quantity": 1, "price": {"amount": "1", "currency": "BDT"}}]}), "invalid_body", "price_breaks[0].price.amount"),
            (json!({"price_breaks": [{"min_quantity": 1, "price": taka("0.00")}]}), "price_out_of_range", "price_breaks[0].price"),
            (json!({"price_breaks": [{"min_quantity": 1, "price": {"amount": "1", "currency": "JPY"}}]}), "currency_mismatch", "price_breaks"),
            (json!({"price": taka("1.00"), "price_breaks": [{"min_quantity": 1, "price": {"amount": "1", "currency": "JPY"}}]}), "currency_mismatch", ""),
            (json!({"price_breaks": [{"min_quantity": 1, "price": taka("9.00")}, {"min_quantity": 2, "price": taka("9.00")}]}), "price_break_order", "price_breaks[1]"),
            (json!({"min_quantity": 3}), "quantity_rule_invalid", "min_quantity"),
            (json!({"wholesale": {"max_quantity": 21}}), "quantity_rule_invalid", "wholesale"),
        ] {
            let refused = goods.patch(&body).await.expect(422);
            assert_eq!(refused.code(), code, "{body}: {}", refused.text);
            if !field.is_empty() {
                assert_eq!(refused.body["errors"][0]["field"], field, "{body}: {}", refused.text);
            }
        }
        assert_eq!(goods.shown().await, set, "what is refused changes nothing");
        // From the snapshot and its rows, as after an orderly stop.
        server.stop().await;
        let server = Server::start(&store).await;
        let goods = Goods { client: server.client, ..goods };
        assert_eq!(goods.shown().await, set);
        let lighter = goods.patch(&json!({"weight_grams": 300})).await.expect(200).body;
        assert_eq!(lighter["weight_grams"], 300);
        let nothing = json!({
            "price": taka("100.00"), "price_breaks": [], "break_scope": "sku", "min_quantity": null, "quantity_step": null,
            "max_quantity": null, "wholesale": null, "weight_grams": null, "tax_category": null, "shipping_class": null,
        });
        assert_eq!(goods.patch(&nothing).await.expect(200).body, plain);
        server.stop().await;
    }
}
