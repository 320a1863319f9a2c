//! Who left memory with something to wait for comes back when it is due: in slices, each read at once, so that a clean
//! restart in a rush does not stand before everybody else's reads.

use crate::actors::envelope::{Envelope, Given, Start};
use crate::actors::node::Node;
use crate::actors::registry::Hosted;
use crate::domain::entity::Keeps as _;
use crate::domain::ids::{EntityId, EntityRef};
use crate::domain::kinds::for_kind;
use crate::limits;
use crate::ports::{Due, History, Snapshot, StoreError};
use foldhash::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

/// How many that are due one statement names: their ids alone.
const AT_ONCE: u32 = 50_000;

/// What an actor takes over.
pub(super) struct Read {
    pub(super) history: Result<History, StoreError>,
    /// Let go when it has been taken over.
    pub(super) slice: Option<mpsc::Sender<Infallible>>,
}

impl From<Result<History, StoreError>> for Read {
    fn from(history: Result<History, StoreError>) -> Self {
        Self { history, slice: None }
    }
}

/// How long so many take at the rate at which entities are woken.
fn turn_of(entities: usize) -> Duration {
    Duration::from_secs(1) * u32::try_from(entities).unwrap_or(u32::MAX) / limits::WAKES_PER_SECOND
}

impl Node {
    /// Wakes entities that are not in memory when their snapshot says so.
    pub(super) async fn run_wakes(self: Arc<Self>) {
        const EVERY: Duration = Duration::from_secs(2);
        let mut after = None;
        loop {
            after = self.wake_some(after, AT_ONCE).await;
            sleep(EVERY).await;
        }
    }

    /// Wakes the next `at_once` of those that are due; where to go on the next time. Those in memory are due in the
    /// store too, until a checkpoint says otherwise: were the same ones read each time, they could stand before all
    /// others.
    async fn wake_some(self: &Arc<Self>, after: Option<Due>, at_once: u32) -> Option<Due> {
        match self.snapshots.due(self.clock.now(), after, at_once).await {
            Ok(due) => {
                let asleep = due.iter().map(|(entity, _)| *entity).filter(|entity| !self.is_live(*entity));
                for slice in asleep.collect::<Vec<_>>().chunks(limits::WAKES_AT_ONCE) {
                    let begun = Instant::now();
                    self.wake_slice(slice).await;
                    sleep_until(begun + turn_of(slice.len())).await;
                }
                // After the last one it begins anew.
                due.last().copied().filter(|_| due.len() >= at_once as usize)
            }
            Err(StoreError::Unavailable(error)) => {
                tracing::debug!(%error, "the store did not say who is to be woken");
                after
            }
            Err(error) => {
                tracing::error!(%error, "who is to be woken cannot be read: whoever is due and not in memory waits until it is asked");
                after
            }
        }
    }

    /// Wakes these, and returns when all of them are in memory. Each stands in the registry before anything is read, so
    /// that whoever asks it meanwhile waits in its mailbox, and nobody else starts it.
    async fn wake_slice(self: &Arc<Self>, slice: &[EntityRef]) {
        let (part, mut all_in) = mpsc::channel::<Infallible>(1);
        let mut asked = Vec::with_capacity(slice.len());
        for entity in slice {
            let (send, history) = oneshot::channel();
            let given = Given { history, slice: part.clone() };
            for_kind!(entity.kind, E => self.wake_with::<E>(EntityId::from_uuid(entity.uuid), given));
            asked.push((*entity, send));
        }
        drop(part);
        // One that came into memory by itself meanwhile needs nothing. One that may be as large as a slice of others
        // reads for itself, when it has its turn.
        asked.retain(|(entity, send)| !for_kind!(entity.kind, E => E::IS_LARGE) && !send.is_closed());
        let entities: Vec<EntityRef> = asked.iter().map(|(entity, _)| *entity).collect();
        match self.read_many(&entities).await {
            Ok(snapshots) => {
                let mut snapshots: HashMap<EntityRef, Snapshot> =
                    snapshots.into_iter().map(|snapshot| (snapshot.entity, snapshot)).collect();
                for (entity, send) in asked {
                    let _ = send.send(History { snapshot: snapshots.remove(&entity), records: Vec::new() });
                }
            }
            // Each reads its own then, and the one that cannot be read is found.
            Err(error) => {
                tracing::error!(%error, "of those to be woken one cannot be read");
                drop(asked);
            }
        }
        let _ = all_in.recv().await;
    }

    fn wake_with<E: Hosted>(self: &Arc<Self>, id: E::Id, given: Given) {
        let start = |how| self.start::<E>(id, how);
        let _ = self.registry.deliver::<E>(id, Envelope::Wake, None, self.coarse_ms(), start, Start::Given(given));
    }

    async fn read_many(&self, entities: &[EntityRef]) -> Result<Vec<Snapshot>, StoreError> {
        if entities.is_empty() {
            return Ok(Vec::new());
        }
        let mut wait = Duration::from_millis(20);
        loop {
            match self.snapshots.load_many(entities).await {
                Err(StoreError::Unavailable(error)) => {
                    tracing::warn!(%error, entities = entities.len(), "those to be woken could not be read: it is tried again");
                    sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
                read => return read,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::testing::{Bench, at, until};
    use crate::domain::cart::{Cart, CartCommand};
    use crate::domain::entity::Principal;
    use std::sync::atomic::Ordering;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn due(bench: &Bench, numbers: std::ops::RangeInclusive<u128>) {
        *bench.world.due.lock() = numbers.map(|number| (bench.cart(number), at(1))).collect();
    }

    /// Entities that are due and in memory must not keep those behind them from being woken.
    #[tokio::test]
    async fn whoever_is_due_is_woken_however_many_stand_before() {
        let bench = Bench::new();
        let node = &bench.node;
        due(&bench, 1..=5);
        let mut after = None;
        for number in 1..=5 {
            after = node.wake_some(after, 1).await;
            assert!(bench.world.loads_of(bench.cart(number)).await > 0, "number {number}");
        }
        assert_eq!(node.wake_some(after, 1).await, None, "it begins anew");
    }

    /// A restart finds thousands that are due: they are read a slice at a time, and never one by one; whoever asks for
    /// another, or for one of them, is answered.
    #[tokio::test]
    async fn thousands_that_are_due_are_read_in_slices_beside_single_requests() {
        const SLICES: usize = 4;
        let bench = Bench::new();
        let world = bench.world.clone();
        let count = SLICES * limits::WAKES_AT_ONCE;
        due(&bench, 1..=count as u128);
        world.hold_slices.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        let woken = tokio::spawn({
            let node = bench.node.clone();
            async move { node.wake_some(None, AT_ONCE).await }
        });
        let get = |number| {
            let command = CartCommand::Get { by: Principal::SHOP };
            bench.ask::<Cart>(EntityId::from_uuid(bench.cart(number).uuid), command, None, PATIENCE)
        };
        for slice in 1..=SLICES {
            until("a slice to be read", || world.slices.lock().len() == slice).await;
            // One that nobody wakes is read by itself, though the slice hangs; one of the slice waits for it.
            assert!(get(1_000_000 + slice as u128).await.is_ok());
            let one_of_them = get((slice * limits::WAKES_AT_ONCE) as u128);
            world.go_on.add_permits(1);
            assert!(one_of_them.await.is_ok());
        }
        woken.await.expect("no panic");
        // However fast the store is, the shop has its threads to itself in between.
        assert!(begun.elapsed() >= turn_of(count), "{:?}", begun.elapsed());
        let slices = world.slices.lock().clone();
        assert_eq!(slices, [limits::WAKES_AT_ONCE; SLICES]);
        assert_eq!(world.reading.1.load(Ordering::SeqCst), 1, "one slice at a time");
        assert_eq!(world.single_loads.load(Ordering::SeqCst), SLICES, "none of them was read alone");
    }

    /// Timers that come due at one moment make no storm: never more loads in any second than are allowed, and nobody is left out.
    #[tokio::test(start_paused = true)]
    async fn timers_that_are_due_at_once_are_woken_at_their_rate_and_all_of_them() {
        const TIMERS: u128 = 2_000;
        let bench = Bench::new();
        let world = bench.world.clone();
        due(&bench, 1..=TIMERS);
        let woken = tokio::spawn(bench.node.clone().run_wakes());
        let begun = Instant::now();
        // No wait of the test's own: time goes on by the sleeps of those who wake, and by nothing else.
        while world.loads.lock().len() < TIMERS as usize {
            world.sliced.notified().await;
        }
        woken.abort();
        let sliced: Vec<(Instant, usize)> =
            world.sliced_at.lock().iter().copied().zip(world.slices.lock().iter().copied()).collect();
        for (first, _) in &sliced {
            let within = sliced.iter().filter(|(at, _)| (*first..*first + Duration::from_secs(1)).contains(at));
            let loads: usize = within.map(|(_, loads)| loads).sum();
            assert!(loads <= limits::WAKES_PER_SECOND as usize, "{loads} loads in a second from {:?}", *first - begun);
        }
        let mut loads = world.loads.lock().clone();
        loads.sort_unstable();
        loads.dedup();
        assert_eq!(loads.len(), TIMERS as usize, "each was woken");
        assert_eq!(world.single_loads.load(Ordering::SeqCst), 0);
        assert!(begun.elapsed() < turn_of(TIMERS as usize), "and no slower: {:?}", begun.elapsed());
    }

    /// A vendor may have a hundred thousand SKUs.
    #[tokio::test]
    async fn vendors_are_read_one_by_one() {
        let bench = Bench::new();
        let vendor = |number| EntityRef { kind: crate::domain::ids::Kind::Vendor, uuid: uuid::Uuid::from_u128(number) };
        *bench.world.due.lock() = (1..=40).map(|number| (vendor(number), at(1))).collect();
        bench.node.wake_some(None, AT_ONCE).await;
        assert_eq!(bench.world.single_loads.load(Ordering::SeqCst), 40, "all are in");
        assert!(bench.world.slices.lock().is_empty());
        assert!(bench.world.loading.1.load(Ordering::SeqCst) <= limits::LOADS_AT_ONCE);
    }

    /// One that cannot be read is quarantined; the others of its slice are woken.
    #[tokio::test]
    async fn of_a_slice_only_what_cannot_be_read_is_quarantined() {
        let bench = Bench::new();
        due(&bench, 1..=5);
        *bench.world.unreadable.lock() = vec![bench.cart(3)];
        let woken = tokio::time::timeout(PATIENCE, bench.node.wake_some(None, AT_ONCE)).await;
        assert_eq!(woken, Ok(None), "in time");
        assert_eq!(bench.world.single_loads.load(Ordering::SeqCst), 5, "each by itself");
        until("those that are nothing to leave again", || bench.node.registry.live() == 1).await;
        assert!(bench.node.is_live(bench.cart(3)), "the one that cannot be read stays, and answers nobody");
    }
}
