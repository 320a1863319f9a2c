//! The remaker: makes rows of the read tables anew from snapshots while everything goes on.
//!
//! It has two reasons to. The rows of a kind may have another shape in this version than in the one that wrote them ([`Keeps::SHAPE`]); and where
//! the rows of an entity were refused, some may still be missing after newer ones were taken. Rows are written through [`Checkpoints::write`], which
//! passes over what is older than what is there: so it does not matter whether a checkpoint or a remake comes first. How far a kind has come
//! is written in the transaction of the rows, so that whoever comes next goes on from there.

use super::AppError;
use crate::actors::all_rows;
use crate::domain::entity::Keeps;
use crate::domain::ids::{EntityRef, Kind};
use crate::domain::kinds::for_kind;
use crate::domain::rows::Shapes;
use crate::persistence::checkpointer::{ToRemake, tell_of_rejected};
use crate::persistence::recovery::load_readable;
use crate::ports::{
    CheckpointWrite, Checkpoints, EntityDelta, Partition, RejectedRows, Remake, Remaking, Snapshot, Snapshots, Store,
    StoreError,
};
use crate::telemetry::names;
use metrics::{Counter, Gauge, counter, gauge};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

/// How many times as long as a slice took the remaker then rests: it takes a tenth of a processor at most.
const RESTS: u32 = 9;

/// The shortest and the longest wait after the store did not answer.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));

/// Makes all series before anything has happened.
pub(super) fn register() {
    for kind in kinds() {
        remade(kind).increment(0);
    }
    incomplete().set(0.0);
}

fn remade(kind: Kind) -> Counter {
    counter!(names::REMADE_ENTITIES, "kind" => kind.name())
}

fn incomplete() -> Gauge {
    gauge!(names::REMADE_KINDS_INCOMPLETE)
}

/// The kinds that have rows.
fn kinds() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(|kind| for_kind!(*kind, E => E::SHAPE) > 0)
}

/// Remakes the rows of these entities, of which newer ones were taken than those that were refused.
///
/// # Errors
/// What the store says.
pub(super) async fn remake_marked(
    store: &Store,
    owned: &[Partition],
    shapes: &Shapes,
    entities: &[EntityRef],
) -> Result<(), StoreError> {
    let work = Work::new(store, owned, shapes, 1);
    for entity in entities {
        work.remake_those(&[*entity]).await?;
    }
    Ok(())
}

/// What it works with.
struct Work {
    snapshots: Arc<dyn Snapshots>,
    checkpoints: Arc<dyn Checkpoints>,
    owned: Vec<Partition>,
    shapes: Shapes,
    slice: usize,
}

impl Work {
    fn new(store: &Store, owned: &[Partition], shapes: &Shapes, slice: usize) -> Self {
        let (snapshots, checkpoints) = (store.snapshots.clone(), store.checkpoints.clone());
        Self { snapshots, checkpoints, owned: owned.to_vec(), shapes: *shapes, slice }
    }

    /// How many entities of this kind are remade in one go.
    fn slice_of(&self, kind: Kind) -> usize {
        if for_kind!(kind, E => E::IS_LARGE) { 1 } else { self.slice }
    }

    /// How the rows of a kind stand, as seen from this version's shape of it; `None` when nothing is to be done.
    async fn outstanding(&self, kind: Kind) -> Result<Option<Remaking>, StoreError> {
        let aim = self.shapes.of(kind);
        let found = self.checkpoints.remaking().await?.into_iter().find(|remaking| remaking.kind == kind);
        match found.unwrap_or(Remaking { kind, complete: 0, aim: 0, reached: None }) {
            Remaking { complete, aim: theirs, .. } if complete.max(theirs) > aim => Err(StoreError::Invalid(format!(
                "the rows of {kind}s have shape {}, which this haat does not know: they were made by a newer one",
                complete.max(theirs)
            ))),
            Remaking { complete, .. } if complete == aim => Ok(None),
            remaking if remaking.aim == aim => Ok(Some(remaking)),
            remaking => Ok(Some(Remaking { aim, reached: None, ..remaking })),
        }
    }

    /// Remakes the next entities of a kind, and writes down how far it has come. Gives how it stands now.
    async fn go_on(&self, remaking: Remaking) -> Result<Remaking, StoreError> {
        let Remaking { kind, aim, reached, .. } = remaking;
        let snapshots = self.snapshots.scan_kind(kind, reached, self.slice_of(kind) as u32).await?;
        let progress = match snapshots.last() {
            Some(last) => Remaking { reached: Some(last.entity.uuid), ..remaking },
            None => Remaking::done(kind, aim),
        };
        self.write(snapshots, Some(progress)).await?;
        Ok(progress)
    }

    /// Remakes the rows of all marked entities of a kind, once.
    async fn remake_all_marked(&self, kind: Kind) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let marked = self.checkpoints.marked(kind, after, self.slice_of(kind) as u32).await?;
            let Some(last) = marked.last() else { return Ok(()) };
            after = Some(last.uuid);
            self.remake_those(&marked).await?;
        }
    }

    /// Remakes the rows of these entities, as far as they have snapshots.
    async fn remake_those(&self, entities: &[EntityRef]) -> Result<(), StoreError> {
        // Whose snapshot cannot be read stays marked.
        let snapshots = load_readable(&*self.snapshots, entities).await?;
        self.write(snapshots, None).await
    }

    async fn write(&self, snapshots: Vec<Snapshot>, progress: Option<Remaking>) -> Result<(), StoreError> {
        let (mut entities, mut unreadable) = (Vec::with_capacity(snapshots.len()), Vec::new());
        for snapshot in snapshots {
            let (entity, version) = (snapshot.entity, snapshot.version);
            match all_rows(entity, snapshot) {
                Ok((version, rows)) => {
                    entities.push(EntityDelta::remade(entity, version, self.shapes.of(entity.kind), rows));
                }
                Err(error) => {
                    tracing::error!(%entity, %error, "the rows of an entity cannot be remade of its snapshot");
                    unreadable.push((version, RejectedRows { entity, reason: error.to_string() }));
                }
            }
        }
        let remake = Some(Remake { unreadable: &unreadable, progress });
        let write = CheckpointWrite { owned: &self.owned, entities: &entities, advance: &[], remake };
        let written = self.checkpoints.write(write).await?;
        counter!(names::CHECKPOINT_REFUSED).increment(written.refused.len() as u64);
        tell_of_rejected(&written.refused);
        for delta in &entities {
            remade(delta.entity.kind).increment(1);
        }
        Ok(())
    }
}

/// The remaker of one node, before it runs.
pub(super) struct Remaker {
    work: Work,
    /// How the rows of those kinds stand of which not all have this version's shape.
    rest: Vec<Remaking>,
}

impl Remaker {
    /// Looks what is to be done, and does what must be done before requests are taken: the catalogue cache begins with the rows of some kinds, and
    /// with how many orders have which status. What is marked is tried again, as whoever starts may know better.
    ///
    /// # Errors
    /// What the store says; Invalid when its rows were made by a newer version.
    pub(super) async fn start(
        store: &Store,
        owned: &[Partition],
        shapes: &Shapes,
        slice: usize,
    ) -> Result<Self, StoreError> {
        let work = Work::new(store, owned, shapes, slice);
        let mut rest = Vec::new();
        // Whatever is found wrong is found before the first row is written.
        for kind in kinds() {
            rest.extend(work.outstanding(kind).await?);
        }
        for kind in kinds() {
            work.remake_all_marked(kind).await?;
        }
        for remaking in &mut rest {
            let kind = remaking.kind;
            // A new store begins with lists that can be filtered by everything.
            let at_once =
                for_kind!(kind, E => E::ROWS_AT_START) || work.snapshots.scan_kind(kind, None, 1).await?.is_empty();
            if at_once {
                let begun = Instant::now();
                while is_under_way(remaking) {
                    *remaking = work.go_on(*remaking).await?;
                }
                let took_ms = begun.elapsed().as_millis() as u64;
                tracing::info!(kind = kind.name(), took_ms, "rows were remade before requests are taken");
            }
        }
        rest.retain(is_under_way);
        Ok(Self { work, rest })
    }

    /// Does the rest while everything goes on.
    pub(super) fn run(self, to_remake: Arc<ToRemake>) -> RunningRemaker {
        let (stop, stopping) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let running = self.work_through(to_remake, stop.clone(), stopping.clone());
        RunningRemaker { stop, stopping, task: tokio::spawn(running) }
    }

    async fn work_through(mut self, to_remake: Arc<ToRemake>, stop: Arc<Notify>, stopping: Arc<AtomicBool>) {
        let mut wait = RETRY.0;
        while !stopping.load(Ordering::Relaxed) {
            self.show();
            let begun = Instant::now();
            let rest = match self.step(&to_remake).await {
                Ok(true) => {
                    wait = RETRY.0;
                    begun.elapsed() * RESTS
                }
                Ok(false) => {
                    tokio::select! {
                        biased;
                        () = stop.notified() => return,
                        () = to_remake.news() => continue,
                    }
                }
                Err(StoreError::Unavailable(error)) => {
                    tracing::warn!(%error, "rows could not be remade: it is tried again");
                    wait = (wait * 2).min(RETRY.1);
                    wait
                }
                // Whoever appends finds it, too, and ends the node.
                Err(StoreError::Fenced) => return,
                Err(error) => {
                    tracing::error!(%error, "rows cannot be remade: it is tried again at the next start");
                    return;
                }
            };
            tokio::select! {
                biased;
                () = stop.notified() => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Does the next little; false when there is nothing to do.
    async fn step(&mut self, to_remake: &ToRemake) -> Result<bool, StoreError> {
        let told = to_remake.take(|kind| self.work.slice_of(kind));
        if !told.is_empty() {
            return match self.work.remake_those(&told).await {
                Err(StoreError::Invalid(error)) => {
                    tracing::error!(%error, "marked entities cannot be remade: it is tried again at the next start");
                    Ok(true)
                }
                Err(error) => {
                    to_remake.add(told);
                    Err(error)
                }
                Ok(()) => Ok(true),
            };
        }
        let Some(remaking) = self.rest.first_mut() else { return Ok(false) };
        if remaking.reached.is_none() {
            tracing::info!(kind = remaking.kind.name(), shape = remaking.aim, "rows are remade of snapshots");
        }
        *remaking = self.work.go_on(*remaking).await?;
        if !is_under_way(remaking) {
            tracing::info!(kind = remaking.kind.name(), shape = remaking.aim, "all rows are remade");
            self.rest.remove(0);
        }
        Ok(true)
    }

    fn show(&self) {
        incomplete().set(self.rest.len() as f64);
    }
}

fn is_under_way(remaking: &Remaking) -> bool {
    remaking.complete < remaking.aim
}

/// A remaker at work.
pub(super) struct RunningRemaker {
    stop: Arc<Notify>,
    stopping: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl RunningRemaker {
    /// What ends it at once.
    pub(super) fn task(&self) -> AbortHandle {
        self.task.abort_handle()
    }

    /// Ends it after the slice it is at. The next start goes on from there.
    pub(super) async fn stop(self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.stop.notify_one();
        // What went wrong in it was told.
        let _ = self.task.await;
    }
}

/// Looks whether this version knows the rows of a store, before it takes the store from whoever has it.
///
/// # Errors
/// What the store says; Invalid when they were made by a newer version.
pub(super) async fn knows_rows(store: &Store, shapes: &Shapes) -> Result<(), AppError> {
    let work = Work::new(store, &[], shapes, 1);
    for kind in kinds() {
        work.outstanding(kind).await?;
    }
    Ok(())
}
