-- The account service's tables on Postgres, as schema.sql, credits.sql, screening.sql, points.sql and evidence.sql have them for
-- SQLite. Amounts are whole minor units; sums, which Postgres makes wider, are cast back to 64 bits.

CREATE TABLE IF NOT EXISTS accounts (
    account_id    TEXT PRIMARY KEY,
    kind          TEXT NOT NULL CHECK (kind IN ('customer', 'system')),
    floor_minor   BIGINT NOT NULL,
    balance_minor BIGINT NOT NULL      -- without what is held; always the sum of the account's entries
);

-- Where money comes from, where it is while it is held or on its way to another account, and where it ends.
INSERT INTO accounts VALUES
    ('world', 'system', 0, 0), ('held', 'system', 0, 0), ('clearing', 'system', 0, 0), ('merchant-settlement', 'system', 0, 0)
    ON CONFLICT DO NOTHING;

-- Double entry: each movement is two rows that sum to zero.
CREATE TABLE IF NOT EXISTS movements (
    movement BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cause    TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS entries (
    movement     BIGINT NOT NULL,
    side         BIGINT NOT NULL CHECK (side IN (0, 1)),
    account_id   TEXT NOT NULL REFERENCES accounts,
    amount_minor BIGINT NOT NULL,
    cause        TEXT NOT NULL,
    PRIMARY KEY (movement, side)
);

CREATE TABLE IF NOT EXISTS deposits (
    deposit_id   TEXT PRIMARY KEY,
    account_id   TEXT NOT NULL REFERENCES accounts,
    amount_minor BIGINT NOT NULL
);

-- hold_id is not unique on purpose: that one hold is made only once is the barrier's promise, and must show if it breaks.
CREATE TABLE IF NOT EXISTS holds (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hold_id      TEXT NOT NULL,
    account_id   TEXT NOT NULL REFERENCES accounts,
    amount_minor BIGINT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('held', 'confirmed', 'cancelled')),
    namespace    TEXT NOT NULL,          -- the saga that has made it, and that alone may end it
    saga_id      TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS holds_by_hold_id ON holds (hold_id);
CREATE INDEX IF NOT EXISTS holds_open_by_account ON holds (account_id) WHERE state = 'held';

-- The receiving side of transfers. credit_id is not unique on purpose, like hold_id in schema.sql.
CREATE TABLE IF NOT EXISTS credits (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    credit_id    TEXT NOT NULL,
    account_id   TEXT NOT NULL REFERENCES accounts,
    amount_minor BIGINT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('reserved', 'credited', 'cancelled')),
    namespace    TEXT NOT NULL,          -- the saga that has made it, and that alone may end it
    saga_id      TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS credits_by_credit_id ON credits (credit_id);
CREATE INDEX IF NOT EXISTS credits_open_by_account ON credits (account_id) WHERE state = 'reserved';

-- What accounts may pay, and every payment that was judged. Times are Unix milliseconds, amounts minor units.

-- An account without a row has no limits and isn't frozen.
CREATE TABLE IF NOT EXISTS standings (
    account_id        TEXT PRIMARY KEY REFERENCES accounts,
    per_payment_minor BIGINT CHECK (per_payment_minor >= 0),
    per_day_minor     BIGINT CHECK (per_day_minor >= 0),
    frozen            BIGINT NOT NULL CHECK (frozen IN (0, 1))
);

-- Approved payments; those that were cancelled no longer count. screening_id is not unique on purpose, like hold_id.
CREATE TABLE IF NOT EXISTS screenings (
    id             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    screening_id   TEXT NOT NULL,
    account_id     TEXT NOT NULL REFERENCES accounts,
    amount_minor   BIGINT NOT NULL,
    score          BIGINT NOT NULL,
    screened_at_ms BIGINT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('approved', 'cancelled')),
    namespace      TEXT NOT NULL,          -- the saga that has made it, and that alone may cancel it
    saga_id        TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS screenings_by_screening_id ON screenings (screening_id);
CREATE INDEX IF NOT EXISTS screenings_by_account ON screenings (account_id, screened_at_ms) WHERE state = 'approved';

-- Every decision. A refusal changes nothing, so what there is of it is what the barrier keeps to answer every copy.
CREATE OR REPLACE VIEW screening_decisions (saga_id, decision, detail) AS
    SELECT saga_id, state, account_id || ': ' || amount_minor || ', score ' || score FROM screenings
    UNION ALL SELECT saga_id, refusal_reason, refusal_message FROM amends_barrier
    WHERE status = 'refused' AND refusal_reason IN ('FROZEN', 'OVER_LIMIT', 'OVER_DAILY_LIMIT', 'ANOMALOUS');

-- Points, and what they were given for. award_id is not unique on purpose, like hold_id in schema.sql.
CREATE TABLE IF NOT EXISTS awards (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    award_id   TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts,
    points     BIGINT NOT NULL CHECK (points > 0),
    state      TEXT NOT NULL CHECK (state IN ('awarded', 'revoked')),
    namespace  TEXT NOT NULL,          -- the saga that has made it, and that alone may compensate it
    saga_id    TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS awards_by_award_id ON awards (award_id);

-- The ledger: an award adds a line, its revocation another that takes it away.
CREATE TABLE IF NOT EXISTS point_entries (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts,
    points     BIGINT NOT NULL,
    cause      TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS point_entries_by_account ON point_entries (account_id);

-- For anybody to check: balance + held = deposited, entries_sum = 0, points = points_awarded, and balance + held stays what it was.
-- clearing is part of balance; it is 0 when no transfer is being confirmed.
CREATE OR REPLACE VIEW conservation (kind, amount) AS
    SELECT 'balance', CAST(coalesce(sum(balance_minor), 0) AS BIGINT) FROM accounts WHERE account_id NOT IN ('world', 'held')
    UNION ALL SELECT 'held', CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM holds WHERE state = 'held'
    UNION ALL SELECT 'deposited', CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM deposits
    UNION ALL SELECT 'entries_sum', CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM entries
    UNION ALL SELECT 'clearing', balance_minor FROM accounts WHERE account_id = 'clearing'
    UNION ALL SELECT 'incoming', CAST(coalesce(sum(amount_minor), 0) AS BIGINT) FROM credits WHERE state = 'reserved'
    UNION ALL SELECT 'points', CAST(coalesce(sum(points), 0) AS BIGINT) FROM point_entries
    UNION ALL SELECT 'points_awarded', CAST(coalesce(sum(points), 0) AS BIGINT) FROM awards WHERE state = 'awarded';
