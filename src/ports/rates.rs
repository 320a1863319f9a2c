//! How often somebody asks: counted in one place, be it the memory of a node or something that all nodes ask.

use crate::domain::time::Timestamp;
use std::net::IpAddr;
use std::pin::Pin;

/// Addresses that are counted as one: a whole one of IPv4, and of IPv6 a `/64`, which is the least that anybody is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// One address of IPv4.
    V4([u8; 4]),
    /// The first half of one of IPv6.
    V6([u8; 8]),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// Whoever asks from there without saying who it is.
    Address(Network),
    /// All together who ask from there and say who they are.
    BearersOf(Network),
    /// One who says who it is: a hash of role and subject, the same on every node.
    Bearer(u128),
}

/// Who is counted for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// What is asked for: the same text on every node.
    pub what: &'static str,
    /// Who asks.
    pub who: Who,
}

/// How often something may be asked within a window, which begins when somebody asks for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How often.
    pub count: u32,
    /// How long a window is, in seconds.
    pub seconds: u32,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether it was let in. What was not is not counted.
    pub let_in: bool,
    /// How often it may be asked again within this window.
    pub left: u32,
    /// In how many milliseconds the window is over.
    pub over_in_ms: i64,
}

/// What came of asking, or how to find out.
pub enum Answer {
    /// It is known.
    Now(Taken),
    /// Somebody else counts. It ends soon, whatever becomes of that one: then with what this node knows.
    Later(Pin<Box<dyn Future<Output = Taken> + Send>>),
}

/// Counts how often somebody asks.
pub trait RateLimiter: Send + Sync + 'static {
    /// Counts that it is asked now, unless it was as often as it may. Of many at once no more are let in than may.
    fn take(&self, key: Key, quota: Quota, now: Timestamp) -> Answer;

    /// What would come of asking, without counting it.
    fn look(&self, key: Key, quota: Quota, now: Timestamp) -> Answer;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ipv6_the_first_half_counts_and_ipv4_is_the_same_in_both() {
        let network = |text: &str| Network::from(text.parse::<IpAddr>().unwrap());
        assert_ne!(network("203.0.113.7"), network("203.0.113.8"));
        assert_eq!(network("203.0.113.7"), network("::ffff:203.0.113.7"));
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff::9"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
    }
}
