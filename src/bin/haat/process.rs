//! What this process is to the others of its machine: whose its files are, what is dumped of it, and which signals it heeds.

use rustix::fs::Mode;
use rustix::process::{Signal, umask};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Nobody else may look at what this process makes, whatever makes it: `SQLite` makes files too.
pub fn keep_files_private() {
    umask(Mode::RWXG | Mode::RWXO);
}

/// What ends a server in order. SIGHUP too: a terminal that is closed, and managers that know no other.
const STOP: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::HUP];
/// What others use for their own ends, and what a file that may not grow sends: none of it ends a server. A write past the limit fails,
/// as on a full disk.
const PASSED_OVER: [Signal; 3] = [Signal::USR1, Signal::USR2, Signal::XFSZ];

/// Heeds signals from now on; the token is cancelled by the first that asks to stop. To be called on the runtime.
///
/// # Errors
/// What the system says.
pub fn heed_signals() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let ignored = ignored();
    for asked in STOP {
        // What nohup and shells have ignored for us stays so.
        if asked == Signal::HUP && ignored & (1 << (asked.as_raw() - 1)) != 0 {
            continue;
        }
        let (mut signals, stop) = (signal(SignalKind::from_raw(asked.as_raw()))?, stop.clone());
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                tracing::info!(signal = ?asked, "asked to stop");
                stop.cancel();
            }
            // Once more changes nothing: what is decided is being made durable. SIGKILL ends that, too.
            while signals.recv().await.is_some() {}
        });
    }
    for passed_over in PASSED_OVER {
        let mut signals = signal(SignalKind::from_raw(passed_over.as_raw()))?;
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                tracing::info!(signal = ?passed_over, "this signal says nothing to a server");
            }
        });
    }
    Ok(stop)
}

/// The signals that this process was begun to ignore, as bits; none where the system does not tell.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
