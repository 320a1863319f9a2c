//! The leg with a vendor: the stock of its share.

use super::super::state::Body;
use super::{Party, Verb};
use crate::domain::buyer::{Audience, HeldFor};
use crate::domain::entity::Message;
use crate::domain::ids::{OrderId, VendorId};
use crate::domain::vendor::{VendorCommand, WantedLine};

/// The vendors of an order's lines, each once.
pub(super) fn parties(body: &Body) -> Vec<Party> {
    let mut parties = Vec::with_capacity(1);
    for line in &body.lines {
        let party = Party::Stock(line.vendor);
        if !parties.contains(&party) {
            parties.push(party);
        }
    }
    parties
}

/// What an order says to one of its vendors.
pub(super) fn message(order: OrderId, body: &Body, vendor: VendorId, verb: Verb) -> Message {
    let command = match verb {
        Verb::Ask => VendorCommand::Reserve {
            order,
            until: body.hold_until,
            currency: body.currency,
            lines: body
                .lines
                .iter()
                .filter(|line| line.vendor == vendor)
                .map(|line| WantedLine { sku: line.sku, quantity: line.quantity })
                .collect(),
            held_for: Box::new(HeldFor {
                customer: body.owner.customer(),
                keys: body.buyer.as_ref().map_or_else(Vec::new, |buyer| buyer.keys.clone()),
                account_mail: body.buyer.as_ref().is_some_and(|buyer| buyer.account_mail),
                audience: body.buyer.as_ref().map_or_else(Audience::default, |buyer| buyer.audience),
                method: body.payment.method.clone(),
                entries: body.buyer.as_ref().map_or_else(Vec::new, |buyer| buyer.entries.clone()),
                slot: body.slots.iter().find(|(of, _)| *of == vendor).map(|(_, slot)| *slot),
            }),
        },
        Verb::Confirm => VendorCommand::Commit { order, strict: body.strict },
        Verb::Cancel => VendorCommand::Release { order, until: body.hold_until },
        Verb::Close => VendorCommand::Close { order },
    };
    Message::Vendor { id: vendor, command }
}
