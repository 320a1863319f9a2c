//! Reads of single orders' details, those of one sort together. After a restart nothing of them is at hand, and everybody who watches an order, and
//! every payment under way, asks for its own at once: read one by one they would keep all else waiting that needs a connection.

use crate::domain::details::DetailName;
use crate::domain::ids::OrderId;
use crate::limits;
use crate::ports::{Details, KeptDetail, StoreError};
use foldhash::HashMap;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};

type Answer = Result<Option<KeptDetail>, StoreError>;

/// Who comes while reads are under way is answered by the next, with one statement for many.
pub(super) struct DetailReads {
    store: Arc<dyn Details>,
    lines: [Line; DetailName::ALL.len()],
}

/// Those of one sort.
struct Line {
    waiting: Mutex<VecDeque<Waiter>>,
    /// Turns to read for all that wait. Two, so that one connection which does not answer holds up nobody else.
    turns: Semaphore,
}

struct Waiter {
    order: OrderId,
    answer: oneshot::Sender<Answer>,
}

impl DetailReads {
    pub(super) fn new(store: Arc<dyn Details>) -> Self {
        let line = |_| Line { waiting: Mutex::default(), turns: Semaphore::new(limits::DETAIL_READS_AT_ONCE) };
        Self { store, lines: DetailName::ALL.map(line) }
    }

    /// Those of several orders, with a statement of their own.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn several(&self, orders: &[OrderId], name: DetailName) -> Result<Vec<KeptDetail>, StoreError> {
        self.store.details(orders, name).await
    }

    /// That of one order, read no earlier than now; `None` where there is none.
    ///
    /// # Errors
    /// The store's; Unavailable, too, when no turn to read came within [`limits::DETAIL_PATIENCE_MS`].
    pub(super) async fn one(&self, order: OrderId, name: DetailName) -> Answer {
        let line = &self.lines[name as usize];
        let patience = Instant::now() + Duration::from_millis(limits::DETAIL_PATIENCE_MS);
        loop {
            let (answer, mut answered) = oneshot::channel();
            line.waiting.lock().push_back(Waiter { order, answer });
            loop {
                tokio::select! {
                    biased;
                    answer = &mut answered => match answer {
                        Ok(answer) => return answer,
                        // Whoever read for all of them left in the middle of it: its own request was cut off.
                        Err(_) => break,
                    },
                    _turn = line.turns.acquire() => {
                        if self.read(line, name).await {
                            continue;
                        }
                        // Nobody waits any more: another reads for this one. To ask for turns until then would be to spin.
                        match timeout_at(patience, &mut answered).await {
                            Ok(Ok(answer)) => return answer,
                            Ok(Err(_)) => break,
                            Err(_) => return Err(late()),
                        }
                    }
                    () = sleep_until(patience) => return Err(late()),
                }
            }
        }
    }

    /// Answers those who came first; whether anybody waited.
    async fn read(&self, line: &Line, name: DetailName) -> bool {
        let (first, asked): (usize, Vec<Waiter>) = {
            let mut waiting = line.waiting.lock();
            let first = waiting.len().min(limits::DETAILS_AT_ONCE);
            (first, waiting.drain(..first).filter(|waiter| !waiter.answer.is_closed()).collect())
        };
        let mut orders: Vec<OrderId> = asked.iter().map(|waiter| waiter.order).collect();
        orders.sort_unstable();
        orders.dedup();
        if orders.is_empty() {
            return first > 0;
        }
        let kept = self.store.details(&orders, name).await;
        let kept: Result<HashMap<OrderId, KeptDetail>, StoreError> =
            kept.map(|kept| kept.into_iter().map(|kept| (kept.order, kept)).collect());
        for Waiter { order, answer } in asked {
            let found = kept.as_ref().map(|kept| kept.get(&order).cloned()).map_err(Clone::clone);
            // Nobody waits any more for what is not taken.
            let _ = answer.send(found);
        }
        true
    }
}

fn late() -> StoreError {
    StoreError::Unavailable("details are not read in time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::DetailPlace;
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicBool, Ordering};
    use uuid::Uuid;

    fn order(number: usize) -> OrderId {
        OrderId::from_uuid(Uuid::from_u128(number as u128))
    }

    /// A store that has a detail of every second order, and reads only when it is let.
    struct Slow {
        go_on: Semaphore,
        reads: Mutex<Vec<(DetailName, usize)>>,
        fails: AtomicBool,
    }

    #[async_trait]
    impl Details for Slow {
        async fn details(&self, orders: &[OrderId], name: DetailName) -> Result<Vec<KeptDetail>, StoreError> {
            self.reads.lock().push((name, orders.len()));
            self.go_on.acquire().await.expect("it stays open").forget();
            if self.fails.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable("away".into()));
            }
            let is_there = |order: &&OrderId| order.uuid().as_u128().is_multiple_of(2);
            let body = |order: OrderId| Some(order.to_string().into_bytes());
            Ok(orders.iter().filter(is_there).map(|&order| KeptDetail { order, name, body: body(order) }).collect())
        }
        async fn scan_details(&self, _: Option<(OrderId, DetailName)>, _: u32) -> Result<Vec<DetailPlace>, StoreError> {
            Ok(Vec::new())
        }
    }

    fn slow() -> (Arc<Slow>, Arc<DetailReads>) {
        let slow = Arc::new(Slow { go_on: Semaphore::new(0), reads: Mutex::default(), fails: AtomicBool::new(false) });
        (slow.clone(), Arc::new(DetailReads::new(slow)))
    }

    type Asked = tokio::task::JoinHandle<(usize, Answer)>;

    /// Asks for them all, and lets them come as far as they can.
    async fn ask(reads: &Arc<DetailReads>, numbers: impl Iterator<Item = usize>, name: DetailName) -> Vec<Asked> {
        let mut asked = Vec::new();
        for number in numbers {
            let reads = reads.clone();
            asked.push(tokio::spawn(async move { (number, reads.one(order(number), name).await) }));
        }
        settle().await;
        asked
    }

    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    async fn each_has_its_own(asked: Vec<Asked>) {
        for asked in asked {
            let (number, answer) = asked.await.expect("no panic");
            let body = answer.expect("an answer").map(|kept| kept.body.expect("a body"));
            assert_eq!(body, number.is_multiple_of(2).then(|| order(number).to_string().into_bytes()));
        }
    }

    /// Two read at once; who comes meanwhile is read with one statement, of a bounded number; each gets its own. Another sort does not wait for it.
    #[tokio::test(start_paused = true)]
    async fn many_that_ask_at_once_are_read_together() {
        let (slow, reads) = slow();
        let many = limits::DETAILS_AT_ONCE + 10;
        let mut asked = ask(&reads, 0..2, DetailName::Contact).await;
        asked.extend(ask(&reads, 2..2 + many, DetailName::Contact).await);
        // A second question of the same order takes no place of its own.
        asked.extend(ask(&reads, 2..3, DetailName::Contact).await);
        assert_eq!(*slow.reads.lock(), [(DetailName::Contact, 1), (DetailName::Contact, 1)]);
        let token = ask(&reads, 4..5, DetailName::Payment).await;
        assert_eq!(slow.reads.lock().pop(), Some((DetailName::Payment, 1)), "payments wait for no contact");
        slow.go_on.add_permits(100);
        each_has_its_own(asked).await;
        each_has_its_own(token).await;
        let counts: Vec<_> = slow.reads.lock().iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [1, 1, limits::DETAILS_AT_ONCE, 11]);
    }

    /// An order that is asked for while a read is under way is read anew: what was erased meanwhile is not shown.
    #[tokio::test(start_paused = true)]
    async fn a_read_that_began_earlier_answers_nobody() {
        let (slow, reads) = slow();
        let first = ask(&reads, 2..3, DetailName::Contact).await;
        let second = ask(&reads, 2..3, DetailName::Contact).await;
        assert_eq!(slow.reads.lock().len(), 2);
        let third = ask(&reads, 2..3, DetailName::Contact).await;
        slow.go_on.add_permits(1);
        settle().await;
        assert_eq!(slow.reads.lock().len(), 3);
        slow.go_on.add_permits(2);
        for asked in [first, second, third] {
            each_has_its_own(asked).await;
        }
    }

    /// Whoever reads for others may be cut off: they ask again.
    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_cut_off_leaves_nobody_without_an_answer() {
        let (slow, reads) = slow();
        let first = ask(&reads, 0..2, DetailName::Contact).await;
        let others = ask(&reads, 2..12, DetailName::Contact).await;
        slow.go_on.add_permits(1);
        settle().await;
        assert_eq!(slow.reads.lock().last(), Some(&(DetailName::Contact, 10)), "one of the others reads for them");
        // The first of them has its turn.
        others[0].abort();
        settle().await;
        slow.go_on.add_permits(100);
        each_has_its_own(first).await;
        each_has_its_own(others.into_iter().skip(1).collect()).await;
    }

    /// What the store says is told to all, and who finds no turn in time is told so.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_without_end() {
        let (slow, reads) = slow();
        slow.fails.store(true, Ordering::SeqCst);
        let readers = ask(&reads, 0..2, DetailName::Payment).await;
        let others = ask(&reads, 2..5, DetailName::Payment).await;
        for other in others {
            let late = other.await.expect("no panic").1;
            assert_eq!(late.err(), Some(super::late()));
        }
        let more = ask(&reads, 5..8, DetailName::Payment).await;
        slow.go_on.add_permits(100);
        for asked in readers.into_iter().chain(more) {
            assert_eq!(asked.await.expect("no panic").1.err(), Some(StoreError::Unavailable("away".into())));
        }
        assert_eq!(slow.reads.lock().last(), Some(&(DetailName::Payment, 3)), "those who left are not read for");
    }

    /// Whoever has a turn and finds that another reads for all of them asks for no further turn, and waits no longer than anybody.
    #[tokio::test(start_paused = true)]
    async fn whoever_is_read_for_waits_without_spinning_and_not_for_ever() {
        let (slow, reads) = slow();
        let first = ask(&reads, 0..2, DetailName::Contact).await;
        let others = ask(&reads, 2..5, DetailName::Contact).await;
        // One of the others reads for all three, and the store does not answer it; the second turn is free.
        slow.go_on.add_permits(2);
        each_has_its_own(first).await;
        assert_eq!(slow.reads.lock().last(), Some(&(DetailName::Contact, 3)));
        // The clock moves only while nobody has anything to do.
        let (mut late, mut reading) = (0, 0);
        for other in others {
            match tokio::time::timeout(Duration::from_millis(2 * limits::DETAIL_PATIENCE_MS), other).await {
                Ok(told) => {
                    assert_eq!(told.expect("no panic").1.err(), Some(super::late()));
                    late += 1;
                }
                Err(_) => reading += 1,
            }
        }
        assert_eq!((late, reading), (2, 1), "the one that reads waits for the store");
    }
}
