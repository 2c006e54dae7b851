-- The account service's own tables. Amounts are whole minor units; STRICT keeps SQLite from turning a sum into a float.

CREATE TABLE IF NOT EXISTS accounts (
    account_id    TEXT PRIMARY KEY,
    kind          TEXT NOT NULL CHECK (kind IN ('customer', 'system')),
    floor_minor   INTEGER NOT NULL,
    balance_minor INTEGER NOT NULL      -- without what is held; always the sum of the account's entries
) STRICT, WITHOUT ROWID;

-- Where money comes from, where it is while it is held or on its way to another account, and where it ends.
INSERT INTO accounts VALUES
    ('world', 'system', 0, 0), ('held', 'system', 0, 0), ('clearing', 'system', 0, 0), ('merchant-settlement', 'system', 0, 0)
    ON CONFLICT DO NOTHING;

-- Double entry: each movement is two rows that sum to zero.
CREATE TABLE IF NOT EXISTS movements (
    movement INTEGER PRIMARY KEY,
    cause    TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS entries (
    movement     INTEGER NOT NULL,
    side         INTEGER NOT NULL CHECK (side IN (0, 1)),
    account_id   TEXT NOT NULL REFERENCES accounts,
    amount_minor INTEGER NOT NULL,
    cause        TEXT NOT NULL,
    PRIMARY KEY (movement, side)
) STRICT, WITHOUT ROWID;

-- Databases from before movements had a table of their own.
INSERT INTO movements (movement, cause)
    SELECT movement, cause FROM entries WHERE side = 0 AND movement > (SELECT coalesce(max(movement), 0) FROM movements);

CREATE TABLE IF NOT EXISTS deposits (
    deposit_id   TEXT PRIMARY KEY,
    account_id   TEXT NOT NULL REFERENCES accounts,
    amount_minor INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- hold_id is not unique on purpose: that one hold is made only once is the barrier's promise, and must show if it breaks.
CREATE TABLE IF NOT EXISTS holds (
    id           INTEGER PRIMARY KEY,
    hold_id      TEXT NOT NULL,
    account_id   TEXT NOT NULL REFERENCES accounts,
    amount_minor INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('held', 'confirmed', 'cancelled')),
    namespace    TEXT NOT NULL,          -- the saga that has made it, and that alone may end it
    saga_id      TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS holds_by_hold_id ON holds (hold_id);
CREATE INDEX IF NOT EXISTS holds_open_by_account ON holds (account_id) WHERE state = 'held';
