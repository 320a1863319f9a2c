//! Checks of what a body or a query says beyond its form; all faults of one request are told together.

use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::text::{TextKind, compose, is_visible, misplaced};
use crate::domain::time::Timestamp;
use crate::http::error::{FieldError, Problem, ProblemKind, Result};
use crate::http::money::{PriceInput, TotalInput};
use crate::limits;
use serde::Deserialize;
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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

/// A number that is read by [`whole`], for where it may be absent or null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole(pub i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        whole(deserializer).map(Self)
    }
}

/// One of a closed list of names. What is no text at all does not fit, as with any other text; read as an enum it would be no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        T::deserialize(name.into_deserializer()).map(Self)
    }
}

/// Reads a parameter of a query: one without a value is as one that is not there. For fields that have a default.
pub fn filled<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(de::Error::custom) }
}

/// [`filled`] for one of a closed list of names.
pub fn filled_name<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.is_empty() { Ok(None) } else { T::deserialize(name.into_deserializer()).map(Some) }
}

/// Reads a field that is there: so one that is absent is told from one that is null. For fields that have a default.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// [`filled`] for what people type: blanks alone are nothing.
pub fn filled_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(Some(text).filter(|text| !text.chars().all(char::is_whitespace)))
}

/// The faults of one request.
#[derive(Debug, Default)]
pub struct Faults(Vec<FieldError>);

impl Faults {
    /// One more.
    pub fn add(&mut self, field: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) {
        self.0.push(FieldError { field: field.into(), detail: detail.into() });
    }

    /// A text of this kind, of which something is to be seen, with at most `limit` characters. It is put into the form
    /// in which texts are kept.
    pub fn text(&mut self, field: &str, text: &mut String, kind: TextKind, limit: usize) {
        if text.is_empty() {
            return self.add(field.to_owned(), "it must not be empty");
        }
        self.optional(field, Some(text), kind, limit);
    }

    /// The same that may be absent, or empty.
    pub fn optional(&mut self, field: &str, text: Option<&mut String>, kind: TextKind, limit: usize) {
        let Some(text) = text else { return };
        compose(text);
        self.opaque(field, text, kind, limit);
    }

    /// The same of a text that is passed on as it came: it is what somebody else called something.
    pub fn opaque(&mut self, field: &str, text: &str, kind: TextKind, limit: usize) {
        if let Some(misplaced) = misplaced(text, kind) {
            self.add(field.to_owned(), format!("U+{:04X} has no meaning there", u32::from(misplaced)));
        } else if !text.is_empty() && !is_visible(text) {
            self.add(field.to_owned(), "nothing of it can be seen");
        } else if text.len() > limit && text.chars().count() > limit {
            // Bytes first: counting characters is needed only when they do not settle it.
            self.add(field.to_owned(), format!("it may have {limit} characters"));
        }
    }

    /// A moment, as RFC 3339 writes it.
    pub fn moment(&mut self, field: &str, text: &str) -> Option<Timestamp> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok();
        let millis = moment.and_then(|moment| i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok());
        let millis = millis.filter(|millis| (0..limits::LAST_MOMENT_MS).contains(millis));
        if millis.is_none() {
            self.add(field.to_owned(), "a moment is expected, such as 2030-11-11T00:00:00+06:00");
        }
        millis.map(Timestamp::from_millis)
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
        let parsed = Currency::of_money(currency).and_then(|currency| Money::parse(amount, currency));
        match parsed {
            Ok(money) => Some(money),
            Err(error @ (MoneyError::UnknownCurrency(_) | MoneyError::NoMoney(_))) => {
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

    fn faults(check: impl FnOnce(&mut Faults)) -> usize {
        let mut faults = Faults::default();
        check(&mut faults);
        faults.0.len()
    }

    #[test]
    fn texts_have_a_length_in_characters_of_the_form_in_which_they_are_kept() {
        let check = |text: &str, kind: TextKind, limit: usize| {
            let mut text = text.to_owned();
            let count = faults(|faults| faults.text("name", &mut text, kind, limit));
            (count, text)
        };
        assert_eq!(check("বাংলা", TextKind::Line, 5).0, 0);
        assert_eq!(check("বাংলাদেশ", TextKind::Line, 5).0, 1);
        assert_eq!(check("", TextKind::Line, 5).0, 1);
        assert_eq!(check("a\nb", TextKind::Line, 5).0, 1);
        assert_eq!(check("a\nb", TextKind::Lines, 5).0, 0);
        assert_eq!(check("a\u{0}b", TextKind::Lines, 5).0, 1);
        assert_eq!(check("e\u{301}e\u{301}", TextKind::Line, 2), (0, "éé".to_owned()));
        assert_eq!(check("\u{3000}", TextKind::Line, 5).0, 1);
        assert_eq!(faults(|faults| faults.optional("name", None, TextKind::Line, 5)), 0);
        assert_eq!(faults(|faults| faults.optional("name", Some(&mut String::new()), TextKind::Line, 5)), 0);
        // What somebody else called something keeps its name.
        assert_eq!(faults(|faults| faults.opaque("token", "tok_e\u{301}", TextKind::Code, 9)), 0);
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
