//! Parcels of which nothing is heard: their couriers are asked, so that each comes to its end although every notice is lost; and what was heard of none for
//! very long is stale.

use crate::couriers::{Depot, Line, notify, server_at, ship};
use crate::rates::Ahead;
use crate::support::client::{Client, checkout_body};
use crate::support::redirect::SECRET;
use crate::support::{Server, TestStore, free_address, token};
use crate::{goodwill, on_both_stores, order_once, until};
use haat::app::Hooks;
use haat::domain::who::Permissions;
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::process::{Child, Command};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A shop whose parcels this platform fetches, on a clock of its own.
struct Town<'a> {
    store: &'a TestStore,
    url: String,
    clock: Arc<Ahead>,
    server: Server,
    admin: String,
}

impl<'a> Town<'a> {
    async fn start(store: &'a TestStore, url: String) -> Self {
        let clock = Arc::new(Ahead::default());
        let server = Self::server(store, &url, &clock).await;
        Self { store, url, clock, server, admin: token(&Bearer::Admin("root".into())) }
    }

    async fn server(store: &TestStore, url: &str, clock: &Arc<Ahead>) -> Server {
        server_at(store, url, Hooks { clock: Some(clock.clone()), ..Hooks::default() }).await
    }

    /// It is so much later, and the shop is started again: then it looks for what it has not heard of.
    async fn later(self, ms: i64) -> Self {
        let Self { store, url, clock, server, admin } = self;
        server.stop().await;
        clock.by_ms.fetch_add(ms, Ordering::SeqCst);
        let server = Self::server(store, &url, &clock).await;
        Self { store, url, clock, server, admin }
    }

    fn client(&self) -> Client {
        self.server.client
    }

    /// A paid order of two pieces, whose address has this line.
    async fn paid(&self, sku: &str, line2: &str) -> String {
        let buyer = self.client().buyer(sku, 2).await;
        let mut body = checkout_body("tok_approve");
        body["shipping_address"]["line2"] = line2.into();
        let path = format!("/v1/carts/{}/checkout", buyer.cart);
        let paid = self.client().post(&path, &body).bearer(&buyer.token).key("k").header("prefer", "wait=20").send();
        paid.await.expect(201).field("id").to_owned()
    }

    async fn parcel_is(&self, order: &str, status: &str) -> Value {
        let is_so = |order: &Value| order["sub_orders"][0]["shipments"][0]["status"] == status;
        order_once(self.client(), &self.admin, order, status, is_so).await
    }

    async fn track(&self, link: &str) -> Value {
        self.client().get(link).send().await.expect(200).body
    }

    /// Jobs of a kind that are not done.
    async fn open_jobs(&self, kind: &str) -> usize {
        let path = format!("/v1/admin/jobs?kind={kind}");
        let listed = self.client().get(&path).bearer(&self.admin).send().await.expect(200);
        listed.body["items"].as_array().expect("jobs").iter().filter(|job| job["state"] != "done").count()
    }

    async fn ends_clean(self) {
        self.server.stop().await;
        let report = haat::app::audit::audit(&self.store.config(), self.store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }
}

/// `haat sandbox`, which ends with this.
struct Sandbox {
    client: Client,
    _process: Child,
}

impl Sandbox {
    async fn start(directory: &std::path::Path) -> (Self, String) {
        let address = free_address();
        let mut command = Command::new(env!("CARGO_BIN_EXE_haat"));
        command.args(["sandbox", "--listen", &address.to_string(), "--data-dir"]).arg(directory);
        for (name, _) in std::env::vars_os() {
            if name == "DATABASE_URL" || name.to_string_lossy().starts_with("HAAT_") {
                command.env_remove(name);
            }
        }
        command.env("HAAT_COURIER_SECRET", SECRET).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let process = command.spawn().expect("the binary runs");
        let client = Client::new(address);
        until("the sandbox", async || client.get("/").try_send().await.is_ok().then_some(())).await;
        (Self { client, _process: process }, format!("http://{address}"))
    }

    /// What its books have of the parcel of this order.
    async fn reference(&self, order: &str) -> String {
        until("a booking", async || {
            let book =
                self.client.get(&format!("/books/shipments?order={order}")).bearer(SECRET).send().await.expect(200);
            book.body["items"].as_array()?.first()?["reference"].as_str().map(str::to_owned)
        })
        .await
    }

    async fn becomes(&self, reference: &str, status: &str) {
        let path = format!("/books/shipments/{reference}/events");
        let told = self.client.post(&path, &json!({"status": status})).bearer(SECRET).send().await;
        assert!(told.status < 300, "{told:?}");
    }
}

on_both_stores! {
    /// The sandbox's courier tells nothing by itself. Each parcel comes to its end all the same, one end of each sort.
    async fn every_parcel_comes_to_its_end_although_every_notice_is_lost(store) {
        let directory = tempfile::TempDir::new().expect("a directory");
        let (sandbox, url) = Sandbox::start(directory.path()).await;
        let town = Town::start(&store, url).await;
        let (_, sku) = town.client().shop(&town.admin, "10.00", 9).await;
        let mut parcels = Vec::new();
        for ends in [&["delivered"][..], &["picked_up", "refused"], &["picked_up", "lost"], &["picked_up", "returned"]] {
            let order = town.paid(&sku, "Flat 4 tok_ok.notice_never").await;
            let shown = town.client().order(&town.admin, &order).await.expect(200);
            let share = shown.body["sub_orders"][0]["id"].as_str().expect("an id").to_owned();
            let path = format!("/v1/orders/{order}/sub-orders/{share}/shipments");
            town.client().post(&path, &json!({"courier": "platform"})).bearer(&town.admin).send().await.expect(201);
            let reference = sandbox.reference(&order).await;
            town.parcel_is(&order, "booked").await;
            for status in ends {
                sandbox.becomes(&reference, status).await;
            }
            parcels.push((order, reference));
        }
        // Nobody is asked before it has been silent for long.
        let town = town.later(5 * HOUR_MS).await;
        assert_eq!(town.client().order(&town.admin, &parcels[0].0).await.expect(200).body["sub_orders"][0]["shipments"][0]["status"], "booked");
        let town = town.later(HOUR_MS + 60_000).await;
        for ((order, _), status) in parcels.iter().zip(["delivered", "returning", "lost", "returned"]) {
            town.parcel_is(order, status).await;
        }
        let (order, reference) = &parcels[1];
        sandbox.becomes(reference, "returned").await;
        let town = town.later(6 * HOUR_MS + 60_000).await;
        town.parcel_is(order, "returned").await;
        until("the jobs", async || (town.open_jobs("look_up_parcels").await == 0).then_some(())).await;

        // What has come to its end is not asked about any more.
        let looks = async |town: &Town<'_>| {
            let listed = town.client().get("/v1/admin/jobs?kind=look_up_parcels").bearer(&town.admin).send().await.expect(200);
            listed.body["items"].as_array().expect("jobs").len()
        };
        let before = looks(&town).await;
        let town = town.later(DAY_MS).await;
        until("a sweep", async || (town.open_jobs("look_up_parcels").await == 0).then_some(())).await;
        assert_eq!(looks(&town).await, before);
        town.ends_clean().await;
    }

    /// A courier that tells no events, and then nothing at all: what it says of how the parcel stands is enough; and after thirty days the parcel is stale,
    /// until there is news.
    async fn what_is_not_heard_of_becomes_stale_until_there_is_news(store) {
        let depot = Depot::default();
        let town = Town::start(&store, depot.open().await).await;
        let (_, sku) = town.client().shop(&town.admin, "10.00", 9).await;
        let order = town.paid(&sku, "Flat 4").await;
        let (parcel, link) = ship(town.client(), &town.admin, &order, &depot).await;
        town.parcel_is(&order, "booked").await;
        depot.becomes(&parcel, "picked_up");
        let town = town.later(6 * HOUR_MS + 60_000).await;
        town.parcel_is(&order, "handed_over").await;
        assert_eq!(town.track(&link).await["events"].as_array().map(Vec::len), Some(1));
        // Its notice comes late: that is the same fact.
        let told = |event: &str, status: &str| json!({"id": event, "reference": parcel, "status": status, "at": "2026-01-01T09:00:00Z"}).to_string();
        notify(town.client(), &told("ev_1", "picked_up")).await.expect(200);
        assert_eq!(town.track(&link).await, json!({"status": "picked_up", "events": [{"status": "picked_up", "at": "2026-01-01T09:00:00.000Z"}]}));

        let clerk = token(&Bearer::Staff("rina".into(), Permissions::parse("orders.read,orders.edit").expect("permissions")));
        let stale = async |town: &Town<'_>| {
            let seen = town.client().order(&clerk, &order).await.expect(200).body;
            let share = seen["sub_orders"][0]["id"].as_str().expect("an id").to_owned();
            let path = format!("/v1/orders/{order}/sub-orders/{share}/shipments");
            let listed = town.client().get(&path).bearer(&clerk).send().await.expect(200).body["items"][0].clone();
            assert_eq!(listed["tracking_status"], seen["sub_orders"][0]["shipments"][0]["tracking_status"]);
            (listed["tracking_status"].clone(), seen["attention"].clone(), town.track(&link).await["status"].clone())
        };
        let town = town.later(29 * DAY_MS).await;
        assert_eq!(stale(&town).await, (Value::Null, Value::Null, json!("picked_up")), "it is asked, and says nothing new");
        let town = town.later(DAY_MS).await;
        assert_eq!(stale(&town).await, (json!("stale"), json!(["parcel_stale"]), json!("stale")));
        until("the gauge", async || {
            let text = town.client().get("/metrics").bearer(&town.admin).send().await.text;
            text.lines().any(|line| line == "haat_parcels_stale 1").then_some(())
        }).await;
        town.parcel_is(&order, "handed_over").await;
        notify(town.client(), &told("ev_2", "in_transit")).await.expect(200);
        assert_eq!(stale(&town).await, (Value::Null, Value::Null, json!("in_transit")));

        // What the staff corrects is shown, too.
        notify(town.client(), &told("ev_3", "delivered")).await.expect(200);
        let seen = town.parcel_is(&order, "delivered").await;
        let (share, id) = (&seen["sub_orders"][0]["id"], &seen["sub_orders"][0]["shipments"][0]["id"]);
        let path = format!("/v1/orders/{order}/sub-orders/{}/shipments/{}/correct", share.as_str().expect("an id"), id.as_str().expect("an id"));
        town.client().post(&path, &json!({"status": "lost"})).bearer(&clerk).send().await.expect(200);
        until("the correction", async || (town.track(&link).await["status"] == "lost").then_some(())).await;
        notify(town.client(), &told("ev_4", "returned")).await.expect(200);
        order_once(town.client(), &town.admin, &order, "astray", |order| order["attention"] == json!(["parcel_astray", "parcel_lost"])).await;
        assert_eq!(town.track(&link).await["status"], "lost");
        town.ends_clean().await;
    }

    /// A job that is not there any more is put back from what its order says: the parcel is booked in the end, once, and the money is given back, once.
    async fn a_missing_job_is_put_back(store) {
        let depot = Depot::default();
        // No courier is there yet, and no order says what it gives back.
        let on_decide: haat::actors::DecideHook = Arc::new(|_, command| {
            assert!(!format!("{command:?}").starts_with("OpenRefunds"), "forced by a test");
        });
        let (clock, url) = (Arc::new(Ahead::default()), "http://127.0.0.1:9".to_owned());
        let hooks = Hooks { clock: Some(clock.clone()), on_decide: Some(on_decide), ..Hooks::default() };
        let server = server_at(&store, &url, hooks).await;
        let town = Town { store: &store, url, clock, server, admin: token(&Bearer::Admin("root".into())) };
        let (_, sku) = town.client().shop(&town.admin, "10.00", 9).await;
        let order = town.paid(&sku, "Flat 4").await;
        let shown = town.client().order(&town.admin, &order).await.expect(200);
        let share = shown.body["sub_orders"][0]["id"].as_str().expect("an id").to_owned();
        let path = format!("/v1/orders/{order}/sub-orders/{share}/shipments");
        town.client().post(&path, &json!({"courier": "platform"})).bearer(&town.admin).send().await.expect(201);
        let late = town.client().buyer(&sku, 2).await;
        let late = town.client().checkout(&late, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
        let late = late.field("id").to_owned();
        goodwill(town.client(), &town.admin, &late, "5.00").await.expect(201);
        until("both jobs", async || (town.open_jobs("book_parcels").await + town.open_jobs("refund_order").await == 2).then_some(())).await;

        // As of a store whose table was taken back from a backup.
        let Town { store, clock, server, admin, .. } = town;
        server.stop().await;
        assert_eq!(store.execute("DELETE FROM jobs WHERE kind IN ('book_parcels', 'refund_order')").await, 2);
        let url = depot.open().await;
        let server = Town::server(store, &url, &clock).await;
        let town = Town { store, url, clock, server, admin };
        town.parcel_is(&order, "booked").await;
        let given = order_once(town.client(), &town.admin, &late, "given back", |order| order["refunds"][0]["status"] == "succeeded").await;
        assert_eq!((depot.asked("PUT"), &given["refunded"]["amount"]), (1, &json!("5.00")));
        // What is done is not put back at the next start.
        let listed = async |town: &Town<'_>| town.client().get("/v1/admin/jobs").bearer(&town.admin).send().await.expect(200).body["items"].clone();
        let kinds = |items: &Value| items.as_array().expect("jobs").iter().filter(|job| job["kind"] == "book_parcels" || job["kind"] == "refund_order").count();
        assert_eq!(kinds(&listed(&town).await), 2);
        let town = town.later(HOUR_MS).await;
        let (_, other) = town.client().shop(&town.admin, "10.00", 9).await;
        town.paid(&other, "Flat 5").await;
        assert_eq!(kinds(&listed(&town).await), 2);
        town.ends_clean().await;
    }

    /// In a rush the courier has no answer for anybody, for an hour. Nobody who checks out waits for it, and when it is back every parcel is booked, once.
    async fn a_courier_that_is_down_for_an_hour_keeps_nobody_waiting(store) {
        let depot = Depot::default();
        let town = Town::start(&store, depot.open().await).await;
        let (_, sku) = town.client().shop(&town.admin, "10.00", 50).await;
        depot.is(Line::Down);
        let bought = async |number: usize| {
            let order = town.paid(&sku, &format!("Flat {number}")).await;
            let shown = town.client().order(&town.admin, &order).await.expect(200);
            let share = shown.body["sub_orders"][0]["id"].as_str().expect("an id").to_owned();
            let path = format!("/v1/orders/{order}/sub-orders/{share}/shipments");
            town.client().post(&path, &json!({"courier": "platform"})).bearer(&town.admin).send().await.expect(201);
            order
        };
        let orders = futures::future::join_all((0..20).map(bought)).await;
        // All of them are paid, and the courier has not said a word.
        assert_eq!((depot.asked("GET"), depot.asked("PUT")), (0, 0));
        for order in &orders {
            let shown = town.client().order(&town.admin, order).await.expect(200).body;
            assert_eq!((&shown["payment"]["status"], &shown["sub_orders"][0]["shipments"][0]["status"]), (&json!("captured"), &json!("booking")));
        }
        town.clock.by_ms.fetch_add(HOUR_MS, Ordering::SeqCst);
        let after = town.paid(&sku, "Flat 20").await;
        assert_eq!(town.client().order(&town.admin, &after).await.expect(200).body["status"], "paid");
        // It loses no answers now: each that is lost would be one more to a breaker that is about to close.
        depot.is(Line::Up);
        let all_booked = async {
            for order in &orders {
                while town.client().order(&town.admin, order).await.expect(200).body["sub_orders"][0]["shipments"][0]["status"] != "booked" {
                    // The oftener it was asked in vain, the later is each parcel's next turn.
                    town.clock.by_ms.fetch_add(MINUTE_MS, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(240), all_booked).await.expect("every parcel is booked");
        assert_eq!(depot.asked("PUT"), 20, "each was booked once");
        until("the jobs", async || (town.open_jobs("book_parcels").await == 0).then_some(())).await;
        town.ends_clean().await;
    }
}
