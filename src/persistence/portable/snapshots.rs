//! Reading snapshots: the same SQL on both stores.

use super::{Db, Inner, LOOKUPS_STAY_PREPARED, NOT_BY_INDEX};
use crate::domain::entity::Part;
use crate::domain::ids::{EntityRef, Kind};
use crate::domain::time::Timestamp;
use crate::persistence::slot::within;
use crate::persistence::values::{Moment, columns, unsigned};
use crate::ports::{Due, Snapshot, Snapshots, StoreError};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, QueryBuilder};
use std::sync::LazyLock;
use uuid::Uuid;

/// How many entities one statement asks for.
const ENTITIES_PER_STATEMENT: usize = 500;

const LOAD: &str = "
    SELECT kind, entity, part, version, state FROM snapshot WHERE kind = $1 AND entity = $2 ORDER BY part";

/// Asked every two seconds. `SQLite` would look for the kinds in the primary key, and read the whole table for the few that are due.
pub(in crate::persistence) static DUE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT kind, entity, wake_at FROM snapshot
        WHERE wake_at <= $1 AND wake_at >= $2 AND (wake_at, kind, entity) > ($2, $3, $4)
            AND {NOT_BY_INDEX}kind IN ('cart', 'order', 'vendor')
        ORDER BY wake_at, kind, entity LIMIT $5"
    )
});

/// Postgres seeks by a comparison of rows; by the same written as two conditions with OR it reads the index from its beginning for each page.
const SCAN: &str = "
    SELECT kind, entity, part, version, state FROM snapshot
    WHERE (kind, entity) IN (
        SELECT kind, entity FROM snapshot
        WHERE part = '' AND (kind, entity) > ($1, $2)
        ORDER BY kind, entity LIMIT $3)
    ORDER BY kind, entity, part";

/// As [`SCAN`], of one kind: a kind with large snapshots is read with another limit than one with small ones.
const SCAN_KIND: &str = "
    SELECT kind, entity, part, version, state FROM snapshot
    WHERE kind = $1 AND entity IN (
        SELECT entity FROM snapshot
        WHERE part = '' AND kind = $1 AND entity > $2
        ORDER BY entity LIMIT $3)
    ORDER BY entity, part";

columns! {
    struct PartColumns {
        kind: String,
        entity: Uuid,
        part: String,
        version: i64,
        state: Vec<u8>,
    }
}

fn entity(kind: &str, uuid: Uuid) -> Result<EntityRef, StoreError> {
    let kind = Kind::from_name(kind)
        .ok_or_else(|| StoreError::Invalid(format!("a snapshot of the unknown kind '{}'", kind.escape_debug())))?;
    Ok(EntityRef { kind, uuid })
}

/// Puts parts, which come in the order of their entities, together. The head stands first: its name is empty.
fn gather(rows: Vec<PartColumns>) -> Result<Vec<Snapshot>, StoreError> {
    let mut snapshots: Vec<Snapshot> = Vec::new();
    for row in rows {
        let entity = entity(&row.kind, row.entity)?;
        let version = unsigned(row.version)?;
        let part = Part { name: row.part, state: Some(row.state) };
        match snapshots.last_mut().filter(|last| last.entity == entity) {
            Some(last) => {
                last.version = last.version.max(version);
                last.parts.push(part);
            }
            None => snapshots.push(Snapshot { entity, version, parts: vec![part] }),
        }
    }
    Ok(snapshots)
}

#[async_trait]
impl Snapshots for Inner {
    async fn load(&self, entity: EntityRef) -> Result<Option<Snapshot>, StoreError> {
        let query = sqlx::query_as::<_, PartColumns>(LOAD).persistent(LOOKUPS_STAY_PREPARED);
        let query = query.bind(entity.kind.name()).bind(entity.uuid);
        let rows = within(self.query_timeout, query.fetch_all(&self.reads)).await?;
        Ok(gather(rows)?.pop())
    }

    async fn load_many(&self, entities: &[EntityRef]) -> Result<Vec<Snapshot>, StoreError> {
        let mut found = Vec::with_capacity(entities.len());
        for kind in Kind::ALL {
            let of_kind: Vec<Uuid> =
                entities.iter().filter(|entity| entity.kind == kind).map(|entity| entity.uuid).collect();
            for chunk in of_kind.chunks(ENTITIES_PER_STATEMENT) {
                let mut query =
                    QueryBuilder::<Db>::new("SELECT kind, entity, part, version, state FROM snapshot WHERE kind = ");
                query.push_bind(kind.name()).push(" AND entity IN (");
                let mut ids = query.separated(", ");
                for id in chunk {
                    ids.push_bind(*id);
                }
                query.push(") ORDER BY kind, entity, part");
                let built = query.build_query_as::<PartColumns>().persistent(false);
                found.extend(gather(within(self.query_timeout, built.fetch_all(&self.reads)).await?)?);
            }
        }
        Ok(found)
    }

    async fn due(&self, until: Timestamp, after: Option<Due>, limit: u32) -> Result<Vec<Due>, StoreError> {
        // Before the first: nothing was to be woken before 1970, and no kind's name is empty.
        let (from, kind, uuid) = after
            .map_or((Timestamp::from_millis(0), "", Uuid::nil()), |(entity, at)| (at, entity.kind.name(), entity.uuid));
        let query = sqlx::query_as::<_, (String, Uuid, Moment)>(AssertSqlSafe(DUE.as_str()))
            .persistent(LOOKUPS_STAY_PREPARED)
            .bind(Moment(until))
            .bind(Moment(from))
            .bind(kind)
            .bind(uuid)
            .bind(i64::from(limit));
        let rows = within(self.query_timeout, query.fetch_all(&self.reads)).await?;
        rows.into_iter().map(|(kind, uuid, Moment(at))| Ok((entity(&kind, uuid)?, at))).collect()
    }

    async fn scan(&self, after: Option<EntityRef>, limit: u32) -> Result<Vec<Snapshot>, StoreError> {
        // Before the first: no kind's name is empty.
        let (kind, uuid) = after.map_or(("", Uuid::nil()), |entity| (entity.kind.name(), entity.uuid));
        let query = sqlx::query_as::<_, PartColumns>(SCAN).persistent(LOOKUPS_STAY_PREPARED);
        let query = query.bind(kind).bind(uuid).bind(i64::from(limit));
        gather(within(self.query_timeout, query.fetch_all(&self.reads)).await?)
    }

    async fn scan_kind(&self, kind: Kind, after: Option<Uuid>, limit: u32) -> Result<Vec<Snapshot>, StoreError> {
        let query = sqlx::query_as::<_, PartColumns>(SCAN_KIND).persistent(LOOKUPS_STAY_PREPARED);
        // No id is the lowest there can be.
        let query = query.bind(kind.name()).bind(after.unwrap_or(Uuid::nil())).bind(i64::from(limit));
        gather(within(self.query_timeout, query.fetch_all(&self.reads)).await?)
    }
}
