//! The journal on `SQLite`: appends as one statement, and ownership by epochs. The lock on the data directory stands in for the lease: a
//! former owner that could still answer cannot be.

use super::Inner;
use super::lock::DirectoryLock;
use crate::domain::details::{Detail, DetailName};
use crate::domain::time::Timestamp;
use crate::persistence::slot::{ErrorKind, Slot, kind};
use crate::persistence::values::{Moment, signed};
use crate::ports::{Committed, Frame, Journal, Partition, StoreError};
use async_trait::async_trait;
use sqlx::sqlite::{Sqlite, SqliteConnection};
use sqlx::{Connection, QueryBuilder, Transaction};
use std::time::Duration;

const RAISE_EPOCHS: &str = "
    UPDATE partition SET epoch = epoch + 1, owner = $1, owner_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + $2";

/// Each partition's newest frame is looked up: grouped by partition, all frames would be read, seconds of a start on a million orders.
const APPEND_EPOCH_FRAMES: &str = "
    WITH batch (id) AS MATERIALIZED (SELECT randomblob(16))
    INSERT INTO journal (partition, seq, epoch, at, batch, records, codec, payload)
    SELECT partition.id, COALESCE(tail.seq, 0) + 1, partition.epoch, max($1, COALESCE(tail.at, $1)), (SELECT id FROM batch), 0, 0, x''
    FROM partition LEFT JOIN journal AS tail ON tail.partition = partition.id
        AND tail.seq = (SELECT max(last.seq) FROM journal AS last WHERE last.partition = partition.id)";

async fn take_all(
    connection: &mut SqliteConnection,
    owner: &str,
    lease: Duration,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query(RAISE_EPOCHS).bind(owner).bind(millis(lease)).execute(&mut *transaction).await?;
    sqlx::query(APPEND_EPOCH_FRAMES).bind(Moment(now)).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Sets the end of the lease of those of these partitions that have this epoch; gives how many have.
async fn set_lease(
    connection: &mut SqliteConnection,
    partitions: &[(i64, i64)],
    lease: Duration,
) -> Result<u64, sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "UPDATE partition SET owner_until = CAST(unixepoch('subsec') * 1000 AS INTEGER) + ",
    );
    query.push_bind(millis(lease)).push(" WHERE (id, epoch) IN (");
    query.push_values(partitions, |mut term, (id, epoch)| {
        term.push_bind(*id).push_bind(*epoch);
    });
    query.push(")").build().execute(connection).await.map(|done| done.rows_affected())
}

fn millis(lease: Duration) -> i64 {
    i64::try_from(lease.as_millis()).unwrap_or(i64::MAX / 1_000_000)
}

fn terms(partitions: &[Partition]) -> Result<Vec<(i64, i64)>, StoreError> {
    partitions.iter().map(|partition| Ok((i64::from(partition.id), signed(partition.epoch)?))).collect()
}

/// Details that one statement inserts: each takes four of its arguments, or five, of which `SQLite` allows 32,766.
const DETAILS_PER_STATEMENT: usize = 1_000;

/// A repeated append meets its own details, and an order of a store that was taken back from a backup those of its lost life. Notes go behind those
/// that are there; of what was erased, and of an order whose contact was, nothing is kept any more: to NULL nothing is added.
fn insert_details(details: &[Detail], at: Timestamp) -> QueryBuilder<Sqlite> {
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO detail (entity, name, at, body) ");
    let is_note = |detail: &Detail| detail.name == DetailName::Notes;
    insert.push_values(details, |mut row, detail| {
        row.push_bind(detail.order.uuid()).push_bind(detail.name.name()).push_bind(Moment(at));
        if is_note(detail) {
            row.push(
                "CASE WHEN NOT EXISTS (SELECT 1 FROM detail WHERE name = 'contact' AND body IS NULL AND entity = ",
            )
            .push_bind_unseparated(detail.order.uuid())
            .push_unseparated(") THEN ")
            .push_bind_unseparated(detail.body.to_vec())
            .push_unseparated(" END");
        } else {
            row.push_bind(detail.body.to_vec());
        }
    });
    insert.push(if details.iter().any(is_note) {
        " ON CONFLICT (entity, name) DO UPDATE SET body = CAST(body || excluded.body AS BLOB) WHERE name = 'notes'"
    } else {
        " ON CONFLICT DO NOTHING"
    });
    insert
}

async fn fill(
    transaction: &mut Transaction<'_, Sqlite>,
    frames: &mut QueryBuilder<Sqlite>,
    details: &[Detail],
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    frames.build().execute(&mut **transaction).await?;
    for some in details.chunks(DETAILS_PER_STATEMENT) {
        insert_details(some, at).build().execute(&mut **transaction).await?;
    }
    Ok(())
}

#[async_trait]
impl Journal for Inner {
    async fn acquire(&self, owner: &str, lease: Duration, now: Timestamp) -> Result<Vec<Partition>, StoreError> {
        let mut held = self.writer()?.hold().await?;
        let outcome = take_all(held.connection(), owner, lease, now).await;
        held.settle(outcome)?;
        self.all_partitions().await
    }

    async fn partitions(&self) -> Result<Vec<Partition>, StoreError> {
        self.all_partitions().await
    }

    async fn append(&self, frames: &[Frame], details: &[Detail]) -> Result<(), StoreError> {
        let writer = self.writer()?;
        if frames.is_empty() {
            return Ok(());
        }
        let numbers = frames.iter().map(|frame| Ok((signed(frame.seq)?, signed(frame.epoch)?)));
        let numbers = numbers.collect::<Result<Vec<_>, StoreError>>()?;
        // One statement is one transaction. There are as many texts as a batch can have frames: they stay prepared.
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO journal (partition, seq, epoch, at, batch, records, codec, payload) ",
        );
        insert.push_values(frames.iter().zip(&numbers), |mut row, (frame, (seq, epoch))| {
            row.push_bind(i64::from(frame.partition))
                .push_bind(*seq)
                .push_bind(*epoch)
                .push_bind(Moment(frame.at))
                .push_bind(frame.batch)
                .push_bind(i64::from(frame.records))
                .push_bind(frame.codec as i16)
                .push_bind(frame.payload.clone());
        });
        // Nothing is written, and nothing told, that the next start would not find.
        self.files_in_place().map_err(StoreError::Unavailable)?;
        let mut held = writer.hold().await?;
        let connection = writer.number();
        let append = async {
            if details.is_empty() {
                return insert.build().execute(held.connection()).await.map(drop);
            }
            let mut transaction = held.connection().begin_with("BEGIN IMMEDIATE").await?;
            match fill(&mut transaction, &mut insert, details, frames[0].at).await {
                Ok(()) => transaction.commit().await,
                // Waited for: a connection in a transaction is given up, and with it what it knows of the write-ahead log.
                Err(error) => transaction.rollback().await.and(Err(error)),
            }
        };
        let outcome = tokio::time::timeout(self.append_timeout, append).await;
        let collided = matches!(&outcome, Ok(Err(error)) if kind(error) == ErrorKind::Duplicate);
        match held.settle_timed(outcome) {
            Ok(_) => self
                .files_in_place()
                .and_then(|()| self.log_in_place(Some(connection), true))
                .map_err(StoreError::Unavailable),
            Err(_) if collided => Err(StoreError::Collision),
            Err(error) => Err(error),
        }
    }

    async fn committed(&self, frames: &[Frame]) -> Result<Committed, StoreError> {
        self.files_in_place().map_err(StoreError::Unavailable)?;
        let landed = self.look_for(frames).await?;
        // Also when the writer is at something else: what was looked for may be in a log that is gone.
        self.log_in_place(self.writer()?.resting(), false).map_err(StoreError::Unavailable)?;
        Ok(landed)
    }

    fn in_place(&self) -> Result<(), String> {
        self.files_in_place()?;
        self.log_in_place(self.writer.as_ref().and_then(Slot::resting), false)
    }

    async fn frames(&self, partition: u16, after_seq: u64, max_bytes: usize) -> Result<Vec<Frame>, StoreError> {
        self.frames_after(partition, after_seq, max_bytes).await
    }

    async fn drop_frames(&self, partition: u16, up_to: u64) -> Result<u64, StoreError> {
        self.drop_up_to(partition, up_to).await
    }

    async fn renew(&self, partitions: &[Partition], lease: Duration) -> Result<Option<Timestamp>, StoreError> {
        let terms = terms(partitions)?;
        let mut held = self.writer()?.hold().await?;
        let outcome = set_lease(held.connection(), &terms, lease).await;
        let renewed = held.settle(outcome)?;
        if usize::try_from(renewed) == Ok(partitions.len()) { Ok(None) } else { Err(StoreError::Fenced) }
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    async fn release(&self, partitions: &[Partition]) -> Result<(), StoreError> {
        let terms = terms(partitions)?;
        let mut held = self.writer()?.hold().await?;
        let outcome = set_lease(held.connection(), &terms, Duration::ZERO).await;
        match held.settle(outcome)? {
            // Another's by now: not ours to let anyone in.
            0 => Ok(()),
            _ => self.lock.as_ref().map_or(Ok(()), DirectoryLock::release),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::schema::{SQLITE, migrator};
    use sqlx::AssertSqlSafe;

    /// A start takes as long on a million orders as on a few.
    #[tokio::test]
    async fn whoever_takes_the_store_reads_no_frames_but_the_newest() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("a store in memory");
        migrator(SQLITE).run(&mut connection).await.expect("the schema");
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {APPEND_EPOCH_FRAMES}"));
        let explain = sqlx::query_as::<_, (i64, i64, i64, String)>(explain).bind(Moment(Timestamp::default()));
        let plan = explain.fetch_all(&mut connection).await.expect("a plan");
        let steps: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).collect();
        assert!(steps.contains(&"SCAN partition"), "{steps:?}");
        for whole in ["SCAN journal", "SCAN tail", "SCAN last"] {
            assert!(!steps.iter().any(|step| step.starts_with(whole)), "{steps:?}");
        }
    }
}
