//! One session: a buyer's way through the steps of the scenario.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use super::buyer::{
    Placed, Polling, Stop, browse, checkout, checkout_ask, choose, create_cart, follow, put_coupon, remove_coupon,
    set_line,
};
use super::client::{Ask, Caller};
use super::points;
use super::room::{self, Waiting};
use super::run::{Cart, Run, Told, rest_until};
use super::sale::ComesAgain;
use super::scenario::{RetryWhen, Step};
use super::shop::new_key;
use super::stats::{Call, locked};
use super::streams::watch;
use super::think::ThinkTime;
use super::values::Random;

/// How far a session has come.
#[derive(Default)]
struct Visit {
    /// Which session it is.
    number: u64,
    cart: Option<Arc<Cart>>,
    placed: Option<Placed>,
    /// Its place in the line of a room.
    waiting: Option<Box<Waiting>>,
    /// When its checkout was meant to be sent.
    checkout_due: Option<Instant>,
    polled: bool,
}

impl Visit {
    /// It has an order.
    fn came_to(&mut self, caller: &Caller, placed: Placed, due: Instant) {
        if placed.status.is_settled() {
            caller.recorder().note(Call::ToTheEnd, due.elapsed());
        }
        self.placed = Some(placed);
    }
}

/// One buyer from the first step to the last, due at this moment; gives the outcome in words, or nothing when only the checks at the end
/// will tell. A cart made beforehand is taken up.
pub async fn session(
    run: &Run,
    caller: &mut Caller,
    number: u64,
    due: Instant,
    cart: Option<Arc<Cart>>,
) -> Option<Cow<'static, str>> {
    let mut visit = Visit { number, cart, ..Visit::default() };
    let went = steps(run, caller, due, &mut visit).await;
    if let Some(waiting) = visit.waiting.take() {
        Box::pin(give_up_place(run, caller, &visit, *waiting)).await;
    }
    if let (Some(cart), Some(placed)) = (visit.cart.take(), visit.placed.take()) {
        let status = placed.status;
        run.told(Told { id: placed.order, cart, status });
        // Without polling the checks will tell how it ended, and count it.
        if !run.scenario.checks_out_and_polls().1 {
            return None;
        }
        return match went {
            Err(stop) => Some(stop.words()),
            Ok(()) if status.is_settled() => Some(status.words().into()),
            Ok(()) if visit.polled => Some("unfinished within the session".into()),
            // It left before it came to poll.
            Ok(()) => None,
        };
    }
    match went {
        Err(stop) => Some(stop.words()),
        Ok(()) => Some("at its end without an order".into()),
    }
}

/// The cart of a session that is filled before it begins: the same lines that it would choose itself.
pub async fn fill_beforehand(run: &Run, caller: &mut Caller, number: u64) -> Result<Cart, Stop> {
    let mut random = Random::of(run.cli.seed, number);
    let mut cart = create_cart(run, caller, number, choose(run, &mut random), Instant::now()).await?;
    for &line in &cart.lines {
        set_line(run, caller, &cart, line, Instant::now()).await?;
    }
    cart.coupon = put_coupon(run, caller, &cart, Instant::now()).await?;
    Ok(cart)
}

/// Whoever has nothing more to do in a room makes room for others; who was called away, or whose order may be paid, does not.
async fn give_up_place(run: &Run, caller: &mut Caller, visit: &Visit, mut waiting: Waiting) {
    if let (Some(cart), None, false) = (&visit.cart, &visit.placed, run.stop.is_cancelled()) {
        waiting.leave(caller, cart).await;
    }
    locked(&run.charge_log.places).push(waiting.told);
}

async fn steps(run: &Run, caller: &mut Caller, due: Instant, visit: &mut Visit) -> Result<(), Stop> {
    let mut random = Random::of(run.cli.seed, visit.number);
    // Drawn first and always, so that what one session does never shifts another's choices.
    let mut lines = choose(run, &mut random);
    let mut after = due;
    // Who was refused may stay to look on, and does nothing else.
    let mut refused = None;
    for step in &run.scenario.steps {
        let leaves = random.percent(step.abandon().0);
        if refused.is_some() && !matches!(step, Step::Rest { .. }) {
            continue;
        }
        if leaves {
            return Err(refused.unwrap_or(Stop::Abandoned));
        }
        let began = Began { after, think: *step.think() };
        match one(run, caller, step, began, &mut random, &mut lines, visit).await {
            Err(stop @ Stop::Refused(_)) => refused = Some(stop),
            Err(Stop::Stopped) if refused.is_some() => break,
            other => other?,
        }
        after = Instant::now();
    }
    refused.map_or(Ok(()), Err)
}

/// When a step's think time begins, and what it is.
struct Began {
    after: Instant,
    think: ThinkTime,
}

impl Began {
    /// Waits; gives the moment that was meant, which the step's call is counted from.
    async fn thought(&self, run: &Run, random: &mut Random) -> Result<Instant, Stop> {
        let due = self.after + self.think.draw(random);
        match rest_until(due, Some(&run.stop)).await {
            true => Ok(due),
            false => Err(Stop::Stopped),
        }
    }
}

async fn one(
    run: &Run,
    caller: &mut Caller,
    step: &Step,
    mut began: Began,
    random: &mut Random,
    lines: &mut Vec<super::judge::Line>,
    visit: &mut Visit,
) -> Result<(), Stop> {
    match step {
        Step::Browse { times, .. } => {
            for _ in 0..*times {
                let due = began.thought(run, random).await?;
                let sku = lines.first().or(visit.cart.as_ref().and_then(|cart| cart.lines.first()));
                browse(run, caller, sku.map_or(0, |line| line.sku), due).await?;
                began.after = Instant::now();
            }
        }
        Step::Watch { lasts, .. } => {
            let until = lasts.draw(random);
            let due = began.thought(run, random).await?;
            let sku = lines.first().or(visit.cart.as_ref().and_then(|cart| cart.lines.first()));
            // On the heap: the state of all who do not watch would wait for those who do.
            Box::pin(watch(run, caller, sku.map_or(0, |line| line.sku), due, due + until)).await?;
        }
        Step::Fill { beforehand: true, .. } => lines.clear(),
        Step::Fill { between, .. } => {
            let due = began.thought(run, random).await?;
            let mut cart = create_cart(run, caller, visit.number, std::mem::take(lines), due).await?;
            for &line in &cart.lines {
                let due = Began { after: Instant::now(), think: *between }.thought(run, random).await?;
                set_line(run, caller, &cart, line, due).await?;
            }
            if !run.coupons.is_empty() {
                let due = Began { after: Instant::now(), think: *between }.thought(run, random).await?;
                cart.coupon = Box::pin(put_coupon(run, caller, &cart, due)).await?;
            }
            visit.cart = Some(Arc::new(cart));
        }
        Step::WaitInLine { patience, .. } => {
            let due = began.thought(run, random).await?;
            let Some(cart) = visit.cart.clone() else {
                return Err(Stop::Unexpected(Call::CreateCart));
            };
            visit.cart =
                Some(Arc::new(Box::pin(room::wait(run, caller, &cart, *patience, due, &mut visit.waiting)).await?));
        }
        Step::CheckOut { decline, retry, retry_when, key, wait, .. } => {
            let (declined, twice) = (random.percent(decline.0), random.percent(retry.0));
            let due = began.thought(run, random).await?;
            let Some(mut cart) = visit.cart.clone() else {
                return Err(Stop::Unexpected(Call::CreateCart));
            };
            visit.checkout_due = Some(due);
            let key = (*key || twice).then(new_key);
            let address = run.scenario.shop.people().map(|people| people.address(visit.number));
            let with_points = cart.points.as_ref().map(|points| points.wanted);
            let body = run.bodies.paid_with(declined, address, with_points);
            let Ok(ask) = body.and_then(|body| checkout_ask(&cart, body, key, *wait)) else {
                return Err(Stop::Unexpected(Call::Checkout));
            };
            if let Some(waiting) = &mut visit.waiting {
                waiting.may_be_out();
            }
            // On the heap: few do it, and the state of all waits for them otherwise.
            let placed = match (points::other_cart(run, visit.number, &cart), twice, retry_when) {
                (Some(other), ..) => {
                    let placed;
                    (cart, placed) = Box::pin(points::check_out_both(run, caller, (cart, &ask), other, due)).await;
                    visit.cart = Some(cart);
                    visit.came_to(caller, placed?, due);
                    return Ok(());
                }
                (None, false, _) => checkout(run, caller, &cart, &ask, due).await,
                (None, true, RetryWhen::AtOnce) => Box::pin(check_out_twice(run, caller, &cart, &ask, due)).await,
                (None, true, RetryWhen::Afterwards) => Box::pin(check_out_again(run, caller, &cart, &ask, due)).await,
            };
            let placed = match placed {
                Err(stop @ Stop::Refused(_)) => {
                    let placed;
                    (cart, placed) = Box::pin(insist(run, caller, cart, ask, stop)).await;
                    visit.cart = Some(cart.clone());
                    placed
                }
                placed => placed,
            };
            if let Err(stop) = &placed {
                points::note(run, &cart, stop);
            }
            visit.came_to(caller, placed?, due);
        }
        Step::Poll { every, up_to, patience, .. } => {
            began.thought(run, random).await?;
            let (Some(cart), Some(placed)) = (&visit.cart, &mut visit.placed) else {
                return Ok(());
            };
            visit.polled = true;
            if placed.status.is_settled() {
                return Ok(());
            }
            let polling = Polling {
                first: every.0,
                every: every.0,
                up_to: up_to.0.max(every.0),
                patience: patience.0,
                stop: Some(&run.stop),
            };
            let (status, went) = follow(run, caller, cart, placed, polling).await;
            placed.status = status;
            match (status.is_settled(), &went) {
                (true, _) => {
                    if let Some(due) = visit.checkout_due {
                        caller.recorder().note(Call::ToTheEnd, due.elapsed());
                    }
                }
                (false, Err(Stop::Stopped)) => {}
                (false, _) => caller.recorder().unanswered(Call::ToTheEnd),
            }
            went?;
        }
        Step::Rest { .. } => {
            began.thought(run, random).await?;
        }
    }
    Ok(())
}

/// Whom a sale or a coupon has refused: it comes again, and then buys without the coupon where the scenario says so. Gives the cart as it is then.
async fn insist(
    run: &Run,
    caller: &mut Caller,
    cart: Arc<Cart>,
    mut ask: Ask,
    stop: Stop,
) -> (Arc<Cart>, Result<Placed, Stop>) {
    let refused = match come_again(run, caller, &cart, &mut ask, stop).await {
        Err(stop) if stop.is_for_the_coupon() => stop,
        other => return (cart, other),
    };
    if !run.scenario.shop.coupon.as_ref().is_some_and(|coupon| coupon.or_without) {
        return (cart, Err(refused));
    }
    let cart = match remove_coupon(run, caller, &cart, Instant::now()).await {
        Ok(cart) => Arc::new(cart),
        Err(stop) => return (cart, Err(stop)),
    };
    ask.key = ask.key.map(|_| new_key());
    let placed = match checkout(run, caller, &cart, &ask, Instant::now()).await {
        Err(stop @ Stop::Refused(_)) => come_again(run, caller, &cart, &mut ask, stop).await,
        placed => placed,
    };
    (cart, placed)
}

/// The stubborn buyer: what is held for others may come free, so it asks again until nothing that it wants is held and too little is left,
/// or its patience is over. Gives the last refusal; one for another reason is the last.
async fn come_again(
    run: &Run,
    caller: &mut Caller,
    cart: &Arc<Cart>,
    ask: &mut Ask,
    mut stop: Stop,
) -> Result<Placed, Stop> {
    let shop = &run.scenario.shop;
    let patience = match (&shop.sale, &shop.coupon) {
        (Some(sale), _) if stop.is_sale_sold_out() => sale.patience,
        (_, Some(coupon)) if stop.is_coupon_exhausted() => coupon.patience,
        _ => return Err(stop),
    };
    let mut again = ComesAgain::new(patience);
    let mut asked_since_known = false;
    loop {
        // What is known now, a refusal of a request that is sent later than now confirms.
        let known = is_known_to_stand(run, cart, &stop);
        let next = again.next().filter(|_| !asked_since_known);
        let Some(due) = next else {
            leave(run, cart, &stop, asked_since_known);
            return Err(stop);
        };
        if !rest_until(due, Some(&run.stop)).await {
            return Err(Stop::Stopped);
        }
        // Another request: the answer to the one before is kept under its key.
        ask.key = ask.key.take().map(|_| new_key());
        match checkout(run, caller, cart, ask, due).await {
            Err(now) if now.is_sale_sold_out() || now.is_coupon_exhausted() => {
                asked_since_known = known && now == stop;
                stop = now;
            }
            other => return other,
        }
    }
}

/// Whether that refusal is known to stand: too little is left for good.
fn is_known_to_stand(run: &Run, cart: &Cart, stop: &Stop) -> bool {
    match &cart.coupon {
        Some(carried) if stop.is_coupon_exhausted() => run.left.is_too_little_of_the_coupon(carried.discount),
        _ => run.left.is_too_little_for(&cart.lines),
    }
}

/// Notes for the checks what the buyer wanted.
fn leave(run: &Run, cart: &Cart, stop: &Stop, it_stands: bool) {
    let Some(carried) = cart.coupon.as_ref().filter(|_| stop.is_coupon_exhausted()) else {
        locked(&run.charge_log.turned_away).push(cart.lines.clone());
        return;
    };
    // Who can buy without it may be as impatient as it likes: only a refusal that stands promises something.
    let impatient = run.scenario.shop.coupon.as_ref().is_some_and(|coupon| coupon.or_without);
    if it_stands || !impatient {
        locked(&run.charge_log.without_coupon).push(carried.discount);
    }
}

/// The impatient buyer: the same request on two connections at once. Both answers must say the same.
async fn check_out_twice(
    run: &Run,
    caller: &mut Caller,
    cart: &Arc<Cart>,
    ask: &Ask,
    due: Instant,
) -> Result<Placed, Stop> {
    let mut other = caller.another();
    let (first, second) =
        tokio::join!(checkout(run, caller, cart, ask, due), checkout(run, &mut other, cart, ask, due));
    hold_to_both(run, cart, &first, &second);
    first.or(second)
}

/// The doubtful buyer: the same request again after its answer. Both answers must say the same.
async fn check_out_again(
    run: &Run,
    caller: &mut Caller,
    cart: &Arc<Cart>,
    ask: &Ask,
    due: Instant,
) -> Result<Placed, Stop> {
    let first = checkout(run, caller, cart, ask, due).await;
    let second = checkout(run, caller, cart, ask, Instant::now()).await;
    hold_to_both(run, cart, &first, &second);
    first.or(second)
}

fn hold_to_both(run: &Run, cart: &Arc<Cart>, first: &Result<Placed, Stop>, second: &Result<Placed, Stop>) {
    let Some(verdict) = compare(first, second) else { return };
    run.wire.recorder.count(|measured| measured.twins += 1);
    if let Err(split) = verdict {
        locked(&run.charge_log.split_twins).push(format!("{}: {split}", cart.id));
        // Both orders were promised, so both are held to.
        if let (Ok(_), Ok(placed)) = (first, second) {
            run.told(Told { id: placed.order.clone(), cart: cart.clone(), status: placed.status });
        }
    }
}

/// Whether two answers to the same request agree; `None` when they cannot be compared.
fn compare(first: &Result<Placed, Stop>, second: &Result<Placed, Stop>) -> Option<Result<(), String>> {
    match (first, second) {
        (Ok(a), Ok(b)) if a.order == b.order => Some(Ok(())),
        (Ok(a), Ok(b)) => Some(Err(format!("{} and {}", a.order, b.order))),
        (Err(Stop::Refused(a)), Err(Stop::Refused(b))) if a == b => Some(Ok(())),
        (Err(Stop::Refused(a)), Err(Stop::Refused(b))) => Some(Err(format!("{a} and {b}"))),
        (Ok(placed), Err(Stop::Refused(code))) | (Err(Stop::Refused(code)), Ok(placed)) => {
            Some(Err(format!("{} and {code}", placed.order)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Status;
    use super::*;

    #[test]
    fn answers_to_one_request_must_agree() {
        let order = |id: &str| Ok(Placed { order: id.into(), status: Status::Placed });
        let refused = |code: &str| Err(Stop::Refused(code.into()));
        let lost = Err(Stop::GaveUp(Call::Checkout));
        assert_eq!(compare(&order("a"), &order("a")), Some(Ok(())));
        assert!(matches!(compare(&order("a"), &order("b")), Some(Err(_))));
        let sold_out = refused("out_of_stock");
        assert_eq!(compare(&sold_out, &sold_out), Some(Ok(())));
        assert!(matches!(compare(&order("a"), &sold_out), Some(Err(_))));
        assert_eq!(compare(&order("a"), &lost), None);
    }
}
