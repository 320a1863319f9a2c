//! What benches/instructions makes of its counts: a guard that lets everything pass looks like one that has nothing to say. And what it does not count in
//! instructions: the records that its checkouts write, and what they ask of the store.

#[path = "../benches/instructions/cases.rs"]
#[allow(dead_code, reason = "the cases are run by the bench")]
mod cases;
#[path = "../benches/instructions/domain.rs"]
#[allow(dead_code, reason = "the cases are run by the bench")]
mod domain;
#[path = "../benches/instructions/http.rs"]
#[allow(dead_code, reason = "the cases are run by the bench")]
mod http;
#[path = "../benches/instructions/kept.rs"]
mod kept;
#[path = "../benches/instructions/node.rs"]
#[allow(dead_code, reason = "the cases are run by the bench")]
mod node;
#[path = "../benches/instructions/records.rs"]
#[allow(dead_code, reason = "the cases are run by the bench")]
mod records;
#[path = "../benches/support/shop.rs"]
#[allow(dead_code, reason = "shared with the benches")]
mod shop;

use haat::domain::coupon::Coupon;
use kept::{Kept, compare};
use node::{AtOnce, Node};
use serde_json::Value;
use std::sync::Arc;

fn counts(rustc: &str, counts: &[(&str, u64)]) -> Kept {
    let instructions = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    Kept { rustc: rustc.to_owned(), instructions }
}

/// Whether a count passes beside a kept one of 1,000.
fn passes(now: u64, rustc: &str) -> bool {
    compare(&counts("1.95", &[("a", 1_000)]), &counts(rustc, &[("a", now)]), false).passes()
}

#[test]
fn five_percent_more_passes_and_nothing_above() {
    for (now, expected) in [(1, true), (1_000, true), (1_050, true), (1_051, false), (5_000, false)] {
        assert_eq!(passes(now, "1.95"), expected, "{now}");
    }
}

#[test]
fn with_another_compiler_more_passes_and_it_is_said() {
    for (now, expected) in [(1_051, true), (1_150, true), (1_151, false)] {
        assert_eq!(passes(now, "1.96"), expected, "{now}");
    }
    let advice = compare(&counts("1.95", &[("a", 1_000)]), &counts("1.96", &[("a", 1_000)]), false).advice();
    assert!(advice.contains("taken with 1.95; this is 1.96"), "{advice}");
}

#[test]
fn a_case_without_a_count_fails_and_so_does_a_count_without_a_case() {
    let (one, two) = (counts("1.95", &[("a", 1_000)]), counts("1.95", &[("a", 1_000), ("b", 10)]));
    assert!(!compare(&one, &two, false).passes());
    assert!(!compare(&two, &one, false).passes());
    assert!(compare(&two, &one, true).passes(), "only some were counted");
}

#[test]
fn what_is_written_is_read_and_what_is_not_understood_is_refused() {
    let kept = counts("rustc 1.95.0 (0123 2026-04-14)", &[("cart: line set", 1_000), ("a", 7)]);
    let text = kept.text(&["cart: line set", "a"]);
    assert_eq!(Kept::read(&text).expect("it was just written"), kept);
    assert!(text.find("cart").expect("a name") < text.find("\"a\"").expect("another"), "in the order of the cases");
    assert!(Kept::read("rustc = \"1.95\"").is_err());
    assert!(Kept::read(&text.replace("= 7", "= -7")).is_err());
}

#[test]
fn a_table_says_what_to_do() {
    let before = counts("1.95", &[("a", 1_000), ("b", 1_000), ("c", 1_000)]);
    let compared = compare(&before, &counts("1.95", &[("a", 1_100), ("b", 900), ("c", 1_049)]), false);
    let (text, advice) = (compared.to_string(), compared.advice());
    let row = |name: &str| text.lines().find(|line| line.starts_with(name)).expect("a row").to_owned();
    assert!(row("a ").ends_with("+10.0 %  WORSE"), "{text}");
    assert!(row("b ").ends_with("-10.0 %"), "{text}");
    assert!(row("c ").ends_with("+4.9 %"), "{text}");
    assert!(advice.contains("better: take that over") && advice.contains("5 % worse"), "{advice}");
    assert_eq!(compare(&before, &before, false).advice(), "");
}

/// The records of a cart's checkout until it is settled, each as the kind of its entity and its events; of one with a coupon, that is in the shop and in
/// the cart.
fn records_of_a_checkout(coupon: Option<Coupon>) -> Vec<String> {
    let log_writer = Arc::new(AtOnce::default());
    let has_coupon = coupon.is_some();
    let node = match coupon {
        Some(coupon) => Node::with_coupon(log_writer.clone(), coupon),
        None => Node::at_once(log_writer.clone()),
    };
    if has_coupon {
        node.put_coupon(0);
    }
    log_writer.take();
    node.check_out(0..1);
    let told = |line: &Vec<u8>| {
        let record: Value = serde_json::from_slice(line).expect("a record");
        let kind = record["e"].as_str().and_then(|entity| entity.split('_').next()).expect("an entity");
        let events = record["ev"].as_array().expect("events").iter();
        let events: Vec<&str> = events.map(|event| event["type"].as_str().expect("a type")).collect();
        format!("{kind}: {}", events.join(", "))
    };
    log_writer.take().iter().map(told).collect()
}

/// As many as there were before there were bills, sales and coupons.
#[test]
fn a_checkout_that_uses_nothing_more_writes_eight_records() {
    let expected = [
        "cart: checkout_started",
        "order: placed",
        "vendor: stock_held",
        "order: stock_held, priced, payment_requested",
        "order: paid",
        "vendor: hold_committed",
        "cart: cart_checked_out",
        "order: settled",
    ];
    assert_eq!(records_of_a_checkout(None), expected);
}

/// That the coupon holds a use, that the order has heard so, and that the use is spent.
#[test]
fn a_coupon_whose_uses_are_counted_takes_three_records_more() {
    let expected = [
        "cart: checkout_started",
        "order: placed",
        "vendor: stock_held",
        "order: stock_held, coupons_taken, priced",
        "coupon: use_held",
        "order: leg_held, payment_requested",
        "order: paid",
        "vendor: hold_committed",
        "coupon: use_committed",
        "cart: cart_checked_out",
        "order: settled",
    ];
    assert_eq!(records_of_a_checkout(Some(shop::coupon(Some(100)))), expected);
}

#[test]
fn a_coupon_of_which_nothing_is_counted_takes_no_record_more() {
    let records = records_of_a_checkout(Some(shop::coupon(None)));
    assert_eq!(records.len(), records_of_a_checkout(None).len(), "{records:#?}");
    assert!(
        records.contains(&"order: stock_held, coupons_taken, priced, payment_requested".to_owned()),
        "{records:#?}"
    );
}

#[test]
fn neither_a_checkout_nor_a_look_at_its_order_asks_the_store_for_more_than_the_contact() {
    assert_eq!(http::asked(3), (0, 3));
}
