//! Which orders a vendor has in its slots: counted, and told.

use super::{DeliveryPlan, Slot, SlotId, SlotRefused};
use crate::domain::entity::{Part, write_part};
use crate::domain::ids::EntityId;
use crate::domain::invariants::Breach;
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::domain::vendor::{SlotView, Vendor, VendorEvent};
use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is had of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::domain::vendor) struct Booked {
    /// When the slot ends: some time later it is forgotten.
    pub(in crate::domain::vendor) ends_at: Timestamp,
    /// How many orders hold it.
    #[serde(default)]
    pub(in crate::domain::vendor) held: i64,
    /// How many paid orders have it.
    #[serde(default)]
    pub(in crate::domain::vendor) sold: i64,
}

/// When a vendor delivers, and what is had of its slots.
#[derive(Clone, Debug, Default)]
pub(in crate::domain::vendor) struct Delivery {
    /// The plan, with how often one was set.
    pub(in crate::domain::vendor) plan: Planned,
    pub(in crate::domain::vendor) booked: BTreeMap<SlotId, Booked>,
    /// When the next of them is forgotten.
    forget_at: Option<Timestamp>,
    /// Whether the next delta gives the plan.
    plan_changed: bool,
    /// The slots that the next delta gives. They have a set of their own: most vendors have no slots, and a longer key would make each hold of
    /// those slower.
    changed: BTreeSet<SlotId>,
}

/// A plan, as a snapshot keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::domain::vendor) struct Planned {
    pub(in crate::domain::vendor) version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "shared")]
    pub(in crate::domain::vendor) plan: Option<Arc<DeliveryPlan>>,
}

mod shared {
    use super::{Arc, DeliveryPlan};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(plan: &Option<Arc<DeliveryPlan>>, serializer: S) -> Result<S::Ok, S::Error> {
        plan.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<DeliveryPlan>>, D::Error> {
        Ok(Option::<DeliveryPlan>::deserialize(deserializer)?.map(Arc::new))
    }
}

/// How a slot changes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain::vendor) enum Moves {
    /// An order holds it.
    Held,
    /// The order that held it is paid.
    Sold,
    /// The order that held it has ended.
    Released,
    /// A paid order does not need it any more.
    GivenBack,
}

impl Delivery {
    /// What has changed since it was last asked, as a snapshot keeps it.
    pub(in crate::domain::vendor) fn changed_parts(&mut self) -> Vec<Part> {
        let plan = std::mem::take(&mut self.plan_changed).then(|| write_part("delivery".to_owned(), &self.plan));
        let slot = |id: SlotId| {
            let name = format!("slot/{id}");
            match self.booked.get(&id) {
                Some(booked) => write_part(name, booked),
                None => Part { name, state: None },
            }
        };
        plan.into_iter().chain(std::mem::take(&mut self.changed).into_iter().map(slot)).collect()
    }

    /// Takes over a slot from a snapshot.
    pub(in crate::domain::vendor) fn restore(&mut self, id: SlotId, booked: Booked) {
        self.booked.insert(id, booked);
        self.note_end(booked.ends_at);
    }

    fn note_end(&mut self, ends_at: Timestamp) {
        let forget_at = ends_at.plus_millis(limits::SLOT_KEPT_MS);
        self.forget_at = Some(self.forget_at.map_or(forget_at, |known| known.min(forget_at)));
    }
}

impl Vendor {
    /// The slot that an order wants, if it can have it.
    ///
    /// # Errors
    /// [`Reject::SlotFull`].
    pub(in crate::domain::vendor) fn decide_slot(&self, id: SlotId, now: Timestamp) -> Result<Slot, Reject> {
        let refused = |why| Reject::SlotFull { vendor_id: self.id, slot_id: id, why };
        let plan = self.delivery.plan.plan.as_deref().ok_or(SlotRefused::NotOffered).map_err(refused)?;
        let (slot, capacity) = plan.offer(id, now).map_err(refused)?;
        match self.taken_of(id) < capacity {
            true => Ok(slot),
            false => Err(refused(SlotRefused::Full)),
        }
    }

    fn taken_of(&self, id: SlotId) -> i64 {
        self.delivery.booked.get(&id).map_or(0, |booked| booked.held.saturating_add(booked.sold))
    }

    /// Sets another plan, if the one that was read is the one that there is.
    pub(in crate::domain::vendor) fn decide_plan(
        &self,
        version: u64,
        plan: Option<&DeliveryPlan>,
    ) -> Result<Vec<VendorEvent>, Reject> {
        let known = &self.delivery.plan;
        if known.version != version {
            return Err(Reject::DeliveryPlanChanged);
        }
        let plan = plan.cloned().map(Box::new);
        Ok(vec![VendorEvent::DeliveryPlanSet { plan }])
    }

    pub(in crate::domain::vendor) fn set_plan(&mut self, plan: Option<DeliveryPlan>) {
        let known = &mut self.delivery.plan;
        known.version = known.version.saturating_add(1);
        known.plan = plan.map(Arc::new);
        self.delivery.plan_changed = true;
    }

    /// A slot changes hands. One that is forgotten by now is nobody's.
    pub(in crate::domain::vendor) fn move_slot(&mut self, id: SlotId, ends_at: Option<Timestamp>, moves: Moves) {
        let known = self.delivery.booked.get_mut(&id);
        let booked = match (known, ends_at) {
            (Some(booked), _) => booked,
            (None, Some(ends_at)) if moves == Moves::Held => {
                self.delivery.booked.entry(id).or_insert(Booked { ends_at, held: 0, sold: 0 })
            }
            (None, _) => return,
        };
        let ends_at = booked.ends_at;
        match moves {
            Moves::Held => booked.held = booked.held.saturating_add(1),
            Moves::Released => booked.held = booked.held.saturating_sub(1),
            Moves::GivenBack => booked.sold = booked.sold.saturating_sub(1),
            Moves::Sold => {
                booked.held = booked.held.saturating_sub(1);
                booked.sold = booked.sold.saturating_add(1);
            }
        }
        self.delivery.changed.insert(id);
        self.delivery.note_end(ends_at);
    }

    /// Forgets slots that ended some time ago, but for those that an order holds still.
    pub(in crate::domain::vendor) fn forget_slots(&mut self, at: Timestamp) {
        if self.delivery.forget_at.is_none_or(|due| at < due) {
            return;
        }
        let is_over = |booked: &Booked| booked.held == 0 && booked.ends_at.plus_millis(limits::SLOT_KEPT_MS) <= at;
        let over: Vec<SlotId> =
            self.delivery.booked.iter().filter(|(_, booked)| is_over(booked)).map(|(id, _)| *id).collect();
        for id in over {
            self.delivery.booked.remove(&id);
            self.delivery.changed.insert(id);
        }
        // What is held still is looked at when its hold ends.
        let is_over = |ends_at: &Timestamp| ends_at.plus_millis(limits::SLOT_KEPT_MS) <= at;
        let ends: Vec<Timestamp> = self.delivery.booked.values().map(|booked| booked.ends_at).collect();
        self.delivery.forget_at = None;
        ends.into_iter().filter(|ends_at| !is_over(ends_at)).for_each(|ends_at| self.delivery.note_end(ends_at));
    }

    /// The slots that can be ordered for at this moment.
    pub(in crate::domain::vendor) fn slot_views(&self, now: Timestamp) -> Vec<SlotView> {
        let slot = |(slot, cut_off_at, capacity): (Slot, Timestamp, i64)| {
            let left = capacity.saturating_sub(self.taken_of(slot.id)).max(0);
            SlotView { slot, cut_off_at, left }
        };
        let plan = self.delivery.plan.plan.as_ref();
        plan.map(|plan| plan.offered(now).into_iter().map(slot).collect()).unwrap_or_default()
    }

    /// How many orders hold or have each slot that it remembers.
    pub fn slots_had(&self) -> impl Iterator<Item = (SlotId, i64)> + '_ {
        self.delivery.booked.iter().map(|(id, booked)| (*id, booked.held.saturating_add(booked.sold)))
    }

    /// What does not add up in what is had of its slots.
    pub(in crate::domain::vendor) fn breach_of_slots(&self) -> Option<Breach> {
        let mut held: BTreeMap<SlotId, i64> = BTreeMap::new();
        for slot in self.holds.all_open().filter_map(|(_, hold)| hold.what.slot.as_ref()) {
            *held.entry(slot.id).or_default() += 1;
        }
        let wrong = self.delivery.booked.iter().find_map(|(id, booked)| {
            let in_holds = held.remove(id).unwrap_or(0);
            let adds_up = booked.sold >= 0 && booked.held == in_holds;
            (!adds_up).then(|| format!("{id}: {} held, {} sold, holds of {in_holds}", booked.held, booked.sold))
        });
        let unknown = || held.first_key_value().map(|(id, holds)| format!("{id}: {holds} holds, and nothing counted"));
        let detail = wrong.or_else(unknown)?;
        Some(Breach::new("slots_add_up", self.id.entity(), detail))
    }

    /// What an order that has ended, or is paid, held.
    pub(in crate::domain::vendor) fn end_slot(&mut self, slot: Option<&Slot>, moves: Moves) {
        if let Some(slot) = slot {
            self.move_slot(slot.id, None, moves);
        }
    }
}
