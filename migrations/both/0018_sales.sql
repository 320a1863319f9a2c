-- Sales of vendors. What nobody filters by stands in the document: the terms, when it was cancelled, and what was taken of each item.
CREATE TABLE sales (
    id uuid NOT NULL PRIMARY KEY,
    vendor_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    document jsonb NOT NULL,
    version bigint NOT NULL,
    shape bigint NOT NULL
);
CREATE INDEX sales_of_vendor ON sales (vendor_id);
