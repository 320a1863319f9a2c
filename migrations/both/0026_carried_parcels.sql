-- Parcels that couriers' platforms carry, until the courier has told of their end: when something new was heard of each, when its courier was last
-- asked, and when it is asked next where nothing is heard.
CREATE TABLE carried_parcels (
    shipment uuid PRIMARY KEY,
    order_id uuid NOT NULL,
    name text NOT NULL,
    courier text NOT NULL,
    heard_at timestamptz NOT NULL,
    looked_at timestamptz NOT NULL,
    look_at timestamptz NOT NULL
);
CREATE INDEX carried_parcels_to_look_up ON carried_parcels (look_at, shipment);
CREATE INDEX carried_parcels_of_order ON carried_parcels (order_id);
CREATE INDEX carried_parcels_silent ON carried_parcels (heard_at, shipment);

-- Whether an order waits for a courier (1), for whoever gives money back (2), or for both (3): its jobs are put back from here, should one be missing.
ALTER TABLE orders ADD COLUMN outside bigint;
CREATE INDEX orders_outside ON orders (id) WHERE outside > 0;
