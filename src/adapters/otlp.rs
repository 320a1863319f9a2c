//! Tells a collector of spans: OTLP over HTTP with protobuf bodies (OpenTelemetry Protocol Specification 1.x). It takes what has gathered in the queue,
//! batch by batch, and gives each batch one try: a trace is worth less than the work of keeping it. What a collector does not take is
//! counted as dropped, as is what comes while the queue is full.

mod encode;

use crate::adapters::http_client::{HttpClient, HttpClientSettings, Trust};
use crate::limits;
use crate::ports::Clock;
use crate::ports::trace::{Span, Spans};
use crate::telemetry::names;
use bytes::Bytes;
use encode::Anchor;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Uri};
use metrics::Counter;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use url::Url;

/// How long spans gather before they are told.
const GATHER: Duration = Duration::from_secs(1);
/// How long a collector may take until it is connected, and over a batch.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(5));
/// The most bytes of a collector's answer, which is empty where it takes all spans.
const ANSWER_BYTES: usize = 64 * 1024;
/// Past this the wall clock was set, and moments are told by it anew.
const CLOCK_SET: Duration = Duration::from_millis(500);

/// Where a collector takes spans.
#[derive(Clone, Debug)]
pub struct Collector {
    uri: Uri,
    client: HttpClient,
}

/// What is wrong with the settings of a collector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectorSetting {
    /// Its URL.
    #[error("{0}")]
    Url(String),
    /// Whose certificates are believed.
    #[error("{0}")]
    Authorities(String),
}

impl Collector {
    /// The collector at a URL such as `http://127.0.0.1:4318` or `https://collector.example:4318`; `/v1/traces` is put behind it, as OpenTelemetry's
    /// own exporters do. One at `https://` is to have a certificate of one of these authorities, in PEM, or where none are given of one that this
    /// machine trusts.
    ///
    /// # Errors
    /// What is wrong with it, in words, without a password.
    pub fn new(url: &str, authorities: Option<&[u8]>) -> Result<Self, CollectorSetting> {
        let of_url = |reason: &str| CollectorSetting::Url(reason.to_owned());
        let url = Url::parse(url).map_err(|error| of_url(&format!("is no URL: {error}")))?;
        let trust = match (url.scheme(), authorities) {
            ("https", None) => Trust::Machine,
            ("https", Some(pem)) => Trust::only(pem).map_err(CollectorSetting::Authorities)?,
            ("http", None) => Trust::Nobody,
            ("http", Some(_)) => {
                let reason = "is for a collector at https://, and HAAT_OTLP_URL begins with http://";
                return Err(CollectorSetting::Authorities(reason.to_owned()));
            }
            _ => return Err(of_url("must begin with http:// or https://")),
        };
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(of_url("may have a host, a port and a path, and nothing else"));
        }
        let uri = format!("{}/v1/traces", url.as_str().trim_end_matches('/'));
        let uri = uri.parse().map_err(|_| of_url("is no URL that can be asked"))?;
        let is_given = matches!(trust, Trust::Only(_));
        let (connect, total) = PATIENCE;
        let client = HttpClient::new(HttpClientSettings { trust, connect, total, answer_bytes: ANSWER_BYTES });
        let client = client.map_err(|error| match is_given {
            true => CollectorSetting::Authorities(error),
            false => of_url(&format!("cannot be asked over TLS: {error}")),
        })?;
        Ok(Self { uri, client })
    }

    async fn takes(&self, body: Vec<u8>) -> Result<(), String> {
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let answer = self.client.ask(request).await.map_err(|fault| fault.to_string())?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("it answered {}", status.as_u16())),
        }
    }
}

/// What tells a collector of spans.
pub struct Exporter {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Exporter {
    /// Starts one with a queue for so many spans, and gives the queue.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn start(collector: Collector, room: usize, clock: Arc<dyn Clock>) -> std::io::Result<(Self, Spans)> {
        let mut seed = [0; 8];
        aws_lc_rs::rand::fill(&mut seed).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
        let dropped = metrics::counter!(names::TRACE_SPANS_DROPPED);
        let (spans, queue) = Spans::new(room, u64::from_le_bytes(seed), dropped.clone());
        let (stop, anchor) = (CancellationToken::new(), anchor(&*clock));
        let sending = Sending { collector, queue, clock, anchor, dropped, answers: true };
        Ok((Self { task: tokio::spawn(sending.run(stop.clone())), stop }, spans))
    }

    /// Tells what is queued, for as long as that may take, and ends.
    pub async fn finish(self) {
        self.stop.cancel();
        let mut task = self.task;
        if timeout(Duration::from_millis(limits::TRACE_FLUSH_MS), &mut task).await.is_err() {
            tracing::warn!("the last spans could not be told in time");
            task.abort();
        }
    }
}

fn anchor(clock: &dyn Clock) -> Anchor {
    let unix_ms = u64::try_from(clock.wall().as_millis()).unwrap_or(0);
    Anchor { instant: Instant::now(), unix_nanos: unix_ms.saturating_mul(1_000_000) }
}

struct Sending {
    collector: Collector,
    queue: Receiver<Span>,
    clock: Arc<dyn Clock>,
    anchor: Anchor,
    dropped: Counter,
    /// Whether it took the last batch.
    answers: bool,
}

impl Sending {
    async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        while !stop.is_cancelled() {
            self.gather(&mut batch, &stop).await;
            self.send(&mut batch).await;
        }
        self.queue.close();
        while self.queue.recv_many(&mut batch, limits::TRACE_BATCH).await > 0 {
            self.send(&mut batch).await;
        }
    }

    /// Takes what comes within some time of the first, until a batch is full or a stop is asked for.
    async fn gather(&mut self, batch: &mut Vec<Span>, stop: &CancellationToken) {
        let mut until = None;
        while batch.len() < limits::TRACE_BATCH {
            let room = limits::TRACE_BATCH - batch.len();
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return,
                taken = self.queue.recv_many(batch, room) => if taken == 0 { return },
            }
            until = until.or_else(|| Some(Instant::now() + GATHER));
        }
    }

    async fn send(&mut self, batch: &mut Vec<Span>) {
        if batch.is_empty() {
            return;
        }
        self.follow_clock();
        let body = encode::request(batch, &self.anchor);
        let failed = self.collector.takes(body).await.err();
        match &failed {
            Some(error) => {
                self.dropped.increment(batch.len() as u64);
                if self.answers {
                    tracing::warn!(error, "the collector takes no spans: they are dropped until it does");
                }
            }
            None if !self.answers => tracing::info!("the collector takes spans again"),
            None => {}
        }
        self.answers = failed.is_none();
        batch.clear();
    }

    /// Moments of one trace are told by the same anchor, unless the wall clock was set meanwhile.
    fn follow_clock(&mut self) {
        let now = anchor(&*self.clock);
        let by_both = self.anchor.unix_nanos + (now.instant - self.anchor.instant).as_nanos() as u64;
        if by_both.abs_diff(now.unix_nanos) > CLOCK_SET.as_nanos() as u64 {
            self.anchor = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_its_host_and_port() {
        let at = |url: &str| Collector::new(url, None).map(|at| at.uri.to_string());
        let found = |uri: &str| Ok(uri.to_owned());
        assert_eq!(at("http://127.0.0.1:4318"), found("http://127.0.0.1:4318/v1/traces"));
        assert_eq!(at("http://collector/"), found("http://collector/v1/traces"));
        assert_eq!(at("http://[::1]:4318/otlp/"), found("http://[::1]:4318/otlp/v1/traces"));
        for bad in
            ["", " ", "junk", "ftp://x", "http://", "http://u:secret@x", "https://u@x", "http://x?y", "http://x#y"]
        {
            let refused = at(bad).expect_err(bad);
            assert!(matches!(&refused, CollectorSetting::Url(reason) if !reason.contains("secret")), "{refused:?}");
        }
    }

    #[test]
    fn authorities_are_for_a_collector_over_tls_and_must_be_some() {
        let signed = rcgen::generate_simple_self_signed(["collector".to_owned()]).expect("a certificate");
        let pem = signed.cert.pem();
        let at = |url: &str, pem: &str| Collector::new(url, Some(pem.as_bytes())).map(|at| at.uri.to_string());
        assert_eq!(at("https://collector", &pem), Ok("https://collector/v1/traces".to_owned()));
        assert_eq!(at("https://collector:4318/", &pem.repeat(2)), Ok("https://collector:4318/v1/traces".to_owned()));
        let not_one = "-----BEGIN CERTIFICATE-----\naGFhdA==\n-----END CERTIFICATE-----\n";
        let key = signed.signing_key.serialize_pem();
        for (url, pem) in [
            ("http://collector", &*pem),
            ("https://collector", ""),
            ("https://collector", "junk"),
            ("https://collector", not_one),
            ("https://collector", &key),
        ] {
            let refused = at(url, pem).expect_err(pem);
            assert!(matches!(refused, CollectorSetting::Authorities(_)), "{refused:?}");
        }
    }
}
