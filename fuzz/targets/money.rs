//! Money: texts against `rust_decimal`, percentages and splits against whole numbers of 128 bits. Nothing is lost, nothing panics.
#![no_main]

use haat::domain::money::{Currency, Money, MoneyError, percentage, split};
use haat::http::money::MoneyBody;
use haat_fuzz::fuzz_target;
use rust_decimal::Decimal;

/// A currency's number and, past the numbers, its code; minor units; a percentage's digits and scale; weights; an amount.
type Input<'a> = (u8, &'a str, i64, (i64, u8), Vec<i64>, &'a str);

/// A text of digits, a point and exactly so many digits more is an amount, and nothing else is.
fn check_text(text: &str, currency: Currency) {
    let digits = currency.digits() as usize;
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = !whole.is_empty()
        && numeric(whole)
        && match fraction {
            Some(fraction) => digits > 0 && fraction.len() == digits && numeric(fraction),
            None => digits == 0,
        };
    let figures = || {
        text.bytes()
            .filter(u8::is_ascii_digit)
            .try_fold(0i128, |sum, digit| sum.checked_mul(10)?.checked_add(i128::from(digit - b'0')))
    };
    match Money::parse(text, currency) {
        Ok(money) => {
            assert!(well_formed, "{text}");
            assert_eq!(figures(), Some(i128::from(money.minor)), "{text}");
            assert_eq!(money.amount_text(), without_leading_zeros(text));
            let decimal = Decimal::new(money.minor, currency.digits());
            assert_eq!(money.amount_text().parse(), Ok(decimal));
        }
        Err(MoneyError::Malformed { .. }) => assert!(!well_formed, "{text}"),
        Err(MoneyError::TooLarge) => {
            assert!(well_formed && figures().is_none_or(|figures| figures > i128::from(i64::MAX)), "{text}");
        }
        Err(error) => panic!("{text}: {error}"),
    }
}

/// A text without leading zeros, but for the one before the point.
fn without_leading_zeros(text: &str) -> String {
    let rest = text.trim_start_matches('0');
    if rest.is_empty() || rest.starts_with('.') { format!("0{rest}") } else { rest.to_owned() }
}

/// value / divisor, rounded half to even.
fn rounded(value: i128, divisor: i128) -> i128 {
    let (floor, rest) = (value.div_euclid(divisor), value.rem_euclid(divisor));
    match (rest * 2).cmp(&divisor) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Greater => floor + 1,
        std::cmp::Ordering::Equal => floor + floor.rem_euclid(2),
    }
}

fn check_percentage(minor: i64, (mantissa, scale): (i64, u8)) {
    let scale = u32::from(scale % 29);
    let percent = Decimal::from_i128_with_scale(i128::from(mantissa), scale);
    let exact = rounded(i128::from(minor) * i128::from(mantissa), 100 * 10i128.pow(scale));
    assert_eq!(percentage(minor, percent), i64::try_from(exact).ok(), "{percent} % of {minor}");
}

fn check_split(minor: i64, weights: &[i64]) {
    let sum: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    let possible = minor >= 0 && weights.iter().all(|weight| *weight >= 0) && sum > 0;
    let Some(parts) = split(minor, weights) else {
        assert!(!possible, "{minor} by {weights:?}");
        return;
    };
    assert!(possible && parts.len() == weights.len());
    assert_eq!(parts.iter().map(|part| i128::from(*part)).sum::<i128>(), i128::from(minor));
    if i64::try_from(sum).is_err() {
        // What follows would not fit 128 bits.
        return;
    }
    for (part, weight) in parts.iter().zip(weights) {
        // No part is a whole unit away from its exact share.
        let off = i128::from(*part) * sum - i128::from(minor) * i128::from(*weight);
        assert!(off.abs() < sum, "{minor} by {weights:?}: {parts:?}");
    }
    for (one, other) in
        parts.iter().zip(weights).flat_map(|one| parts.iter().zip(weights).map(move |other| (one, other)))
    {
        assert!(one.1 <= other.1 || one.0 >= other.0, "more weight, less money: {minor} by {weights:?}: {parts:?}");
    }
}

fuzz_target!(|input: Input<'_>| {
    let (number, code, minor, percent, weights, amount) = input;
    let code = ["BDT", "JPY", "KWD"].get(usize::from(number % 4)).copied().unwrap_or(code);
    if let Ok(currency) = code.parse::<Currency>() {
        assert_eq!(currency.code(), code);
        check_text(amount, currency);
        let money = Money::new(minor, currency);
        let text = money.amount_text();
        let parsed = Money::parse(&text, currency);
        assert_eq!(parsed.ok(), (minor >= 0).then_some(money), "{text}");
        let body = serde_json::to_value(MoneyBody(money)).expect("money is JSON");
        assert_eq!(body, serde_json::json!({"amount": text, "currency": code}));
        let json = serde_json::to_string(&money).expect("money is JSON");
        assert_eq!(serde_json::from_str::<Money>(&json).expect("its own JSON is read"), money);
    }
    check_percentage(minor, percent);
    check_split(minor, &weights[..weights.len().min(64)]);
});
