//! Thousands of connections that ask for nothing: they cost little, and whoever asks for something is served.

use crate::process::{Haat, free_address, until};
use crate::support::{Kind, TestStore};
use crate::target::{BOUND, unharmed};
use crate::wire::{Wire, request};
use tokio::time::timeout;

/// As many as this process may have files for, and no more than this.
const MOST: usize = 3_000;
/// What one idle connection may cost the server, in bytes. A head may have 64 KiB: this is far from that.
const EACH: usize = 24 * 1024;

/// A figure of a process, as `/proc` has it: the number after `name`.
fn proc_figure(process: &str, file: &str, name: &str) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{process}/{file}")).expect("a process on Linux");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the figure");
    let number = line.split_whitespace().next().expect("a number");
    number.parse().unwrap_or(usize::MAX)
}

/// Connections of every idle sort: nothing said yet, half a head, and one request answered.
async fn idle(haat: &Haat, count: usize) -> Vec<Wire> {
    let mut wires = Vec::with_capacity(count);
    for number in 0..count {
        let mut wire = Wire::connect(haat.client).await;
        match number % 3 {
            0 => {}
            1 => wire.send("GET /healthz HTTP/1.1\r\nhost: x\r\n").await,
            _ => {
                wire.send(request("GET", "/healthz", &[], "")).await;
                assert_eq!(wire.answer().await.status, 200);
            }
        }
        wires.push(wire);
    }
    wires
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_connections_cost_little_and_hinder_nobody() {
    let store = TestStore::new(Kind::Sqlite).await;
    let haat = Haat::start(&store, free_address()).await;
    unharmed(haat.client).await;
    // The server has the limit of files that this process has, and both need some for themselves.
    let files = proc_figure("self", "limits", "Max open files");
    let count = MOST.min(files.saturating_sub(200));
    assert!(count >= 500, "{files} files are too few to show anything");
    if count < MOST {
        eprintln!("only {count} connections: this process may have {files} files");
    }
    let process = haat.id().to_string();
    let memory = || proc_figure(&process, "status", "VmRSS:") * 1024;
    // What serving costs at all is paid before it is counted.
    drop(idle(&haat, 90).await);
    let before = memory();
    let wires = idle(&haat, count).await;
    let cost = memory().saturating_sub(before);
    assert!(cost < count * EACH, "{count} connections cost {cost} bytes");
    for _ in 0..50 {
        // Bounded, not measured.
        timeout(BOUND, unharmed(haat.client)).await.expect("served");
    }
    // They are connections still.
    for (number, mut wire) in wires.into_iter().enumerate() {
        if number % 300 == 2 {
            wire.send(request("GET", "/readyz", &[], "")).await;
            assert_eq!(wire.answer().await.status, 200);
        }
    }
    until("the connections to be gone", async || {
        let figures = haat.client.get("/metrics").send().await.expect(200).text;
        figures.contains("haat_http_connections 1\n").then_some(())
    })
    .await;
    unharmed(haat.client).await;
    haat.kill().await;
}
