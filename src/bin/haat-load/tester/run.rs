//! What one run shares, and the crew of workers that its checks are done by.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use rust_decimal::Decimal;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::cli::Cli;
use super::client::{Caller, Link, Target, Token, Wire, bearer};
use super::coupon::{Carried, Offered};
use super::journal::{Journal, Promise, PromisedCoupon, PromisedLine, now};
use super::judge::Line;
use super::members::Member;
use super::points::{Paying, Wanting};
use super::progress;
use super::room::{Opened, PlaceTold};
use super::sale::{Left, OnSale};
use super::scenario::{Scenario, Step};
use super::shop::Sku;
use super::stats::{Recorder, locked};
use super::streams::FirstTold;
use super::wire::Status;

/// A cart and the right to use it.
#[derive(Clone)]
pub struct Cart {
    /// `cart_…`
    pub id: String,
    /// The token of the guest, or of the customer.
    pub bearer: Token,
    /// It is a wholesale buyer's.
    pub wholesale: bool,
    /// The person whose it is, where some come more than once.
    pub person: Option<u64>,
    /// What was put into it.
    pub lines: Vec<Line>,
    /// The coupon in it.
    pub coupon: Option<Carried>,
    /// With what points it is to be paid.
    pub points: Option<Paying>,
    /// By what it was let in, where there is a room.
    pub entry: Option<Token>,
}

/// An order that a buyer was told of.
#[derive(Clone)]
pub struct Told {
    /// `order_…`
    pub id: String,
    /// The cart it came from; the bearer reads the order too.
    pub cart: Arc<Cart>,
    /// The last status told.
    pub status: Status,
}

/// What buyers were told, for the checks at the end.
#[derive(Default)]
pub struct Ledger {
    /// One per order.
    pub orders: Mutex<Vec<Told>>,
    /// Carts whose checkout was given up without an answer: there may be an order.
    pub unsure: Mutex<Vec<Arc<Cart>>>,
    /// SKUs that the shop knows no more, or whose stock could not be read.
    pub lost_skus: Mutex<Vec<String>>,
    /// Checkouts sent twice whose two answers disagree, in words.
    pub split_twins: Mutex<Vec<String>>,
    /// What those wanted who left because a sale was sold out.
    pub turned_away: Mutex<Vec<Vec<Line>>>,
    /// What the coupon would have taken off for those who were refused because it is used up.
    pub without_coupon: Mutex<Vec<Decimal>>,
    /// What those wanted to spend who were refused for want of points.
    pub without_points: Mutex<Vec<Wanting>>,
    /// The places in the line of a room.
    pub places: Mutex<Vec<PlaceTold>>,
}

/// Both bodies of a checkout.
pub struct Bodies {
    token: String,
    pays: Bytes,
    declined: Bytes,
}

/// The address of all where it does not matter who buys.
const ANYBODY: &str = "buyer@example.com";
/// The token of a card that is declined.
const DECLINED: &str = "tok_decline";

impl Bodies {
    fn of(scenario: &Scenario) -> anyhow::Result<Self> {
        let token = scenario.steps.iter().find_map(|step| match step {
            Step::CheckOut { token, .. } => Some(&**token),
            _ => None,
        });
        let token = token.unwrap_or("tok_approve");
        Ok(Bodies {
            token: token.to_owned(),
            pays: body(token, ANYBODY, None)?,
            declined: body(DECLINED, ANYBODY, None)?,
        })
    }

    /// The one that pays or the other, of this address and with so many points where these matter.
    pub fn paid_with(&self, declined: bool, address: Option<String>, points: Option<i64>) -> anyhow::Result<Bytes> {
        match (declined, address, points) {
            (true, None, None) => Ok(self.declined.clone()),
            (false, None, None) => Ok(self.pays.clone()),
            (declined, address, points) => {
                let token = if declined { DECLINED } else { &self.token };
                body(token, address.as_deref().unwrap_or(ANYBODY), points)
            }
        }
    }
}

fn body(token: &str, address: &str, points: Option<i64>) -> anyhow::Result<Bytes> {
    Ok(Bytes::from(serde_json::to_vec(&checkout_body(token, address, points))?))
}

fn checkout_body(token: &str, address: &str, points: Option<i64>) -> serde_json::Value {
    let mut body = serde_json::json!({
        "email": address,
        "shipping_address": {
            "name": "Load Buyer", "line1": "1 Market Road", "city": "Dhaka", "country": "BD"
        },
        "payment": {"method": "sandbox", "token": token},
    });
    if let Some(points) = points {
        body["points"] = points.into();
    }
    body
}

/// A checkout that is not paid before so long, of anybody.
pub fn checkout_in_no_hurry(ms: u32) -> serde_json::Value {
    checkout_body(&format!("tok_slow_{ms}"), ANYBODY, None)
}

/// One run: what was asked for and everything its workers share.
pub struct Run {
    /// The command line; in a process that another one started, what it was assigned instead.
    pub cli: Cli,
    /// What is driven.
    pub scenario: Scenario,
    /// How to reach the server, and where everything is counted.
    pub wire: Arc<Wire>,
    /// The admin's token.
    pub admin: Option<Token>,
    /// The SKUs that are bought.
    pub skus: Vec<Sku>,
    /// The shop was there already, and nobody else buys from it.
    pub is_prepared: bool,
    /// The sales that it has put on.
    pub sales: Vec<OnSale>,
    /// The room that it has opened.
    pub room: Option<Opened>,
    /// The coupon that it has made; or those that promises speak of.
    pub coupons: Vec<Offered>,
    /// Those who come with an account, by session.
    pub members: BTreeMap<u64, Member>,
    /// What one point pays, where points are spent.
    pub point_value: Option<Decimal>,
    /// What is left of both for good.
    pub left: Left,
    /// Who was told first of what streams tell.
    pub first_told: FirstTold,
    /// What buyers were told.
    pub charge_log: Ledger,
    /// What checkouts send.
    pub bodies: Bodies,
    /// When it is cancelled, sessions end at their next rest.
    pub stop: CancellationToken,
    /// The longest that an order was waited for after the last buyer had left, in milliseconds; 0 when none was.
    pub settled_ms: AtomicU64,
    journal: Option<Journal>,
}

impl Run {
    /// Finds the server and opens the journal.
    pub async fn prepare(cli: Cli, scenario: Scenario) -> anyhow::Result<Self> {
        let wire = Arc::new(Wire {
            target: Target::resolve(&cli.target).await.context("--target (HAAT_TARGET)")?,
            timeout: scenario.connections.timeout.0,
            repeats: scenario.connections.repeats,
            recorder: Recorder::default(),
        });
        let admin = cli.admin_token.as_deref().map(bearer).transpose().context("--admin-token (HAAT_ADMIN_TOKEN)")?;
        let journal = cli.journal.as_deref().map(|path: &Path| Journal::open(path)).transpose()?;
        Ok(Run {
            bodies: Bodies::of(&scenario)?,
            cli,
            scenario,
            wire,
            admin,
            skus: Vec::new(),
            is_prepared: false,
            sales: Vec::new(),
            room: None,
            coupons: Vec::new(),
            members: BTreeMap::new(),
            point_value: None,
            left: Left::default(),
            first_told: FirstTold::default(),
            charge_log: Ledger::default(),
            stop: CancellationToken::new(),
            settled_ms: AtomicU64::new(0),
            journal,
        })
    }

    /// Keeps a promise in the journal, if there is one. A journal that cannot be written is an error of the run.
    pub fn promise(&self, order: &str, cart: &Cart, status: Status, key: Option<&str>) {
        let Some(journal) = &self.journal else { return };
        let lines = cart
            .lines
            .iter()
            .map(|line| PromisedLine { sku: self.skus[line.sku].id.clone(), quantity: line.quantity })
            .collect();
        let promise = Promise {
            at: now(),
            order: order.to_owned(),
            cart: cart.id.clone(),
            person: cart.person,
            status,
            lines,
            coupon: cart.coupon.as_ref().map(|carried| PromisedCoupon {
                id: self.coupons[carried.coupon].id.clone(),
                code: self.coupons[carried.coupon].code.clone(),
                discount: carried.discount,
            }),
            points: cart.points.clone(),
            key: key.map(ToOwned::to_owned),
        };
        if let Err(error) = journal.keep(&promise) {
            self.wire.recorder.unexpected(&format!("the journal could not be written: {error}"));
        }
    }

    /// Notes an order that a buyer was told of.
    pub fn told(&self, order: Told) {
        locked(&self.charge_log.orders).push(order);
    }
}

/// Does `count` pieces of work with at most `workers` callers, each on its own connection and on one piece at a time,
/// in order of their numbers. What the pieces gave comes back in no order.
pub async fn crew<T, F, Done>(
    run: &Arc<Run>,
    label: &'static str,
    workers: usize,
    count: usize,
    work: F,
) -> anyhow::Result<Vec<T>>
where
    T: Send + 'static,
    F: Fn(Caller, usize) -> Done + Clone + Send + 'static,
    Done: Future<Output = (Caller, Option<T>)> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicU64::new(0));
    let mut crew = JoinSet::new();
    for worker in 0..workers.min(count) {
        let mut caller = Caller::new(&run.wire, Link::plain(), worker as u64);
        let (next, done, work) = (next.clone(), done.clone(), work.clone());
        crew.spawn(async move {
            let mut gave = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return gave;
                }
                let (back, piece) = work(caller, number).await;
                caller = back;
                gave.extend(piece);
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let all = async {
        let mut all = Vec::new();
        while let Some(gave) = crew.join_next().await {
            all.append(&mut gave.with_context(|| format!("a worker of '{label}' stopped"))?);
        }
        anyhow::Ok(all)
    };
    progress::during(label, count as u64, &done, run.cli.quiet, all).await
}

/// Sleeps until then; at once, when it has passed. False when it was stopped instead.
pub async fn rest_until(due: Instant, stop: Option<&CancellationToken>) -> bool {
    let stopped = |stop: Option<&CancellationToken>| stop.is_some_and(CancellationToken::is_cancelled);
    if due <= Instant::now() {
        return !stopped(stop);
    }
    let sleep = tokio::time::sleep_until(due.into());
    match stop {
        Some(stop) => tokio::select! {
            biased;
            () = stop.cancelled() => false,
            () = sleep => true,
        },
        None => {
            sleep.await;
            true
        }
    }
}
