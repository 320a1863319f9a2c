//! Lost messages, repeated messages and crashes, at every position of every scenario.

use super::{Run, assert_end, assert_paid, assert_restored, ready, run, scenarios};
use crate::world::gateway::{APPROVE, LOST_REPLY, SILENT, SLOW};
use crate::world::{CrashOf, Faults, World};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{EffectKey, Step};
use haat::domain::ids::OrderId;
use haat::domain::order::{OrderStatus, Phase};
use haat::domain::reject::Reject;
use haat::limits;

/// No scenario delivers more messages than this.
const MANY: usize = 60;

#[test]
fn a_message_that_comes_twice_changes_nothing_more() {
    for scenario in scenarios() {
        let plain = run(&scenario, Faults::default());
        for (case, faults) in [
            ("every message twice in a row", Faults { twice: true, ..Faults::default() }),
            ("every message once more, as late as can be", Faults { echo: true, ..Faults::default() }),
            ("both", Faults { twice: true, echo: true, ..Faults::default() }),
        ] {
            let mut again = run(&scenario, faults);
            assert_end(&scenario, case, &mut again);
            assert_eq!(again.world.happened(), plain.world.happened(), "{}, {case}", scenario.name);
            let moves = |run: &Run| run.world.gateway.account(run.order).moves;
            assert_eq!(moves(&again), moves(&plain), "{}, {case}", scenario.name);
        }
    }
}

#[test]
fn a_lost_message_is_sent_again() {
    for scenario in scenarios() {
        let plain = run(&scenario, Faults::default());
        assert!(plain.messages >= 4, "{}: {} messages", scenario.name, plain.messages);
        for number in 0..plain.messages {
            let mut lossy = run(&scenario, Faults { lose: Some(number), ..Faults::default() });
            assert_end(&scenario, &format!("message {number} lost"), &mut lossy);
        }
    }
}

#[test]
fn a_crash_at_any_record_ends_in_the_same_state() {
    for scenario in scenarios() {
        let plain = run(&scenario, Faults::default());
        assert!(plain.records >= 5, "{}: {} records", scenario.name, plain.records);
        for number in 1..=plain.records {
            for of in [CrashOf::Node, CrashOf::Actor] {
                // From the journal alone; from a checkpoint of just then; from an older one and the records since.
                for checkpoint in [None, Some(number), Some(number.div_ceil(2))] {
                    let faults = Faults { crash: Some((number, of)), checkpoint, ..Faults::default() };
                    let mut crashed = run(&scenario, faults);
                    let case = format!("{of:?} crashed at record {number}, checkpoint {checkpoint:?}");
                    assert_end(&scenario, &case, &mut crashed);
                    crashed.world.checkpoint();
                }
            }
        }
    }
}

#[test]
fn a_crash_among_repeated_messages_ends_in_the_same_state() {
    for scenario in scenarios() {
        let plain = run(&scenario, Faults::default());
        for number in 1..=plain.records {
            let faults = Faults { echo: true, crash: Some((number, CrashOf::Node)), ..Faults::default() };
            let mut crashed = run(&scenario, faults);
            assert_end(&scenario, &format!("crashed at record {number} among echoes"), &mut crashed);
        }
    }
}

/// Runs a checkout up to `deliveries` messages, does something, and lets it come to its end.
fn interrupted(token: &str, deliveries: usize, disturb: impl Fn(&mut World, OrderId)) -> Run {
    let mut world = ready();
    let before = world.picture();
    let (order, _) = world.check_out(0, token, None).unwrap();
    for _ in 0..deliveries {
        world.deliver();
    }
    disturb(&mut world, order);
    world.settle();
    let (records, messages) = (world.records, world.sent);
    Run { world, order, before, records, messages }
}

#[test]
fn a_cancellation_counts_at_any_point_before_the_payment_is_known() {
    for token in [APPROVE, LOST_REPLY, SILENT, SLOW] {
        let mut kept = 0;
        for deliveries in 1..MANY {
            let cancelled = std::cell::Cell::new(None);
            let run = interrupted(token, deliveries, |world, order| {
                let paid = world.order_view(order).status.is_paid();
                let first = world.cancel(0, order);
                assert_eq!(first.is_err(), paid, "{token}, {deliveries}: {first:?}");
                assert_eq!(world.cancel(0, order).is_err(), paid, "repeated");
                cancelled.set(Some(first));
            });
            let case = format!("{token} cancelled after {deliveries} messages");
            match cancelled.take().unwrap() {
                Ok(_) => assert_restored(&case, &run.world, &run.before, run.order, OrderStatus::Cancelled),
                Err(reject) => {
                    assert_eq!(reject, Reject::OrderNotCancellable { status: OrderStatus::Paid }, "{case}");
                    assert_paid(&case, &run.world, &run.before, run.order);
                    kept += 1;
                }
            }
        }
        assert_eq!(kept > 0, token == APPROVE, "{token}: paid before it was cancelled");
    }
}

#[test]
fn the_deadline_counts_at_any_point_before_the_payment_is_taken() {
    for token in [APPROVE, LOST_REPLY, SILENT, SLOW] {
        for deliveries in 0..MANY {
            for wait in [limits::PAYMENT_MS, limits::HOLD_MS + 1] {
                let taken = std::cell::Cell::new(false);
                let run = interrupted(token, deliveries, |world, order| {
                    // Whether or not the order has heard of it.
                    taken.set(world.gateway.net(order) > 0);
                    world.pass(wait);
                });
                let case = format!("{token}: {wait} ms pass after {deliveries} messages");
                // An order that is placed only now has its whole time before it.
                let status = run.world.orders[&run.order].entity.status();
                let fresh = deliveries == 0 && (status == Some(OrderStatus::Paid) || token == SLOW || token == SILENT);
                match taken.get() {
                    true => assert_paid(&case, &run.world, &run.before, run.order),
                    false if fresh => {}
                    false => assert_restored(&case, &run.world, &run.before, run.order, OrderStatus::Expired),
                }
            }
        }
    }
}

#[test]
fn a_node_that_was_down_past_the_deadline_charges_nothing() {
    let mut world = ready();
    let before = world.picture();
    let (order, _) = world.check_out(0, APPROVE, None).unwrap();
    world.gateway.down = true;
    world.drain();
    assert_eq!(world.orders[&order].entity.phase(), Some(Phase::Paying));
    world.now = world.now.plus_millis(limits::PAYMENT_MS);
    let wanted = world.orders[&order].entity.outstanding(world.now);
    assert_eq!(wanted, [EffectKey::new(Step::LookUp, order)], "no charge past the deadline");
    world.gateway.down = false;
    world.crash();
    world.settle();
    assert_eq!(world.gateway.account(order).calls, 0);
    assert_restored("down", &world, &before, order, OrderStatus::Expired);
}
