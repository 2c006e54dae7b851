-- The receiving side of transfers. credit_id is not unique on purpose, like hold_id in schema.sql.
CREATE TABLE IF NOT EXISTS credits (
    id           INTEGER PRIMARY KEY,
    credit_id    TEXT NOT NULL,
    account_id   TEXT NOT NULL REFERENCES accounts,
    amount_minor INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('reserved', 'credited', 'cancelled')),
    namespace    TEXT NOT NULL,          -- the saga that has made it, and that alone may end it
    saga_id      TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS credits_by_credit_id ON credits (credit_id);
CREATE INDEX IF NOT EXISTS credits_open_by_account ON credits (account_id) WHERE state = 'reserved';
