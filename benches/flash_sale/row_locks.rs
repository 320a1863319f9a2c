//! (a) The textbook's transaction: lock the row, look, take, write the order and its line, commit. Five round trips, and everybody who
//! wants the same SKU waits for all of them and for the fsync.

use crate::order::NewOrder;
use crate::server::{Outcome, Shop};
use crate::sql::{self, address, item};
use sqlx::PgPool;
use std::sync::Arc;
use uuid::Uuid;

const LOCK: &str = "SELECT vendor_id, title, unit_price, quantity FROM stock WHERE sku_id = $1 FOR UPDATE";

const TAKE: &str = "UPDATE stock SET quantity = quantity - $2 WHERE sku_id = $1";

/// Order and line together, which saves a round trip under the lock.
const INSERT: &str = "
    WITH placed AS (
        INSERT INTO orders (id, cart_id, status, email, shipping_address, payment_method, payment_token, total, total_due)
        VALUES ($1, $2, 'awaiting_payment', $3, $4, $5, $6, $7, $7))
    INSERT INTO order_lines (order_id, position, sku_id, vendor_id, title, quantity, unit_price)
    VALUES ($1, 0, $8, $9, $10, $11, $12)";

/// Takes orders one row lock after the other.
pub struct RowLocks(PgPool);

impl RowLocks {
    /// With a full pool.
    pub async fn open(url: &str, connections: u32) -> anyhow::Result<Self> {
        Ok(Self(sql::pool(url, connections).await?))
    }
}

impl Shop for RowLocks {
    async fn place(&self, order: Arc<NewOrder>, _until_paid: bool) -> anyhow::Result<Outcome> {
        let request = &order.request;
        let mut transaction = self.0.begin().await?;
        let (vendor, title, unit_price, quantity): (Uuid, String, i64, i64) =
            sqlx::query_as(LOCK).bind(request.sku_id.uuid()).fetch_one(&mut *transaction).await?;
        if quantity < request.quantity {
            transaction.rollback().await?;
            return Ok(Outcome::SoldOut);
        }
        let item = item((vendor, title, unit_price));
        sqlx::query(TAKE).bind(request.sku_id.uuid()).bind(request.quantity).execute(&mut *transaction).await?;
        sqlx::query(INSERT)
            .bind(order.id.uuid())
            .bind(request.cart_id.uuid())
            .bind(request.email.as_deref())
            .bind(address(&order))
            .bind(&request.payment.method)
            .bind(&request.payment.token)
            .bind(order.total(&item))
            .bind(request.sku_id.uuid())
            .bind(vendor)
            .bind(&item.title)
            .bind(request.quantity)
            .bind(unit_price)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Outcome::Placed(item, false))
    }
}
