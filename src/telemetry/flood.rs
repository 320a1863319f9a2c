//! Keeps one place in the code from flooding the log: while the database is away, every request fails, and a line for each would fill the disk
//! and hide what else is said. What is left out is counted, and told of in one line a second.

use super::names;
use dashmap::DashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Warnings and errors that one place in the code may write in a second.
pub const LINES_A_SECOND: u32 = 50;
const SECOND: Duration = Duration::from_secs(1);

/// What a place in the code has written since a moment.
struct Said {
    place: &'static Metadata<'static>,
    since: Instant,
    lines: u32,
    left_out: u64,
}

/// What each place in the code has written lately.
pub struct Ledger {
    places: DashMap<Identifier, Said>,
    now: Box<dyn Fn() -> Instant + Send + Sync>,
}

impl Ledger {
    fn new(now: impl Fn() -> Instant + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { places: DashMap::new(), now: Box::new(now) })
    }

    /// Of this process.
    pub fn shared() -> &'static Arc<Self> {
        static SHARED: LazyLock<Arc<Ledger>> = LazyLock::new(|| Ledger::new(Instant::now));
        &SHARED
    }

    /// Whether a place may write one more line now.
    fn may_say(&self, place: &'static Metadata<'static>) -> bool {
        let now = (self.now)();
        let mut said = self.places.entry(place.callsite()).or_insert(Said { place, since: now, lines: 0, left_out: 0 });
        if now.saturating_duration_since(said.since) >= SECOND {
            (said.since, said.lines) = (now, 0);
        }
        let may = said.lines < LINES_A_SECOND;
        if may {
            said.lines += 1;
        } else {
            said.left_out += 1;
        }
        may
    }

    /// Tells of what was left out since the last time, a line for each place.
    pub fn tell(&self) {
        let left_out = |mut said: dashmap::mapref::multiple::RefMutMulti<'_, Identifier, Said>| {
            let lines = std::mem::take(&mut said.left_out);
            (lines > 0).then_some((said.place, lines))
        };
        // What is told goes through the ledger again: no entry may be held meanwhile.
        let left_out: Vec<_> = self.places.iter_mut().filter_map(left_out).collect();
        for (place, lines) in left_out {
            let at = format_args!("{}:{}", place.file().unwrap_or_else(|| place.target()), place.line().unwrap_or(0));
            ::metrics::counter!(names::LOG_LINES_LEFT_OUT).increment(lines);
            tracing::warn!(lines, %at, "lines were left out of the log: one place in the code wrote too many in a second");
        }
    }
}

/// The layer that asks the ledger for each warning and each error. What an operator asks for below these levels is written whole.
pub struct Flood(pub Arc<Ledger>);

impl<S: Subscriber> Layer<S> for Flood {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let place = event.metadata();
        *place.level() > Level::WARN || self.0.may_say(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Mutex;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn one_place_does_not_drown_the_others_and_what_is_left_out_is_told() {
        let time = Arc::new(Mutex::new(Instant::now()));
        let clock = time.clone();
        let ledger = Ledger::new(move || *clock.lock().unwrap());
        let lines = Lines::default();
        let writer = lines.clone();
        let logs = tracing_subscriber::fmt().with_ansi(false).without_time().with_writer(move || writer.clone());
        let count = |what: &str| {
            let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            text.lines().filter(|line| line.contains(what)).count()
        };
        tracing::subscriber::with_default(logs.finish().with(Flood(ledger.clone())), || {
            let fail = |times: u32| (0..times).for_each(|_| tracing::warn!("request failed"));
            fail(50);
            ledger.tell();
            assert_eq!((count("request failed"), count("left out")), (50, 0));
            fail(1_000);
            tracing::error!("something else");
            (0..100).for_each(|_| tracing::info!("as asked for"));
            assert_eq!((count("request failed"), count("something else"), count("as asked for")), (50, 1, 100));
            ledger.tell();
            ledger.tell();
            assert_eq!((count("lines=1000"), count("src/telemetry/flood.rs:"), count("left out")), (1, 1, 1));
            *time.lock().unwrap() += SECOND;
            fail(60);
            assert_eq!(count("request failed"), 100);
            ledger.tell();
            assert_eq!((count("lines=10 "), count("left out")), (1, 2));
        });
    }
}
