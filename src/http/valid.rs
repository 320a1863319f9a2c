//! Checks of what a body or a query says beyond its form; all faults of one request are told together.

use crate::domain::money::{Currency, Money, MoneyError};
use crate::http::error::{FieldError, Problem, ProblemKind, Result};
use crate::http::money::{PriceInput, TotalInput};
use serde::de::{self, Deserializer, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What came from outside is echoed up to a length.
pub fn bounded(text: &str) -> String {
    const LIMIT: usize = 200;
    text.chars().take(LIMIT).collect()
}

/// Reads a whole number. For JSON, and for the schemas in the documentation, `2.0` is one too.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    struct Whole;
    impl Visitor<'_> for Whole {
        type Value = i64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number of 64 bits")
        }
        fn visit_i64<E: de::Error>(self, value: i64) -> Result<i64, E> {
            Ok(value)
        }
        fn visit_u64<E: de::Error>(self, value: u64) -> Result<i64, E> {
            i64::try_from(value).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
        }
        fn visit_f64<E: de::Error>(self, value: f64) -> Result<i64, E> {
            /// Up to here every whole number has a float of its own.
            const EXACT: f64 = 9_007_199_254_740_992.0;
            if value.fract() != 0.0 || value.abs() > EXACT {
                return Err(E::invalid_value(de::Unexpected::Float(value), &self));
            }
            #[allow(clippy::cast_possible_truncation, reason = "whole and within what floats tell apart")]
            Ok(value as i64)
        }
    }
    deserializer.deserialize_i64(Whole)
}

/// The faults of one request.
#[derive(Debug, Default)]
pub struct Faults(Vec<FieldError>);

impl Faults {
    /// One more.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) {
        self.0.push(FieldError { field: field.into(), detail: detail.into() });
    }

    /// A text of one line: 1 to `limit` characters, none of them a control character.
    pub fn line(&mut self, field: &str, text: &str, limit: usize) {
        if text.is_empty() {
            self.add(field.to_owned(), "it must not be empty");
        }
        self.optional_line(field, Some(text), limit);
    }

    /// A text of one line that may be absent, or empty.
    pub fn optional_line(&mut self, field: &str, text: Option<&str>, limit: usize) {
        self.text(field, text, limit, |_| false);
    }

    /// A text of several lines that may be absent, or empty.
    pub fn optional_lines(&mut self, field: &str, text: Option<&str>, limit: usize) {
        self.text(field, text, limit, |character| matches!(character, '\n' | '\r' | '\t'));
    }

    fn text(&mut self, field: &str, text: Option<&str>, limit: usize, may: impl Fn(char) -> bool) {
        let Some(text) = text else { return };
        // Bytes first: counting characters is needed only when they do not settle it.
        if text.len() > limit && text.chars().count() > limit {
            self.add(field.to_owned(), format!("it may have {limit} characters"));
        }
        if text.chars().any(|character| (character < ' ' || character == '\u{7f}') && !may(character)) {
            self.add(field.to_owned(), "control characters are not allowed");
        }
    }

    /// A price.
    pub fn price(&mut self, field: &str, input: &PriceInput) -> Option<Money> {
        self.money(field, &input.amount, &input.currency)
    }

    /// A total.
    pub fn total(&mut self, field: &str, input: &TotalInput) -> Option<Money> {
        self.money(field, &input.amount, &input.currency)
    }

    fn money(&mut self, field: &str, amount: &str, currency: &str) -> Option<Money> {
        let parsed = currency.parse::<Currency>().and_then(|currency| Money::parse(amount, currency));
        match parsed {
            Ok(money) => Some(money),
            Err(error @ MoneyError::UnknownCurrency(_)) => {
                self.add(format!("{field}.currency"), error.to_string());
                None
            }
            Err(error) => {
                self.add(format!("{field}.amount"), error.to_string());
                None
            }
        }
    }

    /// Nothing, or the problem of this kind that lists them.
    pub fn done(self, kind: &'static ProblemKind) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Problem::new(kind, "some of what was sent does not fit: see errors").with_errors(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::INVALID_BODY;

    fn faults(check: impl Fn(&mut Faults)) -> usize {
        let mut faults = Faults::default();
        check(&mut faults);
        faults.0.len()
    }

    #[test]
    fn lines_have_a_length_in_characters_and_no_control_characters() {
        assert_eq!(faults(|faults| faults.line("name", "বাংলা", 5)), 0);
        assert_eq!(faults(|faults| faults.line("name", "বাংলাদেশ", 5)), 1);
        assert_eq!(faults(|faults| faults.line("name", "", 5)), 1);
        assert_eq!(faults(|faults| faults.line("name", "a\nb", 5)), 1);
        assert_eq!(faults(|faults| faults.optional_lines("name", Some("a\nb"), 5)), 0);
        assert_eq!(faults(|faults| faults.optional_lines("name", Some("a\u{0}b"), 5)), 1);
        assert_eq!(faults(|faults| faults.optional_line("name", None, 5)), 0);
    }

    #[test]
    fn whole_numbers_are_whole() {
        let read = |text: &str| whole(&mut serde_json::Deserializer::from_str(text)).ok();
        assert_eq!(read("2"), Some(2));
        assert_eq!(read("-2"), Some(-2));
        assert_eq!(read("2.0"), Some(2));
        assert_eq!(read("9223372036854775807"), Some(i64::MAX));
        for bad in ["2.5", "9223372036854775808", "1e30", "\"2\"", "true", "null"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn money_names_the_half_at_fault() {
        let price = |amount: &str, currency: &str| PriceInput { amount: amount.into(), currency: currency.into() };
        let mut faults = Faults::default();
        assert_eq!(faults.price("p", &price("12.50", "BDT")), Some(Money::new(1250, Currency::BDT)));
        assert_eq!(faults.price("p", &price("12.5", "BDT")), None);
        assert_eq!(faults.price("p", &price("12.50", "bdt")), None);
        let fields: Vec<&str> = faults.0.iter().map(|fault| &*fault.field).collect();
        assert_eq!(fields, ["p.amount", "p.currency"]);
        assert_eq!(faults.done(&INVALID_BODY).unwrap_err().kind(), &INVALID_BODY);
    }
}
