//! A platform of the company's own that speaks a small contract over HTTP: how it is asked, and what is believed of its answers. Payments
//! (`redirect`) and parcels (`courier`) go to such platforms, each with a contract of its own.
//!
//! Both know each other by a secret: the shop shows the first as its bearer, and the platform signs its notices with any of them.

use super::provider::{Answer, Server};
use super::standard_webhooks::Signers;
use crate::domain::time::Timestamp;
use crate::ports::{Headers, NoAnswer, NoNotice};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Why a platform cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformSetting {
    /// The URL is none, or cannot be asked.
    #[error("{0}")]
    Url(String),
    /// A secret is none.
    #[error("{0}")]
    Secret(String),
}

/// Where a platform is, and by what it and the shop know each other.
#[derive(Clone)]
pub struct PlatformConfig {
    /// Where it is.
    pub url: String,
    /// What it knows the shop by (the first), and signs its notices with (any of them).
    pub secrets: Vec<String>,
    /// How the shop's own links begin, without a slash at the end.
    pub public_url: String,
}

/// What a platform is called in words for the operator, and the words of its contract.
#[derive(Clone, Copy)]
pub(super) struct Contract {
    /// What it is.
    pub(super) platform: &'static str,
    /// The settings with its URL and its secret.
    pub(super) url: &'static str,
    pub(super) secret: &'static str,
    /// The words for what is refused. No other word of a platform's is shown or logged.
    pub(super) codes: &'static [&'static str],
}

/// A platform.
pub(super) struct Platform {
    server: Server,
    authorization: HeaderValue,
    signers: Signers,
    contract: Contract,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    code: Option<String>,
}

/// What a platform said.
pub(super) struct Said {
    pub(super) status: u16,
    body: Bytes,
    codes: &'static [&'static str],
}

impl Platform {
    /// The platform as it is asked with these settings.
    ///
    /// # Errors
    /// Which of them cannot be used, in words, without what is secret.
    pub(super) fn new(config: &PlatformConfig, contract: Contract) -> Result<Self, PlatformSetting> {
        let server = Server::new(&config.url).map_err(PlatformSetting::Url)?;
        let signers = Signers::new(&config.secrets).map_err(PlatformSetting::Secret)?;
        let of_secret = || PlatformSetting::Secret(format!("must be set where {} is", contract.url));
        let own = config.secrets.first().ok_or_else(of_secret)?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {own}")).map_err(|_| of_secret())?;
        authorization.set_sensitive(true);
        Ok(Self { server, authorization, signers, contract })
    }

    /// Asks once, with a body or without.
    ///
    /// # Errors
    /// Where nobody knows what came of it, or it is to be asked later.
    pub(super) async fn ask(&self, method: &str, path: &str, body: Option<&impl Serialize>) -> Result<Said, NoAnswer> {
        let unsendable = |_| NoAnswer("it cannot be sent".to_owned());
        let bytes = body.map_or(Ok(Vec::new()), serde_json::to_vec).map_err(unsendable)?;
        let mut request = Request::new(Bytes::from(bytes));
        *request.method_mut() = match method {
            "PUT" => Method::PUT,
            "DELETE" => Method::DELETE,
            _ => Method::GET,
        };
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let Contract { platform, secret, codes, .. } = self.contract;
        let Answer { status, body } = self.server.ask(path, request).await?;
        let said = Said { status, body, codes };
        match status {
            200 | 201 | 400 | 404 | 409 | 422 => Ok(said),
            401 | 403 => {
                tracing::error!(status, "the {platform} does not take the secret ({secret})");
                Err(said.unexpected())
            }
            _ => Err(said.unexpected()),
        }
    }

    /// Whether a notice is the platform's.
    ///
    /// # Errors
    /// See [`NoNotice`].
    pub(super) fn has_signed(&self, header: Headers<'_>, body: &[u8], wall: Timestamp) -> Result<(), NoNotice> {
        self.signers.check(header, body, wall)
    }
}

impl Said {
    pub(super) const fn is_done(&self) -> bool {
        self.status < 300
    }

    /// Why it is not done: a word of the contract, if it is one.
    pub(super) fn reason(&self) -> &'static str {
        let refused: Option<Refused> = serde_json::from_slice(&self.body).ok();
        let code = refused.and_then(|refused| refused.code);
        self.codes.iter().find(|known| code.as_deref() == Some(**known)).copied().unwrap_or("refused")
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

/// Whether a platform's name for something is one: it stands in paths, in rows and in logs, so it is plain.
pub(super) fn is_plain(name: &str, longest: usize) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=longest).contains(&name.len()) && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_the_contract_are_repeated() {
        for (body, reason) in [
            (r#"{"code": "exceeds_payment"}"#, "exceeds_payment"),
            (r#"{"code": "unknown_refund", "detail": "4242"}"#, "unknown_refund"),
            (r#"{"code": "hush"}"#, "refused"),
            ("<html>", "refused"),
        ] {
            let codes = &["unknown_refund", "exceeds_payment"];
            assert_eq!(Said { status: 409, body: Bytes::from(body), codes }.reason(), reason);
        }
    }
}
