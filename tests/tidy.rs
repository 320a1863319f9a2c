//! Reads the sources and fails on what the house does not want and neither the compiler nor clippy can say: arrows between rooms
//! that must not be, floats in money, ignored tests, files without a head. Every finding names its file, its line and the rule. The
//! table of arrows is `ROOMS` in tests/tidy/rules.rs; text is looked at as tokens, so comments and strings may say what they like.
//! Nothing here needs a dependency. What a call site may not reach for stands in clippy.toml, and leftovers in Cargo.toml.

#[path = "tidy/meaning.rs"]
mod meaning;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/samples.rs"]
mod samples;
#[path = "tidy/scanner.rs"]
mod scanner;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rules::{Finding, Source, check, check_manifest, check_migrations};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `dir`, which need not be there, as paths from the root with `/`.
fn files_below(dir: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = vec![root().join(dir)];
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("a directory can be listed").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let inside = path.strip_prefix(root()).expect("a path below the root");
                let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
                found.push(parts.join("/"));
            }
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn assert_tidy(findings: &[Finding]) {
    let lines: Vec<String> =
        findings.iter().map(|finding| format!("{}:{}: {}", finding.file, finding.line, finding.rule)).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn the_sources_are_tidy() {
    let mut sources = BTreeMap::new();
    for dir in ["src", "tests", "benches", "examples", "fuzz/src", "fuzz/targets"] {
        for path in files_below(dir).into_iter().filter(|path| path.ends_with(".rs")) {
            let text = read(&path);
            sources.insert(path, text);
        }
    }
    assert!(sources.contains_key("src/lib.rs"), "the sources were not found below {}", root().display());
    let findings: Vec<Finding> = sources.iter().flat_map(|(path, text)| check(&Source { path, text })).collect();
    assert_tidy(&findings);
}

/// Clippy refuses these only where a crate asks for it.
#[test]
fn every_crate_in_src_refuses_unwrap_and_print() {
    let is_root = |path: &String| path == "src/lib.rs" || path.starts_with("src/bin/") && path.ends_with("/main.rs");
    let roots: Vec<String> = files_below("src").into_iter().filter(is_root).collect();
    assert!(roots.len() > 1, "the crates were not found: {roots:?}");
    for root in roots {
        for lint in ["clippy::unwrap_used", "clippy::print_stdout", "clippy::print_stderr"] {
            assert!(read(&root).contains(lint), "{root}: begins with #![warn({lint})]");
        }
    }
}

#[test]
fn a_panic_unwinds() {
    let mut findings = check_manifest("Cargo.toml", &read("Cargo.toml"));
    for path in files_below(".cargo") {
        findings.extend(check_manifest(&path, &read(&path)));
    }
    assert_tidy(&findings);
}

#[test]
fn both_stores_have_the_same_migrations() {
    let names = |dir: &str| -> BTreeSet<String> {
        files_below(dir).iter().filter_map(|path| path.rsplit('/').next().map(str::to_owned)).collect()
    };
    assert_tidy(&check_migrations(&names("migrations/postgres"), &names("migrations/sqlite")));
}
