-- How a catalogue is mended and searched. What stands here of a product and a SKU follows from what their vendor gives to the next checkpoint: a server
-- that opens the store makes all such rows anew before it takes requests.

ALTER TABLE vendors ADD COLUMN status text NOT NULL DEFAULT 'active';
CREATE INDEX vendors_suspended ON vendors (id) WHERE status = 'suspended';
COMMENT ON COLUMN vendors.status IS 'active, or suspended by the shop''s staff';

ALTER TABLE skus ADD COLUMN status text NOT NULL DEFAULT 'active';
COMMENT ON COLUMN skus.status IS 'active; archived when it is or its product is';

-- Words have one form already when they come here: they are no text that the store would have to know a language of.
ALTER TABLE products
    ADD COLUMN status text NOT NULL DEFAULT 'active',
    ADD COLUMN price_minor bigint,
    ADD COLUMN currency text,
    ADD COLUMN in_stock bigint NOT NULL DEFAULT 0,
    ADD COLUMN words text NOT NULL DEFAULT '',
    ADD COLUMN found_by tsvector GENERATED ALWAYS AS (array_to_tsvector(string_to_array(words, ' '))) STORED;
CREATE INDEX products_found ON products USING gin (found_by) WITH (fastupdate = off);
CREATE INDEX products_by_price ON products (price_minor, id) WHERE status = 'active' AND price_minor IS NOT NULL;
CREATE INDEX products_in_stock ON products (created_at DESC, id DESC) WHERE status = 'active' AND in_stock = 1;
COMMENT ON COLUMN products.status IS 'active, or archived by its vendor';
COMMENT ON COLUMN products.price_minor IS 'The least list price among its SKUs that are for sale, in minor units';
COMMENT ON COLUMN products.currency IS 'The currency of that';
COMMENT ON COLUMN products.in_stock IS '1 when there are pieces of a SKU that is for sale, else 0';
COMMENT ON COLUMN products.words IS 'The words by which it is found, in their one form, with blanks between them';
COMMENT ON COLUMN products.found_by IS 'The same words, as they are looked for';
