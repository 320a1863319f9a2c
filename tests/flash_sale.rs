//! The parts of benches/flash_sale that compute something: a bench has no tests of its own, and a wrong median is a wrong figure.

#[path = "../benches/flash_sale/figures.rs"]
mod figures;
#[path = "../benches/flash_sale/processes.rs"]
#[allow(dead_code, reason = "what reads /proc is not called here")]
mod processes;
#[path = "../benches/flash_sale/wire.rs"]
#[allow(dead_code, reason = "what opens connections is not called here")]
mod wire;

use figures::{Pair, Run, Spread, ratio, spread, table};

fn run(label: &str, connections: usize, per_second: f64) -> Run {
    Run {
        label: label.to_owned(),
        connections,
        per_second,
        settled_per_second: None,
        p50_us: 5_000,
        p99_us: (100_000_000.0 / per_second) as u64,
        max_us: 90_000,
        server_us: 100.0,
        store_us: 20.0,
        client_us: 10.0,
        counted: 1_000,
    }
}

fn pair(subject: f64, other: f64) -> Pair {
    Pair { setting: "64".to_owned(), subject: run("haat", 64, subject), other: run("row-locks", 64, other) }
}

#[test]
fn a_median_is_the_middle_or_between_the_middle_two() {
    assert_eq!(spread([]), None);
    assert_eq!(spread([3.0, 1.0, 2.0]), Some(Spread { least: 1.0, median: 2.0, greatest: 3.0 }));
    assert_eq!(spread([4.0, 1.0, 3.0, 2.0]), Some(Spread { least: 1.0, median: 2.5, greatest: 4.0 }));
}

/// The machine was at half its speed in the second pair: the medians' ratio would be 1500/75, each pair's is what it is.
#[test]
fn a_ratio_is_taken_pair_by_pair() {
    let pairs = [pair(2_000.0, 100.0), pair(1_000.0, 50.0), pair(1_500.0, 50.0)];
    let pairs: Vec<&Pair> = pairs.iter().collect();
    assert_eq!(ratio(&pairs, |run| run.per_second), Some(Spread { least: 20.0, median: 20.0, greatest: 30.0 }));
}

#[test]
fn a_table_has_a_row_per_server_and_connections() {
    let alone = [];
    let mut best = pair(3_000.0, 1_000.0);
    best.setting = "best".to_owned();
    best.other.connections = 16;
    let text = table("orders/s", "haat", &alone, &[pair(2_000.0, 100.0), pair(1_000.0, 50.0), best]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "| server | connections | orders/s | p50 ms | p99 ms | server µs | store µs | client µs | haat ÷ it: orders/s | haat ÷ it: p99 |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
            "| haat | 64 | 1500 (1000 to 2000) | 5.0 | 75.0 | 100 | 20 | 10 |  |  |",
            "| row-locks | 64 | 75 (50 to 100) | 5.0 | 1500.0 | 100 | 20 | 10 | 20.00 (20.00 to 20.00) | 0.05 (0.05 to 0.05) |",
            "| haat | 64 (best) | 3000 | 5.0 | 33.3 | 100 | 20 | 10 |  |  |",
            "| row-locks | 16 (best) | 1000 | 5.0 | 100.0 | 100 | 20 | 10 | 3.00 (3.00 to 3.00) | 0.33 (0.33 to 0.33) |",
        ]
    );
}

/// In rounds, one run of the subject stands beside one of each server.
#[test]
fn a_run_that_stands_in_two_pairs_counts_once() {
    let (first, mut second) = (pair(2_000.0, 100.0), pair(2_000.0, 400.0));
    second.other.label = "batches".to_owned();
    let mut settled = first.clone();
    settled.subject.settled_per_second = Some(1_800.0);
    second.subject = settled.subject.clone();
    let text = table("orders/s", "haat", &[], &[settled, second]);
    assert!(text.contains("| haat | 64 | 2000 | 1800 |"), "{text}");
    assert!(text.contains("| batches | 64 | 400 |  |"), "{text}");
}

#[test]
fn runs_without_a_subject_have_no_ratio() {
    let text = table("orders/s", "haat", &[run("batches pool 2", 64, 9.0), run("batches pool 2", 256, 9.0)], &[]);
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(!text.contains('÷'), "{text}");
}

#[test]
fn a_process_is_read_whatever_its_name() {
    let line = "42 (a (strange) name) S 7 42 42 0 -1 4194560 100 0 0 0 12 30 5 6 20 0 1 0 100 0 0";
    let stat = processes::parse(line).expect("a process");
    assert_eq!((stat.name.as_str(), stat.parent, stat.own, stat.ended), ("a (strange) name", 7, 42, 11));
    assert_eq!(processes::parse("nonsense"), None);
}

#[test]
fn a_head_tells_status_and_length_once_it_is_whole() {
    let head = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(wire::head(head).expect("a head"), Some((201, head.len() - 2, 2)));
    assert_eq!(wire::head(&head[..40]).expect("half a head"), None);
    assert!(wire::head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
}
