//! The rules and their tables.

use std::collections::{BTreeMap, BTreeSet};

use super::meaning::{is, paths};
use super::scanner::{Kind, Token, scan};

/// A room: its own name, the rooms it may reach, and the external crates it must not know.
pub(super) struct Room {
    pub(super) name: &'static str,
    pub(super) may_reach: &'static [&'static str],
    pub(super) must_not_know: &'static [&'static str],
}

pub(super) const RUNTIME: &[&str] = &["tokio", "tokio_util", "actix", "actix_rt", "async_trait", "futures"];
pub(super) const WEB: &[&str] =
    &["axum", "hyper", "hyper_util", "tower", "tower_http", "http", "http_body_util", "reqwest", "utoipa"];
pub(super) const STORE: &[&str] = &["sqlx", "redis"];
pub(super) const RANDOM: &[&str] = &["rand", "rand_core", "getrandom", "fastrand"];

/// Everything may use `limits`, and a room itself; neither is repeated here.
pub(super) const ROOMS: &[Room] = &[
    Room { name: "domain", may_reach: &[], must_not_know: &[] },
    Room { name: "ports", may_reach: &["domain"], must_not_know: &["actix", "actix_rt", "axum", "sqlx", "redis"] },
    Room {
        name: "outbound",
        may_reach: &["domain"],
        must_not_know: &["actix", "actix_rt", "axum", "sqlx", "redis", "lettre"],
    },
    Room {
        name: "jobs",
        may_reach: &["outbound", "ports", "domain", "telemetry"],
        must_not_know: &["actix", "actix_rt", "axum", "sqlx", "redis", "lettre"],
    },
    Room {
        name: "services",
        may_reach: &["ports", "domain"],
        must_not_know: &["actix", "actix_rt", "axum", "sqlx", "redis", "lettre"],
    },
    Room {
        name: "actors",
        may_reach: &["outbound", "ports", "domain", "telemetry"],
        must_not_know: &["axum", "hyper", "hyper_util", "tower", "utoipa", "sqlx", "redis"],
    },
    Room {
        name: "checkout",
        may_reach: &["actors", "ports", "domain", "telemetry"],
        must_not_know: &["actix", "actix_rt", "axum", "hyper", "hyper_util", "tower", "utoipa", "sqlx", "redis"],
    },
    Room {
        name: "persistence",
        may_reach: &["services", "ports", "domain", "telemetry", "files"],
        must_not_know: &["actix", "actix_rt", "axum"],
    },
    Room {
        name: "followers",
        may_reach: &["persistence", "ports", "domain", "telemetry"],
        must_not_know: &["actix", "actix_rt", "axum", "sqlx", "redis"],
    },
    Room {
        name: "adapters",
        may_reach: &["ports", "domain", "telemetry", "files"],
        must_not_know: &["actix", "actix_rt", "axum"],
    },
    Room {
        name: "http",
        may_reach: &["services", "checkout", "actors", "ports", "domain", "telemetry"],
        must_not_know: &["actix", "actix_rt", "sqlx", "redis"],
    },
    Room { name: "limits", may_reach: &[], must_not_know: &[] },
    Room { name: "files", may_reach: &[], must_not_know: &["tokio", "actix", "actix_rt", "axum", "sqlx", "redis"] },
    Room { name: "telemetry", may_reach: &["domain"], must_not_know: &["actix", "actix_rt", "axum", "sqlx", "redis"] },
    // The settings of a room may be defined in that room; config reads them all.
    Room {
        name: "config",
        may_reach: &["domain", "ports", "actors", "persistence", "services", "adapters", "http", "telemetry", "files"],
        must_not_know: &["actix", "actix_rt", "axum", "sqlx", "redis"],
    },
    Room {
        name: "app",
        may_reach: &[
            "domain",
            "ports",
            "actors",
            "checkout",
            "persistence",
            "followers",
            "jobs",
            "services",
            "outbound",
            "adapters",
            "http",
            "telemetry",
            "config",
            "files",
        ],
        must_not_know: &[],
    },
    Room { name: "bin/haat", may_reach: &["app", "config", "telemetry"], must_not_know: &[] },
];

/// Names that read a clock or draw a random number, which the domain is given instead.
pub(super) const CLOCKS_AND_CHANCE: &[&str] = &[
    "SystemTime",
    "Instant",
    "now_utc",
    "now_local",
    "UtcDateTime",
    "now_v7",
    "new_v4",
    "OsRng",
    "ThreadRng",
    "thread_rng",
    "RandomState",
];

/// Parts of `std` that reach out of the process.
pub(super) const STD_OUTSIDE: &[&str] = &["env", "fs", "io", "net", "os", "process", "thread"];

pub(super) const MOST_LINES: usize = 700;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) rule: String,
}

/// `domain` for src/domain.rs and src/domain/cart.rs, `bin/haat` for src/bin/haat.rs and src/bin/haat/main.rs.
pub(super) fn room_of(path: &str) -> Option<String> {
    let inside = path.strip_prefix("src/")?;
    let mut parts = inside.split('/').map(|part| part.trim_end_matches(".rs"));
    let first = parts.next()?;
    match first {
        "bin" => Some(format!("bin/{}", parts.next()?)),
        _ => Some(first.to_owned()),
    }
}

/// How many modules deep a file of the library is: 0 for lib.rs, 1 for domain.rs and domain/mod.rs.
pub(super) fn module_depth(path: &str) -> usize {
    let inside = path.trim_start_matches("src/");
    let depth = inside.split('/').count();
    depth - usize::from(inside.ends_with("mod.rs") || inside == "lib.rs")
}

pub(super) struct Source<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
}

/// All rules that look at one file.
pub(super) fn check(source: &Source<'_>) -> Vec<Finding> {
    let Source { path, text } = *source;
    let tokens = scan(text);
    let in_src = path.starts_with("src/");
    let mut findings = Vec::new();
    let mut report = |line: usize, rule: String| findings.push(Finding { file: path.to_owned(), line, rule });

    for (i, token) in tokens.iter().enumerate() {
        let line = token.line;
        if token.kind != Kind::Word {
            if is(&tokens, i, "#") && is(&tokens, i + 1, "[") && is(&tokens, i + 2, "ignore") {
                report(line, "a test that is ignored tests nothing: repair it or remove it".into());
            }
            continue;
        }
        let called = is(&tokens, i + 1, "(") || (is(&tokens, i + 1, "::") && is(&tokens, i + 2, "<"));
        match token.text.as_str() {
            "unbounded_channel" | "unbounded" if in_src && called => {
                report(line, "everything has a limit: a bounded channel with a limit from limits.rs".into());
            }
            "StatusCode" if in_src && !path.starts_with("src/http") && !path.starts_with("src/bin/") => {
                report(line, "http/error.rs alone turns outcomes into statuses: return a rejection".into());
            }
            _ => {}
        }
    }

    if in_src {
        if !text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with("//!")) {
            report(1, "a file begins with //! and what it is for".into());
        }
        let lines = text.lines().count();
        if lines >= MOST_LINES {
            report(lines, format!("{lines} lines, {MOST_LINES} are too many: it holds two things, part them"));
        }
        if let Some(room) = room_of(path) {
            check_room(path, &room, &tokens, &mut report);
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

/// The arrows of one file in src, and what the domain must not know.
pub(super) fn check_room(path: &str, name: &str, tokens: &[Token], report: &mut dyn FnMut(usize, String)) {
    if name == "lib" {
        return;
    }
    let is_bin = name.starts_with("bin/");
    // Within a binary `crate` is the binary itself.
    let house = if is_bin { "haat" } else { "crate" };
    let reached = paths(tokens, module_depth(path));

    if name == "bin/haat-load" {
        for reached in reached.iter().filter(|reached| reached.root == house) {
            report(reached.line, "the load tester knows the HTTP contract and nothing else of us".into());
        }
        return;
    }
    let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
        report(
            1,
            format!(
                "{name} is no room that the house knows: give it a row in ROOMS (tests/tidy.rs) and in ARCHITECTURE.md"
            ),
        );
        return;
    };
    for reached in &reached {
        let line = reached.line;
        if reached.root == house {
            match reached.next.as_deref() {
                Some(_) if reached.is_macro => {}
                Some(other) if other == name || other == "limits" || room.may_reach.contains(&other) => {}
                Some(other) if ROOMS.iter().any(|room| room.name == other) => {
                    report(line, format!("{name} must not know {other}"));
                }
                Some("*") | None => report(line, format!("{name} imports the whole crate: name the rooms it needs")),
                Some(other) => {
                    report(line, format!("{house}::{other} is no room: name an item by the room it lives in"));
                }
            }
        }
        let external = reached.root.as_str();
        if room.must_not_know.contains(&external) {
            report(line, format!("{name} must not know the crate {external}"));
        }
        if name == "domain" {
            if [RUNTIME, WEB, STORE, RANDOM].iter().any(|group| group.contains(&external)) {
                report(line, format!("the domain is pure and must not know the crate {external}"));
            }
            if let ("std", Some(part)) = (external, reached.next.as_deref())
                && STD_OUTSIDE.contains(&part)
            {
                report(line, format!("the domain is pure and must not reach std::{part}"));
            }
        }
    }
    if name == "domain" {
        for token in tokens {
            let text = token.text.as_str();
            let float_number = token.kind == Kind::Number
                && !text.starts_with("0x")
                && (text.contains('.') || text.ends_with("f32") || text.ends_with("f64"));
            if float_number || (token.kind == Kind::Word && matches!(text, "f32" | "f64")) {
                report(token.line, "no float in the domain: minor units in i64, percentages in rust_decimal".into());
            }
            if token.kind == Kind::Word && CLOCKS_AND_CHANCE.contains(&text) {
                report(token.line, format!("the domain has neither clock nor chance: {text} comes in as an argument"));
            }
        }
    }
}

/// A panic must unwind, so that it costs one actor and not the node.
pub(super) fn check_manifest(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let code: String = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        let code = code.replace('\'', "\"");
        if code.contains("panic=\"abort\"") || code.contains("panic=abort") {
            let rule = "panic = \"abort\" ends the node where an actor should restart".to_owned();
            findings.push(Finding { file: path.to_owned(), line: index + 1, rule });
        }
    }
    findings
}

/// Both stores have the same migrations by name, numbered without doubles.
pub(super) fn check_migrations(postgres: &BTreeSet<String>, sqlite: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (here, names, there, others) in
        [("postgres", postgres, "sqlite", sqlite), ("sqlite", sqlite, "postgres", postgres)]
    {
        let mut report = |name: &str, rule: String| {
            findings.push(Finding { file: format!("migrations/{here}/{name}"), line: 1, rule });
        };
        let mut numbers = BTreeMap::new();
        for name in names {
            if !others.contains(name) {
                report(name, format!("migrations/{there} has no file of this name: both stores migrate in step"));
            }
            let number: Option<u64> = name.split_once('_').and_then(|(number, _)| number.parse().ok());
            match number {
                Some(number) if name.ends_with(".sql") => {
                    // A reversible migration has two files of one number: x.up.sql and x.down.sql.
                    let direction = name.ends_with(".down.sql");
                    if let Some(other) = numbers.insert((number, direction), name.clone()) {
                        report(name, format!("{other} has the same number"));
                    }
                }
                _ => report(name, "a migration is named NUMBER_what_it_does.sql".into()),
            }
        }
    }
    findings
}
