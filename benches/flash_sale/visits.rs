//! What a buyer asks for on the way to an order, as the ceiling answers it: a record for each change, answers as long as Haat's, and no rule
//! but that the first so many checkouts get a piece. So `scripts/sessions --ceiling` has the same sessions at both.

use crate::ceiling::Ceiling;
use crate::order::{Item, NewOrder, OrderRequest, TITLE, UNIT_PRICE};
use crate::server::sold_out;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use haat::adapters::clock::SystemClock;
use haat::domain::details::Known;
use haat::domain::ids::{CartId, EntityId as _, ProductId, SkuId, VendorId};
use haat::domain::order::{Address, PaymentChoice};
use haat::http::orders::OrderBody;
use haat::ports::Clock as _;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// As long as a token of Haat's.
const TOKEN: &str = concat!(
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.",
    "eyJpc3MiOiJoYWF0Iiwic3ViIjoiY2FydF8wMWpkdzlzNmt5ZnRyYnhxZzR4Nzg5dm1hMSIsInJvbGUiOiJndWVzdCIsImV4cCI6MTc5NDAwMDAwMH0.",
    "0123456789abcdefghijABCDEFGHIJ0123456789abc"
);
/// A price as it is shown.
const MONEY: &str = r#"{"amount":"1250.00","currency":"BDT"}"#;

struct Visits {
    ceiling: Arc<Ceiling>,
    clock: SystemClock,
    vendor: VendorId,
    product: ProductId,
    left: AtomicI64,
}

/// The body of Haat's checkout.
#[derive(Deserialize)]
struct Checkout {
    email: Option<String>,
    shipping_address: Address,
    payment: PaymentChoice,
}

/// The body of Haat's line.
#[derive(Deserialize)]
struct Line {
    quantity: i64,
}

/// The routes of a sale of so many pieces.
pub fn routes(ceiling: Arc<Ceiling>, pieces: i64) -> Router {
    let clock = SystemClock::new();
    let (vendor, product) = (VendorId::from_uuid(clock.new_uuid()), ProductId::from_uuid(clock.new_uuid()));
    let visits = Visits { ceiling, clock, vendor, product, left: AtomicI64::new(pieces) };
    Router::new()
        .route("/v1/skus/{sku}", get(browse))
        .route("/v1/carts", post(make))
        .route("/v1/carts/{cart}/lines/{sku}", put(fill))
        .route("/v1/carts/{cart}/checkout", post(check_out))
        .with_state(Arc::new(visits))
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

async fn browse(State(visits): State<Arc<Visits>>, Path(sku): Path<SkuId>) -> Response {
    let Visits { vendor, product, left, .. } = &*visits;
    let available = left.load(Ordering::Relaxed).max(0);
    json(
        StatusCode::OK,
        format!(
            r#"{{"id":"{sku}","vendor_id":"{vendor}","product_id":"{product}","code":"SKU-1","title":"{TITLE}","price":{MONEY},"available":{available}}}"#
        ),
    )
}

async fn make(State(visits): State<Arc<Visits>>) -> Response {
    let cart = CartId::from_uuid(visits.clock.new_uuid());
    let at = visits.clock.now().as_millis();
    let record = format!(r#"{{"e":"{cart}","v":1,"at":{at},"ev":[{{"type":"created","currency":"BDT"}}]}}"#);
    if visits.ceiling.append(cart.entity(), 1, record.into_bytes()).await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    json(
        StatusCode::CREATED,
        format!(
            r#"{{"id":"{cart}","status":"open","lines":[],"subtotal":{{"amount":"0.00","currency":"BDT"}},"token":"{TOKEN}"}}"#
        ),
    )
}

async fn fill(
    State(visits): State<Arc<Visits>>,
    Path((cart, sku)): Path<(CartId, SkuId)>,
    Json(Line { quantity }): Json<Line>,
) -> Response {
    let (at, vendor) = (visits.clock.now().as_millis(), visits.vendor);
    let record = format!(
        r#"{{"e":"{cart}","v":2,"at":{at},"ev":[{{"type":"line_set","sku":"{sku}","vendor":"{vendor}","title":"{TITLE}","quantity":{quantity},"unit_price":{UNIT_PRICE}}}]}}"#
    );
    if visits.ceiling.append(cart.entity(), 2, record.into_bytes()).await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    json(
        StatusCode::OK,
        format!(
            r#"{{"id":"{cart}","status":"open","lines":[{{"sku_id":"{sku}","vendor_id":"{vendor}","title":"{TITLE}","quantity":{quantity},"unit_price":{MONEY},"line_total":{MONEY}}}],"subtotal":{MONEY}}}"#
        ),
    )
}

/// What is refused is a record, too: Haat keeps the answer under its key.
async fn check_out(
    State(visits): State<Arc<Visits>>,
    Path(cart): Path<CartId>,
    Json(Checkout { email, shipping_address, payment }): Json<Checkout>,
) -> Response {
    let sku = SkuId::from_uuid(visits.product.uuid());
    let request = OrderRequest { cart_id: cart, sku_id: sku, quantity: 1, email, shipping_address, payment };
    let order = NewOrder::new(request, &visits.clock);
    if visits.ceiling.place(&order).await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if visits.left.fetch_sub(1, Ordering::Relaxed) <= 0 {
        return sold_out(&order);
    }
    let item = Item { vendor: visits.vendor, title: TITLE.to_owned(), unit_price: UNIT_PRICE };
    (StatusCode::CREATED, Json(OrderBody::of_view(&order.view(&item, true), &Known::Nothing))).into_response()
}
