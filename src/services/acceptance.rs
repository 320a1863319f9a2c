//! Paid shares that nobody has begun in time: a sweep over the read tables finds them, and a job for each order has it look at itself.
//!
//! No order has a timer for it, so a checkout costs nothing more. What the tables say may be old: the order decides by what it knows.

use crate::domain::ids::{EntityId, JobId, OrderId};
use crate::domain::job::JobKind;
use crate::domain::time::Timestamp;
use crate::ports::Clock;
use crate::ports::jobs::NewJob;
use crate::ports::units::UnitError;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// An order is asked once in so many milliseconds, or once in the time that its vendors have, where that is shorter.
const ASK_MS: i64 = 60 * 60 * 1000;
/// Between two sweeps at most.
const SWEEP_MS: i64 = 10 * 60 * 1000;

/// How often is looked for them: ten times in the time that a vendor has, once in ten minutes at least and once a second at most.
pub fn every(within_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from((within_ms / 10).clamp(1_000, SWEEP_MS)).unwrap_or(1_000))
}

/// The rows.
#[async_trait]
pub trait AcceptanceRows: Send + Sync {
    /// Adds these jobs, each once.
    ///
    /// # Errors
    /// See [`UnitError`].
    async fn add(&self, jobs: &[NewJob]) -> Result<(), UnitError>;
}

/// The service.
pub struct Acceptance {
    rows: Arc<dyn AcceptanceRows>,
    clock: Arc<dyn Clock>,
    news: Arc<Notify>,
}

fn job(order: OrderId, now: Timestamp, within_ms: i64) -> NewJob {
    let turn = now.as_millis().div_euclid(within_ms.clamp(1, ASK_MS));
    let id = JobId::of_acceptance(order, turn);
    NewJob { id, kind: JobKind::AcceptanceDue, about: order.entity().into(), version: 0, at: now }
}

impl Acceptance {
    /// Over these rows; `news` is told when there is a job.
    pub fn new(rows: Arc<dyn AcceptanceRows>, clock: Arc<dyn Clock>, news: Arc<Notify>) -> Self {
        Self { rows, clock, news }
    }

    /// Up to when what was placed is late by now.
    pub fn late_until(&self, within_ms: i64) -> Timestamp {
        self.clock.now().plus_millis(within_ms.saturating_neg())
    }

    /// Has these orders look whether something of them is overdue.
    ///
    /// # Errors
    /// See [`UnitError`].
    pub async fn ask(&self, orders: &[OrderId], within_ms: i64) -> Result<(), UnitError> {
        let now = self.clock.now();
        let jobs: Vec<NewJob> = orders.iter().map(|order| job(*order, now, within_ms)).collect();
        if !jobs.is_empty() {
            self.rows.add(&jobs).await?;
            self.news.notify_one();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_order_is_asked_once_an_hour_or_as_often_as_its_time_is_over() {
        let order = OrderId::from_uuid(Uuid::from_u128(1 << 80));
        let id = |at, within| job(order, Timestamp::from_millis(at), within).id;
        let days = 2 * 24 * ASK_MS;
        assert_eq!(id(ASK_MS, days), id(2 * ASK_MS - 1, days));
        assert_ne!(id(ASK_MS, days), id(2 * ASK_MS, days));
        assert_ne!(id(1_000, 500), id(1_500, 500));
        let other = OrderId::from_uuid(Uuid::from_u128(2 << 80));
        assert_ne!(id(ASK_MS, days), job(other, Timestamp::from_millis(ASK_MS), days).id);
    }

    #[test]
    fn sweeps_follow_the_time_that_vendors_have() {
        for (within_ms, every_ms) in [(1, 1_000), (60_000, 6_000), (48 * ASK_MS, 600_000), (i64::MAX, 600_000)] {
            assert_eq!(every(within_ms), Duration::from_millis(every_ms));
        }
    }
}
