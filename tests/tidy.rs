//! Reads the sources and fails on what the house does not want: arrows between rooms that must not be, floats in money, waits
//! without a bound, leftovers. Every finding names its file, its line and the rule. The table of arrows is `ROOMS` in
//! tests/tidy/rules.rs; text is looked at as tokens, so comments and strings may say what they like. Nothing here needs a
//! dependency.

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

use meaning::test_items;
use rules::{Finding, Source, check, check_manifest, check_migrations};
use scanner::scan;

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

/// The files that are test modules because their parent says so, and what hangs below them.
fn test_files(sources: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, text) in sources {
        let stem = path.trim_end_matches(".rs");
        let dir = match stem.rsplit_once('/') {
            Some((dir, "mod" | "lib" | "main")) => dir.to_owned(),
            _ => stem.to_owned(),
        };
        for module in test_items(&scan(text)).1 {
            let (file, below) = (format!("{dir}/{module}.rs"), format!("{dir}/{module}/"));
            found.extend(sources.keys().filter(|other| **other == file || other.starts_with(&below)).cloned());
        }
    }
    found
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
    let for_tests = test_files(&sources);
    let findings: Vec<Finding> = sources
        .iter()
        .flat_map(|(path, text)| check(&Source { path, text, is_test: for_tests.contains(path) }))
        .collect();
    assert_tidy(&findings);
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
