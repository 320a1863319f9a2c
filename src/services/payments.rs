//! What comes after a payment: disputes, and refunds that a bank returns. Providers tell of them in notices, which may be lost, and in a list
//! of what has changed, which is read every hour. Either way the order is looked up by a job: what a notice says is believed of nobody.
//!
//! However many notices come, an order is looked up once a minute: a job's id follows from the order and the minute.

use crate::domain::ids::{EntityId, JobId, OrderId};
use crate::domain::job::JobKind;
use crate::domain::rows::{OUTSIDE_COURIER, OUTSIDE_REFUND};
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::jobs::NewJob;
use crate::ports::units::UnitError;
use crate::ports::{Clock, StoreError};
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::Notify;
use uuid::Uuid;

/// An order is looked up once in so many milliseconds because of what its provider says.
const LOOK_MS: i64 = 60_000;

/// A look at an order: a job now and, where that has begun already, one later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The job of this minute.
    pub now: NewJob,
    /// That of the next.
    pub later: NewJob,
}

impl Look {
    fn of(order: OrderId, now: Timestamp) -> Self {
        let minute = now.as_millis().div_euclid(LOOK_MS);
        let job = |minute: i64, at| NewJob {
            id: JobId::of_look(order, minute),
            kind: JobKind::LookAtPayment,
            about: order.entity().into(),
            version: 0,
            at,
        };
        let next = minute.saturating_add(1);
        Self { now: job(minute, now), later: job(next, Timestamp::from_millis(next.saturating_mul(LOOK_MS))) }
    }
}

/// The rows.
#[async_trait]
pub trait PaymentRows: Send + Sync {
    /// Adds these looks, each once, and notes up to when a provider was asked, all in one transaction.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn look(&self, looks: &[Look], swept: Option<(&str, Timestamp)>) -> Result<(), UnitError>;

    /// Up to when the provider of this method was asked.
    ///
    /// # Errors
    /// What the store says.
    async fn swept_to(&self, method: &str) -> Result<Option<Timestamp>, StoreError>;

    /// Orders, in the order of their ids, after one, whose rows say that they wait for this outside, and of which there is no job of this kind that
    /// is open, or gave up; with the version of each row.
    ///
    /// # Errors
    /// What the store says.
    async fn without_job(
        &self,
        outside: i64,
        kind: JobKind,
        after: OrderId,
        limit: usize,
    ) -> Result<Vec<(OrderId, u64)>, StoreError>;

    /// Adds these jobs, each once.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn put_back(&self, jobs: &[NewJob]) -> Result<(), UnitError>;
}

/// What an order wants done outside, and which job does it.
const OUTSIDE: [(i64, JobKind); 2] = [(OUTSIDE_COURIER, JobKind::BookParcels), (OUTSIDE_REFUND, JobKind::RefundOrder)];

/// The service.
pub struct Payments {
    rows: Arc<dyn PaymentRows>,
    clock: Arc<dyn Clock>,
    news: Arc<Notify>,
}

impl Payments {
    /// Adds the jobs that orders want by their rows, and that are not there. They were written with what they follow from; but a table may be
    /// taken back from a backup, or cleared by hand, and nobody else would ever ask for that parcel or that money. Says how many orders there were.
    ///
    /// # Errors
    /// See [`UnitError`].
    pub async fn put_missing_jobs_back(&self) -> Result<usize, UnitError> {
        let mut found = 0;
        for (outside, kind) in OUTSIDE {
            let mut after = OrderId::from_uuid(Uuid::nil());
            loop {
                let orders = self.rows.without_job(outside, kind, after, limits::MISSING_JOBS_SLICE).await?;
                let Some((last, _)) = orders.last() else { break };
                after = *last;
                let job = |(order, version): &(OrderId, u64)| NewJob {
                    id: JobId::put_back(*order, kind.name(), *version),
                    kind,
                    about: order.entity().into(),
                    version: *version,
                    at: self.clock.now(),
                };
                let jobs: Vec<NewJob> = orders.iter().map(job).collect();
                self.rows.put_back(&jobs).await?;
                self.news.notify_one();
                found += jobs.len();
            }
        }
        Ok(found)
    }

    /// Over these rows; `news` is told when there is a job.
    pub fn new(rows: Arc<dyn PaymentRows>, clock: Arc<dyn Clock>, news: Arc<Notify>) -> Self {
        Self { rows, clock, news }
    }

    /// Has what the providers know of these orders be looked up.
    ///
    /// # Errors
    /// See [`UnitError`].
    pub async fn look_at(&self, orders: &[OrderId]) -> Result<(), UnitError> {
        self.write(orders, None).await
    }

    /// The same of all that has changed at a provider up to then.
    ///
    /// # Errors
    /// See [`UnitError`].
    pub async fn swept(&self, method: &str, to: Timestamp, orders: &[OrderId]) -> Result<(), UnitError> {
        self.write(orders, Some((method, to))).await
    }

    async fn write(&self, orders: &[OrderId], swept: Option<(&str, Timestamp)>) -> Result<(), UnitError> {
        let now = self.clock.now();
        let looks: Vec<Look> = orders.iter().map(|order| Look::of(*order, now)).collect();
        self.rows.look(&looks, swept).await?;
        if !looks.is_empty() {
            self.news.notify_one();
        }
        Ok(())
    }

    /// Up to when the provider of this method was asked what has changed.
    ///
    /// # Errors
    /// What the store says.
    pub async fn swept_to(&self, method: &str) -> Result<Option<Timestamp>, StoreError> {
        self.rows.swept_to(method).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_order_is_looked_at_once_a_minute() {
        let order = OrderId::from_uuid(Uuid::from_u128(1 << 80));
        let look = |at| Look::of(order, Timestamp::from_millis(at));
        assert_eq!(look(60_000).now.id, look(119_999).now.id);
        assert_eq!(look(60_000).later.id, look(120_000).now.id);
        assert_eq!(look(61_000).later.at, Timestamp::from_millis(120_000));
        let other = OrderId::from_uuid(Uuid::from_u128(2 << 80));
        assert_ne!(look(60_000).now.id, Look::of(other, Timestamp::from_millis(60_000)).now.id);
    }
}
