//! The secrets that tokens are signed with: the newest first, and those before it while their tokens are about.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac;
use std::fmt::{self, Write as _};

/// A secret with a name.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// What tokens call it.
    pub kid: String,
    /// The secret.
    pub secret: Vec<u8>,
}

impl fmt::Debug for SigningKey {
    /// Without the secret, which has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A secret with the name that follows from it.
    pub fn of(secret: &[u8]) -> Self {
        Self { kid: name_of(secret), secret: secret.to_vec() }
    }

    /// Whether a token that names its key so may be of this one: by its own name, or by the one that follows from the secret, which it had before
    /// it stood in a file.
    pub fn is_called(&self, name: &str) -> bool {
        self.kid == name || name_of(&self.secret) == name
    }
}

/// The name of a secret: 8 hexadecimal digits that follow from it (RFC 5869), and from which it does not.
fn name_of(secret: &[u8]) -> String {
    let from = Salt::new(HKDF_SHA256, b"haat accounts").extract(secret);
    // The lengths are fixed: none of this fails.
    let key = from.expand(&[b"id"], hmac::HMAC_SHA256).ok().map(hmac::Key::from);
    let tag = key.map(|key| hmac::sign(&key, b""));
    tag.iter().flat_map(|tag| tag.as_ref().iter().take(4)).fold(String::new(), |mut name, byte| {
        // Writing to a text cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// Secrets, the newest first. There is one at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeys(Vec<SigningKey>);

impl SigningKeys {
    /// One secret.
    pub fn of(secret: &[u8]) -> Self {
        Self(vec![SigningKey::of(secret)])
    }

    /// These, the newest first; `None` where there is none.
    pub fn new(keys: Vec<SigningKey>) -> Option<Self> {
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// All of them, the newest first.
    pub fn all(&self) -> &[SigningKey] {
        &self.0
    }

    /// The one that new tokens are signed with.
    pub fn newest(&self) -> &SigningKey {
        // There is one at least.
        &self.0[0]
    }
}
