//! How amounts of money and moments are written and read: a decimal string with exactly the currency's digits; RFC 3339 in UTC.

use crate::domain::json::{Verbatim, verbatim};
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

/// What is before an amount in the JSON of money.
const HEAD: &[u8] = br#"{"amount":""#;

/// What is behind it, with room for the currency.
const TAIL: &[u8] = br#"","currency":"XXX"}"#;

/// The most characters of an amount: a sign, 19 digits, a point, and a zero before it.
const AMOUNT_CHARS: usize = 22;

/// Room for all three.
const MONEY_CHARS: usize = 64;

/// Where an amount ends.
const AMOUNT_END: usize = MONEY_CHARS - TAIL.len();

/// Where the currency is.
const CODE: std::ops::Range<usize> = MONEY_CHARS - 5..MONEY_CHARS - 2;

/// Room with the tail at its end.
const EMPTY: [u8; MONEY_CHARS] = {
    assert!(HEAD.len() + AMOUNT_CHARS <= AMOUNT_END);
    let (mut chars, mut at) = ([b' '; MONEY_CHARS], 0);
    while at < TAIL.len() {
        chars[AMOUNT_END + at] = TAIL[at];
        at += 1;
    }
    chars
};

/// The JSON of money, written from its end, without an allocation: an order that is shown has dozens of amounts.
#[repr(align(16))]
struct MoneyText {
    chars: [u8; MONEY_CHARS],
    amount_from: usize,
}

impl MoneyText {
    fn new(minor: i64, code: &str, point_at: u32) -> Self {
        let (mut chars, mut amount_from) = (EMPTY, AMOUNT_END);
        chars[CODE].copy_from_slice(code.as_bytes());
        let mut put = |char: u8| {
            amount_from -= 1;
            chars[amount_from] = char;
        };
        let digit = |rest: &mut u64| {
            let digit = b'0' + (*rest % 10) as u8;
            *rest /= 10;
            digit
        };
        let mut rest = minor.unsigned_abs();
        if point_at > 0 {
            for _ in 0..point_at {
                put(digit(&mut rest));
            }
            put(b'.');
        }
        loop {
            put(digit(&mut rest));
            if rest == 0 {
                break;
            }
        }
        if minor < 0 {
            put(b'-');
        }
        chars[amount_from - HEAD.len()..amount_from].copy_from_slice(HEAD);
        Self { chars, amount_from }
    }

    fn part(&self, range: std::ops::Range<usize>) -> &str {
        // All of it is ASCII. To look at the whole takes fewer steps than to begin somewhere within.
        std::str::from_utf8(&self.chars).unwrap_or_default().get(range).unwrap_or_default()
    }

    fn amount(&self) -> &str {
        self.part(self.amount_from..AMOUNT_END)
    }

    fn json(&self) -> &str {
        self.part(self.amount_from - HEAD.len()..MONEY_CHARS)
    }
}

/// Kept apart from what is done for nothing, which takes a third of this.
#[inline(never)]
fn put<S: Serializer>(verbatim: Verbatim<S>, minor: i64, code: &str, digits: u32) -> Result<S::Ok, S::Error> {
    verbatim.put([MoneyText::new(minor, code, digits).json()])
}

impl Serialize for MoneyBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Money { minor, currency }) = *self;
        let (code, digits) = (currency.code(), currency.digits());
        match verbatim(serializer) {
            // Of the amounts of an order most are zero.
            Ok(verbatim) if minor == 0 && digits == 2 => {
                verbatim.put([r#"{"amount":"0.00","currency":""#, code, r#""}"#])
            }
            Ok(verbatim) => put(verbatim, minor, code, digits),
            Err(serializer) => {
                let mut fields = serializer.serialize_struct("Money", 2)?;
                fields.serialize_field("amount", MoneyText::new(minor, code, digits).amount())?;
                fields.serialize_field("currency", code)?;
                fields.end()
            }
        }
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
    use crate::domain::json;
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

    /// Money as serde itself would write it.
    #[derive(Serialize)]
    struct Fields {
        amount: String,
        currency: &'static str,
    }

    fn is_written_as_its_fields(money: Money) {
        let fields = Fields { amount: money.amount_text(), currency: money.currency.code() };
        let expected = serde_json::to_string(&fields).unwrap();
        let body = MoneyBody(money);
        assert_eq!(String::from_utf8(json::written(&body).unwrap()).unwrap(), expected);
        assert_eq!(serde_json::to_string(&body).unwrap(), expected);
    }

    proptest! {
        /// As `Decimal` writes them, in currencies of 0, 2, 3 and 4 digits.
        #[test]
        fn amounts_are_written_as_the_domain_writes_them(minor in prop_oneof![any::<i64>(), -2_000i64..2_000]) {
            for code in ["BDT", "JPY", "KWD", "CLF"] {
                is_written_as_its_fields(Money::new(minor, code.parse::<Currency>().unwrap()));
            }
        }
    }

    #[test]
    fn amounts_of_every_currency_are_written_as_the_domain_writes_them() {
        let codes =
            ('A'..='Z').flat_map(|a| ('A'..='Z').flat_map(move |b| ('A'..='Z').map(move |c| format!("{a}{b}{c}"))));
        let currencies: Vec<Currency> = codes.filter_map(|code| code.parse().ok()).collect();
        assert!(currencies.len() > 150, "{currencies:?}");
        for currency in currencies {
            for minor in [0, 1, -1, 9, 10, 99, 100, 101, 12_345, i64::MAX, i64::MIN] {
                is_written_as_its_fields(Money::new(minor, currency));
            }
        }
    }

    #[test]
    fn money_is_an_amount_and_a_currency() {
        let money = MoneyBody(Money::new(125_000, Currency::BDT));
        assert_eq!(serde_json::to_string(&money).unwrap(), r#"{"amount":"1250.00","currency":"BDT"}"#);
    }
}
