//! The binaries as child processes, which end with the test that started them.

use crate::support::client::Client;
use crate::support::{Kind, SECRET, TestStore};
use serde_json::Value;
use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

pub use crate::support::free_address;

/// The longest wait for anything that must come.
pub const BOUND: Duration = Duration::from_secs(90);
/// Between two looks.
pub const LOOK: Duration = Duration::from_millis(5);

/// Looks until there is something; fails with what was waited for when that takes too long.
pub async fn until<T>(what: impl Display, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(BOUND, what, look).await
}

/// [`until`] with another bound.
pub async fn until_within<T>(bound: Duration, what: impl Display, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let found = tokio::time::timeout(bound, looking).await;
    found.unwrap_or_else(|_| panic!("waited {bound:?} for {what}"))
}

/// A command of one of our binaries, which inherits no setting of ours and is killed when it is dropped.
pub fn command(binary: &str) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name == "DATABASE_URL" || name.to_string_lossy().starts_with("HAAT_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// `haat` with these arguments.
pub fn haat() -> Command {
    command(env!("CARGO_BIN_EXE_haat"))
}

/// Runs a command to its end, which must come.
pub async fn output(mut command: Command) -> Output {
    let output = tokio::time::timeout(BOUND, command.output()).await;
    output.unwrap_or_else(|_| panic!("{command:?} does not end")).expect("the binary runs")
}

/// A running `haat`.
pub struct Haat {
    pub address: SocketAddr,
    pub client: Client,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Haat {
    /// Starts a server on this store and this address; it need not be ready yet.
    pub fn begin(store: &TestStore, data_dir: &Path, address: SocketAddr) -> Self {
        Self::begin_as(haat(), store, data_dir, address)
    }

    /// The same by a command that takes the server's arguments.
    pub fn begin_as(mut command: Command, store: &TestStore, data_dir: &Path, address: SocketAddr) -> Self {
        command.env("HAAT_SANDBOX", "on");
        Self::begin_with(command, store, data_dir, address)
    }

    /// The same, with the sandbox where it is by itself unless the command says otherwise.
    pub fn begin_with(mut command: Command, store: &TestStore, data_dir: &Path, address: SocketAddr) -> Self {
        command.args(["--log-format", "json", "--listen", &address.to_string(), "--data-dir"]).arg(data_dir);
        command.env("HAAT_JWT_SECRET", String::from_utf8_lossy(SECRET).as_ref());
        if let Some(url) = store.url() {
            command.env("DATABASE_URL", url);
        }
        let mut child = command.stdout(Stdio::null()).spawn().expect("the binary runs");
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let kept = log.clone();
        let mut file = store.keeps_logs.then(|| {
            let path = store.data_dir().join("haat.log");
            std::fs::File::options().create(true).append(true).open(path).expect("a log")
        });
        let reader = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(file) = &mut file {
                    writeln!(file, "{line}").expect("it can be written");
                }
                kept.lock().expect("no panic").push(line);
            }
        });
        Self { address, client: Client::new(address), child, log, reader }
    }

    /// Starts a server on this store and this address, and waits until it takes requests.
    pub async fn start(store: &TestStore, address: SocketAddr) -> Self {
        let mut server = Self::begin(store, store.data_dir(), address);
        server.ready().await;
        server
    }

    /// Whether it takes requests: `ready`, or the code it refuses with.
    pub async fn readiness(&self) -> String {
        let answer = self.client.get("/readyz").send().await;
        if answer.status == 200 { "ready".to_owned() } else { answer.code().to_owned() }
    }

    /// Waits until it says that its store is unavailable.
    pub async fn misses_its_store(&self, bound: Duration) {
        let says_so = async || (self.readiness().await == "store_unavailable").then_some(());
        until_within(bound, "the server to say that it misses its store", says_so).await;
    }

    /// Waits until it takes requests.
    pub async fn ready(&mut self) {
        let client = self.client;
        until("a server to be ready", async || {
            if let Some(status) = self.child.try_wait().expect("a child") {
                // The pipe ends with the process: what it said last is on its way.
                let _ = (&mut self.reader).await;
                panic!("the server ended instead, {status}: {}", self.log());
            }
            let answer = client.get("/readyz").try_send().await;
            answer.is_ok_and(|answer| answer.status == 200).then_some(())
        })
        .await;
    }

    /// As by `kill -9`: returns when it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it runs and can be killed");
        self.said_no_error();
    }

    /// [`Haat::kill`] for one that had reason to say errors.
    pub async fn kill_whatever_it_said(mut self) {
        self.child.kill().await.expect("it runs and can be killed");
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// As by `kill -TERM`, `-STOP` and so on.
    pub async fn signal(&self, signal: &str) {
        let id = self.id();
        let mut kill = Command::new("sh");
        assert!(kill.args(["-c", &format!("kill -{signal} {id}")]).status().await.expect("a shell").success());
    }

    /// Waits for its end, which must come.
    pub async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(BOUND, self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("the server does not end: {}", self.log())).expect("a child");
        let _ = (&mut self.reader).await;
        status
    }

    /// Whether it is still there.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// What it said on stderr.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").join("\n")
    }

    /// A field of the log line with this message, once it is there: what was said before an answer may be read after it.
    pub async fn logged(&self, message: &str, field: &str) -> Value {
        until(format_args!("'{message}' in the log"), async || {
            let lines = self.log.lock().expect("no panic");
            let mut lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|line| line["message"] == message).map(|line| line[field].clone())
        })
        .await
    }

    /// Fails when it logged an error; a panic is one.
    pub fn said_no_error(&self) {
        let log = self.log.lock().expect("no panic");
        let errors: Vec<&String> = log.iter().filter(|line| line.contains("\"level\":\"ERROR\"")).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}

/// Lets the next server of this store start at once, as the last one is known to be dead: on Postgres its lease would run on for seconds.
pub async fn end_lease(store: &TestStore) {
    use sqlx::{Connection, Executor};
    if store.kind == Kind::Postgres {
        let mut database =
            sqlx::PgConnection::connect(store.url().expect("a URL")).await.expect("the database answers");
        database.execute("UPDATE partition SET owner_until = clock_timestamp()").await.expect("the table is there");
    }
}
