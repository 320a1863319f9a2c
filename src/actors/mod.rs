//! The actors: one generic shell that runs every kind of entity, the registry that starts and stops them, and what they need around them.
//!
//! Only this room knows actix. It sees the journal as [`crate::ports::Lane`] and everything else through ports too.

mod answers;
mod arbiters;
mod budget;
pub mod directory;
pub mod engine;
mod envelope;
mod gate;
mod metrics;
mod node;
mod payments;
mod registry;
mod sent;
mod shares;
mod shell;
mod state;
mod stuck;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod timers;
mod wakes;

pub use arbiters::{Arbiters, Thread};
pub use engine::{Answered, Ask, CheckedOut, Engine, Failure};
pub use node::{DecideHook, NodeParts, NodeSettings, Readiness};
pub use registry::Hosted;
pub use state::{Built, Rebuilt, build, build_any};
