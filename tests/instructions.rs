//! What benches/instructions makes of its counts: a guard that lets everything pass looks like one that has nothing to say.

#[path = "../benches/instructions/kept.rs"]
mod kept;

use kept::{Kept, compare};

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
