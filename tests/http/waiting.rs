//! What waits for a vendor: its orders by how its shares stand, its parcels, what is sent back to it, and what nobody has begun in time.

use crate::on_both_stores;
use crate::paid::Paid;
use crate::support::{Server, TestStore, token};
use crate::until;
use haat::app::Hooks;
use haat::config::Config;
use haat::domain::ids::VendorId;
use haat::domain::order::AcceptanceSettings;
use haat::domain::who::{Permissions, VendorRole};
use haat::http::auth::Bearer;
use serde_json::{Value, json};

fn member(vendor: &str, role: VendorRole) -> String {
    let vendor: VendorId = vendor.parse().expect("an id");
    token(&Bearer::Member(vendor, role))
}

fn staff(permissions: &str) -> String {
    token(&Bearer::Staff("rina".into(), Permissions::parse(permissions).expect("permissions")))
}

impl Paid {
    /// With a server whose vendors are to begin at once.
    async fn late(store: &TestStore, cancel: bool) -> Self {
        let acceptance = AcceptanceSettings { within_ms: Some(1), cancel };
        Self::on(Server::start_with(Config { acceptance, ..store.server() }, Hooks::default()).await, "tok_approve")
            .await
    }

    /// What happened to the order.
    async fn timeline(&self) -> Vec<String> {
        let items = self.items(&self.admin, &format!("/v1/orders/{}/timeline", self.order)).await;
        items.iter().map(|item| item["type"].as_str().expect("a type").to_owned()).collect()
    }

    /// The items of a list.
    async fn items(&self, bearer: &str, path: &str) -> Vec<Value> {
        let page = self.client().get(path).bearer(bearer).send().await.expect(200);
        page.body["items"].as_array().expect("items").clone()
    }

    /// A list of the vendor's.
    fn list(&self, what: &str) -> String {
        format!("/v1/vendors/{}/{what}", self.vendor)
    }

    /// Waits until the list has so many.
    async fn has(&self, bearer: &str, path: &str, count: usize) -> Vec<Value> {
        until(path, async || {
            let page = self.client().get(path).bearer(bearer).send().await;
            // Of a store that was just made nobody has looked yet whether its rows are whole.
            if page.status == 503 && page.code() == "rows_incomplete" {
                return None;
            }
            let items = page.expect(200).body["items"].as_array().expect("items").clone();
            (items.len() == count).then_some(items)
        })
        .await
    }

    /// Another vendor, which has nothing to do with the order.
    async fn stranger(&self) -> String {
        let other = self.client().post("/v1/vendors", &json!({"name": "Another"})).bearer(&self.admin).send().await;
        other.expect(201).field("id").to_owned()
    }
}

const LISTS: [&str; 5] =
    ["orders", "orders?share_status=paid", "orders?waiting=pack", "shipments?status=draft", "returns?status=requested"];

on_both_stores! {
    async fn a_vendor_finds_what_waits_for_it(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let packer = member(&paid.vendor, VendorRole::Packer);
        let new = paid.has(&packer, &paid.list("orders?share_status=paid"), 1).await;
        assert_eq!((&new[0]["id"], &new[0]["sub_orders"][0]["status"]), (&json!(paid.order), &json!("paid")));
        paid.has(&packer, &paid.list("orders?waiting=pack"), 1).await;
        paid.has(&packer, "/v1/orders?waiting=pack", 1).await;
        paid.has(&paid.admin, "/v1/orders?waiting=pack&status=paid", 1).await;
        paid.has(&paid.buyer.token, "/v1/orders?share_status=paid", 1).await;
        assert_eq!(paid.items(&packer, &paid.list("orders?share_status=packed,shipped")).await, [0; 0]);

        let two = json!({"lines": [{"sku_id": paid.sku, "quantity": 2}], "tracking": "RX-1"});
        let first = paid.post(&packer, &paid.of_share("shipments"), None, &two).await.expect(201);
        let drafts = paid.has(&packer, &paid.list("shipments?status=draft,booked"), 1).await;
        let parcel = &drafts[0];
        for (field, is) in [("id", &first.body["id"]), ("order_id", &json!(paid.order)), ("sub_order_id", &json!(paid.sub)), ("tracking_number", &json!("RX-1")), ("lines", &two["lines"])] {
            assert_eq!(&parcel[field], is, "{field}");
        }
        assert!(parcel["created_at"].is_string(), "{parcel}");
        paid.has(&packer, &paid.list("orders?waiting=hand_over"), 1).await;
        paid.has(&packer, &paid.list("orders?share_status=partially_packed&waiting="), 1).await;
        let id = first.field("id").to_owned();
        let step = |step: &str| paid.of_share(&format!("shipments/{id}/{step}"));
        paid.post(&packer, &step("hand-over"), None, &json!({})).await.expect(200);
        let away = paid.has(&packer, &paid.list("shipments?status=handed_over"), 1).await;
        assert!(away[0]["handed_over_at"].is_string(), "{}", away[0]);
        paid.has(&packer, &paid.list("orders?waiting=hand_over"), 0).await;
        assert_eq!(paid.items(&packer, &paid.list("orders?waiting=pack")).await.len(), 1, "three are left to pack");
        paid.post(&packer, &paid.of_share("pack"), None, &json!({})).await.expect(200);
        paid.has(&packer, &paid.list("orders?waiting=pack"), 0).await;
        paid.post(&packer, &paid.of_share("shipments"), None, &json!({})).await.expect(201);
        let both = paid.has(&packer, &paid.list("shipments"), 2).await;
        assert_eq!(both[1]["id"], first.body["id"], "the newest first");
        let page = paid.client().get(&paid.list("shipments?limit=1")).bearer(&packer).send().await.expect(200);
        let next = format!("shipments?limit=1&cursor={}", page.field("next_cursor"));
        assert_eq!(paid.items(&packer, &paid.list(&next)).await, both[1..]);
        let others = format!("shipments?status=draft&cursor={}", page.field("next_cursor"));
        paid.client().get(&paid.list(&others)).bearer(&packer).send().await.expect(400);

        paid.post(&packer, &step("deliver"), None, &json!({})).await.expect(200);
        let wanted = json!({"lines": [{"sku_id": paid.sku, "quantity": 1}], "reason": "damaged"});
        let asked = paid.post(&paid.buyer.token, &paid.of_share("returns"), None, &wanted).await.expect(201);
        let open = paid.has(&packer, &paid.list("returns?status=requested,approved"), 1).await;
        assert_eq!((&open[0]["id"], &open[0]["order_id"], &open[0]["lines"]), (&asked.body["id"], &json!(paid.order), &wanted["lines"]));
        paid.has(&packer, &paid.list("orders?waiting=return"), 1).await;
        let manager = member(&paid.vendor, VendorRole::Manager);
        let deny = paid.of_share(&format!("returns/{}/deny", asked.field("id")));
        paid.post(&manager, &deny, None, &json!({})).await.expect(200);
        paid.has(&packer, &paid.list("orders?waiting=return"), 0).await;
        assert_eq!(paid.has(&packer, &paid.list("returns"), 1).await[0]["status"], "denied");
        paid.audit_is_clean(&store).await;
    }

    /// Who sees orders sees what waits; another vendor's are as those of a vendor that there is not.
    async fn what_waits_is_shown_to_those_who_see_the_vendors_orders(store) {
        let paid = Paid::with(&store, "tok_approve").await;
        let owner = member(&paid.vendor, VendorRole::Owner);
        paid.post(&owner, &paid.of_share("shipments"), None, &json!({})).await.expect(201);
        paid.has(&owner, &paid.list("shipments?status=draft"), 1).await;
        let other = paid.stranger().await;
        for list in LISTS {
            let path = paid.list(list);
            for role in [VendorRole::Owner, VendorRole::Manager, VendorRole::Packer, VendorRole::Finance] {
                paid.client().get(&path).bearer(&member(&paid.vendor, role)).send().await.expect(200);
                let stranger = member(&other, role);
                let theirs = paid.client().get(&path).bearer(&stranger).send().await.expect(404);
                let nobodys = format!("/v1/vendors/vendor_00000000000000000000000001/{list}");
                let nobodys = paid.client().get(&nobodys).bearer(&stranger).send().await.expect(404);
                assert_eq!((theirs.code(), &theirs.body["detail"]), (nobodys.code(), &nobodys.body["detail"]), "{list}");
                let own = paid.items(&stranger, &format!("/v1/vendors/{other}/{list}")).await;
                assert_eq!(own, [0; 0], "{list}");
            }
            paid.client().get(&path).bearer(&staff("orders.read")).send().await.expect(200);
            for bearer in [&staff("money.edit"), &paid.buyer.token] {
                paid.client().get(&path).bearer(bearer).send().await.expect(403);
            }
            paid.client().get(&path).send().await.expect(401);
        }
        for bad in ["orders?share_status=sold", "orders?share_status=paid&waiting=pack", "orders?waiting=rain", "shipments?status=paid", "returns?status=draft", "returns?state=requested", "shipments?limit=0"] {
            paid.client().get(&paid.list(bad)).bearer(&owner).send().await.expect(422);
        }
        paid.audit_is_clean(&store).await;
    }

    /// Nothing is packed in time: the staff is told once, until something is.
    async fn a_share_that_nobody_begins_with_is_told_once(store) {
        let paid = Paid::late(&store, false).await;
        let order = until("it is told", async || {
            let order = paid.shown().await;
            (order["attention"] == json!(["not_accepted"])).then_some(order)
        }).await;
        assert_eq!((order["status"].as_str(), order["refunds"].as_array()), (Some("paid"), None), "nothing is cancelled");
        for bearer in [&paid.buyer.token, &member(&paid.vendor, VendorRole::Owner)] {
            let shown = paid.client().order(bearer, &paid.order).await.expect(200);
            assert!(shown.body.get("attention").is_none(), "{}", shown.body);
        }
        until("the operators' figure says so", async || {
            let figures = paid.client().get("/metrics").send().await.expect(200);
            let of_this = figures.text.lines().find(|line| line.starts_with("haat_shares_not_accepted")).map(str::to_owned);
            of_this.filter(|line| !line.ends_with(" 0"))
        }).await;
        // It is found by no later sweep: the tables say that it was told.
        let kinds = paid.timeline().await;
        assert_eq!(kinds.iter().filter(|kind| *kind == "acceptance_overdue").count(), 1, "{kinds:?}");
        let packer = member(&paid.vendor, VendorRole::Packer);
        paid.post(&packer, &paid.of_share("pack"), None, &json!({})).await.expect(200);
        assert!(paid.shown().await.get("attention").is_none(), "something is packed");
        paid.audit_is_clean(&store).await;
    }

    /// Where the shop wants it so, what nobody begins with is cancelled, and its money and its stock go back; what is stopped waits for somebody.
    async fn a_share_that_nobody_begins_with_is_cancelled_where_that_is_wanted(store) {
        let paid = Paid::late(&store, true).await;
        let left = 4;
        let order = until("it is cancelled", async || {
            let order = paid.shown().await;
            (order["status"] == "refunded").then_some(order)
        }).await;
        assert_eq!((&order["sub_orders"][0]["status"], &order["credited"]), (&json!("cancelled"), &crate::paid::bdt("50.00")));
        assert!(order.get("attention").is_none(), "{order}");
        let order = paid.refunds_are("succeeded").await;
        assert_eq!((&order["refunded"], &order["refunds"][0]["reason"]), (&crate::paid::bdt("50.00"), &json!("cannot_deliver")));
        until("it is in stock again", async || (paid.available().await == left + 5).then_some(())).await;
        let kinds = paid.timeline().await;
        for (kind, times) in [("acceptance_overdue", 1), ("cancelled_units", 1), ("refund_requested", 1)] {
            assert_eq!(kinds.iter().filter(|known| *known == kind).count(), times, "{kind} in {kinds:?}");
        }
        let packer = member(&paid.vendor, VendorRole::Packer);
        let late = paid.post(&packer, &paid.of_share("pack"), None, &json!({})).await.expect(409);
        assert_eq!(late.code(), "not_fulfillable");
        paid.audit_is_clean(&store).await;
    }
}
