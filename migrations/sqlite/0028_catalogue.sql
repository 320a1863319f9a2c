-- How a catalogue is mended and searched. What stands here of a product and a SKU follows from what their vendor gives to the next checkpoint: a server
-- that opens the store makes all such rows anew before it takes requests.

-- active, or suspended by the shop's staff
ALTER TABLE vendors ADD COLUMN status TEXT NOT NULL DEFAULT 'active';
CREATE INDEX vendors_suspended ON vendors (id) WHERE status = 'suspended';

-- active; archived when it is or its product is
ALTER TABLE skus ADD COLUMN status TEXT NOT NULL DEFAULT 'active';

-- active, or archived by its vendor
ALTER TABLE products ADD COLUMN status TEXT NOT NULL DEFAULT 'active';
-- The least list price among its SKUs that are for sale, in minor units, and its currency
ALTER TABLE products ADD COLUMN price_minor INTEGER;
ALTER TABLE products ADD COLUMN currency TEXT;
-- 1 when there are pieces of a SKU that is for sale, else 0
ALTER TABLE products ADD COLUMN in_stock INTEGER NOT NULL DEFAULT 0;
-- The words by which it is found, in their one form, with blanks between them
ALTER TABLE products ADD COLUMN words TEXT NOT NULL DEFAULT '';
CREATE INDEX products_by_price ON products (price_minor, id) WHERE status = 'active' AND price_minor IS NOT NULL;
CREATE INDEX products_in_stock ON products (created_at DESC, id DESC) WHERE status = 'active' AND in_stock = 1;

-- Words have one form already when they come here, with blanks between them. So the simplest tokenizer does: to it all is a letter that is not ASCII.
-- VACUUM gives rows without a number of their own new ones: each product has one here.
CREATE TABLE searched_products (
    number INTEGER PRIMARY KEY,
    product_id BLOB NOT NULL UNIQUE
) STRICT;
CREATE VIRTUAL TABLE product_words USING fts5 (
    said, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii', prefix = '2 3 4');
INSERT INTO searched_products (product_id) SELECT id FROM products;

-- These run for each row, unlike all else that checkpoints write: a product is written when it is changed, not when it is sold.
CREATE TRIGGER products_found AFTER INSERT ON products BEGIN
    INSERT INTO searched_products (product_id) VALUES (new.id);
    INSERT INTO product_words (rowid, said) SELECT number, new.words FROM searched_products WHERE product_id = new.id;
END;
CREATE TRIGGER products_found_anew AFTER UPDATE OF words ON products WHEN old.words IS NOT new.words BEGIN
    DELETE FROM product_words WHERE rowid = (SELECT number FROM searched_products WHERE product_id = new.id);
    INSERT INTO product_words (rowid, said) SELECT number, new.words FROM searched_products WHERE product_id = new.id;
END;
CREATE TRIGGER products_found_no_more AFTER DELETE ON products BEGIN
    DELETE FROM product_words WHERE rowid = (SELECT number FROM searched_products WHERE product_id = old.id);
    DELETE FROM searched_products WHERE product_id = old.id;
END;
