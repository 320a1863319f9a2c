//! Units of services on Postgres: each is a transaction of its own, on connections that nobody else needs.

use super::{Inner, portable_units};
use crate::limits;
use crate::persistence::metrics::UnitMetrics;
use crate::persistence::slot::{ErrorKind, kind, store_error};
use crate::ports::StoreError;
use crate::ports::units::{Statement, Unit, UnitEnd, UnitError, Units, Value, ValueKind};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The services' side of this store.
pub(super) struct PostgresUnits {
    inner: Arc<Inner>,
    /// Units that are being written, or wait for a connection.
    under_way: Semaphore,
    metrics: UnitMetrics,
}

impl PostgresUnits {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, under_way: Semaphore::new(limits::SERVICE_UNITS), metrics: UnitMetrics::new() }
    }

    async fn write(&self, unit: &Unit) -> Result<UnitEnd, UnitError> {
        self.inner.may_write()?;
        let _under_way = self.under_way.try_acquire().map_err(|_| UnitError::Busy)?;
        let committing = AtomicBool::new(false);
        let written = async {
            let mut transaction = self.inner.services.begin().await.map_err(store_error)?;
            let end = portable_units::fill(&mut transaction, unit).await.map_err(store_error)?;
            if end != UnitEnd::Done {
                transaction.rollback().await.map_err(store_error)?;
                return Ok(end);
            }
            committing.store(true, Ordering::Relaxed);
            match transaction.commit().await {
                Ok(()) => Ok(end),
                // A deferred constraint refuses the whole.
                Err(error) if matches!(kind(&error), ErrorKind::Refused | ErrorKind::Duplicate) => {
                    Err(store_error(error).into())
                }
                Err(error) => Err(UnitError::Unknown(error.to_string())),
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
