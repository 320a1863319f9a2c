//! A file system that is really full: a small one of the test's own, in memory, filled to its last byte.

use crate::cluster::Cluster;
use crate::process::{BOUND, Haat, free_address, until};
use crate::rush::Rush;
use crate::support::{TestStore, token};
use haat::app::audit::audit;
use haat::http::auth::Bearer;
use std::io::Write;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Set where mounting is possible: then a test that cannot mount fails instead of saying so.
const REQUIRED: &str = "HAAT_REQUIRE_MOUNT";

/// A file system of so many bytes and no more.
struct SmallDisk {
    at: TempDir,
}

impl SmallDisk {
    /// Mounts one; `None` where this process may not mount.
    fn mount(megabytes: u32) -> Option<Self> {
        let at = TempDir::new().expect("a temporary directory");
        let options = format!("size={megabytes}m,mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "haat-test"]).arg(at.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { at }),
            refused => {
                assert!(
                    std::env::var_os(REQUIRED).is_none(),
                    "{REQUIRED} is set, and nothing can be mounted: {refused:?}"
                );
                println!(
                    "LEFT OUT: nothing can be mounted here, so no file system was filled; the tests with a quota did run"
                );
                None
            }
        }
    }

    /// A directory on it.
    fn directory(&self) -> TempDir {
        TempDir::new_in(self.at.path()).expect("a directory")
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.at.path().join("ballast")
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut ballast = std::fs::File::create(self.ballast()).expect("a file");
        for size in [1 << 16, 1 << 12, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Gives it back.
    fn make_room(&self) {
        std::fs::remove_file(self.ballast()).expect("it was there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whatever a failed test has left running on it keeps no mount point.
        let _ = Command::new("umount").arg("--lazy").arg(self.at.path()).status();
    }
}

/// Writes until no room is left for it. A store may have some room that it once took and uses again.
async fn write_until_refused(server: &Haat) {
    let admin = token(&Bearer::Admin("root".into()));
    until("a write to be refused", async || {
        let vendor = server.client.post("/v1/vendors", &serde_json::json!({"name": "Late".repeat(40)}));
        // One that was let in waits as long as a request may: no reason to wait with it.
        let sent = tokio::time::timeout(Duration::from_secs(1), vendor.bearer(&admin).send());
        let answer = sent.await.ok()?;
        assert!([201, 503].contains(&answer.status), "{}", answer.text);
        (answer.status == 503).then(|| assert!(answer.header("retry-after").is_some()))
    })
    .await;
    server.misses_its_store(BOUND).await;
    server.client.get("/healthz").send().await.expect(200);
}

/// After a crash, too, all that was said is true.
async fn all_is_well(store: &TestStore, rush: Rush, server: Haat) {
    let told = rush.end().await;
    server.kill_whatever_it_said().await;
    let server = Haat::start(store, free_address()).await;
    told.still_holds(&server).await;
    let report = audit(&store.config(), store.data_dir()).await.expect("the store can be looked at");
    assert!(report.is_clean(), "{report}");
}

/// The embedded store and the payment provider's charge log share a file system that is filled twice in a rush.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_file_system_costs_nothing_but_time() {
    let Some(disk) = SmallDisk::mount(48) else { return };
    let store = TestStore::in_directory(disk.directory());
    let mut server = Haat::start(&store, free_address()).await;
    let mut rush = Rush::of(300, server.address, &server.client).await;
    for _ in 0..2 {
        rush.goes_on(15).await;
        disk.fill();
        write_until_refused(&server).await;
        disk.make_room();
        server.ready().await;
    }
    rush.goes_on(5).await;
    all_is_well(&store, rush, server).await;
}

/// The file system under Postgres is full: first its tables find no room and it refuses, then its log finds none and it goes down. With room, and
/// started again, all goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_file_system_under_postgres_costs_nothing_but_time() {
    let Some(disk) = SmallDisk::mount(160) else { return };
    let cluster = Cluster::start_in(disk.directory());
    let store = TestStore::on_server(cluster.url()).await;
    let mut server = Haat::start(&store, free_address()).await;
    let mut rush = Rush::of(300, server.address, &server.client).await;

    rush.goes_on(15).await;
    disk.fill();
    write_until_refused(&server).await;
    assert!(cluster.said("No space left on device") && !cluster.said("PANIC"), "Postgres refuses, and goes on");
    disk.make_room();
    server.ready().await;

    rush.goes_on(15).await;
    disk.fill();
    cluster.use_up_its_log().await;
    write_until_refused(&server).await;
    disk.make_room();
    cluster.start_again().await;
    server.ready().await;
    all_is_well(&store, rush, server).await;
}
