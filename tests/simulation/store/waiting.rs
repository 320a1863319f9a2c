//! What waits for vendors, as the simulated server tells it.

use super::connection::{Connection, as_listed, is_of};
use async_trait::async_trait;
use haat::domain::ids::{OrderId, ReturnId, ShipmentId, VendorId};
use haat::domain::order::{OrderFilter, ReturnStatus, ShipmentStatus, SubOrderStatus};
use haat::domain::rows::{OrderRow, ReturnRow, ShipmentRow};
use haat::domain::time::Timestamp;
use haat::ports::waiting::{Shares, Waiting};
use haat::ports::{OrdersOf, StoreError};
use std::cmp::Reverse;

#[async_trait]
impl Waiting for Connection {
    async fn orders_by_share(
        &self,
        of: OrdersOf,
        filter: &OrderFilter,
        shares: &Shares,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        let (filter, shares) = (filter.clone(), shares.clone());
        let vendor = if let OrdersOf::Vendor(vendor) = of { Some(vendor) } else { None };
        self.read(move |disk| {
            let wanted = |row: &&OrderRow| filter.passes(&row.columns) && is_of(row, of) && shares.are_of(row, vendor);
            let mut rows: Vec<OrderRow> = disk.tables.orders.values().filter(wanted).cloned().collect();
            rows.sort_unstable_by_key(|row| Reverse((row.placed_at, row.id)));
            rows.retain(|row| after.is_none_or(|after| (row.placed_at, row.id) < after));
            rows.truncate(limit as usize);
            rows.iter_mut().for_each(|row| as_listed(row, of));
            rows
        })
        .await
    }

    async fn fill_goods(&self, orders: &mut [OrderRow]) -> Result<(), StoreError> {
        let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
        let known = self.read(move |disk| {
            ids.iter().map(|id| disk.tables.orders.get(id).cloned()).collect::<Vec<Option<OrderRow>>>()
        });
        for (order, known) in orders.iter_mut().zip(known.await?) {
            if let Some(known) = known {
                (order.shipments, order.returns) = (known.shipments, known.returns);
            }
        }
        Ok(())
    }

    async fn shipments(
        &self,
        of: VendorId,
        statuses: &[ShipmentStatus],
        after: Option<(Timestamp, ShipmentId)>,
        limit: u32,
    ) -> Result<Vec<(OrderId, ShipmentRow)>, StoreError> {
        let statuses = statuses.to_vec();
        self.read(move |disk| {
            let orders = disk.tables.orders.values();
            let rows = orders.flat_map(|order| order.shipments.iter().map(|row| (order.id, row.clone())));
            let is_wanted = |(_, row): &(OrderId, ShipmentRow)| {
                row.parcel.vendor == of && (statuses.is_empty() || statuses.contains(&row.parcel.status))
            };
            let mut rows: Vec<(OrderId, ShipmentRow)> = rows.filter(is_wanted).collect();
            rows.sort_unstable_by_key(|(_, row)| Reverse((row.made_at, row.parcel.id)));
            rows.retain(|(_, row)| after.is_none_or(|after| (row.made_at, row.parcel.id) < after));
            rows.truncate(limit as usize);
            rows
        })
        .await
    }

    async fn returns(
        &self,
        of: VendorId,
        statuses: &[ReturnStatus],
        after: Option<(Timestamp, ReturnId)>,
        limit: u32,
    ) -> Result<Vec<(OrderId, ReturnRow)>, StoreError> {
        let statuses = statuses.to_vec();
        self.read(move |disk| {
            let orders = disk.tables.orders.values();
            let rows = orders.flat_map(|order| order.returns.iter().map(|row| (order.id, row.clone())));
            let is_wanted = |(_, row): &(OrderId, ReturnRow)| {
                row.known.vendor == of && (statuses.is_empty() || statuses.contains(&row.known.status))
            };
            let mut rows: Vec<(OrderId, ReturnRow)> = rows.filter(is_wanted).collect();
            rows.sort_unstable_by_key(|(_, row)| Reverse((row.made_at, row.known.id)));
            rows.retain(|(_, row)| after.is_none_or(|after| (row.made_at, row.known.id) < after));
            rows.truncate(limit as usize);
            rows
        })
        .await
    }

    async fn with_cash(
        &self,
        courier: Option<&str>,
        after: Option<(Timestamp, ShipmentId)>,
        limit: u32,
    ) -> Result<Vec<(OrderId, ShipmentRow)>, StoreError> {
        let courier = courier.map(ToOwned::to_owned);
        self.read(move |disk| {
            let orders = disk.tables.orders.values();
            let rows = orders.flat_map(|order| order.shipments.iter().map(|row| (order.id, row.clone())));
            let is_wanted = |(_, row): &(OrderId, ShipmentRow)| {
                row.parcel.cash_open().is_some() && courier.as_deref().is_none_or(|of| *of == *row.parcel.courier)
            };
            let mut rows: Vec<(OrderId, ShipmentRow)> = rows.filter(is_wanted).collect();
            rows.sort_unstable_by_key(|(_, row)| Reverse((row.made_at, row.parcel.id)));
            rows.retain(|(_, row)| after.is_none_or(|after| (row.made_at, row.parcel.id) < after));
            rows.truncate(limit as usize);
            rows
        })
        .await
    }

    async fn tracked(&self, courier: &str, number: &str) -> Result<Vec<(OrderId, ShipmentId)>, StoreError> {
        let (courier, number) = (courier.to_owned(), number.to_owned());
        self.read(move |disk| {
            let orders = disk.tables.orders.values();
            let rows = orders.flat_map(|order| order.shipments.iter().map(|row| (order.id, &row.parcel)));
            let found = rows.filter(|(_, parcel)| {
                *parcel.courier == *courier && parcel.tracking_number.as_deref() == Some(&*number)
            });
            found.map(|(order, parcel)| (order, parcel.id)).take(2).collect()
        })
        .await
    }

    async fn vendors(&self, after: Option<VendorId>, limit: u32) -> Result<Vec<VendorId>, StoreError> {
        self.read(move |disk| {
            let rest = disk.tables.vendors.keys().copied().filter(|id| after.is_none_or(|after| *id > after));
            rest.take(limit as usize).collect()
        })
        .await
    }

    async fn not_begun(
        &self,
        of: VendorId,
        until: Timestamp,
        told: bool,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, OrderId)>, StoreError> {
        self.read(move |disk| {
            let is_wanted = |row: &&OrderRow| {
                let late = |status, since: Option<i64>| status == SubOrderStatus::Paid && (told || since.is_none());
                let mut own = row.sub_orders.iter().filter(|share| share.vendor_id == of);
                row.placed_at <= until && own.any(|share| late(share.status, share.overdue_since))
            };
            let rows = disk.tables.orders.values().filter(is_wanted);
            let mut places: Vec<(Timestamp, OrderId)> = rows.map(|row| (row.placed_at, row.id)).collect();
            places.sort_unstable_by_key(|place| Reverse(*place));
            places.retain(|place| after.is_none_or(|after| *place < after));
            places.truncate(limit as usize);
            places
        })
        .await
    }

    async fn overdue(&self) -> Result<u64, StoreError> {
        self.read(|disk| {
            let shares = disk.tables.orders.values().flat_map(|order| &order.sub_orders);
            shares.filter(|share| share.overdue_since.is_some()).count() as u64
        })
        .await
    }
}
