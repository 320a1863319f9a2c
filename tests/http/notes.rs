//! Words about refunds and returns: shown to those who may read them, erased with the buyer, and in no journal, snapshot, kept answer or log.

use crate::details::{all_but_details, erase};
use crate::on_both_stores;
use crate::paid::{Paid, bdt};
use crate::support::client::Answer;
use crate::support::{Server, TestStore, token};
use crate::until;
use haat::domain::ids::VendorId;
use haat::domain::who::VendorRole;
use haat::http::auth::Bearer;
use serde_json::{Value, json};

fn owner(vendor: &str) -> String {
    let vendor: VendorId = vendor.parse().expect("an id");
    token(&Bearer::Member(vendor, VendorRole::Owner))
}

impl Paid {
    async fn vendor_does(&self, what: &str, body: Value) -> Answer {
        self.post(&owner(&self.vendor), &self.of_share(what), None, &body).await
    }

    /// All of it has arrived, and the buyer wants to send two pieces back.
    async fn asked_back(&self, comment: &str) -> Answer {
        let parcel = self.vendor_does("shipments", json!({})).await.expect(201).field("id").to_owned();
        self.vendor_does(&format!("shipments/{parcel}/deliver"), json!({})).await.expect(200);
        let wanted = json!({"lines": [{"sku_id": self.sku, "quantity": 2}], "reason": "damaged", "comment": comment});
        self.post(&self.buyer.token, &self.of_share("returns"), Some("r1"), &wanted).await.expect(201)
    }

    async fn seen_by(&self, bearer: &str) -> Value {
        self.client().order(bearer, &self.order).await.expect(200).body
    }
}

/// What is said about the first return and the first refund of an order.
fn said(order: &Value) -> [Option<&str>; 3] {
    let (back, refund) = (&order["returns"][0], &order["refunds"][0]);
    [back["comment"].as_str(), back["note"].as_str(), refund["note"].as_str()]
}

async fn audited(store: &TestStore) -> String {
    let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
    assert!(report.is_clean(), "{report}");
    report.of("details").expect("a check").looked_at.clone()
}

on_both_stores! {
    async fn words_are_shown_to_those_who_may_read_them_and_kept_nowhere_else(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let comment = "Plantedcomment\nand a second line";
        let asked = paid.asked_back(comment).await;
        assert_eq!((asked.body["comment"].as_str(), &asked.body["note"]), (Some(comment), &Value::Null));
        let id = asked.field("id").to_owned();
        let step = |step: &str| format!("returns/{id}/{step}");
        let approved = paid.vendor_does(&step("approve"), json!({"note": "Plantedyes"})).await.expect(200);
        assert_eq!((approved.field("comment"), approved.field("note")), (comment, "Plantedyes"));
        // It is approved already: nothing is recorded, and so nothing is noted.
        let again = paid.vendor_does(&step("approve"), json!({"note": "Plantedagain"})).await.expect(200);
        assert_eq!(again.field("note"), "Plantedyes");
        let goodwill = json!({"amount": bdt("1.00"), "reason": "goodwill", "note": "Plantednote"});
        let refund = paid.post(&paid.admin, &paid.of_share("refunds"), Some("g1"), &goodwill).await.expect(201);
        assert_eq!(refund.field("note"), "Plantednote");
        let again = paid.post(&paid.admin, &paid.of_share("refunds"), Some("g1"), &goodwill).await.expect(201);
        assert_eq!((&again.body, again.headers["idempotent-replayed"].as_bytes()), (&refund.body, &b"true"[..]));

        let vendor = owner(&paid.vendor);
        for (who, notes) in [
            (&paid.buyer.token, [Some(comment), None, None]),
            (&vendor, [Some(comment), Some("Plantedyes"), Some("Plantednote")]),
            (&paid.admin, [Some(comment), Some("Plantedyes"), Some("Plantednote")]),
        ] {
            assert_eq!(said(&paid.seen_by(who).await), notes);
        }
        let list = format!("/v1/vendors/{}/returns", paid.vendor);
        let listed = until("the list has it", async || {
            let listed = paid.client().get(&list).bearer(&vendor).send().await.expect(200).body;
            (listed["items"] != json!([])).then_some(listed)
        }).await;
        assert_eq!(listed["items"][0]["comment"], comment);
        let came = json!({"lines": [{"sku_id": paid.sku, "quantity": 2, "condition": "damaged"}], "note": "Plantedcame"});
        let received = paid.vendor_does(&step("receive"), came).await.expect(200);
        assert_eq!((received.field("comment"), received.field("note")), (comment, "Plantedcame"));
        paid.vendor_does(&step("close"), json!({"note": "Plantedend"})).await.expect(200);
        let all = [Some(comment), Some("Plantedend"), Some("Plantednote")];
        assert_eq!(said(&paid.seen_by(&paid.admin).await), all);

        let (order, admin) = (paid.order.clone(), paid.admin.clone());
        paid.server.stop().await;
        assert_eq!(audited(&store).await, "2 details of 1 checkout", "where to send it, and what was said");
        let text = all_but_details(&store).await;
        assert!(text.contains("return_requested") && !text.contains("Planted"));
        let server = Server::start(&store).await;
        assert_eq!(said(&server.client.order(&admin, &order).await.expect(200).body), all);
        server.stop().await;
        // Made anew from the journal, they are there still.
        haat::app::rebuild::rebuild(&store.config()).await.expect("rebuilt");
        assert_eq!(audited(&store).await, "2 details of 1 checkout");
    }

    async fn who_is_erased_is_erased_with_what_was_said_and_nothing_is_noted_any_more(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        paid.asked_back("Plantedcomment").await;
        let Paid { server, admin, order, sub, .. } = paid;
        server.stop().await;
        erase(&store, &order, "'contact', 'notes'").await;
        assert_eq!(audited(&store).await, "2 details of 1 checkout, 2 erased");
        let server = Server::start(&store).await;
        let client = server.client;
        assert_eq!(said(&client.order(&admin, &order).await.expect(200).body), [None; 3]);
        let goodwill = json!({"amount": bdt("1.00"), "reason": "goodwill", "note": "Plantednote"});
        let path = format!("/v1/orders/{order}/sub-orders/{sub}/refunds");
        let refund = client.post(&path, &goodwill).bearer(&admin).send().await.expect(201);
        assert_eq!(refund.body["note"], Value::Null, "it is given back, and not noted");
        assert_eq!(said(&client.order(&admin, &order).await.expect(200).body), [None; 3]);
        server.stop().await;
        assert_eq!(audited(&store).await, "2 details of 1 checkout, 2 erased");
    }

    async fn what_is_no_text_or_holds_a_card_is_refused_and_nothing_is_done(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let id = paid.asked_back("it is torn").await.field("id").to_owned();
        let before = paid.seen_by(&paid.admin).await;
        let line = json!({"sku_id": paid.sku, "quantity": 1});
        let came = json!([{"sku_id": paid.sku, "quantity": 1, "condition": "damaged"}]);
        for (what, field, mut body) in [
            ("refunds".to_owned(), "note", json!({"amount": bdt("1.00"), "reason": "goodwill"})),
            ("refund-preview".to_owned(), "note", json!({"amount": bdt("1.00"), "reason": "goodwill"})),
            ("returns".to_owned(), "comment", json!({"lines": [line], "reason": "damaged"})),
            (format!("returns/{id}/approve"), "note", json!({})),
            (format!("returns/{id}/deny"), "note", json!({})),
            (format!("returns/{id}/receive"), "note", json!({"lines": came})),
            (format!("returns/{id}/close"), "note", json!({})),
        ] {
            for (words, code) in [
                (json!("card 4242 4242-4242 4242"), "payment_unsupported"),
                (json!("x".repeat(1_001)), "invalid_body"),
                (json!("\u{202e}"), "invalid_body"),
            ] {
                body[field] = words;
                let refused = paid.post(&paid.admin, &paid.of_share(&what), None, &body).await.expect(422);
                assert_eq!((refused.code(), &refused.body["errors"][0]["field"]), (code, &json!(field)), "{what}");
                assert!(!refused.text.contains("4242"), "{}", refused.text);
            }
            body[field] = json!(7);
            assert_eq!(paid.post(&paid.admin, &paid.of_share(&what), None, &body).await.expect(422).code(), "invalid_body");
        }
        assert_eq!(paid.seen_by(&paid.admin).await, before);
        paid.audit_is_clean(&store).await;
    }
}
