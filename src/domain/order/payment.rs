//! An order's payment: what is asked of the gateway, and what is made of its answers.

use super::resolve::VOID_REFUSED;
use super::state::{Body, Phase};
use super::{Order, OrderEvent, PaymentStatus, TimelineEntry};
use crate::domain::buyer::Mint;
use crate::domain::entity::PaymentCall;
use crate::domain::ids::OrderId;
use crate::domain::money::Money;

impl Order {
    /// Drawn for it: the end of the provider's keys; none for an order of an early version.
    pub fn mint(&self) -> Option<Mint> {
        self.body.as_ref()?.mint
    }

    /// Whether a call may still be made that needs the buyer's means of payment, kept beside the journal.
    pub fn needs_token(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.buyer.is_some() && !body.needs_no_token())
    }

    /// Whether its personal data are kept beside the journal: not those of an order of an early version.
    pub fn is_detailed(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.buyer.is_some())
    }
}

impl Body {
    /// What is asked of the gateway.
    pub(super) fn call(&self, order: OrderId) -> PaymentCall {
        PaymentCall {
            order,
            amount: self.asked(),
            method: self.payment.method.clone(),
            mint: self.mint,
            reference: self.reference.clone(),
            token: (!self.payment.token.is_empty()).then(|| self.payment.token.as_str().into()),
            not_after: self.payment_due_at,
        }
    }

    /// Which try to give the money back comes next, from 1. One that failed for good stands in the timeline; what has no answer yet is
    /// asked for again under the same number.
    pub(super) fn refund_attempt(&self) -> u32 {
        let refused = |entry: &&TimelineEntry| {
            entry.kind == "quarantined" && entry.reason.as_deref() == Some(VOID_REFUSED) && entry.vendor.is_none()
        };
        u32::try_from(self.timeline.iter().filter(refused).count()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Whether no call will be made any more that needs the buyer's means of payment.
    pub(super) fn needs_no_token(&self) -> bool {
        match self.phase {
            // The provider has it, and charges what was prepared.
            Phase::Paying | Phase::Stuck if self.reference.is_some() => true,
            // One that is stuck may be charged again.
            Phase::Gathering | Phase::Paying | Phase::Stuck => false,
            Phase::Voiding(_)
            | Phase::Confirming
            | Phase::Settled
            | Phase::Cancelling(_)
            | Phase::Reopening(_)
            | Phase::Ended => true,
        }
    }

    /// The provider has made the payment ready under this name. Only what is recorded is ever charged; the first one is.
    pub(super) fn decide_prepared(&self, reference: &str) -> Vec<OrderEvent> {
        let prepared = || OrderEvent::PaymentPrepared { reference: reference.into() };
        self.reference.is_none().then(prepared).into_iter().collect()
    }

    /// The payment waits for the buyer: it is said once.
    pub(super) fn decide_needs_buyer(&self) -> Vec<OrderEvent> {
        let waits = self.payment_status == PaymentStatus::RequiresAction;
        (!waits).then_some(OrderEvent::PaymentActionRequired).into_iter().collect()
    }

    /// The order's total as money.
    pub(super) fn asked(&self) -> Money {
        Money::new(self.total, self.currency)
    }

    /// The gateway says that it has taken so much, or has given it back.
    pub(super) fn decide_moved(&self, told: Option<Money>, given_back: bool) -> Vec<OrderEvent> {
        let told = told.unwrap_or_else(|| self.asked());
        vec![match (told == self.asked(), given_back) {
            (false, _) => OrderEvent::PaymentDiffered { told, given_back },
            (true, false) => OrderEvent::Paid { amount: self.total },
            (true, true) => OrderEvent::PaymentRefunded { amount: self.total, told: None },
        }]
    }

    /// So much of it was given back.
    pub(super) fn given_back(&self, told: Money) -> OrderEvent {
        // What is no amount in the order's own currency is told, and not counted.
        let counts = told.currency == self.currency && (0..i64::MAX).contains(&told.minor);
        OrderEvent::PaymentRefunded { amount: if counts { told.minor } else { 0 }, told: (!counts).then_some(told) }
    }
}
