//! A place in a line as it goes on. Whoever watches it is present: the server asks the room in the time that the room says, as somebody does who polls.

use super::{Line, TicketBody};
use crate::domain::ids::RoomId;
use crate::domain::json;
use crate::domain::room::{Entrant, Place, RoomCommand, TicketStatus, TicketView};
use crate::http::HttpState;
use crate::http::caller::Caller;
use crate::http::error::{self, Result};
use crate::http::extract::Ids;
use crate::http::openapi::{ACTOR, AUTH, problems};
use crate::http::rates::AskedFrom;
use crate::http::sse::{self, Tells};
use crate::http::tracking::Word;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Version};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use xxhash_rust::xxh3::xxh3_64;

/// By how much later than the room says it is asked: what is on its way is not early.
const MARGIN: Duration = Duration::from_millis(100);
/// After how long it is asked again where nobody could answer.
const BLIND: Duration = Duration::from_secs(1);

/// How a place stands, as it is told.
struct Told {
    turn: u64,
    id: String,
    text: Bytes,
    end: Option<&'static str>,
}

impl Told {
    fn new(body: &TicketBody, is_over: bool, before: Option<&Told>) -> Self {
        let mut data = Vec::new();
        if let Err(error) = json::write(&mut data, body) {
            // String keys and no failing Serialize: this cannot happen.
            tracing::error!(%error, "an event could not be written");
        }
        let id = format!("{:016x}", xxh3_64(&data));
        let text = [&b"event: ticket\ndata: "[..], &data, format!("\nid: {id}\n\n").as_bytes()].concat().into();
        let turn = before.map_or(0, |before| before.turn + u64::from(before.id != id));
        Self { turn, id, text, end: is_over.then_some("over") }
    }

    /// The same, and no more will be told.
    fn ended(&self, reason: &'static str) -> Self {
        Self { turn: self.turn, id: self.id.clone(), text: self.text.clone(), end: Some(reason) }
    }
}

impl Tells for Told {
    fn turn(&self) -> u64 {
        self.turn
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn since(&self, _known: Option<u64>) -> Bytes {
        self.text.clone()
    }

    fn end(&self) -> Option<&'static str> {
        self.end
    }
}

/// Whether a place comes to nothing any more.
fn is_over(status: TicketStatus) -> bool {
    matches!(status, TicketStatus::Left | TicketStatus::Closed)
}

/// When the room is asked again.
fn next_look(ticket: &TicketView) -> Duration {
    Duration::from_secs(ticket.too_soon.unwrap_or(ticket.poll_after_seconds).into()) + MARGIN
}

/// Somebody's place.
struct Watched {
    state: HttpState,
    room: RoomId,
    of: Entrant,
    place: Place,
}

impl Watched {
    async fn look(&self) -> Result<(TicketBody, TicketView)> {
        let line = Line::of(&self.state, self.room, self.of);
        let ticket = line.view(RoomCommand::Look { entrant: self.of, place: self.place }).await?;
        Ok((line.shown(&ticket)?, ticket))
    }

    /// Tells what is another until nobody reads, the place is over, or the server stops.
    async fn follow(self, feed: watch::Sender<Arc<Told>>, mut wait: Duration) {
        let stop = self.state.live.stop().clone();
        loop {
            let before = feed.borrow().clone();
            if before.end.is_some() {
                return;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    feed.send_replace(Arc::new(before.ended("stopping")));
                    return;
                }
                () = feed.closed() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = match self.look().await {
                Ok((body, ticket)) => {
                    let told = Told::new(&body, is_over(ticket.status), Some(&before));
                    if told.turn != before.turn || told.end.is_some() {
                        feed.send_replace(Arc::new(told));
                    }
                    next_look(&ticket)
                }
                Err(problem) => {
                    tracing::debug!(room = %self.room, code = problem.kind().code, "a place in a line could not be looked at");
                    BLIND
                }
            };
        }
    }
}

/// The events as the document shows them.
const EXAMPLE: &str = "retry: 2417\n\nevent: ticket\ndata: {\"ticket\":\"ticket_eyJyb29tIjoicm9vbV8wMWgyeGNlanF0ZjJuYnJleHgzdnFqaHA0MSJ9.Zm9v\",\
    \"status\":\"waiting\",\"number\":17,\"position\":17,\"ahead\":16,\"estimated_wait_seconds\":null,\"poll_after_seconds\":2}\nid: 5ad3c8f1e2907b46\n\n";

problems!(FollowTicketProblems: AUTH, ACTOR, &[&error::TICKET_UNKNOWN, &error::OVERLOADED]; RoomUnknown);

/// A place in the line, as it goes on
///
/// The first event `ticket` is how the place stands, and one comes when it is another; whoever reads them is present and need not ask. The `id` says which
/// state it is; whoever comes with that of the present one in `Last-Event-ID` is not told it again. A comment comes every 15 seconds. The last event is
/// `end`, with `{"reason"}`: `over` when the place comes to nothing any more, `stopping`, `token_expired` or `session_over`.
#[utoipa::path(get, path = "/v1/rooms/{room}/tickets/{ticket}/events", tag = "rooms", security(("bearer" = [])),
    params(("room" = RoomId, Path, description = "The room"), ("ticket" = String, Path, description = "The ticket"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was taken")),
    responses((status = 200, description = "Server-sent events.", body = String, content_type = "text/event-stream", example = json!(EXAMPLE)),
    FollowTicketProblems))]
pub async fn follow_ticket(
    State(state): State<HttpState>,
    version: Version,
    caller: Caller,
    AskedFrom(from): AskedFrom,
    headers: HeaderMap,
    Ids(room, Word(ticket)): Ids<RoomId, Word>,
) -> Result<Response> {
    let line = Line::new(&state, room, &caller)?;
    let (of, place) = (line.of, line.place(&ticket).await?);
    let watched = Watched { state: state.clone(), room, of, place };
    // Of one who looked a moment ago it is told how the place stood then.
    let (body, ticket) = watched.look().await?;
    let counted = state.live.place(version, from)?;
    let (feed, reader) = watch::channel(Arc::new(Told::new(&body, is_over(ticket.status), None)));
    tokio::spawn(watched.follow(feed, next_look(&ticket)));
    Ok(sse::answer(state, reader, counted, true, &headers))
}
