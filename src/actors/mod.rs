//! The actors: one generic shell that runs every kind of entity, the registry that starts and stops them, and what they need around them.
//!
//! Only this room knows actix. It sees the journal as [`crate::ports::LogWriter`] and everything else through ports too.

mod answers;
mod arbiters;
mod budget;
pub mod catalog;
mod chain;
mod changes;
mod detail_reads;
pub mod details;
mod envelope;
mod gate;
mod metrics;
mod node;
mod orders;
mod payments;
mod permits;
mod prices;
pub mod quotas;
mod registry;
mod sent;
mod settings;
mod shell;
pub mod shop;
mod sights;
mod state;
mod stuck;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod timers;
mod traced;
pub mod turn;
mod wakes;

pub use arbiters::{Arbiters, Thread};
pub(crate) use chain::{Chained, First, Next};
pub use changes::Lookout;
pub(crate) use envelope::Admit;
pub use gate::GateView;
pub(crate) use metrics::shed;
pub use node::{DecideHook, NodeParts, NodeSettings, Readiness};
pub use registry::Hosted;
pub use shop::{Answered, Ask, Failure, Shop};
pub use state::{Built, Rebuilt, Unbuildable, all_rows, begin_any, build, build_any};
pub(crate) use turn::NotLetIn;
