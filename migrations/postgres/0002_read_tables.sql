-- The read tables: entity states as rows, for queries and reports. They follow the journal by seconds. Their constraints are a
-- second, independent check on the engine: an entity whose rows they refuse is listed in refused_rows.
-- Amounts are whole minor units (paisa, cents) of the currency beside them.

CREATE TABLE vendors (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    version bigint NOT NULL
);
COMMENT ON TABLE vendors IS 'Who sells';
COMMENT ON COLUMN vendors.version IS 'The version of the vendor this row shows';

CREATE TABLE products (
    id uuid PRIMARY KEY,
    vendor_id uuid NOT NULL REFERENCES vendors (id) DEFERRABLE INITIALLY DEFERRED,
    title text NOT NULL,
    title_folded text NOT NULL,
    description text,
    category text,
    created_at timestamptz NOT NULL,
    sku_ids uuid[] NOT NULL,
    version bigint NOT NULL
);
CREATE INDEX products_newest ON products (created_at DESC, id DESC);
CREATE INDEX products_of_vendor ON products (vendor_id, created_at DESC, id DESC);
CREATE INDEX products_of_category ON products (category, created_at DESC, id DESC) WHERE category IS NOT NULL;
COMMENT ON TABLE products IS 'What vendors describe and sell as one or more SKUs';
COMMENT ON COLUMN products.title_folded IS 'The title in lower case, for searching';
COMMENT ON COLUMN products.sku_ids IS 'Its SKUs in the vendor''s order';
COMMENT ON COLUMN products.version IS 'The version of the vendor this row shows';

CREATE TABLE skus (
    id uuid PRIMARY KEY,
    vendor_id uuid NOT NULL,
    product_id uuid NOT NULL REFERENCES products (id) DEFERRABLE INITIALLY DEFERRED,
    code text NOT NULL,
    title text NOT NULL,
    price_minor bigint NOT NULL CONSTRAINT price_not_negative CHECK (price_minor >= 0),
    currency char(3) NOT NULL,
    received bigint NOT NULL,
    on_hand bigint NOT NULL CONSTRAINT on_hand_not_negative CHECK (on_hand >= 0),
    held bigint NOT NULL CONSTRAINT held_not_negative CHECK (held >= 0),
    sold bigint GENERATED ALWAYS AS (received - on_hand) STORED,
    available bigint GENERATED ALWAYS AS (on_hand - held) STORED,
    version bigint NOT NULL,
    CONSTRAINT nothing_held_that_is_not_there CHECK (held <= on_hand),
    CONSTRAINT nothing_on_hand_that_never_came CHECK (received >= on_hand)
) WITH (fillfactor = 60);
CREATE INDEX skus_of_product ON skus (product_id);
CREATE INDEX skus_of_vendor ON skus (vendor_id);
COMMENT ON TABLE skus IS 'What is counted, priced and held';
COMMENT ON COLUMN skus.code IS 'The vendor''s own code';
COMMENT ON COLUMN skus.title IS 'The product''s title';
COMMENT ON COLUMN skus.price_minor IS 'Today''s price of one piece, in minor units';
COMMENT ON COLUMN skus.received IS 'Pieces that ever came in, less those taken out by hand: on_hand + sold';
COMMENT ON COLUMN skus.on_hand IS 'Pieces in the house';
COMMENT ON COLUMN skus.held IS 'Pieces held for orders that are not paid yet';
COMMENT ON COLUMN skus.sold IS 'received - on_hand';
COMMENT ON COLUMN skus.available IS 'on_hand - held';
COMMENT ON COLUMN skus.version IS 'The version of the vendor this row shows';

CREATE TABLE orders (
    id uuid PRIMARY KEY,
    cart_id uuid NOT NULL,
    attempt bigint NOT NULL CHECK (attempt > 0),
    customer_id uuid,
    status text NOT NULL CONSTRAINT order_status_known CHECK (status IN (
        'placed', 'awaiting_payment', 'paid', 'fulfilling', 'completed',
        'rejected', 'payment_failed', 'cancelled', 'expired', 'refunded')),
    currency char(3) NOT NULL,
    total bigint NOT NULL CHECK (total >= 0),
    cancelled bigint NOT NULL CHECK (cancelled >= 0),
    paid bigint NOT NULL CHECK (paid >= 0),
    refunded bigint NOT NULL CHECK (refunded >= 0),
    total_due bigint NOT NULL CONSTRAINT total_due_not_negative CHECK (total_due >= 0),
    placed_at timestamptz NOT NULL,
    payment_due_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT total_due_adds_up CHECK (total_due = total - cancelled - (paid - refunded)),
    CONSTRAINT nothing_refunded_that_was_not_paid CHECK (refunded <= paid),
    CONSTRAINT nothing_due_at_the_end CHECK (total_due = 0 OR status IN ('placed', 'awaiting_payment'))
) WITH (fillfactor = 85);
CREATE INDEX orders_newest ON orders (placed_at DESC, id DESC);
CREATE INDEX orders_of_cart ON orders (cart_id, placed_at DESC, id DESC);
CREATE INDEX orders_of_customer ON orders (customer_id, placed_at DESC, id DESC) WHERE customer_id IS NOT NULL;
COMMENT ON TABLE orders IS 'Orders: what was bought at one checkout';
COMMENT ON COLUMN orders.attempt IS 'The number of the cart''s checkout, from 1';
COMMENT ON COLUMN orders.customer_id IS 'Whose; null for a guest''s';
COMMENT ON COLUMN orders.total IS 'The sum of the lines, in minor units';
COMMENT ON COLUMN orders.cancelled IS 'What of the total was cancelled, in minor units';
COMMENT ON COLUMN orders.paid IS 'What was taken, in minor units';
COMMENT ON COLUMN orders.refunded IS 'What was given back, in minor units';
COMMENT ON COLUMN orders.total_due IS 'total - cancelled - (paid - refunded), in minor units; 0 on paid and on ended orders';
COMMENT ON COLUMN orders.version IS 'The version of the order this row shows';

CREATE TABLE payments (
    order_id uuid PRIMARY KEY REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED,
    method text NOT NULL,
    status text NOT NULL CONSTRAINT payment_status_known CHECK (status IN (
        'none', 'pending', 'captured', 'declined', 'voided', 'refunded')),
    currency char(3) NOT NULL,
    captured bigint NOT NULL CHECK (captured >= 0),
    refunded bigint NOT NULL CHECK (refunded >= 0 AND refunded <= captured),
    version bigint NOT NULL
) WITH (fillfactor = 85);
COMMENT ON TABLE payments IS 'How each order''s payment stands';
COMMENT ON COLUMN payments.method IS 'The payment gateway';
COMMENT ON COLUMN payments.captured IS 'What was taken, in minor units';
COMMENT ON COLUMN payments.refunded IS 'What was given back, in minor units';

CREATE TABLE sub_orders (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id) DEFERRABLE INITIALLY DEFERRED,
    vendor_id uuid NOT NULL,
    position integer NOT NULL,
    status text NOT NULL CONSTRAINT sub_order_status_known CHECK (status IN (
        'placed', 'held', 'rejected', 'paid', 'released')),
    currency char(3) NOT NULL,
    total bigint NOT NULL CHECK (total >= 0),
    placed_at timestamptz NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT one_share_per_vendor UNIQUE (order_id, vendor_id)
) WITH (fillfactor = 85);
CREATE INDEX sub_orders_of_vendor ON sub_orders (vendor_id, placed_at DESC, order_id DESC);
COMMENT ON TABLE sub_orders IS 'Each vendor''s share of an order';
COMMENT ON COLUMN sub_orders.position IS 'Its place within the order, from 0';
COMMENT ON COLUMN sub_orders.total IS 'The sum of its lines, in minor units';
COMMENT ON COLUMN sub_orders.placed_at IS 'When the order was placed';

CREATE TABLE order_lines (
    order_id uuid NOT NULL,
    sku_id uuid NOT NULL,
    vendor_id uuid NOT NULL,
    position integer NOT NULL,
    title text NOT NULL,
    quantity bigint NOT NULL CONSTRAINT quantity_positive CHECK (quantity > 0),
    unit_price bigint NOT NULL CHECK (unit_price >= 0),
    currency char(3) NOT NULL,
    line_total bigint NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (order_id, sku_id),
    CONSTRAINT line_of_a_share FOREIGN KEY (order_id, vendor_id) REFERENCES sub_orders (order_id, vendor_id)
        DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT line_total_multiplies CHECK (line_total = quantity * unit_price)
) WITH (fillfactor = 90);
CREATE INDEX order_lines_of_sku ON order_lines (sku_id);
COMMENT ON TABLE order_lines IS 'What was ordered, by SKU';
COMMENT ON COLUMN order_lines.position IS 'Its place within the order, from 0';
COMMENT ON COLUMN order_lines.title IS 'What it was called when it was ordered';
COMMENT ON COLUMN order_lines.unit_price IS 'The price of one piece, in minor units';
COMMENT ON COLUMN order_lines.line_total IS 'quantity * unit_price';

CREATE TABLE refused_rows (
    kind text COLLATE "C" NOT NULL,
    entity uuid NOT NULL,
    version bigint NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (kind, entity)
);
COMMENT ON TABLE refused_rows IS 'Entities whose newest rows a constraint refused: a bug to be looked at';
COMMENT ON COLUMN refused_rows.version IS 'The version whose rows were refused';

-- An order's lines and shares add up to it. Checked when the transaction ends, or when constraints are made immediate.
CREATE FUNCTION haat_check_order(checked uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    order_total bigint;
    lines_total numeric;
    shares_total numeric;
BEGIN
    SELECT total,
        (SELECT COALESCE(sum(line_total), 0) FROM order_lines WHERE order_id = checked),
        (SELECT COALESCE(sum(sub_orders.total), 0) FROM sub_orders WHERE order_id = checked)
    INTO order_total, lines_total, shares_total FROM orders WHERE id = checked;
    IF order_total <> lines_total OR order_total <> shares_total THEN
        RAISE EXCEPTION 'order_adds_up: order %: total %, lines %, shares %', checked, order_total, lines_total, shares_total
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_adds_up';
    END IF;
END
$$;

CREATE FUNCTION haat_order_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM haat_check_order(NEW.id);
    RETURN NULL;
END
$$;

CREATE FUNCTION haat_part_of_order_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM haat_check_order(OLD.order_id);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM haat_check_order(NEW.order_id);
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER order_adds_up AFTER INSERT OR UPDATE ON orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION haat_order_written();

-- A checkpoint writes an order with all its parts, and the order's own trigger checks it once: it need not be checked again for
-- each part. Whoever changes parts by hand is checked for each.
CREATE CONSTRAINT TRIGGER order_adds_up AFTER INSERT OR UPDATE OR DELETE ON sub_orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (current_setting('haat.whole_orders', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION haat_part_of_order_written();
CREATE CONSTRAINT TRIGGER order_adds_up AFTER INSERT OR UPDATE OR DELETE ON order_lines
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (current_setting('haat.whole_orders', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION haat_part_of_order_written();
