//! What payment providers say by themselves.

use crate::actors::Readiness;
use crate::actors::shop::Shop;
use crate::http::error::{self, NOT_FOUND, Problem, Result, SIGNATURE_INVALID, UNAVAILABLE};
use crate::http::extract::RawBody;
use crate::http::openapi::problems;
use crate::ports::NoNotice;
use axum::extract::State;
use http::StatusCode;

/// The name by which checkouts ask for Stripe.
const STRIPE: &str = "stripe";

problems!(StripeNoticeProblems: &[
    &error::SIGNATURE_INVALID, &error::NOT_FOUND, &error::BODY_TIMEOUT, &error::BODY_TOO_LARGE, &error::UNAVAILABLE
]);

/// A notice of Stripe's
///
/// Signed as Stripe signs its webhooks (`Stripe-Signature`), at most five minutes ago. Of what it says only the order is read: the order looks
/// its payment up. So it does no harm to send one twice, late or in another order, and none if it never comes.
#[utoipa::path(post, path = "/v1/notices/stripe", tag = "payments", operation_id = "take_stripe_notice",
    request_body(content = String, content_type = "application/json", description = "An event of Stripe's."),
    responses((status = 200, description = "It was heard."), StripeNoticeProblems))]
pub async fn take_stripe_notice(State(shop): State<Shop>, raw: RawBody) -> Result<StatusCode> {
    // Whoever sends it sends it again.
    if shop.readiness() != Readiness::Ready {
        return Err(Problem::new(&UNAVAILABLE, "this node takes no notices now").retry_after(1));
    }
    let RawBody { headers, body } = raw;
    let header = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
    match shop.notice(STRIPE, &header, &body) {
        Ok(_) => Ok(StatusCode::OK),
        Err(NoNotice::Forged) => Err(Problem::new(&SIGNATURE_INVALID, NoNotice::Forged.to_string())),
        Err(NoNotice::NotTaken) => Err(Problem::new(&NOT_FOUND, "there is nothing at this path")),
    }
}
