//! What the rest of the node asks of the actors.

use crate::actors::budget::Budget;
use crate::actors::catalog::CatalogCache;
use crate::actors::envelope::{Edge, Envelope, Then};
use crate::actors::metrics::shed;
use crate::actors::node::{Node, NodeParts, NodeSettings, Readiness, States};
use crate::actors::permits::Permit;
use crate::actors::registry::{Hosted, Undelivered};
use crate::actors::traced::from_now;
use crate::domain::buyer::BuyerKey;
use crate::domain::cart::Cart;
use crate::domain::entity::{EffectKey, Principal};
use crate::domain::ids::{CouponId, EntityId, EntityRef, Kind};
use crate::domain::kinds::for_kind;
use crate::domain::knowledge::{Availability as _, Knowledge};
use crate::domain::order::OrderStatus;
use crate::domain::pricing::Tables;
use crate::domain::record::IdempotencyKey;
use crate::domain::reject::Reject;
use crate::domain::rows::Rows;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::quotas::{Full, Part, Reserved, asked_keys};
use crate::ports::rates::Network;
use crate::ports::trace;
use crate::ports::{ChargeLog, Clock, History, Queries, StateSource, StoreKey};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Why the shop gave no answer of an entity's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A limit is reached; nothing was done.
    #[error("too much is waiting to be done")]
    Overloaded {
        /// Seconds after which to ask again.
        retry_after_s: u64,
    },
    /// The payment provider that was to be asked gives no answers; nothing was done.
    #[error("the payment provider gives no answers now: another way to pay may do")]
    ProviderSilent {
        /// Seconds after which to ask again.
        retry_after_s: u64,
    },
    /// Whoever asks has as much under way as anybody may; nothing was done.
    #[error("{}", .0.quota)]
    QuotaFull(Full),
    /// The node is starting or stopping, or has no valid lease; nothing was done.
    #[error("this node takes no requests now")]
    Unavailable,
    /// The actor is being started again after a fault; nothing was done.
    #[error("the actor is being started again")]
    Restarting,
    /// The entity's records do not fit each other; someone has to look at it.
    #[error("the entity is quarantined")]
    Quarantined,
    /// It was done, and its answer is kept, but cannot be read; someone has to look at it.
    #[error("what was asked had been done before, and its first answer cannot be read")]
    AnswerUnreadable,
    /// The deadline passed; what was asked may have been done, or may be done yet.
    #[error("the outcome is not known yet")]
    OutcomeUnknown,
}

/// An entity's answer, and whether it was given before under the same idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered<R> {
    /// The answer.
    pub outcome: Result<R, Reject>,
    /// Whether it repeats the first answer.
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

/// The actors of one kind, for operators.
#[derive(Debug, Clone)]
pub struct KindOverview {
    /// The kind.
    pub kind: Kind,
    /// Actors in memory.
    pub live: usize,
    /// The fullest mailboxes of those that are deep ([`limits::DEEP_MAILBOX`]), the fullest first.
    pub deepest: Vec<(EntityRef, usize)>,
    /// Restarts after panics since the node started.
    pub restarts: u64,
    /// Actors that left memory since the node started.
    pub passivations: u64,
}

/// What an actor has asked of the world and has no answer to.
#[derive(Debug, Clone, Copy)]
pub struct EffectView {
    /// What.
    pub key: EffectKey,
    /// How often it was asked again.
    pub attempts: u32,
    /// Whether whoever was asked has said that they are at it.
    pub begun: bool,
    /// In how long it is asked again.
    pub again_in: Duration,
}

/// One actor, for operators.
#[derive(Debug, Clone)]
pub struct ActorView {
    /// Whose.
    pub entity: EntityRef,
    /// Whether it was in memory before it was looked at.
    pub live: bool,
    /// Its version.
    pub version: u64,
    /// Messages waiting.
    pub mailbox_depth: usize,
    /// Restarts after panics since it came into memory.
    pub restarts: u32,
    /// Whether its records do not fit each other.
    pub quarantined: bool,
    /// The version that a checkpoint holds.
    pub checkpointed: u64,
    /// Requests that wait until it has come so far.
    pub waiting: usize,
    /// Answers kept under idempotency keys.
    pub kept_answers: usize,
    /// What it has asked of the world and has no answer to.
    pub effects: Vec<EffectView>,
    /// When it is to be in memory again though nobody asks for it.
    pub wakes_at: Option<Timestamp>,
    /// Its state in a few figures.
    pub state: serde_json::Value,
}

/// The actors of a node, as everything else sees them.
#[derive(Clone)]
pub struct Shop {
    node: Arc<Node>,
    charge_log: Option<Arc<dyn ChargeLog>>,
}

impl Shop {
    /// A shop that takes no requests before [`Shop::open`].
    pub fn new(parts: NodeParts, charge_log: Option<Arc<dyn ChargeLog>>) -> Self {
        Self { node: Node::new(parts), charge_log }
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    #[cfg(test)]
    pub(super) fn on(node: Arc<Node>) -> Self {
        Self { node, charge_log: None }
    }

    /// What entities may know besides their own state, at this moment.
    pub fn knowledge(&self) -> Knowledge<'_> {
        self.node.knowledge()
    }

    /// From now on bills are made by these tables.
    pub fn show_tables(&self, tables: Tables) {
        self.node.catalog.show_tables(tables);
    }

    /// Fills the catalogue cache, takes over what recovery found, and starts everything that runs by itself. `rows` and `counts` are what the read tables hold.
    /// The tasks it returns run until they are cut off.
    pub fn open(
        &self,
        rows: Rows,
        counts: &[(OrderStatus, u64)],
        histories: Vec<(EntityRef, History)>,
    ) -> [JoinHandle<()>; 3] {
        self.node.catalog.fill(rows);
        self.node.catalog.count_orders(counts);
        self.node.install(histories);
        let runtime = &self.node.runtime;
        let tasks = [
            runtime.spawn(self.node.clone().run_timers()),
            runtime.spawn(self.node.clone().run_wakes()),
            runtime.spawn(self.node.clone().run_housekeeping()),
        ];
        self.node.show_all_figures();
        self.node.set_readiness(Readiness::Ready);
        tasks
    }

    /// Takes no more requests; those that were let in are finished.
    pub fn drain(&self) {
        self.node.set_readiness(Readiness::Draining);
    }

    /// Calls no more gateways, and cuts off the calls under way: their outcomes would be recorded after the last checkpoint. What is
    /// outstanding is asked after the next start.
    pub fn pause_outbound_calls(&self) {
        self.node.outbound_calls.cancel();
    }

    /// Cuts off what waits outside, and starts no more actors.
    pub fn cut_off(&self) {
        self.node.stop.cancel();
    }

    /// Lets all actors go, and cuts off what waits outside.
    pub async fn close(&self) {
        self.cut_off();
        self.node.outside.close();
        self.node.outside.wait().await;
        self.node.registry.clear();
    }

    /// The states, for the checkpointer.
    pub fn states(&self) -> Arc<dyn StateSource> {
        Arc::new(States(self.node.clone()))
    }

    /// Products, SKUs and counts that need no actor.
    ///
    /// # Errors
    /// Unavailable until recovery has filled it (what is missing before is not unknown), and while another node may have the store.
    pub fn catalog(&self) -> Result<&CatalogCache, Failure> {
        match self.node.readiness() {
            Readiness::Recovering => Err(Failure::Unavailable),
            _ if !self.node.log_writer.may_answer() => Err(Failure::Unavailable),
            _ => Ok(&self.node.catalog),
        }
    }

    /// The same as it is known, also while it answers nobody: for what is told beside something that was recorded.
    pub fn catalog_as_known(&self) -> &CatalogCache {
        &self.node.catalog
    }

    /// Whether what stands beside the actors may be changed, and answered about, now: as they may be.
    ///
    /// # Errors
    /// Unavailable while this node recovers, stops, or cannot know that the store is its own.
    pub fn may_change(&self) -> Result<(), Failure> {
        match self.node.readiness() {
            Readiness::Recovering | Readiness::Draining => Err(Failure::Unavailable),
            _ if !self.node.log_writer.may_answer() => Err(Failure::Unavailable),
            Readiness::StoreUnavailable => Err(Failure::Overloaded { retry_after_s: 2 }),
            Readiness::Ready => Ok(()),
        }
    }

    /// Time and chance.
    pub fn clock(&self) -> &dyn Clock {
        &*self.node.clock
    }

    /// The read tables.
    pub fn queries(&self) -> &dyn Queries {
        &*self.node.queries
    }

    /// The store's own key.
    pub fn store_key(&self) -> StoreKey {
        self.node.store_key
    }

    /// The moment whose state the read tables show.
    pub fn as_of(&self) -> Timestamp {
        Timestamp::from_millis(self.node.as_of.load(Ordering::Relaxed))
    }

    /// Whether requests are taken.
    pub fn readiness(&self) -> Readiness {
        self.node.readiness()
    }

    /// How it behaves.
    pub fn settings(&self) -> &NodeSettings {
        &self.node.settings
    }

    /// The sandbox's own charge log, where there is one.
    pub fn charge_log(&self) -> Option<&dyn ChargeLog> {
        self.charge_log.as_deref()
    }

    /// Asks an entity, and waits until its answer is durable.
    ///
    /// # Errors
    /// Why there is no answer; a refusal is an answer.
    pub async fn ask<E: Hosted>(
        &self,
        id: E::Id,
        command: E::Command,
        ask: Ask,
    ) -> Result<Answered<E::Reply>, Failure> {
        self.admit(E::is_read(&command), Work::Step)?;
        self.ask_further::<E>(id, command, ask).await
    }

    /// [`Shop::ask`] for what is a part of work that was let in already.
    pub(crate) async fn ask_further<E: Hosted>(
        &self,
        id: E::Id,
        command: E::Command,
        ask: Ask,
    ) -> Result<Answered<E::Reply>, Failure> {
        let (send, receive) = oneshot::channel();
        let sent = Instant::now();
        let edge = Edge {
            command,
            key: ask.key,
            deadline: sent + ask.within,
            sent,
            admit: None,
            budget: Budget::default(),
            trace: from_now(trace::current()),
            // Whoever asked may have stopped waiting.
            then: Then::Give(Box::new(move |answer| drop(send.send(answer)))),
        };
        self.deliver::<E>(id, Box::new(edge), ask.fresh)?;
        wait_for(receive, ask.within).await
    }

    /// Lets work of several turns in, and sets aside so many records of the budget for it.
    ///
    /// # Errors
    /// Why it is shed; nothing is recorded of it.
    pub(crate) fn reserve(&self, records: usize) -> Result<Budget, Failure> {
        // Set aside first: of two that come at the same moment only one finds the last place.
        let (budget, others) = Budget::reserve(&self.node, records);
        self.admit(false, Work::Turns { records, others })?;
        Ok(budget)
    }

    /// What work has of the permits of these entities, so many records set aside for each but the first; `None` when one of them has as
    /// much work under way as `limit` says.
    pub(crate) fn permit(
        &self,
        entities: impl IntoIterator<Item = EntityRef>,
        limit: usize,
        records_each: usize,
    ) -> Option<Permit> {
        self.node.permits.take(entities, limit, records_each)
    }

    /// Whether an order must have a use of this coupon held, as far as is known now.
    pub(crate) fn counts_uses_of(&self, coupon: CouponId) -> bool {
        self.node.catalog.coupon(coupon).is_some_and(|coupon| coupon.is_counted())
    }

    /// Whether buyers have quotas.
    pub(crate) fn has_quotas(&self) -> bool {
        self.node.quotas.is_some()
    }

    /// The part that a checkout of this cart by this one has of its buyer's quotas; `None` where there are none.
    ///
    /// # Errors
    /// Which is full.
    pub(crate) fn quota(
        &self,
        cart: &Cart,
        keys: &[BuyerKey],
        by: Principal,
        address: Option<Network>,
    ) -> Result<Option<Reserved>, Failure> {
        let Some(quotas) = &self.node.quotas else { return Ok(None) };
        let (order, pieces) = (cart.next_order(), cart.pieces());
        let part = Part { order, keys, asked: asked_keys(keys, by), pieces, address };
        Reserved::take(quotas, &part, self.node.clock.now()).map(Some).map_err(|full| {
            shed("quota");
            Failure::QuotaFull(full)
        })
    }

    pub(super) fn deliver<E: Hosted>(&self, id: E::Id, edge: Box<Edge<E>>, fresh: bool) -> Result<(), Failure> {
        let node = &self.node;
        // Who is in memory is asked only when there is no room for one more.
        let full = !fresh && node.activations.load(Ordering::Relaxed) >= node.settings.activations;
        if full && !E::slots(&node.registry).contains_key(&id) {
            shed("activations");
            return Err(Failure::Overloaded { retry_after_s: 1 });
        }
        let limit = Some(self.node.settings.mailbox_depth);
        self.node.deliver(id, Envelope::Edge(edge), limit, fresh).map_err(|undelivered| match undelivered {
            Undelivered::Full => {
                shed("mailbox");
                Failure::Overloaded { retry_after_s: 1 }
            }
            Undelivered::Absent => Failure::Unavailable,
        })
    }

    /// Lets work in, or sheds it before anything is recorded.
    fn admit(&self, is_read: bool, work: Work) -> Result<(), Failure> {
        let overloaded = |reason, retry_after_s| {
            shed(reason);
            Err(Failure::Overloaded { retry_after_s })
        };
        match self.node.readiness() {
            Readiness::Recovering | Readiness::Draining => return Err(Failure::Unavailable),
            Readiness::StoreUnavailable if !is_read => return overloaded("store", 2),
            Readiness::Ready | Readiness::StoreUnavailable => {}
        }
        if is_read {
            return Ok(());
        }
        // Work of several turns waits for the last of them: with no place to wait it is refused before anything is recorded.
        if matches!(work, Work::Turns { .. }) && self.node.waiting.load(Ordering::Relaxed) >= limits::REQUESTS_WAITING {
            return overloaded("parked", 1);
        }
        let (pressure, settings) = (self.node.log_writer.pressure(), &self.node.settings);
        let reserved = match work {
            Work::Step => self.node.reserved.load(Ordering::Relaxed),
            Work::Turns { others, .. } => others,
        };
        let reserved = reserved + self.node.permits.further_records();
        let needed = work.records(settings.records_in_flight);
        if pressure.records_in_flight + reserved + needed > settings.records_in_flight {
            return overloaded("records_in_flight", 1);
        }
        if pressure.records_since_checkpoint > settings.records_since_checkpoint
            || pressure.bytes_since_checkpoint > settings.bytes_since_checkpoint
        {
            return overloaded("checkpoint", 2);
        }
        Ok(())
    }

    /// One actor; it is started if it is not in memory.
    ///
    /// # Errors
    /// Why there is nothing to show. An entity that never was has version 0.
    pub async fn inspect(&self, entity: EntityRef) -> Result<ActorView, Failure> {
        self.admit(true, Work::Step)?;
        let (send, receive) = oneshot::channel();
        let live = self.node.is_live(entity);
        for_kind!(entity.kind, E => {
            let id = EntityId::from_uuid(entity.uuid);
            let _ = self.node.deliver::<E>(id, Envelope::Inspect(send), None, false);
        });
        match timeout(Duration::from_millis(limits::REQUEST_MS), receive).await {
            Ok(Ok(view)) => Ok(ActorView { live, ..view }),
            Ok(Err(_)) => Err(Failure::Restarting),
            Err(_) => Err(Failure::OutcomeUnknown),
        }
    }
}

pub(super) async fn wait_for<T>(
    receive: oneshot::Receiver<Result<T, Failure>>,
    within: Duration,
) -> Result<T, Failure> {
    match timeout(within, receive).await {
        Ok(Ok(answer)) => answer,
        // The reply was dropped with whatever held it: whether its record became durable is not known.
        Ok(Err(_)) | Err(_) => Err(Failure::OutcomeUnknown),
    }
}

/// What a request asks of the node.
#[derive(Clone, Copy)]
enum Work {
    /// One answer of one entity.
    Step,
    /// Answers of several entities, one after the other.
    Turns {
        /// The records that it may come to.
        records: usize,
        /// What others had set aside of the budget before it.
        others: usize,
    },
}

impl Work {
    /// What must be free of a budget of so many records, for it to be let in.
    fn records(self, budget: usize) -> usize {
        match self {
            Self::Step => 1,
            Self::Turns { records, .. } => records + budget / limits::ROOM_BESIDE_CHECKOUTS,
        }
    }
}
