//! Nobody but its owner may look at what a shop has on its disk, whatever the umask was and whatever an earlier version left behind.

use crate::process::{BOUND, Haat, command, free_address, haat, output, until};
use crate::support::{Kind, SECRET, TestStore, token};
use haat::http::auth::Bearer;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

/// The binary, begun with this umask.
fn haat_with_umask(umask: &str) -> Command {
    let mut shell = command("sh");
    shell.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_haat")]);
    shell
}

/// A directory and all that is in it.
fn all_in(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(all_in(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Fails when another than the owner may do anything with the directory or with what is in it; gives the names.
#[track_caller]
fn is_private(directory: &Path) -> Vec<String> {
    let found = all_in(directory);
    for path in &found {
        let mode = std::fs::metadata(path).expect("it is there").mode() & 0o7777;
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{}: {mode:04o}", path.display());
    }
    found.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
}

/// As an earlier version left them.
fn open_to_others(directory: &Path, file: u32, dir: u32) {
    for path in all_in(directory) {
        let mode = if path.is_dir() { dir } else { file };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("it is ours");
    }
}

fn tool(umask: &str, arguments: &[&str], data_dir: &Path) -> Command {
    let mut command = haat_with_umask(umask);
    command.args(arguments).arg("--data-dir").arg(data_dir);
    command
}

async fn works(command: Command) {
    let output = output(command).await;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{}: {said}", output.status);
}

/// Makes and buys something, so that every file is written.
async fn buy(server: &Haat) {
    let (_, sku) = server.client.shop(&token(&Bearer::Admin("root".into())), "10.00", 5).await;
    let buyer = server.client.buyer(&sku, 1).await;
    server.client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
}

async fn a_server_and_its_tools_keep_all_to_themselves(kind: Kind, umask: &str) {
    let mut store = TestStore::new(kind).await;
    let place = TempDir::new().expect("a temporary directory");
    let data_dir = place.path().join("above/data");
    let address = free_address();
    for (file, dir) in [(0o644, 0o755), (0o666, 0o777)] {
        let mut server = Haat::begin_as(haat_with_umask(umask), &store, &data_dir, address);
        server.ready().await;
        buy(&server).await;
        let names = is_private(&data_dir);
        let expected: &[&str] = match kind {
            Kind::Sqlite => &["haat.db", "haat.db-wal", "haat.db-shm", "haat.lock", "sandbox-ledger.jsonl"],
            Kind::Postgres => &["sandbox-ledger.jsonl"],
        };
        assert!(expected.iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
        // Beside a server that was killed lie the files that it had open.
        server.kill().await;
        open_to_others(&data_dir, file, dir);
    }
    let mut server = Haat::begin_as(haat_with_umask(umask), &store, &data_dir, address);
    server.ready().await;
    for path in all_in(&data_dir) {
        let said = format!("\"path\":\"{}\"", path.display());
        let is_told = |line: &str| line.contains("others could look at this") && line.contains(&said);
        let told = async || server.log().lines().any(is_told).then_some(());
        until(format_args!("{} to be told of", path.display()), told).await;
    }
    is_private(&data_dir);
    server.signal("TERM").await;
    assert_eq!(server.ended().await.code(), Some(0));
    is_private(&data_dir);
    store.keeps_logs = false;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_the_embedded_store_keeps_all_to_itself() {
    a_server_and_its_tools_keep_all_to_themselves(Kind::Sqlite, "000").await;
    a_server_and_its_tools_keep_all_to_themselves(Kind::Sqlite, "077").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_postgres_keeps_all_to_itself() {
    a_server_and_its_tools_keep_all_to_themselves(Kind::Postgres, "000").await;
}

/// Tools that write leave nothing open behind them, neither where they made it nor where they found it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_keep_all_to_themselves() {
    let store = TestStore::new(Kind::Sqlite).await;
    let mut server = Haat::begin_as(haat_with_umask("000"), &store, store.data_dir(), free_address());
    server.ready().await;
    buy(&server).await;
    server.signal("TERM").await;
    server.ended().await;
    let place = TempDir::new().expect("a temporary directory");
    let (archive, demo) = (place.path().join("archive"), place.path().join("demo"));
    let path = |path: &Path| path.to_string_lossy().into_owned();
    for arguments in [
        &["migrate"][..],
        &["archive", "--before", "0s", "--archive", &path(&archive)],
        &["rebuild", "--archive", &path(&archive)],
        // Once more, on an archive that others could look at.
        &["archive", "--before", "0s", "--archive", &path(&archive)],
    ] {
        open_to_others(store.data_dir(), 0o644, 0o755);
        if archive.exists() {
            open_to_others(&archive, 0o644, 0o755);
        }
        works(tool("000", arguments, store.data_dir())).await;
        // The sandbox's books are not opened by any of these.
        for book in ["sandbox-ledger.jsonl", "sandbox-mails.jsonl"] {
            std::fs::set_permissions(store.data_dir().join(book), PermissionsExt::from_mode(0o600))
                .expect("it is ours");
        }
        is_private(store.data_dir());
        if arguments[0] == "archive" {
            assert!(is_private(&archive).contains(&"haat-archive.db".to_owned()));
        }
    }
    works(tool("000", &["demo", "--sessions", "5", "--stock", "3"], &demo)).await;
    assert!(is_private(&demo).contains(&"jwt-secret".to_owned()));
}

/// What belongs to somebody else, or may have been laid by somebody else, is refused with a word that says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_another_users_is_refused() {
    let refused = async |data_dir: &Path, words: &[&str]| {
        let mut command = haat();
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
        command.env("HAAT_JWT_SECRET", String::from_utf8_lossy(SECRET).as_ref());
        let output = tokio::time::timeout(BOUND, command.output()).await.expect("it ends").expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with("haat: ") && words.iter().all(|word| last.contains(word)), "{words:?}: {said}");
    };
    // A link that others may have laid, in place of each file.
    for name in ["haat.db", "haat.db-wal", "haat.lock", "sandbox-ledger.jsonl", "jwt-secret"] {
        let place = TempDir::new().expect("a temporary directory");
        let (victim, data_dir) = (place.path().join("victim"), place.path().join("data"));
        std::fs::write(&victim, "").expect("a file");
        std::fs::create_dir(&data_dir).expect("a directory");
        std::fs::set_permissions(&data_dir, PermissionsExt::from_mode(0o777)).expect("it is ours");
        symlink(&victim, data_dir.join(name)).expect("a link");
        refused(&data_dir, &[name, "symbolic link"]).await;
        assert_eq!(std::fs::read(&victim).expect("a file"), b"", "{name}");
    }
    let shared = TempDir::new().expect("a temporary directory");
    std::fs::set_permissions(shared.path(), PermissionsExt::from_mode(0o1777)).expect("it is ours");
    refused(shared.path(), &["shared by all users"]).await;

    let theirs = TempDir::new().expect("a temporary directory");
    if chown(theirs.path(), Some(12_345), None).is_err() {
        println!("LEFT OUT: only root can give a directory away; the unit test of `files` did run");
        return;
    }
    refused(theirs.path(), &["belongs to user 12345", &theirs.path().to_string_lossy()]).await;
    for name in ["haat.db", "haat.lock", "sandbox-ledger.jsonl", "jwt-secret"] {
        let place = TempDir::new().expect("a temporary directory");
        let file = place.path().join(name);
        std::fs::write(&file, "").expect("a file");
        chown(&file, Some(12_345), None).expect("as before");
        refused(place.path(), &["belongs to user 12345", name]).await;
    }
}
