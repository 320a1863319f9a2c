//! What a checkout of a cart would take of its buyer's quotas.

use super::Cart;
use crate::domain::ids::OrderId;
use crate::domain::money;

impl Cart {
    /// The order that the next checkout would make.
    pub fn next_order(&self) -> OrderId {
        OrderId::for_attempt(self.id, self.attempt.saturating_add(1))
    }

    /// How many pieces are in it.
    pub fn pieces(&self) -> i64 {
        money::sum(self.lines.iter().map(|line| line.quantity))
    }
}
