//! The conservation checks: pure functions over what buyers were told and what the shop says.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::coupon::Carried;
use super::coupon_checks::{CouponFacts, judge_coupons};
use super::points::{Paying, Wanting};
use super::points_checks::{PointFacts, judge_points, value_of};
use super::room_checks::{RoomFacts, judge_room};
use super::sale_checks::{SaleFacts, judge_sales};
use super::wire::{Charge, Money, OrderFull, Status, Stock, Sums};

/// Examples named in a check that failed.
const EXAMPLES: usize = 5;

/// Pieces of one SKU in a cart or order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Line {
    /// Place in the run's list of SKUs.
    pub sku: usize,
    /// Pieces.
    pub quantity: u32,
}

/// What the shop says of an order when it is asked again.
#[expect(clippy::large_enum_variant, reason = "nearly all are seen")]
pub enum Found {
    /// It knows no such order.
    Missing,
    /// It gave no answer that could be read.
    Unread,
    /// This.
    Seen(OrderFull),
}

/// An order that a buyer was told of.
pub struct OrderFacts {
    /// `order_…`
    pub id: String,
    /// The cart the buyer checked out.
    pub cart: String,
    /// The person whose it is, where some come more than once.
    pub person: Option<u64>,
    /// What was in it.
    pub lines: Vec<Line>,
    /// It is a wholesale buyer's.
    pub wholesale: bool,
    /// The coupon that was in it.
    pub coupon: Option<Carried>,
    /// With what points it was to be paid.
    pub points: Option<Paying>,
    /// The last status the buyer was told.
    pub told: Status,
    /// What the shop says now.
    pub found: Found,
    /// The sandbox's charges, where they were looked up.
    pub charges: Option<Vec<Charge>>,
}

impl OrderFacts {
    fn status(&self) -> Option<Status> {
        match &self.found {
            Found::Seen(order) => Some(order.status),
            Found::Missing | Found::Unread => None,
        }
    }
}

/// A SKU's stock before and after.
pub struct SkuFacts {
    /// `sku_…`
    pub id: String,
    /// Before the run; `None` when others may have bought too, so that only bounds hold.
    pub before: Option<Stock>,
    /// When all was over.
    pub after: Stock,
    /// Pieces in carts whose checkout was never answered: they may or may not be sold.
    pub unsure: i64,
}

/// What a piece costs.
pub struct PriceFacts {
    /// Everybody, and wholesale buyers who take few.
    pub list: Money,
    /// Wholesale buyers who take enough.
    pub wholesale: Money,
    /// Which is so many.
    pub from: i64,
}

/// All that was observed.
#[derive(Default)]
pub struct Facts {
    /// The SKUs whose stock was read.
    pub skus: Vec<SkuFacts>,
    /// The orders buyers were told of.
    pub orders: Vec<OrderFacts>,
    /// SKUs that the shop knows no more, or whose stock could not be read.
    pub lost_skus: Vec<String>,
    /// Requests that were sent twice and whose answers could be compared.
    pub twins: u64,
    /// Of these, what those said that disagree.
    pub split_twins: Vec<String>,
    /// What sales promised, and what became of it.
    pub sales: Vec<SaleFacts>,
    /// What those wanted who left because a sale was sold out.
    pub turned_away: Vec<Vec<Line>>,
    /// What pieces cost, where there is a price for wholesale buyers.
    pub prices: Option<PriceFacts>,
    /// What coupons promised, and what became of them.
    pub coupons: Vec<CouponFacts>,
    /// What the coupon would have taken off for those who were refused because it is used up.
    pub without_coupon: Vec<Decimal>,
    /// What customers were given of points, and what became of them.
    pub points: Vec<PointFacts>,
    /// What one point pays, where that is known.
    pub point_value: Option<Decimal>,
    /// What those wanted to spend who were refused for want of points.
    pub without_points: Vec<Wanting>,
    /// What the room promised, and what people were told of it.
    pub room: Option<RoomFacts>,
}

/// The verdict on one question, in words.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Check {
    /// The question.
    pub name: &'static str,
    /// Whether all is as it must be.
    pub ok: bool,
    /// What was counted, and examples of what is wrong.
    pub said: String,
}

impl Check {
    /// It is as it must be when nothing is wrong.
    pub fn new(name: &'static str, counted: String, wrong: &[String]) -> Self {
        let mut said = counted;
        if !wrong.is_empty() {
            said.push_str("; wrong: ");
            said.push_str(&wrong[..wrong.len().min(EXAMPLES)].join(", "));
            if wrong.len() > EXAMPLES {
                said.push_str(&format!(" and {} more", wrong.len() - EXAMPLES));
            }
        }
        Check { name, ok: wrong.is_empty(), said }
    }
}

/// Judges the facts; questions that nothing was observed for are left out.
pub fn judge(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    if !facts.orders.is_empty() {
        checks.push(orders_exist(facts));
        checks.push(orders_are_settled(facts));
        checks.push(paid_stays_paid(facts));
        checks.push(ends_stay_ends(facts));
        checks.push(one_order_per_cart(facts));
        checks.push(each_bill_adds_up(facts));
    }
    if facts.twins > 0 {
        checks.push(twins_agree(facts));
    }
    if !facts.lost_skus.is_empty() {
        let counted = "stock was not judged".to_owned();
        checks.push(Check::new("every SKU can be read", counted, &facts.lost_skus));
    }
    if !facts.skus.is_empty() {
        checks.push(stock_adds_up(facts));
        checks.extend(nothing_is_held(facts));
        checks.push(sold_is_paid(facts));
        checks.push(never_oversold(facts));
        checks.push(each_has_the_lines_of_its_cart(facts));
    }
    checks.extend(each_at_its_price(facts));
    checks.extend(judge_sales(facts));
    checks.extend(judge_coupons(facts));
    checks.extend(judge_points(facts));
    checks.extend(judge_room(facts));
    checks.extend(charged_once(facts));
    checks.extend(not_charged(facts));
    checks
}

fn orders_exist(facts: &Facts) -> Check {
    let wrong: Vec<_> = facts
        .orders
        .iter()
        .filter_map(|order| match &order.found {
            Found::Missing => Some(format!("{} is gone", order.id)),
            Found::Unread => Some(format!("{} could not be read", order.id)),
            Found::Seen(seen) if seen.id != order.id => Some(format!("{} is answered as {}", order.id, seen.id)),
            Found::Seen(seen) if seen.cart_id != order.cart => {
                Some(format!("{} belongs to {}", order.id, seen.cart_id))
            }
            Found::Seen(_) => None,
        })
        .collect();
    let all = facts.orders.len();
    let counted = format!("found {} of {all} orders told", all - wrong.len());
    Check::new("every order told exists", counted, &wrong)
}

fn orders_are_settled(facts: &Facts) -> Check {
    let settled = |of: fn(Status) -> bool| {
        let statuses = facts.orders.iter().filter_map(OrderFacts::status);
        statuses.filter(|status| of(*status)).count()
    };
    let wrong: Vec<_> = facts
        .orders
        .iter()
        .filter_map(|order| order.status().map(|status| (order, status)))
        .filter(|(_, status)| !status.is_settled())
        .map(|(order, status)| format!("{} is {}", order.id, status.words()))
        .collect();
    let counted =
        format!("{} paid, {} ended, {} unfinished", settled(Status::is_paid), settled(Status::is_ended), wrong.len());
    Check::new("every order is paid or has ended", counted, &wrong)
}

fn paid_stays_paid(facts: &Facts) -> Check {
    let told: Vec<_> = facts.orders.iter().filter(|order| order.told.is_paid()).collect();
    let wrong: Vec<_> = told
        .iter()
        .filter_map(|order| match &order.found {
            Found::Seen(seen) if !seen.status.is_paid() => Some(format!("{} is {}", order.id, seen.status.words())),
            Found::Seen(seen) if seen.total_due.is_zero() != Some(true) => {
                Some(format!("{} still has {} due", order.id, seen.total_due.amount))
            }
            Found::Seen(_) => None,
            Found::Missing | Found::Unread => Some(format!("{} was not found", order.id)),
        })
        .collect();
    let counted = format!("told paid {}, still paid with nothing due {}", told.len(), told.len() - wrong.len());
    Check::new("paid stays paid", counted, &wrong)
}

fn ends_stay_ends(facts: &Facts) -> Check {
    let told: Vec<_> = facts.orders.iter().filter(|order| order.told.is_ended()).collect();
    let wrong: Vec<_> = told
        .iter()
        .filter_map(|order| match &order.found {
            Found::Seen(seen) if seen.status != order.told => {
                Some(format!("{} was {} and is {}", order.id, order.told.words(), seen.status.words()))
            }
            Found::Seen(seen) if seen.total_due.is_zero() != Some(true) => {
                Some(format!("{} has {} due", order.id, seen.total_due.amount))
            }
            _ => None,
        })
        .collect();
    let counted = format!("told ended {}, ended the same way {}", told.len(), told.len() - wrong.len());
    Check::new("an end is an end", counted, &wrong)
}

fn one_order_per_cart(facts: &Facts) -> Check {
    let mut live: BTreeMap<&str, usize> = BTreeMap::new();
    for order in &facts.orders {
        let count = live.entry(&order.cart).or_default();
        *count += usize::from(order.status().is_some_and(|status| !status.is_ended()));
    }
    let wrong: Vec<_> =
        live.iter().filter(|(_, count)| **count > 1).map(|(cart, count)| format!("{cart} has {count}")).collect();
    let counted = format!("{} carts, {} with more than one live or paid order", live.len(), wrong.len());
    Check::new("one order per cart", counted, &wrong)
}

fn twins_agree(facts: &Facts) -> Check {
    let counted = format!(
        "{} checkouts sent twice, {} answered alike",
        facts.twins,
        facts.twins.saturating_sub(facts.split_twins.len() as u64)
    );
    Check::new("a checkout sent twice is one checkout", counted, &facts.split_twins)
}

fn seen(facts: &Facts) -> impl Iterator<Item = (&OrderFacts, &OrderFull)> {
    facts.orders.iter().filter_map(|order| match &order.found {
        Found::Seen(seen) => Some((order, seen)),
        Found::Missing | Found::Unread => None,
    })
}

fn number(money: &Money) -> Option<Decimal> {
    Decimal::from_str_exact(&money.amount).ok()
}

/// Whether lines come to the subtotal, and all parts to the total and what points pay; `None` where one is no amount.
fn adds_up(order: &OrderFull) -> Option<bool> {
    let Sums { subtotal, discount, shipping, fees, tax, prices_include_tax } = &order.sums;
    let mut goods = Decimal::ZERO;
    for line in &order.lines {
        goods += number(&line.unit_price)? * Decimal::from(line.quantity);
    }
    let added = if *prices_include_tax { Decimal::ZERO } else { number(tax)? };
    let total = number(subtotal)? - number(discount)? + number(shipping)? + number(fees)? + added;
    Some(goods == number(subtotal)? && total == number(&order.total)? + value_of(order)?)
}

fn each_bill_adds_up(facts: &Facts) -> Check {
    let wrong: Vec<_> = seen(facts)
        .filter(|(_, seen)| adds_up(seen) != Some(true))
        .map(|(order, seen)| format!("{} has a total of {}", order.id, seen.total.amount))
        .collect();
    let counted = format!("{} of {} orders", seen(facts).count() - wrong.len(), seen(facts).count());
    Check::new("every bill adds up", counted, &wrong)
}

fn each_has_the_lines_of_its_cart(facts: &Facts) -> Check {
    let is_of_cart = |order: &OrderFacts, seen: &OrderFull| {
        let id = |line: &Line| facts.skus.get(line.sku).map(|sku| &*sku.id);
        let mut put: Vec<_> = order.lines.iter().map(|line| (id(line), i64::from(line.quantity))).collect();
        let mut found: Vec<_> = seen.lines.iter().map(|line| (Some(&*line.sku_id), line.quantity)).collect();
        put.sort_unstable();
        found.sort_unstable();
        put == found
    };
    let wrong: Vec<_> =
        seen(facts).filter(|(order, seen)| !is_of_cart(order, seen)).map(|(order, _)| order.id.clone()).collect();
    let counted = format!("{} of {} orders", seen(facts).count() - wrong.len(), seen(facts).count());
    Check::new("every order has the lines of its cart", counted, &wrong)
}

/// By the group of the buyer and by how many pieces were taken, whatever became of the order.
fn each_at_its_price(facts: &Facts) -> Option<Check> {
    let prices = facts.prices.as_ref()?;
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (order, seen) in seen(facts) {
        for line in &seen.lines {
            let (price, of) = match (order.wholesale, line.quantity >= prices.from) {
                (true, true) => (&prices.wholesale, "at the wholesale price"),
                (true, false) => (&prices.list, "of wholesale buyers who took too few"),
                (false, _) => (&prices.list, "of all others"),
            };
            *counted.entry(of).or_default() += 1;
            if line.unit_price != *price {
                let (asked, price) = (&line.unit_price.amount, &price.amount);
                wrong.push(format!("{} has {} pieces at {asked}, not {price}", order.id, line.quantity));
            }
        }
    }
    let counted: Vec<_> = counted.iter().map(|(of, lines)| format!("{lines} {of}")).collect();
    let counted = format!("lines: {}", if counted.is_empty() { "none".into() } else { counted.join(", ") });
    Some(Check::new("every line has the price of its buyer and its quantity", counted, &wrong))
}

fn sum(facts: &Facts, of: impl Fn(&SkuFacts) -> i64) -> i64 {
    facts.skus.iter().map(of).sum()
}

fn stock_adds_up(facts: &Facts) -> Check {
    let wrong: Vec<_> = facts
        .skus
        .iter()
        .filter(|sku| {
            let stock = sku.after;
            stock.received != stock.on_hand + stock.sold
                || stock.available != stock.on_hand - stock.held
                || [stock.on_hand, stock.held, stock.sold, stock.available].iter().any(|part| *part < 0)
                || sku.before.is_some_and(|before| before.received != stock.received)
        })
        .map(|sku| format!("{} {:?}", sku.id, sku.after))
        .collect();
    let counted = format!(
        "in {} of {} SKUs; received {} = on hand {} + sold {}, available {} = on hand − held {}",
        facts.skus.len() - wrong.len(),
        facts.skus.len(),
        sum(facts, |sku| sku.after.received),
        sum(facts, |sku| sku.after.on_hand),
        sum(facts, |sku| sku.after.sold),
        sum(facts, |sku| sku.after.available),
        sum(facts, |sku| sku.after.held),
    );
    Check::new("stock adds up", counted, &wrong)
}

fn nothing_is_held(facts: &Facts) -> Option<Check> {
    // Others may be buying where there is no "before": their holds are not ours to judge.
    let ours = || facts.skus.iter().filter(|sku| sku.before.is_some());
    let wrong: Vec<_> =
        ours().filter(|sku| sku.after.held != 0).map(|sku| format!("{} holds {}", sku.id, sku.after.held)).collect();
    let held: i64 = ours().map(|sku| sku.after.held).sum();
    let counted = format!("held {held} in {} SKUs", ours().count());
    // Of nothing it would say nothing.
    (ours().count() > 0).then(|| Check::new("nothing is held once all orders are over", counted, &wrong))
}

/// Pieces of each SKU in orders that a buyer was told are paid.
pub fn paid_pieces(orders: &[OrderFacts], skus: usize) -> Vec<i64> {
    let mut paid = vec![0; skus];
    for line in orders.iter().filter(|order| order.told.is_paid()).flat_map(|order| &order.lines) {
        if let Some(pieces) = paid.get_mut(line.sku) {
            *pieces += i64::from(line.quantity);
        }
    }
    paid
}

fn sold_is_paid(facts: &Facts) -> Check {
    let paid = paid_pieces(&facts.orders, facts.skus.len());
    let (mut sold, mut stock) = (0, 0);
    let mut wrong = Vec::new();
    for (sku, &paid) in facts.skus.iter().zip(&paid) {
        let delta = sku.after.sold - sku.before.map_or(0, |before| before.sold);
        sold += delta;
        stock += sku.before.unwrap_or(sku.after).on_hand;
        let right = match sku.before {
            Some(_) => (paid..=paid + sku.unsure).contains(&delta),
            None => delta >= paid,
        };
        if !right {
            wrong.push(format!("{} sold {delta}, told paid {paid}", sku.id));
        }
    }
    let told: i64 = paid.iter().sum();
    let unsure = sum(facts, |sku| sku.unsure);
    let exact = facts.skus.iter().all(|sku| sku.before.is_some());
    let mut counted = match exact {
        true => format!("sold {sold} of {stock}, told paid {told}"),
        false => format!("sold {sold} in all, at least the {told} told paid"),
    };
    if unsure > 0 {
        counted.push_str(&format!(", up to {unsure} in checkouts never answered"));
    }
    Check::new("sold is what buyers were told is paid", counted, &wrong)
}

fn never_oversold(facts: &Facts) -> Check {
    let paid = paid_pieces(&facts.orders, facts.skus.len());
    let stock = |sku: &SkuFacts| match sku.before {
        Some(before) => before.on_hand,
        None => sku.after.received,
    };
    let wrong: Vec<_> = facts
        .skus
        .iter()
        .zip(&paid)
        .filter(|(sku, paid)| **paid > stock(sku))
        .map(|(sku, paid)| format!("{}: {paid} paid of {}", sku.id, stock(sku)))
        .collect();
    let counted = format!("{} paid of {} in stock", paid.iter().sum::<i64>(), sum(facts, stock));
    Check::new("never sold more than there is", counted, &wrong)
}

fn looked_up(facts: &Facts, of: fn(Status) -> bool) -> Vec<(&OrderFacts, &OrderFull, &[Charge])> {
    facts
        .orders
        .iter()
        .filter_map(|order| match (&order.found, &order.charges) {
            (Found::Seen(seen), Some(charges)) if of(seen.status) => Some((order, seen, charges.as_slice())),
            _ => None,
        })
        .collect()
}

fn statuses(charges: &[Charge]) -> String {
    let statuses: Vec<_> = charges.iter().map(|charge| &*charge.status).collect();
    match statuses.is_empty() {
        true => "no charge".into(),
        false => statuses.join(" + "),
    }
}

fn charged_once(facts: &Facts) -> Option<Check> {
    let paid = looked_up(facts, Status::is_paid);
    let wrong: Vec<_> = paid
        .iter()
        .filter_map(|(order, seen, charges)| {
            let taken: Vec<_> = charges.iter().filter(|charge| charge.is_taken()).collect();
            match taken[..] {
                // Where points pay all of it, nothing is left to be charged.
                [] if seen.total.is_zero() == Some(true) => None,
                [charge] if charge.amount == seen.total => None,
                [charge] => Some(format!("{} of {} was charged {}", order.id, seen.total.amount, charge.amount.amount)),
                _ => Some(format!("{} has {}", order.id, statuses(charges))),
            }
        })
        .collect();
    let counted = format!("{} of {} paid orders looked up", paid.len() - wrong.len(), paid.len());
    (!paid.is_empty()).then(|| Check::new("charged once, the total", counted, &wrong))
}

fn not_charged(facts: &Facts) -> Option<Check> {
    let ended = looked_up(facts, Status::is_ended);
    let wrong: Vec<_> = ended
        .iter()
        .filter(|(_, _, charges)| charges.iter().any(Charge::is_taken))
        .map(|(order, _, charges)| format!("{} has {}", order.id, statuses(charges)))
        .collect();
    let counted = format!("{} of {} orders that ended unpaid looked up", ended.len() - wrong.len(), ended.len());
    (!ended.is_empty()).then(|| Check::new("not paid, not charged", counted, &wrong))
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
