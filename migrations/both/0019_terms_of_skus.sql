-- On what terms a SKU is sold, beside its price: JSON; NULL where there are none, as in all rows from before.
ALTER TABLE skus ADD COLUMN terms text;

-- Which prices a customer has, where anybody has ever said so. Before this nobody had others than everybody: no row is missing.
CREATE TABLE customers (
    id uuid NOT NULL PRIMARY KEY,
    audience text NOT NULL,
    version bigint NOT NULL,
    shape integer NOT NULL
);
INSERT INTO remaking (kind, complete, aim) VALUES ('customer', 1, 1);
