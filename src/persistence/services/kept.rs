//! The rows of kept answers.

use super::select;
use crate::domain::record::IdempotencyKey;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::persistence::table::table;
use crate::ports::StoreError;
use crate::ports::units::{Statement, Unit, UnitEnd, UnitError, Units, Value};
use crate::services::kept::{KeptAnswer, KeptAnswers};
use async_trait::async_trait;
use std::sync::Arc;
use uuid::Uuid;

pub(in crate::persistence) const KEPT: &str =
    "SELECT key, body, status, answer, at FROM kept_answers WHERE key = $1 AND at > $2";

/// What is older than it may be counts as none.
const KEEP: &str = "
    INSERT INTO kept_answers (key, body, status, answer, at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (key) DO UPDATE
    SET body = excluded.body, status = excluded.status, answer = excluded.answer, at = excluded.at
    WHERE kept_answers.at <= $6";

/// The age is asked of the row that is deleted, too: by then there may be a new answer under its key.
pub(in crate::persistence) const FORGET: &str = "
    DELETE FROM kept_answers
    WHERE at < $1 AND key IN (SELECT key FROM kept_answers WHERE at < $1 ORDER BY at LIMIT $2)";
pub(in crate::persistence) const COUNT_OLD: &str =
    "SELECT count(*) FROM (SELECT 1 FROM kept_answers WHERE at < $1 LIMIT $2) AS old";

table! {
    KeptAnswer as "kept_answers" ("key"), row {
        [fixed] key: Uuid = Uuid::from_u128(row.key.key),
        [fixed] body: Uuid = Uuid::from_u128(row.key.body),
        [fixed] status: i64 = i64::from(row.status),
        [fixed] answer: String = &row.body,
        [fixed] at: Timestamp = &row.at,
    } => KeptAnswer {
        KeptAnswer {
            key: IdempotencyKey { key: key.as_u128(), body: body.as_u128() },
            status: u16::try_from(status).map_err(|_| StoreError::Invalid(format!("a kept answer's status is {status}")))?,
            body: answer,
            at,
        }
    }
}

fn expired(now: Timestamp) -> Value {
    Value::Moment(now.plus_millis(-limits::KEPT_ANSWER_MS))
}

/// Keeps an answer; it changes one row, unless there is one under its key.
pub(super) fn keep(answer: &KeptAnswer) -> Result<Statement, StoreError> {
    let mut values = super::values(answer)?;
    values.push(expired(answer.at));
    Ok(Statement::new(KEEP, values).that_changes(1))
}

/// Kept answers on either store.
pub(super) struct Rows(pub(super) Arc<dyn Units>);

#[async_trait]
impl KeptAnswers for Rows {
    async fn kept(&self, key: u128, now: Timestamp) -> Result<Option<KeptAnswer>, StoreError> {
        let values = vec![Value::Uuid(Some(Uuid::from_u128(key))), expired(now)];
        Ok(select::<KeptAnswer>(&*self.0, Statement::new(KEPT, values)).await?.pop())
    }

    async fn keep(&self, answer: &KeptAnswer) -> Result<bool, UnitError> {
        Ok(self.0.run(Unit::new(vec![keep(answer)?])).await? == UnitEnd::Done)
    }

    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, UnitError> {
        let values = || vec![Value::Moment(before), Value::Integer(Some(i64::from(limit)))];
        // Asked beside the writer: most of the time there is nothing to forget.
        let old = super::number(&*self.0, Statement::new(COUNT_OLD, values())).await?.unwrap_or_default();
        if old == 0 {
            return Ok(0);
        }
        self.0.run(Unit::new(vec![Statement::new(FORGET, values())])).await?;
        Ok(u64::try_from(old).unwrap_or_default())
    }
}
