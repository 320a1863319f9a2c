-- Of two changes of one address at once the second is decided anew.
ALTER TABLE addresses ADD COLUMN version bigint NOT NULL DEFAULT 1;
