-- What concerns several rows (orphans, sums) is checked for all rows of a statement at once, and planned anew each time. A foreign key and a
-- trigger for each row keep their plans for as long as the connection lives: one made while the tables were small reads the whole table for
-- each row, until someone analyzes it.

-- In the order in which a checkpoint comes to them, so that neither waits for the other.
LOCK TABLE snapshot, vendors, products, skus, orders, payments, sub_orders, order_lines IN ACCESS EXCLUSIVE MODE;

ALTER TABLE products DROP CONSTRAINT products_vendor_id_fkey;
ALTER TABLE skus DROP CONSTRAINT skus_product_id_fkey;
ALTER TABLE payments DROP CONSTRAINT payments_order_id_fkey;
ALTER TABLE sub_orders DROP CONSTRAINT sub_orders_order_id_fkey;
ALTER TABLE order_lines DROP CONSTRAINT line_of_a_share;
DROP TRIGGER order_adds_up ON orders;
DROP TRIGGER order_adds_up ON sub_orders;
DROP TRIGGER order_adds_up ON order_lines;
DROP FUNCTION haat_order_written();
DROP FUNCTION haat_part_of_order_written();
DROP FUNCTION haat_check_order(uuid);

-- A trigger that sees all rows of a statement cannot be deferred, and rows that belong together are written by several statements. So such a
-- trigger only notes what is to be checked, and the note's own trigger, which is deferred, checks it: when the transaction ends, or when
-- constraints are made immediate. Then the note is gone, too.
CREATE UNLOGGED TABLE unchecked (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what text NOT NULL,
    ids uuid[] NOT NULL
) WITH (toast_tuple_target = 8160);
ALTER TABLE unchecked ALTER COLUMN ids SET STORAGE EXTERNAL;
COMMENT ON TABLE unchecked IS 'What the transaction at hand must still check: empty for everyone else';
COMMENT ON COLUMN unchecked.what IS 'orders; products of these vendors; or skus of these products';

CREATE FUNCTION haat_note(what text, ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(ids) > 0 THEN
        INSERT INTO unchecked (what, ids) VALUES (haat_note.what, haat_note.ids);
    END IF;
END
$$;

-- Of orders and what belongs to them: the orders that the statement touched. The argument is the column with the order's id.
CREATE FUNCTION haat_orders_touched() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched uuid[];
    rows_of text := CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT %1$I AS id FROM added'
        WHEN 'DELETE' THEN 'SELECT %1$I AS id FROM removed'
        ELSE 'SELECT %1$I AS id FROM added UNION ALL SELECT %1$I FROM removed'
    END;
BEGIN
    EXECUTE format('SELECT array_agg(DISTINCT id) FROM (' || rows_of || ') AS touched', TG_ARGV[0]) INTO touched;
    PERFORM haat_note('orders', touched);
    RETURN NULL;
END
$$;

-- Of what refers to another row: the ids that were not referred to before. The arguments are what is to be checked, and the column.
CREATE FUNCTION haat_children_touched() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    parents uuid[];
    rows_of text := CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT DISTINCT %1$I AS id FROM added'
        ELSE 'SELECT %1$I AS id FROM added EXCEPT SELECT %1$I FROM removed'
    END;
BEGIN
    EXECUTE format('SELECT array_agg(id) FROM (' || rows_of || ') AS touched', TG_ARGV[1]) INTO parents;
    PERFORM haat_note(TG_ARGV[0], parents);
    RETURN NULL;
END
$$;

-- Of what is referred to: the ids that are gone.
CREATE FUNCTION haat_parents_touched() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    parents uuid[];
    rows_of text := CASE TG_OP
        WHEN 'DELETE' THEN 'SELECT id FROM removed'
        ELSE 'SELECT id FROM removed EXCEPT SELECT id FROM added'
    END;
BEGIN
    EXECUTE 'SELECT array_agg(id) FROM (' || rows_of || ') AS touched' INTO parents;
    PERFORM haat_note(TG_ARGV[0], parents);
    RETURN NULL;
END
$$;

-- A table that was emptied: all that refers to it. The arguments are what is to be checked, and a query for the ids.
CREATE FUNCTION haat_table_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ids uuid[];
BEGIN
    EXECUTE 'SELECT array_agg(id) FROM (' || TG_ARGV[1] || ') AS left_over (id)' INTO ids;
    PERFORM haat_note(TG_ARGV[0], ids);
    RETURN NULL;
END
$$;

-- Each id is looked up by itself (LATERAL with aggregates or OFFSET 0): what this costs depends on how many they are, and on the size of the
-- tables no more than an index does.
CREATE FUNCTION haat_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    -- Two transactions check one after the other, so that the second sees what the first has committed: each alone may be sound. (Not so for
    -- one that is REPEATABLE READ: it sees what it saw at its beginning.)
    PERFORM pg_advisory_xact_lock(1751212404, 5);
    EXECUTE 'DELETE FROM unchecked WHERE number = $1' USING NEW.number;
    EXECUTE CASE NEW.what
        WHEN 'orders' THEN $query$
            SELECT verdict.broken, checked.id, head.total, lines.total AS lines, shares.total AS shares
            FROM unnest($1) AS checked (id)
                LEFT JOIN LATERAL (
                    SELECT total FROM orders WHERE orders.id = checked.id OFFSET 0) AS head ON true
                CROSS JOIN LATERAL (
                    SELECT COALESCE(sum(line_total), 0) AS total, array_agg(vendor_id) AS vendors
                    FROM order_lines WHERE order_id = checked.id) AS lines
                CROSS JOIN LATERAL (
                    SELECT COALESCE(sum(sub_orders.total), 0) AS total, array_agg(vendor_id) AS vendors
                    FROM sub_orders WHERE order_id = checked.id) AS shares
                CROSS JOIN LATERAL (
                    SELECT CASE
                        WHEN NOT (lines.vendors <@ COALESCE(shares.vendors, '{}')) THEN 'line_of_a_share'
                        WHEN head.total IS NULL AND shares.vendors IS NOT NULL THEN 'sub_orders_order_id_fkey'
                        WHEN head.total IS NULL AND (SELECT count(*) FROM payments WHERE order_id = checked.id) > 0
                            THEN 'payments_order_id_fkey'
                        WHEN head.total <> lines.total OR head.total <> shares.total THEN 'order_adds_up'
                    END AS broken) AS verdict
            WHERE verdict.broken IS NOT NULL
            -- Rows without their order are told first.
            ORDER BY verdict.broken = 'order_adds_up', verdict.broken, checked.id
            LIMIT 1 $query$
        WHEN 'products of vendors' THEN $query$
            SELECT 'products_vendor_id_fkey' AS broken, child.id
            FROM unnest($1) AS parent (id)
                CROSS JOIN LATERAL (SELECT id FROM products WHERE vendor_id = parent.id LIMIT 1) AS child
                LEFT JOIN LATERAL (SELECT true AS is_there FROM vendors WHERE vendors.id = parent.id OFFSET 0) AS found ON true
            WHERE found.is_there IS NULL
            LIMIT 1 $query$
        WHEN 'skus of products' THEN $query$
            SELECT 'skus_product_id_fkey' AS broken, child.id
            FROM unnest($1) AS parent (id)
                CROSS JOIN LATERAL (SELECT id FROM skus WHERE product_id = parent.id LIMIT 1) AS child
                LEFT JOIN LATERAL (SELECT true AS is_there FROM products WHERE products.id = parent.id OFFSET 0) AS found ON true
            WHERE found.is_there IS NULL
            LIMIT 1 $query$
    END INTO wrong USING NEW.ids;
    IF wrong.broken = 'order_adds_up' THEN
        RAISE EXCEPTION 'order_adds_up: order %: total %, lines %, shares %', wrong.id, wrong.total, wrong.lines, wrong.shares
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_adds_up';
    ELSIF wrong.broken IS NOT NULL THEN
        RAISE EXCEPTION 'violates foreign key constraint "%": %', wrong.broken, wrong.id
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = wrong.broken;
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER rows_agree AFTER INSERT ON unchecked
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION haat_check();

CREATE TRIGGER rows_agree_updated AFTER UPDATE ON vendors
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION haat_parents_touched('products of vendors');
CREATE TRIGGER rows_agree_deleted AFTER DELETE ON vendors
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION haat_parents_touched('products of vendors');
CREATE TRIGGER rows_agree_emptied AFTER TRUNCATE ON vendors
    FOR EACH STATEMENT EXECUTE FUNCTION haat_table_emptied('products of vendors', 'SELECT DISTINCT vendor_id FROM products');

CREATE TRIGGER rows_agree_inserted AFTER INSERT ON products
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION haat_children_touched('products of vendors', 'vendor_id');
CREATE TRIGGER rows_agree_updated AFTER UPDATE ON products
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION haat_children_touched('products of vendors', 'vendor_id');
CREATE TRIGGER skus_agree_updated AFTER UPDATE ON products
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION haat_parents_touched('skus of products');
CREATE TRIGGER skus_agree_deleted AFTER DELETE ON products
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION haat_parents_touched('skus of products');
CREATE TRIGGER skus_agree_emptied AFTER TRUNCATE ON products
    FOR EACH STATEMENT EXECUTE FUNCTION haat_table_emptied('skus of products', 'SELECT DISTINCT product_id FROM skus');

CREATE TRIGGER rows_agree_inserted AFTER INSERT ON skus
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION haat_children_touched('skus of products', 'product_id');
CREATE TRIGGER rows_agree_updated AFTER UPDATE ON skus
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION haat_children_touched('skus of products', 'product_id');

CREATE TRIGGER rows_agree_inserted AFTER INSERT ON orders
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION haat_orders_touched('id');
CREATE TRIGGER rows_agree_updated AFTER UPDATE ON orders
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION haat_orders_touched('id');

-- A checkpoint writes an order with all that belongs to it, and clears all tables together; it says so by haat.whole_orders. What it writes is
-- checked once, with the order itself. Whoever changes parts, or deletes, by hand is checked for each statement.
CREATE TRIGGER rows_agree_deleted AFTER DELETE ON orders
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT WHEN (current_setting('haat.whole_orders', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION haat_orders_touched('id');
CREATE TRIGGER rows_agree_inserted AFTER INSERT ON payments
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT WHEN (current_setting('haat.whole_orders', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION haat_orders_touched('order_id');
CREATE TRIGGER rows_agree_updated AFTER UPDATE ON payments
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT WHEN (current_setting('haat.whole_orders', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION haat_orders_touched('order_id');
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
CREATE TRIGGER rows_agree_inserted AFTER INSERT ON order_lines
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT WHEN (current_setting('haat.whole_orders', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION haat_orders_touched('order_id');
CREATE TRIGGER rows_agree_updated AFTER UPDATE ON order_lines
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT WHEN (current_setting('haat.whole_orders', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION haat_orders_touched('order_id');
CREATE TRIGGER rows_agree_deleted AFTER DELETE ON order_lines
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT WHEN (current_setting('haat.whole_orders', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION haat_orders_touched('order_id');
CREATE TRIGGER rows_agree_emptied AFTER TRUNCATE ON orders
    FOR EACH STATEMENT EXECUTE FUNCTION haat_table_emptied('orders',
        'SELECT id FROM orders UNION SELECT order_id FROM payments UNION SELECT order_id FROM sub_orders UNION SELECT order_id FROM order_lines');
CREATE TRIGGER rows_agree_emptied AFTER TRUNCATE ON sub_orders
    FOR EACH STATEMENT EXECUTE FUNCTION haat_table_emptied('orders',
        'SELECT id FROM orders UNION SELECT order_id FROM payments UNION SELECT order_id FROM sub_orders UNION SELECT order_id FROM order_lines');
CREATE TRIGGER rows_agree_emptied AFTER TRUNCATE ON order_lines
    FOR EACH STATEMENT EXECUTE FUNCTION haat_table_emptied('orders',
        'SELECT id FROM orders UNION SELECT order_id FROM payments UNION SELECT order_id FROM sub_orders UNION SELECT order_id FROM order_lines');

-- States are JSON, which is read and written whole all the time: neither compressed nor moved out of their row up to a page. (Rows that are
-- there stay as they are until they are written again.)
ALTER TABLE snapshot ALTER COLUMN state SET STORAGE EXTERNAL;
ALTER TABLE snapshot SET (toast_tuple_target = 8160);
