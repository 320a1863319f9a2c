//! Units of services on Postgres: each is a transaction of its own, on connections that nobody else needs.

use super::{Inner, portable_units};
use crate::persistence::metrics::UnitMetrics;
use crate::persistence::slot::{ErrorKind, kind, store_error};
use crate::ports::StoreError;
use crate::ports::units::{Statement, Unit, UnitEnd, UnitError, Units, Value, ValueKind};
use async_trait::async_trait;
use std::sync::Arc;
use tokio::time::Instant;

/// The services' side of this store.
pub(super) struct PostgresUnits {
    inner: Arc<Inner>,
    metrics: UnitMetrics,
}

impl PostgresUnits {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, metrics: UnitMetrics::new() }
    }

    async fn write(&self, unit: &Unit) -> Result<UnitEnd, UnitError> {
        self.inner.may_write()?;
        let busy = |error| match error {
            sqlx::Error::PoolTimedOut => UnitError::Busy,
            other => store_error(other).into(),
        };
        let written = async {
            let mut transaction = self.inner.services.begin().await.map_err(busy)?;
            let end = portable_units::fill(&mut transaction, unit).await.map_err(store_error)?;
            if end != UnitEnd::Done {
                transaction.rollback().await.map_err(store_error)?;
                return Ok(end);
            }
            match transaction.commit().await {
                Ok(()) => Ok(end),
                // A deferred constraint refuses the whole.
                Err(error) if kind(&error) == ErrorKind::Refused => Err(store_error(error).into()),
                Err(error) => Err(UnitError::Unknown(error.to_string())),
            }
        };
        let limit = self.inner.query_timeout;
        let late = |_| UnitError::Unknown(format!("no answer within {limit:?}"));
        tokio::time::timeout(limit, written).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
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
