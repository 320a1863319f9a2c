//! The node's one timer: who wants to be looked at when.
//!
//! Most of what is asked for is never needed (an effect is answered long before it would be sent again), so an entry costs a few
//! bytes in a coarse slot and is never taken out early.

use crate::domain::ids::EntityRef;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The width of a slot.
const SLOT: Duration = Duration::from_millis(25);

pub(super) struct Timers {
    start: Instant,
    slots: Mutex<BTreeMap<u64, Vec<EntityRef>>>,
    earlier: Notify,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), slots: Mutex::new(BTreeMap::new()), earlier: Notify::new() }
    }

    /// Asks for a look at `entity` at `at`, or up to a slot later.
    pub(super) fn register(&self, entity: EntityRef, at: Instant) {
        let slot = (at.saturating_duration_since(self.start).as_millis() / SLOT.as_millis()) as u64 + 1;
        let mut slots = self.slots.lock();
        let first = slots.first_key_value().is_none_or(|(first, _)| slot < *first);
        slots.entry(slot).or_default().push(entity);
        drop(slots);
        if first {
            self.earlier.notify_one();
        }
    }

    /// Waits until somebody is to be looked at, and says who.
    pub(super) async fn due(&self) -> Vec<EntityRef> {
        loop {
            let first = self.slots.lock().first_key_value().map(|(slot, _)| *slot);
            match first {
                None => self.earlier.notified().await,
                Some(slot) => {
                    let at = self.start + SLOT * u32::try_from(slot).unwrap_or(u32::MAX);
                    tokio::select! {
                        // In this order, so that a simulated run can be repeated.
                        biased;
                        () = self.earlier.notified() => {}
                        () = tokio::time::sleep_until(at) => {
                            return self.slots.lock().remove(&slot).unwrap_or_default();
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Kind;
    use uuid::Uuid;

    #[tokio::test(start_paused = true)]
    async fn an_earlier_wish_overtakes_a_later_one() {
        let timers = Timers::new();
        let entity = |number| EntityRef { kind: Kind::Cart, uuid: Uuid::from_u128(number) };
        let start = Instant::now();
        timers.register(entity(1), start + Duration::from_secs(10));
        timers.register(entity(2), start + Duration::from_secs(1));
        assert_eq!(timers.due().await, [entity(2)]);
        assert!(start.elapsed() >= Duration::from_secs(1) && start.elapsed() < Duration::from_secs(2));
        assert_eq!(timers.due().await, [entity(1)]);
        assert!(start.elapsed() >= Duration::from_secs(10));
    }
}
