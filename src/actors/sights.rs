//! What operators are shown of a node: everything here is in memory, and costs the same however many actors there are.

use crate::actors::catalog::{Listing, Taken};
use crate::actors::gate::GateView;
use crate::actors::node::Readiness;
use crate::actors::registry::Hosted as _;
use crate::actors::shop::{KindOverview, Shop};
use crate::domain::ids::{EntityRef, Kind, SkuId};
use crate::domain::kinds::for_kind;
use crate::domain::order::OrderStatus;
use crate::domain::time::Timestamp;
use crate::ports::Pressure;
use foldhash::HashMap;
use tokio::time::Instant;

/// Mailboxes shown of each kind, and in all.
const SHOWN: usize = 10;

impl Shop {
    /// What is in memory.
    pub fn actors(&self) -> Vec<KindOverview> {
        let node = self.node();
        let all = node.registry.deepest();
        let overview = |kind: Kind| {
            let deepest = all.iter().filter(|(entity, _)| entity.kind == kind).take(SHOWN).copied().collect();
            let live = for_kind!(kind, E => E::slots(&node.registry).len());
            KindOverview { kind, live, deepest, restarts: node.restarted(kind), passivations: node.passivated(kind) }
        };
        Kind::ALL.map(overview).into()
    }

    /// Whether requests are taken, and since when that is so.
    pub fn stands(&self) -> (Readiness, Timestamp) {
        self.node().stands()
    }

    /// How full the log writer is.
    pub fn pressure(&self) -> Pressure {
        self.node().log_writer.pressure()
    }

    /// The ways to all payment providers.
    pub fn payment_gates(&self) -> Vec<GateView> {
        let now = Instant::now();
        self.node().providers.iter().map(|provider| provider.gate().sight(now)).collect()
    }

    /// How much work is under way at this entity.
    pub fn under_way(&self, entity: EntityRef) -> usize {
        self.node().permits.under_way(entity)
    }

    /// How many orders have each status.
    pub fn order_counts(&self) -> Vec<(OrderStatus, i64)> {
        self.node().catalog.order_counts().collect()
    }

    /// Begins, or ends, to count what orders take of each SKU.
    pub fn watch_takings(&self, watch: bool) {
        self.node().catalog.watch_takings(watch);
    }

    /// What orders took since this was asked last.
    pub fn take_takings(&self) -> HashMap<SkuId, Taken> {
        self.node().catalog.take_takings()
    }

    /// A SKU as it is shown, also while nothing is answered.
    pub fn listing(&self, sku: SkuId) -> Option<Listing> {
        let node = self.node();
        node.catalog.sku(sku, node.clock.now())
    }
}
