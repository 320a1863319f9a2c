//! The first answer under an idempotency key is the only one: after crashes, out of snapshots, and for those who had to wait for it.

use super::{APPROVE, ready};
use crate::world::shop::{MAIL_KEY, buyer, cart, details};
use crate::world::{CrashOf, Faults, World};
use haat::actors::Answered;
use haat::domain::cart::{Cart, CartCommand, CartReply};
use haat::domain::entity::Principal;
use haat::domain::ids::{CustomerId, OrderId};
use haat::domain::order::{Milestone, Order, OrderCommand, OrderReply, OrderStatus};
use haat::domain::record::IdempotencyKey;
use haat::domain::reject::Reject;
use uuid::Uuid;

/// Records until a paid order is at rest are fewer.
const RECORDS: usize = 20;

fn key(key: u128) -> Option<IdempotencyKey> {
    Some(IdempotencyKey { key, body: 1 })
}

fn check_out(world: &mut World) -> Answered<CartReply> {
    let details = Box::new(details(APPROVE, None));
    let command = CartCommand::CheckOut { by: buyer(0), details };
    world.ask_under::<Cart>(cart(0), command, key(1)).expect("a cart answers at once")
}

fn await_held(world: &mut World, key: Option<IdempotencyKey>) -> Option<Answered<OrderReply>> {
    let command = OrderCommand::Await { by: buyer(0), milestone: Milestone::Held };
    world.ask_under::<Order>(OrderId::for_attempt(cart(0), 1), command, key)
}

fn status(answered: &Answered<OrderReply>) -> OrderStatus {
    match &answered.outcome {
        Ok(OrderReply::Order { order }) => order.status,
        other => panic!("no order: {other:?}"),
    }
}

#[test]
fn the_first_answers_of_a_checkout_come_again_whatever_crashes_when() {
    for crash_of in [CrashOf::Node, CrashOf::Actor] {
        for number in 0..RECORDS {
            let mut world = ready();
            let at = world.records + number;
            world.faults = Faults { crash: Some((at, crash_of)), checkpoint: Some(at), ..Faults::default() };
            let first = check_out(&mut world);
            assert_eq!(await_held(&mut world, key(2)), None, "its stock is not held yet");
            world.settle();
            // With its connection, who waited has lost what came after.
            let told = world.orders.values().flat_map(|slot| &slot.told).next().map(|(_, answer)| answer.clone());
            let held = await_held(&mut world, key(2)).expect("it is held by now");
            if let Some(told) = told {
                assert!(!told.replayed && held.replayed, "{crash_of:?} at {number}");
                assert_eq!((&told.outcome, status(&told)), (&held.outcome, OrderStatus::AwaitingPayment));
            }
            world.crash();
            world.settle();
            let again = await_held(&mut world, key(2)).expect("it was answered");
            assert!(again.replayed && again.outcome == held.outcome, "{crash_of:?} at {number}");
            let again = check_out(&mut world);
            assert!(again.replayed && again.outcome == first.outcome, "{crash_of:?} at {number}: {again:?}");
            let paid = await_held(&mut world, None).expect("it is paid");
            assert_eq!((status(&paid), paid.replayed), (OrderStatus::Paid, false), "under no key it is as it is");
        }
    }
}

#[test]
fn a_key_is_of_the_first_request_also_while_that_one_waits() {
    let mut world = ready();
    check_out(&mut world);
    assert_eq!(await_held(&mut world, key(2)), None);
    for settled in [false, true] {
        if settled {
            world.settle();
        }
        let other = await_held(&mut world, Some(IdempotencyKey { key: 2, body: 2 })).expect("it is refused at once");
        assert_eq!(other, Answered { outcome: Err(Reject::IdempotencyKeyReused), replayed: false }, "{settled}");
    }
}

/// What was answered to a guest is not said again once the order is a customer's.
#[test]
fn whose_it_is_no_more_is_not_given_the_first_answer_again() {
    let mut world = ready();
    let first = check_out(&mut world);
    world.settle();
    let held = await_held(&mut world, key(2)).expect("it is held by now");
    assert!(await_held(&mut world, key(2)).is_some_and(|again| again.replayed && again.outcome == held.outcome));
    let customer = CustomerId::from_uuid(Uuid::from_u128(1));
    let attach = OrderCommand::Attach { customer, mail_key: MAIL_KEY };
    world.ask::<Order>(OrderId::for_attempt(cart(0), 1), attach).expect("an answer").expect("it is theirs");
    let again = await_held(&mut world, key(2)).expect("an answer");
    assert_eq!((again.outcome, again.replayed), (Err(Reject::OrderUnknown), false));
    // The cart says as before that it was checked out.
    assert!(check_out(&mut world).outcome == first.outcome);
    world.crash();
    world.settle();
    assert_eq!(await_held(&mut world, key(2)).expect("an answer").outcome, Err(Reject::OrderUnknown));
    let by = Principal::Customer(customer);
    let shown = world.ask::<Order>(OrderId::for_attempt(cart(0), 1), OrderCommand::Get { by }).expect("an answer");
    assert!(matches!(shown, Ok(OrderReply::Order { .. })), "{shown:?}");
}
