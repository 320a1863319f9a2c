//! Orders that are paid at the door.

use crate::on_both_stores;
use crate::paid::{Paid, bdt};
use crate::support::client::{Buyer, Client, checkout_body};
use crate::support::{Server, TestStore, token};
use crate::until;
use haat::app::Hooks;
use haat::domain::ids::VendorId;
use haat::domain::money::{Currency, Money};
use haat::domain::who::VendorRole;
use haat::http::auth::Bearer;
use serde_json::{Value, json};

const PHONE: &str = "+8801712345678";

/// What a buyer gives who pays at the door.
fn at_the_door(phone: &str) -> Value {
    let mut body = checkout_body("none");
    body["shipping_address"]["phone"] = phone.into();
    body["payment"] = json!({"method": "cash_on_delivery"});
    body
}

async fn check_out(client: &Client, buyer: &Buyer, body: &Value) -> crate::support::client::Answer {
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    client.post(&path, body).bearer(&buyer.token).header("prefer", "wait=20").send().await
}

fn packer(vendor: &str) -> String {
    let vendor: VendorId = vendor.parse().expect("an id");
    token(&Bearer::Member(vendor, VendorRole::Packer))
}

/// An accepted order of three pieces of 20.20.
async fn confirmed(store: &TestStore) -> Paid {
    let server = Server::start(store).await;
    let admin = token(&Bearer::Admin("root".into()));
    let (vendor, sku) = server.client.shop(&admin, "20.20", 9).await;
    let buyer = server.client.buyer(&sku, 3).await;
    let order = check_out(&server.client, &buyer, &at_the_door(PHONE)).await.expect(201);
    assert_eq!((order.field("status"), &order.body["payment"]["status"]), ("confirmed", &json!("due_on_delivery")));
    let sub = order.body["sub_orders"][0]["id"].as_str().expect("an id").to_owned();
    let order = order.field("id").to_owned();
    Paid { server, buyer, vendor, sku, admin, order, sub }
}

impl Paid {
    async fn sent_out(&self, packer: &str) -> String {
        let made = self.post(packer, &self.of_share("shipments"), None, &json!({})).await.expect(201);
        let parcel = made.field("id").to_owned();
        self.post(packer, &self.of_share(&format!("shipments/{parcel}/hand-over")), None, &json!({})).await.expect(200);
        parcel
    }
}

on_both_stores! {
    /// Accepted without money, sent in one parcel, taken in part, paid in whole taka.
    async fn an_order_is_paid_at_the_door(store) {
        let order = confirmed(&store).await;
        let shown = order.shown().await;
        assert_eq!((&shown["total_due"], &shown["paid"]), (&bdt("60.60"), &bdt("0.00")));
        assert_eq!(shown["sub_orders"][0]["to_collect"], bdt("61.00"));
        let packer = packer(&order.vendor);
        let some = json!({"lines": [{"sku_id": order.sku, "quantity": 1}]});
        let refused = order.post(&packer, &order.of_share("shipments"), None, &some).await.expect(409);
        assert_eq!((refused.code(), &refused.body["why"]), ("not_fulfillable", &json!("cash_one_parcel")));
        let parcel = order.sent_out(&packer).await;
        let deliver = order.of_share(&format!("shipments/{parcel}/deliver"));
        for (body, status, code, why) in [
            (json!({}), 409, "not_fulfillable", json!("collected_missing")),
            (json!({"collected": {"amount": "61.00", "currency": "USD"}}), 422, "currency_mismatch", Value::Null),
            (json!({"collected": {"amount": "-1.00", "currency": "BDT"}}), 422, "invalid_body", Value::Null),
            (json!({"collected": {"amount": "61.001", "currency": "BDT"}}), 422, "invalid_body", Value::Null),
        ] {
            let refused = order.post(&packer, &deliver, None, &body).await;
            assert_eq!((refused.status, refused.code(), &refused.body["why"]), (status, code, &why), "{body}");
        }
        let taken = json!({"lines": [{"sku_id": order.sku, "quantity": 2}], "collected": {"amount": "40.00", "currency": "BDT"}});
        let delivered = order.post(&packer, &deliver, None, &taken).await.expect(200);
        assert_eq!((delivered.field("status"), &delivered.body["collected"]), ("delivered", &bdt("40.00")));
        order.post(&packer, &deliver, None, &taken).await.expect(200);
        let shown = order.shown().await;
        assert_eq!((&shown["paid"], &shown["rounding"], &shown["total_due"]), (&bdt("40.00"), &bdt("-0.40"), &bdt("0.00")));
        assert_eq!((&shown["credited"], &shown["refund_due"]), (&bdt("20.20"), &bdt("0.00")));
        assert_eq!((&shown["status"], &shown["payment"]["status"]), (&json!("completed"), &json!("collected")));
        let left = order.available().await;
        order.post(&packer, &order.of_share(&format!("shipments/{parcel}/returned")), None, &json!({})).await.expect(200);
        until("what was refused is back", async || (order.available().await == left + 1).then_some(())).await;
        until("the lists say so, too", async || {
            let listed = order.client().get("/v1/orders").bearer(&order.buyer.token).send().await.expect(200);
            (listed.body["items"][0]["rounding"] == bdt("-0.40")).then_some(())
        }).await;
        order.audit_is_clean(&store).await;
    }

    /// What is missing is written off; what was too much is given back by hand.
    async fn what_is_short_is_resolved_and_what_is_too_much_is_given_back(store) {
        let order = confirmed(&store).await;
        let packer = packer(&order.vendor);
        let parcel = order.sent_out(&packer).await;
        let deliver = order.of_share(&format!("shipments/{parcel}/deliver"));
        let short = json!({"collected": {"amount": "50.00", "currency": "BDT"}});
        order.post(&packer, &deliver, None, &short).await.expect(200);
        let shown = order.shown().await;
        assert_eq!((&shown["total_due"], &shown["attention"]), (&bdt("10.60"), &json!(["collection_mismatch"])));
        assert_eq!((&shown["stuck"]["why"], &shown["stuck"]["missing"]), (&json!("collection_mismatch"), &bdt("10.60")));
        until("it stands in the list", async || {
            let list = order.client().get("/v1/admin/orders/stuck").bearer(&order.admin).send().await.expect(200);
            list.body["items"].as_array().is_some_and(|items| items.iter().any(|item| item["id"] == *order.order)).then_some(())
        }).await;
        let path = format!("/v1/admin/orders/{}/resolve", order.order);
        let resolve = |body: Value| {
            let (client, path, admin) = (order.client(), path.clone(), order.admin.clone());
            async move { client.post(&path, &body).bearer(&admin).send().await }
        };
        let other = json!({"as": "paid", "note": "n", "amount": {"amount": "10.00", "currency": "BDT"}, "reference": "B-1"});
        assert_eq!(resolve(other).await.expect(422).code(), "amount_differs");
        let written = json!({"as": "write_off", "note": "the courier lost it"});
        resolve(written.clone()).await.expect(200);
        resolve(written).await.expect(200);
        let shown = order.shown().await;
        assert_eq!((&shown["total_due"], &shown["credited"], &shown["attention"]), (&bdt("0.00"), &bdt("10.60"), &Value::Null));

        let back = json!({"lines": [{"sku_id": order.sku, "quantity": 1}], "reason": "damaged"});
        let refund = order.post(&order.admin, &order.of_share("refunds"), None, &back).await.expect(201);
        assert_eq!(refund.field("status"), "requested");
        let shown = order.shown().await;
        assert_eq!(shown["attention"], json!(["refund_by_hand"]));
        let id = refund.field("id").to_owned();
        let paid = json!({"reference": "bKash 4711"});
        let marked = order.post(&order.admin, &format!("refunds/{id}/mark-paid"), None, &paid).await.expect(200);
        assert_eq!(marked.field("status"), "succeeded");
        let shown = order.shown().await;
        assert_eq!((&shown["refund_due"], &shown["payment"]["status"]), (&bdt("0.00"), &json!("partially_refunded")));
        order.audit_is_clean(&store).await;
    }

    /// A courier hands on what it collected: each row counts once, what does not fit is said, and what is open is listed.
    async fn what_a_courier_hands_on_is_matched(store) {
        let order = confirmed(&store).await;
        let packer = packer(&order.vendor);
        let body = json!({"courier": "steadfast", "tracking": "SF-1"});
        let made = order.post(&packer, &order.of_share("shipments"), None, &body).await.expect(201);
        let parcel = made.field("id").to_owned();
        let row = |of: Value, collected: &str, fee: &str, remitted: &str| {
            let mut row = json!({"collected": bdt(collected), "fee": bdt(fee), "remitted": bdt(remitted)});
            row.as_object_mut().expect("a row").extend(of.as_object().expect("a name").clone());
            row
        };
        let by_number = || json!({"tracking_number": "SF-1"});
        let client = order.client();
        let hand_on = |rows: Value| {
            let body = json!({"courier": "steadfast", "rows": rows});
            client.post("/v1/admin/remittances", &body).bearer(&order.admin).send()
        };
        // Nobody has brought it yet. Rows follow records by a while.
        until("its number is known", async || {
            let told = hand_on(json!([row(by_number(), "61.00", "1.00", "60.00")])).await.expect(200);
            (told.body["rows"][0]["status"] != "unknown").then_some(told.body["rows"][0].clone())
        }).await;
        let deliver = json!({"collected": bdt("61.00")});
        order.post(&packer, &order.of_share(&format!("shipments/{parcel}/deliver")), None, &deliver).await.expect(200);
        let reference = format!("{parcel}.{}.00000000", order.order);
        let usd = json!({"tracking_number": "SF-1", "collected": {"amount": "1.00", "currency": "USD"}, "remitted": {"amount": "1.00", "currency": "USD"}});
        let told = hand_on(json!([
            row(by_number(), "61.00", "1.00", "50.00"),
            row(by_number(), "61.00", "1.00", "50.00"),
            row(by_number(), "61.00", "1.00", "60.00"),
            // Nobody has booked it under this name.
            row(json!({"reference": reference}), "61.00", "1.00", "60.00"),
            row(json!({"tracking_number": "SF-2"}), "61.00", "1.00", "60.00"),
            row(json!({"reference": "nothing"}), "61.00", "1.00", "60.00"),
            usd,
        ])).await.expect(200);
        let rows = told.body["rows"].as_array().expect("rows");
        let said: Vec<(&str, Option<&str>)> = rows.iter().map(|row| (row["status"].as_str().expect("a status"), row["why"].as_str())).collect();
        let refused = |why| ("refused", Some(why));
        assert_eq!(said[2..], [refused("already_remitted"), ("unknown", None), ("unknown", None), ("unknown", None), refused("currency_mismatch")]);
        assert_eq!(said[..2], [("recorded", None), ("recorded", None)]);
        assert_eq!((&rows[0]["collected"], &rows[0]["open"]), (&bdt("61.00"), &bdt("10.00")));
        assert_eq!(order.shown().await["attention"], json!(["remittance_short"]));
        let listed = until("what is open is listed", async || {
            let listed = client.get("/v1/admin/remittances?courier=steadfast").bearer(&order.admin).send().await.expect(200);
            let open = listed.body["items"].as_array().is_some_and(|items| items.iter().any(|item| item["open"] == bdt("10.00")));
            open.then_some(listed.body)
        }).await;
        let item = &listed["items"][0];
        assert_eq!((&item["shipment_id"], &item["remitted"], &item["tracking_number"]), (&json!(parcel), &bdt("50.00"), &json!("SF-1")));
        let others = client.get("/v1/admin/remittances?courier=own").bearer(&order.admin).send().await.expect(200);
        assert_eq!(others.body["items"], json!([]));

        let empty = hand_on(json!([])).await.expect(422);
        assert_eq!(empty.code(), "invalid_body");
        let both = row(json!({"tracking_number": "SF-1", "reference": "x"}), "61.00", "1.00", "60.00");
        let two_currencies = json!({"tracking_number": "SF-1", "collected": bdt("1.00"), "remitted": {"amount": "1.00", "currency": "USD"}});
        for (rows, field) in [(json!([both]), "rows[0].reference"), (json!([two_currencies]), "rows[0].remitted.currency")] {
            let refused = hand_on(rows).await.expect(422);
            assert_eq!(refused.body["errors"][0]["field"], field);
        }
        let many: Vec<Value> = (0..501).map(|_| row(by_number(), "1.00", "0.00", "1.00")).collect();
        assert_eq!(hand_on(json!(many)).await.status, 422);
        let manager = token(&Bearer::Member(order.vendor.parse().expect("an id"), VendorRole::Owner));
        let body = json!({"courier": "steadfast", "rows": [row(by_number(), "61.00", "1.00", "60.00")]});
        let not_theirs = client.post("/v1/admin/remittances", &body).bearer(&manager).send().await;
        assert_eq!(not_theirs.status, 403);
        order.audit_is_clean(&store).await;
    }

    /// A guest may have three open, whatever their carts; each that ends makes room for another.
    async fn a_buyer_has_few_open_orders(store) {
        let first = confirmed(&store).await;
        let client = first.client();
        let mut open = vec![first.order.clone()];
        // The same number, as people write it.
        for phone in ["01712345678", "01712-345678"] {
            let buyer = client.buyer(&first.sku, 1).await;
            let order = check_out(client, &buyer, &at_the_door(phone)).await.expect(201);
            assert_eq!(order.field("status"), "confirmed");
            open.push(order.field("id").to_owned());
        }
        let late = client.buyer(&first.sku, 1).await;
        let refused = check_out(client, &late, &at_the_door(PHONE)).await.expect(409);
        assert_eq!((refused.code(), &refused.body["why"]), ("cod_not_available", &json!("open_orders")));
        // Somebody else may.
        let other = client.buyer(&first.sku, 1).await;
        check_out(client, &other, &at_the_door("+8801812345678")).await.expect(201);
        let path = format!("/v1/orders/{}/cancel", open[1]);
        let cancelled = client.post(&path, &json!({})).bearer(&first.admin).send().await.expect(200);
        assert_eq!((cancelled.field("status"), &cancelled.body["payment"]["status"]), ("cancelled", &json!("voided")));
        assert_eq!(cancelled.body["refunds"].as_array().map_or(0, Vec::len), 0);
        until("one more may be open", async || {
            let again = client.buyer(&first.sku, 1).await;
            (check_out(client, &again, &at_the_door(PHONE)).await.status == 201).then_some(())
        }).await;
        first.audit_is_clean(&store).await;
    }

    /// The quote says it as the checkout does, and before that nothing is held. What comes to no more is taken, and what is paid before has no maximum.
    async fn an_order_may_not_come_to_more_than_the_shop_takes_at_the_door(store) {
        let mut config = store.server();
        config.node.cash_maximum = vec![Money::new(1, "USD".parse().unwrap()), Money::new(4_040, Currency::BDT)].into();
        let server = Server::start_with(config, Hooks::default()).await;
        let (client, admin) = (&server.client, token(&Bearer::Admin("root".into())));
        let (vendor, sku) = client.shop(&admin, "20.20", 9).await;
        let quote = async |buyer: &Buyer, method: Value| {
            let mut body = json!({"shipping_address": at_the_door(PHONE)["shipping_address"]});
            body["payment_method"] = method;
            client.post(&format!("/v1/carts/{}/quote", buyer.cart), &body).bearer(&buyer.token).send().await
        };
        let buyer = client.buyer(&sku, 3).await;
        let quoted = quote(&buyer, json!("cash_on_delivery")).await.expect(409);
        let refused = check_out(client, &buyer, &at_the_door(PHONE)).await.expect(409);
        for told in [&quoted, &refused] {
            assert_eq!((told.code(), &told.body["why"]), ("cod_not_available", &json!("amount")));
            assert_eq!(told.body["maximum"], bdt("40.40"));
        }
        let available = async || client.get(&format!("/v1/vendors/{vendor}/skus/{sku}")).bearer(&admin).send().await.expect(200).body["available"].clone();
        until("all of it is there again", async || (available().await == json!(9)).then_some(())).await;
        for method in [json!("sandbox"), Value::Null] {
            assert_eq!(quote(&buyer, method).await.expect(200).body["total"], bdt("60.60"));
        }
        check_out(client, &buyer, &checkout_body("tok_approve")).await.expect(201);
        let buyer = client.buyer(&sku, 2).await;
        assert_eq!(quote(&buyer, json!("cash_on_delivery")).await.expect(200).body["total"], bdt("40.40"));
        let order = check_out(client, &buyer, &at_the_door(PHONE)).await.expect(201);
        assert_eq!(order.field("status"), "confirmed");
        server.stop().await;
    }

    /// Who brings it must be able to call; and who pays otherwise needs a means of payment.
    async fn what_a_buyer_must_give_is_said(store) {
        let server = Server::start(&store).await;
        let market = server.client.market(9).await;
        let mut none = at_the_door(PHONE);
        none["shipping_address"].as_object_mut().expect("an address").remove("phone");
        let mut by_card = at_the_door(PHONE);
        by_card["payment"]["method"] = "sandbox".into();
        for (body, field) in [
            (none, "shipping_address.phone"),
            (at_the_door("12"), "shipping_address.phone"),
            (at_the_door("nobody"), "shipping_address.phone"),
            (by_card, "payment.token"),
        ] {
            let refused = check_out(&server.client, &market.buyer, &body).await.expect(422);
            assert_eq!((refused.code(), &refused.body["errors"][0]["field"]), ("invalid_body", &json!(field)), "{body}");
        }
        check_out(&server.client, &market.buyer, &at_the_door("০১৭১২৩৪৫৬৭৮")).await.expect(201);
        server.stop().await;
    }
}
