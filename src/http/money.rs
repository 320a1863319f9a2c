//! How amounts of money and moments are written and read: a decimal string with exactly the currency's digits; RFC 3339 in UTC.

use crate::domain::money::Money;
use crate::domain::time::Timestamp;
use crate::http::object::only_objects;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use utoipa::ToSchema;

/// An amount in an answer. Written straight into the body, without a string of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoneyBody(pub Money);

/// The most characters of an amount: a sign, 19 digits, a point, and a zero before it.
const AMOUNT_CHARS: usize = 22;

/// An amount as text, written from its end, without an allocation.
struct AmountText {
    chars: [u8; AMOUNT_CHARS],
    start: usize,
}

impl AmountText {
    fn new(minor: i64, point_at: u32) -> Self {
        let (mut rest, mut digits) = (minor.unsigned_abs(), 0);
        let (mut chars, mut start) = ([0; AMOUNT_CHARS], AMOUNT_CHARS);
        let mut put = |char: u8| {
            start -= 1;
            chars[start] = char;
        };
        while rest > 0 || digits <= point_at {
            if digits == point_at && digits > 0 {
                put(b'.');
            }
            put(b'0' + (rest % 10) as u8);
            rest /= 10;
            digits += 1;
        }
        if minor < 0 {
            put(b'-');
        }
        Self { chars, start }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.chars[self.start..]).unwrap_or_default()
    }
}

impl Serialize for MoneyBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Money { minor, currency }) = *self;
        let mut fields = serializer.serialize_struct("Money", 2)?;
        match (minor, currency.digits()) {
            // Of the amounts of an order most are zero.
            (0, 2) => fields.serialize_field("amount", "0.00")?,
            (_, digits) => fields.serialize_field("amount", AmountText::new(minor, digits).as_str())?,
        }
        fields.serialize_field("currency", currency.code())?;
        fields.end()
    }
}

/// A positive price in a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct PriceInput {
    /// A decimal string with exactly the currency's number of digits.
    pub amount: String,
    /// ISO 4217.
    pub currency: String,
}

/// A total in a request, zero or more.
#[derive(Clone, Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct TotalInput {
    /// A decimal string with exactly the currency's number of digits.
    pub amount: String,
    /// ISO 4217.
    pub currency: String,
}

only_objects!(PriceInput, TotalInput);

/// A moment in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

/// A moment as text, without the formatter: every order that is shown has two of them.
struct MomentText([u8; 24]);

impl MomentText {
    fn new(moment: Timestamp) -> Self {
        // RFC 3339 has four digits for the year: what is outside is shown as the nearest moment that has a form.
        const LAST: i64 = 253_402_300_799_999;
        let millis = moment.as_millis().clamp(0, LAST);
        let moment =
            time::OffsetDateTime::from_unix_timestamp(millis / 1000).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        let (hour, minute, second) = moment.to_hms();
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |end: usize, mut number: u32| {
            for place in text[..end].iter_mut().rev() {
                if number == 0 {
                    break;
                }
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(4, moment.year().unsigned_abs());
        put(7, u8::from(moment.month()).into());
        put(10, moment.day().into());
        put(13, hour.into());
        put(16, minute.into());
        put(19, second.into());
        put(23, (millis % 1000) as u32);
        Self(text)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MomentText::new(self.0).as_str())
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MomentText::new(self.0).as_str())
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// What there is.
    pub items: Vec<T>,
    /// What to pass as `cursor` for the next page; `null` on the last.
    #[schema(example = json!(null))]
    pub next_cursor: Option<String>,
    /// How things stood when.
    pub as_of: Moment,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Currency;
    use proptest::prelude::*;

    #[test]
    fn moments_are_rfc_3339_in_utc() {
        let text = |millis| Moment(Timestamp::from_millis(millis)).to_string();
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(1_795_234_167_089), "2026-11-21T04:09:27.089Z");
        assert_eq!(text(i64::MAX), "9999-12-31T23:59:59.999Z");
        assert_eq!(text(i64::MIN), "1970-01-01T00:00:00.000Z");
    }

    proptest! {
        #[test]
        fn amounts_are_written_as_the_domain_writes_them(minor in any::<i64>()) {
            for code in ["BDT", "JPY", "KWD"] {
                let money = Money::new(minor, code.parse::<Currency>().unwrap());
                let text = AmountText::new(money.minor, money.currency.digits());
                prop_assert_eq!(text.as_str(), money.amount_text());
            }
        }
    }

    #[test]
    fn money_is_an_amount_and_a_currency() {
        let money = MoneyBody(Money::new(125_000, Currency::BDT));
        assert_eq!(serde_json::to_string(&money).unwrap(), r#"{"amount":"1250.00","currency":"BDT"}"#);
    }
}
