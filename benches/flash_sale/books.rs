//! Do the books add up after a run? A piece sold twice, an order that was promised and is not there, one that nobody was told of: each
//! fails the run. What the store holds is asked of the store, past the server.

use crate::plan::Driven;
use crate::redis_script;
use crate::server_kind::Server;
use crate::stage::{Goods, Stage, get};
use crate::wire::Connection;
use anyhow::{Context as _, bail, ensure};
use haat::domain::ids::OrderId;
use serde::Deserialize;
use sqlx::{Connection as _, PgConnection};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// How long payments and checkpoints may take after the last answer.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Default, Deserialize)]
struct Stock {
    held: i64,
    sold: i64,
}

/// Waits until so many orders are paid, and nothing is held for any other.
pub async fn paid(stage: &Stage, placed: u64) -> anyhow::Result<()> {
    let placed = i64::try_from(placed)?;
    let give_up = Instant::now() + PATIENCE;
    let mut http = Connection::open(stage.address).await?;
    let mut database = PgConnection::connect(&stage.url).await?;
    loop {
        let (done, open) = if stage.server.is_haat() {
            let mut sum = Stock::default();
            for (sku, vendor) in &stage.skus {
                let path = format!("/v1/vendors/{vendor}/skus/{sku}");
                let answer = http.call(get(&path, Some(&stage.admin))).await?;
                ensure!(answer.status == 200, "GET {path} was answered {}", answer.status);
                let stock: Stock = serde_json::from_slice(answer.body)?;
                sum = Stock { held: sum.held + stock.held, sold: sum.sold + stock.sold };
            }
            (sum.sold, sum.held)
        } else {
            let counts =
                "SELECT count(*) FILTER (WHERE status = 'paid'), count(*) FILTER (WHERE status <> 'paid') FROM orders";
            sqlx::query_as(counts).fetch_one(&mut database).await?
        };
        if done == placed && open == 0 {
            return Ok(());
        }
        if Instant::now() > give_up {
            bail!("of {placed} orders {done} were paid in the end, and {open} pieces or orders were still open");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a checkpoint holds everything.
pub async fn checkpointed(stage: &Stage) -> anyhow::Result<()> {
    let give_up = Instant::now() + PATIENCE;
    let mut http = Connection::open(stage.address).await?;
    loop {
        let answer = http.call(get("/metrics", None)).await?;
        let text = std::str::from_utf8(answer.body)?;
        let lag = text.lines().find_map(|line| line.strip_prefix("haat_checkpoint_lag_records "));
        if lag.context("no metric tells the checkpoint's lag")?.trim() == "0" {
            return Ok(());
        }
        if Instant::now() > give_up {
            bail!("the checkpoint did not catch up");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Compares what the store holds with what the client was told.
pub async fn add_up(
    stage: &Stage,
    goods: Goods,
    driven: &Driven,
    redis_url: Option<&str>,
    sold_out: bool,
) -> anyhow::Result<()> {
    if let Some((what, count)) = driven.failed.iter().next() {
        bail!("{} answers that should not be, such as {count} times: {what}", driven.failed.values().sum::<u64>());
    }
    let placed = i64::try_from(driven.placed)?;
    let told: HashSet<&str> = driven.orders.iter().map(String::as_str).collect();
    ensure!(told.len() as i64 == placed, "{placed} orders have only {} ids", told.len());
    let stock = goods.stock * i64::try_from(goods.skus)?;
    let books = match stage.server {
        Server::RedisScript => redis_books(stage, redis_url.context("no Redis")?).await?,
        Server::Ceiling => return ceiling(stage, placed).await,
        server => sql_books(stage, server, stock).await?,
    };
    ensure!(books.orders.len() as i64 == placed, "{placed} orders were promised, {} are there", books.orders.len());
    if let Some(missing) = told.iter().find(|id| !books.orders.contains(**id)) {
        bail!("{missing} was promised and is not there");
    }
    ensure!(books.pieces == placed, "{placed} orders of one piece have lines with {} pieces", books.pieces);
    ensure!(books.sold == placed, "{placed} pieces were ordered, {} are gone from the stock", books.sold);
    ensure!(books.left >= 0 && books.left + books.sold == stock, "{} pieces are left of {stock}", books.left);
    if sold_out {
        ensure!(books.left == 0, "{} pieces are left, and yet buyers were refused", books.left);
        ensure!(driven.refused > 0, "nobody was refused when all was sold");
    } else {
        ensure!(driven.refused == 0, "{} buyers were refused and {} pieces are left", driven.refused, books.left);
    }
    Ok(())
}

/// What the store holds.
struct Books {
    orders: HashSet<String>,
    /// In the orders' lines.
    pieces: i64,
    /// By the stock's own account.
    sold: i64,
    left: i64,
}

async fn sql_books(stage: &Stage, server: Server, stock: i64) -> anyhow::Result<Books> {
    let mut database = PgConnection::connect(&stage.url).await?;
    // Haat keeps an order that its vendor refused, as rejected: when two are placed for the last piece at the same moment.
    let ids: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM orders WHERE status <> 'rejected'").fetch_all(&mut database).await?;
    let (lines, pieces): (i64, i64) = sqlx::query_as(
        "SELECT count(*), COALESCE(sum(quantity), 0)::bigint FROM order_lines JOIN orders ON orders.id = order_id
        WHERE orders.status <> 'rejected'",
    )
    .fetch_one(&mut database)
    .await?;
    ensure!(usize::try_from(lines) == Ok(ids.len()), "{} orders have {lines} lines", ids.len());
    let (sold, left): (i64, i64) = match server {
        Server::Haat | Server::Against => {
            let unpaid: i64 =
                sqlx::query_scalar("SELECT count(*) FROM orders WHERE status NOT IN ('paid', 'rejected')")
                    .fetch_one(&mut database)
                    .await?;
            ensure!(unpaid == 0, "{unpaid} orders are not paid in the read tables");
            sqlx::query_as("SELECT sum(sold)::bigint, sum(on_hand)::bigint FROM skus WHERE held = 0")
                .fetch_one(&mut database)
                .await?
        }
        Server::UnitRows => {
            let left: i64 = sqlx::query_scalar("SELECT count(*) FROM stock_units").fetch_one(&mut database).await?;
            (stock - left, left)
        }
        _ => {
            let left: i64 =
                sqlx::query_scalar("SELECT sum(quantity)::bigint FROM stock").fetch_one(&mut database).await?;
            (stock - left, left)
        }
    };
    database.close().await?;
    let orders = ids.into_iter().map(|id| OrderId::from_uuid(id).to_string()).collect();
    Ok(Books { orders, pieces, sold, left })
}

async fn redis_books(stage: &Stage, url: &str) -> anyhow::Result<Books> {
    let mut connection = redis_script::connect(url).await?;
    let found: Vec<(String, String)> =
        redis::cmd("HGETALL").arg(redis_script::ORDERS).query_async(&mut connection).await?;
    let mut left = 0;
    for (sku, _) in &stage.skus {
        let quantity: i64 =
            redis::cmd("HGET").arg(redis_script::stock_key(*sku)).arg("quantity").query_async(&mut connection).await?;
        ensure!(quantity >= 0, "{sku} is oversold: {quantity}");
        left += quantity;
    }
    let mut pieces = 0;
    let mut orders = HashSet::new();
    for (id, text) in found {
        #[derive(Deserialize)]
        struct Kept {
            quantity: i64,
        }
        pieces += serde_json::from_str::<Kept>(&text)?.quantity;
        orders.insert(id);
    }
    // There is no second account of what was sold: the stock began with as many as are left and ordered, or add_up says so.
    Ok(Books { sold: pieces, orders, pieces, left })
}

async fn ceiling(stage: &Stage, placed: i64) -> anyhow::Result<()> {
    let mut database = PgConnection::connect(&stage.url).await?;
    let records: i64 =
        sqlx::query_scalar("SELECT COALESCE(sum(records), 0)::bigint FROM journal").fetch_one(&mut database).await?;
    ensure!(records == placed, "{placed} orders were promised, the journal has {records} records");
    database.close().await?;
    Ok(())
}
