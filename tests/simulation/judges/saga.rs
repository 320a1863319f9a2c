//! An order and its cart: no order without a checkout, no cart closed before its order is paid, and no way out of a quarantine but a
//! resolution.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::cart::CartEvent;
use haat::domain::ids::OrderId;
use haat::domain::order::{OrderEvent, Phase};
use haat::domain::reject::Reject;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

pub struct Saga {
    quarantined: Mutex<BTreeSet<OrderId>>,
    world: Arc<World>,
}

impl Saga {
    pub fn new(world: Arc<World>) -> Self {
        Self { quarantined: Mutex::default(), world }
    }

    fn quarantine(&self, replay: &Replay, id: OrderId, events: &[OrderEvent]) {
        let mut quarantined = lock(&self.quarantined);
        if replay.phase(id) != Some(Phase::Stuck) {
            let is_resolved = |event: &OrderEvent| matches!(event, OrderEvent::Resolved { .. });
            if quarantined.remove(&id) && !events.iter().any(is_resolved) {
                self.world.breach(format_args!("{id} left its quarantine, and nobody resolved it"));
            }
            return;
        }
        quarantined.insert(id);
        self.world.count("quarantined orders");
        if replay.order(id).is_some_and(|order| order.told().is_some()) {
            self.world.count("orders stuck for their money");
        }
    }
}

impl Judge for Saga {
    fn record(&self, replay: &Replay, record: &Recorded<'_>, causes: &mut Causes) {
        match &record.events {
            Events::Cart(cart, events) => {
                for event in events {
                    if let CartEvent::CartCheckedOut { order, .. } = event {
                        let order = *order;
                        causes.push((format!("{cart} closes"), Box::new(move |replay| replay.is_paid(order))));
                    }
                }
            }
            Events::Order(order, events) => {
                self.quarantine(replay, *order, events);
                for event in events {
                    // Whoever holds remembers what it committed until it is told that the order is settled.
                    if let OrderEvent::Quarantined { vendor, reason: Reject::HoldUnknown } = event {
                        self.world.breach(format_args!("{vendor} has forgotten what it held for {order}"));
                    }
                    if let OrderEvent::LegQuarantined { with, reason: Reject::HoldUnknown } = event {
                        self.world.breach(format_args!("{with:?} has forgotten what it held for {order}"));
                    }
                    if let OrderEvent::Placed { placement, .. } = event {
                        let (order, cart, attempt) = (*order, placement.cart, placement.attempt);
                        let started = move |replay: &Replay| {
                            OrderId::for_attempt(cart, attempt) == order && replay.cart(cart).is_some()
                        };
                        causes.push((format!("{order} is placed"), Box::new(started)));
                    }
                }
            }
            Events::Vendor(..) | Events::Customer(..) | Events::Coupon(..) | Events::Room(..) => {}
        }
    }
}
