//! Server-sent events: one stream hands on what is told of something. A reader that takes its events more slowly than they come misses some, is told the
//! last, and holds nobody up; one that takes none is given up as anybody is who does not read.

use crate::http::HttpState;
use crate::http::answer::Streamed;
use crate::http::caller::Caller;
use crate::http::error::{OVERLOADED, Problem, RATE_LIMITED, Result};
use crate::http::metrics;
use crate::http::rates::STREAMS;
use crate::http::server::now;
use crate::ports::rates::Network;
use ::metrics::Gauge;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Version};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep_until};

/// How often something is said, so that nobody in between takes the connection for dead.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// A line that means nothing.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");
/// Between two looks at whether the caller's session goes on: with that at what was ended elsewhere, less than five seconds.
const SESSION_EVERY: Duration = Duration::from_secs(2);
/// After how many milliseconds whoever was cut off comes back, at least, and by how much more some of them do: not all at once.
const RETRY_MS: (u64, u64) = (2_000, 3_000);

/// How something stands, as it is told.
pub(super) trait Tells: Send + Sync + 'static {
    /// Counted up with each that is told.
    fn turn(&self) -> u64;
    /// The state's name: the same for the same state, whoever tells it and when.
    fn id(&self) -> &str;
    /// Whatever one has not been told who knows the turn `known`, which is an earlier one. It may be nothing.
    fn since(&self, known: Option<u64>) -> Bytes;
    /// Why no more will be told, if that is so.
    fn end(&self) -> Option<&'static str>;
}

/// How many more may watch.
pub(super) struct Places {
    streams: Arc<Semaphore>,
    /// Those of them that have a connection to themselves.
    connections: Arc<Semaphore>,
    /// How many may be of one address.
    per_address: usize,
    by_address: Arc<Mutex<HashMap<Network, usize>>>,
}

impl Places {
    pub(super) fn new(streams: usize, connections: usize, per_address: usize) -> Self {
        Self {
            streams: Arc::new(Semaphore::new(streams)),
            connections: Arc::new(Semaphore::new(connections)),
            per_address,
            by_address: Arc::default(),
        }
    }

    /// One more watches, from this address where addresses are counted.
    ///
    /// # Errors
    /// When as many do as may, in all or from there.
    pub(super) fn take(&self, version: Version, from: Option<Network>) -> Result<Counted> {
        let from = from.map(|from| OfAddress::take(&self.by_address, from, self.per_address)).transpose()?;
        let of = |places: &Arc<Semaphore>| {
            let full = |_| Problem::new(&OVERLOADED, "as many watch as may at a time").retry_after(5);
            places.clone().try_acquire_owned().map_err(full)
        };
        let stream = of(&self.streams)?;
        let connection = if version < Version::HTTP_2 { Some(of(&self.connections)?) } else { None };
        let gauge = metrics::live_streams();
        gauge.increment(1);
        Ok(Counted { gauge, _stream: stream, _connection: connection, _from: from })
    }
}

/// One of those who watch from an address, for as long as this lives.
struct OfAddress {
    counts: Arc<Mutex<HashMap<Network, usize>>>,
    address: Network,
}

impl OfAddress {
    fn take(counts: &Arc<Mutex<HashMap<Network, usize>>>, address: Network, most: usize) -> Result<Self> {
        let mut counted = counts.lock();
        let count = counted.entry(address).or_default();
        if *count >= most {
            metrics::rate_limited(STREAMS);
            let detail = "as many watch from this address as may at a time";
            return Err(Problem::new(&RATE_LIMITED, detail).retry_after(5));
        }
        *count += 1;
        Ok(Self { counts: counts.clone(), address })
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut counted = self.counts.lock();
        let Entry::Occupied(mut count) = counted.entry(self.address) else { return };
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

/// One who watches is counted for as long as this lives.
pub(super) struct Counted {
    gauge: Gauge,
    _stream: OwnedSemaphorePermit,
    _connection: Option<OwnedSemaphorePermit>,
    _from: Option<OfAddress>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauge.decrement(1);
    }
}

/// The first words of a stream.
fn hello() -> Bytes {
    static STREAMS: AtomicU64 = AtomicU64::new(0);
    // A step that shares no factor with the width: neighbours are far from each other, and all values come up.
    let spread = STREAMS.fetch_add(1, Ordering::Relaxed).wrapping_mul(1_847) % RETRY_MS.1;
    format!("retry: {}\n\n", RETRY_MS.0 + spread).into()
}

/// Why a stream ends.
fn farewell(reason: &str) -> Bytes {
    format!("event: end\ndata: {{\"reason\":\"{reason}\"}}\n\n").into()
}

/// Somebody who came with a bearer.
struct Bearer {
    /// The token alone.
    headers: HeaderMap,
    state: HttpState,
}

impl Bearer {
    /// Why nothing more is told, if that is so.
    fn is_over(&self) -> Option<&'static str> {
        match Caller::of(&self.headers, &self.state) {
            Ok(Some(_)) => None,
            Err(_) if Caller::has_expired(&self.headers, &self.state) => Some("token_expired"),
            Ok(None) | Err(_) => Some("session_over"),
        }
    }
}

/// One who watches.
struct Viewer<T> {
    feed: watch::Receiver<Arc<T>>,
    /// The turn that was told last.
    known: Option<u64>,
    tick: Pin<Box<Sleep>>,
    comment_at: Instant,
    bearer: Option<Box<Bearer>>,
    _counted: Counted,
}

/// Where a stream stands.
enum Stage<T> {
    Begins(Viewer<T>),
    Goes(Viewer<T>),
    Over,
}

impl<T: Tells> Viewer<T> {
    fn new(feed: watch::Receiver<Arc<T>>, counted: Counted, bearer: Option<Bearer>) -> Self {
        let comment_at = now() + COMMENT_EVERY;
        let every = if bearer.is_some() { SESSION_EVERY } else { COMMENT_EVERY };
        let (tick, bearer) = (Box::pin(sleep_until(now() + every)), bearer.map(Box::new));
        Self { feed, known: None, tick, comment_at, bearer, _counted: counted }
    }

    /// What is new; `None` while nothing is.
    fn news(&mut self) -> Option<(Bytes, bool)> {
        let told = self.feed.borrow_and_update().clone();
        let news = if self.known == Some(told.turn()) { Bytes::new() } else { told.since(self.known) };
        self.known = Some(told.turn());
        if let Some(reason) = told.end() {
            return Some(([news, farewell(reason)].concat().into(), true));
        }
        (!news.is_empty()).then_some((news, false))
    }

    /// Time has passed.
    fn ticked(&mut self) -> Option<(Bytes, bool)> {
        if let Some(reason) = self.bearer.as_ref().and_then(|bearer| bearer.is_over()) {
            return Some((farewell(reason), true));
        }
        let moment = now();
        let comment = (self.comment_at <= moment).then_some((COMMENT, false));
        if comment.is_some() {
            self.comment_at = moment + COMMENT_EVERY;
        }
        let session_at = self.bearer.is_some().then(|| moment + SESSION_EVERY);
        self.tick.as_mut().reset(session_at.into_iter().chain([self.comment_at]).min().unwrap_or(self.comment_at));
        comment
    }

    /// The next that is sent, and whether it is the last; `None` when the feed is gone.
    async fn next(&mut self) -> Option<(Bytes, bool)> {
        loop {
            let next = tokio::select! {
                // Time first: whoever is always behind is looked at, too.
                biased;
                () = self.tick.as_mut() => self.ticked(),
                changed = self.feed.changed() => {
                    changed.ok()?;
                    self.news()
                }
            };
            if next.is_some() {
                return next;
            }
        }
    }
}

async fn step<T: Tells>(stage: Stage<T>) -> Option<(Bytes, Stage<T>)> {
    let mut viewer = match stage {
        Stage::Begins(viewer) => return Some((hello(), Stage::Goes(viewer))),
        Stage::Goes(viewer) => viewer,
        Stage::Over => return None,
    };
    let (bytes, is_last) = viewer.next().await?;
    Some((bytes, if is_last { Stage::Over } else { Stage::Goes(viewer) }))
}

/// The stream for one who asked with these headers, with a good bearer or with none.
pub(super) fn answer<T: Tells>(
    state: HttpState,
    mut feed: watch::Receiver<Arc<T>>,
    counted: Counted,
    has_bearer: bool,
    headers: &HeaderMap,
) -> Response {
    let token = headers.get(AUTHORIZATION).filter(|_| has_bearer);
    let bearer = token.map(|token| Bearer { headers: [(AUTHORIZATION, token.clone())].into_iter().collect(), state });
    // How it stands is the first thing that is new.
    feed.mark_changed();
    let mut viewer = Viewer::new(feed, counted, bearer);
    let told = viewer.feed.borrow().clone();
    if headers.get("last-event-id").is_some_and(|id| id.as_bytes() == told.id().as_bytes()) {
        viewer.known = Some(told.turn());
    }
    let events = stream::unfold(Stage::Begins(viewer), step);
    let mut response = Response::new(Body::from_stream(futures::StreamExt::map(events, Ok::<_, Infallible>)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // A gateway is to hand each event on as it comes (nginx, ngx_http_proxy_module).
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.extensions_mut().insert(Streamed);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Streams that share connections leave those that do not their part, and the other way round; a place is free again when its stream is gone.
    #[test]
    fn as_many_watch_as_may() {
        let places = Places::new(3, 2, 1);
        let code = |taken: Result<Counted>| taken.err().map(|problem| problem.kind().code);
        let first = places.take(Version::HTTP_11, None).expect("a place");
        let _second = places.take(Version::HTTP_11, None).expect("a place");
        assert_eq!(code(places.take(Version::HTTP_11, None)), Some("overloaded"));
        let third = places.take(Version::HTTP_2, None).expect("a place");
        assert_eq!(code(places.take(Version::HTTP_2, None)), Some("overloaded"));
        drop(third);
        assert_eq!(code(places.take(Version::HTTP_10, None)), Some("overloaded"), "it has no connection");
        drop(first);
        assert_eq!(code(places.take(Version::HTTP_10, None)), None);
        assert_eq!(code(places.take(Version::HTTP_2, None)), None);
    }

    /// An address that is full leaves the others their places, and takes none of all.
    #[test]
    fn so_many_watch_from_one_address() {
        let places = Places::new(3, 3, 2);
        let from = |text: &str| Some(Network::from(text.parse::<std::net::IpAddr>().expect("an address")));
        let take = |text: &str| places.take(Version::HTTP_2, from(text));
        let (first, second) = (take("192.0.2.1").expect("a place"), take("192.0.2.1").expect("a place"));
        let refused = take("192.0.2.1").err().expect("it is full");
        assert_eq!(refused.kind().code, "rate_limited");
        let third = take("192.0.2.2").expect("a place");
        assert_eq!(take("192.0.2.3").err().expect("all are full").kind().code, "overloaded");
        assert_eq!(places.by_address.lock().len(), 2, "who is refused is not counted");
        drop((first, third));
        take("192.0.2.1").expect("there is a place again");
        drop(second);
        assert_eq!(places.by_address.lock().len(), 0, "nothing is kept of who is gone");
    }
}
