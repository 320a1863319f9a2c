//! (d) Redis: a script that looks, takes and keeps the order, on a server that syncs its log before it answers. All requests share
//! connections, on which they stand one behind the other; Redis syncs once for all it found there.

use crate::order::{Item, NewOrder, TITLE, UNIT_PRICE};
use crate::server::{Outcome, Shop};
use anyhow::Context as _;
use haat::domain::ids::{SkuId, VendorId};
use redis::aio::MultiplexedConnection;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where all orders are, by id.
pub const ORDERS: &str = "orders";

const PLACE: &str = "
    local found = redis.call('HMGET', KEYS[1], 'quantity', 'vendor', 'title', 'price')
    local asked = tonumber(ARGV[1])
    if tonumber(found[1]) < asked then return {} end
    redis.call('HINCRBY', KEYS[1], 'quantity', -asked)
    redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
    return {found[2], found[3], found[4]}";

/// The key of a SKU's stock.
pub fn stock_key(sku: SkuId) -> String {
    format!("stock:{sku}")
}

/// Empties the server and makes the stock.
pub async fn open(url: &str, skus: &[(SkuId, VendorId)], stock: i64) -> anyhow::Result<()> {
    let mut connection = connect(url).await?;
    redis::cmd("FLUSHALL").exec_async(&mut connection).await?;
    for (sku, vendor) in skus {
        redis::cmd("HSET")
            .arg(stock_key(*sku))
            .arg(&[("quantity", stock.to_string()), ("vendor", vendor.to_string())])
            .arg(&[("title", TITLE.to_owned()), ("price", UNIT_PRICE.to_string())])
            .exec_async(&mut connection)
            .await?;
    }
    Ok(())
}

/// A connection that waits as long as the others do.
pub async fn connect(url: &str) -> anyhow::Result<MultiplexedConnection> {
    let config = redis::AsyncConnectionConfig::new()
        .set_response_timeout(Some(std::time::Duration::from_secs(60)))
        .set_connection_timeout(Some(std::time::Duration::from_secs(10)));
    let client = redis::Client::open(url).context("REDIS_URL")?;
    client.get_multiplexed_async_connection_with_config(&config).await.context("could not reach Redis")
}

/// The order as it is kept.
#[derive(Serialize)]
struct Kept<'a> {
    at: i64,
    status: &'static str,
    #[serde(flatten)]
    request: &'a crate::order::OrderRequest,
}

/// Takes orders by a script.
pub struct RedisScript {
    connections: Vec<MultiplexedConnection>,
    turn: AtomicUsize,
    digest: String,
}

impl RedisScript {
    /// With so many connections, which the requests take in turns.
    pub async fn open(url: &str, connections: u32) -> anyhow::Result<Self> {
        let mut opened = Vec::new();
        for _ in 0..connections.max(1) {
            opened.push(connect(url).await?);
        }
        let digest = redis::cmd("SCRIPT").arg("LOAD").arg(PLACE).query_async(&mut opened[0]).await?;
        Ok(Self { connections: opened, turn: AtomicUsize::new(0), digest })
    }
}

impl Shop for RedisScript {
    async fn place(&self, order: Arc<NewOrder>, _until_paid: bool) -> anyhow::Result<Outcome> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        let mut connection = self.connections[turn].clone();
        let request = &order.request;
        let kept = Kept { at: order.at.as_millis(), status: "awaiting_payment", request };
        let found: Vec<String> = redis::cmd("EVALSHA")
            .arg(&self.digest)
            .arg(2)
            .arg(stock_key(request.sku_id))
            .arg(ORDERS)
            .arg(request.quantity)
            .arg(order.id.to_string())
            .arg(serde_json::to_vec(&kept)?)
            .query_async(&mut connection)
            .await?;
        let [vendor, title, unit_price] = &found[..] else {
            return Ok(Outcome::SoldOut);
        };
        let item = Item { vendor: vendor.parse()?, title: title.clone(), unit_price: unit_price.parse()? };
        Ok(Outcome::Placed(item, false))
    }
}
