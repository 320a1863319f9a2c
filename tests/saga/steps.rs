//! What one checkout does, step by step, and what the next one of the same cart may do.

use super::{LINES, assert_paid, prices_shown, ready, view_of};
use crate::world::gateway::{APPROVE, DECLINE, SILENT, SLOW};
use crate::world::shop::{cart, first_price, sku, vendor};
use haat::domain::cart::{CartCommand, CartEvent, CartReply, CartStatus, SkuPrice};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Effect, EffectKey, Message, Step};
use haat::domain::ids::{EntityId, OrderId};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{Milestone, Order, OrderStatus, PaymentStatus, Phase, SubOrderStatus};
use haat::domain::reject::{Reject, Shortage};
use haat::limits;

#[test]
fn a_checkout_goes_through_its_steps() {
    let mut world = ready();
    let (order, started) = world.check_out(0, APPROVE, None).unwrap();
    assert!(started && order == OrderId::for_attempt(cart(0), 1));
    world.settle();
    let of_order = world.history(order.entity());
    let expected = ["placed", "stock_held", "stock_held", "priced", "payment_requested", "paid", "settled"];
    assert_eq!(of_order, expected);
    // With nothing else to record, a vendor waits a second before it closes what is settled.
    for number in 0..2 {
        let of_vendor = world.history(vendor(number).entity());
        assert_eq!(of_vendor[2..], ["stock_held", "hold_committed"]);
        assert!(world.vendors[&vendor(number)].entity.holds().is_committed(order));
    }
    world.pass(limits::HOLD_CLOSE_MS);
    for number in 0..2 {
        let of_vendor = world.history(vendor(number).entity());
        assert_eq!(of_vendor[2..], ["stock_held", "hold_committed", "holds_closed"]);
        assert!(world.vendors[&vendor(number)].entity.holds().is_empty());
    }
    let of_cart = world.history(cart(0).entity());
    assert_eq!(of_cart, ["cart_created", "line_set", "line_set", "checkout_started", "cart_checked_out"]);
    let view = world.order_view(order);
    assert_eq!(view.payment_status, PaymentStatus::Captured);
    assert!(view.sub_orders.iter().all(|sub| sub.status == SubOrderStatus::Paid));
}

/// The order waits for no answer to its close, so nothing but the cart's own question makes up for one that was lost.
#[test]
fn a_cart_that_has_not_heard_of_its_end_asks_its_order_and_is_told() {
    let mut world = ready();
    let (order, _) = world.check_out(0, SLOW, None).unwrap();
    let place = world.carts[&cart(0)].entity.effect(EffectKey::new(Step::Place, order));
    let Some(Effect::Tell(Message::Order { command, .. })) = place else { panic!("{place:?}") };
    world.settle();
    assert_eq!(world.orders[&order].entity.respond(&command, Ok(())), None, "it is not paid");
    world.gateway.let_go(order);
    world.settle();
    let close = Message::Cart { id: cart(0), command: CartCommand::Close { order, prices: prices_shown(&world) } };
    assert_eq!(world.orders[&order].entity.respond(&command, Ok(())), Some(close));
}

/// Early versions waited for the cart's answer, which does not come any more.
#[test]
fn an_early_snapshot_of_an_order_that_has_sold_all_is_settled() {
    let mut world = ready();
    let (order, _) = world.check_out(0, APPROVE, None).unwrap();
    world.settle();
    let mut parts = world.orders[&order].entity.clone().delta().parts;
    let mut state: serde_json::Value = serde_json::from_slice(parts[0].state.as_deref().unwrap()).unwrap();
    state["body"]["phase"] = "settling".into();
    state["body"]["cart_closed"] = false.into();
    for (hold, phase) in [("committed", Phase::Settled), ("held", Phase::Confirming)] {
        state["body"]["sub_orders"][0]["hold"] = hold.into();
        parts[0].state = Some(serde_json::to_vec(&state).unwrap());
        assert_eq!(Order::restore(order, &parts).unwrap().phase(), Some(phase), "{hold}");
    }
}

#[test]
fn a_buyer_who_waits_is_told_in_time_and_not_before() {
    let mut world = ready();
    let (order, _) = world.check_out(0, SLOW, None).unwrap();
    world.deliver();
    assert_eq!(world.told(0, order, Milestone::Held), None);
    world.settle();
    assert_eq!(view_of(world.told(0, order, Milestone::Held)).status, OrderStatus::AwaitingPayment);
    assert_eq!(world.told(0, order, Milestone::Paid), None);
    assert!(world.told(1, order, Milestone::Held).is_some_and(|told| told == Err(Reject::OrderUnknown)));
    world.gateway.let_go(order);
    world.settle();
    assert_eq!(view_of(world.told(0, order, Milestone::Paid)).status, OrderStatus::Paid);
}

#[test]
fn an_end_is_shown_only_when_the_holds_are_released_and_the_cart_is_open() {
    let mut world = ready();
    let (order, _) = world.check_out(0, DECLINE, None).unwrap();
    let mut shown = 0;
    while world.deliver() {
        let ended = world.orders.get(&order).and_then(|slot| slot.entity.status()).is_some_and(OrderStatus::is_end);
        let open = world.cart_view(0).status == CartStatus::Open;
        let held = (0..2).any(|number| world.vendors[&vendor(number)].entity.holds().open(order).is_some());
        assert!(!ended || (open && !held));
        shown += usize::from(ended);
    }
    assert!(shown > 0);
}

#[test]
fn two_checkouts_of_one_cart_make_one_order() {
    for deliveries in 0..40 {
        let mut world = ready();
        let before = world.picture();
        let (first, _) = world.check_out(0, APPROVE, None).unwrap();
        for _ in 0..deliveries {
            world.deliver();
        }
        // Whatever the body says: the order that is live or paid is the answer.
        assert_eq!(world.check_out(0, DECLINE, Some(1)), Ok((first, false)));
        assert!(world.set_line(0, (0, 1), 1).is_err());
        world.settle();
        assert_eq!(world.check_out(0, DECLINE, None), Ok((first, false)));
        assert_eq!(world.set_line(0, (0, 1), 1), Err(Reject::CartCheckedOut));
        assert_eq!(world.orders.len(), 1);
        assert_paid("twice", &world, &before, first);
    }
}

#[test]
fn after_a_refusal_the_next_attempt_is_another_order_and_can_be_paid() {
    for (token, status) in [(DECLINE, OrderStatus::PaymentFailed), (SILENT, OrderStatus::Cancelled)] {
        let mut world = ready();
        let before = world.picture();
        let (first, _) = world.check_out(0, token, None).unwrap();
        world.settle();
        if token == SILENT {
            world.cancel(0, first).unwrap();
            world.settle();
        }
        assert_eq!(world.order_view(first).status, status);
        let (second, started) = world.check_out(0, APPROVE, None).unwrap();
        assert!(started && second == OrderId::for_attempt(cart(0), 2) && second != first);
        world.settle();
        assert_paid("second attempt", &world, &before, second);
        assert_eq!(world.order_view(first).status, status, "the first stays as it ended");
        assert_eq!(world.gateway.net(first), 0);
    }
}

#[test]
fn what_an_older_order_says_again_does_not_touch_the_newer_one() {
    for repeated in [false, true] {
        let mut world = ready();
        let before = world.picture();
        let (first, _) = world.check_out(0, DECLINE, None).unwrap();
        while world.cart_view(0).status != CartStatus::Open {
            assert!(world.deliver());
        }
        // The cart is open; its old order has not heard so yet, and asks once more behind the second checkout.
        let (second, _) = world.check_out(0, APPROVE, None).unwrap();
        assert_ne!(world.order_view(first).status, OrderStatus::PaymentFailed);
        if repeated {
            world.resend();
        }
        let close = CartCommand::Close { order: first, prices: Vec::new() };
        for command in [CartCommand::Reopen { order: first }, close] {
            assert_eq!(world.carts[&cart(0)].entity.decide(&command, &Knowledge::NOTHING, world.now), Ok(Vec::new()));
        }
        world.settle();
        assert_paid("the newer order", &world, &before, second);
        assert_eq!(world.order_view(first).status, OrderStatus::PaymentFailed);
    }
}

#[test]
fn a_changed_price_is_told_and_accepted_by_a_change_of_the_cart_alone() {
    let mut world = ready();
    world.set_price((0, 0), 7_000);
    world.set_price((1, 1), 9_999); // Not in the cart.
    let before = world.picture();
    let (first, _) = world.check_out(0, APPROVE, None).unwrap();
    world.settle();
    let total = 2 * 7_000 + 3 * first_price(1, 0);
    let actual_total = Money::new(total, Currency::BDT);
    assert_eq!(world.told(0, first, Milestone::Held), Some(Err(Reject::PriceChanged { actual_total })));
    let shown = |first: i64| {
        let shown = [((0, 0), first), ((1, 0), first_price(1, 0))];
        shown.map(|((of, number), unit_price)| SkuPrice { sku: sku(of, number), unit_price, sale: None })
    };
    assert_eq!(prices_shown(&world), shown(first_price(0, 0)), "to be refused is not to agree");
    let (again, _) = world.check_out(0, APPROVE, None).unwrap();
    world.settle();
    assert_eq!(world.told(0, again, Milestone::Held), Some(Err(Reject::PriceChanged { actual_total })));
    // The other line is put as it was: the answer shows both.
    world.set_line(0, (1, 0), 3).unwrap();
    assert_eq!(prices_shown(&world), shown(7_000));
    let (second, _) = world.check_out(0, APPROVE, None).unwrap();
    world.settle();
    assert_paid("at the new price", &world, &before, second);
    assert_eq!(world.order_view(second).amounts.total, total);
}

#[test]
fn a_bought_cart_shows_what_was_charged() {
    let mut world = ready();
    let total = world.cart_view(0).subtotal();
    // Two pieces of one, three of the other: the total stays, no price does.
    world.set_price((0, 0), first_price(0, 0) + 3);
    world.set_price((1, 0), first_price(1, 0) - 2);
    let (order, _) = world.check_out(0, APPROVE, None).unwrap();
    world.settle();
    let view = world.order_view(order);
    assert_eq!((view.status, view.amounts.total), (OrderStatus::Paid, total));
    let charged: Vec<SkuPrice> =
        view.lines.iter().map(|line| SkuPrice { sku: line.sku, unit_price: line.unit_price, sale: None }).collect();
    assert_ne!(charged[0].unit_price, first_price(0, 0));
    assert_eq!(prices_shown(&world), charged);
}

#[test]
fn what_early_versions_recorded_moves_prices_as_it_did() {
    let mut world = ready();
    let prices = vec![SkuPrice { sku: sku(0, 0), unit_price: 77, sale: None }];
    let mut state = world.carts[&cart(0)].entity.clone();
    for event in [
        CartEvent::Repriced { prices: prices.clone() },
        CartEvent::CartReopened { order: OrderId::for_attempt(cart(0), 1), prices },
    ] {
        state.apply(
            &CartEvent::Repriced { prices: vec![SkuPrice { sku: sku(0, 0), unit_price: 5, sale: None }] },
            world.now,
        );
        state.apply(&event, world.now);
        assert_eq!(state.view().unwrap().lines[0].unit_price, 77, "{event:?}");
    }
    world.settle();
}

#[test]
fn an_expected_total_that_is_not_todays_is_refused_whatever_the_cart_shows() {
    let mut world = ready();
    let before = world.picture();
    let total = world.cart_view(0).subtotal();
    let (first, _) = world.check_out(0, APPROVE, Some(total - 1)).unwrap();
    world.settle();
    let actual_total = Money::new(total, Currency::BDT);
    assert_eq!(world.told(0, first, Milestone::Held), Some(Err(Reject::PriceChanged { actual_total })));
    let (second, _) = world.check_out(0, APPROVE, Some(total)).unwrap();
    world.settle();
    assert_paid("as expected", &world, &before, second);
}

#[test]
fn what_is_durably_short_is_refused_without_an_order() {
    let mut world = ready();
    world.availability_blind = false;
    world.adjust((1, 0), -8).unwrap();
    let records = world.records;
    let short = Shortage { sku_id: sku(1, 0), requested: LINES[1].1, available: 2 };
    assert_eq!(world.check_out(0, APPROVE, None), Err(Reject::OutOfStock { skus: vec![short] }));
    assert_eq!((world.records, world.orders.len()), (records, 0), "without a single record");
    assert_eq!(world.cart_view(0).status, CartStatus::Open);
    world.adjust((1, 0), 8).unwrap();
    assert!(world.check_out(0, APPROVE, None).is_ok());
}

#[test]
fn the_last_pieces_go_to_one_of_two_buyers() {
    for deliveries in 0..30 {
        let mut world = ready();
        world.set_line(0, (0, 0), 6).unwrap();
        assert!(matches!(world.set_line(1, (0, 0), 6), Ok(CartReply::Cart { .. })));
        let (first, _) = world.check_out(0, APPROVE, None).unwrap();
        for _ in 0..deliveries {
            world.deliver();
        }
        let (second, _) = world.check_out(1, APPROVE, None).unwrap();
        world.settle();
        let mut statuses = [world.order_view(first).status, world.order_view(second).status];
        statuses.sort();
        assert_eq!(statuses, [OrderStatus::Paid, OrderStatus::Rejected]);
        assert_eq!(world.sku_row((0, 0)).unwrap().available(), 4);
    }
}

#[test]
fn a_price_changed_while_it_is_held_does_not_concern_the_order() {
    let mut world = ready();
    let before = world.picture();
    let (order, _) = world.check_out(0, SLOW, None).unwrap();
    world.settle();
    world.set_price((0, 0), 1);
    world.pass(limits::PAYMENT_MS - 1);
    world.gateway.let_go(order);
    world.settle();
    assert_paid("held at the old price", &world, &before, order);
}
