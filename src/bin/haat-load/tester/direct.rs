//! Directs the processes of a run: begins each phase for all at the same moment, collects what they measured and were told, and ends them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::bail;
use rust_decimal::Decimal;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::client::{Caller, Link, Target, Wire};
use super::judge::Line;
use super::live::{Live, View};
use super::messages::{News, Order, Tick, instant_of, moment_in};
use super::points::Wanting;
use super::processes::Processes;
use super::room::PlaceTold;
use super::run::{Cart, Run, Told};
use super::sale;
use super::series::{Second, Series};
use super::shop::Desk;
use super::stats::{Measured, Recorder, locked};
use super::worker::phases;

/// From the order to begin until it is time: for it to reach all processes.
const AHEAD: Duration = Duration::from_millis(100);
/// Between two looks at the stock.
const STOCK_LOOK: Duration = Duration::from_secs(1);
/// Above so many SKUs a look would be a load of its own.
const MOST_WATCHED: usize = 100;
/// News of sales and coupons on their way.
const SEEN: usize = 16;
/// Between two pictures of the live view.
const REDRAW: Duration = Duration::from_millis(250);

/// What a run brought.
#[derive(Default)]
pub struct Collected {
    /// By phase: its name, everything that happened, and how long it took in seconds.
    pub phases: Vec<(&'static str, Measured, f64)>,
    /// The measured phase, second by second.
    pub series: Vec<Second>,
    /// Processes that broke off, in words.
    pub broken: Vec<String>,
    /// It was interrupted.
    pub stopped: bool,
}

/// Interrupts from the terminal, and requests to end. They are listened for all the time: one that comes between two looks is not lost.
pub struct Signals {
    #[cfg(unix)]
    signals: Vec<tokio::signal::unix::Signal>,
}

impl Signals {
    /// From here on they are told here and do nothing else.
    pub fn listen() -> Self {
        #[cfg(unix)]
        let signals = {
            use tokio::signal::unix::{SignalKind, signal};
            [SignalKind::interrupt(), SignalKind::terminate()]
                .into_iter()
                .filter_map(|kind| signal(kind).ok())
                .collect()
        };
        Signals {
            #[cfg(unix)]
            signals,
        }
    }

    /// The next one.
    pub async fn next(&mut self) {
        #[cfg(unix)]
        std::future::poll_fn(|cx| match self.signals.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        })
        .await;
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Everything that is known while a run goes on.
struct Director<'a> {
    run: &'a Arc<Run>,
    processes: Processes,
    names: Vec<&'static str>,
    collected: Collected,
    /// Of the present phase.
    series: Series,
    phase: usize,
    began: Option<Instant>,
    ready: BTreeSet<usize>,
    over: BTreeSet<usize>,
    gone: BTreeSet<usize>,
    stock: Arc<Mutex<Vec<(u32, i64)>>>,
    watching: Option<JoinHandle<()>>,
    told: ToldSoFar,
}

/// What buyers were told, until the crowd has gone: only then it is the run's charge log, from which a worker in this process takes.
#[derive(Default)]
struct ToldSoFar {
    orders: Vec<Told>,
    unsure: Vec<Arc<Cart>>,
    split_twins: Vec<String>,
    turned_away: Vec<Vec<Line>>,
    without_coupon: Vec<Decimal>,
    without_points: Vec<Wanting>,
    places: Vec<PlaceTold>,
}

/// Drives all phases to their end, or to the first failure or interrupt.
pub async fn direct(run: &Arc<Run>, processes: Processes, signals: &mut Signals) -> anyhow::Result<Collected> {
    let names = phases(run);
    let count = processes.count();
    let mut director = Director {
        run,
        collected: Collected {
            phases: names.iter().map(|name| (*name, Measured::default(), 0.0)).collect(),
            ..Collected::default()
        },
        names,
        series: Series::new(count),
        processes,
        phase: 0,
        began: None,
        ready: BTreeSet::new(),
        over: BTreeSet::new(),
        gone: BTreeSet::new(),
        stock: Arc::default(),
        watching: None,
        told: ToldSoFar::default(),
    };
    let (seen, mut left) = mpsc::channel(SEEN);
    let watching_sales = match (director.stock_wire().await, run.sales.is_empty() && run.coupons.is_empty()) {
        (Some(wire), false) => Some(tokio::spawn(sale::watch(run.clone(), wire, seen))),
        _ => None,
    };
    let mut live = Live::new(run.cli.quiet);
    let mut pictures = tokio::time::interval(REDRAW);
    while director.gone.len() < count {
        tokio::select! {
            biased;
            () = signals.next() => {
                if std::mem::replace(&mut director.collected.stopped, true) {
                    director.cut_off();
                    break;
                }
                live.say("stopping: sessions end at their next rest; once more to end at once");
                director.processes.tell(Order::Stop).await;
            }
            news = director.processes.news.recv() => match news {
                Some((process, news)) => director.hear(process, news).await?,
                None => bail!("the processes are gone"),
            },
            Some(left) = left.recv() => director.processes.tell(left).await,
            _ = pictures.tick() => live.show(|| director.view()),
        }
    }
    live.end();
    for watching in director.watching.take().into_iter().chain(watching_sales) {
        watching.abort();
    }
    if let (Some(began), Some(left)) = (director.began, look(&director.stock_wire().await, run).await) {
        locked(&director.stock).push((began.elapsed().as_secs() as u32, left));
    }
    let told = std::mem::take(&mut director.told);
    locked(&run.charge_log.orders).extend(told.orders);
    locked(&run.charge_log.unsure).extend(told.unsure);
    locked(&run.charge_log.split_twins).extend(told.split_twins);
    locked(&run.charge_log.turned_away).extend(told.turned_away);
    locked(&run.charge_log.without_coupon).extend(told.without_coupon);
    locked(&run.charge_log.without_points).extend(told.without_points);
    locked(&run.charge_log.places).extend(told.places);
    let stock = std::mem::take(&mut *locked(&director.stock));
    director.collected.series = director.series.finish(&stock);
    if let Some(last) = director.collected.series.last_mut()
        && let Some((_, left)) = stock.last()
    {
        // The last look may have come a moment after the last second.
        last.stock_left = Some(*left);
    }
    Ok(director.collected)
}

impl Director<'_> {
    async fn hear(&mut self, process: usize, news: News) -> anyhow::Result<()> {
        match news {
            News::Ready(phase) => {
                self.ready.insert(process);
                if self.ready.len() + self.gone.len() == self.processes.count() {
                    self.begin(phase as usize).await;
                }
            }
            News::Tick(tick) => self.take(process, *tick)?,
            News::Over(phase) => {
                self.series.end(process);
                self.over.insert(process);
                let began = self.began.map_or(0.0, |began| began.elapsed().as_secs_f64());
                let (_, _, seconds) = &mut self.collected.phases[phase as usize];
                *seconds = seconds.max(began);
            }
            News::Done => self.leave(process),
            News::Failed(said) => {
                let name = match self.processes.count() {
                    1 => String::new(),
                    _ => format!("process {}: ", process + 1),
                };
                self.collected.broken.push(format!("{name}{said}"));
                self.leave(process);
                // A part of the crowd is no crowd: what the others would measure from here on is another run.
                self.processes.tell(Order::Stop).await;
                if let Some(began) = self.began {
                    let (_, _, seconds) = &mut self.collected.phases[self.phase];
                    *seconds = seconds.max(began.elapsed().as_secs_f64());
                }
            }
        }
        Ok(())
    }

    /// Ends before the sessions have: what they were told is lost with them.
    fn cut_off(&mut self) {
        self.collected.broken.push("sessions, by a second interrupt".to_owned());
        if let Some(began) = self.began {
            let (_, _, seconds) = &mut self.collected.phases[self.phase];
            *seconds = seconds.max(began.elapsed().as_secs_f64());
        }
    }

    fn leave(&mut self, process: usize) {
        self.series.end(process);
        self.gone.insert(process);
    }

    async fn begin(&mut self, phase: usize) {
        self.phase = phase;
        self.series = Series::new(self.processes.count());
        for gone in &self.gone {
            self.series.end(*gone);
        }
        self.ready.clear();
        self.over.clear();
        let at_us = moment_in(AHEAD);
        self.began = Some(instant_of(at_us));
        self.processes.tell(Order::Go { at_us }).await;
        if phase + 1 == self.names.len() && self.run.skus.len() <= MOST_WATCHED {
            let (run, stock, wire) = (self.run.clone(), self.stock.clone(), self.stock_wire().await);
            let began = instant_of(at_us);
            self.watching = Some(tokio::spawn(async move {
                let mut looks = tokio::time::interval_at(began.into(), STOCK_LOOK);
                loop {
                    looks.tick().await;
                    if let Some(left) = look(&wire, &run).await {
                        locked(&stock).push((began.elapsed().as_secs() as u32, left));
                    }
                }
            }));
        }
    }

    /// A wire of its own, so that these looks are in nobody's figures.
    async fn stock_wire(&self) -> Option<Arc<Wire>> {
        Some(Arc::new(Wire {
            target: Target::resolve(&self.run.cli.target).await.ok()?,
            timeout: self.run.wire.timeout,
            repeats: 0,
            recorder: Recorder::default(),
        }))
    }

    fn take(&mut self, process: usize, tick: Tick) -> anyhow::Result<()> {
        let (_, measured, _) = &mut self.collected.phases[tick.phase as usize];
        for (_, second) in &tick.seconds {
            measured.merge(second);
        }
        if tick.phase as usize == self.phase {
            self.series.add(process, &tick.seconds, tick.complete);
        }
        let told = &mut self.told;
        for order in tick.told {
            told.orders.push(order.told()?);
        }
        for cart in tick.unsure {
            told.unsure.push(cart.cart()?);
        }
        told.split_twins.extend(tick.split_twins);
        told.turned_away.extend(tick.turned_away);
        told.without_coupon.extend(tick.without_coupon);
        told.without_points.extend(tick.without_points);
        told.places.extend(tick.places);
        Ok(())
    }

    fn view(&self) -> Option<View> {
        let began = self.began?;
        let (name, measured, _) = &self.collected.phases[self.phase];
        let (recent, seconds) = self.series.recent();
        Some(View {
            phase: match self.names.len() {
                1 => self.run.scenario.name.clone(),
                _ => (*name).to_owned(),
            },
            elapsed: began.elapsed(),
            sessions: self.run.scenario.arrival.sessions().map(u64::from),
            measured: measured.clone(),
            recent,
            recent_seconds: seconds,
            stock_left: locked(&self.stock).last().map(|(_, left)| *left),
            processes: self.processes.count(),
        })
    }
}

/// Pieces of all SKUs that could be bought now.
async fn look(wire: &Option<Arc<Wire>>, run: &Run) -> Option<i64> {
    if run.skus.len() > MOST_WATCHED {
        return None;
    }
    let mut desk = Desk { caller: Caller::new(wire.as_ref()?, Link::plain(), 2), admin: None };
    let mut left = 0;
    for sku in &run.skus {
        left += desk.available(sku).await.ok()?;
    }
    Some(left)
}
