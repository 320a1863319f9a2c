//! Tells orders what couriers told of their parcels: a job for each event that an order must know of.
//!
//! The event stands in its row, and the order hears it as it was told, however often that is: the order knows an event again by its name. So the
//! job is done once the order has recorded it, and nothing of it depends on what came first.

use crate::domain::courier::CourierTold;
use crate::domain::ids::OrderId;
use crate::domain::job::{Job, JobKind, Target, TryOutcome};
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

    /// Has whoever waits for parcels of an order see what was corrected.
    async fn correct(&self, order: OrderId) -> Result<TryOutcome, TryOutcome> {
        for correction in self.orders.corrections(order).await? {
            let kept = self.told.corrected(correction).await;
            kept.map_err(|NotNow(reason)| TryOutcome::Failed { reason, retry_after: None, silent: false })?;
        }
        Ok(TryOutcome::Done)
    }
}

#[async_trait]
impl JobWorker for CourierEventWorker {
    fn target(&self) -> Target {
        Target::Couriers
    }

    /// A try of which nobody knows what came of it is repeated.
    async fn try_job(&self, job: &Job) -> TryOutcome {
        if job.kind == JobKind::CorrectTracking {
            return self.correct(OrderId::from_uuid(job.about.uuid())).await.unwrap_or_else(|outcome| outcome);
        }
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
    use crate::domain::courier::{Booking, CourierStatus, ParcelName};
    use crate::domain::ids::{EntityId, JobId, ShipmentId};
    use crate::domain::order::{Corrected, Correction};
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

    struct Rows(Result<Option<CourierTold>, NotNow>, Mutex<Vec<Correction>>);

    #[async_trait]
    impl Told for Rows {
        async fn keep(&self, _: &str, _: CourierTold) -> Result<(), NotNow> {
            Err(NotNow("nothing is kept here".into()))
        }

        async fn told(&self, job_id: JobId) -> Result<Option<CourierTold>, NotNow> {
            assert_eq!(job_id, job().id);
            self.0.clone()
        }

        async fn looked_up(&self, _: &str, _: Booking) -> Result<(), NotNow> {
            Err(NotNow("nothing is kept here".into()))
        }

        async fn not_found(&self, _: &str, _: ParcelName) -> Result<(), NotNow> {
            Err(NotNow("nothing is kept here".into()))
        }

        async fn silent(&self, _: OrderId) -> Result<Vec<(ParcelName, String)>, NotNow> {
            Err(NotNow("nothing is read here".into()))
        }

        async fn not_awaited(&self, _: ShipmentId) -> Result<(), NotNow> {
            Err(NotNow("nothing is kept here".into()))
        }

        async fn corrected(&self, correction: Correction) -> Result<(), NotNow> {
            self.1.lock().push(correction);
            self.0.clone().map(|_| ())
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

        async fn corrections(&self, order: OrderId) -> Result<Vec<Correction>, TryOutcome> {
            assert_eq!(order, told().name.order);
            Ok(vec![correction()])
        }
    }

    fn correction() -> Correction {
        let corrected = Corrected { times: 2, at: Timestamp::from_millis(7) };
        Correction { name: told().name, status: CourierStatus::Lost, corrected }
    }

    #[tokio::test]
    async fn what_is_corrected_is_put_beside_what_was_told() {
        let later = || TryOutcome::Failed { reason: "not now".into(), retry_after: None, silent: false };
        for (row, outcome) in [(Ok(None), TryOutcome::Done), (Err(NotNow("not now".into())), later())] {
            let rows = Arc::new(Rows(row, Mutex::default()));
            let worker = CourierEventWorker::new(rows.clone(), Arc::new(Orders::default()));
            let job = Job { kind: JobKind::CorrectTracking, ..job() };
            assert_eq!((worker.try_job(&job).await, rows.1.lock().clone()), (outcome, vec![correction()]));
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
            let worker = CourierEventWorker::new(Arc::new(Rows(row, Mutex::default())), orders.clone());
            assert_eq!(worker.try_job(&job()).await, outcome);
            assert_eq!(*orders.0.lock(), heard);
        }
    }
}
