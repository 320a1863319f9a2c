//! What a checkpoint writes with on `SQLite`: statements of many rows each.
//!
//! Foreign keys are checked at once here, not at the end as on Postgres: parents are written before their children.

use super::remakes;
use crate::domain::ids::{EntityRef, Kind};
use crate::domain::rows::{CouponRow, CustomerRow, OrderRow, ProductRow, Rows, SaleRow, SkuRow, VendorRow};
use crate::limits;
use crate::persistence::table::{Cell, Cells, Sort, Stamp, Table, names, on_conflict, stamp_names};
use crate::persistence::tables::{ParcelOf, ReturnOf, ShareOf};
use crate::persistence::values::{Moment, Uuids};
use crate::ports::{CursorMove, EntityDelta, Partition, StoreError};
use sqlx::query_builder::Separated;
use sqlx::sqlite::{Sqlite, SqliteConnection, SqliteRow};
use sqlx::{Connection, QueryBuilder, Row, Transaction};
use std::borrow::{Borrow, Cow};
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

/// Moves a follower's cursors, each from where it must stand; whether all did.
pub(super) async fn move_cursors(
    connection: &mut SqliteConnection,
    follower: &str,
    moves: &[CursorMove],
) -> Result<bool, sqlx::Error> {
    for (partition, from, to) in moves {
        let moved =
            sqlx::query("UPDATE follower_cursor SET seq = $4 WHERE follower = $1 AND partition = $2 AND seq = $3")
                .bind(follower)
                .bind(i64::from(*partition))
                .bind(big(*from))
                .bind(big(*to))
                .execute(&mut *connection)
                .await?;
        if moved.rows_affected() != 1 {
            return Ok(false);
        }
    }
    Ok(true)
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

/// The rows of one table, each with the stamp of its entity.
fn rows_of<'a, T>(entities: &'a [EntityDelta], table: fn(&'a Rows) -> &'a [T]) -> Vec<(&'a T, Stamp)> {
    let stamp = |delta: &EntityDelta| Stamp { version: big(delta.version), shape: delta.shape };
    entities.iter().flat_map(|delta| table(&delta.rows).iter().map(move |row| (row, stamp(delta)))).collect()
}

/// Writes the rows of these entities, which are all they have where `all_rows` says so. What is refused comes back as an error, or as a reason when no constraint can see it.
pub(super) async fn rows(
    connection: &mut SqliteConnection,
    entities: &[EntityDelta],
    _all_known: bool,
    all_rows: bool,
) -> Result<Option<String>, sqlx::Error> {
    write::<VendorRow>(connection, &rows_of(entities, |rows| &rows.vendors)).await?;
    write::<ProductRow>(connection, &rows_of(entities, |rows| &rows.products)).await?;
    write::<SkuRow>(connection, &rows_of(entities, |rows| &rows.skus)).await?;
    write::<CouponRow>(connection, &rows_of(entities, |rows| &rows.coupons)).await?;
    write::<SaleRow>(connection, &rows_of(entities, |rows| &rows.sales)).await?;
    write::<CustomerRow>(connection, &rows_of(entities, |rows| &rows.customers)).await?;
    let orders = rows_of(entities, |rows| &rows.orders);
    write::<OrderRow>(connection, &orders).await?;
    let shares = orders.iter().flat_map(|(order, stamp)| ShareOf::all(order).map(|share| (share, *stamp)));
    write::<ShareOf<'_>>(connection, &shares.collect::<Vec<_>>()).await?;
    let parcels = orders.iter().flat_map(|(order, stamp)| ParcelOf::all(order).map(|parcel| (parcel, *stamp)));
    write::<ParcelOf<'_>>(connection, &parcels.collect::<Vec<_>>()).await?;
    let returns = orders.iter().flat_map(|(order, stamp)| ReturnOf::all(order).map(|known| (known, *stamp)));
    write::<ReturnOf<'_>>(connection, &returns.collect::<Vec<_>>()).await?;
    if all_rows {
        remakes::delete_former(connection, entities).await?;
    }
    order_that_does_not_add_up(connection, &orders).await
}

/// Writes these rows, each with the stamp of its entity.
async fn write<T: Table + Sync>(
    connection: &mut SqliteConnection,
    rows: &[(impl Borrow<T> + Sync, Stamp)],
) -> Result<(), sqlx::Error> {
    insert_rows(connection, rows, &on_conflict::<T>()).await
}

/// Writes rows that are never written again.
pub(super) async fn append<T: Table + Sync>(
    connection: &mut SqliteConnection,
    rows: &[(impl Borrow<T> + Sync, Stamp)],
) -> Result<(), sqlx::Error> {
    insert_rows(connection, rows, "").await
}

async fn insert_rows<T: Table + Sync>(
    connection: &mut SqliteConnection,
    rows: &[(impl Borrow<T> + Sync, Stamp)],
    on_conflict: &str,
) -> Result<(), sqlx::Error> {
    let into = format!("INSERT INTO {} ({}, {}) ", T::NAME, names::<T>(""), stamp_names::<T>().join(", "));
    for group in rows.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new(&into);
        query.push_values(group, |mut columns, (row, stamp)| {
            row.borrow().cells(&mut |cell| match cell {
                Cell::Uuid(uuid) => drop(columns.push_bind(uuid)),
                Cell::Integer(number) => drop(columns.push_bind(number)),
                Cell::Text(text) => drop(columns.push_bind(text.map(Cow::into_owned))),
                Cell::Moment(at) => drop(columns.push_bind(Moment(at))),
                Cell::Uuids(uuids) => drop(columns.push_bind(Uuids(uuids))),
                Cell::Document(text) => drop(columns.push_bind(text)),
            });
            columns.push_bind(stamp.version);
            if T::OWNER.is_some() {
                columns.push_bind(i64::from(stamp.shape));
            }
        });
        query.push(on_conflict);
        query.build().persistent(group.len() == ROWS).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The columns of a table as a query names them.
pub(super) fn selected<T: Table>(prefix: &str) -> String {
    names::<T>(prefix)
}

/// A row whose first columns are a table's.
struct Selected<'r> {
    row: &'r SqliteRow,
    next: usize,
}

impl Cells for Selected<'_> {
    fn next(&mut self, sort: Sort) -> Result<Cell<'static>, StoreError> {
        let (row, at) = (self.row, self.next);
        self.next += 1;
        let cell = match sort {
            Sort::Uuid => row.try_get(at).map(Cell::Uuid),
            Sort::Integer => row.try_get(at).map(Cell::Integer),
            Sort::Text => row.try_get::<Option<String>, _>(at).map(|text| Cell::Text(text.map(Into::into))),
            Sort::Moment => row.try_get::<Moment, _>(at).map(|moment| Cell::Moment(moment.0)),
            Sort::Uuids => row.try_get::<Uuids, _>(at).map(|uuids| Cell::Uuids(uuids.0)),
            Sort::Document => row.try_get(at).map(Cell::Document),
        };
        cell.map_err(crate::persistence::slot::store_error)
    }
}

/// Reads a row whose first columns are [`selected`].
pub(super) fn read<T: Table>(row: &SqliteRow) -> Result<T::Row, StoreError> {
    T::read(&mut Selected { row, next: 0 })
}

/// What triggers see to on Postgres: an order's lines and shares add up to it, and no line is without its share. Says which one's do not.
async fn order_that_does_not_add_up(
    connection: &mut SqliteConnection,
    orders: &[(&OrderRow, Stamp)],
) -> Result<Option<String>, sqlx::Error> {
    for group in orders.chunks(ROWS) {
        let mut query = QueryBuilder::<Sqlite>::new("WITH head AS (SELECT * FROM orders WHERE id IN (");
        let mut ids = query.separated(", ");
        for (order, _) in group {
            ids.push_bind(order.id.uuid());
        }
        query.push(WHAT_DOES_NOT_ADD_UP);
        let wrong: Option<(String, String)> =
            query.build_query_as().persistent(group.len() == ROWS).fetch_optional(&mut *connection).await?;
        if let Some((broken, figures)) = wrong {
            return Ok(Some(format!("{broken}: {figures}")));
        }
    }
    Ok(None)
}

/// The rules that `haat_check` has on Postgres, in the same order of precedence.
const WHAT_DOES_NOT_ADD_UP: &str = ")),
    line AS (
        SELECT head.id AS order_id, replace(line.value ->> 'vendor', '-', '') AS vendor, line.value ->> 'quantity' AS quantity,
            line.value ->> 'unit_price' AS unit_price, line.value ->> 'line_total' AS line_total,
            COALESCE(line.value -> 'billed' ->> 'payable', line.value ->> 'line_total') AS payable,
            COALESCE(line.value ->> 'credited_amount', 0) AS credited_amount
        FROM head, json_each(head.document, '$.lines') AS line),
    lines AS (
        SELECT order_id, sum(payable) AS total, sum(credited_amount) AS credited, min(quantity) AS quantity,
            min(COALESCE(line_total = quantity * unit_price, 0)) AS multiply,
            min(COALESCE(vendor, '') IN (SELECT lower(hex(vendor_id)) FROM sub_orders WHERE sub_orders.order_id = line.order_id))
                AS have_shares
        FROM line GROUP BY order_id),
    shares AS (
        SELECT order_id, sum(total) AS total, sum(credited) AS credited, sum(rounding) AS rounding, sum(paid) AS paid,
            sum(refunded) AS refunded, sum(total_due) AS total_due, sum(refund_due) AS refund_due
        FROM sub_orders WHERE order_id IN (SELECT id FROM head) GROUP BY order_id)
    SELECT broken, figures FROM (
        SELECT
            CASE
                WHEN NOT lines.have_shares THEN 'violates foreign key constraint line_of_a_share'
                WHEN lines.quantity <= 0 THEN 'quantity_positive'
                WHEN NOT lines.multiply THEN 'line_total_multiplies'
                WHEN (head.total, head.credited) <> (
                    COALESCE(lines.total, 0) + COALESCE(head.document -> 'bill' ->> 'besides', 0),
                    COALESCE(lines.credited, 0) + COALESCE(head.document -> 'bill' ->> 'besides_credited', 0))
                    OR (head.total, head.credited, head.rounding, head.paid, head.refunded, head.total_due, head.refund_due)
                        <> (COALESCE(shares.total, 0), COALESCE(shares.credited, 0), COALESCE(shares.rounding, 0),
                            COALESCE(shares.paid, 0), COALESCE(shares.refunded, 0), COALESCE(shares.total_due, 0),
                            COALESCE(shares.refund_due, 0))
                    THEN 'order_adds_up'
            END AS broken,
            format('it says {%d,%d,%d,%d,%d,%d,%d}, its lines {%d,%d}, its shares {%d,%d,%d,%d,%d,%d,%d}', head.total,
                head.credited, head.rounding, head.paid, head.refunded, head.total_due, head.refund_due, lines.total,
                lines.credited, shares.total, shares.credited, shares.rounding, shares.paid, shares.refunded, shares.total_due,
                shares.refund_due) AS figures
        FROM head LEFT JOIN lines ON lines.order_id = head.id LEFT JOIN shares ON shares.order_id = head.id)
    WHERE broken IS NOT NULL LIMIT 1";

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
    entity: EntityRef,
    version: i64,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO refused_rows (kind, entity, version, reason, at)
         VALUES ($1, $2, $3, $4, CAST(unixepoch('subsec') * 1000 AS INTEGER))
         ON CONFLICT (kind, entity) DO UPDATE SET version = excluded.version, reason = excluded.reason, at = excluded.at",
    )
    .bind(entity.kind.name())
    .bind(entity.uuid)
    .bind(version)
    .bind(reason)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Counters never come near 63 bits.
pub(super) fn big(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}
