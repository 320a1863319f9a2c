//! What the room counts: names, helps, and handles that are looked up once per route and status.

use crate::http::rates::{COUPON_GUESSES, Class, GUEST_CARTS, STREAMS};
use dashmap::DashMap;
use http::Method;
use metrics::{Counter, Gauge, Histogram, Unit};
use std::sync::Arc;
use std::time::Duration;

/// Requests answered, by route, method and status.
pub const REQUESTS: &str = "haat_http_requests_total";
/// How long requests took, by route and method.
pub const DURATION: &str = "haat_http_request_duration_seconds";
/// Open connections.
pub const CONNECTIONS: &str = "haat_http_connections";
/// Open streams of live stock.
pub const LIVE_STREAMS: &str = "haat_http_live_streams";
/// Connections ended for taking too long, by what they were at.
pub const TIMEOUTS: &str = "haat_http_connection_timeouts_total";
/// Connections closed at once, since as many were open as may be.
pub const REFUSED: &str = "haat_http_connections_refused_total";
/// Bytes of answers that clients have not taken yet.
pub const ANSWER_BYTES: &str = "haat_http_answer_bytes";
/// Answers given up with their stream, or with all of their connection, since clients had too much to take.
pub const ANSWERS_GIVEN_UP: &str = "haat_http_answers_given_up_total";
/// Bodies refused, by reason.
pub const BODIES_REJECTED: &str = "haat_http_bodies_rejected_total";
/// Requests refused since too much was asked, by what they were counted for.
pub const RATE_LIMITED: &str = "haat_http_rate_limited_total";
/// Handlers that panicked.
pub const PANICS: &str = "haat_http_handler_panics_total";

/// What connections are at that take too long.
const TIMED_OUT_AT: [&str; 3] = ["answer", "head", "idle"];
/// Why bodies are refused.
const REJECTED_FOR: [&str; 6] = ["broken_off", "invalid", "malformed", "media_type", "timeout", "too_large"];
/// Where there was no room for answers.
const GIVEN_UP_AT: [&str; 2] = ["all", "connection"];
/// The statuses that an operator waits for.
const FAILURES: [u16; 3] = [500, 503, 504];

/// Tells the recorder what the names mean. Once, at start-up, when the recorder is there.
pub fn describe() {
    metrics::describe_counter!(REQUESTS, "Requests answered, by route, method and status.");
    metrics::describe_histogram!(DURATION, Unit::Seconds, "Time from a request's head to its answer's head.");
    metrics::describe_gauge!(CONNECTIONS, "Open connections.");
    metrics::describe_gauge!(LIVE_STREAMS, "Open streams of live stock.");
    metrics::describe_counter!(
        TIMEOUTS,
        "Connections ended for taking too long: over a head, over taking an answer, or idle."
    );
    metrics::describe_counter!(REFUSED, "Connections closed at once, since as many were open as may be.");
    metrics::describe_gauge!(ANSWER_BYTES, Unit::Bytes, "Bytes of answers that clients have not taken yet.");
    metrics::describe_counter!(
        ANSWERS_GIVEN_UP,
        "Streams given up, or connections ended, since a connection or all of them had too many answers to take."
    );
    metrics::describe_counter!(BODIES_REJECTED, "Request bodies refused, by reason.");
    metrics::describe_counter!(RATE_LIMITED, "Requests refused since too much was asked, by class of route or quota.");
    metrics::describe_counter!(PANICS, "Handlers that panicked; each was answered with 500.");
    // From the start, so that whoever waits for one to rise does not miss its first.
    let _ = (connections(), live_streams(), answer_bytes());
    metrics::counter!(REFUSED).increment(0);
    metrics::counter!(PANICS).increment(0);
    for at in TIMED_OUT_AT {
        metrics::counter!(TIMEOUTS, "at" => at).increment(0);
    }
    for at in GIVEN_UP_AT {
        metrics::counter!(ANSWERS_GIVEN_UP, "at" => at).increment(0);
    }
    for class in Class::ALL.map(Class::name).into_iter().chain([GUEST_CARTS, COUPON_GUESSES, STREAMS]) {
        metrics::counter!(RATE_LIMITED, "class" => class).increment(0);
    }
    for reason in REJECTED_FOR {
        metrics::counter!(BODIES_REJECTED, "reason" => reason).increment(0);
    }
}

/// Counts a refused body.
pub fn body_rejected(reason: &'static str) {
    debug_assert!(REJECTED_FOR.contains(&reason), "{reason} is not in the list of reasons");
    metrics::counter!(BODIES_REJECTED, "reason" => reason).increment(1);
}

/// Counts a request that is one too many.
pub fn rate_limited(class: &'static str) {
    metrics::counter!(RATE_LIMITED, "class" => class).increment(1);
}

/// Counts a request whose head could not be read, and so has no route.
pub fn unreadable(status: u16) {
    metrics::counter!(REQUESTS, "route" => "unreadable", "method" => "other", "status" => status.to_string())
        .increment(1);
}

/// The gauge of open connections.
pub fn connections() -> Gauge {
    metrics::gauge!(CONNECTIONS)
}

/// The gauge of open streams of live stock.
pub fn live_streams() -> Gauge {
    metrics::gauge!(LIVE_STREAMS)
}

/// Counts a connection that took too long.
pub fn timed_out(at: &'static str) {
    debug_assert!(TIMED_OUT_AT.contains(&at), "{at} is not in the list");
    metrics::counter!(TIMEOUTS, "at" => at).increment(1);
}

/// Counts a connection that is one too many.
pub fn connection_refused() {
    metrics::counter!(REFUSED).increment(1);
}

/// The gauge of answers that clients have not taken.
pub fn answer_bytes() -> Gauge {
    metrics::gauge!(ANSWER_BYTES)
}

/// Counts an answer, or a connection, that was given up for want of room, and where there was none.
pub fn answers_given_up(at: &'static str) {
    debug_assert!(GIVEN_UP_AT.contains(&at), "{at} is not in the list");
    metrics::counter!(ANSWERS_GIVEN_UP, "at" => at).increment(1);
}

/// Methods as labels: a client may invent others.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[derive(Default)]
struct Route {
    counters: DashMap<(&'static str, u16), Counter, foldhash::fast::RandomState>,
    durations: DashMap<&'static str, Histogram, foldhash::fast::RandomState>,
}

/// The handles of one router.
#[derive(Default)]
pub struct RequestMetrics {
    routes: DashMap<Box<str>, Arc<Route>, foldhash::fast::RandomState>,
}

impl RequestMetrics {
    /// Makes the series of the failures of a route that there is.
    pub fn expect(&self, path: &str, method: &Method) {
        for status in FAILURES {
            self.counter(path, method_label(method), status).increment(0);
        }
        let _ = self.duration(path, method_label(method));
    }

    fn counter(&self, path: &str, method: &'static str, status: u16) -> Counter {
        let made = || {
            let labels = [("route", path.to_owned()), ("method", method.to_owned()), ("status", status.to_string())];
            metrics::counter!(REQUESTS, &labels)
        };
        self.route(path).counters.entry((method, status)).or_insert_with(made).clone()
    }

    fn duration(&self, path: &str, method: &'static str) -> Histogram {
        let made = || {
            let labels = [("route", path.to_owned()), ("method", method.to_owned())];
            metrics::histogram!(DURATION, &labels)
        };
        self.route(path).durations.entry(method).or_insert_with(made).clone()
    }

    fn route(&self, path: &str) -> Arc<Route> {
        match self.routes.get(path) {
            Some(route) => route.clone(),
            None => self.routes.entry(path.into()).or_default().clone(),
        }
    }

    /// Counts one answered request. `path` is the route's pattern, never what the client sent.
    pub fn record(&self, path: &str, method: &Method, status: u16, took: Duration) {
        let (route, method) = (self.route(path), method_label(method));
        match route.counters.get(&(method, status)) {
            Some(counter) => counter.increment(1),
            None => self.counter(path, method, status).increment(1),
        }
        match route.durations.get(method) {
            Some(duration) => duration.record(took),
            None => self.duration(path, method).record(took),
        }
    }
}
