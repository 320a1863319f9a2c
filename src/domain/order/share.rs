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

use super::shipment::HoldReason;
use super::state::Body;
use super::{BillHead, OrderLine};
use crate::domain::ids::VendorId;
use crate::domain::money;
use crate::domain::pricing::credit::Creditable;
use crate::domain::pricing::{Bill, BillLine, BillShare};
use crate::domain::rows::BillRow;
use crate::domain::time::Timestamp;
use crate::domain::vendor::Slot;
use serde::{Deserialize, Serialize};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
pub(super) fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// The money of one share of an order, or of several together, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// What is to be paid for it.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Share {
    pub(super) vendor: VendorId,
    /// What is to be paid for it: its lines, its shipping and its fees.
    pub(super) total: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) credited: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) rounding: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) paid: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) refunded: i64,
    /// Its shipping, its fees and its taxes, where the order has a bill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) billed: Option<Box<BillShare>>,
    /// What of `credited` is of shipping and fees, which are credited in one piece.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) besides_credited: i64,
    /// What points paid of shipping and fees, and was credited, in minor units.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) points_credited: i64,
    /// Why it is not shipped now, where somebody has stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) on_hold: Option<HoldReason>,
    /// When it was told that nothing of it was packed in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) overdue_at: Option<Timestamp>,
    /// In which of its vendor's slots it is to be brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) slot: Option<Box<Slot>>,
}

impl Share {
    fn new(vendor: VendorId) -> Self {
        let (billed, besides_credited, on_hold, overdue_at, slot) = (None, 0, None, None, None);
        let (total, credited, rounding, paid, refunded, points_credited) = (0, 0, 0, 0, 0, 0);
        Self {
            vendor,
            total,
            credited,
            rounding,
            paid,
            refunded,
            billed,
            besides_credited,
            points_credited,
            on_hold,
            overdue_at,
            slot,
        }
    }

    /// What is to be paid beside its lines.
    pub(super) fn besides(&self, prices_include_tax: bool) -> i64 {
        self.billed.as_ref().map_or(0, |billed| billed.besides(prices_include_tax))
    }

    /// Credits so much of it. What cash was rounded by goes with the last of it, and never makes less than nothing of what is to be paid: no more is
    /// given back than was taken.
    pub(super) fn credit(&mut self, amount: i64) {
        self.credited = self.credited.saturating_add(amount);
        let to_pay = self.total.saturating_sub(self.credited);
        self.rounding = if to_pay == 0 { 0 } else { self.rounding.max(to_pay.saturating_neg()) };
    }

    /// What is still to be paid, or below zero what is to be given back.
    const fn balance(&self) -> i64 {
        let to_pay = self.total.saturating_sub(self.credited).saturating_add(self.rounding);
        to_pay.saturating_sub(self.paid.saturating_sub(self.refunded))
    }

    pub(super) fn amounts(&self) -> Amounts {
        let Self { total, credited, rounding, paid, refunded, .. } = *self;
        let balance = self.balance();
        let (total_due, refund_due) = (balance.max(0), balance.saturating_neg().max(0));
        Amounts { total, credited, rounding, paid, refunded, total_due, refund_due }
    }

    /// What of its figures cannot be: of a share that is paid by one capture before anything is handed over, or at the door, in amounts that can be
    /// handed over, of which this is the smallest.
    pub(super) fn is_wrong(&self, at_door: Option<i64>) -> Option<&'static str> {
        let Self { total, credited, rounding, paid, refunded, .. } = *self;
        let figures = [total, credited, paid, refunded];
        let is_coarse = rounding.saturating_abs() >= at_door.unwrap_or(1);
        if is_coarse || figures.into_iter().any(|figure| figure < 0 || money::is_past_64_bits(figure)) {
            Some("amounts_are_sane")
        } else if credited > total {
            Some("nothing_is_credited_twice")
        } else if refunded > paid {
            Some("nothing_is_given_back_that_was_not_taken")
        } else if at_door.is_none() && paid != 0 && paid != total {
            Some("a_share_is_paid_once")
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
    /// What is to be paid for it with money.
    pub fn payable(&self) -> i64 {
        self.billed.as_ref().map_or(self.total(), |billed| billed.payable)
    }

    /// It, as far as it is credited.
    pub fn creditable(&self) -> Creditable {
        let of = |of: fn(&BillLine) -> i64| self.billed.as_deref().map_or(0, of);
        Creditable {
            units: self.quantity,
            payable: self.payable(),
            points: of(|billed| billed.points),
            platform: of(BillLine::platform),
            credited_units: self.credited,
            credited: self.credited_amount,
        }
    }

    /// Credits as many more of its units, and says what they come to. In whatever portions its units are credited, they come to what was to
    /// be paid for the line.
    pub(super) fn credit(&mut self, units: i64) -> i64 {
        let mut line = self.creditable();
        let credit = line.credit(units);
        (self.credited, self.credited_amount) = (line.credited_units, line.credited);
        credit.money
    }
}

impl Body {
    /// What each share comes to. The vendors stand in the order of their first lines.
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
        let included = self.prices_include_tax();
        for share in self.shares.iter_mut().filter(|share| share.billed.is_some()) {
            share.total = money::sum([share.total, share.besides(included)]);
        }
        self.total = money::sum(self.shares.iter().map(|share| share.total));
    }

    /// Whether its prices were shown with the tax.
    pub(super) fn prices_include_tax(&self) -> bool {
        self.bill.as_ref().is_none_or(|bill| bill.prices_include_tax)
    }

    /// It is billed so, for ever.
    pub(super) fn take_bill(&mut self, bill: &Bill) {
        let Bill { codes, prices_include_tax, lines, shares } = bill;
        self.bill = Some(Box::new(BillHead { codes: codes.clone(), prices_include_tax: *prices_include_tax }));
        for (line, billed) in self.lines.iter_mut().zip(lines) {
            line.billed = Some(Box::new(billed.clone()));
        }
        for billed in shares {
            for share in self.shares.iter_mut().filter(|share| share.vendor == billed.vendor) {
                share.billed = Some(Box::new(billed.clone()));
            }
        }
        self.add_up_shares();
    }

    /// What it comes to, and what of that was credited, taken and given back.
    pub(super) fn amounts(&self) -> Amounts {
        Amounts::sum(self.shares.iter().map(Share::amounts))
    }

    /// The same of one vendor's share.
    pub(super) fn share_amounts(&self, vendor: VendorId) -> Amounts {
        self.shares.iter().find(|share| share.vendor == vendor).map(Share::amounts).unwrap_or_default()
    }

    /// In which slot one vendor's share is to be brought.
    pub(super) fn slot(&self, vendor: VendorId) -> Option<&Slot> {
        self.shares.iter().find(|share| share.vendor == vendor)?.slot.as_deref()
    }

    /// The shipping, the fees and the taxes of one vendor's share.
    pub(super) fn share_billed(&self, vendor: VendorId) -> Option<Box<BillShare>> {
        self.shares.iter().find(|share| share.vendor == vendor)?.billed.clone()
    }

    /// The bill beside its lines, as the order's row tells it.
    pub(super) fn bill_row(&self) -> Option<BillRow> {
        let head = self.bill.as_deref()?.clone();
        let shares = self.shares.iter().filter_map(|share| share.billed.as_deref().cloned()).collect();
        let included = head.prices_include_tax;
        let besides = money::sum(self.shares.iter().map(|share| share.besides(included)));
        let besides_credited = money::sum(self.shares.iter().map(|share| share.besides_credited));
        Some(BillRow { head, shares, besides, besides_credited })
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
        let included = self.prices_include_tax();
        for share in self.shares.iter_mut().filter(|share| share.billed.is_some()) {
            let besides = share.besides(included).saturating_sub(share.besides_credited);
            share.besides_credited = share.besides_credited.saturating_add(besides);
            share.credited = share.credited.saturating_add(besides);
        }
        self.shares.iter_mut().for_each(|share| share.slot = None);
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
