//! How often something happened lately: what keeps a password from being guessed, and mails from being sent without end. It is counted in memory;
//! whoever restarts the server begins anew.

use crate::domain::time::Timestamp;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;

/// Of how many it is known. Past it those whose time is over are forgotten, and where none is, whoever comes.
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
    happened: Mutex<HashMap<K, VecDeque<Timestamp>>>,
}

impl<K: Eq + Hash> Recent<K> {
    /// `most` within so many milliseconds.
    pub fn new(most: usize, within_ms: i64) -> Self {
        Self { most, within_ms, happened: Mutex::default() }
    }

    /// In how many milliseconds it may happen again, where it may not now.
    pub fn blocked(&self, key: &K, now: Timestamp) -> Option<i64> {
        let happened = self.happened.lock();
        let times = happened.get(key)?;
        // Those that made it too often are the newest `most` of them.
        let first = *times.get(times.len().checked_sub(self.most)?)?;
        Some(first.plus_millis(self.within_ms).millis_since(now)).filter(|left| *left > 0)
    }

    /// It happened. Gives whether it may not happen again now, and might have before.
    pub fn add(&self, key: K, now: Timestamp) -> bool {
        let over =
            |times: &VecDeque<Timestamp>| times.back().is_none_or(|last| now.millis_since(*last) >= self.within_ms);
        let mut happened = self.happened.lock();
        if happened.len() >= KEPT && !happened.contains_key(&key) {
            happened.retain(|_, times| !over(times));
            if happened.len() >= KEPT {
                return false;
            }
        }
        let times = happened.entry(key).or_default();
        times.push_back(now);
        while times.len() > self.most {
            times.pop_front();
        }
        let first = times.front().copied().unwrap_or(now);
        // Told once each time: the one that fills the row.
        times.len() == self.most && now.millis_since(first) < self.within_ms
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
            assert!(!recent.add("a", at(ms)));
        }
        assert!(recent.add("a", at(500)), "that was the third");
        assert_eq!(recent.blocked(&"a", at(600)), Some(400));
        assert_eq!(recent.blocked(&"b", at(600)), None);
        assert_eq!(recent.blocked(&"a", at(1_000)), None);
        // The second and the third are still in the time.
        assert!(recent.add("a", at(1_100)));
        assert_eq!(recent.blocked(&"a", at(1_100)), Some(300));
        recent.forget(&"a");
        assert_eq!(recent.blocked(&"a", at(1_100)), None);
    }

    #[test]
    fn no_more_is_known_than_fits() {
        let recent = Recent::new(1, 1_000);
        for key in 0..KEPT {
            recent.add(key, at(0));
        }
        assert!(!recent.add(KEPT, at(999)));
        assert_eq!(recent.blocked(&KEPT, at(999)), None, "there is no room");
        assert!(recent.add(KEPT, at(1_000)));
        assert_eq!(recent.happened.lock().len(), 1);
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
