//! The book of what is paid at the door: what was collected for each parcel, what it was rounded by, and what couriers handed on.

use super::accounts::{Accounts, Bill, Posted, number, text};
use super::credits::{Part, may_be_number};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The smallest coin of the town, in minor units.
const COIN: i64 = 100;

/// What was taken at the doors for one order.
#[derive(Debug, Default)]
pub struct Till {
    /// Whether it is paid so.
    pub at_door: bool,
    /// By the vendor: what was taken, and what that was rounded by.
    pub shares: BTreeMap<String, (i64, i64)>,
    /// The parcels for which something was said.
    parcels: BTreeSet<String>,
    /// The parcels of which couriers have handed something on.
    handed_on: BTreeSet<String>,
}

impl Bill {
    /// What of a share is still to be paid, or below zero what is to be given back.
    pub fn balance(&self, vendor: &str) -> i64 {
        let (taken, rounding) = self.till.shares.get(vendor).copied().unwrap_or_default();
        let to_pay = self.share(vendor) - self.credited(Some(vendor)) + rounding;
        to_pay - (taken - self.given_back(Some(vendor)))
    }

    /// Something of a share was credited. What is left to pay is no less than nothing, and of nothing nothing is rounded.
    pub fn round_no_more(&mut self, vendor: &str) {
        let left = self.share(vendor) - self.credited(Some(vendor));
        let Some((_, rounding)) = self.till.shares.get_mut(vendor) else { return };
        if left == 0 || left + *rounding < 0 {
            *rounding = -left;
        }
    }
}

impl Accounts {
    /// It is accepted before anything is paid.
    pub fn accept(&mut self, order: &str, event: &Value) -> Posted {
        let bill = self.bill(order)?;
        let is_right = bill.till.at_door && !bill.was_paid && !bill.has_ended && bill.total() > 0;
        bill.was_paid = true;
        if is_right { Ok(()) } else { Err(format!("{event} of {bill:?}")) }
    }

    /// Something was taken at a door, or came in another way, once somebody has said so.
    pub fn collect(&mut self, order: &str, event: &Value) -> Posted {
        let (shipment, vendor) = (text(event, "/shipment")?, text(event, "/vendor")?);
        let (amount, rounding) = (number(event, "/amount")?, may_be_number(event, "/rounding"));
        let bill = self.bill(order)?;
        let due = bill.balance(&vendor).max(0);
        let beyond = amount - due;
        let fair = if due > 0 && beyond.abs() < COIN { (beyond, 0) } else { (0, beyond.max(0)) };
        let asked = match event.get("refund_requested") {
            Some(asked) => {
                let (refund, part) = Part::asked(&vendor, asked)?;
                let amount = part.amount;
                super::accounts::note(bill.parts.insert(refund, part), event)?;
                amount
            }
            None => 0,
        };
        let is_first = bill.till.parcels.insert(shipment);
        let is_right = bill.till.at_door
            && bill.was_paid
            && bill.vendors().contains(&vendor)
            && amount >= 0
            && (is_first || bill.by_hand)
            && (rounding, asked) == fair;
        if !is_right {
            return Err(format!("{event}, of which {due} was due, of {bill:?}"));
        }
        let share = bill.till.shares.entry(vendor).or_default();
        *share = (share.0 + amount, share.1 + rounding);
        Ok(())
    }

    /// A courier hands on what it took, once for each parcel.
    pub fn hand_on(&mut self, order: &str, event: &Value) -> Posted {
        let shipment = text(event, "/shipment")?;
        let till = &mut self.bill(order)?.till;
        let is_right = till.parcels.contains(&shipment) && till.handed_on.insert(shipment);
        if is_right { Ok(()) } else { Err(format!("{event} of {till:?}")) }
    }
}
