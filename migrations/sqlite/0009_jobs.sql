-- What the world must merely hear of. A row is written in the transaction of what it follows from, and its id follows from that, too: it is there
-- once. It names what it is about and holds no personal data.
CREATE TABLE jobs (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    about_kind TEXT NOT NULL,
    about BLOB NOT NULL,
    version INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    made_at INTEGER NOT NULL,
    next_at INTEGER,
    epoch INTEGER,
    note TEXT
) STRICT;
-- Those that wait for their time, those that a worker is at, and those that have ended: each job is in one of these indexes.
CREATE INDEX jobs_waiting ON jobs (target, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX jobs_under_way ON jobs (epoch) WHERE epoch IS NOT NULL;
CREATE INDEX jobs_ended ON jobs (state, made_at, id) WHERE next_at IS NULL AND epoch IS NULL;
