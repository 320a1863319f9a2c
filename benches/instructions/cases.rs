//! What is counted.

use crate::{domain, http, node, records};

/// A case: its name, by which its count is kept, and what makes it ready.
pub struct Case {
    pub name: &'static str,
    pub prepare: fn() -> Prepared,
}

/// A case that is ready. Its rounds are numbered from 0; those of the warm-up, which grow tables and take memory, are not counted.
pub struct Prepared {
    pub warm_up: u64,
    pub rounds: u64,
    /// In one round.
    pub operations: u64,
    pub round: Box<dyn FnMut(u64)>,
}

/// In the order in which a checkout comes to them.
pub const CASES: [Case; 15] = [
    Case { name: "cart: line set", prepare: domain::line_set },
    Case { name: "cart: checked out", prepare: domain::checked_out },
    Case { name: "vendor: stock reserved", prepare: domain::reserved },
    Case { name: "vendor: stock committed", prepare: domain::committed },
    Case { name: "order: placed", prepare: || domain::order(0) },
    Case { name: "order: stock held", prepare: || domain::order(1) },
    Case { name: "order: charged", prepare: || domain::order(2) },
    Case { name: "order: stock committed", prepare: || domain::order(3) },
    Case { name: "records of a checkout, written", prepare: records::written },
    Case { name: "frame of four checkouts, packed", prepare: records::packed },
    Case { name: "actors: checkout until settled", prepare: node::checkout },
    Case { name: "http: cart made", prepare: http::cart_made },
    Case { name: "http: line set", prepare: http::line_set },
    Case { name: "http: checkout until settled", prepare: http::checkout },
    Case { name: "http: order shown", prepare: http::order_shown },
];

/// The part that callgrind collects: it knows it by this name.
#[inline(never)]
pub fn counted_part(round: &mut dyn FnMut(u64), from: u64, to: u64) {
    let mut number = from;
    while number < to {
        round(number);
        number += 1;
    }
}
