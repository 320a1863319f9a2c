-- What the world must merely hear of. A row is written in the transaction of what it follows from, and its id follows from that, too: it is there
-- once. It names what it is about and holds no personal data.
CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    target text NOT NULL,
    state text NOT NULL,
    about_kind text NOT NULL,
    about uuid NOT NULL,
    version bigint NOT NULL,
    tries bigint NOT NULL,
    made_at timestamptz NOT NULL,
    next_at timestamptz,
    epoch bigint,
    note text
);
-- Those that wait for their time, those that a worker is at, and those that have ended: each job is in one of these indexes.
CREATE INDEX jobs_waiting ON jobs (target, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX jobs_under_way ON jobs (epoch) WHERE epoch IS NOT NULL;
CREATE INDEX jobs_ended ON jobs (state, made_at, id) WHERE next_at IS NULL AND epoch IS NULL;
COMMENT ON TABLE jobs IS 'What is to be done outside, and how it stands';
COMMENT ON COLUMN jobs.target IS 'Who is called for it';
COMMENT ON COLUMN jobs.version IS 'The version of what it is about that made it; 0 where no record did';
COMMENT ON COLUMN jobs.next_at IS 'When it is tried, while it waits';
COMMENT ON COLUMN jobs.epoch IS 'The term of the node that is at it';
COMMENT ON COLUMN jobs.note IS 'What has come of the last try';
