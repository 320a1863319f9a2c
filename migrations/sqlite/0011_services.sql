-- Rows of services: where the last writer may win, or a constraint decides.

-- How often the rows of a service have changed: who writes says from which version, and whoever was second reads them anew.
CREATE TABLE service_versions (
    service TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT;

-- Answers under idempotency keys, each written with what it tells of.
CREATE TABLE kept_answers (
    key BLOB PRIMARY KEY,
    body BLOB NOT NULL,
    status INTEGER NOT NULL,
    answer TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX kept_answers_by_age ON kept_answers (at);

CREATE TABLE categories (
    id BLOB PRIMARY KEY,
    parent_id BLOB REFERENCES categories (id),
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    tax_category TEXT,
    created_at INTEGER NOT NULL,
    CHECK (parent_id <> id)
) STRICT;
-- Siblings are told apart by their names.
CREATE UNIQUE INDEX categories_by_name ON categories (COALESCE(parent_id, x''), name_folded);
INSERT INTO service_versions (service, version) VALUES ('categories', 0);
