//! Gives money of paid orders back: a job for each refund that an order asks for.
//!
//! A job says which order; the order says which of its refunds are open, and from then on takes it that the provider may have them. Each is looked up at the provider first, and asked for only where it was
//! never asked for; the order hears what the provider says, and the job is done once the order has recorded that.

use crate::actors::{Ask, Shop};
use crate::domain::buyer::Mint;
use crate::domain::ids::OrderId;
use crate::domain::job::{Job, JobKind, Target, TryOutcome};
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

    /// What has become of a payment after it was taken: disputes, and what was given back.
    async fn look_at(&self, order: OrderId, job: &Job) -> Result<TryOutcome, TryOutcome> {
        let known = self.ask(order, OrderCommand::PaymentKnown).await.map_err(|outcome| match outcome {
            // Another shop may take its payments with the same account, and a store may be older than the provider's books.
            TryOutcome::Refused { .. } => TryOutcome::Suppressed("there is no such order"),
            other => other,
        })?;
        let OrderReply::Payment { payment: Some(payment), refunds } = known else {
            return Err(TryOutcome::Refused { reason: "the order answered something else".to_owned() });
        };
        let Some(disputes) = self.shop.disputes(&payment).await else {
            return Ok(TryOutcome::Unknown { reason: "the provider gave no answer about disputes".to_owned() });
        };
        for told in disputes {
            // Another one for each job: what a dispute leaves to be given back is a refund of its own.
            let mint = {
                let [.., a, b, c, d, _, _, _, _] = *job.id.uuid().as_bytes();
                Mint([a, b, c, d])
            };
            self.ask(order, OrderCommand::DisputeTold { told, mint }).await?;
        }
        let mut silent = 0;
        for call in refunds {
            let Some(of) = call.of else { continue };
            match self.shop.look_up_refund(&payment.method, &call).await {
                None => silent += 1,
                // It is asked for by its own job.
                Some(None) => {}
                Some(Some(progress)) => {
                    let told = RefundTold::from(progress);
                    self.ask(order, OrderCommand::RefundTold { refund: of.refund, attempt: call.attempt, told })
                        .await?;
                }
            }
        }
        Ok(match silent {
            0 => TryOutcome::Done,
            _ => TryOutcome::Unknown { reason: format!("the provider gave no answer about {silent} refunds") },
        })
    }
}

#[async_trait]
impl JobWorker for RefundWorker {
    fn target(&self) -> Target {
        Target::Refunds
    }

    async fn try_job(&self, job: &Job) -> TryOutcome {
        let order = OrderId::from_uuid(job.about.uuid());
        let tried = match job.kind {
            JobKind::LookAtPayment => self.look_at(order, job).await,
            _ => self.refunds(order).await,
        };
        tried.unwrap_or_else(|outcome| outcome)
    }
}
