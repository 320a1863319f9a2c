//! The secret that signs tokens: given, or kept in the data directory.

use super::{ConfigError, StoreArgs};
use crate::domain::time::Timestamp;
use crate::files;
use crate::persistence::Place;
use crate::ports::keys::SigningKeys;
use clap::Args;
use std::path::{Path, PathBuf};

/// The least number of characters of a secret.
const SECRET_LENGTH: usize = 32;
/// The least number of different characters in it: hexadecimal digits taken at random have more.
const SECRET_DISTINCT: usize = 8;
/// What repeats after fewer characters than this is a short text written often.
const SECRET_PERIOD: usize = 16;
/// The name of the file in the data directory that keeps the secret.
pub const SECRET_FILE: &str = "jwt-secret";

/// The secret that signs tokens.
#[derive(Args, Clone)]
pub struct SecretArgs {
    /// The secret that signs tokens, at least 32 characters. Made and kept in the data directory when the store is embedded.
    #[arg(long = "jwt-secret", env = "HAAT_JWT_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub jwt_secret: Option<String>,
    /// A file with the secrets that sign tokens, as haat keys rotate writes it, in place of the one secret. It is read again when it changes.
    #[arg(long = "jwt-keys", env = "HAAT_JWT_KEYS", value_name = "FILE")]
    pub jwt_keys: Option<PathBuf>,
}

impl SecretArgs {
    /// The file with the secrets, where one is named.
    pub fn file(&self) -> Option<&Path> {
        self.jwt_keys.as_deref().filter(|path| !path.as_os_str().is_empty())
    }

    /// The secrets: those of the file, or the one.
    ///
    /// # Errors
    /// As [`SecretArgs::secret`] and [`keys::read`](super::keys::read).
    pub fn keys(&self, store: &StoreArgs, make: bool, now: Timestamp) -> Result<SigningKeys, ConfigError> {
        match self.file() {
            Some(path) => super::keys::read(path, now),
            None => Ok(SigningKeys::of(&self.secret(store, make)?)),
        }
    }

    /// The secret; with `make`, one is made and kept if there is none.
    ///
    /// # Errors
    /// When it is too short, when there is none and none may be made, or when its file cannot be used.
    pub fn secret(&self, store: &StoreArgs, make: bool) -> Result<Vec<u8>, ConfigError> {
        let setting = "HAAT_JWT_SECRET";
        let place = store.store()?.place;
        if let Some(secret) = self.jwt_secret.as_deref().filter(|secret| !secret.is_empty()) {
            strong(secret.as_bytes()).map_err(|reason| ConfigError::Setting { setting, reason })?;
            return Ok(secret.as_bytes().to_vec());
        }
        if matches!(place, Place::Postgres(_)) {
            let reason = "is required with Postgres: all servers of one database need the same secret".into();
            return Err(ConfigError::Setting { setting, reason });
        }
        kept_secret(&store.data_dir, make)
    }
}

/// Whether a secret is one that cannot be guessed, as far as that can be seen.
pub(super) fn strong(secret: &[u8]) -> Result<(), String> {
    let advice = "take some from /dev/urandom, as the README shows";
    if secret.iter().all(u8::is_ascii_whitespace) {
        return Err(format!("is blank: {advice}"));
    }
    if secret.len() < SECRET_LENGTH {
        return Err(format!("is too short: must have at least {SECRET_LENGTH} characters; {advice}"));
    }
    let distinct = secret.iter().collect::<std::collections::HashSet<_>>().len();
    if distinct < SECRET_DISTINCT {
        return Err(format!("has only {distinct} different characters: {advice}"));
    }
    let repeats = |period: usize| secret.iter().zip(&secret[period..]).all(|(one, other)| one == other);
    if (1..SECRET_PERIOD).any(repeats) {
        return Err(format!("repeats a few characters again and again: {advice}"));
    }
    let steps = secret.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) == 1).count();
    if steps * 4 > secret.len() * 3 {
        return Err(format!("only counts up or down: {advice}"));
    }
    Ok(())
}

/// A file's content without the newline at its end: editors and `echo` put one there, and nobody means it.
fn without_newline(content: &[u8]) -> &[u8] {
    let Some(line) = content.strip_suffix(b"\n") else { return content };
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A new secret: 244 random bits from the operating system.
pub(super) fn drawn() -> String {
    #[expect(clippy::disallowed_methods, reason = "a secret is no id: it must not be repeatable")]
    let random = || uuid::Uuid::new_v4().simple();
    format!("{}{}", random(), random())
}

fn kept_secret(data_dir: &Path, make: bool) -> Result<Vec<u8>, ConfigError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = data_dir.join(SECRET_FILE);
    let failed = |source| ConfigError::File { path: path.clone(), source };
    match files::read_secret(&path) {
        Ok(content) => {
            let secret = without_newline(&content);
            return match strong(secret) {
                Ok(()) => Ok(secret.to_vec()),
                Err(reason) => {
                    let reason = format!("{}: {reason}; remove it to have one made", path.display());
                    Err(ConfigError::Setting { setting: "HAAT_JWT_SECRET", reason })
                }
            };
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && make => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let reason = format!(
                "is not set, and there is no secret in {}: start the server once, or name its data directory",
                data_dir.display()
            );
            return Err(ConfigError::Setting { setting: "HAAT_JWT_SECRET", reason });
        }
        Err(error) => return Err(failed(error)),
    }
    let secret = drawn();
    let options = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = options.map_err(failed)?;
    file.write_all(secret.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(secret.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_can_be_guessed_is_refused() {
        for weak in [
            "".to_owned(),
            " ".repeat(40),
            "\n\t ".repeat(20),
            "short".to_owned(),
            "31 characters are one too few..".to_owned(),
            "x".repeat(64),
            "ab".repeat(32),
            "changeme".repeat(4),
            "password".repeat(8),
            "1234567890".repeat(4),
            "0123456789abcde".repeat(4),
            "abcdefghijklmnopqrstuvwxyz0123456789".to_owned(),
            "zyxwvutsrqponmlkjihgfedcba9876543210".to_owned(),
        ] {
            assert!(strong(weak.as_bytes()).is_err(), "{weak}");
        }
        for secret in [
            "4f1c0b7a9d3e58264f0a1b9c7d2e3f58",
            "a secret that only tests use, 32+ bytes",
            "jwt-secret-47110815-jwt-secret-47110815",
            "correct horse battery staple, said the horse",
        ] {
            assert_eq!(strong(secret.as_bytes()), Ok(()), "{secret}");
        }
        // What is made is strong, and so are 32 digits of chance. Of those one in some millions has too few different
        // ones: so they are the same each time.
        let digits = |number: u128| format!("{:032x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        for made in (0..2_000).map(|_| drawn()).chain((1..=2_000).map(digits)) {
            assert_eq!(strong(made.as_bytes()), Ok(()), "{made}");
        }
    }

    #[test]
    fn one_newline_at_the_end_of_a_secret_is_not_part_of_it() {
        for (content, secret) in
            [("s", "s"), ("s\n", "s"), ("s\r\n", "s"), ("s\n\n", "s\n"), ("\ns", "\ns"), ("s ", "s ")]
        {
            assert_eq!(without_newline(content.as_bytes()), secret.as_bytes());
        }
    }
}
