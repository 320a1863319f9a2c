//! The journal on Postgres: appends in one round trip, and ownership by epochs and leases on the database's clock.

use super::{Inner, LOOKUPS_STAY_PREPARED, arrays};
use crate::domain::details::{Detail, DetailName};
use crate::domain::time::Timestamp;
use crate::persistence::slot::{ErrorKind, kind};
use crate::persistence::values::{Moment, signed};
use crate::ports::{Committed, Frame, Journal, Partition, StoreError};
use async_trait::async_trait;
use sqlx::Row as _;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::timeout;

/// How often the epoch frames of a take-over are tried while the former owner goes on appending.
const EPOCH_FRAME_TRIES: usize = 1000;

/// How often a take-over is tried that is ended for the former owner's sake, each after a second.
const RAISE_TRIES: usize = 10;

/// Takes all or nothing, and nothing of a writer whose term is over. As long as a successor's frames stand where it would write it meets
/// those; they may have been moved to an archive by the time it wakes.
macro_rules! append {
    () => {
        "INSERT INTO journal (partition, seq, epoch, at, batch, records, codec, payload)
        SELECT * FROM UNNEST($1::smallint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::uuid[], $6::integer[],
            $7::smallint[], $8::bytea[])
        WHERE NOT EXISTS (
            SELECT 1 FROM UNNEST($1::smallint[], $3::bigint[]) AS term (id, epoch) JOIN partition USING (id)
            WHERE partition.epoch <> term.epoch)"
    };
}
const APPEND: &str = append!();

/// [`APPEND`], and the details that come with the frames, if these are taken. A key that is taken twice can only be a frame's.
const APPEND_WITH_DETAILS: &str = concat!(
    "WITH frames AS (",
    append!(),
    " RETURNING 1), details AS (
        INSERT INTO detail (entity, name, at, body)
        SELECT entity, name, $9, body FROM UNNEST($10::uuid[], $11::text[], $12::bytea[]) AS given (entity, name, body)
        WHERE EXISTS (SELECT FROM frames) ON CONFLICT DO NOTHING)
    SELECT count(*) FROM frames"
);

/// The same where there are notes among the details: these go behind those that are there, also where several of one order come at once. Of what was
/// erased, and of an order whose contact was, nothing is kept any more: to NULL nothing is added.
const APPEND_WITH_NOTES: &str = concat!(
    "WITH frames AS (",
    append!(),
    " RETURNING 1), given AS (
        SELECT entity, name, CASE WHEN name = 'notes' THEN string_agg(body, ''::bytea ORDER BY place)
            ELSE (array_agg(body ORDER BY place))[1] END AS body
        FROM UNNEST($10::uuid[], $11::text[], $12::bytea[]) WITH ORDINALITY AS one (entity, name, body, place)
        GROUP BY entity, name
    ), details AS (
        INSERT INTO detail AS kept (entity, name, at, body)
        SELECT entity, name, $9::timestamptz, CASE WHEN name <> 'notes' OR NOT EXISTS (
            SELECT FROM detail AS contact
            WHERE contact.entity = given.entity AND contact.name = 'contact' AND contact.body IS NULL) THEN body END
        FROM given WHERE EXISTS (SELECT FROM frames)
        ON CONFLICT (entity, name) DO UPDATE SET body = kept.body || excluded.body WHERE kept.name = 'notes')
    SELECT count(*) FROM frames"
);

/// The arrays of [`APPEND`], and those of the details.
const COLUMNS: usize = 8;
const DETAIL_COLUMNS: usize = 3;

/// FOR UPDATE waits for a checkpoint of the former owner to end, which holds these rows FOR KEY SHARE.
const RAISE_EPOCHS: &str = "
    WITH former AS (SELECT id, owner_until FROM partition ORDER BY id FOR UPDATE)
    UPDATE partition
    SET epoch = partition.epoch + 1, owner = $1,
        owner_until = GREATEST(former.owner_until, clock_timestamp() + $2 * interval '1 millisecond')
    FROM former WHERE partition.id = former.id
    RETURNING partition.id, partition.epoch,
        CEIL(EXTRACT(EPOCH FROM former.owner_until - clock_timestamp()) * 1000)::bigint";

/// Epoch frames at the tails of those partitions that are still ours and whose place is free.
const APPEND_EPOCH_FRAMES: &str = "
    WITH batch AS MATERIALIZED (SELECT gen_random_uuid() AS id), ours AS (
        SELECT id, partition.epoch FROM partition JOIN UNNEST($1::smallint[], $2::bigint[]) AS taken (id, epoch) USING (id, epoch)
        ORDER BY id FOR SHARE OF partition)
    INSERT INTO journal (partition, seq, epoch, at, batch, records, codec, payload)
    SELECT ours.id, COALESCE(tail.seq, 0) + 1, ours.epoch, GREATEST($3, tail.at), batch.id, 0, 0, ''
    FROM ours CROSS JOIN batch
        LEFT JOIN LATERAL (SELECT seq, at FROM journal WHERE partition = ours.id ORDER BY seq DESC LIMIT 1) AS tail ON true
    ORDER BY ours.id
    ON CONFLICT DO NOTHING
    RETURNING partition";

/// Whoever updates several partitions locks them in the order of their ids: a renewal and the end of a checkpoint meet all the time, and where each
/// goes its own way one of them is ended for it after a second, and with the lease all writes are refused.
const RENEW: &str = "
    WITH ours AS (
        SELECT id FROM partition JOIN UNNEST($1::smallint[], $2::bigint[]) AS taken (id, epoch) USING (id, epoch)
        ORDER BY id FOR NO KEY UPDATE OF partition)
    UPDATE partition SET owner_until = GREATEST(owner_until, clock_timestamp() + $3 * interval '1 millisecond')
    FROM ours WHERE partition.id = ours.id
    RETURNING clock_timestamp()";

const RELEASE: &str = "
    WITH ours AS (
        SELECT id FROM partition JOIN UNNEST($1::smallint[], $2::bigint[]) AS taken (id, epoch) USING (id, epoch)
        ORDER BY id FOR NO KEY UPDATE OF partition)
    UPDATE partition SET owner_until = clock_timestamp() FROM ours WHERE partition.id = ours.id";

impl Inner {
    /// Raises all epochs; gives what was taken (id, epoch) and for how long the former owner's lease still runs. A former owner of an earlier
    /// version may lock the partitions in another order: then this one may be ended for its sake.
    async fn raise_epochs(&self, owner: &str, lease: Duration) -> Result<(Vec<(i16, i64)>, Duration), StoreError> {
        let mut tries = RAISE_TRIES;
        let rows = loop {
            let mut held = self.ownership.hold().await?;
            let raise = sqlx::query_as::<_, (i16, i64, i64)>(RAISE_EPOCHS).bind(owner).bind(lease_millis(lease));
            // It may have to wait for the former owner's checkpoint.
            let outcome = timeout(self.checkpoint_timeout, raise.fetch_all(held.connection())).await;
            let locked_out = matches!(&outcome, Ok(Err(error)) if is_deadlock(error));
            tries -= 1;
            match held.settle_timed(outcome) {
                Err(error) if locked_out && tries > 0 => {
                    tracing::warn!(%error, "the former owner was in the way: the store is taken over once more");
                }
                outcome => break outcome?,
            }
        };
        let wait = rows.iter().filter_map(|(_, _, millis)| u64::try_from(*millis).ok()).max().unwrap_or(0);
        let wait = Duration::from_millis(wait);
        Ok((rows.into_iter().map(|(id, epoch, _)| (id, epoch)).collect(), wait))
    }

    /// Appends an epoch frame to each partition taken. The former owner may be appending at the same time: where it was first, the new
    /// tail is read and tried again. Each try commits what it got, so that the former owner soon collides.
    async fn append_epoch_frames(&self, taken: &[(i16, i64)], now: Timestamp) -> Result<(), StoreError> {
        let mut missing: BTreeSet<(i16, i64)> = taken.iter().copied().collect();
        for _ in 0..EPOCH_FRAME_TRIES {
            let (ids, epochs): (Vec<i16>, Vec<i64>) = missing.iter().copied().unzip();
            let mut held = self.ownership.hold().await?;
            let append = sqlx::query_scalar::<_, i16>(APPEND_EPOCH_FRAMES).persistent(LOOKUPS_STAY_PREPARED);
            let append = append.bind(ids).bind(epochs).bind(Moment(now));
            let outcome = timeout(self.query_timeout, append.fetch_all(held.connection())).await;
            let written: BTreeSet<i16> = held.settle_timed(outcome)?.into_iter().collect();
            missing.retain(|(id, _)| !written.contains(id));
            if missing.is_empty() {
                return Ok(());
            }
            self.still_own(missing.iter().copied()).await?;
        }
        Err(StoreError::Unavailable("the former owner appends faster than it can be fenced".to_owned()))
    }

    async fn still_own(&self, taken: impl Iterator<Item = (i16, i64)>) -> Result<(), StoreError> {
        let (ids, epochs): (Vec<i16>, Vec<i64>) = taken.unzip();
        let count = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM partition JOIN UNNEST($1::smallint[], $2::bigint[]) AS taken (id, epoch) USING (id, epoch)",
        )
        .bind(&ids)
        .bind(epochs);
        let mut held = self.ownership.hold().await?;
        let outcome = timeout(self.query_timeout, count.fetch_one(held.connection())).await;
        let count = held.settle_timed(outcome)?;
        if usize::try_from(count) == Ok(ids.len()) { Ok(()) } else { Err(StoreError::Fenced) }
    }
}

/// Which partitions at which epochs, as arrays.
fn terms(partitions: &[Partition]) -> Result<(Vec<i16>, Vec<i64>), StoreError> {
    let term = |partition: &Partition| Ok((small(partition.id)?, signed(partition.epoch)?));
    partitions.iter().map(term).collect()
}

fn is_deadlock(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "40P01")
}

fn small(partition: u16) -> Result<i16, StoreError> {
    i16::try_from(partition).map_err(|_| StoreError::Invalid(format!("no partition has number {partition}")))
}

fn lease_millis(lease: Duration) -> i64 {
    i64::try_from(lease.as_millis()).unwrap_or(i64::MAX / 1_000_000)
}

#[async_trait]
impl Journal for Inner {
    async fn acquire(&self, owner: &str, lease: Duration, now: Timestamp) -> Result<Vec<Partition>, StoreError> {
        self.may_write()?;
        let (taken, wait) = self.raise_epochs(owner, lease).await?;
        self.append_epoch_frames(&taken, now).await?;
        if wait > Duration::ZERO {
            tracing::info!(?wait, "waiting for the former owner's lease to run out");
            tokio::time::sleep(wait).await;
        }
        let taken: BTreeSet<(u16, u64)> = taken
            .into_iter()
            .filter_map(|(id, epoch)| Some((u16::try_from(id).ok()?, u64::try_from(epoch).ok()?)))
            .collect();
        let mut partitions = self.all_partitions().await?;
        partitions.retain(|partition| taken.contains(&(partition.id, partition.epoch)));
        if partitions.len() != taken.len() {
            return Err(StoreError::Fenced);
        }
        // The wait may have used up what was asked for.
        self.renew(&partitions, lease).await?;
        Ok(partitions)
    }

    async fn partitions(&self) -> Result<Vec<Partition>, StoreError> {
        self.all_partitions().await
    }

    async fn append(&self, frames: &[Frame], details: &[Detail]) -> Result<(), StoreError> {
        self.may_write()?;
        // All writers insert in the same order: no two of them can lock each other out.
        let mut sorted: Vec<&Frame> = frames.iter().collect();
        sorted.sort_unstable_by_key(|frame| (frame.partition, frame.seq));
        let column = |of: fn(&Frame) -> Result<i64, StoreError>| -> Result<Vec<i64>, StoreError> {
            sorted.iter().map(|frame| of(frame)).collect()
        };
        let partitions = sorted.iter().map(|frame| small(frame.partition)).collect::<Result<Vec<i16>, _>>()?;
        let records = sorted.iter().map(|frame| i32::try_from(frame.records)).collect::<Result<Vec<i32>, _>>();
        let sizes = frames.iter().map(|frame| frame.payload.len());
        let (sql, arguments) = match details {
            [] => (APPEND, arrays(COLUMNS, sizes)),
            details => {
                let sizes = sizes.chain(details.iter().map(|detail| detail.body.len()));
                let has_notes = details.iter().any(|detail| detail.name == DetailName::Notes);
                let sql = if has_notes { APPEND_WITH_NOTES } else { APPEND_WITH_DETAILS };
                (sql, arrays(COLUMNS + DETAIL_COLUMNS, sizes))
            }
        };
        let mut insert = sqlx::query_with(sql, arguments)
            .bind(partitions)
            .bind(column(|frame| signed(frame.seq))?)
            .bind(column(|frame| signed(frame.epoch))?)
            .bind(sorted.iter().map(|frame| Moment(frame.at)).collect::<Vec<_>>())
            .bind(sorted.iter().map(|frame| frame.batch).collect::<Vec<_>>())
            .bind(records.map_err(|_| StoreError::Invalid("a frame has too many records".to_owned()))?)
            .bind(sorted.iter().map(|frame| frame.codec as i16).collect::<Vec<_>>())
            .bind(sorted.iter().map(|frame| frame.payload.as_slice()).collect::<Vec<_>>());
        if !details.is_empty() {
            insert = insert
                .bind(frames.first().map(|frame| Moment(frame.at)))
                .bind(details.iter().map(|detail| detail.order.uuid()).collect::<Vec<_>>())
                .bind(details.iter().map(|detail| detail.name.name()).collect::<Vec<_>>())
                .bind(details.iter().map(|detail| &*detail.body).collect::<Vec<_>>());
        }
        let mut held = self.append.hold().await?;
        let appended = async {
            Ok(match details {
                [] => insert.execute(held.connection()).await?.rows_affected(),
                _ => u64::try_from(insert.fetch_one(held.connection()).await?.try_get::<i64, _>(0)?).unwrap_or(0),
            })
        };
        let outcome = timeout(self.append_timeout, appended).await;
        let collided = matches!(&outcome, Ok(Err(error)) if kind(error) == ErrorKind::Duplicate);
        match held.settle_timed(outcome) {
            Ok(0) if !frames.is_empty() => Err(StoreError::Fenced),
            Ok(_) => Ok(()),
            Err(_) if collided => Err(StoreError::Collision),
            Err(error) => Err(error),
        }
    }

    async fn committed(&self, frames: &[Frame]) -> Result<Committed, StoreError> {
        self.look_for(frames).await
    }

    async fn frames(&self, partition: u16, after_seq: u64, max_bytes: usize) -> Result<Vec<Frame>, StoreError> {
        self.frames_after(partition, after_seq, max_bytes).await
    }

    async fn drop_frames(&self, partition: u16, up_to: u64) -> Result<u64, StoreError> {
        self.drop_up_to(partition, up_to).await
    }

    async fn renew(&self, partitions: &[Partition], lease: Duration) -> Result<Option<Timestamp>, StoreError> {
        self.may_write()?;
        let (ids, epochs) = terms(partitions)?;
        let mut held = self.ownership.hold().await?;
        let renewal = sqlx::query_scalar::<_, Moment>(RENEW).bind(ids).bind(epochs).bind(lease_millis(lease));
        let outcome = timeout(self.query_timeout, renewal.fetch_all(held.connection())).await;
        let renewed = held.settle_timed(outcome)?;
        if renewed.len() != partitions.len() {
            return Err(StoreError::Fenced);
        }
        Ok(renewed.last().map(|moment| moment.0))
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        let mut held = self.ownership.hold().await?;
        let ask = sqlx::query_scalar::<_, Moment>("SELECT clock_timestamp()");
        let outcome = timeout(self.query_timeout, ask.fetch_one(held.connection())).await;
        Ok(Some(held.settle_timed(outcome)?.0))
    }

    async fn release(&self, partitions: &[Partition]) -> Result<(), StoreError> {
        self.may_write()?;
        let (ids, epochs) = terms(partitions)?;
        let mut held = self.ownership.hold().await?;
        let release = sqlx::query(RELEASE).bind(ids).bind(epochs);
        let outcome = timeout(self.query_timeout, release.execute(held.connection())).await;
        held.settle_timed(outcome).map(|_| ())
    }
}
