//! What payments need: providers, what they answer and what they say by themselves, and the sandbox's books.

use super::{Headers, NoAnswer, NoNotice};
use crate::domain::buyer::Mint;
use crate::domain::entity::PaymentCall;
use crate::domain::ids::{OrderId, RefundId};
use crate::domain::money::{Currency, Money};
use crate::domain::order::{DisputeTold, PaymentChoice};
use crate::domain::payment::{Progress, RefundCall, RefundProgress};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::limits;
use async_trait::async_trait;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

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

/// A dispute in the sandbox's books: the how many-th of its order, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxDispute {
    /// Of which order's payment.
    pub order: OrderId,
    /// The how many-th.
    pub number: u32,
}

const ORDER: &str = "order_";
const DISPUTE: &str = "dp_";

impl fmt::Display for SandboxDispute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DISPUTE}{}_{}", self.order.to_string().trim_start_matches(ORDER), self.number)
    }
}

/// No dispute is called so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no name of a dispute")]
pub struct NoDispute;

impl FromStr for SandboxDispute {
    type Err = NoDispute;

    fn from_str(text: &str) -> Result<Self, NoDispute> {
        let (order, number) = text.strip_prefix(DISPUTE).and_then(|rest| rest.split_once('_')).ok_or(NoDispute)?;
        let order: OrderId = format!("{ORDER}{order}").parse().map_err(|_| NoDispute)?;
        let named = Self { order, number: number.parse().map_err(|_| NoDispute)? };
        // As it is written, and in no other way.
        if named.to_string() == text { Ok(named) } else { Err(NoDispute) }
    }
}

/// What of a charge was given back, as the sandbox's books have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenBack {
    /// Of which order's payment.
    pub order: OrderId,
    /// Which refund.
    pub refund: RefundId,
    /// Which try.
    pub attempt: u32,
    /// How much.
    pub amount: Money,
    /// Why a bank has returned it, if one has.
    pub failure: Option<String>,
    /// When it came to stand so.
    pub at: Timestamp,
}

/// Why nothing came of what somebody wanted to happen after a payment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undriven {
    /// The books know no such thing.
    #[error("there is no such thing in the books")]
    Unknown,
    /// No more than this is left of the payment.
    #[error("{0} is left of the payment")]
    Exceeds(Money),
    /// The books cannot be written.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

/// What a gateway that keeps its own charge log lets an administrator see, and have happen.
#[async_trait]
pub trait ChargeLog: Send + Sync + 'static {
    /// The entry of one order, or the newest `limit` entries, the newest first.
    fn entries(&self, order: Option<OrderId>, limit: usize) -> Vec<ChargeLogEntry>;

    /// What was given back of one order, or the newest `limit` of all, the newest first.
    fn refunds(&self, order: Option<OrderId>, limit: usize) -> Vec<GivenBack>;

    /// The buyer has their bank dispute so much of a payment.
    ///
    /// # Errors
    /// See [`Undriven`].
    async fn dispute(&self, order: OrderId, amount: Money, reason: &str) -> Result<DisputeTold, Undriven>;

    /// The bank decides. A dispute that has ended stays as it is.
    ///
    /// # Errors
    /// See [`Undriven`].
    async fn close_dispute(&self, dispute: SandboxDispute, won: bool) -> Result<DisputeTold, Undriven>;

    /// A bank returns the newest try of a refund. One that it has returned stays so.
    ///
    /// # Errors
    /// See [`Undriven`].
    async fn return_refund(&self, refund: RefundId, reason: &str) -> Result<GivenBack, Undriven>;

    /// As [`Journal::in_place`], of the charge log.
    ///
    /// # Errors
    /// What is missing, in words.
    fn in_place(&self) -> Result<(), String> {
        Ok(())
    }
}
