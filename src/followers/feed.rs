//! The frames that were committed last. Whoever keeps up with them reads no store, and each record is decoded once, by whoever comes to it first.

use super::{AnyRecord, Interest};
use crate::domain::ids::{EntityRef, Kind};
use crate::domain::record::RawRecord;
use crate::domain::time::Timestamp;
use crate::persistence::log_writer::decode;
use crate::ports::standing::FollowerStanding;
use crate::ports::trace::{Traced, TracedRecord};
use crate::ports::{Frame, Partition, StoreError};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::{Notify, watch};

/// What frames in memory may take. Past it the oldest go, and who has not read them yet reads them from the store.
const BYTES: usize = 16 * 1024 * 1024;

/// A record as a follower finds it.
#[derive(Debug)]
pub(super) enum Found {
    /// With its position among all records of the frame.
    Read(AnyRecord, u32),
    /// It cannot be decoded.
    Broken(EntityRef, u64, String),
}

/// The sampled records of a batch, by entity and version. Of what is read from the store nobody knows any.
type Sampled = Option<Arc<BTreeMap<(EntityRef, u64), Traced>>>;

/// A frame, and its records once someone has asked for them.
pub(super) struct Fed {
    pub(super) frame: Frame,
    records: OnceLock<Result<Vec<Found>, String>>,
    sampled: Sampled,
}

impl Fed {
    pub(super) fn new(frame: Frame) -> Self {
        Self { frame, records: OnceLock::new(), sampled: None }
    }

    /// The trace of a record, if that is sampled and was not read from the store.
    pub(super) fn traced(&self, entity: EntityRef, version: u64) -> Option<Traced> {
        self.sampled.as_ref()?.get(&(entity, version)).copied()
    }

    /// Its records that a follower reads.
    ///
    /// # Errors
    /// Invalid when the frame itself cannot be read.
    pub(super) fn records(&self, wanted: &[Interest]) -> Result<&[Found], StoreError> {
        let records = self.records.get_or_init(|| decode_frame(&self.frame, wanted).map_err(|error| error.to_string()));
        records.as_deref().map_err(|error| StoreError::Invalid(error.clone()))
    }
}

/// What stands before the kind in a line.
const HEAD: &[u8] = br#"{"e":""#;

/// The kind of whose record a line is, without reading it.
fn kind_of(line: &[u8]) -> Option<Kind> {
    let rest = line.strip_prefix(HEAD)?;
    let end = rest.iter().position(|byte| *byte == b'_')?;
    Kind::from_name(std::str::from_utf8(&rest[..end]).ok()?)
}

fn decode_frame(frame: &Frame, wanted: &[Interest]) -> Result<Vec<Found>, StoreError> {
    let lines = decode(frame)?;
    let mut found = Vec::new();
    for (position, line) in (0..).zip(lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())) {
        let broken = |error: serde_json::Error| {
            let (seq, partition) = (frame.seq, frame.partition);
            StoreError::Invalid(format!("a record in frame {seq} of partition {partition}: {error}"))
        };
        let kind = match kind_of(line) {
            Some(kind) => kind,
            // Not as this version writes it.
            None => serde_json::from_slice::<RawRecord<'_>>(line).map_err(broken)?.entity.kind,
        };
        if !wanted.iter().any(|interest| interest.has(kind, line)) {
            continue;
        }
        found.push(match AnyRecord::parse(kind, line) {
            Ok(record) => Found::Read(record, position),
            Err(error) => {
                let raw: RawRecord<'_> = serde_json::from_slice(line).map_err(broken)?;
                Found::Broken(raw.entity, raw.version, error.to_string())
            }
        });
    }
    Ok(found)
}

#[derive(Default)]
struct Tail {
    frames: VecDeque<Arc<Fed>>,
    /// The number of the first of them; they are counted from 0.
    first: u64,
    bytes: usize,
    /// How far each reader has come.
    readers: Vec<u64>,
    /// The newest frame of each partition.
    newest: BTreeMap<u16, u64>,
}

impl Tail {
    fn end(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    fn drop_first(&mut self) {
        if let Some(fed) = self.frames.pop_front() {
            self.bytes -= fed.frame.payload.len();
            self.first += 1;
        }
    }
}

/// How far a follower has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The last frame of each partition of which everything is written.
    pub(super) places: watch::Sender<BTreeMap<u16, u64>>,
    /// Everything that was committed before this is written, in milliseconds.
    pub(super) at: AtomicI64,
    /// Whether it has read all there was when it began, or began anew.
    pub(super) follows: AtomicBool,
}

/// The newest frames, for all followers of a node.
pub struct Feed {
    tail: Mutex<Tail>,
    progress: Mutex<BTreeMap<&'static str, Arc<Progress>>>,
    /// Told when there are more frames. Whoever waits is woken in the order of waiting, in every run of a simulation; a `watch` would choose.
    news: Notify,
    wanted: Vec<Interest>,
}

impl Feed {
    /// A feed in which nothing is yet, of whose records these are read.
    pub fn new(wanted: Vec<Interest>) -> Arc<Self> {
        Arc::new(Self { tail: Mutex::default(), progress: Mutex::default(), news: Notify::new(), wanted })
    }

    pub(super) fn wanted(&self) -> &[Interest] {
        &self.wanted
    }

    /// These frames are durable, and these of their records are sampled.
    pub fn committed(&self, frames: &[Frame], traced: &[TracedRecord]) {
        let is_read = |record: &&TracedRecord| self.wanted.iter().any(|wanted| wanted.kind == record.entity.kind);
        let of = |record: &TracedRecord| ((record.entity, record.version), record.traced);
        let sampled: BTreeMap<_, _> = traced.iter().filter(is_read).map(of).collect();
        let sampled = (!sampled.is_empty()).then(|| Arc::new(sampled));
        let mut tail = self.tail.lock();
        tail.newest.extend(frames.iter().map(|frame| (frame.partition, frame.seq)));
        if tail.readers.is_empty() {
            return;
        }
        for frame in frames {
            tail.bytes += frame.payload.len();
            tail.frames.push_back(Arc::new(Fed { sampled: sampled.clone(), ..Fed::new(frame.clone()) }));
        }
        while tail.bytes > BYTES {
            tail.drop_first();
        }
        self.news.notify_waiters();
    }

    /// As of when is what this follower has made: now, when it has read everything there is.
    pub fn as_of(&self, follower: &str, now: Timestamp) -> Timestamp {
        let progress = self.progress.lock().get(follower).cloned();
        let Some(progress) = progress else { return Timestamp::default() };
        match progress.follows.load(Ordering::Acquire) && self.behind(&progress.places.borrow()) == 0 {
            true => now,
            false => Timestamp::from_millis(progress.at.load(Ordering::Relaxed)),
        }
    }

    /// How this follower stands.
    pub fn standing(&self, name: &'static str, now: Timestamp) -> FollowerStanding {
        let progress = self.progress.lock().get(name).cloned();
        let (follows, lag_frames) = progress.map_or((false, 0), |progress| {
            (progress.follows.load(Ordering::Acquire), self.behind(&progress.places.borrow()))
        });
        FollowerStanding { name, follows, lag_frames, as_of: self.as_of(name, now) }
    }

    /// Where this follower tells how far it has come.
    pub(super) fn progress(&self, follower: &'static str) -> Arc<Progress> {
        self.progress.lock().entry(follower).or_default().clone()
    }

    /// One more reads it, from now on. Gives its number.
    pub(super) fn join(&self) -> usize {
        let mut tail = self.tail.lock();
        let end = tail.end();
        tail.readers.push(end);
        tail.readers.len() - 1
    }

    /// Of these partitions this node writes, and so much each of them had before its first batch.
    pub(super) fn begin(&self, owned: &[Partition]) {
        let mut tail = self.tail.lock();
        for partition in owned {
            tail.newest.entry(partition.id).or_insert(partition.tail_seq);
        }
    }

    /// Up to which frame of this partition a reader goes by the store: what comes after it is in the feed, or will be, and has its traces there.
    pub(super) fn stored(&self, reader: usize, partition: u16) -> u64 {
        let tail = self.tail.lock();
        let behind = usize::try_from(tail.readers[reader].saturating_sub(tail.first)).unwrap_or(usize::MAX);
        let mut unread = tail.frames.iter().skip(behind).map(|fed| &fed.frame);
        match unread.find(|frame| frame.partition == partition) {
            Some(frame) => frame.seq - 1,
            // Nobody writes where the feed knows of no frame.
            None => tail.newest.get(&partition).copied().unwrap_or(u64::MAX),
        }
    }

    /// What has come since this reader last asked; `None` when some of it is gone, and what is left comes next. What has been given is behind it then.
    pub(super) fn next(&self, reader: usize) -> Option<Vec<Arc<Fed>>> {
        let mut tail = self.tail.lock();
        let Some(behind) = tail.readers[reader].checked_sub(tail.first) else {
            tail.readers[reader] = tail.first;
            return None;
        };
        let next = tail.frames.iter().skip(usize::try_from(behind).ok()?).cloned().collect();
        tail.readers[reader] = tail.end();
        self.forget(&mut tail);
        Some(next)
    }

    fn forget(&self, tail: &mut Tail) {
        let read = tail.readers.iter().copied().min().unwrap_or(u64::MAX);
        while tail.first < read && !tail.frames.is_empty() {
            tail.drop_first();
        }
    }

    /// How many frames there are after these places.
    pub(super) fn behind(&self, places: &BTreeMap<u16, u64>) -> u64 {
        let newest = &self.tail.lock().newest;
        let behind =
            |(partition, place): (&u16, &u64)| newest.get(partition).map_or(0, |seq| seq.saturating_sub(*place));
        places.iter().map(behind).sum()
    }

    /// Waits until there is something that this reader has not read.
    pub(super) async fn has_news(&self, reader: usize) {
        loop {
            // From here on it misses nothing.
            let news = self.news.notified();
            {
                let tail = self.tail.lock();
                if tail.end() > tail.readers[reader] {
                    return;
                }
            }
            news.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{EntityId, OrderId, VendorId};
    use crate::ports::Codec;
    use crate::ports::trace::{Spans, Tracer};
    use metrics::Counter;
    use tokio::time::Instant;
    use uuid::Uuid;

    const VENDORS: Interest = Interest { kind: Kind::Vendor, contains: &[] };

    fn frame(seq: u64, payload: &[u8]) -> Frame {
        let (batch, at) = (Uuid::nil(), Timestamp::from_millis(1));
        Frame { partition: 3, seq, epoch: 1, at, batch, records: 1, codec: Codec::Plain, payload: payload.to_vec() }
    }

    fn seqs(fed: Option<Vec<Arc<Fed>>>) -> Option<Vec<u64>> {
        fed.map(|fed| fed.iter().map(|fed| fed.frame.seq).collect())
    }

    #[test]
    fn each_reader_is_given_what_has_come_since_it_asked() {
        let feed = Feed::new(vec![VENDORS]);
        feed.committed(&[frame(1, b"")], &[]);
        let (one, other) = (feed.join(), feed.join());
        feed.committed(&[frame(2, b""), frame(3, b"")], &[]);
        assert_eq!(seqs(feed.next(one)), Some(vec![2, 3]));
        feed.committed(&[frame(4, b"")], &[]);
        assert_eq!(seqs(feed.next(one)), Some(vec![4]));
        assert_eq!(seqs(feed.next(one)), Some(vec![]));
        assert_eq!(feed.behind(&BTreeMap::from([(3, 2)])), 2);
        assert_eq!(seqs(feed.next(other)), Some(vec![2, 3, 4]));
        assert_eq!(feed.tail.lock().frames.len(), 0, "all have read all");
        assert_eq!(seqs(feed.next(other)), Some(vec![]));
    }

    #[test]
    fn what_is_made_is_as_old_as_what_was_read_last() {
        let (feed, now) = (Feed::new(vec![VENDORS]), Timestamp::from_millis(99));
        assert_eq!(feed.as_of("one", now), Timestamp::default(), "nobody has read anything");
        let (reader, progress) = (feed.join(), feed.progress("one"));
        progress.places.send_replace(BTreeMap::from([(3, 0)]));
        assert_eq!(feed.as_of("one", now), Timestamp::default(), "what is in the store was not read yet");
        progress.follows.store(true, Ordering::Release);
        assert_eq!(feed.as_of("one", now), now);
        feed.committed(&[frame(1, b""), frame(2, b"")], &[]);
        progress.places.send_replace(BTreeMap::from([(3, 1)]));
        progress.at.store(7, Ordering::Relaxed);
        assert_eq!(feed.as_of("one", now), Timestamp::from_millis(7), "a frame is missing");
        progress.places.send_replace(BTreeMap::from([(3, 2)]));
        assert_eq!(feed.as_of("one", now), now);
        assert_eq!(feed.next(reader).map(|fed| fed.len()), Some(2));
    }

    #[test]
    fn who_is_too_far_behind_is_told_so() {
        let feed = Feed::new(vec![VENDORS]);
        let (slow, quick) = (feed.join(), feed.join());
        let large = vec![b' '; BYTES / 2];
        for seq in 1..=3 {
            feed.committed(&[frame(seq, &large)], &[]);
            assert_eq!(seqs(feed.next(quick)), Some(vec![seq]));
        }
        assert!(feed.tail.lock().bytes <= BYTES);
        assert_eq!(seqs(feed.next(slow)), None);
        feed.committed(&[frame(4, b"")], &[]);
        assert_eq!(feed.stored(slow, 3), 1, "the first is gone");
        assert_eq!(seqs(feed.next(slow)), Some(vec![2, 3, 4]));
    }

    /// What is committed while a reader reads the store is left to the feed, which alone knows its traces.
    #[test]
    fn what_is_fed_is_not_read_from_the_store() {
        let feed = Feed::new(vec![VENDORS]);
        let (reader, other) = (feed.join(), feed.join());
        assert_eq!(feed.stored(reader, 3), u64::MAX, "nobody writes");
        let partition = |id, tail_seq| Partition { id, epoch: 1, tail_seq, checkpoint_seq: 0, base_seq: 0 };
        feed.begin(&[partition(3, 7), partition(4, 9)]);
        assert_eq!((feed.stored(reader, 3), feed.stored(reader, 4)), (7, 9));
        feed.committed(&[frame(8, b""), frame(9, b"")], &[]);
        assert_eq!((feed.stored(reader, 3), feed.stored(reader, 4)), (7, 9));
        assert_eq!(seqs(feed.next(reader)), Some(vec![8, 9]));
        feed.committed(&[frame(10, b"")], &[]);
        assert_eq!((feed.stored(reader, 3), feed.stored(other, 3)), (9, 7));
        assert_eq!(seqs(feed.next(reader)), Some(vec![10]));
        assert_eq!(feed.stored(reader, 3), 10);
    }

    #[test]
    fn only_records_of_the_wanted_kinds_are_decoded() {
        let vendor = crate::domain::ids::VendorId::from_uuid(Uuid::from_u128(1));
        let cart = crate::domain::ids::CartId::from_uuid(Uuid::from_u128(2));
        let lines = format!(
            "{{\"e\":\"{cart}\",\"v\":1,\"at\":1,\"ev\":[{{\"type\":\"of_no_kind\"}}]}}\n\
             {{\"e\":\"{vendor}\",\"v\":1,\"at\":1,\"ev\":[{{\"type\":\"vendor_created\",\"name\":\"A\"}}]}}\n\
             {{\"v\":2,\"e\":\"{vendor}\",\"at\":1,\"ev\":[{{\"type\":\"of_no_kind\"}}]}}\n"
        );
        let fed = Fed::new(frame(1, lines.as_bytes()));
        let found = fed.records(&[VENDORS]).expect("the frame is sound");
        assert!(matches!(&found[0], Found::Read(AnyRecord::Vendor(record), 1) if record.version == 1));
        assert!(matches!(&found[1], Found::Broken(_, 2, _)));
        assert_eq!(found.len(), 2);
        let some = |texts| [Interest { contains: texts, ..VENDORS }];
        let of = |texts: &'static [&'static [u8]]| {
            Fed::new(frame(1, lines.as_bytes())).records(&some(texts)).expect("the frame is sound").len()
        };
        assert_eq!((of(&[b"vendor_created"]), of(&[b"of_no_kind"]), of(&[b"of_another"])), (1, 1, 0));
        assert!(Fed::new(frame(1, b"no record")).records(&[VENDORS]).is_err());
    }

    /// A trace stays with its record until that is read; what is read from the store has none.
    #[tokio::test(start_paused = true)]
    async fn a_sampled_record_keeps_its_trace() {
        let (spans, _queue) = Spans::new(1, 1, Counter::noop());
        let tracer = Tracer::new(Box::leak(Box::new(spans)), "1".parse().expect("a share"));
        let context = tracer.request(None, "one".to_owned(), Instant::now()).context();
        let traced = Traced { context, since: Instant::now() };
        let vendor = VendorId::from_uuid(Uuid::from_u128(1)).entity();
        let order = OrderId::from_uuid(Uuid::from_u128(2)).entity();
        let feed = Feed::new(vec![VENDORS]);
        let reader = feed.join();
        let sampled = |entity| TracedRecord { entity, version: 7, traced };
        feed.committed(&[frame(1, b""), frame(2, b"")], &[sampled(vendor), sampled(order)]);
        feed.committed(&[frame(3, b"")], &[sampled(order)]);
        let fed = feed.next(reader).expect("all is there");
        let of = |at: usize, entity, version| fed[at].traced(entity, version).map(|it| it.context.trace());
        assert_eq!((of(0, vendor, 7), of(1, vendor, 7)), (Some(context.trace()), Some(context.trace())));
        assert_eq!((of(0, vendor, 8), of(0, order, 7), of(2, vendor, 7)), (None, None, None), "nobody reads orders");
        assert!(fed[2].sampled.is_none(), "nothing is made for it");
        assert!(Fed::new(frame(1, b"")).traced(vendor, 7).is_none());
    }
}
