//! Asks HTTP servers outside, with or without TLS. It says what is known when something fails, waits for nobody longer than was said, reads no answer
//! that is longer than was said, keeps connections for the next question, and goes nowhere but where it was sent: it follows no redirect and
//! asks no proxy. It asks once: whether to ask again is known to whoever asks.

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response};
use reqwest::redirect;
use std::time::Duration;

/// How long a connection is kept that nobody needs: shorter than most servers keep theirs, so that none is used while it is being closed.
const IDLE: Duration = Duration::from_secs(30);
/// Connections to one server that are kept.
const IDLE_CONNECTIONS: usize = 8;
/// The most headers of an answer.
const HEADERS: usize = 64;

/// Whose certificates are believed.
#[derive(Clone)]
pub enum Trust {
    /// Those of whoever this machine trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others), as mails do.
    Machine,
    /// Those of these authorities, and nobody else's.
    Only(Vec<reqwest::Certificate>),
    /// Nobody's: servers are asked without TLS.
    Nobody,
}

impl Trust {
    /// Those of the authorities in a PEM file.
    ///
    /// # Errors
    /// When there is none in it, or one that cannot be read, in words.
    pub fn only(pem: &[u8]) -> Result<Self, String> {
        let found = reqwest::Certificate::from_pem_bundle(pem).map_err(|_| "is no PEM file".to_owned())?;
        match found.is_empty() {
            true => Err("holds no certificate".to_owned()),
            false => Ok(Self::Only(found)),
        }
    }
}

/// How servers are asked.
pub struct HttpClientSettings {
    /// Whose certificates are believed.
    pub trust: Trust,
    /// How long it may take until a connection is there, its TLS included.
    pub connect: Duration,
    /// How long all of it may take, up to the last byte of the answer.
    pub total: Duration,
    /// The most bytes of an answer's body.
    pub answer_bytes: usize,
}

/// Why there is no answer. The words name no URL, which may hold what nobody else is to know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpFault {
    /// Nothing was sent: there was no connection, or whoever was there is not who it should be.
    #[error("there is no connection: {0}")]
    NotSent(String),
    /// It may have been sent, and done, or not.
    #[error("{0}")]
    NoAnswer(String),
    /// There is an answer, of this status, and it is too long to be read.
    #[error("the answer has more than {1} bytes")]
    TooLong(u16, usize),
}

/// What asks.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    answer_bytes: usize,
}

impl HttpClient {
    /// One that asks so.
    ///
    /// # Errors
    /// When the certificates of whoever is trusted cannot be used, in words.
    pub fn new(settings: HttpClientSettings) -> Result<Self, String> {
        let HttpClientSettings { trust, connect, total, answer_bytes } = settings;
        let agent = HeaderValue::from_static(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")));
        let builder = reqwest::Client::builder()
            .user_agent(agent)
            .connect_timeout(connect)
            .timeout(total)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_headers(HEADERS)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy();
        let builder = match trust {
            Trust::Machine => builder.https_only(true),
            Trust::Only(authorities) => builder.tls_certs_only(authorities).https_only(true),
            Trust::Nobody => builder.tls_certs_only([]),
        };
        let client = builder.build().map_err(|error| words(&error))?;
        Ok(Self { client, answer_bytes })
    }

    /// Asks once.
    ///
    /// # Errors
    /// See [`HttpFault`]. A status that says that something is wrong is an answer.
    pub async fn ask(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpFault> {
        let sent = match reqwest::Request::try_from(request) {
            Ok(request) => self.client.execute(request).await,
            Err(error) => Err(error),
        };
        let mut answer = sent.map_err(fault)?;
        let (status, too_long) = (answer.status(), HttpFault::TooLong(answer.status().as_u16(), self.answer_bytes));
        let fits = |length: usize| length <= self.answer_bytes;
        if answer.content_length().is_some_and(|length| !usize::try_from(length).is_ok_and(fits)) {
            return Err(too_long);
        }
        let headers = std::mem::take(answer.headers_mut());
        let mut body = BytesMut::new();
        while let Some(more) = answer.chunk().await.map_err(fault)? {
            if !fits(body.len() + more.len()) {
                return Err(too_long);
            }
            body.extend_from_slice(&more);
        }
        let mut response = Response::new(body.freeze());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

fn fault(error: reqwest::Error) -> HttpFault {
    let error = error.without_url();
    let is_late = error.is_timeout();
    match (error.is_connect() || error.is_builder(), is_late) {
        (true, true) => HttpFault::NotSent("it took too long".to_owned()),
        (true, false) => HttpFault::NotSent(words(&error)),
        (false, true) => HttpFault::NoAnswer("no answer in time".to_owned()),
        (false, false) => HttpFault::NoAnswer(words(&error)),
    }
}

/// What it comes from at last, in words: what stands above that says no more than that something went wrong.
fn words(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
