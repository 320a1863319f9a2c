//! How a follower follows: it gathers what it makes of frames, and writes it with its cursors in one transaction.

use super::feed::{Fed, Feed, Found, Progress};
use super::metrics::FollowerMetrics;
use super::{Follower, Origin, Unread};
use crate::domain::time::Timestamp;
use crate::ports::trace::Traced;
use crate::ports::{CursorMove, Followers, Journal, Made, Partition, Pass, SkippedRecord, Store, StoreError};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How long a follower lets frames gather: so many journeys share a transaction.
const PACE: Duration = Duration::from_millis(100);
/// Rows in one transaction, unless a single frame has more.
const ROWS: usize = 256;
/// Frames in one transaction.
const FRAMES: usize = 1_024;
/// Bytes of frames read at a time.
const READ_BYTES: usize = 1024 * 1024;
/// The shortest and the longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The followers of a node at work.
pub struct Following {
    tasks: Vec<JoinHandle<()>>,
    progress: Vec<Arc<Progress>>,
}

/// Makes anew all that a follower has made, from the first frame of a journal that is whole. Gives how many frames there were.
///
/// # Errors
/// What the store says. It can be asked again; meanwhile what it makes is not all there.
pub async fn remake(store: &Store, owned: &[Partition], follower: Box<dyn Follower>) -> Result<u64, StoreError> {
    let feed = Feed::new(super::interests());
    store.followers.restart_follower(owned, follower.name()).await?;
    let mut follow = Follow::new(store, &feed, follower, &Arc::default());
    let cursors = store.followers.cursors(Some(follow.follower.name())).await?;
    follow.places = cursors.into_iter().map(|cursor| (cursor.partition, cursor.seq)).collect();
    follow.catch_up().await?;
    Ok(follow.places.values().sum())
}

impl Following {
    /// Starts these followers. These partitions must be this node's, as it took them, and the feed be told of every batch from now on.
    /// `jobs` is told when there are new ones.
    pub fn start(
        store: &Store,
        feed: &Arc<Feed>,
        owned: &[Partition],
        followers: Vec<Box<dyn Follower>>,
        jobs: &Arc<Notify>,
    ) -> Self {
        feed.begin(owned);
        let (mut tasks, mut progress) = (Vec::new(), Vec::new());
        for follower in followers {
            let follow = Follow::new(store, feed, follower, jobs);
            progress.push(follow.progress.clone());
            tasks.push(tokio::spawn(follow.run()));
        }
        Self { tasks, progress }
    }

    /// All that runs by itself.
    pub fn tasks(&self) -> impl Iterator<Item = tokio::task::AbortHandle> + '_ {
        self.tasks.iter().map(JoinHandle::abort_handle)
    }

    /// Waits until every follower has read all of these partitions' frames.
    pub async fn caught_up(&self, tails: &[(u16, u64)]) {
        for progress in &self.progress {
            let mut places = progress.places.subscribe();
            let is_there = |places: &BTreeMap<u16, u64>| {
                tails.iter().all(|(partition, seq)| places.get(partition).is_some_and(|place| place >= seq))
            };
            if places.wait_for(is_there).await.is_err() {
                return;
            }
        }
    }

    /// Ends them where they are: what is not written is made again by whoever comes next.
    pub async fn stop(self) {
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
    }
}

struct Follow {
    follower: Box<dyn Follower>,
    journal: Arc<dyn Journal>,
    rows: Arc<dyn Followers>,
    feed: Arc<Feed>,
    /// Its number in the feed.
    reader: usize,
    places: BTreeMap<u16, u64>,
    progress: Arc<Progress>,
    /// When the newest frame that it has read was formed.
    read_at: Timestamp,
    /// Partitions whose earlier records were taken into memory.
    recalled: Vec<u16>,
    metrics: FollowerMetrics,
    /// Whoever does jobs.
    jobs: Arc<Notify>,
}

/// What was made and not written yet.
#[derive(Default)]
struct Gathered {
    ends: BTreeMap<u16, u64>,
    made: Made,
    frames: usize,
}

impl Follow {
    fn new(store: &Store, feed: &Arc<Feed>, follower: Box<dyn Follower>, jobs: &Arc<Notify>) -> Self {
        Self {
            journal: store.journal.clone(),
            rows: store.followers.clone(),
            feed: feed.clone(),
            reader: feed.join(),
            places: BTreeMap::new(),
            progress: feed.progress(follower.name()),
            read_at: Timestamp::default(),
            recalled: Vec::new(),
            metrics: FollowerMetrics::new(follower.name()),
            follower,
            jobs: jobs.clone(),
        }
    }

    async fn run(mut self) {
        let mut wait = RETRY.0;
        loop {
            let before = self.places.clone();
            let Err(error) = self.follow().await;
            self.progress.follows.store(false, Ordering::Release);
            if self.places != before {
                wait = RETRY.0;
            }
            if !matches!(error, StoreError::Collision) {
                self.metrics.failures.increment(1);
                let follower = self.follower.name();
                tracing::warn!(follower, %error, "a follower cannot go on: it tries again");
            }
            sleep(wait).await;
            wait = (wait * 2).min(RETRY.1);
        }
    }

    /// Follows until something fails. Collision: its cursors stand elsewhere.
    async fn follow(&mut self) -> Result<Infallible, StoreError> {
        let cursors = self.rows.begin_follower(self.follower.name(), self.follower.begins()).await?;
        self.places = cursors.into_iter().map(|cursor| (cursor.partition, cursor.seq)).collect();
        loop {
            self.catch_up().await?;
            self.progress.follows.store(true, Ordering::Release);
            loop {
                self.feed.has_news(self.reader).await;
                sleep(PACE).await;
                let Some(fed) = self.feed.next(self.reader) else { break };
                self.take(fed).await?;
            }
        }
    }

    /// Reads from the store all that it has not read and that is not in the feed.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        for partition in self.places.keys().copied().collect::<Vec<_>>() {
            let last = self.feed.stored(self.reader, partition);
            self.catch_up_with(partition, last).await?;
        }
        self.tell();
        Ok(())
    }

    /// Reads from the store what it has not read of a partition, up to this frame.
    async fn catch_up_with(&mut self, partition: u16, last: u64) -> Result<(), StoreError> {
        loop {
            let place = self.places[&partition];
            if place >= last {
                return Ok(());
            }
            let frames = self.journal.frames(partition, place, READ_BYTES).await?;
            if frames.is_empty() {
                return Ok(());
            }
            let mut gathered = Gathered::default();
            for frame in frames.into_iter().take_while(|frame| frame.seq <= last) {
                self.add(&Fed::new(frame), &mut gathered).await?;
            }
            self.write(&mut gathered).await?;
        }
    }

    async fn take(&mut self, fed: Vec<Arc<Fed>>) -> Result<(), StoreError> {
        let mut gathered = Gathered::default();
        for fed in fed {
            let (partition, seq) = (fed.frame.partition, fed.frame.seq);
            if seq > self.end(&gathered, partition) + 1 {
                // An owner before this one wrote them, or they came between a failure and this.
                self.write(&mut gathered).await?;
                self.catch_up_with(partition, seq - 1).await?;
            }
            if seq > self.end(&gathered, partition) {
                self.add(&fed, &mut gathered).await?;
            }
        }
        self.write(&mut gathered).await?;
        self.tell();
        Ok(())
    }

    /// The last frame of a partition of which everything is made, written or not.
    fn end(&self, gathered: &Gathered, partition: u16) -> u64 {
        gathered.ends.get(&partition).or_else(|| self.places.get(&partition)).copied().unwrap_or(0)
    }

    /// Makes what follows from the next frame of its partition.
    async fn add(&mut self, fed: &Fed, gathered: &mut Gathered) -> Result<(), StoreError> {
        let (partition, seq) = (fed.frame.partition, fed.frame.seq);
        let end = self.end(gathered, partition);
        if seq != end + 1 {
            return Err(StoreError::Invalid(format!(
                "frame {seq} of partition {partition} follows frame {end}: frames are missing"
            )));
        }
        for found in fed.records(self.feed.wanted())? {
            match found {
                Found::Read(record, position) => {
                    let (entity, version) = record.place();
                    if !self.follower.reads(entity.kind) {
                        continue;
                    }
                    let origin = Origin { batch: fed.frame.batch, partition, position: *position };
                    let jobs = gathered.made.jobs.len();
                    let mut read = self.follower.read(record, origin, &mut gathered.made);
                    if read.is_err() && !self.recalled.contains(&partition) {
                        self.recall(partition, seq).await?;
                        read = self.follower.read(record, origin, &mut gathered.made);
                    }
                    if let Some(Traced { context, since }) = fed.traced(entity, version) {
                        // Before they are written: whoever does them may be quick.
                        gathered.made.jobs[jobs..].iter().for_each(|job| context.sets_off(job.id, since));
                    }
                    if let Err(Unread::Forgotten) = read {
                        let reason = "what it follows from is not in the store any more".to_owned();
                        gathered.made.skipped.push(SkippedRecord { entity, version, reason });
                    }
                }
                Found::Broken(entity, version, reason) => {
                    if self.follower.reads(entity.kind) {
                        let (entity, version, reason) = (*entity, *version, reason.clone());
                        gathered.made.skipped.push(SkippedRecord { entity, version, reason });
                    }
                }
            }
        }
        gathered.ends.insert(partition, seq);
        self.read_at = self.read_at.max(fed.frame.at);
        gathered.frames += 1;
        if gathered.made.rows() >= ROWS || gathered.frames >= FRAMES {
            self.write(gathered).await?;
        }
        Ok(())
    }

    /// Takes into memory what the records before this frame leave there.
    async fn recall(&mut self, partition: u16, before: u64) -> Result<(), StoreError> {
        let partitions = self.journal.partitions().await?;
        let mut place = partitions.iter().find(|found| found.id == partition).map_or(0, |found| found.base_seq);
        'reading: loop {
            let frames = self.journal.frames(partition, place, READ_BYTES).await?;
            if frames.is_empty() {
                break;
            }
            for frame in frames {
                if frame.seq >= before {
                    break 'reading;
                }
                place = frame.seq;
                for found in Fed::new(frame).records(self.feed.wanted())? {
                    if let Found::Read(record, _) = found
                        && self.follower.reads(record.place().0.kind)
                    {
                        self.follower.recall(record);
                    }
                }
            }
        }
        self.recalled.push(partition);
        Ok(())
    }

    /// Writes what was gathered.
    async fn write(&mut self, gathered: &mut Gathered) -> Result<(), StoreError> {
        let Gathered { ends, made, .. } = std::mem::take(gathered);
        let moves: Vec<CursorMove> =
            ends.iter().map(|(partition, end)| (*partition, self.places[partition], *end)).collect();
        if moves.is_empty() {
            return Ok(());
        }
        for record in &made.skipped {
            let SkippedRecord { entity, version, reason } = record;
            let follower = self.follower.name();
            tracing::error!(follower, %entity, version, reason, "a follower cannot read a record, and leaves it out");
        }
        let pass = Pass { follower: self.follower.name(), moves: &moves, made: &made };
        if !self.rows.pass(pass).await? {
            return Err(StoreError::Collision);
        }
        self.places.extend(ends);
        self.metrics.passes.increment(1);
        self.metrics.rows.increment((made.stock_changes.len() + made.jobs.len()) as u64);
        if !made.jobs.is_empty() {
            self.jobs.notify_one();
        }
        self.metrics.skipped.increment(made.skipped.len() as u64);
        self.progress.places.send_replace(self.places.clone());
        Ok(())
    }

    /// Tells how many frames it is behind.
    fn tell(&self) {
        self.progress.places.send_replace(self.places.clone());
        // Not before: partitions are caught up with one by one, and one that is read to its end says nothing of those behind it.
        self.progress.at.fetch_max(self.read_at.as_millis(), Ordering::Relaxed);
        let behind = self.feed.behind(&self.places);
        self.metrics.lag.set(behind as f64);
    }
}
