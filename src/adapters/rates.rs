//! Who asked how often, in the memory of one node.
//!
//! Each key has a window, which begins when it asks for the first time. Keys stand in two halves: who asks stands in the young one, and when that is
//! full, or older than the longest window, it becomes the old one, and the old one goes. So who rests is forgotten, and there are never more keys
//! than there may be; nobody has to look for those that are over.

use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::rates::{Answer, Key, Quota, RateLimiter, Taken};
use foldhash::quality::RandomState;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::mem::take;

/// Parts that are locked each by itself: requests run on all processors.
const SHARDS: usize = 16;

/// What is known of one key.
#[derive(Clone, Copy)]
struct Window {
    begun: Timestamp,
    asked: u32,
}

#[derive(Default)]
struct Shard {
    young: HashMap<Key, Window, RandomState>,
    old: HashMap<Key, Window, RandomState>,
    /// Since when the young half is the young one.
    since: Timestamp,
}

/// Counts in memory.
pub struct MemoryRates {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    /// The longest window that anybody is counted by, in milliseconds.
    longest_ms: i64,
    /// Keys in one half of a shard.
    half: usize,
}

impl MemoryRates {
    /// Counts by windows of so many seconds at most.
    pub fn new(longest_seconds: u32) -> Self {
        Self::of(limits::RATE_KEYS, longest_seconds)
    }

    /// The same, with room for so many keys.
    fn of(keys: usize, longest_seconds: u32) -> Self {
        Self {
            shards: Default::default(),
            hasher: RandomState::default(),
            longest_ms: i64::from(longest_seconds) * 1000,
            half: (keys / SHARDS / 2).max(1),
        }
    }

    fn taken(&self, key: Key, quota: Quota, now: Timestamp, counts: bool) -> Taken {
        let shard = &self.shards[self.hasher.hash_one(key) as usize % SHARDS];
        let mut shard = shard.lock();
        if now.millis_since(shard.since) >= self.longest_ms {
            shard.grow_old(now);
        }
        let length_ms = i64::from(quota.seconds) * 1000;
        let is_young = shard.young.contains_key(&key);
        if !is_young && !counts {
            // Who only looks takes nobody's place.
            let known = shard.old.get(&key).filter(|window| now.millis_since(window.begun) < length_ms);
            let Window { begun, asked } = known.copied().unwrap_or(Window { begun: now, asked: 0 });
            let over_in_ms = begun.plus_millis(length_ms).millis_since(now);
            return Taken { let_in: asked < quota.count, left: quota.count.saturating_sub(asked), over_in_ms };
        }
        if !is_young {
            let known = shard.old.remove(&key).unwrap_or(Window { begun: now, asked: 0 });
            if shard.young.len() >= self.half {
                shard.grow_old(now);
            }
            shard.young.insert(key, known);
        }
        // It was put there just now, if it was not there before.
        let Some(window) = shard.young.get_mut(&key) else {
            return Taken { let_in: true, left: quota.count, over_in_ms: length_ms };
        };
        if now.millis_since(window.begun) >= length_ms {
            *window = Window { begun: now, asked: 0 };
        }
        let let_in = window.asked < quota.count;
        window.asked += u32::from(let_in && counts);
        let left = quota.count.saturating_sub(window.asked);
        Taken { let_in, left, over_in_ms: window.begun.plus_millis(length_ms).millis_since(now) }
    }
}

impl Shard {
    fn grow_old(&mut self, now: Timestamp) {
        self.old = take(&mut self.young);
        self.since = now;
    }
}

impl RateLimiter for MemoryRates {
    fn take(&self, key: Key, quota: Quota, now: Timestamp) -> Answer {
        Answer::Now(self.taken(key, quota, now, true))
    }

    fn look(&self, key: Key, quota: Quota, now: Timestamp) -> Answer {
        Answer::Now(self.taken(key, quota, now, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::rates::Who;

    const QUOTA: Quota = Quota { count: 3, seconds: 10 };

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + ms)
    }

    fn bearer(number: u128) -> Key {
        Key { what: "carts", who: Who::Bearer(number) }
    }

    fn known(rates: &MemoryRates) -> usize {
        rates.shards.iter().map(|shard| shard.lock()).map(|shard| shard.young.len() + shard.old.len()).sum()
    }

    #[test]
    fn a_window_begins_with_the_first_and_lets_so_many_in() {
        let rates = MemoryRates::new(10);
        let taken = |key, ms| rates.taken(key, QUOTA, at(ms), true);
        assert_eq!(taken(bearer(1), 0), Taken { let_in: true, left: 2, over_in_ms: 10_000 });
        assert_eq!(taken(bearer(1), 4_000), Taken { let_in: true, left: 1, over_in_ms: 6_000 });
        assert_eq!(taken(bearer(1), 4_000), Taken { let_in: true, left: 0, over_in_ms: 6_000 });
        for ms in [4_000, 9_999] {
            assert_eq!(taken(bearer(1), ms), Taken { let_in: false, left: 0, over_in_ms: 10_000 - ms });
        }
        // Nobody else has asked, and nobody has asked for anything else.
        assert!(taken(bearer(2), 9_999).let_in && taken(Key { what: "reads", ..bearer(1) }, 9_999).let_in);
        assert_eq!(taken(bearer(1), 10_000), Taken { let_in: true, left: 2, over_in_ms: 10_000 });
    }

    #[test]
    fn who_rests_is_forgotten_and_who_asks_is_not() {
        let rates = MemoryRates::new(10);
        let taken = |number, ms| rates.taken(bearer(number), Quota { seconds: 10, count: 1_000 }, at(ms), true);
        for number in 0..1_000 {
            assert!(taken(number, 0).let_in);
        }
        assert_eq!(known(&rates), 1_000);
        // In the middle of a window of its own the half that it stands in grows old.
        assert_eq!(taken(5_000, 9_000).left, 999);
        for ms in [11_000, 12_000, 18_999] {
            for number in 0..1_000 {
                let _ = taken(10_000 + number, ms);
            }
        }
        assert_eq!(taken(5_000, 18_999).left, 998, "its window is not over");
        for ms in [30_000, 41_000] {
            for number in 0..1_000 {
                let _ = taken(20_000 + number, ms);
            }
        }
        assert_eq!(known(&rates), 1_000, "nobody else has asked for longer than a window");
    }

    #[test]
    fn there_are_never_more_than_may_be_and_who_goes_on_asking_is_kept() {
        let rates = MemoryRates::of(1_600, 10);
        let quota = Quota { count: 1_000_000, seconds: 10 };
        for number in 1..20_000 {
            let _ = rates.taken(bearer(number), quota, at(0), true);
            let left = rates.taken(bearer(0), quota, at(0), true).left;
            assert_eq!(u128::from(left), 1_000_000 - number, "it asked before");
            assert!(known(&rates) <= 1_600);
        }
    }
}
