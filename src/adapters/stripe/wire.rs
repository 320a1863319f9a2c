//! How Stripe is asked, and what it answers.

use super::amount::of_gateway;
use super::{API_VERSION, Stripe, amount_of};
use crate::adapters::provider::{Answer, code_of};
use crate::domain::order::{DisputeStatus, DisputeTold};
use crate::domain::payment::{NextAction, Progress};
use crate::ports::NoAnswer;
use bytes::Bytes;
use foldhash::HashMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

const VERSION: HeaderName = HeaderName::from_static("stripe-version");
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What Stripe said: that it is done, or why not.
pub(super) struct Said {
    status: u16,
    body: Bytes,
    error: ErrorBody,
}

/// What is read of an error. Its words may repeat what was sent, so they are not read.
#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    decline_code: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Failed {
    error: ErrorBody,
}

impl Said {
    pub(super) const fn is_done(&self) -> bool {
        self.status < 300
    }

    /// There is no such thing.
    pub(super) const fn is_absent(&self) -> bool {
        self.status == 404
    }

    /// Why it is not done: a stable code.
    pub(super) fn reason(&self) -> &str {
        let ErrorBody { code, decline_code, kind } = &self.error;
        let known = code_of(decline_code.as_deref()).or(code_of(code.as_deref())).or(code_of(kind.as_deref()));
        known.unwrap_or("refused")
    }

    /// It is not what may come.
    pub(super) fn unexpected(&self) -> NoAnswer {
        NoAnswer(format!("it answered {}, {}", self.status, self.reason()))
    }

    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, NoAnswer> {
        // What serde says may hold what was sent.
        serde_json::from_slice(&self.body).map_err(|_| NoAnswer("its answer cannot be read".to_owned()))
    }
}

/// An amount that is none.
pub(super) fn no_amount() -> NoAnswer {
    NoAnswer("it tells an amount that is none".to_owned())
}

/// What is read of an intent.
#[derive(Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) amount: u64,
    #[serde(default)]
    pub(super) amount_received: Option<u64>,
    pub(super) currency: String,
    #[serde(default)]
    client_secret: Option<String>,
    #[serde(default)]
    next_action: Option<Next>,
    #[serde(default)]
    last_payment_error: Option<ErrorBody>,
    #[serde(default)]
    pub(super) metadata: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    redirect_to_url: Option<Redirect>,
}

#[derive(Deserialize)]
struct Redirect {
    url: String,
}

impl Intent {
    /// How the payment stands. A decline's reason is the last one's.
    pub(super) fn progress(self) -> Result<Progress, NoAnswer> {
        let declined = |or: &str| {
            let error = self.last_payment_error.as_ref();
            let known = error.and_then(|it| code_of(it.decline_code.as_deref()).or(code_of(it.code.as_deref())));
            Progress::Declined { reason: known.unwrap_or(or).to_owned() }
        };
        Ok(match self.status.as_str() {
            "succeeded" => {
                let amount = amount_of(&self).ok_or_else(no_amount)?;
                Progress::Succeeded { reference: Some(self.id), amount, fee: None }
            }
            "requires_confirmation" => Progress::NotStarted,
            // Each intent is made with a means of payment: it is gone because it was refused.
            "requires_payment_method" => declined("card_declined"),
            "canceled" => declined("canceled"),
            "requires_action" => {
                let to = self.next_action.and_then(|next| next.redirect_to_url);
                let secret = || self.client_secret.ok_or_else(|| NoAnswer("an intent has no secret".to_owned()));
                let action = match to {
                    Some(Redirect { url }) => NextAction::Redirect { url: url.into() },
                    None => NextAction::StripeSdk { client_secret: secret()?.into() },
                };
                Progress::NeedsBuyer { action }
            }
            // What is to be captured by hand is not asked for; nothing is known of what comes later.
            _ => Progress::Processing,
        })
    }
}

/// What is read of a refund.
#[derive(Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    #[serde(default)]
    pub(super) status: Option<String>,
    pub(super) amount: u64,
    pub(super) currency: String,
    #[serde(default)]
    pub(super) failure_reason: Option<String>,
    #[serde(default)]
    pub(super) metadata: HashMap<String, String>,
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// What is read of a dispute.
#[derive(Deserialize)]
pub(super) struct Dispute {
    pub(super) id: String,
    status: String,
    amount: u64,
    currency: String,
    #[serde(default)]
    reason: Option<String>,
}

impl Dispute {
    /// What it says; nothing of an inquiry, by which no bank has taken anything.
    pub(super) fn told(&self) -> Result<Option<DisputeTold>, NoAnswer> {
        let status = match self.status.as_str() {
            "won" => DisputeStatus::Won,
            "lost" => DisputeStatus::Lost,
            "needs_response" | "under_review" => DisputeStatus::Open,
            _ => return Ok(None),
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !(1..=64).contains(&self.id.len()) || !self.id.bytes().all(is_plain) {
            return Err(NoAnswer("the name of a dispute is none of Stripe's".to_owned()));
        }
        let amount = of_gateway(self.amount, &self.currency).ok_or_else(no_amount)?;
        let reason = code_of(self.reason.as_deref()).unwrap_or("general").to_owned();
        Ok(Some(DisputeTold { id: self.id.clone(), status, amount, reason }))
    }
}

impl Stripe {
    /// Asks once, with a form or a query.
    ///
    /// # Errors
    /// Where nobody knows what came of it, or it is to be asked later. After a 500 the key is not used again.
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        key: Option<&str>,
    ) -> Result<Said, NoAnswer> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let is_get = method == "GET";
        let path = match is_get && !form.is_empty() {
            true => format!("{path}?{form}"),
            false => path.to_owned(),
        };
        let mut request = Request::new(if is_get { Bytes::new() } else { Bytes::from(form) });
        *request.method_mut() = if is_get { Method::GET } else { Method::POST };
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(VERSION, HeaderValue::from_static(API_VERSION));
        if !is_get {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        if let Some(name) = key {
            let value = HeaderValue::from_str(&self.key(name));
            headers.insert(KEY, value.map_err(|_| NoAnswer("the key cannot be sent".to_owned()))?);
        }
        let Answer { status, body } = self.server.ask(&path, request).await?;
        let error = match status {
            200..300 => ErrorBody::default(),
            _ => serde_json::from_slice::<Failed>(&body).map(|failed| failed.error).unwrap_or_default(),
        };
        let said = Said { status, body, error };
        match status {
            200..300 => Ok(said),
            // The same thing was asked otherwise before, under this key: by another version of this, for one.
            400 if said.error.kind.as_deref() == Some("idempotency_error") => {
                key.into_iter().for_each(|name| self.spend(name));
                Err(said.unexpected())
            }
            400 | 402 | 404 => Ok(said),
            401 | 403 => {
                tracing::error!(status, code = said.reason(), "Stripe does not take the key (HAAT_STRIPE_KEY)");
                Err(said.unexpected())
            }
            500.. => {
                key.into_iter().for_each(|name| self.spend(name));
                Err(said.unexpected())
            }
            _ => Err(said.unexpected()),
        }
    }
}
