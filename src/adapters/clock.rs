//! The machine's clock, made fit for a journal: it never goes back.

use crate::domain::time::Timestamp;
use crate::ports::Clock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::{NoContext, Uuid};

/// The wall clock and the machine's randomness.
///
/// When the wall clock is set back, or stands behind the newest record of the store, time stands still here until the wall clock
/// has caught up.
#[derive(Debug)]
pub struct SystemClock {
    /// The latest moment that was given out or asked for, in milliseconds since the Unix epoch.
    latest: AtomicI64,
}

impl SystemClock {
    /// A clock that starts at the wall clock's time.
    pub const fn new() -> Self {
        Self { latest: AtomicI64::new(i64::MIN) }
    }

    /// The wall clock as it stands, in milliseconds since the Unix epoch; 0 before the epoch, where only a broken clock can be.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the port's one implementation that reads the machine's clock"
    )]
    fn wall_ms() -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    }

    fn at_least(&self, millis: i64) -> Timestamp {
        // Most readings fall into a millisecond that was read before: they only load, and so do not fight over the cache line.
        let latest = self.latest.load(Ordering::Relaxed);
        if millis <= latest {
            return Timestamp::from_millis(latest);
        }
        Timestamp::from_millis(self.latest.fetch_max(millis, Ordering::Relaxed).max(millis))
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.at_least(Self::wall_ms())
    }

    /// The time in it is [`Clock::now`], so ids do not go back either; within one millisecond their order is random.
    fn new_uuid(&self) -> Uuid {
        let millis = u64::try_from(self.now().as_millis()).unwrap_or(0);
        let nanos = u32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0);
        Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, millis / 1_000, nanos))
    }

    fn advance_to(&self, floor: Timestamp) {
        self.at_least(floor.as_millis());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn it_shows_the_wall_clock() {
        let (before, now, after) = (SystemClock::wall_ms(), SystemClock::new().now(), SystemClock::wall_ms());
        assert!((before..=after).contains(&now.as_millis()), "{before} {now} {after}");
    }

    #[test]
    fn it_is_never_before_the_floor_and_never_goes_back() {
        let clock = SystemClock::new();
        let ahead = clock.now().plus_millis(3_600_000);
        clock.advance_to(ahead);
        assert_eq!(clock.now(), ahead);
        clock.advance_to(ahead.plus_millis(-1_000));
        assert_eq!(clock.now(), ahead);
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
        let clock = SystemClock::new();
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
