//! The one task that takes jobs and writes what has come of them.

use super::metrics;
use crate::domain::ids::{JobId, Kind};
use crate::domain::job::{Job, Target, Tried, TryOutcome};
use crate::domain::time::Timestamp;
use crate::limits;
use crate::outbound::{Answers, Blocked, Call, Meter, Pace};
use crate::ports::jobs::{JobTurn, JobWorker, Jobs};
use crate::ports::trace::{self, OpenSpan, TraceContext, Tracer};
use crate::ports::{Clock, Partition, StoreError};
use futures::FutureExt as _;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::field::display;

/// How long outcomes and new jobs gather before a turn: so many share a transaction.
const GATHER: Duration = Duration::from_millis(50);
/// Between two looks at what is to be forgotten, at what is left under way, and at how many there are.
const UPKEEP: Duration = Duration::from_secs(15);
/// Jobs forgotten in one transaction.
const FORGOTTEN: u32 = 256;
/// The shortest and the longest wait after the store has failed.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// What jobs are done with.
pub struct RunnerParts {
    /// Their rows.
    pub jobs: Arc<dyn Jobs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The partitions that this node owns.
    pub owned: Vec<Partition>,
    /// Who does them, and at what pace: one for each target.
    pub workers: Vec<(Arc<dyn JobWorker>, Pace)>,
    /// Told when there are new ones.
    pub news: Arc<Notify>,
    /// Begins the traces of tries, where any are traced.
    pub tracer: Option<Tracer>,
}

/// The jobs of a node being done.
pub struct JobRunner {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl JobRunner {
    /// Starts it.
    pub fn start(parts: RunnerParts) -> Self {
        let RunnerParts { jobs, clock, owned, workers, news, tracer } = parts;
        let stop = CancellationToken::new();
        let now = Instant::now();
        let desks = workers.into_iter().map(|(worker, pace)| {
            let desk = Desk { worker, meter: Meter::new(pace, now), due: Some(Timestamp::default()) };
            (desk.worker.target(), desk)
        });
        let runner = Runner {
            jobs,
            clock,
            owned,
            desks: desks.collect(),
            news,
            tracer,
            stop: stop.clone(),
            running: JoinSet::new(),
            calls: BTreeMap::new(),
            tried: Vec::new(),
            is_unsure: true,
        };
        Self { task: tokio::spawn(runner.run()), stop }
    }

    /// What runs by itself.
    pub fn task(&self) -> AbortHandle {
        self.task.abort_handle()
    }

    /// Begins no more jobs.
    pub fn pause(&self) {
        self.stop.cancel();
    }

    /// Waits for those under way, some time, and writes what has come of them.
    pub async fn drain(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

/// A target, and when its next job is due: a moment long past when nobody has looked.
struct Desk {
    worker: Arc<dyn JobWorker>,
    meter: Meter,
    due: Option<Timestamp>,
}

/// A job under way.
struct UnderWay {
    job: Job,
    call: Call,
    traced: Option<TracedTry>,
}

/// The span of a try, and what the next one is below.
struct TracedTry {
    span: OpenSpan,
    above: TraceContext,
}

impl TracedTry {
    fn begin(tracer: Tracer, job: &Job, at: Instant) -> Option<Self> {
        let (mut span, above) = tracer.job(job.id, format!("job {}", job.kind.name()), at)?;
        span.says("haat.job", job.id.to_string());
        span.says("haat.job.target", job.kind.target().name());
        span.says("haat.job.try", job.tries as usize);
        if let Some(entity) = job.about.entity() {
            span.says("haat.entity.kind", entity.kind.name());
            // The id of a customer is the id of a person, as is that of an account.
            if entity.kind != Kind::Customer {
                span.says("haat.entity", entity.to_string());
            }
        }
        Some(Self { span, above })
    }

    fn end(mut self, job: JobId, outcome: &'static str, failed: bool, is_tried_again: bool) {
        let now = Instant::now();
        self.span.says("haat.job.outcome", outcome);
        if failed {
            self.span.says("error.type", outcome);
        }
        self.span.end(now, failed);
        match is_tried_again {
            true => self.above.sets_off(job, now),
            false => self.above.is_done(job),
        }
    }
}

struct Runner {
    jobs: Arc<dyn Jobs>,
    clock: Arc<dyn Clock>,
    owned: Vec<Partition>,
    desks: BTreeMap<Target, Desk>,
    news: Arc<Notify>,
    tracer: Option<Tracer>,
    stop: CancellationToken,
    running: JoinSet<(Job, TryOutcome)>,
    /// Jobs under way.
    calls: BTreeMap<JobId, UnderWay>,
    /// What has come of jobs, and is not written yet.
    tried: Vec<Tried>,
    /// Whether the store may say of jobs that they are under way which were never begun.
    is_unsure: bool,
}

/// What the runner is woken by.
enum Woken {
    /// Something may be begun.
    News,
    /// A job has ended.
    Ended(Job, TryOutcome),
    Upkeep,
    Stop,
}

impl Runner {
    async fn run(mut self) {
        let mut wait = RETRY.0;
        let mut upkeep = Instant::now();
        while !self.stop.is_cancelled() {
            let done = match upkeep <= Instant::now() {
                true => {
                    upkeep = Instant::now() + UPKEEP;
                    self.upkeep().await
                }
                false => Ok(()),
            };
            let done = match done {
                Ok(()) => self.turn().await,
                failed => failed,
            };
            match done {
                Ok(()) => wait = RETRY.0,
                // The log writer meets it, too, and ends the process.
                Err(StoreError::Fenced) => return,
                Err(error) => {
                    metrics::failed();
                    tracing::warn!(%error, "jobs cannot be taken from the store: it is tried again");
                    tokio::select! {
                        biased;
                        () = self.stop.cancelled() => break,
                        () = sleep(wait) => {}
                    }
                    wait = (wait * 2).min(RETRY.1);
                    continue;
                }
            }
            match self.woken(upkeep).await {
                Woken::Stop => break,
                Woken::Upkeep => continue,
                Woken::News => self.look(),
                Woken::Ended(job, outcome) => self.end(job, outcome),
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                () = sleep(GATHER) => {}
            }
            while let Some(Ok((job, outcome))) = self.running.try_join_next() {
                self.end(job, outcome);
            }
        }
        self.finish().await;
    }

    /// Waits until there is something to do.
    async fn woken(&mut self, upkeep: Instant) -> Woken {
        let (now, moment) = (Instant::now(), self.clock.now());
        let begins = self.desks.values().filter_map(|desk| {
            let due = desk.due?.millis_since(moment).max(0);
            match desk.meter.room(now) {
                Ok(_) => Some(now + Duration::from_millis(due.unsigned_abs())),
                Err(Blocked::Until(at)) => Some(at.max(now + Duration::from_millis(due.unsigned_abs()))),
                Err(Blocked::UntilAnEnd) => None,
            }
        });
        let begins = begins.min();
        tokio::select! {
            // In this order, so that a simulated run can be repeated.
            biased;
            () = self.stop.cancelled() => Woken::Stop,
            Some(Ok((job, outcome))) = self.running.join_next() => Woken::Ended(job, outcome),
            () = self.news.notified() => Woken::News,
            () = sleep_until(begins.unwrap_or(upkeep)), if begins.is_some() => Woken::News,
            () = sleep_until(upkeep) => Woken::Upkeep,
        }
    }

    /// There may be something due at any target.
    fn look(&mut self) {
        self.desks.values_mut().for_each(|desk| desk.due = Some(Timestamp::default()));
    }

    /// Writes what has come of jobs, and begins what is due.
    async fn turn(&mut self) -> Result<(), StoreError> {
        let (now, moment) = (Instant::now(), self.clock.now());
        let due = self.desks.iter().filter(|(_, desk)| desk.due.is_some_and(|due| due <= moment));
        let begin: Vec<(Target, usize)> =
            due.filter_map(|(target, desk)| Some((*target, desk.meter.room(now).ok()?))).collect();
        if begin.is_empty() && self.tried.is_empty() && !self.is_unsure {
            return Ok(());
        }
        let running: Vec<JobId> = self.calls.keys().copied().collect();
        let running = self.is_unsure.then_some(&running[..]);
        let turn = JobTurn { owned: &self.owned, tried: &self.tried, running, begin: &begin, now: moment };
        let was_unsure = std::mem::replace(&mut self.is_unsure, true);
        let begun = self.jobs.turn(turn).await?;
        self.is_unsure = false;
        let waits = self.tried.iter().any(|tried| tried.next_at.is_some());
        self.tried.clear();
        for (target, _) in &begin {
            if let Some(desk) = self.desks.get_mut(target) {
                desk.due = begun.next.iter().find(|(of, _)| of == target).map(|(_, due)| *due);
            }
        }
        if waits || was_unsure {
            // What waits anew may be due before what was known of.
            self.look();
        }
        for job in begun.jobs {
            self.begin(job, now);
        }
        Ok(())
    }

    fn begin(&mut self, job: Job, now: Instant) {
        let target = job.kind.target();
        let call = self.desks.get_mut(&target).and_then(|desk| {
            let before = desk.meter.answers();
            let call = desk.meter.call(job.id.uuid().as_u128(), now).ok()?;
            tell(target, before, desk.meter.answers());
            Some((call, desk.worker.clone()))
        });
        let Some((call, worker)) = call else {
            // There was room for it; should there be none, it is due again.
            self.tried.push(job.after(TryOutcome::NotTried, self.clock.now()));
            return;
        };
        let traced = self.tracer.and_then(|tracer| TracedTry::begin(tracer, &job, Instant::now()));
        let context = traced.as_ref().map(|traced| traced.span.context());
        self.calls.insert(job.id, UnderWay { job, call, traced });
        self.running.spawn(async move {
            let within = Duration::from_millis(limits::JOB_MS);
            let tried = timeout(within, worker.try_job(&job));
            let outcome = match context {
                None => AssertUnwindSafe(tried).catch_unwind().await,
                Some(context) => AssertUnwindSafe(trace::within(context, tried)).catch_unwind().await,
            };
            let unknown = |reason: &str| TryOutcome::Unknown { reason: reason.to_owned() };
            let outcome = match outcome {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => unknown("no answer in time"),
                Err(_) => unknown("a fault of this server's"),
            };
            (job, outcome)
        });
    }

    fn end(&mut self, job: Job, outcome: TryOutcome) {
        let target = job.kind.target();
        let (call, traced) = self.calls.remove(&job.id).map(|it| (it.call, it.traced)).unzip();
        if let (Some(call), Some(desk)) = (call, self.desks.get_mut(&target)) {
            let before = desk.meter.answers();
            desk.meter.end(call, outcome.answered(), Instant::now());
            tell(target, before, desk.meter.answers());
        }
        metrics::tried(job.kind, &outcome);
        let (name, failed) = (outcome.name(), outcome.failed());
        let tried = job.after(outcome, self.clock.now());
        let traced = traced.flatten();
        let trace_id = traced.as_ref().map(|traced| display(traced.above.trace()));
        if let Some(traced) = traced {
            traced.end(job.id, name, failed, tried.state.is_waiting());
        }
        let (id, kind, about) = (job.id, job.kind.name(), job.about);
        let (state, note) = (tried.state.name(), tried.note.as_deref());
        match (tried.state.is_waiting(), tried.note.is_some()) {
            (false, false) => tracing::debug!(%id, kind, %about, state, trace_id, "a job has ended"),
            (false, true) => tracing::warn!(%id, kind, %about, state, note, trace_id, "a job has ended"),
            (true, _) => {
                tracing::debug!(%id, kind, %about, state, note, tries = tried.tries, trace_id, "a job is tried again");
            }
        }
        self.tried.push(tried);
    }

    async fn upkeep(&mut self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let taken = self.jobs.take_over(&self.owned, now).await?;
        if taken > 0 {
            tracing::info!(jobs = taken, "jobs that another server was at are looked up");
            self.look();
        }
        while self.jobs.forget(now.plus_millis(-limits::JOB_KEPT_MS), FORGOTTEN).await? >= u64::from(FORGOTTEN) {
            // Whoever else writes comes first.
            sleep(GATHER).await;
        }
        metrics::open(&self.jobs.open().await?);
        // A turn whose outcome was unknown may have been carried out after the one that came after it.
        self.is_unsure = true;
        Ok(())
    }

    /// Waits for what is under way, and writes what is known by then.
    async fn finish(&mut self) {
        let until = Instant::now() + Duration::from_millis(limits::JOBS_DRAIN_MS);
        while !self.calls.is_empty() {
            tokio::select! {
                biased;
                Some(Ok((job, outcome))) = self.running.join_next() => self.end(job, outcome),
                () = sleep_until(until) => break,
                else => break,
            }
        }
        let cut_off: Vec<Job> = self.calls.values().map(|under_way| under_way.job).collect();
        self.running.shutdown().await;
        for job in cut_off {
            self.end(job, TryOutcome::Unknown { reason: "the server stopped".to_owned() });
        }
        self.desks.clear();
        if let Err(error) = self.turn().await {
            tracing::warn!(%error, "what came of some jobs could not be written: they are looked up after the next start");
        }
    }
}

/// Tells operators that a target answers as before no more.
fn tell(target: Target, before: Answers, now: Answers) {
    if before == now {
        return;
    }
    metrics::answers(target, now);
    let target = target.name();
    match (before, now) {
        (Answers::Yes, Answers::No) => {
            tracing::warn!(target, "gives no answers: its jobs wait, and it is tried now and then")
        }
        (Answers::No | Answers::Probed, Answers::Yes) => tracing::info!(target, "answers again: its jobs go on"),
        _ => {}
    }
}
