//! Notices as Standard Webhooks says (<https://www.standardwebhooks.com>): what they are signed with.

use super::provider::is_recent;
use crate::domain::time::Timestamp;
use crate::ports::{Headers, NoNotice};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The most signatures of a header that are tried.
const SIGNATURES: usize = 16;

/// What notices may be signed with.
pub(super) struct Signers {
    keys: Vec<hmac::Key>,
}

impl Signers {
    /// # Errors
    /// When one of them is no secret, in words: anyone can sign with nothing.
    pub(super) fn new(secrets: &[String]) -> Result<Self, String> {
        let wrong =
            || "must be secrets as Standard Webhooks has them: whsec_ and the base64 of 24 to 64 bytes".to_owned();
        let key = |secret: &String| {
            let bytes = STANDARD.decode(secret.strip_prefix("whsec_").ok_or_else(wrong)?).map_err(|_| wrong())?;
            if !(24..=64).contains(&bytes.len()) {
                return Err(wrong());
            }
            Ok(hmac::Key::new(HMAC_SHA256, &bytes))
        };
        Ok(Self { keys: secrets.iter().map(key).collect::<Result<_, _>>()? })
    }

    /// Whether who may has signed it lately: any of its signatures with any of the secrets.
    ///
    /// # Errors
    /// See [`NoNotice`].
    pub(super) fn check(&self, header: Headers<'_>, body: &[u8], wall: Timestamp) -> Result<(), NoNotice> {
        if self.keys.is_empty() {
            return Err(NoNotice::NotTaken);
        }
        let text = |name: &str| header(name).and_then(|value| str::from_utf8(value).ok()).ok_or(NoNotice::Forged);
        let (id, at, signatures) = (text("webhook-id")?, text("webhook-timestamp")?, text("webhook-signature")?);
        if !is_recent(at, wall) {
            return Err(NoNotice::Forged);
        }
        let signed = [id.as_bytes(), b".", at.as_bytes(), b".", body].concat();
        let given = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,")).take(SIGNATURES);
        let mut tags = given.filter_map(|tag| STANDARD.decode(tag).ok());
        match tags.any(|tag| self.keys.iter().any(|key| hmac::verify(key, &signed, &tag).is_ok())) {
            true => Ok(()),
            false => Err(NoNotice::Forged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const BODY: &str = r#"{"test": 2432232314}"#;

    /// The example of the Standard Webhooks' own libraries: somebody else has computed its signature.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: &str = "1614265330";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn said(secrets: &[&str], headers: &[(&str, &str)], body: &str, at_s: i64) -> Result<(), NoNotice> {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let headers: HashMap<&str, &str> = headers.iter().copied().collect();
        let header = |name: &str| headers.get(name).map(|value| value.as_bytes());
        let wall = Timestamp::from_millis(at_s * 1_000);
        Signers::new(&secrets).expect("secrets").check(&header, body.as_bytes(), wall)
    }

    #[test]
    fn the_example_of_the_standard_is_taken_and_nothing_else() {
        let good = [("webhook-id", ID), ("webhook-timestamp", AT), ("webhook-signature", SIGNATURE)];
        let at: i64 = AT.parse().unwrap();
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(said(&[SECRET], &good, BODY, at), Ok(()));
        assert_eq!(said(&[other, SECRET], &good, BODY, at + 300), Ok(()));
        let both = format!("v1a,xx v1,AAAA {SIGNATURE}");
        let several = [good[0], good[1], ("webhook-signature", &*both)];
        assert_eq!(said(&[SECRET], &several, BODY, at), Ok(()));
        for (what, answer) in [
            ("another secret", said(&[other], &good, BODY, at)),
            ("too old", said(&[SECRET], &good, BODY, at + 301)),
            ("from the future", said(&[SECRET], &good, BODY, at - 301)),
            ("another body", said(&[SECRET], &good, r#"{"test": 2432232315}"#, at)),
            ("another id", said(&[SECRET], &[("webhook-id", "msg_2"), good[1], good[2]], BODY, at)),
            ("another moment", said(&[SECRET], &[good[0], ("webhook-timestamp", "1614265331"), good[2]], BODY, at)),
            ("no signature", said(&[SECRET], &good[..2], BODY, at)),
            ("no id", said(&[SECRET], &good[1..], BODY, at)),
            ("no version", said(&[SECRET], &[good[0], good[1], ("webhook-signature", &SIGNATURE[3..])], BODY, at)),
        ] {
            assert_eq!(answer, Err(NoNotice::Forged), "{what}");
        }
        assert_eq!(said(&[], &good, BODY, at), Err(NoNotice::NotTaken));
    }

    #[test]
    fn a_secret_is_long_enough_to_be_one() {
        for wrong in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!!!!"] {
            assert!(Signers::new(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
