//! What payment providers and couriers say by themselves.

use crate::actors::Readiness;
use crate::actors::shop::Shop;
use crate::http::error::{self, INVALID_BODY, NOT_FOUND, Problem, Result, SIGNATURE_INVALID, UNAVAILABLE};
use crate::http::extract::{Id, RawBody};
use crate::http::openapi::problems;
use crate::http::services::Services;
use crate::http::tracking::Word;
use crate::http::{HttpState, Settings};
use crate::ports::couriers::CourierNotice;
use crate::ports::{Headers, NoNotice, Notice, Payment};
use crate::services::payments::Payments;
use axum::extract::{FromRef, State};
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;

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

problems!(CourierNoticeProblems: &[
    &error::SIGNATURE_INVALID, &error::NOT_FOUND, &error::BODY_TIMEOUT, &error::BODY_TOO_LARGE, &error::INVALID_BODY,
    &error::UNAVAILABLE
]);

/// A notice of a courier's
///
/// What became of a parcel, signed as Standard Webhooks says (`webhook-id`, `webhook-timestamp`, `webhook-signature`), at most five minutes ago. It
/// is heard once it is kept, each event once by its own id: so it does no harm to send one twice, late or in another order.
#[utoipa::path(post, path = "/v1/notices/couriers/{courier}", tag = "orders", operation_id = "take_courier_notice",
    params(("courier" = String, Path, description = "The courier's name", example = "platform")),
    request_body(content = String, content_type = "application/json", description = "An event of the courier's."),
    responses((status = 200, description = "It was heard."), CourierNoticeProblems))]
pub async fn take_courier_notice(
    State(ears): State<Ears>,
    Id(Word(courier)): Id<Word>,
    raw: RawBody,
) -> Result<StatusCode> {
    ears.take_of_courier(&courier, &raw).await
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
        let header = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
        let within = self.settings.request_timeout;
        match take(&self.shop, &self.services.payments, method, (&header, body), within).await {
            Taken::Heard => Ok(StatusCode::OK),
            Taken::NotReady => Err(not_ready()),
            Taken::NotNow => Err(not_now()),
            Taken::None(none) => Err(none.into()),
        }
    }

    /// Takes a notice of this courier.
    async fn take_of_courier(&self, courier: &str, RawBody { headers, body }: &RawBody) -> Result<StatusCode> {
        let couriers = &self.services.couriers;
        let header = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
        if !matches!(self.shop.readiness(), Readiness::Ready) {
            return Err(not_ready());
        }
        match couriers.notice(courier, &header, body)? {
            CourierNotice::Other => Ok(StatusCode::OK),
            CourierNotice::Unreadable => {
                tracing::warn!(courier, "a courier's notice cannot be read");
                Err(Problem::new(&INVALID_BODY, "it is no event of the contract's"))
            }
            CourierNotice::Told(told) => {
                let kept = tokio::time::timeout(self.settings.request_timeout, couriers.keep(courier, told)).await;
                match kept {
                    Ok(Ok(_)) => Ok(StatusCode::OK),
                    // Whether it is there or not: it does no harm to send it again.
                    Ok(Err(_)) | Err(_) => Err(not_now()),
                }
            }
        }
    }
}

fn not_ready() -> Problem {
    Problem::new(&UNAVAILABLE, "this node takes no notices now").retry_after(1)
}

fn not_now() -> Problem {
    Problem::new(&UNAVAILABLE, "it cannot be seen to now").retry_after(1)
}

impl From<NoNotice> for Problem {
    fn from(none: NoNotice) -> Self {
        match none {
            NoNotice::Forged => Self::new(&SIGNATURE_INVALID, none.to_string()),
            NoNotice::NotTaken => Self::new(&NOT_FOUND, "there is nothing at this path"),
        }
    }
}

/// What has become of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// What it is about is looked up, whatever becomes of this node.
    Heard,
    /// This node takes none: whoever sends it is to send it again.
    NotReady,
    /// It could not be written in time, or nobody says whose payment it is: it is to be sent again.
    NotNow,
    /// It is none.
    None(NoNotice),
}

/// Takes a notice, its headers and its body, that came as one of the provider of this method, within this time.
pub fn take<'a>(
    shop: &'a Shop,
    payments: &'a Payments,
    method: &'a str,
    (header, body): (Headers<'_>, &[u8]),
    within: Duration,
) -> impl Future<Output = Taken> + Send + use<'a> {
    // At once: what tells the headers need not outlive this.
    let notice = match shop.readiness() {
        Readiness::Ready => Some(shop.notice(method, header, body)),
        _ => None,
    };
    async move {
        match notice {
            Some(Ok(Notice::After(payment))) => look_at(shop, payments, method, payment, within).await,
            Some(Ok(Notice::Order(_) | Notice::Other)) => Taken::Heard,
            Some(Err(none)) => Taken::None(none),
            None => Taken::NotReady,
        }
    }
}

/// Has an order be looked up because of what comes after its payment.
async fn look_at(shop: &Shop, payments: &Payments, method: &str, payment: Payment, within: Duration) -> Taken {
    let look = async {
        let order = match payment {
            Payment::Of(order) => Some(order),
            Payment::Named(reference) => shop.order_of_payment(method, &reference).await?,
        };
        match order {
            Some(order) => payments.look_at(&[order]).await.ok(),
            None => Some(()),
        }
    };
    match tokio::time::timeout(within, look).await {
        Ok(Some(())) => Taken::Heard,
        Ok(None) | Err(_) => Taken::NotNow,
    }
}
