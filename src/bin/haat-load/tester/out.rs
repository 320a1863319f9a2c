//! What is said: results on stdout, which must be written or the run has failed, and remarks on stderr, which nobody need hear. The
//! macros of the standard library panic when what they write to is full or closed; so nothing here uses them. What is said acts on
//! nobody: some of it comes from a store, or from the other side of a network.

use super::printable::printable_lines;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The exit code of a program whose reader has left: what a shell tells of one that SIGPIPE ended.
pub const READER_LEFT: u8 = 141;

/// Writes a result to stdout, all of it and at once.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(printable_lines(text).as_bytes())?;
    stdout.flush()
}

/// Whether stdout takes anything at all: asked before what takes long. It is written nothing.
pub fn tried() -> io::Result<()> {
    match rustix::io::write(rustix::stdio::stdout(), &[]) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes a remark to stderr.
pub fn note(text: impl Display) {
    // Where nobody can be told, nobody is.
    let _ = writeln!(io::stderr(), "{}", printable_lines(&text.to_string()));
}

/// The exit code of a program that could not write its result: `code`, unless its reader has left, which is no error of ours and is not
/// told.
pub fn unwritten(program: &str, error: &io::Error, code: u8) -> u8 {
    if error.kind() == ErrorKind::BrokenPipe {
        return READER_LEFT;
    }
    note(format_args!("{program}: stdout could not be written: {error}"));
    code
}

/// A file that a run writes at its end. It is opened, and tried, at its beginning.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    file: File,
    /// It was made here, and is taken away again when the run comes to nothing.
    made: bool,
}

impl Output {
    /// Opens the file, and sees whether there is room in it. What it holds stays until it is written.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let opened = || {
            let made = !path.try_exists()?;
            let file = File::options().write(true).create(true).truncate(false).open(path)?;
            let found = file.metadata()?;
            let mut output = Output { path: path.to_owned(), file, made };
            match found.is_file() && found.len() == 0 {
                // A disk that is full makes a file, and finds no room for its first byte.
                true => output.replace(b"\n").and_then(|()| output.file.set_len(0))?,
                // Nothing is written, and /dev/full says what it would say to more.
                false => {
                    let _nothing = output.file.write(&[])?;
                }
            }
            io::Result::Ok(output)
        };
        opened().with_context(|| format!("could not write to {}", path.display()))
    }

    /// Writes all of it.
    pub fn write(mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.made = false;
        self.replace(bytes).with_context(|| format!("could not write to {}", self.path.display()))
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        use std::io::Seek as _;
        if self.file.metadata()?.is_file() {
            self.file.rewind()?;
            self.file.set_len(0)?;
        }
        self.file.write_all(bytes)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("haat-load-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_file_is_tried_at_once_and_written_at_the_end() {
        let path = place("output");
        drop(Output::open(&path).expect("a file"));
        assert!(!path.exists(), "a run that came to nothing leaves nothing");
        Output::open(&path).expect("a file").write(b"a long report").expect("room");
        drop(Output::open(&path).expect("a file"));
        assert_eq!(std::fs::read(&path).expect("a file"), b"a long report", "a run that came to nothing takes nothing");
        Output::open(&path).expect("a file").write(b"short").expect("room");
        assert_eq!(std::fs::read(&path).expect("a file"), b"short");
        std::fs::remove_file(&path).expect("a file");
    }

    #[test]
    fn what_cannot_be_written_is_told_with_its_path() {
        for path in ["/dev/full", "/nowhere/at/all", "/"] {
            let error = format!("{:#}", Output::open(Path::new(path)).expect_err("an error"));
            assert!(error.contains(&format!("could not write to {path}: ")), "{error}");
        }
        Output::open(Path::new("/dev/null")).expect("a file").write(b"x").expect("room");
    }
}
