//! What the orchestrator and the client, which are processes of their own, tell each other.

use crate::processes::Cpu;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What a buyer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Traffic {
    /// Orders with one request (the baselines).
    Orders,
    /// Checks out carts that were filled before (Haat).
    Checkouts,
    /// Makes a cart, fills it, checks out, and waits until it is paid (Haat).
    Journeys,
}

/// What the client is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The server.
    pub target: SocketAddr,
    /// Buyers at the same time, each with a connection.
    pub connections: usize,
    /// What they do.
    pub traffic: Traffic,
    /// What they buy, in turns: `sku_…`.
    pub skus: Vec<String>,
    /// Carts to fill beforehand.
    pub carts: usize,
    /// Ends the run after so many requests.
    pub requests: Option<u64>,
    /// How long they buy before anything is counted, in seconds.
    pub warmup: f64,
    /// How long it is counted, in seconds.
    pub seconds: f64,
    /// Whether an answer is to wait until the order is paid.
    pub until_paid: bool,
    /// Whether refusals are what is timed. Carts that were refused are used again.
    pub refusals: bool,
    /// The server's process.
    pub server_pid: u32,
    /// The first process of its store.
    pub store_pid: u32,
}

/// What the client saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Driven {
    /// When the first request was sent, in milliseconds since the Unix epoch.
    pub first_ms: u128,
    /// Orders that were placed, before, while and after it was counted.
    pub placed: u64,
    /// Orders that were refused for want of stock.
    pub refused: u64,
    /// Anything else, by what it was.
    pub failed: BTreeMap<String, u64>,
    /// What was counted.
    pub timed: u64,
    /// For how long it was counted, in seconds.
    pub seconds: f64,
    /// Half of the answers came within this, in microseconds.
    pub p50_us: u64,
    /// 99 of 100 did.
    pub p99_us: u64,
    /// All did.
    pub max_us: u64,
    /// Processor time while it was counted.
    pub cpu: Cpu,
    /// The ids of the orders that were placed.
    pub orders: Vec<String>,
}
