//! Records: what one command wrote, one line of JSON in a frame of the journal.
//!
//! The short field names are part of the journal's format and never change: `e` entity, `v` version, `at` time,
//! `ev` events, `ans` the answer kept under an idempotency key.

use super::ids::EntityRef;
use super::json;
use super::reject::Reject;
use super::time::Timestamp;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

/// A caller's idempotency key, scoped by caller, method and path, and what its request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Hash of caller, method, path and key.
    pub key: u128,
    /// Hash of the request body.
    pub body: u128,
}

/// The first answer given under a key. It is kept as the JSON that it was written as: whoever makes an entity anew from its records has no use for
/// what it was answered. Only a repeated request reads it, within a day, so each release must be able to read what the one before it answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "WrittenAnswer")]
pub struct KeptAnswer {
    /// The key and the request it came with.
    pub key: IdempotencyKey,
    /// When the answer was given.
    pub at: Timestamp,
    answer: Arc<[u8]>,
}

impl KeptAnswer {
    /// Keeps an answer that is given at `at`.
    pub fn new<R: Serialize>(key: IdempotencyKey, at: Timestamp, outcome: &Result<R, Reject>) -> Self {
        let answer = match outcome {
            Ok(reply) => Answer::Ok(reply),
            Err(reject) => Answer::Rejected(reject),
        };
        let mut written = Vec::with_capacity(ANSWER_BYTES);
        // Answers have string keys and no failing Serialize: this cannot fail.
        json::write(&mut written, &answer).expect("answers are serializable");
        Self { key, at, answer: written.into() }
    }

    /// The answer.
    ///
    /// # Errors
    /// When it is none that this release can read.
    pub fn answer<R: DeserializeOwned>(&self) -> Result<Result<R, Reject>, serde_json::Error> {
        Ok(match serde_json::from_slice(&self.answer)? {
            Answer::Ok(reply) => Ok(reply),
            Answer::Rejected(reject) => Err(reject),
        })
    }

    /// Appends it as JSON.
    pub fn write(&self, into: &mut Vec<u8>) {
        let Self { key: IdempotencyKey { key, body }, at, answer } = self;
        // The first records had hashes of 64 bits for bodies: they are written as they were read.
        let digits = if u64::try_from(*body).is_ok() { 16 } else { 32 };
        let at = at.as_millis();
        let head = format!(r#"{{"key":"{key:032x}","body":"{body:0digits$x}","at":{at},"answer":"#);
        into.extend_from_slice(head.as_bytes());
        into.extend_from_slice(answer);
        into.push(b'}');
    }
}

/// Room that an answer is given before it is written, in bytes: most orders of one line need no more.
const ANSWER_BYTES: usize = 1024;

/// An answer in the form in which it is kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer<R, J> {
    /// The command was carried out.
    Ok(R),
    /// The command was refused.
    Rejected(J),
}

/// A kept answer as it is read.
#[derive(Deserialize)]
struct WrittenAnswer {
    #[serde(deserialize_with = "hex128")]
    key: u128,
    #[serde(deserialize_with = "hex128")]
    body: u128,
    at: Timestamp,
    answer: Box<RawValue>,
}

impl From<WrittenAnswer> for KeptAnswer {
    fn from(WrittenAnswer { key, body, at, answer }: WrittenAnswer) -> Self {
        Self { key: IdempotencyKey { key, body }, at, answer: answer.get().as_bytes().into() }
    }
}

fn hex128<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    u128::from_str_radix(&text, 16).map_err(de::Error::custom)
}

/// A record with events of type `E`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Record<E> {
    /// The entity.
    #[serde(rename = "e")]
    pub entity: EntityRef,
    /// The entity's version after this record; an entity's first record makes version 1.
    #[serde(rename = "v")]
    pub version: u64,
    /// When the command was decided.
    pub at: Timestamp,
    /// What happened, in order; empty when the record only keeps answers.
    #[serde(rename = "ev", default = "Vec::new")]
    pub events: Vec<E>,
    /// Answers that were given under idempotency keys.
    #[serde(rename = "ans", default)]
    pub answers: Vec<KeptAnswer>,
}

/// A record without its answers, as it is written.
#[derive(Serialize)]
struct WrittenRecord<'a, E> {
    e: EntityRef,
    v: u64,
    at: Timestamp,
    #[serde(skip_serializing_if = "<[E]>::is_empty")]
    ev: &'a [E],
}

impl<E: Serialize> Record<E> {
    /// Appends it as one line of JSON, without the line's end.
    pub fn write(&self, into: &mut Vec<u8>) {
        let written = WrittenRecord { e: self.entity, v: self.version, at: self.at, ev: &self.events };
        // Events have string keys and no failing Serialize: this cannot fail.
        json::write(into, &written).expect("records are serializable");
        if self.answers.is_empty() {
            return;
        }
        // The answers are JSON already, which the writer of JSON would write as a text: they take the place of the closing brace.
        into.pop();
        into.extend_from_slice(br#","ans":["#);
        for (place, answer) in self.answers.iter().enumerate() {
            if place > 0 {
                into.push(b',');
            }
            answer.write(into);
        }
        into.extend_from_slice(b"]}");
    }
}

/// A record whose events are still JSON: what tools read that need no types.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RawRecord<'a> {
    /// The entity.
    #[serde(rename = "e")]
    pub entity: EntityRef,
    /// Its version after this record.
    #[serde(rename = "v")]
    pub version: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// The events.
    #[serde(rename = "ev", borrow, default)]
    pub events: Option<&'a RawValue>,
    /// The kept answers.
    #[serde(rename = "ans", borrow, default)]
    pub answers: Option<&'a RawValue>,
}
