-- Old frames may be moved to an archive.

-- Frames up to this one may be gone: an archive holds them.
ALTER TABLE partition ADD COLUMN base_seq INTEGER NOT NULL DEFAULT 0 CHECK (base_seq >= 0);
