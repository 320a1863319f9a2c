//! Amounts as Stripe writes them: whole numbers of its own smallest units, which are not ISO 4217's in every currency.

use crate::domain::money::{Currency, Money};

/// How the digits of these currencies differ from ISO 4217's, by Stripe's public documents on currencies: amounts of ISK and UGX have two
/// digits that are always zero, those of MGA have none.
const OTHER_DIGITS: [(&str, u32); 3] = [("ISK", 2), ("UGX", 2), ("MGA", 0)];

/// The least that Stripe takes of these currencies, in minor units of ISO 4217, by its public documents on charges.
const LEAST: [(&str, i64); 20] = [
    ("USD", 50),
    ("AED", 200),
    ("AUD", 50),
    ("BGN", 100),
    ("BRL", 50),
    ("CAD", 50),
    ("CHF", 50),
    ("CZK", 1_500),
    ("DKK", 250),
    ("EUR", 50),
    ("GBP", 30),
    ("HKD", 400),
    ("HUF", 17_500),
    ("JPY", 50),
    ("MXN", 1_000),
    ("MYR", 200),
    ("NOK", 300),
    ("PLN", 200),
    ("RON", 200),
    ("SEK", 300),
];

/// The least amount, in minor units; 1 where Stripe says of no currency what it is: then the account's own one decides.
pub(super) fn least(currency: Currency) -> i64 {
    LEAST.iter().find(|(code, _)| *code == currency.code()).map_or(1, |(_, least)| *least)
}

/// The digits behind the point by which Stripe counts a currency.
fn digits(currency: Currency) -> u32 {
    let other = OTHER_DIGITS.iter().find(|(code, _)| *code == currency.code());
    other.map_or_else(|| currency.digits(), |(_, digits)| *digits)
}

/// So much as Stripe is asked for it; `None` for what it cannot be asked for.
pub(super) fn to_gateway(money: Money) -> Option<u64> {
    let (own, theirs) = (money.currency.digits(), digits(money.currency));
    let amount = u64::try_from(money.minor).ok().filter(|amount| *amount > 0)?;
    // Of three digits the last one is zero; of four there are none.
    if own > 3 || (theirs == 3 && !amount.is_multiple_of(10)) {
        return None;
    }
    match own.cmp(&theirs) {
        std::cmp::Ordering::Less => amount.checked_mul(10u64.pow(theirs - own)),
        std::cmp::Ordering::Equal => Some(amount),
        std::cmp::Ordering::Greater => {
            let step = 10u64.pow(own - theirs);
            amount.is_multiple_of(step).then_some(amount / step)
        }
    }
}

/// What Stripe says, as money; `None` where it is no amount in minor units of a currency.
pub(super) fn of_gateway(amount: u64, currency: &str) -> Option<Money> {
    let currency: Currency = currency.to_ascii_uppercase().parse().ok()?;
    let (own, theirs) = (currency.digits(), digits(currency));
    let minor = match own.cmp(&theirs) {
        std::cmp::Ordering::Less => {
            let step = 10u64.pow(theirs - own);
            amount.is_multiple_of(step).then_some(amount / step)?
        }
        std::cmp::Ordering::Equal => amount,
        std::cmp::Ordering::Greater => amount.checked_mul(10u64.pow(own - theirs))?,
    };
    Some(Money::new(i64::try_from(minor).ok()?, currency))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind of currency by Stripe's documents: what ten of its units are.
    #[test]
    fn every_currency_is_asked_for_as_its_gateway_counts_it() {
        let zero = ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"];
        let three = ["BHD", "JOD", "KWD", "OMR", "TND"];
        let two = ["BDT", "USD", "EUR", "GBP", "INR", "HUF", "TWD", "PKR", "LKR", "NPR", "IDR", "MRU"];
        let of = |code: &str| code.parse::<Currency>().expect("a currency");
        let cases = zero.iter().map(|code| (*code, "10", 10)).chain(three.iter().map(|code| (*code, "10.000", 10_000)));
        let cases = cases.chain(two.iter().map(|code| (*code, "10.00", 1_000)));
        for (code, text, asked) in cases.chain([("ISK", "10", 1_000), ("UGX", "10", 1_000), ("MGA", "10.00", 10)]) {
            let money = Money::parse(text, of(code)).expect(code);
            assert_eq!(to_gateway(money), Some(asked), "{code}");
            assert_eq!(of_gateway(asked, &code.to_ascii_lowercase()), Some(money), "{code}");
        }
    }

    #[test]
    fn what_the_gateway_cannot_count_is_not_asked_for() {
        let of = |text, code: &str| Money::parse(text, code.parse().expect("a currency")).expect("money");
        for money in [of("1.005", "KWD"), of("1.50", "MGA"), of("0.00", "BDT"), of("1.0000", "CLF")] {
            assert_eq!(to_gateway(money), None, "{money}");
        }
        assert_eq!(to_gateway(Money::new(-5, Currency::BDT)), None);
        assert_eq!(to_gateway(of("1.010", "KWD")), Some(1_010));
        assert_eq!(to_gateway(Money::new(i64::MAX, "ISK".parse().expect("a currency"))), None);
        for (amount, code) in [(150, "isk"), (1, "ugx"), (1, "xyz"), (u64::MAX, "bdt"), (u64::MAX, "mga")] {
            assert_eq!(of_gateway(amount, code), None, "{code}");
        }
        assert_eq!((least("USD".parse().expect("a currency")), least(Currency::BDT)), (50, 1));
    }
}
