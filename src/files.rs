//! Files that only their owner may look at: the store, the ledger, the secret, and the directory that they are in.
//!
//! They are made so, whatever the process's umask is. What an earlier version left open to others is closed to them when a server or a
//! tool that writes finds it, and the log says so. What belongs to another user is refused: it could be taken away, or changed, at
//! any moment.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// What the owner alone may do with a file.
const FILE_MODE: u32 = 0o600;
/// What the owner alone may do with a directory.
const DIRECTORY_MODE: u32 = 0o700;
/// What others than the owner may do.
const OTHERS: u32 = 0o077;
/// Others may write.
const OTHERS_WRITE: u32 = 0o022;
/// In a directory of this kind all may make files: `/tmp`.
const STICKY: u32 = 0o1000;

/// Whose files these are.
#[derive(Clone, Copy, Debug)]
struct Us(u32);

impl Us {
    fn here() -> Self {
        Self(rustix::process::geteuid().as_raw())
    }

    /// # Errors
    /// When it belongs to another user.
    fn own(self, found: &Metadata) -> io::Result<()> {
        if found.uid() == self.0 {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "it belongs to user {}, and this process is of user {}: run it as that user, or name a directory of its own",
            found.uid(),
            self.0
        )))
    }
}

/// What a file may be opened with so that, if it is made, others cannot look at it.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// A directory for our files: made when it is not there, and closed to others when it is.
///
/// # Errors
/// When it belongs to another user, is shared by all (as `/tmp` is), is no directory, or cannot be made. And when others could write to
/// it until now and a link lies in it: through a link of theirs we would write where they cannot.
pub fn own_directory(path: &Path) -> io::Result<()> {
    // Those above it are made as any other would make them: only the last one is ours alone.
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        std::fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        // Such as `.` and `/`, which nobody makes.
        Err(_) if path.is_dir() => {}
        Err(error) => return Err(error),
    }
    let found = std::fs::metadata(path)?;
    if !found.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Us::here().own(&found)?;
    let mode = found.mode();
    if mode & STICKY != 0 && mode & OTHERS_WRITE != 0 {
        return Err(io::Error::other("it is shared by all users: name a directory of its own within it"));
    }
    close_to_others(path, mode, DIRECTORY_MODE)?;
    if mode & OTHERS_WRITE == 0 {
        return Ok(());
    }
    // Looked at once nobody can lay another. The next start is to find it as this one did.
    no_link_in(path).inspect_err(|_| {
        let _ = std::fs::set_permissions(path, Permissions::from_mode(mode & 0o7777));
    })
}

fn no_link_in(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_symlink() {
            return Err(io::Error::other(format!(
                "others could write to it, and {} in it is a symbolic link: see where it leads, and remove it",
                entry.file_name().display()
            )));
        }
    }
    Ok(())
}

/// Closes one of our files to others, if it is there. Links are followed.
///
/// # Errors
/// When it is no file, or belongs to another user.
pub fn own_file(path: &Path) -> io::Result<()> {
    let found = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !found.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    Us::here().own(&found)?;
    close_to_others(path, found.mode(), FILE_MODE)
}

/// As [`own_file`]; a file that is not there is made, empty. So whoever opens it later, by a library that knows nothing of this, finds it
/// closed.
///
/// # Errors
/// As [`own_file`], and when it cannot be made.
pub fn make_file(path: &Path) -> io::Result<()> {
    own_file(path)?;
    options().append(true).create(true).open(path).map(drop)
}

/// Whether others may write to this open file.
///
/// # Errors
/// What the system says.
pub fn others_may_write(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & OTHERS_WRITE != 0)
}

fn close_to_others(path: &Path, mode: u32, wanted: u32) -> io::Result<()> {
    if mode & OTHERS == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, Permissions::from_mode(wanted))?;
    tracing::warn!(
        path = %path.display(),
        mode = format_args!("{:04o}", mode & 0o7777),
        now = format_args!("{wanted:04o}"),
        "others could look at this: from now on it is its owner's alone"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn open_to(path: &Path, mode: u32) {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_directory_is_made_for_its_owner_and_closed_to_others() {
        let place = TempDir::new().unwrap();
        let (new, old) = (place.path().join("above/new"), place.path().join("old"));
        own_directory(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
        std::fs::create_dir(&old).unwrap();
        for found in [0o755, 0o750, 0o701, 0o777, 0o2770] {
            open_to(&old, found);
            own_directory(&old).unwrap();
            assert_eq!(mode(&old), 0o700, "{found:o}");
        }
        let link = place.path().join("link");
        open_to(&old, 0o755);
        symlink(&old, &link).unwrap();
        own_directory(&link).unwrap();
        assert_eq!(mode(&old), 0o700);
    }

    #[test]
    fn a_directory_that_all_share_is_left_as_it_is() {
        let place = TempDir::new().unwrap();
        open_to(place.path(), 0o1777);
        assert!(own_directory(place.path()).unwrap_err().to_string().contains("shared by all"));
        assert_eq!(mode(place.path()), 0o1777);
        own_directory(&place.path().join("mine")).unwrap();
        let file = place.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(own_directory(&file).is_err() && own_directory(&file.join("below")).is_err());
    }

    #[test]
    fn a_file_is_closed_to_others_and_left_as_it_was_otherwise() {
        let place = TempDir::new().unwrap();
        let file = place.path().join("file");
        own_file(&file).unwrap();
        assert!(!file.exists());
        for found in [0o644, 0o666, 0o640, 0o604, 0o777] {
            std::fs::write(&file, "kept").unwrap();
            open_to(&file, found);
            make_file(&file).unwrap();
            assert_eq!((mode(&file), std::fs::read_to_string(&file).unwrap()), (0o600, "kept".to_owned()), "{found:o}");
        }
        // What its owner made narrower stays so.
        open_to(&file, 0o400);
        own_file(&file).unwrap();
        assert_eq!(mode(&file), 0o400);
        let new = place.path().join("new");
        make_file(&new).unwrap();
        assert_eq!(mode(&new), 0o600);
        assert!(own_file(place.path()).unwrap_err().to_string().contains("no file"));
    }

    #[test]
    fn a_link_is_followed_unless_others_may_have_laid_it() {
        let place = TempDir::new().unwrap();
        let (file, link) = (place.path().join("file"), place.path().join("link"));
        symlink(&file, &link).unwrap();
        own_file(&link).unwrap();
        std::fs::write(&file, "").unwrap();
        open_to(&file, 0o644);
        own_file(&link).unwrap();
        assert_eq!(mode(&file), 0o600);
        open_to(place.path(), 0o750);
        own_directory(place.path()).unwrap();
        for _ in 0..2 {
            open_to(place.path(), 0o770);
            assert!(own_directory(place.path()).unwrap_err().to_string().contains("link in it is a symbolic link"));
            assert_eq!(mode(place.path()), 0o770);
        }
    }

    #[test]
    fn what_belongs_to_another_is_refused() {
        let place = TempDir::new().unwrap();
        let found = std::fs::metadata(place.path()).unwrap();
        Us(found.uid()).own(&found).unwrap();
        let refused = Us(found.uid() + 1).own(&found).unwrap_err().to_string();
        assert!(refused.contains(&format!("belongs to user {}", found.uid())), "{refused}");
    }
}
