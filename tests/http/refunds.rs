//! What is taken back of a paid order: units, amounts, and the refunds that follow, to the last unit and once.

use crate::on_both_stores;
use crate::paid::{Paid, bdt};
use crate::support::{Server, token};
use crate::until;
use haat::domain::ids::VendorId;
use haat::domain::who::Permissions;
use haat::http::auth::Bearer;
use serde_json::json;

fn finance() -> String {
    token(&Bearer::Staff("rina".into(), Permissions::parse("money.edit").expect("a permission")))
}

on_both_stores! {
    /// Goodwill, then units, then the rest: in each step what is owed is given back, and together it is the whole.
    async fn amounts_and_units_come_back_to_the_last_unit(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let goodwill = json!({"amount": bdt("3.33"), "reason": "goodwill"});
        let preview = paid.post(&paid.admin, &paid.of_share("refund-preview"), None, &goodwill).await.expect(200);
        assert_eq!((&preview.body["amount"], &preview.body["maximum"]), (&bdt("3.33"), &bdt("50.00")));
        let refund = paid.post(&finance(), &paid.of_share("refunds"), Some("r1"), &goodwill).await.expect(201);
        assert_eq!((&refund.body["amount"], refund.field("status")), (&bdt("3.33"), "requested"));
        // The same request again is the same refund.
        let again = paid.post(&finance(), &paid.of_share("refunds"), Some("r1"), &goodwill).await.expect(201);
        assert_eq!(again.body["id"], refund.body["id"]);
        let order = paid.refunds_are("succeeded").await;
        assert_eq!((&order["refunded"], &order["refund_due"]), (&bdt("3.33"), &bdt("0.00")));
        assert_eq!(order["payment"]["status"], "partially_refunded");

        let two = json!({"lines": [{"sku_id": paid.sku, "quantity": 2}], "reason": "changed_mind"});
        let left = paid.available().await;
        let cancelled = paid.post(&paid.buyer.token, &paid.of_share("cancel"), Some("c1"), &two).await.expect(200);
        assert_eq!((&cancelled.body["credited"], cancelled.field("status")), (&bdt("23.33"), "paid"));
        assert_eq!(cancelled.body["lines"][0]["credited"], 2);
        until("the pieces are back", async || (paid.available().await == left + 2).then_some(())).await;

        let all = paid.post(&paid.buyer.token, "cancel", Some("c2"), &json!({})).await.expect(200);
        assert_eq!((&all.body["credited"], all.field("status")), (&bdt("50.00"), "refunded"));
        let order = paid.refunds_are("succeeded").await;
        assert_eq!((&order["refunded"], &order["total_due"]), (&bdt("50.00"), &bdt("0.00")));
        assert_eq!((&order["payment"]["status"], &order["sub_orders"][0]["status"]), (&json!("refunded"), &json!("cancelled")));
        until("all pieces are back", async || (paid.available().await == left + 5).then_some(())).await;

        let path = format!("/v1/admin/sandbox/charges?order={}", paid.order);
        let charge = paid.client().get(&path).bearer(&paid.admin).send().await.expect(200).body["items"][0].clone();
        assert_eq!((&charge["status"], &charge["refunded"]), (&json!("charged"), &bdt("50.00")), "{charge}");
        let path = format!("/v1/orders/{}/timeline", paid.order);
        let timeline = paid.client().get(&path).bearer(&paid.admin).send().await.expect(200);
        let kinds: Vec<&str> = timeline.body["items"].as_array().expect("items").iter().map(|item| item["type"].as_str().expect("a type")).collect();
        for kind in ["credited", "refund_requested", "refund_succeeded", "cancelled_units", "refunded"] {
            assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
        }
        paid.audit_is_clean(&store).await;
    }

    /// Of two refunds that exceed together, whatever their order, one is refused.
    async fn two_refunds_at_once_do_not_exceed_together(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let thirty = json!({"amount": bdt("30.00"), "reason": "late"});
        let refunds = paid.of_share("refunds");
        let ask = |key: &'static str| paid.post(&paid.admin, &refunds, Some(key), &thirty);
        let (one, other) = tokio::join!(ask("a"), ask("b"));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        let refused = if one.status == 409 { one } else { other };
        assert_eq!((refused.code(), &refused.body["refundable"]), ("refund_exceeds_payment", &bdt("20.00")));
        paid.refunds_are("succeeded").await;
        paid.audit_is_clean(&store).await;
    }

    /// One that its provider refuses is owed still, until it is asked for again, or was paid outside.
    async fn a_refund_that_fails_is_owed_and_tried_again_or_paid_by_hand(store) {
        let paid = Paid::with(&store, "tok_approve.refund_refuse").await;
        let five = json!({"amount": bdt("5.00"), "reason": "damaged"});
        let first = paid.post(&paid.admin, &paid.of_share("refunds"), Some("a"), &five).await.expect(201);
        let other = paid.post(&paid.admin, &paid.of_share("refunds"), Some("b"), &five).await.expect(201);
        assert_ne!(first.body["id"], other.body["id"], "equal amounts are two refunds");
        let order = paid.refunds_are("failed").await;
        assert_eq!((&order["refund_due"], &order["refunded"]), (&bdt("10.00"), &bdt("0.00")));
        assert_eq!(order["refunds"][0]["failure"], "refund_refused");

        let retry = format!("refunds/{}/retry", first.field("id"));
        let again = paid.post(&paid.admin, &retry, None, &json!({})).await.expect(200);
        assert_eq!((again.field("status"), &again.body["attempt"]), ("requested", &json!(2)));
        let by_hand = format!("refunds/{}/mark-paid", other.field("id"));
        let noted = paid.post(&paid.admin, &by_hand, None, &json!({"reference": "wire 7"})).await.expect(200);
        assert_eq!((noted.field("status"), noted.field("reference")), ("succeeded", "wire 7"));
        let order = paid.refunds_are("succeeded").await;
        assert_eq!((&order["refund_due"], &order["refunded"]), (&bdt("0.00"), &bdt("10.00")));
        let refused = paid.post(&paid.admin, &retry, None, &json!({})).await.expect(409);
        assert_eq!(refused.code(), "refund_not_open");
        paid.audit_is_clean(&store).await;
    }

    /// What a server had not done when it was stopped, the next one does: no piece and no money comes back twice.
    async fn a_server_that_stops_leaves_nothing_owed(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let left = paid.available().await;
        paid.post(&paid.buyer.token, "cancel", Some("c"), &json!({"reason": "changed_mind"})).await.expect(200);
        let Paid { server, buyer, vendor, sku, admin, order, sub } = paid;
        server.stop().await;
        let server = Server::start(&store).await;
        let paid = Paid { server, buyer, vendor, sku, admin, order, sub };
        paid.refunds_are("succeeded").await;
        until("all pieces are back", async || (paid.available().await == left + 5).then_some(())).await;
        let again = paid.post(&paid.buyer.token, "cancel", Some("c"), &json!({"reason": "changed_mind"})).await.expect(200);
        assert_eq!(again.body["refunds"].as_array().map(Vec::len), Some(1));
        paid.audit_is_clean(&store).await;
    }

    /// Who may, and what a malformed wish is told.
    async fn only_those_who_may_take_something_back(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let goodwill = json!({"amount": bdt("1.00"), "reason": "goodwill"});
        let stranger = token(&Bearer::owner_of(VendorId::from_uuid(uuid::Uuid::from_u128(7))));
        let reader = token(&Bearer::Staff("omar".into(), Permissions::parse("orders.read").expect("a permission")));
        for (bearer, status) in [(&paid.buyer.token, 403), (&stranger, 404), (&reader, 403)] {
            paid.post(bearer, &paid.of_share("refunds"), None, &goodwill).await.expect(status);
        }
        let vendor = token(&Bearer::owner_of(paid.vendor.parse().expect("an id")));
        paid.post(&vendor, &paid.of_share("refunds"), None, &goodwill).await.expect(201);
        for (what, body, status, code) in [
            ("refunds", json!({"amount": bdt("0.00"), "reason": "goodwill"}), 422, "refund_not_positive"),
            ("refunds", json!({"amount": bdt("-1.00"), "reason": "goodwill"}), 422, "invalid_body"),
            ("refunds", json!({"amount": {"amount": "1.00", "currency": "EUR"}, "reason": "goodwill"}), 422, "invalid_body"),
            ("refunds", json!({"amount": bdt("1.00"), "reason": "fraud"}), 422, "invalid_body"),
            ("refunds", json!({"reason": "goodwill"}), 422, "invalid_body"),
            ("refunds", json!({"shipping": true, "reason": "late"}), 422, "refund_not_positive"),
            ("refunds", json!({"amount": bdt("49.01"), "reason": "late"}), 409, "refund_exceeds_payment"),
            ("cancel", json!({"lines": [], "reason": "fraud"}), 422, "invalid_body"),
            ("cancel", json!({"lines": [{"sku_id": paid.sku, "quantity": 0}], "reason": "fraud"}), 422, "invalid_body"),
            ("cancel", json!({"lines": [{"sku_id": paid.sku, "quantity": 6}], "reason": "fraud"}), 409, "units_credited"),
            ("cancel", json!({"reason": "goodwill"}), 422, "invalid_body"),
        ] {
            let refused = paid.post(&paid.admin, &paid.of_share(what), None, &body).await.expect(status);
            assert_eq!(refused.code(), code, "{body}");
        }
        let nowhere = format!("sub-orders/{}/refunds", "suborder_01h2xcejqtf2nbrexx3vqjhp41");
        paid.post(&paid.admin, &nowhere, None, &goodwill).await.expect(404);
        paid.refunds_are("succeeded").await;
        paid.audit_is_clean(&store).await;
    }
}
