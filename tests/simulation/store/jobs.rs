//! The rows of jobs.

use super::connection::Connection;
use super::{Disk, Server, Way};
use crate::world::lock;
use async_trait::async_trait;
use haat::domain::ids::{JobId, OrderId};
use haat::domain::job::{Job, JobKind, JobState, Target, Tried};
use haat::domain::time::Timestamp;
use haat::ports::jobs::{JobFilter, JobRow, JobTurn, Jobs, JobsBegun, NewJob, Retried, Retry};
use haat::ports::units::UnitError;
use haat::ports::{Partition, StoreError};
use haat::services::payments::{Look, PaymentRows};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A job as it is kept, and the term of the node that is at it.
pub struct KeptJob {
    pub row: JobRow,
    epoch: Option<u64>,
}

impl Disk {
    /// Adds a job; false when it is there already.
    pub(super) fn add_job(&mut self, job: NewJob) -> bool {
        let NewJob { id, kind, about, at, .. } = job;
        let next_at = Some(at);
        let row = JobRow {
            id,
            kind,
            state: JobState::Due,
            about,
            tries: 0,
            made_at: at,
            next_at,
            note: None,
            retries: Vec::new(),
        };
        self.jobs.insert(id, KeptJob { row, epoch: None }).is_none()
    }

    /// Jobs that have not ended.
    pub fn open_jobs(&self) -> usize {
        self.jobs.values().filter(|job| job.row.state.is_waiting() || job.row.state.is_under_way()).count()
    }

    fn take_over(&mut self, epoch: u64, now: Timestamp) -> u64 {
        let mut taken = 0;
        for job in self.jobs.values_mut().filter(|job| job.epoch.is_some_and(|of| of != epoch)) {
            (job.row.state, job.row.next_at, job.epoch) = (JobState::Unknown, Some(now), None);
            taken += 1;
        }
        taken
    }

    fn end(&mut self, epoch: u64, tried: &Tried) {
        let Some(job) = self.jobs.get_mut(&tried.id) else { return };
        if job.epoch != Some(epoch) || job.row.tries != tried.attempt {
            return;
        }
        let Tried { state, tries, next_at, note, .. } = tried.clone();
        job.row = JobRow { state, tries, next_at, note, ..job.row.clone() };
        job.epoch = None;
    }

    fn put_back(&mut self, epoch: u64, running: &[JobId], now: Timestamp) {
        let strays = self.jobs.values_mut().filter(|job| job.epoch == Some(epoch) && !running.contains(&job.row.id));
        for job in strays {
            let looked_up = job.row.state == JobState::LookingUp;
            job.row.state = if looked_up { JobState::Unknown } else { JobState::Due };
            (job.row.tries, job.row.next_at, job.epoch) = (job.row.tries - 1, Some(now), None);
        }
    }

    fn begin(&mut self, epoch: u64, target: Target, most: usize, now: Timestamp) -> Vec<Job> {
        let own = self.jobs.values().filter(|job| job.row.kind.target() == target);
        let due = own.filter_map(|job| Some((job.row.next_at.filter(|at| *at <= now)?, job.row.id)));
        let mut due: Vec<(Timestamp, JobId)> = due.collect();
        due.sort_unstable();
        due.truncate(most);
        let mut begun = Vec::new();
        for (_, id) in due {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let unknown = job.row.state == JobState::Unknown;
            job.row.state = if unknown { JobState::LookingUp } else { JobState::Sending };
            (job.row.tries, job.row.next_at, job.epoch) = (job.row.tries + 1, None, Some(epoch));
            let JobRow { kind, about, made_at, tries, .. } = job.row;
            begun.push(Job { id, kind, about, made_at, tries, unknown });
        }
        begun
    }
}

impl Disk {
    fn add_look(&mut self, job: NewJob) {
        if !self.jobs.contains_key(&job.id) {
            self.add_job(job);
        }
    }

    fn look(&mut self, looks: &[Look], swept: Option<(String, Timestamp)>) {
        for look in looks {
            self.add_look(look.now);
            // What has begun may have looked before that which is told of now.
            let has_begun = |job: &KeptJob| job.row.state != JobState::Due || job.row.tries > 0;
            if self.jobs.get(&look.now.id).is_some_and(has_begun) {
                self.add_look(look.later);
            }
        }
        self.swept.extend(swept);
    }
}

impl Server {
    /// The rows of what comes after payments, as one node sees them.
    pub fn payment_rows(self: &Arc<Self>, way: Way) -> Arc<dyn PaymentRows> {
        let (checkpoints, carried_out) = (AtomicU64::new(0), Arc::default());
        Arc::new(Connection { server: self.clone(), way, checkpoints, carried_out })
    }

    pub fn open_jobs(&self) -> usize {
        lock(&self.disk).open_jobs()
    }
}

impl Connection {
    async fn of_an_owner<T: Send + 'static>(
        &self,
        owned: &[Partition],
        act: impl FnOnce(&mut Disk, u64) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (server, owned) = (self.server.clone(), owned.to_vec());
        let risk = self.way.writing(self.way.world.plan.failing_checkpoints);
        let act = move || {
            let mut disk = lock(&server.disk);
            match disk.owns(&owned) {
                true => Ok(act(&mut disk, owned[0].epoch)),
                false => Err(StoreError::Fenced),
            }
        };
        self.way.ask(risk, act).await?
    }
}

#[async_trait]
impl PaymentRows for Connection {
    async fn look(&self, looks: &[Look], swept: Option<(&str, Timestamp)>) -> Result<(), UnitError> {
        let (server, looks) = (self.server.clone(), looks.to_vec());
        let swept = swept.map(|(method, to)| (method.to_owned(), to));
        let plan = &self.way.world.plan;
        let risk = self.way.writing(if swept.is_none() { plan.failing_looks } else { plan.failing_checkpoints });
        Ok(self.way.ask(risk, move || lock(&server.disk).look(&looks, swept)).await?)
    }

    async fn swept_to(&self, method: &str) -> Result<Option<Timestamp>, StoreError> {
        let method = method.to_owned();
        self.read(move |disk| disk.swept.get(&method).copied()).await
    }

    /// Here no row of a job is ever lost: each is there once, which the judge of jobs counts.
    async fn without_job(&self, _: i64, _: JobKind, _: OrderId, _: usize) -> Result<Vec<(OrderId, u64)>, StoreError> {
        Ok(Vec::new())
    }

    async fn put_back(&self, _: &[NewJob]) -> Result<(), UnitError> {
        Err(UnitError::Invalid("nothing was lost".to_owned()))
    }
}

#[async_trait]
impl Jobs for Connection {
    async fn take_over(&self, owned: &[Partition], now: Timestamp) -> Result<u64, StoreError> {
        self.of_an_owner(owned, move |disk, epoch| disk.take_over(epoch, now)).await
    }

    async fn turn(&self, turn: JobTurn<'_>) -> Result<JobsBegun, StoreError> {
        let (tried, running) = (turn.tried.to_vec(), turn.running.map(<[JobId]>::to_vec));
        let (begin, now) = (turn.begin.to_vec(), turn.now);
        self.of_an_owner(turn.owned, move |disk, epoch| {
            tried.iter().for_each(|tried| disk.end(epoch, tried));
            if let Some(running) = running {
                disk.put_back(epoch, &running, now);
            }
            let mut begun = JobsBegun::default();
            for (target, most) in begin {
                begun.jobs.extend(disk.begin(epoch, target, most, now));
                let own = disk.jobs.values().filter(|job| job.row.kind.target() == target);
                let next = own.filter_map(|job| job.row.next_at).min();
                begun.next.extend(next.map(|next| (target, next)));
            }
            begun
        })
        .await
    }

    async fn list(
        &self,
        filter: JobFilter,
        after: Option<(Timestamp, JobId)>,
        limit: u32,
    ) -> Result<Vec<JobRow>, StoreError> {
        self.read(move |disk| {
            let wanted = |row: &&JobRow| {
                filter.kind.is_none_or(|kind| kind == row.kind) && filter.state.is_none_or(|state| state == row.state)
            };
            let mut rows: Vec<JobRow> = disk.jobs.values().map(|job| &job.row).filter(wanted).cloned().collect();
            rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.made_at, row.id)));
            rows.retain(|row| after.is_none_or(|after| (row.made_at, row.id) < after));
            rows.truncate(limit as usize);
            rows
        })
        .await
    }

    async fn job(&self, id: JobId) -> Result<Option<JobRow>, StoreError> {
        self.read(move |disk| disk.jobs.get(&id).map(|job| job.row.clone())).await
    }

    async fn retry(&self, _: JobId, _: Retry) -> Result<Retried, StoreError> {
        Err(StoreError::Invalid("no simulated operator retries a job".into()))
    }

    async fn open(&self) -> Result<Vec<(JobKind, JobState, u64)>, StoreError> {
        self.read(|disk| disk.jobs.values().map(|job| (job.row.kind, job.row.state, 1)).collect()).await
    }

    async fn forget(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        // The judge looks at all of them.
        Ok(0)
    }
}
