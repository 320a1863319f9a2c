//! The disk under the embedded store is full, or tears its last write.

use crate::process::{Haat, command, free_address, haat, until};
use crate::rush::Rush;
use crate::support::{Kind, TestStore, token};
use haat::app::audit::audit;
use haat::http::auth::Bearer;
use std::io::{Read, Write};
use std::process::Command;

/// A server that is told of a write past its limit by an error, as it is of a full disk, instead of by a signal that ends it.
pub fn server_with_a_quota() -> tokio::process::Command {
    let mut shell = command("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_haat")]);
    shell
}

/// No file may grow past so many bytes (all may, with none).
pub fn quota(server: &Haat, bytes: Option<u64>) {
    let soft = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let limit = format!("--fsize={soft}:unlimited");
    let done =
        Command::new("prlimit").args(["--pid", &server.id().to_string(), &limit]).status().expect("prlimit runs");
    assert!(done.success());
}

/// With no room left nothing is answered that is not durable; with room again all goes on, and what was decided meanwhile is written once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_nothing_but_time() {
    let store = TestStore::new(Kind::Sqlite).await;
    let mut server = Haat::begin_as(server_with_a_quota(), &store, store.data_dir(), free_address());
    server.ready().await;
    let mut rush = Rush::begin(&server).await;
    for answers in [20, 20] {
        rush.goes_on(answers).await;
        quota(&server, Some(4096));
        let not_ready = async || {
            let ready = server.client.get("/readyz").send().await;
            (ready.status == 503).then(|| ready.code().to_owned())
        };
        assert_eq!(until("the server to say so", not_ready).await, "store_unavailable");
        let admin = token(&Bearer::Admin("root".into()));
        let vendor =
            server.client.post("/v1/vendors", &serde_json::json!({"name": "Late"})).bearer(&admin).send().await;
        assert_eq!((vendor.status, vendor.code()), (503, "overloaded"), "{}", vendor.text);
        quota(&server, None);
        server.ready().await;
    }
    let told = rush.end().await;
    server.kill_whatever_it_said().await;
    let server = Haat::start(&store, free_address()).await;
    told.still_holds(&server).await;
    let report = audit(&store.config(), store.data_dir()).await.expect("the store can be looked at");
    assert!(report.is_clean(), "{report}");
}

/// A write-ahead log that ends in a torn frame, as a power cut may leave it: what stands before it is all there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_last_write_costs_nothing() {
    let store = TestStore::new(Kind::Sqlite).await;
    let address = free_address();
    let mut server = Haat::start(&store, address).await;
    let mut rush = Rush::begin(&server).await;
    // Half of a frame's header; a header and half of its page; a whole frame whose sums are wrong.
    for torn in [12, 24 + 2048, 24 + 4096] {
        rush.goes_on(20).await;
        server.kill().await;
        tear(&store.data_dir().join("haat.db-wal"), torn);
        server = Haat::start(&store, address).await;
    }
    let told = rush.end().await;
    server.kill().await;
    let server = Haat::start(&store, address).await;
    told.still_holds(&server).await;
    let report = audit(&store.config(), store.data_dir()).await.expect("the store can be looked at");
    assert!(report.is_clean(), "{report}");
    // The tool finds the same as the library does.
    let mut tool = haat();
    tool.args(["audit", "--data-dir"]).arg(store.data_dir());
    assert!(crate::process::output(tool).await.status.success());
}

/// Appends the beginning of the log's first frame once more: it looks right, and neither its place nor its sums are.
pub fn tear(log: &std::path::Path, bytes: usize) {
    const LOG_HEADER: usize = 32;
    let mut file = std::fs::File::options().read(true).append(true).open(log).expect("the log is there");
    let mut beginning = vec![0; LOG_HEADER + bytes];
    file.read_exact(&mut beginning).expect("it has a frame");
    file.write_all(&beginning[LOG_HEADER..]).expect("it can be written");
    file.sync_all().expect("it can be synced");
}
