//! A journal that a test can hold back: a commit waits until it is let go.

use async_trait::async_trait;
use haat::domain::details::Detail;
use haat::domain::time::Timestamp;
use haat::limits::{RECORDS_PER_CHECKOUT, ROOM_BESIDE_CHECKOUTS};
use haat::ports::{Committed, Frame, Journal, Partition, StoreError};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// A budget for records in flight with room for so many checkouts (three at most) while nothing becomes durable, and not for one more, beside the
/// room that is not for checkouts. Each sets its part aside and has four records in flight, as soon as its actors have come to it: of that nothing may depend.
pub fn budget_for(checkouts: usize) -> usize {
    assert!(4 * (checkouts - 1) < RECORDS_PER_CHECKOUT, "the records of so many would take the place of one more");
    (checkouts * RECORDS_PER_CHECKOUT + RECORDS_PER_CHECKOUT - 1) * ROOM_BESIDE_CHECKOUTS / (ROOM_BESIDE_CHECKOUTS - 1)
}

/// What happens once.
type Happens = Box<dyn FnOnce() + Send>;

/// Holds commits back, or lets them go.
#[derive(Clone)]
pub struct Gate {
    open: watch::Sender<bool>,
    waiting: Arc<AtomicUsize>,
    damaged: Arc<AtomicBool>,
    /// Whether nothing is read any more, and whether somebody has tried.
    silent: watch::Sender<(bool, bool)>,
    at_renewal: Arc<Mutex<Option<Happens>>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            open: watch::Sender::new(true),
            waiting: Arc::default(),
            damaged: Arc::default(),
            silent: watch::Sender::new((false, false)),
            at_renewal: Arc::default(),
        }
    }
}

impl Gate {
    pub fn hold(&self) {
        self.open.send_replace(false);
    }

    /// From now on no frame can be read, as after a disk has lost some of it.
    pub fn damage(&self) {
        self.damaged.store(true, Ordering::SeqCst);
    }

    /// From now on whoever reads a frame waits for ever.
    pub fn fall_silent(&self) {
        self.silent.send_modify(|(silent, _)| *silent = true);
    }

    /// Waits until somebody waits so.
    pub async fn somebody_reads(&self) {
        let _ = self.silent.subscribe().wait_for(|(_, waits)| *waits).await;
    }

    /// Does this while the answer to the next renewal of the lease is on its way.
    pub fn at_renewal(&self, happens: impl FnOnce() + Send + 'static) {
        *self.at_renewal.lock().expect("no panic") = Some(Box::new(happens));
    }

    pub fn let_go(&self) {
        self.open.send_replace(true);
    }

    /// Waits until a commit stands before the gate.
    pub async fn somebody_waits(&self) {
        while self.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }

    pub fn wrap(&self, journal: Arc<dyn Journal>) -> Arc<dyn Journal> {
        Arc::new(Gated { journal, gate: self.clone() })
    }
}

struct Gated {
    journal: Arc<dyn Journal>,
    gate: Gate,
}

#[async_trait]
impl Journal for Gated {
    async fn acquire(&self, owner: &str, lease: Duration, now: Timestamp) -> Result<Vec<Partition>, StoreError> {
        self.journal.acquire(owner, lease, now).await
    }

    async fn partitions(&self) -> Result<Vec<Partition>, StoreError> {
        self.journal.partitions().await
    }

    async fn append(&self, frames: &[Frame], details: &[Detail]) -> Result<(), StoreError> {
        self.gate.waiting.fetch_add(1, Ordering::SeqCst);
        let mut open = self.gate.open.subscribe();
        let opened = open.wait_for(|open| *open).await.map(|_| ());
        self.gate.waiting.fetch_sub(1, Ordering::SeqCst);
        opened.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        self.journal.append(frames, details).await
    }

    async fn committed(&self, frames: &[Frame]) -> Result<Committed, StoreError> {
        self.journal.committed(frames).await
    }

    async fn frames(&self, partition: u16, after_seq: u64, max_bytes: usize) -> Result<Vec<Frame>, StoreError> {
        if self.gate.damaged.load(Ordering::SeqCst) {
            return Err(StoreError::Invalid(format!("a frame of partition {partition} cannot be read")));
        }
        if self.gate.silent.borrow().0 {
            self.gate.silent.send_modify(|(_, waits)| *waits = true);
            std::future::pending::<()>().await;
        }
        self.journal.frames(partition, after_seq, max_bytes).await
    }

    async fn drop_frames(&self, partition: u16, up_to: u64) -> Result<u64, StoreError> {
        self.journal.drop_frames(partition, up_to).await
    }

    async fn renew(&self, partitions: &[Partition], lease: Duration) -> Result<Option<Timestamp>, StoreError> {
        let renewed = self.journal.renew(partitions, lease).await;
        let happens = self.gate.at_renewal.lock().expect("no panic").take();
        happens.into_iter().for_each(|happens| happens());
        renewed
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        self.journal.clock().await
    }

    async fn release(&self, partitions: &[Partition]) -> Result<(), StoreError> {
        self.journal.release(partitions).await
    }
}
