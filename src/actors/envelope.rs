//! What an actor can be sent, and how it comes by its state.

use crate::actors::budget::Budget;
use crate::actors::node::Node;
use crate::actors::permits::Permit;
use crate::actors::registry::Hosted;
use crate::actors::shop::{ActorView, Answered, Failure};
use crate::actors::state::Built;
use crate::actors::turn::NotLetIn;
use crate::domain::entity::EffectKey;
use crate::domain::record::IdempotencyKey;
use crate::ports::trace::{TraceContext, Traced};
use crate::ports::{EntityDelta, History};
use actix::Message;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Takes an answer, or why there is none.
pub type ReplyTo<R> = Box<dyn FnOnce(Result<Answered<R>, Failure>) + Send>;

/// Goes on with an answer, or with why there is none, with what the question had of the node's budget, and in its trace.
pub type Link<R> = Box<dyn FnOnce(Result<Answered<R>, Failure>, Budget, Option<TraceContext>) + Send>;

/// What becomes of an answer.
pub enum Then<R> {
    /// It is given to whoever asked, once it is durable.
    Give(ReplyTo<R>),
    /// It stays on the node: if it is no refusal, it becomes a question to another entity, in the turn in which it is made. Whatever
    /// that one answers comes after it in the log writer's order, so it need not be durable yet. A refusal is given as any other.
    Chain(Link<R>),
}

/// Lets a command in, with what it has of other entities' permits, or says why not.
pub type Admit<E> = Box<dyn FnOnce(&E) -> Result<Option<Permit>, NotLetIn> + Send>;

/// A command from the edge.
pub struct Edge<E: Hosted> {
    pub command: E::Command,
    pub key: Option<IdempotencyKey>,
    /// Past it nobody waits any more.
    pub deadline: Instant,
    pub sent: Instant,
    /// Asked before anything is decided, with the entity as it is: whether the node takes this on.
    pub admit: Option<Admit<E>>,
    /// What it has of the node's budget.
    pub budget: Budget,
    /// Its trace, and since when it waits, if its request is sampled.
    pub trace: Option<Traced>,
    pub then: Then<E::Reply>,
}

impl<E: Hosted> Edge<E> {
    /// Ends with an answer, or with why there is none.
    #[expect(clippy::boxed_local, reason = "most of it need not be moved out of its box")]
    pub fn end(self: Box<Self>, answer: Result<Answered<E::Reply>, Failure>) {
        let Self { budget, trace, then, .. } = *self;
        match then {
            Then::Give(reply) => {
                // With the answer, not after it.
                drop(budget);
                reply(answer);
            }
            Then::Chain(link) => link(answer, budget, trace.map(|traced| traced.context)),
        }
    }

    /// Whether this answer becomes another entity's question.
    pub fn chains(&self, answered: &Answered<E::Reply>) -> bool {
        matches!(self.then, Then::Chain(_)) && answered.outcome.is_ok()
    }
}

/// What an actor can be sent.
pub enum Envelope<E: Hosted> {
    /// A request. There are far more messages between entities, which are small: it is not to make room for this in each of them.
    Edge(Box<Edge<E>>),
    /// A command of another entity, or a gateway's answer; with the trace of the request that set it off, if that is sampled.
    Peer(E::Command, Option<Box<Traced>>),
    /// A payment provider gave no outcome: its effect is to be tried again later.
    NoOutcome {
        /// The effect.
        key: EffectKey,
        /// Whether the provider says that it is at it.
        begun: bool,
    },
    /// A payment provider says that something has changed: it is to be looked up now.
    Hint,
    /// It may be time for something.
    Wake,
    /// A checkpoint wants what changed.
    Delta(oneshot::Sender<Option<EntityDelta>>),
    /// A checkpoint holds this version.
    Checkpointed(u64),
    /// An administrator looks.
    Inspect(oneshot::Sender<ActorView>),
    /// Memory is wanted back.
    Passivate,
}

/// The actix message.
pub struct Deliver<E: Hosted>(pub Envelope<E>);

impl<E: Hosted> Message for Deliver<E> {
    type Result = ();
}

/// What somebody else reads for an actor.
pub struct Given {
    /// Where it comes from. When it does not come, the actor reads for itself.
    pub history: oneshot::Receiver<History>,
    /// Dropped when the actor has taken it over.
    pub slice: mpsc::Sender<Infallible>,
}

/// An actor that waits for a read of its own, counted for as long as this lives.
pub struct Activation(Arc<Node>);

impl Activation {
    pub(super) fn begin(node: Arc<Node>) -> Self {
        node.activations.fetch_add(1, Ordering::Relaxed);
        Self(node)
    }
}

impl Drop for Activation {
    fn drop(&mut self) {
        self.0.activations.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How an actor comes by its state.
pub enum Start<E: Hosted> {
    /// The id was minted just now.
    Fresh,
    /// From its snapshot: what is newer is in memory already, so there is nothing newer. It is counted until it is
    /// read.
    Load(Option<Activation>),
    /// From its snapshot, which somebody reads for many.
    Given(Given),
    /// From its snapshot and the records since: after a fault.
    Replay,
    /// Made already, in recovery.
    Ready {
        /// The state.
        built: Box<Built<E>>,
        /// The version that a checkpoint holds.
        checkpointed: u64,
    },
    /// Made in recovery, without success.
    Quarantined,
}
