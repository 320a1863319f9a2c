//! Reading the journal: the same SQL on both stores.

use super::{Db, Inner, LOOKUPS_STAY_PREPARED, upserts};
use crate::persistence::slot::within;
use crate::persistence::values::{Moment, columns, signed, unsigned};
use crate::ports::{Codec, Committed, Frame, Partition, StoreError};
use sqlx::QueryBuilder;
use uuid::Uuid;

const PARTITIONS: &str = "
    SELECT id, epoch, checkpoint_seq, base_seq, COALESCE((SELECT max(seq) FROM journal WHERE partition = partition.id), 0)
    FROM partition ORDER BY id";

/// The newest frame stays: it says where the next one stands.
const RAISE_BASE: &str = "
    UPDATE partition SET base_seq = $2
    WHERE id = $1 AND base_seq <= $2 AND checkpoint_seq >= $2 AND (SELECT max(seq) FROM journal WHERE partition = $1) > $2
        AND NOT EXISTS (SELECT 1 FROM follower_cursor WHERE partition = $1 AND seq < $2)";

/// So many at a time that neither an append nor a checkpoint waits long behind it.
const DROP: &str = "
    DELETE FROM journal
    WHERE partition = $1 AND seq <= $2 AND seq < (SELECT min(seq) FROM journal WHERE partition = $1) + 1000";

/// Adds up payloads from the first frame on, of at most 4096 frames, and takes those before whose end the limit is reached.
const FRAMES: &str = "
    SELECT partition, seq, epoch, at, batch, records, codec, payload FROM journal
    WHERE partition = $1 AND seq > $2 AND seq <= (
        SELECT max(seq) FROM (
            SELECT seq, sum(length(payload)) OVER (ORDER BY seq) - length(payload) AS before FROM (
                SELECT seq, payload FROM journal WHERE partition = $1 AND seq > $2 ORDER BY seq LIMIT 4096) AS next
        ) AS measured WHERE before < $3)
    ORDER BY seq";

columns! {
    struct FrameColumns {
        partition: i16,
        seq: i64,
        epoch: i64,
        at: Moment,
        batch: Uuid,
        records: i32,
        codec: i16,
        payload: Vec<u8>,
    }
}

fn frame(columns: FrameColumns) -> Result<Frame, StoreError> {
    let invalid = |what: &str| StoreError::Invalid(format!("a frame with a {what} that cannot be"));
    Ok(Frame {
        partition: u16::try_from(columns.partition).map_err(|_| invalid("partition"))?,
        seq: unsigned(columns.seq)?,
        epoch: unsigned(columns.epoch)?,
        at: columns.at.0,
        batch: columns.batch,
        records: u32::try_from(columns.records).map_err(|_| invalid("number of records"))?,
        codec: Codec::try_from(columns.codec)?,
        payload: columns.payload,
    })
}

impl Inner {
    pub(super) async fn all_partitions(&self) -> Result<Vec<Partition>, StoreError> {
        let partitions = sqlx::query_as(PARTITIONS).persistent(LOOKUPS_STAY_PREPARED);
        let rows: Vec<(i16, i64, i64, i64, i64)> =
            within(self.query_timeout, partitions.fetch_all(&self.reads)).await?;
        let partition = |(id, epoch, checkpoint_seq, base_seq, tail_seq)| {
            Ok(Partition {
                id: u16::try_from(id).map_err(|_| StoreError::Invalid(format!("no partition has number {id}")))?,
                epoch: unsigned(epoch)?,
                tail_seq: unsigned(tail_seq)?,
                checkpoint_seq: unsigned(checkpoint_seq)?,
                base_seq: unsigned(base_seq)?,
            })
        };
        rows.into_iter().map(partition).collect()
    }

    pub(super) async fn frames_after(
        &self,
        partition: u16,
        after_seq: u64,
        max_bytes: usize,
    ) -> Result<Vec<Frame>, StoreError> {
        let query = sqlx::query_as::<_, FrameColumns>(FRAMES)
            .persistent(LOOKUPS_STAY_PREPARED)
            .bind(i32::from(partition))
            .bind(signed(after_seq)?)
            .bind(i64::try_from(max_bytes.max(1)).unwrap_or(i64::MAX));
        let rows = within(self.query_timeout, query.fetch_all(&self.reads)).await?;
        rows.into_iter().map(frame).collect()
    }

    pub(super) async fn drop_up_to(&self, partition: u16, up_to: u64) -> Result<u64, StoreError> {
        let (id, up_to) = (i32::from(partition), signed(up_to)?);
        let mut held = self.checkpointer().await?;
        let raised = async {
            let mut transaction = upserts::begin(held.connection()).await?;
            // What a writer whose term is over has begun to append ends before its place can become free.
            upserts::wait_for_appends(&mut transaction).await?;
            let raise = sqlx::query(RAISE_BASE).persistent(LOOKUPS_STAY_PREPARED).bind(id).bind(up_to);
            let raised = raise.execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(raised)
        };
        let raised = tokio::time::timeout(self.checkpoint_timeout, raised).await;
        if held.settle_timed(raised)?.rows_affected() == 0 {
            return Err(StoreError::Invalid(format!(
                "frames of partition {partition} up to {up_to} may not be dropped: the checkpoint or a follower (`haat follower list`) is before that, or no frame after it"
            )));
        }
        let mut dropped = 0;
        loop {
            let mut held = self.checkpointer().await?;
            let some = sqlx::query(DROP).persistent(LOOKUPS_STAY_PREPARED).bind(id).bind(up_to);
            let some = some.execute(held.connection());
            let some = tokio::time::timeout(self.checkpoint_timeout, some).await;
            match held.settle_timed(some)?.rows_affected() {
                0 => return Ok(dropped),
                some => dropped += some,
            }
        }
    }

    pub(super) async fn look_for(&self, frames: &[Frame]) -> Result<Committed, StoreError> {
        if frames.is_empty() {
            return Ok(Committed::Nothing);
        }
        let mut query =
            QueryBuilder::<Db>::new("SELECT partition, seq, batch FROM journal WHERE (partition, seq) IN (");
        let places = frames.iter().map(|frame| Ok((i32::from(frame.partition), signed(frame.seq)?)));
        let places = places.collect::<Result<Vec<_>, StoreError>>()?;
        query.push_values(&places, |mut place, (partition, seq)| {
            place.push_bind(*partition).push_bind(*seq);
        });
        query.push(")");
        // On the connection that appends: nobody else is waited for.
        let mut held = self.appender()?.hold().await?;
        let look = query.build_query_as().persistent(false).fetch_all(held.connection());
        let found = tokio::time::timeout(self.append_timeout, look).await;
        let found: Vec<(i16, i64, Uuid)> = held.settle_timed(found)?;
        let is_ours = |frame: &Frame, (partition, seq, batch): &(i16, i64, Uuid)| {
            u16::try_from(*partition) == Ok(frame.partition)
                && u64::try_from(*seq) == Ok(frame.seq)
                && *batch == frame.batch
        };
        let ours = frames.iter().filter(|frame| found.iter().any(|row| is_ours(frame, row))).count();
        Ok(match (found.len(), ours) {
            (0, _) => Committed::Nothing,
            (_, ours) if ours == frames.len() => Committed::All,
            _ => Committed::Conflicting,
        })
    }
}
