//! Orders that are paid at the door: whoever counts a buyer's open ones counts those that are open, and no others.

use super::super::text::counted;
use super::facts::Facts;
use super::{Breaches, Finding};
use crate::domain::ids::EntityId as _;
use crate::domain::order::CountedOpen;

/// Holds what counts open orders against the orders.
#[derive(Debug, Default)]
pub(super) struct Cash {
    orders: u64,
    breaches: Breaches,
}

impl Cash {
    /// Looks at the orders at hand.
    pub(super) fn look(&mut self, facts: &Facts) {
        for (id, order) in &facts.orders {
            let counters: Vec<_> = facts.counted.iter().filter(|(_, of)| of == id).map(|(by, _)| *by).collect();
            let wrong = match order.counted_open {
                CountedOpen::By(by) => {
                    (counters != [by]).then_some("is open, and is not counted once where it should be")
                }
                CountedOpen::Perhaps(by) => {
                    counters.iter().any(|found| *found != by).then_some("is counted where it never asked")
                }
                CountedOpen::No => (!counters.is_empty()).then_some("is not open, and counted as open"),
            };
            let is_of_cash = order.counted_open != CountedOpen::No || !counters.is_empty();
            self.orders += u64::from(is_of_cash);
            let is_known = |by: &crate::domain::ids::CustomerId| facts.is_broken(by.entity());
            let counter = match order.counted_open {
                CountedOpen::By(by) | CountedOpen::Perhaps(by) => Some(by),
                CountedOpen::No => None,
            };
            if let Some(wrong) = wrong.filter(|_| !counter.iter().chain(&counters).any(is_known)) {
                self.breaches.add(format!("{id}: to be paid at the door, {wrong}"));
            }
        }
        for (by, order) in &facts.counted {
            if !facts.orders.contains_key(order) && !facts.is_broken(order.entity()) {
                self.breaches.add(format!("{by}: counts {order}, which is no order"));
            }
        }
    }

    /// What was found.
    pub(super) fn finish(self) -> Finding {
        let orders = counted(self.orders, "open order");
        Finding::new("cash", format!("{orders} to be paid at the door, counted once each for its buyer"), self.breaches)
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{facts, order_id, paid};
    use super::*;
    use crate::domain::ids::CustomerId;
    use uuid::Uuid;

    #[test]
    fn what_is_open_is_counted_once_and_nothing_else_is() {
        let customer = |number| CustomerId::from_uuid(Uuid::from_u128(number));
        let (by, perhaps, no) = (CountedOpen::By(customer(1)), CountedOpen::Perhaps(customer(1)), CountedOpen::No);
        for (open, counters, breaches) in [
            (by, vec![1], 0),
            (by, vec![], 1),
            (by, vec![2], 1),
            (by, vec![1, 1], 1),
            (perhaps, vec![1], 0),
            (perhaps, vec![], 0),
            (perhaps, vec![2], 1),
            (no, vec![], 0),
            (no, vec![1], 1),
        ] {
            let mut facts = facts();
            let mut order = paid(1);
            order.counted_open = open;
            facts.orders.insert(order_id(1), order);
            facts.counted = counters.iter().map(|number| (customer(*number), order_id(1))).collect();
            let mut cash = Cash::default();
            cash.look(&facts);
            assert_eq!(cash.finish().breaches.count(), breaches, "{open:?} {counters:?}");
        }
        let mut facts = facts();
        facts.counted = vec![(customer(1), order_id(9))];
        let mut cash = Cash::default();
        cash.look(&facts);
        assert_eq!(cash.finish().breaches.count(), 1);
    }
}
