//! Lists and reports over the read tables: the same SQL on both stores.

use super::{BEGIN_READING, Db, Inner, LOOKUPS_STAY_PREPARED};
use crate::domain::buyer::MailKey;
use crate::domain::ids::{CartId, CustomerId, OrderId, ProductId, SkuId, SubOrderId, VendorId};
use crate::domain::order::{OrderStatus, PaymentStatus, SubOrderStatus};
use crate::domain::rows::{OrderLineRow, OrderRow, ProductRow, Rows, SkuRow, SubOrderRow, VendorRow};
use crate::domain::time::Timestamp;
use crate::persistence::slot::within;
use crate::persistence::values::{Moment, SkuIds, columns, unsigned};
use crate::ports::{OrdersOf, ProductFilter, Queries, StoreError};
use async_trait::async_trait;
use sqlx::QueryBuilder;
use std::collections::HashMap;
use uuid::Uuid;

columns! {
    struct OrderColumns {
        id: Uuid,
        cart_id: Uuid,
        attempt: i64,
        customer_id: Option<Uuid>,
        mail_key: Option<Uuid>,
        status: String,
        currency: String,
        total: i64,
        cancelled: i64,
        paid: i64,
        refunded: i64,
        total_due: i64,
        placed_at: Moment,
        payment_due_at: Moment,
        payment_method: String,
        payment_status: String,
    }
}

columns! {
    struct ShareColumns {
        order_id: Uuid,
        id: Uuid,
        vendor_id: Uuid,
        status: String,
        total: i64,
    }
}

columns! {
    struct LineColumns {
        order_id: Uuid,
        sku_id: Uuid,
        vendor_id: Uuid,
        title: String,
        quantity: i64,
        unit_price: i64,
        line_total: i64,
    }
}

columns! {
    struct ProductColumns {
        id: Uuid,
        vendor_id: Uuid,
        title: String,
        description: Option<String>,
        category: Option<String>,
        created_at: Moment,
        sku_ids: SkuIds,
    }
}

columns! {
    struct SkuColumns {
        id: Uuid,
        vendor_id: Uuid,
        product_id: Uuid,
        code: String,
        title: String,
        price_minor: i64,
        currency: String,
        received: i64,
        on_hand: i64,
        held: i64,
    }
}

const PRODUCTS: &str = "
    SELECT id, vendor_id, title, description, category, created_at, sku_ids FROM products WHERE true";

const SKUS: &str = "
    SELECT id, vendor_id, product_id, code, title, price_minor, currency, received, on_hand, held FROM skus ORDER BY id";

fn unknown(what: &str, name: &str) -> StoreError {
    StoreError::Invalid(format!("a row with the unknown {what} '{}'", name.escape_debug()))
}

fn order(
    columns: OrderColumns,
    sub_orders: Vec<SubOrderRow>,
    lines: Vec<OrderLineRow>,
) -> Result<OrderRow, StoreError> {
    let OrderColumns { status, currency, payment_status, .. } = &columns;
    Ok(OrderRow {
        id: OrderId::from_uuid(columns.id),
        cart_id: CartId::from_uuid(columns.cart_id),
        attempt: u32::try_from(columns.attempt).map_err(|_| unknown("attempt", &columns.attempt.to_string()))?,
        customer_id: columns.customer_id.map(CustomerId::from_uuid),
        mail_key: columns.mail_key.map(|key| MailKey(key.into_bytes())),
        status: OrderStatus::from_name(status).ok_or_else(|| unknown("order status", status))?,
        currency: currency.parse().map_err(|_| unknown("currency", currency))?,
        total: columns.total,
        cancelled: columns.cancelled,
        paid: columns.paid,
        refunded: columns.refunded,
        total_due: columns.total_due,
        placed_at: columns.placed_at.0,
        payment_due_at: columns.payment_due_at.0,
        payment_status: PaymentStatus::from_name(payment_status)
            .ok_or_else(|| unknown("payment status", payment_status))?,
        payment_method: columns.payment_method,
        sub_orders,
        lines,
    })
}

fn share(columns: &ShareColumns) -> Result<SubOrderRow, StoreError> {
    Ok(SubOrderRow {
        id: SubOrderId::from_uuid(columns.id),
        vendor_id: VendorId::from_uuid(columns.vendor_id),
        status: SubOrderStatus::from_name(&columns.status)
            .ok_or_else(|| unknown("sub-order status", &columns.status))?,
        total: columns.total,
    })
}

fn line(columns: LineColumns) -> OrderLineRow {
    OrderLineRow {
        sku_id: SkuId::from_uuid(columns.sku_id),
        vendor_id: VendorId::from_uuid(columns.vendor_id),
        title: columns.title,
        quantity: columns.quantity,
        unit_price: columns.unit_price,
        line_total: columns.line_total,
    }
}

fn product(columns: ProductColumns) -> ProductRow {
    ProductRow {
        id: ProductId::from_uuid(columns.id),
        vendor_id: VendorId::from_uuid(columns.vendor_id),
        title: columns.title,
        description: columns.description,
        category: columns.category,
        created_at: columns.created_at.0,
        sku_ids: columns.sku_ids.0,
    }
}

fn sku(columns: SkuColumns) -> Result<SkuRow, StoreError> {
    Ok(SkuRow {
        id: SkuId::from_uuid(columns.id),
        vendor_id: VendorId::from_uuid(columns.vendor_id),
        product_id: ProductId::from_uuid(columns.product_id),
        code: columns.code,
        title: columns.title,
        price_minor: columns.price_minor,
        currency: columns.currency.parse().map_err(|_| unknown("currency", &columns.currency))?,
        received: columns.received,
        on_hand: columns.on_hand,
        held: columns.held,
        suspended: false,
    })
}

/// The pattern for texts that contain `text`, in whose place LIKE takes nothing for a wildcard.
fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for letter in text.to_lowercase().chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// One page of orders, without what belongs to each.
fn page_of_orders(of: OrdersOf, after: Option<(Timestamp, OrderId)>, limit: u32) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new(
        "SELECT orders.id, orders.cart_id, orders.attempt, orders.customer_id, orders.mail_key, orders.status, orders.currency, orders.total,
             orders.cancelled, orders.paid, orders.refunded, orders.total_due, orders.placed_at, orders.payment_due_at,
             payments.method AS payment_method, payments.status AS payment_status
         FROM orders JOIN payments ON payments.order_id = orders.id",
    );
    // A vendor's orders come in the order of the index over its shares.
    let (at, id) = match of {
        OrdersOf::Vendor(_) => ("sub_orders.placed_at", "sub_orders.order_id"),
        _ => ("orders.placed_at", "orders.id"),
    };
    match of {
        OrdersOf::All => query.push(" WHERE true"),
        OrdersOf::Cart(cart) => query.push(" WHERE orders.cart_id = ").push_bind(cart.uuid()),
        OrdersOf::Customer(customer) => query.push(" WHERE orders.customer_id = ").push_bind(customer.uuid()),
        OrdersOf::Vendor(vendor) => query
            .push(" JOIN sub_orders ON sub_orders.order_id = orders.id WHERE sub_orders.vendor_id = ")
            .push_bind(vendor.uuid()),
    };
    if let Some((placed_at, order)) = after {
        query.push(format!(" AND ({at}, {id}) < (")).push_bind(Moment(placed_at));
        query.push(", ").push_bind(order.uuid()).push(")");
    }
    query.push(format!(" ORDER BY {at} DESC, {id} DESC LIMIT ")).push_bind(i64::from(limit));
    query
}

/// What belongs to these orders, of one vendor or of all.
fn belonging(columns: &'static str, table: &'static str, orders: &[OrderColumns], of: OrdersOf) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::new(format!("SELECT {columns} FROM {table} WHERE order_id IN ("));
    let mut ids = query.separated(", ");
    for order in orders {
        ids.push_bind(order.id);
    }
    query.push(")");
    if let OrdersOf::Vendor(vendor) = of {
        query.push(" AND vendor_id = ").push_bind(vendor.uuid());
    }
    query.push(" ORDER BY order_id, position");
    query
}

impl Inner {
    async fn read_orders(
        &self,
        of: OrdersOf,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<(Vec<OrderColumns>, Vec<ShareColumns>, Vec<LineColumns>), sqlx::Error> {
        let mut transaction = self.lists.begin_with(BEGIN_READING).await?;
        let mut page = page_of_orders(of, after, limit);
        let page = page.build_query_as().persistent(LOOKUPS_STAY_PREPARED);
        let orders: Vec<OrderColumns> = page.fetch_all(&mut *transaction).await?;
        if orders.is_empty() {
            return Ok((orders, Vec::new(), Vec::new()));
        }
        // As many texts as there are page lengths: not worth keeping prepared.
        let shares = belonging("order_id, id, vendor_id, status, total", "sub_orders", &orders, of)
            .build_query_as()
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await?;
        let columns = "order_id, sku_id, vendor_id, title, quantity, unit_price, line_total";
        let lines = belonging(columns, "order_lines", &orders, of)
            .build_query_as()
            .persistent(false)
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok((orders, shares, lines))
    }

    async fn read_catalog(&self) -> Result<(Vec<(Uuid, String)>, Vec<ProductColumns>, Vec<SkuColumns>), sqlx::Error> {
        let mut transaction = self.tables.begin_with(BEGIN_READING).await?;
        let vendors = sqlx::query_as("SELECT id, name FROM vendors ORDER BY id").persistent(LOOKUPS_STAY_PREPARED);
        let vendors = vendors.fetch_all(&mut *transaction).await?;
        let mut products = QueryBuilder::<Db>::new(PRODUCTS);
        let products = products.push(" ORDER BY id").build_query_as().persistent(LOOKUPS_STAY_PREPARED);
        let products = products.fetch_all(&mut *transaction).await?;
        let skus = sqlx::query_as(SKUS).persistent(LOOKUPS_STAY_PREPARED).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok((vendors, products, skus))
    }
}

#[async_trait]
impl Queries for Inner {
    async fn orders(
        &self,
        of: OrdersOf,
        after: Option<(Timestamp, OrderId)>,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        let (orders, shares, lines) = within(self.query_timeout, self.read_orders(of, after, limit)).await?;
        let mut shares_of: HashMap<Uuid, Vec<SubOrderRow>> = HashMap::with_capacity(orders.len());
        for columns in shares {
            shares_of.entry(columns.order_id).or_default().push(share(&columns)?);
        }
        let mut lines_of: HashMap<Uuid, Vec<OrderLineRow>> = HashMap::with_capacity(orders.len());
        for columns in lines {
            lines_of.entry(columns.order_id).or_default().push(line(columns));
        }
        let whole = |columns: OrderColumns| {
            let shares = shares_of.remove(&columns.id).unwrap_or_default();
            let lines = lines_of.remove(&columns.id).unwrap_or_default();
            order(columns, shares, lines)
        };
        orders.into_iter().map(whole).collect()
    }

    async fn products(
        &self,
        filter: &ProductFilter,
        after: Option<(Timestamp, ProductId)>,
        limit: u32,
    ) -> Result<Vec<ProductRow>, StoreError> {
        let mut query = QueryBuilder::<Db>::new(PRODUCTS);
        if let Some(vendor) = filter.vendor {
            query.push(" AND vendor_id = ").push_bind(vendor.uuid());
        }
        if let Some(category) = &filter.category {
            query.push(" AND category = ").push_bind(category.clone());
        }
        if let Some(text) = &filter.text {
            query.push(" AND title_folded LIKE ").push_bind(containing(text)).push(" ESCAPE '\\'");
        }
        if let Some((created_at, product)) = after {
            query.push(" AND (created_at, id) < (").push_bind(Moment(created_at));
            query.push(", ").push_bind(product.uuid()).push(")");
        }
        query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(i64::from(limit));
        let query = query.build_query_as().persistent(LOOKUPS_STAY_PREPARED);
        let rows = within(self.query_timeout, query.fetch_all(&self.lists)).await?;
        Ok(rows.into_iter().map(product).collect())
    }

    async fn catalog(&self) -> Result<Rows, StoreError> {
        // Everything at once, at start-up: as long as a checkpoint may take.
        let (vendors, products, skus) = within(self.checkpoint_timeout, self.read_catalog()).await?;
        let vendor = |(id, name)| VendorRow { id: VendorId::from_uuid(id), name };
        Ok(Rows {
            vendors: vendors.into_iter().map(vendor).collect(),
            products: products.into_iter().map(product).collect(),
            skus: skus.into_iter().map(sku).collect::<Result<_, _>>()?,
            orders: Vec::new(),
        })
    }

    async fn unpaid_by_method(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let query = sqlx::query_as::<_, (String, i64)>(
            "SELECT payments.method, count(*) FROM orders JOIN payments ON payments.order_id = orders.id
             WHERE orders.status IN ('placed', 'awaiting_payment') GROUP BY payments.method ORDER BY payments.method",
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
