//! A payment gateway that keeps to the port's word: every call is idempotent by the order's id, and what it does is scripted by
//! the token. It counts each movement of money, so that a second charge cannot hide.

use haat::domain::entity::PaymentCall;
use haat::domain::ids::OrderId;
use haat::domain::money::Money;
use haat::domain::order::OrderCommand;
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
    /// While it is down no call arrives.
    pub down: bool,
    /// What it says that it took, whatever it did.
    pub tells: Option<Money>,
    /// Whether it refuses for good to undo anything.
    pub refuses_voids: bool,
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

    /// What was taken for a call, given back or not.
    fn taken(&self, call: &PaymentCall) -> Money {
        let taken = self.account(call.order).moves.into_iter().find(|amount| *amount > 0);
        self.tells.unwrap_or_else(|| Money::new(taken.unwrap_or(0), call.amount.currency))
    }

    /// A charge call arrives. `None` when no answer does.
    pub fn charge(&mut self, call: &PaymentCall, now: Timestamp) -> Option<OrderCommand> {
        if self.down {
            return None;
        }
        let account = self.accounts.entry(call.order).or_default();
        account.calls += 1;
        let standing = match account.standing {
            Some(standing) => standing,
            None => {
                let standing = match call.token.as_deref().unwrap_or_default() {
                    DECLINE => Standing::Declined,
                    SILENT => return None,
                    FLAKY if account.calls <= 2 => return None,
                    _ => Standing::Charged,
                };
                if standing == Standing::Charged {
                    assert!(now <= call.not_after, "{} charged at {now}, after {}", call.order, call.not_after);
                    account.moves.push(call.amount.minor);
                }
                if call.token.as_deref() == Some(SLOW) {
                    self.slow.insert(call.order);
                }
                account.standing = Some(standing);
                if call.token.as_deref() == Some(LOST_REPLY) {
                    return None;
                }
                standing
            }
        };
        if self.slow.contains(&call.order) {
            return None;
        }
        let taken = self.taken(call);
        self.answer(match standing {
            Standing::Charged | Standing::Refunded => OrderCommand::Charged { amount: Some(taken) },
            Standing::Declined => OrderCommand::Declined { reason: "no funds".into() },
            Standing::Voided => OrderCommand::Voided,
        })
    }

    /// A void call arrives. `None` when no answer does.
    pub fn void(&mut self, call: &PaymentCall) -> Option<OrderCommand> {
        if self.down {
            return None;
        }
        if self.refuses_voids {
            let taken = self.account(call.order).moves.first().map(|_| self.taken(call));
            return Some(OrderCommand::VoidRefused { reason: "too late".into(), taken });
        }
        let account = self.accounts.entry(call.order).or_default();
        let answer = match account.standing {
            Some(Standing::Charged) => {
                account.moves.push(-account.moves.iter().sum::<i64>());
                account.standing = Some(Standing::Refunded);
                OrderCommand::Refunded { amount: Some(self.taken(call)) }
            }
            Some(Standing::Refunded) => OrderCommand::Refunded { amount: Some(self.taken(call)) },
            Some(Standing::Declined | Standing::Voided) => OrderCommand::Voided,
            None => {
                account.standing = Some(Standing::Voided);
                OrderCommand::Voided
            }
        };
        self.slow.remove(&call.order);
        self.answer(answer)
    }

    fn answer(&mut self, answer: OrderCommand) -> Option<OrderCommand> {
        if self.lose_answers > 0 {
            self.lose_answers -= 1;
            return None;
        }
        Some(answer)
    }
}
