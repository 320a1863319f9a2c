//! Tells orders what couriers told of their parcels: a job for each event that an order must know of.
//!
//! The event stands in its row, and the order hears it as it was told, however often that is: the order knows an event again by its name. So the
//! job is done once the order has recorded it, and nothing of it depends on what came first.

use crate::domain::courier::CourierTold;
use crate::domain::ids::OrderId;
use crate::domain::job::{Job, Target, TryOutcome};
use crate::ports::couriers::{Hears, Told};
use crate::ports::jobs::{JobWorker, NotNow};
use async_trait::async_trait;
use std::sync::Arc;

/// Does these jobs.
pub struct CourierEventWorker {
    told: Arc<dyn Told>,
    orders: Arc<dyn Hears>,
}

impl CourierEventWorker {
    /// Tells these orders what was told.
    pub fn new(told: Arc<dyn Told>, orders: Arc<dyn Hears>) -> Self {
        Self { told, orders }
    }

    /// Has an order hear of this.
    async fn tell(&self, order: OrderId, told: CourierTold) -> TryOutcome {
        self.orders.hear(order, told).await
    }
}

#[async_trait]
impl JobWorker for CourierEventWorker {
    fn target(&self) -> Target {
        Target::Couriers
    }

    /// A try of which nobody knows what came of it is repeated.
    async fn try_job(&self, job: &Job) -> TryOutcome {
        match self.told.told(job.id).await {
            Ok(Some(told)) => self.tell(told.name.order, told).await,
            Ok(None) => TryOutcome::Suppressed("what was told is not kept any more"),
            Err(NotNow(reason)) => TryOutcome::Failed { reason, retry_after: None, silent: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::buyer::Mint;
    use crate::domain::courier::{CourierStatus, ParcelName};
    use crate::domain::ids::{EntityId, JobId, ShipmentId};
    use crate::domain::job::JobKind;
    use crate::domain::time::Timestamp;
    use parking_lot::Mutex;
    use uuid::Uuid;

    fn told() -> CourierTold {
        let order = OrderId::from_uuid(Uuid::from_u128(2));
        let name = ParcelName { shipment: ShipmentId::from_uuid(Uuid::from_u128(1)), order, mint: Mint([0; 4]) };
        let (event, at) = ("ev_1".to_owned(), Timestamp::from_millis(5));
        CourierTold { event, name, status: CourierStatus::Delivered, at, collected: None, lines: Vec::new() }
    }

    fn job() -> Job {
        let CourierTold { event, name, .. } = told();
        let (id, about) = (JobId::of_courier_event(name.shipment, &event), name.order.entity().into());
        Job { id, kind: JobKind::CourierEvent, about, made_at: Timestamp::default(), tries: 1, unknown: false }
    }

    struct Rows(Result<Option<CourierTold>, NotNow>);

    #[async_trait]
    impl Told for Rows {
        async fn keep(&self, _: &str, _: CourierTold) -> Result<(), NotNow> {
            Err(NotNow("nothing is kept here".into()))
        }

        async fn told(&self, job_id: JobId) -> Result<Option<CourierTold>, NotNow> {
            assert_eq!(job_id, job().id);
            self.0.clone()
        }
    }

    #[derive(Default)]
    struct Orders(Mutex<Vec<(OrderId, CourierTold)>>);

    #[async_trait]
    impl Hears for Orders {
        async fn hear(&self, order: OrderId, told: CourierTold) -> TryOutcome {
            self.0.lock().push((order, told));
            TryOutcome::Done
        }
    }

    #[tokio::test]
    async fn an_order_hears_what_was_told_of_its_parcel() {
        let later = || TryOutcome::Failed { reason: "not now".into(), retry_after: None, silent: false };
        let forgotten = TryOutcome::Suppressed("what was told is not kept any more");
        for (row, outcome, heard) in [
            (Ok(Some(told())), TryOutcome::Done, vec![(told().name.order, told())]),
            (Ok(None), forgotten, Vec::new()),
            (Err(NotNow("not now".into())), later(), Vec::new()),
        ] {
            let orders = Arc::new(Orders::default());
            let worker = CourierEventWorker::new(Arc::new(Rows(row)), orders.clone());
            assert_eq!(worker.try_job(&job()).await, outcome);
            assert_eq!(*orders.0.lock(), heard);
        }
    }
}
