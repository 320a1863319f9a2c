//! A book of the sandbox's on the disk: lines of JSON that are added and never rewritten.

use super::SandboxError;
use crate::files::{self, Place};
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of a book.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bytes {
    /// Of its complete lines.
    pub(super) complete: u64,
    /// Of a last line that was never finished.
    pub(super) torn: u64,
}

/// Reads a book to its end, and gives each line to `take`, which says what is wrong with it.
///
/// A line's end is written last, so a last line without one was torn by a crash and nobody was ever told of it. Anything else that is
/// no line of ours is an error.
pub(super) fn read(
    mut from: impl BufRead,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<Bytes, SandboxError> {
    let mut bytes = Bytes::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let length = from.read_until(b'\n', &mut line).map_err(|source| SandboxError::io(path, source))? as u64;
        let Some((b'\n', json)) = line.split_last() else {
            bytes.torn = length;
            break;
        };
        take(json).map_err(|reason| SandboxError::Broken { path: path.to_owned(), line: number, reason })?;
        bytes.complete += length;
    }
    Ok(bytes)
}

/// How many bytes the complete lines have. One that is longer than what is looked at is counted later.
pub(super) fn complete(path: &Path) -> io::Result<u64> {
    const LOOKED_AT: u64 = 64 << 10;
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LOOKED_AT);
    let mut last = vec![0; (length - from) as usize];
    file.read_exact_at(&mut last, from)?;
    Ok(from + memchr::memrchr(b'\n', &last).map_or(0, |end| end as u64 + 1))
}

/// Opens a book for this process alone, makes it where it is not there, reads it and cuts off a torn last line. The lock goes with the file.
pub(super) fn open(path: &Path, take: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(Kept, Bytes), SandboxError> {
    let io = |source| SandboxError::io(path, source);
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        files::own_directory(directory).map_err(|source| SandboxError::io(directory, source))?;
    }
    files::own_file(path).map_err(io)?;
    let file = files::options().read(true).append(true).create(true).open(path).map_err(io)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => SandboxError::InUse { path: path.to_owned() },
        TryLockError::Error(source) => io(source),
    })?;
    let bytes = read(BufReader::new(&file), path, take)?;
    if bytes.torn > 0 {
        tracing::warn!(
            path = %path.display(),
            bytes = bytes.torn,
            "the sandbox's ledger ends in an unfinished line, which nobody was told of: cut off"
        );
        file.set_len(bytes.complete).map_err(io)?;
    }
    file.sync_all().map_err(io)?;
    sync_directory(path).map_err(io)?;
    let place = Place::of_file(path, &file).map_err(io)?;
    Ok((Kept { file, place }, bytes))
}

/// The open file, and where others find it.
pub(super) struct Kept {
    pub(super) file: File,
    pub(super) place: Place,
}

/// Makes the file's name as durable as its content.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        // Elsewhere a directory cannot be opened as a file, and its names need no such care.
        Some(directory) if cfg!(unix) => {
            let here = directory.as_os_str().is_empty();
            File::open(if here { Path::new(".") } else { directory })?.sync_all()
        }
        _ => Ok(()),
    }
}
