//! Deciding and applying, of states as large as in a rush.

use crate::cases::Prepared;
use crate::shop::{NOW, ORDERS, cart, cart_id, check_out, life, order_id, reserve, run, set_line, until, vendor};
use haat::domain::entity::concerns::*;
use haat::domain::ids::OrderId;
use haat::domain::order::Order;
use haat::domain::vendor::{Vendor, VendorCommand};
use std::hint::black_box;

const WARM_UP: u64 = 16;
const ROUNDS: u64 = 500;
/// Lines of a cart.
pub const LINES: u128 = 3;
/// The vendor's SKUs.
pub const SKUS: u128 = 1_000;
/// Orders that hold a piece of this vendor's, and orders that have bought one.
pub const HOLDS: u128 = 10_000;

fn numbers() -> std::ops::Range<u128> {
    0..u128::from(WARM_UP + ROUNDS)
}

/// Each round is one command, decided and applied, by an entity of its own.
fn each<E: Entity>(mut ready: Vec<(E, E::Command)>) -> Prepared {
    let round = move |number: u64| {
        let (entity, command) = &mut ready[number as usize];
        black_box(run(entity, command, NOW));
    };
    Prepared { warm_up: WARM_UP, rounds: ROUNDS, operations: 1, round: Box::new(round) }
}

/// Each round is one command, decided and applied, by the same entity.
fn all<E: Entity>(mut entity: E, commands: Vec<E::Command>) -> Prepared {
    // A checkpoint has taken what changed until now.
    entity.delta();
    let round = move |number: u64| {
        black_box(run(&mut entity, &commands[number as usize], NOW));
    };
    Prepared { warm_up: WARM_UP, rounds: ROUNDS, operations: 1, round: Box::new(round) }
}

pub fn line_set() -> Prepared {
    let of = |number| (cart(cart_id(number), LINES), set_line(cart_id(number), LINES - 1, 2));
    each(numbers().map(of).collect())
}

pub fn checked_out() -> Prepared {
    let of = |number| (cart(cart_id(number), LINES), check_out(cart_id(number)));
    each(numbers().map(of).collect())
}

/// A vendor in the middle of its rush.
pub fn busy_vendor() -> Vendor {
    let mut vendor = vendor(SKUS, 2 * HOLDS);
    for number in 0..HOLDS {
        run(&mut vendor, &VendorCommand::Commit { order: order_id(ORDERS + 2 * number), strict: true }, NOW);
    }
    vendor
}

fn reserves() -> Vec<VendorCommand> {
    numbers().map(|order| reserve(order, order % SKUS, until())).collect()
}

pub fn reserved() -> Prepared {
    all(busy_vendor(), reserves())
}

pub fn committed() -> Prepared {
    let mut vendor = busy_vendor();
    for command in reserves() {
        run(&mut vendor, &command, NOW);
    }
    let commit = |number| VendorCommand::Commit { order: order_id(number), strict: true };
    all(vendor, numbers().map(commit).collect())
}

/// The step of this number in an order's life.
pub fn order(step: usize) -> Prepared {
    let of = |number| {
        let cart = cart_id(number);
        let mut order = Order::new(OrderId::for_attempt(cart, 1));
        let mut life = life(cart, LINES).into_iter();
        for before in life.by_ref().take(step) {
            run(&mut order, &before, NOW);
        }
        (order, life.next().expect("an order's life has more steps"))
    };
    each(numbers().map(of).collect())
}
