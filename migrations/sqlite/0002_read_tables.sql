-- The read tables: entity states as rows, for queries and reports. They follow the journal by seconds. Their constraints are a
-- second, independent check on the engine: an entity whose rows they refuse is listed in refused_rows.
-- Amounts are whole minor units (paisa, cents) of the currency beside them.
-- Ids are the 16 bytes of a UUID, times are milliseconds since 1970-01-01T00:00:00Z, states are JSON.

CREATE TABLE vendors (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL
) STRICT;

CREATE TABLE products (
    id BLOB PRIMARY KEY,
    vendor_id BLOB NOT NULL REFERENCES vendors (id),
    title TEXT NOT NULL,
    title_folded TEXT NOT NULL,
    description TEXT,
    category TEXT,
    created_at INTEGER NOT NULL,
    sku_ids BLOB NOT NULL,
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX products_newest ON products (created_at DESC, id DESC);
CREATE INDEX products_of_vendor ON products (vendor_id, created_at DESC, id DESC);
CREATE INDEX products_of_category ON products (category, created_at DESC, id DESC) WHERE category IS NOT NULL;

CREATE TABLE skus (
    id BLOB PRIMARY KEY,
    vendor_id BLOB NOT NULL,
    product_id BLOB NOT NULL REFERENCES products (id),
    code TEXT NOT NULL,
    title TEXT NOT NULL,
    price_minor INTEGER NOT NULL CONSTRAINT price_not_negative CHECK (price_minor >= 0),
    currency TEXT NOT NULL,
    received INTEGER NOT NULL,
    on_hand INTEGER NOT NULL CONSTRAINT on_hand_not_negative CHECK (on_hand >= 0),
    held INTEGER NOT NULL CONSTRAINT held_not_negative CHECK (held >= 0),
    sold INTEGER GENERATED ALWAYS AS (received - on_hand) STORED,
    available INTEGER GENERATED ALWAYS AS (on_hand - held) STORED,
    version INTEGER NOT NULL,
    CONSTRAINT nothing_held_that_is_not_there CHECK (held <= on_hand),
    CONSTRAINT nothing_on_hand_that_never_came CHECK (received >= on_hand)
) STRICT;
CREATE INDEX skus_of_product ON skus (product_id);
CREATE INDEX skus_of_vendor ON skus (vendor_id);

CREATE TABLE orders (
    id BLOB PRIMARY KEY,
    cart_id BLOB NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt > 0),
    customer_id BLOB,
    status TEXT NOT NULL CONSTRAINT order_status_known CHECK (status IN (
        'placed', 'awaiting_payment', 'paid', 'fulfilling', 'completed',
        'rejected', 'payment_failed', 'cancelled', 'expired', 'refunded')),
    currency TEXT NOT NULL,
    total INTEGER NOT NULL CHECK (total >= 0),
    cancelled INTEGER NOT NULL CHECK (cancelled >= 0),
    paid INTEGER NOT NULL CHECK (paid >= 0),
    refunded INTEGER NOT NULL CHECK (refunded >= 0),
    total_due INTEGER NOT NULL CONSTRAINT total_due_not_negative CHECK (total_due >= 0),
    placed_at INTEGER NOT NULL,
    payment_due_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT total_due_adds_up CHECK (total_due = total - cancelled - (paid - refunded)),
    CONSTRAINT nothing_refunded_that_was_not_paid CHECK (refunded <= paid),
    CONSTRAINT nothing_due_at_the_end CHECK (total_due = 0 OR status IN ('placed', 'awaiting_payment'))
) STRICT;
CREATE INDEX orders_newest ON orders (placed_at DESC, id DESC);
CREATE INDEX orders_of_cart ON orders (cart_id, placed_at DESC, id DESC);
CREATE INDEX orders_of_customer ON orders (customer_id, placed_at DESC, id DESC) WHERE customer_id IS NOT NULL;

CREATE TABLE payments (
    order_id BLOB PRIMARY KEY REFERENCES orders (id),
    method TEXT NOT NULL,
    status TEXT NOT NULL CONSTRAINT payment_status_known CHECK (status IN (
        'none', 'pending', 'captured', 'declined', 'voided', 'refunded')),
    currency TEXT NOT NULL,
    captured INTEGER NOT NULL CHECK (captured >= 0),
    refunded INTEGER NOT NULL CHECK (refunded >= 0 AND refunded <= captured),
    version INTEGER NOT NULL
) STRICT;

CREATE TABLE sub_orders (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL REFERENCES orders (id),
    vendor_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    status TEXT NOT NULL CONSTRAINT sub_order_status_known CHECK (status IN (
        'placed', 'held', 'rejected', 'paid', 'released')),
    currency TEXT NOT NULL,
    total INTEGER NOT NULL CHECK (total >= 0),
    placed_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT one_share_per_vendor UNIQUE (order_id, vendor_id)
) STRICT;
CREATE INDEX sub_orders_of_vendor ON sub_orders (vendor_id, placed_at DESC, order_id DESC);

CREATE TABLE order_lines (
    order_id BLOB NOT NULL,
    sku_id BLOB NOT NULL,
    vendor_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    title TEXT NOT NULL,
    quantity INTEGER NOT NULL CONSTRAINT quantity_positive CHECK (quantity > 0),
    unit_price INTEGER NOT NULL CHECK (unit_price >= 0),
    currency TEXT NOT NULL,
    line_total INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (order_id, sku_id),
    CONSTRAINT line_of_a_share FOREIGN KEY (order_id, vendor_id) REFERENCES sub_orders (order_id, vendor_id),
    CONSTRAINT line_total_multiplies CHECK (line_total = quantity * unit_price)
) STRICT;
CREATE INDEX order_lines_of_sku ON order_lines (sku_id);

CREATE TABLE refused_rows (
    kind TEXT NOT NULL,
    entity BLOB NOT NULL,
    version INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (kind, entity)
) STRICT;
