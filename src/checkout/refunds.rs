//! Gives money of paid orders back: a job for each refund that an order asks for.
//!
//! A job says which order; the order says which of its refunds are open. Each is looked up at the provider first, and asked for only where it was
//! never asked for; the order hears what the provider says, and the job is done once the order has recorded that.

use crate::actors::{Ask, Shop};
use crate::domain::ids::OrderId;
use crate::domain::job::{Job, Target, TryOutcome};
use crate::domain::order::{Order, OrderCommand, OrderReply, RefundTold};
use crate::domain::payment::RefundProgress;
use crate::domain::reject::Reject;
use crate::limits;
use crate::ports::jobs::JobWorker;
use async_trait::async_trait;
use std::time::Duration;

/// Does these jobs.
pub struct RefundWorker {
    shop: Shop,
}

/// It is tried again.
fn later(reason: String) -> TryOutcome {
    TryOutcome::Failed { reason, retry_after: None, silent: false }
}

impl RefundWorker {
    /// Over these orders.
    pub fn new(shop: Shop) -> Self {
        Self { shop }
    }

    async fn ask(&self, order: OrderId, command: OrderCommand) -> Result<OrderReply, TryOutcome> {
        let how = Ask { within: Duration::from_millis(limits::REQUEST_MS), key: None, fresh: false };
        let asked = self.shop.ask::<Order>(order, command, how).await;
        let answered = asked.map_err(|failure| later(format!("the order gives no answer: {failure:?}")))?;
        answered.outcome.map_err(|reject| match reject {
            // The money may have moved, and is told once the order can be told again.
            Reject::CommandPoisoned => later(reject.to_string()),
            _ => TryOutcome::Refused { reason: reject.to_string() },
        })
    }

    async fn refunds(&self, order: OrderId) -> Result<TryOutcome, TryOutcome> {
        let OrderReply::Refunds { method, calls } = self.ask(order, OrderCommand::OpenRefunds).await? else {
            return Err(TryOutcome::Refused { reason: "the order answered something else".to_owned() });
        };
        let (mut silent, mut pending) = (0, 0);
        for call in calls {
            let Some(of) = call.of else { continue };
            let Some(progress) = self.shop.refund(&method, &call).await else {
                silent += 1;
                continue;
            };
            pending += usize::from(progress == RefundProgress::Pending);
            let told = RefundTold::from(progress);
            self.ask(order, OrderCommand::RefundTold { refund: of.refund, attempt: call.attempt, told }).await?;
        }
        Ok(match (silent, pending) {
            (0, 0) => TryOutcome::Done,
            (0, _) => later(format!("{pending} refunds are pending at the provider")),
            (_, _) => TryOutcome::Unknown { reason: format!("the provider gave no answer about {silent} refunds") },
        })
    }
}

#[async_trait]
impl JobWorker for RefundWorker {
    fn target(&self) -> Target {
        Target::Refunds
    }

    async fn try_job(&self, job: &Job) -> TryOutcome {
        self.refunds(OrderId::from_uuid(job.about.uuid())).await.unwrap_or_else(|outcome| outcome)
    }
}
