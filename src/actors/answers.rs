//! Answers that have no record of their own: given at once, or counted while they wait for the log writer. And by what a command is known again.

use crate::actors::envelope::Edge;
use crate::actors::node::Node;
use crate::actors::registry::Hosted;
use crate::actors::shop::{Answered, Failure};
use crate::limits;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Gives an answer that has no record of its own, while nobody else may have the store.
pub(super) fn answer_now<E: Hosted>(node: &Node, edge: Box<Edge<E>>, answered: Answered<E::Reply>) {
    node.metrics(E::KIND).seconds.record(edge.sent.elapsed());
    edge.end(if node.log_writer.may_answer() { Ok(answered) } else { Err(Failure::Unavailable) });
}

/// An answer that waits for the log writer, counted for as long as this lives.
pub(super) struct Waiting {
    pub(super) node: Arc<Node>,
    /// How many waited before.
    pub(super) before: usize,
}

impl Waiting {
    pub(super) fn begin(node: Arc<Node>) -> Self {
        let before = node.answers_waiting.fetch_add(1, Ordering::Relaxed);
        Self { node, before }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.node.answers_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that waits until its entity has come so far.
pub(super) struct WaitingRequest<E: Hosted> {
    pub(super) edge: Box<Edge<E>>,
    pub(super) _place: WaitingPermit,
}

/// One of the places that a node has for waiting requests, for as long as this lives.
pub(super) struct WaitingPermit(Arc<Node>);

impl WaitingPermit {
    /// A place, if there is one.
    pub(super) fn take(node: &Arc<Node>) -> Option<Self> {
        let place = Self(node.clone());
        (node.waiting.fetch_add(1, Ordering::Relaxed) < limits::REQUESTS_WAITING).then_some(place)
    }
}

impl Drop for WaitingPermit {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// By this a command that panics is known again.
pub(super) fn hash_of<C: serde::Serialize>(command: &C) -> u64 {
    let json = serde_json::to_vec(command).unwrap_or_default();
    foldhash::quality::FixedState::default().hash_one(json)
}
