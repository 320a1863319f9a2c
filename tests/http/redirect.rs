//! Payments on the pages of a platform of the company's own, over a double of one.

mod adapter;
mod disputes;
mod shop;

use crate::support::redirect::{OLD_SECRET, Platform, SECRET};
use haat::adapters::redirect::RedirectConfig;

/// How the double is asked.
fn config(double: &Platform) -> RedirectConfig {
    let secrets = vec![SECRET.to_owned(), OLD_SECRET.to_owned()];
    RedirectConfig { url: double.url(), secrets, public_url: "https://shop.example".to_owned() }
}
