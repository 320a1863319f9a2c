//! Lists and reports over the read tables: the same SQL on both stores.

use super::upserts::{read, selected};
use super::waiting::{has_such_a_share, page_of_vendor};
use super::{BEGIN_READING, Db, Inner, LOOKUPS_STAY_PREPARED, NOT_BY_INDEX};
use crate::domain::buyer::MailKey;
use crate::domain::ids::{CouponId, CustomerId, OrderId, SkuId, VendorId};
use crate::domain::order::{OrderFilter, OrderStatus};
use crate::domain::rows::{
    CouponRow, CustomerRow, OrderRow, ProductRow, Rows, SaleRow, SkuRow, StockChangeRow, VendorRow,
};
use crate::domain::time::Timestamp;
use crate::persistence::slot::within;
use crate::persistence::table::{Cell, Table, unknown};
use crate::persistence::tables::{ShareOf, filtered_by};
use crate::persistence::values::{Moment, signed, unsigned};
use crate::ports::waiting::Shares;
use crate::ports::{OrdersOf, ProductFilter, ProductOrder, ProductPlace, Queries, StockPlace, StoreError};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Transaction};
use std::borrow::Cow;
use std::collections::HashMap;
use uuid::Uuid;

pub(in crate::persistence) const GUESTS_ORDERS: &str = "
    SELECT id FROM orders WHERE mail_key = $1 AND customer_id IS NULL
        AND status NOT IN ('rejected', 'payment_failed', 'cancelled', 'expired')
    ORDER BY placed_at DESC, id DESC LIMIT $2";

/// By an index of the orders that have some to come.
pub(in crate::persistence) const POINTS_PENDING: &str = "
    SELECT CAST(COALESCE(SUM(points_pending), 0) AS bigint) FROM orders
    WHERE customer_id = $1 AND points_pending IS NOT NULL";

/// A value to compare a column with.
pub(super) fn push_cell(query: &mut QueryBuilder<Db>, cell: Cell<'_>) {
    match cell {
        Cell::Uuid(uuid) => query.push_bind(uuid),
        Cell::Integer(number) => query.push_bind(number),
        Cell::Text(text) => query.push_bind(text.map(Cow::into_owned)),
        Cell::Moment(at) => query.push_bind(Moment(at)),
        // What is not one value is compared with nothing.
        Cell::Uuids(_) | Cell::Document(_) => query.push("NULL"),
    };
}

/// One page of orders, without their shares.
pub(super) fn page_of_orders(
    of: OrdersOf,
    filter: &OrderFilter,
    shares: Option<&Shares>,
    after: Option<(Timestamp, OrderId)>,
    limit: u32,
) -> QueryBuilder<Db> {
    if let (OrdersOf::Vendor(vendor), Some(shares)) = (of, shares) {
        return page_of_vendor(vendor, filter, shares, after.map(|(at, id)| (at, id.uuid())), limit);
    }
    let mut query = QueryBuilder::new(format!("SELECT {} FROM orders", selected::<OrderRow>("orders.")));
    // A vendor's orders come in the order of the index over its shares.
    let (at, id) = match of {
        OrdersOf::Vendor(_) => ("sub_orders.placed_at", "sub_orders.order_id"),
        _ => ("orders.placed_at", "orders.id"),
    };
    match of {
        OrdersOf::All => query.push(" WHERE true"),
        // What was attached to an account is a guest's no more.
        OrdersOf::Cart(cart) => {
            query.push(" WHERE orders.cart_id = ").push_bind(cart.uuid()).push(" AND orders.customer_id IS NULL")
        }
        OrdersOf::Customer(customer) => query.push(" WHERE orders.customer_id = ").push_bind(customer.uuid()),
        OrdersOf::Vendor(vendor) => query
            .push(" JOIN sub_orders ON sub_orders.order_id = orders.id WHERE sub_orders.vendor_id = ")
            .push_bind(vendor.uuid()),
    };
    // What belongs to somebody is looked for among their own.
    let how = if of == OrdersOf::All { "" } else { NOT_BY_INDEX };
    for (column, value) in filtered_by(filter) {
        query.push(format!(" AND {how}orders.{column} = "));
        push_cell(&mut query, value);
    }
    if let Some(shares) = shares {
        query.push(has_such_a_share(shares));
    }
    if let Some((placed_at, order)) = after {
        query.push(format!(" AND ({at}, {id}) < (")).push_bind(Moment(placed_at));
        query.push(", ").push_bind(order.uuid()).push(")");
    }
    query.push(format!(" ORDER BY {at} DESC, {id} DESC LIMIT ")).push_bind(i64::from(limit));
    query
}

/// The shares of these orders, of one vendor or of all.
fn shares_of(orders: &[OrderRow], of: OrdersOf) -> QueryBuilder<Db> {
    let mut query =
        QueryBuilder::new(format!("SELECT {} FROM sub_orders WHERE order_id IN (", selected::<ShareOf<'_>>("")));
    let mut ids = query.separated(", ");
    for order in orders {
        ids.push_bind(order.id.uuid());
    }
    query.push(")");
    if let OrdersOf::Vendor(vendor) = of {
        query.push(" AND vendor_id = ").push_bind(vendor.uuid());
    }
    query.push(" ORDER BY order_id, position");
    query
}

type DbRow = <Db as sqlx::Database>::Row;

/// Rows of a table as what they say.
pub(super) fn all<T: Table>(rows: &[DbRow]) -> Result<Vec<T::Row>, StoreError> {
    rows.iter().map(read::<T>).collect()
}

impl Inner {
    pub(super) async fn read_orders(
        &self,
        of: OrdersOf,
        filter: &OrderFilter,
        shares: Option<&Shares>,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        match of {
            OrdersOf::All => {}
            OrdersOf::Cart(_) => self.may_filter_by::<OrderRow>(&["cart_id", "customer_id"]).await?,
            OrdersOf::Customer(_) => self.may_filter_by::<OrderRow>(&["customer_id"]).await?,
            OrdersOf::Vendor(_) => self.may_filter_by::<ShareOf<'_>>(&["vendor_id"]).await?,
        }
        let columns: Vec<&str> = filtered_by(filter).into_iter().map(|(column, _)| column).collect();
        self.may_filter_by::<OrderRow>(&columns).await?;
        let mut transaction = self.lists.begin_with(BEGIN_READING).await?;
        let mut page = page_of_orders(of, filter, shares, after, limit);
        // There are as many texts as sets of statuses.
        let page = page.build().persistent(LOOKUPS_STAY_PREPARED && shares.is_none()).fetch_all(&mut *transaction);
        let mut orders = all::<OrderRow>(&page.await?)?;
        if let OrdersOf::Vendor(vendor) = of {
            orders.iter_mut().for_each(|order| order.lines.retain(|line| line.vendor_id == vendor));
        }
        if !orders.is_empty() {
            // As many texts as there are page lengths: not worth keeping prepared.
            let mut shares = shares_of(&orders, of);
            let shares = shares.build().persistent(false).fetch_all(&mut *transaction).await?;
            let places: HashMap<OrderId, usize> = (0..).zip(&orders).map(|(place, order)| (order.id, place)).collect();
            for (order, share) in all::<ShareOf<'_>>(&shares)? {
                if let Some(order) = places.get(&order).and_then(|place| orders.get_mut(*place)) {
                    order.sub_orders.push(share);
                }
            }
        }
        transaction.commit().await?;
        Ok(orders)
    }

    async fn read_catalog(&self) -> Result<Rows, StoreError> {
        let mut transaction = self.tables.begin_with(BEGIN_READING).await?;
        let vendors = whole_table::<VendorRow>(&mut transaction).await?;
        let products = whole_table::<ProductRow>(&mut transaction).await?;
        let skus = whole_table::<SkuRow>(&mut transaction).await?;
        let coupons = whole_table::<CouponRow>(&mut transaction).await?;
        let sales = whole_table::<SaleRow>(&mut transaction).await?;
        let customers = whole_table::<CustomerRow>(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Rows { vendors, products, skus, sales, customers, coupons, orders: Vec::new() })
    }
}

/// All rows of a table, in the order of its key.
async fn whole_table<T: Table>(transaction: &mut Transaction<'_, Db>) -> Result<Vec<T::Row>, StoreError> {
    let sql = format!("SELECT {} FROM {} ORDER BY {}", selected::<T>(""), T::NAME, T::KEY);
    let query = sqlx::query(AssertSqlSafe(sql)).persistent(LOOKUPS_STAY_PREPARED);
    all::<T>(&query.fetch_all(&mut **transaction).await?)
}

#[async_trait]
impl Queries for Inner {
    async fn orders(
        &self,
        of: OrdersOf,
        filter: &OrderFilter,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        within(self.query_timeout, self.read_orders(of, filter, None, after, limit)).await
    }

    async fn guests_orders(&self, of: MailKey, limit: u32) -> Result<Vec<OrderId>, StoreError> {
        self.may_filter_by::<OrderRow>(&["mail_key", "customer_id"]).await?;
        let query = sqlx::query_as::<_, (Uuid,)>(GUESTS_ORDERS).persistent(LOOKUPS_STAY_PREPARED);
        let query = query.bind(Uuid::from_bytes(of.0)).bind(i64::from(limit));
        let rows = within(self.query_timeout, query.fetch_all(&self.lists)).await?;
        Ok(rows.into_iter().map(|(id,)| OrderId::from_uuid(id)).collect())
    }

    async fn points_pending(&self, of: CustomerId) -> Result<i64, StoreError> {
        let query = sqlx::query_as::<_, (i64,)>(POINTS_PENDING).persistent(LOOKUPS_STAY_PREPARED).bind(of.uuid());
        let (points,) = within(self.query_timeout, query.fetch_one(&self.lists)).await?;
        Ok(points)
    }

    async fn products(
        &self,
        filter: &ProductFilter,
        order: ProductOrder,
        after: Option<ProductPlace>,
        limit: u32,
    ) -> Result<Vec<ProductRow>, StoreError> {
        self.read_products(filter, order, after, limit).await
    }

    async fn coupons(
        &self,
        of: Option<VendorId>,
        after: Option<(Timestamp, CouponId)>,
        limit: u32,
    ) -> Result<Vec<CouponRow>, StoreError> {
        let select = format!("SELECT {} FROM coupons WHERE true", selected::<CouponRow>(""));
        let mut query = QueryBuilder::<Db>::new(select);
        if let Some(vendor) = of {
            query.push(" AND vendor_id = ").push_bind(vendor.uuid());
        }
        if let Some((created_at, coupon)) = after {
            query.push(" AND (created_at, id) < (").push_bind(Moment(created_at));
            query.push(", ").push_bind(coupon.uuid()).push(")");
        }
        query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(i64::from(limit));
        let query = query.build().persistent(LOOKUPS_STAY_PREPARED);
        all::<CouponRow>(&within(self.query_timeout, query.fetch_all(&self.lists)).await?)
    }

    async fn stock_changes(
        &self,
        sku: SkuId,
        before: Option<StockPlace>,
        limit: u32,
    ) -> Result<Vec<StockChangeRow>, StoreError> {
        let select = format!("SELECT {}, version FROM stock_changes WHERE sku_id = ", selected::<StockChangeRow>(""));
        let mut query = QueryBuilder::<Db>::new(select);
        query.push_bind(sku.uuid());
        if let Some((version, position)) = before {
            query.push(" AND (version, position) < (").push_bind(signed(version)?);
            query.push(", ").push_bind(i64::from(position)).push(")");
        }
        query.push(" ORDER BY version DESC, position DESC LIMIT ").push_bind(i64::from(limit));
        let query = query.build().persistent(LOOKUPS_STAY_PREPARED);
        let rows = within(self.query_timeout, query.fetch_all(&self.lists)).await?;
        let change = |row: &DbRow| {
            let version: i64 = row.try_get(StockChangeRow::COLUMNS.len())?;
            Ok(StockChangeRow { version: unsigned(version)?, ..read::<StockChangeRow>(row)? })
        };
        rows.iter().map(change).collect()
    }

    async fn catalog(&self) -> Result<Rows, StoreError> {
        // Everything at once, at start-up: as long as a checkpoint may take.
        within(self.checkpoint_timeout, self.read_catalog()).await
    }

    async fn unpaid_by_method(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let query = sqlx::query_as::<_, (String, i64)>(
            "SELECT payment_method, count(*) FROM orders WHERE status IN ('placed', 'awaiting_payment')
             GROUP BY payment_method ORDER BY payment_method",
        );
        let rows = within(self.checkpoint_timeout, query.fetch_all(&self.tables)).await?;
        rows.into_iter().map(|(method, count)| Ok((method, unsigned(count)?))).collect()
    }

    async fn order_counts(&self) -> Result<Vec<(OrderStatus, u64)>, StoreError> {
        let query =
            sqlx::query_as::<_, (String, i64)>("SELECT status, count(*) FROM orders GROUP BY status ORDER BY status")
                .persistent(LOOKUPS_STAY_PREPARED);
        let rows = within(self.checkpoint_timeout, query.fetch_all(&self.tables)).await?;
        let count = |(status, count): (String, i64)| {
            Ok((OrderStatus::from_name(&status).ok_or_else(|| unknown("order status", &status))?, unsigned(count)?))
        };
        rows.into_iter().map(count).collect()
    }
}
