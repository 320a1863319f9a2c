//! Reading back what no checkpoint holds: at start-up for all entities, and for one entity whose actor failed.

use crate::domain::entity::WAKE_AT_START;
use crate::domain::ids::{EntityRef, Kind};
use crate::domain::record::RawRecord;
use crate::domain::time::Timestamp;
use crate::limits;
use crate::persistence::log_writer::decode;
use crate::ports::{Frame, Histories, History, Journal, Partition, Snapshot, Snapshots, Store, StoreError};
use async_trait::async_trait;
use foldhash::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use uuid::Uuid;

/// Bytes of frames read at a time.
pub(super) const READ_BYTES: usize = 8 * 1024 * 1024;
/// Snapshots read at a time.
const READ_SNAPSHOTS: usize = 1_000;

/// One entity with records after the checkpoint.
#[derive(Debug)]
pub struct Replayed {
    /// The entity.
    pub entity: EntityRef,
    /// The version its last record makes.
    pub version: u64,
    /// What its state is made from.
    pub history: History,
}

/// What start-up found after the checkpoint.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The entities that have records there.
    pub entities: Vec<Replayed>,
    /// The oldest moment in what was read: what came before is in snapshots and read tables.
    pub oldest: Option<Timestamp>,
    /// The newest moment in the journal.
    pub newest: Option<Timestamp>,
    /// The newest moment of a record: no frame that only marks an owner's term.
    pub newest_record: Option<Timestamp>,
    /// Records read.
    pub records: u64,
    /// Bytes of the frames they stood in.
    pub bytes: u64,
}

/// Reads all frames after the checkpoints of these partitions, and the snapshots they build on.
///
/// # Errors
/// What the store says; Invalid when a frame cannot be read, or when frames that are needed were moved to an archive.
pub async fn recover(store: &Store, partitions: &[Partition]) -> Result<Recovered, StoreError> {
    let mut recovered = Recovered::default();
    let mut found: HashMap<EntityRef, Replayed> = HashMap::default();
    for partition in partitions {
        if partition.checkpoint_seq < partition.base_seq {
            let Partition { id, base_seq, .. } = partition;
            return Err(StoreError::Invalid(format!(
                "a rebuild of this store did not end, and the first {base_seq} frames of partition {id} are in an archive: run `haat rebuild --archive DIR`"
            )));
        }
        for_each_frame(&*store.journal, partition.id, partition.checkpoint_seq, |frame| {
            recovered.newest = recovered.newest.max(Some(frame.at));
            recovered.bytes += frame.payload.len() as u64;
            for_each_record(frame, |record, line| {
                recovered.oldest = Some(recovered.oldest.map_or(record.at, |oldest| oldest.min(record.at)));
                recovered.newest_record = recovered.newest_record.max(Some(record.at));
                recovered.records += 1;
                let entity = record.entity;
                let replayed =
                    found.entry(entity).or_insert_with(|| Replayed { entity, version: 0, history: History::default() });
                replayed.version = record.version;
                replayed.history.records.push(line.to_vec());
            })
        })
        .await?;
    }
    let mut entities: Vec<EntityRef> = found.keys().copied().collect();
    // Which entity comes first must not depend on a hash map's whim.
    entities.sort_unstable();
    for some in entities.chunks(READ_SNAPSHOTS) {
        for snapshot in load_readable(&*store.snapshots, some).await? {
            if let Some(replayed) = found.get_mut(&snapshot.entity) {
                replayed.history.snapshot = Some(snapshot);
            }
        }
    }
    recovered.entities = entities.iter().filter_map(|entity| found.remove(entity)).collect();
    Ok(recovered)
}

/// The snapshots of these entities that can be read. Without its snapshot an entity is made of its records alone, if
/// they are all there; else a record is missing and it is quarantined, while all others are there.
///
/// # Errors
/// What the store says; Invalid when of several none can be read.
pub async fn load_readable(snapshots: &dyn Snapshots, entities: &[EntityRef]) -> Result<Vec<Snapshot>, StoreError> {
    let unreadable = match snapshots.load_many(entities).await {
        Err(StoreError::Invalid(error)) => error,
        read => return read,
    };
    let (mut found, mut broken) = (Vec::new(), 0);
    for entity in entities {
        match snapshots.load(*entity).await {
            Ok(snapshot) => found.extend(snapshot),
            Err(StoreError::Invalid(error)) => {
                tracing::error!(%entity, %error, "a snapshot cannot be read");
                broken += 1;
            }
            Err(error) => return Err(error),
        }
    }
    // It is not one entity's snapshot, then, but the table.
    if broken == entities.len() && broken > 1 { Err(StoreError::Invalid(unreadable)) } else { Ok(found) }
}

/// What an entity is made from that has no records since its snapshot.
fn unchanged(snapshot: Snapshot) -> (EntityRef, History) {
    (snapshot.entity, History { snapshot: Some(snapshot), records: Vec::new() })
}

/// The entities that ask to be in memory as soon as a node starts, from their snapshots.
///
/// # Errors
/// What the store says.
pub async fn woken_at_start(snapshots: &dyn Snapshots) -> Result<Vec<(EntityRef, History)>, StoreError> {
    let (mut woken, mut after) = (Vec::new(), None);
    loop {
        let due = snapshots.due(WAKE_AT_START, after, READ_SNAPSHOTS as u32).await?;
        let entities: Vec<EntityRef> = due.iter().map(|(entity, _)| *entity).collect();
        woken.extend(load_readable(snapshots, &entities).await?.into_iter().map(unchanged));
        after = due.last().copied();
        if due.len() < READ_SNAPSHOTS {
            return Ok(woken);
        }
    }
}

/// What was under way when the store was last written to, and is in memory again as soon as a node starts: people wait for it, and it
/// is not to stand behind whatever else is due. An orderly stop leaves it in snapshots, with the moment at which they were made as the
/// one at which they are to be woken. What is left over, because there is so much, comes back as everything that is due.
///
/// # Errors
/// What the store says.
pub async fn left_under_way(
    store: &Store,
    partitions: &[Partition],
    last_record: Option<Timestamp>,
) -> Result<Vec<(EntityRef, History)>, StoreError> {
    let mut last = last_record;
    for Partition { id, checkpoint_seq, .. } in partitions {
        // The newest frame before the checkpoint is always there, also where all others are in an archive.
        let frames = store.journal.frames(*id, checkpoint_seq.saturating_sub(1), 1).await?;
        last = last.max(frames.first().filter(|frame| frame.seq <= *checkpoint_seq).map(|frame| frame.at));
    }
    let Some(last) = last else { return Ok(Vec::new()) };
    let (until, from) = (last.plus_millis(limits::UNDER_WAY_AFTER_MS), last.plus_millis(-limits::UNDER_WAY_BEFORE_MS));
    let first = EntityRef { kind: Kind::Cart, uuid: Uuid::nil() };
    let due = store.snapshots.due(until, Some((first, from)), limits::UNDER_WAY).await?;
    // A vendor may be as large as all of them.
    let entities: Vec<EntityRef> =
        due.into_iter().map(|(entity, _)| entity).filter(|entity| entity.kind != Kind::Vendor).collect();
    let mut left = Vec::with_capacity(entities.len());
    for some in entities.chunks(READ_SNAPSHOTS) {
        left.extend(load_readable(&*store.snapshots, some).await?.into_iter().map(unchanged));
    }
    Ok(left)
}

/// Calls `each` with every frame of a partition after `after_seq`, in order.
///
/// # Errors
/// What the store says, and what `each` does.
pub async fn for_each_frame(
    journal: &dyn Journal,
    partition: u16,
    after_seq: u64,
    mut each: impl FnMut(&Frame) -> Result<(), StoreError> + Send,
) -> Result<(), StoreError> {
    let mut frames = FrameReader::new(partition, after_seq, READ_BYTES);
    while let Some(frame) = frames.next(journal).await? {
        each(&frame)?;
    }
    Ok(())
}

/// The frames of one partition, one after the other.
#[derive(Debug)]
pub struct FrameReader {
    partition: u16,
    after: u64,
    read_bytes: usize,
    read: VecDeque<Frame>,
    ended: bool,
}

impl FrameReader {
    /// Before the first frame after `after_seq`. So many bytes are read at a time.
    pub fn new(partition: u16, after_seq: u64, read_bytes: usize) -> Self {
        Self { partition, after: after_seq, read_bytes, read: VecDeque::new(), ended: false }
    }

    /// The partition.
    pub fn partition(&self) -> u16 {
        self.partition
    }

    /// The next frame, which stays the next one; `None` behind the last.
    ///
    /// # Errors
    /// What the store says.
    pub async fn peek(&mut self, journal: &dyn Journal) -> Result<Option<&Frame>, StoreError> {
        if self.read.is_empty() && !self.ended {
            self.read = journal.frames(self.partition, self.after, self.read_bytes).await?.into();
            if let Some(last) = self.read.back() {
                self.after = last.seq;
            }
            self.ended = self.read.is_empty();
            // Reading frames takes its time, and others want to run.
            tokio::task::yield_now().await;
        }
        Ok(self.read.front())
    }

    /// The next frame; `None` behind the last.
    ///
    /// # Errors
    /// What the store says.
    pub async fn next(&mut self, journal: &dyn Journal) -> Result<Option<Frame>, StoreError> {
        self.peek(journal).await?;
        Ok(self.read.pop_front())
    }
}

/// Calls `each` with every record of a frame and the line it was read from.
///
/// # Errors
/// Invalid when the frame or a line of it cannot be read.
pub fn for_each_record(frame: &Frame, mut each: impl FnMut(&RawRecord<'_>, &[u8])) -> Result<(), StoreError> {
    let lines = decode(frame)?;
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let record: RawRecord<'_> = serde_json::from_slice(line).map_err(|error| {
            StoreError::Invalid(format!("a record in frame {} of partition {}: {error}", frame.seq, frame.partition))
        })?;
        each(&record, line);
    }
    Ok(())
}

/// Reads single entities back from a store.
pub struct StoredHistories {
    journal: Arc<dyn Journal>,
    snapshots: Arc<dyn Snapshots>,
    partitions: u16,
}

impl StoredHistories {
    /// A reader of this store.
    pub fn new(store: &Store, partitions: u16) -> Self {
        Self { journal: store.journal.clone(), snapshots: store.snapshots.clone(), partitions }
    }
}

#[async_trait]
impl Histories for StoredHistories {
    async fn history(&self, entity: EntityRef) -> Result<History, StoreError> {
        let partition = entity.partition(self.partitions);
        // The checkpoint is read before the snapshot: a checkpoint that comes in between only makes records that the snapshot has.
        let heads = self.journal.partitions().await?;
        let after = heads.iter().find(|head| head.id == partition).map_or(0, |head| head.checkpoint_seq);
        let mut records = Vec::new();
        for_each_frame(&*self.journal, partition, after, |frame| {
            for_each_record(frame, |record, line| {
                if record.entity == entity {
                    records.push(line.to_vec());
                }
            })
        })
        .await?;
        let snapshot: Option<Snapshot> = self.snapshots.load(entity).await?;
        Ok(History { snapshot, records })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Due;

    /// Snapshots of which those of some entities cannot be read.
    struct Damaged(Vec<EntityRef>);

    #[async_trait]
    impl Snapshots for Damaged {
        async fn load(&self, entity: EntityRef) -> Result<Option<Snapshot>, StoreError> {
            Ok(self.load_many(&[entity]).await?.pop())
        }
        async fn load_many(&self, entities: &[EntityRef]) -> Result<Vec<Snapshot>, StoreError> {
            if entities.iter().any(|entity| self.0.contains(entity)) {
                return Err(StoreError::Invalid("damaged".into()));
            }
            Ok(entities.iter().map(|entity| Snapshot { entity: *entity, version: 1, parts: Vec::new() }).collect())
        }
        async fn due(&self, _: Timestamp, _: Option<Due>, _: u32) -> Result<Vec<Due>, StoreError> {
            Ok(Vec::new())
        }
        async fn scan(&self, _: Option<EntityRef>, _: u32) -> Result<Vec<Snapshot>, StoreError> {
            Ok(Vec::new())
        }
        async fn scan_kind(
            &self,
            _: crate::domain::ids::Kind,
            _: Option<Uuid>,
            _: u32,
        ) -> Result<Vec<Snapshot>, StoreError> {
            Ok(Vec::new())
        }
    }

    #[tokio::test]
    async fn of_snapshots_only_those_that_are_damaged_are_missing() {
        let cart = |number| EntityRef { kind: crate::domain::ids::Kind::Cart, uuid: Uuid::from_u128(number) };
        let all: Vec<EntityRef> = (1..=5).map(cart).collect();
        let found = load_readable(&Damaged(vec![cart(3)]), &all).await.expect("the others");
        assert_eq!(found.iter().map(|found| found.entity).collect::<Vec<_>>(), [cart(1), cart(2), cart(4), cart(5)]);
        let table = load_readable(&Damaged(all.clone()), &all).await;
        assert!(matches!(table, Err(StoreError::Invalid(_))), "{table:?}");
    }
}
