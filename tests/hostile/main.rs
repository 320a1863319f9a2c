//! Clients that are slow, broken or hostile, over real sockets against a whole server: nobody else notices, nothing of another's is
//! seen, and nothing panics.

#[path = "../crash/process.rs"]
#[allow(dead_code, reason = "only what these tests need of it")]
mod process;
#[path = "../support/mod.rs"]
mod support;

mod api;
mod bodies;
mod doors;
mod files;
mod framing;
mod http2;
mod idle;
mod ids;
mod keys;
mod owners;
mod pipelines;
mod rates;
mod secrets;
mod slow;
mod target;
mod tokens;
mod unreadable;
mod wire;
