//! The server as its users see it, over HTTP, on both stores.

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod attached;
mod batch;
mod bills;
mod carts;
mod cash;
mod catalogue;
mod categories;
mod checkout;
mod clocks;
mod cookies;
mod coupons;
mod couriers;
mod cursors;
mod details;
mod durability;
mod faults;
mod history;
mod idempotency;
mod live;
mod loyalty;
mod mails;
mod months;
mod notes;
mod ops;
mod origins;
mod outside;
mod overload;
mod own;
mod paid;
mod parcels;
mod people;
mod points;
mod prices;
mod rates;
mod redirect;
mod refunds;
mod resolve;
mod rooms;
mod rush;
mod sales;
mod sandbox;
mod shop;
mod silent;
mod slots;
mod stripe;
mod suspended;
mod terms;
mod texts;
mod traces;
mod waiting;
mod windows;

use serde_json::{Value, json};
use std::time::Duration;
use support::client::{Answer, Client};

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
    tokio::time::timeout(Duration::from_secs(90), looks).await.unwrap_or_else(|_| panic!("waited for {what}"))
}

/// An order as the staff sees it, once it is so.
async fn order_once(client: Client, staff: &str, order: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let look = async || Some(client.order(staff, order).await.expect(200).body).filter(|seen| is_so(seen));
    until(&format!("{order}: {what}"), look).await
}

/// Gives so many taka of an order's first share back.
async fn goodwill(client: Client, staff: &str, order: &str, amount: &str) -> Answer {
    let shown = client.order(staff, order).await.expect(200).body;
    let share = shown["sub_orders"][0]["id"].as_str().expect("an id");
    let path = format!("/v1/orders/{order}/sub-orders/{share}/refunds");
    let body = json!({"amount": {"amount": amount, "currency": "BDT"}, "reason": "goodwill"});
    client.post(&path, &body).bearer(staff).send().await
}
