//! The golden stores of earlier commits.

use crate::dump;
use crate::support::{Kind, TestStore};
use crate::told::Told;
use haat::persistence::StoreConfig;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The commits whose stores there are.
pub const COMMITS: [&str; 3] = ["9640d63", "da7d1c1", "8f3762b"];

/// Where the files of a store are.
pub struct Files(PathBuf);

impl Files {
    pub fn of(root: &Path, kind: Kind) -> Self {
        Self(root.join(if kind == Kind::Sqlite { "sqlite" } else { "postgres" }))
    }

    /// Those of a commit.
    pub fn of_commit(commit: &str, kind: Kind) -> Self {
        Self::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/stores").join(commit), kind)
    }

    fn read(&self, name: &str) -> String {
        let path = self.0.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).expect("it can be written");
    }

    /// Writes down a store on which a server may run, beside its archive and its charge log.
    pub async fn take_down(&self, store: &TestStore) {
        std::fs::create_dir_all(&self.0).expect("a directory");
        let sql = match store.kind {
            Kind::Sqlite => dump::sqlite(&store.data_dir().join("haat.db")).await,
            Kind::Postgres => dump::postgres(store.url().expect("a URL")),
        };
        self.write("store.sql", &sql);
        self.write("archive.sql", &dump::sqlite(&archive_dir(store).join("haat-archive.db")).await);
        let charge_log = std::fs::read_to_string(store.data_dir().join("sandbox-ledger.jsonl")).expect("a ledger");
        self.write("ledger.jsonl", &charge_log);
    }

    pub fn tell(&self, told: &Told) {
        self.write("told.json", &told.to_lines());
    }

    pub fn told(&self) -> Told {
        serde_json::from_str(&self.read("told.json")).expect("it was told")
    }

    /// The store as it was taken down.
    pub async fn store(&self, kind: Kind) -> TestStore {
        let store = TestStore::new(kind).await;
        match kind {
            Kind::Sqlite => dump::load_sqlite(&store.data_dir().join("haat.db"), &self.read("store.sql")).await,
            Kind::Postgres => {
                dump::load_postgres(store.url().expect("a URL"), &self.read("store.sql")).await;
                // Its server is dead, whatever a clock says that was set back.
                dump::execute(&store, "UPDATE partition SET owner_until = clock_timestamp()").await;
            }
        }
        std::fs::create_dir(archive_dir(&store)).expect("a directory");
        dump::load_sqlite(&archive_dir(&store).join("haat-archive.db"), &self.read("archive.sql")).await;
        std::fs::write(store.data_dir().join("sandbox-ledger.jsonl"), self.read("ledger.jsonl")).expect("a ledger");
        store
    }
}

fn archive_dir(store: &TestStore) -> PathBuf {
    store.data_dir().join("archive")
}

/// A store for tools that are patient: many tests may be at its server.
pub fn patient(store: &TestStore) -> StoreConfig {
    let mut config = store.config();
    config.options.connect_timeout = Duration::from_secs(30);
    config
}

/// The same with its archive.
pub fn with_archive(store: &TestStore) -> StoreConfig {
    StoreConfig { archive: Some(archive_dir(store)), ..patient(store) }
}
