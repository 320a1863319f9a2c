//! What followers write: the same course on both stores.

use super::upserts::{append, move_cursors};
use super::{Inner, LOOKUPS_STAY_PREPARED, upserts};
use crate::domain::ids::{EntityRef, Kind, SkuId, VendorId};
use crate::domain::rows::{ADDED, StockChangeRow};
use crate::persistence::slot::within;
use crate::persistence::table::{Stamp, unknown};
use crate::persistence::values::{signed, unsigned};
use crate::ports::jobs::NewJob;
use crate::ports::{BeginFrom, FollowerCursor, Followers, Partition, Pass, SkippedRecord, StoreError};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Transaction};
use uuid::Uuid;

const CURSORS: &str = "
    SELECT follower, partition, seq FROM follower_cursor WHERE follower = $1 OR $1 IS NULL ORDER BY follower, partition";

/// Behind what an archive has taken: those frames are not here any more.
const BEGIN: &str = "
    INSERT INTO follower_cursor (follower, partition, seq) SELECT $1, id, base_seq FROM partition WHERE true
    ON CONFLICT DO NOTHING";

const BEGIN_AT_TAIL: &str = "
    INSERT INTO follower_cursor (follower, partition, seq)
    SELECT $1, id, COALESCE((SELECT max(seq) FROM journal WHERE partition = partition.id), base_seq)
    FROM partition WHERE true ON CONFLICT DO NOTHING";

/// The tables of each projection.
const PROJECTIONS: [(&str, &str); 1] = [("stock_history", "stock_changes")];

const SUMS: &str = "
    SELECT sku_id, CAST(sum(delta) AS bigint) FROM stock_changes WHERE vendor_id = $1 AND version <= $2
    GROUP BY sku_id HAVING count(CASE WHEN reason = $3 AND by_kind IS NULL AND order_id IS NULL THEN 1 END) > 0";

const SKIP: &str = "
    INSERT INTO follower_skipped (follower, kind, entity, version, reason) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING";

#[async_trait]
impl Followers for Inner {
    async fn cursors(&self, follower: Option<&str>) -> Result<Vec<FollowerCursor>, StoreError> {
        let query = sqlx::query_as::<_, (String, i16, i64)>(CURSORS).persistent(LOOKUPS_STAY_PREPARED);
        let rows = within(self.query_timeout, query.bind(follower).fetch_all(&self.reads)).await?;
        let cursor = |(follower, partition, seq): (String, i16, i64)| {
            let partition = u16::try_from(partition)
                .map_err(|_| StoreError::Invalid(format!("no partition has number {partition}")))?;
            Ok(FollowerCursor { follower, partition, seq: unsigned(seq)? })
        };
        rows.into_iter().map(cursor).collect()
    }

    async fn begin_follower(&self, follower: &str, from: BeginFrom) -> Result<Vec<FollowerCursor>, StoreError> {
        let mut held = self.follower().await?;
        let begin = match from {
            BeginFrom::First => BEGIN,
            BeginFrom::Tail => BEGIN_AT_TAIL,
        };
        let begun = sqlx::query(begin).bind(follower).execute(held.connection());
        let begun = tokio::time::timeout(self.checkpoint_timeout, begun).await;
        held.settle_timed(begun)?;
        self.cursors(Some(follower)).await
    }

    async fn pass(&self, pass: Pass<'_>) -> Result<bool, StoreError> {
        let mut held = self.follower().await?;
        let written = async {
            let mut transaction = upserts::begin(held.connection()).await?;
            let moved = move_cursors(&mut transaction, pass.follower, pass.moves).await?;
            if moved {
                let stamp = |version: u64| Stamp { version: upserts::big(version), shape: 0 };
                let rows: Vec<(&StockChangeRow, Stamp)> =
                    pass.made.stock_changes.iter().map(|row| (row, stamp(row.version))).collect();
                append::<StockChangeRow>(&mut transaction, &rows).await?;
                let jobs: Vec<(&NewJob, Stamp)> = pass.made.jobs.iter().map(|job| (job, stamp(job.version))).collect();
                append::<NewJob>(&mut transaction, &jobs).await?;
                skip(&mut transaction, pass.follower, &pass.made.skipped).await?;
                transaction.commit().await?;
            } else {
                transaction.rollback().await?;
            }
            Ok(moved)
        };
        let written = tokio::time::timeout(self.checkpoint_timeout, written).await;
        held.settle_timed(written)
    }

    async fn restart_follower(&self, owned: &[Partition], follower: &str) -> Result<(), StoreError> {
        let table = PROJECTIONS.iter().find(|(name, _)| *name == follower).map(|(_, table)| *table);
        let table = table.ok_or_else(|| StoreError::Invalid(format!("what '{follower}' makes is not made anew")))?;
        let mut held = self.follower().await?;
        let restarted = async {
            let mut transaction = upserts::begin(held.connection()).await?;
            if !upserts::lock_owned(&mut transaction, owned).await? {
                transaction.rollback().await?;
                return Ok(false);
            }
            sqlx::query(BEGIN).bind(follower).execute(&mut *transaction).await?;
            sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut *transaction).await?;
            for statement in [
                "DELETE FROM follower_skipped WHERE follower = $1",
                "UPDATE follower_cursor SET seq = 0 WHERE follower = $1",
            ] {
                sqlx::query(statement).bind(follower).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(true)
        };
        // It is a tool's, and the only thing that goes on: it takes as long as it takes.
        let restarted = restarted.await;
        match held.settle(restarted)? {
            true => Ok(()),
            false => Err(StoreError::Fenced),
        }
    }

    async fn forget_follower(&self, follower: &str) -> Result<bool, StoreError> {
        let mut held = self.follower().await?;
        let forget = sqlx::query("DELETE FROM follower_cursor WHERE follower = $1").bind(follower);
        let forgotten = tokio::time::timeout(self.checkpoint_timeout, forget.execute(held.connection())).await;
        Ok(held.settle_timed(forgotten)?.rows_affected() > 0)
    }

    async fn stock_sums(&self, vendor: VendorId, up_to: u64) -> Result<Vec<(SkuId, i64)>, StoreError> {
        let query = sqlx::query_as::<_, (Uuid, i64)>(SUMS).persistent(LOOKUPS_STAY_PREPARED);
        let query = query.bind(vendor.uuid()).bind(signed(up_to)?).bind(ADDED);
        let rows = within(self.checkpoint_timeout, query.fetch_all(&self.tables)).await?;
        Ok(rows.into_iter().map(|(sku, sum)| (SkuId::from_uuid(sku), sum)).collect())
    }

    async fn skipped_records(&self) -> Result<Vec<(String, EntityRef, u64)>, StoreError> {
        let query = sqlx::query_as::<_, (String, String, Uuid, i64)>(
            "SELECT follower, kind, entity, count(*) FROM follower_skipped GROUP BY follower, kind, entity ORDER BY 1, 2, 3",
        );
        let rows = within(self.query_timeout, query.fetch_all(&self.reads)).await?;
        let skipped = |(follower, kind, uuid, count): (String, String, Uuid, i64)| {
            let kind = Kind::from_name(&kind).ok_or_else(|| unknown("kind", &kind))?;
            Ok((follower, EntityRef { kind, uuid }, unsigned(count)?))
        };
        rows.into_iter().map(skipped).collect()
    }
}

async fn skip(
    transaction: &mut Transaction<'_, super::Db>,
    follower: &str,
    skipped: &[SkippedRecord],
) -> Result<(), sqlx::Error> {
    for record in skipped {
        sqlx::query(SKIP)
            .bind(follower)
            .bind(record.entity.kind.name())
            .bind(record.entity.uuid)
            .bind(upserts::big(record.version))
            .bind(&record.reason)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}
