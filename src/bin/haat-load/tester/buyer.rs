//! A buyer's steps, each one call with its answer understood.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::client::{Answer, Ask, Caller, Token, bearer};
use super::coupon::{Carried, Offered, amount};
use super::judge::Line;
use super::points;
use super::room;
use super::run::{Cart, Run, rest_until};
use super::stats::Call;
use super::values::Random;
use super::wire::{CartMade, CartView, OrderBrief, Problem, Status};

/// Refusals that belong to a flash sale.
const ORDERLY: [&str; 11] = [
    "coupon_exhausted",
    "coupon_limit_reached",
    "out_of_stock",
    "price_changed",
    "purchase_limit",
    "sale_ended",
    "sale_sold_out",
    "sale_not_started",
    "email_required",
    POINTS_INSUFFICIENT,
    ENTRY_OVER,
];
/// The time in a room's slot is over.
const ENTRY_OVER: &str = "entry_invalid";
/// Less is left of a sale than was asked for.
const SALE_SOLD_OUT: &str = "sale_sold_out";

/// The buyer has not so many points.
pub const POINTS_INSUFFICIENT: &str = "points_insufficient";

/// All uses of the coupon are held or used, or its budget is.
const COUPON_EXHAUSTED: &str = "coupon_exhausted";

/// Why a buyer goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// An orderly refusal, by its code.
    Refused(String),
    /// No answer after all repeats.
    GaveUp(Call),
    /// An answer that the contract does not foresee; counted already.
    Unexpected(Call),
    /// It left of its own will.
    Abandoned,
    /// The run was stopped.
    Stopped,
}

impl Stop {
    /// Whether a sale had too little left.
    pub fn is_sale_sold_out(&self) -> bool {
        matches!(self, Stop::Refused(code) if code == SALE_SOLD_OUT)
    }

    /// Whether too little was left of the coupon.
    pub fn is_coupon_exhausted(&self) -> bool {
        matches!(self, Stop::Refused(code) if code == COUPON_EXHAUSTED)
    }

    /// Whether the same cart can be bought without its coupon.
    pub fn is_for_the_coupon(&self) -> bool {
        matches!(self, Stop::Refused(code) if code.starts_with("coupon_"))
    }

    /// Whether the buyer had too few points.
    pub fn is_for_want_of_points(&self) -> bool {
        matches!(self, Stop::Refused(code) if code == POINTS_INSUFFICIENT)
    }

    /// In the words of the summary.
    pub fn words(&self) -> Cow<'static, str> {
        match self {
            Stop::Refused(code) => match code.as_str() {
                "out_of_stock" => "sold out".into(),
                "price_changed" => "price changed".into(),
                SALE_SOLD_OUT => "sale sold out".into(),
                COUPON_EXHAUSTED => "coupon used up".into(),
                POINTS_INSUFFICIENT => "too few points".into(),
                ENTRY_OVER => "too late in the room".into(),
                room::ALL_SOLD => "left the line: all is sold".into(),
                room::CLOSED => "left the line: the room is closed".into(),
                room::TOO_LONG => room::TOO_LONG_WORDS.into(),
                room::MISSED => "left the line: missed its turn".into(),
                code => format!("refused: {code}").into(),
            },
            Stop::GaveUp(call) => format!("no answer: {}", call.name()).into(),
            Stop::Unexpected(call) => format!("unexpected answer: {}", call.name()).into(),
            Stop::Abandoned => "abandoned".into(),
            Stop::Stopped => "stopped".into(),
        }
    }
}

/// Reads the SKU's public page.
pub async fn browse(run: &Run, caller: &mut Caller, sku: usize, due: Instant) -> Result<(), Stop> {
    let ask = path(caller, Call::Browse, Ask::get(format!("/v1/skus/{}", run.skus[sku].id), None))?;
    let answer = call(caller, Call::Browse, &ask, due).await?;
    match answer.status {
        200 => Ok(()),
        _ => Err(unexpected(caller, Call::Browse, &answer)),
    }
}

/// Chooses what to buy: as many different SKUs as a cart has lines.
pub fn choose(run: &Run, random: &mut Random) -> Vec<Line> {
    let basket = &run.scenario.cart;
    let mut lines: Vec<Line> = Vec::with_capacity(basket.lines as usize);
    while lines.len() < basket.lines as usize {
        let mut sku = random.below(run.skus.len());
        // There are at least as many SKUs as lines, so the next free one is found.
        while lines.iter().any(|line| line.sku == sku) {
            sku = (sku + 1) % run.skus.len();
        }
        lines.push(Line { sku, quantity: random.quantity(basket.quantity) });
    }
    lines
}

/// Makes an empty cart for these lines, in this session: a guest's, or of whoever comes with an account.
pub async fn create_cart(
    run: &Run,
    caller: &mut Caller,
    session: u64,
    lines: Vec<Line>,
    due: Instant,
) -> Result<Cart, Stop> {
    let member = run.members.get(&session);
    let own = member.map(|member| path(caller, Call::CreateCart, bearer(&member.token))).transpose()?;
    let ask = Ask::post("/v1/carts".into(), own.as_ref(), Bytes::from_static(b"{}"));
    let ask = path(caller, Call::CreateCart, ask)?;
    let answer = call(caller, Call::CreateCart, &ask, due).await?;
    // The one open cart of a customer is there already when this is a repeat, or when a second one was made for them.
    let may_be_there = member.is_some_and(|member| answer.repeated || member.other.is_some());
    if answer.status != 201 && !(answer.status == 200 && may_be_there) {
        return Err(unexpected(caller, Call::CreateCart, &answer));
    }
    let made: CartMade = understood(caller, Call::CreateCart, &answer)?;
    let bearer = match own {
        Some(own) => own,
        None => path(caller, Call::CreateCart, bearer(made.token.as_deref().unwrap_or_default()))?,
    };
    let wholesale = member.is_some_and(|member| member.wholesale);
    let person = run.scenario.shop.people().map(|people| people.person(session));
    let points = member.and_then(|member| points::paying(run, session, member));
    Ok(Cart { id: made.id.into_owned(), bearer, wholesale, person, lines, coupon: None, points, entry: None })
}

/// Puts one line of the cart in.
pub async fn set_line(run: &Run, caller: &mut Caller, cart: &Cart, line: Line, due: Instant) -> Result<(), Stop> {
    let ask = Ask::put(
        format!("/v1/carts/{}/lines/{}", cart.id, run.skus[line.sku].id),
        Some(&cart.bearer),
        Bytes::from(format!("{{\"quantity\":{}}}", line.quantity)),
    );
    let ask = path(caller, Call::SetLine, ask)?;
    let answer = call(caller, Call::SetLine, &ask, due).await?;
    match answer.status {
        200 => Ok(()),
        _ => Err(refused(caller, Call::SetLine, &answer)),
    }
}

/// Puts the coupon's code into the cart; gives what the cart says of it.
pub async fn put_coupon(run: &Run, caller: &mut Caller, cart: &Cart, due: Instant) -> Result<Option<Carried>, Stop> {
    let Some(offered) = run.coupons.first() else { return Ok(None) };
    let ask = Ask::put(coupon_path(cart, offered), Some(&cart.bearer), Bytes::new());
    let ask = path(caller, Call::SetCoupon, ask)?;
    let answer = call(caller, Call::SetCoupon, &ask, due).await?;
    if answer.status != 200 {
        return Err(refused(caller, Call::SetCoupon, &answer));
    }
    let view: CartView = understood(caller, Call::SetCoupon, &answer)?;
    let told = view.coupons.iter().find(|coupon| coupon.code == offered.code);
    let discount = told.context("a cart without the coupon that was put there").and_then(|told| amount(&told.discount));
    Ok(Some(Carried { coupon: 0, discount: path(caller, Call::SetCoupon, discount)? }))
}

/// Takes the coupon's code out of the cart; gives the cart as it is then.
pub async fn remove_coupon(run: &Run, caller: &mut Caller, cart: &Cart, due: Instant) -> Result<Cart, Stop> {
    let offered = cart.coupon.as_ref().map(|carried| &run.coupons[carried.coupon]);
    if let Some(offered) = offered {
        let ask = path(caller, Call::SetCoupon, Ask::delete(coupon_path(cart, offered), Some(&cart.bearer)))?;
        let answer = call(caller, Call::SetCoupon, &ask, due).await?;
        if answer.status != 200 {
            return Err(refused(caller, Call::SetCoupon, &answer));
        }
    }
    Ok(Cart { coupon: None, ..cart.clone() })
}

fn coupon_path(cart: &Cart, offered: &Offered) -> String {
    format!("/v1/carts/{}/coupons/{}", cart.id, offered.code)
}

/// The checkout of a cart, ready to be sent once or twice.
pub fn checkout_ask(cart: &Cart, body: Bytes, key: Option<Token>, wait: Option<u32>) -> anyhow::Result<Ask> {
    let path = format!("/v1/carts/{}/checkout", cart.id);
    let ask = Ask::post(path, Some(&cart.bearer), body)?;
    Ok(Ask { key, wait, entry: cart.entry.clone(), ..ask })
}

/// What a checkout was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// `order_…`
    pub order: String,
    /// Its status as told.
    pub status: Status,
}

/// Sends a checkout; what is promised goes to the journal.
pub async fn checkout(run: &Run, caller: &mut Caller, cart: &Cart, ask: &Ask, due: Instant) -> Result<Placed, Stop> {
    let answer = call(caller, Call::Checkout, ask, due).await?;
    let foreseen = match answer.status {
        201 => true,
        // The same order again: when this is a repeat, or its twin on the other connection was first.
        200 => answer.repeated || ask.key.is_some(),
        _ => return Err(refused(caller, Call::Checkout, &answer)),
    };
    let order: OrderBrief = understood(caller, Call::Checkout, &answer)?;
    if !foreseen {
        caller.recorder().unexpected("checkout: 200 for a cart checked out for the first time");
    }
    run.promise(&order.id, cart, order.status, ask.key.as_deref());
    Ok(Placed { order: order.id.into_owned(), status: order.status })
}

/// How an order is looked at until it is paid or has ended.
pub struct Polling<'a> {
    /// Before the first look.
    pub first: Duration,
    /// Before the second; it doubles from here.
    pub every: Duration,
    /// The longest gap.
    pub up_to: Duration,
    /// After so long the looking ends.
    pub patience: Duration,
    /// Ends it too.
    pub stop: Option<&'a CancellationToken>,
}

/// Polls until the order is paid or has ended, or until `patience` runs out; gives the last status told.
pub async fn follow(
    run: &Run,
    caller: &mut Caller,
    cart: &Arc<Cart>,
    placed: &Placed,
    polling: Polling<'_>,
) -> (Status, Result<(), Stop>) {
    let started = Instant::now();
    let mut status = placed.status;
    let ask = match path(caller, Call::Poll, Ask::get(format!("/v1/orders/{}", placed.order), Some(&cart.bearer))) {
        Ok(ask) => ask,
        Err(stop) => return (status, Err(stop)),
    };
    let mut gap = polling.first;
    let mut looked = false;
    // Once in any case: who comes late to look may find that all is well.
    while !status.is_settled() {
        if looked && started.elapsed() >= polling.patience {
            break;
        }
        looked = true;
        let due = Instant::now() + gap;
        if !rest_until(due, polling.stop).await {
            return (status, Err(Stop::Stopped));
        }
        gap = (gap * 2).min(polling.up_to).max(polling.every);
        match poll(caller, &ask, due).await {
            Ok(told) => status = told,
            Err(stop) => return (status, Err(stop)),
        }
        if status.is_settled() {
            run.promise(&placed.order, cart, status, None);
        }
    }
    (status, Ok(()))
}

async fn poll(caller: &mut Caller, ask: &Ask, due: Instant) -> Result<Status, Stop> {
    let answer = call(caller, Call::Poll, ask, due).await?;
    if answer.status != 200 {
        return Err(unexpected(caller, Call::Poll, &answer));
    }
    let order: OrderBrief = understood(caller, Call::Poll, &answer)?;
    Ok(order.status)
}

/// Sends a call, and repeats it as the contract allows.
pub async fn call(caller: &mut Caller, call: Call, ask: &Ask, due: Instant) -> Result<Answer, Stop> {
    caller.call(call, ask, due).await.map_err(|_| Stop::GaveUp(call))
}

/// An id or token from the server that fits no path or header is an answer that does not fit the contract.
pub fn path<T>(caller: &Caller, call: Call, made: anyhow::Result<T>) -> Result<T, Stop> {
    made.map_err(|error| {
        caller.recorder().unexpected(&format!("{}: {error}", call.name()));
        Stop::Unexpected(call)
    })
}

/// Reads an answer's body.
pub fn understood<'a, T: Deserialize<'a>>(caller: &Caller, call: Call, answer: &'a Answer) -> Result<T, Stop> {
    let read = serde_json::from_slice(&answer.body);
    path(caller, call, read.context("an answer that does not fit the contract"))
}

fn refused(caller: &Caller, call: Call, answer: &Answer) -> Stop {
    if matches!(answer.status, 403 | 409 | 422)
        && let Ok(problem) = serde_json::from_slice::<Problem>(&answer.body)
        && ORDERLY.contains(&&*problem.code)
    {
        caller.recorder().count(|measured| measured.refusals.add(&problem.code, 1));
        return Stop::Refused(problem.code.into_owned());
    }
    unexpected(caller, call, answer)
}

/// Counts an answer that the contract does not foresee.
pub fn unexpected(caller: &Caller, call: Call, answer: &Answer) -> Stop {
    let code =
        serde_json::from_slice::<Problem>(&answer.body).map_or(String::new(), |problem| format!(" {}", problem.code));
    caller.recorder().unexpected(&format!("{}: {}{code}", call.name(), answer.status));
    Stop::Unexpected(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_in_words() {
        let refused = |code: &str| Stop::Refused(code.into()).words().into_owned();
        assert_eq!(refused("out_of_stock"), "sold out");
        assert_eq!(refused("price_changed"), "price changed");
        assert_eq!(refused("purchase_limit"), "refused: purchase_limit");
        assert_eq!(refused("sale_sold_out"), "sale sold out");
        assert!(Stop::Refused("sale_sold_out".into()).is_sale_sold_out());
        assert!(!Stop::Refused("out_of_stock".into()).is_sale_sold_out());
        assert_eq!(refused("coupon_exhausted"), "coupon used up");
        assert_eq!(refused("points_insufficient"), "too few points");
        for (code, exhausted, without) in
            [("coupon_exhausted", true, true), ("coupon_limit_reached", false, true), ("sale_sold_out", false, false)]
        {
            let stop = Stop::Refused(code.into());
            assert_eq!((stop.is_coupon_exhausted(), stop.is_for_the_coupon()), (exhausted, without), "{code}");
        }
        assert_eq!(Stop::GaveUp(Call::Checkout).words(), "no answer: checkout");
    }
}
