//! Points: what customers say to have spent, earned and taken back is what their orders say, and nothing is held for an order that has ended.
//!
//! Both sides are sums over all of a customer's orders. An order may be on its way: it has told something that its customer has not heard, or has not
//! heard the answer. So each sum of the customer's stands between what their orders are sure of and what they have told.

use super::super::text::counted;
use super::facts::Facts;
use super::{Breaches, Finding};
use crate::domain::customer::PointTotals;
use crate::domain::ids::{CustomerId, EntityId as _, Kind, OrderId};
use crate::domain::order::PointFacts;
use std::collections::BTreeMap;

/// What the orders of one customer say.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    sure: PointTotals,
    told: PointTotals,
}

/// Holds what customers have of points against their orders.
#[derive(Debug, Default)]
pub(super) struct Points {
    customers: BTreeMap<CustomerId, Sums>,
    orders: u64,
    breaches: Breaches,
}

impl Points {
    /// Looks at the orders at hand.
    pub(super) fn look(&mut self, facts: &Facts) {
        for (id, order) in &facts.orders {
            let holders: Vec<_> = facts.point_holds.iter().filter(|(_, of)| of == id).map(|(by, _)| *by).collect();
            let Some(PointFacts { customer, may_be_held, sure, told }) = order.points else {
                self.strange_holds(*id, &holders, None);
                continue;
            };
            self.orders += 1;
            self.strange_holds(*id, &holders, Some(customer).filter(|_| may_be_held));
            let sums = self.customers.entry(customer).or_default();
            sums.sure.add(&sure);
            sums.told.add(&told);
        }
        for (by, order) in &facts.point_holds {
            if !facts.orders.contains_key(order) && !facts.is_broken(order.entity()) {
                self.breaches.add(format!("{by}: holds points for {order}, which is no order"));
            }
        }
    }

    fn strange_holds(&mut self, order: OrderId, holders: &[CustomerId], may: Option<CustomerId>) {
        for by in holders.iter().filter(|by| Some(**by) != may) {
            self.breaches.add(format!("{order}: {by} holds points for it that it never asked for, or needs no more"));
        }
    }

    /// What was found.
    pub(super) fn finish(mut self, facts: &Facts) -> Finding {
        // Of an order that cannot be made nobody knows whose it is.
        let is_whole = facts.broken.iter().all(|entity| entity.kind != Kind::Order);
        let nothing = (PointTotals::default(), Sums::default());
        let all: std::collections::BTreeSet<CustomerId> =
            facts.point_totals.keys().chain(self.customers.keys()).copied().collect();
        for customer in &all {
            if facts.is_broken(customer.entity()) || !is_whole {
                continue;
            }
            let has = facts.point_totals.get(customer).copied().unwrap_or(nothing.0);
            let Sums { sure, told } = self.customers.get(customer).copied().unwrap_or(nothing.1);
            for (what, has, sure, told) in [
                ("spent", has.spent, sure.spent, told.spent),
                ("earned", has.earned, sure.earned, told.earned),
                ("taken back", has.taken_back, sure.taken_back, told.taken_back),
                // What comes back may be gone at once: it had expired twice.
                ("restored", has.restored, 0, told.restored),
            ] {
                if !(sure..=told).contains(&has) {
                    let orders = if sure == told { format!("{sure}") } else { format!("{sure} to {told}") };
                    self.breaches.add(format!("{customer}: {has} points {what}, by their orders {orders}"));
                }
            }
        }
        let (customers, orders) = (counted(all.len() as u64, "customer"), counted(self.orders, "order"));
        Finding::new(
            "points",
            format!("of {customers} with {orders}: spent, earned and taken back once"),
            self.breaches,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{facts, order_id, paid};
    use super::*;
    use uuid::Uuid;

    fn customer(number: u128) -> CustomerId {
        CustomerId::from_uuid(Uuid::from_u128(number))
    }

    fn totals(spent: i64, earned: i64, taken_back: i64, restored: i64) -> PointTotals {
        PointTotals { spent, earned, taken_back, restored, ..PointTotals::default() }
    }

    #[test]
    fn customers_have_what_their_orders_say() {
        let (nothing, both) = (totals(0, 0, 0, 0), totals(50, 7, 2, 20));
        for (has, sure, told, breaches) in [
            (both, both, both, 0),
            (totals(50, 7, 2, 19), both, both, 0),
            (totals(50, 7, 2, 21), both, both, 1),
            (totals(49, 7, 2, 20), both, both, 1),
            (totals(50, 8, 2, 20), both, both, 1),
            (totals(50, 7, 3, 20), both, both, 1),
            (totals(0, 0, 0, 0), both, both, 3),
            // Told and perhaps not heard.
            (totals(49, 6, 1, 20), nothing, both, 0),
            (nothing, nothing, both, 0),
            (totals(51, 8, 3, 21), nothing, both, 4),
        ] {
            let mut facts = facts();
            let mut order = paid(1);
            order.points = Some(PointFacts { customer: customer(1), may_be_held: false, sure, told });
            facts.orders.insert(order_id(1), order);
            facts.point_totals.insert(customer(1), has);
            let mut points = Points::default();
            points.look(&facts);
            assert_eq!(points.finish(&facts).breaches.count(), breaches, "{has:?} {sure:?} {told:?}");
        }
    }

    #[test]
    fn points_are_held_for_orders_that_need_them() {
        for (of, may_be_held, by, breaches) in [
            (Some(1), true, vec![1], 0),
            (Some(1), true, vec![], 0),
            (Some(1), false, vec![], 0),
            (Some(1), false, vec![1], 1),
            (Some(1), true, vec![2], 1),
            (None, true, vec![1], 1),
        ] {
            let (mut facts, mut order, nothing) = (facts(), paid(1), PointTotals::default());
            let points = |of| PointFacts { customer: customer(of), may_be_held, sure: nothing, told: nothing };
            order.points = of.map(points);
            facts.orders.insert(order_id(1), order);
            facts.point_holds = by.iter().map(|by| (customer(*by), order_id(1))).collect();
            let mut points = Points::default();
            points.look(&facts);
            assert_eq!(points.finish(&facts).breaches.count(), breaches, "{of:?} {may_be_held} {by:?}");
            facts.point_holds = vec![(customer(1), order_id(9))];
            let mut points = Points::default();
            points.look(&facts);
            assert_eq!(points.finish(&facts).breaches.count(), 1, "there is no such order");
        }
    }
}
