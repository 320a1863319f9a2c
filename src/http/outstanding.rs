//! Bytes of answers that clients have not taken yet: bounded for each connection, and for all of them together.
//!
//! An answer is counted from when it is made until its bytes are let go of, wherever they wait meanwhile: with its
//! stream, or in a buffer below it. A client that takes what it asks for never notices. Requests that may be answered
//! at length wait for room on their own connection; what finds none all the same is given up with its stream. When all
//! connections together hold too much, those end that hold most for longest.

use crate::http::metrics;
use crate::http::server::now;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Answers of less are not counted: they are small beside what their request takes in memory anyway.
const COUNTED_FROM: usize = 2 * 1024;
/// What a request that may be answered at length sets aside while it runs.
const AT_LENGTH: usize = 1024 * 1024;

/// What all connections of one port hold.
pub(super) struct Outstanding {
    per_connection: usize,
    in_all: usize,
    next: AtomicU64,
    held: Mutex<AllHeld>,
}

#[derive(Default)]
struct AllHeld {
    bytes: usize,
    /// Connections that hold something, in the order in which they came.
    connections: BTreeMap<u64, Held>,
}

struct Held {
    /// Of answers.
    bytes: usize,
    /// For answers to come.
    set_aside: usize,
    since: Instant,
    connection: Arc<Connection>,
}

/// One connection.
pub(super) struct Connection {
    number: u64,
    all: Arc<Outstanding>,
    room: Notify,
    ended: CancellationToken,
}

/// There is no room for an answer.
#[derive(Debug, thiserror::Error)]
#[error("the client has too many answers to take before this one")]
pub(super) struct NoRoom;

impl Outstanding {
    pub(super) fn new(per_connection: usize, in_all: usize) -> Arc<Self> {
        Arc::new(Self { per_connection, in_all, next: AtomicU64::new(0), held: Mutex::default() })
    }

    pub(super) fn connection(self: &Arc<Self>) -> Arc<Connection> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Arc::new(Connection { number, all: self.clone(), room: Notify::new(), ended: CancellationToken::new() })
    }
}

impl AllHeld {
    fn of(&mut self, connection: &Arc<Connection>) -> &mut Held {
        self.connections.entry(connection.number).or_insert_with(|| Held {
            bytes: 0,
            set_aside: 0,
            since: now(),
            connection: connection.clone(),
        })
    }

    /// Ends the connection that holds most for longest.
    fn end_worst(&mut self) {
        let moment = now();
        let weight = |held: &Held| held.bytes as u128 * ((moment - held.since).as_millis() + 1);
        let worst = self.connections.iter().max_by_key(|(_, held)| weight(held)).map(|(number, _)| *number);
        if let Some(held) = worst.and_then(|worst| self.connections.remove(&worst)) {
            self.bytes -= held.bytes;
            held.connection.ended.cancel();
            metrics::answers_given_up("all");
        }
    }
}

impl Connection {
    /// Ready when the connection is to end.
    pub(super) async fn is_to_end(&self) {
        self.ended.cancelled().await;
    }

    /// Waits for room for an answer that may be long, but no longer than an answer may take: whoever takes so little would
    /// have its other requests wait for ever, and its connection stay for them.
    pub(super) async fn room_within(self: &Arc<Self>, patience: Duration) -> Result<SetAside, NoRoom> {
        tokio::time::timeout(patience, self.room()).await.map_err(|_| {
            metrics::answers_given_up("connection");
            NoRoom
        })
    }

    async fn room(self: &Arc<Self>) -> SetAside {
        let set_aside = AT_LENGTH.min(self.all.per_connection / 4);
        loop {
            let mut freed = std::pin::pin!(self.room.notified());
            freed.as_mut().enable();
            if let Some(room) = self.try_set_aside(set_aside) {
                return room;
            }
            freed.await;
        }
    }

    fn try_set_aside(self: &Arc<Self>, bytes: usize) -> Option<SetAside> {
        let mut all = self.all.held.lock();
        // One that ends is counted no more, and its requests end with it.
        if self.ended.is_cancelled() {
            return None;
        }
        let held = all.of(self);
        let fits = held.bytes + held.set_aside + bytes <= self.all.per_connection;
        fits.then(|| held.set_aside += bytes).map(|()| SetAside { connection: self.clone(), bytes })
    }

    /// Counts an answer of so many bytes, for which there may be something set aside. Gives nothing for one that is not
    /// counted.
    pub(super) fn hold(
        self: &Arc<Self>,
        bytes: usize,
        set_aside: Option<SetAside>,
    ) -> Result<Option<Outgoing>, NoRoom> {
        if bytes < COUNTED_FROM {
            return Ok(None);
        }
        let mut all = self.all.held.lock();
        if self.ended.is_cancelled() {
            drop(all);
            return Err(NoRoom);
        }
        let held = all.of(self);
        // What was set aside for this one is its own.
        let others = held.set_aside - set_aside.as_ref().map_or(0, |set_aside| set_aside.bytes);
        let fits = held.bytes == 0 || held.bytes + others + bytes <= self.all.per_connection;
        if !fits {
            metrics::answers_given_up("connection");
            drop(all);
            return Err(NoRoom);
        }
        if held.bytes == 0 {
            held.since = now();
        }
        held.bytes += bytes;
        all.bytes += bytes;
        while all.bytes > self.all.in_all && !self.ended.is_cancelled() {
            all.end_worst();
        }
        metrics::answer_bytes().set(all.bytes as f64);
        drop(all);
        drop(set_aside);
        Ok(Some(Outgoing { connection: self.clone(), bytes }))
    }

    /// Gives back what was held or set aside.
    fn give_back(&self, bytes: usize, set_aside: usize) {
        let mut all = self.all.held.lock();
        // A connection that was ended is not counted any more.
        if self.ended.is_cancelled() {
            return;
        }
        let Some(held) = all.connections.get_mut(&self.number) else { return };
        held.bytes -= bytes;
        held.set_aside -= set_aside;
        if held.bytes == 0 && held.set_aside == 0 {
            all.connections.remove(&self.number);
        }
        all.bytes -= bytes;
        if bytes > 0 {
            metrics::answer_bytes().set(all.bytes as f64);
        }
        drop(all);
        self.room.notify_waiters();
    }
}

/// Room for an answer to come, given back when this is dropped.
pub(super) struct SetAside {
    connection: Arc<Connection>,
    bytes: usize,
}

impl Drop for SetAside {
    fn drop(&mut self) {
        self.connection.give_back(0, self.bytes);
    }
}

/// An answer on its way, counted until this is dropped.
pub(super) struct Outgoing {
    connection: Arc<Connection>,
    bytes: usize,
}

impl Outgoing {
    /// These bytes, which keep the answer counted for as long as anybody has a part of them.
    pub(super) fn with(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Counted { bytes, _outgoing: self })
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.connection.give_back(self.bytes, 0);
    }
}

struct Counted {
    bytes: Bytes,
    _outgoing: Outgoing,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, poll};
    use std::pin::pin;

    const KB: usize = 1024;

    #[tokio::test]
    async fn a_connection_has_its_bound_and_others_have_theirs() {
        let all = Outstanding::new(100 * KB, 1_000 * KB);
        let (one, other) = (all.connection(), all.connection());
        let first = one.hold(60 * KB, None).expect("there is room");
        assert!(one.hold(41 * KB, None).is_err());
        let second = one.hold(40 * KB, None).expect("there is room");
        assert!(one.hold(100, None).is_ok_and(|small| small.is_none()), "small ones are not counted");
        assert!(other.hold(200 * KB, None).is_ok(), "the first may have any length");
        assert_eq!(all.held.lock().bytes, 100 * KB);
        let bytes = first.expect("it is counted").with(Bytes::from(vec![0; 60 * KB]));
        let part = bytes.slice(..1);
        drop((bytes, second));
        assert_eq!(all.held.lock().bytes, 60 * KB, "a part of it is still there");
        drop(part);
        assert!(all.held.lock().connections.is_empty());
    }

    #[tokio::test]
    async fn who_may_be_answered_at_length_waits_for_room() {
        let all = Outstanding::new(100 * KB, 1_000 * KB);
        let one = all.connection();
        let unread = one.hold(30 * KB, None).expect("there is room");
        let (first, second) = (one.room().await, one.room().await);
        let mut third = pin!(one.room());
        assert!(poll!(&mut third).is_pending());
        let unread = (unread, one.hold(25 * KB, Some(first)).expect("it had it set aside"));
        assert!(poll!(&mut third).is_pending(), "the answer took the place of what was set aside for it");
        drop(second);
        let third = third.await;
        assert!(one.room().now_or_never().is_none());
        drop((unread, third));
        assert!(all.held.lock().connections.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_most_for_longest_ends_when_all_hold_too_much() {
        let all = Outstanding::new(100 * KB, 250 * KB);
        let (old, large, young) = (all.connection(), all.connection(), all.connection());
        let _small = old.hold(50 * KB, None).expect("there is room");
        tokio::time::advance(std::time::Duration::from_secs(5)).await;
        let large_answer = large.hold(100 * KB, None).expect("there is room");
        let fresh = young.hold(90 * KB, None).expect("there is room");
        assert!(!old.ended.is_cancelled());
        let more = all.connection();
        let answer = more.hold(60 * KB, None).expect("there is room again");
        assert!(old.ended.is_cancelled() && !large.ended.is_cancelled() && !young.ended.is_cancelled());
        assert_eq!(all.held.lock().bytes, 250 * KB);
        assert!(old.hold(5 * KB, None).is_err(), "it ends");
        drop((large_answer, fresh, answer, _small));
        assert_eq!(all.held.lock().bytes, 0);
        assert!(all.held.lock().connections.is_empty());
    }
}
