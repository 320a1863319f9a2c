//! Does what the world must merely hear of: takes jobs from the store when their time has come, hands each to the worker of its target, and
//! writes what has come of it. The store says that a job is under way before it is begun. So whatever dies in between, a job is known either not
//! to have been begun, or not to have an outcome: then it is looked up first.
//!
//! Each target has a pace of its own, and a breaker: while it gives no answers its jobs stay where they are, and what holds nothing costs nothing.

mod metrics;
mod runner;

pub use metrics::register;
pub use runner::{JobRunner, RunnerParts};
