//! What waits for vendors, read from the read tables: the same SQL on both stores.
//!
//! A list of several statuses is one list for each, read from the index in which that status stands in the list's order, and the first of all of them:
//! so it costs the same however many rows stand otherwise.

use super::queries::{all, push_cell};
use super::upserts::selected;
use super::{Db, Inner, LOOKUPS_STAY_PREPARED};
use crate::domain::ids::{OrderId, ReturnId, ShipmentId, VendorId};
use crate::domain::order::{OrderFilter, ReturnStatus, ShipmentStatus, SubOrderStatus, WaitsFor};
use crate::domain::rows::{OrderRow, ReturnRow, ShipmentRow};
use crate::domain::time::Timestamp;
use crate::persistence::slot::within;
use crate::persistence::table::Table;
use crate::persistence::tables::{ParcelOf, ReturnOf, ShareOf, filtered_by};
use crate::persistence::values::{Moment, unsigned};
use crate::ports::waiting::{Shares, Waiting};
use crate::ports::{OrdersOf, StoreError};
use async_trait::async_trait;
use sqlx::{QueryBuilder, Row};
use std::collections::HashMap;
use uuid::Uuid;

/// A place in a list.
type Place = (Timestamp, Uuid);

/// Some rows of a vendor, all alike.
struct Branch {
    table: &'static str,
    status: &'static str,
    /// What else holds of them.
    and: &'static str,
}

fn of_shares(statuses: &[SubOrderStatus], and: &'static str) -> Vec<Branch> {
    statuses.iter().map(|status| Branch { table: "sub_orders", status: status.name(), and }).collect()
}

/// The branches of shares, or of what belongs to them.
fn branches(shares: &Shares) -> Vec<Branch> {
    match shares {
        Shares::Standing(statuses) => of_shares(statuses, ""),
        Shares::Waiting(WaitsFor::Pack) => {
            let mut branches = of_shares(WaitsFor::UNPACKED, "");
            branches.extend(of_shares(WaitsFor::PARTLY_AWAY, " AND to_pack IS NOT NULL"));
            branches
        }
        Shares::Waiting(WaitsFor::HandOver) => {
            let of = |status: &ShipmentStatus| Branch { table: "shipments", status: status.name(), and: "" };
            WaitsFor::INSIDE.iter().map(of).collect()
        }
        Shares::Waiting(WaitsFor::Return) => {
            let of = |status: &ReturnStatus| Branch { table: "returns", status: status.name(), and: "" };
            WaitsFor::OPEN.iter().map(of).collect()
        }
    }
}

/// One page of a vendor's orders with such shares, without those.
pub(super) fn page_of_vendor(
    vendor: VendorId,
    filter: &OrderFilter,
    shares: &Shares,
    after: Option<Place>,
    limit: u32,
) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new(format!("SELECT {} FROM (", selected::<OrderRow>("orders.")));
    for (number, Branch { table, status, and }) in branches(shares).into_iter().enumerate() {
        // An order with several parcels is there once; what is of several branches `UNION` has once.
        let union = if number == 0 { "" } else { " UNION " };
        query.push(format!(
            "{union}SELECT placed_at, order_id FROM (SELECT DISTINCT placed_at, order_id FROM {table} WHERE vendor_id = "
        ));
        query.push_bind(vendor.uuid()).push(format!(" AND status = '{status}'{and}"));
        for (column, value) in filtered_by(filter) {
            query.push(format!(
                " AND EXISTS (SELECT 1 FROM orders WHERE orders.id = {table}.order_id AND orders.{column} = "
            ));
            push_cell(&mut query, value);
            query.push(")");
        }
        if let Some((placed_at, order)) = after {
            query.push(" AND (placed_at, order_id) < (").push_bind(Moment(placed_at));
            query.push(", ").push_bind(order).push(")");
        }
        query.push(" ORDER BY placed_at DESC, order_id DESC LIMIT ").push_bind(i64::from(limit));
        query.push(format!(") AS of_{number}"));
    }
    query.push(") AS found JOIN orders ON orders.id = found.order_id");
    query.push(" ORDER BY found.placed_at DESC, found.order_id DESC LIMIT ").push_bind(i64::from(limit));
    query
}

/// What an order must have beside what it is asked for, of anybody's shares.
pub(super) fn has_such_a_share(shares: &Shares) -> String {
    let one = |branch: Branch| {
        let Branch { table, status, and } = branch;
        format!(
            "EXISTS (SELECT 1 FROM {table} WHERE {table}.order_id = orders.id AND {table}.status = '{status}'{and})"
        )
    };
    let any: Vec<String> = branches(shares).into_iter().map(one).collect();
    format!(" AND ({})", any.join(" OR "))
}

/// One page of a vendor's rows, the newest first.
pub(super) fn page_of<T: Table>(
    vendor: VendorId,
    statuses: &[&'static str],
    after: Option<Place>,
    limit: u32,
) -> QueryBuilder<Db> {
    let columns = selected::<T>("");
    let mut query = QueryBuilder::new("SELECT * FROM (");
    // All of them are one list.
    let lists: Vec<Option<&str>> =
        if statuses.is_empty() { vec![None] } else { statuses.iter().copied().map(Some).collect() };
    for (number, status) in lists.into_iter().enumerate() {
        let union = if number == 0 { "" } else { " UNION ALL " };
        query.push(format!(
            "{union}SELECT * FROM (SELECT {columns}, made_at AS at_, id AS id_ FROM {} WHERE vendor_id = ",
            T::NAME
        ));
        query.push_bind(vendor.uuid());
        if let Some(status) = status {
            query.push(format!(" AND status = '{status}'"));
        }
        if let Some((at, id)) = after {
            query.push(" AND (made_at, id) < (").push_bind(Moment(at));
            query.push(", ").push_bind(id).push(")");
        }
        query.push(" ORDER BY made_at DESC, id DESC LIMIT ").push_bind(i64::from(limit));
        query.push(format!(") AS of_{number}"));
    }
    query.push(") AS found ORDER BY at_ DESC, id_ DESC LIMIT ").push_bind(i64::from(limit));
    query
}

/// Parcels of which cash has not come in as it was collected, the newest first.
pub(super) fn page_with_cash(courier: Option<&str>, after: Option<Place>, limit: u32) -> QueryBuilder<Db> {
    let columns = selected::<ParcelOf<'_>>("");
    let mut query = QueryBuilder::new(format!("SELECT {columns} FROM shipments WHERE cash_open IS NOT NULL"));
    if let Some(courier) = courier {
        query.push(" AND courier = ").push_bind(courier.to_owned());
    }
    if let Some((at, id)) = after {
        query.push(" AND (made_at, id) < (").push_bind(Moment(at));
        query.push(", ").push_bind(id).push(")");
    }
    query.push(" ORDER BY made_at DESC, id DESC LIMIT ").push_bind(i64::from(limit));
    query
}

/// The parcels that a courier finds by a number.
pub(super) fn by_tracking(courier: &str, number: &str) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new("SELECT order_id, id FROM shipments WHERE tracking_number = ");
    query.push_bind(number.to_owned()).push(" AND courier = ").push_bind(courier.to_owned());
    query.push(" LIMIT 2");
    query
}

/// Shares of a vendor of which nothing is begun.
pub(super) fn page_not_begun(
    vendor: VendorId,
    until: Timestamp,
    told: bool,
    after: Option<Place>,
    limit: u32,
) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new("SELECT placed_at, order_id FROM sub_orders WHERE vendor_id = ");
    query.push_bind(vendor.uuid()).push(" AND status = 'paid' AND placed_at <= ").push_bind(Moment(until));
    query.push(if told { "" } else { " AND overdue_since IS NULL" });
    if let Some((at, id)) = after {
        query.push(" AND (placed_at, order_id) < (").push_bind(Moment(at));
        query.push(", ").push_bind(id).push(")");
    }
    query.push(" ORDER BY placed_at DESC, order_id DESC LIMIT ").push_bind(i64::from(limit));
    query
}

/// How many shares are overdue.
pub(in crate::persistence) const OVERDUE: &str = "SELECT count(*) FROM sub_orders WHERE overdue_since IS NOT NULL";

/// The rows of these orders in the order in which they were made.
fn of_orders<T: Table>(orders: &[OrderRow]) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new(format!("SELECT {} FROM {} WHERE order_id IN (", selected::<T>(""), T::NAME));
    let mut ids = query.separated(", ");
    for order in orders {
        ids.push_bind(order.id.uuid());
    }
    query.push(") ORDER BY order_id, made_at, id");
    query
}

impl Inner {
    async fn page<T: Table>(
        &self,
        vendor: VendorId,
        statuses: &[&'static str],
        after: Option<Place>,
        limit: u32,
    ) -> Result<Vec<T::Row>, StoreError> {
        self.may_filter_by::<T>(&["vendor_id", "status"]).await?;
        let mut query = page_of::<T>(vendor, statuses, after, limit);
        // There are as many texts as sets of statuses.
        let query = query.build().persistent(LOOKUPS_STAY_PREPARED && statuses.len() <= 1);
        all::<T>(&within(self.query_timeout, query.fetch_all(&self.lists)).await?)
    }
}

/// Orders that are read, in the order in which `ids` are bound at a time.
const ORDERS_AT_ONCE: usize = 500;

#[async_trait]
impl Waiting for Inner {
    async fn orders_by_share(
        &self,
        of: OrdersOf,
        filter: &OrderFilter,
        shares: &Shares,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        match shares {
            Shares::Standing(_) => {}
            Shares::Waiting(WaitsFor::Pack) => self.may_filter_by::<ShareOf<'_>>(&["to_pack"]).await?,
            Shares::Waiting(WaitsFor::HandOver) => self.may_filter_by::<ParcelOf<'_>>(&["vendor_id"]).await?,
            Shares::Waiting(WaitsFor::Return) => self.may_filter_by::<ReturnOf<'_>>(&["vendor_id"]).await?,
        }
        within(self.query_timeout, self.read_orders(of, filter, Some(shares), after, limit)).await
    }

    async fn fill_goods(&self, orders: &mut [OrderRow]) -> Result<(), StoreError> {
        for some in orders.chunks_mut(ORDERS_AT_ONCE) {
            let (mut parcels, mut returns) = (of_orders::<ParcelOf<'_>>(some), of_orders::<ReturnOf<'_>>(some));
            // As many texts as there are numbers of orders: not worth keeping prepared.
            let parcels = parcels.build().persistent(false).fetch_all(&self.lists);
            let parcels = all::<ParcelOf<'_>>(&within(self.query_timeout, parcels).await?)?;
            let returns = returns.build().persistent(false).fetch_all(&self.lists);
            let returns = all::<ReturnOf<'_>>(&within(self.query_timeout, returns).await?)?;
            let places: HashMap<OrderId, usize> =
                (0..).zip(some.iter()).map(|(place, order)| (order.id, place)).collect();
            for (order, row) in parcels {
                if let Some(order) = places.get(&order).and_then(|place| some.get_mut(*place)) {
                    order.shipments.push(row);
                }
            }
            for (order, row) in returns {
                if let Some(order) = places.get(&order).and_then(|place| some.get_mut(*place)) {
                    order.returns.push(row);
                }
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
        let names: Vec<&str> = statuses.iter().map(|status| status.name()).collect();
        self.page::<ParcelOf<'_>>(of, &names, after.map(|(at, id)| (at, id.uuid())), limit).await
    }

    async fn returns(
        &self,
        of: VendorId,
        statuses: &[ReturnStatus],
        after: Option<(Timestamp, ReturnId)>,
        limit: u32,
    ) -> Result<Vec<(OrderId, ReturnRow)>, StoreError> {
        let names: Vec<&str> = statuses.iter().map(|status| status.name()).collect();
        self.page::<ReturnOf<'_>>(of, &names, after.map(|(at, id)| (at, id.uuid())), limit).await
    }

    async fn with_cash(
        &self,
        courier: Option<&str>,
        after: Option<(Timestamp, ShipmentId)>,
        limit: u32,
    ) -> Result<Vec<(OrderId, ShipmentRow)>, StoreError> {
        let mut query = page_with_cash(courier, after.map(|(at, id)| (at, id.uuid())), limit);
        let query = query.build().persistent(LOOKUPS_STAY_PREPARED).fetch_all(&self.lists);
        all::<ParcelOf<'_>>(&within(self.query_timeout, query).await?)
    }

    async fn tracked(&self, courier: &str, number: &str) -> Result<Vec<(OrderId, ShipmentId)>, StoreError> {
        let mut query = by_tracking(courier, number);
        let query = query.build().persistent(LOOKUPS_STAY_PREPARED).fetch_all(&self.lists);
        let rows = within(self.query_timeout, query).await?;
        rows.iter()
            .map(|row| Ok((OrderId::from_uuid(row.try_get(0)?), ShipmentId::from_uuid(row.try_get(1)?))))
            .collect()
    }

    async fn vendors(&self, after: Option<VendorId>, limit: u32) -> Result<Vec<VendorId>, StoreError> {
        let query = sqlx::query_scalar::<_, Uuid>("SELECT id FROM vendors WHERE id > $1 ORDER BY id LIMIT $2");
        // No id is the lowest there can be.
        let query = query.bind(after.map_or(Uuid::nil(), |id| id.uuid())).bind(i64::from(limit));
        let query = query.persistent(LOOKUPS_STAY_PREPARED).fetch_all(&self.lists);
        Ok(within(self.query_timeout, query).await?.into_iter().map(VendorId::from_uuid).collect())
    }

    async fn not_begun(
        &self,
        of: VendorId,
        until: Timestamp,
        told: bool,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, OrderId)>, StoreError> {
        self.may_filter_by::<ShareOf<'_>>(&["overdue_since"]).await?;
        let mut query = page_not_begun(of, until, told, after.map(|(at, id)| (at, id.uuid())), limit);
        let query = query.build().persistent(LOOKUPS_STAY_PREPARED).fetch_all(&self.lists);
        let rows = within(self.query_timeout, query).await?;
        rows.iter().map(|row| Ok((row.try_get::<Moment, _>(0)?.0, OrderId::from_uuid(row.try_get(1)?)))).collect()
    }

    async fn overdue(&self) -> Result<u64, StoreError> {
        let query = sqlx::query_scalar::<_, i64>(OVERDUE).persistent(LOOKUPS_STAY_PREPARED).fetch_one(&self.lists);
        unsigned(within(self.query_timeout, query).await?)
    }
}
