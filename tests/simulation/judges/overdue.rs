//! What waits for vendors: that nothing is begun of a share is said once, of one that is paid, that nobody has stopped, and of which nothing is packed.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::ids::{OrderId, VendorId};
use haat::domain::order::OrderEvent;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Debug, Default)]
struct Share {
    /// Whether it was said.
    said: bool,
    stopped: bool,
    /// Whether something is packed, as far as that is certain: neither unpacked since nor cancelled.
    packed: bool,
}

pub struct Overdue {
    shares: Mutex<BTreeMap<(OrderId, VendorId), Share>>,
    world: Arc<World>,
}

impl Overdue {
    pub fn new(world: Arc<World>) -> Self {
        Self { shares: Mutex::default(), world }
    }

    fn order_event(&self, order: OrderId, event: &OrderEvent) {
        let shares = &mut *lock(&self.shares);
        match event {
            OrderEvent::SharePutOnHold { vendor, .. } => shares.entry((order, *vendor)).or_default().stopped = true,
            OrderEvent::ShareResumed { vendor, .. } => shares.entry((order, *vendor)).or_default().stopped = false,
            OrderEvent::Packed { vendor, .. } => shares.entry((order, *vendor)).or_default().packed = true,
            OrderEvent::Unpacked { vendor, .. } => shares.entry((order, *vendor)).or_default().packed = false,
            OrderEvent::Credited { credit, .. } => shares.entry((order, credit.vendor)).or_default().packed = false,
            // It may be taken apart.
            OrderEvent::ShipmentMoved { .. } => {
                shares.iter_mut().filter(|((of, _), _)| *of == order).for_each(|(_, share)| share.packed = false);
            }
            OrderEvent::AcceptanceOverdue { vendor } => {
                let share = shares.entry((order, *vendor)).or_default();
                self.world.count("shares that nobody began with");
                if share.said || share.stopped || share.packed {
                    self.world.breach(format_args!("{order} says that {vendor} is late: {share:?}"));
                }
                share.said = true;
            }
            _ => {}
        }
    }
}

impl Judge for Overdue {
    fn record(&self, replay: &Replay, record: &Recorded<'_>, _: &mut Causes) {
        let Events::Order(order, events) = &record.events else { return };
        let is_overdue = |event: &OrderEvent| matches!(event, OrderEvent::AcceptanceOverdue { .. });
        if events.iter().any(is_overdue) && !replay.is_paid(*order) {
            self.world.breach(format_args!("{order} says that a vendor is late, and is not paid"));
        }
        events.iter().for_each(|event| self.order_event(*order, event));
    }
}
