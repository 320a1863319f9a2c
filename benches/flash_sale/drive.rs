//! The client: a closed loop of buyers on one thread, the same for all servers.

use crate::plan::{Driven, Plan, Traffic};
use crate::processes::Cpu;
use crate::wire::{Answer, Connection, Request};
use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;
use tokio::task::LocalSet;

/// How long an answer may wait for its payment, in seconds.
const WAIT: u32 = 30;
/// Answers that took longer count as this, in microseconds.
const LONGEST_US: u64 = 60_000_000;
/// Carts are filled by at least so many at once.
const FILLING: usize = 64;
/// The baselines check no token, but their requests are as long as Haat's, whose guests' tokens have about this length.
const IDLE_TOKEN_LENGTH: usize = 256;

/// The payment and the address of every order.
const CHECKOUT: &str = r#""email":"rahim@example.com","shipping_address":{"name":"Rahim Uddin","line1":"12 Mirpur Road","city":"Dhaka","postcode":"1205","country":"BD","phone":"+8801712345678"},"payment":{"method":"sandbox","token":"tok_approve"}"#;
const CART: &str = "cart_01kaj5v3s5f0xbaj6m8w2v7q9e";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Warmup,
    Counted,
    Over,
}

struct Cart {
    path: String,
    token: String,
}

#[derive(Deserialize)]
struct CartMade {
    id: String,
    token: String,
}

struct Board {
    plan: Plan,
    phase: Cell<Phase>,
    taken: Cell<u64>,
    exhausted: Notify,
    carts: RefCell<VecDeque<Cart>>,
    histogram: RefCell<Histogram<u64>>,
    driven: RefCell<Driven>,
    bodies: Vec<Vec<u8>>,
    idle_token: String,
}

/// Does what the plan says, and writes what it saw. Tells on stdout when the last answer has come, so that the orchestrator can look
/// at once how the server stands.
pub fn main(plan: &Path, out: &Path) -> anyhow::Result<()> {
    let plan: Plan = serde_json::from_slice(&std::fs::read(plan)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let driven = LocalSet::new().block_on(&runtime, drive(plan))?;
    println!("{}", driven.placed);
    std::fs::write(out, serde_json::to_vec(&driven)?)?;
    Ok(())
}

async fn drive(plan: Plan) -> anyhow::Result<Driven> {
    let body = |sku: &String| match plan.traffic {
        Traffic::Orders => format!(r#"{{"cart_id":"{CART}","sku_id":"{sku}","quantity":1,{CHECKOUT}}}"#).into_bytes(),
        Traffic::Checkouts | Traffic::Journeys => format!("{{{CHECKOUT}}}").into_bytes(),
    };
    let bodies = plan.skus.iter().map(body).collect();
    let board = Rc::new(Board {
        phase: Cell::new(Phase::Warmup),
        taken: Cell::new(0),
        exhausted: Notify::new(),
        carts: RefCell::default(),
        histogram: RefCell::new(Histogram::new_with_bounds(1, LONGEST_US, 3)?),
        driven: RefCell::default(),
        bodies,
        idle_token: "x".repeat(IDLE_TOKEN_LENGTH),
        plan,
    });
    fill(&board).await?;
    let mut connections = Vec::new();
    for _ in 0..board.plan.connections {
        connections.push(Connection::open(board.plan.target).await?);
    }
    board.driven.borrow_mut().first_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let clock = tokio::task::spawn_local(count(board.clone()));
    let buyers: Vec<_> =
        connections.into_iter().map(|connection| tokio::task::spawn_local(buyer(board.clone(), connection))).collect();
    for buyer in buyers {
        buyer.await.context("a buyer panicked")?;
    }
    // Buyers that have all broken off leave the clock alone.
    board.exhausted.notify_one();
    clock.await.context("the clock panicked")?;
    let mut driven = board.driven.take();
    let histogram = board.histogram.borrow();
    driven.timed = histogram.len();
    driven.p50_us = histogram.value_at_quantile(0.5);
    driven.p99_us = histogram.value_at_quantile(0.99);
    driven.max_us = histogram.max();
    Ok(driven)
}

/// Lets the phases follow each other and looks at the processes where they meet.
async fn count(board: Rc<Board>) {
    let used = || Cpu::now(board.plan.server_pid, board.plan.store_pid);
    if board.plan.warmup > 0.0 {
        tokio::time::sleep(Duration::from_secs_f64(board.plan.warmup)).await;
    }
    let (cpu, began) = (used(), Instant::now());
    board.phase.set(Phase::Counted);
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs_f64(board.plan.seconds)) => {}
        () = board.exhausted.notified() => {}
    }
    board.phase.set(Phase::Over);
    let mut driven = board.driven.borrow_mut();
    driven.seconds = began.elapsed().as_secs_f64();
    driven.cpu = used().since(cpu);
}

impl Board {
    /// The number of the next request; `None` when there is to be none.
    fn next(&self) -> Option<usize> {
        if self.phase.get() == Phase::Over {
            return None;
        }
        let number = self.taken.get();
        if self.plan.requests.is_some_and(|most| number >= most) {
            self.exhausted.notify_one();
            return None;
        }
        self.taken.set(number + 1);
        usize::try_from(number).ok()
    }

    fn next_cart(&self) -> Option<Cart> {
        let cart = self.carts.borrow_mut().pop_front();
        if cart.is_none() {
            self.exhausted.notify_one();
        }
        cart
    }

    fn fail(&self, what: String) {
        *self.driven.borrow_mut().failed.entry(what).or_default() += 1;
    }

    /// Notes what became of a request; says whether it was refused.
    fn note(&self, answer: &Answer<'_>, took: Duration) -> bool {
        let (placed, refused) = match answer.status {
            201 => (true, false),
            409 if contains(answer.body, b"\"out_of_stock\"") => (false, true),
            status => {
                let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(160)]);
                self.fail(format!("{status} {body}"));
                return false;
            }
        };
        if placed && (self.plan.until_paid || self.plan.traffic == Traffic::Journeys) {
            let start = &answer.body[..answer.body.len().min(200)];
            if !contains(start, b"\"status\":\"paid\"") {
                self.fail("an answer that did not wait until the order was paid".to_owned());
            }
        }
        let mut driven = self.driven.borrow_mut();
        if placed {
            driven.placed += 1;
            match order_id(answer.body) {
                Some(id) => driven.orders.push(id),
                None => {
                    drop(driven);
                    self.fail("an answer without an order's id".to_owned());
                    return false;
                }
            }
        } else {
            driven.refused += 1;
        }
        if self.phase.get() == Phase::Counted && refused == self.plan.refusals {
            let took = u64::try_from(took.as_micros()).unwrap_or(LONGEST_US);
            self.histogram.borrow_mut().saturating_record(took.max(1));
        }
        refused
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The id stands first in every order's JSON.
fn order_id(body: &[u8]) -> Option<String> {
    let id = body.strip_prefix(b"{\"id\":\"")?;
    let end = id.iter().position(|byte| *byte == b'"')?;
    Some(std::str::from_utf8(&id[..end]).ok()?.to_owned())
}

async fn buyer(board: Rc<Board>, mut connection: Connection) {
    while let Some(number) = board.next() {
        let bought = match board.plan.traffic {
            Traffic::Orders => order(&board, &mut connection, number).await,
            Traffic::Checkouts => check_out(&board, &mut connection).await,
            Traffic::Journeys => journey(&board, &mut connection, number).await,
        };
        match bought {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return board.fail(format!("{error:#}")),
        }
    }
}

async fn order(board: &Board, connection: &mut Connection, number: usize) -> anyhow::Result<bool> {
    let request = Request {
        method: "POST",
        path: "/v1/orders",
        bearer: Some(&board.idle_token),
        wait: board.plan.until_paid.then_some(WAIT),
        body: &board.bodies[number % board.bodies.len()],
    };
    let began = Instant::now();
    let answer = connection.call(request).await?;
    board.note(&answer, began.elapsed());
    Ok(true)
}

/// Whether there was a cart left.
async fn check_out(board: &Board, connection: &mut Connection) -> anyhow::Result<bool> {
    let Some(cart) = board.next_cart() else {
        return Ok(false);
    };
    let request = Request {
        method: "POST",
        path: &cart.path,
        bearer: Some(&cart.token),
        wait: board.plan.until_paid.then_some(WAIT),
        body: &board.bodies[0],
    };
    let began = Instant::now();
    let answer = connection.call(request).await?;
    if board.note(&answer, began.elapsed()) && board.plan.refusals {
        board.carts.borrow_mut().push_back(cart);
    }
    Ok(true)
}

async fn journey(board: &Board, connection: &mut Connection, number: usize) -> anyhow::Result<bool> {
    let began = Instant::now();
    let cart = filled_cart(connection, &board.plan.skus[number % board.plan.skus.len()]).await?;
    let request = Request {
        method: "POST",
        path: &cart.path,
        bearer: Some(&cart.token),
        wait: Some(WAIT),
        body: &board.bodies[0],
    };
    let answer = connection.call(request).await?;
    board.note(&answer, began.elapsed());
    Ok(true)
}

async fn filled_cart(connection: &mut Connection, sku: &str) -> anyhow::Result<Cart> {
    let made = connection
        .call(Request { method: "POST", path: "/v1/carts", bearer: None, wait: None, body: b"{}" })
        .await
        .context("a new cart")?;
    if made.status != 201 {
        bail!("a new cart was answered {}: {}", made.status, String::from_utf8_lossy(made.body));
    }
    let CartMade { id, token } = serde_json::from_slice(made.body)?;
    let path = format!("/v1/carts/{id}/lines/{sku}");
    let request = Request { method: "PUT", path: &path, bearer: Some(&token), wait: None, body: br#"{"quantity":1}"# };
    let set = connection.call(request).await.context("a cart's line")?;
    if set.status != 200 {
        bail!("a cart's line was answered {}: {}", set.status, String::from_utf8_lossy(set.body));
    }
    Ok(Cart { path: format!("/v1/carts/{id}/checkout"), token })
}

/// Fills the carts of the plan. The server is warm after that.
async fn fill(board: &Rc<Board>) -> anyhow::Result<()> {
    let left = Rc::new(Cell::new(board.plan.carts));
    let fillers = (0..FILLING.max(board.plan.connections).min(board.plan.carts)).map(|_| {
        let (board, left) = (board.clone(), left.clone());
        tokio::task::spawn_local(async move {
            let mut connection = Connection::open(board.plan.target).await?;
            while let Some(number) = left.get().checked_sub(1) {
                left.set(number);
                let cart = filled_cart(&mut connection, &board.plan.skus[number % board.plan.skus.len()]).await?;
                board.carts.borrow_mut().push_back(cart);
            }
            anyhow::Ok(())
        })
    });
    for filler in fillers.collect::<Vec<_>>() {
        filler.await.context("a filler panicked")??;
    }
    Ok(())
}
