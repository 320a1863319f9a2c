//! The overview as it goes on: one event a second, until the caller's session or token ends, or the server stops.
//!
//! A reader that takes its events more slowly than they come misses some and holds none up; one that takes none is given up as anybody is who does
//! not read. Whoever asks is checked before each event: what is shown to somebody is shown to somebody who may see it at that moment.

use super::{Ops, Reader};
use crate::domain::who::Action;
use crate::http::HttpState;
use crate::http::answer::Streamed;
use crate::http::caller::Caller;
use crate::http::error::{self, Result};
use crate::http::openapi::{AUTH, problems};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::timeout;

/// The first words of a stream: after how many milliseconds to come back.
const HELLO: Bytes = Bytes::from_static(b"retry: 2000\n\n");
/// How long the next look is waited for. Past it something is wrong with whoever looks: the reader is to come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a stream ends.
fn farewell(reason: &str) -> Bytes {
    format!("event: end\ndata: {{\"reason\":\"{reason}\"}}\n\n").into()
}

/// One who follows the overview.
struct Follower {
    reader: Reader,
    state: HttpState,
    /// The token alone.
    headers: HeaderMap,
    /// The last look that was sent.
    number: u64,
}

impl Follower {
    /// Why nothing more may be shown, if that is so.
    fn is_over(&self) -> Option<&'static str> {
        let caller = Caller::of(&self.headers, &self.state);
        match caller {
            Ok(Some(caller)) => caller.may(Action::SeeOperation).err().map(|_| "session_over"),
            Ok(None) => Some("session_over"),
            Err(_) => Some(if self.has_expired() { "token_expired" } else { "session_over" }),
        }
    }

    /// Whether the token is one that was good once.
    fn has_expired(&self) -> bool {
        Caller::has_expired(&self.headers, &self.state)
    }

    /// The next event; `None` when there will be no more.
    async fn next(&mut self) -> Option<Bytes> {
        let number = self.number;
        let is_next = |written: &Option<super::Written>| written.as_ref().is_some_and(|next| next.number != number);
        let next = timeout(PATIENCE, self.reader.newest.wait_for(is_next)).await.ok()?.ok()?.clone()?;
        self.number = next.number;
        Some(next.event)
    }
}

/// Where a stream stands.
enum Stage {
    Begins(Box<Follower>),
    Goes(Box<Follower>),
    Over,
}

async fn step(stage: Stage) -> Option<(Bytes, Stage)> {
    let mut follower = match stage {
        Stage::Begins(follower) => return Some((HELLO, Stage::Goes(follower))),
        Stage::Goes(follower) => follower,
        Stage::Over => return None,
    };
    let stop = follower.state.ops.parts().stop.clone();
    let Some(next) = stop.run_until_cancelled(follower.next()).await else {
        return Some((farewell("stopping"), Stage::Over));
    };
    let event = next?;
    Some(match follower.is_over() {
        Some(reason) => (farewell(reason), Stage::Over),
        None => (event, Stage::Goes(follower)),
    })
}

problems!(FollowOverviewProblems: AUTH, &[&error::OVERLOADED]);

/// The node as it goes on: one event a second
///
/// Each event `overview` has the JSON of `GET /v1/admin/overview` in one line, and the number of the look as its id. The last event is `end`, with
/// `{"reason"}`: `token_expired`, `session_over` or `stopping`. `Last-Event-ID` changes nothing: there is nothing to catch up with.
#[utoipa::path(get, path = "/v1/admin/overview/events", tag = "admin", security(("bearer" = [])),
    responses((status = 200, description = "Server-sent events.", body = String, content_type = "text/event-stream",
        example = "retry: 2000\n\nevent: overview\nid: 17\ndata: {\"at\":\"2026-11-21T04:52:16.123Z\",\"over_ms\":1000,\"tiles\":{}}\n\n"),
    FollowOverviewProblems))]
pub async fn follow_overview(State(state): State<HttpState>, headers: HeaderMap) -> Result<Response> {
    let ops: &Ops = &state.ops;
    let reader = ops.read()?;
    let token = headers.get(AUTHORIZATION).map(|token| (AUTHORIZATION, token.clone()));
    let follower = Follower { reader, state, headers: token.into_iter().collect(), number: 0 };
    let events = stream::unfold(Stage::Begins(Box::new(follower)), step);
    let mut response = Response::new(Body::from_stream(futures::StreamExt::map(events, Ok::<_, Infallible>)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // A gateway is to hand each event on as it comes (nginx, ngx_http_proxy_module).
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.extensions_mut().insert(Streamed);
    Ok(response)
}
