//! What a checkpoint writes with on `SQLite`: statements of many rows each.
//!
//! Foreign keys are checked at once here, not at the end as on Postgres: parents are written before their children.

use crate::domain::ids::{CustomerId, EntityRef, Kind};
use crate::domain::rows::{OrderRow, Rows};
use crate::limits;
use crate::persistence::values::{Moment, SkuIds};
use crate::ports::{EntityDelta, Partition};
use sqlx::query_builder::Separated;
use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Connection, QueryBuilder, Transaction};
use std::collections::HashSet;
use uuid::Uuid;

/// Rows in one statement. A statement of so many rows stays prepared.
const ROWS: usize = 64;

/// Parts that one statement deletes. A vendor in a rush has thousands.
const DELETED: usize = 512;

/// Begins a checkpoint's transaction.
pub(super) async fn begin(connection: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>, sqlx::Error> {
    connection.begin_with("BEGIN IMMEDIATE").await
}

/// Whether all these partitions still have their epoch. The transaction is the only writer: nobody can take them meanwhile.
pub(super) async fn lock_owned(connection: &mut SqliteConnection, owned: &[Partition]) -> Result<bool, sqlx::Error> {
    let epochs: Vec<(i64, i64)> = sqlx::query_as("SELECT id, epoch FROM partition").fetch_all(connection).await?;
    Ok(owned.iter().all(|own| epochs.contains(&(i64::from(own.id), big(own.epoch)))))
}

/// There is one writer, and it is this one.
#[allow(clippy::unused_async, reason = "the other store has something to wait for")]
pub(super) async fn wait_for_appends(_connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    Ok(())
}

/// Those of these entities whose head is newer in the store than here.
pub(super) async fn newer_heads(
    connection: &mut SqliteConnection,
    entities: &[&EntityDelta],
) -> Result<HashSet<EntityRef>, sqlx::Error> {
    let mut newer = HashSet::new();
    for group in entities.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("WITH captured (kind, entity, version) AS (");
        query.push_values(group, |mut row, delta| {
            row.push_bind(delta.entity.kind.name()).push_bind(delta.entity.uuid).push_bind(big(delta.version));
        });
        query.push(
            ") SELECT snapshot.kind, snapshot.entity FROM captured JOIN snapshot
                ON snapshot.kind = captured.kind AND snapshot.entity = captured.entity AND snapshot.part = ''
            WHERE snapshot.version > captured.version",
        );
        let found: Vec<(String, Uuid)> =
            query.build_query_as().persistent(group.len() == ROWS).fetch_all(&mut *connection).await?;
        let entity = |(kind, uuid): (String, Uuid)| Some(EntityRef { kind: Kind::from_name(&kind)?, uuid });
        newer.extend(found.into_iter().filter_map(entity));
    }
    Ok(newer)
}

/// Executes `INSERT INTO … VALUES (…), …` for all rows, so many at a time.
async fn insert<T: Sync>(
    connection: &mut SqliteConnection,
    into: &'static str,
    rows: &[T],
    on_conflict: &'static str,
    bind: impl Fn(&mut Separated<'_, Sqlite, &'static str>, &T) + Send + Sync,
) -> Result<(), sqlx::Error> {
    for group in rows.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(into);
        query.push_values(group, |mut columns, row| bind(&mut columns, row));
        query.push(on_conflict);
        query.build().persistent(group.len() == ROWS).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Writes the parts that have a state and deletes those that have none. Here nothing is taken for fresh.
pub(super) async fn parts(
    connection: &mut SqliteConnection,
    entities: &[&EntityDelta],
    _fresh: bool,
) -> Result<(), sqlx::Error> {
    let mut there = Vec::with_capacity(entities.len());
    for delta in entities {
        let mut gone = Vec::new();
        for part in &delta.parts {
            match &part.state {
                Some(state) => there.push((*delta, part.name.as_str(), state)),
                None => gone.push(part.name.as_str()),
            }
        }
        delete_parts(connection, delta, &gone).await?;
    }
    insert(
        connection,
        "INSERT INTO snapshot (kind, entity, part, partition, version, wake_at, state) ",
        &there,
        " ON CONFLICT (kind, entity, part) DO UPDATE
            SET version = excluded.version, wake_at = excluded.wake_at, state = excluded.state
            WHERE excluded.version > snapshot.version",
        |row, (delta, part, state)| {
            row.push_bind(delta.entity.kind.name())
                .push_bind(delta.entity.uuid)
                .push_bind((*part).to_owned())
                .push_bind(i64::from(delta.entity.partition(limits::PARTITIONS)))
                .push_bind(big(delta.version))
                .push_bind(delta.wake_at.filter(|_| part.is_empty()).map(Moment))
                .push_bind((*state).clone());
        },
    )
    .await
}

async fn delete_parts(
    connection: &mut SqliteConnection,
    delta: &EntityDelta,
    parts: &[&str],
) -> Result<(), sqlx::Error> {
    for group in parts.chunks(DELETED) {
        let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM snapshot WHERE kind = ");
        query.push_bind(delta.entity.kind.name()).push(" AND entity = ").push_bind(delta.entity.uuid);
        query.push(" AND version < ").push_bind(big(delta.version)).push(" AND part IN (");
        let mut names = query.separated(", ");
        for part in group {
            names.push_bind((*part).to_owned());
        }
        query.push(")");
        query.build().persistent(group.len() == DELETED).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The rows of one table, each with the version of its entity.
fn rows_of<'a, T>(entities: &'a [EntityDelta], table: fn(&'a Rows) -> &'a [T]) -> Vec<(&'a T, i64)> {
    entities.iter().flat_map(|delta| table(&delta.rows).iter().map(|row| (row, big(delta.version)))).collect()
}

/// Writes the rows of these entities. What is refused comes back as an error, or as a reason when no constraint can see it.
pub(super) async fn rows(
    connection: &mut SqliteConnection,
    entities: &[EntityDelta],
    _all_known: bool,
) -> Result<Option<String>, sqlx::Error> {
    vendor_rows(connection, entities).await?;
    let orders = rows_of(entities, |rows| &rows.orders);
    if orders.is_empty() {
        return Ok(None);
    }
    order_rows(connection, &orders).await?;
    order_that_does_not_add_up(connection, &orders).await
}

async fn vendor_rows(connection: &mut SqliteConnection, entities: &[EntityDelta]) -> Result<(), sqlx::Error> {
    insert(
        connection,
        "INSERT INTO vendors (id, name, version) ",
        &rows_of(entities, |rows| &rows.vendors),
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version
            WHERE excluded.version > vendors.version",
        |columns, (row, version)| {
            columns.push_bind(row.id.uuid()).push_bind(row.name.clone()).push_bind(*version);
        },
    )
    .await?;
    insert(
        connection,
        "INSERT INTO products (id, vendor_id, title, title_folded, description, category, created_at, sku_ids, version) ",
        &rows_of(entities, |rows| &rows.products),
        " ON CONFLICT (id) DO UPDATE SET title = excluded.title, title_folded = excluded.title_folded,
            description = excluded.description, category = excluded.category, sku_ids = excluded.sku_ids,
            version = excluded.version
            WHERE excluded.version > products.version",
        |columns, (row, version)| {
            columns
                .push_bind(row.id.uuid())
                .push_bind(row.vendor_id.uuid())
                .push_bind(row.title.clone())
                .push_bind(row.title.to_lowercase())
                .push_bind(row.description.clone())
                .push_bind(row.category.clone())
                .push_bind(Moment(row.created_at))
                .push_bind(SkuIds(row.sku_ids.clone()))
                .push_bind(*version);
        },
    )
    .await?;
    insert(
        connection,
        "INSERT INTO skus (id, vendor_id, product_id, code, title, price_minor, currency, received, on_hand, held, version) ",
        &rows_of(entities, |rows| &rows.skus),
        " ON CONFLICT (id) DO UPDATE SET code = excluded.code, title = excluded.title, price_minor = excluded.price_minor,
            currency = excluded.currency, received = excluded.received, on_hand = excluded.on_hand, held = excluded.held,
            version = excluded.version
            WHERE excluded.version > skus.version",
        |columns, (row, version)| {
            columns
                .push_bind(row.id.uuid())
                .push_bind(row.vendor_id.uuid())
                .push_bind(row.product_id.uuid())
                .push_bind(row.code.clone())
                .push_bind(row.title.clone())
                .push_bind(row.price_minor)
                .push_bind(row.currency.code())
                .push_bind(row.received)
                .push_bind(row.on_hand)
                .push_bind(row.held)
                .push_bind(*version);
        },
    )
    .await
}

async fn order_rows(connection: &mut SqliteConnection, orders: &[(&OrderRow, i64)]) -> Result<(), sqlx::Error> {
    insert(
        connection,
        "INSERT INTO orders (id, cart_id, attempt, customer_id, status, currency, total, cancelled, paid, refunded, total_due,
            placed_at, payment_due_at, mail_key, version) ",
        orders,
        " ON CONFLICT (id) DO UPDATE SET status = excluded.status, total = excluded.total, cancelled = excluded.cancelled,
            paid = excluded.paid, refunded = excluded.refunded, total_due = excluded.total_due,
            payment_due_at = excluded.payment_due_at, version = excluded.version
            WHERE excluded.version > orders.version",
        |columns, (row, version)| {
            columns
                .push_bind(row.id.uuid())
                .push_bind(row.cart_id.uuid())
                .push_bind(i64::from(row.attempt))
                .push_bind(row.customer_id.map(CustomerId::uuid))
                .push_bind(row.status.name())
                .push_bind(row.currency.code())
                .push_bind(row.total)
                .push_bind(row.cancelled)
                .push_bind(row.paid)
                .push_bind(row.refunded)
                .push_bind(row.total_due)
                .push_bind(Moment(row.placed_at))
                .push_bind(Moment(row.payment_due_at))
                .push_bind(row.mail_key.map(|key| Uuid::from_bytes(key.0)))
                .push_bind(*version);
        },
    )
    .await?;
    insert(
        connection,
        "INSERT INTO payments (order_id, method, status, currency, captured, refunded, version) ",
        orders,
        " ON CONFLICT (order_id) DO UPDATE SET method = excluded.method, status = excluded.status,
            captured = excluded.captured, refunded = excluded.refunded, version = excluded.version
            WHERE excluded.version > payments.version",
        |columns, (row, version)| {
            columns
                .push_bind(row.id.uuid())
                .push_bind(row.payment_method.clone())
                .push_bind(row.payment_status.name())
                .push_bind(row.currency.code())
                .push_bind(row.paid)
                .push_bind(row.refunded)
                .push_bind(*version);
        },
    )
    .await?;
    let mut shares = Vec::with_capacity(orders.len());
    let mut lines = Vec::with_capacity(orders.len());
    for (order, version) in orders {
        shares.extend((0i64..).zip(&order.sub_orders).map(|(position, share)| (*order, position, share, *version)));
        lines.extend((0i64..).zip(&order.lines).map(|(position, line)| (*order, position, line, *version)));
    }
    insert(
        connection,
        "INSERT INTO sub_orders (id, order_id, vendor_id, position, status, currency, total, placed_at, version) ",
        &shares,
        " ON CONFLICT (id) DO UPDATE SET status = excluded.status, total = excluded.total, version = excluded.version
            WHERE excluded.version > sub_orders.version",
        |columns, (order, position, share, version)| {
            columns
                .push_bind(share.id.uuid())
                .push_bind(order.id.uuid())
                .push_bind(share.vendor_id.uuid())
                .push_bind(*position)
                .push_bind(share.status.name())
                .push_bind(order.currency.code())
                .push_bind(share.total)
                .push_bind(Moment(order.placed_at))
                .push_bind(*version);
        },
    )
    .await?;
    insert(
        connection,
        "INSERT INTO order_lines (order_id, sku_id, vendor_id, position, title, quantity, unit_price, currency, line_total,
            version) ",
        &lines,
        " ON CONFLICT (order_id, sku_id) DO UPDATE SET quantity = excluded.quantity, unit_price = excluded.unit_price,
            line_total = excluded.line_total, version = excluded.version
            WHERE excluded.version > order_lines.version",
        |columns, (order, position, line, version)| {
            columns
                .push_bind(order.id.uuid())
                .push_bind(line.sku_id.uuid())
                .push_bind(line.vendor_id.uuid())
                .push_bind(*position)
                .push_bind(line.title.clone())
                .push_bind(line.quantity)
                .push_bind(line.unit_price)
                .push_bind(order.currency.code())
                .push_bind(line.line_total)
                .push_bind(*version);
        },
    )
    .await
}

/// What triggers see to on Postgres: an order's lines and shares add up to it. Says which one's do not.
async fn order_that_does_not_add_up(
    connection: &mut SqliteConnection,
    orders: &[(&OrderRow, i64)],
) -> Result<Option<String>, sqlx::Error> {
    for group in orders.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT total, lines, shares FROM (
                SELECT total,
                    (SELECT COALESCE(sum(line_total), 0) FROM order_lines WHERE order_id = orders.id) AS lines,
                    (SELECT COALESCE(sum(total), 0) FROM sub_orders WHERE order_id = orders.id) AS shares
                FROM orders WHERE id IN (",
        );
        let mut ids = query.separated(", ");
        for (order, _) in group {
            ids.push_bind(order.id.uuid());
        }
        query.push(")) WHERE total <> lines OR total <> shares LIMIT 1");
        let wrong: Option<(i64, i64, i64)> =
            query.build_query_as().persistent(group.len() == ROWS).fetch_optional(&mut *connection).await?;
        if let Some((total, lines, shares)) = wrong {
            return Ok(Some(format!("order_adds_up: total {total}, lines {lines}, shares {shares}")));
        }
    }
    Ok(None)
}

/// Moves checkpoints forward, never back; whether all of these partitions are still ours.
pub(super) async fn advance(
    connection: &mut SqliteConnection,
    owned: &[Partition],
    advance: &[(u16, u64)],
) -> Result<bool, sqlx::Error> {
    for (id, seq) in advance {
        let epoch = owned.iter().find(|own| own.id == *id).map_or(-1, |own| big(own.epoch));
        let advanced =
            sqlx::query("UPDATE partition SET checkpoint_seq = max(checkpoint_seq, $1) WHERE id = $2 AND epoch = $3")
                .bind(big(*seq))
                .bind(i64::from(*id))
                .bind(epoch)
                .execute(&mut *connection)
                .await?;
        if advanced.rows_affected() != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Notes that the rows of this entity were refused.
pub(super) async fn mark_rejected(
    connection: &mut SqliteConnection,
    delta: &EntityDelta,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO refused_rows (kind, entity, version, reason, at)
         VALUES ($1, $2, $3, $4, CAST(unixepoch('subsec') * 1000 AS INTEGER))
         ON CONFLICT (kind, entity) DO UPDATE SET version = excluded.version, reason = excluded.reason, at = excluded.at",
    )
    .bind(delta.entity.kind.name())
    .bind(delta.entity.uuid)
    .bind(big(delta.version))
    .bind(reason)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Counters never come near 63 bits.
fn big(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}
