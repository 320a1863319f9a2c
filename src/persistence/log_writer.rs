//! The log writer: the one writer of a node's journal.
//!
//! Actors queue records in one FIFO queue. The log writer takes what has gathered, makes a frame per partition of it, and commits them together; meanwhile the next batch gathers. There
//! is one batch in flight and no linger timer: an idle node commits one record at once, a busy one thousands together. When a batch is durable, the replies and
//! effects of its records are let go, in order. Because a cause is queued before its effect, a durable record has all its causes
//! durable before it.
//!
//! When the outcome of a commit is unknown, the very same frames are tried again. A collision is the log writer's own work if all positions carry this batch's
//! id; any other means that a newer owner has fenced this node, and the process ends.

use crate::domain::details::Detail;
use crate::domain::ids::EntityRef;
use crate::limits;
use crate::persistence::metrics::LogWriterMetrics;
use crate::persistence::skew::{self, Asked};
use crate::ports::trace::TracedRecord;
use crate::ports::{
    Append, Clock, Codec, Committed, Completion, Frame, Journal, LogWriter, Partition, Position, Pressure, StoreError,
};
use foldhash::HashMap;
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size, uncompressed_size};
use parking_lot::Mutex;
use std::mem;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

/// Frames smaller than this are not worth compressing, in bytes.
const COMPRESS_FROM: usize = 1024;
/// Buffers up to this capacity are kept for the next batch, in bytes.
const SPARE_BYTES: usize = 256 * 1024;
/// The shortest and the longest wait before a failed commit is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How long a batch is waited for before the node says that its store is unavailable.
const PATIENCE: Duration = Duration::from_millis(limits::COMMIT_PATIENCE_MS);

/// Why a node cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// Another node has taken the store over.
    #[error("another node has taken the store over: this one is fenced")]
    Fenced,
    /// The machine's wall clock is not the store's: frames would be dated wrongly.
    #[error("this machine's clock is more than {} s from the store's", limits::CLOCK_SKEW_MS / 1000)]
    Skewed,
    /// The journal would have a gap, or the like: a bug. Nothing that would make it worse is done.
    #[error("the log writer or the checkpointer has met a state that cannot be")]
    Broken,
}

/// What is called when a node cannot go on; it does not return to work.
pub type OnFatal = Arc<dyn Fn(Fatal) + Send + Sync>;

enum Item {
    Record(Append),
    WhenDurable(Completion),
    Barrier(oneshot::Sender<Barrier>),
}

#[derive(Default)]
struct Queue {
    items: Vec<Item>,
    /// The position of the last record queued.
    last: u64,
    closed: bool,
}

/// The newest version of each entity that has records since some barrier.
pub type Versions = HashMap<EntityRef, u64>;

/// What stood between two batches: everything before is in `changed` or in an earlier barrier's.
#[derive(Debug, Default)]
pub struct Barrier {
    /// The entities that have records since the last barrier, each with its newest version. The log writer looks at them too, up to the next
    /// barrier.
    pub changed: Arc<Versions>,
    /// The newest frame of each partition.
    pub seqs: Vec<(u16, u64)>,
    /// Records ever written by this log writer, and bytes of frames: by these the lag is counted.
    pub written: (u64, u64),
}

#[derive(Default)]
struct Lease {
    /// Until when, since boot, an answer without a record may be given; `None` where nobody else can take the store
    /// (the embedded one).
    until: Option<Duration>,
}

/// What is told of the frames of each batch once they are durable, and of their sampled records. It must not take long.
pub type OnCommitted = Box<dyn Fn(&[Frame], &[TracedRecord]) + Send + Sync>;

/// The log writer, as both its sides hold it.
pub struct QueuedLogWriter {
    queue: Mutex<Queue>,
    wake: Notify,
    durable: AtomicU64,
    in_flight: AtomicUsize,
    written_records: AtomicU64,
    written_bytes: AtomicU64,
    checkpointed_records: AtomicU64,
    checkpointed_bytes: AtomicU64,
    /// Whether the store took the last batch. Only the writer knows.
    appends_land: AtomicBool,
    /// Whether the lease could be renewed the last time. Only its keeper knows: it has a connection of its own, so neither can speak for
    /// the other.
    lease_renewed: AtomicBool,
    lease: Mutex<Lease>,
    /// Whether the files that the node writes are where the next start will look for them.
    files_in_place: AtomicBool,
    /// Whether the wall clock was found wrong: then no frame is written any more.
    skewed: AtomicBool,
    clock: Arc<dyn Clock>,
    idle: Notify,
    on_committed: OnceLock<OnCommitted>,
}

impl QueuedLogWriter {
    /// A log writer that queues, and writes once [`run`] is called.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::new(Queue::default()),
            wake: Notify::new(),
            durable: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            written_records: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            checkpointed_records: AtomicU64::new(0),
            checkpointed_bytes: AtomicU64::new(0),
            appends_land: AtomicBool::new(true),
            lease_renewed: AtomicBool::new(true),
            lease: Mutex::new(Lease::default()),
            files_in_place: AtomicBool::new(true),
            skewed: AtomicBool::new(false),
            clock,
            idle: Notify::new(),
            on_committed: OnceLock::new(),
        })
    }

    /// Who is told of each batch, before its replies are let go. To be called once, before the first.
    pub fn tell_committed(&self, listener: OnCommitted) {
        let first = self.on_committed.set(listener).is_ok();
        debug_assert!(first, "somebody else is told already");
    }

    /// The next barrier: it stands behind everything queued before this call, all of which is durable when this returns. `None` when the log writer is closed.
    pub async fn barrier(&self) -> Option<Barrier> {
        let (send, receive) = oneshot::channel();
        self.push(Item::Barrier(send));
        receive.await.ok()
    }

    /// Tells the log writer up to where a checkpoint holds everything, but for the few entities that give none.
    pub fn checkpointed(&self, written: (u64, u64)) {
        self.checkpointed_records.store(written.0, Ordering::Relaxed);
        self.checkpointed_bytes.store(written.1, Ordering::Relaxed);
    }

    /// Counts what recovery found after the checkpoint as written by this log writer.
    pub fn recovered(&self, records: u64, bytes: u64) {
        self.written_records.fetch_add(records, Ordering::Relaxed);
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Waits until nothing is queued and nothing in flight.
    pub async fn drained(&self) {
        loop {
            let idle = self.idle.notified();
            if self.in_flight.load(Ordering::Acquire) == 0 && self.queue.lock().items.is_empty() {
                return;
            }
            idle.await;
        }
    }

    /// Closes the log writer if a checkpoint holds all that was ever queued, and says whether it did.
    pub fn close_if_checkpointed(&self) -> bool {
        let mut queue = self.queue.lock();
        // A batch counts as written before it is no more in flight.
        let durable = queue.items.is_empty() && self.in_flight.load(Ordering::Acquire) == 0;
        let written = self.written_records.load(Ordering::Relaxed);
        queue.closed |= durable && written == self.checkpointed_records.load(Ordering::Relaxed);
        self.wake.notify_one();
        queue.closed
    }

    /// Takes no more records: what comes now is dropped, with its reply. The writer ends once the queue is empty.
    pub fn close(&self) {
        self.queue.lock().closed = true;
        self.wake.notify_one();
    }

    /// Sets until when, by [`Clock::since_boot`], an answer without a record may be given. A clock that stands still
    /// while the machine sleeps would let it answer when it wakes, long after another node has taken the store.
    pub fn set_lease(&self, until: Duration) {
        self.lease.lock().until = Some(until);
    }

    /// Tells whether the files that the node writes are in their positions. While they are not nothing is answered.
    pub fn set_files_in_place(&self, in_place: bool) {
        self.files_in_place.store(in_place, Ordering::Relaxed);
    }

    fn push(&self, item: Item) -> Position {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Position(queue.last);
        }
        if matches!(item, Item::Record(_)) {
            queue.last += 1;
            self.in_flight.fetch_add(1, Ordering::Relaxed);
        }
        let position = Position(queue.last);
        let first = queue.items.is_empty();
        queue.items.push(item);
        drop(queue);
        if first {
            self.wake.notify_one();
        }
        position
    }
}

impl LogWriter for QueuedLogWriter {
    fn append(&self, append: Append) -> Position {
        self.push(Item::Record(append))
    }

    fn is_durable(&self, position: Position) -> bool {
        self.durable.load(Ordering::Acquire) >= position.0
    }

    fn when_durable(&self, after: Position, then: Completion) {
        if self.is_durable(after) {
            then();
        } else {
            self.push(Item::WhenDurable(then));
        }
    }

    fn pressure(&self) -> Pressure {
        let since = |written: &AtomicU64, held: &AtomicU64| {
            written.load(Ordering::Relaxed).saturating_sub(held.load(Ordering::Relaxed))
        };
        Pressure {
            records_in_flight: self.in_flight.load(Ordering::Relaxed),
            records_since_checkpoint: since(&self.written_records, &self.checkpointed_records),
            bytes_since_checkpoint: since(&self.written_bytes, &self.checkpointed_bytes),
            store_available: self.appends_land.load(Ordering::Relaxed)
                && self.lease_renewed.load(Ordering::Relaxed)
                && self.files_in_place.load(Ordering::Relaxed),
        }
    }

    fn may_answer(&self) -> bool {
        self.files_in_place.load(Ordering::Relaxed)
            && self.lease.lock().until.is_none_or(|until| self.clock.since_boot() < until)
    }
}

/// A partition's frame while it gathers.
struct Forming {
    head: Partition,
    payload: Vec<u8>,
    records: u32,
}

/// The writing side.
struct Writer {
    shared: Arc<QueuedLogWriter>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    on_fatal: OnFatal,
    metrics: LogWriterMetrics,
    partitions: Vec<Forming>,
    /// What the records of the batch bring along.
    details: Vec<Detail>,
    /// Those of its records that are sampled, since each was queued.
    traced: Vec<TracedRecord>,
    packer: Packer,
    /// Entities with records since the last barrier.
    changed: Versions,
    /// Those of the barrier before. The next one is asked for when their states are in snapshots: until then an actor that loads an old
    /// snapshot would write one of their versions a second time.
    earlier: Arc<Versions>,
}

/// Writes what is queued until the log writer is closed and its queue empty, or this node cannot go on.
///
/// `partitions` are this node's, as it took them; `changed` the entities that recovery replayed, each with its version.
pub async fn run(
    shared: Arc<QueuedLogWriter>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    partitions: Vec<Partition>,
    changed: Versions,
    on_fatal: OnFatal,
) {
    let forming = |head: Partition| Forming { head, payload: Vec::new(), records: 0 };
    let partitions = partitions.into_iter().map(forming).collect();
    let (metrics, packer) = (LogWriterMetrics::new(), Packer::default());
    let earlier = Arc::default();
    let (details, traced) = (Vec::new(), Vec::new());
    let mut writer =
        Writer { shared, journal, clock, on_fatal, metrics, partitions, details, traced, packer, changed, earlier };
    writer.run().await;
}

impl Writer {
    async fn run(&mut self) {
        let mut items: Vec<Item> = Vec::new();
        loop {
            let closed;
            {
                let mut queue = self.shared.queue.lock();
                mem::swap(&mut items, &mut queue.items);
                closed = queue.closed;
            }
            if items.is_empty() {
                self.shared.idle.notify_waiters();
                if closed {
                    return;
                }
                self.shared.wake.notified().await;
                continue;
            }
            // A batch ends at its byte limit and at a barrier; the rest forms the next.
            let mut rest = items.drain(..).peekable();
            while rest.peek().is_some() {
                if let Err(fatal) = self.batch(&mut rest).await {
                    tracing::error!(%fatal, "the log writer stops");
                    (self.on_fatal)(fatal);
                    return;
                }
            }
        }
    }

    async fn batch(&mut self, rest: &mut impl Iterator<Item = Item>) -> Result<(), Fatal> {
        let mut completions: Vec<Completion> = Vec::new();
        let (mut records, mut bytes, mut barrier) = (0usize, 0usize, None);
        for item in rest {
            match item {
                Item::Record(append) => {
                    bytes += append.record.len();
                    bytes += append.details.iter().map(|detail| detail.body.len()).sum::<usize>();
                    records += 1;
                    self.details.extend(append.details);
                    self.take(append.entity, append.version, &append.record)?;
                    completions.extend(append.on_durable);
                    let (entity, version) = (append.entity, append.version);
                    self.traced.extend(append.trace.map(|traced| TracedRecord { entity, version, traced: *traced }));
                }
                Item::WhenDurable(then) => completions.push(then),
                Item::Barrier(reply) => {
                    barrier = Some(reply);
                    break;
                }
            }
            if bytes >= limits::BATCH_BYTES {
                break;
            }
        }
        if records > 0 {
            let started = Instant::now();
            let (frames, mut details) = (self.frames(), mem::take(&mut self.details));
            self.commit_in_sight(&frames, &details).await?;
            self.tell_traces(started, records);
            details.clear();
            self.details = details;
            if let Some(told) = self.shared.on_committed.get() {
                told(&frames, &self.traced);
            }
            self.traced.clear();
            let written: usize = frames.iter().map(|frame| frame.payload.len()).sum();
            self.packer.take_back(frames);
            self.metrics.batch(records, written, started.elapsed());
            self.shared.written_records.fetch_add(records as u64, Ordering::Relaxed);
            self.shared.written_bytes.fetch_add(written as u64, Ordering::Relaxed);
            self.shared.in_flight.fetch_sub(records, Ordering::Release);
            self.shared.durable.fetch_add(records as u64, Ordering::Release);
        }
        for then in completions {
            then();
        }
        if let Some(reply) = barrier {
            let seqs = self.partitions.iter().map(|forming| (forming.head.id, forming.head.tail_seq)).collect();
            let written = (
                self.shared.written_records.load(Ordering::Relaxed),
                self.shared.written_bytes.load(Ordering::Relaxed),
            );
            let changed = Arc::new(mem::take(&mut self.changed));
            match reply.send(Barrier { changed: changed.clone(), seqs, written }) {
                Ok(()) => self.earlier = changed,
                Err(unwanted) => {
                    drop(unwanted);
                    self.changed = Arc::try_unwrap(changed).unwrap_or_else(|shared| (*shared).clone());
                }
            }
        }
        Ok(())
    }

    /// Tells each trace of how long its record was queued, and of the batch. From now on the record is durable.
    fn tell_traces(&mut self, started: Instant, records: usize) {
        for TracedRecord { traced, .. } in &mut self.traced {
            traced.context.note("journal.queue", traced.since, started);
            let mut commit = traced.context.begin("journal.commit", started);
            commit.says("haat.records", records);
            traced.since = Instant::now();
            commit.end(traced.since, false);
        }
    }

    fn take(&mut self, entity: EntityRef, version: u64, record: &[u8]) -> Result<(), Fatal> {
        let before = self.changed.insert(entity, version).or_else(|| self.earlier.get(&entity).copied());
        if let Some(before) = before.filter(|before| before + 1 != version) {
            tracing::error!(%entity, before, version, "a record does not follow the entity's last");
            return Err(Fatal::Broken);
        }
        let partition = usize::from(entity.partition(self.partitions.len() as u16));
        let forming = &mut self.partitions[partition];
        forming.payload.extend_from_slice(record);
        forming.payload.push(b'\n');
        forming.records += 1;
        Ok(())
    }

    fn frames(&mut self) -> Vec<Frame> {
        let (at, batch) = (self.clock.now(), self.clock.new_uuid());
        let mut frames = Vec::with_capacity(self.partitions.len());
        for forming in self.partitions.iter_mut().filter(|forming| forming.records > 0) {
            forming.head.tail_seq += 1;
            let (codec, payload) = self.packer.pack(&mut forming.payload);
            frames.push(Frame {
                partition: forming.head.id,
                seq: forming.head.tail_seq,
                epoch: forming.head.epoch,
                at,
                batch,
                records: mem::take(&mut forming.records),
                codec,
                payload,
            });
        }
        frames
    }

    /// [`Writer::commit`], of which the node hears before it ends when it takes long: a store that stalls closes no connection and reports
    /// no error.
    async fn commit_in_sight(&mut self, frames: &[Frame], details: &[Detail]) -> Result<(), Fatal> {
        let shared = self.shared.clone();
        let mut commit = pin!(self.commit(frames, details));
        if let Ok(committed) = timeout(PATIENCE, commit.as_mut()).await {
            return committed;
        }
        if shared.appends_land.swap(false, Ordering::Relaxed) {
            tracing::warn!("the store is silent about a batch: new writes are refused until it has taken it");
        }
        commit.await
    }

    /// Returns when the frames are durable, however often it takes.
    async fn commit(&mut self, frames: &[Frame], details: &[Detail]) -> Result<(), Fatal> {
        let mut wait = RETRY.0;
        loop {
            let failed = match self.append(frames, details).await? {
                Ok(()) => break,
                Err(StoreError::Collision) => match self.journal.committed(frames).await {
                    Ok(Committed::All) => break,
                    Ok(Committed::Conflicting) => return Err(Fatal::Fenced),
                    Ok(Committed::Nothing) => StoreError::Collision,
                    Err(error) => error,
                },
                Err(StoreError::Fenced) => return Err(Fatal::Fenced),
                Err(error) => error,
            };
            self.shared.appends_land.store(false, Ordering::Relaxed);
            if wait == RETRY.0 {
                tracing::warn!(error = %failed, "the store took no batch: it is tried again until it does");
            }
            self.metrics.failed();
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
        if !self.shared.appends_land.swap(true, Ordering::Relaxed) {
            tracing::info!("the store takes batches again");
        }
        Ok(())
    }

    /// Appends these frames, unless the wall clock is wrong. One that has jumped may be: the store is asked first.
    async fn append(&self, frames: &[Frame], details: &[Detail]) -> Result<Result<(), StoreError>, Fatal> {
        if self.clock.jump_ms().is_some() {
            match skew::ask(&*self.journal, &*self.clock).await {
                Ok(None) => {}
                Ok(Some(_)) => return Err(Fatal::Skewed),
                Err(error) => return Ok(Err(error)),
            }
        }
        if self.shared.skewed.load(Ordering::Relaxed) {
            return Err(Fatal::Skewed);
        }
        Ok(self.journal.append(frames, details).await)
    }
}

/// Makes payloads of JSON lines, compressed when that makes them smaller. It keeps the buffers of one batch for the next: a busy log writer
/// forms tens of thousands of frames a second, and freed buffers of this size go back to the system and come as fresh pages again.
#[derive(Default)]
struct Packer {
    table: CompressTable,
    /// Where the compressed lines are written first: as long as it ever was, so that it need not be cleared again for each frame.
    room: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

impl Packer {
    /// The payload of these lines, which are left empty.
    fn pack(&mut self, lines: &mut Vec<u8>) -> (Codec, Vec<u8>) {
        let mut payload = self.spare.pop().unwrap_or_default();
        if lines.len() >= COMPRESS_FROM
            && let Ok(length) = u32::try_from(lines.len())
        {
            let prefix = length.to_le_bytes();
            let most = get_maximum_output_size(lines.len());
            if self.room.len() < most {
                self.room.resize(most, 0);
            }
            if let Ok(packed) = compress_into_with_table(lines, &mut self.room, &mut self.table)
                && prefix.len() + packed < lines.len()
            {
                payload.extend_from_slice(&prefix);
                payload.extend_from_slice(&self.room[..packed]);
                lines.clear();
                return (Codec::Lz4, payload);
            }
        }
        // The lines themselves are the payload, and its buffer takes the next ones.
        std::mem::swap(lines, &mut payload);
        (Codec::Plain, payload)
    }

    /// Takes back the buffers of frames that are durable, except for huge ones.
    fn take_back(&mut self, frames: Vec<Frame>) {
        for mut payload in frames.into_iter().map(|frame| frame.payload) {
            if payload.capacity() <= SPARE_BYTES {
                payload.clear();
                self.spare.push(payload);
            }
        }
        if self.room.len() > SPARE_BYTES {
            self.room = Vec::new();
        }
        if matches!(self.table, CompressTable::Large(_)) {
            self.table = CompressTable::default();
        }
    }
}

/// The payload of JSON lines, as the log writer writes it.
pub fn encode(mut lines: Vec<u8>) -> (Codec, Vec<u8>) {
    Packer::default().pack(&mut lines)
}

/// The JSON lines of a frame.
///
/// # Errors
/// Invalid when the payload is not what its codec says.
pub fn decode(frame: &Frame) -> Result<Vec<u8>, StoreError> {
    match frame.codec {
        Codec::Plain => Ok(frame.payload.clone()),
        Codec::Lz4 => decompress(&frame.payload).map_err(|error| {
            StoreError::Invalid(format!("frame {} of partition {}: {error}", frame.seq, frame.partition))
        }),
    }
}

/// A renewal, of which the node hears before it ends when it takes long. One that outlasts the lease is given up: where its connection is dead
/// without a word, another may be answered at once.
async fn renewed_in_sight<T>(
    shared: &QueuedLogWriter,
    renewal: impl Future<Output = Result<T, StoreError>> + Send,
    lease: Duration,
) -> Result<T, StoreError> {
    let mut renewal = pin!(renewal);
    if let Ok(renewed) = timeout(lease / 3, renewal.as_mut()).await {
        return renewed;
    }
    shared.lease_renewed.store(false, Ordering::Relaxed);
    let late = |_| Err(StoreError::Unavailable("no answer within the lease".to_owned()));
    timeout(lease - lease / 3, renewal).await.unwrap_or_else(late)
}

/// The length that stands before a block is a claim like all else in it: memory is set aside only for what the block can hold.
fn decompress(payload: &[u8]) -> Result<Vec<u8>, String> {
    /// A byte of a block stands for at most so many of the lines: a match grows by 255 with each further byte of its length
    /// (<https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md>).
    const MOST_PER_BYTE: usize = 255;
    let (length, block) = uncompressed_size(payload).map_err(|error| error.to_string())?;
    if length > block.len().saturating_mul(MOST_PER_BYTE) {
        return Err(format!("{length} bytes are said to be in a block of {}", block.len()));
    }
    let lines = lz4_flex::block::decompress(block, length).map_err(|error| error.to_string())?;
    match lines.len() == length {
        true => Ok(lines),
        false => Err(format!("{length} bytes are said to be in the block, and {} are", lines.len())),
    }
}

/// Keeps the lease of a node for as long as the log writer lives; ends the node when another has taken the store, and when
/// its wall clock is not the store's.
pub async fn keep_lease(
    shared: Arc<QueuedLogWriter>,
    journal: Arc<dyn Journal>,
    partitions: Vec<Partition>,
    lease: Duration,
    on_fatal: OnFatal,
) {
    let mut wait = lease / 3;
    loop {
        tokio::time::sleep(wait).await;
        let asked = Asked::now(&*shared.clock);
        match renewed_in_sight(&shared, journal.renew(&partitions, lease), lease).await {
            Ok(store) => {
                if asked.too_much(&*shared.clock, store).is_some() {
                    shared.skewed.store(true, Ordering::Relaxed);
                    on_fatal(Fatal::Skewed);
                    return;
                }
                shared.set_lease(asked.since_boot() + lease);
                shared.lease_renewed.store(true, Ordering::Relaxed);
                wait = lease / 3;
            }
            Err(StoreError::Fenced) => {
                tracing::error!("another node has taken the store over");
                on_fatal(Fatal::Fenced);
                return;
            }
            Err(error) => {
                // An idle node hears of a store that is gone only so.
                let renewed = shared.lease_renewed.swap(false, Ordering::Relaxed);
                // Until the next one all writes are refused, and what failed once may have passed.
                wait = if renewed { lease / 60 } else { (wait * 2).min(lease / 3) };
                tracing::warn!(%error, "the lease could not be renewed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;
    use uuid::Uuid;

    fn read(codec: Codec, payload: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let at = Timestamp::default();
        decode(&Frame { partition: 0, seq: 1, epoch: 1, at, batch: Uuid::nil(), records: 1, codec, payload })
    }

    #[test]
    fn what_the_log_writer_writes_is_read_as_it_was() {
        for length in [0, 1, COMPRESS_FROM - 1, COMPRESS_FROM, 100_000] {
            for lines in [vec![b'a'; length], b"{\"e\":1}\n".repeat(length / 8)] {
                let (codec, payload) = encode(lines.clone());
                assert_eq!(codec == Codec::Lz4, lines.len() >= COMPRESS_FROM);
                assert_eq!(read(codec, payload).unwrap(), lines);
            }
        }
    }

    #[test]
    fn a_block_that_claims_more_than_it_can_hold_gets_no_memory() {
        let (_, payload) = encode(vec![b'a'; 100_000]);
        let claims = |length: u32| {
            let mut claiming = payload.clone();
            claiming[..4].copy_from_slice(&length.to_le_bytes());
            read(Codec::Lz4, claiming).unwrap_err().to_string()
        };
        for length in [u32::MAX, payload.len() as u32 * 255] {
            assert!(claims(length).contains("are said to be in a block"), "{}", claims(length));
        }
        assert!(claims(100_001).contains("and 100000 are"), "{}", claims(100_001));
        assert!(!claims(99_999).is_empty());
    }
}
