-- The payment service's own tables. Amounts are whole minor units; STRICT keeps SQLite from turning a sum into a float.

-- payment_id is not unique on purpose: that one charge is made only once is the barrier's promise, and must show if it
-- breaks.
CREATE TABLE IF NOT EXISTS charges (
    charge_id    INTEGER PRIMARY KEY,
    payment_id   TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    reservation  TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('standing', 'refunded'))
) STRICT;
CREATE INDEX IF NOT EXISTS charges_by_payment ON charges (payment_id);

-- Double entry: each movement is two rows that sum to zero.
CREATE TABLE IF NOT EXISTS entries (
    movement     INTEGER NOT NULL,
    side         INTEGER NOT NULL CHECK (side IN (0, 1)),
    account_id   TEXT NOT NULL CHECK (account_id IN ('card-network', 'merchant-receivable')),
    amount_minor INTEGER NOT NULL,
    cause        TEXT NOT NULL,
    PRIMARY KEY (movement, side)
) STRICT, WITHOUT ROWID;

-- For anybody to check: charged - refunded = receivable, entries_sum = 0.
CREATE VIEW IF NOT EXISTS conservation (kind, amount) AS
    SELECT 'charged', coalesce(sum(amount_minor), 0) FROM charges
    UNION ALL SELECT 'refunded', coalesce(sum(amount_minor), 0) FROM charges WHERE state = 'refunded'
    UNION ALL SELECT 'receivable', coalesce(sum(amount_minor), 0) FROM entries WHERE account_id = 'merchant-receivable'
    UNION ALL SELECT 'entries_sum', coalesce(sum(amount_minor), 0) FROM entries;
