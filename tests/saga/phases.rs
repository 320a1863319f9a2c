//! Every command in every phase: what is acted on, what comes late and changes nothing, and what is refused.

use crate::world::World;
use crate::world::shop::{buyer, cart, resolution, vendor};
use crate::{APPROVE, DECLINE, ready};
use haat::domain::buyer::{MailKey, Mint};
use haat::domain::entity::concerns::*;
use haat::domain::entity::{Effect, EffectKey, Message, Owner, Principal, Publication, Step};
use haat::domain::ids::{CouponId, CreditId, CustomerId, OrderId, RefundId};
use haat::domain::knowledge::Knowledge;
use haat::domain::order::{
    CreditReason, CreditSeed, LegState, Milestone, Order, OrderCommand, OrderEvent, OrderStatus, Party, PaymentStatus,
    Phase, RefundTold, ResolveAs, Wanted,
};
use haat::domain::reject::Reject;
use haat::domain::time::Timestamp;
use haat::domain::vendor::{HeldLine, VendorCommand};
use uuid::Uuid;

/// What an order makes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Makes {
    /// A record.
    Acts,
    /// Nothing: it was taken care of.
    Late,
    /// A refusal: nobody sends it.
    Refuses,
}

const PHASES: [Phase; 9] = [
    Phase::Gathering,
    Phase::Paying,
    Phase::Voiding(OrderStatus::Cancelled),
    Phase::Confirming,
    Phase::Settled,
    Phase::Cancelling(OrderStatus::PaymentFailed),
    Phase::Reopening(OrderStatus::PaymentFailed),
    Phase::Ended,
    Phase::Stuck,
];

/// Answers to what an order asked, and time; each with what the nine phases make of it. `A` acts, `l` is late, `-` refuses.
const TABLE: [(&str, &str); 23] = [
    //                       gath pay void conf sett canc reop ended stuck
    ("stock_held", "A l l l l l l l l"),
    ("stock_refused", "A l l l l l l l l"),
    ("charged", "- A l l l l l l l"),
    ("declined", "- A l l l l l l l"),
    ("not_captured", "- A l l l l l l l"),
    ("prepared", "- A l l l l l l l"),
    ("buyer_needed", "- A l l l l l l l"),
    ("voided", "- l A l l l l l l"),
    ("refunded", "- - A l l l l l l"),
    ("void_refused", "- - A l l l l l l"),
    ("stock_committed", "- - - A l - - - l"),
    ("stock_released", "- - - l l A l l l"),
    ("step_failed", "- - - A l A l l l"),
    ("cart_reopened", "- - - - - - A l -"),
    ("tick", "A l l l l l l l l"),
    // Of a party that the order has not asked: `coupons.rs` has those of one that it has.
    ("leg_held", "l l l l l l l l l"),
    ("leg_refused", "l l l l l l l l l"),
    ("leg_committed", "- - - l l - - - l"),
    ("leg_released", "- - - l l l l l l"),
    ("leg_failed", "- - - A l A l l l"),
    // Of a refund and a credit that it does not know: below are those that it does.
    ("refund_told", "l l l l l l l l l"),
    ("restocked", "l l l l l l l l l"),
    ("leg_returned", "l l l l l l l l l"),
];

fn command(name: &str) -> OrderCommand {
    let vendor = vendor(0);
    let with = Party::Coupon(CouponId::of_code("EID"));
    match name {
        "stock_held" => OrderCommand::StockHeld { vendor, lines: Vec::new(), slot: None },
        "stock_refused" => OrderCommand::StockRefused { vendor, reason: Reject::HoldClosed },
        "charged" => OrderCommand::Charged { amount: None },
        "declined" => OrderCommand::Declined { reason: "no".into() },
        "not_captured" => OrderCommand::NotCaptured,
        "prepared" => OrderCommand::PaymentPrepared { reference: "pi_1".into() },
        "buyer_needed" => OrderCommand::BuyerNeeded,
        "voided" => OrderCommand::Voided,
        "refunded" => OrderCommand::Refunded { amount: None },
        "void_refused" => OrderCommand::VoidRefused { reason: "no".into(), taken: None },
        "stock_committed" => OrderCommand::StockCommitted { vendor },
        "stock_released" => OrderCommand::StockReleased { vendor },
        "step_failed" => OrderCommand::StepFailed { vendor, reason: Reject::CommandPoisoned },
        "cart_reopened" => OrderCommand::CartReopened,
        "tick" => OrderCommand::Tick,
        "leg_held" => OrderCommand::LegHeld { with },
        "leg_refused" => OrderCommand::LegRefused { with, reason: Reject::CouponExhausted },
        "leg_committed" => OrderCommand::LegCommitted { with },
        "leg_released" => OrderCommand::LegReleased { with },
        "leg_failed" => OrderCommand::LegFailed { with, reason: Reject::CommandPoisoned },
        "refund_told" => {
            OrderCommand::RefundTold { refund: RefundId::from_uuid(Uuid::nil()), attempt: 1, told: RefundTold::Pending }
        }
        "restocked" => OrderCommand::Restocked { vendor, credits: vec![seed().id] },
        "leg_returned" => OrderCommand::LegReturned { with, credits: vec![seed().id], whole: true },
        other => panic!("no command is called {other}"),
    }
}

fn seed() -> CreditSeed {
    CreditSeed { id: CreditId::from_uuid(Uuid::nil()), mint: Mint([1; 4]), reason: CreditReason::ChangedMind }
}

/// The shop, and a cart with one vendor's goods in it.
fn one_vendor() -> World {
    let mut world = World::shop(1);
    world.set_line(0, (0, 0), 2).unwrap();
    world
}

/// An order of one vendor that came to stand in this phase by real turns of the small shop.
fn in_phase(phase: Phase) -> (OrderId, Order) {
    let mut world = one_vendor();
    let token = match phase {
        Phase::Cancelling(_) | Phase::Reopening(_) | Phase::Ended => DECLINE,
        _ => APPROVE,
    };
    let (order, _) = world.check_out(0, token, None).unwrap();
    loop {
        let now = world.orders.get(&order).and_then(|slot| slot.entity.phase());
        match (phase, now) {
            (wanted, Some(now)) if wanted == now => break,
            (Phase::Voiding(_), Some(Phase::Paying)) => world.cancel(0, order).map(drop).unwrap(),
            (Phase::Stuck, Some(Phase::Confirming)) => {
                let mut state = world.orders[&order].entity.clone();
                tell(&mut state, &command("step_failed"), world.now).unwrap();
                return (order, state);
            }
            _ => assert!(world.deliver(), "{order} never comes to {phase:?}"),
        }
    }
    (order, world.orders[&order].entity.clone())
}

/// One turn.
fn tell(state: &mut Order, command: &OrderCommand, now: Timestamp) -> Result<Vec<OrderEvent>, Reject> {
    state.heard(command, now);
    let events = state.decide(command, &Knowledge::NOTHING, now)?;
    events.iter().for_each(|event| state.apply(event, now));
    state.check().unwrap();
    Ok(events)
}

const LATER: Timestamp = Timestamp::from_millis(i64::MAX / 2);

#[test]
fn every_answer_is_acted_on_late_or_refused_in_every_phase() {
    for (column, phase) in PHASES.into_iter().enumerate() {
        let (_, before) = in_phase(phase);
        for (name, row) in TABLE {
            let expected = match row.split(' ').nth(column).expect("nine columns") {
                "A" => Makes::Acts,
                "l" => Makes::Late,
                "-" => Makes::Refuses,
                other => panic!("{other}"),
            };
            let mut state = before.clone();
            let found = match tell(&mut state, &command(name), LATER) {
                Ok(events) if events.is_empty() => Makes::Late,
                Ok(_) => Makes::Acts,
                Err(reject) => {
                    assert_eq!(reject, Reject::OutOfTurn, "{name} in {phase:?}");
                    Makes::Refuses
                }
            };
            assert_eq!(found, expected, "{name} in {phase:?}");
            if expected != Makes::Acts {
                assert_eq!(state, before, "{name} in {phase:?} changes nothing");
            }
        }
    }
}

#[test]
fn what_everybody_may_ask_is_answered_in_every_phase() {
    for phase in PHASES {
        let (order, state) = in_phase(phase);
        let by = buyer(0);
        for command in [
            OrderCommand::Get { by },
            OrderCommand::GetTimeline { by },
            OrderCommand::Await { by, milestone: Milestone::Held },
            OrderCommand::HoldDue { vendor: vendor(0), until: LATER, committed: false },
            OrderCommand::HoldDue { vendor: vendor(0), until: LATER, committed: true },
            OrderCommand::LegDue { with: Party::Coupon(CouponId::of_code("EID")), until: LATER, committed: false },
            OrderCommand::LegDue { with: Party::Coupon(CouponId::of_code("EID")), until: LATER, committed: true },
        ] {
            assert_eq!(state.decide(&command, &Knowledge::NOTHING, LATER), Ok(Vec::new()), "{command:?} in {phase:?}");
        }
        let placed = placing(order);
        let Effect::Tell(Message::Order { command, .. }) = placed else { panic!("{placed:?}") };
        assert_eq!(state.decide(&command, &Knowledge::NOTHING, LATER), Ok(Vec::new()), "placed again in {phase:?}");
        let cancelled = state.decide(&OrderCommand::Cancel { by }, &Knowledge::NOTHING, LATER);
        let may = match phase {
            Phase::Gathering | Phase::Paying => Makes::Acts,
            Phase::Voiding(_) => Makes::Late,
            _ => Makes::Refuses,
        };
        let found = match cancelled {
            Ok(events) if events.is_empty() => Makes::Late,
            Ok(_) => Makes::Acts,
            Err(Reject::OrderNotCancellable { .. }) => Makes::Refuses,
            other => panic!("{other:?}"),
        };
        assert_eq!(found, may, "cancelled in {phase:?}");
        let resolve =
            OrderCommand::Resolve { by: Principal::SHOP, resolution: Box::new(resolution(ResolveAs::Retry, None)) };
        let resolved = state.decide(&resolve, &Knowledge::NOTHING, LATER);
        let nothing = matches!(resolved, Err(Reject::NothingToResolve { .. }));
        let unstuck = matches!(phase, Phase::Gathering | Phase::Settled | Phase::Ended);
        assert_eq!(nothing, unstuck, "resolved in {phase:?}: {resolved:?}");
    }
}

/// Units and amounts are taken back of what is paid and sold, once: what is being paid has to be settled first, and what ends has nothing left.
#[test]
fn what_is_taken_back_is_of_a_settled_order() {
    let shop = Principal::SHOP;
    let credit = |wanted| OrderCommand::Credit { by: shop, vendor: vendor(0), wanted, seed: seed() };
    for phase in PHASES {
        let (_, before) = in_phase(phase);
        for command in [
            credit(Wanted::Units(Vec::new())),
            credit(Wanted::Amount { minor: 1, shipping: false }),
            OrderCommand::CancelAll { by: shop, seed: seed() },
        ] {
            let is_all = matches!(command, OrderCommand::CancelAll { .. });
            let (mut state, place) = (before.clone(), format!("{command:?} in {phase:?}"));
            match (phase, tell(&mut state, &command, LATER)) {
                (Phase::Settled, Ok(events)) => {
                    assert!(matches!(events[..], [OrderEvent::Credited { refund_requested: Some(_), .. }]), "{place}");
                    assert_eq!(tell(&mut state, &command, LATER), Ok(Vec::new()), "{place}, again");
                }
                // What is not paid ends unpaid.
                (Phase::Gathering | Phase::Paying, Ok(events)) if is_all => assert!(!events.is_empty(), "{place}"),
                (Phase::Voiding(_), Ok(events)) if is_all => assert_eq!(events, [], "{place}"),
                (Phase::Stuck, Err(Reject::OrderNotCancellable { .. })) if is_all => {}
                (
                    Phase::Gathering | Phase::Paying | Phase::Voiding(_) | Phase::Confirming | Phase::Stuck,
                    Err(Reject::PaymentInProgress),
                )
                | (
                    Phase::Cancelling(_) | Phase::Reopening(_) | Phase::Ended,
                    Err(Reject::OrderNotCancellable { .. }),
                ) => assert_eq!(state, before, "{place}"),
                (_, other) => panic!("{place}: {other:?}"),
            }
        }
    }
}

/// An order like this one that was placed with the address of this key.
fn placed_with(mail_key: Option<MailKey>, owner: Owner, phase: Phase) -> Order {
    let (_, order) = in_phase(phase);
    let mut json = serde_json::to_value(&order).unwrap();
    json["body"]["buyer"]["mail_key"] = serde_json::to_value(mail_key).unwrap();
    json["body"]["owner"] = serde_json::to_value(owner).unwrap();
    serde_json::from_value(json).unwrap()
}

/// A guest's order becomes a customer's who has verified the very address that it was placed with, once its payment does not run any more, and no
/// other does.
#[test]
fn a_guests_order_is_given_to_whoever_verified_its_address_once_it_is_not_being_paid() {
    let (theirs, others) = (MailKey([1; 16]), MailKey([2; 16]));
    let [fina, rina] = [1, 2].map(|number| CustomerId::from_uuid(Uuid::from_u128(number)));
    let refused = Err(Reject::OrderUnknown);
    for phase in PHASES {
        let before = placed_with(Some(theirs), Owner::Guest, phase);
        let attach = |state: &mut Order, customer, mail_key| {
            tell(state, &OrderCommand::Attach { customer, mail_key }, LATER).map(|events| events.len())
        };
        let mut state = before.clone();
        assert_eq!(attach(&mut state, fina, others), refused, "{phase:?}");
        assert_eq!(state, before);
        if matches!(phase, Phase::Gathering | Phase::Paying | Phase::Voiding(_)) {
            assert_eq!(attach(&mut state, fina, theirs), Err(Reject::OutOfTurn), "{phase:?}: its guest waits for it");
            assert_eq!(state, before);
            continue;
        }
        assert_eq!(attach(&mut state, fina, theirs), Ok(1), "{phase:?}");
        assert_eq!(attach(&mut state, fina, theirs), Ok(0), "{phase:?}: repeated");
        assert_eq!(attach(&mut state, rina, theirs), refused, "{phase:?}: it is somebody's");
        assert_eq!((state.phase(), state.status()), (before.phase(), before.status()));
        let customer = Principal::Customer;
        for (by, sees) in [(customer(fina), true), (customer(rina), false), (buyer(0), false), (Principal::SHOP, true)]
        {
            assert_eq!(state.view(by).is_some(), sees, "{phase:?}: {by:?}");
        }
        assert_eq!(tell(&mut state, &OrderCommand::Cancel { by: buyer(0) }, LATER), Err(Reject::OrderUnknown));
        assert_eq!(state.row().unwrap().customer_id, Some(fina));

        for mut nobodys in
            [placed_with(None, Owner::Guest, phase), placed_with(Some(theirs), Owner::Customer(rina), phase)]
        {
            assert_eq!(attach(&mut nobodys, fina, theirs), refused, "{phase:?}");
        }
    }
    let nothing = Order::new(OrderId::from_uuid(Uuid::from_u128(9)));
    let attach = OrderCommand::Attach { customer: fina, mail_key: theirs };
    assert_eq!(nothing.decide(&attach, &Knowledge::NOTHING, LATER), Err(Reject::OrderUnknown));
}

/// What the cart sent when the order was placed.
fn placing(order: OrderId) -> Effect {
    let mut world = one_vendor();
    let (placed, _) = world.check_out(0, APPROVE, None).unwrap();
    assert_eq!(placed, order);
    let state = &world.carts[&cart(0)].entity;
    state.effect(EffectKey::new(Step::Place, order)).expect("the cart waits for its order")
}

/// What costs nothing is paid in the record that says so, without a provider.
#[test]
fn a_bill_of_zero_is_paid_as_it_is_made() {
    let mut world = one_vendor();
    let (order, _) = world.check_out(0, APPROVE, None).unwrap();
    let Effect::Tell(Message::Order { command, .. }) = placing(order) else { panic!("it places its order") };
    let OrderCommand::Place { mut placement, details } = command else { panic!("{command:?}") };
    placement.expected_total.minor = 0;
    let held = placement.lines.iter().map(|line| HeldLine::at_list_price(line.sku, line.quantity, 0)).collect();
    let (mut state, now) = (Order::new(order), world.now);
    tell(&mut state, &OrderCommand::Place { placement, details }, now).unwrap();
    let events =
        tell(&mut state, &OrderCommand::StockHeld { vendor: vendor(0), lines: held, slot: None }, now).unwrap();
    assert_eq!(events[1..], [OrderEvent::Priced { total: 0, bill: None }, OrderEvent::Paid { amount: 0 }]);
    let paid = Publication::OrderStatus { from: Some(OrderStatus::Placed), to: OrderStatus::Paid };
    assert_eq!(state.publications(&events), [paid], "it never awaited a payment");
    let view = state.view(Principal::SHOP).unwrap();
    assert_eq!(
        (view.status, view.payment_status, view.amounts.total_due),
        (OrderStatus::Paid, PaymentStatus::Captured, 0)
    );
    assert!(state.outstanding(LATER).iter().all(|key| matches!(key.step, Step::Commit | Step::Close)));
    for milestone in [Milestone::Held, Milestone::Paid] {
        assert!(matches!(state.reply(&OrderCommand::Await { by: buyer(0), milestone }, false), Some(Ok(_))));
    }
    let settled = tell(&mut state, &OrderCommand::StockCommitted { vendor: vendor(0) }, now).unwrap();
    assert_eq!(settled, [OrderEvent::Settled]);
}

/// Who asks about a hold is told what becomes of it, by what the order has come to.
#[test]
fn a_hold_that_is_due_is_told_what_becomes_of_it() {
    let until = LATER;
    for phase in PHASES {
        let (order, state) = in_phase(phase);
        let told = |committed| {
            let due = OrderCommand::HoldDue { vendor: vendor(0), until, committed };
            match state.respond(&due, Ok(())) {
                Some(Message::Vendor { command, .. }) => Some(command),
                None => None,
                other => panic!("{other:?}"),
            }
        };
        let commit = Some(VendorCommand::Commit { order, strict: true });
        let release = Some(VendorCommand::Release { order, until });
        let expected = match phase {
            Phase::Gathering | Phase::Paying | Phase::Voiding(_) | Phase::Stuck => (None, None),
            Phase::Confirming => (commit.clone(), commit),
            Phase::Settled => (release, Some(VendorCommand::Close { order })),
            Phase::Cancelling(_) | Phase::Reopening(_) | Phase::Ended => (release, None),
        };
        assert_eq!((told(false), told(true)), expected, "{phase:?}");
    }
}

/// Acknowledgements are in no record: after a restart each party is asked again, and says it again.
#[test]
fn one_record_settles_an_order_of_two_vendors() {
    let mut world = ready();
    let (order, _) = world.check_out(0, APPROVE, None).unwrap();
    while world.orders.get(&order).and_then(|slot| slot.entity.phase()) != Some(Phase::Confirming) {
        assert!(world.deliver());
    }
    let now = world.now;
    let mut state = world.orders[&order].entity.clone();
    let commits = |state: &Order| {
        let keys = state.outstanding(now).into_iter().filter(|key| key.step == Step::Commit);
        keys.map(|key| key.target).collect::<Vec<_>>()
    };
    let both = [vendor(0), vendor(1)].map(|vendor| vendor.uuid().as_u128());
    assert_eq!(commits(&state), both);
    let first = OrderCommand::StockCommitted { vendor: vendor(0) };
    assert_eq!(tell(&mut state, &first, now), Ok(Vec::new()));
    assert_eq!(tell(&mut state, &first, now), Ok(Vec::new()), "said twice, it counts once");
    assert_eq!(commits(&state), both[1..], "who has acknowledged is not asked again");
    let parts = state.delta().parts;
    let mut anew = Order::restore(order, &parts).unwrap();
    assert_eq!(anew, state, "what was heard is in no comparison");
    assert_eq!(commits(&anew), both, "and in no snapshot");
    assert_eq!(tell(&mut anew, &OrderCommand::StockCommitted { vendor: vendor(1) }, now), Ok(Vec::new()));
    let settled = tell(&mut anew, &first, now).unwrap();
    assert_eq!(settled, [OrderEvent::Settled]);
    assert_eq!(anew.tells(&settled).len(), 2, "each party is told that it need not remember it");
    assert!(anew.legs().all(|leg| leg.state == LegState::Committed && matches!(leg.with, Party::Stock(_))));
    assert!(commits(&anew).is_empty());
}
