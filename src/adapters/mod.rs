//! What talks to the world outside, each piece behind a trait of `ports`: the clock, the payment gateways and the mail server.

pub mod clock;
pub mod erased;
pub mod sandbox;
pub mod smtp;
