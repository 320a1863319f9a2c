//! Tells a collector of spans: OTLP over HTTP with protobuf bodies (OpenTelemetry Protocol Specification 1.x). It takes what has gathered in the queue,
//! batch by batch, and gives each batch one try: a trace is worth less than the work of keeping it. What a collector does not take is
//! counted as dropped, as is what comes while the queue is full.

mod encode;

use crate::limits;
use crate::ports::Clock;
use crate::ports::trace::{Span, Spans};
use crate::telemetry::names;
use bytes::Bytes;
use encode::Anchor;
use http::Request;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use metrics::Counter;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// How long spans gather before they are told.
const GATHER: Duration = Duration::from_secs(1);
/// How long a collector may take over a batch.
const PATIENCE: Duration = Duration::from_secs(5);
/// Past this the wall clock was set, and moments are told by it anew.
const CLOCK_SET: Duration = Duration::from_millis(500);

/// Where a collector takes spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    host: String,
    port: u16,
    path: String,
}

impl Collector {
    /// The collector at a URL such as `http://127.0.0.1:4318`; `/v1/traces` is put behind it, as OpenTelemetry's own exporters do.
    ///
    /// # Errors
    /// What is wrong with it, in words, without a password.
    pub fn new(url: &str) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("is no URL: {error}"))?;
        match url.scheme() {
            "http" => {}
            "https" => {
                return Err("must begin with http://: name a collector on this machine or in its own network, and have that one \
                            encrypt what it passes on"
                    .to_owned());
            }
            _ => return Err("must begin with http://".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err("may have a host, a port and a path, and nothing else".to_owned());
        }
        let host = url.host_str().ok_or_else(|| "names no host".to_owned())?.to_owned();
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        Ok(Self { host, port: url.port_or_known_default().unwrap_or(80), path })
    }

    async fn takes(&self, body: Vec<u8>) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| error.to_string();
        let name = self.host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((name, self.port)).await.map_err(|error| failed(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let request = Request::post(&self.path)
            .header(HOST, format!("{}:{}", self.host, self.port))
            .header(USER_AGENT, concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| failed(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
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
        let taken = timeout(PATIENCE, self.collector.takes(body)).await;
        let failed = taken.unwrap_or_else(|_| Err("no answer in time".to_owned())).err();
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
        let at = |url: &str| Collector::new(url).map(|at| (at.host, at.port, at.path));
        let found = |host: &str, port, path: &str| Ok((host.to_owned(), port, path.to_owned()));
        assert_eq!(at("http://127.0.0.1:4318"), found("127.0.0.1", 4318, "/v1/traces"));
        assert_eq!(at("http://collector/"), found("collector", 80, "/v1/traces"));
        assert_eq!(at("http://[::1]:4318/otlp/"), found("[::1]", 4318, "/otlp/v1/traces"));
        for bad in
            ["", " ", "junk", "https://x:4318", "ftp://x", "http://", "http://u:secret@x", "http://x?y", "http://x#y"]
        {
            let refused = at(bad).expect_err(bad);
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
