//! `haat rebuild`: makes all snapshots and read tables anew from the journal, which alone is the truth.
//!
//! It takes the store over as a server would. The old tables go in one transaction that also sets the checkpoints back to the beginning: whatever ends it
//! half way, the next start (or the next rebuild) replays everything and loses nothing. Partition by partition the entities are then
//! made from their records, and written as a checkpoint writes them.

use super::AppError;
use super::text::counted;
use crate::actors::{Built, Rebuilt, build_any};
use crate::adapters::clock::SystemClock;
use crate::domain::entity::{Capture, Entity};
use crate::domain::ids::EntityRef;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::persistence::recovery::{Replayed, recover};
use crate::persistence::{self, Mode, StoreConfig};
use crate::ports::{Captured, CheckpointWrite, Clock, Partition, Store};
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
        self.failed.iter().try_for_each(|failed| writeln!(f, "not rebuilt: {failed}"))
    }
}

/// Makes snapshots and read tables anew. No server may run on the embedded store; on Postgres one that runs is fenced.
///
/// # Errors
/// When the store cannot be taken, read or written.
pub async fn rebuild(config: &StoreConfig) -> Result<Rebuild, AppError> {
    let store = persistence::open(config, Mode::Serve).await?;
    let clock = SystemClock::default();
    let lease = Duration::from_millis(limits::LEASE_MS);
    let owner = format!("{}/rebuild/{}", std::process::id(), clock.new_uuid());
    let taken = store.journal.take(&owner, lease, clock.now()).await?;
    store.checkpoints.clear(&taken).await?;
    let mut rebuild = Rebuild::default();
    for partition in &taken {
        let from_the_start = Partition { checkpoint_seq: 0, ..*partition };
        let recovered = recover(&store, &[from_the_start]).await?;
        rebuild.records += recovered.records;
        let broken = write(&store, &taken, &recovered.entities, &mut rebuild, clock.now()).await?;
        // What cannot be made stays after the checkpoint: every start meets it again, until someone has looked at it.
        if !broken {
            let advance = [(partition.id, partition.tail_seq)];
            store.checkpoints.write(CheckpointWrite { owned: &taken, entities: &[], advance: &advance }).await?;
        }
    }
    store.journal.release(&taken).await?;
    Ok(rebuild)
}

/// Writes these entities; whether some of them cannot be made.
async fn write(
    store: &Store,
    owned: &[Partition],
    entities: &[Replayed],
    rebuild: &mut Rebuild,
    now: Timestamp,
) -> Result<bool, AppError> {
    let mut broken = false;
    for slice in entities.chunks(SLICE) {
        let mut captured = Vec::with_capacity(slice.len());
        for replayed in slice {
            match build_any(replayed.entity, &replayed.history) {
                Ok(built) => captured.push(capture(replayed.entity, built, now)),
                Err(error) => {
                    broken = true;
                    rebuild.failed.push(format!("{}: {error}", replayed.entity));
                }
            }
        }
        rebuild.entities += captured.len() as u64;
        let written = store.checkpoints.write(CheckpointWrite { owned, entities: &captured, advance: &[] }).await?;
        let told =
            written.refused.into_iter().map(|refused| format!("the rows of {}: {}", refused.entity, refused.reason));
        rebuild.failed.extend(told);
    }
    Ok(broken)
}

/// Everything of an entity that was made from its records alone: all of it counts as changed.
fn capture(entity: EntityRef, built: Rebuilt, now: Timestamp) -> Captured {
    fn parts<E: Entity>(mut built: Built<E>, now: Timestamp) -> (u64, Option<Timestamp>, Capture) {
        (built.version, built.entity.wake_at(now), built.capture())
    }
    let (version, wake_at, Capture { parts, rows, .. }) = match built {
        Rebuilt::Cart(built) => parts(*built, now),
        Rebuilt::Order(built) => parts(*built, now),
        Rebuilt::Vendor(built) => parts(*built, now),
    };
    Captured { entity, version, wake_at, parts, rows, whole: true }
}
