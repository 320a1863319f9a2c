//! The checkpointer: writes snapshots and read tables behind the log writer's back, off the path of every reply.
//!
//! At a barrier of the log writer it takes the set of changed entities, asks each for its changed parts, and writes them in slices, each a transaction of its own; the last one sets the
//! checkpoint to the barrier. A snapshot may so be newer than the checkpoint: replay passes over what a snapshot has. Many changes of one
//! entity become one write. While the log writer is busy the checkpointer gives way, as long as the lag is small.

use crate::domain::ids::{EntityRef, Kind};
use crate::limits;
use crate::persistence::log_writer::{Barrier, Fatal, OnFatal, QueuedLogWriter};
use crate::persistence::metrics::CheckpointMetrics;
use crate::ports::{
    CheckpointWrite, Checkpoints, Clock, EntityDelta, LogWriter, Partition, RejectedRows, StateSource, StoreError,
};
use foldhash::{HashMap, HashSet};
use futures::future::join_all;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

/// How a checkpointer goes about its work.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointSettings {
    /// How long it waits between two checkpoints.
    pub interval: Duration,
    /// Entities in one transaction while it gives way. Each slice takes its actors' thread and a processor of the database for a while, which those
    /// who wait for an answer feel.
    pub slice: usize,
    /// Entities in one transaction when there is no time to lose: a transaction of more costs less for each.
    pub hurried_slice: usize,
    /// Below this many records since the checkpoint it gives way to a busy log writer nine tenths of the time: a burst is over before it counts.
    pub unhurried_below: u64,
    /// From this many on it does not give way any more; in between, half of the time. Far enough below the limit that a checkpoint which is under
    /// way by then, and the next, which holds what came meanwhile, end before requests are shed for it.
    pub hurried_from: u64,
    /// Entities whose rows are remade in one transaction.
    pub remake_slice: usize,
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(500),
            slice: 100,
            hurried_slice: 500,
            unhurried_below: limits::RECORDS_SINCE_CHECKPOINT / 4,
            hurried_from: limits::RECORDS_SINCE_CHECKPOINT / 2,
            remake_slice: limits::REMADE_AT_ONCE,
        }
    }
}

impl CheckpointSettings {
    /// Gives way for most of the time as long as the lag is small, for half of it when it has grown, and not at all when requests would soon
    /// be shed for it.
    fn pace(&self, lag: u64) -> Pace {
        match lag {
            _ if lag < self.unhurried_below => Pace { slice: self.slice, rests: 9 },
            _ if lag < self.hurried_from => Pace { slice: self.hurried_slice, rests: 1 },
            _ => Pace { slice: self.hurried_slice, rests: 0 },
        }
    }
}

/// How a slice is gone about.
#[derive(Debug, PartialEq, Eq)]
struct Pace {
    /// Entities in its transaction.
    slice: usize,
    /// How many times as long as it took the checkpointer then gives way to a busy log writer.
    rests: u32,
}

/// The longest that it gives way between two slices.
const LONGEST_REST: Duration = Duration::from_secs(2);

/// Entities whose rows were refused, and that gave newer ones since, which were taken: all their rows can be remade of their snapshots now.
/// Each is there once, however often it is told: so they are no more than entities that are marked.
#[derive(Default)]
pub struct ToRemake {
    entities: parking_lot::Mutex<BTreeSet<EntityRef>>,
    news: Notify,
}

impl ToRemake {
    /// Adds these.
    pub fn add(&self, entities: impl IntoIterator<Item = EntityRef>) {
        let mut all = self.entities.lock();
        let before = all.len();
        all.extend(entities);
        if all.len() > before {
            self.news.notify_one();
        }
    }

    /// Takes the first out, and of its kind those after it, so many at most as `most` says for the kind.
    pub fn take(&self, most: impl Fn(Kind) -> usize) -> Vec<EntityRef> {
        let mut all = self.entities.lock();
        let Some(first) = all.first().copied() else { return Vec::new() };
        let taken = all.iter().take(most(first.kind)).take_while(|entity| entity.kind == first.kind).count();
        let next = all.iter().nth(taken).copied();
        let rest = next.map_or_else(BTreeSet::new, |next| all.split_off(&next));
        std::mem::replace(&mut *all, rest).into_iter().collect()
    }

    /// Until there are some.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

/// The checkpointer of one node.
pub struct Checkpointer {
    log_writer: Arc<QueuedLogWriter>,
    store: Arc<dyn Checkpoints>,
    source: Arc<dyn StateSource>,
    clock: Arc<dyn Clock>,
    owned: Vec<Partition>,
    settings: CheckpointSettings,
    on_fatal: OnFatal,
    metrics: CheckpointMetrics,
    as_of: Arc<AtomicI64>,
    to_remake: Arc<ToRemake>,
    stop: Notify,
    carried: Mutex<Carried>,
}

/// What one checkpoint leaves to the next.
#[derive(Default)]
struct Carried {
    /// Entities that could not be captured: their partition's checkpoint stays where it is, so that replay meets them again.
    stuck: HashSet<EntityRef>,
    /// Entities captured with records that came after the barrier. The next barrier names these records, but all is written by then,
    /// and the entity may have left memory.
    ahead: HashMap<EntityRef, u64>,
}

impl Checkpointer {
    /// A checkpointer for the partitions this node owns. It tells `as_of` the moment whose state the read tables show, in
    /// milliseconds since the Unix epoch.
    #[expect(clippy::too_many_arguments, reason = "the one call, in the composition root, names each")]
    pub fn new(
        log_writer: Arc<QueuedLogWriter>,
        store: Arc<dyn Checkpoints>,
        source: Arc<dyn StateSource>,
        clock: Arc<dyn Clock>,
        owned: Vec<Partition>,
        settings: CheckpointSettings,
        on_fatal: OnFatal,
        as_of: Arc<AtomicI64>,
    ) -> Arc<Self> {
        let (stop, carried, metrics) = (Notify::new(), Mutex::default(), CheckpointMetrics::new());
        let to_remake = Arc::default();
        Arc::new(Self {
            log_writer,
            store,
            source,
            clock,
            owned,
            settings,
            on_fatal,
            metrics,
            as_of,
            to_remake,
            stop,
            carried,
        })
    }

    /// What it leaves to whoever remakes rows.
    pub fn to_remake(&self) -> Arc<ToRemake> {
        self.to_remake.clone()
    }

    /// Writes checkpoints until [`Checkpointer::stop`].
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::select! {
                // In this order, so that a simulated run can be repeated.
                biased;
                () = self.stop.notified() => return,
                () = tokio::time::sleep(self.settings.interval) => {}
            }
            if let Err(error) = self.checkpoint().await {
                tracing::error!(%error, "the checkpointer stops");
                (self.on_fatal)(match error {
                    StoreError::Fenced => Fatal::Fenced,
                    _ => Fatal::Broken,
                });
                return;
            }
        }
    }

    /// Ends [`Checkpointer::run`] after the checkpoint it is at.
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    /// Writes one checkpoint: everything queued before this call is in snapshots and read tables when it returns.
    ///
    /// # Errors
    /// Fenced, or Invalid when the store cannot be what it should be. While the store is unavailable it waits and tries again.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        let mut carried = self.carried.lock().await;
        let Carried { stuck, ahead } = &mut *carried;
        let (started, now) = (Instant::now(), self.clock.now());
        self.set_wakes().await?;
        let Some(barrier) = self.log_writer.barrier().await else {
            return Ok(());
        };
        let written = std::mem::take(ahead);
        let changed = barrier.changed.iter().filter(|(entity, version)| written.get(entity) != Some(version));
        let mut entities: Vec<EntityRef> = changed.map(|(entity, _)| *entity).collect();
        // What was stuck is asked again, too.
        entities.extend(stuck.drain().filter(|entity| !barrier.changed.contains_key(entity)));
        if barrier.changed.is_empty() && entities.is_empty() {
            self.as_of.store(now.as_millis(), Ordering::Relaxed);
            return Ok(());
        }
        // Which entity comes first must not depend on a hash map's whim: a simulated run can be repeated.
        entities.sort_unstable();
        self.metrics.dirty.set(entities.len() as f64);
        let mut rest = entities.as_slice();
        while !rest.is_empty() {
            let (slice, after) = rest.split_at(self.pace().slice.min(rest.len()));
            rest = after;
            let slice_started = Instant::now();
            let mut delta = self.delta(slice, stuck).await;
            self.write(&mut delta, &[]).await?;
            for delta in &delta {
                if barrier.changed.get(&delta.entity).is_some_and(|version| delta.version > *version) {
                    ahead.insert(delta.entity, delta.version);
                }
                self.source.checkpointed(delta.entity, delta.version);
            }
            self.metrics.entities.increment(delta.len() as u64);
            self.give_way(slice_started.elapsed()).await;
        }
        let advance = self.advance(&barrier, stuck);
        self.write(&mut [], &advance).await?;
        // A quarantined entity is stuck until someone has looked at it. What all others recorded is held all the same: counted as lag, it
        // would have every write of the node refused in the end.
        self.log_writer.checkpointed(barrier.written);
        self.as_of.store(now.as_millis(), Ordering::Relaxed);
        self.metrics.dirty.set(stuck.len() as f64);
        self.metrics.seconds.record(started.elapsed());
        Ok(())
    }

    async fn delta(&self, slice: &[EntityRef], stuck: &mut HashSet<EntityRef>) -> Vec<EntityDelta> {
        // All at once: each is one turn of its actor, and all wait for the same commit.
        let mut deltas = Vec::with_capacity(slice.len());
        for entity in slice {
            deltas.push(self.source.delta(*entity));
        }
        let delta = join_all(deltas).await;
        stuck.extend(slice.iter().zip(&delta).filter(|(_, delta)| delta.is_none()).map(|(entity, _)| *entity));
        delta.into_iter().flatten().collect()
    }

    /// Partitions with an entity that could not be captured stay where they are.
    fn advance(&self, barrier: &Barrier, stuck: &HashSet<EntityRef>) -> Vec<(u16, u64)> {
        let partitions = self.owned.len() as u16;
        let free = |(id, _): &(u16, u64)| !stuck.iter().any(|entity| entity.partition(partitions) == *id);
        barrier.seqs.iter().copied().filter(free).collect()
    }

    /// Puts right when those are to be woken that were woken for nothing.
    async fn set_wakes(&self) -> Result<(), StoreError> {
        let wakes = self.source.woken_for_nothing();
        if wakes.is_empty() {
            return Ok(());
        }
        match self.store.set_wakes(&self.owned, &wakes).await {
            // They are woken again, and then it is told again.
            Err(StoreError::Unavailable(error)) => {
                tracing::warn!(%error, wakes = wakes.len(), "when entities are to be woken could not be put right");
                Ok(())
            }
            set => set,
        }
    }

    async fn write(&self, entities: &mut [EntityDelta], advance: &[(u16, u64)]) -> Result<(), StoreError> {
        let mut wait = Duration::from_millis(50);
        loop {
            let write = CheckpointWrite { owned: &self.owned, entities: &*entities, advance, remake: None };
            match self.store.write(write).await {
                Ok(written) => {
                    self.report(&written.refused);
                    self.to_remake.add(written.to_remake);
                    return Ok(());
                }
                Err(StoreError::Unavailable(error)) => {
                    tracing::warn!(%error, "a checkpoint could not be written: it is tried again");
                    // It may have been, all or some of it.
                    entities.iter_mut().for_each(|delta| delta.fresh = false);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(2));
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn report(&self, refused: &[RejectedRows]) {
        self.metrics.refused.increment(refused.len() as u64);
        tell_of_rejected(refused);
    }

    /// How to go about the next slice.
    fn pace(&self) -> Pace {
        self.settings.pace(self.log_writer.pressure().records_since_checkpoint)
    }

    /// Leaves the store, and the processors, to the log writer while it is busy.
    async fn give_way(&self, slice_took: Duration) {
        if self.log_writer.pressure().records_in_flight > 0 {
            tokio::time::sleep((slice_took * self.pace().rests).min(LONGEST_REST)).await;
        }
    }
}

/// Tells the log of entities whose rows a constraint refused.
pub fn tell_of_rejected(refused: &[RejectedRows]) {
    for RejectedRows { entity, reason } in refused {
        tracing::error!(%entity, reason, "a constraint of the read tables refused an entity: a breach of an invariant");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_it_lags_the_larger_its_slices_and_the_shorter_its_rests() {
        let settings = CheckpointSettings::default();
        let (unhurried, hurried) = (settings.unhurried_below, settings.hurried_from);
        assert!(0 < unhurried && unhurried < hurried && hurried < limits::RECORDS_SINCE_CHECKPOINT);
        assert!(settings.slice < settings.hurried_slice);
        for (lag, slice, rests) in [
            (0, settings.slice, 9),
            (unhurried - 1, settings.slice, 9),
            (unhurried, settings.hurried_slice, 1),
            (hurried - 1, settings.hurried_slice, 1),
            (hurried, settings.hurried_slice, 0),
            (u64::MAX, settings.hurried_slice, 0),
        ] {
            assert_eq!(settings.pace(lag), Pace { slice, rests }, "at {lag}");
        }
    }
}
