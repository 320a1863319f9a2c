//! Payments through a platform of the company's own, to which the buyer is sent: docs/redirect-payments.md is what such a platform speaks.
//!
//! | verb | asks |
//! | --- | --- |
//! | `prepare` | `PUT /payments/{payment}` |
//! | `charge`, `look_up` | `GET /payments/{reference}` |
//! | `cancel` | `DELETE /payments/{reference}` |
//! | `refund` | `PUT /payments/{reference}/refunds/{refund}` |
//! | `look_up_refund` | `GET` of the same |
//! | `disputes` | `GET /payments/{reference}/disputes` |
//! | `order_of` | `GET /payments/{reference}` |
//! | `changed` | `GET /changes`, a page |
//!
//! A payment is named by its order and what was drawn for it, a refund by its own id, its attempt and what was drawn for it: whatever is
//! repeated is the same thing again, for ever, so nothing depends on how long keys are kept.
//!
//! The platform takes the money when its buyer says so on its page, and the buyer hears of that page only once the payment is recorded: what was
//! made and lost is never paid. So a charge is no more than a look-up.
//!
//! A platform that has never heard of what is recorded gives no outcome: it may be another one than it was, and what was taken there is still
//! there. Only of a refund it may say so, in a word for that alone.

mod notice;
mod wire;

use crate::adapters::platform::{self, Contract, Platform, PlatformConfig, PlatformSetting, Said};
use crate::adapters::provider::PATIENCE;
use crate::domain::buyer::Mint;
use crate::domain::entity::PaymentCall;
use crate::domain::ids::OrderId;
use crate::domain::order::{DisputeTold, PaymentChoice};
use crate::domain::payment::{Progress, RefundCall, RefundOf, RefundProgress, TOKEN_GONE};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::ports::{Changed, Headers, NoAnswer, NoNotice, Notice, PaymentProvider, Prepared};
use async_trait::async_trait;
use std::time::Duration;
use url::form_urlencoded;
use wire::{ChangedPayment, Dispute, Items, Payment, PaymentInput, Refund, RefundInput};

/// The name by which checkouts ask for it.
pub const METHOD: &str = "redirect";
/// The path of the shop's own to which the platform sends the buyer back.
pub const RETURN_PATH: &str = "/v1/payments/return";
/// The path of the shop's own to which the platform sends its notices.
pub const NOTICE_PATH: &str = "/v1/notices/redirect";

/// The most payments on a page of what has changed: each of them is looked up.
const PAGE: usize = 100;

/// The contract, in words.
const CONTRACT: Contract = Contract {
    platform: "payment platform",
    url: "HAAT_REDIRECT_URL",
    secret: "HAAT_REDIRECT_SECRET",
    codes: wire::KNOWN,
};

/// A payment platform that buyers are sent to.
pub struct Redirect {
    platform: Platform,
    public_url: String,
}

impl Redirect {
    /// The platform as it is asked with these settings.
    ///
    /// # Errors
    /// Which of them cannot be used, in words, without what is secret.
    pub fn new(config: &PlatformConfig) -> Result<Self, PlatformSetting> {
        Ok(Self { platform: Platform::new(config, CONTRACT)?, public_url: config.public_url.clone() })
    }

    /// A payment in an answer, which must be this call's.
    fn payment_of(call: &PaymentCall, said: &Said) -> Result<Payment, NoAnswer> {
        let payment: Payment = said.read()?;
        if payment.payment != payment_name(call.order, call.mint) {
            tracing::error!(order = %call.order, "a payment of the platform's that was recorded is another order's");
            return Err(NoAnswer("the payment is another order's".to_owned()));
        }
        Ok(payment)
    }

    async fn stands(&self, call: &PaymentCall, reference: &str) -> Result<Progress, NoAnswer> {
        let said = self.platform.ask("GET", &format!("/payments/{reference}"), None::<&()>).await?;
        if said.status != 200 {
            return Err(said.unexpected());
        }
        Self::payment_of(call, &said)?.progress(call.amount)
    }
}

/// What the platform calls a payment, as far as that is recorded: it stands in paths, so it is plain.
fn reference_of(reference: Option<&str>) -> Result<Option<&str>, NoAnswer> {
    match reference {
        Some(reference) if !is_plain(reference) => Err(NoAnswer("what is recorded is no payment's name".to_owned())),
        known => Ok(known),
    }
}

fn is_plain(name: &str) -> bool {
    platform::is_plain(name, 100)
}

fn mint_of(mint: Option<Mint>) -> String {
    mint.map_or_else(|| "1".to_owned(), |mint| mint.to_string())
}

/// The shop's own name of a payment. The order comes first, and notices are read by that.
fn payment_name(order: OrderId, mint: Option<Mint>) -> String {
    format!("{order}.{}", mint_of(mint))
}

/// The shop's own name of a refund.
fn refund_name(call: &RefundCall) -> String {
    match call.of {
        // A refund of a paid order has an id of its own: two of equal amounts are two.
        Some(RefundOf { refund, mint }) => format!("{refund}.{}.{mint}", call.attempt),
        None => format!("{}.{}.{}", call.order, call.attempt, mint_of(call.mint)),
    }
}

/// The order that a payment's name begins with.
fn order_of(name: &str) -> Option<OrderId> {
    name.split('.').next()?.parse().ok()
}

/// What asks for a page of what has changed.
fn changes_path(since: Timestamp, cursor: Option<&str>) -> String {
    let since = since.as_millis().div_euclid(1_000).max(0).to_string();
    let fields = [Some(("since", since.as_str())), cursor.map(|cursor| ("after", cursor))];
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields.into_iter().flatten()).finish();
    format!("/changes?{query}")
}

#[async_trait]
impl PaymentProvider for Redirect {
    fn method(&self) -> &'static str {
        METHOD
    }

    /// What the buyer brings is the platform's business: a way of paying, or a word for nothing.
    fn check(&self, choice: &PaymentChoice) -> Result<(), Reject> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        match (1..=100).contains(&choice.token.len()) && choice.token.bytes().all(is_plain) {
            true => Ok(()),
            false => {
                let reason = "at most 100 letters, digits, underlines, dashes and dots are expected".into();
                Err(Reject::PaymentUnsupported { reason, token: true })
            }
        }
    }

    fn prepares(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    async fn prepare(&self, call: &PaymentCall) -> Result<Prepared, NoAnswer> {
        let refused = |reason: &str| Ok(Prepared::Refused { reason: reason.to_owned() });
        let Some(token) = call.token.as_deref() else { return refused(TOKEN_GONE) };
        let amount = call.amount.amount_text();
        let input = PaymentInput {
            amount: &amount,
            currency: call.amount.currency.code(),
            return_url: &format!("{}{RETURN_PATH}?order={}", self.public_url, call.order),
            notice_url: &format!("{}{NOTICE_PATH}", self.public_url),
            token,
        };
        let said = self
            .platform
            .ask("PUT", &format!("/payments/{}", payment_name(call.order, call.mint)), Some(&input))
            .await?;
        if !said.is_done() {
            return refused(said.reason());
        }
        let payment = Self::payment_of(call, &said)?;
        // Its buyer never hears of it.
        if payment.money() != Some(call.amount) {
            return refused(wire::DIFFERS);
        }
        // What could not be asked about later is not begun.
        reference_of(Some(&payment.reference))?;
        Ok(Prepared::Ready { reference: payment.reference })
    }

    async fn charge(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        match reference_of(call.reference.as_deref())? {
            None => Err(NoAnswer("what is not prepared is not charged".to_owned())),
            Some(reference) => self.stands(call, reference).await,
        }
    }

    async fn look_up(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        match reference_of(call.reference.as_deref())? {
            // No buyer has heard of it.
            None => Ok(Progress::NotStarted),
            Some(reference) => self.stands(call, reference).await,
        }
    }

    async fn cancel(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        let Some(reference) = reference_of(call.reference.as_deref())? else { return Ok(Progress::Cancelled) };
        let said = self.platform.ask("DELETE", &format!("/payments/{reference}"), None::<&()>).await?;
        // 409: it was paid, or cannot be cancelled yet.
        if !matches!(said.status, 200 | 409) {
            return Err(said.unexpected());
        }
        let payment = Self::payment_of(call, &said)?;
        if payment.status == "cancelled" { Ok(Progress::Cancelled) } else { payment.progress(call.amount) }
    }

    async fn refund(&self, call: &RefundCall) -> Result<RefundProgress, NoAnswer> {
        let failed = |reason: &str| Ok(RefundProgress::Failed { reason: reason.to_owned() });
        let Some(reference) = reference_of(call.reference.as_deref())? else { return failed("nothing_to_refund") };
        let (amount, name) = (call.amount.amount_text(), refund_name(call));
        let input = RefundInput { amount: &amount, currency: call.amount.currency.code() };
        let said = self.platform.ask("PUT", &format!("/payments/{reference}/refunds/{name}"), Some(&input)).await?;
        match said.status {
            200 | 201 => said.read::<Refund>()?.progress(&name),
            // The platform has never heard of the payment: it may be another one than it was.
            404 => Err(said.unexpected()),
            _ => failed(said.reason()),
        }
    }

    async fn look_up_refund(&self, call: &RefundCall) -> Result<Option<RefundProgress>, NoAnswer> {
        let Some(reference) = reference_of(call.reference.as_deref())? else { return Ok(None) };
        let name = refund_name(call);
        let said = self.platform.ask("GET", &format!("/payments/{reference}/refunds/{name}"), None::<&()>).await?;
        match said.status {
            200 => said.read::<Refund>()?.progress(&name).map(Some),
            404 if said.reason() == wire::UNKNOWN_REFUND => Ok(None),
            _ => Err(said.unexpected()),
        }
    }

    async fn disputes(&self, call: &PaymentCall) -> Result<Vec<DisputeTold>, NoAnswer> {
        // What is not prepared is not paid.
        let Some(reference) = reference_of(call.reference.as_deref())? else { return Ok(Vec::new()) };
        let said = self.platform.ask("GET", &format!("/payments/{reference}/disputes"), None::<&()>).await?;
        if said.status != 200 {
            return Err(said.unexpected());
        }
        let (all, name): (Items<Dispute>, String) = (said.read()?, payment_name(call.order, call.mint));
        all.items.into_iter().map(|dispute| dispute.told(&name)).collect()
    }

    async fn order_of(&self, reference: &str) -> Result<Option<OrderId>, NoAnswer> {
        let Some(reference) = reference_of(Some(reference))? else { return Ok(None) };
        let said = self.platform.ask("GET", &format!("/payments/{reference}"), None::<&()>).await?;
        match said.status {
            200 => Ok(order_of(&said.read::<Payment>()?.payment)),
            404 if said.reason() == wire::UNKNOWN_PAYMENT => Ok(None),
            _ => Err(said.unexpected()),
        }
    }

    async fn changed(&self, since: Timestamp, cursor: Option<&str>) -> Result<Changed, NoAnswer> {
        let path = changes_path(since, cursor);
        let said = self.platform.ask("GET", &path, None::<&()>).await?;
        if said.status != 200 {
            return Err(said.unexpected());
        }
        let page: Items<ChangedPayment> = said.read()?;
        if page.items.len() > PAGE {
            return Err(NoAnswer("there is more on a page than may be".to_owned()));
        }
        // Whoever is sent back to where they are goes round for ever.
        if page.next.as_deref().is_some_and(|next| !is_plain(next) || Some(next) == cursor) {
            return Err(NoAnswer("it says no place from which to go on".to_owned()));
        }
        let mut orders = Vec::new();
        // Another shop may take its payments there, under names of its own.
        for order in page.items.iter().filter_map(|changed| order_of(&changed.payment)) {
            if !orders.contains(&order) {
                orders.push(order);
            }
        }
        Ok(Changed { orders, next: page.next })
    }

    fn notice(&self, header: Headers<'_>, body: &[u8], wall: Timestamp) -> Result<Notice, NoNotice> {
        self.platform.has_signed(header, body, wall)?;
        Ok(notice::read(body))
    }
}
