//! Orders that are paid at the door.

use super::ConfigError;
use crate::domain::money::{Currency, Money};
use crate::limits;
use clap::{ArgAction, Args};
use std::sync::Arc;

/// Whether the shop takes money at the door, and of whom.
#[derive(Args, Clone, Debug)]
pub struct CashArgs {
    /// Whether orders may be paid at the door, by the method `cash_on_delivery`.
    #[arg(long, env = "HAAT_CASH_ON_DELIVERY", default_value_t = false, value_name = "BOOL", action = ArgAction::Set)]
    pub cash_on_delivery: bool,
    /// How many such orders a buyer may have open.
    #[arg(long, env = "HAAT_CASH_OPEN_ORDERS", default_value_t = limits::CASH_OPEN_ORDERS, value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub cash_open_orders: u32,
    /// After how many orders refused at the door within 90 days a buyer may pay there no more; 0 for any number.
    #[arg(long, env = "HAAT_CASH_REFUSALS", default_value_t = limits::CASH_REFUSALS, value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub cash_refusals: u32,
    /// The most that such an order may come to: currency:amount with commas between, such as BDT:20000.00,USD:150.00. In a currency that is not named,
    /// any amount.
    #[arg(long, env = "HAAT_CASH_MAXIMUM", value_name = "AMOUNTS")]
    pub cash_maximum: Option<String>,
}

impl Default for CashArgs {
    fn default() -> Self {
        let (cash_open_orders, cash_refusals) = (limits::CASH_OPEN_ORDERS, limits::CASH_REFUSALS);
        Self { cash_on_delivery: false, cash_open_orders, cash_refusals, cash_maximum: None }
    }
}

impl CashArgs {
    /// How many orders of a buyer may be open: none where the shop takes no money at the door.
    pub const fn open_orders(&self) -> u32 {
        if self.cash_on_delivery { self.cash_open_orders } else { 0 }
    }

    /// The most that an order may come to, in each currency that is named.
    ///
    /// # Errors
    /// When one is no amount above zero of a currency, or a currency is named twice.
    pub fn maximum(&self) -> Result<Arc<[Money]>, ConfigError> {
        let said = self.cash_maximum.as_deref().filter(|said| !said.is_empty());
        let amounts = said.map_or(Ok(Vec::new()), amounts);
        amounts.map(Arc::from).map_err(|reason| ConfigError::Setting { setting: "HAAT_CASH_MAXIMUM", reason })
    }
}

/// Reads amounts of different currencies, with commas between.
fn amounts(said: &str) -> Result<Vec<Money>, String> {
    let mut read: Vec<Money> = Vec::new();
    for part in said.split(',') {
        let (code, amount) = part
            .trim()
            .split_once(':')
            .ok_or_else(|| format!("'{part}' is no currency:amount, such as BDT:20000.00"))?;
        let currency = Currency::of_money(code).map_err(|error| error.to_string())?;
        let most = Money::parse(amount, currency).map_err(|error| error.to_string())?;
        if most.minor == 0 {
            return Err(format!("the maximum in {currency} must be above zero"));
        }
        if read.iter().any(|other| other.currency == currency) {
            return Err(format!("{currency} is named twice"));
        }
        read.push(most);
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maximum(said: Option<&str>) -> Result<Vec<String>, String> {
        let args = CashArgs { cash_maximum: said.map(str::to_owned), ..CashArgs::default() };
        let read = args.maximum().map_err(|error| error.to_string())?;
        Ok(read.iter().map(Money::to_string).collect())
    }

    #[test]
    fn a_maximum_is_an_amount_of_each_currency_that_is_named() {
        for (said, amounts) in [
            (None, &[][..]),
            (Some(""), &[]),
            (Some("BDT:20000.00"), &["20000.00 BDT"]),
            (Some("BDT:0.01,JPY:500, KWD:1.250"), &["0.01 BDT", "500 JPY", "1.250 KWD"]),
        ] {
            assert_eq!(maximum(said).expect("sound"), amounts, "{said:?}");
        }
    }

    #[test]
    fn what_is_no_maximum_is_refused_with_its_name() {
        for (said, why) in [
            (" ", "no currency:amount"),
            ("20000.00", "no currency:amount"),
            ("BDT:1.00,", "no currency:amount"),
            ("BDT:20000", "2 digits"),
            ("JPY:5.00", "0 digits"),
            ("BDT:-1.00", "2 digits"),
            ("BDT:0.00", "above zero"),
            ("XAU:1.00", "no currency that goods are paid in"),
            ("bdt:1.00", "not an ISO 4217"),
            ("BDT:99999999999999999999.00", "too large"),
            ("BDT:1.00,BDT:2.00", "named twice"),
        ] {
            let refused = maximum(Some(said)).expect_err(said);
            assert!(refused.starts_with("HAAT_CASH_MAXIMUM: ") && refused.contains(why), "{said}: {refused}");
        }
    }
}
