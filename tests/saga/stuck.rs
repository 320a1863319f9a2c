//! Orders that are stuck: the gateway moved another amount than it was asked for, a void is refused for good, nobody
//! answers. Nothing
//! of it is taken for what it is not, and someone leads each of them out.

use super::{LINES, assert_paid, assert_restored, ready};
use crate::world::gateway::{APPROVE, DECLINE, SILENT, SLOW};
use crate::world::shop::{Picture, buyer, cart, resolution, vendor};
use crate::world::{Parcel, World};
use haat::domain::cart::CartStatus;
use haat::domain::entity::concerns::*;
use haat::domain::entity::{FOR_SOMEONE, Message, Principal};
use haat::domain::ids::{EntityId, OrderId};
use haat::domain::knowledge::Knowledge;
use haat::domain::money::{Currency, Money};
use haat::domain::order::{
    LegState, Order, OrderCommand, OrderEvent, OrderReply, OrderStatus, PaymentStatus, Phase, ResolveAs,
};
use haat::domain::reject::Reject;
use haat::domain::vendor::VendorCommand;
use haat::limits;

const TOTAL: i64 = 2 * 1_000 + 3 * 2_000;

fn bdt(minor: i64) -> Money {
    Money::new(minor, Currency::BDT)
}

fn usd(minor: i64) -> Money {
    Money::new(minor, "USD".parse().unwrap())
}

/// What a gateway may say that it moved, besides what it was asked for.
fn others() -> Vec<Money> {
    let wild = [TOTAL - 1, TOTAL + 1, 1, 0, -1, -TOTAL, i64::MAX, i64::MIN];
    wild.into_iter().map(bdt).chain([usd(TOTAL), usd(0)]).collect()
}

/// An order that has come as far as it can, and then so far that `is` holds.
fn at(token: &str, cancelled: bool, is: impl Fn(Phase) -> bool) -> (World, OrderId) {
    let mut world = ready();
    let (order, _) = world.check_out(0, token, None).unwrap();
    if cancelled {
        world.settle();
        world.cancel(0, order).unwrap();
    }
    let phase = |world: &World| world.orders.get(&order).and_then(|slot| slot.entity.phase());
    while !phase(&world).is_some_and(&is) {
        assert!(world.deliver(), "{token}: never there, but {:?}", phase(&world));
    }
    (world, order)
}

/// An order in each phase.
fn phases() -> Vec<Order> {
    let mut all = Vec::new();
    let mut take = |(world, order): (World, OrderId)| all.push(world.orders[&order].entity.clone());
    take(at(APPROVE, false, |phase| phase == Phase::Gathering));
    take(at(APPROVE, false, |phase| phase == Phase::Paying));
    take(at(SLOW, true, |phase| matches!(phase, Phase::Voiding(_))));
    take(at(APPROVE, false, |phase| phase == Phase::Confirming));
    take(at(APPROVE, false, |phase| phase == Phase::Settled));
    take(at(DECLINE, false, |phase| matches!(phase, Phase::Cancelling(_))));
    take(at(DECLINE, false, |phase| matches!(phase, Phase::Reopening(_))));
    take(at(DECLINE, false, |phase| phase == Phase::Ended));
    let (world, order, _) = stuck(Place::Took);
    take((world, order));
    all
}

/// What the gateway may answer.
fn outcomes() -> Vec<OrderCommand> {
    let mut all = vec![OrderCommand::Voided, OrderCommand::Declined { reason: "no funds".into() }];
    let amounts: Vec<Option<Money>> =
        [None, Some(bdt(TOTAL))].into_iter().chain(others().into_iter().map(Some)).collect();
    for amount in amounts {
        all.push(OrderCommand::Charged { amount });
        all.push(OrderCommand::Refunded { amount });
        all.push(OrderCommand::VoidRefused { reason: "too late".into(), taken: amount });
    }
    all
}

/// What comes of an answer; no wildcard over phases or answers.
fn expected(phase: Phase, outcome: &OrderCommand) -> Vec<OrderEvent> {
    let is_total = |amount: Option<Money>| amount.is_none_or(|amount| amount == bdt(TOTAL));
    let differs = |amount: Option<Money>, given_back| OrderEvent::PaymentDiffered { told: amount.unwrap(), given_back };
    match (phase, outcome) {
        (Phase::Paying, OrderCommand::Charged { amount }) if is_total(*amount) => {
            vec![OrderEvent::Paid { amount: TOTAL }]
        }
        (Phase::Paying, OrderCommand::Charged { amount }) => vec![differs(*amount, false)],
        (Phase::Paying, OrderCommand::Declined { reason }) => {
            vec![OrderEvent::PaymentFailed { reason: reason.clone() }]
        }
        (Phase::Voiding(_), OrderCommand::Voided) => vec![OrderEvent::PaymentVoided],
        (Phase::Voiding(_), OrderCommand::Refunded { amount }) if is_total(*amount) => {
            vec![OrderEvent::PaymentRefunded { amount: TOTAL, told: None }]
        }
        (Phase::Voiding(_), OrderCommand::Refunded { amount }) => vec![differs(*amount, true)],
        (Phase::Voiding(_), OrderCommand::VoidRefused { reason, taken }) => {
            vec![OrderEvent::VoidRefused { reason: reason.clone(), taken: *taken }]
        }
        // The void's own answer tells what became of the money, and an answer that comes late changes nothing.
        (
            Phase::Gathering
            | Phase::Paying
            | Phase::Voiding(_)
            | Phase::Confirming
            | Phase::Settled
            | Phase::Cancelling(_)
            | Phase::Reopening(_)
            | Phase::Ended
            | Phase::Stuck,
            _,
        ) => Vec::new(),
    }
}

#[test]
fn every_answer_of_a_gateway_in_every_phase_is_taken_for_what_it_says() {
    let phases = phases();
    assert_eq!(phases.len(), 9);
    for order in phases {
        let phase = order.phase().unwrap();
        let now = order.view(Principal::SHOP).unwrap().placed_at;
        for outcome in outcomes() {
            // What is refused changes nothing, as what comes late: `phases` tells them apart.
            let events = match order.decide(&outcome, &Knowledge::NOTHING, now) {
                Err(Reject::OutOfTurn) => Vec::new(),
                decided => decided.unwrap(),
            };
            assert_eq!(events, expected(phase, &outcome), "{phase:?} {outcome:?}");
            let mut after = order.clone();
            events.iter().for_each(|event| after.apply(event, now));
            after.check().unwrap();
            let (before, row) = (order.row().unwrap(), after.row().unwrap());
            let quarantined = events
                .iter()
                .any(|event| matches!(event, OrderEvent::PaymentDiffered { .. } | OrderEvent::VoidRefused { .. }));
            if quarantined {
                // What was told stands in the order, and counts for nothing.
                assert_eq!(after.phase(), Some(Phase::Stuck), "{outcome:?}");
                assert_eq!(
                    (row.amounts.paid, row.amounts.refunded, row.columns.status),
                    (0, 0, before.columns.status),
                    "{outcome:?}"
                );
                assert_eq!(row.sub_orders, before.sub_orders);
                assert_eq!((row.amounts.total_due, row.amounts.credited), (before.amounts.total_due, 0));
                assert!(after.outstanding(now).is_empty() && after.timer().is_none());
                assert_eq!(after.wake_at(now), Some(FOR_SOMEONE), "it is found where those are that wait for someone");
                let parts = after.clone().delta().parts;
                assert_eq!(Order::restore(row.id, &parts).unwrap(), after);
            }
            let told = events.iter().find_map(|event| match event {
                OrderEvent::PaymentDiffered { told, .. } => Some(*told),
                OrderEvent::VoidRefused { taken, .. } => *taken,
                _ => None,
            });
            assert_eq!(after.told(), told.or(order.told()), "{phase:?} {outcome:?}");
        }
    }
}

/// Where an order can be stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Took,
    GaveBack,
    VoidRefused,
    Kept,
    Void,
    Commit,
    CommitFailed,
    Release,
    ReleaseFailed,
    Reopen,
}

const PLACES: [Place; 10] = [
    Place::Took,
    Place::GaveBack,
    Place::VoidRefused,
    Place::Kept,
    Place::Void,
    Place::Commit,
    Place::CommitFailed,
    Place::Release,
    Place::ReleaseFailed,
    Place::Reopen,
];

/// A shop with an order that is stuck there, and the shop as it was before.
fn stuck(place: Place) -> (World, OrderId, Picture) {
    let before = ready().picture();
    let (mut world, order) = match place {
        Place::Took => {
            let mut world = ready();
            world.gateway.tells = Some(bdt(1_000));
            let (order, _) = world.check_out(0, APPROVE, None).unwrap();
            world.settle();
            (world, order)
        }
        Place::GaveBack | Place::Kept => {
            let (mut world, order) = at(SLOW, true, |phase| matches!(phase, Phase::Voiding(_)));
            world.gateway.tells = (place == Place::GaveBack).then(|| bdt(1_000));
            world.gateway.refuses_voids = place == Place::Kept;
            world.settle();
            (world, order)
        }
        Place::VoidRefused => {
            let (mut world, order) = at(SILENT, true, |phase| matches!(phase, Phase::Voiding(_)));
            world.ask::<Order>(order, OrderCommand::VoidRefused { reason: "it is old".into(), taken: None });
            (world, order)
        }
        Place::Void => {
            let (mut world, order) = at(SILENT, true, |phase| matches!(phase, Phase::Voiding(_)));
            world.gateway.down = true;
            (world, order)
        }
        Place::Commit | Place::CommitFailed => at(APPROVE, false, |phase| phase == Phase::Confirming),
        Place::Release | Place::ReleaseFailed => at(DECLINE, false, |phase| matches!(phase, Phase::Cancelling(_))),
        Place::Reopen => at(DECLINE, false, |phase| matches!(phase, Phase::Reopening(_))),
    };
    if matches!(place, Place::CommitFailed | Place::ReleaseFailed) {
        let command = OrderCommand::StepFailed { vendor: vendor(0), reason: Reject::CommandPoisoned };
        world.ask::<Order>(order, command);
    }
    // Whoever else was asked never hears of it.
    world.queue.clear();
    if !matches!(place, Place::Took | Place::GaveBack | Place::VoidRefused | Place::Kept) {
        world.now = world.now.plus_millis(limits::STUCK_AFTER_MS);
    }
    (world, order, before)
}

/// What a way out leads to; `None` where it leads out of nothing. The table at the head of `domain/order/resolve.rs`.
fn leads_to(place: Place, verb: ResolveAs) -> Option<Phase> {
    use ResolveAs::{Paid, Refunded, Retry, Voided, WriteOff};
    let cancelled = OrderStatus::Cancelled;
    let failed = OrderStatus::PaymentFailed;
    match (place, verb) {
        (Place::Took, Retry) => Some(Phase::Paying),
        (Place::Took | Place::VoidRefused | Place::Kept, Paid) => Some(Phase::Confirming),
        (Place::GaveBack | Place::VoidRefused | Place::Kept | Place::Void, Retry) => Some(Phase::Voiding(cancelled)),
        (Place::VoidRefused | Place::Void, Voided)
        | (Place::Took | Place::GaveBack | Place::VoidRefused | Place::Kept | Place::Void, Refunded) => {
            Some(Phase::Cancelling(cancelled))
        }
        (Place::Commit | Place::CommitFailed, Retry) => Some(Phase::Confirming),
        (Place::Commit | Place::CommitFailed, WriteOff) => Some(Phase::Settled),
        (Place::Release | Place::ReleaseFailed, Retry) => Some(Phase::Cancelling(failed)),
        (Place::Release | Place::ReleaseFailed, WriteOff) | (Place::Reopen, Retry) => Some(Phase::Reopening(failed)),
        (Place::Took | Place::Kept, Voided | WriteOff)
        | (Place::GaveBack, Voided | Paid | WriteOff)
        | (Place::VoidRefused, WriteOff)
        | (Place::Void, Paid | WriteOff)
        | (Place::Commit | Place::CommitFailed | Place::Release | Place::ReleaseFailed, Voided | Paid | Refunded)
        | (Place::Reopen, Voided | Paid | WriteOff | Refunded) => None,
    }
}

fn amount_of(verb: ResolveAs) -> Option<Money> {
    (verb == ResolveAs::Paid).then(|| bdt(TOTAL))
}

#[test]
fn every_way_out_of_every_place_is_the_one_of_the_table() {
    for place in PLACES {
        for verb in ResolveAs::ALL {
            let case = format!("{place:?} {}", verb.name());
            let (mut world, order, before) = stuck(place);
            let records = world.history(order.entity()).len();
            let fits: Vec<ResolveAs> =
                ResolveAs::ALL.into_iter().filter(|verb| leads_to(place, *verb).is_some()).collect();
            assert_eq!(world.order_view(order).waits.unwrap().resolve_as, fits, "{case}");
            let said = resolution(verb, amount_of(verb));
            let answer = world.resolve(order, said.clone());
            let Some(phase) = leads_to(place, verb) else {
                assert_eq!(answer, Err(Reject::NothingToResolve { may: fits }), "{case}");
                assert_eq!(world.history(order.entity()).len(), records, "{case}: nothing is recorded");
                continue;
            };
            assert!(answer.is_ok(), "{case}: {answer:?}");
            assert_eq!(world.orders[&order].entity.phase(), Some(phase), "{case}");
            assert_eq!(world.history(order.entity())[records], "resolved", "{case}");
            // Heard again it changes nothing more, unless the order is at the same place again.
            let again = world.resolve(order, said);
            assert!(again.is_ok() || verb != ResolveAs::Retry, "{case}: {again:?}");
            // A crash loses nothing of it, and then everything is well again.
            world.gateway.tells = None;
            world.gateway.refuses_voids = false;
            world.gateway.down = false;
            world.checkpoint();
            world.crash();
            world.settle();
            assert_end(&case, &mut world, order, &before, verb);
        }
    }
}

fn assert_end(case: &str, world: &mut World, order: OrderId, before: &Picture, verb: ResolveAs) {
    let state = &world.orders[&order].entity;
    assert!(state.has_ended(), "{case}: {:?}", state.phase());
    let row = state.row().unwrap();
    assert_eq!(row.amounts.total_due, 0, "{case}");
    if row.columns.status.is_paid() {
        assert_eq!((row.amounts.paid, row.amounts.refunded), (TOTAL, 0), "{case}");
        if verb == ResolveAs::Retry {
            return assert_paid(case, world, before, order);
        }
        assert_eq!(world.cart_view(0).status, CartStatus::CheckedOut, "{case}");
    } else {
        assert_eq!(world.cart_view(0).status, CartStatus::Open, "{case}");
        if verb == ResolveAs::Retry {
            return assert_restored(case, world, before, order, row.columns.status);
        }
    }
    // What nobody waited for comes right when its vendor asks about it.
    world.pass(limits::HOLD_MS);
    world.settle();
    let paid = world.order_view(order).status.is_paid();
    for ((of, number), quantity) in LINES {
        let sku = world.sku_row((of, number)).unwrap();
        assert_eq!((sku.held, sku.sold()), (0, if paid { quantity } else { 0 }), "{case}");
    }
    let left = world.orders[&order].entity.legs().any(|leg| leg.state == LegState::Unanswered);
    assert!(!left, "{case}: the vendor's late answer is heard");
}

#[test]
fn a_vendor_that_nobody_waits_for_is_told_when_it_asks() {
    for (place, sells) in [(Place::Commit, true), (Place::Release, false)] {
        let (mut world, order, _) = stuck(place);
        world.resolve(order, resolution(ResolveAs::WriteOff, None)).unwrap();
        world.queue.clear();
        let held = |world: &World| world.vendors[&vendor(0)].entity.holds().open(order).is_some();
        assert!(held(&world), "it holds still: nothing is free, and nothing is sold");
        world.pass(limits::HOLD_MS);
        world.resend();
        world.settle();
        assert!(!held(&world), "{place:?}");
        let sold = world.sku_row((0, 0)).unwrap().sold();
        assert_eq!(sold, if sells { LINES[0].1 } else { 0 }, "{place:?}");
    }
}

#[test]
fn what_takes_a_while_is_not_stuck_before_its_time() {
    for place in [Place::Void, Place::Commit, Place::Release, Place::Reopen] {
        let (mut world, order, _) = stuck(place);
        let due = world.now;
        for verb in ResolveAs::ALL {
            world.now = due.plus_millis(-1);
            let early = world.resolve(order, resolution(verb, amount_of(verb)));
            assert_eq!(early, Err(Reject::NothingToResolve { may: Vec::new() }), "{place:?} {verb:?}");
        }
        world.now = due;
        assert!(world.resolve(order, resolution(ResolveAs::Retry, None)).is_ok(), "{place:?}");
    }
}

#[test]
fn only_the_staff_resolves_and_only_the_staff_is_told_who_did() {
    let (mut world, order, _) = stuck(Place::Kept);
    for by in [buyer(0), buyer(1), Principal::vendor(vendor(0)), Principal::vendor(vendor(9))] {
        let resolution = Box::new(resolution(ResolveAs::Voided, None));
        let answer = world.ask::<Order>(order, OrderCommand::Resolve { by, resolution });
        assert_eq!(answer, Some(Err(Reject::OrderUnknown)), "{by:?}");
        assert_eq!(world.orders[&order].entity.view(by).and_then(|view| view.waits), None);
    }
    world.resolve(order, resolution(ResolveAs::Refunded, Some(bdt(TOTAL)))).unwrap();
    world.settle();
    for by in [buyer(0), Principal::vendor(vendor(0)), Principal::SHOP] {
        let told = world.ask::<Order>(order, OrderCommand::GetTimeline { by });
        let Some(Ok(OrderReply::Timeline { entries, .. })) = told else { panic!("{told:?}") };
        let entry = entries.iter().find(|entry| entry.kind == "resolved").expect("an entry");
        assert_eq!(entry.reason.as_deref(), Some("refunded"));
        let is_staff = by == Principal::SHOP;
        assert_eq!(entry.resolution.is_some(), is_staff, "{by:?}");
        let json = serde_json::to_string(&entries).unwrap();
        for secret in ["rina", "the bank called", "ch_1"] {
            assert_eq!(json.contains(secret), is_staff, "{by:?} {secret}");
        }
    }
}

/// What was given back is told as the provider says it, also where it counts for nothing.
#[test]
fn what_was_given_back_is_told_in_the_providers_words() {
    for told in others() {
        let (mut world, order) = at(SLOW, true, |phase| matches!(phase, Phase::Voiding(_)));
        world.gateway.tells = Some(told);
        world.settle();
        assert_eq!(world.alarms, [(order, "amount_differs")], "{told}");
        let state = &world.orders[&order].entity;
        assert_eq!(state.told(), Some(told));
        let wrong = world.resolve(order, resolution(ResolveAs::Refunded, Some(bdt(TOTAL))));
        assert_eq!(wrong, Err(Reject::AmountDiffers { expected: told }));
        world.resolve(order, resolution(ResolveAs::Refunded, Some(told))).unwrap();
        world.settle();
        let row = world.orders[&order].entity.row().unwrap();
        // Another amount than what was asked for is in no share.
        assert_eq!((row.amounts.paid, row.amounts.refunded, row.amounts.total_due), (0, 0, 0), "{told}");
        assert_eq!((row.columns.status, row.payment_status), (OrderStatus::Cancelled, PaymentStatus::Refunded));
        let timeline = world.ask::<Order>(order, OrderCommand::GetTimeline { by: buyer(0) });
        let Some(Ok(OrderReply::Timeline { entries, .. })) = timeline else { panic!() };
        for kind in ["quarantined", "payment_refunded"] {
            let entry = entries.iter().find(|entry| entry.kind == kind).unwrap();
            let shown = Money::new(entry.amount.unwrap(), entry.currency.unwrap_or(Currency::BDT));
            assert_eq!(shown, told, "{kind}");
        }
    }
}

/// A charge that is asked for again past the deadline would be a charge too late.
#[test]
fn a_retry_past_the_deadline_voids() {
    let (mut world, order, before) = stuck(Place::Took);
    world.pass(limits::PAYMENT_MS);
    assert_eq!(world.orders[&order].entity.phase(), Some(Phase::Stuck), "no time leads out of it");
    world.gateway.tells = None;
    world.resolve(order, resolution(ResolveAs::Retry, None)).unwrap();
    world.settle();
    assert_restored("retried late", &world, &before, order, OrderStatus::Expired);
}

#[test]
fn one_order_has_so_many_resolutions_and_no_more() {
    let (mut world, order, _) = stuck(Place::Kept);
    for number in 0..limits::RESOLUTIONS {
        world.resolve(order, resolution(ResolveAs::Retry, None)).unwrap_or_else(|reject| panic!("{number}: {reject}"));
        world.settle();
        assert_eq!(world.orders[&order].entity.phase(), Some(Phase::Stuck), "it is refused again");
    }
    let more = world.resolve(order, resolution(ResolveAs::Refunded, None));
    assert!(matches!(more, Err(Reject::TooMany { .. })), "{more:?}");
}

/// Early versions did not record what a quarantined order was at; its timeline tells.
#[test]
fn an_early_snapshot_of_a_quarantined_order_can_be_resolved() {
    let cancelled = |world: &mut World| {
        let (order, _) = world.check_out(0, SLOW, None).unwrap();
        world.settle();
        world.cancel(0, order).unwrap();
        order
    };
    let declined = |world: &mut World| world.check_out(0, DECLINE, None).unwrap().0;
    let paid = |world: &mut World| world.check_out(0, APPROVE, None).unwrap().0;
    let starts: [&dyn Fn(&mut World) -> OrderId; 3] = [&cancelled, &declined, &paid];
    for start in starts {
        let mut world = ready();
        let order = start(&mut world);
        while !world.queue.iter().any(|envelope| {
            let command = match &envelope.parcel {
                Parcel::Tell(Message::Vendor { command, .. }) => command,
                _ => return false,
            };
            matches!(command, VendorCommand::Commit { .. } | VendorCommand::Release { .. })
        }) {
            assert!(world.deliver());
        }
        let command = OrderCommand::StepFailed { vendor: vendor(0), reason: Reject::CommandPoisoned };
        world.ask::<Order>(order, command);
        let state = world.orders[&order].entity.clone();
        let mut parts = state.clone().delta().parts;
        let mut json: serde_json::Value = serde_json::from_slice(parts[0].state.as_deref().unwrap()).unwrap();
        assert!(json["body"].as_object_mut().unwrap().remove("stuck").is_some());
        parts[0].state = Some(serde_json::to_vec(&json).unwrap());
        assert_eq!(Order::restore(order, &parts).unwrap(), state);
        world.resolve(order, resolution(ResolveAs::Retry, None)).unwrap();
        world.settle();
        assert!(world.orders[&order].entity.has_ended());
    }
    let _ = cart(0);
}
