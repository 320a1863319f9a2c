//! Money: whole minor units of one currency. No float, and a rounding only where a percentage is taken.

use iso_currency::{Currency as IsoCurrency, IntoEnumIterator};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// An ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(IsoCurrency);

impl Currency {
    /// The Bangladeshi taka, the default of a new shop.
    pub const BDT: Currency = Currency(IsoCurrency::BDT);

    /// The three letters, for example `BDT`.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// The currency of this code, if goods can be paid in it.
    ///
    /// # Errors
    /// [`MoneyError::UnknownCurrency`], and [`MoneyError::NoMoney`] for what [`Currency::is_money`] says no to.
    pub fn of_money(code: &str) -> Result<Self, MoneyError> {
        let currency: Self = code.parse()?;
        if currency.is_money() { Ok(currency) } else { Err(MoneyError::NoMoney(currency.code())) }
    }

    /// All that goods can be paid in.
    pub fn all_of_money() -> impl Iterator<Item = Self> {
        IsoCurrency::iter().map(Self).filter(|currency| currency.is_money())
    }

    /// Whether it is money that people pay with: not a metal, a unit of account, a fund or a code for tests, and not
    /// replaced by another. What was recorded in such a currency is still read.
    pub fn is_money(self) -> bool {
        // Venezuela has two at the same time, by ISO 4217 from 2021-10-01; the library takes the older one for
        // replaced.
        self.0 == IsoCurrency::VES || self.0.flags().is_empty()
    }

    /// Digits behind the decimal point: 2 for BDT, 0 for JPY, 3 for KWD.
    pub fn digits(self) -> u32 {
        u32::from(self.0.exponent().unwrap_or(0))
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(code: &str) -> Result<Self, MoneyError> {
        IsoCurrency::from_code(code)
            .map(Self)
            .ok_or_else(|| MoneyError::UnknownCurrency(code.chars().take(16).collect()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        code.parse().map_err(de::Error::custom)
    }
}

/// Why a text or a sum is not an amount of money.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not an ISO 4217 code.
    #[error("'{0}' is not an ISO 4217 currency code")]
    UnknownCurrency(String),
    /// An ISO 4217 code, but none of money that is paid with.
    #[error("'{0}' is no currency that goods are paid in")]
    NoMoney(&'static str),
    /// Not a decimal number with exactly the currency's digits.
    #[error("an amount in {currency} is a decimal number with {digits} digits after the point")]
    Malformed {
        /// The currency the amount was to be in.
        currency: Currency,
        /// How many digits it has.
        digits: u32,
    },
    /// Past what 64 bits of minor units hold, or past the limit set on one amount.
    #[error("the amount is too large")]
    TooLarge,
}

/// An amount of money: minor units (paisa, cents) of one currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units.
    pub minor: i64,
    /// The currency they are of.
    pub currency: Currency,
}

impl Money {
    /// `minor` minor units of `currency`.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Reads a decimal text with exactly the currency's number of digits: `1250.00` for BDT, `500` for JPY. Negative
    /// amounts, exponents, signs and spaces are refused.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let digits = currency.digits();
        let malformed = || MoneyError::Malformed { currency, digits };
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if digits > 0 => (whole, fraction),
            None if digits == 0 => (text, ""),
            _ => return Err(malformed()),
        };
        let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() != digits as usize || !numeric(whole) || !numeric(fraction) {
            return Err(malformed());
        }
        let minor = format!("{whole}{fraction}").parse().map_err(|_| MoneyError::TooLarge)?;
        Ok(Self { minor, currency })
    }

    /// The decimal text, with exactly the currency's number of digits.
    pub fn amount_text(self) -> String {
        Decimal::new(self.minor, self.currency.digits()).to_string()
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount_text(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The sum of minor units, or of pieces. Past 64 bits it stays at their end: by the limits nothing comes near, so such a figure stands
/// for a record that cannot have been written, and [`is_past_64_bits`] tells the checks of it.
pub fn sum(amounts: impl IntoIterator<Item = i64>) -> i64 {
    let exact: i128 = amounts.into_iter().map(i128::from).sum();
    i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
}

/// Whether a figure has come to the end of 64 bits.
pub const fn is_past_64_bits(figure: i64) -> bool {
    matches!(figure, i64::MIN | i64::MAX)
}

/// `percent` of `minor` minor units, rounded half to even, once, here. `None` when it does not fit 64 bits.
pub fn percentage(minor: i64, percent: Decimal) -> Option<i64> {
    use rust_decimal::prelude::ToPrimitive;
    Decimal::from(minor)
        .checked_mul(percent)?
        .checked_div(Decimal::ONE_HUNDRED)?
        .round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven)
        .to_i64()
}

/// Splits `minor` (not negative) in proportion to `weights` (not negative, not all zero), so that the parts add up to it to the last minor
/// unit: each gets its whole share, and the units that remain go to the largest fractions, the earlier part first among
/// equals (the largest remainder method of Hamilton). `None` when the arguments do not allow a split.
pub fn split(minor: i64, weights: &[i64]) -> Option<Vec<i64>> {
    if minor < 0 || weights.iter().any(|weight| *weight < 0) {
        return None;
    }
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if sum == 0 {
        return None;
    }
    let exact: Vec<i128> = weights.iter().map(|weight| i128::from(minor) * i128::from(*weight)).collect();
    let mut parts: Vec<i64> = exact.iter().map(|share| i64::try_from(share / sum)).collect::<Result<_, _>>().ok()?;
    let remainder = minor - parts.iter().sum::<i64>();
    let mut by_fraction: Vec<usize> = (0..weights.len()).collect();
    by_fraction.sort_by_key(|index| (std::cmp::Reverse(exact[*index] % sum), *index));
    for index in by_fraction.into_iter().take(usize::try_from(remainder).ok()?) {
        parts[index] += 1;
    }
    Some(parts)
}

/// What the parts from `from` up to `to`, of `of` equal parts of `total`, come to: floor(total × to / of) − floor(total × from / of).
/// Portions that follow each other add up to the total, whatever their sizes. Of nothing it is nothing.
pub fn slice(total: i64, from: i64, to: i64, of: i64) -> i64 {
    let up_to = |part: i64| (i128::from(total) * i128::from(part)).checked_div_euclid(i128::from(of)).unwrap_or(0);
    let portion = up_to(to) - up_to(from);
    i64::try_from(portion).unwrap_or(if portion < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn amounts_have_exactly_the_digits_of_their_currency() {
        assert_eq!(Money::parse("1250.00", Currency::BDT).unwrap().minor, 125_000);
        assert_eq!(Money::parse("500", currency("JPY")).unwrap().minor, 500);
        assert_eq!(Money::parse("1.234", currency("KWD")).unwrap().minor, 1_234);
        for text in ["1250", "1250.0", "1250.000", "-1.00", "+1.00", " 1.00", "1e3", ".50", "1,250.00", "", "१.००"]
        {
            assert!(matches!(Money::parse(text, Currency::BDT), Err(MoneyError::Malformed { .. })), "{text}");
        }
        assert_eq!(Money::parse("92233720368547758.08", Currency::BDT), Err(MoneyError::TooLarge));
        assert!("XYZ".parse::<Currency>().is_err());
    }

    #[test]
    fn metals_funds_tests_and_what_was_replaced_are_no_money() {
        for code in ["BDT", "EUR", "JPY", "XAF", "XOF", "XPF", "XCD", "XCG", "VES", "VED", "ZWG", "SLE", "UYU", "CLP"] {
            assert!(Currency::of_money(code).is_ok(), "{code}");
        }
        for code in [
            "XXX", "XTS", "XAU", "XAG", "XPT", "XPD", "XDR", "XSU", "XUA", "XAD", "XBA", "XBB", "XBC", "XBD", "BOV",
            "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW", "ZWL", "HRK", "BGN", "SLL", "CUC",
        ] {
            assert_eq!(Currency::of_money(code), Err(MoneyError::NoMoney(code)), "{code}");
            assert_eq!(
                serde_json::from_str::<Currency>(&format!("\"{code}\"")).unwrap().code(),
                code,
                "a journal may hold it"
            );
        }
    }

    #[test]
    fn percentages_are_rounded_half_to_even() {
        let tenth = Decimal::new(10, 0);
        assert_eq!(percentage(25, tenth), Some(2));
        assert_eq!(percentage(35, tenth), Some(4));
        assert_eq!(percentage(1_000, Decimal::new(75, 1)), Some(75));
    }

    #[test]
    fn a_slice_is_what_its_parts_come_to() {
        let thirds = [slice(100, 0, 1, 3), slice(100, 1, 2, 3), slice(100, 2, 3, 3)];
        assert_eq!((thirds, slice(100, 0, 3, 3)), ([33, 33, 34], 100));
        assert_eq!((slice(100, 2, 2, 3), slice(5, 0, 0, 0)), (0, 0));
        assert_eq!(slice(i64::MAX, 0, i64::MAX, i64::MAX), i64::MAX);
    }

    #[test]
    fn a_split_gives_the_rest_to_the_largest_fraction() {
        assert_eq!(split(100, &[1, 1, 1]), Some(vec![34, 33, 33]));
        assert_eq!(split(101, &[50, 30, 20]), Some(vec![51, 30, 20]));
        assert_eq!(split(10, &[0, 1]), Some(vec![0, 10]));
        assert_eq!(split(10, &[0, 0]), None);
        assert_eq!(split(-1, &[1]), None);
    }

    proptest! {
        #[test]
        fn text_and_amount_agree(minor in 0..=i64::MAX) {
            for code in ["BDT", "JPY", "KWD"] {
                let money = Money::new(minor, currency(code));
                prop_assert_eq!(Money::parse(&money.amount_text(), money.currency), Ok(money));
            }
        }

        #[test]
        fn the_portions_of_a_total_add_up(total in 0..=i64::MAX, sizes in prop::collection::vec(0..=10_000i64, 1..20)) {
            let of: i64 = sizes.iter().sum();
            prop_assume!(of > 0);
            let (mut from, mut sum) = (0, 0i128);
            for size in sizes {
                let portion = slice(total, from, from + size, of);
                prop_assert!(portion >= 0);
                sum += i128::from(portion);
                from += size;
            }
            prop_assert_eq!(sum, i128::from(total));
        }

        #[test]
        fn the_parts_of_a_split_add_up(minor in 0..=i64::MAX, weights in prop::collection::vec(0..=i64::MAX, 1..20)) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let parts = split(minor, &weights).unwrap();
            prop_assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(minor));
            prop_assert!(parts.iter().all(|part| *part >= 0));
        }
    }
}
