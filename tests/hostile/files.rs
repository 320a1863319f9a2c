//! Few open files: a server takes what it may have, leaves enough for its store, and survives that there is none left.

use crate::process::{Haat, command, free_address, until};
use crate::support::{Kind, TestStore};
use crate::target::unharmed;
use crate::wire::{Wire, request};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::path::Path;

/// A server whose shell sets limits on open files before it becomes the server.
async fn limited(store: &TestStore, limits: &str) -> Haat {
    let mut shell = command("sh");
    shell.args(["-c", &format!("{limits} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_haat")]);
    let mut haat = Haat::begin_as(shell, store, store.data_dir(), free_address());
    haat.ready().await;
    haat
}

/// So many connections, each answered once and kept.
async fn served(haat: &Haat, count: usize) -> Vec<Wire> {
    let mut wires = Vec::with_capacity(count);
    for _ in 0..count {
        let mut wire = Wire::with(haat.client, request("GET", "/healthz", &[], "")).await;
        assert_eq!(wire.answer().await.status, 200);
        wires.push(wire);
    }
    wires
}

/// A shell's soft limit, 1,024 on most systems, is no limit on customers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_low_soft_limit_is_raised() {
    let store = TestStore::new(Kind::Sqlite).await;
    let haat = limited(&store, "ulimit -S -n 256").await;
    assert_eq!(haat.logged("open files", "found").await, "256");
    let wires = served(&haat, 400).await;
    unharmed(haat.client).await;
    drop(wires);
    haat.kill().await;
}

/// Where the hard limit is low, there are fewer connections, and it is said; the store has its files all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_low_hard_limit_leaves_the_store_its_files() {
    let store = TestStore::new(Kind::Sqlite).await;
    let haat = limited(&store, "ulimit -n 256").await;
    let most = haat.logged("open files", "connections").await.as_u64().expect("a number");
    assert!((64..256 - 64).contains(&most), "{most}");
    let mut wires = served(&haat, usize::try_from(most).expect("few") - 1).await;
    // One place is left: the store works for whoever has it, again and again.
    for _ in 0..20 {
        until("a cart to be made", async || {
            let made = haat.client.post("/v1/carts", &serde_json::json!({})).try_send().await;
            made.ok().map(|made| made.expect(201))
        })
        .await;
    }
    // The last buyer's place may not be free yet: whoever is served stays, until one is too many.
    loop {
        let mut more = Wire::with(haat.client, request("GET", "/healthz", &[], "")).await;
        if more.next_answer().await.is_none() {
            break;
        }
        wires.push(more);
    }
    assert!((most - 1..=most).contains(&(wires.len() as u64)), "{} of {most}", wires.len());
    drop(wires);
    until("room for all again", async || haat.client.get("/healthz").try_send().await.ok()).await;
    served(&haat, 20).await;
    haat.kill().await;
}

/// Whatever used up its files: a server that has none left accepts nobody, says so, and goes on when there are some.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_files_goes_on_when_there_are_some() {
    let store = TestStore::new(Kind::Sqlite).await;
    let mut haat = Haat::start(&store, free_address()).await;
    let pid = Pid::from_raw(i32::try_from(haat.id()).expect("an id"));
    let open = std::fs::read_dir(Path::new("/proc").join(haat.id().to_string()).join("fd")).expect("on Linux").count();
    let none_left = Rlimit { current: Some(u64::try_from(open).expect("few") / 2), maximum: None };
    let before = prlimit(pid, Resource::Nofile, Rlimit { maximum: hard_limit(&haat), ..none_left }).expect("our child");
    // The system takes the connection; the server cannot.
    let mut wire = Wire::with(haat.client, request("GET", "/healthz", &[], "")).await;
    until("the server to say so", async || haat.log().contains("a connection cannot be accepted").then_some(())).await;
    assert!(haat.runs() && !wire.is_closed());
    prlimit(pid, Resource::Nofile, before).expect("our child");
    assert_eq!(wire.answer().await.status, 200, "it waited, and is served");
    unharmed(haat.client).await;
    let said = haat.log().matches("a connection cannot be accepted").count();
    assert!(said < 10, "it was said {said} times");
    haat.kill_whatever_it_said().await;
}

fn hard_limit(haat: &Haat) -> Option<u64> {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", haat.id())).expect("on Linux");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("the limit");
    line.split_whitespace().nth(1).and_then(|hard| hard.parse().ok())
}
