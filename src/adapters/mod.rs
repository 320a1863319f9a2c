//! What talks to the world outside, each piece behind a trait of `ports`: the clock, the payment providers, the courier, the mail
//! server and the collector of traces.
//! And what stands in their place on a node alone: who asked how often, and what each buyer has under way, in memory.

pub mod clock;
pub mod courier;
pub mod erased;
pub mod http_client;
pub mod otlp;
pub mod platform;
mod provider;
pub mod quotas;
pub mod rates;
pub mod redirect;
pub mod sandbox;
pub mod smtp;
mod standard_webhooks;
pub mod stripe;
