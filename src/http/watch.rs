//! What one connection is at: expecting a head, busy, handing answers over, or idle. [`Watched`] sees the bytes that come and go,
//! [`InFlight`] the requests, and [`Watch::deadline`] says how long the present phase may last.

use crate::http::outstanding::Outgoing;
use crate::http::refusal;
use crate::http::server::{ServerSettings, now};
use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The first bytes of HTTP/2 with prior knowledge (RFC 9113, 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A head is expected, or arriving.
    Head { since: Instant },
    /// Requests run, or their answers are handed over.
    Busy,
    /// Nothing is asked.
    Idle { since: Instant },
}

struct State {
    phase: Phase,
    in_flight: usize,
    /// Since when each answer is being handed over, the oldest first, with its number.
    answers: VecDeque<(u64, Instant)>,
    answered: u64,
    /// Since when the socket takes nothing.
    full: Option<Instant>,
    /// How much of the HTTP/2 preface the first bytes were; `None` once it is known which version is spoken.
    preface: Option<usize>,
    is_h2: bool,
}

/// What is known of one connection, shared by its IO, its requests and its task.
#[derive(Clone)]
pub(super) struct Watch(Arc<Mutex<State>>, Arc<Notify>);

impl Watch {
    pub(super) fn new() -> Self {
        let state = State {
            phase: Phase::Head { since: now() },
            in_flight: 0,
            answers: VecDeque::new(),
            answered: 0,
            full: None,
            preface: Some(0),
            is_h2: false,
        };
        Self(Arc::new(Mutex::new(state)), Arc::default())
    }

    /// Ready when there may be another deadline that the connection's task has not seen.
    pub(super) async fn changed(&self) {
        self.1.notified().await;
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

    /// Whether a request runs, or its answer is handed over.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.0.lock();
        state.phase == Phase::Busy || state.full.is_some()
    }

    pub(super) fn started(&self) -> InFlight {
        let mut state = self.0.lock();
        state.in_flight += 1;
        state.phase = Phase::Busy;
        InFlight { watch: self.clone(), answer: None }
    }

    fn answered(&self) -> u64 {
        let mut state = self.0.lock();
        state.answered += 1;
        let number = state.answered;
        state.answers.push_back((number, now()));
        if state.is_h2 && state.answers.len() == 1 {
            self.1.notify_one();
        }
        number
    }

    /// The client has taken all there is of this answer so far.
    fn taken(&self, answer: u64) {
        self.0.lock().answers.retain(|(number, _)| *number != answer);
    }

    fn ended(&self, answer: Option<u64>) {
        let mut state = self.0.lock();
        state.answers.retain(|(number, _)| Some(*number) != answer);
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.phase = Phase::Idle { since: now() };
            if state.is_h2 {
                // A stream is a task of its own: the connection's may have looked before this.
                self.1.notify_one();
            }
        }
    }

    fn written(&self, taken: bool) {
        let mut state = self.0.lock();
        state.full = if taken { None } else { state.full.or_else(|| Some(now())) };
    }

    /// Until when the present phase may last, and its name.
    ///
    /// An answer that nobody takes waits in one of two places: with its stream, while a window of HTTP/2 is closed or the buffer of
    /// the connection is full, or in that buffer, while the socket is full. So both are looked at. A handler needs no deadline here: it
    /// has its own.
    pub(super) fn deadline(&self, settings: &ServerSettings) -> Option<(Instant, &'static str)> {
        let state = self.0.lock();
        let phase = match state.phase {
            Phase::Head { since } => Some((since + settings.header_read, "head")),
            Phase::Idle { since } => Some((since + settings.keep_alive, "idle")),
            Phase::Busy => None,
        };
        let oldest = state.answers.front().map(|(_, since)| *since);
        let handing = oldest.into_iter().chain(state.full).min().map(|since| (since + settings.answer, "answer"));
        phase.into_iter().chain(handing).min_by_key(|(deadline, _)| *deadline)
    }
}

/// A request that runs, until its answer's body is handed over.
pub(super) struct InFlight {
    watch: Watch,
    answer: Option<u64>,
}

impl InFlight {
    /// The handler is done: from now on the client is to take the answer, which is counted if it is large.
    pub(super) fn answers_with(mut self, body: Body, outgoing: Option<Outgoing>) -> WatchedBody {
        self.answer = Some(self.watch.answered());
        WatchedBody { body, outgoing, streams: false, in_flight: self }
    }
}

impl InFlight {
    /// As [`InFlight::answers_with`], of an answer that goes on as long as there is something to tell.
    pub(super) fn streams(self, body: Body) -> WatchedBody {
        WatchedBody { streams: true, ..self.answers_with(body, None) }
    }

    /// The client has taken all there is of a stream: it is not waited for until there is more.
    fn has_taken_all(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.watch.taken(answer);
        }
    }

    /// There is something to take.
    fn has_more(&mut self) {
        if self.answer.is_none() {
            self.answer = Some(self.watch.answered());
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.watch.ended(self.answer);
    }
}

/// A stream whose incoming bytes are seen, and whether it takes what goes out.
pub(super) struct Watched {
    stream: TcpStream,
    watch: Watch,
    full: bool,
    instead: Option<Instead>,
}

/// What is being written in place of an answer of the HTTP library's own.
struct Instead {
    bytes: Vec<u8>,
    written: usize,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, watch: Watch) -> Self {
        Self { stream, watch, full: false, instead: None }
    }

    /// Writes what stands in place of `head`, which counts as written once all of that is.
    fn write_instead(&mut self, cx: &mut Context<'_>, head: &[u8]) -> Poll<io::Result<usize>> {
        while let Some(Instead { bytes, written }) = &mut self.instead {
            let polled = Pin::new(&mut self.stream).poll_write(cx, &bytes[*written..]);
            match polled {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => *written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.seen(Poll::Pending),
            }
            if *written == bytes.len() {
                self.instead = None;
            }
        }
        self.seen(Poll::Ready(Ok(head.len())))
    }

    fn seen<T>(&mut self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        // Asked of the watch only when it changes: most writes find room.
        if self.full || polled.is_pending() {
            self.full = polled.is_pending();
            self.watch.written(!self.full);
        }
        polled
    }
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
        if self.instead.is_some() {
            return self.write_instead(cx, buf);
        }
        let buf = match refusal::find(buf) {
            None => buf,
            Some(bare) if bare.at == 0 => {
                self.instead = Some(Instead { bytes: bare.instead(buf), written: 0 });
                return self.write_instead(cx, buf);
            }
            // First what stands before it.
            Some(bare) => &buf[..bare.at],
        };
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.seen(polled)
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
        let last = bufs.iter().rfind(|buf| !buf.is_empty());
        if self.instead.is_some() || last.is_some_and(|buf| refusal::find(buf).is_some()) {
            // One buffer after the other, up to the last.
            let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
            return self.poll_write(cx, first);
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.seen(polled)
    }
}

/// A body that keeps its request in flight until it is handed over, and is counted for as long as its bytes are there.
pub(super) struct WatchedBody {
    body: Body,
    outgoing: Option<Outgoing>,
    /// Whether it waits for something to tell.
    streams: bool,
    in_flight: InFlight,
}

impl WatchedBody {
    /// The last frame. What is counted is of one, which HTTP/2 takes over whole when only a byte of its window is open: so
    /// the count goes with the bytes.
    fn handed_over(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match (frame.into_data(), self.outgoing.take()) {
            (Ok(bytes), Some(outgoing)) => Frame::data(outgoing.with(bytes)),
            (data, _) => data.map_or_else(|other| other, Frame::data),
        }
    }
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if self.streams {
            // Whoever asks for more has room for it.
            self.in_flight.has_taken_all();
            if polled.is_ready() {
                self.in_flight.has_more();
            }
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) if self.outgoing.is_some() && self.body.is_end_stream() => {
                Poll::Ready(Some(Ok(self.handed_over(frame))))
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_oldest_answer_counts_until_it_is_taken() {
        let (watch, settings) = (Watch::new(), ServerSettings::default());
        let answer = || watch.started().answers_with(Body::empty(), None);
        let running = watch.started();
        assert_eq!(watch.deadline(&settings), None, "handlers have deadlines of their own");
        let (first, second) = (answer(), answer());
        let oldest = watch.deadline(&settings);
        assert_eq!(oldest.map(|(_, at)| at), Some("answer"));
        drop(second);
        assert_eq!(watch.deadline(&settings), oldest);
        let third = answer();
        drop(first);
        assert!(watch.deadline(&settings) >= oldest && watch.0.lock().answers.len() == 1);
        drop(third);
        assert_eq!(watch.deadline(&settings), None);
        drop(running);
        assert_eq!(watch.deadline(&settings).map(|(_, at)| at), Some("idle"));
    }
}
