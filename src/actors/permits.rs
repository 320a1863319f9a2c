//! What the work under way has of the node's budget at each entity: the rush on one leaves room for the others.

use crate::domain::ids::EntityRef;
use crate::ports::quotas::Reserved;
use dashmap::DashMap;
use foldhash::fast::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Work under way, by the entities that it needs.
#[derive(Default)]
pub struct Permits {
    under_way: DashMap<EntityRef, usize, RandomState>,
    /// Records that this work may still need for the entities after its first. What the first needs was set aside before anybody was
    /// asked; how many there are is known only in the turn of who was asked.
    further_records: AtomicUsize,
}

impl Permits {
    /// What is set aside of the budget for records in flight.
    pub(super) fn further_records(&self) -> usize {
        self.further_records.load(Ordering::Relaxed)
    }

    /// How much of it there is at this entity.
    pub(super) fn under_way(&self, entity: EntityRef) -> usize {
        self.under_way.get(&entity).map_or(0, |count| *count)
    }

    /// Counts one more work at each of `entities`, unless one of them has `limit` already, and sets so many records aside for each but
    /// the first.
    pub(super) fn take(
        self: &Arc<Self>,
        entities: impl IntoIterator<Item = EntityRef>,
        limit: usize,
        records_each: usize,
    ) -> Option<Permit> {
        let mut permit = Permit { permits: self.clone(), entities: Vec::new(), further_records: 0, _quotas: None };
        for entity in entities {
            let mut count = self.under_way.entry(entity).or_insert(0);
            if *count >= limit {
                // What was counted before is given back.
                return None;
            }
            *count += 1;
            permit.entities.push(entity);
        }
        permit.further_records = permit.entities.len().saturating_sub(1) * records_each;
        self.further_records.fetch_add(permit.further_records, Ordering::Relaxed);
        Some(permit)
    }
}

/// The part of one work, given back when this is dropped.
pub struct Permit {
    permits: Arc<Permits>,
    entities: Vec<EntityRef>,
    further_records: usize,
    /// What it has of its buyer's quotas.
    _quotas: Option<Reserved>,
}

impl Permit {
    /// The same, with what the work has of its buyer's quotas.
    pub(crate) fn with(mut self, quotas: Option<Reserved>) -> Self {
        self._quotas = quotas;
        self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.further_records.fetch_sub(self.further_records, Ordering::Relaxed);
        for entity in &self.entities {
            self.permits.under_way.remove_if_mut(entity, |_, count| {
                *count -= 1;
                *count == 0
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Kind;
    use uuid::Uuid;

    const EACH: usize = 3;

    #[test]
    fn an_entity_has_its_permits_and_no_more_and_all_comes_back() {
        let permits = Arc::new(Permits::default());
        let entity = |number| EntityRef { kind: Kind::Vendor, uuid: Uuid::from_u128(number) };
        let first = permits.take([entity(1)], 2, EACH);
        let second = permits.take([entity(1), entity(2)], 2, EACH);
        assert!(first.is_some() && second.is_some());
        assert_eq!(permits.further_records(), EACH);
        assert!(
            permits.take([entity(2), entity(3), entity(1)], 2, EACH).is_none(),
            "one of them has as many as it may"
        );
        assert_eq!(permits.further_records(), EACH);
        assert_eq!(permits.under_way.get(&entity(2)).as_deref(), Some(&1), "refused work leaves nothing behind");
        drop(first);
        assert!(permits.take([entity(1)], 2, EACH).is_some());
        drop(second);
        assert!(permits.under_way.is_empty());
        assert_eq!(permits.further_records(), 0);
    }
}
