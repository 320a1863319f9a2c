-- What waits for a vendor: its shares by how they stand, its parcels, and what buyers send back. Parcels and returns are rows of the orders that have any.
-- How many units of a share that is on its way in part are left to pack, and since when nothing of it is packed that should be: NULL of most.
ALTER TABLE sub_orders ADD COLUMN to_pack bigint;
ALTER TABLE sub_orders ADD COLUMN overdue_since bigint;
CREATE INDEX sub_orders_of_vendor_by_status ON sub_orders (vendor_id, status, placed_at DESC, order_id DESC);
CREATE INDEX sub_orders_overdue ON sub_orders (overdue_since) WHERE overdue_since IS NOT NULL;

CREATE TABLE shipments (
    id uuid NOT NULL PRIMARY KEY,
    order_id uuid NOT NULL,
    vendor_id uuid NOT NULL,
    status text NOT NULL,
    placed_at timestamptz NOT NULL,
    made_at timestamptz NOT NULL,
    currency text NOT NULL,
    courier text NOT NULL,
    tracking_number text,
    -- What its courier has collected and not handed on, fee and all, in minor units: NULL where there is nothing of that.
    cash_open bigint,
    document jsonb NOT NULL,
    version bigint NOT NULL,
    shape bigint NOT NULL
);
CREATE INDEX shipments_by_tracking ON shipments (tracking_number) WHERE tracking_number IS NOT NULL;
CREATE INDEX shipments_with_cash ON shipments (made_at DESC, id DESC) WHERE cash_open IS NOT NULL;
CREATE INDEX shipments_of_order ON shipments (order_id);
CREATE INDEX shipments_of_vendor ON shipments (vendor_id, made_at DESC, id DESC);
CREATE INDEX shipments_of_vendor_by_status ON shipments (vendor_id, status, made_at DESC, id DESC);

CREATE TABLE returns (
    id uuid NOT NULL PRIMARY KEY,
    order_id uuid NOT NULL,
    vendor_id uuid NOT NULL,
    status text NOT NULL,
    placed_at timestamptz NOT NULL,
    made_at timestamptz NOT NULL,
    document jsonb NOT NULL,
    version bigint NOT NULL,
    shape bigint NOT NULL
);
CREATE INDEX returns_of_order ON returns (order_id);
CREATE INDEX returns_of_vendor ON returns (vendor_id, made_at DESC, id DESC);
CREATE INDEX returns_of_vendor_by_status ON returns (vendor_id, status, made_at DESC, id DESC);
