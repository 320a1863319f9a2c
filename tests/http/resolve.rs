//! Orders that are stuck, and the ways out of it: what the provider says is told as it says it, and what someone did is recorded.

use crate::support::client::{Answer, Buyer, Client, Market};
use crate::support::journal::Gate;
use crate::support::{Server, TestStore, token};
use crate::{on_both_stores, until};
use haat::adapters::sandbox::CHARGE_LOG_FILE;
use haat::app::Hooks;
use haat::domain::ids::{CartId, Kind, OrderId};
use haat::domain::who::Permissions;
use haat::http::auth::Bearer;
use haat::limits;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;

/// The provider has charged this much for the buyer's next order: as after a database is taken back from a backup, and the provider's
/// books are not.
fn charged_before(store: &TestStore, buyer: &Buyer, amount_minor: i64) -> String {
    let order = OrderId::for_attempt(buyer.cart.parse::<CartId>().expect("an id"), 1).to_string();
    let at = 1_700_000_000_000i64;
    let line = json!({"order": order, "mint": "01020304", "status": "charged", "amount_minor": amount_minor, "currency": "BDT", "at": at});
    let mut charge_log = std::fs::File::options()
        .append(true)
        .create(true)
        .open(store.data_dir().join(CHARGE_LOG_FILE))
        .expect("a ledger");
    writeln!(charge_log, "{line}").expect("a line");
    order
}

async fn stuck(client: &Client, staff: &str, order: &str) -> Answer {
    until("stuck", async || {
        let seen = client.order(staff, order).await.expect(200);
        seen.body["stuck"].is_object().then_some(seen)
    })
    .await
}

async fn status(client: &Client, bearer: &str, order: &str, is: &str) -> Answer {
    until(is, async || {
        let seen = client.order(bearer, order).await.expect(200);
        (seen.field("status") == is).then_some(seen)
    })
    .await
}

async fn timeline(client: &Client, bearer: &str, order: &str) -> Vec<Value> {
    let path = format!("/v1/orders/{order}/timeline");
    let page = client.get(&path).bearer(bearer).send().await.expect(200);
    page.body["items"].as_array().expect("items").clone()
}

fn entry<'a>(timeline: &'a [Value], kind: &str) -> &'a Value {
    timeline.iter().find(|item| item["type"] == kind).unwrap_or_else(|| panic!("no {kind} in {timeline:?}"))
}

fn bdt(amount: &str) -> Value {
    json!({"amount": amount, "currency": "BDT"})
}

async fn resolve(client: &Client, bearer: &str, order: &str, body: Value) -> Answer {
    client.post(&format!("/v1/admin/orders/{order}/resolve"), &body).bearer(bearer).send().await
}

async fn metrics(client: &Client) -> String {
    client.get("/metrics").send().await.expect(200).text
}

/// A shop whose buyer has five pieces of 10.00, and staff.
async fn shop(store: &TestStore) -> (Market, String) {
    let server = Server::start(store).await;
    let market = server.client.market(9).await;
    server.client.set_line(&market.buyer, &market.sku, 5).await.expect(200);
    server.stop().await;
    (market, token(&Bearer::Staff("rina".into(), Permissions::ALL)))
}

on_both_stores! {
    /// A store that was taken back from a backup gives an order the id of one that was lost, and the provider has been paid for that one: no
    /// key is used a second time, so the new order is paid by itself, and what was paid for the lost one is found.
    async fn a_lost_lifes_payment_pays_for_no_order_of_a_new_one(store) {
        let (Market { admin, buyer, .. }, _) = shop(&store).await;
        let order = charged_before(&store, &buyer, 1_000);
        let server = Server::start(&store).await;
        let client = server.client;
        let paid = client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        assert_eq!((paid.field("id"), paid.field("status")), (order.as_str(), "paid"));
        let path = format!("/v1/admin/sandbox/charges?order={order}");
        let charges = client.get(&path).bearer(&admin).send().await.expect(200).body["items"].clone();
        let amounts: Vec<&Value> = charges.as_array().expect("items").iter().map(|charge| &charge["amount"]).collect();
        assert_eq!(amounts.len(), 2, "{charges}");
        assert!(amounts.contains(&&bdt("10.00")) && amounts.contains(&&bdt("50.00")), "{charges}");
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.to_string().contains(&format!("{order}: charged, and the journal knows no such order")), "{report}");
    }

    /// 10.00 moved, and 50.00 was asked for: nothing says that it was 50.00, nothing is sold, and somebody is told.
    async fn another_amount_than_asked_is_no_payment(store) {
        let (Market { admin, vendor, sku, buyer }, staff) = shop(&store).await;
        let server = Server::start(&store).await;
        let client = server.client;
        let order = client.checkout(&buyer, "tok_other_1000_BDT").send().await.expect(201).field("id").to_owned();
        let seen = stuck(&client, &staff, &order).await;
        assert_eq!((seen.field("status"), &seen.body["payment"]["status"]), ("awaiting_payment", &json!("pending")));
        assert_eq!((&seen.body["total"], &seen.body["total_due"]), (&bdt("50.00"), &bdt("50.00")), "{}", seen.text);
        let why = &seen.body["stuck"];
        assert_eq!((&why["why"], &why["told"], &why["given_back"]), (&json!("amount_differs"), &bdt("10.00"), &json!(false)));
        assert_eq!(why["resolve_as"], json!(["retry", "paid", "refunded"]));
        for bearer in [&buyer.token, &staff] {
            let told = timeline(&client, bearer, &order).await;
            let data = &entry(&told, "quarantined")["data"];
            assert_eq!((&data["amount"], &data["reason"]), (&bdt("10.00"), &json!("amount_differs")));
            assert!(told.iter().all(|item| item["type"] != "paid"), "{told:?}");
        }
        assert!(client.order(&buyer.token, &order).await.expect(200).body.get("stuck").is_none());
        let stock = client.stock(&admin, &vendor, &sku).await;
        assert_eq!((&stock["held"], &stock["sold"]), (&json!(5), &json!(0)), "held, and not sold");
        let text = metrics(&client).await;
        assert!(text.contains(r#"haat_orders_quarantined_total{why="amount_differs"} 1"#), "{text}");

        // It is found, also after a restart, and its row stands as the order does.
        server.stop().await;
        let server = Server::start(&store).await;
        let client = server.client;
        let listed = until("listed", async || {
            let page = client.get("/v1/admin/orders/stuck").bearer(&staff).send().await.expect(200);
            page.body["items"].as_array().filter(|items| !items.is_empty()).cloned()
        })
        .await;
        assert_eq!((listed.len(), &listed[0]["id"], &listed[0]["stuck"]["told"]), (1, &json!(order), &bdt("10.00")));
        until("counted", async || metrics(&client).await.contains("haat_orders_stuck 1").then_some(())).await;
        let row = until("a row", async || {
            let page = client.get("/v1/orders").bearer(&staff).send().await.expect(200);
            page.body["items"].as_array().and_then(|items| items.iter().find(|row| row["id"] == order)).cloned()
        })
        .await;
        assert_eq!((&row["total_due"], &row["payment"]["status"]), (&bdt("50.00"), &json!("pending")));

        // Who may, what fits, and what it must say.
        let path = format!("/v1/admin/orders/{order}/resolve");
        let good = json!({"as": "refunded", "reference": "re_1", "note": "sent back by hand"});
        for bearer in [&buyer.token, &token(&Bearer::owner_of(vendor.parse().expect("an id")))] {
            client.post(&path, &good).bearer(bearer).send().await.expect(403);
            client.get("/v1/admin/orders/stuck").bearer(bearer).send().await.expect(403);
        }
        client.post(&path, &good).send().await.expect(401);
        for (body, field) in [
            (json!({"as": "retry"}), "note"),
            (json!({"as": "retry", "note": " \n\u{3000}"}), "note"),
            (json!({"as": "retry", "note": "x".repeat(1_001)}), "note"),
            (json!({"as": "retry", "note": "a\u{0}b"}), "note"),
            (json!({"as": "retry", "note": "x", "amount": bdt("50.00")}), "amount"),
            (json!({"as": "voided", "note": "x", "reference": "ch_1"}), "reference"),
            (json!({"as": "paid", "note": "x", "reference": "ch_1"}), "amount"),
            (json!({"as": "paid", "note": "x", "amount": bdt("50.00")}), "reference"),
            (json!({"as": "paid", "note": "x", "amount": bdt("50"), "reference": "ch_1"}), "amount.amount"),
            (json!({"as": "refunded", "note": "x", "reference": " "}), "reference"),
            (json!({"as": "forgotten", "note": "x"}), "as"),
            (json!({"as": "retry", "note": "x", "more": 1}), "more"),
        ] {
            let answer = resolve(&client, &staff, &order, body.clone()).await.expect(422);
            assert_eq!(answer.code(), "invalid_body", "{body}");
            let fields: Vec<&str> = answer.body["errors"].as_array().expect("errors").iter().filter_map(|error| error["field"].as_str()).collect();
            assert!(fields.contains(&field) || answer.text.contains(&format!("`{field}`")), "{body}: {}", answer.text);
        }
        let paid = |amount: &str| json!({"as": "paid", "amount": bdt(amount), "reference": "ch_1", "note": "x"});
        for amount in ["10.00", "49.99", "50.01", "0.00"] {
            let answer = resolve(&client, &staff, &order, paid(amount)).await.expect(422);
            assert_eq!(answer.code(), "amount_differs");
            assert!(answer.text.contains("50.00 BDT"), "{}", answer.text);
        }
        for verb in ["voided", "write_off"] {
            let answer = resolve(&client, &staff, &order, json!({"as": verb, "note": "x"})).await.expect(409);
            assert_eq!(answer.code(), "nothing_to_resolve");
            assert!(answer.text.contains("retry, paid, refunded"), "{}", answer.text);
        }
        let nobody = OrderId::for_attempt(buyer.cart.parse::<CartId>().expect("an id"), 7).to_string();
        assert_eq!(resolve(&client, &staff, &nobody, good.clone()).await.expect(404).code(), "order_unknown");

        // Once, however often it is asked.
        let keyed = || client.post(&path, &good).bearer(&staff).key("way-out").send();
        let done = keyed().await.expect(200);
        assert_eq!(keyed().await.expect(200).header("idempotent-replayed"), Some("true"));
        assert!(done.body.get("stuck").is_none(), "{}", done.text);
        let ended = status(&client, &staff, &order, "cancelled").await;
        assert_eq!((&ended.body["total_due"], &ended.body["payment"]["status"]), (&bdt("0.00"), &json!("refunded")));
        let told = timeline(&client, &staff, &order).await;
        assert_eq!(entry(&told, "payment_refunded")["data"]["amount"], bdt("10.00"));
        assert_eq!(
            entry(&told, "resolved")["data"]["resolution"],
            json!({"as": "refunded", "by": "rina", "note": "sent back by hand", "reference": "re_1"})
        );
        assert_eq!(told.iter().filter(|item| item["type"] == "resolved").count(), 1);
        let told = timeline(&client, &buyer.token, &order).await;
        assert_eq!(entry(&told, "resolved")["data"], json!({"reason": "refunded"}));
        let stock = client.stock(&admin, &vendor, &sku).await;
        assert_eq!((&stock["held"], &stock["sold"]), (&json!(0), &json!(0)));
        let cart = client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await.expect(200);
        assert_eq!(cart.field("status"), "open");
        let late = resolve(&client, &staff, &order, json!({"as": "retry", "note": "x"})).await.expect(409);
        assert_eq!(late.code(), "nothing_to_resolve");
        let page = client.get("/v1/admin/orders/stuck").bearer(&admin).send().await.expect(200);
        assert_eq!(page.body["items"], json!([]));
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
        assert!(report.to_string().contains("1 order settled by hand"), "{report}");
    }

    /// In another currency, or in any other amount, it is no payment either; made good outside, the order goes on.
    async fn whatever_else_moved_can_be_made_good(store) {
        for (minor, currency) in [(5_000, "USD"), (5_001, "BDT"), (4_999, "BDT"), (0, "BDT")] {
            let (Market { admin, vendor, sku, buyer }, staff) = shop(&store).await;
            let server = Server::start(&store).await;
            let client = server.client;
            let other = format!("tok_other_{minor}_{currency}");
            let order = client.checkout(&buyer, &other).send().await.expect(201).field("id").to_owned();
            let seen = stuck(&client, &staff, &order).await;
            assert_eq!(seen.body["stuck"]["told"]["currency"], currency, "{}", seen.text);
            // The same step again brings the same answer, and stands in the timeline.
            let retry = json!({"as": "retry", "note": "once more"});
            resolve(&client, &staff, &order, retry).await.expect(200);
            until("stuck again", async || {
                let told = timeline(&client, &staff, &order).await;
                (told.iter().filter(|item| item["type"] == "quarantined").count() == 2).then_some(())
            })
            .await;
            let paid = json!({"as": "paid", "amount": bdt("50.00"), "reference": "ch_9", "note": "by bank transfer"});
            resolve(&client, &staff, &order, paid).await.expect(200);
            let ended = status(&client, &buyer.token, &order, "paid").await;
            assert_eq!((&ended.body["total_due"], &ended.body["payment"]["status"]), (&bdt("0.00"), &json!("captured")));
            until("sold", async || (client.stock(&admin, &vendor, &sku).await["sold"] == 5).then_some(())).await;
            server.stop().await;
        }
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }

    /// A void that is refused for good is not asked for ever; each way out ends as it should.
    async fn a_void_that_is_refused_for_good_waits_for_someone(store) {
        let server = Server::start(&store).await;
        let client = server.client;
        let staff = token(&Bearer::Staff("rina".into(), Permissions::ALL));
        for (body, end, payment) in [
            (json!({"as": "refunded", "reference": "re_1", "note": "by hand"}), "cancelled", "refunded"),
            (json!({"as": "paid", "amount": bdt("10.00"), "reference": "ch_1", "note": "they want it"}), "paid", "captured"),
        ] {
            let Market { admin, vendor, sku, buyer } = client.market(5).await;
            let order = client.checkout(&buyer, "tok_void_refused").send().await.expect(201).field("id").to_owned();
            until("charged", async || {
                let path = format!("/v1/admin/sandbox/charges?order={order}");
                let charges = client.get(&path).bearer(&admin).send().await.expect(200);
                (charges.body["items"][0]["status"] == "charged").then_some(())
            })
            .await;
            client.post(&format!("/v1/orders/{order}/cancel"), &json!({})).bearer(&buyer.token).send().await.expect(200);
            let seen = stuck(&client, &staff, &order).await;
            let why = &seen.body["stuck"];
            assert_eq!((&why["why"], &why["told"]), (&json!("void_refused"), &bdt("10.00")), "{}", seen.text);
            assert_eq!(why["reason"], "charge_not_refundable");
            // What the provider keeps is paid or given back.
            assert_eq!(why["resolve_as"], json!(["retry", "paid", "refunded"]));
            let ends = resolve(&client, &staff, &order, json!({"as": "write_off", "note": "never mind"})).await;
            assert_eq!(ends.expect(409).code(), "nothing_to_resolve");
            assert_eq!(client.stock(&admin, &vendor, &sku).await["held"], 1);
            resolve(&client, &staff, &order, body.clone()).await.expect(200);
            let ended = status(&client, &staff, &order, end).await;
            assert_eq!((&ended.body["payment"]["status"], &ended.body["total_due"]), (&json!(payment), &bdt("0.00")), "{body}");
            let sold = i64::from(end == "paid");
            until("settled", async || {
                let stock = client.stock(&admin, &vendor, &sku).await;
                (stock["held"] == 0).then(|| assert_eq!(stock["sold"], sold, "{body}"))
            })
            .await;
        }
        let text = metrics(&client).await;
        assert!(text.contains(r#"haat_orders_quarantined_total{why="void_refused"} 2"#), "{text}");
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }

    /// A vendor whose records cannot be read answers nobody. Its paid order is led out, and what it holds is sold when it is back.
    async fn a_silent_vendor_keeps_no_order_waiting_for_ever(store) {
        let gate = Gate::default();
        let wrapped = gate.clone();
        let on_decide: haat::actors::DecideHook = Arc::new(|entity, command| {
            let is = |kind, word: &str| entity.kind == kind && format!("{command:?}").starts_with(word);
            assert!(!is(Kind::Vendor, "Commit") && !is(Kind::Order, "Cancel"), "forced by a test");
        });
        let journal: haat::app::WrapJournal = Arc::new(move |journal| wrapped.wrap(journal));
        let hooks = Hooks { on_decide: Some(on_decide), journal: Some(journal), ..Hooks::default() };
        let server = Server::start_with(store.server(), hooks).await;
        let client = server.client;
        let staff = token(&Bearer::Staff("rina".into(), Permissions::ALL));
        let Market { admin, vendor, sku, buyer } = client.market(5).await;
        let other = client.buyer(&sku, 1).await;
        let lost = client.checkout(&other, "tok_slow_60000").send().await.expect(201).field("id").to_owned();
        gate.damage();
        let order = client.checkout(&buyer, "tok_approve").send().await.expect(201).field("id").to_owned();
        status(&client, &buyer.token, &order, "paid").await;
        let path = format!("/v1/vendors/{vendor}/skus/{sku}");
        until("silent", async || {
            let seen = client.get(&path).bearer(&admin).send().await;
            (seen.code() == "quarantined").then_some(())
        })
        .await;
        let retry = || resolve(&client, &staff, &order, json!({"as": "retry", "note": "x"}));
        let early = retry().await.expect(409);
        assert_eq!(early.code(), "nothing_to_resolve", "an answer may take a while");
        assert!(client.order(&staff, &order).await.expect(200).body.get("stuck").is_none());
        let clock = server.shop.clock();
        clock.advance_to(clock.now().plus_millis(limits::STUCK_AFTER_MS));
        let why = stuck(&client, &staff, &order).await.body["stuck"].clone();
        assert_eq!((&why["why"], &why["resolve_as"]), (&json!("no_answer"), &json!(["retry", "write_off"])));
        retry().await.expect(200);
        stuck(&client, &staff, &order).await;
        let write_off = json!({"as": "write_off", "note": "the vendor's disk is being mended"});
        let done = resolve(&client, &staff, &order, write_off).await.expect(200);
        assert_eq!((done.field("status"), done.body.get("stuck")), ("paid", None));
        until("closed", async || {
            let cart = client.get(&format!("/v1/carts/{}", buyer.cart)).bearer(&buyer.token).send().await.expect(200);
            (cart.field("status") == "checked_out").then_some(())
        })
        .await;

        // What cannot be read itself is not resolved by anybody.
        let cancel = || client.post(&format!("/v1/orders/{lost}/cancel"), &json!({})).bearer(&other.token).send();
        assert_eq!(cancel().await.expect(503).code(), "actor_restarting");
        until("quarantined", async || (cancel().await.code() == "quarantined").then_some(())).await;
        assert_eq!(resolve(&client, &staff, &lost, json!({"as": "retry", "note": "x"})).await.expect(503).code(), "quarantined");
        server.stop().await;

        let server = Server::start(&store).await;
        let client = server.client;
        // The order that could not be read is past its time to pay, and lets go of what it held. Nothing is free that was paid.
        status(&client, &staff, &lost, "expired").await;
        until("released", async || {
            let stock = client.stock(&admin, &vendor, &sku).await;
            assert_eq!(stock["sold"], 0, "{stock}");
            (stock["held"] == 1).then_some(())
        })
        .await;
        let clock = server.shop.clock();
        clock.advance_to(clock.now().plus_millis(limits::HOLD_MS));
        // Whatever it does next, it sees that the time of its hold is over, and asks.
        let change = json!({"delta": 1, "reason": "found"});
        client.post(&format!("{path}/stock"), &change).bearer(&admin).send().await.expect(200);
        until("sold", async || {
            let stock = client.stock(&admin, &vendor, &sku).await;
            (stock["sold"] == 1 && stock["held"] == 0).then_some(())
        })
        .await;
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }
}
