//! How a node behaves, as whoever starts it says.

use crate::domain::knowledge::Settings;
use crate::domain::money::Money;
use crate::domain::rows::Shapes;
use crate::limits;
use std::sync::Arc;
use std::time::Duration;

/// How a node behaves.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Messages waiting in one mailbox before requests to it are shed.
    pub mailbox_depth: usize,
    /// Records in flight before requests are shed.
    pub records_in_flight: usize,
    /// Checkouts under way at one vendor before further ones are shed.
    pub checkouts_per_vendor: usize,
    /// Actors on their way into memory before requests that would start one more are shed.
    pub activations: usize,
    /// Records since the checkpoint before requests are shed.
    pub records_since_checkpoint: u64,
    /// Bytes since the checkpoint before requests are shed.
    pub bytes_since_checkpoint: u64,
    /// Actors in memory before the least recently used are passivated.
    pub live_actors: usize,
    /// How long an actor is idle before it is passivated.
    pub idle: Duration,
    /// What is frozen into records when it is used.
    pub shop: Settings,
    /// The most that an order may come to which is paid at the door, in each currency that has such a maximum.
    pub cash_maximum: Arc<[Money]>,
    /// Calls of one payment provider per second.
    pub payment_calls_per_second: u32,
    /// Different orders in a row without an answer, for a payment provider to count as silent.
    pub silent_orders: usize,
    /// How long a payment provider is silent before no more checkouts are let in that would pay by it.
    pub silence: Duration,
    /// The shapes of the rows that its entities give.
    pub shapes: Shapes,
    /// Whether buyers have quotas: then a node is given where they are kept.
    pub quotas: bool,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            mailbox_depth: limits::MAILBOX_DEPTH,
            records_in_flight: limits::RECORDS_IN_FLIGHT,
            checkouts_per_vendor: limits::CHECKOUTS_PER_VENDOR,
            activations: limits::ACTIVATIONS_WAITING,
            records_since_checkpoint: limits::RECORDS_SINCE_CHECKPOINT,
            bytes_since_checkpoint: limits::BYTES_SINCE_CHECKPOINT,
            live_actors: limits::LIVE_ACTORS,
            idle: Duration::from_millis(limits::IDLE_MS),
            shop: Settings::DEFAULT,
            cash_maximum: Arc::default(),
            payment_calls_per_second: limits::GATEWAY_CALLS_PER_SECOND,
            silent_orders: limits::GATEWAY_SILENT_ORDERS,
            silence: Duration::from_millis(limits::GATEWAY_SILENCE_MS),
            shapes: Shapes::default(),
            quotas: false,
        }
    }
}
