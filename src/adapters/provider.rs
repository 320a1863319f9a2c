//! What all providers outside have in common, of payments and of parcels: where they may be, how they are asked, how long they are left alone when they
//! say so, and which of their notices are too old.

use super::http_client::{HttpClient, HttpClientSettings, HttpFault, Trust};
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::NoAnswer;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request};
use parking_lot::Mutex;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// How long it may take until there is a connection, and until there is an answer.
const CALL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(20));
/// How long one call may take: the client's own limit comes first.
pub(super) const PATIENCE: Duration = Duration::from_secs(CALL.1.as_secs() + 1);
/// The most bytes of an answer.
const ANSWER_BYTES: usize = 1024 * 1024;
/// The longest time that a provider is not asked because it said so.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// What is taken for such a time where it does not say it.
const REST: Duration = Duration::from_secs(1);

/// A provider's server.
pub(super) struct Server {
    client: HttpClient,
    url: String,
    /// Until when it wants not to be asked.
    rests_until: Mutex<Option<Instant>>,
}

/// What it answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

impl Server {
    /// The one at this URL.
    ///
    /// # Errors
    /// Why it cannot be asked, in words.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("is no URL: {error}"))?;
        let trust = match url.scheme() {
            "https" => Trust::Machine,
            "http" if is_loopback(&url) => Trust::Nobody,
            "http" => return Err("must begin with https://: over http:// only a loopback address is asked".to_owned()),
            _ => return Err("must begin with https://".to_owned()),
        };
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err("may have a host, a port and a path, and nothing else".to_owned());
        }
        let (connect, total) = CALL;
        let client = HttpClient::new(HttpClientSettings { trust, connect, total, answer_bytes: ANSWER_BYTES })
            .map_err(|error| format!("cannot be asked over TLS: {error}"))?;
        Ok(Self { client, url: url.as_str().trim_end_matches('/').to_owned(), rests_until: Mutex::default() })
    }

    /// Asks once: what stands in the request, at this path behind the server's own.
    ///
    /// # Errors
    /// Where nobody knows what came of it, or it wants not to be asked now.
    pub(super) async fn ask(&self, path: &str, mut request: Request<Bytes>) -> Result<Answer, NoAnswer> {
        if self.rests_until.lock().is_some_and(|until| Instant::now() < until) {
            return Err(NoAnswer("it wants not to be asked now".to_owned()));
        }
        let uri = format!("{}{path}", self.url).parse();
        *request.uri_mut() = uri.map_err(|_| NoAnswer("its address cannot be asked".to_owned()))?;
        let (head, body) = match self.client.ask(request).await {
            Ok(answer) => answer.into_parts(),
            Err(fault @ (HttpFault::NotSent(_) | HttpFault::NoAnswer(_) | HttpFault::TooLong(..))) => {
                return Err(NoAnswer(fault.to_string()));
            }
        };
        if head.status.as_u16() == 429 {
            *self.rests_until.lock() = Some(Instant::now() + rest_of(&head.headers));
        }
        Ok(Answer { status: head.status.as_u16(), body })
    }
}

/// Whether a URL leads to this machine itself.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// How long it wants not to be asked.
fn rest_of(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(REST, Duration::from_secs).min(LONGEST_REST)
}

/// A code in a provider's words, if it is one: nothing else of what a provider says is shown or logged.
pub(super) fn code_of(text: Option<&str>) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.filter(|code| (1..=64).contains(&code.len()) && code.bytes().all(is_plain))
}

/// Whether a notice that was signed at this moment, in seconds, as the text says, is neither too old nor from the future.
pub(super) fn is_recent(at: &str, wall: Timestamp) -> bool {
    let apart = at.parse().ok().and_then(|seconds: i64| wall.as_millis().div_euclid(1_000).checked_sub(seconds));
    apart.is_some_and(|apart| apart.unsigned_abs() <= limits::NOTICE_TOLERANCE_S.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_taken_for_five_minutes_either_way() {
        let wall = Timestamp::from_millis(1_000_000_999);
        for (at, is_taken) in [
            ("1000000", true),
            ("999700", true),
            ("1000300", true),
            ("999699", false),
            ("1000301", false),
            ("", false),
            ("x", false),
            ("-9223372036854775808", false),
        ] {
            assert_eq!(is_recent(at, wall), is_taken, "{at}");
        }
    }

    #[test]
    fn how_long_it_rests_is_what_it_says_within_a_minute() {
        let said = |text: &'static str| HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static(text))]);
        for (text, seconds) in [("30", 30), ("3600", 60), ("soon", 1)] {
            assert_eq!(rest_of(&said(text)), Duration::from_secs(seconds), "{text}");
        }
        assert_eq!(rest_of(&HeaderMap::new()), REST);
    }
}
