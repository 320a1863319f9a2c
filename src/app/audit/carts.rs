//! Carts and their orders: at most one order that is live or paid, and a cart that stands as its order says.

use super::super::text::{count, counted};
use super::facts::{CartFacts, Facts, OrderFacts, Placed};
use super::stock::phase;
use super::{Breaches, Finding};
use crate::domain::cart::CartStatus;
use crate::domain::ids::{CartId, EntityId, OrderId};
use crate::domain::order::Phase;
use std::collections::BTreeMap;

/// Holds carts against their orders.
#[derive(Debug, Default)]
pub(super) struct Carts {
    orders: u64,
    carts: u64,
    paid: u64,
    ended: u64,
    unheard: u64,
    breaches: Breaches,
}

impl Carts {
    /// Looks at the orders at hand, and whether those are paid that carts are checked out with.
    pub(super) fn look_at_orders(&mut self, facts: &Facts) {
        for (id, order) in &facts.orders {
            let cart = order.row.cart_id;
            self.orders += 1;
            self.paid += u64::from(order.is_sold());
            self.ended += u64::from(order.phase == Phase::Ended);
            if *id != OrderId::for_attempt(cart, order.row.attempt) {
                self.breaches.add(format!("{id}: it is not attempt {} of {cart}", order.row.attempt));
            }
        }
        for (cart, order) in &facts.checked_out {
            let is_paid = facts.orders.get(order).is_some_and(OrderFacts::is_sold);
            if !is_paid && !facts.is_broken(order.entity()) {
                self.breaches.add(format!("{cart}: checked out, and its {order} is not paid"));
            }
        }
    }

    /// Looks at the carts at hand and at the orders that came from them, when all carts have been made.
    pub(super) fn look_at_carts(&mut self, facts: &Facts) {
        self.carts += facts.carts.len() as u64;
        let mut live: BTreeMap<CartId, Vec<OrderId>> = BTreeMap::new();
        for (id, Placed { cart, phase: of_order }) in &facts.placed {
            // A cart may open again a moment before its order knows that it has.
            if !matches!(of_order, Phase::Ended | Phase::Reopening(_)) {
                live.entry(*cart).or_default().push(*id);
            }
            if facts.is_broken(cart.entity()) {
                continue;
            }
            match facts.carts.get(cart) {
                None => self.breaches.add(format!("{id}: {cart}, from which it came, has no records")),
                Some(of) => {
                    self.unheard += u64::from(*of_order == Phase::Settled && of.status == CartStatus::CheckingOut);
                    if let Err(wrong) = judge(*id, *of_order, of) {
                        self.breaches.add(format!("{id}, {}: {cart} {wrong}", phase(*of_order)));
                    }
                }
            }
        }
        for (cart, orders) in live.iter().filter(|(_, orders)| orders.len() > 1) {
            let orders: Vec<String> = orders.iter().map(OrderId::to_string).collect();
            self.breaches.add(format!("{cart}: {} orders that are live or paid: {}", orders.len(), orders.join(", ")));
        }
    }

    /// What was found.
    pub(super) fn finish(self) -> Finding {
        // Each asks its order until it has heard; on a store that is at rest there is none.
        let unheard = match self.unheard {
            0 => String::new(),
            carts => format!(", {} yet to hear that the order is paid", counted(carts, "cart")),
        };
        let looked_at = format!(
            "{} of {}, {} paid and {} ended unpaid: one live or paid at most, each cart as its order says{unheard}",
            counted(self.orders, "order"),
            counted(self.carts, "cart"),
            count(self.paid),
            count(self.ended),
        );
        Finding::new("carts", looked_at, self.breaches)
    }
}

/// Whether the cart stands as its order's saga says; the error says how it stands.
fn judge(id: OrderId, order: Phase, cart: &CartFacts) -> Result<(), String> {
    let own = cart.order == Some(id);
    match (order, cart.status) {
        // A cart that is checking out has yet to hear that it may close: it asks until it has.
        (Phase::Confirming | Phase::Settled | Phase::Stuck, CartStatus::CheckedOut | CartStatus::CheckingOut)
            if own =>
        {
            Ok(())
        }
        (Phase::Settled, _) => Err(format!("is not checked out with it: {}", words(cart))),
        (Phase::Gathering | Phase::Paying | Phase::Voiding(_) | Phase::Cancelling(_), CartStatus::CheckingOut)
            if own =>
        {
            Ok(())
        }
        (Phase::Reopening(_), CartStatus::CheckingOut) => Ok(()),
        (Phase::Reopening(_) | Phase::Ended, _) if !own => Ok(()),
        _ => Err(format!("stands otherwise: {}", words(cart))),
    }
}

fn words(cart: &CartFacts) -> String {
    let status = match cart.status {
        CartStatus::Open => "open",
        CartStatus::CheckingOut => "checking out",
        CartStatus::CheckedOut => "checked out",
        CartStatus::Merged => "merged",
    };
    cart.order.map_or_else(|| status.to_owned(), |order| format!("{status} with {order}"))
}

#[cfg(test)]
mod tests {
    use super::super::facts::samples::{cart, facts, order_id, paid};
    use super::*;
    use crate::domain::order::OrderStatus;

    /// With carts and orders at hand at once.
    fn check(facts: &Facts) -> Finding {
        let placed = |order: &OrderFacts| Placed { cart: order.row.cart_id, phase: order.phase };
        let placed = facts.orders.iter().map(|(id, order)| (*id, placed(order))).collect();
        let of_carts = Facts { carts: facts.carts.clone(), placed, ..Facts::default() };
        let mut carts = Carts::default();
        carts.look_at_orders(facts);
        carts.look_at_carts(&of_carts);
        carts.finish()
    }

    #[test]
    fn a_cart_stands_as_its_order_says() {
        use CartStatus::{CheckedOut, CheckingOut, Open};
        let end = OrderStatus::Expired;
        let (own, other) = (Some(order_id(1)), Some(order_id(2)));
        let carts = [(Open, None), (CheckingOut, own), (CheckedOut, own), (CheckingOut, other), (CheckedOut, other)];
        for (phase, may) in [
            (Phase::Gathering, [false, true, false, false, false]),
            (Phase::Cancelling(end), [false, true, false, false, false]),
            (Phase::Reopening(end), [true, true, false, true, true]),
            (Phase::Ended, [true, false, false, true, true]),
            (Phase::Confirming, [false, true, true, false, false]),
            (Phase::Settled, [false, true, true, false, false]),
        ] {
            for ((status, order_of), may) in carts.into_iter().zip(may) {
                let judged = judge(order_id(1), phase, &CartFacts { status, order: order_of });
                assert_eq!(judged.is_ok(), may, "{phase:?} {status:?} {order_of:?}: {judged:?}");
            }
        }
    }

    #[test]
    fn two_orders_of_one_cart_are_told() {
        let mut facts = facts();
        assert_eq!(check(&facts).breaches.told(), [""; 0]);
        facts.orders.insert(order_id(2), paid(2));
        let told = check(&facts).breaches.told().to_vec();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("is not checked out with it: checked out with"), "{told:?}");
        assert!(told[1].starts_with(&format!("{}: 2 orders that are live or paid", cart())), "{told:?}");
    }

    #[test]
    fn an_order_under_another_id_and_a_cart_without_its_order_are_told() {
        let mut facts = facts();
        let order = facts.orders.remove(&order_id(1)).expect("an order");
        let told = check(&facts).breaches.told().to_vec();
        assert_eq!(told, [format!("{}: checked out, and its {} is not paid", cart(), order_id(1))]);
        facts.orders.insert(order_id(1), OrderFacts { row: paid(2).row, ..order });
        assert!(check(&facts).breaches.told()[0].contains("it is not attempt 2"));
    }
}
