//! `--verify`: holds a server to a journal of promises, as after a crash.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::client::Token;
use super::coupon::{Carried, Offered};
use super::journal::{Promise, read};
use super::judge::Line;
use super::run::{Cart, Run, Told};
use super::shop::{Desk, Sku};
use super::stats::locked;
use super::wire::Status;

/// Reads the promises into the run's charge log, with their SKUs, so that the checks hold the server to them.
pub async fn load(run: &mut Run, path: &Path) -> anyhow::Result<()> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("could not read the journal {}", path.display()))?;
    let promises = read(&text).with_context(|| format!("{} is no journal", path.display()))?;
    if promises.is_empty() {
        bail!("{} holds no promise: there is nothing to hold the server to", path.display());
    }
    let admin = run.admin.clone().context("--verify needs --admin-token")?;
    let sum = summed_up(&promises, &admin);
    let mut desk = Desk::of(run);
    let mut skus: Vec<Sku> = Vec::with_capacity(sum.skus.len());
    let mut lost = Vec::new();
    for id in &sum.skus {
        match desk.find(id).await? {
            Some(sku) => skus.push(sku),
            None => lost.push(id.clone()),
        }
    }
    // Lines name SKUs by their place, so stock is judged only when none is lost; a lost one fails the run anyway.
    if lost.is_empty() {
        run.skus = skus;
    }
    run.coupons = sum.coupons;
    *locked(&run.charge_log.lost_skus) = lost;
    *locked(&run.charge_log.orders) = sum.orders;
    *locked(&run.charge_log.split_twins) = sum.split;
    run.wire.recorder.count(|measured| measured.twins += sum.repeated_keys);
    Ok(())
}

struct Sum {
    skus: Vec<String>,
    coupons: Vec<Offered>,
    orders: Vec<Told>,
    repeated_keys: u64,
    split: Vec<String>,
}

/// One entry per order with the strongest thing said of it: paid or an end outweighs what was said on the way.
fn summed_up(promises: &[Promise], admin: &Token) -> Sum {
    let mut skus: Vec<String> = Vec::new();
    let mut sku_places: HashMap<&str, usize> = HashMap::new();
    let mut coupons: Vec<Offered> = Vec::new();
    let mut orders: Vec<Told> = Vec::new();
    let mut order_places: HashMap<&str, usize> = HashMap::new();
    let mut keys: HashMap<(&str, &str), &str> = HashMap::new();
    let mut split = Vec::new();
    let mut repeated_keys = 0;
    for promise in promises {
        if let Some(key) = promise.key.as_deref() {
            match keys.entry((&promise.cart, key)) {
                Entry::Vacant(free) => {
                    free.insert(&promise.order);
                }
                Entry::Occupied(first) => {
                    repeated_keys += 1;
                    let first = *first.get();
                    if first != promise.order {
                        split.push(format!("{}: {first} and {}", promise.cart, promise.order));
                    }
                }
            }
        }
        let place = *order_places.entry(&promise.order).or_insert_with(|| {
            let lines = promise
                .lines
                .iter()
                .map(|line| Line {
                    quantity: line.quantity,
                    sku: *sku_places.entry(&line.sku).or_insert_with(|| {
                        skus.push(line.sku.clone());
                        skus.len() - 1
                    }),
                })
                .collect();
            let coupon = promise.coupon.as_ref().map(|told| Carried {
                coupon: coupons.iter().position(|coupon| coupon.id == told.id).unwrap_or_else(|| {
                    coupons.push(Offered { id: told.id.clone(), code: told.code.clone() });
                    coupons.len() - 1
                }),
                discount: told.discount,
            });
            let (id, bearer, person) = (promise.cart.clone(), admin.clone(), promise.person);
            let points = promise.points.clone();
            orders.push(Told {
                id: promise.order.clone(),
                cart: Arc::new(Cart { id, bearer, wholesale: false, person, lines, coupon, points, entry: None }),
                status: Status::Unknown,
            });
            orders.len() - 1
        });
        let told = &mut orders[place];
        if !told.status.is_paid() && (promise.status.is_settled() || !told.status.is_settled()) {
            told.status = promise.status;
        }
    }
    Sum { skus, coupons, orders, repeated_keys, split }
}

#[cfg(test)]
mod tests {
    use super::super::journal::PromisedLine;
    use super::*;

    fn promise(order: &str, status: Status, key: Option<&str>) -> Promise {
        Promise {
            at: String::new(),
            order: order.into(),
            cart: "cart_1".into(),
            person: Some(7),
            status,
            lines: vec![PromisedLine { sku: "sku_1".into(), quantity: 2 }],
            coupon: None,
            points: None,
            key: key.map(Into::into),
        }
    }

    #[test]
    fn the_strongest_word_on_an_order_counts() {
        let admin = Token::from("t");
        let sum = summed_up(
            &[
                promise("order_1", Status::Placed, Some("k")),
                promise("order_1", Status::Paid, None),
                promise("order_1", Status::Placed, Some("k")),
                promise("order_2", Status::Placed, None),
            ],
            &admin,
        );
        assert_eq!(sum.skus, ["sku_1"]);
        let told: Vec<_> = sum.orders.iter().map(|told| told.status).collect();
        assert_eq!(told, [Status::Paid, Status::Placed]);
        assert_eq!(sum.orders[0].cart.lines[0].quantity, 2);
        assert_eq!(sum.orders[0].cart.person, Some(7));
        assert!(sum.split.is_empty());
        assert_eq!(sum.repeated_keys, 1);
    }

    #[test]
    fn one_key_that_named_two_orders_is_told() {
        let admin = Token::from("t");
        let sum = summed_up(
            &[promise("order_1", Status::Placed, Some("k")), promise("order_2", Status::Placed, Some("k"))],
            &admin,
        );
        assert_eq!(sum.split, ["cart_1: order_1 and order_2"]);
        assert_eq!(sum.repeated_keys, 1);
    }
}
