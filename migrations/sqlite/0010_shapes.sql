-- What rows an unchanged state gives may be another with a later version. Each row says by its shape in which it was written, so that what is of an
-- older one is found and remade of the snapshots, beside all that goes on. What is there is of the first.

ALTER TABLE vendors ADD COLUMN shape INTEGER NOT NULL DEFAULT 1;
ALTER TABLE products ADD COLUMN shape INTEGER NOT NULL DEFAULT 1;
ALTER TABLE skus ADD COLUMN shape INTEGER NOT NULL DEFAULT 1;
ALTER TABLE orders ADD COLUMN shape INTEGER NOT NULL DEFAULT 1;
ALTER TABLE sub_orders ADD COLUMN shape INTEGER NOT NULL DEFAULT 1;

CREATE TABLE remaking (
    kind TEXT NOT NULL PRIMARY KEY,
    complete INTEGER NOT NULL,
    aim INTEGER NOT NULL,
    reached BLOB
) STRICT;
INSERT INTO remaking (kind, complete, aim) VALUES ('order', 1, 1), ('vendor', 1, 1);
