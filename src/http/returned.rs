//! Where buyers come back to from paying elsewhere. It is a page for whoever has a browser, not one of the API: it takes whatever stands in
//! its address, believes nothing of it, and shows nothing of anybody's. That somebody comes back is a hint to look the payment up.

use super::pages::page;
use crate::actors::shop::Shop;
use crate::domain::ids::OrderId;
use crate::http::{HttpState, Settings};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use url::{Url, form_urlencoded};

/// What a buyer sees where the shop has named no page of its own: the same for everybody.
const THANKS: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Back from paying</title></head><body>\
<h1>You are back</h1><p>The shop is asking how your payment went. You may close this page: your order tells.</p></body></html>";

/// The page.
pub(super) fn pages() -> Router<HttpState> {
    Router::new().route("/v1/payments/return", get(come_back))
}

async fn come_back(
    State(shop): State<Shop>,
    State(settings): State<Arc<Settings>>,
    RawQuery(query): RawQuery,
) -> Response {
    let order = order_of(query.as_deref().unwrap_or_default());
    if let Some(order) = order {
        shop.buyer_is_back(order);
    }
    let Some(elsewhere) = settings.return_page.as_ref().and_then(|page| address(page, order)) else {
        return page(Bytes::from_static(THANKS.as_bytes()));
    };
    let mut answer = page(Bytes::new());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    answer.headers_mut().insert(LOCATION, elsewhere);
    answer
}

/// The order of which a query speaks. Whatever else the platform has added is left alone.
fn order_of(query: &str) -> Option<OrderId> {
    let mut fields = form_urlencoded::parse(query.as_bytes());
    fields.find(|(name, _)| name == "order").and_then(|(_, order)| order.parse().ok())
}

/// The shop's page, of this order.
fn address(page: &Url, order: Option<OrderId>) -> Option<HeaderValue> {
    let mut page = page.clone();
    if let Some(order) = order {
        page.query_pairs_mut().append_pair("order", &order.to_string());
    }
    HeaderValue::from_str(page.as_str()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_buyer_is_sent_on_with_the_order_and_nothing_else() {
        let order = OrderId::from_uuid(Uuid::from_u128(7));
        let page = Url::parse("https://shop.example/thanks?from=pay").unwrap();
        let sent = |query: &str| address(&page, order_of(query)).unwrap().to_str().unwrap().to_owned();
        let expected = format!("https://shop.example/thanks?from=pay&order={order}");
        assert_eq!(sent(&format!("order={order}")), expected);
        assert_eq!(sent(&format!("status=ok&order={order}&to=https%3A%2F%2Fevil.example")), expected);
        for query in ["", "order=", "order=cart_1", "order=%0d%0aset-cookie:x", "status=paid"] {
            assert_eq!(sent(query), "https://shop.example/thanks?from=pay", "{query}");
        }
    }
}
