//! What the platform is told, and what it answers.

use crate::adapters::platform::is_plain;
use crate::adapters::provider::{code_of, is_loopback};
use crate::domain::money::{Currency, Money};
use crate::domain::order::{DisputeStatus, DisputeTold};
use crate::domain::payment::{NextAction, Progress, RefundProgress};
use crate::ports::NoAnswer;
use serde::{Deserialize, Serialize};
use url::Url;

/// The word for a payment that was never made.
pub(super) const UNKNOWN_PAYMENT: &str = "unknown_payment";
/// The word for a refund that was never asked for.
pub(super) const UNKNOWN_REFUND: &str = "unknown_refund";
/// The word for an amount that is another than was asked for.
pub(super) const DIFFERS: &str = "amount_differs";

/// What a payment is made of.
#[derive(Serialize)]
pub(super) struct PaymentInput<'a> {
    pub(super) amount: &'a str,
    pub(super) currency: &'a str,
    pub(super) return_url: &'a str,
    pub(super) notice_url: &'a str,
    pub(super) token: &'a str,
}

/// What a refund is made of.
#[derive(Serialize)]
pub(super) struct RefundInput<'a> {
    pub(super) amount: &'a str,
    pub(super) currency: &'a str,
}

/// What is read of a payment.
#[derive(Deserialize)]
pub(super) struct Payment {
    pub(super) reference: String,
    pub(super) payment: String,
    pub(super) status: String,
    amount: String,
    currency: String,
    #[serde(default)]
    fee: Option<String>,
    #[serde(default)]
    redirect_url: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// What is read of a refund.
#[derive(Deserialize)]
pub(super) struct Refund {
    refund: String,
    status: String,
    amount: String,
    currency: String,
    #[serde(default)]
    reason: Option<String>,
}

/// All of a list, or a page of it.
#[derive(Deserialize)]
pub(super) struct Items<T> {
    pub(super) items: Vec<T>,
    /// From where to go on, where there is more.
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// What is read of a dispute.
#[derive(Deserialize)]
pub(super) struct Dispute {
    id: String,
    payment: String,
    status: String,
    amount: String,
    currency: String,
    #[serde(default)]
    reason: Option<String>,
}

/// A payment of which something has changed.
#[derive(Deserialize)]
pub(super) struct ChangedPayment {
    pub(super) payment: String,
}

fn money(amount: &str, currency: &str) -> Option<Money> {
    let currency: Currency = currency.parse().ok()?;
    Money::parse(amount, currency).ok()
}

fn no_amount() -> NoAnswer {
    NoAnswer("it tells an amount that is none".to_owned())
}

/// Where a buyer may be sent: over TLS, or to this machine itself.
fn is_page(url: &str) -> bool {
    let is_sent = |url: Url| match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(&url),
        _ => false,
    };
    url.len() <= 2_000 && Url::parse(url).is_ok_and(is_sent)
}

impl Payment {
    pub(super) fn money(&self) -> Option<Money> {
        money(&self.amount, &self.currency)
    }

    /// How it stands, of a payment of which so much was asked for.
    pub(super) fn progress(self, asked: Money) -> Result<Progress, NoAnswer> {
        let declined = |reason: &str| Ok(Progress::Declined { reason: reason.to_owned() });
        match self.status.as_str() {
            "succeeded" => {
                let amount = self.money().ok_or_else(no_amount)?;
                let fee = match self.fee.as_deref() {
                    None => None,
                    Some(fee) => Some(money(fee, &self.currency).ok_or_else(no_amount)?),
                };
                Ok(Progress::Succeeded { reference: Some(self.reference), amount, fee })
            }
            // Nobody is sent to pay what was not asked for: it is cancelled.
            "requires_action" if self.money() != Some(asked) => declined(DIFFERS),
            "requires_action" => match self.redirect_url {
                Some(url) if is_page(&url) => {
                    Ok(Progress::NeedsBuyer { action: NextAction::Redirect { url: url.into() } })
                }
                _ => Err(NoAnswer("it says no page that a buyer may be sent to".to_owned())),
            },
            "processing" => Ok(Progress::Processing),
            // By somebody else than this shop, which then cancels it, too, and hears the same again.
            "declined" | "cancelled" => declined(code_of(self.reason.as_deref()).unwrap_or(&self.status)),
            _ => Err(NoAnswer("it tells a status that is none".to_owned())),
        }
    }
}

impl Refund {
    /// How it stands, if it is the one of this name.
    pub(super) fn progress(self, name: &str) -> Result<RefundProgress, NoAnswer> {
        if self.refund != name {
            return Err(NoAnswer("the refund is another one".to_owned()));
        }
        let amount = money(&self.amount, &self.currency).ok_or_else(no_amount)?;
        match self.status.as_str() {
            "succeeded" => Ok(RefundProgress::Succeeded { amount }),
            "pending" => Ok(RefundProgress::Pending),
            "failed" => {
                let reason = code_of(self.reason.as_deref()).unwrap_or("failed").to_owned();
                Ok(RefundProgress::Failed { reason })
            }
            _ => Err(NoAnswer("it tells a status that is none".to_owned())),
        }
    }
}

impl Dispute {
    /// What it says, if it is one of the payment of this name.
    pub(super) fn told(self, of: &str) -> Result<DisputeTold, NoAnswer> {
        if self.payment != of {
            return Err(NoAnswer("the dispute is another payment's".to_owned()));
        }
        if !is_plain(&self.id, 64) {
            return Err(NoAnswer("the name of a dispute is none of the contract's".to_owned()));
        }
        let status = match self.status.as_str() {
            "open" => DisputeStatus::Open,
            "won" => DisputeStatus::Won,
            "lost" => DisputeStatus::Lost,
            _ => return Err(NoAnswer("it tells a status that is none".to_owned())),
        };
        let amount = money(&self.amount, &self.currency).ok_or_else(no_amount)?;
        let reason = code_of(self.reason.as_deref()).unwrap_or("general").to_owned();
        Ok(DisputeTold { id: self.id, status, amount, reason })
    }
}

/// The words of the contract for what is refused.
pub(super) const KNOWN: &[&str] = &[
    UNKNOWN_PAYMENT,
    UNKNOWN_REFUND,
    "other_payment",
    "other_refund",
    "exceeds_payment",
    "not_paid",
    "currency_unsupported",
    "amount_unsupported",
    "token_unsupported",
    "invalid",
    "unauthorized",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ASKED: Money = Money::new(125_000, Currency::BDT);

    fn payment(fields: serde_json::Value) -> Result<Progress, NoAnswer> {
        let mut all = json!({
            "reference": "pay_1", "payment": "order_1.1", "status": "requires_action", "amount": "1250.00",
            "currency": "BDT", "redirect_url": "https://pay.example/p/1",
        });
        for (name, value) in fields.as_object().expect("fields") {
            all[name] = value.clone();
        }
        serde_json::from_value::<Payment>(all).expect("a payment").progress(ASKED)
    }

    fn taken(amount: Money, fee: Option<Money>) -> Result<Progress, NoAnswer> {
        Ok(Progress::Succeeded { reference: Some("pay_1".into()), amount, fee })
    }

    #[test]
    fn every_status_is_read_with_its_amount() {
        let usd: Currency = "USD".parse().unwrap();
        let declined = |reason: &str| Ok(Progress::Declined { reason: reason.into() });
        let page = |url: &str| Ok(Progress::NeedsBuyer { action: NextAction::Redirect { url: url.into() } });
        for (fields, progress) in [
            (json!({}), page("https://pay.example/p/1")),
            (json!({"redirect_url": "http://127.0.0.1:8420/p/1"}), page("http://127.0.0.1:8420/p/1")),
            (json!({"amount": "1249.99"}), declined("amount_differs")),
            (json!({"currency": "USD"}), declined("amount_differs")),
            (json!({"status": "succeeded"}), taken(ASKED, None)),
            (json!({"status": "succeeded", "fee": "12.50"}), taken(ASKED, Some(Money::new(1_250, Currency::BDT)))),
            (json!({"status": "succeeded", "amount": "1.00"}), taken(Money::new(100, Currency::BDT), None)),
            (json!({"status": "succeeded", "currency": "USD"}), taken(Money::new(125_000, usd), None)),
            (json!({"status": "processing"}), Ok(Progress::Processing)),
            (json!({"status": "declined", "reason": "insufficient_funds"}), declined("insufficient_funds")),
            (json!({"status": "declined", "reason": "Card 4242!"}), declined("declined")),
            (json!({"status": "cancelled"}), declined("cancelled")),
        ] {
            assert_eq!(payment(fields.clone()), progress, "{fields}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_outcome() {
        for fields in [
            json!({"status": "succeeded", "amount": "-1250.00"}),
            json!({"status": "succeeded", "amount": "1250"}),
            json!({"status": "succeeded", "currency": "ZZZ"}),
            json!({"status": "succeeded", "fee": "a lot"}),
            json!({"status": "paid"}),
            json!({"redirect_url": null}),
            json!({"redirect_url": "javascript:alert(1)"}),
            json!({"redirect_url": "http://pay.example/p/1"}),
            json!({"redirect_url": "/p/1"}),
        ] {
            payment(fields.clone()).expect_err(&fields.to_string());
        }
        let refund = |status: &str, amount: &str| {
            let fields =
                json!({"refund": "r.1", "status": status, "amount": amount, "currency": "BDT", "reason": "no"});
            serde_json::from_value::<Refund>(fields).expect("a refund")
        };
        refund("succeeded", "1.0").progress("r.1").expect_err("an amount of another currency");
        refund("canceled", "1.00").progress("r.1").expect_err("an unknown status");
        refund("succeeded", "1.00").progress("r.2").expect_err("another refund");
        let amount = Money::new(100, Currency::BDT);
        assert_eq!(refund("succeeded", "1.00").progress("r.1"), Ok(RefundProgress::Succeeded { amount }));
        assert_eq!(refund("failed", "1.00").progress("r.1"), Ok(RefundProgress::Failed { reason: "no".into() }));
    }

    #[test]
    fn a_dispute_is_this_payments_and_says_how_it_stands() {
        let said = |fields: serde_json::Value| {
            let mut all = json!({
                "id": "dp_1", "payment": "order_1.1", "status": "open", "amount": "1.00", "currency": "BDT", "reason": "fraud",
            });
            for (name, value) in fields.as_object().expect("fields") {
                all[name] = value.clone();
            }
            serde_json::from_value::<Dispute>(all).expect("a dispute").told("order_1.1")
        };
        let told = |status, reason: &str| {
            let (id, amount) = ("dp_1".to_owned(), Money::new(100, Currency::BDT));
            Ok(DisputeTold { id, status, amount, reason: reason.to_owned() })
        };
        assert_eq!(said(json!({})), told(DisputeStatus::Open, "fraud"));
        assert_eq!(said(json!({"status": "won", "reason": null})), told(DisputeStatus::Won, "general"));
        assert_eq!(said(json!({"status": "lost", "reason": "Card 4242!"})), told(DisputeStatus::Lost, "general"));
        for fields in [
            json!({"payment": "order_2.1"}),
            json!({"status": "needs_response"}),
            json!({"id": ""}),
            json!({"id": "x".repeat(65)}),
            json!({"id": "dp/1"}),
            json!({"amount": "-1.00"}),
            json!({"amount": "1"}),
            json!({"currency": "ZZZ"}),
        ] {
            said(fields.clone()).expect_err(&fields.to_string());
        }
    }
}
