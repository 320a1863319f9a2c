//! What payment providers say by themselves.

use crate::actors::Readiness;
use crate::actors::shop::Shop;
use crate::http::error::{self, NOT_FOUND, Problem, Result, SIGNATURE_INVALID, UNAVAILABLE};
use crate::http::extract::RawBody;
use crate::http::openapi::problems;
use crate::http::services::Services;
use crate::http::{HttpState, Settings};
use crate::ports::{NoNotice, Notice, Payment};
use axum::extract::{FromRef, State};
use http::StatusCode;
use std::sync::Arc;

/// The name by which checkouts ask for Stripe.
const STRIPE: &str = "stripe";
/// The name by which checkouts ask for a platform of the company's own.
const REDIRECT: &str = "redirect";

problems!(NoticeProblems: &[
    &error::SIGNATURE_INVALID, &error::NOT_FOUND, &error::BODY_TIMEOUT, &error::BODY_TOO_LARGE, &error::UNAVAILABLE
]);

/// A notice of Stripe's
///
/// Signed as Stripe signs its webhooks (`Stripe-Signature`), at most five minutes ago. Of what it says only the order is read: the order looks
/// its payment up. So it does no harm to send one twice, late or in another order, and none if it never comes.
#[utoipa::path(post, path = "/v1/notices/stripe", tag = "payments", operation_id = "take_stripe_notice",
    request_body(content = String, content_type = "application/json", description = "An event of Stripe's."),
    responses((status = 200, description = "It was heard."), NoticeProblems))]
pub async fn take_stripe_notice(State(ears): State<Ears>, raw: RawBody) -> Result<StatusCode> {
    ears.take(STRIPE, &raw).await
}

/// A notice of the payment platform's
///
/// Signed as Standard Webhooks says (`webhook-id`, `webhook-timestamp`, `webhook-signature`), at most five minutes ago. Of what it says only
/// the payment and what of it has changed are read: its order looks it up. So it does no harm to send one twice, late or in another order, and
/// none if it never comes.
#[utoipa::path(post, path = "/v1/notices/redirect", tag = "payments", operation_id = "take_redirect_notice",
    request_body(content = String, content_type = "application/json", description = "An event of the platform's."),
    responses((status = 200, description = "It was heard."), NoticeProblems))]
pub async fn take_redirect_notice(State(ears): State<Ears>, raw: RawBody) -> Result<StatusCode> {
    ears.take(REDIRECT, &raw).await
}

/// What a notice is heard with.
pub struct Ears {
    shop: Shop,
    services: Services,
    settings: Arc<Settings>,
}

impl FromRef<HttpState> for Ears {
    fn from_ref(state: &HttpState) -> Self {
        Self { shop: state.shop.clone(), services: state.services.clone(), settings: state.settings.clone() }
    }
}

impl Ears {
    /// Takes a notice of the provider of this method.
    async fn take(&self, method: &str, RawBody { headers, body }: &RawBody) -> Result<StatusCode> {
        // Whoever sends it sends it again.
        if self.shop.readiness() != Readiness::Ready {
            return Err(Problem::new(&UNAVAILABLE, "this node takes no notices now").retry_after(1));
        }
        let header = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
        match self.shop.notice(method, &header, body) {
            Ok(Notice::After(payment)) => self.look_at(method, payment).await,
            Ok(Notice::Order(_) | Notice::Other) => Ok(StatusCode::OK),
            Err(NoNotice::Forged) => Err(Problem::new(&SIGNATURE_INVALID, NoNotice::Forged.to_string())),
            Err(NoNotice::NotTaken) => Err(Problem::new(&NOT_FOUND, "there is nothing at this path")),
        }
    }

    /// Has an order be looked up because of what comes after its payment. Where that cannot be written in time, or nobody says whose payment it
    /// is, the provider is to send it again.
    async fn look_at(&self, method: &str, payment: Payment) -> Result<StatusCode> {
        let look = async {
            let order = match payment {
                Payment::Of(order) => Some(order),
                Payment::Named(reference) => self.shop.order_of_payment(method, &reference).await?,
            };
            match order {
                Some(order) => self.services.payments.look_at(&[order]).await.ok(),
                None => Some(()),
            }
        };
        match tokio::time::timeout(self.settings.request_timeout, look).await {
            Ok(Some(())) => Ok(StatusCode::OK),
            Ok(None) | Err(_) => Err(Problem::new(&UNAVAILABLE, "it cannot be seen to now").retry_after(1)),
        }
    }
}
