//! Stripe's notices: what they are signed with, and which order they are about.

use super::{StripeSetting, order_of};
use crate::adapters::provider::is_recent;
use crate::domain::time::Timestamp;
use crate::ports::{NoNotice, Notice, Payment};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use foldhash::HashMap;
use serde::Deserialize;

/// The most signatures of a header that are tried.
const SIGNATURES: usize = 16;

/// What notices may be signed with.
pub(super) struct Signers {
    keys: Vec<hmac::Key>,
    /// Whether they are of real money, where that is known.
    live: Option<bool>,
}

/// An event, as a notice brings it and as a list holds it.
#[derive(Deserialize)]
pub(super) struct Event {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    livemode: Option<bool>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: About,
}

/// What an event is about: an intent, a charge, a refund, each with the metadata that it was made with; or a dispute, which names its intent.
#[derive(Deserialize)]
struct About {
    #[serde(default)]
    object: Option<String>,
    #[serde(default)]
    payment_intent: Option<String>,
    #[serde(default)]
    metadata: Option<HashMap<String, String>>,
}

impl Signers {
    /// # Errors
    /// When one of them is empty, or no secret of notices: anyone can sign with nothing.
    pub(super) fn new(secrets: &[String], live: Option<bool>) -> Result<Self, StripeSetting> {
        let wrong =
            || StripeSetting::Secret("must be secrets of webhooks, each of which begins with whsec_".to_owned());
        let key = |secret: &String| {
            let sound = secret.strip_prefix("whsec_").is_some_and(|rest| rest.len() >= 8);
            sound.then(|| hmac::Key::new(HMAC_SHA256, secret.as_bytes())).ok_or_else(wrong)
        };
        Ok(Self { keys: secrets.iter().map(key).collect::<Result<_, _>>()?, live })
    }

    /// What a notice is about, if who may has signed it lately: any of its signatures with any of the secrets.
    pub(super) fn notice(&self, signature: Option<&[u8]>, body: &[u8], wall: Timestamp) -> Result<Notice, NoNotice> {
        if self.keys.is_empty() {
            return Err(NoNotice::NotTaken);
        }
        let signature = signature.and_then(|it| str::from_utf8(it).ok()).ok_or(NoNotice::Forged)?;
        let fields = || signature.split(',').filter_map(|field| field.trim().split_once('='));
        let at = fields().find(|(name, _)| *name == "t").map(|(_, at)| at).ok_or(NoNotice::Forged)?;
        if !is_recent(at, wall) {
            return Err(NoNotice::Forged);
        }
        let signed = [at.as_bytes(), b".", body].concat();
        let given = fields().filter(|(name, _)| *name == "v1").take(SIGNATURES).filter_map(|(_, hex)| bytes_of(hex));
        let is_signed = |tag: Vec<u8>| self.keys.iter().any(|key| hmac::verify(key, &signed, &tag).is_ok());
        if !given.into_iter().any(is_signed) {
            return Err(NoNotice::Forged);
        }
        let Ok(event) = serde_json::from_slice::<Event>(body) else { return Ok(Notice::Other) };
        if self.live.is_some() && event.livemode.is_some() && event.livemode != self.live {
            return Ok(Notice::Other);
        }
        Ok(event.about())
    }
}

impl Event {
    /// What it is about.
    pub(super) fn about(&self) -> Notice {
        let About { object, payment_intent, metadata } = &self.data.object;
        let named = |name: &str| metadata.as_ref().and_then(|metadata| order_of(metadata.get(name)?));
        match (object.as_deref(), payment_intent) {
            (Some("dispute"), Some(intent)) => Notice::After(Payment::Named(intent.clone())),
            _ => match named("haat_refund") {
                Some(order) => Notice::After(Payment::Of(order)),
                None => named("haat_order").map_or(Notice::Other, Notice::Order),
            },
        }
    }
}

/// The bytes of a text in hexadecimal digits.
fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}
