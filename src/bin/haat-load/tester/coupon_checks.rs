//! What a coupon promised, held to the orders that carry it: pure functions like those of [`judge`](super::judge).

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::judge::{Check, Facts, Found, OrderFacts};
use super::wire::OrderFull;

/// What a coupon promises, and what became of it.
pub struct CouponFacts {
    /// Its code, as orders name it.
    pub code: String,
    /// How often it can be used.
    pub uses: Option<i64>,
    /// How often one buyer can use it.
    pub per_customer: Option<i64>,
    /// What it may take off of all orders together.
    pub budget: Option<Decimal>,
    /// Uses that the shop says are held for orders that are not paid.
    pub held: i64,
    /// Uses that the shop says are those of paid orders.
    pub used: i64,
    /// What the shop says that paid orders took of the budget, where there is one.
    pub amount_used: Option<Decimal>,
    /// The run has made it: nobody else has used it.
    pub exact: bool,
    /// What it takes off in each cart whose checkout was never answered: they may or may not be paid.
    pub unsure: Vec<Decimal>,
}

impl CouponFacts {
    fn unsure_amount(&self) -> Decimal {
        self.unsure.iter().sum()
    }
}

/// Judges the coupons there were.
pub fn judge_coupons(facts: &Facts) -> Vec<Check> {
    if facts.coupons.is_empty() {
        return Vec::new();
    }
    let mut checks = vec![within_uses(facts), uses_are_orders(facts), as_its_cart_said(facts)];
    checks.extend(within_limit(facts));
    checks.extend(within_budget(facts));
    checks.extend(nothing_is_held(facts));
    checks.extend(refused_only_for_want(facts));
    checks
}

fn seen(facts: &Facts) -> impl Iterator<Item = (&OrderFacts, &OrderFull)> {
    facts.orders.iter().filter_map(|order| match &order.found {
        Found::Seen(seen) => Some((order, seen)),
        Found::Missing | Found::Unread => None,
    })
}

/// What the coupon takes off in this order, if it is there.
fn discount(order: &OrderFull, coupon: &CouponFacts) -> Option<Decimal> {
    let carried = order.coupons.iter().find(|carried| carried.code == coupon.code)?;
    // An amount that is no number is none: then it is not what the cart was told.
    Some(Decimal::from_str_exact(&carried.amount.amount).unwrap_or(Decimal::MIN))
}

/// The paid orders that carry the coupon, each with what it takes off.
fn paid<'a>(facts: &'a Facts, coupon: &'a CouponFacts) -> impl Iterator<Item = (&'a OrderFacts, Decimal)> {
    let paid = seen(facts).filter(|(_, order)| order.status.is_paid());
    paid.filter_map(|(order, seen)| Some((order, discount(seen, coupon)?)))
}

fn orders(facts: &Facts, coupon: &CouponFacts) -> i64 {
    paid(facts, coupon).count() as i64
}

fn amount(facts: &Facts, coupon: &CouponFacts) -> Decimal {
    paid(facts, coupon).map(|(_, discount)| discount).sum()
}

fn sum(facts: &Facts, of: impl Fn(&CouponFacts) -> i64) -> i64 {
    facts.coupons.iter().map(of).sum()
}

fn within_uses(facts: &Facts) -> Check {
    let wrong: Vec<_> = facts
        .coupons
        .iter()
        .filter_map(|coupon| {
            Some((coupon, orders(facts, coupon).max(coupon.used.saturating_add(coupon.held)), coupon.uses?))
        })
        .filter(|(_, taken, uses)| taken > uses)
        .map(|(coupon, taken, uses)| format!("{}: {taken} of {uses}", coupon.code))
        .collect();
    let uses = sum(facts, |coupon| coupon.uses.unwrap_or_default());
    let counted = format!("used {} of {uses}", sum(facts, |coupon| coupon.used));
    Check::new("a coupon is used at most as often as it may be", counted, &wrong)
}

fn uses_are_orders(facts: &Facts) -> Check {
    let wrong: Vec<_> = facts
        .coupons
        .iter()
        .map(|coupon| (coupon, orders(facts, coupon)))
        .filter(|(coupon, orders)| match coupon.exact {
            true => !(*orders..=orders + coupon.unsure.len() as i64).contains(&coupon.used),
            false => coupon.used < *orders,
        })
        .map(|(coupon, orders)| format!("{} has {} uses and {orders} orders", coupon.code, coupon.used))
        .collect();
    let orders = sum(facts, |coupon| orders(facts, coupon));
    let mut counted = format!("used {}, {orders} paid orders carry it", sum(facts, |coupon| coupon.used));
    let unsure = sum(facts, |coupon| coupon.unsure.len() as i64);
    if unsure > 0 {
        counted.push_str(&format!(", up to {unsure} checkouts never answered"));
    }
    Check::new("every use of a coupon is a paid order that carries it", counted, &wrong)
}

/// No code is dropped in silence, none comes into an order by itself, and what it takes off is what the buyer was told.
fn as_its_cart_said(facts: &Facts) -> Check {
    let mut carry = 0;
    let mut wrong = Vec::new();
    for (order, seen) in seen(facts) {
        for (place, coupon) in facts.coupons.iter().enumerate() {
            let told = order.coupon.as_ref().filter(|carried| carried.coupon == place);
            match (told.map(|carried| carried.discount), discount(seen, coupon)) {
                (Some(told), Some(found)) if told == found => carry += 1,
                (Some(told), Some(found)) => wrong.push(format!("{} has {found} off, not {told}", order.id)),
                (Some(_), None) => wrong.push(format!("{} does not carry {}", order.id, coupon.code)),
                (None, Some(_)) => {
                    wrong.push(format!("{} carries {}, which was not in its cart", order.id, coupon.code))
                }
                (None, None) => {}
            }
        }
    }
    let counted = format!("{carry} orders carry it, {} do not", facts.orders.len().saturating_sub(carry));
    Check::new("every order has the coupon and the discount of its cart", counted, &wrong)
}

fn within_limit(facts: &Facts) -> Option<Check> {
    let limited: Vec<_> = facts.coupons.iter().filter_map(|coupon| Some((coupon, coupon.per_customer?))).collect();
    let mut wrong = Vec::new();
    let mut by_uses: BTreeMap<i64, usize> = BTreeMap::new();
    for (coupon, limit) in &limited {
        let mut uses: BTreeMap<u64, i64> = BTreeMap::new();
        for person in paid(facts, coupon).filter_map(|(order, _)| order.person) {
            *uses.entry(person).or_default() += 1;
        }
        for (person, uses) in uses {
            *by_uses.entry(uses).or_default() += 1;
            if uses > *limit {
                wrong.push(format!("person {person} has used {} {uses} times, not {limit}", coupon.code));
            }
        }
    }
    let counted: Vec<_> = by_uses.iter().map(|(uses, persons)| format!("{persons} did {uses} times")).collect();
    let counted = match counted.is_empty() {
        true => "nobody has used it".to_owned(),
        false => format!("of those who used it {}", counted.join(", ")),
    };
    let name = "nobody has used a coupon more than the limit, by whatever address";
    (!limited.is_empty()).then(|| Check::new(name, counted, &wrong))
}

fn within_budget(facts: &Facts) -> Option<Check> {
    let budgeted: Vec<_> = facts.coupons.iter().filter_map(|coupon| Some((coupon, coupon.budget?))).collect();
    let mut wrong = Vec::new();
    let mut counted = Vec::new();
    for (coupon, budget) in &budgeted {
        let (told, found) = (coupon.amount_used, amount(facts, coupon));
        counted.push(match told {
            Some(told) => format!("{told} of {budget} used, paid orders have {found} off"),
            None => format!("the shop does not say what of {budget} is used"),
        });
        let fits = told.is_some_and(|told| match coupon.exact {
            true => (found..=found + coupon.unsure_amount()).contains(&told),
            false => told >= found,
        });
        if !fits {
            wrong.push(format!("{} has not used what its orders have off", coupon.code));
        }
        if told.unwrap_or_default().max(found) > *budget {
            wrong.push(format!("{} is above its budget", coupon.code));
        }
    }
    let name = "a coupon takes off what its orders have off, within its budget";
    (!budgeted.is_empty()).then(|| Check::new(name, counted.join("; "), &wrong))
}

fn nothing_is_held(facts: &Facts) -> Option<Check> {
    let ours: Vec<_> = facts.coupons.iter().filter(|coupon| coupon.exact).collect();
    let wrong: Vec<_> = ours
        .iter()
        .filter(|coupon| coupon.held != 0)
        .map(|coupon| format!("{} holds {}", coupon.code, coupon.held))
        .collect();
    let counted = format!("held {} of it", ours.iter().map(|coupon| coupon.held).sum::<i64>());
    (!ours.is_empty()).then(|| Check::new("nothing is held of a coupon once all orders are over", counted, &wrong))
}

/// Who left because the coupon is used up could not have had it: no use is left, or less of the budget than the cart's discount.
fn refused_only_for_want(facts: &Facts) -> Option<Check> {
    let is_short = |discount: Decimal| {
        facts.coupons.iter().filter(|coupon| coupon.exact).any(|coupon| {
            let taken = orders(facts, coupon) + coupon.unsure.len() as i64;
            let spent = amount(facts, coupon) + coupon.unsure_amount();
            coupon.uses.is_some_and(|uses| taken >= uses)
                || coupon.budget.is_some_and(|budget| budget - spent < discount)
        })
    };
    let all = facts.without_coupon.len();
    let wrong: Vec<_> = facts
        .without_coupon
        .iter()
        .filter(|discount| !is_short(**discount))
        .map(|discount| format!("one who would have had {discount} off"))
        .collect();
    let counted = format!(
        "{} of {all} who were refused so would have found none; {} of {} used in paid orders",
        all - wrong.len(),
        sum(facts, |coupon| orders(facts, coupon)),
        sum(facts, |coupon| coupon.uses.unwrap_or_default()),
    );
    (all > 0).then(|| Check::new("used up means that every use is a paid order's", counted, &wrong))
}

#[cfg(test)]
#[path = "coupon_checks_tests.rs"]
mod tests;
