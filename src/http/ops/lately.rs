//! What went wrong lately: by how much the counts that stand for trouble have risen in the last minutes. So whoever begins to watch in the middle of
//! the night is shown what went wrong before. They are looked at now and then while nobody watches, and at each look while somebody does.

use super::figures::{Figures, label};
use crate::domain::time::Timestamp;
use crate::http::RenderMetrics;
use crate::http::metrics;
use crate::http::server::now;
use crate::limits;
use crate::telemetry::names;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How far back is told.
const LATELY: Duration = Duration::from_millis(limits::LATELY_MS);
/// Between two looks while nobody watches. What rises within so long is one rise, so that few are kept.
const TOGETHER: Duration = Duration::from_millis(limits::LATELY_LOOK_MS);

/// A count that stands for trouble.
struct Count {
    name: &'static str,
    metric: &'static str,
    /// The label whose values are told apart. All others are added up.
    of: Option<&'static str>,
    /// The series that are meant: those in which this label has one of these values.
    only: Option<(&'static str, &'static [&'static str])>,
}

const fn all(name: &'static str, metric: &'static str) -> Count {
    Count { name, metric, of: None, only: None }
}

const fn each(name: &'static str, metric: &'static str, of: &'static str) -> Count {
    Count { name, metric, of: Some(of), only: None }
}

const fn some(
    name: &'static str,
    metric: &'static str,
    of: &'static str,
    only: (&'static str, &'static [&'static str]),
) -> Count {
    Count { name, metric, of: Some(of), only: Some(only) }
}

/// What is watched. A 503 has its reason among what is refused.
const COUNTS: [Count; 22] = [
    each("actor_restarts", names::RESTARTS, "kind"),
    each("answers_given_up", metrics::ANSWERS_GIVEN_UP, "at"),
    each("bodies_refused", metrics::BODIES_REJECTED, "reason"),
    all("checkpoint_refused", names::CHECKPOINT_REFUSED),
    all("commit_failures", names::LANE_COMMIT_FAILURES),
    all("connections_refused", metrics::REFUSED),
    each("connections_timed_out", metrics::TIMEOUTS, "at"),
    each("entities_quarantined", names::QUARANTINES, "kind"),
    each("follower_failures", names::FOLLOWER_FAILURES, "follower"),
    each("follower_skipped", names::FOLLOWER_SKIPPED, "follower"),
    all("handler_panics", metrics::PANICS),
    each("invariant_breaches", names::BREACHES, "invariant"),
    all("job_store_failures", names::JOB_FAILURES),
    some("jobs_gave_up", names::JOBS_OPEN, "kind", ("state", &["gave_up"])),
    each("orders_quarantined", names::ORDERS_QUARANTINED, "why"),
    each("payment_provider_silent", names::PAYMENT_BREAKER_OPENED, "method"),
    some("payments_unanswered", names::PAYMENT_CALLS, "method", ("outcome", &["no_answer", "timed_out"])),
    each("rate_limited", metrics::RATE_LIMITED, "class"),
    each("requests_shed", names::SHED, "reason"),
    some("server_errors", metrics::REQUESTS, "status", ("status", &["500", "504"])),
    some("service_writes_failed", names::SERVICE_UNITS, "outcome", ("outcome", &["busy", "failed", "unknown"])),
    all("trace_spans_dropped", names::TRACE_SPANS_DROPPED),
];

impl Count {
    /// What it has come to, by what it is of.
    fn totals<'a>(&self, figures: &'a Figures) -> BTreeMap<&'a str, u64> {
        let mut totals = BTreeMap::new();
        for (series, total) in figures.all(self.metric) {
            let is_meant =
                self.only.is_none_or(|(by, values)| label(series, by).is_some_and(|is| values.contains(&is)));
            let of = self.of.map_or(Some(""), |of| label(series, of));
            if let Some(of) = of.filter(|_| is_meant) {
                *totals.entry(of).or_default() += total as u64;
            }
        }
        totals
    }
}

/// By how much it rose, from when to when.
struct Rise {
    from: Instant,
    upto: Instant,
    by: u64,
}

#[derive(Default)]
struct Course {
    total: u64,
    rises: VecDeque<Rise>,
    /// When it was last seen to have risen.
    last: Timestamp,
}

/// A count that rose lately.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Risen {
    pub(super) count: &'static str,
    /// What was counted; empty where nothing is told apart.
    pub(super) of: Box<str>,
    pub(super) by: u64,
    pub(super) last: Timestamp,
}

/// What went wrong lately, as of one look.
#[derive(Default)]
pub(super) struct Recent {
    /// Of how much time it is: less than usual while the process is young.
    pub(super) over: Duration,
    pub(super) risen: Vec<Risen>,
}

/// Remembers what has risen. Of each count there are as many rises at most as looks go into the time that is told.
pub(super) struct Lately {
    since: Instant,
    looked: Instant,
    /// By the count's place in the list, and what it is of: labels are ours, so there are few.
    courses: BTreeMap<(usize, Box<str>), Course>,
}

impl Lately {
    /// Of a process in which nothing has been counted yet.
    pub(super) fn new() -> Self {
        let now = now();
        Self { since: now, looked: now, courses: BTreeMap::new() }
    }

    /// Takes one look in.
    pub(super) fn add(&mut self, moment: Instant, told: Timestamp, figures: &Figures) {
        self.looked = moment;
        for (place, count) in COUNTS.iter().enumerate() {
            for (of, total) in count.totals(figures) {
                let key = (place, Box::from(of));
                // One that has never risen needs no place.
                if total > 0 || self.courses.contains_key(&key) {
                    self.courses.entry(key).or_default().add(moment, told, total);
                }
            }
        }
        for course in self.courses.values_mut() {
            let is_over = |rise: &Rise| moment.duration_since(rise.upto) >= LATELY;
            while course.rises.front().is_some_and(is_over) {
                course.rises.pop_front();
            }
        }
    }

    /// What has risen, as of the last look.
    pub(super) fn recent(&self) -> Recent {
        let risen = self.courses.iter().filter(|(_, course)| !course.rises.is_empty());
        let risen = risen.map(|((place, of), course)| Risen {
            count: COUNTS[*place].name,
            of: of.clone(),
            by: course.rises.iter().map(|rise| rise.by).sum(),
            last: course.last,
        });
        Recent { over: self.looked.duration_since(self.since).min(LATELY), risen: risen.collect() }
    }

    /// When the next look is due, if nobody watches.
    fn due(&self) -> Instant {
        self.looked + TOGETHER
    }
}

impl Course {
    fn add(&mut self, moment: Instant, told: Timestamp, total: u64) {
        // What counts what waits falls, too.
        let by = total.saturating_sub(std::mem::replace(&mut self.total, total));
        if by == 0 {
            return;
        }
        self.last = told;
        match self.rises.back_mut() {
            Some(rise) if moment.duration_since(rise.from) < TOGETHER => (rise.upto, rise.by) = (moment, rise.by + by),
            _ => self.rises.push_back(Rise { from: moment, upto: moment, by }),
        }
    }
}

/// Looks at the counts now and then, until the server stops. Nothing is looked at while somebody who watches does so.
pub(super) async fn remember(
    lately: &Mutex<Lately>,
    metrics: &RenderMetrics,
    clock: impl Fn() -> Timestamp,
    stop: &CancellationToken,
) {
    loop {
        let due = lately.lock().due();
        if due <= now() {
            let figures = Figures::read(&metrics.render());
            lately.lock().add(now(), clock(), &figures);
        } else if stop.run_until_cancelled(sleep_until(due)).await.is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn told(lately: &Lately) -> Vec<(&'static str, String, u64, i64)> {
        let risen = lately.recent().risen.into_iter();
        risen.map(|one| (one.count, one.of.into(), one.by, one.last.as_millis())).collect()
    }

    fn one(count: &'static str, of: &str, by: u64, last: i64) -> (&'static str, String, u64, i64) {
        (count, of.to_owned(), by, last)
    }

    #[test]
    fn what_rose_is_told_for_fifteen_minutes_and_then_no_more() {
        let mut lately = Lately::new();
        let begun = lately.since;
        let mut look = |seconds: u64, text: &str| {
            let moment = begun + Duration::from_secs(seconds);
            lately.add(moment, Timestamp::from_millis(seconds as i64), &Figures::read(text));
            (told(&lately), lately.recent().over.as_secs())
        };
        // What was counted before the first look rose, too: the process counts from 0.
        let first = "haat_requests_shed_total{reason=\"mailbox\"} 3\nhaat_requests_shed_total{reason=\"quota\"} 0\n";
        assert_eq!(look(5, first), (vec![one("requests_shed", "mailbox", 3, 5)], 5));
        let second = "haat_requests_shed_total{reason=\"mailbox\"} 5\nhaat_requests_shed_total{reason=\"quota\"} 1\n";
        let both = vec![one("requests_shed", "mailbox", 5, 60), one("requests_shed", "quota", 1, 60)];
        assert_eq!(look(60, second), (both, 60));
        let rest = vec![one("requests_shed", "mailbox", 2, 60), one("requests_shed", "quota", 1, 60)];
        assert_eq!(look(905, second), (rest.clone(), 900));
        assert_eq!(look(959, second), (rest, 900));
        assert_eq!(look(960, second), (vec![], 900));
        let third = "haat_requests_shed_total{reason=\"mailbox\"} 6\n";
        assert_eq!(look(961, third), (vec![one("requests_shed", "mailbox", 1, 961)], 900));
    }

    #[test]
    fn series_are_added_up_and_told_apart_as_the_list_says() {
        let mut lately = Lately::new();
        let moment = lately.since;
        let first = "haat_http_handler_panics_total 1\n\
            haat_http_requests_total{route=\"/a\",method=\"GET\",status=\"500\"} 2\n\
            haat_http_requests_total{route=\"/b\",method=\"GET\",status=\"500\"} 3\n\
            haat_http_requests_total{route=\"/b\",method=\"GET\",status=\"200\"} 9\n\
            haat_http_requests_totals{status=\"500\"} 9\n\
            haat_jobs{kind=\"order_paid_mail\",state=\"due\"} 7\n\
            haat_jobs{kind=\"order_paid_mail\",state=\"gave_up\"} 2\n\
            haat_payment_calls_total{method=\"sandbox\",call=\"charge\",outcome=\"no_answer\"} 1\n\
            haat_payment_calls_total{method=\"sandbox\",call=\"look_up\",outcome=\"timed_out\"} 1\n\
            haat_payment_calls_total{method=\"sandbox\",call=\"charge\",outcome=\"succeeded\"} 4\n";
        lately.add(moment, Timestamp::from_millis(1), &Figures::read(first));
        let shown = vec![
            one("handler_panics", "", 1, 1),
            one("jobs_gave_up", "order_paid_mail", 2, 1),
            one("payments_unanswered", "sandbox", 2, 1),
            one("server_errors", "500", 5, 1),
        ];
        assert_eq!(told(&lately), shown);
        // One that was tried anew, and gave up again.
        for (at, gave_up) in [(2, 1), (3, 2)] {
            let text = format!("haat_jobs{{kind=\"order_paid_mail\",state=\"gave_up\"}} {gave_up}\n");
            lately.add(moment, Timestamp::from_millis(at), &Figures::read(&text));
        }
        assert_eq!(told(&lately)[1], one("jobs_gave_up", "order_paid_mail", 3, 3));
    }

    #[test]
    fn a_count_that_rises_at_each_look_takes_no_more_room_than_one_that_rises_now_and_then() {
        let mut lately = Lately::new();
        for second in 0..3_000 {
            let text = format!("haat_http_connections_refused_total {}\n", second * 2);
            let moment = lately.since + Duration::from_secs(second);
            lately.add(moment, Timestamp::from_millis(second as i64), &Figures::read(&text));
        }
        let kept = lately.courses.values().map(|course| course.rises.len()).max();
        assert!(kept <= Some((LATELY.as_millis() / TOGETHER.as_millis()) as usize + 1), "{kept:?}");
        // Up to one rise more than is told: those of ten seconds go together.
        let by = lately.recent().risen[0].by;
        assert!((1_800..=1_820).contains(&by), "{by}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_while_nobody_watches_and_not_while_somebody_does() {
        let (rendered, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let render = {
            let (rendered, refused) = (rendered.clone(), refused.clone());
            RenderMetrics::new(move || {
                rendered.fetch_add(1, Ordering::Relaxed);
                format!("haat_http_connections_refused_total {}\n", refused.load(Ordering::Relaxed))
            })
        };
        let lately = Arc::new(Mutex::new(Lately::new()));
        let begun = now();
        let clock = move || Timestamp::from_millis(now().duration_since(begun).as_millis() as i64);
        let stop = CancellationToken::new();
        let remembering = {
            let (lately, render, stop) = (lately.clone(), render.clone(), stop.clone());
            tokio::spawn(async move { remember(&lately, &render, clock, &stop).await })
        };
        let pass = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        pass(12).await;
        refused.store(4, Ordering::Relaxed);
        pass(60).await;
        assert_eq!(told(&lately.lock()), [one("connections_refused", "", 4, 20_000)]);
        assert_eq!(rendered.load(Ordering::Relaxed), 7);
        // Whoever watches looks each second.
        for _ in 0..60 {
            pass(1).await;
            lately.lock().add(now(), clock(), &Figures::read(&render.render()));
        }
        assert_eq!(rendered.load(Ordering::Relaxed), 7 + 60);
        stop.cancel();
        remembering.await.expect("it ends with the server");
    }
}
