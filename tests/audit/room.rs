//! What an audit does not keep in memory: it finds the same however finely that is divided, and leaves nothing behind.

use super::{change, is, only, retold, traded};
use crate::support::TestStore;
use crate::{LEDGER, audited};
use haat::app::audit::{Report, Room, audit_in};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Next to everything is in a bucket of its own, each entry of it written by itself.
fn divided(directory: &Path) -> Room {
    Room { directories: vec![directory.to_owned()], buckets: 3, most: 1, block: 1 }
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).expect("a directory").next().is_none()
}

/// An order, its cart, its vendor and whatever is about them lie in different buckets then.
pub async fn assert_same_if_divided(store: &TestStore, report: &Report) {
    let place = TempDir::new().expect("a directory");
    let divided = audit_in(&store.config(), store.data_dir(), &divided(place.path())).await.expect("an audit");
    // Which of an entity's neighbours is told of first is another thing.
    let lines = |report: &Report| {
        let mut lines: Vec<String> = report.to_string().lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert_eq!(lines(&divided), lines(report));
    assert!(is_empty(place.path()), "something is left of what was put aside");
}

/// Of what stands beside the journal, each by itself.
#[tokio::test]
async fn a_strange_job_a_lost_contact_and_an_untold_piece_are_found() {
    let (store, _) = traded().await;
    only(&audited(&store).await, &[]);
    let strange =
        "UPDATE jobs SET about = randomblob(16) WHERE id = (SELECT min(id) FROM jobs WHERE kind = 'order_paid_mail')";
    assert_eq!(change(&store, strange).await, 1);
    let told = only(&audited(&store).await, &["jobs"]);
    assert!(told.contains("and there is no such order"), "{told}");
    let lost = "DELETE FROM detail WHERE name = 'contact' AND entity = (SELECT min(entity) FROM detail)";
    assert_eq!(change(&store, lost).await, 1);
    let told = only(&audited(&store).await, &["jobs", "details"]);
    assert!(told.contains("its contact is lost: what is erased leaves its row"), "{told}");
    let untold = "UPDATE stock_changes SET delta = delta + 1 WHERE reason = 'added'";
    assert_eq!(change(&store, untold).await, 1);
    let told = only(&audited(&store).await, &["history", "jobs", "details"]);
    assert!(told.contains("on hand 2, its changes come to 3"), "{told}");
}

#[tokio::test]
async fn a_cart_that_took_what_was_not_given_is_found() {
    const NOBODY: &str = "cart_01h2xcejqtf2nbrexx3vqjhp41";
    let (store, _) = traded().await;
    let took = retold(&store, |records| {
        if let Some(place) = records.iter().position(|record| is(record, "cart_", "cart_created")) {
            let mut took = records[place].clone();
            took["ev"] = json!([{"type": "merged_in", "from": NOBODY, "lines": [], "currency": "BDT"}]);
            records.insert(place + 1, took);
        }
    })
    .await;
    let told = only(&audited(&took).await, &["merges"]);
    assert!(told.contains(&format!("it took {NOBODY}, which was not given")), "{told}");
}

/// Each order's lines are looked at by themselves, and the file is read to its end all the same.
#[tokio::test]
async fn the_first_line_of_the_books_that_is_wrong_is_told() {
    let (store, _) = traded().await;
    let path = store.data_dir().join(LEDGER);
    let whole = fs::read_to_string(&path).expect("a ledger");
    let charged: Vec<&str> = whole.lines().filter(|line| line.contains("charged")).collect();
    let (first, lines) = (whole.lines().count() + 1, charged.iter());
    // Whichever order comes first, and also before a line that nobody can read.
    for doubled in [lines.clone().copied().collect::<Vec<_>>(), lines.rev().copied().collect()] {
        fs::write(&path, format!("{whole}{}\nno line\n", doubled.join("\n"))).expect("written");
        let told = only(&audited(&store).await, &["money"]);
        assert!(told.contains(&format!("is damaged at line {first}: order_")), "{told}");
        assert!(told.contains("goes from charged to charged"), "{told}");
    }
    fs::write(&path, format!("{whole}no line\n{}\n", charged[0])).expect("written");
    let told = only(&audited(&store).await, &["money"]);
    assert!(told.contains(&format!("is damaged at line {first}: expected")), "{told}");
}

#[tokio::test]
async fn nothing_is_left_behind_by_an_audit_that_fails() {
    let (store, _) = traded().await;
    change(&store, "ALTER TABLE jobs RENAME TO lost").await;
    let place = TempDir::new().expect("a directory");
    let failed = audit_in(&store.config(), store.data_dir(), &divided(place.path())).await;
    assert!(failed.expect_err("there are no jobs").to_string().contains("jobs"));
    assert!(is_empty(place.path()));
}

#[tokio::test]
async fn where_nothing_can_be_put_aside_it_is_said() {
    let (store, _) = traded().await;
    let nowhere = store.data_dir().join("nowhere");
    let mut tool = Command::new(env!("CARGO_BIN_EXE_haat"));
    tool.arg("audit").arg("--data-dir").arg(store.data_dir()).env("TMPDIR", &nowhere).env_remove("DATABASE_URL");
    let ended = tool.output().expect("it is run");
    let said = String::from_utf8(ended.stderr).expect("text");
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(2), 0), "{said}");
    let what = format!("haat: what is not kept in memory cannot be written to {}: No such file", nowhere.display());
    assert!(said.contains(&what) && said.contains("(TMPDIR names another directory)"), "{said}");
}
