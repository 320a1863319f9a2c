-- Each vendor's share of an order keeps its own money, of which the order's is the sum. What nobody filters by, an order's lines, stands in one
-- document beside it; its payment stands in its row. No constraint lists what a status may be: the next version may know more of them.
-- A constraint cannot be dropped here: the tables are made anew, in this one transaction.

CREATE TABLE new_orders (
    id BLOB PRIMARY KEY,
    cart_id BLOB NOT NULL,
    attempt INTEGER NOT NULL CONSTRAINT attempt_positive CHECK (attempt > 0),
    customer_id BLOB,
    mail_key BLOB,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    total INTEGER NOT NULL CONSTRAINT total_not_negative CHECK (total >= 0),
    credited INTEGER NOT NULL,
    rounding INTEGER NOT NULL,
    paid INTEGER NOT NULL,
    refunded INTEGER NOT NULL,
    total_due INTEGER NOT NULL CONSTRAINT total_due_not_negative CHECK (total_due >= 0),
    refund_due INTEGER NOT NULL CONSTRAINT refund_due_not_negative CHECK (refund_due >= 0),
    placed_at INTEGER NOT NULL,
    payment_due_at INTEGER NOT NULL,
    payment_method TEXT NOT NULL,
    payment_status TEXT NOT NULL,
    document TEXT NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT nothing_credited_twice CHECK (credited BETWEEN 0 AND total),
    CONSTRAINT nothing_refunded_that_was_not_paid CHECK (refunded BETWEEN 0 AND paid),
    CONSTRAINT total_due_adds_up CHECK (total_due - refund_due = total - credited + rounding - (paid - refunded))
) STRICT;

-- An end credits all that was to be paid. What was taken is what was asked for, or in no share: then someone had to look at it, and what they
-- said stands in the journal.
INSERT INTO new_orders
SELECT id, cart_id, attempt, customer_id, mail_key, status, currency, total,
    credited, 0, taken, given_back, max(0, total - credited - taken + given_back), max(0, credited + taken - given_back - total),
    placed_at, payment_due_at,
    COALESCE((SELECT method FROM payments WHERE order_id = id), ''),
    COALESCE((SELECT payments.status FROM payments WHERE order_id = id), 'none'),
    json_object('lines', json((
        SELECT json_group_array(json_object('sku', substr(lower(hex(sku_id)), 1, 8) || '-' || substr(lower(hex(sku_id)), 9, 4) || '-' || substr(lower(hex(sku_id)), 13, 4) || '-' || substr(lower(hex(sku_id)), 17, 4) || '-' || substr(lower(hex(sku_id)), 21, 12), 'vendor', substr(lower(hex(vendor_id)), 1, 8) || '-' || substr(lower(hex(vendor_id)), 9, 4) || '-' || substr(lower(hex(vendor_id)), 13, 4) || '-' || substr(lower(hex(vendor_id)), 17, 4) || '-' || substr(lower(hex(vendor_id)), 21, 12), 'title', title,
            'quantity', quantity, 'unit_price', unit_price, 'line_total', line_total,
            'credited', CASE WHEN ended THEN quantity ELSE 0 END, 'credited_amount', CASE WHEN ended THEN line_total ELSE 0 END))
        FROM (SELECT * FROM order_lines WHERE order_id = head.id ORDER BY position)))),
    version
FROM (
    SELECT *, CASE WHEN ended THEN total ELSE 0 END AS credited, CASE WHEN paid = total THEN total ELSE 0 END AS taken,
        CASE WHEN paid = total AND refunded = total THEN total ELSE 0 END AS given_back
    FROM (SELECT *, status IN ('rejected', 'payment_failed', 'cancelled', 'expired', 'refunded') AS ended FROM orders)) AS head;

CREATE TABLE new_sub_orders (
    id BLOB PRIMARY KEY,
    order_id BLOB NOT NULL,
    vendor_id BLOB NOT NULL,
    position INTEGER NOT NULL,
    status TEXT NOT NULL,
    currency TEXT NOT NULL,
    total INTEGER NOT NULL CONSTRAINT total_not_negative CHECK (total >= 0),
    credited INTEGER NOT NULL,
    rounding INTEGER NOT NULL,
    paid INTEGER NOT NULL,
    refunded INTEGER NOT NULL,
    total_due INTEGER NOT NULL CONSTRAINT total_due_not_negative CHECK (total_due >= 0),
    refund_due INTEGER NOT NULL CONSTRAINT refund_due_not_negative CHECK (refund_due >= 0),
    placed_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    CONSTRAINT one_share_per_vendor UNIQUE (order_id, vendor_id),
    CONSTRAINT nothing_credited_twice CHECK (credited BETWEEN 0 AND total),
    CONSTRAINT nothing_refunded_that_was_not_paid CHECK (refunded BETWEEN 0 AND paid),
    CONSTRAINT total_due_adds_up CHECK (total_due - refund_due = total - credited + rounding - (paid - refunded)),
    CONSTRAINT one_side_is_due CHECK (total_due = 0 OR refund_due = 0)
) STRICT;

INSERT INTO new_sub_orders
SELECT shares.id, shares.order_id, shares.vendor_id, shares.position, shares.status, shares.currency, shares.total,
    CASE WHEN head.credited = head.total THEN shares.total ELSE 0 END,
    0,
    CASE WHEN head.paid = head.total THEN shares.total ELSE 0 END,
    CASE WHEN head.refunded = head.total THEN shares.total ELSE 0 END,
    CASE WHEN head.total_due = head.total THEN shares.total ELSE 0 END,
    CASE WHEN head.refund_due = head.total THEN shares.total ELSE 0 END,
    shares.placed_at, shares.version
FROM sub_orders AS shares JOIN new_orders AS head ON head.id = shares.order_id;

-- What refers to another table first.
DROP TABLE order_lines;
DROP TABLE sub_orders;
DROP TABLE payments;
DROP TABLE orders;

ALTER TABLE new_orders RENAME TO orders;
CREATE INDEX orders_of_status ON orders (status);
CREATE INDEX orders_newest ON orders (placed_at DESC, id DESC);
CREATE INDEX orders_of_cart ON orders (cart_id, placed_at DESC, id DESC);
CREATE INDEX orders_of_customer ON orders (customer_id, placed_at DESC, id DESC) WHERE customer_id IS NOT NULL;
CREATE INDEX orders_of_mail_key ON orders (mail_key, placed_at DESC, id DESC) WHERE mail_key IS NOT NULL;

ALTER TABLE new_sub_orders RENAME TO sub_orders;
CREATE INDEX sub_orders_of_vendor ON sub_orders (vendor_id, placed_at DESC, order_id DESC);

-- For queries by hand. The ids of SKUs and vendors are texts here.
CREATE VIEW order_lines AS
SELECT orders.id AS order_id, line.value ->> 'sku' AS sku_id, line.value ->> 'vendor' AS vendor_id,
    line.key AS position, line.value ->> 'title' AS title, line.value ->> 'quantity' AS quantity,
    line.value ->> 'unit_price' AS unit_price, orders.currency, line.value ->> 'line_total' AS line_total,
    COALESCE(line.value ->> 'credited', 0) AS credited, COALESCE(line.value ->> 'credited_amount', 0) AS credited_amount,
    orders.version
FROM orders, json_each(orders.document, '$.lines') AS line;
CREATE VIEW payments AS
SELECT id AS order_id, payment_method AS method, payment_status AS status, currency, paid AS captured, refunded, version
FROM orders;
