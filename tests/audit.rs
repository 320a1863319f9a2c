//! The operators' tools, over stores that a real server wrote: what is sound passes on both stores, also beside the server, and every
//! kind of damage is found by the check that is there for it.

#[path = "audit/room.rs"]
mod room;
mod support;

use haat::app::audit::{Report, audit};
use haat::app::journal::Selection;
use haat::app::replay::Until;
use haat::app::{journal, replay};
use haat::domain::details::Detail;
use haat::domain::ids::{EntityRef, Kind};
use haat::domain::time::Timestamp;
use haat::http::auth::Bearer;
use haat::persistence::log_writer::decode;
use haat::persistence::{self, Mode, Options, Place, StoreConfig};
use haat::ports::{Codec, Frame, Store};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use support::{Kind as Database, Server, TestStore, token};
use tempfile::TempDir;
use uuid::Uuid;

const LEDGER: &str = "sandbox-ledger.jsonl";

/// Sells three of five pieces, lets one card be declined and one order be cancelled in the middle of its payment.
async fn trade(server: &Server) -> String {
    let admin = token(&Bearer::Admin("root".into()));
    let (_, sku) = server.client.shop(&admin, "12.50", 5).await;
    let mut paid = String::new();
    for _ in 0..3 {
        let buyer = server.client.buyer(&sku, 1).await;
        let order = server.client.checkout(&buyer, "tok_approve").header("prefer", "wait=30").send().await.expect(201);
        order.field("id").clone_into(&mut paid);
    }
    let buyer = server.client.buyer(&sku, 2).await;
    server.client.checkout(&buyer, "tok_decline").header("prefer", "wait=30").send().await;
    // The same cart again, and this time with a payment that is cancelled while it runs: for much longer than this takes.
    let slow = server.client.checkout(&buyer, "tok_slow_60000").send().await.expect(201);
    let cancel = format!("/v1/orders/{}/cancel", slow.field("id"));
    let client = server.client;
    let asked = client.post(&cancel, &serde_json::json!({})).bearer(&buyer.token).send().await;
    assert!(asked.status < 300, "{}", asked.text);
    let ended = async {
        while client.order(&buyer.token, slow.field("id")).await.field("status") != "cancelled" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("the order ends");
    paid
}

/// A store on which there was trade and from which the server has gone in order; and a paid order of it.
async fn traded() -> (TestStore, EntityRef) {
    let store = TestStore::new(Database::Sqlite).await;
    let server = Server::start(&store).await;
    let paid = trade(&server).await;
    server.stop().await;
    (store, paid.parse().expect("an id"))
}

/// Beside whatever goes on.
async fn audited_beside(store: &TestStore) -> Report {
    audit(&store.config(), store.data_dir()).await.expect("the store can be looked at")
}

/// Of a store at rest; and the same is found however finely it is divided what the audit puts aside.
async fn audited(store: &TestStore) -> Report {
    let report = audited_beside(store).await;
    room::assert_same_if_divided(store, &report).await;
    report
}

/// Exactly these checks found something; in words, all of it.
#[track_caller]
fn only(report: &Report, checks: &[&str]) -> String {
    let found: Vec<&str> =
        report.findings.iter().filter(|finding| finding.breaches.count() > 0).map(|finding| finding.check).collect();
    assert_eq!(found, checks, "{report}");
    report.to_string()
}

/// Changes something behind the server's back.
async fn change(store: &TestStore, sql: &'static str) -> u64 {
    let url = format!("sqlite://{}", store.data_dir().join("haat.db").display());
    let mut connection = SqliteConnection::connect(&url).await.expect("the store's file");
    let done = sqlx::query(sql).execute(&mut connection).await.expect("a statement");
    connection.close().await.expect("closed");
    done.rows_affected()
}

on_both_stores! {
    /// A sound store is clean: beside the server while snapshots are still behind, and after the server has gone.
    async fn a_sound_store_is_clean(store) {
        let server = Server::start(&store).await;
        trade(&server).await;
        let beside = audited_beside(&store).await;
        assert!(beside.is_clean(), "{beside}");
        server.stop().await;
        let after = audited(&store).await;
        only(&after, &[]);
        let looked_at = |check: &str| after.of(check).expect("a check").looked_at.clone();
        assert!(looked_at("journal").ends_with("frames of 16 partitions: dense, in order"), "{after}");
        assert!(looked_at("entities").starts_with("4 carts, 5 orders, 1 vendor, 0 customers, 0 coupons and 0 rooms"), "{after}");
        assert!(looked_at("stock").starts_with("1 SKU: 5 received, 3 sold to orders"), "{after}");
        assert!(looked_at("carts").starts_with("5 orders of 4 carts, 3 paid and 2 ended unpaid"), "{after}");
        assert!(looked_at("snapshots").starts_with("10 snapshots, 10 of the newest version"), "{after}");
        assert!(looked_at("tables").starts_with("8 rows of"), "{after}");
        assert!(looked_at("money").contains("3 paid orders charged once each, together 37.50 BDT"), "{after}");
    }

    /// While buyers come and go, an audit beside the server sees one moment: it never takes a message under way for a breach.
    async fn an_audit_in_the_middle_of_a_rush_is_clean(store) {
        let server = Server::start(&store).await;
        let admin = token(&Bearer::Admin("root".into()));
        let (_, sku) = server.client.shop(&admin, "12.50", 40).await;
        let client = server.client;
        let mut buyers = tokio::task::JoinSet::new();
        for number in 0..120 {
            let sku = sku.clone();
            buyers.spawn(async move {
                let buyer = client.buyer(&sku, 1).await;
                let card = ["tok_approve", "tok_decline", "tok_slow_40"][number % 3];
                let answer = client.checkout(&buyer, card).header("prefer", "wait=30").send().await;
                // Made, or sold out: nothing else is to come of it.
                assert!(answer.status == 201 || answer.code() == "out_of_stock", "{}", answer.text);
            });
        }
        while !buyers.is_empty() {
            let report = audited_beside(&store).await;
            assert!(report.is_clean(), "{report}");
            while let Some(buyer) = buyers.try_join_next() {
                buyer.expect("no panic");
            }
        }
        server.stop().await;
        let report = audited(&store).await;
        assert!(report.is_clean(), "{report}");
        let stock = &report.of("stock").expect("a check").looked_at;
        assert!(!stock.contains(", 0 sold"), "nothing was sold in the rush: {stock}");
    }
}

/// What breaks while nobody looks is found by the running server itself: it takes the SKU, or the order, out of service and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_finds_what_is_broken_and_goes_on_without_it() {
    let store = TestStore::new(Database::Sqlite).await;
    let server = Server::start(&store).await;
    let admin = token(&Bearer::Admin("root".into()));
    let (_, broken) = server.client.shop(&admin, "12.50", 7).await;
    let (_, sound) = server.client.shop(&admin, "20.00", 5).await;
    let buyer = server.client.buyer(&sound, 1).await;
    let paid = server.client.checkout(&buyer, "tok_approve").header("prefer", "wait=30").send().await.expect(201);
    server.stop().await;
    let more_than_came =
        "UPDATE snapshot SET state = CAST(replace(CAST(state AS TEXT), '\"on_hand\":7', '\"on_hand\":9') AS BLOB)
        WHERE part LIKE 'sku%'";
    change(&store, more_than_came).await;
    let paid_twice =
        "UPDATE snapshot SET state = CAST(replace(CAST(state AS TEXT), '\"paid\":2000', '\"paid\":4000') AS BLOB)
        WHERE kind = 'order' AND CAST(state AS TEXT) LIKE '%\"paid\":2000%'";
    assert_eq!(change(&store, paid_twice).await, 1);
    // As after a crash: everything is replayed over its snapshot, and so belongs to the first checkpoint.
    assert_eq!(change(&store, "UPDATE partition SET checkpoint_seq = 0").await, 16);

    let server = Server::start(&store).await;
    let client = server.client;
    let available = async |sku: &str| {
        client.get(&format!("/v1/skus/{sku}")).send().await.expect(200).body["available"].as_i64().expect("a count")
    };
    while available(&broken).await != 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    while client.order(&buyer.token, paid.field("id")).await.code() != "quarantined" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let metrics = client.get("/metrics").send().await.expect(200).text;
    for invariant in ["stock_adds_up", "a_share_is_paid_once"] {
        assert!(
            metrics.contains(&format!("haat_invariant_breaches_total{{invariant=\"{invariant}\"}} 1")),
            "{metrics}"
        );
    }
    assert_eq!(available(&sound).await, 4);
    let another = client.buyer(&sound, 1).await;
    let order = client.checkout(&another, "tok_approve").header("prefer", "wait=30").send().await.expect(201);
    assert_eq!(order.field("status"), "paid");
    server.stop().await;
}

#[tokio::test]
async fn a_changed_stock_row_is_found() {
    let (store, _) = traded().await;
    assert_eq!(change(&store, "UPDATE skus SET on_hand = on_hand - 1").await, 1);
    let told = only(&audited(&store).await, &["tables"]);
    assert!(told.contains("its row says on_hand: 1, its entity on_hand: 2"), "{told}");
}

/// Of sales and coupons, too.
#[tokio::test]
async fn a_changed_sale_and_a_lost_coupon_are_found() {
    let store = TestStore::new(Database::Sqlite).await;
    let server = Server::start(&store).await;
    let admin = token(&Bearer::Admin("root".into()));
    let (vendor, sku) = server.client.shop(&admin, "12.50", 5).await;
    let price = serde_json::json!({"amount": "10.00", "currency": "BDT"});
    let sale = serde_json::json!({
        "name": "11.11", "starts_at": "2020-11-11T00:00:00Z", "ends_at": "2099-11-11T00:00:00Z", "time_zone": "UTC",
        "items": [{"sku_id": sku, "price": price, "allotment": 3}],
    });
    let path = format!("/v1/vendors/{vendor}/sales");
    server.client.post(&path, &sale).bearer(&admin).send().await.expect(201);
    let coupon = serde_json::json!({
        "code": "EID10", "kind": "percent", "basis_points": 1000, "starts_at": "2020-11-11T00:00:00Z",
        "ends_at": "2099-11-11T00:00:00Z",
    });
    server.client.post("/v1/coupons", &coupon).bearer(&admin).send().await.expect(201);
    server.stop().await;
    assert!(audited(&store).await.is_clean());
    assert_eq!(change(&store, "UPDATE sales SET document = replace(document, '11.11', '12.12')").await, 1);
    assert_eq!(change(&store, "DELETE FROM coupons").await, 1);
    let told = only(&audited(&store).await, &["tables"]);
    assert!(told.contains("12.12") && told.contains("coupon_"), "{told}");
}

/// Parcels and what is sent back have rows of their own.
#[tokio::test]
async fn a_lost_parcel_and_a_changed_return_are_found() {
    let (store, order) = {
        let store = TestStore::new(Database::Sqlite).await;
        let server = Server::start(&store).await;
        let (admin, client) = (token(&Bearer::Admin("root".into())), server.client);
        let (_, sku) = client.shop(&admin, "12.50", 5).await;
        let buyer = client.buyer(&sku, 2).await;
        let order = client.checkout(&buyer, "tok_approve").header("prefer", "wait=30").send().await.expect(201);
        let sub = order.body["sub_orders"][0]["id"].as_str().expect("an id").to_owned();
        let share = format!("/v1/orders/{}/sub-orders/{sub}", order.field("id"));
        let one = json!({"lines": [{"sku_id": sku, "quantity": 1}]});
        for _ in 0..2 {
            let made = client.post(&format!("{share}/shipments"), &one).bearer(&admin).send().await.expect(201);
            let deliver = format!("{share}/shipments/{}/deliver", made.field("id"));
            client.post(&deliver, &json!({})).bearer(&admin).send().await.expect(200);
        }
        let back = json!({"lines": one["lines"], "reason": "damaged"});
        client.post(&format!("{share}/returns"), &back).bearer(&buyer.token).send().await.expect(201);
        let order: EntityRef = order.field("id").parse().expect("an id");
        server.stop().await;
        (store, order)
    };
    assert!(audited(&store).await.is_clean());
    let lost = change(&store, "DELETE FROM shipments WHERE id = (SELECT min(id) FROM shipments)").await;
    assert_eq!(lost, 1);
    let told = only(&audited(&store).await, &["tables"]);
    assert!(told.contains(&format!("order {order}: its row says")), "{told}");
    assert_eq!(change(&store, "DELETE FROM shipments").await, 1);
    assert_eq!(change(&store, "UPDATE returns SET document = replace(document, 'requested', 'approved')").await, 1);
    let told = only(&audited(&store).await, &["tables"]);
    assert!(told.contains("its row says shipments: []"), "{told}");
}

#[tokio::test]
async fn a_lost_order_row_is_found() {
    let (store, paid) = traded().await;
    change(&store, "UPDATE orders SET document = '{\"lines\": []}'").await;
    let told = only(&audited(&store).await, &["tables"]);
    assert!(told.contains(&format!("order {paid}: its row says lines: []")), "{told}");
}

#[tokio::test]
async fn a_missing_frame_is_found_with_the_records_it_held() {
    let (store, _) = traded().await;
    // The first frame with the second record of something that has a third.
    change(
        &store,
        "DELETE FROM journal WHERE (partition, seq) = (
        SELECT partition, min(seq) FROM journal WHERE records > 0 AND partition = (
            SELECT partition FROM snapshot WHERE kind = 'vendor' LIMIT 1))",
    )
    .await;
    let report = audited(&store).await;
    let told = report.to_string();
    assert!(report.of("journal").is_some_and(|finding| finding.breaches.count() == 1), "{told}");
    assert!(told.contains("frame 3 follows frame 1: frames are missing"), "{told}");
    assert!(told.contains("follows version 0: a record is missing"), "{told}");
}

#[tokio::test]
async fn a_missing_last_frame_is_found_by_the_snapshot_it_led_to() {
    let (store, paid) = traded().await;
    let partition = paid.partition(16);
    let sql = format!(
        "DELETE FROM journal WHERE partition = {partition} AND seq = (
        SELECT max(seq) FROM journal WHERE partition = {partition})"
    );
    change(&store, sql.leak()).await;
    let told = audited(&store).await.to_string();
    assert!(told.contains("its checkpoint is"), "{told}");
    assert!(told.contains(": its snapshot has version"), "{told}");
}

#[tokio::test]
async fn a_snapshot_that_differs_is_found() {
    let (store, _) = traded().await;
    let sku = "UPDATE snapshot SET state = CAST(replace(CAST(state AS TEXT), '\"on_hand\":2', '\"on_hand\":4') AS BLOB)
        WHERE part LIKE 'sku_%'";
    assert_eq!(change(&store, sku).await, 1);
    let told = only(&audited(&store).await, &["snapshots"]);
    assert!(told.contains("(on_hand: 4 instead of 2)"), "{told}");
    // A part too many, and an entity that has none although the checkpoint has passed it.
    change(
        &store,
        "INSERT INTO snapshot SELECT kind, entity, 'hold/x', partition, version, NULL, state FROM snapshot
        WHERE kind = 'vendor' AND part = ''",
    )
    .await;
    change(&store, "DELETE FROM snapshot WHERE kind = 'order'").await;
    let told = only(&audited(&store).await, &["snapshots"]);
    assert!(told.contains("its snapshot cannot be read: snapshot part 'hold/x'"), "{told}");
    assert!(told.contains("it has no snapshot, and the checkpoint says"), "{told}");
}

#[tokio::test]
async fn a_doubled_and_a_changed_payment_are_found() {
    let (store, paid) = traded().await;
    let path = store.data_dir().join(LEDGER);
    let charge_log = fs::read_to_string(&path).expect("a ledger");
    let line = charge_log.lines().find(|line| line.contains(&paid.to_string())).expect("its charge").to_owned();
    fs::write(&path, format!("{charge_log}{line}\n")).expect("written");
    let told = only(&audited(&store).await, &["money"]);
    assert!(told.contains(&format!("{paid} goes from charged to charged")), "{told}");
    // Another amount; a charge that never came; a charge for nobody.
    fs::write(&path, charge_log.replace(&line, &line.replace("1250", "1251"))).expect("written");
    let told = only(&audited(&store).await, &["money"]);
    assert!(told.contains("paid 12.50 BDT, and the ledger says charged 12.51 BDT"), "{told}");
    fs::write(&path, charge_log.replace(&format!("{line}\n"), "")).expect("written");
    let told = only(&audited(&store).await, &["money"]);
    assert!(told.contains(&format!("{paid}: paid 12.50 BDT, and never charged")), "{told}");
    let nobody = "order_01h2xcejqtf2nbrexx3vqjhp41";
    fs::write(&path, format!("{charge_log}{}\n", line.replace(&paid.to_string(), nobody))).expect("written");
    let told = only(&audited(&store).await, &["money"]);
    assert!(told.contains(&format!("{nobody}: charged, and the journal knows no such order")), "{told}");
    fs::remove_file(&path).expect("removed");
    let report = audited(&store).await;
    assert!(report.is_clean() && report.to_string().contains("not checked"), "{report}");
}

/// A store with the same journal but for what `edit` takes out or changes, and with nothing else.
async fn retold(from: &TestStore, edit: impl Fn(&mut Vec<Value>)) -> TestStore {
    let to = TestStore::new(Database::Sqlite).await;
    fs::copy(from.data_dir().join(LEDGER), to.data_dir().join(LEDGER)).expect("the ledger");
    let source = persistence::open(&from.config(), Mode::Tool).await.expect("the old store");
    let target = persistence::open(&to.config(), Mode::Serve).await.expect("a new store");
    let now = Timestamp::from_millis(1);
    let taken = target.journal.acquire("a test", Duration::from_millis(1), now).await.expect("taken");
    let mut versions: HashMap<String, u64> = HashMap::new();
    let mut details = all_details(&source).await;
    for partition in taken {
        let mut seq = partition.tail_seq;
        for mut frame in all_frames(&source, partition.id).await.into_iter().filter(|frame| frame.records > 0) {
            let lines = decode(&frame).expect("a frame");
            let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let mut records = lines.map(|line| serde_json::from_slice(line).expect("a record")).collect();
            edit(&mut records);
            seq += 1;
            (frame.seq, frame.epoch) = (seq, partition.epoch);
            (frame.codec, frame.records, frame.payload) = (Codec::Plain, records.len() as u32, Vec::new());
            for mut record in records {
                let version = versions.entry(record["e"].as_str().expect("an entity").to_owned()).or_default();
                *version += 1;
                record["v"] = (*version).into();
                frame.payload.extend(serde_json::to_vec(&record).expect("JSON"));
                frame.payload.push(b'\n');
            }
            target.journal.append(&[frame], &std::mem::take(&mut details)).await.expect("appended");
        }
    }
    to
}

async fn all_details(store: &Store) -> Vec<Detail> {
    let places = store.details.scan_details(None, u32::MAX).await.expect("details");
    let mut all = Vec::new();
    for (order, name, _) in places {
        let kept = store.details.details(&[order], name).await.expect("a detail");
        all.extend(kept.into_iter().map(|kept| Detail { order, name, body: kept.body.expect("not erased").into() }));
    }
    all
}

async fn all_frames(store: &Store, partition: u16) -> Vec<Frame> {
    store.journal.frames(partition, 0, usize::MAX / 2).await.expect("frames")
}

fn is(record: &Value, kind: &str, event: &str) -> bool {
    record["e"].as_str().is_some_and(|entity| entity.starts_with(kind)) && record["ev"][0]["type"] == event
}

#[tokio::test]
async fn an_order_paid_without_its_stock_is_found() {
    let (store, paid) = traded().await;
    let same = retold(&store, |_| {}).await;
    only(&audited(&same).await, &[]);

    let of = |record: &Value| record["ev"][0]["order"] == paid.to_string();
    let unsold = retold(&store, |records| {
        records.retain(|record| !(is(record, "vendor_", "hold_committed") && of(record)));
    })
    .await;
    let told = only(&audited(&unsold).await, &["stock"]);
    assert!(told.contains(&format!("{paid}, settled of vendor_")), "{told}");
    assert!(told.contains("paid and settled without its stock: nothing was sold to it"), "{told}");
    assert!(told.contains("received 5, on hand 3, sold to orders 3: they do not add up"), "{told}");
}

#[tokio::test]
async fn stock_sold_to_an_order_that_was_let_go_is_found() {
    let (store, _) = traded().await;
    let sold = retold(&store, |records| {
        for record in records.iter_mut().filter(|record| is(record, "vendor_", "stock_released")) {
            let order = record["ev"][0]["order"].clone();
            record["ev"] = serde_json::json!([{"type": "stock_committed", "order": order}]);
        }
    })
    .await;
    let told = only(&audited(&sold).await, &["entities", "stock"]);
    assert!(told.contains("sold, and the order is not paid"), "{told}");
}

#[tokio::test]
async fn a_cart_that_is_open_beside_its_paid_order_is_found_and_one_that_is_not_closed_yet_is_told() {
    let (store, _) = traded().await;
    let is_close = |record: &Value| is(record, "cart_", "cart_checked_out");
    let is_checkout = |record: &Value| is_close(record) || is(record, "cart_", "checkout_started");
    let open = retold(&store, |records| records.retain(|record| !is_checkout(record))).await;
    let told = only(&audited(&open).await, &["carts"]);
    assert!(told.contains("is not checked out with it: open"), "{told}");
    let closing = retold(&store, |records| records.retain(|record| !is_close(record))).await;
    let told = audited(&closing).await.to_string();
    assert!(told.contains("3 carts yet to hear that the order is paid"), "{told}");
}

#[tokio::test]
async fn an_amount_that_does_not_add_up_is_found() {
    let (store, _) = traded().await;
    let cheaper = retold(&store, |records| {
        for record in records.iter_mut().filter(|record| is(record, "order_", "paid")) {
            record["ev"][0]["amount"] = 1.into();
        }
    })
    .await;
    let told = only(&audited(&cheaper).await, &["entities", "money"]);
    assert!(told.contains("a_paid_order_is_paid_once"), "{told}");
    assert!(told.contains("paid 0.00 BDT, and the ledger says charged 12.50 BDT"), "{told}");
}

/// The records of these events follow the settling of this order.
async fn with_events(store: &TestStore, paid: EntityRef, events: &[Value]) -> TestStore {
    retold(store, |records| {
        let settled = |record: &Value| {
            let mut events = record["ev"].as_array().expect("events").iter();
            record["e"] == paid.to_string() && events.any(|event| event["type"] == "settled")
        };
        let Some(place) = records.iter().position(settled) else { return };
        let of = |event: &Value| {
            let mut record = records[place].clone();
            record["ev"] = json!([event]);
            record
        };
        let more: Vec<Value> = events.iter().map(of).collect();
        records.splice(place + 1..place + 1, more);
    })
    .await
}

#[tokio::test]
async fn disputes_that_do_not_add_up_are_found() {
    let (store, paid) = traded().await;
    let source = persistence::open(&store.config(), Mode::Tool).await.expect("the store");
    let mut share = Value::Null;
    for partition in source.journal.partitions().await.expect("partitions") {
        for frame in all_frames(&source, partition.id).await {
            let lines = decode(&frame).expect("a frame");
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let record: Value = serde_json::from_slice(line).expect("a record");
                if is(&record, "vendor_", "stock_held") && record["ev"][0]["order"] == paid.to_string() {
                    share = json!({"vendor": record["e"], "sku": record["ev"][0]["lines"][0]["sku"]});
                }
            }
        }
    }
    let amount = json!({"minor": 1250, "currency": "BDT"});
    let opened = json!({"type": "dispute_opened", "dispute": "dp_1", "amount": amount, "reason": "fraudulent"});
    let won = json!({"type": "dispute_won", "dispute": "dp_1"});
    let lost = |credited: i64| {
        let lines = json!([{"sku": share["sku"], "amount": credited}]);
        let id = "credit_01h2xcejqtetzrb4e67qh1h0g1";
        let credit = json!({"id": id, "vendor": share["vendor"], "lines": lines, "reason": "dispute_lost"});
        let shares = json!([{"vendor": share["vendor"], "amount": 1250, "credit": credit}]);
        json!({"type": "dispute_lost", "dispute": "dp_1", "amount": amount, "shares": shares})
    };
    let disputed = async |events: &[Value]| audited(&with_events(&store, paid, events).await).await;
    for events in [&[opened.clone()][..], &[opened.clone(), won.clone()], &[opened.clone(), lost(1250)]] {
        let told = only(&disputed(events).await, &[]);
        assert!(told.contains("refunds: 0 refunds and 1 dispute of"), "{told}");
    }
    for (events, checks, told) in [
        (&[opened.clone(), opened.clone()][..], &["refunds"][..], "dispute dp_1 is opened twice"),
        (&[won], &["refunds"], "dispute dp_1 is over, and was never opened"),
        (&[opened.clone(), lost(1249)], &["refunds"], "1250 of it to be credited and 0 owed still, not 1249"),
        (&[opened.clone(), lost(1250), lost(1250)], &["entities", "refunds"], "dispute dp_1 is over a second time"),
        (&[opened, lost(1250), lost(1250)], &["entities", "refunds"], "2500 of vendor_"),
    ] {
        let found = only(&disputed(events).await, checks);
        assert!(found.contains(told), "{told}: {found}");
    }
}

fn config(directory: &Path) -> StoreConfig {
    StoreConfig { place: Place::Sqlite(directory.to_owned()), archive: None, options: Options::default() }
}

#[tokio::test]
async fn where_there_is_no_store_it_is_said_how_to_make_one() {
    let directory = TempDir::new().expect("a directory");
    for place in [directory.path().to_owned(), directory.path().join("nowhere")] {
        let error = audit(&config(&place), &place).await.expect_err("no store").to_string();
        assert!(error.contains("`haat serve` makes one") && error.contains(&*place.to_string_lossy()), "{error}");
        assert!(!place.join("haat.db").exists(), "looking made a store");
    }
    fs::write(directory.path().join("haat.db"), "").expect("a file");
    let error = audit(&config(directory.path()), directory.path()).await.expect_err("no schema").to_string();
    assert!(error.contains("`haat serve` makes one"), "{error}");
    fs::write(directory.path().join("haat.db"), "this is no database, whatever its name says").expect("a file");
    audit(&config(directory.path()), directory.path()).await.expect_err("no database");
}

#[tokio::test]
async fn the_journal_is_printed_in_order_and_without_tokens() {
    let (store, paid) = traded().await;
    let printed = async |selection: Selection| {
        let mut out = Vec::new();
        journal::print(&store.config(), &selection, &mut out).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(String::from_utf8(out).expect("text"))
    };
    let all = printed(Selection { json: true, ..Selection::default() }).await.expect("the journal");
    let lines: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.is_sorted_by_key(|line| line["committed_at"].as_str().map(str::to_owned)));
    assert!(!all.contains("tok_") && !all.contains("Rahima"), "a payment token, or a name");
    let records = lines.iter().filter(|line| line["version"].is_u64()).count();
    let looked_at = audited(&store).await.of("journal").expect("a check").looked_at.clone();
    assert!(looked_at.starts_with(&format!("{records} records")), "{looked_at}");

    let of_order = printed(Selection { entity: Some(paid), ..Selection::default() }).await.expect("an order");
    assert!(of_order.contains(&format!("  {paid}  v1  ")), "{of_order}");
    assert!(of_order.contains("    settled\n"), "{of_order}");
    assert!(!of_order.contains("\n  cart_"), "{of_order}");
    let some =
        Selection { limit: Some(3), json: true, partition: Some(paid.partition(16)), after: 1, ..Selection::default() };
    assert_eq!(printed(some).await.expect("three records").lines().count(), 3);
    let nobody = EntityRef { kind: Kind::Cart, uuid: Uuid::nil() };
    let error = printed(Selection { entity: Some(nobody), ..Selection::default() }).await.expect_err("nobody");
    assert!(error.contains("the journal has no record of cart_"), "{error}");
}

#[tokio::test]
async fn an_order_is_replayed_to_its_end_to_a_version_or_to_a_moment() {
    let (store, paid) = traded().await;
    let replayed = async |entity: EntityRef, until: Until| {
        let mut out = Vec::new();
        replay::print(&store.config(), entity, until, &mut out).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(String::from_utf8(out).expect("text"))
    };
    let whole = replayed(paid, Until::Newest).await.expect("an order");
    for part in ["v1  placed {", "  status: paid\n", "  phase: settled\n", "  timeline:\n", "  paid  12.50 BDT\n"] {
        assert!(whole.contains(part), "{part}: {whole}");
    }
    assert!(!whole.contains("tok_"), "{whole}");
    let first = replayed(paid, Until::Version(1)).await.expect("its first version");
    assert!(first.contains("after 1 record\n") && first.contains("  status: placed\n"), "{first}");
    let later = replayed(paid, Until::Moment(Timestamp::from_millis(i64::MAX / 2))).await.expect("much later");
    assert_eq!(later, whole);
    for (entity, until, word) in [
        (paid, Until::Version(99), "has come to version"),
        (paid, Until::Moment(Timestamp::from_millis(0)), "has no record at or before 1970-01-01T00:00:00.000Z"),
        (EntityRef { kind: Kind::Vendor, uuid: Uuid::nil() }, Until::Newest, "has no record of vendor_"),
    ] {
        let error = replayed(entity, until).await.expect_err("nothing to show");
        assert!(error.contains(word), "{error}");
    }
}

/// What early versions took is still read: it stays as it is, is noted where it is possible no more, and acts on nobody
/// who looks at it.
#[tokio::test]
async fn what_a_store_of_early_versions_holds_stays_and_acts_on_nobody() {
    const ACTS: [char; 4] = ['\u{202e}', '\u{9b}', '\u{85}', '\u{e0041}'];
    let (store, _) = traded().await;
    let (vendor, unpaid) = (std::sync::Mutex::new(String::new()), std::sync::Mutex::new(String::new()));
    let old = retold(&store, |records| {
        for record in records.iter_mut() {
            if is(record, "vendor_", "vendor_created") {
                record["ev"][0]["name"] = format!("Nak{}shi\u{1b}[2J\r", String::from_iter(ACTS)).into();
                record["e"].as_str().expect("an id").clone_into(&mut vendor.lock().unwrap());
            }
            if is(record, "vendor_", "product_added") {
                let skus = record["ev"][0]["product"]["skus"].as_array_mut().expect("SKUs");
                let mut twin = skus[0].clone();
                twin["id"] = "sku_01h2xcejqtf2nbrexx3vqjg00g".into();
                twin["currency"] = "XAU".into();
                twin["code"] = " Q1\u{3000}".into();
                skus.push(twin);
            }
            if is(record, "order_", "payment_failed") {
                record["ev"][0]["reason"] = format!("Nak{}shi\u{1b}[2J\r", String::from_iter(ACTS)).into();
                record["e"].as_str().expect("an id").clone_into(&mut unpaid.lock().unwrap());
            }
            if is(record, "cart_", "checkout_started") {
                // As early versions wrote it, whatever the country.
                let terms = record["ev"][0]["details"].as_object_mut().expect("terms");
                terms.remove("mint");
                terms.remove("buyer");
                terms["payment"]["token"] = "tok_approve".into();
                terms.insert(
                    "shipping_address".into(),
                    json!({"name": "A", "line1": "1", "city": "D", "country": "XX"}),
                );
            }
        }
    })
    .await;
    let (vendor, unpaid) = (vendor.into_inner().unwrap(), unpaid.into_inner().unwrap());
    let report = audited(&old).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.to_string().contains(&format!("note: {vendor} has 2 SKUs with the code 'Q1'")), "{report}");
    let mut told = Vec::new();
    let all = |json| Selection { json, ..Selection::default() };
    journal::print(&old.config(), &all(false), &mut told).await.expect("printed");
    journal::print(&old.config(), &all(true), &mut told).await.expect("printed");
    for of in [&vendor, &unpaid] {
        replay::print(&old.config(), of.parse().expect("an id"), Until::Newest, &mut told).await.expect("printed");
    }
    let told = String::from_utf8(told).expect("a text");
    // The name of the vendor and what a gateway has said: an event and a part of a state, each.
    for line in ["name: Nak", "payment_failed  (Nak"] {
        let written = format!("{line}\\u202e\\u009b\\u0085\\udb40\\udc41shi\\u001b[2J");
        assert!(told.contains(&written), "{written}: {}", told.escape_debug());
    }
    let acts = |character: char| ACTS.contains(&character) || (character.is_control() && character != '\n');
    assert_eq!(told.chars().find(|character| acts(*character)), None);

    let server = Server::start(&old).await;
    let admin = token(&Bearer::Admin("root".into()));
    let shown = server.client.get("/v1/skus/sku_01h2xcejqtf2nbrexx3vqjg00g").send().await.expect(200);
    assert_eq!((&shown.body["code"], &shown.body["price"]["currency"]), (&" Q1\u{3000}".into(), &"XAU".into()));
    let product = serde_json::json!({"title": "Quilt", "skus": [{"code": "Q1", "price": {"amount": "1.00", "currency": "BDT"}, "on_hand": 1}]});
    let again = server.client.post(&format!("/v1/vendors/{vendor}/products"), &product).bearer(&admin).send().await;
    assert_eq!((again.status, again.code()), (422, "sku_code_taken"), "{}", again.text);
    server.stop().await;
}
