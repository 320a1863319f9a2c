-- What reads the journal behind the log writer: how far each has come in each partition. It is moved in the transaction of what was made of the
-- frames up to there, from the place where it stood: whoever finds it elsewhere writes nothing.
CREATE TABLE follower_cursor (
    follower TEXT NOT NULL,
    partition INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (follower, partition)
) STRICT;

-- What a follower could not read, and left out.
CREATE TABLE follower_skipped (
    follower TEXT NOT NULL,
    kind TEXT NOT NULL,
    entity BLOB NOT NULL,
    version INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (follower, kind, entity, version)
) STRICT;

CREATE TABLE stock_changes (
    vendor_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    sku_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    delta INTEGER NOT NULL,
    reason TEXT NOT NULL,
    by_kind TEXT,
    order_id BLOB,
    PRIMARY KEY (vendor_id, version, position)
) STRICT;
CREATE INDEX stock_changes_of_sku ON stock_changes (sku_id, version DESC, position DESC);
