//! A server that ends before one of its writes, to the files of the embedded store or to the database.

use crate::process::{Haat, free_address, haat};
use crate::support::{Kind, TestStore};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The library that ends a server before one of its writes, compiled once.
pub fn cut() -> PathBuf {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cut-{}.so", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/cut.c");
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Werror", "-shared", "-fPIC", "-O1", "-o"]).arg(&made).arg(source).arg("-ldl");
    let output = cc.output().expect("a C compiler, which building needs too");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    made
}

/// A server under observation, which ends before its write number `at`; never with 0.
pub struct Watched {
    pub server: Haat,
    count: PathBuf,
    at: u64,
    _directory: TempDir,
}

impl Watched {
    pub async fn begin(library: &Path, store: &TestStore, at: u64) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let count = directory.path().join("count");
        std::fs::write(&count, [0; 8]).expect("a file");
        let mut command = haat();
        command.env("LD_PRELOAD", library).env("CUT_AT", at.to_string()).env("CUT_COUNT", &count);
        match store.kind {
            Kind::Sqlite => command.env("CUT_DIR", std::fs::canonicalize(store.data_dir()).expect("a directory")),
            Kind::Postgres => command.env("CUT_PORT", store.address().await.port().to_string()),
        };
        let server = Haat::begin_as(command, store, store.data_dir(), free_address());
        Self { server, count, at, _directory: directory }
    }

    pub fn writes(&self) -> u64 {
        u64::from_ne_bytes(std::fs::read(&self.count).expect("a count").try_into().expect("eight bytes"))
    }
    /// From now on it has so many writes left. It must have begun with a number that it has not come near.
    pub fn has_left(&self, writes: u64) {
        assert!(self.writes() < self.at / 2, "it is to end already");
        let count = std::fs::File::options().write(true).open(&self.count).expect("the count");
        count.write_all_at(&(self.at - writes).to_ne_bytes(), 0).expect("it is written");
    }
}
