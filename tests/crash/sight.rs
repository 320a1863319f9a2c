//! What others on the machine can see of a process: a secret on its command line, in its files, and in what it leaves when it crashes.

use crate::process::{Haat, command, free_address, haat, output};
use crate::support::{Kind, SECRET, TestStore};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

fn secret() -> String {
    String::from_utf8_lossy(SECRET).into_owned()
}

/// A limit of a running process as the system tells it: soft and hard.
fn limit(process: u32, name: &str) -> (String, String) {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).expect("it runs");
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().expect("soft"), words.next().expect("hard"))
}

/// Whether the system would dump it: the files of one that it would not belong to root, whoever runs it. As root both do; then what is
/// left to see is the limit.
fn is_dumpable(process: u32) -> bool {
    limit(process, "Max core file size").0 != "0"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_dumped_unless_it_is_asked_for() {
    let with_dumps = || {
        let mut shell = command("sh");
        // Where the hard limit is 0 there is nothing to see.
        shell.args(["-c", "ulimit -c \"$(ulimit -Hc)\"; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_haat")]);
        shell
    };
    let store = TestStore::new(Kind::Sqlite).await;
    let mut server = Haat::begin_as(with_dumps(), &store, store.data_dir(), free_address());
    server.ready().await;
    assert!(!is_dumpable(server.id()));
    server.signal("TERM").await;
    server.ended().await;
    let mut allowed = with_dumps();
    allowed.arg("--core-dumps");
    let mut server = Haat::begin_as(allowed, &store, store.data_dir(), free_address());
    server.ready().await;
    let (soft, hard) = limit(server.id(), "Max core file size");
    assert_eq!(soft, hard);
    server.kill().await;
    for (value, allowed) in [("true", true), ("1", true), ("0", false), ("false", false), ("", false)] {
        let mut command = with_dumps();
        command.env("HAAT_CORE_DUMPS", value);
        let mut server = Haat::begin_as(command, &store, store.data_dir(), free_address());
        server.ready().await;
        let now = limit(server.id(), "Max core file size");
        assert_eq!(now.0 != "0" || hard == "0", allowed || hard == "0", "{value:?}: {now:?}");
        server.kill().await;
    }
}

async fn said(arguments: &[&str], data_dir: &Path, environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = haat();
    command.args(arguments).arg("--data-dir").arg(data_dir).envs(environment.iter().copied());
    let output = output(command).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_on_the_command_line_is_warned_of() {
    let place = TempDir::new().expect("a temporary directory");
    let token = ["token", "--role", "admin"];
    let (code, _, warned) = said(&[&token[..], &["--jwt-secret", &secret()]].concat(), place.path(), &[]).await;
    assert_eq!(code, Some(0));
    assert!(warned.contains("--jwt-secret") && warned.contains("set HAAT_JWT_SECRET instead"), "{warned}");
    assert!(!warned.contains(&secret()), "{warned}");
    let (code, _, quiet) = said(&token, place.path(), &[("HAAT_JWT_SECRET", &secret())]).await;
    assert_eq!((code, quiet.as_str()), (Some(0), ""));
    let url = format!("postgres://root:hunter2@{}/shop", free_address());
    let (_, _, warned) = said(&["audit", "--database-url", &url], place.path(), &[]).await;
    assert!(warned.contains("--database-url") && warned.contains("set DATABASE_URL instead"), "{warned}");
    assert!(!warned.contains("hunter2"), "{warned}");
    let url = format!("postgres://root@{}/shop", free_address());
    let (_, _, quiet) = said(&["audit", "--database-url", &url], place.path(), &[]).await;
    assert!(!quiet.contains("instead"), "{quiet}");
    let mut load = command(env!("CARGO_BIN_EXE_haat-load"));
    load.args(["--target", "http://127.0.0.1:1", "--admin-token", "hunter2"]);
    let warned = String::from_utf8_lossy(&output(load).await.stderr).into_owned();
    assert!(warned.contains("--admin-token") && warned.contains("set HAAT_ADMIN_TOKEN instead"), "{warned}");
    assert!(!warned.contains("hunter2"), "{warned}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_can_be_guessed_or_was_not_kept_is_refused() {
    let weak = ["x".repeat(64), " ".repeat(64), "changeme".repeat(8), "0123456789".repeat(5)];
    let token = ["token", "--role", "admin"];
    for secret in &weak {
        let place = TempDir::new().expect("a temporary directory");
        for arguments in [&token[..], &["serve", "--listen", "127.0.0.1:0"]] {
            let (code, _, told) = said(arguments, place.path(), &[("HAAT_JWT_SECRET", secret)]).await;
            assert_eq!(code, Some(1), "{told}");
            assert!(told.contains("HAAT_JWT_SECRET") && told.contains("/dev/urandom"), "{told}");
            assert!(!told.contains(secret.as_str()) || secret.starts_with(' '), "{told}");
        }
        // In its file, too.
        let file = place.path().join("jwt-secret");
        std::fs::write(&file, secret).expect("a file");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("it is ours");
        let (code, _, told) = said(&token, place.path(), &[]).await;
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("HAAT_JWT_SECRET") && told.contains("jwt-secret"), "{told}");
    }
    // A good one, which others can change, or could read.
    for (mode, words) in [(0o666, "others can write to it"), (0o620, "others can write to it"), (0o644, "others can")] {
        let place = TempDir::new().expect("a temporary directory");
        let file = place.path().join("jwt-secret");
        std::fs::write(&file, secret()).expect("a file");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).expect("it is ours");
        for arguments in [&token[..], &["serve", "--listen", "127.0.0.1:0", "--actor-threads", "1", "--log", "warn"]] {
            let is_refused = mode & 0o022 != 0;
            if !is_refused && arguments[0] == "serve" {
                continue;
            }
            let (code, _, told) = said(arguments, place.path(), &[]).await;
            assert_eq!(code, Some(i32::from(is_refused)), "{mode:o}: {told}");
            assert!(told.contains(words) && told.contains("jwt-secret"), "{mode:o}: {told}");
        }
    }
}
