//! Tokens that are kept nowhere: what a refresh token or a mail's token says is signed, and the row it is about says whether it still counts. So
//! whoever steals a copy of the store has none, and one that was given can be given again.

use crate::ports::keys::{SigningKey, SigningKeys};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::RwLock;
use std::sync::Arc;
use uuid::Uuid;

/// What a mail's token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The address of a sign-up is verified.
    Verify,
    /// Another password is set.
    Reset,
    /// The other address of an account is verified.
    Email,
}

impl Purpose {
    const ALL: [Purpose; 3] = [Purpose::Verify, Purpose::Reset, Purpose::Email];

    const fn name(self) -> &'static str {
        match self {
            Purpose::Verify => "verify",
            Purpose::Reset => "reset",
            Purpose::Email => "email",
        }
    }
}

/// The keys of such tokens. They follow from the secrets that sign access tokens (RFC 5869), and from nothing in the store. A token says which it
/// was made with; new ones are made with the newest.
pub struct Keys(RwLock<Arc<Vec<Key>>>);

struct Key {
    of: SigningKey,
    refresh: hmac::Key,
    mail: hmac::Key,
}

impl Key {
    fn of(of: &SigningKey) -> Result<Self, Unspecified> {
        let from = Salt::new(HKDF_SHA256, b"haat accounts").extract(&of.secret);
        let key = |what: &[u8]| Ok::<_, Unspecified>(hmac::Key::from(from.expand(&[what], HMAC_SHA256)?));
        Ok(Self { of: of.clone(), refresh: key(b"refresh")?, mail: key(b"mail")? })
    }
}

/// What a refresh token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Of which session.
    pub session: Uuid,
    /// The how manieth of it.
    pub number: u64,
}

/// A mail's token that somebody brings. Whether it is one shows when its row is read.
pub struct Brought {
    /// What for.
    pub purpose: Purpose,
    /// The row it is about.
    pub row: Uuid,
    /// The name of the key that it was made with.
    kid: String,
    tag: Vec<u8>,
}

impl Keys {
    /// Of a server with these secrets.
    ///
    /// # Errors
    /// None that is known of: the lengths are fixed.
    pub fn of(secrets: &SigningKeys) -> Result<Self, Unspecified> {
        let keys = secrets.all().iter().map(Key::of).collect::<Result<_, _>>()?;
        Ok(Self(RwLock::new(Arc::new(keys))))
    }

    /// Other secrets from now on.
    ///
    /// # Errors
    /// As [`Keys::of`].
    pub fn set(&self, secrets: &SigningKeys) -> Result<(), Unspecified> {
        *self.0.write() = Self::of(secrets)?.0.into_inner();
        Ok(())
    }

    /// The key that a token names.
    fn called<T>(&self, name: &str, then: impl FnOnce(&Key) -> Option<T>) -> Option<T> {
        let keys = self.0.read().clone();
        then(keys.iter().find(|key| key.of.is_called(name))?)
    }

    /// What is made with the newest.
    fn signed(&self, token: impl FnOnce(&Key) -> String) -> String {
        // There is one at least.
        self.0.read().first().map(token).unwrap_or_default()
    }

    /// A refresh token.
    pub fn refresh_token(&self, Refresh { session, number }: Refresh) -> String {
        self.signed(|key| {
            let tag = hmac::sign(&key.refresh, &refresh_message(session, number));
            format!("rt_{}.{number}.{}.{}", session.simple(), key.of.kid, BASE64_URL_SAFE_NO_PAD.encode(tag))
        })
    }

    /// What a refresh token says; nothing unless it is one of ours.
    pub fn refresh(&self, token: &str) -> Option<Refresh> {
        let mut parts = token.strip_prefix("rt_")?.split('.');
        let mut next = || parts.next();
        let (session, number, id, tag) = (simple(next()?)?, next()?, next()?, next()?);
        let number = number.parse().ok().filter(|read: &u64| read.to_string() == number)?;
        if next().is_some() {
            return None;
        }
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        self.called(id, |key| hmac::verify(&key.refresh, &refresh_message(session, number), &tag).ok())?;
        Some(Refresh { session, number })
    }

    /// The token of a mail about a row, while the row has this nonce.
    pub fn mail_token(&self, purpose: Purpose, row: Uuid, nonce: Uuid) -> String {
        self.signed(|key| {
            let tag = hmac::sign(&key.mail, &mail_message(purpose, row, nonce));
            format!("{}_{}.{}.{}", purpose.name(), row.simple(), key.of.kid, BASE64_URL_SAFE_NO_PAD.encode(tag))
        })
    }

    /// A token of a mail, as far as it can be read without its row.
    pub fn brought(&self, token: &str) -> Option<Brought> {
        let (purpose, rest) = token.split_once('_')?;
        let purpose = Purpose::ALL.into_iter().find(|one| one.name() == purpose)?;
        let mut parts = rest.split('.');
        let (row, id, tag) = (simple(parts.next()?)?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let kid = self.called(id, |key| Some(key.of.kid.clone()))?;
        Some(Brought { purpose, row, kid, tag: BASE64_URL_SAFE_NO_PAD.decode(tag).ok()? })
    }

    /// Whether it is the token of its row, which has this nonce.
    pub fn counts(&self, brought: &Brought, nonce: Uuid) -> bool {
        let message = mail_message(brought.purpose, brought.row, nonce);
        self.called(&brought.kid, |key| hmac::verify(&key.mail, &message, &brought.tag).ok()).is_some()
    }
}

/// An id of 32 digits in small letters: of each token there is one way to write it.
fn simple(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    (id.simple().to_string() == text).then_some(id)
}

fn refresh_message(session: Uuid, number: u64) -> Vec<u8> {
    [session.as_bytes(), &number.to_be_bytes()[..]].concat()
}

fn mail_message(purpose: Purpose, row: Uuid, nonce: Uuid) -> Vec<u8> {
    [purpose.name().as_bytes(), &[0], row.as_bytes(), nonce.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(secret: &[u8]) -> Keys {
        Keys::of(&SigningKeys::of(secret)).unwrap()
    }

    fn keys() -> Keys {
        of(b"a secret that is long enough for a test")
    }

    const ROW: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0007);
    const NONCE: Uuid = Uuid::from_u128(9);

    /// A secret of another server, another number or session, and any other letter make it none.
    #[test]
    fn a_refresh_token_says_what_was_signed() {
        let said = Refresh { session: ROW, number: 3 };
        let token = keys().refresh_token(said);
        assert_eq!(keys().refresh(&token), Some(said));
        assert_eq!(of(b"another secret that is long enough too").refresh(&token), None);
        for at in 0..token.len() {
            let other: String =
                token.chars().enumerate().map(|(place, letter)| if place == at { '~' } else { letter }).collect();
            assert_eq!(keys().refresh(&other), None, "{other}");
        }
        for other in [
            token.replace(".3.", ".4."),
            token.replace(".3.", ".03."),
            format!("{token}."),
            format!("{token}A"),
            token.to_uppercase(),
            String::new(),
        ] {
            assert_eq!(keys().refresh(&other), None, "{other}");
        }
    }

    #[test]
    fn a_mails_token_is_for_one_purpose_one_row_and_one_nonce() {
        let token = keys().mail_token(Purpose::Reset, ROW, NONCE);
        let brought = keys().brought(&token).unwrap();
        assert_eq!((brought.purpose, brought.row), (Purpose::Reset, ROW));
        assert!(keys().counts(&brought, NONCE));
        assert!(!keys().counts(&brought, Uuid::from_u128(10)));
        let verify = keys().brought(&token.replace("reset_", "verify_")).unwrap();
        assert!(!keys().counts(&verify, NONCE));
        let other = of(b"another secret that is long enough too");
        assert!(other.brought(&token).is_none());
        for bad in ["", "reset_", "reset", "reset_x.y.z", &token[1..], &format!("{token}.x"), &token.replace('.', "_")]
        {
            assert!(keys().brought(bad).is_none(), "{bad}");
        }
        // One key signs no token of the other sort.
        assert!(keys().refresh(&token).is_none());
    }

    /// Tokens of the secret before are good while it stands there, under the name it had before it stood in a file, too.
    #[test]
    fn another_secret_takes_the_place_of_the_one_before() {
        let (old, new) = (b"a secret that is long enough for a test", b"another secret that is long enough too!");
        let keys = of(old);
        let said = Refresh { session: ROW, number: 3 };
        let (refresh, mail) = (keys.refresh_token(said), keys.mail_token(Purpose::Reset, ROW, NONCE));
        let named = SigningKey { kid: "2025".to_owned(), secret: old.to_vec() };
        keys.set(&SigningKeys::new(vec![SigningKey::of(new), named.clone()]).unwrap()).unwrap();
        assert_eq!(keys.refresh(&refresh), Some(said));
        let brought = keys.brought(&mail).unwrap();
        assert!(keys.counts(&brought, NONCE));
        let newer = keys.refresh_token(said);
        assert_ne!(newer, refresh);
        assert_eq!(keys.refresh(&newer), Some(said));
        // A key that a token only claims to be of is not tried.
        assert_eq!(keys.refresh(&newer.replace(&SigningKey::of(new).kid, "2025")), None);
        keys.set(&SigningKeys::of(new)).unwrap();
        assert_eq!((keys.refresh(&refresh), keys.refresh(&newer)), (None, Some(said)));
        assert!(keys.brought(&mail).is_none());
    }
}
