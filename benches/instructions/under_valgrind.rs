//! Runs cases under callgrind, each in a process of its own, as many at the same time as there are processors: a count does not depend on
//! what else runs.

use anyhow::{Context as _, bail};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Instructions per operation of each of these.
pub fn count(names: &[&str], profiles: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let (next, counted) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(names.len()) {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = count_one(name, profiles).with_context(|| format!("case '{name}'"));
                    counted
                        .lock()
                        .expect("no thread panics with it")
                        .push(one.map(|count| ((*name).to_owned(), count)));
                }
            });
        }
    });
    counted.into_inner().expect("no thread panicked with it").into_iter().collect()
}

/// The file of a case's profile, for `callgrind_annotate`.
pub fn profile_of(name: &str) -> String {
    let word = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    format!("{}.callgrind", name.replace([':', ','], "").chars().map(word).collect::<String>())
}

fn count_one(name: &str, profiles: &Path) -> anyhow::Result<u64> {
    let profile = profiles.join(profile_of(name));
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--toggle-collect=*counted_part*"]);
    command.arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(std::env::current_exe()?).args(["run", name]);
    // mimalloc gives memory back after some milliseconds: how much that is depends on how fast the machine is.
    command.env("MIMALLOC_PURGE_DELAY", "-1");
    let output = command.output().context("cannot run valgrind")?;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let after = |text: &str, word: &str| -> Option<u64> {
        text.lines().find_map(|line| line.split_once(word)?.1.trim().parse().ok())
    };
    let (Some(operations), Some(instructions)) = (after(&said, "operations"), after(&errors, "Collected :")) else {
        bail!("no count ({}):\n{said}{errors}", output.status);
    };
    if !output.status.success() || instructions < operations {
        bail!("it was not counted ({}):\n{said}{errors}", output.status);
    }
    Ok(instructions / operations)
}
