//! What is said can be written, or the command has failed: into a full disk and to a reader that has left. No command panics over it.

use crate::process::{BOUND, Haat, command, free_address, haat};
use crate::support::{Kind, SECRET, TestStore, token};
use haat::http::auth::Bearer;
use serde_json::json;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};
use tempfile::TempDir;
use tokio::process::Command;

/// What a shell tells of a program that SIGPIPE ended.
const READER_LEFT: i32 = 141;

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("every Linux has it").into()
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

async fn end(mut command: Command) -> (i32, String) {
    let ended = tokio::time::timeout(BOUND, async { command.spawn()?.wait_with_output().await }).await;
    let Output { status, stderr, .. } = ended.expect("it ends").expect("it runs");
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert!(!said.contains("panic"), "{command:?}: {said}");
    (status.code().unwrap_or_else(|| panic!("{command:?}: {status}: {said}")), said)
}

/// Runs it four times: to a full disk, to nobody, and with nobody to hear its complaints.
async fn fails_in_order(what: &str, make: impl Fn() -> Command) {
    let mut to_full = make();
    to_full.stdout(full());
    let (code, said) = end(to_full).await;
    assert!(code == 1 || code == 2, "{what}: {code}: {said}");
    assert!(said.contains("stdout could not be written") && said.contains("No space left"), "{what}: {said}");
    for deaf in [full, closed] {
        let mut to_full = make();
        to_full.stdout(full()).stderr(deaf());
        assert_eq!(end(to_full).await.0, code, "{what}");
    }
    let mut to_nobody = make();
    to_nobody.stdout(closed());
    let (code, said) = end(to_nobody).await;
    assert_eq!(code, READER_LEFT, "{what}: {said}");
    assert!(!said.contains("stdout"), "{what}: {said}");
}

/// The names of all commands, as `--help` lists them.
async fn commands() -> Vec<String> {
    let help = haat().arg("--help").output().await.expect("it runs");
    let help = String::from_utf8(help.stdout).expect("text");
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_that_cannot_say_its_result_fails_in_order() {
    let store = TestStore::new(Kind::Sqlite).await;
    let mut server = Haat::start(&store, free_address()).await;
    let (vendor, sku) = server.client.shop(&token(&Bearer::Admin("root".into())), "10.00", 5).await;
    let sale = json!({
        "name": "11.11", "starts_at": "2099-01-01T00:00:00Z", "ends_at": "2099-01-02T00:00:00Z", "time_zone": "UTC",
        "items": [{"sku_id": sku, "price": {"amount": "6.00", "currency": "BDT"}, "allotment": 2}],
    });
    let sale = server.client.post(&format!("/v1/vendors/{vendor}/sales"), &sale);
    let sale = sale.bearer(&token(&Bearer::Admin("root".into()))).send().await.expect(201).field("id").to_owned();
    let buyer = server.client.buyer(&sku, 1).await;
    server.client.checkout(&buyer, "tok_approve").header("prefer", "wait=20").send().await.expect(201);
    server.signal("TERM").await;
    server.ended().await;

    let archive = store.data_dir().join("archive").to_string_lossy().into_owned();
    let keys = store.data_dir().join("keys.json").to_string_lossy().into_owned();
    let commands = commands().await;
    assert!(commands.len() > 8, "{commands:?}");
    for name in &commands {
        let arguments: &[&str] = match name.as_str() {
            // It has no result, and is looked at below.
            "serve" => continue,
            // It has none either: it serves until it is asked to stop.
            "sandbox" => continue,
            // It asks a server that runs, and there is none.
            "account" => continue,
            "help" => &[],
            "demo" => &["--sessions", "3", "--stock", "2"],
            "rehearse" => &["--sale", &sale, "--sessions", "2"],
            "token" => &["--role", "admin"],
            "keys" => &["rotate", "--file", &keys],
            "migrate" | "audit" | "rebuild" | "journal" => &[],
            "archive" => &["--before", "1d", "--archive", &archive],
            "replay" => &["--entity", &vendor],
            "follower" => &["list"],
            new => panic!("say here with which arguments '{new}' can be tried"),
        };
        fails_in_order(name, || {
            let mut command = haat();
            command.arg(name).args(arguments);
            if name != "help" && name != "demo" {
                command.arg("--data-dir").arg(store.data_dir());
            }
            command.env("HAAT_JWT_SECRET", String::from_utf8_lossy(SECRET).as_ref());
            command
        })
        .await;
        for option in ["--help", "-h"] {
            fails_in_order(&format!("{name} {option}"), || {
                let mut command = haat();
                command.args([name, option]);
                if name == "help" {
                    command = haat();
                    command.args(["help", "token"]);
                }
                command
            })
            .await;
        }
    }
    for option in ["--help", "-h", "--version", "-V"] {
        for binary in [env!("CARGO_BIN_EXE_haat"), env!("CARGO_BIN_EXE_haat-load")] {
            fails_in_order(&format!("{binary} {option}"), || {
                let mut command = command(binary);
                command.arg(option);
                command
            })
            .await;
        }
    }
}

/// A breach is told by the exit code, whoever reads the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_audit_found_weighs_more_than_that_nobody_reads_it() {
    let store = TestStore::new(Kind::Sqlite).await;
    let mut server = Haat::start(&store, free_address()).await;
    server.client.shop(&token(&Bearer::Admin("root".into())), "10.00", 5).await;
    server.signal("TERM").await;
    server.ended().await;
    use sqlx::{Connection, Executor};
    let url = format!("sqlite://{}", store.data_dir().join("haat.db").display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("the store's file");
    connection.execute("UPDATE skus SET received = received + 1, on_hand = on_hand + 1").await.expect("planted");
    connection.close().await.expect("closed");
    for (stdout, code) in [(Stdio::null(), 1), (closed(), 1), (full(), 2)] {
        let mut audit = haat();
        audit.args(["audit", "--data-dir"]).arg(store.data_dir()).stdout(stdout);
        assert_eq!(end(audit).await.0, code);
    }
}

/// A server whose log nobody takes serves all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_log_serves() {
    for stderr in [full, closed] {
        let store = TestStore::new(Kind::Sqlite).await;
        let address = free_address();
        let mut command = haat();
        command.args(["--log", "trace", "--listen", &address.to_string(), "--data-dir"]).arg(store.data_dir());
        command.env("HAAT_JWT_SECRET", String::from_utf8_lossy(SECRET).as_ref()).stdout(stderr()).stderr(stderr());
        let mut child = command.spawn().expect("it runs");
        let client = crate::support::client::Client::new(address);
        crate::process::until("the server to be ready", async || {
            assert_eq!(child.try_wait().expect("a child"), None);
            client.get("/readyz").try_send().await.is_ok_and(|answer| answer.status == 200).then_some(())
        })
        .await;
        for _ in 0..3 {
            client.post("/v1/carts", &json!({})).send().await.expect(201);
        }
        let figures = client.get("/metrics").send().await.expect(200).text;
        let panics = [haat::http::metrics::PANICS, haat::telemetry::names::RESTARTS];
        for line in figures.lines().filter(|line| panics.iter().any(|name| line.starts_with(name))) {
            assert!(line.ends_with(" 0"), "{line}");
        }
        let id = child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.expect("it runs").success());
        let ended = tokio::time::timeout(BOUND, child.wait()).await.expect("it ends").expect("a child");
        assert_eq!(ended.code(), Some(0));
    }
}

/// What is said acts on nobody who looks at it, wherever it came from: here a path, in an error and in the logs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_acts_on_nobody() {
    let place = TempDir::new().expect("a temporary directory");
    let data_dir = place.path().join("da\u{202e}\u{9b}ta");
    let said = async |command: Command, words: &str| {
        let (code, said) = end(command).await;
        let line = said.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {code}: {said}"));
        assert!(line.contains("/da\\u202e") && line.contains("ta"), "{}", line.escape_debug());
        let acts = |character: char| character == '\u{202e}' || (character.is_control() && character != '\n');
        assert_eq!(said.chars().find(|character| acts(*character)), None, "{}", said.escape_debug());
    };
    let mut audit = haat();
    audit.arg("audit").arg("--data-dir").arg(&data_dir);
    said(audit, "there is no store in ").await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for format in ["text", "json"] {
        // Made by somebody for all to see, which is told of.
        std::fs::create_dir_all(&data_dir).expect("a directory");
        std::fs::set_permissions(&data_dir, PermissionsExt::from_mode(0o755)).expect("it is ours");
        let mut server = haat();
        server.args(["--log-format", format, "--listen", &address, "--data-dir"]).arg(&data_dir);
        said(server, "others could look at this").await;
    }
}
