//! What payments need: providers, what they answer and what they say by themselves, and the sandbox's books.

use crate::domain::buyer::Mint;
use crate::domain::entity::PaymentCall;
use crate::domain::ids::OrderId;
use crate::domain::money::{Currency, Money};
use crate::domain::order::{DisputeTold, PaymentChoice};
use crate::domain::payment::{Progress, RefundCall, RefundProgress};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::limits;
use async_trait::async_trait;
use std::time::Duration;

/// A provider gave no outcome: unknown, so it is asked again under the same key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("payment provider: {0}")]
pub struct NoAnswer(pub String);

/// What a provider has made of the wish to prepare a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// It may be charged.
    Ready {
        /// Its name in the provider's books.
        reference: String,
    },
    /// It will never be: nothing is there that could be charged.
    Refused {
        /// Why, in the provider's words.
        reason: String,
    },
}

/// Why what came as a provider's notice is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoNotice {
    /// This provider sends none, or nobody said what they are signed with.
    #[error("no notices are taken")]
    NotTaken,
    /// Nobody who may has signed it, or that was long ago.
    #[error("the signature is not the provider's, or too old")]
    Forged,
}

/// What a provider's notice is about. It is a hint to look something up, and nothing of what it says is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The payment of this order.
    Order(OrderId),
    /// What comes after a payment: a dispute of it, or a refund.
    After(Payment),
    /// Nothing of ours.
    Other,
}

/// Which payment a notice is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payment {
    /// That of this order.
    Of(OrderId),
    /// The one that the provider calls so.
    Named(String),
}

/// Some of the payments that have changed at a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Whose payments.
    pub orders: Vec<OrderId>,
    /// From where to go on, where there is more.
    pub next: Option<String>,
}

/// The headers of a notice, by their names in small letters.
pub type Headers<'a> = &'a dyn Fn(&str) -> Option<&'a [u8]>;

/// A payment provider. Every verb is idempotent by its key: order and mint of a payment; order, mint and attempt of a refund. Whatever may
/// take long comes back as [`Progress::Processing`] or [`RefundProgress::Pending`], and is looked up.
#[async_trait]
pub trait PaymentProvider: Send + Sync + 'static {
    /// The name by which checkouts ask for it.
    fn method(&self) -> &'static str;
    /// Whether this can be paid with, as far as can be told without asking.
    ///
    /// # Errors
    /// [`Reject::PaymentUnsupported`], with what is wrong in words.
    fn check(&self, choice: &PaymentChoice) -> Result<(), Reject>;
    /// The least that it takes in this currency, in minor units.
    fn least(&self, _: Currency) -> i64 {
        1
    }
    /// Whether a payment has a reference of the provider that is recorded before anything is charged.
    fn prepares(&self) -> bool {
        false
    }
    /// How long one call may take.
    fn patience(&self) -> Duration {
        Duration::from_millis(limits::GATEWAY_CALL_MS)
    }
    /// Makes a payment ready. No money moves. Asked only of who [`PaymentProvider::prepares`].
    async fn prepare(&self, _call: &PaymentCall) -> Result<Prepared, NoAnswer> {
        Err(NoAnswer("nothing is prepared here".to_owned()))
    }
    /// Reads a notice, of which `header` gives the headers by their names in small letters.
    ///
    /// # Errors
    /// See [`NoNotice`].
    fn notice(&self, _header: Headers<'_>, _body: &[u8], _wall: Timestamp) -> Result<Notice, NoNotice> {
        Err(NoNotice::NotTaken)
    }
    /// Takes the money, once, however often it is asked. The only verb that does.
    async fn charge(&self, call: &PaymentCall) -> Result<Progress, NoAnswer>;
    /// Tells how the payment stands: the answer to every unknown outcome.
    async fn look_up(&self, call: &PaymentCall) -> Result<Progress, NoAnswer>;
    /// Sees to it that nothing is taken, also by a charge that comes later. [`Progress::Cancelled`] says that nothing was and nothing
    /// will be, also of what had been declined; [`Progress::Succeeded`] that it comes too late.
    async fn cancel(&self, call: &PaymentCall) -> Result<Progress, NoAnswer>;
    /// Gives back what was taken.
    async fn refund(&self, call: &RefundCall) -> Result<RefundProgress, NoAnswer>;
    /// Tells how a refund stands; `None` if it was never asked for.
    async fn look_up_refund(&self, call: &RefundCall) -> Result<Option<RefundProgress>, NoAnswer>;
    /// All disputes of a payment.
    async fn disputes(&self, _call: &PaymentCall) -> Result<Vec<DisputeTold>, NoAnswer> {
        Ok(Vec::new())
    }
    /// The order whose payment the provider calls so; `None` where it is none of ours.
    async fn order_of(&self, _reference: &str) -> Result<Option<OrderId>, NoAnswer> {
        Ok(None)
    }
    /// Which payments were disputed since then, or had a refund returned, from `cursor` on. What is told twice does no harm.
    async fn changed(&self, _since: Timestamp, _cursor: Option<&str>) -> Result<Changed, NoAnswer> {
        Ok(Changed::default())
    }
}

/// A charge as the sandbox's charge log shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeLogEntry {
    /// The order, the first part of the idempotency key.
    pub order: OrderId,
    /// The rest of the key; none for an order of an early version.
    pub mint: Option<Mint>,
    /// How much.
    pub amount: Money,
    /// What of it was given back in parts.
    pub refunded: Money,
    /// `charged`, `declined`, `voided` (nothing was taken and nothing will be) or `refunded`.
    pub status: &'static str,
    /// When it came to stand so.
    pub at: Timestamp,
}

/// What a gateway that keeps its own charge log lets an administrator see.
pub trait ChargeLog: Send + Sync + 'static {
    /// The entry of one order, or the newest `limit` entries, the newest first.
    fn entries(&self, order: Option<OrderId>, limit: usize) -> Vec<ChargeLogEntry>;

    /// As [`Journal::in_place`], of the charge log.
    ///
    /// # Errors
    /// What is missing, in words.
    fn in_place(&self) -> Result<(), String> {
        Ok(())
    }
}
