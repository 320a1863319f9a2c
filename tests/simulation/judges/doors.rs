//! Orders that are paid at the door: a buyer has a few open at a time, each is counted before it is accepted, and none is counted that is over.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::customer::CustomerEvent;
use haat::domain::ids::{CustomerId, OrderId};
use haat::domain::order::{CountedOpen, Leg, OrderEvent, Party};
use haat::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Who counts what.
pub struct Doors {
    open: Mutex<BTreeMap<CustomerId, BTreeSet<OrderId>>>,
    world: Arc<World>,
}

impl Doors {
    pub fn new(world: Arc<World>) -> Self {
        Self { open: Mutex::default(), world }
    }

    fn counted(&self, customer: CustomerId, events: &[CustomerEvent]) {
        let open = &mut *lock(&self.open);
        let open = open.entry(customer).or_default();
        for event in events {
            match event {
                CustomerEvent::CashOpened { order } => {
                    if !open.insert(*order) || open.len() > limits::CASH_OPEN_ORDERS as usize {
                        self.world.breach(format_args!("{customer} counts {order} as one more than {open:?}"));
                    }
                    self.world.count("orders counted as open at the door");
                }
                CustomerEvent::CashClosed { order, .. } if !open.remove(order) => {
                    self.world.breach(format_args!("{customer} closes {order}, which is not open"));
                }
                _ => {}
            }
        }
    }
}

impl Judge for Doors {
    fn record(&self, replay: &Replay, record: &Recorded<'_>, causes: &mut Causes) {
        match &record.events {
            Events::Customer(customer, events) => self.counted(*customer, events),
            Events::Order(order, events) => {
                for event in events {
                    match event {
                        OrderEvent::LegHeld { with: Party::Cash(customer) } => {
                            let (order, customer) = (*order, *customer);
                            let counts = move |replay: &Replay| replay.counts_open(customer, order);
                            causes.push((format!("{customer} counts {order}"), Box::new(counts)));
                        }
                        OrderEvent::LegRefused { with: Party::Cash(_), .. } => {
                            self.world.count("orders that were too many at the door");
                        }
                        OrderEvent::Confirmed => {
                            self.world.count("orders accepted without money");
                            let is_cash = |leg: Leg| matches!(leg.with, Party::Cash(_));
                            if !replay.order(*order).is_some_and(|of| of.legs().any(is_cash)) {
                                self.world.breach(format_args!("{order} is accepted, and nobody counts it"));
                            }
                        }
                        OrderEvent::CashCollected { collection, refund_requested, .. } => {
                            self.world.count("collections at the door");
                            (collection.rounding != 0).then(|| self.world.count("collections that were rounded"));
                            refund_requested.is_some().then(|| self.world.count("collections of too much"));
                        }
                        OrderEvent::CashRemitted { .. } => self.world.count("remittances"),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn at_rest(&self, replay: &Replay) {
        let mut open = lock(&self.open).clone();
        for (id, order) in replay.orders() {
            let found: Vec<CustomerId> =
                open.iter_mut().filter_map(|(customer, orders)| orders.remove(&id).then_some(*customer)).collect();
            let fits = match order.counted_open() {
                CountedOpen::By(customer) => found == [customer],
                // An order that someone has to look at may have heard or not.
                CountedOpen::Perhaps(_) => true,
                CountedOpen::No => found.is_empty(),
            };
            if !fits {
                self.world
                    .breach(format_args!("{id} is counted by {found:?}, and stands so: {:?}", order.counted_open()));
            }
        }
        for (customer, left) in open.iter().filter(|(_, left)| !left.is_empty()) {
            self.world.breach(format_args!("{customer} counts {left:?}, which are no orders"));
        }
    }
}
