-- Coupons, for lists of them and for the catalogue cache, which begins with them. What nobody filters by is a JSON text.

CREATE TABLE coupons (
    id uuid NOT NULL PRIMARY KEY,
    vendor_id uuid,
    created_at timestamptz NOT NULL,
    document text NOT NULL,
    version bigint NOT NULL,
    shape bigint NOT NULL
);
CREATE INDEX coupons_by_age ON coupons (created_at DESC, id DESC);
CREATE INDEX coupons_of_vendor ON coupons (vendor_id, created_at DESC, id DESC);
INSERT INTO remaking (kind, complete, aim) VALUES ('coupon', 1, 1);
