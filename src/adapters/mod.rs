//! What talks to the world outside, each piece behind a trait of `ports`: the clock and the payment gateways.

pub mod clock;
pub mod sandbox;
