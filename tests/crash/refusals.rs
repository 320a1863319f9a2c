//! A configuration that cannot work is refused before anything starts, in one line that says what to change.

use crate::process::{free_address, haat, output, until};
use crate::support::client::Client;
use crate::support::{Kind, SECRET, TestStore};
use std::path::Path;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;

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
    let first = said.lines().next().unwrap_or_default();
    assert!(words.iter().all(|word| first.contains(word)), "{words:?} are not in: {said}");
    assert!(!said.contains("panic"), "{said}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    said
}

/// The same, in one line and no more.
async fn refused_in_one_line(command: Command, words: &[&str]) -> String {
    let said = refused(command, words).await;
    assert_eq!(said.lines().count(), 1, "{said}");
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
    for (arguments, word) in
        [(["--lisen", "127.0.0.1:0"], "--lisen"), (["--currency", "taka"], "taka"), (["serf", ""], "serf")]
    {
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
