//! Units of services on `SQLite`, which has one writer: they wait in a queue, and whoever empties it takes the writer's connection once for
//! many of them, between two batches of the journal.
//!
//! ```text
//! run ─► queue (1,000) ─► a transaction of at most 64 units or 5 ms, each in a savepoint ─► one commit for all ─► each is told its end
//! ```

use super::{Inner, portable_units};
use crate::limits;
use crate::persistence::metrics::UnitMetrics;
use crate::persistence::slot::{ErrorKind, kind, store_error};
use crate::ports::StoreError;
use crate::ports::units::{Statement, Unit, UnitEnd, UnitError, Units, Value, ValueKind};
use async_trait::async_trait;
use parking_lot::Mutex;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Acquire, Connection};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Units in one transaction at most.
const UNITS: usize = 64;
/// How long a transaction takes units in: what a batch of the journal may have to wait for, but for one unit and the commit.
const FILLING: Duration = Duration::from_millis(5);

type Ended = Result<UnitEnd, UnitError>;

struct Waiting {
    unit: Unit,
    answer: oneshot::Sender<Ended>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Whether a task is emptying it.
    has_owner: bool,
}

/// The services' side of this store.
pub(super) struct SqliteUnits {
    inner: Arc<Inner>,
    queue: Arc<Mutex<Queue>>,
    metrics: UnitMetrics,
}

impl SqliteUnits {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, queue: Arc::default(), metrics: UnitMetrics::new() }
    }

    async fn write(&self, unit: Unit) -> Ended {
        self.inner.writer()?;
        let (answer, ended) = oneshot::channel();
        {
            let mut queue = self.queue.lock();
            if queue.waiting.len() >= limits::SERVICE_UNITS {
                return Err(UnitError::Busy);
            }
            queue.waiting.push_back(Waiting { unit, answer });
            if !queue.has_owner {
                queue.has_owner = true;
                tokio::spawn(
                    Owner { inner: self.inner.clone(), turn: Turn { queue: self.queue.clone(), has_left: false } }
                        .empty(),
                );
            }
        }
        ended.await.unwrap_or_else(|_| Err(UnitError::Unknown("it was given up".to_owned())))
    }
}

#[async_trait]
impl Units for SqliteUnits {
    async fn run(&self, unit: Unit) -> Result<UnitEnd, UnitError> {
        let started = Instant::now();
        let ended = self.write(unit).await;
        self.metrics.ended(&ended, started.elapsed());
        ended
    }

    async fn read(&self, statement: Statement, columns: &[ValueKind]) -> Result<Vec<Vec<Value>>, StoreError> {
        self.inner.read_rows(&statement, columns).await
    }
}

/// Who empties the queue. It is there while units wait.
struct Owner {
    inner: Arc<Inner>,
    turn: Turn,
}

/// Its turn at the queue, which ends once.
struct Turn {
    queue: Arc<Mutex<Queue>>,
    /// Whether it has found the queue empty and said that it leaves: by now there may be another.
    has_left: bool,
}

impl Turn {
    /// Whether nobody waits any more. The look and the leaving are one step: whoever comes after it finds no owner.
    fn leaves(&mut self) -> bool {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() {
            queue.has_owner = false;
            self.has_left = true;
        }
        self.has_left
    }
}

impl Drop for Turn {
    /// Should it end in the middle, the next unit finds the queue without an owner, and those that wait are not left waiting.
    fn drop(&mut self) {
        if self.has_left {
            return;
        }
        let mut queue = self.queue.lock();
        queue.has_owner = false;
        for waiting in queue.waiting.drain(..) {
            let _ = waiting.answer.send(Err(UnitError::Unavailable("its writer was ended".to_owned())));
        }
    }
}

/// How far a transaction has come.
#[derive(Default)]
struct Batch {
    /// Those whose statements have run, and how that ended.
    run: Vec<(oneshot::Sender<Ended>, Ended)>,
    /// The one whose statements run.
    running: Option<oneshot::Sender<Ended>>,
    committing: bool,
}

impl Owner {
    async fn empty(mut self) {
        while !self.turn.leaves() {
            self.write_some().await;
        }
    }

    /// The next unit whose asker still waits.
    fn next(&self) -> Option<Waiting> {
        let mut queue = self.turn.queue.lock();
        std::iter::from_fn(|| queue.waiting.pop_front()).find(|waiting| !waiting.answer.is_closed())
    }

    /// One transaction.
    async fn write_some(&self) {
        let mut batch = Batch::default();
        let failed = self.transact(&mut batch).await.err();
        let committing = batch.committing;
        let told = |ended: Ended| match &failed {
            None => ended,
            Some(error) if committing => Err(UnitError::Unknown(error.to_string())),
            Some(error @ StoreError::Invalid(_)) => Err(UnitError::Invalid(error.to_string())),
            Some(error) => Err(UnitError::Unavailable(error.to_string())),
        };
        let running = batch.running.take().map(|answer| (answer, Ok(UnitEnd::Done)));
        batch.run.extend(running);
        if failed.is_some() && batch.run.is_empty() {
            // Nobody's turn came, and it would not come the next time: those that wait are told, and ask again when they see fit.
            let waiting = std::iter::from_fn(|| self.next()).take(UNITS);
            batch.run.extend(waiting.map(|waiting| (waiting.answer, Ok(UnitEnd::Done))));
        }
        for (answer, ended) in batch.run {
            // Whoever does not wait any more needs no answer.
            let _ = answer.send(told(ended));
        }
    }

    async fn transact(&self, batch: &mut Batch) -> Result<(), StoreError> {
        let inner = &*self.inner;
        inner.files_in_place().map_err(StoreError::Unavailable)?;
        let writer = inner.writer()?;
        let mut held = writer.hold_between().await?;
        let connection = writer.number();
        let outcome = tokio::time::timeout(inner.append_timeout, self.fill(held.connection(), batch)).await;
        held.settle_timed(outcome)?;
        inner
            .files_in_place()
            .and_then(|()| inner.log_in_place(Some(connection), true))
            .map_err(StoreError::Unavailable)
    }

    async fn fill(&self, connection: &mut SqliteConnection, batch: &mut Batch) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let started = Instant::now();
        while batch.run.len() < UNITS && started.elapsed() < FILLING {
            let Some(Waiting { unit, answer }) = self.next() else { break };
            batch.running = Some(answer);
            let mut savepoint = transaction.begin().await?;
            let ended = match portable_units::fill(&mut savepoint, &unit).await {
                Ok(end) => Ok(end),
                Err(error) if kind(&error) == ErrorKind::Transient => return Err(error),
                Err(error) => Err(UnitError::from(store_error(error))),
            };
            match ended {
                Ok(UnitEnd::Done) => savepoint.commit().await?,
                _ => savepoint.rollback().await?,
            }
            batch.run.extend(batch.running.take().map(|answer| (answer, ended)));
        }
        batch.committing = true;
        transaction.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(queue: &Mutex<Queue>) -> oneshot::Receiver<Ended> {
        let (answer, ended) = oneshot::channel();
        queue.lock().waiting.push_back(Waiting { unit: Unit::default(), answer });
        ended
    }

    /// Between the leaving of an owner and its end there may be another: what waits for that one is not thrown away.
    #[test]
    fn an_owner_that_has_left_leaves_the_queue_to_the_next() {
        let queue: Arc<Mutex<Queue>> = Arc::default();
        let mut turn = Turn { queue: queue.clone(), has_left: false };
        assert!(turn.leaves());
        queue.lock().has_owner = true;
        let mut ended = waits(&queue);
        drop(turn);
        assert!(queue.lock().has_owner && queue.lock().waiting.len() == 1);
        assert!(matches!(ended.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
    }

    /// One that is ended in the middle tells those that wait, and the next unit finds no owner.
    #[test]
    fn an_owner_that_is_ended_leaves_nobody_waiting() {
        let queue: Arc<Mutex<Queue>> = Arc::new(Mutex::new(Queue { has_owner: true, ..Queue::default() }));
        let mut ended = waits(&queue);
        drop(Turn { queue: queue.clone(), has_left: false });
        assert!(!queue.lock().has_owner);
        assert!(matches!(ended.try_recv(), Ok(Err(UnitError::Unavailable(_)))));
    }
}
