//! The port of what waits for somebody: shares by how they stand, parcels and returns of a vendor, and shares that nobody has begun in time. It is read
//! from the read tables: what they held at the last checkpoint.

use super::{OrdersOf, StoreError};
use crate::domain::ids::{OrderId, ReturnId, ShipmentId, VendorId};
use crate::domain::order::{OrderFilter, ReturnStatus, ShipmentStatus, SubOrderStatus, WaitsFor};
use crate::domain::rows::{OrderRow, ReturnRow, ShipmentRow};
use crate::domain::time::Timestamp;
use async_trait::async_trait;

/// Of which shares orders are listed: of one vendor its own, of others any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shares {
    /// Those that stand in one of these ways.
    Standing(Vec<SubOrderStatus>),
    /// Those that wait for this.
    Waiting(WaitsFor),
}

impl Shares {
    /// Whether an order has such a share; of a vendor where one is said.
    pub fn are_of(&self, order: &OrderRow, vendor: Option<VendorId>) -> bool {
        let own = order.sub_orders.iter().filter(|share| vendor.is_none_or(|vendor| share.vendor_id == vendor));
        own.into_iter().any(|share| match self {
            Shares::Standing(statuses) => statuses.contains(&share.status),
            Shares::Waiting(what) => what.is_said_by(order, share),
        })
    }
}

/// Reads what waits.
#[async_trait]
pub trait Waiting: Send + Sync + 'static {
    /// As [`Queries::orders`](super::Queries::orders), of orders that have such a share.
    async fn orders_by_share(
        &self,
        of: OrdersOf,
        filter: &OrderFilter,
        shares: &Shares,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError>;

    /// Gives orders that were read their parcels and what is sent back of them, which lists of orders leave out.
    async fn fill_goods(&self, orders: &mut [OrderRow]) -> Result<(), StoreError>;

    /// A vendor's parcels that stand in one of these ways, or all of them, the newest first (by time, then id), after the given place.
    async fn shipments(
        &self,
        of: VendorId,
        statuses: &[ShipmentStatus],
        after: Option<(Timestamp, ShipmentId)>,
        limit: u32,
    ) -> Result<Vec<(OrderId, ShipmentRow)>, StoreError>;

    /// What is sent back to a vendor, as above.
    async fn returns(
        &self,
        of: VendorId,
        statuses: &[ReturnStatus],
        after: Option<(Timestamp, ReturnId)>,
        limit: u32,
    ) -> Result<Vec<(OrderId, ReturnRow)>, StoreError>;

    /// Parcels of which something was collected and not handed on, or more was: of one courier, or of all; the newest first, after the given place.
    async fn with_cash(
        &self,
        courier: Option<&str>,
        after: Option<(Timestamp, ShipmentId)>,
        limit: u32,
    ) -> Result<Vec<(OrderId, ShipmentRow)>, StoreError>;

    /// The parcels that this courier finds by this number, at most two: one is to be there.
    async fn tracked(&self, courier: &str, number: &str) -> Result<Vec<(OrderId, ShipmentId)>, StoreError>;

    /// The vendors there are, in the order of their ids, after the given one.
    async fn vendors(&self, after: Option<VendorId>, limit: u32) -> Result<Vec<VendorId>, StoreError>;

    /// Orders, placed up to then, in which nothing of this vendor's share is begun, the newest first, after the given place. Those of which that was
    /// said already only where `told` says so.
    async fn not_begun(
        &self,
        of: VendorId,
        until: Timestamp,
        told: bool,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, OrderId)>, StoreError>;

    /// Of how many shares it was said that nothing of them is begun in time, and nothing is still.
    async fn overdue(&self) -> Result<u64, StoreError>;
}
