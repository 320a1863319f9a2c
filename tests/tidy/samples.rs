//! Every rule on samples that it must refuse, and on such that it must not.

use std::collections::BTreeSet;

use super::rules::{MOST_LINES, Source, check, check_manifest, check_migrations};

/// What the rules say about a file, without the rule that it begins with `//!`.
fn said_of(path: &str, code: &str) -> Vec<String> {
    let text = if code.starts_with("//!") { code.to_owned() } else { format!("//! Sample.\n{code}") };
    let found = check(&Source { path, text: &text });
    found.into_iter().map(|finding| format!("{}: {}", finding.line, finding.rule)).collect()
}

#[track_caller]
fn refused(path: &str, code: &str, line: usize, part: &str) {
    let said = said_of(path, code);
    let start = format!("{line}: ");
    assert!(
        said.iter().any(|said| said.starts_with(&start) && said.contains(part)),
        "{path} with {code:?} should be refused on line {line} with {part:?}, but: {said:?}"
    );
}

#[track_caller]
fn accepted(path: &str, code: &str) {
    assert_eq!(said_of(path, code), Vec::<String>::new(), "{path} with {code:?}");
}

#[rustfmt::skip] // a sample per line
#[test]
fn forbidden_arrows_are_refused() {
    refused("src/domain/cart.rs", "use crate::ports::Clock;", 2, "domain must not know ports");
    refused("src/domain.rs", "fn f() { crate::telemetry::count(); }", 2, "domain must not know telemetry");
    refused("src/ports.rs", "use crate::actors::X;", 2, "ports must not know actors");
    refused("src/actors/shell.rs", "use crate::{domain::Cart,\n persistence::Lane};", 3, "actors must not know persistence");
    refused("src/actors/shell.rs", "use crate::{domain::{Cart, Line}, http};", 2, "actors must not know http");
    refused("src/actors/mod.rs", "type X = crate::adapters::Sandbox;", 2, "actors must not know adapters");
    refused("src/actors/mod.rs", "use crate::checkout::CheckedOut;", 2, "actors must not know checkout");
    refused("src/checkout/stuck.rs", "use crate::http;", 2, "checkout must not know http");
    refused("src/checkout.rs", "use sqlx::Row;", 2, "checkout must not know the crate sqlx");
    refused("src/persistence/log_writer.rs", "use crate::actors;", 2, "persistence must not know actors");
    refused("src/persistence/log_writer.rs", "use crate::adapters::mail;", 2, "persistence must not know adapters");
    refused("src/adapters/mail.rs", "use crate::persistence::query;", 2, "adapters must not know persistence");
    refused("src/adapters/mail.rs", "pub use crate::http;", 2, "adapters must not know http");
    refused("src/http/routes.rs", "use crate::persistence;", 2, "http must not know persistence");
    refused("src/http/routes.rs", "use crate::config::Config;", 2, "http must not know config");
    refused("src/telemetry.rs", "use crate::app::App;", 2, "telemetry must not know app");
    refused("src/limits.rs", "use crate::domain::Money;", 2, "limits must not know domain");
    refused("src/config/mod.rs", "use crate::app::App;", 2, "config must not know app");
    refused("src/bin/haat/main.rs", "use haat::http::routes;", 2, "bin/haat must not know http");
    refused("src/bin/haat.rs", "use haat::domain::Cart;", 2, "bin/haat must not know domain");
    refused("src/bin/haat/serve.rs", "use haat as h;", 2, "imports the whole crate");
    refused("src/bin/haat-load/main.rs", "use haat::limits::BODY;", 2, "the load tester");
    refused("src/bin/haat-load/main.rs", "use haat;", 2, "the load tester");
    refused("src/bin/haat-load.rs", "extern crate haat;", 2, "the load tester");
}

#[rustfmt::skip] // a sample per line
#[test]
fn an_arrow_in_a_test_module_or_by_super_counts_as_well() {
    refused("src/domain/cart.rs", "#[cfg(test)]\nmod tests {\n use crate::actors::X;\n}", 4, "domain must not know actors");
    refused("src/domain/cart.rs", "use super::super::actors::X;", 2, "domain must not know actors");
    refused("src/domain/mod.rs", "use super::actors::X;", 2, "domain must not know actors");
    refused("src/domain/cart.rs", "mod tests { use super::super::super::actors::X; }", 2, "domain must not know actors");
    refused("src/domain/cart.rs", "use self::super::super::actors::X;", 2, "domain must not know actors");
    accepted("src/domain/cart.rs", "mod tests { use super::*; use super::super::actors::X; }");
    accepted("src/domain/cart.rs", "mod a { mod b {} } use super::actors::X;");
    accepted("src/domain/order/lines.rs", "use super::super::actors::X;");
}

#[test]
fn a_room_is_named() {
    refused("src/billing/mod.rs", "", 1, "billing is no room");
    refused("src/bin/other.rs", "", 1, "bin/other is no room");
    refused("src/domain/cart.rs", "use crate::*;", 2, "imports the whole crate");
    refused("src/http/routes.rs", "use crate::Engine;", 2, "crate::Engine is no room");
    accepted("src/http/routes.rs", "fn f() { crate::count!(1); }");
}

#[rustfmt::skip] // a sample per line
#[test]
fn allowed_arrows_are_accepted() {
    accepted("src/lib.rs", "pub mod domain; pub mod anything;");
    accepted("src/domain/cart.rs", "use crate::domain::{self, Money}; use crate::limits::LINES; pub(crate) fn f() {}");
    accepted("src/ports.rs", "use crate::{domain::Cart, limits};");
    accepted("src/actors/shell.rs", "use actix::Addr; use tokio::sync::mpsc; use crate::{ports::Clock, telemetry};");
    accepted("src/persistence/log_writer.rs", "use sqlx::query; use crate::ports::Journal; pub(in crate::persistence) fn f() {}");
    accepted("src/http/routes.rs", "use axum::Router; use crate::actors::Registry; use http::StatusCode;");
    accepted("src/config/mail.rs", "use crate::{actors, http, persistence};");
    accepted("src/app.rs", "use crate::{actors, adapters, config, domain, http, persistence, ports, telemetry}; use actix_rt::System;");
    accepted("src/bin/haat/main.rs", "mod cli; use crate::cli::Cli; use haat::{app::App, config::Config, telemetry};");
    accepted("src/bin/haat-load/main.rs", "use hyper::Request; use crate::plan::Plan;");
    accepted("tests/audit.rs", "use haat::persistence::audit; fn f() { g().unwrap(); }");
}

#[rustfmt::skip] // a sample per line
#[test]
fn forbidden_crates_are_refused() {
    refused("src/domain/cart.rs", "use tokio::sync::Mutex;", 2, "the crate tokio");
    refused("src/domain/cart.rs", "use {serde::Serialize, actix::Actor};", 2, "the crate actix");
    refused("src/domain/cart.rs", "fn f() -> ::sqlx::Row {}", 2, "the crate sqlx");
    refused("src/domain/cart.rs", "use ::tokio::task;", 2, "the crate tokio");
    refused("src/domain/cart.rs", "fn f() { for i in 0..rand::random() {} }", 2, "the crate rand");
    refused("src/domain/cart.rs", "use rand as chance;", 2, "the crate rand");
    refused("src/domain/cart.rs", "use axum;", 2, "the crate axum");
    refused("src/domain/cart.rs", "fn f() { redis::cmd(); }", 2, "the crate redis");
    refused("src/domain/cart.rs", "use std::{fmt, fs::File};", 2, "std::fs");
    refused("src/actors/shell.rs", "use axum::Json;", 2, "the crate axum");
    refused("src/actors/shell.rs", "use sqlx::PgPool;", 2, "the crate sqlx");
    refused("src/persistence/log_writer.rs", "use actix::Addr;", 2, "the crate actix");
    refused("src/adapters/mail.rs", "#[actix_rt::main]\nfn f() {}", 2, "the crate actix_rt");
    refused("src/http/error.rs", "use redis::Client;", 2, "the crate redis");
    refused("src/http/error.rs", "use sqlx::Error;", 2, "the crate sqlx");
    // A module of ours with the name of a crate is not that crate.
    accepted("src/domain/cart.rs", "use crate::domain::rand::Draw; use super::tokio::X; use serde::{Serialize, tokio};");
    accepted("src/domain/cart.rs", "use std::collections::BTreeMap; use std::time::Duration; fn f() { let rand = 1; g(rand); }");
}

#[rustfmt::skip] // a sample per line
#[test]
fn clock_chance_and_floats_are_refused_in_the_domain() {
    refused("src/domain/sale.rs", "use std::time::SystemTime;", 2, "SystemTime");
    refused("src/domain/sale.rs", "fn f() { std::time::Instant::now(); }", 2, "Instant");
    refused("src/domain/sale.rs", "fn f() { OffsetDateTime::now_utc(); }", 2, "now_utc");
    refused("src/domain/ids.rs", "fn f() { Uuid::now_v7(); }", 2, "now_v7");
    refused("src/domain/money.rs", "\ntype Rate = f64;", 3, "no float");
    refused("src/domain/money.rs", "fn f(x: &'static f32) {}", 2, "no float");
    refused("src/domain/money.rs", "const RATE: Decimal = dec(0.15);", 2, "no float");
    refused("src/domain/money.rs", "fn f() { g(1_f64); }", 2, "no float");
    accepted("src/domain/money.rs", "fn f() { let x = pair.0.1; for i in 0..10 { 1.max(i); } let y = 0xf64; /* 1.5 f64 */ }");
    accepted("src/http/routes.rs", "fn f(x: f64) { Instant::now(); }");
}

#[test]
fn ignored_tests_are_refused() {
    refused("tests/a.rs", "#[test]\n#[ignore]\nfn f() {}", 3, "ignored");
    refused("src/app.rs", "#[ignore = \"slow\"] fn f() {}", 2, "ignored");
    accepted("src/app.rs", "// #[ignore]\nconst X: &str = \"#[ignore]\";");
}

#[rustfmt::skip] // a sample per line
#[test]
fn waits_without_a_bound_are_refused() {
    refused("src/actors/a.rs", "fn f() { tokio::sync::mpsc::unbounded_channel(); }", 2, "a limit");
    refused("src/actors/a.rs", "fn f() { unbounded_channel::<u8>(); }", 2, "a limit");
    refused("src/actors/a.rs", "fn f() { futures::channel::mpsc::unbounded::<u8>(); }", 2, "a limit");
    accepted("src/actors/a.rs", "/// Not [`unbounded_channel()`].\nfn f() { channel(LIMIT); }");
}

#[test]
fn a_status_is_refused_outside_http() {
    refused("src/actors/a.rs", "use http::StatusCode;", 2, "http/error.rs alone");
    accepted("src/http/error.rs", "use axum::http::StatusCode;");
    accepted("src/bin/haat-load/main.rs", "use hyper::StatusCode;");
    accepted("tests/http/orders.rs", "use hyper::StatusCode;");
}

#[rustfmt::skip] // a sample per line
#[test]
fn a_file_has_a_head_and_an_end() {
    let headless = check(&Source {
        path: "src/app.rs",
        text: "\nfn f() {}\n",
    });
    assert_eq!(headless.len(), 1);
    assert!(headless[0].rule.contains("begins with //!"));
    accepted("src/app.rs", &format!("//! Long.\n{}", "// x\n".repeat(MOST_LINES - 2)));
    refused("src/app.rs", &format!("//! Long.\n{}", "// x\n".repeat(MOST_LINES - 1)), MOST_LINES, "too many");
}

#[test]
fn an_abort_is_refused() {
    assert_eq!(check_manifest("Cargo.toml", "[profile.release]\npanic = \"abort\"\n")[0].line, 2);
    assert_eq!(check_manifest(".cargo/config.toml", "rustflags = [\"-C\", \"panic=abort\"]\n").len(), 1);
    assert_eq!(check_manifest("Cargo.toml", "panic = 'abort'").len(), 1);
    assert_eq!(check_manifest("Cargo.toml", "panic = \"unwind\" # never panic = \"abort\"\n"), []);
}

#[test]
fn migrations_out_of_step_are_refused() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let both = names(&["0001_journal.sql", "0002_orders.sql"]);
    assert_eq!(check_migrations(&both, &both), []);
    assert_eq!(check_migrations(&names(&[]), &names(&[])), []);
    let missing = check_migrations(&both, &names(&["0001_journal.sql"]));
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].file, "migrations/postgres/0002_orders.sql");
    assert_eq!(check_migrations(&names(&[]), &both).len(), 2);
    let twice = names(&["0001_a.sql", "1_b.sql"]);
    assert_eq!(check_migrations(&twice, &twice).len(), 2);
    let unnamed = names(&["journal.sql"]);
    assert_eq!(check_migrations(&unnamed, &unnamed).len(), 2);
}
