//! The scenarios: sessions of buyers, checkouts in a closed loop, reads in a closed loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::buyer::{Placed, Stop, browse, checkout, checkout_ask, choose, create_cart, follow, set_line};
use super::cli::{Arrival, Cli, Scenario};
use super::client::Caller;
use super::run::{Cart, Run, Told, crew, rest};
use super::shop::new_key;
use super::stats::{Call, Phase, Timings, locked};
use super::values::Random;

/// A session that begins later than this after its time is counted as late.
const LATE: Duration = Duration::from_millis(100);

/// Drives the scenario that was asked for; gives its phases in order.
pub async fn drive(run: &Arc<Run>) -> anyhow::Result<Vec<Phase>> {
    match run.cli.scenario {
        Scenario::Rush => rush(run).await,
        Scenario::Checkout => checkouts(run).await,
        Scenario::Browse => browses(run).await,
    }
}

/// Both bodies of a checkout.
#[derive(Clone)]
struct Bodies {
    pays: Bytes,
    declined: Bytes,
}

impl Bodies {
    fn new(cli: &Cli) -> anyhow::Result<Self> {
        Ok(Bodies { pays: Run::checkout_body(&cli.token)?, declined: Run::checkout_body("tok_decline")? })
    }

    fn of(&self, declined: bool) -> Bytes {
        match declined {
            true => self.declined.clone(),
            false => self.pays.clone(),
        }
    }
}

async fn rush(run: &Arc<Run>) -> anyhow::Result<Vec<Phase>> {
    let bodies = Bodies::new(&run.cli)?;
    let starts = Arc::new(starts(&run.cli));
    let timings = Arc::new(Timings::start()?);
    let began = Instant::now();
    let sessions = run.cli.sessions as usize;
    let shared = run.clone();
    crew(run, "sessions", &timings, run.connections, sessions, move |mut caller, number| {
        let (run, bodies, starts) = (shared.clone(), bodies.clone(), starts.clone());
        async move {
            let due = starts[number];
            rest(due.saturating_sub(began.elapsed())).await;
            let behind = began.elapsed().saturating_sub(due);
            if behind > LATE {
                run.tally.late.add();
                run.tally.latest_ms.at_least(behind.as_millis() as u64);
            }
            match session(&run, &mut caller, &bodies, number as u64).await {
                Ok(words) => run.tally.outcomes.add(words),
                Err(stop) => run.tally.outcomes.add(stop.words()),
            }
            if !run.cli.reuse_connections {
                caller.hang_up();
            }
            (caller, None::<()>)
        }
    })
    .await?;
    Ok(vec![timings.finish("rush")])
}

/// When each session begins, counted from the start.
fn starts(cli: &Cli) -> Vec<Duration> {
    let sessions = cli.sessions;
    let gap = cli.ramp / sessions;
    let mut random = Random::of(cli.seed, u64::MAX);
    let mut at = Duration::ZERO;
    (0..sessions)
        .map(|number| match cli.arrival {
            Arrival::Even => gap * number,
            Arrival::Exponential => {
                at += random.exponential(gap);
                at
            }
        })
        .collect()
}

/// One buyer from the shop window to the end of the order; gives the outcome in words.
async fn session(run: &Arc<Run>, caller: &mut Caller, bodies: &Bodies, number: u64) -> Result<&'static str, Stop> {
    let mut random = Random::of(run.cli.seed, number);
    // Drawn first and always, so that what one session does never shifts another's choices.
    let lines = choose(run, &mut random);
    let declined = random.percent(run.cli.decline);
    let twice = random.percent(run.cli.retry);
    let think = run.cli.think;

    browse(run, caller, lines[0].sku).await?;
    rest(random.duration(think)).await;
    let cart = Arc::new(create_cart(caller, lines).await?);
    for &line in &cart.lines {
        rest(random.duration(think)).await;
        set_line(run, caller, &cart, line).await?;
    }
    rest(random.duration(think)).await;

    let started = Instant::now();
    let body = bodies.of(declined);
    let placed = if twice {
        check_out_twice(run, caller, &cart, body).await?
    } else {
        check_out(run, caller, &cart, body).await?
    };
    let (status, stopped) = follow(run, caller, &cart, &placed, run.cli.poll, run.cli.patience).await;
    run.told(Told { id: placed.order, cart, status });
    stopped?;
    if status.is_settled() {
        caller.note(Call::ToTheEnd, started.elapsed());
        Ok(status.words())
    } else {
        Ok("unfinished within the session")
    }
}

async fn check_out(run: &Run, caller: &mut Caller, cart: &Arc<Cart>, body: Bytes) -> Result<Placed, Stop> {
    let key = match run.cli.keys {
        true => new_key().ok(),
        false => None,
    };
    let Ok(ask) = checkout_ask(run, cart, body, key) else {
        return Err(Stop::Unexpected(Call::Checkout));
    };
    let placed = checkout(run, caller, cart, &ask).await;
    note_unsure(run, cart, &placed);
    placed
}

/// The impatient buyer: the same request on two connections at once. Both answers must say the same.
async fn check_out_twice(run: &Run, caller: &mut Caller, cart: &Arc<Cart>, body: Bytes) -> Result<Placed, Stop> {
    let Some(ask) = new_key().and_then(|key| checkout_ask(run, cart, body, Some(key))).ok() else {
        return Err(Stop::Unexpected(Call::Checkout));
    };
    let mut other = caller.another();
    let (first, second) = tokio::join!(checkout(run, caller, cart, &ask), checkout(run, &mut other, cart, &ask));
    if let Some(verdict) = compare(&first, &second) {
        run.ledger.twins.add();
        if let Err(split) = verdict {
            locked(&run.ledger.split_twins).push(format!("{}: {split}", cart.id));
            // Both orders were promised, so both are held to.
            if let Ok(placed) = &second {
                run.told(Told { id: placed.order.clone(), cart: cart.clone(), status: placed.status });
            }
        }
    }
    let placed = first.or(second);
    note_unsure(run, cart, &placed);
    placed
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

fn note_unsure(run: &Run, cart: &Arc<Cart>, placed: &Result<Placed, Stop>) {
    if let Err(Stop::GaveUp(_) | Stop::Unexpected(_)) = placed {
        locked(&run.ledger.unsure).push(cart.clone());
    }
}

async fn checkouts(run: &Arc<Run>) -> anyhow::Result<Vec<Phase>> {
    let count = run.cli.requests as usize;
    let filling = Arc::new(Timings::start()?);
    let shared = run.clone();
    let carts = crew(run, "filling carts", &filling, run.connections, count, move |mut caller, number| {
        let run = shared.clone();
        async move {
            let cart = filled_cart(&run, &mut caller, number as u64).await;
            if let Err(stop) = &cart {
                run.tally.outcomes.add(stop.words());
            }
            (caller, cart.ok().map(Arc::new))
        }
    })
    .await?;
    let filling = filling.finish("filling carts (not counted)");

    let bodies = Bodies::new(&run.cli)?;
    let count = carts.len();
    let carts = Arc::new(carts);
    let timings = Arc::new(Timings::start()?);
    let shared = run.clone();
    crew(run, "checkouts", &timings, run.connections, count, move |mut caller, number| {
        let (run, cart, bodies) = (shared.clone(), carts[number].clone(), bodies.clone());
        async move {
            let mut random = Random::of(run.cli.seed ^ 1, number as u64);
            let body = bodies.of(random.percent(run.cli.decline));
            match check_out(&run, &mut caller, &cart, body).await {
                Ok(placed) => run.told(Told { id: placed.order, cart, status: placed.status }),
                Err(stop) => run.tally.outcomes.add(stop.words()),
            }
            (caller, None::<()>)
        }
    })
    .await?;
    Ok(vec![filling, timings.finish("checkouts")])
}

async fn filled_cart(run: &Run, caller: &mut Caller, number: u64) -> Result<Cart, Stop> {
    let mut random = Random::of(run.cli.seed, number);
    let cart = create_cart(caller, choose(run, &mut random)).await?;
    for &line in &cart.lines {
        set_line(run, caller, &cart, line).await?;
    }
    Ok(cart)
}

async fn browses(run: &Arc<Run>) -> anyhow::Result<Vec<Phase>> {
    let timings = Arc::new(Timings::start()?);
    let count = run.cli.requests as usize;
    let shared = run.clone();
    crew(run, "reads", &timings, run.connections, count, move |mut caller, number| {
        let run = shared.clone();
        async move {
            if let Err(stop) = browse(&run, &mut caller, number % run.skus.len()).await {
                run.tally.outcomes.add(stop.words());
            }
            (caller, None::<()>)
        }
    })
    .await?;
    Ok(vec![timings.finish("reads")])
}

#[cfg(test)]
mod tests {
    use super::super::wire::Status;
    use super::*;
    use clap::Parser;

    fn cli(arguments: &[&str]) -> Cli {
        Cli::parse_from([&["haat-load"], arguments].concat())
    }

    #[test]
    fn sessions_start_all_at_once_or_over_the_ramp() {
        let at_once = starts(&cli(&["--sessions", "3"]));
        assert_eq!(at_once, vec![Duration::ZERO; 3]);
        let even = starts(&cli(&["--sessions", "4", "--ramp", "8s"]));
        assert_eq!(even, [0, 2, 4, 6].map(Duration::from_secs));
        let random = ["--sessions", "2000", "--ramp", "10s", "--arrival", "exponential"];
        let random = starts(&cli(&random));
        assert!(random.is_sorted());
        let last = random[1999].as_secs_f64();
        assert!((9.0..11.0).contains(&last), "{last}");
    }

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
