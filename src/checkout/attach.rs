//! What was bought as a guest is given to whoever has verified the address that it was bought with: a job, which the account's verification writes.

use super::buyers::BuyerKeys;
use crate::actors::{Ask, Shop};
use crate::domain::buyer::MailKey;
use crate::domain::ids::CustomerId;
use crate::domain::job::{About, Job, Target, TryOutcome};
use crate::domain::order::{Order, OrderCommand};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::jobs::{Customers, JobWorker, NotNow};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a try waits for the next checkpoint, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(100);

impl Shop {
    /// Makes a customer the owner of the newest orders that guests have placed with the address of this key, [`limits::ORDERS_ATTACHED`] at most.
    /// Each order decides for itself; one that is somebody's by then stays theirs. Gives how many there were. Repeated, it changes nothing more.
    ///
    /// Orders are found in the read tables: those that were placed after [`Shop::as_of`] may be missed.
    ///
    /// # Errors
    /// When they cannot be found, one of them gives no answer, or the payment of one is under way, so that its guest waits for it. Those that can
    /// belong to the customer by then do.
    pub async fn attach_orders(&self, customer: CustomerId, mail_key: MailKey) -> Result<usize, NotNow> {
        let found = self.queries().guests_orders(mail_key, limits::ORDERS_ATTACHED).await;
        let found = found.map_err(|error| NotNow(format!("the orders cannot be found: {error}")))?;
        let how = Ask { within: Duration::from_millis(limits::REQUEST_MS), key: None, fresh: false };
        let (mut attached, mut under_way) = (0, 0);
        for order in found {
            let asked = self.ask::<Order>(order, OrderCommand::Attach { customer, mail_key }, how).await;
            match asked.map_err(|failure| NotNow(format!("an order gives no answer: {failure:?}")))?.outcome {
                Ok(_) => attached += 1,
                Err(Reject::OrderUnknown) => {}
                Err(Reject::OutOfTurn) => under_way += 1,
                Err(reject) => return Err(NotNow(reject.to_string())),
            }
        }
        match under_way {
            0 => Ok(attached),
            _ => Err(NotNow(format!("{under_way} orders are being paid"))),
        }
    }
}

/// Does these jobs.
pub struct AttachWorker {
    shop: Shop,
    buyers: BuyerKeys,
    customers: Arc<dyn Customers>,
}

impl AttachWorker {
    /// Over these orders and these accounts.
    pub fn new(shop: Shop, customers: Arc<dyn Customers>) -> Self {
        Self { buyers: BuyerKeys::new(shop.store_key()), shop, customers }
    }

    /// Waits, some time, until the tables show what was recorded before this moment.
    async fn tables_show(&self, moment: Timestamp) -> Result<(), NotNow> {
        let until = Instant::now() + PATIENCE;
        while self.shop.as_of() < moment {
            if Instant::now() >= until {
                return Err(NotNow("the tables do not show yet what was bought before".to_owned()));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    async fn attach(&self, job: &Job) -> Result<TryOutcome, NotNow> {
        let About::Account(account) = job.about else {
            return Ok(TryOutcome::Refused { reason: "it is about no account".to_owned() });
        };
        self.tables_show(job.made_at).await?;
        let address = self.customers.address(account).await?;
        let Some(mail_key) = address.and_then(|address| self.buyers.mail_key(&address)) else {
            return Ok(TryOutcome::Suppressed("nobody buys with this account"));
        };
        let orders = self.shop.attach_orders(CustomerId::from_uuid(account.uuid()), mail_key).await?;
        tracing::debug!(%account, orders, "orders of a guest belong to an account now");
        Ok(TryOutcome::Done)
    }
}

#[async_trait]
impl JobWorker for AttachWorker {
    fn target(&self) -> Target {
        Target::Orders
    }

    /// A try of which nobody knows what came of it is repeated.
    async fn try_job(&self, job: &Job) -> TryOutcome {
        let later = |NotNow(reason)| TryOutcome::Failed { reason, retry_after: None, silent: false };
        self.attach(job).await.unwrap_or_else(later)
    }
}
