//! Which trace a job goes on with: it is done later, by whoever takes it from the store, and the store knows of no traces.

use super::Traced;
use crate::domain::ids::JobId;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Traces of jobs that are not done yet: so many, and none for longer than that. The oldest go first.
pub(super) struct Later {
    room: usize,
    lasts: Duration,
    jobs: BTreeMap<JobId, (u64, Traced)>,
    /// In the order in which they were noted.
    order: BTreeMap<u64, JobId>,
    noted: u64,
}

impl Later {
    pub(super) fn new(room: usize, lasts: Duration) -> Self {
        Self { room, lasts, jobs: BTreeMap::new(), order: BTreeMap::new(), noted: 0 }
    }

    /// This job is of this trace, and waits from now on.
    pub(super) fn note(&mut self, job: JobId, traced: Traced, now: Instant) {
        self.noted += 1;
        if let Some((before, _)) = self.jobs.insert(job, (self.noted, traced)) {
            self.order.remove(&before);
        }
        self.order.insert(self.noted, job);
        while let Some((number, oldest)) = self.order.first_key_value().map(|(number, job)| (*number, *job)) {
            if self.jobs.len() <= self.room && self.find(oldest, now).is_some() {
                break;
            }
            self.order.remove(&number);
            self.jobs.remove(&oldest);
        }
    }

    /// The trace of this job, unless it is too long ago.
    pub(super) fn find(&self, job: JobId, now: Instant) -> Option<Traced> {
        let (_, traced) = self.jobs.get(&job)?;
        (now.saturating_duration_since(traced.since) < self.lasts).then_some(*traced)
    }

    /// This job is not done any more.
    pub(super) fn forget(&mut self, job: JobId) {
        if let Some((number, _)) = self.jobs.remove(&job) {
            self.order.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Spans;
    use super::*;
    use crate::ports::trace::TraceId;
    use metrics::Counter;
    use uuid::Uuid;

    const LASTS: Duration = Duration::from_secs(10);

    fn job(number: u128) -> JobId {
        JobId::from_uuid(Uuid::from_u128(number))
    }

    /// What is noted at such a time, and what is found then.
    #[tokio::test(start_paused = true)]
    async fn so_many_are_kept_and_none_for_longer_than_that() {
        let (spans, _queue) = Spans::new(1, 1, Counter::noop());
        let context = Box::leak(Box::new(spans)).begin(TraceId([1; 16]), None, "first", Instant::now()).context();
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut later = Later::new(2, LASTS);
        let note = |later: &mut Later, number, seconds| {
            later.note(job(number), Traced { context, since: at(seconds) }, at(seconds));
        };
        let found = |later: &Later, seconds| -> Vec<u128> {
            (1..=5).filter(|number| later.find(job(*number), at(seconds)).is_some()).collect()
        };
        note(&mut later, 1, 0);
        note(&mut later, 2, 1);
        // One that is noted again is the newest.
        note(&mut later, 1, 2);
        note(&mut later, 3, 3);
        assert_eq!(found(&later, 3), [1, 3]);
        assert_eq!(found(&later, 11), [1, 3]);
        assert_eq!(found(&later, 12), [3], "too long ago");
        note(&mut later, 4, 14);
        assert_eq!((found(&later, 14), later.jobs.len(), later.order.len()), (vec![4], 1, 1), "and is not kept");
        later.forget(job(4));
        later.forget(job(5));
        assert_eq!((later.jobs.len(), later.order.len()), (0, 0));
    }
}
