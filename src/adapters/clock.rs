//! The machine's clocks, made into one that is fit for a journal: it never goes back, and follows no jump.
//!
//! Time runs by the monotonic clock. How far the wall clock is from that is looked at about every second
//! ([`Clock::watch`]): small corrections are followed, a jump is not. So a wall clock that is wrong for a moment leaves
//! no trace in a frame.

use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::Clock;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::{NoContext, Uuid};

/// Two readings of one clock with one of the other between them are of one moment when they are no further apart than
/// this, in milliseconds.
const ONE_MOMENT_MS: i64 = 5;
/// So often that is tried: in between the machine may have slept, or this thread.
const READINGS: usize = 3;
/// Corrections below this are the readings' own grain, in milliseconds.
const GRAIN_MS: i64 = 2;

/// Where a clock's readings come from.
pub trait Readings: Send + Sync + 'static {
    /// The wall clock, in milliseconds since the Unix epoch.
    fn wall_ms(&self) -> i64;
    /// Since the machine was started, its sleep included.
    fn since_boot(&self) -> Duration;
}

impl<R: Readings> Readings for Arc<R> {
    fn wall_ms(&self) -> i64 {
        (**self).wall_ms()
    }
    fn since_boot(&self) -> Duration {
        (**self).since_boot()
    }
}

/// This machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Readings for Machine {
    /// 0 before the epoch, where only a broken clock can be.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the port's one implementation that reads the machine's clock"
    )]
    fn wall_ms(&self) -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    }

    fn since_boot(&self) -> Duration {
        let read = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(u64::try_from(read.tv_sec).unwrap_or(0), u32::try_from(read.tv_nsec).unwrap_or(0))
    }
}

/// The clock of a server and of its tools.
pub type SystemClock = SteadyClock<Machine>;

/// Domain time over some readings, and the machine's randomness.
///
/// It is the later one of two lines over the monotonic clock: the wall clock as it is followed, and a line at nine
/// tenths of that speed through whatever was given out or asked for before the wall clock came there. Both only grow,
/// so time does; and the slower one is met.
#[derive(Debug)]
pub struct SteadyClock<R> {
    readings: R,
    /// The wall clock as it is followed, less the monotonic clock, in milliseconds.
    offset: AtomicI64,
    /// Where the slower line begins, in milliseconds.
    slow: AtomicI64,
    /// The latest moment that was given out, in milliseconds since the Unix epoch: between threads, the two lines alone
    /// could differ by one.
    latest: AtomicI64,
    /// The offset of the jump that the log was told of.
    told: Mutex<Option<i64>>,
}

/// Nine tenths, rounded so that it never goes back.
const fn slowly(millis: i64) -> i64 {
    millis - millis / 10
}

impl<R: Readings + Default> SteadyClock<R> {
    /// A clock that starts at the wall clock's time.
    pub fn new() -> Self {
        Self::over(R::default())
    }
}

impl<R: Readings + Default> Default for SteadyClock<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Readings> SteadyClock<R> {
    /// A clock over these readings that starts at their wall clock's time.
    pub fn over(readings: R) -> Self {
        let (offset, slow, latest) = (AtomicI64::new(0), AtomicI64::new(i64::MIN), AtomicI64::new(i64::MIN));
        let clock = Self { readings, offset, slow, latest, told: Mutex::default() };
        let offset = clock.wall_offset().unwrap_or_else(|| clock.readings.wall_ms() - clock.boot_ms());
        clock.offset.store(offset, Ordering::Release);
        clock
    }

    /// What it reads.
    pub fn readings(&self) -> &R {
        &self.readings
    }

    fn boot_ms(&self) -> i64 {
        i64::try_from(self.readings.since_boot().as_millis()).unwrap_or(i64::MAX)
    }

    /// The wall clock less the monotonic clock now; `None` when they could not be read at one moment.
    fn wall_offset(&self) -> Option<i64> {
        (0..READINGS).find_map(|_| {
            let (before, wall, after) = (self.boot_ms(), self.readings.wall_ms(), self.boot_ms());
            (after - before <= ONE_MOMENT_MS).then(|| wall.saturating_sub(after))
        })
    }

    fn at_least(&self, millis: i64) -> Timestamp {
        // Most readings fall into a millisecond that was read before: they only load, and so do not fight over the cache line.
        let latest = self.latest.load(Ordering::Relaxed);
        if millis <= latest {
            return Timestamp::from_millis(latest);
        }
        Timestamp::from_millis(self.latest.fetch_max(millis, Ordering::Relaxed).max(millis))
    }

    /// Follows the wall clock to this offset. Where that is a step back, time goes on from where it is, more slowly.
    fn follow_to(&self, offset: i64) {
        if offset < self.offset.load(Ordering::Acquire) {
            self.advance_to(self.now());
        }
        // Whoever sees the new offset sees the slower line of before.
        self.offset.store(offset, Ordering::Release);
    }
}

impl<R: Readings> Clock for SteadyClock<R> {
    fn now(&self) -> Timestamp {
        let boot = self.boot_ms();
        let followed = boot.saturating_add(self.offset.load(Ordering::Acquire));
        self.at_least(followed.max(self.slow.load(Ordering::Acquire).saturating_add(slowly(boot))))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.readings.wall_ms())
    }

    fn since_boot(&self) -> Duration {
        self.readings.since_boot()
    }

    /// The time in it is [`Clock::now`], so ids do not go back either; within one millisecond their order is random.
    fn new_uuid(&self) -> Uuid {
        let millis = u64::try_from(self.now().as_millis()).unwrap_or(0);
        let nanos = u32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0);
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, millis / 1_000, nanos))
    }

    fn advance_to(&self, floor: Timestamp) {
        if floor >= self.now() {
            self.slow.fetch_max(floor.as_millis().saturating_sub(slowly(self.boot_ms())), Ordering::AcqRel);
        }
    }

    fn jump_ms(&self) -> Option<i64> {
        let moved = self.wall_offset()?.saturating_sub(self.offset.load(Ordering::Acquire));
        (moved.saturating_abs() > limits::CLOCK_SKEW_MS).then_some(moved)
    }

    fn watch(&self) {
        let Some(offset) = self.wall_offset() else { return };
        let mut told = self.told.lock();
        let moved = offset.saturating_sub(self.offset.load(Ordering::Acquire));
        if moved.saturating_abs() > limits::CLOCK_SKEW_MS {
            let is_news = |told: i64| offset.saturating_sub(told).saturating_abs() > limits::CLOCK_SKEW_MS;
            if told.is_none_or(is_news) {
                let seconds = moved / 1000;
                tracing::warn!(seconds, "the wall clock has jumped: time goes on without it");
                *told = Some(offset);
            }
            return;
        }
        if told.take().is_some() {
            tracing::info!("the wall clock is back from its jump, and followed again");
        }
        if moved.saturating_abs() >= GRAIN_MS {
            self.follow_to(offset);
        }
    }

    fn follow(&self) {
        let Some(offset) = self.wall_offset() else { return };
        let mut told = self.told.lock();
        let seconds = offset.saturating_sub(self.offset.load(Ordering::Acquire)) / 1000;
        tracing::warn!(seconds, "the wall clock has jumped, and is followed: the store's clock says the same");
        *told = None;
        self.follow_to(offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::process::Command;

    /// 2027-01-15.
    const START: i64 = 1_800_000_000_000;
    const HOUR: i64 = 3_600_000;

    /// Clocks that stand until they are moved.
    #[derive(Default)]
    struct Hands {
        wall: AtomicI64,
        boot: AtomicI64,
    }

    impl Readings for Hands {
        fn wall_ms(&self) -> i64 {
            self.wall.load(Ordering::SeqCst)
        }
        fn since_boot(&self) -> Duration {
            Duration::from_millis(self.boot.load(Ordering::SeqCst) as u64)
        }
    }

    impl Hands {
        fn clock() -> SteadyClock<Self> {
            SteadyClock::over(Self { wall: AtomicI64::new(START), boot: AtomicI64::new(77_000) })
        }

        /// Time passes.
        fn pass(&self, millis: i64) {
            self.wall.fetch_add(millis, Ordering::SeqCst);
            self.boot.fetch_add(millis, Ordering::SeqCst);
        }

        /// Somebody sets the wall clock.
        fn set(&self, by: i64) {
            self.wall.fetch_add(by, Ordering::SeqCst);
        }
    }

    fn since_start<R: Readings>(clock: &SteadyClock<R>) -> i64 {
        clock.now().as_millis() - START
    }

    #[test]
    fn it_shows_the_wall_clock() {
        let (before, now, after) = (Machine.wall_ms(), SystemClock::new().now(), Machine.wall_ms());
        assert!((before - GRAIN_MS..=after + GRAIN_MS).contains(&now.as_millis()), "{before} {now} {after}");
        let clock = Hands::clock();
        clock.readings.pass(1_234);
        clock.watch();
        assert_eq!((since_start(&clock), clock.ahead_ms(), clock.jump_ms()), (1_234, 0, None));
    }

    #[test]
    fn from_a_floor_that_is_ahead_it_runs_at_nine_tenths_until_both_meet() {
        let clock = Hands::clock();
        clock.advance_to(Timestamp::from_millis(START + 6 * HOUR));
        assert_eq!((since_start(&clock), clock.ahead_ms()), (6 * HOUR, 6 * HOUR));
        clock.readings.pass(10 * HOUR);
        assert_eq!((since_start(&clock), clock.ahead_ms()), (15 * HOUR, 5 * HOUR));
        // A floor that is behind changes nothing.
        clock.advance_to(Timestamp::from_millis(START + HOUR));
        assert_eq!(since_start(&clock), 15 * HOUR);
        clock.readings.pass(50 * HOUR);
        assert_eq!((since_start(&clock), clock.ahead_ms()), (60 * HOUR, 0));
        clock.readings.pass(HOUR);
        assert_eq!((since_start(&clock), clock.ahead_ms()), (61 * HOUR, 0));
    }

    #[test]
    fn it_goes_on_by_single_milliseconds() {
        let clock = Hands::clock();
        clock.advance_to(Timestamp::from_millis(START + 5));
        let shown: Vec<i64> = (0..60)
            .map(|_| {
                clock.readings.pass(1);
                since_start(&clock)
            })
            .collect();
        assert!(shown.is_sorted(), "{shown:?}");
        assert_eq!((shown[9], shown[59]), (14, 60));
    }

    #[test]
    fn small_corrections_are_followed_and_time_never_goes_back() {
        let clock = Hands::clock();
        clock.readings.set(limits::CLOCK_SKEW_MS);
        clock.watch();
        assert_eq!(since_start(&clock), limits::CLOCK_SKEW_MS);
        clock.readings.set(-limits::CLOCK_SKEW_MS);
        clock.watch();
        assert_eq!((since_start(&clock), clock.ahead_ms()), (limits::CLOCK_SKEW_MS, limits::CLOCK_SKEW_MS));
        clock.readings.pass(100_000);
        assert_eq!((since_start(&clock), clock.ahead_ms()), (150_000, 50_000));
        clock.readings.pass(500_000);
        assert_eq!((since_start(&clock), clock.ahead_ms()), (600_000, 0));
    }

    #[test]
    fn a_jump_is_not_followed_whichever_way_it_goes_and_however_far() {
        for by in [60_001, 6 * HOUR, -60_001, -6 * HOUR, i64::MAX / 4, -START] {
            let clock = Hands::clock();
            clock.readings.set(by);
            // Not even before anybody has looked.
            clock.readings.pass(300);
            assert_eq!((since_start(&clock), clock.jump_ms()), (300, Some(by)), "{by}");
            for _ in 0..3 {
                clock.watch();
                clock.readings.pass(1_000);
            }
            assert_eq!((since_start(&clock), clock.wall().as_millis()), (3_300, START + by + 3_300), "{by}");
            // It is set right, and followed again.
            clock.readings.set(700 - by);
            clock.watch();
            assert_eq!((since_start(&clock), clock.jump_ms()), (4_000, None), "{by}");
        }
    }

    #[test]
    fn a_jump_that_another_clock_confirms_is_followed() {
        let clock = Hands::clock();
        clock.readings.set(HOUR);
        clock.follow();
        assert_eq!((since_start(&clock), clock.jump_ms()), (HOUR, None));
        clock.readings.set(-HOUR);
        clock.follow();
        clock.readings.pass(HOUR);
        assert_eq!((since_start(&clock), clock.ahead_ms()), (HOUR + HOUR * 9 / 10, HOUR * 9 / 10));
    }

    #[test]
    fn a_machine_that_slept_has_not_jumped() {
        let clock = Hands::clock();
        clock.readings.pass(8 * HOUR);
        assert_eq!((clock.jump_ms(), since_start(&clock)), (None, 8 * HOUR));
    }

    /// What a machine shows that has slept for a day: in a namespace of its own (time_namespaces(7)) its start is so much
    /// longer ago by the clock that counts sleep, and by no other. The test runs itself in there.
    #[test]
    fn the_time_since_the_start_counts_what_the_machine_slept() {
        const INSIDE: &str = "HAAT_TEST_SINCE_BOOT";
        const NAME: &str = "adapters::clock::tests::the_time_since_the_start_counts_what_the_machine_slept";
        const SLEPT: Duration = Duration::from_secs(86_400);
        if std::env::var_os(INSIDE).is_some() {
            println!("\nseconds {}", Machine.since_boot().as_secs());
            return;
        }
        let awake = Machine.since_boot();
        let inside = [&["--time"][..], &["--user", "--map-root-user", "--time"]].into_iter().find_map(|namespaces| {
            let mut command = Command::new("unshare");
            command.args(namespaces).args(["--boottime", &SLEPT.as_secs().to_string()]);
            command.arg(std::env::current_exe().unwrap()).args(["--exact", NAME, "--nocapture"]).env(INSIDE, "yes");
            let said = String::from_utf8(command.output().ok()?.stdout).unwrap();
            said.lines().find_map(|line| line.strip_prefix("seconds ")?.parse().ok()).map(Duration::from_secs)
        });
        let Some(inside) = inside else {
            println!("LEFT OUT: no namespace of time can be made here");
            return;
        };
        let slept = inside.saturating_sub(awake) + Duration::from_secs(1);
        assert!((SLEPT..SLEPT + Duration::from_secs(3_600)).contains(&slept), "{awake:?} and {inside:?}");
    }

    /// Clocks at one reading of which a thread is interrupted: what happens meanwhile happens then.
    #[derive(Default)]
    struct Interrupted {
        hands: Hands,
        /// The reading, counted from 1 on.
        at: AtomicI64,
        meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    }

    impl Readings for Interrupted {
        fn wall_ms(&self) -> i64 {
            self.hands.wall_ms()
        }
        fn since_boot(&self) -> Duration {
            let read = self.hands.since_boot();
            if self.at.fetch_sub(1, Ordering::SeqCst) == 1 {
                let meanwhile = self.meanwhile.lock().take();
                meanwhile.into_iter().for_each(|happens| happens());
            }
            read
        }
    }

    /// Whoever follows a step back has read what time it is; by then it may be later, and another may know.
    #[test]
    fn a_step_back_takes_no_time_back_that_another_thread_has_seen_meanwhile() {
        for at in 1..=3 {
            let readings = Arc::new(Interrupted::default());
            readings.hands.pass(START);
            let clock = Arc::new(SteadyClock::over(readings.clone()));
            let (another, seen) = (clock.clone(), Arc::new(AtomicI64::new(0)));
            let shown = seen.clone();
            *readings.meanwhile.lock() = Some(Box::new(move || {
                another.readings.hands.pass(100);
                shown.store(another.now().as_millis(), Ordering::SeqCst);
            }));
            readings.at.store(at, Ordering::SeqCst);
            clock.follow_to(clock.offset.load(Ordering::SeqCst) - 1_000);
            readings.hands.pass(1);
            let (now, seen) = (clock.now().as_millis(), seen.load(Ordering::SeqCst));
            assert!(now >= seen, "{now} after {seen}, interrupted at reading {at}");
        }
    }

    #[test]
    fn threads_see_one_time_that_only_grows() {
        let clock = SystemClock::new();
        std::thread::scope(|scope| {
            for offset in 0..4 {
                let clock = &clock;
                scope.spawn(move || {
                    let mut last = clock.now();
                    for step in 0..10_000 {
                        if step % 1_000 == offset {
                            clock.advance_to(last.plus_millis(7));
                        }
                        if step % 1_000 == offset + 500 {
                            clock.follow_to(clock.offset.load(Ordering::Relaxed) + 5 - (step / 100) % 20);
                        }
                        let now = clock.now();
                        assert!(now >= last);
                        last = now;
                    }
                });
            }
        });
    }

    #[test]
    fn ids_carry_the_clocks_time_and_differ() {
        let clock = Hands::clock();
        let ahead = clock.now().plus_millis(3_600_123);
        clock.advance_to(ahead);
        let ids: Vec<Uuid> = (0..1_000).map(|_| clock.new_uuid()).collect();
        for id in &ids {
            assert_eq!(id.get_version_num(), 7);
            let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
            assert_eq!(i64::try_from(seconds * 1_000).unwrap() + i64::from(nanos / 1_000_000), ahead.as_millis());
        }
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        // An entity's partition is its id's last byte: all of them must come up.
        let partitions: HashSet<u8> = ids.iter().map(|id| id.as_bytes()[15] % 16).collect();
        assert_eq!(partitions.len(), 16);
    }
}
