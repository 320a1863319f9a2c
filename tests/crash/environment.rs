//! Settings from the environment: an empty variable is one that is not set, and what is wrong with one is told with its name. The
//! variables are those that `--help` lists, so a new one is tried by itself.

use crate::process::{command, output};
use crate::support::SECRET;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;

const HAAT: &str = env!("CARGO_BIN_EXE_haat");
const LOAD: &str = env!("CARGO_BIN_EXE_haat-load");

/// A command line that is refused late, after all variables were read; the variable that it sets by a flag cannot be tried with it.
struct Late {
    arguments: &'static [&'static str],
    word: &'static str,
    flags: &'static [&'static str],
}

/// The ways to try a command; of `haat serve` two, so that each variable is read in one.
fn late(binary: &str, name: &str) -> Vec<Late> {
    let late = |arguments, word, flags| Late { arguments, word, flags };
    match (binary, name) {
        (LOAD, _) => vec![late(&[], "give --admin-token", &[])],
        (_, "serve" | "") => vec![
            late(
                &["--hold-seconds", "1", "--payment-seconds", "2"],
                "not be shorter",
                &["HAAT_HOLD_SECONDS", "HAAT_PAYMENT_SECONDS"],
            ),
            late(&["--actor-threads", "0"], "at least 1", &["HAAT_ACTOR_THREADS"]),
        ],
        (_, "token") => {
            vec![late(&["--role", "admin", "--vendor", "vendor_01h2xcejqtf2nbrexx3vqjhp41"], "--vendor belongs", &[])]
        }
        (_, "archive") => vec![late(&["--before", "1d"], "", &[])],
        (_, "replay") => vec![late(&["--entity", "vendor_01h2xcejqtf2nbrexx3vqjhp41"], "there is no store", &[])],
        (_, "rehearse") => vec![late(&REHEARSAL, "there is no store", &[])],
        (_, "migrate" | "audit" | "rebuild" | "journal") => vec![late(&[], "there is no store", &[])],
        (_, "sandbox") => vec![late(&[], "HAAT_REDIRECT_SECRET: must be whsec_", &[])],
        (_, "demo") => vec![late(&["--sessions", "0"], "sessions", &[])],
        (_, new) => panic!("say here with which arguments '{new}' is refused late"),
    }
}

/// A command with nothing in its environment that it reads, in a directory of its own.
fn bare(binary: &str, name: &str, arguments: &[&str], place: &Path) -> Command {
    let mut command = command(binary);
    command.current_dir(place);
    if !name.is_empty() {
        command.arg(name);
    }
    command.args(arguments);
    command
}

/// All variables that a command reads.
async fn variables(binary: &str, name: &str) -> BTreeSet<String> {
    let mut help = command(binary);
    if !name.is_empty() {
        help.arg(name);
    }
    help.arg("--help");
    let text = String::from_utf8(output(help).await.stdout).expect("text");
    let names = text.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    names.map(str::to_owned).collect()
}

const REHEARSAL: [&str; 4] = ["--sale", "sale_01h2xcejqtf2nbrexx3vqjhp41", "--sessions", "2"];

const COMMANDS: [(&str, &str); 13] = [
    (HAAT, ""),
    (HAAT, "serve"),
    (HAAT, "demo"),
    (HAAT, "rehearse"),
    (HAAT, "token"),
    (HAAT, "migrate"),
    (HAAT, "audit"),
    (HAAT, "rebuild"),
    (HAAT, "archive"),
    (HAAT, "journal"),
    (HAAT, "replay"),
    (HAAT, "sandbox"),
    (LOAD, ""),
];

async fn said(mut command: Command, name: &str, value: Option<&OsStr>) -> (Option<i32>, String) {
    if let Some(value) = value {
        command.env(name, value);
    }
    let output = output(command).await;
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(!text.contains("panic"), "{name}: {text}");
    (output.status.code(), text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_variable_is_one_that_is_not_set() {
    let mut tried = BTreeSet::new();
    for (binary, name) in COMMANDS {
        for variable in variables(binary, name).await {
            for late in late(binary, name) {
                if late.flags.contains(&&*variable) {
                    continue;
                }
                let place = TempDir::new().expect("a temporary directory");
                let run = || bare(binary, name, late.arguments, place.path());
                let unset = said(run(), &variable, None).await;
                assert!(unset.0 != Some(0) && unset.1.contains(late.word), "{name}: {}", unset.1);
                assert_eq!(said(run(), &variable, Some(OsStr::new(""))).await, unset, "{variable} of {binary} {name}");
                tried.insert(variable.clone());
            }
        }
    }
    let all = [
        "DATABASE_URL",
        "HAAT_ARCHIVE",
        "HAAT_JWT_SECRET",
        "HAAT_LISTEN",
        "HAAT_LOG",
        "HAAT_LOG_FORMAT",
        "HAAT_HOLD_SECONDS",
    ];
    assert!(all.iter().all(|name| tried.contains(*name)), "{tried:?}");
}

/// What is no value of this variable, nor of any other of its kind.
fn junk(variable: &str) -> Vec<OsString> {
    let texts: &[&str] = match variable {
        // Paths: below a file nothing can be.
        "HAAT_DATA_DIR" | "HAAT_ARCHIVE" => return vec!["/dev/null/below".into()],
        "DATABASE_URL" => &["junk", "mysql://host/name", "postgres://host:99999/name", "postgres://[::1/name"],
        "HAAT_JWT_SECRET" => &["short", "                                        "],
        "HAAT_LOG" => &["info,haat=loud"],
        "HAAT_ADMIN_TOKEN" => &["two words"],
        "HAAT_OTLP_URL" => &["junk", " ", "ftp://127.0.0.1:4318", "https://user@127.0.0.1:4318", "http://"],
        "HAAT_TRACE_SAMPLE" => &["junk", " ", "1.01", "-0.1", "NaN", "1%"],
        "HAAT_LISTEN" | "HAAT_OPERATOR_LISTEN" => &["junk", "127.0.0.1:99999", "8080", " "],
        "HAAT_ACTOR_THREADS" | "HAAT_HOLD_SECONDS" | "HAAT_PAYMENT_SECONDS" => {
            &["junk", "0", "-1", "1e3", "99999999999999999999"]
        }
        _ => &["junk", " ", "\u{7}"],
    };
    // No variable that is a text may be anything else.
    texts.iter().map(OsString::from).chain([OsString::from_vec(vec![b'a', 0xff, b'b'])]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_variable_is_told_with_its_name() {
    let place = TempDir::new().expect("a temporary directory");
    for (binary, name) in COMMANDS {
        // `demo` reads none: it is the same whatever the environment says.
        let variables = variables(binary, name).await;
        assert_eq!(variables.is_empty(), name == "demo", "{name}");
        for variable in variables {
            for value in junk(&variable) {
                let arguments: &[&str] = match (binary, name) {
                    (LOAD, _) if variable == "HAAT_TARGET" => &["--admin-token", "t"],
                    (LOAD, _) => &["--target", "http://127.0.0.1:1"],
                    (_, "token") => &["--role", "admin"],
                    (_, "archive") if variable == "HAAT_ARCHIVE" => &["--before", "1d", "--data-dir", "store"],
                    (_, "archive") => &["--before", "1d", "--archive", "archive"],
                    (_, "replay") => &["--entity", "vendor_01h2xcejqtf2nbrexx3vqjhp41"],
                    (_, "rehearse") => &REHEARSAL,
                    _ => &[],
                };
                // An archive is looked at once the store was found; and a token opens no store.
                if variable == "HAAT_ARCHIVE" && name != "archive" || variable == "DATABASE_URL" && name == "token" {
                    continue;
                }
                let mut command = bare(binary, name, arguments, place.path());
                if variable == "HAAT_ARCHIVE" {
                    made(&place.path().join("store")).await;
                }
                if variable != "HAAT_JWT_SECRET" && name != "token" {
                    command.env("HAAT_JWT_SECRET", String::from_utf8_lossy(SECRET).as_ref());
                }
                let (code, text) = said(command, &variable, Some(&value)).await;
                assert!(code.is_some_and(|code| code != 0), "{variable}={value:?} of {name}: {text}");
                assert!(text.contains(&variable), "{variable}={value:?} of {name}: {text}");
            }
        }
    }
}

/// Makes a store, if there is none.
async fn made(place: &Path) {
    if place.exists() {
        return;
    }
    let mut demo = command(HAAT);
    demo.args(["demo", "--sessions", "1", "--stock", "1", "--data-dir"]).arg(place);
    assert!(output(demo).await.status.success());
}

/// A secret that an editor or `echo` has put into its file signs as the same secret without its newline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newline_at_the_end_of_a_secret_file_is_not_part_of_it() {
    let secret = String::from_utf8_lossy(SECRET).into_owned();
    let now = haat::ports::Clock::now(&haat::adapters::clock::SystemClock::default());
    for end in ["", "\n", "\r\n"] {
        let place = TempDir::new().expect("a temporary directory");
        let file = place.path().join("jwt-secret");
        std::fs::write(&file, format!("{secret}{end}")).expect("a file");
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
        let mut token = command(HAAT);
        token.args(["token", "--role", "admin", "--data-dir"]).arg(place.path());
        let token = String::from_utf8(output(token).await.stdout).expect("text");
        haat::http::auth::Auth::new(SECRET).verify(token.trim(), now).unwrap_or_else(|_| panic!("{end:?}"));
    }
}
