//! The course of a checkpoint: the same on both stores. What it upserts with stands beside each store.

use super::{
    Db, FRESH_IS_INSERTED, Inner, LOOKUPS_STAY_PREPARED, SLICE_ENTITIES, SLICE_PIECES, details, remakes, upserts,
};
use crate::domain::details::DetailName;
use crate::domain::ids::{EntityRef, Kind};
use crate::domain::rows::{OrderRow, Rows, Shapes};
use crate::persistence::slot::{ErrorKind, kind};
use crate::persistence::values::Moment;
use crate::ports::{
    CheckpointWrite, Checkpoints, EntityDelta, Partition, RejectedRows, Remake, Remaking, StoreError, WakeAt, Written,
};
use async_trait::async_trait;
use sqlx::{Acquire, AssertSqlSafe, Transaction};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// Entities in one statement at most.
const CHUNK_ENTITIES: usize = 2_000;
/// Parts and rows in one statement at most, unless a single entity has more.
const CHUNK_PIECES: usize = 20_000;

/// Entities whose wakes one transaction puts right.
const WAKES_AT_ONCE: usize = 500;

/// All that checkpoints write, what refers to another before that.
const TABLES: [&str; 12] = [
    "refused_rows",
    "shipments",
    "returns",
    "sub_orders",
    "orders",
    "sales",
    "skus",
    "products",
    "vendors",
    "customers",
    "coupons",
    "snapshot",
];

/// The newest version of each entity whose rows are marked as refused.
type Marked = BTreeMap<(String, Uuid), i64>;

#[async_trait]
impl Checkpoints for Inner {
    async fn write(&self, write: CheckpointWrite<'_>) -> Result<Written, StoreError> {
        let mut all = Written::default();
        let mut rest = write.entities;
        loop {
            let (slice, after) = rest.split_at(slice_of(rest, SLICE_ENTITIES, SLICE_PIECES));
            rest = after;
            let slice = match rest.is_empty() {
                true => CheckpointWrite { entities: slice, ..write },
                // How far it has come is told by the last one.
                false => CheckpointWrite {
                    owned: write.owned,
                    entities: slice,
                    advance: &[],
                    remake: write.remake.map(|_| Remake::default()),
                },
            };
            let written = self.write_slice(slice).await?;
            all.refused.extend(written.refused);
            all.to_remake.extend(written.to_remake);
            if rest.is_empty() {
                break;
            }
        }
        self.tidy_up_after(write.advance).await;
        Ok(all)
    }

    async fn set_wakes(&self, owned: &[Partition], wakes: &[WakeAt]) -> Result<(), StoreError> {
        for slice in wakes.chunks(WAKES_AT_ONCE) {
            let mut held = self.checkpointer().await?;
            let set = async {
                let mut transaction = upserts::begin(held.connection()).await?;
                let ours = upserts::lock_owned(&mut transaction, owned).await?;
                if ours {
                    for wake in slice {
                        set_wake(&mut transaction, wake).await?;
                    }
                }
                transaction.commit().await?;
                Ok(ours)
            };
            let outcome = tokio::time::timeout(self.checkpoint_timeout, set).await;
            if !held.settle_timed(outcome)? {
                return Err(StoreError::Fenced);
            }
        }
        Ok(())
    }

    async fn clear(&self, owned: &[Partition], shapes: &Shapes) -> Result<(), StoreError> {
        let mut held = self.checkpointer().await?;
        let cleared = async {
            let mut transaction = upserts::begin(held.connection()).await?;
            let ours = upserts::lock_owned(&mut transaction, owned).await?;
            let bases: Vec<(i16, i64)> =
                sqlx::query_as("SELECT id, base_seq FROM partition").fetch_all(&mut *transaction).await?;
            // What has been moved to an archive since they were taken could not be made anew without it.
            let moved = bases.iter().any(|(id, base)| {
                owned.iter().any(|own| i64::from(own.id) == i64::from(*id) && u64::try_from(*base) != Ok(own.base_seq))
            });
            if moved {
                return Ok(None);
            }
            if ours {
                for table in TABLES {
                    sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut *transaction).await?;
                }
                sqlx::query("UPDATE partition SET checkpoint_seq = 0").execute(&mut *transaction).await?;
                for kind in Kind::ALL.into_iter().filter(|kind| shapes.of(*kind) > 0) {
                    remakes::note(&mut transaction, Remaking::done(kind, shapes.of(kind))).await?;
                }
            }
            transaction.commit().await?;
            Ok(Some(ours))
        };
        let outcome = tokio::time::timeout(self.checkpoint_timeout, cleared).await;
        match held.settle_timed(outcome)? {
            Some(true) => Ok(()),
            Some(false) => Err(StoreError::Fenced),
            None => Err(StoreError::Invalid("frames were moved to an archive meanwhile: begin again".into())),
        }
    }

    async fn remaking(&self) -> Result<Vec<Remaking>, StoreError> {
        self.read_remaking().await
    }

    async fn marked(&self, kind: Kind, after: Option<Uuid>, limit: u32) -> Result<Vec<EntityRef>, StoreError> {
        self.read_marked(kind, after, limit).await
    }
}

impl Inner {
    /// One transaction.
    async fn write_slice(&self, slice: CheckpointWrite<'_>) -> Result<Written, StoreError> {
        let mut held = self.checkpointer().await?;
        let written = async {
            let mut transaction = upserts::begin(held.connection()).await?;
            let outcome = fill(&mut transaction, slice).await?;
            match &outcome {
                Some(_) => transaction.commit().await?,
                None => transaction.rollback().await?,
            }
            Ok(outcome)
        };
        let outcome = tokio::time::timeout(self.checkpoint_timeout, written).await;
        held.settle_timed(outcome)?.ok_or(StoreError::Fenced)
    }
}

/// `None` when the partitions are another's.
async fn fill(
    transaction: &mut Transaction<'_, Db>,
    slice: CheckpointWrite<'_>,
) -> Result<Option<Written>, sqlx::Error> {
    let CheckpointWrite { owned, entities, advance, remake } = slice;
    if !upserts::lock_owned(transaction, owned).await? {
        return Ok(None);
    }
    let marked: Marked = sqlx::query_as("SELECT kind, entity, version FROM refused_rows")
        .fetch_all(&mut **transaction)
        .await?
        .into_iter()
        .map(|(kind, entity, version)| ((kind, entity), version))
        .collect();
    let mut written = Written::default();
    for chunk in chunks(entities) {
        if remake.is_none() {
            write_parts(transaction, chunk).await?;
            delete_spent(transaction, chunk).await?;
        }
        write_rows(transaction, chunk, remake.is_some(), &marked, &mut written).await?;
    }
    if let Some(Remake { unreadable, progress }) = remake {
        for (version, RejectedRows { entity, reason }) in unreadable {
            upserts::mark_rejected(transaction, *entity, signed(*version), reason).await?;
        }
        if let Some(progress) = progress {
            remakes::note(transaction, progress).await?;
        }
    }
    if advance.is_empty() || upserts::advance(transaction, owned, advance).await? {
        Ok(Some(written))
    } else {
        Ok(None)
    }
}

/// Writes the parts of all these entities but those of which there is something newer.
async fn write_parts(transaction: &mut Transaction<'_, Db>, chunk: &[EntityDelta]) -> Result<(), sqlx::Error> {
    let (fresh, mut known): (Vec<&EntityDelta>, Vec<&EntityDelta>) =
        chunk.iter().partition(|delta| delta.fresh && FRESH_IS_INSERTED);
    if !fresh.is_empty() {
        let mut attempt = transaction.begin().await?;
        match upserts::parts(&mut attempt, &fresh, true).await {
            Ok(()) => attempt.commit().await?,
            Err(error) if kind(&error) == ErrorKind::Duplicate => {
                attempt.rollback().await?;
                tracing::warn!(%error, "an entity was taken for new and is not: all are looked up");
                known = chunk.iter().collect();
            }
            Err(error) => return Err(error),
        }
    }
    if !known.is_empty() {
        let newer = upserts::newer_heads(transaction, &known).await?;
        known.retain(|delta| !newer.contains(&delta.entity));
        upserts::parts(transaction, &known, false).await?;
    }
    Ok(())
}

/// Deletes the details that these entities need no more.
async fn delete_spent(transaction: &mut Transaction<'_, Db>, chunk: &[EntityDelta]) -> Result<(), sqlx::Error> {
    for name in DetailName::ALL {
        let spent = chunk.iter().filter(|delta| delta.spent.contains(&name));
        let orders: Vec<Uuid> = spent.map(|delta| delta.entity.uuid).collect();
        if !orders.is_empty() {
            details::delete(transaction, &orders, name).await?;
        }
    }
    Ok(())
}

/// Writes the rows of all these entities, or all their rows; where constraints refuse some, halves the entities until each is singled out.
async fn write_rows(
    transaction: &mut Transaction<'_, Db>,
    chunk: &[EntityDelta],
    all_rows: bool,
    marked: &Marked,
    written: &mut Written,
) -> Result<(), sqlx::Error> {
    let mut waiting = vec![chunk];
    let mut all_known = !FRESH_IS_INSERTED;
    while let Some(entities) = waiting.pop() {
        let mut attempt = transaction.begin().await?;
        let reason = match upserts::rows(&mut attempt, entities, all_known, all_rows).await {
            Ok(None) => {
                attempt.commit().await?;
                for delta in entities {
                    let key = (delta.entity.kind.name().to_owned(), delta.entity.uuid);
                    if marked.get(&key).is_none_or(|version| signed(delta.version) < *version) {
                        continue;
                    }
                    // What was refused stands in no other delta: it is there only when all rows are.
                    match all_rows {
                        true => unmark(transaction, delta.entity).await?,
                        // What gave no rows makes no other row possible.
                        false if delta.rows == Rows::default() => {}
                        false => written.to_remake.push(delta.entity),
                    }
                }
                continue;
            }
            Ok(Some(reason)) => reason,
            // Rows may be there that were taken for new. A key that is given twice is refused the second time, too.
            Err(error) if kind(&error) == ErrorKind::Duplicate && !all_known => {
                attempt.rollback().await?;
                all_known = true;
                waiting.push(entities);
                continue;
            }
            Err(error) => reason_of(error)?,
        };
        attempt.rollback().await?;
        if let [delta] = entities {
            upserts::mark_rejected(transaction, delta.entity, signed(delta.version), &reason).await?;
            written.refused.push(RejectedRows { entity: delta.entity, reason });
        } else {
            let (first, second) = entities.split_at(entities.len() / 2);
            waiting.extend([second, first]);
        }
    }
    Ok(())
}

/// What a constraint says, or the error when it is of another kind.
fn reason_of(error: sqlx::Error) -> Result<String, sqlx::Error> {
    match (kind(&error), error) {
        (ErrorKind::Refused | ErrorKind::Duplicate, sqlx::Error::Database(error)) => Ok(error.message().to_owned()),
        (ErrorKind::Refused, error) => Ok(error.to_string()),
        (_, error) => Err(error),
    }
}

async fn set_wake(transaction: &mut Transaction<'_, Db>, wake: &WakeAt) -> Result<(), sqlx::Error> {
    let WakeAt { entity, version, wake_at } = wake;
    let set =
        sqlx::query("UPDATE snapshot SET wake_at = $1 WHERE kind = $2 AND entity = $3 AND part = '' AND version = $4");
    let set = set.persistent(LOOKUPS_STAY_PREPARED).bind(wake_at.map(Moment)).bind(entity.kind.name());
    let set = set.bind(entity.uuid).bind(i64::try_from(*version).unwrap_or(i64::MAX));
    set.execute(&mut **transaction).await.map(|_| ())
}

async fn unmark(transaction: &mut Transaction<'_, Db>, entity: EntityRef) -> Result<(), sqlx::Error> {
    let delete = sqlx::query("DELETE FROM refused_rows WHERE kind = $1 AND entity = $2");
    let delete = delete.persistent(LOOKUPS_STAY_PREPARED).bind(entity.kind.name()).bind(entity.uuid);
    delete.execute(&mut **transaction).await.map(|_| ())
}

/// A version as a column holds it. It counts an entity's records one by one, and so never comes near 63 bits.
fn signed(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// How many of these entities one transaction takes.
fn slice_of(entities: &[EntityDelta], most: usize, pieces: usize) -> usize {
    let mut sum = 0;
    let fits = |delta: &&EntityDelta| {
        sum += pieces_of(delta);
        sum <= pieces
    };
    entities.iter().take(most).take_while(fits).count().max(1).min(entities.len())
}

/// Cuts the entities into runs that one statement each can take: not too long, and no entity twice.
fn chunks(entities: &[EntityDelta]) -> Vec<&[EntityDelta]> {
    let mut chunks = Vec::new();
    let (mut start, mut pieces, mut seen) = (0, 0, HashSet::new());
    for (index, delta) in entities.iter().enumerate() {
        let more = pieces_of(delta);
        let full = index - start >= CHUNK_ENTITIES || pieces + more > CHUNK_PIECES;
        if index > start && (full || seen.contains(&delta.entity)) {
            chunks.push(&entities[start..index]);
            (start, pieces) = (index, 0);
            seen.clear();
        }
        pieces += more;
        seen.insert(delta.entity);
    }
    if start < entities.len() {
        chunks.push(&entities[start..]);
    }
    chunks
}

fn pieces_of(delta: &EntityDelta) -> usize {
    let rows = &delta.rows;
    let of_order =
        |order: &OrderRow| 1 + order.sub_orders.len() + order.lines.len() + order.shipments.len() + order.returns.len();
    let of_orders: usize = rows.orders.iter().map(of_order).sum();
    let of_vendors = rows.vendors.len() + rows.products.len() + rows.skus.len() + rows.sales.len();
    delta.parts.len() + of_vendors + rows.customers.len() + rows.coupons.len() + of_orders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::entity::Part;
    use crate::domain::ids::Kind;

    #[test]
    fn a_transaction_ends_at_its_pieces_and_at_its_entities_and_takes_at_least_one() {
        let of = |parts: usize| EntityDelta {
            entity: EntityRef { kind: Kind::Vendor, uuid: Uuid::from_u128(parts as u128) },
            version: 1,
            wake_at: None,
            parts: vec![Part { name: String::new(), state: None }; parts],
            rows: Rows::default(),
            shape: 1,
            spent: &[],
            fresh: false,
        };
        let entities = [of(9), of(1), of(2), of(3), of(1), of(1)];
        assert_eq!(slice_of(&entities, 3, 5), 1, "one that is too large goes alone");
        assert_eq!(slice_of(&entities[1..], 3, 5), 2);
        assert_eq!(slice_of(&entities[3..], 2, 5), 2);
        assert_eq!(slice_of(&[], 2, 5), 0);
    }
}
