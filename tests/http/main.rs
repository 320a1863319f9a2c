//! The server as its users see it, over HTTP, on both stores.

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod attached;
mod bills;
mod carts;
mod categories;
mod checkout;
mod clocks;
mod cookies;
mod coupons;
mod cursors;
mod details;
mod durability;
mod faults;
mod history;
mod idempotency;
mod mails;
mod months;
mod ops;
mod origins;
mod outside;
mod overload;
mod own;
mod people;
mod prices;
mod rates;
mod redirect;
mod refunds;
mod resolve;
mod rush;
mod sales;
mod sandbox;
mod shop;
mod stripe;
mod suspended;
mod terms;
mod texts;
mod traces;
mod windows;

use std::time::Duration;

/// Looks until there is what is looked for.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looks = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), looks).await.unwrap_or_else(|_| panic!("waited for {what}"))
}
