-- What an account is for, beside its role: the vendor whose people it is one of, and what it may do there (the name of a role) or for the shop (a
-- list of permissions). An account that was invited has no password until its owner sets one.
ALTER TABLE accounts ADD COLUMN vendor_id uuid;
ALTER TABLE accounts ADD COLUMN powers text NOT NULL DEFAULT '';

CREATE INDEX accounts_of_vendor ON accounts (vendor_id, created_at, id) WHERE vendor_id IS NOT NULL;
CREATE INDEX accounts_invited ON accounts (reset_until) WHERE password_hash = '';
CREATE INDEX accounts_by_role ON accounts (role, created_at, id);
CREATE INDEX accounts_by_age ON accounts (created_at, id);
