//! Stopped as a service manager stops it.

use crate::on_both_stores;
use crate::process::{Haat, command, free_address, until};
use crate::rush::Rush;
use crate::support::{Kind, TestStore};

on_both_stores! {
    /// A stop in the middle of a rush ends in time and well, and leaves nothing to replay.
    async fn a_stop_leaves_nothing_to_replay(store) {
        let address = free_address();
        let mut server = Haat::start(&store, address).await;
        let mut rush = Rush::begin(&server).await;
        for answers in [20, 30] {
            rush.goes_on(answers).await;
            server.signal("TERM").await;
            let status = server.ended().await;
            assert_eq!(status.code(), Some(0), "{}", server.log());
            server.said_no_error();
            let stopped = server.log();
            server = Haat::start(&store, address).await;
            let replayed = server.logged("recovered", "records").await;
            assert_eq!(replayed, 0, "records are replayed after an orderly stop: {stopped}");
        }
        let told = rush.end().await;
        told.still_holds(&server).await;
    }
}

/// Whatever asks a server to stop, it is an orderly stop; what only says something leaves it alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_stop_in_order_or_not_at_all() {
    let store = TestStore::new(Kind::Sqlite).await;
    for signal in ["TERM", "INT", "HUP"] {
        let mut server = Haat::start(&store, free_address()).await;
        for passed_over in ["USR1", "USR2", "PIPE", "XFSZ"] {
            server.signal(passed_over).await;
        }
        server.client.post("/v1/carts", &serde_json::json!({})).send().await.expect(201);
        server.signal(signal).await;
        assert_eq!(server.ended().await.code(), Some(0), "{signal}: {}", server.log());
        server.said_no_error();
        assert_eq!(server.logged("asked to stop", "level").await, "INFO");
        server.logged("stopped: everything is durable, and snapshots and read tables are written", "level").await;
    }
}

/// Begun by nohup, or by a shell's trap, a server outlives its terminal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_that_is_ignored_stays_ignored() {
    let store = TestStore::new(Kind::Sqlite).await;
    let mut shell = command("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_haat")]);
    let mut server = Haat::begin_as(shell, &store, store.data_dir(), free_address());
    server.ready().await;
    server.signal("HUP").await;
    server.client.post("/v1/carts", &serde_json::json!({})).send().await.expect(201);
    assert!(server.runs());
    server.signal("TERM").await;
    assert_eq!(server.ended().await.code(), Some(0));
}

/// A server that still waits for the lease of one that went without a word is stopped in order too, and leaves the store free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_before_it_is_ready_is_an_orderly_one() {
    for signal in ["TERM", "INT", "HUP"] {
        let store = TestStore::new(Kind::Postgres).await;
        let first = Haat::start(&store, free_address()).await;
        // Its lease runs on for seconds, and it cannot end.
        first.signal("STOP").await;
        // The charge log is the first one's.
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        let mut second = Haat::begin(&store, directory.path(), free_address());
        until("the second to listen", async || {
            let answer = second.client.get("/readyz").try_send().await.ok()?;
            (answer.code() == "recovering").then_some(())
        })
        .await;
        second.signal(signal).await;
        assert_eq!(second.ended().await.code(), Some(0), "{signal}: {}", second.log());
        second.said_no_error();
        assert_eq!(second.logged("stopped before it took requests", "level").await, "INFO");
        first.kill().await;
    }
}
