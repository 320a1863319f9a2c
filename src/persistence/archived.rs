//! A store whose old frames were moved to an archive, read as if they never had been.

use crate::domain::details::Detail;
use crate::domain::time::Timestamp;
use crate::ports::{Committed, Frame, Journal, Partition, Store, StoreError};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

/// The store, with a journal that reads from the archive what the store no longer has.
///
/// # Errors
/// Invalid when the archive does not hold that, or is another store's.
pub async fn with_archive(store: Store, archive: &Store) -> Result<Store, StoreError> {
    let archived = archive.journal.partitions().await?;
    for head in store.journal.partitions().await? {
        let end = archived.iter().find(|partition| partition.id == head.id).map_or(0, |partition| partition.tail_seq);
        // The newest frame of an archive is never dropped.
        if head.base_seq > 0 && end <= head.base_seq {
            return Err(StoreError::Invalid(format!(
                "the archive ends at frame {end} of partition {}, and the store begins at frame {}: it is another store's archive, or not the newest",
                head.id,
                head.base_seq + 1
            )));
        }
        same_frames(&*store.journal, &*archive.journal, head.id, head.base_seq, head.base_seq + 1).await?;
    }
    let journal = Arc::new(Archived { store: store.journal.clone(), archive: archive.journal.clone() });
    Ok(Store { journal, ..store })
}

/// Compares the frames of one partition after `after_seq` and up to `up_to` that both have; gives how many these are. What is archived of a store overlaps
/// with what the store keeps by one frame at least, by which the two know each other.
///
/// # Errors
/// Invalid where they differ, or where the store has a frame that the archive lacks while it has later ones.
pub async fn same_frames(
    store: &dyn Journal,
    archive: &dyn Journal,
    partition: u16,
    after_seq: u64,
    up_to: u64,
) -> Result<u64, StoreError> {
    let (mut kept, mut archived) = (reader(partition, after_seq), reader(partition, after_seq));
    let mut compared = 0;
    while let Some(frame) = archived.next(archive).await?.filter(|frame| frame.seq <= up_to) {
        if kept.next(store).await?.as_ref() != Some(&frame) {
            return Err(StoreError::Invalid(format!(
                "frame {} of partition {partition} in the archive is not the store's: it is another store's archive, or damaged",
                frame.seq
            )));
        }
        compared += 1;
    }
    Ok(compared)
}

fn reader(partition: u16, after_seq: u64) -> super::recovery::FrameReader {
    super::recovery::FrameReader::new(partition, after_seq, super::recovery::READ_BYTES)
}

/// The store's journal, and before its first frame the archive's.
struct Archived {
    store: Arc<dyn Journal>,
    archive: Arc<dyn Journal>,
}

#[async_trait]
impl Journal for Archived {
    async fn frames(&self, partition: u16, after_seq: u64, max_bytes: usize) -> Result<Vec<Frame>, StoreError> {
        let kept = self.store.frames(partition, after_seq, max_bytes).await?;
        let begins = kept.first().map_or(u64::MAX, |frame| frame.seq);
        if begins == after_seq + 1 {
            return Ok(kept);
        }
        let mut archived = self.archive.frames(partition, after_seq, max_bytes).await?;
        archived.retain(|frame| frame.seq < begins);
        // What neither has is missing, and whoever reads sees the gap.
        Ok(if archived.is_empty() { kept } else { archived })
    }

    async fn acquire(&self, owner: &str, lease: Duration, now: Timestamp) -> Result<Vec<Partition>, StoreError> {
        self.store.acquire(owner, lease, now).await
    }

    async fn partitions(&self) -> Result<Vec<Partition>, StoreError> {
        self.store.partitions().await
    }

    async fn append(&self, frames: &[Frame], details: &[Detail]) -> Result<(), StoreError> {
        self.store.append(frames, details).await
    }

    async fn committed(&self, frames: &[Frame]) -> Result<Committed, StoreError> {
        self.store.committed(frames).await
    }

    async fn drop_frames(&self, partition: u16, up_to: u64) -> Result<u64, StoreError> {
        self.store.drop_frames(partition, up_to).await
    }

    async fn renew(&self, partitions: &[Partition], lease: Duration) -> Result<Option<Timestamp>, StoreError> {
        self.store.renew(partitions, lease).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.store.clock().await
    }

    async fn release(&self, partitions: &[Partition]) -> Result<(), StoreError> {
        self.store.release(partitions).await
    }
}
