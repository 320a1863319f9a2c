//! Has orders look whether their vendors have begun in time: a job for each order of which the read tables say that nothing is packed.

use crate::actors::{Ask, Shop};
use crate::domain::buyer::Mint;
use crate::domain::ids::{CreditId, OrderId};
use crate::domain::job::{Job, JobKind, Target, TryOutcome};
use crate::domain::order::{AcceptanceSettings, CreditReason, CreditSeed, Order, OrderCommand};
use crate::domain::reject::Reject;
use crate::limits;
use crate::ports::jobs::JobWorker;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// Does the jobs that ask this server's own orders.
pub struct OrdersWorker {
    shop: Shop,
    settings: AcceptanceSettings,
    attach: Arc<dyn JobWorker>,
}

impl OrdersWorker {
    /// Over these orders; `attach` gives those of guests to customers.
    pub fn new(shop: Shop, settings: AcceptanceSettings, attach: Arc<dyn JobWorker>) -> Self {
        Self { shop, settings, attach }
    }

    async fn acceptance(&self, job: &Job) -> TryOutcome {
        let Some(within_ms) = self.settings.within_ms else {
            return TryOutcome::Suppressed("vendors have all the time there is now");
        };
        let order = OrderId::from_uuid(job.about.uuid());
        // What a credit needs follows from the job: a try that comes again meets what it made.
        let seed = || {
            let [.., a, b, c, d, _, _, _, _] = *job.id.uuid().as_bytes();
            let (id, mint) = (CreditId::from_uuid(job.id.uuid()), Mint([a, b, c, d]));
            CreditSeed { id, mint, reason: CreditReason::CannotDeliver }
        };
        let command = OrderCommand::AcceptanceDue { within_ms, cancel: self.settings.cancel.then(seed) };
        let how = Ask { within: Duration::from_millis(limits::REQUEST_MS), key: None, fresh: false };
        let later = |reason| TryOutcome::Failed { reason, retry_after: None, silent: false };
        match self.shop.ask::<Order>(order, command, how).await {
            Err(failure) => later(format!("the order gives no answer: {failure:?}")),
            Ok(answered) => match answered.outcome {
                Ok(_) => TryOutcome::Done,
                Err(Reject::OrderUnknown) => TryOutcome::Suppressed("there is no such order"),
                Err(Reject::CommandPoisoned) => later(Reject::CommandPoisoned.to_string()),
                Err(reject) => TryOutcome::Refused { reason: reject.to_string() },
            },
        }
    }
}

#[async_trait]
impl JobWorker for OrdersWorker {
    fn target(&self) -> Target {
        Target::Orders
    }

    /// A try of which nobody knows what came of it is repeated: the order knows what it has said.
    async fn try_job(&self, job: &Job) -> TryOutcome {
        match job.kind {
            JobKind::AcceptanceDue => self.acceptance(job).await,
            _ => self.attach.try_job(job).await,
        }
    }
}
