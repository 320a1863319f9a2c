//! How parts of a node stand, for whoever operates it.

use crate::domain::time::Timestamp;

/// One that reads the journal behind the log writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerStanding {
    /// Its name.
    pub name: &'static str,
    /// Whether it follows: it has read all there was when it began, or began anew, and has met no fault since.
    pub follows: bool,
    /// Frames that it has not read.
    pub lag_frames: u64,
    /// As of when is what it has made.
    pub as_of: Timestamp,
}

/// Connections to the store that share a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStanding {
    /// What they are for.
    pub name: &'static str,
    /// How many are open.
    pub open: u32,
    /// How many of them somebody uses.
    pub in_use: u32,
    /// How many there may be.
    pub most: u32,
}

/// The connections to a store.
pub trait Pools: Send + Sync + 'static {
    /// What sort of store it is: `sqlite` or `postgres`.
    fn sort(&self) -> &'static str;

    /// How they stand. Asks the store nothing.
    fn pools(&self) -> Vec<PoolStanding>;
}
