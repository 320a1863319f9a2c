//! The sandbox's tokens: what a buyer's means of payment is to do.

use crate::domain::money::Money;
use crate::limits;

/// What a charge with this token does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `tok_approve`: takes the money.
    Approve,
    /// `tok_decline`: refuses.
    Decline,
    /// `tok_slow_<ms>`: takes the money so many milliseconds after it was first asked.
    Slow(u64),
    /// `tok_late_<ms>`: as [`Token::Slow`], but who asks earlier hears that it is being processed.
    Late(u64),
    /// `tok_never`: neither takes the money nor answers.
    Never,
    /// `tok_flaky_<n>`: fails so many times, then takes the money.
    Flaky(u32),
    /// `tok_lost_reply`: takes the money, but whoever had it taken never hears of it.
    LostReply,
    /// `tok_other_<minor>_<currency>`: takes this much, whatever was asked for.
    Other(Money),
    /// `tok_void_refused`: takes the money, never answers, and refuses for good to give it back.
    VoidRefused,
    /// `tok_approve.refund_refuse`: takes the money, and refuses the first attempt of each refund.
    RefundRefuse,
}

impl Token {
    /// Reads a token. The error says in words what is wrong, without the token: it may be a real one, sent here by mistake.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "tok_approve" => return Ok(Token::Approve),
            "tok_decline" => return Ok(Token::Decline),
            "tok_never" => return Ok(Token::Never),
            "tok_lost_reply" => return Ok(Token::LostReply),
            "tok_void_refused" => return Ok(Token::VoidRefused),
            "tok_approve.refund_refuse" => return Ok(Token::RefundRefuse),
            _ => {}
        }
        for (name, token) in [("tok_slow_", Token::Slow as fn(u64) -> Token), ("tok_late_", Token::Late)] {
            if let Some(digits) = text.strip_prefix(name) {
                let millis = number(digits).filter(|millis| *millis <= limits::SANDBOX_SLOW_MS);
                let wrong = || {
                    let most = limits::SANDBOX_SLOW_MS;
                    format!("{name}<ms> takes a whole number of milliseconds from 0 to {most}")
                };
                return millis.map(token).ok_or_else(wrong);
            }
        }
        if let Some(digits) = text.strip_prefix("tok_flaky_") {
            let times = number(digits).and_then(|times| u32::try_from(times).ok());
            let wrong = || {
                let most = limits::SANDBOX_FAILURES;
                format!("tok_flaky_<n> takes a whole number of failures from 0 to {most}")
            };
            return times.filter(|times| *times <= limits::SANDBOX_FAILURES).map(Token::Flaky).ok_or_else(wrong);
        }
        if let Some(amount) = text.strip_prefix("tok_other_") {
            let money = || {
                let (digits, currency) = amount.split_once('_')?;
                Some(Money::new(number(digits).and_then(|minor| i64::try_from(minor).ok())?, currency.parse().ok()?))
            };
            let wrong = || "tok_other_<minor>_<currency> takes minor units and a currency".to_owned();
            return money().map(Token::Other).ok_or_else(wrong);
        }
        let known = "tok_approve, tok_decline, tok_slow_<ms>, tok_late_<ms>, tok_flaky_<n>, tok_lost_reply, tok_never, tok_other_<minor>_<currency>, tok_void_refused, tok_approve.refund_refuse";
        Err(format!("not a token of the sandbox, which are {known}"))
    }
}

/// A number in plain digits; `parse` alone would take a sign as well.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_read() {
        for (text, token) in [
            ("tok_approve", Token::Approve),
            ("tok_approve.refund_refuse", Token::RefundRefuse),
            ("tok_decline", Token::Decline),
            ("tok_slow_0", Token::Slow(0)),
            ("tok_slow_60000", Token::Slow(60_000)),
            ("tok_late_1500", Token::Late(1_500)),
            ("tok_never", Token::Never),
            ("tok_flaky_0", Token::Flaky(0)),
            ("tok_flaky_100", Token::Flaky(100)),
            ("tok_lost_reply", Token::LostReply),
            ("tok_void_refused", Token::VoidRefused),
            ("tok_other_1000_USD", Token::Other(Money::new(1_000, "USD".parse().unwrap()))),
        ] {
            assert_eq!(Token::parse(text), Ok(token), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_any_other_is_said_without_the_token() {
        for (text, says) in [
            ("", "not a token of the sandbox"),
            ("pm_4242424242424242", "not a token of the sandbox"),
            ("TOK_APPROVE", "not a token of the sandbox"),
            ("tok_approve ", "not a token of the sandbox"),
            ("tok_slow_60001", "milliseconds from 0 to 60000"),
            ("tok_slow_", "milliseconds from 0 to 60000"),
            ("tok_slow_+5", "milliseconds from 0 to 60000"),
            ("tok_slow_99999999999999999999999", "milliseconds from 0 to 60000"),
            ("tok_late_60001", "tok_late_<ms> takes a whole number of milliseconds from 0 to 60000"),
            ("tok_flaky_101", "failures from 0 to 100"),
            ("tok_other_10", "minor units and a currency"),
            ("tok_other_-1_BDT", "minor units and a currency"),
            ("tok_other_1_ZZZ", "minor units and a currency"),
            ("tok_flaky_-1", "failures from 0 to 100"),
            ("tok_flaky_4294967297", "failures from 0 to 100"),
        ] {
            let error = Token::parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
            assert!(text.len() < 12 || !error.contains(text), "{error}");
        }
    }
}
