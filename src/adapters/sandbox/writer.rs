//! The one writer of the charge log's file: it takes every change that waits, writes them in one go, syncs once and then tells
//! everyone. While it syncs, and rests a little, the next changes gather and the book can be read: no lock is held. It rests because it shares
//! the disk with the journal, which a real provider does not: syncs without pause would slow every commit down.

use super::book_file::Kept;
use super::charge_log::{Book, Key, Line};
use crate::domain::money::Money;
use crate::limits;
use crate::ports::NoAnswer;
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Whether what was waited for is on disk now.
pub(super) type Written = Result<(), NoAnswer>;

/// What is remembered of an order whose charge has no outcome yet. It is lost in a restart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attempt {
    /// It failed so often.
    Failed(u32),
    /// Its outcome comes at this moment, for whoever waits for it.
    ReadyAt(Instant),
    /// It is being processed, and so much is taken at this moment, for whoever asks then.
    Late {
        /// The moment.
        ready_at: Instant,
        /// How much.
        amount: Money,
    },
}

/// What callers and the writer share.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Everything that is durable.
    pub(super) book: Book,
    /// Orders asked for and not yet charged. An entry goes when its order gets an outcome, as every order does in the end.
    pub(super) attempts: HashMap<Key, Attempt>,
    /// Who waits for a change of which order. An order that is in here has exactly one change on its way.
    writing: HashMap<Key, Vec<oneshot::Sender<Written>>>,
    /// What the writer takes next.
    queue: Vec<Line>,
    stopping: bool,
}

impl State {
    /// Waits with those who wait for this order's change, if it has one on its way.
    pub(super) fn join(&mut self, key: Key) -> Option<oneshot::Receiver<Written>> {
        let waiting = self.writing.get_mut(&key)?;
        let (sender, receiver) = oneshot::channel();
        waiting.push(sender);
        Some(receiver)
    }

    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }
}

/// The desk between callers and the writer.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) state: Mutex<State>,
    work: Condvar,
}

impl Desk {
    /// Hands a change to the writer. The order must have none on its way: look with [`State::join`] under the same lock.
    ///
    /// # Errors
    /// Too many changes wait, or the writer has stopped; nothing was done.
    pub(super) fn submit(
        &self,
        state: &mut State,
        line: impl Into<Line>,
    ) -> Result<oneshot::Receiver<Written>, NoAnswer> {
        if state.stopping {
            return Err(stopped());
        }
        if state.queue.len() >= limits::SANDBOX_QUEUE {
            return Err(NoAnswer("too many charges wait to be written".into()));
        }
        let line = line.into();
        let Entry::Vacant(place) = state.writing.entry(line.key()) else {
            // Two changes of one order at a time could contradict each other in the file.
            return Err(NoAnswer(format!("{} has a change on its way", line.key().0)));
        };
        let (sender, receiver) = oneshot::channel();
        place.insert(vec![sender]);
        state.queue.push(line);
        self.work.notify_one();
        Ok(receiver)
    }

    /// Lets the writer finish what waits, and then stop.
    pub(super) fn stop(&self) {
        self.state.lock().stopping = true;
        self.work.notify_one();
    }

    /// Waits for changes and takes all of them into `batch`, which is empty; false when no more will come.
    fn take(&self, batch: &mut Vec<Line>) -> bool {
        let mut state = self.state.lock();
        while state.queue.is_empty() && !state.stopping {
            self.work.wait(&mut state);
        }
        std::mem::swap(&mut state.queue, batch);
        !batch.is_empty()
    }

    /// Puts into the book what was written, and tells those who wait for it. What was not written changes nothing.
    fn settle(&self, batch: &[Line], written: &Written) {
        let mut waiting = Vec::with_capacity(batch.len());
        {
            let mut state = self.state.lock();
            for change in batch {
                if written.is_ok() {
                    state.book.add(change.clone());
                    state.attempts.remove(&change.key());
                }
                waiting.extend(state.writing.remove(&change.key()).unwrap_or_default());
            }
        }
        for sender in waiting {
            // Whoever gave up waiting asks again.
            let _ = sender.send(written.clone());
        }
    }
}

fn stopped() -> NoAnswer {
    NoAnswer("the writer of its ledger has stopped".into())
}

/// What became of what a caller waited for.
pub(super) fn heard(said: Result<Written, oneshot::error::RecvError>) -> Written {
    said.unwrap_or_else(|_| Err(stopped()))
}

/// What the writer does to its file: one trait, so that tests can make it fail.
pub(super) trait Disk: Send + 'static {
    /// Writes behind what is there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns when all that was written is durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to its first `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

impl Disk for Kept {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// A file that is gone from its place keeps nothing.
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.place.check().map_err(io::Error::other)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
}

/// The file, and how much of it is good.
struct Log<D> {
    disk: D,
    /// Bytes that were written and synced.
    length: u64,
    /// Whether a failed write may have left something behind them.
    torn: bool,
    /// The batch as text; kept for its capacity.
    text: Vec<u8>,
}

impl<D: Disk> Log<D> {
    /// Makes a batch durable, or leaves the file as it was: at once, or before the next batch when even that fails now.
    fn append(&mut self, batch: &[Line]) -> io::Result<()> {
        self.text.clear();
        for change in batch {
            serde_json::to_writer(&mut self.text, change)?;
            self.text.push(b'\n');
        }
        self.mend()?;
        self.torn = true;
        let written = self.disk.append(&self.text).and_then(|()| self.disk.sync());
        match written {
            Ok(()) => {
                self.torn = false;
                self.length += self.text.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A sync that failed may have dropped some pages and kept others, so what was written counts for nothing.
                let _ = self.mend();
                Err(error)
            }
        }
    }

    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.disk.truncate(self.length)?;
            self.disk.sync()?;
            self.torn = false;
        }
        Ok(())
    }
}

/// Lets nobody wait for a writer that is gone, however it went.
struct Gone<'a>(&'a Desk);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.stopping = true;
        state.queue.clear();
        state.writing.clear();
    }
}

/// Starts the writer of a file whose first `length` bytes are good.
///
/// # Errors
/// The system gives no thread.
pub(super) fn start(desk: Arc<Desk>, disk: impl Disk, length: u64) -> io::Result<JoinHandle<()>> {
    let mut log = Log { disk, length, torn: false, text: Vec::new() };
    std::thread::Builder::new().name("sandbox-ledger".into()).spawn(move || {
        let _gone = Gone(&desk);
        let mut batch = Vec::new();
        while desk.take(&mut batch) {
            let written = log.append(&batch).map_err(|error| {
                tracing::error!(%error, charges = batch.len(), "the sandbox's ledger cannot be written");
                NoAnswer(format!("its ledger cannot be written: {error}"))
            });
            desk.settle(&batch, &written);
            batch.clear();
            std::thread::sleep(Duration::from_millis(limits::SANDBOX_REST_MS));
        }
    })
}
