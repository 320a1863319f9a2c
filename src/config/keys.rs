//! A file with the secrets that sign tokens, so that another can take the place of the one there is, and nobody is signed out: what the one before
//! has signed is taken until it retires.

use super::ConfigError;
use super::secret::{drawn, strong};
use crate::domain::time::Timestamp;
use crate::files;
use crate::limits;
use crate::ports::keys::{SigningKey, SigningKeys};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::Path;

/// The most bytes of the file.
const LONGEST: usize = 64 * 1024;

/// A secret in the file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    kid: String,
    secret: String,
    /// From then on what it has signed is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retire_at: Option<Timestamp>,
}

fn wrong(path: &Path, reason: impl std::fmt::Display) -> ConfigError {
    ConfigError::Setting { setting: "HAAT_JWT_KEYS", reason: format!("{}: {reason}", path.display()) }
}

fn parse(path: &Path, content: &[u8]) -> Result<Vec<Kept>, ConfigError> {
    if content.len() > LONGEST {
        return Err(wrong(path, "is no file of secrets: it is too long"));
    }
    // What stands there is a secret: an error tells its place alone.
    let kept: Vec<Kept> = serde_json::from_slice(content).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        wrong(path, format!("line {line}, column {column}: a list of kid, secret and retire_at is expected"))
    })?;
    for (place, Kept { kid, secret, .. }) in kept.iter().enumerate() {
        if kid.is_empty() || kid.len() > 64 || !kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(wrong(path, "a kid has 1 to 64 letters, digits and '-'"));
        }
        if kept[..place].iter().any(|other| other.kid == *kid || other.secret == *secret) {
            return Err(wrong(path, format!("the key {kid}, or its secret, stands there twice")));
        }
        strong(secret.as_bytes()).map_err(|reason| wrong(path, format!("the secret of {kid} {reason}")))?;
    }
    Ok(kept)
}

/// The secrets that are not retired, the newest first. New tokens are signed with the first that does not retire.
///
/// # Errors
/// When the file cannot be read, others can write to it, or it does not hold what it should.
pub fn read(path: &Path, now: Timestamp) -> Result<SigningKeys, ConfigError> {
    let content = files::read_secret(path).map_err(|error| wrong(path, error))?;
    let kept = parse(path, &content)?;
    let is_there = |kept: &&Kept| kept.retire_at.is_none_or(|at| at > now);
    let (newest, others): (Vec<&Kept>, Vec<&Kept>) =
        kept.iter().filter(is_there).partition(|kept| kept.retire_at.is_none());
    if newest.is_empty() {
        return Err(wrong(path, "no key stands there that does not retire"));
    }
    let key = |kept: &Kept| SigningKey { kid: kept.kid.clone(), secret: kept.secret.clone().into_bytes() };
    SigningKeys::new(newest.into_iter().chain(others).map(key).collect())
        .ok_or_else(|| wrong(path, "no key stands there"))
}

/// Writes a new secret in front of those of the file, which retire when nothing that they have signed is about any more. A file that is not there
/// begins with `first`, where there is one. Gives the name of the new one.
///
/// # Errors
/// As [`read`], and when it cannot be written: then it is as it was.
pub fn rotate(path: &Path, first: Option<&[u8]>, now: Timestamp) -> Result<String, ConfigError> {
    let failed = |error: std::io::Error| wrong(path, error);
    let mut kept = match files::read_secret(path) {
        Ok(content) => parse(path, &content)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = |secret: &[u8]| String::from_utf8(secret.to_vec());
            let secret = first.map(text).transpose().map_err(|_| wrong(path, "the secret there is is no text"))?;
            secret
                .map(|secret| Kept { kid: SigningKey::of(secret.as_bytes()).kid, secret, retire_at: None })
                .into_iter()
                .collect()
        }
        Err(error) => return Err(failed(error)),
    };
    kept.retain(|kept| kept.retire_at.is_none_or(|at| at > now));
    let retires = now.plus_millis(limits::KEY_RETIRES_MS);
    for kept in kept.iter_mut().filter(|kept| kept.retire_at.is_none()) {
        kept.retire_at = Some(retires);
    }
    let secret = drawn();
    let kid = SigningKey::of(secret.as_bytes()).kid;
    kept.insert(0, Kept { kid: kid.clone(), secret, retire_at: None });
    let json = serde_json::to_vec_pretty(&kept).map_err(|error| failed(error.into()))?;
    // A reader sees the file before or the file after, whatever dies in between.
    let beside = path.with_extension(format!("{kid}.new"));
    let written = || -> std::io::Result<()> {
        let mut file = files::options().write(true).create_new(true).open(&beside)?;
        file.write_all(&json)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        let directory = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::File::open(directory)?.sync_all()
    };
    written().map_err(failed)?;
    Ok(kid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_new_key_signs_and_the_one_before_retires() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("keys.json");
        let first = b"4f1c0b7a9d3e58264f0a1b9c7d2e3f58";
        let kid = rotate(&path, Some(first), NOW).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let names = |now| read(&path, now).unwrap().all().iter().map(|key| key.kid.clone()).collect::<Vec<_>>();
        let old = SigningKey::of(first);
        assert_eq!(names(NOW), [kid.clone(), old.kid.clone()]);
        assert!(read(&path, NOW).unwrap().all().contains(&old));
        let later = NOW.plus_millis(limits::KEY_RETIRES_MS);
        assert_eq!(names(later.plus_millis(-1)), [kid.clone(), old.kid]);
        assert_eq!(names(later), std::slice::from_ref(&kid));
        // Those that have retired leave the file at the next rotation.
        let newer = rotate(&path, Some(first), later).unwrap();
        assert_eq!(names(later), [newer, kid]);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
        // A shop without a secret yet begins with a new one.
        let fresh = directory.path().join("fresh.json");
        let kid = rotate(&fresh, None, NOW).unwrap();
        assert_eq!(read(&fresh, NOW).unwrap().newest().kid, kid);
    }

    #[test]
    fn what_is_no_list_of_keys_is_refused_and_shows_no_secret() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("keys.json");
        let good = r#""secret": "4f1c0b7a9d3e58264f0a1b9c7d2e3f58""#;
        for bad in [
            String::new(),
            "[]".to_owned(),
            "{}".to_owned(),
            format!(r#"[{{"kid": "", {good}}}]"#),
            format!(r#"[{{"kid": "a b", {good}}}]"#),
            format!(r#"[{{{good}}}]"#),
            format!(r#"[{{"kid": "a", {good}, "more": 1}}]"#),
            format!(r#"[{{"kid": "a", {good}, "retire_at": 1}}]"#),
            format!(r#"[{{"kid": "a", {good}}}, {{"kid": "b", {good}}}]"#),
            r#"[{"kid": "a", "secret": "short"}]"#.to_owned(),
            r#"[{"kid": "a", "secret": 4711}]"#.to_owned(),
        ] {
            std::fs::write(&path, &bad).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let error = read(&path, NOW).expect_err(&bad).to_string();
            assert!(!error.contains("4f1c0b7a") && !error.contains("short\""), "{error}");
        }
        assert!(read(&directory.path().join("none"), NOW).is_err());
    }
}
