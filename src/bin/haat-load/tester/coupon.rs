//! A counted coupon that every session puts into its cart: its terms in a scenario, how it is made, and what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::coupon_checks::CouponFacts;
use super::messages::Order;
use super::people::MOST_ALIASES;
use super::run::{Cart, Run};
use super::sale::{LOOK, WINDOW, moment};
use super::scenario::Shop;
use super::shop::Desk;
use super::values::{Price, Time};
use super::wire::{CouponOfShop, Money};

/// What the coupon takes off, in hundredths of a percent.
const BASIS_POINTS: u32 = 2_000;
/// Letters that are not taken for digits, so that a code is read as it is written.
const PREFIX: &str = "TEST-";
/// Characters of a code behind its prefix.
const RANDOM: usize = 10;

/// A coupon for a fifth of the goods, counted, and how buyers come to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coupon {
    /// How often it can be used.
    pub uses: u32,
    /// How often one buyer can use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_customer: Option<u32>,
    /// What it may take off of all orders together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Price>,
    /// So many sessions are one person, who comes with as many addresses of one mailbox.
    #[serde(default = "one")]
    pub aliases: u32,
    /// Who is refused while uses are held for others comes again for so long.
    #[serde(default = "patience")]
    pub patience: Time,
    /// Who does not get it in the end takes the code out and buys without.
    #[serde(default)]
    pub or_without: bool,
}

fn one() -> u32 {
    1
}

fn patience() -> Time {
    Time(Duration::from_secs(60))
}

impl Coupon {
    /// Refuses what could not be made.
    pub fn validate(&self, shop: &Shop) -> Result<(), String> {
        if self.uses == 0 || self.uses > 1_000_000_000 {
            return Err("shop: coupon: from 1 to 1,000,000,000 uses".into());
        }
        if self.per_customer == Some(0) {
            return Err("shop: coupon: per_customer of at least 1".into());
        }
        if !(1..=MOST_ALIASES).contains(&self.aliases) {
            return Err(format!("shop: coupon: from 1 to {MOST_ALIASES} aliases"));
        }
        if shop.sale.as_ref().is_some_and(|sale| sale.aliases != self.aliases) {
            return Err("shop: the sale and the coupon have the same people: give both as many aliases".into());
        }
        Ok(())
    }
}

/// A coupon that was made for the run, or that promises speak of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Offered {
    /// `coupon_…`
    pub id: String,
    /// What is put into carts.
    pub code: String,
}

/// What a cart was told of the coupon in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Place in the run's list of coupons.
    pub coupon: usize,
    /// What it takes off.
    pub discount: Decimal,
}

/// An amount as a number.
pub fn amount(money: &Money) -> anyhow::Result<Decimal> {
    Decimal::from_str_exact(&money.amount).with_context(|| format!("'{}' is no amount", money.amount))
}

/// Makes the coupon, good at once.
pub async fn make(desk: &mut Desk, shop: &Shop, coupon: &Coupon) -> anyhow::Result<Offered> {
    let random = Uuid::new_v4().simple().to_string().to_uppercase();
    let code = format!("{PREFIX}{}", &random[..RANDOM]);
    let body = written(&code, &moment(WINDOW.0)?, &moment(WINDOW.1)?, coupon, &shop.currency);
    let made: CouponOfShop = desk.post("/v1/coupons".into(), &body).await.context("could not make a coupon")?;
    Ok(Offered { id: made.id, code: made.code })
}

fn written(code: &str, starts_at: &str, ends_at: &str, coupon: &Coupon, currency: &str) -> serde_json::Value {
    let mut body = serde_json::json!({
        "code": code, "kind": "percent", "basis_points": BASIS_POINTS, "starts_at": starts_at, "ends_at": ends_at,
        "usage_limit": coupon.uses,
    });
    if let Some(limit) = coupon.per_customer {
        body["limit_per_customer"] = limit.into();
    }
    if let Some(budget) = &coupon.budget {
        body["budget"] = serde_json::json!({ "amount": budget.0, "currency": currency });
    }
    body
}

/// What is left of the coupon once all that is held has ended, at most. It only becomes less: what is paid is never given back in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unused {
    /// Uses.
    pub uses: i64,
    /// Of the budget, where there is one.
    pub budget: Option<Decimal>,
}

impl Unused {
    /// By what the shop says of it.
    pub fn of(view: &CouponOfShop) -> Option<Self> {
        let budget = match (&view.budget, &view.amount_used) {
            (Some(budget), Some(used)) => Some(amount(budget).ok()? - amount(used).ok()?),
            _ => None,
        };
        Some(Unused { uses: view.usage_limit? - view.used, budget })
    }

    /// Whether an order with this discount can never have it any more.
    pub fn is_too_little_for(&self, discount: Decimal) -> bool {
        self.uses < 1 || self.budget.is_some_and(|budget| budget < discount)
    }
}

/// Looks at the coupon of the run; gives what is news.
pub async fn look(run: &Run, desk: &mut Desk, told: &mut Option<Unused>) -> Option<Order> {
    let offered = run.coupons.first()?;
    // A server that is away now is asked again at the next look.
    let unused = Unused::of(&desk.coupon(&offered.id).await.ok()?)?;
    (told.replace(unused) != Some(unused)).then_some(Order::Unused(unused))
}

/// Reads the coupons of the run, or those that promises speak of, until nothing is held or the time is up.
pub async fn facts(run: &Run, unsure: &[Arc<Cart>]) -> anyhow::Result<Vec<CouponFacts>> {
    if run.admin.is_none() {
        return Ok(Vec::new());
    }
    let mut desk = Desk::of(run);
    let until = Instant::now() + run.cli.settle;
    let exact = run.cli.verify.is_none();
    let wanted = run.scenario.shop.coupon.as_ref().filter(|_| exact);
    let mut facts = Vec::new();
    for (place, offered) in run.coupons.iter().enumerate() {
        let view = loop {
            let view = desk.coupon(&offered.id).await?;
            if view.held == 0 || Instant::now() >= until {
                break view;
            }
            tokio::time::sleep(LOOK).await;
        };
        // What was asked for, not what the shop says of it, where that is known.
        let (uses, per_customer, budget) = match wanted {
            Some(coupon) => {
                let budget = coupon.budget.as_ref().map(|budget| Decimal::from_str_exact(&budget.0)).transpose()?;
                (Some(i64::from(coupon.uses)), coupon.per_customer.map(i64::from), budget)
            }
            None => (view.usage_limit, view.limit_per_customer, view.budget.as_ref().map(amount).transpose()?),
        };
        let carried = unsure.iter().filter_map(|cart| cart.coupon.as_ref()).filter(|carried| carried.coupon == place);
        facts.push(CouponFacts {
            code: offered.code.clone(),
            uses,
            per_customer,
            budget,
            held: view.held,
            used: view.used,
            amount_used: view.amount_used.as_ref().map(amount).transpose()?,
            exact,
            unsure: carried.map(|carried| carried.discount).collect(),
        });
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::super::sale::Sale;
    use super::*;

    fn coupon() -> Coupon {
        Coupon { uses: 100, per_customer: None, budget: None, aliases: 1, patience: patience(), or_without: false }
    }

    #[test]
    fn a_coupon_is_written_as_the_contract_has_it() {
        let limited = Coupon { per_customer: Some(2), budget: Some("500.00".parse().expect("an amount")), ..coupon() };
        let written =
            |coupon: &Coupon| written("TEST-1", "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z", coupon, "BDT");
        let plain = serde_json::json!({
            "code": "TEST-1", "kind": "percent", "basis_points": 2000, "starts_at": "2030-01-01T00:00:00Z",
            "ends_at": "2030-01-02T00:00:00Z", "usage_limit": 100,
        });
        assert_eq!(written(&coupon()), plain);
        let limited = written(&limited);
        assert_eq!(limited["limit_per_customer"], 2);
        assert_eq!(limited["budget"], serde_json::json!({ "amount": "500.00", "currency": "BDT" }));
    }

    #[test]
    fn what_could_not_be_made_is_refused() {
        let shop = Shop::default();
        assert_eq!(coupon().validate(&shop), Ok(()));
        for bad in [
            Coupon { uses: 0, ..coupon() },
            Coupon { per_customer: Some(0), ..coupon() },
            Coupon { aliases: 17, ..coupon() },
        ] {
            assert!(bad.validate(&shop).is_err(), "{bad:?}");
        }
        let sale: Sale = serde_json::from_str(r#"{"allotment": 5, "aliases": 3}"#).expect("a sale");
        let both = Shop { sale: Some(sale), ..Shop::default() };
        assert!(coupon().validate(&both).is_err());
        assert_eq!(Coupon { aliases: 3, ..coupon() }.validate(&both), Ok(()));
    }

    #[test]
    fn a_refusal_stands_when_no_use_is_left_or_less_of_the_budget_than_the_discount() {
        let view = |used, amount_used: &str| {
            let text = format!(
                r#"{{"id": "coupon_1", "code": "TEST-1", "usage_limit": 3, "held": 1, "used": {used},
                    "budget": {{"amount": "10.00", "currency": "BDT"}},
                    "amount_used": {{"amount": "{amount_used}", "currency": "BDT"}}}}"#
            );
            Unused::of(&serde_json::from_str(&text).expect("a coupon")).expect("it is counted")
        };
        let (two, four) = (Decimal::TWO, Decimal::from(4));
        assert!(!view(2, "7.00").is_too_little_for(two));
        assert!(view(2, "7.00").is_too_little_for(four));
        assert!(view(3, "7.00").is_too_little_for(two));
        assert!(!view(2, "6.00").is_too_little_for(four));
        assert!(!Unused { uses: 1, budget: None }.is_too_little_for(four));
    }
}
