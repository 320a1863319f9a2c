-- The journal, who owns its partitions, and the cached states of entities.
-- Ids are the 16 bytes of a UUID, times are milliseconds since 1970-01-01T00:00:00Z, states are JSON.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE partition (
    id INTEGER PRIMARY KEY CHECK (id >= 0),
    epoch INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    owner TEXT,
    owner_until INTEGER NOT NULL DEFAULT 0,
    checkpoint_seq INTEGER NOT NULL DEFAULT 0 CHECK (checkpoint_seq >= 0)
) STRICT;

CREATE TABLE journal (
    partition INTEGER NOT NULL,
    seq INTEGER NOT NULL CHECK (seq > 0),
    epoch INTEGER NOT NULL,
    at INTEGER NOT NULL,
    batch BLOB NOT NULL,
    records INTEGER NOT NULL CHECK (records >= 0),
    codec INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (partition, seq)
) STRICT;

CREATE TABLE snapshot (
    kind TEXT NOT NULL,
    entity BLOB NOT NULL,
    part TEXT NOT NULL,
    partition INTEGER NOT NULL,
    version INTEGER NOT NULL,
    wake_at INTEGER,
    state BLOB NOT NULL,
    PRIMARY KEY (kind, entity, part)
) STRICT;
CREATE INDEX snapshot_wake_at ON snapshot (wake_at) WHERE wake_at IS NOT NULL;
