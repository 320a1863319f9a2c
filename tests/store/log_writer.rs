//! The log writer and the checkpointer, on a journal that fails as it is told to.

use crate::fixture::Fixture;
use crate::samples::{delta, order_id, part};
use async_trait::async_trait;
use haat::adapters::clock::{Readings, SteadyClock, SystemClock};
use haat::domain::details::Detail;
use haat::domain::ids::{EntityId, EntityRef};
use haat::domain::time::Timestamp;
use haat::persistence::checkpointer::{CheckpointSettings, Checkpointer};
use haat::persistence::log_writer::{Fatal, QueuedLogWriter, keep_lease, run};
use haat::ports::{
    Append, Clock, Committed, EntityDelta, Frame, Journal, LogWriter, Partition, StateSource, StoreError, WakeAt,
};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// A journal in nobody's memory.
#[derive(Default)]
struct Nowhere {
    takes_nothing: AtomicBool,
    renewals: AtomicUsize,
    /// Renewals that fail before one is granted.
    failing: AtomicUsize,
    /// Batches that were written.
    appends: AtomicUsize,
    /// What its clock shows; none, if it has none.
    shows: Mutex<Option<Timestamp>>,
    /// How often it was asked what its clock shows.
    asked: AtomicUsize,
    /// What happens while the answer to the next renewal is on its way.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

#[async_trait]
impl Journal for Nowhere {
    async fn acquire(&self, _: &str, _: Duration, _: Timestamp) -> Result<Vec<Partition>, StoreError> {
        Ok(Vec::new())
    }
    async fn partitions(&self) -> Result<Vec<Partition>, StoreError> {
        Ok(Vec::new())
    }
    async fn append(&self, _: &[Frame], _: &[Detail]) -> Result<(), StoreError> {
        match self.takes_nothing.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("as it was told to".into())),
            false => {
                self.appends.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        }
    }
    async fn committed(&self, _: &[Frame]) -> Result<Committed, StoreError> {
        Ok(Committed::Nothing)
    }
    async fn frames(&self, _: u16, _: u64, _: usize) -> Result<Vec<Frame>, StoreError> {
        Ok(Vec::new())
    }
    async fn drop_frames(&self, _: u16, _: u64) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn renew(&self, _: &[Partition], _: Duration) -> Result<Option<Timestamp>, StoreError> {
        self.renewals.fetch_add(1, Ordering::SeqCst);
        let meanwhile = self.meanwhile.lock().expect("no panic").take();
        meanwhile.into_iter().for_each(|happens| happens());
        let fails = self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |failing| failing.checked_sub(1));
        match fails {
            Ok(_) => Err(StoreError::Unavailable("as it was told to".into())),
            Err(_) => Ok(*self.shows.lock().expect("no panic")),
        }
    }
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.takes_nothing.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("as it was told to".into())),
            false => Ok(*self.shows.lock().expect("no panic")),
        }
    }
    async fn release(&self, _: &[Partition]) -> Result<(), StoreError> {
        Ok(())
    }
}

fn partitions() -> Vec<Partition> {
    (0..16).map(|id| Partition { id, epoch: 1, tail_seq: 1, checkpoint_seq: 0, base_seq: 0 }).collect()
}

/// A log writer on this journal, and what it ended of.
fn start(journal: Arc<dyn Journal>, partitions: Vec<Partition>) -> (Arc<QueuedLogWriter>, mpsc::Receiver<Fatal>) {
    start_by(Arc::new(SystemClock::default()), journal, partitions)
}

/// The same by this clock.
fn start_by(
    clock: Arc<dyn Clock>,
    journal: Arc<dyn Journal>,
    partitions: Vec<Partition>,
) -> (Arc<QueuedLogWriter>, mpsc::Receiver<Fatal>) {
    let (send, ended) = mpsc::channel(1);
    let log_writer = QueuedLogWriter::new(clock.clone());
    let on_fatal = Arc::new(move |fatal| {
        let _ = send.try_send(fatal);
    });
    tokio::spawn(run(log_writer.clone(), journal, clock, partitions, Default::default(), on_fatal));
    (log_writer, ended)
}

fn append(log_writer: &QueuedLogWriter, entity: EntityRef, version: u64) {
    let record = b"{}".to_vec();
    log_writer.append(Append { entity, version, record, details: Vec::new(), on_durable: None, trace: None });
}

/// An entity that an old snapshot was loaded of, or that two actors write, repeats a version. The log writer remembers what no snapshot need
/// hold yet.
#[tokio::test]
async fn a_version_is_checked_also_against_the_boundary_before() {
    for (barriers, wrong) in [(0, 1), (0, 3), (1, 1), (1, 3)] {
        let (log_writer, mut ended) = start(Arc::new(Nowhere::default()), partitions());
        let entity = order_id("one").entity();
        append(&log_writer, entity, 1);
        for _ in 0..barriers {
            log_writer.barrier().await.expect("the log writer lives");
        }
        append(&log_writer, entity, wrong);
        let fatal = tokio::time::timeout(Duration::from_secs(5), ended.recv()).await;
        assert_eq!(fatal, Ok(Some(Fatal::Broken)), "version {wrong} after {barriers} barriers");
    }
}

#[tokio::test]
async fn a_version_that_follows_is_taken_across_barriers() {
    let (log_writer, mut ended) = start(Arc::new(Nowhere::default()), partitions());
    let entity = order_id("one").entity();
    for version in 1..=4 {
        append(&log_writer, entity, version);
        log_writer.barrier().await.expect("the log writer lives");
        if version == 2 {
            // A barrier without anything: after it only a snapshot knows the entity.
            log_writer.barrier().await.expect("the log writer lives");
        }
    }
    assert!(ended.try_recv().is_err());
}

/// A barrier that nobody waited for was none: what it named is still to be written, and still known.
#[tokio::test]
async fn a_boundary_that_nobody_took_forgets_nothing() {
    let (log_writer, _ended) = start(Arc::new(Nowhere::default()), partitions());
    let entity = order_id("one").entity();
    append(&log_writer, entity, 1);
    {
        let mut unwanted = std::pin::pin!(log_writer.barrier());
        assert!(futures::poll!(&mut unwanted).is_pending());
    }
    let barrier = log_writer.barrier().await.expect("the log writer lives");
    assert_eq!(barrier.changed.get(&entity), Some(&1));
}

/// The lease is kept on a connection of its own. That it can be renewed does not make the store take batches.
#[tokio::test(start_paused = true)]
async fn a_renewed_lease_does_not_hide_that_the_store_takes_no_batch() {
    let journal = Arc::new(Nowhere::default());
    let (log_writer, _ended) = start(journal.clone(), partitions());
    let keep = keep_lease(log_writer.clone(), journal.clone(), partitions(), Duration::from_secs(3), Arc::new(|_| {}));
    tokio::spawn(keep);
    journal.takes_nothing.store(true, Ordering::SeqCst);
    append(&log_writer, order_id("one").entity(), 1);
    while journal.renewals.load(Ordering::SeqCst) < 3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!log_writer.pressure().store_available, "the batch is still not there");
    journal.takes_nothing.store(false, Ordering::SeqCst);
    log_writer.drained().await;
    assert!(log_writer.pressure().store_available);
}

/// A renewal that failed says little of the next: writes are refused until that, and not for a third of the lease.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_failed_is_asked_for_again_soon() {
    let journal = Arc::new(Nowhere { failing: AtomicUsize::new(2), ..Nowhere::default() });
    let (log_writer, _ended) = start(journal.clone(), partitions());
    let lease = Duration::from_secs(6);
    tokio::spawn(keep_lease(log_writer.clone(), journal.clone(), partitions(), lease, Arc::new(|_| {})));
    while log_writer.pressure().store_available {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let failed = tokio::time::Instant::now();
    while !log_writer.pressure().store_available {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(failed.elapsed() < lease / 10, "{:?} without the store", failed.elapsed());
    // Not without end: one that stays away is asked for as often as ever.
    journal.failing.store(1_000, Ordering::SeqCst);
    let asked = journal.renewals.load(Ordering::SeqCst);
    tokio::time::sleep(lease * 20).await;
    assert!(journal.renewals.load(Ordering::SeqCst) - asked <= 70);
}

/// What the clocks of a machine show that sleeps when it is told to, and whose wall clock is set by hand. Awake they go
/// by the runtime's time, which stands still meanwhile.
struct Machine {
    begun: tokio::time::Instant,
    slept_ms: AtomicU64,
    wrong_ms: AtomicI64,
}

impl Readings for Machine {
    fn wall_ms(&self) -> i64 {
        NOW.as_millis() + self.since_boot().as_millis() as i64 + self.wrong_ms.load(Ordering::SeqCst)
    }
    fn since_boot(&self) -> Duration {
        self.begun.elapsed() + Duration::from_millis(self.slept_ms.load(Ordering::SeqCst))
    }
}

/// 2027-01-15.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn machine() -> (Arc<Machine>, Arc<dyn Clock>) {
    let begun = tokio::time::Instant::now();
    let machine = Arc::new(Machine { begun, slept_ms: AtomicU64::new(0), wrong_ms: AtomicI64::new(0) });
    (machine.clone(), Arc::new(SteadyClock::over(machine)))
}

/// While a machine sleeps another node takes the store: what it answered when it wakes could be old.
#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_past_its_lease_answers_nothing_until_it_is_renewed() {
    let lease = Duration::from_secs(3);
    let (machine, clock) = machine();
    let journal = Arc::new(Nowhere::default());
    let (log_writer, _ended) = start_by(clock.clone(), journal.clone(), partitions());
    assert!(log_writer.may_answer(), "nobody else can take it");
    log_writer.set_lease(clock.since_boot() + lease);
    machine.slept_ms.store(2_999, Ordering::SeqCst);
    assert!(log_writer.may_answer());
    machine.slept_ms.store(3_000, Ordering::SeqCst);
    assert!(!log_writer.may_answer(), "the runtime's own clock has not moved, and would say yes");
    tokio::spawn(keep_lease(log_writer.clone(), journal.clone(), partitions(), lease, Arc::new(|_| {})));
    while journal.renewals.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(log_writer.may_answer(), "renewed after it woke");
    machine.slept_ms.fetch_add(60_000, Ordering::SeqCst);
    assert!(!log_writer.may_answer());
}

/// What a renewal grants counts from when it was asked for: the store may have said so before the machine slept.
#[tokio::test(start_paused = true)]
async fn a_machine_that_sleeps_while_its_lease_is_renewed_answers_nothing_by_it() {
    let lease = Duration::from_secs(3);
    let (machine, clock) = machine();
    let journal = Arc::new(Nowhere::default());
    let (log_writer, _ended) = start_by(clock.clone(), journal.clone(), partitions());
    log_writer.set_lease(clock.since_boot() + lease);
    let sleeper = machine.clone();
    *journal.meanwhile.lock().expect("no panic") =
        Some(Box::new(move || _ = sleeper.slept_ms.fetch_add(3_000, Ordering::SeqCst)));
    tokio::spawn(keep_lease(log_writer.clone(), journal.clone(), partitions(), lease, Arc::new(|_| {})));
    for (renewals, may_answer) in [(1, false), (2, true)] {
        while journal.renewals.load(Ordering::SeqCst) < renewals {
            assert_eq!(log_writer.may_answer(), renewals == 1);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(log_writer.may_answer(), may_answer, "after {renewals}");
    }
}

/// A wall clock that is not the store's dates frames wrongly, and every later node has to follow them.
#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumps_away_from_the_stores_ends_the_node_before_a_frame() {
    for by in [65_000, 6 * 3_600_000, -65_000, -6 * 3_600_000] {
        let (machine, clock) = machine();
        let journal = Arc::new(Nowhere::default());
        let (log_writer, mut ended) = start_by(clock.clone(), journal.clone(), partitions());
        append(&log_writer, order_id("one").entity(), 1);
        log_writer.drained().await;
        assert_eq!(journal.asked.load(Ordering::SeqCst), 0, "no jump, no question");
        *journal.shows.lock().expect("no panic") = Some(clock.wall());
        machine.wrong_ms.store(by, Ordering::SeqCst);
        // As long as the store gives no answer nothing is written either.
        journal.takes_nothing.store(true, Ordering::SeqCst);
        append(&log_writer, order_id("one").entity(), 2);
        while journal.asked.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        *journal.shows.lock().expect("no panic") = Some(NOW.plus_millis(machine.begun.elapsed().as_millis() as i64));
        journal.takes_nothing.store(false, Ordering::SeqCst);
        assert_eq!(ended.recv().await, Some(Fatal::Skewed), "{by}");
        assert_eq!(journal.appends.load(Ordering::SeqCst), 1, "{by}");
    }
}

/// The store says that the jump was right: a machine that stood still under its hypervisor, say.
#[tokio::test(start_paused = true)]
async fn a_jump_that_the_store_confirms_is_followed() {
    let (machine, clock) = machine();
    let journal = Arc::new(Nowhere::default());
    let (log_writer, mut ended) = start_by(clock.clone(), journal.clone(), partitions());
    machine.wrong_ms.store(3_600_000, Ordering::SeqCst);
    *journal.shows.lock().expect("no panic") = Some(clock.wall());
    assert_eq!(clock.now(), NOW);
    append(&log_writer, order_id("one").entity(), 1);
    log_writer.drained().await;
    assert_eq!(clock.now(), clock.wall());
    assert_eq!(journal.appends.load(Ordering::SeqCst), 1);
    assert!(ended.try_recv().is_err());
}

/// Without a second clock there is nobody to ask: time goes on without the jump, and frames are written.
#[tokio::test(start_paused = true)]
async fn a_jump_on_a_store_without_a_clock_is_not_followed_and_ends_nothing() {
    let (machine, clock) = machine();
    let journal = Arc::new(Nowhere::default());
    let (log_writer, mut ended) = start_by(clock.clone(), journal.clone(), partitions());
    machine.wrong_ms.store(-6 * 3_600_000, Ordering::SeqCst);
    append(&log_writer, order_id("one").entity(), 1);
    log_writer.drained().await;
    assert!((0..1_000).contains(&clock.now().millis_since(NOW)), "{}", clock.now());
    assert_eq!(journal.appends.load(Ordering::SeqCst), 1);
    assert!(ended.try_recv().is_err());
}

/// A node on which nothing is written hears of it with the next renewal, and writes nothing from then on.
#[tokio::test(start_paused = true)]
async fn a_renewal_finds_that_the_clocks_have_parted() {
    let (machine, clock) = machine();
    let journal = Arc::new(Nowhere::default());
    let (log_writer, mut ended) = start_by(clock.clone(), journal.clone(), partitions());
    let (send, mut fatal) = mpsc::channel(1);
    let on_fatal = Arc::new(move |what| {
        let _ = send.try_send(what);
    });
    *journal.shows.lock().expect("no panic") = Some(NOW.plus_millis(3_600_000));
    tokio::spawn(keep_lease(log_writer.clone(), journal.clone(), partitions(), Duration::from_secs(3), on_fatal));
    assert_eq!(fatal.recv().await, Some(Fatal::Skewed));
    assert!(machine.wrong_ms.load(Ordering::SeqCst) == 0, "it is the store's clock that was set: no matter");
    append(&log_writer, order_id("one").entity(), 1);
    assert_eq!(ended.recv().await, Some(Fatal::Skewed));
    assert_eq!(journal.appends.load(Ordering::SeqCst), 0);
}

/// Whoever waits for the last batch hears of it also when the log writer was closed meanwhile.
#[tokio::test]
async fn a_log_writer_that_was_closed_is_drained_all_the_same() {
    let (log_writer, _ended) = start(Arc::new(Nowhere::default()), partitions());
    append(&log_writer, order_id("one").entity(), 1);
    log_writer.close();
    tokio::time::timeout(Duration::from_secs(5), log_writer.drained())
        .await
        .expect("the writer says that it has ended");
}

/// Gives every entity's state but that of the quarantined one.
struct AllBut(EntityRef);

#[async_trait]
impl StateSource for AllBut {
    async fn delta(&self, entity: EntityRef) -> Option<EntityDelta> {
        (entity != self.0).then(|| delta(entity, 1, vec![part("", "{}")]))
    }
    fn checkpointed(&self, _: EntityRef, _: u64) {}
    fn woken_for_nothing(&self) -> Vec<WakeAt> {
        Vec::new()
    }
}

/// A quarantined entity keeps its partition's checkpoint where it is. The lag does not grow for it, and a stop does not wait for it.
#[tokio::test]
async fn a_quarantined_entity_does_not_hold_up_what_counts_as_lag() {
    let fixture = Fixture::sqlite();
    let (store, owned) = fixture.open_and_take().await;
    let quarantined = order_id("quarantined").entity();
    let (log_writer, _ended) = start(store.journal.clone(), owned.clone());
    let checkpointer = Checkpointer::new(
        log_writer.clone(),
        store.checkpoints.clone(),
        Arc::new(AllBut(quarantined)),
        Arc::new(SystemClock::default()),
        owned.clone(),
        CheckpointSettings::default(),
        Arc::new(|fatal| panic!("{fatal}")),
        Arc::default(),
    );
    append(&log_writer, quarantined, 1);
    for round in 0..3u128 {
        for number in 0..16 {
            let other = EntityRef { uuid: uuid::Uuid::from_u128(number + 256 * (round + 1)), ..quarantined };
            append(&log_writer, other, 1);
        }
        checkpointer.checkpoint().await.expect("it is written");
        assert_eq!(log_writer.pressure().records_since_checkpoint, 0);
        assert_eq!(log_writer.pressure().bytes_since_checkpoint, 0);
    }
    let held_back = quarantined.partition(16);
    for home in store.journal.partitions().await.expect("partitions") {
        let expected = if home.id == held_back { 0 } else { home.tail_seq };
        assert_eq!(home.checkpoint_seq, expected, "partition {}", home.id);
    }
    assert!(log_writer.close_if_checkpointed(), "a stop need not try again");
}
