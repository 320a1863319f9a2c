//! Checkpoints: how much no checkpoint holds yet.

use super::{Look, Spread};
use crate::telemetry::names;
use serde::Serialize;
use utoipa::ToSchema;

/// Checkpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointTile {
    /// Durable records that no checkpoint holds yet.
    lag_records: u64,
    /// How many there may be before requests are shed.
    lag_limit: u64,
    /// Bytes of the frames they stand in.
    lag_bytes: u64,
    lag_bytes_limit: u64,
    /// Entities that the running checkpoint writes.
    dirty_entities: u64,
    /// How long a checkpoint takes.
    took: Spread,
    entities_per_second: Option<f64>,
    /// Entities whose rows a constraint refused, since the process started.
    refused: u64,
    /// As of when the read tables are, in milliseconds before now.
    read_tables_behind_ms: i64,
}

impl CheckpointTile {
    pub(super) fn of(Look { parts, looks, at, .. }: &Look<'_>) -> Self {
        let (pressure, settings) = (parts.shop.pressure(), parts.shop.settings());
        Self {
            lag_records: pressure.records_since_checkpoint,
            lag_limit: settings.records_since_checkpoint,
            lag_bytes: pressure.bytes_since_checkpoint,
            lag_bytes_limit: settings.bytes_since_checkpoint,
            dirty_entities: looks.total(names::CHECKPOINT_DIRTY_ENTITIES, &[]),
            took: looks.times(names::CHECKPOINT_SECONDS, &[]),
            entities_per_second: looks.rate(names::CHECKPOINT_ENTITIES, &[]),
            refused: looks.total(names::CHECKPOINT_REFUSED, &[]),
            read_tables_behind_ms: at.millis_since(parts.shop.as_of()).max(0),
        }
    }
}
