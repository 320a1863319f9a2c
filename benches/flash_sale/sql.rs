//! What the SQL baselines share: their schema, their pool, and how a SKU is read.

use crate::order::{Item, NewOrder, TITLE, UNIT_PRICE};
use anyhow::Context as _;
use haat::domain::ids::{SkuId, VendorId};
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use uuid::Uuid;

/// Without foreign keys, triggers and lists' indexes, which Haat's read tables have: to the baselines' advantage. The stock's rows are
/// spread over pages with room for their new versions, so that no update touches an index; orders have that room where they are
/// updated later.
fn schema(order_fillfactor: u8) -> String {
    format!(
        "CREATE TABLE stock (
            sku_id uuid PRIMARY KEY,
            vendor_id uuid NOT NULL,
            title text NOT NULL,
            unit_price bigint NOT NULL,
            quantity bigint NOT NULL CHECK (quantity >= 0)
        ) WITH (fillfactor = 20);
        CREATE TABLE stock_units (
            sku_id uuid NOT NULL,
            unit_no bigint NOT NULL,
            PRIMARY KEY (sku_id, unit_no)
        );
        CREATE TABLE orders (
            id uuid PRIMARY KEY,
            cart_id uuid NOT NULL,
            status text NOT NULL,
            email text,
            shipping_address jsonb NOT NULL,
            payment_method text NOT NULL,
            payment_token text NOT NULL,
            currency char(3) NOT NULL DEFAULT 'BDT',
            total bigint NOT NULL CHECK (total >= 0),
            total_due bigint NOT NULL CHECK (total_due >= 0),
            placed_at timestamptz NOT NULL DEFAULT now(),
            payment_due_at timestamptz NOT NULL DEFAULT now() + interval '10 minutes'
        ) WITH (fillfactor = {order_fillfactor});
        CREATE TABLE order_lines (
            order_id uuid NOT NULL,
            position integer NOT NULL,
            sku_id uuid NOT NULL,
            vendor_id uuid NOT NULL,
            title text NOT NULL,
            quantity bigint NOT NULL CHECK (quantity > 0),
            unit_price bigint NOT NULL,
            PRIMARY KEY (order_id, position)
        );"
    )
}

/// What a shop is opened with.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// Pieces of each SKU.
    pub stock: i64,
    /// Whether each piece gets a row of its own.
    pub unit_rows: bool,
    /// Whether orders are updated when they are paid.
    pub payments: bool,
}

/// Makes the schema in an empty database, and the stock.
pub async fn open(connection: &mut PgConnection, skus: &[(SkuId, VendorId)], opening: Opening) -> anyhow::Result<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(schema(if opening.payments { 45 } else { 100 })))
        .execute(&mut *connection)
        .await
        .context("the baseline's schema")?;
    let ids: Vec<Uuid> = skus.iter().map(|(sku, _)| sku.uuid()).collect();
    let vendors: Vec<Uuid> = skus.iter().map(|(_, vendor)| vendor.uuid()).collect();
    sqlx::query(
        "INSERT INTO stock (sku_id, vendor_id, title, unit_price, quantity)
        SELECT sku_id, vendor_id, $3, $4, $5 FROM UNNEST($1::uuid[], $2::uuid[]) AS made (sku_id, vendor_id)",
    )
    .bind(&ids)
    .bind(&vendors)
    .bind(TITLE)
    .bind(UNIT_PRICE)
    .bind(opening.stock)
    .execute(&mut *connection)
    .await?;
    if opening.unit_rows {
        sqlx::query(
            "INSERT INTO stock_units (sku_id, unit_no)
            SELECT sku_id, unit_no FROM UNNEST($1::uuid[]) AS made (sku_id), generate_series(1, $2) AS unit_no",
        )
        .bind(&ids)
        .bind(opening.stock)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::raw_sql("VACUUM ANALYZE").execute(connection).await?;
    Ok(())
}

/// A pool that is full from the start and asks nobody whether a connection still lives. Statements are prepared once per connection.
pub async fn pool(url: &str, connections: u32) -> anyhow::Result<PgPool> {
    let options = PgPoolOptions::new()
        .min_connections(connections)
        .max_connections(connections)
        .test_before_acquire(false)
        .acquire_timeout(std::time::Duration::from_secs(60))
        .idle_timeout(None)
        .max_lifetime(None);
    let pool = options.connect(url).await.context("could not reach Postgres")?;
    let mut opened = Vec::new();
    for _ in 0..connections {
        opened.push(pool.acquire().await?);
    }
    Ok(pool)
}

/// A SKU as a statement gives it: vendor, title, price.
pub type ItemRow = (Uuid, String, i64);

/// The same as the answer needs it.
pub fn item((vendor, title, unit_price): ItemRow) -> Item {
    Item { vendor: VendorId::from_uuid(vendor), title, unit_price }
}

/// The address as it is stored.
pub fn address(order: &NewOrder) -> sqlx::types::Json<&haat::domain::order::Address> {
    sqlx::types::Json(&order.request.shipping_address)
}
