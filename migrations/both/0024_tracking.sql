-- What couriers tell of parcels: each event once, by the courier's own name of it. Of some of them the parcel's order hears, by a job.
-- The number counts the events of a parcel in the order in which they came, so that two that come at once are not both the last that there may be.
CREATE TABLE tracking_events (
    shipment uuid NOT NULL,
    event text NOT NULL,
    number bigint NOT NULL,
    courier text NOT NULL,
    order_id uuid NOT NULL,
    status text NOT NULL,
    at timestamptz NOT NULL,
    told text NOT NULL,
    job_id uuid,
    came_at timestamptz NOT NULL,
    PRIMARY KEY (shipment, event),
    UNIQUE (shipment, number)
);
CREATE UNIQUE INDEX tracking_events_of_job ON tracking_events (job_id) WHERE job_id IS NOT NULL;
