//! Payments on the pages of a platform of the company's own, over a double of one.

mod adapter;
mod disputes;
mod shop;

use crate::support::redirect::{OLD_SECRET, Platform, SECRET};
use haat::adapters::platform::PlatformConfig;

/// How the double is asked.
fn config(double: &Platform) -> PlatformConfig {
    let secrets = vec![SECRET.to_owned(), OLD_SECRET.to_owned()];
    PlatformConfig { url: double.url(), secrets, public_url: "https://shop.example".to_owned() }
}
