-- Lists of orders can be filtered by status: each such list is read from this index in its own order. What counts orders by status reads it, too.

DROP INDEX orders_of_status;
CREATE INDEX orders_of_status ON orders (status, placed_at DESC, id DESC);
