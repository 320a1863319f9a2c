//! What a sale promised, held to what was sold: pure functions like those of [`judge`](super::judge).

use std::collections::BTreeMap;

use super::judge::{Check, Facts, Found, Line, OrderFacts};
use super::wire::{Money, OrderFull, OrderLine};

/// What a sale promises of one SKU, and what became of it.
pub struct SaleFacts {
    /// `sale_…`
    pub sale: String,
    /// Place in the run's list of SKUs.
    pub sku: usize,
    /// `sku_…`
    pub sku_id: String,
    /// What one piece costs in it.
    pub price: Money,
    /// Pieces that one buyer can have.
    pub limit: Option<i64>,
    /// Pieces that can be had in it.
    pub allotment: i64,
    /// Pieces that the shop says are held for orders that are not paid.
    pub held: i64,
    /// Pieces that the shop says are sold.
    pub sold: i64,
    /// The run has put it on: nobody else has bought in it, and nothing was ever at another price.
    pub exact: bool,
    /// Pieces in carts whose checkout was never answered: they may or may not be sold.
    pub unsure: i64,
}

/// Judges the sales there were.
pub fn judge_sales(facts: &Facts) -> Vec<Check> {
    if facts.sales.is_empty() {
        return Vec::new();
    }
    let mut checks = vec![within_allotment(facts), sold_is_paid(facts), at_its_price(facts)];
    checks.extend(within_limit(facts));
    checks.extend(nothing_is_held(facts));
    checks.extend(refused_only_for_want(facts));
    checks
}

/// The lines of an order that were taken from this sale.
fn lines_in<'a>(order: &'a OrderFull, sale: &'a SaleFacts) -> impl Iterator<Item = &'a OrderLine> {
    order.lines.iter().filter(|line| line.sku_id == sale.sku_id && line.sale_id.as_deref() == Some(&sale.sale))
}

fn seen(facts: &Facts) -> impl Iterator<Item = (&OrderFacts, &OrderFull)> {
    facts.orders.iter().filter_map(|order| match &order.found {
        Found::Seen(seen) => Some((order, seen)),
        Found::Missing | Found::Unread => None,
    })
}

/// Pieces in paid orders.
fn paid(facts: &Facts, sale: &SaleFacts) -> i64 {
    let paid = seen(facts).filter(|(_, order)| order.status.is_paid());
    paid.flat_map(|(_, order)| lines_in(order, sale)).map(|line| line.quantity).sum()
}

fn sum(facts: &Facts, of: impl Fn(&SaleFacts) -> i64) -> i64 {
    facts.sales.iter().map(of).sum()
}

fn within_allotment(facts: &Facts) -> Check {
    let wrong: Vec<_> = facts
        .sales
        .iter()
        .map(|sale| (sale, paid(facts, sale).max(sale.sold.saturating_add(sale.held))))
        .filter(|(sale, taken)| *taken > sale.allotment)
        .map(|(sale, taken)| format!("{}: {taken} of {}", sale.sku_id, sale.allotment))
        .collect();
    let counted = format!("sold {} of {}", sum(facts, |sale| sale.sold), sum(facts, |sale| sale.allotment));
    Check::new("a sale sells at most its allotment", counted, &wrong)
}

fn sold_is_paid(facts: &Facts) -> Check {
    let wrong: Vec<_> = facts
        .sales
        .iter()
        .map(|sale| (sale, paid(facts, sale)))
        .filter(|(sale, paid)| match sale.exact {
            true => !(*paid..=paid + sale.unsure).contains(&sale.sold),
            false => sale.sold < *paid,
        })
        .map(|(sale, paid)| format!("{} sold {}, paid {paid}", sale.sku_id, sale.sold))
        .collect();
    let paid = sum(facts, |sale| paid(facts, sale));
    let mut counted = format!("sold {} in it, paid {paid}", sum(facts, |sale| sale.sold));
    let unsure = sum(facts, |sale| sale.unsure);
    if unsure > 0 {
        counted.push_str(&format!(", up to {unsure} in checkouts never answered"));
    }
    Check::new("sold in a sale is what is paid in it", counted, &wrong)
}

fn at_its_price(facts: &Facts) -> Check {
    let mut lines = 0;
    let mut wrong = Vec::new();
    for (order, seen) in seen(facts) {
        for sale in &facts.sales {
            for line in seen.lines.iter().filter(|line| line.sku_id == sale.sku_id) {
                let is_in = line.sale_id.as_deref() == Some(&sale.sale);
                if !is_in && !sale.exact {
                    // Before that sale or after it, or in another one.
                    continue;
                }
                lines += 1;
                if !is_in {
                    wrong.push(format!("{} is not in {}", order.id, sale.sale));
                } else if line.unit_price != sale.price {
                    wrong.push(format!("{} costs {}, not {}", order.id, line.unit_price.amount, sale.price.amount));
                }
            }
        }
    }
    let counted = format!("{} of {lines} lines", lines - wrong.len());
    Check::new("every line has the sale's price", counted, &wrong)
}

fn within_limit(facts: &Facts) -> Option<Check> {
    let limited: Vec<_> = facts.sales.iter().filter_map(|sale| Some((sale, sale.limit?))).collect();
    let persons = seen(facts).filter_map(|(order, seen)| Some((order.person?, seen)));
    let persons: Vec<_> = persons.filter(|(_, order)| order.status.is_paid()).collect();
    let mut wrong = Vec::new();
    let mut by_pieces: BTreeMap<i64, usize> = BTreeMap::new();
    for (sale, limit) in &limited {
        let mut pieces: BTreeMap<u64, i64> = BTreeMap::new();
        for (person, order) in &persons {
            *pieces.entry(*person).or_default() += lines_in(order, sale).map(|line| line.quantity).sum::<i64>();
        }
        for (person, pieces) in pieces.into_iter().filter(|(_, pieces)| *pieces > 0) {
            *by_pieces.entry(pieces).or_default() += 1;
            if pieces > *limit {
                wrong.push(format!("person {person} has {pieces} of {}, not {limit}", sale.sku_id));
            }
        }
    }
    let counted: Vec<_> = by_pieces.iter().map(|(pieces, persons)| format!("{persons} have {pieces}")).collect();
    let counted = match counted.is_empty() {
        true => "nobody has any".to_owned(),
        false => format!("of those who bought {}", counted.join(", ")),
    };
    (!limited.is_empty()).then(|| Check::new("nobody has more than the limit, by whatever address", counted, &wrong))
}

fn nothing_is_held(facts: &Facts) -> Option<Check> {
    let ours: Vec<_> = facts.sales.iter().filter(|sale| sale.exact).collect();
    let wrong: Vec<_> =
        ours.iter().filter(|sale| sale.held != 0).map(|sale| format!("{} holds {}", sale.sku_id, sale.held)).collect();
    let counted = format!("held {} in it", ours.iter().map(|sale| sale.held).sum::<i64>());
    (!ours.is_empty()).then(|| Check::new("nothing is held in a sale once all orders are over", counted, &wrong))
}

/// Who left because the sale is sold out could not have had all that was in the cart: of one line at least less is left. Where one piece was asked
/// for, exactly the allotment is sold.
fn refused_only_for_want(facts: &Facts) -> Option<Check> {
    let paid: BTreeMap<usize, i64> =
        facts.sales.iter().map(|sale| (sale.sku, paid(facts, sale) + sale.unsure)).collect();
    let is_short = |line: &Line| {
        let sale = facts.sales.iter().find(|sale| sale.sku == line.sku && sale.exact);
        sale.is_some_and(|sale| sale.allotment - paid[&sale.sku] < i64::from(line.quantity))
    };
    let wrong: Vec<_> = facts
        .turned_away
        .iter()
        .filter(|lines| !lines.iter().any(is_short))
        .map(|lines| {
            let pieces: Vec<_> = lines.iter().map(|line| line.quantity.to_string()).collect();
            format!("one who wanted {}", pieces.join(" + "))
        })
        .collect();
    let all = facts.turned_away.len();
    let counted = format!(
        "{} of {all} who left so would have found too little; paid {} of {}",
        all - wrong.len(),
        sum(facts, |sale| paid.get(&sale.sku).copied().unwrap_or_default() - sale.unsure),
        sum(facts, |sale| sale.allotment),
    );
    (all > 0).then(|| Check::new("sold out means that the allotment is sold", counted, &wrong))
}

#[cfg(test)]
#[path = "sale_checks_tests.rs"]
mod tests;
