//! What the rest of the node asks of the actors.

use crate::actors::directory::Directory;
use crate::domain::cart::{CartCommand, CartReply, CheckoutDetails};
use crate::domain::entity::{Entity, Principal};
use crate::domain::ids::{CartId, EntityRef, Kind};
use crate::domain::order::{Milestone, OrderView};
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::ports::{Clock, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// Why the engine gave no answer of an entity's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The entity refused.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// A limit is reached; nothing was done. Ask again after so many seconds.
    #[error("too much is waiting to be done")]
    Overloaded { retry_after_s: u64 },
    /// The node is stopping or has no valid lease; nothing was done.
    #[error("this node takes no requests now")]
    Unavailable,
    /// The actor is being started again after a fault; nothing was done.
    #[error("the actor is being started again")]
    Restarting,
    /// The entity's records do not fit each other; someone has to look at it.
    #[error("the entity is quarantined")]
    Quarantined,
    /// The deadline passed; what was asked may have been done, or may be done yet.
    #[error("the outcome is not known yet")]
    OutcomeUnknown,
}

/// An answer, and whether it was given before under the same idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered<R> {
    /// The answer. `Rejected` conflicts that were kept under a key are given as `Err` in here too.
    pub outcome: Result<R, Reject>,
    /// Whether this is a repetition of the first answer.
    pub replayed: bool,
}

/// How a command is asked.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// How long the caller waits.
    pub within: Duration,
    /// The caller's idempotency key.
    pub key: Option<IdempotencyKey>,
    /// The id was minted for this very command: there is nothing to load.
    pub fresh: bool,
}
