//! The node's one timer: who wants to be looked at when.
//!
//! Most of what is asked for is never needed (an effect is answered long before it would be sent again), so an entry costs a few
//! bytes in a coarse slot and is never taken out early. When its time comes, an actor that waits for nothing any more is left alone.

use crate::domain::ids::EntityRef;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The width of a slot.
const SLOT: Duration = Duration::from_millis(25);

/// What an actor and the timer both know of when it wakes next. The actor says that it waits before it looks whether an entry is there; the timer
/// takes the entry before it asks whether the actor waits: in one order for all threads, so one of them always sees the other.
#[derive(Default)]
pub struct ActorTimer {
    /// The slot of the earliest entry there is; 0 for none.
    slot: AtomicU64,
    /// Whether the actor waits for something.
    waits: AtomicBool,
}

impl ActorTimer {
    /// The actor waits for nothing.
    pub(super) fn unwanted(&self) {
        self.waits.store(false, SeqCst);
    }

    /// An entry in this slot has come up: whether the actor is to be woken.
    pub(super) fn is_due(&self, slot: u64) -> bool {
        // An earlier entry may have come up before, or be there still: that one is the actor's.
        let _ = self.slot.compare_exchange(slot, 0, SeqCst, SeqCst);
        self.waits.load(SeqCst)
    }
}

pub(super) struct Timers {
    start: Instant,
    slots: Mutex<BTreeMap<u64, Vec<EntityRef>>>,
    earlier: Notify,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), slots: Mutex::new(BTreeMap::new()), earlier: Notify::new() }
    }

    /// Wakes `entity` at `at`, or up to a slot later, unless an earlier one is coming.
    pub(super) fn register(&self, entity: EntityRef, timer: &ActorTimer, at: Instant) {
        let slot = (at.saturating_duration_since(self.start).as_millis() / SLOT.as_millis()) as u64 + 1;
        timer.waits.store(true, SeqCst);
        let earliest = timer.slot.load(SeqCst);
        if earliest != 0 && earliest <= slot {
            return;
        }
        timer.slot.store(slot, SeqCst);
        let mut slots = self.slots.lock();
        let first = slots.first_key_value().is_none_or(|(first, _)| slot < *first);
        slots.entry(slot).or_default().push(entity);
        drop(slots);
        if first {
            self.earlier.notify_one();
        }
    }

    /// Waits until somebody may have to be looked at, and says who, with the slot that came up: see [`ActorTimer::is_due`].
    pub(super) async fn due(&self) -> (u64, Vec<EntityRef>) {
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
                            return (slot, self.slots.lock().remove(&slot).unwrap_or_default());
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

    fn entity(number: u128) -> EntityRef {
        EntityRef { kind: Kind::Cart, uuid: Uuid::from_u128(number) }
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_wish_overtakes_a_later_one() {
        let timers = Timers::new();
        let start = Instant::now();
        timers.register(entity(1), &ActorTimer::default(), start + Duration::from_secs(10));
        timers.register(entity(2), &ActorTimer::default(), start + Duration::from_secs(1));
        assert_eq!(timers.due().await.1, [entity(2)]);
        assert!(start.elapsed() >= Duration::from_secs(1) && start.elapsed() < Duration::from_secs(2));
        assert_eq!(timers.due().await.1, [entity(1)]);
        assert!(start.elapsed() >= Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn an_actor_has_one_entry_until_it_comes_up_and_is_woken_only_while_it_waits() {
        let (timers, timer, start) = (Timers::new(), ActorTimer::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        timers.register(entity(1), &timer, at(2));
        timers.register(entity(1), &timer, at(3));
        assert_eq!(timers.slots.lock().len(), 1, "the earlier one serves for both");
        timers.register(entity(1), &timer, at(1));
        let (first, _) = timers.due().await;
        assert!(timer.is_due(first), "the earlier wish");
        timers.register(entity(1), &timer, at(4));
        timer.unwanted();
        let (second, _) = timers.due().await;
        assert!(first < second && !timer.is_due(second), "nothing is waited for any more");
        let (third, _) = timers.due().await;
        assert!(second < third && !timer.is_due(third));
        timers.register(entity(1), &timer, at(5));
        let (fourth, _) = timers.due().await;
        assert!(timer.is_due(fourth), "an entry that was passed over does not stand for a new wish");
    }
}
