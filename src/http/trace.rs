//! Which requests are sampled, and of which trace each is (W3C Trace Context, <https://www.w3.org/TR/trace-context/>).
//!
//! Whoever asks may name a trace, and that is kept. Whether it is sampled is believed of trusted proxies alone: anybody could switch it on else. Of all
//! others chance decides, and not the trace's id, which is theirs to choose. No answer tells of it.

use crate::http::client::{Block, Peer};
use crate::ports::trace::{OpenSpan, SpanId, TraceId, Tracer};
use axum::extract::Request;
use http::{HeaderMap, HeaderName};
use std::num::NonZeroU64;
use tokio::time::Instant;

/// The header that names a trace.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What a caller says of its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Caller {
    trace: TraceId,
    span: SpanId,
    sampled: bool,
}

/// What `traceparent` says; `None` where it is not there, comes twice, or is none.
fn caller(headers: &HeaderMap) -> Option<Caller> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let text = value.to_str().ok()?;
    let mut parts = text.splitn(5, '-');
    let mut part = |digits: usize| {
        let part = parts.next()?;
        let is_hex = part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then_some(part)
    };
    let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    // What later versions put behind it is not read.
    if version == "ff" || version == "00" && parts.next().is_some() {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
    let span = NonZeroU64::new(u64::from_str_radix(span, 16).ok()?)?;
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    Some(Caller { trace: TraceId(trace.to_be_bytes()), span: SpanId(span), sampled })
}

/// Samples requests.
#[derive(Clone)]
pub struct Sampler {
    tracer: Tracer,
    trusted: Vec<Block>,
}

impl Sampler {
    /// Of the tracer's share, and of those that one of these proxies says are sampled.
    pub fn new(tracer: Tracer, trusted: Vec<Block>) -> Self {
        Self { tracer, trusted }
    }

    /// The span of this request, if it is sampled.
    pub fn begin(&self, request: &Request, route: &str, at: Instant) -> Option<OpenSpan> {
        let caller = caller(request.headers());
        let peer = request.extensions().get::<Peer>();
        let is_trusted = peer.is_some_and(|Peer(peer)| self.trusted.iter().any(|block| block.holds(peer.ip())));
        let sampled = match caller {
            Some(caller) if is_trusted => caller.sampled,
            _ => self.tracer.chooses(),
        };
        if !sampled {
            return None;
        }
        let method = request.method().as_str().to_owned();
        let caller = caller.map(|caller| (caller.trace, caller.span));
        let mut span = self.tracer.request(caller, format!("{method} {route}"), at);
        span.says("http.request.method", method);
        span.says("http.route", route.to_owned());
        Some(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn said(values: &[&str]) -> Option<Caller> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, value.parse().expect("a header"));
        }
        caller(&headers)
    }

    #[test]
    fn what_names_no_trace_is_as_if_it_were_not_there() {
        for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
            let caller = said(&[&format!("00-{TRACE}-00f067aa0ba902b7-{flags}")]).expect("a trace");
            assert_eq!((caller.trace.to_string(), caller.sampled), (TRACE.to_owned(), sampled));
            assert_eq!(caller.span.0.get(), 0x00f0_67aa_0ba9_02b7);
        }
        assert!(said(&[&format!("cc-{TRACE}-00f067aa0ba902b7-01-later")]).is_some());
        let zeros = "0".repeat(32);
        let sound = format!("00-{TRACE}-00f067aa0ba902b7-01");
        for bad in [
            String::new(),
            "junk".to_owned(),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("00-{TRACE}-00f067aa0ba902b7-0"),
            format!("00-{TRACE}-+0f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-01 "),
        ] {
            assert_eq!(said(&[&bad]), None, "{bad}");
        }
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[&sound, &sound]), None);
    }
}
