//! What the rules themselves cost: deciding, applying, what is outstanding, and a record's JSON. No actor, no disk.
//!
//! A hot vendor must cost the same per command whatever it holds: compare the lines of one group that differ only in the number of
//! SKUs or holds. `cargo bench --bench domain -- vendor` runs one group.

#[path = "support/shop.rs"]
#[allow(dead_code, reason = "shared with another bench")]
mod shop;

use criterion::{BatchSize, BenchmarkId, Criterion};
use haat::domain::entity::Principal;
use haat::domain::entity::concerns::*;
use haat::domain::ids::{EntityId, OrderId};
use haat::domain::knowledge::Knowledge;
use haat::domain::order::{Order, Phase};
use haat::domain::record::Record;
use haat::domain::vendor::{HeldLine, VendorCommand, VendorEvent};
use shop::{
    NOW, ORDERS, PRICE, cart, cart_id, check_out, life, order_id, reserve, run, set_line, sku_id, until, vendor,
    vendor_id,
};
use std::hint::black_box;
use std::time::Duration;

/// The vendors that are compared: by SKUs alone, then with a rush's holds on few SKUs and on many.
const VENDORS: [(u128, u128); 6] = [(1, 0), (1_000, 0), (10_000, 0), (1, 10_000), (1, 100_000), (10_000, 100_000)];

fn vendors(criterion: &mut Criterion) {
    for (skus, holds) in VENDORS {
        let mut vendor = vendor(skus, holds);
        // A checkpoint has taken what changed: what a bench then adds is its own.
        vendor.delta();
        let size = format!("{skus} SKUs, {holds} holds");
        let id = |name: &str| BenchmarkId::new(name, &size);
        let mut group = criterion.benchmark_group("vendor");
        let mut number = 0;
        let mut next = move || {
            number = (number + 1) % (ORDERS - 1);
            number
        };

        let asked = reserve(1, 0, until());
        group.bench_function(id("reserve, decide"), |bench| {
            bench.iter(|| vendor.decide(black_box(&asked), &Knowledge::NOTHING, NOW))
        });
        // What is held is sold at once, so the vendor stays as large as it is.
        group.bench_function(id("reserve and commit, decide and apply"), |bench| {
            bench.iter(|| {
                let order = next();
                run(&mut vendor, &reserve(order, order % skus, until()), NOW);
                run(&mut vendor, &VendorCommand::Commit { order: order_id(order), strict: true }, NOW)
            });
        });
        let mut now = NOW;
        group.bench_function(id("reserve and release, decide and apply"), |bench| {
            bench.iter(|| {
                // A release is remembered until the hold's time: time goes on here, so that few are remembered at once.
                now = now.plus_millis(1);
                let (order, until) = (next(), now.plus_millis(1));
                run(&mut vendor, &reserve(order, order % skus, until), now);
                run(&mut vendor, &VendorCommand::Release { order: order_id(order), until }, now)
            });
        });
        // Long after all of that, so that the vendor remembers no release.
        let by = Principal::SHOP;
        let adjust = VendorCommand::AdjustStock { by, sku: sku_id(0), delta: -1, reason: "counted".into() };
        run(&mut vendor, &adjust, NOW.plus_millis(i64::MAX / 4));
        run(&mut vendor, &reserve(ORDERS - 1, 0, until()), NOW);
        group.bench_function(id("reply, response and publication of a reserve"), |bench| {
            let command = reserve(ORDERS - 1, 0, until());
            let lines = vec![HeldLine::at_list_price(sku_id(0), 1, PRICE)];
            let events = [VendorEvent::StockHeld {
                order: order_id(ORDERS - 1),
                until: until(),
                lines,
                keys: Vec::new(),
                account_keys: 0,
                slot: None,
            }];
            bench.iter(|| {
                (vendor.reply(&command, true), vendor.respond(&command, Ok(())), vendor.publications(&events))
            });
        });
        group.bench_function(id("outstanding, nothing due"), |bench| bench.iter(|| vendor.outstanding(NOW)));
        if holds > 0 {
            let late = until().plus_millis(holds as i64);
            group.bench_function(id("outstanding, all due"), |bench| bench.iter(|| vendor.outstanding(late)));
            group.bench_function(id("wake_at, all due"), |bench| bench.iter(|| vendor.wake_at(late)));
        }
        group.bench_function(id("timer"), |bench| bench.iter(|| vendor.timer()));
        group.bench_function(id("check"), |bench| bench.iter(|| vendor.check()));
        group.bench_function(id("capture after one reserve and commit"), |bench| {
            vendor.delta();
            bench.iter(|| {
                let order = next();
                run(&mut vendor, &reserve(order, order % skus, until()), NOW);
                run(&mut vendor, &VendorCommand::Commit { order: order_id(order), strict: true }, NOW);
                vendor.delta()
            });
        });
        group.finish();
    }
}

/// Lines in the carts and orders that are compared.
const LINES: [u128; 3] = [1, 10, 200];

fn carts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cart");
    for lines in LINES {
        let id = |name: &str| BenchmarkId::new(name, format!("{lines} lines"));
        let mut cart = cart(cart_id(0), lines);
        let mut quantity = 1;
        group.bench_function(id("set line, decide and apply"), |bench| {
            bench.iter(|| {
                quantity = 3 - quantity;
                run(&mut cart, &set_line(cart_id(0), lines - 1, quantity), NOW)
            });
        });
        let command = check_out(cart_id(0));
        group.bench_function(id("check out, decide"), |bench| {
            bench.iter(|| cart.decide(black_box(&command), &Knowledge::NOTHING, NOW))
        });
        group.bench_function(id("check out, apply and reply"), |bench| {
            let events = cart.decide(&command, &Knowledge::NOTHING, NOW).expect("it can be checked out");
            bench.iter_batched_ref(
                || cart.clone(),
                |cart| {
                    events.iter().for_each(|event| cart.apply(event, NOW));
                    cart.reply(&command, true)
                },
                BatchSize::SmallInput,
            );
        });
        run(&mut cart, &command, NOW);
        group.bench_function(id("outstanding and its effect"), |bench| {
            bench.iter(|| cart.outstanding(NOW).first().map(|key| cart.effect(*key)));
        });
        group.bench_function(id("check"), |bench| bench.iter(|| cart.check()));
        group.bench_function(id("capture"), |bench| bench.iter(|| cart.delta()));
    }
    group.finish();
}

fn orders(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("order");
    for lines in LINES {
        let id = |name: &str| BenchmarkId::new(name, format!("{lines} lines"));
        let commands = life(cart_id(0), lines);
        let new = || Order::new(OrderId::for_attempt(cart_id(0), 1));
        group.bench_function(id("from placed to settled, decide and apply"), |bench| {
            bench.iter(|| {
                let mut order = new();
                for command in &commands {
                    run(&mut order, command, NOW);
                }
                assert_eq!(order.phase(), Some(Phase::Settled));
                order
            });
        });
        let mut order = new();
        for (name, command) in ["reserving", "paying", "settling"].into_iter().zip(&commands) {
            run(&mut order, command, NOW);
            group.bench_function(id(&format!("outstanding and its effect, {name}")), |bench| {
                bench.iter(|| order.outstanding(NOW).first().map(|key| order.effect(*key)));
            });
        }
        group.bench_function(id("view"), |bench| bench.iter(|| order.view(Principal::SHOP)));
        group.bench_function(id("check"), |bench| bench.iter(|| order.check()));
        group.bench_function(id("capture"), |bench| bench.iter(|| order.delta()));
    }
    group.finish();
}

/// Writes a record as the shell does, and reads it as recovery does.
fn record<E: Entity>(criterion: &mut Criterion, name: &str, mut entity: E, id: E::Id, command: &E::Command) {
    let events = run(&mut entity, command, NOW);
    let record = Record { entity: id.entity(), version: 7, at: NOW, events, answers: Vec::new() };
    let written = |record: &Record<E::Event>| {
        let mut line = Vec::new();
        record.write(&mut line);
        line
    };
    let json = written(&record);
    let mut group = criterion.benchmark_group("record");
    let id = |what: &str| BenchmarkId::new(what, format!("{name}, {} bytes", json.len()));
    group.bench_function(id("write"), |bench| bench.iter(|| written(black_box(&record))));
    group.bench_function(id("read"), |bench| {
        bench.iter(|| serde_json::from_slice::<Record<E::Event>>(black_box(&json)).map(|read| read.version));
    });
    group.finish();
}

fn records(criterion: &mut Criterion) {
    record(criterion, "cart, line set", cart(cart_id(0), 1), cart_id(0), &set_line(cart_id(0), 1, 1));
    record(criterion, "cart, checkout started", cart(cart_id(0), 1), cart_id(0), &check_out(cart_id(0)));
    record(criterion, "vendor, stock held", vendor(1, 0), vendor_id(), &reserve(0, 0, until()));
    let order_id = OrderId::for_attempt(cart_id(0), 1);
    let mut order = Order::new(order_id);
    for (name, command) in ["placed", "stock held", "paid"].into_iter().zip(life(cart_id(0), 1)) {
        record(criterion, &format!("order, {name}"), order.clone(), order_id, &command);
        run(&mut order, &command, NOW);
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .configure_from_args();
    vendors(&mut criterion);
    carts(&mut criterion);
    orders(&mut criterion);
    records(&mut criterion);
    criterion.final_summary();
}
