//! How often something happened lately: what keeps a password from being guessed, and mails from being sent without end. It is counted in memory;
//! whoever restarts the server begins anew.

use crate::domain::time::Timestamp;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;

/// Of how many it is known. Past it those that are known longest without anything happening are forgotten.
const KEPT: usize = 100_000;

/// A network, as providers give them out: whoever has one address of it may have all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// 256 addresses.
    V4([u8; 3]),
    /// A `/56`.
    V6([u8; 7]),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g])
            }
        }
    }
}

/// What happened within the last while, each thing at most so often.
pub struct Recent<K> {
    most: usize,
    within_ms: i64,
    happened: Mutex<Known<K>>,
}

/// When it happened, in two halves: what happens stands in the young one, and when that is full it becomes the old one.
struct Known<K> {
    young: HashMap<K, VecDeque<Timestamp>>,
    old: HashMap<K, VecDeque<Timestamp>>,
}

impl<K: Eq + Hash> Known<K> {
    fn get(&self, key: &K) -> Option<&VecDeque<Timestamp>> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn remove(&mut self, key: &K) -> Option<VecDeque<Timestamp>> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    fn of(&mut self, key: K) -> &mut VecDeque<Timestamp> {
        let known = self.remove(&key).unwrap_or_default();
        if self.young.len() >= KEPT / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.entry(key).or_insert(known)
    }
}

/// Whether something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It did, and may again.
    Yes,
    /// It did, and may not again for now.
    Last,
    /// It may not, for so many milliseconds.
    No(i64),
}

impl<K: Eq + Hash> Recent<K> {
    /// `most` within so many milliseconds.
    pub fn new(most: usize, within_ms: i64) -> Self {
        let happened = Known { young: HashMap::new(), old: HashMap::new() };
        Self { most, within_ms, happened: Mutex::new(happened) }
    }

    /// In how many milliseconds it may happen again, where it may not now.
    pub fn blocked(&self, key: &K, now: Timestamp) -> Option<i64> {
        let happened = self.happened.lock();
        let times = happened.get(key)?;
        // Those that made it too often are the newest `most` of them.
        let first = *times.get(times.len().checked_sub(self.most)?)?;
        Some(first.plus_millis(self.within_ms).millis_since(now)).filter(|left| *left > 0)
    }

    /// It happens, unless it may not. Of many at once no more do than may.
    pub fn add(&self, key: K, now: Timestamp) -> Added {
        let mut happened = self.happened.lock();
        let times = happened.of(key);
        while times.front().is_some_and(|first| now.millis_since(*first) >= self.within_ms) {
            times.pop_front();
        }
        match times.front() {
            Some(first) if times.len() >= self.most => {
                return Added::No(first.plus_millis(self.within_ms).millis_since(now));
            }
            _ => times.push_back(now),
        }
        if times.len() == self.most { Added::Last } else { Added::Yes }
    }

    /// It did not happen after all.
    pub fn take_back(&self, key: &K) {
        if let Some(times) = self.happened.lock().young.get_mut(key) {
            times.pop_back();
        }
    }

    /// Forgets it: of whoever knows the password nothing is to be said.
    pub fn forget(&self, key: &K) {
        self.happened.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn what_happened_too_often_may_happen_again_when_the_first_is_long_ago() {
        let recent = Recent::new(3, 1_000);
        for ms in [0, 400] {
            assert_eq!(recent.blocked(&"a", at(ms)), None);
            assert_eq!(recent.add("a", at(ms)), Added::Yes);
        }
        assert_eq!(recent.add("a", at(500)), Added::Last, "that was the third");
        assert_eq!(recent.add("a", at(600)), Added::No(400));
        assert_eq!(recent.blocked(&"a", at(600)), Some(400));
        assert_eq!(recent.blocked(&"b", at(600)), None);
        assert_eq!(recent.blocked(&"a", at(1_000)), None);
        // The second and the third are still in the time.
        assert_eq!(recent.add("a", at(1_100)), Added::Last);
        assert_eq!(recent.blocked(&"a", at(1_100)), Some(300));
        recent.forget(&"a");
        assert_eq!(recent.blocked(&"a", at(1_100)), None);
    }

    #[test]
    fn no_more_is_known_than_fits() {
        let recent = Recent::new(1, 1_000);
        for key in 0..KEPT {
            assert_eq!(recent.add(key, at(0)), Added::Last);
            // It goes on happening to the first.
            let _ = recent.add(0, at(0));
        }
        assert_eq!(recent.add(KEPT, at(0)), Added::Last);
        assert!(recent.blocked(&0, at(999)).is_some() && recent.blocked(&KEPT, at(999)).is_some());
        assert_eq!(recent.blocked(&1, at(999)), None, "that is longest ago");
        let known = recent.happened.lock();
        assert!(known.young.len() + known.old.len() <= KEPT);
        drop(known);
        recent.take_back(&KEPT);
        assert_eq!(recent.blocked(&KEPT, at(999)), None);
    }

    #[test]
    fn neighbours_are_one_network() {
        let network = |text: &str| Network::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(network("203.0.113.7"), network("203.0.113.250"));
        assert_ne!(network("203.0.113.7"), network("203.0.114.7"));
        assert_eq!(network("::ffff:203.0.113.7"), network("203.0.113.7"));
        assert_eq!(network("2001:db8:0:ff01::1"), network("2001:db8:0:ffff::9"));
        assert_ne!(network("2001:db8:0:ff01::1"), network("2001:db8:0:fe01::1"));
    }
}
