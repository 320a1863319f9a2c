//! Passwords: which may be taken, and what is kept of them (argon2id, RFC 9106).

use super::email::Email;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;

/// Characters of a password.
pub const LENGTH: std::ops::RangeInclusive<usize> = 10..=128;
/// Bytes of a salt.
const SALT: usize = 16;

/// Passwords that many people have, those of at least ten characters (of `zxcvbn`'s list, by Dan Wheeler and Dropbox; its licence stands beside it).
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common-passwords.txt").lines().collect());

/// A password in the form in which it is hashed. No log shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Password")
    }
}

impl Password {
    /// As somebody types it, whatever is thought of it. Of one that is too long the beginning is enough to be the wrong one.
    pub fn typed(text: &str) -> Self {
        Self(text.nfc().take(LENGTH.end() + 1).collect())
    }

    /// One that somebody chooses for an account of this address.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn chosen(text: &str, email: &Email) -> Result<Self, &'static str> {
        let password = Self::typed(text);
        if !LENGTH.contains(&password.0.chars().count()) {
            return Err("a password has 10 to 128 characters");
        }
        let folded = password.0.to_lowercase();
        if folded == email.as_str() || folded == email.name() {
            return Err("a password is not the address");
        }
        let mut letters = folded.chars();
        let first = letters.next();
        if COMMON.contains(folded.as_str()) || letters.all(|letter| Some(letter) == first) {
            return Err("many people have this password");
        }
        Ok(password)
    }
}

/// How much a hash costs: the memory in KiB, the passes over it and the lanes, as `m=19456,t=2,p=1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost(Params);

impl Default for Cost {
    /// What OWASP's sheet on storing passwords asks for at least.
    fn default() -> Self {
        Self(Params::new(19_456, 2, 1, None).unwrap_or_default())
    }
}

impl FromStr for Cost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "m=KIB,t=PASSES,p=LANES is expected, such as m=19456,t=2,p=1".to_owned();
        let mut numbers = [0; 3];
        let mut parts = text.split(',');
        for (number, name) in numbers.iter_mut().zip(["m=", "t=", "p="]) {
            let part = parts.next().and_then(|part| part.strip_prefix(name)).ok_or_else(expected)?;
            *number = part.parse::<u32>().map_err(|_| expected())?;
        }
        let [memory, passes, lanes] = numbers;
        if parts.next().is_some() {
            return Err(expected());
        }
        // A setting that takes all memory of a machine is a slip of a digit.
        if memory > 1_048_576 || passes > 100 || lanes > 16 {
            return Err("at most 1 GiB, 100 passes and 16 lanes".to_owned());
        }
        Params::new(memory, passes, lanes, None).map(Self).map_err(|error| error.to_string())
    }
}

impl Cost {
    /// What hashes at this cost.
    pub(super) fn argon2(&self) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::V0x13, self.0.clone())
    }
}

/// A hash in the form of the PHC, with a salt of its own. A hash that could not be made is that of no password.
pub(super) fn hashed(argon2: &Argon2<'_>, password: &Password) -> String {
    let mut salt = [0; SALT];
    if rand::fill(&mut salt).is_err() {
        tracing::error!("the system gives no random bytes: a password is not kept");
        return String::new();
    }
    match argon2.hash_password_with_salt(password.0.as_bytes(), &salt) {
        Ok(hash) => hash.to_string(),
        Err(error) => {
            tracing::error!(%error, "a password cannot be hashed");
            String::new()
        }
    }
}

/// Whether a hash is that of a password. It is checked at the cost that it says.
pub(super) fn is_hash_of(argon2: &Argon2<'_>, password: &Password, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| argon2.verify_password(password.0.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> Result<Password, &'static str> {
        Password::chosen(text, &Email::new("rahim.uddin@example.com").unwrap())
    }

    #[test]
    fn a_password_that_can_be_guessed_is_not_taken() {
        for good in ["correct horse battery", "জামদানি শাড়ি ১২৩", &"x1".repeat(64)] {
            assert!(chosen(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "ninechars",
            &"xy".repeat(65),
            "rahim.uddin@example.com",
            "Rahim.Uddin",
            "1234567890",
            "QwertyUiop",
            "aaaaaaaaaaaa",
        ];
        for bad in bad {
            assert!(chosen(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cost_is_read_as_it_is_written_in_hashes() {
        assert_eq!("m=19456,t=2,p=1".parse(), Ok(Cost::default()));
        for bad in [
            "",
            "m=1",
            "m=19456,t=2",
            "t=2,m=19456,p=1",
            "m=19456,t=2,p=1,x=1",
            "m=4294967295,t=1,p=1",
            "m=1,t=1,p=1",
            "m=64,t=0,p=1",
            "m=64,t=1,p=0",
            "m=-1,t=1,p=1",
        ] {
            assert!(bad.parse::<Cost>().is_err(), "{bad}");
        }
    }
}
