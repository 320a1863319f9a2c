//! The rows of jobs: the same SQL on both stores.

use super::{Db, Inner, LOOKUPS_STAY_PREPARED, upserts};
use crate::domain::ids::JobId;
use crate::domain::job::{About, Job, JobKind, JobState, Target, Tried};
use crate::domain::time::Timestamp;
use crate::limits;
use crate::persistence::slot::within;
use crate::persistence::table::unknown;
use crate::persistence::values::{Moment, columns, unsigned};
use crate::ports::jobs::{JobFilter, JobRow, JobTurn, Jobs, JobsBegun, Retried, Retry};
use crate::ports::{Partition, StoreError};
use async_trait::async_trait;
use sqlx::{QueryBuilder, Transaction};
use uuid::Uuid;

const COLUMNS: &str = "id, kind, state, about_kind, about, tries, made_at, next_at, note";

/// Nobody knows what has come of what a worker before this one was at.
pub(in crate::persistence) const TAKE_OVER: &str = "
    UPDATE jobs SET state = 'unknown', next_at = $2, epoch = NULL WHERE epoch IS NOT NULL AND epoch <> $1";

const END: &str = "
    UPDATE jobs SET state = $3, tries = $4, next_at = $5, note = $6, epoch = NULL
    WHERE id = $1 AND epoch = $2 AND tries = $7";

pub(in crate::persistence) const BEGIN: &str = "
    UPDATE jobs SET state = CASE state WHEN 'unknown' THEN 'looking_up' ELSE 'sending' END,
        tries = tries + 1, next_at = NULL, epoch = $3
    WHERE id IN (SELECT id FROM jobs WHERE target = $1 AND next_at <= $2 ORDER BY next_at LIMIT $4)
    RETURNING id, kind, state, about_kind, about, tries, made_at, next_at, note";

pub(in crate::persistence) const NEXT: &str = "SELECT min(next_at) FROM jobs WHERE target = $1 AND next_at IS NOT NULL";

const RETRY: &str = "
    UPDATE jobs SET state = 'due', tries = 0, next_at = $2, note = NULL
    WHERE id = $1 AND state IN ('gave_up', 'suppressed')";

const KEEP_RETRY: &str = "INSERT INTO job_retries (job_id, at, who, reason) VALUES ($1, $2, $3, $4)";

pub(in crate::persistence) const OPEN: &str = "
    SELECT kind, state, count(*) FROM jobs WHERE next_at IS NOT NULL GROUP BY kind, state
    UNION ALL SELECT kind, state, count(*) FROM jobs WHERE epoch IS NOT NULL GROUP BY kind, state
    UNION ALL SELECT kind, state, count(*) FROM jobs
        WHERE next_at IS NULL AND epoch IS NULL AND state = 'gave_up' GROUP BY kind, state";

pub(in crate::persistence) const FORGET: &str = "
    DELETE FROM jobs WHERE id IN (
        SELECT id FROM jobs WHERE next_at IS NULL AND epoch IS NULL AND state = $1 AND made_at < $2
        ORDER BY made_at, id LIMIT $3)";

columns! {
    struct JobColumns {
        id: Uuid,
        kind: String,
        state: String,
        about_kind: String,
        about: Uuid,
        tries: i64,
        made_at: Moment,
        next_at: Option<Moment>,
        note: Option<String>,
    }
}

impl JobColumns {
    fn row(self) -> Result<JobRow, StoreError> {
        Ok(JobRow {
            id: JobId::from_uuid(self.id),
            kind: JobKind::from_name(&self.kind).ok_or_else(|| unknown("kind of job", &self.kind))?,
            state: JobState::from_name(&self.state).ok_or_else(|| unknown("state", &self.state))?,
            about: About::from_parts(&self.about_kind, self.about).ok_or_else(|| unknown("kind", &self.about_kind))?,
            tries: u32::try_from(self.tries).map_err(|_| unknown("number of tries", &self.tries.to_string()))?,
            made_at: self.made_at.0,
            next_at: self.next_at.map(|at| at.0),
            note: self.note,
            retries: Vec::new(),
        })
    }

    fn job(self) -> Result<Job, StoreError> {
        let JobRow { id, kind, state, about, tries, made_at, .. } = self.row()?;
        Ok(Job { id, kind, about, made_at, tries, unknown: state == JobState::LookingUp })
    }
}

/// The term of the node that owns these partitions: all are acquired together, so one tells it.
fn term(owned: &[Partition]) -> Result<(&[Partition], i64), StoreError> {
    let first = owned.first().ok_or_else(|| StoreError::Invalid("a node without partitions has no jobs".to_owned()))?;
    Ok((std::slice::from_ref(first), upserts::big(first.epoch)))
}

/// Puts back what the store says to be under way in this term, and is not.
async fn put_back(
    transaction: &mut Transaction<'_, Db>,
    epoch: i64,
    now: Timestamp,
    running: &[JobId],
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Db>::new(
        "UPDATE jobs SET state = CASE state WHEN 'looking_up' THEN 'unknown' ELSE 'due' END, tries = tries - 1, next_at = ",
    );
    query.push_bind(Moment(now)).push(", epoch = NULL WHERE epoch = ").push_bind(epoch);
    if !running.is_empty() {
        query.push(" AND id NOT IN (");
        let mut ids = query.separated(", ");
        for id in running {
            ids.push_bind(id.uuid());
        }
        query.push(")");
    }
    query.build().persistent(false).execute(&mut **transaction).await.map(|_| ())
}

/// Ends the tries of jobs.
async fn end(transaction: &mut Transaction<'_, Db>, epoch: i64, tried: &[Tried]) -> Result<(), sqlx::Error> {
    let (done, others): (Vec<&Tried>, Vec<&Tried>) = tried.iter().partition(|tried| tried.state == JobState::Done);
    if !done.is_empty() {
        let mut query =
            QueryBuilder::<Db>::new("UPDATE jobs SET state = 'done', epoch = NULL, note = NULL WHERE epoch = ");
        query.push_bind(epoch).push(" AND id IN (");
        let mut ids = query.separated(", ");
        for tried in done {
            ids.push_bind(tried.id.uuid());
        }
        query.push(")").build().persistent(false).execute(&mut **transaction).await?;
    }
    for tried in others {
        sqlx::query(END)
            .bind(tried.id.uuid())
            .bind(epoch)
            .bind(tried.state.name())
            .bind(i64::from(tried.tries))
            .bind(tried.next_at.map(Moment))
            .bind(tried.note.as_deref())
            .bind(i64::from(tried.attempt))
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

impl Inner {
    /// The same rows, with who had each of them be tried anew.
    async fn with_retries(&self, mut rows: Vec<JobRow>) -> Result<Vec<JobRow>, StoreError> {
        if rows.is_empty() {
            return Ok(rows);
        }
        let mut query = QueryBuilder::<Db>::new(
            "SELECT job_id, at, who, reason FROM (SELECT job_id, at, who, reason,
                row_number() OVER (PARTITION BY job_id ORDER BY at DESC) AS place
            FROM job_retries WHERE job_id IN (",
        );
        let mut ids = query.separated(", ");
        for row in &rows {
            ids.push_bind(row.id.uuid());
        }
        query.push(")) AS kept WHERE place <= ");
        query.push_bind(i64::try_from(limits::JOB_RETRIES_SHOWN).unwrap_or(i64::MAX)).push(" ORDER BY at DESC");
        let query = query.build_query_as::<(Uuid, Moment, String, String)>().persistent(false);
        for (job, at, by, reason) in within(self.query_timeout, query.fetch_all(&self.lists)).await? {
            if let Some(row) = rows.iter_mut().find(|row| row.id.uuid() == job) {
                row.retries.push(Retry { at: at.0, by, reason });
            }
        }
        Ok(rows)
    }
}

/// Rows of jobs, and when the next of each target is due.
type Begun = (Vec<JobColumns>, Vec<(Target, Timestamp)>);

async fn begin(transaction: &mut Transaction<'_, Db>, epoch: i64, turn: JobTurn<'_>) -> Result<Begun, sqlx::Error> {
    let (mut begun, mut next) = (Vec::new(), Vec::new());
    for (target, most) in turn.begin {
        if *most > 0 {
            let begin = sqlx::query_as::<_, JobColumns>(BEGIN).persistent(LOOKUPS_STAY_PREPARED);
            let begin = begin.bind(target.name()).bind(Moment(turn.now)).bind(epoch);
            let most = i64::try_from(*most).unwrap_or(i64::MAX);
            begun.extend(begin.bind(most).fetch_all(&mut **transaction).await?);
        }
        let query = sqlx::query_as::<_, (Option<Moment>,)>(NEXT).persistent(LOOKUPS_STAY_PREPARED);
        let (at,) = query.bind(target.name()).fetch_one(&mut **transaction).await?;
        next.extend(at.map(|at| (*target, at.0)));
    }
    Ok((begun, next))
}

#[async_trait]
impl Jobs for Inner {
    async fn take_over(&self, owned: &[Partition], now: Timestamp) -> Result<u64, StoreError> {
        let (first, epoch) = term(owned)?;
        let mut held = self.follower().await?;
        let taken = async {
            let mut transaction = upserts::begin(held.connection()).await?;
            if !upserts::lock_owned(&mut transaction, first).await? {
                transaction.rollback().await?;
                return Ok(None);
            }
            let taken = sqlx::query(TAKE_OVER).persistent(LOOKUPS_STAY_PREPARED).bind(epoch).bind(Moment(now));
            let taken = taken.execute(&mut *transaction).await?.rows_affected();
            transaction.commit().await?;
            Ok(Some(taken))
        };
        let taken = tokio::time::timeout(self.checkpoint_timeout, taken).await;
        held.settle_timed(taken)?.ok_or(StoreError::Fenced)
    }

    async fn turn(&self, turn: JobTurn<'_>) -> Result<JobsBegun, StoreError> {
        let (first, epoch) = term(turn.owned)?;
        let mut held = self.follower().await?;
        let done = async {
            let mut transaction = upserts::begin(held.connection()).await?;
            if !upserts::lock_owned(&mut transaction, first).await? {
                transaction.rollback().await?;
                return Ok(None);
            }
            end(&mut transaction, epoch, turn.tried).await?;
            if let Some(running) = turn.running {
                put_back(&mut transaction, epoch, turn.now, running).await?;
            }
            let begun = begin(&mut transaction, epoch, turn).await?;
            transaction.commit().await?;
            Ok(Some(begun))
        };
        let done = tokio::time::timeout(self.checkpoint_timeout, done).await;
        let (begun, next) = held.settle_timed(done)?.ok_or(StoreError::Fenced)?;
        Ok(JobsBegun { jobs: begun.into_iter().map(JobColumns::job).collect::<Result<_, _>>()?, next })
    }

    async fn list(
        &self,
        filter: JobFilter,
        after: Option<(Timestamp, JobId)>,
        limit: u32,
    ) -> Result<Vec<JobRow>, StoreError> {
        let mut query = QueryBuilder::<Db>::new(format!("SELECT {COLUMNS} FROM jobs WHERE true"));
        if let Some(kind) = filter.kind {
            query.push(" AND kind = ").push_bind(kind.name());
        }
        if let Some(state) = filter.state {
            query.push(" AND state = ").push_bind(state.name());
            if !state.is_waiting() && !state.is_under_way() {
                // The index of what has ended.
                query.push(" AND next_at IS NULL AND epoch IS NULL");
            }
        }
        if let Some((made_at, id)) = after {
            query.push(" AND (made_at, id) < (").push_bind(Moment(made_at)).push(", ").push_bind(id.uuid()).push(")");
        }
        query.push(" ORDER BY made_at DESC, id DESC LIMIT ").push_bind(i64::from(limit));
        let query = query.build_query_as::<JobColumns>().persistent(false);
        let rows = within(self.query_timeout, query.fetch_all(&self.lists)).await?;
        let rows = rows.into_iter().map(JobColumns::row).collect::<Result<_, _>>()?;
        self.with_retries(rows).await
    }

    async fn job(&self, id: JobId) -> Result<Option<JobRow>, StoreError> {
        let mut query = QueryBuilder::<Db>::new(format!("SELECT {COLUMNS} FROM jobs WHERE id = "));
        let query = query.push_bind(id.uuid()).build_query_as::<JobColumns>().persistent(LOOKUPS_STAY_PREPARED);
        let row = within(self.query_timeout, query.fetch_optional(&self.lists)).await?;
        let row = row.map(JobColumns::row).transpose()?;
        Ok(self.with_retries(row.into_iter().collect()).await?.pop())
    }

    async fn retry(&self, id: JobId, retry: Retry) -> Result<Retried, StoreError> {
        let mut held = self.follower().await?;
        let retried = async {
            let mut transaction = upserts::begin(held.connection()).await?;
            let due = sqlx::query(RETRY).bind(id.uuid()).bind(Moment(retry.at)).execute(&mut *transaction).await?;
            if due.rows_affected() > 0 {
                let keep = sqlx::query(KEEP_RETRY).bind(id.uuid()).bind(Moment(retry.at));
                keep.bind(&retry.by).bind(&retry.reason).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
            Ok(due.rows_affected() > 0)
        };
        let retried = tokio::time::timeout(self.checkpoint_timeout, retried).await;
        if held.settle_timed(retried)? {
            return Ok(Retried::Due);
        }
        Ok(self.job(id).await?.map_or(Retried::Unknown, |row| Retried::Stands(row.state)))
    }

    async fn open(&self) -> Result<Vec<(JobKind, JobState, u64)>, StoreError> {
        let query = sqlx::query_as::<_, (String, String, i64)>(OPEN).persistent(LOOKUPS_STAY_PREPARED);
        let rows = within(self.query_timeout, query.fetch_all(&self.lists)).await?;
        let count = |(kind, state, count): (String, String, i64)| {
            let kind = JobKind::from_name(&kind).ok_or_else(|| unknown("kind of job", &kind))?;
            let state = JobState::from_name(&state).ok_or_else(|| unknown("state", &state))?;
            Ok((kind, state, unsigned(count)?))
        };
        rows.into_iter().map(count).collect()
    }

    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        for state in [JobState::Done, JobState::Suppressed] {
            let mut held = self.follower().await?;
            let forget = sqlx::query(FORGET).persistent(LOOKUPS_STAY_PREPARED);
            let forget = forget.bind(state.name()).bind(Moment(before)).bind(i64::from(limit));
            let forget = tokio::time::timeout(self.checkpoint_timeout, forget.execute(held.connection())).await;
            forgotten += held.settle_timed(forget)?.rows_affected();
        }
        Ok(forgotten)
    }
}
