//! Keeps a second process from writing to the same data directory.

use crate::ports::StoreError;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The file that is locked. It stays when the process ends, and the lock goes with the process, however it ends.
const FILE: &str = "haat.lock";

/// An exclusive lock on a data directory, until it is dropped.
pub(super) struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Locks `directory`, which is made when it is not there.
    ///
    /// # Errors
    /// Invalid when another process has it; Unavailable when it cannot be made or written.
    pub(super) fn take(directory: &Path) -> Result<Self, StoreError> {
        let failed = |what: &str, error: std::io::Error| {
            StoreError::Unavailable(format!("{what} {}: {error}", directory.display()))
        };
        fs::create_dir_all(directory).map_err(|error| failed("cannot make the data directory", error))?;
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join(FILE))
            .map_err(|error| failed("cannot write to the data directory", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held_by_another(directory, &mut file)),
            Err(TryLockError::Error(error)) => {
                return Err(failed("cannot lock the data directory", error));
            }
        }
        // For people, and for the message that a second process is refused with.
        let noted = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
        noted.map_err(|error| failed("cannot write to the data directory", error))?;
        Ok(Self { file })
    }

    /// Lets another process in, though this store is still open somewhere: its owner has said goodbye.
    pub(super) fn release(&self) -> Result<(), StoreError> {
        self.file
            .unlock()
            .map_err(|error| StoreError::Unavailable(format!("cannot unlock the data directory: {error}")))
    }
}

fn held_by_another(directory: &Path, file: &mut File) -> StoreError {
    let mut process = String::new();
    // A file that cannot be read says nothing about who has it.
    let _ = file.take(20).read_to_string(&mut process);
    let who = match process.trim() {
        "" => "another process".to_owned(),
        id => format!("another process ({id})"),
    };
    StoreError::Invalid(format!("{who} serves on the data directory {}: only one can at a time", directory.display()))
}
