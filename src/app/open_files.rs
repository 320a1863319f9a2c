//! Open files: each connection is one, and so is much of what the store needs. What the process may have is found out
//! at the start, raised as far as it goes, and divided.

use crate::limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many connections each port may have open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connections {
    /// Where everybody comes.
    pub(super) public: usize,
    /// Where operators come, when that is a port of its own.
    pub(super) operator: usize,
}

/// Raises the limit on open files as far as this process may, and divides them.
pub(super) fn connections(wanted: usize, actor_threads: usize, has_operator_port: bool) -> Connections {
    let found = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: found.maximum, maximum: found.maximum };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => raised.current,
        Err(error) => {
            tracing::warn!(%error, "the limit on open files cannot be raised");
            found.current
        }
    };
    let beside = limits::FILES_BESIDE_CONNECTIONS + actor_threads * limits::FILES_PER_ACTOR_THREAD;
    let connections = divide(files, beside, wanted, has_operator_port);
    let shown = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    tracing::info!(
        found = shown(found.current),
        files = shown(files),
        connections = connections.public,
        listen_backlog = backlog(),
        "open files"
    );
    if connections.public < wanted {
        tracing::warn!(
            connections = connections.public,
            wanted,
            files = shown(files),
            "this process may open too few files for all connections that a server takes: the others are refused"
        );
    }
    connections
}

/// How many connections so many files allow, when `beside` of them are needed for something else.
fn divide(files: Option<u64>, beside: usize, wanted: usize, has_operator_port: bool) -> Connections {
    let files = files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    // Where there is not even that: half for each, and the store may have to wait for a file.
    let free = files.saturating_sub(beside).max(files / 2).max(2);
    let operator = match has_operator_port {
        true if free / 2 < wanted => (free / limits::OPERATORS_PART_OF_CONNECTIONS).clamp(1, wanted.max(1)),
        true => wanted,
        false => 0,
    };
    Connections { public: wanted.min(free - operator), operator }
}

/// How many connections may wait to be accepted: what is asked for, as far as the system gives it.
fn backlog() -> u32 {
    let given = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok();
    given
        .and_then(|given| given.trim().parse().ok())
        .map_or(limits::LISTEN_BACKLOG, |given: u32| given.min(limits::LISTEN_BACKLOG))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_store() {
        for (files, wanted, operator_port, public, operator) in [
            (None, 20_000, false, 20_000, 0),
            (None, 20_000, true, 20_000, 20_000),
            (Some(1_000_000), 20_000, true, 20_000, 20_000),
            (Some(20_100), 20_000, false, 20_000, 0),
            (Some(20_099), 20_000, false, 19_999, 0),
            (Some(1_124), 20_000, true, 896, 128),
            (Some(256), 20_000, false, 156, 0),
            (Some(256), 2, true, 2, 2),
            (Some(64), 20_000, false, 32, 0),
            (Some(0), 20_000, true, 1, 1),
        ] {
            let divided = divide(files, 100, wanted, operator_port);
            assert_eq!(divided, Connections { public, operator }, "of {files:?} files, {wanted} wanted");
        }
    }
}
