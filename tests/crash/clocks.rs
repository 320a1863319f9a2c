//! The real binary under wall clocks that are wrong: libfaketime stands between it and the system's, which no machine
//! lets a test set.

use crate::process::{Haat, end_lease, free_address, haat, output, until};
use crate::support::client::checkout_body;
use crate::support::{Kind, TestStore, token};
use haat::http::auth::Bearer;
use serde_json::json;
use std::path::PathBuf;
use tokio::process::Command;

/// Where Debian and its kin put the library, by architecture.
fn library() -> Option<PathBuf> {
    let places = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = places.map(|place| place.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    assert!(found.is_some() || std::env::var_os("HAAT_REQUIRE_FAKETIME").is_none(), "libfaketime is not there");
    found
}

/// `haat` whose wall clock differs by so much (`+6h`), alone: the clocks that nobody sets stay as they are.
fn haat_off_by(library: &PathBuf, by: &str) -> Command {
    let mut command = haat();
    command.env("LD_PRELOAD", library).env("FAKETIME", by).env("DONT_FAKE_MONOTONIC", "1");
    command
}

/// The embedded store, served for a moment by a clock that was hours ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_ahead_once_does_not_stop_time() {
    let Some(library) = library() else { return };
    let store = TestStore::new(Kind::Sqlite).await;
    let address = free_address();
    let mut ahead = Haat::begin_as(haat_off_by(&library, "+6h"), &store, store.data_dir(), address);
    ahead.ready().await;
    ahead.kill().await;
    let mut command = haat();
    command.env("HAAT_PAYMENT_SECONDS", "1").env("HAAT_HOLD_SECONDS", "1");
    let mut server = Haat::begin_as(command, &store, store.data_dir(), address);
    server.ready().await;
    let ready = server.client.get("/readyz").send().await.expect(200);
    let shown = ready.body["clock_ahead_seconds"].as_i64().expect("seconds");
    assert!((6 * 3600 - 120..=6 * 3600).contains(&shown), "{}", ready.text);
    server
        .logged("the newest frame is ahead of the clock: time goes on from it at nine tenths of its speed", "seconds")
        .await;
    let admin = token(&Bearer::Admin("root".into()));
    let (_, sku) = server.client.shop(&admin, "10.00", 5).await;
    let buyer = server.client.buyer(&sku, 1).await;
    let order = server.client.checkout(&buyer, "tok_slow_60000").send().await.expect(201);
    until("the order to expire", async || {
        let seen = server.client.order(&admin, order.field("id")).await.expect(200);
        (seen.field("status") == "expired").then_some(())
    })
    .await;
    server.kill().await;
}

/// On Postgres such a clock writes nothing, and the process ends with a code of its own; so do the tools that write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_not_the_databases_ends_the_process() {
    let Some(library) = library() else { return };
    let store = TestStore::new(Kind::Postgres).await;
    let address = free_address();
    for by in ["+6h", "-6h", "+90s"] {
        let mut server = Haat::begin_as(haat_off_by(&library, by), &store, store.data_dir(), address);
        assert_eq!(server.ended().await.code(), Some(5), "{by}: {}", server.log());
        assert!(server.log().contains("the database's"), "{by}: {}", server.log());
    }
    let server = Haat::start(&store, address).await;
    let admin = token(&Bearer::Admin("root".into()));
    server.client.post("/v1/vendors", &json!({"name": "Dhaka Textiles"})).bearer(&admin).send().await.expect(201);
    server.kill().await;
    end_lease(&store).await;
    for tool in [&["rebuild"][..], &["archive", "--before", "1d", "--archive"]] {
        let mut command = haat_off_by(&library, "+6h");
        command.args(tool);
        if tool.len() > 1 {
            command.arg(store.data_dir().join("archive"));
        }
        command.arg("--data-dir").arg(store.data_dir()).env("DATABASE_URL", store.url().expect("a URL"));
        let ended = output(command).await;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(!ended.status.success() && said.contains("the database's"), "{tool:?}: {said}");
    }
    Haat::start(&store, address).await.kill().await;
}

/// The wall clock of a running server is set away from the database's: it ends before it writes another frame.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_wrong_meanwhile_ends_the_process() {
    let Some(library) = library() else { return };
    let store = TestStore::new(Kind::Postgres).await;
    let set = store.data_dir().join("faketime");
    std::fs::write(&set, "+0").expect("it can be written");
    let mut command = haat();
    command.env("LD_PRELOAD", &library).env("FAKETIME_TIMESTAMP_FILE", &set);
    command.env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
    let mut server = Haat::begin_as(command, &store, store.data_dir(), free_address());
    server.ready().await;
    let admin = token(&Bearer::Admin("root".into()));
    let (_, sku) = server.client.shop(&admin, "10.00", 5).await;
    let buyer = server.client.buyer(&sku, 1).await;
    std::fs::write(&set, "+2h").expect("it can be written");
    let path = format!("/v1/carts/{}/checkout", buyer.cart);
    // Whether it is still there to answer is no matter; it does not say yes.
    let paid = server.client.post(&path, &checkout_body("tok_approve")).bearer(&buyer.token).try_send().await;
    assert!(!paid.is_ok_and(|answer| answer.status == 201), "a frame was written");
    assert_eq!(server.ended().await.code(), Some(5), "{}", server.log());
}
