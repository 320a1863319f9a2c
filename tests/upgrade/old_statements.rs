//! The statements with which two earlier versions wrote to Postgres, word for word.

/// What differs between the versions.
pub struct Version {
    pub commit: &'static str,
    pub renew: &'static str,
    pub newer_heads: &'static str,
    pub advance: &'static str,
    /// Whether it is the later one. That inserts what is new without looking first, plans look-ups each time, and says on its connection that it
    /// writes whole orders, not in each transaction.
    pub later: bool,
}

/// A read table, the column by which the rows of an entity are found, and the upsert. What the later version inserts with is its beginning, up to
/// `ON CONFLICT`.
pub type Table = (&'static str, &'static str, &'static str);

pub const VERSIONS: [Version; 2] = [
    Version {
        commit: "9640d63",
        renew: "UPDATE partition SET owner_until = GREATEST(owner_until, clock_timestamp() + $3 * interval '1 millisecond')
    FROM UNNEST($1::smallint[], $2::bigint[]) AS taken (id, epoch)
    WHERE partition.id = taken.id AND partition.epoch = taken.epoch",
        newer_heads: "SELECT snapshot.kind, snapshot.entity
    FROM UNNEST($1::text[], $2::uuid[], $3::bigint[]) AS captured (kind, entity, version)
    JOIN snapshot ON snapshot.kind = captured.kind AND snapshot.entity = captured.entity AND snapshot.part = ''
    WHERE snapshot.version > captured.version",
        advance: "UPDATE partition SET checkpoint_seq = GREATEST(checkpoint_seq, advance.seq)
    FROM UNNEST($1::smallint[], $2::bigint[], $3::bigint[]) AS advance (id, epoch, seq)
    WHERE partition.id = advance.id AND partition.epoch = advance.epoch",
        later: false,
    },
    Version {
        commit: "da7d1c1",
        renew: "WITH ours AS (
        SELECT id FROM partition JOIN UNNEST($1::smallint[], $2::bigint[]) AS taken (id, epoch) USING (id, epoch)
        ORDER BY id FOR NO KEY UPDATE OF partition)
    UPDATE partition SET owner_until = GREATEST(owner_until, clock_timestamp() + $3 * interval '1 millisecond')
    FROM ours WHERE partition.id = ours.id
    RETURNING clock_timestamp()",
        newer_heads: "SELECT captured.kind, captured.entity
    FROM UNNEST($1::text[], $2::uuid[], $3::bigint[]) AS captured (kind, entity, version)
    CROSS JOIN LATERAL (
        SELECT version FROM snapshot WHERE kind = captured.kind AND entity = captured.entity AND part = '' OFFSET 0) AS head
    WHERE head.version > captured.version",
        advance: "WITH ours AS (
        SELECT id, seq FROM partition JOIN UNNEST($1::smallint[], $2::bigint[], $3::bigint[]) AS advance (id, epoch, seq)
            USING (id, epoch)
        ORDER BY id FOR NO KEY UPDATE OF partition)
    UPDATE partition SET checkpoint_seq = GREATEST(checkpoint_seq, ours.seq)
    FROM ours WHERE partition.id = ours.id",
        later: true,
    },
];

pub const APPEND: &str = "INSERT INTO journal (partition, seq, epoch, at, batch, records, codec, payload)
    SELECT * FROM UNNEST($1::smallint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::uuid[], $6::integer[],
        $7::smallint[], $8::bytea[])
    WHERE NOT EXISTS (
        SELECT 1 FROM UNNEST($1::smallint[], $3::bigint[]) AS term (id, epoch) JOIN partition USING (id)
        WHERE partition.epoch <> term.epoch)";
pub const LOCK_OWNED: &str = "
    SELECT partition.id FROM partition JOIN UNNEST($1::smallint[], $2::bigint[]) AS taken (id, epoch) USING (id, epoch)
    ORDER BY partition.id FOR KEY SHARE OF partition";
pub const UPSERT_PARTS: &str = "INSERT INTO snapshot (kind, entity, part, partition, version, wake_at, state)
    SELECT * FROM UNNEST($1::text[], $2::uuid[], $3::text[], $4::smallint[], $5::bigint[], $6::timestamptz[], $7::bytea[])
    ON CONFLICT (kind, entity, part) DO UPDATE
    SET version = excluded.version, wake_at = excluded.wake_at, state = excluded.state
    WHERE excluded.version > snapshot.version";
/// In the order in which a checkpoint comes to them.
pub const VENDOR_ROWS: [Table; 3] = [
    ("vendors", "id", "INSERT INTO vendors (id, name, version)
    SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::bigint[])
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version
    WHERE excluded.version > vendors.version"),
    ("products", "vendor_id", "INSERT INTO products (id, vendor_id, title, title_folded, description, category, created_at, sku_ids, version)
    SELECT id, vendor_id, title, title_folded, description, category, created_at, string_to_array(sku_ids, ',')::uuid[], version
    FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[],
        $9::bigint[])
        AS new (id, vendor_id, title, title_folded, description, category, created_at, sku_ids, version)
    ON CONFLICT (id) DO UPDATE SET title = excluded.title, title_folded = excluded.title_folded,
        description = excluded.description, category = excluded.category, sku_ids = excluded.sku_ids, version = excluded.version
    WHERE excluded.version > products.version"),
    ("skus", "vendor_id", "INSERT INTO skus (id, vendor_id, product_id, code, title, price_minor, currency, received, on_hand, held, version)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[],
        $9::bigint[], $10::bigint[], $11::bigint[])
    ON CONFLICT (id) DO UPDATE SET code = excluded.code, title = excluded.title, price_minor = excluded.price_minor,
        currency = excluded.currency, received = excluded.received, on_hand = excluded.on_hand, held = excluded.held,
        version = excluded.version
    WHERE excluded.version > skus.version"),
];
pub const ORDER_ROWS: [Table; 4] = [
    ("orders", "id", "INSERT INTO orders (id, cart_id, attempt, customer_id, status, currency, total, cancelled, paid, refunded, total_due,
        placed_at, payment_due_at, version)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
        $9::bigint[], $10::bigint[], $11::bigint[], $12::timestamptz[], $13::timestamptz[], $14::bigint[])
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, total = excluded.total, cancelled = excluded.cancelled,
        paid = excluded.paid, refunded = excluded.refunded, total_due = excluded.total_due,
        payment_due_at = excluded.payment_due_at, version = excluded.version
    WHERE excluded.version > orders.version"),
    ("payments", "order_id", "INSERT INTO payments (order_id, method, status, currency, captured, refunded, version)
    SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
    ON CONFLICT (order_id) DO UPDATE SET method = excluded.method, status = excluded.status, captured = excluded.captured,
        refunded = excluded.refunded, version = excluded.version
    WHERE excluded.version > payments.version"),
    ("sub_orders", "order_id", "INSERT INTO sub_orders (id, order_id, vendor_id, position, status, currency, total, placed_at, version)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::text[], $7::bigint[],
        $8::timestamptz[], $9::bigint[])
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, total = excluded.total, version = excluded.version
    WHERE excluded.version > sub_orders.version"),
    ("order_lines", "order_id", "
    INSERT INTO order_lines (order_id, sku_id, vendor_id, position, title, quantity, unit_price, currency, line_total, version)
    SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::bigint[], $7::bigint[], $8::text[],
        $9::bigint[], $10::bigint[])
    ON CONFLICT (order_id, sku_id) DO UPDATE SET quantity = excluded.quantity, unit_price = excluded.unit_price,
        line_total = excluded.line_total, version = excluded.version
    WHERE excluded.version > order_lines.version"),
];
