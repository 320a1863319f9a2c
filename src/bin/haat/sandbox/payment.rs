//! One payment in the sandbox's books, with its refunds and disputes: what may become of it, and nothing of how that is asked for or kept.

use super::faults::{Fault, Faults};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a payment is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PaymentInput {
    pub(super) amount: String,
    pub(super) currency: String,
    pub(super) return_url: String,
    #[serde(default)]
    pub(super) notice_url: Option<String>,
    #[serde(default)]
    pub(super) token: Option<String>,
}

impl PaymentInput {
    /// Whether it is the same payment: where its buyer and its notices go may change.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.amount == other.amount && self.currency == other.currency && self.token == other.token
    }
}

/// What a refund is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefundInput {
    pub(super) amount: String,
    pub(super) currency: String,
}

/// Money of the sandbox: minor units, and how many digits stand behind the point. It reads what it is told and knows no table of currencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Amount {
    pub(super) minor: i64,
    digits: usize,
}

impl Amount {
    /// Reads a decimal text above zero.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) || text.ends_with('.') || fraction.len() > 4 {
            return None;
        }
        let minor: i64 = format!("{whole}{fraction}").parse().ok()?;
        (minor > 0).then_some(Self { minor, digits: fraction.len() })
    }

    fn with(self, minor: i64) -> Self {
        Self { minor, ..self }
    }

    pub(super) fn text(self) -> String {
        let digits = format!("{:0>width$}", self.minor, width = self.digits + 1);
        match digits.split_at(digits.len() - self.digits) {
            (whole, "") => whole.to_owned(),
            (whole, fraction) => format!("{whole}.{fraction}"),
        }
    }
}

/// How a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    RequiresAction,
    Processing,
    Succeeded,
    Declined,
    Cancelled,
}

/// How a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
}

/// A refund.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Refund {
    pub(super) name: String,
    pub(super) input: RefundInput,
    pub(super) amount: Amount,
    pub(super) status: RefundStatus,
    reason: Option<String>,
    /// When it comes to stand otherwise, and how.
    becomes: Option<(i64, RefundStatus)>,
    at: i64,
}

/// What a buyer's bank takes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Dispute {
    pub(super) id: String,
    amount: Amount,
    /// `open`, `won` by the shop, or `lost`.
    status: String,
    reason: String,
    at: i64,
}

/// A payment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Payment {
    /// The shop's name of it.
    pub(super) name: String,
    /// The sandbox's.
    pub(super) reference: String,
    /// What opens its page.
    pub(super) key: String,
    pub(super) input: PaymentInput,
    asked: Amount,
    taken: Amount,
    pub(super) status: Status,
    reason: Option<String>,
    /// When what is being processed is taken.
    settles_at: Option<i64>,
    pub(super) refunds: Vec<Refund>,
    pub(super) disputes: Vec<Dispute>,
    /// When something has last become of it after it was taken.
    #[serde(default)]
    pub(super) changed_at: Option<i64>,
    at: i64,
}

/// Why something is not done: a status of HTTP, and the contract's word for it.
pub(super) type Refused = (u16, &'static str);

/// What a buyer does on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Pay,
    Fail,
    Abandon,
}

/// What the shop is told of.
pub(super) type Told = Vec<&'static str>;

/// Whether what is told came after the payment was taken.
pub(super) fn is_after(told: &Told) -> bool {
    told.iter().any(|kind| matches!(*kind, REFUND | DISPUTE))
}

pub(super) const PAYMENT: &str = "payment.updated";
const REFUND: &str = "refund.updated";
const DISPUTE: &str = "dispute.updated";

impl Payment {
    pub(super) fn new(name: &str, number: usize, key: String, input: PaymentInput, now: i64) -> Result<Self, Refused> {
        let is_url =
            |url: &str| url::Url::parse(url).is_ok_and(|it| matches!(it.scheme(), "http" | "https") && it.has_host());
        let is_currency = input.currency.len() == 3 && input.currency.bytes().all(|byte| byte.is_ascii_uppercase());
        let asked = Amount::parse(&input.amount).ok_or((422, "amount_unsupported"))?;
        if !is_currency {
            return Err((422, "currency_unsupported"));
        }
        if !is_url(&input.return_url) || !input.notice_url.as_deref().is_none_or(is_url) {
            return Err((422, "invalid"));
        }
        Faults::parse(input.token.as_deref().unwrap_or_default()).ok_or((422, "token_unsupported"))?;
        let (name, reference, taken) = (name.to_owned(), format!("pay_{number}"), asked.with(0));
        let (reason, settles_at) = (None, None);
        let status = Status::RequiresAction;
        let (refunds, disputes, changed_at) = (Vec::new(), Vec::new(), None);
        Ok(Self {
            name,
            reference,
            key,
            input,
            asked,
            taken,
            status,
            reason,
            settles_at,
            refunds,
            disputes,
            changed_at,
            at: now,
        })
    }

    pub(super) fn faults(&self) -> Faults {
        let faults = Faults::parse(self.input.token.as_deref().unwrap_or_default());
        faults.unwrap_or(Faults { payment: Fault::Ok, refund: Fault::Ok, notice: Fault::Ok })
    }

    fn take(&mut self) {
        let less = i64::from(self.faults().payment == Fault::Other);
        (self.status, self.taken) = (Status::Succeeded, self.asked.with(self.asked.minor - less));
        (self.reason, self.settles_at) = (None, None);
    }

    /// What the buyer's act comes to. Of what is final nothing comes.
    pub(super) fn act(&mut self, act: Act, now: i64) -> Told {
        if !matches!(self.status, Status::RequiresAction | Status::Declined) {
            return Vec::new();
        }
        let fails = |payment: &mut Self, reason: &str| {
            (payment.status, payment.reason) = (Status::Declined, Some(reason.to_owned()));
            vec![PAYMENT]
        };
        match (act, self.faults().payment) {
            (Act::Abandon, _) | (Act::Pay, Fault::ActionAbandon) => Vec::new(),
            (Act::Fail, _) => fails(self, "authentication_failed"),
            (Act::Pay, Fault::ActionFail) => fails(self, "authentication_failed"),
            (Act::Pay, Fault::Refuse) => fails(self, "card_declined"),
            (Act::Pay, Fault::Late(ms)) => {
                self.status = Status::Processing;
                self.settles_at = Some(now.saturating_add_unsigned(ms));
                vec![PAYMENT]
            }
            (Act::Pay, _) => {
                self.take();
                // Begun, and done: two notices, whose order says nothing.
                vec![PAYMENT, PAYMENT]
            }
        }
    }

    /// Sees to it that nothing is taken; false where it is too late, or too early.
    pub(super) fn cancel(&mut self) -> (bool, Told) {
        match self.status {
            Status::Succeeded | Status::Processing => (false, Vec::new()),
            Status::Cancelled => (true, Vec::new()),
            Status::RequiresAction | Status::Declined => {
                (self.status, self.reason) = (Status::Cancelled, None);
                (true, vec![PAYMENT])
            }
        }
    }

    /// What is there to be given back.
    fn left(&self) -> i64 {
        let given = self.refunds.iter().filter(|refund| refund.status != RefundStatus::Failed);
        let disputed = self.disputes.iter().filter(|dispute| dispute.status != "won");
        let gone: i64 = given.map(|it| it.amount.minor).chain(disputed.map(|it| it.amount.minor)).sum();
        self.taken.minor - gone
    }

    fn part(&self, text: &str) -> Result<Amount, Refused> {
        let amount = Amount::parse(text).filter(|amount| amount.digits == self.asked.digits);
        let amount = amount.ok_or((422, "amount_unsupported"))?;
        match (self.status, amount.minor <= self.left()) {
            (Status::Succeeded, true) => Ok(amount),
            (Status::Succeeded, false) => Err((409, "exceeds_payment")),
            _ => Err((409, "not_paid")),
        }
    }

    /// Gives a part back, once under each name. Says whether it was there already.
    pub(super) fn refund(&mut self, name: &str, input: RefundInput, now: i64) -> Result<(bool, Told), Refused> {
        if let Some(known) = self.refunds.iter().find(|refund| refund.name == name) {
            return if known.input == input { Ok((true, Vec::new())) } else { Err((422, "other_refund")) };
        }
        if input.currency != self.input.currency {
            return Err((422, "currency_unsupported"));
        }
        let amount = self.part(&input.amount)?;
        let in_ms = |ms| now.saturating_add_unsigned(ms);
        // A later refund of a payment whose first one is refused is carried out.
        let is_first = self.refunds.is_empty();
        let (status, reason, becomes) = match self.faults().refund {
            Fault::Refuse if is_first => (RefundStatus::Failed, Some("refund_refused".to_owned()), None),
            Fault::Never => (RefundStatus::Pending, None, None),
            Fault::Late(ms) => (RefundStatus::Pending, None, Some((in_ms(ms), RefundStatus::Succeeded))),
            Fault::FailLate(ms) if is_first => (RefundStatus::Succeeded, None, Some((in_ms(ms), RefundStatus::Failed))),
            _ => (RefundStatus::Succeeded, None, None),
        };
        let name = name.to_owned();
        self.refunds.push(Refund { name, input, amount, status, reason, becomes, at: now });
        Ok((false, vec![REFUND]))
    }

    /// A refund fails, also one that had succeeded: a bank has sent the money back.
    pub(super) fn fail_refund(&mut self, name: &str, reason: &str) -> Option<Told> {
        let refund = self.refunds.iter_mut().find(|refund| refund.name == name)?;
        if refund.status == RefundStatus::Failed {
            return Some(Vec::new());
        }
        (refund.status, refund.reason, refund.becomes) = (RefundStatus::Failed, Some(reason.to_owned()), None);
        Some(vec![REFUND])
    }

    /// The buyer's bank takes a part back, for now.
    pub(super) fn dispute(&mut self, id: String, amount: &str, reason: &str, now: i64) -> Result<Told, Refused> {
        let amount = self.part(amount)?;
        self.disputes.push(Dispute { id, amount, status: "open".to_owned(), reason: reason.to_owned(), at: now });
        Ok(vec![DISPUTE])
    }

    /// A dispute ends, once.
    pub(super) fn close_dispute(&mut self, id: &str, outcome: &str) -> Option<Result<Told, Refused>> {
        let dispute = self.disputes.iter_mut().find(|dispute| dispute.id == id)?;
        Some(match (dispute.status.as_str(), outcome) {
            ("open", "won" | "lost") => {
                dispute.status = outcome.to_owned();
                Ok(vec![DISPUTE])
            }
            (known, outcome) if known == outcome => Ok(Vec::new()),
            (_, "won" | "lost") => Err((409, "dispute_closed")),
            _ => Err((422, "invalid")),
        })
    }

    /// When something of it comes to stand otherwise by itself.
    pub(super) fn due(&self) -> Option<i64> {
        let refunds = self.refunds.iter().filter_map(|refund| refund.becomes.map(|(at, _)| at));
        refunds.chain(self.settles_at).min()
    }

    /// What has come to stand otherwise by now.
    pub(super) fn settle(&mut self, now: i64) -> Told {
        let mut told = Vec::new();
        if self.settles_at.is_some_and(|at| at <= now) {
            self.take();
            told.push(PAYMENT);
        }
        for refund in &mut self.refunds {
            if let Some((_, status)) = refund.becomes.take_if(|(at, _)| *at <= now) {
                refund.status = status;
                refund.reason = (status == RefundStatus::Failed).then(|| "account_closed".to_owned());
                told.push(REFUND);
            }
        }
        told
    }

    /// Where it stands among what has changed: what changes anew comes last.
    pub(super) fn change(&self) -> Option<(i64, usize)> {
        Some((self.changed_at?, self.reference.trim_start_matches("pay_").parse().ok()?))
    }

    /// As the shop is told of it.
    pub(super) fn json(&self, base: &str) -> Value {
        let is_paid = self.status == Status::Succeeded;
        let mut json = json!({
            "payment": self.name, "reference": self.reference, "status": self.status, "currency": self.input.currency,
            "amount": if is_paid { self.taken.text() } else { self.asked.text() },
        });
        if self.status == Status::RequiresAction {
            json["redirect_url"] = format!("{base}/pay/{}?key={}", self.reference, self.key).into();
        }
        if is_paid {
            // Two in a hundred, as such platforms do.
            json["fee"] = self.taken.with(self.taken.minor / 50).text().into();
        }
        if let Some(reason) = &self.reason {
            json["reason"] = reason.as_str().into();
        }
        json
    }

    pub(super) fn refund_json(&self, refund: &Refund) -> Value {
        let mut json = json!({
            "refund": refund.name, "payment": self.name, "status": refund.status, "amount": refund.amount.text(),
            "currency": refund.input.currency, "at": refund.at,
        });
        if let Some(reason) = &refund.reason {
            json["reason"] = reason.as_str().into();
        }
        json
    }

    pub(super) fn dispute_json(&self, dispute: &Dispute) -> Value {
        json!({
            "id": dispute.id, "payment": self.name, "status": dispute.status, "amount": dispute.amount.text(),
            "currency": self.input.currency, "reason": dispute.reason, "at": dispute.at,
        })
    }

    /// As it stands in the books.
    pub(super) fn charge_json(&self) -> Value {
        json!({
            "payment": self.name, "reference": self.reference, "status": self.status, "asked": self.asked.text(),
            "taken": self.taken.text(), "left": self.taken.with(self.left()).text(), "currency": self.input.currency, "at": self.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(token: &str) -> Payment {
        let input = PaymentInput {
            amount: "100.00".into(),
            currency: "BDT".into(),
            return_url: "https://shop.example/back".into(),
            notice_url: None,
            token: Some(token.into()),
        };
        Payment::new("order_1.1", 1, "key".into(), input, 0).expect("a payment")
    }

    fn give(payment: &mut Payment, name: &str, amount: &str) -> Result<bool, Refused> {
        let input = RefundInput { amount: amount.into(), currency: "BDT".into() };
        payment.refund(name, input, 0).map(|(known, _)| known)
    }

    #[test]
    fn amounts_are_read_as_they_are_written() {
        for text in ["100.00", "0.01", "500", "1.234", "12345678.90"] {
            assert_eq!(Amount::parse(text).expect(text).text(), text);
        }
        for text in ["", "0", "0.00", "-1.00", "1.", ".5", "1e3", "1.23456", "99999999999999999999"] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_final_stays_so() {
        let mut paid = payment("tok_ok");
        assert_eq!(paid.act(Act::Abandon, 0).len(), 0);
        assert_eq!(paid.act(Act::Fail, 0).len(), 1);
        assert_eq!(paid.status, Status::Declined);
        paid.act(Act::Pay, 0);
        assert_eq!((paid.status, paid.cancel().0, paid.left()), (Status::Succeeded, false, 10_000));
        paid.act(Act::Fail, 0);
        assert_eq!(paid.status, Status::Succeeded);
        let mut cancelled = payment("tok_ok");
        assert!(cancelled.cancel().0);
        cancelled.act(Act::Pay, 0);
        assert_eq!((cancelled.status, cancelled.cancel().0), (Status::Cancelled, true));
        let mut late = payment("tok_late_50");
        late.act(Act::Pay, 100);
        assert_eq!((late.status, late.due(), late.cancel().0), (Status::Processing, Some(150), false));
        assert!(late.settle(149).is_empty());
        assert_eq!((late.settle(150), late.status), (vec![PAYMENT], Status::Succeeded));
    }

    #[test]
    fn never_more_is_given_back_than_was_taken() {
        let mut paid = payment("tok_ok");
        assert_eq!(give(&mut paid, "r", "1.00"), Err((409, "not_paid")));
        paid.act(Act::Pay, 0);
        assert_eq!(give(&mut paid, "a", "60.00"), Ok(false));
        assert_eq!(give(&mut paid, "a", "60.00"), Ok(true));
        assert_eq!(give(&mut paid, "a", "60.01"), Err((422, "other_refund")));
        assert_eq!(give(&mut paid, "b", "40.01"), Err((409, "exceeds_payment")));
        assert_eq!(give(&mut paid, "b", "0.00"), Err((422, "amount_unsupported")));
        assert!(paid.dispute("dp_1".into(), "30.00", "fraud", 0).is_ok());
        assert_eq!(give(&mut paid, "b", "10.01"), Err((409, "exceeds_payment")));
        assert!(matches!(paid.close_dispute("dp_1", "won"), Some(Ok(_))));
        assert!(matches!(paid.close_dispute("dp_1", "lost"), Some(Err((409, _)))));
        assert_eq!(give(&mut paid, "b", "40.00"), Ok(false));
        assert_eq!(paid.left(), 0);
        assert_eq!(paid.fail_refund("a", "account_closed"), Some(vec![REFUND]));
        assert_eq!((paid.left(), paid.fail_refund("c", "x")), (6_000, None));
    }

    #[test]
    fn a_refund_comes_to_stand_otherwise_in_its_time() {
        for (token, before, after) in [
            ("tok_ok.refund_late_50", RefundStatus::Pending, RefundStatus::Succeeded),
            ("tok_ok.refund_fail_late_50", RefundStatus::Succeeded, RefundStatus::Failed),
            ("tok_ok.refund_never", RefundStatus::Pending, RefundStatus::Pending),
            ("tok_ok.refund_refuse", RefundStatus::Failed, RefundStatus::Failed),
        ] {
            let mut paid = payment(token);
            paid.act(Act::Pay, 0);
            give(&mut paid, "a", "1.00").expect("a refund");
            assert_eq!(paid.refunds[0].status, before, "{token}");
            paid.settle(50);
            assert_eq!((paid.refunds[0].status, paid.due()), (after, None), "{token}");
        }
    }
}
