//! What a courier tells of parcels, and where whoever waits for one sees it.

use crate::support::client::{Answer, Client};
use crate::support::redirect::{OLD_SECRET, SECRET, signed};
use crate::support::{Server, TestStore, token};
use crate::{on_both_stores, order_once};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use axum::{Json, Router};
use haat::adapters::platform::PlatformConfig;
use haat::app::Hooks;
use haat::checkout::buyers::BuyerKeys;
use haat::domain::buyer::Mint;
use haat::domain::courier::ParcelName;
use haat::domain::ids::{OrderId, ShipmentId};
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;

/// A parcel of an order that this shop has never heard of: what is told of it is kept all the same.
fn parcel() -> ParcelName {
    ParcelName {
        shipment: ShipmentId::from_uuid(Uuid::from_u128(1)),
        order: OrderId::from_uuid(Uuid::from_u128(2)),
        mint: Mint([0, 0, 0, 9]),
    }
}

fn now_s() -> i64 {
    haat::ports::Clock::wall(&haat::adapters::clock::SystemClock::default()).as_millis() / 1_000
}

async fn server(store: &TestStore) -> Server {
    // Nobody is asked.
    server_with(store, "http://127.0.0.1:9").await
}

async fn server_with(store: &TestStore, url: &str) -> Server {
    server_at(store, url, Hooks::default()).await
}

pub async fn server_at(store: &TestStore, url: &str, hooks: Hooks) -> Server {
    let mut config = store.server();
    config.courier = Some(PlatformConfig {
        url: url.to_owned(),
        secrets: vec![SECRET.to_owned(), OLD_SECRET.to_owned()],
        public_url: "https://shop.example".to_owned(),
    });
    Server::start_with(config, hooks).await
}

fn notice(event: &str, status: &str, at: &str) -> String {
    json!({"id": event, "reference": parcel().to_string(), "status": status, "at": at}).to_string()
}

async fn notify_as(client: Client, courier: &str, headers: &[(&'static str, String)], body: &str) -> Answer {
    let request = client.request("POST", &format!("/v1/notices/couriers/{courier}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    request.raw(body.to_owned()).send().await
}

pub async fn notify(client: Client, body: &str) -> Answer {
    notify_as(client, "platform", &signed(SECRET, now_s(), body), body).await
}

/// The link of the parcel.
fn link(server: &Server) -> String {
    let token = BuyerKeys::new(server.shop.store_key()).tracking_token(parcel().shipment);
    format!("/v1/track/{token}")
}

async fn jobs(client: Client) -> Vec<Value> {
    let admin = token(&Bearer::Admin("root".into()));
    let listed = client.get("/v1/admin/jobs?kind=courier_event").bearer(&admin).send().await.expect(200);
    listed.body["items"].as_array().expect("jobs").clone()
}

/// What was booked, and how it stands, by reference.
type Books = BTreeMap<String, (Value, &'static str)>;

/// How a courier's platform answers.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Line {
    /// What it says to each first booking is lost.
    #[default]
    LosesFirstAnswers,
    /// Nothing is done, and nobody has an answer until it is otherwise.
    Down,
    Up,
}

/// A courier's platform: what it has booked, with what it was told of it, by reference; and what it was asked.
#[derive(Clone, Default)]
pub struct Depot(Arc<Mutex<(Books, Vec<String>)>>, watch::Sender<Line>);

impl Depot {
    pub async fn open(&self) -> String {
        let router = Router::new()
            .route("/shipments/{reference}", put(Self::book).get(Self::look_up).delete(Self::cancel))
            .layer(middleware::from_fn_with_state(self.clone(), Self::while_up))
            .with_state(self.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn answer(&self, verb: &str, reference: &str, change: impl FnOnce(&mut &'static str)) -> (StatusCode, Json<Value>) {
        let (books, asked) = &mut *self.0.lock().expect("its books");
        asked.push(format!("{verb} {reference}"));
        let Some((_, status)) = books.get_mut(reference) else {
            return (StatusCode::NOT_FOUND, Json(json!({"code": "unknown_shipment"})));
        };
        change(status);
        (StatusCode::OK, Json(json!({"reference": reference, "tracking_number": "HX-17", "status": *status})))
    }

    async fn book(
        State(depot): State<Self>,
        Path(reference): Path<String>,
        Json(body): Json<Value>,
    ) -> (StatusCode, Json<Value>) {
        let is_new = depot.0.lock().expect("its books").0.insert(reference.clone(), (body, "booked")).is_none();
        let answer = depot.answer("PUT", &reference, |_| {});
        match is_new && *depot.1.borrow() == Line::LosesFirstAnswers {
            true => (StatusCode::BAD_GATEWAY, Json(json!({}))),
            false => answer,
        }
    }

    async fn look_up(State(depot): State<Self>, Path(reference): Path<String>) -> (StatusCode, Json<Value>) {
        depot.answer("GET", &reference, |_| {})
    }

    async fn cancel(State(depot): State<Self>, Path(reference): Path<String>) -> (StatusCode, Json<Value>) {
        depot.answer("DELETE", &reference, |status| *status = "cancelled")
    }

    pub fn is(&self, line: Line) {
        self.1.send_replace(line);
    }

    async fn while_up(State(depot): State<Self>, request: Request, next: Next) -> Response {
        if *depot.1.borrow() != Line::Down {
            return next.run(request).await;
        }
        let _ = depot.1.subscribe().wait_for(|line| *line != Line::Down).await;
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }

    /// This becomes of it, and nobody is told.
    pub fn becomes(&self, reference: &str, status: &'static str) {
        self.0.lock().expect("its books").0.get_mut(reference).expect("it is in the books").1 = status;
    }

    fn booked(&self, reference: &str) -> Option<Value> {
        self.0.lock().expect("its books").0.get(reference).map(|(body, _)| body.clone())
    }

    /// What the platform calls this parcel.
    fn reference(&self, shipment: &str) -> Option<String> {
        let books = &self.0.lock().expect("its books").0;
        books.keys().find(|reference| reference.starts_with(shipment)).cloned()
    }

    pub fn asked(&self, verb: &str) -> usize {
        self.0.lock().expect("its books").1.iter().filter(|asked| asked.starts_with(verb)).count()
    }
}

/// Has all of a paid order's one share fetched by the platform. Gives what the platform calls the parcel, once it has heard of it, and the parcel's link.
pub async fn ship(client: Client, admin: &str, order: &str, depot: &Depot) -> (String, String) {
    let shown = client.order(admin, order).await.expect(200);
    let share = shown.body["sub_orders"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/orders/{order}/sub-orders/{share}/shipments");
    let made = client.post(&path, &json!({"courier": "platform"})).bearer(admin).send().await.expect(201);
    assert_eq!((made.field("status"), made.field("courier")), ("booking", "platform"));
    let id = made.field("id").to_owned();
    let reference = crate::until("the courier to be asked", async || depot.reference(&id)).await;
    (reference, made.field("track_url").to_owned())
}

on_both_stores! {
    /// From the parcel to its end: booked once though the answer was lost, fetched, and delivered, as its courier tells; and the next one is
    /// cancelled before it is fetched.
    async fn a_courier_is_asked_for_a_parcel_and_its_order_hears_of_it(store) {
        let depot = Depot::default();
        let server = server_with(&store, &depot.open().await).await;
        let (client, admin) = (server.client, token(&Bearer::Admin("root".into())));
        let (_, sku) = client.shop(&admin, "10.00", 9).await;
        let paid = async || {
            let buyer = client.buyer(&sku, 2).await;
            client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201).field("id").to_owned()
        };
        let is = |field: &'static str, value: &'static str| move |order: &Value| order["sub_orders"][0]["shipments"][0][field] == value;

        let order = paid().await;
        let (parcel, link) = ship(client, &admin, &order, &depot).await;
        let booked = order_once(client, &admin, &order, "booked", is("status", "booked")).await;
        assert_eq!(booked["sub_orders"][0]["shipments"][0]["tracking_number"], "HX-17");
        let told = depot.booked(&parcel).expect("it is in the books");
        let address = &client.order(&admin, &order).await.expect(200).body["shipping_address"];
        assert_eq!((&told["to"]["name"], &told["lines"][0]["sku_id"], &told["lines"][0]["quantity"]), (&address["name"], &json!(sku), &json!(2)));
        assert_eq!(told["notice_url"], "https://shop.example/v1/notices/couriers/platform");
        assert_eq!(depot.asked("PUT"), 1, "it is looked up, and found");
        for (event, status) in [("ev_2", "delivered"), ("ev_1", "picked_up"), ("ev_2", "delivered")] {
            let body = json!({"id": event, "reference": parcel, "status": status, "at": "2026-01-01T09:00:00Z"});
            notify(client, &body.to_string()).await.expect(200);
        }
        order_once(client, &admin, &order, "delivered", is("status", "delivered")).await;
        let seen = client.get(&link).send().await.expect(200);
        assert_eq!((seen.field("status"), seen.body["events"].as_array().map(Vec::len)), ("delivered", Some(2)));

        let order = paid().await;
        let (parcel, _) = ship(client, &admin, &order, &depot).await;
        order_once(client, &admin, &order, "booked", is("status", "booked")).await;
        let path = format!("/v1/orders/{order}/cancel");
        client.post(&path, &json!({"reason": "changed_mind"})).bearer(&admin).send().await.expect(200);
        let over = order_once(client, &admin, &order, "refunded", |order| order["status"] == "refunded").await;
        assert_eq!(over["sub_orders"][0]["shipments"][0]["status"], "cancelled");
        assert_eq!((depot.asked("DELETE"), depot.asked("PUT")), (1, 2));
        assert!(depot.booked(&parcel).is_some());

        // Of a parcel that nobody knows nothing comes.
        notify(client, &notice("ev_9", "delivered", "2026-01-01T09:00:00Z")).await.expect(200);
        let ended = crate::until("the job about nobody's order", async || {
            let seen = jobs(client).await;
            seen.iter().find(|job| job["about"] == crate::couriers::parcel().order.to_string()).filter(|job| job["state"] == "suppressed").cloned()
        }).await;
        assert_eq!(ended["note"], "there is no such order");
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }

    /// In whatever order and however often it comes; and it is still there after a restart.
    async fn whoever_waits_for_a_parcel_sees_what_its_courier_tells(store) {
        let server = server(&store).await;
        let (client, link) = (server.client, link(&server));
        let nothing = client.get(&link).send().await.expect(200);
        assert_eq!(nothing.body, json!({"status": null, "events": []}));
        for (event, status, at) in [
            ("ev_3", "delivered", "2026-01-02T18:00:00+06:00"),
            ("ev_1", "picked_up", "2026-01-01T09:00:00+06:00"),
            ("ev_2", "in_transit", "2026-01-03T09:00:00+06:00"),
            ("ev_3", "lost", "2026-01-09T09:00:00+06:00"),
            ("ev_1", "picked_up", "2026-01-01T09:00:00+06:00"),
        ] {
            notify(client, &notice(event, status, at)).await.expect(200);
        }
        let expected = json!({"status": "delivered", "events": [
            {"status": "picked_up", "at": "2026-01-01T03:00:00.000Z"},
            {"status": "delivered", "at": "2026-01-02T12:00:00.000Z"},
            {"status": "in_transit", "at": "2026-01-03T03:00:00.000Z"},
        ]});
        assert_eq!(client.get(&link).send().await.expect(200).body, expected);
        let seen = jobs(client).await;
        assert_eq!(seen.len(), 2, "its order hears of what it must know, once: {seen:?}");
        assert!(seen.iter().all(|job| job["about"] == parcel().order.to_string()), "{seen:?}");
        server.stop().await;
        let server = crate::couriers::server(&store).await;
        assert_eq!(server.client.get(&link).send().await.expect(200).body, expected);
        assert_eq!(jobs(server.client).await.len(), 2);
        server.stop().await;
        let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
        assert!(report.is_clean(), "{report}");
    }

    async fn nobody_but_the_courier_tells_anything(store) {
        let server = server(&store).await;
        let (client, link) = (server.client, link(&server));
        let body = notice("ev_1", "delivered", "2026-01-01T09:00:00Z");
        let good = signed(SECRET, now_s(), &body);
        let nobodys = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for headers in [&[][..], &good[1..], &signed(nobodys, now_s(), &body), &signed(SECRET, now_s() - 400, &body), &signed(SECRET, now_s() + 400, &body)] {
            assert_eq!(notify_as(client, "platform", headers, &body).await.expect(400).code(), "signature_invalid", "{headers:?}");
        }
        let other = body.replace("delivered", "lost");
        assert_eq!(notify_as(client, "platform", &good, &other).await.expect(400).code(), "signature_invalid");
        for courier in ["nobody", "Platform", "platform%20", "stripe"] {
            assert_eq!(notify_as(client, courier, &good, &body).await.expect(404).code(), "not_found", "{courier}");
        }
        // What is signed, and makes no sense, or is about somebody else's parcel.
        let mint = parcel().to_string().replace(".00000009", "");
        for (body, status) in [
            ("{}".to_owned(), 422),
            (String::new(), 422),
            (notice("ev_1", "booked", "2026-01-01T09:00:00Z"), 422),
            (notice("ev_1", "lost", "yesterday"), 422),
            (notice("ev 1", "lost", "2026-01-01T09:00:00Z"), 422),
            (body.replace(&parcel().to_string(), &mint), 200),
            (body.replace(&parcel().to_string(), "order-17"), 200),
        ] {
            let answer = notify(client, &body).await.expect(status);
            assert!(status == 200 || answer.code() == "invalid_body", "{body}: {}", answer.text);
        }
        let long = "x".repeat(256 * 1024 + 1);
        assert_eq!(notify(client, &long).await.status, 413);
        assert_eq!(client.get(&link).send().await.expect(200).body["events"], json!([]));
        assert_eq!(jobs(client).await, Vec::<Value>::new());
        notify_as(client, "platform", &signed(OLD_SECRET, now_s(), &body), &body).await.expect(200);
        assert_eq!(client.get(&link).send().await.expect(200).body["status"], "delivered");

        // Nobody finds a parcel by trying.
        let (first, last) = link.split_at(link.len() - 1);
        let another = if last == "0" { "1" } else { "0" };
        let shipment = parcel().shipment.to_string();
        for wrong in [format!("{first}{another}"), first.to_owned(), format!("{link}0"), format!("/v1/track/{shipment}"), link.to_uppercase().replace("/V1/TRACK", "/v1/track"), "/v1/track/%e0%a6".into()] {
            assert_eq!(client.get(&wrong).send().await.expect(404).code(), "not_found", "{wrong}");
        }
        server.stop().await;

        // Without a secret there is no such courier.
        let server = Server::start(&store).await;
        assert_eq!(notify_as(server.client, "platform", &good, &body).await.expect(404).code(), "not_found");
        assert_eq!(server.client.get(&link).send().await.expect(200).body["status"], "delivered");
        server.stop().await;
    }
}
