//! Payments by card, over a double of Stripe.

mod adapter;
mod disputes;
mod judge;
mod shop;

use crate::support::stripe::{KEY, SECRET, Stripe as Double};
use haat::adapters::stripe::StripeConfig;

/// How the double is asked.
fn config(double: &Double) -> StripeConfig {
    StripeConfig { key: KEY.to_owned(), url: double.url(), secrets: vec!["whsec_an_older_one".into(), SECRET.into()] }
}
