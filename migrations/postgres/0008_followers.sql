-- What reads the journal behind the log writer: how far each has come in each partition. It is moved in the transaction of what was made of the
-- frames up to there, from the place where it stood: whoever finds it elsewhere writes nothing.
CREATE TABLE follower_cursor (
    follower text NOT NULL,
    partition smallint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (follower, partition)
);
COMMENT ON TABLE follower_cursor IS 'How far each follower has read the journal';
COMMENT ON COLUMN follower_cursor.seq IS 'The last frame of the partition of which everything is made; an archive takes none behind it';

-- What a follower could not read, and left out.
CREATE TABLE follower_skipped (
    follower text NOT NULL,
    kind text NOT NULL,
    entity uuid NOT NULL,
    version bigint NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (follower, kind, entity, version)
);
COMMENT ON TABLE follower_skipped IS 'Records that a follower could not read';

CREATE TABLE stock_changes (
    vendor_id uuid NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    sku_id uuid NOT NULL,
    at timestamptz NOT NULL,
    delta bigint NOT NULL,
    reason text NOT NULL,
    by_kind text,
    order_id uuid,
    PRIMARY KEY (vendor_id, version, position)
);
CREATE INDEX stock_changes_of_sku ON stock_changes (sku_id, version DESC, position DESC);
COMMENT ON TABLE stock_changes IS 'What was done to the pieces of each SKU, and why';
COMMENT ON COLUMN stock_changes.version IS 'The version of the vendor at which it was done';
COMMENT ON COLUMN stock_changes.by_kind IS 'Who did it by hand';
COMMENT ON COLUMN stock_changes.order_id IS 'The order it was sold to';
