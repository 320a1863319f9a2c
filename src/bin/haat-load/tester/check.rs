//! Gathers the facts for the judge once the crowd has gone: waits for orders to end, reads them again, reads stock and charges.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::buyer::{Placed, Polling, follow, understood, unexpected};
use super::client::{Ask, Caller};
use super::coupon;
use super::judge::{Facts, Found, Line, OrderFacts, SkuFacts, paid_pieces};
use super::members;
use super::points;
use super::room;
use super::run::{Cart, Run, Told, crew};
use super::sale;
use super::shop::Desk;
use super::stats::{Call, locked};
use super::values::Random;
use super::wire::{CartView, Charge, Charges, OrderFull, Status};

/// Between two looks at stock that is not calm yet.
const STOCK_LOOK: Duration = Duration::from_millis(200);

/// Between two looks at an order.
const LONGEST_GAP: Duration = Duration::from_secs(1);

/// Connections for the checks, at most.
const MOST_CHECKERS: usize = 64;

/// Waits and reads until the facts are complete, within `--settle` for orders and again for stock.
pub async fn gather(run: &Arc<Run>, twins: u64) -> anyhow::Result<Facts> {
    let unsure_carts = resolve(run).await?;
    let unsure: Vec<Line> = unsure_carts.iter().flat_map(|cart| cart.lines.iter().copied()).collect();
    let told = std::mem::take(&mut *locked(&run.charge_log.orders));
    let told = settle(run, told).await?;
    let mut orders = read_again(run, told).await?;
    // Stock first: a hold may outlive the word "paid" by a moment, and that moment passes meanwhile.
    let skus = match stock(run, &orders, &unsure).await {
        Ok(skus) => skus,
        // What was measured and told before is still worth its report: this is a failed check, not a failed run.
        Err(error) => {
            locked(&run.charge_log.lost_skus).push(format!("{error:#}"));
            Vec::new()
        }
    };
    let sales = match sale::facts(run, &orders, &unsure).await {
        Ok(sales) => sales,
        Err(error) => {
            locked(&run.charge_log.lost_skus).push(format!("{error:#}"));
            Vec::new()
        }
    };
    let coupons = match coupon::facts(run, &unsure_carts).await {
        Ok(coupons) => coupons,
        Err(error) => {
            locked(&run.charge_log.lost_skus).push(format!("{error:#}"));
            Vec::new()
        }
    };
    let points = points::facts(run, &orders, &unsure_carts).await?;
    let prices = members::prices(&run.scenario)?.filter(|_| run.cli.verify.is_none());
    if run.admin.is_some() {
        orders = charges(run, orders).await?;
    }
    let split_twins = std::mem::take(&mut *locked(&run.charge_log.split_twins));
    let lost_skus = std::mem::take(&mut *locked(&run.charge_log.lost_skus));
    let turned_away = std::mem::take(&mut *locked(&run.charge_log.turned_away));
    let without_coupon = std::mem::take(&mut *locked(&run.charge_log.without_coupon));
    let without_points = std::mem::take(&mut *locked(&run.charge_log.without_points));
    let (room, point_value) = (room::facts(run), run.point_value);
    Ok(Facts {
        skus,
        orders,
        lost_skus,
        twins,
        split_twins,
        sales,
        turned_away,
        prices,
        coupons,
        without_coupon,
        points,
        point_value,
        without_points,
        room,
    })
}

/// Asks the carts whose checkout was never answered; gives those that cannot say either.
async fn resolve(run: &Arc<Run>) -> anyhow::Result<Vec<Arc<Cart>>> {
    let carts = Arc::new(std::mem::take(&mut *locked(&run.charge_log.unsure)));
    let count = carts.len();
    let shared = run.clone();
    crew(run, "unsure carts", MOST_CHECKERS, count, move |mut caller, number| {
        let (run, cart) = (shared.clone(), carts[number].clone());
        async move {
            match order_of(&mut caller, &cart).await {
                Some(Some(id)) => run.told(Told { id, cart, status: Status::Unknown }),
                Some(None) => {}
                None => return (caller, Some(cart)),
            }
            (caller, None)
        }
    })
    .await
}

/// The order a cart was checked out into, if any; `None` without a clear answer.
async fn order_of(caller: &mut Caller, cart: &Cart) -> Option<Option<String>> {
    let ask = Ask::get(format!("/v1/carts/{}", cart.id), Some(&cart.bearer)).ok()?;
    let answer = caller.call(Call::BackOffice, &ask, Instant::now()).await.ok()?;
    if answer.status != 200 {
        unexpected(caller, Call::BackOffice, &answer);
        return None;
    }
    let view: CartView = understood(caller, Call::BackOffice, &answer).ok()?;
    Some(view.order_id.map(|id| id.into_owned()))
}

/// Polls the orders that were not over when their buyers left. What they say now is told to the buyers.
async fn settle(run: &Arc<Run>, told: Vec<Told>) -> anyhow::Result<Vec<Told>> {
    let (mut over, waiting): (Vec<_>, Vec<_>) = told.into_iter().partition(|told| told.status.is_settled());
    let began = Instant::now();
    let until = began + run.cli.settle;
    let waiting = Arc::new(waiting);
    let count = waiting.len();
    let shared = run.clone();
    let settled = crew(run, "orders to end", MOST_CHECKERS, count, move |mut caller, number| {
        let (run, mut told) = (shared.clone(), waiting[number].clone());
        async move {
            let placed = Placed { order: told.id.clone(), status: told.status };
            let patience = until.saturating_duration_since(Instant::now());
            // Most have ended long ago: to wait before the first look would only make the check long.
            let polling =
                Polling { first: Duration::ZERO, every: run.cli.poll, up_to: LONGEST_GAP, patience, stop: None };
            let (status, _) = follow(&run, &mut caller, &told.cart, &placed, polling).await;
            told.status = status;
            (caller, Some(told))
        }
    })
    .await?;
    if count > 0 {
        let ms = began.elapsed().as_millis() as u64;
        run.settled_ms.fetch_max(ms.max(1), Ordering::Relaxed);
    }
    over.extend(settled);
    Ok(over)
}

async fn read_again(run: &Arc<Run>, told: Vec<Told>) -> anyhow::Result<Vec<OrderFacts>> {
    let told = Arc::new(told);
    let count = told.len();
    let shared = run.clone();
    crew(run, "reading orders", MOST_CHECKERS, count, move |mut caller, number| {
        let (run, told) = (shared.clone(), told[number].clone());
        async move {
            let found = read_order(&run, &mut caller, &told).await;
            let facts = OrderFacts {
                id: told.id,
                cart: told.cart.id.clone(),
                person: told.cart.person,
                lines: told.cart.lines.clone(),
                wholesale: told.cart.wholesale,
                coupon: told.cart.coupon.clone(),
                points: told.cart.points.clone(),
                told: told.status,
                found,
                charges: None,
            };
            (caller, Some(facts))
        }
    })
    .await
}

async fn read_order(run: &Run, caller: &mut Caller, told: &Told) -> Found {
    let right = run.admin.as_ref().unwrap_or(&told.cart.bearer);
    let Ok(ask) = Ask::get(format!("/v1/orders/{}", told.id), Some(right)) else {
        return Found::Unread;
    };
    let Ok(answer) = caller.call(Call::BackOffice, &ask, Instant::now()).await else {
        return Found::Unread;
    };
    match answer.status {
        200 => {}
        404 => return Found::Missing,
        _ => {
            unexpected(caller, Call::BackOffice, &answer);
            return Found::Unread;
        }
    }
    match understood::<OrderFull>(caller, Call::BackOffice, &answer) {
        Ok(order) => Found::Seen(order),
        Err(_) => Found::Unread,
    }
}

/// Reads each SKU until nothing is held and as much is sold as was paid, or until the time is up.
async fn stock(run: &Arc<Run>, orders: &[OrderFacts], unsure: &[Line]) -> anyhow::Result<Vec<SkuFacts>> {
    if run.admin.is_none() {
        return Ok(Vec::new());
    }
    let paid = paid_pieces(orders, run.skus.len());
    let mut desk = Desk::of(run);
    let until = Instant::now() + run.cli.settle;
    let mut facts = Vec::with_capacity(run.skus.len());
    for (index, sku) in run.skus.iter().enumerate() {
        let after = loop {
            let stock = desk.stock(sku).await?;
            let calm = match sku.before {
                Some(before) => stock.held == 0 && stock.sold - before.sold >= paid[index],
                None => stock.sold >= paid[index],
            };
            if calm || Instant::now() >= until {
                break stock;
            }
            tokio::time::sleep(STOCK_LOOK).await;
        };
        facts.push(SkuFacts {
            id: sku.id.clone(),
            before: sku.before,
            after,
            unsure: unsure.iter().filter(|line| line.sku == index).map(|line| i64::from(line.quantity)).sum(),
        });
    }
    Ok(facts)
}

/// Looks up the charges of some orders, chosen by the seed.
async fn charges(run: &Arc<Run>, mut orders: Vec<OrderFacts>) -> anyhow::Result<Vec<OrderFacts>> {
    let sample = sample(orders.len(), run.cli.check_charges as usize, run.cli.seed);
    let ids: Arc<Vec<(usize, String)>> =
        Arc::new(sample.into_iter().map(|index| (index, orders[index].id.clone())).collect());
    let count = ids.len();
    let shared = run.clone();
    let found = crew(run, "reading charges", MOST_CHECKERS, count, move |mut caller, number| {
        let (run, (index, id)) = (shared.clone(), ids[number].clone());
        async move {
            let charges = charges_of(&run, &mut caller, &id).await;
            (caller, charges.map(|charges| (index, charges)))
        }
    })
    .await?;
    for (index, charges) in found {
        orders[index].charges = Some(charges);
    }
    Ok(orders)
}

async fn charges_of(run: &Run, caller: &mut Caller, order: &str) -> Option<Vec<Charge>> {
    let path = format!("/v1/admin/sandbox/charges?order={order}");
    let ask = Ask::get(path, run.admin.as_ref()).ok()?;
    let answer = caller.call(Call::BackOffice, &ask, Instant::now()).await.ok()?;
    if answer.status != 200 {
        unexpected(caller, Call::BackOffice, &answer);
        return None;
    }
    let charges: Charges = understood(caller, Call::BackOffice, &answer).ok()?;
    Some(charges.items)
}

/// At most `most` different places below `count`, chosen by the seed.
fn sample(count: usize, most: usize, seed: u64) -> Vec<usize> {
    let mut random = Random::of(seed, u64::MAX - 1);
    let mut places: Vec<usize> = (0..count).collect();
    let most = most.min(count);
    for place in 0..most {
        places.swap(place, place + random.below(count - place));
    }
    places.truncate(most);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_bounded_without_repeats_and_repeatable() {
        let mut places = sample(100, 10, 7);
        assert_eq!(places, sample(100, 10, 7));
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 10);
        assert!(places.iter().all(|place| *place < 100));
        let mut all = sample(5, 10, 7);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4]);
    }
}
