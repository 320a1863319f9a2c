//! A Postgres server of one test's own, which can be killed.

use crate::process::{free_address, until};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub struct Cluster {
    directory: TempDir,
    /// Elsewhere: what a server says of a full file system must find room.
    log: TempDir,
    port: u16,
    kept: bool,
}

impl Cluster {
    /// Makes one from the machine's binaries and starts it.
    pub fn start() -> Self {
        Self::start_in(TempDir::new().expect("a temporary directory"))
    }

    /// The same in this directory.
    pub fn start_in(directory: TempDir) -> Self {
        let log = TempDir::new().expect("a temporary directory");
        let cluster = Self { directory, log, port: free_address().port(), kept: false };
        // The server may run as another user.
        std::fs::write(cluster.log(), "").expect("a file");
        for (path, mode) in [(cluster.log.path(), 0o755), (&cluster.log(), 0o666)] {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("they are ours");
        }
        assert!(cluster.run(&["start"]), "Postgres does not start");
        cluster
    }

    /// Runs `scripts/postgres` on it; whether that succeeded.
    fn run(&self, arguments: &[&str]) -> bool {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres");
        let mut command = Command::new(script);
        command.args(arguments).env("HAAT_POSTGRES_DIR", self.directory.path());
        command.env("HAAT_POSTGRES_PORT", self.port.to_string());
        command.env("HAAT_POSTGRES_LOG", self.log());
        // What the server inherits it would keep open.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    pub fn url(&self) -> String {
        let url = std::fs::read_to_string(self.directory.path().join("url")).expect("it runs");
        url.trim().to_owned()
    }

    fn log(&self) -> std::path::PathBuf {
        self.log.path().join("log")
    }

    fn pid_file(&self) -> std::path::PathBuf {
        self.directory.path().join("data/postmaster.pid")
    }

    /// As by `kill -9`: returns when it is gone.
    pub async fn kill(&self) {
        let pid = std::fs::read_to_string(self.pid_file()).expect("it runs");
        let pid = pid.lines().next().expect("a number").to_owned();
        assert!(Command::new("sh").args(["-c", &format!("kill -9 {pid}")]).status().expect("a shell").success());
        until("Postgres to be gone", async || (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(()))
            .await;
    }

    /// Its processes, the first of them first.
    fn processes(&self) -> Vec<u32> {
        let Ok(first) = std::fs::read_to_string(self.pid_file()) else { return Vec::new() };
        let first: u32 = first.lines().next().and_then(|line| line.parse().ok()).expect("a number");
        let numbers = std::fs::read_dir("/proc").expect("there is one").filter_map(|entry| {
            let number: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
            // After the name in parentheses: the state, and the parent.
            let parent: u32 = stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?;
            (parent == first).then_some(number)
        });
        std::iter::once(first).chain(numbers).collect()
    }

    fn signal(&self, signal: &str) {
        let processes: Vec<String> = self.processes().iter().map(u32::to_string).collect();
        // One that ended meanwhile is none.
        let _ = Command::new("kill").arg(format!("-{signal}")).args(processes).stderr(Stdio::null()).status();
    }

    /// All its processes stand still: no connection is closed, and nothing is answered.
    pub fn stand_still(&self) {
        // The first starts no more of them by then.
        self.signal("STOP");
        self.signal("STOP");
    }

    /// They go on as if nothing had been.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    /// Ends all connections, as an administrator may.
    pub async fn cut_connections(&self) {
        use sqlx::{Connection, Executor};
        let mut admin = sqlx::PgConnection::connect(&self.url()).await.expect("the database answers");
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'haat'";
        admin.execute(cut).await.expect("it may");
    }

    /// Has it begin new segments of its log until it goes down for want of room.
    pub async fn use_up_its_log(&self) {
        use sqlx::{Connection, Executor};
        until("Postgres to have no room for its log", async || {
            if let Ok(mut admin) = sqlx::PgConnection::connect(&self.url()).await {
                // A segment in which nothing stands is not left.
                let _ = admin.execute("SELECT pg_logical_emit_message(false, 'test', 'x')").await;
                let _ = admin.execute("SELECT pg_switch_wal()").await;
            }
            self.said("PANIC").then_some(())
        })
        .await;
    }

    /// Whether this stands in its log.
    pub fn said(&self, words: &str) -> bool {
        std::fs::read_to_string(self.log()).is_ok_and(|text| text.contains(words))
    }

    /// Stops it and keeps its files, for someone to look at. Where they are.
    pub fn keep(mut self) -> std::path::PathBuf {
        self.go_on();
        self.run(&["stop"]);
        std::fs::copy(self.log(), self.directory.path().join("log")).expect("there is room");
        self.directory.disable_cleanup(true);
        self.kept = true;
        self.directory.path().to_owned()
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// As by a crash of the machine: nothing more is written.
    pub fn stop_at_once(&self) {
        assert!(self.run(&["stop", "immediate"]), "Postgres does not stop");
    }

    /// Starts it again, on its old port. Its former processes may take a moment to notice that they are orphans.
    pub async fn start_again(&self) {
        until("Postgres to be back", async || self.run(&["start"]).then_some(())).await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // One that stands still could not be told to end.
        self.go_on();
        self.run(&["remove"]);
    }
}
