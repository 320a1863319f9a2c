//! Killed at each step between the wish to have a parcel fetched and the end of its job: it is booked once, and booked in the end.

use crate::on_both_stores;
use crate::process::{Haat, end_lease, free_address, haat, until};
use crate::support::TestStore;
use crate::support::redirect::SECRET;
use crate::support::token;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::put;
use axum::{Json, Router};
use haat::http::auth::Bearer;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// At which step the server is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// It has asked whether the courier knows the parcel.
    Asked,
    /// The courier has booked it, and has not answered.
    Booked,
    /// The courier's answer is on its way.
    Answered,
    /// The order has recorded it, and its job is not closed.
    Recorded,
}

/// A courier that stops at a step, and tells.
#[derive(Clone)]
struct Depot {
    books: Arc<Mutex<BTreeSet<String>>>,
    puts: Arc<Mutex<usize>>,
    stops_at: watch::Sender<Option<Step>>,
    at_step: mpsc::Sender<()>,
}

impl Depot {
    async fn open() -> (Self, String, mpsc::Receiver<()>) {
        let (at_step, reached) = mpsc::channel(1);
        let depot = Self { books: Arc::default(), puts: Arc::default(), stops_at: watch::Sender::new(None), at_step };
        let router = Router::new().route("/shipments/{reference}", put(Self::book).get(Self::look_up));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let router = router.with_state(depot.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (depot, url, reached)
    }

    /// Tells that it is at this step, where it is to stop there, and waits until it may go on.
    async fn step(&self, step: Step) {
        if *self.stops_at.borrow() == Some(step) {
            self.at_step.send(()).await.expect("the test listens");
            let _ = self.stops_at.subscribe().wait_for(|stops_at| stops_at.is_none()).await;
        }
    }

    fn answer(&self, reference: &str) -> (StatusCode, Json<Value>) {
        match self.books.lock().expect("its books").contains(reference) {
            true => {
                (StatusCode::OK, Json(json!({"reference": reference, "tracking_number": "HX-17", "status": "booked"})))
            }
            false => (StatusCode::NOT_FOUND, Json(json!({"code": "unknown_shipment"}))),
        }
    }

    async fn look_up(State(depot): State<Self>, Path(reference): Path<String>) -> (StatusCode, Json<Value>) {
        depot.step(Step::Asked).await;
        depot.answer(&reference)
    }

    async fn book(State(depot): State<Self>, Path(reference): Path<String>) -> (StatusCode, Json<Value>) {
        depot.books.lock().expect("its books").insert(reference.clone());
        *depot.puts.lock().expect("a count") += 1;
        depot.step(Step::Booked).await;
        depot.step(Step::Answered).await;
        depot.answer(&reference)
    }
}

async fn start(store: &TestStore, address: SocketAddr, url: &str) -> Haat {
    let mut command = haat();
    command.env("HAAT_COURIER_URL", url).env("HAAT_COURIER_SECRET", SECRET);
    command.env("HAAT_PUBLIC_URL", "https://shop.example");
    let mut server = Haat::begin_as(command, store, store.data_dir(), address);
    server.ready().await;
    server
}

async fn parcel_once(server: &Haat, admin: &str, order: &str, status: &str) -> Value {
    until("the parcel to be booked", async || {
        let shown = server.client.order(admin, order).await;
        let parcel = shown.body["sub_orders"][0]["shipments"][0].clone();
        (parcel["status"] == status).then_some(parcel)
    })
    .await
}

async fn killed_at(store: &TestStore, step: Step) {
    let (depot, url, mut reached) = Depot::open().await;
    let (address, admin) = (free_address(), token(&Bearer::Admin("root".into())));
    let server = start(store, address, &url).await;
    let (_, sku) = server.client.shop(&admin, "10.00", 9).await;
    let buyer = server.client.buyer(&sku, 2).await;
    let paid = server.client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
    let order = paid.field("id").to_owned();
    let share = paid.body["sub_orders"][0]["id"].as_str().expect("an id").to_owned();
    depot.stops_at.send_replace(Some(step));
    let path = format!("/v1/orders/{order}/sub-orders/{share}/shipments");
    server.client.post(&path, &json!({"courier": "platform"})).bearer(&admin).send().await.expect(201);
    match step {
        Step::Recorded => {
            parcel_once(&server, &admin, &order, "booked").await;
        }
        Step::Answered => {
            reached.recv().await.expect("it comes to this step");
            // What the courier says from now on is said to nobody.
            server.signal("STOP").await;
        }
        Step::Asked | Step::Booked => reached.recv().await.expect("it comes to this step"),
    }
    // An answer leaves the courier before the server is gone, or after that: it is read by nobody.
    if step == Step::Answered {
        depot.stops_at.send_replace(None);
    }
    server.kill().await;
    depot.stops_at.send_replace(None);
    end_lease(store).await;
    if step == Step::Recorded {
        // As it stands in the store from when the job was begun until it is closed.
        let open = "UPDATE jobs SET state = 'sending', next_at = NULL, epoch = 0 WHERE kind = 'book_parcels'";
        assert_eq!(store.execute(open).await, 1);
    }
    let server = start(store, address, &url).await;
    let parcel = parcel_once(&server, &admin, &order, "booked").await;
    assert_eq!(parcel["tracking_number"], "HX-17");
    let done = async || {
        let jobs = server.client.get("/v1/admin/jobs?kind=book_parcels").bearer(&admin).send().await.expect(200);
        let jobs = jobs.body["items"].as_array().expect("jobs").clone();
        jobs.iter().all(|job| job["state"] == "done").then_some(())
    };
    until("the job to be closed", done).await;
    let (books, puts) = (depot.books.lock().expect("its books").len(), *depot.puts.lock().expect("a count"));
    assert_eq!((books, puts), (1, 1), "{step:?}: it is asked for once");
    server.kill().await;
    end_lease(store).await;
    let report = haat::app::audit::audit(&store.config(), store.data_dir()).await.expect("an audit");
    assert!(report.is_clean(), "{step:?}: {report}");
}

on_both_stores! {
    async fn a_parcel_is_booked_once_although_the_server_dies_before_it_asks(store) {
        killed_at(&store, Step::Asked).await;
    }

    async fn a_parcel_is_booked_once_although_the_server_dies_before_the_courier_answers(store) {
        killed_at(&store, Step::Booked).await;
    }

    async fn a_parcel_is_booked_once_although_the_server_dies_before_it_records_the_answer(store) {
        killed_at(&store, Step::Answered).await;
    }

    async fn a_parcel_is_booked_once_although_the_server_dies_before_it_closes_the_job(store) {
        killed_at(&store, Step::Recorded).await;
    }
}
