-- Bills: what orders come to beside lines, and the tables by which that is reckoned.

-- The tables by which bills are made, each whole in one row: the shop's taxes, and each vendor's methods of shipping.
CREATE TABLE price_tables (
    kind text NOT NULL,
    owner uuid NOT NULL,
    version bigint NOT NULL,
    document text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (kind, owner)
);
INSERT INTO service_versions (service, version) VALUES ('price_tables', 0);
COMMENT ON TABLE price_tables IS 'The tables by which bills are made';
COMMENT ON COLUMN price_tables.kind IS 'tax or shipping';
COMMENT ON COLUMN price_tables.owner IS 'The vendor, of methods of shipping; zero for taxes';
COMMENT ON COLUMN orders.document IS 'What nobody filters by: lines (sku, vendor, title, quantity, unit_price, line_total, credited, credited_amount, billed) and the bill beside them';

-- As before, but that an order may come to more or to less than quantity times price: its lines to what is payable for them, and what is to be paid
-- beside them.
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
                    SELECT
                        ARRAY[COALESCE(sum(COALESCE((billed ->> 'payable')::bigint, line_total)), 0)
                                + COALESCE((head.document -> 'bill' ->> 'besides')::bigint, 0),
                            COALESCE(sum(credited_amount), 0)
                                + COALESCE((head.document -> 'bill' ->> 'besides_credited')::bigint, 0)] AS figures,
                        array_agg(vendor) AS vendors, min(quantity) AS quantity,
                        bool_and(COALESCE(line_total = quantity * unit_price, false)) AS multiply
                    FROM jsonb_to_recordset(head.document -> 'lines')
                        AS line (vendor uuid, quantity bigint, unit_price bigint, line_total bigint, credited_amount bigint,
                            billed jsonb)
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
