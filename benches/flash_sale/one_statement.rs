//! (b) One statement, one round trip: the update that only succeeds while there is enough, and the order and its line from what it
//! gave. The row is locked for the statement and its commit.

use crate::order::NewOrder;
use crate::server::{Outcome, Shop};
use crate::sql::{self, ItemRow, address, item};
use sqlx::PgPool;
use std::sync::Arc;

const PLACE: &str = "
    WITH taken AS (
        UPDATE stock SET quantity = quantity - $3 WHERE sku_id = $2 AND quantity >= $3
        RETURNING vendor_id, title, unit_price),
    placed AS (
        INSERT INTO orders (id, cart_id, status, email, shipping_address, payment_method, payment_token, total, total_due)
        SELECT $1, $4, 'awaiting_payment', $5, $6, $7, $8, unit_price * $3, unit_price * $3 FROM taken),
    line AS (
        INSERT INTO order_lines (order_id, position, sku_id, vendor_id, title, quantity, unit_price)
        SELECT $1, 0, $2, vendor_id, title, $3, unit_price FROM taken)
    SELECT vendor_id, title, unit_price FROM taken";

/// Takes orders by one conditional update each.
pub struct OneStatement(PgPool);

impl OneStatement {
    /// With a full pool.
    pub async fn open(url: &str, connections: u32) -> anyhow::Result<Self> {
        Ok(Self(sql::pool(url, connections).await?))
    }
}

impl Shop for OneStatement {
    async fn place(&self, order: Arc<NewOrder>, _until_paid: bool) -> anyhow::Result<Outcome> {
        let request = &order.request;
        let taken: Option<ItemRow> = sqlx::query_as(PLACE)
            .bind(order.id.uuid())
            .bind(request.sku_id.uuid())
            .bind(request.quantity)
            .bind(request.cart_id.uuid())
            .bind(request.email.as_deref())
            .bind(address(&order))
            .bind(&request.payment.method)
            .bind(&request.payment.token)
            .fetch_optional(&self.0)
            .await?;
        Ok(taken.map_or(Outcome::SoldOut, |row| Outcome::Placed(item(row), false)))
    }
}
