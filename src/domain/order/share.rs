//! The money of an order: what each vendor's share comes to, and what of it was credited, taken and given back.
//!
//! Every figure is one share's; an order's are sums of them. What is due is never a difference of sums: one vendor's debt to the buyer would
//! pay for what the buyer owes another.
//!
//! ```text
//! balance    = (total − credited + rounding) − (paid − refunded)
//! total_due  = max(0, balance)
//! refund_due = max(0, −balance)
//! ```

use super::OrderLine;
use super::state::Body;
use crate::domain::ids::VendorId;
use crate::domain::money::{self, slice};
use serde::{Deserialize, Serialize};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(super) fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// The money of one share of an order, or of several together, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// What its lines come to.
    pub total: i64,
    /// What of the total is not to be paid any more: what was cancelled, or was never paid.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub credited: i64,
    /// What cash was rounded by.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rounding: i64,
    /// What was taken.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub paid: i64,
    /// What of it was given back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refunded: i64,
    /// What is still to be paid.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub total_due: i64,
    /// What is still to be given back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refund_due: i64,
}

/// The money of one vendor's share, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    pub(super) vendor: VendorId,
    /// What its lines come to.
    pub(super) total: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) credited: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) rounding: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) paid: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) refunded: i64,
}

impl Share {
    fn new(vendor: VendorId) -> Self {
        Self { vendor, total: 0, credited: 0, rounding: 0, paid: 0, refunded: 0 }
    }

    /// What is still to be paid, or below zero what is to be given back.
    const fn balance(&self) -> i64 {
        let to_pay = self.total.saturating_sub(self.credited).saturating_add(self.rounding);
        to_pay.saturating_sub(self.paid.saturating_sub(self.refunded))
    }

    pub(super) fn amounts(&self) -> Amounts {
        let Self { vendor: _, total, credited, rounding, paid, refunded } = *self;
        let balance = self.balance();
        let (total_due, refund_due) = (balance.max(0), balance.saturating_neg().max(0));
        Amounts { total, credited, rounding, paid, refunded, total_due, refund_due }
    }

    /// What of its figures cannot be, by the rules for a share that is paid by one capture before anything is handed over.
    pub(super) fn is_wrong(&self) -> Option<&'static str> {
        let Self { vendor: _, total, credited, rounding, paid, refunded } = *self;
        let figures = [total, credited, rounding, paid, refunded];
        if figures.into_iter().any(|figure| figure < 0 || money::is_past_64_bits(figure)) {
            Some("amounts_are_sane")
        } else if credited > total {
            Some("nothing_is_credited_twice")
        } else if refunded > paid {
            Some("nothing_is_given_back_that_was_not_taken")
        } else if paid != 0 && paid != total {
            Some("a_share_is_paid_once")
        } else if self.amounts().refund_due != 0 {
            // What is taken for an order that ends unpaid is given back by the same step that finds it.
            Some("nothing_is_kept_that_is_not_owed")
        } else {
            None
        }
    }
}

impl Amounts {
    /// Whether what is due follows from the rest.
    pub const fn adds_up(&self) -> bool {
        let to_pay = self.total.saturating_sub(self.credited).saturating_add(self.rounding);
        let balance = to_pay.saturating_sub(self.paid.saturating_sub(self.refunded));
        self.total_due.saturating_sub(self.refund_due) == balance
    }

    /// The figures of several shares together.
    pub fn sum(shares: impl IntoIterator<Item = Amounts>) -> Self {
        let mut sum = Self::default();
        for share in shares {
            let Self { total, credited, rounding, paid, refunded, total_due, refund_due } = share;
            sum.total = sum.total.saturating_add(total);
            sum.credited = sum.credited.saturating_add(credited);
            sum.rounding = sum.rounding.saturating_add(rounding);
            sum.paid = sum.paid.saturating_add(paid);
            sum.refunded = sum.refunded.saturating_add(refunded);
            sum.total_due = sum.total_due.saturating_add(total_due);
            sum.refund_due = sum.refund_due.saturating_add(refund_due);
        }
        sum
    }
}

impl OrderLine {
    /// What is to be paid for it.
    pub const fn payable(&self) -> i64 {
        self.total().saturating_sub(self.discount)
    }

    /// Credits as many more of its units, and says what they come to. In whatever portions its units are credited, they come to what was to
    /// be paid for the line.
    pub(super) fn credit(&mut self, units: i64) -> i64 {
        let units = units.clamp(0, self.quantity.saturating_sub(self.credited));
        let up_to = self.credited.saturating_add(units);
        let amount = slice(self.payable(), self.credited, up_to, self.quantity)
            .min(self.payable().saturating_sub(self.credited_amount));
        self.credited = up_to;
        self.credited_amount = self.credited_amount.saturating_add(amount);
        amount
    }
}

impl Body {
    /// What each share's lines come to. The vendors stand in the order of their first lines.
    pub(super) fn add_up_shares(&mut self) {
        self.shares.iter_mut().for_each(|share| share.total = 0);
        for line in &self.lines {
            let at = self.shares.iter().position(|share| share.vendor == line.vendor);
            let at = at.unwrap_or_else(|| {
                self.shares.push(Share::new(line.vendor));
                self.shares.len() - 1
            });
            let share = &mut self.shares[at];
            share.total = money::sum([share.total, line.payable()]);
        }
        self.total = money::sum(self.shares.iter().map(|share| share.total));
    }

    /// What it comes to, and what of that was credited, taken and given back.
    pub(super) fn amounts(&self) -> Amounts {
        Amounts::sum(self.shares.iter().map(Share::amounts))
    }

    /// The same of one vendor's share.
    pub(super) fn share_amounts(&self, vendor: VendorId) -> Amounts {
        self.shares.iter().find(|share| share.vendor == vendor).map(Share::amounts).unwrap_or_default()
    }

    /// So much was taken: what was asked for, for all shares at once. Another amount is in no share: the order is stuck for it, until someone
    /// says what became of it.
    pub(super) fn take(&mut self, amount: i64) {
        for share in self.shares.iter_mut().filter(|_| amount == self.total) {
            share.paid = share.paid.saturating_add(share.total);
        }
    }

    /// So much was given back, as above.
    pub(super) fn give_back(&mut self, amount: i64) {
        for share in self.shares.iter_mut().filter(|_| amount == self.total) {
            share.refunded = share.refunded.saturating_add(share.total);
        }
    }

    /// It ended unpaid: nothing of it is to be paid any more.
    pub(super) fn credit_all(&mut self) {
        for line in &mut self.lines {
            let amount = line.credit(line.quantity);
            for share in self.shares.iter_mut().filter(|share| share.vendor == line.vendor) {
                share.credited = share.credited.saturating_add(amount);
            }
        }
    }

    /// The shares of an order of an early version, whose snapshot has figures of the whole order alone.
    pub(super) fn recall_shares(&mut self) {
        if !self.shares.is_empty() {
            return;
        }
        self.add_up_shares();
        let (paid, refunded) = (std::mem::take(&mut self.early_paid), std::mem::take(&mut self.early_refunded));
        self.take(paid);
        self.give_back(refunded);
        if self.status.is_end() {
            self.credit_all();
        }
    }
}
