//! The accept loop: HTTP/1.1 and HTTP/2 without TLS on one port, with a limit on the time each phase of a connection may take.
//!
//! A connection is reading a head, busy, or idle. hyper's own header timer also runs while a connection is idle, and would close it
//! early; so the phases are told apart here: [`Watch`] sees the bytes that come in and the requests that run, and the connection's
//! task ends what takes too long. On shutdown idle connections are closed at once and requests in flight are finished.

use crate::http::{metrics, unread};
use crate::limits;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use parking_lot::Mutex;
use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// The first bytes of HTTP/2 with prior knowledge (RFC 9113, 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes a request's head may have.
const HEAD_BYTES: usize = 64 * 1024;
/// How long a connection that was told to go may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// The longest wait after a failed accept.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);

/// The monotonic clock: what waits and durations are measured by.
#[allow(
    clippy::disallowed_methods,
    reason = "limits on connections are waits, which the wall clock of the port cannot measure"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// What an operator may set of the accept loop.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// How long the head of a request may take to arrive, from its first byte (of the first one, from the accept).
    pub header_read: Duration,
    /// How long a connection may be idle between requests.
    pub keep_alive: Duration,
    /// How long a stop waits for requests in flight.
    pub drain: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            header_read: Duration::from_millis(limits::HEADER_READ_MS),
            keep_alive: Duration::from_millis(limits::KEEP_ALIVE_MS),
            drain: Duration::from_millis(limits::DRAIN_MS),
        }
    }
}

/// Serves `router` on `listener` until `shutdown` is ready; then accepts no more, closes idle connections, finishes the requests
/// in flight, and returns when all connections are closed or [`ServerSettings::drain`] has passed.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: ServerSettings,
    shutdown: impl Future<Output = ()>,
) {
    let (stopping, tasks) = (CancellationToken::new(), TaskTracker::new());
    let mut shutdown = pin!(shutdown);
    let mut backoff = AcceptBackoff::default();
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                backoff = AcceptBackoff::default();
                tasks.spawn(connection(stream, router.clone(), settings, stopping.clone()));
            }
            Err(error) => {
                tokio::select! {
                    () = &mut shutdown => break,
                    () = backoff.after(&error) => {}
                }
            }
        }
    }
    drop(listener);
    tasks.close();
    stopping.cancel();
    if tokio::time::timeout(settings.drain, tasks.wait()).await.is_err() {
        tracing::warn!(
            connections = tasks.len(),
            "connections are cut off: their requests took longer than a stop may"
        );
    }
}

/// How to wait after a failed accept: most often the process has no file left, and trying again at once would only burn the CPU.
#[derive(Default)]
struct AcceptBackoff {
    failures: u32,
    logged: Option<Instant>,
}

impl AcceptBackoff {
    async fn after(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
            // The peer gave up before it was accepted: nothing of ours is short.
            return;
        }
        if self.logged.is_none_or(|at| now() - at >= Duration::from_secs(1)) {
            self.logged = Some(now());
            tracing::error!(%error, "a connection cannot be accepted");
        }
        self.failures = self.failures.saturating_add(1);
        sleep(Duration::from_millis(10 << self.failures.min(7)).min(ACCEPT_BACKOFF)).await;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A head is expected, or arriving.
    Head { since: Instant },
    /// Requests run.
    Busy,
    /// Nothing is asked.
    Idle { since: Instant },
}

struct State {
    phase: Phase,
    in_flight: usize,
    /// How much of the HTTP/2 preface the first bytes were; `None` once it is known which version is spoken.
    preface: Option<usize>,
    is_h2: bool,
}

/// What is known of one connection, shared by its IO, its requests and its task.
#[derive(Clone)]
struct Watch(Arc<Mutex<State>>, Arc<Notify>);

impl Watch {
    fn new() -> Self {
        let phase = Phase::Head { since: now() };
        let (in_flight, preface, is_h2) = (0, Some(0), false);
        let state = State { phase, in_flight, preface, is_h2 };
        Self(Arc::new(Mutex::new(state)), Arc::default())
    }

    fn received(&self, bytes: &[u8]) {
        let mut state = self.0.lock();
        if let Some(matched) = state.preface {
            let rest = &H2_PREFACE[matched..];
            let length = bytes.len().min(rest.len());
            if bytes[..length] != rest[..length] {
                state.preface = None;
            } else if length == rest.len() {
                state.preface = None;
                state.is_h2 = true;
                // Heads are frames among others from now on: only idleness can be told.
                state.phase = Phase::Idle { since: now() };
            } else {
                state.preface = Some(matched + length);
            }
        }
        if !state.is_h2 && matches!(state.phase, Phase::Idle { .. }) {
            state.phase = Phase::Head { since: now() };
        }
    }

    fn started(&self) -> InFlight {
        let mut state = self.0.lock();
        state.in_flight += 1;
        state.phase = Phase::Busy;
        InFlight(self.clone())
    }

    fn ended(&self) {
        let mut state = self.0.lock();
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.phase = Phase::Idle { since: now() };
            if state.is_h2 {
                // A stream is a task of its own: the connection's may have looked before this.
                self.1.notify_one();
            }
        }
    }

    /// Until when the present phase may last, and its name.
    fn deadline(&self, settings: &ServerSettings) -> Option<(Instant, &'static str)> {
        match self.0.lock().phase {
            Phase::Head { since } => Some((since + settings.header_read, "head")),
            Phase::Idle { since } => Some((since + settings.keep_alive, "idle")),
            Phase::Busy => None,
        }
    }
}

/// A request that runs, until its answer's body is handed over.
struct InFlight(Watch);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// A stream whose incoming bytes are seen.
struct Watched {
    stream: TcpStream,
    watch: Watch,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Some(received) = buf.filled().get(before..).filter(|received| !received.is_empty()) {
            self.watch.received(received);
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

/// A body that keeps its request in flight until it is handed over.
struct WatchedBody {
    body: Body,
    _in_flight: InFlight,
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The router as one connection's service.
struct Watching {
    router: Router,
    watch: Watch,
}

impl hyper::service::Service<Request<Incoming>> for Watching {
    type Response = Response<WatchedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = self.watch.started();
        let (parts, body) = request.into_parts();
        let (body, leftover) = unread::lend(parts.version, &parts.headers, body);
        let answer = self.router.clone().call(Request::from_parts(parts, body));
        Box::pin(async move {
            let mut answer = answer.await?;
            leftover.discard(answer.headers_mut()).await;
            Ok(answer.map(|body| WatchedBody { body, _in_flight: in_flight }))
        })
    }
}

async fn connection(stream: TcpStream, router: Router, settings: ServerSettings, stopping: CancellationToken) {
    let gauge = metrics::connections();
    gauge.increment(1);
    serve_connection(stream, router, settings, stopping).await;
    gauge.decrement(1);
}

async fn serve_connection(stream: TcpStream, router: Router, settings: ServerSettings, stopping: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone before it was served");
        return;
    }
    let watch = Watch::new();
    let io = TokioIo::new(Watched { stream, watch: watch.clone() });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_BYTES);
    builder.http2().timer(TokioTimer::new());
    let mut served = pin!(builder.serve_connection(io, Watching { router, watch: watch.clone() }));
    let mut timer = pin!(sleep(settings.header_read));
    let mut farewell: Option<Instant> = None;
    loop {
        // A phase begins when the connection was polled, or else tells so: the deadline is looked up anew each time.
        let ended = std::future::poll_fn(|cx| {
            if let Poll::Ready(outcome) = served.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            let deadline = farewell.map(|at| (at, "farewell")).or_else(|| watch.deadline(&settings));
            let Some((deadline, _)) = deadline else {
                return Poll::Pending;
            };
            if timer.deadline() > deadline || timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            // A timer that is set too early is set anew when it fires.
            timer.as_mut().poll(cx).map(|()| None)
        });
        let outcome = tokio::select! {
            biased;
            () = stopping.cancelled(), if farewell.is_none() => {
                served.as_mut().graceful_shutdown();
                farewell = Some(now() + settings.drain);
                continue;
            }
            () = watch.1.notified() => continue,
            outcome = ended => outcome,
        };
        match outcome {
            Some(Ok(())) => return,
            Some(Err(error)) => {
                tracing::debug!(%error, "a connection broke off");
                return;
            }
            None => {}
        }
        let moment = now();
        match (farewell, watch.deadline(&settings)) {
            (Some(at), _) if at <= moment => return,
            (None, Some((deadline, "idle"))) if deadline <= moment => {
                metrics::timed_out("idle");
                served.as_mut().graceful_shutdown();
                farewell = Some(moment + FAREWELL);
            }
            (None, Some((deadline, at))) if deadline <= moment => {
                metrics::timed_out(at);
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::{get, post};
    use http_body_util::{BodyExt, Empty};
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    const SHORT: Duration = Duration::from_millis(150);
    const LONG: Duration = Duration::from_secs(20);

    struct Served {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        ended: JoinHandle<()>,
    }

    async fn served(header_read: Duration, keep_alive: Duration) -> Served {
        let slow = || async {
            sleep(Duration::from_millis(300)).await;
            "slow"
        };
        let echo = |body: Bytes| async move { body };
        let router =
            Router::new().route("/", get(|| async { "fast" })).route("/slow", get(slow)).route("/", post(echo));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let settings = ServerSettings { header_read, keep_alive, drain: LONG };
        let ended = tokio::spawn(serve(listener, router, settings, async move {
            let _ = stopped.await;
        }));
        Served { address, stop, ended }
    }

    /// Reads until the answer ends with `end`.
    async fn read_until(stream: &mut TcpStream, end: &str) -> String {
        let mut text = String::new();
        let mut buffer = [0; 1024];
        while !text.ends_with(end) {
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        text
    }

    /// How long it takes until the other side closes.
    async fn closed_after(stream: &mut TcpStream) -> Duration {
        let started = now();
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.expect("closed");
        now() - started
    }

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    #[tokio::test]
    async fn a_connection_that_never_says_anything_is_closed() {
        let served = served(SHORT, LONG).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        assert!(closed_after(&mut stream).await >= SHORT / 2);
    }

    #[tokio::test]
    async fn a_head_that_drips_is_cut_off_though_every_byte_comes_in_time() {
        let served = served(SHORT, LONG).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(GET).await.unwrap();
        read_until(&mut stream, "fast").await;
        let mut cut_off = false;
        for byte in GET.iter().cycle().take(40) {
            if stream.write_all(&[*byte]).await.is_err() || stream.try_read(&mut [0; 1]).is_ok_and(|count| count == 0) {
                cut_off = true;
                break;
            }
            sleep(Duration::from_millis(20)).await;
            if *byte == b'x' {
                // Never finish the head.
                break;
            }
        }
        if !cut_off {
            closed_after(&mut stream).await;
        }
    }

    #[tokio::test]
    async fn an_idle_connection_lives_longer_than_a_head_may_take_and_no_longer_than_it_may() {
        let served = served(SHORT, 4 * SHORT).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        for _ in 0..2 {
            stream.write_all(GET).await.unwrap();
            read_until(&mut stream, "fast").await;
            sleep(2 * SHORT).await;
        }
        stream.write_all(GET).await.unwrap();
        read_until(&mut stream, "fast").await;
        assert!(closed_after(&mut stream).await >= 3 * SHORT);
    }

    #[tokio::test]
    async fn a_request_may_take_longer_than_its_head_and_a_body_may_follow_slowly() {
        let served = served(SHORT, SHORT).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        read_until(&mut stream, "slow").await;
        stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n").await.unwrap();
        for byte in [b"b", b"o", b"d", b"y"] {
            sleep(Duration::from_millis(80)).await;
            stream.write_all(byte).await.unwrap();
        }
        read_until(&mut stream, "body").await;
    }

    #[tokio::test]
    async fn an_answer_without_reading_the_body_leaves_the_connection_as_it_was() {
        let served = served(LONG, LONG).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        for _ in 0..3 {
            let head = b"POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n";
            stream.write_all(head).await.unwrap();
            sleep(Duration::from_millis(50)).await;
            stream.write_all(b"body").await.unwrap();
            let answer = read_until(&mut stream, "\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 404") && !answer.contains("close"), "{answer}");
        }
        // What is too much, what never comes, and what waits to be asked for closes the connection, and says so.
        for (head, body) in [
            ("content-length: 1000000\r\n", vec![0; 200_000]),
            ("content-length: 4\r\n", Vec::new()),
            ("content-length: 4\r\nexpect: 100-continue\r\n", Vec::new()),
        ] {
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            stream.write_all(format!("POST /nothing HTTP/1.1\r\nhost: x\r\n{head}\r\n").as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
            let answer = read_until(&mut stream, "\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_stop_closes_idle_connections_at_once_and_finishes_requests_in_flight() {
        let Served { address, stop, ended } = served(LONG, LONG).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(GET).await.unwrap();
        read_until(&mut idle, "fast").await;
        let mut busy = TcpStream::connect(address).await.unwrap();
        busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        sleep(Duration::from_millis(50)).await;
        stop.send(()).unwrap();
        assert!(closed_after(&mut idle).await < Duration::from_millis(200));
        assert!(closed_after(&mut silent).await < Duration::from_millis(200));
        let answer = read_until(&mut busy, "slow").await;
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
        tokio::time::timeout(Duration::from_secs(1), ended).await.expect("the server ends").unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn http_2_with_prior_knowledge_is_served_and_closed_when_idle() {
        let served = served(SHORT, 4 * SHORT).await;
        let stream = TcpStream::connect(served.address).await.unwrap();
        let io = TokioIo::new(stream);
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
        let (mut sender, connection) = handshake.unwrap();
        let connection = tokio::spawn(connection);
        for _ in 0..2 {
            let request = http::Request::get("http://x/").body(Empty::<Bytes>::new()).unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.version(), http::Version::HTTP_2);
            assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "fast");
            // Longer than a head may take: frames between requests are no head.
            sleep(2 * SHORT).await;
        }
        let ended = tokio::time::timeout(Duration::from_secs(5), connection).await.expect("closed when idle").unwrap();
        assert!(ended.is_ok(), "{ended:?}");
    }

    #[test]
    fn the_preface_is_known_however_it_is_cut() {
        for cut in 1..H2_PREFACE.len() {
            let watch = Watch::new();
            watch.received(&H2_PREFACE[..cut]);
            watch.received(&H2_PREFACE[cut..]);
            assert!(watch.0.lock().is_h2);
        }
        let watch = Watch::new();
        watch.received(b"PRI * HTTP/1.1\r\n");
        assert!(!watch.0.lock().is_h2 && watch.0.lock().preface.is_none());
    }
}
