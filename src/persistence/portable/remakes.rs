//! Remakes of rows: how far they have come, what they delete, and what waits for them. The same SQL on both stores.

use super::upserts::big;
use super::{Db, Inner, LOOKUPS_STAY_PREPARED};
use crate::domain::ids::{EntityRef, Kind};
use crate::domain::rows::{CouponRow, CustomerRow, OrderRow, ProductRow, SaleRow, SkuRow, VendorRow};
use crate::persistence::slot::within;
use crate::persistence::table::{Column, Owner, Table, column, unknown};
use crate::persistence::tables::{ParcelOf, ReturnOf, ShareOf};
use crate::ports::{EntityDelta, Remaking, StoreError};
use sqlx::QueryBuilder;
use uuid::Uuid;

/// Entities in one statement that deletes.
const ENTITIES: usize = 64;

/// Writes down how the rows of a kind stand.
pub(super) async fn note(
    connection: &mut <Db as sqlx::Database>::Connection,
    remaking: Remaking,
) -> Result<(), sqlx::Error> {
    let Remaking { kind, complete, aim, reached } = remaking;
    sqlx::query(
        "INSERT INTO remaking (kind, complete, aim, reached) VALUES ($1, $2, $3, $4)
         ON CONFLICT (kind) DO UPDATE SET complete = excluded.complete, aim = excluded.aim, reached = excluded.reached",
    )
    .bind(kind.name())
    .bind(i64::from(complete))
    .bind(i64::from(aim))
    .bind(reached)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Deletes the rows of these entities that are of an older shape than theirs, and of no newer version: all that they give is of theirs by now.
/// Whether there were any. What refers to another goes before it.
pub(super) async fn delete_former(
    connection: &mut <Db as sqlx::Database>::Connection,
    entities: &[EntityDelta],
) -> Result<bool, sqlx::Error> {
    let mut deleted = delete_from::<ParcelOf<'_>>(connection, entities).await?;
    deleted |= delete_from::<ReturnOf<'_>>(connection, entities).await?;
    deleted |= delete_from::<ShareOf<'_>>(connection, entities).await?;
    deleted |= delete_from::<OrderRow>(connection, entities).await?;
    deleted |= delete_from::<SaleRow>(connection, entities).await?;
    deleted |= delete_from::<SkuRow>(connection, entities).await?;
    deleted |= delete_from::<ProductRow>(connection, entities).await?;
    deleted |= delete_from::<VendorRow>(connection, entities).await?;
    deleted |= delete_from::<CouponRow>(connection, entities).await?;
    deleted |= delete_from::<CustomerRow>(connection, entities).await?;
    Ok(deleted)
}

/// What deletes the rows of these entities that are of an older shape. The ids stand in a list of their own, too: by that they are looked for in
/// the index. SQLite reads the whole table for conditions with OR of which one cannot use an index.
pub(super) fn former_rows(table: &str, owner: &str, entities: &[&EntityDelta]) -> QueryBuilder<Db> {
    let mut query = QueryBuilder::<Db>::new(format!("DELETE FROM {table} WHERE {owner} IN ("));
    let mut ids = query.separated(", ");
    for delta in entities {
        ids.push_bind(delta.entity.uuid);
    }
    query.push(") AND (false");
    for delta in entities {
        query.push(format!(" OR ({owner} = ")).push_bind(delta.entity.uuid);
        query.push(" AND shape < ").push_bind(i64::from(delta.shape));
        query.push(" AND version <= ").push_bind(big(delta.version)).push(")");
    }
    query.push(")");
    query
}

async fn delete_from<T: Table>(
    connection: &mut <Db as sqlx::Database>::Connection,
    entities: &[EntityDelta],
) -> Result<bool, sqlx::Error> {
    let Some(Owner { kind, column }) = T::OWNER else { return Ok(false) };
    let of_kind: Vec<&EntityDelta> = entities.iter().filter(|delta| delta.entity.kind == kind).collect();
    let mut deleted = false;
    for some in of_kind.chunks(ENTITIES) {
        let gone = former_rows(T::NAME, column, some).build().persistent(false).execute(&mut *connection).await?;
        deleted |= gone.rows_affected() > 0;
    }
    Ok(deleted)
}

impl Inner {
    pub(super) async fn read_remaking(&self) -> Result<Vec<Remaking>, StoreError> {
        let query = sqlx::query_as::<_, (String, i64, i64, Option<Uuid>)>(
            "SELECT kind, complete, aim, reached FROM remaking ORDER BY kind",
        );
        let rows = within(self.query_timeout, query.fetch_all(&self.reads)).await?;
        rows.into_iter()
            .map(|(name, complete, aim, reached)| {
                let kind = Kind::from_name(&name).ok_or_else(|| unknown("kind", &name))?;
                Ok(Remaking { kind, complete: shape(complete)?, aim: shape(aim)?, reached })
            })
            .collect()
    }

    pub(super) async fn read_marked(
        &self,
        kind: Kind,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<EntityRef>, StoreError> {
        let query = sqlx::query_scalar::<_, Uuid>(
            "SELECT entity FROM refused_rows WHERE kind = $1 AND entity > $2 ORDER BY entity LIMIT $3",
        );
        // No id is the lowest there can be.
        let query = query.bind(kind.name()).bind(after.unwrap_or(Uuid::nil())).bind(i64::from(limit));
        let query = query.persistent(LOOKUPS_STAY_PREPARED).fetch_all(&self.reads);
        let found = within(self.query_timeout, query).await?;
        Ok(found.into_iter().map(|uuid| EntityRef { kind, uuid }).collect())
    }

    /// Whether a list may be filtered by these columns: those that a newer shape has brought are in every row only when all are remade.
    ///
    /// # Errors
    /// RowsIncomplete when one of them is not.
    pub(super) async fn may_filter_by<T: Table>(&self, columns: &[&str]) -> Result<(), StoreError> {
        let of = |name: &&str| -> &'static Column { column::<T>(name) };
        let since = columns.iter().map(of).map(|column| column.since).max().unwrap_or(0);
        // Most were there from the beginning: nobody need ask.
        let Some(Owner { kind, .. }) = T::OWNER.filter(|_| since > 0) else { return Ok(()) };
        let complete = sqlx::query_scalar::<_, i64>("SELECT complete FROM remaking WHERE kind = $1").bind(kind.name());
        let complete = within(self.query_timeout, complete.fetch_optional(&self.lists)).await?;
        match complete.map(shape).transpose()?.unwrap_or(0) {
            complete if complete < since => Err(StoreError::RowsIncomplete(kind)),
            _ => Ok(()),
        }
    }
}

fn shape(number: i64) -> Result<u32, StoreError> {
    number.try_into().map_err(|_| unknown("shape", &number.to_string()))
}
