//! What this process is to the others of its machine.

use rustix::fs::Mode;
use rustix::process::umask;

/// Nobody else may look at what this process makes, whatever makes it: `SQLite` makes files too.
pub fn keep_files_private() {
    umask(Mode::RWXG | Mode::RWXO);
}
