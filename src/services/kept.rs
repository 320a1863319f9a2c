//! Answers of services under idempotency keys. Each is written in the unit of what it tells of, so that one is there if and only if the other is;
//! entities keep theirs in the journal.

use crate::domain::record::IdempotencyKey;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::StoreError;
use crate::ports::units::UnitError;
use async_trait::async_trait;

/// An answer, as it is given again to whoever repeats the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Under which key, for which body.
    pub key: IdempotencyKey,
    /// Its HTTP status.
    pub status: u16,
    /// Its body, in JSON. It holds nothing personal and no secret.
    pub body: String,
    /// When it was given.
    pub at: Timestamp,
}

/// The answers that are kept. One that is older than [`KEPT_ANSWER_MS`](crate::limits::KEPT_ANSWER_MS) counts as none.
#[async_trait]
pub trait KeptAnswers: Send + Sync {
    /// The answer under this key (of callers, methods and paths), whatever the body was.
    ///
    /// # Errors
    /// What the store says.
    async fn kept(&self, key: u128, now: Timestamp) -> Result<Option<KeptAnswer>, StoreError>;

    /// Keeps an answer that nothing was written for: a refusal. Whether it is the first under its key.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn keep(&self, answer: &KeptAnswer) -> Result<bool, UnitError>;

    /// Forgets so many answers at most that were given before this moment. Gives how many.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, UnitError>;
}

/// Answers that are forgotten at a time.
const FORGOTTEN: u32 = 200;

/// Forgets all answers that are too old to be given again.
///
/// # Errors
/// See [`UnitError`].
pub async fn forget_old(answers: &dyn KeptAnswers, now: Timestamp) -> Result<(), UnitError> {
    let before = now.plus_millis(-limits::KEPT_ANSWER_MS);
    while answers.forget(before, FORGOTTEN).await? >= u64::from(FORGOTTEN) {}
    Ok(())
}
