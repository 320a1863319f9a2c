//! A sale with an allotment and a limit for each buyer: its terms in a scenario, how it is put on, how those who were refused come again, and
//! what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::mpsc;

use super::client::Wire;
use super::coupon::{self, Unused};
use super::judge::{Found, Line, OrderFacts};
use super::messages::Order;
use super::people::MOST_ALIASES;
use super::room::{Opened, Room};
use super::run::Run;
use super::sale_checks::SaleFacts;
use super::scenario::Shop;
use super::shop::{Desk, Sku};
use super::stats::locked;
use super::values::Time;
use super::wire::{Made, Money, SaleOfVendor};

/// SKUs in one sale that is made.
const SKUS_PER_SALE: usize = 100;
/// It has begun by any clock, and is not over before any run is.
pub const WINDOW: (time::Duration, time::Duration) = (time::Duration::hours(-1), time::Duration::days(2));
/// Between two looks at what is held.
pub const LOOK: Duration = Duration::from_millis(200);
/// The first pause of one who comes again; it doubles up to the second: a crowd that waits is not to be a load like the one that comes.
const COMES_AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(8));

/// A sale of every SKU of the shop at half its price, and how buyers come to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sale {
    /// Pieces of each SKU that can be had in it.
    pub allotment: u32,
    /// Pieces of each SKU that one buyer can have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// So many sessions are one person, who comes with as many addresses of one mailbox.
    #[serde(default = "one")]
    pub aliases: u32,
    /// Who is refused while pieces are held for others comes again for so long.
    #[serde(default = "patience")]
    pub patience: Time,
    /// By which alone one comes to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
}

fn one() -> u32 {
    1
}

fn patience() -> Time {
    Time(Duration::from_secs(60))
}

impl Sale {
    /// Refuses what could not be put on.
    pub fn validate(&self, shop: &Shop) -> Result<(), String> {
        if self.allotment == 0 || self.allotment > shop.stock {
            return Err("shop: sale: an allotment from 1 to the stock of a sku".into());
        }
        if self.limit == Some(0) {
            return Err("shop: sale: a limit of at least 1".into());
        }
        if !(1..=MOST_ALIASES).contains(&self.aliases) {
            return Err(format!("shop: sale: from 1 to {MOST_ALIASES} aliases"));
        }
        self.room.as_ref().map_or(Ok(()), Room::validate)
    }
}

fn half_price(shop: &Shop) -> anyhow::Result<Money> {
    part_of_price(shop, 1, 2)
}

/// So much of the shop's price, rounded down to the digits that it is written with.
pub fn part_of_price(shop: &Shop, numerator: u32, denominator: u32) -> anyhow::Result<Money> {
    let price = Decimal::from_str_exact(&shop.price.0).context("the price")?;
    let scale = price.scale();
    let part = price * Decimal::from(numerator) / Decimal::from(denominator);
    let mut part = part.round_dp_with_strategy(scale, rust_decimal::RoundingStrategy::ToZero);
    part.rescale(scale);
    Ok(Money { amount: part.to_string(), currency: shop.currency.clone() })
}

/// A moment so far from now, as the contract writes it.
pub fn moment(from_now: time::Duration) -> anyhow::Result<String> {
    Ok((OffsetDateTime::now_utc() + from_now).format(&Rfc3339)?)
}

/// A sale that was put on for the run.
#[derive(Clone, Debug)]
pub struct OnSale {
    /// `sale_…`
    pub id: String,
    /// `vendor_…`
    pub vendor: String,
}

/// Puts these SKUs on sale, running at once; in as many sales as there are vendors, or more where one has many.
pub async fn put_on(
    desk: &mut Desk,
    shop: &Shop,
    sale: &Sale,
    room: Option<&Opened>,
    skus: &[Sku],
) -> anyhow::Result<Vec<OnSale>> {
    let mut by_vendor: BTreeMap<&str, Vec<&Sku>> = BTreeMap::new();
    for sku in skus {
        by_vendor.entry(&sku.vendor).or_default().push(sku);
    }
    let price = half_price(shop)?;
    let mut sales = Vec::new();
    for (vendor, skus) in by_vendor {
        for skus in skus.chunks(SKUS_PER_SALE) {
            let mut body = written(&moment(WINDOW.0)?, &moment(WINDOW.1)?, sale, &price, skus);
            if let Some(room) = room {
                body["room_id"] = room.id.clone().into();
            }
            let made: Made =
                desk.post(format!("/v1/vendors/{vendor}/sales"), &body).await.context("could not make a sale")?;
            sales.push(OnSale { id: made.id, vendor: vendor.to_owned() });
        }
    }
    Ok(sales)
}

fn written(starts_at: &str, ends_at: &str, sale: &Sale, price: &Money, skus: &[&Sku]) -> serde_json::Value {
    let item = |sku: &&Sku| {
        let mut item = serde_json::json!({ "sku_id": sku.id, "price": price, "allotment": sale.allotment });
        if let Some(limit) = sale.limit {
            item["limit_per_customer"] = limit.into();
        }
        item
    };
    serde_json::json!({
        "name": "Load sale", "starts_at": starts_at, "ends_at": ends_at, "time_zone": "UTC",
        "items": skus.iter().map(item).collect::<Vec<_>>(),
    })
}

/// What is left for good, as far as that is known.
#[derive(Default)]
pub struct Left {
    /// Of each SKU in its sale: at some moment nothing of it was held, and from then on it only becomes less.
    skus: Mutex<BTreeMap<usize, i64>>,
    coupon: Mutex<Option<Unused>>,
}

impl Left {
    /// Nothing of the SKU was held, and so much was left.
    pub fn note(&self, sku: usize, left: i64) {
        locked(&self.skus).insert(sku, left);
    }

    /// So much of the coupon is not used.
    pub fn note_unused(&self, unused: Unused) {
        *locked(&self.coupon) = Some(unused);
    }

    /// Whether an order with this discount can never have the coupon any more.
    pub fn is_too_little_of_the_coupon(&self, discount: Decimal) -> bool {
        locked(&self.coupon).is_some_and(|unused| unused.is_too_little_for(discount))
    }

    /// Whether these can never be had together any more.
    pub fn is_too_little_for(&self, lines: &[Line]) -> bool {
        let left = locked(&self.skus);
        lines.iter().any(|line| left.get(&line.sku).is_some_and(|left| *left < i64::from(line.quantity)))
    }
}

/// The pauses of one who was refused while pieces are held for others, and comes again.
pub struct ComesAgain {
    until: Instant,
    pause: Duration,
}

impl ComesAgain {
    /// From the first refusal on.
    pub fn new(patience: Time) -> Self {
        ComesAgain { until: Instant::now() + patience.0, pause: COMES_AGAIN.0 }
    }

    /// When to come again; `None` when the patience is over.
    pub fn next(&mut self) -> Option<Instant> {
        let at = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(COMES_AGAIN.1);
        (at < self.until).then_some(at)
    }
}

/// Looks at the sales and at the coupon all the time, and says of which SKU nothing is held and what is left then, and what of the coupon is not
/// used, whenever that is news.
pub async fn watch(run: Arc<Run>, wire: Arc<Wire>, news: mpsc::Sender<Order>) {
    let mut desk = Desk::over(&wire, run.admin.clone());
    let mut told: BTreeMap<usize, i64> = BTreeMap::new();
    let mut told_unused = None;
    loop {
        if let Some(unused) = coupon::look(&run, &mut desk, &mut told_unused).await
            && news.send(unused).await.is_err()
        {
            return;
        }
        for sale in &run.sales {
            // A server that is away now is asked again at the next look.
            let Ok(view) = desk.sale(&sale.vendor, &sale.id).await else { continue };
            for item in view.items.iter().filter(|item| item.held == 0) {
                let Some(sku) = run.skus.iter().position(|sku| sku.id == item.sku_id) else { continue };
                let left = Order::Left { sku, left: item.left };
                if told.insert(sku, item.left) != Some(item.left) && news.send(left).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Reads the sales of the run, or of these orders where the run has put none on, until nothing is held in them or the time is up.
pub async fn facts(run: &Run, orders: &[OrderFacts], unsure: &[Line]) -> anyhow::Result<Vec<SaleFacts>> {
    if run.admin.is_none() {
        return Ok(Vec::new());
    }
    let exact = !run.sales.is_empty();
    let sales: Vec<OnSale> = if exact { run.sales.clone() } else { of_orders(orders) };
    let wanted = match (&run.scenario.shop.sale, exact) {
        (Some(sale), true) if !run.is_prepared => Some((sale, half_price(&run.scenario.shop)?)),
        _ => None,
    };
    let mut desk = Desk::of(run);
    let until = Instant::now() + run.cli.settle;
    let mut facts = Vec::new();
    for sale in sales {
        let view: SaleOfVendor = loop {
            let view = desk.sale(&sale.vendor, &sale.id).await?;
            if view.items.iter().all(|item| item.held == 0) || Instant::now() >= until {
                break view;
            }
            tokio::time::sleep(LOOK).await;
        };
        for item in view.items {
            let Some(sku) = run.skus.iter().position(|sku| sku.id == item.sku_id) else {
                // Of a sale that is not ours some SKUs may not have been bought.
                if exact {
                    bail!("{} has {}, which it was not made with", sale.id, item.sku_id);
                }
                continue;
            };
            // What was asked for, not what the shop says of it, where that is known.
            let (limit, allotment, price) = match &wanted {
                Some((sale, price)) => (sale.limit.map(i64::from), i64::from(sale.allotment), price.clone()),
                None => (item.limit_per_customer, item.allotment, item.price),
            };
            facts.push(SaleFacts {
                sale: sale.id.clone(),
                sku,
                sku_id: item.sku_id,
                price,
                limit,
                allotment,
                held: item.held,
                sold: item.sold,
                exact,
                unsure: unsure.iter().filter(|line| line.sku == sku).map(|line| i64::from(line.quantity)).sum(),
            });
        }
    }
    Ok(facts)
}

/// The sales that lines of these orders were taken from.
fn of_orders(orders: &[OrderFacts]) -> Vec<OnSale> {
    let seen = orders.iter().filter_map(|order| match &order.found {
        Found::Seen(seen) => Some(seen),
        Found::Missing | Found::Unread => None,
    });
    let sales = seen.flat_map(|order| &order.lines).filter_map(|line| Some((line.sale_id.as_ref()?, &line.vendor_id)));
    let sales: BTreeSet<_> = sales.collect();
    sales.into_iter().map(|(id, vendor)| OnSale { id: id.clone(), vendor: vendor.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(aliases: u32) -> Sale {
        Sale { allotment: 5, limit: Some(2), aliases, patience: patience(), room: None }
    }

    #[test]
    fn half_a_price_has_the_digits_of_the_whole() {
        for (price, half) in [("1250.00", "625.00"), ("9.99", "4.99"), ("7", "3"), ("1.001", "0.500")] {
            let shop = Shop { price: price.parse().expect("a price"), ..Shop::default() };
            assert_eq!(half_price(&shop).expect("a price").amount, half);
        }
    }

    #[test]
    fn a_sale_is_written_as_the_contract_has_it() {
        let sku = Sku { id: "sku_1".into(), vendor: "vendor_1".into(), before: None };
        let price = Money { amount: "625.00".into(), currency: "BDT".into() };
        assert_eq!(
            written("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z", &sale(3), &price, &[&sku]),
            serde_json::json!({
                "name": "Load sale", "starts_at": "2030-01-01T00:00:00Z", "ends_at": "2030-01-02T00:00:00Z", "time_zone": "UTC",
                "items": [{
                    "sku_id": "sku_1", "price": {"amount": "625.00", "currency": "BDT"}, "allotment": 5, "limit_per_customer": 2,
                }],
            })
        );
    }

    #[test]
    fn a_refusal_stands_when_less_is_left_for_good_than_one_of_the_lines_asks_for() {
        let left = Left::default();
        let lines = [Line { sku: 0, quantity: 1 }, Line { sku: 1, quantity: 2 }];
        assert!(!left.is_too_little_for(&lines));
        left.note(0, 1);
        left.note(1, 2);
        assert!(!left.is_too_little_for(&lines));
        left.note(1, 1);
        assert!(left.is_too_little_for(&lines));
        assert!(!left.is_too_little_for(&lines[..1]));
    }

    #[test]
    fn patience_ends() {
        let mut patient = ComesAgain::new(patience());
        assert!(patient.next().is_some());
        assert_eq!(ComesAgain::new(Time(Duration::from_millis(100))).next(), None);
    }
}
