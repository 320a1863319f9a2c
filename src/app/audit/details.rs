//! Details: there are as many as the journal says, and no others. What they say is not looked at.

use super::super::text::{count, counted};
use super::facts::Facts;
use super::{Breaches, Finding};
use crate::domain::details::DetailName;
use crate::domain::ids::{EntityId as _, Kind, OrderId};
use crate::domain::order::Phase;
use crate::ports::DetailPlace;
use std::collections::{BTreeMap, BTreeSet};

/// What was found of the details of the orders at hand.
#[derive(Debug, Default)]
pub(in super::super) struct DetailFacts {
    /// Orders whose checkout was recorded with details: by their cart, or by themselves.
    pub(super) recorded: BTreeSet<OrderId>,
    /// Those that were there before the journal's tails were read.
    pub(super) before: Vec<DetailPlace>,
    /// Those that were there after the journal was read, and whether each was erased.
    pub(super) after: BTreeMap<(OrderId, DetailName), bool>,
    /// Orders that had gone on meanwhile.
    pub(super) gone_on: BTreeSet<OrderId>,
}

impl DetailFacts {
    fn has(&self, order: OrderId, name: DetailName) -> bool {
        self.after.contains_key(&(order, name))
    }
}

/// Orders that are not paid yet, and whose means of payment is not there: each may have been paid meanwhile.
pub(super) fn without_token(facts: &Facts) -> impl Iterator<Item = OrderId> {
    let is_unpaid = |phase| matches!(phase, Phase::Gathering | Phase::Paying);
    let orders = facts.orders.iter().filter(move |(_, order)| order.needs_token && is_unpaid(order.phase));
    orders.map(|(id, _)| *id).filter(|id| !facts.details.has(*id, DetailName::Payment))
}

/// Holds the details against the journal.
#[derive(Debug, Default)]
pub(super) struct Details {
    there: u64,
    recorded: u64,
    erased: u64,
    breaches: Breaches,
}

impl Details {
    /// Looks at those of the orders at hand, when all carts have been made.
    pub(super) fn look(&mut self, facts: &Facts) {
        let details = &facts.details;
        self.there += details.after.len() as u64;
        self.recorded += details.recorded.len() as u64;
        self.erased += details.after.values().filter(|erased| **erased).count() as u64;
        judge(facts, &mut self.breaches);
    }

    /// What was found.
    pub(super) fn finish(self) -> Finding {
        let looked_at = format!(
            "{} of {}{}",
            counted(self.there, "detail"),
            counted(self.recorded, "checkout"),
            if self.erased == 0 { String::new() } else { format!(", {} erased", count(self.erased)) },
        );
        Finding::new("details", looked_at, self.breaches)
    }
}

fn judge(facts: &Facts, breaches: &mut Breaches) {
    let details = &facts.details;
    for order in details.recorded.iter().filter(|order| !details.has(**order, DetailName::Contact)) {
        breaches.add(format!("{order}: its contact is lost: what is erased leaves its row"));
    }
    let is = |order: OrderId, name: DetailName, erased: bool| details.after.get(&(order, name)) == Some(&erased);
    let half = |order: &OrderId| is(*order, DetailName::Contact, true) && is(*order, DetailName::Notes, false);
    for (order, _) in details.after.keys().filter(|(order, name)| *name == DetailName::Notes && half(order)) {
        breaches.add(format!("{order}: its contact was erased, and its notes were not"));
    }
    for order in without_token(facts).filter(|order| !details.gone_on.contains(order)) {
        breaches.add(format!("{order}: it is to be paid, and its means of payment is lost"));
    }
    // Of a cart that cannot be made nobody knows which orders it began.
    let all_known = !facts.broken.iter().any(|entity| entity.kind == Kind::Cart);
    // Something may be noted of an order whose contact stands in the journal.
    let noted = |order: &OrderId, name| name == DetailName::Notes && facts.orders.contains_key(order);
    for (order, name, _) in details.before.iter().filter(|(order, name, _)| !noted(order, *name)) {
        if all_known && !details.recorded.contains(order) && !facts.is_broken(order.entity()) {
            breaches.add(format!("{order}: its {} is there, and the journal knows of no such checkout", name.name()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{facts, order, order_id};
    use super::*;

    fn told(change: impl FnOnce(&mut Facts)) -> Vec<String> {
        let mut facts = facts();
        let mut unpaid = order(1);
        unpaid.needs_token = true;
        facts.orders.insert(order_id(1), unpaid);
        facts.details.recorded.insert(order_id(1));
        for name in DetailName::ALL {
            facts.details.before.push((order_id(1), name, false));
            facts.details.after.insert((order_id(1), name), false);
        }
        change(&mut facts);
        let mut details = Details::default();
        details.look(&facts);
        details.finish().breaches.told().to_vec()
    }

    #[test]
    fn what_is_erased_is_no_breach_and_what_is_lost_is() {
        assert_eq!(told(|_| {}), [""; 0]);
        let contact = (order_id(1), DetailName::Contact);
        let erased = |facts: &mut Facts| facts.details.after.values_mut().for_each(|erased| *erased = true);
        assert_eq!(told(erased), [""; 0]);
        assert!(told(|facts| _ = facts.details.after.remove(&contact))[0].contains("its contact is lost"));
    }

    #[test]
    fn who_is_erased_is_erased_with_all_that_was_noted() {
        let contact = (order_id(1), DetailName::Contact);
        let notes = (order_id(1), DetailName::Notes);
        let half = |facts: &mut Facts| _ = facts.details.after.insert(contact, true);
        assert_eq!(told(half), [format!("{}: its contact was erased, and its notes were not", order_id(1))]);
        for change in [Some(true), None] {
            let whole = told(|facts| {
                half(facts);
                match change {
                    Some(erased) => _ = facts.details.after.insert(notes, erased),
                    None => _ = facts.details.after.remove(&notes),
                }
            });
            assert_eq!(whole, [""; 0], "{change:?}");
        }
        // What is noted of an order that keeps its contact in the journal.
        let early = |facts: &mut Facts| {
            facts.details.recorded.clear();
            facts.details.before.retain(|(_, name, _)| *name == DetailName::Notes);
        };
        assert_eq!(told(early), [""; 0]);
    }

    #[test]
    fn a_means_of_payment_is_there_until_the_order_is_paid() {
        let payment = (order_id(1), DetailName::Payment);
        let gone = |facts: &mut Facts| _ = facts.details.after.remove(&payment);
        assert!(told(gone)[0].contains("its means of payment is lost"));
        let paid = |facts: &mut Facts| facts.orders.get_mut(&order_id(1)).unwrap().phase = Phase::Settled;
        assert_eq!(
            told(|facts| {
                gone(facts);
                paid(facts)
            }),
            [""; 0]
        );
        assert_eq!(
            told(|facts| {
                gone(facts);
                facts.details.gone_on.insert(order_id(1));
            }),
            [""; 0]
        );
    }

    #[test]
    fn there_is_none_of_a_checkout_that_never_was() {
        assert!(told(|facts| facts.details.recorded.clear())[0].contains("knows of no such checkout"));
    }
}
