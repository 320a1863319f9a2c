//! The actors: the shell every entity lives in, and what the rest of the node asks of it.

pub mod directory;
pub mod engine;
