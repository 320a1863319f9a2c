//! The rows of what comes after payments.

use super::{ADD_JOB, values};
use crate::domain::ids::OrderId;
use crate::domain::job::JobKind;
use crate::domain::time::Timestamp;
use crate::ports::StoreError;
use crate::ports::jobs::NewJob;
use crate::ports::units::{Statement, Unit, UnitError, Units, Value, ValueKind};
use crate::services::payments::{Look, PaymentRows};
use async_trait::async_trait;
use std::sync::Arc;

/// How many looks one unit adds.
const LOOKS: usize = 50;

/// What has begun may have looked before that which is told of now.
const LOOK_LATER: &str = "
    INSERT INTO jobs (id, kind, target, state, about_kind, about, tries, made_at, next_at, version)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, 0
    WHERE EXISTS (SELECT 1 FROM jobs WHERE id = $10 AND (state <> 'due' OR tries > 0)) ON CONFLICT DO NOTHING";
const SWEPT: &str = "
    INSERT INTO payment_sweeps (method, swept_to) VALUES ($1, $2)
    ON CONFLICT (method) DO UPDATE SET swept_to = excluded.swept_to";
const SWEPT_TO: &str = "SELECT swept_to FROM payment_sweeps WHERE method = $1";

/// Rows are as old as the last checkpoint: what was done since is put back in vain, and finds nothing to do.
pub(in crate::persistence) const WITHOUT_JOB: &str = "
    SELECT id, version FROM orders WHERE outside > 0 AND (outside = $1 OR outside = 3) AND id > $3 AND id NOT IN (
        SELECT about FROM jobs WHERE kind = $2 AND next_at IS NOT NULL
        UNION ALL SELECT about FROM jobs WHERE kind = $2 AND epoch IS NOT NULL
        UNION ALL SELECT about FROM jobs
            WHERE kind = $2 AND next_at IS NULL AND epoch IS NULL AND state = 'gave_up')
    ORDER BY id LIMIT $4";

/// They on either store.
pub(super) struct Rows(pub(super) Arc<dyn Units>);

#[async_trait]
impl PaymentRows for Rows {
    async fn look(&self, looks: &[Look], swept: Option<(&str, Timestamp)>) -> Result<(), UnitError> {
        // What was swept is noted with the last of them: until then all of it is found again.
        let groups = looks.chunks(LOOKS).map(Some).chain(looks.is_empty().then_some(None));
        let last = looks.len().div_ceil(LOOKS).max(1);
        for (group, looks) in (1..).zip(groups) {
            let mut statements = Vec::new();
            for look in looks.unwrap_or_default() {
                let mut later = values(&look.later)?;
                later.extend(values(&look.now)?.into_iter().take(1));
                statements.push(Statement::new(ADD_JOB, values(&look.now)?));
                statements.push(Statement::new(LOOK_LATER, later));
            }
            if let Some((method, to)) = swept.filter(|_| group == last) {
                let of = vec![Value::Text(Some(method.to_owned())), Value::Integer(Some(to.as_millis()))];
                statements.push(Statement::new(SWEPT, of));
            }
            if !statements.is_empty() {
                self.0.run(Unit::new(statements)).await?;
            }
        }
        Ok(())
    }

    async fn without_job(
        &self,
        outside: i64,
        kind: JobKind,
        after: OrderId,
        limit: usize,
    ) -> Result<Vec<(OrderId, u64)>, StoreError> {
        let of = vec![
            Value::Integer(Some(outside)),
            Value::Text(Some(kind.name().to_owned())),
            Value::Uuid(Some(after.uuid())),
            Value::Integer(i64::try_from(limit).ok()),
        ];
        let rows = self.0.read(Statement::new(WITHOUT_JOB, of), &[ValueKind::Uuid, ValueKind::Integer]).await?;
        let row = |row: Vec<Value>| match &row[..] {
            [Value::Uuid(Some(id)), Value::Integer(Some(version))] => {
                Ok((OrderId::from_uuid(*id), u64::try_from(*version).unwrap_or(0)))
            }
            _ => Err(StoreError::Invalid(format!("a row of orders makes no sense: {row:?}"))),
        };
        rows.into_iter().map(row).collect()
    }

    async fn put_back(&self, jobs: &[NewJob]) -> Result<(), UnitError> {
        let mut statements = Vec::new();
        for job in jobs {
            statements.push(Statement::new(ADD_JOB, values(job)?));
        }
        self.0.run(Unit::new(statements)).await.map(|_| ())
    }

    async fn swept_to(&self, method: &str) -> Result<Option<Timestamp>, StoreError> {
        let of = vec![Value::Text(Some(method.to_owned()))];
        let rows = self.0.read(Statement::new(SWEPT_TO, of), &[ValueKind::Integer]).await?;
        match rows.first().map(Vec::as_slice) {
            None => Ok(None),
            Some([Value::Integer(Some(millis))]) => Ok(Some(Timestamp::from_millis(*millis))),
            Some(row) => Err(StoreError::Invalid(format!("a row of sweeps makes no sense: {row:?}"))),
        }
    }
}
