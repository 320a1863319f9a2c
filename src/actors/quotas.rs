//! What buyers have of their quotas is made anew at start, of the orders in the store.

use crate::actors::shop::Shop;
use crate::actors::state::build;
use crate::domain::entity::Decides as _;
use crate::domain::ids::{EntityId, EntityRef, OrderId};
use crate::domain::order::{Order, OrderFilter, OrderStatus};
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::quotas::BuyerQuotas;
use crate::ports::{History, OrdersOf, StoreError};

impl Shop {
    /// Learns of the orders of the store what buyers have of their quotas, where there are any. What recovery found newer of an order is learnt when it is
    /// taken over.
    ///
    /// # Errors
    /// What the store says.
    pub async fn recall_quotas(&self) -> Result<(), StoreError> {
        let Some(quotas) = &self.node().quotas else { return Ok(()) };
        let now = self.clock().now();
        // An order that was given up lately was placed at most so long before.
        let lately = now.plus_millis(-limits::QUOTA_GIVEN_UP_MS).plus_millis(-self.settings().shop.hold_ms);
        for status in [OrderStatus::Placed, OrderStatus::AwaitingPayment] {
            self.recall_orders(&**quotas, status, None, now).await?;
        }
        for status in [OrderStatus::Cancelled, OrderStatus::Expired, OrderStatus::PaymentFailed] {
            self.recall_orders(&**quotas, status, Some(lately), now).await?;
        }
        Ok(())
    }

    /// Learns of the orders that stand so and were placed after `since`, the newest first.
    async fn recall_orders(
        &self,
        quotas: &dyn BuyerQuotas,
        status: OrderStatus,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (filter, mut after) = (OrderFilter::from(status), None);
        loop {
            let rows = self.queries().orders(OrdersOf::All, &filter, after, limits::PAGE_MAX).await?;
            let lately = rows.iter().take_while(|row| since.is_none_or(|since| row.placed_at >= since));
            let entities: Vec<EntityRef> = lately.map(|row| row.id.entity()).collect();
            for snapshot in self.node().snapshots.load_many(&entities).await? {
                let id = OrderId::from_uuid(snapshot.entity.uuid);
                let history = History { snapshot: Some(snapshot), records: Vec::new() };
                // One that cannot be read is quarantined when it is asked for.
                if let Ok(built) = build::<Order>(id, &history)
                    && let Some(claim) = built.entity.claim()
                {
                    quotas.note(id, &claim, now);
                }
            }
            match rows.last() {
                Some(last) if entities.len() == rows.len() => after = Some((last.placed_at, last.id)),
                _ => return Ok(()),
            }
        }
    }
}
