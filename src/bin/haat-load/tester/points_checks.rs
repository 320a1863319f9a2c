//! What points promise, held to the orders that were paid with them: pure functions like those of [`judge`](super::judge).

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use super::judge::{Check, Facts, Found, OrderFacts};
use super::wire::{OrderFull, PointsOfCustomer, Status};

/// What a customer was given, and what became of it.
pub struct PointFacts {
    /// `customer_…`
    pub customer: String,
    /// How many points they were given.
    pub given: i64,
    /// They spent them in two carts at once.
    pub twice: bool,
    /// What the shop says they have now; `None` where it gave no answer that could be read.
    pub found: Option<PointsOfCustomer>,
    /// The run has given them: they have bought nothing but what it knows of.
    pub exact: bool,
    /// What those of their checkouts wanted that were never answered: they may or may not have it.
    pub unsure: i64,
}

/// What a run has to say of points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PointsTold {
    /// Paid orders that were paid with points.
    pub orders: u64,
    /// With how many, without those that came back.
    pub spent: i64,
    /// Checkouts that were refused for want of them.
    pub refused: u64,
}

impl PointsTold {
    /// Nothing where there are none.
    pub fn of(facts: &Facts, refused: u64) -> Option<Self> {
        let paid = || seen(facts).filter(|(_, order)| is_paid(order.status)).map(|(_, order)| spent(order));
        let told =
            PointsTold { orders: paid().filter(|spent| *spent > 0).count() as u64, spent: paid().sum(), refused };
        (!facts.points.is_empty()).then_some(told)
    }
}

/// Judges the points there were.
pub fn judge_points(facts: &Facts) -> Vec<Check> {
    if facts.points.is_empty() {
        return Vec::new();
    }
    let mut checks = vec![nothing_is_lost(facts), within_what_was_given(facts), as_its_checkout_asked(facts)];
    checks.extend(of_two_carts(facts));
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

/// Paid, or paid and given back: then its points have been spent and may have come back.
fn is_paid(status: Status) -> bool {
    status.is_paid() || status == Status::Refunded
}

/// What an order has of its buyer's points.
fn spent(order: &OrderFull) -> i64 {
    order.points.as_ref().map_or(0, |points| points.spent - points.restored)
}

/// What points pay of an order, before any came back; `None` where that is no amount.
pub fn value_of(order: &OrderFull) -> Option<Decimal> {
    order.points.as_ref().map_or(Some(Decimal::ZERO), |points| Decimal::from_str_exact(&points.value.amount).ok())
}

/// The sums of the orders of each customer.
fn by_customer(facts: &Facts, of: impl Fn(&OrderFull) -> i64) -> BTreeMap<&str, i64> {
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for (order, seen) in seen(facts) {
        if let Some(points) = &order.points {
            *sums.entry(&*points.customer).or_default() += of(seen);
        }
    }
    sums
}

/// What each customer has spent in paid orders.
fn paid_by_customer(facts: &Facts) -> BTreeMap<&str, i64> {
    by_customer(facts, |order| if is_paid(order.status) { spent(order) } else { 0 })
}

fn of(sums: &BTreeMap<&str, i64>, points: &PointFacts) -> i64 {
    sums.get(&*points.customer).copied().unwrap_or_default()
}

fn sum(facts: &Facts, of: impl Fn(&PointFacts) -> i64) -> i64 {
    facts.points.iter().map(of).sum()
}

fn nothing_is_lost(facts: &Facts) -> Check {
    let paid = paid_by_customer(facts);
    let mut wrong = Vec::new();
    for points in &facts.points {
        let spent = of(&paid, points);
        let Some(found) = points.found else {
            wrong.push(format!("the points of {} could not be read", points.customer));
            continue;
        };
        let gone = points.given - (found.available + found.held - found.debt);
        let right = match points.exact {
            true => (spent..=spent + points.unsure).contains(&gone),
            false => gone >= spent,
        };
        if !right || found.available < 0 || found.held < 0 {
            let PointsOfCustomer { available, held, debt } = found;
            let owed = if debt == 0 { String::new() } else { format!(", owes {debt}") };
            let (customer, given) = (&points.customer, points.given);
            wrong.push(format!("{customer} of {given} has {available}, {held} held, {spent} spent{owed}"));
        }
    }
    let found = |of: fn(PointsOfCustomer) -> i64| sum(facts, |points| points.found.map_or(0, of));
    let mut counted = format!(
        "given {}, available {}, held {}, spent {} in paid orders",
        sum(facts, |points| points.given),
        found(|points| points.available),
        found(|points| points.held),
        paid.values().sum::<i64>(),
    );
    let unsure = sum(facts, |points| points.unsure);
    if unsure > 0 {
        counted.push_str(&format!(", up to {unsure} in checkouts never answered"));
    }
    Check::new("every point given is available, held or spent in a paid order", counted, &wrong)
}

fn within_what_was_given(facts: &Facts) -> Check {
    let paid = paid_by_customer(facts);
    let wrong: Vec<_> = facts
        .points
        .iter()
        .map(|points| (points, of(&paid, points)))
        .filter(|(points, spent)| *spent > points.given || *spent < 0)
        .map(|(points, spent)| format!("{} has spent {spent} of {}", points.customer, points.given))
        .collect();
    let counted = format!(
        "{} customers, {} of them have spent some",
        facts.points.len(),
        paid.values().filter(|spent| **spent > 0).count()
    );
    Check::new("nobody spends more points than they were given", counted, &wrong)
}

/// So many points as its checkout asked for, or as there was to pay; each pays what the programme says; and none in an order that asked for none.
fn as_its_checkout_asked(facts: &Facts) -> Check {
    let mut right = 0;
    let mut wrong = Vec::new();
    // One that has ended for another reason may have ended before it was priced.
    for (order, seen) in seen(facts).filter(|(_, seen)| is_paid(seen.status) || seen.status == Status::PaymentFailed) {
        let wanted = order.points.as_ref().map_or(0, |points| points.wanted);
        let spent = seen.points.as_ref().map_or(0, |points| points.spent);
        let (Some(value), Ok(total)) = (value_of(seen), Decimal::from_str_exact(&seen.total.amount)) else {
            wrong.push(format!("{} has an amount that is none", order.id));
            continue;
        };
        let expected = facts.point_value.map(|each| (Decimal::from(wanted)).min(((total + value) / each).floor()));
        if spent > wanted || expected.is_some_and(|expected| Decimal::from(spent) != expected) {
            let most = expected.unwrap_or(wanted.into());
            wrong.push(format!("{} is paid with {spent} points, not {most}", order.id));
        } else if facts.point_value.is_some_and(|each| value != each * Decimal::from(spent)) {
            wrong.push(format!("{}: {spent} points pay {value}", order.id));
        } else {
            right += 1;
        }
    }
    Check::new(
        "every order has the points of its checkout, at their value",
        format!("{right} of {} orders", right + wrong.len()),
        &wrong,
    )
}

/// Orders that are live or paid hold or have spent what they have of points: of the same points no two orders have any.
fn of_two_carts(facts: &Facts) -> Option<Check> {
    let twice: Vec<_> = facts.points.iter().filter(|points| points.twice).collect();
    let sums = by_customer(facts, |order| match order.status.is_ended() && !is_paid(order.status) {
        true => 0,
        false => spent(order),
    });
    let wrong: Vec<_> = twice
        .iter()
        .filter(|points| of(&sums, points) > points.given)
        .map(|points| format!("{} of {} has {} in two orders", points.customer, points.given, of(&sums, points)))
        .collect();
    let refused = |points: &PointFacts| facts.without_points.iter().any(|wanting| wanting.customer == points.customer);
    let counted = format!(
        "{} customers with two carts, {} of them were refused one; {} spent of {}",
        twice.len(),
        twice.iter().filter(|points| refused(points)).count(),
        twice.iter().map(|points| of(&sums, points)).sum::<i64>(),
        twice.iter().map(|points| points.given).sum::<i64>(),
    );
    (!twice.is_empty()).then(|| Check::new("the same points in two carts are spent once", counted, &wrong))
}

fn nothing_is_held(facts: &Facts) -> Option<Check> {
    let ours: Vec<_> = facts.points.iter().filter(|points| points.exact).collect();
    let held = |points: &PointFacts| points.found.map_or(0, |found| found.held);
    let wrong: Vec<_> = ours
        .iter()
        .filter(|points| held(points) != 0)
        .map(|points| format!("{} holds {}", points.customer, held(points)))
        .collect();
    let counted = format!("held {} of {} customers", ours.iter().map(|points| held(points)).sum::<i64>(), ours.len());
    (!ours.is_empty()).then(|| Check::new("no points are held once all orders are over", counted, &wrong))
}

/// Who was refused for want of points had too few beside what other orders of theirs had, or may have had.
fn refused_only_for_want(facts: &Facts) -> Option<Check> {
    let is_short = |wanting: &super::points::Wanting| {
        let Some(points) = facts.points.iter().find(|points| points.customer == wanting.customer) else { return false };
        // Of those that have ended, too: until then they held what they wanted.
        let others = seen(facts).filter(|(order, _)| {
            order.cart != wanting.cart
                && order.points.as_ref().is_some_and(|points| points.customer == wanting.customer)
        });
        let taken: i64 = others.map(|(_, seen)| seen.points.as_ref().map_or(0, |points| points.spent)).sum();
        wanting.wanted > points.given - taken - points.unsure
    };
    let all = facts.without_points.len();
    let wrong: Vec<_> = facts
        .without_points
        .iter()
        .filter(|wanting| !is_short(wanting))
        .map(|wanting| format!("{} wanted {}", wanting.customer, wanting.wanted))
        .collect();
    let counted = format!("{} of {all} who were refused so had them in another order", all - wrong.len());
    (all > 0).then(|| Check::new("too few points means that another order has them", counted, &wrong))
}

#[cfg(test)]
#[path = "points_checks_tests.rs"]
mod tests;
