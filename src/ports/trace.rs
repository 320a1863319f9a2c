//! Traces: how long a request spent where, told to a collector outside. Only a share of the requests is sampled, and of all others nothing is made.
//!
//! A context says of which trace something is and below which span. It is a few words that are copied from the request to its questions, from there to
//! the log writer's queue and to the calls of payment providers, and with its record to what a follower makes of that. It never comes into a record
//! or a row: what is done after a restart is of another trace, or of none. A job, which is taken from the store, is known again by its id.

mod later;

use crate::domain::ids::{EntityRef, JobId};
use crate::limits;
use later::Later;
use metrics::Counter;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A trace's id (W3C Trace Context, 3.2.2.3): not all zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

impl fmt::Display for TraceId {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, to)
    }
}

/// A span's id (W3C Trace Context, 3.2.2.4): not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(pub NonZeroU64);

/// On which side of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Of none.
    Internal,
    /// It answers.
    Server,
    /// It asks somebody outside.
    Client,
    /// It does what somebody else has set off, who does not wait for it.
    Consumer,
}

/// What a span says beside its times. Nothing in it tells of a person: no name, no address, no token, no id of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Attribute {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<usize> for Attribute {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A span that is over.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its trace.
    pub trace: TraceId,
    /// Its own id.
    pub id: SpanId,
    /// The span that it is a part of, or follows from.
    pub parent: Option<SpanId>,
    /// What it is: one of few.
    pub name: Cow<'static, str>,
    /// On which side of a call it is.
    pub kind: SpanKind,
    /// When it began.
    pub began: Instant,
    /// When it ended.
    pub ended: Instant,
    /// What it says besides.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Whether it came to an error of this server's or of whoever it asked.
    pub failed: bool,
}

/// Where spans go: a queue with an end. What does not fit is dropped and counted; nobody waits.
pub struct Spans {
    queue: mpsc::Sender<Span>,
    dropped: Counter,
    seed: u64,
    drawn: AtomicU64,
    /// Jobs that are to go on with a trace.
    later: Mutex<Later>,
}

impl Spans {
    /// A queue with room for so many, and its other end. Span ids and chance follow from the seed, which nobody must guess.
    pub fn new(room: usize, seed: u64, dropped: Counter) -> (Self, mpsc::Receiver<Span>) {
        let (queue, spans) = mpsc::channel(room);
        let later = Later::new(limits::TRACED_JOBS, Duration::from_millis(limits::TRACED_JOB_MS));
        (Self { queue, dropped, seed, drawn: AtomicU64::new(0), later: Mutex::new(later) }, spans)
    }

    /// A number by chance. None comes a second time.
    pub fn draw(&self) -> u64 {
        // SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014).
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let mut mixed = self.seed.wrapping_add(GAMMA.wrapping_mul(drawn.wrapping_add(1)));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn span_id(&self) -> SpanId {
        SpanId(NonZeroU64::new(self.draw()).unwrap_or(NonZeroU64::MIN))
    }

    fn put(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.dropped.increment(1);
        }
    }

    /// Begins the first span of this server in a trace, below that of a caller if there is one.
    fn begin(
        &'static self,
        trace: TraceId,
        parent: Option<SpanId>,
        name: impl Into<Cow<'static, str>>,
        at: Instant,
    ) -> OpenSpan {
        let context = TraceContext { spans: self, trace, span: self.span_id() };
        OpenSpan { context, parent, name: name.into(), kind: SpanKind::Server, began: at, attributes: Vec::new() }
    }
}

/// The share of what happens that is traced: of all numbers by chance, those below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u64);

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
        let share = share.ok_or_else(|| format!("'{text}' is no share from 0 to 1, such as 0.01"))?;
        // What is more than all numbers is all of them.
        Ok(Self((share * 2f64.powi(64)) as u64))
    }
}

impl Share {
    fn holds(self, drawn: u64) -> bool {
        drawn < self.0 || self.0 == u64::MAX
    }
}

/// Begins traces.
#[derive(Clone, Copy)]
pub struct Tracer {
    spans: &'static Spans,
    share: Share,
}

impl Tracer {
    /// Of such a share; their spans go there.
    pub fn new(spans: &'static Spans, share: Share) -> Self {
        Self { spans, share }
    }

    /// Whether chance has this one be traced.
    pub fn chooses(&self) -> bool {
        self.share.holds(self.spans.draw())
    }

    /// The span of a request, in its caller's trace and below the caller's span, or in a trace of its own.
    pub fn request(&self, caller: Option<(TraceId, SpanId)>, name: String, at: Instant) -> OpenSpan {
        let (trace, parent) = caller.map_or_else(|| (self.fresh(), None), |(trace, span)| (trace, Some(span)));
        self.spans.begin(trace, parent, name, at)
    }

    /// The span of a try of a job: in the trace of what set it off, while that is known, and what it has waited since then or since its last
    /// try is told; else, of a share of them, in a trace of its own. Gives also what its later tries are below.
    pub fn job(&self, job: JobId, name: String, at: Instant) -> Option<(OpenSpan, TraceContext)> {
        let known = self.spans.later.lock().find(job, at);
        let (mut span, above) = match known {
            Some(Traced { context, since }) => {
                context.note("job.queue", since, at);
                (context.begin(name, at), context)
            }
            None if self.chooses() => {
                let span = self.spans.begin(self.fresh(), None, name, at);
                let above = span.context();
                (span, above)
            }
            None => return None,
        };
        span.kind = SpanKind::Consumer;
        Some((span, above))
    }

    fn fresh(&self) -> TraceId {
        let number = u128::from(self.spans.draw()) << 64 | u128::from(self.spans.draw() | 1);
        TraceId(number.to_be_bytes())
    }
}

/// Of which trace something is, and below which span.
#[derive(Clone, Copy)]
pub struct TraceContext {
    // As the recorder of metrics and the log it lives as long as the process: a context is copied from thread to thread, and nothing counts it.
    spans: &'static Spans,
    trace: TraceId,
    span: SpanId,
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}-{:016x}", self.trace, self.span.0)
    }
}

impl TraceContext {
    /// The trace.
    pub fn trace(&self) -> TraceId {
        self.trace
    }

    /// Begins a span below this one.
    pub fn begin(self, name: impl Into<Cow<'static, str>>, at: Instant) -> OpenSpan {
        let (context, name) = (Self { span: self.spans.span_id(), ..self }, name.into());
        let (parent, kind, attributes) = (Some(self.span), SpanKind::Internal, Vec::new());
        OpenSpan { context, parent, name, kind, began: at, attributes }
    }

    /// A span below this one that is over already.
    pub fn note(self, name: &'static str, began: Instant, ended: Instant) {
        self.begin(name, began).end(ended, false);
    }

    /// This job follows from it, and waits since then, now or before now: see [`Tracer::job`].
    pub fn sets_off(self, job: JobId, since: Instant) {
        self.spans.later.lock().note(job, Traced { context: self, since }, Instant::now());
    }

    /// This job is not tried any more.
    pub fn is_done(self, job: JobId) {
        self.spans.later.lock().forget(job);
    }
}

/// A span that has begun. It is told once it has ended; one that is let go never was.
#[must_use = "a span that does not end is told to nobody"]
pub struct OpenSpan {
    context: TraceContext,
    parent: Option<SpanId>,
    name: Cow<'static, str>,
    kind: SpanKind,
    began: Instant,
    attributes: Vec<(&'static str, Attribute)>,
}

impl OpenSpan {
    /// What is below it.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// It asks somebody outside.
    pub fn calls(mut self) -> Self {
        self.kind = SpanKind::Client;
        self
    }

    /// It says this, too.
    pub fn says(&mut self, name: &'static str, value: impl Into<Attribute>) {
        self.attributes.push((name, value.into()));
    }

    /// It is over.
    pub fn end(self, at: Instant, failed: bool) {
        let Self { context: TraceContext { spans, trace, span: id }, parent, name, kind, began, attributes } = self;
        spans.put(Span { trace, id, parent, name, kind, began, ended: at, attributes, failed });
    }
}

/// A context, and since when something waits in it.
#[derive(Clone, Copy, Debug)]
pub struct Traced {
    /// The context.
    pub context: TraceContext,
    /// Since when.
    pub since: Instant,
}

/// A sampled record that is durable, and since when.
#[derive(Clone, Copy, Debug)]
pub struct TracedRecord {
    /// Whose.
    pub entity: EntityRef,
    /// The version that it makes.
    pub version: u64,
    /// Its trace.
    pub traced: Traced,
}

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// Runs a sampled request: what it asks, it asks in this context.
pub async fn within<F: Future>(context: TraceContext, request: F) -> F::Output {
    CURRENT.scope(context, request).await
}

/// The context of the request that this task runs, if that is sampled.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok()
}

/// This job follows from the request that this task runs.
pub fn sets_off(job: JobId) {
    if let Some(request) = current() {
        request.sets_off(job, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_from_none_to_all() {
        let holds = |share: &str, drawn| share.parse::<Share>().expect("a share").holds(drawn);
        assert!(!holds("0", 0) && holds("1", u64::MAX) && holds("1.0", 0));
        assert!(holds("0.5", u64::MAX / 2 - 1_000_000) && !holds("0.5", u64::MAX / 2 + 1_000_000));
        for bad in ["", " ", "junk", "-0.1", "1.1", "NaN", "inf", "1%", "0,5"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
    }
}
