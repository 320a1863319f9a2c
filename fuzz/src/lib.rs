//! What the fuzz targets share: an allocator that ends a target which asks for too much, the edge of a server without its engine,
//! and what every entity must stand once it was made of records and snapshots.
//!
//! A target panics when something is wrong; libFuzzer then keeps the input. Panics that the engine would catch count too.

pub mod edge;
pub mod entities;

use cap::Cap;
/// Taken from here by every target: so all have the allocator below, which is linked only where something of this crate is used.
pub use libfuzzer_sys::fuzz_target;
use std::alloc::System;

/// Bytes that a target may have at any time. No input here is longer than some KiB: whoever asks for so much trusts a length that it
/// has read. libFuzzer's own limit looks at pages in use, which an allocation that is never written to does not have.
const BYTES: usize = 192 * 1024 * 1024;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, BYTES);
