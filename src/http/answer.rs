//! How handlers answer: compact JSON, and the engine's answers with what they say about repetition.

use crate::actors::{Answered, Ask, Hosted, Shop};
use crate::domain::json;
use crate::http::error::{IDEMPOTENT_REPLAYED, Problem, Result};
use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// Room that a body is given before it is written, in bytes: most orders of one line need no more.
const BODY_BYTES: usize = 4096;

/// A body as JSON.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let mut bytes = Vec::with_capacity(BODY_BYTES);
    if let Err(error) = json::write(&mut bytes, body) {
        // String keys and no failing Serialize: this cannot happen.
        tracing::error!(%error, "an answer could not be written");
        bytes.clear();
    }
    written_json(status, bytes)
}

/// A body that is JSON already.
pub fn written_json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Marks an answer whose bytes are there once for everybody: whoever does not take it holds nothing.
#[derive(Clone, Copy)]
pub struct Shared;

/// Marks an answer that goes on as long as there is something to tell: time in which its client has taken all there is does not count as time that
/// it takes.
#[derive(Clone, Copy)]
pub struct Streamed;

/// 200 with a body.
pub fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}

/// Marks an answer that was given before.
pub fn mark_replayed(mut response: Response, replayed: bool) -> Response {
    if replayed {
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// Asks an entity: its reply, and whether that was given before under the same key.
pub async fn ask<E: Hosted>(shop: &Shop, id: E::Id, command: E::Command, ask: Ask) -> Result<(E::Reply, bool)> {
    let Answered { outcome, replayed } = shop.ask::<E>(id, command, ask).await?;
    match outcome {
        Ok(reply) => Ok((reply, replayed)),
        Err(reject) => Err(Problem::from(reject).replayed(replayed)),
    }
}

/// An entity answered with what no command of ours asks for: a bug.
pub fn unexpected(reply: &impl std::fmt::Debug) -> Problem {
    tracing::error!(?reply, "an entity gave an answer of another kind");
    Problem::new(&crate::http::error::INTERNAL, "the engine gave an answer of another kind")
}
