//! What a vendor does with its share of a paid order, and what comes back: parcels, refusals at the door, returns.

use crate::on_both_stores;
use crate::paid::{Paid, bdt};
use crate::support::token;
use crate::until;
use haat::domain::ids::VendorId;
use haat::domain::who::{Permissions, VendorRole};
use haat::http::auth::Bearer;
use serde_json::{Value, json};

/// One who packs for this vendor.
fn packer(vendor: &str) -> String {
    member(vendor, VendorRole::Packer)
}

fn member(vendor: &str, role: VendorRole) -> String {
    let vendor: VendorId = vendor.parse().expect("an id");
    token(&Bearer::Member(vendor, role))
}

fn staff(permissions: &str) -> String {
    token(&Bearer::Staff("rina".into(), Permissions::parse(permissions).expect("permissions")))
}

fn pieces(paid: &Paid, quantity: i64) -> Value {
    json!([{"sku_id": paid.sku, "quantity": quantity}])
}

impl Paid {
    /// Makes a parcel of so many pieces; gives its id.
    async fn parcel(&self, bearer: &str, quantity: i64) -> String {
        let body = json!({"lines": pieces(self, quantity), "courier": "own", "tracking": "RX-4711"});
        let made = self.post(bearer, &self.of_share("shipments"), None, &body).await.expect(201);
        assert_eq!((made.field("status"), made.field("tracking_number")), ("draft", "RX-4711"));
        made.field("id").to_owned()
    }

    fn of_parcel(&self, parcel: &str, step: &str) -> String {
        self.of_share(&format!("shipments/{parcel}/{step}"))
    }

    async fn line(&self) -> Value {
        self.shown().await["lines"][0].clone()
    }

    async fn status(&self) -> (String, String) {
        let order = self.shown().await;
        let text = |value: &Value| value.as_str().expect("a status").to_owned();
        (text(&order["status"]), text(&order["sub_orders"][0]["status"]))
    }
}

fn so(order: &str, share: &str) -> (String, String) {
    (order.to_owned(), share.to_owned())
}

on_both_stores! {
    /// Five pieces leave in two parcels; two of the second are refused at the door, come back, and one of the delivered ones is sent back.
    async fn a_share_is_packed_shipped_refused_in_part_and_sent_back(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let packer = packer(&paid.vendor);
        let left = paid.available().await;
        let packed = paid.post(&packer, &paid.of_share("pack"), None, &json!({"lines": pieces(&paid, 2)})).await.expect(200);
        assert_eq!((packed.field("status"), &packed.body["sub_orders"][0]["status"]), ("fulfilling", &json!("partially_packed")));
        let first = paid.parcel(&packer, 2).await;
        let key = Some("s2");
        let rest = paid.post(&packer, &paid.of_share("shipments"), key, &json!({})).await.expect(201);
        assert_eq!(rest.body["lines"], pieces(&paid, 3), "all that is in no parcel");
        let again = paid.post(&packer, &paid.of_share("shipments"), key, &json!({})).await.expect(201);
        assert_eq!(again.body["id"], rest.body["id"], "a request that comes again makes no second parcel");
        let second = rest.field("id").to_owned();
        assert_eq!(paid.status().await, so("fulfilling", "packed"));

        paid.post(&packer, &paid.of_parcel(&first, "hand-over"), None, &json!({})).await.expect(200);
        assert_eq!(paid.status().await, so("fulfilling", "partially_shipped"));
        let too_late = paid.post(&paid.buyer.token, "cancel", None, &json!({})).await.expect(409);
        assert_eq!(too_late.code(), "already_shipped");
        paid.post(&packer, &paid.of_parcel(&first, "deliver"), None, &json!({})).await.expect(200);
        let accepted = json!({"lines": pieces(&paid, 1)});
        // Nobody said that it was handed over: it arrived, so it was.
        let delivered = paid.post(&packer, &paid.of_parcel(&second, "deliver"), None, &accepted).await.expect(200);
        assert_eq!((delivered.field("status"), &delivered.body["accepted"]), ("delivered", &pieces(&paid, 1)));
        assert_eq!(paid.status().await, so("completed", "delivered"));
        let order = paid.refunds_are("succeeded").await;
        assert_eq!((&order["credited"], &order["refunded"]), (&bdt("20.00"), &bdt("20.00")), "two were refused at the door");
        assert_eq!(paid.available().await, left, "and are not back yet");
        paid.post(&packer, &paid.of_parcel(&second, "returned"), None, &json!({})).await.expect(200);
        until("the refused pieces are back", async || (paid.available().await == left + 2).then_some(())).await;
        paid.post(&packer, &paid.of_parcel(&second, "returned"), None, &json!({})).await.expect(200);

        let wanted = json!({"lines": pieces(&paid, 2), "reason": "damaged"});
        let asked = paid.post(&paid.buyer.token, &paid.of_share("returns"), Some("r1"), &wanted).await.expect(201);
        assert_eq!(asked.field("status"), "requested");
        let id = asked.field("id").to_owned();
        let step = |step: &str| paid.of_share(&format!("returns/{id}/{step}"));
        let manager = member(&paid.vendor, VendorRole::Manager);
        let not_theirs = paid.post(&packer, &step("approve"), None, &json!({})).await;
        assert_eq!(not_theirs.status, 403, "who packs decides nothing: {:?}", not_theirs.body);
        let early = json!({"lines": [{"sku_id": paid.sku, "quantity": 1, "condition": "resellable"}]});
        let refused = paid.post(&packer, &step("receive"), None, &early).await.expect(409);
        assert_eq!((refused.code(), &refused.body["why"]), ("not_returnable", &json!("status")));
        paid.post(&manager, &step("approve"), None, &json!({})).await.expect(200);
        let came = json!({"lines": [
            {"sku_id": paid.sku, "quantity": 1, "condition": "resellable"},
            {"sku_id": paid.sku, "quantity": 1, "condition": "damaged"},
        ]});
        let received = paid.post(&packer, &step("receive"), None, &came).await.expect(200);
        assert_eq!(received.field("status"), "received");
        paid.post(&packer, &step("receive"), None, &came).await.expect(200);
        let order = paid.refunds_are("succeeded").await;
        assert_eq!((&order["refunded"], &order["total_due"]), (&bdt("40.00"), &bdt("0.00")), "both are given back, once");
        let of_return = order["refunds"].as_array().expect("refunds").iter().find(|refund| refund["id"] == received.body["refund_id"]);
        assert_eq!(of_return.map(|refund| &refund["amount"]), Some(&bdt("20.00")));
        until("what can be sold is back", async || (paid.available().await == left + 3).then_some(())).await;
        paid.post(&manager, &step("close"), None, &json!({})).await.expect(200);

        let line = paid.line().await;
        let counts = ["cancelled", "packed", "shipped", "delivered", "returned", "credited"].map(|count| line[count].as_i64());
        assert_eq!(counts, [0, 0, 5, 3, 2, 4].map(Some), "{line}");
        until("the lists say so, too", async || {
            let listed = paid.client().get("/v1/orders").bearer(&paid.buyer.token).send().await.expect(200);
            (listed.body["items"][0]["lines"][0]["returned"] == 2).then_some(())
        }).await;
        let path = format!("/v1/orders/{}/timeline", paid.order);
        let timeline = paid.client().get(&path).bearer(&paid.buyer.token).send().await.expect(200);
        let kinds: Vec<&str> = timeline.body["items"].as_array().expect("items").iter().map(|item| item["type"].as_str().expect("a type")).collect();
        for kind in ["packed", "shipment_created", "shipment_handed_over", "shipment_delivered", "shipment_returned", "completed", "return_requested", "return_approved", "return_received", "return_closed"] {
            assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
        }
        paid.audit_is_clean(&store).await;
    }

    /// A share that is stopped ships nothing, but what arrives has arrived; and what is in no parcel is cancelled, also out of one.
    async fn what_is_stopped_stays_and_what_is_packed_can_be_cancelled(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let packer = packer(&paid.vendor);
        let (first, second) = (paid.parcel(&packer, 1).await, paid.parcel(&packer, 3).await);
        paid.post(&packer, &paid.of_parcel(&first, "hand-over"), None, &json!({})).await.expect(200);
        let held = paid.post(&packer, &paid.of_share("hold"), None, &json!({"reason": "address"})).await.expect(200);
        assert_eq!(held.body["sub_orders"][0]["on_hold"], "address");
        for (what, body) in [("pack", json!({})), ("shipments", json!({}))] {
            let refused = paid.post(&packer, &paid.of_share(what), None, &body).await.expect(409);
            assert_eq!((refused.code(), &refused.body["why"]), ("not_fulfillable", &json!("on_hold")), "{what}");
        }
        let refused = paid.post(&packer, &paid.of_parcel(&second, "hand-over"), None, &json!({})).await.expect(409);
        assert_eq!(refused.body["why"], "on_hold");
        paid.post(&packer, &paid.of_parcel(&first, "deliver"), None, &json!({})).await.expect(200);
        paid.post(&packer, &paid.of_share("resume"), None, &json!({})).await.expect(200);

        // Three of the four that are left: one from the shelf, two from the parcel, which is unpacked for it.
        let left = paid.available().await;
        let three = json!({"lines": pieces(&paid, 3), "reason": "changed_mind"});
        let cancelled = paid.post(&paid.buyer.token, &paid.of_share("cancel"), None, &three).await.expect(200);
        assert_eq!((&cancelled.body["credited"], &cancelled.body["lines"][0]["packed"]), (&bdt("30.00"), &json!(1)));
        assert_eq!(cancelled.body["sub_orders"][0]["shipments"][1]["status"], "cancelled");
        until("they are in stock again", async || (paid.available().await == left + 3).then_some(())).await;
        let too_many = json!({"lines": pieces(&paid, 2), "reason": "changed_mind"});
        let refused = paid.post(&paid.buyer.token, &paid.of_share("cancel"), None, &too_many).await.expect(409);
        assert_eq!(refused.code(), "already_shipped");

        // The last one is lost on its way, and given back as what was handed over.
        let last = paid.parcel(&packer, 1).await;
        let not_yet = json!({"lines": pieces(&paid, 2), "reason": "missing"});
        let refused = paid.post(&paid.admin, &paid.of_share("refunds"), None, &not_yet).await.expect(409);
        assert_eq!((refused.code(), &refused.body["why"]), ("not_fulfillable", &json!("not_handed_over")));
        paid.post(&packer, &paid.of_parcel(&last, "hand-over"), None, &json!({})).await.expect(200);
        paid.post(&packer, &paid.of_parcel(&last, "lost"), None, &json!({})).await.expect(200);
        assert_eq!(paid.shown().await["attention"], json!(["parcel_lost"]));
        let gone = json!({"lines": pieces(&paid, 1), "reason": "missing"});
        let refund = paid.post(&paid.admin, &paid.of_share("refunds"), None, &gone).await.expect(201);
        assert_eq!(refund.body["amount"], bdt("10.00"));
        let order = paid.refunds_are("succeeded").await;
        assert_eq!((&order["refunded"], &order["status"]), (&bdt("40.00"), &json!("completed")));
        paid.audit_is_clean(&store).await;
    }

    /// What was given back as an amount is not given back again for its units: they are credited, and there is no refund.
    async fn units_of_which_all_was_given_back_are_refunded_with_nothing(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let parcel = paid.parcel(&paid.admin, 5).await;
        paid.post(&paid.admin, &paid.of_parcel(&parcel, "deliver"), None, &json!({})).await.expect(200);
        let all = json!({"amount": bdt("50.00"), "reason": "goodwill"});
        paid.post(&paid.admin, &paid.of_share("refunds"), None, &all).await.expect(201);
        let one = json!({"lines": pieces(&paid, 1), "restock": true, "reason": "damaged"});
        let refund = paid.post(&paid.admin, &paid.of_share("refunds"), Some("u1"), &one).await.expect(201);
        assert_eq!((refund.field("status"), &refund.body["amount"]), ("succeeded", &bdt("0.00")));
        let again = paid.post(&paid.admin, &paid.of_share("refunds"), Some("u1"), &one).await.expect(201);
        assert_eq!(again.body, refund.body);
        let order = paid.refunds_are("succeeded").await;
        assert_eq!((&order["refunded"], &order["lines"][0]["credited"]), (&bdt("50.00"), &json!(1)));
        paid.audit_is_clean(&store).await;
    }

    /// Others neither see nor move a vendor's parcels, a buyer packs nothing, and what is malformed is told.
    async fn parcels_are_moved_by_their_vendor_and_the_staff_alone(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let other = paid.client().post("/v1/vendors", &json!({"name": "Another"})).bearer(&paid.admin).send().await.expect(201);
        let stranger = packer(other.field("id"));
        let parcel = paid.parcel(&packer(&paid.vendor), 1).await;
        for what in ["pack", "unpack", "hold", "resume", "shipments"] {
            let body = if what == "hold" { json!({"reason": "other"}) } else { json!({}) };
            paid.post(&stranger, &paid.of_share(what), None, &body).await.expect(404);
            paid.post(&paid.buyer.token, &paid.of_share(what), None, &body).await.expect(403);
        }
        for step in ["hand-over", "deliver", "cancel", "returned", "lost"] {
            paid.post(&stranger, &paid.of_parcel(&parcel, step), None, &json!({})).await.expect(404);
            paid.post(&staff("orders.read"), &paid.of_parcel(&parcel, step), None, &json!({})).await.expect(403);
            let nobodys = paid.post(&paid.admin, &paid.of_parcel("shipment_00000000000000000000000001", step), None, &json!({})).await.expect(404);
            assert_eq!(nobodys.code(), "shipment_unknown");
        }
        paid.post(&staff("orders.edit"), &paid.of_parcel(&parcel, "hand-over"), None, &json!({})).await.expect(200);
        let bad = [
            ("pack", json!({"lines": []})),
            ("pack", json!({"lines": [{"sku_id": paid.sku, "quantity": 0}]})),
            ("hold", json!({"reason": "because"})),
            ("shipments", json!({"courier": ""})),
            ("shipments", json!({"tracking": "x".repeat(101)})),
            ("shipments", json!({"lines": [{"sku_id": paid.sku, "quantity": 1}, {"sku_id": paid.sku, "quantity": 1}]})),
            ("returns", json!({"lines": pieces(&paid, 1), "reason": "fraud"})),
            ("refunds", json!({"lines": pieces(&paid, 1), "amount": bdt("1.00"), "reason": "late"})),
        ];
        for (what, body) in bad {
            paid.post(&paid.admin, &paid.of_share(what), None, &body).await.expect(422);
        }
        let early = json!({"lines": pieces(&paid, 1), "reason": "changed_mind"});
        let refused = paid.post(&paid.buyer.token, &paid.of_share("returns"), None, &early).await.expect(409);
        assert_eq!((refused.code(), &refused.body["why"]), ("not_returnable", &json!("not_delivered")));
        paid.audit_is_clean(&store).await;
    }

    /// Buyers, vendors and couriers at once, of one piece: it is cancelled or it is shipped, and its money goes with it.
    async fn a_cancel_and_a_hand_over_at_once_have_one_outcome(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let packer = packer(&paid.vendor);
        let parcel = paid.parcel(&packer, 5).await;
        let (out, all) = (paid.of_parcel(&parcel, "hand-over"), paid.of_share("cancel"));
        let changed_mind = json!({"reason": "changed_mind"});
        let nothing = json!({});
        let (shipped, cancelled) = tokio::join!(
            paid.post(&packer, &out, None, &nothing),
            paid.post(&paid.buyer.token, &all, None, &changed_mind)
        );
        let order = paid.shown().await;
        match (shipped.status, cancelled.status) {
            (200, 409) => {
                assert_eq!((cancelled.code(), &order["credited"]), ("already_shipped", &bdt("0.00")));
                assert_eq!(order["lines"][0]["shipped"], 5);
            }
            (409, 200) => {
                assert_eq!((shipped.code(), &order["credited"]), ("not_fulfillable", &bdt("50.00")));
                assert_eq!((&order["lines"][0]["shipped"], &order["status"]), (&json!(0), &json!("refunded")));
            }
            other => panic!("{other:?}: {:?} {:?}", shipped.body, cancelled.body),
        }
        paid.audit_is_clean(&store).await;
    }
}

on_both_stores! {
    /// One was lost that was said to be delivered, and then came back; money and pieces are given back once, and the timeline says who said so.
    async fn what_became_of_a_parcel_is_corrected_by_the_staff(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let (packer, clerk) = (packer(&paid.vendor), staff("orders.edit"));
        let left = paid.available().await;
        let parcel = paid.parcel(&packer, 2).await;
        let correct = async |bearer: &str, key: Option<&str>, status: &str| {
            paid.post(bearer, &paid.of_parcel(&parcel, "correct"), key, &json!({"status": status})).await
        };
        let why = |refused: &crate::support::client::Answer| (refused.code().to_owned(), refused.body["why"].clone());
        let early = correct(&clerk, None, "lost").await.expect(409);
        assert_eq!(why(&early), ("not_fulfillable".into(), json!("shipment_status")));
        paid.post(&packer, &paid.of_parcel(&parcel, "deliver"), None, &json!({})).await.expect(200);
        for (bearer, status) in [(&packer, 403), (&staff("orders.read"), 403), (&paid.buyer.token, 403)] {
            assert_eq!(correct(bearer, None, "lost").await.status, status);
        }
        for body in [json!({}), json!({"status": "refused"}), json!({"status": "lost", "note": "the courier says so"}), json!({"status": null})] {
            let answer = paid.post(&clerk, &paid.of_parcel(&parcel, "correct"), None, &body).await.expect(422);
            assert_eq!(answer.code(), "invalid_body", "{body}");
        }

        let lost = correct(&clerk, Some("c1"), "lost").await.expect(200);
        assert_eq!((lost.field("status"), &lost.body["accepted"], &lost.body["delivered_at"]), ("lost", &Value::Null, &Value::Null));
        let line = paid.line().await;
        assert_eq!((&line["shipped"], &line["delivered"], &line["credited"]), (&json!(2), &json!(0), &json!(0)), "nothing is given back by it");
        assert_eq!(paid.shown().await["attention"], json!(["parcel_lost"]));
        correct(&clerk, Some("c1"), "lost").await.expect(200);
        correct(&clerk, None, "delivered").await.expect(200);
        correct(&clerk, None, "delivered").await.expect(200);
        assert_eq!(paid.line().await["delivered"], json!(2));

        // One of them is being sent back: it has arrived.
        let wanted = json!({"lines": pieces(&paid, 1), "reason": "damaged"});
        let asked = paid.post(&paid.buyer.token, &paid.of_share("returns"), None, &wanted).await.expect(201);
        let refused = correct(&clerk, None, "returned").await.expect(409);
        assert_eq!(why(&refused), ("not_fulfillable".into(), json!("units_in_return")));
        let step = paid.of_share(&format!("returns/{}/cancel", asked.field("id")));
        paid.post(&paid.buyer.token, &step, None, &json!({})).await.expect(200);

        let returned = correct(&clerk, None, "returned").await.expect(200);
        assert_eq!(returned.field("status"), "returned");
        let order = paid.refunds_are("succeeded").await;
        assert_eq!((&order["credited"], &order["refunded"]), (&bdt("20.00"), &bdt("20.00")));
        until("its pieces are back", async || (paid.available().await == left + 2).then_some(())).await;
        for status in ["delivered", "lost"] {
            let refused = correct(&clerk, None, status).await.expect(409);
            assert_eq!(why(&refused), ("not_fulfillable".into(), json!("back_in_stock")), "{status}");
        }
        correct(&clerk, None, "returned").await.expect(200);
        assert_eq!((paid.available().await, &paid.line().await["credited"]), (left + 2, &json!(2)), "once");

        let path = format!("/v1/orders/{}/timeline", paid.order);
        let timeline = paid.client().get(&path).bearer(&clerk).send().await.expect(200);
        let told: Vec<_> = timeline.body["items"].as_array().expect("entries").iter().filter(|entry| entry["type"] == "shipment_corrected").collect();
        assert_eq!(told.iter().map(|entry| &entry["data"]["reason"]).collect::<Vec<_>>(), ["lost", "delivered", "returned"]);
        assert!(told.iter().all(|entry| entry["data"]["by"] == "staff" && entry["data"]["shipment_id"] == *parcel), "{told:?}");
        paid.audit_is_clean(&store).await;
    }
}
