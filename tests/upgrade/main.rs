//! What an earlier version left, a later one takes over: its schema is brought up to date, its records are read, its orders come to their end.
//!
//! `tests/golden/stores` holds stores of earlier versions. Those of a commit are made by `make.rs`, from that commit:
//! `HAAT_GOLDEN_STORES=tests/golden/stores/COMMIT cargo test --test upgrade a_store_in_the_middle_of_everything`.

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "the crashes use more of it")]
#[path = "../crash/process.rs"]
mod process;
#[allow(dead_code, reason = "the crashes use more of it")]
#[path = "../crash/watched.rs"]
mod watched;

mod beside;
mod cases;
mod dump;
mod first;
mod golden;
mod kill;
mod make;
mod old_buyers;
mod old_checkpoints;
mod old_server;
mod old_statements;
mod takeover;
mod told;
