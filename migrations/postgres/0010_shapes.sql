-- What rows an unchanged state gives may be another with a later version. Each row says by its shape in which it was written, so that what is of an
-- older one is found and remade of the snapshots, beside all that goes on. What is there is of the first.

-- In the order in which a checkpoint comes to them, so that neither waits for the other.
LOCK TABLE snapshot, vendors, products, skus, orders, sub_orders IN ACCESS EXCLUSIVE MODE;

ALTER TABLE vendors ADD COLUMN shape integer NOT NULL DEFAULT 1;
ALTER TABLE products ADD COLUMN shape integer NOT NULL DEFAULT 1;
ALTER TABLE skus ADD COLUMN shape integer NOT NULL DEFAULT 1;
ALTER TABLE orders ADD COLUMN shape integer NOT NULL DEFAULT 1;
ALTER TABLE sub_orders ADD COLUMN shape integer NOT NULL DEFAULT 1;

CREATE TABLE remaking (
    kind text COLLATE "C" PRIMARY KEY,
    complete bigint NOT NULL,
    aim bigint NOT NULL,
    reached uuid
);
INSERT INTO remaking (kind, complete, aim) VALUES ('order', 1, 1), ('vendor', 1, 1);
COMMENT ON COLUMN vendors.shape IS 'The shape of the rows of its kind when it was written';
COMMENT ON COLUMN products.shape IS 'The shape of the rows of its kind when it was written';
COMMENT ON COLUMN skus.shape IS 'The shape of the rows of its kind when it was written';
COMMENT ON COLUMN orders.shape IS 'The shape of the rows of its kind when it was written';
COMMENT ON COLUMN sub_orders.shape IS 'The shape of the rows of its kind when it was written';
COMMENT ON TABLE remaking IS 'How far the rows of each kind are remade in their newest shape';
COMMENT ON COLUMN remaking.complete IS 'Every row has this shape, or a newer one';
COMMENT ON COLUMN remaking.aim IS 'The shape they are remade in; the same as complete when all are';
COMMENT ON COLUMN remaking.reached IS 'The last entity of which the rows are remade, in the order of ids';
