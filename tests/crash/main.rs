//! The server as an operator has it: the real binary, killed, stopped, started twice and started wrongly.

#[path = "../support/mod.rs"]
mod support;

mod bookings;
mod cards;
mod clocks;
mod cluster;
mod courier;
mod database;
mod details;
mod disk;
mod environment;
mod figures;
mod full;
mod groups;
mod kill;
mod mails;
mod missing;
mod output;
mod owners;
mod platform;
mod private;
mod process;
mod proxy;
mod refusals;
mod rehearsal;
mod relay;
mod remake;
mod rush;
mod sandbox;
mod sight;
mod soak;
mod stall;
mod stop;
mod watched;
