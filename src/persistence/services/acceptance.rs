//! The jobs of shares that nobody has begun in time.

use super::{ADD_JOB, values};
use crate::ports::jobs::NewJob;
use crate::ports::units::{Statement, Unit, UnitError, Units};
use crate::services::acceptance::AcceptanceRows;
use async_trait::async_trait;
use std::sync::Arc;

/// How many jobs one unit adds.
const JOBS: usize = 100;

/// They on either store.
pub(super) struct Rows(pub(super) Arc<dyn Units>);

#[async_trait]
impl AcceptanceRows for Rows {
    async fn add(&self, jobs: &[NewJob]) -> Result<(), UnitError> {
        for some in jobs.chunks(JOBS) {
            let add = |job: &NewJob| values(job).map(|values| Statement::new(ADD_JOB, values));
            let statements: Vec<Statement> = some.iter().map(add).collect::<Result<_, _>>()?;
            self.0.run(Unit::new(statements)).await?;
        }
        Ok(())
    }
}
