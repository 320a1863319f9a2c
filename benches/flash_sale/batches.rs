//! (f) SQL with batches formed in the application, the one to fear: a writer takes what has gathered, up to 512 requests, locks the rows
//! of their SKUs once, decides in memory, and writes stock, orders and lines in one transaction. It is Haat's group commit without
//! its journal. (f2) also marks each order paid, in a later batch of its own; no provider is asked.

use crate::order::{Item, NewOrder};
use crate::server::{Outcome, Shop};
use crate::sql::{self, address, item};
use anyhow::{Context as _, anyhow};
use haat::domain::ids::SkuId;
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

/// Requests of one transaction.
const BATCH: usize = 512;
/// Requests that may wait; who comes then waits outside.
const WAITING: usize = 4096;

/// In the order of the keys, so that two writers never wait for each other in a circle.
const LOCK: &str = "
    SELECT sku_id, vendor_id, title, unit_price, quantity FROM stock WHERE sku_id = ANY ($1) ORDER BY sku_id FOR UPDATE";

/// Stock, orders and lines in one round trip.
const WRITE: &str = "
    WITH taken AS (
        UPDATE stock SET quantity = quantity - sold.pieces FROM UNNEST($1::uuid[], $2::bigint[]) AS sold (sku_id, pieces)
        WHERE stock.sku_id = sold.sku_id),
    placed AS (
        INSERT INTO orders (id, cart_id, status, email, shipping_address, payment_method, payment_token, total, total_due)
        SELECT id, cart_id, 'awaiting_payment', email, address, method, token, total, total
        FROM UNNEST($3::uuid[], $4::uuid[], $5::text[], $6::jsonb[], $7::text[], $8::text[], $9::bigint[])
            AS made (id, cart_id, email, address, method, token, total))
    INSERT INTO order_lines (order_id, position, sku_id, vendor_id, title, quantity, unit_price)
    SELECT order_id, 0, sku_id, vendor_id, title, quantity, unit_price
    FROM UNNEST($3::uuid[], $10::uuid[], $11::uuid[], $12::text[], $13::bigint[], $14::bigint[])
        AS line (order_id, sku_id, vendor_id, title, quantity, unit_price)";

const PAY: &str = "UPDATE orders SET status = 'paid', total_due = 0 WHERE id = ANY ($1)";

/// A request that waits for its batch.
struct Waiting {
    order: Arc<NewOrder>,
    until_paid: bool,
    answer: oneshot::Sender<Outcome>,
}

/// An order that waits for its payment, and who waits for it.
struct Unpaid {
    id: Uuid,
    item: Item,
    answer: Option<oneshot::Sender<Outcome>>,
}

/// Takes orders by the batch.
pub struct Batches(mpsc::Sender<Waiting>);

impl Batches {
    /// With so many writers, each with a connection of its own: while one commits, the next has gathered its batch.
    pub async fn open(url: &str, writers: u32, payments: bool) -> anyhow::Result<Self> {
        let pool = sql::pool(url, writers + u32::from(payments)).await?;
        let (send, receive) = mpsc::channel(WAITING);
        let unpaid = payments.then(|| {
            let (send, receive) = mpsc::channel(WAITING);
            tokio::spawn(ending_the_process("paying", pay(pool.clone(), receive)));
            send
        });
        let receive = Arc::new(Mutex::new(receive));
        for _ in 0..writers.max(1) {
            tokio::spawn(ending_the_process("writing", write(pool.clone(), receive.clone(), unpaid.clone())));
        }
        Ok(Self(send))
    }
}

/// A batch that fails ends the server: its clients then see broken connections, and the run fails.
async fn ending_the_process(what: &'static str, work: impl Future<Output = anyhow::Result<()>>) {
    if let Err(error) = work.await {
        eprintln!("{what} failed: {error:#}");
        std::process::exit(1);
    }
}

impl Shop for Batches {
    async fn place(&self, order: Arc<NewOrder>, until_paid: bool) -> anyhow::Result<Outcome> {
        let (answer, outcome) = oneshot::channel();
        self.0.send(Waiting { order, until_paid, answer }).await.map_err(|_| anyhow!("no writer is left"))?;
        outcome.await.context("the batch was lost")
    }
}

async fn write(
    pool: PgPool,
    receive: Arc<Mutex<mpsc::Receiver<Waiting>>>,
    unpaid: Option<mpsc::Sender<Unpaid>>,
) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        if receive.lock().await.recv_many(&mut batch, BATCH).await == 0 {
            return Ok(());
        }
        let items = commit(&pool, &batch).await?;
        for (Waiting { order, until_paid, answer }, item) in batch.drain(..).zip(items) {
            // Who has gone away gets no answer.
            let Some(item) = item else {
                let _ = answer.send(Outcome::SoldOut);
                continue;
            };
            let Some(unpaid) = &unpaid else {
                let _ = answer.send(Outcome::Placed(item, false));
                continue;
            };
            let id = order.id.uuid();
            if until_paid {
                unpaid.send(Unpaid { id, item, answer: Some(answer) }).await.ok().context("nobody pays")?;
            } else {
                let _ = answer.send(Outcome::Placed(item.clone(), false));
                unpaid.send(Unpaid { id, item, answer: None }).await.ok().context("nobody pays")?;
            }
        }
    }
}

/// Commits a batch; gives what each request gets, `None` where there was not enough.
async fn commit(pool: &PgPool, batch: &[Waiting]) -> anyhow::Result<Vec<Option<Item>>> {
    let mut wanted: Vec<Uuid> = batch.iter().map(|waiting| waiting.order.request.sku_id.uuid()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut transaction = pool.begin().await?;
    let rows: Vec<(Uuid, Uuid, String, i64, i64)> =
        sqlx::query_as(LOCK).bind(&wanted).fetch_all(&mut *transaction).await?;
    let mut stock: BTreeMap<SkuId, (Item, i64)> = rows
        .into_iter()
        .map(|(sku, vendor, title, price, left)| (SkuId::from_uuid(sku), (item((vendor, title, price)), left)))
        .collect();
    let mut sold: BTreeMap<SkuId, i64> = BTreeMap::new();
    let items: Vec<Option<Item>> = batch
        .iter()
        .map(|waiting| {
            let request = &waiting.order.request;
            let (item, left) = stock.get_mut(&request.sku_id)?;
            *left = left.checked_sub(request.quantity).filter(|left| *left >= 0)?;
            *sold.entry(request.sku_id).or_default() += request.quantity;
            Some(item.clone())
        })
        .collect();
    let placed: Vec<(&NewOrder, &Item)> =
        batch.iter().zip(&items).filter_map(|(waiting, item)| Some((&*waiting.order, item.as_ref()?))).collect();
    if placed.is_empty() {
        transaction.rollback().await?;
        return Ok(items);
    }
    sqlx::query(WRITE)
        .bind(sold.keys().map(|sku| sku.uuid()).collect::<Vec<_>>())
        .bind(sold.values().copied().collect::<Vec<_>>())
        .bind(placed.iter().map(|(order, _)| order.id.uuid()).collect::<Vec<_>>())
        .bind(placed.iter().map(|(order, _)| order.request.cart_id.uuid()).collect::<Vec<_>>())
        .bind(placed.iter().map(|(order, _)| order.request.email.as_deref()).collect::<Vec<_>>())
        .bind(placed.iter().map(|(order, _)| address(order)).collect::<Vec<_>>())
        .bind(placed.iter().map(|(order, _)| order.request.payment.method.as_str()).collect::<Vec<_>>())
        .bind(placed.iter().map(|(order, _)| order.request.payment.token.as_str()).collect::<Vec<_>>())
        .bind(placed.iter().map(|(order, item)| order.total(item)).collect::<Vec<_>>())
        .bind(placed.iter().map(|(order, _)| order.request.sku_id.uuid()).collect::<Vec<_>>())
        .bind(placed.iter().map(|(_, item)| item.vendor.uuid()).collect::<Vec<_>>())
        .bind(placed.iter().map(|(_, item)| item.title.as_str()).collect::<Vec<_>>())
        .bind(placed.iter().map(|(order, _)| order.request.quantity).collect::<Vec<_>>())
        .bind(placed.iter().map(|(_, item)| item.unit_price).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(items)
}

async fn pay(pool: PgPool, mut receive: mpsc::Receiver<Unpaid>) -> anyhow::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    while receive.recv_many(&mut batch, BATCH).await > 0 {
        let ids: Vec<Uuid> = batch.iter().map(|unpaid| unpaid.id).collect();
        let paid = sqlx::query(PAY).bind(&ids).execute(&pool).await?.rows_affected();
        if usize::try_from(paid) != Ok(ids.len()) {
            return Err(anyhow!("{paid} of {} orders could be marked paid", ids.len()));
        }
        for Unpaid { item, answer, .. } in batch.drain(..) {
            if let Some(answer) = answer {
                let _ = answer.send(Outcome::Placed(item, true));
            }
        }
    }
    Ok(())
}
