//! What a checkpoint writes the read tables with on Postgres: one statement per table, its columns as arrays.

use super::upserts::big;
use crate::domain::ids::{CustomerId, SkuId};
use crate::domain::rows::{OrderRow, Rows};
use crate::persistence::values::Moment;
use crate::ports::EntityDelta;
use sqlx::postgres::{PgArguments, PgConnection, Postgres};
use sqlx::query::Query;
use uuid::Uuid;

/// How rows of one table are written.
struct Sql {
    /// Rows that are not there.
    insert: &'static str,
    /// Rows that may be there, and newer.
    upsert: &'static str,
}

impl Sql {
    fn of(&self, fresh: bool) -> &'static str {
        if fresh { self.insert } else { self.upsert }
    }
}

macro_rules! sql {
    ($insert:literal, $on_conflict:literal) => {
        Sql { insert: $insert, upsert: concat!($insert, $on_conflict) }
    };
}

const VENDORS: Sql = sql!(
    "
    INSERT INTO vendors (id, name, version)
    SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::bigint[])",
    "
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version
    WHERE excluded.version > vendors.version"
);

const PRODUCTS: Sql = sql!(
    "
    INSERT INTO products (id, vendor_id, title, title_folded, description, category, created_at, sku_ids, version)
    SELECT id, vendor_id, title, title_folded, description, category, created_at, string_to_array(sku_ids, ',')::uuid[], version
    FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[],
        $9::bigint[])
        AS new (id, vendor_id, title, title_folded, description, category, created_at, sku_ids, version)",
    "
    ON CONFLICT (id) DO UPDATE SET title = excluded.title, title_folded = excluded.title_folded,
        description = excluded.description, category = excluded.category, sku_ids = excluded.sku_ids, version = excluded.version
    WHERE excluded.version > products.version"
);

const SKUS: Sql = sql!(
    "
    INSERT INTO skus (id, vendor_id, product_id, code, title, price_minor, currency, received, on_hand, held, version)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[],
        $9::bigint[], $10::bigint[], $11::bigint[])",
    "
    ON CONFLICT (id) DO UPDATE SET code = excluded.code, title = excluded.title, price_minor = excluded.price_minor,
        currency = excluded.currency, received = excluded.received, on_hand = excluded.on_hand, held = excluded.held,
        version = excluded.version
    WHERE excluded.version > skus.version"
);

const ORDERS: Sql = sql!(
    "
    INSERT INTO orders (id, cart_id, attempt, customer_id, status, currency, total, cancelled, paid, refunded, total_due,
        placed_at, payment_due_at, mail_key, version)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
        $9::bigint[], $10::bigint[], $11::bigint[], $12::timestamptz[], $13::timestamptz[], $14::uuid[], $15::bigint[])",
    "
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, total = excluded.total, cancelled = excluded.cancelled,
        paid = excluded.paid, refunded = excluded.refunded, total_due = excluded.total_due,
        payment_due_at = excluded.payment_due_at, version = excluded.version
    WHERE excluded.version > orders.version"
);

const PAYMENTS: Sql = sql!(
    "
    INSERT INTO payments (order_id, method, status, currency, captured, refunded, version)
    SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])",
    "
    ON CONFLICT (order_id) DO UPDATE SET method = excluded.method, status = excluded.status, captured = excluded.captured,
        refunded = excluded.refunded, version = excluded.version
    WHERE excluded.version > payments.version"
);

const SUB_ORDERS: Sql = sql!(
    "
    INSERT INTO sub_orders (id, order_id, vendor_id, position, status, currency, total, placed_at, version)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::text[], $7::bigint[],
        $8::timestamptz[], $9::bigint[])",
    "
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, total = excluded.total, version = excluded.version
    WHERE excluded.version > sub_orders.version"
);

const LINES: Sql = sql!(
    "
    INSERT INTO order_lines (order_id, sku_id, vendor_id, position, title, quantity, unit_price, currency, line_total, version)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::bigint[], $7::bigint[], $8::text[],
        $9::bigint[], $10::bigint[])",
    "
    ON CONFLICT (order_id, sku_id) DO UPDATE SET quantity = excluded.quantity, unit_price = excluded.unit_price,
        line_total = excluded.line_total, version = excluded.version
    WHERE excluded.version > order_lines.version"
);

type Statement = Query<'static, Postgres, PgArguments>;

/// Writes the rows of these entities, and has every constraint checked. What is refused comes back as an error. Rows of a fresh entity are
/// inserted, unless `all_known` says that some of them were there.
pub(super) async fn rows(
    connection: &mut PgConnection,
    entities: &[EntityDelta],
    all_known: bool,
) -> Result<Option<String>, sqlx::Error> {
    let (new, known): (Vec<&EntityDelta>, Vec<&EntityDelta>) =
        entities.iter().partition(|delta| delta.fresh && !all_known);
    let mut wrote = false;
    for (entities, fresh) in [(known, false), (new, true)] {
        for statement in statements(&entities, fresh) {
            statement.execute(&mut *connection).await?;
            wrote = true;
        }
    }
    if wrote {
        sqlx::raw_sql("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED").execute(&mut *connection).await?;
    }
    Ok(None)
}

/// The rows of one table, each with the version of its entity.
fn rows_of<'a, T>(entities: &[&'a EntityDelta], table: fn(&'a Rows) -> &'a [T]) -> Vec<(&'a T, i64)> {
    entities.iter().flat_map(|delta| table(&delta.rows).iter().map(|row| (row, big(delta.version)))).collect()
}

/// One column of such rows.
fn column<'a, T, V>(rows: &[(&'a T, i64)], value: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(|(row, _)| value(row)).collect()
}

fn versions<T>(rows: &[(T, i64)]) -> Vec<i64> {
    rows.iter().map(|(_, version)| *version).collect()
}

fn statements(entities: &[&EntityDelta], fresh: bool) -> Vec<Statement> {
    let mut statements = Vec::with_capacity(7);
    let vendors = rows_of(entities, |rows| &rows.vendors);
    if !vendors.is_empty() {
        let upsert = sqlx::query(VENDORS.of(fresh))
            .bind(column(&vendors, |row| row.id.uuid()))
            .bind(column(&vendors, |row| row.name.as_str()));
        statements.push(upsert.bind(versions(&vendors)));
    }
    let products = rows_of(entities, |rows| &rows.products);
    if !products.is_empty() {
        let sku_ids = |ids: &[SkuId]| ids.iter().map(|id| id.uuid().to_string()).collect::<Vec<_>>().join(",");
        let upsert = sqlx::query(PRODUCTS.of(fresh))
            .bind(column(&products, |row| row.id.uuid()))
            .bind(column(&products, |row| row.vendor_id.uuid()))
            .bind(column(&products, |row| row.title.as_str()))
            .bind(column(&products, |row| row.title.to_lowercase()))
            .bind(column(&products, |row| row.description.as_deref()))
            .bind(column(&products, |row| row.category.as_deref()))
            .bind(column(&products, |row| Moment(row.created_at)))
            .bind(column(&products, |row| sku_ids(&row.sku_ids)));
        statements.push(upsert.bind(versions(&products)));
    }
    let skus = rows_of(entities, |rows| &rows.skus);
    if !skus.is_empty() {
        let upsert = sqlx::query(SKUS.of(fresh))
            .bind(column(&skus, |row| row.id.uuid()))
            .bind(column(&skus, |row| row.vendor_id.uuid()))
            .bind(column(&skus, |row| row.product_id.uuid()))
            .bind(column(&skus, |row| row.code.as_str()))
            .bind(column(&skus, |row| row.title.as_str()))
            .bind(column(&skus, |row| row.price_minor))
            .bind(column(&skus, |row| row.currency.code()))
            .bind(column(&skus, |row| row.received))
            .bind(column(&skus, |row| row.on_hand))
            .bind(column(&skus, |row| row.held));
        statements.push(upsert.bind(versions(&skus)));
    }
    let orders = rows_of(entities, |rows| &rows.orders);
    if !orders.is_empty() {
        statements.extend(order_statements(&orders, fresh));
    }
    statements
}

fn order_statements(orders: &[(&OrderRow, i64)], fresh: bool) -> [Statement; 4] {
    let upsert = sqlx::query(ORDERS.of(fresh))
        .bind(column(orders, |row| row.id.uuid()))
        .bind(column(orders, |row| row.cart_id.uuid()))
        .bind(column(orders, |row| i64::from(row.attempt)))
        .bind(column(orders, |row| row.customer_id.map(CustomerId::uuid)))
        .bind(column(orders, |row| row.status.name()))
        .bind(column(orders, |row| row.currency.code()))
        .bind(column(orders, |row| row.total))
        .bind(column(orders, |row| row.cancelled))
        .bind(column(orders, |row| row.paid))
        .bind(column(orders, |row| row.refunded))
        .bind(column(orders, |row| row.total_due))
        .bind(column(orders, |row| Moment(row.placed_at)))
        .bind(column(orders, |row| Moment(row.payment_due_at)))
        .bind(column(orders, |row| row.mail_key.map(|key| Uuid::from_bytes(key.0))))
        .bind(versions(orders));
    let payments = sqlx::query(PAYMENTS.of(fresh))
        .bind(column(orders, |row| row.id.uuid()))
        .bind(column(orders, |row| row.payment_method.as_str()))
        .bind(column(orders, |row| row.payment_status.name()))
        .bind(column(orders, |row| row.currency.code()))
        .bind(column(orders, |row| row.paid))
        .bind(column(orders, |row| row.refunded))
        .bind(versions(orders));
    let mut shares = Vec::with_capacity(orders.len());
    let mut lines = Vec::with_capacity(orders.len());
    for (order, version) in orders {
        shares.extend((0i32..).zip(&order.sub_orders).map(|(position, share)| (*order, position, share, *version)));
        lines.extend((0i32..).zip(&order.lines).map(|(position, line)| (*order, position, line, *version)));
    }
    let sub_orders = sqlx::query(SUB_ORDERS.of(fresh))
        .bind(shares.iter().map(|(_, _, share, _)| share.id.uuid()).collect::<Vec<_>>())
        .bind(shares.iter().map(|(order, ..)| order.id.uuid()).collect::<Vec<_>>())
        .bind(shares.iter().map(|(_, _, share, _)| share.vendor_id.uuid()).collect::<Vec<_>>())
        .bind(shares.iter().map(|(_, position, ..)| *position).collect::<Vec<_>>())
        .bind(shares.iter().map(|(_, _, share, _)| share.status.name()).collect::<Vec<_>>())
        .bind(shares.iter().map(|(order, ..)| order.currency.code()).collect::<Vec<_>>())
        .bind(shares.iter().map(|(_, _, share, _)| share.total).collect::<Vec<_>>())
        .bind(shares.iter().map(|(order, ..)| Moment(order.placed_at)).collect::<Vec<_>>())
        .bind(shares.iter().map(|(.., version)| *version).collect::<Vec<_>>());
    let order_lines = sqlx::query(LINES.of(fresh))
        .bind(lines.iter().map(|(order, ..)| order.id.uuid()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, line, _)| line.sku_id.uuid()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, line, _)| line.vendor_id.uuid()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, position, ..)| *position).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, line, _)| line.title.as_str()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, line, _)| line.quantity).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, line, _)| line.unit_price).collect::<Vec<_>>())
        .bind(lines.iter().map(|(order, ..)| order.currency.code()).collect::<Vec<_>>())
        .bind(lines.iter().map(|(_, _, line, _)| line.line_total).collect::<Vec<_>>())
        .bind(lines.iter().map(|(.., version)| *version).collect::<Vec<_>>());
    [upsert, payments, sub_orders, order_lines]
}
