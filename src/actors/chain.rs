//! Chained questions: with the answer of one entity another is asked, in the same turn.

use crate::actors::budget::Budget;
use crate::actors::envelope::{Admit, Edge, Envelope, Then};
use crate::actors::registry::Hosted;
use crate::actors::shop::{Answered, Failure, Shop, wait_for};
use crate::actors::traced::from_now;
use crate::domain::record::IdempotencyKey;
use crate::ports::trace::{self, TraceContext};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The first question of a chain.
pub(crate) struct First<E: Hosted> {
    pub(crate) id: E::Id,
    pub(crate) command: E::Command,
    /// How long the caller waits, for all answers.
    pub(crate) within: Duration,
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) admit: Admit<E>,
    pub(crate) budget: Budget,
}

/// The next question of a chain.
pub(crate) struct Next<E: Hosted> {
    pub(crate) id: E::Id,
    pub(crate) command: E::Command,
    pub(crate) key: Option<IdempotencyKey>,
    /// Whether it takes the budget over; otherwise that is free again.
    pub(crate) keeps_budget: bool,
}

/// What a chain came to.
pub(crate) struct Chained<A, B> {
    pub(crate) first: Answered<A>,
    /// The answer to the next question, if it was asked.
    pub(crate) second: Option<Result<Answered<B>, Failure>>,
}

impl Shop {
    /// Asks an entity, and with its answer another one: in the turn in which the first answers, before anybody else can, and without
    /// waiting until the answer is durable. So the next must be one that can answer only when it has heard what the first recorded:
    /// its answer is durable after that. What was set aside goes with the questions, not with whoever asked: a client may take its
    /// request back long before the work that was let in for it is done.
    ///
    /// # Errors
    /// Why the first gave no answer, or why it is not known.
    pub(crate) async fn chain<A: Hosted, B: Hosted>(
        &self,
        first: First<A>,
        next: impl FnOnce(&Answered<A::Reply>) -> Option<Next<B>> + Send + 'static,
    ) -> Result<Chained<A::Reply, B::Reply>, Failure> {
        let First { id, command, within, key, admit, budget } = first;
        let (send, receive) = oneshot::channel();
        let sent = Instant::now();
        let (deadline, node) = (sent + within, self.node().clone());
        let link =
            move |answer: Result<Answered<A::Reply>, Failure>, mut budget: Budget, trace: Option<TraceContext>| {
                let next = answer.as_ref().ok().and_then(next);
                if next.as_ref().is_none_or(|next| !next.keeps_budget) {
                    // Before anybody is told.
                    budget = Budget::default();
                }
                match (answer, next) {
                    (Ok(first), Some(Next { id, command, key, .. })) => {
                        let reply = move |second| drop(send.send(Ok(Chained { first, second: Some(second) })));
                        let then = Then::Give(Box::new(reply));
                        let trace = from_now(trace);
                        let edge = Edge { command, key, deadline, sent, admit: None, budget, trace, then };
                        let _ = node.deliver::<B>(id, Envelope::Edge(Box::new(edge)), None, false);
                    }
                    (answer, _) => drop(send.send(answer.map(|first| Chained { first, second: None }))),
                }
            };
        let then = Then::Chain(Box::new(link));
        let trace = from_now(trace::current());
        let edge = Edge { command, key, deadline, sent, admit: Some(admit), budget, trace, then };
        self.deliver::<A>(id, Box::new(edge), false)?;
        wait_for(receive, within).await
    }
}
