-- Where the owner of an account has things sent.
CREATE TABLE addresses (
    id uuid NOT NULL PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name text NOT NULL,
    line1 text NOT NULL,
    line2 text,
    city text NOT NULL,
    postcode text,
    region text,
    country text NOT NULL,
    phone text,
    created_at timestamptz NOT NULL
);
CREATE INDEX addresses_of_account ON addresses (account_id, created_at, id);

-- The address that an account is to have, until it is verified, and the one that it had before, which is told of it. There is one at most: whoever asks again takes the place of the one before.
CREATE TABLE new_emails (
    account_id uuid NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    email text NOT NULL,
    former text NOT NULL,
    nonce uuid NOT NULL,
    until timestamptz NOT NULL
);

CREATE INDEX new_emails_by_end ON new_emails (until);

-- Who wants to be forgotten, and when nothing was left of their orders' details. The account's row stays, and says nothing of its owner.
CREATE TABLE erasures (
    account_id uuid NOT NULL PRIMARY KEY,
    at timestamptz NOT NULL,
    done_at timestamptz
);
CREATE INDEX erasures_open ON erasures (at) WHERE done_at IS NULL;
