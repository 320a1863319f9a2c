//! A payment provider that keeps to the port's word: every verb is idempotent by its key, and what it does is scripted by
//! the token. It counts each movement of money, so that a second charge cannot hide.

use haat::domain::entity::PaymentCall;
use haat::domain::ids::OrderId;
use haat::domain::money::Money;
use haat::domain::order::OrderCommand;
use haat::domain::payment::{Aim, Next, Progress, RefundProgress, Verb, after_refund, after_refund_look_up};
use haat::domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Takes the money and says so.
pub const APPROVE: &str = "tok_approve";
/// Refuses.
pub const DECLINE: &str = "tok_decline";
/// Takes the money, but the first answer never arrives.
pub const LOST_REPLY: &str = "tok_lost_reply";
/// Fails twice without doing anything, then takes the money.
pub const FLAKY: &str = "tok_flaky_2";
/// Never takes anything and never answers a charge; answers a void.
pub const SILENT: &str = "tok_silent";
/// Takes the money at once, and answers only when it is told to.
pub const SLOW: &str = "tok_slow";
/// Is at it, and takes the money by the time of the deadline.
pub const LATE: &str = "tok_late";

/// How a charge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The money was taken.
    Charged,
    /// The means of payment was refused.
    Declined,
    /// Nothing was taken and nothing will be.
    Voided,
    /// The money was taken and given back.
    Refunded,
}

/// What the gateway knows of one order.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// How it stands; `None` while nothing was done.
    pub standing: Option<Standing>,
    /// Every movement of money, in minor units: taken positive, given back negative.
    pub moves: Vec<i64>,
    /// Charge calls that arrived.
    pub calls: u32,
}

/// The gateway with its charge log.
#[derive(Debug, Default)]
pub struct Gateway {
    accounts: BTreeMap<OrderId, Account>,
    /// Orders whose charge is done and whose answer waits.
    slow: BTreeSet<OrderId>,
    /// What is being taken for them, which is not taken yet.
    late: BTreeMap<OrderId, i64>,
    /// While it is down no call arrives.
    pub down: bool,
    /// What it takes, whatever it is asked for.
    pub takes: Option<i64>,
    /// What it says that it took, whatever it did.
    pub tells: Option<Money>,
    /// Whether it refuses for good to undo anything.
    pub refuses_voids: bool,
    /// Refunds are under way, and never done.
    pub refunds_hang: bool,
    /// What is asked past the deadline, in order.
    pub asked: Vec<(OrderId, &'static str)>,
    /// So many of the next answers never arrive, though what was asked is done.
    pub lose_answers: u32,
}

impl Gateway {
    /// What is known of an order.
    pub fn account(&self, order: OrderId) -> Account {
        self.accounts.get(&order).cloned().unwrap_or_default()
    }

    /// What was taken from the buyer and not given back, in minor units.
    pub fn net(&self, order: OrderId) -> i64 {
        self.account(order).moves.iter().sum()
    }

    /// Orders whose answer waits to be let go, in the order of their ids.
    pub fn waiting(&self) -> Vec<OrderId> {
        self.slow.iter().copied().collect()
    }

    /// Lets the answer of a slow charge go.
    pub fn let_go(&mut self, order: OrderId) {
        self.slow.remove(&order);
    }

    /// Someone ends a payment on the provider's own page: nothing will be taken, and what was is given back.
    pub fn undo_by_hand(&mut self, order: OrderId) {
        self.slow.remove(&order);
        self.late.remove(&order);
        let account = self.accounts.entry(order).or_default();
        let net: i64 = account.moves.iter().sum();
        if net != 0 {
            account.moves.push(-net);
        }
        account.standing = Some(if account.moves.is_empty() { Standing::Voided } else { Standing::Refunded });
    }

    /// What was taken for a call, given back or not.
    fn taken(&self, call: &PaymentCall) -> Money {
        let taken = self.account(call.order).moves.into_iter().find(|amount| *amount > 0);
        self.tells.unwrap_or_else(|| Money::new(taken.unwrap_or(0), call.amount.currency))
    }

    /// How it stands.
    fn progress(&self, call: &PaymentCall) -> Progress {
        match self.account(call.order).standing {
            Some(Standing::Charged) => Progress::Succeeded { reference: None, amount: self.taken(call), fee: None },
            Some(Standing::Declined) => Progress::Declined { reason: "no funds".into() },
            Some(Standing::Voided | Standing::Refunded) => Progress::Cancelled,
            None if self.late.contains_key(&call.order) => Progress::Processing,
            None => Progress::NotStarted,
        }
    }

    fn take(&mut self, order: OrderId, amount: i64) {
        let account = self.accounts.entry(order).or_default();
        account.moves.push(amount);
        account.standing = Some(Standing::Charged);
    }

    fn charge(&mut self, call: &PaymentCall, now: Timestamp) -> Option<Progress> {
        assert!(now < call.not_after, "{} charged at {now}, after {}", call.order, call.not_after);
        let account = self.accounts.entry(call.order).or_default();
        account.calls += 1;
        let calls = account.calls;
        if account.standing.is_none() {
            match call.token.as_deref().unwrap_or_default() {
                DECLINE => account.standing = Some(Standing::Declined),
                SILENT => return None,
                LATE => _ = self.late.insert(call.order, self.takes.unwrap_or(call.amount.minor)),
                FLAKY if calls <= 2 => return None,
                _ => self.take(call.order, self.takes.unwrap_or(call.amount.minor)),
            }
            if call.token.as_deref() == Some(SLOW) {
                self.slow.insert(call.order);
            }
            if call.token.as_deref() == Some(LOST_REPLY) {
                return None;
            }
        }
        if self.slow.contains(&call.order) {
            return None;
        }
        Some(self.progress(call))
    }

    fn cancel(&mut self, call: &PaymentCall) -> Progress {
        self.slow.remove(&call.order);
        let account = self.accounts.entry(call.order).or_default();
        match account.standing {
            None => {
                account.standing = Some(Standing::Voided);
                self.late.remove(&call.order);
                Progress::Cancelled
            }
            Some(Standing::Declined) => Progress::Cancelled,
            Some(Standing::Charged | Standing::Voided | Standing::Refunded) => self.progress(call),
        }
    }

    fn found_refund(&self, call: &PaymentCall) -> Option<RefundProgress> {
        let refunded = self.account(call.order).standing == Some(Standing::Refunded);
        refunded.then(|| RefundProgress::Succeeded { amount: self.taken(call) })
    }

    fn refund(&mut self, call: &PaymentCall) -> RefundProgress {
        if self.refuses_voids {
            return RefundProgress::Failed { reason: "too late".into() };
        }
        if self.refunds_hang {
            return RefundProgress::Pending;
        }
        let account = self.accounts.entry(call.order).or_default();
        if account.standing == Some(Standing::Charged) {
            account.moves.push(-account.moves.iter().sum::<i64>());
            account.standing = Some(Standing::Refunded);
        }
        self.found_refund(call).unwrap_or(RefundProgress::Failed { reason: "nothing to refund".into() })
    }

    /// What an order wants arrives. `None` when no answer does.
    pub fn ask(&mut self, aim: Aim, call: &PaymentCall, now: Timestamp) -> Option<OrderCommand> {
        let mut verb = aim.begins(self.late.contains_key(&call.order));
        loop {
            if self.down {
                return None;
            }
            if now >= call.not_after {
                self.asked.push((call.order, verb.name()));
                // What was asked for in time is taken late, whoever looks.
                if let Some(amount) = self.late.remove(&call.order) {
                    self.take(call.order, amount);
                }
            }
            let next = match &verb {
                // As every caller of a provider has to: a charge that waited too long is not made.
                Verb::Charge if now >= call.not_after => return None,
                Verb::Charge => aim.after(&verb, self.charge(call, now)?),
                Verb::Prepare => panic!("nothing is prepared here"),
                Verb::LookUp => {
                    // Who is told now waits for no other answer.
                    self.slow.remove(&call.order);
                    aim.after(&verb, self.progress(call))
                }
                Verb::Cancel { .. } => aim.after(&verb, self.cancel(call)),
                Verb::LookUpRefund { captured } => after_refund_look_up(*captured, self.found_refund(call)),
                Verb::Refund { captured } => after_refund(Some(*captured), self.refund(call)),
            };
            match next {
                Next::Ask(more) => verb = more,
                Next::Later | Next::Buyer(_) => return None,
                Next::Tell(_) if self.lose_answers > 0 => {
                    self.lose_answers -= 1;
                    return None;
                }
                Next::Tell(command) => return Some(command),
            }
        }
    }
}
