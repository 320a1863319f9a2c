//! What the sandbox is asked as a courier: the contract of docs/courier.md, its book, and what drives it.

use super::Sandbox;
use super::api::{Answer, Problem, read, said, undone};
use super::faults::Fault;
use super::parcel::{EventInput, Parcel, ShipmentInput};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{Method, StatusCode};
use axum::routing::{get, post, put};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// All routes.
pub(super) fn router() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/shipments/{shipment}", put(book).get(look_up).delete(cancel))
        .route("/books/shipments", get(shipments))
        .route("/books/shipments/{shipment}/events", post(tell))
}

impl Sandbox {
    /// What a request about a shipment meets, and whether it is the one that does.
    pub(super) async fn fault_of_parcel(&self, name: &str, method: &Method, body: &[u8]) -> (Fault, bool) {
        let known = self.books.parcel(name).await.map(|parcel| parcel.faults());
        // One that is not there yet says in its body what it meets.
        let faults = match (known, serde_json::from_slice::<ShipmentInput>(body)) {
            (Some(faults), _) => Some(faults),
            (None, Ok(input)) if method == Method::PUT => input.faults(),
            _ => None,
        };
        match faults {
            Some(faults) if method == Method::DELETE => (faults.cancel, true),
            Some(faults) => (faults.booking, method == Method::PUT),
            None => (Fault::Ok, false),
        }
    }
}

async fn book(State(sandbox): State<Arc<Sandbox>>, Path(name): Path<String>, body: Bytes) -> Answer {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !(1..=100).contains(&name.len()) || !name.bytes().all(is_plain) {
        return Err(Problem(422, "invalid"));
    }
    let (is_new, parcel) = sandbox.books.book(&name, read(&body)?).await.map_err(undone)?;
    let mut shipment = parcel.json();
    if parcel.faults().booking == Fault::Other {
        shipment["reference"] = "shipment_0".into();
    }
    Ok(said(if is_new { StatusCode::CREATED } else { StatusCode::OK }, shipment))
}

async fn look_up(State(sandbox): State<Arc<Sandbox>>, Path(name): Path<String>) -> Answer {
    let parcel = sandbox.books.parcel(&name).await.filter(|parcel| parcel.name == name);
    Ok(said(StatusCode::OK, parcel.ok_or(Problem(404, "unknown_shipment"))?.json()))
}

async fn cancel(State(sandbox): State<Arc<Sandbox>>, Path(name): Path<String>) -> Answer {
    let change = sandbox.books.change_parcel(&name, |parcel, now| Ok(parcel.cancel(now))).await;
    let (is_done, parcel) = change.map_err(undone)?;
    Ok(said(if is_done { StatusCode::OK } else { StatusCode::CONFLICT }, parcel.json()))
}

/// Of which order the book is asked.
#[derive(Deserialize)]
struct Of {
    order: Option<String>,
}

async fn shipments(State(sandbox): State<Arc<Sandbox>>, Query(of): Query<Of>) -> Answer {
    let is_it = |parcel: &&Parcel| of.order.as_deref().is_none_or(|order| parcel.name.split('.').nth(1) == Some(order));
    let all = sandbox.books.parcels().await;
    let items: Vec<Value> = all.iter().filter(is_it).map(Parcel::book_json).collect();
    Ok(said(StatusCode::OK, json!({"items": items})))
}

/// Something becomes of a parcel, by its name or by its shipment.
async fn tell(State(sandbox): State<Arc<Sandbox>>, Path(name): Path<String>, body: Bytes) -> Answer {
    let input: EventInput = read(&body)?;
    let change = sandbox.books.change_parcel(&name, |parcel, now| parcel.tell(input, now)).await;
    let (place, parcel) = change.map_err(undone)?;
    Ok(said(StatusCode::CREATED, parcel.event_json(place)))
}
