//! The HTTP side of the baselines: axum, one route, and behind it whatever takes the order. No tokens are checked, no keys looked up
//! and no limits kept, which Haat does for each request: that is to the baselines' advantage.

use crate::order::{Item, NewOrder, OrderRequest};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use haat::adapters::clock::SystemClock;
use haat::domain::details::Known;
use haat::http::orders::OrderBody;
use haat::http::server::{ServerSettings, serve as serve_as_haat};
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use tokio::net::TcpListener;

/// What became of an order.
#[derive(Debug)]
pub enum Outcome {
    /// It is durable. Whether it is paid, too.
    Placed(Item, bool),
    /// There is not enough.
    SoldOut,
}

/// A way to take orders.
pub trait Shop: Send + Sync + 'static {
    /// Takes one order, or refuses it; what is placed is durable. With `until_paid`, the answer waits until it is paid, where the shop
    /// knows of payments.
    fn place(&self, order: Arc<NewOrder>, until_paid: bool) -> impl Future<Output = anyhow::Result<Outcome>> + Send;
}

struct Desk<S> {
    shop: S,
    clock: SystemClock,
}

async fn take_order<S: Shop>(
    State(desk): State<Arc<Desk<S>>>,
    headers: HeaderMap,
    Json(request): Json<OrderRequest>,
) -> Response {
    let until_paid = headers.contains_key("prefer");
    let order = Arc::new(NewOrder::new(request, &desk.clock));
    match desk.shop.place(order.clone(), until_paid).await {
        Ok(Outcome::Placed(item, paid)) => {
            let view = order.view(&item, paid);
            (StatusCode::CREATED, Json(OrderBody::of_view(&view, &Known::Nothing))).into_response()
        }
        Ok(Outcome::SoldOut) => sold_out(&order),
        Err(error) => {
            eprintln!("an order failed: {error:#}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The refusal in the shape of Haat's.
pub fn sold_out(order: &NewOrder) -> Response {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "there is not enough in stock",
        "code": "out_of_stock",
        "skus": [{"sku_id": order.request.sku_id, "requested": order.request.quantity, "available": 0}],
    });
    (StatusCode::CONFLICT, Json(body)).into_response()
}

fn router<S: Shop>(shop: S) -> Router {
    let desk = Arc::new(Desk { shop, clock: SystemClock::new() });
    Router::new()
        .route("/v1/orders", post(take_order::<S>))
        .route("/readyz", get(|| async { "ready" }))
        .with_state(desk)
}

/// Serves with axum's own accept loop, the leanest there is, until the process is killed.
pub async fn serve(listener: TcpListener, shop: impl Shop) -> anyhow::Result<()> {
    let listener = listener.tap_io(|stream| {
        // A connection that is gone already shows when it is read.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router(shop)).await?;
    Ok(())
}

/// Serves with Haat's accept loop and its limits on connections, and with these routes besides: what the ceiling is measured with.
pub async fn serve_with_haats_loop(listener: TcpListener, shop: impl Shop, besides: Router) {
    let router = router(shop).merge(besides);
    serve_as_haat(listener, router, ServerSettings::default(), std::future::pending()).await;
}
