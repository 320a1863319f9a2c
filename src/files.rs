//! Files that only their owner may look at: the store, the charge log, the secret, and the directory that they are in.
//!
//! They are made so, whatever the process's umask is. What an earlier version left open to others is closed to them when a server or a
//! tool that writes finds it, and the log says so. What belongs to another user is refused: it could be taken away, or changed, at
//! any moment.
//!
//! And files that are still where others find them: one that is removed, or replaced, while we have it open takes what is written to it
//! along when we close it.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

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

/// Closes a file with a secret to others, if it is there.
///
/// # Errors
/// As [`own_file`], and when others could write to it until now: then they may have written the secret.
pub fn own_secret(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(found) => unwritten_by_others(&found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    own_file(path)
}

/// Reads a file with a secret. That others can read it is warned of.
///
/// # Errors
/// What the system says, and when others can write to it.
pub fn read_secret(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    unwritten_by_others(&found)?;
    if found.mode() & OTHERS != 0 {
        tracing::warn!(path = %path.display(), "others can read this secret");
    }
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(content)
}

fn unwritten_by_others(found: &Metadata) -> io::Result<()> {
    match found.mode() & OTHERS_WRITE {
        0 => Ok(()),
        _ => Err(io::Error::other(
            "others can write to it, and whoever wrote it can sign tokens: remove it to have one made, or chmod 600 it",
        )),
    }
}

/// An open file, and the path under which others find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Place {
    /// What is at this path now.
    ///
    /// # Errors
    /// What the system says.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(path, &std::fs::metadata(path)?))
    }

    /// This open file, which was opened by this path.
    ///
    /// # Errors
    /// What the system says.
    pub fn of_file(path: &Path, file: &File) -> io::Result<Self> {
        Ok(Self::of(path, &file.metadata()?))
    }

    fn of(path: &Path, found: &Metadata) -> Self {
        Self { path: path.to_owned(), device: found.dev(), inode: found.ino() }
    }

    /// Whether it is still there.
    ///
    /// # Errors
    /// What became of it, in words.
    pub fn check(&self) -> Result<(), String> {
        let path = self.path.display();
        match Self::at(&self.path) {
            Ok(found) if found == *self => Ok(()),
            Ok(_) => Err(format!("{path} was replaced by another")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!("{path} was removed")),
            Err(error) => Err(format!("{path}: {error}")),
        }
    }
}

fn close_to_others(path: &Path, mode: u32, wanted: u32) -> io::Result<()> {
    if mode & OTHERS == 0 {
        return Ok(());
    }
    match std::fs::set_permissions(path, Permissions::from_mode(wanted)) {
        Ok(()) => {}
        // A file system that knows no modes: who may look at it is said where it is mounted.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!(path = %path.display(), %error, "others can look at this, and it cannot be closed to them");
            return Ok(());
        }
        Err(error) => return Err(error),
    }
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
    fn a_file_that_is_not_where_it_was_is_missed() {
        let place = TempDir::new().unwrap();
        let (directory, aside) = (place.path().join("data"), place.path().join("aside"));
        std::fs::create_dir(&directory).unwrap();
        let path = directory.join("file");
        let file = options().write(true).create(true).truncate(false).open(&path).unwrap();
        let known = Place::of_file(&path, &file).unwrap();
        assert_eq!(Place::at(&path).unwrap(), known);
        known.check().unwrap();
        // Moved away with its directory, and back.
        std::fs::rename(&directory, &aside).unwrap();
        assert!(known.check().unwrap_err().contains("was removed"));
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(&path, "another").unwrap();
        assert!(known.check().unwrap_err().contains("was replaced"));
        std::fs::remove_dir_all(&directory).unwrap();
        std::fs::rename(&aside, &directory).unwrap();
        known.check().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(known.check().unwrap_err().contains("was removed"));
    }

    #[test]
    fn a_secret_that_others_may_have_written_is_refused() {
        let place = TempDir::new().unwrap();
        let file = place.path().join("secret");
        own_secret(&file).unwrap();
        std::fs::write(&file, "secret").unwrap();
        for mode in [0o622, 0o606, 0o620, 0o666] {
            open_to(&file, mode);
            assert!(own_secret(&file).unwrap_err().to_string().contains("others can write"), "{mode:o}");
            assert!(read_secret(&file).is_err(), "{mode:o}");
        }
        open_to(&file, 0o644);
        assert_eq!(read_secret(&file).unwrap(), b"secret");
        own_secret(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
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
