//! Payments by card through Stripe, or whatever speaks as it does.
//!
//! | verb | asks | under the key |
//! | --- | --- | --- |
//! | `prepare` | `POST /v1/payment_intents`, unconfirmed | `{order}/prepare/{mint}` |
//! | `charge` | `POST /v1/payment_intents/{intent}/confirm` | `{order}/confirm/{mint}` |
//! | `look_up` | `GET /v1/payment_intents/{intent}` | |
//! | `cancel` | `POST /v1/payment_intents/{intent}/cancel` | none: Stripe would repeat a refusal of yesterday |
//! | `refund` | `POST /v1/refunds` | `{order}/{attempt}/{mint}` |
//! | `look_up_refund` | `GET /v1/refunds`, all pages | |
//! | `disputes` | `GET /v1/disputes`, all pages | |
//! | `changed` | `GET /v1/events` of disputes and of refunds, a page | |
//!
//! The intent's id is recorded before it is confirmed, and only what is recorded is confirmed: so every outcome that is not known is found
//! by that id, however long that takes, and one that was made and lost is never paid. Whether a refund was made is seen by its metadata. Keys
//! only spare Stripe what is repeated within a day.
//!
//! An answer of 500 is kept by Stripe under its key and repeated for a day: after it the same thing is asked under another key, once it is
//! known that it was not done.
//!
//! A decline leaves an intent that its buyer can still pay. So it is final only when it is cancelled, and a cancelled intent is told of as
//! declined: nothing was taken, and nothing will be. What was refunded is still told of as taken: its refund says the rest.

mod amount;
mod notice;
mod wire;

use crate::adapters::provider::{PATIENCE, Server, code_of};
use crate::domain::entity::PaymentCall;
use crate::domain::ids::OrderId;
use crate::domain::money::{Currency, Money};
use crate::domain::order::{DisputeTold, PaymentChoice};
use crate::domain::payment::{Progress, RefundCall, RefundOf, RefundProgress};
use crate::domain::reject::Reject;
use crate::domain::time::Timestamp;
use crate::ports::{Changed, Headers, NoAnswer, NoNotice, Notice, Payment, PaymentProvider, Prepared};
use amount::{least, of_gateway, to_gateway};
use async_trait::async_trait;
use foldhash::HashMap;
use http::HeaderValue;
use notice::Signers;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use std::time::Duration;
use wire::{Intent, Page, Refund, Said};

/// The name by which checkouts ask for it.
pub const METHOD: &str = "stripe";
/// Where Stripe is.
pub const STRIPE_URL: &str = "https://api.stripe.com";
/// The version of Stripe's interface that this speaks, whatever the account's own one is.
pub const API_VERSION: &str = "2024-06-20";

/// Refunds on a page: as many as Stripe gives.
const PAGE: usize = 100;
/// What tells that something has become of a payment after it was taken.
const EVENTS: [&str; 6] = [
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.refund.updated",
    "refund.failed",
];
/// The most pages of refunds, or of disputes, of one payment: far more than there can be.
const PAGES: usize = 100;
/// Keys under which Stripe keeps an error, at most. What is forgotten is found out again.
const SPENT_KEYS: usize = 10_000;

/// Why Stripe cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StripeSetting {
    /// The key is none.
    #[error("{0}")]
    Key(String),
    /// The URL is none, or cannot be asked.
    #[error("{0}")]
    Url(String),
    /// A secret of notices is none.
    #[error("{0}")]
    Secret(String),
}

/// Whose account at Stripe it is, and where Stripe is.
#[derive(Clone)]
pub struct StripeConfig {
    /// The secret key.
    pub key: String,
    /// Where Stripe is.
    pub url: String,
    /// What notices are signed with; several while one takes the place of another.
    pub secrets: Vec<String>,
}

/// Stripe.
pub struct Stripe {
    server: Server,
    authorization: HeaderValue,
    signers: Signers,
    /// By key, how often Stripe has kept an error under it.
    spent: Mutex<HashMap<String, u32>>,
}

impl Stripe {
    /// Stripe as it is asked with these settings.
    ///
    /// # Errors
    /// Which of them cannot be used, in words, without what is secret.
    pub fn new(config: &StripeConfig) -> Result<Self, StripeSetting> {
        let of_key = |reason: &str| StripeSetting::Key(reason.to_owned());
        let key = config.key.as_str();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !(key.starts_with("sk_") || key.starts_with("rk_")) || !key.bytes().all(is_plain) {
            return Err(of_key("must be a secret key, which begins with sk_ or rk_"));
        }
        let server = Server::new(&config.url).map_err(StripeSetting::Url)?;
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| of_key("cannot be sent"))?;
        authorization.set_sensitive(true);
        Ok(Self {
            server,
            authorization,
            signers: Signers::new(&config.secrets, is_live(key))?,
            spent: Mutex::default(),
        })
    }

    /// The key for this now: another one after each error that Stripe has kept.
    fn key(&self, name: &str) -> String {
        match self.spent.lock().get(name) {
            None => name.to_owned(),
            Some(times) => format!("{name}/{times}"),
        }
    }

    /// Stripe keeps an error under this key.
    fn spend(&self, name: &str) {
        let mut spent = self.spent.lock();
        if spent.len() >= SPENT_KEYS && !spent.contains_key(name) {
            spent.clear();
        }
        *spent.entry(name.to_owned()).or_default() += 1;
    }

    async fn intent(&self, call: &PaymentCall, reference: &str) -> Result<Intent, NoAnswer> {
        let said = self.ask("GET", &format!("/v1/payment_intents/{reference}"), &[], None).await?;
        self.intent_of(call, said)
    }

    /// The intent in an answer, which must be this order's.
    fn intent_of(&self, call: &PaymentCall, said: Said) -> Result<Intent, NoAnswer> {
        if !said.is_done() {
            return Err(said.unexpected());
        }
        let intent: Intent = said.read()?;
        let is_ours = intent.metadata.get("haat_order").is_some_and(|order| *order == call.order.to_string());
        if !is_ours {
            tracing::error!(order = %call.order, "an intent of Stripe's that was recorded is another order's");
            return Err(NoAnswer("the intent is another order's".to_owned()));
        }
        Ok(intent)
    }

    /// A page of a list, from behind this id on.
    async fn page<T: DeserializeOwned>(
        &self,
        path: &str,
        of: &[(&str, &str)],
        after: Option<&str>,
    ) -> Result<Page<T>, NoAnswer> {
        let limit = PAGE.to_string();
        let mut query = of.to_vec();
        query.push(("limit", limit.as_str()));
        query.extend(after.map(|after| ("starting_after", after)));
        let said = self.ask("GET", path, &query, None).await?;
        if said.is_done() { said.read() } else { Err(said.unexpected()) }
    }

    async fn stands(&self, call: &PaymentCall, reference: &str) -> Result<Progress, NoAnswer> {
        self.intent(call, reference).await?.progress()
    }
}

/// The intent of a call, as far as one is recorded. Where a reference is no id of Stripe's, nothing is asked with it.
fn reference_of(reference: Option<&str>) -> Result<Option<&str>, NoAnswer> {
    let is_id = |id: &str| id.starts_with("pi_") && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match reference {
        Some(id) if !is_id(id) => Err(NoAnswer("what is recorded is no intent of Stripe's".to_owned())),
        known => Ok(known),
    }
}

/// Whether a key moves real money, where it says so.
fn is_live(key: &str) -> Option<bool> {
    match key.split('_').nth(1) {
        Some("live") => Some(true),
        Some("test") => Some(false),
        _ => None,
    }
}

/// The end of all keys of a payment.
fn mint_of(mint: Option<crate::domain::buyer::Mint>) -> String {
    mint.map_or_else(|| "1".to_owned(), |mint| mint.to_string())
}

/// By what a refund is known again: the order comes first, and notices are read by that.
fn refund_name(call: &RefundCall) -> String {
    // A refund of a paid order has an id of its own: two of equal amounts are two.
    if let Some(RefundOf { refund, mint }) = call.of {
        return format!("{}/{refund}/{}/{mint}", call.order, call.attempt);
    }
    format!("{}/{}/{}", call.order, call.attempt, mint_of(call.mint))
}

fn refund_progress(refund: &Refund) -> Result<RefundProgress, NoAnswer> {
    Ok(match refund.status.as_deref() {
        Some("succeeded") => {
            let amount = of_gateway(refund.amount, &refund.currency).ok_or_else(wire::no_amount)?;
            RefundProgress::Succeeded { amount }
        }
        Some("failed" | "canceled") => {
            RefundProgress::Failed { reason: code_of(refund.failure_reason.as_deref()).unwrap_or("failed").to_owned() }
        }
        _ => RefundProgress::Pending,
    })
}

#[async_trait]
impl PaymentProvider for Stripe {
    fn method(&self) -> &'static str {
        METHOD
    }

    fn check(&self, choice: &PaymentChoice) -> Result<(), Reject> {
        let token = choice.token.as_str();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        match ["pm_", "card_", "src_"].iter().any(|kind| token.starts_with(kind)) && token.bytes().all(is_plain) {
            true => Ok(()),
            false => {
                let reason = "a payment method of Stripe's is expected, which begins with pm_".into();
                Err(Reject::PaymentUnsupported { reason, token: true })
            }
        }
    }

    fn least(&self, currency: Currency) -> i64 {
        least(currency)
    }

    fn prepares(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    async fn prepare(&self, call: &PaymentCall) -> Result<Prepared, NoAnswer> {
        let refused = |reason: &str| Ok(Prepared::Refused { reason: reason.to_owned() });
        let Some(token) = call.token.as_deref() else { return refused(crate::domain::payment::TOKEN_GONE) };
        let Some(amount) = to_gateway(call.amount) else { return refused("amount_not_payable") };
        let (amount, currency) = (amount.to_string(), call.amount.currency.code().to_ascii_lowercase());
        let (order, mint) = (call.order.to_string(), mint_of(call.mint));
        let form = [
            ("amount", amount.as_str()),
            ("currency", currency.as_str()),
            ("payment_method", token),
            ("payment_method_types[]", "card"),
            ("metadata[haat_order]", order.as_str()),
            ("metadata[haat_attempt]", mint.as_str()),
        ];
        let said = self.ask("POST", "/v1/payment_intents", &form, Some(&format!("{order}/prepare/{mint}"))).await?;
        if said.is_done() {
            let intent: Intent = said.read()?;
            // What could not be asked about later is not begun.
            reference_of(Some(&intent.id))?;
            return Ok(Prepared::Ready { reference: intent.id });
        }
        refused(said.reason())
    }

    async fn charge(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        let Some(reference) = reference_of(call.reference.as_deref())? else {
            return Err(NoAnswer("what is not prepared is not charged".to_owned()));
        };
        let key = format!("{}/confirm/{}", call.order, mint_of(call.mint));
        let said = self.ask("POST", &format!("/v1/payment_intents/{reference}/confirm"), &[], Some(&key)).await?;
        match said.is_done() {
            true => self.intent_of(call, said)?.progress(),
            // Declined, confirmed before, cancelled: the intent itself says which. An answer that it is still to be confirmed would be kept under
            // the key, so another one comes next.
            false => {
                let progress = self.stands(call, reference).await?;
                if progress == Progress::NotStarted {
                    self.spend(&key);
                    return Err(said.unexpected());
                }
                Ok(progress)
            }
        }
    }

    async fn look_up(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        match reference_of(call.reference.as_deref())? {
            // Only what is recorded is ever confirmed.
            None => Ok(Progress::NotStarted),
            Some(reference) => self.stands(call, reference).await,
        }
    }

    async fn cancel(&self, call: &PaymentCall) -> Result<Progress, NoAnswer> {
        let Some(reference) = reference_of(call.reference.as_deref())? else { return Ok(Progress::Cancelled) };
        let said = self.ask("POST", &format!("/v1/payment_intents/{reference}/cancel"), &[], None).await?;
        let intent = match said.is_done() {
            true => self.intent_of(call, said)?,
            // It was paid, or cancelled before, or cannot be cancelled yet.
            false => self.intent(call, reference).await?,
        };
        if intent.status == "canceled" { Ok(Progress::Cancelled) } else { intent.progress() }
    }

    async fn refund(&self, call: &RefundCall) -> Result<RefundProgress, NoAnswer> {
        let failed = |reason: &str| Ok(RefundProgress::Failed { reason: reason.to_owned() });
        let Some(reference) = reference_of(call.reference.as_deref())? else { return failed("nothing_to_refund") };
        let Some(amount) = to_gateway(call.amount) else { return failed("amount_not_payable") };
        let (amount, name) = (amount.to_string(), refund_name(call));
        let form =
            [("payment_intent", reference), ("amount", amount.as_str()), ("metadata[haat_refund]", name.as_str())];
        let said = self.ask("POST", "/v1/refunds", &form, Some(&name)).await?;
        match said.is_done() {
            true => refund_progress(&said.read()?),
            false => failed(said.reason()),
        }
    }

    async fn look_up_refund(&self, call: &RefundCall) -> Result<Option<RefundProgress>, NoAnswer> {
        let Some(reference) = reference_of(call.reference.as_deref())? else { return Ok(None) };
        let name = refund_name(call);
        let mut after: Option<String> = None;
        for _ in 0..PAGES {
            let page: Page<Refund> =
                self.page("/v1/refunds", &[("payment_intent", reference)], after.as_deref()).await?;
            let is_it = |refund: &&Refund| refund.metadata.get("haat_refund").is_some_and(|known| *known == name);
            if let Some(refund) = page.data.iter().find(is_it) {
                return refund_progress(refund).map(Some);
            }
            match page.data.last() {
                Some(last) if page.has_more => after = Some(last.id.clone()),
                _ => return Ok(None),
            }
        }
        Err(NoAnswer("there are more refunds of one payment than can be".to_owned()))
    }

    async fn disputes(&self, call: &PaymentCall) -> Result<Vec<DisputeTold>, NoAnswer> {
        let Some(reference) = reference_of(call.reference.as_deref())? else { return Ok(Vec::new()) };
        let (mut told, mut after) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let of = [("payment_intent", reference)];
            let page: Page<wire::Dispute> = self.page("/v1/disputes", &of, after.as_deref()).await?;
            for dispute in &page.data {
                told.extend(dispute.told()?);
            }
            match page.data.last() {
                Some(last) if page.has_more => after = Some(last.id.clone()),
                _ => return Ok(told),
            }
        }
        Err(NoAnswer("there are more disputes of one payment than can be".to_owned()))
    }

    async fn order_of(&self, reference: &str) -> Result<Option<OrderId>, NoAnswer> {
        let Some(reference) = reference_of(Some(reference))? else { return Ok(None) };
        let said = self.ask("GET", &format!("/v1/payment_intents/{reference}"), &[], None).await?;
        if said.is_absent() {
            return Ok(None);
        }
        if !said.is_done() {
            return Err(said.unexpected());
        }
        let intent: Intent = said.read()?;
        Ok(intent.metadata.get("haat_order").and_then(|order| order_of(order)))
    }

    async fn changed(&self, since: Timestamp, cursor: Option<&str>) -> Result<Changed, NoAnswer> {
        let since = since.as_millis().div_euclid(1_000).to_string();
        let mut of = vec![("created[gte]", since.as_str())];
        of.extend(EVENTS.map(|event| ("types[]", event)));
        let page: Page<notice::Event> = self.page("/v1/events", &of, cursor).await?;
        let mut orders = Vec::new();
        for event in &page.data {
            let order = match event.about() {
                Notice::Order(order) | Notice::After(Payment::Of(order)) => Some(order),
                Notice::After(Payment::Named(reference)) => self.order_of(&reference).await?,
                Notice::Other => None,
            };
            orders.extend(order.filter(|order| !orders.contains(order)));
        }
        let last = page.data.last().and_then(|event| event.id.clone());
        Ok(Changed { orders, next: last.filter(|_| page.has_more) })
    }

    fn notice(&self, header: Headers<'_>, body: &[u8], wall: Timestamp) -> Result<Notice, NoNotice> {
        self.signers.notice(header("stripe-signature"), body, wall)
    }
}

/// The order that a text begins with, which may go on behind a slash.
fn order_of(name: &str) -> Option<OrderId> {
    name.split('/').next()?.parse().ok()
}

/// What Stripe says of an amount, in the order's own way.
fn amount_of(intent: &Intent) -> Option<Money> {
    // A double without the first of them has no other amounts than the one that was asked for.
    of_gateway(intent.amount_received.unwrap_or(intent.amount), &intent.currency)
}
