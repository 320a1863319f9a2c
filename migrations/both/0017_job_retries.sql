-- Who had a job be tried anew, and why. It goes with its job.
CREATE TABLE job_retries (
    job_id uuid NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    at timestamptz NOT NULL,
    who text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX retries_of_job ON job_retries (job_id, at);
