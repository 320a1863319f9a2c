//! Orders that wait for someone, or have waited too long for an answer.

use crate::actors::{Ask, Shop};
use crate::domain::entity::Principal;
use crate::domain::ids::{Kind, OrderId};
use crate::domain::order::{Order, OrderCommand, OrderReply, OrderView};
use crate::limits;
use crate::ports::{Due, StoreError};
use crate::telemetry::names;
use std::time::Duration;

/// How many are counted at most: where there are more, the figure matters less than that somebody looks.
const COUNTED: u32 = 10_000;
/// Between two counts.
const COUNT_EVERY: Duration = Duration::from_secs(15);

fn is_order((entity, _): &Due) -> bool {
    entity.kind == Kind::Order
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
        let found = self.perhaps_stuck(after, limit).await?;
        let last = found.iter().rev().find(|due| is_order(due)).or(found.last());
        let next = last.copied().filter(|_| found.len() >= limit as usize);
        let ask = Ask { within: Duration::from_millis(limits::REQUEST_MS), key: None, fresh: false };
        let mut stuck = Vec::new();
        for (entity, _) in found.into_iter().filter(is_order) {
            let id = OrderId::from_uuid(entity.uuid);
            // What cannot be asked now (it is quarantined by its host, for one) is left out: it cannot be resolved
            // either.
            let Ok(answered) = self.ask::<Order>(id, OrderCommand::Get { by: Principal::SHOP }, ask).await else {
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

    /// Tells operators how many orders are stuck, until it is dropped.
    pub async fn run_stuck_count(self) {
        loop {
            match self.perhaps_stuck(None, COUNTED).await {
                Ok(found) => {
                    let orders = found.iter().filter(|due| is_order(due)).count();
                    metrics::gauge!(names::ORDERS_STUCK).set(orders as f64);
                }
                Err(error) => tracing::debug!(%error, "the store did not say which orders are stuck"),
            }
            tokio::time::sleep(COUNT_EVERY).await;
        }
    }
}
