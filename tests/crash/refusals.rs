//! A configuration that cannot work is refused before anything starts, in one line that says what to change.

use crate::process::{Haat, free_address, haat, output, until};
use crate::support::client::Client;
use crate::support::{Kind, SECRET, TestStore};
use std::path::Path;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;

/// What a start says before it is refused is no part of the refusal: of open files, and of a directory that a test has made for all to see.
fn is_log(line: &str) -> bool {
    [" INFO ", " WARN "].iter().any(|level| line.contains(level))
}

/// A server that lacks nothing, on this directory and any port.
fn server(data_dir: &Path) -> Command {
    let mut command = haat();
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
    command.env("HAAT_JWT_SECRET", String::from_utf8_lossy(SECRET).as_ref());
    command
}

/// Fails unless this is refused with a line that has all of `words`; gives everything that was said.
async fn refused(command: Command, words: &[&str]) -> String {
    let output = output(command).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code().is_some_and(|code| code == 1 || code == 2), "{}: {said}", output.status);
    let first = said.lines().find(|line| !is_log(line)).unwrap_or_default();
    assert!(words.iter().all(|word| first.contains(word)), "{words:?} are not in: {said}");
    assert!(!said.contains("panic"), "{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    said
}

/// The same, in one line and no more.
async fn refused_in_one_line(command: Command, words: &[&str]) -> String {
    let said = refused(command, words).await;
    assert_eq!(said.lines().filter(|line| !is_log(line)).count(), 1, "{said}");
    said
}

#[tokio::test]
async fn a_database_that_is_none_of_ours_is_refused_without_its_password() {
    let directory = TempDir::new().expect("a temporary directory");
    for url in ["mysql://root:hunter2@127.0.0.1/shop", "sqlite:///tmp/hunter2.db", "hunter2"] {
        let mut command = server(directory.path());
        command.env("DATABASE_URL", url);
        let said = refused_in_one_line(command, &["haat: DATABASE_URL", "postgres://"]).await;
        assert!(!said.contains("hunter2"), "{said}");
    }
    // One of ours, and not understood.
    for arguments in [&[][..], &["audit"], &["migrate"]] {
        let mut command = if arguments.is_empty() { server(directory.path()) } else { haat() };
        command.args(arguments).env("DATABASE_URL", "postgres://root:hunter2@127.0.0.1:port/shop");
        let words = ["haat: ", "DATABASE_URL: the database URL is not understood (postgres://user@host:port/database)"];
        let said = refused_in_one_line(command, &words).await;
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_refused() {
    let directory = TempDir::new().expect("a temporary directory");
    let mut command = server(directory.path());
    command.env("DATABASE_URL", format!("postgres://root:hunter2@{}/shop", free_address()));
    let said = refused_in_one_line(command, &["haat: ", "the store cannot be used"]).await;
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn postgres_needs_a_secret_of_the_operators_own() {
    let store = TestStore::new(Kind::Postgres).await;
    let mut command = server(store.data_dir());
    command.env("DATABASE_URL", store.url().expect("a URL")).env_remove("HAAT_JWT_SECRET");
    refused_in_one_line(command, &["haat: HAAT_JWT_SECRET", "is required with Postgres"]).await;
}

#[tokio::test]
async fn a_short_secret_is_refused() {
    let directory = TempDir::new().expect("a temporary directory");
    let mut command = server(directory.path());
    command.env("HAAT_JWT_SECRET", "hunter2");
    let said = refused_in_one_line(command, &["haat: HAAT_JWT_SECRET", "at least 32 characters"]).await;
    assert!(!said.contains("hunter2"), "{said}");

    std::fs::write(directory.path().join("jwt-secret"), "hunter2").expect("a file");
    let mut command = server(directory.path());
    command.env_remove("HAAT_JWT_SECRET");
    let said = refused_in_one_line(command, &["haat: HAAT_JWT_SECRET", "too short", "jwt-secret"]).await;
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let directory = TempDir::new().expect("a temporary directory");
    for option in ["--listen", "--operator-listen"] {
        let mut command = haat();
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(directory.path());
        command.env(if option == "--listen" { "HAAT_LISTEN" } else { "HAAT_OPERATOR_LISTEN" }, &address);
        if option == "--listen" {
            command = haat();
            command.args(["--listen", &address, "--data-dir"]).arg(directory.path());
        }
        refused_in_one_line(command, &["haat: cannot listen on", &address]).await;
    }
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_used_is_refused() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "no directory").expect("a file");
    for place in [file.clone(), file.join("below")] {
        let path = place.to_string_lossy().into_owned();
        refused_in_one_line(server(&place), &["haat: ", &path]).await;
    }
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused() {
    let directory = TempDir::new().expect("a temporary directory");
    std::fs::write(directory.path().join("haat.db"), "this is no database at all\n".repeat(400)).expect("a file");
    refused_in_one_line(server(directory.path()), &["haat: the store cannot be used"]).await;
    let directory = TempDir::new().expect("a temporary directory");
    std::fs::write(directory.path().join("sandbox-ledger.jsonl"), "{}\n").expect("a file");
    refused_in_one_line(server(directory.path()), &["haat: the sandbox's ledger", "damaged at line 1"]).await;
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused() {
    let directory = TempDir::new().expect("a temporary directory");
    for (name, value, words) in [
        ("HAAT_HOLD_SECONDS", "0", &["HAAT_HOLD_SECONDS", "at least 1"][..]),
        ("HAAT_HOLD_SECONDS", "30", &["HAAT_HOLD_SECONDS", "HAAT_PAYMENT_SECONDS"]),
        ("HAAT_ACTOR_THREADS", "0", &["HAAT_ACTOR_THREADS", "at least 1"]),
        ("HAAT_LOG", "info,haat=loud", &["HAAT_LOG"]),
    ] {
        let mut command = server(directory.path());
        command.env(name, value);
        refused_in_one_line(command, words).await;
    }
    for (arguments, word) in [
        (["--lisen", "127.0.0.1:0"], "--lisen"),
        (["--currency", "taka"], "taka"),
        (["--currency", "XAU"], "XAU"),
        (["serf", ""], "serf"),
    ] {
        let mut command = haat();
        command.args(arguments).current_dir(directory.path());
        refused(command, &["error: ", word]).await;
    }
}

/// An empty variable is one that is not set: so compose files and unit files leave things out.
#[tokio::test]
async fn an_empty_database_url_means_the_embedded_store() {
    let directory = TempDir::new().expect("a temporary directory");
    let address = free_address();
    let mut command = haat();
    command.args(["--listen", &address.to_string(), "--data-dir"]).arg(directory.path());
    command.env("DATABASE_URL", "").env("HAAT_JWT_SECRET", "").stderr(std::process::Stdio::null());
    let mut child = command.spawn().expect("the binary runs");
    until("the server to be ready", async || {
        assert_eq!(child.try_wait().expect("a child"), None, "the server ended");
        let ready = Client::new(address).get("/readyz").try_send().await;
        ready.is_ok_and(|answer| answer.status == 200).then_some(())
    })
    .await;
}

/// Only a server makes a store: a directory, or a database, whose name was mistyped stays as it was. But for one: `migrate`
/// gives an empty database its schema, as a deployment does before it serves.
#[tokio::test]
async fn no_tool_makes_a_store() {
    let place = TempDir::new().expect("a temporary directory");
    let (nowhere, empty) = (place.path().join("typo"), place.path().join("empty"));
    std::fs::create_dir(&empty).expect("a directory");
    let database = TestStore::new(Kind::Postgres).await;
    let archive = place.path().join("archive").to_string_lossy().into_owned();
    for arguments in [
        &["migrate"][..],
        &["rebuild"],
        &["audit"],
        &["journal"],
        &["archive", "--before", "1d", "--archive", &archive],
        &["replay", "--entity", "vendor_01h2xcejqtf2nbrexx3vqjhp41"],
    ] {
        for directory in [&nowhere, &empty] {
            let mut command = haat();
            command.args(arguments).arg("--data-dir").arg(directory);
            let path = directory.to_string_lossy().into_owned();
            refused_in_one_line(command, &["haat: ", "there is no store", &path, "`haat serve` makes one"]).await;
            assert!(!nowhere.exists(), "{arguments:?} made a directory");
            assert_eq!(std::fs::read_dir(&empty).expect("a directory").count(), 0, "{arguments:?} made a file");
        }
        if arguments == ["migrate"] {
            continue;
        }
        let mut command = haat();
        command.args(arguments).arg("--data-dir").arg(&empty).env("DATABASE_URL", database.url().expect("a URL"));
        refused_in_one_line(
            command,
            &["haat: ", "there is no store in the database 'haat_test_", "`haat serve` makes one"],
        )
        .await;
        assert!(!place.path().join("archive").exists(), "{arguments:?} made an archive");
    }
    let mut command = haat();
    command.args(["migrate", "--data-dir"]).arg(&empty).env("DATABASE_URL", database.url().expect("a URL"));
    assert!(command.output().await.expect("the binary runs").status.success());
    haat::persistence::open(&database.config(), haat::persistence::Mode::Tool).await.expect("there is a store now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_yet_to_come_is_not_archived() {
    let store = TestStore::new(Kind::Sqlite).await;
    let mut server = Haat::start(&store, free_address()).await;
    server.client.post("/v1/carts", &serde_json::json!({})).send().await.expect(201);
    server.signal("TERM").await;
    server.ended().await;
    let archive = store.data_dir().join("archive").to_string_lossy().into_owned();
    for before in ["2999-01-01T00:00:00Z", "2999-01-01T00:00:00+06:00", "9999-12-31T23:59:59Z"] {
        let mut command = haat();
        command.args(["archive", "--before", before, "--archive", &archive, "--data-dir"]).arg(store.data_dir());
        refused_in_one_line(command, &["haat: --before", "is yet to come"]).await;
        assert!(!Path::new(&archive).exists());
    }
}

/// A file that cannot be opened is told with its path and with the cause.
#[tokio::test]
async fn a_store_that_cannot_be_opened_is_told_with_its_path_and_its_cause() {
    let place = TempDir::new().expect("a temporary directory");
    let (directory, junk) = (place.path().join("a"), place.path().join("b"));
    std::fs::create_dir_all(directory.join("haat.db")).expect("a directory");
    std::fs::create_dir(&junk).expect("a directory");
    std::fs::write(junk.join("haat.db"), "this is no database at all\n".repeat(400)).expect("a file");
    for (data_dir, cause) in [(&directory, "s a directory"), (&junk, "it is no database, or is damaged")] {
        let path = data_dir.join("haat.db").to_string_lossy().into_owned();
        for arguments in [&["audit"][..], &["migrate"], &["rebuild"], &["journal"]] {
            let mut command = haat();
            command.args(arguments).arg("--data-dir").arg(data_dir);
            refused_in_one_line(command, &["haat: ", &path, cause]).await;
        }
    }
    let path = junk.join("haat.db").to_string_lossy().into_owned();
    refused_in_one_line(server(&junk), &["haat: ", &path, "it is no database, or is damaged"]).await;
}

#[tokio::test]
async fn an_address_that_is_none_is_told_with_what_is_wanted() {
    let directory = TempDir::new().expect("a temporary directory");
    for (address, word) in [
        ("127.0.0.1:99999", "'99999' is no port"),
        ("8080", "such as 127.0.0.1:8080"),
        (":8080", "such as 127.0.0.1:8080"),
        ("localhost", "such as 127.0.0.1:8080"),
        ("no-such-host.invalid:80", "is not found"),
    ] {
        for option in ["--listen", "--operator-listen"] {
            let mut command = haat();
            command.args([option, address, "--data-dir"]).arg(directory.path());
            refused(command, &["error: ", option, word]).await;
        }
    }
}

/// A name is as good as an address.
#[tokio::test]
async fn a_server_listens_on_localhost() {
    let directory = TempDir::new().expect("a temporary directory");
    let address = free_address();
    let mut command = haat();
    command.args(["--listen", &format!("localhost:{}", address.port()), "--data-dir"]).arg(directory.path());
    let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("the binary runs");
    until("the server to be ready", async || {
        assert_eq!(child.try_wait().expect("a child"), None, "the server ended");
        Client::new(address).get("/readyz").try_send().await.is_ok_and(|answer| answer.status == 200).then_some(())
    })
    .await;
}
