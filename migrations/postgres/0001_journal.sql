-- The journal, who owns its partitions, and the cached states of entities.

CREATE TABLE meta (
    key text PRIMARY KEY,
    value text NOT NULL
);
COMMENT ON TABLE meta IS 'What was fixed when the store was made';

CREATE TABLE partition (
    id smallint PRIMARY KEY CHECK (id >= 0),
    epoch bigint NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    owner text,
    owner_until timestamptz NOT NULL DEFAULT 'epoch',
    checkpoint_seq bigint NOT NULL DEFAULT 0 CHECK (checkpoint_seq >= 0)
) WITH (fillfactor = 20);
COMMENT ON TABLE partition IS 'Slices of all entities: the unit of ownership and of recovery';
COMMENT ON COLUMN partition.epoch IS 'The owner''s term; a newer one fences the older owner';
COMMENT ON COLUMN partition.owner IS 'Who took it last';
COMMENT ON COLUMN partition.owner_until IS 'Until when the owner may answer reads without asking the journal';
COMMENT ON COLUMN partition.checkpoint_seq IS 'Snapshots and read tables hold everything up to this frame';

CREATE TABLE journal (
    partition smallint NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    epoch bigint NOT NULL,
    at timestamptz NOT NULL,
    batch uuid NOT NULL,
    records integer NOT NULL CHECK (records >= 0),
    codec smallint NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (partition, seq)
);
-- The writer compresses what is worth it.
ALTER TABLE journal ALTER COLUMN payload SET STORAGE EXTERNAL;
COMMENT ON TABLE journal IS 'The append-only log of frames: the only source of truth';
COMMENT ON COLUMN journal.seq IS 'Dense per partition, from 1';
COMMENT ON COLUMN journal.epoch IS 'The term of the owner that wrote it';
COMMENT ON COLUMN journal.batch IS 'The same in all frames of one commit';
COMMENT ON COLUMN journal.records IS 'Records in the payload; 0 marks the beginning of a term';
COMMENT ON COLUMN journal.codec IS '0: JSON lines; 1: JSON lines in an LZ4 block';

CREATE TABLE snapshot (
    kind text COLLATE "C" NOT NULL,
    entity uuid NOT NULL,
    part text COLLATE "C" NOT NULL,
    partition smallint NOT NULL,
    version bigint NOT NULL,
    wake_at timestamptz,
    state bytea NOT NULL,
    PRIMARY KEY (kind, entity, part)
) WITH (fillfactor = 85);
CREATE INDEX snapshot_wake_at ON snapshot (wake_at) WHERE wake_at IS NOT NULL;
COMMENT ON TABLE snapshot IS 'Entity states at one version: a cache of the journal';
COMMENT ON COLUMN snapshot.part IS 'Empty for the head; large entities have more parts';
COMMENT ON COLUMN snapshot.wake_at IS 'When the entity must be in memory (head only)';
COMMENT ON COLUMN snapshot.state IS 'JSON in UTF-8';
