//! Who wanted to be forgotten, in a file beside the store: a line for each, synced before anything of them is erased. A store that is brought back
//! from a copy of before knows from it whom it must forget again.

use crate::domain::ids::AccountId;
use crate::files;
use crate::ports::erased::ErasedLog;
use parking_lot::Mutex;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The name of the file in the data directory.
pub const ERASED_FILE: &str = "erased.log";

/// The file. It is made when the first is noted.
pub struct ErasedFile {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl ErasedFile {
    /// In this directory.
    pub fn in_directory(directory: &Path) -> Self {
        Self { path: directory.join(ERASED_FILE), file: Mutex::new(None) }
    }
}

impl ErasedLog for ErasedFile {
    fn note(&self, account: AccountId) -> io::Result<()> {
        let mut file = self.file.lock();
        let open = match file.take() {
            Some(open) => open,
            None => {
                files::own_file(&self.path)?;
                let made = files::options().append(true).create(true).open(&self.path)?;
                // Its name is to last, too.
                let directory = self.path.parent().filter(|above| !above.as_os_str().is_empty());
                File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
                made
            }
        };
        // One that could not be written is opened anew the next time.
        let open = file.insert(open);
        let noted = open.write_all(format!("{account}\n").as_bytes()).and_then(|()| open.sync_data());
        if noted.is_err() {
            *file = None;
        }
        noted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn each_is_noted_once_and_for_good() {
        let directory = tempfile::TempDir::new().unwrap();
        let account = |number| AccountId::from_uuid(Uuid::from_u128(number));
        let log = ErasedFile::in_directory(directory.path());
        log.note(account(1)).unwrap();
        log.note(account(2)).unwrap();
        ErasedFile::in_directory(directory.path()).note(account(3)).unwrap();
        let text = std::fs::read_to_string(directory.path().join(ERASED_FILE)).unwrap();
        assert_eq!(text, format!("{}\n{}\n{}\n", account(1), account(2), account(3)));
        let nowhere = ErasedFile::in_directory(&directory.path().join("gone"));
        assert!(nowhere.note(account(4)).is_err());
    }
}
