//! Keeps a second process from writing to the same data directory.

use crate::files::{self, Place};
use crate::ports::StoreError;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The file that is locked. It stays when the process ends, and the lock goes with the process, however it ends.
const FILE: &str = "haat.lock";

/// What `SQLite` calls the files that it keeps beside a store.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// An exclusive lock on a data directory, until it is dropped.
pub(super) struct DirectoryLock {
    file: File,
    places: Vec<Place>,
}

impl DirectoryLock {
    /// Locks `directory`, which is made when it is not there, and closes it and the store's file in it, with the files beside that, to
    /// others.
    ///
    /// # Errors
    /// Invalid when another process has it; Unavailable when it cannot be made or written, or is another user's.
    pub(super) fn take(directory: &Path, store: &Path) -> Result<Self, StoreError> {
        let failed = |what: &str, error: std::io::Error| {
            StoreError::Unavailable(format!("{what} {}: {error}", directory.display()))
        };
        files::own_directory(directory).map_err(|error| failed("cannot use the data directory", error))?;
        let lock = directory.join(FILE);
        files::own_file(&lock).map_err(|error| cannot_use(&lock, &error))?;
        let mut file = files::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock)
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
        // SQLite gives the files that it makes beside a store the store's own mode.
        files::make_file(store).map_err(|error| cannot_use(store, &error))?;
        for suffix in BESIDE {
            let mut beside = store.as_os_str().to_owned();
            beside.push(suffix);
            let beside = PathBuf::from(beside);
            files::own_file(&beside).map_err(|error| cannot_use(&beside, &error))?;
        }
        let place = |path: &Path| Place::at(path).map_err(|error| cannot_use(path, &error));
        let locked = Place::of_file(&lock, &file).map_err(|error| cannot_use(&lock, &error))?;
        Ok(Self { file, places: vec![place(directory)?, locked, place(store)?] })
    }

    /// Whether the directory, the lock and the store's file are where they were locked: else another process can lock others, and what is
    /// written here is lost.
    pub(super) fn in_place(&self) -> Result<(), String> {
        self.places.iter().try_for_each(Place::check)
    }

    /// Lets another process in, though this store is still open somewhere: its owner has said goodbye.
    pub(super) fn release(&self) -> Result<(), StoreError> {
        self.file
            .unlock()
            .map_err(|error| StoreError::Unavailable(format!("cannot unlock the data directory: {error}")))
    }
}

fn cannot_use(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot use {}: {error}", path.display()))
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
