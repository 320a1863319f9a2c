//! The accept loop: HTTP/1.1 and HTTP/2 without TLS on one port, with a limit on the time each phase of a connection may take.
//!
//! A connection is reading a head, busy, handing answers over, or idle. hyper's own header timer also runs while a connection is idle,
//! and would close it early, and it has none for a client that does not read; so the phases are told apart here: `Watch` sees the
//! bytes that come and go and the requests that run, and the connection's task ends what takes too long. A connection past the limit
//! is closed at once: to tell it why would take the buffers and the waiting that the limit is there to save. On shutdown idle
//! connections are closed at once and requests in flight are finished.

use crate::http::answer::{Shared, Streamed};
use crate::http::client::Peer;
use crate::http::outstanding::{Connection, NoRoom, Outstanding};
use crate::http::watch::{Watch, Watched, WatchedBody};
use crate::http::{client, metrics, routes, unread};
use crate::limits;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use http::Version;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

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
    /// How long an answer may take to be handed over.
    pub answer: Duration,
    /// Connections open at the same time; past it a new one is closed at once.
    pub connections: usize,
    /// Bytes of answers that one connection may have to take before further ones wait.
    pub answer_bytes_per_connection: usize,
    /// Bytes of answers that all connections of a port together may have to take.
    pub answer_bytes: usize,
    /// How long a stop waits for requests in flight.
    pub drain: Duration,
    /// Whether each request is told from where it comes, and not only those to routes that ask for it.
    pub peers: bool,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            header_read: Duration::from_millis(limits::HEADER_READ_MS),
            keep_alive: Duration::from_millis(limits::KEEP_ALIVE_MS),
            answer: Duration::from_millis(limits::ANSWER_MS),
            connections: limits::CONNECTIONS,
            answer_bytes_per_connection: limits::ANSWER_BYTES_PER_CONNECTION,
            answer_bytes: limits::ANSWER_BYTES,
            drain: Duration::from_millis(limits::DRAIN_MS),
            peers: false,
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
    let outstanding = Outstanding::new(settings.answer_bytes_per_connection, settings.answer_bytes);
    let mut shutdown = pin!(shutdown);
    let mut backoff = AcceptBackoff::default();
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if tasks.len() >= settings.connections => {
                // Counted first: whoever sees it closed finds it counted.
                metrics::connection_refused();
                drop(stream);
            }
            Ok((stream, peer)) => {
                backoff = AcceptBackoff::default();
                let answers = outstanding.connection();
                tasks.spawn(connection(stream, Peer(peer), router.clone(), settings, answers, stopping.clone()));
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

/// The router as one connection's service.
struct Watching {
    router: Router,
    peer: Peer,
    /// Whether each request is told of it.
    tells_peer: bool,
    watch: Watch,
    answers: Arc<Connection>,
    /// How long a request may wait for room for its answer.
    patience: Duration,
}

impl hyper::service::Service<Request<Incoming>> for Watching {
    type Response = Response<WatchedBody>;
    type Error = NoRoom;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NoRoom>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = self.watch.started();
        let (answers, patience) = (self.answers.clone(), self.patience);
        let (mut parts, body) = request.into_parts();
        if self.tells_peer || client::asks_for_peer(parts.uri.path()) {
            parts.extensions.insert(self.peer);
        }
        // One after the other is taken before the next is made, but by HTTP/2.
        let waits = parts.version == Version::HTTP_2 && routes::may_be_long(parts.uri.path());
        let (body, leftover) = unread::lend(parts.version, &parts.headers, body);
        let answer = self.router.clone().call(Request::from_parts(parts, body));
        Box::pin(async move {
            let set_aside = if waits { Some(answers.room_within(patience).await?) } else { None };
            let Ok(mut answer) = answer.await;
            leftover.discard(answer.headers_mut()).await;
            if answer.extensions().get::<Streamed>().is_some() {
                return Ok(answer.map(|body| in_flight.streams(body)));
            }
            let outgoing = match answer.extensions().get::<Shared>() {
                Some(Shared) => None,
                None => {
                    let bytes = http_body::Body::size_hint(answer.body()).lower();
                    answers.hold(usize::try_from(bytes).unwrap_or(usize::MAX), set_aside)?
                }
            };
            Ok(answer.map(|body| in_flight.answers_with(body, outgoing)))
        })
    }
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    settings: ServerSettings,
    answers: Arc<Connection>,
    stopping: CancellationToken,
) {
    let gauge = metrics::connections();
    gauge.increment(1);
    tokio::select! {
        () = answers.is_to_end() => {}
        () = serve_connection(stream, peer, router, settings, answers.clone(), stopping) => {}
    }
    gauge.decrement(1);
}

async fn serve_connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    settings: ServerSettings,
    answers: Arc<Connection>,
    stopping: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone before it was served");
        return;
    }
    let watch = Watch::new();
    let io = TokioIo::new(Watched::new(stream, watch.clone()));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_BYTES);
    // Whoever has said all there is to say may say so, and still be waiting for the answer. A client that is gone looks the same until
    // something is written to it: its request runs to its end, which it would do in the engine anyway.
    builder.http1().half_close(true);
    builder.http2().timer(TokioTimer::new());
    let (tells_peer, patience) = (settings.peers, settings.answer);
    let watching = Watching { router, peer, tells_peer, watch: watch.clone(), answers, patience };
    let mut served = pin!(builder.serve_connection(io, watching));
    let mut timer = pin!(sleep(settings.header_read));
    let mut farewell: Option<Instant> = None;
    // Until when a stop waits for what was asked after the farewell.
    let mut last: Option<Instant> = None;
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
                let drained = now() + settings.drain;
                farewell = Some(if watch.is_busy() { drained } else { drained.min(now() + FAREWELL) });
                last = Some(drained);
                continue;
            }
            () = watch.changed() => continue,
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
            (Some(at), _) if at <= moment => match last.take().filter(|last| *last > moment && watch.is_busy()) {
                Some(last) => farewell = Some(last),
                None => return,
            },
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
    use axum::body::Body;
    use axum::routing::{get, post};
    use bytes::Bytes;
    use http_body_util::{BodyExt, Empty};
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{Semaphore, mpsc, oneshot};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    const SHORT: Duration = Duration::from_millis(400);
    /// Never over in a test.
    const LONG: Duration = Duration::from_secs(60);
    /// What a slow machine may take for what is to happen at once, and much less than [`LONG`].
    const SOON: Duration = Duration::from_secs(20);

    struct Served {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        ended: JoinHandle<()>,
        /// Handlers that have begun.
        begun: Arc<Semaphore>,
        /// Lets one slow handler go on.
        go: Arc<Semaphore>,
        /// Tells of a large answer that is gone from memory.
        gone: mpsc::Receiver<()>,
    }

    impl Served {
        async fn begun(&self) {
            timeout(SOON, self.begun.acquire()).await.expect("a handler begins").unwrap().forget();
        }
    }

    fn settings() -> ServerSettings {
        let (header_read, keep_alive, answer, drain) = (LONG, LONG, LONG, LONG);
        ServerSettings { header_read, keep_alive, answer, drain, ..ServerSettings::default() }
    }

    /// An answer larger than what the sockets of both sides take, which tells when it is let go.
    struct Large(Vec<u8>, mpsc::Sender<()>);

    impl AsRef<[u8]> for Large {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Large {
        fn drop(&mut self) {
            let _ = self.1.try_send(());
        }
    }

    /// An answer that goes on.
    fn streamed(ticks: impl futures::Stream<Item = Result<Bytes, io::Error>> + Send + 'static) -> Response {
        let mut answer = Response::new(Body::from_stream(ticks));
        answer.extensions_mut().insert(Streamed);
        answer
    }

    /// What is told next, once it may.
    async fn tick(go: Arc<Semaphore>) -> Option<(Result<Bytes, io::Error>, Arc<Semaphore>)> {
        go.acquire().await.ok()?.forget();
        Some((Ok(Bytes::from_static(b"tick")), go))
    }

    /// The body of a stream of HTTP/2, and what keeps the connection.
    async fn h2_stream(address: SocketAddr, path: &str) -> (Incoming, impl Sized) {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
        let (mut sender, connection) = handshake.await.unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::get(format!("http://x{path}")).body(Empty::<Bytes>::new()).unwrap();
        (sender.send_request(request).await.unwrap().into_body(), (sender, connection))
    }

    async fn served(settings: ServerSettings) -> Served {
        let (begun, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (let_go, gone) = mpsc::channel(8);
        let slow = {
            let (begun, go) = (begun.clone(), go.clone());
            move || async move {
                begun.add_permits(1);
                go.acquire().await.unwrap().forget();
                "slow"
            }
        };
        let unread = {
            let begun = begun.clone();
            move || async move {
                begun.add_permits(1);
                http::StatusCode::NOT_FOUND
            }
        };
        let large = move || async move { Body::from(Bytes::from_owner(Large(vec![0; 64 << 20], let_go.clone()))) };
        let ticks = {
            let go = go.clone();
            move || async move { streamed(futures::stream::unfold(go, tick)) }
        };
        let flood = || async { streamed(futures::stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 64 * 1024])))) };
        let echo = |body: Bytes| async move { body };
        let router = Router::new()
            .route("/", get(|| async { "fast" }))
            .route("/", post(echo))
            .route("/slow", get(slow))
            .route("/unread", post(unread))
            .route("/ticks", get(ticks))
            .route("/flood", get(flood))
            .route("/large", get(large));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(serve(listener, router, settings, async move {
            let _ = stopped.await;
        }));
        Served { address, stop, ended, begun, go, gone }
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

    /// How long after this moment the other side closes.
    async fn closed_after(started: Instant, stream: &mut TcpStream) -> Duration {
        let mut rest = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("closed");
        now() - started
    }

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    async fn fast(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(GET).await.unwrap();
        read_until(&mut stream, "fast").await;
        stream
    }

    /// An answer may go on for longer than one may take, as long as its client takes what there is.
    #[tokio::test]
    async fn a_stream_that_is_taken_goes_on() {
        let served = served(ServerSettings { answer: SHORT, ..settings() }).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"GET /ticks HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        for _ in 0..3 {
            served.go.add_permits(1);
            read_until(&mut stream, "tick\r\n").await;
            sleep(2 * SHORT).await;
        }
        // That one's handler would take what is told next.
        let served = self::served(ServerSettings { answer: SHORT, ..settings() }).await;
        let (mut body, _connection) = h2_stream(served.address, "/ticks").await;
        for _ in 0..3 {
            served.go.add_permits(1);
            let frame = timeout(SOON, body.frame()).await.expect("a tick").expect("more").expect("no error");
            assert_eq!(frame.into_data().unwrap(), "tick");
            sleep(2 * SHORT).await;
        }
    }

    #[tokio::test]
    async fn a_stream_that_nobody_takes_is_given_up() {
        let served = served(ServerSettings { answer: SHORT, ..settings() }).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"GET /flood HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        // Whoever is given up has nothing to take but what was on its way.
        sleep(3 * SHORT).await;
        closed_after(now(), &mut stream).await;
        let (body, _connection) = h2_stream(served.address, "/flood").await;
        sleep(3 * SHORT).await;
        assert!(timeout(SOON, body.collect()).await.expect("an end").is_err(), "the connection is gone");
    }

    #[tokio::test]
    async fn a_connection_that_never_says_anything_is_closed() {
        let served = served(ServerSettings { header_read: SHORT, ..settings() }).await;
        // The server counts from when it has the connection, which is not before this.
        let started = now();
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        assert!(closed_after(started, &mut stream).await >= SHORT / 2);
    }

    #[tokio::test]
    async fn a_head_that_drips_is_cut_off_though_every_byte_comes_in_time() {
        let served = served(ServerSettings { header_read: SHORT, ..settings() }).await;
        let mut stream = fast(served.address).await;
        let started = now();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        loop {
            let written = stream.write_all(b"x").await;
            let read = stream.try_read(&mut [0; 1]).map_err(|error| error.kind());
            if written.is_err() || read != Err(io::ErrorKind::WouldBlock) {
                break;
            }
            assert!(now() - started < SOON, "a byte now and then keeps the head open");
            sleep(SHORT / 20).await;
        }
        assert!(now() - started >= SHORT / 2);
    }

    #[tokio::test]
    async fn an_idle_connection_lives_longer_than_a_head_may_take_and_no_longer_than_it_may() {
        let served = served(ServerSettings { header_read: SHORT, keep_alive: 10 * SHORT, ..settings() }).await;
        let mut stream = fast(served.address).await;
        let mut asked = now();
        for _ in 0..2 {
            sleep(2 * SHORT).await;
            asked = now();
            stream.write_all(GET).await.unwrap();
            read_until(&mut stream, "fast").await;
        }
        assert!(closed_after(asked, &mut stream).await >= 5 * SHORT);
    }

    #[tokio::test]
    async fn a_request_may_take_longer_than_its_head_and_its_answer_and_a_body_may_follow_slowly() {
        let served = served(ServerSettings { header_read: SHORT, answer: SHORT, ..settings() }).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        served.begun().await;
        sleep(2 * SHORT).await;
        served.go.add_permits(1);
        read_until(&mut stream, "slow").await;
        stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n").await.unwrap();
        for byte in [b"b", b"o", b"d", b"y"] {
            sleep(SHORT / 2).await;
            stream.write_all(byte).await.unwrap();
        }
        read_until(&mut stream, "body").await;
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_is_given_up() {
        let mut served = served(ServerSettings { answer: SHORT, ..settings() }).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let started = now();
        stream.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        timeout(SOON, served.gone.recv()).await.expect("the answer leaves memory").unwrap();
        assert!(now() - started >= SHORT / 2);
        // What the sockets had taken is all that comes.
        let mut taken = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut taken)).await.expect("closed");
        assert!(taken.len() < 64 << 20, "{}", taken.len());
    }

    #[tokio::test]
    async fn a_stream_of_http_2_whose_window_stays_closed_ends_its_connection() {
        let served = served(ServerSettings { answer: SHORT, ..settings() }).await;
        let io = TokioIo::new(TcpStream::connect(served.address).await.unwrap());
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (mut sender, connection) = builder.initial_stream_window_size(0).handshake(io).await.unwrap();
        let connection = tokio::spawn(connection);
        let ask = |path: &str| http::Request::get(format!("http://x{path}")).body(Empty::<Bytes>::new()).unwrap();
        let started = now();
        let unread = sender.send_request(ask("/")).await.unwrap();
        assert_eq!(unread.status(), 200);
        // Another request that runs keeps the connection busy and does not save it.
        let running = tokio::spawn(sender.send_request(ask("/slow")));
        served.begun().await;
        let _ = timeout(SOON, connection).await.expect("closed").unwrap();
        assert!(now() - started >= SHORT / 2);
        assert!(running.await.unwrap().is_err());
        drop(unread);
    }

    #[tokio::test]
    async fn a_connection_too_many_is_closed_at_once_and_room_is_made_by_one_that_ends() {
        let served = served(ServerSettings { connections: 2, ..settings() }).await;
        let (first, mut second) = (fast(served.address).await, fast(served.address).await);
        let mut third = TcpStream::connect(served.address).await.unwrap();
        closed_after(now(), &mut third).await;
        second.write_all(GET).await.unwrap();
        read_until(&mut second, "fast").await;
        drop(first);
        let started = now();
        loop {
            let mut next = TcpStream::connect(served.address).await.unwrap();
            let mut answer = [0; 12];
            if next.write_all(GET).await.is_ok() && next.read_exact(&mut answer).await.is_ok() {
                assert_eq!(&answer, b"HTTP/1.1 200");
                break;
            }
            assert!(now() - started < SOON, "no room is made");
        }
    }

    #[tokio::test]
    async fn an_answer_without_reading_the_body_leaves_the_connection_as_it_was() {
        let served = served(settings()).await;
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        for _ in 0..3 {
            let head = b"POST /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n";
            stream.write_all(head).await.unwrap();
            served.begun().await;
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
            stream.write_all(format!("POST /unread HTTP/1.1\r\nhost: x\r\n{head}\r\n").as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
            let answer = read_until(&mut stream, "\r\n\r\n").await;
            assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("connection: close"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_stop_closes_idle_connections_at_once_and_finishes_requests_in_flight() {
        let served = served(settings()).await;
        let mut silent = TcpStream::connect(served.address).await.unwrap();
        let mut idle = fast(served.address).await;
        let mut busy = TcpStream::connect(served.address).await.unwrap();
        busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        served.begun().await;
        let Served { address, stop, ended, go, .. } = served;
        stop.send(()).unwrap();
        // The request is still in flight while these close.
        closed_after(now(), &mut idle).await;
        closed_after(now(), &mut silent).await;
        assert!(!ended.is_finished());
        go.add_permits(1);
        let answer = read_until(&mut busy, "slow").await;
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
        timeout(SOON, ended).await.expect("the server ends").unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn http_2_with_prior_knowledge_is_served_and_closed_when_idle() {
        let served = served(ServerSettings { header_read: SHORT, keep_alive: 10 * SHORT, ..settings() }).await;
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
        let ended = timeout(SOON, connection).await.expect("closed when idle").unwrap();
        assert!(ended.is_ok(), "{ended:?}");
    }
}
