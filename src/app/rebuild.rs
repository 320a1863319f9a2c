//! `haat rebuild`: makes all snapshots and read tables anew from the journal, which alone is the truth.
//!
//! It takes the store over as a server would. The old tables go in one transaction that also sets the checkpoints back to the beginning: whatever ends it
//! half way, the next start (or the next rebuild) replays everything and loses nothing. Partition by partition the entities are then
//! made from their records, and written as a checkpoint writes them.

use super::remake::remake_marked;
use super::text::counted;
use super::{AppError, archive_of, clocks, need_whole_journal, open_archive};
use crate::actors::{Rebuilt, build_any};
use crate::adapters::clock::SystemClock;
use crate::domain::entity::Delta;
use crate::domain::rows::Shapes;
use crate::domain::text::printable;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::persistence::archived::with_archive;
use crate::persistence::recovery::{Replayed, for_each_frame, for_each_record, recover};
use crate::persistence::{self, Mode, StoreConfig};
use crate::ports::{CheckpointWrite, Clock, EntityDelta, Partition, Store, StoreError};
use std::fmt;
use std::time::Duration;

/// Entities in one write.
const SLICE: usize = 500;

/// What a rebuild did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuild {
    /// Records read.
    pub records: u64,
    /// Entities written.
    pub entities: u64,
    /// What was not written, and why, in words.
    pub failed: Vec<String>,
}

impl fmt::Display for Rebuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (records, states) = (counted(self.records, "record"), counted(self.entities, "state"));
        writeln!(f, "rebuilt {states} from {records}")?;
        self.failed.iter().try_for_each(|failed| writeln!(f, "not rebuilt: {}", printable(failed)))
    }
}

/// Makes snapshots and read tables anew. No server may run on the embedded store; on Postgres one that runs is fenced.
///
/// # Errors
/// When the store cannot be taken, read or written.
pub async fn rebuild(config: &StoreConfig) -> Result<Rebuild, AppError> {
    persistence::must_be_there(config).await?;
    let mut store = persistence::open(config, Mode::Serve).await?;
    need_whole_journal(config, &store).await?;
    if let Some(archive) = archive_of(config)? {
        store = with_archive(store, &open_archive(&archive, Mode::Tool).await?).await?;
    }
    rebuild_store(&store, &SystemClock::default(), &Shapes::default()).await
}

/// [`rebuild`] of a store that is open, with a journal that is whole, into rows of these shapes.
///
/// # Errors
/// As [`rebuild`].
pub async fn rebuild_store(store: &Store, clock: &dyn Clock, shapes: &Shapes) -> Result<Rebuild, AppError> {
    let lease = Duration::from_millis(limits::LEASE_MS);
    let owner = format!("{}/rebuild/{}", std::process::id(), clock.new_uuid());
    clocks::agree(&*store.journal, clock).await?;
    let taken = store.journal.acquire(&owner, lease, clock.now()).await?;
    if taken.iter().any(|partition| partition.base_seq > 0) {
        // What was dropped stands in an archive and in the snapshots: these go only once that is seen to be enough.
        try_all(store, &taken).await?;
    }
    store.checkpoints.clear(&taken, shapes).await?;
    let mut rebuild = Rebuild::default();
    for partition in &taken {
        let recovered = recover(store, &[from_the_start(partition)]).await?;
        rebuild.records += recovered.records;
        let made = make(store, &taken, &recovered.entities, shapes, clock.now()).await?;
        // What cannot be made stays after the checkpoint: every start meets it again, until someone has looked at it.
        if made.broken.is_empty() {
            let advance = [(partition.id, partition.tail_seq)];
            let write = CheckpointWrite { owned: &taken, advance: &advance, ..CheckpointWrite::default() };
            store.checkpoints.write(write).await?;
        }
        rebuild.entities += made.entities;
        rebuild.failed.extend(made.broken);
        rebuild.failed.extend(made.refused);
    }
    store.journal.release(&taken).await?;
    Ok(rebuild)
}

fn from_the_start(partition: &Partition) -> Partition {
    Partition { checkpoint_seq: 0, base_seq: 0, ..*partition }
}

/// Sees whether every frame is there, makes every entity from its records alone, and writes nothing.
async fn try_all(store: &Store, taken: &[Partition]) -> Result<(), AppError> {
    for partition in taken {
        let mut seq = 0;
        for_each_frame(&*store.journal, partition.id, 0, |frame| {
            let mut found = 0;
            for_each_record(frame, |_, _| found += 1)?;
            if frame.seq != seq + 1 || found != frame.records {
                return Err(StoreError::Invalid(format!(
                    "nothing was changed: frames or records are missing after frame {seq} of partition {}",
                    partition.id
                )));
            }
            seq = frame.seq;
            Ok(())
        })
        .await?;
        for mut replayed in recover(store, &[from_the_start(partition)]).await?.entities {
            replayed.history.snapshot = None;
            build_any(replayed.entity, &replayed.history).map_err(|error| {
                let entity = replayed.entity;
                AppError::Asked(format!(
                    "nothing was changed: {entity} cannot be made from the archive and the journal: {error}"
                ))
            })?;
        }
    }
    Ok(())
}

/// What came of making entities and writing them.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// How many were written.
    pub(super) entities: u64,
    /// What cannot be made, in words.
    pub(super) broken: Vec<String>,
    /// Whose rows were refused, in words.
    pub(super) refused: Vec<String>,
}

/// Makes these entities from what was read of them, and writes their snapshots and rows.
pub(super) async fn make(
    store: &Store,
    owned: &[Partition],
    entities: &[Replayed],
    shapes: &Shapes,
    now: Timestamp,
) -> Result<Made, AppError> {
    let mut made = Made::default();
    for slice in entities.chunks(SLICE) {
        let mut deltas = Vec::with_capacity(slice.len());
        for replayed in slice {
            match build_any(replayed.entity, &replayed.history) {
                Ok(built) => deltas.push(delta(replayed, built, shapes, now)),
                Err(error) => made.broken.push(format!("{}: {error}", replayed.entity)),
            }
        }
        made.entities += deltas.len() as u64;
        let write = CheckpointWrite { owned, entities: &deltas, ..CheckpointWrite::default() };
        let written = store.checkpoints.write(write).await?;
        remake_marked(store, owned, shapes, &written.to_remake).await?;
        let told =
            written.refused.into_iter().map(|refused| format!("the rows of {}: {}", refused.entity, refused.reason));
        made.refused.extend(told);
    }
    Ok(made)
}

/// What changed of an entity since its snapshot; all of it, when it was made from its records alone.
fn delta(replayed: &Replayed, mut built: Rebuilt, shapes: &Shapes, now: Timestamp) -> EntityDelta {
    let (version, wake_at) = (built.version(), built.wake_at(now));
    let Delta { parts, rows, spent: _ } = built.delta();
    let (entity, shape) = (replayed.entity, shapes.of(replayed.entity.kind));
    // A rebuild that was killed may have written it already.
    EntityDelta { entity, version, wake_at, parts, rows, shape, spent: &[], fresh: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_made_is_told_and_acts_on_nobody() {
        let rebuild = Rebuild { records: 2, entities: 1, failed: vec!["a\u{202e}b\u{9b}c".into()] };
        assert_eq!(rebuild.to_string(), "rebuilt 1 state from 2 records\nnot rebuilt: a\\u202eb\\u009bc\n");
    }
}
