//! Orders that wait for someone, or have waited too long for an answer. The store tells where they are: whoever waits
//! for an answer is to
//! be woken since then, and whoever waits for people at a moment of its own ([`FOR_SOMEONE`]).

use crate::actors::node::Node;
use crate::actors::shop::{Ask, Shop};
use crate::domain::entity::{FOR_SOMEONE, Principal};
use crate::domain::ids::{EntityRef, Kind, OrderId};
use crate::domain::order::{Order, OrderCommand, OrderReply, OrderView};
use crate::limits;
use crate::ports::{Due, StoreError};
use crate::telemetry::names;
use std::time::Duration;
use uuid::Uuid;

/// How many are counted at most: where there are more, the figure matters less than that somebody looks.
const COUNTED: u32 = 10_000;

/// Where those begin that wait for people.
fn for_someone() -> Due {
    (EntityRef { kind: Kind::ALL[0], uuid: Uuid::nil() }, FOR_SOMEONE)
}

impl Node {
    /// Entities that may be stuck, the longest first, after a place: those that wait for an answer, then those that
    /// wait for people.
    async fn perhaps_stuck(&self, after: Option<Due>, limit: u32) -> Result<Vec<Due>, StoreError> {
        let mut found = Vec::new();
        if after.is_none_or(|(_, at)| at < FOR_SOMEONE) {
            let since = self.clock.now().plus_millis(-limits::STUCK_AFTER_MS);
            found = self.snapshots.due(since, after, limit).await?;
        }
        let left = limit.saturating_sub(u32::try_from(found.len()).unwrap_or(limit));
        if left > 0 {
            let after = after.filter(|(_, at)| *at >= FOR_SOMEONE).unwrap_or_else(for_someone);
            found.extend(self.snapshots.due(FOR_SOMEONE, Some(after), left).await?);
        }
        Ok(found)
    }

    /// Tells operators how many orders are stuck.
    pub(super) async fn count_stuck(&self) {
        match self.perhaps_stuck(None, COUNTED).await {
            Ok(found) => {
                let orders = found.iter().filter(|(entity, _)| entity.kind == Kind::Order).count();
                metrics::gauge!(names::ORDERS_STUCK).set(orders as f64);
            }
            Err(error) => tracing::debug!(%error, "the store did not say which orders are stuck"),
        }
    }
}

impl Shop {
    /// Orders that are stuck, the longest first, after a place, and where the next page begins. A page may hold fewer
    /// than its limit.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn stuck_orders(
        &self,
        after: Option<Due>,
        limit: u32,
    ) -> Result<(Vec<OrderView>, Option<Due>), StoreError> {
        let found = self.node().perhaps_stuck(after, limit).await?;
        let is_order = |(entity, _): &&Due| entity.kind == Kind::Order;
        let last = found.iter().rev().find(is_order).or(found.last());
        let next = last.copied().filter(|_| found.len() >= limit as usize);
        let ask = Ask { within: Duration::from_millis(limits::REQUEST_MS), key: None, fresh: false };
        let mut stuck = Vec::new();
        for (entity, _) in found.into_iter().filter(|(entity, _)| entity.kind == Kind::Order) {
            let id = OrderId::from_uuid(entity.uuid);
            // What cannot be asked now (it is quarantined by its host, for one) is left out: it cannot be resolved
            // either.
            let Ok(answered) = self.ask::<Order>(id, OrderCommand::Get { by: Principal::Staff }, ask).await else {
                continue;
            };
            if let Ok(OrderReply::Order { order }) = answered.outcome
                && order.waits.as_ref().is_some_and(|waits| waits.is_stuck(self.clock().now()))
            {
                stuck.push(*order);
            }
        }
        Ok((stuck, next))
    }
}
