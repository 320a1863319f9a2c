-- On what terms a SKU is sold, beside its price: JSON; NULL where there are none, as in all rows from before.
ALTER TABLE skus ADD COLUMN terms text;
