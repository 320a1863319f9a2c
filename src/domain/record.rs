//! Records: what one command wrote, one line of JSON in a frame of the journal.
//!
//! The short field names are part of the journal's format and never change: `e` entity, `v` version, `at` time,
//! `ev` events, `ans` the answer kept under an idempotency key.

use super::ids::EntityRef;
use super::reject::Reject;
use super::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A caller's idempotency key, scoped by caller, method and path, and what its request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// Hash of caller, method, path and key.
    #[serde(with = "hex128")]
    pub key: u128,
    /// Hash of the request body.
    #[serde(serialize_with = "hex_of_body", deserialize_with = "hex128::deserialize")]
    pub body: u128,
}

/// The first answer given under a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptAnswer<R> {
    /// The key and the request it came with.
    #[serde(flatten)]
    pub key: IdempotencyKey,
    /// When the answer was given.
    pub at: Timestamp,
    /// The answer.
    pub answer: Answer<R>,
}

/// An answer in the form in which it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<R> {
    /// The command was carried out.
    Ok(R),
    /// The command was refused.
    Rejected(Reject),
}

impl<R> From<Result<R, Reject>> for Answer<R> {
    fn from(result: Result<R, Reject>) -> Self {
        match result {
            Ok(reply) => Answer::Ok(reply),
            Err(reject) => Answer::Rejected(reject),
        }
    }
}

impl<R> From<Answer<R>> for Result<R, Reject> {
    fn from(answer: Answer<R>) -> Self {
        match answer {
            Answer::Ok(reply) => Ok(reply),
            Answer::Rejected(reject) => Err(reject),
        }
    }
}

/// A record with events of type `E` and answers of type `R`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record<E, R> {
    /// The entity.
    #[serde(rename = "e")]
    pub entity: EntityRef,
    /// The entity's version after this record; an entity's first record makes version 1.
    #[serde(rename = "v")]
    pub version: u64,
    /// When the command was decided.
    pub at: Timestamp,
    /// What happened, in order; empty when the record only keeps answers.
    #[serde(rename = "ev", default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<E>,
    /// Answers that were given under idempotency keys.
    #[serde(rename = "ans", default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<KeptAnswer<R>>,
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

mod hex128 {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:032x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(de::Error::custom)
    }
}

/// The first records had hashes of 64 bits for bodies: they are written as they were read.
fn hex_of_body<S: serde::Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    match u64::try_from(*value) {
        Ok(short) => serializer.collect_str(&format_args!("{short:016x}")),
        Err(_) => hex128::serialize(value, serializer),
    }
}
