//! Drives one process's part of the sessions, and tells what it measured second by second.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::arrivals::Arrivals;
use super::client::{Caller, Link};
use super::h2c::Shared;
use super::messages::{News, Order, Part, Tick, instant_of};
use super::run::{Cart, Run, rest_until};
use super::scenario::{Arrival, Protocol};
use super::session::{fill_beforehand, session};
use super::stats::locked;

/// A session that begins later than this after its time is counted as late.
const LATE: Duration = Duration::from_millis(100);
/// Between two ticks.
const SECOND: Duration = Duration::from_secs(1);
/// Sessions begun before those that were begun have their turn.
const AT_ONCE: u32 = 256;

/// Filling carts that are not measured, then the measured phase; or that alone.
pub fn phases(run: &Run) -> Vec<&'static str> {
    match run.scenario.prepares() {
        true => vec!["filling carts (not counted)", "measured"],
        false => vec!["measured"],
    }
}

/// Does its part of every phase, each when it is told to.
pub async fn work(run: Arc<Run>, part: Part, mut orders: mpsc::Receiver<Order>, news: mpsc::Sender<News>) {
    let (go, mut goes) = mpsc::channel(1);
    let run_told = run.clone();
    // When nobody is there to give orders any more, nobody wants the sessions either.
    let listening = tokio::spawn(async move {
        while let Some(order) = orders.recv().await {
            match order {
                Order::Go { at_us } => {
                    let _ = go.send(at_us).await;
                }
                Order::Stop => run_told.stop.cancel(),
                Order::Left { sku, left } => run_told.left.note(sku, left),
                Order::Unused(unused) => run_told.left.note_unused(unused),
            }
        }
        run_told.stop.cancel();
    });
    let said = match all_phases(&run, part, &mut goes, &news).await {
        Ok(()) => News::Done,
        Err(error) => News::Failed(format!("{error:#}")),
    };
    let _ = news.send(said).await;
    listening.abort();
}

async fn all_phases(
    run: &Arc<Run>,
    part: Part,
    goes: &mut mpsc::Receiver<u64>,
    news: &mpsc::Sender<News>,
) -> anyhow::Result<()> {
    let last = phases(run).len() - 1;
    let mut carts = Vec::new();
    for phase in 0..=last {
        tell(news, News::Ready(phase as u32)).await?;
        let at_us = tokio::select! {
            biased;
            () = run.stop.cancelled() => return Ok(()),
            at_us = goes.recv() => at_us.context("no order to begin")?,
        };
        let began = instant_of(at_us);
        run.wire.recorder.begin(began);
        let crowd = Arc::new(Crowd::new(run, &part, began, std::mem::take(&mut carts)));
        let mut driving = pin!(async {
            match phase < last {
                true => crowd.clone().fill().await,
                false => crowd.clone().drive().await.map(|()| Vec::new()),
            }
        });
        let mut ticks = tokio::time::interval_at((began + SECOND).into(), SECOND);
        let driven = loop {
            tokio::select! {
                biased;
                driven = &mut driving => break driven,
                _ = ticks.tick() => tell(news, News::Tick(Box::new(crowd.tick(phase as u32, false)))).await?,
            }
        };
        tell(news, News::Tick(Box::new(crowd.tick(phase as u32, true)))).await?;
        carts = driven?;
        tell(news, News::Over(phase as u32)).await?;
    }
    Ok(())
}

async fn tell(news: &mpsc::Sender<News>, said: News) -> anyhow::Result<()> {
    if news.send(said).await.is_err() {
        bail!("nobody listens any more");
    }
    Ok(())
}

/// The sessions of one phase in this process, and what they share.
struct Crowd {
    run: Arc<Run>,
    part: Part,
    began: Instant,
    /// So many sessions at once.
    places: Arc<Semaphore>,
    /// Connections of sessions that have ended, for those that come.
    idle: Mutex<Vec<Link>>,
    under_way: AtomicU32,
    /// Made beforehand, by the session's number within this process.
    carts: Vec<Option<Arc<Cart>>>,
}

impl Crowd {
    fn new(run: &Arc<Run>, part: &Part, began: Instant, carts: Vec<Option<Arc<Cart>>>) -> Self {
        Crowd {
            run: run.clone(),
            places: Arc::new(Semaphore::new(part.at_once as usize)),
            part: part.clone(),
            began,
            idle: Mutex::default(),
            under_way: AtomicU32::new(0),
            carts,
        }
    }

    /// How many of so many are this process's.
    fn share(&self, all: u32) -> u32 {
        all / self.part.processes + u32::from(self.part.process < all % self.part.processes)
    }

    /// The number among all sessions of the one with this number in this process.
    fn number(&self, own: u32) -> u64 {
        u64::from(own) * u64::from(self.part.processes) + u64::from(self.part.process)
    }

    fn source(&self, own: u32) -> Option<IpAddr> {
        let addresses = &self.part.addresses;
        // The next process begins where this one's first address was passed.
        let place = (own + self.part.process) as usize;
        (!addresses.is_empty()).then(|| addresses[place % addresses.len()])
    }

    fn tick(&self, phase: u32, last: bool) -> Tick {
        let charge_log = &self.run.charge_log;
        let (seconds, complete) = self.run.wire.recorder.drain(last);
        Tick {
            phase,
            seconds,
            complete,
            under_way: self.under_way.load(Ordering::Relaxed),
            told: std::mem::take(&mut *locked(&charge_log.orders)).iter().map(Into::into).collect(),
            unsure: std::mem::take(&mut *locked(&charge_log.unsure)).iter().map(|cart| (&**cart).into()).collect(),
            split_twins: std::mem::take(&mut *locked(&charge_log.split_twins)),
            turned_away: std::mem::take(&mut *locked(&charge_log.turned_away)),
            without_coupon: std::mem::take(&mut *locked(&charge_log.without_coupon)),
            without_points: std::mem::take(&mut *locked(&charge_log.without_points)),
            places: std::mem::take(&mut *locked(&charge_log.places)),
        }
    }

    async fn drive(self: Arc<Self>) -> anyhow::Result<()> {
        match &self.run.scenario.arrival {
            Arrival::Open { .. } => self.open().await,
            Arrival::Closed { .. } => self.closed().await,
        }
    }

    /// Sessions begin when they are due, whatever became of those before.
    async fn open(self: Arc<Self>) -> anyhow::Result<()> {
        let run = self.run.clone();
        let Arrival::Open { spacing, stages } = &run.scenario.arrival else { return Ok(()) };
        let (process, processes) = (self.part.process as usize, self.part.processes as usize);
        let arrivals = Arrivals::new(stages.clone(), *spacing, run.cli.seed).skip(process).step_by(processes);
        let mut groups = Groups::new(&run, &self);
        let mut sessions = JoinSet::new();
        for (own, at) in arrivals.enumerate() {
            let (due, own) = (self.began + at, own as u32);
            if !rest_until(due, Some(&run.stop)).await {
                break;
            }
            // Taken here, so that those who wait for a place cost nothing. Each is due when it is, however late its turn comes.
            let place = tokio::select! {
                biased;
                () = run.stop.cancelled() => break,
                place = self.places.clone().acquire_owned() => place,
            };
            let (crowd, link) = (self.clone(), groups.link(own));
            sessions.spawn(async move {
                let link = match link {
                    Link::Http1 { .. } => locked(&crowd.idle).pop().unwrap_or(link),
                    shared => shared,
                };
                let mut caller = Caller::new(&crowd.run.wire, link, crowd.number(own));
                crowd.visit(&mut caller, own, due).await;
                if crowd.run.scenario.connections.reuse {
                    locked(&crowd.idle).push(caller.link);
                }
                drop(place);
            });
            if own % AT_ONCE == AT_ONCE - 1 {
                // Many may be due at the same time: the first of them begin before the last is made.
                tokio::task::yield_now().await;
            }
            // Those that have ended leave memory.
            while let Some(ended) = sessions.try_join_next() {
                ended.context("a session broke off")?;
            }
        }
        while let Some(ended) = sessions.join_next().await {
            ended.context("a session broke off")?;
        }
        Ok(())
    }

    /// Each user begins a session when the one before has ended.
    async fn closed(self: Arc<Self>) -> anyhow::Result<()> {
        let Arrival::Closed { users, lasts, ramp, .. } = self.run.scenario.arrival else { return Ok(()) };
        let sessions = self.run.scenario.arrival.sessions().map_or(u32::MAX, |sessions| self.share(sessions));
        let until = lasts.map(|lasts| self.began + lasts.0);
        let next = Arc::new(AtomicU32::new(0));
        let mut groups = Groups::new(&self.run, &self);
        let mut crew = JoinSet::new();
        for user in 0..self.share(users).min(self.part.at_once) {
            let due = self.began + ramp.0.mul_f64(self.number(user) as f64 / f64::from(users));
            let (crowd, next, link) = (self.clone(), next.clone(), groups.link(user));
            crew.spawn(async move {
                let mut caller = Caller::new(&crowd.run.wire, link, crowd.number(user));
                let mut due = due;
                while rest_until(due, Some(&crowd.run.stop)).await {
                    let own = next.fetch_add(1, Ordering::Relaxed);
                    if own >= sessions || until.is_some_and(|until| due >= until) {
                        return;
                    }
                    crowd.visit(&mut caller, own, due).await;
                    if !crowd.run.scenario.connections.reuse {
                        caller.hang_up();
                    }
                    due = Instant::now();
                }
            });
        }
        while let Some(ended) = crew.join_next().await {
            ended.context("a user broke off")?;
        }
        Ok(())
    }

    /// One session, counted.
    async fn visit(&self, caller: &mut Caller, own: u32, due: Instant) {
        let behind = due.elapsed();
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.run.wire.recorder.count(|measured| {
            measured.begun += 1;
            if behind > LATE {
                measured.late += 1;
                measured.latest_ms = measured.latest_ms.max(behind.as_millis() as u64);
            }
        });
        let cart = self.carts.get(own as usize).cloned().flatten();
        let outcome = match cart.is_none() && self.run.scenario.prepares() {
            // Why it has none was counted when it was to be filled.
            true => None,
            false => session(&self.run, caller, self.number(own), due, cart).await,
        };
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        self.run.wire.recorder.count(|measured| {
            measured.ended += 1;
            if let Some(words) = &outcome {
                measured.outcomes.add(words, 1);
            }
        });
    }

    /// Fills the carts of all sessions, as fast as answers come.
    async fn fill(self: Arc<Self>) -> anyhow::Result<Vec<Option<Arc<Cart>>>> {
        let sessions = self.share(self.run.scenario.arrival.sessions().unwrap_or_default());
        let carts = Arc::new(Mutex::new(vec![None; sessions as usize]));
        let next = Arc::new(AtomicU32::new(0));
        let mut groups = Groups::new(&self.run, &self);
        let mut crew = JoinSet::new();
        for user in 0..self.part.at_once.min(sessions) {
            let (crowd, next, carts, link) = (self.clone(), next.clone(), carts.clone(), groups.link(user));
            crew.spawn(async move {
                let mut caller = Caller::new(&crowd.run.wire, link, crowd.number(user));
                while !crowd.run.stop.is_cancelled() {
                    let own = next.fetch_add(1, Ordering::Relaxed);
                    if own >= sessions {
                        return;
                    }
                    let filled = fill_beforehand(&crowd.run, &mut caller, crowd.number(own)).await;
                    crowd.run.wire.recorder.count(|measured| {
                        measured.begun += 1;
                        measured.ended += 1;
                        if let Err(stop) = &filled {
                            measured.outcomes.add(&stop.words(), 1);
                        }
                    });
                    locked(&carts)[own as usize] = filled.ok().map(Arc::new);
                }
            });
        }
        while let Some(ended) = crew.join_next().await {
            ended.context("a worker broke off")?;
        }
        Ok(std::mem::take(&mut *locked(&carts)))
    }
}

/// Gives sessions what carries them: a connection each, or (h2c) one for several that follow each other.
struct Groups<'a> {
    crowd: &'a Crowd,
    protocol: Protocol,
    size: u32,
    present: Option<(u32, Arc<Shared>)>,
}

impl<'a> Groups<'a> {
    fn new(run: &Run, crowd: &'a Crowd) -> Self {
        let connections = &run.scenario.connections;
        Groups { crowd, protocol: connections.protocol, size: connections.sessions_per_connection, present: None }
    }

    fn link(&mut self, own: u32) -> Link {
        let group = own / self.size;
        let source = self.crowd.source(group);
        if self.protocol == Protocol::Http1 {
            return Link::Http1 { open: None, source };
        }
        let shared = match self.present.take() {
            Some((present, shared)) if present == group => shared,
            _ => Arc::new(Shared::new(source)),
        };
        self.present = Some((group, shared.clone()));
        Link::H2c(shared)
    }
}

#[cfg(test)]
mod tests {
    use super::super::builtin;
    use super::super::cli::Cli;
    use super::*;
    use clap::Parser;

    async fn crowd(arguments: &[&str], processes: u32) -> Vec<Crowd> {
        let cli = Cli::parse_from([&["haat-load"], arguments].concat());
        let run = Arc::new(Run::prepare(cli.clone(), builtin::scenario(&cli)).await.expect("a run"));
        let part = |process| Part { process, processes, at_once: 1, addresses: Vec::new() };
        (0..processes).map(|process| Crowd::new(&run, &part(process), Instant::now(), Vec::new())).collect()
    }

    #[tokio::test]
    async fn a_waiting_session_is_small() {
        let crowd = crowd(&["--retry", "5"], 1).await.remove(0);
        let mut caller = Caller::new(&crowd.run.wire, Link::plain(), 0);
        let size = size_of_val(&crowd.visit(&mut caller, 0, Instant::now()));
        assert!(size <= 4096, "{size} bytes of state for each session");
    }

    #[tokio::test]
    async fn every_session_belongs_to_one_process() {
        for sessions in [1, 5, 6, 7, 100] {
            let crowds = crowd(&[], 3).await;
            let mut numbers: Vec<u64> =
                crowds.iter().flat_map(|crowd| (0..crowd.share(sessions)).map(|own| crowd.number(own))).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, (0..u64::from(sessions)).collect::<Vec<_>>());
        }
    }
}
