//! On what terms a SKU is sold: price breaks, quantities, and for whom.

use crate::on_both_stores;
use crate::support::client::{Answer, Buyer, Client};
use crate::support::{Server, fresh_uuid, token};
use haat::domain::ids::CustomerId;
use haat::domain::who::Permission;
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
            (json!({"break_scope": null}), "invalid_body", ""),
            (json!({"price_breaks": [{"min_quantity": 1, "price": taka("9.00"), "audience": 5}]}), "invalid_body", ""),
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

    /// A cart costs what its pieces come to, tells the next price break, and is bought at what it showed; who is no wholesale buyer sees none of
    /// their rungs.
    async fn more_pieces_cost_less(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let goods = Goods::new(client, 100).await;
        let breaks = json!([
            {"min_quantity": 10, "price": taka("90.00")},
            {"min_quantity": 20, "price": taka("80.01")},
            {"min_quantity": 2, "price": taka("50.00"), "audience": "wholesale"},
        ]);
        goods.patch(&json!({"price_breaks": breaks, "wholesale": {"min_quantity": 2}})).await.expect(200);
        let shown = client.get(&format!("/v1/skus/{}", goods.sku)).send().await.expect(200);
        let everybodys = json!([breaks[0], breaks[1]]);
        assert_eq!((&shown.body["price_breaks"], &shown.body["break_scope"]), (&everybodys, &json!("sku")), "{}", shown.text);
        assert!(!shown.text.contains("wholesale") && shown.body.get("min_quantity").is_none(), "{}", shown.text);
        let buyer = client.buyer(&goods.sku, 9).await;
        let line = |answer: &Answer| answer.body["lines"][0].clone();
        let look = async || client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await.expect(200);
        let first = line(&look().await);
        assert_eq!((&first["unit_price"], &first["next_break"]), (&taka("100.00"), &json!({"at": 10, "price": taka("90.00")})));
        let ten = line(&client.set_line(&buyer, &goods.sku, 10).await.expect(200));
        assert_eq!((&ten["unit_price"], &ten["line_total"]), (&taka("90.00"), &taka("900.00")));
        assert_eq!(ten["next_break"], json!({"at": 20, "price": taka("80.01")}));
        let twenty = client.set_line(&buyer, &goods.sku, 21).await.expect(200);
        assert_eq!((&line(&twenty)["unit_price"], line(&twenty).get("next_break")), (&taka("80.01"), None));
        assert_eq!(look().await.body["changed"], json!([]));
        // Another ladder is another price, which is shown and has not been agreed to.
        goods.patch(&json!({"price_breaks": [breaks[0]]})).await.expect(200);
        let now = look().await;
        let changed = json!([{"sku_id": goods.sku, "from": taka("80.01"), "to": taka("90.00")}]);
        assert_eq!((&line(&now)["unit_price"], &now.body["changed"]), (&taka("90.00"), &changed));
        let refused = client.checkout(&buyer, "tok_approve").send().await.expect(409);
        assert_eq!((refused.code(), &refused.body["actual_total"]), ("price_changed", &taka("1890.00")), "{}", refused.text);
        client.set_line(&buyer, &goods.sku, 20).await.expect(200);
        let order = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!((&order.body["status"], &order.body["total"]), (&json!("paid"), &taka("1800.00")), "{}", order.text);
        assert_eq!(order.body["lines"][0]["unit_price"], taka("90.00"));
        server.stop().await;
    }

    /// Pieces of one product count together where its vendor says so.
    async fn colours_of_one_product_count_together(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let vendor = client.post("/v1/vendors", &json!({"name": "Nakshi"})).bearer(&admin).send().await.expect(201);
        let vendor = vendor.field("id").to_owned();
        let sku = |code: &str| json!({"code": code, "price": taka("10.00"), "on_hand": 50});
        let body = json!({"title": "Cup", "skus": [sku("RED"), sku("BLUE")]});
        let product = client.post(&format!("/v1/vendors/{vendor}/products"), &body).bearer(&admin).send().await.expect(201);
        let [red, blue] = [0, 1].map(|number| product.body["skus"][number]["id"].as_str().expect("an id").to_owned());
        for sku in [&red, &blue] {
            let terms = json!({"price_breaks": [{"min_quantity": 10, "price": taka("8.00")}], "break_scope": "product"});
            let path = format!("/v1/vendors/{vendor}/skus/{sku}");
            client.request("PATCH", &path).json(&terms).bearer(&admin).send().await.expect(200);
        }
        let buyer = client.buyer(&red, 6).await;
        let prices = |answer: &Answer| {
            let lines = answer.body["lines"].as_array().expect("lines").iter();
            lines.map(|line| line["unit_price"]["amount"].as_str().expect("an amount").to_owned()).collect::<Vec<_>>()
        };
        let three = client.set_line(&buyer, &blue, 3).await.expect(200);
        assert_eq!(prices(&three), ["10.00", "10.00"]);
        assert_eq!(three.body["lines"][0]["next_break"], json!({"at": 10, "price": taka("8.00")}));
        let four = client.set_line(&buyer, &blue, 4).await.expect(200);
        assert_eq!((prices(&four), &four.body["subtotal"]), (vec!["8.00".to_owned(), "8.00".to_owned()], &taka("80.00")));
        let order = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!((&order.body["status"], &order.body["total"]), (&json!("paid"), &taka("80.00")), "{}", order.text);
        server.stop().await;
    }

    /// The step and the maximum when a line is put, the minimum when it is bought, and all of them again when they changed since.
    async fn quantities_are_kept_to(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let goods = Goods::new(client, 100).await;
        goods.patch(&json!({"min_quantity": 12, "quantity_step": 6, "max_quantity": 24})).await.expect(200);
        let shown = client.get(&format!("/v1/skus/{}", goods.sku)).send().await.expect(200);
        assert_eq!((&shown.body["min_quantity"], &shown.body["quantity_step"]), (&json!(12), &json!(6)), "{}", shown.text);
        assert_eq!(shown.body["max_quantity"], 24);
        let buyer = client.buyer(&goods.sku, 6).await;
        for (quantity, code) in [(5, "quantity_step"), (25, "quantity_step"), (30, "quantity_out_of_range")] {
            let refused = client.set_line(&buyer, &goods.sku, quantity).await.expect(422);
            assert_eq!((refused.code(), &refused.body["errors"][0]["field"]), (code, &json!("quantity")), "{}", refused.text);
        }
        let refused = client.checkout(&buyer, "tok_approve").send().await.expect(409);
        let told = (refused.code(), &refused.body["minimum_quantity"], &refused.body["sku_id"]);
        assert_eq!(told, ("below_minimum", &json!(12), &json!(goods.sku)), "{}", refused.text);
        client.set_line(&buyer, &goods.sku, 18).await.expect(200);
        for (change, code, member, value) in [
            (json!({"quantity_step": 4}), "quantity_step", "quantity_step", 4),
            (json!({"quantity_step": 6, "max_quantity": 12}), "quantity_out_of_range", "max_quantity", 12),
        ] {
            goods.patch(&change).await.expect(200);
            let refused = client.checkout(&buyer, "tok_approve").send().await.expect(422);
            assert_eq!((refused.code(), &refused.body[member]), (code, &json!(value)), "{}", refused.text);
        }
        goods.patch(&json!({"max_quantity": null})).await.expect(200);
        let order = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!(order.body["status"], "paid", "{}", order.text);
        server.stop().await;
    }

    /// Staff say that a customer is a wholesale buyer: from then on they see and pay those prices, also after a restart, and what was
    /// placed before keeps its own.
    async fn a_wholesale_buyer_sees_and_pays_their_own_prices(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let goods = Goods::new(client, 100).await;
        let breaks = json!([
            {"min_quantity": 10, "price": taka("90.00")},
            {"min_quantity": 5, "price": taka("60.00"), "audience": "wholesale"},
        ]);
        let rules = json!({"min_quantity": 5, "quantity_step": 5});
        goods.patch(&json!({"price_breaks": breaks, "wholesale": rules, "max_quantity": 20})).await.expect(200);
        let fina = client.signed_up(&goods.admin, "fina@example.com", "nine boats on the Jamuna").await;
        let bearer = fina.field("access_token").to_owned();
        let customer = fina.body["account"]["customer_id"].as_str().expect("a customer").to_owned();
        let path = format!("/v1/admin/customers/{customer}");
        let staff = token(&Bearer::Staff("rina".into(), [Permission::CustomersEdit].into_iter().collect()));
        let edit = async |client: Client, body: Value| client.request("PATCH", &path).json(&body).bearer(&staff).send().await;
        let shown = client.get(&path).bearer(&staff).send().await.expect(200);
        assert_eq!(shown.body, json!({"id": customer, "group": "retail"}));
        let cart = client.post("/v1/carts", &json!({})).bearer(&bearer).send().await.expect(201);
        let buyer = Buyer { cart: cart.field("id").to_owned(), token: bearer.clone() };
        let ten = client.set_line(&buyer, &goods.sku, 10).await.expect(200);
        assert_eq!(ten.body["subtotal"], taka("900.00"));
        for (body, code) in [
            (json!({"group": "gold"}), "invalid_body"),
            (json!({"group": null}), "invalid_body"),
            (json!({"tax_id": ""}), "invalid_body"),
            (json!({"tax_id": "1".repeat(41)}), "invalid_body"),
        ] {
            let refused = edit(client, body.clone()).await.expect(422);
            assert_eq!(refused.code(), code, "{body}");
        }
        let nobody = format!("/v1/admin/customers/{}", CustomerId::from_uuid(fresh_uuid()));
        let unknown = client.request("PATCH", &nobody).json(&json!({"group": "wholesale"})).bearer(&staff).send().await.expect(404);
        assert_eq!(unknown.code(), "customer_unknown");
        let wholesale = edit(client, json!({"group": "wholesale", "tax_id": "BIN 1"})).await.expect(200);
        assert_eq!(wholesale.body, json!({"id": customer, "group": "wholesale", "tax_id": "BIN 1"}));
        assert_eq!(edit(client, json!({})).await.expect(200).body, wholesale.body);
        // Their own rungs and quantities, and everybody's where they have none. Others see what they saw.
        let sku = format!("/v1/skus/{}", goods.sku);
        let own = client.get(&sku).bearer(&bearer).send().await.expect(200);
        assert_eq!((&own.body["price_breaks"], &own.body["quantity_step"], &own.body["max_quantity"]), (&breaks, &json!(5), &json!(20)), "{}", own.text);
        let guests = client.get(&sku).send().await.expect(200);
        assert_eq!((&guests.body["price_breaks"], guests.body.get("quantity_step")), (&json!([breaks[0]]), None), "{}", guests.text);
        let shown = client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&bearer).send().await.expect(200);
        assert_eq!(shown.body["lines"][0]["unit_price"], taka("60.00"), "{}", shown.text);
        let refused = client.set_line(&buyer, &goods.sku, 7).await.expect(422);
        assert_eq!(refused.code(), "quantity_step");
        client.set_line(&buyer, &goods.sku, 5).await.expect(200);
        let order = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!((&order.body["status"], &order.body["total"]), (&json!("paid"), &taka("300.00")), "{}", order.text);
        // Nobody asks for the customer before the catalogue is asked: what it knows comes from the rows.
        let prices = async |client: Client| {
            let own = client.get(&sku).bearer(&bearer).send().await.expect(200);
            own.body["price_breaks"].as_array().map(Vec::len)
        };
        server.stop().await;
        let server = Server::start(&store).await;
        assert_eq!(prices(server.client).await, Some(2));
        let retail = edit(server.client, json!({"group": "retail", "tax_id": null})).await.expect(200);
        assert_eq!(retail.body, json!({"id": customer, "group": "retail"}));
        assert_eq!(prices(server.client).await, Some(1));
        server.stop().await;
        let server = Server::start(&store).await;
        assert_eq!(prices(server.client).await, Some(1));
        let old = server.client.order(&bearer, order.field("id")).await.expect(200);
        assert_eq!(old.body["total"], taka("300.00"));
        server.stop().await;
    }
}
