-- Each vendor's share of an order keeps its own money, of which the order's is the sum. What nobody filters by, an order's lines, stands in one
-- document beside it; its payment stands in its row. No constraint lists what a status may be: the next version may know more of them.

-- In the order in which a checkpoint comes to them, so that neither waits for the other.
LOCK TABLE snapshot, vendors, products, skus, orders, payments, sub_orders, order_lines IN ACCESS EXCLUSIVE MODE;

CREATE TABLE new_orders (
    id uuid NOT NULL,
    cart_id uuid NOT NULL,
    attempt bigint NOT NULL CONSTRAINT attempt_positive CHECK (attempt > 0),
    customer_id uuid,
    mail_key uuid,
    status text NOT NULL,
    currency text NOT NULL,
    total bigint NOT NULL CONSTRAINT total_not_negative CHECK (total >= 0),
    credited bigint NOT NULL,
    rounding bigint NOT NULL,
    paid bigint NOT NULL,
    refunded bigint NOT NULL,
    total_due bigint NOT NULL CONSTRAINT total_due_not_negative CHECK (total_due >= 0),
    refund_due bigint NOT NULL CONSTRAINT refund_due_not_negative CHECK (refund_due >= 0),
    placed_at timestamptz NOT NULL,
    payment_due_at timestamptz NOT NULL,
    payment_method text NOT NULL,
    payment_status text NOT NULL,
    document jsonb NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT nothing_credited_twice CHECK (credited BETWEEN 0 AND total),
    CONSTRAINT nothing_refunded_that_was_not_paid CHECK (refunded BETWEEN 0 AND paid),
    CONSTRAINT total_due_adds_up CHECK (total_due - refund_due = total - credited + rounding - (paid - refunded))
) WITH (fillfactor = 85);

-- An end credits all that was to be paid. What was taken is what was asked for, or in no share: then someone had to look at it, and what they
-- said stands in the journal.
INSERT INTO new_orders
SELECT orders.id, cart_id, attempt, customer_id, mail_key, orders.status, orders.currency::text, total,
    now_credited, 0, taken, given_back,
    greatest(0, total - now_credited - taken + given_back), greatest(0, now_credited + taken - given_back - total),
    placed_at, payment_due_at, COALESCE(payments.method, ''), COALESCE(payments.status, 'none'),
    jsonb_build_object('lines', COALESCE(lines.all_of_them, '[]')), orders.version
FROM orders
    CROSS JOIN LATERAL (SELECT
        CASE WHEN orders.status IN ('rejected', 'payment_failed', 'cancelled', 'expired', 'refunded') THEN total ELSE 0 END
            AS now_credited,
        CASE WHEN paid = total THEN total ELSE 0 END AS taken,
        CASE WHEN paid = total AND orders.refunded = total THEN total ELSE 0 END AS given_back) AS money
    LEFT JOIN payments ON payments.order_id = orders.id
    LEFT JOIN (
        SELECT order_id, jsonb_agg(
            jsonb_build_object('sku', sku_id, 'vendor', vendor_id, 'title', title, 'quantity', quantity,
                'unit_price', unit_price, 'line_total', line_total)
            || CASE WHEN orders.status IN ('rejected', 'payment_failed', 'cancelled', 'expired', 'refunded')
                THEN jsonb_build_object('credited', quantity, 'credited_amount', line_total) ELSE '{}' END
            ORDER BY position) AS all_of_them
        FROM order_lines JOIN orders ON orders.id = order_id
        GROUP BY order_id) AS lines ON lines.order_id = orders.id;

CREATE TABLE new_sub_orders (
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    vendor_id uuid NOT NULL,
    position bigint NOT NULL,
    status text NOT NULL,
    currency text NOT NULL,
    total bigint NOT NULL CONSTRAINT total_not_negative CHECK (total >= 0),
    credited bigint NOT NULL,
    rounding bigint NOT NULL,
    paid bigint NOT NULL,
    refunded bigint NOT NULL,
    total_due bigint NOT NULL CONSTRAINT total_due_not_negative CHECK (total_due >= 0),
    refund_due bigint NOT NULL CONSTRAINT refund_due_not_negative CHECK (refund_due >= 0),
    placed_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT nothing_credited_twice CHECK (credited BETWEEN 0 AND total),
    CONSTRAINT nothing_refunded_that_was_not_paid CHECK (refunded BETWEEN 0 AND paid),
    CONSTRAINT total_due_adds_up CHECK (total_due - refund_due = total - credited + rounding - (paid - refunded)),
    CONSTRAINT one_side_is_due CHECK (total_due = 0 OR refund_due = 0)
) WITH (fillfactor = 85);

INSERT INTO new_sub_orders
SELECT shares.id, shares.order_id, shares.vendor_id, shares.position, shares.status, shares.currency::text, shares.total,
    CASE WHEN new_orders.credited = new_orders.total THEN shares.total ELSE 0 END,
    0,
    CASE WHEN new_orders.paid = new_orders.total THEN shares.total ELSE 0 END,
    CASE WHEN new_orders.refunded = new_orders.total THEN shares.total ELSE 0 END,
    CASE WHEN new_orders.total_due = new_orders.total THEN shares.total ELSE 0 END,
    CASE WHEN new_orders.refund_due = new_orders.total THEN shares.total ELSE 0 END,
    shares.placed_at, shares.version
FROM sub_orders AS shares JOIN new_orders ON new_orders.id = shares.order_id;

DROP TABLE order_lines, sub_orders, payments, orders;

ALTER TABLE new_orders RENAME TO orders;
ALTER TABLE orders ADD CONSTRAINT orders_pkey PRIMARY KEY (id);
CREATE INDEX orders_of_status ON orders (status);
CREATE INDEX orders_newest ON orders (placed_at DESC, id DESC);
CREATE INDEX orders_of_cart ON orders (cart_id, placed_at DESC, id DESC);
CREATE INDEX orders_of_customer ON orders (customer_id, placed_at DESC, id DESC) WHERE customer_id IS NOT NULL;
CREATE INDEX orders_of_mail_key ON orders (mail_key, placed_at DESC, id DESC) WHERE mail_key IS NOT NULL;
COMMENT ON TABLE orders IS 'Orders: what was bought at one checkout';
COMMENT ON COLUMN orders.attempt IS 'The number of the cart''s checkout, from 1';
COMMENT ON COLUMN orders.customer_id IS 'Whose; null for a guest''s';
COMMENT ON COLUMN orders.mail_key IS 'A hash by which the orders of an e-mail address are found';
COMMENT ON COLUMN orders.total IS 'What is to be paid, in minor units; this and the other amounts are sums of the shares''';
COMMENT ON COLUMN orders.credited IS 'What of the total is not to be paid any more, in minor units';
COMMENT ON COLUMN orders.rounding IS 'What cash was rounded by, in minor units';
COMMENT ON COLUMN orders.paid IS 'What was taken, in minor units';
COMMENT ON COLUMN orders.refunded IS 'What of it was given back, in minor units';
COMMENT ON COLUMN orders.total_due IS 'What is still to be paid, in minor units';
COMMENT ON COLUMN orders.refund_due IS 'What is still to be given back, in minor units';
COMMENT ON COLUMN orders.payment_method IS 'The payment gateway';
COMMENT ON COLUMN orders.document IS 'What nobody filters by: lines (sku, vendor, title, quantity, unit_price, line_total, credited, credited_amount)';
COMMENT ON COLUMN orders.version IS 'The version of the order this row shows';

ALTER TABLE new_sub_orders RENAME TO sub_orders;
ALTER TABLE sub_orders ADD CONSTRAINT sub_orders_pkey PRIMARY KEY (id);
ALTER TABLE sub_orders ADD CONSTRAINT one_share_per_vendor UNIQUE (order_id, vendor_id);
CREATE INDEX sub_orders_of_vendor ON sub_orders (vendor_id, placed_at DESC, order_id DESC);
COMMENT ON TABLE sub_orders IS 'Each vendor''s share of an order';
COMMENT ON COLUMN sub_orders.position IS 'Its place within the order, from 0';
COMMENT ON COLUMN sub_orders.total IS 'What is to be paid for it, in minor units; the other amounts are as those of orders';
COMMENT ON COLUMN sub_orders.total_due IS 'total - credited + rounding - (paid - refunded) where that is above 0';
COMMENT ON COLUMN sub_orders.refund_due IS 'The same where it is below 0';
COMMENT ON COLUMN sub_orders.placed_at IS 'When the order was placed';

-- For queries by hand.
CREATE VIEW order_lines AS
SELECT orders.id AS order_id, line.sku AS sku_id, line.vendor AS vendor_id, line.number - 1 AS position, line.title,
    line.quantity, line.unit_price, orders.currency, line.line_total, COALESCE(line.credited, 0) AS credited,
    COALESCE(line.credited_amount, 0) AS credited_amount, orders.version
FROM orders CROSS JOIN LATERAL ROWS FROM (
    jsonb_to_recordset(orders.document -> 'lines') AS (sku uuid, vendor uuid, title text, quantity bigint, unit_price bigint,
        line_total bigint, credited bigint, credited_amount bigint)
    ) WITH ORDINALITY
    AS line (sku, vendor, title, quantity, unit_price, line_total, credited, credited_amount, number);
COMMENT ON VIEW order_lines IS 'What was ordered, by SKU';
CREATE VIEW payments AS
SELECT id AS order_id, payment_method AS method, payment_status AS status, currency, paid AS captured, refunded, version
FROM orders;
COMMENT ON VIEW payments IS 'How each order''s payment stands';

-- As before; what is checked of an order is another. A share's lines are in its order's document.
CREATE OR REPLACE FUNCTION haat_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    -- Two transactions check one after the other, so that the second sees what the first has committed: each alone may be sound. (Not so for
    -- one that is REPEATABLE READ: it sees what it saw at its beginning.)
    PERFORM pg_advisory_xact_lock(1751212404, 5);
    EXECUTE 'DELETE FROM unchecked WHERE number = $1' USING NEW.number;
    EXECUTE CASE NEW.what
        WHEN 'orders' THEN $query$
            SELECT verdict.broken, checked.id,
                format('order %s says %s, its lines %s, its shares %s', checked.id, head.figures, lines.figures, shares.figures)
                    AS figures
            FROM unnest($1) AS checked (id)
                LEFT JOIN LATERAL (
                    SELECT document, ARRAY[total, credited] AS of_lines,
                        ARRAY[total, credited, rounding, paid, refunded, total_due, refund_due] AS figures
                    FROM orders WHERE orders.id = checked.id OFFSET 0) AS head ON true
                CROSS JOIN LATERAL (
                    SELECT ARRAY[COALESCE(sum(line_total), 0), COALESCE(sum(credited_amount), 0)] AS figures,
                        array_agg(vendor) AS vendors, min(quantity) AS quantity,
                        bool_and(COALESCE(line_total = quantity * unit_price, false)) AS multiply
                    FROM jsonb_to_recordset(head.document -> 'lines')
                        AS line (vendor uuid, quantity bigint, unit_price bigint, line_total bigint, credited_amount bigint)
                    ) AS lines
                CROSS JOIN LATERAL (
                    SELECT ARRAY[COALESCE(sum(total), 0), COALESCE(sum(credited), 0), COALESCE(sum(rounding), 0), COALESCE(sum(paid), 0),
                            COALESCE(sum(refunded), 0), COALESCE(sum(total_due), 0), COALESCE(sum(refund_due), 0)] AS figures,
                        array_agg(vendor_id) AS vendors
                    FROM sub_orders WHERE order_id = checked.id) AS shares
                CROSS JOIN LATERAL (
                    SELECT CASE
                        WHEN head.figures IS NULL AND shares.vendors IS NOT NULL THEN 'sub_orders_order_id_fkey'
                        WHEN head.figures IS NULL THEN NULL
                        WHEN NOT (lines.vendors <@ COALESCE(shares.vendors, '{}')) THEN 'line_of_a_share'
                        WHEN lines.quantity <= 0 THEN 'quantity_positive'
                        WHEN NOT lines.multiply THEN 'line_total_multiplies'
                        WHEN head.of_lines <> lines.figures::bigint[] OR head.figures <> shares.figures::bigint[] THEN 'order_adds_up'
                    END AS broken) AS verdict
            WHERE verdict.broken IS NOT NULL
            -- Rows without their order are told first.
            ORDER BY verdict.broken <> 'sub_orders_order_id_fkey', verdict.broken = 'order_adds_up', verdict.broken, checked.id
            LIMIT 1 $query$
        WHEN 'products of vendors' THEN $query$
            SELECT 'products_vendor_id_fkey' AS broken, child.id, NULL AS figures
            FROM unnest($1) AS parent (id)
                CROSS JOIN LATERAL (SELECT id FROM products WHERE vendor_id = parent.id LIMIT 1) AS child
                LEFT JOIN LATERAL (SELECT true AS is_there FROM vendors WHERE vendors.id = parent.id OFFSET 0) AS found ON true
            WHERE found.is_there IS NULL
            LIMIT 1 $query$
        WHEN 'skus of products' THEN $query$
            SELECT 'skus_product_id_fkey' AS broken, child.id, NULL AS figures
            FROM unnest($1) AS parent (id)
                CROSS JOIN LATERAL (SELECT id FROM skus WHERE product_id = parent.id LIMIT 1) AS child
                LEFT JOIN LATERAL (SELECT true AS is_there FROM products WHERE products.id = parent.id OFFSET 0) AS found ON true
            WHERE found.is_there IS NULL
            LIMIT 1 $query$
    END INTO wrong USING NEW.ids;
    IF wrong.broken LIKE '%\_fkey' OR wrong.broken = 'line_of_a_share' THEN
        RAISE EXCEPTION 'violates foreign key constraint "%": %', wrong.broken, wrong.id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = wrong.broken;
    ELSIF wrong.broken IS NOT NULL THEN
        RAISE EXCEPTION '%: %', wrong.broken, wrong.figures
            USING ERRCODE = 'check_violation', CONSTRAINT = wrong.broken;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER rows_agree_inserted AFTER INSERT ON orders
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION haat_orders_touched('id');
CREATE TRIGGER rows_agree_updated AFTER UPDATE ON orders
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION haat_orders_touched('id');

-- A checkpoint writes an order with all its shares, and clears all tables together; it says so by haat.whole_orders. What it writes is checked
-- once, with the order itself. Whoever changes shares, or deletes, by hand is checked for each statement.
CREATE TRIGGER rows_agree_deleted AFTER DELETE ON orders
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT WHEN (current_setting('haat.whole_orders', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION haat_orders_touched('id');
CREATE TRIGGER rows_agree_inserted AFTER INSERT ON sub_orders
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT WHEN (current_setting('haat.whole_orders', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION haat_orders_touched('order_id');
CREATE TRIGGER rows_agree_updated AFTER UPDATE ON sub_orders
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT WHEN (current_setting('haat.whole_orders', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION haat_orders_touched('order_id');
CREATE TRIGGER rows_agree_deleted AFTER DELETE ON sub_orders
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT WHEN (current_setting('haat.whole_orders', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION haat_orders_touched('order_id');
CREATE TRIGGER rows_agree_emptied AFTER TRUNCATE ON orders
    FOR EACH STATEMENT EXECUTE FUNCTION haat_table_emptied('orders', 'SELECT id FROM orders UNION SELECT order_id FROM sub_orders');
CREATE TRIGGER rows_agree_emptied AFTER TRUNCATE ON sub_orders
    FOR EACH STATEMENT EXECUTE FUNCTION haat_table_emptied('orders', 'SELECT id FROM orders UNION SELECT order_id FROM sub_orders');
