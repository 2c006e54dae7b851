-- What accounts may pay, and every payment that was judged. Times are Unix milliseconds, amounts minor units.

-- An account without a row has no limits and isn't frozen.
CREATE TABLE IF NOT EXISTS standings (
    account_id        TEXT PRIMARY KEY REFERENCES accounts,
    per_payment_minor INTEGER CHECK (per_payment_minor >= 0),
    per_day_minor     INTEGER CHECK (per_day_minor >= 0),
    frozen            INTEGER NOT NULL CHECK (frozen IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Approved payments; those that were cancelled no longer count. screening_id is not unique on purpose, like hold_id.
CREATE TABLE IF NOT EXISTS screenings (
    id             INTEGER PRIMARY KEY,
    screening_id   TEXT NOT NULL,
    account_id     TEXT NOT NULL REFERENCES accounts,
    amount_minor   INTEGER NOT NULL,
    score          INTEGER NOT NULL,
    screened_at_ms INTEGER NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('approved', 'cancelled')),
    namespace      TEXT NOT NULL,          -- the saga that has made it, and that alone may cancel it
    saga_id        TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS screenings_by_screening_id ON screenings (screening_id);
CREATE INDEX IF NOT EXISTS screenings_by_account ON screenings (account_id, screened_at_ms) WHERE state = 'approved';

-- Every decision. A refusal changes nothing, so what there is of it is what the barrier keeps to answer every copy.
DROP VIEW IF EXISTS screening_decisions;
CREATE VIEW screening_decisions (saga_id, decision, detail) AS
    SELECT saga_id, state, account_id || ': ' || amount_minor || ', score ' || score FROM screenings
    UNION ALL SELECT saga_id, refusal_reason, refusal_message FROM amends_barrier
    WHERE status = 'refused' AND refusal_reason IN ('FROZEN', 'OVER_LIMIT', 'OVER_DAILY_LIMIT', 'ANOMALOUS');
