//! What the rest of the node asks of the actors.

use crate::actors::directory::Directory;
use crate::domain::cart::{Cart, CheckoutDetails};
use crate::domain::entity::{Entity, Principal};
use crate::domain::ids::{CartId, EntityRef, Kind};
use crate::domain::order::{Order, OrderView, PaymentChoice};
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::Vendor;
use crate::ports::{Clock, Ledger, Queries};
use std::time::Duration;

/// Why the engine gave no answer of an entity's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Failure {
    /// A limit is reached; nothing was done. Ask again after so many seconds.
    #[error("too much is waiting to be done")]
    Overloaded {
        /// Seconds after which to ask again.
        retry_after_s: u64,
    },
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
    /// The answer.
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

/// What a checkout came to.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedOut {
    /// The order, or the refusal.
    pub outcome: Result<OrderView, Reject>,
    /// Whether this very checkout made the order.
    pub created: bool,
    /// Whether this is a repetition of the first answer.
    pub replayed: bool,
}

/// Whether the node takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// Not yet.
    Recovering,
    /// Not any more.
    Draining,
    /// Its store does not take batches.
    StoreUnavailable,
}

/// The live actors of one kind.
#[derive(Debug, Clone)]
pub struct KindOverview {
    /// The kind.
    pub kind: Kind,
    /// How many are in memory.
    pub live: usize,
    /// Those with the most messages waiting.
    pub deepest: Vec<(EntityRef, usize)>,
    /// How often one was started again.
    pub restarts: u64,
    /// How often one left memory.
    pub passivations: u64,
}

/// One actor.
#[derive(Debug, Clone)]
pub struct ActorView {
    /// The entity.
    pub entity: EntityRef,
    /// Whether it is in memory.
    pub live: bool,
    /// Its version; 0 when it never came into being.
    pub version: u64,
    /// Messages waiting.
    pub mailbox_depth: usize,
    /// How often it was started again.
    pub restarts: u32,
    /// Its state.
    pub state: serde_json::Value,
}

/// Entities that have actors.
pub trait Hosted: Entity {}
impl Hosted for Cart {}
impl Hosted for Order {}
impl Hosted for Vendor {}

/// The engine of this node.
#[derive(Clone)]
pub struct Engine(());

#[allow(
    missing_docs,
    clippy::unimplemented,
    clippy::unused_async,
    clippy::missing_errors_doc,
    clippy::too_many_arguments
)]
impl Engine {
    pub async fn ask<E: Hosted>(
        &self,
        _id: E::Id,
        _command: E::Command,
        _ask: Ask,
    ) -> Result<Answered<E::Reply>, Failure> {
        unimplemented!()
    }
    pub async fn checkout(
        &self,
        _by: Principal,
        _cart: CartId,
        _details: CheckoutDetails,
        _within: Duration,
        _wait: Option<Duration>,
        _key: Option<IdempotencyKey>,
    ) -> Result<CheckedOut, Failure> {
        unimplemented!()
    }
    pub fn directory(&self) -> &Directory {
        unimplemented!()
    }
    pub fn clock(&self) -> &dyn Clock {
        unimplemented!()
    }
    pub fn queries(&self) -> &dyn Queries {
        unimplemented!()
    }
    pub fn as_of(&self) -> Timestamp {
        unimplemented!()
    }
    pub fn readiness(&self) -> Readiness {
        unimplemented!()
    }
    pub fn check_payment(&self, _choice: &PaymentChoice) -> Result<(), Reject> {
        unimplemented!()
    }
    pub fn ledger(&self) -> Option<&dyn Ledger> {
        unimplemented!()
    }
    pub fn actors(&self) -> Vec<KindOverview> {
        unimplemented!()
    }
    pub async fn inspect(&self, _entity: EntityRef) -> Result<ActorView, Failure> {
        unimplemented!()
    }
    pub fn windows(&self) -> (i64, i64) {
        unimplemented!()
    }
}
