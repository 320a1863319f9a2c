//! Personal data: they come with the record that begins the checkout and with nothing else, but for notes, which come with what they are about; and a
//! means of payment goes when nobody needs it any more.

use super::replay::{Events, Recorded};
use super::{Causes, Judge, Replay};
use crate::world::{World, lock};
use haat::domain::cart::CartEvent;
use haat::domain::details::{Detail, DetailName};
use haat::domain::ids::OrderId;
use haat::domain::order::{OrderEvent, Phase};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

pub struct Details {
    /// Orders whose checkouts began in the batch that is being looked at.
    begun: Mutex<BTreeSet<OrderId>>,
    /// Orders of which something was recorded there that may be spoken about.
    spoken: Mutex<BTreeSet<OrderId>>,
    world: Arc<World>,
}

impl Details {
    pub fn new(world: Arc<World>) -> Self {
        Self { begun: Mutex::default(), spoken: Mutex::default(), world }
    }

    /// These came with the batch whose records have just been looked at.
    pub fn came(&self, details: &[Detail]) {
        let begun = std::mem::take(&mut *lock(&self.begun));
        let expected: BTreeSet<_> =
            begun.iter().flat_map(|order| DetailName::OF_CHECKOUTS.map(|name| (*order, name))).collect();
        let with_checkouts = details.iter().filter(|detail| detail.name != DetailName::Notes);
        let came: BTreeSet<_> = with_checkouts.map(|detail| (detail.order, detail.name)).collect();
        if came != expected {
            self.world.breach(format_args!("with the checkouts of {begun:?} came {came:?}"));
        }
        self.noted(details);
    }

    /// Notes are about what is recorded with them.
    fn noted(&self, details: &[Detail]) {
        let spoken = std::mem::take(&mut *lock(&self.spoken));
        for detail in details.iter().filter(|detail| detail.name == DetailName::Notes) {
            self.world.count("notes");
            if !spoken.contains(&detail.order) {
                self.world.breach(format_args!("of {} something is noted, and nothing recorded", detail.order));
            }
        }
    }

    /// These are left when the last node has stopped as it should.
    pub fn left(&self, replay: &Replay, left: &BTreeMap<(OrderId, DetailName), Option<Vec<u8>>>) {
        for (order, name) in left.keys().filter(|(_, name)| *name == DetailName::Payment) {
            let phase = replay.phase(*order);
            if !matches!(phase, None | Some(Phase::Gathering | Phase::Paying | Phase::Stuck)) {
                self.world.breach(format_args!("{order} is at {phase:?}, and its {} is there still", name.name()));
            }
        }
        for (order, _) in replay.orders() {
            if !left.contains_key(&(order, DetailName::Contact)) {
                self.world.breach(format_args!("the contact of {order} is gone"));
            }
        }
    }
}

impl Judge for Details {
    fn record(&self, _: &Replay, record: &Recorded<'_>, _: &mut Causes) {
        let is_spoken = |event: &OrderEvent| {
            matches!(
                event,
                OrderEvent::Credited { .. }
                    | OrderEvent::CancelWished { .. }
                    | OrderEvent::ReturnRequested { .. }
                    | OrderEvent::ReturnMoved { .. }
            )
        };
        match &record.events {
            Events::Cart(_, events) => {
                let begun = events.iter().filter_map(|event| match event {
                    CartEvent::CheckoutStarted { order, .. } => Some(*order),
                    _ => None,
                });
                lock(&self.begun).extend(begun);
            }
            Events::Order(id, events) if events.iter().any(is_spoken) => _ = lock(&self.spoken).insert(*id),
            _ => {}
        }
    }
}
