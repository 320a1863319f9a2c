//! Mails to buyers. A job says which mail it is and about what; recipient and text are read when it is sent, so that nothing personal stands in
//! a job, and what was erased is not written to.

mod accounts;
mod order_paid;

use crate::domain::details::{Contact, Known};
use crate::domain::ids::OrderId;
use crate::domain::job::{Job, JobKind, Target, TryOutcome};
use crate::domain::order::OrderView;
use crate::ports::jobs::{JobWorker, Letters, Mail, Mailer, Orders};
use async_trait::async_trait;
use std::sync::Arc;

/// Does the jobs that are mails.
pub struct MailWorker {
    mailer: Option<Arc<dyn Mailer>>,
    orders: Arc<dyn Orders>,
    letters: Arc<dyn Letters>,
    /// How the shop's pages begin for whoever reads a mail, without a slash at its end.
    public_url: String,
}

/// What a mail says.
struct Text {
    event: &'static str,
    subject: String,
    text: String,
    html: String,
}

/// It is tried again.
fn later(reason: String) -> TryOutcome {
    TryOutcome::Failed { reason, retry_after: None, silent: false }
}

/// The language of all mails, as yet.
const LOCALE: &str = "en";

impl MailWorker {
    /// Whoever sends them; without one every mail is left unsent.
    pub fn new(
        mailer: Option<Arc<dyn Mailer>>,
        orders: Arc<dyn Orders>,
        letters: Arc<dyn Letters>,
        public_url: String,
    ) -> Self {
        Self { mailer, orders, letters, public_url }
    }

    /// The mail that a job is about.
    ///
    /// # Errors
    /// What comes of the try when there is none.
    async fn mail(&self, job: &Job) -> Result<Mail, TryOutcome> {
        let (to, text) = match job.kind {
            JobKind::OrderPaidMail => {
                let (order, to) = self.order(job).await?;
                if !order.status.is_paid() {
                    return Err(TryOutcome::Suppressed("the order is not paid any more"));
                }
                (to, order_paid::text(&order))
            }
            JobKind::SignUpMail
            | JobKind::KnownAddressMail
            | JobKind::PasswordResetMail
            | JobKind::TokenReusedMail
            | JobKind::ManyAttemptsMail
            | JobKind::InvitationMail
            | JobKind::KnownInviteeMail
            | JobKind::NewEmailMail
            | JobKind::EmailChangeMail => {
                let found = self.letters.letter(job.kind, job.about).await;
                let letter = found.map_err(|error| later(format!("the account cannot be read: {error}")))?;
                let letter = letter.ok_or(TryOutcome::Suppressed("its time is over, or it was done otherwise"))?;
                let link = letter.token.map(|token| format!("{}/dashboard#token={token}", self.public_url));
                (letter.to, accounts::text(job.kind, link.as_deref()))
            }
            JobKind::AttachOrders
            | JobKind::RefundOrder
            | JobKind::LookAtPayment
            | JobKind::CourierEvent
            | JobKind::BookParcels
            | JobKind::AcceptanceDue
            | JobKind::LookUpParcels
            | JobKind::CorrectTracking => {
                return Err(TryOutcome::Refused { reason: "it is no mail".to_owned() });
            }
        };
        let Text { event, subject, text, html } = text;
        Ok(Mail { id: job.id, to, event, locale: LOCALE, subject, text, html, at: job.made_at })
    }

    /// The order that a job is about, and its buyer's address.
    async fn order(&self, job: &Job) -> Result<(OrderView, String), TryOutcome> {
        let found = self.orders.order(OrderId::from_uuid(job.about.uuid())).await;
        match found.map_err(|error| later(format!("the order cannot be read: {error}")))? {
            Some((order, Known::Here(Contact { email: Some(email), .. }))) => Ok((order, email)),
            Some((_, Known::Erased)) => Err(TryOutcome::Suppressed("the buyer's address was erased")),
            Some((_, Known::Here(_) | Known::Nothing)) => Err(TryOutcome::Suppressed("the buyer gave no address")),
            None => Err(TryOutcome::Suppressed("there is no such order")),
        }
    }
}

#[async_trait]
impl JobWorker for MailWorker {
    fn target(&self) -> Target {
        Target::Mail
    }

    async fn try_job(&self, job: &Job) -> TryOutcome {
        let Some(mailer) = &self.mailer else {
            return TryOutcome::Suppressed("this shop sends no mails");
        };
        if job.unknown {
            match mailer.has_taken(job.id).await {
                Some(Ok(true)) => return TryOutcome::Done,
                Some(Err(error)) => return TryOutcome::Unknown { reason: error.to_string() },
                // Where nobody can tell, a mail that comes twice, under one `Message-ID`, is better than none.
                Some(Ok(false)) | None => {}
            }
        }
        match self.mail(job).await {
            Ok(mail) => mailer.send(&mail).await,
            Err(outcome) => outcome,
        }
    }
}

/// A text as HTML shows it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
