//! Only the order ends a hold: however late its payment is known, and whatever old request is heard again.

use super::{LINES, assert_paid, assert_restored, ready};
use crate::world::gateway::{APPROVE, LOST_REPLY};
use crate::world::shop::{STOCK, sku, vendor};
use crate::world::{Envelope, Parcel, Peer};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Effect, EffectKey, Message, Step};
use haat::domain::ids::{EntityId, OrderId};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::Currency;
use haat::domain::order::{Order, OrderCommand, OrderStatus, Phase};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{Vendor, VendorCommand, WantedLine};
use haat::limits;
use uuid::Uuid;

#[test]
fn a_hold_outlives_its_payment() {
    for token in [APPROVE, LOST_REPLY] {
        let mut world = ready();
        let before = world.picture();
        let (order, _) = world.check_out(0, token, None).unwrap();
        // With the lost reply the money is taken before the gateway goes down, and nobody knows.
        world.gateway.down = token == APPROVE;
        world.drain();
        world.gateway.down = true;
        for _ in 0..5 {
            world.pass(limits::HOLD_MS);
            world.settle();
            assert_eq!(
                world.orders[&order].entity.phase(),
                Some(Phase::Paying),
                "it asks whether it was charged in time"
            );
            let asks = world.vendors[&vendor(0)].entity.outstanding(world.now);
            assert_eq!(asks, [EffectKey::new(Step::AskHold, order)], "the vendor asks, and waits");
            assert_eq!(world.sku_row((0, 0)).unwrap().held, LINES[0].1, "no release until the outcome is known");
        }
        world.gateway.down = false;
        world.settle();
        match token {
            LOST_REPLY => assert_paid(token, &world, &before, order),
            _ => assert_restored(token, &world, &before, order, OrderStatus::Expired),
        }
    }
}

#[test]
fn a_paid_order_answers_a_vendor_that_asks_with_the_commit() {
    let mut world = ready();
    let before = world.picture();
    let (order, _) = world.check_out(0, APPROVE, None).unwrap();
    while world.orders.get(&order).and_then(|slot| slot.entity.phase()) != Some(Phase::Confirming) {
        assert!(world.deliver());
    }
    // Both commits are lost, and nobody but the vendors asks.
    world.queue.clear();
    world.pass(limits::HOLD_MS);
    world.drain();
    assert_eq!(world.sku_row((0, 0)).unwrap().on_hand, STOCK - LINES[0].1);
    world.settle();
    assert_paid("commits lost", &world, &before, order);
}

/// A vendor with one hold for an order that nobody ever placed.
fn vendor_with_hold(order: OrderId, until: Timestamp) -> Vendor {
    let world = ready();
    let mut state = world.vendors[&vendor(0)].entity.clone();
    let lines = vec![WantedLine { sku: sku(0, 0), quantity: 4 }];
    tell(
        &mut state,
        &VendorCommand::Reserve { order, until, currency: Currency::BDT, lines, held_for: Box::default() },
        world.now,
    )
    .unwrap();
    assert_eq!(state.sku_row(sku(0, 0)).unwrap().available(), STOCK - 4);
    state
}

fn tell<E: Entity>(state: &mut E, command: &E::Command, now: Timestamp) -> Result<usize, Reject> {
    state.heard(command, now);
    let events = state.decide(command, &Knowledge::NOTHING, now)?;
    events.iter().for_each(|event| state.apply(event, now));
    state.check().unwrap();
    Ok(events.len())
}

#[test]
fn the_hold_of_an_order_that_does_not_exist_is_released() {
    let order = OrderId::from_uuid(Uuid::from_u128(7));
    let now = ready().now;
    let until = now.plus_millis(1_000);
    let mut state = vendor_with_hold(order, until);
    assert_eq!(state.outstanding(now), [], "it is not time to ask");
    assert_eq!(state.timer(), Some((until, VendorCommand::Tick)));
    let keys = state.outstanding(until);
    let Some(Effect::Tell(Message::Order { id, command })) = state.effect(keys[0]) else { panic!("{keys:?}") };
    assert_eq!(id, order);
    let mut nobody = Order::new(order);
    assert_eq!(tell(&mut nobody, &command, until), Ok(0));
    let Some(Message::Vendor { command, .. }) = nobody.respond(&command, Ok(())) else { panic!("no answer") };
    assert_eq!(tell(&mut state, &command, until), Ok(1));
    assert_eq!(state.sku_row(sku(0, 0)).unwrap().available(), STOCK);
    assert_eq!(state.outstanding(until), []);
}

#[test]
fn a_reserve_after_its_release_is_refused_for_as_long_as_it_could_come() {
    let order = OrderId::from_uuid(Uuid::from_u128(7));
    let now = ready().now;
    let until = now.plus_millis(1_000);
    let lines = vec![WantedLine { sku: sku(0, 0), quantity: 4 }];
    let reserve = VendorCommand::Reserve { order, until, currency: Currency::BDT, lines, held_for: Box::default() };
    let release = VendorCommand::Release { order, until };
    for mut state in [vendor_with_hold(order, until), ready().vendors[&vendor(0)].entity.clone()] {
        assert_eq!(tell(&mut state, &release, now), Ok(1));
        assert_eq!(tell(&mut state, &release, now), Ok(0), "a release is remembered once");
        for millis in [0, 999, 1_000, 1_001] {
            // Whatever is forgotten on the way, by this vendor's other work.
            let other = OrderId::from_uuid(Uuid::from_u128(100 + millis as u128));
            let at = now.plus_millis(millis);
            tell(&mut state, &VendorCommand::Release { order: other, until: at.plus_millis(1) }, at).unwrap();
            assert_eq!(tell(&mut state, &reserve, at), Err(Reject::HoldClosed), "after {millis} ms");
        }
        assert_eq!(state.sku_row(sku(0, 0)).unwrap().held, 0);
        let forgotten = format!("released/{order}");
        assert!(state.delta().parts.iter().any(|part| part.name == forgotten && part.state.is_none()));
    }
}

fn reserve_again(world: &mut crate::world::World, order: OrderId, number: usize) {
    let until = world.orders[&order].entity.view(haat::domain::entity::Principal::SHOP).unwrap().placed_at;
    let lines = LINES.iter().filter(|((of, _), _)| *of == number);
    let lines = lines.map(|((of, own), quantity)| WantedLine { sku: sku(*of, *own), quantity: *quantity }).collect();
    let until = until.plus_millis(limits::HOLD_MS);
    let command = VendorCommand::Reserve { order, until, currency: Currency::BDT, lines, held_for: Box::default() };
    let message = Message::Vendor { id: vendor(number), command };
    let (from, to) = (Peer::Entity(order.entity()), Peer::Entity(message.to()));
    world.queue.push_back(Envelope { from, to, parcel: Parcel::Tell(message) });
}

#[test]
fn a_reserve_heard_again_after_the_commit_sells_nothing_twice() {
    let mut world = ready();
    let before = world.picture();
    let (order, _) = world.check_out(0, APPROVE, None).unwrap();
    world.settle();
    // Only a channel that does not keep its order delivers this; the hold it makes ends at its time, unsold.
    reserve_again(&mut world, order, 0);
    world.drain();
    world.pass(limits::HOLD_MS);
    world.settle();
    assert_paid("heard again", &world, &before, order);
}

#[test]
fn a_hold_made_after_its_refusal_is_given_back() {
    for crash in [false, true] {
        let mut world = ready();
        world.adjust((0, 0), 1 - STOCK).unwrap();
        let (order, _) = world.check_out(0, APPROVE, None).unwrap();
        while !world.queue.iter().any(|envelope| {
            matches!(&envelope.parcel, Parcel::Tell(Message::Order { command: OrderCommand::StockRefused { .. }, .. }))
        }) {
            assert!(world.deliver());
        }
        // Stock comes in, and the request is repeated before its refusal has arrived.
        world.adjust((0, 0), STOCK - 1).unwrap();
        reserve_again(&mut world, order, 0);
        let before = world.picture();
        let is_held = |world: &crate::world::World| world.sku_row((0, 0)).unwrap().held == LINES[0].1;
        while crash && !(is_held(&world) && world.orders[&order].entity.phase() != Some(Phase::Gathering)) {
            assert!(world.deliver());
        }
        if crash {
            // The answer that tells of the second hold is lost for good: it ends at its time.
            world.crash();
            world.drain();
            assert!(is_held(&world));
            world.pass(limits::HOLD_MS);
        }
        world.settle();
        assert_eq!(world.order_view(order).status, OrderStatus::Rejected);
        assert_eq!(world.sku_row((0, 0)).unwrap().available(), STOCK);
        assert_eq!(world.picture().taken, before.taken);
    }
}
