//! What an order takes of its buyer's quotas.

use super::{Order, OrderStatus};
use crate::domain::buyer::{Claim, Standing};
use crate::domain::money;

impl Order {
    /// What it takes; `None` before it came into being.
    pub(super) fn taken_of_quotas(&self) -> Option<Claim<'_>> {
        let body = self.body.as_ref()?;
        let standing = match body.status {
            OrderStatus::Placed | OrderStatus::AwaitingPayment => Standing::Unpaid,
            OrderStatus::Cancelled | OrderStatus::Expired | OrderStatus::PaymentFailed => {
                // What is told of an order after its end is another sort of entry.
                let ended = body.timeline.iter().rev().find(|entry| entry.kind == body.status.name());
                Standing::GivenUp(ended.map_or(body.placed_at, |entry| entry.at))
            }
            _ => Standing::Done,
        };
        // One of an early version does not say who bought.
        let keys = body.buyer.as_ref().map_or(&[][..], |buyer| &buyer.keys);
        Some(Claim { keys, pieces: money::sum(body.lines.iter().map(|line| line.quantity)), standing })
    }
}
