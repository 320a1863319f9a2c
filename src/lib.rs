//! Haat: an order-processing engine for multi-vendor shops that run flash sales.
//!
//! Each room knows only those it needs, and the arrows point inwards:
//!
//! ```text
//! bin ──▶ app ──▶ http ──▶ checkout ──▶ actors ──▶ ports ──▶ domain
//!          │                                         ▲
//!          └──────▶ persistence, adapters ───────────┘
//! ```
//!
//! `domain` is pure; `actors` runs it; `checkout` asks several entities in turn; `persistence` and `adapters` stand behind the traits of `ports`; `followers` make something of the
//! journal, `jobs` does what the world is to hear of, `services` have what stands beside the actors, each with rules of its own; `outbound` says how fast somebody outside may be
//! called; `http` translates; `app` builds everything from a configuration. `files` keeps what is on the disk to its owner. `tests/tidy.rs` reads the sources and fails on any other arrow.

#![warn(clippy::unwrap_used, reason = "it tells nobody why it cannot fail: return the error, or expect(\"why\")")]
#![warn(clippy::print_stdout, clippy::print_stderr, reason = "it panics when what it writes to is full or closed")]

pub mod actors;
pub mod adapters;
pub mod app;
pub mod checkout;
pub mod config;
pub mod domain;
pub mod files;
pub mod followers;
pub mod http;
pub mod jobs;
pub mod limits;
pub mod outbound;
pub mod persistence;
pub mod ports;
pub mod services;
pub mod telemetry;
