//! What was done to the pieces of each SKU in the house: begun with, changed by hand, sold.

use super::{AnyRecord, Follower, Origin, STOCK_HISTORY, Unread};
use crate::domain::ids::{Kind, OrderId, SkuId, VendorId};
use crate::domain::record::Record;
use crate::domain::rows::{ADDED, CANCELLED, SOLD, StockChangeRow};
use crate::domain::vendor::VendorEvent;
use crate::domain::who::ByKind;
use crate::ports::{BeginFrom, Made};
use foldhash::HashMap;

/// Pieces of SKUs.
type Pieces = Vec<(SkuId, i64)>;

/// The follower.
#[derive(Default)]
pub(super) struct StockHistory {
    /// What is held for orders: early versions recorded a sale without saying of what.
    holds: HashMap<(VendorId, OrderId), Pieces>,
}

/// The changes of one record.
struct Changes<'a> {
    record: &'a Record<VendorEvent>,
    rows: Vec<StockChangeRow>,
}

impl Changes<'_> {
    fn add(&mut self, sku_id: SkuId, delta: i64, reason: &str, by: Option<ByKind>, order_id: Option<OrderId>) {
        self.rows.push(StockChangeRow {
            vendor_id: VendorId::from_uuid(self.record.entity.uuid),
            version: self.record.version,
            position: u32::try_from(self.rows.len()).unwrap_or(u32::MAX),
            sku_id,
            at: self.record.at,
            delta,
            reason: reason.to_owned(),
            by,
            order_id,
        });
    }

    fn sell(&mut self, order: OrderId, pieces: &[(SkuId, i64)]) {
        for (sku, quantity) in pieces {
            self.add(*sku, quantity.saturating_neg(), SOLD, None, Some(order));
        }
    }
}

impl Follower for StockHistory {
    fn name(&self) -> &'static str {
        STOCK_HISTORY
    }

    fn begins(&self) -> BeginFrom {
        BeginFrom::First
    }

    fn reads(&self, kind: Kind) -> bool {
        kind == Kind::Vendor
    }

    fn read(&mut self, record: &AnyRecord, _: Origin, made: &mut Made) -> Result<(), Unread> {
        let AnyRecord::Vendor(record) = record else { return Ok(()) };
        let vendor = VendorId::from_uuid(record.entity.uuid);
        let mut changes = Changes { record, rows: Vec::new() };
        for event in &record.events {
            match event {
                VendorEvent::ProductAdded { product } => {
                    product.skus.iter().for_each(|sku| changes.add(sku.id, sku.on_hand, ADDED, None, None));
                }
                VendorEvent::SkuAdded { sku, by, .. } => {
                    changes.add(sku.id, sku.on_hand, ADDED, by.map(|by| by.kind), None);
                }
                VendorEvent::StockAdjusted { sku, delta, reason, by } => {
                    changes.add(*sku, *delta, reason, by.map(|by| by.kind), None);
                }
                VendorEvent::Restocked { order, lines, .. } => {
                    lines.iter().for_each(|line| changes.add(line.sku, line.quantity, CANCELLED, None, Some(*order)));
                }
                VendorEvent::HoldCommitted { order, sold } if !sold.is_empty() => changes.sell(*order, sold),
                VendorEvent::HoldCommitted { order, .. } | VendorEvent::StockCommitted { order } => {
                    let pieces = self.holds.get(&(vendor, *order)).ok_or(Unread::Forgotten)?;
                    changes.sell(*order, pieces);
                }
                VendorEvent::VendorCreated { .. }
                | VendorEvent::VendorRenamed { .. }
                | VendorEvent::VendorStatusSet { .. }
                | VendorEvent::ProductChanged { .. }
                | VendorEvent::SkuStatusSet { .. }
                | VendorEvent::SkuPriceChanged { .. }
                | VendorEvent::DeliveryPlanSet { .. }
                | VendorEvent::SaleScheduled { .. }
                | VendorEvent::SaleChanged { .. }
                | VendorEvent::SaleCancelled { .. }
                | VendorEvent::SkuTermsChanged { .. }
                | VendorEvent::StockHeld { .. }
                | VendorEvent::HoldsClosed { .. }
                | VendorEvent::CreditsClosed { .. }
                | VendorEvent::StockReleased { .. } => {}
            }
        }
        made.stock_changes.append(&mut changes.rows);
        self.keep(record);
        Ok(())
    }

    fn recall(&mut self, record: &AnyRecord) {
        if let AnyRecord::Vendor(record) = record {
            self.keep(record);
        }
    }
}

impl StockHistory {
    fn keep(&mut self, record: &Record<VendorEvent>) {
        let vendor = VendorId::from_uuid(record.entity.uuid);
        for event in &record.events {
            match event {
                VendorEvent::StockHeld { order, lines, .. } => {
                    let pieces = lines.iter().map(|line| (line.sku, line.quantity)).collect();
                    self.holds.insert((vendor, *order), pieces);
                }
                VendorEvent::HoldCommitted { order, .. }
                | VendorEvent::StockCommitted { order }
                | VendorEvent::StockReleased { order, .. } => _ = self.holds.remove(&(vendor, *order)),
                VendorEvent::VendorCreated { .. }
                | VendorEvent::VendorRenamed { .. }
                | VendorEvent::VendorStatusSet { .. }
                | VendorEvent::ProductChanged { .. }
                | VendorEvent::SkuAdded { .. }
                | VendorEvent::SkuStatusSet { .. }
                | VendorEvent::ProductAdded { .. }
                | VendorEvent::SkuPriceChanged { .. }
                | VendorEvent::DeliveryPlanSet { .. }
                | VendorEvent::SaleScheduled { .. }
                | VendorEvent::SaleChanged { .. }
                | VendorEvent::SaleCancelled { .. }
                | VendorEvent::SkuTermsChanged { .. }
                | VendorEvent::StockAdjusted { .. }
                | VendorEvent::Restocked { .. }
                | VendorEvent::CreditsClosed { .. }
                | VendorEvent::HoldsClosed { .. } => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::entity::{By, Principal};
    use crate::domain::ids::EntityId;
    use crate::domain::time::Timestamp;
    use crate::domain::vendor::HeldLine;
    use uuid::Uuid;

    const ANYWHERE: Origin = Origin { batch: Uuid::nil(), partition: 0, position: 0 };

    fn sku() -> SkuId {
        SkuId::from_uuid(Uuid::from_u128(1))
    }

    fn order(number: u128) -> OrderId {
        OrderId::from_uuid(Uuid::from_u128(number))
    }

    fn record(version: u64, events: Vec<VendorEvent>) -> AnyRecord {
        let entity = VendorId::from_uuid(Uuid::from_u128(9)).entity();
        AnyRecord::Vendor(Record { entity, version, at: Timestamp::from_millis(5), events, answers: Vec::new() })
    }

    fn held(version: u64, number: u128, quantity: i64) -> AnyRecord {
        let lines = vec![HeldLine::at_list_price(sku(), quantity, 100)];
        record(
            version,
            vec![VendorEvent::StockHeld {
                order: order(number),
                until: Timestamp::from_millis(9),
                lines,
                keys: Vec::new(),
                account_keys: 0,
                slot: None,
            }],
        )
    }

    /// Version, position and pieces of each change.
    fn told(made: &Made) -> Vec<(u64, u32, i64)> {
        made.stock_changes.iter().map(|row| (row.version, row.position, row.delta)).collect()
    }

    #[test]
    fn a_sale_tells_what_was_sold_or_the_hold_does() {
        let (mut history, mut made) = (StockHistory::default(), Made::default());
        let sold = |number| VendorEvent::HoldCommitted { order: order(number), sold: vec![(sku(), 2), (sku(), 1)] };
        let early = |number| VendorEvent::StockCommitted { order: order(number) };
        let earlier = |number| VendorEvent::HoldCommitted { order: order(number), sold: Vec::new() };
        let counted =
            VendorEvent::StockAdjusted { sku: sku(), delta: 4, reason: "count".into(), by: By::of(Principal::SHOP) };
        for read in [
            held(1, 1, 5),
            held(2, 2, 6),
            record(3, vec![early(1), counted]),
            record(4, vec![sold(3)]),
            record(5, vec![earlier(2)]),
        ] {
            history.read(&read, ANYWHERE, &mut made).expect("it is remembered");
        }
        assert_eq!(told(&made), [(3, 0, -5), (3, 1, 4), (4, 0, -2), (4, 1, -1), (5, 0, -6)]);
        assert!(history.holds.is_empty());
        assert_eq!(made.stock_changes[1].by, Some(ByKind::Staff));
        assert_eq!((made.stock_changes[0].order_id, made.stock_changes[1].order_id), (Some(order(1)), None));
    }

    #[test]
    fn what_is_forgotten_is_recalled_and_leaves_nothing_half_made() {
        let (mut history, mut made) = (StockHistory::default(), Made::default());
        let both = record(
            3,
            vec![
                VendorEvent::HoldCommitted { order: order(7), sold: vec![(sku(), 1)] },
                VendorEvent::StockCommitted { order: order(1) },
            ],
        );
        assert_eq!(history.read(&both, ANYWHERE, &mut made), Err(Unread::Forgotten));
        assert_eq!(told(&made), []);
        history.recall(&held(1, 1, 5));
        history.read(&both, ANYWHERE, &mut made).expect("it is remembered");
        assert_eq!(told(&made), [(3, 0, -1), (3, 1, -5)]);
    }
}
