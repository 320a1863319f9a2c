//! Carts and their orders: at most one order that is live or paid, and a cart that stands as its order says.

use super::super::text::counted;
use super::facts::{CartFacts, Facts, OrderFacts};
use super::stock::phase;
use super::{Breaches, Finding};
use crate::domain::cart::CartStatus;
use crate::domain::ids::{CartId, EntityId, OrderId};
use crate::domain::order::Phase;
use std::collections::BTreeMap;

/// Holds carts against their orders.
pub(super) fn check(facts: &Facts) -> Finding {
    let mut breaches = Breaches::default();
    let mut live: BTreeMap<CartId, Vec<OrderId>> = BTreeMap::new();
    let (mut paid, mut ended, mut unheard) = (0, 0, 0);
    for (id, order) in &facts.orders {
        let cart = order.row.cart_id;
        paid += u64::from(order.is_sold());
        ended += u64::from(order.phase == Phase::Ended);
        if *id != OrderId::for_attempt(cart, order.row.attempt) {
            breaches.add(format!("{id}: it is not attempt {} of {cart}", order.row.attempt));
        }
        // A cart may open again a moment before its order knows that it has.
        if !matches!(order.phase, Phase::Ended | Phase::Reopening(_)) {
            live.entry(cart).or_default().push(*id);
        }
        if facts.is_broken(cart.entity()) {
            continue;
        }
        match facts.carts.get(&cart) {
            None => breaches.add(format!("{id}: {cart}, from which it came, has no records")),
            Some(of) => {
                unheard += u64::from(order.phase == Phase::Settled && of.status == CartStatus::CheckingOut);
                if let Err(wrong) = judge(*id, order, of) {
                    breaches.add(format!("{id}, {}: {cart} {wrong}", phase(order.phase)));
                }
            }
        }
    }
    for (cart, orders) in live.iter().filter(|(_, orders)| orders.len() > 1) {
        let orders: Vec<String> = orders.iter().map(OrderId::to_string).collect();
        breaches.add(format!("{cart}: {} orders that are live or paid: {}", orders.len(), orders.join(", ")));
    }
    for (id, cart) in &facts.carts {
        if cart.status == CartStatus::CheckedOut
            && let Some(order) = cart.order.filter(|order| !facts.is_broken(order.entity()))
            && facts.orders.get(&order).is_none_or(|order| !order.is_sold())
        {
            breaches.add(format!("{id}: checked out, and its {order} is not paid"));
        }
    }
    // Each asks its order until it has heard; on a store that is at rest there is none.
    let unheard = match unheard {
        0 => String::new(),
        carts => format!(", {} yet to hear that the order is paid", counted(carts, "cart")),
    };
    let looked_at = format!(
        "{} of {}, {paid} paid and {ended} ended unpaid: one live or paid at most, each cart as its order says{unheard}",
        counted(facts.orders.len() as u64, "order"),
        counted(facts.carts.len() as u64, "cart"),
        paid = super::super::text::count(paid),
        ended = super::super::text::count(ended),
    );
    Finding::new("carts", looked_at, breaches)
}

/// Whether the cart stands as its order's saga says; the error says how it stands.
fn judge(id: OrderId, order: &OrderFacts, cart: &CartFacts) -> Result<(), String> {
    let own = cart.order == Some(id);
    match (order.phase, cart.status) {
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
    use super::super::facts::samples::{cart, facts, order, order_id, paid};
    use super::*;
    use crate::domain::order::OrderStatus;

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
            let order = OrderFacts { phase, ..order(1) };
            for ((status, order_of), may) in carts.into_iter().zip(may) {
                let judged = judge(order_id(1), &order, &CartFacts { status, order: order_of });
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
