//! Every step of a checkout with two vendors fails in every way it can, is run twice, and loses its node or its messages: the shop
//! looks as it did before, or the order is paid once.

#[path = "../support/random.rs"]
mod random;
#[path = "../support/world.rs"]
mod world;

mod bills;
mod cash;
mod coupons;
mod faults;
mod histories;
mod holds;
mod keys;
mod merges;
mod months;
mod payments;
mod phases;
mod points;
mod steps;
mod stuck;

use haat::domain::cart::{CartStatus, SkuPrice};
use haat::domain::ids::{OrderId, SkuId};
use haat::domain::order::{Milestone, OrderStatus, OrderView};
use haat::domain::reject::Reject;
use haat::limits;
use std::collections::BTreeMap;
use world::gateway::{APPROVE, DECLINE, FLAKY, LATE, LOST_REPLY, SILENT, SLOW};
use world::shop::{Picture, STOCK, cart, sku};
use world::{Faults, World};

/// What the cart of every scenario holds: vendor, SKU, pieces.
const LINES: [((usize, usize), i64); 2] = [((0, 0), 2), ((1, 0), 3)];

/// How a scenario ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Paid,
    Unpaid(OrderStatus),
}

/// A checkout and what comes in its way.
#[derive(Clone, Copy)]
struct Scenario {
    name: &'static str,
    /// Sets the trap, before the picture of "as before" is taken.
    prepare: fn(&mut World),
    token: &'static str,
    /// What happens once the checkout has come as far as it can.
    then: fn(&mut World, OrderId),
    end: End,
    /// The code of the refusal that the buyer is told, when it is one.
    refusal: Option<&'static str>,
}

const PLAIN: Scenario =
    Scenario { name: "approved", prepare: |_| {}, token: APPROVE, then: |_, _| {}, end: End::Paid, refusal: None };

fn cancel(world: &mut World, order: OrderId) {
    world.cancel(0, order).unwrap();
}

fn deadline(world: &mut World, _: OrderId) {
    world.pass(limits::PAYMENT_MS);
}

fn sell_out(world: &mut World, vendor: usize) {
    world.adjust((vendor, 0), 1 - STOCK).unwrap();
}

/// Each step of the saga, failing in each way it can.
fn scenarios() -> Vec<Scenario> {
    let rejected = |name, prepare, code| Scenario {
        name,
        prepare,
        end: End::Unpaid(OrderStatus::Rejected),
        refusal: Some(code),
        ..PLAIN
    };
    let ends = |name, token, then, end| Scenario { name, token, then, end: End::Unpaid(end), ..PLAIN };
    vec![
        PLAIN,
        Scenario { name: "approved, first answer lost", token: LOST_REPLY, ..PLAIN },
        Scenario { name: "approved at the third call", token: FLAKY, ..PLAIN },
        Scenario { name: "approved late", token: SLOW, then: |world, order| world.gateway.let_go(order), ..PLAIN },
        rejected("the first vendor is sold out", |world| sell_out(world, 0), "out_of_stock"),
        rejected("the second vendor is sold out", |world| sell_out(world, 1), "out_of_stock"),
        rejected("the first price changed", |world| world.set_price((0, 0), 5_555), "price_changed"),
        rejected("the second price changed", |world| world.set_price((1, 0), 5_555), "price_changed"),
        rejected("a SKU is unknown", |world| drop(world.set_line(0, (1, 9), 1)), "sku_unknown"),
        rejected("a vendor is unknown", |world| drop(world.set_line(0, (7, 0), 1)), "vendor_unknown"),
        ends("declined", DECLINE, |_, _| {}, OrderStatus::PaymentFailed),
        ends("cancelled before the gateway answered", SILENT, cancel, OrderStatus::Cancelled),
        ends("cancelled after the money was taken", SLOW, cancel, OrderStatus::Cancelled),
        ends("the gateway never answered", SILENT, deadline, OrderStatus::Expired),
        Scenario { name: "the money was taken and nobody knew in time", token: SLOW, then: deadline, ..PLAIN },
        Scenario { name: "the money was taken late, though in time", token: LATE, then: deadline, ..PLAIN },
        ends("cancelled while the gateway was at it", LATE, cancel, OrderStatus::Cancelled),
        ends(
            "the gateway was down past the end of the hold",
            SILENT,
            |world, _| {
                world.gateway.down = true;
                world.pass(limits::PAYMENT_MS);
                world.settle();
                world.pass(limits::HOLD_MS);
                world.settle();
                world.gateway.down = false;
            },
            OrderStatus::Expired,
        ),
    ]
}

/// A run of a scenario that has come to its end.
struct Run {
    world: World,
    order: OrderId,
    before: Picture,
    /// Records and messages of the scenario itself.
    records: usize,
    messages: u64,
}

/// A shop with a cart that is ready to be checked out, seen by the vendors alone.
fn ready() -> World {
    let mut world = World::shop(2);
    world.availability_blind = true;
    for (of, quantity) in LINES {
        world.set_line(0, of, quantity).unwrap();
    }
    world
}

/// Runs a scenario. The faults' numbers count from its beginning.
fn run(scenario: &Scenario, faults: Faults) -> Run {
    let mut world = ready();
    (scenario.prepare)(&mut world);
    let before = world.picture();
    let (records, messages) = (world.records, world.sent);
    world.faults = Faults {
        lose: faults.lose.map(|number| number + messages),
        crash: faults.crash.map(|(number, of)| (number + records, of)),
        checkpoint: faults.checkpoint.map(|number| number + records),
        ..faults
    };
    let (order, _) = world.check_out(0, scenario.token, None).unwrap();
    world.settle();
    (scenario.then)(&mut world, order);
    world.settle();
    world.faults = Faults::default();
    let (records, messages) = (world.records - records, world.sent - messages);
    Run { world, order, before, records, messages }
}

/// The pieces that the cart of the scenario wants of a SKU.
fn wanted(of: SkuId) -> i64 {
    LINES.iter().filter(|((vendor, number), _)| sku(*vendor, *number) == of).map(|(_, quantity)| quantity).sum()
}

/// A picture without the prices that carts show.
fn without_prices(mut picture: Picture) -> Picture {
    picture.carts.values_mut().flat_map(|(_, lines)| lines).for_each(|line| line.unit_price = 0);
    picture
}

/// Everything is as it was before.
fn assert_restored(name: &str, world: &World, before: &Picture, order: OrderId, status: OrderStatus) {
    assert_eq!(world.order_view(order).status, status, "{name}");
    assert_eq!(without_prices(world.picture()), without_prices(before.clone()), "{name}");
    let account = world.gateway.account(order);
    assert_eq!(world.gateway.net(order), 0, "{name}: {account:?}");
    assert_eq!(world.order_view(order).amounts.total_due, 0, "{name}");
}

/// The order is paid once, and what it wanted is sold.
fn assert_paid(name: &str, world: &World, before: &Picture, order: OrderId) {
    let view = world.order_view(order);
    assert_eq!(view.status, OrderStatus::Paid, "{name}");
    assert_eq!(world.gateway.account(order).moves, [view.amounts.total], "{name}");
    let after = world.picture();
    assert_eq!(after.taken, before.taken + view.amounts.total, "{name}");
    let sold = |(sku, (on_hand, held)): (&SkuId, &(i64, i64))| (*sku, (on_hand - wanted(*sku), *held));
    assert_eq!(after.stock, before.stock.iter().map(sold).collect::<BTreeMap<_, _>>(), "{name}");
    assert_eq!(after.carts[&cart(0)].0, CartStatus::CheckedOut, "{name}");
}

/// The scenario ended as it should, and the buyer is told so.
fn assert_end(scenario: &Scenario, case: &str, run: &mut Run) {
    let name = format!("{}, {case}", scenario.name);
    match scenario.end {
        End::Paid => assert_paid(&name, &run.world, &run.before, run.order),
        End::Unpaid(status) => assert_restored(&name, &run.world, &run.before, run.order, status),
    }
    assert!(!run.world.anything_outstanding(), "{name}");
    for milestone in [Milestone::Held, Milestone::Paid] {
        let told = run.world.told(0, run.order, milestone).expect("an ended order answers");
        assert_eq!(told.as_ref().err().map(Reject::code), scenario.refusal, "{name}");
    }
}

fn view_of(told: Option<Result<OrderView, Reject>>) -> OrderView {
    told.expect("it is time to answer").expect("an order")
}

fn prices_shown(world: &World) -> Vec<SkuPrice> {
    let lines = world.cart_view(0).lines;
    lines.iter().map(|line| SkuPrice { sku: line.sku, unit_price: line.unit_price, sale: None }).collect()
}

#[test]
fn each_scenario_ends_as_it_should() {
    for scenario in scenarios() {
        let mut run = run(&scenario, Faults::default());
        assert_end(&scenario, "undisturbed", &mut run);
    }
}
