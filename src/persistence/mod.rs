//! x
pub mod checkpointer;
pub mod lane;
mod metrics;
pub mod recovery;
