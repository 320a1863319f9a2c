//! What a checkpoint writes with on Postgres, apart from rows: locks, snapshots, the checkpoint itself. One statement for all entities, its
//! columns as arrays.

use crate::domain::ids::{EntityRef, Kind};
use crate::persistence::values::Moment;
use crate::ports::{CursorMove, EntityDelta, Partition};
use sqlx::postgres::{PgConnection, Postgres};
use sqlx::{Connection, Transaction};
use std::collections::HashSet;
use uuid::Uuid;

pub(super) use super::rows::{append, read, rows, selected};
use super::{LOOKUPS_STAY_PREPARED, arrays};

/// FOR KEY SHARE keeps a new owner from raising the epoch (it takes the rows FOR UPDATE) and lets this owner renew its lease meanwhile.
const LOCK_OWNED: &str = "
    SELECT partition.id FROM partition JOIN UNNEST($1::smallint[], $2::bigint[]) AS taken (id, epoch) USING (id, epoch)
    ORDER BY partition.id FOR KEY SHARE OF partition";

/// OFFSET 0 keeps the planner from joining: it would read the whole table for a slice, while that is the cheaper way for a table of its size.
/// One look-up for each costs the same whatever the size.
const NEWER_HEADS: &str = "
    SELECT captured.kind, captured.entity
    FROM UNNEST($1::text[], $2::uuid[], $3::bigint[]) AS captured (kind, entity, version)
    CROSS JOIN LATERAL (
        SELECT version FROM snapshot WHERE kind = captured.kind AND entity = captured.entity AND part = '' OFFSET 0) AS head
    WHERE head.version > captured.version";

const INSERT_PARTS: &str = "
    INSERT INTO snapshot (kind, entity, part, partition, version, wake_at, state)
    SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::text[], $4::smallint[], $5::bigint[], $6::timestamptz[], $7::bytea[])";

const UPSERT_PARTS: &str = "
    INSERT INTO snapshot (kind, entity, part, partition, version, wake_at, state)
    SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::text[], $4::smallint[], $5::bigint[], $6::timestamptz[], $7::bytea[])
    ON CONFLICT (kind, entity, part) DO UPDATE
    SET version = excluded.version, wake_at = excluded.wake_at, state = excluded.state
    WHERE excluded.version > snapshot.version";

/// The arrays of both.
const PART_COLUMNS: usize = 7;

/// By the place of the row, which the look-ups give: nobody else writes snapshots meanwhile.
const DELETE_PARTS: &str = "
    DELETE FROM snapshot WHERE ctid = ANY (ARRAY(
        SELECT there.ctid
        FROM UNNEST($1::text[], $2::uuid[], $3::text[], $4::bigint[]) AS gone (kind, entity, part, version)
        CROSS JOIN LATERAL (
            SELECT ctid, version FROM snapshot WHERE kind = gone.kind AND entity = gone.entity AND part = gone.part OFFSET 0) AS there
        WHERE gone.version > there.version))";

/// In the order of ids, as a renewal of the lease does.
const ADVANCE: &str = "
    WITH ours AS (
        SELECT id, seq FROM partition JOIN UNNEST($1::smallint[], $2::bigint[], $3::bigint[]) AS advance (id, epoch, seq)
            USING (id, epoch)
        ORDER BY id FOR NO KEY UPDATE OF partition)
    UPDATE partition SET checkpoint_seq = GREATEST(checkpoint_seq, ours.seq)
    FROM ours WHERE partition.id = ours.id";

const MOVE_CURSORS: &str = "
    UPDATE follower_cursor SET seq = move.to_seq
    FROM UNNEST($2::smallint[], $3::bigint[], $4::bigint[]) AS move (partition, from_seq, to_seq)
    WHERE follower = $1 AND follower_cursor.partition = move.partition AND seq = move.from_seq";

const MARK_REJECTED: &str = "
    INSERT INTO refused_rows (kind, entity, version, reason, at) VALUES ($1, $2, $3, $4, clock_timestamp())
    ON CONFLICT (kind, entity) DO UPDATE SET version = excluded.version, reason = excluded.reason, at = excluded.at";

/// Begins a checkpoint's transaction.
pub(super) async fn begin(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    connection.begin().await
}

/// Moves a follower's cursors, each from where it must stand; whether all did.
pub(super) async fn move_cursors(
    connection: &mut PgConnection,
    follower: &str,
    moves: &[CursorMove],
) -> Result<bool, sqlx::Error> {
    let partitions: Vec<i16> = moves.iter().map(|(partition, ..)| small(*partition)).collect();
    let moved = sqlx::query(MOVE_CURSORS)
        .bind(follower)
        .bind(partitions)
        .bind(moves.iter().map(|(_, from, _)| big(*from)).collect::<Vec<_>>())
        .bind(moves.iter().map(|(.., to)| big(*to)).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(usize::try_from(moved.rows_affected()) == Ok(moves.len()))
}

/// Keeps the partitions for this transaction; whether all of them still have their epoch.
pub(super) async fn lock_owned(connection: &mut PgConnection, owned: &[Partition]) -> Result<bool, sqlx::Error> {
    let (ids, epochs): (Vec<i16>, Vec<i64>) = owned.iter().map(|own| (small(own.id), big(own.epoch))).unzip();
    let locked = sqlx::query(LOCK_OWNED).bind(ids).bind(epochs).fetch_all(connection).await?;
    Ok(locked.len() == owned.len())
}

/// Waits until every append that has begun has ended; those that begin from now on wait for this transaction. It waits a moment only, longer than a
/// vacuum takes to give way, so that no writer stands behind it for long.
pub(super) async fn wait_for_appends(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SET LOCAL lock_timeout = '1500ms'").execute(&mut *connection).await?;
    sqlx::query("LOCK TABLE journal IN SHARE ROW EXCLUSIVE MODE").execute(connection).await.map(|_| ())
}

/// Those of these entities whose head is newer in the store than here.
pub(super) async fn newer_heads(
    connection: &mut PgConnection,
    entities: &[&EntityDelta],
) -> Result<HashSet<EntityRef>, sqlx::Error> {
    let rows: Vec<(String, Uuid)> = sqlx::query_as(NEWER_HEADS)
        .persistent(LOOKUPS_STAY_PREPARED)
        .bind(entities.iter().map(|delta| delta.entity.kind.name()).collect::<Vec<_>>())
        .bind(entities.iter().map(|delta| delta.entity.uuid).collect::<Vec<_>>())
        .bind(entities.iter().map(|delta| big(delta.version)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let entity = |(kind, uuid): (String, Uuid)| Some(EntityRef { kind: Kind::from_name(&kind)?, uuid });
    Ok(rows.into_iter().filter_map(entity).collect())
}

/// Writes the parts that have a state and deletes those that have none. Of fresh entities there is nothing yet.
pub(super) async fn parts(
    connection: &mut PgConnection,
    entities: &[&EntityDelta],
    fresh: bool,
) -> Result<(), sqlx::Error> {
    write_parts(connection, if fresh { INSERT_PARTS } else { UPSERT_PARTS }, entities).await?;
    let parts = entities.iter().flat_map(|delta| delta.parts.iter().map(move |part| (*delta, part)));
    let gone: Vec<_> = parts.filter(|(_, part)| part.state.is_none()).collect();
    if !gone.is_empty() && !fresh {
        sqlx::query(DELETE_PARTS)
            .persistent(LOOKUPS_STAY_PREPARED)
            .bind(gone.iter().map(|(delta, _)| delta.entity.kind.name()).collect::<Vec<_>>())
            .bind(gone.iter().map(|(delta, _)| delta.entity.uuid).collect::<Vec<_>>())
            .bind(gone.iter().map(|(_, part)| part.name.as_str()).collect::<Vec<_>>())
            .bind(gone.iter().map(|(delta, _)| big(delta.version)).collect::<Vec<_>>())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Writes the parts that have a state.
async fn write_parts(
    connection: &mut PgConnection,
    sql: &'static str,
    entities: &[&EntityDelta],
) -> Result<(), sqlx::Error> {
    let parts = entities.iter().flat_map(|delta| delta.parts.iter().map(move |part| (*delta, part)));
    let there: Vec<_> = parts.filter_map(|(delta, part)| Some((delta, part, part.state.as_deref()?))).collect();
    if !there.is_empty() {
        let wake_at = |(delta, part, _): &(&EntityDelta, &crate::domain::entity::Part, &[u8])| {
            delta.wake_at.filter(|_| part.name.is_empty()).map(Moment)
        };
        sqlx::query_with(sql, arrays(PART_COLUMNS, there.iter().map(|(.., state)| state.len())))
            .bind(there.iter().map(|(delta, ..)| delta.entity.kind.name()).collect::<Vec<_>>())
            .bind(there.iter().map(|(delta, ..)| delta.entity.uuid).collect::<Vec<_>>())
            .bind(there.iter().map(|(_, part, _)| part.name.as_str()).collect::<Vec<_>>())
            .bind(there.iter().map(|(delta, ..)| partition_of(delta)).collect::<Vec<_>>())
            .bind(there.iter().map(|(delta, ..)| big(delta.version)).collect::<Vec<_>>())
            .bind(there.iter().map(wake_at).collect::<Vec<_>>())
            .bind(there.iter().map(|(.., state)| *state).collect::<Vec<_>>())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Moves checkpoints forward, never back; whether all of these partitions are still ours.
pub(super) async fn advance(
    connection: &mut PgConnection,
    owned: &[Partition],
    advance: &[(u16, u64)],
) -> Result<bool, sqlx::Error> {
    let epoch = |id: u16| owned.iter().find(|own| own.id == id).map_or(-1, |own| big(own.epoch));
    let advanced = sqlx::query(ADVANCE)
        .bind(advance.iter().map(|(id, _)| small(*id)).collect::<Vec<_>>())
        .bind(advance.iter().map(|(id, _)| epoch(*id)).collect::<Vec<_>>())
        .bind(advance.iter().map(|(_, seq)| big(*seq)).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(usize::try_from(advanced.rows_affected()) == Ok(advance.len()))
}

/// Notes that the rows of this entity were refused.
pub(super) async fn mark_rejected(
    connection: &mut PgConnection,
    entity: EntityRef,
    version: i64,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(MARK_REJECTED)
        .persistent(LOOKUPS_STAY_PREPARED)
        .bind(entity.kind.name())
        .bind(entity.uuid)
        .bind(version)
        .bind(reason)
        .execute(connection)
        .await
        .map(|_| ())
}

fn partition_of(delta: &EntityDelta) -> i16 {
    small(delta.entity.partition(crate::limits::PARTITIONS))
}

/// Partitions are at most 256.
fn small(partition: u16) -> i16 {
    i16::try_from(partition).unwrap_or(-1)
}

/// Counters never come near 63 bits.
pub(super) fn big(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}
