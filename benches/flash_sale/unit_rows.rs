//! (c) One row per piece, taken with SKIP LOCKED: nobody waits for anybody's lock, so commits share their fsyncs. Each order begins
//! to look at a place of its own, so that it does not walk over all that the others have locked or deleted at the table's
//! beginning; only when there is nothing behind that place does it look at all pieces.

use crate::order::NewOrder;
use crate::server::{Outcome, Shop};
use crate::sql::{self, ItemRow, address, item};
use sqlx::PgPool;
use std::sync::Arc;

/// By ctid, which a lock holds in its place: no plan can make a join of it.
const PLACE: &str = "
    WITH picked AS MATERIALIZED (
        SELECT ctid AS place FROM stock_units WHERE sku_id = $2 AND unit_no >= $9 ORDER BY unit_no LIMIT $3
        FOR UPDATE SKIP LOCKED),
    item AS MATERIALIZED (
        SELECT vendor_id, title, unit_price FROM stock WHERE sku_id = $2 AND (SELECT count(*) FROM picked) = $3),
    sold AS (
        DELETE FROM stock_units WHERE ctid = ANY (ARRAY (SELECT place FROM picked)) AND EXISTS (SELECT FROM item)),
    placed AS (
        INSERT INTO orders (id, cart_id, status, email, shipping_address, payment_method, payment_token, total, total_due)
        SELECT $1, $4, 'awaiting_payment', $5, $6, $7, $8, unit_price * $3, unit_price * $3 FROM item),
    line AS (
        INSERT INTO order_lines (order_id, position, sku_id, vendor_id, title, quantity, unit_price)
        SELECT $1, 0, $2, vendor_id, title, $3, unit_price FROM item)
    SELECT vendor_id, title, unit_price FROM item";

/// Takes orders piece by piece.
pub struct UnitRows {
    pool: PgPool,
    units: u64,
}

impl UnitRows {
    /// With a full pool, over SKUs of so many pieces each.
    pub async fn open(url: &str, connections: u32) -> anyhow::Result<Self> {
        let pool = sql::pool(url, connections).await?;
        let units: i64 = sqlx::query_scalar("SELECT COALESCE(max(quantity), 0) FROM stock").fetch_one(&pool).await?;
        Ok(Self { pool, units: u64::try_from(units)? })
    }

    async fn take(&self, order: &NewOrder, from: i64) -> anyhow::Result<Option<ItemRow>> {
        let request = &order.request;
        let taken = sqlx::query_as(PLACE)
            .bind(order.id.uuid())
            .bind(request.sku_id.uuid())
            .bind(request.quantity)
            .bind(request.cart_id.uuid())
            .bind(request.email.as_deref())
            .bind(address(order))
            .bind(&request.payment.method)
            .bind(&request.payment.token)
            .bind(from);
        Ok(taken.fetch_optional(&self.pool).await?)
    }
}

impl Shop for UnitRows {
    async fn place(&self, order: Arc<NewOrder>, _until_paid: bool) -> anyhow::Result<Outcome> {
        // The low half of a UUIDv7 is random.
        let (_, random) = order.id.uuid().as_u64_pair();
        let from = 1 + i64::try_from(random % self.units.max(1))?;
        let mut taken = self.take(&order, from).await?;
        if taken.is_none() {
            taken = self.take(&order, 0).await?;
        }
        Ok(taken.map_or(Outcome::SoldOut, |row| Outcome::Placed(item(row), false)))
    }
}
