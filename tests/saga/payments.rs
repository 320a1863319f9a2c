//! What an order makes of each answer of its provider: in time, at the deadline, and when it is cancelled.

use super::{assert_paid, assert_restored, ready};
use crate::world::World;
use crate::world::gateway::{APPROVE, DECLINE, LATE, LOST_REPLY, SILENT, SLOW};
use crate::world::shop::Picture;
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Effect, EffectKey, Principal, Step};
use haat::domain::ids::{EntityId, OrderId};
use haat::domain::knowledge::Knowledge;
use haat::domain::order::{Order, OrderCommand, OrderEvent, OrderStatus, PaymentStatus, Phase};
use haat::limits;

/// An order that waits for its payment, after the provider was asked for it.
fn paying(token: &str) -> (World, Picture, OrderId) {
    let mut world = ready();
    let before = world.picture();
    let (order, _) = world.check_out(0, token, None).unwrap();
    world.settle();
    (world, before, order)
}

fn phase(world: &World, order: OrderId) -> Option<Phase> {
    world.orders[&order].entity.phase()
}

/// What was asked past the deadline.
fn asked(world: &World, order: OrderId) -> Vec<&'static str> {
    world.gateway.asked.iter().filter(|(of, _)| *of == order).map(|(_, verb)| *verb).collect()
}

#[test]
fn at_the_deadline_an_order_looks_up_before_it_decides() {
    for (token, lasts, verbs) in [
        // It was taken, and nobody had heard of it: it is paid, as its stock is still held.
        (SLOW, None, &["look_up"][..]),
        (LATE, None, &["look_up"]),
        // Nothing was taken: the void sees to it that nothing will be.
        (SILENT, Some(OrderStatus::Expired), &["look_up", "look_up", "cancel"]),
    ] {
        let (mut world, before, order) = paying(token);
        assert_eq!(phase(&world, order), Some(Phase::Paying), "{token}");
        world.pass(limits::PAYMENT_MS);
        world.settle();
        assert_eq!(asked(&world, order), verbs, "{token}");
        match lasts {
            None => assert_paid(token, &world, &before, order),
            Some(status) => assert_restored(token, &world, &before, order, status),
        }
    }
}

#[test]
fn past_the_deadline_nothing_charges_and_an_order_waits_until_its_provider_says_how_it_stands() {
    for (token, taken) in [(APPROVE, false), (LOST_REPLY, true), (DECLINE, false)] {
        let mut world = ready();
        let before = world.picture();
        let (order, _) = world.check_out(0, token, None).unwrap();
        world.gateway.lose_answers = 1;
        world.gateway.down = !taken && token != DECLINE;
        world.drain();
        world.gateway.down = true;
        let calls = world.gateway.account(order).calls;
        world.pass(limits::PAYMENT_MS);
        for _ in 0..3 {
            world.settle();
            assert_eq!(phase(&world, order), Some(Phase::Paying), "{token}: nobody knows");
        }
        world.gateway.down = false;
        world.settle();
        assert_eq!(world.gateway.account(order).calls, calls, "{token}: nothing more charges");
        match (taken, token) {
            (true, _) => assert_paid(token, &world, &before, order),
            (false, DECLINE) => assert_restored(token, &world, &before, order, OrderStatus::PaymentFailed),
            (false, _) => assert_restored(token, &world, &before, order, OrderStatus::Expired),
        }
    }
}

#[test]
fn a_cancel_takes_back_what_it_finds_and_nothing_else() {
    for (token, moves) in [(SLOW, 2), (LATE, 0), (SILENT, 0)] {
        let (mut world, before, order) = paying(token);
        world.cancel(0, order).unwrap();
        world.settle();
        assert_restored(token, &world, &before, order, OrderStatus::Cancelled);
        assert_eq!(world.gateway.account(order).moves.len(), moves, "{token}");
    }
}

/// A refund whose answer is lost is found, and not made again; one that is under way is waited for.
#[test]
fn a_refund_is_made_once_however_its_answers_come() {
    let (mut world, before, order) = paying(SLOW);
    world.gateway.lose_answers = 3;
    world.gateway.refunds_hang = true;
    world.cancel(0, order).unwrap();
    world.settle();
    assert_eq!(phase(&world, order), Some(Phase::Voiding(OrderStatus::Cancelled)));
    assert_eq!(world.gateway.account(order).moves.len(), 1, "it is under way");
    world.gateway.refunds_hang = false;
    world.settle();
    assert_restored("refunds", &world, &before, order, OrderStatus::Cancelled);
    assert_eq!(world.gateway.account(order).moves.len(), 2);
}

/// A refund that failed for good is tried anew under another number, and only then.
#[test]
fn each_refused_refund_is_followed_by_another_attempt() {
    let (world, _, order) = paying(SLOW);
    let mut state = world.orders[&order].entity.clone();
    let attempt = |state: &haat::domain::order::Order| match state.effect(state.outstanding(world.now)[0]) {
        Some(Effect::Void { attempt, .. }) => attempt,
        other => panic!("{other:?}"),
    };
    let by = crate::world::shop::buyer(0);
    let refused = || OrderCommand::VoidRefused { reason: "no".into(), taken: None };
    let retry = |note: &str| {
        let mut resolution = crate::world::shop::resolution(haat::domain::order::ResolveAs::Retry, None);
        resolution.note = note.to_owned();
        let by = haat::domain::entity::Principal::SHOP;
        OrderCommand::Resolve { by, resolution: Box::new(resolution) }
    };
    let mut tell = |command: OrderCommand| {
        let events = state.decide(&command, &haat::domain::knowledge::Knowledge::NOTHING, world.now).unwrap();
        events.iter().for_each(|event| state.apply(event, world.now));
        state.clone()
    };
    assert_eq!(attempt(&tell(OrderCommand::Cancel { by })), 1);
    for number in 2..4 {
        assert!(tell(refused()).outstanding(world.now).is_empty(), "{}", order.entity());
        assert_eq!(attempt(&tell(retry(&format!("{number}")))), number);
    }
}

/// What nobody tells for ten minutes after the deadline is for someone to see to.
#[test]
fn who_never_hears_whether_it_was_charged_is_led_out_by_someone() {
    use haat::domain::order::ResolveAs;
    for verb in [ResolveAs::Voided, ResolveAs::Refunded, ResolveAs::Retry] {
        let (mut world, _, order) = paying(SILENT);
        world.gateway.down = true;
        world.pass(limits::PAYMENT_MS);
        world.settle();
        let amount = (verb == ResolveAs::Refunded).then(|| world.order_view(order).amounts.total);
        let amount = amount.map(|total| haat::domain::money::Money::new(total, haat::domain::money::Currency::BDT));
        let command = OrderCommand::Resolve {
            by: haat::domain::entity::Principal::SHOP,
            resolution: Box::new(crate::world::shop::resolution(verb, amount)),
        };
        let state = world.orders[&order].entity.clone();
        let decide = |now| state.decide(&command, &haat::domain::knowledge::Knowledge::NOTHING, now);
        assert!(decide(world.now).is_err(), "{verb}: an answer may take a while");
        let later = world.now.plus_millis(limits::STUCK_AFTER_MS);
        let mut state = state.clone();
        decide(later).unwrap().iter().for_each(|event| state.apply(event, later));
        state.check().unwrap();
        match verb {
            ResolveAs::Retry => assert_eq!(state.phase(), Some(Phase::Paying)),
            _ => assert_eq!(state.phase(), Some(Phase::Cancelling(OrderStatus::Expired)), "{verb}"),
        }
    }
}

/// The first name that is recorded is the one that is charged, looked up and given back, and that the buyer is waited for is said once.
#[test]
fn what_is_prepared_is_recorded_once_and_is_what_is_charged() {
    let (world, _, id) = paying(SILENT);
    let (mut order, now) = (world.orders[&id].entity.clone(), world.now);
    let tell = |order: &mut Order, command: OrderCommand| -> Vec<OrderEvent> {
        let events = order.decide(&command, &Knowledge::NOTHING, now).expect("it is listened to");
        events.iter().for_each(|event| order.apply(event, now));
        order.check().expect("it is sound");
        events
    };
    let reference = |order: &Order, step| match order.effect(EffectKey::new(step, id)) {
        Some(Effect::Charge(call) | Effect::LookUp(call) | Effect::Void { call, .. }) => call.reference,
        other => panic!("{other:?}"),
    };
    assert_eq!(order.outstanding(now), [EffectKey::new(Step::Charge, id)]);
    assert!(order.needs_token() && reference(&order, Step::Charge).is_none());
    for (name, events) in [("pi_1", 1), ("pi_2", 0), ("pi_1", 0)] {
        let command = OrderCommand::PaymentPrepared { reference: name.into() };
        assert_eq!(tell(&mut order, command).len(), events, "{name}");
    }
    // Another effect, and so one that is sent at once.
    assert_eq!(order.outstanding(now), [EffectKey::new(Step::ChargePrepared, id)]);
    assert!(!order.needs_token(), "what is prepared is charged without it");
    let deadline = now.plus_millis(limits::PAYMENT_MS);
    assert_eq!(order.outstanding(deadline), [EffectKey::new(Step::LookUp, id)]);
    for step in [Step::ChargePrepared, Step::LookUp, Step::Void] {
        assert_eq!(reference(&order, step).as_deref(), Some("pi_1"), "{step:?}");
    }
    let status = |order: &Order| order.view(Principal::SHOP).expect("it is there").payment_status;
    for events in [1, 0] {
        assert_eq!(tell(&mut order, OrderCommand::BuyerNeeded).len(), events);
        assert_eq!(status(&order), PaymentStatus::RequiresAction);
    }
    let parts = order.clone().delta().parts;
    let mut restored = Order::restore(id, &parts).expect("it can be read");
    assert_eq!(reference(&restored, Step::Void).as_deref(), Some("pi_1"), "also after a start");
    tell(&mut restored, OrderCommand::Cancel { by: Principal::SHOP });
    assert_eq!(
        (restored.phase(), status(&restored)),
        (Some(Phase::Voiding(OrderStatus::Cancelled)), PaymentStatus::Pending)
    );
}
