//! What tests of a whole server share: a store of their own, a server on it, and a client.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub mod client;
pub mod journal;
pub mod redirect;
pub mod stripe;
pub mod tls;

use client::Client;
use haat::app::{App, Hooks};
use haat::config::{AccountSettings, Config, MailSettings};
use haat::http::auth::{Auth, Bearer};
use haat::persistence::log_writer::decode;
use haat::persistence::{self, Mode, Options, Place, StoreConfig};
use haat::ports::keys::SigningKeys;
use sqlx::{Connection, Executor};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The secret of all test servers.
pub const SECRET: &[u8] = b"a secret that only tests use, 32+ bytes";

/// The two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// A store of one test's own, gone when this is.
pub struct TestStore {
    pub kind: Kind,
    pub directory: TempDir,
    /// Whether servers on it leave their log in its directory.
    pub keeps_logs: bool,
    url: Option<(String, String)>,
    /// The database's server.
    server: String,
}

fn server_url() -> String {
    std::env::var("DATABASE_URL").expect(
        "tests on Postgres need DATABASE_URL: run scripts/test, or set it to a server on which databases can be made",
    )
}

impl TestStore {
    pub async fn new(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => Self::in_directory(TempDir::new().expect("a temporary directory")),
            Kind::Postgres => Self::on_server(server_url()).await,
        }
    }

    /// The embedded store in this directory.
    pub fn in_directory(directory: TempDir) -> Self {
        Self { kind: Kind::Sqlite, directory, keeps_logs: false, url: None, server: String::new() }
    }

    /// A database on this server.
    pub async fn on_server(server: String) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let name = format!("haat_test_{}", fresh_uuid().simple());
        let mut admin = sqlx::PgConnection::connect(&server).await.expect("the database's server answers");
        admin.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("a new database");
        let (base, options) = match server.split_once('?') {
            Some((base, options)) => (base.to_owned(), format!("?{options}")),
            None => (server.clone(), String::new()),
        };
        let at = base.rfind('/').filter(|at| *at > base.find("://").map_or(0, |scheme| scheme + 2));
        let base = at.map_or(base.as_str(), |at| &base[..at]);
        let url = Some((format!("{base}/{name}{options}"), name));
        Self { kind: Kind::Postgres, directory, keeps_logs: false, url, server }
    }

    /// Drops it without blocking what runs in the same task: a server of databases may take long for that.
    pub async fn remove(self) {
        tokio::task::spawn_blocking(move || drop(self)).await.expect("no panic");
    }

    /// Where the database listens.
    pub async fn address(&self) -> std::net::SocketAddr {
        let (url, _) = self.url.as_ref().expect("a database");
        let authority = url.rsplit_once('@').expect("a user").1.split('/').next().expect("a host");
        tokio::net::lookup_host(authority).await.expect("a host").next().expect("an address")
    }

    /// The same database by way of another address.
    pub fn by_way_of(mut self, address: std::net::SocketAddr) -> Self {
        let (url, _) = self.url.as_mut().expect("a database");
        let (before, rest) = url.rsplit_once('@').expect("a user");
        let (_, database) = rest.split_once('/').expect("a database's name");
        *url = format!("{before}@{address}/{database}");
        self
    }

    /// Leaves everything where it is, for someone to look at. Where it is.
    pub fn keep(mut self) -> std::path::PathBuf {
        self.url = None;
        self.directory.disable_cleanup(true);
        self.directory.path().to_owned()
    }

    pub fn data_dir(&self) -> &Path {
        self.directory.path()
    }

    pub fn url(&self) -> Option<&str> {
        self.url.as_ref().map(|(url, _)| url.as_str())
    }

    /// Does with the tables what no server would; how many rows that changed.
    pub async fn execute(&self, sql: &str) -> u64 {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        match self.url() {
            Some(url) => {
                let mut connection = sqlx::PgConnection::connect(url).await.expect("a connection");
                connection.execute(sql).await.expect("a statement").rows_affected()
            }
            None => {
                let file = format!("sqlite://{}", self.data_dir().join("haat.db").display());
                let mut connection = sqlx::SqliteConnection::connect(&file).await.expect("the file");
                connection.execute(sql).await.expect("a statement").rows_affected()
            }
        }
    }

    pub fn config(&self) -> StoreConfig {
        let place = match &self.url {
            None => Place::Sqlite(self.data_dir().to_path_buf()),
            Some((url, _)) => Place::Postgres(url.clone()),
        };
        // What a search takes depends on the machine.
        let options = Options { search_timeout: Duration::from_secs(10), ..Options::default() };
        StoreConfig { place, archive: None, options }
    }

    /// A configuration on this store, listening on any port.
    pub fn server(&self) -> Config {
        Config {
            listen: "127.0.0.1:0".parse().expect("an address"),
            operator_listen: None,
            data_dir: self.data_dir().to_path_buf(),
            store: self.config(),
            keys: SigningKeys::of(SECRET),
            keys_file: None,
            actor_threads: 1,
            node: Default::default(),
            http: Default::default(),
            server: Default::default(),
            lease: Duration::from_secs(2),
            sandbox: true,
            stripe: None,
            redirect: None,
            courier: None,
            acceptance: Default::default(),
            mail: MailSettings { server: None, per_second: 1_000 },
            // A hash that costs what it should takes a tenth of a second in a build for tests.
            accounts: AccountSettings {
                cost: "m=64,t=1,p=1".parse().expect("a cost"),
                grace: Duration::from_secs(60),
                public_url: "https://shop.example".to_owned(),
                // An order is erased as soon as its owner is.
                erase_after: Duration::ZERO,
            },
            trace: None,
        }
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        let Some((_, name)) = self.url.take() else {
            return;
        };
        let server = std::mem::take(&mut self.server);
        // Whatever this cannot drop goes with the cluster.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let drop = async {
                let mut admin = sqlx::PgConnection::connect(&server).await?;
                admin.execute(sqlx::AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).await
            };
            // A server that a failed test left in a bad state may not answer at all.
            let dropped = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), drop).await })?;
            dropped.map_err(std::io::Error::other)
        })
        .join();
    }
}

/// A running server.
pub struct Server {
    pub client: Client,
    /// For tests that look behind HTTP.
    pub shop: haat::actors::Shop,
    /// Where operators find it, when that is another port.
    pub operator: Option<Client>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), haat::app::AppError>>,
}

impl Server {
    pub async fn start(store: &TestStore) -> Self {
        Self::start_with(store.server(), Hooks::default()).await
    }

    pub async fn start_with(config: Config, hooks: Hooks) -> Self {
        let app = App::build(config, hooks).await.expect("the server starts");
        let client = Client::new(app.address());
        let (shop, operator) = (app.shop().clone(), app.operator_address().map(Client::new));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(app.run_until(async move {
            let _ = stopped.await;
        }));
        Self { client, shop, operator, stop, task }
    }

    /// Stops as by SIGTERM.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.expect("the server does not panic").expect("the server drains");
    }
}

/// All records of the store, each as it is written.
pub async fn records(store: &TestStore) -> Vec<String> {
    let opened = persistence::open(&store.config(), Mode::Tool).await.expect("the store");
    let mut records = Vec::new();
    for partition in opened.journal.partitions().await.expect("partitions") {
        for frame in opened.journal.frames(partition.id, 0, usize::MAX / 2).await.expect("frames") {
            let lines = decode(&frame).expect("lines");
            records.extend(String::from_utf8_lossy(&lines).lines().map(ToOwned::to_owned));
        }
    }
    records
}

/// An id that nothing has.
pub fn fresh_uuid() -> uuid::Uuid {
    haat::ports::Clock::new_uuid(&haat::adapters::clock::SystemClock::default())
}

/// A port that is free, and that no socket gets by chance: so a server that was killed finds its port again.
pub fn free_address() -> SocketAddr {
    // Systems give ports of their own choice from 32768 or 49152 on.
    const PORTS: std::ops::Range<u32> = 20_000..32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..PORTS.len() {
        let number = std::process::id().wrapping_mul(61) + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + number % (PORTS.end - PORTS.start);
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free");
}

/// A token of this role.
pub fn token(bearer: &Bearer) -> String {
    let now = haat::ports::Clock::wall(&haat::adapters::clock::SystemClock::default());
    Auth::new(SECRET).mint(bearer, now, Duration::from_secs(3600)).expect("a token")
}

/// Runs async tests on both stores, each as two tests.
#[macro_export]
macro_rules! on_both_stores {
    ($($(#[$doc:meta])* async fn $name:ident($store:ident) $body:block)+) => {
        $(mod $name {
            #[allow(unused_imports, reason = "not each test needs everything")]
            use super::*;

            $(#[$doc])*
            async fn run($store: $crate::support::TestStore) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run($crate::support::TestStore::new($crate::support::Kind::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                run($crate::support::TestStore::new($crate::support::Kind::Postgres).await).await;
            }
        })+
    };
}
