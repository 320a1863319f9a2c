//! What one run shares, and the crew of workers that every phase of it is done by.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::HeaderValue;
use tokio::task::JoinSet;

use super::cli::Cli;
use super::client::{Caller, Target, Wire, bearer};
use super::journal::{Journal, Promise, PromisedLine, now};
use super::judge::Line;
use super::progress;
use super::shop::Sku;
use super::stats::{Count, Tally, Timings, locked};
use super::wire::Status;

/// A cart and the right to use it.
#[derive(Clone)]
pub struct Cart {
    /// `cart_…`
    pub id: String,
    /// The guest's `Authorization` header.
    pub bearer: HeaderValue,
    /// What was put into it.
    pub lines: Vec<Line>,
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
    /// Checkouts sent twice whose answers could be compared.
    pub twins: Count,
    /// Of these, those whose two answers disagree, in words.
    pub split_twins: Mutex<Vec<String>>,
}

/// One run: what was asked for and everything its workers share.
pub struct Run {
    /// The command line.
    pub cli: Cli,
    /// How to reach the server.
    pub wire: Arc<Wire>,
    /// Outcomes and errors.
    pub tally: Arc<Tally>,
    /// The admin's `Authorization` header.
    pub admin: Option<HeaderValue>,
    /// Connections held at once.
    pub connections: usize,
    /// The SKUs that are bought.
    pub skus: Vec<Sku>,
    /// What buyers were told.
    pub ledger: Ledger,
    journal: Option<Journal>,
}

impl Run {
    /// Checks the options, finds the server and opens the journal.
    pub async fn prepare(cli: Cli) -> anyhow::Result<Self> {
        cli.validate().map_err(anyhow::Error::msg)?;
        let connections = cli.connections(super::cli::open_files()).map_err(anyhow::Error::msg)?;
        let tally = Arc::new(Tally::default());
        let wire = Arc::new(Wire {
            target: Target::resolve(&cli.target).await?,
            timeout: cli.timeout,
            repeats: cli.repeats,
            tally: tally.clone(),
        });
        let admin = cli.admin_token.as_deref().map(bearer).transpose()?;
        let journal = cli.journal.as_deref().map(Journal::open).transpose()?;
        Ok(Run {
            cli,
            wire,
            tally,
            admin,
            connections: connections as usize,
            skus: Vec::new(),
            ledger: Ledger::default(),
            journal,
        })
    }

    /// Keeps a promise in the journal, if there is one. A journal that cannot be written is an error of the run.
    pub fn promise(&self, order: &str, cart: &Cart, status: Status, key: Option<&HeaderValue>) {
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
            status,
            lines,
            key: key.and_then(|key| key.to_str().ok()).map(ToOwned::to_owned),
        };
        if let Err(error) = journal.keep(&promise) {
            self.tally.unexpected.add(format!("the journal could not be written: {error}"));
        }
    }

    /// The body of a checkout, made once per payment token.
    pub fn checkout_body(token: &str) -> anyhow::Result<Bytes> {
        let body = serde_json::json!({
            "email": "buyer@example.com",
            "shipping_address": {
                "name": "Load Buyer", "line1": "1 Market Road", "city": "Dhaka", "country": "BD"
            },
            "payment": {"method": "sandbox", "token": token},
        });
        Ok(Bytes::from(serde_json::to_vec(&body)?))
    }

    /// Notes an order that a buyer was told of.
    pub fn told(&self, order: Told) {
        locked(&self.ledger.orders).push(order);
    }
}

/// Does `count` pieces of work with at most `workers` callers, each on its own connection and on one piece at a time,
/// in order of their numbers. What the pieces gave comes back in no order.
pub async fn crew<T, F, Done>(
    run: &Arc<Run>,
    label: &'static str,
    timings: &Arc<Timings>,
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
    let done = Arc::new(Count::default());
    let mut crew = JoinSet::new();
    for worker in 0..workers.min(count) {
        let mut caller = Caller::new(&run.wire, timings, worker as u64);
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
                done.add();
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

/// Sleeps, unless there is nothing to sleep.
pub async fn rest(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
