//! Delivery slots: set by a vendor, seen by anyone, chosen at checkout.

use crate::on_both_stores;
use crate::support::client::{Answer, Buyer, Client, checkout_body};
use crate::support::{Server, token};
use crate::until;
use haat::domain::ids::VendorId;
use haat::domain::who::VendorRole;
use haat::http::auth::Bearer;
use serde_json::{Value, json};

fn plan_path(vendor: &str) -> String {
    format!("/v1/vendors/{vendor}/delivery-plan")
}

async fn put(client: &Client, bearer: &str, vendor: &str, version: Option<&str>, body: &Value) -> Answer {
    let request = client.request("PUT", &plan_path(vendor)).json(body).bearer(bearer);
    match version {
        Some(version) => request.header("if-match", version).send().await,
        None => request.send().await,
    }
}

/// Every day from ten to twelve, for so many orders.
fn plan(capacity: i64) -> Value {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let window = |day: &str| json!({"weekday": day, "from": "10:00", "to": "12:00", "capacity": capacity});
    json!({"zone": "Asia/Dhaka", "days": days.map(window), "days_ahead": 5})
}

/// The slots that can be ordered for, as anyone sees them.
async fn slots(client: &Client, vendor: &str) -> Vec<Value> {
    let shown = client.get(&format!("/v1/vendors/{vendor}/delivery-slots")).send().await.expect(200);
    shown.body["items"].as_array().expect("a list").clone()
}

async fn left(client: &Client, vendor: &str, id: &str) -> i64 {
    let slots = slots(client, vendor).await;
    let found = slots.iter().find(|slot| slot["id"] == id).unwrap_or_else(|| panic!("{id} in {slots:?}"));
    found["left"].as_i64().expect("a number")
}

async fn check_out(client: &Client, buyer: &Buyer, vendor: &str, slot: &str, means: &str) -> Answer {
    let mut body = checkout_body(means);
    body["delivery_slot"] = json!({vendor: slot});
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    client.post(&path, &body).bearer(&buyer.token).header("prefer", "wait=20").send().await
}

on_both_stores! {
    /// A plan is written over the version that was read, by whoever may edit what the vendor sells, and shown as it was written.
    async fn a_vendor_sets_when_it_delivers(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, _) = client.shop(&admin, "10.00", 9).await;
        let member = |role| token(&Bearer::Member(vendor.parse::<VendorId>().expect("an id"), role));
        let manager = member(VendorRole::Manager);
        let get = async |bearer: &str| client.get(&plan_path(&vendor)).bearer(bearer).send().await;
        let none = get(&manager).await.expect(200);
        assert_eq!((&none.body, none.header("etag")), (&json!({"version": 0, "days": [], "closed": []}), Some("\"0\"")));
        assert!(slots(&client, &vendor).await.is_empty());
        let mut wanted = plan(2);
        wanted["closed"] = json!(["2031-12-16", "2031-03-26", "2031-12-16"]);
        assert_eq!(put(&client, &manager, &vendor, None, &wanted).await.expect(428).code(), "precondition_required");
        let set = put(&client, &manager, &vendor, Some("\"0\""), &wanted).await.expect(200);
        assert_eq!((set.body["version"].as_u64(), set.header("etag")), (Some(1), Some("\"1\"")));
        assert_eq!(put(&client, &admin, &vendor, Some("\"0\""), &plan(3)).await.expect(412).code(), "version_conflict");
        let shown = get(&member(VendorRole::Packer)).await.expect(200);
        assert_eq!(shown.body, set.body);
        assert_eq!(shown.body["days"][0], json!({"weekday": "monday", "from": "10:00", "to": "12:00", "capacity": 2, "cut_off_minutes": 0}));
        assert_eq!(shown.body["closed"], json!(["2031-03-26", "2031-12-16"]));
        let other = token(&Bearer::Member(VendorId::from_uuid(crate::support::fresh_uuid()), VendorRole::Owner));
        assert_eq!(put(&client, &other, &vendor, Some("\"1\""), &plan(3)).await.expect(404).code(), "vendor_unknown");
        assert_eq!(put(&client, &member(VendorRole::Packer), &vendor, Some("\"1\""), &plan(3)).await.expect(403).code(), "forbidden");
        let stranger = format!("/v1/vendors/{}/delivery-slots", VendorId::from_uuid(crate::support::fresh_uuid()));
        assert_eq!(client.get(&stranger).send().await.expect(404).code(), "vendor_unknown");
        // No window, no slots.
        let mut empty = plan(2);
        empty["days"] = json!([]);
        put(&client, &manager, &vendor, Some("\"1\""), &empty).await.expect(200);
        assert!(slots(&client, &vendor).await.is_empty());
        server.stop().await;
        let server = Server::start(&store).await;
        let again = server.client.get(&plan_path(&vendor)).bearer(&manager).send().await.expect(200);
        assert_eq!(again.body, json!({"version": 2, "days": [], "closed": []}));
        server.stop().await;
    }

    /// A slot is had by no more orders than it has room for; an order that ends gives it back, and one that is cancelled whole after it was
    /// paid.
    async fn a_slot_is_held_with_the_stock(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let admin = token(&Bearer::Admin("root".into()));
        let (vendor, sku) = client.shop(&admin, "10.00", 9).await;
        put(&client, &admin, &vendor, Some("\"0\""), &plan(1)).await.expect(200);
        let offered = slots(&client, &vendor).await;
        // Not the first: its last moment may come while this runs.
        let [_, first, second, ..] = &offered[..] else { panic!("{offered:?}") };
        let (id, other) = (first["id"].as_str().expect("an id"), second["id"].as_str().expect("an id"));
        let buyers = [client.buyer(&sku, 2).await, client.buyer(&sku, 1).await, client.buyer(&sku, 1).await];
        let order = check_out(&client, &buyers[0], &vendor, id, "tok_approve").await.expect(201);
        let mut shown = first.clone();
        shown.as_object_mut().expect("an object").retain(|field, _| field != "left" && field != "cut_off_at");
        assert_eq!((order.field("status"), &order.body["sub_orders"][0]["delivery_slot"]), ("paid", &shown));
        assert_eq!((left(&client, &vendor, id).await, left(&client, &vendor, other).await), (0, 1));

        let full = check_out(&client, &buyers[1], &vendor, id, "tok_approve").await.expect(409);
        assert_eq!((full.code(), &full.body["why"], &full.body["slot_id"]), ("slot_full", &json!("full"), &json!(id)));
        assert_eq!(full.body["vendor_id"], json!(vendor));
        let stranger = VendorId::from_uuid(crate::support::fresh_uuid()).to_string();
        for (of, slot, why) in [(&vendor, "20200101-1000-1200", "not_offered"), (&vendor, "20991231-1000-1200", "not_offered"), (&stranger, id, "not_offered")] {
            let refused = check_out(&client, &buyers[1], of, slot, "tok_approve").await.expect(409);
            assert_eq!((refused.code(), &refused.body["why"]), ("slot_full", &json!(why)), "{of} {slot}");
        }
        for wrong in ["", "tomorrow", "20201301-1000-1200"] {
            let refused = check_out(&client, &buyers[1], &vendor, wrong, "tok_approve").await.expect(422);
            assert_eq!((refused.code(), &refused.body["errors"][0]["field"]), ("invalid_body", &json!("delivery_slot")), "{wrong}");
        }
        // One that is declined gives its slot back, and the next can have it.
        check_out(&client, &buyers[1], &vendor, other, "tok_decline").await;
        until("the slot is free again", async || (left(&client, &vendor, other).await == 1).then_some(())).await;
        let next = check_out(&client, &buyers[2], &vendor, other, "tok_approve").await.expect(201);
        assert_eq!(next.body["sub_orders"][0]["delivery_slot"]["id"], json!(other));
        server.stop().await;

        // Whoever has a slot has it after a restart, and without a plan.
        let server = Server::start(&store).await;
        let client = server.client;
        assert_eq!((left(&client, &vendor, id).await, left(&client, &vendor, other).await), (0, 0));
        let mut closed = plan(1);
        closed["closed"] = json!([first["date"]]);
        put(&client, &admin, &vendor, Some("\"1\""), &closed).await.expect(200);
        let kept = client.order(&admin, order.field("id")).await.expect(200);
        assert_eq!(kept.body["sub_orders"][0]["delivery_slot"]["id"], json!(id));
        put(&client, &admin, &vendor, Some("\"2\""), &plan(1)).await.expect(200);
        // Of two pieces one is cancelled: the other is brought still. With the last the slot is free.
        let sub = order.body["sub_orders"][0]["id"].as_str().expect("an id");
        let cancel = format!("/v1/orders/{}/sub-orders/{sub}/cancel", order.field("id"));
        let one = json!({"lines": [{"sku_id": sku, "quantity": 1}], "reason": "changed_mind"});
        let cancelled = client.post(&cancel, &one).bearer(&buyers[0].token).send().await.expect(200);
        assert_eq!(cancelled.body["sub_orders"][0]["delivery_slot"]["id"], json!(id));
        let cancelled = client.post(&cancel, &one).bearer(&buyers[0].token).send().await.expect(200);
        assert_eq!(cancelled.body["sub_orders"][0]["delivery_slot"], Value::Null);
        until("the slot is free again", async || (left(&client, &vendor, id).await == 1).then_some(())).await;
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }
}
