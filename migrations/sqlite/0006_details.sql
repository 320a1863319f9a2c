-- Personal data of orders, beside the journal, so that they can be erased: a row of each sort under the order's id. It is written in the
-- transaction of the frame that begins the checkout. A body of NULL was erased. Nothing here may refuse a row for what it holds: then the frame
-- would be refused, too.
CREATE TABLE detail (
    entity BLOB NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    body BLOB,
    PRIMARY KEY (entity, name)
) STRICT;

-- By which the orders of an e-mail address are found: a hash with the store's own key.
ALTER TABLE orders ADD COLUMN mail_key BLOB;
CREATE INDEX orders_of_mail_key ON orders (mail_key, placed_at DESC, id DESC) WHERE mail_key IS NOT NULL;

-- The store's own key, in hexadecimal: made here, never changed.
INSERT INTO meta (key, value) VALUES ('store_key', lower(hex(randomblob(32))));
