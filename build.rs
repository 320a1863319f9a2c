//! Embeds the migrations of both stores, which are found by their names: `migrations/<store>/<number>_<what_it_makes>.sql`. Those in
//! `migrations/both/` say the types as Postgres names them, in small letters, and SQLite's are put in their place.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// How SQL is put into what a store takes.
type AsTaken = fn(&str) -> String;

/// What Postgres and a strict table of SQLite call the same. A table ends with a line `);`.
const TYPES: [(&str, &str); 5] =
    [("bigint", "INTEGER"), ("timestamptz", "INTEGER"), ("uuid", "BLOB"), ("text", "TEXT"), ("jsonb", "TEXT")];

/// The same statements, as SQLite takes them. Comments are left out: a word in them may look like a type.
fn for_sqlite(sql: &str) -> String {
    let lines = sql.lines().filter(|line| !line.starts_with("--"));
    let word = |word: &str| {
        let (name, rest) = word.split_at(word.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(word.len()));
        let name = TYPES.iter().find(|(postgres, _)| *postgres == name).map_or(name, |(_, sqlite)| sqlite);
        format!("{name}{rest}")
    };
    let line = |line: &str| match line {
        // The end of a table.
        ");" => ") STRICT;\n".to_owned(),
        line => line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n",
    };
    lines.map(line).collect()
}

/// The number, what it makes and the SQL of each migration in these directories.
fn found(directories: [&Path; 2], as_read: [AsTaken; 2]) -> io::Result<Vec<(i64, String, String)>> {
    let mut steps = Vec::new();
    for (directory, as_read) in directories.into_iter().zip(as_read) {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let parts = name.split_once('_').and_then(|(number, what)| Some((number.parse().ok()?, what)));
            let named = || io::Error::other(format!("{} is not named NUMBER_WHAT.sql", path.display()));
            let (number, what): (i64, &str) = parts.ok_or_else(named)?;
            steps.push((number, what.replace('_', " "), as_read(&fs::read_to_string(&path)?)));
        }
    }
    steps.sort();
    for (step, expected) in steps.iter().zip(1..) {
        if step.0 != expected {
            let what = format!(
                "migrations in {directories:?} are numbered 1, 2, 3 …: there is no number {expected}, or one twice"
            );
            return Err(io::Error::other(what));
        }
    }
    Ok(steps)
}

/// The files below a directory, with their paths from there, in the order of those.
fn files_below(directory: &Path, from: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| io::Error::other("a file of a page has a plain name"))?;
        let name = if from.is_empty() { name.to_owned() } else { format!("{from}/{name}") };
        match entry.file_type()?.is_dir() {
            true => files_below(&entry.path(), &name, files)?,
            // Pages themselves are served as what they are; these are what they ask for.
            false if name.ends_with(".html") => {}
            false => files.push((name, entry.path().canonicalize()?)),
        }
    }
    files.sort();
    Ok(())
}

/// The list of what pages ask for, as a piece of code.
fn pages() -> io::Result<String> {
    let mut files = Vec::new();
    files_below(Path::new("src/http/pages/web"), "", &mut files)?;
    let mut code = String::from("/// All files that pages ask for, by name.\nstatic FILES: &[(&str, &[u8])] = &[\n");
    for (name, path) in files {
        writeln!(code, "    ({name:?}, include_bytes!({path:?})),").map_err(io::Error::other)?;
    }
    code.push_str("];\n");
    Ok(code)
}

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=src/http/pages/web");
    let root = PathBuf::from("migrations");
    let both = root.join("both");
    let mut code = String::new();
    let stores: [(&str, &str, AsTaken); 2] =
        [("POSTGRES", "postgres", str::to_owned), ("SQLITE", "sqlite", for_sqlite)];
    for (name, store, in_both) in stores {
        let steps = found([&root.join(store), &both], [str::to_owned, in_both])?;
        writeln!(code, "pub(in crate::persistence) const {name}: &[Step] = &{steps:?};").map_err(io::Error::other)?;
    }
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo says where to write"))?;
    fs::write(Path::new(&out).join("migrations.rs"), code)?;
    fs::write(Path::new(&out).join("pages.rs"), pages()?)
}
