-- Rows of services: where the last writer may win, or a constraint decides.

-- How often the rows of a service have changed: who writes says from which version, and whoever was second reads them anew.
CREATE TABLE service_versions (
    service text PRIMARY KEY,
    version bigint NOT NULL
);
COMMENT ON TABLE service_versions IS 'How often the rows of a service have changed';

-- Answers under idempotency keys, each written with what it tells of.
CREATE TABLE kept_answers (
    key uuid PRIMARY KEY,
    body uuid NOT NULL,
    status bigint NOT NULL,
    answer text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX kept_answers_by_age ON kept_answers (at);
COMMENT ON TABLE kept_answers IS 'Answers of services under idempotency keys';
COMMENT ON COLUMN kept_answers.key IS 'Whose key it is, for which method and path, as a hash';
COMMENT ON COLUMN kept_answers.body IS 'What was asked, as a hash';

CREATE TABLE categories (
    id uuid PRIMARY KEY,
    parent_id uuid REFERENCES categories (id),
    name text NOT NULL,
    name_folded text NOT NULL,
    tax_category text,
    created_at timestamptz NOT NULL,
    CHECK (parent_id <> id)
);
-- Siblings are told apart by their names.
CREATE UNIQUE INDEX categories_by_name
    ON categories (COALESCE(parent_id, '00000000-0000-0000-0000-000000000000'), name_folded);
CREATE INDEX categories_by_parent ON categories (parent_id);
INSERT INTO service_versions (service, version) VALUES ('categories', 0);
COMMENT ON TABLE categories IS 'The tree of categories';
