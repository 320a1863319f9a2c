-- Bills: what orders come to beside lines, and the tables by which that is reckoned.

-- The tables by which bills are made, each whole in one row: the shop's taxes, and each vendor's methods of shipping.
CREATE TABLE price_tables (
    kind TEXT NOT NULL,
    owner BLOB NOT NULL,
    version INTEGER NOT NULL,
    document TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (kind, owner)
) STRICT;
INSERT INTO service_versions (service, version) VALUES ('price_tables', 0);
