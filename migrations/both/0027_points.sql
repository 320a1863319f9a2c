-- By what a customer's points are multiplied, of somebody who is or was in a tier.
ALTER TABLE customers ADD COLUMN multiplier bigint;
-- How many points an order is to earn yet: NULL of one that earns none.
ALTER TABLE orders ADD COLUMN points_pending bigint;
CREATE INDEX orders_with_points_pending ON orders (customer_id) WHERE points_pending IS NOT NULL;
