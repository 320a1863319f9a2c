//! Units of services on Postgres: each is a transaction of its own, on connections that nobody else needs. One that Postgres took back since another
//! was in its way is tried again.

use super::{Inner, portable_units};
use crate::limits;
use crate::persistence::metrics::UnitMetrics;
use crate::persistence::slot::{ErrorKind, kind, store_error};
use crate::ports::StoreError;
use crate::ports::units::{Statement, Unit, UnitEnd, UnitError, Units, Value, ValueKind};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The services' side of this store.
pub(super) struct PostgresUnits {
    inner: Arc<Inner>,
    /// Units that are being written, or wait for a connection.
    under_way: Semaphore,
    metrics: UnitMetrics,
}

/// Before each further try of a unit that another was in the way of: the first comes at once.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(2), Duration::from_millis(8), Duration::from_millis(32)];

/// Why a unit did not end.
enum Failed {
    /// Another transaction was in its way, and Postgres took all of it back: a deadlock, or a failure to serialize. A unit is a closed list of
    /// statements, which nobody was told of: it is tried again.
    InTheWay(sqlx::Error),
    /// Something else went wrong before it was to be committed.
    Otherwise(sqlx::Error),
    /// Something else went wrong with its commit.
    AtCommit(sqlx::Error),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        // serialization_failure, deadlock_detected
        match code.as_deref() {
            Some("40001" | "40P01") => Self::InTheWay(error),
            _ => Self::Otherwise(error),
        }
    }
}

impl PostgresUnits {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, under_way: Semaphore::new(limits::SERVICE_UNITS), metrics: UnitMetrics::new() }
    }

    /// Writes a unit once.
    async fn once(&self, unit: &Unit, committing: &AtomicBool) -> Result<UnitEnd, Failed> {
        committing.store(false, Ordering::Relaxed);
        let mut transaction = self.inner.services.begin().await?;
        let end = portable_units::fill(&mut transaction, unit).await?;
        if end != UnitEnd::Done {
            transaction.rollback().await?;
            return Ok(end);
        }
        committing.store(true, Ordering::Relaxed);
        match transaction.commit().await {
            Ok(()) => Ok(end),
            Err(error) => Err(match Failed::from(error) {
                Failed::Otherwise(error) => Failed::AtCommit(error),
                in_the_way => in_the_way,
            }),
        }
    }

    async fn write(&self, unit: &Unit) -> Result<UnitEnd, UnitError> {
        self.inner.may_write()?;
        let _under_way = self.under_way.try_acquire().map_err(|_| UnitError::Busy)?;
        let committing = AtomicBool::new(false);
        let written = async {
            let mut pauses = PAUSES.into_iter();
            loop {
                match (self.once(unit, &committing).await, pauses.next()) {
                    (Ok(end), _) => return Ok(end),
                    (Err(Failed::InTheWay(error)), Some(pause)) => {
                        tracing::debug!(%error, "another was in a unit's way: it is tried again");
                        tokio::time::sleep(pause).await;
                    }
                    (Err(Failed::InTheWay(error) | Failed::Otherwise(error)), _) => {
                        return Err(store_error(error).into());
                    }
                    // A deferred constraint refuses the whole.
                    (Err(Failed::AtCommit(error)), _)
                        if matches!(kind(&error), ErrorKind::Refused | ErrorKind::Duplicate) =>
                    {
                        return Err(store_error(error).into());
                    }
                    (Err(Failed::AtCommit(error)), _) => return Err(UnitError::Unknown(error.to_string())),
                }
            }
        };
        let limit = self.inner.query_timeout;
        let late = || {
            let said = format!("no answer within {limit:?}");
            // Whoever has not been asked to commit takes everything back when its connection is given up.
            if committing.load(Ordering::Relaxed) { UnitError::Unknown(said) } else { UnitError::Unavailable(said) }
        };
        tokio::time::timeout(limit, written).await.unwrap_or_else(|_| Err(late()))
    }
}

#[async_trait]
impl Units for PostgresUnits {
    async fn run(&self, unit: Unit) -> Result<UnitEnd, UnitError> {
        let started = Instant::now();
        let ended = self.write(&unit).await;
        self.metrics.ended(&ended, started.elapsed());
        ended
    }

    async fn read(&self, statement: Statement, columns: &[ValueKind]) -> Result<Vec<Vec<Value>>, StoreError> {
        self.inner.read_rows(&statement, columns).await
    }
}
