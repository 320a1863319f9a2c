//! What comes after a payment in the sandbox: disputes, and refunds that a bank returns. Nothing of it comes by itself: somebody drives it.

use super::charge_log::{Disputed, Key, PartRefund, Returned};
use super::writer::State;
use super::{SandboxGateway, Step};
use crate::domain::ids::{OrderId, RefundId};
use crate::domain::money::Money;
use crate::domain::order::{DisputeStatus, DisputeTold};
use crate::domain::time::Timestamp;
use crate::ports::{Changed, GivenBack, NoAnswer, SandboxDispute, Undriven};

/// Lines on a page of what has changed.
const PAGE: usize = 100;

/// What is done next about what somebody drives.
type Driven<T> = Result<Step<Result<T, Undriven>>, NoAnswer>;

fn shown(state: &State, refund: &PartRefund) -> GivenBack {
    let returned = state.book.return_of(refund);
    GivenBack {
        order: refund.order,
        refund: refund.refund,
        attempt: refund.attempt,
        amount: refund.amount(),
        failure: returned.map(|returned| returned.reason.clone()),
        at: returned.map_or(refund.at, |returned| returned.at),
    }
}

impl SandboxGateway {
    /// The disputes of a charge.
    pub(super) fn disputes_told(&self, key: Key) -> Vec<DisputeTold> {
        self.desk.state.lock().book.disputes(key).iter().map(Disputed::told).collect()
    }

    /// A page of the orders of whom disputes and returned refunds tell; a place is how many lines were read.
    pub(super) fn changed_since(&self, since: Timestamp, cursor: Option<&str>) -> Result<Changed, NoAnswer> {
        let none = |_| NoAnswer("it is asked for what it has not said".to_owned());
        let from: usize = cursor.map_or(Ok(0), str::parse).map_err(none)?;
        let state = self.desk.state.lock();
        let after = state.book.after();
        let mut orders = Vec::new();
        for (_, order) in after.iter().skip(from).take(PAGE).filter(|(at, _)| *at >= since) {
            if !orders.contains(order) {
                orders.push(*order);
            }
        }
        let next = from.saturating_add(PAGE);
        Ok(Changed { orders, next: (next < after.len()).then(|| next.to_string()) })
    }

    /// What was given back in parts, the newest of each charge first.
    pub(super) fn given_back(&self, order: Option<OrderId>, limit: usize) -> Vec<GivenBack> {
        let state = self.desk.state.lock();
        let mut all: Vec<&PartRefund> = state.book.all_refunds(order).collect();
        all.sort_by_key(|refund| std::cmp::Reverse((refund.at, refund.refund.uuid())));
        all.into_iter().take(limit).map(|refund| shown(&state, refund)).collect()
    }

    pub(super) fn next_of_dispute(&self, order: OrderId, amount: Money, reason: &str) -> Driven<DisputeTold> {
        let mut state = self.desk.state.lock();
        let Some(key) = state.book.charged(order) else { return Ok(Step::Known(Err(Undriven::Unknown))) };
        if let Some(receiver) = state.join(key) {
            return Ok(Step::Join(receiver));
        }
        let Some(left) = state.book.kept(key) else { return Ok(Step::Known(Err(Undriven::Unknown))) };
        if left.currency != amount.currency || !(1..=left.minor).contains(&amount.minor) {
            return Ok(Step::Known(Err(Undriven::Exceeds(left))));
        }
        let number = state.book.disputes_of(order).count() + 1;
        let line = Disputed {
            order,
            mint: key.1,
            dispute: u32::try_from(number).unwrap_or(u32::MAX),
            status: DisputeStatus::Open,
            amount_minor: amount.minor,
            currency: amount.currency,
            reason: reason.to_owned(),
            at: self.clock.now(),
        };
        let told = line.told();
        let receiver = self.desk.submit(&mut state, line)?;
        Ok(Step::Write(receiver, Ok(told)))
    }

    /// What has ended stays so.
    pub(super) fn next_of_close(&self, dispute: SandboxDispute, won: bool) -> Driven<DisputeTold> {
        let mut state = self.desk.state.lock();
        let known = state.book.disputes_of(dispute.order).find(|known| known.dispute == dispute.number).cloned();
        let Some(known) = known else { return Ok(Step::Known(Err(Undriven::Unknown))) };
        if let Some(receiver) = state.join((known.order, known.mint)) {
            return Ok(Step::Join(receiver));
        }
        if known.status != DisputeStatus::Open {
            return Ok(Step::Known(Ok(known.told())));
        }
        let status = if won { DisputeStatus::Won } else { DisputeStatus::Lost };
        let line = Disputed { status, at: self.clock.now(), ..known };
        let told = line.told();
        let receiver = self.desk.submit(&mut state, line)?;
        Ok(Step::Write(receiver, Ok(told)))
    }

    /// The newest try of a refund. What has come back stays so.
    pub(super) fn next_of_return(&self, refund: RefundId, reason: &str) -> Driven<GivenBack> {
        let mut state = self.desk.state.lock();
        let is_it = |it: &&PartRefund| it.refund == refund;
        let known = state.book.all_refunds(None).filter(is_it).max_by_key(|it| it.attempt).copied();
        let Some(known) = known else { return Ok(Step::Known(Err(Undriven::Unknown))) };
        if let Some(receiver) = state.join(known.key()) {
            return Ok(Step::Join(receiver));
        }
        let before = shown(&state, &known);
        if before.failure.is_some() {
            return Ok(Step::Known(Ok(before)));
        }
        let PartRefund { order, mint, attempt, .. } = known;
        let at = self.clock.now();
        let line = Returned { order, mint, returned: refund, attempt, reason: reason.to_owned(), at };
        let receiver = self.desk.submit(&mut state, line)?;
        Ok(Step::Write(receiver, Ok(GivenBack { failure: Some(reason.to_owned()), at, ..before })))
    }
}
