//! Whether the wall clock agrees with the store's: a node whose clock is wrong writes no frame.

use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::{Clock, Journal, StoreError};
use std::time::Duration;

/// A question to the store in whose answer its clock stands.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    since_boot: Duration,
}

impl Asked {
    /// To be made just before the question is asked.
    pub fn now(clock: &dyn Clock) -> Self {
        Self { since_boot: clock.since_boot() }
    }

    /// When it was asked, by [`Clock::since_boot`].
    pub fn since_boot(self) -> Duration {
        self.since_boot
    }

    /// By how many milliseconds the wall clock is off at least (positive: ahead), where the store's clock showed
    /// `store` at some moment between the question and now. However slow the answer was: that cannot look like a skew.
    pub fn skew_ms(self, clock: &dyn Clock, store: Timestamp) -> i64 {
        let took = clock.since_boot().saturating_sub(self.since_boot);
        let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        let wall = clock.wall();
        if store > wall { wall.millis_since(store) } else { wall.millis_since(store).saturating_sub(took).max(0) }
    }

    /// The skew, if it is too much for frames to be written. If it is not, a jump of the wall clock was right, and is
    /// followed.
    pub fn too_much(self, clock: &dyn Clock, store: Option<Timestamp>) -> Option<i64> {
        let skew = self.skew_ms(clock, store?);
        if skew.saturating_abs() > limits::CLOCK_SKEW_MS {
            let seconds = skew / 1000;
            tracing::error!(seconds, "this machine's clock is not the store's (positive: ahead): no frame is written");
            return Some(skew);
        }
        if clock.jump_ms().is_some() {
            clock.follow();
        }
        None
    }
}

/// By how many milliseconds the wall clock is off, if that is too much.
///
/// # Errors
/// What the store says.
pub async fn ask(journal: &dyn Journal, clock: &dyn Clock) -> Result<Option<i64>, StoreError> {
    let asked = Asked::now(clock);
    Ok(asked.too_much(clock, journal.clock().await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
    use uuid::Uuid;

    const START: i64 = 1_800_000_000_000;

    /// Shows what it is told to.
    #[derive(Default)]
    struct Shown {
        wall: AtomicI64,
        boot: AtomicI64,
        jump: AtomicI64,
        followed: AtomicBool,
    }

    impl Clock for Shown {
        fn now(&self) -> Timestamp {
            self.wall()
        }
        fn wall(&self) -> Timestamp {
            Timestamp::from_millis(self.wall.load(Ordering::SeqCst))
        }
        fn since_boot(&self) -> Duration {
            Duration::from_millis(self.boot.load(Ordering::SeqCst) as u64)
        }
        fn new_uuid(&self) -> Uuid {
            Uuid::nil()
        }
        fn advance_to(&self, _: Timestamp) {}
        fn jump_ms(&self) -> Option<i64> {
            Some(self.jump.load(Ordering::SeqCst)).filter(|jump| *jump != 0)
        }
        fn follow(&self) {
            self.followed.store(true, Ordering::SeqCst);
        }
    }

    /// The skew where an answer took so long, the store's clock was that far from the right time, and ours is right.
    fn skew(took: i64, read_after: i64, store_off: i64) -> i64 {
        let clock = Shown { wall: AtomicI64::new(START), ..Shown::default() };
        let asked = Asked::now(&clock);
        clock.wall.fetch_add(took, Ordering::SeqCst);
        clock.boot.fetch_add(took, Ordering::SeqCst);
        asked.skew_ms(&clock, Timestamp::from_millis(START + read_after + store_off))
    }

    #[test]
    fn an_answer_that_is_slow_is_no_skew() {
        for (took, read_after) in [(0, 0), (10, 0), (10, 10), (900_000, 0), (900_000, 450_000), (900_000, 900_000)] {
            assert_eq!(skew(took, read_after, 0), 0, "{took} {read_after}");
        }
        assert_eq!(skew(0, 0, 60_001), -60_001);
        assert_eq!(skew(0, 0, -60_001), 60_001);
        // As much of it as is certain.
        assert_eq!(skew(5_000, 0, -90_000), 90_000);
        assert_eq!(skew(5_000, 5_000, -90_000), 85_000);
        assert_eq!(skew(5_000, 5_000, 90_000), -90_000);
        assert_eq!(skew(5_000, 0, 90_000), -85_000);
    }

    #[test]
    fn too_much_is_more_than_the_limit_and_a_jump_that_was_right_is_followed() {
        let clock = Shown { wall: AtomicI64::new(START), jump: AtomicI64::new(70_000), ..Shown::default() };
        let asked = Asked::now(&clock);
        let store = |off: i64| Some(Timestamp::from_millis(START + off));
        for off in [limits::CLOCK_SKEW_MS + 1, -limits::CLOCK_SKEW_MS - 1, i64::MAX - START, -START] {
            assert_eq!(asked.too_much(&clock, store(off)), Some(-off));
        }
        assert_eq!(asked.too_much(&clock, None), None);
        assert!(!clock.followed.load(Ordering::SeqCst), "no other clock has confirmed it");
        assert_eq!(asked.too_much(&clock, store(limits::CLOCK_SKEW_MS)), None);
        assert!(clock.followed.load(Ordering::SeqCst));
    }
}
