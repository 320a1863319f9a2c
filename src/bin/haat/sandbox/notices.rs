//! Sends what the books have to tell, as Standard Webhooks says, until it is heard.

use super::books::{Books, now_ms};
use super::outbox::{Half, Notice};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// How often a notice is sent until it is given up.
const TRIES: u32 = 12;
/// The longest time between two tries, in milliseconds.
const LONGEST_MS: i64 = 60_000;
/// How old a notice says it is that is to be too old, in seconds.
const STALE_S: i64 = 3_600;

/// What the notices of one business are signed with.
pub(super) struct Signer(hmac::Key);

/// What the notices of both are signed with, of what is there of them.
pub(super) struct Signers {
    pub(super) payments: Option<Signer>,
    pub(super) parcels: Option<Signer>,
}

impl Signers {
    fn of(&self, half: Half) -> Option<&Signer> {
        match half {
            Half::Payments => self.payments.as_ref(),
            Half::Parcels => self.parcels.as_ref(),
        }
    }
}

impl Signer {
    /// # Errors
    /// When it is no secret as Standard Webhooks has them.
    pub(super) fn new(setting: &str, secret: &str) -> anyhow::Result<Self> {
        let bytes = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        let bytes = bytes.filter(|bytes| (24..=64).contains(&bytes.len()));
        let bytes =
            bytes.ok_or_else(|| anyhow::anyhow!("{setting}: must be whsec_ and the base64 of 24 to 64 bytes"))?;
        Ok(Self(hmac::Key::new(HMAC_SHA256, &bytes)))
    }

    /// The signature of a body.
    pub(super) fn signature(&self, id: &str, at_s: i64, body: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{id}.{at_s}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}

/// Sends notices for as long as it runs.
pub(super) async fn send(books: &Books, signers: &Signers) -> anyhow::Result<()> {
    // What is sent in the clear goes to the machine itself.
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()?;
    loop {
        let (due, next) = books.due().await?;
        for notice in &due {
            let is_heard = match signers.of(notice.by) {
                Some(signer) => deliver(&client, signer, notice).await,
                // It waits until there is a secret again.
                None => false,
            };
            let wait = 500_i64.saturating_mul(1 << notice.tries.min(16)).min(LONGEST_MS);
            // Nobody who checks signatures hears of a bad one: it is sent once.
            let is_done = is_heard || notice.badly_signed || notice.stale || notice.tries + 1 >= TRIES;
            books.sent(notice, (!is_done).then(|| now_ms() + wait)).await?;
        }
        if !due.is_empty() {
            continue;
        }
        let wait = next.map_or(LONGEST_MS, |at| (at - now_ms()).clamp(1, LONGEST_MS));
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(1));
        let _ = tokio::time::timeout(wait, books.news.notified()).await;
    }
}

async fn deliver(client: &reqwest::Client, signer: &Signer, notice: &Notice) -> bool {
    let Notice { message, body, .. } = notice;
    let at_s = now_ms() / 1_000 - if notice.stale { STALE_S } else { 0 };
    let signed = if notice.badly_signed { "another body" } else { body };
    let signature = signer.signature(message, at_s, signed);
    let request = client
        .post(&notice.url)
        .header("content-type", "application/json")
        .header("webhook-id", message)
        .header("webhook-timestamp", at_s.to_string())
        .header("webhook-signature", signature)
        .body(body.clone());
    match request.send().await {
        Ok(answer) => answer.status().is_success(),
        Err(error) => {
            tracing::debug!(error = %error.without_url(), "a notice was not heard");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's own libraries.
    #[test]
    fn a_signature_is_the_standards() {
        let signer = Signer::new("X", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let signature = signer.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        for wrong in ["", "whsec_", "hush", "whsec_c2hvcnQ="] {
            assert!(Signer::new("X", wrong).is_err(), "{wrong}");
        }
    }
}
