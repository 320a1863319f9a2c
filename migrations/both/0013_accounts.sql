-- Who can sign in, and where they are signed in. What must not be read out of a stolen copy of this does not stand here: of a password there is a
-- hash, and of the tokens that sessions and mails bring nothing but what they are checked with.

-- A sign-up until its address is verified. Many may be there for one address; of them that is the account whose token and password are brought.
CREATE TABLE sign_ups (
    id uuid NOT NULL PRIMARY KEY,
    email text NOT NULL,
    name text,
    phone text,
    password_hash text NOT NULL,
    nonce uuid NOT NULL,
    at timestamptz NOT NULL,
    until timestamptz NOT NULL
);
CREATE INDEX sign_ups_of_email ON sign_ups (email);
CREATE INDEX sign_ups_by_end ON sign_ups (until);

-- A moment long past, where there is none: of a reset that was not asked for.
CREATE TABLE accounts (
    id uuid NOT NULL PRIMARY KEY,
    email text NOT NULL,
    name text,
    phone text,
    password_hash text NOT NULL,
    role text NOT NULL,
    disabled bigint NOT NULL,
    version bigint NOT NULL,
    created_at timestamptz NOT NULL,
    reset_nonce uuid NOT NULL,
    reset_until timestamptz NOT NULL
);
CREATE UNIQUE INDEX accounts_of_email ON accounts (email);

-- The number counts the refresh tokens of the session: the last one, and for a short while the one before it, are taken.
CREATE TABLE sessions (
    id uuid NOT NULL PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    number bigint NOT NULL,
    made_at timestamptz NOT NULL,
    rotated_at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    revoked_at timestamptz NOT NULL,
    address text NOT NULL,
    user_agent text NOT NULL
);
CREATE INDEX sessions_of_account ON sessions (account_id, made_at);
CREATE INDEX sessions_by_end ON sessions (until);
CREATE INDEX sessions_by_revocation ON sessions (revoked_at);
