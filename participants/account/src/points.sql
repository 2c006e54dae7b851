-- Points, and what they were given for. award_id is not unique on purpose, like hold_id in schema.sql.
CREATE TABLE IF NOT EXISTS awards (
    id         INTEGER PRIMARY KEY,
    award_id   TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts,
    points     INTEGER NOT NULL CHECK (points > 0),
    state      TEXT NOT NULL CHECK (state IN ('awarded', 'revoked')),
    namespace  TEXT NOT NULL,          -- the saga that has made it, and that alone may compensate it
    saga_id    TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS awards_by_award_id ON awards (award_id);

-- The ledger: an award adds a line, its revocation another that takes it away.
CREATE TABLE IF NOT EXISTS point_entries (
    id         INTEGER PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts,
    points     INTEGER NOT NULL,
    cause      TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS point_entries_by_account ON point_entries (account_id);
