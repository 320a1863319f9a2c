//! Points that every customer has and pays with: their terms in a scenario, how they are given, the two carts of those who spend the same points
//! twice, and what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::buyer::{Placed, Stop, checkout, checkout_ask, choose, understood, unexpected};
use super::client::{Ask, Caller, bearer};
use super::coupon::amount;
use super::judge::{Line, OrderFacts};
use super::members::{Member, is_among};
use super::points_checks::PointFacts;
use super::run::{Cart, Run, Told, checkout_in_no_hurry, crew};
use super::sale::LOOK;
use super::scenario::Shop;
use super::shop::{Desk, new_key};
use super::stats::{Call, locked};
use super::values::{Random, Share};
use super::wire::{CartState, LoyaltyOfShop, Made, Money, PointsOfCustomer, Whatever};

/// Where the programme is.
const PROGRAMME: &str = "/v1/admin/loyalty";
/// What of the money paid for goods comes back as points, in the programme that is written where there is none.
const EARN_BASIS_POINTS: u32 = 100;
/// How long the first order of a second cart's customer may take: it is cancelled long before.
const IN_NO_HURRY_MS: u32 = 60_000;
/// Within which a cart is open again whose order was cancelled.
const PATIENCE: Duration = Duration::from_secs(60);
/// Customers whose points are read at a time.
const MOST_CHECKERS: usize = 64;
/// More than any order of a run costs, and fewer than the contract refuses.
const MOST: u32 = 1_000_000_000;
/// Sets what customers want to spend apart from their other choices.
const WANTED: u64 = 0x5851_f42d_4c95_7f2d;

/// Everybody comes with an account, is given points, and pays with some of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// How many each is given, and wants to spend at most.
    pub each: u32,
    /// The share of customers who spend all of theirs in two carts at once.
    #[serde(default)]
    pub twice: Share,
}

impl Points {
    /// Refuses what could not be given.
    pub fn validate(&self, shop: &Shop) -> Result<(), String> {
        if !(1..=MOST).contains(&self.each) {
            return Err("shop: points: each is given from 1 to 1,000,000,000".into());
        }
        if shop.people().is_some_and(|people| people.aliases > 1) {
            return Err("shop: points are of an account, and each person has one: give no aliases".into());
        }
        if shop.accounts.0 > 0.0 {
            return Err("shop: where there are points everybody has an account: leave accounts out".into());
        }
        if self.twice.0 > 0.0 && shop.sale.as_ref().is_some_and(|sale| sale.room.is_some()) {
            return Err("shop: points: with one entry to a room nobody has two carts: leave twice out".into());
        }
        Ok(())
    }
}

/// With what points a cart is to be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paying {
    /// `customer_…`
    pub customer: String,
    /// How many the customer was given.
    pub given: i64,
    /// How many the checkout asks to spend, at most.
    pub wanted: i64,
}

/// Somebody who was refused for want of points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanting {
    /// `customer_…`
    pub customer: String,
    /// `cart_…`
    pub cart: String,
    /// How many the checkout asked to spend, at most.
    pub wanted: i64,
}

/// The other open cart of a customer who spends the same points in two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OtherCart {
    /// `cart_…`
    pub id: String,
    /// What is in it.
    pub lines: Vec<Line>,
}

/// With what points this session pays: with all of them who spends them twice, everybody else with some.
pub fn paying(run: &Run, session: u64, member: &Member) -> Option<Paying> {
    let points = run.scenario.shop.points.as_ref()?;
    let wanted = match &member.other {
        Some(_) => i64::from(points.each),
        None => 1 + Random::of(run.cli.seed ^ WANTED, session).below(points.each as usize) as i64,
    };
    Some(Paying { customer: member.customer.clone(), given: points.each.into(), wanted })
}

/// Sees to a programme, gives everybody their points, and opens the second carts.
pub async fn open(desk: &mut Desk, run: &mut Run) -> anyhow::Result<()> {
    let Some(points) = run.scenario.shop.points.clone() else { return Ok(()) };
    run.point_value = Some(programme(desk, &run.scenario.shop).await?);
    for member in run.members.values() {
        let body = serde_json::json!({ "points": points.each, "reason": "promotion" });
        let path = format!("/v1/admin/customers/{}/points", member.customer);
        let _: PointsOfCustomer = desk.post(path, &body).await.context("could not give points")?;
    }
    let twice: Vec<u64> = run.members.keys().copied().filter(|session| is_among(*session, points.twice)).collect();
    let mut others = BTreeMap::new();
    for session in twice {
        let other = second_cart(run, session, &run.members[&session]).await;
        others.insert(session, other.context("could not open two carts of one customer")?);
    }
    let until = Instant::now() + PATIENCE;
    for (session, other) in others {
        let Some(member) = run.members.get_mut(&session) else { continue };
        let mut own = Desk::over(&run.wire, Some(bearer(&member.token)?));
        while own.get::<CartState>(format!("/v1/carts/{}", other.id)).await?.status != "open" {
            if Instant::now() >= until {
                bail!("{} is not open again, although its order was cancelled", other.id);
            }
            tokio::time::sleep(LOOK).await;
        }
        member.other = Some(other);
    }
    Ok(())
}

/// What one point pays, by the shop's programme; it is written where there is none.
async fn programme(desk: &mut Desk, shop: &Shop) -> anyhow::Result<Decimal> {
    let mut loyalty: LoyaltyOfShop = desk.get(PROGRAMME.into()).await?;
    if loyalty.version == 0 {
        let body = written(shop)?;
        loyalty = desk.put(PROGRAMME.into(), 0, &body).await.context("could not write a programme of points")?;
    }
    let value = loyalty.point_values.iter().find(|value| value.currency == shop.currency);
    amount(value.with_context(|| format!("by the shop's programme points have no value in {}", shop.currency))?)
}

fn written(shop: &Shop) -> anyhow::Result<serde_json::Value> {
    let mut one = Decimal::ONE;
    // As many digits as the price has, for they are the currency's.
    one.rescale(Decimal::from_str_exact(&shop.price.0).context("the price")?.scale());
    let value = Money { amount: one.to_string(), currency: shop.currency.clone() };
    Ok(serde_json::json!({
        "earn_basis_points": EARN_BASIS_POINTS, "point_values": [value], "earn_after_days": 14, "expires_days": 365, "time_zone": "UTC",
    }))
}

/// Opens a second cart beside the first, which the shop does for nobody whose first is open: the first is checked out, with another one opened
/// meanwhile, and its order is cancelled, so that it opens again. Gives the first, with its lines in it.
async fn second_cart(run: &Run, session: u64, member: &Member) -> anyhow::Result<OtherCart> {
    let mut own = Desk::over(&run.wire, Some(bearer(&member.token)?));
    let nothing = serde_json::json!({});
    let first: CartState = own.post("/v1/carts".into(), &nothing).await?;
    let lines = choose(run, &mut Random::of(run.cli.seed, session));
    for line in &lines {
        let path = format!("/v1/carts/{}/lines/{}", first.id, run.skus[line.sku].id);
        let body = serde_json::json!({ "quantity": line.quantity });
        let _: Whatever = own.set(path, &body).await?;
    }
    let path = format!("/v1/carts/{}/checkout", first.id);
    let order: Made = own.post(path, &checkout_in_no_hurry(IN_NO_HURRY_MS)).await?;
    let second: CartState = own.post("/v1/carts".into(), &nothing).await?;
    if second.id == first.id {
        bail!("{} is open while its order is live", first.id);
    }
    let _: Whatever = own.post(format!("/v1/orders/{}/cancel", order.id), &nothing).await?;
    Ok(OtherCart { id: first.id, lines })
}

/// The other cart of this session, to be paid with the same points.
pub fn other_cart(run: &Run, session: u64, cart: &Cart) -> Option<Cart> {
    let OtherCart { id, lines } = run.members.get(&session)?.other.clone()?;
    Some(Cart { id, lines, coupon: None, ..cart.clone() })
}

/// Who spends the same points in two carts checks out both at once. Gives the cart and the answer that the session goes on with: an order, where
/// there is one. The other order is noted.
pub async fn check_out_both(
    run: &Run,
    caller: &mut Caller,
    (cart, ask): (Arc<Cart>, &Ask),
    other: Cart,
    due: Instant,
) -> (Arc<Cart>, Result<Placed, Stop>) {
    let mut second = caller.another();
    let other = Arc::new(other);
    let other_ask = match checkout_ask(&other, ask.body.clone(), ask.key.as_ref().map(|_| new_key()), ask.wait) {
        Ok(ask) => ask,
        Err(_) => return (cart, Err(Stop::Unexpected(Call::Checkout))),
    };
    let (placed, other_placed) =
        tokio::join!(checkout(run, caller, &cart, ask, due), checkout(run, &mut second, &other, &other_ask, due));
    match (placed, other_placed) {
        (placed @ Ok(_), Ok(Placed { order: id, status })) => {
            run.told(Told { id, cart: other, status });
            (cart, placed)
        }
        (Err(stop), placed @ Ok(_)) => {
            note(run, &cart, &stop);
            (other, placed)
        }
        (placed, Err(stop)) => {
            note(run, &other, &stop);
            if let Err(stop) = &placed {
                note(run, &cart, stop);
            }
            (cart, placed)
        }
    }
}

/// Notes for the checks what a checkout without an order wanted of points, or that nobody knows whether there is an order.
pub fn note(run: &Run, cart: &Arc<Cart>, stop: &Stop) {
    match (stop, &cart.points) {
        (Stop::GaveUp(_) | Stop::Unexpected(_), _) => locked(&run.charge_log.unsure).push(cart.clone()),
        (stop, Some(Paying { customer, wanted, .. })) if stop.is_for_want_of_points() => {
            let wanting = Wanting { customer: customer.clone(), cart: cart.id.clone(), wanted: *wanted };
            locked(&run.charge_log.without_points).push(wanting);
        }
        _ => {}
    }
}

/// Somebody who was given points.
struct Given {
    customer: String,
    given: i64,
    twice: bool,
    unsure: i64,
}

/// Reads the points of those who were given some, until nothing of them is held or the time is up.
pub async fn facts(run: &Arc<Run>, orders: &[OrderFacts], unsure: &[Arc<Cart>]) -> anyhow::Result<Vec<PointFacts>> {
    if run.admin.is_none() {
        return Ok(Vec::new());
    }
    let given = Arc::new(given(run, orders, unsure));
    let (exact, until) = (run.cli.verify.is_none(), Instant::now() + run.cli.settle);
    let (count, shared) = (given.len(), run.clone());
    crew(run, "reading points", MOST_CHECKERS, count, move |mut caller, number| {
        let (run, given) = (shared.clone(), given.clone());
        async move {
            let Given { customer, given, twice, unsure } = &given[number];
            let found = loop {
                let found = points_of(&run, &mut caller, customer).await;
                if found.is_none_or(|found| found.held == 0) || Instant::now() >= until {
                    break found;
                }
                tokio::time::sleep(LOOK).await;
            };
            let (customer, given, twice, unsure) = (customer.clone(), *given, *twice, *unsure);
            (caller, Some(PointFacts { customer, given, twice, found, exact, unsure }))
        }
    })
    .await
}

/// Those whom the run gave points; or those that promises speak of.
fn given(run: &Run, orders: &[OrderFacts], unsure: &[Arc<Cart>]) -> Vec<Given> {
    let mut by_customer: BTreeMap<&str, Given> = BTreeMap::new();
    let of_run = run.members.values().filter_map(|member| {
        let points = run.scenario.shop.points.as_ref()?;
        Some((&*member.customer, i64::from(points.each), member.other.is_some()))
    });
    let of_orders = orders.iter().filter_map(|order| order.points.as_ref());
    for (customer, given, twice) in of_run.chain(of_orders.map(|points| (&*points.customer, points.given, false))) {
        let new = || Given { customer: customer.to_owned(), given, twice, unsure: 0 };
        by_customer.entry(customer).or_insert_with(new);
    }
    for points in unsure.iter().filter_map(|cart| cart.points.as_ref()) {
        if let Some(given) = by_customer.get_mut(&*points.customer) {
            given.unsure += points.wanted;
        }
    }
    by_customer.into_values().collect()
}

async fn points_of(run: &Run, caller: &mut Caller, customer: &str) -> Option<PointsOfCustomer> {
    let path = format!("/v1/admin/customers/{customer}/points");
    let ask = Ask::get(path, run.admin.as_ref()).ok()?;
    let answer = caller.call(Call::BackOffice, &ask, Instant::now()).await.ok()?;
    if answer.status != 200 {
        unexpected(caller, Call::BackOffice, &answer);
        return None;
    }
    understood(caller, Call::BackOffice, &answer).ok()
}

#[cfg(test)]
mod tests {
    use super::super::room::Room;
    use super::super::sale::Sale;
    use super::super::values::Time;
    use super::*;

    fn points() -> Points {
        Points { each: 500, twice: Share(20.0) }
    }

    #[test]
    fn a_programme_is_written_in_the_digits_of_its_currency() {
        let shop = Shop { price: "9.50".parse().expect("a price"), ..Shop::default() };
        assert_eq!(
            written(&shop).expect("a programme"),
            serde_json::json!({
                "earn_basis_points": 100, "point_values": [{ "amount": "1.00", "currency": "BDT" }], "earn_after_days": 14,
                "expires_days": 365, "time_zone": "UTC",
            })
        );
        let whole = Shop { price: "950".parse().expect("a price"), currency: "JPY".into(), ..Shop::default() };
        let value = &written(&whole).expect("a programme")["point_values"][0];
        assert_eq!(*value, serde_json::json!({ "amount": "1", "currency": "JPY" }));
    }

    #[test]
    fn what_could_not_be_given_is_refused() {
        let shop = Shop::default();
        assert_eq!(points().validate(&shop), Ok(()));
        assert!(Points { each: 0, ..points() }.validate(&shop).is_err());
        let with_accounts = Shop { accounts: Share(10.0), ..Shop::default() };
        assert!(points().validate(&with_accounts).is_err());
        let sale: Sale = serde_json::from_str(r#"{"allotment": 5, "aliases": 3}"#).expect("a sale");
        assert!(points().validate(&Shop { sale: Some(sale.clone()), ..Shop::default() }).is_err());
        let time = Time(Duration::from_secs(60));
        let room = Room { capacity: 5, admit_per_minute: 60, claim: time, slot: time, opens_in: Time::default() };
        let behind_a_room = Shop { sale: Some(Sale { aliases: 1, room: Some(room), ..sale }), ..Shop::default() };
        assert!(points().validate(&behind_a_room).is_err());
        assert_eq!(Points { twice: Share(0.0), ..points() }.validate(&behind_a_room), Ok(()));
    }
}
