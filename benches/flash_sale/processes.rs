//! How much processor time processes have used, from /proc.

use serde::{Deserialize, Serialize};
use std::fs;

/// What Linux counts processor time in, per second, on every machine this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// The server's.
    pub server: f64,
    /// Its store's, with all its processes.
    pub store: f64,
    /// The client's.
    pub client: f64,
}

impl Cpu {
    /// What these processes and this one have used so far.
    pub fn now(server: u32, store: u32) -> Self {
        Self { server: of_tree(server), store: of_tree(store), client: of_tree(std::process::id()) }
    }

    /// What was used since.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            server: self.server - earlier.server,
            store: self.store - earlier.store,
            client: self.client - earlier.client,
        }
    }
}

/// One process as /proc tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stat {
    /// Its name.
    pub name: String,
    /// Who started it.
    pub parent: u32,
    /// Its own time, in ticks.
    pub own: u64,
    /// That of its children which have ended, in ticks.
    pub ended: u64,
}

/// Reads a line of /proc/PID/stat, whose second field may hold blanks and brackets (proc(5)).
pub fn parse(line: &str) -> Option<Stat> {
    let (start, rest) = line.rsplit_once(')')?;
    let (_, name) = start.split_once('(')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    // The third field of the line, the state, is the first behind the name.
    Some(Stat {
        name: name.to_owned(),
        parent: u32::try_from(number(1)?).ok()?,
        own: number(11)? + number(12)?,
        ended: number(13)? + number(14)?,
    })
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The time of a process, of its children, and of those of them that have ended, in seconds.
fn of_tree(root: u32) -> f64 {
    let own = stat(root).map_or(0, |stat| stat.own + stat.ended);
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let children = processes
        .filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?))
        .filter(|stat| stat.parent == root)
        .map(|stat| stat.own + stat.ended);
    (own + children.sum::<u64>()) as f64 / TICKS_PER_SECOND
}

/// The parent of a process, if it has this name: Postgres' first process, from one that serves a connection.
pub fn parent_named(pid: u32, name: &str) -> Option<u32> {
    let parent = stat(pid)?.parent;
    (stat(parent)?.name == name).then_some(parent)
}
