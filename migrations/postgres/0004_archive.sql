-- Old frames may be moved to an archive.

ALTER TABLE partition ADD COLUMN base_seq bigint NOT NULL DEFAULT 0 CHECK (base_seq >= 0);
COMMENT ON COLUMN partition.base_seq IS 'Frames up to this one may be gone: an archive holds them';
