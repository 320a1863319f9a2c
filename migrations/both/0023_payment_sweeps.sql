-- Up to when a payment provider was asked which payments have changed since.
CREATE TABLE payment_sweeps (
    method text PRIMARY KEY,
    swept_to bigint NOT NULL
);
